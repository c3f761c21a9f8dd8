//! What can go wrong with git data.

use std::path::{Path, PathBuf};

use super::object::ObjectId;
use crate::host::disk;

/// Why git data could not be read or written.
#[derive(Debug)]
pub enum Error {
    /// The file system said no.
    Disk(disk::Error),
    /// The content of a file is not what git wrote.
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// An object is in none of the stores looked at.
    Missing(ObjectId),
    /// A limit of the pack format was met.
    Limit(&'static str),
}

/// The result of work on git data.
pub type Result<T> = std::result::Result<T, Error>;

impl Error {
    /// Says that a file is damaged.
    pub fn damaged(path: &Path, reason: impl Into<String>) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            reason: reason.into(),
        }
    }

    /// Whether a file was not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        matches!(self, Self::Disk(error) if error.is_not_found())
    }
}

impl From<disk::Error> for Error {
    fn from(error: disk::Error) -> Self {
        Self::Disk(error)
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Disk(error) => error.fmt(formatter),
            Self::Damaged { path, reason } => {
                write!(formatter, "'{}' is damaged: {reason}", path.display())
            }
            Self::Missing(id) => write!(formatter, "object {id} is missing"),
            Self::Limit(what) => write!(formatter, "limit of the pack format: {what}"),
        }
    }
}

impl std::error::Error for Error {}
