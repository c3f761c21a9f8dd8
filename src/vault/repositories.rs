//! The repositories that this machine has made snapshots of, and the vault home of each: settings and environment may name
//! several homes, and a scheduler does not know the environment of a shell.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::host::disk::{self, Error, Result};
use crate::host::git::repository::Repository;
use crate::host::walk::path_bytes;
use crate::model::escape::{name_from_text, text_name};
use crate::vault::heartbeats::repository_key;
use crate::vault::registry;

/// Largest note read.
const LIMIT_BYTES: u64 = 1 << 16;

/// What is noted of a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Note {
    /// The common git directory.
    git_dir: String,
    /// The vault home that was in force.
    home: String,
    /// Where the file system that holds it was mounted.
    mount: String,
    /// Its main working tree; empty when it has none. A git directory need not say where that is.
    worktree: String,
}

/// A repository that this machine knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// The common git directory.
    pub git_dir: PathBuf,
    /// The vault home that was last in force for it.
    pub home: PathBuf,
    /// Where the file system that held it was mounted, if that was noted.
    pub mount: Option<PathBuf>,
    /// Where it may be found from, the best first.
    pub starts: Vec<PathBuf>,
}

/// Where a repository may be found from.
fn starts(git_dir: &Path, worktree: Option<PathBuf>) -> Vec<PathBuf> {
    let around = git_dir.parent().filter(|_| git_dir.ends_with(".git"));
    let around = around.map(Path::to_owned);
    let mut starts: Vec<PathBuf> = worktree.into_iter().chain(around).collect();
    starts.push(git_dir.to_owned());
    starts.dedup();
    starts
}

/// All of them, by path, and what could not be understood.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllKnown {
    /// The repositories.
    pub known: Vec<Known>,
    /// Notes that cannot be read or are in no form that is known.
    pub strange: Vec<PathBuf>,
}

fn directory(state_home: &Path) -> PathBuf {
    state_home.join("repositories")
}

fn path_of(text: &str) -> Option<PathBuf> {
    let path = PathBuf::from(OsString::from_vec(name_from_text(text)?));
    path.is_absolute().then_some(path)
}

fn text_of(path: &Path) -> String {
    text_name(path_bytes(path))
}

/// Notes the vault home in force for a repository, unless that is noted already.
///
/// # Errors
/// When it cannot be written.
pub fn note(state_home: &Path, repository: &Repository, home: &Path) -> Result<()> {
    let git_dir = &repository.git_dir;
    let directory = directory(state_home);
    let path = directory.join(format!("{}.toml", repository_key(git_dir)));
    let note = Note {
        git_dir: text_of(git_dir),
        home: text_of(home),
        mount: text_of(&mount_of(git_dir)),
        worktree: repository
            .worktree
            .as_deref()
            .map(text_of)
            .unwrap_or_default(),
    };
    let text = toml::to_string(&note)
        .map_err(|error| Error::new("write", &path, std::io::Error::other(error.to_string())))?;
    if disk::read_bounded(&path, LIMIT_BYTES).is_ok_and(|known| known == text.as_bytes()) {
        return Ok(());
    }
    disk::create_directories(&directory)?;
    disk::replace(&path, text.as_bytes())
}

/// Whether a snapshot of a repository was ever made on this machine. What cannot be read counts.
#[must_use]
pub fn is_noted(state_home: &Path, repository: &Repository) -> bool {
    let name = format!("{}.toml", repository_key(&repository.git_dir));
    directory(state_home).join(name).symlink_metadata().is_ok()
}

/// All repositories that are noted, or registered in `home` or a vault home that is noted.
///
/// # Errors
/// When a list cannot be read.
pub fn all(state_home: &Path, home: &Path) -> Result<AllKnown> {
    let mut all: BTreeMap<PathBuf, Known> = BTreeMap::new();
    let mut strange = Vec::new();
    let directory = directory(state_home);
    let names = match disk::list(&directory) {
        Err(error) if error.is_nowhere() => Vec::new(),
        names => names?,
    };
    for path in names.into_iter().map(|name| directory.join(name)) {
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        match read(&path) {
            Some(known) => {
                all.insert(known.git_dir.clone(), known);
            }
            None => strange.push(path),
        }
    }
    let mut homes: Vec<PathBuf> = all.values().map(|known| known.home.clone()).collect();
    homes.sort();
    homes.dedup();
    homes.retain(|noted| noted != home);
    // The one in force comes first: it decides for those that nothing is noted of.
    homes.insert(0, home.to_owned());
    for home in homes {
        // One that cannot be looked at keeps none of the others from theirs.
        let Ok((registered, not_understood)) = registry::all_registered(&home) else {
            strange.push(home);
            continue;
        };
        strange.extend(not_understood);
        for git_dir in registered {
            all.entry(git_dir.clone()).or_insert_with(|| Known {
                starts: starts(&git_dir, None),
                git_dir,
                home: home.clone(),
                mount: None,
            });
        }
    }
    Ok(AllKnown {
        known: all.into_values().collect(),
        strange,
    })
}

fn read(path: &Path) -> Option<Known> {
    let bytes = disk::read_bounded(path, LIMIT_BYTES).ok()?;
    let note: Note = toml::from_str(std::str::from_utf8(&bytes).ok()?).ok()?;
    let git_dir = path_of(&note.git_dir)?;
    let known = Known {
        starts: starts(&git_dir, path_of(&note.worktree)),
        git_dir,
        home: path_of(&note.home)?,
        mount: Some(path_of(&note.mount)?),
    };
    let name = format!("{}.toml", repository_key(&known.git_dir));
    (path.file_name()? == name.as_str()).then_some(known)
}

/// Where the file system that holds a path is mounted: the topmost directory above it on the same device.
fn mount_of(path: &Path) -> PathBuf {
    let device = |path: &Path| std::fs::metadata(path).map(|found| found.dev()).ok();
    let own = device(path);
    let above = path.ancestors().take_while(|above| device(above) == own);
    above.last().unwrap_or(path).to_owned()
}

/// Whether a file system that was mounted at `mount` is not there now: then what it held is not gone.
#[must_use]
pub fn is_unplugged(mount: &Path) -> bool {
    let Some(above) = mount.parent() else {
        return false;
    };
    match (std::fs::metadata(mount), std::fs::metadata(above)) {
        (Ok(mount), Ok(above)) => mount.dev() == above.dev(),
        (Err(_), _) => true,
        (Ok(_), Err(_)) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::git::object::ObjectFormat;
    use crate::host::git::remotes::Remotes;
    use crate::host::git::repository::Settings;

    #[test]
    fn repositories_are_noted_once_and_found_by_every_home() {
        let state = tempfile::tempdir().unwrap();
        let homes = tempfile::tempdir().unwrap();
        let (one, two) = (homes.path().join("one"), homes.path().join("two"));
        let git_dir = homes.path().join("w\n/.git");
        let repository = Repository {
            git_dir: git_dir.clone(),
            worktree: Some("/tree".into()),
            unclaimed: None,
            format: ObjectFormat::Sha1,
            is_partial: false,
            remotes: Remotes::default(),
            settings: Settings::default(),
        };
        note(state.path(), &repository, &one).unwrap();
        registry::register(&one, Path::new("/b/.git"), Path::new("/v")).unwrap();
        registry::register(&two, Path::new("/c/.git"), Path::new("/v")).unwrap();
        registry::register(&two, &git_dir, Path::new("/v")).unwrap();
        std::fs::write(two.join("registry/x.toml"), "nonsense").unwrap();
        let all = all(state.path(), &two).unwrap();
        let found: Vec<_> = all
            .known
            .iter()
            .map(|one| (&*one.git_dir, &*one.home))
            .collect();
        let mut due = vec![
            (Path::new("/b/.git"), &*one),
            (Path::new("/c/.git"), &*two),
            (&git_dir, &one),
        ];
        due.sort();
        assert_eq!(found, due);
        let noted = all.known.iter().find(|one| one.git_dir == git_dir).unwrap();
        let around = git_dir.parent().unwrap();
        assert_eq!(noted.starts, [Path::new("/tree"), around, &git_dir]);
        assert_eq!(all.strange, [two.join("registry/x.toml")]);
        assert!(!is_unplugged(Path::new("/")) && is_unplugged(&one.join("no-mount")));
    }
}
