//! What is known from the snapshot before saves looking and reading, never a change: directories are not listed again, files
//! not read again, trees not built again, and every snapshot still holds what is there.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::laboratory::{bounded, only_vault};
use crate::races::faketime_library;
use crate::support::files::{append, chmod, mkdir, noise, remove, set_mtime, symlink, write};
use crate::support::mount::has_tool;
use crate::support::repo_state::{Kind, RepoState};
use crate::support::{Sandbox, states};

/// What `snapshot` says by a clock that is two minutes ahead: to it, everything has been left alone for long enough to be
/// relied on next time.
pub fn snapshot_later(sandbox: &Sandbox, source: &Path, library: &str) -> (String, String) {
    let mut command = sandbox.vault_command(source);
    if let Some((name, library)) = library.split_once('=') {
        command.envs([(name, library), ("FAKETIME", "+2m"), ("NO_FAKE_STAT", "1")]);
    }
    command.args(["--json", "snapshot"]);
    let said = bounded(command, "git-vault snapshot, two minutes later").succeeded();
    let said = said.json();
    let text = |value: &serde_json::Value| value.as_str().expect("a text").to_owned();
    (text(&said["outcome"]), text(&said["snapshot"]["id"]))
}

fn forget(sandbox: &Sandbox) {
    fs::remove_file(only_vault(sandbox).join("cache/scan")).expect("the scan cache is there");
}

type Change = (&'static str, fn(&Sandbox, &Path));

const CHANGES: [Change; 20] = [
    ("a new file", |_, source| {
        drop(write(source, "deep/er/new.txt", "new"))
    }),
    (
        "other bytes of the same size, and the time put back",
        |_, source| {
            let path = source.join("deep/er/one.txt");
            let before = fs::metadata(&path)
                .expect("it is there")
                .modified()
                .expect("its time");
            fs::write(&path, "other").expect("written");
            let file = fs::File::options().write(true).open(&path).expect("opened");
            file.set_modified(before).expect("the time is put back");
        },
    ),
    (
        "a new file, and the time of the directory put back",
        |_, source| {
            let path = source.join("deep");
            let before = fs::metadata(&path)
                .expect("it is there")
                .modified()
                .expect("its time");
            write(source, "deep/later.txt", "later");
            let directory = fs::File::open(&path).expect("opened");
            directory
                .set_modified(before)
                .expect("the time is put back");
        },
    ),
    ("a file renamed over another", |_, source| {
        fs::rename(
            source.join("deep/er/new.txt"),
            source.join("deep/er/two.txt"),
        )
        .expect("renamed");
    }),
    ("a removed file", |_, source| {
        remove(source, "deep/later.txt")
    }),
    ("a mode", |_, source| {
        chmod(&source.join("deep/er/two.txt"), 0o755)
    }),
    ("a mode of a directory", |_, source| {
        chmod(&source.join("deep/er"), 0o700)
    }),
    ("a time of a directory", |_, source| {
        set_mtime(&source.join("deep/er"), 1_500_000_000_000_000_001)
    }),
    ("an empty directory", |_, source| {
        drop(mkdir(source, "deep/empty"))
    }),
    ("a file in what was empty", |_, source| {
        drop(write(source, "deep/empty/x", "x"))
    }),
    ("a link", |_, source| {
        drop(symlink(source, "deep/link", "er/one.txt"))
    }),
    ("another link of the same length", |_, source| {
        remove(source, "deep/link");
        symlink(source, "deep/link", "er/two.txt");
    }),
    ("a file in place of a directory", |_, source| {
        fs::remove_dir_all(source.join("deep/empty")).expect("removed");
        write(source, "deep/empty", "a file now");
    }),
    ("a directory in place of a file", |_, source| {
        remove(source, "deep/empty");
        write(source, "deep/empty/again", "a directory now");
    }),
    ("what is ignored from now on", |_, source| {
        write(source, "deep/.gitignore", "later*\n");
        write(source, "deep/later-1", "ignored");
    }),
    ("what is not ignored any more", |_, source| {
        drop(write(source, "deep/.gitignore", "nothing\n"))
    }),
    ("what is tracked now", |sandbox, source| {
        drop(sandbox.git(source, &["add", "deep"]))
    }),
    ("a commit", |sandbox, source| {
        drop(sandbox.git(source, &["commit", "--quiet", "--message=deep"]));
    }),
    ("a repository in a known directory", |sandbox, source| {
        drop(sandbox.git(source, &["init", "--quiet", "deep/er/nested"]));
        write(source, "deep/er/nested/work.txt", "work");
    }),
    ("work in it", |_, source| {
        drop(append(source, "deep/er/nested/work.txt", "more"))
    }),
];

#[test]
fn every_change_in_what_is_known_is_seen_and_nothing_else_is_stored() {
    let Some(library) = faketime_library("what is known from before") else {
        return;
    };
    let sandbox = Sandbox::on_disk();
    let source = states::small_repository(&sandbox);
    write(&source, "deep/er/one.txt", "first");
    write(&source, "deep/er/two.txt", "second");
    write(&source, "wide/file.txt", "left alone");
    write(&source, "large.bin", noise(7, 20 << 20));
    sandbox.git(&source, &["config", "vault.include", "/deep/later-1"]);
    let later = || snapshot_later(&sandbox, &source, &library);
    assert_eq!(later().0, "sealed");
    for (name, change) in CHANGES {
        assert_eq!(later().0, "unchanged", "before {name}");
        change(&sandbox, &source);
        let state = RepoState::capture(&sandbox, &source, Kind::Workspace);
        let (outcome, id) = later();
        assert_eq!(outcome, "sealed", "{name}");
        let restored = sandbox.restore(&source, &id, name);
        let restored = RepoState::capture(&sandbox, &restored, Kind::Workspace);
        RepoState::assert_same_workspace(&state, &restored);
        // What is put together from what was known is what is put together from nothing.
        forget(&sandbox);
        assert_eq!(
            later(),
            ("unchanged".to_owned(), id),
            "{name}, with nothing known"
        );
    }
}

/// Maps a file, reads of it, and writes to it through the mapping when a line comes.
const WRITER: &str = r#"
import mmap, sys
file = open(sys.argv[1], "r+b")
mapped = mmap.mmap(file.fileno(), 0)
print(mapped[0], flush=True)
sys.stdin.readline()
mapped[0:3] = b"new"
print("written", flush=True)
sys.stdin.readline()
"#;

/// On file systems in memory no time tells of such a write; on others, one does.
#[test]
fn a_write_through_a_mapping_that_is_older_than_the_last_snapshot_is_seen() {
    let test = "a write through a mapping";
    let Some(library) = faketime_library(test).filter(|_| has_tool(test, "python3")) else {
        return;
    };
    for sandbox in [Sandbox::new(), Sandbox::on_disk()] {
        let source = states::small_repository(&sandbox);
        let path = write(&source, "mapped", "old".repeat(4096));
        let file = fs::File::open(&path).expect("opened");
        file.sync_all().expect("what was written is on the device");
        let mut command = Command::new("python3");
        let command = command.args(["-c", WRITER]).arg(&path);
        let piped = command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut writer = piped.spawn().expect("python starts");
        let mut input = writer.stdin.take().expect("its input");
        let mut output = BufReader::new(writer.stdout.take().expect("its output"));
        let mut answer = String::new();
        output
            .read_line(&mut answer)
            .expect("it has mapped the file");
        for _ in 0..2 {
            let _outcome = snapshot_later(&sandbox, &source, &library);
        }
        input.write_all(b"\n").expect("it is told to write");
        output.read_line(&mut answer).expect("it has written");
        let (outcome, id) = snapshot_later(&sandbox, &source, &library);
        assert_eq!(outcome, "sealed", "{}", source.display());
        let restored = sandbox.restore(&source, &id, "out");
        assert!(
            fs::read(restored.join("mapped"))
                .expect("read")
                .starts_with(b"newold")
        );
        drop(input);
        assert!(writer.wait().expect("it ends").success());
    }
}

/// Writes an object that nothing names into a directory of loose objects that is there already; gives its id.
fn add_to_a_known_fan(sandbox: &Sandbox, source: &Path, seed: &str) -> String {
    for number in 0..10_000 {
        let path = write(&sandbox.path("tmp"), "object", format!("{seed} {number}\n"));
        let path = path.to_str().expect("UTF-8");
        let id = sandbox.git_text(source, &["hash-object", "--no-filters", path]);
        let (fan, _rest) = id.trim().split_at(2);
        let fan = source.join(".git/objects").join(fan);
        if !fan.is_dir() {
            continue;
        }
        let before = fs::metadata(&fan).expect("it is there");
        let before = before.modified().expect("its time");
        sandbox.git(source, &["hash-object", "-w", "--no-filters", path]);
        let directory = fs::File::open(&fan).expect("opened");
        let back = directory.set_modified(before);
        back.expect("the time is put back");
        return id.trim().to_owned();
    }
    panic!("no object begins like another");
}

#[test]
fn what_comes_to_known_directories_of_loose_objects_is_mirrored() {
    let Some(library) = faketime_library("known loose objects") else {
        return;
    };
    let sandbox = Sandbox::on_disk();
    let source = states::small_repository(&sandbox);
    let later = || snapshot_later(&sandbox, &source, &library);
    assert_eq!(later().0, "sealed");
    assert_eq!(later().0, "unchanged", "nothing new, and all is known");
    let has = |id: &str, object: &str, name: &str| {
        let restored = sandbox.restore(&source, id, name);
        sandbox.git(&restored, &["cat-file", "-e", object]);
        sandbox.git(&restored, &["fsck", "--full", "--strict"]);
    };
    let first = add_to_a_known_fan(&sandbox, &source, "first");
    let (outcome, id) = later();
    assert_eq!(outcome, "sealed", "an object came to a known directory");
    has(&id, &first, "first");
    assert_eq!(later().0, "unchanged");

    // Another directory of the same name.
    let second = add_to_a_known_fan(&sandbox, &source, "second");
    let fan = source.join(".git/objects").join(&second[..2]);
    let aside = sandbox.path("aside");
    fs::rename(&fan, &aside).expect("moved away");
    mkdir(&source.join(".git/objects"), &second[..2]);
    for entry in fs::read_dir(&aside).expect("objects") {
        let entry = entry.expect("an object");
        fs::copy(entry.path(), fan.join(entry.file_name())).expect("copied");
    }
    let (outcome, id) = later();
    assert_eq!(outcome, "sealed", "another directory");
    has(&id, &second, "second");

    // What is known of one repository says nothing of another at its place, and it stays known that this is none other.
    sandbox.git(&source, &["checkout", "--quiet", "--orphan", "fresh"]);
    let third = add_to_a_known_fan(&sandbox, &source, "third");
    let (outcome, id) = later();
    assert_eq!(outcome, "sealed");
    has(&id, &third, "third");
    sandbox.git(&source, &["gc", "--quiet", "--prune=now"]);
    let (outcome, _id) = later();
    assert!(["sealed", "unchanged"].contains(&outcome.as_str()));
    let fourth = add_anywhere(&sandbox, &source);
    let (outcome, id) = later();
    assert_eq!(outcome, "sealed", "after a gc");
    has(&id, &fourth, "fourth");
}

/// Writes an object that nothing names, wherever it belongs.
fn add_anywhere(sandbox: &Sandbox, source: &Path) -> String {
    let path = write(&sandbox.path("tmp"), "object", "the last one\n");
    let path = path.to_str().expect("UTF-8");
    let id = sandbox.git_text(source, &["hash-object", "-w", "--no-filters", path]);
    id.trim().to_owned()
}
