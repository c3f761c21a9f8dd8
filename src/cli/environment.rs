//! The only reader of environment, current directory, home and clock; gives one plain struct.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use etcetera::BaseStrategy;

use crate::cli::args::Arguments;
use crate::host::background;
use crate::host::git::repository::Lookup;
use crate::host::walk::path_bytes;
use crate::model::escape::text_name;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::timestamp::Timestamp;
use crate::ops::firing::Surroundings;
use crate::ops::locate::Workplace;
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
    /// The git on the path.
    pub git: Option<PathBuf>,
    /// Where a log for support is asked for.
    pub log_file: Option<PathBuf>,
    /// What git tells a hook.
    pub surroundings: Surroundings,
    /// How long a worker waits.
    pub pace: Pace,
    /// This program, by a path that stays when it is replaced by a newer one; `None` when the system does not say.
    pub program: Option<PathBuf>,
    /// The very file that is running.
    pub running: Option<PathBuf>,
    /// Where git writes settings of the user.
    pub global_config: PathBuf,
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

/// The first git on the path; directories that are not absolute do not count, for they may be anybody's.
fn git_on_the_path() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join("git"))
        .find(|program| is_executable(program))
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

/// This program: as the path finds it, for a link there stays where it is when what it leads to is replaced.
fn own_program() -> Option<PathBuf> {
    let running = std::env::current_exe().ok()?;
    let real = std::fs::canonicalize(&running).ok();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path)
        .filter(|directory| directory.is_absolute())
        .map(|directory| directory.join("git-vault"))
        .find(|program| is_executable(program));
    on_path
        .filter(|program| real.is_some() && std::fs::canonicalize(program).ok() == real)
        .or(Some(running))
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

/// Variables for git itself that hold for more than one call of it.
const LASTING: [&str; 3] = [
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
];

fn told_by_git() -> Surroundings {
    let is_dropped = |name: &OsString| {
        let name = name.to_string_lossy();
        name.starts_with("GIT_") && !name.starts_with("GIT_VAULT_") && !LASTING.contains(&&*name)
    };
    Surroundings {
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

impl Environment {
    /// Reads the surroundings.
    ///
    /// # Errors
    /// When there is no home or no current directory.
    pub fn read(arguments: &Arguments) -> Result<Self> {
        let surroundings = |what: &str, fact: String| {
            Refusal::new(RefusalCode::SettingInvalid, what).because(fact)
        };
        let current = std::env::current_dir().map_err(|error| {
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
        let global_config = global_config(home.as_deref(), &config);
        let lookup = Lookup {
            home,
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
            git: git_on_the_path(),
            surroundings: told_by_git(),
            pace: pace(),
            program: own_program(),
            running: std::env::current_exe().ok(),
            global_config,
            variables: variables(),
        })
    }

    /// A path from the command line, made absolute.
    #[must_use]
    pub fn absolute(&self, path: &Path) -> PathBuf {
        self.directory.join(path)
    }
}
