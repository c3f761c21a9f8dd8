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
                if !matches!(code.exit(), 10 | 12 | 13 | 15 | 30 | 32) {
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

/// A laboratory and what came of the points tried in it.
struct Sweep {
    laboratory: Laboratory,
    outcomes: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

impl Sweep {
    fn new() -> Self {
        Self {
            laboratory: Laboratory::new(),
            outcomes: BTreeMap::new(),
            wrong: Vec::new(),
        }
    }

    /// The commands that read, and the one that stands on what it reads.
    fn commands(&self) -> [Vec<String>; 5] {
        let out = self.laboratory.sandbox.path("out");
        let out = out.to_str().expect("a UTF-8 path");
        let id = &self.laboratory.sealed[1].id;
        [
            &["list"][..],
            &["verify", "--quick"],
            &["verify", "--deep"],
            &["restore", id, out],
            &["snapshot"],
        ]
        .map(|words| words.iter().map(|word| (*word).to_owned()).collect())
    }

    fn note(&mut self, said: &Said, command: &str, is_needed: bool, path: &Path) {
        let found = complaints(&self.laboratory, said, is_needed, path);
        self.wrong
            .extend(found.into_iter().map(|what| format!("=== {what}")));
        let code = refusal(said).map_or("success", |code| code.code());
        let outcome = format!("{command} {code}");
        *self.outcomes.entry(outcome).or_default() += 1;
    }

    /// Lets each look at a path fail, from the first, the second and so on; puts everything back each time.
    fn fail(&mut self, path: &Path, matters: bool, call: &str, arguments: &[&str]) {
        let is_snapshot = arguments == ["snapshot"];
        for number in 1..=if effort() >= 10 { 64 } else { 2 } {
            let laboratory = &self.laboratory;
            let (said, has_failed) = with_errors(laboratory, path, (call, number), arguments);
            if !has_failed {
                laboratory.sweep_away_restores();
                laboratory.reset();
                return;
            }
            // At the end the state is read once more, to be written; then the answer says that it was not.
            let is_said = said.text().contains("cannot");
            self.note(
                &said,
                arguments[0],
                matters && !is_snapshot && !is_said,
                path,
            );
            let verified = self.laboratory.run(&["verify"]);
            if verified.code != Some(0) {
                let what = format!("=== the vault should verify\n{said}then\n{verified}");
                self.wrong.push(what);
            }
            self.laboratory.reset();
        }
    }

    /// Cuts a file after each look at it; puts everything back each time.
    fn cut(&mut self, path: &Path, call: &str, arguments: &[&str]) {
        let size = fs::metadata(path).expect("its size").len();
        for number in points(40, 2) {
            let (sandbox, source) = (&self.laboratory.sandbox, &self.laboratory.source);
            let cut = || {
                let file = fs::OpenOptions::new().write(true).open(path);
                let file = file.expect("it is opened");
                file.set_len(size * (number as u64 % 3) / 3)
                    .expect("it is cut");
            };
            let place = (call, number, Some(path));
            let (said, was_stopped) = paused(sandbox, source, place, arguments, cut);
            if !was_stopped {
                self.laboratory.sweep_away_restores();
                self.laboratory.reset();
                return;
            }
            // All of it may have been read before it was cut: then the run is right to succeed.
            self.note(&said, arguments[0], false, path);
            self.laboratory.reset();
        }
    }

    #[track_caller]
    fn conclude(&self, label: &str) {
        let count: usize = self.outcomes.values().sum();
        eprintln!("{label}: {count} points, {:?}", self.outcomes);
        assert_none(&self.wrong);
        let is_refusal = |outcome: &String| !outcome.ends_with(" success");
        assert!(self.outcomes.keys().any(is_refusal), "none was refused");
    }
}

#[test]
fn a_file_that_cannot_be_read_is_refused_by_its_name() {
    if !can_trace("errors of reading") {
        return;
    }
    let mut sweep = Sweep::new();
    append(&sweep.laboratory.source, "README.md", "changed since\n");
    for arguments in sweep.commands() {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        for (path, matters) in readable(&sweep.laboratory) {
            for call in READS {
                sweep.fail(&path, matters, call, &arguments);
            }
        }
    }
    sweep.conclude("errors of reading");
}

/// The pack that cannot be opened is to blame, and not the object that seems to be missing without it.
#[test]
fn a_snapshot_that_cannot_read_an_earlier_pack_index_names_it() {
    if !can_trace("an earlier pack index") {
        return;
    }
    let mut sweep = Sweep::new();
    append(&sweep.laboratory.source, "README.md", "changed since\n");
    let files = sweep.laboratory.files().into_iter();
    for name in files.filter(|name| name.ends_with(b".idx")) {
        let path = at(&sweep.laboratory.vault, &name);
        sweep.fail(&path, true, "openat", &["snapshot"]);
    }
    sweep.conclude("an earlier pack index");
}

/// Another process cuts a pack, an index or a record short between two reads of it.
#[test]
fn a_file_that_shrinks_while_it_is_read_is_refused() {
    if !can_trace("files that shrink") {
        return;
    }
    let mut sweep = Sweep::new();
    let [_, _, deep, restore, _] = sweep.commands();
    let files = chosen(sweep.laboratory.files()).into_iter();
    let files: Vec<PathBuf> = files
        .filter(|name| matters(name))
        .map(|name| at(&sweep.laboratory.vault, name))
        .collect();
    for arguments in [&deep, &restore] {
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        for path in &files {
            for call in READS {
                sweep.cut(path, call, &arguments);
            }
        }
    }
    sweep.conclude("files that shrink");
}
