//! What this machine has last seen of a vault, kept outside it, so that an older copy put in its place is noticed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::host::disk;
use crate::host::lock;
use crate::model::ids::{Digest, VaultId};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::vault::distrust;
use crate::vault::layout::Layout;
use crate::vault::log::Log;

/// Largest state file read.
const LIMIT_BYTES: u64 = 4096;

/// The newest log entry seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastSeen {
    /// Its number.
    pub entry: u64,
    /// Its BLAKE3.
    pub blake3: Digest,
}

fn path(state_home: &Path, vault: VaultId) -> PathBuf {
    state_home.join("last-seen").join(format!("{vault}.toml"))
}

/// What was last seen of a vault; to be read before its log is, so that the log can only be newer.
///
/// # Errors
/// When the state cannot be read.
pub fn load(state_home: &Path, vault: VaultId) -> Result<Option<LastSeen>> {
    let path = path(state_home, vault);
    let bytes = match disk::read_bounded(&path, LIMIT_BYTES) {
        Err(error) if error.is_not_found() => return Ok(None),
        bytes => bytes.map_err(|error| error.refuse(RefusalCode::VaultUnreadable))?,
    };
    let seen = toml::from_str(&String::from_utf8_lossy(&bytes)).map_err(|error| {
        Refusal::new(
            RefusalCode::RecordMalformed,
            format!("'{}' cannot be understood", path.display()),
        )
        .because(error.message().to_owned())
        .because("it says what this machine has last seen of the vault")
        .about(&path)
    })?;
    Ok(Some(seen))
}

/// Refuses a log that is shorter than, or different from, what was seen before.
///
/// # Errors
/// [`RefusalCode::VaultRolledBack`] or [`RefusalCode::LogForked`].
pub fn check(seen: Option<LastSeen>, root: &Path, log: &Log) -> Result<()> {
    let Some(seen) = seen else { return Ok(()) };
    let shown = root.display();
    match log.hash_of(seen.entry) {
        Some(found) if found == seen.blake3 => Ok(()),
        Some(found) => Err(guide(
            Refusal::new(
                RefusalCode::LogForked,
                format!("the log of '{shown}' tells another story than before"),
            )
            .because(format!(
                "entry {}: expected {}, found {found}",
                seen.entry, seen.blake3
            ))
            .about_difference(
                &Layout::new(root).log_entry(seen.entry),
                format!("BLAKE3 {}", seen.blake3),
                format!("BLAKE3 {found}"),
            ),
            log,
        )),
        None => Err(guide(
            Refusal::new(
                RefusalCode::VaultRolledBack,
                format!("'{shown}' is older than this machine has seen it"),
            )
            .because(format!(
                "expected at least {} log entries, found {}",
                seen.entry, log.head
            ))
            .because("an older copy was put in its place, or the newest entries were removed")
            .about_difference(
                &Layout::new(root).log_entry(seen.entry),
                format!("at least {} log entries", seen.entry),
                format!("{} log entries", log.head),
            ),
            log,
        )),
    }
}

/// What the log accepts is authentic; only whether it is the newest is in doubt. So a snapshot that is named is given.
fn guide(refusal: Refusal, log: &Log) -> Refusal {
    if log.first_doubtful().is_some() || log.keyring.is_active_distrusted() {
        return guide_accepted(
            refusal
                .because("a key of this log was compromised: what it signed later is not accepted")
                .keeping("the vault is untouched, as evidence"),
            log,
        );
    }
    guide_accepted(
        refusal.keeping(
            "the vault is untouched; what is in it is authentic, but it is not the newest",
        ),
        log,
    )
}

fn guide_accepted(refusal: Refusal, log: &Log) -> Refusal {
    let Some(newest) = log.accepted().next_back() else {
        return refusal;
    };
    refusal
        .because(format!(
            "the newest snapshot in it is {} of {}",
            newest.record.id, newest.time
        ))
        .next(
            format!("git vault restore {} DIR", newest.record.id),
            "a snapshot named by its id is given, marked as stale",
        )
}

/// Remembers the newest entry. Never goes back: a lower number than the one remembered is not written, and nothing is
/// written over a state that cannot be read.
///
/// # Errors
/// When the state cannot be read or written.
pub fn remember(state_home: &Path, vault: VaultId, log: &Log) -> disk::Result<()> {
    write(state_home, vault, log, |known| known.entry < log.head)
}

/// Remembers the newest entry even if another was seen: a person has stated, in the log, that this is how it goes on.
///
/// # Errors
/// When the state cannot be written.
pub fn accept(state_home: &Path, vault: VaultId, log: &Log) -> disk::Result<()> {
    write(state_home, vault, log, |_known| true)
}

fn understand(path: &Path, bytes: &[u8]) -> disk::Result<LastSeen> {
    toml::from_str(&String::from_utf8_lossy(bytes)).map_err(|error| {
        let other = std::io::Error::other(error.message().to_owned());
        disk::Error::new("understand", path, other)
    })
}

/// How long another process may take to note what it has seen.
const PATIENCE: Duration = Duration::from_secs(10);

fn write(
    state_home: &Path,
    vault: VaultId,
    log: &Log,
    is_due: impl Fn(LastSeen) -> bool,
) -> disk::Result<()> {
    let Some(blake3) = log.head_blake3 else {
        return Ok(());
    };
    let path = path(state_home, vault);
    if let Some(directory) = path.parent() {
        disk::create_directories(directory)?;
    }
    // Two processes that look and then write could otherwise set the note back.
    let lock = lock::lock(&path.with_extension("lock"), PATIENCE)?;
    if lock.is_none() {
        let busy = std::io::Error::other("another process holds it");
        return Err(disk::Error::new("lock", &path, busy));
    }
    // First, so that whoever has seen the statement knows what it says.
    distrust::remember(state_home, vault, log)?;
    let known = match disk::read_bounded(&path, LIMIT_BYTES) {
        Err(error) if error.is_not_found() => None,
        bytes => Some(understand(&path, &bytes?)?),
    };
    if known.is_some_and(|known| !is_due(known)) {
        return Ok(());
    }
    let text = toml::to_string(&LastSeen {
        entry: log.head,
        blake3,
    })
    .unwrap_or_default();
    disk::replace(&path, text.as_bytes())
}
