//! Where everything in a vault lies, and the files that never change after it is made.

use std::path::{Path, PathBuf};

use crate::host::git::object::ObjectFormat;
use crate::model::ids::SnapshotId;
use crate::model::log_entry;

/// How to read the vault by hand; a copy is put into every vault.
pub const VAULT_MD: &str = include_str!("../../templates/VAULT.md");

/// The vault's HEAD: a branch that follows the newest snapshot, so that a plain clone shows it.
pub const HEAD: &str = "ref: refs/heads/latest\n";

/// The prefix of directories that are not snapshots.
pub const INCOMPLETE_PREFIX: &str = ".incomplete-";

/// The prefix of directories in which packs are written that will take the place of others.
pub const OPTIMIZE_PREFIX: &str = ".optimize-";

/// The name of the record in such a directory that says which packs they are.
pub const ANNOUNCED: &str = "packs.toml";

/// Names in a vault's directory that must be there.
pub const REQUIRED: [&str; 11] = [
    "HEAD",
    "VAULT.md",
    "cache",
    "config",
    "escrow",
    "incidents",
    "log",
    "objects",
    "refs",
    "snapshots",
    "vault.toml",
];

/// Names that git itself may add, that are harmless, and that this program never reads.
pub const TOLERATED: [&str; 3] = ["gc.log", "info", "packed-refs"];

/// Directories to make, in this order.
pub const DIRECTORIES: [&str; 10] = [
    "objects",
    "objects/pack",
    "objects/info",
    "refs",
    "refs/heads",
    "refs/snapshots",
    "log",
    "snapshots",
    "incidents",
    "escrow",
];

/// The vault's git configuration.
#[must_use]
pub fn config(format: ObjectFormat) -> String {
    format!(
        "[core]\n\trepositoryformatversion = 1\n\tfilemode = true\n\tbare = true\n\tattributesFile = /dev/null\n\tautocrlf = false\n\
         [extensions]\n\tpreciousObjects = true\n\tobjectFormat = {}\n\
         [gc]\n\tauto = 0\n\twriteCommitGraph = false\n\
         [maintenance]\n\tauto = false\n\
         [receive]\n\tdenyDeletes = true\n\tdenyNonFastForwards = true\n",
        format.word()
    )
}

/// Paths in one vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Layout {
    root: PathBuf,
}

impl Layout {
    /// The layout of the vault at `root`.
    #[must_use]
    pub fn new(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// The vault's directory.
    #[must_use]
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The signed description.
    #[must_use]
    pub fn vault_toml(&self) -> PathBuf {
        self.root.join("vault.toml")
    }

    /// The log.
    #[must_use]
    pub fn log(&self) -> PathBuf {
        self.root.join("log")
    }

    /// A log entry.
    #[must_use]
    pub fn log_entry(&self, number: u64) -> PathBuf {
        self.log().join(log_entry::file_name(number))
    }

    /// The packs.
    #[must_use]
    pub fn packs(&self) -> PathBuf {
        self.root.join("objects/pack")
    }

    /// A pack file.
    #[must_use]
    pub fn pack(&self, name: &str) -> PathBuf {
        self.packs().join(format!("{name}.pack"))
    }

    /// The snapshots.
    #[must_use]
    pub fn snapshots(&self) -> PathBuf {
        self.root.join("snapshots")
    }

    /// A snapshot's directory.
    #[must_use]
    pub fn snapshot(&self, id: &SnapshotId) -> PathBuf {
        self.snapshots().join(id.as_str())
    }

    /// A snapshot's manifest.
    #[must_use]
    pub fn manifest(&self, id: &SnapshotId) -> PathBuf {
        self.snapshot(id).join("manifest.toml")
    }

    /// The directory of a snapshot that is being written.
    #[must_use]
    pub fn incomplete(&self, id: &SnapshotId) -> PathBuf {
        self.snapshots().join(format!("{INCOMPLETE_PREFIX}{id}"))
    }

    /// The directory of packs that will take the place of others.
    #[must_use]
    pub fn optimizing(&self, id: &SnapshotId) -> PathBuf {
        self.snapshots().join(format!("{OPTIMIZE_PREFIX}{id}"))
    }

    /// The file that whoever reads the vault has locked together with others.
    #[must_use]
    pub fn read_lock(&self) -> PathBuf {
        self.root.join("HEAD")
    }

    /// The ref of a snapshot.
    #[must_use]
    pub fn snapshot_ref(&self, id: &SnapshotId) -> PathBuf {
        self.root.join("refs/snapshots").join(id.as_str())
    }

    /// The branch that follows the newest snapshot.
    #[must_use]
    pub fn latest_ref(&self) -> PathBuf {
        self.root.join("refs/heads/latest")
    }

    /// Wrapped keys.
    #[must_use]
    pub fn escrow_directory(&self) -> PathBuf {
        self.root.join("escrow")
    }

    /// A wrapped key.
    #[must_use]
    pub fn escrow(&self, name: &str) -> PathBuf {
        self.escrow_directory().join(name)
    }

    /// Remains that were set aside.
    #[must_use]
    pub fn incidents(&self) -> PathBuf {
        self.root.join("incidents")
    }

    /// One directory of remains.
    #[must_use]
    pub fn set_aside(&self, name: &str) -> PathBuf {
        self.incidents().join(name)
    }

    /// Rebuildable files.
    #[must_use]
    pub fn cache(&self) -> PathBuf {
        self.root.join("cache")
    }

    /// The list of snapshots as a cache.
    #[must_use]
    pub fn snapshot_index(&self) -> PathBuf {
        self.cache().join("index")
    }
}
