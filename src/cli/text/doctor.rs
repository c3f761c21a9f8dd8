//! `git vault doctor` and `git vault index rebuild` as text.

use super::{Lines, count, shown};
use crate::cli::refusals;
use crate::ops::doctor::{DoctorReport, Verdict};
use crate::ops::incident::Noted;
use crate::ops::index::RebuildReport;

/// `git vault doctor`: a line for each check, then why the vault cannot be opened, if it cannot.
#[must_use]
pub fn doctor(report: &DoctorReport, noted: &Noted) -> String {
    let mut lines = Lines::default();
    for check in &report.checks {
        let word = match check.verdict {
            Verdict::Good => "OK",
            Verdict::Attention => "ATTENTION",
            Verdict::Failed => "FAILED",
        };
        let value = format!("{}: {}; {}", check.name, check.fact, check.meaning);
        lines.add(word, value);
    }
    lines.add("VAULT", shown(&report.vault));
    if let Some(refusal) = &report.refusal {
        lines.0.push_str(&refusals::text(refusal, noted));
    }
    lines.0
}

/// `git vault index rebuild`.
#[must_use]
pub fn rebuild(report: &RebuildReport) -> String {
    let mut lines = Lines::default();
    let visible = count(report.snapshots, "snapshot");
    lines.add(
        "REBUILT",
        format!("{}, read back: {visible} visible", shown(&report.index)),
    );
    if let Some(path) = &report.set_aside {
        lines.add("KEPT", format!("the damaged one, at {}", shown(path)));
    }
    lines.add("VAULT", shown(&report.vault));
    lines.0
}
