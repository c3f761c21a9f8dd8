//! What stands under a path in a snapshot: equal contents are the same version of it.

use super::ids::Digest;
use super::listing::Entry;

/// What stands under a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Version {
    /// A file.
    File {
        /// Its size in bytes.
        bytes: u64,
        /// BLAKE3 of its content.
        blake3: Digest,
        /// Permissions.
        mode: u32,
        /// Modification time in ns since the epoch.
        mtime_ns: i128,
    },
    /// A link, by the BLAKE3 of its target.
    Link(Digest),
    /// A directory.
    Directory,
    /// Something that is recorded, and not kept.
    Other,
}

impl Version {
    /// Of an entry of a listing.
    #[must_use]
    pub fn of(entry: &Entry) -> Self {
        match entry {
            Entry::File {
                attributes,
                bytes,
                blake3,
            } => Self::File {
                bytes: *bytes,
                blake3: *blake3,
                mode: attributes.mode & 0o7777,
                mtime_ns: attributes.mtime_ns,
            },
            Entry::Link { blake3, .. } => Self::Link(*blake3),
            Entry::Directory { .. } => Self::Directory,
            Entry::Special { .. } | Entry::LeftOut { .. } => Self::Other,
        }
    }

    /// Whether it is the same content; permissions and times do not count.
    #[must_use]
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File { blake3: left, .. }, Self::File { blake3: right, .. }) => left == right,
            (left, right) => left == right,
        }
    }

    /// Whether it is the same content with the same permissions.
    #[must_use]
    pub fn is_alike(&self, other: &Self) -> bool {
        let mode = |version: &Self| match version {
            Self::File { mode, .. } => Some(*mode),
            Self::Link(_) | Self::Directory | Self::Other => None,
        };
        self.is_same(other) && mode(self) == mode(other)
    }

    /// Whether it has a content that a snapshot keeps.
    #[must_use]
    pub fn is_kept(&self) -> bool {
        matches!(self, Self::File { .. } | Self::Link(_))
    }
}
