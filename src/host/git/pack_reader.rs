//! Reads objects out of a pack by plain reads at offsets (a mapped file would turn an I/O error into a signal).

use std::cell::RefCell;
use std::fs::File;
use std::io::Write;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use gix::zlib::{Decompress, FlushDecompress, Status};
use gix_pack::data::entry::Header;

use super::error::{Error, Result};
use super::object::{ObjectFormat, ObjectHasher, ObjectId, ObjectKind};
use super::pack_index::PackIndex;
use crate::host::disk::{self, Context};
use crate::model::ids::Digest;

/// Bytes of the header of a pack file: `PACK`, version, count.
pub const HEADER_BYTES: u64 = 12;

/// The most links a chain of deltas may have; git itself makes at most 4095.
const LONGEST_CHAIN: usize = 10_000;

/// The most that deflate can shrink anything, with room to spare; a header that promises more is a lie.
const LARGEST_RATIO: u64 = 1100;

/// The largest result of a delta. Git stores files over 512 MiB whole (`core.bigFileThreshold`), so this is enough; more
/// would let a few bytes claim all memory.
const LARGEST_DELTA_RESULT: usize = 1 << 30;

/// How many bytes are read first where an entry's length is not known: most entries are shorter.
const READ_AHEAD_BYTES: usize = 4 << 10;

/// How many bytes are read at once after that, at most.
const READ_ON_BYTES: usize = 256 << 10;

/// Whole objects up to this size are copied in one piece.
const COPY_WHOLE_UP_TO_BYTES: u64 = 1 << 20;

thread_local! {
    /// The tables of an inflater are large, and most objects are small.
    static INFLATER: RefCell<Inflater> = RefCell::new(Inflater::new());
}

/// A pack and its index, open for reading.
pub struct Pack {
    /// The index.
    pub index: PackIndex,
    file: File,
    path: PathBuf,
    bytes: u64,
    format: ObjectFormat,
    by_offset: OnceLock<Vec<(u64, u32)>>,
}

/// How an entry says what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EntryKind {
    /// A whole object.
    Whole(ObjectKind),
    /// Changes to the object whose entry stands at this offset.
    DeltaAt(u64),
    /// Changes to this object, which is in the same pack.
    DeltaOf(ObjectId),
}

/// The header of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct EntryHeader {
    /// What it holds.
    pub kind: EntryKind,
    /// Size of the content (of a delta: of its instructions) when inflated.
    pub inflated_bytes: u64,
    /// Size of this header.
    pub header_bytes: u64,
}

/// The content of an object.
pub struct Object {
    /// Its kind.
    pub kind: ObjectKind,
    /// Its content.
    pub content: Vec<u8>,
}

impl Pack {
    /// Opens the pack at `path` with the index beside it.
    ///
    /// # Errors
    /// When either cannot be read, or they do not belong together.
    pub fn open(path: &Path, format: ObjectFormat) -> Result<Self> {
        Self::open_with(path, format, None)
    }

    /// Opens a pack as [`Pack::open`] does; its index must have the BLAKE3 given.
    ///
    /// # Errors
    /// As [`Pack::open`], and when the index has another BLAKE3.
    pub fn open_with(
        path: &Path,
        format: ObjectFormat,
        index_blake3: Option<Digest>,
    ) -> Result<Self> {
        let index = PackIndex::open(&path.with_extension("idx"), format, index_blake3)?;
        let file = disk::open_regular(path)?;
        let bytes = file.metadata().context("look at", path)?.len();
        let pack = Self {
            index,
            file,
            path: path.to_owned(),
            bytes,
            format,
            by_offset: OnceLock::new(),
        };
        let mut header = [0; 12];
        pack.read_exactly(0, &mut header)?;
        let header = gix_pack::data::header::decode(&header);
        let (_version, count) = header.map_err(|error| Error::damaged(path, error.to_string()))?;
        if count != pack.index.count() {
            return Err(Error::damaged(
                path,
                format!("holds {count} objects, its index {}", pack.index.count()),
            ));
        }
        let mut trailer = vec![0; format.id_bytes()];
        pack.read_exactly(pack.end(), &mut trailer)?;
        if trailer != pack.index.pack_checksum().as_bytes() {
            return Err(Error::damaged(path, "does not belong to its index"));
        }
        Ok(pack)
    }

    /// The path of the pack file.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Size of the pack file.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    /// The format of the ids.
    #[must_use]
    pub fn format(&self) -> ObjectFormat {
        self.format
    }

    /// Where the entries end and the checksum begins.
    #[must_use]
    pub fn end(&self) -> u64 {
        self.bytes.saturating_sub(self.format.id_bytes() as u64)
    }

    /// Says that this pack is damaged.
    #[must_use]
    pub fn damaged(&self, reason: impl Into<String>) -> Error {
        Error::damaged(&self.path, reason)
    }

    /// Fills `buffer` from `offset`.
    ///
    /// # Errors
    /// When the file is shorter or cannot be read.
    pub fn read_exactly(&self, offset: u64, buffer: &mut [u8]) -> Result<()> {
        match self.file.read_exact_at(buffer, offset) {
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => {
                Err(self.damaged("it is shorter than its index says"))
            }
            read => Ok(read.context("read", &self.path)?),
        }
    }

    /// Reads up to `buffer.len()` bytes of entries from `offset`; gives how many.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn read_some(&self, offset: u64, buffer: &mut [u8]) -> Result<usize> {
        let left = usize::try_from(self.end().saturating_sub(offset)).unwrap_or(usize::MAX);
        let wanted = buffer.len().min(left);
        let mut filled = 0;
        while let Some(rest) = buffer
            .get_mut(filled..wanted)
            .filter(|rest| !rest.is_empty())
        {
            let count = self
                .file
                .read_at(rest, offset + filled as u64)
                .context("read", &self.path)?;
            if count == 0 {
                return Err(self.damaged("shorter than it was"));
            }
            filled += count;
        }
        Ok(filled)
    }

    /// Reads the header of the entry that starts at `offset` from its first bytes.
    ///
    /// # Errors
    /// When it makes no sense.
    pub fn parse_header(&self, offset: u64, bytes: &[u8]) -> Result<EntryHeader> {
        // The parser of gix indexes past the end of truncated input, so it is given enough, padded with zeros.
        let mut padded = [0; 64];
        let length = bytes.len().min(64);
        if let (Some(place), Some(source)) = (padded.get_mut(..length), bytes.get(..length)) {
            place.copy_from_slice(source);
        }
        let entry = gix_pack::data::Entry::from_bytes(&padded, offset, self.format.gix())
            .map_err(|error| self.damaged(format!("entry at {offset}: {error}")))?;
        let header_bytes = entry.data_offset.saturating_sub(offset);
        if header_bytes > length as u64 {
            return Err(self.damaged(format!("entry at {offset} is cut off")));
        }
        let kind = match entry.header {
            Header::Blob => EntryKind::Whole(ObjectKind::Blob),
            Header::Tree => EntryKind::Whole(ObjectKind::Tree),
            Header::Commit => EntryKind::Whole(ObjectKind::Commit),
            Header::Tag => EntryKind::Whole(ObjectKind::Tag),
            Header::RefDelta { base_id } => EntryKind::DeltaOf(base_id.into()),
            Header::OfsDelta { base_distance } => {
                let base = offset
                    .checked_sub(base_distance)
                    .filter(|base| *base >= HEADER_BYTES && base_distance > 0);
                EntryKind::DeltaAt(
                    base.ok_or_else(|| self.damaged(format!("entry at {offset} has no base")))?,
                )
            }
        };
        Ok(EntryHeader {
            kind,
            inflated_bytes: entry.decompressed_size,
            header_bytes,
        })
    }

    /// The numbers of all objects in the order of their offsets.
    pub fn by_offset(&self) -> &[(u64, u32)] {
        self.by_offset
            .get_or_init(|| self.index.numbers_by_offset())
    }

    /// The object whose entry stands at `offset`.
    ///
    /// # Errors
    /// When none does.
    pub fn id_at_offset(&self, offset: u64) -> Result<ObjectId> {
        let order = self.by_offset();
        let found = order
            .binary_search_by_key(&offset, |(offset, _)| *offset)
            .ok()
            .and_then(|place| order.get(place));
        let (_, number) =
            found.ok_or_else(|| self.damaged(format!("no entry stands at {offset}")))?;
        Ok(self.index.id_at(*number))
    }

    /// Where the base of a delta stands; `None` for a whole object.
    ///
    /// # Errors
    /// When the base is not in this pack.
    pub fn base_offset(&self, header: &EntryHeader) -> Result<Option<u64>> {
        match header.kind {
            EntryKind::Whole(_) => Ok(None),
            EntryKind::DeltaAt(offset) => Ok(Some(offset)),
            EntryKind::DeltaOf(id) => match self.index.offset_of(&id) {
                Some(offset) => Ok(Some(offset)),
                None => Err(self.damaged(format!("the base {id} of a delta is not in the pack"))),
            },
        }
    }

    /// Reads one object whole.
    ///
    /// # Errors
    /// When it is not in this pack, or the pack is damaged.
    pub fn read(&self, id: &ObjectId) -> Result<Object> {
        self.read_at_offset(self.index.offset_of(id).ok_or(Error::Missing(*id))?)
    }

    /// The kind of an object, by the headers of its entry and of those it is a delta of; its content is not read.
    ///
    /// # Errors
    /// When it is not in this pack, or the pack is damaged.
    pub fn kind(&self, id: &ObjectId) -> Result<ObjectKind> {
        let mut offset = self.index.offset_of(id).ok_or(Error::Missing(*id))?;
        for _ in 0..=LONGEST_CHAIN {
            let mut buffer = [0; 64];
            let filled = self.read_some(offset, &mut buffer)?;
            let header = self.parse_header(offset, buffer.get(..filled).unwrap_or_default())?;
            if let EntryKind::Whole(kind) = header.kind {
                return Ok(kind);
            }
            offset = self.base_offset(&header)?.unwrap_or_default();
        }
        Err(self.damaged("a chain of deltas does not end"))
    }

    /// Reads the object whose entry stands at `offset`, applying deltas.
    ///
    /// # Errors
    /// When the pack is damaged.
    pub fn read_at_offset(&self, offset: u64) -> Result<Object> {
        INFLATER.with_borrow_mut(|inflater| self.read_with(offset, inflater))
    }

    fn read_with(&self, offset: u64, inflater: &mut Inflater) -> Result<Object> {
        let mut deltas: Vec<Vec<u8>> = Vec::new();
        let mut offset = offset;
        loop {
            let (header, content) = self.inflate_entry(offset, inflater)?;
            if let EntryKind::Whole(kind) = header.kind {
                let mut content = content;
                while let Some(delta) = deltas.pop() {
                    content = apply_delta(&content, &delta)
                        .ok_or_else(|| self.damaged("a delta does not fit"))?;
                }
                return Ok(Object { kind, content });
            }
            deltas.push(content);
            if deltas.len() > LONGEST_CHAIN {
                return Err(self.damaged("a chain of deltas does not end"));
            }
            offset = self.base_offset(&header)?.unwrap_or_default();
        }
    }

    /// Reads the entry at `offset`, header and inflated content, whatever its compressed length.
    fn inflate_entry(
        &self,
        offset: u64,
        inflater: &mut Inflater,
    ) -> Result<(EntryHeader, Vec<u8>)> {
        let mut input = vec![0; READ_AHEAD_BYTES];
        let filled = self.read_some(offset, &mut input)?;
        input.truncate(filled);
        let header = self.parse_header(offset, &input)?;
        self.check_promise(offset, &header)?;
        let size = usize::try_from(header.inflated_bytes)
            .map_err(|_too_large| Error::Limit("object size"))?;
        let mut content = Vec::new();
        // One byte more than promised, so that a stream which holds more is noticed.
        content
            .try_reserve_exact(size.saturating_add(1))
            .map_err(|_no_memory| Error::Limit("not enough memory for an object"))?;
        content.resize(size.saturating_add(1), 0);
        let mut position = offset + filled as u64;
        let mut start = usize::try_from(header.header_bytes).unwrap_or_default();
        let mut written = 0;
        inflater.begin();
        loop {
            let rest = content.get_mut(written..).unwrap_or_default();
            let fed = inflater.feed(input.get(start..).unwrap_or_default(), rest);
            let (produced, has_ended) = fed.ok_or_else(|| self.bad_entry(offset))?;
            written += produced;
            if has_ended {
                break;
            }
            // Compressed content is hardly ever longer than the content itself; if it is, there is another turn.
            let expected = size.saturating_sub(written) + READ_AHEAD_BYTES;
            input.resize(expected.min(READ_ON_BYTES), 0);
            let filled = self.read_some(position, &mut input)?;
            if filled == 0 {
                return Err(self.bad_entry(offset));
            }
            input.truncate(filled);
            position += filled as u64;
            start = 0;
        }
        if written != size {
            return Err(self.bad_entry(offset));
        }
        content.truncate(size);
        Ok((header, content))
    }

    fn bad_entry(&self, offset: u64) -> Error {
        self.damaged(format!("the entry at {offset} cannot be inflated"))
    }

    fn check_promise(&self, offset: u64, header: &EntryHeader) -> Result<()> {
        let possible = (self.end().saturating_sub(offset) + 64).saturating_mul(LARGEST_RATIO);
        if header.inflated_bytes > possible {
            return Err(self.damaged(format!(
                "the entry at {offset} promises more than it can hold"
            )));
        }
        Ok(())
    }

    /// Writes the content of an object to `sink` in pieces when it is stored whole, and checks its id on the way;
    /// gives its kind and size.
    ///
    /// # Errors
    /// When it is not in this pack, the pack is damaged, or `sink` fails (named with `sink_path`).
    pub fn copy_object(
        &self,
        id: &ObjectId,
        sink: &mut dyn Write,
        sink_path: &Path,
    ) -> Result<(ObjectKind, u64)> {
        let offset = self.index.offset_of(id).ok_or(Error::Missing(*id))?;
        let mut buffer = vec![0; 64];
        let filled = self.read_some(offset, &mut buffer)?;
        buffer.truncate(filled);
        let header = self.parse_header(offset, &buffer)?;
        if let EntryKind::Whole(kind) = header.kind
            && header.inflated_bytes > COPY_WHOLE_UP_TO_BYTES
        {
            let mut hasher = ObjectHasher::new(self.format, kind, header.inflated_bytes);
            self.stream_entry(offset, &header, None, &mut |piece| {
                hasher.update(piece);
                sink.write_all(piece).context("write", sink_path)
            })?;
            if hasher.finish() != Some(*id) {
                return Err(self.damaged(format!("object {id} has another content")));
            }
            return Ok((kind, header.inflated_bytes));
        }
        let object = self.read_at_offset(offset)?;
        if super::object::hash_object(self.format, object.kind, &object.content) != Some(*id) {
            return Err(self.damaged(format!("object {id} has another content")));
        }
        sink.write_all(&object.content)
            .context("write", sink_path)?;
        Ok((object.kind, object.content.len() as u64))
    }

    /// Inflates the entry at `offset` piece by piece; when `end` is given, the entry must end exactly there.
    ///
    /// # Errors
    /// When the pack is damaged, or what `each` gives.
    pub fn stream_entry(
        &self,
        offset: u64,
        header: &EntryHeader,
        end: Option<u64>,
        each: &mut dyn FnMut(&[u8]) -> disk::Result<()>,
    ) -> Result<()> {
        let mut inflater = Decompress::new();
        let mut input = vec![0; 1 << 17];
        let mut output = vec![0; 1 << 18];
        let mut position = offset + header.header_bytes;
        let mut total_bytes = 0;
        loop {
            let filled = self.read_some(position, &mut input)?;
            let available = input.get(..filled).unwrap_or_default();
            let (before_in, before_out) = (inflater.total_in(), inflater.total_out());
            let status = inflater
                .decompress(available, &mut output, FlushDecompress::None)
                .map_err(|_invalid| self.bad_entry(offset))?;
            let consumed = inflater.total_in() - before_in;
            let produced = usize::try_from(inflater.total_out() - before_out).unwrap_or_default();
            each(output.get(..produced).unwrap_or_default())?;
            position += consumed;
            total_bytes += produced as u64;
            if status == Status::StreamEnd {
                break;
            }
            if (consumed == 0 && produced == 0) || total_bytes > header.inflated_bytes {
                return Err(self.bad_entry(offset));
            }
        }
        if total_bytes != header.inflated_bytes || end.is_some_and(|end| end != position) {
            return Err(self.bad_entry(offset));
        }
        Ok(())
    }
}

/// Inflates entries one after the other, keeping its tables.
pub struct Inflater(Decompress);

impl Inflater {
    /// Makes one.
    #[must_use]
    pub fn new() -> Self {
        Self(Decompress::new())
    }

    fn begin(&mut self) {
        self.0.reset();
    }

    /// Inflates `input` into `output`; says how many bytes came of it and whether the stream ended, `None` when it is damaged or
    /// `output` is too small.
    fn feed(&mut self, input: &[u8], output: &mut [u8]) -> Option<(usize, bool)> {
        let (mut consumed, mut produced) = (0, 0);
        while consumed < input.len() {
            let (before_in, before_out) = (self.0.total_in(), self.0.total_out());
            let (rest, room) = (input.get(consumed..)?, output.get_mut(produced..)?);
            let status = self.0.decompress(rest, room, FlushDecompress::None).ok()?;
            consumed += usize::try_from(self.0.total_in() - before_in).ok()?;
            produced += usize::try_from(self.0.total_out() - before_out).ok()?;
            if status == Status::StreamEnd {
                return Some((produced, true));
            }
            if produced == output.len() || self.0.total_in() == before_in {
                return None;
            }
        }
        Some((produced, false))
    }

    /// Inflates a whole stream that must fill `size` bytes and use up `input`; `None` when it does not.
    #[must_use]
    pub fn whole(&mut self, input: &[u8], size: usize) -> Option<Vec<u8>> {
        self.0.reset();
        let mut content = Vec::new();
        // One byte more than promised, so that a stream which holds more is noticed.
        content.try_reserve_exact(size + 1).ok()?;
        content.resize(size + 1, 0);
        let status = self
            .0
            .decompress(input, &mut content, FlushDecompress::Finish)
            .ok()?;
        let exact = status == Status::StreamEnd
            && self.0.total_out() == size as u64
            && self.0.total_in() == input.len() as u64;
        content.truncate(size);
        exact.then_some(content)
    }
}

impl Default for Inflater {
    fn default() -> Self {
        Self::new()
    }
}

/// Applies delta instructions (gitformat-pack(5)) to `base`; `None` when they do not fit.
#[must_use]
pub fn apply_delta(base: &[u8], delta: &[u8]) -> Option<Vec<u8>> {
    let (base_size, rest) = delta_size(delta)?;
    let (result_size, mut rest) = delta_size(rest)?;
    if base_size != base.len() || result_size > LARGEST_DELTA_RESULT {
        return None;
    }
    let mut result = Vec::new();
    result.try_reserve_exact(result_size).ok()?;
    while let Some((command, tail)) = rest.split_first() {
        rest = tail;
        if command & 0x80 == 0 {
            let (literal, tail) = rest
                .split_at_checked(usize::from(*command))
                .filter(|_| *command != 0)?;
            result.extend_from_slice(literal);
            rest = tail;
        } else {
            let mut fields = [0_usize; 7];
            for (bit, field) in fields.iter_mut().enumerate() {
                if command & (1 << bit) != 0 {
                    let (byte, tail) = rest.split_first()?;
                    *field = usize::from(*byte);
                    rest = tail;
                }
            }
            let [o0, o1, o2, o3, s0, s1, s2] = fields;
            let offset = o0 | o1 << 8 | o2 << 16 | o3 << 24;
            let size = Some(s0 | s1 << 8 | s2 << 16)
                .filter(|size| *size != 0)
                .unwrap_or(0x10000);
            result.extend_from_slice(base.get(offset..offset.checked_add(size)?)?);
        }
        if result.len() > result_size {
            return None;
        }
    }
    (result.len() == result_size).then_some(result)
}

fn delta_size(bytes: &[u8]) -> Option<(usize, &[u8])> {
    let mut size = 0_usize;
    for (position, byte) in bytes.iter().enumerate().take(9) {
        size |= usize::from(byte & 0x7f) << (7 * position);
        if byte & 0x80 == 0 {
            return Some((size, bytes.get(position + 1..)?));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deltas_copy_and_insert_and_never_exceed_what_they_promise() {
        assert_eq!(
            apply_delta(b"abc", b"\x03\x05\x90\x03\x02xy").as_deref(),
            Some(&b"abcxy"[..])
        );
        assert_eq!(
            apply_delta(b"abc", b"\x03\x04\x90\x03\x02xy"),
            None,
            "more than promised"
        );
        assert_eq!(
            apply_delta(b"abc", b"\x03\x06\x90\x03\x02xy"),
            None,
            "less than promised"
        );
        assert_eq!(
            apply_delta(b"abc", b"\x04\x05\x90\x03\x02xy"),
            None,
            "another base"
        );
        assert_eq!(
            apply_delta(b"abc", b"\x03\x05\x90\x04\x01x"),
            None,
            "beyond the base"
        );
        assert_eq!(
            apply_delta(b"abc", b"\x03\x00\x00"),
            None,
            "the reserved command"
        );
    }
}
