//! Decodes every object of a pack in one pass over all cores: ids recomputed, every byte accounted for, every object shown.

use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Mutex;

use super::error::{Error, Result};
use super::object::{ObjectHasher, ObjectId, ObjectKind, hash_object};
use super::pack_reader::{EntryHeader, EntryKind, HEADER_BYTES, Inflater, Pack, apply_delta};
use crate::host::parallel;

/// Objects without deltas that are larger than this are checked in pieces and never held whole.
const STREAM_ABOVE_BYTES: u64 = 32 << 20;

/// How many roots a worker takes at once.
const BATCH: usize = 64;

/// An object as it is shown to the visitor.
pub struct Seen<'a> {
    /// Its id, recomputed.
    pub id: ObjectId,
    /// Its kind.
    pub kind: ObjectKind,
    /// Its content; `None` for a blob too large to hold, whose id was recomputed in pieces.
    pub content: Option<&'a [u8]>,
}

/// Looks at objects; called from several threads, in no particular order.
pub trait Visitor: Sync {
    /// Is shown one object.
    ///
    /// # Errors
    /// What the visitor finds wrong ends the check.
    fn object(&self, object: &Seen<'_>) -> Result<()>;
}

/// One entry of the pack, with those that stand on it.
struct Node {
    offset: u64,
    end: u64,
    number: u32,
    header: EntryHeader,
    children: Vec<u32>,
}

/// Decodes every object of `pack`; gives how many there were.
///
/// # Errors
/// When any byte of the pack is not what its index and ids say, or what the visitor gives.
pub fn check_pack(pack: &Pack, visitor: &dyn Visitor) -> Result<u64> {
    pack.index.check()?;
    let (nodes, roots) = read_structure(pack)?;
    let batches: Vec<&[u32]> = roots.chunks(BATCH).collect();
    parallel::for_each(&batches, |batch| {
        let mut inflater = Inflater::new();
        batch
            .iter()
            .try_for_each(|root| check_family(pack, &nodes, *root, &mut inflater, visitor))
    })?;
    Ok(nodes.len() as u64)
}

/// Reads all headers, in the order of the file, and finds which entries stand on which. Entries must tile the file.
fn read_structure(pack: &Pack) -> Result<(Vec<Node>, Vec<u32>)> {
    let order = pack.index.numbers_by_offset();
    let mut nodes: Vec<Node> = Vec::with_capacity(order.len());
    let mut window = Window::new(pack);
    let mut positions: Vec<u64> = Vec::with_capacity(order.len());
    for (position, (offset, number)) in order.iter().enumerate() {
        let end = order
            .get(position + 1)
            .map_or(pack.end(), |(next, _)| *next);
        // An index can name offsets near the end of all numbers: nothing is added to one that is not in the file.
        let is_inside = *offset >= HEADER_BYTES && *offset < end && end <= pack.end();
        if !is_inside || (position == 0 && *offset != HEADER_BYTES) {
            return Err(pack.damaged("entries do not fill the file"));
        }
        let header = pack.parse_header(*offset, window.at(*offset)?)?;
        nodes.push(Node {
            offset: *offset,
            end,
            number: *number,
            header,
            children: Vec::new(),
        });
        positions.push(*offset);
    }
    if nodes.is_empty() && pack.end() != HEADER_BYTES {
        return Err(pack.damaged("entries do not fill the file"));
    }
    let mut roots = Vec::new();
    for position in 0..nodes.len() {
        let here =
            u32::try_from(position).map_err(|_too_many| Error::Limit("objects in a pack"))?;
        let Some(header) = nodes.get(position).map(|node| node.header) else {
            continue;
        };
        match pack.base_offset(&header)? {
            None => roots.push(here),
            Some(base) => match positions
                .binary_search(&base)
                .ok()
                .and_then(|base| nodes.get_mut(base))
            {
                Some(node) => node.children.push(here),
                None => return Err(pack.damaged("a delta stands on no entry")),
            },
        }
    }
    check_all_reached(pack, &nodes, &roots)?;
    Ok((nodes, roots))
}

/// Deltas by id could stand on each other in a circle, and then no root would lead to them.
fn check_all_reached(pack: &Pack, nodes: &[Node], roots: &[u32]) -> Result<()> {
    let mut stack = roots.to_vec();
    let mut reached = 0;
    while let Some(node) = stack.pop().and_then(|number| nodes.get(number as usize)) {
        reached += 1;
        stack.extend_from_slice(&node.children);
    }
    if reached == nodes.len() {
        Ok(())
    } else {
        Err(pack.damaged("deltas stand on each other in a circle"))
    }
}

/// Checks a whole object and everything that stands on it, depth first.
fn check_family(
    pack: &Pack,
    nodes: &[Node],
    root: u32,
    inflater: &mut Inflater,
    visitor: &dyn Visitor,
) -> Result<()> {
    let Some(node) = nodes.get(root as usize) else {
        return Ok(());
    };
    let EntryKind::Whole(kind) = node.header.kind else {
        return Ok(());
    };
    if node.children.is_empty()
        && node.header.inflated_bytes > STREAM_ABOVE_BYTES
        && kind == ObjectKind::Blob
    {
        return check_streamed(pack, node, kind, visitor);
    }
    let content = Rc::new(inflate(pack, node, inflater)?);
    show(pack, node, kind, &content, visitor)?;
    let mut stack: Vec<(u32, Rc<Vec<u8>>)> = Vec::new();
    stack.extend(
        node.children
            .iter()
            .map(|child| (*child, Rc::clone(&content))),
    );
    drop(content);
    while let Some((number, base)) = stack.pop() {
        let Some(node) = nodes.get(number as usize) else {
            continue;
        };
        let delta = inflate(pack, node, inflater)?;
        let content =
            apply_delta(&base, &delta).ok_or_else(|| pack.damaged("a delta does not fit"))?;
        drop(base);
        show(pack, node, kind, &content, visitor)?;
        if !node.children.is_empty() {
            let content = Rc::new(content);
            stack.extend(
                node.children
                    .iter()
                    .map(|child| (*child, Rc::clone(&content))),
            );
        }
    }
    Ok(())
}

fn show(
    pack: &Pack,
    node: &Node,
    kind: ObjectKind,
    content: &[u8],
    visitor: &dyn Visitor,
) -> Result<()> {
    let id = pack.index.id_at(node.number);
    if hash_object(pack.format(), kind, content) != Some(id) {
        return Err(pack.damaged(format!("object {id} has another content")));
    }
    visitor.object(&Seen {
        id,
        kind,
        content: Some(content),
    })
}

fn check_streamed(pack: &Pack, node: &Node, kind: ObjectKind, visitor: &dyn Visitor) -> Result<()> {
    let id = pack.index.id_at(node.number);
    let mut hasher = ObjectHasher::new(pack.format(), kind, node.header.inflated_bytes);
    pack.stream_entry(node.offset, &node.header, Some(node.end), &mut |piece| {
        hasher.update(piece);
        Ok(())
    })?;
    if hasher.finish() != Some(id) {
        return Err(pack.damaged(format!("object {id} has another content")));
    }
    check_crc(pack, node, crc_in_pieces(pack, node)?)?;
    visitor.object(&Seen {
        id,
        kind,
        content: None,
    })
}

/// Inflates an entry whose end is known, all of it.
fn inflate(pack: &Pack, node: &Node, inflater: &mut Inflater) -> Result<Vec<u8>> {
    let bad = || pack.damaged(format!("the entry at {} cannot be inflated", node.offset));
    let length = usize::try_from(node.end.checked_sub(node.offset).ok_or_else(bad)?)
        .map_err(|_too_large| bad())?;
    let size = usize::try_from(node.header.inflated_bytes).map_err(|_too_large| bad())?;
    if size > length.saturating_add(64).saturating_mul(1100) {
        return Err(bad());
    }
    let mut entry = vec![0; length];
    pack.read_exactly(node.offset, &mut entry)?;
    check_crc(pack, node, crc32fast::hash(&entry))?;
    let header = usize::try_from(node.header.header_bytes).map_err(|_too_large| bad())?;
    let input = entry.get(header..).ok_or_else(bad)?;
    inflater.whole(input, size).ok_or_else(bad)
}

/// git compares the CRC-32 of an entry with the index when it copies the entry; a pack that is handed over must bear that.
fn check_crc(pack: &Pack, node: &Node, found: u32) -> Result<()> {
    match pack.index.crc32_at(node.number) {
        Some(stated) if stated != found => Err(pack.damaged(format!(
            "the entry at {} has another checksum than its index says",
            node.offset
        ))),
        _ => Ok(()),
    }
}

/// The CRC-32 of an entry that is too large to hold.
fn crc_in_pieces(pack: &Pack, node: &Node) -> Result<u32> {
    let mut hasher = crc32fast::Hasher::new();
    let mut buffer = vec![0; 1 << 18];
    let mut position = node.offset;
    while position < node.end {
        let left = usize::try_from(node.end - position).unwrap_or(usize::MAX);
        let wanted = left.min(buffer.len());
        let piece = buffer.get_mut(..wanted).unwrap_or_default();
        pack.read_exactly(position, piece)?;
        hasher.update(piece);
        position += wanted as u64;
    }
    Ok(hasher.finalize())
}

/// A moving view of the pack for reading headers in the order of the file.
struct Window<'a> {
    pack: &'a Pack,
    start: u64,
    buffer: Vec<u8>,
}

impl<'a> Window<'a> {
    const BYTES: usize = 1 << 18;

    fn new(pack: &'a Pack) -> Self {
        Self {
            pack,
            start: 0,
            buffer: Vec::new(),
        }
    }

    /// Up to 64 bytes from `offset`.
    fn at(&mut self, offset: u64) -> Result<&[u8]> {
        let inside =
            |start: u64, length: usize| offset >= start && offset + 64 <= start + length as u64;
        if !inside(self.start, self.buffer.len()) {
            self.buffer.resize(Self::BYTES, 0);
            let filled = self.pack.read_some(offset, &mut self.buffer)?;
            self.buffer.truncate(filled);
            self.start = offset;
        }
        let from = usize::try_from(offset - self.start).unwrap_or_default();
        let rest = self.buffer.get(from..).unwrap_or_default();
        Ok(rest.get(..64).unwrap_or(rest))
    }
}

/// A visitor that checks that every link leads to an object for which `is_present` says yes, and collects those that
/// do not, with one object that names each; commits without parents are noted, too.
pub struct LinkCheck<'a> {
    format: super::object::ObjectFormat,
    is_present: &'a (dyn Fn(&ObjectId) -> bool + Sync),
    holes: Mutex<BTreeMap<ObjectId, ObjectId>>,
    root_commits: Mutex<Vec<ObjectId>>,
    progress: &'a (dyn Fn(u64) + Sync),
}

impl<'a> LinkCheck<'a> {
    /// Makes a visitor; `progress` is told the number of objects seen since the last time.
    pub fn new(
        format: super::object::ObjectFormat,
        is_present: &'a (dyn Fn(&ObjectId) -> bool + Sync),
        progress: &'a (dyn Fn(u64) + Sync),
    ) -> Self {
        Self {
            format,
            is_present,
            holes: Mutex::default(),
            root_commits: Mutex::default(),
            progress,
        }
    }

    /// The missing objects, each with one that names it, and the commits without parents.
    #[must_use]
    pub fn finish(self) -> (BTreeMap<ObjectId, ObjectId>, Vec<ObjectId>) {
        let holes = self
            .holes
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let mut roots = self
            .root_commits
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        roots.sort_unstable();
        (holes, roots)
    }
}

impl Visitor for LinkCheck<'_> {
    fn object(&self, object: &Seen<'_>) -> Result<()> {
        (self.progress)(1);
        let Some(content) = object.content else {
            return Ok(());
        };
        let parsed = super::object::each_link(self.format, object.kind, content, |link| {
            if !(self.is_present)(&link)
                && let Ok(mut holes) = self.holes.lock()
            {
                holes.entry(link).or_insert(object.id);
            }
        });
        if object.kind == ObjectKind::Commit
            && super::object::is_root_commit(content)
            && let Ok(mut roots) = self.root_commits.lock()
        {
            roots.push(object.id);
        }
        parsed.ok_or_else(|| {
            Error::damaged(
                std::path::Path::new(&object.id.to_string()),
                "malformed object",
            )
        })
    }
}
