//! The trial: the few things a vault must be able to do, done with a file of random bytes in its `cache`, which is gone
//! again afterwards, however the trial ends.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::host::disk::{self, Context};
use crate::host::random::random_bytes;
use crate::model::ids::to_hex;
use crate::vault::layout::Layout;

/// One thing a vault must be able to do; each stands on the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Write a file, make it durable, and read it back, from the device where the system allows.
    Write,
    /// Give a file a second name, and never one that is taken.
    Link,
    /// Rename a file, and never onto a name that is taken.
    Rename,
    /// Make names durable.
    Directory,
    /// Remove a file.
    Remove,
}

impl Step {
    /// All steps, in their order.
    pub const ALL: [Self; 5] = [
        Self::Write,
        Self::Link,
        Self::Rename,
        Self::Directory,
        Self::Remove,
    ];
}

/// What most file systems can do, and a vault does without.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ability {
    /// Names that differ in case only are two names.
    TellCase,
    /// There are symbolic links.
    LinkSymbolically,
    /// Times are kept to the nanosecond.
    KeepNanoseconds,
}

/// The files of one trial.
pub struct Trial {
    directory: PathBuf,
    first: PathBuf,
    second: PathBuf,
    bytes: [u8; 16],
}

impl Trial {
    /// Names the files; nothing is written yet.
    ///
    /// # Errors
    /// When the `cache` of the vault is not a directory: what is written must not go elsewhere.
    pub fn new(layout: &Layout) -> disk::Result<Self> {
        let directory = layout.cache();
        let metadata = directory
            .symlink_metadata()
            .context("look at", &directory)?;
        if !metadata.is_dir() {
            let other = std::io::Error::other("it is not a directory");
            return Err(disk::Error::new("write to", &directory, other));
        }
        let bytes: [u8; 16] = random_bytes().unwrap_or_default();
        let name = format!("probe-{}", to_hex(&bytes));
        Ok(Self {
            first: directory.join(&name),
            second: directory.join(format!("{name}-second")),
            directory,
            bytes,
        })
    }

    /// Takes one step.
    ///
    /// # Errors
    /// When the vault cannot do it.
    pub fn take(&self, step: Step) -> disk::Result<()> {
        let Self { first, second, .. } = self;
        match step {
            Step::Write => self.write_and_read(),
            Step::Link => {
                disk::link_new(first, second)?;
                must_be_taken(disk::link_new(first, second), second)
            }
            Step::Rename => {
                must_be_taken(disk::rename_new(first, second), second)?;
                remove(second)?;
                disk::rename_new(first, second)
            }
            Step::Directory => disk::sync_directory(&self.directory),
            Step::Remove => {
                remove(second)?;
                match second.symlink_metadata() {
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
                    _ => Err(unexpected("remove", second, "it is still there")),
                }
            }
        }
    }

    fn write_and_read(&self) -> disk::Result<()> {
        disk::write_new(&self.first, &self.bytes)?;
        let file = disk::open_regular(&self.first)?;
        disk::drop_from_cache(&file);
        if disk::read_bounded(&self.first, 64)? == self.bytes {
            Ok(())
        } else {
            let fact = "other bytes than were written";
            Err(unexpected("read back", &self.first, fact))
        }
    }

    /// When the file that was written was last changed, by the clock of the file system, in nanoseconds since the epoch;
    /// to be asked after [`Step::Write`].
    ///
    /// # Errors
    /// When the system does not say.
    pub fn written_ns(&self) -> disk::Result<i128> {
        let metadata = self.first.symlink_metadata();
        let metadata = metadata.context("look at", &self.first)?;
        Ok(i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec()))
    }

    /// Finds out what the file system cannot do beside the steps.
    ///
    /// # Errors
    /// When a file for it cannot be made.
    pub fn lacking(&self) -> disk::Result<Vec<Ability>> {
        let mut lacking = Vec::new();
        let lower = self.aside("case");
        let file = disk::create_new(&lower)?;
        if self.aside("CASE").symlink_metadata().is_ok() {
            lacking.push(Ability::TellCase);
        }
        let link = self.aside("link");
        match std::os::unix::fs::symlink("nowhere", &link) {
            Ok(()) => remove(&link)?,
            Err(_) => lacking.push(Ability::LinkSymbolically),
        }
        let moment: SystemTime = UNIX_EPOCH + Duration::new(1_000_000_000, 123_456_789);
        let is_kept = file.set_modified(moment).is_ok()
            && file
                .metadata()
                .is_ok_and(|metadata| metadata.mtime_nsec() == 123_456_789);
        if !is_kept {
            lacking.push(Ability::KeepNanoseconds);
        }
        remove(&lower)?;
        Ok(lacking)
    }

    fn aside(&self, word: &str) -> PathBuf {
        let mut name = self.first.clone().into_os_string();
        name.push("-");
        name.push(word);
        PathBuf::from(name)
    }
}

impl Drop for Trial {
    fn drop(&mut self) {
        let others = ["case", "link"].map(|word| self.aside(word));
        for path in [&self.first, &self.second].into_iter().chain(&others) {
            // Most often it is gone already; what cannot be removed is named like a probe and explains itself.
            drop(std::fs::remove_file(path));
        }
    }
}

fn remove(path: &Path) -> disk::Result<()> {
    std::fs::remove_file(path).context("remove", path)
}

fn unexpected(action: &'static str, path: &Path, fact: &'static str) -> disk::Error {
    disk::Error::new(action, path, std::io::Error::other(fact))
}

/// An attempt on a name that is taken must fail for just that reason.
fn must_be_taken(outcome: disk::Result<()>, path: &Path) -> disk::Result<()> {
    match outcome {
        Err(error) if error.is_already_there() => Ok(()),
        Err(error) => Err(error),
        Ok(()) => {
            let fact = "a name that was taken was given away";
            Err(unexpected("rely on", path, fact))
        }
    }
}
