//! The system answers with errors that are rare, or with successes that are lies: what is sealed is whole, and a refusal
//! leaves a vault that works.

use crate::crash::{Rig, can_trace, failed};
use crate::crash_edges::{sweep_first_snapshot, sweep_restore};

/// How many calls of one name are tried at effort 1.
const POINTS: usize = 6;

/// What an fsync may answer beside EIO: on directories of file systems that know none, on a disk that is full after all.
const SYNC_ERRORS: [&str; 4] = ["EINVAL", "EOPNOTSUPP", "ENOSPC", "EDQUOT"];

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
        Rig::new().sweep_points(&["close"], POINTS * 2, "error=EIO", failed);
    }
}

#[test]
fn a_write_that_takes_less_than_it_says_is_never_sealed() {
    if can_trace("lies of write in a snapshot") {
        Rig::new().sweep_points(&["write"], POINTS * 4, "retval=1", failed);
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
fn a_restore_whose_closes_fail_is_whole_or_not_there() {
    if can_trace("EIO at close in a restore") {
        sweep_restore(&["close"], "error=EIO");
    }
}
