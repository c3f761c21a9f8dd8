//! Removes what nobody needs: files of packs that went, directories and refs of dropped snapshots, remains of an optimize that was
//! stopped. The log says what they are; not a byte of what it names is touched.

use std::path::{Path, PathBuf};

use crate::host::disk::{self, Context};
use crate::vault::inspect::Vault;
use crate::vault::layout::ANNOUNCED;

/// Largest list of packed refs that is read.
const LIMIT_BYTES: u64 = 64 << 20;

/// Files that git derives from packs, and that name packs or objects that are gone.
const DERIVED: [&str; 3] = ["packs", "commit-graph", "commit-graphs"];

/// What was removed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Removed {
    /// Bytes of the packs that were removed.
    pub bytes: u64,
    /// What stays for the next time, because somebody reads the vault.
    pub waiting: u64,
}

/// Removes what the log does not name any more, unless somebody reads the vault now.
///
/// # Errors
/// When something cannot be removed: what is left is removed the next time.
pub fn remove(vault: &mut Vault) -> disk::Result<Removed> {
    let gone = &vault.leftovers.gone;
    if gone.is_empty() {
        return Ok(Removed::default());
    }
    let Some(reading) = vault
        .reading
        .as_ref()
        .filter(|reading| reading.take_alone())
    else {
        return Ok(Removed {
            bytes: 0,
            waiting: gone.len() as u64,
        });
    };
    let removed = remove_all(vault);
    reading.share_again();
    if removed.is_ok() {
        vault.leftovers.gone.clear();
    }
    removed
}

fn remove_all(vault: &Vault) -> disk::Result<Removed> {
    let gone = &vault.leftovers.gone;
    let layout = &vault.layout;
    unpack_refs(vault)?;
    let is_file = |path: &&PathBuf| path.starts_with(layout.packs());
    let files: Vec<&PathBuf> = gone.iter().filter(is_file).collect();
    if !files.is_empty() {
        remove_derived(vault)?;
    }
    let mut bytes = 0;
    for path in &files {
        bytes += path.symlink_metadata().map_or(0, |found| found.len());
        remove_file(path)?;
    }
    if !files.is_empty() {
        // What explains packs must not go, in a power cut, before they do.
        disk::sync_directory(&layout.packs())?;
    }
    for path in gone.iter().filter(|path| !path.starts_with(layout.packs())) {
        if path.starts_with(layout.snapshots()) {
            bytes += remove_directory(path)?;
        } else {
            remove_file(path)?;
        }
    }
    disk::sync_directory(&layout.snapshots())?;
    Ok(Removed { bytes, waiting: 0 })
}

fn remove_file(path: &Path) -> disk::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        removed => removed.context("remove", path),
    }
}

/// Removes a directory, what explains packs last; gives how many bytes its files had.
fn remove_directory(path: &Path) -> disk::Result<u64> {
    let mut bytes = 0;
    for name in disk::list(path)? {
        let inner = path.join(&name);
        let found = inner.symlink_metadata().context("look at", &inner)?;
        if found.is_dir() {
            std::fs::remove_dir_all(&inner).context("remove", &inner)?;
        } else if name != ANNOUNCED {
            bytes += found.len();
            remove_file(&inner)?;
        }
    }
    std::fs::remove_dir_all(path).context("remove", path)?;
    Ok(bytes)
}

/// What git derived from packs names some that go; git makes it anew when it is asked to.
fn remove_derived(vault: &Vault) -> disk::Result<()> {
    let packs = vault.layout.packs();
    for name in disk::list(&packs)? {
        if name.to_string_lossy().starts_with("multi-pack-index") {
            let path = packs.join(name);
            match path.symlink_metadata() {
                Ok(found) if found.is_dir() => {
                    std::fs::remove_dir_all(&path).context("remove", &path)?;
                }
                _ => remove_file(&path)?,
            }
        }
    }
    for name in DERIVED {
        let path = vault.layout.root().join("objects/info").join(name);
        match path.symlink_metadata() {
            Ok(found) if found.is_dir() => {
                std::fs::remove_dir_all(&path).context("remove", &path)?;
            }
            Ok(_) => remove_file(&path)?,
            Err(_) => {}
        }
    }
    Ok(())
}

/// Takes the refs of dropped snapshots out of git's list of packed refs, if somebody let git make one.
fn unpack_refs(vault: &Vault) -> disk::Result<()> {
    let path = vault.layout.root().join("packed-refs");
    let bytes = match disk::read_bounded(&path, LIMIT_BYTES) {
        Err(error) if error.is_not_found() => return Ok(()),
        bytes => bytes?,
    };
    let is_dropped = |line: &[u8]| {
        let name = line.trim_ascii_end().rsplit(|byte| *byte == b' ').next();
        let id = name.and_then(|name| name.strip_prefix(b"refs/snapshots/"));
        let id = id.and_then(|id| std::str::from_utf8(id).ok()?.parse().ok());
        id.is_some_and(|id| vault.log.find_dropped(&id).is_some())
    };
    let lines = bytes.split_inclusive(|byte| *byte == b'\n');
    let kept: Vec<u8> = lines
        .filter(|line| !is_dropped(line))
        .flatten()
        .copied()
        .collect();
    if kept == bytes {
        return Ok(());
    }
    disk::replace(&path, &kept)
}
