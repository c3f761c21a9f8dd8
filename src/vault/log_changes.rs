//! What the log says of snapshots that were given up, and of packs whose place others took.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use crate::model::ids::SnapshotId;
use crate::model::inventory::{Inventory, PackGroup, PackRecord, PackRole};
use crate::model::log_entry::{DropRecord, OptimizeRecord};
use crate::model::timestamp::Timestamp;
use crate::vault::log::{Log, LoggedSnapshot, logged};

/// A snapshot that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dropped {
    /// As the log knew it.
    pub snapshot: LoggedSnapshot,
    /// The entry that says so.
    pub entry: u64,
    /// When.
    pub time: Timestamp,
    /// Why.
    pub reason: String,
}

/// Packs that went, and those that came in their place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Optimized {
    /// As they were.
    pub gone: Vec<PackRecord>,
    /// As they are, or were until the next time.
    pub came: Vec<PackRecord>,
}

impl Log {
    /// What the log says of a snapshot that was given up.
    #[must_use]
    pub fn find_dropped(&self, id: &SnapshotId) -> Option<&Dropped> {
        self.dropped.get(*self.dropped_places.get(id)?)
    }

    /// Why snapshots cannot be given up so.
    pub(super) fn drop_contradicted(&self, drop: &DropRecord) -> Option<String> {
        let newest = self.snapshots.last().map(|newest| &newest.record.id);
        drop.snapshots.iter().find_map(|id| {
            if self.find(id).is_none() {
                Some(format!("there is no snapshot {id} to be dropped"))
            } else if newest == Some(id) {
                Some(format!("snapshot {id} is the newest one"))
            } else {
                None
            }
        })
    }

    /// Why packs cannot be replaced so. Nothing of a history may be lost, and nothing comes but in the place of something.
    pub(super) fn optimize_contradicted(
        &self,
        optimize: &OptimizeRecord,
        came: &[PackRecord],
    ) -> Option<String> {
        let mut going: BTreeMap<PackGroup, Vec<&PackRecord>> = BTreeMap::new();
        for name in &optimize.gone {
            let Some(pack) = self.inventory.get(name) else {
                return Some(format!("there is no {name} to be replaced"));
            };
            if pack.promisor {
                return Some(format!("{name} is from a promisor remote"));
            }
            going.entry(pack.group()).or_default().push(pack);
        }
        let mut names = BTreeSet::new();
        let mut coming: BTreeMap<PackGroup, u64> = BTreeMap::new();
        for pack in came {
            if self.inventory.get(&pack.name).is_some() || !names.insert(&pack.name) {
                return Some(format!("{} is there already", pack.name));
            }
            if !going.contains_key(&pack.group()) {
                return Some(format!("{} takes no other's place", pack.name));
            }
            let objects = coming.entry(pack.group()).or_default();
            *objects = objects.saturating_add(pack.objects);
        }
        for (group, packs) in &going {
            let most = packs.iter().map(|pack| pack.objects).max().unwrap_or(0);
            let found = coming.get(group).copied().unwrap_or(0);
            if group.role() == PackRole::History && found < most {
                return Some(format!(
                    "of {most} objects of a history, {found} would be left"
                ));
            }
        }
        None
    }

    /// Takes note of snapshots that were given up.
    pub(super) fn accept_drop(&mut self, entry: u64, time: Timestamp, record: &DropRecord) {
        let going: BTreeSet<&SnapshotId> = record.snapshots.iter().collect();
        let (dropped, kept): (Vec<_>, Vec<_>) = std::mem::take(&mut self.snapshots)
            .into_iter()
            .partition(|snapshot| going.contains(&snapshot.record.id));
        self.snapshots = kept;
        let ids = self.snapshots.iter().enumerate();
        self.places = ids
            .map(|(place, snapshot)| (snapshot.record.id.clone(), place))
            .collect();
        for snapshot in dropped {
            let id = snapshot.record.id.clone();
            self.dropped_places.insert(id, self.dropped.len());
            self.dropped.push(Dropped {
                snapshot,
                entry,
                time,
                reason: record.reason.clone(),
            });
        }
    }

    /// Takes note of packs whose place others took.
    pub(super) fn accept_optimize(
        &mut self,
        entry: u64,
        time: Timestamp,
        record: OptimizeRecord,
        came: Vec<PackRecord>,
    ) {
        let mut gone = Vec::new();
        for name in record.gone {
            gone.extend(self.inventory.remove(&name));
            self.departures.push((entry, name));
        }
        for pack in &came {
            self.arrivals.push((entry, pack.clone()));
            // That none of the names is taken was seen before.
            drop(self.inventory.add(pack.clone()));
        }
        self.optimizes
            .push(logged(entry, time, Optimized { gone, came }));
    }

    /// The snapshots that were there after entry `number`, oldest first.
    #[must_use]
    pub fn snapshots_at(&self, number: u64) -> Vec<&LoggedSnapshot> {
        let dropped = self.dropped.iter();
        let later = dropped.filter(|dropped| dropped.entry > number);
        let mut all: Vec<&LoggedSnapshot> = later
            .map(|dropped| &dropped.snapshot)
            .chain(&self.snapshots)
            .filter(|snapshot| snapshot.entry <= number)
            .collect();
        all.sort_by_key(|snapshot| snapshot.number);
        all
    }

    /// The packs that existed after entry `number`.
    #[must_use]
    pub fn inventory_at(&self, number: u64) -> Inventory {
        let mut inventory = Inventory::default();
        let mut departures = self.departures.iter().peekable();
        for (entry, pack) in self.arrivals.iter().filter(|(entry, _)| *entry <= number) {
            // Within an entry, what goes has gone before what comes is there.
            while let Some((_, name)) = departures.next_if(|(went, _)| went <= entry) {
                inventory.remove(name);
            }
            // Names are unique, or the log would not have been accepted.
            drop(inventory.add(pack.clone()));
        }
        for (_, name) in departures.filter(|(went, _)| *went <= number) {
            inventory.remove(name);
        }
        inventory
    }

    /// How many packs existed after entry `number`.
    #[must_use]
    pub fn packs_at(&self, number: u64) -> u64 {
        let arrived = self
            .arrivals
            .partition_point(|(arrived, _)| *arrived <= number);
        let gone = self.departures.partition_point(|(went, _)| *went <= number);
        arrived.saturating_sub(gone) as u64
    }

    /// The packs that entry `number` brought.
    #[must_use]
    pub fn brought_by(&self, number: u64) -> &[(u64, PackRecord)] {
        let before = |entry: u64| {
            self.arrivals
                .partition_point(|(arrived, _)| *arrived <= entry)
        };
        self.arrivals
            .get(before(number.saturating_sub(1))..before(number))
            .unwrap_or_default()
    }

    /// The packs that exist, the oldest first.
    #[must_use]
    pub fn packs(&self) -> Vec<&PackRecord> {
        let last: HashMap<&str, u64> = self
            .departures
            .iter()
            .map(|(entry, name)| (name.as_str(), *entry))
            .collect();
        let is_there = |(entry, pack): &&(u64, PackRecord)| {
            last.get(pack.name.as_str()).is_none_or(|gone| gone < entry)
        };
        let arrivals = self.arrivals.iter().filter(is_there);
        arrivals.map(|(_, pack)| pack).collect()
    }

    /// The packs that a snapshot needs now: those that were there at its entry, and what took the place of those that went.
    #[must_use]
    pub fn needed_by(&self, snapshot: &LoggedSnapshot) -> Vec<PackRecord> {
        let mut needed = self.inventory_at(snapshot.entry);
        let later = self.optimizes.iter();
        for optimize in later.filter(|optimize| optimize.entry > snapshot.entry) {
            let groups: BTreeSet<PackGroup> = optimize
                .record
                .gone
                .iter()
                .filter_map(|pack| needed.remove(&pack.name))
                .map(|pack| pack.group())
                .collect();
            for pack in &optimize.record.came {
                if groups.contains(&pack.group()) {
                    drop(needed.add(pack.clone()));
                }
            }
        }
        needed.packs().cloned().collect()
    }

    /// A pack that went, and whose files may still lie there.
    #[must_use]
    pub fn find_gone(&self, name: &str) -> Option<&PackRecord> {
        let all = self.optimizes.iter().rev();
        let mut gone = all.flat_map(|optimize| &optimize.record.gone);
        gone.find(|pack| pack.name == name && self.inventory.get(name).is_none())
    }

    /// The newest entry behind which stored objects may be gone.
    #[must_use]
    pub fn last_optimize(&self) -> u64 {
        self.optimizes.last().map_or(0, |optimize| optimize.entry)
    }

    /// Whether the newest entry gave something up that a snapshot which was begun before may rely on.
    #[must_use]
    pub fn has_just_shrunk(&self) -> bool {
        let dropped = self.dropped.last().map(|dropped| dropped.entry);
        self.head > 0 && (dropped == Some(self.head) || self.last_optimize() == self.head)
    }
}
