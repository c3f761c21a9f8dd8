//! The git executable, asked about a git directory that was made for the question: it is given no configuration, no
//! environment and no input but ours, so that nothing a captured repository holds can make it run anything.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use crate::host::disk::{Context, Result};

/// Longest version that is believed to be one.
const VERSION_LIMIT_BYTES: usize = 100;

/// Tells git to read ids from the input it is given.
pub const FROM_INPUT: &str = "--stdin";

/// A git executable with the places it may look at.
pub struct GitProgram {
    /// The executable, an absolute path.
    program: PathBuf,
    /// A git directory of ours; also its home.
    git_dir: PathBuf,
    /// The objects it is asked about.
    objects: PathBuf,
}

/// What git answered.
pub struct Answer {
    /// Its exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// What it wrote as its answer.
    pub answer: Vec<u8>,
    /// What it complained about.
    pub complaint: Vec<u8>,
}

impl GitProgram {
    /// Names executable and places; none of them is touched yet.
    #[must_use]
    pub fn new(program: &Path, git_dir: &Path, objects: &Path) -> Self {
        Self {
            program: program.to_owned(),
            git_dir: git_dir.to_owned(),
            objects: objects.to_owned(),
        }
    }

    /// What git calls itself, such as `git version 2.47.3`; `None` when it answers anything else.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn version(&self) -> Result<Option<String>> {
        let answer = self.ask(&["version"], None)?;
        let text = String::from_utf8(answer.answer).unwrap_or_default();
        let first = text.lines().next().unwrap_or_default().trim();
        let is_version = answer.status == Some(0)
            && first.starts_with("git version ")
            && first.len() <= VERSION_LIMIT_BYTES
            && !first.chars().any(char::is_control);
        Ok(is_version.then(|| first.to_owned()))
    }

    /// Asks one question; `input` is a file it may read it from.
    ///
    /// # Errors
    /// When git cannot be run, or the input cannot be opened.
    pub fn ask(&self, arguments: &[&str], input: Option<&Path>) -> Result<Answer> {
        self.ask_of(arguments, input, &[])
    }

    /// Asks one question about the index at `index` instead of that of the git directory.
    ///
    /// # Errors
    /// When git cannot be run.
    pub fn ask_index(&self, arguments: &[&str], index: &Path) -> Result<Answer> {
        self.ask_of(arguments, None, &[("GIT_INDEX_FILE", index.into())])
    }

    fn ask_of(
        &self,
        arguments: &[&str],
        input: Option<&Path>,
        more: &[(&str, OsString)],
    ) -> Result<Answer> {
        let input = match input {
            Some(path) => Stdio::from(File::open(path).context("open", path)?),
            None => Stdio::null(),
        };
        let nowhere = Path::new("/dev/null");
        let places: [(&str, &Path); 6] = [
            ("GIT_DIR", &self.git_dir),
            ("GIT_OBJECT_DIRECTORY", &self.objects),
            ("GIT_CONFIG_GLOBAL", nowhere),
            ("GIT_CONFIG_SYSTEM", nowhere),
            ("HOME", &self.git_dir),
            ("XDG_CONFIG_HOME", &self.git_dir),
        ];
        let switches = [
            ("GIT_CONFIG_NOSYSTEM", "1"),
            ("GIT_ATTR_NOSYSTEM", "1"),
            ("GIT_NO_LAZY_FETCH", "1"),
            ("GIT_NO_REPLACE_OBJECTS", "1"),
            ("GIT_OPTIONAL_LOCKS", "0"),
            ("GIT_TERMINAL_PROMPT", "0"),
            ("LC_ALL", "C"),
        ];
        let output = Command::new(&self.program)
            .current_dir(&self.git_dir)
            .args(arguments)
            .env_clear()
            .envs(places)
            .envs(switches)
            .envs(more.iter().cloned())
            .stdin(input)
            .output()
            .context("run", &self.program)?;
        Ok(Answer::from(output))
    }
}

impl From<Output> for Answer {
    fn from(output: Output) -> Self {
        Self {
            status: output.status.code(),
            answer: output.stdout,
            complaint: output.stderr,
        }
    }
}
