//! Long answers on a terminal go through the pager of the user: never through one that a repository names.

use super::args::habits::HabitCommand;
use super::args::{Arguments, Command, IncidentCommand};
use crate::host::program::Program;

/// A pager, and what it is told by the environment where that says nothing itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pager {
    /// The program.
    pub program: Program,
    /// Variables that are set for it.
    pub variables: Vec<(&'static str, &'static str)>,
}

/// Whether the answer of a command may be long.
#[must_use]
pub fn is_for_reading(arguments: &Arguments) -> bool {
    matches!(
        &arguments.command,
        Command::List
            | Command::Show { .. }
            | Command::Ls { .. }
            | Command::Find { .. }
            | Command::Log { .. }
            | Command::Runbook { .. }
            | Command::Incident {
                command: IncidentCommand::List | IncidentCommand::Show { .. }
            }
            | Command::Habit(HabitCommand::Help { .. } | HabitCommand::Scan { .. })
    )
}

/// Shows a text with the pager. Gives whether it was shown: one that cannot be started leaves that to us.
#[must_use]
pub fn show(pager: &Pager, text: &str) -> bool {
    pager
        .program
        .feed(text.as_bytes(), &pager.variables)
        .is_ok()
}
