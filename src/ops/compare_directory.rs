//! `git vault compare`: what differs between a directory, wherever it is, and a snapshot or a directory in it. Nothing is believed of times:
//! every file is read. Only looked at; nothing of git's is asked, so no ignore rules hold but that what the snapshot itself left out is
//! passed over.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::readlinkat;

use crate::host::directory::open_directory;
use crate::host::disk::{self, Context as _};
use crate::host::git::repository::join_bytes;
use crate::host::metadata::{self, Kind};
use crate::host::scratch::names;
use crate::host::walk::join;
use crate::model::listing::Entry;
use crate::model::place::{Place, below};
use crate::model::refusal::Result;
use crate::model::refusal_code::RefusalCode;
use crate::ops::compare::open_file;
use crate::ops::diff::{Change, Side, is_in_git};
use crate::ops::locate::Workplace;
use crate::ops::look::{Opened, leading_to};
use crate::ops::restore_tree::open_below;
use crate::ops::snapshot_path::{SnapshotPath, not_in};
use crate::vault::log::LoggedSnapshot;
use crate::vault::reader::{Directory, SnapshotReader, write_content};
use crate::vault::store::Store;

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompareReport {
    /// The snapshot.
    pub snapshot: LoggedSnapshot,
    /// Which of its directory trees.
    pub place: Place,
    /// The directory in it; empty for all of it.
    pub path: Vec<u8>,
    /// The directory that was looked at.
    pub directory: PathBuf,
    /// Files and links that are the same.
    pub same: u64,
    /// What the snapshot had left out, and is there: not compared.
    pub left_out: u64,
    /// In the order of their paths: what the snapshot has is old, what the directory has is new.
    pub changes: Vec<Change>,
}

/// Compares a directory with a snapshot, or with a directory in it: names, kinds, contents, link targets and permissions, also those of
/// directories. Git directories
/// are passed over on both sides, and so are times.
///
/// # Errors
/// When the snapshot does not hold it or cannot be trusted, or the directory cannot be read.
pub fn compare(
    workplace: &Workplace,
    directory: &Path,
    asked: &SnapshotPath,
) -> Result<CompareReport> {
    let opened = Opened::open(workplace, &asked.snapshot)?;
    let store = opened.store();
    let reader = SnapshotReader::new(&store, &opened.trusted);
    let root = open_directory(directory).map_err(|error| unreadable(&error))?;
    let mut tree = Tree {
        store: &store,
        root: &root,
        shown: directory,
        same: 0,
        left_out: 0,
        changes: Vec::new(),
        came: Vec::new(),
        instead: BTreeMap::new(),
    };
    let path = asked.path.as_slice();
    let (mut is_there, mut is_no_directory) = (false, false);
    let wanted = |met: &[u8]| leading_to(path, met, true);
    reader.each_wanted(asked.place, &wanted, &mut |found| {
        let Some(relative) = below(path, &found.path).map(<[u8]>::to_vec) else {
            let name = below(&found.path, path).filter(|rest| !rest.contains(&b'/'));
            let entry = name.and_then(|name| found.listing.entries.get(name));
            is_no_directory |= entry.is_some_and(|entry| !matches!(entry, Entry::Directory { .. }));
            return Ok(());
        };
        is_there = true;
        tree.compare(&found, &relative)
    })?;
    if !is_there {
        let refusal = not_in(opened.id(), asked.place, path);
        return Err(if is_no_directory {
            refusal.because("it is no directory there: git vault cat gives a file")
        } else {
            refusal
        });
    }
    tree.add_all()?;
    tree.changes
        .sort_by(|left, right| left.path.cmp(&right.path));
    Ok(CompareReport {
        place: asked.place,
        path: asked.path.clone(),
        directory: directory.to_owned(),
        same: tree.same,
        left_out: tree.left_out,
        changes: tree.changes,
        snapshot: opened.logged.clone(),
    })
}

fn unreadable(error: &disk::Error) -> crate::model::refusal::Refusal {
    error.refuse(RefusalCode::SourceUnreadable)
}

struct Tree<'a> {
    store: &'a Store,
    root: &'a File,
    shown: &'a Path,
    same: u64,
    left_out: u64,
    changes: Vec<Change>,
    /// Directories of which the snapshot has nothing, relative to the one that is compared.
    came: Vec<Vec<u8>>,
    /// What stands where the snapshot has a directory.
    instead: BTreeMap<Vec<u8>, Side>,
}

/// What an open directory is.
fn directory(open: &File, shown: &Path) -> Result<Side> {
    let look = metadata::look_at_open(open, shown).map_err(|error| unreadable(&error))?;
    Ok(Side::Directory(look.mode & 0o7777))
}

impl Tree<'_> {
    /// Compares a directory of the snapshot with the one at the same place, which need not be there.
    fn compare(&mut self, found: &Directory, relative: &[u8]) -> Result<()> {
        if is_in_git(relative) {
            return Ok(());
        }
        let shown = join_bytes(self.shown, relative);
        let open = match open_below(self.root, relative, &shown) {
            Ok(open) => Some(open),
            // A file, a link, or nothing stands there.
            Err(error) if is_other(&error) => None,
            Err(error) => return Err(unreadable(&error)),
        };
        let was = Side::Directory(found.listing.own.mode & 0o7777);
        let is = match &open {
            Some(open) => Some(directory(open, &shown)?),
            None => self.instead.remove(relative),
        };
        if is.as_ref() != Some(&was) {
            self.change(relative.to_vec(), Some(was), is);
        }
        let mut present: BTreeSet<Vec<u8>> = match &open {
            Some(open) => names(open, &shown).map_err(|error| unreadable(&error))?,
            None => Vec::new(),
        }
        .into_iter()
        .filter(|name| name != b".git")
        .collect();
        for (name, entry) in &found.listing.entries {
            if name == b".git" {
                continue;
            }
            let is_present = present.remove(name);
            let path = join(relative, name);
            if let Entry::LeftOut { .. } = entry {
                self.left_out += u64::from(is_present);
                continue;
            }
            let is = match &open {
                Some(open) if is_present => Some(self.side(open, name, &path)?),
                _ => None,
            };
            let is_directory = matches!(is, Some(Side::Directory(_)));
            let Some(was) = self.stored(found, name, entry)? else {
                // It is compared when it comes itself.
                let instead = is.filter(|_| !is_directory);
                self.instead.extend(instead.map(|side| (path, side)));
                continue;
            };
            // What was something else has all that is below it come, one by one.
            self.came.extend(is_directory.then(|| path.clone()));
            if Some(&was) == is.as_ref() {
                self.same += u64::from(was != Side::Other);
            } else if was != Side::Other || is.is_some() {
                self.change(path, Some(was), is);
            }
        }
        if let Some(open) = &open {
            for name in present {
                self.add(open, &name, join(relative, &name))?;
            }
        }
        Ok(())
    }

    fn change(&mut self, path: Vec<u8>, old: Option<Side>, new: Option<Side>) {
        self.changes.push(Change::new(path, old, new));
    }

    /// What the snapshot does not have; what is in it, if it is a directory, comes later.
    fn add(&mut self, open: &File, name: &[u8], path: Vec<u8>) -> Result<()> {
        let side = self.side(open, name, &path)?;
        if let Side::Directory(_) = side {
            self.came.push(path.clone());
        }
        self.change(path, None, Some(side));
        Ok(())
    }

    /// Everything in the directories of which the snapshot has nothing.
    fn add_all(&mut self) -> Result<()> {
        while let Some(path) = self.came.pop() {
            let shown = join_bytes(self.shown, &path);
            let open = open_below(self.root, &path, &shown).map_err(|error| unreadable(&error))?;
            for name in names(&open, &shown).map_err(|error| unreadable(&error))? {
                if name != b".git" {
                    self.add(&open, &name, join(&path, &name))?;
                }
            }
        }
        Ok(())
    }

    /// What stands under a name.
    fn side(&self, open: &File, name: &[u8], path: &[u8]) -> Result<Side> {
        let shown = join_bytes(self.shown, path);
        let look = metadata::look_in(open, name, &shown).map_err(|error| unreadable(&error))?;
        Ok(match look.kind() {
            Kind::Directory => Side::Directory(look.mode & 0o7777),
            Kind::Special(_) => Side::Other,
            Kind::Link => {
                let target = readlinkat(open, name, Vec::new()).context("read the link", &shown);
                let target = target.map_err(|error| unreadable(&error))?;
                Side::Link(target.as_bytes().to_vec())
            }
            Kind::File => {
                let mut file = open_file(open, name, &shown)?;
                let look = metadata::look_at_open(&file, &shown);
                let look = look.map_err(|error| unreadable(&error))?;
                if look.kind() != Kind::File {
                    let other = std::io::Error::other("it was a file a moment ago");
                    return Err(unreadable(&disk::Error::new("read", &shown, other)));
                }
                let hashed = disk::hash_stream(&mut file, &shown, |_bytes| {});
                let (bytes, blake3) = hashed.map_err(|error| unreadable(&error))?;
                Side::File(look.mode & 0o7777, bytes, blake3)
            }
        })
    }

    /// What the snapshot has under a name; `None` for a directory.
    fn stored(&self, found: &Directory, name: &[u8], entry: &Entry) -> Result<Option<Side>> {
        Ok(match entry {
            Entry::File {
                attributes,
                bytes,
                blake3,
            } => Some(Side::File(attributes.mode & 0o7777, *bytes, *blake3)),
            Entry::Link { .. } => {
                let mut target = Vec::new();
                if let Some(content) = found.contents.get(name) {
                    write_content(self.store, content, &mut target, Path::new("memory"))?;
                }
                Some(Side::Link(target))
            }
            Entry::Special { .. } => Some(Side::Other),
            Entry::Directory { .. } | Entry::LeftOut { .. } => None,
        })
    }
}

/// Whether a directory is not there, or something else stands there.
fn is_other(error: &disk::Error) -> bool {
    let errno = rustix::io::Errno::from_io_error(&error.source);
    let other = [
        rustix::io::Errno::NOENT,
        rustix::io::Errno::NOTDIR,
        rustix::io::Errno::LOOP,
    ];
    errno.is_some_and(|errno| other.contains(&errno))
}
