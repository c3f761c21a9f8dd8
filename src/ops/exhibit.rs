//! Looks at the files that a refusal is about: what they are, their BLAKE3, and copies of the small ones. Keys are never read.

use std::collections::BTreeSet;
use std::io::Read as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use crate::host::disk;
use crate::host::walk::path_bytes;
use crate::model::escape::{for_terminal, text_name};
use crate::model::ids::Digest;
use crate::model::incident::Exhibit;
use crate::model::refusal::Evidence;
use crate::model::timestamp::exact;
use crate::vault::registry::real_path;

/// Largest file that is read to be hashed.
const HASHED_BYTES: u64 = 256 << 20;
/// Largest file that is copied.
const COPIED_BYTES: u64 = 1 << 20;
/// Most files that are copied.
const MOST_COPIES: usize = 16;
/// Most files that are looked at.
const MOST_EXHIBITS: usize = 64;
/// Most files of the key home that are told apart from others.
const MOST_KEYS: usize = 4096;

/// What all files that hold keys have in their first bytes.
const MARKS_OF_KEYS: [&[u8]; 3] = [
    b"git-vault key ",
    b"git-vault recovery kit",
    b"git-vault escrow ",
];
/// How many bytes of a file are searched for such a mark.
const MARKED_BYTES: usize = 4096;

/// A copy of a small file.
pub struct Copy {
    /// Its name beside the record.
    pub name: String,
    /// Its bytes.
    pub bytes: Vec<u8>,
}

/// Looks at files and remembers what may be copied, and what may not even be read.
pub struct Examiner {
    /// Files below these are copied; any other is somebody's own and stays where it is.
    copied_from: Vec<PathBuf>,
    key_home: PathBuf,
    keys: BTreeSet<(u64, u64)>,
    copies: Vec<Copy>,
}

impl Examiner {
    /// Makes an examiner that copies from these places and never reads what is in the key home, under whatever name.
    #[must_use]
    pub fn new(copied_from: &[&Path], key_home: &Path) -> Self {
        Self {
            copied_from: copied_from.iter().map(|path| real_path(path)).collect(),
            key_home: real_path(key_home),
            keys: identities(key_home),
            copies: Vec::new(),
        }
    }

    /// Looks at all files of a refusal; gives what was seen, and the copies.
    #[must_use]
    pub fn examine(mut self, evidence: &[Evidence]) -> (Vec<Exhibit>, Vec<Copy>) {
        let exhibits = evidence
            .iter()
            .take(MOST_EXHIBITS)
            .map(|one| self.look(one));
        let exhibits = exhibits.collect();
        (exhibits, self.copies)
    }

    fn look(&mut self, evidence: &Evidence) -> Exhibit {
        let path = &evidence.path;
        let plain = |text: &String| for_terminal(text).replace('\n', " ");
        let exhibit = Exhibit {
            path: text_name(path_bytes(path)),
            kind: "unknown".to_owned(),
            expected: evidence.expected.as_ref().map(plain),
            found: evidence.found.as_ref().map(plain),
            ..Exhibit::default()
        };
        if !path.is_absolute() {
            return with_note(exhibit, "it names no file of its own");
        }
        match path.symlink_metadata() {
            Ok(metadata) => self.describe(path, &metadata, exhibit),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Exhibit {
                kind: "absent".to_owned(),
                ..exhibit
            },
            Err(error) => with_note(exhibit, &format!("cannot look at it: {error}")),
        }
    }

    fn describe(&mut self, path: &Path, metadata: &std::fs::Metadata, exhibit: Exhibit) -> Exhibit {
        let time = |seconds: i64, nanoseconds: i64| {
            exact(i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds))
        };
        let exhibit = Exhibit {
            kind: kind(metadata.file_type()).to_owned(),
            bytes: Some(metadata.size()),
            mode: Some(format!("{:04o}", metadata.mode() & 0o7777)),
            owner: Some(metadata.uid()),
            mtime: Some(time(metadata.mtime(), metadata.mtime_nsec())),
            ctime: Some(time(metadata.ctime(), metadata.ctime_nsec())),
            ..exhibit
        };
        if !metadata.is_file() {
            return exhibit;
        }
        let is_key = real_path(path).starts_with(&self.key_home)
            || self.keys.contains(&(metadata.dev(), metadata.ino()));
        if is_key {
            return with_note(exhibit, "a key is not read");
        }
        if metadata.size() > HASHED_BYTES {
            let note = format!("larger than {HASHED_BYTES} bytes: neither hashed nor copied");
            return with_note(exhibit, &note);
        }
        match read(path) {
            Ok(Seen::Key) => with_note(exhibit, "it looks like a key, which is not read"),
            Ok(Seen::Large(blake3)) => Exhibit {
                blake3: Some(blake3.to_string()),
                ..with_note(exhibit, "too large to be copied")
            },
            // Whoever sends a record away must not give away what somebody wrote in a file.
            Ok(Seen::Small(bytes)) if is_pack(path) => Exhibit {
                blake3: Some(Digest::of(&bytes).to_string()),
                ..with_note(
                    exhibit,
                    "it holds files of the workspace, and is not copied",
                )
            },
            Ok(Seen::Small(bytes)) => Exhibit {
                blake3: Some(Digest::of(&bytes).to_string()),
                copy: self.copy(path, bytes),
                ..exhibit
            },
            Err(error) => with_note(exhibit, &error.to_string()),
        }
    }

    fn copy(&mut self, path: &Path, bytes: Vec<u8>) -> Option<String> {
        let real = real_path(path);
        let may_be_copied = self.copied_from.iter().any(|place| real.starts_with(place));
        if !may_be_copied || self.copies.len() >= MOST_COPIES {
            return None;
        }
        let name = format!("{}.copy", self.copies.len() + 1);
        self.copies.push(Copy {
            name: name.clone(),
            bytes,
        });
        Some(name)
    }
}

/// Whether a file is named like a pack: what is in it may be secrets of the workspace, packed so that nobody sees them.
fn is_pack(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "pack")
}

fn with_note(exhibit: Exhibit, note: &str) -> Exhibit {
    Exhibit {
        note: Some(for_terminal(note).replace('\n', " ")),
        ..exhibit
    }
}

fn kind(kind: std::fs::FileType) -> &'static str {
    if kind.is_file() {
        "file"
    } else if kind.is_dir() {
        "directory"
    } else if kind.is_symlink() {
        "link"
    } else if kind.is_fifo() {
        "fifo"
    } else if kind.is_socket() {
        "socket"
    } else {
        "device"
    }
}

/// Device and inode of every file in the key home, so that a second name of a key is known as one.
fn identities(key_home: &Path) -> BTreeSet<(u64, u64)> {
    let below = |directory: &Path| -> Vec<PathBuf> {
        let names = disk::list(directory).unwrap_or_default();
        names.into_iter().map(|name| directory.join(name)).collect()
    };
    let vaults = below(key_home);
    let files = vaults
        .iter()
        .flat_map(|vault| below(vault))
        .chain(vaults.clone());
    files
        .take(MOST_KEYS)
        .filter_map(|path| path.metadata().ok())
        .filter(std::fs::Metadata::is_file)
        .map(|metadata| (metadata.dev(), metadata.ino()))
        .collect()
}

/// What is in a file.
enum Seen {
    /// All of a small one.
    Small(Vec<u8>),
    /// The BLAKE3 of a large one.
    Large(Digest),
    /// Something that looks like a key.
    Key,
}

fn read(path: &Path) -> disk::Result<Seen> {
    use crate::host::disk::Context as _;
    let mut file = disk::open_regular(path)?;
    let mut start = Vec::new();
    let limit = COPIED_BYTES + 1;
    std::io::Read::by_ref(&mut file)
        .take(limit)
        .read_to_end(&mut start)
        .context("read", path)?;
    let searched = start.get(..MARKED_BYTES).unwrap_or(&start);
    let is_marked = MARKS_OF_KEYS
        .iter()
        .any(|mark| searched.windows(mark.len()).any(|window| window == *mark));
    if is_marked {
        return Ok(Seen::Key);
    }
    if start.len() as u64 <= COPIED_BYTES {
        return Ok(Seen::Small(start));
    }
    // A file that grows while it is read is read no further than the limit.
    let mut rest = file.take(HASHED_BYTES);
    let (_bytes, blake3) =
        disk::hash_stream(&mut start.as_slice().chain(&mut rest), path, |_bytes| {})?;
    Ok(Seen::Large(blake3))
}
