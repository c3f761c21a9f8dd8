//! `guard` captures the workspace before a command that destroys work, and is the command afterwards in every respect.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};

use crate::laboratory::run;
use crate::support::files::{append, chmod, mkdir, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::{Kind, RepoState, Sandbox, states};

/// A repository with work of every kind that git can destroy.
pub fn scene() -> (Sandbox, PathBuf) {
    let sandbox = Sandbox::new();
    let source = (states::find("staged_unstaged_and_untracked").build)(&sandbox);
    (sandbox, source)
}

#[track_caller]
pub fn newest(sandbox: &Sandbox, source: &Path) -> (String, String) {
    let answer = sandbox.vault(source, &["--json", "show"]).succeeded();
    let answer = answer.json();
    let text = |field: &str| {
        let found = answer["snapshot"][field].as_str();
        found.expect("a text").to_owned()
    };
    (text("id"), text("trigger"))
}

#[test]
fn a_linked_worktree_that_is_removed_is_in_the_snapshot() {
    let (sandbox, source) = scene();
    let linked = sandbox.workplace().join("linked");
    let text = linked.to_str().expect("a UTF-8 path");
    sandbox.git(&source, &["worktree", "add", "--quiet", text, "-b", "side"]);
    write(&linked, "only-here.txt", "precious\n");
    let command = ["guard", "git", "worktree", "remove", "--force", text];
    let _said = sandbox.vault(&source, &command).succeeded();
    assert!(!linked.exists());
    let (id, _) = newest(&sandbox, &source);
    let restored = sandbox.restore(&source, &id, "restored");
    let listed = sandbox.git_text(&restored, &["worktree", "list", "--porcelain"]);
    let place = listed
        .lines()
        .filter_map(|line| line.strip_prefix("worktree "))
        .nth(1)
        .expect("a linked worktree");
    let found = fs::read(Path::new(place).join("only-here.txt"));
    assert_eq!(found.expect("it is back"), b"precious\n");
}

#[test]
fn the_command_is_run_as_if_there_were_no_guard() {
    let (sandbox, source) = scene();
    let place = mkdir(&source, "src/deep");
    let _id = sandbox.snapshot(&source);
    let script =
        "printf '%s|' \"$@\"; pwd; cat; echo complaint >&2; env | grep ^MARK; ulimit -c; exit 37";
    let plain = |guarded: bool| {
        let words = [
            "sh", "-c", script, "name", "a b", "", "c\nd", "--json", "-C", "*",
        ];
        let mut command = sandbox.command("sh", &place);
        // A limit of its own: the program has none of its memory written, and must give that back.
        command.args(["-c", "ulimit -S -c $(ulimit -H -c); exec \"$@\"", "sh"]);
        if guarded {
            let program = env!("CARGO_BIN_EXE_git-vault");
            command.args([program, "--quiet", "guard", "--"]);
        }
        command.args(words);
        let input = fs::File::open(source.join("README.md")).expect("an input");
        command.stdin(input).env("MARK", "1");
        command.output().expect("it starts")
    };
    assert_eq!(plain(true), plain(false));
}

#[test]
fn a_command_that_a_signal_ends_takes_the_guard_with_it() {
    let (sandbox, source) = scene();
    let mut command = sandbox.vault_command(&source);
    command.args(["guard", "sh", "-c", "kill -TERM $$"]);
    let output = command.output().expect("the program starts");
    assert_eq!(output.status.signal(), Some(15), "{output:?}");
    // What writes to a reader that has gone away must end, as it does everywhere else.
    let mut command = sandbox.command("bash", &source);
    let script = "\"$0\" guard yes | head -n 1; exit ${PIPESTATUS[0]}";
    command.args(["-c", script, env!("CARGO_BIN_EXE_git-vault")]);
    let output = command.output().expect("bash starts");
    assert_eq!(output.status.code(), Some(141), "{output:?}");
}

#[test]
fn a_command_that_cannot_be_run_is_said_before_anything_is_captured() {
    let (sandbox, source) = scene();
    let plain = write(&source, "plain", "no program\n");
    let before = Fingerprint::of(&source);
    for (command, status) in [
        ("no-such-program", 127),
        ("./no-such-program", 127),
        ("./plain", 126),
        ("./src", 126),
        ("", 127),
    ] {
        let said = run(&sandbox, &source, &["guard", "--", command]);
        assert_eq!(said.code, Some(status), "{said}");
        assert!(
            said.stdout.is_empty() && said.stderr.starts_with(b"GUARD "),
            "{said}"
        );
    }
    before.assert_untouched(&source);
    assert!(
        !sandbox.path("data/git-vault").exists(),
        "no vault was made"
    );
    chmod(&plain, 0o755);
    write(&source, "plain", "echo run by sh\n");
    let said = run(&sandbox, &source, &["guard", "./plain"]).succeeded();
    assert_eq!(said.stdout, b"run by sh\n", "as execvp does it");
}

#[test]
fn no_snapshot_no_command() {
    let (sandbox, source) = scene();
    let marker = sandbox.marker();
    let touch = ["guard", "touch", marker.to_str().expect("UTF-8")];
    let nowhere = mkdir(&sandbox.home(), "nowhere");
    let said = run(&sandbox, &nowhere, &touch).refused("GV-1001");
    assert_eq!(said.code, Some(10));
    sandbox.git(&source, &["config", "vault.home", "not/absolute"]);
    let said = run(&sandbox, &source, &touch).refused("GV-1005");
    assert!(
        said.to_string().contains("the command was not run"),
        "{said}"
    );
    // Where there is a repository, the option changes nothing.
    let words = [&["guard", "--or-outside"], &touch[1..]].concat();
    let _said = run(&sandbox, &source, &words).refused("GV-1005");
    assert!(!marker.exists());
    let said = run(&sandbox, &nowhere, &words).succeeded();
    assert!(
        said.stderr.starts_with(b"GUARD      no repository"),
        "{said}"
    );
    assert!(marker.exists());
}

#[test]
fn git_is_guarded_where_it_is_told_to_work() {
    let (sandbox, source) = scene();
    let other = sandbox.init("other");
    write(&other, "a", "a\n");
    sandbox.commit(&other, "one");
    let edit = |text: &str| append(&source, "README.md", text);
    let trigger = || newest(&sandbox, &source);
    let _said = run(
        &sandbox,
        &other,
        &["guard", "git", "-C", "../repository", "status"],
    );
    let first = trigger();
    edit("again\n");
    let git_dir = source.join(".git");
    let git_dir = git_dir.to_str().expect("UTF-8");
    let option = format!("--git-dir={git_dir}");
    let tree = format!("--work-tree={}", source.display());
    let words = ["guard", "git", &option, &tree, "status"];
    let _said = run(&sandbox, &other, &words).succeeded();
    let second = trigger();
    assert_ne!(first, second);
    edit("and again\n");
    let environment = [("GIT_DIR", git_dir), ("GIT_WORK_TREE", "../repository")];
    let said = sandbox.vault_with(&other, &environment, &["guard", "git", "status"]);
    let said = said.succeeded();
    assert!(!said.stdout.is_empty(), "{said}");
    assert_ne!(trigger(), second);
    // A tree that the repository does not know would be destroyed and is in no snapshot.
    let said = sandbox.vault_with(&other, &environment[..1], &["guard", "git", "status"]);
    let _said = said.refused("GV-2004");
    let _said = run(&sandbox, &other, &["guard", "git", &option, "status"]).refused("GV-2004");
    let missing = sandbox
        .vault(&other, &["--json", "list"])
        .refused("GV-1002");
    assert!(
        missing.stderr.is_empty(),
        "nothing was captured of where it stood"
    );
}

#[test]
fn what_git_tells_its_hooks_leads_to_the_same_repository() {
    let (sandbox, source) = scene();
    let linked = sandbox.workplace().join("linked");
    let text = linked.to_str().expect("UTF-8");
    sandbox.git(&source, &["worktree", "add", "--quiet", text, "-b", "side"]);
    let library = sandbox.init("library");
    write(&library, "a", "a\n");
    sandbox.commit(&library, "one");
    let add = [
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
    ];
    let from = [library.to_str().expect("UTF-8"), "sub"];
    sandbox.git(&source, &[&add[..], &from].concat());
    let bare = sandbox.workplace().join("bare.git");
    sandbox.git(
        &source,
        &[
            "clone",
            "--quiet",
            "--bare",
            ".",
            bare.to_str().expect("UTF-8"),
        ],
    );
    let home = sandbox.home();
    for (place, git_dir, due) in [
        (&source, ".git", &source),
        (&linked, "../repository/.git/worktrees/linked", &source),
        (
            &source.join("sub"),
            "../.git/modules/sub",
            &source.join("sub"),
        ),
        (&bare, ".", &bare),
        (&home, bare.to_str().expect("UTF-8"), &bare),
    ] {
        let environment = [("GIT_DIR", git_dir), ("GIT_INDEX_FILE", "nowhere/index")];
        let said = sandbox
            .vault_with(place, &environment, &["guard", "true"])
            .succeeded();
        let (id, trigger) = newest(&sandbox, due);
        assert_eq!(trigger, "guard", "{git_dir}");
        assert!(
            String::from_utf8_lossy(&said.stderr).contains(&id),
            "{git_dir}: {said}"
        );
        append(&source, "README.md", "more\n");
    }
}

#[test]
fn an_environment_of_another_repository_changes_no_snapshot_and_reaches_the_command() {
    let (sandbox, source) = scene();
    let other = sandbox.init("other");
    let hostile = [
        ("GIT_INDEX_FILE", ".git/next-index-1.lock"),
        ("GIT_OBJECT_DIRECTORY", "/nonexistent/objects"),
        ("GIT_ALTERNATE_OBJECT_DIRECTORIES", "/nonexistent/more"),
        ("GIT_COMMON_DIR", other.to_str().expect("UTF-8")),
        ("GIT_CEILING_DIRECTORIES", source.to_str().expect("UTF-8")),
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "core.worktree"),
        ("GIT_CONFIG_VALUE_0", "/nonexistent/tree"),
        ("GIT_PREFIX", "src/"),
    ];
    let words = ["guard", "sh", "-c", "env | grep ^GIT_ | sort"];
    let said = sandbox
        .vault_with(&source.join("src"), &hostile, &words)
        .succeeded();
    for (name, value) in hostile {
        assert!(
            said.text().contains(&format!("{name}={value}\n")),
            "{name}: {said}"
        );
    }
    let (id, _) = newest(&sandbox, &source);
    let restored = sandbox.restore(&source, &id, "restored");
    let original = RepoState::capture(&sandbox, &source, Kind::Workspace).without_ignored();
    let restored = RepoState::capture(&sandbox, &restored, Kind::Workspace);
    RepoState::assert_same_workspace(&original, &restored);
}

#[test]
fn a_directory_that_is_named_holds_for_snapshot_and_command() {
    let (sandbox, source) = scene();
    let text = source.to_str().expect("UTF-8");
    let said = sandbox.vault(&sandbox.home(), &["-C", text, "guard", "pwd"]);
    let said = said.succeeded();
    assert_eq!(said.text().trim_end(), text);
    assert_eq!(newest(&sandbox, &source).1, "guard");
}

#[test]
fn the_guard_says_one_line_and_where_the_first_key_is() {
    let (sandbox, source) = scene();
    let first = run(&sandbox, &source, &["--quiet", "guard", "true"]).succeeded();
    assert!(first.stderr.starts_with(b"KEY "), "the only copy: {first}");
    let said = run(&sandbox, &source, &["guard", "true"]).succeeded();
    let note = String::from_utf8(said.stderr.clone()).expect("UTF-8");
    assert_eq!(note.lines().count(), 1, "{said}");
    assert!(note.starts_with("GUARD      unchanged since "), "{said}");
    let said = run(&sandbox, &source, &["--quiet", "guard", "true"]).succeeded();
    assert!(said.stderr.is_empty(), "{said}");
    let said = run(&sandbox, &source, &["--json", "guard", "true"]);
    assert_eq!(said.code, Some(2), "{said}");
    let said = run(&sandbox, &source, &["guard"]);
    assert_eq!(said.code, Some(2), "{said}");
}

#[test]
fn a_guard_leaves_a_heartbeat_and_never_writes_one_into_a_repository() {
    let (sandbox, source) = scene();
    let _said = run(&sandbox, &source, &["guard", "true"]).succeeded();
    let beats = sandbox.path("state/git-vault/heartbeats");
    let entries = fs::read_dir(&beats).expect("heartbeats");
    let entries: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    assert_eq!(entries.len(), 1);
    let text = fs::read_to_string(entries[0].join("guard.toml")).expect("a heartbeat");
    assert!(text.contains("outcome = \"sealed\""), "{text}");
    let before = Fingerprint::of(&source);
    let inside = source.join("state");
    let inside = inside.to_str().expect("UTF-8");
    let said = sandbox.vault_with(&source, &[("XDG_STATE_HOME", inside)], &["guard", "true"]);
    let _said = said.refused("GV-1004");
    before.assert_untouched(&source);
}
