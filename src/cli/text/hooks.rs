//! What is installed as hooks, as text for people.

use super::{Lines, shown};
use crate::ops::hooks::{Carrier, HooksReport, LastSecond, State};

/// `git vault hooks`.
#[must_use]
pub fn hooks(report: &HooksReport) -> String {
    let mut lines = Lines::default();
    let carrier = match report.carrier {
        Some(Carrier::Settings) => "installed as settings, in one file that git includes",
        Some(Carrier::Files) => "installed as files in the directory of hooks",
        None if report.parts.iter().any(|part| part.state == State::Removed) => "taken away",
        None => "none are installed",
    };
    lines.add("HOOKS", carrier);
    match &report.git_dir {
        Some(git_dir) => lines.add("FOR", shown(git_dir)),
        None => lines.add("FOR", "all repositories of this user that have a vault"),
    }
    let git = report.git.as_deref();
    lines.add("GIT", git.unwrap_or("none on the path"));
    if report.last_second == LastSecond::Guarded {
        lines.add(
            "GUARDED",
            "the last second before git changes files or drops objects",
        );
    }
    for part in &report.parts {
        let why = match &part.state {
            State::Shadowed(reason) => format!(": {reason}"),
            State::Modified => ": changed by somebody, and left alone".to_owned(),
            State::Intact | State::Missing | State::Foreign | State::Removed => String::new(),
        };
        let word = part.state.word().to_uppercase();
        lines.add(
            &word,
            format!("{} '{}'{why}", part.purpose, shown(&part.path)),
        );
    }
    lines.0
}
