//! Where the changes that `diff` finds stand in the index: staged or committed, not staged, untracked.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::Path;

use crate::host::disk;
use crate::host::git::index::Index;
use crate::host::git::object::{
    MODE_EXECUTABLE, MODE_FILE, MODE_LINK, ObjectFormat, ObjectKind, hash_object,
};
use crate::host::metadata::Fingerprint;
use crate::model::refusal::Result;
use crate::model::refusal_code::RefusalCode;
use crate::ops::diff::Side;

/// Larger files are not hashed to find out whether the index has them as they are.
const HASHED_BYTES: u64 = 64 << 20;

/// What the index has of a path that changed in the working tree.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The same as the working tree: it was staged, and perhaps committed.
    Staged,
    /// Something else: a commit would not take it.
    NotStaged,
    /// Nothing, neither now nor in the snapshot.
    Untracked,
}

/// The index of the working tree now, and that of the snapshot where it can be read by itself.
pub(super) struct Indices {
    pub(super) now: Index,
    pub(super) then: Option<Index>,
    pub(super) format: ObjectFormat,
}

impl Indices {
    /// Of a path that is in the working tree. Nothing when it cannot be told without running a filter, or reading very much.
    pub(super) fn of_what_is_there(
        &self,
        path: &[u8],
        there: &Path,
        fingerprint: &Fingerprint,
        side: &Side,
    ) -> Result<Option<Standing>> {
        if !self.now.is_tracked(&self.now.all(), path) {
            return Ok(Some(Standing::Untracked));
        }
        let [(0, mode, id)] = self.now.entries_of(path)[..] else {
            // In conflict, or in a directory that a sparse index keeps as a whole.
            return Ok(Some(Standing::NotStaged));
        };
        let content = match side {
            Side::Link(target) if mode == MODE_LINK => Some(target.clone()),
            Side::File(file_mode, bytes, _) if mode == index_mode(*file_mode) => (*bytes
                <= HASHED_BYTES)
                .then(|| content(there))
                .transpose()?,
            Side::File(..) | Side::Link(_) | Side::Directory(_) | Side::Other => {
                return Ok(Some(Standing::NotStaged));
            }
        };
        let hashed =
            content.and_then(|content| hash_object(self.format, ObjectKind::Blob, &content));
        if hashed == Some(id) {
            return Ok(Some(Standing::Staged));
        }
        // Where size and time are those of the index, a filter may be between the two, or an edit that put them back.
        let is_unclear = self.now.looks_unchanged(path, fingerprint) == Some(true);
        Ok((!is_unclear).then_some(Standing::NotStaged))
    }

    /// Of a path that the working tree does not have any more. Nothing when it cannot be told whether git ever had it.
    pub(super) fn of_what_is_gone(&self, path: &[u8]) -> Option<Standing> {
        if self.now.is_tracked(&self.now.all(), path) {
            return Some(Standing::NotStaged);
        }
        let then = self.then.as_ref()?;
        Some(if then.is_tracked(&then.all(), path) {
            Standing::Staged
        } else {
            Standing::Untracked
        })
    }

    /// The paths of which the index has something else than in the snapshot. Nothing where that of the snapshot cannot be read.
    pub(super) fn differing(&self) -> Option<Vec<Vec<u8>>> {
        let then = self.then.as_ref()?;
        let paths: BTreeSet<Vec<u8>> = then.paths().into_iter().chain(self.now.paths()).collect();
        let differs = |path: &Vec<u8>| then.entries_of(path) != self.now.entries_of(path);
        Some(paths.into_iter().filter(differs).collect())
    }
}

/// How the index has a file of that mode.
fn index_mode(mode: u32) -> u32 {
    if mode & 0o100 == 0 {
        MODE_FILE
    } else {
        MODE_EXECUTABLE
    }
}

fn content(path: &Path) -> Result<Vec<u8>> {
    let unreadable = |error: disk::Error| error.refuse(RefusalCode::SourceUnreadable);
    let file = disk::open_regular(path).map_err(unreadable)?;
    let mut content = Vec::new();
    file.take(HASHED_BYTES + 1)
        .read_to_end(&mut content)
        .map_err(|error| unreadable(disk::Error::new("read", path, error)))?;
    Ok(content)
}
