//! One short function per command: builds the request, calls `ops`, words the report.

use std::path::Path;

use serde_json::Value;

use crate::cli::args::{Arguments, Command, IncidentCommand};
use crate::cli::environment::{Environment, now_ns};
use crate::cli::{json, refusals, text};
use crate::model::event::Monitor;
use crate::model::log_entry::VerifyLevel;
use crate::model::refusal::{Refusal, Result};
use crate::ops;
use crate::ops::incident::Noted;
use crate::ops::init::Existing;
use crate::ops::locate::Workplace;
use crate::ops::snapshot::SnapshotRequest;

/// Exit status of an answer that holds, about a vault that needs attention.
pub const ATTENTION: u8 = 3;

/// What a command answers, for people and for programs.
pub struct Answer {
    /// For programs.
    pub json: Value,
    /// For people.
    pub text: String,
    /// For people who asked for quiet, when it cannot wait.
    pub notice: Option<String>,
    /// The exit status: 0, or what the answer itself says is wrong.
    pub status: u8,
}

impl Answer {
    fn new(json: Value, text: String) -> Self {
        Self {
            json,
            text,
            notice: None,
            status: 0,
        }
    }

    /// The answer of a command that was refused; the text goes elsewhere.
    #[must_use]
    pub fn of_refusal(refusal: &Refusal, noted: &Noted) -> Self {
        Self {
            status: refusal.code.exit(),
            ..Self::new(refusals::json(refusal, noted), String::new())
        }
    }

    fn with_notice(self, notice: Option<String>) -> Self {
        Self { notice, ..self }
    }
}

/// What every command is given.
struct Call<'a> {
    environment: &'a Environment,
    workplace: &'a Workplace,
    monitor: &'a dyn Monitor,
}

/// Runs the command that was given.
///
/// # Errors
/// When it is refused.
pub fn run(
    arguments: &Arguments,
    environment: &Environment,
    monitor: &dyn Monitor,
) -> Result<Answer> {
    let call = Call {
        environment,
        workplace: &environment.workplace,
        monitor,
    };
    match &arguments.command {
        Command::Init { new } => call.init(*new),
        Command::Snapshot { message, labels } => call.snapshot(message, labels),
        Command::List => call.list(),
        Command::Show { snapshot } => call.show(snapshot),
        Command::Verify {
            snapshots,
            quick,
            deep,
        } => {
            let level = match (quick, deep) {
                (true, _) => VerifyLevel::Quick,
                (false, true) => VerifyLevel::Deep,
                (false, false) => VerifyLevel::Full,
            };
            call.verify(snapshots, level)
        }
        Command::Restore {
            snapshot,
            destination,
        } => call.restore(snapshot, destination),
        Command::SetAside { names } => call.set_aside(names),
        Command::Incident { command } => call.incident(command),
        Command::Runbook { code } => runbook(code.as_deref()),
    }
}

impl Call<'_> {
    fn init(&self, new: bool) -> Result<Answer> {
        let existing = if new { Existing::Leave } else { Existing::Keep };
        let report = ops::init::init(self.workplace, existing)?;
        let notice = Some(text::key_notice(&report.key));
        Ok(Answer::new(json::init(&report), text::init(&report)).with_notice(notice))
    }

    fn snapshot(&self, message: &str, labels: &[String]) -> Result<Answer> {
        let request = SnapshotRequest {
            message: message.to_owned(),
            labels: labels.to_vec(),
            trigger: "manual".to_owned(),
        };
        let report = ops::snapshot::snapshot(self.workplace, &request, &now_ns, self.monitor)?;
        let notice = report.new_key.as_deref().map(text::key_notice);
        Ok(Answer::new(json::snapshot(&report), text::snapshot(&report)).with_notice(notice))
    }

    fn list(&self) -> Result<Answer> {
        let report = ops::list::list(self.workplace)?;
        let text = text::list(&report, self.workplace.now);
        Ok(Answer::new(json::list(&report), text))
    }

    fn show(&self, name: &str) -> Result<Answer> {
        let report = ops::show::show(self.workplace, name)?;
        Ok(Answer::new(json::show(&report), text::show(&report)))
    }

    fn verify(&self, names: &[String], level: VerifyLevel) -> Result<Answer> {
        let report = ops::verify::verify(self.workplace, names, level, self.monitor)?;
        Ok(Answer::new(json::verify(&report), text::verify(&report)))
    }

    fn restore(&self, name: &str, destination: &Path) -> Result<Answer> {
        let destination = self.environment.absolute(destination);
        let report = ops::restore::restore(self.workplace, name, &destination, self.monitor)?;
        Ok(Answer::new(json::restore(&report), text::restore(&report)))
    }

    fn set_aside(&self, names: &[String]) -> Result<Answer> {
        let report = ops::set_aside::set_aside(self.workplace, names)?;
        Ok(Answer::new(
            json::set_aside::report(&report),
            text::set_aside::report(&report),
        ))
    }

    fn incident(&self, command: &IncidentCommand) -> Result<Answer> {
        match command {
            IncidentCommand::List => {
                let report = ops::incidents::list(self.workplace)?;
                Ok(Answer::new(
                    json::incident::list(&report),
                    text::incident::list(&report),
                ))
            }
            IncidentCommand::Show { id } => {
                let shown = ops::incidents::show(self.workplace, id.as_deref())?;
                Ok(Answer::new(
                    json::incident::show(&shown),
                    text::incident::show(&shown),
                ))
            }
        }
    }
}

fn runbook(code: Option<&str>) -> Result<Answer> {
    let found = ops::runbook::runbook(code)?;
    Ok(Answer::new(json::runbook(found), found.to_owned()))
}
