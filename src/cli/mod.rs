//! Turns words into one call, and its outcome into words.

pub mod agents;
pub mod args;
pub mod command_line;
pub mod commands;
pub mod completion;
pub mod completion_line;
pub mod environment;
pub mod examples;
pub mod hook;
pub mod json;
pub mod manual;
pub mod pager;
pub mod progress;
pub mod prompt;
pub mod refusals;
pub mod support_log;
pub mod text;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::FromArgMatches;
use clap::error::ErrorKind;

use args::habits::HabitCommand;
use args::triggers::AgentsCommand;
use args::{Arguments, Command};
use commands::Handover;
use environment::Environment;
use support_log::{Logged, SupportLog};

use crate::host::machine;
use crate::host::program::NotRunnable;
use crate::model::escape::{for_json, for_terminal};
use crate::model::refusal::Refusal;
use crate::ops::incident::{Circumstances, Noted, note};

/// How a command answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// For people.
    Text,
    /// For programs: one JSON object on standard output.
    Json,
}

/// Runs the program; gives its exit status.
#[must_use]
pub fn run() -> ExitCode {
    let (arguments, words) = match parse() {
        Ok(parsed) => parsed,
        Err(error) => {
            // Writing help or a usage error to a closed pipe is nobody's loss.
            let _unread = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    if let Command::Hook { event, words: told } = &arguments.command {
        return hook::answer(&arguments, event, told, words);
    }
    if let Command::Habit(HabitCommand::Complete { form, words }) = &arguments.command {
        return finish(&completion::answer(&arguments, *form, words), 0);
    }
    if let Command::Agents {
        command: AgentsCommand::Hook { tool },
    } = &arguments.command
    {
        return agents::hook(&arguments, *tool);
    }
    let core_limit = if matches!(arguments.command, Command::Guard { .. }) {
        Some(machine::leave_no_core_file_for_now())
    } else {
        machine::leave_no_core_file();
        None
    };
    let format = if arguments.json {
        Format::Json
    } else {
        Format::Text
    };
    let mut pager = None;
    let answer = match Environment::read(&arguments) {
        Ok(environment) => {
            if format == Format::Text && pager::is_for_reading(&arguments) {
                pager = environment.pager();
            }
            answer(&arguments, words, &environment, format)
        }
        Err(refusal) => no_surroundings(&arguments, refusal, format),
    };
    if let Some(notice) = answer
        .notice
        .filter(|_| arguments.quiet && format == Format::Text)
    {
        let _unread = std::io::stderr().write_all(notice.as_bytes());
    }
    if let Some(handover) = answer.handover {
        if let Some(limit) = &core_limit {
            machine::allow_core_file(limit);
        }
        return hand_over(handover, answer.status, arguments.quiet);
    }
    let output = match format {
        Format::Json => format!("{}\n", for_json(&answer.json.to_string())),
        Format::Text if arguments.quiet && !agents::is_work(&arguments) => String::new(),
        Format::Text => answer.text,
    };
    let status = match format {
        Format::Json => agents::status_with_json(&answer.json).unwrap_or(answer.status),
        Format::Text => answer.status,
    };
    if let Some(pager) = &pager
        && status == 0
        && !output.is_empty()
        && std::io::stdout().is_terminal()
    {
        pager::become_it(pager, &output);
    }
    finish(&output, status)
}

/// The answer when not even home and current directory are known. A coding agent is answered in its own way, whatever is wrong.
fn no_surroundings(arguments: &Arguments, refusal: Refusal, format: Format) -> commands::Answer {
    if let Command::Agents {
        command: AgentsCommand::Work { tool },
    } = &arguments.command
    {
        return agents::answer_without_surroundings(*tool, refusal);
    }
    refuse(&refusal, &Noted::NotDue, format)
}

fn parse() -> Result<(Arguments, Vec<String>), clap::Error> {
    let mut command = manual::command();
    let matches = command.clone().try_get_matches()?;
    let arguments = Arguments::from_arg_matches(&matches)?;
    if let Command::Habit(HabitCommand::Help { topic }) = &arguments.command {
        manual::check(topic)?;
    }
    if arguments.json && matches!(arguments.command, Command::Guard { .. }) {
        let reason = "guard has no --json: standard output belongs to the command that it runs";
        return Err(command.error(ErrorKind::ArgumentConflict, reason));
    }
    if arguments.json && matches!(arguments.command, Command::Cat { .. }) {
        let reason = "cat has no --json: standard output is the file";
        return Err(command.error(ErrorKind::ArgumentConflict, reason));
    }
    if arguments.vault.is_some() && matches!(arguments.command, Command::Sweep { .. }) {
        let reason = "sweep has no --vault: each repository has its own";
        return Err(command.error(ErrorKind::ArgumentConflict, reason));
    }
    Ok((arguments, command_line::words(&mut command, &matches)))
}

/// Does what was asked, and notes how it went where that is due or asked for.
fn answer(
    arguments: &Arguments,
    words: Vec<String>,
    environment: &Environment,
    format: Format,
) -> commands::Answer {
    let log = open_log(environment, &words);
    let is_watched = std::io::stderr().is_terminal() && !arguments.quiet && format == Format::Text;
    let bars = progress::Bars::new(is_watched);
    let monitor = Logged::new(log.as_ref(), &bars);
    let circumstances = Circumstances {
        command: words,
        variables: environment.variables.clone(),
    };
    let outcome = commands::run(arguments, environment, &circumstances, &monitor);
    bars.clear();
    match outcome {
        Ok(answer) => {
            if let Some(log) = &log {
                log.answer(&answer.json, answer.status);
            }
            answer
        }
        Err(refusal) => {
            let noted = note(&refusal, &environment.workplace, &circumstances);
            if let Some(log) = &log {
                log.refusal(&refusal, &noted);
            }
            refuse(&refusal, &noted, format)
        }
    }
}

/// The log that was asked for. One that cannot be written costs a line, not the command.
fn open_log(environment: &Environment, words: &[String]) -> Option<SupportLog> {
    let path = environment.log_file.as_ref()?;
    match SupportLog::open(path, environment, words) {
        Ok(log) => Some(log),
        Err(reason) => {
            let reason = for_terminal(&reason).replace('\n', " ");
            let line = format!("WARNING  no log is written: {reason}\n");
            let _unread = std::io::stderr().write_all(line.as_bytes());
            None
        }
    }
}

fn refuse(refusal: &Refusal, noted: &Noted, format: Format) -> commands::Answer {
    if format == Format::Text {
        let text = refusals::text(refusal, noted);
        let _unread = std::io::stderr().write_all(text.as_bytes());
    }
    commands::Answer::of_refusal(refusal, noted)
}

/// Says what there is to say, and becomes the program that comes next. Comes back only when there is none.
fn hand_over(handover: Handover, status: u8, is_quiet: bool) -> ExitCode {
    let mut stderr = std::io::stderr();
    let Some(program) = handover.program else {
        let _unread = stderr.write_all(handover.said.as_bytes());
        return ExitCode::from(status);
    };
    if !is_quiet {
        let _unread = stderr.write_all(handover.said.as_bytes());
    }
    let error = program.become_it();
    let reason = for_terminal(&format!("'{}': {error}", program.file.display()));
    let line = format!("GUARD      cannot be run: {}\n", reason.replace('\n', " "));
    let _unread = stderr.write_all(line.as_bytes());
    ExitCode::from(NotRunnable::NotExecutable.exit())
}

/// Writes the answer. A reader that has gone away has read enough; any other failure means that the answer was lost.
fn finish(output: &str, status: u8) -> ExitCode {
    let mut stdout = std::io::stdout().lock();
    match stdout
        .write_all(output.as_bytes())
        .and_then(|()| stdout.flush())
    {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe && status == 0 => {
            ExitCode::from(1)
        }
        Err(_) | Ok(()) => ExitCode::from(status),
    }
}
