//! The manifest: everything a snapshot says of itself, signed.

use serde::{Deserialize, Serialize};

use super::ids::{Digest, RepositoryId, SnapshotId, VaultId};
use super::inventory::PackRecord;
use super::place::{Place, Spot};
use super::timestamp::Timestamp;

/// The version of the vault format this program writes, and the newest it reads.
pub const FORMAT: u32 = 1;

/// Whether a restore needs anything beside the vault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Completeness {
    /// Nothing.
    SelfContained,
    /// The source is a partial clone: what it had is there, and a promisor remote must give the rest.
    NeedsPromisor,
}

impl Completeness {
    /// The word for it in records.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::SelfContained => "self-contained",
            Self::NeedsPromisor => "needs-promisor",
        }
    }
}

/// The part of the log a snapshot stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StandsOn {
    /// The newest log entry when the snapshot was written; its own entry has a greater number.
    pub entry: u64,
    /// BLAKE3 of that entry.
    pub entry_blake3: Digest,
    /// How many packs the vault held at that entry.
    pub packs: u64,
    /// The inventory digest of those packs.
    pub inventory: Digest,
}

/// The state of the source repository, in words for people; the exact state is in the captured files.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SourceState {
    /// Canonical path of the git directory, escaped as in listings.
    pub git_dir: String,
    /// Canonical path of the working tree, escaped as in listings; absent for a bare repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<String>,
    /// `sha1` or `sha256`.
    pub object_format: String,
    /// The branch HEAD names, escaped as in listings; absent when HEAD is detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The commit HEAD stands at; absent when the branch is unborn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// Operations in progress, such as `rebase` or `merge`.
    pub operations: Vec<String>,
    /// Lock files that a running git held; not captured.
    pub locks: Vec<String>,
}

/// Counts over one captured directory tree.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TreeCounts {
    /// BLAKE3 of the listing of the topmost directory, which pins all others.
    pub root: Option<Digest>,
    /// Regular files.
    pub files: u64,
    /// Directories, the topmost one included.
    pub directories: u64,
    /// Symbolic links.
    pub links: u64,
    /// FIFOs, sockets and devices, recorded and not recreated.
    pub special: u64,
    /// Bytes of all regular files.
    pub bytes: u64,
}

/// What the snapshot holds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Content {
    /// The commit in the vault's repository.
    pub commit: String,
    /// Its tree.
    pub tree: String,
    /// The git directory.
    pub gitdir: TreeCounts,
    /// The working tree; absent for a bare repository.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<TreeCounts>,
    /// The places `linked/1`, `linked/2` and so on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked: Vec<TreeCounts>,
}

/// A repository of the workspace beside the main one: a submodule, or one inside the working tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NestedRepository {
    /// Its git directory.
    pub git_dir: Spot,
    /// Its working tree; absent when it has none, or none that was captured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<Spot>,
    /// The branch HEAD names, escaped as in listings; absent when HEAD is detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The commit HEAD stands at; absent when the branch is unborn.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// Operations in progress.
    pub operations: Vec<String>,
    /// Ids that its HEADs, refs, index and operation files name.
    pub tips: u64,
    /// BLAKE3 of the sorted tips, as in `history`.
    pub tips_blake3: Digest,
    /// Ids that only reflogs and the like name and that it did not have.
    pub weak_missing: u64,
}

/// A linked worktree of one of the repositories.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LinkedWorktree {
    /// The git directory of its repository.
    pub git_dir: Spot,
    /// The name of its directory in `worktrees`, escaped as in listings.
    pub name: String,
    /// Where the source says that it is, escaped as in listings.
    pub path: String,
    /// Where its files are; absent when it was not there, belongs to another repository, or was left out.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub worktree: Option<Spot>,
    /// The directory that a restore makes for it in the git directory of its repository, escaped as in listings; only for a
    /// place of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub directory: Option<String>,
    /// The branch its HEAD names, escaped as in listings; absent when HEAD is detached.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub branch: Option<String>,
    /// The commit its HEAD stands at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub head: Option<String>,
    /// Operations in progress in it.
    pub operations: Vec<String>,
}

/// The history a snapshot stands on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct History {
    /// Objects that came into the vault with this snapshot.
    pub objects_added: u64,
    /// Ids that HEADs, refs, index and operation files name; each is present with all it reaches.
    pub tips: u64,
    /// BLAKE3 of the sorted tips, one hexadecimal id and a line feed each.
    pub tips_blake3: Digest,
    /// Objects that something unreferenced names and that the source did not have: listed in the tree as `holes`.
    pub holes: u64,
    /// Ids that only reflogs and the like name and that the source did not have.
    pub weak_missing: u64,
    /// Objects that a promisor remote has promised and that the source did not have: listed in the tree as `promised`.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub promised: u64,
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes a reference"
)]
fn is_zero(number: &u64) -> bool {
    *number == 0
}

/// Entries of one place that one rule left out.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LeftOut {
    /// `worktree`, `gitdir`, or `linked/` and a number.
    pub place: String,
    /// `ignored`, `excluded`, `lock`, `objects`, `linked-worktree` or `gitfile`.
    pub reason: String,
    /// The rule, such as `.gitignore:3: target/`; empty where the reason says it all. Escaped as in listings.
    pub rule: String,
    /// Files left out.
    pub files: u64,
    /// Directories left out without looking inside.
    pub directories: u64,
    /// Bytes of the files left out; directories are not counted.
    pub bytes: u64,
}

/// The whole manifest.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// Version of the format.
    pub format: u32,
    /// The oldest version of the format a reader must know.
    pub minimum_reader: u32,
    /// Program and version that wrote it.
    pub tool: String,
    /// The vault.
    pub vault: VaultId,
    /// The repository.
    pub repository: RepositoryId,
    /// The snapshot.
    pub snapshot: SnapshotId,
    /// When it was made.
    pub created: Timestamp,
    /// What made it happen, such as `manual`.
    pub trigger: String,
    /// Said by the user; may be empty.
    pub message: String,
    /// Given by the user.
    pub labels: Vec<String>,
    /// Whether a restore needs anything beside the vault.
    pub completeness: Completeness,
    /// Patterns of `vault.include` in force.
    pub include: Vec<String>,
    /// Patterns of `vault.exclude` in force.
    pub exclude: Vec<String>,
    /// What a person should know, one sentence each.
    pub notes: Vec<String>,
    /// The part of the log it stands on.
    pub stands_on: StandsOn,
    /// The state of the source.
    pub source: SourceState,
    /// What it holds.
    pub content: Content,
    /// The history it stands on.
    pub history: History,
    /// Repositories beside the main one, in the order of their git directories.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub nested: Vec<NestedRepository>,
    /// Linked worktrees, by repository and name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub linked: Vec<LinkedWorktree>,
    /// What was left out and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<LeftOut>,
    /// The packs that came with it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub packs: Vec<PackRecord>,
}

impl Manifest {
    /// The places that were captured, working trees first.
    #[must_use]
    pub fn places(&self) -> Vec<Place> {
        let linked = (1..).map(Place::Linked).take(self.content.linked.len());
        let worktree = self.content.worktree.iter().map(|_| Place::Worktree);
        worktree.chain(linked).chain([Place::Gitdir]).collect()
    }

    /// What is stated of a place; `None` when it was not captured.
    #[must_use]
    pub fn counts(&self, place: Place) -> Option<&TreeCounts> {
        let content = &self.content;
        match place {
            Place::Gitdir => Some(&content.gitdir),
            Place::Worktree => content.worktree.as_ref(),
            Place::Linked(number) => {
                let number = usize::try_from(number).ok()?.checked_sub(1)?;
                content.linked.get(number)
            }
        }
    }

    /// The git directories of all repositories, the main one first.
    #[must_use]
    pub fn git_dirs(&self) -> Vec<Spot> {
        let nested = self.nested.iter().map(|nested| nested.git_dir.clone());
        std::iter::once(Spot::top(Place::Gitdir))
            .chain(nested)
            .collect()
    }

    /// The body of the signed text.
    ///
    /// # Errors
    /// When a value cannot be written as TOML; none of the types here can be such.
    pub fn to_body(&self) -> Result<String, toml::ser::Error> {
        toml::to_string(self)
    }

    /// Reads a body whose signature has been checked; refuses any but the canonical form.
    ///
    /// # Errors
    /// A sentence that says what is unexpected.
    pub fn from_body(body: &str) -> Result<Self, String> {
        let manifest: Self = toml::from_str(body).map_err(|error| error.message().to_owned())?;
        if manifest.format != FORMAT {
            return Err(format!("is of format {}", manifest.format));
        }
        if manifest.minimum_reader > FORMAT {
            return Err(format!(
                "needs a reader of format {}",
                manifest.minimum_reader
            ));
        }
        if manifest.to_body().ok().as_deref() != Some(body) {
            return Err("not in canonical form".to_owned());
        }
        Ok(manifest)
    }
}
