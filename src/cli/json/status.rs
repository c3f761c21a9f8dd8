//! What `git vault status` answers to programs.

use serde_json::{Value, json};

use super::{path, paths};
use crate::ops::status::{Since, StatusReport};

/// `git vault status`.
#[must_use]
pub fn status(report: &StatusReport) -> Value {
    let (work, unknown) = match &report.since {
        Since::Work(work) => (Some(work), None),
        Since::NotLooked(reason) | Since::Refused(reason) => (None, Some(reason)),
    };
    let attention = report.attention.iter().map(|one| {
        json!({
            "about": one.about.word(),
            "severity": one.severity.number(),
            "what": one.what,
            "next": one.next,
        })
    });
    json!({
        "schema": "git-vault/status/1",
        "vault": path(&report.vault),
        "snapshots": report.snapshots.0,
        "doubtful": report.snapshots.1,
        "sealed": report.newest.as_ref().map(|newest| {
            json!({
                "id": newest.record.id,
                "time": newest.time,
                "completeness": report.completeness,
            })
        }),
        "changed_since": work.map(|work| work.changed),
        "git_changed_since": work.map(|work| work.git_changed),
        "since_unknown": unknown,
        "verified": report.verified.map(|(level, time, covered)| {
            json!({ "level": level, "time": time, "snapshots": covered })
        }),
        "proven": report.proven.as_ref().map(|(id, time)| json!({ "id": id, "time": time })),
        "proven_snapshots": report.proven_snapshots,
        "key_copies": report.copies.iter().map(|(form, time)| {
            json!({ "form": form.word(), "time": time })
        }).collect::<Vec<_>>(),
        "free_bytes": report.free_bytes,
        "packs": report.size.packs,
        "pack_bytes": report.size.bytes,
        "droppable_bytes": report.droppable_bytes,
        "incomplete": paths(&report.incomplete),
        "triggers": report.triggers.iter().flat_map(|report| &report.triggers).map(|trigger| {
            json!({
                "name": trigger.name,
                "installed": trigger.is_installed,
                "fired": trigger.last.as_ref().map(|last| last.fired),
                "trigger": trigger.last.as_ref().map(|last| &last.trigger),
                "outcome": trigger.last.as_ref().map(|last| last.outcome),
                "detail": trigger.last.as_ref().map(|last| &last.detail),
            })
        }).collect::<Vec<_>>(),
        "attention": attention.collect::<Vec<_>>(),
    })
}
