//! The worker that hooks hand over to: waits until the repository is left alone, makes one snapshot for all that came
//! meanwhile, and leaves.

use std::fs::File;
use std::path::PathBuf;
use std::time::Duration;

use crate::host::ancestors;
use crate::host::disk;
use crate::host::lock;
use crate::model::event::Monitor;
use crate::model::hook_event::HookEvent;
use crate::model::refusal::Result;
use crate::model::refusal_code::RefusalCode;
use crate::model::timestamp::Timestamp;
use crate::ops::contents::Clock;
use crate::ops::locate::Workplace;
use crate::ops::trigger::fire_in;
use crate::vault::pending::Pending;
use crate::vault::registry::real_path;

/// How long a worker waits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pace {
    /// So long nothing must have come before it begins,
    pub quiet: Duration,
    /// but it waits no longer than this.
    pub longest: Duration,
}

/// What a hook hands over.
#[derive(Debug)]
pub struct Task {
    /// The event.
    pub event: HookEvent,
    /// The lock of the worker; anything else is none.
    pub lock: File,
    /// Where the hook has found the repository.
    pub start: Option<PathBuf>,
}

/// Makes snapshots while there is work that hooks have left. The place where this was started is the common git directory.
///
/// # Errors
/// The last refusal, when a snapshot was refused: the mark stays, for the next event or sweep.
pub fn work(
    workplace: &Workplace,
    task: Task,
    pace: Pace,
    clock: Clock<'_>,
    monitor: &dyn Monitor,
) -> Result<()> {
    let refuse = |error: disk::Error| error.refuse(RefusalCode::SettingInvalid);
    let Task { event, lock, start } = task;
    let workplace = &found_again(workplace, start)?;
    let repository = workplace.repository()?;
    let pending = Pending::of(&workplace.homes.state, &repository.git_dir);
    let path = pending.lock_file();
    let lock = if is_file_at(&lock, &pending) && lock::lock_again(&lock) {
        lock
    } else {
        match pending.try_lock().map_err(refuse)? {
            Some(lock) => lock,
            None => return Ok(()),
        }
    };
    loop {
        let outcome = work_off(workplace, &pending, event, pace, clock, monitor);
        lock::unlock(&lock, &path).map_err(refuse)?;
        outcome?;
        // A hook that came after the last look and before the lock was given back has started no worker.
        if !pending.is_any() || !lock::lock_again(&lock) {
            return Ok(());
        }
    }
}

/// The place from which the same repository is found again: its git directory outlives all working trees, but does not always know
/// the main one.
fn found_again(workplace: &Workplace, start: Option<PathBuf>) -> Result<Workplace> {
    let git_dir = real_path(&workplace.lookup.start);
    let found = workplace.repository();
    if found.as_ref().is_ok_and(|found| found.git_dir == git_dir) {
        return Ok(workplace.clone());
    }
    if let Some(start) = start {
        let mut other = workplace.clone();
        other.lookup.start = start;
        if other
            .repository()
            .is_ok_and(|found| found.git_dir == git_dir)
        {
            return Ok(other);
        }
    }
    found.map(|_| workplace.clone())
}

fn is_file_at(lock: &File, pending: &Pending) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    let identity = |found: std::fs::Metadata| (found.dev(), found.ino());
    let held = lock.metadata().map(identity);
    let due = std::fs::symlink_metadata(pending.lock_file()).map(identity);
    matches!((held, due), (Ok(held), Ok(due)) if held == due)
}

/// While a command of git makes many steps, a worker waits so many times longer: the steps are not worth a snapshot each, but work
/// in other working trees is not to wait for ever.
const STEPS_FACTOR: u32 = 10;

/// So long a worker waits at least for the end of a command before it looks for new marks.
const LEAST_PATIENCE: Duration = Duration::from_secs(1);

/// What a snapshot is made by when a rebase has ended or stopped, and no hook of its own has said so. Not `rebase`: by that name, the
/// snapshot before it is asked for.
const REBASE: &str = "hook/after-rebase";

/// Makes snapshots until no mark is left and no command is at work of which nobody would tell the end, with the lock held.
fn work_off(
    workplace: &Workplace,
    pending: &Pending,
    fallback: HookEvent,
    pace: Pace,
    clock: Clock<'_>,
    monitor: &dyn Monitor,
) -> Result<()> {
    let refuse = |error: disk::Error| error.refuse(RefusalCode::SettingInvalid);
    let mut commands = Commands::default();
    loop {
        wait_for_quiet(pending, pace, clock, &mut commands);
        let Some(event) = pending.take().map_err(refuse)? else {
            let Some(command) = commands.running(pending) else {
                return Ok(());
            };
            // It may stop in the middle, for somebody to edit something: no hook of git says that.
            let patience = pace.longest.max(LEAST_PATIENCE);
            if commands.wait_for(command, patience) && !pending.is_any() {
                pending.mark(fallback).map_err(refuse)?;
            }
            continue;
        };
        let trigger = match event.unwrap_or(fallback) {
            HookEvent::PreRebase => REBASE.to_owned(),
            event @ (HookEvent::PostCommit
            | HookEvent::PostCheckout
            | HookEvent::PostMerge
            | HookEvent::PostRewrite
            | HookEvent::PreAutoGc) => event.trigger(),
        };
        let repository = workplace.repository()?;
        let seconds = clock().div_euclid(1_000_000_000);
        let now = i64::try_from(seconds).map_or(workplace.now, Timestamp::from_seconds);
        let workplace = Workplace {
            now,
            ..workplace.clone()
        };
        fire_in(&workplace, &repository, &trigger, clock, monitor)?;
        pending.finish().map_err(refuse)?;
    }
}

/// Waits until no event has come for a while, and no command is at work that brings more. Marks made while it waits make it wait on,
/// up to the longest time.
fn wait_for_quiet(pending: &Pending, pace: Pace, clock: Clock<'_>, commands: &mut Commands) {
    let began = clock();
    let waited = || {
        let nanoseconds = clock().saturating_sub(began).max(0);
        Duration::from_nanos(u64::try_from(nanoseconds).unwrap_or(u64::MAX))
    };
    while let Some(age) = pending.age(clock()) {
        if let Some(command) = commands.running(pending) {
            let longest = pace.longest.saturating_mul(STEPS_FACTOR);
            let left = longest.saturating_sub(waited());
            if left.is_zero() {
                return;
            }
            let _ended = commands.wait_for(command, left);
            continue;
        }
        let left = pace.quiet.saturating_sub(age);
        let left = left.min(pace.longest.saturating_sub(waited()));
        if left.is_zero() {
            return;
        }
        std::thread::sleep(left);
    }
}

/// The commands of many steps that hooks have noted.
#[derive(Default)]
struct Commands {
    /// The last one that was waited for and has ended, or cannot be waited for.
    over: Option<(u32, u64)>,
}

impl Commands {
    /// The one that was noted last, if it is still at work.
    fn running(&self, pending: &Pending) -> Option<(u32, u64)> {
        let noted = pending.noted_command();
        noted.filter(|command| self.over != Some(*command) && ancestors::is_running(*command))
    }

    /// Waits for its end; whether it has ended.
    fn wait_for(&mut self, command: (u32, u64), patience: Duration) -> bool {
        let has_ended = ancestors::wait_for_end(command, patience);
        if has_ended {
            self.over = Some(command);
        }
        has_ended
    }
}
