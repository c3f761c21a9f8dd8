//! The system answers with errors that are rare, or with successes that are lies: what is sealed is whole, and a refusal
//! leaves a vault that works.

use std::fs;

use crate::crash::{Rig, can_trace, count_calls, failed, points, traced, without_objects};
use crate::crash_edges::{sweep_first_snapshot, sweep_restore, words_were_hit};
use crate::laboratory::{bounded, only_vault, refusal};
use crate::support::files::{append, incompressible, remove, write};
use crate::support::{Said, Sandbox, states};

/// How many calls of one name are tried at effort 1.
const POINTS: usize = 4;

/// What an fsync may answer beside EIO: on directories of file systems that know none, on a disk that is full after all.
const SYNC_ERRORS: [&str; 4] = ["EINVAL", "EOPNOTSUPP", "ENOSPC", "EDQUOT"];

/// What is read back and is not what was written is refused, by whichever check meets it first.
fn lied_to(_: &Rig, said: &Said) -> Vec<String> {
    let is_whole = said.code == Some(0);
    let what = if is_whole { None } else { refusal(said).err() };
    what.into_iter().collect()
}

/// What stops the program before it begins, or in the standard library, when so strange an answer comes for a library or a
/// directory. Nothing is sealed then, and that is all that is asked.
const STOPPED_BY_CLOSE: [&str; 2] = [
    "unexpected error during closedir",
    "cannot close file descriptor",
];

fn not_closed(rig: &Rig, said: &Said) -> Vec<String> {
    let stderr = String::from_utf8_lossy(&said.stderr);
    let is_stopped = STOPPED_BY_CLOSE.iter().any(|text| stderr.contains(text));
    if is_stopped && said.stdout.is_empty() {
        Vec::new()
    } else {
        failed(rig, said)
    }
}

#[test]
fn an_fsync_that_is_refused_in_any_way_is_never_a_snapshot() {
    if !can_trace("other errors of fsync") {
        return;
    }
    let rig = Rig::new();
    for error in SYNC_ERRORS {
        rig.sweep_points(
            &["fsync", "fdatasync"],
            POINTS,
            &format!("error={error}"),
            failed,
        );
    }
}

#[test]
fn an_entry_that_cannot_be_made_durable_is_not_said_to_hold_what_is_unchanged() {
    if !can_trace("EIO at the fsync of an entry that a killed run made") {
        return;
    }
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let _id = sandbox.snapshot(&source);
    append(&source, "README.md", "more\n");
    let log = only_vault(&sandbox).join("log");
    let mut command = sandbox.command("strace", &source);
    command.args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync"]);
    command
        .args(["-e", "inject=fsync:signal=KILL:when=1", "-P"])
        .arg(&log);
    command.arg(env!("CARGO_BIN_EXE_git-vault")).arg("snapshot");
    let killed = bounded(command, "killed before the entry is durable");
    assert!(killed.stdout.is_empty(), "{killed}");
    let said = traced(
        &sandbox,
        &source,
        &["trace=fsync", "inject=fsync:error=EIO:when=1"],
        &["snapshot"],
    );
    let said = said.refused("GV-1304");
    assert!(
        log.join("00000004.toml").exists(),
        "the entry is there\n{said}"
    );
    let again = sandbox.vault(&source, &["snapshot"]).succeeded();
    assert!(again.stdout.starts_with(b"UNCHANGED"), "{again}");
}

#[test]
fn calls_that_are_interrupted_or_put_off_leave_a_whole_snapshot_or_none() {
    if !can_trace("EINTR and EAGAIN") {
        return;
    }
    let rig = Rig::new();
    for error in ["EINTR", "EAGAIN"] {
        let calls = ["write", "fsync", "linkat", "renameat2"];
        rig.sweep_points(&calls, POINTS / 2, &format!("error={error}"), failed);
    }
}

#[test]
fn a_close_that_fails_leaves_a_whole_snapshot_or_none() {
    if can_trace("EIO at close") {
        Rig::new().sweep_points(&["close"], POINTS + 2, "error=EIO", not_closed);
    }
}

#[test]
fn a_write_that_takes_less_than_it_says_is_never_sealed() {
    if can_trace("lies of write in a snapshot") {
        Rig::new().sweep_points(&["write"], POINTS * 2, "retval=1", lied_to);
    }
}

#[test]
fn a_first_snapshot_whose_writes_take_less_than_they_say_is_whole_or_not_there() {
    if can_trace("lies of write in the first snapshot") {
        sweep_first_snapshot(&["write"], "retval=1");
    }
}

#[test]
fn a_restore_whose_writes_take_less_than_they_say_is_whole_or_not_there() {
    if can_trace("lies of write in a restore") {
        sweep_restore(&["write"], "retval=1");
    }
}

#[test]
fn a_restored_pack_that_lacks_a_byte_is_noticed() {
    if !can_trace("lies of write in the packs of a restore") {
        return;
    }
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    write(&source, "large.bin", incompressible(1 << 19));
    sandbox.commit(&source, "large");
    remove(&source, "large.bin");
    sandbox.commit(&source, "only in the history");
    let id = sandbox.snapshot(&source);
    let arguments = ["restore", &id, "../copy"];
    let count = count_calls(&sandbox, &source, &arguments)["write"];
    let copy = sandbox.path("work/copy");
    let expected = without_objects(&copy);
    for number in points(count, count) {
        fs::remove_dir_all(&copy).expect("the copy is removed");
        let inject = format!("inject=write:retval=1:when={number}");
        let said = traced(&sandbox, &source, &["trace=write", &inject], &arguments);
        if copy.exists() {
            assert!(without_objects(&copy) == expected, "{said}");
            let _objects = sandbox.git(&copy, &["fsck", "--full", "--strict"]);
        } else {
            assert!(refusal(&said).is_ok() || words_were_hit(&said), "{said}");
            fs::create_dir(&copy).expect("a directory to remove");
        }
    }
    eprintln!("restore of a larger pack: {count} writes lied to");
}
