//! Killed while the first vault is made, and while a workspace is restored: half a vault is no vault, half a workspace is
//! never at the destination.

use std::fs;
use std::path::PathBuf;

use crate::crash::{can_trace, count_calls, points, traced, without_objects};
use crate::laboratory::{
    Laboratory, Restored, make_empty, refusal, restore_leftovers, restored_listing, run,
};
use crate::support::fingerprint::Fingerprint;
use crate::support::listing::{self, Listing};
use crate::support::{Kind, RepoState, Said, Sandbox, states};

const POINTS_OF_A_CALL: usize = 12;

/// A repository that has no vault yet.
pub struct Beginning {
    pub sandbox: Sandbox,
    pub source: PathBuf,
    restored: Listing,
}

impl Beginning {
    pub fn new() -> Self {
        let sandbox = Sandbox::new();
        let source = (states::find("staged_unstaged_and_untracked").build)(&sandbox);
        let original = RepoState::capture(&sandbox, &source, Kind::Workspace);
        let id = sandbox.snapshot(&source);
        let destination = sandbox.restore(&source, &id, "reference");
        let found = RepoState::capture(&sandbox, &destination, Kind::Workspace);
        RepoState::assert_same_workspace(&original.without_ignored(), &found);
        let beginning = Self {
            restored: without_objects(&destination),
            sandbox,
            source,
        };
        beginning.reset();
        beginning
    }

    /// Takes away every vault, key and state.
    pub fn reset(&self) {
        for name in ["config", "data", "state"] {
            make_empty(&self.sandbox.path(name));
        }
        let copy = self.sandbox.path("out");
        if copy.exists() {
            fs::remove_dir_all(copy).expect("the copy is removed");
        }
    }

    /// What must hold however the first snapshot ended.
    pub fn aftermath(&self, said: &Said) -> Vec<String> {
        let mut wrong = Vec::new();
        let listed = run(&self.sandbox, &self.source, &["--json", "list"]);
        let found = if listed.code == Some(0) {
            listed.json()["snapshots"].as_array().map_or(0, Vec::len)
        } else {
            let code = refusal_in_json(&listed);
            if code.as_deref() != Some("GV-1002") {
                wrong.push(format!(
                    "=== list should find no vault or work\n{said}then\n{listed}"
                ));
            }
            0
        };
        if found > 1 || said.stdout.starts_with(b"SEALED") && found == 0 {
            wrong.push(format!("=== {found} snapshots\n{said}then\n{listed}"));
        }
        let next = run(&self.sandbox, &self.source, &["--json", "snapshot"]);
        if next.code != Some(0) {
            wrong.push(format!(
                "=== the next snapshot should succeed\n{said}then\n{next}"
            ));
            return wrong;
        }
        let answer = next.json();
        let due = if found == 0 { "sealed" } else { "unchanged" };
        if answer["outcome"] != due {
            wrong.push(format!(
                "=== the next snapshot should be {due}\n{said}then\n{next}"
            ));
        }
        let out = self.sandbox.path("out");
        let id = answer["snapshot"]["id"].as_str().expect("an id");
        for arguments in [
            ["verify", "--deep", id],
            ["restore", id, out.to_str().expect("a UTF-8 path")],
        ] {
            let then = run(&self.sandbox, &self.source, &arguments);
            if then.code != Some(0) {
                wrong.push(format!(
                    "=== it should be whole\n{said}then\n{next}then\n{then}"
                ));
            }
        }
        if out.is_dir() && without_objects(&out) != self.restored {
            wrong.push(format!(
                "=== the restored workspace is another\n{said}then\n{next}"
            ));
        }
        wrong
    }
}

fn refusal_in_json(said: &Said) -> Option<String> {
    let answer: serde_json::Value = serde_json::from_slice(&said.stdout).ok()?;
    answer.get("code")?.as_str().map(str::to_owned)
}

/// Tampers with the calls of the very first snapshot.
#[track_caller]
pub fn sweep_first_snapshot(calls: &[&str], tampering: &str) {
    let beginning = Beginning::new();
    let (sandbox, source) = (&beginning.sandbox, &beginning.source);
    let counts = count_calls(sandbox, source, &["snapshot"]);
    beginning.reset();
    let untouched = Fingerprint::of(&sandbox.workplace());
    let mut wrong = Vec::new();
    let mut swept = Vec::new();
    for (call, count) in counts.iter().filter(|(call, _)| calls.contains(call)) {
        let points = points(*count, POINTS_OF_A_CALL);
        swept.push(format!("{call} {} of {count}", points.len()));
        for number in points {
            let inject = format!("inject={call}:{tampering}:when={number}");
            let said = traced(
                sandbox,
                source,
                &[&format!("trace={call}"), &inject],
                &["snapshot"],
            );
            wrong.extend(beginning.aftermath(&said));
            beginning.reset();
        }
    }
    eprintln!("first snapshot, {tampering}: {}", swept.join(", "));
    assert!(!swept.is_empty(), "no such call is made");
    assert!(
        wrong.is_empty(),
        "{} complaints:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    untouched.assert_untouched(&sandbox.workplace());
}

const WRITES: [&str; 7] = [
    "write",
    "pwrite64",
    "writev",
    "fsync",
    "fdatasync",
    "syncfs",
    "openat",
];
const NAMES: [&str; 9] = [
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "mkdir",
    "mkdirat",
    "unlink",
    "unlinkat",
];

#[test]
fn a_first_snapshot_killed_at_any_write_leaves_a_whole_one_or_none() {
    if can_trace("kill the first snapshot at writes") {
        sweep_first_snapshot(&WRITES, "signal=KILL");
    }
}

#[test]
fn a_first_snapshot_killed_at_any_change_of_names_leaves_a_whole_one_or_none() {
    if can_trace("kill the first snapshot at changes of names") {
        sweep_first_snapshot(&NAMES, "signal=KILL");
    }
}

#[test]
fn a_first_snapshot_whose_disk_fails_leaves_a_whole_one_or_none() {
    if can_trace("EIO at fsync in the first snapshot") {
        sweep_first_snapshot(&["fsync", "fdatasync"], "error=EIO");
    }
}

/// What a tampered restore has left: nothing at the destination, or all of it; and the vault as it was.
pub fn restore_complaints(laboratory: &Laboratory, said: &Said, before: &Listing) -> Vec<String> {
    let mut wrong = Vec::new();
    let sealed = &laboratory.sealed[1];
    let destination = laboratory.sandbox.path("out");
    let is_there = destination.symlink_metadata().is_ok();
    if is_there {
        let differences = listing::differences(
            "restored",
            &sealed.restored,
            &restored_listing(&destination),
        );
        if !differences.is_empty() {
            wrong.push(format!(
                "=== half a workspace:\n  {}\n{said}",
                differences.join("\n  ")
            ));
        }
    }
    if said.stdout.starts_with(b"RESTORED") && !is_there {
        wrong.push(format!("=== RESTORED, and nothing is there\n{said}"));
    }
    wrong.extend(failure_complaints(laboratory, said, is_there));
    let changes = listing::differences("vault", before, &laboratory.vault_listing());
    if !changes.is_empty() {
        wrong.push(format!(
            "=== the vault was changed:\n  {}\n{said}",
            changes.join("\n  ")
        ));
    }
    laboratory.sweep_away_restores();
    if !matches!(laboratory.restore_or_refuse(sealed), Restored::Whole) {
        wrong.push(format!("=== the next restore should succeed\n{said}"));
    }
    wrong
}

/// Whether the words of a refusal were hit by the fault that they tell of: a call that fails is counted by each thread, so that the
/// first of one may fail as well as the first of another. Then the status tells.
pub fn words_were_hit(said: &Said) -> bool {
    said.stdout.is_empty() && (said.stderr.is_empty() || said.stderr.starts_with(b"EFUSED "))
}

/// A restore that was not killed was refused with a fitting code, or it succeeded; what it leaves is said.
fn failure_complaints(laboratory: &Laboratory, said: &Said, is_there: bool) -> Vec<String> {
    let mut wrong = Vec::new();
    let status_tells = match said.code {
        Some(1) => is_there,
        Some(21..=23) => !is_there,
        _ => false,
    };
    if said.code.is_none() || said.code == Some(0) || words_were_hit(said) && status_tells {
        return wrong;
    }
    match refusal(said) {
        Err(what) => wrong.push(what),
        Ok(code) if !(21..=23).contains(&code.exit()) => {
            wrong.push(format!("=== a code that does not fit\n{said}"))
        }
        Ok(_) => {}
    }
    let stderr = String::from_utf8_lossy(&said.stderr);
    for left in restore_leftovers(&laboratory.sandbox) {
        if !stderr.contains(left.to_str().expect("a UTF-8 path")) {
            wrong.push(format!(
                "=== it should say that it leaves '{}'\n{said}",
                left.display()
            ));
        }
    }
    // After the rename, the truth is that the workspace is whole and perhaps not durable; the refusal must say just that.
    if is_there && !stderr.contains("the workspace is whole at") {
        wrong.push(format!(
            "=== refused, and yet the destination is there\n{said}"
        ));
    }
    wrong
}

#[track_caller]
pub fn sweep_restore(calls: &[&str], tampering: &str) {
    let laboratory = Laboratory::new();
    let (sandbox, source) = (&laboratory.sandbox, &laboratory.source);
    let destination = sandbox.path("out");
    let arguments = [
        "restore",
        &laboratory.sealed[1].id,
        destination.to_str().expect("a UTF-8 path"),
    ];
    let counts = count_calls(sandbox, source, &arguments);
    laboratory.sweep_away_restores();
    let untouched = Fingerprint::of(&sandbox.workplace());
    let before = laboratory.vault_listing();
    let mut wrong = Vec::new();
    let mut swept = Vec::new();
    for (call, count) in counts.iter().filter(|(call, _)| calls.contains(call)) {
        let points = points(*count, POINTS_OF_A_CALL);
        swept.push(format!("{call} {} of {count}", points.len()));
        for number in points {
            let inject = format!("inject={call}:{tampering}:when={number}");
            let said = traced(
                sandbox,
                source,
                &[&format!("trace={call}"), &inject],
                &arguments,
            );
            wrong.extend(restore_complaints(&laboratory, &said, &before));
        }
    }
    eprintln!("restore, {tampering}: {}", swept.join(", "));
    assert!(!swept.is_empty(), "no such call is made");
    assert!(
        wrong.is_empty(),
        "{} complaints:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    untouched.assert_untouched(&sandbox.workplace());
}

#[test]
fn a_restore_killed_anywhere_leaves_a_whole_workspace_or_none() {
    if can_trace("kill a restore") {
        let calls = [&WRITES[..], &NAMES[..], &["fchmod", "utimensat"]].concat();
        sweep_restore(&calls, "signal=KILL");
    }
}

#[test]
fn a_restore_whose_disk_is_full_leaves_a_whole_workspace_or_none() {
    if can_trace("ENOSPC in a restore") {
        sweep_restore(
            &["write", "pwrite64", "writev", "mkdirat", "renameat2"],
            "error=ENOSPC",
        );
    }
}

#[test]
fn a_restore_whose_disk_fails_leaves_a_whole_workspace_or_none() {
    if can_trace("EIO in a restore") {
        sweep_restore(
            &["fsync", "fdatasync", "syncfs", "fchmod", "utimensat"],
            "error=EIO",
        );
    }
}
