//! What is installed as hooks, as a JSON object.

use serde_json::{Value, json};

use super::path;
use crate::ops::hooks::{Carrier, HooksReport, LastSecond, Part, Scope, State};

fn part(part: &Part) -> Value {
    let reason = match &part.state {
        State::Shadowed(reason) | State::Elsewhere(reason) => Some(reason),
        State::Intact | State::Modified | State::Missing | State::Foreign | State::Removed => None,
    };
    json!({
        "purpose": part.purpose,
        "path": path(&part.path),
        "state": part.state.word(),
        "reason": reason,
    })
}

/// `git vault hooks`.
#[must_use]
pub fn hooks(report: &HooksReport) -> Value {
    json!({
        "schema": "git-vault/hooks/1",
        "scope": match report.scope {
            Scope::Repository => "repo",
            Scope::Global => "global",
        },
        "git_dir": report.git_dir.as_deref().map(path),
        "carrier": report.carrier.map(|carrier| match carrier {
            Carrier::Settings => "settings",
            Carrier::Files => "files",
        }),
        "last_second": report.last_second == LastSecond::Guarded,
        "git": report.git,
        "parts": report.parts.iter().map(part).collect::<Vec<_>>(),
    })
}
