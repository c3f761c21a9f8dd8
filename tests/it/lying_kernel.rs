//! The system answers with errors that are rare, or with successes that are lies: what is sealed is whole, and a refusal
//! leaves a vault that works.

use std::fs;

use crate::crash::{Rig, can_trace, count_calls, failed, points, traced, without_objects};
use crate::crash_edges::{sweep_first_snapshot, sweep_restore};
use crate::laboratory::refusal;
use crate::support::files::{incompressible, remove, write};
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

/// The standard library stops the program when the close of a directory fails. Nothing is sealed then, and that is all that
/// is asked of so strange an answer.
fn not_closed(rig: &Rig, said: &Said) -> Vec<String> {
    let stderr = String::from_utf8_lossy(&said.stderr);
    let is_directory =
        stderr.contains("unexpected error during closedir") && said.stdout.is_empty();
    if is_directory {
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
            assert!(refusal(&said).is_ok(), "{said}");
            fs::create_dir(&copy).expect("a directory to remove");
        }
    }
    eprintln!("restore of a larger pack: {count} writes lied to");
}
