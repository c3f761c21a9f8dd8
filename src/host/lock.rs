//! Locks on files, by which processes of this program wait for one another.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use crate::host::disk::{Context, Error, FILE_MODE, Result, open_regular};

/// A lock that other processes of this program wait for. The system gives it back when the process ends, however it ends.
#[derive(Debug)]
#[must_use = "a lock that is dropped is given back"]
pub struct Lock {
    file: File,
}

impl Lock {
    /// The open file that holds the lock, to be handed over to another process.
    #[must_use = "a lock that is dropped is given back"]
    pub fn into_file(self) -> File {
        self.file
    }
}

/// Gives back the lock that an open file holds.
///
/// # Errors
/// When the file system knows no locks.
pub fn unlock(file: &File, path: &Path) -> Result<()> {
    rustix::fs::flock(file, rustix::fs::FlockOperation::Unlock).context("unlock", path)
}

/// Takes the lock for an open file, if nobody else holds it; whether it has it now.
#[must_use]
pub fn lock_again(file: &File) -> bool {
    rustix::fs::flock(file, rustix::fs::FlockOperation::NonBlockingLockExclusive).is_ok()
}

/// Waits for the lock on a file, which is made when it is not there; `None` when others hold it for too long.
///
/// # Errors
/// When the file cannot be made or the file system knows no locks.
pub fn lock(path: &Path, patience: Duration) -> Result<Option<Lock>> {
    let mut options = OpenOptions::new();
    let file = options
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(FILE_MODE)
        .open(path);
    wait_for(file.context("open", path)?, path, patience)
}

/// Waits for the lock on a file that is there and is not changed by it; `None` when others hold it for too long.
///
/// # Errors
/// When the file cannot be opened or the file system knows no locks.
pub fn lock_existing(path: &Path, patience: Duration) -> Result<Option<Lock>> {
    let locked = wait_for(File::open(path).context("open", path)?, path, patience);
    match locked {
        // Some file systems lock only what is open for writing. Elsewhere nothing is: a disk may become read-only meanwhile.
        Err(error) if error.source.raw_os_error() == Some(BAD_DESCRIPTOR) => {
            let file = OpenOptions::new().read(true).write(true).open(path);
            wait_for(file.context("open", path)?, path, patience)
        }
        locked => locked,
    }
}

/// A lock that any number of processes hold together.
#[derive(Debug)]
pub struct SharedLock {
    file: File,
}

impl SharedLock {
    /// Takes it alone, if nobody else holds it now; whether this process has it alone from here on. Otherwise it may be lost.
    #[must_use]
    pub fn take_alone(&self) -> bool {
        lock_again(&self.file)
    }

    /// Lets others have it too.
    pub fn share_again(&self) {
        // Whoever has it alone can share it; whoever has lost it meanwhile waits for nobody.
        let operation = rustix::fs::FlockOperation::NonBlockingLockShared;
        let _shared = rustix::fs::flock(&self.file, operation);
    }
}

/// Waits until a file is locked together with others; `None` when somebody has it alone for too long.
///
/// # Errors
/// When the file cannot be opened or the file system knows no locks.
pub fn share(path: &Path, patience: Duration) -> Result<Option<SharedLock>> {
    let file = open_regular(path)?;
    let operation = rustix::fs::FlockOperation::NonBlockingLockShared;
    let has_it = wait_until(&file, path, patience, operation)?;
    Ok(has_it.then_some(SharedLock { file }))
}

/// Whether somebody holds the lock on a file; where that cannot be told, nobody does.
#[must_use]
pub fn is_locked(path: &Path) -> bool {
    use rustix::fs::{FlockOperation, flock};
    let held = |file: File| flock(&file, FlockOperation::NonBlockingLockShared);
    open_regular(path).map(held).ok() == Some(Err(rustix::io::Errno::WOULDBLOCK))
}

/// What the system answers when a file is not open for what is wanted.
const BAD_DESCRIPTOR: i32 = rustix::io::Errno::BADF.raw_os_error();

fn wait_for(file: File, path: &Path, patience: Duration) -> Result<Option<Lock>> {
    let operation = rustix::fs::FlockOperation::NonBlockingLockExclusive;
    let has_it = wait_until(&file, path, patience, operation)?;
    Ok(has_it.then_some(Lock { file }))
}

fn wait_until(
    file: &File,
    path: &Path,
    patience: Duration,
    operation: rustix::fs::FlockOperation,
) -> Result<bool> {
    const STEP: Duration = Duration::from_millis(20);
    let mut waited = Duration::ZERO;
    loop {
        match rustix::fs::flock(file, operation) {
            Ok(()) => return Ok(true),
            Err(rustix::io::Errno::WOULDBLOCK) if waited < patience => {
                std::thread::sleep(STEP);
                waited += STEP;
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Ok(false),
            Err(error) => return Err(Error::new("lock", path, error.into())),
        }
    }
}
