//! How much of a vault each snapshot alone needs, and so would free.

use std::collections::HashMap;

use crate::host::git::object::ObjectId;
use crate::host::git::pack_reader::Pack;
use crate::model::ids::SnapshotId;
use crate::model::inventory::PackRole;
use crate::model::refusal::Result;
use crate::vault::inspect::Vault;
use crate::vault::reach::Reach;
use crate::vault::reader::trust;
use crate::vault::store::Store;

/// Bytes of the checksum and the place of an object in an index, beside its id.
const INDEX_BYTES: u64 = 8;

/// Where the bytes of a vault are. Each object counts with its part of an index.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Sizes {
    /// Of each snapshot, what nothing but it needs: when it is dropped, an optimize can free that.
    pub alone: HashMap<SnapshotId, u64>,
    /// All history, which stays whatever is dropped.
    pub history: u64,
    /// What several snapshots need.
    pub shared: u64,
    /// What no snapshot needs.
    pub needless: u64,
}

impl Sizes {
    /// Finds them out.
    ///
    /// # Errors
    /// When a snapshot cannot be trusted, or something that it needs is missing or damaged.
    pub fn of(vault: &Vault) -> Result<Self> {
        let store = Store::new(&vault.layout, vault.log.packs(), vault.format).open_all()?;
        let of_objects = of_objects(&store);
        let mut sizes = Self {
            history: of_history(vault),
            ..Self::default()
        };
        // What nobody needs before it and nobody needs behind it, nobody else needs.
        let mut first = HashMap::new();
        let mut reach = Reach::new(&store, vault.format);
        for snapshot in &vault.log.snapshots {
            reach.add(&trust(vault, snapshot)?)?;
            let fresh = reach.take_fresh().into_iter();
            first.extend(fresh.map(|object| (object, snapshot.number)));
        }
        let mut reach = Reach::new(&store, vault.format);
        let mut needed: u64 = 0;
        for snapshot in vault.log.snapshots.iter().rev() {
            reach.add(&trust(vault, snapshot)?)?;
            let mut alone = snapshot.record.manifest_bytes;
            for object in reach.take_fresh() {
                let bytes = of_objects.get(&object).copied().unwrap_or(0);
                needed = needed.saturating_add(bytes);
                if first.get(&object) == Some(&snapshot.number) {
                    alone = alone.saturating_add(bytes);
                } else {
                    sizes.shared = sizes.shared.saturating_add(bytes);
                }
            }
            sizes.alone.insert(snapshot.record.id.clone(), alone);
        }
        let all = of_objects
            .values()
            .fold(0, |all: u64, bytes| all.saturating_add(*bytes));
        sizes.needless = all.saturating_sub(needed);
        Ok(sizes)
    }
}

/// Bytes of all history packs and their indices.
pub(super) fn of_history(vault: &Vault) -> u64 {
    let packs = vault.log.inventory.packs();
    let history = packs.filter(|pack| pack.role == PackRole::History);
    history.map(|pack| pack.bytes + pack.index_bytes).sum()
}

/// How many bytes each object of the capture packs takes, with its part of the index.
pub(super) fn of_objects(store: &Store) -> HashMap<ObjectId, u64> {
    let mut sizes = HashMap::new();
    for pack in store.capture.all() {
        add_sizes(&mut sizes, pack);
    }
    sizes
}

fn add_sizes(sizes: &mut HashMap<ObjectId, u64>, pack: &Pack) {
    let order = pack.by_offset();
    let ends = order.iter().skip(1).map(|(offset, _)| *offset);
    for ((offset, number), end) in order.iter().zip(ends.chain([pack.end()])) {
        let id = pack.index.id_at(*number);
        let of_index = id.as_bytes().len() as u64 + INDEX_BYTES;
        let bytes = end.saturating_sub(*offset).saturating_add(of_index);
        sizes.insert(id, bytes);
    }
}
