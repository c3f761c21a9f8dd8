//! What makes daily use easy, in words: a snapshot in a few of them, and where manual pages were put.

use std::path::PathBuf;

use super::{Lines, age, count, shown};
use crate::model::timestamp::Timestamp;
use crate::ops::list::SnapshotSummary;

/// A snapshot in a few words, beside its name.
#[must_use]
pub fn in_short(summary: &SnapshotSummary, now: Timestamp) -> String {
    let manifest = &summary.manifest;
    let branch = manifest.source.branch.as_deref().unwrap_or("detached");
    let branch = branch.strip_prefix("refs/heads/").unwrap_or(branch);
    let message = if manifest.message.is_empty() {
        String::new()
    } else {
        format!(": {}", manifest.message)
    };
    format!(
        "{} ago, {}, {branch}{message}",
        age(manifest.created, now),
        manifest.trigger
    )
}

/// `git vault man DIR`.
#[must_use]
pub fn pages(directory: &std::path::Path, written: &[PathBuf]) -> String {
    let mut lines = Lines::default();
    let pages = count(written.len() as u64, "manual page");
    lines.add("WROTE", format!("{pages} to {}", shown(directory)));
    lines.add(
        "NEXT",
        "man git-vault      (git vault --help shows it, too)",
    );
    lines.0
}
