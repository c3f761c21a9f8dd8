//! Files of the vault that the system fails to read, or that shrink while they are read: refused, and never a signal.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use crate::crash::{can_trace, points};
use crate::damage::{kind, matters};
use crate::laboratory::{Laboratory, assert_none, bounded, effort, refusal, restored_listing};
use crate::pause::paused;
use crate::support::Said;
use crate::support::files::{append, at};
use crate::support::listing;

/// Calls by which a file or directory is read.
const READS: [&str; 4] = ["openat", "read", "pread64", "getdents64"];

/// All of these at full effort, else the first of each kind.
fn chosen(names: Vec<Vec<u8>>) -> Vec<Vec<u8>> {
    let mut kinds = BTreeSet::new();
    let is_chosen = |name: &Vec<u8>| effort() >= 10 || kinds.insert(kind(name));
    names.into_iter().filter(is_chosen).collect()
}

/// Runs the program while every such call on this path, from the `number`th on, fails with EIO; says whether one did.
fn with_errors(
    laboratory: &Laboratory,
    path: &Path,
    (call, number): (&str, usize),
    arguments: &[&str],
) -> (Said, bool) {
    let sandbox = &laboratory.sandbox;
    let trace = sandbox.path("tmp/trace");
    let mut command = sandbox.command("strace", &laboratory.source);
    command
        .args(["-f", "-qq", "-o"])
        .arg(&trace)
        .arg("-P")
        .arg(path);
    command.args(["-e", &format!("trace={call}")]);
    command.args(["-e", &format!("inject={call}:error=EIO:when={number}+")]);
    command.arg(env!("CARGO_BIN_EXE_git-vault")).args(arguments);
    let label = format!(
        "git-vault {}, EIO from {call} {number} on '{}'",
        arguments.join(" "),
        path.display()
    );
    let said = bounded(command, &label);
    let trace = fs::read(trace).expect("the trace is read");
    let has_failed = String::from_utf8_lossy(&trace).contains("(INJECTED)");
    (said, has_failed)
}

/// What is wrong with the outcome of a run that was given errors where it reads `name`.
fn complaints(laboratory: &Laboratory, said: &Said, is_needed: bool, path: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    if said.code == Some(0) {
        if is_needed {
            wrong.push(format!("it was not read, and there is no refusal\n{said}"));
        }
    } else {
        match refusal(said) {
            Err(what) => wrong.push(what),
            Ok(code) => {
                if !matches!(code.exit(), 10 | 12 | 13 | 30 | 32) {
                    wrong.push(format!("a code that does not fit\n{said}"));
                }
                let text = String::from_utf8_lossy(&said.stderr).into_owned();
                if !text.contains(&*path.to_string_lossy()) {
                    wrong.push(format!("it does not name what cannot be read\n{said}"));
                }
            }
        }
    }
    wrong.extend(destination_complaints(laboratory, said));
    wrong
}

/// The destination of a restore is whole, or not there.
fn destination_complaints(laboratory: &Laboratory, said: &Said) -> Vec<String> {
    let out = laboratory.sandbox.path("out");
    let mut wrong = Vec::new();
    if out.symlink_metadata().is_ok() {
        let found = restored_listing(&out);
        wrong = listing::differences("restored", &laboratory.sealed[1].restored, &found);
        if said.code != Some(0) {
            wrong.push(format!("a destination is left behind\n{said}"));
        }
    }
    laboratory.sweep_away_restores();
    wrong
}

/// Everything that is read, below the vault and where keys and states are; with whether it matters.
fn readable(laboratory: &Laboratory) -> Vec<(PathBuf, bool)> {
    let mut names = laboratory.files();
    names.extend(laboratory.directories());
    let of_vault = chosen(names).into_iter();
    let mut all: Vec<(PathBuf, bool)> = of_vault
        .map(|name| (at(&laboratory.vault, &name), matters(&name)))
        .collect();
    for place in ["config/git-vault", "state/git-vault"] {
        listing::visit(
            &laboratory.sandbox.path(place),
            &|_| true,
            &mut |_, path, metadata| {
                if metadata.is_file() {
                    all.push((path.to_owned(), true));
                }
            },
        );
    }
    all
}

#[test]
fn a_file_that_cannot_be_read_is_refused_by_its_name() {
    if !can_trace("errors of reading") {
        return;
    }
    let laboratory = Laboratory::new();
    append(&laboratory.source, "README.md", "changed since\n");
    let out = laboratory.sandbox.path("out");
    let out = out.to_str().expect("a UTF-8 path");
    let id = &laboratory.sealed[1].id;
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for arguments in [
        &["list"][..],
        &["verify", "--quick"],
        &["verify", "--deep"],
        &["restore", id, out],
        &["snapshot"],
    ] {
        for (path, matters) in readable(&laboratory) {
            for call in READS {
                for number in 1..=if effort() >= 10 { 64 } else { 2 } {
                    let at = (call, number);
                    let (said, has_failed) = with_errors(&laboratory, &path, at, arguments);
                    if !has_failed {
                        laboratory.sweep_away_restores();
                        break;
                    }
                    // At the end the state is read once more, to be written; then the answer says that it was not.
                    let is_said = said.text().contains("cannot");
                    let is_needed = matters && arguments != ["snapshot"] && !is_said;
                    let found = complaints(&laboratory, &said, is_needed, &path);
                    wrong.extend(found.into_iter().map(|what| format!("=== {what}")));
                    let code = refusal(&said).map_or("success", |code| code.code());
                    *outcomes
                        .entry(format!("{} {code}", arguments[0]))
                        .or_default() += 1;
                    if arguments == ["snapshot"] {
                        let verified = laboratory.run(&["verify"]);
                        if verified.code != Some(0) {
                            wrong.push(format!(
                                "=== the vault should verify\n{said}then\n{verified}"
                            ));
                        }
                    }
                    laboratory.reset();
                }
            }
        }
    }
    let count: usize = outcomes.values().sum();
    eprintln!("errors of reading: {count} points, {outcomes:?}");
    assert_none(&wrong);
}

/// Another process cuts a pack, an index or a record short between two reads of it.
#[test]
fn a_file_that_shrinks_while_it_is_read_is_refused() {
    if !can_trace("files that shrink") {
        return;
    }
    let laboratory = Laboratory::new();
    let out = laboratory.sandbox.path("out");
    let out = out.to_str().expect("a UTF-8 path");
    let id = &laboratory.sealed[1].id;
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    let files = chosen(laboratory.files());
    for name in files.iter().filter(|name| matters(name)) {
        let path = at(&laboratory.vault, name);
        for arguments in [&["verify", "--deep"][..], &["restore", id, out]] {
            for call in READS {
                for number in points(40, 2) {
                    let size = fs::metadata(&path).expect("its size").len();
                    let cut = || {
                        let file = fs::OpenOptions::new().write(true).open(&path);
                        let length = size * (number as u64 % 3) / 3;
                        file.expect("it is opened")
                            .set_len(length)
                            .expect("it is cut");
                    };
                    let place = (call, number, Some(&*path));
                    let (sandbox, source) = (&laboratory.sandbox, &laboratory.source);
                    let (said, was_stopped) = paused(sandbox, source, place, arguments, cut);
                    if !was_stopped {
                        laboratory.sweep_away_restores();
                        break;
                    }
                    // All of it may have been read before it was cut: then the run is right to succeed.
                    let found = complaints(&laboratory, &said, false, &path);
                    wrong.extend(found.into_iter().map(|what| format!("=== {what}")));
                    let code = refusal(&said).map_or("success", |code| code.code());
                    *outcomes
                        .entry(format!("{} {code}", arguments[0]))
                        .or_default() += 1;
                    laboratory.reset();
                }
            }
        }
    }
    let count: usize = outcomes.values().sum();
    eprintln!("files that shrink: {count} points, {outcomes:?}");
    assert_none(&wrong);
    assert!(outcomes.len() > 1, "none was refused");
}
