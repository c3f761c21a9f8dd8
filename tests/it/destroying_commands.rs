//! Each command of git that destroys work: it is run, the work is gone, and the snapshot of the layer that covers it gives it back.
//!
//! The cases are the table "What covers what" of `docs/TRIGGERS.md`.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::architecture::read;
use crate::support::files::{append, mkdir, write};
use crate::support::gits::{Git, gits};
use crate::support::hooked::Hooked;

/// What there is before the command.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scene {
    /// Changed, staged, staged otherwise than it is in the file, new, untracked and ignored files.
    Dirty,
    /// Only what is staged, and is so in the files.
    Staged,
    /// Nothing but an ignored file that the branch `ignov` tracks.
    Ignored,
    /// A conflict whose resolution was begun.
    Merge,
    Rebase,
    CherryPick,
    Revert,
    Am,
    /// Work in a submodule.
    Submodule,
    /// Work in a linked working tree.
    Linked,
}

/// Which layer makes the snapshot.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Layer {
    LastSecond,
    /// Only a snapshot taken before by somebody else: by `guard`, by the hook of an agent, by hand.
    Before,
}

use Layer::{Before, LastSecond};
use Scene::{Am, CherryPick, Dirty, Ignored, Linked, Merge, Rebase, Revert, Staged, Submodule};

const CASES: [(&str, Scene, Layer); 42] = [
    ("reset --hard", Dirty, LastSecond),
    ("reset --hard HEAD~1", Dirty, LastSecond),
    ("reset --merge", Staged, LastSecond),
    ("reset", Dirty, LastSecond),
    ("checkout -f", Dirty, LastSecond),
    ("checkout -f topic", Dirty, LastSecond),
    ("checkout -- a.txt", Dirty, LastSecond),
    ("checkout .", Dirty, LastSecond),
    ("checkout HEAD -- .", Dirty, LastSecond),
    ("checkout -p", Dirty, LastSecond),
    ("restore a.txt", Dirty, LastSecond),
    ("restore -S -W .", Dirty, LastSecond),
    ("restore --staged b.txt", Dirty, LastSecond),
    ("switch --discard-changes topic", Dirty, LastSecond),
    ("switch -f -C main HEAD~1", Dirty, LastSecond),
    ("checkout ignov", Ignored, LastSecond),
    ("merge ignov", Ignored, LastSecond),
    ("pull . ignov", Ignored, LastSecond),
    ("switch --orphan new", Ignored, LastSecond),
    ("clean -fd", Dirty, LastSecond),
    ("clean -fdx", Dirty, LastSecond),
    ("clean -fdX", Dirty, LastSecond),
    ("rm -rf .", Dirty, LastSecond),
    ("rm --cached -f b.txt", Dirty, LastSecond),
    ("mv -f a.txt b.txt", Dirty, LastSecond),
    ("add b.txt", Dirty, LastSecond),
    ("read-tree -u --reset HEAD", Dirty, LastSecond),
    ("checkout-index -f -a", Dirty, LastSecond),
    ("sparse-checkout set --cone kept", Dirty, LastSecond),
    ("merge --abort", Merge, LastSecond),
    ("rebase --abort", Rebase, LastSecond),
    ("rebase --skip", Rebase, LastSecond),
    ("cherry-pick --abort", CherryPick, LastSecond),
    ("cherry-pick --skip", CherryPick, LastSecond),
    ("revert --abort", Revert, LastSecond),
    ("am --abort", Am, LastSecond),
    ("am --skip", Am, LastSecond),
    ("submodule update --force", Submodule, LastSecond),
    ("submodule deinit -f sub", Submodule, LastSecond),
    ("checkout --recurse-submodules -f", Submodule, LastSecond),
    ("apply -R work.patch", Dirty, Before),
    ("worktree remove --force ../linked", Linked, Before),
];

/// Every file of the working trees by its path, and what git has staged.
#[derive(Clone, Debug, PartialEq)]
struct Work {
    files: BTreeMap<PathBuf, Vec<u8>>,
    staged: Vec<u8>,
}

fn work(hooked: &Hooked, root: &Path) -> Work {
    let mut files = BTreeMap::new();
    let mut places = vec![root.to_owned()];
    while let Some(place) = places.pop() {
        let entries = fs::read_dir(&place).into_iter().flatten();
        for path in entries.map(|entry| entry.expect("an entry").path()) {
            if path.file_name().is_some_and(|name| name == ".git") {
                continue;
            }
            if path.is_dir() {
                places.push(path);
            } else {
                let name = path.strip_prefix(root).expect("below").to_owned();
                files.insert(name, fs::read(&path).expect("read"));
            }
        }
    }
    let staged = if root.exists() {
        let arguments = &["ls-files", "--stage"];
        hooked.sandbox.try_git(root, arguments).stdout
    } else {
        Vec::new()
    };
    Work { files, staged }
}

fn conflict(hooked: &Hooked) {
    let (sandbox, source) = (&hooked.sandbox, &hooked.source);
    sandbox.git(source, &["checkout", "-q", "-b", "theirs", "HEAD~2"]);
    write(source, "a.txt", "one\nof theirs\n");
    sandbox.commit(source, "theirs");
    write(source, "c.txt", "c\n");
    sandbox.commit(source, "theirs, more");
    sandbox.git(source, &["checkout", "-q", "main"]);
}

fn build(git: &Git, scene: Scene) -> Hooked {
    let hooked = Hooked::new(git);
    let (sandbox, source) = (&hooked.sandbox, &hooked.source);
    mkdir(source, "kept");
    write(source, "kept/k.txt", "k\n");
    write(source, "dropped/d.txt", "d\n");
    write(source, ".gitignore", "*.ign\n");
    sandbox.commit(source, "three");
    sandbox.git(source, &["branch", "topic"]);
    sandbox.git(source, &["checkout", "-q", "-b", "ignov"]);
    write(source, "x.ign", "tracked here\n");
    sandbox.git(source, &["add", "-f", "x.ign"]);
    sandbox.commit(source, "tracks it");
    sandbox.git(source, &["checkout", "-q", "main"]);
    sandbox.git(source, &["config", "vault.include", "*.ign"]);
    match scene {
        Merge | Rebase | CherryPick | Revert | Am => conflict(&hooked),
        Submodule => {
            let inner = sandbox.init("inner");
            write(&inner, "i.txt", "i\n");
            sandbox.commit(&inner, "inner");
            let url = inner.to_str().expect("UTF-8");
            let allow = "protocol.file.allow=always";
            sandbox.git(
                source,
                &["-c", allow, "submodule", "--quiet", "add", url, "sub"],
            );
            sandbox.commit(source, "with a submodule");
        }
        Linked => {
            sandbox.git(source, &["worktree", "add", "-q", "../linked", "topic"]);
        }
        Dirty | Staged | Ignored => {}
    }
    let said = hooked.vault(&["hooks", "install", "--last-second"]);
    assert!([Some(0), Some(3)].contains(&said.code), "{said}");
    let _said = hooked.vault(&["snapshot"]).succeeded();
    hooked
}

/// The work that will be lost, in its place.
fn put_work(hooked: &Hooked, scene: Scene) {
    let (sandbox, source) = (&hooked.sandbox, &hooked.source);
    let stops = |arguments: &[&str]| {
        sandbox.git_stops(source, arguments);
        write(source, "a.txt", "a resolution that took long\n");
    };
    match scene {
        Dirty => {
            append(source, "b.txt", "staged\n");
            write(source, "new.txt", "staged, new\n");
            sandbox.git(source, &["add", "b.txt", "new.txt"]);
            append(source, "b.txt", "and more\n");
            append(source, "a.txt", "changed\n");
            write(source, "untracked/u.txt", "untracked\n");
            write(source, "dropped/i.ign", "ignored\n");
            let patch = sandbox.git(source, &["diff", "a.txt"]);
            write(source, "work.patch", patch);
        }
        Staged => {
            append(source, "b.txt", "staged\n");
            write(source, "new.txt", "staged, new\n");
            sandbox.git(source, &["add", "b.txt", "new.txt"]);
        }
        Ignored => {
            write(source, "x.ign", "ignored, and precious\n");
        }
        Merge => stops(&["merge", "theirs"]),
        Rebase => stops(&["rebase", "theirs"]),
        CherryPick => stops(&["cherry-pick", "theirs~1"]),
        Revert => stops(&["revert", "--no-edit", "theirs~1"]),
        Am => {
            let patch = sandbox.git(source, &["format-patch", "--stdout", "theirs~2..theirs"]);
            let path = sandbox.path("tmp/theirs.mbox");
            fs::write(&path, patch).expect("written");
            stops(&["am", "-3", path.to_str().expect("UTF-8")]);
        }
        Submodule => {
            append(source, "sub/i.txt", "work in the submodule\n");
        }
        Linked => {
            append(
                &sandbox.path("work/linked"),
                "a.txt",
                "work in the linked one\n",
            );
        }
    }
}

fn destroy(hooked: &Hooked, command: &str) {
    let mut git = hooked.git_command(&hooked.source);
    git.args(command.split(' ')).stdin(Stdio::piped());
    git.stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = git.spawn().expect("git starts");
    let mut input = child.stdin.take().expect("a pipe");
    // `checkout -p` asks for each piece; all others read nothing.
    let _unread = input.write_all(b"y\ny\ny\ny\n");
    drop(input);
    let output = child.wait_with_output().expect("git ends");
    hooked.assert_success(&[command], &output);
    hooked.wait();
}

#[track_caller]
fn try_case(git: &Git, (command, scene, layer): (&str, Scene, Layer)) {
    let case = format!("git {} {command}", git.version);
    let hooked = build(git, scene);
    put_work(&hooked, scene);
    let root = match scene {
        Linked => hooked.sandbox.path("work/linked"),
        Dirty | Staged | Ignored | Merge | Rebase | CherryPick | Revert | Am | Submodule => {
            hooked.source.clone()
        }
    };
    let before = work(&hooked, &root);
    if layer == Before {
        let _said = hooked.vault(&["snapshot"]).succeeded();
    }
    let known = hooked.made();
    destroy(&hooked, command);
    let after = work(&hooked, &root);
    assert!(before != after, "{case}: nothing is lost");
    let made = hooked.made();
    let id = match layer {
        LastSecond => {
            let new = &made[known.len()..];
            let asked = new.iter().find(|one| one.0 == "fsmonitor");
            asked
                .unwrap_or_else(|| panic!("{case}: no snapshot: {new:?}"))
                .1
                .clone()
        }
        Before => {
            assert!(
                made[known.len()..].iter().all(|one| one.0 != "fsmonitor"),
                "{case}: it is covered"
            );
            known.last().expect("a snapshot").1.clone()
        }
    };
    let restored = hooked.sandbox.restore(&hooked.source, &id, "restored");
    let place = match scene {
        Linked => linked_in(&restored),
        Dirty | Staged | Ignored | Merge | Rebase | CherryPick | Revert | Am | Submodule => {
            restored
        }
    };
    let found = work(&hooked, &place);
    assert_eq!(before.files, found.files, "{case}");
    assert_eq!(
        String::from_utf8_lossy(&before.staged),
        String::from_utf8_lossy(&found.staged),
        "{case}"
    );
}

/// Where the one linked working tree of a restored repository lies.
fn linked_in(restored: &Path) -> PathBuf {
    let admin = restored.join(".git/worktrees/linked/gitdir");
    let text = fs::read_to_string(&admin).expect("its place");
    let path = restored.join(".git/worktrees/linked").join(text.trim());
    path.parent().expect("a directory").to_owned()
}

/// Every git with a part of the cases, so that the parts can run side by side.
fn try_part(part: usize) {
    for git in gits() {
        for case in CASES.into_iter().skip(part).step_by(4) {
            try_case(&git, case);
        }
    }
}

#[test]
fn lost_work_is_in_the_snapshot_of_its_layer_first_part() {
    try_part(0);
}

#[test]
fn lost_work_is_in_the_snapshot_of_its_layer_second_part() {
    try_part(1);
}

#[test]
fn lost_work_is_in_the_snapshot_of_its_layer_third_part() {
    try_part(2);
}

#[test]
fn lost_work_is_in_the_snapshot_of_its_layer_fourth_part() {
    try_part(3);
}

#[test]
fn the_document_has_a_row_for_each_case_and_no_other() {
    let text = read("docs/TRIGGERS.md");
    let section = text
        .split("\n## ")
        .find(|part| part.starts_with("What covers what\n"));
    let rows = section
        .expect("the section")
        .lines()
        .filter(|line| line.starts_with("| `git "));
    let due = CASES.map(|(command, _, layer)| {
        let layer = match layer {
            LastSecond => "last second",
            Before => "only a snapshot before it: `guard`, an agent's hook, the sweep",
        };
        format!("| `git {command}` | {layer} | restored |")
    });
    assert_eq!(rows.collect::<Vec<_>>(), due);
}
