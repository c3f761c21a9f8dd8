//! What this machine remembers of a vault that was not healthy: one failure is a bad moment, three in a row are a state.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::host::disk::{self, Context};
use crate::model::ids::VaultId;
use crate::model::refusal::{Changed, Refusal};
use crate::model::refusal_code::RefusalCode;
use crate::model::timestamp::Timestamp;

/// Largest note read.
const LIMIT_BYTES: u64 = 4096;

/// From how many failures in a row on it is a state,
const FAILURES: u64 = 3;
/// and how long before the newest the first of them must lie.
const LASTING_SECONDS: i64 = 600;

/// The refusals that say that a vault is not healthy.
const CODES: [RefusalCode; 4] = [
    RefusalCode::VaultProbeFailed,
    RefusalCode::VaultSpace,
    RefusalCode::VaultPermissions,
    RefusalCode::VaultWriteFailed,
];

/// Whether a refusal says that the vault is not healthy.
#[must_use]
pub fn is_about_health(code: RefusalCode) -> bool {
    CODES.contains(&code) || code == RefusalCode::VaultUnhealthy
}

/// Failures in a row, with no snapshot in between that the vault was healthy enough for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Note {
    /// When the first one was.
    pub first_failed: Timestamp,
    /// When the newest one was.
    pub last_failed: Timestamp,
    /// How many there were.
    pub times: u64,
    /// The code of the newest one.
    pub code: String,
}

impl Note {
    /// Whether this is a state and not a moment.
    #[must_use]
    pub fn is_lasting(&self) -> bool {
        let seconds = self
            .last_failed
            .seconds()
            .saturating_sub(self.first_failed.seconds());
        self.times >= FAILURES && seconds >= LASTING_SECONDS
    }
}

fn path(state_home: &Path, vault: VaultId) -> PathBuf {
    state_home.join("health").join(format!("{vault}.toml"))
}

/// The note about a vault, if there is one.
///
/// # Errors
/// When it cannot be read or understood.
pub fn load(state_home: &Path, vault: VaultId) -> disk::Result<Option<Note>> {
    let path = path(state_home, vault);
    let bytes = match disk::read_bounded(&path, LIMIT_BYTES) {
        Err(error) if error.is_not_found() => return Ok(None),
        bytes => bytes?,
    };
    let note = toml::from_str(&String::from_utf8_lossy(&bytes)).map_err(|error| {
        let reason = std::io::Error::other(error.message().to_owned());
        disk::Error::new("understand", &path, reason)
    })?;
    Ok(Some(note))
}

/// Notes a refusal that says that the vault is not healthy; one that has become a state is worded as such. Any other
/// refusal is given back as it is.
#[must_use]
pub fn note(state_home: &Path, vault: VaultId, refusal: Refusal, now: Timestamp) -> Refusal {
    if !CODES.contains(&refusal.code) {
        return refusal;
    }
    // A note that cannot be read counts as none: it must never stand in the way of the refusal itself.
    let known = load(state_home, vault).ok().flatten();
    let note = Note {
        first_failed: known.as_ref().map_or(now, |known| known.first_failed),
        last_failed: now,
        times: known.map_or(0, |known| known.times).saturating_add(1),
        code: refusal.code.code().to_owned(),
    };
    let written = write(&path(state_home, vault), &note);
    let refusal = if note.is_lasting() {
        escalate(&refusal, &note)
    } else {
        refusal
    };
    match written {
        Ok(()) => refusal,
        Err(error) => refusal.because(format!("that it happened could not be noted: {error}")),
    }
}

/// Forgets the failures: the vault has just been healthy enough for a snapshot.
///
/// # Errors
/// When the note is there and cannot be removed.
pub fn forget(state_home: &Path, vault: VaultId) -> disk::Result<()> {
    let path = path(state_home, vault);
    match std::fs::remove_file(&path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        outcome => outcome.context("remove", &path),
    }
}

fn write(path: &Path, note: &Note) -> disk::Result<()> {
    if let Some(directory) = path.parent() {
        disk::create_directories(directory)?;
    }
    let text = toml::to_string(note).map_err(|error| {
        disk::Error::new("write", path, std::io::Error::other(error.to_string()))
    })?;
    disk::replace(path, text.as_bytes())
}

/// The same refusal as a state: what failed now is its first reason.
fn escalate(refusal: &Refusal, note: &Note) -> Refusal {
    let mut lasting = Refusal::new(
        RefusalCode::VaultUnhealthy,
        format!("the vault has not been healthy since {}", note.first_failed),
    )
    .because(format!(
        "{} failures in a row, the newest: {} {}: {}",
        note.times,
        refusal.code.code(),
        refusal.code.name(),
        refusal.what
    ));
    for fact in &refusal.why {
        lasting = lasting.because(fact.clone());
    }
    if let Changed::Said(sentence) = &refusal.changed {
        lasting = lasting.having_changed(sentence.clone());
    }
    lasting = lasting.keeping(refusal.kept.clone());
    for step in &refusal.next {
        lasting = lasting.next(step.command.clone(), step.purpose.clone());
    }
    lasting.next(
        format!("git vault runbook {}", refusal.code.code()),
        "the checklist for what failed now",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn note_of(times: u64, seconds: i64) -> Note {
        Note {
            first_failed: Timestamp::from_seconds(1_000),
            last_failed: Timestamp::from_seconds(1_000 + seconds),
            times,
            code: "GV-1301".to_owned(),
        }
    }

    #[test]
    fn only_many_failures_over_a_while_are_a_state() {
        assert!(note_of(3, 600).is_lasting());
        assert!(note_of(9, 86_400).is_lasting());
        for (times, seconds) in [(1, 86_400), (2, 600), (3, 599), (3, 0), (3, -600)] {
            assert!(!note_of(times, seconds).is_lasting(), "{times} {seconds}");
        }
    }
}
