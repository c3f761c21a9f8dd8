//! The scan cache: what files looked like when their content was last stored. It saves reading, never decides truth: a
//! cache that is not exactly what the key holder wrote, or that knows a log this is not, counts as none.

use std::collections::HashMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::host::disk;
use crate::host::git::object::ObjectId;
use crate::host::git::stores::PackStamp;
use crate::host::metadata::Fingerprint;
use crate::model::ids::Digest;
use crate::model::listing::Xattrs;
use crate::model::signed::Purpose;
use crate::vault::content::{Form, Stored};
use crate::vault::inspect::Vault;

/// Largest cache read.
const LIMIT_BYTES: u64 = 2 << 30;

/// A file as it was when its content was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedFile {
    /// What it looked like.
    pub fingerprint: Fingerprint,
    /// Its extended attributes.
    pub xattrs: Xattrs,
    /// Its content.
    pub stored: Stored,
}

/// What is remembered from one snapshot to the next.
#[derive(Debug, Default)]
pub struct ScanCache {
    /// Files of the working tree by path.
    pub worktree: HashMap<Vec<u8>, CachedFile>,
    /// Files of the git directory by path.
    pub gitdir: HashMap<Vec<u8>, CachedFile>,
    /// Packs of the source whose objects are all in the vault.
    pub mirrored: Vec<PackStamp>,
}

#[derive(Serialize, Deserialize)]
struct File {
    head: u64,
    head_blake3: [u8; 32],
    worktree: Vec<Record>,
    gitdir: Vec<Record>,
    mirrored: Vec<(Vec<u8>, u64, u64, i128, i128)>,
}

#[derive(Serialize, Deserialize)]
struct Record {
    path: Vec<u8>,
    device: u64,
    inode: u64,
    mode: u32,
    bytes: u64,
    mtime_ns: i128,
    ctime_ns: i128,
    xattrs: Vec<(Vec<u8>, Vec<u8>)>,
    id: Vec<u8>,
    chunked: bool,
    blake3: [u8; 32],
}

fn path(vault: &Vault) -> PathBuf {
    vault.layout.cache().join("scan")
}

fn tag(vault: &Vault, bytes: &[u8]) -> [u8; 32] {
    *blake3::keyed_hash(&vault.key.derived(Purpose::Cache), bytes).as_bytes()
}

impl ScanCache {
    /// Loads the cache; an empty one when there is none that can be relied on.
    #[must_use]
    pub fn load(vault: &Vault) -> Self {
        Self::read(vault).unwrap_or_default()
    }

    fn read(vault: &Vault) -> Option<Self> {
        let bytes = disk::read_bounded(&path(vault), LIMIT_BYTES).ok()?;
        let (stated, content) = bytes.split_first_chunk::<32>()?;
        if blake3::Hash::from(*stated) != blake3::Hash::from(tag(vault, content)) {
            return None;
        }
        let file: File = postcard::from_bytes(content).ok()?;
        // Packs are never removed without a log entry, so what was stored by that entry is still there.
        if vault.log.hash_of(file.head)? != Digest::from_bytes(file.head_blake3) {
            return None;
        }
        Some(Self {
            worktree: from_records(file.worktree)?,
            gitdir: from_records(file.gitdir)?,
            mirrored: file.mirrored.into_iter().map(stamp_from_record).collect(),
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
            head: vault.log.head,
            head_blake3: *head_blake3.as_bytes(),
            worktree: to_records(&self.worktree),
            gitdir: to_records(&self.gitdir),
            mirrored: self.mirrored.iter().map(stamp_to_record).collect(),
        };
        let path = path(vault);
        let content = postcard::to_stdvec(&file).map_err(|error| {
            disk::Error::new("write", &path, std::io::Error::other(error.to_string()))
        })?;
        let mut bytes = tag(vault, &content).to_vec();
        bytes.extend_from_slice(&content);
        disk::replace_cache(&path, &bytes)
    }
}

fn stamp_to_record(stamp: &PackStamp) -> (Vec<u8>, u64, u64, i128, i128) {
    (
        stamp.path.clone(),
        stamp.bytes,
        stamp.inode,
        stamp.mtime_ns,
        stamp.ctime_ns,
    )
}

fn stamp_from_record(
    (path, bytes, inode, mtime_ns, ctime_ns): (Vec<u8>, u64, u64, i128, i128),
) -> PackStamp {
    PackStamp {
        path,
        bytes,
        inode,
        mtime_ns,
        ctime_ns,
    }
}

fn to_records(files: &HashMap<Vec<u8>, CachedFile>) -> Vec<Record> {
    let record = |(path, file): (&Vec<u8>, &CachedFile)| Record {
        path: path.clone(),
        device: file.fingerprint.device,
        inode: file.fingerprint.inode,
        mode: file.fingerprint.mode,
        bytes: file.fingerprint.bytes,
        mtime_ns: file.fingerprint.mtime_ns,
        ctime_ns: file.fingerprint.ctime_ns,
        xattrs: file
            .xattrs
            .iter()
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect(),
        id: file.stored.id.as_bytes().to_vec(),
        chunked: file.stored.form == Form::Chunked,
        blake3: *file.stored.blake3.as_bytes(),
    };
    files.iter().map(record).collect()
}

fn from_records(records: Vec<Record>) -> Option<HashMap<Vec<u8>, CachedFile>> {
    let file = |record: Record| {
        let stored = Stored {
            id: ObjectId::from_bytes(&record.id)?,
            form: if record.chunked {
                Form::Chunked
            } else {
                Form::Whole
            },
            bytes: record.bytes,
            blake3: Digest::from_bytes(record.blake3),
        };
        let fingerprint = Fingerprint {
            device: record.device,
            inode: record.inode,
            mode: record.mode,
            bytes: record.bytes,
            mtime_ns: record.mtime_ns,
            ctime_ns: record.ctime_ns,
        };
        Some((
            record.path,
            CachedFile {
                fingerprint,
                xattrs: record.xattrs.into_iter().collect(),
                stored,
            },
        ))
    };
    records.into_iter().map(file).collect()
}
