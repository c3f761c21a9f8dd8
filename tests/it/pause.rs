//! Stops the program at one system call, so that something else can happen there, and lets it go on.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Command;

use crate::laboratory::bounded;
use crate::support::{Said, Sandbox};

/// Runs the program and stops it when `call` has been made for the `number`th time (by one thread; where `only` is given,
/// on that path); `meanwhile` acts, then the program goes on. Gives how it ended, and whether it was stopped at all.
#[track_caller]
pub fn paused(
    sandbox: &Sandbox,
    directory: &Path,
    stop: (&str, usize, Option<&Path>),
    arguments: &[&str],
    meanwhile: impl FnOnce(),
) -> (Said, bool) {
    paused_with(sandbox, directory, stop, &[], arguments, meanwhile)
}

/// The same with more environment for the program, as `NAME=value`.
#[track_caller]
pub fn paused_with(
    sandbox: &Sandbox,
    directory: &Path,
    (call, number, only): (&str, usize, Option<&Path>),
    environment: &[String],
    arguments: &[&str],
    meanwhile: impl FnOnce(),
) -> (Said, bool) {
    let pipe = sandbox.path("tmp/stops");
    if !pipe.exists() {
        let status = Command::new("mkfifo").arg(&pipe).status();
        assert!(status.expect("mkfifo starts").success());
    }
    let mut command = sandbox.command("strace", directory);
    command.args(["-f", "-qq", "-o"]).arg(&pipe);
    if let Some(path) = only {
        command.arg("-P").arg(path);
    }
    for setting in environment {
        command.args(["-E", setting]);
    }
    command
        .args(["-e", &format!("trace={call}")])
        .args(["-e", &format!("inject={call}:signal=STOP:when={number}")])
        .arg(env!("CARGO_BIN_EXE_git-vault"))
        .args(arguments);
    let label = format!(
        "git-vault {}, stopped at {call} {number}",
        arguments.join(" ")
    );
    std::thread::scope(|scope| {
        let run = scope.spawn(|| bounded(command, &label));
        let was_stopped = let_go_on(&pipe, meanwhile);
        (run.join().expect("the run ends"), was_stopped)
    })
}

/// Reads the trace to its end. At the first stop `meanwhile` acts; every thread that stops is let go on.
fn let_go_on(trace: &Path, meanwhile: impl FnOnce()) -> bool {
    let lines = BufReader::new(File::open(trace).expect("the trace is opened")).lines();
    let mut meanwhile = Some(meanwhile);
    for line in lines {
        let line = line.expect("a line of the trace");
        if !line.ends_with("--- stopped by SIGSTOP ---") {
            continue;
        }
        if let Some(meanwhile) = meanwhile.take() {
            meanwhile();
        }
        let thread = line.split_ascii_whitespace().next().expect("a thread");
        // A thread that has gone on and ended by now needs no signal.
        let _output = Command::new("kill").args(["-CONT", thread]).output();
    }
    meanwhile.is_none()
}
