//! What `hooks install` writes, `hooks uninstall` takes away to the last byte; what belongs to others is never touched.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::files::{append, chmod, mkdir, symlink, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::gits::{Git, gits};
use crate::support::hooked::{Hooked, states};
use crate::support::mount::has_tool;

const EVENTS: [&str; 6] = [
    "post-commit",
    "post-checkout",
    "post-merge",
    "post-rewrite",
    "pre-auto-gc",
    "pre-rebase",
];

fn with_settings() -> Vec<Git> {
    gits()
        .into_iter()
        .filter(Git::has_hooks_in_settings)
        .collect()
}

fn with_files() -> Vec<Git> {
    gits()
        .into_iter()
        .filter(|git| !git.has_hooks_in_settings())
        .collect()
}

/// Everything of the git directory that an installation could touch: names, modes and bytes.
fn ground(git_dir: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let mut found = Vec::new();
    let mut add = |path: PathBuf| {
        let mode = fs::metadata(&path)
            .expect("it is there")
            .permissions()
            .mode();
        let bytes = fs::read(&path).unwrap_or_default();
        found.push((path, mode, bytes));
    };
    for directory in [git_dir.to_owned(), git_dir.join("hooks")] {
        let entries = fs::read_dir(&directory).into_iter().flatten();
        let mut paths: Vec<_> = entries
            .map(|entry| entry.expect("an entry").path())
            .collect();
        paths.sort();
        paths.into_iter().for_each(&mut add);
    }
    found
}

#[test]
fn an_installation_is_taken_away_to_the_last_byte() {
    let endings = [
        "",
        "# no end",
        "[include]\n\tpath = other\n",
        "[alias]\r\n\tx = y\r\n",
        "\n\n",
    ];
    for git in gits() {
        for ending in endings {
            let hooked = Hooked::new(&git);
            let git_dir = hooked.source.join(".git");
            append(&git_dir, "config", ending);
            chmod(&git_dir.join("config"), 0o640);
            let before = ground(&git_dir);
            for options in [
                &["hooks", "install"][..],
                &["hooks", "install", "--last-second"],
            ] {
                let said = hooked.vault(options);
                assert!([Some(0), Some(3)].contains(&said.code), "{said}");
                let installed = ground(&git_dir);
                assert!(installed != before);
                let again = hooked.vault(options);
                assert_eq!(again.text(), said.text(), "once is enough");
                assert!(installed == ground(&git_dir));
                let said = hooked.vault(&["hooks", "uninstall"]).succeeded();
                assert!(before == ground(&git_dir), "{git:?} {ending:?}\n{said}");
                let said = hooked.vault(&["hooks", "uninstall"]).succeeded();
                assert!(said.text().contains("none are installed"), "{said}");
            }
        }
    }
}

#[test]
fn with_settings_hooks_of_others_stay_and_run() {
    for git in with_settings() {
        let hooked = Hooked::new(&git);
        let git_dir = hooked.source.join(".git");
        let marker = hooked.sandbox.path("theirs-ran");
        let hook = write(
            &git_dir,
            "hooks/post-commit",
            format!("#!/bin/sh\ntouch '{}'\n", marker.display()),
        );
        chmod(&hook, 0o755);
        mkdir(&git_dir, "lfs");
        let before = ground(&git_dir);
        let said = hooked.vault(&["--json", "hooks", "install"]).succeeded();
        assert!(states(&said).contains(&("post-commit".to_owned(), "foreign".to_owned())));
        append(&hooked.source, "a.txt", "x\n");
        hooked.git(&["commit", "-qam", "x"]);
        assert!(marker.exists());
        assert_eq!(hooked.triggers(), ["manual", "hook/post-commit"]);
        // Even where all files are switched off.
        hooked.git(&["config", "core.hooksPath", "/nowhere"]);
        append(&hooked.source, "a.txt", "y\n");
        hooked.git(&["commit", "-qam", "y"]);
        assert_eq!(hooked.triggers().len(), 3);
        hooked.git(&["config", "--unset", "core.hooksPath"]);
        let _said = hooked.vault(&["hooks", "uninstall"]).succeeded();
        let hooks = |ground: &[(PathBuf, u32, Vec<u8>)]| {
            let kept = ground.iter().filter(|one| {
                one.0.starts_with(git_dir.join("hooks")) || one.0.ends_with("config")
            });
            kept.cloned().collect::<Vec<_>>()
        };
        assert!(hooks(&before) == hooks(&ground(&git_dir)));
    }
}

#[test]
fn without_settings_a_place_that_is_taken_refuses_all_and_says_what_to_add() {
    let keepers = [
        (
            "post-commit",
            "#!/bin/sh\necho mine\n",
            "' hook post-commit \"$@\" </dev/null >/dev/null 2>&1 || :",
        ),
        (
            "pre-rebase",
            "#!/bin/sh\nexit 0\n",
            "' hook pre-rebase \"$@\" </dev/null || exit 1",
        ),
        (
            "post-merge",
            "#!/bin/sh\ncall_lefthook run \"post-merge\"\n",
            "lefthook.yml",
        ),
        (
            "post-checkout",
            "#!/usr/bin/env bash\n# File generated by pre-commit: https://pre-commit.com\n",
            "pre-commit install --hook-type post-checkout",
        ),
        (
            "post-rewrite",
            "#!/bin/sh\n# File generated by prek: https://prek.example\n",
            "prek install --hook-type post-rewrite",
        ),
        (
            "post-commit",
            "#!/bin/sh\ngit lfs post-commit \"$@\"\n",
            "git lfs update --manual",
        ),
        (
            "pre-push",
            "#!/bin/sh\ngit lfs pre-push \"$@\"\n",
            "git lfs update --manual",
        ),
    ];
    for git in with_files() {
        for (name, text, advice) in keepers {
            let hooked = Hooked::new(&git);
            let git_dir = hooked.source.join(".git");
            chmod(&write(&git_dir, format!("hooks/{name}"), text), 0o755);
            let before = Fingerprint::of(&hooked.sandbox.workplace());
            let said = hooked.vault(&["hooks", "install"]).refused("GV-5001");
            assert_eq!(said.code, Some(50));
            before.assert_untouched(&hooked.sandbox.workplace());
            let stderr = String::from_utf8_lossy(&said.stderr);
            assert!(stderr.contains(advice), "{advice}\n{said}");
            let said = hooked.vault(&["hooks", "status"]).succeeded();
            assert!(said.text().contains("none are installed"), "{said}");
        }
    }
}

#[test]
fn a_directory_of_hooks_elsewhere_is_not_written_to() {
    for git in with_files() {
        let hooked = Hooked::new(&git);
        mkdir(&hooked.source, ".husky/_");
        hooked.git(&["config", "core.hooksPath", ".husky/_"]);
        let before = Fingerprint::of(&hooked.sandbox.workplace());
        let said = hooked.vault(&["hooks", "install"]).refused("GV-5001");
        before.assert_untouched(&hooked.sandbox.workplace());
        let stderr = String::from_utf8_lossy(&said.stderr);
        assert!(stderr.contains("a line for '.husky/post-commit'"), "{said}");
        hooked.git(&["config", "--unset", "core.hooksPath"]);
        let hooks = hooked.source.join(".git/hooks");
        fs::rename(&hooks, hooked.sandbox.path("work/shared")).expect("moved");
        symlink(&hooked.source, ".git/hooks", "../../shared");
        let before = Fingerprint::of(&hooked.sandbox.workplace());
        let _said = hooked.vault(&["hooks", "install"]).refused("GV-5001");
        before.assert_untouched(&hooked.sandbox.workplace());
        // One inside is as good as the usual one.
        hooked.git(&["config", "core.hooksPath", ".git/my hooks"]);
        let _said = hooked.vault(&["hooks", "install"]).succeeded();
        append(&hooked.source, "a.txt", "x\n");
        hooked.git(&["commit", "-qam", "x"]);
        assert_eq!(hooked.triggers().len(), 2);
        let _said = hooked.vault(&["hooks", "uninstall"]).succeeded();
        assert!(
            !hooked.source.join(".git/my hooks").exists(),
            "it was made for them"
        );
    }
}

#[test]
fn what_was_changed_since_is_left_alone_and_said() {
    for git in with_files() {
        let hooked = Hooked::installed(&git);
        let hooks = hooked.source.join(".git/hooks");
        append(&hooks, "post-commit", "echo mine\n");
        fs::remove_file(hooks.join("post-merge")).expect("removed");
        chmod(&hooks.join("post-rewrite"), 0o644);
        let said = hooked.vault(&["--json", "hooks", "status"]);
        assert_eq!(said.code, Some(3));
        let states = states(&said);
        let state = |purpose: &str| {
            let found = states.iter().find(|one| one.0 == purpose).expect("a part");
            found.1.clone()
        };
        assert_eq!(state("post-commit"), "modified");
        assert_eq!(state("post-merge"), "missing");
        assert_eq!(state("post-rewrite"), "shadowed");
        assert_eq!(state("pre-rebase"), "intact");
        let bytes = fs::read(hooks.join("post-commit")).expect("read");
        let _said = hooked.vault(&["hooks", "install"]).refused("GV-5001");
        let said = hooked.vault(&["hooks", "uninstall"]);
        assert_eq!(said.code, Some(3), "{said}");
        assert!(bytes == fs::read(hooks.join("post-commit")).expect("read"));
        for event in EVENTS.into_iter().filter(|event| *event != "post-commit") {
            assert!(!hooks.join(event).exists(), "{event}");
        }
        fs::remove_file(hooks.join("post-commit")).expect("removed");
        let _said = hooked.vault(&["hooks", "uninstall"]).succeeded();
        let _said = hooked.vault(&["hooks", "install"]).succeeded();
    }
}

#[test]
fn hooks_that_git_does_not_heed_are_called_shadowed() {
    for git in gits() {
        let hooked = Hooked::installed(&git);
        let shadow = if git.has_hooks_in_settings() {
            ["hook.git-vault-post-commit.enabled", "false"]
        } else {
            ["core.hooksPath", "/nowhere"]
        };
        hooked.git(&["config", "--global", shadow[0], shadow[1]]);
        let said = hooked.vault(&["--json", "hooks", "status"]);
        assert_eq!(said.code, Some(3), "{said}");
        let shadowed = ("post-commit".to_owned(), "shadowed".to_owned());
        assert!(states(&said).contains(&shadowed), "{said}");
        append(&hooked.source, "a.txt", "x\n");
        hooked.git(&["commit", "-qam", "x"]);
        assert_eq!(hooked.triggers(), ["manual"], "it is true");
    }
    let old = with_files().into_iter().next();
    for (new, old) in with_settings().into_iter().zip(old) {
        let mut hooked = Hooked::installed(&new);
        hooked.git = old;
        let said = hooked.vault(&["--json", "hooks", "status"]);
        assert_eq!(said.code, Some(3), "{said}");
        assert!(
            states(&said).iter().any(|part| part.1 == "shadowed"),
            "{said}"
        );
        // Now files are written, and the include goes.
        let said = hooked.vault(&["--json", "hooks", "install"]).succeeded();
        assert_eq!(said.json()["carrier"], "files");
        assert!(
            states(&said).iter().all(|part| part.1 == "intact"),
            "{said}"
        );
    }
}

#[test]
fn a_configuration_that_is_locked_or_not_understood_is_left_alone() {
    for git in gits() {
        let hooked = Hooked::new(&git);
        let git_dir = hooked.source.join(".git");
        let options = ["hooks", "install", "--last-second"];
        let lock = write(&git_dir, "config.lock", "");
        let before = Fingerprint::of(&hooked.sandbox.workplace());
        let _said = hooked.vault(&options).refused("GV-5001");
        before.assert_untouched(&hooked.sandbox.workplace());
        fs::remove_file(&lock).expect("removed");
        let said = hooked.vault(&options);
        assert!([Some(0), Some(3)].contains(&said.code), "{said}");
        // Others have put the same into their own form.
        let text = fs::read_to_string(git_dir.join("config")).expect("read");
        fs::write(
            git_dir.join("config"),
            text.replace("\tpath = \"/", "  path=\"/"),
        )
        .expect("written");
        let before = ground(&git_dir);
        let _said = hooked.vault(&["hooks", "uninstall"]).refused("GV-5001");
        assert!(before == ground(&git_dir));
    }
}

/// As an installation leaves it that was killed in between, or a user who mends the configuration by hand.
#[test]
fn half_an_installation_is_said_to_be_one_and_made_whole_or_taken_away() {
    for git in with_settings() {
        let hooked = Hooked::new(&git);
        let git_dir = hooked.source.join(".git");
        let config = git_dir.join("config");
        let before = ground(&git_dir);
        let bytes = fs::read(&config).expect("read");
        let _said = hooked.vault(&["hooks", "install"]).succeeded();
        fs::write(&config, &bytes).expect("written");
        let said = hooked.vault(&["--json", "hooks", "status"]);
        assert_eq!(said.code, Some(3), "{said}");
        assert!(states(&said).contains(&("include".to_owned(), "missing".to_owned())));
        assert!(states(&said).contains(&("post-commit".to_owned(), "shadowed".to_owned())));
        let _said = hooked.vault(&["hooks", "install"]).succeeded();
        let file = hooked
            .pending()
            .lock_file()
            .with_file_name("hooks.gitconfig");
        fs::remove_file(&file).expect("removed");
        append(&hooked.source, "a.txt", "x\n");
        hooked.git(&["commit", "-qam", "git goes on without it"]);
        let _said = hooked.vault(&["snapshot"]).succeeded();
        let said = hooked.vault(&["--json", "hooks", "status"]);
        assert_eq!(said.code, Some(3), "{said}");
        assert!(states(&said).contains(&("settings".to_owned(), "missing".to_owned())));
        let _said = hooked.vault(&["hooks", "uninstall"]).succeeded();
        let kept = |ground: Vec<(PathBuf, u32, Vec<u8>)>| {
            let is_kept = |one: &(PathBuf, u32, Vec<u8>)| one.0 == config;
            ground.into_iter().find(is_kept).expect("the configuration")
        };
        assert!(kept(before) == kept(ground(&git_dir)));
    }
}

#[test]
fn for_all_repositories_one_line_of_the_users_settings_is_enough() {
    for git in gits() {
        let hooked = Hooked::new(&git);
        let home = hooked.sandbox.home();
        fs::rename(home.join(".gitconfig"), home.join("kept")).expect("moved");
        symlink(&home, ".gitconfig", "kept");
        let before = fs::read(home.join("kept")).expect("read");
        let install = ["--json", "hooks", "install", "--scope", "global"];
        if !git.has_hooks_in_settings() {
            let _said = hooked.vault(&install).refused("GV-5001");
            assert!(before == fs::read(home.join("kept")).expect("read"));
            continue;
        }
        let _said = hooked
            .vault(&[&install[..], &["--last-second"]].concat())
            .refused("GV-1005");
        let _said = hooked.vault(&install).succeeded();
        assert!(
            fs::read(home.join("kept"))
                .expect("read")
                .starts_with(&before)
        );
        append(&hooked.source, "a.txt", "x\n");
        hooked.git(&["commit", "-qam", "x"]);
        assert_eq!(hooked.triggers().len(), 2);
        let _said = hooked
            .vault(&["hooks", "uninstall", "--scope", "global"])
            .succeeded();
        assert!(before == fs::read(home.join("kept")).expect("read"));
        assert!(home.join(".gitconfig").is_symlink());
    }
}

#[test]
fn the_file_of_settings_is_read_alike_by_every_git() {
    for git in with_settings() {
        let hooked = Hooked::installed(&git);
        let directory = hooked.pending().lock_file();
        let file = directory.with_file_name("hooks.gitconfig");
        let file = file.to_str().expect("UTF-8");
        let mut seen = Vec::new();
        for other in gits() {
            let mut command = hooked.sandbox.command(&other.program, &hooked.source);
            let output = command
                .args(["config", "--file", file, "--list", "-z"])
                .output();
            seen.push(output.expect("git starts").stdout);
        }
        let text = String::from_utf8(seen[0].clone()).expect("UTF-8");
        for event in EVENTS {
            assert!(
                text.contains(&format!("hook.git-vault-{event}.event\n{event}\0")),
                "{text}"
            );
            assert!(
                text.contains(&format!("hook.git-vault-{event}.command\n")),
                "{text}"
            );
        }
        assert!(seen.iter().all(|one| *one == seen[0]));
    }
}

#[test]
fn hooks_need_a_vault() {
    let git = gits().remove(0);
    let hooked = Hooked::new(&git);
    let other = hooked.sandbox.init("other");
    let before = Fingerprint::of(&hooked.sandbox.workplace());
    let _said = hooked
        .vault_in(&other, &["hooks", "install"])
        .refused("GV-1002");
    before.assert_untouched(&hooked.sandbox.workplace());
}

#[test]
fn the_last_second_is_not_taken_from_others() {
    for git in gits() {
        let hooked = Hooked::new(&git);
        hooked.git(&["config", "core.fsmonitor", "true"]);
        let before = Fingerprint::of(&hooked.sandbox.workplace());
        let _said = hooked
            .vault(&["hooks", "install", "--last-second"])
            .refused("GV-5001");
        before.assert_untouched(&hooked.sandbox.workplace());
        hooked.git(&["config", "core.fsmonitor", "false"]);
        let said = hooked.vault(&["hooks", "install", "--last-second"]);
        assert!([Some(0), Some(3)].contains(&said.code), "{said}");
    }
}

#[test]
fn a_directory_of_hooks_that_a_linked_worktree_does_not_have_is_no_place_that_is_heeded() {
    for git in with_files() {
        let hooked = Hooked::new(&git);
        hooked.git(&["config", "core.hooksPath", ".git/hooks"]);
        let _said = hooked.vault(&["hooks", "install"]).succeeded();
        let linked = hooked.sandbox.path("work/linked");
        let text = linked.to_str().expect("UTF-8");
        hooked.git(&["worktree", "add", "-q", "-b", "there", text]);
        let count = hooked.triggers().len();
        hooked.git_in(&linked, &["commit", "-q", "--allow-empty", "-m", "x"]);
        assert_eq!(hooked.triggers().len(), count, "git has run no hook");
        let said = hooked.vault(&["--json", "hooks", "status"]);
        assert_eq!(said.code, Some(3), "{said}");
        let shadowed = ("pre-rebase".to_owned(), "shadowed".to_owned());
        assert!(states(&said).contains(&shadowed), "{said}");
        let path = hooked.source.join(".git/hooks");
        hooked.git(&["config", "core.hooksPath", path.to_str().expect("UTF-8")]);
        let _said = hooked.vault(&["hooks", "status"]).succeeded();
        hooked.git_in(&linked, &["commit", "-q", "--allow-empty", "-m", "y"]);
        assert_eq!(hooked.triggers().len(), count + 1);
    }
}

/// Runs the program and kills it once it has made a call of the system so many times; whether it came to its end before.
fn killed_at(hooked: &Hooked, call: &str, number: usize, words: &[&str]) -> bool {
    let mut command = hooked.vault_command(&hooked.source);
    let path = command.get_envs().find(|one| one.0 == "PATH");
    let path = path.and_then(|one| one.1).expect("a path").to_owned();
    command = hooked.sandbox.command("strace", &hooked.source);
    command.env("PATH", path).args(["-qq", "-o"]);
    command.arg(hooked.sandbox.path("tmp/trace"));
    command.args(["-e", &format!("trace={call}"), "-e"]);
    command.arg(format!("inject={call}:signal=KILL:when={number}"));
    command.arg(env!("CARGO_BIN_EXE_git-vault")).args(words);
    command.output().expect("strace starts").status.success()
}

#[test]
fn whenever_an_installation_is_killed_nothing_is_left_of_it_that_is_not_said_and_taken_away() {
    if !has_tool("killed installations", "strace") {
        return;
    }
    for git in gits() {
        let hooked = Hooked::new(&git);
        let git_dir = hooked.source.join(".git");
        let before = ground(&git_dir);
        let lock = git_dir.join("config.lock");
        for (call, word) in [
            ("fsync", "install"),
            ("linkat", "install"),
            ("fsync", "uninstall"),
            ("linkat", "uninstall"),
        ] {
            let mut number = 0;
            loop {
                if word == "uninstall" {
                    let _said = hooked.vault(&["hooks", "install"]).succeeded();
                }
                number += 1;
                let is_whole = killed_at(&hooked, call, number, &["hooks", word]);
                let what = format!("{git:?} {word} {call} {number}");
                if lock.exists() {
                    assert_eq!(call, "linkat", "{what}: the lock is held too long");
                    let said = hooked.vault(&["hooks", word]).refused("GV-5001");
                    let said = String::from_utf8_lossy(&said.stderr).into_owned();
                    assert!(said.contains("has left it"), "{what}: {said}");
                    fs::remove_file(&lock).expect("removed");
                }
                let strange = |one: &(PathBuf, u32, Vec<u8>)| {
                    let name = one.0.file_name().expect("a name");
                    name.to_string_lossy().starts_with(".tmp")
                };
                let found = ground(&git_dir).into_iter().find(strange);
                assert!(found.is_none(), "{what}: {found:?}");
                let _said = hooked.vault(&["hooks", "uninstall"]).succeeded();
                assert!(before == ground(&git_dir), "{what}");
                if is_whole {
                    break;
                }
            }
        }
    }
}
