//! The last second: a snapshot when git is about to change files or to drop objects, none when it only looks, and git goes on in any
//! case, as it would have.

use std::fs;
use std::io::Write;
use std::process::Stdio;

use crate::support::files::{append, write};
use crate::support::gits::{Git, gits};
use crate::support::hooked::Hooked;

fn guarded(git: &Git) -> Hooked {
    let hooked = Hooked::new(git);
    let said = hooked.vault(&["hooks", "install", "--last-second"]);
    // An old git does not ask for recent objects, which is said.
    let due = if git.numbers < (2, 42) { 3 } else { 0 };
    assert_eq!(said.code, Some(due), "{said}");
    hooked
}

#[test]
fn commands_that_only_look_make_no_snapshot() {
    for git in gits() {
        let hooked = guarded(&git);
        append(&hooked.source, "a.txt", "work\n");
        for arguments in [
            &["status"][..],
            &["diff"],
            &["diff", "--cached"],
            &["ls-files", "-m"],
            &["-c", "a.b=c", "status", "-s"],
        ] {
            hooked.git(arguments);
        }
        assert_eq!(hooked.triggers(), ["manual"], "{git:?}");
    }
}

#[test]
fn a_command_that_asks_many_times_makes_one_snapshot() {
    for git in gits() {
        let hooked = guarded(&git);
        append(&hooked.source, "a.txt", "work\n");
        write(&hooked.source, "u.txt", "untracked\n");
        hooked.git(&["stash", "push", "-q", "-u"]);
        assert_eq!(hooked.triggers(), ["manual", "fsmonitor"], "{git:?}");
        hooked.git(&["config", "alias.undo", "checkout ."]);
        append(&hooked.source, "a.txt", "other work\n");
        hooked.git(&["undo"]);
        assert_eq!(
            hooked.triggers().len(),
            3,
            "a name that users give is not trusted"
        );
    }
}

#[test]
fn work_in_a_linked_working_tree_is_guarded_too() {
    for git in gits() {
        let hooked = guarded(&git);
        hooked.git(&["worktree", "add", "-q", "../linked"]);
        let linked = hooked.sandbox.path("work/linked");
        append(&linked, "a.txt", "work in the linked one\n");
        hooked.git_in(&linked, &["reset", "-q", "--hard"]);
        let (trigger, id) = hooked.made().pop().expect("a snapshot");
        assert_eq!(trigger, "fsmonitor", "{git:?}");
        let _said = hooked
            .vault(&[
                "drill",
                &id,
                "--scratch",
                hooked.sandbox.path("tmp").to_str().expect("UTF-8"),
            ])
            .succeeded();
        let said = hooked.vault(&["show", &id]).succeeded();
        assert!(said.text().contains("linked"), "{said}");
    }
}

#[test]
fn objects_that_nothing_names_are_in_a_snapshot_before_they_are_dropped() {
    for git in gits().into_iter().filter(|git| git.numbers >= (2, 42)) {
        let hooked = guarded(&git);
        write(&hooked.source, "lost.txt", "nothing names this\n");
        let id = hooked
            .sandbox
            .git_text(&hooked.source, &["hash-object", "-w", "lost.txt"]);
        fs::remove_file(hooked.source.join("lost.txt")).expect("removed");
        hooked.git(&["gc", "-q", "--prune=now"]);
        let gone = hooked
            .sandbox
            .try_git(&hooked.source, &["cat-file", "-e", &id]);
        assert!(!gone.status.success(), "it is dropped all the same");
        let (_, snapshot) = hooked
            .made()
            .into_iter()
            .find(|one| one.0 == "gc")
            .expect("a snapshot");
        let restored = hooked
            .sandbox
            .restore(&hooked.source, &snapshot, "restored");
        let text = hooked.sandbox.git_text(&restored, &["cat-file", "-p", &id]);
        assert_eq!(text, "nothing names this", "{git:?}");
    }
}

#[test]
fn git_goes_on_when_the_snapshot_is_refused_and_one_line_says_so() {
    for git in gits() {
        let hooked = guarded(&git);
        append(&hooked.source, "a.txt", "work\n");
        fs::rename(hooked.sandbox.path("config"), hooked.sandbox.path("aside")).expect("moved");
        let output = hooked.try_git_in(&hooked.source, &["reset", "-q", "--hard"]);
        hooked.assert_success(&["reset"], &output);
        let stderr = String::from_utf8_lossy(&output.stderr);
        let lines: Vec<&str> = stderr.lines().collect();
        assert!(
            lines
                .iter()
                .all(|line| line.starts_with("git-vault: no snapshot was made: GV-1201")),
            "{stderr}"
        );
        assert!(!lines.is_empty());
        let text = fs::read_to_string(hooked.source.join("a.txt")).expect("read");
        assert_eq!(text, "one\ntwo\n");
    }
}

#[test]
fn what_git_is_given_to_read_is_left_to_git_and_to_whom_it_belongs() {
    let given = "for the one who called\n".repeat(300);
    for git in gits() {
        let hooked = guarded(&git);
        hooked.git(&["checkout", "-q", "-b", "topic", "HEAD~1"]);
        write(&hooked.source, "c.txt", "c\n");
        hooked.git(&["add", "c.txt"]);
        hooked.git(&["commit", "-qm", "c"]);
        append(&hooked.source, "a.txt", "not committed\n");
        let line = format!(
            "'{}' rebase -q --autostash main >&2 && exec cat",
            git.program.display()
        );
        // Where both sides changed one line, git would leave the changes in the stash.
        fs::write(hooked.source.join("a.txt"), "not committed\none\n").expect("written");
        let mut command = hooked.shell_command(&line);
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("a shell starts");
        let mut input = child.stdin.take().expect("a pipe");
        input.write_all(given.as_bytes()).expect("written");
        drop(input);
        let output = child.wait_with_output().expect("it ends");
        hooked.assert_success(&["rebase"], &output);
        hooked.wait();
        assert!(output.stdout == given.as_bytes(), "{git:?}");
        let text = fs::read_to_string(hooked.source.join("a.txt")).expect("read");
        assert_eq!(text, "not committed\none\ntwo\n", "{git:?}");
    }
}

#[test]
fn git_goes_on_without_the_program_and_without_the_state_home() {
    for git in gits() {
        let hooked = Hooked::new(&git);
        let original = std::path::Path::new(env!("CARGO_BIN_EXE_git-vault"));
        let program = hooked.sandbox.copy(original, "tmp/git-vault");
        let mut command = hooked.sandbox.command(&program, &hooked.source);
        let output = command
            .env("PATH", git.path())
            .args(["hooks", "install", "--last-second"])
            .output();
        assert!([Some(0), Some(3)].contains(&output.expect("it starts").status.code()));
        append(&hooked.source, "a.txt", "work\n");
        for place in [program, hooked.state()] {
            let elsewhere = hooked.sandbox.path("tmp/elsewhere");
            fs::rename(&place, &elsewhere).expect("moved");
            for arguments in [&["status", "-s"][..], &["checkout", "-q", "."]] {
                let output = hooked.try_git_in(&hooked.source, arguments);
                hooked.assert_success(arguments, &output);
                // The hooks that are files say that the program is gone.
                let stderr = String::from_utf8_lossy(&output.stderr);
                let gone = "git-vault: the program is gone";
                let is_expected = stderr.lines().all(|line| line.starts_with(gone));
                assert!(is_expected, "{stderr}");
            }
            fs::rename(&elsewhere, &place).expect("moved back");
        }
    }
}
