//! Coding agents in trouble: no snapshot can be made, the message is none, the program or the directory is gone.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::agents::{
    Heard, TOOLS, command, fed, heard, hook, installed_command, prompt, snapshots, writing,
};
use crate::agents_settings::program_at;
use crate::doctor::Patient;
use crate::support::Sandbox;
use crate::support::files::{append, chmod, write};
use crate::support::states;

#[test]
fn without_a_snapshot_what_can_destroy_must_wait_and_all_else_passes_with_a_warning() {
    let patient = Patient::new();
    append(&patient.source, "README.md", "one more line\n");
    chmod(&patient.vault, 0o755);
    let (sandbox, source) = (&patient.sandbox, &patient.source);
    let sub = source.join("src");
    let before = patient.listing();
    for tool in TOOLS {
        for (directory, line) in [
            (source, "git reset --hard"),
            (&sub, "cd .. && git -C src clean -fdx"),
            (source, "sudo -u me bash -c 'git checkout .'"),
            (source, "git status; find . -delete"),
            (source, "echo new > README.md"),
            (source, "$(cat x)"),
            (source, "echo 'never closed"),
        ] {
            let said = hook(sandbox, directory, tool, &command(tool, directory, line));
            assert_eq!(heard(tool, &said), Heard::Blocked, "{tool} {line}\n{said}");
            assert!(said.to_string().contains("GV-1303"), "{said}");
            assert!(
                !said.to_string().contains(line),
                "what is run is not repeated\n{said}"
            );
        }
        for line in [
            "git status",
            "ls -la | head",
            "cargo test",
            "git commit -m x",
        ] {
            let said = hook(sandbox, source, tool, &command(tool, source, line));
            assert_eq!(heard(tool, &said), Heard::Warning, "{tool} {line}\n{said}");
            assert!(said.to_string().contains("GV-1303"), "{said}");
        }
        let said = hook(
            sandbox,
            source,
            tool,
            &writing(tool, source, &source.join("README.md")),
        );
        assert_eq!(heard(tool, &said), Heard::Blocked, "{tool}\n{said}");
        let said = hook(
            sandbox,
            source,
            tool,
            &writing(tool, source, &source.join("new.txt")),
        );
        assert_eq!(heard(tool, &said), Heard::Warning, "{tool}\n{said}");
        let said = hook(sandbox, source, tool, &prompt(tool, source));
        let expected = if tool == "opencode" {
            Heard::Pass
        } else {
            Heard::Warning
        };
        assert_eq!(heard(tool, &said), expected, "{tool}\n{said}");
        let said = hook(sandbox, source, tool, &json!("nonsense"));
        assert_eq!(heard(tool, &said), Heard::Blocked, "{tool}\n{said}");
    }
    let differences = crate::support::listing::differences("vault", &before, &patient.listing());
    assert_eq!(differences, [""; 0]);
    chmod(&patient.vault, 0o700);
    let said = hook(
        sandbox,
        source,
        "claude",
        &command("claude", source, "git reset --hard"),
    );
    assert_eq!(heard("claude", &said), Heard::Pass, "{said}");
}

/// An agent makes hundreds of calls: what is wrong is recorded once.
#[test]
fn a_severe_refusal_is_recorded_once_however_many_calls_there_are() {
    let patient = Patient::new();
    let foreign = write(&patient.vault, "objects/info/alternates", "/nowhere\n");
    append(&patient.source, "README.md", "one more line\n");
    for _ in 0..4 {
        let message = command("claude", &patient.source, "git reset --hard");
        let said = hook(&patient.sandbox, &patient.source, "claude", &message);
        assert_eq!(heard("claude", &said), Heard::Blocked, "{said}");
        assert!(said.to_string().contains("SEV-1"), "{said}");
    }
    assert_eq!(
        fs::read_dir(patient.state("incidents"))
            .expect("incidents")
            .count(),
        1
    );
    fs::remove_file(foreign).expect("removed");
}

#[test]
fn a_message_that_is_no_message_is_survived() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let _id = sandbox.snapshot(&source);
    let large = format!(
        "{{\"cwd\":\"{}\",\"x\":\"{}\"}}",
        source.display(),
        "x".repeat(5 << 20)
    );
    let odd =
        json!({"tool_name": "Bash", "tool_input": 7, "cwd": 9, "hook_event_name": [1]}).to_string();
    for (number, message) in ["", "{", "\u{0}\u{1}\u{ff}", "null", "[[[[", &large, &odd]
        .into_iter()
        .enumerate()
    {
        for tool in TOOLS {
            append(&source, "README.md", format!("{number} {tool}\n"));
            let count = snapshots(&sandbox, &source).len();
            let mut command = sandbox.vault_command(&source);
            command.args(["agents", "hook", tool]);
            let said = fed(command, message.as_bytes());
            assert_eq!(
                heard(tool, &said),
                Heard::Warning,
                "{tool} {number}\n{said}"
            );
            assert_eq!(
                snapshots(&sandbox, &source).len(),
                count + 1,
                "where it was run, a snapshot is made"
            );
        }
        if number > 1 {
            break;
        }
    }
}

/// Copilot takes a hook that cannot be started for a no: a program that is gone must not keep it from all it does.
#[test]
fn a_program_that_is_gone_keeps_no_tool_from_its_work() {
    let sandbox = Sandbox::new();
    let program = program_at(&sandbox, "gone/git-vault");
    let mut install = sandbox.command(&program, &sandbox.path("tmp"));
    install.args(["agents", "install", "copilot"]);
    assert!(install.output().expect("it starts").status.success());
    fs::remove_file(&program).expect("removed");
    let mut shell = sandbox.command("bash", &sandbox.path("tmp"));
    shell.args(["-c", &installed_command(&sandbox, "copilot")]);
    let said = fed(shell, b"{}");
    assert_eq!(said.code, Some(0), "{said}");
    assert!(said.stdout.is_empty() && said.stderr.is_empty(), "{said}");
}

#[test]
fn nothing_of_a_message_is_written_down() {
    let patient = Patient::new();
    append(&patient.source, "README.md", "more\n");
    let log = patient.sandbox.path("support.log");
    for mode in [0o755, 0o700] {
        chmod(&patient.vault, mode);
        let mut line = patient.sandbox.vault_command(&patient.source);
        line.args(["agents", "hook", "claude"])
            .env("GIT_VAULT_LOG", &log);
        let message = command("claude", &patient.source, "git reset --hard # hunter2");
        let said = fed(line, message.to_string().as_bytes());
        assert!(!said.to_string().contains("hunter2"), "{said}");
    }
    let _said = hook(
        &patient.sandbox,
        &patient.source,
        "claude",
        &prompt("claude", &patient.source),
    );
    for place in ["state", "data", "support.log"] {
        let mut grep = patient.sandbox.command("grep", &patient.sandbox.path("."));
        let found = grep
            .args(["-rlE", "hunter2|secret words", place])
            .output()
            .expect("grep starts");
        assert!(
            found.stdout.is_empty(),
            "{}",
            String::from_utf8_lossy(&found.stdout)
        );
    }
    assert!(
        fs::read_to_string(&log)
            .expect("a log")
            .contains("agents work claude")
    );
}

#[test]
fn a_current_directory_that_is_gone_is_no_reason_to_save_nothing() {
    let program = env!("CARGO_BIN_EXE_git-vault");
    for tool in TOOLS {
        let sandbox = Sandbox::new();
        let source = states::small_repository(&sandbox);
        let script = format!(
            "mkdir gone && cd gone && rmdir ../gone && exec '{program}' agents hook {tool}"
        );
        let mut shell = sandbox.command("sh", &sandbox.path("tmp"));
        shell.args(["-c", &script]);
        let message = command(tool, &source, "git reset --hard");
        let said = fed(shell, message.to_string().as_bytes());
        assert_eq!(heard(tool, &said), Heard::Warning, "{tool}\n{said}");
        assert_eq!(snapshots(&sandbox, &source).len(), 1, "{tool}");
    }
}

#[test]
fn surroundings_that_make_no_sense_are_answered_in_the_protocol() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    for tool in TOOLS {
        for (line, expected) in [
            ("git reset --hard", Heard::Blocked),
            ("git status", Heard::Warning),
        ] {
            let mut program = sandbox.vault_command(&source);
            program.args(["agents", "hook", tool]);
            program.env("GIT_VAULT_HOME", "not/absolute");
            let message = command(tool, Path::new("/"), line);
            let said = fed(program, message.to_string().as_bytes());
            assert_eq!(heard(tool, &said), expected, "{tool}\n{said}");
            assert!(said.to_string().contains("GV-1005"), "{said}");
        }
    }
}

/// A vault is a bare repository: it must not get a vault of its own because an agent looked into it.
#[test]
fn a_vault_is_not_saved_into_another_vault() {
    let patient = Patient::new();
    let before = patient.listing();
    let named = format!("rm -rf {}/cache", patient.vault.display());
    for (directory, line) in [(&patient.vault, "ls"), (&patient.source, named.as_str())] {
        let message = command("claude", directory, line);
        let said = hook(&patient.sandbox, directory, "claude", &message);
        assert_eq!(heard("claude", &said), Heard::Warning, "{said}");
        assert!(said.to_string().contains("is a vault"), "{said}");
    }
    assert_eq!(crate::laboratory::vaults(&patient.sandbox).len(), 1);
    let differences = crate::support::listing::differences("vault", &before, &patient.listing());
    assert_eq!(differences, [""; 0]);
}
