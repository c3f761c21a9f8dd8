//! A settings file of another program: read with what it is, and replaced as a whole, so that nobody ever sees half of it.

use std::io::Write as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::host::disk::{self, Context as _, Error, Result};
use crate::host::metadata::{self, Fingerprint};

/// Largest settings file that is edited.
const LIMIT_BYTES: u64 = 16 << 20;

/// The permissions of a settings file that is made.
const MODE: u32 = 0o600;

/// A settings file, or the place where there is none yet.
#[derive(Debug)]
pub struct SettingsFile {
    /// Where the other program looks for it.
    path: PathBuf,
    /// Where it lies: the end of the links, if there are any.
    real: PathBuf,
    found: Option<Found>,
}

#[derive(Debug)]
struct Found {
    text: String,
    fingerprint: Fingerprint,
}

fn unfit(path: &Path, reason: &str) -> Error {
    Error::new("edit", path, std::io::Error::other(reason.to_owned()))
}

impl SettingsFile {
    /// Reads the file, by way of links.
    ///
    /// # Errors
    /// When it cannot be read, is no text, or a link leads nowhere.
    pub fn read(path: &Path) -> Result<Self> {
        let nothing = |real: PathBuf| Self {
            path: path.to_owned(),
            real,
            found: None,
        };
        match std::fs::symlink_metadata(path) {
            Err(error) if disk::is_nowhere(&error) => return Ok(nothing(path.to_owned())),
            looked => looked.context("look at", path)?,
        };
        let real = std::fs::canonicalize(path).context("follow", path)?;
        let file = disk::open_regular(&real)?;
        let fingerprint = metadata::look_at_open(&file, &real)?;
        let bytes = disk::read_bounded(&real, LIMIT_BYTES)?;
        if metadata::look_at(&real)? != fingerprint {
            return Err(unfit(path, "it was changed while it was read"));
        }
        let text = String::from_utf8(bytes).map_err(|_not_text| unfit(path, "it is not text"))?;
        Ok(Self {
            path: path.to_owned(),
            real,
            found: Some(Found { text, fingerprint }),
        })
    }

    /// Where the other program looks for it.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Its text; nothing if there is no such file.
    #[must_use]
    pub fn text(&self) -> Option<&str> {
        self.found.as_ref().map(|found| found.text.as_str())
    }

    /// Puts a text in place of what was read, by way of a file beside it. Owner, group, permissions, access list and extended attributes
    /// stay, and so do links that lead to it.
    ///
    /// # Errors
    /// When the file is not the one that was read any more, belongs to somebody else or may not be written, or a step fails; the
    /// old file is then still in place.
    pub fn replace(&self, text: &str) -> Result<()> {
        let directory = self.real.parent().unwrap_or(Path::new("/"));
        self.check()?;
        let mut file = tempfile::Builder::new()
            .prefix(".git-vault-")
            .tempfile_in(directory)
            .context("create in", directory)?;
        let temporary = file.path().to_owned();
        file.write_all(text.as_bytes())
            .context("write", &temporary)?;
        if self.found.is_some() {
            let model = disk::open_regular(&self.real)?;
            metadata::make_alike(file.as_file(), &model, &self.path)?;
        } else {
            let permissions = std::fs::Permissions::from_mode(MODE);
            let set = file.as_file().set_permissions(permissions);
            set.context("set the permissions of", &temporary)?;
        }
        file.as_file()
            .sync_all()
            .context("make durable", &temporary)?;
        let written = disk::read_bounded(&temporary, LIMIT_BYTES.saturating_mul(2))?;
        if written != text.as_bytes() {
            return Err(unfit(&temporary, "other bytes than were written"));
        }
        // Somebody else may have written meanwhile: as late as can be, it is looked at again.
        self.check()?;
        let put = if self.found.is_some() {
            file.persist(&self.real)
        } else {
            file.persist_noclobber(&self.real)
        };
        put.map_err(|error| Error::new("replace", &self.path, error.error))?;
        disk::sync_directory(directory)
    }

    /// Removes the file that was read.
    ///
    /// # Errors
    /// When it is not the one that was read any more, or cannot be removed.
    pub fn remove(&self) -> Result<()> {
        self.check()?;
        std::fs::remove_file(&self.real).context("remove", &self.path)?;
        disk::sync_directory(self.real.parent().unwrap_or(Path::new("/")))
    }

    /// Whether what is there is what was read, and may be replaced.
    fn check(&self) -> Result<()> {
        let Some(found) = &self.found else {
            return match std::fs::symlink_metadata(&self.real) {
                Err(error) if disk::is_nowhere(&error) => Ok(()),
                Err(error) => Err(Error::new("look at", &self.path, error)),
                Ok(_) => Err(unfit(&self.path, "it was made by somebody else meanwhile")),
            };
        };
        if metadata::look_at(&self.real)? != found.fingerprint
            || std::fs::canonicalize(&self.path).context("follow", &self.path)? != self.real
        {
            return Err(unfit(
                &self.path,
                "it was changed by somebody else meanwhile",
            ));
        }
        let metadata = std::fs::metadata(&self.real).context("look at", &self.path)?;
        if metadata.uid() != rustix::process::geteuid().as_raw() {
            return Err(unfit(&self.path, "it belongs to another user"));
        }
        if metadata.nlink() > 1 {
            return Err(unfit(
                &self.path,
                "it has another name, which would stay as it is",
            ));
        }
        if metadata.permissions().mode() & 0o200 == 0 {
            return Err(unfit(&self.path, "it may not be written"));
        }
        Ok(())
    }
}

/// Makes the directories above a file that are missing, for the owner only; gives those that were made, the outermost first.
///
/// # Errors
/// When one cannot be made.
pub fn make_directories(file: &Path) -> Result<Vec<PathBuf>> {
    let is_missing = |directory: &&Path| !directory.exists();
    let above = file.ancestors().skip(1);
    let mut missing: Vec<PathBuf> = above.take_while(is_missing).map(Path::to_owned).collect();
    missing.reverse();
    if let Some(innermost) = missing.last() {
        disk::create_directories(innermost)?;
    }
    Ok(missing)
}

/// Removes directories, the last first, as long as nothing is in them.
pub fn remove_empty(directories: &[PathBuf]) {
    for directory in directories.iter().rev() {
        // rmdir(2) removes nothing but an empty directory.
        if std::fs::remove_dir(directory).is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_after_it_was_read_is_not_replaced() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("settings");
        let read = SettingsFile::read(&path).unwrap();
        std::fs::write(&path, "theirs").unwrap();
        assert!(read.replace("ours").is_err());
        let read = SettingsFile::read(&path).unwrap();
        std::fs::write(&path, "longer").unwrap();
        assert!(read.replace("ours").is_err() && read.remove().is_err());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "longer");
        let read = SettingsFile::read(&path).unwrap();
        std::fs::rename(&path, place.path().join("other")).unwrap();
        std::fs::write(&path, "longer").unwrap();
        assert!(read.replace("ours").is_err());
        let names = std::fs::read_dir(place.path()).unwrap().count();
        assert_eq!(names, 2, "nothing is left beside it");
    }

    #[test]
    fn only_directories_that_were_made_are_removed_and_only_empty_ones() {
        let place = tempfile::tempdir().unwrap();
        let file = place.path().join("a/b/c/file");
        let made = make_directories(&file).unwrap();
        assert_eq!(made.len(), 3);
        assert!(make_directories(&file).unwrap().is_empty());
        std::fs::write(place.path().join("a/theirs"), "").unwrap();
        remove_empty(&made);
        assert!(place.path().join("a/theirs").exists() && !place.path().join("a/b").exists());
    }
}
