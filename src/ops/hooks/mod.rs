//! `git vault hooks`: makes git call this program, says whether it does, and takes all of it away again.

mod include;
mod installed;
pub mod ledger;
mod refusals;
pub mod shim;
mod stray;
mod survey;

use std::path::{Path, PathBuf};

pub use installed::{install, uninstall};
pub use ledger::Carrier;
pub use shim::{ASK_MONITOR, ASK_OBJECTS};
pub use survey::status;

/// For which repositories hooks are installed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// For the one here.
    Repository,
    /// For all of this user: in those without a vault, hooks do nothing.
    Global,
}

/// Whether the last second is guarded, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LastSecond {
    /// It is.
    Guarded,
    /// It is not.
    Unguarded,
}

/// What an installation is about.
#[derive(Debug, Clone)]
pub struct HooksRequest {
    /// For which repositories.
    pub scope: Scope,
    /// This program, by a path that stays.
    pub program: PathBuf,
    /// The git on the path.
    pub git: Option<PathBuf>,
    /// Where git writes settings of the user.
    pub global_config: PathBuf,
    /// All files in which git looks for settings of the user, whether they are there or not.
    pub global_configs: Vec<PathBuf>,
    /// The variables that say where vaults, keys and states lie: hooks are run without them, too.
    pub variables: Vec<(&'static str, PathBuf)>,
}

/// What is known of one thing that is or was installed, or stands where it would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// As it was written, and git heeds it.
    Intact,
    /// Changed by somebody.
    Modified,
    /// Gone.
    Missing,
    /// As it was written, but git does not heed it, for this reason.
    Shadowed(String),
    /// Written by this program for another place, and brought here: what it is, in a few words.
    Elsewhere(String),
    /// Not ours.
    Foreign,
    /// Taken away just now.
    Removed,
}

impl State {
    /// The word for it in text and JSON.
    #[must_use]
    pub fn word(&self) -> &'static str {
        match self {
            Self::Intact => "intact",
            Self::Modified => "modified",
            Self::Missing => "missing",
            Self::Shadowed(_) => "shadowed",
            Self::Elsewhere(_) => "elsewhere",
            Self::Foreign => "foreign",
            Self::Removed => "removed",
        }
    }
}

/// One thing that is or was installed, or stands where it would be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// What it is for: an event, `settings`, `include`, `program`, or a question of the last second.
    pub purpose: String,
    /// Where it lies.
    pub path: PathBuf,
    /// What is known of it.
    pub state: State,
}

/// What is installed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HooksReport {
    /// For which repositories.
    pub scope: Scope,
    /// The common git directory, when it is about one repository.
    pub git_dir: Option<PathBuf>,
    /// How hooks are made known to git; `None` when none are installed.
    pub carrier: Option<Carrier>,
    /// Whether the last second is guarded.
    pub last_second: LastSecond,
    /// What the git on the path calls itself.
    pub git: Option<String>,
    /// Every part.
    pub parts: Vec<Part>,
}

impl HooksReport {
    /// Whether anything of ours is not as it should be.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        self.parts.iter().any(|part| match part.state {
            State::Modified | State::Missing | State::Shadowed(_) | State::Elsewhere(_) => true,
            State::Intact | State::Foreign | State::Removed => false,
        })
    }
}

/// From this version on, git takes hooks from its settings.
const HOOKS_IN_SETTINGS: (u32, u32) = (2, 54);
/// From this version on, git asks which recent objects to keep.
const RECENT_OBJECTS: (u32, u32) = (2, 42);

/// The first two numbers of what git calls itself.
fn version_numbers(version: &str) -> Option<(u32, u32)> {
    let mut numbers = version.strip_prefix("git version ")?.split('.');
    let major = numbers.next()?.parse().ok()?;
    let minor = numbers
        .next()?
        .split(|letter: char| !letter.is_ascii_digit());
    Some((major, minor.into_iter().next()?.parse().ok()?))
}

/// Where the things of a scope lie.
struct Site {
    /// The repository, unless it is about all of them.
    repository: Option<crate::host::git::repository::Repository>,
    /// The directory of ours.
    directory: PathBuf,
    /// The configuration file of git that is written.
    config: PathBuf,
    /// All that count, of which some may have been written before.
    configs: Vec<PathBuf>,
}

impl Site {
    fn git_dir(&self) -> Option<PathBuf> {
        let repository = self.repository.as_ref();
        repository.map(|repository| repository.git_dir.clone())
    }

    fn settings_file(&self) -> PathBuf {
        self.directory.join("hooks.gitconfig")
    }
}

fn text_of(path: &Path) -> crate::model::refusal::Result<String> {
    let text = path.to_str().filter(|text| !text.contains('\n'));
    text.map(str::to_owned)
        .ok_or_else(|| refusals::not_text(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_numbers_of_a_version_are_read_as_git_writes_them() {
        for (text, numbers) in [
            ("git version 2.39.5", Some((2, 39))),
            ("git version 2.54.0.windows.1", Some((2, 54))),
            ("git version 2.55-rc1", Some((2, 55))),
            ("git version 3.0", Some((3, 0))),
            ("git 2.55", None),
            ("git version x", None),
        ] {
            assert_eq!(version_numbers(text), numbers, "{text}");
        }
    }
}
