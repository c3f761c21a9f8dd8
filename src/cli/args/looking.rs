//! What the commands that find snapshots and look into them take.

use std::ffi::OsString;

use clap::Args;

/// Which snapshots are listed.
#[derive(Debug, Args)]
pub struct ListArguments {
    /// Sealed since then: '2 hours ago', yesterday, '2026-11-20 13:00'
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,

    /// Made by it: manual, guard, sweep, rebase ...; may be given several times
    #[arg(long = "trigger", value_name = "TRIGGER")]
    pub triggers: Vec<String>,

    /// While this branch was checked out; may be given several times
    #[arg(long = "branch", value_name = "BRANCH")]
    pub branches: Vec<String>,

    /// With this label; may be given several times
    #[arg(short, long = "label", value_name = "LABEL")]
    pub labels: Vec<String>,

    /// In which this path, or something below it, changed; may be given several times
    #[arg(long = "path", value_name = "PATH")]
    pub paths: Vec<OsString>,

    /// No more than so many, the newest
    #[arg(short = 'n', long = "last", value_name = "NUMBER")]
    pub last: Option<usize>,

    /// Say what each alone would free, which takes longer
    #[arg(long)]
    pub sizes: bool,

    /// Give snapshots without a change of files lines of their own
    #[arg(long)]
    pub all: bool,
}

/// What is looked for in contents, and where.
#[derive(Debug, Args)]
pub struct GrepArguments {
    /// A regular expression
    #[arg(value_name = "PATTERN", allow_hyphen_values = true)]
    pub pattern: String,

    /// Only in these snapshots
    #[arg(value_name = "SNAP")]
    pub snapshots: Vec<String>,

    /// The pattern is a text, not an expression
    #[arg(short = 'F', long = "fixed-strings")]
    pub fixed: bool,

    /// Capitals do not matter
    #[arg(short, long)]
    pub ignore_case: bool,

    /// Only these paths, from the top of the working tree, and what is below them
    #[arg(value_name = "PATH", last = true)]
    pub paths: Vec<OsString>,
}

/// What is compared, and how it is shown.
#[derive(Debug, Args)]
pub struct DiffArguments {
    /// The older snapshot
    #[arg(value_name = "SNAP", default_value = "@latest")]
    pub old: String,

    /// The newer snapshot; the working tree now if none is given
    #[arg(value_name = "SNAP2")]
    pub new: Option<String>,

    /// Show the lines that differ
    #[arg(short, long, conflicts_with_all = ["stat", "name_only"])]
    pub patch: bool,

    /// What is shown besides
    #[command(flatten)]
    pub form: DiffForm,

    /// Only these paths, from the top of the working tree
    #[arg(value_name = "PATH", last = true)]
    pub paths: Vec<OsString>,
}

/// Shorter forms of differences.
#[derive(Debug, Args)]
#[group(multiple = false)]
pub struct DiffForm {
    /// Show how many lines came and went
    #[arg(long)]
    pub stat: bool,

    /// Show the paths and nothing else
    #[arg(long)]
    pub name_only: bool,
}
