//! Repositories and working trees of a snapshot, for people.

use super::{Lines, at, count, shown, word};
use crate::model::manifest::{LinkedWorktree, Manifest, NestedRepository};
use crate::model::place::{Place, Spot};
use crate::ops::layout::Layout;
use crate::ops::restore::RestoreReport;

/// How many are named where one line must do.
const NAMED: usize = 5;

/// What there is beside the main repository and its working tree, in two lines at most.
pub(super) fn summary(lines: &mut Lines, manifest: &Manifest) {
    if !manifest.nested.is_empty() {
        let names = manifest.nested.iter().map(name);
        lines.add(
            "ALSO",
            format!("{}: {}", repositories(manifest), some(names)),
        );
    }
    let captured = manifest.linked.iter().filter(|one| one.worktree.is_some());
    let names: Vec<String> = captured.map(|one| one.name.clone()).collect();
    if !names.is_empty() {
        let number = count(names.len() as u64, "linked worktree");
        lines.add("ALSO", format!("{number}: {}", some(names.into_iter())));
    }
}

fn repositories(manifest: &Manifest) -> String {
    match manifest.nested.len() {
        1 => "1 more repository".to_owned(),
        number => format!("{number} more repositories"),
    }
}

/// Each by itself.
pub(super) fn each(lines: &mut Lines, manifest: &Manifest) {
    for nested in &manifest.nested {
        let state = at(
            nested.branch.as_deref(),
            nested.head.as_deref(),
            &nested.operations,
        );
        lines.add("ALSO", format!("repository {}, {state}", name(nested)));
    }
    for linked in &manifest.linked {
        let state = at(
            linked.branch.as_deref(),
            linked.head.as_deref(),
            &linked.operations,
        );
        let place = match &linked.worktree {
            Some(spot) => format!("captured as {spot}"),
            None => "not captured".to_owned(),
        };
        let was = &linked.path;
        lines.add(
            "ALSO",
            format!(
                "linked worktree {}, {state}, {place}, was at {was}",
                linked.name
            ),
        );
    }
}

/// Where a restore put working trees of linked worktrees.
pub(super) fn restored(lines: &mut Lines, report: &RestoreReport) {
    let layout = Layout::new(&report.manifest, &report.destination);
    for linked in &report.manifest.linked {
        let Some(spot) = &linked.worktree else {
            continue;
        };
        let path = layout.path(spot);
        let text = format!("worktree {} is at {}", linked.name, shown(&path));
        lines.add("LINKED", text);
    }
    let is_apart = |linked: &&LinkedWorktree| linked.directory.is_some();
    if let Some(linked) = report.manifest.linked.iter().find(is_apart)
        && let Some(spot) = &linked.worktree
    {
        let git_dir = layout.path(&linked.git_dir);
        let tree = layout.path(spot);
        lines.add(
            "NEXT",
            format!(
                "git --git-dir {} worktree move {} DIR      (takes it where it shall be)",
                word(&git_dir),
                word(&tree)
            ),
        );
    }
}

/// A repository by the path of its working tree, or else of its git directory.
fn name(nested: &NestedRepository) -> String {
    let spot = nested.worktree.as_ref().unwrap_or(&nested.git_dir);
    match Spot::top(Place::Worktree).relative(spot) {
        Some(path) => crate::model::escape::text_name(path),
        None => spot.to_string(),
    }
}

fn some(names: impl ExactSizeIterator<Item = String>) -> String {
    let more = names.len().saturating_sub(NAMED);
    let named: Vec<String> = names.take(NAMED).collect();
    let more = match more {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    format!("{}{more}", named.join(", "))
}
