//! Changes a configuration file of git as git itself does: under the lock that git heeds, by one rename. The lock is held only from
//! the moment at which the new content is whole and durable, so that hardly any interruption can leave it behind.

use std::fs::{File, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::host::disk::{self, Context, Error, Result};
use crate::host::nameless;

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

/// Who holds the lock of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Holder {
    /// Git, or another program.
    Somebody,
    /// Nobody any more: it holds what was about to be written now, by a run of this program that was interrupted.
    LeftByUs,
}

/// A configuration file as it was read, to be changed if it still is that.
pub struct LockedEdit {
    target: PathBuf,
    lock: PathBuf,
    content: Option<Vec<u8>>,
}

/// A file that will be the lock, and then the configuration.
enum Prepared {
    /// It has no name yet, and is gone by itself when this process ends.
    Nameless(File),
    /// It is the lock already, for this system gives files names from the beginning.
    Named(File),
}

impl LockedEdit {
    /// Reads a file, which need not be there. Where the path is a link, all is about what it leads to, and the link stays.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn open(path: &Path) -> Result<Self> {
        let target = match std::fs::canonicalize(path) {
            Err(error) if disk::is_nowhere(&error) && path.symlink_metadata().is_err() => {
                path.to_owned()
            }
            target => target.context("find", path)?,
        };
        let mut lock = target.clone().into_os_string();
        lock.push(".lock");
        Ok(Self {
            content: read(&target)?,
            lock: PathBuf::from(lock),
            target,
        })
    }

    /// What the file holds; `None` when it is not there.
    #[must_use]
    pub fn content(&self) -> Option<&[u8]> {
        self.content.as_deref()
    }

    /// The lock that git heeds.
    #[must_use]
    pub fn lock(&self) -> &Path {
        &self.lock
    }

    /// Who holds the lock, seen by someone who wants to make this change; `None` when it is free.
    #[must_use]
    pub fn holder(&self, change: &Change) -> Option<Holder> {
        self.lock.symlink_metadata().ok()?;
        let left = match change {
            Change::Content(content) => {
                disk::read_bounded(&self.lock, LIMIT_BYTES).is_ok_and(|held| held == *content)
            }
            Change::Nothing | Change::Removal => false,
        };
        Some(if left {
            Holder::LeftByUs
        } else {
            Holder::Somebody
        })
    }

    /// Changes the file, durably.
    ///
    /// # Errors
    /// When somebody holds the lock ([`Error::is_already_there`]), or the file is not what was read any more, or a step fails; the file
    /// is then as it was.
    pub fn finish(self, change: &Change) -> Result<()> {
        let (content, is_removal) = match change {
            Change::Nothing => return Ok(()),
            Change::Content(content) => (content.as_slice(), false),
            Change::Removal => (&[][..], true),
        };
        let file = self.prepare()?;
        let written = match &file {
            Prepared::Nameless(file) => self
                .write(file, content)
                .and_then(|()| nameless::give_name(file, &self.lock)),
            Prepared::Named(file) => self
                .write(file, content)
                .map_err(|error| self.give_up(error)),
        };
        written?;
        if read(&self.target).ok().as_ref() != Some(&self.content) {
            let other = std::io::Error::other("somebody has changed it meanwhile");
            return Err(self.give_up(Error::new("replace", &self.target, other)));
        }
        if is_removal {
            let removed = std::fs::remove_file(&self.target).context("remove", &self.target);
            std::fs::remove_file(&self.lock).context("remove", &self.lock)?;
            return removed;
        }
        if let Err(error) = std::fs::rename(&self.lock, &self.target) {
            let error = Error::new("replace", &self.target, error);
            return Err(self.give_up(error));
        }
        self.target.parent().map_or(Ok(()), disk::sync_directory)
    }

    /// A file for the new content: without a name, where the system has such files.
    fn prepare(&self) -> Result<Prepared> {
        let directory = self.target.parent().unwrap_or(Path::new("."));
        if let Some(file) = nameless::create(directory, disk::FILE_MODE) {
            return Ok(Prepared::Nameless(file));
        }
        let mut options = OpenOptions::new();
        options.write(true).create_new(true).mode(disk::FILE_MODE);
        let file = options.open(&self.lock).context("lock", &self.lock)?;
        Ok(Prepared::Named(file))
    }

    fn write(&self, mut file: &File, content: &[u8]) -> Result<()> {
        let mode = match std::fs::metadata(&self.target) {
            Ok(found) => found.permissions().mode() & 0o7777,
            Err(_) => NEW_MODE,
        };
        file.write_all(content).context("write", &self.lock)?;
        file.set_permissions(Permissions::from_mode(mode))
            .context("set the permissions of", &self.lock)?;
        file.sync_all().context("make durable", &self.lock)
    }

    /// Gives the lock back because of an error, which says more than a lock that cannot be removed.
    fn give_up(&self, error: Error) -> Error {
        drop(std::fs::remove_file(&self.lock));
        error
    }
}

fn read(target: &Path) -> Result<Option<Vec<u8>>> {
    match disk::read_bounded(target, LIMIT_BYTES) {
        Ok(content) => Ok(Some(content)),
        Err(error) if error.is_not_found() => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(path: &Path) -> String {
        std::fs::read_to_string(path).unwrap()
    }

    #[test]
    fn the_lock_is_held_for_the_exchange_only_and_given_back() {
        let place = tempfile::tempdir().unwrap();
        let config = place.path().join("config");
        std::fs::write(&config, "old").unwrap();
        std::fs::set_permissions(&config, Permissions::from_mode(0o640)).unwrap();
        let edit = LockedEdit::open(&config).unwrap();
        assert_eq!(edit.content(), Some(&b"old"[..]));
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
        edit.finish(&Change::Content(b"new".to_vec())).unwrap();
        assert_eq!(text(&config), "new");
        let mode = std::fs::metadata(&config).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o640);
        let edit = LockedEdit::open(&config).unwrap();
        edit.finish(&Change::Nothing).unwrap();
        assert_eq!(text(&config), "new");
        let edit = LockedEdit::open(&config).unwrap();
        edit.finish(&Change::Removal).unwrap();
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 0);
    }

    #[test]
    fn what_others_hold_or_have_changed_meanwhile_stays() {
        let place = tempfile::tempdir().unwrap();
        let (config, lock) = (
            place.path().join("config"),
            place.path().join("config.lock"),
        );
        std::fs::write(&config, "old").unwrap();
        let change = Change::Content(b"new".to_vec());
        let edit = LockedEdit::open(&config).unwrap();
        assert_eq!(edit.holder(&change), None);
        std::fs::write(&config, "theirs").unwrap();
        assert!(edit.finish(&change).is_err());
        assert_eq!(text(&config), "theirs");
        assert!(!lock.exists());
        for (held, holder) in [("", Holder::Somebody), ("new", Holder::LeftByUs)] {
            std::fs::write(&lock, held).unwrap();
            let edit = LockedEdit::open(&config).unwrap();
            assert_eq!(edit.holder(&change), Some(holder));
            assert!(edit.finish(&change).unwrap_err().is_already_there());
            assert_eq!((text(&config), text(&lock)), ("theirs".into(), held.into()));
        }
    }
}
