//! Owner and permissions of a vault's files, against those with which they were made.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::host::disk::{self, Context, DIRECTORY_MODE, FILE_MODE};
use crate::vault::layout::{DIRECTORIES, Layout, TOLERATED};

/// Something that is not as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drift {
    /// What.
    pub path: PathBuf,
    /// How.
    pub fact: String,
}

/// The directories that every vault has, the vault itself first.
#[must_use]
pub fn skeleton(layout: &Layout) -> Vec<PathBuf> {
    let mut all = vec![layout.root().to_owned(), layout.cache()];
    all.extend(DIRECTORIES.iter().map(|name| layout.root().join(name)));
    all
}

/// How a file or directory is open to others, or not ours; `None` when it is neither.
///
/// # Errors
/// When it cannot be looked at.
pub fn opened(path: &Path) -> disk::Result<Option<String>> {
    let metadata = path.symlink_metadata().context("look at", path)?;
    Ok(foreign(&metadata).or_else(|| {
        let mode = permissions(&metadata);
        let expected = made_as(&metadata);
        (mode & 0o077 != 0).then(|| format!("its permissions are {mode:o}, expected {expected:o}"))
    }))
}

/// Everything that this program made in the vault and that is not as it was made. Files that git derives, and remains that
/// were set aside, are as whoever made them left them.
#[must_use]
pub fn everywhere(layout: &Layout) -> Vec<Drift> {
    let mut all = Vec::new();
    let mut pending = vec![layout.root().to_owned()];
    while let Some(path) = pending.pop() {
        match changed(&path) {
            Ok(fact) => all.extend(fact.map(|fact| Drift {
                path: path.clone(),
                fact,
            })),
            Err(error) => all.push(Drift {
                fact: error.to_string(),
                path: path.clone(),
            }),
        }
        let is_directory = path
            .symlink_metadata()
            .is_ok_and(|metadata| metadata.is_dir());
        if !is_directory || path == layout.incidents() {
            continue;
        }
        match disk::list(&path) {
            Ok(names) => {
                let ours = names.iter().filter(|name| !is_derived(layout, &path, name));
                pending.extend(ours.rev().map(|name| path.join(name)));
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => all.push(Drift {
                fact: error.to_string(),
                path,
            }),
        }
    }
    all
}

/// How a file or directory differs from how this program makes them.
fn changed(path: &Path) -> disk::Result<Option<String>> {
    let metadata = match path.symlink_metadata() {
        // Another process may have removed a temporary file since it was listed.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        metadata => metadata.context("look at", path)?,
    };
    if !metadata.is_dir() && !metadata.is_file() {
        return Ok(Some("it is neither a file nor a directory".to_owned()));
    }
    Ok(foreign(&metadata).or_else(|| {
        let (mode, expected) = (permissions(&metadata), made_as(&metadata));
        (mode != expected).then(|| format!("its permissions are {mode:o}, expected {expected:o}"))
    }))
}

fn foreign(metadata: &std::fs::Metadata) -> Option<String> {
    let user = rustix::process::geteuid().as_raw();
    let owner = metadata.uid();
    (owner != user).then(|| format!("it belongs to user {owner}, expected user {user}"))
}

fn permissions(metadata: &std::fs::Metadata) -> u32 {
    metadata.permissions().mode() & 0o777
}

fn made_as(metadata: &std::fs::Metadata) -> u32 {
    if metadata.is_dir() {
        DIRECTORY_MODE
    } else {
        FILE_MODE
    }
}

/// Whether git, and not this program, makes a file of that name there.
fn is_derived(layout: &Layout, directory: &Path, name: &std::ffi::OsStr) -> bool {
    let name = name.to_string_lossy();
    let ends_in = |ending: &str| {
        Path::new(&*name)
            .extension()
            .is_some_and(|found| found == ending)
    };
    directory == layout.root() && TOLERATED.contains(&&*name)
        || directory == layout.root().join("objects/info")
        || directory == layout.packs()
            && (name.starts_with("multi-pack-index") || ends_in("rev") || ends_in("bitmap"))
        || directory == layout.root().join("refs") && name == "tags"
}
