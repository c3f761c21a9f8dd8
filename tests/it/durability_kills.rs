//! What a killed run left is durable when the next one is sealed on it, judged by the model of `durability_model.rs`.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::crash::{can_trace, count_calls, points};
use crate::durability_model::{Needed, Run, homes, paths};
use crate::laboratory::Laboratory;
use crate::support::files::append;
use crate::support::{Sandbox, states};
use crate::system_calls::{Call, record};

/// Calls at which a killed run leaves something that the next one builds on.
const BUILT_ON: [&str; 8] = [
    "fsync",
    "mkdir",
    "link",
    "linkat",
    "rename",
    "renameat",
    "renameat2",
    "unlink",
];

/// Kills snapshots at one call after the other, and judges each together with the whole one that follows.
#[track_caller]
fn judge_after_kills(label: &str, sandbox: &Sandbox, source: &Path, reset: &dyn Fn()) {
    let counts = count_calls(sandbox, source, &["snapshot"]);
    let (mut wrong, mut tried) = (Vec::new(), 0);
    for (call, count) in counts.iter().filter(|(call, _)| BUILT_ON.contains(call)) {
        for number in points(*count, 4) {
            reset();
            let run = killed_and_made_again(sandbox, source, call, number);
            let complaints = run.complaints(&BTreeSet::new());
            wrong.extend(
                complaints
                    .iter()
                    .map(|complaint| format!("{call} {number}: {complaint}")),
            );
            tried += 1;
        }
    }
    eprintln!("{label}, killed and made again: {tried} points");
    assert!(
        wrong.is_empty(),
        "{} complaints:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[track_caller]
fn killed_and_made_again(sandbox: &Sandbox, source: &Path, call: &str, number: usize) -> Run {
    let before = paths(&[sandbox.path("")]);
    let inject = format!("inject={call}:signal=KILL:when={number}");
    let (killed, mut calls) = record(sandbox, source, &[&inject], &["snapshot"]);
    assert!(
        killed.stdout.is_empty(),
        "it should have been killed\n{killed}"
    );
    let (said, then) = record(sandbox, source, &[], &["--json", "snapshot"]);
    let answer = said.succeeded().json();
    let offset = calls.last().map_or(0, |call| call.end + 1);
    calls.extend(then.into_iter().map(|call| Call {
        begin: call.begin + offset,
        end: call.end + offset,
        what: call.what,
    }));
    let text = |field: &str| {
        answer
            .pointer(field)
            .and_then(|text| text.as_str())
            .expect("a text")
            .to_owned()
    };
    let homes = homes(sandbox);
    let vault = PathBuf::from(text("/vault"));
    let needed = Needed {
        vault_id: vault_id(&vault),
        snapshots: sealed_ids(sandbox, source),
        vault,
    };
    assert!(needed.snapshots.contains(&text("/snapshot/id")));
    let promise = ("{", homes.to_vec());
    Run {
        homes,
        before,
        calls,
        promise,
        needed: Some(needed),
    }
}

fn vault_id(vault: &Path) -> String {
    let text = fs::read_to_string(vault.join("vault.toml")).expect("the description is read");
    let line = text.lines().find_map(|line| line.strip_prefix("vault = "));
    line.expect("the id").trim_matches('"').to_owned()
}

fn sealed_ids(sandbox: &Sandbox, source: &Path) -> Vec<String> {
    let listed = sandbox
        .vault(source, &["--json", "list"])
        .succeeded()
        .json();
    let snapshots = listed["snapshots"].as_array().expect("the snapshots");
    snapshots
        .iter()
        .map(|snapshot| snapshot["id"].as_str().expect("an id").to_owned())
        .collect()
}

#[test]
fn what_a_killed_first_snapshot_left_is_durable_when_the_next_is_sealed_on_it() {
    if !can_trace("durability after a killed first snapshot") {
        return;
    }
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let reset = || {
        for home in homes(&sandbox) {
            fs::remove_dir_all(&home).expect("the directory is removed");
            fs::create_dir(&home).expect("the directory is made");
        }
    };
    judge_after_kills("first snapshot", &sandbox, &source, &reset);
}

#[test]
fn what_a_killed_later_snapshot_left_is_durable_when_the_next_is_sealed_on_it() {
    if !can_trace("durability after a killed later snapshot") {
        return;
    }
    let laboratory = Laboratory::new();
    let (sandbox, source) = (&laboratory.sandbox, &laboratory.source);
    append(source, "src/two.txt", "for the next commit\n");
    sandbox.commit(source, "fifth");
    judge_after_kills("later snapshot", sandbox, source, &|| laboratory.reset());
}
