//! Writes a pack and its index, object by object.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use gix::zlib::Compression;
use gix::zlib::stream::deflate;
use gix_pack::data::entry::Header;

use super::error::{Error, Result};
use super::object::{ObjectFormat, ObjectHasher, ObjectId, ObjectKind};
use super::pack_index::{Written, index_bytes};
use super::pack_reader::HEADER_BYTES;
use crate::host::disk::{self, Context};

/// How hard to compress what shrinks (measured: 0.29 of source text at 115 MB/s a core).
const LEVEL: i32 = 3;

/// How much of an object is compressed to see whether it shrinks at all.
const SAMPLE_BYTES: usize = 16 << 10;

/// After so many bytes the system is asked to begin writing them.
const HAND_OVER_BYTES: u64 = 16 << 20;
/// A pack of so many bytes is worth making durable while it is hashed.
const LARGE_BYTES: u64 = 64 << 20;

/// A pack that is being written. Only [`PackWriter::finish`] makes it one.
#[must_use = "a pack that is not finished is not a pack"]
pub struct PackWriter {
    file: BufWriter<File>,
    path: PathBuf,
    format: ObjectFormat,
    offset: u64,
    /// Up to where the system was asked to begin writing.
    handed_over: u64,
    entries: Vec<Written>,
    known: HashMap<ObjectId, u64>,
}

/// A pack whose bytes and index are durable, under its final name but not yet in its final place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FinishedPack {
    /// `pack-` and the checksum, without an ending.
    pub name: String,
    /// The `.pack` file; the `.idx` stands beside it.
    pub path: PathBuf,
    /// How many objects.
    pub objects: u64,
}

impl PackWriter {
    /// Starts a pack in `directory` under a temporary name made from `label`.
    ///
    /// # Errors
    /// When the file cannot be created.
    pub fn create(directory: &Path, label: &str, format: ObjectFormat) -> Result<Self> {
        let path = directory.join(format!("{label}.unfinished"));
        let file = disk::create_new(&path)?;
        let mut file = BufWriter::with_capacity(1 << 18, file);
        let header = gix_pack::data::header::encode(gix_pack::data::Version::V2, 0);
        file.write_all(&header).context("write", &path)?;
        Ok(Self {
            file,
            path,
            format,
            offset: HEADER_BYTES,
            handed_over: 0,
            entries: Vec::new(),
            known: HashMap::new(),
        })
    }

    /// The format of the ids.
    #[must_use]
    pub fn format(&self) -> ObjectFormat {
        self.format
    }

    /// How many objects have been written.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.entries.len() as u64
    }

    /// Whether an object has been written to this pack.
    #[must_use]
    pub fn contains(&self, id: &ObjectId) -> bool {
        self.known.contains_key(id)
    }

    /// The object that was written first.
    #[must_use]
    pub fn first(&self) -> Option<ObjectId> {
        self.entries.first().map(|entry| entry.id)
    }

    /// Where an object's entry stands in this pack.
    #[must_use]
    pub fn offset_of(&self, id: &ObjectId) -> Option<u64> {
        self.known.get(id).copied()
    }

    /// Where the next entry will stand.
    #[must_use]
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Writes an object that is already deflated, unless it is there.
    ///
    /// # Errors
    /// When writing fails.
    pub fn add_deflated(
        &mut self,
        id: ObjectId,
        kind: ObjectKind,
        size_bytes: u64,
        deflated: &[u8],
    ) -> Result<()> {
        if self.contains(&id) {
            return Ok(());
        }
        let mut entry = self.begin(id)?;
        entry.header(whole_header(kind), size_bytes)?;
        entry.write(deflated)?;
        entry.end();
        Ok(())
    }

    /// Writes an object, deflated where that makes it smaller, unless it is there.
    ///
    /// # Errors
    /// When writing fails.
    pub fn add(&mut self, id: ObjectId, kind: ObjectKind, content: &[u8]) -> Result<()> {
        if self.contains(&id) {
            return Ok(());
        }
        self.add_deflated(id, kind, content.len() as u64, &deflate(content))
    }

    /// Writes an object of known size from a stream and checks that it has the id.
    ///
    /// # Errors
    /// When reading or writing fails, or the content is not what the id says; the pack must then be given up.
    pub fn add_stream(
        &mut self,
        id: ObjectId,
        kind: ObjectKind,
        size_bytes: u64,
        source: &mut dyn Read,
        source_path: &Path,
    ) -> Result<()> {
        let mut hasher = ObjectHasher::new(self.format, kind, size_bytes);
        let mut entry = self.begin(id)?;
        entry.header(whole_header(kind), size_bytes)?;
        let path = entry.writer.path.clone();
        let mut deflater = deflate::Write::new(&mut entry, compression());
        let total_bytes = disk::each_piece(source, source_path, &mut |piece| {
            hasher.update(piece);
            deflater.write_all(piece).context("write", &path)
        })?;
        deflater.flush().context("write", &path)?;
        drop(deflater);
        entry.end();
        if total_bytes != size_bytes || hasher.finish() != Some(id) {
            return Err(Error::damaged(
                source_path,
                format!("its content is not that of object {id}"),
            ));
        }
        Ok(())
    }

    /// Starts an entry whose bytes the caller provides.
    ///
    /// # Errors
    /// Never at present; kept fallible because starting may come to write.
    pub fn begin(&mut self, id: ObjectId) -> Result<EntryWriter<'_>> {
        let start = self.offset;
        Ok(EntryWriter {
            writer: self,
            id,
            start,
            crc32: crc32fast::Hasher::new(),
        })
    }

    /// Writes the count and the checksum, gives the pack its name, writes the index, and makes both durable.
    ///
    /// # Errors
    /// When any step fails; an error of fsync is final.
    pub fn finish(self) -> Result<FinishedPack> {
        let Self {
            file,
            path,
            format,
            entries,
            ..
        } = self;
        let mut file = file
            .into_inner()
            .map_err(|error| disk::Error::new("write", &path, error.into_error()))?;
        let count = u32::try_from(entries.len())
            .map_err(|_too_many| Error::Limit("more than 2^32 objects in a pack"))?;
        let header = gix_pack::data::header::encode(gix_pack::data::Version::V2, count);
        file.seek(SeekFrom::Start(0)).context("seek in", &path)?;
        file.write_all(&header).context("write", &path)?;
        let checksum = hash_while_written(&mut file, &path, format)?;
        file.write_all(checksum.as_bytes())
            .context("write", &path)?;
        let name = format!("pack-{checksum}");
        let directory = path.parent().unwrap_or(Path::new("."));
        let final_path = directory.join(format!("{name}.pack"));
        let index = index_bytes(format, entries, &checksum)?;
        let index = disk::Draft::new(&final_path.with_extension("idx"), &index)?;
        disk::make_durable(&mut [index], &[(&file, &path)], &[])?;
        disk::drop_from_cache(&file);
        disk::rename_new(&path, &final_path)?;
        Ok(FinishedPack {
            name,
            path: final_path,
            objects: u64::from(count),
        })
    }

    /// Gives up the pack and removes its unfinished file.
    ///
    /// # Errors
    /// When the file cannot be removed.
    pub fn discard(self) -> Result<()> {
        Ok(std::fs::remove_file(&self.path).context("remove", &self.path)?)
    }
}

/// The checksum over all bytes written so far; leaves the file at its end. The device writes what is left of a large file
/// meanwhile.
fn hash_while_written(file: &mut File, path: &Path, format: ObjectFormat) -> Result<ObjectId> {
    if file.metadata().context("look at", path)?.len() < LARGE_BYTES {
        return hash_from_start(file, path, format);
    }
    let writing = file.try_clone().context("open again", path)?;
    std::thread::scope(|scope| {
        let written = std::thread::Builder::new()
            .spawn_scoped(scope, || writing.sync_data().context("make durable", path));
        let checksum = hash_from_start(file, path, format);
        // Without a thread, all of it is made durable later, as a small file is.
        if let Ok(written) = written {
            written
                .join()
                .unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        }
        checksum
    })
}

/// The checksum over all bytes written so far; leaves the file at its end.
fn hash_from_start(file: &mut File, path: &Path, format: ObjectFormat) -> Result<ObjectId> {
    file.seek(SeekFrom::Start(0)).context("seek in", path)?;
    let mut hasher = gix::hash::hasher(format.gix());
    disk::each_piece(file, path, &mut |piece| {
        hasher.update(piece);
        Ok(())
    })?;
    let id = hasher
        .try_finalize()
        .map_err(|_collision| Error::damaged(path, "SHA-1 collision"))?;
    Ok(id.into())
}

/// One entry that is being written.
#[must_use = "an entry must be ended"]
pub struct EntryWriter<'a> {
    writer: &'a mut PackWriter,
    id: ObjectId,
    start: u64,
    crc32: crc32fast::Hasher,
}

impl EntryWriter<'_> {
    fn header(&mut self, header: Header, size_bytes: u64) -> Result<()> {
        let mut bytes = Vec::with_capacity(48);
        let written = header.write_to(size_bytes, &mut bytes);
        written.context("write", &self.writer.path)?;
        self.write(&bytes)
    }

    /// Writes the header of a delta that stands on the entry at `base_offset`.
    ///
    /// # Errors
    /// When writing fails or the base does not come before.
    pub fn delta_header(&mut self, base_offset: u64, size_bytes: u64) -> Result<()> {
        let distance = self
            .start
            .checked_sub(base_offset)
            .filter(|distance| *distance > 0);
        let base_distance = distance.ok_or(Error::Limit("a delta must come after its base"))?;
        self.header(Header::OfsDelta { base_distance }, size_bytes)
    }

    /// Writes bytes of the entry as they are.
    ///
    /// # Errors
    /// When writing fails.
    pub fn write(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer
            .file
            .write_all(bytes)
            .context("write", &self.writer.path)?;
        self.crc32.update(bytes);
        self.writer.offset += bytes.len() as u64;
        Ok(())
    }

    /// Ends the entry. Now and then the system is asked to begin writing what is there, so that little is left when the pack is made
    /// durable.
    pub fn end(self) {
        let written = self.writer.offset - self.writer.handed_over;
        if written >= HAND_OVER_BYTES {
            disk::begin_writing(self.writer.file.get_ref(), self.writer.handed_over, written);
            self.writer.handed_over = self.writer.offset;
        }
        self.writer.entries.push(Written {
            id: self.id,
            offset: self.start,
            crc32: self.crc32.finalize(),
        });
        self.writer.known.insert(self.id, self.start);
    }
}

impl Write for EntryWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.writer.file.write_all(bytes)?;
        self.crc32.update(bytes);
        self.writer.offset += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn whole_header(kind: ObjectKind) -> Header {
    match kind {
        ObjectKind::Blob => Header::Blob,
        ObjectKind::Tree => Header::Tree,
        ObjectKind::Commit => Header::Commit,
        ObjectKind::Tag => Header::Tag,
    }
}

fn compression() -> Compression {
    Compression::new(LEVEL).unwrap_or_default()
}

/// Deflates `content`; what does not shrink is stored, as tried on its beginning.
#[must_use]
pub fn deflate(content: &[u8]) -> Vec<u8> {
    let sample = content.get(..SAMPLE_BYTES).unwrap_or(content);
    let shrinks = content.len() <= SAMPLE_BYTES || {
        let deflated = deflate_at(sample, compression());
        deflated.len() < sample.len() - sample.len() / 32
    };
    let deflated = deflate_at(
        content,
        if shrinks {
            compression()
        } else {
            Compression::NONE
        },
    );
    if deflated.len() > content.len() + content.len() / 1000 + 64 {
        return deflate_at(content, Compression::NONE);
    }
    deflated
}

fn deflate_at(content: &[u8], compression: Compression) -> Vec<u8> {
    let mut deflater = deflate::Write::new(Vec::with_capacity(content.len() / 2 + 64), compression);
    // Writing to a Vec cannot fail; were it to, the read-back would find the entry damaged.
    drop(deflater.write_all(content).and_then(|()| deflater.flush()));
    deflater.into_inner()
}
