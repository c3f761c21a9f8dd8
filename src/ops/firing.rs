//! What happens when git runs one of our hooks: which repository it is about, and whether there is anything to do.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};

use crate::host::ancestors::git_above;
use crate::host::git::gitfile::{common_dir, read_gitfile};
use crate::host::git::repository::{self, Repository};
use crate::host::{background, disk};
use crate::model::event::Monitor;
use crate::model::hook_event::HookEvent;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::contents::Clock;
use crate::ops::hooks::ledger::Ledger;
use crate::ops::locate::{Workplace, no_vault_yet, refuse_open};
use crate::ops::trigger::fire_in;
use crate::vault::heartbeats::{self, Heartbeat};
use crate::vault::pending::{Pending, directory};
use crate::vault::{registry, repositories};

/// What git tells a hook by its environment.
#[derive(Debug, Clone, Default)]
pub struct ToldByGit {
    /// `GIT_DIR`: set in linked worktrees and submodules, and where git was told it.
    pub git_dir: Option<PathBuf>,
    /// Whether objects are on trial: nothing may be done then.
    pub is_quarantined: bool,
    /// Whether this program itself is at work above.
    pub is_active: bool,
    /// The variables that are about this one call of git, and are not handed on.
    pub dropped: Vec<OsString>,
}

/// Directories that say that git is in the middle of many steps, of which each would fire.
const MANY_STEPS: [&str; 2] = ["rebase-merge", "rebase-apply"];

/// A worker that has to be started.
#[derive(Debug)]
pub struct Handover {
    /// The lock that it will hold.
    lock: File,
    /// The repository.
    git_dir: PathBuf,
    /// Where it was found.
    start: PathBuf,
    event: HookEvent,
}

impl Handover {
    /// Starts the worker.
    ///
    /// # Errors
    /// When it cannot be started; the mark stays, and the next event or sweep heeds it.
    pub fn start(self, program: &Path, told: &ToldByGit) -> disk::Result<()> {
        let arguments = [
            OsString::from("-C"),
            self.git_dir.into_os_string(),
            "hook".into(),
            "worker".into(),
            self.event.name().into(),
            self.start.into_os_string(),
        ];
        background::start(program, &arguments, self.lock, &told.dropped)
    }
}

/// Whether what git says of an event leaves nothing to do.
fn is_idle(event: HookEvent, arguments: &[OsString]) -> bool {
    let word = |at: usize| arguments.get(at).and_then(|word| word.to_str());
    match event {
        // Single files came out of the index; or a new working tree was filled, in which there is no work yet.
        HookEvent::PostCheckout => {
            // Some managers of hooks hand no words on: then it may have been any checkout.
            word(2).is_some_and(|flag| flag != "1")
                || word(0).is_some_and(|old| old.bytes().all(|byte| byte == b'0'))
        }
        HookEvent::PostCommit
        | HookEvent::PostMerge
        | HookEvent::PostRewrite
        | HookEvent::PreAutoGc
        | HookEvent::PreRebase => false,
    }
}

/// Marks that an event came, unless there is nothing to do; gives the worker to start, unless one is at work.
///
/// # Errors
/// When the repository cannot be found or the mark cannot be made.
pub fn fired(
    workplace: &Workplace,
    told: &ToldByGit,
    event: HookEvent,
    arguments: &[OsString],
) -> Result<Option<Handover>> {
    if told.is_active || told.is_quarantined || is_idle(event, arguments) {
        return Ok(None);
    }
    let (workplace, repository) = workplace_of(workplace, told)?;
    if !is_registered(&workplace, &repository) {
        return Ok(None);
    }
    let refuse = |error: disk::Error| error.refuse(RefusalCode::SettingInvalid);
    let state = &workplace.homes.state;
    let pending = Pending::of(state, &repository.git_dir);
    pending.mark(event).map_err(refuse)?;
    // Only a hint for people.
    drop(heartbeats::stamp(
        state,
        &repository.git_dir,
        &Heartbeat::new(
            &repository.git_dir,
            &event.trigger(),
            workplace.now,
            heartbeats::Outcome::Pending,
        ),
    ));
    if is_in_many_steps(&workplace, told) {
        note_command(&pending);
    }
    hand_over(&pending, event, workplace, repository).map_err(refuse)
}

/// What the worker needs to know, unless one is at work.
fn hand_over(
    pending: &Pending,
    event: HookEvent,
    workplace: Workplace,
    repository: Repository,
) -> disk::Result<Option<Handover>> {
    let lock = pending.try_lock()?;
    Ok(lock.map(|lock| Handover {
        lock,
        git_dir: repository.git_dir,
        start: workplace.lookup.start,
        event,
    }))
}

/// Notes the outermost command of git above this process: the worker waits for its end.
fn note_command(pending: &Pending) {
    let outermost = git_above().and_then(|mut commands| commands.pop());
    if let Some(command) = outermost {
        pending.note_command(command.identity);
    }
}

/// The git directory of the working tree that the hook is about, which may be a linked one.
fn git_dir_of(workplace: &Workplace, told: &ToldByGit) -> PathBuf {
    let start = &workplace.lookup.start;
    let named = told.git_dir.as_ref();
    named.map_or_else(|| start.join(".git"), |git_dir| start.join(git_dir))
}

fn is_in_many_steps(workplace: &Workplace, told: &ToldByGit) -> bool {
    let git_dir = git_dir_of(workplace, told);
    MANY_STEPS.iter().any(|name| git_dir.join(name).exists())
}

/// Whether a vault is kept for a repository: hooks of all others are left alone.
#[must_use]
pub fn is_registered(workplace: &Workplace, repository: &Repository) -> bool {
    registry::registered(&workplace.home_of(repository), &repository.git_dir).is_some()
}

/// Whether hooks were installed in a repository: then somebody relies on its vault.
#[must_use]
pub fn is_installed(workplace: &Workplace, repository: &Repository) -> bool {
    let directory = directory(&workplace.homes.state, &repository.git_dir);
    // What cannot be read is there.
    !matches!(Ledger::load(&directory), Ok(None))
}

/// Says that the vault of a repository with hooks is not where it was.
#[must_use]
pub fn vault_is_away(repository: &Repository) -> Refusal {
    no_vault_yet(repository)
        .because("hooks are installed here, or snapshots were made, so there was one: a vault home that is moved, unmounted, or named otherwise")
        .next("git vault hooks uninstall", "if there shall be none any more")
}

/// The repository that git runs a hook of: the one that it names, which must be the one here. The workplace is where it is found
/// again without the environment of the hook.
///
/// # Errors
/// When it cannot be found or opened, or git was told to use another working tree than the one it has.
pub fn workplace_of(workplace: &Workplace, told: &ToldByGit) -> Result<(Workplace, Repository)> {
    let found = workplace.repository();
    let Some(named) = &told.git_dir else {
        return Ok((workplace.clone(), found?));
    };
    let start = &workplace.lookup.start;
    let common = common_dir(&start.join(named))
        .map_err(|error| error.refuse(RefusalCode::SourceUnreadable))?;
    if let Ok(repository) = found
        && repository.git_dir == common
    {
        return Ok((workplace.clone(), repository));
    }
    let mut elsewhere = workplace.clone();
    elsewhere.lookup.start.clone_from(&common);
    let repository = repository::open(&common, &elsewhere.lookup)
        .map_err(|error| refuse_open(&error, &common))?;
    let here = registry::real_path(start);
    let is_its_own = match &repository.worktree {
        Some(worktree) => here.starts_with(worktree),
        None => here == common,
    };
    if is_its_own {
        return Ok((elsewhere, repository));
    }
    Err(Refusal::new(
        RefusalCode::SourceNotSupported,
        "git was told to use another working tree than the one the repository has",
    )
    .because(format!(
        "the repository is '{}', the working tree here '{}'",
        common.display(),
        here.display()
    ))
    .because("what is in this working tree would not be captured")
    .keeping("nothing was touched")
    .next(
        "git config core.worktree /path/to/working/tree",
        "states the working tree in the repository itself",
    ))
}

/// Makes the snapshot that must be there before a rebase, if a vault is kept for the repository; gives the worker to start, which
/// waits until the rebase has ended or stopped.
///
/// # Errors
/// When there is a vault and the snapshot is refused: the rebase must not begin.
pub fn before_rebase(
    workplace: &Workplace,
    told: &ToldByGit,
    clock: Clock<'_>,
    monitor: &dyn Monitor,
) -> Result<Option<Handover>> {
    if told.is_quarantined {
        return Ok(None);
    }
    let attempt = || -> Result<Option<Handover>> {
        let (workplace, repository) = match workplace_of(workplace, told) {
            Err(_) if !is_known(workplace, told) => return Ok(None),
            found => found?,
        };
        // One that has moved has a vault, too, though nobody has said so yet.
        let is_kept = is_registered(&workplace, &repository)
            || workplace.find_attached(&repository)?.is_some();
        let was_kept = || {
            let state = &workplace.homes.state;
            is_installed(&workplace, &repository) || repositories::is_noted(state, &repository)
        };
        if !is_kept && was_kept() {
            return Err(vault_is_away(&repository));
        }
        if !is_kept {
            return Ok(None);
        }
        let event = HookEvent::PreRebase;
        fire_in(&workplace, &repository, &event.trigger(), clock, monitor)?;
        // The snapshot is made, so that the rebase may begin whatever becomes of the worker.
        let pending = Pending::of(&workplace.homes.state, &repository.git_dir);
        if pending.mark(event).is_err() {
            return Ok(None);
        }
        note_command(&pending);
        Ok(hand_over(&pending, event, workplace, repository).unwrap_or_default())
    };
    attempt().map_err(|refusal| {
        let refusal =
            with_way_out(refusal.next("git vault doctor", "says what is wrong, and what helps"));
        if has_autostash(workplace, told) {
            refusal.next(
                "git rebase --quit && git stash pop",
                "if git says 'fatal' below: brings back the changes that it has put aside",
            )
        } else {
            refusal
        }
    })
}

/// Says how a rebase that was refused begins all the same.
#[must_use]
pub fn with_way_out(refusal: Refusal) -> Refusal {
    refusal.next(
        "git rebase --no-verify",
        "with your arguments: begins the rebase with no snapshot before it",
    )
}

/// Whether there is a vault for the repository here, or ever was one, as far as this machine knows: for a surrounding in which it
/// cannot be looked for. Where that cannot be told, there is.
#[must_use]
pub fn is_kept(workplace: &Workplace, told: &ToldByGit) -> bool {
    let Ok((workplace, repository)) = workplace_of(workplace, told) else {
        return is_known(workplace, told);
    };
    is_registered(&workplace, &repository)
        || is_installed(&workplace, &repository)
        || repositories::is_noted(&workplace.homes.state, &repository)
        || !matches!(workplace.find_attached(&repository), Ok(None))
}

/// Whether anything was ever kept for a repository that cannot be opened. One that nobody has asked us to protect must not lose its
/// rebase to what we do not understand; where it cannot be told, it is known.
fn is_known(workplace: &Workplace, told: &ToldByGit) -> bool {
    let git_dir = git_dir_of(workplace, told);
    let named = read_gitfile(&git_dir).ok().flatten();
    let Ok(common) = common_dir(&named.unwrap_or(git_dir)) else {
        return true;
    };
    let installed = directory(&workplace.homes.state, &common);
    installed.exists() || registry::registered(&workplace.vault_home, &common).is_some()
}

/// Whether git has put changes aside before it ran the hook. Gits up to 2.39 at least leave them there when the hook says no.
fn has_autostash(workplace: &Workplace, told: &ToldByGit) -> bool {
    let git_dir = git_dir_of(workplace, told);
    ["rebase-merge", "rebase-apply"]
        .iter()
        .any(|name| git_dir.join(name).join("autostash").exists())
}
