//! Long answers on a terminal go through the pager of the user: never through one that a repository names, and only answers that
//! all is well, for the exit status is then that of the pager.

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
        Command::List(_)
            | Command::Grep(_)
            | Command::Compare { .. }
            | Command::Show { .. }
            | Command::Ls { .. }
            | Command::Find { .. }
            | Command::Log { .. }
            | Command::Diff(_)
            | Command::Runbook { .. }
            | Command::Incident {
                command: IncidentCommand::List | IncidentCommand::Show { .. }
            }
            | Command::Habit(HabitCommand::Help { .. } | HabitCommand::Scan { .. })
    )
}

/// Becomes the pager. Comes back when it cannot be started: then the text is still to be written.
pub fn become_it(pager: &Pager, text: &str) {
    // Why does not matter: the text is written without it.
    let _not_started = pager
        .program
        .become_it_reading(text.as_bytes(), &pager.variables);
}
