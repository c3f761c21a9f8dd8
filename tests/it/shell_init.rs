//! The shell functions guard the git commands that can destroy work, pass all others on, and change no word and no exit status.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use crate::laboratory::run;
use crate::support::files::{append, chmod, mkdir, write};
use crate::support::mount::has_tool;
use crate::support::{Sandbox, states};

const SHELLS: [&str; 3] = ["bash", "zsh", "fish"];

/// Each line in words that all shells read the same way. In its directory there are `a file`, `file.txt` and `sub/inner.txt`.
const GUARDED: &[&str] = &[
    "reset --hard",
    "reset --hard HEAD~1",
    "reset --har",
    "reset --merge",
    "reset --keep HEAD~1",
    "reset",
    "reset file.txt",
    "checkout -f",
    "checkout -qf topic",
    "checkout --force topic",
    "checkout -- file.txt",
    "checkout .",
    "checkout file.txt",
    "checkout 'a file'",
    "checkout '*.txt'",
    "checkout ':(top)x'",
    "checkout HEAD gone.txt",
    "checkout -B topic main",
    "checkout -m topic",
    "checkout --theirs file.txt",
    "checkout -p",
    "checkout --pathspec-from-file=x",
    "switch -f topic",
    "switch --force topic",
    "switch --discard-changes topic",
    "switch --disc topic",
    "switch -C main HEAD~1",
    "switch -qC main",
    "switch --orphan empty",
    "restore file.txt",
    "restore --staged .",
    "clean -fdx",
    "clean -f",
    "clean -i",
    "clean",
    "stash drop",
    "stash clear",
    "stash pop",
    "rebase main",
    "rebase --abort",
    "rebase -i HEAD~2",
    "rm -rf sub",
    "rm --cached file.txt",
    "mv -f file.txt other",
    "worktree remove --force ../w",
    "worktree prune",
    "branch -D topic",
    "branch -M main",
    "branch -f topic main",
    "branch --force topic",
    "branch -qD topic",
    "tag -d v1",
    "tag -f v1",
    "merge --abort",
    "merge --ab",
    "cherry-pick --abort",
    "cherry-pick --skip",
    "revert --abort",
    "am --abort",
    "am --skip",
    "pull --rebase",
    "pull -r",
    "pull --autostash",
    "sparse-checkout set sub",
    "sparse-checkout disable",
    "submodule update --force",
    "submodule update -f",
    "submodule deinit --all",
    "read-tree -u --reset HEAD",
    "checkout-index -f -a",
    "apply -R patch",
    "apply --reverse patch",
    "filter-branch --all",
    "update-ref -d refs/heads/x",
    "reflog expire --all",
    "reflog delete HEAD@{1}",
    "gc --prune=now",
    "prune",
    "repack -ad",
    "push --force",
    "push -f origin main",
    "push --force-with-lease",
    "push origin +main",
    "push origin :gone",
    "commit --amend",
    "commit -a --amend --no-edit",
    "remote remove origin",
    "history drop HEAD~1",
    "-C sub reset --hard",
    "-C sub checkout inner.txt",
    "-C sub -C .. checkout file.txt",
    "-c a.b=c reset --hard",
    "--git-dir .git --work-tree . clean -f",
    "--git-dir=.git --work-tree=. clean -f",
    "--no-pager reset --hard",
    "-p -P reset --hard",
    "undo",
    "undo2",
    "shell-undo",
    "-C sub undo",
    "loop",
    "no-such-command reset --hard",
    "say-hello",
    "rset --hard",
    "submodule foreach --recursive git reset --hard",
];

const PASSED: &[&str] = &[
    "",
    "--version",
    "--exec-path",
    "-C",
    "status",
    "status --short",
    "log --grep 'reset --hard'",
    "diff",
    "add file.txt",
    "commit -m 'clean up'",
    "commit -m 'git reset --hard'",
    "checkout topic",
    "checkout -b new",
    "checkout -b new origin/main",
    "checkout --detach",
    "switch topic",
    "switch -c new",
    "switch --detach",
    "branch",
    "branch new",
    "branch -a",
    "branch -d merged",
    "tag v1",
    "merge topic",
    "pull",
    "push",
    "push origin main",
    "fetch",
    "stash",
    "stash push -m x",
    "stash list",
    "clean -n",
    "clean -nd",
    "clean --dry-run",
    "reset --soft HEAD~1",
    "apply patch",
    "worktree list",
    "worktree add ../w",
    "remote -v",
    "reflog",
    "gc",
    "submodule update --init",
    "sparse-checkout list",
    "cherry-pick topic",
    "config --get core.editor",
    "vault snapshot",
    "help reset",
    "mv file.txt other",
    "st",
    "-C sub checkout file.txt",
    "--no-pager log",
];

struct Scene {
    sandbox: Sandbox,
    source: PathBuf,
    log: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let source = (states::find("staged_unstaged_and_untracked").build)(&sandbox);
        for (name, value) in [
            ("undo", "reset --hard"),
            ("undo2", "-c x.y=z undo --quiet"),
            ("shell-undo", "!git fetch && git reset --hard"),
            ("loop", "loop"),
            ("say-hello", "!echo hello"),
            ("st", "status --short"),
        ] {
            sandbox.git(&source, &["config", &format!("alias.{name}"), value]);
        }
        write(&source, "a file", "x\n");
        write(&source, "file.txt", "x\n");
        write(&source, "sub/inner.txt", "x\n");
        let log = sandbox.path("log");
        Self {
            sandbox,
            source,
            log,
        }
    }

    fn script(&self, shell: &str) -> String {
        let said = run(&self.sandbox, &self.sandbox.home(), &["shell-init", shell]);
        said.succeeded().text()
    }

    /// The function with a program in place of ours that writes down what it is told.
    fn recording_script(&self, shell: &str) -> String {
        let recorder = self.recorder("fake vault", "GUARD");
        let own = env!("CARGO_BIN_EXE_git-vault");
        let script = self.script(shell);
        assert!(script.contains(own), "the absolute path of the program");
        script.replace(own, recorder.to_str().expect("UTF-8"))
    }

    /// A program that writes its name and each of its words on a line.
    fn recorder(&self, name: &str, word: &str) -> PathBuf {
        let log = self.log.display();
        let text = format!(
            "#!/bin/sh\n{{ printf '{word}'; printf ' [%s]' \"$@\"; echo; }} >>'{log}'\nexit 7\n"
        );
        let file = write(&self.sandbox.path("bin"), name, text);
        chmod(&file, 0o755);
        file
    }

    /// A git that writes down what it is told, but for questions about aliases, which real git answers.
    fn record_git(&self) {
        let log = self.log.display();
        let text = format!(
            "#!/bin/sh\nfor word; do case $word in alias.*) exec \"$REAL_GIT\" \"$@\" ;; esac; done\n\
             {{ printf 'GIT'; printf ' [%s]' \"$@\"; echo; }} >>'{log}'\nexit 7\n"
        );
        let file = write(&self.sandbox.path("bin"), "git", text);
        chmod(&file, 0o755);
    }

    fn shell(&self, shell: &str, script: &str, path: &str) -> Output {
        let file = write(&self.sandbox.path("tmp"), "script", script);
        let mut command = self.sandbox.command(shell, &self.source);
        if shell == "zsh" {
            command.arg("-f");
        }
        command
            .arg(file)
            .env("PATH", path)
            .env("REAL_GIT", real_git());
        command.output().expect("the shell starts")
    }

    fn recorded(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let _gone = fs::remove_file(&self.log);
        text.lines().map(str::to_owned).collect()
    }
}

fn real_git() -> PathBuf {
    let path = std::env::var_os("PATH").expect("a path");
    let mut places = std::env::split_paths(&path).map(|place| place.join("git"));
    places.find(|git| git.is_file()).expect("git")
}

fn path_with(first: &Path) -> String {
    let path = std::env::var("PATH").expect("a path");
    format!("{}:{path}", first.display())
}

fn shells(test: &str) -> impl Iterator<Item = &'static str> {
    let test = test.to_owned();
    SHELLS
        .into_iter()
        .filter(move |shell| has_tool(&test, shell))
}

#[test]
fn what_can_destroy_work_is_guarded_and_nothing_else() {
    let scene = Scene::new();
    scene.record_git();
    let path = path_with(&scene.sandbox.path("bin"));
    for shell in shells("guarded commands") {
        let function = scene.recording_script(shell);
        for strict in [false, true] {
            if strict && shell == "fish" {
                continue;
            }
            let commands = GUARDED.iter().chain(PASSED);
            let calls = commands.map(|line| match shell {
                "fish" => format!("git {line}\n"),
                _ => format!("git {line} || :\n"),
            });
            let strictly = if strict { "set -eu\n" } else { "" };
            let script = format!("{strictly}{function}\n{}", calls.collect::<String>());
            let output = scene.shell(shell, &script, &path);
            assert!(output.stderr.is_empty(), "{shell}: {output:?}");
            let recorded = scene.recorded();
            let due = GUARDED.iter().map(|line| (*line, "GUARD"));
            let due: Vec<_> = due
                .chain(PASSED.iter().map(|line| (*line, "GIT")))
                .collect();
            assert_eq!(recorded.len(), due.len(), "{shell}: {recorded:#?}");
            for ((line, word), found) in due.iter().zip(&recorded) {
                let found = found.split(' ').next();
                assert_eq!(found, Some(*word), "{shell}: git {line}");
            }
        }
    }
}

#[test]
fn no_word_and_no_exit_status_is_changed() {
    let scene = Scene::new();
    scene.record_git();
    let path = path_with(&scene.sandbox.path("bin"));
    let words = "'a b' '' '*' '~' 'c\nd' '$HOME' '\\' '\"' '-n'";
    let shown = "[a b] [] [*] [~] [c\nd] [$HOME] [\\] [\"] [-n]";
    for shell in shells("words") {
        let function = scene.recording_script(shell);
        let (status, words) = match shell {
            "fish" => ("$status", words.replace('\\', "\\\\")),
            _ => ("$?", words.to_owned()),
        };
        let script = format!(
            "{function}\ngit log {words}\necho {status}\ngit restore {words}\necho {status}\n"
        );
        let output = scene.shell(shell, &script, &path);
        assert_eq!(output.stdout, b"7\n7\n", "{shell}: {output:?}");
        let recorded = scene.recorded().join("\n");
        let due =
            format!("GIT [log] {shown}\nGUARD [guard] [--or-outside] [--] [git] [restore] {shown}");
        assert_eq!(recorded, due, "{shell}");
        // A shell that ends at the first failure ends with it here, too.
        if shell != "fish" {
            let script = format!("set -eu\n{function}\ngit restore x\necho not reached\n");
            let output = scene.shell(shell, &script, &path);
            assert_eq!(
                (output.status.code(), &*output.stdout),
                (Some(7), &b""[..]),
                "{shell}"
            );
            let _words = scene.recorded();
        }
    }
}

#[test]
fn work_that_is_destroyed_in_a_shell_is_in_the_snapshot() {
    for shell in shells("the user's story") {
        let scene = Scene::new();
        let (sandbox, source) = (&scene.sandbox, &scene.source);
        let bin = mkdir(&sandbox.home(), "bin with ' quote");
        std::os::unix::fs::symlink(env!("CARGO_BIN_EXE_git-vault"), bin.join("git-vault"))
            .expect("a link");
        let path = path_with(&bin);
        let mut command = sandbox.vault_command(&sandbox.home());
        command.args(["shell-init", shell]).env("PATH", &path);
        let function = String::from_utf8(command.output().expect("it starts").stdout);
        let function = function.expect("UTF-8");
        // The name on the path is the one that stays when a version goes.
        assert!(function.contains("bin with "), "{function}");
        let _id = sandbox.snapshot(source);
        append(source, "file.txt", "precious\n");
        let script = format!("{function}\ngit add file.txt\ngit reset --quiet --hard\n");
        let output = scene.shell(shell, &script, &path);
        assert!(output.status.success(), "{shell}: {output:?}");
        assert!(!source.join("file.txt").exists());
        let said = sandbox.vault(source, &["--json", "show"]).succeeded();
        let snapshot = &said.json()["snapshot"];
        assert_eq!(snapshot["trigger"], "guard");
        let restored = sandbox.restore(source, snapshot["id"].as_str().expect("an id"), "restored");
        let found = fs::read_to_string(restored.join("file.txt")).expect("it is back");
        assert!(found.ends_with("precious\n"), "{shell}");
        // Where no repository is, git says so itself.
        let mut script = function.clone();
        script.push_str(&format!(
            "\ncd '{}'\ngit clean -f\n",
            sandbox.home().display()
        ));
        let output = scene.shell(shell, &script, &path);
        assert_eq!(output.status.code(), Some(128), "{shell}: {output:?}");
        // A vault that takes no snapshot keeps git from destroying anything.
        append(source, "README.md", "precious, too\n");
        sandbox.git(source, &["config", "vault.home", "not/absolute"]);
        let output = scene.shell(shell, &format!("{function}\ngit checkout .\n"), &path);
        assert_eq!(output.status.code(), Some(10), "{shell}: {output:?}");
        let kept = fs::read_to_string(source.join("README.md")).expect("README.md");
        assert!(kept.ends_with("precious, too\n"), "{shell}");
    }
}

#[test]
fn a_guard_that_is_gone_says_so_once_and_lets_git_work() {
    let scene = Scene::new();
    let path = std::env::var("PATH").expect("a path");
    for shell in shells("a guard that is gone") {
        let function = scene.recording_script(shell);
        fs::remove_file(scene.sandbox.path("bin/fake vault")).expect("removed");
        let calls = "git checkout -- file.txt\ngit clean -f nothing\ngit rev-parse --git-dir\n";
        sandboxed_edit(&scene);
        let output = scene.shell(shell, &format!("{function}\n{calls}"), &path);
        assert_eq!(output.stdout, b".git\n", "{shell}: {output:?}");
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        let warnings = stderr
            .lines()
            .filter(|line| line.starts_with("git-vault: "));
        assert_eq!(warnings.count(), 1, "{shell}: {stderr}");
    }
}

fn sandboxed_edit(scene: &Scene) {
    scene.sandbox.git(&scene.source, &["add", "file.txt"]);
    append(&scene.source, "file.txt", "edited\n");
}

#[test]
fn a_function_or_an_alias_that_is_there_is_left_alone() {
    let scene = Scene::new();
    let path = std::env::var("PATH").expect("a path");
    for shell in shells("what is there") {
        let function = scene.script(shell);
        let (theirs, twice) = match shell {
            "fish" => (
                "function git\n echo theirs $argv\nend\n",
                "git reset --hard\n",
            ),
            _ => ("git() { echo theirs \"$@\"; }\n", "git reset --hard\n"),
        };
        let script = format!("{theirs}{function}\n{twice}");
        let output = scene.shell(shell, &script, &path);
        assert_eq!(
            output.stdout, b"theirs reset --hard\n",
            "{shell}: {output:?}"
        );
        let stderr = String::from_utf8(output.stderr).expect("UTF-8");
        assert!(stderr.contains("left alone"), "{shell}: {stderr}");
        // Read twice, as when a shell reads its files again, it is ours both times.
        let script = format!("{function}\n{function}\ngit rev-parse --git-dir\n");
        let output = scene.shell(shell, &script, &path);
        assert_eq!(
            (&*output.stdout, &*output.stderr),
            (&b".git\n"[..], &b""[..]),
            "{shell}"
        );
    }
    let function = scene.script("bash");
    let script =
        format!("shopt -s expand_aliases\nalias git=hub\n{function}\ndeclare -F hub git\n");
    let output = scene.shell("bash", &script, &path);
    assert_eq!(
        output.stdout, b"git\n",
        "no function of another name: {output:?}"
    );
}

#[test]
fn other_shells_are_a_usage_error() {
    let sandbox = Sandbox::new();
    for shell in [
        &["shell-init"][..],
        &["shell-init", "powershell"],
        &["shell-init", "sh"],
    ] {
        let said = run(&sandbox, &sandbox.home(), shell);
        assert_eq!(said.code, Some(2), "{said}");
    }
    let said = run(&sandbox, &sandbox.home(), &["--json", "shell-init", "bash"]).succeeded();
    assert_eq!(said.json()["schema"], "git-vault/shell-init/1");
}
