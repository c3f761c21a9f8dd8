//! Durable writes, bounded reads, and errors that name what was tried and where.

use std::fs::{File, OpenOptions};
use std::io::{Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::model::refusal::Refusal;
use crate::model::refusal_code::RefusalCode;

/// What was tried, on which path, and what the system answered.
#[derive(Debug)]
pub struct Error {
    /// What was tried, such as `read`.
    pub action: &'static str,
    /// The path.
    pub path: PathBuf,
    /// The answer.
    pub source: std::io::Error,
}

/// The result of an attempt on a path.
pub type Result<T> = std::result::Result<T, Error>;

/// Whether an error says that there can be nothing at a path.
#[must_use]
pub fn is_nowhere(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

impl Error {
    /// Makes an error.
    #[must_use]
    pub fn new(action: &'static str, path: &Path, source: std::io::Error) -> Self {
        Self {
            action,
            path: path.to_owned(),
            source,
        }
    }

    /// Whether the path is not there.
    #[must_use]
    pub fn is_not_found(&self) -> bool {
        self.source.kind() == std::io::ErrorKind::NotFound
    }

    /// Whether there can be nothing at the path: it is not there, or what should be a directory on the way is none.
    #[must_use]
    pub fn is_nowhere(&self) -> bool {
        is_nowhere(&self.source)
    }

    /// Whether the path is there although it should not be.
    #[must_use]
    pub fn is_already_there(&self) -> bool {
        self.source.kind() == std::io::ErrorKind::AlreadyExists
    }

    /// Turns the error into a refusal.
    #[must_use]
    pub fn refuse(&self, code: RefusalCode) -> Refusal {
        Refusal::new(
            code,
            format!("cannot {} '{}'", self.action, self.path.display()),
        )
        .because(self.source.to_string())
        .about(&self.path)
    }

    /// Turns an error met while reading the vault into a refusal.
    #[must_use]
    pub fn refuse_vault_read(&self) -> Refusal {
        self.refuse(if self.is_not_found() {
            RefusalCode::VaultFileMissing
        } else {
            RefusalCode::VaultUnreadable
        })
    }

    /// Turns an error met while writing to the vault into a refusal.
    #[must_use]
    pub fn refuse_vault_write(&self) -> Refusal {
        let no_room = self.source.kind() == std::io::ErrorKind::StorageFull
            || self.source.kind() == std::io::ErrorKind::QuotaExceeded;
        self.refuse(if no_room {
            RefusalCode::VaultSpace
        } else {
            RefusalCode::VaultWriteFailed
        })
    }
}

impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "cannot {} '{}': {}",
            self.action,
            self.path.display(),
            self.source
        )
    }
}

impl std::error::Error for Error {}

/// Adds action and path to an I/O result.
pub trait Context<T> {
    /// Names what was tried and where.
    ///
    /// # Errors
    /// The same error, with its context.
    fn context(self, action: &'static str, path: &Path) -> Result<T>;
}

impl<T> Context<T> for std::io::Result<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::new(action, path, source))
    }
}

impl<T> Context<T> for rustix::io::Result<T> {
    fn context(self, action: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| Error::new(action, path, source.into()))
    }
}

/// Permissions of every file in a vault.
pub const FILE_MODE: u32 = 0o600;
/// Permissions of every directory in a vault.
pub const DIRECTORY_MODE: u32 = 0o700;

/// Reads a whole regular file of at most `limit_bytes`, without following a link at the end of the path and without
/// waiting on a FIFO.
///
/// # Errors
/// When it cannot be read, is not a regular file, or is larger.
pub fn read_bounded(path: &Path, limit_bytes: u64) -> Result<Vec<u8>> {
    read_open(&open_regular(path)?, path, limit_bytes)
}

/// Reads an open file whole, if it is not larger than `limit_bytes`.
///
/// # Errors
/// When it cannot be read or is larger.
pub fn read_open(file: &File, path: &Path, limit_bytes: u64) -> Result<Vec<u8>> {
    // One more than there should be, so that the end is found by the read that brings the last byte.
    let expected = file.metadata().context("look at", path)?.len();
    let room = expected.min(limit_bytes).saturating_add(1);
    let mut bytes = Vec::with_capacity(usize::try_from(room).unwrap_or_default());
    file.take(limit_bytes.saturating_add(1))
        .read_to_end(&mut bytes)
        .context("read", path)?;
    if bytes.len() as u64 > limit_bytes {
        let message = format!("larger than {limit_bytes} bytes");
        return Err(Error::new("read", path, std::io::Error::other(message)));
    }
    Ok(bytes)
}

/// Opens a regular file for reading, without following a link at the end of the path and without waiting on a FIFO.
///
/// # Errors
/// When it cannot be opened or is not a regular file.
pub fn open_regular(path: &Path) -> Result<File> {
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).unwrap_or_default();
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)
        .context("open", path)?;
    if file
        .metadata()
        .context("look at", path)?
        .file_type()
        .is_file()
    {
        Ok(file)
    } else {
        Err(Error::new(
            "read",
            path,
            std::io::Error::other("not a regular file"),
        ))
    }
}

/// Creates a file that must not be there yet, for reading and writing.
///
/// # Errors
/// When it is there already or cannot be created.
pub fn create_new(path: &Path) -> Result<File> {
    OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .mode(FILE_MODE)
        .open(path)
        .context("create", path)
}

/// Writes a new file, makes its bytes durable and reads them back; the directory is the caller's to make durable.
///
/// # Errors
/// When it is there already, cannot be written, or holds other bytes. An error of fsync is final: the file must not be used.
pub fn write_new(path: &Path, bytes: &[u8]) -> Result<()> {
    make_durable(&mut [Draft::new(path, bytes)?], &[], &[])
}

/// A file that is written and not yet durable.
#[derive(Debug)]
pub struct Draft<'b> {
    file: File,
    path: PathBuf,
    bytes: &'b [u8],
}

impl<'b> Draft<'b> {
    /// Writes a new file.
    ///
    /// # Errors
    /// When it is there already or cannot be written.
    pub fn new(path: &Path, bytes: &'b [u8]) -> Result<Self> {
        let mut file = create_new(path)?;
        file.write_all(bytes).context("write", path)?;
        let path = path.to_owned();
        Ok(Self { file, path, bytes })
    }

    fn read_back(&mut self) -> Result<()> {
        drop_from_cache(&self.file);
        read_back(&mut self.file, &self.path, self.bytes)
    }
}

/// Makes drafts, open files and the names in directories durable, and reads the drafts back. Together they take fewer waits for the
/// device than one by one.
///
/// # Errors
/// When one cannot be made durable, or holds other bytes; an error of fsync is final for its file.
pub fn make_durable(
    drafts: &mut [Draft<'_>],
    files: &[(&File, &Path)],
    directories: &[&Path],
) -> Result<()> {
    let opened = directories
        .iter()
        .map(|path| Ok((File::open(path).context("make durable", path)?, *path)))
        .collect::<Result<Vec<_>>>()?;
    let drafted = drafts.iter().map(|draft| (&draft.file, &*draft.path));
    let names = opened.iter().map(|(file, path)| (file, *path));
    let all: Vec<(&File, &Path)> = drafted.chain(files.iter().copied()).chain(names).collect();
    // Begun for all of them first, so that the first one to be waited for takes most of the others with it.
    for (file, _) in &all {
        begin_writing(file, 0, 0);
    }
    for (file, path) in &all {
        file.sync_all().context("make durable", path)?;
    }
    drafts.iter_mut().try_for_each(Draft::read_back)
}

/// What is named later must be known to be what was meant: a log entry that is not would make its vault unreadable for ever.
pub(super) fn write_durably(file: &mut File, path: &Path, bytes: &[u8]) -> Result<()> {
    file.write_all(bytes).context("write", path)?;
    file.sync_all().context("make durable", path)?;
    drop_from_cache(file);
    read_back(file, path, bytes)
}

fn read_back(file: &mut File, path: &Path, bytes: &[u8]) -> Result<()> {
    file.rewind().context("read back", path)?;
    // It may be a key.
    let mut read = Zeroizing::new(Vec::with_capacity(bytes.len() + 1));
    file.take(bytes.len() as u64 + 1)
        .read_to_end(&mut read)
        .context("read back", path)?;
    if *read == bytes {
        Ok(())
    } else {
        let other = std::io::Error::other("other bytes than were written");
        Err(Error::new("read back", path, other))
    }
}

/// Replaces a file that is only a cache or a hint: written beside it, made durable, renamed over it.
///
/// # Errors
/// When any step fails; the old file is then still in place.
pub fn replace(path: &Path, bytes: &[u8]) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    replace_several(directory, &[path.to_owned()], bytes)
}

/// Replaces files, all by the same bytes, as [`replace`] does; what an interruption leaves behind lies in `directory`, on the same
/// file system.
///
/// # Errors
/// When any step fails; old files are then still in place, or replaced as a whole.
pub fn replace_several(directory: &Path, paths: &[PathBuf], bytes: &[u8]) -> Result<()> {
    let create = |_path: &PathBuf| {
        tempfile::Builder::new()
            .prefix(".tmp-")
            .tempfile_in(directory)
            .context("create in", directory)
    };
    let mut files = paths.iter().map(create).collect::<Result<Vec<_>>>()?;
    for (file, path) in files.iter_mut().zip(paths) {
        file.write_all(bytes).context("write", path)?;
    }
    let written = files.iter().zip(paths);
    let written: Vec<(&File, &Path)> = written
        .map(|(file, path)| (file.as_file(), &**path))
        .collect();
    make_durable(&mut [], &written, &[])?;
    for (mut file, path) in files.into_iter().zip(paths) {
        drop_from_cache(file.as_file());
        read_back(file.as_file_mut(), path, bytes)?;
        file.persist(path)
            .map_err(|error| Error::new("replace", path, error.error))?;
    }
    Ok(())
}

/// Replaces a cache file as a whole, without making it durable: whoever reads it must be able to tell a torn one.
///
/// # Errors
/// When any step fails; the old file is then still in place.
pub fn replace_cache(path: &Path, bytes: &[u8]) -> Result<()> {
    let directory = path.parent().unwrap_or(Path::new("."));
    let mut file = tempfile::Builder::new()
        .prefix(".tmp-")
        .tempfile_in(directory)
        .context("create in", directory)?;
    file.write_all(bytes).context("write", path)?;
    file.persist(path)
        .map_err(|error| Error::new("replace", path, error.error))?;
    Ok(())
}

/// The same, making the directory first where it is not there.
///
/// # Errors
/// As [`replace_cache`], and when the directory cannot be made.
pub fn replace_cache_anywhere(path: &Path, bytes: &[u8]) -> Result<()> {
    match replace_cache(path, bytes) {
        Err(error) if error.is_not_found() => {
            create_directories(path.parent().unwrap_or(Path::new(".")))?;
            replace_cache(path, bytes)
        }
        outcome => outcome,
    }
}

/// Makes the names in a directory durable.
///
/// # Errors
/// When the system cannot; the names must then not be relied on.
pub fn sync_directory(path: &Path) -> Result<()> {
    File::open(path)
        .and_then(|directory| directory.sync_all())
        .context("make durable", path)
}

/// Creates one directory, readable by its owner only.
///
/// # Errors
/// When it is there already or cannot be created.
pub fn create_directory(path: &Path) -> Result<()> {
    std::fs::DirBuilder::new()
        .mode(DIRECTORY_MODE)
        .create(path)
        .context("create directory", path)
}

/// Creates a directory and those above it that are missing, readable by the owner only, and makes them durable.
///
/// # Errors
/// When one cannot be created.
pub fn create_directories(path: &Path) -> Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let parent = path.parent().unwrap_or(Path::new("/"));
    if parent.is_dir() {
        confirm_name(parent)?;
    } else {
        create_directories(parent)?;
    }
    match create_directory(path) {
        Err(error) if !error.is_already_there() => return Err(error),
        Err(_) | Ok(()) => {}
    }
    sync_directory(parent)
}

/// Makes the name of a directory durable, which may have been made by a run that was killed before it could do so.
fn confirm_name(path: &Path) -> Result<()> {
    let Some(parent) = path.parent() else {
        return Ok(());
    };
    let device = |path| std::fs::metadata(path).map(|metadata| metadata.dev()).ok();
    if device(path) != device(parent) {
        // A mount point is not of our making.
        return Ok(());
    }
    match sync_directory(parent) {
        // Nor is anything in a directory that this user may not look into.
        Err(error) if error.source.kind() == std::io::ErrorKind::PermissionDenied => Ok(()),
        confirmed => confirmed,
    }
}

/// Gives a file a second name, which must be free.
///
/// # Errors
/// When the name is taken ([`Error::is_already_there`]) or the file system cannot.
pub fn link_new(old: &Path, new: &Path) -> Result<()> {
    std::fs::hard_link(old, new).context("create", new)
}

/// Renames onto a name that must be free, where the system can promise that.
///
/// # Errors
/// When the name is taken or the rename fails.
pub fn rename_new(old: &Path, new: &Path) -> Result<()> {
    use rustix::fs::{CWD, RenameFlags};
    rustix::fs::renameat_with(CWD, old, CWD, new, RenameFlags::NOREPLACE).context("rename to", new)
}

/// The names in a directory, sorted.
///
/// # Errors
/// When it cannot be listed.
pub fn list(path: &Path) -> Result<Vec<std::ffi::OsString>> {
    let mut names = Vec::new();
    for entry in std::fs::read_dir(path).context("list", path)? {
        names.push(entry.context("list", path)?.file_name());
    }
    names.sort();
    Ok(names)
}

/// Bytes that this user may still write on the file system of `path`.
///
/// # Errors
/// When the system does not say.
pub fn free_bytes(path: &Path) -> Result<u64> {
    let space = rustix::fs::statvfs(path).context("ask the free space of", path)?;
    Ok(space.f_bavail.saturating_mul(space.f_frsize))
}

/// Asks the system to begin writing a part of a file to the device, and does not wait for it. Best effort, and no promise: what
/// must be durable is made so in the end.
pub fn begin_writing(file: &File, start: u64, length: u64) {
    #[cfg(target_os = "linux")]
    {
        // Linux begins to write what is dirty in a range that is said not to be needed; only what is clean is dropped.
        let length = std::num::NonZeroU64::new(length);
        let _advice = rustix::fs::fadvise(file, start, length, rustix::fs::Advice::DontNeed);
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (file, start, length);
}

/// Asks the system to drop a file from its cache, so that the next read comes from the device. Best effort: the file
/// must have been made durable before.
pub fn drop_from_cache(file: &File) {
    #[cfg(target_os = "linux")]
    {
        // Advice only: a file that stays cached is still checked, just not from the device.
        let _advice = rustix::fs::fadvise(file, 0, None, rustix::fs::Advice::DontNeed);
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _file = file;
    }
}

/// Reads a stream to its end and shows it piece by piece; gives how many bytes there were.
///
/// # Errors
/// When reading fails (named with `path`), or what `each` gives.
pub fn each_piece(
    source: &mut dyn Read,
    path: &Path,
    each: &mut dyn FnMut(&[u8]) -> Result<()>,
) -> Result<u64> {
    let mut buffer = vec![0; 1 << 18];
    let mut total_bytes = 0;
    loop {
        let count = match source.read(&mut buffer) {
            // A signal came in between; nothing was read, and nothing is wrong.
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => continue,
            count => count.context("read", path)?,
        };
        let Some(piece) = buffer.get(..count).filter(|piece| !piece.is_empty()) else {
            return Ok(total_bytes);
        };
        each(piece)?;
        total_bytes += piece.len() as u64;
    }
}

/// Size and BLAKE3 of a stream, read to its end; `progress` is told how many bytes came.
///
/// # Errors
/// When it cannot be read.
pub fn hash_stream(
    source: &mut dyn Read,
    path: &Path,
    mut progress: impl FnMut(u64),
) -> Result<(u64, crate::model::ids::Digest)> {
    let mut hasher = blake3::Hasher::new();
    let total_bytes = each_piece(source, path, &mut |piece| {
        hasher.update(piece);
        progress(piece.len() as u64);
        Ok(())
    })?;
    Ok((total_bytes, crate::model::ids::Digest::finish(&hasher)))
}

/// Size and BLAKE3 of a regular file, read from start to end.
///
/// # Errors
/// When it cannot be read.
pub fn hash_file(
    path: &Path,
    progress: impl FnMut(u64),
) -> Result<(u64, crate::model::ids::Digest)> {
    hash_stream(&mut open_regular(path)?, path, progress)
}

/// Whether two paths are the same file or directory right now.
#[must_use]
pub fn is_same(left: &Path, right: &Path) -> bool {
    match (std::fs::metadata(left), std::fs::metadata(right)) {
        (Ok(left), Ok(right)) => left.dev() == right.dev() && left.ino() == right.ino(),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Is interrupted before every piece.
    struct Interrupted(bool);

    impl Read for Interrupted {
        fn read(&mut self, _buffer: &mut [u8]) -> std::io::Result<usize> {
            self.0 = !self.0;
            if self.0 {
                Err(std::io::ErrorKind::Interrupted.into())
            } else {
                Ok(0)
            }
        }
    }

    #[test]
    fn a_signal_does_not_end_a_read() {
        let path = Path::new("memory");
        let read = hash_stream(&mut Interrupted(false), path, |_bytes| {}).unwrap();
        assert_eq!(read.0, 0);
    }
}
