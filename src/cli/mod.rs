//! Turns words into one call, and its outcome into words.

pub mod args;
pub mod commands;
pub mod environment;
pub mod json;
pub mod progress;
pub mod prompt;
pub mod refusals;
pub mod text;

use std::io::{IsTerminal, Write};
use std::process::ExitCode;

use clap::Parser;

use args::Arguments;
use environment::Environment;

use crate::model::escape::for_json;

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
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            // Writing help or a usage error to a closed pipe is nobody's loss.
            let _unread = error.print();
            return ExitCode::from(if error.use_stderr() { 2 } else { 0 });
        }
    };
    let format = if arguments.json {
        Format::Json
    } else {
        Format::Text
    };
    let is_watched = std::io::stderr().is_terminal() && !arguments.quiet && format == Format::Text;
    let monitor = progress::Bars::new(is_watched);
    let outcome = Environment::read(&arguments)
        .and_then(|environment| commands::run(&arguments, &environment, &monitor));
    monitor.clear();
    let answer = match outcome {
        Ok(answer) => answer,
        Err(refusal) => {
            if format == Format::Text {
                let _unread = std::io::stderr().write_all(refusals::text(&refusal).as_bytes());
            }
            commands::Answer::of_refusal(&refusal)
        }
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
