//! What became of a repository that is not where it was: nothing is forgotten because it is not there today.

use std::path::Path;

use crate::host::disk;
use crate::host::walk::path_bytes;
use crate::model::escape::text_name;
use crate::vault::inspect::{Homes, Vault};
use crate::vault::registry;
use crate::vault::repositories::{Known, is_unplugged};

/// Why a repository is not there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Absent {
    /// The file system that held it is not mounted.
    Unplugged(String),
    /// Its vault is now attached to a repository at this path.
    Moved(String),
    /// Nothing says where it is.
    Gone,
}

/// Whether there is nothing at the path of a known repository, and why.
#[must_use]
pub fn absent(known: &Known, homes: &Homes) -> Option<Absent> {
    // What may not be looked at is not gone: opening it says why.
    if !is_nowhere(&known.git_dir) {
        return None;
    }
    if let Some(mount) = &known.mount
        && is_unplugged(mount)
    {
        return Some(Absent::Unplugged(text_name(path_bytes(mount))));
    }
    Some(moved(known, homes).map_or(Absent::Gone, Absent::Moved))
}

fn is_nowhere(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_err_and(|error| disk::is_nowhere(&error))
}

/// Where the vault says its repository is, if that is elsewhere.
fn moved(known: &Known, homes: &Homes) -> Option<String> {
    let root = registry::registered(&known.home, &known.git_dir)?;
    let vault = Vault::open(&root, homes).ok()?;
    let attached = vault.log.attachment.as_ref()?;
    let is_elsewhere = !registry::is_attached_to(&vault.log, &known.git_dir);
    is_elsewhere.then(|| attached.git_dir.clone())
}
