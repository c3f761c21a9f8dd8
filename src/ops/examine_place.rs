//! The checks of `doctor` that need no key: permissions, file system, and the trial.

use std::path::Path;

use crate::host::file_system;
use crate::ops::contents::Clock;
use crate::ops::doctor::{Check, Verdict, Written};
use crate::vault::drift::{self, Drift};
use crate::vault::layout::Layout;
use crate::vault::probe::{RESERVE_BYTES, RESERVE_INODES};
use crate::vault::trial::{Ability, Step, Trial};

/// When less than this many times the reserve is left, somebody should know.
const COMFORT: u64 = 10;

/// How many findings of one kind get a line of their own.
pub(super) const MOST_LINES: usize = 10;

/// Owner and permissions of everything in the vault.
pub(super) fn permissions(layout: &Layout) -> Vec<Check> {
    const NAME: &str = "permissions";
    let skeleton = drift::skeleton(layout);
    let is_blocking = |drift: &Drift| {
        skeleton.contains(&drift.path) && !matches!(drift::opened(&drift.path), Ok(None))
    };
    let found = drift::everywhere(layout);
    let line = |drift: &Drift| {
        let (verdict, meaning) = if is_blocking(drift) {
            (
                Verdict::Failed,
                "others could change or read the vault: no snapshot is made until that is set right",
            )
        } else {
            (
                Verdict::Attention,
                "somebody else changed that, or let others in",
            )
        };
        let fact = format!("'{}': {}", drift.path.display(), drift.fact);
        Check::new(verdict, NAME, fact, meaning)
    };
    if found.is_empty() {
        let fact = "the vault and all in it are yours alone";
        let meaning = "nobody else can read or change it";
        return vec![Check::new(Verdict::Good, NAME, fact, meaning)];
    }
    let mut checks: Vec<Check> = found.iter().map(line).collect();
    // The worst first, so that none of them is among those that are only counted.
    checks.sort_by_key(|check| std::cmp::Reverse(check.verdict));
    shorten(checks, NAME)
}

/// Keeps the first lines and says how many more there are.
pub(super) fn shorten(mut checks: Vec<Check>, name: &'static str) -> Vec<Check> {
    let rest: Vec<Check> = checks.drain(MOST_LINES.min(checks.len())..).collect();
    if let Some(worst) = rest.iter().map(|check| check.verdict).max() {
        let fact = format!("{} more like these", rest.len());
        checks.push(Check::new(worst, name, fact, "set these right first"));
    }
    checks
}

/// Mount, room and type.
pub(super) fn file_system(root: &Path) -> Vec<Check> {
    let found = match file_system::look(root) {
        Ok(found) => found,
        Err(error) => return vec![Check::unknown("file system", &error)],
    };
    let mount = if found.is_read_only {
        let fact = format!("{}, mounted for reading only", found.kind);
        Check::new(
            Verdict::Failed,
            "mount",
            fact,
            "what is stored can be read; no snapshot can be made",
        )
    } else {
        let fact = format!("{}, mounted for writing", found.kind);
        Check::new(Verdict::Good, "mount", fact, "snapshots can be written")
    };
    let space = room(
        "space",
        found.free_bytes,
        RESERVE_BYTES,
        format!(
            "{} bytes free ({} %), reserve {RESERVE_BYTES}",
            found.free_bytes,
            found.free_percent()
        ),
    );
    let inodes = match found.free_inodes {
        Some(free) => {
            let fact = format!("room for {free} files, reserve {RESERVE_INODES}");
            room("inodes", free, RESERVE_INODES, fact)
        }
        None => Check::new(
            Verdict::Good,
            "inodes",
            "the file system does not count them",
            "they cannot run out",
        ),
    };
    vec![mount, space, inodes]
}

fn room(name: &'static str, free: u64, reserve: u64, fact: String) -> Check {
    let (verdict, meaning) = if free < reserve {
        (
            Verdict::Failed,
            "no snapshot is made: make room outside the vault",
        )
    } else if free < reserve.saturating_mul(COMFORT) {
        (
            Verdict::Attention,
            "a few snapshots may still fit: make room outside the vault",
        )
    } else {
        (Verdict::Good, "there is room for the next snapshot")
    };
    Check::new(verdict, name, fact, meaning)
}

/// The steps of the trial, in their order; after one that fails, the others are not tried.
pub(super) fn trial(layout: &Layout, now: Clock<'_>) -> (Vec<Check>, Option<Written>) {
    let trial = match Trial::new(layout) {
        Ok(trial) => trial,
        Err(error) => return (vec![failed("write", &error.to_string())], None),
    };
    let mut checks = Vec::new();
    let mut written = None;
    let mut stopped_by = None;
    for step in Step::ALL {
        let (name, fact, meaning) = words(step);
        if let Some(earlier) = stopped_by {
            checks.push(failed(name, &format!("not tried, for '{earlier}' failed")));
            continue;
        }
        let before_ns = now();
        match trial.take(step) {
            Ok(()) => checks.push(Check::new(Verdict::Good, name, fact, meaning)),
            Err(error) => {
                checks.push(failed(name, &error.to_string()));
                stopped_by = Some(name);
            }
        }
        if step == Step::Write && stopped_by.is_none() {
            let after_ns = now();
            written = trial.written_ns().ok().map(|at_ns| Written {
                before_ns,
                at_ns,
                after_ns,
            });
        }
    }
    if stopped_by.is_none() {
        checks.push(abilities(&trial));
    }
    (checks, written)
}

fn words(step: Step) -> (&'static str, &'static str, &'static str) {
    match step {
        Step::Write => (
            "write",
            "a file was made durable and read back",
            "the vault keeps what is written to it",
        ),
        Step::Link => (
            "link",
            "a second name was given, and none that was taken",
            "a log entry cannot take the place of another",
        ),
        Step::Rename => (
            "rename",
            "a file was renamed, and not onto a name that was taken",
            "a snapshot cannot take the place of another",
        ),
        Step::Directory => (
            "directory",
            "names were made durable",
            "what has a name keeps it in a power cut, as far as the system can tell",
        ),
        Step::Remove => (
            "removal",
            "the file is gone again",
            "the trial left nothing",
        ),
    }
}

fn failed(name: &'static str, fact: &str) -> Check {
    Check::new(
        Verdict::Failed,
        name,
        fact,
        "no snapshot is made in a vault that cannot do this",
    )
}

fn abilities(trial: &Trial) -> Check {
    const NAME: &str = "abilities";
    let lacking = match trial.lacking() {
        Ok(lacking) => lacking,
        Err(error) => return Check::unknown(NAME, &error),
    };
    if lacking.is_empty() {
        let fact = "names by case, symbolic links, times to the nanosecond";
        return Check::new(Verdict::Good, NAME, fact, "nothing is lacking");
    }
    let facts = lacking.iter().map(|ability| match ability {
        Ability::TellCase => "it takes names that differ in case for one",
        Ability::LinkSymbolically => "it has no symbolic links",
        Ability::KeepNanoseconds => "it does not keep times to the nanosecond",
    });
    let (verdict, meaning) = if lacking.contains(&Ability::KeepNanoseconds) {
        let meaning = "a pack that is changed within one tick of its clock is only found by verify";
        (Verdict::Attention, meaning)
    } else {
        (Verdict::Good, "a vault does without")
    };
    Check::new(verdict, NAME, facts.collect::<Vec<_>>().join("; "), meaning)
}
