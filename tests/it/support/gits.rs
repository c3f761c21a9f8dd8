//! The gits of this machine: hooks are tried with each of them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// One git.
#[derive(Clone, Debug)]
pub struct Git {
    pub program: PathBuf,
    pub version: String,
    pub numbers: (u32, u32),
}

impl Git {
    /// Whether it takes hooks from its settings.
    pub fn has_hooks_in_settings(&self) -> bool {
        self.numbers >= (2, 54)
    }

    /// A path on which it is the first git.
    pub fn path(&self) -> std::ffi::OsString {
        let directory = self.program.parent().expect("a directory");
        let rest = std::env::var_os("PATH").unwrap_or_default();
        let all = std::iter::once(directory.to_owned()).chain(std::env::split_paths(&rest));
        std::env::join_paths(all).expect("a path")
    }
}

fn ask(program: &Path) -> Option<Git> {
    let output = Command::new(program).arg("version").output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let version = text.trim().strip_prefix("git version ")?.to_owned();
    let mut numbers = version.split('.').map(|part| part.parse().unwrap_or(0));
    Some(Git {
        program: program.to_owned(),
        numbers: (numbers.next()?, numbers.next()?),
        version,
    })
}

/// Every version of git on this machine, and those that `GIT_VAULT_TEST_GITS` names, a list like `PATH` of programs. Says aloud
/// what was not tried.
pub fn gits() -> Vec<Git> {
    let named = std::env::var_os("GIT_VAULT_TEST_GITS").unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let usual = ["/usr/local/bin", "/usr/bin"].map(PathBuf::from);
    let found = std::env::split_paths(&path)
        .chain(usual)
        .map(|directory| directory.join("git"));
    let mut seen = BTreeSet::new();
    let programs = std::env::split_paths(&named).chain(found);
    let gits: Vec<Git> = programs
        .filter(|program| program.is_absolute() && program.is_file())
        .filter_map(|program| ask(&program))
        .filter(|git| seen.insert(git.version.clone()))
        .collect();
    assert!(!gits.is_empty(), "there is no git");
    if !gits.iter().any(Git::has_hooks_in_settings) {
        eprintln!(
            "SKIPPED: hooks in settings: no git 2.54 or newer here; GIT_VAULT_TEST_GITS may name one"
        );
    }
    gits
}
