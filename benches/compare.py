#!/usr/bin/env python3
"""Measures git-vault beside git and other tools on identical work, in turn, whole processes; prints medians and ratios as Markdown.

    cargo build --release
    python3 benches/compare.py [--only WORD ...] [--work DIR] [--rounds N] [--repository PATH] [--vault-binary PATH]

Rounds are done in turn, ours and the reference one after the other, so that both meet the same machine; one that does not count
comes first. Short work is done ten times at least. --only takes words that occur in the names of rows ("nothing", "restore",
"memory" ...). --repository measures on a clone of that repository in place of the made one of 80,000 commits. Everything is
written below --work (default: a temporary directory; some 15 GB for all rows); repositories that stand there are used again.
Wall and processor times are seconds; memory is the largest single process, mapped files included. Rows whose reference is not
installed are left out, and that is said. Needs git and python3.
"""

import argparse
import glob
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import workloads

SHORT_ROUNDS = 10


def run(command, cwd, environment):
    """Runs a command to its end; gives wall seconds, processor seconds, peak MB."""
    began = time.monotonic()
    with tempfile.TemporaryFile() as errors:
        child = subprocess.Popen(command, cwd=cwd, env=environment, stdout=subprocess.DEVNULL, stderr=errors)
        _, status, usage = os.wait4(child.pid, 0)
        wall = time.monotonic() - began
        if os.waitstatus_to_exitcode(status) != 0:
            errors.seek(0)
            sys.exit(f"{command} failed: {errors.read().decode(errors='replace')}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024


def shown(figures):
    wall, cpu, memory = figures
    digits = 4 if wall < 0.1 else 3 if wall < 10 else 1
    return f"{wall:.{digits}f} ({cpu:.{digits}f}), {memory:.0f}"


class Bench:
    def __init__(self, arguments, work):
        self.arguments = arguments
        self.binary = os.path.abspath(arguments.vault_binary)
        self.work = work
        self.home = self.below("home")
        self.environment = {
            "PATH": os.environ["PATH"], "HOME": self.home, "GIT_CONFIG_NOSYSTEM": "1", "LANG": "C.UTF-8",
            "GIT_AUTHOR_NAME": "A", "GIT_AUTHOR_EMAIL": "a@example.org",
            "GIT_COMMITTER_NAME": "A", "GIT_COMMITTER_EMAIL": "a@example.org",
            "RESTIC_PASSWORD": "measured", "RESTIC_CACHE_DIR": self.below("restic-cache"),
        }
        self.clear_vaults()

    def below(self, name):
        return os.path.join(self.work, name)

    def vault(self, *arguments):
        return [self.binary, "--quiet", *arguments]

    def run(self, command, cwd):
        return run(command, cwd, self.environment)

    def workload(self, name):
        """The path of a made repository, older than the minute in which files count as fresh."""
        path = self.below(f"repository-{name}")
        if not os.path.isdir(path):
            if name == "medium" and self.arguments.repository:
                clone = ["git", "clone", "-q", "--no-local", self.arguments.repository, path]
                subprocess.run(clone, check=True, env=self.environment)
            else:
                self.make(name, path)
        self.run(["git", "status", "-uall"], path)
        return path

    def make(self, name, path):
        subprocess.run([sys.executable, workloads.__file__, name, path], check=True, env=self.environment)

    def settle(self, path):
        """What was written in the last minute is read again by every snapshot: waits until the repository is older."""
        newest = max(os.stat(os.path.join(path, ".git", name)).st_ctime for name in ("index", "HEAD"))
        time.sleep(max(0, 75 - (time.time() - newest)))
        self.run(self.vault("snapshot"), path)
        self.run(self.vault("snapshot"), path)

    def clear(self):
        for path in glob.glob(self.below("out-*")):
            shutil.rmtree(path)
        subprocess.run(["sync"], check=True)

    def clear_vaults(self):
        self.clear()
        shutil.rmtree(self.home, ignore_errors=True)
        os.makedirs(self.home)

    def out(self, name):
        return self.below(f"out-{name}")

    def is_wanted(self, name):
        return not self.arguments.only or any(word in name for word in self.arguments.only)

    def compare(self, name, ours, reference_name, reference, rounds, before=lambda: None):
        """Runs ours and the reference in turn and prints one row."""
        measured = ([], [])
        for number in range(rounds + 1):
            for place, work in enumerate((ours, reference)):
                before()
                figures = work()
                if number > 0:
                    measured[place].append(figures)
        middle = [[statistics.median(run[column] for run in side) for column in range(3)] for side in measured]
        ratio = [statistics.median(a[column] / b[column] for a, b in zip(*measured)) for column in range(2)]
        print(f"| {name} | {shown(middle[0])} | {reference_name} | {shown(middle[1])} | {ratio[0]:.2f} | {ratio[1]:.2f} |",
              flush=True)

    def nothing_changed(self, name, label):
        row = f"nothing changed: {label}"
        if self.is_wanted(row):
            path = self.workload(name)
            self.settle(path)
            self.compare(row, lambda: self.run(self.vault("snapshot"), path), "`git status -uall`",
                         lambda: self.run(["git", "status", "-uall"], path), max(SHORT_ROUNDS, self.arguments.rounds))

    def edited(self, name, label):
        row = f"10 files edited, one commit: {label}"
        if not self.is_wanted(row):
            return
        path = self.workload(name)
        self.settle(path)
        listed = subprocess.run(["git", "ls-files", "-z", "*.txt", "*.c"], cwd=path, capture_output=True, check=True)
        files = listed.stdout.decode().split("\0")[:-1]
        steps = iter(range(1_000_000))

        def edit():
            for _ in range(10):
                file = files[next(steps) * 7919 % len(files)]
                with open(os.path.join(path, file), "a", encoding="ascii") as opened:
                    opened.write(f"edited {time.time()}\n")
            self.run(["git", "commit", "-q", "-m", "one", file], path)

        self.compare(row, lambda: self.run(self.vault("snapshot"), path), "`git status -uall`",
                     lambda: self.run(["git", "status", "-uall"], path), max(SHORT_ROUNDS, self.arguments.rounds), edit)

    def restic(self, path):
        """A first backup by restic of what a snapshot takes, into a new repository."""
        shutil.rmtree(self.out("restic"), ignore_errors=True)
        self.run(["restic", "init", "-q", "-r", self.out("restic")], path)
        left_out = ["--exclude", os.path.join(path, "out"), "--exclude", "*.o"]
        return self.run(["restic", "backup", "-q", "-r", self.out("restic"), *left_out, path], path)

    def first(self, name, label, reference_name, reference):
        row = f"first snapshot: {label}"
        if self.is_wanted(row):
            path = self.workload(name)
            self.compare(row, lambda: self.run(self.vault("snapshot"), path), reference_name,
                         lambda: reference(path), self.arguments.rounds, self.clear_vaults)

    def mirror(self, path):
        read = "git ls-files -z | xargs -0 cat > /dev/null 2>&1; true"
        return self.run(["sh", "-c", f"git clone -q --mirror --no-local . {self.out('mirror')} && {read}"], path)

    def restored(self, name, label):
        row = f"restore: {label}"
        if self.is_wanted(row):
            path = self.workload(name)
            self.run(self.vault("snapshot"), path)
            clone = ["git", "clone", "-q", "--no-local", ".", self.out("clone")]
            self.compare(row, lambda: self.run(self.vault("restore", "@latest", self.out("restored")), path),
                         "`git clone --no-local`", lambda: self.run(clone, path), self.arguments.rounds, self.clear)

    def verified(self, name, label):
        path = None
        for row, ours, reference_name, reference, rounds in [
            (f"verify: {label}", ["verify"], "`b3sum` of the vault",
             ["sh", "-c", f"b3sum --num-threads 1 {self.home}/.local/share/git-vault/vaults/*/objects/pack/*"], SHORT_ROUNDS),
            (f"verify --deep: {label}", ["verify", "--deep"], "`git fsck --full`", ["git", "fsck", "--full"], 1),
        ]:
            if not self.is_wanted(row):
                continue
            if row.startswith("verify:") and not shutil.which("b3sum"):
                print(f"left out, b3sum is not installed: {row}", file=sys.stderr)
                continue
            if path is None:
                self.clear_vaults()
                path = self.workload(name)
                self.run(self.vault("snapshot"), path)
            self.compare(row, lambda: self.run(self.vault(*ours), path), reference_name,
                         lambda: self.run(reference, path), max(rounds, self.arguments.rounds))

    def vault_bytes(self):
        total = 0
        for directory, _, names in os.walk(os.path.join(self.home, ".local/share/git-vault/vaults")):
            if os.path.basename(directory) != "cache":
                total += sum(os.path.getsize(os.path.join(directory, name)) for name in names)
        return total

    def series(self, count):
        """One file edited before each of many snapshots: what each adds, and what the last ones cost beside the first."""
        row = f"{count} snapshots, one file edited each"
        if not self.is_wanted(row):
            return
        self.clear_vaults()
        path = self.below("repository-series")
        shutil.rmtree(path, ignore_errors=True)
        self.make("small", path)
        self.run(self.vault("snapshot"), path)
        before, times = self.vault_bytes(), []
        for number in range(count):
            with open(os.path.join(path, f"d{number % 12:02}/file{number * 12 % 300 + number % 12:03}.txt"), "a") as file:
                file.write(f"edited {number}\n")
            times.append(self.run(self.vault("snapshot"), path))
        begin, end = (statistics.median(run[0] for run in part) for part in (times[:100], times[-100:]))
        each = (self.vault_bytes() - before) / count
        print(f"\n{row}: {each / 1024:.1f} KiB each; wall {begin:.4f} s in the first hundred, {end:.4f} s in the last, "
              f"ratio {end / begin:.2f}", flush=True)

        if count < 1_000:
            return

        def next_ones():
            # What is younger than a minute is read again, whatever is known of it.
            time.sleep(65)
            more = []
            for number in range(100):
                with open(os.path.join(path, f"d{number % 12:02}/file{number:03}.txt"), "a") as file:
                    file.write(f"edited again {time.time()}\n")
                more.append(self.run(self.vault("snapshot"), path))
            return statistics.median(run[0] for run in more)

        later = next_ones()
        optimized = self.run(self.vault("optimize"), path)[0]
        at_last = next_ones()
        print(f"a minute later, the next hundred: {later:.4f} s, ratio {later / begin:.2f}; after optimize ({optimized:.1f} s), the next "
              f"hundred: {at_last:.4f} s, ratio {at_last / begin:.2f}", flush=True)

    def found(self, count):
        """What finding something costs in a vault of many snapshots of 5,000 files."""
        row = f"finding in {count} snapshots of 5,000 files"
        if not self.is_wanted(row):
            return
        self.clear_vaults()
        path = self.below("repository-finding")
        shutil.rmtree(path, ignore_errors=True)
        self.make("middle", path)
        for number in range(count):
            with open(os.path.join(path, f"d{number % 250:03}/file{number * 250 % 5_000 + number % 250:04}.txt"), "a") as file:
                file.write(f"edited {number}\n")
            self.run(self.vault("snapshot"), path)
        print(f"\n{row}, the median of {SHORT_ROUNDS} after the first:", flush=True)
        commands = [["find", "file0007"], ["log", "d007/file0007.txt"], ["list"], ["list", "--path", "d007"], ["list", "-n", "20"],
                    ["show", "@{1 minute ago}"], ["grep", "-F", "edited 7"]]
        for command in commands:
            first = self.run(self.vault(*command), path)[0]
            times = [self.run(self.vault(*command), path)[0] for _ in range(SHORT_ROUNDS)]
            print(f"* `{' '.join(command)}`: {statistics.median(times):.3f} s (the first time {first:.3f} s)", flush=True)

    def memory(self, name, label):
        row = f"memory: {label}"
        if self.is_wanted(row):
            self.clear_vaults()
            path = self.workload(name)
            peaks = []
            for arguments in (["snapshot"], ["verify", "--deep"], ["restore", "@latest", self.out("restored")]):
                peaks.append(f"{arguments[0]} {self.run(self.vault(*arguments), path)[2]:.0f} MB")
            print(f"\n{row}: {', '.join(peaks)}", flush=True)

    def all(self):
        print(f"{os.cpu_count()} processors, {self.arguments.rounds} rounds in turn (short work at least {SHORT_ROUNDS}), "
              "after one that does not count\n")
        print("| work | git-vault: wall s (cpu s), MB | reference | wall s (cpu s), MB | wall ratio | cpu ratio |")
        print("| --- | --- | --- | --- | --- | --- |")
        medium = "that of --repository" if self.arguments.repository else "5,000 files, 80,000 commits"
        sizes = [("small", "300 files"), ("medium", medium), ("wide", "100,000 files")]
        for name, label in sizes:
            self.nothing_changed(name, label)
        for name, label in sizes:
            self.edited(name, label)
        mirror = "`git clone --mirror --no-local` + reading the tree"
        self.first("medium", medium, mirror, self.mirror)
        if shutil.which("restic"):
            self.first("wide", "100,000 files", "`restic backup`", self.restic)
            self.first("heavy", "1.5 GB of noise, 500 MB of text", "`restic backup`", self.restic)
        else:
            print("left out, restic is not installed: first snapshots of many and of large files", file=sys.stderr)
        for name, label in sizes[1:]:
            self.restored(name, label)
            self.verified(name, label)
        self.series(100)
        self.series(2_000)
        self.found(2_000)
        self.memory("wide", "100,000 files")
        self.memory("huge_untracked", "an untracked file of 4 GB")
        self.memory("huge_blob", "a blob of 2 GB in the history")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    parser.add_argument("--only", nargs="+")
    parser.add_argument("--repository")
    parser.add_argument("--work")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--vault-binary", default=os.path.join(here, "target", "release", "git-vault"))
    arguments = parser.parse_args()
    if arguments.work:
        os.makedirs(arguments.work, exist_ok=True)
        Bench(arguments, os.path.abspath(arguments.work)).all()
    else:
        with tempfile.TemporaryDirectory(prefix="git-vault-bench-") as work:
            Bench(arguments, work).all()


if __name__ == "__main__":
    main()
