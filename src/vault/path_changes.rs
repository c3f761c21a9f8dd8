//! What became of each path from one snapshot to the next, remembered so that `find`, `log` and `list` need not read every
//! snapshot again. It saves reading, never decides truth: one that is not exactly what the key holder wrote counts as none, each step
//! names the manifests of both its snapshots, and nothing is given back or called valid by it. It lies outside the vault.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::host::disk;
use crate::model::ids::Digest;
use crate::model::place::Place;
use crate::model::signed::Binding;
use crate::model::version::Version;
use crate::vault::inspect::Vault;
use crate::vault::tagged::{self, Kind};

/// The number of the git directory among places.
const GITDIR: u32 = u32::MAX;
const KIND: Kind = Kind {
    name: "path changes 1",
    limit_bytes: 256 << 20,
};

/// What became of one path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathChange {
    /// In which tree.
    pub place: Place,
    /// The path.
    pub path: Vec<u8>,
    /// What it was; `None` when it was not there.
    pub old: Option<Version>,
    /// What it is; `None` when it is gone.
    pub new: Option<Version>,
}

/// From which snapshot to which: the BLAKE3 of their manifests. The first one comes from none.
pub type Step = (Option<Digest>, Digest);

/// What is known of steps.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct PathChanges(HashMap<Step, Vec<PathChange>>);

#[derive(Serialize, Deserialize)]
struct StepRecord {
    from: Option<[u8; 32]>,
    to: [u8; 32],
    changes: Vec<ChangeRecord>,
}

#[derive(Serialize, Deserialize)]
struct ChangeRecord {
    /// 0 for the main working tree, [`GITDIR`], or the number of a linked worktree.
    place: u32,
    path: Vec<u8>,
    old: Option<VersionRecord>,
    new: Option<VersionRecord>,
}

#[derive(Clone, Copy, Serialize, Deserialize)]
enum VersionRecord {
    File(u64, [u8; 32], u32, i128),
    Link([u8; 32]),
    Directory,
    Other,
}

impl PathChanges {
    /// Loads what is known; nothing when there is nothing that can be relied on.
    #[must_use]
    pub fn load(vault: &Vault) -> Self {
        let path = path(&vault.homes.state, vault.binding);
        // Whoever has a key that was given up could make one up.
        let is_active = |key| (key == vault.key().id()).then(|| vault.key());
        let steps: Option<(_, Vec<StepRecord>)> =
            tagged::read(KIND, &path, vault.binding, is_active);
        let steps = steps.into_iter().flat_map(|(_, steps)| steps);
        let known = steps.map(|step| {
            let changes = step.changes.into_iter().map(change).collect();
            let from = step.from.map(Digest::from_bytes);
            ((from, Digest::from_bytes(step.to)), changes)
        });
        Self(known.collect())
    }

    /// Takes out what is known of a step.
    pub fn take(&mut self, step: &Step) -> Option<Vec<PathChange>> {
        self.0.remove(step)
    }

    /// Whether nothing more is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Writes what is known of these steps. It need not be durable: a torn one counts as none. What would be too large is not written.
///
/// # Errors
/// When it cannot be written; nothing depends on it.
pub fn save<'s>(
    vault: &Vault,
    steps: impl Iterator<Item = (Step, &'s [PathChange])>,
) -> disk::Result<()> {
    let steps = steps.map(|((from, to), changes)| StepRecord {
        from: from.map(|from| *from.as_bytes()),
        to: *to.as_bytes(),
        changes: changes.iter().map(record).collect(),
    });
    let steps: Vec<StepRecord> = steps.collect();
    let path = path(&vault.homes.state, vault.binding);
    tagged::write(KIND, &path, vault.binding, vault.key(), &steps)
}

fn path(state_home: &Path, binding: Binding) -> PathBuf {
    state_home.join("paths").join(binding.vault.to_string())
}

fn change(record: ChangeRecord) -> PathChange {
    PathChange {
        place: match record.place {
            0 => Place::Worktree,
            GITDIR => Place::Gitdir,
            number => Place::Linked(number),
        },
        path: record.path,
        old: record.old.map(version),
        new: record.new.map(version),
    }
}

fn record(change: &PathChange) -> ChangeRecord {
    ChangeRecord {
        place: match change.place {
            Place::Linked(number) => number,
            Place::Worktree => 0,
            Place::Gitdir => GITDIR,
        },
        path: change.path.clone(),
        old: change.old.as_ref().map(version_record),
        new: change.new.as_ref().map(version_record),
    }
}

fn version(record: VersionRecord) -> Version {
    match record {
        VersionRecord::File(bytes, blake3, mode, mtime_ns) => Version::File {
            bytes,
            blake3: Digest::from_bytes(blake3),
            mode,
            mtime_ns,
        },
        VersionRecord::Link(blake3) => Version::Link(Digest::from_bytes(blake3)),
        VersionRecord::Directory => Version::Directory,
        VersionRecord::Other => Version::Other,
    }
}

fn version_record(version: &Version) -> VersionRecord {
    match version {
        Version::File {
            bytes,
            blake3,
            mode,
            mtime_ns,
        } => VersionRecord::File(*bytes, *blake3.as_bytes(), *mode, *mtime_ns),
        Version::Link(blake3) => VersionRecord::Link(*blake3.as_bytes()),
        Version::Directory => VersionRecord::Directory,
        Version::Other => VersionRecord::Other,
    }
}
