//! Lines of shell with git commands and edits, put together at random: what somebody may do in a repository.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;

/// The line that stands for a snapshot.
pub const SNAPSHOT: &str = "git vault snapshot";

/// How a repository begins.
pub const BEGINNINGS: [&[&str]; 4] = [
    &["git init --quiet"],
    &["git init --quiet", DIVERGED],
    &["git init --quiet --object-format=sha256", DIVERGED],
    &["git init --quiet --ref-format=reftable", DIVERGED],
];

/// Branches `main`, `one` and `two`, in conflict in `a.txt`, and a few files.
const DIVERGED: &str = "mkdir -p src/deep && for name in a.txt src/b.txt src/deep/c.txt; do seq 9 > $name; done && \
    git add -A && git commit -qm base && echo more >> src/b.txt && git commit -qam second && \
    for name in one two; do git switch -qc $name main && sed -i \"2s/.*/$name/\" a.txt && \
    echo $name > $name.txt && git add -A && git commit -qm $name && \
    echo $name >> src/deep/c.txt && git commit -qam \"$name again\"; done && \
    git switch -q main && sed -i '2s/.*/main/' a.txt && git commit -qam main";

const FILES: [&str; 21] = [
    "a.txt",
    "a.txt",
    "src/b.txt",
    "src/b.txt",
    "src/deep/c.txt",
    "src/deep",
    "one.txt",
    "new.txt",
    "fresh/in/new.txt",
    "x.log",
    "build/out",
    "'odd name'",
    "new.lock",
    "%2egit",
    "src/.gitkeep",
    "objects/info/packs",
    "HEAD",
    "-dash",
    "'*glob?'",
    "\"$(printf 'new\\nline')\"",
    "\"$(printf 'latin-\\351')\"",
];

const DIRECTORIES: [&str; 5] = ["src", "src/deep", "fresh", "build", "empty"];

const BRANCHES: [&str; 5] = ["main", "one", "two", "three", "deep/branch"];

const COMMITS: [&str; 9] = [
    "HEAD",
    "HEAD~1",
    "HEAD~2",
    "main",
    "one",
    "two",
    "one~1",
    "stash@{0}",
    "HEAD@{1}",
];

const TIMES: [&str; 6] = [
    "@0",
    "@1",
    "@1234567890.123456789",
    "@1700000000.999999999",
    "@2147483648.5",
    "@4294967297.25",
];

/// Edits of files. `{f}` and `{g}` are files, `{d}` a directory, `{t}` a time, `{n}` a digit.
const EDITS: [&str; 29] = [
    "mkdir -p \"$(dirname ./{f})\"; echo {n} >> ./{f}",
    "mkdir -p \"$(dirname ./{f})\"; echo {n} > ./{f}",
    "sed -i '{n}s/^/x/' ./{f}",
    "printf {n} | dd of=./{f} bs=1 conv=notrunc status=none",
    "touch -r ./{f} ../time && printf {n} | dd of=./{f} bs=1 conv=notrunc status=none && touch -r ../time ./{f}",
    "seq {n}000 > ./{f}",
    "rm -rf ./{f}",
    "rm -rf ./{d}",
    "chmod 755 ./{f}",
    "chmod 600 ./{f}",
    "chmod 644 ./{f}",
    "rm -rf ./{f}; ln -sfn {g} ./{f}",
    "mv ./{f} ./{g}",
    "rm -rf ./{f}; mkdir -p ./{f}; echo {n} > ./{f}/inside",
    "rm -rf ./{d}; echo {n} > ./{d}",
    "mkdir -p ./{d}/hollow",
    "ln ./{f} ./{g}",
    "yes {n} | head -c 17000000 > big.bin",
    "mkdir -p .git/refs/heads/hollow/dir",
    "echo {n} > .git/by-hand-{n}",
    "touch -d {t} .git/config .git/refs .git",
    "chmod 600 .git/config",
    "cp -a ./{d} ./copy-{n}",
    "touch -d {t} ./{f}",
    "touch -d {t} ./{d}",
    "echo '*.log' >> .gitignore",
    "echo build/ >> .gitignore",
    "printf 'fresh\\n!new.txt\\n' > .git/info/exclude",
    "mkdir -p ./{d}; echo '!*.log' > ./{d}/.gitignore",
];

/// What is done all day. `{b}` and `{c}` are branches, `{x}` a commit.
const DAILY: [&str; 36] = [
    "git add -A",
    "git add -A",
    "git add -- ./{f}",
    "git add -f -- ./{f}",
    "git add -u",
    "git add -N -- ./{f}",
    "printf 'y\\nn\\ny\\nn\\n' | git add -p",
    "git rm -q --cached -- ./{f}",
    "git rm -qf -- ./{f}",
    "git mv -- ./{f} ./{g}",
    "git commit -qm '{n}'",
    "git commit -qm '{n}'",
    "git commit -qam '{n}'",
    "git add -A; git commit -qm '{n}'",
    "git commit -q --amend -m 'amended {n}'",
    "git commit -q --allow-empty -m 'empty {n}'",
    "git branch {b}",
    "git branch -f {b} {x}",
    "git branch -D {b}",
    "git branch -m {b} {c}",
    "git mv -- ./{d} ./moved-{n}",
    "git switch -q {b}",
    "git switch -qc {b} {x}",
    "git switch -qf {b}",
    "git switch -qd {x}",
    "git switch -qm {b}",
    "git checkout -q {b} -- .",
    "git checkout -q --orphan {b}",
    "git restore .",
    "git restore --staged .",
    "git reset -q --soft {x}",
    "git reset -q --mixed {x}",
    "git reset -q --hard {x}",
    "git reset -q --keep {x}",
    "git clean -qfd",
    "git clean -qfdx",
];

/// What may stop on the way, goes on, or is given up.
const OPERATIONS: [&str; 46] = [
    "git merge -q {b}",
    "git merge -q {b}",
    "git merge -q --no-ff --no-commit {b}",
    "git merge -q --squash {b}",
    "git merge -q --autostash {b}",
    "git merge -q {b} {c}",
    "git merge --abort",
    "git merge --continue",
    "git rebase -q {b}",
    "git rebase -q --autostash {b}",
    "git rebase -q --apply {b}",
    "git rebase -q --rebase-merges {b}",
    "git rebase -q --exec 'test {n} -gt 5' HEAD~2",
    "GIT_SEQUENCE_EDITOR='sed -i 1s/^pick/edit/' git rebase -qi --autostash HEAD~2",
    "GIT_SEQUENCE_EDITOR='sed -i 2s/^pick/fixup/' git rebase -qi HEAD~2",
    "git add -u; git commit -q --fixup HEAD~1; git rebase -qi --autosquash HEAD~3",
    "git rebase --continue",
    "git rebase --skip",
    "git rebase --abort",
    "git rebase --quit",
    "git cherry-pick {x}",
    "git cherry-pick one~2..one",
    "git cherry-pick -n {x}",
    "git cherry-pick --continue",
    "git cherry-pick --skip",
    "git cherry-pick --abort",
    "git revert --no-edit {x}",
    "git revert --no-edit HEAD HEAD~1",
    "git revert --continue",
    "git revert --abort",
    "git format-patch -q --stdout -1 {x} | git am -q",
    "git format-patch -q --stdout -2 {b} | git am -q -3",
    "git am --continue",
    "git am --abort",
    "git diff {b} {c} | git apply --3way",
    "git stash push -q",
    "git stash push -qu",
    "git stash push -qa",
    "git stash push -q --keep-index",
    "git stash push -q --staged",
    "git stash push -qu -- ./{f}",
    "git stash pop -q",
    "git stash pop -q --index",
    "git stash apply -q",
    "git stash drop -q",
    "git stash branch {b}",
];

/// Index, history and settings.
const DEEPER: [&str; 61] = [
    "git update-index --add --cacheinfo 100644,$(echo {n} | git hash-object -w --stdin),a.txt",
    "git update-index --add --cacheinfo 100755,$(echo {n} | git hash-object -w --stdin),made/up",
    "git update-index --split-index",
    "git update-index --no-split-index",
    "git config splitIndex.maxPercentChange 0",
    "git config splitIndex.sharedIndexExpire now",
    "git update-index --index-version 4",
    "git update-index --index-version 2",
    "git update-index --skip-worktree ./{f}",
    "git update-index --no-skip-worktree ./{f}",
    "git update-index --assume-unchanged ./{f}",
    "git update-index --no-assume-unchanged ./{f}",
    "git update-index --force-untracked-cache; git status -s",
    "git update-index --no-untracked-cache",
    "git config index.threads 2",
    "git config index.skipHash true",
    "git status -s",
    "git sparse-checkout set --cone src",
    "git sparse-checkout set --cone --sparse-index src/deep",
    "git sparse-checkout set --no-cone '/*' '!/src/deep/'",
    "git sparse-checkout reapply",
    "git sparse-checkout disable",
    "git tag tag-{n} {x}",
    "git tag -a -m 'a tag' tag-{n} {x}",
    "git tag -d tag-{n}",
    "git notes add -fm '{n}' {x}",
    "git notes --ref=other add -fm '{n}' {x}",
    "git notes merge --strategy=manual other",
    "git notes merge --abort",
    "git bisect start HEAD HEAD~2",
    "git bisect good",
    "git bisect bad",
    "git bisect skip",
    "git bisect reset",
    "git gc -q",
    "git gc -q --prune=now",
    "git maintenance run --quiet --task=loose-objects --task=incremental-repack",
    "git repack -qd",
    "git repack -qad",
    "git repack -qad --write-midx --write-bitmap-index",
    "git prune-packed",
    "git pack-refs --all",
    "git reflog expire --expire=now --all",
    "git commit-graph write --reachable",
    "git multi-pack-index write",
    "git update-ref refs/custom/{n} {x}",
    "git symbolic-ref refs/heads/alias refs/heads/{b}",
    "git replace -f --graft {x}",
    ": > .git/refs/heads/broken",
    "echo junk > .git/refs/heads/junk",
    "git config feature.manyFiles true",
    "git config core.symlinks false",
    "git rerere forget a.txt",
    "git config extensions.worktreeConfig true; git config --worktree core.ignoreCase true",
    "git remote add origin . ; git fetch -q origin",
    "git config rerere.enabled true",
    "git config core.fileMode false",
    "git config core.autocrlf input; printf 'one\\r\\n' >> a.txt",
    "git config core.logAllRefUpdates always",
    "printf '#!/bin/sh\\ntouch \"$MARKER\"\\n' > .git/hooks/post-checkout; chmod +x .git/hooks/post-checkout",
    "git config filter.f.clean 'touch \"$MARKER\"; tr a-z A-Z'; echo '*.txt filter=f' >> .gitattributes",
];

/// Linked worktrees, submodules, repositories inside the tree.
const TREES: [&str; 20] = [
    "git worktree add -q --force ../linked {b}; echo {n} >> ../linked/a.txt",
    "git worktree add -q --detach ../linked {x}; echo {n} > ../linked/new.txt",
    "git worktree remove --force ../linked",
    "git worktree lock ../linked",
    "git worktree prune",
    "rm -rf ../linked",
    "git -C ../linked commit -qam '{n}'",
    "git -C ../linked merge -q {b}",
    "git -C ../linked rebase -q {b}",
    "git -C ../linked stash push -qu",
    "git -c protocol.file.allow=always submodule --quiet add ./. module",
    "git -c protocol.file.allow=always submodule --quiet update --init",
    "git submodule deinit -qf module",
    "echo {n} >> module/a.txt; echo {n} > module/new.txt",
    "git -C module commit -qam '{n}'",
    "git -C module checkout -qd HEAD~1",
    "git init -q --object-format=$(git rev-parse --show-object-format) nested; echo {n} > nested/x",
    "git -C nested add -A; git -C nested commit -qm '{n}'",
    "git -C nested stash push -qu",
    "git init -q --bare nested/bare.git",
];

/// A line from one of these templates.
fn line(templates: &'static [&'static str]) -> impl Strategy<Value = String> {
    let template = select(templates);
    let files = (
        select(&FILES[..]),
        select(&FILES[..]),
        select(&DIRECTORIES[..]),
    );
    let names = (
        select(&BRANCHES[..]),
        select(&BRANCHES[..]),
        select(&COMMITS[..]),
    );
    let rest = (select(&TIMES[..]), 0..10_u8);
    (template, files, names, rest).prop_map(|(template, files, names, rest)| {
        template
            .replace("{f}", files.0)
            .replace("{g}", files.1)
            .replace("{d}", files.2)
            .replace("{b}", names.0)
            .replace("{c}", names.1)
            .replace("{x}", names.2)
            .replace("{t}", rest.0)
            .replace("{n}", &rest.1.to_string())
    })
}

/// A repository's life, snapshots included, the last line being one.
pub fn lives() -> impl Strategy<Value = Vec<String>> {
    let line = prop_oneof![
        8 => line(&EDITS),
        8 => line(&DAILY),
        8 => line(&OPERATIONS),
        6 => line(&DEEPER),
        3 => line(&TREES),
        5 => Just(SNAPSHOT.to_owned()),
    ];
    let beginning = prop_oneof![1 => Just(0), 6 => Just(1), 2 => Just(2), 2 => Just(3)];
    (beginning, vec(line, 1..26)).prop_map(|(beginning, lines)| {
        let beginning = BEGINNINGS[beginning].iter().map(|line| (*line).to_owned());
        let last = SNAPSHOT.to_owned();
        beginning.chain(lines).chain([last]).collect()
    })
}
