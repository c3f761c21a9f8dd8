//! What `git vault acknowledge` says to people.

use super::{Lines, count, shown};
use crate::ops::acknowledge::{AcknowledgeReport, Finding};

/// What a person is asked before the statement is made.
#[must_use]
pub fn question(finding: &Finding) -> String {
    format!(
        "{}\nThis machine has seen {}, and found {}, which hold {}.\n\
         If what is gone is gone for good, type the number of entries found:",
        finding.refusal.what,
        count(finding.seen(), "log entry"),
        count(finding.found(), "log entry"),
        count(finding.snapshots() as u64, "snapshot"),
    )
}

/// `git vault acknowledge`.
#[must_use]
pub fn acknowledge(report: &AcknowledgeReport) -> String {
    let mut lines = Lines::default();
    lines.add(
        "STATED",
        format!(
            "log entry {} had been seen, {} is the newest; the vault goes on from there",
            report.seen, report.found
        ),
    );
    lines.add("RECORDED", format!("as log entry {}", report.recorded_as));
    lines.add("VAULT", shown(&report.vault));
    lines.add("NEXT", "git vault verify      (checks what is there)");
    lines.0
}
