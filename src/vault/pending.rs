//! Work that hooks have left to a worker: a mark outside vault and repository, which outlives a worker that is killed.
//!
//! A hook makes or renews `pending`. The worker renames it to `taken` before it looks at the repository, and removes that when a
//! snapshot holds what it saw: a mark made meanwhile is a file of its own, and is never lost.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::host::disk::{self, Context, Result};
use crate::host::lock;
use crate::model::hook_event::HookEvent;
use crate::vault::heartbeats::repository_key;

/// Largest mark read.
const LIMIT_BYTES: u64 = 4096;

/// The place of a repository's mark and lock, and of what is installed for it.
#[must_use]
pub fn directory(state_home: &Path, git_dir: &Path) -> PathBuf {
    state_home.join("hooks").join(repository_key(git_dir))
}

/// The mark of a repository.
#[derive(Debug, Clone)]
pub struct Pending {
    directory: PathBuf,
}

impl Pending {
    /// Names the place; nothing is touched yet.
    #[must_use]
    pub fn of(state_home: &Path, git_dir: &Path) -> Self {
        Self {
            directory: directory(state_home, git_dir),
        }
    }

    /// The mark itself, which the texts of hooks may make, too.
    #[must_use]
    pub fn file(&self) -> PathBuf {
        self.directory.join("pending")
    }

    fn taken(&self) -> PathBuf {
        self.directory.join("taken")
    }

    /// The file whose lock the worker holds.
    #[must_use]
    pub fn lock_file(&self) -> PathBuf {
        self.directory.join("lock")
    }

    /// Notes a command of git that makes many steps, of which the last one may be told by no hook: its process. Only a hint.
    pub fn note_command(&self, process: (u32, u64)) {
        let text = format!("{} {}\n", process.0, process.1);
        drop(disk::replace_cache(&self.command(), text.as_bytes()));
    }

    /// The process of the command that was noted last; it may have ended long ago.
    #[must_use]
    pub fn noted_command(&self) -> Option<(u32, u64)> {
        let bytes = disk::read_bounded(&self.command(), LIMIT_BYTES).ok()?;
        let text = String::from_utf8(bytes).ok()?;
        let (id, began) = text.trim().split_once(' ')?;
        Some((id.parse().ok()?, began.parse().ok()?))
    }

    /// The file in which it is noted.
    #[must_use]
    pub fn command(&self) -> PathBuf {
        self.directory.join("command")
    }

    /// Whether a hook has left work that no snapshot holds yet.
    #[must_use]
    pub fn is_any(&self) -> bool {
        self.file().exists() || self.taken().exists()
    }

    /// Marks that an event came. Not made durable: it must cost a commit nothing.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn mark(&self, event: HookEvent) -> Result<()> {
        match self.write(event) {
            Err(error) if error.is_not_found() => {
                disk::create_directories(&self.directory)?;
                self.write(event)
            }
            outcome => outcome,
        }
    }

    fn write(&self, event: HookEvent) -> Result<()> {
        let path = self.file();
        let mut options = OpenOptions::new();
        options.write(true).create(true).truncate(true);
        let file = options.mode(disk::FILE_MODE).open(&path);
        let mut file = file.context("open", &path)?;
        let line = format!("{}\n", event.name());
        file.write_all(line.as_bytes()).context("write", &path)
    }

    /// How long ago the newest mark was made; `None` when there is none that has not been taken.
    #[must_use]
    pub fn age(&self, now_ns: i128) -> Option<Duration> {
        let found = std::fs::metadata(self.file()).ok()?;
        let made = i128::from(found.mtime()) * 1_000_000_000 + i128::from(found.mtime_nsec());
        let nanoseconds = u64::try_from(now_ns - made).unwrap_or(0);
        Some(Duration::from_nanos(nanoseconds))
    }

    /// Takes the mark, also one that a worker took that did not come to its end; the event, or `None` when there is no mark.
    ///
    /// # Errors
    /// When it cannot be moved or read.
    pub fn take(&self) -> Result<Option<Option<HookEvent>>> {
        let (pending, taken) = (self.file(), self.taken());
        match std::fs::rename(&pending, &taken) {
            Err(error) if disk::is_nowhere(&error) => {}
            outcome => outcome.context("take", &pending)?,
        }
        match disk::read_bounded(&taken, LIMIT_BYTES) {
            Ok(bytes) => Ok(Some(HookEvent::parse(
                String::from_utf8_lossy(&bytes).trim(),
            ))),
            Err(error) if error.is_nowhere() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Says that a snapshot holds what was taken.
    ///
    /// # Errors
    /// When the mark is there and cannot be removed.
    pub fn finish(&self) -> Result<()> {
        let taken = self.taken();
        match std::fs::remove_file(&taken) {
            Err(error) if disk::is_nowhere(&error) => Ok(()),
            outcome => outcome.context("remove", &taken),
        }
    }

    /// The lock of the worker, if nobody holds it.
    ///
    /// # Errors
    /// When the file cannot be made or the file system knows no locks.
    pub fn try_lock(&self) -> Result<Option<File>> {
        let lock = lock::lock(&self.lock_file(), Duration::ZERO)?;
        Ok(lock.map(lock::Lock::into_file))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_made_while_another_is_taken_is_not_lost() {
        let state = tempfile::tempdir().unwrap();
        let pending = Pending::of(state.path(), Path::new("/a/.git"));
        assert_eq!(pending.take().unwrap(), None);
        pending.mark(HookEvent::PostCommit).unwrap();
        assert_eq!(pending.take().unwrap(), Some(Some(HookEvent::PostCommit)));
        pending.mark(HookEvent::PostMerge).unwrap();
        pending.finish().unwrap();
        assert!(pending.is_any());
        assert_eq!(pending.take().unwrap(), Some(Some(HookEvent::PostMerge)));
        assert!(pending.is_any(), "a worker that dies leaves it");
        assert_eq!(pending.take().unwrap(), Some(Some(HookEvent::PostMerge)));
        pending.finish().unwrap();
        assert!(!pending.is_any());
    }

    #[test]
    fn one_process_at_a_time_has_the_lock() {
        let state = tempfile::tempdir().unwrap();
        let pending = Pending::of(state.path(), Path::new("/a/.git"));
        pending.mark(HookEvent::PostCommit).unwrap();
        let held = pending.try_lock().unwrap().unwrap();
        assert!(pending.try_lock().unwrap().is_none());
        lock::unlock(&held, &pending.lock_file()).unwrap();
        assert!(pending.try_lock().unwrap().is_some());
    }
}
