//! Pack indices: read whole into memory (a mapped file would turn an I/O error into a signal), and written as version 2.

use std::path::{Path, PathBuf};

use super::error::{Error, Result};
use super::object::{ObjectFormat, ObjectId};
use crate::host::disk;
use crate::model::ids::Digest;

/// The largest index this program reads, in bytes: about 100 million objects.
const LIMIT_BYTES: u64 = 4 << 30;

/// An index of a pack, in memory.
pub struct PackIndex {
    file: gix_pack::index::File<Vec<u8>>,
    path: PathBuf,
}

/// Where an object stands in a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexEntry {
    /// The object.
    pub id: ObjectId,
    /// Offset of its entry in the pack.
    pub offset: u64,
    /// CRC-32 of the entry's bytes in the pack; absent in version 1.
    pub crc32: Option<u32>,
}

impl PackIndex {
    /// Reads an index. Its order and bounds are checked, its checksum is not; its BLAKE3 is, when
    /// one is expected.
    ///
    /// # Errors
    /// When it cannot be read or has an unknown form.
    pub fn open(path: &Path, format: ObjectFormat, expected: Option<Digest>) -> Result<Self> {
        let bytes = disk::read_bounded(path, LIMIT_BYTES)?;
        if expected.is_some_and(|expected| expected != Digest::of(&bytes)) {
            return Err(Error::damaged(path, "its BLAKE3 is not the one on record"));
        }
        let file = gix_pack::index::File::from_data(bytes, path.to_owned(), format.gix())
            .map_err(|error| Error::damaged(path, error.to_string()))?;
        Ok(Self {
            file,
            path: path.to_owned(),
        })
    }

    /// Checks the index's own checksum and the strict order of its ids.
    ///
    /// # Errors
    /// When either is wrong.
    pub fn check(&self) -> Result<()> {
        let stop = std::sync::atomic::AtomicBool::new(false);
        self.file
            .verify_checksum(&mut gix::progress::Discard, &stop)
            .map_err(|error| Error::damaged(&self.path, error.to_string()))?;
        let mut previous = None;
        for entry in self.entries() {
            if previous.is_some_and(|previous| previous >= entry.id) {
                return Err(Error::damaged(&self.path, "ids are not in order"));
            }
            previous = Some(entry.id);
        }
        Ok(())
    }

    /// How many objects.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.file.num_objects()
    }

    /// The checksum of the pack this index belongs to.
    #[must_use]
    pub fn pack_checksum(&self) -> ObjectId {
        self.file.pack_checksum().into()
    }

    /// All entries in the order of their ids.
    pub fn entries(&self) -> impl Iterator<Item = IndexEntry> {
        self.file.iter().map(|entry| IndexEntry {
            id: entry.oid.into(),
            offset: entry.pack_offset,
            crc32: entry.crc32,
        })
    }

    /// All ids in order.
    pub fn ids(&self) -> impl Iterator<Item = ObjectId> + '_ {
        (0..self.count()).map(|number| self.id_at(number))
    }

    /// The id of object `number`, which must be less than the count.
    #[must_use]
    pub fn id_at(&self, number: u32) -> ObjectId {
        self.file.oid_at_index(number).to_owned().into()
    }

    /// The offset of object `number`, which must be less than the count.
    #[must_use]
    pub fn offset_at(&self, number: u32) -> u64 {
        self.file.pack_offset_at_index(number)
    }

    /// The CRC-32 of object `number`'s entry.
    #[must_use]
    pub fn crc32_at(&self, number: u32) -> Option<u32> {
        self.file.crc32_at_index(number)
    }

    /// The number of an object.
    #[must_use]
    pub fn find(&self, id: &ObjectId) -> Option<u32> {
        self.file.lookup(id)
    }

    /// The offset of an object.
    #[must_use]
    pub fn offset_of(&self, id: &ObjectId) -> Option<u64> {
        self.find(id).map(|number| self.offset_at(number))
    }

    /// The numbers of all objects in the order of their offsets.
    #[must_use]
    pub fn numbers_by_offset(&self) -> Vec<(u64, u32)> {
        let mut numbers: Vec<(u64, u32)> = (0..self.count())
            .map(|number| (self.offset_at(number), number))
            .collect();
        numbers.sort_unstable();
        numbers
    }
}

/// Where an object was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Written {
    /// The object.
    pub id: ObjectId,
    /// Offset of its entry.
    pub offset: u64,
    /// CRC-32 of the entry's bytes.
    pub crc32: u32,
}

/// An index of version 2 (gitformat-pack(5)) for `entries`, which need not be sorted.
///
/// # Errors
/// When there are more than 2^31 large offsets.
pub fn index_bytes(
    format: ObjectFormat,
    mut entries: Vec<Written>,
    pack_checksum: &ObjectId,
) -> Result<Vec<u8>> {
    entries.sort_unstable();
    let mut bytes: Vec<u8> = Vec::with_capacity(1100 + entries.len() * (format.id_bytes() + 12));
    bytes.extend_from_slice(b"\xfftOc\0\0\0\x02");
    let mut counts = [0_u32; 256];
    for entry in &entries {
        let first = entry.id.as_bytes().first().copied().unwrap_or_default();
        if let Some(count) = counts.get_mut(usize::from(first)) {
            *count += 1;
        }
    }
    let mut total = 0_u32;
    for count in counts {
        total = total
            .checked_add(count)
            .ok_or(Error::Limit("more than 2^32 objects in a pack"))?;
        bytes.extend_from_slice(&total.to_be_bytes());
    }
    for entry in &entries {
        bytes.extend_from_slice(entry.id.as_bytes());
    }
    for entry in &entries {
        bytes.extend_from_slice(&entry.crc32.to_be_bytes());
    }
    let mut large: Vec<u64> = Vec::new();
    for entry in &entries {
        let small = u32::try_from(entry.offset)
            .ok()
            .filter(|offset| offset >> 31 == 0);
        let field = match small {
            Some(offset) => offset,
            None => {
                large.push(entry.offset);
                let number = u32::try_from(large.len() - 1)
                    .ok()
                    .filter(|number| number >> 31 == 0);
                number.ok_or(Error::Limit("more than 2^31 large offsets"))? | 1 << 31
            }
        };
        bytes.extend_from_slice(&field.to_be_bytes());
    }
    for offset in &large {
        bytes.extend_from_slice(&offset.to_be_bytes());
    }
    bytes.extend_from_slice(pack_checksum.as_bytes());
    let mut hasher = gix::hash::hasher(format.gix());
    hasher.update(&bytes);
    let checksum = hasher
        .try_finalize()
        .map_err(|_collision| Error::Limit("SHA-1 collision in an index"))?;
    bytes.extend_from_slice(checksum.as_slice());
    Ok(bytes)
}
