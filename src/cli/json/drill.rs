//! The report of `git vault drill` as a JSON object.

use serde_json::{Value, json};

use crate::ops::ask_git::{GitVerdict, Reflogs};
use crate::ops::drill::{DrillReport, Drilled};

use super::{path, recorded};

/// `git vault drill`.
#[must_use]
pub fn drill(report: &DrillReport) -> Value {
    json!({
        "schema": "git-vault/drill/1",
        "verdict": "proven",
        "vault": path(&report.vault),
        "drills": report.drills.iter().map(one).collect::<Vec<_>>(),
        "remaining": report.remaining,
        "not_accepted": report.not_accepted,
        "snapshots_in_vault": report.snapshots_in_vault,
        "proven_in_vault": report.proven_in_vault,
    })
}

fn one(drilled: &Drilled) -> Value {
    let (entry, reason) = recorded(&drilled.recorded);
    let (git, not_asked, has_followed) = match &drilled.git {
        GitVerdict::Whole { version, reflogs } => {
            (Some(version), None, *reflogs == Reflogs::Followed)
        }
        GitVerdict::NotAsked(reason) => (None, Some(reason), false),
    };
    json!({
        "snapshot": drilled.snapshot.record.id,
        "number": drilled.snapshot.number,
        "completeness": drilled.completeness,
        "files": drilled.compared.files,
        "directories": drilled.compared.directories,
        "links": drilled.compared.links,
        "bytes": drilled.compared.bytes,
        "packs": drilled.compared.packs,
        "pack_bytes": drilled.compared.pack_bytes,
        "git": git,
        "git_not_asked": not_asked,
        "reflogs_followed": has_followed,
        "recorded_as": entry,
        "not_recorded": reason,
        "scratch_left": drilled.left,
    })
}
