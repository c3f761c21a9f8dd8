//! What was set aside, as a JSON object.

use serde_json::{Value, json};

use super::{path, paths};
use crate::ops::set_aside::{MovedLeftover, SetAsideReport};

fn moved(one: &MovedLeftover) -> Value {
    json!({
        "name": one.name,
        "directory": path(&one.directory),
        "files": one.files,
        "bytes": one.bytes,
        "recorded_as": one.entry,
    })
}

/// `git vault set-aside`.
#[must_use]
pub fn report(report: &SetAsideReport) -> Value {
    json!({
        "schema": "git-vault/set-aside/1",
        "vault": path(&report.vault),
        "set_aside": report.moved.iter().map(moved).collect::<Vec<_>>(),
        "files": report.moved.iter().map(|one| one.files).sum::<u64>(),
        "bytes": report.moved.iter().map(|one| one.bytes).sum::<u64>(),
        "incomplete": paths(&report.left),
        "warnings": report.warnings,
    })
}
