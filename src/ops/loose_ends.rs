//! What of the work in a repository is nowhere else, told by a look: changes, stashes, commits on no remote.

use std::collections::BTreeSet;

use crate::host::git::branches::{Branches, Unpushed};
use crate::host::git::repository::{Lookup, Repository};
use crate::host::git::stores::{Known, Stores};
use crate::host::git::tree::tree_of_commit;
use crate::host::metadata::Fingerprint;
use crate::host::walk::{Found, Walked, join};
use crate::model::place::Place;
use crate::model::refusal::Result;
use crate::ops::capture::{CaptureError, changing, find_borders};
use crate::ops::locate::refuse_source_objects;
use crate::ops::scan::{Border, Borders, Tracked};
use crate::ops::workspace::Workspace;

/// What a repository knows of remotes.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub enum Remote {
    /// It has none.
    #[default]
    None,
    /// It has some, and each is a path, perhaps on the same disk.
    Here,
    /// It has one on another machine, and no remote-tracking branch: nothing is known to be there.
    Unknown,
    /// It has remote-tracking branches of a remote on another machine.
    Tracked,
}

/// What a repository has that its remotes do not.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// What is known of its remotes.
    pub remote: Remote,
    /// Whether it has any commit.
    pub has_commits: bool,
    /// Commits that are on no remote-tracking branch; nothing where there is none.
    pub unpushed: Unpushed,
    /// How many stashes there are.
    pub stashes: u64,
    /// How many repositories inside of it, submodules among them, have something that is on no remote.
    pub inside: u64,
}

/// Whether all commits of a repository are on a remote on another machine, as far as can be told here.
#[must_use]
pub fn is_elsewhere(upstream: &Upstream) -> bool {
    upstream.remote == Remote::Tracked
        && upstream.unpushed == Unpushed::default()
        && upstream.stashes == 0
        && upstream.inside == 0
}

/// Looks at branches and stash of the main repository of a workspace, and of those inside of it.
///
/// # Errors
/// When they cannot be read.
pub fn upstream(workspace: &Workspace) -> Result<Upstream> {
    let mut each = workspace
        .members
        .iter()
        .map(|member| upstream_of(&member.repository));
    let mut main = each.next().transpose()?.unwrap_or_default();
    for inside in each {
        let inside = inside?;
        let has_any = inside.has_commits || inside.stashes > 0;
        main.inside += u64::from(has_any && !is_elsewhere(&inside));
    }
    Ok(main)
}

fn upstream_of(repository: &Repository) -> Result<Upstream> {
    let refuse = |error| refuse_source_objects(&error);
    let remotes = &repository.remotes;
    let branches = Branches::read(&repository.git_dir, remotes).map_err(refuse)?;
    let remote = if !branches.remote.is_empty() {
        Remote::Tracked
    } else if remotes.is_empty() {
        Remote::None
    } else if remotes.are_all_here() {
        Remote::Here
    } else {
        Remote::Unknown
    };
    let unpushed = if remote == Remote::Tracked {
        let format = repository.format;
        branches
            .unpushed(&repository.git_dir, format)
            .map_err(refuse)?
    } else {
        Unpushed::default()
    };
    Ok(Upstream {
        remote,
        has_commits: !branches.local.is_empty() || !branches.other.is_empty(),
        unpushed,
        stashes: branches.stashes,
        inside: 0,
    })
}

/// How many files of the working trees differ from the index, or the index from `HEAD`; untracked ones count. Sizes and times decide. And
/// what it is made of.
///
/// # Errors
/// When the workspace cannot be looked at as a snapshot would have to.
pub fn changed(repository: &Repository, lookup: &Lookup) -> Result<(u64, Workspace)> {
    let (metadata, _, looked) =
        find_borders(repository, lookup, &BTreeSet::new()).map_err(|error| match error {
            CaptureError::Moved(path) => changing(&path),
            CaptureError::Borders(_) => changing(&repository.git_dir),
            CaptureError::Refused(refusal) => refusal,
        })?;
    let mut changed = 0;
    for (place, walked) in &looked {
        let borders = metadata.borders(*place);
        changed += changed_in(walked, &borders);
        // Looked for only where it makes a difference: it reads a commit.
        if changed == 0 && *place == Place::Worktree {
            changed += u64::from(is_staged(repository, &borders, metadata.main()?.tips.head));
        }
    }
    Ok((changed, metadata.workspace))
}

/// Whether a commit would differ from `HEAD`.
fn is_staged(
    repository: &Repository,
    borders: &Borders,
    head: Option<crate::host::git::object::ObjectId>,
) -> bool {
    let Some(Border::Tree(tracked)) = borders.get(&b""[..]) else {
        return false;
    };
    let Some(head) = head else {
        return tracked.index.files() > 0;
    };
    let Some(tree) = tracked.index.tree(repository.format) else {
        return true;
    };
    let objects = repository.git_dir.join("objects");
    let stores = Stores::open(&objects, repository.format, false, Known::NOTHING);
    let commit = stores.and_then(|stores| stores.read(&head));
    // A commit that cannot be read is said by `snapshot`.
    commit.is_ok_and(|commit| tree_of_commit(&commit.content).is_some_and(|own| own != tree))
}

/// The innermost working tree around a directory, and where it begins.
fn around<'b>(borders: &'b Borders, directory: &[u8]) -> Option<(&'b Tracked, usize)> {
    let mut end = directory.len();
    loop {
        let above = directory.get(..end)?;
        match borders.get(above) {
            Some(Border::Tree(tracked)) => {
                let start = if end == 0 { 0 } else { end + 1 };
                return Some((tracked, start));
            }
            Some(Border::Outside(_)) => return None,
            None if end == 0 => return None,
            None => {
                let slash = above.iter().rposition(|byte| *byte == b'/');
                end = slash.unwrap_or(0);
            }
        }
    }
}

fn is_in_git(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(|name| name == b".git")
}

fn changed_in(walked: &[Walked<()>], borders: &Borders) -> u64 {
    let (mut changed, mut met) = (0, 0);
    for directory in walked
        .iter()
        .filter(|directory| !is_in_git(&directory.path))
    {
        let Some((tracked, start)) = around(borders, &directory.path) else {
            continue;
        };
        for (name, found) in &directory.entries {
            let fingerprint: &Fingerprint = match found {
                Found::File { fingerprint, .. } | Found::Link { fingerprint, .. } => fingerprint,
                Found::Directory | Found::Special(..) | Found::LeftOut { .. } => continue,
            };
            let path = join(&directory.path, name);
            let own = path.get(start..).unwrap_or_default();
            if own == b".git" {
                continue;
            }
            match tracked.index.looks_unchanged(own, fingerprint) {
                Some(is_unchanged) => {
                    met += 1;
                    changed += u64::from(!is_unchanged);
                }
                None => changed += 1,
            }
        }
    }
    let trees = borders.values().map(|border| match border {
        Border::Tree(tracked) => tracked.index.files(),
        Border::Outside(_) => 0,
    });
    // What is tracked and was not met is gone.
    changed + trees.sum::<u64>().saturating_sub(met)
}
