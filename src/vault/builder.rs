//! Builds the trees and listings of a snapshot out of what a walk found.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::sync::{Mutex, PoisonError};

use crate::host::chunker;
use crate::host::git::object::{
    MODE_EXECUTABLE, MODE_FILE, MODE_LINK, MODE_TREE, ObjectId, ObjectKind,
};
use crate::host::git::tree::{NewEntry, tree_content};
use crate::host::metadata::{Extras, Fingerprint};
use crate::host::parallel;
use crate::host::walk::{Found, Walked};
use crate::model::escape::{CHUNKS_SUFFIX, tree_name};
use crate::model::ids::Digest;
use crate::model::listing::{Entry, LeftOutKind, Listing};
use crate::model::manifest::{LeftOut, TreeCounts};
use crate::model::place::Place;
use crate::model::refusal::Result;
use crate::vault::content::{ContentWriter, Form, Stored};

/// The name of a directory's listing in its attributes tree.
pub const ENTRIES: &[u8] = b"entries";
/// The name under which the attributes trees of subdirectories stand.
pub const DIRS: &[u8] = b"dirs";

/// A place of a snapshot (working tree or git directory), stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltPlace {
    /// The tree of contents; the empty tree when there are none.
    pub contents: ObjectId,
    /// The tree of listings.
    pub attributes: ObjectId,
    /// Counts, and the digest of the topmost listing.
    pub counts: TreeCounts,
    /// What was left out, by reason and rule.
    pub left_out: Vec<LeftOut>,
}

/// Whether modification times are part of a digest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Times {
    /// They are.
    Counted,
    /// They are, but in git directories that lie in a working tree.
    CountedOutsideGit,
    /// They are not: in a git directory they move when git only looks, because it takes locks and writes the same again.
    Ignored,
}

/// A digest of everything that decides what [`build`] makes: equal digests, equal trees and listings (but for times, where
/// they are ignored).
#[must_use]
pub fn digest(walked: &[Walked<Stored>], times: Times) -> Digest {
    let parts: Vec<(usize, &[Walked<Stored>])> =
        walked.chunks(DIGESTED_TOGETHER).enumerate().collect();
    let digests = Mutex::new(vec![[0; 32]; parts.len()]);
    let done: std::result::Result<(), Infallible> = parallel::for_each(&parts, |(number, part)| {
        let digest = part_digest(part, times);
        let mut digests = digests.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(place) = digests.get_mut(*number) {
            *place = digest;
        }
        Ok(())
    });
    let Ok(()) = done;
    let digests = digests.into_inner().unwrap_or_else(PoisonError::into_inner);
    Digest::of(digests.as_flattened())
}

/// So many directories are digested together.
const DIGESTED_TOGETHER: usize = 256;

fn part_digest(walked: &[Walked<Stored>], times: Times) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new();
    let mut bytes = Vec::new();
    let counted = |fingerprint: &Fingerprint| *fingerprint;
    let ignored = |fingerprint: &Fingerprint| Fingerprint {
        mtime_ns: 0,
        ..*fingerprint
    };
    for directory in walked {
        let seen: &dyn Fn(&Fingerprint) -> Fingerprint = match times {
            Times::CountedOutsideGit if is_in_git(&directory.path) => &ignored,
            Times::Counted | Times::CountedOutsideGit => &counted,
            Times::Ignored => &ignored,
        };
        bytes.clear();
        push_bytes(&mut bytes, &directory.path);
        push_fingerprint(&mut bytes, &seen(&directory.fingerprint), &directory.extras);
        push_number(&mut bytes, directory.entries.len() as u64);
        for (name, found) in &directory.entries {
            push_bytes(&mut bytes, name);
            push_found(&mut bytes, found, seen);
        }
        hasher.update(&bytes);
    }
    *hasher.finalize().as_bytes()
}

/// Whether a directory of a working tree is, or lies in, a git directory.
fn is_in_git(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(|name| name == b".git")
}

fn push_number(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

fn push_bytes(bytes: &mut Vec<u8>, value: &[u8]) {
    push_number(bytes, value.len() as u64);
    bytes.extend_from_slice(value);
}

fn push_fingerprint(bytes: &mut Vec<u8>, fingerprint: &Fingerprint, extras: &Extras) {
    let (mode, xattrs) = (extras.mode.unwrap_or(fingerprint.mode), &extras.xattrs);
    bytes.extend_from_slice(&mode.to_le_bytes());
    bytes.extend_from_slice(&fingerprint.mtime_ns.to_le_bytes());
    push_number(bytes, xattrs.len() as u64);
    for (name, value) in xattrs {
        push_bytes(bytes, name);
        push_bytes(bytes, value);
    }
}

fn push_stored(bytes: &mut Vec<u8>, stored: &Stored) {
    push_bytes(bytes, stored.id.as_bytes());
    bytes.push(u8::from(stored.form == Form::Chunked));
    push_number(bytes, stored.bytes);
    bytes.extend_from_slice(stored.blake3.as_bytes());
}

fn push_found(
    bytes: &mut Vec<u8>,
    found: &Found<Stored>,
    seen: &dyn Fn(&Fingerprint) -> Fingerprint,
) {
    match found {
        Found::File {
            fingerprint,
            extras,
            content,
        } => {
            bytes.push(0);
            push_fingerprint(bytes, &seen(fingerprint), extras);
            push_stored(bytes, content);
        }
        Found::Link {
            fingerprint,
            content,
        } => {
            bytes.push(1);
            push_fingerprint(bytes, &seen(fingerprint), &Extras::default());
            push_stored(bytes, content);
        }
        Found::Directory => bytes.push(2),
        Found::Special(kind, fingerprint) => {
            bytes.push(3);
            push_bytes(bytes, kind.word().as_bytes());
            push_fingerprint(bytes, &seen(fingerprint), &Extras::default());
        }
        Found::LeftOut {
            reason,
            rule,
            kind,
            bytes: size,
        } => {
            bytes.push(4);
            push_bytes(bytes, reason.word().as_bytes());
            push_bytes(bytes, rule.as_bytes());
            bytes.push(u8::from(*kind == LeftOutKind::Directory));
            push_number(bytes, *size);
        }
    }
}

/// A directory, stored.
struct BuiltDirectory {
    /// `None` when there is nothing in it that a git tree could hold.
    contents: Option<ObjectId>,
    attributes: ObjectId,
    listing: Digest,
}

/// Stores trees and listings for everything in `walked`, which is sorted by path and begins with the root.
///
/// # Errors
/// When the vault cannot be written.
pub fn build(
    writer: &ContentWriter<'_>,
    place: Place,
    walked: &[Walked<Stored>],
) -> Result<BuiltPlace> {
    let mut built: HashMap<&[u8], BuiltDirectory> = HashMap::new();
    let mut totals = Totals::new(&place.name());
    // Sorted by path, a directory comes before what is in it; backwards, after.
    for directory in walked.iter().rev() {
        let one = build_directory(writer, directory, &mut built, &mut totals)?;
        built.insert(&directory.path, one);
    }
    let empty = || writer.object(ObjectKind::Tree, b"");
    let root = built.remove(&b""[..]);
    let (contents, attributes, listing) = match root {
        Some(root) => (root.contents, root.attributes, Some(root.listing)),
        None => (None, empty()?, None),
    };
    let counts = TreeCounts {
        root: listing,
        ..totals.counts
    };
    let contents = contents.map_or_else(empty, Ok)?;
    Ok(BuiltPlace {
        contents,
        attributes,
        counts,
        left_out: totals.left_out.into_values().collect(),
    })
}

fn build_directory(
    writer: &ContentWriter<'_>,
    directory: &Walked<Stored>,
    built: &mut HashMap<&[u8], BuiltDirectory>,
    totals: &mut Totals,
) -> Result<BuiltDirectory> {
    totals.counts.directories += 1;
    let mut listing = Listing {
        own: directory.extras.attributes(&directory.fingerprint),
        entries: BTreeMap::new(),
    };
    let mut contents = Vec::new();
    let mut subdirectories = Vec::new();
    for (name, found) in &directory.entries {
        let below = match found {
            Found::Directory => built.remove(&*crate::host::walk::join(&directory.path, name)),
            Found::File { .. }
            | Found::Link { .. }
            | Found::Special(..)
            | Found::LeftOut { .. } => None,
        };
        if let Some(below) = &below {
            let escaped = tree_name(name);
            contents.extend(below.contents.map(|id| NewEntry {
                mode: MODE_TREE,
                name: escaped.clone(),
                id,
            }));
            subdirectories.push(NewEntry {
                mode: MODE_TREE,
                name: escaped,
                id: below.attributes,
            });
        }
        totals.count(found);
        contents.extend(content_entry(name, found));
        listing
            .entries
            .extend(listing_entry(found, below.as_ref()).map(|entry| (name.clone(), entry)));
    }
    let text = listing.to_text();
    let contents = if contents.is_empty() {
        None
    } else {
        Some(writer.object(ObjectKind::Tree, &tree_content(contents))?)
    };
    let stored = writer.text(text.as_bytes(), chunker::LISTING)?;
    let mut attributes = vec![named(ENTRIES, MODE_FILE, &stored)];
    if !subdirectories.is_empty() {
        let dirs = writer.object(ObjectKind::Tree, &tree_content(subdirectories))?;
        attributes.push(NewEntry {
            mode: MODE_TREE,
            name: DIRS.to_vec(),
            id: dirs,
        });
    }
    let attributes = writer.object(ObjectKind::Tree, &tree_content(attributes))?;
    Ok(BuiltDirectory {
        contents,
        attributes,
        listing: stored.blake3,
    })
}

/// Stores a list that may be long, and changes a little each time; gives the tree entry for it.
///
/// # Errors
/// When the vault cannot be written.
pub fn text_entry(writer: &ContentWriter<'_>, name: &[u8], text: &[u8]) -> Result<NewEntry> {
    let stored = writer.text(text, chunker::LISTING)?;
    Ok(named(name, MODE_FILE, &stored))
}

/// The tree entry for stored content: under its name, or for a tree of pieces under the name with the suffix.
fn named(name: &[u8], mode: u32, stored: &Stored) -> NewEntry {
    match stored.form {
        Form::Whole => NewEntry {
            mode,
            name: name.to_vec(),
            id: stored.id,
        },
        Form::Chunked => NewEntry {
            mode: MODE_TREE,
            name: [name, CHUNKS_SUFFIX].concat(),
            id: stored.id,
        },
    }
}

fn content_entry(name: &[u8], found: &Found<Stored>) -> Option<NewEntry> {
    match found {
        Found::File {
            fingerprint,
            content,
            ..
        } => {
            let mode = if fingerprint.mode & 0o100 == 0 {
                MODE_FILE
            } else {
                MODE_EXECUTABLE
            };
            Some(named(&tree_name(name), mode, content))
        }
        Found::Link { content, .. } => Some(named(&tree_name(name), MODE_LINK, content)),
        Found::Directory | Found::Special(..) | Found::LeftOut { .. } => None,
    }
}

fn listing_entry(found: &Found<Stored>, below: Option<&BuiltDirectory>) -> Option<Entry> {
    Some(match found {
        Found::File {
            fingerprint,
            extras,
            content,
        } => Entry::File {
            attributes: extras.attributes(fingerprint),
            bytes: content.bytes,
            blake3: content.blake3,
        },
        Found::Link {
            fingerprint,
            content,
        } => Entry::Link {
            attributes: fingerprint.attributes(),
            blake3: content.blake3,
        },
        Found::Directory => Entry::Directory {
            listing: below?.listing,
        },
        Found::Special(kind, fingerprint) => Entry::Special {
            kind: *kind,
            attributes: fingerprint.attributes(),
        },
        Found::LeftOut {
            reason, rule, kind, ..
        } => Entry::LeftOut {
            reason: *reason,
            kind: *kind,
            rule: rule.clone(),
        },
    })
}

struct Totals {
    place: String,
    counts: TreeCounts,
    left_out: BTreeMap<(String, String), LeftOut>,
}

impl Totals {
    fn new(place: &str) -> Self {
        Self {
            place: place.to_owned(),
            counts: TreeCounts::default(),
            left_out: BTreeMap::new(),
        }
    }

    fn count(&mut self, found: &Found<Stored>) {
        match found {
            Found::File { content, .. } => {
                self.counts.files += 1;
                self.counts.bytes += content.bytes;
            }
            Found::Link { .. } => self.counts.links += 1,
            Found::Special(..) => self.counts.special += 1,
            Found::Directory => {}
            Found::LeftOut {
                reason,
                rule,
                kind,
                bytes,
            } => {
                let rule = crate::model::escape::text_name(rule.as_bytes());
                let sum = self
                    .left_out
                    .entry((reason.word().to_owned(), rule.clone()))
                    .or_insert_with(|| LeftOut {
                        place: self.place.clone(),
                        reason: reason.word().to_owned(),
                        rule,
                        files: 0,
                        directories: 0,
                        bytes: 0,
                    });
                match kind {
                    LeftOutKind::Directory => sum.directories += 1,
                    LeftOutKind::File => {
                        sum.files += 1;
                        sum.bytes += bytes;
                    }
                }
            }
        }
    }
}
