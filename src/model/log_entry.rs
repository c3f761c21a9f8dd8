//! One entry of a vault's log: what happened, chained to the entry before it.

use serde::{Deserialize, Serialize};

use super::ids::{Digest, KeyId, RepositoryId, SnapshotId, VaultId, from_hex, to_hex};
use super::inventory::{PackRecord, is_pack_name};
use super::timestamp::Timestamp;

/// What kind of event an entry records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum LogKind {
    /// The vault was created.
    Genesis,
    /// The vault was attached to a repository at another path.
    Attach,
    /// A snapshot was sealed: this entry is what makes it exist.
    Snapshot,
    /// Stored bytes were checked.
    Verify,
    /// A snapshot was restored for real, and all of it compared.
    Drill,
    /// A second copy of the keys was shown to be whole.
    Copy,
    /// From the next entry on, another key signs.
    Rotate,
    /// What a key signed after some entry is not accepted any more.
    Compromise,
    /// A person stated that entries which were seen before are gone.
    Acknowledge,
    /// What interrupted snapshots left behind was moved out of the way.
    SetAside,
    /// Snapshots were given up.
    Drop,
    /// Packs took the place of others.
    Optimize,
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

/// An older vault of the same repository that this one continues; nothing about it is proven by being named here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Predecessor {
    /// Where it was, escaped as in listings.
    pub path: String,
    /// How many log entries it had.
    pub entries: u64,
    /// BLAKE3 of its newest log entry.
    pub newest_blake3: Digest,
}

/// What a drill restored and compared; anything that differed, and there would be no entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrillRecord {
    /// The snapshot that was restored.
    pub snapshot: SnapshotId,
    /// Files compared byte for byte with what was signed, git directory included; never 0.
    pub files: u64,
    /// Directories compared.
    pub directories: u64,
    /// Symbolic links compared.
    pub links: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// The git that found the repository whole, such as `git version 2.47.3`; empty when there was none.
    pub git: String,
}

/// In which form a copy of the keys is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum CopyForm {
    /// A recovery kit outside the vault.
    Kit,
    /// Wrapped with a passphrase, in the vault.
    Escrow,
}

impl CopyForm {
    /// The word for the form in text and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Kit => "kit",
            Self::Escrow => "escrow",
        }
    }
}

/// A copy of a key that was shown to be whole.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CopyRecord {
    /// The key.
    pub key: KeyId,
    /// The form of the copy.
    pub form: CopyForm,
    /// The file in `escrow/`; empty for a kit.
    pub file: String,
    /// Size of that file; 0 for a kit.
    pub bytes: u64,
}

/// The key that signs from the next entry on. The old key signs the entry, the new one the countersignature.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    /// The new key.
    pub key: KeyId,
    /// The new key's HMAC over number and previous of the entry and both key ids.
    pub countersignature: Digest,
}

/// A key that somebody else may have had.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Compromise {
    /// The key; not the one that signs this entry.
    pub key: KeyId,
    /// The newest entry that is still accepted on its signature alone.
    pub since: u64,
}

/// A person's statement that the log is shorter than, or different from, what was seen, and that it goes on from here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Acknowledgement {
    /// The newest entry that was seen before.
    pub seen: u64,
    /// Its BLAKE3.
    pub seen_blake3: Digest,
    /// The newest entry that was found.
    pub found: u64,
    /// Its BLAKE3.
    pub found_blake3: Digest,
    /// Refs, files of packs and wrapped keys, as paths in the vault, that only the entries which are gone can have named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left: Vec<String>,
}

/// Remains that were moved into `incidents/`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SetAside {
    /// The directory in `incidents/`.
    pub directory: String,
    /// The name they had in `snapshots/`.
    pub name: String,
    /// Files moved.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
}

/// Snapshots that were given up.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DropRecord {
    /// Why: by name, or the policy by which they were chosen.
    pub reason: String,
    /// Their ids, sorted; at least one.
    pub snapshots: Vec<SnapshotId>,
}

/// Packs whose place others took.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizeRecord {
    /// Their names, sorted; at least one.
    pub gone: Vec<String>,
}

/// What happened, with all that belongs to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogEvent {
    /// The vault was created for a repository, perhaps in place of an older one.
    Genesis(Attachment, Option<Predecessor>),
    /// The vault was attached to a repository at another path, or its first commits became known.
    Attach(Attachment),
    /// A snapshot was sealed, with these new packs.
    Snapshot(SnapshotRecord, Vec<PackRecord>),
    /// Stored bytes were checked.
    Verify(VerifyRecord),
    /// A snapshot was restored and compared.
    Drill(DrillRecord),
    /// A copy of a key was shown to be whole.
    Copy(CopyRecord),
    /// Another key takes over.
    Rotate(Rotation),
    /// A key is not believed any more.
    Compromise(Compromise),
    /// A person stated that entries are gone.
    Acknowledge(Acknowledgement),
    /// Remains were moved out of the way.
    SetAside(SetAside),
    /// Snapshots were given up.
    Drop(DropRecord),
    /// Packs went, and these came in their place.
    Optimize(OptimizeRecord, Vec<PackRecord>),
}

/// One entry as it is written. Which of the optional tables are present follows from `kind`.
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
    #[serde(default, skip_serializing_if = "Option::is_none")]
    attachment: Option<Attachment>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    predecessor: Option<Predecessor>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    snapshot: Option<SnapshotRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    verify: Option<VerifyRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drill: Option<DrillRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    copy: Option<CopyRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    rotation: Option<Rotation>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    compromise: Option<Compromise>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    acknowledgement: Option<Acknowledgement>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    set_aside: Option<SetAside>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    drop: Option<DropRecord>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    optimize: Option<OptimizeRecord>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    packs: Vec<PackRecord>,
}

/// What stands in every entry, whatever happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// 1 for the first entry, then each one more.
    pub number: u64,
    /// BLAKE3 of the entry before.
    pub previous: Digest,
    /// The vault.
    pub vault: VaultId,
    /// The repository.
    pub repository: RepositoryId,
    /// When.
    pub time: Timestamp,
    /// Program and version.
    pub tool: String,
}

impl LogEntry {
    /// The entry of an event.
    #[must_use]
    pub fn new(header: Header, event: &LogEvent) -> Self {
        let mut entry = Self {
            number: header.number,
            previous: header.previous,
            vault: header.vault,
            repository: header.repository,
            time: header.time,
            tool: header.tool,
            kind: event.kind(),
            attachment: None,
            predecessor: None,
            snapshot: None,
            verify: None,
            drill: None,
            copy: None,
            rotation: None,
            compromise: None,
            acknowledgement: None,
            set_aside: None,
            drop: None,
            optimize: None,
            packs: Vec::new(),
        };
        match event.clone() {
            LogEvent::Genesis(attachment, predecessor) => {
                entry.attachment = Some(attachment);
                entry.predecessor = predecessor;
            }
            LogEvent::Attach(attachment) => entry.attachment = Some(attachment),
            LogEvent::Snapshot(snapshot, packs) => {
                entry.snapshot = Some(snapshot);
                entry.packs = packs;
            }
            LogEvent::Verify(verify) => entry.verify = Some(verify),
            LogEvent::Drill(drill) => entry.drill = Some(drill),
            LogEvent::Copy(copy) => entry.copy = Some(copy),
            LogEvent::Rotate(rotation) => entry.rotation = Some(rotation),
            LogEvent::Compromise(compromise) => entry.compromise = Some(compromise),
            LogEvent::Acknowledge(acknowledgement) => {
                entry.acknowledgement = Some(acknowledgement);
            }
            LogEvent::SetAside(set_aside) => entry.set_aside = Some(set_aside),
            LogEvent::Drop(drop) => entry.drop = Some(drop),
            LogEvent::Optimize(optimize, packs) => {
                entry.optimize = Some(optimize);
                entry.packs = packs;
            }
        }
        entry
    }

    /// What happened; `None` unless exactly the tables that belong to the kind are present, with names of valid form.
    #[must_use]
    pub fn event(&self) -> Option<LogEvent> {
        let event = match self.kind {
            LogKind::Genesis => {
                LogEvent::Genesis(self.attachment.clone()?, self.predecessor.clone())
            }
            LogKind::Attach => LogEvent::Attach(self.attachment.clone()?),
            LogKind::Snapshot => LogEvent::Snapshot(self.snapshot.clone()?, self.packs.clone()),
            LogKind::Verify => LogEvent::Verify(self.verify.clone()?),
            LogKind::Drill => LogEvent::Drill(self.drill.clone()?),
            LogKind::Copy => LogEvent::Copy(self.copy.clone()?),
            LogKind::Rotate => LogEvent::Rotate(self.rotation.clone()?),
            LogKind::Compromise => LogEvent::Compromise(self.compromise.clone()?),
            LogKind::Acknowledge => LogEvent::Acknowledge(self.acknowledgement.clone()?),
            LogKind::SetAside => LogEvent::SetAside(self.set_aside.clone()?),
            LogKind::Drop => LogEvent::Drop(self.drop.clone()?),
            LogKind::Optimize => LogEvent::Optimize(self.optimize.clone()?, self.packs.clone()),
        };
        let has_nothing_else = Self::new(self.header(), &event) == *self;
        (has_nothing_else && event.has_valid_names()).then_some(event)
    }

    fn header(&self) -> Header {
        Header {
            number: self.number,
            previous: self.previous,
            vault: self.vault,
            repository: self.repository,
            time: self.time,
            tool: self.tool.clone(),
        }
    }
}

impl LogEvent {
    /// The kind of entry that records it.
    #[must_use]
    pub fn kind(&self) -> LogKind {
        match self {
            Self::Genesis(..) => LogKind::Genesis,
            Self::Attach(_) => LogKind::Attach,
            Self::Snapshot(..) => LogKind::Snapshot,
            Self::Verify(_) => LogKind::Verify,
            Self::Drill(_) => LogKind::Drill,
            Self::Copy(_) => LogKind::Copy,
            Self::Rotate(_) => LogKind::Rotate,
            Self::Compromise(_) => LogKind::Compromise,
            Self::Acknowledge(_) => LogKind::Acknowledge,
            Self::SetAside(_) => LogKind::SetAside,
            Self::Drop(_) => LogKind::Drop,
            Self::Optimize(..) => LogKind::Optimize,
        }
    }

    /// Names that become paths have the one form they may have.
    fn has_valid_names(&self) -> bool {
        match self {
            Self::Snapshot(_, packs) => packs.iter().all(PackRecord::is_possible),
            Self::Copy(copy) => match copy.form {
                CopyForm::Kit => copy.file.is_empty() && copy.bytes == 0,
                CopyForm::Escrow => escrow_key(&copy.file) == Some(copy.key),
            },
            Self::Drill(drill) => drill.files > 0,
            Self::SetAside(set_aside) => is_set_aside_name(&set_aside.directory),
            Self::Drop(drop) => is_list(&drop.snapshots),
            Self::Optimize(optimize, packs) => {
                is_list(&optimize.gone)
                    && optimize.gone.iter().all(|name| is_pack_name(name))
                    && packs.iter().all(PackRecord::is_possible)
            }
            Self::Genesis(..)
            | Self::Attach(_)
            | Self::Verify(_)
            | Self::Rotate(_)
            | Self::Compromise(_)
            | Self::Acknowledge(_) => true,
        }
    }
}

/// Whether there is something in a list, and each thing once, in order.
fn is_list<T: Ord>(list: &[T]) -> bool {
    !list.is_empty() && list.is_sorted_by(|one, next| one < next)
}

/// The name of an escrow file: the key it wraps, and a random part.
#[must_use]
pub fn escrow_name(key: KeyId, random: [u8; 4]) -> String {
    format!("{key}-{}.wrapped", to_hex(&random))
}

/// The key that an escrow file of this name wraps; `None` for any name that is not one of an escrow file.
#[must_use]
pub fn escrow_key(name: &str) -> Option<KeyId> {
    let (key, random) = name.strip_suffix(".wrapped")?.split_once('-')?;
    let is_random = from_hex(random).is_some_and(|bytes| bytes.len() == 4);
    key.parse().ok().filter(|_| is_random)
}

/// The name of a directory of remains that were set aside: a random part after the word.
#[must_use]
pub fn set_aside_name(random: [u8; 8]) -> String {
    format!("set-aside-{}", to_hex(&random))
}

/// Whether a name is one of a directory of remains.
#[must_use]
pub fn is_set_aside_name(name: &str) -> bool {
    name.strip_prefix("set-aside-")
        .and_then(from_hex)
        .is_some_and(|bytes| bytes.len() == 8)
}

/// The file name of entry `number`.
#[must_use]
pub fn file_name(number: u64) -> String {
    format!("{number:08}.toml")
}
