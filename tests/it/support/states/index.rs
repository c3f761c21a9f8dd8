//! States of the index, and of working trees that differ from it.

use std::fs;
use std::path::{Path, PathBuf};

use super::super::Sandbox;
use super::super::files::{append, chmod, remove, symlink, write};
use super::{State, diverged_repository, small_repository, workspace};

pub fn states() -> Vec<State> {
    vec![
        workspace("clean", small_repository),
        workspace(
            "staged_unstaged_and_untracked",
            staged_unstaged_and_untracked,
        ),
        workspace("conflict_stages", conflict_stages),
        workspace("every_kind_of_conflict", every_kind_of_conflict),
        workspace("intent_to_add", intent_to_add),
        workspace("flagged_files_edited", flagged_files_edited),
        workspace("file_replaced_by_directory", file_replaced_by_directory),
        workspace(
            "removed_from_index_then_edited",
            removed_from_index_then_edited,
        ),
        workspace("everything_deleted", everything_deleted),
        workspace("unborn_with_files", unborn_with_files),
        workspace("unborn_and_empty", |sandbox| sandbox.init("repository")),
        workspace("detached_head", detached_head),
    ]
}

fn staged_unstaged_and_untracked(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    append(&repository, "README.md", "staged\n");
    write(&repository, "src/new.txt", "new and staged\n");
    sandbox.git(&repository, &["mv", "src/two.txt", "src/renamed.txt"]);
    sandbox.git(&repository, &["add", "--all"]);
    append(&repository, "README.md", "and edited after staging\n");
    append(&repository, "src/new.txt", "and edited after staging\n");
    append(&repository, "src/one.txt", "not staged\n");
    remove(&repository, "src/deep/er/three.txt");
    chmod(&repository.join("src/renamed.txt"), 0o755);
    write(&repository, "untracked.txt", "never added\n");
    write(
        &repository,
        "fresh/in/a/new/directory.txt",
        "never added either\n",
    );
    write(
        &repository,
        "src/beside.txt",
        "untracked beside tracked ones\n",
    );
    repository
}

fn conflict_stages(sandbox: &Sandbox) -> PathBuf {
    let repository = diverged_repository(sandbox);
    sandbox.git_stops(&repository, &["merge", "side"]);
    append(&repository, "story.txt", "half resolved by hand\n");
    repository
}

/// Both added, deleted here, deleted there, mode and type changes on either side.
fn every_kind_of_conflict(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    for name in ["both", "gone-here", "gone-there", "type"] {
        write(&repository, name, format!("the base of {name}\n"));
    }
    sandbox.commit(&repository, "base");
    sandbox.git(&repository, &["switch", "--quiet", "--create", "side"]);
    append(&repository, "both", "side\n");
    append(&repository, "gone-here", "changed on the side\n");
    remove(&repository, "gone-there");
    write(&repository, "added", "added on the side\n");
    remove(&repository, "type");
    symlink(&repository, "type", "both");
    sandbox.commit(&repository, "side");
    sandbox.git(&repository, &["switch", "--quiet", "main"]);
    append(&repository, "both", "main\n");
    remove(&repository, "gone-here");
    append(&repository, "gone-there", "changed on main\n");
    write(&repository, "added", "added on main\n");
    append(&repository, "type", "still a file\n");
    sandbox.commit(&repository, "main");
    sandbox.git_stops(&repository, &["merge", "side"]);
    repository
}

fn intent_to_add(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    write(
        &repository,
        "intended.txt",
        "to be added, not yet in any object\n",
    );
    write(&repository, "empty.txt", "");
    sandbox.git(
        &repository,
        &["add", "--intent-to-add", "intended.txt", "empty.txt"],
    );
    repository
}

/// Edits that `git status` does not show.
fn flagged_files_edited(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    sandbox.git(
        &repository,
        &["update-index", "--assume-unchanged", "src/one.txt"],
    );
    sandbox.git(
        &repository,
        &["update-index", "--skip-worktree", "src/two.txt"],
    );
    sandbox.git(
        &repository,
        &["update-index", "--skip-worktree", "README.md"],
    );
    append(
        &repository,
        "src/one.txt",
        "edited under assume-unchanged\n",
    );
    append(&repository, "src/two.txt", "edited under skip-worktree\n");
    remove(&repository, "README.md");
    repository
}

/// `git stash` loses the untracked file here.
fn file_replaced_by_directory(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    remove(&repository, "src/one.txt");
    write(
        &repository,
        "src/one.txt/untracked.txt",
        "where a file was\n",
    );
    write(
        &repository,
        "src/one.txt/deeper/untracked.txt",
        "and below\n",
    );
    fs::remove_dir_all(repository.join("src/deep")).expect("the directory is removed");
    write(&repository, "src/deep", "a file where a directory was\n");
    repository
}

fn removed_from_index_then_edited(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    sandbox.git(&repository, &["rm", "--quiet", "--cached", "src/one.txt"]);
    append(&repository, "src/one.txt", "edited after git rm --cached\n");
    repository
}

fn everything_deleted(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    remove(&repository, "README.md");
    fs::remove_dir_all(repository.join("src")).expect("the directory is removed");
    repository
}

fn unborn_with_files(sandbox: &Sandbox) -> PathBuf {
    let repository = sandbox.init("repository");
    write(
        &repository,
        "staged.txt",
        "staged before the first commit\n",
    );
    sandbox.git(&repository, &["add", "staged.txt"]);
    write(&repository, "untracked.txt", "not even staged\n");
    repository
}

fn detached_head(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    sandbox.git(&repository, &["switch", "--quiet", "--detach", "HEAD~1"]);
    commit_on_no_branch(sandbox, &repository);
    repository
}

fn commit_on_no_branch(sandbox: &Sandbox, repository: &Path) {
    write(repository, "detached.txt", "on no branch\n");
    sandbox.commit(repository, "on no branch");
}
