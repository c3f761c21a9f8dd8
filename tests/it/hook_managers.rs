//! Beside the real programs that manage hooks: where places are taken nothing is installed and the advice works, and where hooks are
//! settings both run, whoever comes first and whoever goes.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::support::files::{append, chmod, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::gits::gits;
use crate::support::hooked::Hooked;

/// A program that manages hooks: how it is installed and taken away in a repository, and where advice for `post-commit` goes.
struct Manager {
    name: &'static str,
    prepare: fn(&Path, &str),
    install: &'static [&'static str],
    uninstall: &'static [&'static str],
}

/// One entry of the configuration of pre-commit and prek.
fn hooks_of_pre_commit(source: &Path, advice: &str) {
    let usual = "{id: x, name: x, language: system, entry: \"true\", stages: [post-commit], always_run: true}";
    let hook = if advice.is_empty() { usual } else { advice };
    let text = format!("repos:\n- repo: local\n  hooks:\n  - {hook}\n");
    write(source, ".pre-commit-config.yaml", text);
}

fn hooks_of_lefthook(source: &Path, advice: &str) {
    let usual = "post-commit: {commands: {x: {run: \"true\"}}}";
    let text = if advice.is_empty() { usual } else { advice };
    write(source, "lefthook.yml", format!("{text}\n"));
}

fn hooks_of_husky(source: &Path, advice: &str) {
    write(source, ".husky/post-commit", format!("{advice}\n"));
}

fn hooks_of_lfs(source: &Path, advice: &str) {
    if !advice.is_empty() {
        append(
            &source.join(".git/hooks"),
            "post-commit",
            format!("{advice}\n"),
        );
    }
}

const MANAGERS: [Manager; 5] = [
    Manager {
        name: "husky",
        prepare: hooks_of_husky,
        install: &["husky"],
        uninstall: &["git", "config", "--unset", "core.hooksPath"],
    },
    Manager {
        name: "lefthook",
        prepare: hooks_of_lefthook,
        install: &["lefthook", "install"],
        uninstall: &["lefthook", "uninstall"],
    },
    Manager {
        name: "pre-commit",
        prepare: hooks_of_pre_commit,
        install: &["pre-commit", "install", "--hook-type", "post-commit"],
        uninstall: &["pre-commit", "uninstall", "--hook-type", "post-commit"],
    },
    Manager {
        name: "prek",
        prepare: hooks_of_pre_commit,
        install: &["prek", "install", "--hook-type", "post-commit"],
        uninstall: &["prek", "uninstall", "--hook-type", "post-commit"],
    },
    Manager {
        name: "git-lfs",
        prepare: hooks_of_lfs,
        install: &["git", "lfs", "install", "--local"],
        uninstall: &["git", "lfs", "uninstall", "--local"],
    },
];

/// Where managers are looked for: `GIT_VAULT_TEST_MANAGERS`, a list like `PATH` of directories, and the path.
fn places() -> Vec<PathBuf> {
    let named = std::env::var_os("GIT_VAULT_TEST_MANAGERS").unwrap_or_default();
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&named)
        .chain(std::env::split_paths(&path))
        .collect()
}

fn is_there(manager: &Manager) -> bool {
    let found = places()
        .iter()
        .any(|place| place.join(manager.name).is_file());
    if !found {
        eprintln!(
            "SKIPPED: {}: not here; GIT_VAULT_TEST_MANAGERS may say where it is",
            manager.name
        );
    }
    found
}

fn with_managers<'a>(hooked: &Hooked, command: &'a mut Command) -> &'a mut Command {
    let first = hooked.git.program.parent().expect("a directory").to_owned();
    let all = std::iter::once(first).chain(places());
    command.env("PATH", std::env::join_paths(all).expect("a path"))
}

#[track_caller]
fn run(hooked: &Hooked, words: &[&str]) {
    let mut command = hooked.sandbox.command(words[0], &hooked.source);
    with_managers(hooked, &mut command).args(&words[1..]);
    let output = command.output().expect("it starts");
    hooked.assert_success(words, &output);
}

/// A commit with everything on the path, after which there must be a snapshot that it made, or none.
#[track_caller]
fn commits(hooked: &Hooked, manager: &Manager, due: bool) {
    append(&hooked.source, "a.txt", "x\n");
    let before = hooked.made().len();
    let mut command = hooked.git_command(&hooked.source);
    let output = with_managers(hooked, &mut command)
        .args(["commit", "-qam", "x"])
        .output();
    hooked.assert_success(&["commit"], &output.expect("git starts"));
    hooked.wait();
    let made = hooked.triggers().split_off(before);
    let name = manager.name;
    assert_eq!(
        made.iter().any(|one| one == "hook/post-commit"),
        due,
        "{name} {:?}",
        hooked.git
    );
}

fn scene(git: &crate::support::gits::Git, manager: &Manager) -> Hooked {
    let hooked = Hooked::new(git);
    (manager.prepare)(&hooked.source, "");
    hooked.git(&["add", "."]);
    hooked.git(&["commit", "-q", "--allow-empty", "-m", "configured"]);
    hooked
}

#[test]
fn where_a_manager_keeps_the_places_its_advice_does_the_same() {
    for manager in MANAGERS.iter().filter(|manager| is_there(manager)) {
        for git in gits().iter().filter(|git| !git.has_hooks_in_settings()) {
            let hooked = scene(git, manager);
            run(&hooked, manager.install);
            let before = Fingerprint::of(&hooked.sandbox.workplace());
            let said = hooked
                .vault(&["--json", "hooks", "install"])
                .refused("GV-5001");
            before.assert_untouched(&hooked.sandbox.workplace());
            let answer = said.json();
            let next = answer["next"].as_array().expect("an array");
            let commands = next.iter().filter_map(|step| step["command"].as_str());
            let advice = commands
                .into_iter()
                .find(|line| line.contains("hook post-commit"));
            (manager.prepare)(&hooked.source, advice.expect("advice"));
            hooked.git(&["add", "."]);
            if manager.name != "git-lfs" {
                run(&hooked, manager.install);
            }
            commits(&hooked, manager, true);
        }
    }
}

#[test]
fn as_settings_hooks_fire_beside_every_manager_whoever_comes_first_and_whoever_goes() {
    for manager in MANAGERS.iter().filter(|manager| is_there(manager)) {
        for git in gits().iter().filter(|git| git.has_hooks_in_settings()) {
            let hooked = scene(git, manager);
            run(&hooked, manager.install);
            let _said = hooked.vault(&["hooks", "install"]).succeeded();
            commits(&hooked, manager, true);
            run(&hooked, manager.uninstall);
            commits(&hooked, manager, true);
            run(&hooked, manager.install);
            commits(&hooked, manager, true);
            let _said = hooked.vault(&["hooks", "uninstall"]).succeeded();
            commits(&hooked, manager, false);

            let hooked = scene(git, manager);
            let _said = hooked.vault(&["hooks", "install"]).succeeded();
            run(&hooked, manager.install);
            commits(&hooked, manager, true);
            let _said = hooked.vault(&["hooks", "uninstall"]).succeeded();
            commits(&hooked, manager, false);
        }
    }
}

/// Where ours came first as files, managers do with them what they do with any foreign hook. What is left is said as it is.
#[test]
fn as_files_hooks_that_a_manager_has_pushed_aside_are_not_called_intact() {
    for manager in MANAGERS
        .iter()
        .filter(|manager| manager.name != "git-lfs" && is_there(manager))
    {
        for git in gits().iter().filter(|git| !git.has_hooks_in_settings()) {
            let hooked = scene(git, manager);
            let _said = hooked.vault(&["hooks", "install"]).succeeded();
            run(&hooked, manager.install);
            let said = hooked.vault(&["--json", "hooks", "status"]);
            assert_eq!(said.code, Some(3), "{}\n{said}", manager.name);
            let hook = hooked.source.join(".git/hooks/post-commit");
            let theirs = std::fs::read(&hook).ok();
            let said = hooked.vault(&["hooks", "uninstall"]);
            if manager.name != "husky" {
                assert_eq!(said.code, Some(3), "{}\n{said}", manager.name);
                assert_eq!(theirs, std::fs::read(&hook).ok(), "{}", manager.name);
                chmod(&hook, 0o755);
            }
        }
    }
}
