//! The log: one signed file per event, each naming the hash of the one before. It says which snapshots and packs exist, and
//! which key signs.

use std::collections::HashMap;
use std::convert::Infallible;
use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use crate::host::directory;
use crate::host::disk;
use crate::host::metadata::{Fingerprint, glance, look_at_open};
use crate::host::parallel;
use crate::model::ids::{Digest, KeyId, SnapshotId};
use crate::model::inventory::{Inventory, PackRecord};
use crate::model::log_entry::{
    Acknowledgement, Attachment, CopyRecord, DrillRecord, LogEntry, LogEvent, Predecessor,
    SetAside, SnapshotRecord, VerifyRecord, file_name,
};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::signed::{self, Binding, Purpose, SigningKey};
use crate::model::timestamp::Timestamp;
use crate::vault::inspect::refuse_signed;
use crate::vault::keyring::{KeySource, Keyring};
use crate::vault::known_vault::{KnownEntry, KnownVault};
use crate::vault::layout::Layout;
use crate::vault::log_changes::{Dropped, Optimized};

/// Largest log entry read.
pub const LIMIT_BYTES: u64 = 1 << 20;

/// So many entries are opened together.
const OPENED_TOGETHER: usize = 1024;

/// So many entries are worth other threads.
const WORTH_OPENING_AHEAD: usize = 64;

/// An entry whose signature and form are right.
struct Opened {
    number: u64,
    previous: Digest,
    time: Timestamp,
    event: LogEvent,
    blake3: Digest,
    /// What its file looked like before it was read.
    look: Option<Fingerprint>,
}

/// What all entries are opened with.
struct Opening<'a> {
    layout: &'a Layout,
    binding: Binding,
    /// The directory, where entries are known that may be left closed.
    directory: Option<File>,
    known: &'a KnownVault,
    /// The number of the newest entry, which is always read.
    newest: u64,
}

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

/// Any other event, as the log knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged<T> {
    /// The number of its log entry.
    pub entry: u64,
    /// When.
    pub time: Timestamp,
    /// What it says.
    pub record: T,
}

/// The log, read and authenticated from its first entry to its last.
#[derive(Debug, Clone)]
pub struct Log {
    /// Number of the newest entry; 0 for no entry.
    pub head: u64,
    /// BLAKE3 of the newest entry.
    pub head_blake3: Option<Digest>,
    /// When the newest entry was made.
    pub head_time: Option<Timestamp>,
    /// BLAKE3 of every entry, the first one first.
    pub hashes: Vec<Digest>,
    /// What the file of every entry looked like before it was read, if it was looked at.
    pub looks: Vec<Option<Fingerprint>>,
    /// Every pack with the number of the entry that brought it, those that went since included.
    pub arrivals: Vec<(u64, PackRecord)>,
    /// The names of packs that went, each with the number of the entry that says so.
    pub departures: Vec<(u64, String)>,
    /// What took the place of packs that went, oldest first.
    pub optimizes: Vec<Logged<Optimized>>,
    /// The snapshots that were given up, oldest entry first.
    pub dropped: Vec<Dropped>,
    /// How many snapshots were ever sealed.
    pub sealed: u64,
    /// The packs that exist.
    pub inventory: Inventory,
    /// The snapshots that exist, oldest first.
    pub snapshots: Vec<LoggedSnapshot>,
    /// Where in `snapshots` each of them is.
    pub(super) places: HashMap<SnapshotId, usize>,
    /// Where in `dropped` each of those is.
    pub(super) dropped_places: HashMap<SnapshotId, usize>,
    /// The verifications, oldest first.
    pub verifications: Vec<Logged<VerifyRecord>>,
    /// The drills, oldest first.
    pub drills: Vec<Logged<DrillRecord>>,
    /// The copies of keys that were shown to be whole, oldest first.
    pub copies: Vec<Logged<CopyRecord>>,
    /// What people stated about entries that are gone, oldest first.
    pub acknowledgements: Vec<Logged<Acknowledgement>>,
    /// Remains that were moved out of the way, oldest first.
    pub set_aside: Vec<Logged<SetAside>>,
    /// The repository the vault is attached to.
    pub attachment: Option<Attachment>,
    /// The vault that this one continues.
    pub predecessor: Option<Predecessor>,
    /// The keys that signed, and the one that signs next.
    pub keyring: Keyring,
}

impl Log {
    /// A log without entries, whose first one `first` will sign.
    #[must_use]
    pub fn new(source: KeySource, first: Arc<SigningKey>) -> Self {
        Self {
            head: 0,
            head_blake3: None,
            head_time: None,
            hashes: Vec::new(),
            looks: Vec::new(),
            arrivals: Vec::new(),
            departures: Vec::new(),
            optimizes: Vec::new(),
            dropped: Vec::new(),
            sealed: 0,
            inventory: Inventory::default(),
            snapshots: Vec::new(),
            places: HashMap::new(),
            dropped_places: HashMap::new(),
            verifications: Vec::new(),
            drills: Vec::new(),
            copies: Vec::new(),
            acknowledgements: Vec::new(),
            set_aside: Vec::new(),
            attachment: None,
            predecessor: None,
            keyring: Keyring::new(source, first),
        }
    }

    /// Reads all entries but those that are known and look as they did. Their names must be exactly the numbers from 1 up.
    ///
    /// # Errors
    /// When an entry is missing, foreign, damaged, forged, of unknown format, or out of chain.
    pub fn read(
        layout: &Layout,
        binding: Binding,
        source: &KeySource,
        first: &Arc<SigningKey>,
        known: &KnownVault,
    ) -> Result<Self> {
        let nothing = KnownVault::default();
        // Who has a key that was given up could make up what is known: the newest entry must be signed by the key of its tag.
        let is_of_today = || -> Option<bool> {
            let newest = disk::list(&layout.log()).ok()?.len() as u64;
            let key = source.load(known.key?).ok()?;
            Some(open_entry(layout, binding, newest, &key).is_ok())
        };
        if known.entries.is_empty() || is_of_today() != Some(true) {
            return Self::read_with(layout, binding, source, first, &nothing);
        }
        let log = Self::read_with(layout, binding, source, first, known)?;
        if known.key == Some(log.keyring.active().id()) {
            return Ok(log);
        }
        Self::read_with(layout, binding, source, first, &nothing)
    }

    fn read_with(
        layout: &Layout,
        binding: Binding,
        source: &KeySource,
        first: &Arc<SigningKey>,
        known: &KnownVault,
    ) -> Result<Self> {
        let mut log = Self::new(source.clone(), Arc::clone(first));
        let opening = Opening {
            layout,
            binding,
            directory: directory::open_directory(&layout.log()).ok(),
            known,
            newest: 0,
        };
        let names = disk::list(&layout.log()).map_err(|error| error.refuse_vault_read())?;
        let numbered: Vec<(&OsString, u64)> = names.iter().zip(1_u64..).collect();
        let opening = Opening {
            newest: names.len() as u64,
            ..opening
        };
        for together in numbered.chunks(OPENED_TOGETHER) {
            let mut ahead = log.open_ahead(&opening, together);
            for (name, number) in together {
                if name.to_str() != Some(file_name(*number).as_str()) {
                    return Err(log.wrong_name(layout, name, *number));
                }
                match ahead.remove(number) {
                    Some((key, opened)) if key == log.keyring.active().id() => {
                        log.follow(layout, binding, opened)?;
                    }
                    _ => {
                        let opened = opening.open(*number, log.keyring.active())?;
                        log.follow(layout, binding, opened)?;
                    }
                }
            }
        }
        if log.head == 0 {
            return Err(
                Refusal::new(RefusalCode::LogBroken, "the log has no first entry")
                    .because(format!("'{}' is empty", layout.log().display()))
                    .about_difference(&layout.log(), "log entries", "none"),
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
            .about_difference(&layout.log_entry(expected), "to be there", "nothing")
            .about(&path)
        } else {
            Refusal::new(
                RefusalCode::VaultForeignFile,
                format!("'{}' does not belong there", path.display()),
            )
            .about_difference(&path, "log entries only", "another name")
        }
    }

    /// Opens entries on all cores, with the key that signs now; those that cannot be opened so are left to be read in their turn.
    fn open_ahead(
        &self,
        opening: &Opening<'_>,
        numbered: &[(&OsString, u64)],
    ) -> HashMap<u64, (KeyId, Opened)> {
        let opened = Mutex::new(HashMap::new());
        if numbered.len() < WORTH_OPENING_AHEAD {
            return HashMap::new();
        }
        let key = self.keyring.active();
        let id = key.id();
        let done: std::result::Result<(), Infallible> =
            parallel::for_each(numbered, |(_, number)| {
                if let Ok(entry) = opening.open(*number, key) {
                    let mut opened = opened.lock().unwrap_or_else(PoisonError::into_inner);
                    opened.insert(*number, (id, entry));
                }
                Ok(())
            });
        let Ok(()) = done;
        opened.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reads the entry after the newest one known.
    ///
    /// # Errors
    /// When it is missing, damaged, forged, of unknown format, or out of chain.
    pub fn read_next(&mut self, layout: &Layout, binding: Binding) -> Result<()> {
        let opened = open_entry(layout, binding, self.head + 1, self.keyring.active())?;
        self.follow(layout, binding, opened)
    }

    /// Takes an authentic entry for the next one, if it follows the newest one known.
    fn follow(&mut self, layout: &Layout, binding: Binding, opened: Opened) -> Result<()> {
        let number = self.head + 1;
        let path = layout.log_entry(number);
        let previous = self.head_blake3.unwrap_or(Digest::from_bytes([0; 32]));
        if opened.previous != previous {
            return Err(Refusal::new(
                RefusalCode::LogBroken,
                format!("log entry {number} does not follow entry {}", self.head),
            )
            .because(format!(
                "it names {} as the one before, found {previous}",
                opened.previous
            ))
            .about_difference(
                &path,
                format!("previous {previous}"),
                format!("previous {}", opened.previous),
            )
            .about(&layout.log_entry(self.head)));
        }
        let (blake3, time, look) = (opened.blake3, opened.time, opened.look);
        self.accept(opened, binding, &path)?;
        self.head = number;
        self.head_blake3 = Some(blake3);
        self.head_time = Some(time);
        self.hashes.push(blake3);
        self.looks.push(look);
        Ok(())
    }

    /// Takes an authentic entry into account.
    fn accept(&mut self, entry: Opened, binding: Binding, path: &Path) -> Result<()> {
        let contradiction = |what: String| {
            Refusal::new(
                RefusalCode::RecordContradiction,
                format!("'{}' contradicts the entries before it", path.display()),
            )
            .because(what)
            .about(path)
        };
        let (number, time, event) = (entry.number, entry.time, entry.event);
        if matches!(event, LogEvent::Genesis(..)) != (number == 1) {
            return Err(contradiction(
                "the genesis entry is the first one and no other".to_owned(),
            ));
        }
        if let Some(what) = self.contradicted(number, &event) {
            return Err(contradiction(what));
        }
        match event {
            LogEvent::Genesis(attachment, predecessor) => {
                self.attachment = Some(attachment);
                self.predecessor = predecessor;
            }
            LogEvent::Attach(attachment) => self.attachment = Some(attachment),
            LogEvent::Snapshot(record, packs) => {
                self.accept_snapshot(number, time, record, packs)
                    .map_err(contradiction)?;
            }
            LogEvent::Verify(record) => self.verifications.push(logged(number, time, record)),
            LogEvent::Drill(record) => self.drills.push(logged(number, time, record)),
            LogEvent::Copy(record) => self.copies.push(logged(number, time, record)),
            LogEvent::Acknowledge(record) => {
                self.acknowledgements.push(logged(number, time, record));
            }
            LogEvent::SetAside(record) => self.set_aside.push(logged(number, time, record)),
            LogEvent::Drop(record) => self.accept_drop(number, time, &record),
            LogEvent::Optimize(record, packs) => {
                self.accept_optimize(number, time, record, packs);
            }
            LogEvent::Compromise(record) => {
                self.keyring
                    .compromise(number, &record)
                    .map_err(contradiction)?;
            }
            LogEvent::Rotate(record) => {
                self.keyring
                    .rotate(number, entry.previous, binding, &record)?
                    .map_err(contradiction)?;
            }
        }
        Ok(())
    }

    /// Why what an entry states cannot be so after the entries before it.
    pub(super) fn contradicted(&self, number: u64, event: &LogEvent) -> Option<String> {
        match event {
            LogEvent::Verify(verify) if verify.up_to >= number => Some(format!(
                "it states that entry {} was verified, which is not an earlier one",
                verify.up_to
            )),
            LogEvent::Drill(drill) if self.find(&drill.snapshot).is_none() => {
                Some(format!("there is no snapshot {} yet", drill.snapshot))
            }
            LogEvent::Copy(copy) if self.keyring.named(copy.key).is_none() => {
                Some(format!("key {} has not signed", copy.key))
            }
            LogEvent::Acknowledge(statement)
                if self.hash_of(statement.found) != Some(statement.found_blake3) =>
            {
                Some(format!("entry {} is another", statement.found))
            }
            LogEvent::Drop(drop) => self.drop_contradicted(drop),
            LogEvent::Optimize(optimize, packs) => self.optimize_contradicted(optimize, packs),
            LogEvent::Genesis(..)
            | LogEvent::Attach(_)
            | LogEvent::Snapshot(..)
            | LogEvent::Verify(_)
            | LogEvent::Drill(_)
            | LogEvent::Copy(_)
            | LogEvent::Rotate(_)
            | LogEvent::Compromise(_)
            | LogEvent::Acknowledge(_)
            | LogEvent::SetAside(_) => None,
        }
    }

    fn accept_snapshot(
        &mut self,
        entry: u64,
        time: Timestamp,
        record: SnapshotRecord,
        packs: Vec<PackRecord>,
    ) -> std::result::Result<(), String> {
        if self.find(&record.id).is_some() || self.find_dropped(&record.id).is_some() {
            return Err(format!("snapshot {} was there already", record.id));
        }
        for pack in packs {
            self.arrivals.push((entry, pack.clone()));
            self.inventory
                .add(pack)
                .map_err(|pack| format!("{} is there already", pack.name))?;
        }
        self.places.insert(record.id.clone(), self.snapshots.len());
        self.sealed += 1;
        self.snapshots.push(LoggedSnapshot {
            number: self.sealed,
            entry,
            time,
            record,
        });
        Ok(())
    }

    /// The snapshot of that id.
    #[must_use]
    pub fn find(&self, id: &SnapshotId) -> Option<&LoggedSnapshot> {
        self.snapshots.get(*self.places.get(id)?)
    }

    /// The hash of entry `number`.
    #[must_use]
    pub fn hash_of(&self, number: u64) -> Option<Digest> {
        let place = usize::try_from(number.checked_sub(1)?).ok()?;
        self.hashes.get(place).copied()
    }

    /// The first snapshot entry that is not accepted, because somebody else may have had its key by then. Snapshots that
    /// came later stand on its packs, so they are not accepted either, whoever signed them; none is when packs may have been
    /// replaced by somebody else.
    #[must_use]
    pub fn first_doubtful(&self) -> Option<u64> {
        let entries = self.snapshots.iter().map(|snapshot| snapshot.entry);
        let mut optimizes = self.optimizes.iter();
        // What such an entry brought may be somebody else's, and any snapshot may stand on it.
        if optimizes.any(|optimize| !self.keyring.accepts(optimize.entry)) {
            return Some(self.snapshots.first().map_or(0, |first| first.entry));
        }
        entries
            .into_iter()
            .find(|entry| !self.keyring.accepts(*entry))
    }

    /// Whether a snapshot is accepted on the signatures of its records.
    #[must_use]
    pub fn accepts(&self, snapshot: &LoggedSnapshot) -> bool {
        self.first_doubtful()
            .is_none_or(|doubtful| snapshot.entry < doubtful)
    }

    /// The snapshots that are accepted, oldest first.
    pub fn accepted(&self) -> impl DoubleEndedIterator<Item = &LoggedSnapshot> {
        let doubtful = self.first_doubtful().unwrap_or(u64::MAX);
        self.snapshots
            .iter()
            .filter(move |snapshot| snapshot.entry < doubtful)
    }

    /// The newest event of a list that is still accepted.
    pub fn newest_accepted<'a, T>(
        &'a self,
        events: &'a [Logged<T>],
    ) -> impl Iterator<Item = &'a Logged<T>> {
        events
            .iter()
            .rev()
            .filter(|event| self.keyring.accepts(event.entry))
    }

    /// The newest copy of the key of that id that was shown to be whole, in each form.
    pub fn copies_of(&self, key: KeyId) -> impl Iterator<Item = &Logged<CopyRecord>> {
        let mut forms = Vec::new();
        self.newest_accepted(&self.copies)
            .filter(move |copy| copy.record.key == key)
            .filter(move |copy| {
                // The same kit confirmed again is no other kit.
                let is_new = !forms.contains(&copy.record.form);
                forms.push(copy.record.form);
                is_new
            })
    }
}

/// An entry that `key` has signed, by itself: whether it follows the one before is not asked yet.
fn open_entry(layout: &Layout, binding: Binding, number: u64, key: &SigningKey) -> Result<Opened> {
    let path = layout.log_entry(number);
    let bytes =
        disk::read_bounded(&path, LIMIT_BYTES).map_err(|error| error.refuse_vault_read())?;
    understand(&path, &bytes, binding, number, key)
}

/// The entry that bytes are, if `key` has signed it.
fn understand(
    path: &Path,
    bytes: &[u8],
    binding: Binding,
    number: u64,
    key: &SigningKey,
) -> Result<Opened> {
    let body = signed::open(bytes, Purpose::Log, binding, key)
        .map_err(|error| refuse_signed(&error, path))?;
    let malformed = |reason: String| {
        Refusal::new(
            RefusalCode::RecordMalformed,
            format!("'{}' cannot be understood", path.display()),
        )
        .because(reason)
        .about(path)
    };
    let entry: LogEntry =
        toml::from_str(body).map_err(|error| malformed(error.message().to_owned()))?;
    let event = entry
        .event()
        .filter(|_| toml::to_string(&entry).ok().as_deref() == Some(body))
        .ok_or_else(|| malformed("not in canonical form".to_owned()))?;
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
        ))
        .about_difference(
            path,
            format!("entry {number} of vault {}", binding.vault),
            format!("entry {} of vault {}", entry.number, entry.vault),
        ));
    }
    Ok(Opened {
        number,
        previous: entry.previous,
        time: entry.time,
        event,
        blake3: Digest::of(bytes),
        look: None,
    })
}

impl Opening<'_> {
    /// Opens an entry that `key` has signed, or takes it as it is known.
    fn open(&self, number: u64, key: &SigningKey) -> Result<Opened> {
        let name = file_name(number);
        let known = self
            .known
            .entries
            .get(&number)
            .filter(|_| number < self.newest);
        if let (Some(known), Some(directory)) = (known, &self.directory)
            && glance(directory, &name) == Some(known.look)
        {
            return Ok(Self::left_closed(number, known));
        }
        let path = self.layout.log_entry(number);
        let Some(Ok(file)) = self
            .directory
            .as_ref()
            .map(|directory| directory::open_regular_in(directory, &name, &path))
        else {
            // By its path, as everything is whose refusal must say what is wrong.
            return open_entry(self.layout, self.binding, number, key);
        };
        // Look and bytes are of the same open file, whatever stands under its name meanwhile.
        let look = look_at_open(&file, &path).ok();
        let bytes = disk::read_open(&file, &path, LIMIT_BYTES);
        let bytes = bytes.map_err(|error| error.refuse_vault_read())?;
        let opened = understand(&path, &bytes, self.binding, number, key)?;
        let is_same = look_at_open(&file, &path).ok() == look;
        Ok(Opened {
            look: look.filter(|_| is_same),
            ..opened
        })
    }

    /// An entry that is known. The chain was followed when it was read: the one before is known with it, or read again.
    fn left_closed(number: u64, known: &KnownEntry) -> Opened {
        Opened {
            number,
            previous: known.previous,
            time: known.time,
            event: LogEvent::Snapshot(known.snapshot.clone(), known.packs.clone()),
            blake3: known.blake3,
            look: Some(known.look),
        }
    }
}

pub(super) fn logged<T>(entry: u64, time: Timestamp, record: T) -> Logged<T> {
    Logged {
        entry,
        time,
        record,
    }
}
