//! Programs that this one runs for its user: the command that was guarded, and the system's scheduler.

use std::ffi::{OsStr, OsString};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::process::CommandExt as _;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;

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

/// How a program ended that somebody waits for, but not for ever.
#[derive(Debug)]
pub enum End {
    /// It came to its own end, with this status, after it had written this.
    Answered {
        /// The exit status.
        status: i32,
        /// What it wrote as its answer.
        answer: Vec<u8>,
        /// What it complained about.
        complaint: Vec<u8>,
    },
    /// A signal ended it.
    Signal(i32),
    /// It is still at work, and goes on.
    Late,
}

/// This very program, also where its file was replaced meanwhile.
///
/// # Errors
/// When it is not known where it lies.
pub fn itself() -> Result<PathBuf> {
    let link = Path::new("/proc/self/exe");
    if link.exists() {
        return Ok(link.to_owned());
    }
    std::env::current_exe().context("find", Path::new("this program"))
}

impl Program {
    /// Runs the program with an input, and waits for its end, but no longer than that.
    ///
    /// # Errors
    /// When it cannot be run.
    pub fn attempt(&self, input: Vec<u8>, patience: Duration) -> Result<End> {
        let mut command = self.command();
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command
            .stderr(Stdio::piped())
            .spawn()
            .context("run", &self.file)?;
        let stdin = child.stdin.take();
        let thread = std::thread::Builder::new;
        let feed = thread().spawn(move || {
            // Whoever does not read all of it has read enough.
            stdin.map(|mut stdin| stdin.write_all(&input))
        });
        let (sender, receiver) = mpsc::channel();
        let wait = thread().spawn(move || sender.send(child.wait_with_output()));
        // Where there may be no more threads, the program goes on, and nobody hears of it.
        feed.context("feed", &self.file)?;
        wait.context("wait for", &self.file)?;
        match receiver.recv_timeout(patience) {
            Ok(output) => output.map(End::from).context("wait for", &self.file),
            Err(_) => Ok(End::Late),
        }
    }

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

impl From<Output> for End {
    fn from(output: Output) -> Self {
        match output.status.code() {
            Some(status) => Self::Answered {
                status,
                answer: output.stdout,
                complaint: output.stderr,
            },
            None => Self::Signal(output.status.signal().unwrap_or_default()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn attempt(script: &str, input: &[u8], patience: Duration) -> End {
        let program = Program {
            file: "/bin/sh".into(),
            name: "sh".into(),
            arguments: vec!["-c".into(), script.into()],
            directory: "/".into(),
        };
        program.attempt(input.to_vec(), patience).unwrap()
    }

    #[test]
    fn every_end_of_a_program_is_told_apart() {
        let long = Duration::from_secs(60);
        let input = vec![b'x'; 1 << 20];
        let said = attempt("wc -c; echo no >&2; exit 7", &input, long);
        let End::Answered {
            status,
            answer,
            complaint,
        } = said
        else {
            panic!("{said:?}");
        };
        assert_eq!((status, &complaint[..]), (7, &b"no\n"[..]));
        assert_eq!(String::from_utf8_lossy(&answer).trim(), "1048576");
        let said = attempt("exec <&-; kill -9 $$", &input, long);
        assert!(matches!(said, End::Signal(9)), "{said:?}");
        let said = attempt("read line", b"", long);
        assert!(matches!(said, End::Answered { status: 1, .. }), "{said:?}");
        let said = attempt("exec sleep 5", b"", Duration::from_millis(1));
        assert!(matches!(said, End::Late), "{said:?}");
    }
}
