//! States in the middle of a git operation, and stashes.

use std::path::{Path, PathBuf};

use super::super::Sandbox;
use super::super::files::{append, write};
use super::{State, diverged_repository, small_repository, workspace};

pub fn states() -> Vec<State> {
    vec![
        workspace("three_stashes", three_stashes),
        workspace("rebase_with_autostash", rebase_with_autostash),
        workspace("rebase_stopped_by_conflict", rebase_stopped_by_conflict),
        workspace("merge_with_autostash", merge_with_autostash),
        workspace("cherry_pick_sequence", cherry_pick_sequence),
        workspace("revert_stopped", revert_stopped),
        workspace("bisect_running", bisect_running),
        workspace("am_stopped", am_stopped),
        workspace("rerere_conflict", rerere_conflict),
    ]
}

/// Three are listed, the newest but one with an untracked file; a fourth was dropped and is only an object.
fn three_stashes(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    append(&repository, "README.md", "in the oldest stash\n");
    sandbox.git(&repository, &["stash", "push", "--quiet", "-m", "oldest"]);
    append(&repository, "README.md", "in the dropped stash\n");
    sandbox.git(&repository, &["stash", "push", "--quiet", "-m", "dropped"]);
    write(&repository, "untracked.txt", "only in a stash\n");
    append(&repository, "src/two.txt", "beside the untracked one\n");
    let with_untracked = [
        "stash",
        "push",
        "--quiet",
        "--include-untracked",
        "-m",
        "all",
    ];
    sandbox.git(&repository, &with_untracked);
    write(&repository, "src/one.txt", "staged in a stash\n");
    sandbox.git(&repository, &["add", "src/one.txt"]);
    append(&repository, "src/one.txt", "and edited\n");
    sandbox.git(&repository, &["stash", "push", "--quiet", "-m", "newest"]);
    sandbox.git(&repository, &["stash", "drop", "--quiet", "stash@{2}"]);
    repository
}

/// Stopped at `edit`, with a `break` to come; the dirty edits are nowhere but in the autostash.
fn rebase_with_autostash(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    for name in ["four", "five", "six"] {
        write(&repository, name, format!("{name}\n"));
        sandbox.commit(&repository, name);
    }
    append(
        &repository,
        "README.md",
        "an edit that is only in the autostash\n",
    );
    let editor = "sed -i -e '1s/^pick/edit/' -e '2i break'";
    sandbox.git_with(
        &repository,
        &[("GIT_SEQUENCE_EDITOR", editor)],
        &[
            "rebase",
            "--quiet",
            "--interactive",
            "--autostash",
            "HEAD~3",
        ],
    );
    repository
}

fn rebase_stopped_by_conflict(sandbox: &Sandbox) -> PathBuf {
    let repository = diverged_repository(sandbox);
    sandbox.git(&repository, &["switch", "--quiet", "side"]);
    sandbox.git_stops(&repository, &["rebase", "main"]);
    repository
}

fn merge_with_autostash(sandbox: &Sandbox) -> PathBuf {
    let repository = diverged_repository(sandbox);
    append(
        &repository,
        "notes.txt",
        "an edit that is only in the autostash\n",
    );
    sandbox.git_stops(&repository, &["merge", "--autostash", "side"]);
    repository
}

fn cherry_pick_sequence(sandbox: &Sandbox) -> PathBuf {
    let repository = diverged_repository(sandbox);
    sandbox.git_stops(&repository, &["cherry-pick", "side~3..side"]);
    repository
}

fn revert_stopped(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    for content in ["first", "second", "third"] {
        write(&repository, "story.txt", format!("{content}\n"));
        sandbox.commit(&repository, content);
    }
    sandbox.git_stops(&repository, &["revert", "--no-edit", "HEAD~1", "HEAD~2"]);
    repository
}

fn bisect_running(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    for number in 0..6 {
        write(&repository, "number.txt", format!("{number}\n"));
        sandbox.commit(&repository, &format!("number {number}"));
    }
    sandbox.git(&repository, &["bisect", "start", "HEAD", "HEAD~6"]);
    sandbox.git(&repository, &["bisect", "good"]);
    repository
}

fn am_stopped(sandbox: &Sandbox) -> PathBuf {
    let repository = diverged_repository(sandbox);
    let patches = sandbox.workplace().join("patches");
    let patches = patches.to_str().expect("a UTF-8 path");
    sandbox.git(
        &repository,
        &["format-patch", "--quiet", "-o", patches, "main...side"],
    );
    let mailbox = [1, 2, 3].map(|number| find_patch(Path::new(patches), number));
    let arguments: Vec<&str> = ["am", "--3way"]
        .into_iter()
        .chain(mailbox.iter().map(String::as_str))
        .collect();
    sandbox.git_stops(&repository, &arguments);
    repository
}

fn find_patch(patches: &Path, number: usize) -> String {
    let names = std::fs::read_dir(patches).expect("the patches are there");
    let mut paths = names.map(|item| item.expect("the directory goes on").path());
    let prefix = format!("{number:04}-");
    let path = paths.find(|path| {
        path.file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(&prefix))
    });
    path.expect("the patch is there").display().to_string()
}

/// One resolution is recorded, another conflict is open: `MERGE_RR` and `rr-cache` are filled.
fn rerere_conflict(sandbox: &Sandbox) -> PathBuf {
    let repository = diverged_repository(sandbox);
    sandbox.git(&repository, &["config", "rerere.enabled", "true"]);
    sandbox.git_stops(&repository, &["merge", "side"]);
    write(&repository, "story.txt", "once upon a resolution\n");
    sandbox.commit(&repository, "merged by hand");
    sandbox.git(
        &repository,
        &["switch", "--quiet", "--create", "other", "main~2"],
    );
    write(&repository, "story.txt", "once upon another time\n");
    sandbox.commit(&repository, "another story");
    sandbox.git_stops(&repository, &["merge", "side"]);
    repository
}
