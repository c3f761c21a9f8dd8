//! The last second: git asks its file monitor before it changes the working tree, and asks for recent objects before it drops
//! old ones. Both are moments in which what is about to be lost is still there.

use crate::host::ancestors::{Ancestor, Below, git_above};
use crate::host::disk;
use crate::model::event::Monitor;
use crate::model::refusal::Result;
use crate::ops::contents::Clock;
use crate::ops::firing::{ToldByGit, is_installed, is_registered, vault_is_away, workplace_of};
use crate::ops::locate::Workplace;
use crate::ops::trigger::fire_in;
use crate::vault::pending::directory;

/// Commands of git after which everything is still there: no snapshot before them. All others are taken for such that destroy, also
/// those nobody has heard of yet, and names that users give.
const HARMLESS: [&str; 34] = [
    "annotate",
    "archive",
    "blame",
    "branch",
    "bundle",
    "cat-file",
    "check-attr",
    "check-ignore",
    "commit",
    "config",
    "describe",
    "diff",
    "diff-files",
    "diff-index",
    "diff-tree",
    "fetch",
    "for-each-ref",
    "format-patch",
    "fsck",
    "fsmonitor--daemon",
    "grep",
    "hash-object",
    "help",
    "log",
    "ls-files",
    "ls-tree",
    "push",
    "rev-list",
    "rev-parse",
    "show",
    "status",
    "update-index",
    "version",
    "write-tree",
];

/// The note of the last command that asked, so that each makes one snapshot.
pub const NOTE: &str = "last-second";

/// Largest note of the last process read.
const LIMIT_BYTES: u64 = 256;

/// Options of git itself that take the next word with them.
const WITH_VALUE: [&str; 7] = [
    "-C",
    "-c",
    "--git-dir",
    "--work-tree",
    "--namespace",
    "--exec-path",
    "--config-env",
];

/// The command of a command line of git; `None` when there is none.
fn command_of(words: &[Vec<u8>]) -> Option<String> {
    let words = words.iter().map(|word| String::from_utf8_lossy(word));
    let mut words = words.peekable();
    let program = words.next()?;
    let name = program.rsplit('/').next().unwrap_or_default();
    if let Some(command) = name.strip_prefix("git-") {
        return Some(command.to_owned());
    }
    while let Some(word) = words.next() {
        if WITH_VALUE.contains(&&*word) {
            words.next()?;
        } else if !word.starts_with('-') {
            return Some(word.into_owned());
        }
    }
    None
}

/// Whether a command line may destroy work. What changes nothing, or only adds to what there is, does not.
fn may_destroy(words: &[Vec<u8>]) -> bool {
    match command_of(words) {
        Some(command) => !HARMLESS.contains(&command.as_str()),
        None => false,
    }
}

/// What a snapshot at the last second came to.
#[derive(Debug)]
pub enum LastSecond {
    /// There was no need for one.
    NotDue,
    /// It was made, or one of this very state was there.
    Safe,
}

/// The file monitor is asked: makes a snapshot when the command that asks may destroy work, once for each command.
///
/// # Errors
/// When the snapshot is refused; git goes on all the same.
pub fn monitor_asked(
    workplace: &Workplace,
    told: &ToldByGit,
    clock: Clock<'_>,
    monitor: &dyn Monitor,
) -> Result<LastSecond> {
    let Some(commands) = git_above() else {
        return Ok(LastSecond::NotDue);
    };
    // Only git asks this. If it goes by another name, it may be about to do anything.
    let is_unknown = commands.is_empty();
    if !is_unknown && !commands.iter().any(|command| may_destroy(&command.words)) {
        return Ok(LastSecond::NotDue);
    }
    // A shell between two of them may have changed anything: each command below it counts as one.
    let mut alone = commands
        .iter()
        .take_while(|command| command.below == Below::Nothing);
    let outermost = alone.by_ref().last();
    before_loss(workplace, told, "fsmonitor", outermost, clock, monitor)
}

/// Git is about to drop objects that nothing names and asks which to keep: what the vault lacks of them goes into a snapshot.
///
/// # Errors
/// When the snapshot is refused.
pub fn recent_objects_asked(
    workplace: &Workplace,
    told: &ToldByGit,
    clock: Clock<'_>,
    monitor: &dyn Monitor,
) -> Result<LastSecond> {
    before_loss(workplace, told, "gc", None, clock, monitor)
}

fn before_loss(
    workplace: &Workplace,
    told: &ToldByGit,
    trigger: &str,
    command: Option<&Ancestor>,
    clock: Clock<'_>,
    monitor: &dyn Monitor,
) -> Result<LastSecond> {
    if told.is_active || told.is_quarantined {
        return Ok(LastSecond::NotDue);
    }
    let (workplace, repository) = workplace_of(workplace, told)?;
    if !is_registered(&workplace, &repository) {
        if is_installed(&workplace, &repository) {
            return Err(vault_is_away(&repository));
        }
        return Ok(LastSecond::NotDue);
    }
    let path = directory(&workplace.homes.state, &repository.git_dir).join(NOTE);
    let note = command.map(|command| format!("{} {}", command.identity.0, command.identity.1));
    let known = disk::read_bounded(&path, LIMIT_BYTES).ok();
    if note.is_some() && known.as_deref() == note.as_deref().map(str::as_bytes) {
        return Ok(LastSecond::NotDue);
    }
    fire_in(&workplace, &repository, trigger, clock, monitor)?;
    if let Some(note) = note {
        // Without it, the next question of the same command makes another snapshot.
        drop(disk::replace_cache(&path, note.as_bytes()));
    }
    Ok(LastSecond::Safe)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(line: &str) -> Vec<Vec<u8>> {
        line.split(' ')
            .map(|word| word.as_bytes().to_vec())
            .collect()
    }

    #[test]
    fn what_git_is_asked_to_do_is_told_from_how() {
        for (line, command) in [
            ("git reset --hard", Some("reset")),
            (
                "/usr/bin/git -C /x -c a=b --no-pager clean -fdx",
                Some("clean"),
            ),
            ("git --git-dir=/x status", Some("status")),
            ("/usr/lib/git-core/git-stash", Some("stash")),
            ("git --version", None),
        ] {
            assert_eq!(command_of(&words(line)).as_deref(), command, "{line}");
        }
    }

    #[test]
    fn only_what_is_known_to_be_harmless_is_harmless() {
        for line in ["git status", "git -c x=y diff", "git commit -m x"] {
            assert!(!may_destroy(&words(line)), "{line}");
        }
        for line in [
            "git checkout .",
            "git co .",
            "git clean -fdx",
            "git stash",
            "git unheard-of",
        ] {
            assert!(may_destroy(&words(line)), "{line}");
        }
    }
}
