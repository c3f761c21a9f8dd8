//! What a manifest says of repositories and working trees must make one workspace: signed nonsense is refused before it is
//! acted upon.

use std::collections::BTreeSet;

use crate::model::escape::name_from_text;
use crate::model::manifest::{LinkedWorktree, Manifest};
use crate::model::place::{Place, Spot};

/// How the name of the directory begins that a restore makes for a linked worktree.
pub const LINKED_DIRECTORY: &[u8] = b"linked-";

/// What is wrong, if anything is.
#[must_use]
pub fn fault(manifest: &Manifest) -> Option<String> {
    let places: BTreeSet<Place> = manifest.places().into_iter().collect();
    let is_captured = |spot: &Spot| places.contains(&spot.place);
    let git_dirs = manifest.git_dirs();
    if !git_dirs.is_sorted_by(|left, right| left < right) {
        return Some("its nested repositories are not in order".to_owned());
    }
    for nested in &manifest.nested {
        let spots = std::iter::once(&nested.git_dir).chain(&nested.worktree);
        if let Some(spot) = spots.into_iter().find(|spot| !is_captured(spot)) {
            return Some(format!(
                "it places a repository in '{spot}', which it lacks"
            ));
        }
    }
    let key = |linked: &LinkedWorktree| (linked.git_dir.clone(), name_from_text(&linked.name));
    if !manifest
        .linked
        .is_sorted_by(|left, right| key(left) < key(right))
    {
        return Some("its linked worktrees are not in order".to_owned());
    }
    let faulty = manifest.linked.iter().find(|linked| {
        !git_dirs.contains(&linked.git_dir)
            || !linked.worktree.as_ref().is_none_or(is_captured)
            || !is_name(&linked.name)
            || !has_fitting_directory(linked)
    });
    if let Some(linked) = faulty {
        return Some(format!(
            "its linked worktree '{}' fits nowhere",
            linked.name
        ));
    }
    let directories: BTreeSet<_> = manifest
        .linked
        .iter()
        .filter_map(|linked| Some((&linked.git_dir, linked.directory.as_ref()?)))
        .collect();
    let tops: BTreeSet<Place> = manifest
        .linked
        .iter()
        .filter(|linked| linked.directory.is_some())
        .filter_map(|linked| Some(linked.worktree.as_ref()?.place))
        .collect();
    let count = manifest.content.linked.len();
    if directories.len() != count
        || tops.len() != count
        || !tops.iter().all(|top| ends(manifest, *top))
    {
        return Some("its places for linked worktrees are not those it tells of".to_owned());
    }
    None
}

/// The linked worktree that a place of its own belongs to.
#[must_use]
pub fn linked_at(manifest: &Manifest, place: Place) -> Option<&LinkedWorktree> {
    let is_it = |linked: &&LinkedWorktree| {
        linked.directory.is_some()
            && linked
                .worktree
                .as_ref()
                .is_some_and(|spot| spot.place == place)
    };
    manifest.linked.iter().find(is_it)
}

/// Whether a place of a linked worktree lies, by way of others, in one that is none.
fn ends(manifest: &Manifest, place: Place) -> bool {
    let mut place = place;
    for _ in 0..=manifest.content.linked.len() {
        match linked_at(manifest, place) {
            Some(linked) => place = linked.git_dir.place,
            None => return !matches!(place, Place::Linked(_)),
        }
    }
    false
}

fn is_name(escaped: &str) -> bool {
    name_from_text(escaped).is_some_and(|name| {
        !name.is_empty()
            && name != b"."
            && name != b".."
            && !name.iter().any(|byte| matches!(byte, b'/' | 0))
    })
}

/// A directory is named where the files are a place of their own, and only there.
fn has_fitting_directory(linked: &LinkedWorktree) -> bool {
    let is_apart = linked
        .worktree
        .as_ref()
        .is_some_and(|spot| spot.path.is_empty() && matches!(spot.place, Place::Linked(_)));
    match &linked.directory {
        None => !is_apart,
        Some(name) => is_apart && is_name(name) && name.as_bytes().starts_with(LINKED_DIRECTORY),
    }
}
