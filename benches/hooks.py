#!/usr/bin/env python3
"""Measures what hooks add to a commit: `git commit` with and without them, in turn, whole processes; prints medians as Markdown.

    cargo build --release
    python3 benches/hooks.py [--rounds N] [--vault-binary PATH] [--git PATH] [--work DIR]

Two small repositories get the same commits. One has hooks, and a vault; its worker waits so long for quiet that it is not at work
meanwhile. The last row is a commit that finds a worker waiting, which is the usual case in a row of commits. Needs git and python3.
"""

import argparse
import os
import resource
import shutil
import statistics
import subprocess
import tempfile
import time


def processor():
    """Milliseconds of processor time of all processes that were waited for: not those of a worker, which nobody waits for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1000


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--vault-binary", default="target/release/git-vault")
    parser.add_argument("--git", default=shutil.which("git"))
    parser.add_argument("--work", default=None)
    arguments = parser.parse_args()
    vault = os.path.abspath(arguments.vault_binary)
    work = tempfile.mkdtemp(prefix="git-vault-hooks-", dir=arguments.work)
    environment = {
        "PATH": os.path.dirname(arguments.git) + ":" + os.environ["PATH"],
        "HOME": work,
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_VAULT_HOOK_QUIET": "600000",
        "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.com",
        "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.com",
    }

    def run(words, directory):
        began, before = time.monotonic(), processor()
        subprocess.run(words, cwd=directory, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
        return (time.monotonic() - began) * 1000, processor() - before

    def commit(directory, number):
        with open(os.path.join(directory, "file0"), "a") as file:
            file.write(f"{number}\n")
        return run([arguments.git, "commit", "-qam", str(number)], directory)

    def stop_worker(directory):
        """Ends the worker of a repository, which waits and has done nothing yet."""
        for name in os.listdir("/proc"):
            try:
                with open(f"/proc/{name}/cmdline", "rb") as file:
                    words = file.read().split(b"\0")
            except OSError:
                continue
            if b"worker" in words and os.path.join(directory, ".git").encode() in words:
                os.kill(int(name), 9)

    plain, hooked = os.path.join(work, "plain"), os.path.join(work, "hooked")
    for directory in (plain, hooked):
        os.mkdir(directory)
        run([arguments.git, "init", "-q"], directory)
        for number in range(100):
            with open(os.path.join(directory, f"file{number}"), "w") as file:
                file.write("a line\n" * 20)
        run([arguments.git, "add", "."], directory)
        run([arguments.git, "commit", "-qm", "first"], directory)
    run([vault, "-q", "snapshot"], hooked)
    run([vault, "-q", "hooks", "install"], hooked)
    times = {"without": [], "with, starts a worker": [], "with, a worker waits": []}
    for number in range(arguments.rounds + 1):
        found = [commit(plain, number)]
        stop_worker(hooked)
        found += [commit(hooked, number), commit(hooked, number + 0.5)]
        if number > 0:
            for name, one in zip(times, found):
                times[name].append(one)
    stop_worker(hooked)
    median = {name: [statistics.median(column) for column in zip(*all_times)] for name, all_times in times.items()}
    base, base_cpu = median["without"]
    print("| hooks | median ms | best ms | added ms | processor ms | added processor ms |\n|---|---|---|---|---|---|")
    for name, all_times in times.items():
        wall, cpu = median[name]
        best = min(one for one, _ in all_times)
        print(f"| {name} | {wall:.1f} | {best:.1f} | {wall - base:.1f} | {cpu:.1f} | {cpu - base_cpu:.1f} |")
    shutil.rmtree(work)


main()
