//! Messages of coding agents in all their shapes: every file and directory that one names is saved, or waits.

use std::fs::{self, OpenOptions};
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::agents::{Heard, TOOLS, command, heard, hook, prompt, snapshots};
use crate::doctor::Patient;
use crate::support::files::{append, chmod, mkdir, write};
use crate::support::{Sandbox, states};

fn second(sandbox: &Sandbox, name: &str) -> std::path::PathBuf {
    let there = sandbox.init(name);
    write(&there, "a.txt", "committed\n");
    sandbox.commit(&there, "one");
    there
}

/// Asserts that a call saves a second repository, whose state is new each time.
#[track_caller]
fn saves(sandbox: &Sandbox, there: &Path, tool: &str, message: &Value) {
    let before = snapshots(sandbox, there).len();
    append(there, "a.txt", "more\n");
    let said = hook(sandbox, &sandbox.path("tmp"), tool, message);
    assert_ne!(heard(tool, &said), Heard::Blocked, "{message}\n{said}");
    assert_eq!(
        snapshots(sandbox, there).len(),
        before + 1,
        "{message}\n{said}"
    );
}

#[test]
fn every_place_that_a_message_names_is_saved() {
    let sandbox = Sandbox::new();
    let here = states::small_repository(&sandbox);
    let there = second(&sandbox, "second one");
    let parent = there.parent().expect("a parent").to_owned();
    let _id = sandbox.snapshot(&there);
    let file = there.join("a.txt");
    let claude = |name: &str, input: Value| json!({"hook_event_name": "PreToolUse", "cwd": here, "tool_name": name, "tool_input": input});
    for message in [
        claude(
            "MultiEdit",
            json!({"edits": [{"file_path": here.join("README.md")}, {"file_path": file}]}),
        ),
        claude(
            "Edit",
            json!({"path": "README.md", "file_path": "README.md", "new_path": file}),
        ),
        claude(
            "Write",
            json!({"files": [{"path": "README.md"}, {"path": file}]}),
        ),
        claude("Write", json!({"paths": ["README.md", file]})),
        claude(
            "Write",
            json!({"file_path": format!("file://{}", file.display())}),
        ),
        claude("NotebookEdit", json!({"notebook_path": file})),
        claude(
            "apply_patch",
            json!({"input": format!("*** Begin Patch\n*** Update File: README.md\n*** Move to: {}\n*** End Patch", file.display())}),
        ),
        claude("Bash", json!({"command": "rm a.txt", "workdir": there})),
        claude(
            "run_shell_command",
            json!({"command": "rm a.txt", "dir_path": "../second one"}),
        ),
        claude("Bash", json!({"command": "make '-C../second one' clean"})),
        claude(
            "Write",
            json!({"file_path": file, "content": "x".repeat(6 << 20)}),
        ),
        command("claude", &parent, "rm -rf 'second one/a.txt'"),
        command("claude", &parent, "rm -rf 'second one'"),
        command(
            "claude",
            &parent,
            &format!("echo {} && rm 'second one/a.txt'", "word ".repeat(2000)),
        ),
    ] {
        saves(&sandbox, &there, "claude", &message);
    }
    // A window with several roots, and a shell of which it is not said where it is.
    let message = json!({"hook_event_name": "beforeShellExecution", "command": "git clean -fdx", "cwd": "", "workspace_roots": [here, there]});
    saves(&sandbox, &there, "cursor", &message);
}

#[test]
fn names_that_cannot_be_told_and_odd_shapes_must_wait_without_a_snapshot() {
    let patient = Patient::new();
    append(&patient.source, "README.md", "one more line\n");
    chmod(&patient.vault, 0o755);
    let (sandbox, source) = (&patient.sandbox, &patient.source);
    let claude = |name: &str, input: Value| json!({"hook_event_name": "PreToolUse", "cwd": source, "tool_name": name, "tool_input": input});
    for message in [
        claude("Write", json!({"file_path": "$HOME/x"})),
        claude("Write", json!({"file_path": "~somebody/x"})),
        claude("Write", json!({"file_path": "vscode://x"})),
        claude(
            "Write",
            json!({"files": [{"path": "new"}, {"path": "README.md"}]}),
        ),
        claude("Write", json!({"file_path": 7})),
        claude("Bash", json!({"command": [["rm", "README.md"]]})),
        claude("Bash", json!({"command": []})),
        claude(
            "Bash",
            json!({"command": ["bash", "-euo", "pipefail", "-c", "rm README.md"]}),
        ),
        claude(
            "Bash",
            json!({"command": "apply_patch <<'E'\n*** Begin Patch\nE"}),
        ),
        claude(
            "write_bash",
            json!({"sessionId": "1", "input": "rm README.md\n"}),
        ),
        claude(
            "write_stdin",
            json!({"session_id": 1, "chars": "rm README.md\n"}),
        ),
    ] {
        let said = hook(sandbox, source, "claude", &message);
        assert_eq!(heard("claude", &said), Heard::Blocked, "{message}\n{said}");
    }
    let said = hook(
        sandbox,
        source,
        "claude",
        &claude("Write", json!({"file_path": "new.txt"})),
    );
    assert_eq!(heard("claude", &said), Heard::Warning, "{said}");
}

/// More names than can be looked at: what is not saved must not be destroyed.
#[test]
fn a_line_that_names_more_than_is_looked_at_must_wait() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let _id = sandbox.snapshot(&source);
    let many: String = (0..20_000).map(|number| format!(" x/{number}")).collect();
    let said = hook(
        &sandbox,
        &source,
        "claude",
        &command("claude", &source, &format!("rm -rf{many}")),
    );
    assert_eq!(said.code, Some(2), "{said}");
    assert!(said.to_string().contains("more places"), "{said}");
    let said = hook(
        &sandbox,
        &source,
        "claude",
        &command("claude", &source, &format!("ls{many}")),
    );
    assert_eq!(heard("claude", &said), Heard::Pass, "{said}");
}

/// An answer that cannot be written is no yes.
#[test]
fn a_no_that_cannot_be_written_is_still_a_no() {
    let patient = Patient::new();
    append(&patient.source, "README.md", "one more line\n");
    chmod(&patient.vault, 0o755);
    for tool in TOOLS {
        let message = command(tool, &patient.source, "git reset --hard").to_string();
        let input = write(&patient.sandbox.path("tmp"), "message", message);
        let full = OpenOptions::new()
            .write(true)
            .open("/dev/full")
            .expect("it is there");
        let mut line = patient.sandbox.vault_command(&patient.source);
        line.args(["agents", "hook", tool])
            .stdin(fs::File::open(input).expect("the message"))
            .stdout(full)
            .stderr(Stdio::null());
        let status = line.status().expect("it starts");
        assert_eq!(status.code(), Some(2), "{tool}");
    }
}

/// Large lines of few letters cost no more than others.
#[test]
fn no_line_keeps_a_tool_waiting() {
    let sandbox = Sandbox::new();
    let place = mkdir(&sandbox.workplace(), "no-repository");
    for piece in [
        "{",
        "{a,",
        "$(",
        "\"$(",
        "`",
        "<<E\n",
        "-c x ",
        "sudo -x ",
        "sh -c '",
        "(",
        "\\",
        "s/[",
        "a ",
        "$X ",
        "'",
        "find -exec ",
    ] {
        for program in ["", "x ", "sed ", "awk ", "git "] {
            let line = format!("{program}{}", piece.repeat(50_000 / piece.len()));
            let said = hook(
                &sandbox,
                &place,
                "claude",
                &command("claude", &place, &line),
            );
            assert_eq!(
                heard("claude", &said),
                Heard::Pass,
                "{program}{piece}\n{said}"
            );
        }
    }
    let said = hook(&sandbox, &place, "claude", &prompt("claude", &place));
    assert_eq!(heard("claude", &said), Heard::Pass, "{said}");
}
