//! A small vault to be broken, runs of the program that cannot hang, and a way back to how everything was.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use git_vault::model::refusal_code::RefusalCode;

use crate::support::files::{append, at, write};
use crate::support::listing::{self, Listing};
use crate::support::{Kind, RepoState, Said, Sandbox, states};

/// Longer than any run takes on a busy machine; only a run that hangs reaches it.
const HANGING: Duration = Duration::from_secs(120);

/// Directories of the sandbox that the program writes to.
const OURS: [&str; 3] = ["config", "data", "state"];

/// How thorough the sweeps are: 1 by default, 10 for everything.
pub fn effort() -> usize {
    let wanted = std::env::var("GIT_VAULT_TEST_EFFORT").ok();
    wanted
        .map_or(1, |text| {
            text.parse().expect("GIT_VAULT_TEST_EFFORT is a number")
        })
        .max(1)
}

/// Runs a command to its end; a run that hangs is killed and fails the test.
#[track_caller]
pub fn bounded(mut command: Command, label: &str) -> Said {
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    let child = command.spawn().expect("the program starts");
    let id = child.id().to_string();
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || sender.send(child.wait_with_output()));
    match receiver.recv_timeout(HANGING) {
        Ok(output) => Said::new(label.to_owned(), output.expect("its output")),
        Err(_) => {
            let _status = Command::new("kill").args(["-KILL", &id]).status();
            panic!("this hung for {HANGING:?}: {label}");
        }
    }
}

/// Runs the program in a directory, bounded.
#[track_caller]
pub fn run(sandbox: &Sandbox, directory: &Path, arguments: &[&str]) -> Said {
    let mut command = sandbox.vault_command(directory);
    command.args(arguments);
    bounded(command, &format!("git-vault {}", arguments.join(" ")))
}

/// The code of a refusal in its due form, or what is wrong with how the run ended.
pub fn refusal(said: &Said) -> Result<RefusalCode, String> {
    let stderr = String::from_utf8_lossy(&said.stderr);
    if stderr.contains("panicked") {
        return Err(format!("a panic\n{said}"));
    }
    let first = stderr.lines().next().unwrap_or_default();
    let word = first
        .split_ascii_whitespace()
        .find(|word| word.starts_with("GV-"));
    let code = word.and_then(RefusalCode::parse);
    match code {
        Some(code) if first.starts_with("REFUSED") => {
            let is_due = said.code == Some(i32::from(code.exit())) && code != RefusalCode::Internal;
            is_due
                .then_some(code)
                .ok_or_else(|| format!("an undue exit status\n{said}"))
        }
        _ => Err(format!("neither success nor a refusal\n{said}")),
    }
}

/// The vault of the one repository in a sandbox.
#[track_caller]
pub fn only_vault(sandbox: &Sandbox) -> PathBuf {
    let vaults = vaults(sandbox);
    assert_eq!(vaults.len(), 1, "one vault, not {vaults:?}");
    vaults.into_iter().next().expect("a vault")
}

/// Every vault in the sandbox's vault home, sorted.
pub fn vaults(sandbox: &Sandbox) -> Vec<PathBuf> {
    let home = sandbox.path("data/git-vault/vaults");
    let Ok(entries) = fs::read_dir(home) else {
        return Vec::new();
    };
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut vaults: Vec<_> = paths
        .filter(|path| {
            path.extension()
                .is_some_and(|extension| extension == "vault")
        })
        .collect();
    vaults.sort();
    vaults
}

/// Everything under a directory but the times of what is restored as it was stored and not as it was captured.
pub fn restored_listing(directory: &Path) -> Listing {
    let mut listing = listing::list(directory, &|_| true);
    for (name, entry) in &mut listing {
        if name.starts_with(b".git/objects") {
            entry.mtime_nanoseconds = 0;
        }
    }
    listing
}

/// Copies a directory with the modes in it, by names of any bytes.
#[track_caller]
pub fn copy_tree(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the directory is made");
    for entry in fs::read_dir(from).expect("the directory is read") {
        let entry = entry.expect("an entry");
        let (path, target) = (entry.path(), to.join(entry.file_name()));
        let kind = entry.file_type().expect("its kind");
        if kind.is_dir() {
            copy_tree(&path, &target);
        } else if kind.is_symlink() {
            let text = fs::read_link(&path).expect("the link is read");
            std::os::unix::fs::symlink(text, &target).expect("the link is made");
        } else {
            let _bytes = fs::copy(&path, &target).expect("the file is copied");
        }
    }
    let mode = fs::metadata(from).expect("its mode").permissions().mode();
    fs::set_permissions(to, fs::Permissions::from_mode(mode)).expect("the mode is set");
}

/// Removes everything in a directory, which may be a mount point.
#[track_caller]
pub fn make_empty(directory: &Path) {
    for entry in fs::read_dir(directory).expect("the directory is read") {
        let path = entry.expect("an entry").path();
        if path.is_dir() && !path.is_symlink() {
            fs::remove_dir_all(path).expect("the directory is removed");
        } else {
            fs::remove_file(path).expect("the file is removed");
        }
    }
}

/// Stops the test if there is any complaint.
#[track_caller]
pub fn assert_none(wrong: &[String]) {
    assert!(
        wrong.is_empty(),
        "{} complaints:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// A snapshot and what its restore must be.
pub struct Sealed {
    pub id: String,
    pub restored: Listing,
}

/// A repository with three snapshots in its vault.
pub struct Laboratory {
    pub sandbox: Sandbox,
    pub source: PathBuf,
    pub vault: PathBuf,
    pub sealed: Vec<Sealed>,
}

impl Laboratory {
    #[track_caller]
    pub fn new() -> Self {
        let sandbox = Sandbox::new();
        let source = states::small_repository(&sandbox);
        let mut sealed = Vec::new();

        append(&source, "README.md", "staged\n");
        sandbox.git(&source, &["add", "--all"]);
        append(&source, "README.md", "not staged\n");
        write(&source, "untracked/first.txt", "untracked\n");
        sealed.push(seal(&sandbox, &source));

        sandbox.commit(&source, "fourth");
        append(&source, "src/one.txt", "six\n");
        sealed.push(seal(&sandbox, &source));

        write(
            &source,
            "untracked/second.txt",
            "only in the working tree\n",
        );
        sealed.push(seal(&sandbox, &source));

        let vault = only_vault(&sandbox);
        for name in OURS {
            copy_tree(
                &sandbox.path(name),
                &sandbox.path(&format!("pristine/{name}")),
            );
        }
        Self {
            sandbox,
            source,
            vault,
            sealed,
        }
    }

    /// Puts vault, keys and states back to how they were made.
    #[track_caller]
    pub fn reset(&self) {
        for name in OURS {
            make_empty(&self.sandbox.path(name));
            copy_tree(
                &self.sandbox.path(&format!("pristine/{name}")),
                &self.sandbox.path(name),
            );
        }
    }

    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Said {
        run(&self.sandbox, &self.source, arguments)
    }

    /// The paths of all files in the vault, relative to it.
    pub fn files(&self) -> Vec<Vec<u8>> {
        let all = listing::list(&self.vault, &|_| true);
        let is_file = |path: &Path| {
            path.symlink_metadata()
                .is_ok_and(|metadata| metadata.is_file())
        };
        all.into_keys()
            .filter(|name| is_file(&at(&self.vault, name)))
            .collect()
    }

    /// The paths of all directories in the vault, relative to it.
    pub fn directories(&self) -> Vec<Vec<u8>> {
        let all = listing::list(&self.vault, &|_| true);
        all.into_keys()
            .filter(|name| name != b"." && at(&self.vault, name).is_dir())
            .collect()
    }

    pub fn vault_listing(&self) -> Listing {
        listing::list(&self.vault, &|_| true)
    }

    /// Restores a snapshot and says what is wrong: anything but the whole original, or a refusal that left nothing.
    pub fn restore_or_refuse(&self, sealed: &Sealed) -> Restored {
        let destination = self.sandbox.path("out");
        let said = self.run(&[
            "restore",
            &sealed.id,
            destination.to_str().expect("a UTF-8 path"),
        ]);
        let outcome = if said.code == Some(0) {
            let found = restored_listing(&destination);
            let differences = listing::differences("restored", &sealed.restored, &found);
            if differences.is_empty() {
                Restored::Whole
            } else {
                Restored::Wrong(format!(
                    "a wrong restore:\n  {}\n{said}",
                    differences.join("\n  ")
                ))
            }
        } else if destination.symlink_metadata().is_ok() {
            Restored::Wrong(format!("a destination is left behind\n{said}"))
        } else {
            refusal(&said).map_or_else(Restored::Wrong, |_| Restored::Refused(said))
        };
        self.sweep_away_restores();
        outcome
    }

    /// Removes the destination and what interrupted restores keep as evidence.
    pub fn sweep_away_restores(&self) {
        let mut left = vec![self.sandbox.path("out")];
        left.extend(restore_leftovers(&self.sandbox));
        for path in left {
            if path.symlink_metadata().is_ok() {
                fs::remove_dir_all(path).expect("the copy is removed");
            }
        }
    }
}

/// What unfinished restores to places in the sandbox have left beside them.
pub fn restore_leftovers(sandbox: &Sandbox) -> Vec<PathBuf> {
    let entries = fs::read_dir(sandbox.path("")).expect("the sandbox is read");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let is_leftover = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with(".git-vault-restore-")
    };
    paths.filter(is_leftover).collect()
}

/// How a restore ended.
pub enum Restored {
    Whole,
    Refused(Said),
    Wrong(String),
}

#[track_caller]
fn seal(sandbox: &Sandbox, source: &Path) -> Sealed {
    let original = RepoState::capture(sandbox, source, Kind::Workspace);
    let id = sandbox.snapshot(source);
    let destination = sandbox.restore(source, &id, "reference");
    let restored = restored_listing(&destination);
    let found = RepoState::capture(sandbox, &destination, Kind::Workspace);
    RepoState::assert_same_workspace(&original.without_ignored(), &found);
    fs::remove_dir_all(destination).expect("the copy is removed");
    Sealed { id, restored }
}
