//! Files that get a name only when they are whole, so that whoever is interrupted leaves nothing in a directory of somebody else.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use crate::host::disk::{Context, Error, Result, write_durably};

/// Permissions of a program that git is given to run.
const PROGRAM_MODE: u32 = 0o755;

/// A file without a name in a directory, open for reading and writing; `None` where the system has no such files, or cannot name them
/// later (open(2), `O_TMPFILE`).
#[cfg(target_os = "linux")]
#[must_use]
pub fn create(directory: &Path, mode: u32) -> Option<File> {
    use rustix::fs::{Mode, OFlags};
    let flags = OFlags::TMPFILE | OFlags::RDWR | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(directory, flags, Mode::from_raw_mode(mode)).ok()?);
    name_of(&file).exists().then_some(file)
}

/// The same where the system has no such files.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn create(_directory: &Path, _mode: u32) -> Option<File> {
    None
}

/// The name that the system itself has for an open file.
fn name_of(file: &File) -> PathBuf {
    PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()))
}

/// Gives such a file its name, which must be free.
///
/// # Errors
/// When the name is taken ([`Error::is_already_there`]), or the system cannot.
pub fn give_name(file: &File, name: &Path) -> Result<()> {
    use rustix::fs::{AtFlags, CWD, linkat};
    linkat(CWD, name_of(file), CWD, name, AtFlags::SYMLINK_FOLLOW).context("create", name)
}

/// Creates a program, which must not be there yet, durably and by its name at once; others than its owner may run it as far as
/// this user lets them.
///
/// # Errors
/// When it is there already or cannot be written.
pub fn write_new_program(path: &Path, bytes: &[u8]) -> Result<()> {
    if let Some(mut file) = create(directory_of(path), PROGRAM_MODE) {
        write_durably(&mut file, path, bytes)?;
        return give_name(&file, path);
    }
    let mut file = program_beside(path)?;
    write_durably(file.as_file_mut(), path, bytes)?;
    file.persist_noclobber(path)
        .map_err(|error| Error::new("create", path, error.error))?;
    Ok(())
}

/// Replaces a program as [`crate::host::disk::replace`] does.
///
/// # Errors
/// When any step fails; the old file is then still in place.
pub fn replace_program(path: &Path, bytes: &[u8]) -> Result<()> {
    let directory = directory_of(path);
    if let Some(mut file) = create(directory, PROGRAM_MODE) {
        write_durably(&mut file, path, bytes)?;
        // Only for as long as the rename takes.
        let beside = directory.join(format!(".tmp-{}-{}", std::process::id(), file.as_raw_fd()));
        give_name(&file, &beside)?;
        return std::fs::rename(&beside, path).map_err(|error| {
            drop(std::fs::remove_file(&beside));
            Error::new("replace", path, error)
        });
    }
    let mut file = program_beside(path)?;
    write_durably(file.as_file_mut(), path, bytes)?;
    file.persist(path)
        .map_err(|error| Error::new("replace", path, error.error))?;
    Ok(())
}

fn directory_of(path: &Path) -> &Path {
    path.parent().unwrap_or(Path::new("."))
}

fn program_beside(path: &Path) -> Result<tempfile::NamedTempFile> {
    use std::os::unix::fs::PermissionsExt as _;
    let directory = directory_of(path);
    tempfile::Builder::new()
        .prefix(".tmp-")
        .permissions(std::fs::Permissions::from_mode(PROGRAM_MODE))
        .tempfile_in(directory)
        .context("create in", directory)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_has_its_name_when_it_is_whole_and_replaces_none_unasked() {
        use std::os::unix::fs::PermissionsExt as _;
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("program");
        write_new_program(&path, b"one").unwrap();
        assert!(
            write_new_program(&path, b"two")
                .unwrap_err()
                .is_already_there()
        );
        assert_eq!(std::fs::read(&path).unwrap(), b"one");
        replace_program(&path, b"three").unwrap();
        assert_eq!(std::fs::read(&path).unwrap(), b"three");
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o700, 0o700);
        assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
        if let Some(file) = create(place.path(), 0o600) {
            drop(file);
            assert_eq!(std::fs::read_dir(place.path()).unwrap().count(), 1);
        }
    }
}
