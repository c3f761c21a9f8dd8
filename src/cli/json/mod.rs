//! Every report as a JSON object; the schemas are described in `docs/JSON.md`.

pub mod acknowledge;
pub mod agents;
pub mod diff;
pub mod doctor;
pub mod drill;
pub mod habits;
pub mod hooks;
pub mod incident;
pub mod key;
pub mod look;
pub mod scan;
pub mod schedule;
pub mod set_aside;
pub mod small;
pub mod status;
pub mod sweep;

use std::path::Path;

use serde_json::{Value, json};

use crate::model::escape::text_name;
use crate::model::manifest::Manifest;
use crate::ops::init::InitReport;
use crate::ops::list::{ListReport, Listed, Proof, SnapshotSummary};
use crate::ops::restore::RestoreReport;
use crate::ops::show::ShowReport;
use crate::ops::snapshot::{Outcome, SnapshotReport};
use crate::ops::verify::{Recorded, VerifyReport};

/// A path in the form of "Names in listings".
#[must_use]
pub fn path(path: &Path) -> Value {
    Value::String(text_name(crate::host::walk::path_bytes(path)))
}

fn paths(all: &[std::path::PathBuf]) -> Value {
    all.iter().map(|one| path(one)).collect()
}

/// `git vault init`.
#[must_use]
pub fn init(report: &InitReport) -> Value {
    json!({ "schema": "git-vault/init/1", "vault": path(&report.vault), "new_key": path(&report.key) })
}

/// What every report says of a snapshot.
fn snapshot_object(number: u64, manifest: &Manifest, proof: Option<&Proof>) -> Value {
    let new_bytes: u64 = manifest
        .packs
        .iter()
        .map(|pack| pack.bytes + pack.index_bytes)
        .sum();
    json!({
        "id": manifest.snapshot,
        "number": number,
        "created": manifest.created,
        "trigger": manifest.trigger,
        "message": manifest.message,
        "labels": manifest.labels,
        "branch": manifest.source.branch,
        "head": manifest.source.head,
        "operations": manifest.source.operations,
        "completeness": manifest.completeness,
        "content": manifest.content,
        "history": manifest.history,
        "new_bytes": new_bytes,
        "left_out": manifest.left_out,
        "notes": manifest.notes,
        "nested": manifest.nested,
        "linked": manifest.linked,
        "accepted": true,
        "proof": proof.and_then(|proof| proof.verified).map(|verified| json!({ "level": verified.level, "time": verified.time })),
        "drilled": proof.and_then(|proof| proof.drilled),
    })
}

/// `git vault snapshot`.
#[must_use]
pub fn snapshot(report: &SnapshotReport) -> Value {
    json!({
        "schema": "git-vault/snapshot/1",
        "outcome": match report.outcome {
            Outcome::Sealed => "sealed",
            Outcome::Unchanged => "unchanged",
        },
        "vault": path(&report.vault),
        "new_key": report.new_key.as_deref().map(path),
        "moved_from": report.moved_from,
        "warnings": report.warnings,
        "incomplete": paths(&report.incomplete),
        "snapshot": snapshot_object(report.number, &report.manifest, None),
    })
}

fn summary(summary: &SnapshotSummary) -> Value {
    let mut object = snapshot_object(
        summary.logged.number,
        &summary.manifest,
        Some(&summary.proof),
    );
    if let Some(accepted) = object.get_mut("accepted") {
        *accepted = Value::Bool(summary.is_accepted);
    }
    object
}

/// `git vault list`.
#[must_use]
pub fn list(report: &ListReport) -> Value {
    json!({
        "schema": "git-vault/list/1",
        "vault": path(&report.vault),
        "snapshots": report.snapshots.iter().map(|one| listed(one, report)).collect::<Vec<_>>(),
        "snapshots_in_vault": report.snapshots_in_vault,
        "changes_unknown": report.changes_unknown.as_ref().map(ToString::to_string),
        "sizes": report.sizes.as_ref().map(small::sizes),
        "incomplete": paths(&report.incomplete),
    })
}

fn listed(listed: &Listed, report: &ListReport) -> Value {
    let mut object = summary(&listed.summary);
    let id = &listed.summary.logged.record.id;
    let alone = report.sizes.as_ref().and_then(|sizes| sizes.alone.get(id));
    if let Some(fields) = object.as_object_mut() {
        fields.insert("alone_bytes".to_owned(), json!(alone));
        let changes = listed.changes.map(|changes| {
            json!({ "new": changes.new, "changed": changes.changed, "gone": changes.gone })
        });
        fields.insert("changes".to_owned(), json!(changes));
    }
    object
}

/// `git vault show`.
#[must_use]
pub fn show(report: &ShowReport) -> Value {
    json!({
        "schema": "git-vault/show/1",
        "vault": path(&report.vault),
        "snapshot": summary(&report.snapshot),
        "manifest": report.snapshot.manifest,
    })
}

/// The log entry, or why there is none.
fn recorded(recorded: &Recorded) -> (Option<u64>, Option<&String>) {
    match recorded {
        Recorded::Entry(number) => (Some(*number), None),
        Recorded::No(reason) => (None, Some(reason)),
    }
}

/// `git vault verify`.
#[must_use]
pub fn verify(report: &VerifyReport) -> Value {
    let ids: Vec<&str> = report
        .snapshots
        .iter()
        .map(|snapshot| snapshot.record.id.as_str())
        .collect();
    let (entry, reason) = recorded(&report.recorded);
    json!({
        "schema": "git-vault/verify/1",
        "verdict": "verified",
        "level": report.level,
        "vault": path(&report.vault),
        "snapshots": ids,
        "snapshots_in_vault": report.snapshots_in_vault,
        "doubtful": report.doubtful,
        "log_entries": report.log_entries,
        "packs": report.packs,
        "bytes": report.bytes,
        "objects": report.objects,
        "files": report.files,
        "needs_promisor": report.needs_promisor,
        "recorded_as": entry,
        "not_recorded": reason,
        "incomplete": paths(&report.incomplete),
    })
}

/// `git vault restore`.
#[must_use]
pub fn restore(report: &RestoreReport) -> Value {
    json!({
        "schema": "git-vault/restore/1",
        "destination": path(&report.destination),
        "vault": path(&report.vault),
        "snapshot": snapshot_object(report.snapshot.number, &report.manifest, None),
        "stale": report.stale,
        "files": report.files,
        "bytes": report.bytes,
        "objects": report.objects,
        "can_execute": report.can_execute,
        "not_recreated": report.not_recreated,
    })
}

/// `git vault shell-init`.
#[must_use]
pub fn shell_init(script: &str) -> Value {
    json!({ "schema": "git-vault/shell-init/1", "text": script })
}

/// `git vault runbook`.
#[must_use]
pub fn runbook(text: &str) -> Value {
    json!({ "schema": "git-vault/runbook/1", "text": text })
}
