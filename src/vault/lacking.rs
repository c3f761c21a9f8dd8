//! Lacking: objects that something in a repository names, and that it did not have when it was captured.

use std::collections::{BTreeMap, BTreeSet};

use crate::host::git::object::ObjectId;
use crate::model::place::{Place, Spot};

/// Lacking, by the git directory of the repository that lacks them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Lacking {
    by_repository: BTreeMap<Spot, BTreeSet<ObjectId>>,
}

impl Lacking {
    /// Those of one repository.
    #[must_use]
    pub fn of(&self, git_dir: &Spot) -> BTreeSet<ObjectId> {
        self.by_repository.get(git_dir).cloned().unwrap_or_default()
    }

    /// Whether nothing is lacking.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// Whether a repository lacks an object.
    #[must_use]
    pub fn contains(&self, git_dir: &Spot, id: &ObjectId) -> bool {
        self.by_repository
            .get(git_dir)
            .is_some_and(|ids| ids.contains(id))
    }

    /// Adds some.
    pub fn extend(&mut self, git_dir: &Spot, ids: impl IntoIterator<Item = ObjectId>) {
        let known = self.by_repository.entry(git_dir.clone()).or_default();
        known.extend(ids);
    }

    /// Adds all of others.
    pub fn extend_by(&mut self, others: Self) {
        for (git_dir, ids) in others.by_repository {
            self.extend(&git_dir, ids);
        }
    }

    /// Keeps those for which `is_lacking` still says so.
    pub fn retain(&mut self, is_lacking: impl Fn(&Spot, &ObjectId) -> bool) {
        for (git_dir, ids) in &mut self.by_repository {
            ids.retain(|id| is_lacking(git_dir, id));
        }
        self.by_repository.retain(|_, ids| !ids.is_empty());
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.by_repository
            .values()
            .map(|ids| ids.len() as u64)
            .sum()
    }

    /// The list as a snapshot keeps it: an id a line, for a nested repository with its git directory behind a space.
    #[must_use]
    pub fn to_text(&self) -> String {
        let main = Spot::top(Place::Gitdir);
        let lines = self.by_repository.iter().flat_map(|(git_dir, ids)| {
            let behind = if *git_dir == main {
                String::new()
            } else {
                format!(" {git_dir}")
            };
            ids.iter().map(move |id| format!("{id}{behind}\n"))
        });
        lines.collect()
    }

    /// Reads a list; `None` unless it is in the one form.
    #[must_use]
    pub fn parse(bytes: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(bytes).ok()?;
        let mut lacking = Self::default();
        for line in text.lines() {
            let (id, git_dir) = match line.split_once(' ') {
                Some((id, git_dir)) => (id, git_dir.parse().ok()?),
                None => (line, Spot::top(Place::Gitdir)),
            };
            lacking.extend(&git_dir, [ObjectId::from_hex(id.as_bytes())?]);
        }
        (lacking.to_text() == text).then_some(lacking)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_one_form() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        for good in [
            String::new(),
            format!("{a}\n{b}\n"),
            format!("{b}\n{a} gitdir/modules/lib\n"),
        ] {
            let holes = Lacking::parse(good.as_bytes());
            assert_eq!(holes.map(|holes| holes.to_text()), Some(good));
        }
        for bad in [
            format!("{b}\n{a}\n"),
            a.clone(),
            format!("{a} gitdir\n"),
            format!("{a} elsewhere\n"),
            "x\n".to_owned(),
        ] {
            assert_eq!(Lacking::parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
