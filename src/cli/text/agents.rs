//! `git vault agents` as text.

use super::{Lines, shown};
use crate::cli::refusals;
use crate::model::escape::for_terminal;
use crate::ops::agents::{Change, State, ToolReport};
use crate::ops::incident::Noted;

/// A line or two for each tool; what was refused comes last.
#[must_use]
pub fn reports(reports: &[ToolReport]) -> String {
    let mut lines = Lines::default();
    if reports.is_empty() {
        lines.add(
            "NOTHING",
            "no settings directory of a coding agent that is known was found",
        );
        lines.add("->", "git vault agents install TOOL makes one");
    }
    for report in reports {
        let file = report.file.as_deref().map(shown).unwrap_or_default();
        let name = report.tool.word();
        let (word, fact) = match (&report.change, &report.state) {
            (Some(Err(_)), _) => ("REFUSED", "see below".to_owned()),
            (Some(Ok(change)), _) => done(*change, file),
            (None, state) => (word(state), fact(state, &file)),
        };
        lines.add(word, format!("{name}: {fact}"));
        if let Some(off) = report
            .off
            .as_deref()
            .filter(|_| report.state != State::NotInstalled)
        {
            lines.add(
                "ATTENTION",
                format!(
                    "{name}: its settings switch hooks off: {}",
                    for_terminal(off)
                ),
            );
        }
        let is_new = matches!(report.change, Some(Ok(Change::Installed | Change::Updated)));
        if let Some(advice) = report.tool.advice().filter(|_| is_new) {
            lines.add("->", advice);
        }
        if report.change.is_none() && report.state.needs_attention() {
            lines.add("->", next(report));
        }
    }
    for report in reports {
        if let Some(Err(refusal)) = &report.change {
            lines.0.push_str(&refusals::text(refusal, &Noted::NotDue));
        }
    }
    lines.0
}

fn done(change: Change, file: String) -> (&'static str, String) {
    match change {
        Change::Installed => ("INSTALLED", file),
        Change::Updated => ("UPDATED", file),
        Change::AlreadyInstalled => ("UNCHANGED", format!("installed already, {file}")),
        Change::Uninstalled => ("REMOVED", file),
        Change::NothingInstalled => ("UNCHANGED", format!("nothing of ours is in {file}")),
    }
}

fn word(state: &State) -> &'static str {
    match state {
        State::Installed => "OK",
        State::NotInstalled => "OFF",
        State::NotHere | State::NotSupported(_) => "-",
        State::Vanished
        | State::Incomplete
        | State::OtherProgram(_)
        | State::Changed
        | State::NotUnderstood(_) => "ATTENTION",
    }
}

fn fact(state: &State, file: &str) -> String {
    match state {
        State::Installed => format!("installed, {file}"),
        State::NotInstalled => "not installed".to_owned(),
        State::NotHere => "its settings directory is not there".to_owned(),
        State::NotSupported(reason) => format!("not supported: {reason}"),
        State::Vanished => {
            format!("it was installed, and somebody took it out again, {file}")
        }
        State::Incomplete => format!("a part of what is due is missing, {file}"),
        State::OtherProgram(program) => format!("names the program {program}, {file}"),
        State::Changed => format!("what is there was changed by hand, {file}"),
        State::NotUnderstood(reason) => format!("its settings cannot be edited: {reason}"),
    }
}

fn next(report: &ToolReport) -> String {
    let name = report.tool.word();
    match report.state {
        State::Changed => {
            format!("remove it from the file by hand, then git vault agents install {name}")
        }
        State::NotUnderstood(_) => format!("git vault agents install {name} says more"),
        State::Vanished => {
            format!("git vault agents install {name}, or uninstall {name} if that was meant")
        }
        State::Installed
        | State::NotInstalled
        | State::NotHere
        | State::NotSupported(_)
        | State::Incomplete
        | State::OtherProgram(_) => format!("git vault agents install {name}"),
    }
}
