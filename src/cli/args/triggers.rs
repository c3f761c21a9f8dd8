//! The commands that protect work before it is lost.

use std::time::Duration;

use clap::{Subcommand, ValueEnum};

use super::duration;
use crate::ops::agents::tools::Tool;
use crate::ops::schedule::scheduler::is_regular;

/// What can be done with the schedule.
#[derive(Debug, Subcommand)]
pub enum ScheduleCommand {
    /// Write what the scheduler needs, and switch it on
    Install {
        /// How often, such as 15m or 2h: it must go evenly into an hour or a day
        #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = period)]
        every: Duration,
    },

    /// Show whether it is on, and when the last sweep was; exit status 3 when something is not as it should be
    Status,

    /// Switch it off, and remove what was written
    Uninstall,
}

/// What can be done with coding agents.
#[derive(Debug, Subcommand)]
pub enum AgentsCommand {
    /// Tell tools of git-vault
    Install {
        /// Their names; if none is given, every tool whose settings directory is there
        #[arg(value_name = "TOOL", value_parser = tool)]
        tools: Vec<Tool>,
    },

    /// Say how the tools stand
    ///
    /// Exit status 0 when all is well, 3 when something of ours is not as it should be.
    Status {
        /// Their names; all that are known if none is given
        #[arg(value_name = "TOOL", value_parser = tool)]
        tools: Vec<Tool>,
    },

    /// Take out of their settings what was put there
    Uninstall {
        /// Their names; if none is given, every tool whose settings directory is there
        #[arg(value_name = "TOOL", value_parser = tool)]
        tools: Vec<Tool>,
    },

    /// What a tool runs: reads its message from standard input, takes a snapshot, and answers in its own way
    #[command(hide = true)]
    Hook {
        /// The tool
        #[arg(value_name = "TOOL", value_parser = tool)]
        tool: Tool,
    },

    /// What `hook` has done by a process of its own, whose end it watches
    #[command(hide = true)]
    Work {
        /// The tool
        #[arg(value_name = "TOOL", value_parser = tool)]
        tool: Tool,
    },
}

/// The name of a coding agent.
fn tool(text: &str) -> Result<Tool, String> {
    Tool::parse(text).ok_or_else(|| {
        let names = Tool::ALL.map(Tool::word).join(", ");
        format!("the tools that are known are {names}")
    })
}

/// What can be done with hooks.
#[derive(Debug, Subcommand)]
pub enum HooksCommand {
    /// Install them, all or none
    ///
    /// Since git 2.54 they are settings in one file, which one line of the configuration includes; before, they are files where
    /// the place is free.
    Install {
        /// For which repositories; those without a vault are left alone
        #[arg(long, value_enum, default_value_t)]
        scope: HooksScope,

        /// Also make a snapshot when git asks its file monitor before it changes files, or drops objects
        ///
        /// Every command of git that looks at the working tree becomes a little slower.
        #[arg(long)]
        last_second: bool,
    },

    /// Say what is installed, and whether git heeds it
    ///
    /// Exit status 0 when all is well or nothing is installed, 3 when something needs attention.
    Status {
        /// For which repositories they were installed
        #[arg(long, value_enum, default_value_t)]
        scope: HooksScope,
    },

    /// Take away what was installed, and nothing that was changed since
    Uninstall {
        /// For which repositories they were installed
        #[arg(long, value_enum, default_value_t)]
        scope: HooksScope,
    },
}

/// For which repositories hooks are installed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, ValueEnum)]
pub enum HooksScope {
    /// The one here
    #[default]
    Repo,
    /// All of this user
    Global,
}

/// A duration that a calendar can repeat.
fn period(text: &str) -> Result<Duration, String> {
    let every = duration(text)?;
    if is_regular(every) {
        Ok(every)
    } else {
        Err("5 minutes at least, and evenly into an hour or a day: 5m, 15m, 30m, 1h, 6h".to_owned())
    }
}
