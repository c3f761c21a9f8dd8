//! A repository with a vault and one of the gits of this machine, in which hooks fire and their workers are waited for.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use git_vault::vault::pending::Pending;

use super::gits::Git;
use super::{Said, Sandbox, files};

pub struct Hooked {
    pub sandbox: Sandbox,
    pub git: Git,
    pub source: PathBuf,
    /// How long workers wait for quiet, in milliseconds.
    pub quiet: &'static str,
}

/// What a snapshot was made by, and its id.
pub type Made = (String, String);

impl Hooked {
    /// With two commits and one snapshot; nothing is installed yet.
    pub fn new(git: &Git) -> Self {
        let sandbox = Sandbox::new();
        let source = sandbox.init("source");
        files::write(&source, "a.txt", "one\n");
        sandbox.commit(&source, "one");
        files::write(&source, "a.txt", "one\ntwo\n");
        files::write(&source, "b.txt", "b\n");
        sandbox.commit(&source, "two");
        let _id = sandbox.snapshot(&source);
        Self {
            sandbox,
            git: git.clone(),
            source,
            quiet: "0",
        }
    }

    /// With hooks installed.
    pub fn installed(git: &Git) -> Self {
        let hooked = Self::new(git);
        let _said = hooked.vault(&["hooks", "install"]).succeeded();
        hooked
    }

    /// A branch that left `main` one commit ago, with a commit of its own.
    pub fn on_topic(&self, file: &str) {
        self.git(&["checkout", "-q", "-b", "topic", "HEAD~1"]);
        files::write(&self.source, file, "mine\n");
        self.git(&["add", file]);
        self.git(&["commit", "-qm", "mine"]);
    }

    fn prepare(&self, program: impl AsRef<std::ffi::OsStr>, directory: &Path) -> Command {
        let mut command = self.sandbox.command(program, directory);
        command
            .env("PATH", self.git.path())
            .env("GIT_VAULT_HOOK_QUIET", self.quiet);
        command
    }

    /// Git as a command still to be given arguments.
    pub fn git_command(&self, directory: &Path) -> Command {
        self.prepare(&self.git.program, directory)
    }

    /// The program as a command still to be given arguments.
    pub fn vault_command(&self, directory: &Path) -> Command {
        self.prepare(env!("CARGO_BIN_EXE_git-vault"), directory)
    }

    /// A line of the shell.
    pub fn shell_command(&self, line: &str) -> Command {
        let mut command = self.prepare("sh", &self.source);
        command.args(["-c", line]);
        command
    }

    /// The same for a shell that knows more than the standard asks for.
    pub fn bash_command(&self, line: &str) -> Command {
        let mut command = self.prepare("bash", &self.source);
        command.args(["-c", line]);
        command
    }

    /// Runs git in a directory, however it ends.
    pub fn try_git_in(&self, directory: &Path, arguments: &[&str]) -> Output {
        let mut command = self.git_command(directory);
        command.args(arguments).output().expect("git starts")
    }

    /// Runs git in a directory, which must succeed, and waits for what its hooks have started.
    #[track_caller]
    pub fn git_in(&self, directory: &Path, arguments: &[&str]) {
        let output = self.try_git_in(directory, arguments);
        self.assert_success(arguments, &output);
        self.wait();
    }

    #[track_caller]
    pub fn git(&self, arguments: &[&str]) {
        self.git_in(&self.source, arguments);
    }

    #[track_caller]
    pub fn assert_success(&self, arguments: &[&str], output: &Output) {
        assert!(
            output.status.success(),
            "git {} {arguments:?}: {:?}\n{}{}",
            self.git.version,
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }

    pub fn vault_in(&self, directory: &Path, arguments: &[&str]) -> Said {
        let mut command = self.vault_command(directory);
        let output = command.args(arguments).output().expect("it starts");
        let what = format!(
            "git-vault {} (git {})",
            arguments.join(" "),
            self.git.version
        );
        Said::new(what, output)
    }

    pub fn vault(&self, arguments: &[&str]) -> Said {
        self.vault_in(&self.source, arguments)
    }

    pub fn state(&self) -> PathBuf {
        self.sandbox.path("state/git-vault")
    }

    pub fn pending_of(&self, git_dir: &Path) -> Pending {
        Pending::of(&self.state(), git_dir)
    }

    pub fn pending(&self) -> Pending {
        self.pending_of(&self.source.join(".git"))
    }

    /// Waits for the worker that a hook has started: it holds its lock from its first moment to its last.
    pub fn wait(&self) {
        Self::wait_for(&self.pending());
    }

    pub fn wait_for(pending: &Pending) {
        if let Ok(file) = File::open(pending.lock_file()) {
            let exclusive = rustix::fs::FlockOperation::LockExclusive;
            rustix::fs::flock(&file, exclusive).expect("the lock of the worker");
            Self::give_back(&file);
        }
    }

    /// Gives back a lock at once: a file that is only closed may still be open in a child that another test is just starting.
    pub fn give_back(file: &File) {
        rustix::fs::flock(file, rustix::fs::FlockOperation::Unlock).expect("given back");
    }

    /// What each snapshot was made by, the oldest first.
    #[track_caller]
    pub fn made(&self) -> Vec<Made> {
        self.made_in(&self.source)
    }

    #[track_caller]
    pub fn made_in(&self, directory: &Path) -> Vec<Made> {
        let answer = self
            .vault_in(directory, &["--json", "list"])
            .succeeded()
            .json();
        let all = answer["snapshots"].as_array().expect("an array").clone();
        let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
        all.iter()
            .map(|one| (text(&one["trigger"]), text(&one["id"])))
            .collect()
    }

    #[track_caller]
    pub fn triggers(&self) -> Vec<String> {
        self.made()
            .into_iter()
            .map(|(trigger, _)| trigger)
            .collect()
    }

    /// What the programs of hooks are told by git, as far as tests tell it themselves.
    pub fn hook(&self, words: &[&str]) -> Output {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let mut command = self.vault_command(&self.source);
        command.arg("hook").args(words);
        command.output().expect("it starts")
    }
}

/// The answers of `hooks` by purpose: the state of each part.
#[track_caller]
pub fn states(said: &Said) -> Vec<(String, String)> {
    let answer = said.json();
    let parts = answer["parts"].as_array().expect("an array");
    let text = |value: &serde_json::Value| value.as_str().expect("text").to_owned();
    parts
        .iter()
        .map(|part| (text(&part["purpose"]), text(&part["state"])))
        .collect()
}
