//! What was written into the settings of a tool, and what was there before: kept outside of them, so that they hold nothing but
//! what the tool asks for.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::host::disk::{self, Context as _, Error, Result};
use crate::host::lock::{self, Lock};
use crate::host::walk::path_bytes;
use crate::model::escape::{name_from_text, text_name};
use crate::model::ids::{Digest, to_hex};
use crate::model::json_edit::Splice;
use crate::ops::agents::tools::Tool;

/// Largest ledger read.
const LIMIT_BYTES: u64 = 1 << 20;

/// How long one run waits for another: what it does takes milliseconds.
const PATIENCE: Duration = Duration::from_secs(30);

/// Keeps others from changing settings and ledgers at the same time; `None` when they do so for too long.
///
/// # Errors
/// When there can be no lock in the state home.
pub fn lock(state_home: &Path) -> Result<Option<Lock>> {
    let directory = state_home.join("agents");
    disk::create_directories(&directory)?;
    lock::lock(&directory.join("lock"), PATIENCE)
}

/// What was done to one file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// The form of this record: 1.
    pub format: u64,
    /// The tool.
    pub tool: String,
    /// The file, as text.
    pub file: String,
    /// The program that the entries name.
    pub program: String,
    /// Whether the file was there before.
    pub existed: bool,
    /// BLAKE3 of the file as it was when it was written; empty when it is not known what was there before.
    pub written_blake3: String,
    /// Directories that were made for it, the outermost first, as text.
    pub directories: Vec<String>,
    /// Objects and lists that were made in it, by their paths, the outermost first.
    pub made: Vec<Vec<String>>,
    /// What was put into the text, in order.
    pub splices: Vec<Put>,
}

/// One splice.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Put {
    /// Where.
    pub offset: usize,
    /// What.
    pub text: String,
}

/// BLAKE3 of a text.
#[must_use]
pub fn digest(text: &str) -> String {
    to_hex(Digest::of(text.as_bytes()).as_bytes())
}

impl Ledger {
    /// The splices as they are undone.
    #[must_use]
    pub fn splices(&self) -> Vec<Splice> {
        let splices = self.splices.iter().map(|put| Splice {
            offset: put.offset,
            text: put.text.clone(),
        });
        splices.collect()
    }

    /// Whether a text is the very one that was written.
    #[must_use]
    pub fn wrote(&self, text: &str) -> bool {
        self.written_blake3 == digest(text)
    }

    /// The directories that were made.
    #[must_use]
    pub fn directories(&self) -> Vec<PathBuf> {
        use std::os::unix::ffi::OsStringExt as _;
        let names = self
            .directories
            .iter()
            .filter_map(|name| name_from_text(name));
        names
            .map(|name| PathBuf::from(std::ffi::OsString::from_vec(name)))
            .collect()
    }

    /// Reads what was noted of a file of a tool. A note that cannot be understood is none, and so is one of another file: entries
    /// are found without it.
    #[must_use]
    pub fn load(state_home: &Path, tool: Tool, file: &Path) -> Option<Self> {
        read(state_home, tool).filter(|ledger| ledger.is_of(file))
    }

    fn is_of(&self, file: &Path) -> bool {
        self.file == text_name(path_bytes(file))
    }

    /// Writes it.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn save(&self, state_home: &Path, tool: Tool) -> Result<()> {
        let path = path(state_home, tool);
        if let Some(directory) = path.parent() {
            disk::create_directories(directory)?;
        }
        let text = toml::to_string(self).map_err(|error| {
            Error::new("write", &path, std::io::Error::other(error.to_string()))
        })?;
        disk::replace(&path, text.as_bytes())
    }
}

fn read(state_home: &Path, tool: Tool) -> Option<Ledger> {
    let bytes = disk::read_bounded(&path(state_home, tool), LIMIT_BYTES).ok()?;
    let ledger: Ledger = toml::from_str(std::str::from_utf8(&bytes).ok()?).ok()?;
    (ledger.format == 1 && ledger.tool == tool.word()).then_some(ledger)
}

/// Removes the ledger of a tool, unless it is of another file.
///
/// # Errors
/// When it is there and cannot be removed.
pub fn forget(state_home: &Path, tool: Tool, file: &Path) -> Result<()> {
    if read(state_home, tool).is_some_and(|ledger| !ledger.is_of(file)) {
        return Ok(());
    }
    let path = path(state_home, tool);
    match std::fs::remove_file(&path) {
        Err(error) if disk::is_nowhere(&error) => Ok(()),
        outcome => outcome.context("remove", &path),
    }
}

fn path(state_home: &Path, tool: Tool) -> PathBuf {
    let directory = state_home.join("agents");
    directory.join(format!("{}.toml", tool.word()))
}
