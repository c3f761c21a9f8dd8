//! Answers to git, which runs a hook: silent on standard output, deaf on standard input, and with the exit status that lets git go
//! on - but before a rebase.

use std::ffi::OsString;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::process::ExitCode;

use crate::cli::args::Arguments;
use crate::cli::environment::{Environment, now_ns};
use crate::cli::progress::Bars;
use crate::cli::refusals;
use crate::host::background;
use crate::model::event::Silent;
use crate::model::hook_event::HookEvent;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::firing::Handover;
use crate::ops::hooks::{ASK_MONITOR, ASK_OBJECTS};
use crate::ops::incident::{Circumstances, Noted, note};
use crate::ops::worker::{self, Task};
use crate::ops::{firing, last_second};

/// The name in `git vault hook` for the worker that hooks hand over to.
const WORKER: &str = "worker";

/// Nobody but git and this program run `git vault hook`.
#[must_use]
pub fn unknown(event: &str) -> Refusal {
    Refusal::new(
        RefusalCode::SettingInvalid,
        format!("'{event}' is no hook that this program answers to"),
    )
    .keeping("nothing was touched")
}

/// Whether a vault is kept for the repository here, in surroundings that make no sense: what nobody has put under a vault must not be
/// stopped by a setting of ours.
fn is_kept(arguments: &Arguments) -> bool {
    let usual = Environment::read_as_usual(arguments);
    usual.map_or(true, |usual| {
        firing::is_kept(&usual.workplace, &usual.told())
    })
}

/// Does what an event asks for; gives the exit status that git expects.
#[must_use]
pub fn answer(
    arguments: &Arguments,
    event: &str,
    told: &[OsString],
    words: Vec<String>,
) -> ExitCode {
    let environment = match Environment::read(arguments) {
        Ok(environment) => environment,
        Err(_) if !is_kept(arguments) => return ExitCode::SUCCESS,
        Err(refusal) if HookEvent::parse(event) == Some(HookEvent::PreRebase) => {
            return refused(&firing::with_way_out(refusal), &Noted::NotDue, event);
        }
        Err(refusal) => return refused(&refusal, &Noted::NotDue, event),
    };
    match run(&environment, event, told) {
        Ok(()) => ExitCode::SUCCESS,
        Err(refusal) => {
            let circumstances = Circumstances {
                command: words,
                variables: environment.variables.clone(),
            };
            let noted = note(&refusal, &environment.workplace, &circumstances);
            refused(&refusal, &noted, event)
        }
    }
}

fn run(environment: &Environment, event: &str, words: &[OsString]) -> Result<()> {
    let (workplace, told) = (&environment.workplace, &environment.told());
    match (event, HookEvent::parse(event)) {
        (_, Some(HookEvent::PreRebase)) => {
            // Somebody waits for it.
            let bars = Bars::new(std::io::stderr().is_terminal());
            let made = firing::before_rebase(workplace, told, &now_ns, &bars);
            bars.clear();
            start(environment, made?);
            Ok(())
        }
        (_, Some(event)) => {
            let handover = firing::fired(workplace, told, event, words)?;
            start(environment, handover);
            Ok(())
        }
        (WORKER, None) => work(environment, words),
        (ASK_MONITOR, None) => {
            last_second::monitor_asked(workplace, told, &now_ns, &Silent).map(drop)
        }
        (ASK_OBJECTS, None) => {
            last_second::recent_objects_asked(workplace, told, &now_ns, &Silent).map(drop)
        }
        _ => Err(unknown(event)),
    }
}

/// Starts a worker, if there is one to start.
fn start(environment: &Environment, handover: Option<Handover>) {
    if let (Some(handover), Some(program)) = (handover, environment.running()) {
        // The mark stays when it cannot be started.
        drop(handover.start(&program, &environment.told()));
    }
}

/// The worker; standard input is the lock that was handed over.
fn work(environment: &Environment, words: &[OsString]) -> Result<()> {
    let event = words.first().and_then(|word| word.to_str());
    let event = event.and_then(HookEvent::parse);
    let event = event.ok_or_else(|| unknown(WORKER))?;
    let handed_over = std::io::stdin().as_fd().try_clone_to_owned();
    let lock = handed_over.map(File::from).map_err(|error| {
        Refusal::new(RefusalCode::Internal, "no lock was handed over").because(error.to_string())
    })?;
    background::settle();
    let workplace = &environment.workplace;
    let start = words.get(1).map(PathBuf::from);
    let task = Task { event, lock, start };
    worker::work(workplace, task, environment.pace(), &now_ns, &Silent)
}

/// Says no where somebody reads it, and in the way that git expects.
fn refused(refusal: &Refusal, noted: &Noted, event: &str) -> ExitCode {
    match (event, HookEvent::parse(event)) {
        (_, Some(HookEvent::PreRebase)) => {
            let text = refusals::text(refusal, noted);
            let _unread = std::io::stderr().write_all(text.as_bytes());
            ExitCode::FAILURE
        }
        // A failure of one of these would make a command fail that has done its work.
        (_, Some(_)) => ExitCode::SUCCESS,
        _ => {
            let line = format!("git-vault: no snapshot was made: {refusal}\n");
            let line = crate::model::escape::for_terminal(&line);
            let _unread = std::io::stderr().write_all(line.as_bytes());
            ExitCode::FAILURE
        }
    }
}
