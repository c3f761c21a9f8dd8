//! Programs that this one runs for its user: the command that was guarded, and the system's scheduler.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::host::disk::{Context, Result};

/// Why there is nothing to run, as shells tell it apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotRunnable {
    /// There is no such program.
    NotFound,
    /// It is there, and may not be run.
    NotExecutable,
}

impl NotRunnable {
    /// The exit status a shell has for it.
    #[must_use]
    pub fn exit(self) -> u8 {
        match self {
            Self::NotFound => 127,
            Self::NotExecutable => 126,
        }
    }
}

/// The program that a shell in `directory` would run: a name with a slash as it stands, any other along `path`.
///
/// # Errors
/// When there is none.
pub fn find(
    name: &OsStr,
    path: Option<&OsStr>,
    directory: &Path,
) -> std::result::Result<PathBuf, NotRunnable> {
    if name.as_bytes().contains(&b'/') {
        // It is run from `directory`; a script is told the name by which it was called.
        return check(&directory.join(name)).map(|()| PathBuf::from(name));
    }
    let listed = path.map(|path| path.as_bytes().split(|byte| *byte == b':'));
    let mut why = NotRunnable::NotFound;
    for place in listed.into_iter().flatten().filter(|_| !name.is_empty()) {
        let program = directory.join(OsStr::from_bytes(place)).join(name);
        match check(&program) {
            Ok(()) => return Ok(program),
            Err(NotRunnable::NotExecutable) => why = NotRunnable::NotExecutable,
            Err(NotRunnable::NotFound) => {}
        }
    }
    Err(why)
}

fn check(program: &Path) -> std::result::Result<(), NotRunnable> {
    match std::fs::metadata(program) {
        Ok(found) if found.is_file() && found.permissions().mode() & 0o111 != 0 => Ok(()),
        Ok(_) => Err(NotRunnable::NotExecutable),
        Err(_) => Err(NotRunnable::NotFound),
    }
}

/// A program, the name it is called by, what it is told, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// The file.
    pub file: PathBuf,
    /// The name it is told it was called by.
    pub name: OsString,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Where it is run.
    pub directory: PathBuf,
}

/// What a program answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether it ended well.
    pub is_success: bool,
    /// What it wrote as its answer, and as complaint.
    pub text: String,
}

impl Program {
    fn command(&self) -> Command {
        let mut command = Command::new(&self.file);
        command
            .arg0(&self.name)
            .args(&self.arguments)
            .current_dir(&self.directory);
        command
    }

    /// Becomes the program: same process, same streams, same environment, so that its end is the end of this one. Comes back
    /// only if that fails.
    #[must_use]
    pub fn become_it(&self) -> std::io::Error {
        self.command().exec()
    }

    /// Becomes the program with a text as its input: no process of ours is left that a key for the program could end, too. Variables
    /// are set as given. Comes back only if that fails.
    #[must_use]
    pub fn become_it_reading(&self, text: &[u8], variables: &[(&str, &str)]) -> std::io::Error {
        let input = || -> std::io::Result<std::fs::File> {
            use std::io::{Seek as _, Write as _};
            // It has no name any more: it goes away with the program.
            let mut file = tempfile::tempfile()?;
            file.write_all(text)?;
            file.rewind()?;
            Ok(file)
        };
        match input() {
            Ok(input) => {
                let mut command = self.command();
                command.stdin(input).envs(variables.iter().copied()).exec()
            }
            Err(error) => error,
        }
    }

    /// Runs the program without input, and waits for what it says.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn ask(&self) -> Result<Answer> {
        let mut command = self.command();
        command.stdin(Stdio::null());
        let output = command.output().context("run", &self.file)?;
        let text = [output.stdout, output.stderr].concat();
        Ok(Answer {
            is_success: output.status.success(),
            text: String::from_utf8_lossy(&text).trim().to_owned(),
        })
    }
}
