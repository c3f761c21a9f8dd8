//! An open directory, and what lies in it: whatever stands under its path meanwhile.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{Dir, Mode, OFlags, openat};

use crate::host::disk::{Context, Error, Result};

/// Opens a regular file by its name in an open directory, without following a link and without waiting on a FIFO; `path` is for messages.
///
/// # Errors
/// When it cannot be opened or is not a regular file.
pub fn open_regular_in(directory: &File, name: &str, path: &Path) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(directory, name, flags, Mode::empty()).context("open", path)?;
    let file = File::from(file);
    if file.metadata().context("look at", path)?.is_file() {
        Ok(file)
    } else {
        let other = std::io::Error::other("not a regular file");
        Err(Error::new("read", path, other))
    }
}

/// Opens a directory, without following a link at the end of the path and without waiting on a FIFO.
///
/// # Errors
/// When it cannot be opened or is no directory.
pub fn open_directory(path: &Path) -> Result<File> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .context("open", path)
}

/// The names in a directory that lies in an open one, sorted; `path` is for messages.
///
/// # Errors
/// When it cannot be listed.
pub fn list_in(directory: &File, name: &str, path: &Path) -> Result<Vec<OsString>> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = openat(directory, name, flags, Mode::empty()).context("list", path)?;
    let mut names = Vec::new();
    for entry in Dir::new(open).context("list", path)? {
        let entry = entry.context("list", path)?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(OsString::from_vec(name.to_vec()));
        }
    }
    names.sort();
    Ok(names)
}
