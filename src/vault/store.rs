//! The packs of a vault, opened by what the log says: nothing else in the vault is ever read as an object.

use crate::host::git::id_table::IdTable;
use crate::host::git::object::{ObjectFormat, ObjectId, ObjectKind};
use crate::host::git::pack_reader::Pack;
use crate::host::git::packs::Packs;
use crate::model::inventory::{Inventory, PackRecord, PackRole};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::vault::content::refuse_git_read;
use crate::vault::layout::Layout;

/// The packs of a vault, by role.
#[derive(Default)]
pub struct Store {
    /// Objects of the source's own stores.
    pub history: Packs,
    /// Objects that snapshots made.
    pub capture: Packs,
}

impl Store {
    /// Opens the packs of an inventory; their number of objects is compared with the log's.
    ///
    /// # Errors
    /// When one cannot be opened or holds another number of objects.
    pub fn open(layout: &Layout, inventory: &Inventory, format: ObjectFormat) -> Result<Self> {
        let mut store = Self::default();
        for record in inventory.packs() {
            let pack = open_pack(layout, record, format)?;
            match record.role {
                PackRole::History => store.history.push(pack),
                PackRole::Capture => store.capture.push(pack),
            }
        }
        Ok(store)
    }

    /// Whether any pack holds the object.
    #[must_use]
    pub fn contains(&self, id: &ObjectId) -> bool {
        self.capture.contains(id) || self.history.contains(id)
    }

    /// Reads an object whole and checks its id and kind.
    ///
    /// # Errors
    /// When it is missing, damaged, or of another kind.
    pub fn read(&self, id: &ObjectId, kind: ObjectKind) -> Result<Vec<u8>> {
        self.packs_with(id)
            .read(id, kind)
            .map_err(|error| refuse_git_read(&error))
    }

    /// The format of the ids; `None` when there is no pack.
    #[must_use]
    pub fn format(&self) -> Option<ObjectFormat> {
        self.history
            .all()
            .iter()
            .chain(self.capture.all())
            .map(Pack::format)
            .next()
    }

    /// The packs of the role in which the object is found.
    #[must_use]
    pub fn packs_with(&self, id: &ObjectId) -> &Packs {
        if self.capture.contains(id) {
            &self.capture
        } else {
            &self.history
        }
    }

    /// A quick way to ask for many objects, built when so many are asked for that it pays.
    #[must_use]
    pub fn presence(&self, scope: Scope, lookups: u64) -> Presence<'_> {
        let roles = match scope {
            Scope::History => vec![&self.history],
            Scope::Everything => vec![&self.history, &self.capture],
        };
        if lookups < TABLE_PAYS_FROM {
            return Presence::Indices(roles);
        }
        let packs = roles.iter().flat_map(|packs| packs.all());
        Presence::Table(IdTable::new(packs.flat_map(|pack| pack.index.ids())))
    }
}

/// From how many objects to check on a table of all ids is built.
const TABLE_PAYS_FROM: u64 = 20_000;

/// Which packs to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// History packs only: history must be closed in itself.
    History,
    /// All packs.
    Everything,
}

/// Answers whether an object is present.
pub enum Presence<'a> {
    /// By a table of all ids.
    Table(IdTable),
    /// By asking every index.
    Indices(Vec<&'a Packs>),
}

impl Presence<'_> {
    /// Whether the object is present.
    #[must_use]
    pub fn contains(&self, id: &ObjectId) -> bool {
        match self {
            Self::Table(table) => table.contains(id),
            Self::Indices(roles) => roles.iter().any(|packs| packs.contains(id)),
        }
    }
}

/// Opens one pack.
///
/// # Errors
/// When it cannot be opened or holds another number of objects than the log says.
pub fn open_pack(layout: &Layout, record: &PackRecord, format: ObjectFormat) -> Result<Pack> {
    let path = layout.pack(&record.name);
    let pack = Pack::open(&path, format).map_err(|error| refuse_git_read(&error))?;
    let found = u64::from(pack.index.count());
    if found != record.objects {
        return Err(Refusal::new(
            RefusalCode::VaultDamaged,
            format!("'{}' is damaged", path.display()),
        )
        .because(format!(
            "expected {} objects, found {found}",
            record.objects
        )));
    }
    Ok(pack)
}
