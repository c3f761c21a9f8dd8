//! The index: the list of snapshots as a cache. It saves opening every manifest for `list`; nothing else reads it. One that
//! is not exactly what the key holder wrote, or does not agree with the log, is refused and never mended by itself.

use std::fmt::Display;
use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::host::disk;
use crate::host::parallel;
use crate::model::ids::Digest;
use crate::model::manifest::Manifest;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::signed::{self, Purpose};
use crate::model::timestamp::Timestamp;
use crate::vault::inspect::Vault;
use crate::vault::keyring::KeyState;
use crate::vault::log::LoggedSnapshot;
use crate::vault::reader::{check_copy, read_manifest};

/// Largest index read and written.
const LIMIT_BYTES: u64 = 512 << 20;

/// Up to so many snapshots it is written anew for each,
const SMALL: u64 = 32;
/// and then when it has fallen behind by this part.
const BEHIND_PART: u64 = 8;
/// Where the header ends at the latest.
const HEADER_LIMIT_BYTES: u64 = 4096;

/// How many damaged indices of one second can be set aside.
const NAMES: u32 = 100;

/// The first line of the body.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Header {
    /// The newest log entry when the index was written: every snapshot up to it is in the index.
    entry: u64,
    /// BLAKE3 of that entry.
    entry_blake3: Digest,
    /// How many lines follow.
    snapshots: u64,
}

/// One snapshot.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    /// BLAKE3 of its `manifest.toml`, as in the log.
    manifest_blake3: Digest,
    /// What that manifest says.
    manifest: Manifest,
}

/// A snapshot and what its manifest says.
type Known = (LoggedSnapshot, Manifest);

/// An index of which every line was found to be what the log says.
#[derive(Debug)]
pub struct SnapshotIndex {
    /// The log entry up to which it knows every snapshot.
    pub entry: u64,
    snapshots: Vec<Known>,
}

impl SnapshotIndex {
    /// Reads the index and compares every line with the log; `None` when there is none. If it was written after the vault
    /// was opened, the log is read on to the entry that it knows.
    ///
    /// # Errors
    /// [`RefusalCode::IndexDamaged`] when it cannot be read, is damaged or forged, or does not agree with the log.
    pub fn load(vault: &mut Vault) -> Result<Option<Self>> {
        let path = vault.layout.snapshot_index();
        let bytes = match disk::read_bounded(&path, LIMIT_BYTES) {
            Err(error) if error.is_not_found() => return Ok(None),
            bytes => bytes.map_err(|error| damaged(&path, error.source.to_string()))?,
        };
        let index = Self::check(vault, &bytes).map_err(|reason| damaged(&path, reason))?;
        Ok(Some(index))
    }

    /// How many snapshots it knows.
    #[must_use]
    pub fn count(&self) -> usize {
        self.snapshots.len()
    }

    /// What it knows of a snapshot; `None` for one that was sealed after it was written.
    #[must_use]
    pub fn get(&self, logged: &LoggedSnapshot) -> Option<&Manifest> {
        let number = |(known, _): &Known| known.number;
        let place = self.snapshots.binary_search_by_key(&logged.number, number);
        let (known, manifest) = self.snapshots.get(place.ok()?)?;
        (known == logged).then_some(manifest)
    }

    fn check(vault: &mut Vault, bytes: &[u8]) -> std::result::Result<Self, String> {
        let (header, lines) = parse(authenticate(vault, bytes)?)?;
        while vault.log.head < header.entry {
            let read = vault.log.read_next(&vault.layout, vault.binding);
            read.map_err(|refusal| {
                let known = header.entry;
                format!("it was written for log entry {known}, which cannot be read: {refusal}")
            })?;
        }
        if vault.log.hash_of(header.entry) != Some(header.entry_blake3) {
            let entry = header.entry;
            return Err(format!(
                "log entry {entry} is another than it was written for"
            ));
        }
        let covered = vault.log.snapshots_at(header.entry);
        if lines.len() != covered.len() {
            let (found, expected) = (lines.len(), covered.len());
            return Err(format!("it holds {found} snapshots, the log {expected}"));
        }
        let pairs: Vec<(&LoggedSnapshot, Line)> = covered.into_iter().zip(lines).collect();
        let shared: &Vault = vault;
        parallel::map(&pairs, |(logged, line)| {
            if line.manifest_blake3 != logged.record.manifest_blake3 {
                let id = &logged.record.id;
                return Err(format!("the log names another manifest of snapshot {id}"));
            }
            let checked = check_copy(shared, logged, &line.manifest);
            checked.map_err(|refusal| refusal.to_string())
        })?;
        let there = pairs
            .into_iter()
            .filter(|(logged, _)| shared.log.find(&logged.record.id).is_some());
        Ok(Self {
            entry: header.entry,
            snapshots: there
                .map(|(logged, line)| (logged.clone(), line.manifest))
                .collect(),
        })
    }
}

/// Adds the snapshots that were sealed since the index was written, when there are enough of them: whoever reads it opens the
/// manifests of those that it does not know. Where there are older snapshots and no index, none is begun: why it is gone is
/// for a person to say.
///
/// # Errors
/// When the index there is damaged, which leaves it as it is, or it cannot be written.
pub fn add_newest(vault: &mut Vault) -> Result<()> {
    if !is_due(vault) {
        return Ok(());
    }
    let mut all = match SnapshotIndex::load(vault)? {
        Some(index) => index.snapshots,
        None if vault.log.sealed == 1 => Vec::new(),
        None => return Ok(()),
    };
    let newest = all.last().map_or(0, |(known, _)| known.number);
    let newer = vault.log.snapshots.iter();
    for logged in newer.filter(|logged| logged.number > newest) {
        all.push((logged.clone(), read_manifest(vault, logged)?));
    }
    write(vault, &all)
}

/// Whether it is worth the time to write the index anew: while it is small, or when it has fallen behind by a part of what it
/// knows. Believes the index without proof, for nothing follows from it but that.
fn is_due(vault: &Vault) -> bool {
    let all = vault.log.snapshots.len() as u64;
    if all <= SMALL {
        return true;
    }
    let known = disk::open_regular(&vault.layout.snapshot_index())
        .ok()
        .and_then(|file| {
            use std::io::{BufRead as _, Read as _};
            let start = std::io::BufReader::new(file.take(HEADER_LIMIT_BYTES));
            let mut lines = start.lines().map_while(std::result::Result::ok);
            lines.find_map(|line| serde_json::from_str::<Header>(&line).ok())
        });
    known.is_none_or(|header| {
        let behind = all.saturating_sub(header.snapshots);
        header.snapshots > all || behind.saturating_mul(BEHIND_PART) >= header.snapshots
    })
}

/// Where a damaged index was put, and how many snapshots the new one holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rebuilt {
    /// The damaged one, kept as evidence; `None` when there was none.
    pub set_aside: Option<PathBuf>,
    /// Snapshots in the new one.
    pub snapshots: u64,
}

/// Writes the index anew from the manifests, each authenticated, and reads it back. A damaged one is moved aside first,
/// under a name of its own.
///
/// # Errors
/// When a manifest is not authentic: then nothing is touched. When the index cannot be written or read back.
pub fn rebuild(vault: &mut Vault, now: Timestamp) -> Result<Rebuilt> {
    let is_damaged = SnapshotIndex::load(vault).is_err();
    let manifests = vault.log.snapshots.iter();
    let all = manifests
        .map(|logged| Ok((logged.clone(), read_manifest(vault, logged)?)))
        .collect::<Result<Vec<_>>>()?;
    let set_aside = if is_damaged {
        Some(set_aside(vault, now)?)
    } else {
        None
    };
    write(vault, &all).map_err(|refusal| say_where(refusal, set_aside.as_deref()))?;
    match SnapshotIndex::load(vault) {
        Ok(Some(index)) => Ok(Rebuilt {
            snapshots: index.count() as u64,
            set_aside,
        }),
        Ok(None) => Err(say_where(
            damaged(
                &vault.layout.snapshot_index(),
                "it is gone again".to_owned(),
            ),
            set_aside.as_deref(),
        )),
        Err(refusal) => Err(say_where(refusal, set_aside.as_deref())),
    }
}

fn say_where(refusal: Refusal, set_aside: Option<&Path>) -> Refusal {
    match set_aside {
        Some(path) => {
            refusal.having_changed(format!("the damaged index lies at '{}'", path.display()))
        }
        None => refusal,
    }
}

/// Moves what stands in the place of the index aside, whatever it is.
fn set_aside(vault: &Vault, now: Timestamp) -> Result<PathBuf> {
    let path = vault.layout.snapshot_index();
    let time = now.to_string().replace([':', '-'], "");
    for number in 0..NAMES {
        let name = match number {
            0 => format!("index.damaged-{time}"),
            number => format!("index.damaged-{time}-{number}"),
        };
        let aside = vault.layout.cache().join(name);
        match disk::rename_new(&path, &aside) {
            Err(error) if error.is_already_there() => {}
            outcome => {
                outcome.map_err(|error| error.refuse_vault_write())?;
                return Ok(aside);
            }
        }
    }
    Err(Refusal::new(
        RefusalCode::Internal,
        "no name is left for the damaged index",
    )
    .keeping("nothing in the vault was touched"))
}

fn write(vault: &Vault, all: &[Known]) -> Result<()> {
    let path = vault.layout.snapshot_index();
    let internal = |reason: &dyn Display| {
        Refusal::new(RefusalCode::Internal, "the index cannot be written")
            .because(reason.to_string())
    };
    let Some(entry_blake3) = vault.log.head_blake3 else {
        return Ok(());
    };
    let header = Header {
        entry: vault.log.head,
        entry_blake3,
        snapshots: all.len() as u64,
    };
    let lines = all.iter().map(|(logged, manifest)| Line {
        manifest_blake3: logged.record.manifest_blake3,
        manifest: manifest.clone(),
    });
    let body = body(header, lines).map_err(|error| internal(&error))?;
    let bytes = signed::sign(&body, Purpose::Index, vault.binding, vault.key())
        .map_err(|error| internal(&error))?;
    if bytes.len() as u64 > LIMIT_BYTES {
        return Err(internal(&"it would be too large to be read again"));
    }
    // Durable before it has its name: a torn one would be refused.
    disk::replace(&path, &bytes).map_err(|error| error.refuse_vault_write())
}

/// The signed text's body, if a key of the vault signed it that is not known to have been in other hands.
fn authenticate<'b>(vault: &Vault, bytes: &'b [u8]) -> std::result::Result<&'b str, String> {
    let text = |error: signed::SignedError| error.to_string();
    let unchecked = signed::check_damage(bytes, Purpose::Index).map_err(text)?;
    let keyring = &vault.log.keyring;
    let reign = keyring
        .reigns()
        .find(|reign| reign.key.id() == unchecked.key)
        .ok_or_else(|| {
            format!(
                "key {}, which signed it, is none of this vault's",
                unchecked.key
            )
        })?;
    match keyring.state(reign) {
        KeyState::Active | KeyState::Retired => {}
        KeyState::CompromisedSince(_) => {
            let key = unchecked.key;
            return Err(format!("key {key}, which signed it, was in other hands"));
        }
    }
    unchecked
        .authenticate(Purpose::Index, vault.binding, &reign.key)
        .map_err(text)
}

fn body(header: Header, lines: impl Iterator<Item = Line>) -> serde_json::Result<String> {
    let mut body = serde_json::to_string(&header)? + "\n";
    for line in lines {
        body += &serde_json::to_string(&line)?;
        body.push('\n');
    }
    Ok(body)
}

/// Takes a body apart; any but the canonical form is refused.
fn parse(text: &str) -> std::result::Result<(Header, Vec<Line>), String> {
    let strange = || "it is not in canonical form".to_owned();
    let whole = text.strip_suffix('\n').ok_or_else(strange)?;
    let mut texts = whole.split('\n');
    let header: Header = canonical(texts.next().unwrap_or_default())?;
    let texts: Vec<&str> = texts.collect();
    let lines = parallel::map(&texts, |text| canonical(text))?;
    if header.snapshots == lines.len() as u64 {
        Ok((header, lines))
    } else {
        Err(strange())
    }
}

/// What a line says, if it says it in the only form that it has.
fn canonical<T: Serialize + DeserializeOwned>(text: &str) -> std::result::Result<T, String> {
    let reason = |error: serde_json::Error| format!("it cannot be understood: {error}");
    let value: T = serde_json::from_str(text).map_err(reason)?;
    if serde_json::to_string(&value).map_err(reason)? == text {
        Ok(value)
    } else {
        Err("it is not in canonical form".to_owned())
    }
}

fn damaged(path: &Path, reason: String) -> Refusal {
    Refusal::new(
        RefusalCode::IndexDamaged,
        format!(
            "the index of snapshots '{}' is not to be trusted",
            path.display()
        ),
    )
    .because(reason)
    .keeping("the snapshots do not need it: verify, restore and snapshot work without it")
    .next(
        "git vault index rebuild",
        "makes it anew from the snapshots, and keeps the damaged one beside it",
    )
}
