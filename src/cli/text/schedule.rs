//! What `git vault schedule` says to people.

use std::time::Duration;

use super::{Lines, age, count, shown};
use crate::ops::schedule::scheduler::every;
use crate::ops::schedule::{FileState, InstallReport, Ledger, ScheduleStatus};

fn how_often(ledger: &Ledger) -> String {
    let often = every(Duration::from_secs(ledger.every_seconds));
    format!("a sweep every {often}, by {}", ledger.scheduler)
}

/// `git vault schedule install`.
#[must_use]
pub fn install(report: &InstallReport) -> String {
    let mut lines = Lines::default();
    let before = if report.is_as_before {
        ", as before"
    } else {
        ""
    };
    let line = format!("{}{before}", how_often(&report.ledger));
    lines.add("SCHEDULED", line);
    for file in &report.ledger.file {
        lines.add("", &file.path);
    }
    lines.0
}

/// `git vault schedule uninstall`.
#[must_use]
pub fn uninstall(removed: Option<&Ledger>) -> String {
    let mut lines = Lines::default();
    match removed {
        None => lines.add("SCHEDULED", "nothing was scheduled"),
        Some(ledger) => {
            let line = format!("no more {}", how_often(ledger).trim_start_matches("a "));
            lines.add("REMOVED", line);
        }
    }
    lines.0
}

/// `git vault schedule status`.
#[must_use]
pub fn status(status: &ScheduleStatus) -> String {
    let mut lines = Lines::default();
    let Some(ledger) = &status.ledger else {
        lines.add("SCHEDULED", "nothing");
        last(&mut lines, status);
        return lines.0;
    };
    lines.add("SCHEDULED", how_often(ledger));
    for (file, state) in &status.files {
        let state = match state {
            FileState::Intact => "as written",
            FileState::Changed => "changed by somebody",
            FileState::Missing => "gone",
        };
        lines.add("FILE", format!("{}: {state}", shown(file)));
    }
    let on = match status.is_on {
        Some(true) => "on",
        Some(false) => "off: the scheduler does not have it on",
        None => "not known: the scheduler does not answer",
    };
    lines.add("TIMER", on);
    if !status.has_program {
        let line = format!("'{}' is gone; the scheduler starts nothing", ledger.program);
        lines.add("PROGRAM", line);
    }
    last(&mut lines, status);
    if status.needs_attention() {
        lines.add("", "-> git vault schedule install");
    }
    lines.0
}

fn last(lines: &mut Lines, status: &ScheduleStatus) {
    let line = match &status.last {
        None => "never".to_owned(),
        Some(last) => format!(
            "{} ago, {}",
            age(last.began, status.now),
            count(last.repositories, "repository")
        ),
    };
    lines.add("LAST SWEEP", line);
}
