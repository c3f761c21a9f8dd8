//! Hooks that were installed for another place: a repository that was moved or copied, settings in two files, a state home that is
//! gone. What they are is said, and installing and uninstalling leave nothing of them behind.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::files::{append, chmod, symlink, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::gits::gits;
use crate::support::hooked::{Hooked, states};

/// What of a git directory decides which hooks run: the configuration and the hooks, with their modes.
fn ground(git_dir: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let hooks = fs::read_dir(git_dir.join("hooks")).into_iter().flatten();
    let hooks = hooks.map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<PathBuf> = hooks.chain([git_dir.join("config")]).collect();
    paths.sort();
    let look = |path: PathBuf| {
        let mode = fs::metadata(&path).expect("it is there").permissions();
        let bytes = fs::read(&path).expect("a file");
        let name = path.strip_prefix(git_dir).expect("below").to_owned();
        (name, mode.mode(), bytes)
    };
    paths.into_iter().map(look).collect()
}

fn of_state(said: &crate::support::Said, state: &str) -> Vec<String> {
    let all = states(said).into_iter();
    all.filter(|part| part.1 == state)
        .map(|part| part.0)
        .collect()
}

const WAYS: [&[&str]; 2] = [
    &["hooks", "install"],
    &["hooks", "install", "--last-second"],
];

fn install(hooked: &Hooked, directory: &Path, words: &[&str]) {
    let said = hooked.vault_in(directory, words);
    assert!([Some(0), Some(3)].contains(&said.code), "{said}");
}

#[test]
fn in_a_repository_that_has_moved_old_hooks_are_named_and_taken_away_to_the_last_byte() {
    for git in gits() {
        for words in WAYS {
            let hooked = Hooked::new(&git);
            append(&hooked.source.join(".git"), "config", "# no end");
            let before = ground(&hooked.source.join(".git"));
            install(&hooked, &hooked.source, words);
            let moved = hooked.sandbox.path("work/moved");
            fs::rename(&hooked.source, &moved).expect("moved");
            let untouched = Fingerprint::of(&hooked.sandbox.workplace());
            let said = hooked.vault_in(&moved, &["--json", "hooks", "status"]);
            untouched.assert_untouched(&hooked.sandbox.workplace());
            assert_eq!(said.code, Some(3), "{said}");
            assert!(of_state(&said, "foreign").is_empty(), "{said}");
            let elsewhere = of_state(&said, "elsewhere");
            let due = if git.has_hooks_in_settings() {
                "include"
            } else {
                "pre-rebase"
            };
            assert!(elsewhere.contains(&due.to_owned()), "{said}");
            let text = hooked.vault_in(&moved, &["hooks", "status"]).text();
            let old = hooked.source.join(".git");
            let why = format!(
                "written for '{}', which is not there any more",
                old.display()
            );
            assert!(
                text.contains(&why) && text.contains("-> git vault hooks uninstall"),
                "{text}"
            );
            let _said = hooked.vault_in(&moved, &["hooks", "uninstall"]).succeeded();
            assert!(before == ground(&moved.join(".git")), "{git:?} {words:?}");
            let said = hooked.vault_in(&moved, &["hooks", "status"]).succeeded();
            assert!(said.text().contains("none are installed"), "{said}");
        }
    }
}

#[test]
fn in_a_repository_that_has_moved_hooks_are_installed_in_place_of_the_old_ones() {
    for git in gits() {
        for words in WAYS {
            let hooked = Hooked::new(&git);
            let before = ground(&hooked.source.join(".git"));
            install(&hooked, &hooked.source, words);
            let old = hooked.pending().file().with_file_name("ledger.toml");
            assert!(old.exists());
            let moved = hooked.sandbox.path("work/moved");
            fs::rename(&hooked.source, &moved).expect("moved");
            let _said = hooked.vault_in(&moved, &["snapshot"]).succeeded();
            let text = hooked.vault_in(&moved, &["hooks", "status"]).text();
            assert!(
                text.contains("from where this repository was moved"),
                "{text}"
            );
            install(&hooked, &moved, words);
            assert!(!old.exists(), "nobody needs it");
            let said = hooked.vault_in(&moved, &["--json", "hooks", "status"]);
            assert!(of_state(&said, "elsewhere").is_empty(), "{said}");
            assert!(
                of_state(&said, "intact").contains(&"post-commit".to_owned()),
                "{said}"
            );
            let count = hooked.made_in(&moved).len();
            append(&moved, "a.txt", "more\n");
            let output = hooked.try_git_in(&moved, &["commit", "-qam", "more"]);
            hooked.assert_success(&["commit"], &output);
            Hooked::wait_for(&hooked.pending_of(&moved.join(".git")));
            assert_eq!(hooked.made_in(&moved).len(), count + 1);
            let _said = hooked.vault_in(&moved, &["hooks", "uninstall"]).succeeded();
            assert!(before == ground(&moved.join(".git")), "{git:?} {words:?}");
        }
    }
}

#[test]
fn hooks_of_a_copy_go_and_come_without_harm_to_those_of_the_original() {
    for git in gits() {
        for words in WAYS {
            let hooked = Hooked::new(&git);
            let before = ground(&hooked.source.join(".git"));
            install(&hooked, &hooked.source, words);
            let copy = hooked.sandbox.path("work/copy");
            let mut command = hooked.sandbox.command("cp", &hooked.sandbox.workplace());
            command.arg("-a").arg(&hooked.source).arg(&copy);
            assert!(command.status().expect("cp starts").success());
            let original = ground(&hooked.source.join(".git"));
            let said = hooked.vault_in(&copy, &["hooks", "status"]);
            assert_eq!(said.code, Some(3), "{said}");
            assert!(
                said.text().contains("which is another repository"),
                "{said}"
            );
            let _said = hooked.vault_in(&copy, &["snapshot"]).succeeded();
            install(&hooked, &copy, words);
            let said = hooked.vault_in(&copy, &["--json", "hooks", "status"]);
            assert!(of_state(&said, "elsewhere").is_empty(), "{said}");
            let _said = hooked.vault_in(&copy, &["hooks", "uninstall"]).succeeded();
            assert!(before == ground(&copy.join(".git")), "{git:?} {words:?}");
            assert!(original == ground(&hooked.source.join(".git")));
            let said = hooked.vault(&["--json", "hooks", "status"]);
            assert!(of_state(&said, "missing").is_empty(), "{said}");
            let count = hooked.triggers().len();
            append(&hooked.source, "a.txt", "more\n");
            hooked.git(&["commit", "-qam", "more"]);
            assert_eq!(hooked.triggers().len(), count + 1);
        }
    }
}

#[test]
fn a_hook_that_came_along_and_was_changed_is_not_ours() {
    for git in gits().iter().filter(|git| !git.has_hooks_in_settings()) {
        let hooked = Hooked::installed(git);
        append(&hooked.source, ".git/hooks/post-commit", "echo mine\n");
        let moved = hooked.sandbox.path("work/moved");
        fs::rename(&hooked.source, &moved).expect("moved");
        let kept = fs::read(moved.join(".git/hooks/post-commit")).expect("a hook");
        let _said = hooked.vault_in(&moved, &["snapshot"]).succeeded();
        let untouched = Fingerprint::of(&moved);
        let _said = hooked
            .vault_in(&moved, &["hooks", "install"])
            .refused("GV-5001");
        untouched.assert_untouched(&moved);
        let said = hooked.vault_in(&moved, &["--json", "hooks", "status"]);
        assert_eq!(of_state(&said, "foreign"), ["post-commit"]);
        let _said = hooked.vault_in(&moved, &["hooks", "uninstall"]).succeeded();
        let left = fs::read(moved.join(".git/hooks/post-commit")).expect("a hook");
        assert!(kept == left && !moved.join(".git/hooks/post-merge").exists());
    }
}

#[test]
fn hooks_of_which_the_notes_are_gone_are_taken_away_all_the_same() {
    for git in gits() {
        let hooked = Hooked::new(&git);
        let git_dir = hooked.source.join(".git");
        let before = ground(&git_dir);
        let _said = hooked.vault(&["hooks", "install"]).succeeded();
        fs::remove_dir_all(hooked.state().join("hooks")).expect("removed");
        let said = hooked.vault(&["--json", "hooks", "status"]);
        assert!(!of_state(&said, "elsewhere").is_empty(), "{said}");
        let _said = hooked.vault(&["hooks", "install"]).succeeded();
        let _said = hooked.vault(&["hooks", "status"]).succeeded();
        fs::remove_dir_all(hooked.state().join("hooks")).expect("removed");
        let _said = hooked.vault(&["hooks", "uninstall"]).succeeded();
        assert!(before == ground(&git_dir), "{git:?}");
    }
}

const GLOBAL: [&str; 2] = ["--scope", "global"];

/// With the files of settings that git has when nobody names another one.
fn global(hooked: &Hooked, word: &str) -> crate::support::Said {
    let mut command = hooked.vault_command(&hooked.source);
    command.env_remove("GIT_CONFIG_GLOBAL");
    command.args(["--json", "hooks", word]).args(GLOBAL);
    crate::support::Said::new(word.to_owned(), command.output().expect("it starts"))
}

#[test]
fn of_two_files_of_the_users_settings_none_keeps_an_include() {
    for git in gits().iter().filter(|git| git.has_hooks_in_settings()) {
        for again in [false, true] {
            let hooked = Hooked::new(git);
            let usual = hooked.sandbox.home().join(".gitconfig");
            let other = hooked.sandbox.path("config/git/config");
            write(&hooked.sandbox.path("config"), "git/config", "[x]\n\ty = z");
            let text = fs::read(&usual).expect("settings");
            fs::remove_file(&usual).expect("removed");
            let _said = global(&hooked, "install").succeeded();
            assert!(fs::read(&other).expect("settings").len() > 12);
            fs::write(&usual, &text).expect("written");
            let said = global(&hooked, "status");
            assert_eq!(of_state(&said, "elsewhere"), ["include"], "{said}");
            if again {
                let _said = global(&hooked, "install").succeeded();
                let _said = global(&hooked, "status").succeeded();
                assert_eq!(fs::read(&other).expect("settings"), b"[x]\n\ty = z");
            }
            append(&hooked.source, "a.txt", "more\n");
            let mut command = hooked.git_command(&hooked.source);
            command.env_remove("GIT_CONFIG_GLOBAL");
            let output = command.args(["commit", "-qam", "more"]).output();
            hooked.assert_success(&["commit"], &output.expect("git starts"));
            hooked.wait();
            assert_eq!(hooked.triggers().len(), 2, "it fires once");
            let _said = global(&hooked, "uninstall").succeeded();
            assert_eq!(fs::read(&other).expect("settings"), b"[x]\n\ty = z");
            assert_eq!(fs::read(&usual).expect("settings"), text);
        }
        // One file by two names is one file.
        let hooked = Hooked::new(git);
        let usual = hooked.sandbox.home().join(".gitconfig");
        let text = fs::read(&usual).expect("settings");
        let other = write(&hooked.sandbox.path("config"), "git/config", &text);
        fs::remove_file(&usual).expect("removed");
        symlink(
            &hooked.sandbox.home(),
            ".gitconfig",
            other.to_str().expect("UTF-8"),
        );
        let _said = global(&hooked, "install").succeeded();
        let _said = global(&hooked, "install").succeeded();
        let said = global(&hooked, "status").succeeded();
        assert!(of_state(&said, "elsewhere").is_empty(), "{said}");
        let _said = global(&hooked, "uninstall").succeeded();
        assert_eq!(fs::read(&usual).expect("settings"), text);
    }
}

#[test]
fn a_lock_that_an_interrupted_run_has_left_is_named_as_that_with_what_to_do() {
    for git in gits().iter().filter(|git| git.has_hooks_in_settings()) {
        let hooked = Hooked::new(git);
        let git_dir = hooked.source.join(".git");
        let before = ground(&git_dir);
        let text = fs::read(git_dir.join("config")).expect("settings");
        for word in ["install", "uninstall"] {
            // As it is left by a run that was killed between its lock and the exchange.
            let old = fs::read(git_dir.join("config")).expect("settings");
            let _said = hooked.vault(&["hooks", word]).succeeded();
            fs::rename(git_dir.join("config"), git_dir.join("config.lock")).expect("moved");
            fs::write(git_dir.join("config"), &old).expect("written");
            chmod(&git_dir.join("config"), 0o644);
            if word == "uninstall" {
                // What it had not come to yet.
                fs::remove_file(git_dir.join("config.lock")).expect("removed");
                fs::write(git_dir.join("config"), &text).expect("written");
                let _said = hooked.vault(&["hooks", "install"]).succeeded();
                fs::write(git_dir.join("config.lock"), &text).expect("written");
            }
            let untouched = Fingerprint::of(&hooked.sandbox.workplace());
            let said = hooked.vault(&["hooks", word]).refused("GV-5001");
            untouched.assert_untouched(&hooked.sandbox.workplace());
            let said = String::from_utf8_lossy(&said.stderr).into_owned();
            assert!(said.contains("has left it"), "{said}");
            let line = said.lines().find_map(|line| line.strip_prefix("NEXT     "));
            let line = line
                .expect("a command")
                .split("      (")
                .next()
                .expect("one");
            let output = hooked.shell_command(line).output().expect("a shell");
            assert!(output.status.success(), "{line}");
            let _said = hooked.vault(&["hooks", word]).succeeded();
        }
        assert!(before == ground(&git_dir));
    }
}

#[test]
fn what_hooks_do_not_see_is_said_where_they_are_installed() {
    let git = gits().remove(0);
    let hooked = Hooked::new(&git);
    for words in WAYS {
        let text = hooked.vault(words).text();
        assert!(
            text.contains("NOT SEEN") && text.contains("vault.include"),
            "{text}"
        );
    }
    let _said = hooked.vault(&["hooks", "uninstall"]);
    let text = hooked.vault(&["hooks", "status"]).text();
    assert!(!text.contains("NOT SEEN"), "{text}");
}

/// As in a restored copy on another machine, or after a home was renamed.
#[test]
fn hooks_of_a_state_home_that_is_not_there_are_named_and_taken_away() {
    for git in gits() {
        for gone in [true, false] {
            let hooked = Hooked::new(&git);
            let git_dir = hooked.source.join(".git");
            let before = ground(&git_dir);
            let _said = hooked.vault(&["hooks", "install"]).succeeded();
            let installed = ground(&git_dir);
            let with_other_state = |words: &[&str]| {
                let mut command = hooked.vault_command(&hooked.source);
                command.env("XDG_STATE_HOME", hooked.sandbox.path("other state"));
                let output = command.args(words).output().expect("it starts");
                crate::support::Said::new(words.join(" "), output)
            };
            if gone {
                fs::rename(hooked.state(), hooked.sandbox.path("renamed")).expect("moved");
            }
            let said = with_other_state(&["hooks", "status"]);
            assert_eq!(said.code, Some(3), "{said}");
            let why = if gone {
                "a state home that is not there"
            } else {
                "another state home"
            };
            assert!(said.text().contains(why), "{said}");
            // What others can write may be theirs.
            for file in [git_dir.join("config"), git_dir.join("hooks/post-commit")] {
                if file.exists() {
                    chmod(&file, 0o775);
                }
            }
            let said = with_other_state(&["--json", "hooks", "uninstall"]);
            assert!(
                of_state(&said, "removed")
                    .iter()
                    .all(|one| one != "include" && one != "post-commit"),
                "{said}"
            );
            for (name, mode, _) in &installed {
                if git_dir.join(name).exists() {
                    chmod(&git_dir.join(name), mode & 0o777);
                }
            }
            let _said = with_other_state(&["hooks", "uninstall"]).succeeded();
            assert!(before == ground(&git_dir), "{git:?} {gone}");
        }
    }
}
