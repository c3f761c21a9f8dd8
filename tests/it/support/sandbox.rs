//! A temporary place with its own home, in which real git and the program run cut off from the machine's settings.
//!
//! It lies under `TMPDIR`; on `/dev/shm` the whole bench takes half as long as on ext4, which is slow to reuse inodes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};

use tempfile::TempDir;

use super::Said;
use super::files;

/// The date of the first commit; each later git command is a minute after the one before.
const FIRST_COMMIT_SECONDS: u64 = 1_700_000_000;

const GLOBAL_CONFIG: &str = "\
[user]
\tname = A U Thor
\temail = author@example.com
[init]
\tdefaultBranch = main
[gc]
\tauto = 0
[maintenance]
\tauto = false
[advice]
\tdetachedHead = false
";

pub struct Sandbox {
    root: PathBuf,
    clock_seconds: AtomicU64,
    _directory: TempDir,
}

impl Sandbox {
    pub fn new() -> Self {
        Self::below(&std::env::temp_dir())
    }

    /// One on the disk that the project is built on: the directory for temporary files may be in memory.
    pub fn on_disk() -> Self {
        Self::below(Path::new(env!("CARGO_TARGET_TMPDIR")))
    }

    fn below(place: &Path) -> Self {
        let directory = TempDir::with_prefix_in("git-vault-test-", place);
        let directory = directory.expect("a temporary directory");
        let root = directory.path().canonicalize().expect("its real path");
        for name in ["home", "config", "data", "state", "tmp", "work"] {
            files::mkdir(&root, name);
        }
        files::write(&root, "home/.gitconfig", GLOBAL_CONFIG);
        Self {
            root,
            clock_seconds: AtomicU64::new(FIRST_COMMIT_SECONDS),
            _directory: directory,
        }
    }

    /// A place inside the sandbox, which need not exist.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    pub fn home(&self) -> PathBuf {
        self.path("home")
    }

    /// Where the builders put repositories: all of it belongs to the user, none of it to the program.
    pub fn workplace(&self) -> PathBuf {
        self.path("work")
    }

    /// The file that hooks, filters and other planted commands create, should anything run them.
    pub fn marker(&self) -> PathBuf {
        self.path("a-planted-command-was-run")
    }

    pub fn forget_marker(&self) {
        if self.marker().exists() {
            std::fs::remove_file(self.marker()).expect("the marker is removed");
        }
    }

    /// The same with a setting of the user before anything is made, such as the object format of new repositories.
    pub fn with_setting(section: &str, line: &str) -> Self {
        let sandbox = Self::new();
        let setting = format!("[{section}]\n\t{line}\n");
        files::append(&sandbox.home(), ".gitconfig", setting);
        sandbox
    }

    /// Sets the date of the next command, so that two repositories can be given the same commits.
    pub fn set_clock(&self, seconds: u64) {
        self.clock_seconds.store(seconds, Ordering::Relaxed);
    }

    /// A new repository on branch `main`, without commits.
    pub fn init(&self, name: &str) -> PathBuf {
        let repository = files::mkdir(&self.workplace(), name);
        self.git(&repository, &["init", "--quiet"]);
        repository
    }

    /// Stages everything and commits it.
    pub fn commit(&self, directory: &Path, message: &str) {
        self.git(directory, &["add", "--all"]);
        self.git(directory, &["commit", "--quiet", "-m", message]);
    }

    /// Runs git, which must succeed, and returns its stdout.
    #[track_caller]
    pub fn git(&self, directory: &Path, arguments: &[&str]) -> Vec<u8> {
        self.git_with(directory, &[], arguments)
    }

    /// The same as text without the last newline.
    #[track_caller]
    pub fn git_text(&self, directory: &Path, arguments: &[&str]) -> String {
        let text = String::from_utf8(self.git(directory, arguments)).expect("git says UTF-8");
        text.trim_end_matches('\n').to_owned()
    }

    /// The same with more environment.
    #[track_caller]
    pub fn git_with(
        &self,
        directory: &Path,
        environment: &[(&str, &str)],
        arguments: &[&str],
    ) -> Vec<u8> {
        let output = self.try_git_with(directory, environment, arguments);
        assert!(
            output.status.success(),
            "git {arguments:?} should have succeeded\n{}",
            describe(&output)
        );
        output.stdout
    }

    /// Runs git, which must stop with an error, as a merge with a conflict does.
    #[track_caller]
    pub fn git_stops(&self, directory: &Path, arguments: &[&str]) {
        let output = self.try_git(directory, arguments);
        assert!(
            output.status.code().is_some_and(|code| code != 0),
            "git {arguments:?} should have stopped\n{}",
            describe(&output)
        );
    }

    /// Runs git, however it ends.
    pub fn try_git(&self, directory: &Path, arguments: &[&str]) -> Output {
        self.try_git_with(directory, &[], arguments)
    }

    pub fn try_git_with(
        &self,
        directory: &Path,
        environment: &[(&str, &str)],
        arguments: &[&str],
    ) -> Output {
        let mut command = self.command("git", directory);
        command.envs(environment.iter().copied()).args(arguments);
        command.output().expect("git starts")
    }

    /// Runs the program in a directory.
    pub fn vault(&self, directory: &Path, arguments: &[&str]) -> Said {
        self.vault_with(directory, &[], arguments)
    }

    /// The same with more environment.
    pub fn vault_with(
        &self,
        directory: &Path,
        environment: &[(&str, &str)],
        arguments: &[&str],
    ) -> Said {
        let mut command = self.vault_command(directory);
        command.envs(environment.iter().copied()).args(arguments);
        let output = command.output().expect("the program starts");
        Said::new(format!("git-vault {}", arguments.join(" ")), output)
    }

    /// The program as a command still to be given arguments, for tests that start it in their own way.
    pub fn vault_command(&self, directory: &Path) -> Command {
        self.command(env!("CARGO_BIN_EXE_git-vault"), directory)
    }

    /// Takes a snapshot and returns its id.
    #[track_caller]
    pub fn snapshot(&self, directory: &Path) -> String {
        let said = self.vault(directory, &["--json", "snapshot"]).succeeded();
        let answer = said.json();
        let id = answer.pointer("/snapshot/id").and_then(|id| id.as_str());
        id.unwrap_or_else(|| panic!("the answer should name the snapshot\n{said}"))
            .to_owned()
    }

    /// Restores a snapshot of the repository in `directory` to a place inside the sandbox.
    #[track_caller]
    pub fn restore(&self, directory: &Path, id: &str, name: &str) -> PathBuf {
        let destination = self.path(name);
        let text = destination.to_str().expect("a UTF-8 path");
        let _said = self.vault(directory, &["restore", id, text]).succeeded();
        destination
    }

    /// A faithful copy made by `cp -a`, the stand-in for a snapshot and its restore.
    #[track_caller]
    pub fn copy(&self, original: &Path, name: &str) -> PathBuf {
        let destination = self.path(name);
        let mut command = self.command("cp", &self.root);
        command.arg("-a").arg(original).arg(&destination);
        let output = command.output().expect("cp starts");
        assert!(output.status.success(), "{}", describe(&output));
        destination
    }

    /// A child process that sees nothing of the machine but `PATH`.
    pub fn command(&self, program: impl AsRef<OsStr>, directory: &Path) -> Command {
        let seconds = self.clock_seconds.fetch_add(60, Ordering::Relaxed);
        let date = format!("{seconds} +0000");
        let mut command = Command::new(program);
        command
            .current_dir(directory)
            .stdin(Stdio::null())
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("HOME", self.home())
            .env("XDG_CONFIG_HOME", self.path("config"))
            .env("XDG_DATA_HOME", self.path("data"))
            .env("XDG_STATE_HOME", self.path("state"))
            .env("TMPDIR", self.path("tmp"))
            .env("TZ", "UTC")
            .env("LANG", "C")
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .env("GIT_CONFIG_GLOBAL", self.home().join(".gitconfig"))
            .env("GIT_TERMINAL_PROMPT", "0")
            .env("GIT_EDITOR", "true")
            .env("GIT_AUTHOR_NAME", "A U Thor")
            .env("GIT_AUTHOR_EMAIL", "author@example.com")
            .env("GIT_AUTHOR_DATE", &date)
            .env("GIT_COMMITTER_NAME", "C O Mitter")
            .env("GIT_COMMITTER_EMAIL", "committer@example.com")
            .env("GIT_COMMITTER_DATE", &date);
        command
    }
}

impl Drop for Sandbox {
    /// Gives back to ourselves what a state took away, or the temporary directory could not be removed.
    fn drop(&mut self) {
        let mut command = self.command("chmod", &self.root);
        let _status = command.args(["-R", "u+rwX", "."]).output();
    }
}

fn describe(output: &Output) -> String {
    format!(
        "exit: {:?}\n--- stdout\n{}\n--- stderr\n{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}
