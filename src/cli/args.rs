//! The command line: the doc comments are the help text.

pub mod habits;
pub mod looking;
pub mod small;
pub mod triggers;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};

use crate::cli::args::small::{DropOptions, PruneOptions};
use crate::cli::args::triggers::{AgentsCommand, HooksCommand, ScheduleCommand};

/// Saves the work that git does not, as signed snapshots outside the repository, and gives it back exactly
///
/// A snapshot holds the working tree, what is staged, untracked files, and everything in the git directory that a clone
/// leaves behind, with the history it stands on. It is restored only into an absent or empty directory.
#[derive(Debug, Parser)]
#[command(
    name = "git-vault",
    bin_name = "git vault",
    version,
    max_term_width = 100,
    disable_help_subcommand = true
)]
pub struct Arguments {
    /// Run as if started in this directory
    #[arg(short = 'C', value_name = "DIR", global = true)]
    pub directory: Option<PathBuf>,

    /// Use this vault; then commands that read or check one need no repository
    #[arg(long, value_name = "DIR", global = true)]
    pub vault: Option<PathBuf>,

    /// Answer with one JSON object on standard output
    #[arg(long, global = true)]
    pub json: bool,

    /// Say nothing but refusals, and where a new key was put
    #[arg(short, long, global = true)]
    pub quiet: bool,

    /// Append what this run does to a file, for support; without it, the variable `GIT_VAULT_LOG` may name one
    #[arg(long, value_name = "FILE", global = true)]
    pub log_file: Option<PathBuf>,

    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make the vault of this repository and its key, without a snapshot
    ///
    /// The first snapshot does the same by itself.
    Init {
        /// Make a new vault although there is one; the old one stays where it is, untouched
        #[arg(long)]
        new: bool,
    },

    /// Capture the workspace as it is now
    ///
    /// Everything stored is read back and checked before the snapshot is sealed. If the newest snapshot holds exactly
    /// this state, no other is made, unless a message or a label is given.
    Snapshot {
        /// A message to remember the snapshot by
        #[arg(short, long, default_value = "", hide_default_value = true)]
        message: String,

        /// A label; may be given several times
        #[arg(short, long = "label", value_name = "LABEL")]
        labels: Vec<String>,
    },

    /// List the snapshots, with what became of files since the one before: new, changed, gone
    ///
    /// Snapshots in a row in which no file came, changed or went are folded into one line. Several options leave those that are of each kind:
    /// `git vault list --since yesterday --path src`.
    List(looking::ListArguments),

    /// Show all that is known of one snapshot
    Show {
        /// A snapshot: the beginning of an id, a number, @latest, @~2, @{2 hours ago}, before:rebase, or a label
        #[arg(default_value = "@latest", value_name = "SNAP")]
        snapshot: String,
    },

    /// Check that what is stored is what was sealed
    ///
    /// Without an option: signatures, the log, sizes, and the BLAKE3 of every pack, which proves that the bytes are those
    /// that were decoded and checked when the snapshot was made.
    Verify {
        /// Snapshots, named as for show; all if none is given
        #[arg(value_name = "SNAP")]
        snapshots: Vec<String>,

        /// Only signatures, the log, names and sizes
        #[arg(long, conflicts_with = "deep")]
        quick: bool,

        /// Also decode every object, recompute every id and every file's BLAKE3, and follow every link
        #[arg(long)]
        deep: bool,
    },

    /// List what a snapshot holds
    ///
    /// A path begins at the top of the working tree: `git vault ls @latest:src`. One that begins with / names another tree first:
    /// `git vault ls @latest:/gitdir/hooks`.
    Ls {
        /// A snapshot, or a directory or file in it
        #[arg(value_name = "SNAP[:PATH]", default_value = "@latest")]
        asked: OsString,

        /// And all that lies below
        #[arg(short = 'R', long)]
        recursive: bool,
    },

    /// Write a file of a snapshot to standard output
    ///
    /// Its bytes are hashed on the way: they are the ones that were sealed if the exit status is 0. On a terminal, characters that would
    /// command it are shown as text.
    Cat {
        /// A snapshot and a file in it
        #[arg(value_name = "SNAP:PATH")]
        asked: OsString,
    },

    /// Show what differs between two snapshots, or between one and the working tree now
    ///
    /// A line for each path: A for one that came, D for one that is gone, M for one that is another; compared with now, also whether
    /// it is staged, not staged or untracked, and I for one that is the same while the index has something else of it.
    /// `git vault diff @latest`, `git vault diff -p before:rebase @latest -- src`.
    Diff(looking::DiffArguments),

    /// Find out which snapshots hold a path
    ///
    /// The pattern is a part of a name, or a glob: `git vault find '*.key'`, `git vault find 'src/**/notes*'`.
    Find {
        /// A part of a name, or a glob; with a /, of the whole path
        #[arg(value_name = "PATTERN")]
        pattern: String,
    },

    /// Find out which versions of which files hold a text, over all snapshots
    ///
    /// Every content is searched once, however many snapshots hold it: `git vault grep 'fn main'`,
    /// `git vault grep -F a.b before:rebase -- src`.
    Grep(looking::GrepArguments),

    /// Show what differs between a directory and a snapshot, or a directory in it; only looks
    ///
    /// A line for each path: A is only in the directory, D only in the snapshot, M in both and not the same. Names, contents, link targets
    /// and permissions count, also of directories; times, extended attributes and git directories do not. Exit status 3 when anything differs.
    Compare {
        /// The directory
        #[arg(value_name = "DIR")]
        compared: PathBuf,

        /// The snapshot, or a directory in it
        #[arg(value_name = "SNAP[:PATH]", default_value = "@latest")]
        asked: OsString,
    },

    /// List the versions of one path over all snapshots, the newest first
    Log {
        /// The path, from the top of the working tree
        #[arg(value_name = "PATH")]
        path: OsString,
    },

    /// Give a workspace back, exactly, or single paths of it, into an absent or empty directory
    ///
    /// `git vault restore @latest ~/work-restored` gives back all of it. `git vault restore @latest:notes.txt ~/out` gives back one file, and
    /// says how to copy it over.
    Restore {
        /// A snapshot, or files and directories in one
        #[arg(value_name = "SNAP[:PATH]", required = true)]
        asked: Vec<OsString>,

        /// The directory: it must not exist, or be empty
        #[arg(value_name = "DIR")]
        destination: PathBuf,
    },

    /// Restore snapshots for real into a scratch directory, compare everything, and write the proof into the log
    ///
    /// Every byte, name, mode, time, link and extended attribute is compared with what was signed, and git, if it is on
    /// the path, is asked about the restored history. The scratch copy is removed, unless something differs. Without a
    /// name the newest snapshot is drilled.
    Drill {
        /// Snapshots, named as for show
        #[arg(value_name = "SNAP")]
        snapshots: Vec<String>,

        /// Every snapshot: those never proven first, then those whose proof is oldest
        #[arg(long, conflicts_with = "snapshots")]
        all: bool,

        /// Begin no further drill after this time, such as 90s, 10m or 2h; the first one is always made
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        budget: Option<Duration>,

        /// Where to make the scratch directory; the system's temporary directory if not given
        #[arg(long, value_name = "DIR")]
        scratch: Option<PathBuf>,
    },

    /// Give snapshots up
    ///
    /// The plan is shown, and asks for the number of snapshots that it drops: `git vault drop @~5`. The newest one, the one proven last, and those that
    /// an incident names are never dropped. Room is made by optimize.
    Drop(DropOptions),

    /// Give up the snapshots that a policy does not keep, then optimize
    ///
    /// What any rule keeps is kept: `git vault prune --keep-last 20 --keep-daily 14 --keep-weekly 8`. Those with a label, the newest one, the one
    /// proven last, and those that an incident names always stay.
    Prune(PruneOptions),

    /// Put packs together, and leave behind what no snapshot needs
    ///
    /// Nothing is removed before what takes its place was written, read back and compared. All history stays, whether something reaches it or
    /// not. `git vault optimize` needs room for what it writes anew.
    Optimize,

    /// Examine the health of the vault
    ///
    /// One line for each check, with what it means. Nothing is changed; a few files of its own are written to the cache of
    /// the vault and removed again. Exit status 0 when all is well, 3 when something needs attention, 13 when no snapshot
    /// can be made; a vault that cannot be opened gives the exit status of its refusal.
    Doctor,

    /// Work on the list of snapshots that the vault keeps as a cache
    Index {
        /// What to do with it
        #[command(subcommand)]
        command: IndexCommand,
    },

    /// Move what interrupted snapshots left behind out of the way, byte for byte, into the vault's incidents directory
    ///
    /// Sealed snapshots are not touched. Nothing is deleted.
    SetAside {
        /// Names of unsealed directories, as list shows them; all if none is given
        #[arg(value_name = "NAME")]
        names: Vec<String>,
    },

    /// What was noted on this machine of severe refusals
    Incident {
        /// What to do
        #[command(subcommand)]
        command: IncidentCommand,
    },

    /// Say in five lines how good the backup is
    ///
    /// Exit status 0 when all is well, 3 when something needs attention.
    Status {
        /// Also write the figures to this file, for a collector of metrics
        #[arg(long, value_name = "FILE")]
        metrics: Option<PathBuf>,
    },

    /// See, copy, bring back and change the keys that sign
    ///
    /// Without its key no snapshot of a vault can be trusted again. The key is on this machine; a second copy is a kit on
    /// paper, or the key wrapped with a passphrase in the vault.
    Key {
        /// What to do with the keys
        #[command(subcommand)]
        command: KeyCommand,
    },

    /// State that log entries which were seen before are gone, and that the vault goes on
    ///
    /// For a vault that is refused because it is older than this machine has seen it (GV-3201), or went another way (GV-3203),
    /// and whose newer state is lost for good. The statement is signed and stays in the log.
    Acknowledge {
        /// The number of the newest log entry that is there; asked for when it is not given
        #[arg(value_name = "NUMBER")]
        entry: Option<String>,
    },

    /// Capture every repository that this machine has made snapshots of, if it changed and is quiet
    ///
    /// Exit status 0 when all is well, 3 when a repository or its vault is not where it was, and that of the first refusal when
    /// a snapshot was refused. None of them keeps the others from theirs.
    Sweep {
        /// Leave a repository for the next sweep when something in it changed within this time, such as 0s, 60s or 5m; one
        /// without a snapshot for an hour is captured all the same
        #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = quiet_time)]
        quiet_for: Duration,
    },

    /// Have the scheduler of the system start a sweep every so often
    ///
    /// A timer of the user's systemd on Linux, an agent of launchd on macOS.
    Schedule {
        /// What to do with the schedule
        #[command(subcommand)]
        command: ScheduleCommand,
    },

    /// Capture the workspace, then run a command; no snapshot, no command
    ///
    /// For commands that can destroy work, such as `git vault guard git reset --hard`. The exit status is that of the command;
    /// 127 and 126 as in shells when there is none to run, and that of the refusal when no snapshot could be made. If the command is
    /// git, the repository that its options -C, --git-dir and --work-tree name is the one that is captured.
    Guard {
        /// Outside of any repository, run the command all the same
        #[arg(long)]
        or_outside: bool,

        /// The command and its arguments
        #[arg(
            value_name = "COMMAND",
            required = true,
            trailing_var_arg = true,
            allow_hyphen_values = true
        )]
        words: Vec<OsString>,
    },

    /// Let git call this program: after commits, checkouts and merges, and before a rebase
    ///
    /// Nothing that belongs to others is changed: where a place is taken, the line to add is printed, and nothing is installed.
    Hooks {
        /// What to do
        #[command(subcommand)]
        command: HooksCommand,
    },

    /// Answer to git, which runs a hook
    #[command(hide = true)]
    Hook {
        /// Which one
        #[arg(value_name = "EVENT")]
        event: String,

        /// What git says of it
        #[arg(
            value_name = "WORD",
            trailing_var_arg = true,
            allow_hyphen_values = true
        )]
        words: Vec<OsString>,
    },

    /// Print a shell function that guards the git commands that can destroy work
    ///
    /// For `.bashrc`: `eval "$(git-vault shell-init bash)"`. All other git commands go straight to git. `command git` is not
    /// guarded.
    ShellInit {
        /// The shell that is to read it
        shell: ShellName,
    },

    /// Let coding agents take a snapshot before they run a command or change a file
    ///
    /// The settings of the user are edited, nothing of a repository; what else is in them stays as it is, byte for byte.
    Agents {
        /// What to do
        #[command(subcommand)]
        command: AgentsCommand,
    },

    /// Print the runbook, or the checklist for one code; works offline
    Runbook {
        /// A code such as GV-2101
        #[arg(value_name = "CODE")]
        code: Option<String>,
    },

    /// What makes daily use easy
    #[command(flatten)]
    Habit(habits::HabitCommand),
}

/// The shells that have a function.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ShellName {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

/// What can be done with the list of snapshots.
#[derive(Debug, Subcommand)]
pub enum IndexCommand {
    /// Make it anew from the snapshots; a damaged one is kept beside it
    Rebuild,
}

/// The commands about incidents.
#[derive(Debug, Subcommand)]
pub enum IncidentCommand {
    /// List what was noted, the oldest first
    List,

    /// Show all that was noted of one incident
    Show {
        /// The beginning of its name; the newest if none is given
        #[arg(value_name = "ID")]
        id: Option<String>,
    },
}

/// What can be done with keys.
#[derive(Debug, Subcommand)]
pub enum KeyCommand {
    /// Show the keys of the vault, and which copies were confirmed
    Status,

    /// Print a recovery kit: all keys as text that can be typed in again
    Export {
        /// A new file to write it to, outside repository and vault; without it the kit is printed
        #[arg(value_name = "FILE")]
        file: Option<PathBuf>,
    },

    /// Show that a kit exists: type one of its lines, or name its file
    Confirm {
        /// The file of the kit; without it a line is asked for
        #[arg(long, value_name = "FILE")]
        kit: Option<PathBuf>,
    },

    /// Bring keys to this machine; they are stored once they have opened the vault
    Import {
        /// A kit that was typed in or saved, or a key file
        #[arg(
            value_name = "FILE",
            required_unless_present = "escrow",
            conflicts_with = "escrow"
        )]
        file: Option<PathBuf>,

        /// Take the wrapped keys in the vault instead
        #[arg(long)]
        escrow: bool,

        /// Read the passphrase from this file
        #[arg(long, value_name = "FILE", requires = "escrow")]
        passphrase_file: Option<PathBuf>,
    },

    /// Wrap the keys with a passphrase and put them into the vault
    Escrow {
        /// Read the passphrase from this file
        #[arg(long, value_name = "FILE")]
        passphrase_file: Option<PathBuf>,
    },

    /// Let a new key sign from now on; the old one still proves what it signed
    Rotate,

    /// State that somebody else may have had a key: what it signed later is not accepted
    Compromise {
        /// The beginning of the key's id; it must have been rotated away
        #[arg(value_name = "KEY")]
        key: String,

        /// The newest log entry that is still accepted
        #[arg(long, value_name = "NUMBER")]
        since: u64,
    },
}

/// A duration, or none at all: `0s`.
fn quiet_time(text: &str) -> Result<Duration, String> {
    if text == "0s" {
        return Ok(Duration::ZERO);
    }
    duration(text)
}

/// A whole number of seconds, minutes or hours: `90s`, `10m`, `2h`.
fn duration(text: &str) -> Result<Duration, String> {
    let units = [("s", 1), ("m", 60), ("h", 3600)];
    let found = units
        .into_iter()
        .find_map(|(unit, seconds)| Some((text.strip_suffix(unit)?, seconds)));
    let is_number = |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit());
    found
        .filter(|(digits, _)| is_number(digits))
        .and_then(|(digits, seconds)| digits.parse::<u64>().ok()?.checked_mul(seconds))
        .filter(|seconds| *seconds > 0)
        .map(Duration::from_secs)
        .ok_or_else(|| "a number with its unit is expected: 90s, 10m or 2h".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_duration_is_a_number_with_one_unit() {
        for (text, seconds) in [("90s", 90), ("10m", 600), ("2h", 7200)] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)));
        }
        let bad = [
            "",
            "s",
            "0s",
            "10",
            "1.5h",
            "-1s",
            "+1s",
            " 1s",
            "1 s",
            "1d",
            "1h30m",
            "99999999999999999999h",
        ];
        for text in bad {
            assert!(duration(text).is_err(), "{text}");
        }
    }
}
