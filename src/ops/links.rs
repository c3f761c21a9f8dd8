//! Linked worktrees, as the directories in `worktrees` tell of them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::host::disk;
use crate::host::git::config_file::worktree_setting;
use crate::host::git::gitfile;
use crate::host::git::ref_files::is_git_dir;
use crate::host::git::repository;
use crate::model::escape::shell_word;
use crate::model::place::{Place, Spot};
use crate::model::refusal::Refusal;
use crate::model::refusal_code::RefusalCode;
use crate::ops::capture::CaptureError;
use crate::ops::workspace_refusals::{unreadable, works_elsewhere};

/// So many bytes of the name of a linked worktree are in that of the directory that a restore makes for it.
const LONGEST_NAME: usize = 200;

/// Largest file of settings read.
const CONFIG_LIMIT_BYTES: u64 = 16 << 20;

type Result<T> = std::result::Result<T, CaptureError>;

/// What lies where a repository says that a linked worktree is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stated {
    /// The working tree.
    There,
    /// Nothing: no directory, or an empty one.
    Absent,
    /// A directory that belongs to this git directory.
    OfAnother(PathBuf),
    /// A directory with something in it, that does not lead to its repository.
    Lost(Loss),
    /// Nothing; but here, where it would be if it was moved together with its repository, a `.git` file names it.
    Moved(PathBuf),
}

/// Why a directory does not lead to its repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// It has no `.git`.
    NoGitfile,
    /// Its `.git` leads to no git directory, or to that of another working tree of the same repository.
    Astray,
}

/// A linked worktree as the directory in `worktrees` tells of it.
pub(super) struct Link {
    pub(super) git_dir: Spot,
    pub(super) name: Vec<u8>,
    pub(super) path: PathBuf,
    /// Its canonical root, when it is there and says the same.
    pub(super) root: Option<PathBuf>,
    /// What lies at `path`.
    pub(super) stated: Stated,
}

/// The linked worktrees of a repository.
pub(super) fn links_of(git_dir: &Spot, path: &Path) -> Result<Vec<Link>> {
    let mut links = Vec::new();
    for name in names(&path.join("worktrees"))? {
        let admin = path.join("worktrees").join(OsStr::from_bytes(&name));
        if !admin.is_dir() {
            continue;
        }
        let stated =
            gitfile::read_path(&admin.join("gitdir")).map_err(|error| unreadable(&error))?;
        let stated = stated.as_deref().and_then(Path::parent);
        let (root, mut found) = match stated {
            Some(stated) => look_at(stated, path, &admin).map_err(|error| unreadable(&error))?,
            None => (None, Stated::Absent),
        };
        if let (Stated::Absent, Some(stated)) = (&found, stated) {
            let moved = moved_together(stated, path, &admin).map_err(|error| unreadable(&error))?;
            found = moved.map_or(found, Stated::Moved);
        }
        check_setting(&admin, root.as_deref())?;
        links.push(Link {
            git_dir: git_dir.clone(),
            name,
            path: stated.map(gitfile::normal).unwrap_or_default(),
            root,
            stated: found,
        });
    }
    Ok(links)
}

/// A linked worktree that is not where its repository says: it was unplugged, moved, or removed without git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Away {
    /// Where it should be.
    pub path: PathBuf,
    /// Whether git was told to keep it all the same (git-worktree(1), `lock`).
    pub is_locked: bool,
}

/// The linked worktrees of a repository where there is nothing. What cannot be told is left to a snapshot, which says so.
#[must_use]
pub fn away(git_dir: &Path) -> Vec<Away> {
    let Ok(links) = links_of(&Spot::top(Place::Gitdir), git_dir) else {
        return Vec::new();
    };
    let absent = links
        .into_iter()
        .filter(|link| link.stated == Stated::Absent);
    absent
        .map(|link| {
            let admin = git_dir
                .join("worktrees")
                .join(OsStr::from_bytes(&link.name));
            Away {
                path: link.path,
                is_locked: admin.join("locked").exists(),
            }
        })
        .collect()
}

/// The linked worktrees of a repository that are there. What cannot be told is left to a snapshot, which says so.
#[must_use]
pub fn roots(git_dir: &Path) -> Vec<PathBuf> {
    let links = links_of(&Spot::top(Place::Gitdir), git_dir);
    let links = links.unwrap_or_default().into_iter();
    links.filter_map(|link| link.root).collect()
}

/// The git directories of a repository's working trees: its own, and that of each linked one.
#[must_use]
pub fn git_dirs(git_dir: &Path) -> Vec<PathBuf> {
    let worktrees = git_dir.join("worktrees");
    let linked = names(&worktrees).unwrap_or_default().into_iter();
    let linked = linked.map(|name| worktrees.join(OsStr::from_bytes(&name)));
    std::iter::once(git_dir.to_owned()).chain(linked).collect()
}

/// What lies where a linked worktree of the repository `git_dir` should be; its canonical root, when it is that.
fn look_at(stated: &Path, git_dir: &Path, admin: &Path) -> disk::Result<(Option<PathBuf>, Stated)> {
    let absent = Ok((None, Stated::Absent));
    let Some(root) = gitfile::canonical_if_there(stated)? else {
        return absent;
    };
    if !root.is_dir() {
        return absent;
    }
    match gitfile::target(&root)? {
        Some(target) if target == admin => Ok((Some(root), Stated::There)),
        Some(target) if !is_own(&target, git_dir) && is_git_dir_of_any(&target) => {
            Ok((None, Stated::OfAnother(target)))
        }
        Some(_) => Ok((None, Stated::Lost(Loss::Astray))),
        None if disk::list(&root)?.is_empty() => absent,
        None => {
            let has_dot_git = root.join(".git").symlink_metadata().is_ok();
            let loss = if has_dot_git {
                Loss::Astray
            } else {
                Loss::NoGitfile
            };
            Ok((None, Stated::Lost(loss)))
        }
    }
}

/// Where a linked worktree that is not at the place that its repository states lies if both were moved or renamed together with a
/// directory around them: its path begins anew somewhere above the git directory, and its `.git` names the directory of the same
/// name in `worktrees`, at the old place or at the new.
fn moved_together(stated: &Path, git_dir: &Path, admin: &Path) -> disk::Result<Option<PathBuf>> {
    let steps: Vec<_> = stated.components().collect();
    for above in git_dir.ancestors().skip(1) {
        for start in 1..steps.len() {
            let rest: PathBuf = steps.get(start..).unwrap_or_default().iter().collect();
            let candidate = above.join(rest);
            let Some(named) = gitfile::read_gitfile(&candidate.join(".git"))
                .ok()
                .flatten()
            else {
                continue;
            };
            let is_its = match gitfile::canonical_if_there(&named)? {
                Some(named) => named == admin,
                None => {
                    let name = Path::new("worktrees").join(admin.file_name().unwrap_or_default());
                    named.ends_with(name)
                }
            };
            if is_its {
                return Ok(Some(candidate));
            }
        }
    }
    Ok(None)
}

/// Says that a linked worktree was moved together with its repository, and lies here.
pub(super) fn moved(candidate: &Path, repository: &Path) -> Refusal {
    Refusal::new(
        RefusalCode::SourceNotSupported,
        "a linked worktree and its repository do not find each other",
    )
    .because(format!("'{}'", candidate.display()))
    .because("both seem to have been moved; the repository looks for it at the old place")
    .because("what is in it would not be captured")
    .next(
        format!(
            "git -C {} worktree repair {}",
            shell_word(repository),
            shell_word(candidate)
        ),
        "tells each where the other is",
    )
}

/// Whether a path is the git directory itself, or what it keeps of a linked worktree.
fn is_own(path: &Path, git_dir: &Path) -> bool {
    path == git_dir || path.parent() == Some(&git_dir.join("worktrees"))
}

/// Whether a directory is a git directory, or that of a linked worktree.
fn is_git_dir_of_any(path: &Path) -> bool {
    is_git_dir(path) || path.join("HEAD").is_file() && path.join("commondir").is_file()
}

/// Says that a directory with something in it is where a linked worktree should be, and is not that one.
pub(super) fn lost(link: &Path, loss: Loss, repository: &Path) -> Refusal {
    let why = match loss {
        Loss::NoGitfile => "it has no .git, so git takes it for no working tree",
        Loss::Astray => "its .git does not lead to where the repository keeps what is its own",
    };
    let here = shell_word(repository);
    let refusal = Refusal::new(
        RefusalCode::SourceNotSupported,
        "a linked worktree and its repository do not find each other",
    )
    .because(format!("'{}'", link.display()))
    .because(why)
    .because("what is in it would not be captured")
    .next(
        format!("git -C {here} worktree repair"),
        "tells it where the repository is",
    );
    match loss {
        Loss::NoGitfile => refusal.next(
            format!("git -C {here} worktree prune"),
            "only if the linked worktree is gone for good, and this is something else",
        ),
        Loss::Astray => refusal,
    }
}

/// A linked worktree whose own settings name another tree: git would use that one.
fn check_setting(admin: &Path, root: Option<&Path>) -> Result<()> {
    let path = admin.join("config.worktree");
    let config = match disk::read_bounded(&path, CONFIG_LIMIT_BYTES) {
        Err(error) if error.is_not_found() => return Ok(()),
        config => config.map_err(|error| unreadable(&error))?,
    };
    let named = worktree_setting(&config).map(|named| repository::join_bytes(admin, &named));
    let named = named.map(|named| std::fs::canonicalize(&named).unwrap_or(named));
    if named.is_some() && named.as_deref() != root {
        return Err(works_elsewhere(&path));
    }
    Ok(())
}

/// The names in a directory, sorted; none when it is not there, or is no directory.
pub(super) fn names(directory: &Path) -> Result<Vec<Vec<u8>>> {
    match disk::list(directory) {
        Ok(names) => {
            let mut names: Vec<Vec<u8>> = names
                .iter()
                .map(|name| OsStr::new(name).as_bytes().to_vec())
                .collect();
            names.sort();
            Ok(names)
        }
        Err(error) if error.is_nowhere() => Ok(Vec::new()),
        Err(error) => Err(unreadable(&error)),
    }
}

/// The beginning of a name, so much of it that there is room for more in a file name, which has 255 bytes at most.
pub(super) fn shortened(name: &[u8]) -> &[u8] {
    let is_inside = |end: usize| name.get(end).is_some_and(|byte| byte & 0xC0 == 0x80);
    let end = (0..=name.len().min(LONGEST_NAME)).rev();
    let end = { end }.find(|end| !is_inside(*end)).unwrap_or_default();
    name.get(..end).unwrap_or(name)
}
