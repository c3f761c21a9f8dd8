//! `git vault agents` as JSON.

use serde_json::{Value, json};

use super::path;
use crate::cli::refusals;
use crate::ops::agents::{Change, State, ToolReport};
use crate::ops::incident::Noted;

/// `git vault agents install`, `status`, `uninstall`.
#[must_use]
pub fn reports(reports: &[ToolReport]) -> Value {
    let tools = reports.iter().map(|report| {
        let (change, refusal) = match &report.change {
            None => (None, None),
            Some(Ok(change)) => (Some(word(*change)), None),
            Some(Err(refusal)) => (
                Some("refused"),
                Some(refusals::json(refusal, &Noted::NotDue)),
            ),
        };
        json!({
            "tool": report.tool.word(),
            "file": report.file.as_deref().map(path),
            "state": state(&report.state),
            "detail": detail(&report.state),
            "hooks_off": report.off.is_some(),
            "hooks_off_by": report.off,
            "change": change,
            "advice": report.tool.advice(),
            "refusal": refusal,
        })
    });
    json!({
        "schema": "git-vault/agents/1",
        "tools": tools.collect::<Vec<_>>(),
    })
}

fn word(change: Change) -> &'static str {
    match change {
        Change::Installed => "installed",
        Change::Updated => "updated",
        Change::AlreadyInstalled | Change::NothingInstalled => "unchanged",
        Change::Uninstalled => "uninstalled",
    }
}

fn state(state: &State) -> &'static str {
    match state {
        State::NotSupported(_) => "not-supported",
        State::NotHere => "not-here",
        State::NotInstalled => "not-installed",
        State::Vanished => "vanished",
        State::Installed => "installed",
        State::Incomplete => "incomplete",
        State::OtherProgram(_) => "other-program",
        State::Changed => "changed",
        State::NotUnderstood(_) => "not-understood",
    }
}

fn detail(state: &State) -> Option<&str> {
    match state {
        State::NotSupported(reason) => Some(reason),
        State::OtherProgram(text) | State::NotUnderstood(text) => Some(text),
        State::NotHere
        | State::NotInstalled
        | State::Vanished
        | State::Installed
        | State::Incomplete
        | State::Changed => None,
    }
}
