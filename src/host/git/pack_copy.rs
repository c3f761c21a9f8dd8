//! Copies chosen entries of one pack into another, compressed as they are: CRC-checked, distances of deltas rewritten.

use super::error::{Error, Result};
use super::pack_reader::{EntryHeader, EntryKind, Pack};
use super::pack_writer::PackWriter;

/// How much is copied at once.
const PIECE_BYTES: usize = 1 << 18;

/// Copies the entries for which `wanted` (by number in the index of `source`) says yes and which `target` does not hold
/// yet; gives how many were copied. When all are wanted, the copy is byte for byte.
///
/// # Errors
/// When the source is damaged or changes, or writing fails; the target must then be given up.
pub fn copy_entries(
    source: &Pack,
    wanted: &dyn Fn(u32) -> bool,
    target: &mut PackWriter,
    progress: &dyn Fn(u64),
) -> Result<u64> {
    let order = source.by_offset();
    let mut copied = 0;
    let mut reader = Sequential {
        source,
        start: 0,
        buffer: Vec::new(),
    };
    for (position, (offset, number)) in order.iter().enumerate() {
        if !wanted(*number) || target.contains(&source.index.id_at(*number)) {
            continue;
        }
        let end = order
            .get(position + 1)
            .map_or(source.end(), |(next, _)| *next);
        if end <= *offset {
            return Err(source.damaged("two entries stand at one place"));
        }
        copy_entry(
            &mut reader,
            &Span {
                offset: *offset,
                end,
                number: *number,
            },
            target,
        )?;
        copied += 1;
        progress(1);
    }
    Ok(copied)
}

/// Where an entry stands in the source.
struct Span {
    offset: u64,
    end: u64,
    number: u32,
}

fn copy_entry(reader: &mut Sequential<'_>, span: &Span, target: &mut PackWriter) -> Result<()> {
    let source = reader.source;
    let id = source.index.id_at(span.number);
    let header = source.parse_header(span.offset, reader.at(span.offset, span.end)?)?;
    let base = base_in_target(source, &header, target)?;
    if base.is_none() && !matches!(header.kind, EntryKind::Whole(_)) {
        // The base stays behind: store the object whole.
        let object = source.read_at_offset(span.offset)?;
        if super::object::hash_object(source.format(), object.kind, &object.content) != Some(id) {
            return Err(source.damaged(format!("object {id} has another content")));
        }
        return target.add(id, object.kind, &object.content);
    }
    let mut crc32 = crc32fast::Hasher::new();
    let body = span.offset + header.header_bytes;
    crc32.update(header_bytes(reader, span, body)?);
    let unchanged = matches!(header.kind, EntryKind::Whole(_))
        || base
            .is_some_and(|base| Some(target.offset() - base) == old_distance(&header, span.offset));
    let mut entry = target.begin(id)?;
    match base.filter(|_| !unchanged) {
        Some(base) => entry.delta_header(base, header.inflated_bytes)?,
        None => entry.write(header_bytes(reader, span, body)?)?,
    }
    let mut position = body;
    while position < span.end {
        let piece = reader.at(position, span.end)?;
        crc32.update(piece);
        entry.write(piece)?;
        position += piece.len() as u64;
    }
    entry.end();
    let stated = source.index.crc32_at(span.number);
    if stated.is_some_and(|stated| stated != crc32.finalize()) {
        return Err(source.damaged(format!(
            "the entry of object {id} has another checksum than its index says"
        )));
    }
    Ok(())
}

/// The bytes of the entry's header.
fn header_bytes<'a>(reader: &'a mut Sequential<'_>, span: &Span, body: u64) -> Result<&'a [u8]> {
    reader.at(span.offset, body)
}

fn old_distance(header: &EntryHeader, offset: u64) -> Option<u64> {
    match header.kind {
        EntryKind::DeltaAt(base) => offset.checked_sub(base),
        EntryKind::Whole(_) | EntryKind::DeltaOf(_) => None,
    }
}

/// Where the base of a delta stands in the target, if it is there.
fn base_in_target(source: &Pack, header: &EntryHeader, target: &PackWriter) -> Result<Option<u64>> {
    match header.kind {
        EntryKind::Whole(_) => Ok(None),
        EntryKind::DeltaOf(id) => Ok(target.offset_of(&id)),
        EntryKind::DeltaAt(offset) => {
            let id = source.id_at_offset(offset)?;
            Ok(target.offset_of(&id))
        }
    }
}

/// Reads the source front to back in large pieces.
struct Sequential<'a> {
    source: &'a Pack,
    start: u64,
    buffer: Vec<u8>,
}

impl Sequential<'_> {
    /// Some bytes from `position`, at least 64 or up to `end`, never past `end`.
    fn at(&mut self, position: u64, end: u64) -> Result<&[u8]> {
        let available = (self.start + self.buffer.len() as u64).saturating_sub(position);
        if position < self.start
            || available < 64.min(end.saturating_sub(position))
            || available == 0
        {
            self.buffer.resize(PIECE_BYTES, 0);
            let filled = self.source.read_some(position, &mut self.buffer)?;
            self.buffer.truncate(filled);
            self.start = position;
        }
        let from = usize::try_from(position - self.start).unwrap_or_default();
        let length = usize::try_from(end.saturating_sub(position)).unwrap_or(usize::MAX);
        let rest = self.buffer.get(from..).unwrap_or_default();
        let piece = rest.get(..length).unwrap_or(rest);
        if piece.is_empty() {
            return Err(Error::damaged(self.source.path(), "an entry is cut off"));
        }
        Ok(piece)
    }
}
