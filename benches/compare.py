#!/usr/bin/env python3
"""Measures git-vault beside git on identical work, in turn, whole processes; prints medians and ratios as Markdown.

    cargo build --release
    python3 benches/compare.py [--repository PATH] [--work DIR] [--rounds N] [--vault-binary PATH]

Without --repository one of 5,000 files and 80,000 commits is made with `git fast-import` (the same one every time).
Everything is written below --work (default: a temporary directory); the repository given is only cloned from.
Wall and processor times are seconds; memory is the largest single process, mapped files included. Needs git and python3.
"""

import argparse
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time


def run(command, cwd, environment):
    """Runs a command to its end; gives wall seconds, processor seconds, peak MB."""
    began = time.monotonic()
    child = subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - began
    if os.waitstatus_to_exitcode(status) != 0:
        sys.exit(f"{command} failed: {errors.decode(errors='replace')}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def made_repository(path, environment):
    """A repository of 5,000 files in 250 directories and 80,000 commits, made by git fast-import."""
    subprocess.run(["git", "init", "-q", "-b", "main", path], check=True, env=environment)
    importer = subprocess.Popen(["git", "fast-import", "--quiet"], cwd=path, stdin=subprocess.PIPE, env=environment)
    lines = [f"line {number} of a file like any other in a project of this size" for number in range(150)]
    for commit in range(80_000):
        changed = range(5_000) if commit == 0 else [commit * 7919 % 5_000]
        out = [f"commit refs/heads/main\ncommitter A <a@example.org> {1_600_000_000 + commit} +0000\ndata 6\ncommit\n"]
        for number in changed:
            place = (commit + number) % len(lines)
            text = "\n".join(lines[:place] + [f"change {commit} in {number}"] + lines[place:]) + "\n"
            out.append(f"M 100644 inline d{number % 250:03}/file{number:04}.txt\ndata {len(text)}\n{text}\n")
        importer.stdin.write("".join(out).encode())
    importer.stdin.close()
    if importer.wait() != 0:
        sys.exit("git fast-import failed")
    subprocess.run(["git", "gc", "-q"], cwd=path, check=True, env=environment)


class Bench:
    def __init__(self, arguments, work):
        self.binary = os.path.abspath(arguments.vault_binary)
        self.rounds = arguments.rounds
        self.work = work
        self.home = os.path.join(work, "home")
        os.makedirs(self.home)
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": self.home, "GIT_CONFIG_NOSYSTEM": "1", "LANG": "C.UTF-8",
        }
        source = arguments.repository
        if source is None:
            source = os.path.join(work, "made")
            made_repository(source, self.environment)
        self.repository = os.path.join(work, "repository")
        subprocess.run(["git", "clone", "-q", "--no-local", source, self.repository], check=True, env=self.environment)
        files = subprocess.run(["git", "ls-files", "-z"], cwd=self.repository, capture_output=True, check=True).stdout
        commits = subprocess.run(["git", "rev-list", "--count", "HEAD"], cwd=self.repository, capture_output=True, check=True)
        print(f"{files.count(0)} files, {commits.stdout.decode().strip()} commits, {os.cpu_count()} processors, "
              f"{arguments.rounds} rounds in turn, after one that does not count\n")
        print("| work | git-vault: wall s (cpu s), MB | reference | wall s (cpu s), MB | wall ratio | cpu ratio |")
        print("| --- | --- | --- | --- | --- | --- |")

    def vault(self, *arguments):
        return [self.binary, "--quiet", *arguments]

    def compare(self, name, ours, reference_name, reference, before=lambda: None):
        """Runs ours and the reference in turn and prints one row."""
        measured = ([], [])
        for number in range(self.rounds + 1):
            for place, work in enumerate((ours, reference)):
                before()
                figures = work()
                if number > 0:
                    measured[place].append(figures)
        middle = [[statistics.median(run[column] for run in side) for column in range(3)] for side in measured]
        ratio = [statistics.median(a[column] / b[column] for a, b in zip(*measured)) for column in range(2)]
        shown = [f"{wall:.3f} ({cpu:.3f}), {memory:.0f}" for wall, cpu, memory in middle]
        print(f"| {name} | {shown[0]} | {reference_name} | {shown[1]} | {ratio[0]:.2f} | {ratio[1]:.2f} |", flush=True)

    def run(self, command, cwd=None):
        return run(command, cwd or self.repository, self.environment)

    def clear(self):
        for name in os.listdir(self.work):
            if name.startswith("out-"):
                shutil.rmtree(os.path.join(self.work, name))
        subprocess.run(["sync"], check=True)

    def clear_vault(self):
        self.clear()
        for name in os.listdir(self.home):
            shutil.rmtree(os.path.join(self.home, name))

    def out(self, name):
        return os.path.join(self.work, f"out-{name}")

    def all(self):
        mirror = ["sh", "-c", f"git clone -q --mirror --no-local . {self.out('mirror')} && "
                              "git ls-files -z | xargs -0 cat > /dev/null 2>&1; true"]
        self.compare("first snapshot, with read-back", lambda: self.run(self.vault("snapshot")),
                     "`git clone --mirror --no-local` + reading the tree", lambda: self.run(mirror), self.clear_vault)
        self.run(self.vault("snapshot"))
        self.run(["git", "status"])
        # What was written in the last minute is read again by every snapshot: let the clone become older than that.
        age = time.time() - os.stat(os.path.join(self.repository, ".git", "index")).st_ctime
        time.sleep(max(0, 75 - age))
        self.run(self.vault("snapshot"))
        self.compare("nothing changed", lambda: self.run(self.vault("snapshot")),
                     "`git status`", lambda: self.run(["git", "status"]))
        self.compare("nothing changed, sealed all the same (-m)", lambda: self.run(self.vault("snapshot", "-m", "again")),
                     "`git status`", lambda: self.run(["git", "status"]))
        self.compare("restore", lambda: self.run(self.vault("restore", "@latest", self.out("restored"))),
                     "`git clone --no-local`",
                     lambda: self.run(["git", "clone", "-q", "--no-local", ".", self.out("clone")]), self.clear)
        self.compare("verify", lambda: self.run(self.vault("verify")),
                     "`sha256sum` of the vault's packs",
                     lambda: self.run(["sh", "-c", f"sha256sum {self.home}/.local/share/git-vault/vaults/*/objects/pack/*"]))
        self.compare("verify --deep", lambda: self.run(self.vault("verify", "--deep")),
                     "`git fsck --full`", lambda: self.run(["git", "fsck", "--full"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("--repository")
    parser.add_argument("--work")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--vault-binary", default=os.path.join(here, "target", "release", "git-vault"))
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="git-vault-bench-", dir=arguments.work) as work:
        Bench(arguments, work).all()


if __name__ == "__main__":
    main()
