//! How much work there is since a snapshot, told by a look: nothing is read, written or claimed.

use std::collections::HashMap;
use std::path::Path;

use crate::host::git::repository::Repository;
use crate::host::metadata::Fingerprint;
use crate::host::walk::{Found, Walked, join, walk};
use crate::model::listing::Entry;
use crate::model::refusal::Result;
use crate::ops::assemble::tips_digest;
use crate::ops::capture::{CaptureError, Metadata, changing, refuse_walk, rules_of};
use crate::ops::scan::{LookOnly, Patterns, WorktreeContext, WorktreeScan};
use crate::vault::inspect::Vault;
use crate::vault::reader::{Place, SnapshotReader, Trusted, needed_packs};
use crate::vault::store::Store;

/// What is new since a snapshot was sealed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkSince {
    /// Files, links and directories of the working tree with other times, sizes or modes than were captured.
    pub changed: u64,
    /// When the newest of them changed, ns since the epoch.
    pub newest_ns: Option<i128>,
    /// Whether HEAD, a ref, the stash or an operation names something else.
    pub history_moved: bool,
}

impl WorkSince {
    /// Whether there is anything.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.changed > 0 || self.history_moved
    }
}

/// Looks at a repository for what is new since `newest`. Times decide: an edit that put its modification time back is not
/// seen here, though a snapshot sees it.
///
/// # Errors
/// When the repository cannot be looked at.
pub fn work_since(vault: &Vault, repository: &Repository, newest: &Trusted) -> Result<WorkSince> {
    let metadata = Metadata::read(repository).map_err(|error| match error {
        CaptureError::Moved(path) => changing(&path),
        CaptureError::Refused(refusal) => refusal,
    })?;
    let manifest = newest.manifest();
    let mut since = WorkSince {
        history_moved: tips_digest(&metadata.tips) != manifest.history.tips_blake3,
        ..WorkSince::default()
    };
    let Some(root) = &repository.worktree else {
        return Ok(since);
    };
    let walked = look(repository, &metadata, root)?;
    let sealed_ns = i128::from(manifest.created.seconds()) * 1_000_000_000;
    let candidates = touched_since(&walked, sealed_ns);
    if candidates.is_empty() {
        return Ok(since);
    }
    let captured = captured(vault, newest, &candidates)?;
    for (path, fingerprint) in &candidates {
        if !is_same(fingerprint, captured.get(path)) {
            since.changed += 1;
            since.newest_ns = since.newest_ns.max(Some(fingerprint.ctime_ns));
        }
    }
    Ok(since)
}

fn look(repository: &Repository, metadata: &Metadata, root: &Path) -> Result<Vec<Walked<()>>> {
    let settings = &repository.settings;
    let include = Patterns::new("vault.include", &settings.include)?;
    let exclude = Patterns::new("vault.exclude", &settings.exclude)?;
    let scan = WorktreeScan {
        root: root.to_owned(),
        index: &metadata.index,
        include: &include,
        exclude: &exclude,
        reader: LookOnly,
    };
    let context = WorktreeContext::at_root(rules_of(repository)?);
    walk(root, &scan, context).map_err(refuse_walk)
}

type Candidates = HashMap<Vec<u8>, Fingerprint>;

/// Entries whose change time is not before the snapshot. A file that is gone shows in its directory.
fn touched_since(walked: &[Walked<()>], sealed_ns: i128) -> Candidates {
    let mut touched = Candidates::new();
    let mut note = |path: Vec<u8>, fingerprint: &Fingerprint| {
        if fingerprint.ctime_ns >= sealed_ns {
            touched.insert(path, *fingerprint);
        }
    };
    for directory in walked {
        note(directory.path.clone(), &directory.fingerprint);
        for (name, found) in &directory.entries {
            match found {
                Found::File { fingerprint, .. }
                | Found::Link { fingerprint, .. }
                | Found::Special(_, fingerprint) => {
                    note(join(&directory.path, name), fingerprint);
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
fn captured(vault: &Vault, newest: &Trusted, candidates: &Candidates) -> Result<Captured> {
    let packs = needed_packs(vault, newest);
    let store = Store::new(&vault.layout, &packs, vault.format).open_all()?;
    let mut captured = Captured::new();
    SnapshotReader::new(&store, newest).each_directory(Place::Worktree, &mut |directory| {
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
