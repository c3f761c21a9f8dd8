//! What `git vault acknowledge` answers to programs.

use serde_json::{Value, json};

use super::path;
use crate::ops::acknowledge::AcknowledgeReport;

/// `git vault acknowledge`.
#[must_use]
pub fn acknowledge(report: &AcknowledgeReport) -> Value {
    json!({
        "schema": "git-vault/acknowledge/1",
        "vault": path(&report.vault),
        "seen": report.seen,
        "found": report.found,
        "recorded_as": report.recorded_as,
    })
}
