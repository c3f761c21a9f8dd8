//! What `git vault sweep` says to people.

use std::path::Path;

use super::{Lines, count, shown, word};
use crate::ops::absent::Absent;
use crate::ops::links::Away;
use crate::ops::sweep::{Outcome, SweepReport, Swept};

/// What was captured, and a line or two for everything that needs attention; with a sum at the end.
#[must_use]
pub fn sweep(report: &SweepReport) -> String {
    let mut lines = Lines::default();
    if report.is_other_at_it {
        lines.add("SWEPT", "nothing: another sweep is at it");
        return lines.0;
    }
    for swept in &report.swept {
        one(&mut lines, swept);
    }
    for strange in &report.strange {
        lines.add(
            "STRANGE",
            format!("{}: no note of a repository", shown(strange)),
        );
    }
    let number = |is: fn(&Outcome) -> bool| {
        let outcomes = report.swept.iter().map(|swept| &swept.outcome);
        outcomes.filter(|outcome| is(outcome)).count()
    };
    let to_look_at = report.swept.iter().filter(|swept| swept.needs_attention());
    lines.add(
        "SWEPT",
        format!(
            "{}: {} sealed, {} unchanged, {} busy, {} to look at",
            repositories(report.swept.len()),
            number(|outcome| matches!(outcome, Outcome::Sealed(_))),
            number(|outcome| matches!(outcome, Outcome::Unchanged(_))),
            number(|outcome| matches!(outcome, Outcome::Busy(_))),
            to_look_at.count(),
        ),
    );
    lines.0
}

fn repositories(number: usize) -> String {
    count(number as u64, "repository")
}

fn one(lines: &mut Lines, swept: &Swept) {
    let place = shown(&swept.git_dir);
    let (field, what) = match &swept.outcome {
        Outcome::Sealed(id) => ("SEALED", format!("{id} {place}")),
        Outcome::Unchanged(id) => ("UNCHANGED", format!("since {id} {place}")),
        Outcome::Busy(Some(seconds)) => ("BUSY", format!("{place}: changed {seconds} s ago")),
        Outcome::Busy(None) => ("BUSY", format!("{place}: it changes all the time")),
        Outcome::Absent(Absent::Unplugged(mount)) => (
            "UNPLUGGED",
            format!("{place}: nothing is mounted at '{mount}'"),
        ),
        Outcome::Absent(Absent::Moved(to)) => ("MOVED", format!("{place}: now at '{to}'")),
        Outcome::Absent(Absent::Gone) => ("GONE", format!("{place}: nothing is there any more")),
        Outcome::NoRepository => ("GONE", format!("{place}: it is no repository any more")),
        Outcome::NoVault(home) => (
            "NO VAULT",
            format!("{place}: its vault is not in '{}'", shown(home)),
        ),
        Outcome::Refused(refusal) => (
            "REFUSED",
            format!("{place}: {} {}", refusal.code.code(), refusal.what),
        ),
    };
    lines.add(field, what);
    for warning in &swept.warnings {
        lines.add("WARNING", warning);
    }
    for away in &swept.away {
        lines.add("AWAY", away_line(away));
    }
    for (command, purpose) in next(swept) {
        lines.add("", format!("-> {command}      ({purpose})"));
    }
}

fn away_line(away: &Away) -> String {
    let path = shown(&away.path);
    let locked = if away.is_locked {
        ", and is locked, as those on disks that come and go are"
    } else {
        ""
    };
    format!("linked worktree '{path}' is not there{locked}; nothing in it is captured")
}

/// What helps, where something needs attention.
#[must_use]
pub fn next(swept: &Swept) -> Vec<(String, String)> {
    let mut steps = next_of_outcome(swept);
    if let Some(away) = swept.away.first() {
        let here = word(&swept.workplace.lookup.start);
        let mut say = |command: String, purpose: &str| steps.push((command, purpose.to_owned()));
        say(
            format!("git -C {here} worktree repair /where/it/is/now"),
            "if it was moved: tells the repository where it is",
        );
        if !away.is_locked {
            say(
                format!("git -C {here} worktree prune"),
                "if it is gone for good: the repository forgets it",
            );
        }
    }
    steps
}

fn next_of_outcome(swept: &Swept) -> Vec<(String, String)> {
    let place = word(swept.git_dir.parent().unwrap_or(Path::new("/")));
    let say = |command: String, purpose: &str| (command, purpose.to_owned());
    match &swept.outcome {
        Outcome::Sealed(_)
        | Outcome::Unchanged(_)
        | Outcome::Busy(_)
        | Outcome::Absent(Absent::Moved(_)) => Vec::new(),
        Outcome::Absent(Absent::Unplugged(_)) => vec![say(
            "git vault sweep".to_owned(),
            "once it is mounted again",
        )],
        Outcome::Absent(Absent::Gone) | Outcome::NoRepository => vec![
            say(
                "git vault -C /where/it/is/now snapshot".to_owned(),
                "if it was moved: its vault then follows it",
            ),
            say(
                "git vault --vault VAULT restore @latest DIR".to_owned(),
                "if it was lost: gives it back",
            ),
        ],
        Outcome::NoVault(_) => vec![
            say(
                "git vault sweep".to_owned(),
                "once the disk with the vault is here again",
            ),
            say(
                format!("git vault -C {place} snapshot"),
                "makes a new vault",
            ),
        ],
        Outcome::Refused(refusal) => {
            let code = refusal.code.code();
            vec![
                say(
                    format!("git vault -C {place} snapshot"),
                    "says all of it, and what helps",
                ),
                say(
                    format!("git vault runbook {code}"),
                    "the checklist; works offline",
                ),
            ]
        }
    }
}
