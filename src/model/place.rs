//! Where things lie in a snapshot: its places, and paths in them.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

use super::escape::{name_from_text, text_name};

/// One of the directory trees a snapshot captured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Place {
    /// The git directory.
    Gitdir,
    /// The main working tree.
    Worktree,
    /// The working tree of a linked worktree that lies outside the others, counted from 1.
    Linked(u32),
}

impl Place {
    /// The name of its trees.
    #[must_use]
    pub fn name(self) -> Cow<'static, str> {
        match self {
            Self::Gitdir => Cow::Borrowed("gitdir"),
            Self::Worktree => Cow::Borrowed("worktree"),
            Self::Linked(number) => Cow::Owned(format!("linked/{number}")),
        }
    }
}

/// A path in a place. Its text is the name of the place, a slash, and the path, escaped as in listings.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Spot {
    /// The place.
    pub place: Place,
    /// The path relative to it; empty for the place itself.
    pub path: Vec<u8>,
}

impl Spot {
    /// The topmost directory of a place.
    #[must_use]
    pub fn top(place: Place) -> Self {
        Self {
            place,
            path: Vec::new(),
        }
    }

    /// What lies below this one at a relative path.
    #[must_use]
    pub fn join(&self, relative: &[u8]) -> Self {
        let path = match (self.path.is_empty(), relative.is_empty()) {
            (true, _) => relative.to_vec(),
            (false, true) => self.path.clone(),
            (false, false) => [&self.path, &b"/"[..], relative].concat(),
        };
        Self {
            place: self.place,
            path,
        }
    }

    /// The path of `other` relative to this one, if it lies there; empty when it is this one.
    #[must_use]
    pub fn relative<'a>(&self, other: &'a Self) -> Option<&'a [u8]> {
        (self.place == other.place)
            .then(|| below(&self.path, &other.path))
            .flatten()
    }
}

/// The part of `path` below `directory`, without a slash at its beginning; empty when they are the same.
#[must_use]
pub fn below<'a>(directory: &[u8], path: &'a [u8]) -> Option<&'a [u8]> {
    if directory.is_empty() {
        return Some(path);
    }
    match path.strip_prefix(directory)? {
        [] => Some(&[]),
        [b'/', rest @ ..] => Some(rest),
        _ => None,
    }
}

impl fmt::Display for Spot {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let separator = if self.path.is_empty() { "" } else { "/" };
        write!(
            formatter,
            "{}{separator}{}",
            self.place.name(),
            text_name(&self.path)
        )
    }
}

impl std::str::FromStr for Spot {
    type Err = String;

    /// Reads the one canonical form; a path never leaves its place.
    fn from_str(text: &str) -> Result<Self, String> {
        let refuse = || format!("'{text}' names nothing in a snapshot");
        let (place, rest) = if let Some(rest) = text.strip_prefix("gitdir") {
            (Place::Gitdir, rest)
        } else if let Some(rest) = text.strip_prefix("worktree") {
            (Place::Worktree, rest)
        } else if let Some(rest) = text.strip_prefix("linked/") {
            let digits = rest.find('/').unwrap_or(rest.len());
            let (number, rest) = rest.split_at(digits);
            (
                Place::Linked(number.parse().map_err(|_no_number| refuse())?),
                rest,
            )
        } else {
            return Err(refuse());
        };
        let path = match rest.strip_prefix('/') {
            None => Vec::new(),
            Some(rest) => name_from_text(rest).ok_or_else(refuse)?,
        };
        let spot = Self { place, path };
        let is_inside = spot.path.is_empty()
            || spot.path.split(|byte| *byte == b'/').all(|name| {
                !name.is_empty() && name != b"." && name != b".." && !name.contains(&0)
            });
        if is_inside && place != Place::Linked(0) && spot.to_string() == text {
            Ok(spot)
        } else {
            Err(refuse())
        }
    }
}

impl Serialize for Spot {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Spot {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spots_have_one_form() {
        for text in [
            "gitdir",
            "worktree/vendor/lib/.git",
            "linked/12",
            "linked/1/a%20b",
        ] {
            let spot: Result<Spot, _> = text.parse();
            let again = spot.map(|spot| spot.to_string());
            assert!(again == Ok(text.to_owned()) || text.contains('%'), "{text}");
        }
        for text in [
            "",
            "gitdirs",
            "gitdir/",
            "worktree/../x",
            "worktree//x",
            "worktree/./x",
            "linked",
            "linked/0",
            "linked/01",
            "linked/1/",
            "linked/x",
        ] {
            assert!(text.parse::<Spot>().is_err(), "{text}");
        }
    }

    #[test]
    fn what_lies_below_is_told_from_what_begins_alike() {
        assert_eq!(below(b"a", b"a/b"), Some(&b"b"[..]));
        assert_eq!(below(b"a", b"a"), Some(&b""[..]));
        assert_eq!(below(b"a", b"ab"), None);
        assert_eq!(below(b"", b"ab"), Some(&b"ab"[..]));
    }
}
