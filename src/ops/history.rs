//! Mirrors the source's objects into the vault by id, and proves that what the captured state needs is there.

use std::collections::{BTreeSet, HashSet};

use crate::host::git::alternates::Alternates;
use crate::host::git::error::Error;
use crate::host::git::grafts::Grafts;
use crate::host::git::loose;
use crate::host::git::object::{
    MODE_TREE, ObjectFormat, ObjectId, ObjectKind, hash_object, tree_entries,
};
use crate::host::git::pack_copy::copy_entries;
use crate::host::git::pack_reader::{Object, Pack};
use crate::host::git::pack_writer::{FinishedPack, PackWriter};
use crate::host::git::packs::Packs;
use crate::host::git::stores::{Known, StoreStamp, Stores};
use crate::model::escape::shell_word;
use crate::model::event::{Event, Monitor, Phase};
use crate::model::place::Spot;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::locate::refuse_source_objects;
use crate::vault::content::{refuse_git_read, refuse_git_write};
use crate::vault::layout::Layout;
use crate::vault::probe;
use crate::vault::staging::Staging;
use crate::vault::store::Store;

/// Loose objects larger than this are copied in pieces.
const STREAM_ABOVE_BYTES: u64 = 16 << 20;

/// Which objects of the source's stores go into a pack of the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Those of promisor packs: what they name may be missing. They come first, so that the others need not be among them.
    Promisor,
    /// All others.
    Own,
}

/// Where the objects of a repository go.
#[derive(Clone, Copy)]
pub struct Target<'a> {
    /// The vault's packs.
    pub store: &'a Store,
    /// Whose history it is.
    pub git_dir: &'a Spot,
    /// The format of the ids.
    pub format: ObjectFormat,
    /// Where new packs are written.
    pub staging: &'a Staging,
    /// The vault.
    pub layout: &'a Layout,
}

/// How mirroring can fail.
pub enum MirrorError {
    /// Files of the object store came and went meanwhile: worth another try.
    Moved(Error),
    /// No use in trying again.
    Refused(Refusal),
}

impl From<Refusal> for MirrorError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Reading the source: what is not there any more was moved.
fn source(error: Error) -> MirrorError {
    if error.is_not_found() {
        MirrorError::Moved(error)
    } else {
        MirrorError::Refused(refuse_source_objects(&error))
    }
}

/// Opens the source's object stores.
///
/// # Errors
/// [`MirrorError`].
pub fn open_stores(
    objects: &std::path::Path,
    format: ObjectFormat,
    is_partial: bool,
    known: &[StoreStamp],
    settled_before_ns: Option<i128>,
) -> std::result::Result<Stores, MirrorError> {
    let known: BTreeSet<&StoreStamp> = known.iter().collect();
    let known = Known {
        is_mirrored: &|stamp| known.contains(stamp),
        settled_before_ns,
    };
    Stores::open(objects, format, is_partial, known).map_err(source)
}

/// Copies every object of a part that the source holds and the vault's history does not into one new pack; `None` when there
/// is none. What the source has from a promisor remote must be in a promisor pack of the vault, too.
///
/// # Errors
/// [`MirrorError`]; the unfinished pack stays in staging.
pub fn mirror(
    stores: &Stores,
    part: Part,
    target: &Target<'_>,
    monitor: &dyn Monitor,
) -> std::result::Result<Option<FinishedPack>, MirrorError> {
    let Target {
        store,
        git_dir,
        format,
        staging,
        layout,
    } = *target;
    let history = store.history(git_dir);
    let is_promisor = part == Part::Promisor;
    let is_new = |id: &ObjectId| match part {
        Part::Promisor => !history.promisor_contains(id),
        Part::Own => !history.contains(id),
    };
    let loose = stores.loose.iter().filter(|_| !is_promisor);
    let new_loose: Vec<&(ObjectId, usize)> = loose.filter(|(id, _)| is_new(id)).collect();
    let mut selections: Vec<(&Pack, Vec<bool>)> = Vec::new();
    let packs = stores.packs.iter();
    let packs = packs.filter(|pack| pack.stamp.is_promisor == is_promisor);
    for pack in packs.filter_map(|pack| pack.pack.as_ref()) {
        let wanted: Vec<bool> = pack.index.ids().map(|id| is_new(&id)).collect();
        if wanted.contains(&true) {
            selections.push((pack, wanted));
        }
    }
    if selections.is_empty() && new_loose.is_empty() {
        return Ok(None);
    }
    // The largest first: most deltas find their base in the same pack.
    selections.sort_by_key(|(pack, _)| std::cmp::Reverse(pack.bytes()));
    let total = selections
        .iter()
        .map(|(_, wanted)| wanted.iter().filter(|wanted| **wanted).count())
        .sum::<usize>();
    let needed_bytes = selections.iter().map(|(pack, _)| pack.bytes()).sum();
    probe::check_space(layout.root(), needed_bytes)?;
    monitor.event(Event::Started {
        phase: Phase::History,
        total: Some((total + new_loose.len()) as u64),
    });
    let directory = staging.directory()?;
    let label = format!("history-{}", next_number(&directory));
    let mut writer =
        PackWriter::create(&directory, &label, format).map_err(|error| refuse_git_write(&error))?;
    let copied = copy_all(stores, &selections, &new_loose, &mut writer, monitor);
    match copied.and_then(|()| mark(&mut writer, target)) {
        Ok(()) => {}
        Err(error) => {
            let error = copy_error(error, layout);
            if matches!(error, MirrorError::Moved(_)) {
                // The next attempt begins anew; what the first one wrote was never claimed to be anything.
                writer.discard().map_err(|error| refuse_git_write(&error))?;
            }
            return Err(error);
        }
    }
    let pack = writer.finish().map_err(|error| refuse_git_write(&error))?;
    monitor.event(Event::Finished {
        phase: Phase::History,
    });
    Ok(Some(pack))
}

/// A pack of the empty tree alone. Git has that object built in, and writes things that name it without storing it.
///
/// # Errors
/// When it cannot be written.
pub fn pack_of_empty_tree(target: &Target<'_>) -> Result<FinishedPack> {
    let (directory, format) = (target.staging.directory()?, target.format);
    let label = format!("history-{}", next_number(&directory));
    let write = || {
        let mut writer = PackWriter::create(&directory, &label, format)?;
        if let Some(id) = empty_tree(format) {
            writer.add(id, ObjectKind::Tree, b"")?;
        }
        mark(&mut writer, target)?;
        writer.finish()
    };
    write().map_err(|error: Error| refuse_git_write(&error))
}

/// The id of the tree without entries.
#[must_use]
pub fn empty_tree(format: ObjectFormat) -> Option<ObjectId> {
    hash_object(format, ObjectKind::Tree, b"")
}

/// Two repositories may bring the very same objects, and packs are named by what is in them: one that the vault could have
/// already gets an object of its own, which says whose it is.
fn mark(writer: &mut PackWriter, target: &Target<'_>) -> std::result::Result<(), Error> {
    let is_elsewhere = writer.first().is_some_and(|id| target.store.contains(&id));
    if !is_elsewhere {
        return Ok(());
    }
    let text = format!("git-vault: history of {}\n", target.git_dir);
    match hash_object(target.format, ObjectKind::Blob, text.as_bytes()) {
        Some(id) => writer.add(id, ObjectKind::Blob, text.as_bytes()),
        None => Ok(()),
    }
}

fn copy_all(
    stores: &Stores,
    selections: &[(&Pack, Vec<bool>)],
    new_loose: &[&(ObjectId, usize)],
    writer: &mut PackWriter,
    monitor: &dyn Monitor,
) -> std::result::Result<(), Error> {
    let progress = |units| {
        monitor.event(Event::Advanced {
            phase: Phase::History,
            units,
        });
    };
    for (pack, wanted) in selections {
        let is_wanted = |number: u32| wanted.get(number as usize).copied().unwrap_or(false);
        copy_entries(pack, &is_wanted, writer, &progress)?;
    }
    for (id, directory) in new_loose {
        copy_loose(stores, id, *directory, writer.format(), writer)?;
        progress(1);
    }
    Ok(())
}

/// A number for the file name of a pack that is being written, when a second attempt needs another.
fn next_number(directory: &std::path::Path) -> usize {
    crate::host::disk::list(directory).map_or(0, |names| names.len())
}

/// An error while copying is the vault's when its path is there, else the source's.
fn copy_error(error: Error, layout: &Layout) -> MirrorError {
    match &error {
        Error::Disk(disk) if disk.path.starts_with(layout.root()) => {
            MirrorError::Refused(disk.refuse_vault_write())
        }
        Error::Disk(_) | Error::Damaged { .. } | Error::Missing(_) | Error::Limit(_) => {
            source(error)
        }
    }
}

fn copy_loose(
    stores: &Stores,
    id: &ObjectId,
    directory: usize,
    format: ObjectFormat,
    writer: &mut PackWriter,
) -> std::result::Result<(), Error> {
    if writer.contains(id) {
        return Ok(());
    }
    let directory = stores
        .alternates
        .directories
        .get(directory)
        .ok_or(Error::Missing(*id))?;
    let mut object = loose::open(directory, id)?;
    if object.bytes <= STREAM_ABOVE_BYTES {
        let object = object.read(format, id)?;
        return writer.add(*id, object.kind, &object.content);
    }
    let (kind, bytes, path) = (object.kind, object.bytes, object.path().to_owned());
    writer.add_stream(*id, kind, bytes, object.reader(), &path)
}

/// Which of the ids the vault's history lacks, and no promisor remote has promised.
#[must_use]
pub fn missing(
    history: &Packs,
    ids: &BTreeSet<ObjectId>,
    promised: &BTreeSet<ObjectId>,
) -> Vec<ObjectId> {
    ids.iter()
        .filter(|id| !history.contains(id) && !promised.contains(id))
        .copied()
        .collect()
}

/// Whether all of the ids are there, with everything they reach.
///
/// # Errors
/// When an object cannot be read.
pub fn is_whole(
    history: &Packs,
    ids: &BTreeSet<ObjectId>,
    lacks: Lacks<'_>,
    grafts: &Grafts,
) -> Result<bool> {
    if !missing(history, ids, lacks.promised).is_empty() {
        return Ok(false);
    }
    Ok(lacks.holes.is_empty() || reach_hole(history, ids, lacks, grafts)?.is_none())
}

/// What a history lacks.
#[derive(Clone, Copy)]
pub struct Lacks<'a> {
    /// What objects name and must not lead to.
    pub holes: &'a BTreeSet<ObjectId>,
    /// What a promisor remote has promised: what stands behind it need not be known.
    pub promised: &'a BTreeSet<ObjectId>,
}

/// Says that an object is missing, and what the repository cannot borrow from: the object may be there.
#[must_use]
pub fn refuse_missing(id: &ObjectId, named_by: &str, borrowed: Option<&Alternates>) -> Refusal {
    let mut refusal = Refusal::new(
        RefusalCode::SourceObjectMissing,
        format!("object {id} is not in the repository"),
    )
    .because(named_by);
    let too_deep = borrowed.iter().flat_map(|borrowed| &borrowed.too_deep);
    for list in too_deep {
        let list = list.display();
        refusal = refusal.because(format!(
            "'{list}' is nested too deep for git to borrow from"
        ));
    }
    let gone = borrowed.iter().flat_map(|borrowed| &borrowed.gone);
    for store in gone {
        let shown = store.display();
        refusal = refusal
            .because(format!(
                "'{shown}', from which it borrows objects, is not there"
            ))
            .next(
                format!("ls -ld {}", shell_word(store)),
                "must show a directory: bring it back, or mount its disk, before anything else",
            );
    }
    refusal
}

/// Walks from the tips through the history and gives the first hole that is met, with the object that names it. Of a commit
/// that has other parents than it records, those are followed that count; no hole stands behind what is only promised.
///
/// # Errors
/// When an object cannot be read.
pub fn reach_hole(
    history: &Packs,
    tips: &BTreeSet<ObjectId>,
    lacks: Lacks<'_>,
    grafts: &Grafts,
) -> Result<Option<(ObjectId, ObjectId)>> {
    let mut seen: HashSet<ObjectId> = tips.difference(lacks.promised).copied().collect();
    // Tips and what tags name may be blobs, which name nothing: their content, perhaps a large one, is not read.
    let mut stack: Vec<(ObjectId, bool)> = seen.iter().map(|id| (*id, true)).collect();
    while let Some((id, may_be_blob)) = stack.pop() {
        let read = || {
            if may_be_blob && history.kind(&id)? == ObjectKind::Blob {
                return Ok(None);
            }
            history.read_any(&id).map(Some)
        };
        let Some(object) = read().map_err(|error: Error| refuse_git_read(&error))? else {
            continue;
        };
        let format = history.format().unwrap_or(ObjectFormat::Sha1);
        let mut found = None;
        let blobs: HashSet<ObjectId> = blobs_of(format, &object).collect();
        let named = (&id, object.kind);
        let parsed = grafts.each_link(format, named, &object.content, |link| {
            if lacks.holes.contains(&link) {
                found.get_or_insert((link, id));
            } else if !blobs.contains(&link) && !lacks.promised.contains(&link) && seen.insert(link)
            {
                stack.push((link, object.kind == ObjectKind::Tag));
            }
        });
        if parsed.is_none() {
            return Err(Refusal::new(
                RefusalCode::SourceObjectDamaged,
                format!("object {id} is malformed"),
            ));
        }
        if found.is_some() {
            return Ok(found);
        }
    }
    Ok(None)
}

/// The entries of a tree that are no trees: they name nothing further, so that they need not be read.
fn blobs_of(format: ObjectFormat, object: &Object) -> impl Iterator<Item = ObjectId> {
    let tree = if object.kind == ObjectKind::Tree {
        object.content.as_slice()
    } else {
        &[]
    };
    let entries = tree_entries(format, tree).flatten();
    entries
        .filter(|entry| entry.mode & 0o170_000 != MODE_TREE)
        .map(|entry| entry.id)
}
