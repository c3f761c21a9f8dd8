//! The strictest look at a directory: that nothing at all was done to it, down to inodes and change times.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::files::SECOND;
use super::listing::{self, Entry, Listing};

/// Everything under a directory, object stores and lock files included.
pub struct Fingerprint {
    entries: Listing,
    traces: BTreeMap<Vec<u8>, Trace>,
}

/// What changes even if bytes, mode and mtime were put back.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
struct Trace {
    inode: u64,
    links: u64,
    owner: (u32, u32),
    ctime_nanoseconds: i128,
}

impl Fingerprint {
    #[track_caller]
    pub fn of(root: &Path) -> Self {
        let mut entries = Listing::new();
        let mut traces = BTreeMap::new();
        listing::visit(root, &|_| true, &mut |name, path, metadata| {
            let trace = Trace {
                inode: metadata.ino(),
                links: metadata.nlink(),
                owner: (metadata.uid(), metadata.gid()),
                ctime_nanoseconds: i128::from(metadata.ctime()) * SECOND
                    + i128::from(metadata.ctime_nsec()),
            };
            traces.insert(name.clone(), trace);
            entries.insert(name, Entry::read(path, metadata));
        });
        Self { entries, traces }
    }

    /// Names everything that has changed since this fingerprint was taken of the same place.
    pub fn changes(&self, later: &Self) -> Vec<String> {
        let mut changes = listing::differences("source", &self.entries, &later.entries);
        for (name, trace) in &self.traces {
            let shown = name.escape_ascii();
            if let Some(found) = later.traces.get(name)
                && found != trace
            {
                changes.push(format!("source '{shown}': {trace:?} became {found:?}"));
            }
        }
        changes
    }

    /// Stops the test if anything under `root` is not as it was.
    #[track_caller]
    pub fn assert_untouched(&self, root: &Path) {
        let changes = self.changes(&Self::of(root));
        assert!(
            changes.is_empty(),
            "the source was touched:\n  {}",
            changes.join("\n  ")
        );
    }
}
