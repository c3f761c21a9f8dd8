//! The only reader of environment, current directory, home and clock; gives one plain struct.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use etcetera::BaseStrategy;

use crate::cli::args::{AgentsCommand, Arguments, Command};
use crate::host::git::repository::Lookup;
use crate::host::walk::path_bytes;
use crate::model::escape::text_name;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::timestamp::Timestamp;
use crate::ops::agents::tools::{Tool, ToolHomes};
use crate::ops::guard::Redirects;
use crate::ops::locate::Workplace;
use crate::ops::schedule::Surroundings;
use crate::ops::schedule::scheduler::Scheduler;
use crate::vault::inspect::Homes;

/// What the program is told by its surroundings.
#[derive(Debug, Clone)]
pub struct Environment {
    /// Where the command works.
    pub workplace: Workplace,
    /// What relative paths on the command line are relative to.
    pub directory: PathBuf,
    /// Where temporary directories are made.
    pub temporary: PathBuf,
    /// The git on the path.
    pub git: Option<PathBuf>,
    /// Where this program lies, by a path that stays when it is replaced by a newer one, if there is such a path.
    pub program: Option<PathBuf>,
    /// The scheduler of the system.
    pub schedule: Surroundings,
    /// Where programs are looked for.
    pub path: Option<OsString>,
    /// Which repository git is told to use. This program looks for itself; a command that it guards does as git does.
    pub redirects: Redirects,
    /// Where coding agents keep their settings.
    pub tool_homes: ToolHomes,
    /// Where a log for support is asked for.
    pub log_file: Option<PathBuf>,
    /// Variables that are set and matter to git or to this program, as records may hold them.
    pub variables: Vec<String>,
}

/// Nanoseconds since the epoch, by the wall clock.
#[must_use]
pub fn now_ns() -> i128 {
    let since =
        |duration: std::time::Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(after) => since(after),
        Err(before) => -since(before.duration()),
    }
}

fn now() -> Timestamp {
    Timestamp::from_seconds(i64::try_from(now_ns().div_euclid(1_000_000_000)).unwrap_or(i64::MAX))
}

/// A variable that is set to something.
fn variable(name: &str) -> Option<PathBuf> {
    std::env::var_os(name)
        .filter(|value| !value.is_empty())
        .map(PathBuf::from)
}

/// The scheduler of the system, where it looks, and what it must be told of this program's places.
fn schedule(config: &Path, state: &Path) -> Surroundings {
    let scheduler = if cfg!(target_os = "macos") {
        Scheduler::Launchd
    } else {
        Scheduler::Systemd
    };
    let directory = match scheduler {
        Scheduler::Systemd => Some(config.join("systemd/user")),
        Scheduler::Launchd => {
            let home = etcetera::home_dir().ok();
            home.map(|home| home.join("Library/LaunchAgents"))
        }
    };
    let places = [
        "GIT_VAULT_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_STATE_HOME",
    ];
    let set = |name| Some((name, variable(name).filter(|path| path.is_absolute())?));
    Surroundings {
        scheduler,
        directory,
        tool: on_the_path(scheduler.tool()),
        program: own_program(),
        variables: places.into_iter().filter_map(set).collect(),
        state: state.to_owned(),
    }
}

/// Whether other configuration files are named.
fn names_configuration() -> bool {
    let names = [
        "GIT_CONFIG_GLOBAL",
        "GIT_CONFIG_SYSTEM",
        "GIT_CONFIG_NOSYSTEM",
    ];
    names.iter().any(|name| std::env::var_os(name).is_some())
}

fn redirects() -> Redirects {
    Redirects {
        git_dir: variable("GIT_DIR"),
        work_tree: variable("GIT_WORK_TREE"),
    }
}

/// The first program of a name on the path; directories that are not absolute do not count, for they may be anybody's.
fn on_the_path(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join(name))
        .find(|program| is_executable(program))
}

/// Where this program lies. A name on the path that leads to it comes first: package managers change what it leads to, while
/// the place itself may bear the number of a version.
fn own_program() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let real = std::fs::canonicalize(&program).ok()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let named = std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join("git-vault"))
        .find(|named| std::fs::canonicalize(named).is_ok_and(|named| named == real));
    Some(named.unwrap_or(real))
}

/// Where coding agents keep their settings: where their own variables say, or in the home directory.
fn tool_homes(home: Option<&Path>, config: &Path) -> ToolHomes {
    let absolute = |name: &str| variable(name).filter(|path| path.is_absolute());
    let homes = Tool::ALL.into_iter().filter_map(|tool| {
        let below = |name: &str| home.map(|home| home.join(name));
        let place = match tool {
            Tool::Claude => absolute("CLAUDE_CONFIG_DIR").or_else(|| below(".claude")),
            Tool::Cline => below("Documents/Cline"),
            Tool::Codex => absolute("CODEX_HOME").or_else(|| below(".codex")),
            Tool::Copilot => absolute("COPILOT_HOME").or_else(|| below(".copilot")),
            Tool::Cursor => below(".cursor"),
            Tool::Gemini => below(".gemini"),
            Tool::OpenCode => Some(config.join("opencode")),
            Tool::Windsurf => below(".codeium/windsurf"),
        };
        place.map(|place| (tool, place))
    });
    ToolHomes(homes.collect())
}

fn is_executable(program: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::metadata(program)
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0)
}

/// The variables that are set and matter. Values are given only where they are paths that say where things lie: any other
/// may be a secret.
fn variables() -> Vec<String> {
    let matters = |name: &str| {
        ["GIT_", "TMP", "XDG_"]
            .iter()
            .any(|beginning| name.starts_with(beginning))
    };
    let mut variables: Vec<String> = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value)))
        .filter(|(name, _)| matters(name))
        .map(|(name, value)| {
            let name = text_name(name.as_bytes());
            if name == "GIT_VAULT_HOME" || name.starts_with("XDG_") {
                format!("{name}={}", text_name(path_bytes(Path::new(&value))))
            } else {
                name
            }
        })
        .collect();
    variables.sort();
    variables
}

/// The current directory. A coding agent says itself where it works; its own directory may be gone.
fn current_directory(arguments: &Arguments) -> std::io::Result<PathBuf> {
    let is_hook = matches!(
        &arguments.command,
        Command::Agents {
            command: AgentsCommand::Hook { .. }
        }
    );
    match std::env::current_dir() {
        Err(_) if is_hook => {
            let root = PathBuf::from("/");
            std::env::set_current_dir(&root)?;
            Ok(root)
        }
        current => current,
    }
}

impl Environment {
    /// Reads the surroundings.
    ///
    /// # Errors
    /// When there is no home or no current directory.
    pub fn read(arguments: &Arguments) -> Result<Self> {
        let surroundings = |what: &str, fact: String| {
            Refusal::new(RefusalCode::SettingInvalid, what).because(fact)
        };
        let current = current_directory(arguments).map_err(|error| {
            surroundings("the current directory cannot be found", error.to_string())
        })?;
        let directory = match &arguments.directory {
            Some(directory) => current.join(directory),
            None => current.clone(),
        };
        let base = etcetera::choose_base_strategy()
            .map_err(|error| surroundings("the home directory is not known", error.to_string()))?;
        let config = base.config_dir();
        let state = base.state_dir().unwrap_or_else(|| base.data_dir());
        let vault_home = match variable("GIT_VAULT_HOME") {
            Some(home) if home.is_absolute() => home,
            Some(home) => {
                let fact = format!(
                    "GIT_VAULT_HOME is '{}', which is not an absolute path",
                    home.display()
                );
                return Err(surroundings("a setting makes no sense", fact));
            }
            None => base.data_dir().join("git-vault").join("vaults"),
        };
        let goes_up = |path: &PathBuf| {
            path.components()
                .any(|part| matches!(part, Component::ParentDir))
        };
        if let Some(path) = [&config, &state, &vault_home]
            .into_iter()
            .find(|path| goes_up(path))
        {
            let fact = format!(
                "'{}' has '..' in it, so that it is not clear where it leads",
                path.display()
            );
            return Err(surroundings("a setting makes no sense", fact));
        }
        let home = etcetera::home_dir().ok();
        let tool_homes = tool_homes(home.as_deref(), &config);
        let lookup = Lookup {
            home,
            start: directory.clone(),
            configuration_from_environment: names_configuration(),
            default_excludes_file: Some(config.join("git").join("ignore")),
        };
        let temporary = current.join(std::env::temp_dir());
        let workplace = Workplace {
            lookup,
            vault: arguments.vault.as_ref().map(|vault| directory.join(vault)),
            vault_home,
            homes: Homes {
                keys: config.join("git-vault").join("keys"),
                state: state.join("git-vault"),
            },
            current,
            now: now(),
        };
        let schedule = schedule(&config, &workplace.homes.state);
        let log_file = arguments
            .log_file
            .clone()
            .or_else(|| variable("GIT_VAULT_LOG"));
        Ok(Self {
            workplace,
            log_file: log_file.map(|file| directory.join(file)),
            directory,
            temporary,
            git: on_the_path("git"),
            schedule,
            program: own_program(),
            path: std::env::var_os("PATH"),
            redirects: redirects(),
            tool_homes,
            variables: variables(),
        })
    }

    /// A path from the command line, made absolute.
    #[must_use]
    pub fn absolute(&self, path: &Path) -> PathBuf {
        self.directory.join(path)
    }
}
