//! The processes above this one, as far as they are git: what command of git asked for something.

use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::Duration;

use crate::host::disk;

/// Most processes looked at on the way up.
const LIMIT: usize = 16;

/// Largest command line or state read.
const LIMIT_BYTES: u64 = 1 << 20;

/// A process above this one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ancestor {
    /// Its id and the moment it began, in the system's own unit: together they name one process for ever.
    pub identity: (u32, u64),
    /// The words of its command line.
    pub words: Vec<Vec<u8>>,
    /// What stands between it and the command of git below it.
    pub below: Below,
}

/// What stands between a command of git and the next one below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Below {
    /// Nothing: it has started that one itself, or there is none.
    Nothing,
    /// A shell, which may have done anything before.
    Shell,
}

/// The commands of git above this process, the nearest first: shells on the way to the nearest one are passed over, and so are
/// those between two of them; `None` where the system does not tell.
#[must_use]
pub fn git_above() -> Option<Vec<Ancestor>> {
    if !Path::new("/proc/self/stat").exists() {
        return None;
    }
    let mut found: Vec<Ancestor> = Vec::new();
    let mut below = Below::Nothing;
    let mut id = rustix::process::getppid().map(|id| id.as_raw_nonzero().get().unsigned_abs());
    for _ in 0..LIMIT {
        let Some(process) = id.filter(|id| *id > 1) else {
            break;
        };
        let Some((parent, began, words)) = look(process) else {
            break;
        };
        match kind_of(&words) {
            Kind::Git => found.push(Ancestor {
                identity: (process, began),
                words,
                below: std::mem::replace(&mut below, Below::Nothing),
            }),
            // Those below the nearest one belong to the question itself.
            Kind::Shell if found.is_empty() => {}
            Kind::Shell => below = Below::Shell,
            Kind::Other => break,
        }
        id = Some(parent);
    }
    Some(found)
}

/// Whether a process, named as in [`Ancestor::identity`], is still there.
#[must_use]
pub fn is_running(identity: (u32, u64)) -> bool {
    look(identity.0).is_some_and(|(_, began, _)| began == identity.1)
}

/// Waits until a process has ended, but no longer than so; whether it has. Where the system knows no way to wait, it has.
#[must_use]
pub fn wait_for_end(identity: (u32, u64), patience: Duration) -> bool {
    let Some(process) = open_process(identity.0) else {
        return true;
    };
    // Looked at after it was opened: another process of the same number is another one.
    if !is_running(identity) {
        return true;
    }
    let readable = rustix::event::PollFlags::IN;
    let mut waited = [rustix::event::PollFd::new(&process, readable)];
    let patience = rustix::event::Timespec::try_from(patience).ok();
    match rustix::event::poll(&mut waited, patience.as_ref()) {
        Ok(0) | Err(rustix::io::Errno::INTR) => false,
        Ok(_) | Err(_) => true,
    }
}

#[cfg(target_os = "linux")]
fn open_process(id: u32) -> Option<OwnedFd> {
    let id = rustix::process::Pid::from_raw(i32::try_from(id).ok()?)?;
    rustix::process::pidfd_open(id, rustix::process::PidfdFlags::empty()).ok()
}

#[cfg(not(target_os = "linux"))]
fn open_process(_id: u32) -> Option<OwnedFd> {
    None
}

enum Kind {
    Git,
    Shell,
    Other,
}

fn kind_of(words: &[Vec<u8>]) -> Kind {
    let first = words.first().map(Vec::as_slice).unwrap_or_default();
    let name = first.rsplit(|byte| *byte == b'/').next().unwrap_or(first);
    if name == b"git" || name.starts_with(b"git-") && !name.starts_with(b"git-vault") {
        return Kind::Git;
    }
    let shells: [&[u8]; 4] = [b"sh", b"dash", b"bash", b"busybox"];
    if shells.contains(&name) {
        Kind::Shell
    } else {
        Kind::Other
    }
}

/// Parent, moment of beginning and words of a process (proc(5)).
fn look(process: u32) -> Option<(u32, u64, Vec<Vec<u8>>)> {
    let directory = Path::new("/proc").join(process.to_string());
    let state = disk::read_bounded(&directory.join("stat"), LIMIT_BYTES).ok()?;
    // The name in parentheses may hold anything, parentheses too.
    let text = String::from_utf8_lossy(&state).into_owned();
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split_ascii_whitespace().collect();
    let parent = fields.get(1)?.parse().ok()?;
    let began = fields.get(19)?.parse().ok()?;
    let line = disk::read_bounded(&directory.join("cmdline"), LIMIT_BYTES).ok()?;
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    let words = line.split(|byte| *byte == 0).map(<[u8]>::to_vec).collect();
    Some((parent, began, words))
}
