//! The object stores of a source repository: its objects directory and all alternates, listed by id.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::alternates::Alternates;
use super::error::{Error, Result};
use super::loose;
use super::object::{ObjectFormat, ObjectId};
use super::pack_reader::{Object, Pack};
use crate::host::directory::open_directory;
use crate::host::disk;
use crate::host::file_system::has_change_times;
use crate::host::metadata::{self, Kind};

/// The stores, opened: what they held when they were listed.
pub struct Stores {
    /// Objects directories, the repository's own first, and what else the lists of alternates name.
    pub alternates: Alternates,
    /// Ids of loose objects, each with the number of its directory.
    pub loose: Vec<(ObjectId, usize)>,
    /// Directories of loose objects that were left alone for long enough before they were looked at, and what they held is in
    /// `loose` or known to be mirrored.
    pub fans: Vec<StoreStamp>,
    /// Packs, opened, with what identifies their files.
    pub packs: Vec<SourcePack>,
    /// Whether something of the repository's own was not opened because it is known: what it borrows, others may borrow as well.
    pub knows_own: bool,
    format: ObjectFormat,
}

/// Packs without an index, and indices without a pack, in the stores reachable from `objects`: git reads neither.
///
/// # Errors
/// When a store cannot be listed.
pub fn unpaired(objects: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for directory in Alternates::find(objects)?.directories {
        let pack = directory.join("pack");
        let names = match disk::list(&pack) {
            Err(error) if error.is_not_found() => continue,
            names => names?,
        };
        let names: BTreeSet<PathBuf> = names.into_iter().map(|name| pack.join(name)).collect();
        let is_alone = |path: &&PathBuf| match path.extension().map(OsStrExt::as_bytes) {
            Some(b"pack") => !names.contains(&path.with_extension("idx")),
            Some(b"idx") => !names.contains(&path.with_extension("pack")),
            _ => false,
        };
        found.extend(names.iter().filter(is_alone).cloned());
    }
    Ok(found)
}

/// What lies in an objects directory and is nothing that git keeps there, by path in it (gitrepository-layout(5)); of directories,
/// their own names.
///
/// # Errors
/// When a directory cannot be listed.
pub fn strays(objects: &Path) -> Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for name in disk::list(objects)? {
        let bytes = name.as_bytes();
        let is_kept: Option<fn(&[u8]) -> bool> = match bytes {
            b"pack" => Some(is_kept_among_packs),
            b"info" => Some(is_kept_as_information),
            _ if bytes.len() == 2 && is_hexadecimal(bytes) => Some(is_loose),
            _ => None,
        };
        let directory = objects.join(&name);
        match is_kept.filter(|_| directory.is_dir()) {
            Some(is_kept) => {
                let inner = disk::list(&directory)?.into_iter();
                let inner = inner.filter(|inner| {
                    let inner = inner.as_bytes();
                    !is_kept(inner) && !is_unfinished(inner)
                });
                found.extend(inner.map(|inner| Path::new(&name).join(inner)));
            }
            None if is_unfinished(bytes) => {}
            None => found.push(PathBuf::from(name)),
        }
    }
    Ok(found)
}

fn is_hexadecimal(name: &[u8]) -> bool {
    name.iter().all(u8::is_ascii_hexdigit)
}

fn is_loose(name: &[u8]) -> bool {
    matches!(name.len(), 38 | 62) && is_hexadecimal(name)
}

fn is_kept_among_packs(name: &[u8]) -> bool {
    const ENDINGS: [&[u8]; 7] = [
        b".pack",
        b".idx",
        b".rev",
        b".bitmap",
        b".mtimes",
        b".keep",
        b".promisor",
    ];
    name.starts_with(b"multi-pack-index") || ENDINGS.iter().any(|ending| name.ends_with(ending))
}

fn is_kept_as_information(name: &[u8]) -> bool {
    const NAMES: [&[u8]; 5] = [
        b"alternates",
        b"http-alternates",
        b"packs",
        b"commit-graph",
        b"commit-graphs",
    ];
    NAMES.contains(&name)
}

/// Whether git names so what it has not finished, or locks.
fn is_unfinished(name: &[u8]) -> bool {
    const BEGINNINGS: [&[u8]; 3] = [b"tmp_", b".tmp-", b"incoming-"];
    name.ends_with(b".lock")
        || BEGINNINGS
            .iter()
            .any(|beginning| name.starts_with(beginning))
}

/// A pack of the source.
pub struct SourcePack {
    /// What identifies the file: a pack of this fingerprint that is already mirrored need not be opened again.
    pub stamp: StoreStamp,
    /// The pack; `None` when the caller said that it is mirrored already.
    pub pack: Option<Pack>,
}

/// What need not be opened, because all its objects are in the vault.
#[derive(Clone, Copy)]
pub struct Known<'a> {
    /// The packs and the directories of loose objects of which that is known.
    pub is_mirrored: &'a dyn Fn(&StoreStamp) -> bool,
    /// A directory of loose objects is relied on only if it has not changed since then, in ns since the epoch; none is without it.
    pub settled_before_ns: Option<i128>,
}

impl Known<'_> {
    /// Nothing is known.
    pub const NOTHING: Known<'static> = Known {
        is_mirrored: &|_stamp| false,
        settled_before_ns: None,
    };
}

/// Identity of a pack file, or of a directory of loose objects: names of packs are checksums of content or of ids, so the whole is
/// what counts.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoreStamp {
    /// Its path.
    pub path: Vec<u8>,
    /// Its size.
    pub bytes: u64,
    /// Its inode.
    pub inode: u64,
    /// Its modification time in ns.
    pub mtime_ns: i128,
    /// Its change time in ns.
    pub ctime_ns: i128,
    /// Whether a promisor remote gave it, and may give what its objects name.
    pub is_promisor: bool,
}

impl Stores {
    /// Lists all stores reachable from `objects`: loose objects first, then packs, then the packs once more, because an
    /// object that is packed in between would be in neither list. Nor would one that is taken out of a pack that goes, so the packs that
    /// were there at first must all be there yet. Promisor packs are such in a partial clone only.
    ///
    /// # Errors
    /// When a store cannot be listed, or the packs keep changing.
    pub fn open(
        objects: &Path,
        format: ObjectFormat,
        is_partial: bool,
        known: Known<'_>,
    ) -> Result<Self> {
        let alternates = Alternates::find(objects)?;
        let mut stores = Self {
            alternates,
            loose: Vec::new(),
            fans: Vec::new(),
            packs: Vec::new(),
            knows_own: false,
            format,
        };
        let first = stores.pack_paths()?;
        for number in 0..stores.alternates.directories.len() {
            stores.list_loose(number, known)?;
        }
        let before = stores.pack_paths()?;
        let own = objects.join("pack");
        for path in &before {
            let mut stamp = StoreStamp::of(path)?;
            stamp.is_promisor &= is_partial;
            let pack = if (known.is_mirrored)(&stamp) {
                stores.knows_own |= path.parent() == Some(own.as_path());
                None
            } else {
                Some(Pack::open(path, format)?)
            };
            stores.packs.push(SourcePack { stamp, pack });
        }
        let after = stores.pack_paths()?;
        if first.is_subset(&before) && after.is_subset(&before) {
            Ok(stores)
        } else {
            let gone = std::io::Error::from(std::io::ErrorKind::NotFound);
            Err(disk::Error::new("list the packs of", objects, gone).into())
        }
    }

    /// Lists the loose objects of one of the stores, but for directories that are known to hold nothing new: one to which an object came
    /// has another change time, where the file system is known to tell.
    fn list_loose(&mut self, number: usize, known: Known<'_>) -> Result<()> {
        let Some(objects) = self.alternates.directories.get(number) else {
            return Ok(());
        };
        let device = tells_of_changes(objects);
        for fan in loose::fans(objects)? {
            // Looked at before it is listed: what comes meanwhile makes it another one.
            let settled = match known.settled_before_ns.zip(device) {
                Some((before_ns, device)) => StoreStamp::of_fan(&fan, device, before_ns),
                None => None,
            };
            let is_known = settled.as_ref().is_some_and(known.is_mirrored);
            if is_known {
                self.knows_own |= number == 0;
            } else {
                let ids = loose::list(&fan, self.format)?;
                self.loose.extend(ids.into_iter().map(|id| (id, number)));
            }
            self.fans.extend(settled);
        }
        Ok(())
    }

    /// Paths of all packs that have an index.
    fn pack_paths(&self) -> Result<BTreeSet<PathBuf>> {
        let mut paths = BTreeSet::new();
        for directory in &self.alternates.directories {
            let directory = directory.join("pack");
            let names = match disk::list(&directory) {
                Err(error) if error.is_not_found() => continue,
                names => names?,
            };
            // An index without its pack is nothing, for git as well.
            let is_there = |path: &PathBuf| path.symlink_metadata().is_ok();
            let indices = names
                .iter()
                .map(|name| directory.join(name))
                .filter(|path| path.extension().is_some_and(|extension| extension == "idx"));
            paths.extend(
                indices
                    .map(|path| path.with_extension("pack"))
                    .filter(is_there),
            );
        }
        Ok(paths)
    }

    /// Whether the object is in any store that was opened.
    #[must_use]
    pub fn contains(&self, id: &ObjectId) -> bool {
        self.loose.iter().any(|(loose, _)| loose == id)
            || self.packs.iter().any(|pack| {
                pack.pack
                    .as_ref()
                    .is_some_and(|pack| pack.index.find(id).is_some())
            })
    }

    /// Whether the object is in any store, be it opened or known.
    #[must_use]
    pub fn holds(&self, id: &ObjectId) -> bool {
        let is_loose = |objects: &PathBuf| loose::path_of(objects, id).symlink_metadata().is_ok();
        let known = self.packs.iter().filter(|pack| pack.pack.is_none());
        let mut known = known.map(|pack| Path::new(OsStr::from_bytes(&pack.stamp.path)));
        let is_in = |path: &Path| {
            let pack = Pack::open(path, self.format);
            pack.is_ok_and(|pack| pack.index.find(id).is_some())
        };
        self.contains(id) || self.alternates.directories.iter().any(is_loose) || known.any(is_in)
    }

    /// Reads an object from any store that was opened.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub fn read(&self, id: &ObjectId) -> Result<Object> {
        if let Some((_, number)) = self.loose.iter().find(|(loose, _)| loose == id)
            && let Some(directory) = self.alternates.directories.get(*number)
        {
            return loose::open(directory, id)?.read(self.format, id);
        }
        let packs = self.packs.iter().filter_map(|pack| pack.pack.as_ref());
        let pack = packs
            .into_iter()
            .find(|pack| pack.index.find(id).is_some())
            .ok_or(Error::Missing(*id))?;
        pack.read(id)
    }
}

/// The device of an objects directory, if its file system is known to tell of every name that comes and goes.
fn tells_of_changes(objects: &Path) -> Option<u64> {
    let open = open_directory(objects).ok()?;
    let look = metadata::look_at_open(&open, objects).ok()?;
    has_change_times(&open).then_some(look.device)
}

impl StoreStamp {
    /// Looks at a directory of loose objects: nothing when it lies on another device, or changed too late.
    fn of_fan(fan: &Path, device: u64, before_ns: i128) -> Option<Self> {
        let look = metadata::look_at(fan).ok()?;
        let is_settled = look.kind() == Kind::Directory
            && look.device == device
            && look.ctime_ns < before_ns
            && look.mtime_ns < before_ns;
        is_settled.then(|| Self {
            path: fan.as_os_str().as_bytes().to_vec(),
            bytes: look.bytes,
            inode: look.inode,
            mtime_ns: look.mtime_ns,
            ctime_ns: look.ctime_ns,
            is_promisor: false,
        })
    }

    /// Looks at a pack file.
    ///
    /// # Errors
    /// When the system cannot.
    pub fn of(path: &Path) -> disk::Result<Self> {
        let look = metadata::look_at(path)?;
        Ok(Self {
            path: path.as_os_str().as_bytes().to_vec(),
            bytes: look.bytes,
            inode: look.inode,
            mtime_ns: look.mtime_ns,
            ctime_ns: look.ctime_ns,
            is_promisor: path.with_extension("promisor").symlink_metadata().is_ok(),
        })
    }
}
