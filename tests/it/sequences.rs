//! Random sequences of git commands and edits, with snapshots in between: each snapshot gives back what was there when it was
//! made.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

use crate::architecture::root;
use crate::laboratory::effort;
use crate::support::commands::{SNAPSHOT, lives};
use crate::support::files::mkdir;
use crate::support::fingerprint::Fingerprint;
use crate::support::listing::{self, Listing};
use crate::support::{Kind, RepoState, RootTimes, Said, Sandbox};

/// A snapshot, and what was there when it was asked for.
pub struct Taken {
    pub id: String,
    state: RepoState,
    linked: Option<Linked>,
    is_new: bool,
}

/// A linked worktree: its files, and what git says there.
#[derive(PartialEq)]
pub struct Linked {
    files: Listing,
    answers: Vec<(Option<i32>, Vec<u8>)>,
}

impl Linked {
    /// `None` if there is no worktree.
    fn look(sandbox: &Sandbox, path: &Path) -> Option<Self> {
        if !path.join(".git").is_file() {
            return None;
        }
        let questions: [&[&str]; 4] = [
            &["rev-parse", "HEAD"],
            &["symbolic-ref", "HEAD"],
            &["ls-files", "--stage", "-v", "-z"],
            &["status", "--porcelain=v2", "-z", "--untracked-files=all"],
        ];
        let ask = |question: &&[&str]| {
            let output = sandbox.try_git_with(path, &[("GIT_OPTIONAL_LOCKS", "0")], question);
            (output.status.code(), output.stdout)
        };
        Some(Self {
            files: listing::list(path, &|name| name != b".git"),
            answers: questions.iter().map(ask).collect(),
        })
    }
}

/// How often a run came to what.
#[derive(Default)]
pub struct Tally {
    lines: Cell<usize>,
    succeeded: Cell<usize>,
    snapshots: Cell<usize>,
    unchanged: Cell<usize>,
}

fn count(cell: &Cell<usize>) {
    cell.set(cell.get() + 1);
}

/// Runs the lines one after the other, then restores every snapshot. Git may refuse a line; the program may not.
fn live(lines: &[String], tally: &Tally) -> Result<(), String> {
    let sandbox = Sandbox::new();
    let repository = mkdir(&sandbox.workplace(), "repository");
    let mut taken: Vec<Taken> = Vec::new();
    for line in lines {
        if line == SNAPSHOT {
            taken.extend(take(&sandbox, &repository, tally)?);
            continue;
        }
        let mut command = sandbox.command("sh", &repository);
        command.env("MARKER", sandbox.marker());
        let output = command.args(["-c", line]).output().expect("sh starts");
        count(&tally.lines);
        tally
            .succeeded
            .set(tally.succeeded.get() + usize::from(output.status.success()));
    }
    if taken.is_empty() {
        return Ok(());
    }
    for command in [&["verify", "--deep"], &["drill", "--all"]] {
        let said = sandbox.vault(&repository, command);
        if said.code != Some(0) {
            return Err(said.to_string());
        }
    }
    for (number, taken) in taken.iter().enumerate() {
        give_back(&sandbox, &repository, taken, &format!("restored-{number}"))
            .map_err(|what| format!("snapshot {} of {}: {what}", number + 1, lines.len()))?;
    }
    Ok(())
}

/// What git and the file system say of a faithful copy. Of the place itself git may say less: it does not notice an edit
/// that keeps size, time and inode.
fn look(sandbox: &Sandbox, repository: &Path) -> RepoState {
    let copy = sandbox.copy(repository, "copy");
    let state = RepoState::capture(sandbox, &copy, Kind::Workspace).without_ignored();
    fs::remove_dir_all(copy).expect("the copy is removed");
    state
}

/// Cherry-picking onto a branch without commits, git writes an id from nowhere to `sequencer/head`: what an operation needs is
/// not there, and that is refused.
fn is_rightly_refused(sandbox: &Sandbox, repository: &Path, said: &Said) -> bool {
    let head = fs::read_to_string(repository.join(".git/sequencer/head")).unwrap_or_default();
    let exists = sandbox.try_git(repository, &["cat-file", "-e", head.trim_end()]);
    let what = said.json()["what"].to_string();
    said.json()["code"] == "GV-2005"
        && !head.is_empty()
        && what.contains(head.trim_end())
        && !exists.status.success()
}

/// Takes a snapshot; `None` if it was refused, and had to be.
pub fn take(sandbox: &Sandbox, repository: &Path, tally: &Tally) -> Result<Option<Taken>, String> {
    let state = look(sandbox, repository);
    let linked = Linked::look(sandbox, &sandbox.workplace().join("linked"));
    sandbox.forget_marker();
    let untouched = Fingerprint::of(&sandbox.workplace());
    let marker = sandbox.marker();
    let environment = [("MARKER", marker.to_str().expect("a UTF-8 path"))];
    let said = sandbox.vault_with(repository, &environment, &["--json", "snapshot"]);
    if said.code != Some(0) && is_rightly_refused(sandbox, repository, &said) {
        return Ok(None);
    }
    if said.code != Some(0) {
        return Err(said.to_string());
    }
    let changes = untouched.changes(&Fingerprint::of(&sandbox.workplace()));
    if !changes.is_empty() {
        return Err(format!("the source was touched: {changes:#?}"));
    }
    if marker.exists() {
        return Err("a snapshot ran what was planted".to_owned());
    }
    let answer = said.json();
    let is_new = answer["outcome"] == "sealed";
    count(&tally.snapshots);
    tally
        .unchanged
        .set(tally.unchanged.get() + usize::from(!is_new));
    let id = answer["snapshot"]["id"].as_str().expect("an id");
    Ok(Some(Taken {
        id: id.to_owned(),
        state,
        linked,
        is_new,
    }))
}

pub fn give_back(
    sandbox: &Sandbox,
    repository: &Path,
    taken: &Taken,
    name: &str,
) -> Result<(), String> {
    sandbox.forget_marker();
    let destination = sandbox.path(name);
    let text = destination.to_str().expect("a UTF-8 path");
    let marker = sandbox.marker();
    let environment = [("MARKER", marker.to_str().expect("a UTF-8 path"))];
    let said = sandbox.vault_with(repository, &environment, &["restore", &taken.id, text]);
    if said.code != Some(0) {
        return Err(said.to_string());
    }
    if marker.exists() {
        return Err("a restore ran what was planted".to_owned());
    }
    let linked = fs::read_dir(destination.join(".git")).expect("the git directory is read");
    let mut linked = linked.map(|entry| entry.expect("an entry").path());
    let is_linked = |path: &PathBuf| path.display().to_string().contains("/.git/linked-");
    let linked = linked.find(is_linked);
    if linked.and_then(|path| Linked::look(sandbox, &path)) != taken.linked {
        return Err("the linked worktree is another".to_owned());
    }
    let found = RepoState::capture(sandbox, &destination, Kind::Workspace);
    let mut differences = taken.state.differences(&found, RootTimes::Compared);
    if !taken.is_new {
        // Of the same state, an earlier snapshot has the times inside the git directory that were there then.
        differences
            .retain(|line| !line.starts_with("git directory '") || !line.contains("': mtime "));
    }
    if differences.is_empty() {
        return Ok(());
    }
    Err(differences.join("\n  "))
}

/// As a script that makes it again, in an empty directory.
fn script(lines: &[String]) -> String {
    lines.join("\n")
}

#[test]
fn every_snapshot_of_a_life_of_random_commands_comes_back() {
    let config = Config {
        cases: 40 * u32::try_from(effort()).expect("an effort"),
        failure_persistence: None,
        max_shrink_iters: 200,
        ..Config::default()
    };
    let tally = Tally::default();
    let outcome = TestRunner::new(config).run(&lives(), |lines| {
        live(&lines, &tally).map_err(TestCaseError::fail)
    });
    eprintln!(
        "sequences: {} of {} lines succeeded, {} snapshots, {} of them unchanged",
        tally.succeeded.get(),
        tally.lines.get(),
        tally.snapshots.get(),
        tally.unchanged.get()
    );
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, lines)) => {
            panic!("{reason}\nmade by\n{}\n", script(&lines))
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
}

/// Those that once failed, and some that show that a life may be long.
#[test]
fn every_snapshot_of_a_kept_sequence_comes_back() {
    let directory = root().join("tests/sequences");
    let entries = fs::read_dir(directory).expect("the sequences are read");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "there are some");
    for path in paths {
        let text = fs::read_to_string(&path).expect("the sequence is read");
        let lines: Vec<String> = text
            .lines()
            .filter(|line| !line.starts_with('#') && !line.is_empty())
            .map(str::to_owned)
            .collect();
        assert!(
            lines.iter().any(|line| line == SNAPSHOT),
            "{}",
            path.display()
        );
        if let Err(reason) = live(&lines, &Tally::default()) {
            panic!("{}: {reason}", path.display());
        }
    }
}
