//! The health probe: a vault takes a snapshot only when it has just shown that it keeps what is written to it.

use std::path::Path;

use crate::host::disk;
use crate::host::file_system::{self, FileSystem};
use crate::model::escape::shell_word;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::vault::drift;
use crate::vault::layout::Layout;
use crate::vault::trial::{Step, Trial};

/// Room that must be left on the vault's file system after a snapshot.
pub const RESERVE_BYTES: u64 = 16 << 20;

/// Room that must be left after packs were put together: making room must be possible where hardly any is left.
pub const OPTIMIZE_RESERVE_BYTES: u64 = 1 << 20;

/// Files that it must still be possible to make: a snapshot makes about twenty.
pub const RESERVE_INODES: u64 = 32;

/// Proof that the probe passed; only [`probe`] makes one.
#[derive(Debug)]
#[must_use = "a probe that nobody asks for proves nothing"]
pub struct Probed(());

/// Checks owner and permissions of the vault's directories, mount, space and inodes, then takes every step of the trial.
///
/// # Errors
/// [`RefusalCode::VaultPermissions`], [`RefusalCode::VaultSpace`] or [`RefusalCode::VaultProbeFailed`].
pub fn probe(layout: &Layout, needed_bytes: u64) -> Result<Probed> {
    probe_leaving(layout, needed_bytes, RESERVE_BYTES)
}

/// The same with another reserve.
///
/// # Errors
/// As [`probe`].
pub fn probe_leaving(layout: &Layout, needed_bytes: u64, reserve_bytes: u64) -> Result<Probed> {
    for directory in drift::skeleton(layout) {
        check_permissions(&directory)?;
    }
    let found = look(layout.root())?;
    if found.is_read_only {
        return Err(keeps_nothing(layout, "it is mounted for reading only"));
    }
    check_bytes(&found, layout.root(), (needed_bytes, reserve_bytes))?;
    check_inodes(&found, layout.root())?;
    let refuse = |error: disk::Error| keeps_nothing(layout, error.to_string());
    let trial = Trial::new(layout).map_err(refuse)?;
    for step in Step::ALL {
        trial.take(step).map_err(refuse)?;
    }
    Ok(Probed(()))
}

/// Refuses when there is not enough room for `needed_bytes` and the reserve.
///
/// # Errors
/// [`RefusalCode::VaultSpace`], or when the system does not say.
pub fn check_space(root: &Path, needed_bytes: u64) -> Result<()> {
    check_bytes(&look(root)?, root, (needed_bytes, RESERVE_BYTES))
}

fn look(root: &Path) -> Result<FileSystem> {
    file_system::look(root).map_err(|error| error.refuse(RefusalCode::VaultProbeFailed))
}

fn check_bytes(
    found: &FileSystem,
    root: &Path,
    (needed_bytes, reserve_bytes): (u64, u64),
) -> Result<()> {
    let wanted = needed_bytes.saturating_add(reserve_bytes);
    if found.free_bytes >= wanted {
        return Ok(());
    }
    let fact = format!("{wanted} bytes are needed, {} are free", found.free_bytes);
    Err(no_room(root, fact, "df -h"))
}

fn check_inodes(found: &FileSystem, root: &Path) -> Result<()> {
    match found.free_inodes {
        Some(free) if free < RESERVE_INODES => {
            let fact =
                format!("room for {RESERVE_INODES} files is needed, there is room for {free}");
            Err(no_room(root, fact, "df -i"))
        }
        Some(_) | None => Ok(()),
    }
}

fn no_room(root: &Path, fact: String, command: &str) -> Refusal {
    let shown = root.display();
    Refusal::new(
        RefusalCode::VaultSpace,
        format!("not enough room at '{shown}'"),
    )
    .because(fact)
    .next(
        format!("{command} {}", shell_word(root)),
        "shows space and where it is mounted",
    )
}

fn keeps_nothing(layout: &Layout, fact: impl Into<String>) -> Refusal {
    let shown = layout.root().display();
    Refusal::new(
        RefusalCode::VaultProbeFailed,
        format!("the vault at '{shown}' does not keep what is written"),
    )
    .because(fact)
    .next(
        format!("df -h {}", shell_word(layout.root())),
        "shows space and where it is mounted",
    )
    .next(
        "git vault doctor",
        "shows every check of the vault's health",
    )
}

fn check_permissions(directory: &Path) -> Result<()> {
    let found = drift::opened(directory).map_err(|error| error.refuse_vault_read())?;
    let Some(fact) = found else {
        return Ok(());
    };
    let shown = directory.display();
    Err(Refusal::new(
        RefusalCode::VaultPermissions,
        format!("owner or permissions of '{shown}' have changed"),
    )
    .because(fact)
    .next(
        format!("ls -ld {}", shell_word(directory)),
        "shows owner and permissions",
    ))
}
