//! What a snapshot takes beyond git's own rules, what it leaves out and says so, and what counts as a change.

use std::fs;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::laboratory::{bounded, run};
use crate::support::files::{append, mkdir, set_mtime, write};
use crate::support::{Kind, RepoState, Sandbox, states};

#[track_caller]
fn answer(sandbox: &Sandbox, source: &Path, arguments: &[&str]) -> Value {
    let arguments = [&["--json"], arguments].concat();
    run(sandbox, source, &arguments).succeeded().json()
}

/// What was left out of the working tree: reason, rule, files, bytes, directories.
fn left_out(snapshot: &Value) -> Vec<(String, String, u64, u64, u64)> {
    let text = |one: &Value, field: &str| one[field].as_str().expect("a string").to_owned();
    let number = |one: &Value, field: &str| one[field].as_u64().expect("a number");
    let all = snapshot["left_out"].as_array().expect("a list").iter();
    let mut all: Vec<_> = all
        .filter(|one| one["place"] == "worktree")
        .map(|one| {
            (
                text(one, "reason"),
                text(one, "rule"),
                number(one, "files"),
                number(one, "bytes"),
                number(one, "directories"),
            )
        })
        .collect();
    all.sort();
    all
}

fn entry(
    reason: &str,
    rule: &str,
    files: u64,
    bytes: u64,
    directories: u64,
) -> (String, String, u64, u64, u64) {
    (
        reason.to_owned(),
        rule.to_owned(),
        files,
        bytes,
        directories,
    )
}

#[track_caller]
fn assert_holds(restored: &Path, present: &[&str], absent: &[&str]) {
    for name in present {
        assert!(
            restored.join(name).symlink_metadata().is_ok(),
            "'{name}' is not captured"
        );
    }
    for name in absent {
        assert!(
            restored.join(name).symlink_metadata().is_err(),
            "'{name}' is captured"
        );
    }
}

#[test]
fn manifest_and_answers_say_how_much_was_left_out_and_by_which_rule() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    write(&source, ".gitignore", "# comment\n*.log\n\nbuild/\n");
    write(&source, "src/.gitignore", "*.tmp\n");
    write(&source, ".git/info/exclude", "*.local\n");
    sandbox.git(&source, &["config", "vault.exclude", "*.iso"]);
    for (name, bytes) in [
        ("a.log", 10),
        ("src/b.log", 20),
        ("src/c.tmp", 5),
        ("d.local", 7),
        ("e.iso", 1000),
    ] {
        write(&source, name, vec![b'x'; bytes]);
    }
    write(&source, "build/deep/unseen.bin", "not looked at\n");
    write(&source, "tracked.iso", "tracked\n");
    sandbox.git(&source, &["add", "tracked.iso"]);
    let exclude = format!("{}:1: *.local", source.join(".git/info/exclude").display());
    let mut expected = vec![
        entry("excluded", "vault.exclude: *.iso", 1, 1000, 0),
        entry("ignored", ".gitignore:2: *.log", 2, 30, 0),
        entry("ignored", ".gitignore:4: build/", 0, 0, 1),
        entry("ignored", "src/.gitignore:1: *.tmp", 1, 5, 0),
        entry("ignored", &exclude, 1, 7, 0),
    ];
    expected.sort();

    let said = run(&sandbox, &source, &["snapshot"]).succeeded();
    let line = said
        .text()
        .lines()
        .find(|line| line.starts_with("LEFT OUT"))
        .map(str::to_owned);
    let line = line.unwrap_or_else(|| panic!("a line says what was left out\n{said}"));
    for words in ["5 files", "1 directory unseen", "5 rules"] {
        assert!(line.contains(words), "'{words}'\n{said}");
    }
    let shown = answer(&sandbox, &source, &["show"]);
    assert_eq!(left_out(&shown["snapshot"]), expected);
    assert_eq!(left_out(&shown["manifest"]), expected);
    let text = run(&sandbox, &source, &["show"]).succeeded().text();
    for (_, rule, ..) in &expected {
        assert!(
            text.contains(rule),
            "show should name the rule '{rule}'\n{text}"
        );
    }
    let vault = shown["vault"].as_str().expect("a path");
    let id = shown["snapshot"]["id"].as_str().expect("an id");
    let manifest = fs::read_to_string(format!("{vault}/snapshots/{id}/manifest.toml"));
    let manifest = manifest.expect("the manifest is read");
    assert!(manifest.contains("vault.exclude: *.iso"), "{manifest}");

    let restored = sandbox.restore(&source, id, "restored");
    assert_holds(
        &restored,
        &["tracked.iso", ".gitignore", "src/.gitignore"],
        &[
            "a.log",
            "src/b.log",
            "src/c.tmp",
            "d.local",
            "e.iso",
            "build",
        ],
    );
}

#[test]
fn vault_include_captures_ignored_files_and_git_sees_them_as_before() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    write(
        &source,
        ".gitignore",
        ".env*\nnode_modules/\ntarget\n*.key\n/data\n",
    );
    for pattern in [
        ".env",
        "/node_modules/mine/",
        "target/out/*.bin",
        "**/keep/*.key",
        "/data",
    ] {
        sandbox.git(&source, &["config", "--add", "vault.include", pattern]);
    }
    let present = [
        ".env",
        "src/.env",
        "node_modules/mine/index.js",
        "node_modules/mine/deep/x",
        "target/out/a.bin",
        "a/keep/b.key",
        "data/deep/er/x",
        "data/.hidden",
    ];
    let absent = [
        ".env.local",
        "node_modules/other/index.js",
        "node_modules/index.js",
        "src/node_modules/mine/x",
        "target/a.bin",
        "target/out/a.txt",
        "target/out/deep/a.bin",
        "a/b.key",
    ];
    for name in present.iter().chain(&absent) {
        write(&source, name, "x");
    }
    let id = sandbox.snapshot(&source);
    let restored = sandbox.restore(&source, &id, "restored");
    assert_holds(&restored, &present, &absent);
    let status = ["status", "--porcelain"];
    assert_eq!(
        sandbox.git(&restored, &status),
        sandbox.git(&source, &status)
    );
}

#[test]
fn vault_exclude_leaves_out_untracked_files_only() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    write(&source, "src/tracked.iso", "tracked\n");
    sandbox.commit(&source, "tracked");
    append(&source, "src/tracked.iso", "edited\n");
    for pattern in ["*.iso", "/scratch/", "!keep.iso", "src"] {
        sandbox.git(&source, &["config", "--add", "vault.exclude", pattern]);
    }
    for name in [
        "a.iso",
        "deep/b.iso",
        "scratch/x",
        "deep/scratch/x",
        "keep.iso",
        "src/new.txt",
        "new.txt",
    ] {
        write(&source, name, "x");
    }
    write(&source, "staged.iso", "staged\n");
    sandbox.git(&source, &["add", "staged.iso"]);
    let id = sandbox.snapshot(&source);
    let restored = sandbox.restore(&source, &id, "restored");
    assert_holds(
        &restored,
        &[
            "src/tracked.iso",
            "src/one.txt",
            "staged.iso",
            "keep.iso",
            "deep/scratch/x",
            "new.txt",
        ],
        &["a.iso", "deep/b.iso", "scratch", "src/new.txt"],
    );
    let edited = fs::read_to_string(restored.join("src/tracked.iso")).expect("it is there");
    assert_eq!(edited, "tracked\nedited\n");
}

/// In git of today a line that begins with `$` is an ordinary pattern; as a mark it only ever makes us keep more.
#[test]
fn precious_patterns_keep_ignored_files() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    write(
        &source,
        ".gitignore",
        ".env\n*.key\nlocal/\n$.env\n$local/\n$*.key\n*.key\n$dollar\n",
    );
    write(&source, "src/.gitignore", "*.pem\n$important.pem\n");
    let present = [
        ".env",
        "src/.env",
        "local/deep/x",
        "dollar",
        "src/important.pem",
    ];
    let absent = ["a.key", "src/other.pem", "$dollar"];
    for name in present.iter().chain(&absent) {
        write(&source, name, "x");
    }
    let id = sandbox.snapshot(&source);
    let restored = sandbox.restore(&source, &id, "restored");
    assert_holds(&restored, &present, &absent);
}

#[test]
fn fifos_and_sockets_do_not_hang_are_noted_and_are_not_recreated() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let fifo = |name: &str| {
        let status = Command::new("mkfifo").arg(source.join(name)).status();
        assert!(status.expect("mkfifo starts").success());
    };
    fifo("pipe");
    fifo("src/.gitignore");
    fifo(".git/a-pipe");
    write(&source, ".gitignore", "ignored-pipe\n");
    fifo("ignored-pipe");
    // The path of a socket is short.
    let socket = source.join("socket");
    let _listener = UnixListener::bind(&socket).expect("a socket");
    fs::remove_file(source.join("src/two.txt")).expect("removed");
    fifo("src/two.txt");

    let said = run(&sandbox, &source, &["snapshot"]).succeeded();
    let id = answer(&sandbox, &source, &["show"])["snapshot"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    for name in ["pipe", "socket", "src/two.txt"] {
        let noted = said
            .text()
            .lines()
            .any(|line| line.starts_with("NOTE") && line.contains(name));
        let counted = said.text().contains("special");
        assert!(noted || counted, "'{name}' is noted\n{said}");
    }
    let special =
        answer(&sandbox, &source, &["show"])["manifest"]["content"]["worktree"]["special"].clone();
    assert_eq!(special, 4);
    let destination = sandbox.path("restored");
    let restored = answer(
        &sandbox,
        &source,
        &["restore", &id, destination.to_str().expect("UTF-8")],
    );
    let missing = restored["not_recreated"].to_string();
    for name in ["pipe", "socket", "src/two.txt", "src/.gitignore", "a-pipe"] {
        assert!(missing.contains(name), "'{name}': {missing}");
    }
    assert_holds(
        &destination,
        &["README.md", ".gitignore"],
        &["pipe", "socket", "src/two.txt", "ignored-pipe"],
    );
}

fn outcome(sandbox: &Sandbox, source: &Path, arguments: &[&str]) -> String {
    let answer = answer(sandbox, source, arguments);
    answer["outcome"].as_str().expect("an outcome").to_owned()
}

fn count(sandbox: &Sandbox, source: &Path) -> usize {
    answer(sandbox, source, &["list"])["snapshots"]
        .as_array()
        .expect("a list")
        .len()
}

#[test]
fn an_unchanged_state_makes_a_snapshot_only_when_it_is_given_a_name() {
    let sandbox = Sandbox::new();
    let source = (states::find("staged_unstaged_and_untracked").build)(&sandbox);
    assert_eq!(outcome(&sandbox, &source, &["snapshot"]), "sealed");
    for _ in 0..2 {
        assert_eq!(outcome(&sandbox, &source, &["snapshot"]), "unchanged");
    }
    assert_eq!(count(&sandbox, &source), 1);
    let said = run(&sandbox, &source, &["snapshot"]).succeeded();
    assert!(said.text().starts_with("UNCHANGED"), "{said}");
    assert_eq!(
        outcome(&sandbox, &source, &["snapshot", "-m", "a name"]),
        "sealed"
    );
    assert_eq!(
        outcome(&sandbox, &source, &["snapshot", "--label", "a-label"]),
        "sealed"
    );
    assert_eq!(outcome(&sandbox, &source, &["snapshot"]), "unchanged");
    assert_eq!(count(&sandbox, &source), 3);
    let listed = answer(&sandbox, &source, &["list"]);
    assert_eq!(listed["snapshots"][1]["message"], "a name");
    assert_eq!(listed["snapshots"][2]["labels"][0], "a-label");
}

#[test]
fn looking_with_git_does_not_count_as_a_change() {
    let sandbox = Sandbox::new();
    let source = (states::find("staged_unstaged_and_untracked").build)(&sandbox);
    // A look at files as young as the index writes the index anew, and that is a change: make them older, and look once.
    let tracked = sandbox.git(&source, &["ls-files", "-z"]);
    for name in tracked
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
    {
        let path = source.join(String::from_utf8_lossy(name).as_ref());
        if path.is_file() {
            set_mtime(&path, 1_600_000_000_000_000_000);
        }
    }
    sandbox.git(&source, &["status"]);
    let _id = sandbox.snapshot(&source);
    for arguments in [
        &["status"][..],
        &["diff"],
        &["diff", "--cached"],
        &["log"],
        &["stash", "list"],
    ] {
        sandbox.git(&source, arguments);
        assert_eq!(
            outcome(&sandbox, &source, &["snapshot"]),
            "unchanged",
            "git {arguments:?}"
        );
    }
}

/// One change of a workspace, by name.
type Change = (&'static str, fn(&Sandbox, &PathBuf));

#[test]
fn every_kind_of_change_makes_a_snapshot_that_holds_it() {
    let sandbox = Sandbox::new();
    let source = (states::find("staged_unstaged_and_untracked").build)(&sandbox);
    let changes: [Change; 16] = [
        ("a file's bytes", |_, source| {
            drop(append(source, "README.md", "more\n"));
        }),
        ("a mode", |_, source| {
            crate::support::files::chmod(&source.join("README.md"), 0o600);
        }),
        ("a time", |_, source| {
            set_mtime(&source.join("README.md"), 1_600_000_000_123_456_789);
        }),
        ("a time of a directory", |_, source| {
            set_mtime(&source.join("src"), 1_600_000_000_000_000_001);
        }),
        ("an empty directory", |_, source| {
            drop(mkdir(source, "empty"));
        }),
        ("a new file", |_, source| drop(write(source, "new.txt", ""))),
        ("a removed file", |_, source| {
            fs::remove_file(source.join("new.txt")).expect("removed");
        }),
        ("staging", |sandbox, source| {
            drop(sandbox.git(source, &["add", "README.md"]));
        }),
        ("unstaging", |sandbox, source| {
            drop(sandbox.git(source, &["reset", "--quiet", "README.md"]));
        }),
        ("a branch", |sandbox, source| {
            drop(sandbox.git(source, &["branch", "other"]));
        }),
        ("a tag", |sandbox, source| {
            drop(sandbox.git(source, &["tag", "v1"]));
        }),
        ("a setting", |sandbox, source| {
            drop(sandbox.git(source, &["config", "x.y", "z"]));
        }),
        ("a hook", |_, source| {
            drop(write(source, ".git/hooks/pre-push", "#!/bin/sh\n"));
        }),
        ("a flag", |sandbox, source| {
            drop(sandbox.git(
                source,
                &["update-index", "--assume-unchanged", "src/one.txt"],
            ));
        }),
        ("a stash", |sandbox, source| {
            drop(sandbox.git(source, &["stash", "push", "--quiet"]));
        }),
        ("a dropped stash", |sandbox, source| {
            drop(sandbox.git(source, &["stash", "drop", "--quiet"]));
        }),
    ];
    let _id = sandbox.snapshot(&source);
    for (name, change) in changes {
        change(&sandbox, &source);
        let state = RepoState::capture(&sandbox, &source, Kind::Workspace);
        let sealed = answer(&sandbox, &source, &["snapshot"]);
        assert_eq!(sealed["outcome"], "sealed", "{name}");
        let id = sealed["snapshot"]["id"].as_str().expect("an id");
        let restored = sandbox.restore(&source, id, name);
        let restored = RepoState::capture(&sandbox, &restored, Kind::Workspace);
        RepoState::assert_same_workspace(&state, &restored);
    }
}

#[test]
fn a_bare_repository_inside_the_working_tree_is_captured_as_plain_files() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let text = source.to_str().expect("a UTF-8 path");
    sandbox.git(
        &source,
        &["clone", "--quiet", "--bare", text, "fixtures/bare.git"],
    );
    let id = sandbox.snapshot(&source);
    let restored = sandbox.restore(&source, &id, "restored");
    let log = ["--git-dir", "fixtures/bare.git", "log", "--format=%H"];
    assert_eq!(sandbox.git(&restored, &log), sandbox.git(&source, &log));
    let mut command = sandbox.command("diff", &source);
    command
        .args(["-r", "fixtures"])
        .arg(restored.join("fixtures"));
    let _said = bounded(command, "diff -r").succeeded();
}
