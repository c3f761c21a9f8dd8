//! The only reader of environment, current directory, home and clock; gives one plain struct.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal as _;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use etcetera::BaseStrategy;

use crate::cli::args::triggers::AgentsCommand;
use crate::cli::args::{Arguments, Command};
use crate::cli::pager::Pager;
use crate::host::background;
use crate::host::git::repository::Lookup;
use crate::host::git::user_settings::UserSettings;
use crate::host::program::Program;
use crate::host::walk::path_bytes;
use crate::model::escape::text_name;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::timestamp::Timestamp;
use crate::ops::agents::hook::Surroundings;
use crate::ops::agents::tools::{Tool, ToolHomes};
use crate::ops::firing::ToldByGit;
use crate::ops::guard::Redirects;
use crate::ops::locate::Workplace;
use crate::ops::schedule::SchedulePlaces;
use crate::ops::schedule::scheduler::Scheduler;
use crate::ops::worker::Pace;
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
    /// Where a log for support is asked for.
    pub log_file: Option<PathBuf>,
    /// The home directory.
    home: Option<PathBuf>,
    /// Where settings of the user are kept.
    config: PathBuf,
    /// Variables that are set and matter to git or to this program, as records may hold them.
    pub variables: Vec<String>,
}

/// Nanoseconds since the epoch, by the wall clock.
#[must_use]
pub fn now_ns() -> i128 {
    let since = |duration: Duration| i128::try_from(duration.as_nanos()).unwrap_or(i128::MAX);
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

/// How wide the terminal is, as `COLUMNS` or the terminal says; `None` when the output is none.
#[must_use]
pub fn terminal_columns() -> Option<usize> {
    let output = std::io::stdout();
    if !output.is_terminal() {
        return None;
    }
    let stated = std::env::var("COLUMNS")
        .ok()
        .and_then(|text| text.parse().ok());
    stated
        .or_else(|| {
            let size = rustix::termios::tcgetwinsize(output).ok()?;
            Some(usize::from(size.ws_col))
        })
        .filter(|columns| *columns > 0)
}

/// The variables that say where vaults, keys and states lie, as far as they are set: whoever is started later must be told.
fn places() -> Vec<(&'static str, PathBuf)> {
    let names = [
        "GIT_VAULT_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_STATE_HOME",
    ];
    let set = |name| Some((name, variable(name).filter(|path| path.is_absolute())?));
    names.into_iter().filter_map(set).collect()
}

/// The scheduler of the system, where it looks, and what it must be told of this program's places.
fn schedule(config: &Path, state: &Path) -> SchedulePlaces {
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
    SchedulePlaces {
        scheduler,
        directory,
        tool: on_the_path(scheduler.tool()),
        program: own_program(),
        variables: places(),
        state: state.to_owned(),
    }
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

/// Whether a shell would see one word in it, and nothing else (git's `prepare_shell_cmd`).
fn is_plain_name(command: &OsStr) -> bool {
    let special = b"|&;<>()$`\\\"' \t\n*?[#~=%";
    let bytes = command.as_encoded_bytes();
    !bytes.iter().any(|byte| special.contains(byte))
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
            command: AgentsCommand::Work { .. }
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

/// Where this process works and whose it is, as far as that is known, when nothing else is.
#[must_use]
pub fn around() -> Surroundings {
    Surroundings {
        directory: std::env::current_dir().ok(),
        home: etcetera::home_dir().ok(),
    }
}

/// The file that `git config --global` writes (git-config(1), "FILES").
fn global_config(home: Option<&Path>, config: &Path) -> PathBuf {
    if let Some(file) = variable("GIT_CONFIG_GLOBAL") {
        return file;
    }
    let usual = home.unwrap_or(Path::new("/")).join(".gitconfig");
    let other = config.join("git").join("config");
    if !usual.exists() && other.exists() {
        other
    } else {
        usual
    }
}

/// The files in which git looks for settings of the user.
fn global_configs(home: Option<&Path>, config: &Path) -> Vec<PathBuf> {
    if let Some(file) = variable("GIT_CONFIG_GLOBAL") {
        return vec![file];
    }
    let usual = home.map(|home| home.join(".gitconfig"));
    let other = config.join("git").join("config");
    usual.into_iter().chain([other]).collect()
}

/// Variables for git itself that hold for more than one call of it.
const LASTING: [&str; 3] = [
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
];

fn told_by_git() -> ToldByGit {
    let is_dropped = |name: &OsString| {
        let name = name.to_string_lossy();
        name.starts_with("GIT_") && !name.starts_with("GIT_VAULT_") && !LASTING.contains(&&*name)
    };
    ToldByGit {
        git_dir: variable("GIT_DIR"),
        is_quarantined: variable("GIT_QUARANTINE_PATH").is_some(),
        is_active: variable(background::ACTIVE).is_some(),
        dropped: std::env::vars_os()
            .map(|(name, _)| name)
            .filter(is_dropped)
            .collect(),
    }
}

/// How long a worker waits: two seconds of quiet, thirty seconds at most, unless the environment says otherwise in
/// milliseconds.
fn pace() -> Pace {
    let milliseconds = |name: &str, usual: u64| {
        let set = std::env::var(name).ok();
        let set = set.and_then(|text| text.parse().ok());
        Duration::from_millis(set.unwrap_or(usual))
    };
    Pace {
        quiet: milliseconds("GIT_VAULT_HOOK_QUIET", 2_000),
        longest: milliseconds("GIT_VAULT_HOOK_LONGEST", 30_000),
    }
}

fn surroundings(what: &str, fact: String) -> Refusal {
    Refusal::new(RefusalCode::SettingInvalid, what).because(fact)
}

impl Environment {
    /// Reads the surroundings.
    ///
    /// # Errors
    /// When there is no home or no current directory, or a setting makes no sense.
    pub fn read(arguments: &Arguments) -> Result<Self> {
        let named = match variable("GIT_VAULT_HOME") {
            Some(home) if !home.is_absolute() => {
                let fact = format!(
                    "GIT_VAULT_HOME is '{}', which is not an absolute path",
                    home.display()
                );
                return Err(surroundings("a setting makes no sense", fact));
            }
            named => named,
        };
        let read = Self::read_with(arguments, named)?;
        let homes = &read.workplace.homes;
        let places = [&homes.keys, &homes.state, &read.workplace.vault_home];
        let goes_up = |path: &&&PathBuf| {
            path.components()
                .any(|part| matches!(part, Component::ParentDir))
        };
        if let Some(path) = places.iter().find(goes_up) {
            let fact = format!(
                "'{}' has '..' in it, so that it is not clear where it leads",
                path.display()
            );
            return Err(surroundings("a setting makes no sense", fact));
        }
        Ok(read)
    }

    /// Reads the surroundings as if no vault home was named and every path was clear: good enough to ask whether a repository
    /// concerns this program at all, and for nothing else.
    ///
    /// # Errors
    /// When there is no home or no current directory.
    pub fn read_as_usual(arguments: &Arguments) -> Result<Self> {
        Self::read_with(arguments, None)
    }

    fn read_with(arguments: &Arguments, named: Option<PathBuf>) -> Result<Self> {
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
        let usual = || base.data_dir().join("git-vault").join("vaults");
        let vault_home = named.unwrap_or_else(usual);
        let home = etcetera::home_dir().ok();
        let lookup = Lookup {
            home: home.clone(),
            start: directory.clone(),
            configuration_from_environment: LASTING
                .iter()
                .any(|name| std::env::var_os(name).is_some()),
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
            zone: jiff::tz::TimeZone::system,
        };
        let log_file = arguments
            .log_file
            .clone()
            .or_else(|| variable("GIT_VAULT_LOG"));
        Ok(Self {
            workplace,
            log_file: log_file.map(|file| directory.join(file)),
            directory,
            temporary,
            home,
            config,
            variables: variables(),
        })
    }

    /// The git on the path.
    #[must_use]
    pub fn git(&self) -> Option<PathBuf> {
        on_the_path("git")
    }

    /// Where this program lies, by a path that stays when it is replaced by a newer one, if there is such a path.
    #[must_use]
    pub fn program(&self) -> Option<PathBuf> {
        own_program()
    }

    /// Settings of the user about how text is shown.
    fn user_settings(&self) -> UserSettings {
        UserSettings::read(&self.global_configs(), self.home.as_deref())
    }

    /// Whether the answer may be in colour: on a terminal that can, and unless `NO_COLOR` or the settings of the user say no.
    #[must_use]
    pub fn allows_colour(&self, key: &str) -> bool {
        let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
        let can = std::env::var_os("TERM").is_some_and(|kind| kind != "dumb");
        if !can || is_set("NO_COLOR") || !std::io::stdout().is_terminal() {
            return false;
        }
        let settings = self.user_settings();
        let for_pager = settings.colour("color.pager").unwrap_or(true);
        let wanted = settings.colour(key).or_else(|| settings.colour("color.ui"));
        wanted.unwrap_or(true) && (for_pager || self.pager().is_none())
    }

    /// The pager of the user, as git finds it: `GIT_PAGER`, `core.pager` in the settings of the user, `PAGER`, or `less`. An empty one and
    /// `cat` are none.
    #[must_use]
    pub fn pager(&self) -> Option<Pager> {
        let set = || self.user_settings().text("core.pager").map(OsString::from);
        let named = std::env::var_os("GIT_PAGER").or_else(set);
        let named = named.or_else(|| std::env::var_os("PAGER"));
        let (file, arguments) = match named {
            Some(named) if named.is_empty() || named == "cat" => return None,
            // As git: a plain name is run as it stands, and where there is no such program the text is written without one.
            Some(named) if is_plain_name(&named) => {
                let file = match named.to_str() {
                    Some(name) if !name.contains('/') => on_the_path(name)?,
                    _ => Some(PathBuf::from(named)).filter(|file| is_executable(file))?,
                };
                (file, Vec::new())
            }
            Some(named) => (on_the_path("sh")?, vec![OsString::from("-c"), named]),
            None => (on_the_path("less")?, Vec::new()),
        };
        let usual = [("LESS", "FRX"), ("LV", "-c")];
        let is_unset = |(name, _): &(&str, &str)| std::env::var_os(name).is_none();
        Some(Pager {
            program: Program {
                name: file.file_name()?.to_owned(),
                file,
                arguments,
                directory: self.workplace.current.clone(),
            },
            variables: usual.into_iter().filter(is_unset).collect(),
        })
    }

    /// The very file that is running.
    #[must_use]
    pub fn running(&self) -> Option<PathBuf> {
        std::env::current_exe().ok()
    }

    /// Where programs are looked for.
    #[must_use]
    pub fn path(&self) -> Option<OsString> {
        std::env::var_os("PATH")
    }

    /// Which repository git is told to use. This program looks for itself; a command that it guards does as git does.
    #[must_use]
    pub fn redirects(&self) -> Redirects {
        redirects()
    }

    /// What git tells a hook.
    #[must_use]
    pub fn told(&self) -> ToldByGit {
        told_by_git()
    }

    /// How long a worker waits.
    #[must_use]
    pub fn pace(&self) -> Pace {
        pace()
    }

    /// The variables that say where vaults, keys and states lie, as far as they are set.
    #[must_use]
    pub fn places(&self) -> Vec<(&'static str, PathBuf)> {
        places()
    }

    /// The scheduler of the system.
    #[must_use]
    pub fn schedule(&self) -> SchedulePlaces {
        schedule(&self.config, &self.workplace.homes.state)
    }

    /// Where coding agents keep their settings.
    #[must_use]
    pub fn tool_homes(&self) -> ToolHomes {
        tool_homes(self.home.as_deref(), &self.config)
    }

    /// Where git writes settings of the user.
    #[must_use]
    pub fn global_config(&self) -> PathBuf {
        // A relative one is relative to where git works.
        let file = global_config(self.home.as_deref(), &self.config);
        self.workplace.current.join(file)
    }

    /// All files in which git looks for settings of the user.
    #[must_use]
    pub fn global_configs(&self) -> Vec<PathBuf> {
        let files = global_configs(self.home.as_deref(), &self.config);
        let files = files.into_iter();
        files
            .map(|file| self.workplace.current.join(file))
            .collect()
    }

    /// A path from the command line, made absolute.
    #[must_use]
    pub fn absolute(&self, path: &Path) -> PathBuf {
        self.directory.join(path)
    }
}
