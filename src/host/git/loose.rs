//! Loose objects: listed by name, read as streams, re-hashed always (nobody else hashes them on reading).

use std::ffi::OsString;
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gix::zlib::{Decompress, FlushDecompress, Status};

use super::error::{Error, Result};
use super::object::{ObjectFormat, ObjectId, ObjectKind, hash_object};
use super::pack_reader::Object;
use crate::host::disk;

/// The directories of loose objects in an objects directory: `00` to `ff`, those that are there.
///
/// # Errors
/// When it cannot be listed.
pub fn fans(objects: &Path) -> Result<Vec<PathBuf>> {
    let names = match disk::list(objects) {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        names => names?,
    };
    let is_digit = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    let is_fan = |name: &&OsString| name.len() == 2 && name.as_bytes().iter().all(is_digit);
    let fans = names.iter().filter(is_fan);
    Ok(fans.map(|name| objects.join(name)).collect())
}

/// The ids of the loose objects in one of those directories, by their file names; none when it is not there.
///
/// # Errors
/// When it cannot be listed.
pub fn list(fan: &Path, format: ObjectFormat) -> Result<Vec<ObjectId>> {
    let names = match disk::list(fan) {
        Err(error) if error.is_not_found() => return Ok(Vec::new()),
        names => names?,
    };
    let start = fan.file_name().map(OsStrExt::as_bytes).unwrap_or_default();
    let ids = names.iter().filter_map(|name| {
        ObjectId::from_hex(&[start, name.as_bytes()].concat())
            .filter(|id| id.as_bytes().len() == format.id_bytes())
    });
    Ok(ids.collect())
}

/// The path of a loose object.
#[must_use]
pub fn path_of(objects: &Path, id: &ObjectId) -> PathBuf {
    let digits = id.to_string();
    let (first, rest) = digits.split_at_checked(2).unwrap_or(("", &digits));
    objects.join(first).join(rest)
}

/// A loose object whose header has been read.
pub struct LooseObject {
    /// Its kind, as its header says.
    pub kind: ObjectKind,
    /// Its size, as its header says.
    pub bytes: u64,
    path: PathBuf,
    inflater: ReadInflated,
}

/// Opens a loose object and reads its header.
///
/// # Errors
/// [`Error::Disk`] with "not found" when it is not there; [`Error::Damaged`] when it is not an object.
pub fn open(objects: &Path, id: &ObjectId) -> Result<LooseObject> {
    let path = path_of(objects, id);
    let file = disk::open_regular(&path)?;
    let mut inflater = ReadInflated::new(file);
    let mut header = Vec::new();
    loop {
        let mut byte = [0];
        let count = inflater
            .read(&mut byte)
            .map_err(|error| Error::damaged(&path, error.to_string()))?;
        match byte.first().copied().filter(|_| count == 1) {
            Some(0) => break,
            Some(byte) if header.len() < 32 => header.push(byte),
            Some(_) | None => return Err(Error::damaged(&path, "it has no object header")),
        }
    }
    let parsed = header.split(|byte| *byte == b' ').collect::<Vec<_>>();
    let (kind, size) = match parsed.as_slice() {
        [kind, size] => (
            ObjectKind::parse(kind),
            std::str::from_utf8(size)
                .ok()
                .and_then(|size| size.parse().ok()),
        ),
        _ => (None, None),
    };
    match (kind, size) {
        (Some(kind), Some(bytes)) => Ok(LooseObject {
            kind,
            bytes,
            path,
            inflater,
        }),
        _ => Err(Error::damaged(&path, "its object header makes no sense")),
    }
}

impl LooseObject {
    /// The path of its file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its content as a stream, whose hash the reader must check.
    pub fn reader(&mut self) -> &mut dyn Read {
        &mut self.inflater
    }

    /// Reads it whole and checks that it has the id.
    ///
    /// # Errors
    /// When it cannot be read or has another content.
    pub fn read(mut self, format: ObjectFormat, id: &ObjectId) -> Result<Object> {
        let mut content = Vec::new();
        let limit = self.bytes.saturating_add(1);
        let read = (&mut self.inflater).take(limit).read_to_end(&mut content);
        read.map_err(|error| Error::damaged(&self.path, error.to_string()))?;
        if content.len() as u64 != self.bytes
            || hash_object(format, self.kind, &content) != Some(*id)
        {
            return Err(Error::damaged(
                &self.path,
                format!("its content is not that of object {id}"),
            ));
        }
        Ok(Object {
            kind: self.kind,
            content,
        })
    }
}

/// Inflates a file while it is read.
struct ReadInflated {
    source: BufReader<File>,
    inflater: Decompress,
    ended: bool,
}

impl ReadInflated {
    fn new(file: File) -> Self {
        Self {
            source: BufReader::with_capacity(1 << 16, file),
            inflater: Decompress::new(),
            ended: false,
        }
    }
}

impl Read for ReadInflated {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.ended || buffer.is_empty() {
            return Ok(0);
        }
        loop {
            let input = self.source.fill_buf()?;
            let at_end = input.is_empty();
            let (before_in, before_out) = (self.inflater.total_in(), self.inflater.total_out());
            let status = self
                .inflater
                .decompress(input, buffer, FlushDecompress::None);
            let status =
                status.map_err(|_invalid| std::io::Error::other("it cannot be inflated"))?;
            let consumed =
                usize::try_from(self.inflater.total_in() - before_in).unwrap_or_default();
            let produced =
                usize::try_from(self.inflater.total_out() - before_out).unwrap_or_default();
            self.source.consume(consumed);
            if status == Status::StreamEnd {
                self.ended = true;
                return Ok(produced);
            }
            if produced > 0 {
                return Ok(produced);
            }
            if at_end {
                return Err(std::io::Error::other("it is cut off"));
            }
        }
    }
}
