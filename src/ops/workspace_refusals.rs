//! Refusals of what cannot be found, or captured whole, when a workspace is looked through for repositories.

use std::path::{Path, PathBuf};

use crate::host::disk;
use crate::host::git::config_file::worktree_setting;
use crate::host::git::repository::OpenError;
use crate::model::escape::shell_word;
use crate::model::refusal::Refusal;
use crate::model::refusal_code::RefusalCode;
use crate::ops::capture::CaptureError;
use crate::ops::locate::refuse_open;

/// Largest file of settings read.
const CONFIG_LIMIT_BYTES: u64 = 16 << 20;

pub(super) fn unreadable(error: &disk::Error) -> CaptureError {
    if error.is_not_found() {
        CaptureError::Moved(error.path.clone())
    } else {
        CaptureError::Refused(error.refuse(RefusalCode::SourceUnreadable))
    }
}

pub(super) fn refuse(error: &OpenError, path: &Path) -> CaptureError {
    if let OpenError::Disk(error) = error {
        return unreadable(error);
    }
    let git_dir = format!("the git directory is '{}'", path.display());
    if let OpenError::FormatUnknown(reason) = error {
        let refusal = Refusal::new(
            RefusalCode::SourceFormatUnknown,
            "format or configuration of a repository inside the workspace cannot be understood",
        );
        let config = path.join("config");
        let next = format!("git config --file {} --list", shell_word(&config));
        let refusal = refusal.because(reason.clone()).because(git_dir);
        return CaptureError::Refused(refusal.next(next, "shows its settings"));
    }
    CaptureError::Refused(refuse_open(error, path).because(git_dir))
}

pub(super) fn not_supported(what: &'static str, path: &Path) -> CaptureError {
    let error = OpenError::NotSupported(what, format!("'{}'", path.display()));
    CaptureError::Refused(refuse_open(&error, path))
}

/// The file of settings in which a git directory names its working tree.
pub(super) fn setting_file(git_dir: &Path) -> PathBuf {
    let own = git_dir.join("config.worktree");
    let config = disk::read_bounded(&own, CONFIG_LIMIT_BYTES).unwrap_or_default();
    if worktree_setting(&config).is_some() {
        own
    } else {
        git_dir.join("config")
    }
}

fn with_next(error: CaptureError, steps: &[(String, &str)]) -> CaptureError {
    let CaptureError::Refused(refusal) = error else {
        return error;
    };
    let steps = steps.iter();
    CaptureError::Refused(steps.fold(refusal, |refusal, (command, purpose)| {
        refusal.next(command.as_str(), *purpose)
    }))
}

fn unset(config: &Path) -> String {
    let config = shell_word(config);
    format!("git config --file {config} --unset-all core.worktree")
}

/// A repository inside the workspace, or a linked worktree, whose settings in this file name another tree than that around its
/// `.git`.
pub(super) fn works_elsewhere(config: &Path) -> CaptureError {
    let what = "core.worktree of a repository inside the workspace that leads elsewhere";
    let purpose = "lets it work in the tree around its '.git' again";
    with_next(not_supported(what, config), &[(unset(config), purpose)])
}

/// A repository inside the workspace whose working tree lies outside.
pub(super) fn works_outside(git_dir: &Path, root: &Path) -> CaptureError {
    let what = "repository in the workspace whose working tree lies outside";
    let reason = format!("core.worktree names '{}'", root.display());
    let error = refuse(&OpenError::NotSupported(what, reason), git_dir);
    let apart = format!("git vault -C {} snapshot", shell_word(root));
    let steps = [
        (
            unset(&setting_file(git_dir)),
            "its history is captured then, and that working tree is not",
        ),
        (apart, "captures that working tree by itself"),
    ];
    with_next(error, &steps)
}

/// Asked in a directory whose `.git` leads to a repository that has its working tree elsewhere.
pub(super) fn works_apart(asked: &Path, worktree: &Path) -> Refusal {
    let refusal = Refusal::new(
        RefusalCode::SourceNotSupported,
        "this directory is not the working tree of its repository",
    )
    .because(format!("'{}'", asked.display()))
    .because(format!("core.worktree names '{}'", worktree.display()))
    .because("what is in this directory would not be captured")
    .keeping("nothing was touched");
    let dot_git = asked.join(".git");
    let refusal = if dot_git.symlink_metadata().is_ok_and(|found| found.is_dir()) {
        refusal.next(
            unset(&setting_file(&dot_git)),
            "lets it work in the tree around its '.git' again",
        )
    } else {
        refusal
    };
    // Where no `.git` in that tree leads to the repository, it is found by its git directory only.
    let has_dot_git = worktree.join(".git").symlink_metadata().is_ok();
    let from = if has_dot_git { worktree } else { &dot_git };
    let other = format!("git vault -C {} snapshot", shell_word(from));
    refusal.next(other, "captures the working tree that git uses")
}
