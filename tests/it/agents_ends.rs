//! Hooks of coding agents that come to a bad end: whatever ends the work, the tool hears a no where something could be lost.

use std::fs;
use std::path::Path;

use crate::agents::{Heard, TOOLS, command, fed, heard, plugin, prompt, snapshots, writing};
use crate::laboratory::run;
use crate::support::files::{append, chmod, mkdir, write};
use crate::support::{Said, Sandbox, states};

/// Runs a hook that is stopped as soon as it writes more than a few blocks into a file.
#[track_caller]
fn stopped(sandbox: &Sandbox, directory: &Path, tool: &str, message: &serde_json::Value) -> Said {
    let script = format!(
        "ulimit -f 4; exec '{}' agents hook {tool}",
        env!("CARGO_BIN_EXE_git-vault")
    );
    let mut shell = sandbox.command("sh", directory);
    shell.args(["-c", &script]);
    fed(shell, message.to_string().as_bytes())
}

#[test]
fn work_that_is_ended_by_a_signal_is_a_no_for_what_can_destroy() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let _id = sandbox.snapshot(&source);
    let noise: String = (0..40_000_u32)
        .map(|number| format!("{:x}\n", number.wrapping_mul(2_654_435_761)))
        .collect();
    write(&source, "noise.txt", noise);
    let count = snapshots(&sandbox, &source).len();
    for tool in TOOLS {
        let sub = source.join("src");
        for (message, expected) in [
            (command(tool, &source, "git reset --hard"), Heard::Blocked),
            (command(tool, &source, "git status"), Heard::Warning),
            (
                writing(tool, &source, &source.join("noise.txt")),
                Heard::Blocked,
            ),
            (
                writing(tool, &source, &source.join("new.txt")),
                Heard::Warning,
            ),
            (command(tool, &sub, "rm ../noise.txt"), Heard::Blocked),
        ] {
            let said = stopped(&sandbox, &source, tool, &message);
            assert_eq!(heard(tool, &said), expected, "{tool} {message}\n{said}");
            assert!(said.to_string().contains("GV-0001"), "{said}");
        }
        if tool != "opencode" {
            let said = stopped(&sandbox, &source, tool, &prompt(tool, &source));
            assert_eq!(heard(tool, &said), Heard::Warning, "{tool}\n{said}");
        }
    }
    assert_eq!(snapshots(&sandbox, &source).len(), count);
}

/// A file that is named by a relative path is looked for where the tool works, not where the hook was started.
#[test]
fn a_file_that_is_there_is_found_from_the_directory_of_the_message() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let elsewhere = mkdir(&sandbox.workplace(), "elsewhere");
    for tool in TOOLS.into_iter().filter(|tool| *tool != "windsurf") {
        let mut hook = sandbox.vault_command(&elsewhere);
        hook.args(["agents", "hook", tool]);
        hook.env("GIT_VAULT_HOME", "not/absolute");
        let message = writing(tool, &source, Path::new("README.md"));
        let said = fed(hook, message.to_string().as_bytes());
        assert_eq!(heard(tool, &said), Heard::Blocked, "{tool}\n{said}");
    }
}

#[test]
fn an_answer_in_the_protocol_of_a_tool_is_never_quiet() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let _id = sandbox.snapshot(&source);
    append(&source, "README.md", "more\n");
    let vault = fs::read_dir(sandbox.path("data/git-vault/vaults"))
        .expect("vaults")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|ending| ending == "vault"))
        .expect("a vault");
    chmod(&vault, 0o755);
    for tool in TOOLS {
        for (line, expected) in [
            ("git reset --hard", Heard::Blocked),
            ("git status", Heard::Warning),
        ] {
            let mut hook = sandbox.vault_command(&source);
            hook.args(["--quiet", "agents", "hook", tool]);
            let message = command(tool, &source, line).to_string();
            let said = fed(hook, message.as_bytes());
            assert_eq!(heard(tool, &said), expected, "{tool}\n{said}");
        }
        // Asked for with `--json`, the no is in the status, which every tool heeds.
        let mut hook = sandbox.vault_command(&source);
        hook.args(["--json", "agents", "hook", tool]);
        let message = command(tool, &source, "git reset --hard").to_string();
        let said = fed(hook, message.as_bytes());
        assert_eq!(said.code, Some(2), "{tool}\n{said}");
        assert_eq!(said.json()["verdict"], "block", "{said}");
    }
}

/// Only a hook that ended well lets OpenCode go on: one that was killed has no exit status, one that broke has any.
#[test]
fn the_plugin_for_opencode_takes_every_end_but_a_good_one_for_a_no() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let _said = run(&sandbox, &source, &["agents", "install", "opencode"]).succeeded();
    let file = sandbox.path("config/opencode/plugins/git-vault.js");
    let installed = fs::read_to_string(&file).expect("the plugin");
    let start = installed.find("const program = ").expect("the program");
    let rest = installed[start..].find('\n').expect("its end");
    for (script, expected) in [
        ("kill -9 $$", "blocked false\n"),
        ("exit 1", "blocked false\n"),
        ("exit 139", "blocked false\n"),
        ("exit 0", "pass\n"),
    ] {
        let broken = write(
            &sandbox.path("tmp"),
            "broken",
            format!("#!/bin/sh\n{script}\n"),
        );
        chmod(&broken, 0o755);
        let mut text = installed.clone();
        let program = format!("const program = {}", serde_json::json!(broken));
        text.replace_range(start..start + rest, &program);
        fs::write(&file, text).expect("written");
        let calls = "await call('bash', { command: 'git reset --hard' })";
        let Some(said) = plugin(&sandbox, &source, calls) else {
            return;
        };
        assert_eq!(
            said.text(),
            format!("{expected}warnings 0\n"),
            "{script}\n{said}"
        );
    }
}
