"""The repositories on which git-vault is measured: the same ones every time, made by git from numbers alone."""

import os
import random
import subprocess
import sys

LINES = [f"line {number} of a file like any other in a project of this size" for number in range(150)]


def git(cwd, *arguments, environment):
    subprocess.run(["git", *arguments], cwd=cwd, check=True, env=environment, stdout=subprocess.DEVNULL)


def text(seed, change, lines=150):
    """About 9 kB of text (with 150 lines), one line of which is its own."""
    place = (seed + change) % lines
    return "\n".join(LINES[:place] + [f"change {change} in {seed}"] + LINES[place:lines]) + "\n"


def imported(path, commits, paths, environment, lines=150):
    """A repository with all paths in its first commit, and one changed by each of the others; packed, checked out."""
    subprocess.run(["git", "init", "-q", "-b", "main", path], check=True, env=environment)
    importer = subprocess.Popen(["git", "fast-import", "--quiet"], cwd=path, stdin=subprocess.PIPE, env=environment)
    for commit in range(commits):
        changed = range(len(paths)) if commit == 0 else [commit * 7919 % len(paths)]
        out = [f"commit refs/heads/main\ncommitter A <a@example.org> {1_600_000_000 + commit} +0000\ndata 6\ncommit\n"]
        for number in changed:
            content = text(number, commit, lines)
            out.append(f"M 100644 inline {paths[number]}\ndata {len(content)}\n{content}\n")
        importer.stdin.write("".join(out).encode())
    importer.stdin.close()
    if importer.wait() != 0:
        raise SystemExit("git fast-import failed")
    git(path, "gc", "-q", environment=environment)
    git(path, "reset", "-q", "--hard", environment=environment)


def write(path, content):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        file.write(content)


def small(path, environment):
    """300 files in 12 directories, 400 commits."""
    imported(path, 400, [f"d{n % 12:02}/file{n:03}.txt" for n in range(300)], environment)


def middle(path, environment):
    """5,000 files in 250 directories, 100 commits."""
    imported(path, 100, [f"d{n % 250:03}/file{n:04}.txt" for n in range(5_000)], environment)


def medium(path, environment):
    """5,000 files in 250 directories, 80,000 commits."""
    imported(path, 80_000, [f"d{n % 250:03}/file{n:04}.txt" for n in range(5_000)], environment)


def wide(path, environment):
    """100,000 files in 5,000 directories, 2,000 untracked ones, and 20,000 ignored ones, 1,000 of them among the others."""
    names = [f"top{n % 50:02}/mid{n // 50 % 100:02}/file{n:06}.txt" for n in range(99_999)]
    imported(path, 20, [*names, ".gitignore"], environment)
    write(os.path.join(path, ".gitignore"), b"/out/\n*.o\n# generated\n/.cache\n*~\n")
    git(path, "commit", "-q", "-am", "ignore", environment=environment)
    for n in range(2_000):
        write(os.path.join(path, f"top{n % 50:02}/mid{n // 50 % 40:02}/new{n:04}.txt"), text(n, 7).encode())
    for n in range(1_000):
        write(os.path.join(path, f"top{n % 50:02}/mid{n // 50:02}/object{n:04}.o"), b"o" * 500)
    for n in range(19_000):
        write(os.path.join(path, f"out/part{n % 400:03}/made{n:05}.bin"), b"made" * 200)


def heavy(path, environment):
    """The small one, with 1.5 GB that cannot be compressed and 500 MB of text beside it, untracked."""
    small(path, environment)
    source = random.Random(5)
    with open(os.path.join(path, "noise.bin"), "wb") as file:
        for _ in range(1_500):
            file.write(source.randbytes(1_000_000))
    with open(os.path.join(path, "words.log"), "w", encoding="ascii") as file:
        for number in range(6_250_000):
            file.write(f"2026-11-{number % 30 + 1:02} {number:08x} request {number * 2654435761 % 4294967296:08x} took {number % 977} ms to end well\n")


def huge_untracked(path, environment):
    """The small one, with one untracked file of 4 GB, half of it noise."""
    small(path, environment)
    source = random.Random(6)
    with open(os.path.join(path, "huge.bin"), "wb") as file:
        for number in range(4_000):
            file.write(source.randbytes(1_000_000) if number % 2 else b"%016d" % number * 62_500)


def huge_blob(path, environment):
    """The small one, with a blob of 2 GB in a commit that was taken back."""
    small(path, environment)
    source = random.Random(7)
    with open(os.path.join(path, "blob.bin"), "wb") as file:
        for _ in range(2_000):
            file.write(source.randbytes(1_000_000))
    git(path, "-c", "core.compression=0", "add", "blob.bin", environment=environment)
    git(path, "commit", "-q", "-m", "blob", environment=environment)
    git(path, "rm", "-q", "blob.bin", environment=environment)
    git(path, "commit", "-q", "-m", "without", environment=environment)


if __name__ == "__main__":
    # In a process of its own: what it takes in memory would count for every process that the measuring one starts.
    globals()[sys.argv[1]](sys.argv[2], dict(os.environ))
