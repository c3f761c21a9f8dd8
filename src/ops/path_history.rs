//! What became of each path over all snapshots that are accepted. What is known of a step between two snapshots is not
//! read again; what is not known is read from the listings of both, and directories that both share are not.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::rc::Rc;

use crate::host::walk::join;
use crate::model::ids::Digest;
use crate::model::place::Place;
use crate::model::refusal::Result;
use crate::model::version::Version;
use crate::ops::look::split;
use crate::vault::inspect::Vault;
use crate::vault::log::LoggedSnapshot;
use crate::vault::lookup::DirectoryKey;
use crate::vault::path_changes::{self, PathChange, PathChanges, Step};
use crate::vault::reader::{SnapshotReader, Trusted, trust};
use crate::vault::store::Store;

/// So many entries of directories are kept at hand at once.
const ENTRIES_AT_HAND: usize = 1_000_000;

/// A snapshot, and what became of paths since the accepted one before it.
#[derive(Debug)]
pub(super) struct Stage {
    /// The snapshot.
    pub(super) snapshot: LoggedSnapshot,
    /// In the order of places and paths.
    pub(super) changes: Vec<PathChange>,
}

/// All stages, oldest first; the first one has all that its snapshot holds.
///
/// # Errors
/// When a snapshot that must be read cannot be trusted.
pub(super) fn stages(vault: &Vault) -> Result<Vec<Stage>> {
    let mut known = PathChanges::load(vault);
    let store = all_packs(vault);
    let mut reading = Reading::new(vault, &store);
    let mut stages: Vec<Stage> = Vec::new();
    let mut before: Option<&LoggedSnapshot> = None;
    let mut is_new = false;
    for snapshot in vault.log.accepted() {
        let changes = match known.take(&step(before, snapshot)) {
            Some(changes) => changes,
            None => {
                is_new = true;
                reading.changes(before, snapshot)?
            }
        };
        stages.push(Stage {
            snapshot: snapshot.clone(),
            changes,
        });
        before = Some(snapshot);
    }
    if is_new || !known.is_empty() {
        let mut before: Option<&LoggedSnapshot> = None;
        let all = stages.iter().map(|stage| {
            let step = step(before.replace(&stage.snapshot), &stage.snapshot);
            (step, stage.changes.as_slice())
        });
        // It is read again the next time.
        let _unsaved = path_changes::save(vault, all);
    }
    Ok(stages)
}

/// All packs there are: whichever snapshot needs them.
pub(super) fn all_packs(vault: &Vault) -> Store {
    Store::new(&vault.layout, vault.log.packs(), vault.format)
}

fn step(before: Option<&LoggedSnapshot>, snapshot: &LoggedSnapshot) -> Step {
    let digest = |logged: &LoggedSnapshot| -> Digest { logged.record.manifest_blake3 };
    (before.map(digest), digest(snapshot))
}

/// What a directory holds itself, by name, and the directories in it.
struct Held {
    entries: BTreeMap<Vec<u8>, Version>,
    below: BTreeMap<Vec<u8>, DirectoryKey>,
}

fn names<T>(held: Option<&BTreeMap<Vec<u8>, T>>) -> impl Iterator<Item = &Vec<u8>> {
    held.into_iter().flat_map(BTreeMap::keys)
}

/// Snapshots that are being read, one after the other.
struct Reading<'a> {
    vault: &'a Vault,
    store: &'a Store,
    held: HashMap<DirectoryKey, Rc<Held>>,
    at_hand: usize,
    last: Option<(LoggedSnapshot, Tops)>,
}

/// The topmost directories of the places of a snapshot.
type Tops = BTreeMap<Place, DirectoryKey>;

/// A directory before and after.
type Sides = (Option<DirectoryKey>, Option<DirectoryKey>);

impl Stage {
    /// What became of paths of the working trees.
    pub(super) fn in_working_trees(&self) -> impl Iterator<Item = &PathChange> {
        let changes = self.changes.iter();
        changes.filter(|change| change.place != Place::Gitdir)
    }
}

impl<'a> Reading<'a> {
    fn new(vault: &'a Vault, store: &'a Store) -> Self {
        Self {
            vault,
            store,
            held: HashMap::new(),
            at_hand: 0,
            last: None,
        }
    }

    fn changes(
        &mut self,
        before: Option<&LoggedSnapshot>,
        snapshot: &LoggedSnapshot,
    ) -> Result<Vec<PathChange>> {
        let old = match (before, self.last.take()) {
            (None, _) => Tops::new(),
            (Some(before), Some((last, tops))) if last == *before => tops,
            (Some(before), _) => self.tops(&trust(self.vault, before)?)?,
        };
        let trusted = trust(self.vault, snapshot)?;
        let new = self.tops(&trusted)?;
        let reader = SnapshotReader::new(self.store, &trusted);
        let mut changes = Vec::new();
        let places: BTreeSet<Place> = old.keys().chain(new.keys()).copied().collect();
        for place in places {
            let sides = (old.get(&place).copied(), new.get(&place).copied());
            self.compare(&reader, place, sides, &mut changes)?;
        }
        changes.sort_by(|left, right| (left.place, &left.path).cmp(&(right.place, &right.path)));
        self.last = Some((snapshot.clone(), new));
        Ok(changes)
    }

    fn tops(&self, trusted: &Trusted) -> Result<Tops> {
        let reader = SnapshotReader::new(self.store, trusted);
        let mut tops = Tops::new();
        for place in trusted.manifest().places() {
            if let Some(key) = reader.top_key(place)? {
                tops.insert(place, key);
            }
        }
        Ok(tops)
    }

    fn held(
        &mut self,
        reader: &SnapshotReader<'_>,
        key: Option<DirectoryKey>,
        path: &[u8],
    ) -> Result<Option<Rc<Held>>> {
        let Some(key) = key else {
            return Ok(None);
        };
        if let Some(held) = self.held.get(&key) {
            return Ok(Some(Rc::clone(held)));
        }
        let (directory, below) = reader.read_directory(key, path)?;
        let entries = directory.listing.entries.iter();
        let name = |path: &[u8]| split(path).map_or_else(Vec::new, |(_, name)| name.to_vec());
        let held = Rc::new(Held {
            entries: entries
                .map(|(name, entry)| (name.clone(), Version::of(entry)))
                .collect(),
            below: below
                .into_iter()
                .map(|(path, key)| (name(&path), key))
                .collect(),
        });
        self.at_hand += held.entries.len() + 1;
        if self.at_hand > ENTRIES_AT_HAND {
            self.held.clear();
            self.at_hand = held.entries.len() + 1;
        }
        self.held.insert(key, Rc::clone(&held));
        Ok(Some(held))
    }

    /// Compares two directories at the top, and all below them: one after the other, for there may be thousands above one another.
    fn compare(
        &mut self,
        reader: &SnapshotReader<'_>,
        place: Place,
        tops: Sides,
        changes: &mut Vec<PathChange>,
    ) -> Result<()> {
        let mut pending = vec![(tops, Vec::new())];
        while let Some(((left, right), path)) = pending.pop() {
            if left == right {
                continue;
            }
            let (left, right) = (
                self.held(reader, left, &path)?,
                self.held(reader, right, &path)?,
            );
            let (left, right) = (left.as_deref(), right.as_deref());
            let all: BTreeSet<&Vec<u8>> = names(left.map(|held| &held.entries))
                .chain(names(right.map(|held| &held.entries)))
                .collect();
            for name in all {
                let version = |held: Option<&Held>| held?.entries.get(name).copied();
                let (old, new) = (version(left), version(right));
                if old != new {
                    changes.push(PathChange {
                        place,
                        path: join(&path, name),
                        old,
                        new,
                    });
                }
            }
            let all: BTreeSet<&Vec<u8>> = names(left.map(|held| &held.below))
                .chain(names(right.map(|held| &held.below)))
                .collect();
            for name in all {
                let key = |held: Option<&Held>| held?.below.get(name).copied();
                pending.push(((key(left), key(right)), join(&path, name)));
            }
        }
        Ok(())
    }
}
