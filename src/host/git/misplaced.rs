//! What does not fit together where a search for a repository begins: a `.git` file that leads nowhere, settings that name a
//! working tree that is gone, or another one than that around.

use std::path::{Path, PathBuf};

use super::config_file::{has_worktree_config, worktree_setting};
use super::gitfile;
use super::repository::{OpenError, join_bytes};
use crate::host::disk;
use crate::model::escape::shell_word;

/// Largest file of settings read.
const CONFIG_LIMIT_BYTES: u64 = 16 << 20;

/// Why a repository that is there cannot be used from here.
#[derive(Debug)]
pub struct Misplaced {
    /// What is wrong.
    pub what: &'static str,
    /// Where it was seen.
    pub reason: String,
    /// A command that helps, and what it does.
    pub next: (String, &'static str),
}

impl Misplaced {
    /// A repository whose main working tree is not known from where it was found.
    pub(super) fn unknown_worktree(git_dir: &Path) -> OpenError {
        OpenError::Misplaced(Box::new(Self {
            what: "the main working tree cannot be found from here",
            reason: format!(
                "core.bare is false, and nothing in '{}' says where it is",
                git_dir.display()
            ),
            next: (
                "git vault -C /path/to/working-tree snapshot".to_owned(),
                "asks in the main working tree, whose '.git' leads to the repository",
            ),
        }))
    }
}

/// Refuses a directory whose `.git` file names `git_dir`, and there is no git directory: git does not look further up, either.
pub(super) fn check_leads(directory: &Path, git_dir: &Path) -> Result<(), OpenError> {
    let dot_git = directory.join(".git");
    if git_dir == dot_git || git_dir == directory {
        return Ok(());
    }
    let real = gitfile::canonical_if_there(git_dir)?;
    let has_head = real.is_some_and(|real| match real.join("HEAD").symlink_metadata() {
        Ok(_) => true,
        Err(error) => !disk::is_nowhere(&error),
    });
    if has_head {
        return Ok(());
    }
    let is_linked = git_dir
        .parent()
        .is_some_and(|parent| parent.ends_with("worktrees"));
    let next = if is_linked {
        (
            format!(
                "git -C /path/to/repository worktree repair {}",
                shell_word(directory)
            ),
            "names the repository where it lies now; tells this working tree where that is",
        )
    } else {
        (
            format!("cat {}", shell_word(&dot_git)),
            "shows where git looks for the repository; bring it back there",
        )
    };
    Err(OpenError::Misplaced(Box::new(Misplaced {
        what: "this working tree has lost its repository",
        reason: format!(
            "'{}' leads to '{}', where there is none",
            dot_git.display(),
            git_dir.display()
        ),
        next,
    })))
}

/// Refuses a git directory whose settings name a working tree that is not there.
pub(super) fn check_worktree_is_there(git_dir: &Path) -> Result<(), OpenError> {
    let read = |name: &str| {
        let bytes = disk::read_bounded(&git_dir.join(name), CONFIG_LIMIT_BYTES);
        bytes.unwrap_or_default()
    };
    let config = read("config");
    let own = if has_worktree_config(&config) {
        read("config.worktree")
    } else {
        Vec::new()
    };
    for (name, config) in [("config.worktree", own), ("config", config)] {
        let file = git_dir.join(name);
        let Some(named) = worktree_setting(&config) else {
            continue;
        };
        let named = join_bytes(git_dir, &named);
        if gitfile::canonical_if_there(&named)?.is_some() {
            return Ok(());
        }
        // In the working tree itself, git stops before it looks at the command.
        let setting = format!("git -C / config --file {} core.worktree", shell_word(&file));
        return Err(OpenError::Misplaced(Box::new(Misplaced {
            what: "the working tree that core.worktree names is not there",
            reason: format!("'{}' in '{}'", named.display(), file.display()),
            next: (
                format!("{setting} /path/to/working-tree"),
                "names the one that is there",
            ),
        })));
    }
    Ok(())
}

/// The directory with the `.git` that was found from `start`, when that lies neither in the working tree that git uses nor in the
/// git directory: what else is in it belongs to no working tree.
pub(super) fn around(
    start: &Path,
    holder: &Path,
    (worktree, git_dir): (&Path, &Path),
) -> disk::Result<Option<PathBuf>> {
    if start.starts_with(worktree) || start.starts_with(git_dir) {
        return Ok(None);
    }
    let names = disk::list(holder)?;
    let has_more = names.iter().any(|name| name.as_os_str() != ".git");
    Ok(has_more.then(|| holder.to_owned()))
}
