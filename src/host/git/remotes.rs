//! The remotes that a configuration names, and whether they are on another machine as far as their URLs say.

use std::collections::BTreeMap;

/// Remotes by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Remotes(BTreeMap<Vec<u8>, Place>);

/// Where a remote is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A URL leads to another machine.
    Elsewhere,
    /// A path, perhaps on the same disk: what is lost with this machine is lost there, too.
    Here,
}

impl Remotes {
    pub(super) fn of(repository: &gix::Repository) -> Self {
        let config = repository.config_snapshot();
        let mut found = BTreeMap::new();
        let sections = config.plumbing().sections_by_name("remote");
        for section in sections.into_iter().flatten() {
            let Some(name) = section.header().subsection_name() else {
                continue;
            };
            let urls = ["url", "pushurl"].map(|key| section.values(key));
            for url in urls.iter().flatten() {
                let place = found.entry(name.to_vec()).or_insert(Place::Elsewhere);
                if !is_elsewhere(url) {
                    *place = Place::Here;
                }
            }
        }
        Self(found)
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether there are some, and each is a path.
    #[must_use]
    pub fn are_all_here(&self) -> bool {
        !self.is_empty() && self.0.values().all(|place| *place == Place::Here)
    }

    /// Where the remote is that a remote-tracking branch stands for, by the name that it has below `refs/remotes/`; nothing where no
    /// remote of that name is configured any more.
    #[must_use]
    pub fn of_branch(&self, name: &[u8]) -> Option<Place> {
        // A name may begin with that of another remote.
        let slashes = name.iter().enumerate().rev();
        let ends = slashes.filter_map(|(at, byte)| (*byte == b'/').then_some(at));
        let mut places = ends.filter_map(|end| self.0.get(name.get(..end)?));
        places.next().copied()
    }
}

/// Whether a URL leads to another machine: as git tells a path from the rest (its `url_is_local_not_ssh`).
fn is_elsewhere(url: &[u8]) -> bool {
    let Some(colon) = url.iter().position(|byte| *byte == b':') else {
        return false;
    };
    let (scheme, rest) = url.split_at(colon);
    let is_word = !scheme.is_empty() && !scheme.contains(&b'/');
    // `ext` and `fd` are programs and streams of this machine: what is behind them is not known.
    let is_local = [&b"file"[..], b"ext", b"fd"]
        .iter()
        .any(|local| scheme.eq_ignore_ascii_case(local));
    let is_named = rest.starts_with(b"://") || rest.starts_with(b"::");
    is_word && !(is_local && is_named)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_no_other_machine() {
        for url in [
            "https://example.org/a.git",
            "ssh://example.org/a",
            "git@example.org:a.git",
            "host:a",
            "file:a",
            "codecommit::eu://a",
        ] {
            assert!(is_elsewhere(url.as_bytes()), "{url}");
        }
        for url in [
            "",
            "/srv/a.git",
            "../a",
            "./a:b",
            "file:///srv/a.git",
            "FILE:///srv/a.git",
            "ext::sh -c x",
            ":a",
        ] {
            assert!(!is_elsewhere(url.as_bytes()), "{url}");
        }
    }

    #[test]
    fn a_remote_tracking_branch_counts_for_the_remote_that_is_configured() {
        let remotes = [("a", Place::Elsewhere), ("a/b", Place::Here)];
        let remotes = remotes.map(|(name, place)| (name.as_bytes().to_vec(), place));
        let remotes = Remotes(remotes.into_iter().collect());
        assert_eq!(remotes.of_branch(b"a/main"), Some(Place::Elsewhere));
        assert_eq!(remotes.of_branch(b"a/b/main"), Some(Place::Here));
        assert_eq!(remotes.of_branch(b"ab/main"), None);
        assert_eq!(remotes.of_branch(b"a"), None);
    }
}
