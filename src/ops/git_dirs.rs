//! Git directories in a workspace: those of submodules, where git keeps them; and those that are files of the working tree around
//! them. Its index tracks in them what is left out of a git directory, such as objects of a repository that serves as a fixture;
//! they are captured as files, and are no repositories of the workspace.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::host::git::object::ObjectFormat;
use crate::host::walk::path_bytes;
use crate::model::refusal::Result;
use crate::ops::capture::CaptureError;
use crate::ops::links::names;
use crate::ops::metadata::open_index;

/// A working tree: its root, and the path of its index.
pub(super) type Tree = (PathBuf, PathBuf);

/// Those of the git directories in which one of the trees tracks something that is wanted, by its path there.
///
/// # Errors
/// When the index of a tree around one cannot be read.
pub(super) fn tracked(
    git_dirs: &[&Path],
    trees: &[Tree],
    (format, is_wanted): (ObjectFormat, fn(&[u8]) -> bool),
) -> Result<BTreeSet<PathBuf>> {
    let mut tracked = BTreeSet::new();
    for (root, index) in trees {
        let inside = |git_dir: &&&Path| git_dir.starts_with(root) && **git_dir != root;
        let inside: Vec<&&Path> = git_dirs.iter().filter(inside).collect();
        if inside.is_empty() {
            continue;
        }
        let index = open_index(index, format)?;
        let is_tracked = |git_dir: &&&&Path| {
            git_dir
                .strip_prefix(root)
                .is_ok_and(|own| index.tracks_any_below(path_bytes(own), is_wanted))
        };
        let found = inside.iter().filter(is_tracked);
        tracked.extend(found.map(|git_dir| git_dir.to_path_buf()));
    }
    Ok(tracked)
}

/// The git directories below a directory in which git keeps those of submodules; those inside of them are theirs to find.
pub(super) fn find_git_dirs(
    directory: &Path,
    own: &[u8],
    found: &mut Vec<Vec<u8>>,
) -> std::result::Result<(), CaptureError> {
    for name in names(directory)? {
        let path = directory.join(OsStr::from_bytes(&name));
        let own = [own, b"/", &name].concat();
        let is_directory = path
            .symlink_metadata()
            .is_ok_and(|metadata| metadata.is_dir());
        if !is_directory {
            continue;
        }
        if path.join("HEAD").symlink_metadata().is_ok() && path.join("objects").is_dir() {
            found.push(own);
        } else {
            find_git_dirs(&path, &own, found)?;
        }
    }
    Ok(())
}
