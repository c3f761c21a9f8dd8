//! Names of snapshots as people give them: the beginning of an id, `@latest`, `@~2`.

use std::path::{Path, PathBuf};

use crate::model::ids::{SNAPSHOT_ID_LENGTH, SnapshotId};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::vault::inspect::Vault;
use crate::vault::layout::INCOMPLETE_PREFIX;
use crate::vault::log::LoggedSnapshot;

/// Finds the snapshot that `name` names.
///
/// # Errors
/// When there is none, several, or only incomplete material of that name.
pub fn select(vault: &Vault, name: &str) -> Result<LoggedSnapshot> {
    if let Some(back) = steps_back(name) {
        let found = vault.log.snapshots.iter().rev().nth(back);
        return found.cloned().ok_or_else(|| not_found(vault, name));
    }
    if !SnapshotId::is_prefix(name) {
        return Err(not_found(vault, name));
    }
    let has_prefix = |snapshot: &&LoggedSnapshot| snapshot.record.id.as_str().starts_with(name);
    let found: Vec<&LoggedSnapshot> = vault.log.snapshots.iter().filter(has_prefix).collect();
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(find_incomplete(vault, name).map_or_else(
            || not_found(vault, name),
            |path| incomplete(vault, name, path),
        )),
        several => {
            let ids: Vec<&str> = several
                .iter()
                .map(|snapshot| snapshot.record.id.as_str())
                .collect();
            Err(Refusal::new(
                RefusalCode::SnapshotAmbiguous,
                format!("'{name}' is the beginning of several snapshots"),
            )
            .because(ids.join(", "))
            .keeping("nothing was touched"))
        }
    }
}

/// Whether a name is the beginning of an id, which means the same snapshot however old the vault is.
#[must_use]
pub fn is_id(name: &str) -> bool {
    SnapshotId::is_prefix(name)
}

/// `@latest` is 0 steps back, `@~2` two.
fn steps_back(name: &str) -> Option<usize> {
    if matches!(name, "@latest" | "@") {
        Some(0)
    } else {
        name.strip_prefix("@~")?.parse().ok()
    }
}

fn find_incomplete<'a>(vault: &'a Vault, name: &str) -> Option<&'a PathBuf> {
    vault.leftovers.incomplete.iter().find(|path| {
        let found = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        found
            .strip_prefix(INCOMPLETE_PREFIX)
            .unwrap_or(found)
            .starts_with(name)
    })
}

fn incomplete(vault: &Vault, name: &str, path: &Path) -> Refusal {
    let has_lost_entries = !vault.log.acknowledgements.is_empty();
    let refusal = if has_lost_entries {
        Refusal::new(
            RefusalCode::SnapshotIncomplete,
            format!("the log knows no snapshot '{name}'"),
        )
        .because(
            "it was never sealed, or its log entry is one of those that were stated to be gone",
        )
    } else {
        Refusal::new(
            RefusalCode::SnapshotIncomplete,
            format!("'{name}' was never sealed"),
        )
        .because("it was interrupted while it was made; nothing was ever claimed of it")
    };
    refusal
        .about_difference(path, "a sealed snapshot", "no log entry of it")
        .keeping("what is there stays as evidence")
        .next("git vault list", "shows the snapshots that exist")
}

fn not_found(vault: &Vault, name: &str) -> Refusal {
    let count = vault.log.snapshots.len();
    Refusal::new(RefusalCode::SnapshotNotFound, format!("no snapshot is named '{name}'"))
        .because(format!("snapshots in the vault: {count}; a name is the beginning of an id of {SNAPSHOT_ID_LENGTH} letters, @latest, or @~2"))
        .keeping("nothing was touched")
        .next("git vault list", "shows the snapshots that exist")
}
