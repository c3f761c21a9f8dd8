//! `git vault sweep`: a snapshot of every repository that this machine knows, if it is quiet. What one refuses keeps no other
//! from its snapshot, and what is not there is said, not forgotten.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::host::git::repository::{Lookup, Repository};
use crate::host::lock;
use crate::host::{disk, machine};
use crate::model::event::Monitor;
use crate::model::ids::SnapshotId;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::timestamp::Timestamp;
use crate::ops::absent::{Absent, absent};
use crate::ops::contents::Clock;
use crate::ops::links::{Away, away};
use crate::ops::locate::Workplace;
use crate::ops::since::work_since;
use crate::ops::snapshot;
use crate::ops::trigger::{fire, is_outside, stamp};
use crate::vault::heartbeats::{self, Heartbeat};
use crate::vault::inspect::Vault;
use crate::vault::reader::trust;
use crate::vault::repositories::{self, Known};

/// The name under which snapshots and heartbeats know this trigger.
pub const TRIGGER: &str = "sweep";
/// Seconds without a snapshot after which a repository that is never quiet gets one all the same.
const LONGEST_SECONDS: i64 = 3600;
/// Nanoseconds of a second.
const SECOND_NS: i128 = 1_000_000_000;
/// Largest note read.
const LIMIT_BYTES: u64 = 4096;

/// What came of one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// A snapshot was sealed.
    Sealed(SnapshotId),
    /// The newest snapshot holds this very state.
    Unchanged(SnapshotId),
    /// Somebody is at work in it; seconds since the newest change, if that is known.
    Busy(Option<u64>),
    /// It is not where it was.
    Absent(Absent),
    /// What is there now is no repository, or belongs to another one.
    NoRepository,
    /// Its vault is not in the vault home in force. None is made: the one there is may be on a disk that is not here.
    NoVault(PathBuf),
    /// No snapshot could be made.
    Refused(Refusal),
}

impl Outcome {
    /// Whether a person should look at it.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        match self {
            Self::Sealed(_) | Self::Unchanged(_) | Self::Busy(_) => false,
            Self::Absent(why) => !matches!(why, Absent::Moved(_)),
            Self::NoRepository | Self::NoVault(_) | Self::Refused(_) => true,
        }
    }
}

/// One repository.
#[derive(Debug, Clone)]
pub struct Swept {
    /// Its common git directory.
    pub git_dir: PathBuf,
    /// Where a command about it works.
    pub workplace: Workplace,
    /// What came of it.
    pub outcome: Outcome,
    /// What a snapshot had to say beside that.
    pub warnings: Vec<String>,
    /// Whether the sweep before was refused for the same reason.
    pub is_refused_again: bool,
    /// Its vault, if one was found.
    pub vault: Option<PathBuf>,
    /// Its linked worktrees that are not where they were: what is in them is not captured.
    pub away: Vec<Away>,
}

impl Swept {
    /// Whether a person should look at it.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        self.outcome.needs_attention() || !self.away.is_empty()
    }
}

/// What came of all.
#[derive(Debug, Clone)]
pub struct SweepReport {
    /// Each repository, by path.
    pub swept: Vec<Swept>,
    /// Notes of repositories that cannot be understood.
    pub strange: Vec<PathBuf>,
    /// Whether another sweep was at it, so that this one did nothing.
    pub is_other_at_it: bool,
}

/// When the last sweep was, as the state home says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LastSweep {
    /// When it began.
    pub began: Timestamp,
    /// How many repositories it looked at.
    pub repositories: u64,
}

fn note_path(state_home: &Path) -> PathBuf {
    state_home.join("sweep.toml")
}

/// The last sweep of this machine, if there was one.
#[must_use]
pub fn last(state_home: &Path) -> Option<LastSweep> {
    let bytes = disk::read_bounded(&note_path(state_home), LIMIT_BYTES).ok()?;
    toml::from_str(std::str::from_utf8(&bytes).ok()?).ok()
}

/// Sweeps all known repositories that nobody has touched for `quiet`.
///
/// # Errors
/// When it is not known which there are, or whether another sweep is at it.
pub fn sweep(
    workplace: &Workplace,
    quiet: Duration,
    clock: Clock<'_>,
    monitor: &dyn Monitor,
) -> Result<SweepReport> {
    let state = &workplace.homes.state;
    let refuse = |error: disk::Error| {
        error
            .refuse(RefusalCode::SettingInvalid)
            .because("what this machine knows of repositories is kept there")
    };
    disk::create_directories(state).map_err(refuse)?;
    let lock = lock::lock(&state.join("sweep.lock"), Duration::ZERO).map_err(refuse)?;
    let Some(_lock) = lock else {
        return Ok(SweepReport {
            swept: Vec::new(),
            strange: Vec::new(),
            is_other_at_it: true,
        });
    };
    machine::be_nice();
    let all = repositories::all(state, &workplace.vault_home).map_err(refuse)?;
    let swept: Vec<Swept> = all
        .known
        .iter()
        .map(|known| {
            sweep_one(
                known,
                &workplace_of(known, workplace, clock),
                quiet,
                clock,
                monitor,
            )
        })
        .collect();
    let note = LastSweep {
        began: workplace.now,
        repositories: swept.len() as u64,
    };
    // Only a hint for people: the snapshots are made.
    drop(disk::replace_cache(
        &note_path(state),
        toml::to_string(&note).unwrap_or_default().as_bytes(),
    ));
    Ok(SweepReport {
        swept,
        strange: all.strange,
        is_other_at_it: false,
    })
}

fn workplace_of(known: &Known, workplace: &Workplace, clock: Clock<'_>) -> Workplace {
    let seconds = i64::try_from(clock().div_euclid(SECOND_NS)).unwrap_or(i64::MAX);
    Workplace {
        lookup: Lookup {
            start: known.git_dir.clone(),
            ..workplace.lookup.clone()
        },
        vault: None,
        vault_home: known.home.clone(),
        now: Timestamp::from_seconds(seconds),
        ..workplace.clone()
    }
}

fn sweep_one(
    known: &Known,
    workplace: &Workplace,
    quiet: Duration,
    clock: Clock<'_>,
    monitor: &dyn Monitor,
) -> Swept {
    let mut swept = Swept {
        git_dir: known.git_dir.clone(),
        workplace: workplace.clone(),
        outcome: Outcome::NoRepository,
        warnings: Vec::new(),
        is_refused_again: false,
        vault: None,
        away: Vec::new(),
    };
    if let Some(why) = absent(known, &workplace.homes) {
        swept.outcome = Outcome::Absent(why);
        return swept;
    }
    let outcome = capture(known, workplace, quiet, clock, monitor, &mut swept);
    swept.outcome = outcome.unwrap_or_else(Outcome::Refused);
    swept
}

fn capture(
    known: &Known,
    workplace: &Workplace,
    quiet: Duration,
    clock: Clock<'_>,
    monitor: &dyn Monitor,
    swept: &mut Swept,
) -> Result<Outcome> {
    let Some((workplace, repository)) = find(known, workplace)? else {
        return Ok(Outcome::NoRepository);
    };
    let workplace = &workplace;
    swept.workplace = workplace.clone();
    swept.away = away(&repository.git_dir);
    let last = heartbeats::read(&workplace.homes.state, &repository.git_dir);
    let last = last.into_iter().find(|beat| beat.trigger == TRIGGER);
    let known_refusal = last.filter(|beat| beat.outcome == heartbeats::Outcome::Refused);
    let outcome = capture_found(workplace, &repository, quiet, clock, monitor, swept);
    if let (Err(refusal), Some(known)) = (&outcome, known_refusal) {
        swept.is_refused_again = known.detail == refusal.code.code();
    }
    outcome
}

fn capture_found(
    workplace: &Workplace,
    repository: &Repository,
    quiet: Duration,
    clock: Clock<'_>,
    monitor: &dyn Monitor,
    swept: &mut Swept,
) -> Result<Outcome> {
    let found = workplace.find_vault(repository);
    let found = found.inspect_err(|refusal| {
        let code = refusal.code.code();
        leave_beat(workplace, repository, heartbeats::Outcome::Refused, code);
    })?;
    let Some(found) = found else {
        return Ok(Outcome::NoVault(workplace.home_of(repository)));
    };
    swept.vault = Some(found.vault.layout.root().to_owned());
    let newest = found.vault.log.accepted().next_back();
    let is_due = newest.is_none_or(|newest| {
        let age = workplace
            .now
            .seconds()
            .saturating_sub(newest.time.seconds());
        !(0..=LONGEST_SECONDS).contains(&age)
    });
    if !is_due
        && let Some(seconds) = quiet_seconds(workplace, &found.vault, repository, clock())
        && seconds < quiet.as_secs()
    {
        leave_beat(workplace, repository, heartbeats::Outcome::Pending, "");
        return Ok(Outcome::Busy(Some(seconds)));
    }
    match fire(workplace, TRIGGER, clock, monitor) {
        Ok(report) => {
            swept.warnings = report.warnings;
            let id = report.manifest.snapshot;
            Ok(match report.outcome {
                snapshot::Outcome::Sealed => Outcome::Sealed(id),
                snapshot::Outcome::Unchanged => Outcome::Unchanged(id),
            })
        }
        Err(refusal) if !is_due && refusal.code == RefusalCode::SourceChanging => {
            leave_beat(workplace, repository, heartbeats::Outcome::Pending, "");
            Ok(Outcome::Busy(None))
        }
        Err(refusal) => Err(refusal),
    }
}

/// The repository, and where it was found from; `None` when what is there is another, or none.
fn find(known: &Known, workplace: &Workplace) -> Result<Option<(Workplace, Repository)>> {
    let mut refused = None;
    for start in known.starts.iter().filter(|start| start.is_dir()) {
        let there = Workplace {
            lookup: Lookup {
                start: start.clone(),
                ..workplace.lookup.clone()
            },
            ..workplace.clone()
        };
        match there.repository() {
            Ok(found) if found.git_dir == known.git_dir => return Ok(Some((there, found))),
            Ok(_) => {}
            Err(refusal) if is_outside(&refusal) => {}
            // The best place to look from says best what is wrong.
            Err(refusal) => refused = refused.or(Some(refusal)),
        }
    }
    refused.map_or(Ok(None), Err)
}

/// Notes that the sweep was here, where no snapshot does. Only a hint for people.
fn leave_beat(
    workplace: &Workplace,
    repository: &Repository,
    outcome: heartbeats::Outcome,
    detail: &str,
) {
    let beat = Heartbeat::new(&repository.git_dir, TRIGGER, workplace.now, outcome);
    stamp(workplace, repository, &beat.with_detail(detail));
}

/// Seconds since the newest change after the newest snapshot; `None` when none is seen, or it cannot be looked for: then the
/// snapshot itself says what there is.
fn quiet_seconds(
    workplace: &Workplace,
    vault: &Vault,
    repository: &Repository,
    now_ns: i128,
) -> Option<u64> {
    let newest = vault.log.accepted().next_back()?;
    let trusted = trust(vault, newest).ok()?;
    let work = work_since(vault, repository, &workplace.lookup, &trusted).ok()?;
    let in_git = work
        .git_changed
        .then(|| git_touched_ns(&repository.git_dir));
    let newest_ns = work.newest_ns.max(in_git.flatten())?;
    let seconds = now_ns.saturating_sub(newest_ns).div_euclid(SECOND_NS);
    // A time to come is no reason to wait for it.
    u64::try_from(seconds).ok()
}

/// When a git command last wrote to the uppermost files of a git directory. Not the index: git writes that when it only looks.
fn git_touched_ns(git_dir: &Path) -> Option<i128> {
    let names = disk::list(git_dir).ok()?;
    let names = names.into_iter().filter(|name| name != "index");
    let files = names.map(|name| git_dir.join(name));
    let files = files.chain([git_dir.join("logs/HEAD")]);
    let times = files.filter_map(|file| {
        let found = std::fs::symlink_metadata(file).ok()?;
        let ns = i128::from(found.ctime()) * SECOND_NS + i128::from(found.ctime_nsec());
        found.is_file().then_some(ns)
    });
    times.max()
}
