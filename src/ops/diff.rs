//! `git vault diff`: what differs between two snapshots, or between one and the working tree now, which is only looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};

use crate::host::disk;
use crate::host::git::index::Index;
use crate::host::git::object::ObjectFormat;
use crate::host::git::repository::join_bytes;
use crate::host::metadata::Fingerprint;
use crate::host::walk::{Found, join};
use crate::model::ids::Digest;
use crate::model::listing::Entry;
use crate::model::place::{Place, below};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::capture::{CaptureError, changing, find_borders};
use crate::ops::diff_index::{Indices, Standing};
use crate::ops::line_diff::{LineCounts, LineDiff};
use crate::ops::locate::Workplace;
use crate::ops::look::Opened;
use crate::ops::metadata::open_index;
use crate::vault::cache::ScanCache;
use crate::vault::log::LoggedSnapshot;
use crate::vault::lookup::DirectoryKey;
use crate::vault::reader::{Content, SnapshotReader, write_content};
use crate::vault::store::Store;

/// Larger files are not compared line by line.
const TEXT_BYTES: u64 = 4 << 20;

/// Something that has a content, or could have one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Side {
    /// A file: permissions, size and BLAKE3.
    File(u32, u64, Digest),
    /// A link and where it leads.
    Link(Vec<u8>),
    /// A directory and its permissions; `diff` tells of what is in it only.
    Directory(u32),
    /// Something whose content is not kept: a socket and the like.
    Other,
}

/// What became of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The path.
    pub path: Vec<u8>,
    /// What it was; `None` when it was not there.
    pub old: Option<Side>,
    /// What it is; `None` when it is not there.
    pub new: Option<Side>,
    /// Whether git tracks it now; `None` between two snapshots.
    pub is_tracked: Option<bool>,
    /// What the index has of it now; `None` between two snapshots, and where it cannot be told.
    pub standing: Option<Standing>,
    /// How many lines came and went, when that was asked for and both can be shown line by line.
    pub lines: Option<LineCounts>,
    /// Both texts, when they were asked for and can be shown line by line.
    pub texts: Option<(Vec<u8>, Vec<u8>)>,
}

/// Two texts.
type Texts = (Vec<u8>, Vec<u8>);

impl Change {
    /// What two snapshots have of a path.
    #[must_use]
    pub fn new(path: Vec<u8>, old: Option<Side>, new: Option<Side>) -> Self {
        Self {
            path,
            old,
            new,
            is_tracked: None,
            standing: None,
            lines: None,
            texts: None,
        }
    }

    fn with_texts(mut self, texts: Option<Texts>, detail: Detail) -> Self {
        if detail == Detail::Lines {
            self.lines = texts.map(|(old, new)| LineDiff::new(&old, &new).counts());
        } else {
            self.texts = texts;
        }
        self
    }
}

/// What differs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DiffReport {
    /// The older side.
    pub old: LoggedSnapshot,
    /// The newer side; `None` for the working tree now.
    pub new: Option<LoggedSnapshot>,
    /// The working tree, when it is not the one that was asked in.
    pub elsewhere: Option<PathBuf>,
    /// In the order of their paths.
    pub changes: Vec<Change>,
    /// Paths whose files are the same, while the index now has something else of them; `None` between two snapshots, and where the
    /// index of the snapshot cannot be read by itself.
    pub only_in_index: Option<Vec<Vec<u8>>>,
}

/// How much is wanted of each path.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Detail {
    /// That it changed.
    #[default]
    Paths,
    /// How many lines came and went.
    Lines,
    /// Both texts.
    Texts,
}

/// What is compared.
#[derive(Debug, Clone, Default)]
pub struct DiffRequest {
    /// Paths that are asked for, with all below them; all if none is given.
    pub paths: Vec<Vec<u8>>,
    /// How much is wanted of each.
    pub detail: Detail,
}

impl DiffRequest {
    fn wants_texts(&self) -> bool {
        self.detail != Detail::Paths
    }

    fn wants(&self, path: &[u8]) -> bool {
        self.paths.is_empty() || self.paths.iter().any(|asked| below(asked, path).is_some())
    }
}

impl DiffRequest {
    /// Whether it, or something below it, is wanted.
    fn wants_in(&self, path: &[u8]) -> bool {
        self.wants(path) || self.paths.iter().any(|asked| below(path, asked).is_some())
    }
}

/// A path of a snapshot.
struct Stored {
    side: Side,
    /// Where its content is stored.
    content: Option<Content>,
    /// Modification time of a file, ns since the epoch.
    mtime_ns: i128,
}

/// Compares two snapshots, in their main working trees. Directories that both share are not read.
///
/// # Errors
/// When one of them is not there or cannot be trusted.
pub fn between(
    workplace: &Workplace,
    old: &str,
    new: &str,
    request: &DiffRequest,
) -> Result<DiffReport> {
    let (old, new) = (Opened::open(workplace, old)?, Opened::open(workplace, new)?);
    let (old_store, new_store) = (old.store(), new.store());
    let old_side = Snapshot::new(&old, &old_store);
    let new_side = Snapshot::new(&new, &new_store);
    let top = |side: &Snapshot<'_>| side.reader.top_key(Place::Worktree);
    let (left, right) = (top(&old_side)?, top(&new_side)?);
    let mut changes = Vec::new();
    compare(&old_side, &new_side, (left, right), request, &mut changes)?;
    changes.sort_by(|left, right| left.path.cmp(&right.path));
    Ok(DiffReport {
        old: old.logged.clone(),
        new: Some(new.logged.clone()),
        elsewhere: None,
        changes,
        only_in_index: None,
    })
}

struct Snapshot<'a> {
    reader: SnapshotReader<'a>,
    store: &'a Store,
}

/// The files of a directory, and the directories in it.
type Split = (BTreeMap<Vec<u8>, Stored>, BTreeMap<Vec<u8>, DirectoryKey>);

impl<'a> Snapshot<'a> {
    fn new(opened: &'a Opened, store: &'a Store) -> Self {
        Self {
            reader: SnapshotReader::new(store, &opened.trusted),
            store,
        }
    }

    fn read(&self, key: Option<DirectoryKey>, path: &[u8]) -> Result<Split> {
        let Some(key) = key else {
            return Ok(Split::default());
        };
        let (directory, below) = self.reader.read_directory(key, path)?;
        let mut files = BTreeMap::new();
        for (name, entry) in &directory.listing.entries {
            let content = directory.contents.get(name).copied();
            let mut mtime_ns = 0;
            let side = match entry {
                Entry::File {
                    attributes,
                    bytes,
                    blake3,
                } => {
                    mtime_ns = attributes.mtime_ns;
                    Side::File(attributes.mode & 0o7777, *bytes, *blake3)
                }
                Entry::Link { .. } => Side::Link(self.bytes(content.as_ref())?),
                Entry::Special { .. } => Side::Other,
                Entry::Directory { .. } | Entry::LeftOut { .. } => continue,
            };
            let stored = Stored {
                side,
                content,
                mtime_ns,
            };
            files.insert(join(path, name), stored);
        }
        Ok((files, below.into_iter().collect()))
    }

    fn bytes(&self, content: Option<&Content>) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        if let Some(content) = content {
            write_content(self.store, content, &mut bytes, Path::new("memory"))?;
        }
        Ok(bytes)
    }

    /// The bytes of a file that is small enough to be shown; nothing for what is not there.
    fn text(&self, stored: Option<&Stored>) -> Result<Option<Vec<u8>>> {
        let Some(stored) = stored else {
            return Ok(Some(Vec::new()));
        };
        match &stored.side {
            Side::File(_, bytes, blake3) if *bytes <= TEXT_BYTES => {
                let text = self.sealed(stored.content.as_ref(), blake3)?;
                Ok(Some(text).filter(|text| !text.contains(&0)))
            }
            Side::File(..) | Side::Link(_) | Side::Directory(_) | Side::Other => Ok(None),
        }
    }

    /// The bytes of a file, as they were sealed.
    fn sealed(&self, content: Option<&Content>, blake3: &Digest) -> Result<Vec<u8>> {
        let bytes = self.bytes(content)?;
        if Digest::of(&bytes) == *blake3 {
            return Ok(bytes);
        }
        Err(Refusal::new(
            RefusalCode::RecordContradiction,
            "a stored file is not what its listing says",
        ))
    }

    /// The index of the main working tree, where it can be read by itself.
    fn index(&self, format: ObjectFormat) -> Result<Option<Index>> {
        let (files, _) = self.read(self.reader.top_key(Place::Gitdir)?, &[])?;
        let Some(stored) = files.get(&b"index"[..]) else {
            return Ok(None);
        };
        let Side::File(_, _, blake3) = &stored.side else {
            return Ok(None);
        };
        let bytes = self.sealed(stored.content.as_ref(), blake3)?;
        Ok(Index::from_bytes(&bytes, format))
    }
}

impl Stored {
    /// Whether a file looks as it was captured, and has not changed since then, as its change time says.
    fn is_untouched(&self, fingerprint: &Fingerprint, sealed_ns: i128) -> bool {
        let Side::File(mode, bytes, _) = self.side else {
            return false;
        };
        let looks_so = mode == fingerprint.mode & 0o7777
            && bytes == fingerprint.bytes
            && self.mtime_ns == fingerprint.mtime_ns;
        looks_so && fingerprint.ctime_ns < sealed_ns
    }
}

/// One after the other, for there may be thousands of directories above one another.
fn compare(
    old: &Snapshot<'_>,
    new: &Snapshot<'_>,
    tops: (Option<DirectoryKey>, Option<DirectoryKey>),
    request: &DiffRequest,
    changes: &mut Vec<Change>,
) -> Result<()> {
    let mut pending = vec![(tops, Vec::new())];
    while let Some(((left, right), path)) = pending.pop() {
        if left == right {
            continue;
        }
        let (left_files, left_below) = old.read(left, &path)?;
        let (right_files, right_below) = new.read(right, &path)?;
        let names: BTreeSet<&Vec<u8>> = left_files.keys().chain(right_files.keys()).collect();
        for name in names.into_iter().filter(|name| request.wants(name)) {
            let (was, is) = (left_files.get(name), right_files.get(name));
            if was.map(|was| &was.side) == is.map(|is| &is.side) {
                continue;
            }
            let texts = if request.wants_texts() {
                old.text(was)?.zip(new.text(is)?)
            } else {
                None
            };
            let side = |stored: Option<&Stored>| stored.map(|stored| stored.side.clone());
            let change = Change::new(name.clone(), side(was), side(is));
            changes.push(change.with_texts(texts, request.detail));
        }
        let names: BTreeSet<&Vec<u8>> = left_below.keys().chain(right_below.keys()).collect();
        for name in names.into_iter().filter(|name| request.wants_in(name)) {
            let keys = (
                left_below.get(name).copied(),
                right_below.get(name).copied(),
            );
            pending.push((keys, name.clone()));
        }
    }
    Ok(())
}

/// Compares a snapshot with the main working tree as it is now, by the rules by which a snapshot would capture it. A file that has not
/// changed since the snapshot was sealed, as its change time says, and looks as it was captured, is not read.
///
/// # Errors
/// When the snapshot is not there or cannot be trusted, or the working tree cannot be looked at.
pub fn with_now(workplace: &Workplace, old: &str, request: &DiffRequest) -> Result<DiffReport> {
    let opened = Opened::open(workplace, old)?;
    let repository = workplace.repository()?;
    let store = opened.store();
    let snapshot = Snapshot::new(&opened, &store);
    let mut captured = BTreeMap::new();
    let top = snapshot.reader.top_key(Place::Worktree)?;
    collect(&snapshot, top, request, &mut captured)?;
    let known = ScanCache::load(&opened.vault).borders;
    let looked = find_borders(&repository, &workplace.lookup, &known);
    let (_, _, looked) = looked.map_err(|error| match error {
        CaptureError::Moved(path) => changing(&path),
        CaptureError::Borders(_) => changing(&repository.git_dir),
        CaptureError::Refused(refusal) => refusal,
    })?;
    let root = repository.worktree.as_ref().ok_or_else(no_working_tree)?;
    let indices = Indices {
        now: open_index(&repository.git_dir.join("index"), repository.format)?,
        then: snapshot.index(repository.format)?,
        format: repository.format,
    };
    // One second less: times in records are whole seconds.
    let sealed_ns = i128::from(opened.trusted.manifest().created.seconds() - 1) * 1_000_000_000;
    let mut changes = Vec::new();
    let mut met = BTreeSet::new();
    let of_tree = looked.iter().filter(|(place, _)| *place == Place::Worktree);
    for directory in of_tree.flat_map(|(_, directories)| directories) {
        for (name, found) in &directory.entries {
            let path = join(&directory.path, name);
            let (fingerprint, is_link) = match found {
                Found::File { fingerprint, .. } => (fingerprint, false),
                Found::Link { fingerprint, .. } => (fingerprint, true),
                Found::Directory | Found::Special(..) | Found::LeftOut { .. } => continue,
            };
            if is_in_git(&path) || !request.wants(&path) {
                continue;
            }
            met.insert(path.clone());
            let was = captured.get(&path);
            if was.is_some_and(|was| was.is_untouched(fingerprint, sealed_ns)) {
                continue;
            }
            let there = join_bytes(root, &path);
            let is = now(&there, fingerprint, is_link)?;
            if was.map(|was| &was.side) == Some(&is) {
                continue;
            }
            let texts = if request.wants_texts() {
                snapshot.text(was)?.zip(text_now(&there, &is)?)
            } else {
                None
            };
            let standing = indices.of_what_is_there(&path, &there, fingerprint, &is)?;
            let old = was.map(|was| was.side.clone());
            let change = Change {
                is_tracked: Some(standing != Some(Standing::Untracked)),
                standing,
                ..Change::new(path, old, Some(is))
            };
            changes.push(change.with_texts(texts, request.detail));
        }
    }
    captured.retain(|path, was| !met.contains(path) && !is_in_git(path) && was.side != Side::Other);
    gone(&snapshot, &captured, request, &indices, &mut changes)?;
    changes.sort_by(|left, right| left.path.cmp(&right.path));
    let changed: BTreeSet<&[u8]> = changes.iter().map(|one| one.path.as_slice()).collect();
    let only_in_index = indices.differing().map(|paths| {
        let paths = paths.into_iter();
        paths
            .filter(|path| request.wants(path) && !changed.contains(path.as_slice()))
            .collect()
    });
    let start = workplace.lookup.start.canonicalize().ok();
    let is_here = start.is_none_or(|start| start.starts_with(root));
    Ok(DiffReport {
        old: opened.logged.clone(),
        new: None,
        elsewhere: Some(root.clone()).filter(|_| !is_here),
        changes,
        only_in_index,
    })
}

fn no_working_tree() -> Refusal {
    Refusal::new(
        RefusalCode::SourceNotSupported,
        "there is no working tree here",
    )
    .because("the repository is bare")
    .keeping("nothing was touched")
    .next("git vault diff SNAP SNAP2", "compares two snapshots")
}

/// What is not there any more.
fn gone(
    snapshot: &Snapshot<'_>,
    captured: &BTreeMap<Vec<u8>, Stored>,
    request: &DiffRequest,
    indices: &Indices,
    changes: &mut Vec<Change>,
) -> Result<()> {
    for (path, was) in captured {
        let texts = if request.wants_texts() {
            snapshot.text(Some(was))?.map(|text| (text, Vec::new()))
        } else {
            None
        };
        let change = Change {
            is_tracked: Some(indices.now.is_tracked(&indices.now.all(), path)),
            standing: indices.of_what_is_gone(path),
            ..Change::new(path.clone(), Some(was.side.clone()), None)
        };
        changes.push(change.with_texts(texts, request.detail));
    }
    Ok(())
}

pub(super) fn is_in_git(path: &[u8]) -> bool {
    path.split(|byte| *byte == b'/').any(|name| name == b".git")
}

fn collect(
    snapshot: &Snapshot<'_>,
    key: Option<DirectoryKey>,
    request: &DiffRequest,
    all: &mut BTreeMap<Vec<u8>, Stored>,
) -> Result<()> {
    let mut pending = vec![(key, Vec::new())];
    while let Some((key, path)) = pending.pop() {
        let (files, subdirectories) = snapshot.read(key, &path)?;
        all.extend(files.into_iter().filter(|(path, _)| request.wants(path)));
        let wanted = subdirectories
            .into_iter()
            .filter(|(path, _)| request.wants_in(path));
        pending.extend(wanted.map(|(path, key)| (Some(key), path)));
    }
    Ok(())
}

/// What stands at a path now.
fn now(path: &Path, fingerprint: &Fingerprint, is_link: bool) -> Result<Side> {
    let unreadable = |error: disk::Error| error.refuse(RefusalCode::SourceUnreadable);
    if is_link {
        let target = std::fs::read_link(path)
            .map_err(|error| unreadable(disk::Error::new("read the link", path, error)))?;
        return Ok(Side::Link(target.as_os_str().as_bytes().to_vec()));
    }
    let (bytes, blake3) = disk::hash_file(path, |_bytes| {}).map_err(unreadable)?;
    Ok(Side::File(fingerprint.mode & 0o7777, bytes, blake3))
}

fn text_now(path: &Path, side: &Side) -> Result<Option<Vec<u8>>> {
    let Side::File(_, bytes, _) = side else {
        return Ok(None);
    };
    if *bytes > TEXT_BYTES {
        return Ok(None);
    }
    let unreadable = |error: disk::Error| error.refuse(RefusalCode::SourceUnreadable);
    let file: File = disk::open_regular(path).map_err(unreadable)?;
    let mut text = Vec::new();
    file.take(TEXT_BYTES)
        .read_to_end(&mut text)
        .map_err(|error| unreadable(disk::Error::new("read", path, error)))?;
    Ok(Some(text).filter(|text| !text.contains(&0)))
}
