//! The index of a repository: which paths are tracked, and which objects it names.

use std::ops::Range;
use std::path::{Path, PathBuf};

use gix::index::entry::{Flags, Mode};

use super::object::{MODE_TREE, ObjectFormat, ObjectId, ObjectKind, hash_object};
use super::tree::{NewEntry, tree_content};
use crate::host::disk;
use crate::host::metadata::Fingerprint;
use crate::host::walk::path_bytes;

/// What this program needs from an index.
pub struct Index {
    state: gix::index::State,
}

/// Entries that stand next to one another: those below a directory.
#[derive(Debug, Clone)]
pub struct Part(Range<usize>);

/// The index cannot be understood.
#[derive(Debug)]
pub struct IndexError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub reason: String,
}

impl Index {
    /// Reads the index at `path`; a missing one is empty.
    ///
    /// # Errors
    /// When it is there and cannot be understood.
    pub fn open(path: &Path, format: ObjectFormat) -> Result<Self, IndexError> {
        let is_checked_beside = is_large(path) && !is_split(path);
        let open = || {
            let options = gix::index::decode::Options::default();
            gix::index::File::at_or_default(path, format.gix(), is_checked_beside, options)
        };
        let refuse = |reason: String| IndexError {
            path: path.to_owned(),
            reason,
        };
        // The parser looks up places that the file itself names; a crafted one must end in a refusal.
        let parse = || std::panic::catch_unwind(open);
        let (parsed, checked) = if is_checked_beside {
            std::thread::scope(|scope| {
                let check = std::thread::Builder::new()
                    .spawn_scoped(scope, || check_sum(path, format))
                    .map_err(|_no_thread| ());
                let parsed = parse();
                let checked = match check {
                    Ok(thread) => thread
                        .join()
                        .unwrap_or_else(|panic| std::panic::resume_unwind(panic)),
                    Err(()) => check_sum(path, format),
                };
                (parsed, checked)
            })
        } else {
            (parse(), Ok(()))
        };
        let opened = parsed.map_err(|_panic| refuse("it is malformed".to_owned()))?;
        checked.map_err(refuse)?;
        let file = opened.map_err(|error| refuse(error.to_string()))?;
        Ok(Self { state: file.into() })
    }

    /// Reads an index that is in memory; `None` when it cannot be understood, or a part of it stands in another file.
    #[must_use]
    pub fn from_bytes(bytes: &[u8], format: ObjectFormat) -> Option<Self> {
        let open = || {
            let options = gix::index::decode::Options::default();
            let time = gix::index::State::new(format.gix()).timestamp();
            gix::index::State::from_bytes(bytes, time, format.gix(), options).ok()
        };
        // As above: a crafted index must not end the program.
        let (state, _checksum) = std::panic::catch_unwind(open).ok()??;
        state.link().is_none().then_some(Self { state })
    }

    /// What it holds of a path: the stage, the mode and the object of each entry. A path that a sparse index keeps within a directory
    /// has none.
    #[must_use]
    pub fn entries_of(&self, path: &[u8]) -> Vec<(u32, u32, ObjectId)> {
        let entries = self.state.entries();
        let start = self.first_not_before(&self.all(), path);
        let rest = entries.get(start..).unwrap_or_default().iter();
        let same = rest.take_while(|entry| entry.path(&self.state) == path);
        same.map(|entry| (entry.stage_raw(), entry.mode.bits(), entry.id.into()))
            .collect()
    }

    /// All its paths, each once, in order.
    #[must_use]
    pub fn paths(&self) -> Vec<Vec<u8>> {
        let entries = self.state.entries().iter();
        let mut paths: Vec<Vec<u8>> = entries
            .map(|entry| entry.path(&self.state).to_vec())
            .collect();
        paths.dedup();
        paths
    }

    /// All entries.
    #[must_use]
    pub fn all(&self) -> Part {
        Part(0..self.state.entries().len())
    }

    /// The entries below a directory, of those below one that it lies in.
    #[must_use]
    pub fn below(&self, part: &Part, directory: &[u8]) -> Part {
        let mut prefix = directory.to_vec();
        prefix.push(b'/');
        let start = self.first_not_before(part, &prefix);
        let rest = self
            .state
            .entries()
            .get(start..part.0.end)
            .unwrap_or_default();
        let length = rest.partition_point(|entry| entry.path(&self.state).starts_with(&prefix));
        Part(start..start + length)
    }

    /// Whether the index has an entry for the path, which lies in the directory of this part.
    #[must_use]
    pub fn is_tracked(&self, part: &Part, path: &[u8]) -> bool {
        let place = self.first_not_before(part, path);
        let entry = self.state.entries().get(place);
        entry.is_some_and(|entry| entry.path(&self.state) == path)
            || self.is_in_sparse_directory(path)
    }

    /// Whether the path lies in a directory that a sparse index keeps as one entry: anything there may be tracked.
    fn is_in_sparse_directory(&self, path: &[u8]) -> bool {
        self.state.is_sparse()
            && self.state.entries().iter().any(|entry| {
                let directory: &[u8] = entry.path(&self.state);
                entry.mode == Mode::DIR && path.starts_with(directory)
            })
    }

    /// Whether the index has entries below the directory, which lies in the directory of this part.
    #[must_use]
    pub fn tracks_below(&self, part: &Part, directory: &[u8]) -> bool {
        !self.below(part, directory).0.is_empty()
            || self.is_in_sparse_directory(&[directory, b"/"].concat())
    }

    /// Whether the index has an entry below the directory that is wanted, by its path in it; what a sparse index does not name
    /// counts.
    #[must_use]
    pub fn tracks_any_below(&self, directory: &[u8], is_wanted: fn(&[u8]) -> bool) -> bool {
        let own = |entry: &gix::index::Entry| {
            let path: &[u8] = entry.path(&self.state);
            path.get(directory.len() + 1..).unwrap_or_default().to_vec()
        };
        let below = self.below(&self.all(), directory).0;
        let entries = self.state.entries().get(below).unwrap_or_default();
        entries.iter().any(|entry| is_wanted(&own(entry)))
            || self.is_in_sparse_directory(&[directory, b"/"].concat())
    }

    /// Whether a file looks as the index says it did when it was last compared: size and modification time. Nothing when the index has
    /// no entry for it.
    #[must_use]
    pub fn looks_unchanged(&self, path: &[u8], found: &Fingerprint) -> Option<bool> {
        let place = self.first_not_before(&self.all(), path);
        let entry = self.state.entries().get(place)?;
        if entry.path(&self.state) != path {
            return self.is_in_sparse_directory(path).then_some(false);
        }
        let stat = &entry.stat;
        let mtime_ns = i128::from(stat.mtime.secs) * 1_000_000_000 + i128::from(stat.mtime.nsecs);
        // The index holds the lower bits of a size only; of a time, some programs write whole seconds.
        let is_same_time = mtime_ns == found.mtime_ns
            || (stat.mtime.nsecs == 0
                && mtime_ns == found.mtime_ns - found.mtime_ns % 1_000_000_000);
        let is_same_size = u64::from(stat.size) == found.bytes & u64::from(u32::MAX);
        Some(entry.stage_raw() == 0 && is_same_time && is_same_size)
    }

    /// How many files of the working tree the index has, but for those that git leaves out of it on purpose.
    #[must_use]
    pub fn files(&self) -> u64 {
        let mut last: &[u8] = b"";
        let mut number = 0;
        for entry in self.state.entries() {
            let path: &[u8] = entry.path(&self.state);
            let is_file = entry.mode != Mode::COMMIT
                && entry.mode != Mode::DIR
                && !entry.flags.contains(Flags::SKIP_WORKTREE);
            number += u64::from(is_file && path != last);
            last = path;
        }
        number
    }

    /// The tree that a commit of this index would have; nothing while there are conflicts.
    #[must_use]
    pub fn tree(&self, format: ObjectFormat) -> Option<ObjectId> {
        let cached = self.state.tree().filter(|tree| tree.num_entries.is_some());
        if let Some(tree) = cached {
            return Some(tree.id.into());
        }
        let entries = self.state.entries();
        let kept = entries
            .iter()
            .filter(|entry| !entry.flags.contains(Flags::INTENT_TO_ADD));
        let kept: Vec<&gix::index::Entry> = kept.collect();
        if kept.iter().any(|entry| entry.stage_raw() != 0) {
            return None;
        }
        let steps = |entry: &&gix::index::Entry| {
            let path: &[u8] = entry.path(&self.state);
            path.split(|byte| *byte == b'/').count()
        };
        if kept.iter().any(|entry| steps(entry) > DEEPEST) {
            return None;
        }
        self.tree_of(&kept, 0, format)
    }

    /// The tree of entries whose paths are the same up to `start`.
    fn tree_of(
        &self,
        entries: &[&gix::index::Entry],
        start: usize,
        format: ObjectFormat,
    ) -> Option<ObjectId> {
        let mut items = Vec::new();
        let mut rest = entries;
        while let Some((first, _)) = rest.split_first() {
            let path: &[u8] = first.path(&self.state);
            let own = path.get(start..)?;
            let slash = own.iter().position(|byte| *byte == b'/');
            let (name, length) = match slash {
                Some(at) => {
                    let prefix = path.get(..=start + at)?;
                    let is_inside = |entry: &&gix::index::Entry| {
                        let path: &[u8] = entry.path(&self.state);
                        path.starts_with(prefix)
                    };
                    (own.get(..at)?, rest.partition_point(is_inside))
                }
                None => (own, 1),
            };
            let (inside, after) = rest.split_at_checked(length.max(1))?;
            // A sparse index has a whole directory as one entry, with a slash at its end.
            let is_whole = slash.is_some_and(|at| at + 1 == own.len());
            let (mode, id) = if slash.is_some() && !is_whole {
                let id = self.tree_of(inside, start + name.len() + 1, format)?;
                (MODE_TREE, id)
            } else {
                (first.mode.bits(), first.id.into())
            };
            items.push(NewEntry {
                mode,
                name: name.to_vec(),
                id,
            });
            rest = after;
        }
        hash_object(format, ObjectKind::Tree, &tree_content(items))
    }

    /// Where the first entry of a part stands whose path does not come before `path` in the order of the index (bytes).
    fn first_not_before(&self, part: &Part, path: &[u8]) -> usize {
        let entries = self.state.entries().get(part.0.clone()).unwrap_or_default();
        part.0.start + entries.partition_point(|entry| entry.path(&self.state) < path)
    }

    /// The objects that entries and cached trees name. What only resolve-undo records name is not among them: git does
    /// without it.
    #[must_use]
    pub fn ids(&self) -> Vec<ObjectId> {
        let mut ids = Vec::new();
        for entry in self.state.entries() {
            if entry.mode != Mode::COMMIT && !entry.flags.contains(Flags::INTENT_TO_ADD) {
                ids.push(entry.id.into());
            }
        }
        if let Some(tree) = self.state.tree() {
            collect_cached_trees(tree, &mut ids);
        }
        ids
    }
}

/// The tree of an index with deeper paths is not computed.
const DEEPEST: usize = 500;

/// An index of fewer bytes is not worth another thread.
const LARGE_BYTES: u64 = 1 << 20;

fn is_large(path: &Path) -> bool {
    path.symlink_metadata()
        .is_ok_and(|found| found.is_file() && found.len() >= LARGE_BYTES)
}

/// Whether the index may be split: then parts of it stand in another file beside it (gitformat-index(5)).
fn is_split(path: &Path) -> bool {
    let names = disk::list(path.parent().unwrap_or(Path::new(".")));
    names.map_or(true, |names| {
        names
            .iter()
            .any(|name| path_bytes(Path::new(name)).starts_with(b"sharedindex."))
    })
}

/// Compares the checksum at the end of an index with all bytes before it; one of zeros says that there is none (`index.skipHash`).
fn check_sum(path: &Path, format: ObjectFormat) -> Result<(), String> {
    let check = || -> disk::Result<bool> {
        let mut file = disk::open_regular(path)?;
        let mut hasher = gix::hash::hasher(format.gix());
        let mut end: Vec<u8> = Vec::new();
        disk::each_piece(&mut file, path, &mut |piece| {
            end.extend_from_slice(piece);
            let whole = end.len().saturating_sub(format.id_bytes());
            hasher.update(end.get(..whole).unwrap_or_default());
            end.drain(..whole);
            Ok(())
        })?;
        let is_left_out = end.iter().all(|byte| *byte == 0);
        let found = hasher.try_finalize();
        Ok(is_left_out || found.is_ok_and(|found| found.as_slice() == end))
    };
    match check() {
        Ok(true) => Ok(()),
        Ok(false) => Err("its checksum is another".to_owned()),
        Err(error) => Err(error.to_string()),
    }
}

fn collect_cached_trees(tree: &gix::index::extension::Tree, ids: &mut Vec<ObjectId>) {
    if tree.num_entries.is_some() {
        ids.push(tree.id.into());
    }
    for child in &tree.children {
        collect_cached_trees(child, ids);
    }
}
