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
            Ok(Answer {
                json: json::init(&report),
                text: text::init(&report),
            })
        }
        Command::Snapshot { message, labels } => {
            let request = SnapshotRequest {
                message: message.clone(),
                labels: labels.clone(),
                trigger: "manual".to_owned(),
            };
            let report = ops::snapshot::snapshot(workplace, &request, &now_ns, monitor)?;
            Ok(Answer {
                json: json::snapshot(&report),
                text: text::snapshot(&report),
            })
        }
        Command::List => {
            let report = ops::list::list(workplace)?;
            Ok(Answer {
                json: json::list(&report),
                text: text::list(&report, workplace.now),
            })
        }
        Command::Show { snapshot } => {
            let report = ops::show::show(workplace, snapshot)?;
            Ok(Answer {
                json: json::show(&report),
                text: text::show(&report),
            })
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
            Ok(Answer {
                json: json::verify(&report),
                text: text::verify(&report),
            })
        }
        Command::Restore {
            snapshot,
            destination,
        } => {
            let destination = environment.absolute(destination);
            let report = ops::restore::restore(workplace, snapshot, &destination, monitor)?;
            Ok(Answer {
                json: json::restore(&report),
                text: text::restore(&report),
            })
        }
        Command::Runbook { code } => {
            let found = ops::runbook::runbook(code.as_deref())?;
            Ok(Answer {
                json: json::runbook(found),
                text: found.to_owned(),
            })
        }
    }
}
