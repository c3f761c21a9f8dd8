//! Incidents as JSON objects.

use serde_json::{Value, json};

use super::path;
use crate::ops::incidents::{IncidentList, IncidentSummary};

fn summary(summary: &IncidentSummary) -> Value {
    let record = summary.record.as_ref().ok();
    json!({
        "id": summary.id,
        "path": path(&summary.path),
        "code": record.map(|record| &record.code),
        "when": record.map(|record| record.when),
        "what": record.map(|record| &record.what),
        "vault": record.and_then(|record| record.environment.vault.as_ref()),
        "unreadable": summary.record.as_ref().err(),
    })
}

/// `git vault incident list`.
#[must_use]
pub fn list(report: &IncidentList) -> Value {
    json!({
        "schema": "git-vault/incident-list/1",
        "place": path(&report.place),
        "incidents": report.incidents.iter().map(summary).collect::<Vec<_>>(),
    })
}

/// `git vault incident show`.
#[must_use]
pub fn show(shown: &IncidentSummary) -> Value {
    json!({
        "schema": "git-vault/incident/1",
        "id": shown.id,
        "path": path(&shown.path),
        "record": shown.record.as_ref().ok(),
    })
}
