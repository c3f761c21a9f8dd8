//! What the directories of a place came to when they were stored last, so that those that are the same are not built again.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use crate::host::git::object::ObjectId;
use crate::model::ids::Digest;

/// A directory, stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BuiltDirectory {
    /// Its tree of contents; `None` when there is nothing in it that a git tree could hold.
    pub contents: Option<ObjectId>,
    /// Its tree of listings.
    pub attributes: ObjectId,
    /// The digest of its listing.
    pub listing: Digest,
}

/// Directories by path, each with a digest of all that decides what it comes to. Kept as bytes, and read when they are needed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuiltDirectories(Vec<u8>);

#[derive(Serialize, Deserialize)]
struct Record<'a> {
    path: &'a [u8],
    digest: [u8; 32],
    contents: Option<&'a [u8]>,
    attributes: &'a [u8],
    listing: [u8; 32],
}

/// Directories by path, to look things up.
pub type ByPath<'a> = HashMap<&'a [u8], (Digest, BuiltDirectory)>;

impl BuiltDirectories {
    /// Those of a place that was just built.
    #[must_use]
    pub fn of(directories: &ByPath<'_>) -> Self {
        let records: Vec<Record<'_>> = directories
            .iter()
            .map(|(path, (digest, built))| Record {
                path,
                digest: *digest.as_bytes(),
                contents: built.contents.as_ref().map(ObjectId::as_bytes),
                attributes: built.attributes.as_bytes(),
                listing: *built.listing.as_bytes(),
            })
            .collect();
        // Writing to memory cannot fail; were it to, nothing would be known.
        Self(postcard::to_stdvec(&records).unwrap_or_default())
    }

    /// Those that were kept as these bytes.
    #[must_use]
    pub const fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }

    /// The bytes, to be kept.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// The directories by path; none when these are not such bytes.
    #[must_use]
    pub fn by_path(&self) -> ByPath<'_> {
        let records: Vec<Record<'_>> = postcard::from_bytes(&self.0).unwrap_or_default();
        let known = records.into_iter().map(|record| {
            let contents = match record.contents {
                Some(id) => Some(ObjectId::from_bytes(id)?),
                None => None,
            };
            let built = BuiltDirectory {
                contents,
                attributes: ObjectId::from_bytes(record.attributes)?,
                listing: Digest::from_bytes(record.listing),
            };
            Some((record.path, (Digest::from_bytes(record.digest), built)))
        });
        known.collect::<Option<_>>().unwrap_or_default()
    }
}
