//! Questions to a pack index on disk, without reading it whole: only whether an object is there. For an index whose bytes were
//! found to be right and that looks as it did then.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;

use super::object::{ObjectFormat, ObjectId};
use crate::host::disk;
use crate::host::metadata::{Fingerprint, look_at_open};

/// Where the table of counts begins in an index of version 2 (gitformat-pack(5)),
const COUNTS_AT: usize = 8;
/// and how many bytes it has.
const COUNTS_BYTES: usize = 1024;
/// So many ids are read at once; more of them are halved first.
const READ_AT_ONCE: u64 = 256;

/// An index that can be asked.
pub struct IndexLookup {
    file: File,
    counts: Vec<u8>,
    id_bytes: usize,
}

impl IndexLookup {
    /// Opens an index of version 2 if it looks as it is known; `None` otherwise.
    #[must_use]
    pub fn open(path: &Path, format: ObjectFormat, known: &Fingerprint) -> Option<Self> {
        let file = disk::open_regular(path).ok()?;
        if look_at_open(&file, path).ok()? != *known {
            return None;
        }
        let mut start = vec![0; COUNTS_AT + COUNTS_BYTES];
        file.read_exact_at(&mut start, 0).ok()?;
        let counts = start.split_off(COUNTS_AT);
        (start == b"\xfftOc\0\0\0\x02").then_some(Self {
            file,
            counts,
            id_bytes: format.id_bytes(),
        })
    }

    /// Whether the object is there; `None` when the index cannot be read.
    #[must_use]
    pub fn contains(&self, id: &ObjectId) -> Option<bool> {
        let bytes = id.as_bytes();
        let first = usize::from(*bytes.first()?);
        let mut start = match first.checked_sub(1) {
            Some(before) => self.count(before)?,
            None => 0,
        };
        let mut end = self.count(first)?;
        let mut middle_id = vec![0; self.id_bytes];
        while end.checked_sub(start)? > READ_AT_ONCE {
            let middle = start + (end - start) / 2;
            self.read(middle, &mut middle_id)?;
            match middle_id.as_slice().cmp(bytes) {
                std::cmp::Ordering::Equal => return Some(true),
                std::cmp::Ordering::Less => start = middle + 1,
                std::cmp::Ordering::Greater => end = middle,
            }
        }
        let count = usize::try_from(end - start).ok()?;
        let mut ids = vec![0; count * self.id_bytes];
        self.read(start, &mut ids)?;
        Some(ids.chunks_exact(self.id_bytes).any(|found| found == bytes))
    }

    /// How many ids begin with this byte or a smaller one.
    fn count(&self, byte: usize) -> Option<u64> {
        let count = self.counts.get(byte * 4..byte * 4 + 4)?;
        Some(u64::from(u32::from_be_bytes(count.try_into().ok()?)))
    }

    fn read(&self, number: u64, ids: &mut [u8]) -> Option<()> {
        let id_bytes = u64::try_from(self.id_bytes).ok()?;
        let at = (COUNTS_AT + COUNTS_BYTES) as u64 + number * id_bytes;
        self.file.read_exact_at(ids, at).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::git::pack_index::{Written, index_bytes};
    use crate::host::metadata::look_at;

    #[test]
    fn what_it_says_is_what_is_there() {
        let format = ObjectFormat::Sha1;
        let id = |number: u32| {
            let mut bytes = [0; 20];
            // Many under one first byte, few under others.
            let digits = number.to_be_bytes();
            bytes[0] = if number.is_multiple_of(8) {
                digits[3]
            } else {
                7
            };
            bytes[1..5].copy_from_slice(&digits);
            ObjectId::from_bytes(&bytes).unwrap()
        };
        let written = |number| Written {
            id: id(number),
            offset: 12,
            crc32: 0,
        };
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pack.idx");
        for count in [0, 1, 300, 5000] {
            let even = (0..count).filter(|number: &u32| number.is_multiple_of(2));
            let bytes = index_bytes(format, even.map(written).collect(), &id(9)).unwrap();
            std::fs::write(&path, &bytes).unwrap();
            let look = look_at(&path).unwrap();
            let lookup = IndexLookup::open(&path, format, &look).unwrap();
            for number in 0..count + 3 {
                let is_there = number < count && number.is_multiple_of(2);
                assert_eq!(lookup.contains(&id(number)), Some(is_there), "{number}");
            }
            let other = Fingerprint { inode: 1, ..look };
            assert!(IndexLookup::open(&path, format, &other).is_none());
            std::fs::write(&path, &bytes[..bytes.len().min(900)]).unwrap();
            let look = look_at(&path).unwrap();
            assert!(IndexLookup::open(&path, format, &look).is_none());
        }
    }
}
