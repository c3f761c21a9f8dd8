//! The scan cache: what files looked like when their content was last stored. It saves reading, never decides truth: a
//! cache that is not exactly what the key holder wrote, or that knows a log this is not, counts as none.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::host::disk;
use crate::host::git::object::{ObjectFormat, ObjectId};
use crate::host::git::packs::SmallPacks;
use crate::host::git::stores::StoreStamp;
use crate::host::machine::user;
use crate::host::metadata::Fingerprint;
use crate::host::walk::path_bytes;
use crate::model::ids::{Digest, SnapshotId};
use crate::model::manifest::{LeftOut, TreeCounts};
use crate::model::place::{Place, Spot};
use crate::model::signed::Purpose;
use crate::vault::builder::BuiltPlace;
use crate::vault::built_directories::BuiltDirectories;
use crate::vault::inspect::Vault;
use crate::vault::known_files::KnownFiles;

/// Bytes of the tag that comes first.
const TAG_BYTES: usize = 32;

/// Largest cache read.
const LIMIT_BYTES: u64 = 2 << 30;

/// Packs of the vault by name, each with what its pack and its index looked like when their bytes were found to be what was
/// written.
pub type SoundPacks = BTreeMap<String, [Fingerprint; 2]>;

/// What is remembered from one snapshot to the next.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ScanCache {
    /// Files by place and path.
    pub files: BTreeMap<Place, KnownFiles>,
    /// Directories in working trees that had a `.git` of their own.
    pub borders: BTreeSet<PathBuf>,
    /// Places by name, each with the digest of what it was built from.
    pub places: BTreeMap<Place, (Digest, BuiltPlace)>,
    /// The newest snapshot and a digest of the state it holds.
    pub state: Option<(SnapshotId, Digest)>,
    /// A digest of ids that were all found in the histories, reaching no hole, and how many tolerated ones of each were not.
    pub proven: Option<(Digest, Vec<u64>)>,
    /// Packs of the vault as they were when their bytes were last found to be what was written.
    pub sound: SoundPacks,
    /// The ids in packs of the vault that hold few objects, and whose indices were compared with the log after they had been left
    /// alone for long enough.
    pub small: SmallPacks,
    /// Other packs of which the same was done with their indices.
    pub large: BTreeSet<String>,
    /// Packs of the sources, and directories of loose objects, whose objects are all in the vault, by the git directory of their
    /// repository.
    pub mirrored: Vec<(Spot, StoreStamp)>,
}

type StampRecord = (Vec<u8>, u64, u64, i128, i128, bool);

#[derive(Serialize, Deserialize)]
struct File {
    /// Who wrote it: what is kept of a file depends on whose it is.
    user: u32,
    head: u64,
    head_blake3: [u8; 32],
    /// Places by name, each with how many bytes of what follows are of its files.
    files: Vec<(String, u64)>,
    borders: Vec<Vec<u8>>,
    places: Vec<PlaceRecord>,
    state: Option<(String, [u8; 32])>,
    proven: Option<([u8; 32], Vec<u64>)>,
    sound: SoundPacks,
    /// Packs by name, each with its ids one after the other.
    small: Vec<(String, Vec<u8>)>,
    large: BTreeSet<String>,
    mirrored: Vec<(String, StampRecord)>,
}

#[derive(Serialize, Deserialize)]
struct PlaceRecord {
    name: String,
    digest: [u8; 32],
    contents: Vec<u8>,
    attributes: Vec<u8>,
    counts: TreeCounts,
    left_out: Vec<LeftOut>,
    /// How many bytes of what follows, behind those of the files, are of its directories.
    directories: u64,
}

fn path(vault: &Vault) -> PathBuf {
    vault.layout.cache().join("scan")
}

fn tag(vault: &Vault, bytes: &[u8]) -> [u8; 32] {
    *blake3::keyed_hash(&vault.key().derived(Purpose::Cache), bytes).as_bytes()
}

impl ScanCache {
    /// Loads the cache; an empty one when there is none that can be relied on.
    #[must_use]
    pub fn load(vault: &Vault) -> Self {
        Self::read(vault).unwrap_or_default()
    }

    fn read(vault: &Vault) -> Option<Self> {
        let bytes = disk::read_bounded(&path(vault), LIMIT_BYTES).ok()?;
        let (stated, content) = bytes.split_first_chunk::<TAG_BYTES>()?;
        if blake3::Hash::from(*stated) != blake3::Hash::from(tag(vault, content)) {
            return None;
        }
        let (file, rest) = postcard::take_from_bytes::<File>(content).ok()?;
        let files_at = bytes.len() - rest.len();
        if file.user != user() {
            return None;
        }
        // What was stored by that entry is still there, unless an entry since then says that packs were replaced: of what it
        // says is stored, some may be gone with a dropped snapshot.
        if vault.log.last_optimize() > file.head {
            return None;
        }
        if vault.log.hash_of(file.head)? != Digest::from_bytes(file.head_blake3) {
            return None;
        }
        let bytes = Arc::new(bytes);
        let (files, mut start) = files_from(&bytes, files_at, &file.files)?;
        let mut places = BTreeMap::new();
        for record in file.places {
            let end = start.checked_add(usize::try_from(record.directories).ok()?)?;
            let directories = BuiltDirectories::from_bytes(bytes.get(start..end)?.to_vec());
            let (place, known) = place_from_record(record, directories)?;
            places.insert(place, known);
            start = end;
        }
        if start != bytes.len() {
            return None;
        }
        Some(Self {
            files,
            borders: file
                .borders
                .into_iter()
                .map(|path| PathBuf::from(std::ffi::OsString::from_vec(path)))
                .collect(),
            proven: file
                .proven
                .map(|(digest, missing)| (Digest::from_bytes(digest), missing)),
            state: match file.state {
                Some((id, digest)) => Some((id.parse().ok()?, Digest::from_bytes(digest))),
                None => None,
            },
            places,
            sound: file.sound,
            small: small_from(file.small, vault.format)?,
            large: file.large,
            mirrored: file
                .mirrored
                .into_iter()
                .map(|(of, record)| Some((of.parse().ok()?, stamp_from_record(record))))
                .collect::<Option<_>>()?,
        })
    }

    /// Writes the cache. It need not be durable: a torn one counts as none.
    ///
    /// # Errors
    /// When it cannot be written; nothing depends on it.
    pub fn save(&self, vault: &Vault) -> disk::Result<()> {
        let Some(head_blake3) = vault.log.head_blake3 else {
            return Ok(());
        };
        let file = File {
            user: user(),
            head: vault.log.head,
            head_blake3: *head_blake3.as_bytes(),
            files: self
                .files
                .iter()
                .map(|(place, files)| (place.name().into_owned(), files.as_bytes().len() as u64))
                .collect(),
            borders: self
                .borders
                .iter()
                .map(|path| path_bytes(path).to_vec())
                .collect(),
            proven: self
                .proven
                .as_ref()
                .map(|(digest, missing)| (*digest.as_bytes(), missing.clone())),
            state: self
                .state
                .as_ref()
                .map(|(id, digest)| (id.to_string(), *digest.as_bytes())),
            places: self.places.iter().map(place_to_record).collect(),
            sound: self.sound.clone(),
            large: self.large.clone(),
            small: self
                .small
                .iter()
                .map(|(name, ids)| {
                    let ids = ids.iter().flat_map(|id| id.as_bytes().iter().copied());
                    (name.clone(), ids.collect())
                })
                .collect(),
            mirrored: self
                .mirrored
                .iter()
                .map(|(of, stamp)| (of.to_string(), stamp_to_record(stamp)))
                .collect(),
        };
        let path = path(vault);
        let content = postcard::to_extend(&file, vec![0; TAG_BYTES]).map_err(|error| {
            disk::Error::new("write", &path, std::io::Error::other(error.to_string()))
        })?;
        let mut bytes = content;
        for files in self.files.values() {
            bytes.extend_from_slice(files.as_bytes());
        }
        for (_, place) in self.places.values() {
            bytes.extend_from_slice(place.directories.as_bytes());
        }
        if let Some((place, content)) = bytes.split_first_chunk_mut::<TAG_BYTES>() {
            *place = tag(vault, content);
        }
        disk::replace_cache(&path, &bytes)
    }
}

/// The files of each place, one after the other from `start` on, each of so many bytes, and where they
/// end; `None` when that is not how it is.
fn files_from(
    bytes: &Arc<Vec<u8>>,
    start: usize,
    lengths: &[(String, u64)],
) -> Option<(BTreeMap<Place, KnownFiles>, usize)> {
    let mut files = BTreeMap::new();
    let mut start = start;
    for (name, length) in lengths {
        let end = start.checked_add(usize::try_from(*length).ok()?)?;
        files.insert(
            place_of(name)?,
            KnownFiles::parse(Arc::clone(bytes), start..end)?,
        );
        start = end;
    }
    Some((files, start))
}

/// The place of that name.
fn place_of(name: &str) -> Option<Place> {
    let spot: Spot = name.parse().ok()?;
    spot.path.is_empty().then_some(spot.place)
}

fn place_to_record((name, (digest, place)): (&Place, &(Digest, BuiltPlace))) -> PlaceRecord {
    PlaceRecord {
        name: name.name().into_owned(),
        digest: *digest.as_bytes(),
        contents: place.contents.as_bytes().to_vec(),
        attributes: place.attributes.as_bytes().to_vec(),
        counts: place.counts.clone(),
        left_out: place.left_out.clone(),
        directories: place.directories.as_bytes().len() as u64,
    }
}

fn place_from_record(
    record: PlaceRecord,
    directories: BuiltDirectories,
) -> Option<(Place, (Digest, BuiltPlace))> {
    let place = BuiltPlace {
        contents: ObjectId::from_bytes(&record.contents)?,
        attributes: ObjectId::from_bytes(&record.attributes)?,
        counts: record.counts,
        left_out: record.left_out,
        directories,
    };
    Some((
        place_of(&record.name)?,
        (Digest::from_bytes(record.digest), place),
    ))
}

fn small_from(records: Vec<(String, Vec<u8>)>, format: ObjectFormat) -> Option<SmallPacks> {
    let records = records.into_iter().map(|(name, bytes)| {
        let ids = bytes.chunks(format.id_bytes()).map(ObjectId::from_bytes);
        Some((name, ids.collect::<Option<_>>()?))
    });
    records.collect()
}

fn stamp_to_record(stamp: &StoreStamp) -> StampRecord {
    (
        stamp.path.clone(),
        stamp.bytes,
        stamp.inode,
        stamp.mtime_ns,
        stamp.ctime_ns,
        stamp.is_promisor,
    )
}

fn stamp_from_record(
    (path, bytes, inode, mtime_ns, ctime_ns, is_promisor): StampRecord,
) -> StoreStamp {
    StoreStamp {
        path,
        bytes,
        inode,
        mtime_ns,
        ctime_ns,
        is_promisor,
    }
}
