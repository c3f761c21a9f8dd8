//! The regular files below a directory, within bounds; no link is followed and nothing is opened but directories.

use std::os::unix::ffi::OsStringExt;
use std::path::Path;

use crate::host::git::repository::join_bytes;
use crate::host::walk::join;

/// What was found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Below {
    /// Files by path relative to the directory, with their sizes.
    pub files: Vec<(Vec<u8>, u64)>,
    /// Whether there was more than was looked at, or something could not be looked at.
    pub is_cut: bool,
}

/// Lists the files that are wanted by name, in directories that are entered by name: so many entries at most, and so deep.
pub fn list(
    root: &Path,
    is_wanted: &dyn Fn(&[u8]) -> bool,
    is_entered: &dyn Fn(&[u8]) -> bool,
    entries: &mut usize,
    depth: usize,
) -> Below {
    let mut below = Below::default();
    let mut waiting = vec![(Vec::new(), depth)];
    while let Some((directory, depth)) = waiting.pop() {
        let Ok(found) = std::fs::read_dir(join_bytes(root, &directory)) else {
            below.is_cut = true;
            continue;
        };
        for entry in found.flatten() {
            if *entries == 0 {
                below.is_cut = true;
                return below;
            }
            *entries -= 1;
            let name = entry.file_name().into_vec();
            let Ok(kind) = entry.file_type() else {
                continue;
            };
            if kind.is_dir() && is_entered(&name) {
                if depth > 0 {
                    waiting.push((join(&directory, &name), depth - 1));
                } else {
                    below.is_cut = true;
                }
            } else if kind.is_file() && is_wanted(&name) {
                let bytes = entry.metadata().map_or(0, |found| found.len());
                below.files.push((join(&directory, &name), bytes));
            }
        }
    }
    below.files.sort();
    below
}
