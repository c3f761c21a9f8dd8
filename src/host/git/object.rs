//! Git objects: ids, kinds, hashing, and the links from one to others.

use std::fmt;

use gix::hash::{Hasher, Kind};

/// The hash function that names a repository's objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectFormat {
    /// SHA-1, 20 bytes.
    Sha1,
    /// SHA-256, 32 bytes.
    Sha256,
}

impl ObjectFormat {
    /// The word for it in git's configuration.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    /// The format that `word` names.
    #[must_use]
    pub fn parse(word: &str) -> Option<Self> {
        [Self::Sha1, Self::Sha256]
            .into_iter()
            .find(|format| format.word() == word)
    }

    /// Length of an id in bytes.
    #[must_use]
    pub fn id_bytes(self) -> usize {
        self.gix().len_in_bytes()
    }

    pub(super) fn gix(self) -> Kind {
        match self {
            Self::Sha1 => Kind::Sha1,
            Self::Sha256 => Kind::Sha256,
        }
    }

    pub(super) fn from_gix(kind: Kind) -> Option<Self> {
        [Self::Sha1, Self::Sha256]
            .into_iter()
            .find(|format| format.gix() == kind)
    }
}

/// Names an object.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ObjectId(gix::ObjectId);

impl ObjectId {
    /// Makes an id from its raw bytes, of which there must be 20 or 32.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        if let Ok(sha1) = bytes.try_into() {
            return Some(Self(gix::ObjectId::Sha1(sha1)));
        }
        bytes.try_into().ok().map(gix::ObjectId::Sha256).map(Self)
    }

    /// Makes an id from 40 or 64 hexadecimal digits.
    #[must_use]
    pub fn from_hex(text: &[u8]) -> Option<Self> {
        matches!(text.len(), 40 | 64)
            .then(|| gix::ObjectId::from_hex(text).ok().map(Self))
            .flatten()
    }

    /// The raw bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        self.0.as_slice()
    }

    /// Whether all bytes are zero: "nothing" in reflogs.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.0.is_null()
    }
}

impl From<gix::ObjectId> for ObjectId {
    fn from(id: gix::ObjectId) -> Self {
        Self(id)
    }
}

impl AsRef<gix::hash::oid> for ObjectId {
    fn as_ref(&self) -> &gix::hash::oid {
        &self.0
    }
}

impl fmt::Display for ObjectId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl fmt::Debug for ObjectId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

/// The four kinds of objects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ObjectKind {
    /// File content.
    Blob,
    /// A directory.
    Tree,
    /// A commit.
    Commit,
    /// An annotated tag.
    Tag,
}

impl ObjectKind {
    /// The word for it in object headers.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Tree => "tree",
            Self::Commit => "commit",
            Self::Tag => "tag",
        }
    }

    /// The kind that `word` names.
    #[must_use]
    pub fn parse(word: &[u8]) -> Option<Self> {
        [Self::Blob, Self::Tree, Self::Commit, Self::Tag]
            .into_iter()
            .find(|kind| kind.word().as_bytes() == word)
    }
}

/// Computes an object's id while its content streams by.
pub struct ObjectHasher(Hasher);

impl ObjectHasher {
    /// Starts with the header of an object of `bytes` bytes.
    #[must_use]
    pub fn new(format: ObjectFormat, kind: ObjectKind, bytes: u64) -> Self {
        let mut hasher = gix::hash::hasher(format.gix());
        hasher.update(format!("{} {bytes}\0", kind.word()).as_bytes());
        Self(hasher)
    }

    /// Adds content.
    pub fn update(&mut self, content: &[u8]) {
        self.0.update(content);
    }

    /// The id; `None` when SHA-1's collision detection recognised an attack.
    #[must_use]
    pub fn finish(self) -> Option<ObjectId> {
        self.0.try_finalize().ok().map(ObjectId)
    }
}

/// The id of an object; `None` when SHA-1's collision detection recognised an attack.
#[must_use]
pub fn hash_object(format: ObjectFormat, kind: ObjectKind, content: &[u8]) -> Option<ObjectId> {
    let mut hasher = ObjectHasher::new(format, kind, content.len() as u64);
    hasher.update(content);
    hasher.finish()
}

/// One entry of a tree object.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TreeEntry<'a> {
    /// The mode, as the number its octal digits stand for.
    pub mode: u32,
    /// The name.
    pub name: &'a [u8],
    /// The object.
    pub id: ObjectId,
}

/// The mode of a directory in a tree.
pub const MODE_TREE: u32 = 0o040_000;
/// The mode of a regular file.
pub const MODE_FILE: u32 = 0o100_644;
/// The mode of an executable file.
pub const MODE_EXECUTABLE: u32 = 0o100_755;
/// The mode of a symbolic link.
pub const MODE_LINK: u32 = 0o120_000;
/// The mode of a commit of another repository, which is not expected to be present.
pub const MODE_GITLINK: u32 = 0o160_000;

/// Reads the entries of a tree, whatever modes old versions of git may have written; `None` items mean damage.
pub fn tree_entries(
    format: ObjectFormat,
    content: &[u8],
) -> impl Iterator<Item = Option<TreeEntry<'_>>> {
    let mut rest = content;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let entry = split_tree_entry(format, rest);
        rest = entry.map_or(&[], |(_, tail)| tail);
        Some(entry.map(|(entry, _)| entry))
    })
}

fn split_tree_entry(format: ObjectFormat, bytes: &[u8]) -> Option<(TreeEntry<'_>, &[u8])> {
    let space = bytes.iter().take(8).position(|byte| *byte == b' ')?;
    let (digits, rest) = bytes.split_at_checked(space)?;
    let rest = rest.get(1..)?;
    let mut mode = 0;
    for digit in digits {
        if !matches!(digit, b'0'..=b'7') {
            return None;
        }
        mode = mode << 3 | u32::from(digit - b'0');
    }
    let end = rest.iter().position(|byte| *byte == 0)?;
    let (name, rest) = rest.split_at_checked(end)?;
    let (id, rest) = rest.get(1..)?.split_at_checked(format.id_bytes())?;
    (!digits.is_empty() && !name.is_empty()).then_some((
        TreeEntry {
            mode,
            name,
            id: ObjectId::from_bytes(id)?,
        },
        rest,
    ))
}

/// Calls `each` for every object that `content` names and that must be present beside it; `None` means damage.
#[must_use]
pub fn each_link(
    format: ObjectFormat,
    kind: ObjectKind,
    content: &[u8],
    mut each: impl FnMut(ObjectId),
) -> Option<()> {
    match kind {
        ObjectKind::Blob => {}
        ObjectKind::Tree => {
            for entry in tree_entries(format, content) {
                let entry = entry?;
                if entry.mode & 0o170_000 != MODE_GITLINK {
                    each(entry.id);
                }
            }
        }
        ObjectKind::Commit => {
            let mut lines = content.split(|byte| *byte == b'\n');
            each(ObjectId::from_hex(lines.next()?.strip_prefix(b"tree ")?)?);
            while let Some(parent) = lines.next()?.strip_prefix(b"parent ") {
                each(ObjectId::from_hex(parent)?);
            }
        }
        ObjectKind::Tag => {
            let first = content.split(|byte| *byte == b'\n').next()?;
            each(ObjectId::from_hex(first.strip_prefix(b"object ")?)?);
        }
    }
    Some(())
}

/// Whether a commit names no parent; false for what is not a commit.
#[must_use]
pub fn is_root_commit(content: &[u8]) -> bool {
    let mut lines = content.split(|byte| *byte == b'\n');
    lines.next().is_some_and(|tree| tree.starts_with(b"tree "))
        && lines
            .next()
            .is_some_and(|line| !line.starts_with(b"parent "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_those_that_git_computes() {
        let id = |format| {
            hash_object(format, ObjectKind::Blob, b"")
                .unwrap()
                .to_string()
        };
        assert_eq!(
            id(ObjectFormat::Sha1),
            "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391"
        );
        assert_eq!(
            id(ObjectFormat::Sha256),
            "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813"
        );
    }

    #[test]
    fn links_of_a_commit_are_its_tree_and_parents_and_nothing_in_its_message() {
        let id = "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391";
        let content = format!("tree {id}\nparent {id}\nauthor a\n\nparent {id}\n");
        let mut count = 0;
        each_link(
            ObjectFormat::Sha1,
            ObjectKind::Commit,
            content.as_bytes(),
            |_| count += 1,
        )
        .unwrap();
        assert_eq!(count, 2);
        assert!(!is_root_commit(content.as_bytes()));
    }

    #[test]
    fn a_truncated_tree_is_damage() {
        let mut content = b"100644 a\0".to_vec();
        content.extend_from_slice(&[1; 19]);
        assert_eq!(
            tree_entries(ObjectFormat::Sha1, &content).collect::<Vec<_>>(),
            [None]
        );
    }
}
