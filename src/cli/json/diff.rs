//! What `diff` says, as a JSON object.

use serde_json::{Value, json};

use super::look::snapshot;
use super::path;
use crate::model::escape::text_name;
use crate::ops::compare_directory::CompareReport;
use crate::ops::diff::{Change, DiffReport, Side};
use crate::ops::diff_index::Standing;

fn side(side: &Side) -> Value {
    match side {
        Side::File(mode, bytes, blake3) => {
            json!({ "kind": "file", "mode": mode, "bytes": bytes, "blake3": blake3 })
        }
        Side::Link(target) => json!({ "kind": "link", "target": text_name(target) }),
        Side::Directory(mode) => json!({ "kind": "directory", "mode": mode }),
        Side::Other => json!({ "kind": "not-kept" }),
    }
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::Staged => "staged",
        Standing::NotStaged => "not-staged",
        Standing::Untracked => "untracked",
    }
}

fn change(change: &Change) -> Value {
    json!({
        "path": text_name(&change.path),
        "old": change.old.as_ref().map(side),
        "new": change.new.as_ref().map(side),
        "tracked": change.is_tracked,
        "standing": change.standing.map(standing),
        "lines": change.lines.map(|lines| json!({ "added": lines.added, "removed": lines.removed })),
    })
}

/// `git vault diff`.
#[must_use]
pub fn diff(report: &DiffReport) -> Value {
    json!({
        "schema": "git-vault/diff/1",
        "old": report.old.record.id,
        "new": report.new.as_ref().map(|new| new.record.id.clone()),
        "worktree": report.elsewhere.as_deref().map(path),
        "changes": report.changes.iter().map(change).collect::<Vec<_>>(),
        "only_in_index": report.only_in_index.as_ref().map(|paths| {
            paths.iter().map(|path| text_name(path)).collect::<Vec<_>>()
        }),
    })
}

/// `git vault compare`.
#[must_use]
pub fn compare(report: &CompareReport) -> Value {
    json!({
        "schema": "git-vault/compare/1",
        "snapshot": snapshot(&report.snapshot),
        "tree": report.place.name(),
        "path": text_name(&report.path),
        "directory": path(&report.directory),
        "same": report.same,
        "left_out": report.left_out,
        "changes": report.changes.iter().map(change).collect::<Vec<_>>(),
    })
}
