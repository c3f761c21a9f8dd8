//! What `git vault guard` says to people, on standard error.

use std::path::Path;

use super::{Lines, new_key, word};
use crate::host::program::NotRunnable;
use crate::ops::snapshot::{Outcome, SnapshotReport};

/// One line before the command runs, and what of the snapshot cannot wait.
#[must_use]
pub fn guard(captured: Option<&SnapshotReport>, command: &Path) -> String {
    let mut lines = Lines::default();
    let command = word(command);
    let Some(report) = captured else {
        let line = format!("no repository here, so nothing was captured before {command}");
        lines.add("GUARD", line);
        return lines.0;
    };
    let id = &report.manifest.snapshot;
    let line = match report.outcome {
        Outcome::Sealed => format!("{id} sealed before {command}"),
        Outcome::Unchanged => format!("unchanged since {id}, before {command}"),
    };
    lines.add("GUARD", line);
    if let Some(key) = &report.new_key {
        new_key(&mut lines, key);
    }
    for warning in &report.warnings {
        lines.add("WARNING", warning);
    }
    lines.0
}

/// That there is nothing to run.
#[must_use]
pub fn not_run(command: &Path, why: NotRunnable) -> String {
    let mut lines = Lines::default();
    let why = match why {
        NotRunnable::NotFound => "was not found",
        NotRunnable::NotExecutable => "cannot be executed",
    };
    let line = format!("{} {why}; nothing was captured or run", word(command));
    lines.add("GUARD", line);
    lines.0
}
