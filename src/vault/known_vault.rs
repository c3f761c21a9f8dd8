//! What was found to be authentic when a snapshot last opened the vault, so that the next one need not open it again: entries
//! of the log that name snapshots, and directories of snapshots. It saves reading, never decides truth: one that is not
//! exactly what the key holder wrote counts as none, and no other command than `snapshot` uses it. It lies outside the vault,
//! where nobody can change it who can only write to the vault: whoever had a key that was given up could make one up.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::host::directory;
use crate::host::disk;
use crate::host::file_system::{has_change_times, quiet_ns};
use crate::host::metadata::Fingerprint;
use crate::model::ids::{Digest, KeyId, SnapshotId, from_hex, to_hex};
use crate::model::inventory::{PackRecord, PackRole};
use crate::model::log_entry::SnapshotRecord;
use crate::model::signed::{Binding, SigningKey};
use crate::model::timestamp::Timestamp;
use crate::vault::inspect::Vault;
use crate::vault::keyring::KeySource;
use crate::vault::layout::Layout;
use crate::vault::log::Log;
use crate::vault::tagged::{self, Kind};

/// Known entries are written anew when there are so many more,
const NEW_ENTRIES: usize = 16;
/// and this part of those that were known.
const NEW_PART: usize = 64;

const KIND: Kind = Kind {
    name: "known vault 1",
    limit_bytes: 256 << 20,
};

/// A log entry that names a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownEntry {
    /// What its file looked like before it was read.
    pub look: Fingerprint,
    /// BLAKE3 of the entry before it.
    pub previous: Digest,
    /// BLAKE3 of its bytes.
    pub blake3: Digest,
    /// When it was made.
    pub time: Timestamp,
    /// The snapshot.
    pub snapshot: SnapshotRecord,
    /// The packs that came with it.
    pub packs: Vec<PackRecord>,
}

/// What is known.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct KnownVault {
    /// The key that signed the newest entry known.
    pub key: Option<KeyId>,
    /// Entries by number.
    pub entries: HashMap<u64, KnownEntry>,
    /// What directories of snapshots looked like when nothing but a manifest was in them.
    pub directories: HashMap<SnapshotId, Fingerprint>,
}

#[derive(Serialize, Deserialize)]
struct Content {
    entries: Vec<EntryRecord>,
    directories: Vec<(String, Fingerprint)>,
}

#[derive(Serialize, Deserialize)]
struct EntryRecord {
    number: u64,
    look: Fingerprint,
    previous: [u8; 32],
    blake3: [u8; 32],
    seconds: i64,
    id: String,
    manifest_bytes: u64,
    manifest_blake3: [u8; 32],
    packs: Vec<PackOnDisk>,
}

/// A pack record without the forms of text.
#[derive(Serialize, Deserialize)]
struct PackOnDisk {
    checksum: Vec<u8>,
    is_history: bool,
    of: Option<String>,
    promisor: bool,
    objects: u64,
    bytes: u64,
    blake3: [u8; 32],
    index_bytes: u64,
    index_blake3: [u8; 32],
}

impl KnownVault {
    /// Loads what is known; nothing when there is nothing that can be relied on.
    #[must_use]
    pub fn load(layout: &Layout, state_home: &Path, binding: Binding, source: &KeySource) -> Self {
        Self::read(layout, state_home, binding, source).unwrap_or_default()
    }

    fn read(
        layout: &Layout,
        state_home: &Path,
        binding: Binding,
        source: &KeySource,
    ) -> Option<Self> {
        if !tells_of_changes(&layout.log()) || !tells_of_changes(&layout.snapshots()) {
            return None;
        }
        let path = path(state_home, binding);
        let find = |key| source.load(key).ok();
        let (key, content): (_, Content) = tagged::read(KIND, &path, binding, find)?;
        let entries = content.entries.into_iter().map(entry);
        let directories = content.directories.into_iter();
        Some(Self {
            key: Some(key),
            entries: entries.collect::<Option<_>>()?,
            directories: directories
                .map(|(id, look)| Some((id.parse().ok()?, look)))
                .collect::<Option<_>>()?,
        })
    }

    /// What is known after a log was read and the directories of its snapshots were looked at, as far as it had been left
    /// alone for long enough by then.
    #[must_use]
    pub fn of(log: &Log, directories: &HashMap<SnapshotId, Fingerprint>, now: Timestamp) -> Self {
        let now_ns = i128::from(now.seconds()) * 1_000_000_000;
        let quiet_ns = quiet_ns();
        let is_settled =
            |look: &Fingerprint| quiet_ns.is_some_and(|quiet_ns| look.ctime_ns < now_ns - quiet_ns);
        let mut packs: HashMap<u64, Vec<PackRecord>> = HashMap::new();
        for (number, pack) in &log.arrivals {
            packs.entry(*number).or_default().push(pack.clone());
        }
        let dropped = log.dropped.iter().map(|dropped| &dropped.snapshot);
        let entries = log.snapshots.iter().chain(dropped).filter_map(|snapshot| {
            let number = snapshot.entry;
            let place = usize::try_from(number.checked_sub(1)?).ok()?;
            let look = log.looks.get(place).copied().flatten()?;
            let entry = KnownEntry {
                look,
                previous: log.hash_of(number - 1)?,
                blake3: log.hash_of(number)?,
                time: snapshot.time,
                snapshot: snapshot.record.clone(),
                packs: packs.remove(&number).unwrap_or_default(),
            };
            is_settled(&look).then_some((number, entry))
        });
        let settled = directories.iter().filter(|(_, look)| is_settled(look));
        Self {
            key: Some(log.keyring.active().id()),
            entries: entries.collect(),
            directories: settled.map(|(id, look)| (id.clone(), *look)).collect(),
        }
    }

    /// How many entries were left closed when the log was read.
    fn count_in(&self, log: &Log) -> usize {
        let is_same = |(number, entry): &(&u64, &KnownEntry)| {
            let place = usize::try_from(number.saturating_sub(1)).ok();
            let look = place.and_then(|place| log.looks.get(place)).copied();
            look.flatten() == Some(entry.look)
        };
        self.entries.iter().filter(is_same).count()
    }

    /// Writes what is known. It need not be durable: a torn one counts as none.
    ///
    /// # Errors
    /// When it cannot be written; nothing depends on it.
    pub fn save(&self, state_home: &Path, binding: Binding, key: &SigningKey) -> disk::Result<()> {
        let mut entries: Vec<EntryRecord> = self.entries.iter().filter_map(record).collect();
        entries.sort_unstable_by_key(|entry| entry.number);
        let directories = self.directories.iter();
        let content = Content {
            entries,
            directories: directories
                .map(|(id, look)| (id.to_string(), *look))
                .collect(),
        };
        tagged::write(KIND, &path(state_home, binding), binding, key, &content)
    }
}

/// Notes what is known after the vault was opened, and perhaps written to: now and then, for what is new costs little until it
/// is much.
///
/// # Errors
/// When it cannot be written; nothing depends on it.
pub fn remember(vault: &Vault, now: Timestamp) -> disk::Result<()> {
    let known = vault.known.count_in(&vault.log);
    let is_much = |all: usize| all.saturating_sub(known) >= NEW_ENTRIES + known / NEW_PART;
    // A dropped one has its entry still.
    if !is_much(vault.log.snapshots.len() + vault.log.dropped.len()) {
        return Ok(());
    }
    let all = KnownVault::of(&vault.log, &vault.looks.directories, now);
    if is_much(all.entries.len()) {
        all.save(&vault.homes.state, vault.binding, vault.key())
    } else {
        Ok(())
    }
}

fn path(state_home: &Path, binding: Binding) -> PathBuf {
    state_home.join("known").join(binding.vault.to_string())
}

/// Whether change times tell of every write to a file in a directory.
#[must_use]
pub fn tells_of_changes(directory: &Path) -> bool {
    directory::open_directory(directory).is_ok_and(|directory| has_change_times(&directory))
}

fn entry(record: EntryRecord) -> Option<(u64, KnownEntry)> {
    let packs = record.packs.into_iter().map(|pack| {
        Some(PackRecord {
            name: format!("pack-{}", to_hex(&pack.checksum)),
            role: if pack.is_history {
                PackRole::History
            } else {
                PackRole::Capture
            },
            of: match pack.of {
                Some(of) => Some(of.parse().ok()?),
                None => None,
            },
            promisor: pack.promisor,
            objects: pack.objects,
            bytes: pack.bytes,
            blake3: Digest::from_bytes(pack.blake3),
            index_bytes: pack.index_bytes,
            index_blake3: Digest::from_bytes(pack.index_blake3),
        })
    });
    let entry = KnownEntry {
        look: record.look,
        previous: Digest::from_bytes(record.previous),
        blake3: Digest::from_bytes(record.blake3),
        time: Timestamp::from_seconds(record.seconds),
        snapshot: SnapshotRecord {
            id: record.id.parse().ok()?,
            manifest_bytes: record.manifest_bytes,
            manifest_blake3: Digest::from_bytes(record.manifest_blake3),
        },
        packs: packs.collect::<Option<_>>()?,
    };
    Some((record.number, entry))
}

fn record((number, entry): (&u64, &KnownEntry)) -> Option<EntryRecord> {
    let packs = entry.packs.iter().map(|pack| {
        Some(PackOnDisk {
            checksum: from_hex(pack.name.strip_prefix("pack-")?)?,
            is_history: pack.role == PackRole::History,
            of: pack.of.as_ref().map(ToString::to_string),
            promisor: pack.promisor,
            objects: pack.objects,
            bytes: pack.bytes,
            blake3: *pack.blake3.as_bytes(),
            index_bytes: pack.index_bytes,
            index_blake3: *pack.index_blake3.as_bytes(),
        })
    });
    Some(EntryRecord {
        number: *number,
        look: entry.look,
        previous: *entry.previous.as_bytes(),
        blake3: *entry.blake3.as_bytes(),
        seconds: entry.time.seconds(),
        id: entry.snapshot.id.to_string(),
        manifest_bytes: entry.snapshot.manifest_bytes,
        manifest_blake3: *entry.snapshot.manifest_blake3.as_bytes(),
        packs: packs.collect::<Option<_>>()?,
    })
}
