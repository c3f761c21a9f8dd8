//! `git vault compare`: what differs between a directory, wherever it is, and a snapshot or a directory in it. Nothing is believed of times:
//! every file is read. Only looked at; nothing of git's is asked, so no ignore rules hold but that what the snapshot itself left out is
//! passed over.

use std::collections::BTreeSet;
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

/// Compares a directory with a snapshot, or with a directory in it: names, kinds, contents, link targets and permissions. Git directories
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
    for path in std::mem::take(&mut tree.came) {
        tree.add_all(&path)?;
    }
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
    /// Names that the snapshot does not have, relative to the directory.
    came: Vec<Vec<u8>>,
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
                Some(open) if is_present => self.side(open, name, &path)?,
                _ => None,
            };
            let was = self.stored(found, name, entry)?;
            // What is now something else has all that is below it gone or come, one by one.
            let is_directory = matches!(entry, Entry::Directory { .. });
            if is_present && is.is_none() && !is_directory {
                self.came.push(path.clone());
            }
            if was == is {
                self.same += u64::from(was.is_some());
            } else if was != Some(Side::Other) || is.is_some() {
                self.change(path, was, is);
            }
        }
        self.came
            .extend(present.iter().map(|name| join(relative, name)));
        Ok(())
    }

    fn change(&mut self, path: Vec<u8>, old: Option<Side>, new: Option<Side>) {
        self.changes.push(Change::new(path, old, new));
    }

    /// Everything at a path that the snapshot does not have.
    fn add_all(&mut self, path: &[u8]) -> Result<()> {
        let mut pending = vec![path.to_vec()];
        while let Some(path) = pending.pop() {
            let (above, name) = match path.iter().rposition(|byte| *byte == b'/') {
                Some(at) => path.split_at(at),
                None => (&b""[..], path.as_slice()),
            };
            let name = name.strip_prefix(b"/").unwrap_or(name);
            let shown = join_bytes(self.shown, above);
            let open = open_below(self.root, above, &shown).map_err(|error| unreadable(&error))?;
            if let Some(side) = self.side(&open, name, &path)? {
                self.change(path, None, Some(side));
                continue;
            }
            let shown = join_bytes(self.shown, &path);
            let open = open_below(self.root, &path, &shown).map_err(|error| unreadable(&error))?;
            let names = names(&open, &shown).map_err(|error| unreadable(&error))?;
            let names = names.iter().filter(|name| *name != b".git");
            pending.extend(names.map(|name| join(&path, name)));
        }
        Ok(())
    }

    /// What stands under a name; `None` for a directory.
    fn side(&self, open: &File, name: &[u8], path: &[u8]) -> Result<Option<Side>> {
        let shown = join_bytes(self.shown, path);
        let look = metadata::look_in(open, name, &shown).map_err(|error| unreadable(&error))?;
        Ok(match look.kind() {
            Kind::Directory => None,
            Kind::Special(_) => Some(Side::Other),
            Kind::Link => {
                let target = readlinkat(open, name, Vec::new()).context("read the link", &shown);
                let target = target.map_err(|error| unreadable(&error))?;
                Some(Side::Link(target.as_bytes().to_vec()))
            }
            Kind::File => {
                let mut file = open_file(open, name, &shown)?;
                let hashed = disk::hash_stream(&mut file, &shown, |_bytes| {});
                let (bytes, blake3) = hashed.map_err(|error| unreadable(&error))?;
                Some(Side::File(look.mode & 0o7777, bytes, blake3))
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
