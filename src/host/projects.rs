//! Looks for projects below a folder: repositories, and folders with sources that are in none. No link is followed, nothing is opened
//! but directories.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use ignore::{WalkBuilder, WalkState};

use crate::host::parallel;

/// No more directories than this are looked into.
const MOST_DIRECTORIES: u64 = 1_000_000;

/// Directories that tools make; what is in them is no work of a person.
const MADE_BY_TOOLS: [&str; 3] = ["node_modules", "bower_components", "__pycache__"];

/// The same where they lie in a project; elsewhere they are directories as others.
const MADE_IN_PROJECTS: [&str; 4] = ["target", "build", "dist", "venv"];

/// Files that say that a folder is a project.
const MARKERS: [&str; 24] = [
    "Cargo.toml",
    "package.json",
    "pyproject.toml",
    "setup.py",
    "requirements.txt",
    "go.mod",
    "Makefile",
    "makefile",
    "CMakeLists.txt",
    "meson.build",
    "pom.xml",
    "build.gradle",
    "build.gradle.kts",
    "Gemfile",
    "composer.json",
    "mix.exs",
    "Package.swift",
    "pubspec.yaml",
    "deno.json",
    "stack.yaml",
    "dune-project",
    "Dockerfile",
    "docker-compose.yml",
    "flake.nix",
];

/// Endings of files that people write.
const SOURCES: [&str; 34] = [
    "c", "cc", "cpp", "cs", "csproj", "cabal", "clj", "el", "ex", "fs", "go", "h", "hpp", "hs",
    "ipynb", "java", "jl", "js", "kt", "lua", "m", "ml", "php", "pl", "py", "r", "R", "rb", "rs",
    "scala", "sln", "swift", "tex", "ts",
];

/// What a folder is.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// It has a `.git`.
    Repository,
    /// It is a git directory.
    Bare,
    /// It has this file, which says that somebody works here, and is in no repository.
    Folder(String),
}

/// What was found.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Found {
    /// Projects, by path.
    pub projects: Vec<(PathBuf, Kind)>,
    /// How many directories were looked into.
    pub directories: u64,
    /// What could not be looked into, with the reason.
    pub unseen: Vec<(PathBuf, String)>,
    /// Whether there was more: directories lay deeper, or were too many.
    pub is_cut: bool,
}

/// Looks below `root`, so many directories deep.
#[must_use]
pub fn find(root: &Path, depth: usize) -> Found {
    let found = Mutex::new(Found::default());
    let directories = AtomicU64::new(0);
    let note = |add: &dyn Fn(&mut Found)| {
        if let Ok(mut found) = found.lock() {
            add(&mut found);
        }
    };
    let walker = WalkBuilder::new(root)
        .standard_filters(false)
        .follow_links(false)
        .same_file_system(true)
        .max_depth(Some(depth))
        .threads(parallel::workers())
        .build_parallel();
    walker.run(|| {
        Box::new(|entry| {
            let entry = match entry {
                Ok(entry) => entry,
                Err(error) => {
                    let (path, reason) = unseen(root, &error);
                    note(&|found| found.unseen.push((path.clone(), reason.clone())));
                    return WalkState::Continue;
                }
            };
            if !entry.file_type().is_some_and(|kind| kind.is_dir()) {
                return WalkState::Continue;
            }
            let path = entry.path();
            if directories.fetch_add(1, Ordering::Relaxed) >= MOST_DIRECTORIES {
                note(&|found| found.is_cut = true);
                return WalkState::Quit;
            }
            let is_root = entry.depth() == 0;
            match look(path) {
                Looked::Vault => WalkState::Skip,
                Looked::Repository(kind) => {
                    note(&|found| found.projects.push((path.to_owned(), kind.clone())));
                    WalkState::Skip
                }
                Looked::Folder if !is_root && is_passed_over(path) => WalkState::Skip,
                Looked::Folder => {
                    if let Some(marker) = marker(path) {
                        let kind = Kind::Folder(marker);
                        note(&|found| found.projects.push((path.to_owned(), kind.clone())));
                    }
                    if entry.depth() >= depth && has_directories(path) {
                        note(&|found| found.is_cut = true);
                    }
                    WalkState::Continue
                }
            }
        })
    });
    let mut found = found
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    found.directories = directories.into_inner().min(MOST_DIRECTORIES);
    found.projects.sort();
    found.unseen.sort();
    // A folder with sources speaks for all that lie in it; what lies in it comes right after it.
    let mut last: Option<PathBuf> = None;
    found.projects.retain(|(path, kind)| {
        if !matches!(kind, Kind::Folder(_)) {
            return true;
        }
        if last.as_ref().is_some_and(|last| path.starts_with(last)) {
            return false;
        }
        last = Some(path.clone());
        true
    });
    found
}

enum Looked {
    Repository(Kind),
    Vault,
    Folder,
}

fn look(path: &Path) -> Looked {
    let has = |name: &str| path.join(name).symlink_metadata().is_ok();
    if has(".git") {
        return Looked::Repository(Kind::Repository);
    }
    if !has("HEAD") || !has("objects") || !has("refs") {
        return Looked::Folder;
    }
    if has("vault.toml") {
        Looked::Vault
    } else {
        Looked::Repository(Kind::Bare)
    }
}

/// Whether nothing is looked for in a directory; a repository it is all the same.
fn is_passed_over(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default();
    let is_hidden = name.as_encoded_bytes().starts_with(b".");
    let is_one_of = |names: &[&str]| names.iter().any(|known| name == *known);
    is_hidden
        || is_one_of(&MADE_BY_TOOLS)
        || (is_one_of(&MADE_IN_PROJECTS)
            && path.parent().is_some_and(|above| marker(above).is_some()))
}

/// The file in a folder that says that somebody works there: the first by name.
fn marker(path: &Path) -> Option<String> {
    let names = crate::host::disk::list(path).ok()?;
    let mut sources = None;
    for name in &names {
        let Some(text) = name.to_str() else { continue };
        if MARKERS.contains(&text) {
            return Some(text.to_owned());
        }
        let ending = Path::new(text).extension().and_then(OsStr::to_str);
        let is_source = ending.is_some_and(|ending| SOURCES.contains(&ending));
        if is_source && sources.is_none() && path.join(name).is_file() {
            sources = Some(text.to_owned());
        }
    }
    sources
}

fn has_directories(path: &Path) -> bool {
    let entries = std::fs::read_dir(path).into_iter().flatten().flatten();
    entries.into_iter().any(|entry| {
        let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
        is_directory && !is_passed_over(&entry.path())
    })
}

/// What an error of the walk is about, and what it says.
fn unseen(root: &Path, error: &ignore::Error) -> (PathBuf, String) {
    let mut path = root.to_owned();
    let mut error = error;
    loop {
        if let ignore::Error::WithPath { path: found, err } = error {
            path.clone_from(found);
            error = err;
        } else if let ignore::Error::WithDepth { err, .. } = error {
            error = err;
        } else {
            return (path, error.to_string());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repositories_and_folders_with_sources_are_found_and_nothing_in_them() {
        let place = tempfile::tempdir().unwrap();
        let make = |name: &str| {
            let path = place.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "x").unwrap();
        };
        for name in [
            "a/.git/HEAD",
            "a/inner/.git/HEAD",
            "a/Cargo.toml",
            "b/main.py",
            "b/lib/util.py",
            "b/vendored/.git/HEAD",
            "bare.git/HEAD",
            "bare.git/objects/x",
            "bare.git/refs/x",
            "x.vault/HEAD",
            "x.vault/objects/x",
            "x.vault/refs/x",
            "x.vault/vault.toml",
            "c/node_modules/d/package.json",
            "b/build/f/.git/HEAD",
            "build/g/.git/HEAD",
            ".hidden/e/.git/HEAD",
            ".dotfiles/.git/HEAD",
            "photos/one.jpg",
        ] {
            make(name);
        }
        std::os::unix::fs::symlink(place.path().join("a"), place.path().join("link")).unwrap();
        let found = find(place.path(), 8);
        let short = |(path, kind): &(PathBuf, Kind)| {
            let path = path.strip_prefix(place.path()).unwrap();
            (path.display().to_string(), kind.clone())
        };
        let found: Vec<(String, Kind)> = found.projects.iter().map(short).collect();
        let due = [
            (".dotfiles", Kind::Repository),
            ("a", Kind::Repository),
            ("b", Kind::Folder("main.py".to_owned())),
            ("b/vendored", Kind::Repository),
            ("bare.git", Kind::Bare),
            ("build/g", Kind::Repository),
        ];
        assert_eq!(found, due.map(|(path, kind)| (path.to_owned(), kind)));
    }

    #[test]
    fn what_lies_deeper_than_was_looked_is_said() {
        let place = tempfile::tempdir().unwrap();
        std::fs::create_dir_all(place.path().join("a/b/c")).unwrap();
        assert!(find(place.path(), 2).is_cut);
        assert!(!find(place.path(), 3).is_cut);
    }
}
