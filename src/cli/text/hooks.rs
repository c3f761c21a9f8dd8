//! What is installed as hooks, as text for people.

use super::{Lines, shown};
use crate::ops::hooks::{Carrier, HooksReport, LastSecond, Scope, State};

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
            State::Shadowed(reason) | State::Elsewhere(reason) => format!(": {reason}"),
            State::Modified => ": changed by somebody, and left alone".to_owned(),
            State::Intact | State::Missing | State::Foreign | State::Removed => String::new(),
        };
        let word = part.state.word().to_uppercase();
        lines.add(
            &word,
            format!("{} '{}'{why}", part.purpose, shown(&part.path)),
        );
    }
    if report
        .parts
        .iter()
        .any(|part| matches!(part.state, State::Elsewhere(_)))
    {
        let scope = match report.scope {
            Scope::Repository => "",
            Scope::Global => " --scope global",
        };
        lines.add(
            "",
            format!("-> git vault hooks install{scope}      (writes them for this place)"),
        );
        lines.add(
            "",
            format!("-> git vault hooks uninstall{scope}      (takes them away)"),
        );
    }
    if report.carrier.is_some() {
        lines.add("NOT SEEN", NOT_SEEN);
        if report.last_second == LastSecond::Unguarded {
            lines.add("", "-> git vault hooks install --last-second      (comes before that too, in one repository)");
        }
    }
    lines.0
}

/// What no hook prevents, said wherever hooks are said to be installed.
const NOT_SEEN: &str = "files that git ignores: checkout, merge and pull write over them without asking. Hooks come after that, only the \
                        last second comes before, and snapshots hold of them what vault.include names";
