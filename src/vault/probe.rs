//! The health probe: a vault takes a snapshot only when it has just shown that it keeps what is written to it.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use crate::host::disk::{self, Context};
use crate::host::random::random_bytes;
use crate::model::ids::to_hex;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::vault::layout::Layout;

/// Room that must be left on the vault's file system after a snapshot.
pub const RESERVE_BYTES: u64 = 16 << 20;

/// Proof that the probe passed; only [`probe`] makes one.
#[derive(Debug)]
#[must_use = "a probe that nobody asks for proves nothing"]
pub struct Probed(());

/// Checks owner, permissions and space, then writes a file, makes it durable, reads it back, renames it, links it and
/// removes it.
///
/// # Errors
/// [`RefusalCode::VaultPermissions`], [`RefusalCode::VaultSpace`] or [`RefusalCode::VaultProbeFailed`].
pub fn probe(layout: &Layout, needed_bytes: u64) -> Result<Probed> {
    check_permissions(layout.root())?;
    check_space(layout.root(), needed_bytes)?;
    let random: [u8; 16] = random_bytes().unwrap_or_default();
    write_and_read(layout, &random).map_err(|error| {
        Refusal::new(
            RefusalCode::VaultProbeFailed,
            format!(
                "the vault at '{}' does not keep what is written",
                layout.root().display()
            ),
        )
        .because(error.to_string())
        .next(
            format!("df -h '{}'", layout.root().display()),
            "shows space and where it is mounted",
        )
    })?;
    Ok(Probed(()))
}

/// Refuses when there is not enough room for `needed_bytes` and the reserve.
///
/// # Errors
/// [`RefusalCode::VaultSpace`], or when the system does not say.
pub fn check_space(root: &Path, needed_bytes: u64) -> Result<()> {
    let free =
        disk::free_bytes(root).map_err(|error| error.refuse(RefusalCode::VaultProbeFailed))?;
    let wanted = needed_bytes.saturating_add(RESERVE_BYTES);
    if free >= wanted {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalCode::VaultSpace,
        format!("not enough room at '{}'", root.display()),
    )
    .because(format!("{wanted} bytes are needed, {free} are free"))
    .next(
        format!("df -h '{}'", root.display()),
        "shows space and where it is mounted",
    ))
}

fn check_permissions(root: &Path) -> Result<()> {
    let metadata = std::fs::symlink_metadata(root)
        .context("look at", root)
        .map_err(|error| error.refuse_vault_read())?;
    let drift = |fact: String| {
        Err(Refusal::new(
            RefusalCode::VaultPermissions,
            format!("owner or permissions of '{}' have changed", root.display()),
        )
        .because(fact)
        .next(
            format!("ls -ld '{}'", root.display()),
            "shows owner and permissions",
        ))
    };
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user {
        return drift(format!(
            "it belongs to user {}, expected user {user}",
            metadata.uid()
        ));
    }
    let mode = metadata.permissions().mode() & 0o777;
    if mode & 0o077 != 0 {
        return drift(format!("its permissions are {mode:o}, expected 700"));
    }
    Ok(())
}

fn write_and_read(layout: &Layout, random: &[u8; 16]) -> disk::Result<()> {
    let directory = layout.cache();
    let first = directory.join(format!("probe-{}", to_hex(random)));
    let second = directory.join(format!("probe-{}-renamed", to_hex(random)));
    disk::write_new(&first, random)?;
    disk::rename_new(&first, &second)?;
    disk::link_new(&second, &first)?;
    disk::sync_directory(&directory)?;
    let file = disk::open_regular(&first)?;
    disk::drop_from_cache(&file);
    let read = disk::read_bounded(&first, 64)?;
    for path in [&first, &second] {
        std::fs::remove_file(path).context("remove", path)?;
    }
    if read == random {
        Ok(())
    } else {
        Err(disk::Error::new(
            "read back",
            &first,
            std::io::Error::other("other bytes than were written"),
        ))
    }
}
