//! What was set aside, as text for people.

use super::{Lines, bytes, count, incomplete, shown};
use crate::ops::set_aside::SetAsideReport;

/// `git vault set-aside`.
#[must_use]
pub fn report(report: &SetAsideReport) -> String {
    let mut lines = Lines::default();
    if report.moved.is_empty() {
        lines.add(
            "SET ASIDE",
            "nothing: no interrupted snapshot left anything behind",
        );
    } else {
        let total = report.moved.iter().map(|one| one.bytes).sum();
        lines.add(
            "SET ASIDE",
            format!(
                "{}, {}; nothing was deleted",
                count(report.moved.len() as u64, "leftover"),
                bytes(total)
            ),
        );
    }
    for one in &report.moved {
        lines.add(
            "MOVED",
            format!(
                "{} ({}, {}) to {}, log entry {}",
                one.name,
                count(one.files, "file"),
                bytes(one.bytes),
                shown(&one.directory),
                one.entry
            ),
        );
    }
    for warning in &report.warnings {
        lines.add("WARNING", warning);
    }
    lines.add("VAULT", shown(&report.vault));
    incomplete(&mut lines, report.left.len());
    lines.0
}
