//! A directory for work that leaves nothing behind when all is well, and stays as evidence when it is not.

use std::fs::File;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, openat};

use crate::host::disk::{self, Context, Result};
use crate::host::metadata::{self, Kind};
use crate::host::walk::join;

/// A directory that this process made, for its owner only. Dropping it leaves it where it is.
pub struct Scratch {
    path: PathBuf,
}

impl Scratch {
    /// Makes the directory, which must not be there.
    ///
    /// # Errors
    /// When the name is taken or the system says no.
    pub fn make(path: &Path) -> Result<Self> {
        disk::create_directory(path)?;
        Ok(Self {
            path: path.to_owned(),
        })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Removes it if nothing is in it; whether that was so.
    #[must_use]
    pub fn remove_if_empty(&self) -> bool {
        // rmdir(2) removes nothing but an empty directory.
        std::fs::remove_dir(&self.path).is_ok()
    }

    /// Removes it with everything in it. No link is followed.
    ///
    /// # Errors
    /// When something in it cannot be removed.
    pub fn remove(self) -> Result<()> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = rustix::fs::open(&self.path, flags, Mode::empty());
        let root = File::from(root.context("open", &self.path)?);
        open_up(&root, &self.path)?;
        std::fs::remove_dir_all(&self.path).context("remove", &self.path)
    }
}

/// Lets the owner write into every directory: restored ones have the modes that were captured. One is open at a time, for
/// a workspace may have more of them than a process may open.
fn open_up(root: &File, shown: &Path) -> Result<()> {
    let mut pending = vec![Vec::new()];
    while let Some(path) = pending.pop() {
        let directory = open_at(root, &path, shown)?;
        metadata::set_mode(&directory, disk::DIRECTORY_MODE, shown)?;
        for name in names(&directory, shown)? {
            if metadata::look_in(&directory, &name, shown)?.kind() == Kind::Directory {
                pending.push(join(&path, &name));
            }
        }
    }
    Ok(())
}

/// Opens a directory below `root`, one step at a time, following no link.
fn open_at(root: &File, path: &[u8], shown: &Path) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut open = File::from(openat(root, ".", flags, Mode::empty()).context("open", shown)?);
    let parts = path.split(|byte| *byte == b'/');
    for name in parts.filter(|name| !name.is_empty()) {
        open = File::from(openat(&open, name, flags, Mode::empty()).context("open", shown)?);
    }
    Ok(open)
}

/// The names in an open directory, sorted.
///
/// # Errors
/// When it cannot be listed; `shown` is for the message.
pub fn names(directory: &File, shown: &Path) -> Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory).context("list", shown)? {
        let entry = entry.context("list", shown)?;
        let name = entry.file_name().to_bytes();
        if name != b"." && name != b".." {
            names.push(name.to_vec());
        }
    }
    names.sort_unstable();
    Ok(names)
}
