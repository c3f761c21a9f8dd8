//! `git vault guard`: a snapshot of the repository that a command is about, before the command.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::host::git::repository::{Lookup, Repository};
use crate::model::event::Monitor;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::contents::Clock;
use crate::ops::locate::Workplace;
use crate::ops::snapshot::SnapshotReport;
use crate::ops::trigger::{fire, is_outside};

/// The name under which snapshots and heartbeats know this trigger.
pub const TRIGGER: &str = "guard";

/// Options of git before its own command that take the next word.
const WITH_VALUE: [&[u8]; 8] = [
    b"-C",
    b"-c",
    b"--git-dir",
    b"--work-tree",
    b"--namespace",
    b"--config-env",
    b"--super-prefix",
    b"--attr-source",
];

/// Which repository git is told to use, by its environment or its options.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Redirects {
    /// `GIT_DIR` or `--git-dir`.
    pub git_dir: Option<PathBuf>,
    /// `GIT_WORK_TREE` or `--work-tree`.
    pub work_tree: Option<PathBuf>,
}

/// What is done where there is no repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outside {
    /// Nothing is run: a guard that captures nothing is none.
    Refuse,
    /// The command is run, to say for itself what it thinks of the place.
    Run,
}

/// Captures the repository that a command, to be run in `workplace.lookup.start`, is about; `None` where there is none and that
/// is no reason not to run it.
///
/// # Errors
/// When there is no snapshot; the command must then not be run.
pub fn guard(
    workplace: &Workplace,
    words: &[OsString],
    environment: &Redirects,
    outside: Outside,
    clock: Clock<'_>,
    monitor: &dyn Monitor,
) -> Result<Option<SnapshotReport>> {
    let (start, redirects) = told(words, &workplace.lookup.start, environment);
    let refused = |refusal: Refusal| refusal.because("so the command was not run");
    let place = match place(workplace, &start, &redirects) {
        Ok(place) => place,
        Err(refusal) if outside == Outside::Run && is_outside(&refusal) => return Ok(None),
        Err(refusal) => return Err(refused(refusal)),
    };
    let captured = fire(&at(workplace, &place), TRIGGER, clock, monitor);
    captured.map(Some).map_err(refused)
}

fn at(workplace: &Workplace, start: &Path) -> Workplace {
    Workplace {
        lookup: Lookup {
            start: start.to_owned(),
            ..workplace.lookup.clone()
        },
        ..workplace.clone()
    }
}

/// Where to look for the repository that the command is about: the one it is told to use must be the one that is captured.
fn place(workplace: &Workplace, start: &Path, redirects: &Redirects) -> Result<PathBuf> {
    let Some(git_dir) = &redirects.git_dir else {
        // Without a git directory of its own, git looks for one from where it is, whatever working tree it is told of.
        let found = at(workplace, start).repository()?;
        return match &redirects.work_tree {
            Some(tree) if !holds(&found, tree) => Err(elsewhere(&found.git_dir, tree)),
            Some(_) | None => Ok(start.to_owned()),
        };
    };
    let told = at(workplace, git_dir).repository()?;
    let tree = redirects.work_tree.as_deref().unwrap_or(start);
    let is_found_there = at(workplace, tree)
        .repository()
        .is_ok_and(|found| found.git_dir == told.git_dir);
    if is_found_there {
        return Ok(tree.to_owned());
    }
    let has_no_tree = told.worktree.is_none() && redirects.work_tree.is_none();
    if has_no_tree || holds(&told, tree) {
        Ok(git_dir.clone())
    } else {
        Err(elsewhere(&told.git_dir, tree))
    }
}

/// Whether a directory lies in the main working tree of a repository, or in its git directory, where no tree is touched.
fn holds(repository: &Repository, tree: &Path) -> bool {
    let Ok(tree) = std::fs::canonicalize(tree) else {
        return false;
    };
    let mut places = repository.worktree.iter().chain([&repository.git_dir]);
    places.any(|place| tree.starts_with(place))
}

fn elsewhere(git_dir: &Path, tree: &Path) -> Refusal {
    Refusal::new(
        RefusalCode::SourceNotSupported,
        "git is told to use a working tree that its repository does not name",
    )
    .because(format!("the repository is '{}'", git_dir.display()))
    .because(format!("the working tree would be '{}'", tree.display()))
    .because("a snapshot of the repository would not hold that tree")
    .keeping("nothing was touched")
    .next(
        "git config core.worktree /path/to/tree",
        "names the working tree for good, in the repository",
    )
}

/// What a command says of where it works: that of git, by its options before the git command; of any other, the environment.
fn told(words: &[OsString], start: &Path, environment: &Redirects) -> (PathBuf, Redirects) {
    let mut redirects = environment.clone();
    let mut directory = start.to_owned();
    let is_git = words
        .first()
        .and_then(|word| Path::new(word).file_name())
        .is_some_and(|name| name == "git");
    let mut rest = words.iter().skip(1).map(OsString::as_os_str);
    while is_git && let Some(word) = rest.next() {
        if !word.as_bytes().starts_with(b"-") {
            break;
        }
        let (option, value) = match split(word) {
            (option, Some(value)) => (option, Some(value)),
            (option, None) if WITH_VALUE.contains(&option) => (option, rest.next()),
            (option, None) => (option, None),
        };
        match (option, value) {
            // As git does: an empty one changes nothing, and each stands on the one before.
            (b"-C", Some(value)) if !value.is_empty() => directory = directory.join(value),
            (b"--git-dir", Some(value)) => redirects.git_dir = Some(value.into()),
            (b"--work-tree", Some(value)) => redirects.work_tree = Some(value.into()),
            _ => {}
        }
    }
    let absolute = |path: PathBuf| directory.join(path);
    let redirects = Redirects {
        git_dir: redirects.git_dir.map(absolute),
        work_tree: redirects.work_tree.map(absolute),
    };
    (directory, redirects)
}

/// An option that holds its own value, in two.
fn split(word: &OsStr) -> (&[u8], Option<&OsStr>) {
    let bytes = word.as_bytes();
    let parts = bytes.iter().position(|byte| *byte == b'=');
    match parts.and_then(|at| bytes.split_at_checked(at)) {
        Some((option, value)) if option.starts_with(b"--") => {
            (option, value.get(1..).map(OsStr::from_bytes))
        }
        Some(_) | None => (bytes, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told_by(words: &[&str]) -> (PathBuf, Redirects) {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        told(&words, Path::new("/here"), &Redirects::default())
    }

    #[test]
    fn what_git_is_told_of_its_place_is_understood_as_git_does() {
        let git = told_by(&[
            "git", "-C", "a", "-c", "x=y", "-C", "../b", "reset", "-C", "no",
        ]);
        assert_eq!(git.0, Path::new("/here/a/../b"));
        assert_eq!(git.1, Redirects::default());
        let git = told_by(&[
            "/usr/bin/git",
            "--git-dir=g",
            "--work-tree",
            "/t",
            "-C",
            "a",
            "x",
        ]);
        assert_eq!(git.1.git_dir.as_deref(), Some(Path::new("/here/a/g")));
        assert_eq!(git.1.work_tree.as_deref(), Some(Path::new("/t")));
        assert_eq!(told_by(&["git", "-C", "", "x"]).0, Path::new("/here"));
        assert_eq!(told_by(&["git", "-c"]).0, Path::new("/here"));
        assert_eq!(told_by(&["rm", "-C", "a"]).0, Path::new("/here"));
    }
}
