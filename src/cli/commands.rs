//! One short function per command: builds the request, calls `ops`, words the report.

use serde_json::Value;

use crate::cli::args::{Arguments, Command};
use crate::cli::environment::{Environment, now_ns};
use crate::cli::{json, text};
use crate::model::event::Monitor;
use crate::model::log_entry::VerifyLevel;
use crate::model::refusal::Result;
use crate::ops;
use crate::ops::init::Existing;
use crate::ops::snapshot::SnapshotRequest;

/// What a command answers, for people and for programs.
pub struct Answer {
    /// For programs.
    pub json: Value,
    /// For people.
    pub text: String,
    /// For people who asked for quiet, when it cannot wait.
    pub notice: Option<String>,
}

impl Answer {
    fn new(json: Value, text: String) -> Self {
        Self {
            json,
            text,
            notice: None,
        }
    }
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
    let workplace = &environment.workplace;
    match &arguments.command {
        Command::Init { new } => {
            let existing = if *new {
                Existing::Leave
            } else {
                Existing::Keep
            };
            let report = ops::init::init(workplace, existing)?;
            let notice = Some(text::key_notice(&report.key));
            Ok(Answer {
                notice,
                ..Answer::new(json::init(&report), text::init(&report))
            })
        }
        Command::Snapshot { message, labels } => {
            let request = SnapshotRequest {
                message: message.clone(),
                labels: labels.clone(),
                trigger: "manual".to_owned(),
            };
            let report = ops::snapshot::snapshot(workplace, &request, &now_ns, monitor)?;
            let notice = report.new_key.as_deref().map(text::key_notice);
            Ok(Answer {
                notice,
                ..Answer::new(json::snapshot(&report), text::snapshot(&report))
            })
        }
        Command::List => {
            let report = ops::list::list(workplace)?;
            Ok(Answer::new(
                json::list(&report),
                text::list(&report, workplace.now),
            ))
        }
        Command::Show { snapshot } => {
            let report = ops::show::show(workplace, snapshot)?;
            Ok(Answer::new(json::show(&report), text::show(&report)))
        }
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
            let report = ops::verify::verify(workplace, snapshots, level, monitor)?;
            Ok(Answer::new(json::verify(&report), text::verify(&report)))
        }
        Command::Restore {
            snapshot,
            destination,
        } => {
            let destination = environment.absolute(destination);
            let report = ops::restore::restore(workplace, snapshot, &destination, monitor)?;
            Ok(Answer::new(json::restore(&report), text::restore(&report)))
        }
        Command::Runbook { code } => {
            let found = ops::runbook::runbook(code.as_deref())?;
            Ok(Answer::new(json::runbook(found), found.to_owned()))
        }
    }
}
