//! Starts this program once more, so that it outlives the one who started it and keeps nobody waiting.

use std::ffi::OsString;
use std::fs::File;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::host::disk::{Context, Result};

/// Set for all that this program starts by itself: its hooks then leave at once.
pub const ACTIVE: &str = "GIT_VAULT_ACTIVE";

/// The first descriptor that is not one of the three streams.
const FIRST_UNASKED: i32 = 3;

/// How much lower than others it runs.
const NICENESS: i32 = 10;

/// Starts a program that holds a lock from its very first moment: it is handed over as its standard input, so that at no time
/// nobody holds it. Nothing else is handed over, also nothing that this process was given without asking, and none of the variables
/// in `dropped`.
///
/// # Errors
/// When it cannot be started.
pub fn start(
    program: &Path,
    arguments: &[OsString],
    lock: File,
    dropped: &[OsString],
) -> Result<()> {
    let mut command = Command::new(program);
    for name in dropped {
        command.env_remove(name);
    }
    // A directory that is the current one of a process cannot be unmounted.
    command.args(arguments).current_dir("/").env(ACTIVE, "1");
    command.stdin(lock).stdout(Stdio::null());
    // A file that a caller of git has open, say to hold a lock, would stay open for as long as the worker waits.
    close_fds::set_fds_cloexec(FIRST_UNASKED, &[]);
    let started = command.stderr(Stdio::null()).spawn();
    // Nobody waits for it: it becomes the child of another process when this one ends.
    started.map(drop).context("start", program)
}

/// Makes this process one that no key press and no closed terminal ends, and that lets others go first.
pub fn settle() {
    // A process that leads a group cannot begin a session; then it is no part of the foreground either.
    let _session = rustix::process::setsid();
    let _niceness = rustix::process::nice(NICENESS);
}
