//! What every trigger does: a snapshot, if anything changed, and a note that the trigger fired and what came of it.

use std::path::Path;

use crate::host::git::repository::Repository;
use crate::model::event::Monitor;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::contents::Clock;
use crate::ops::locate::Workplace;
use crate::ops::snapshot::{Outcome, SnapshotReport, SnapshotRequest, snapshot};
use crate::vault::heartbeats::{self, Heartbeat};
use crate::vault::registry;

/// Makes a snapshot in the name of a trigger, unless the newest one holds this very state, and notes that the trigger fired.
///
/// # Errors
/// When no snapshot can be made.
pub fn fire(
    workplace: &Workplace,
    trigger: &str,
    clock: Clock<'_>,
    monitor: &dyn Monitor,
) -> Result<SnapshotReport> {
    let repository = workplace.repository()?;
    fire_in(workplace, &repository, trigger, clock, monitor)
}

/// The same where the repository was found already.
///
/// # Errors
/// When no snapshot can be made.
pub fn fire_in(
    workplace: &Workplace,
    repository: &Repository,
    trigger: &str,
    clock: Clock<'_>,
    monitor: &dyn Monitor,
) -> Result<SnapshotReport> {
    let request = SnapshotRequest {
        trigger: trigger.to_owned(),
        ..SnapshotRequest::default()
    };
    let outcome = snapshot(workplace, &request, clock, monitor);
    let noted = note(workplace, repository, trigger, &outcome);
    outcome.map(|mut report| {
        report.warnings.extend(noted);
        report
    })
}

/// Notes that a trigger fired. What cannot be noted costs a warning, and nothing is written into a repository.
fn note(
    workplace: &Workplace,
    repository: &Repository,
    trigger: &str,
    outcome: &Result<SnapshotReport>,
) -> Option<String> {
    let (word, detail) = match outcome {
        Ok(report) => (
            match report.outcome {
                Outcome::Sealed => heartbeats::Outcome::Sealed,
                Outcome::Unchanged => heartbeats::Outcome::Unchanged,
            },
            report.manifest.snapshot.to_string(),
        ),
        Err(refusal) => (heartbeats::Outcome::Refused, refusal.code.code().to_owned()),
    };
    let git_dir = &repository.git_dir;
    let beat = Heartbeat::new(git_dir, trigger, workplace.now, word).with_detail(&detail);
    stamp(workplace, repository, &beat)
}

/// Leaves a heartbeat; what keeps it from being written is given back, as a warning.
pub fn stamp(workplace: &Workplace, repository: &Repository, beat: &Heartbeat) -> Option<String> {
    let state = &workplace.homes.state;
    if !may_be_noted(state, repository) {
        return None;
    }
    let stamped = heartbeats::stamp(state, &repository.git_dir, beat);
    stamped.err().map(|error| error.to_string())
}

/// Whether the state home lies outside the repository: a snapshot says why it must, and nothing else may write there either.
fn may_be_noted(state: &Path, repository: &Repository) -> bool {
    registry::check_outside(repository, &[(state, "what is remembered of triggers")]).is_ok()
}

/// Whether a refusal says that there is no repository at all.
#[must_use]
pub fn is_outside(refusal: &Refusal) -> bool {
    refusal.code == RefusalCode::NotARepository
}
