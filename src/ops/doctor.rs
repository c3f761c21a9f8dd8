//! `git vault doctor`: everything that can be asked about a vault's health without changing anything but the files of the
//! trial itself.

use std::path::{Path, PathBuf};

use crate::host::disk;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::Severity;
use crate::ops::contents::Clock;
use crate::ops::examine::{
    Look, clock, incidents, index, keys, leftovers, refusals, state, temporary,
};
use crate::ops::examine_place::{file_system, permissions, trial};
use crate::ops::locate::Workplace;
use crate::vault::inspect::{Vault, looks_like_vault};
use crate::vault::layout::Layout;
use crate::vault::registry;

/// How a check ended; a later one is worse.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Verdict {
    /// As it should be.
    Good,
    /// Somebody should look at it.
    Attention,
    /// It stands in the way of the next snapshot.
    Failed,
}

/// One check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Check {
    /// How it ended.
    pub verdict: Verdict,
    /// What was looked at.
    pub name: &'static str,
    /// What was found.
    pub fact: String,
    /// What that means, and what to do.
    pub meaning: String,
}

impl Check {
    /// Makes a check.
    pub fn new(
        verdict: Verdict,
        name: &'static str,
        fact: impl Into<String>,
        meaning: impl Into<String>,
    ) -> Self {
        Self {
            verdict,
            name,
            fact: fact.into(),
            meaning: meaning.into(),
        }
    }

    /// A check that could not be made.
    #[must_use]
    pub fn unknown(name: &'static str, error: &disk::Error) -> Self {
        let meaning = "it is not known, which is no better than wrong";
        Self::new(Verdict::Attention, name, error.to_string(), meaning)
    }
}

/// All checks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DoctorReport {
    /// The vault.
    pub vault: PathBuf,
    /// In the order in which they were made.
    pub checks: Vec<Check>,
    /// Why the vault cannot be opened; the other checks are then those of the place alone.
    pub refusal: Option<Refusal>,
}

impl DoctorReport {
    /// The worst of the checks.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        let verdicts = self.checks.iter().map(|check| check.verdict);
        verdicts.max().unwrap_or(Verdict::Good)
    }
}

/// Examines a vault. One that cannot be opened is examined as a place, and why it cannot be opened is part of the answer.
///
/// # Errors
/// When there is no vault to examine.
pub fn doctor(workplace: &Workplace, clock: Clock<'_>) -> Result<DoctorReport> {
    match workplace.existing_vault() {
        Ok(vault) => Ok(of_vault(vault, workplace, clock)),
        Err(refusal) => match place(workplace) {
            Some(root) => Ok(of_place(&root, workplace, clock, refusal)),
            None => Err(refusal),
        },
    }
}

/// Where the vault is that could not be opened; `None` when nothing there looks like one, and nothing may be written.
fn place(workplace: &Workplace) -> Option<PathBuf> {
    let named = workplace.vault.clone().or_else(|| {
        let repository = workplace.repository().ok()?;
        registry::registered(&workplace.home_of(&repository), &repository.git_dir)
    });
    named.filter(|root| looks_like_vault(root))
}

fn of_vault(mut vault: Vault, workplace: &Workplace, now: Clock<'_>) -> DoctorReport {
    let root = vault.layout.root().to_owned();
    let fact = format!(
        "{} with {}",
        number(vault.log.head, "log entry", "log entries"),
        number(vault.log.snapshots.len() as u64, "snapshot", "snapshots"),
    );
    let mut checks = vec![match &vault.unconfirmed {
        None => {
            let meaning = "signatures, log and names are those of this vault";
            Check::new(Verdict::Good, "vault", fact, meaning)
        }
        Some(error) => Check::new(
            Verdict::Failed,
            "vault",
            format!("{fact}, but {error}"),
            "the newest entries may not survive a power cut: no snapshot is made",
        ),
    }];
    let written = examine_place(&mut checks, &vault.layout, now);
    let look = Look {
        homes: &workplace.homes,
        now_seconds: seconds(now()),
    };
    checks.extend(keys(&look, &vault));
    checks.extend(state(&look));
    checks.extend(clock(&look, vault.log.head_time, written));
    checks.extend(leftovers(&look, &vault));
    checks.extend(temporary(&look, &vault.layout));
    checks.push(index(&mut vault));
    checks.push(refusals(&look, vault.binding.vault));
    checks.extend(incidents(&look));
    DoctorReport {
        vault: root,
        checks,
        refusal: None,
    }
}

fn of_place(root: &Path, workplace: &Workplace, now: Clock<'_>, refusal: Refusal) -> DoctorReport {
    let layout = Layout::new(root);
    let code = refusal.code;
    let fact = format!("{} {}: {}", code.code(), code.name(), refusal.what);
    let meaning = "it cannot be opened: only the place is examined";
    let mut checks = vec![Check::new(Verdict::Failed, "vault", fact, meaning)];
    // Where evidence lies, nothing is written, not even a trial that goes away again.
    let written = if code.severity() == Severity::Sev1 {
        checks.extend(permissions(&layout));
        checks.extend(file_system(layout.root()));
        let fact = "not tried: after a refusal of severity 1 nothing is written to the vault";
        let meaning = "look at the refusal first";
        checks.push(Check::new(Verdict::Attention, "write", fact, meaning));
        None
    } else {
        examine_place(&mut checks, &layout, now)
    };
    let look = Look {
        homes: &workplace.homes,
        now_seconds: seconds(now()),
    };
    checks.extend(state(&look));
    checks.extend(clock(&look, None, written));
    checks.extend(temporary(&look, &layout));
    checks.extend(incidents(&look));
    DoctorReport {
        vault: root.to_owned(),
        checks,
        refusal: Some(refusal),
    }
}

/// What a file of the trial says of the clock of the file system, beside what the clock of the machine said.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Written {
    /// The machine, before.
    pub before_ns: i128,
    /// The file system.
    pub at_ns: i128,
    /// The machine, after.
    pub after_ns: i128,
}

fn examine_place(checks: &mut Vec<Check>, layout: &Layout, now: Clock<'_>) -> Option<Written> {
    checks.extend(permissions(layout));
    checks.extend(file_system(layout.root()));
    let (found, written) = trial(layout, now);
    checks.extend(found);
    written
}

/// Whole seconds of a moment in nanoseconds.
fn seconds(nanoseconds: i128) -> i64 {
    i64::try_from(nanoseconds.div_euclid(1_000_000_000)).unwrap_or(i64::MAX)
}

/// A number with the word it counts.
pub(super) fn number(count: u64, one: &str, many: &str) -> String {
    match count {
        1 => format!("1 {one}"),
        _ => format!("{count} {many}"),
    }
}
