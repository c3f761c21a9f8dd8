//! One table of git's reftable format: its blocks in their order, and the records in them (`reftable.adoc` of git's technical
//! documentation; versions 1 and 2).
//!
//! What matters for refs and reflogs is read in full. Of blocks that only speed up a search, the frame is checked.

use std::borrow::Cow;

use gix::zlib::{Decompress, FlushDecompress, Status};

use super::object::{ObjectFormat, ObjectId};

const MAGIC: &[u8] = b"REFT";
const VERSION_1: u8 = 1;
const VERSION_2: u8 = 2;
/// Length of the header of version 1 in bytes; that of version 2 also names the object format.
const HEADER_BYTES: usize = 24;
const FORMAT_BYTES: usize = 4;
/// What a footer has beside a copy of the header: five positions and a checksum.
const FOOTER_BYTES: usize = 44;
const CHECKSUM_BYTES: usize = 4;
/// Type and length, at the beginning of a block.
const BLOCK_HEADER_BYTES: usize = 4;
const RESTART_BYTES: usize = 3;
/// What follows the name in the key of a log record: a zero byte and the update index.
const LOG_KEY_TAIL_BYTES: usize = 9;
/// Longest name of a ref or of its target. Git writes none that does not fit into a block, which has 4 KiB.
const NAME_LIMIT_BYTES: usize = 1 << 16;

/// What is wrong with a table.
pub(super) type Fault = &'static str;

/// The order of blocks was left.
const NOT_IN_ORDER: Fault = "its blocks are not in order";

/// What types of blocks may stand before those of logs: refs, abbreviated ids, each with an index.
const BEFORE_LOGS: [&[u8]; 6] = [b"r", b"ri", b"ro", b"rio", b"roi", b"rioi"];

type Result<T> = std::result::Result<T, Fault>;

/// How many bytes of inflated blocks and of names a stack of tables may still make: a small file could promise any number.
pub(super) struct Budget(pub(super) u64);

impl Budget {
    fn take(&mut self, bytes: usize) -> Result<()> {
        self.0 = self
            .0
            .checked_sub(bytes as u64)
            .ok_or("it makes more than this version reads")?;
        Ok(())
    }
}

/// What is looked for in a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    /// Refs, by name.
    Refs,
    /// Entries of reflogs, by name and then the newest first.
    Logs,
}

impl Section {
    fn block_type(self) -> u8 {
        match self {
            Self::Refs => b'r',
            Self::Logs => b'g',
        }
    }
}

/// What a record says of its key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Record {
    /// What older tables say of it does not hold any more.
    Deleted,
    /// A ref that holds an id.
    Id(ObjectId),
    /// A ref that names another one.
    Symbolic(Vec<u8>),
    /// An entry of a reflog: from which id to which.
    Change(ObjectId, ObjectId),
}

/// A table whose header and footer were checked.
#[derive(Debug, Clone, Copy)]
pub(super) struct Table<'a> {
    bytes: &'a [u8],
    /// Where the footer begins.
    end: usize,
    header_bytes: usize,
    /// To multiples of this, blocks other than those of logs may be padded; 0 if they are not.
    block_bytes: usize,
    /// The format of the ids in it.
    pub(super) format: ObjectFormat,
    /// Where the footer says that logs begin; 0 if there are none, or nothing else.
    log_position: u64,
}

impl<'a> Table<'a> {
    pub(super) fn open(bytes: &'a [u8]) -> Result<Self> {
        let start = bytes.get(..5).ok_or("it is too short")?;
        if !start.starts_with(MAGIC) {
            return Err("it does not begin as a table does");
        }
        let header_bytes = match start.last() {
            Some(&VERSION_1) => HEADER_BYTES,
            Some(&VERSION_2) => HEADER_BYTES + FORMAT_BYTES,
            _ => return Err("its version is not known"),
        };
        let footer_bytes = header_bytes + FOOTER_BYTES;
        let end = bytes.len().checked_sub(footer_bytes);
        let end = end
            .filter(|end| *end >= header_bytes)
            .ok_or("it is too short")?;
        let header = slice(bytes, 0, header_bytes)?;
        let footer = slice(bytes, end, footer_bytes)?;
        if !footer.starts_with(header) {
            return Err("its end does not repeat its beginning");
        }
        let (stated, checksum) = footer.split_at(footer_bytes - CHECKSUM_BYTES);
        if u64::from(crc32fast::hash(stated)) != number(checksum) {
            return Err("the checksum at its end is wrong");
        }
        let format = match header.get(HEADER_BYTES..) {
            Some([] | b"sha1") => ObjectFormat::Sha1,
            Some(b"s256") => ObjectFormat::Sha256,
            _ => return Err("its object format is not known"),
        };
        Ok(Self {
            bytes,
            end,
            header_bytes,
            block_bytes: to_usize(number(slice(header, 5, 3)?))?,
            format,
            log_position: number(slice(footer, header_bytes + 24, 8)?),
        })
    }

    /// The block at `position`, with the file's header in front if it is the first.
    fn block(&self, position: usize, budget: &mut Budget) -> Result<Block<'a>> {
        // Lengths and offsets in the first block count from the beginning of the file.
        let start = if position == self.header_bytes {
            0
        } else {
            position
        };
        let body = position + BLOCK_HEADER_BYTES;
        let head = slice(self.bytes, position, BLOCK_HEADER_BYTES)?;
        let (kind, length) = head.split_first().ok_or("it is too short")?;
        let length = to_usize(number(length))?;
        let first = body - start;
        if body > self.end || length < first + RESTART_BYTES + 2 {
            return Err("the length of a block is wrong");
        }
        let (content, next) = match kind {
            b'r' | b'i' | b'o' => {
                let end = start + length;
                if end > self.end {
                    return Err("a block does not end before the file");
                }
                let content = slice(self.bytes, start, length)?;
                (Cow::Borrowed(content), self.after_padding(start, end)?)
            }
            b'g' => {
                budget.take(length)?;
                let deflated = slice(self.bytes, body, self.end - body)?;
                let (content, consumed) = inflate(deflated, first, length)?;
                (Cow::Owned(content), body + consumed)
            }
            _ => return Err("the type of a block is not known"),
        };
        Block::new(content, first, next)
    }

    /// Where the next block begins: after zero bytes up to a multiple of the block size, or at once.
    fn after_padding(&self, start: usize, end: usize) -> Result<usize> {
        if end == self.end || self.block_bytes == 0 || self.bytes.get(end) != Some(&0) {
            return Ok(end);
        }
        let blocks = (end - start).div_ceil(self.block_bytes);
        let next = (start + blocks * self.block_bytes).min(self.end);
        let is_padding = |padding: &[u8]| padding.iter().all(|byte| *byte == 0);
        if slice(self.bytes, end, next - end).is_ok_and(is_padding) {
            Ok(next)
        } else {
            Err("there is something between two blocks")
        }
    }

    fn type_at(&self, position: usize) -> Option<u8> {
        let body = self.bytes.get(..self.end)?;
        body.get(position).copied()
    }

    /// Where the first block of logs begins, or the footer: found by going through all that comes before it, and as stated.
    fn logs_begin(&self) -> Result<usize> {
        // None of the blocks before is deflated, so that nothing is spent.
        let mut budget = Budget(0);
        let mut position = self.header_bytes;
        let mut types = Vec::new();
        while let Some(kind) = self.type_at(position).filter(|kind| *kind != b'g') {
            if types.last() != Some(&kind) {
                types.push(kind);
            }
            if !BEFORE_LOGS.contains(&&*types) {
                return Err(NOT_IN_ORDER);
            }
            position = self.block(position, &mut budget)?.next;
        }
        let is_as_stated = match self.log_position {
            // A table of nothing but logs need not say where they begin.
            0 => position == self.end || position == self.header_bytes,
            stated => stated == position as u64 && position < self.end,
        };
        if is_as_stated {
            Ok(position)
        } else {
            Err("its logs do not begin where its end says")
        }
    }
}

/// A block of records, inflated if it was deflated.
struct Block<'a> {
    /// From the place on from which its offsets count.
    content: Cow<'a, [u8]>,
    /// Where the first record begins.
    first: usize,
    /// Where the next record begins.
    at: usize,
    /// Where the records end, and the list of restarts begins.
    records_end: usize,
    /// How many restarts there are, and how many were met.
    restarts: usize,
    met: usize,
    /// Where the next block begins in the file.
    next: usize,
}

impl<'a> Block<'a> {
    fn new(content: Cow<'a, [u8]>, first: usize, next: usize) -> Result<Self> {
        let count_at = content.len().saturating_sub(2);
        let restarts = to_usize(number(slice(&content, count_at, 2)?))?;
        let records_end = count_at.checked_sub(restarts * RESTART_BYTES);
        let records_end = records_end.filter(|end| restarts > 0 && *end > first);
        Ok(Self {
            content,
            first,
            at: first,
            records_end: records_end.ok_or("the list at the end of a block is wrong")?,
            restarts,
            met: 0,
            next,
        })
    }

    fn is_at_end(&self) -> bool {
        self.at == self.records_end
    }

    /// Every restart is the beginning of a record that stands for itself, in their order.
    fn note_restart(&mut self, at: usize, prefix_bytes: usize) -> Result<()> {
        let wrong = "the list at the end of a block is wrong";
        if self.met == self.restarts {
            return Ok(());
        }
        let place = self.records_end + self.met * RESTART_BYTES;
        let restart = to_usize(number(slice(&self.content, place, RESTART_BYTES)?))?;
        if restart < at || (restart == at && prefix_bytes != 0) {
            return Err(wrong);
        }
        if restart == at {
            self.met += 1;
        }
        if self.is_at_end() && self.met != self.restarts {
            return Err(wrong);
        }
        Ok(())
    }
}

/// Reads the records of one section of a table in the order of their keys.
pub(super) struct Reader<'a> {
    table: Table<'a>,
    section: Section,
    block: Option<Block<'a>>,
    /// Where the block after that begins.
    position: usize,
    key: Vec<u8>,
    /// Whether a key was read.
    is_begun: bool,
}

impl<'a> Reader<'a> {
    pub(super) fn new(table: Table<'a>, section: Section) -> Result<Self> {
        let position = match section {
            Section::Refs => table.header_bytes,
            Section::Logs => table.logs_begin()?,
        };
        Ok(Self {
            table,
            section,
            block: None,
            position,
            key: Vec::new(),
            is_begun: false,
        })
    }

    /// The next record and its key; `None` after the last one.
    pub(super) fn next(&mut self, budget: &mut Budget) -> Result<Option<(Vec<u8>, Record)>> {
        if self.block.as_ref().is_none_or(Block::is_at_end) {
            self.block = self.next_block(budget)?;
        }
        let Some(block) = &mut self.block else {
            return Ok(None);
        };
        let at = block.at;
        let mut fields = Fields {
            bytes: slice(&block.content, at, block.records_end - at)?,
        };
        let prefix_bytes = to_usize(fields.varint()?)?;
        let suffix_and_kind = fields.varint()?;
        let suffix = fields.bytes(to_usize(suffix_and_kind >> 3)?)?;
        let before = self.key.get(prefix_bytes..);
        let before = before.filter(|_| at != block.first || prefix_bytes == 0);
        let before = before.ok_or("the name of a record is wrong")?;
        if self.is_begun && before >= suffix {
            return Err("its records are not in order");
        }
        if prefix_bytes + suffix.len() > NAME_LIMIT_BYTES {
            return Err("the name of a record is too long");
        }
        if prefix_bytes + suffix.len() == 0 {
            return Err("the name of a record is wrong");
        }
        self.is_begun = true;
        self.key.truncate(prefix_bytes);
        self.key.extend_from_slice(suffix);
        budget.take(self.key.len())?;
        let read = match self.section {
            Section::Refs => ref_record,
            Section::Logs => log_record,
        };
        let record = read(&mut fields, suffix_and_kind & 7, self.table.format)?;
        let rest_bytes = fields.bytes.len();
        block.at = block.records_end - rest_bytes;
        block.note_restart(at, prefix_bytes)?;
        Ok(Some((self.key.clone(), record)))
    }

    /// The next block of the section. After its last one, what follows is checked to be what may follow it.
    fn next_block(&mut self, budget: &mut Budget) -> Result<Option<Block<'a>>> {
        if self.table.type_at(self.position) == Some(self.section.block_type()) {
            let block = self.table.block(self.position, budget)?;
            self.position = block.next;
            return Ok(Some(block));
        }
        while self.section == Section::Logs && self.position < self.table.end {
            if self.table.type_at(self.position) != Some(b'i') {
                return Err(NOT_IN_ORDER);
            }
            self.position = self.table.block(self.position, budget)?.next;
        }
        Ok(None)
    }
}

fn ref_record(fields: &mut Fields<'_>, kind: u64, format: ObjectFormat) -> Result<Record> {
    let _update_index = fields.varint()?;
    match kind {
        0 => Ok(Record::Deleted),
        1 => Ok(Record::Id(fields.id(format)?)),
        2 => {
            let id = fields.id(format)?;
            let _peeled = fields.id(format)?;
            Ok(Record::Id(id))
        }
        3 => Ok(Record::Symbolic(fields.text()?.to_vec())),
        _ => Err("the type of a ref is not known"),
    }
}

fn log_record(fields: &mut Fields<'_>, kind: u64, format: ObjectFormat) -> Result<Record> {
    match kind {
        0 => Ok(Record::Deleted),
        1 => {
            let (old, new) = (fields.id(format)?, fields.id(format)?);
            let _name = fields.text()?;
            let _email = fields.text()?;
            let _seconds = fields.varint()?;
            let _zone = fields.bytes(2)?;
            let _message = fields.text()?;
            Ok(Record::Change(old, new))
        }
        _ => Err("the type of an entry of a reflog is not known"),
    }
}

/// The ref that the key of a log record is about.
pub(super) fn log_name(key: &[u8]) -> Option<&[u8]> {
    let name_bytes = key.len().checked_sub(LOG_KEY_TAIL_BYTES)?;
    let (name, tail) = key.split_at(name_bytes);
    (tail.first() == Some(&0) && !name.is_empty()).then_some(name)
}

/// The fields of a record, one after the other.
struct Fields<'a> {
    bytes: &'a [u8],
}

impl<'a> Fields<'a> {
    fn bytes(&mut self, count: usize) -> Result<&'a [u8]> {
        let (found, rest) = self
            .bytes
            .split_at_checked(count)
            .ok_or("a record does not end before its block")?;
        self.bytes = rest;
        Ok(found)
    }

    /// A number as in offsets of deltas.
    fn varint(&mut self) -> Result<u64> {
        let mut value = 0_u64;
        let mut is_first = true;
        loop {
            let byte = self.bytes(1)?.first().copied().unwrap_or_default();
            if !is_first {
                // 57 bits and more would be shifted out.
                value = value
                    .checked_add(1)
                    .filter(|value| *value < 1 << 57)
                    .ok_or("a number in a record is too large")?
                    << 7;
            }
            value |= u64::from(byte & 0x7f);
            is_first = false;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
    }

    fn id(&mut self, format: ObjectFormat) -> Result<ObjectId> {
        ObjectId::from_bytes(self.bytes(format.id_bytes())?).ok_or("an id in a record is wrong")
    }

    fn text(&mut self) -> Result<&'a [u8]> {
        let count = to_usize(self.varint()?)?;
        self.bytes(count)
    }
}

/// Inflates to `length` bytes less `before`, which are left zero; says how much of `deflated` that took.
fn inflate(deflated: &[u8], before: usize, length: usize) -> Result<(Vec<u8>, usize)> {
    const WRONG: Fault = "a block cannot be inflated";
    // One byte more than there should be shows a stream that does not end.
    let mut content = vec![0; length + 1];
    let mut inflater = Decompress::new();
    loop {
        let consumed = to_usize(inflater.total_in())?;
        let produced = to_usize(inflater.total_out())?;
        let input = deflated.get(consumed..).ok_or(WRONG)?;
        let output = content.get_mut(before + produced..).ok_or(WRONG)?;
        let status = inflater.decompress(input, output, FlushDecompress::None);
        let has_moved =
            (inflater.total_in(), inflater.total_out()) != (consumed as u64, produced as u64);
        match status {
            Ok(Status::StreamEnd) => break,
            Ok(Status::Ok | Status::BufError) if has_moved => {}
            _ => return Err(WRONG),
        }
    }
    if inflater.total_out() != (length - before) as u64 {
        return Err("a block inflates to another length than it says");
    }
    content.truncate(length);
    Ok((content, to_usize(inflater.total_in())?))
}

fn slice(bytes: &[u8], start: usize, count: usize) -> Result<&[u8]> {
    let end = start.checked_add(count);
    end.and_then(|end| bytes.get(start..end))
        .ok_or("it is too short")
}

/// A number in network byte order, of at most eight bytes.
fn number(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0, |value, byte| (value << 8) | u64::from(*byte))
}

fn to_usize(value: u64) -> Result<usize> {
    usize::try_from(value).map_err(|_too_large| "a number in it is too large")
}
