//! What `git vault schedule` answers to programs.

use serde_json::{Value, json};

use super::path;
use crate::cli::text::schedule::next;
use crate::ops::schedule::scheduler::Overlay;
use crate::ops::schedule::{FileState, InstallReport, Ledger, ScheduleStatus};

fn schedule(ledger: &Ledger) -> Value {
    let files = ledger.file.iter().map(|file| file.path.clone());
    json!({
        "scheduler": ledger.scheduler,
        "every_seconds": ledger.every_seconds,
        "installed": ledger.installed,
        "program": ledger.program,
        "files": files.collect::<Vec<_>>(),
    })
}

/// `git vault schedule install`.
#[must_use]
pub fn install(report: &InstallReport) -> Value {
    json!({
        "schema": "git-vault/schedule-install/1",
        "as_before": report.is_as_before,
        "schedule": schedule(&report.ledger),
    })
}

/// `git vault schedule uninstall`.
#[must_use]
pub fn uninstall(removed: Option<&Ledger>) -> Value {
    json!({ "schema": "git-vault/schedule-uninstall/1", "removed": removed.map(schedule) })
}

/// `git vault schedule status`.
#[must_use]
pub fn status(status: &ScheduleStatus) -> Value {
    let files = status.files.iter().map(|(file, state)| {
        let state = match state {
            FileState::Intact => "intact",
            FileState::Changed => "changed",
            FileState::Missing => "missing",
        };
        json!({ "path": path(file), "state": state })
    });
    json!({
        "schema": "git-vault/schedule-status/1",
        "schedule": status.ledger.as_ref().map(schedule),
        "files": files.collect::<Vec<_>>(),
        "overlays": status.overlays.iter().map(overlay).collect::<Vec<_>>(),
        "on": status.is_on,
        "has_program": status.has_program,
        "last_sweep": status.last.as_ref().map(|last| last.began),
        "attention": status.needs_attention(),
        "next": next(status).iter().map(|(command, purpose)| json!({ "command": command, "purpose": purpose })).collect::<Vec<_>>(),
    })
}

fn overlay(overlay: &Overlay) -> Value {
    let (kind, unit, file) = match overlay {
        Overlay::DropIn(unit, file) => ("drop-in", unit, Some(file)),
        Overlay::Masked(unit) => ("masked", unit, None),
        Overlay::NotRead(unit) => ("not-read", unit, None),
    };
    json!({ "kind": kind, "unit": unit, "path": file })
}
