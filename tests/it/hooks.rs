//! Hooks fire under every git of this machine: after an event one snapshot, before a rebase one that must be there, and no command
//! of git ends otherwise than without them.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::Stdio;

use crate::support::files::{append, write};
use crate::support::gits::gits;
use crate::support::hooked::Hooked;

fn newest(hooked: &Hooked) -> String {
    hooked.triggers().pop().expect("a snapshot")
}

#[test]
fn each_event_makes_one_snapshot_that_says_what_made_it() {
    for git in gits() {
        let hooked = Hooked::installed(&git);
        let source = &hooked.source;
        append(source, "a.txt", "three\n");
        hooked.git(&["commit", "-qam", "three"]);
        assert_eq!(hooked.triggers(), ["manual", "hook/post-commit"], "{git:?}");
        hooked.git(&["checkout", "-q", "-b", "topic", "HEAD~1"]);
        assert_eq!(newest(&hooked), "hook/post-checkout");
        write(source, "c.txt", "c\n");
        hooked.git(&["add", "c.txt"]);
        hooked.git(&["commit", "-qm", "c"]);
        hooked.git(&["merge", "-q", "-m", "merge", "main"]);
        let triggers = hooked.triggers();
        assert_eq!(triggers[3..], ["hook/post-commit", "hook/post-merge"]);
        append(source, "a.txt", "four\n");
        hooked.git(&["commit", "-qa", "--amend", "--no-edit"]);
        // Two events; which of them the worker sees first is chance, and the second may find nothing new.
        let due = ["hook/post-commit", "hook/post-rewrite"];
        assert!(due.contains(&newest(&hooked).as_str()), "{git:?}");
        let count = hooked.triggers().len();
        assert!((6..=7).contains(&count), "{count}");
        let before = hooked.triggers();
        hooked.git(&["checkout", "-q", "HEAD", "--", "a.txt"]);
        assert_eq!(before, hooked.triggers(), "single files are no event");
        assert!(!hooked.pending().is_any());
    }
}

#[test]
fn work_that_is_not_committed_is_in_the_snapshot_before_a_rebase_and_survives_a_bad_one() {
    for git in gits() {
        let hooked = Hooked::installed(&git);
        hooked.on_topic("mine.txt");
        append(&hooked.source, "a.txt", "not committed\n");
        write(&hooked.source, "untracked.txt", "untracked\n");
        hooked.git(&["rebase", "-q", "--autostash", "main"]);
        let made = hooked.made();
        let of = |trigger: &str| made.iter().filter(|one| one.0 == trigger).count();
        assert_eq!(
            (of("hook/pre-rebase"), of("hook/post-rewrite")),
            (1, 1),
            "{made:?}"
        );
        let before = made.iter().find(|one| one.0 == "hook/pre-rebase");
        let id = &before.expect("a snapshot before the rebase").1;
        let restored = hooked.sandbox.restore(&hooked.source, id, "restored");
        assert!(restored.join("untracked.txt").exists());
        // Git puts the changes aside before it runs the hook: they are in the snapshot as the commit that it made of them.
        let autostash = fs::read_to_string(restored.join(".git/rebase-merge/autostash"));
        let stashed = format!("{}:a.txt", autostash.expect("an autostash").trim());
        let text = hooked.sandbox.git_text(&restored, &["show", &stashed]);
        assert_eq!(text, "one\nnot committed");
    }
}

#[test]
fn a_rebase_of_two_hundred_commits_makes_one_snapshot_before_and_one_after() {
    for git in gits() {
        let hooked = Hooked::new(&git);
        let mut stream = String::new();
        for number in 0..200 {
            let from = if number == 0 {
                "from refs/heads/main^0\n"
            } else {
                ""
            };
            stream.push_str(&format!(
                "commit refs/heads/topic\ncommitter A <a@example.com> {} +0000\ndata 2\nx\n{from}M 100644 inline f{number}\ndata 2\ny\n\n",
                1_700_000_000 + number
            ));
        }
        let mut command = hooked.git_command(&hooked.source);
        command
            .args(["fast-import", "--quiet"])
            .stdin(Stdio::piped());
        let mut child = command.spawn().expect("git starts");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(stream.as_bytes()).expect("written");
        drop(input);
        assert!(child.wait().expect("git ends").success());
        append(&hooked.source, "b.txt", "main goes on\n");
        hooked.git(&["commit", "-qam", "on"]);
        hooked.git(&["checkout", "-q", "topic"]);
        let _said = hooked.vault(&["hooks", "install"]).succeeded();
        let before = hooked.triggers().len();
        let output = hooked.try_git_in(&hooked.source, &["rebase", "--no-ff", "main"]);
        hooked.assert_success(&["rebase"], &output);
        hooked.wait();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!stderr.contains("git-vault"), "{stderr}");
        let made = hooked.triggers().split_off(before);
        assert_eq!(made, ["hook/pre-rebase", "hook/post-rewrite"], "{git:?}");
        let log = hooked
            .sandbox
            .git_text(&hooked.source, &["rev-list", "--count", "main..topic"]);
        assert_eq!(log, "200");
    }
}

#[test]
fn a_commit_from_a_bare_environment_fires() {
    for git in gits() {
        let hooked = Hooked::installed(&git);
        append(&hooked.source, "a.txt", "x\n");
        let homes = ["config", "data", "state"].map(|name| {
            let path = hooked.sandbox.path(name);
            format!("XDG_{}_HOME={}", name.to_uppercase(), path.display())
        });
        let mut command = hooked.git_command(&hooked.source);
        let program = command.get_program().to_owned();
        command = hooked.sandbox.command("env", &hooked.source);
        command.arg("-i").arg("PATH=/usr/bin:/bin").args(homes);
        command.arg(format!("HOME={}", hooked.sandbox.home().display()));
        command.arg("GIT_VAULT_HOOK_QUIET=0").arg(program);
        command.args(["commit", "-qam", "bare"]);
        let output = command.output().expect("env starts");
        hooked.assert_success(&["commit"], &output);
        assert!(output.stdout.is_empty() && output.stderr.is_empty());
        hooked.wait();
        assert_eq!(newest(&hooked), "hook/post-commit", "{git:?}");
    }
}

#[test]
fn events_in_a_linked_worktree_are_those_of_its_repository() {
    for git in gits() {
        let hooked = Hooked::installed(&git);
        let linked = hooked.sandbox.path("work/linked");
        let path = linked.to_str().expect("UTF-8");
        hooked.git(&["worktree", "add", "-q", path]);
        assert_eq!(
            hooked.triggers(),
            ["manual"],
            "a new working tree has no work in it"
        );
        write(&linked, "new.txt", "new\n");
        hooked.git_in(&linked, &["add", "new.txt"]);
        hooked.git_in(&linked, &["commit", "-qm", "new"]);
        assert_eq!(newest(&hooked), "hook/post-commit", "{git:?}");
        append(&hooked.source, "b.txt", "b\n");
        hooked.git(&["commit", "-qam", "b"]);
        write(&linked, "not-committed.txt", "work\n");
        hooked.git_in(&linked, &["rebase", "-q", "main"]);
        let triggers = hooked.triggers();
        let of = |trigger: &str| triggers.iter().filter(|one| *one == trigger).count();
        assert_eq!(
            (of("hook/pre-rebase"), of("hook/post-rewrite")),
            (1, 1),
            "{triggers:?}"
        );
    }
}

#[test]
fn a_submodule_has_hooks_of_its_own_and_its_events_are_its_own() {
    for git in gits() {
        let hooked = Hooked::installed(&git);
        let inner = hooked.sandbox.init("inner");
        write(&inner, "i.txt", "i\n");
        hooked.sandbox.commit(&inner, "inner");
        let url = inner.to_str().expect("UTF-8");
        hooked.git(&[
            "-c",
            "protocol.file.allow=always",
            "submodule",
            "--quiet",
            "add",
            url,
            "sub",
        ]);
        hooked.git(&["commit", "-qm", "with a submodule"]);
        let sub = hooked.source.join("sub");
        let before = hooked.triggers();
        write(&sub, "i.txt", "i\nj\n");
        let _said = hooked
            .vault_in(&sub, &["hooks", "install"])
            .refused("GV-1002");
        let _said = hooked.vault_in(&sub, &["snapshot"]).succeeded();
        let _said = hooked.vault_in(&sub, &["hooks", "install"]).succeeded();
        let output = hooked.try_git_in(&sub, &["commit", "-qam", "in the submodule"]);
        hooked.assert_success(&["commit"], &output);
        let git_dir = hooked.source.join(".git/modules/sub");
        Hooked::wait_for(&hooked.pending_of(&git_dir));
        let made = hooked.made_in(&sub).pop().expect("a snapshot");
        assert_eq!(made.0, "hook/post-commit", "{git:?}");
        assert_eq!(hooked.triggers(), before, "the outer one was not asked");
    }
}

#[test]
fn a_git_directory_that_lies_elsewhere_is_found_again_by_the_worker() {
    for git in gits() {
        let hooked = Hooked::new(&git);
        let work = hooked.sandbox.path("work/apart");
        let git_dir = hooked.sandbox.path("work/apart.git");
        let (work_text, git_dir_text) = (
            work.to_str().expect("UTF-8"),
            git_dir.to_str().expect("UTF-8"),
        );
        hooked.git(&["init", "-q", "--separate-git-dir", git_dir_text, work_text]);
        write(&work, "w.txt", "w\n");
        let _said = hooked.vault_in(&work, &["snapshot"]).succeeded();
        let _said = hooked.vault_in(&work, &["hooks", "install"]).succeeded();
        hooked.git_in(&work, &["add", "w.txt"]);
        hooked.git_in(&work, &["commit", "-qm", "w"]);
        Hooked::wait_for(&hooked.pending_of(&git_dir));
        let made = hooked.made_in(&work).pop().expect("a snapshot");
        assert_eq!(made.0, "hook/post-commit", "{git:?}");
    }
}

#[test]
fn before_a_rebase_the_vault_of_a_repository_that_has_moved_is_found() {
    for git in gits() {
        let hooked = Hooked::installed(&git);
        let moved = hooked.sandbox.path("work/moved");
        fs::rename(&hooked.source, &moved).expect("moved");
        append(&moved, "a.txt", "x\n");
        hooked.git_in(&moved, &["commit", "-qam", "x"]);
        hooked.git_in(&moved, &["rebase", "-q", "--root", "--no-ff"]);
        Hooked::wait_for(&hooked.pending_of(&moved.join(".git")));
        let made = hooked.made_in(&moved);
        let triggers: Vec<&str> = made.iter().map(|one| one.0.as_str()).collect();
        assert_eq!(
            triggers,
            ["manual", "hook/pre-rebase", "hook/post-rewrite"],
            "{git:?}"
        );
    }
}

#[test]
fn tidying_up_by_itself_is_an_event_and_goes_on() {
    for git in gits() {
        let hooked = Hooked::installed(&git);
        let mut paths = String::new();
        for number in 0..1500 {
            let path = write(
                &hooked.source,
                format!("many/{number}"),
                format!("{number}\n"),
            );
            paths.push_str(&format!("{}\n", path.display()));
        }
        let list = hooked.sandbox.path("tmp/paths");
        fs::write(&list, paths).expect("written");
        let mut command = hooked.git_command(&hooked.source);
        command
            .args(["hash-object", "-w", "--stdin-paths"])
            .stdout(Stdio::null());
        let child = command
            .stdin(fs::File::open(&list).expect("opened"))
            .status();
        assert!(child.expect("git starts").success());
        hooked.git(&[
            "-c",
            "gc.auto=1",
            "-c",
            "gc.autoDetach=false",
            "gc",
            "-q",
            "--auto",
        ]);
        assert_eq!(hooked.triggers(), ["manual", "hook/pre-auto-gc"], "{git:?}");
    }
}

#[test]
fn without_the_program_commits_go_on_and_a_rebase_says_what_to_do() {
    for git in gits() {
        let hooked = Hooked::new(&git);
        let original = Path::new(env!("CARGO_BIN_EXE_git-vault"));
        let program = hooked.sandbox.copy(original, "tmp/git-vault");
        let mut command = hooked.sandbox.command(&program, &hooked.source);
        let output = command
            .env("PATH", git.path())
            .args(["hooks", "install"])
            .output();
        assert!(output.expect("it starts").status.success());
        fs::remove_file(&program).expect("removed");
        hooked.git(&["checkout", "-q", "-b", "topic", "HEAD~1"]);
        write(&hooked.source, "c.txt", "c\n");
        hooked.git(&["add", "c.txt"]);
        hooked.git(&["commit", "-qm", "c"]);
        let head = hooked
            .sandbox
            .git_text(&hooked.source, &["rev-parse", "HEAD"]);
        let output = hooked.try_git_in(&hooked.source, &["rebase", "main"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{stderr}");
        assert!(stderr.contains("git rebase --no-verify"), "{stderr}");
        assert_eq!(
            hooked
                .sandbox
                .git_text(&hooked.source, &["rev-parse", "HEAD"]),
            head
        );
        hooked.git(&["rebase", "-q", "--no-verify", "main"]);
        assert_ne!(
            hooked
                .sandbox
                .git_text(&hooked.source, &["rev-parse", "HEAD"]),
            head
        );
        assert_eq!(hooked.triggers(), ["manual"]);
        let said = hooked.vault(&["hooks", "status"]);
        assert_eq!(said.code, Some(3), "{said}");
        assert!(said.text().contains("MISSING    program"), "{said}");
    }
}

/// Nothing can be sealed without the key.
fn lose_the_key(hooked: &Hooked) {
    fs::rename(
        hooked.sandbox.path("config"),
        hooked.sandbox.path("elsewhere"),
    )
    .expect("moved");
}

#[test]
fn a_rebase_does_not_begin_when_its_snapshot_is_refused() {
    for git in gits() {
        let hooked = Hooked::installed(&git);
        hooked.git(&["checkout", "-q", "-b", "topic", "HEAD~1"]);
        write(&hooked.source, "c.txt", "c\n");
        hooked.git(&["add", "c.txt"]);
        hooked.git(&["commit", "-qm", "c"]);
        lose_the_key(&hooked);
        append(&hooked.source, "a.txt", "precious\n");
        let head = hooked
            .sandbox
            .git_text(&hooked.source, &["rev-parse", "HEAD"]);
        let output = hooked.try_git_in(&hooked.source, &["rebase", "--autostash", "main"]);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(!output.status.success(), "{git:?}\n{stderr}");
        for due in ["GV-1201", "git rebase --no-verify", "git vault doctor"] {
            assert!(stderr.contains(due), "{due}\n{stderr}");
        }
        assert_eq!(
            hooked
                .sandbox
                .git_text(&hooked.source, &["rev-parse", "HEAD"]),
            head
        );
        // Older gits leave it to the user to bring the changes back.
        if hooked.source.join(".git/rebase-merge").exists() {
            assert!(
                stderr.contains("git rebase --quit && git stash pop"),
                "{stderr}"
            );
            hooked.git(&["rebase", "--quit"]);
            hooked.git(&["stash", "pop", "-q"]);
        }
        let text = fs::read_to_string(hooked.source.join("a.txt")).expect("the file is read");
        assert_eq!(text, "one\nprecious\n");
    }
}

#[test]
fn no_other_command_ends_otherwise_when_its_snapshot_is_refused() {
    for git in gits() {
        let hooked = Hooked::installed(&git);
        lose_the_key(&hooked);
        append(&hooked.source, "a.txt", "x\n");
        for arguments in [
            &["commit", "-qam", "x"][..],
            &["checkout", "-q", "-b", "topic", "HEAD~1"],
            &["checkout", "-q", "main"],
            &["merge", "-q", "topic"],
            &["worktree", "add", "-q", "../linked", "topic"],
            &["commit", "-q", "--amend", "-m", "y"],
        ] {
            let output = hooked.try_git_in(&hooked.source, arguments);
            hooked.assert_success(arguments, &output);
            assert!(
                !String::from_utf8_lossy(&output.stderr).contains("GV-"),
                "{arguments:?}"
            );
            hooked.wait();
        }
        assert!(hooked.pending().is_any(), "it is not forgotten");
    }
}

#[test]
fn a_hook_reads_nothing_of_what_is_given_to_git() {
    let given = "this is for the one who called git\n".repeat(500);
    for git in gits() {
        let hooked = Hooked::installed(&git);
        append(&hooked.source, "a.txt", "x\n");
        let line = format!(
            "'{0}' commit -qam x && '{0}' checkout -q -b y && exec cat",
            git.program.display()
        );
        let mut command = hooked.shell_command(&line);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().expect("a shell starts");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(given.as_bytes()).expect("written");
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        assert!(output.status.success());
        assert!(output.stdout == given.as_bytes(), "{git:?}");
        hooked.wait();
        assert!(hooked.triggers().len() > 1);
    }
}

/// Runs one of our hooks with more environment, and says whether it has left a mark.
fn marks(hooked: &Hooked, directory: &Path, environment: &[(&str, &str)], words: &[&str]) -> bool {
    let mut command = hooked.vault_command(directory);
    command
        .arg("hook")
        .args(words)
        .envs(environment.iter().copied());
    let output = command.output().expect("it starts");
    assert_eq!(output.status.code(), Some(0), "{words:?}");
    assert!(
        output.stdout.is_empty() && output.stderr.is_empty(),
        "{words:?}"
    );
    hooked.wait();
    let fired = hooked.state().join("heartbeats").exists();
    drop(fs::remove_dir_all(hooked.state().join("heartbeats")));
    fired
}

#[test]
fn the_environment_of_a_hook_leads_to_its_own_repository_only() {
    let git = gits().remove(0);
    let hooked = Hooked::new(&git);
    let source = &hooked.source;
    let other = hooked.sandbox.init("other");
    write(&other, "o.txt", "o\n");
    hooked.sandbox.commit(&other, "other");
    let _id = hooked.sandbox.snapshot(&other);
    let others_index = other.join(".git/index");
    let others = [
        ("GIT_INDEX_FILE", others_index.to_str().expect("UTF-8")),
        ("GIT_OBJECT_DIRECTORY", "/nowhere"),
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "vault.home"),
        ("GIT_CONFIG_VALUE_0", "/nowhere"),
        ("GIT_PREFIX", "sub/"),
    ];
    let event = &["post-commit"][..];
    assert!(marks(&hooked, source, &others, event));
    append(source, "a.txt", "x\n");
    assert!(marks(
        &hooked,
        source,
        &[("GIT_DIR", ".git"), others[0]],
        event
    ));
    assert_eq!(newest(&hooked), "hook/post-commit");
    let elsewhere = other.join(".git");
    let elsewhere = [("GIT_DIR", elsewhere.to_str().expect("UTF-8"))];
    assert!(
        !marks(&hooked, source, &elsewhere, event),
        "two repositories are meant"
    );
    assert!(!marks(
        &hooked,
        source,
        &[("GIT_QUARANTINE_PATH", "/x")],
        event
    ));
    assert!(!marks(&hooked, source, &[("GIT_VAULT_ACTIVE", "1")], event));
    let outside = hooked.sandbox.path("tmp");
    assert!(!marks(&hooked, &outside, &[], event));
    let zero = "0".repeat(40);
    assert!(!marks(
        &hooked,
        source,
        &[],
        &["post-checkout", &zero, "1", "1"]
    ));
    assert!(!marks(
        &hooked,
        source,
        &[],
        &["post-checkout", "1", "2", "0"]
    ));
    assert!(marks(
        &hooked,
        source,
        &[],
        &["post-checkout", "1", "2", "1"]
    ));
    let clone = hooked.sandbox.path("work/clone");
    let url = source.to_str().expect("UTF-8");
    hooked.git(&["clone", "-q", url, clone.to_str().expect("UTF-8")]);
    assert!(!marks(&hooked, &clone, &[], event), "it has no vault");
}

#[test]
fn before_a_rebase_a_working_tree_that_git_was_told_is_not_taken_for_the_own_one() {
    let git = gits().remove(0);
    let hooked = Hooked::new(&git);
    let elsewhere = hooked.sandbox.path("work/elsewhere");
    fs::create_dir(&elsewhere).expect("made");
    let git_dir = hooked.source.join(".git");
    let mut command = hooked.vault_command(&elsewhere);
    command
        .env("GIT_DIR", &git_dir)
        .args(["hook", "pre-rebase", "main"]);
    let output = command.output().expect("it starts");
    assert_eq!(output.status.code(), Some(1));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        stderr.contains("GV-2004") && stderr.contains("--no-verify"),
        "{stderr}"
    );
    // Where the repository itself says so, it is its own.
    let path = elsewhere.to_str().expect("UTF-8");
    hooked
        .sandbox
        .git(&hooked.source, &["config", "core.worktree", path]);
    let output = command.output().expect("it starts");
    assert_eq!(
        output.status.code(),
        Some(0),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[test]
fn hooks_for_all_repositories_leave_those_without_a_vault_alone() {
    for git in gits().into_iter().filter(|git| git.has_hooks_in_settings()) {
        let hooked = Hooked::new(&git);
        let _said = hooked
            .vault(&["hooks", "install", "--scope", "global"])
            .succeeded();
        append(&hooked.source, "a.txt", "x\n");
        hooked.git(&["commit", "-qam", "x"]);
        assert_eq!(newest(&hooked), "hook/post-commit");
        let vaults = || {
            fs::read_dir(hooked.sandbox.path("data/git-vault/vaults"))
                .expect("read")
                .count()
        };
        let before = vaults();
        let source = hooked.source.to_str().expect("UTF-8");
        hooked.git(&["clone", "-q", source, "../clone"]);
        let clone = hooked.sandbox.path("work/clone");
        hooked.git_in(&clone, &["commit", "-q", "--allow-empty", "-m", "y"]);
        hooked.git_in(&clone, &["rebase", "-q", "--root"]);
        // Not even when it could not be opened.
        hooked.git_in(&clone, &["config", "vault.home", "no/absolute/path"]);
        hooked.git_in(&clone, &["rebase", "-q", "--root", "--no-ff"]);
        assert_eq!(vaults(), before);
        hooked.git(&["config", "vault.home", "no/absolute/path"]);
        let output = hooked.try_git_in(&hooked.source, &["rebase", "-q", "--root", "--no-ff"]);
        assert!(!output.status.success(), "this one has a vault");
    }
}
