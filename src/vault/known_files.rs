//! The files of a place as they were when their content was stored, directory by directory: what a scan compares with.
//!
//! They stay as the bytes they are kept as, and a directory is taken out of them when the scan enters it. All numbers are
//! little-endian and of fixed width. A place is its directories, sorted by path, each: length of the path (u32), length of the
//! rest (u32), path, the record of the directory itself, and a record for each name in it, sorted. A record: length of the name
//! (u32), name, a byte of flags; unless the flag says that there is no more: fingerprint (device u64, inode u64, mode u32, bytes u64,
//! mtime and ctime i128 ns), the extras if a flag says so, and for files and links the object id (length u8, bytes) and BLAKE3.

use std::ops::Range;
use std::sync::Arc;

use crate::host::git::object::ObjectId;
use crate::host::metadata::{Extras, Fingerprint, NotKept};
use crate::host::walk::{Found, Walked};
use crate::model::ids::Digest;
use crate::vault::content::{Form, Stored};

/// Flags of a record.
const CHUNKED: u8 = 1;
const HAS_EXTRAS: u8 = 2;
/// It is of something of which no more is known than that it is there.
const NAME_ONLY: u8 = 4;
/// It is of a directory in which there is more than the names that follow.
const HAS_MORE: u8 = 8;

/// A file as it was when its content was stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CachedFile {
    /// What it looked like.
    pub fingerprint: Fingerprint,
    /// What it had beside content and time.
    pub extras: Extras,
    /// Its content.
    pub stored: Stored,
}

/// What is known of the files of a place.
#[derive(Debug, Clone, Default)]
pub struct KnownFiles {
    bytes: Arc<Vec<u8>>,
    own: Range<usize>,
    directories: Arc<Vec<Located>>,
}

/// Where a directory is in the bytes.
#[derive(Debug)]
struct Located {
    path: Range<usize>,
    records: Range<usize>,
}

/// What is known of a directory.
#[derive(Debug, Default)]
pub struct KnownDirectory<'a> {
    own: Option<(Fingerprint, Extras)>,
    has_more: bool,
    entries: Vec<(&'a [u8], Option<CachedFile>)>,
}

impl PartialEq for KnownFiles {
    fn eq(&self, other: &Self) -> bool {
        (Arc::ptr_eq(&self.bytes, &other.bytes) && self.own == other.own)
            || self.as_bytes() == other.as_bytes()
    }
}

impl Eq for KnownFiles {}

impl KnownFiles {
    /// What may be relied on of what a walk found: files and directories that are settled, and links, whose targets are read each
    /// time.
    #[must_use]
    pub fn of(walked: &[Walked<Stored>], is_settled: &dyn Fn(&Fingerprint) -> bool) -> Self {
        let mut bytes = Vec::new();
        for directory in walked {
            push_length(&mut bytes, directory.path.len());
            let length_at = bytes.len();
            push_length(&mut bytes, 0);
            bytes.extend_from_slice(&directory.path);
            let start = bytes.len();
            let unknown = (Fingerprint::default(), Extras::default());
            let (fingerprint, extras) = if is_settled(&directory.fingerprint) {
                (&directory.fingerprint, &directory.extras)
            } else {
                (&unknown.0, &unknown.1)
            };
            let flags = u8::from(directory.has_more) * HAS_MORE;
            push_record(&mut bytes, b"", flags, (fingerprint, extras), None);
            for (name, found) in &directory.entries {
                match found {
                    Found::File {
                        fingerprint,
                        extras,
                        content,
                    } if is_settled(fingerprint) => {
                        let (seen, flags) = ((fingerprint, extras), flags_of(content));
                        push_record(&mut bytes, name, flags, seen, Some(content));
                    }
                    Found::Link {
                        fingerprint,
                        content,
                    } => {
                        let extras = Extras::default();
                        let (seen, flags) = ((fingerprint, &extras), flags_of(content));
                        push_record(&mut bytes, name, flags, seen, Some(content));
                    }
                    Found::File { .. }
                    | Found::Directory
                    | Found::Special(..)
                    | Found::LeftOut { .. } => push_name(&mut bytes, name),
                }
            }
            let length = u32::try_from(bytes.len() - start).unwrap_or_default();
            if let Some(place) = bytes.get_mut(length_at..length_at + 4) {
                place.copy_from_slice(&length.to_le_bytes());
            }
        }
        let own = 0..bytes.len();
        Self::parse(Arc::new(bytes), own).unwrap_or_default()
    }

    /// Finds the directories in the bytes of a place, which are a part of those given; `None` when it is not such bytes.
    #[must_use]
    pub fn parse(bytes: Arc<Vec<u8>>, own: Range<usize>) -> Option<Self> {
        let mut directories = Vec::new();
        let mut place = own.start;
        while place < own.end {
            let mut cursor = Cursor(bytes.get(place..own.end)?);
            let (path, records) = (cursor.length()?, cursor.length()?);
            let path = place + 8..place + 8 + path;
            let records = path.end..path.end + records;
            place = records.end;
            directories.push(Located { path, records });
        }
        (place == own.end).then(|| Self {
            bytes,
            own,
            directories: Arc::new(directories),
        })
    }

    /// The bytes, to be kept.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(self.own.clone()).unwrap_or_default()
    }

    /// Whether nothing is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.directories.is_empty()
    }

    /// What is known of a directory.
    #[must_use]
    pub fn directory(&self, path: &[u8]) -> KnownDirectory<'_> {
        let at = |range: &Range<usize>| self.bytes.get(range.clone()).unwrap_or_default();
        let found = self
            .directories
            .binary_search_by(|located| at(&located.path).cmp(path));
        let located = found.ok().and_then(|index| self.directories.get(index));
        let records = located.map(|located| at(&located.records));
        records.and_then(KnownDirectory::parse).unwrap_or_default()
    }
}

impl<'a> KnownDirectory<'a> {
    fn parse(records: &'a [u8]) -> Option<Self> {
        let mut cursor = Cursor(records);
        let (_, flags) = cursor.head()?;
        let own = (cursor.fingerprint()?, cursor.extras(flags)?);
        let mut entries = Vec::with_capacity(records.len() / 128);
        while !cursor.0.is_empty() {
            let (name, flags) = cursor.head()?;
            let file = if flags & NAME_ONLY == 0 {
                Some(cursor.file(flags)?)
            } else {
                None
            };
            entries.push((name, file));
        }
        Some(Self {
            own: Some(own),
            has_more: flags & HAS_MORE != 0,
            entries,
        })
    }

    /// The names in it, sorted, if it still looks like this.
    #[must_use]
    pub fn names(&self, fingerprint: &Fingerprint) -> Option<Vec<Vec<u8>>> {
        self.extras(fingerprint).filter(|_| !self.has_more)?;
        Some(self.entries.iter().map(|(name, _)| name.to_vec()).collect())
    }

    /// What is known of a file or link that looks like this.
    #[must_use]
    pub fn file(&self, name: &[u8], fingerprint: &Fingerprint) -> Option<&CachedFile> {
        let found = self
            .entries
            .binary_search_by(|(known, _)| (*known).cmp(name))
            .ok()?;
        let (_, file) = self.entries.get(found)?;
        file.as_ref()
            .filter(|file| file.fingerprint == *fingerprint)
    }

    /// What the directory itself had beside entries and time, if it still looks like this.
    #[must_use]
    pub fn extras(&self, fingerprint: &Fingerprint) -> Option<&Extras> {
        let (known, extras) = self.own.as_ref()?;
        (known == fingerprint).then_some(extras)
    }
}

/// Lengths are of names, paths and single directories; what were longer than 4 GiB would be cut, and then not be parsed.
fn push_length(bytes: &mut Vec<u8>, length: usize) {
    bytes.extend_from_slice(&u32::try_from(length).unwrap_or_default().to_le_bytes());
}

fn flags_of(stored: &Stored) -> u8 {
    u8::from(stored.form == Form::Chunked) * CHUNKED
}

/// A name, of which no more is known.
fn push_name(bytes: &mut Vec<u8>, name: &[u8]) {
    push_length(bytes, name.len());
    bytes.extend_from_slice(name);
    bytes.push(NAME_ONLY);
}

fn push_record(
    bytes: &mut Vec<u8>,
    name: &[u8],
    flags: u8,
    (fingerprint, extras): (&Fingerprint, &Extras),
    stored: Option<&Stored>,
) {
    let has_extras = *extras != Extras::default();
    push_length(bytes, name.len());
    bytes.extend_from_slice(name);
    bytes.push(flags | (u8::from(has_extras) * HAS_EXTRAS));
    bytes.extend_from_slice(&fingerprint.device.to_le_bytes());
    bytes.extend_from_slice(&fingerprint.inode.to_le_bytes());
    bytes.extend_from_slice(&fingerprint.mode.to_le_bytes());
    bytes.extend_from_slice(&fingerprint.bytes.to_le_bytes());
    bytes.extend_from_slice(&fingerprint.mtime_ns.to_le_bytes());
    bytes.extend_from_slice(&fingerprint.ctime_ns.to_le_bytes());
    if has_extras {
        bytes.extend_from_slice(&extras.mode.map_or(u64::MAX, u64::from).to_le_bytes());
        let kept = &extras.not_kept;
        for number in [
            kept.names,
            kept.access_lists,
            kept.capabilities,
            kept.set_ids,
            kept.trusted,
        ] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        push_length(bytes, extras.xattrs.len());
        for (name, value) in &extras.xattrs {
            for part in [name, value] {
                push_length(bytes, part.len());
                bytes.extend_from_slice(part);
            }
        }
    }
    if let Some(stored) = stored {
        let id = stored.id.as_bytes();
        bytes.push(u8::try_from(id.len()).unwrap_or_default());
        bytes.extend_from_slice(id);
        bytes.extend_from_slice(stored.blake3.as_bytes());
    }
}

/// What is left to be read.
struct Cursor<'a>(&'a [u8]);

impl<'a> Cursor<'a> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk::<N>()?;
        self.0 = rest;
        Some(*taken)
    }

    fn bytes(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn length(&mut self) -> Option<usize> {
        usize::try_from(u32::from_le_bytes(self.take()?)).ok()
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_le_bytes(self.take()?))
    }

    /// Name and flags.
    fn head(&mut self) -> Option<(&'a [u8], u8)> {
        let length = self.length()?;
        let name = self.bytes(length)?;
        let [flags] = self.take()?;
        Some((name, flags))
    }

    fn fingerprint(&mut self) -> Option<Fingerprint> {
        Some(Fingerprint {
            device: self.number()?,
            inode: self.number()?,
            mode: u32::from_le_bytes(self.take()?),
            bytes: self.number()?,
            mtime_ns: i128::from_le_bytes(self.take()?),
            ctime_ns: i128::from_le_bytes(self.take()?),
        })
    }

    /// A file or link whose name and flags have been read.
    fn file(&mut self, flags: u8) -> Option<CachedFile> {
        let fingerprint = self.fingerprint()?;
        let extras = self.extras(flags)?;
        let [id_length] = self.take()?;
        let stored = Stored {
            id: ObjectId::from_bytes(self.bytes(usize::from(id_length))?)?,
            form: if flags & CHUNKED == 0 {
                Form::Whole
            } else {
                Form::Chunked
            },
            bytes: fingerprint.bytes,
            blake3: Digest::from_bytes(self.take()?),
        };
        Some(CachedFile {
            fingerprint,
            extras,
            stored,
        })
    }

    fn extras(&mut self, flags: u8) -> Option<Extras> {
        if flags & HAS_EXTRAS == 0 {
            return Some(Extras::default());
        }
        let mut extras = Extras {
            mode: u32::try_from(self.number()?).ok(),
            not_kept: NotKept {
                names: self.number()?,
                access_lists: self.number()?,
                capabilities: self.number()?,
                set_ids: self.number()?,
                trusted: self.number()?,
            },
            ..Extras::default()
        };
        for _ in 0..self.length()? {
            let length = self.length()?;
            let name = self.bytes(length)?.to_vec();
            let length = self.length()?;
            extras.xattrs.insert(name, self.bytes(length)?.to_vec());
        }
        Some(extras)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fingerprint(number: u64) -> Fingerprint {
        Fingerprint {
            inode: number,
            bytes: number * 3,
            ctime_ns: i128::from(number) << 40,
            ..Fingerprint::default()
        }
    }

    fn stored(number: u64, form: Form) -> Stored {
        Stored {
            id: ObjectId::from_bytes(&[7; 20]).expect("an id"),
            form,
            bytes: number * 3,
            blake3: Digest::of(b"content"),
        }
    }

    fn walked() -> Vec<Walked<Stored>> {
        let extras = Extras {
            mode: Some(0o100_600),
            xattrs: [(b"user.a".to_vec(), b"b".to_vec())].into(),
            ..Extras::default()
        };
        let file = |number, form, extras| Found::File {
            fingerprint: fingerprint(number),
            extras,
            content: stored(number, form),
        };
        let directory = |path: &[u8], number, has_more, entries| Walked {
            path: path.to_vec(),
            fingerprint: fingerprint(number),
            extras: Extras::default(),
            has_change_times: true,
            has_more,
            entries,
        };
        vec![
            directory(b"", 1, true, vec![(b"d".to_vec(), Found::Directory)]),
            directory(
                b"d",
                2,
                false,
                vec![
                    (b"a".to_vec(), file(3, Form::Whole, Extras::default())),
                    (b"b".to_vec(), file(4, Form::Chunked, extras)),
                    (b"young".to_vec(), file(99, Form::Whole, Extras::default())),
                ],
            ),
        ]
    }

    #[test]
    fn what_is_settled_is_known_again_and_nothing_else() {
        let is_settled = |seen: &Fingerprint| seen.inode != 99;
        let known = KnownFiles::of(&walked(), &is_settled);
        let directory = known.directory(b"d");
        let names: Vec<&[u8]> = vec![b"a", b"b", b"young"];
        assert_eq!(directory.names(&fingerprint(2)).expect("names"), names);
        assert_eq!(directory.names(&fingerprint(5)), None);
        let file = directory.file(b"b", &fingerprint(4)).expect("a file");
        assert_eq!(file.stored, stored(4, Form::Chunked));
        assert_eq!(file.extras.mode, Some(0o100_600));
        assert_eq!(directory.file(b"b", &fingerprint(3)), None);
        assert_eq!(directory.file(b"young", &fingerprint(99)), None);
        assert_eq!(known.directory(b"").names(&fingerprint(1)), None);
        assert!(known.directory(b"").extras(&fingerprint(1)).is_some());
        assert!(known.directory(b"e").extras(&fingerprint(2)).is_none());
    }

    #[test]
    fn bytes_that_are_cut_or_changed_stop_nothing() {
        let bytes = KnownFiles::of(&walked(), &|_| true).as_bytes().to_vec();
        for end in 0..bytes.len() {
            let cut = Arc::new(bytes.get(..end).expect("a part").to_vec());
            if let Some(known) = KnownFiles::parse(cut, 0..end) {
                drop(known.directory(b"d"));
            }
            let mut changed = bytes.clone();
            changed[end] ^= 0xFF;
            let length = changed.len();
            if let Some(known) = KnownFiles::parse(Arc::new(changed), 0..length) {
                drop(known.directory(b"d"));
            }
        }
    }
}
