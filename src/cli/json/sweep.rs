//! What `git vault sweep` answers to programs.

use serde_json::{Value, json};

use super::{path, paths};
use crate::cli::refusals;
use crate::cli::text::sweep::next;
use crate::ops::absent::Absent;
use crate::ops::incident::Noted;
use crate::ops::sweep::{Outcome, SweepReport, Swept};

/// `git vault sweep`; `noted` says of each repository whether its refusal was noted.
#[must_use]
pub fn sweep(report: &SweepReport, noted: &[Noted]) -> Value {
    let repositories = report.swept.iter().zip(noted);
    json!({
        "schema": "git-vault/sweep/1",
        "outcome": if report.is_other_at_it { "other-sweep" } else { "swept" },
        "repositories": repositories.map(|(swept, noted)| one(swept, noted)).collect::<Vec<_>>(),
        "strange": paths(&report.strange),
    })
}

fn one(swept: &Swept, noted: &Noted) -> Value {
    let (word, detail) = match &swept.outcome {
        Outcome::Sealed(id) => ("sealed", json!(id)),
        Outcome::Unchanged(id) => ("unchanged", json!(id)),
        Outcome::Busy(seconds) => ("busy", json!(seconds)),
        Outcome::Absent(Absent::Unplugged(mount)) => ("unplugged", json!(mount)),
        Outcome::Absent(Absent::Moved(to)) => ("moved", json!(to)),
        Outcome::Absent(Absent::Gone) => ("gone", Value::Null),
        Outcome::NoRepository => ("no-repository", Value::Null),
        Outcome::NoVault(home) => ("no-vault", path(home)),
        Outcome::Refused(refusal) => ("refused", refusals::json(refusal, noted)),
    };
    let next = next(swept).into_iter();
    let next = next.map(|(command, purpose)| json!({ "command": command, "purpose": purpose }));
    json!({
        "git_dir": path(&swept.git_dir),
        "vault": swept.vault.as_deref().map(path),
        "outcome": word,
        "detail": detail,
        "away": swept.away.iter().map(|away| json!({ "path": path(&away.path), "locked": away.is_locked })).collect::<Vec<_>>(),
        "attention": swept.needs_attention(),
        "warnings": swept.warnings,
        "next": next.collect::<Vec<_>>(),
    })
}
