//! What was installed, so that exactly this is taken away again.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::host::disk::{self, Error, Result};
use crate::model::ids::Digest;

/// Largest ledger read, and largest file of ours.
pub const LIMIT_BYTES: u64 = 1 << 20;

/// The one version there is.
const VERSION: u32 = 1;

/// How hooks are made known to git.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Carrier {
    /// As settings in one included file.
    Settings,
    /// As files in the directory of hooks.
    Files,
}

/// What was installed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    version: u32,
    /// How hooks are made known.
    pub carrier: Carrier,
    /// Whether the last second is guarded, too.
    pub last_second: bool,
    /// This program, as the texts name it.
    pub program: String,
    /// The directory of hooks, when it was made for them.
    pub made_directory: Option<PathBuf>,
    /// The include, if there is one.
    pub include: Option<Include>,
    /// Every file that was written.
    #[serde(default)]
    pub files: Vec<WrittenFile>,
}

/// An include in a configuration file of git.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Include {
    /// The configuration file.
    pub config: PathBuf,
    /// What it includes.
    pub path: String,
    /// Whether the end of the last line was added.
    pub lacked_newline: bool,
    /// Whether the configuration file was made for it.
    pub made_config: bool,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct WrittenFile {
    /// What it is for: an event, `settings`, or a question of the last second.
    pub purpose: String,
    /// Where it lies.
    pub path: PathBuf,
    /// What was written.
    pub blake3: String,
}

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It is as it was written.
    Intact,
    /// Something else is there.
    Modified,
    /// Nothing is there.
    Missing,
}

impl WrittenFile {
    /// Names a file and what will be in it.
    #[must_use]
    pub fn new(purpose: &str, path: &Path, text: &str) -> Self {
        Self {
            purpose: purpose.to_owned(),
            path: path.to_owned(),
            blake3: Digest::of(text.as_bytes()).to_string(),
        }
    }

    /// Looks at it.
    ///
    /// # Errors
    /// When it cannot be told.
    pub fn look(&self) -> Result<Found> {
        match self.path.symlink_metadata() {
            Err(error) if disk::is_nowhere(&error) => return Ok(Found::Missing),
            Err(error) => return Err(Error::new("look at", &self.path, error)),
            // A link or a directory is nothing that was written.
            Ok(found) if !found.is_file() || found.len() > LIMIT_BYTES => {
                return Ok(Found::Modified);
            }
            Ok(_) => {}
        }
        let bytes = disk::read_bounded(&self.path, LIMIT_BYTES)?;
        let is_same = Digest::of(&bytes).to_string() == self.blake3;
        Ok(if is_same {
            Found::Intact
        } else {
            Found::Modified
        })
    }
}

impl Ledger {
    /// An empty one.
    #[must_use]
    pub fn new(carrier: Carrier, last_second: bool, program: &str) -> Self {
        Self {
            version: VERSION,
            carrier,
            last_second,
            program: program.to_owned(),
            made_directory: None,
            include: None,
            files: Vec::new(),
        }
    }

    /// Where it lies.
    #[must_use]
    pub fn path(directory: &Path) -> PathBuf {
        directory.join("ledger.toml")
    }

    /// Reads it; `None` when nothing was installed.
    ///
    /// # Errors
    /// When it cannot be read or understood.
    pub fn load(directory: &Path) -> Result<Option<Self>> {
        let path = Self::path(directory);
        let bytes = match disk::read_bounded(&path, LIMIT_BYTES) {
            Err(error) if error.is_nowhere() => return Ok(None),
            bytes => bytes?,
        };
        let not_understood =
            |reason: String| Error::new("understand", &path, std::io::Error::other(reason));
        let ledger: Self = toml::from_str(&String::from_utf8_lossy(&bytes))
            .map_err(|error| not_understood(error.message().to_owned()))?;
        if ledger.version == VERSION {
            Ok(Some(ledger))
        } else {
            Err(not_understood(format!("version {}", ledger.version)))
        }
    }

    /// Writes it, durably.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn store(&self, directory: &Path) -> Result<()> {
        disk::create_directories(directory)?;
        let path = Self::path(directory);
        let text = toml::to_string(self).map_err(|error| {
            Error::new("write", &path, std::io::Error::other(error.to_string()))
        })?;
        disk::replace(&path, text.as_bytes())?;
        disk::sync_directory(directory)
    }
}
