//! The log: one signed file per event, each naming the hash of the one before. It says which snapshots and packs exist.

use crate::host::disk;
use crate::host::random::random_bytes;
use crate::model::ids::{Digest, SnapshotId, to_hex};
use crate::model::inventory::Inventory;
use crate::model::log_entry::{
    Attachment, LogEntry, LogKind, SnapshotRecord, VerifyRecord, file_name,
};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::signed::{self, Binding, Purpose, SigningKey};
use crate::model::timestamp::Timestamp;
use crate::vault::inspect::refuse_signed;
use crate::vault::layout::Layout;

/// Largest log entry read.
const LIMIT_BYTES: u64 = 1 << 20;

/// How often a number that another process took is tried anew.
const ATTEMPTS: usize = 100;

/// A snapshot, as the log knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedSnapshot {
    /// Its running number, from 1.
    pub number: u64,
    /// The number of its log entry.
    pub entry: u64,
    /// When it was sealed.
    pub time: Timestamp,
    /// Id and hash of its manifest.
    pub record: SnapshotRecord,
}

/// A verification, as the log knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedVerify {
    /// When.
    pub time: Timestamp,
    /// What was checked.
    pub record: VerifyRecord,
}

/// The log, read and authenticated from its first entry to its last.
#[derive(Debug, Clone, Default)]
pub struct Log {
    /// Number of the newest entry; 0 for no entry.
    pub head: u64,
    /// BLAKE3 of the newest entry.
    pub head_blake3: Option<Digest>,
    /// When the newest entry was made.
    pub head_time: Option<Timestamp>,
    /// BLAKE3 of every entry, the first one first.
    pub hashes: Vec<Digest>,
    /// Every pack with the number of the entry that brought it.
    pub arrivals: Vec<(u64, crate::model::inventory::PackRecord)>,
    /// The packs that exist.
    pub inventory: Inventory,
    /// The snapshots that exist, oldest first.
    pub snapshots: Vec<LoggedSnapshot>,
    /// The verifications, oldest first.
    pub verifications: Vec<LoggedVerify>,
    /// The repository the vault is attached to.
    pub attachment: Option<Attachment>,
}

/// What shall be appended.
#[derive(Debug, Clone)]
pub struct NewEntry {
    /// When.
    pub time: Timestamp,
    /// The event: the tables that `kind` needs are filled.
    pub kind: LogKind,
    /// For genesis and attach.
    pub attachment: Option<Attachment>,
    /// For a snapshot.
    pub snapshot: Option<SnapshotRecord>,
    /// For a verification.
    pub verify: Option<VerifyRecord>,
    /// Packs that come with it.
    pub packs: Vec<crate::model::inventory::PackRecord>,
}

impl NewEntry {
    /// An entry of a kind, at a time, with nothing else.
    #[must_use]
    pub fn new(kind: LogKind, time: Timestamp) -> Self {
        Self {
            time,
            kind,
            attachment: None,
            snapshot: None,
            verify: None,
            packs: Vec::new(),
        }
    }
}

impl Log {
    /// Reads all entries. Their names must be exactly the numbers from 1 up.
    ///
    /// # Errors
    /// When an entry is missing, foreign, damaged, forged, of unknown format, or out of chain.
    pub fn read(layout: &Layout, binding: Binding, key: &SigningKey) -> Result<Self> {
        let mut log = Self::default();
        let names = disk::list(&layout.log()).map_err(|error| error.refuse_vault_read())?;
        for (name, number) in names.iter().zip(1_u64..) {
            if name.to_str() != Some(file_name(number).as_str()) {
                return Err(log.wrong_name(layout, name, number));
            }
            log.read_next(layout, binding, key)?;
        }
        if log.head == 0 {
            return Err(
                Refusal::new(RefusalCode::LogBroken, "the log has no first entry")
                    .because(format!("'{}' is empty", layout.log().display())),
            );
        }
        Ok(log)
    }

    fn wrong_name(&self, layout: &Layout, name: &std::ffi::OsStr, expected: u64) -> Refusal {
        let is_number = name
            .to_str()
            .and_then(|name| name.strip_suffix(".toml"))
            .is_some_and(|digits| {
                digits.len() >= 8 && digits.bytes().all(|digit| digit.is_ascii_digit())
            });
        let path = layout.log().join(name);
        if is_number {
            Refusal::new(
                RefusalCode::LogBroken,
                format!("log entry {expected} is missing"),
            )
            .because(format!(
                "after entry {}, the next one found is '{}'",
                self.head,
                path.display()
            ))
        } else {
            Refusal::new(
                RefusalCode::VaultForeignFile,
                format!("'{}' does not belong there", path.display()),
            )
        }
    }

    /// Reads the entry after the newest one known.
    fn read_next(&mut self, layout: &Layout, binding: Binding, key: &SigningKey) -> Result<()> {
        let number = self.head + 1;
        let path = layout.log_entry(number);
        let bytes =
            disk::read_bounded(&path, LIMIT_BYTES).map_err(|error| error.refuse_vault_read())?;
        let body = signed::open(&bytes, Purpose::Log, binding, key)
            .map_err(|error| refuse_signed(&error, &path))?;
        let malformed = |reason: String| {
            Refusal::new(
                RefusalCode::RecordMalformed,
                format!("'{}' cannot be understood", path.display()),
            )
            .because(reason)
        };
        let entry: LogEntry =
            toml::from_str(body).map_err(|error| malformed(error.message().to_owned()))?;
        if !entry.is_consistent() || toml::to_string(&entry).ok().as_deref() != Some(body) {
            return Err(malformed("not in canonical form".to_owned()));
        }
        if entry.vault != binding.vault
            || entry.repository != binding.repository
            || entry.number != number
        {
            return Err(Refusal::new(
                RefusalCode::RecordMisplaced,
                format!("'{}' is another record", path.display()),
            )
            .because(format!(
                "expected entry {number} of vault {}",
                binding.vault
            ))
            .because(format!(
                "found entry {} of vault {}",
                entry.number, entry.vault
            )));
        }
        let previous = self.head_blake3.unwrap_or(Digest::from_bytes([0; 32]));
        if entry.previous != previous {
            return Err(Refusal::new(
                RefusalCode::LogBroken,
                format!("log entry {number} does not follow entry {}", self.head),
            )
            .because(format!(
                "it names {} as the one before, found {previous}",
                entry.previous
            )));
        }
        self.accept(entry, Digest::of(&bytes), &path)
    }

    /// Takes an authentic entry into account.
    fn accept(&mut self, entry: LogEntry, blake3: Digest, path: &std::path::Path) -> Result<()> {
        let contradiction = |what: String| {
            Refusal::new(
                RefusalCode::RecordContradiction,
                format!("'{}' contradicts the entries before it", path.display()),
            )
            .because(what)
        };
        if (entry.kind == LogKind::Genesis) != (entry.number == 1) {
            return Err(contradiction(
                "the genesis entry is the first one and no other".to_owned(),
            ));
        }
        for pack in entry.packs {
            self.arrivals.push((entry.number, pack.clone()));
            self.inventory
                .add(pack)
                .map_err(|pack| contradiction(format!("{} is there already", pack.name)))?;
        }
        if let Some(record) = entry.snapshot {
            if self.find(&record.id).is_some() {
                return Err(contradiction(format!(
                    "snapshot {} is there already",
                    record.id
                )));
            }
            let number = self.snapshots.len() as u64 + 1;
            self.snapshots.push(LoggedSnapshot {
                number,
                entry: entry.number,
                time: entry.time,
                record,
            });
        }
        if let Some(record) = entry.verify {
            self.verifications.push(LoggedVerify {
                time: entry.time,
                record,
            });
        }
        if entry.attachment.is_some() {
            self.attachment = entry.attachment;
        }
        self.head = entry.number;
        self.head_blake3 = Some(blake3);
        self.head_time = Some(entry.time);
        self.hashes.push(blake3);
        Ok(())
    }

    /// The snapshot of that id.
    #[must_use]
    pub fn find(&self, id: &SnapshotId) -> Option<&LoggedSnapshot> {
        self.snapshots
            .iter()
            .find(|snapshot| snapshot.record.id == *id)
    }

    /// The packs that existed after entry `number`.
    #[must_use]
    pub fn inventory_at(&self, number: u64) -> Inventory {
        let mut inventory = Inventory::default();
        for (_, pack) in self.arrivals.iter().filter(|(entry, _)| *entry <= number) {
            // Names are unique, or the log would not have been accepted.
            drop(inventory.add(pack.clone()));
        }
        inventory
    }

    /// The hash of entry `number`.
    #[must_use]
    pub fn hash_of(&self, number: u64) -> Option<Digest> {
        let place = usize::try_from(number.checked_sub(1)?).ok()?;
        self.hashes.get(place).copied()
    }

    /// Appends an entry: written beside the log, made durable, then linked under the next free number. The link is the
    /// moment from which the event has happened. The loser of a race reads what the winner wrote and takes the next.
    ///
    /// # Errors
    /// When writing fails, or others keep taking the numbers.
    pub fn append(
        &mut self,
        layout: &Layout,
        binding: Binding,
        key: &SigningKey,
        new: &NewEntry,
    ) -> Result<u64> {
        for _ in 0..ATTEMPTS {
            let number = self.head + 1;
            self.check_additions(new)?;
            let bytes = self.compose(number, binding, key, new)?;
            let random: [u8; 8] = random_bytes().unwrap_or_default();
            let temporary = layout.cache().join(format!("log-{}.toml", to_hex(&random)));
            disk::write_new(&temporary, &bytes).map_err(|error| error.refuse_vault_write())?;
            match disk::link_new(&temporary, &layout.log_entry(number)) {
                Ok(()) => {}
                Err(error) if error.is_already_there() => {
                    remove(&temporary)?;
                    self.read_next(layout, binding, key)?;
                    self.check_still_newest(new)?;
                    continue;
                }
                Err(error) => return Err(error.refuse_vault_write()),
            }
            disk::sync_directory(&layout.log()).map_err(|error| unconfirmed(&error, number))?;
            // A second name in the cache harms nobody.
            drop(remove(&temporary));
            self.read_next(layout, binding, key)?;
            return Ok(number);
        }
        Err(Refusal::new(
            RefusalCode::AnotherWriter,
            "other processes keep writing to the vault",
        ))
    }

    /// A snapshot stands on the one before it: on its holes and its packs. When another one came first, it must be made anew.
    fn check_still_newest(&self, new: &NewEntry) -> Result<()> {
        let newest_is_snapshot = self
            .snapshots
            .last()
            .is_some_and(|snapshot| snapshot.entry == self.head);
        if new.snapshot.is_some() && newest_is_snapshot {
            return Err(other_snapshot());
        }
        Ok(())
    }

    /// What another process added meanwhile must not be added again: the entry would contradict the log for ever.
    fn check_additions(&self, new: &NewEntry) -> Result<()> {
        let known_pack = new
            .packs
            .iter()
            .any(|pack| self.inventory.get(&pack.name).is_some());
        let known_snapshot = new
            .snapshot
            .as_ref()
            .is_some_and(|record| self.find(&record.id).is_some());
        if known_pack || known_snapshot {
            return Err(other_snapshot());
        }
        Ok(())
    }

    fn compose(
        &self,
        number: u64,
        binding: Binding,
        key: &SigningKey,
        new: &NewEntry,
    ) -> Result<Vec<u8>> {
        let entry = LogEntry {
            number,
            previous: self.head_blake3.unwrap_or(Digest::from_bytes([0; 32])),
            vault: binding.vault,
            repository: binding.repository,
            time: new.time,
            tool: crate::vault::inspect::TOOL.to_owned(),
            kind: new.kind,
            attachment: new.attachment.clone(),
            snapshot: new.snapshot.clone(),
            verify: new.verify.clone(),
            packs: new.packs.clone(),
        };
        let internal = |reason: String| {
            Refusal::new(RefusalCode::Internal, "a log entry cannot be written").because(reason)
        };
        let body = toml::to_string(&entry).map_err(|error| internal(error.to_string()))?;
        let bytes = signed::sign(&body, Purpose::Log, binding, key)
            .map_err(|error| internal(error.to_string()))?;
        // What could not be read again would make the vault unreadable for ever.
        let read = signed::open(&bytes, Purpose::Log, binding, key)
            .map_err(|error| internal(error.to_string()))?;
        let again: LogEntry = toml::from_str(read).map_err(|error| internal(error.to_string()))?;
        if again != entry || !again.is_consistent() || bytes.len() as u64 > LIMIT_BYTES {
            return Err(internal(
                "it would read differently than it was meant".to_owned(),
            ));
        }
        if toml::to_string(&again).ok().as_deref() != Some(read) {
            return Err(internal("it would not be in canonical form".to_owned()));
        }
        Ok(bytes)
    }
}

fn other_snapshot() -> Refusal {
    Refusal::new(
        RefusalCode::AnotherWriter,
        "another process made a snapshot at the same time",
    )
    .because("its log entry came first")
    .next(
        "git vault snapshot",
        "makes a snapshot of what is new since then",
    )
}

/// The entry has its name, and the system would not say that the name is durable.
fn unconfirmed(error: &disk::Error, number: u64) -> Refusal {
    error
        .refuse_vault_write()
        .having_changed(format!(
            "log entry {number} was written, and may or may not survive a power cut: do not rely on what it says"
        ))
        .keeping("the source repository and all earlier snapshots are untouched")
        .next("git vault verify", "says whether the vault is whole")
}

fn remove(path: &std::path::Path) -> Result<()> {
    use crate::host::disk::Context as _;
    std::fs::remove_file(path)
        .context("remove", path)
        .map_err(|error| error.refuse_vault_write())
}
