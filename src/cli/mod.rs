//! Turns words into one call, and its outcome into words.

pub mod args;
pub mod command_line;
pub mod commands;
pub mod environment;
pub mod hook;
pub mod json;
pub mod progress;
pub mod prompt;
pub mod refusals;
pub mod support_log;
pub mod text;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::{CommandFactory, FromArgMatches};

use args::Arguments;
use environment::Environment;
use support_log::{Logged, SupportLog};

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
    crate::host::machine::leave_no_core_file();
    let (arguments, words) = match parse() {
        Ok(parsed) => parsed,
        Err(error) => {
            // Writing help or a usage error to a closed pipe is nobody's loss.
            let _unread = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    if let args::Command::Hook { event, words: told } = &arguments.command {
        return hook::answer(&arguments, event, told, words);
    }
    let format = if arguments.json {
        Format::Json
    } else {
        Format::Text
    };
    let answer = match Environment::read(&arguments) {
        Ok(environment) => answer(&arguments, words, &environment, format),
        Err(refusal) => refuse(&refusal, &Noted::NotDue, format),
    };
    if let Some(notice) = answer
        .notice
        .filter(|_| arguments.quiet && format == Format::Text)
    {
        let _unread = std::io::stderr().write_all(notice.as_bytes());
    }
    let output = match format {
        Format::Json => format!("{}\n", for_json(&answer.json.to_string())),
        Format::Text if arguments.quiet => String::new(),
        Format::Text => answer.text,
    };
    finish(&output, answer.status)
}

fn parse() -> Result<(Arguments, Vec<String>), clap::Error> {
    let mut command = Arguments::command();
    let matches = command.clone().try_get_matches()?;
    let arguments = Arguments::from_arg_matches(&matches)?;
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
