//! More operations that stopped on the way, and what they leave when they end half done.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::super::Sandbox;
use super::super::files::{append, mkdir, remove, write};
use super::{State, diverged_repository, small_repository, workspace};

pub fn states() -> Vec<State> {
    vec![
        workspace("rebase_among_fixups", rebase_among_fixups),
        workspace("rebase_of_merges_stopped", rebase_of_merges_stopped),
        workspace("rebase_by_patches_stopped", rebase_by_patches_stopped),
        workspace("rebase_command_failed", rebase_command_failed),
        workspace(
            "cherry_pick_committed_by_hand",
            cherry_pick_committed_by_hand,
        ),
        workspace("cherry_pick_without_commit", cherry_pick_without_commit),
        workspace("revert_sequence_edited", revert_sequence_edited),
        workspace("bisect_with_skip_and_run", bisect_with_skip_and_run),
        workspace("bisect_without_checkout", bisect_without_checkout),
        workspace("am_without_ancestors", am_without_ancestors),
        workspace("merge_squashed", merge_squashed),
        workspace("merge_not_committed", merge_not_committed),
        workspace("octopus_conflict", octopus_conflict),
        workspace("renames_in_conflict", renames_in_conflict),
        workspace("checkout_with_merge", checkout_with_merge),
        workspace("rerere_preimage", rerere_preimage),
        workspace("notes_merge_stopped", notes_merge_stopped),
        workspace("stash_pop_in_conflict", stash_pop_in_conflict),
        workspace("stashes_of_parts", stashes_of_parts),
    ]
}

fn numbered(sandbox: &Sandbox, repository: &Path, file: &str, count: usize) {
    for number in 0..count {
        write(repository, file, format!("{number}\n"));
        sandbox.commit(repository, &format!("{file} {number}"));
    }
}

/// `pick`, `fixup -C`, `squash` and the third one, `fixup`, in conflict; an autostash waits.
fn rebase_among_fixups(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    for name in ["four", "five", "six"] {
        write(&repository, name, format!("{name}\n"));
        sandbox.commit(&repository, name);
    }
    numbered(sandbox, &repository, "number.txt", 3);
    append(
        &repository,
        "README.md",
        "an edit that is only in the autostash\n",
    );
    let editor = "sed -i -e '2s/^pick/fixup -C/' -e '3s/^pick/squash/' -e '4d' -e '5s/^pick/fixup/' -e '6s/^pick/edit/'";
    let output = sandbox.try_git_with(
        &repository,
        &[("GIT_SEQUENCE_EDITOR", editor)],
        &["rebase", "--interactive", "--autostash", "HEAD~6"],
    );
    assert!(!output.status.success(), "the rebase should have stopped");
    repository
}

/// A merge inside the rebased branch is done again, in conflict; labels are refs below `refs/rewritten`.
fn rebase_of_merges_stopped(sandbox: &Sandbox) -> PathBuf {
    let repository = diverged_repository(sandbox);
    sandbox.git_stops(&repository, &["merge", "side"]);
    write(&repository, "story.txt", "once upon a resolution\n");
    sandbox.commit(&repository, "merged by hand");
    sandbox.git(&repository, &["branch", "target", "main~2"]);
    sandbox.git(&repository, &["switch", "--quiet", "target"]);
    write(&repository, "target.txt", "where it is rebased to\n");
    sandbox.commit(&repository, "target");
    sandbox.git(&repository, &["switch", "--quiet", "main"]);
    sandbox.git_stops(&repository, &["rebase", "--rebase-merges", "target"]);
    repository
}

fn rebase_by_patches_stopped(sandbox: &Sandbox) -> PathBuf {
    let repository = diverged_repository(sandbox);
    sandbox.git(&repository, &["switch", "--quiet", "side"]);
    append(
        &repository,
        "notes.txt",
        "an edit that is only in the autostash\n",
    );
    sandbox.git_stops(&repository, &["rebase", "--apply", "--autostash", "main"]);
    repository
}

fn rebase_command_failed(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    let arguments = [
        "rebase",
        "--exec",
        "test -e src/deep || exit 3",
        "--exec",
        "true",
        "HEAD~2",
    ];
    sandbox.git_stops(&repository, &arguments);
    repository
}

/// The commit that was in conflict is made by hand; the rest of the sequence waits, without `CHERRY_PICK_HEAD`.
fn cherry_pick_committed_by_hand(sandbox: &Sandbox) -> PathBuf {
    let repository = diverged_repository(sandbox);
    sandbox.git_stops(&repository, &["cherry-pick", "side~3..side"]);
    write(&repository, "story.txt", "once upon a resolution\n");
    sandbox.commit(&repository, "picked by hand");
    repository
}

fn cherry_pick_without_commit(sandbox: &Sandbox) -> PathBuf {
    let repository = diverged_repository(sandbox);
    sandbox.git(&repository, &["cherry-pick", "--no-commit", "side"]);
    repository
}

/// What is still to be reverted was changed by hand.
fn revert_sequence_edited(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    numbered(sandbox, &repository, "number.txt", 4);
    sandbox.git_stops(
        &repository,
        &["revert", "--no-edit", "HEAD~1", "HEAD~2", "HEAD~3"],
    );
    let todo = repository.join(".git/sequencer/todo");
    let text = std::fs::read_to_string(&todo).expect("the list is read");
    let kept: Vec<&str> = text.lines().take(2).collect();
    std::fs::write(&todo, kept.join("\n") + "\n").expect("the list is written");
    repository
}

/// Other terms, the first parent only, one path; one was skipped, and the command of `run` gave up.
fn bisect_with_skip_and_run(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    numbered(sandbox, &repository, "number.txt", 8);
    let start = [
        "bisect",
        "start",
        "--term-new=broken",
        "--term-old=fine",
        "--first-parent",
        "HEAD",
        "HEAD~7",
        "--",
        "number.txt",
    ];
    sandbox.git(&repository, &start);
    sandbox.git(&repository, &["bisect", "skip"]);
    let script = "echo tried >> tried; test $(wc -l < tried) -lt 2 || exit 255; exit 125";
    sandbox.git_stops(&repository, &["bisect", "run", "sh", "-c", script]);
    repository
}

fn bisect_without_checkout(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    numbered(sandbox, &repository, "number.txt", 6);
    sandbox.git(
        &repository,
        &["bisect", "start", "--no-checkout", "HEAD", "HEAD~5"],
    );
    sandbox.git(&repository, &["bisect", "good"]);
    repository
}

/// A patch that does not apply, from a mailbox, without `--3way`; a rejected piece is left.
fn am_without_ancestors(sandbox: &Sandbox) -> PathBuf {
    let repository = diverged_repository(sandbox);
    let patches = sandbox.git(
        &repository,
        &["format-patch", "--quiet", "--stdout", "main..side"],
    );
    let mailbox = write(&sandbox.workplace(), "mailbox", patches);
    let mailbox = mailbox.to_str().expect("a UTF-8 path");
    sandbox.git_stops(&repository, &["am", "--reject", mailbox]);
    repository
}

fn merge_squashed(sandbox: &Sandbox) -> PathBuf {
    let repository = diverged_repository(sandbox);
    sandbox.git_stops(&repository, &["merge", "--squash", "side"]);
    repository
}

fn merge_not_committed(sandbox: &Sandbox) -> PathBuf {
    let repository = diverged_repository(sandbox);
    sandbox.git(
        &repository,
        &["merge", "--no-commit", "--no-ff", "--quiet", "side~2"],
    );
    append(&repository, "side.txt", "edited before the commit\n");
    repository
}

/// Three heads at once, the last of them in conflict.
fn octopus_conflict(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    write(&repository, "story.txt", "once upon a time\n");
    sandbox.commit(&repository, "base");
    for name in ["one", "two", "three"] {
        sandbox.git(
            &repository,
            &["switch", "--quiet", "--create", name, "main"],
        );
        write(&repository, format!("{name}.txt"), format!("{name}\n"));
        if name != "two" {
            write(&repository, "story.txt", format!("once upon {name}\n"));
        }
        sandbox.commit(&repository, name);
    }
    sandbox.git(&repository, &["switch", "--quiet", "main"]);
    sandbox.git_stops(&repository, &["merge", "one", "two", "three"]);
    repository
}

/// Renamed twice to different names, and a file where the other side has a directory.
fn renames_in_conflict(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    sandbox.git(&repository, &["switch", "--quiet", "--create", "side"]);
    sandbox.git(&repository, &["mv", "src/one.txt", "src/side.txt"]);
    write(&repository, "thing", "a file on the side\n");
    sandbox.commit(&repository, "side");
    sandbox.git(&repository, &["switch", "--quiet", "main"]);
    sandbox.git(&repository, &["mv", "src/one.txt", "src/main.txt"]);
    write(&repository, "thing/inside", "a directory on main\n");
    sandbox.commit(&repository, "main");
    sandbox.git_stops(&repository, &["merge", "side"]);
    repository
}

/// Stages of a conflict, without any operation.
fn checkout_with_merge(sandbox: &Sandbox) -> PathBuf {
    let repository = diverged_repository(sandbox);
    write(&repository, "story.txt", "once upon an edit\n");
    let _output = sandbox.try_git(&repository, &["checkout", "--merge", "side"]);
    repository
}

/// Nothing is resolved yet: only the conflict itself is recorded.
fn rerere_preimage(sandbox: &Sandbox) -> PathBuf {
    let repository = diverged_repository(sandbox);
    sandbox.git(&repository, &["config", "rerere.enabled", "true"]);
    sandbox.git_stops(&repository, &["merge", "side"]);
    repository
}

fn notes_merge_stopped(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    sandbox.git(&repository, &["notes", "add", "-m", "ours"]);
    sandbox.git(
        &repository,
        &["notes", "--ref", "other", "add", "-m", "theirs"],
    );
    sandbox.git(
        &repository,
        &["notes", "--ref", "other", "add", "-m", "free", "HEAD~1"],
    );
    sandbox.git_stops(
        &repository,
        &["notes", "merge", "--strategy=manual", "other"],
    );
    repository
}

/// The stash stays, because it could not be applied whole.
fn stash_pop_in_conflict(sandbox: &Sandbox) -> PathBuf {
    let repository = diverged_repository(sandbox);
    append(&repository, "story.txt", "stashed\n");
    write(&repository, "fresh.txt", "stashed, untracked\n");
    sandbox.git(
        &repository,
        &["stash", "push", "--quiet", "--include-untracked"],
    );
    write(&repository, "story.txt", "once upon another main\n");
    sandbox.commit(&repository, "the story goes on");
    sandbox.git_stops(&repository, &["stash", "pop"]);
    repository
}

/// By answers to `-p`, by path with untracked ones, of the staged only, and with what is ignored.
fn stashes_of_parts(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    write(&repository, ".git/info/exclude", "*.ignored\n");
    append(&repository, "README.md", "picked\n");
    append(&repository, "src/two.txt", "not picked\n");
    let mut command = sandbox.command("git", &repository);
    command.args(["stash", "push", "--quiet", "--patch"]);
    command.stdin(Stdio::piped()).stdout(Stdio::null());
    let mut child = command.spawn().expect("git starts");
    let mut answers = child.stdin.take().expect("its standard input");
    answers.write_all(b"y\nn\n").expect("git is answered");
    drop(answers);
    assert!(child.wait().expect("git ends").success());
    mkdir(&repository, "fresh");
    write(&repository, "fresh/one.txt", "stashed with its directory\n");
    write(&repository, "fresh.txt", "stays\n");
    let by_path = ["stash", "push", "--quiet", "-u", "--", "fresh"];
    sandbox.git(&repository, &by_path);
    write(&repository, "staged.txt", "staged\n");
    sandbox.git(&repository, &["add", "staged.txt"]);
    sandbox.git(&repository, &["stash", "push", "--quiet", "--staged"]);
    write(&repository, "x.ignored", "stashed though ignored\n");
    sandbox.git(&repository, &["stash", "push", "--quiet", "--all"]);
    remove(&repository, "src/one.txt");
    repository
}
