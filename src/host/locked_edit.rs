//! Changes a configuration file of git as git itself does: under the lock that git heeds, by one rename.

use std::fs::{OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::host::disk::{self, Context, Error, Result};

/// Largest configuration file that is changed.
const LIMIT_BYTES: u64 = 1 << 26;

/// Permissions of a new configuration file, as git gives them.
const NEW_MODE: u32 = 0o644;

/// What is to become of a file.
#[derive(Debug)]
pub enum Change {
    /// It stays as it is.
    Nothing,
    /// It gets this content.
    Content(Vec<u8>),
    /// It is removed.
    Removal,
}

/// A configuration file with the lock held.
pub struct LockedFile {
    target: PathBuf,
    lock: PathBuf,
    file: std::fs::File,
    content: Option<Vec<u8>>,
}

impl LockedFile {
    /// Takes the lock of a file, which need not be there, and reads it. Where the path is a link, all is about what it leads to,
    /// and the link stays.
    ///
    /// # Errors
    /// When somebody holds the lock ([`Error::is_already_there`]), or the file cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let target = match std::fs::canonicalize(path) {
            Err(error) if disk::is_nowhere(&error) && path.symlink_metadata().is_err() => {
                path.to_owned()
            }
            target => target.context("find", path)?,
        };
        let mut lock = target.clone().into_os_string();
        lock.push(".lock");
        let lock = PathBuf::from(lock);
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(disk::FILE_MODE);
        let file = options.open(&lock).context("lock", &lock)?;
        let mut locked = Self {
            target,
            lock,
            file,
            content: None,
        };
        match disk::read_bounded(&locked.target, LIMIT_BYTES) {
            Ok(content) => locked.content = Some(content),
            Err(error) if error.is_not_found() => {}
            Err(error) => return Err(locked.give_up(error)),
        }
        Ok(locked)
    }

    /// What the file holds; `None` when it is not there.
    #[must_use]
    pub fn content(&self) -> Option<&[u8]> {
        self.content.as_deref()
    }

    /// Changes the file, durably, and gives the lock back.
    ///
    /// # Errors
    /// When it cannot be done; the file is then as it was.
    pub fn finish(mut self, change: &Change) -> Result<()> {
        match change {
            Change::Nothing => std::fs::remove_file(&self.lock).context("remove", &self.lock),
            Change::Content(content) => {
                if let Err(error) = self.write(content) {
                    return Err(self.give_up(error));
                }
                if let Err(error) = std::fs::rename(&self.lock, &self.target) {
                    let error = Error::new("replace", &self.target, error);
                    return Err(self.give_up(error));
                }
                self.target.parent().map_or(Ok(()), disk::sync_directory)
            }
            Change::Removal => {
                let removed = std::fs::remove_file(&self.target).context("remove", &self.target);
                std::fs::remove_file(&self.lock).context("remove", &self.lock)?;
                removed
            }
        }
    }

    fn write(&mut self, content: &[u8]) -> Result<()> {
        let mode = match std::fs::metadata(&self.target) {
            Ok(found) => found.permissions().mode() & 0o7777,
            Err(_) => NEW_MODE,
        };
        self.file.write_all(content).context("write", &self.lock)?;
        let permissions = Permissions::from_mode(mode);
        self.file
            .set_permissions(permissions)
            .context("set the permissions of", &self.lock)?;
        self.file.sync_all().context("make durable", &self.lock)
    }

    /// Gives the lock back because of an error, which says more than a lock that cannot be removed.
    fn give_up(self, error: Error) -> Error {
        drop(std::fs::remove_file(&self.lock));
        error
    }
}
