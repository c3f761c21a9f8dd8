//! Parts of a snapshot: only the directories that lead to what is wanted are read, each pinned by the listing above it.

use crate::host::git::object::ObjectId;
use crate::host::walk::join;
use crate::model::ids::Digest;
use crate::model::listing::Entry;
use crate::model::place::Place;
use crate::model::refusal::Result;
use crate::vault::reader::{Directory, Pending, SnapshotReader};

/// What is wanted of a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// It, and all below it.
    Whole,
    /// Something below it.
    Way,
    /// Nothing.
    Nothing,
}

impl SnapshotReader<'_> {
    /// Calls `each` for the directories of a place that hold what is wanted, those above before those below; of a directory that is only
    /// on the way, with those entries only that are wanted or on the way themselves. `wanted` is asked for the path of every entry met.
    ///
    /// # Errors
    /// When anything is missing, damaged or contradictory, or what `each` gives.
    pub fn each_wanted(
        &self,
        place: Place,
        wanted: &dyn Fn(&[u8]) -> Wanted,
        each: &mut dyn FnMut(Directory) -> Result<()>,
    ) -> Result<()> {
        let Some(topmost) = self.topmost(place)? else {
            return Ok(());
        };
        let mut pending = vec![topmost];
        while let Some(next) = pending.pop() {
            let is_whole = wanted(&next.path) == Wanted::Whole;
            let mut below = Vec::new();
            let mut directory = self.directory(next, &mut below)?;
            let is_wanted = |path: &[u8]| is_whole || wanted(path) != Wanted::Nothing;
            pending.extend(below.into_iter().filter(|next| is_wanted(&next.path)));
            if !is_whole {
                let path = directory.path.clone();
                let is_kept = |name: &Vec<u8>, entry: &mut Entry| match wanted(&join(&path, name)) {
                    Wanted::Whole => true,
                    Wanted::Way => matches!(entry, Entry::Directory { .. }),
                    Wanted::Nothing => false,
                };
                directory.listing.entries.retain(is_kept);
                let kept = &directory.listing.entries;
                directory.contents.retain(|name, _| kept.contains_key(name));
            }
            each(directory)?;
        }
        Ok(())
    }

    /// The topmost directory of a place; `None` when the snapshot has no such place.
    pub(super) fn topmost(&self, place: Place) -> Result<Option<Pending>> {
        let Some(stated) = self.manifest.counts(place) else {
            return Ok(None);
        };
        let root = self.root()?;
        let attributes = self.child(&root, b"attributes")?;
        let listing = stated
            .root
            .ok_or_else(|| self.contradiction("it states no listing".to_owned()))?;
        Ok(Some(Pending {
            path: Vec::new(),
            contents: Some(self.place_tree(&root, place)?),
            attributes: self.place_tree(&attributes, place)?,
            listing,
        }))
    }
}

/// The directories in a directory, by path.
pub type Below = Vec<(Vec<u8>, DirectoryKey)>;

/// A directory, by what it holds: the same one may stand in many snapshots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct DirectoryKey {
    contents: Option<ObjectId>,
    attributes: ObjectId,
    listing: Digest,
}

impl DirectoryKey {
    fn of(pending: &Pending) -> Self {
        Self {
            contents: pending.contents,
            attributes: pending.attributes,
            listing: pending.listing,
        }
    }
}

impl SnapshotReader<'_> {
    /// The key of the topmost directory of a place.
    ///
    /// # Errors
    /// When it is missing or contradictory.
    pub fn top_key(&self, place: Place) -> Result<Option<DirectoryKey>> {
        Ok(self.topmost(place)?.as_ref().map(DirectoryKey::of))
    }

    /// Reads one directory, said to lie at `path`; gives it and the paths and keys of those in it.
    ///
    /// # Errors
    /// When anything is missing, damaged or contradictory.
    pub fn read_directory(&self, key: DirectoryKey, path: &[u8]) -> Result<(Directory, Below)> {
        let next = Pending {
            path: path.to_vec(),
            contents: key.contents,
            attributes: key.attributes,
            listing: key.listing,
        };
        let mut below = Vec::new();
        let directory = self.directory(next, &mut below)?;
        let below = below
            .into_iter()
            .map(|next| (next.path.clone(), DirectoryKey::of(&next)));
        Ok((directory, below.collect()))
    }
}
