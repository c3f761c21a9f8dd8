//! How much work there is since a snapshot, told by a look: nothing is read, written or claimed.

use std::collections::HashMap;

use crate::host::git::repository::{Lookup, Repository};
use crate::host::metadata::Fingerprint;
use crate::host::walk::{Found, Walked, join};
use crate::model::listing::Entry;
use crate::model::place::Place;
use crate::model::refusal::Result;
use crate::ops::assemble::tips_digest;
use crate::ops::build::{as_stated, stated_tips};
use crate::ops::capture::{CaptureError, Looked, changing, find_borders};
use crate::ops::metadata::Metadata;
use crate::vault::cache::ScanCache;
use crate::vault::inspect::Vault;
use crate::vault::reader::{SnapshotReader, Trusted, needed_packs};
use crate::vault::registry::is_attached_to;
use crate::vault::store::Store;

/// What is new since a snapshot was sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkSince {
    /// Files, links and directories of the working tree with other times, sizes or modes than were captured.
    pub changed: u64,
    /// When the newest of them changed, ns since the epoch.
    pub newest_ns: Option<i128>,
    /// Whether the git directory holds something new: a commit, a ref, a stash, an operation, a setting. The index counts
    /// only by the objects it names: git rewrites it when it only looks.
    pub git_changed: bool,
}

impl WorkSince {
    /// Whether there is anything.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.changed > 0 || self.git_changed
    }
}

/// A workspace that was looked at.
pub struct WorkspaceLook {
    /// Its metadata.
    pub metadata: Metadata,
    /// Its working trees.
    pub looked: Vec<Looked>,
    /// Whether it is where the vault says that its snapshots are from. One that seems to have moved may be another clone.
    is_in_place: bool,
}

/// Looks at a workspace; what a vault knows of it spares work.
///
/// # Errors
/// When it cannot be looked at.
pub fn look(vault: &Vault, repository: &Repository, lookup: &Lookup) -> Result<WorkspaceLook> {
    let known = ScanCache::load(vault).borders;
    let (metadata, _, looked) =
        find_borders(repository, lookup, &known).map_err(|error| match error {
            CaptureError::Moved(path) => changing(&path),
            CaptureError::Borders(_) => changing(&repository.git_dir),
            CaptureError::Refused(refusal) => refusal,
        })?;
    let is_in_place = is_attached_to(&vault.log, &repository.git_dir);
    Ok(WorkspaceLook {
        metadata,
        looked,
        is_in_place,
    })
}

/// Looks at a workspace for what is new since `newest`.
///
/// # Errors
/// As [`look`] and [`work_in`].
pub fn work_since(
    vault: &Vault,
    repository: &Repository,
    lookup: &Lookup,
    newest: &Trusted,
) -> Result<WorkSince> {
    work_in(vault, &look(vault, repository, lookup)?, newest)
}

/// What is new since `newest` in a workspace that was looked at. Times decide: an edit that put its modification time back is not
/// seen here, though a snapshot sees it.
///
/// # Errors
/// When the snapshot cannot be read.
pub fn work_in(vault: &Vault, look: &WorkspaceLook, newest: &Trusted) -> Result<WorkSince> {
    let WorkspaceLook {
        metadata, looked, ..
    } = look;
    let manifest = newest.manifest();
    // Elsewhere nothing is as it was captured because it is old.
    let sealed_ns = if look.is_in_place {
        i128::from(manifest.created.seconds()) * 1_000_000_000
    } else {
        i128::MIN
    };
    let mut since = WorkSince::default();
    for (place, walked) in looked {
        let in_tree = touched_since(walked, sealed_ns, &|path, found| {
            !is_in_git(path) || is_git_work(path, found)
        });
        let (changed, newest_ns) = changed(vault, newest, *place, &in_tree)?;
        since.changed += changed;
        since.newest_ns = since.newest_ns.max(newest_ns);
    }
    let main = metadata.looks.first().map(|(_, look)| &look.walked);
    let in_git = touched_since(
        main.map(Vec::as_slice).unwrap_or_default(),
        sealed_ns,
        &is_git_work,
    );
    let same_repositories = metadata
        .workspace
        .members
        .iter()
        .map(|member| member.git_dir.clone())
        .eq(manifest.git_dirs());
    let same_tips = metadata.each().all(|(member, names)| {
        let stated = stated_tips(manifest, &member.git_dir);
        stated.is_some_and(|(_, digest)| {
            tips_digest(&as_stated(names.tips.clone(), Some(digest))) == digest
        })
    });
    since.git_changed =
        !same_repositories || !same_tips || changed(vault, newest, Place::Gitdir, &in_git)?.0 > 0;
    Ok(since)
}

/// Whether a path of a working tree lies in a git directory.
fn is_in_git(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(|name| name == b".git")
}

/// Whether a change of this entry of a git directory is work: git moves its directories and its index when it only looks.
fn is_git_work(path: &[u8], found: Option<&Found<()>>) -> bool {
    found.is_some() && path != b"index" && !path.ends_with(b"/index")
}

/// How many of the candidates look otherwise than they were captured, and when the newest of them changed.
fn changed(
    vault: &Vault,
    newest: &Trusted,
    place: Place,
    candidates: &Candidates,
) -> Result<(u64, Option<i128>)> {
    if candidates.is_empty() {
        return Ok((0, None));
    }
    let captured = captured(vault, newest, place, candidates)?;
    let changed = candidates
        .iter()
        .filter(|(path, found)| !is_same(found, captured.get(*path)));
    let times: Vec<i128> = changed.map(|(_, found)| found.ctime_ns).collect();
    Ok((times.len() as u64, times.iter().max().copied()))
}

/// Answers for a path and what was found there, or `None` for a directory itself.
type IsWanted<'a> = &'a dyn Fn(&[u8], Option<&Found<()>>) -> bool;

type Candidates = HashMap<Vec<u8>, Fingerprint>;

/// Wanted entries whose change time is not before the snapshot; a directory itself is offered without what it is in the
/// one above. A file that is gone shows in its directory.
fn touched_since(walked: &[Walked<()>], sealed_ns: i128, is_wanted: IsWanted<'_>) -> Candidates {
    let mut touched = Candidates::new();
    let mut note = |path: Vec<u8>, found: Option<&Found<()>>, fingerprint: &Fingerprint| {
        if fingerprint.ctime_ns >= sealed_ns && is_wanted(&path, found) {
            touched.insert(path, *fingerprint);
        }
    };
    for directory in walked {
        note(directory.path.clone(), None, &directory.fingerprint);
        for (name, found) in &directory.entries {
            match found {
                Found::File { fingerprint, .. }
                | Found::Link { fingerprint, .. }
                | Found::Special(_, fingerprint) => {
                    note(join(&directory.path, name), Some(found), fingerprint);
                }
                Found::Directory | Found::LeftOut { .. } => {}
            }
        }
    }
    touched
}

/// Mode, modification time, and size of a file.
type Look = (u32, i128, Option<u64>);

type Captured = HashMap<Vec<u8>, Look>;

/// What the snapshot says of the candidates.
fn captured(
    vault: &Vault,
    newest: &Trusted,
    place: Place,
    candidates: &Candidates,
) -> Result<Captured> {
    let packs = needed_packs(vault, newest);
    let store = Store::new(&vault.layout, &packs, vault.format).open_all()?;
    let mut captured = Captured::new();
    SnapshotReader::new(&store, newest).each_directory(place, &mut |directory| {
        let own = &directory.listing.own;
        if candidates.contains_key(&directory.path) {
            captured.insert(directory.path.clone(), (own.mode, own.mtime_ns, None));
        }
        for (name, entry) in &directory.listing.entries {
            let path = join(&directory.path, name);
            let (attributes, bytes) = match entry {
                Entry::File {
                    attributes, bytes, ..
                } => (attributes, Some(*bytes)),
                Entry::Link { attributes, .. } | Entry::Special { attributes, .. } => {
                    (attributes, None)
                }
                Entry::Directory { .. } | Entry::LeftOut { .. } => continue,
            };
            if candidates.contains_key(&path) {
                captured.insert(path, (attributes.mode, attributes.mtime_ns, bytes));
            }
        }
        Ok(())
    })?;
    Ok(captured)
}

/// Whether a thing looks as it was captured.
fn is_same(found: &Fingerprint, captured: Option<&Look>) -> bool {
    captured.is_some_and(|(mode, mtime_ns, bytes)| {
        found.mode == *mode
            && found.mtime_ns == *mtime_ns
            && bytes.is_none_or(|bytes| bytes == found.bytes)
    })
}
