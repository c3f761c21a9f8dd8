//! The checks of `doctor` that need an opened vault, or what this machine keeps about vaults.

use std::path::{Path, PathBuf};

use crate::host::disk;
use crate::host::keys as key_files;
use crate::model::ids::VaultId;
use crate::model::timestamp::Timestamp;
use crate::ops::doctor::{Check, Verdict, Written, number};
use crate::ops::examine_place::shorten;
use crate::vault::drift;
use crate::vault::health;
use crate::vault::inspect::{Homes, Vault};
use crate::vault::layout::Layout;
use crate::vault::snapshot_index::SnapshotIndex;

/// From what difference on two clocks do not agree.
const SKEW_NS: i128 = 2_000_000_000;

/// From what age on a temporary file is a remain of something that was interrupted.
const DAY_SECONDS: i64 = 86_400;

/// Beginnings of names in `cache` that files have only while something is being written.
const TEMPORARY: [&str; 3] = [".tmp-", "log-", "probe-"];

/// What every check is given.
pub(super) struct Look<'a> {
    /// Where keys and states are kept.
    pub(super) homes: &'a Homes,
    /// The clock of the machine.
    pub(super) now_seconds: i64,
}

/// The key files of the vault, and the directories they lie in.
pub(super) fn keys(look: &Look<'_>, vault: &Vault) -> Vec<Check> {
    let id = vault.binding.vault;
    let mut paths = vec![
        look.homes.keys.clone(),
        key_files::directory(&look.homes.keys, id),
    ];
    let reigns = vault.log.keyring.reigns();
    paths.extend(reigns.map(|reign| key_files::path(&look.homes.keys, id, reign.key.id())));
    let count = number(paths.len() as u64 - 2, "key", "keys");
    ours_alone(
        "keys",
        &paths,
        format!("{count} on this machine, yours alone"),
        "somebody else could read or replace a key of this vault",
    )
}

/// The directory in which this machine keeps what it has seen of vaults.
pub(super) fn state(look: &Look<'_>) -> Vec<Check> {
    let state = &look.homes.state;
    let mut paths = vec![state.clone()];
    paths.extend(["last-seen", "health"].map(|name| state.join(name)));
    ours_alone(
        "state",
        &paths,
        format!("'{}' is yours alone", state.display()),
        "somebody else could hide that an older copy was put in the vault's place",
    )
}

/// Whether what is there of `paths` is ours and closed to others.
fn ours_alone(name: &'static str, paths: &[PathBuf], good: String, bad: &str) -> Vec<Check> {
    let mut checks = Vec::new();
    for path in paths {
        match drift::opened(path) {
            Ok(None) => {}
            Ok(Some(fact)) => {
                let fact = format!("'{}': {fact}", path.display());
                checks.push(Check::new(Verdict::Attention, name, fact, bad));
            }
            Err(error) if error.is_not_found() => {}
            Err(error) => checks.push(Check::unknown(name, &error)),
        }
    }
    if checks.is_empty() {
        checks.push(Check::new(
            Verdict::Good,
            name,
            good,
            "nobody else can change them",
        ));
    }
    checks
}

/// The clock of the machine against the newest log entry, and against the clock of the file system.
pub(super) fn clock(
    look: &Look<'_>,
    newest: Option<Timestamp>,
    written: Option<Written>,
) -> Vec<Check> {
    let mut checks = Vec::new();
    let now = Timestamp::from_seconds(look.now_seconds);
    checks.extend(newest.map(|newest| {
        if now < newest {
            Check::new(
                Verdict::Attention,
                "clock",
                format!("it is {now}, and the newest log entry was made {newest}"),
                "the clock was set back, or was wrong before: ages cannot be relied on, the order of entries can",
            )
        } else {
            Check::new(
                Verdict::Good,
                "clock",
                format!("it is {now}, after the newest log entry"),
                "ages can be relied on",
            )
        }
    }));
    checks.extend(written.map(|written| {
        let early = written.before_ns - written.at_ns;
        let late = written.at_ns - written.after_ns;
        let skew_ns = early.max(late);
        if skew_ns > SKEW_NS {
            let seconds = skew_ns / 1_000_000_000;
            Check::new(
                Verdict::Attention,
                "file times",
                format!("the file system's clock is {seconds} s away from this machine's"),
                "set both clocks right: changes are told by file times",
            )
        } else {
            Check::new(
                Verdict::Good,
                "file times",
                "the file system's clock agrees with this machine's",
                "changes are told by file times",
            )
        }
    }));
    checks
}

/// What interrupted snapshots left behind.
pub(super) fn leftovers(look: &Look<'_>, vault: &Vault) -> Vec<Check> {
    const NAME: &str = "leftovers";
    let meaning = "never a snapshot, unless one is being made just now; git vault set-aside moves it out of the way";
    let directories = vault.leftovers.incomplete.iter().cloned();
    let packs = vault.leftovers.packs.iter();
    let packs = packs.map(|name| vault.layout.pack(name));
    let checks: Vec<Check> = directories
        .chain(packs)
        .map(|path| {
            let fact = format!(
                "'{}': {} bytes, {}",
                path.display(),
                size_bytes(&path),
                age(look, &path)
            );
            Check::new(Verdict::Attention, NAME, fact, meaning)
        })
        .collect();
    if checks.is_empty() {
        let fact = "none";
        let meaning = "no snapshot was interrupted, or its remains were set aside";
        return vec![Check::new(Verdict::Good, NAME, fact, meaning)];
    }
    shorten(checks, NAME)
}

/// Temporary files that are older than anything that may still be at work.
pub(super) fn temporary(look: &Look<'_>, layout: &Layout) -> Vec<Check> {
    const NAME: &str = "temporary";
    let names = match disk::list(&layout.cache()) {
        Ok(names) => names,
        Err(error) => return vec![Check::unknown(NAME, &error)],
    };
    let is_temporary = |name: &std::ffi::OsString| {
        let name = name.to_string_lossy();
        TEMPORARY
            .iter()
            .any(|beginning| name.starts_with(beginning))
    };
    let paths = names
        .iter()
        .filter(|name| is_temporary(name))
        .map(|name| layout.cache().join(name));
    let old = paths.filter(|path| age_seconds(look, path).is_some_and(|age| age > DAY_SECONDS));
    let checks: Vec<Check> = old
        .map(|path| {
            let fact = format!(
                "'{}': {} bytes, {}",
                path.display(),
                size_bytes(&path),
                age(look, &path)
            );
            let meaning = "the remains of an interrupted write; nothing needs them";
            Check::new(Verdict::Attention, NAME, fact, meaning)
        })
        .collect();
    if checks.is_empty() {
        let fact = "none older than a day";
        let meaning = "no write was interrupted";
        return vec![Check::new(Verdict::Good, NAME, fact, meaning)];
    }
    shorten(checks, NAME)
}

/// Bytes of a file, or of all files below a directory; what cannot be looked at counts as nothing.
fn size_bytes(path: &Path) -> u64 {
    let Ok(metadata) = path.symlink_metadata() else {
        return 0;
    };
    if !metadata.is_dir() {
        return metadata.len();
    }
    let names = disk::list(path).unwrap_or_default();
    names.iter().map(|name| size_bytes(&path.join(name))).sum()
}

fn age_seconds(look: &Look<'_>, path: &Path) -> Option<i64> {
    use std::os::unix::fs::MetadataExt as _;
    let metadata = path.symlink_metadata().ok()?;
    Some(look.now_seconds.saturating_sub(metadata.mtime()))
}

fn age(look: &Look<'_>, path: &Path) -> String {
    match age_seconds(look, path) {
        Some(age) if age >= 2 * DAY_SECONDS => format!("{} days old", age / DAY_SECONDS),
        Some(age) if age >= 7200 => format!("{} hours old", age / 3600),
        Some(age) => format!("{} minutes old", age.max(0) / 60),
        None => "of unknown age".to_owned(),
    }
}

/// The list of snapshots that is kept as a cache.
pub(super) fn index(vault: &mut Vault) -> Check {
    const NAME: &str = "index";
    let rebuild = "git vault index rebuild makes it anew";
    match SnapshotIndex::load(vault) {
        Ok(Some(index)) => {
            let fact = format!(
                "{} of {}, up to log entry {}",
                index.count(),
                number(vault.log.snapshots.len() as u64, "snapshot", "snapshots"),
                index.entry
            );
            Check::new(
                Verdict::Good,
                NAME,
                fact,
                "list reads it, and checks it against the log",
            )
        }
        Ok(None) if vault.log.snapshots.is_empty() => Check::new(
            Verdict::Good,
            NAME,
            "none, for there is no snapshot",
            "the first snapshot makes it",
        ),
        Ok(None) => Check::new(
            Verdict::Attention,
            NAME,
            "there is none",
            format!("list reads every manifest instead; {rebuild}"),
        ),
        Err(refusal) => Check::new(
            Verdict::Attention,
            NAME,
            refusal.to_string(),
            format!("list refuses until then; {rebuild}"),
        ),
    }
}

/// Refusals in a row that said that the vault is not healthy.
pub(super) fn refusals(look: &Look<'_>, vault: VaultId) -> Check {
    const NAME: &str = "refusals";
    match health::load(&look.homes.state, vault) {
        Ok(None) => Check::new(
            Verdict::Good,
            NAME,
            "none since the vault was last healthy",
            "no snapshot was refused because of the vault",
        ),
        Ok(Some(note)) => {
            let fact = format!(
                "{} in a row since {}, the newest {} at {}",
                note.times, note.first_failed, note.code, note.last_failed
            );
            let meaning = if note.is_lasting() {
                "nothing has been protected since then; the next snapshot that is sealed ends it"
            } else {
                "snapshots were refused; the next one that is sealed ends it"
            };
            Check::new(Verdict::Attention, NAME, fact, meaning)
        }
        Err(error) => Check::unknown(NAME, &error),
    }
}

/// An incident that is older than this does not ask for attention any more.
const RECENT_SECONDS: i64 = 30 * 86_400;

/// A day as the names of incidents begin with it.
fn day(seconds: i64) -> String {
    let time = Timestamp::from_seconds(seconds).to_string();
    time.chars().filter(char::is_ascii_digit).take(8).collect()
}

/// Incidents that were recorded on this machine.
pub(super) fn incidents(look: &Look<'_>) -> Option<Check> {
    const NAME: &str = "incidents";
    let directory = look.homes.state.join("incidents");
    match disk::list(&directory) {
        Ok(names) if names.is_empty() => Some(Check::new(
            Verdict::Good,
            NAME,
            "none recorded on this machine",
            "nothing that was stored was in doubt",
        )),
        Ok(names) => {
            let count = number(names.len() as u64, "incident", "incidents");
            let fact = format!("{count} recorded in '{}'", directory.display());
            let begins = day(look.now_seconds - RECENT_SECONDS);
            let is_recent = |name: &std::ffi::OsString| *name.to_string_lossy() >= *begins;
            Some(if names.iter().any(is_recent) {
                let meaning = "look at each, and keep it until it is understood";
                Check::new(Verdict::Attention, NAME, fact, meaning)
            } else {
                Check::new(Verdict::Good, NAME, fact, "none within 30 days")
            })
        }
        Err(error) if error.is_not_found() => None,
        Err(error) => Some(Check::unknown(NAME, &error)),
    }
}
