//! The packs of a vault, opened by what the log says: nothing else in the vault is ever read as an object.

use std::collections::BTreeMap;

use crate::host::git::id_table::IdTable;
use crate::host::git::object::{ObjectFormat, ObjectId, ObjectKind};
use crate::host::git::packs::{Packs, SmallPacks};
use crate::host::machine::allow_many_files;
use crate::host::metadata::Fingerprint;
use crate::model::inventory::{PackRecord, PackRole};
use crate::model::place::{Place, Spot};
use crate::model::refusal::Result;
use crate::vault::content::refuse_git_read;
use crate::vault::layout::Layout;

/// The packs of a vault, by role.
#[derive(Default)]
pub struct Store {
    /// Objects of the repositories' own stores, by git directory: the history of each is closed in itself.
    histories: BTreeMap<Spot, Packs>,
    /// What a repository without history has.
    none: Packs,
    /// Objects that snapshots made.
    pub capture: Packs,
}

impl Store {
    /// Takes the packs that `records` name, the oldest first; each is opened when it is first needed, and must then hold as
    /// many objects as its record says.
    #[must_use]
    pub fn new<'r>(
        layout: &Layout,
        records: impl IntoIterator<Item = &'r PackRecord>,
        format: ObjectFormat,
    ) -> Self {
        let mut store = Self::default();
        for record in records {
            let packs = match record.role {
                PackRole::History => store.history_mut(&of(record)),
                PackRole::Capture => &mut store.capture,
            };
            packs.push_closed(
                layout.pack(&record.name),
                format,
                record.objects,
                record.index_blake3,
                record.promisor,
            );
        }
        store
    }

    /// Takes note of the ids in small packs: see [`Packs::know_ids`].
    pub fn know_ids(&mut self, ids: &SmallPacks) {
        for packs in self.histories.values_mut().chain([&mut self.capture]) {
            packs.know_ids(ids);
        }
    }

    /// Takes note of what indices look like whose bytes were found to be right: see [`Packs::know_sound`].
    pub fn know_sound(&mut self, look_of: &dyn Fn(&str) -> Option<Fingerprint>) {
        for packs in self.histories.values_mut().chain([&mut self.capture]) {
            packs.know_sound(look_of);
        }
    }

    /// The packs that were opened: see [`Packs::opened`].
    pub fn opened(&self) -> impl Iterator<Item = (&str, Option<Vec<ObjectId>>)> {
        let all = self.histories.values().chain([&self.capture]);
        all.flat_map(Packs::opened)
    }

    /// The history of the repository with that git directory.
    #[must_use]
    pub fn history(&self, of: &Spot) -> &Packs {
        self.histories.get(of).unwrap_or(&self.none)
    }

    /// The same, to add to it.
    pub fn history_mut(&mut self, of: &Spot) -> &mut Packs {
        self.histories.entry(of.clone()).or_default()
    }

    /// All histories.
    pub fn histories(&self) -> impl Iterator<Item = (&Spot, &Packs)> {
        self.histories.iter()
    }

    /// Says whether every pack that was needed so far could be opened: without that, what `contains` answered counts for
    /// nothing.
    ///
    /// # Errors
    /// When one could not.
    pub fn check(&self) -> Result<()> {
        let mut all = self.histories.values().chain([&self.capture]);
        all.try_for_each(Packs::check)
            .map_err(|error| refuse_git_read(&error))
    }

    /// Opens all packs.
    ///
    /// # Errors
    /// When one cannot be opened.
    pub fn open_all(self) -> Result<Self> {
        allow_many_files();
        for packs in self.histories.values().chain([&self.capture]) {
            let _opened = packs.all().count();
        }
        self.check().map(|()| self)
    }

    /// Whether any pack holds the object.
    #[must_use]
    pub fn contains(&self, id: &ObjectId) -> bool {
        self.capture.contains(id) || self.histories.values().any(|packs| packs.contains(id))
    }

    /// Reads an object whole and checks its id and kind.
    ///
    /// # Errors
    /// When it is missing, damaged, or of another kind.
    pub fn read(&self, id: &ObjectId, kind: ObjectKind) -> Result<Vec<u8>> {
        let read = self.packs_with(id).read(id, kind);
        if read.is_err() {
            // A pack that cannot be opened holds nothing: it is to blame, not the object.
            self.check()?;
        }
        read.map_err(|error| refuse_git_read(&error))
    }

    /// The format of the ids; `None` when there is no pack.
    #[must_use]
    pub fn format(&self) -> Option<ObjectFormat> {
        let mut all = self.histories.values().chain([&self.capture]);
        all.find_map(Packs::format)
    }

    /// The packs of the role in which the object is found.
    #[must_use]
    pub fn packs_with(&self, id: &ObjectId) -> &Packs {
        let mut all = [&self.capture].into_iter().chain(self.histories.values());
        all.find(|packs| packs.contains(id)).unwrap_or(&self.none)
    }

    /// A quick way to ask for many objects, built when so many are asked for that it pays.
    #[must_use]
    pub fn presence(&self, scope: Scope<'_>, lookups: u64) -> Presence<'_> {
        let roles: Vec<&Packs> = match scope {
            Scope::History(of) => vec![self.history(of)],
            Scope::Everything => self.histories.values().chain([&self.capture]).collect(),
        };
        if lookups < TABLE_PAYS_FROM {
            return Presence::Indices(roles);
        }
        let packs = roles.iter().flat_map(|packs| packs.all());
        Presence::Table(IdTable::new(packs.flat_map(|pack| pack.index.ids())))
    }
}

/// The git directory of the repository whose history a pack is part of.
#[must_use]
pub fn of(record: &PackRecord) -> Spot {
    record
        .of
        .clone()
        .unwrap_or_else(|| Spot::top(Place::Gitdir))
}

/// From how many objects to check on a table of all ids is built.
const TABLE_PAYS_FROM: u64 = 20_000;

/// Which packs to ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// The history of one repository only: it must be closed in itself.
    History(&'a Spot),
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
