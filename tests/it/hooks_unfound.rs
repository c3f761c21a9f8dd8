//! Who relies on hooks must not be let down in silence: a vault that is not where it was, an environment that is not that of the
//! installation, a git by another name.

use std::fs;
use std::os::unix::fs::symlink;

use crate::support::files::{append, write};
use crate::support::gits::gits;
use crate::support::hooked::Hooked;

fn onto_main(hooked: &Hooked) {
    hooked.git(&["checkout", "-q", "-b", "topic", "HEAD~1"]);
    write(&hooked.source, "mine.txt", "mine\n");
    hooked.git(&["add", "mine.txt"]);
    hooked.git(&["commit", "-qm", "mine"]);
    write(&hooked.source, "untracked.txt", "untracked\n");
}

#[test]
fn no_rebase_begins_when_the_vault_is_not_where_it_was() {
    for git in gits() {
        let hooked = Hooked::installed(&git);
        onto_main(&hooked);
        let before = hooked
            .sandbox
            .git_text(&hooked.source, &["rev-parse", "HEAD"]);
        let home = hooked.sandbox.path("data/git-vault/vaults");
        fs::rename(&home, home.with_extension("away")).expect("moved away");
        let output = hooked.try_git_in(&hooked.source, &["rebase", "main"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(!output.status.success(), "{git:?}: {said}");
        assert!(
            said.contains("GV-1002") && said.contains("hooks are installed here"),
            "{said}"
        );
        assert_eq!(
            hooked
                .sandbox
                .git_text(&hooked.source, &["rev-parse", "HEAD"]),
            before
        );
        // A commit is no reason to stop anybody.
        hooked.git(&["commit", "-q", "--allow-empty", "-m", "goes on"]);
        fs::rename(home.with_extension("away"), &home).expect("moved back");
        hooked.git(&["rebase", "-q", "main"]);
        assert!(
            hooked
                .triggers()
                .iter()
                .any(|trigger| trigger == "hook/pre-rebase")
        );
    }
}

#[test]
fn hooks_know_the_places_that_held_when_they_were_installed() {
    for git in gits() {
        let hooked = Hooked::installed(&git);
        onto_main(&hooked);
        let count = hooked.triggers().len();
        let mut bare = hooked.git_command(&hooked.source);
        for name in [
            "XDG_CONFIG_HOME",
            "XDG_DATA_HOME",
            "XDG_STATE_HOME",
            "GIT_VAULT_HOME",
        ] {
            bare.env_remove(name);
        }
        let output = bare
            .args(["rebase", "-q", "main"])
            .output()
            .expect("git starts");
        hooked.assert_success(&["rebase"], &output);
        hooked.wait();
        let made = hooked.triggers();
        assert!(
            made[count..]
                .iter()
                .any(|trigger| trigger == "hook/pre-rebase"),
            "{git:?}: {made:?}"
        );
    }
}

#[test]
fn the_last_second_does_not_ask_what_git_is_called() {
    for git in gits() {
        let hooked = Hooked::new(&git);
        let _said = hooked.vault(&["hooks", "install", "--last-second"]);
        append(&hooked.source, "a.txt", "precious\n");
        let other = hooked.sandbox.path("tmp/g");
        symlink(&git.program, &other).expect("another name");
        let output = hooked
            .shell_command(&format!("exec '{}' checkout -q .", other.display()))
            .output()
            .expect("it starts");
        hooked.assert_success(&["checkout"], &output);
        let (trigger, id) = hooked.made().pop().expect("a snapshot");
        assert_eq!(trigger, "fsmonitor", "{git:?}");
        let restored = hooked.sandbox.restore(&hooked.source, &id, "restored");
        let text = fs::read_to_string(restored.join("a.txt")).expect("the file");
        assert_eq!(text, "one\ntwo\nprecious\n");

        let home = hooked.sandbox.path("data/git-vault/vaults");
        fs::rename(&home, home.with_extension("away")).expect("moved away");
        append(&hooked.source, "a.txt", "lost, and said to be\n");
        let output = hooked.try_git_in(&hooked.source, &["checkout", "-q", "."]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(
            output.status.success() && said.contains("GV-1002"),
            "{git:?}: {said}"
        );
    }
}

#[test]
fn a_hook_in_the_settings_that_another_setting_replaces_is_not_said_to_be_intact() {
    for git in gits().iter().filter(|git| git.has_hooks_in_settings()) {
        for (key, value) in [
            ("hook.git-vault-pre-rebase.command", "true"),
            ("hook.git-vault-pre-rebase.event", ""),
        ] {
            let hooked = Hooked::installed(git);
            let said = hooked.vault(&["hooks", "status"]).succeeded();
            assert!(!said.text().contains("SHADOWED"), "{said}");
            hooked.git(&["config", "--add", key, value]);
            let said = hooked.vault(&["hooks", "status"]);
            assert_eq!(said.code, Some(3), "{said}");
            assert!(said.text().contains("SHADOWED   pre-rebase"), "{said}");
        }
    }
}

#[test]
fn a_vault_home_that_makes_no_sense_stops_no_rebase_of_what_was_never_under_a_vault() {
    for git in gits().iter().filter(|git| git.has_hooks_in_settings()) {
        let hooked = Hooked::new(git);
        let _said = hooked
            .vault(&["hooks", "install", "--scope", "global"])
            .succeeded();
        onto_main(&hooked);
        let other = hooked.sandbox.init("other");
        for (name, branch) in [("a", "main"), ("b", "main"), ("c", "topic")] {
            if branch == "topic" {
                hooked.git_in(&other, &["checkout", "-q", "-b", branch, "HEAD~1"]);
            }
            write(&other, name, name);
            hooked.sandbox.commit(&other, name);
        }
        for (name, value) in [
            ("GIT_VAULT_HOME", "not/absolute"),
            ("XDG_DATA_HOME", "/x/../y"),
            ("GIT_VAULT_HOME", "/nowhere/at all"),
        ] {
            let rebase = |directory: &std::path::Path, words: &[&str]| {
                let mut command = hooked.git_command(directory);
                // The places that the hooks were told at their installation would hold.
                let settings = hooked.state().join("hooks/global/hooks.gitconfig");
                let text = fs::read_to_string(&settings).expect("settings");
                let without: String = text.replace(&format!("export {name}="), "export X=");
                fs::write(&settings, without).expect("written");
                let output = command.env(name, value).args(words).output();
                fs::write(&settings, text).expect("written");
                output.expect("git starts")
            };
            let words = ["rebase", "-q", "--root", "--no-ff"];
            let output = rebase(&other, &words);
            hooked.assert_success(&words, &output);
            let output = rebase(&hooked.source, &["rebase", "-q", "main"]);
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(!output.status.success(), "{name}={value}: {said}");
            assert!(said.contains("git rebase --no-verify"), "{said}");
        }
        hooked.git(&["rebase", "-q", "main"]);
    }
}
