//! `git vault ls`, `cat`: what a snapshot holds, without giving it back.

use std::io::Write;
use std::path::Path;

use crate::host::walk::join;
use crate::model::ids::Digest;
use crate::model::listing::{Attributes, Entry};
use crate::model::place::{Place, below};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::locate::Workplace;
use crate::ops::selection::{Asked, select};
use crate::ops::snapshot_path::{SnapshotPath, not_in, word_of};
use crate::vault::inspect::Vault;
use crate::vault::log::LoggedSnapshot;
use crate::vault::lookup::Wanted;
use crate::vault::reader::{
    Content, Directory, SnapshotReader, Trusted, check_inventory, needed_packs, trust,
    write_content,
};
use crate::vault::store::Store;

/// One line of `ls`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// Its path, relative to what was asked for.
    pub path: Vec<u8>,
    /// What it is.
    pub entry: Entry,
    /// Attributes of a directory, which its own listing holds; only where it was read.
    pub own: Option<Attributes>,
    /// Where a link leads.
    pub target: Option<Vec<u8>>,
}

/// What a directory of a snapshot holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LsReport {
    /// The snapshot.
    pub snapshot: LoggedSnapshot,
    /// Which of its directory trees.
    pub place: Place,
    /// What was asked for; empty for all of the tree.
    pub path: Vec<u8>,
    /// In the order of their paths.
    pub entries: Vec<Listed>,
}

/// A snapshot that was opened to be looked at.
pub(super) struct Opened {
    pub(super) vault: Vault,
    pub(super) logged: LoggedSnapshot,
    pub(super) trusted: Trusted,
}

impl Opened {
    /// Opens the snapshot that `name` names.
    ///
    /// # Errors
    /// When there is none, or it cannot be trusted.
    pub(super) fn open(workplace: &Workplace, name: &str) -> Result<Self> {
        let vault = workplace.existing_vault()?;
        let logged = select(&vault, name, Asked::by(workplace))?;
        let trusted = trust(&vault, &logged)?;
        check_inventory(&vault, &trusted)?;
        Ok(Self {
            vault,
            logged,
            trusted,
        })
    }

    /// Its packs, opened when they are needed.
    pub(super) fn store(&self) -> Store {
        let packs = needed_packs(&self.vault, &self.trusted);
        Store::new(&self.vault.layout, &packs, self.vault.format)
    }

    pub(super) fn id(&self) -> &str {
        self.logged.record.id.as_str()
    }
}

/// What leads to a path, and all below it if `is_whole`.
pub(super) fn leading_to(path: &[u8], met: &[u8], is_whole: bool) -> Wanted {
    if met == path {
        return if is_whole { Wanted::Whole } else { Wanted::Way };
    }
    if below(path, met).is_some() {
        return Wanted::Whole;
    }
    if below(met, path).is_some() {
        Wanted::Way
    } else {
        Wanted::Nothing
    }
}

/// Lists a directory of a snapshot, or names a single file; with everything below it if `is_recursive`.
///
/// # Errors
/// When the snapshot does not hold it, or cannot be trusted.
pub fn ls(workplace: &Workplace, asked: &SnapshotPath, is_recursive: bool) -> Result<LsReport> {
    let opened = Opened::open(workplace, &asked.snapshot)?;
    let store = opened.store();
    let reader = SnapshotReader::new(&store, &opened.trusted);
    let path = asked.path.as_slice();
    let mut entries = Vec::new();
    let mut is_there = false;
    let is_directory = |met: &[u8]| met == path || (is_recursive && below(path, met).is_some());
    let wanted = |met: &[u8]| {
        let wanted = leading_to(path, met, true);
        // Of what lies deeper nothing is read unless it was asked for.
        let is_deep = below(path, met).is_some_and(|rest| rest.contains(&b'/'));
        if wanted == Wanted::Whole && is_deep && !is_recursive {
            Wanted::Nothing
        } else {
            wanted
        }
    };
    let mut subdirectories: Vec<(Vec<u8>, Attributes)> = Vec::new();
    reader.each_wanted(asked.place, &wanted, &mut |directory| {
        if is_directory(&directory.path) {
            is_there = true;
            add_all(&store, path, &directory, &mut entries)?;
        } else if let Some((_, name)) = split(path).filter(|(above, _)| *above == directory.path)
            && let Some(entry) = directory.listing.entries.get(name)
            && !matches!(entry, Entry::Directory { .. })
        {
            is_there = true;
            entries.push(listed(&store, &directory, name, entry, name.to_vec())?);
        }
        subdirectories.push((directory.path, directory.listing.own));
        Ok(())
    })?;
    if !is_there {
        return Err(not_in(opened.id(), asked.place, path));
    }
    entries.sort_by(|left, right| left.path.cmp(&right.path));
    for (path_of, own) in subdirectories {
        let relative = below(path, &path_of).unwrap_or_default();
        let place = entries.binary_search_by(|listed| listed.path.as_slice().cmp(relative));
        if let Some(listed) = place.ok().and_then(|place| entries.get_mut(place)) {
            listed.own = Some(own);
        }
    }
    Ok(LsReport {
        snapshot: opened.logged,
        place: asked.place,
        path: asked.path.clone(),
        entries,
    })
}

/// The directory that a path lies in, and its name there.
pub(super) fn split(path: &[u8]) -> Option<(&[u8], &[u8])> {
    if path.is_empty() {
        return None;
    }
    match path.iter().rposition(|byte| *byte == b'/') {
        Some(at) => Some((path.get(..at)?, path.get(at + 1..)?)),
        None => Some((b"", path)),
    }
}

fn add_all(
    store: &Store,
    asked: &[u8],
    directory: &Directory,
    entries: &mut Vec<Listed>,
) -> Result<()> {
    for (name, entry) in &directory.listing.entries {
        let path = join(&directory.path, name);
        let relative = below(asked, &path).unwrap_or(&path).to_vec();
        entries.push(listed(store, directory, name, entry, relative)?);
    }
    Ok(())
}

fn listed(
    store: &Store,
    directory: &Directory,
    name: &[u8],
    entry: &Entry,
    path: Vec<u8>,
) -> Result<Listed> {
    let target = match (entry, directory.contents.get(name)) {
        (Entry::Link { blake3, .. }, Some(content)) => {
            let mut target = Vec::new();
            write_content(store, content, &mut target, Path::new("memory"))?;
            check(
                &path,
                (target.len() as u64, *blake3),
                target.len() as u64,
                Digest::of(&target),
            )?;
            Some(target)
        }
        _ => None,
    };
    Ok(Listed {
        path,
        entry: entry.clone(),
        own: None,
        target,
    })
}

fn check(path: &[u8], expected: (u64, Digest), bytes: u64, blake3: Digest) -> Result<()> {
    if expected == (bytes, blake3) {
        return Ok(());
    }
    let shown = crate::model::escape::text_name(path);
    Err(Refusal::new(
        RefusalCode::RecordContradiction,
        format!("'{shown}' is not what its listing says"),
    )
    .because(format!(
        "expected {} bytes with BLAKE3 {}",
        expected.0, expected.1
    ))
    .because(format!("found {bytes} bytes with BLAKE3 {blake3}")))
}

/// Writes and hashes at once.
struct Hashing<'w> {
    sink: &'w mut dyn Write,
    hasher: blake3::Hasher,
}

impl Write for Hashing<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let count = self.sink.write(bytes)?;
        self.hasher.update(bytes.get(..count).unwrap_or(bytes));
        Ok(count)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.sink.flush()
    }
}

/// What `cat` gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CatReport {
    /// The snapshot.
    pub snapshot: LoggedSnapshot,
    /// Bytes written.
    pub bytes: u64,
    /// Their BLAKE3, which is the one on record.
    pub blake3: Digest,
}

/// Writes a file of a snapshot to `sink`, unless it has more bytes than the limit, hashed on the way: what was written counts only when
/// this does not refuse.
///
/// # Errors
/// When the snapshot holds no such file, or what is stored is not what was sealed.
pub fn cat(
    workplace: &Workplace,
    asked: &SnapshotPath,
    limit_bytes: Option<u64>,
    sink: &mut dyn Write,
) -> Result<CatReport> {
    let opened = Opened::open(workplace, &asked.snapshot)?;
    let store = opened.store();
    let reader = SnapshotReader::new(&store, &opened.trusted);
    let path = asked.path.as_slice();
    let wanted = |met: &[u8]| leading_to(path, met, true);
    let mut found: Option<(Entry, Option<Content>)> = None;
    reader.each_wanted(asked.place, &wanted, &mut |directory| {
        let parts = split(path).filter(|(above, _)| *above == directory.path);
        let entry = parts.and_then(|(_, name)| {
            let entry = directory.listing.entries.get(name)?.clone();
            Some((entry, directory.contents.get(name).copied()))
        });
        found = found.take().or(entry);
        Ok(())
    })?;
    let (expected, content) = match found {
        Some((Entry::File { bytes, blake3, .. }, Some(content))) => ((bytes, blake3), content),
        Some(_) => return Err(no_file(opened.id(), asked.place, path)),
        None if path.is_empty() => return Err(no_file(opened.id(), asked.place, path)),
        None => return Err(not_in(opened.id(), asked.place, path)),
    };
    if limit_bytes.is_some_and(|limit_bytes| expected.0 > limit_bytes) {
        let word = word_of(opened.id(), asked.place, path);
        return Err(Refusal::new(
            RefusalCode::OutputFailed,
            "the file is too large for a terminal",
        )
        .because(format!("it has {} bytes", expected.0))
        .keeping("the vault was only read")
        .next(
            format!("git vault cat {word} > FILE"),
            "writes it to a file",
        ));
    }
    let mut hashing = Hashing {
        sink,
        hasher: blake3::Hasher::new(),
    };
    let bytes = write_content(&store, &content, &mut hashing, Path::new("standard output"))?;
    let blake3 = Digest::finish(&hashing.hasher);
    check(path, expected, bytes, blake3)?;
    Ok(CatReport {
        snapshot: opened.logged,
        bytes,
        blake3,
    })
}

fn no_file(snapshot: &str, place: Place, path: &[u8]) -> Refusal {
    let shown = crate::model::escape::text_name(path);
    let word = word_of(snapshot, place, path);
    Refusal::new(
        RefusalCode::PathNotFound,
        format!("'{shown}' in snapshot {snapshot} is no ordinary file"),
    )
    .because("only the content of an ordinary file can be written out")
    .keeping("nothing was touched")
    .next(format!("git vault ls {word}"), "shows what it is")
    .next(
        format!("git vault restore {word} DIR"),
        "gives it back into an empty directory",
    )
}
