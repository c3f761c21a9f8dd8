//! What `git vault schedule` says to people.

use std::path::Path;
use std::time::Duration;

use super::{Lines, age, count, shown};
use crate::ops::schedule::scheduler::{Overlay, every};
use crate::ops::schedule::{FileState, InstallReport, Ledger, ScheduleStatus, set_aside};

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
    for overlay in &status.overlays {
        let line = match overlay {
            Overlay::DropIn(unit, file) => format!("'{}' changes {unit}", shown(Path::new(file))),
            Overlay::Masked(unit) => format!("{unit} is masked: the scheduler never starts it"),
            Overlay::NotRead(unit) => format!("{unit} was changed since the scheduler has read it"),
        };
        lines.add("BUT", line);
    }
    last(&mut lines, status);
    for (command, purpose) in next(status) {
        lines.add("", format!("-> {command}      ({purpose})"));
    }
    lines.0
}

/// What helps, where something needs attention, in the order in which it is to be done.
#[must_use]
pub fn next(status: &ScheduleStatus) -> Vec<(String, String)> {
    let mut steps = Vec::new();
    let mut say = |command: String, purpose: &str| steps.push((command, purpose.to_owned()));
    if !status.needs_attention() {
        return steps;
    }
    for overlay in &status.overlays {
        match overlay {
            Overlay::DropIn(unit, _) => say(
                format!("systemctl --user cat {unit}"),
                "shows all that holds of it; 'revert' in place of 'cat' removes what was laid over it",
            ),
            Overlay::Masked(unit) => say(
                format!("systemctl --user unmask {unit}"),
                "lets it be started again",
            ),
            Overlay::NotRead(_) => say(
                "systemctl --user daemon-reload".to_owned(),
                "has it read again",
            ),
        }
    }
    let is_masked = |name: Option<&std::ffi::OsStr>| {
        let masked = |overlay: &Overlay| matches!(overlay, Overlay::Masked(unit) if name == Some(unit.as_ref()));
        status.overlays.iter().any(masked)
    };
    let changed = status
        .files
        .iter()
        .filter(|(_, state)| *state == FileState::Changed);
    for (file, _) in changed.filter(|(file, _)| !is_masked(file.file_name())) {
        say(
            set_aside(file),
            "sets aside what somebody wrote there; installing never writes over it",
        );
    }
    let is_whole = status
        .files
        .iter()
        .all(|(_, state)| *state == FileState::Intact);
    if !(is_whole && status.is_on == Some(true) && status.has_program) {
        say(
            "git vault schedule install".to_owned(),
            "writes what is missing and switches it on",
        );
    }
    steps
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
