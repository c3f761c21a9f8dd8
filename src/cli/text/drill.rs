//! The report of `git vault drill` as text.

use crate::model::ids::SnapshotId;
use crate::model::manifest::Completeness;
use crate::ops::ask_git::{GitVerdict, Reflogs};
use crate::ops::drill::{DrillReport, Drilled};

use super::{Lines, bytes, count, recorded};

/// `git vault drill`.
#[must_use]
pub fn drill(report: &DrillReport) -> String {
    let mut lines = Lines::default();
    for drilled in &report.drills {
        one(&mut lines, drilled);
    }
    if !report.not_accepted.is_empty() {
        let ids = ids(&report.not_accepted);
        lines.add(
            "DOUBTFUL",
            format!("{ids}: not drilled, somebody else may have signed them"),
        );
    }
    if !report.remaining.is_empty() {
        let ids = ids(&report.remaining);
        lines.add("REMAINING", format!("{ids}: the time was used up"));
    }
    lines.add(
        "IN ALL",
        format!(
            "{} of {} in the vault proven, by its log",
            report.proven_in_vault,
            count(report.snapshots_in_vault, "snapshot")
        ),
    );
    lines.0
}

fn ids(ids: &[SnapshotId]) -> String {
    let ids: Vec<&str> = ids.iter().map(SnapshotId::as_str).collect();
    ids.join(", ")
}

fn one(lines: &mut Lines, drilled: &Drilled) {
    let snapshot = &drilled.snapshot;
    lines.add(
        "PROVEN",
        format!(
            "{}  snapshot {}, restored and the same in everything",
            snapshot.record.id, snapshot.number
        ),
    );
    let compared = &drilled.compared;
    lines.add(
        "CHECKED",
        format!(
            "{} ({}), {}, {}, {} of history ({})",
            count(compared.files, "file"),
            bytes(compared.bytes),
            count(compared.directories, "directory"),
            count(compared.links, "link"),
            count(compared.packs, "pack"),
            bytes(compared.pack_bytes),
        ),
    );
    if drilled.completeness == Completeness::NeedsPromisor {
        let word = drilled.completeness.word();
        lines.add(
            "NEEDS",
            format!("{word}: what the promisor remote has was not asked for"),
        );
    }
    let git = match &drilled.git {
        GitVerdict::Whole {
            version,
            reflogs: Reflogs::Followed,
        } => format!("{version} found the repository whole"),
        GitVerdict::Whole {
            version,
            reflogs: Reflogs::NotFollowed,
        } => {
            format!(
                "{version} found the repository whole; reflogs name objects that the source lacked"
            )
        }
        GitVerdict::NotAsked(reason) => format!("not asked: {reason}"),
    };
    lines.add("GIT", git);
    recorded(lines, &drilled.recorded);
    if let Some(reason) = &drilled.left {
        lines.add("SCRATCH", format!("not removed: {reason}"));
    }
}
