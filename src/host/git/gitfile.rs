//! The small files by which git directories and working trees name one another: `.git` files, and `gitdir` and `commondir` in
//! the directories of linked worktrees (gitrepository-layout(5)).

use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};

use rustix::fs::{Mode, OFlags, openat};

use crate::host::disk::{self, Context};

/// Git reads no larger ones.
const LIMIT_BYTES: u64 = 1 << 20;

/// What stands before the path in a `.git` file.
const WORD: &[u8] = b"gitdir: ";

/// The path that a `.git` file in an open directory names, as it stands there; `None` when it is no such file.
///
/// # Errors
/// When it cannot be read.
pub fn read_in(directory: &File, shown: &Path) -> disk::Result<Option<Vec<u8>>> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = match openat(directory, ".git", flags, Mode::empty()) {
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO | rustix::io::Errno::NOENT) => {
            return Ok(None);
        }
        opened => File::from(opened.context("open", shown)?),
    };
    if !file.metadata().context("look at", shown)?.is_file() {
        return Ok(None);
    }
    let mut bytes = Vec::new();
    file.take(LIMIT_BYTES)
        .read_to_end(&mut bytes)
        .context("read", shown)?;
    Ok(path_in_gitfile(&bytes).map(<[u8]>::to_vec))
}

/// The path that a `.git` file names, as it stands there.
#[must_use]
pub fn path_in_gitfile(bytes: &[u8]) -> Option<&[u8]> {
    let path = trim(bytes.strip_prefix(WORD)?);
    (!path.is_empty()).then_some(path)
}

/// The content of a `.git` file that names this path.
#[must_use]
pub fn gitfile(path: &[u8]) -> Vec<u8> {
    [WORD, path, b"\n"].concat()
}

/// The canonical common git directory of what git calls the git directory, which may be that of a linked worktree.
///
/// # Errors
/// When it is not there or cannot be read.
pub fn common_dir(git_dir: &Path) -> disk::Result<PathBuf> {
    let common = match disk::read_bounded(&git_dir.join("commondir"), LIMIT_BYTES) {
        Ok(bytes) => git_dir.join(std::ffi::OsStr::from_bytes(trim(&bytes))),
        Err(error) if error.is_not_found() => git_dir.to_owned(),
        Err(error) => return Err(error),
    };
    std::fs::canonicalize(&common).context("find", &common)
}

/// Without the line ends that git does not count.
#[must_use]
pub fn trim(bytes: &[u8]) -> &[u8] {
    let end = bytes
        .iter()
        .rposition(|byte| !matches!(byte, b'\n' | b'\r'));
    bytes
        .get(..end.map_or(0, |end| end + 1))
        .unwrap_or_default()
}

/// The path that a file names by its whole content, seen from the directory it lies in; `None` when there is no such file.
///
/// # Errors
/// When it cannot be read.
pub fn read_path(file: &Path) -> disk::Result<Option<PathBuf>> {
    let bytes = match disk::read_bounded(file, LIMIT_BYTES) {
        Err(error) if error.is_not_found() => return Ok(None),
        bytes => bytes?,
    };
    Ok(from(file, trim(&bytes)))
}

/// The path that a `.git` file names, seen from the directory it lies in; `None` when there is no such file.
///
/// # Errors
/// When it cannot be read.
pub fn read_gitfile(file: &Path) -> disk::Result<Option<PathBuf>> {
    match std::fs::symlink_metadata(file) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Ok(None),
        Err(error) if disk::is_nowhere(&error) => return Ok(None),
        Err(error) => return Err(disk::Error::new("look at", file, error)),
    }
    let bytes = disk::read_bounded(file, LIMIT_BYTES)?;
    Ok(path_in_gitfile(&bytes).and_then(|path| from(file, path)))
}

/// Whether the `.git` of a working tree leads to a git directory, of which the canonical path is given.
///
/// # Errors
/// When that cannot be found out; what is not there leads nowhere.
pub fn leads_to(root: &Path, git_dir: &Path) -> disk::Result<bool> {
    Ok(target(root)?.as_deref() == Some(git_dir))
}

/// The canonical path to which the `.git` of a working tree leads; `None` when there is nothing.
///
/// # Errors
/// When that cannot be found out.
pub fn target(root: &Path) -> disk::Result<Option<PathBuf>> {
    let dot_git = root.join(".git");
    let named = read_gitfile(&dot_git)?;
    canonical_if_there(&named.unwrap_or(dot_git))
}

/// The canonical form of a path; `None` when there is nothing.
///
/// # Errors
/// When that cannot be found out.
pub fn canonical_if_there(path: &Path) -> disk::Result<Option<PathBuf>> {
    match std::fs::canonicalize(path) {
        Ok(path) => Ok(Some(path)),
        Err(error) if disk::is_nowhere(&error) => Ok(None),
        Err(error) => Err(disk::Error::new("find", path, error)),
    }
}

/// The working tree around `start` whose `.git` leads to `admin`, a directory in `worktrees`, when that one says that it is
/// elsewhere, or nothing: it was moved or copied by hand.
///
/// # Errors
/// When what `admin` says cannot be read.
pub fn unclaimed(start: &Path, admin: &Path) -> disk::Result<Option<PathBuf>> {
    let Ok(start) = std::fs::canonicalize(start) else {
        return Ok(None);
    };
    let mut root = None;
    for above in start.ancestors() {
        if leads_to(above, admin)? {
            root = Some(above);
            break;
        }
    }
    let stated = read_path(&admin.join("gitdir"))?;
    let id = |path: &Path| {
        let metadata = std::fs::metadata(path).ok();
        metadata.map(|metadata| (metadata.dev(), metadata.ino()))
    };
    let claimed = stated.as_deref().and_then(Path::parent).and_then(id);
    let unclaimed = root.filter(|root| claimed.is_none() || id(root) != claimed);
    Ok(unclaimed.map(Path::to_owned))
}

fn from(file: &Path, path: &[u8]) -> Option<PathBuf> {
    let directory = file.parent()?;
    (!path.is_empty()).then(|| directory.join(std::ffi::OsStr::from_bytes(path)))
}

/// A path without `.` and `..`, as far as that can be told without looking at the disk.
#[must_use]
pub fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::CurDir => {}
            Component::ParentDir if normal.file_name().is_some() => {
                normal.pop();
            }
            Component::ParentDir if normal.has_root() => {}
            Component::Prefix(_)
            | Component::RootDir
            | Component::ParentDir
            | Component::Normal(_) => normal.push(component),
        }
    }
    normal
}

/// The way from a directory to a path, both absolute and normal.
#[must_use]
pub fn relative(directory: &Path, path: &Path) -> PathBuf {
    let shared = directory
        .components()
        .zip(path.components())
        .take_while(|(left, right)| left == right)
        .count();
    let up = directory
        .components()
        .skip(shared)
        .map(|_| Component::ParentDir);
    let way: PathBuf = up.chain(path.components().skip(shared)).collect();
    if way.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        way
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn gitfiles_are_read_as_git_reads_them() {
        assert_eq!(path_in_gitfile(b"gitdir: ../a b\n"), Some(&b"../a b"[..]));
        assert_eq!(path_in_gitfile(b"gitdir: /x\r\n\n"), Some(&b"/x"[..]));
        assert_eq!(path_in_gitfile(b"gitdir:/x\n"), None);
        assert_eq!(path_in_gitfile(b"gitdir: \n"), None);
        assert_eq!(path_in_gitfile(&gitfile(b"x")), Some(&b"x"[..]));
    }

    #[test]
    fn ways_lead_where_they_should() {
        for (from, to, way) in [
            ("/a/b", "/a/c/d", "../c/d"),
            ("/a", "/a", "."),
            ("/a", "/a/b", "b"),
            ("/", "/b", "b"),
            ("/a/b", "/", "../.."),
        ] {
            let found = relative(Path::new(from), Path::new(to));
            assert_eq!(found, Path::new(way), "{from} {to}");
            assert_eq!(normal(&Path::new(from).join(found)), Path::new(to));
        }
    }
}
