//! Coding agents: a snapshot before each act, in the protocol of each tool, and what must wait when none can be made.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use crate::doctor::Patient;
use crate::laboratory::{run, vaults};
use crate::support::files::{append, chmod, mkdir, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::{Said, Sandbox, states};

pub const TOOLS: [&str; 7] = [
    "claude", "codex", "copilot", "cursor", "gemini", "opencode", "windsurf",
];

/// The message of a tool before it runs a line of shell.
pub fn command(tool: &str, cwd: &Path, line: &str) -> Value {
    match tool {
        "copilot" => {
            json!({"timestamp": 1, "cwd": cwd, "toolName": "bash", "toolArgs": {"command": line}})
        }
        "cursor" => {
            json!({"hook_event_name": "beforeShellExecution", "command": line, "cwd": cwd, "workspace_roots": [cwd]})
        }
        "gemini" => {
            json!({"hook_event_name": "BeforeTool", "cwd": cwd, "tool_name": "run_shell_command", "tool_input": {"command": line}})
        }
        "opencode" => json!({"tool": "bash", "args": {"command": line}, "cwd": cwd}),
        "windsurf" => {
            json!({"agent_action_name": "pre_run_command", "tool_info": {"command_line": line, "cwd": cwd}})
        }
        _ => {
            json!({"session_id": "s", "hook_event_name": "PreToolUse", "cwd": cwd, "tool_name": "Bash", "tool_input": {"command": line}})
        }
    }
}

/// The message of a tool before it writes a file.
pub fn writing(tool: &str, cwd: &Path, file: &Path) -> Value {
    match tool {
        "codex" => {
            let patch = format!(
                "*** Begin Patch\n*** Update File: {}\n@@\n*** End Patch",
                file.display()
            );
            json!({"hook_event_name": "PreToolUse", "cwd": cwd, "tool_name": "apply_patch", "tool_input": {"command": patch}})
        }
        "copilot" => {
            json!({"cwd": cwd, "toolName": "edit", "toolArgs": json!({"path": file}).to_string()})
        }
        "cursor" => {
            json!({"hook_event_name": "preToolUse", "cwd": cwd, "tool_name": "Write", "tool_input": {"file_path": file}})
        }
        "gemini" => {
            json!({"hook_event_name": "BeforeTool", "cwd": cwd, "tool_name": "replace", "tool_input": {"file_path": file}})
        }
        "opencode" => json!({"tool": "write", "args": {"filePath": file}, "cwd": cwd}),
        "windsurf" => {
            json!({"agent_action_name": "pre_write_code", "tool_info": {"file_path": file}})
        }
        _ => {
            json!({"hook_event_name": "PreToolUse", "cwd": cwd, "tool_name": "Edit", "tool_input": {"file_path": file}})
        }
    }
}

/// The message of a tool before it begins with what a person asked for.
pub fn prompt(tool: &str, cwd: &Path) -> Value {
    match tool {
        // It has no such event, and asks nothing before tools that only look.
        "opencode" => json!({"tool": "read", "cwd": cwd}),
        "copilot" => json!({"cwd": cwd, "prompt": "secret words"}),
        "cursor" => {
            json!({"hook_event_name": "beforeSubmitPrompt", "prompt": "secret words", "workspace_roots": [cwd]})
        }
        "gemini" => json!({"hook_event_name": "BeforeAgent", "cwd": cwd, "prompt": "secret words"}),
        "windsurf" => {
            json!({"agent_action_name": "pre_user_prompt", "tool_info": {"user_prompt": "secret words"}})
        }
        _ => json!({"hook_event_name": "UserPromptSubmit", "cwd": cwd, "prompt": "secret words"}),
    }
}

/// Runs something as a tool runs a hook: with a message on standard input.
#[track_caller]
pub fn fed(mut command: Command, message: &[u8]) -> Said {
    command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let mut input = child.stdin.take().expect("a pipe");
    // Whoever does not read all of it may close the pipe.
    let _closed = input.write_all(message);
    drop(input);
    let output = child.wait_with_output().expect("its output");
    Said::new("a hook".to_owned(), output)
}

#[track_caller]
pub fn hook(sandbox: &Sandbox, directory: &Path, tool: &str, message: &Value) -> Said {
    let mut command = sandbox.vault_command(directory);
    command.args(["agents", "hook", tool]);
    fed(command, message.to_string().as_bytes())
}

#[derive(Debug, PartialEq, Eq)]
pub enum Heard {
    Pass,
    Warning,
    Blocked,
}

/// What a tool understands of an answer, by its own rules.
#[track_caller]
pub fn heard(tool: &str, said: &Said) -> Heard {
    let stdout = said.text();
    let stderr = String::from_utf8_lossy(&said.stderr).into_owned();
    if let ("copilot" | "cursor", Some(code)) = (tool, said.code) {
        assert_eq!(code, 0, "{said}");
        let answer: Value = if stdout.is_empty() {
            json!({})
        } else {
            said.json()
        };
        let is_denied = answer["permission"] == "deny" || answer["permissionDecision"] == "deny";
        if tool == "cursor" {
            assert!(
                is_denied || answer["permission"] == "allow" || answer["continue"] == true,
                "{said}"
            );
        }
        if is_denied {
            let reason = answer["agent_message"]
                .as_str()
                .or(answer["permissionDecisionReason"].as_str());
            assert!(
                reason.is_some_and(|reason| reason.contains("MORE")),
                "{said}"
            );
            return Heard::Blocked;
        }
        let message = answer["user_message"]
            .as_str()
            .or(answer["message"].as_str());
        return if message.is_some() {
            Heard::Warning
        } else {
            Heard::Pass
        };
    }
    match said.code {
        Some(2) => {
            assert!(stdout.is_empty(), "{said}");
            assert!(
                stderr.contains("REFUSED") && stderr.contains("MORE"),
                "{said}"
            );
            Heard::Blocked
        }
        Some(0) => {
            match tool {
                "gemini" => assert!(said.json().is_object(), "{said}"),
                "claude" | "codex" if !stderr.is_empty() => {
                    assert!(said.json()["systemMessage"].is_string(), "{said}")
                }
                _ => assert!(stdout.is_empty(), "{said}"),
            }
            if stderr.is_empty() {
                Heard::Pass
            } else {
                Heard::Warning
            }
        }
        code => panic!("exit status {code:?}\n{said}"),
    }
}

/// The snapshots of a repository, oldest first: id and trigger.
pub fn snapshots(sandbox: &Sandbox, repository: &Path) -> Vec<(String, String)> {
    let answer = run(sandbox, repository, &["--json", "list"]).json();
    let all = answer["snapshots"].as_array().cloned().unwrap_or_default();
    let word = |value: &Value| value.as_str().expect("a word").to_owned();
    all.iter()
        .map(|one| (word(&one["id"]), word(&one["trigger"])))
        .collect()
}

#[test]
fn what_an_agent_destroys_is_in_the_snapshot_that_was_made_before() {
    for (tool, line) in TOOLS.into_iter().zip([
        "git reset --hard",
        "git clean -fdx",
        "git checkout .",
        "git restore .",
        "rm -rf src untracked.txt",
        "git stash push -u && git stash drop",
        "git switch --discard-changes --detach HEAD~1",
    ]) {
        let sandbox = Sandbox::new();
        let source = states::small_repository(&sandbox);
        write(&source, ".gitignore", "*.secret\n");
        write(&source, "untracked.txt", "not in git\n");
        write(&source, "a.secret", "ignored\n");
        append(&source, "src/one.txt", "not committed\n");
        sandbox.git(&source, &["config", "vault.include", "*.secret"]);
        let before = Fingerprint::of(&source);
        let said = hook(&sandbox, &source, tool, &command(tool, &source, line));
        // The first time a vault and its key are made, and that is said.
        assert_eq!(heard(tool, &said), Heard::Warning, "{tool}\n{said}");
        assert!(said.to_string().contains("git vault key status"), "{said}");
        before.assert_untouched(&source);
        let mut shell = sandbox.command("sh", &source);
        let output = shell.args(["-c", line]).output().expect("sh starts");
        assert!(output.status.success(), "{tool}");
        let made = snapshots(&sandbox, &source);
        assert_eq!(made.len(), 1, "{tool}");
        assert_eq!(made[0].1, format!("agent/{tool}"));
        let restored = sandbox.restore(&source, &made[0].0, "restored");
        for (name, content) in [
            ("untracked.txt", "not in git\n"),
            ("a.secret", "ignored\n"),
            (
                "src/one.txt",
                "one\ntwo\nthree\nfour\nfive\nnot committed\n",
            ),
        ] {
            assert_eq!(
                fs::read_to_string(restored.join(name)).expect(name),
                content,
                "{tool}"
            );
        }
    }
}

#[test]
fn a_call_that_changes_nothing_makes_no_snapshot_and_is_answered_in_silence() {
    for tool in TOOLS {
        let sandbox = Sandbox::new();
        let source = states::small_repository(&sandbox);
        let _id = sandbox.snapshot(&source);
        let inside = source.join("src");
        for message in [
            command(tool, &inside, "git status"),
            writing(tool, &inside, &source.join("new/file.txt")),
            prompt(tool, &inside),
            command(tool, &inside, "echo 'open"),
        ] {
            let said = hook(&sandbox, &inside, tool, &message);
            assert_eq!(heard(tool, &said), Heard::Pass, "{tool}\n{said}");
            assert!(said.stderr.is_empty(), "{said}");
        }
        assert_eq!(snapshots(&sandbox, &source).len(), 1);
        append(&source, "README.md", "more\n");
        let message = match tool {
            "opencode" => command(tool, &source, "ls"),
            _ => prompt(tool, &source),
        };
        let said = hook(&sandbox, &source, tool, &message);
        assert_eq!(heard(tool, &said), Heard::Pass, "{tool}\n{said}");
        let made = snapshots(&sandbox, &source);
        assert_eq!(made.len(), 2);
        assert_eq!(made[1].1, format!("agent/{tool}"));
        let beats = sandbox.path("state/git-vault/heartbeats");
        let beats = fs::read_dir(beats)
            .expect("beats")
            .next()
            .expect("one")
            .expect("one")
            .path();
        let beat = fs::read_to_string(beats.join(format!("agent-{tool}.toml"))).expect("a beat");
        assert!(
            beat.contains("outcome = \"sealed\"") && beat.contains(&made[1].0),
            "{beat}"
        );
    }
}

#[test]
fn tools_that_only_look_cost_nothing() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    for message in [
        json!({"cwd": source, "tool_name": "Read", "tool_input": {"file_path": "README.md"}}),
        json!({"cwd": source, "toolName": "view", "toolArgs": {"path": "README.md"}}),
    ] {
        let tool = if message["toolName"].is_null() {
            "claude"
        } else {
            "copilot"
        };
        let said = hook(&sandbox, &source, tool, &message);
        assert_eq!(heard(tool, &said), Heard::Pass, "{said}");
    }
    assert!(vaults(&sandbox).is_empty());
}

#[test]
fn outside_of_repositories_everything_passes_in_silence() {
    let sandbox = Sandbox::new();
    let place = mkdir(&sandbox.workplace(), "no-repository");
    for tool in TOOLS {
        for message in [
            command(tool, &place, "rm -rf x"),
            prompt(tool, &place),
            writing(tool, &place, &place.join("x")),
        ] {
            let said = hook(&sandbox, &place, tool, &message);
            assert_eq!(heard(tool, &said), Heard::Pass, "{tool}\n{said}");
            assert!(said.stderr.is_empty(), "{said}");
        }
    }
    assert!(vaults(&sandbox).is_empty());
}

#[test]
fn variables_of_another_repository_do_not_lead_astray() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let other = sandbox.init("other");
    write(&other, "theirs.txt", "theirs\n");
    sandbox.commit(&other, "theirs");
    append(&source, "README.md", "mine\n");
    let untouched = Fingerprint::of(&other);
    let git = other.join(".git");
    let mut command_line = sandbox.vault_command(&source);
    command_line.args(["agents", "hook", "claude"]);
    command_line
        .env("GIT_DIR", &git)
        .env("GIT_WORK_TREE", &other)
        .env("GIT_INDEX_FILE", git.join("index"))
        .env("GIT_OBJECT_DIRECTORY", git.join("objects"))
        .env("GIT_COMMON_DIR", &git)
        .env("GIT_PREFIX", "src/")
        .env("GIT_VAULT_ACTIVE", "1");
    let message = command("claude", &source, "git reset --hard").to_string();
    let said = fed(command_line, message.as_bytes());
    assert_eq!(said.code, Some(0), "{said}");
    assert_eq!(vaults(&sandbox).len(), 1);
    let made = snapshots(&sandbox, &source);
    let restored = sandbox.restore(&source, &made[0].0, "restored");
    assert!(
        fs::read_to_string(restored.join("README.md"))
            .expect("read")
            .ends_with("mine\n")
    );
    assert!(!restored.join("theirs.txt").exists());
    untouched.assert_untouched(&other);
}

#[test]
fn repositories_that_a_call_names_are_saved_beside_the_one_it_is_made_in() {
    let sandbox = Sandbox::new();
    let here = states::small_repository(&sandbox);
    let second = sandbox.init("second");
    let third = sandbox.init("deep/third");
    for repository in [&second, &third] {
        write(repository, "a", "a\n");
        sandbox.commit(repository, "a");
    }
    let line = format!(
        "cd ../second && git reset --hard && rm -rf {}/a",
        third.display()
    );
    // The directory of the message counts, not the one in which the hook happens to run.
    let said = hook(
        &sandbox,
        &sandbox.path("tmp"),
        "claude",
        &command("claude", &here, &line),
    );
    assert_eq!(heard("claude", &said), Heard::Warning, "{said}");
    for repository in [&here, &second, &third] {
        assert_eq!(
            snapshots(&sandbox, repository).len(),
            1,
            "{}",
            repository.display()
        );
    }
    append(&third, "a", "more\n");
    let message = writing("claude", &here, &third.join("a"));
    let _said = hook(&sandbox, &here, "claude", &message);
    assert_eq!(snapshots(&sandbox, &third).len(), 2);
    // A directory that is not there is no directory: the one of the process counts.
    append(&second, "a", "more\n");
    let gone = sandbox.path("gone");
    let _said = hook(&sandbox, &second, "claude", &command("claude", &gone, "ls"));
    assert_eq!(snapshots(&sandbox, &second).len(), 2);
}

#[test]
fn what_is_only_looked_at_elsewhere_is_not_saved() {
    let sandbox = Sandbox::new();
    let here = states::small_repository(&sandbox);
    let other = sandbox.init("other");
    write(&other, "a", "a\n");
    let _id = sandbox.snapshot(&here);
    let line = format!("cat {}/a | wc -l", other.display());
    let said = hook(&sandbox, &here, "claude", &command("claude", &here, &line));
    assert_eq!(heard("claude", &said), Heard::Pass, "{said}");
    assert_eq!(vaults(&sandbox).len(), 1);
}

#[test]
fn every_folder_that_is_open_is_saved_before_a_prompt() {
    let sandbox = Sandbox::new();
    let here = states::small_repository(&sandbox);
    let other = sandbox.init("other");
    write(&other, "a", "a\n");
    let message =
        json!({"hook_event_name": "beforeSubmitPrompt", "workspace_roots": [here, other]});
    let said = hook(&sandbox, &sandbox.path("tmp"), "cursor", &message);
    assert_eq!(said.json()["continue"], true, "{said}");
    assert_eq!(vaults(&sandbox).len(), 2);
}

/// A tool may keep the stream open, and one that writes must not find it closed.
#[test]
fn a_message_is_read_to_its_end_and_no_further() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let _id = sandbox.snapshot(&source);
    let start = || {
        let mut line = sandbox.vault_command(&source);
        line.args(["agents", "hook", "claude"])
            .stdin(Stdio::piped());
        line.stdout(Stdio::piped()).stderr(Stdio::piped());
        line.spawn().expect("it starts")
    };
    let mut child = start();
    let mut input = child.stdin.take().expect("a pipe");
    let message = command("claude", &source, "ls").to_string();
    input.write_all(message.as_bytes()).expect("written");
    let output = child
        .wait_with_output()
        .expect("it ends while the pipe is open");
    drop(input);
    assert_eq!(
        heard("claude", &Said::new("open".to_owned(), output)),
        Heard::Pass
    );
    let mut child = start();
    let mut input = child.stdin.take().expect("a pipe");
    input
        .write_all(b"{\"tool_name\":\"Write\",\"x\":\"")
        .expect("written");
    for _ in 0..96 {
        input.write_all(&[b'x'; 1 << 16]).expect("somebody reads");
    }
    input.write_all(b"\"}").expect("somebody reads");
    drop(input);
    let output = child.wait_with_output().expect("its output");
    assert_eq!(
        heard("claude", &Said::new("large".to_owned(), output)),
        Heard::Warning
    );
}

#[test]
fn linked_worktrees_share_the_vault_of_their_repository() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    sandbox.git(
        &source,
        &["worktree", "add", "--quiet", "../linked", "-b", "linked"],
    );
    let linked = sandbox.workplace().join("linked");
    write(&linked, "only-here.txt", "precious\n");
    let message = command("claude", &source, "git worktree remove --force ../linked");
    let said = hook(&sandbox, &source, "claude", &message);
    assert_eq!(said.code, Some(0), "{said}");
    let message = command("claude", &linked, "ls");
    let _said = hook(&sandbox, &linked, "claude", &message);
    assert_eq!(vaults(&sandbox).len(), 1);
    sandbox.git(&source, &["worktree", "remove", "--force", "../linked"]);
    let made = snapshots(&sandbox, &source);
    let restored = sandbox.restore(&source, &made[0].0, "restored");
    let mut find = sandbox.command("find", restored.parent().expect("a parent"));
    find.args([restored.to_str().expect("UTF-8"), "-name", "only-here.txt"]);
    assert!(!find.output().expect("find starts").stdout.is_empty());
}

/// The command in the settings of a tool.
pub fn installed_command(sandbox: &Sandbox, tool: &str) -> String {
    let file = match tool {
        "claude" | "gemini" => format!("home/.{tool}/settings.json"),
        "copilot" => "home/.copilot/hooks/git-vault.json".to_owned(),
        "windsurf" => "home/.codeium/windsurf/hooks.json".to_owned(),
        _ => format!("home/.{tool}/hooks.json"),
    };
    let settings: Value =
        serde_json::from_slice(&fs::read(sandbox.path(&file)).expect("settings")).expect("JSON");
    let lists = settings["hooks"].as_object().expect("hooks");
    let element = &lists.values().next().expect("a list")[0];
    let places = ["/hooks/0/command", "/command", "/bash"];
    let command = places.iter().find_map(|place| element.pointer(place));
    command
        .and_then(Value::as_str)
        .expect("a command")
        .to_owned()
}

#[test]
fn the_command_that_was_installed_works_in_a_bare_environment() {
    for tool in TOOLS.into_iter().filter(|tool| *tool != "opencode") {
        let sandbox = Sandbox::new();
        let source = states::small_repository(&sandbox);
        let _said = run(&sandbox, &source, &["agents", "install", tool]).succeeded();
        let installed = installed_command(&sandbox, tool);
        let mut bare = sandbox.command("env", &source);
        let home = format!("HOME={}", sandbox.home().display());
        bare.args(["-i", &home, "/bin/sh", "-c", &installed]);
        let said = fed(
            bare,
            command(tool, &source, "git reset --hard")
                .to_string()
                .as_bytes(),
        );
        assert_eq!(heard(tool, &said), Heard::Warning, "{tool}\n{said}");
        let places =
            fs::read_dir(sandbox.home().join(".local/share/git-vault/vaults")).expect("vaults");
        let vaults = places.filter(|one| {
            let path = one.as_ref().expect("an entry").path();
            path.extension().is_some_and(|ending| ending == "vault")
        });
        assert_eq!(vaults.count(), 1, "{tool}");
    }
}

/// The plugin for OpenCode, run as OpenCode runs it.
pub fn plugin(sandbox: &Sandbox, directory: &Path, calls: &str) -> Option<Said> {
    let file = sandbox.path("config/opencode/plugins/git-vault.js");
    let script = format!(
        "import('{}').then(async (module) => {{\n\
         const log = []\n\
         const client = {{ app: {{ log: async (entry) => log.push(entry) }} }}\n\
         const hooks = await module.GitVault({{ client, directory: {} }})\n\
         const call = async (tool, args) => {{ try {{ await hooks['tool.execute.before']({{ tool }}, {{ args }}); console.log('pass') }}\
         catch (error) {{ console.log('blocked', String(error.message).includes('REFUSED')) }} }}\n\
         {calls}\nconsole.log('warnings', log.length)\n}})",
        file.display(),
        json!(directory)
    );
    // The file is a module, though there is no package that says so.
    let module = sandbox.path("config/opencode/package.json");
    fs::write(module, "{\"type\": \"module\"}").expect("written");
    let mut node = sandbox.command("node", directory);
    node.args(["-e", &script]);
    match node.output() {
        Ok(output) => Some(Said::new("node".to_owned(), output)),
        Err(_) => {
            eprintln!("SKIPPED: the plugin for OpenCode needs node");
            None
        }
    }
}

#[test]
fn the_plugin_for_opencode_saves_first_and_blocks_what_must_wait() {
    let patient = Patient::new();
    let _said = patient.run(&["agents", "install", "opencode"]).succeeded();
    append(&patient.source, "README.md", "precious\n");
    let calls = "await call('read', { filePath: 'README.md' })\nawait call('bash', { command: 'git reset --hard' })";
    let Some(said) = plugin(&patient.sandbox, &patient.source, calls) else {
        return;
    };
    assert_eq!(said.text(), "pass\npass\nwarnings 0\n", "{said}");
    let made = snapshots(&patient.sandbox, &patient.source);
    assert_eq!((made.len(), made[1].1.as_str()), (2, "agent/opencode"));
    append(&patient.source, "README.md", "more\n");
    chmod(&patient.vault, 0o755);
    let calls = "await call('bash', { command: 'git reset --hard' })\nawait call('bash', { command: 'git status' })\nawait call('edit', { filePath: 'README.md' })";
    let said = plugin(&patient.sandbox, &patient.source, calls).expect("node is here");
    assert_eq!(
        said.text(),
        "blocked true\npass\nblocked true\nwarnings 1\n",
        "{said}"
    );
}

#[test]
fn calls_at_the_same_time_are_all_answered_and_make_one_snapshot() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let _id = sandbox.snapshot(&source);
    append(&source, "README.md", "more\n");
    let message = command("claude", &source, "git reset --hard").to_string();
    let answers: Vec<Said> = std::thread::scope(|scope| {
        let one = || {
            let mut line = sandbox.vault_command(&source);
            line.args(["agents", "hook", "claude"]);
            fed(line, message.as_bytes())
        };
        let running: Vec<_> = (0..4).map(|_| scope.spawn(one)).collect();
        running
            .into_iter()
            .map(|one| one.join().expect("an answer"))
            .collect()
    });
    for said in &answers {
        assert_eq!(heard("claude", said), Heard::Pass, "{said}");
    }
    assert_eq!(snapshots(&sandbox, &source).len(), 2);
}
