//! What `diff` says, as a JSON object.

use serde_json::{Value, json};

use crate::model::escape::text_name;
use crate::ops::diff::{Change, DiffReport, Side};

fn side(side: &Side) -> Value {
    match side {
        Side::File(mode, bytes, blake3) => {
            json!({ "kind": "file", "mode": mode, "bytes": bytes, "blake3": blake3 })
        }
        Side::Link(target) => json!({ "kind": "link", "target": text_name(target) }),
        Side::Other => json!({ "kind": "not-kept" }),
    }
}

fn change(change: &Change) -> Value {
    json!({
        "path": text_name(&change.path),
        "old": change.old.as_ref().map(side),
        "new": change.new.as_ref().map(side),
        "tracked": change.is_tracked,
    })
}

/// `git vault diff`.
#[must_use]
pub fn diff(report: &DiffReport) -> Value {
    json!({
        "schema": "git-vault/diff/1",
        "old": report.old.record.id,
        "new": report.new.as_ref().map(|new| new.record.id.clone()),
        "changes": report.changes.iter().map(change).collect::<Vec<_>>(),
    })
}
