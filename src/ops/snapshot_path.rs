//! `SNAP:PATH`: a snapshot and a path in it, as people give them.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use crate::model::escape::{shell_word, text_name};
use crate::model::place::{Place, below};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;

/// A path in a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotPath {
    /// The snapshot, as it was named.
    pub snapshot: String,
    /// Which of its directory trees.
    pub place: Place,
    /// The path in it; empty for all of it.
    pub path: Vec<u8>,
}

impl SnapshotPath {
    /// Takes `SNAP`, `SNAP:PATH` or `SNAP:/PLACE/PATH` apart. A path is one of the main working tree, unless it begins with `/`: then the name
    /// of a place comes first, such as `/gitdir` or `/linked/1`.
    ///
    /// # Errors
    /// When a path is not one that a snapshot can hold.
    pub fn parse(text: &[u8]) -> Result<Self> {
        let (snapshot, path) = split(text);
        let snapshot = String::from_utf8_lossy(snapshot).into_owned();
        let Some(path) = path else {
            return Ok(Self {
                snapshot,
                place: Place::Worktree,
                path: Vec::new(),
            });
        };
        let (place, path) = match path.strip_prefix(b"/") {
            None => (Place::Worktree, path),
            Some(rest) => place_of(rest)
                .ok_or_else(|| unfit(path, "it names no directory tree of a snapshot"))?,
        };
        let path = path.strip_suffix(b"/").unwrap_or(path);
        let parts = || path.split(|byte| *byte == b'/');
        // `SNAP:.` and `SNAP:./a` are said by shells and people.
        let kept: Vec<&[u8]> = parts().filter(|part| *part != b".").collect();
        if !path.is_empty() && kept.iter().any(|part| part.is_empty() || *part == b"..") {
            return Err(unfit(
                path,
                "a path in a snapshot goes down only, from the top of its tree",
            ));
        }
        Ok(Self {
            snapshot,
            place,
            path: kept.join(&b'/'),
        })
    }
}

/// Whether a path of a place is one of those that are asked for, or lies below one; all are where none is asked for.
pub(super) fn is_asked(asked: &[SnapshotPath], place: Place, path: &[u8]) -> bool {
    let mut of_place = asked.iter().filter(|asked| asked.place == place);
    asked.is_empty() || of_place.any(|asked| below(&asked.path, path).is_some())
}

/// The snapshot ends at the first `:` that is not within `@{...}` and not the one of `before:`.
fn split(text: &[u8]) -> (&[u8], Option<&[u8]>) {
    let start = if text.starts_with(b"before:") { 7 } else { 0 };
    let mut is_within = false;
    for (at, byte) in text.iter().enumerate().skip(start) {
        match byte {
            b'{' => is_within = true,
            b'}' => is_within = false,
            b':' if !is_within => {
                let (snapshot, path) = text.split_at(at);
                return (snapshot, path.get(1..));
            }
            _ => {}
        }
    }
    (text, None)
}

/// The place whose name a path begins with, and the rest.
fn place_of(path: &[u8]) -> Option<(Place, &[u8])> {
    let mut ends: Vec<usize> = path
        .iter()
        .enumerate()
        .filter(|(_, byte)| **byte == b'/')
        .map(|(at, _)| at)
        .collect();
    ends.push(path.len());
    ends.into_iter().find_map(|end| {
        let (name, rest) = path.split_at_checked(end)?;
        let spot: crate::model::place::Spot = std::str::from_utf8(name).ok()?.parse().ok()?;
        let is_place = spot.path.is_empty();
        is_place.then(|| (spot.place, rest.strip_prefix(b"/").unwrap_or(rest)))
    })
}

fn unfit(path: &[u8], fact: &str) -> Refusal {
    Refusal::new(
        RefusalCode::PathNotFound,
        format!("'{}' is no path in a snapshot", text_name(path)),
    )
    .because(fact)
    .keeping("nothing was touched")
    .next(
        "git vault ls @latest",
        "shows what the newest snapshot holds",
    )
}

/// `SNAP:PATH` as one word for a shell.
#[must_use]
pub fn word_of(snapshot: &str, place: Place, path: &[u8]) -> String {
    let tree = match place {
        Place::Worktree => String::new(),
        Place::Gitdir | Place::Linked(_) => format!("/{}/", place.name()),
    };
    let start = format!("{snapshot}:{tree}");
    let word = [start.as_bytes(), path].concat();
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"._/:@~-".contains(byte);
    if word.iter().all(is_plain) {
        return String::from_utf8_lossy(&word).into_owned();
    }
    shell_word(Path::new(OsStr::from_bytes(&word)))
}

/// Says that a snapshot does not hold a path.
#[must_use]
pub fn not_in(snapshot: &str, place: Place, path: &[u8]) -> Refusal {
    let shown = text_name(path);
    let tree = match place {
        Place::Worktree => String::new(),
        Place::Gitdir | Place::Linked(_) => format!(" in its {}", place.name()),
    };
    Refusal::new(
        RefusalCode::PathNotFound,
        format!("snapshot {snapshot} holds no '{shown}'{tree}"),
    )
    .because("paths begin at the top of the working tree, wherever the command is given")
    .keeping("nothing was touched")
    .next(
        format!("git vault ls {snapshot}"),
        "shows what it holds at the top",
    )
    .next(
        format!(
            "git vault find {}",
            shell_word(Path::new(OsStr::from_bytes(path)))
        ),
        "shows which snapshots hold something of that name",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str) -> Option<(String, Place, String)> {
        let path = SnapshotPath::parse(text.as_bytes()).ok()?;
        let shown = String::from_utf8(path.path).unwrap();
        Some((path.snapshot, path.place, shown))
    }

    #[test]
    fn a_snapshot_and_a_path_are_told_apart() {
        let of =
            |snapshot: &str, place, path: &str| Some((snapshot.to_owned(), place, path.to_owned()));
        for (text, meant) in [
            ("3kq", of("3kq", Place::Worktree, "")),
            ("3kq:", of("3kq", Place::Worktree, "")),
            ("3kq:a/b", of("3kq", Place::Worktree, "a/b")),
            ("3kq:a/b/", of("3kq", Place::Worktree, "a/b")),
            ("3kq:./a", of("3kq", Place::Worktree, "a")),
            ("3kq:.", of("3kq", Place::Worktree, "")),
            ("3kq:a:b", of("3kq", Place::Worktree, "a:b")),
            ("3kq:/gitdir/config", of("3kq", Place::Gitdir, "config")),
            ("3kq:/gitdir", of("3kq", Place::Gitdir, "")),
            ("3kq:/worktree/a", of("3kq", Place::Worktree, "a")),
            ("3kq:/linked/1/a", of("3kq", Place::Linked(1), "a")),
            (
                "@{yesterday 14:00}:a",
                of("@{yesterday 14:00}", Place::Worktree, "a"),
            ),
            ("before:rebase", of("before:rebase", Place::Worktree, "")),
            ("before:rebase:a", of("before:rebase", Place::Worktree, "a")),
            ("3kq:../a", None),
            ("3kq:a/../b", None),
            ("3kq:a//b", None),
            ("3kq:/elsewhere/a", None),
            ("3kq:/linked/0/a", None),
        ] {
            assert_eq!(parsed(text), meant, "{text}");
        }
    }
}
