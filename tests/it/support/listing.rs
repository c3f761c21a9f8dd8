//! Lists everything under a directory, as the file system has it and never through the program.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, Metadata};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;

use super::files::SECOND;

/// Every path below a root, relative to it and `.` for itself, with what is there.
pub type Listing = BTreeMap<Vec<u8>, Entry>;

/// Files up to this size are kept whole, larger ones as a digest.
const WHOLE_BYTES: u64 = 1 << 20;

#[derive(Clone, Eq, PartialEq)]
pub enum Content {
    Directory,
    Bytes(Vec<u8>),
    Digest(u64),
    Symlink(Vec<u8>),
    Special(&'static str),
}

#[derive(Clone, Eq, PartialEq)]
pub struct Entry {
    pub mode: u32,
    pub size_bytes: u64,
    pub mtime_nanoseconds: i128,
    pub content: Content,
}

/// Lists a directory; `wanted` decides by relative path what is listed and entered.
#[track_caller]
pub fn list(root: &Path, wanted: &dyn Fn(&[u8]) -> bool) -> Listing {
    let mut listing = Listing::new();
    visit(root, wanted, &mut |name, path, metadata| {
        listing.insert(name, Entry::read(path, metadata));
    });
    listing
}

/// Calls `see` with the relative name, path and metadata of the root and everything below it.
pub fn visit(
    root: &Path,
    wanted: &dyn Fn(&[u8]) -> bool,
    see: &mut dyn FnMut(Vec<u8>, &Path, &Metadata),
) {
    let metadata = fs::symlink_metadata(root).expect("the root is there");
    see(b".".to_vec(), root, &metadata);
    visit_below(root, &[], wanted, see);
}

fn visit_below(
    directory: &Path,
    prefix: &[u8],
    wanted: &dyn Fn(&[u8]) -> bool,
    see: &mut dyn FnMut(Vec<u8>, &Path, &Metadata),
) {
    for item in fs::read_dir(directory).expect("the directory is read") {
        let item = item.expect("the directory goes on");
        let name = join(prefix, item.file_name().as_os_str());
        if !wanted(&name) {
            continue;
        }
        let path = item.path();
        let metadata = fs::symlink_metadata(&path).expect("the entry is there");
        see(name.clone(), &path, &metadata);
        if metadata.is_dir() {
            visit_below(&path, &name, wanted, see);
        }
    }
}

impl Entry {
    /// Reads what is at a path, without following a symlink.
    pub fn read(path: &Path, metadata: &Metadata) -> Self {
        let content = Content::read(path, metadata);
        let size_bytes = match content {
            Content::Directory => 0,
            _ => metadata.len(),
        };
        Self {
            mode: metadata.mode(),
            size_bytes,
            mtime_nanoseconds: i128::from(metadata.mtime()) * SECOND
                + i128::from(metadata.mtime_nsec()),
            content,
        }
    }

    /// Names each property in which two entries differ.
    pub fn differences(&self, other: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        if self.mode != other.mode {
            differences.push(format!("mode {:o} became {:o}", self.mode, other.mode));
        }
        if self.size_bytes != other.size_bytes {
            differences.push(format!(
                "size {} became {}",
                self.size_bytes, other.size_bytes
            ));
        }
        if self.mtime_nanoseconds != other.mtime_nanoseconds {
            differences.push(format!(
                "mtime {} became {}",
                time(self.mtime_nanoseconds),
                time(other.mtime_nanoseconds)
            ));
        }
        if self.content != other.content {
            differences.push(format!("{} became {}", self.content, other.content));
        }
        differences
    }
}

impl Content {
    fn read(path: &Path, metadata: &Metadata) -> Self {
        let kind = metadata.file_type();
        if kind.is_dir() {
            Self::Directory
        } else if kind.is_symlink() {
            let target = fs::read_link(path).expect("the symlink is read");
            Self::Symlink(target.as_os_str().as_bytes().to_vec())
        } else if kind.is_fifo() {
            Self::Special("FIFO")
        } else if kind.is_socket() {
            Self::Special("socket")
        } else if kind.is_file() {
            Self::of_file(fs::read(path).expect("the file is read"))
        } else {
            Self::Special("device")
        }
    }

    fn of_file(bytes: Vec<u8>) -> Self {
        if bytes.len() as u64 <= WHOLE_BYTES {
            Self::Bytes(bytes)
        } else {
            Self::Digest(digest(&bytes))
        }
    }
}

impl fmt::Display for Content {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Directory => write!(formatter, "a directory"),
            Self::Bytes(bytes) => {
                let start = bytes.get(..60).unwrap_or(bytes);
                write!(
                    formatter,
                    "a file {:016x} \"{}\"",
                    digest(bytes),
                    start.escape_ascii()
                )
            }
            Self::Digest(digest) => write!(formatter, "a file {digest:016x}"),
            Self::Symlink(target) => {
                write!(formatter, "a symlink to \"{}\"", target.escape_ascii())
            }
            Self::Special(kind) => write!(formatter, "a {kind}"),
        }
    }
}

/// Names everything in which two listings differ, each line beginning with `label`.
pub fn differences(label: &str, original: &Listing, other: &Listing) -> Vec<String> {
    let mut differences = Vec::new();
    for (name, entry) in original {
        let shown = name.escape_ascii();
        match other.get(name) {
            None => differences.push(format!(
                "{label} '{shown}': missing ({}, mode {:o})",
                entry.content, entry.mode
            )),
            Some(found) => differences.extend(
                entry
                    .differences(found)
                    .into_iter()
                    .map(|difference| format!("{label} '{shown}': {difference}")),
            ),
        }
    }
    for (name, entry) in other {
        if !original.contains_key(name) {
            let shown = name.escape_ascii();
            differences.push(format!(
                "{label} '{shown}': not in the original ({})",
                entry.content
            ));
        }
    }
    differences
}

fn join(prefix: &[u8], name: &OsStr) -> Vec<u8> {
    if prefix.is_empty() {
        return name.as_bytes().to_vec();
    }
    [prefix, b"/", name.as_bytes()].concat()
}

fn time(nanoseconds: i128) -> String {
    format!(
        "{}.{:09}",
        nanoseconds.div_euclid(SECOND),
        nanoseconds.rem_euclid(SECOND)
    )
}

/// Each step is a bijection of the state, so that two contents differing in one word never agree.
fn digest(bytes: &[u8]) -> u64 {
    let mut state = bytes.len() as u64;
    for chunk in bytes.chunks(8) {
        let mut word = [0; 8];
        word[..chunk.len()].copy_from_slice(chunk);
        state =
            (state.rotate_left(5) ^ u64::from_le_bytes(word)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    }
    state
}
