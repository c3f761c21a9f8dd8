//! The command line of what makes daily use easy: help, manual pages, completions, and a look over all projects.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Subcommand, ValueEnum};

/// The commands that make daily use easy.
#[derive(Debug, Subcommand)]
pub enum HabitCommand {
    /// Look through folders of projects for work that nothing keeps
    ///
    /// Each repository, and each folder with sources and no repository, the worst first. Nothing in them is run or written. Repositories
    /// inside of others are captured with them, and are part of them here. Hidden directories, what tools make (`node_modules`; in
    /// projects also `target`, `build`, `dist`, `venv`) and other file systems are not entered. Exit status 0 when nothing is at risk, 3
    /// when something is.
    Scan {
        /// Where to look; the current directory if none is given
        #[arg(value_name = "DIR")]
        directories: Vec<PathBuf>,

        /// How many directories deep
        #[arg(long, value_name = "NUMBER", default_value_t = 8)]
        depth: usize,

        /// Also list what is well
        #[arg(long)]
        all: bool,
    },

    /// Print what a shell must read to complete commands, snapshots and paths
    ///
    /// It completes `git-vault` and `git vault`.
    Completions {
        /// The shell that is to read it
        shell: CompletingShell,
    },

    /// What could come next on a command line: a shell asks
    #[command(hide = true)]
    Complete {
        /// How the command line is given
        form: LineForm,

        /// The command line
        #[arg(
            value_name = "WORD",
            trailing_var_arg = true,
            allow_hyphen_values = true
        )]
        words: Vec<OsString>,
    },

    /// Print the manual page, or write those of all commands into a directory
    Man {
        /// A directory that is there, such as ~/.local/share/man/man1
        #[arg(value_name = "DIR")]
        directory: Option<PathBuf>,
    },

    /// Say more of a command; `help lost` says what to do when work is lost
    Help {
        /// A command, or lost
        #[arg(value_name = "TOPIC")]
        topic: Vec<String>,
    },
}

/// The shells that can complete.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CompletingShell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

/// How a shell tells of its command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum LineForm {
    /// As one text up to the cursor, and the characters that break words
    Line,
    /// As words, of which the last one is being written
    Words,
}
