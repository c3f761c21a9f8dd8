//! Several packs looked at as one store of objects.

use std::collections::{BTreeMap, HashMap};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::error::{Error, Result};
use super::index_lookup::IndexLookup;
use super::object::{ObjectFormat, ObjectId, ObjectKind, hash_object};
use super::pack_reader::{Object, Pack};
use crate::host::metadata::Fingerprint;
use crate::model::ids::Digest;

/// The ids in packs with so few of them, by the names of the packs without an ending.
pub type SmallPacks = BTreeMap<String, Vec<ObjectId>>;

/// A pack with more objects is not small.
const SMALL_OBJECTS: u64 = 1024;

/// An ordered set of packs, the newest last. A pack is opened when it is first needed; one that cannot be opened holds
/// nothing, and [`Packs::check`] says why.
#[derive(Default)]
pub struct Packs {
    slots: Vec<Slot>,
    /// In which slot the objects of packs are whose ids are known, so that these packs need not be opened to ask for others.
    known: HashMap<ObjectId, usize>,
}

struct Slot {
    path: PathBuf,
    format: ObjectFormat,
    objects: u64,
    index_blake3: Option<Digest>,
    is_promisor: bool,
    has_known_ids: bool,
    /// What its index looks like, if its bytes were found to be right when it looked so.
    sound: Option<Fingerprint>,
    lookup: OnceLock<Option<IndexLookup>>,
    pack: OnceLock<Option<Pack>>,
}

impl Slot {
    fn is_small(&self) -> bool {
        self.objects <= SMALL_OBJECTS
    }
}

impl Packs {
    /// Adds a pack that is open; what the objects of a promisor pack name may be missing.
    pub fn push(&mut self, pack: Pack, is_promisor: bool) {
        let (path, format) = (pack.path().to_owned(), pack.format());
        let objects = u64::from(pack.index.count());
        self.slots.push(Slot {
            path,
            format,
            objects,
            index_blake3: None,
            is_promisor,
            has_known_ids: false,
            sound: None,
            lookup: OnceLock::new(),
            pack: OnceLock::from(Some(pack)),
        });
    }

    /// Adds a pack to be opened when it is needed; it must then hold so many objects, and its index have this BLAKE3.
    pub fn push_closed(
        &mut self,
        path: PathBuf,
        format: ObjectFormat,
        objects: u64,
        index_blake3: Digest,
        is_promisor: bool,
    ) {
        self.slots.push(Slot {
            path,
            format,
            objects,
            index_blake3: Some(index_blake3),
            is_promisor,
            has_known_ids: false,
            sound: None,
            lookup: OnceLock::new(),
            pack: OnceLock::new(),
        });
    }

    /// Takes note of the ids of packs, by their names without an ending: such a pack is opened only to read an object that it
    /// holds. Whoever calls this has seen that its bytes are those of which the ids were noted.
    pub fn know_ids(&mut self, ids: &SmallPacks) {
        for (number, slot) in self.slots.iter_mut().enumerate() {
            let known = name(&slot.path).and_then(|name| ids.get(name));
            let Some(known) = known.filter(|ids| ids.len() as u64 == slot.objects) else {
                continue;
            };
            slot.has_known_ids = true;
            self.known.extend(known.iter().map(|id| (*id, number)));
        }
    }

    /// Takes note of what indices look like whose bytes were found to be right, by the names of their packs without an ending: whether
    /// an object is there, they are asked without being read whole.
    pub fn know_sound(&mut self, look_of: &dyn Fn(&str) -> Option<Fingerprint>) {
        for slot in self.slots.iter_mut().filter(|slot| !slot.is_small()) {
            slot.sound = name(&slot.path).and_then(look_of);
        }
    }

    /// The packs that are open, by their names without an ending, each with its ids if they are few.
    pub fn opened(&self) -> impl Iterator<Item = (&str, Option<Vec<ObjectId>>)> {
        let open = self.slots.iter().filter_map(|slot| {
            let pack = slot.pack.get()?.as_ref()?;
            Some((name(&slot.path)?, pack, slot.is_small()))
        });
        open.map(|(name, pack, is_small)| (name, is_small.then(|| pack.index.ids().collect())))
    }

    /// The packs that can be opened, the newest last.
    pub fn all(&self) -> impl DoubleEndedIterator<Item = &Pack> {
        self.slots.iter().filter_map(open)
    }

    /// The promisor packs that can be opened, or all others, the newest last.
    pub fn all_of(&self, is_promisor: bool) -> impl Iterator<Item = &Pack> {
        let slots = self.slots.iter();
        let slots = slots.filter(move |slot| slot.is_promisor == is_promisor);
        slots.filter_map(open)
    }

    /// The pack added last.
    #[must_use]
    pub fn newest(&self) -> Option<&Pack> {
        open(self.slots.last()?)
    }

    /// The format of the ids; `None` for an empty set.
    #[must_use]
    pub fn format(&self) -> Option<ObjectFormat> {
        self.slots.first().map(|slot| slot.format)
    }

    /// Says whether every pack that was needed could be opened.
    ///
    /// # Errors
    /// Why the first that could not be opened cannot be opened.
    pub fn check(&self) -> Result<()> {
        match self
            .slots
            .iter()
            .find(|slot| matches!(slot.pack.get(), Some(None)))
        {
            None => Ok(()),
            Some(slot) => match open_with_count(slot) {
                Err(error) => Err(error),
                Ok(_) => Err(Error::damaged(
                    &slot.path,
                    "it could not be opened when it was needed",
                )),
            },
        }
    }

    /// Whether any pack holds the object. A pack that cannot be opened holds nothing, unless its ids are known.
    #[must_use]
    pub fn contains(&self, id: &ObjectId) -> bool {
        let others = self.slots.iter().rev().filter(|slot| !slot.has_known_ids);
        self.known.contains_key(id) || others.into_iter().any(|slot| slot_contains(slot, id))
    }

    /// Whether any promisor pack holds the object.
    #[must_use]
    pub fn promisor_contains(&self, id: &ObjectId) -> bool {
        let promisors = self.slots.iter().rev().filter(|slot| slot.is_promisor);
        promisors
            .filter_map(open)
            .any(|pack| pack.index.find(id).is_some())
    }

    fn pack_with(&self, id: &ObjectId) -> Option<&Pack> {
        let holds = |pack: &&Pack| pack.index.find(id).is_some();
        let known = self
            .known
            .get(id)
            .and_then(|number| self.slots.get(*number));
        if let Some(pack) = known.and_then(open).filter(holds) {
            return Some(pack);
        }
        // The newest first: what was written last is asked for most.
        let others = self.slots.iter().rev().filter(|slot| !slot.has_known_ids);
        others.filter_map(open).find(holds)
    }

    /// The kind of an object, without reading its content.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub fn kind(&self, id: &ObjectId) -> Result<ObjectKind> {
        self.pack_with(id).ok_or(Error::Missing(*id))?.kind(id)
    }

    /// Reads an object whole and checks its id and kind.
    ///
    /// # Errors
    /// When it is missing, damaged, or of another kind.
    pub fn read(&self, id: &ObjectId, kind: ObjectKind) -> Result<Vec<u8>> {
        let object = self.read_any(id)?;
        if object.kind != kind {
            let path = self.pack_with(id).map_or(Path::new(""), Pack::path);
            return Err(Error::damaged(
                path,
                format!("object {id} is not a {}", kind.word()),
            ));
        }
        Ok(object.content)
    }

    /// Reads an object of any kind whole and checks its id.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub fn read_any(&self, id: &ObjectId) -> Result<Object> {
        let pack = self.pack_with(id).ok_or(Error::Missing(*id))?;
        let object = pack.read(id)?;
        if hash_object(pack.format(), object.kind, &object.content) != Some(*id) {
            return Err(pack.damaged(format!("object {id} has another content")));
        }
        Ok(object)
    }

    /// Writes the content of a blob to `sink` and checks its id; gives its size.
    ///
    /// # Errors
    /// When it is missing, damaged or no blob, or `sink` fails.
    pub fn copy_blob(&self, id: &ObjectId, sink: &mut dyn Write, sink_path: &Path) -> Result<u64> {
        let pack = self.pack_with(id).ok_or(Error::Missing(*id))?;
        let (kind, bytes) = pack.copy_object(id, sink, sink_path)?;
        if kind == ObjectKind::Blob {
            Ok(bytes)
        } else {
            Err(pack.damaged(format!("object {id} is not a blob")))
        }
    }
}

fn slot_contains(slot: &Slot, id: &ObjectId) -> bool {
    if slot.pack.get().is_none()
        && let Some(look) = &slot.sound
    {
        let lookup = slot
            .lookup
            .get_or_init(|| IndexLookup::open(&slot.path.with_extension("idx"), slot.format, look));
        if let Some(answer) = lookup.as_ref().and_then(|lookup| lookup.contains(id)) {
            return answer;
        }
    }
    open(slot).is_some_and(|pack| pack.index.find(id).is_some())
}

/// The name of a pack's file without its ending.
fn name(path: &Path) -> Option<&str> {
    path.file_stem()?.to_str()
}

fn open(slot: &Slot) -> Option<&Pack> {
    slot.pack
        .get_or_init(|| open_with_count(slot).ok())
        .as_ref()
}

fn open_with_count(slot: &Slot) -> Result<Pack> {
    let pack = Pack::open_with(&slot.path, slot.format, slot.index_blake3)?;
    let found = u64::from(pack.index.count());
    if found == slot.objects {
        Ok(pack)
    } else {
        Err(pack.damaged(format!("expected {} objects, found {found}", slot.objects)))
    }
}
