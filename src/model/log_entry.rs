//! One entry of a vault's log: what happened, chained to the entry before it.

use serde::{Deserialize, Serialize};

use super::ids::{Digest, RepositoryId, SnapshotId, VaultId};
use super::inventory::PackRecord;
use super::timestamp::Timestamp;

/// What kind of event an entry records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogKind {
    /// The vault was created.
    Genesis,
    /// The vault was attached to a repository at another path.
    Attach,
    /// A snapshot was sealed: this entry is what makes it exist.
    Snapshot,
    /// Stored bytes were checked.
    Verify,
}

/// The repository a vault is attached to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Attachment {
    /// Canonical path of the common git directory, escaped as in listings.
    pub git_dir: String,
    /// Commits without parents found in the repository, sorted, at most 64; what a moved repository is recognised by.
    pub root_commits: Vec<String>,
}

/// What a snapshot entry says of its snapshot.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SnapshotRecord {
    /// The snapshot.
    pub id: SnapshotId,
    /// Size of its `manifest.toml`.
    pub manifest_bytes: u64,
    /// BLAKE3 of its `manifest.toml`.
    pub manifest_blake3: Digest,
}

/// How thoroughly a verification looked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VerifyLevel {
    /// Signatures, chain, sizes, skeleton.
    Quick,
    /// And BLAKE3 of every pack.
    Full,
    /// And every object decoded, every id and every file's BLAKE3 recomputed, every link followed.
    Deep,
}

impl VerifyLevel {
    /// The word for the level in text and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Quick => "quick",
            Self::Full => "full",
            Self::Deep => "deep",
        }
    }
}

/// What a verify entry says was checked; nothing was found wrong, or there would be no entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct VerifyRecord {
    /// How thoroughly.
    pub level: VerifyLevel,
    /// The last entry that was covered: everything the log held up to this number.
    pub up_to: u64,
    /// Snapshots checked.
    pub snapshots: u64,
    /// Packs checked.
    pub packs: u64,
    /// Bytes of packs and indices read.
    pub bytes: u64,
    /// Objects decoded; 0 unless deep.
    pub objects: u64,
}

/// One entry. Which of the optional tables is present follows from `kind`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LogEntry {
    /// 1 for the first entry, then each one more.
    pub number: u64,
    /// BLAKE3 of all bytes of the entry before; 64 zeros for the first.
    pub previous: Digest,
    /// The vault.
    pub vault: VaultId,
    /// The repository.
    pub repository: RepositoryId,
    /// When the entry was made, by the clock of the machine: information only.
    pub time: Timestamp,
    /// Program and version that wrote it.
    pub tool: String,
    /// What happened.
    pub kind: LogKind,
    /// For `genesis` and `attach`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub attachment: Option<Attachment>,
    /// For `snapshot`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub snapshot: Option<SnapshotRecord>,
    /// For `verify`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub verify: Option<VerifyRecord>,
    /// Packs that came into the vault with this entry.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packs: Vec<PackRecord>,
}

impl LogEntry {
    /// Whether exactly the tables that belong to the kind are present.
    #[must_use]
    pub fn is_consistent(&self) -> bool {
        let present = (
            self.attachment.is_some(),
            self.snapshot.is_some(),
            self.verify.is_some(),
        );
        let packs_allowed = self.packs.is_empty() || self.kind == LogKind::Snapshot;
        let expected = match self.kind {
            LogKind::Genesis | LogKind::Attach => (true, false, false),
            LogKind::Snapshot => (false, true, false),
            LogKind::Verify => (false, false, true),
        };
        present == expected && packs_allowed && self.packs.iter().all(PackRecord::has_valid_name)
    }
}

/// The file name of entry `number`.
#[must_use]
pub fn file_name(number: u64) -> String {
    format!("{number:08}.toml")
}
