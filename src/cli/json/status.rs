//! What `git vault status` answers to programs.

use serde_json::{Value, json};

use super::{path, paths};
use crate::host::git::repository::join_bytes;
use crate::ops::loose_ends::Remote;
use crate::ops::status::{Since, StatusReport};
use crate::ops::unprotected::Unprotected;

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
        "unprotected": report.exposed.as_ref().map(|exposed| unprotected(&exposed.unprotected)),
        "unpushed": report.exposed.as_ref().and_then(|exposed| {
            let upstream = exposed.upstream.as_ref()?;
            Some(json!({
                "remote": upstream.remote != Remote::None,
                "pushed": upstream.remote == Remote::Tracked,
                "commits": upstream.unpushed.commits,
                "is_more": upstream.unpushed.is_more,
                "branches": upstream.unpushed.branches,
                "inside": upstream.inside,
                "on_tags_only": upstream.unpushed.on_tags_only,
                "stashes": upstream.stashes,
            }))
        }),
        "attention": attention.collect::<Vec<_>>(),
    })
}

fn unprotected(found: &Unprotected) -> Value {
    let files = found.files.iter().map(|file| {
        json!({
            "path": path(&join_bytes(&file.root, &file.path)),
            "bytes": file.bytes,
            "rule": file.rule,
            "pattern": file.pattern,
        })
    });
    json!({
        "files": files.collect::<Vec<_>>(),
        "include": found.patterns,
        "is_cut": found.is_cut,
    })
}
