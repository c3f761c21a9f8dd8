//! What the topmost trees and listings of a snapshot must hold, and what only a restore puts there.

use std::collections::BTreeSet;

use crate::host::git::object::ObjectId;
use crate::model::listing::{Entry, Listing};
use crate::model::manifest::Manifest;
use crate::model::place::{Place, Spot};
use crate::model::refusal::Result;
use crate::vault::reader::SnapshotReader;

/// The list of what a promisor remote has promised.
pub const PROMISED: &[u8] = b"promised";

/// The names in the root tree of a snapshot, in their order, those of trees of pieces without what marks them: no more, and no
/// fewer, than its manifest tells of.
#[must_use]
pub fn root_names(manifest: &Manifest) -> Vec<&'static [u8]> {
    let all: [(bool, &[u8]); 6] = [
        (true, b"attributes"),
        (true, b"gitdir"),
        (manifest.history.holes > 0, b"holes"),
        (!manifest.content.linked.is_empty(), b"linked"),
        (manifest.history.promised > 0, PROMISED),
        (manifest.content.worktree.is_some(), b"worktree"),
    ];
    all.into_iter()
        .filter_map(|(is_there, name)| is_there.then_some(name))
        .collect()
}

/// The names in the tree of linked worktrees, in their order.
fn linked_names(manifest: &Manifest) -> Vec<Vec<u8>> {
    let numbers = 1..=manifest.content.linked.len();
    let mut names: Vec<Vec<u8>> = numbers
        .map(|number| number.to_string().into_bytes())
        .collect();
    names.sort();
    names
}

impl SnapshotReader<'_> {
    /// The trees of a place below the root and below that of the attributes.
    pub(super) fn place_tree(&self, above: &ObjectId, place: Place) -> Result<ObjectId> {
        match place {
            Place::Gitdir | Place::Worktree => self.child(above, place.name().as_bytes()),
            Place::Linked(number) => {
                let linked = self.child(above, b"linked")?;
                let found = self.entries(&linked)?;
                let names = found.iter().map(|(_, name, _)| name.clone());
                if !names.eq(linked_names(self.manifest)) {
                    let fact = format!("tree {linked} holds more or less than it states");
                    return Err(self.contradiction(fact));
                }
                self.child(&linked, number.to_string().as_bytes())
            }
        }
    }
}

/// Whether a place can have such a topmost listing. What a restore makes itself is not in it, and without HEAD there is no
/// git directory.
#[must_use]
pub fn is_possible(place: Place, listing: &Listing) -> bool {
    let entry = |name: &[u8]| listing.entries.get(name);
    match place {
        Place::Worktree => entry(b".git").is_none(),
        Place::Linked(_) => matches!(entry(b".git"), Some(Entry::File { .. })),
        Place::Gitdir => is_git_dir(listing),
    }
}

/// Without HEAD there is no git directory; its objects are elsewhere.
fn is_git_dir(listing: &Listing) -> bool {
    let entry = |name: &[u8]| listing.entries.get(name);
    let has_head = matches!(
        entry(b"HEAD"),
        Some(Entry::File { .. } | Entry::Link { .. })
    );
    has_head && matches!(entry(b"objects"), None | Some(Entry::LeftOut { .. }))
}

/// Directories inside a place that a manifest says to be git directories or working trees of their own.
pub(super) struct Borders {
    git_dirs: BTreeSet<Vec<u8>>,
    trees: BTreeSet<Vec<u8>>,
}

impl Borders {
    /// Those of a place.
    pub(super) fn of(manifest: &Manifest, place: Place) -> Self {
        let inside = |spot: &Spot| spot.place == place && !spot.path.is_empty();
        let nested = manifest
            .nested
            .iter()
            .filter_map(|one| one.worktree.clone());
        let linked = manifest
            .linked
            .iter()
            .filter_map(|one| one.worktree.clone());
        let paths = |spots: &mut dyn Iterator<Item = Spot>| {
            spots.filter(inside).map(|spot| spot.path).collect()
        };
        Self {
            git_dirs: paths(&mut manifest.git_dirs().into_iter()),
            trees: paths(&mut nested.chain(linked)),
        }
    }

    /// Whether a directory is what the manifest says; notes that it was met.
    pub(super) fn admits(&mut self, path: &[u8], listing: &Listing) -> bool {
        let dot_git = listing.entries.get(&b".git"[..]);
        let is_tree = matches!(dot_git, Some(Entry::File { .. } | Entry::Directory { .. }));
        (!self.git_dirs.remove(path) || is_git_dir(listing))
            && (!self.trees.remove(path) || is_tree)
    }

    /// One that was not met.
    pub(super) fn unmet(self) -> Option<Vec<u8>> {
        self.git_dirs.into_iter().chain(self.trees).next()
    }
}
