//! Content in: blobs and trees of a snapshot, each stored once, large ones in pieces.

use std::fs::File;
use std::io::{Read, Seek};
use std::path::Path;
use std::sync::Mutex;

use crate::host::chunker::{self, Profile};
use crate::host::disk;
use crate::host::git;
use crate::host::git::object::{
    MODE_FILE, ObjectFormat, ObjectHasher, ObjectId, ObjectKind, hash_object,
};
use crate::host::git::pack_writer::{FinishedPack, PackWriter, deflate};
use crate::host::git::tree::{NewEntry, tree_content};
use crate::host::parallel;
use crate::model::ids::Digest;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::vault::staging::Staging;
use crate::vault::store::Store;

/// Content from this size on is compressed by several threads.
const WORTH_THREADS_BYTES: u64 = 4 << 20;

/// Content that is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stored {
    /// The blob, or the tree of pieces.
    pub id: ObjectId,
    /// Whether `id` is a tree of pieces.
    pub form: Form,
    /// Size in bytes.
    pub bytes: u64,
    /// BLAKE3 of the whole.
    pub blake3: Digest,
}

/// How content is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// As one blob.
    Whole,
    /// As a tree of pieces.
    Chunked,
}

/// Why content could not be stored.
#[derive(Debug)]
pub enum StoreError {
    /// The source could not be read.
    Source(std::io::Error),
    /// The source changed while it was read.
    Changed,
    /// The vault could not be written.
    Vault(Refusal),
}

impl From<std::io::Error> for StoreError {
    fn from(error: std::io::Error) -> Self {
        Self::Source(error)
    }
}

impl From<Refusal> for StoreError {
    fn from(refusal: Refusal) -> Self {
        Self::Vault(refusal)
    }
}

/// What a snapshot added to its capture pack.
#[derive(Debug, Default)]
pub struct Added {
    /// The pack; `None` when everything was there already.
    pub pack: Option<FinishedPack>,
    /// Contents that were newly stored, to be recomputed when read back.
    pub contents: Vec<Stored>,
}

/// Takes the contents of one snapshot.
pub struct ContentWriter<'a> {
    known: &'a Store,
    staging: &'a Staging,
    format: ObjectFormat,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pack: Option<PackWriter>,
    contents: Vec<Stored>,
}

impl<'a> ContentWriter<'a> {
    /// Makes a writer; what `known` holds is not stored again.
    #[must_use]
    pub fn new(known: &'a Store, staging: &'a Staging, format: ObjectFormat) -> Self {
        Self {
            known,
            staging,
            format,
            state: Mutex::default(),
        }
    }

    /// Whether an object is in the vault or in this snapshot's pack.
    #[must_use]
    pub fn contains(&self, id: &ObjectId) -> bool {
        self.known.contains(id) || self.is_written(id)
    }

    fn is_written(&self, id: &ObjectId) -> bool {
        self.state
            .lock()
            .is_ok_and(|state| state.pack.as_ref().is_some_and(|pack| pack.contains(id)))
    }

    /// Stores an object.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub fn object(&self, kind: ObjectKind, content: &[u8]) -> Result<ObjectId> {
        let id = hash_object(self.format, kind, content).ok_or_else(collision)?;
        if !self.contains(&id) {
            self.write(id, kind, content)?;
        }
        Ok(id)
    }

    /// Deflates outside the lock, writes inside it.
    fn write(&self, id: ObjectId, kind: ObjectKind, content: &[u8]) -> Result<()> {
        let deflated = deflate(content);
        let mut state = self.state.lock().map_err(|_poisoned| poisoned())?;
        let pack = match &mut state.pack {
            Some(pack) => pack,
            empty => empty.insert(self.create_pack()?),
        };
        pack.add_deflated(id, kind, content.len() as u64, &deflated)
            .map_err(|error| refuse_git_write(&error))
    }

    fn create_pack(&self) -> Result<PackWriter> {
        let directory = self.staging.directory()?;
        PackWriter::create(&directory, "capture", self.format)
            .map_err(|error| refuse_git_write(&error))
    }

    /// Stores a blob from memory.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub fn bytes(&self, content: &[u8]) -> Result<Stored> {
        let id = hash_object(self.format, ObjectKind::Blob, content).ok_or_else(collision)?;
        let stored = Stored {
            id,
            form: Form::Whole,
            bytes: content.len() as u64,
            blake3: Digest::of(content),
        };
        if !self.contains(&id) {
            self.write(id, ObjectKind::Blob, content)?;
            self.note(stored)?;
        }
        Ok(stored)
    }

    /// Stores text that may be long, in pieces if `profile` says so.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub fn text(&self, content: &[u8], profile: Profile) -> Result<Stored> {
        if content.len() as u64 <= profile.whole_up_to_bytes {
            return self.bytes(content);
        }
        match self.pieces(content, content.len() as u64, profile) {
            Ok(stored) => Ok(stored),
            Err(StoreError::Vault(refusal)) => Err(refusal),
            Err(StoreError::Source(_) | StoreError::Changed) => Err(Refusal::new(
                RefusalCode::Internal,
                "a text in memory could not be read",
            )),
        }
    }

    /// Stores an open file of `expected_bytes` bytes. One that is large is hashed first if it `may_be_known`: it may be part of the
    /// history.
    ///
    /// # Errors
    /// When it cannot be read, has another size, or the vault cannot be written.
    pub fn file(
        &self,
        file: &mut File,
        expected_bytes: u64,
        profile: Profile,
        may_be_known: bool,
    ) -> std::result::Result<Stored, StoreError> {
        if expected_bytes <= profile.whole_up_to_bytes {
            let capacity = usize::try_from(expected_bytes).unwrap_or_default();
            let mut content = Vec::with_capacity(capacity + 1);
            file.take(expected_bytes + 1).read_to_end(&mut content)?;
            if content.len() as u64 != expected_bytes {
                return Err(StoreError::Changed);
            }
            return Ok(self.bytes(&content)?);
        }
        let whole = if may_be_known {
            let whole = self.hash_only(file, expected_bytes)?;
            if self.known.contains(&whole.id) {
                return Ok(whole);
            }
            file.rewind()?;
            Some(whole)
        } else {
            None
        };
        let stored = self.pieces(file, expected_bytes, profile)?;
        let is_same = whole.is_none_or(|whole| whole.blake3 == stored.blake3);
        if stored.bytes == expected_bytes && is_same {
            Ok(stored)
        } else {
            Err(StoreError::Changed)
        }
    }

    /// The id a large file would have as one blob: it may be part of the history.
    fn hash_only(
        &self,
        file: &mut File,
        expected_bytes: u64,
    ) -> std::result::Result<Stored, StoreError> {
        let mut hasher = ObjectHasher::new(self.format, ObjectKind::Blob, expected_bytes);
        let mut blake3 = blake3::Hasher::new();
        let total_bytes = disk::each_piece(file, Path::new("the file"), &mut |piece| {
            hasher.update(piece);
            blake3.update(piece);
            Ok(())
        })
        .map_err(|error| StoreError::Source(error.source))?;
        if total_bytes != expected_bytes {
            return Err(StoreError::Changed);
        }
        let id = hasher.finish().ok_or_else(collision)?;
        Ok(Stored {
            id,
            form: Form::Whole,
            bytes: total_bytes,
            blake3: Digest::finish(&blake3),
        })
    }

    /// Stores a stream as a tree of pieces.
    fn pieces(
        &self,
        source: impl Read,
        source_bytes: u64,
        profile: Profile,
    ) -> std::result::Result<Stored, StoreError> {
        let threads = if source_bytes < WORTH_THREADS_BYTES {
            0
        } else {
            parallel::helpers()
        };
        let mut blake3 = blake3::Hasher::new();
        let entries = Mutex::new(Vec::new());
        let store = |(number, piece): (usize, Vec<u8>)| -> Result<()> {
            let entry = NewEntry {
                mode: MODE_FILE,
                name: chunker::piece_name(number).into_bytes(),
                id: self.object(ObjectKind::Blob, &piece)?,
            };
            entries.lock().map_err(|_poisoned| poisoned())?.push(entry);
            Ok(())
        };
        // Cutting and hashing the whole must be done in order; what takes most of the time need not.
        let bytes = parallel::pipeline(
            threads,
            |hand_over| {
                let mut number = 0..;
                chunker::cut(source, profile, |piece| {
                    blake3.update(&piece);
                    let number = number.next().unwrap_or_default();
                    let goes_on = hand_over((number, piece));
                    goes_on.then_some(()).ok_or(StoreError::Changed)
                })
            },
            |piece| store(piece).map_err(StoreError::Vault),
        )?;
        let entries = entries.into_inner().map_err(|_poisoned| poisoned())?;
        let tree = tree_content(entries);
        let id = hash_object(self.format, ObjectKind::Tree, &tree).ok_or_else(collision)?;
        let stored = Stored {
            id,
            form: Form::Chunked,
            bytes,
            blake3: Digest::finish(&blake3),
        };
        if !self.contains(&id) {
            self.write(id, ObjectKind::Tree, &tree)?;
            self.note(stored)?;
        }
        Ok(stored)
    }

    fn note(&self, stored: Stored) -> Result<()> {
        self.state
            .lock()
            .map_err(|_poisoned| poisoned())?
            .contents
            .push(stored);
        Ok(())
    }

    /// Gives up what was written since the snapshot's last finished pack.
    ///
    /// # Errors
    /// When the unfinished file cannot be removed.
    pub fn discard(self) -> Result<()> {
        let state = self.state.into_inner().map_err(|_poisoned| poisoned())?;
        state
            .pack
            .map_or(Ok(()), PackWriter::discard)
            .map_err(|error| refuse_git_write(&error))
    }

    /// Finishes the pack and makes it durable.
    ///
    /// # Errors
    /// When the vault cannot be written.
    pub fn finish(self) -> Result<Added> {
        let state = self.state.into_inner().map_err(|_poisoned| poisoned())?;
        let pack = state
            .pack
            .map(PackWriter::finish)
            .transpose()
            .map_err(|error| refuse_git_write(&error))?;
        Ok(Added {
            pack,
            contents: state.contents,
        })
    }
}

fn collision() -> Refusal {
    Refusal::new(
        RefusalCode::SourceNotSupported,
        "some content is a SHA-1 collision attack",
    )
    .because("the hash function of this repository cannot name it safely")
}

fn poisoned() -> Refusal {
    Refusal::new(RefusalCode::Internal, "a worker stopped without an answer")
}

/// Turns an error met while writing packs of the vault into a refusal.
#[must_use]
pub fn refuse_git_write(error: &git::error::Error) -> Refusal {
    match error {
        git::error::Error::Disk(error) => error.refuse_vault_write(),
        git::error::Error::Damaged { .. }
        | git::error::Error::Missing(_)
        | git::error::Error::Limit(_) => {
            Refusal::new(RefusalCode::VaultWriteFailed, "a pack cannot be written")
                .because(error.to_string())
        }
    }
}

/// Turns an error met while reading packs of the vault into a refusal.
#[must_use]
pub fn refuse_git_read(error: &git::error::Error) -> Refusal {
    match error {
        git::error::Error::Disk(error) => error.refuse_vault_read(),
        git::error::Error::Damaged { path, reason } => Refusal::new(
            RefusalCode::VaultDamaged,
            format!("'{}' is damaged", path.display()),
        )
        .because(reason.clone())
        .about(path),
        git::error::Error::Missing(id) => Refusal::new(
            RefusalCode::VaultFileMissing,
            format!("object {id} is not in the vault"),
        )
        .because("no pack that the log names holds it"),
        git::error::Error::Limit(what) => Refusal::new(
            RefusalCode::VaultUnreadable,
            "an object of the vault cannot be read",
        )
        .because((*what).to_owned()),
    }
}
