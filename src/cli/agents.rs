//! How a coding agent is answered: in the form that its hooks have, on the stream and with the status that it looks at.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use serde_json::{Value, json};

use crate::cli::args::triggers::AgentsCommand;
use crate::cli::args::{Arguments, Command};
use crate::cli::commands::Answer;
use crate::cli::environment::around;
use crate::cli::refusals;
use crate::host::disk;
use crate::host::machine;
use crate::host::program::{End, Program, itself};
use crate::model::escape::{for_json, for_terminal};
use crate::model::refusal::Refusal;
use crate::model::refusal_code::RefusalCode;
use crate::ops::agents::call::{self, Call};
use crate::ops::agents::hook::{HookReport, Verdict, without_surroundings};
use crate::ops::agents::tools::Tool;
use crate::ops::incident::Noted;

/// The exit status by which most tools are told that a call must not be made.
const BLOCKED: u8 = 2;

/// What an answer for programs calls itself.
const SCHEMA: &str = "git-vault/agents-hook/1";

/// Largest message that is read.
const LIMIT_BYTES: u64 = 64 << 20;
/// Most of a larger one that is passed over: a tool may take it amiss when nobody reads what it writes.
const DRAIN_BYTES: u64 = 1 << 30;

/// How long a tool is kept waiting: it is told what is wrong before it stops the hook after 600 seconds and goes on.
const PATIENCE: Duration = Duration::from_secs(570);

/// Whether the work of a hook is to be done, and a tool to be answered.
#[must_use]
pub fn is_work(arguments: &Arguments) -> bool {
    let Command::Agents { command } = &arguments.command else {
        return false;
    };
    matches!(command, AgentsCommand::Work { .. })
}

/// Answers a tool, whatever happens: an answer that cannot be written, or an error of ours, is a no to all of them.
#[must_use]
pub fn hook(arguments: &Arguments, tool: Tool) -> ExitCode {
    let blocked = ExitCode::from(BLOCKED);
    let Ok(answer) = std::panic::catch_unwind(|| attempt(arguments, tool)) else {
        return blocked;
    };
    let mut stdout = std::io::stdout().lock();
    let written = stdout.write_all(answer.text.as_bytes());
    match written.and_then(|()| stdout.flush()) {
        Ok(()) => ExitCode::from(answer.status),
        Err(_) => blocked,
    }
}

/// Has the work done by a process of its own and hands its answer on. Whatever ends that process - a signal, the system that is out of
/// memory, an error of ours - and also when it takes too long, there is somebody left who answers.
fn attempt(arguments: &Arguments, tool: Tool) -> Answer {
    machine::leave_no_core_file();
    let message = read_message();
    let text = message.as_ref().map(Value::to_string).unwrap_or_default();
    let refusal = match watched(arguments, tool, text.into_bytes()) {
        Ok(End::Answered {
            status: status @ (0 | BLOCKED_STATUS),
            answer,
            complaint,
        }) => {
            let _unread = std::io::stderr().write_all(&complaint);
            let text = String::from_utf8_lossy(&answer).into_owned();
            return Answer {
                status: u8::from(status != 0) * BLOCKED,
                ..Answer::new(Value::Null, text)
            };
        }
        Ok(End::Answered { status, .. }) => no_answer(&format!("it ended with status {status}")),
        Ok(End::Signal(signal)) => no_answer(&format!("signal {signal} ended it")),
        Ok(End::Late) => late(),
        Err(error) => no_answer(&error.to_string()),
    };
    let call = call::read(tool, message.as_ref());
    let mut answer = answer(&without_surroundings(tool, &call, &around(), refusal));
    if arguments.json {
        answer.status = status_with_json(&answer.json).unwrap_or(answer.status);
        answer.text = format!("{}\n", for_json(&answer.json.to_string()));
    }
    answer
}

const BLOCKED_STATUS: i32 = 2;

fn watched(arguments: &Arguments, tool: Tool, message: Vec<u8>) -> disk::Result<End> {
    let mut words: Vec<OsString> = Vec::new();
    let places = [
        ("-C", &arguments.directory),
        ("--vault", &arguments.vault),
        ("--log-file", &arguments.log_file),
    ];
    for (option, place) in places {
        if let Some(place) = place {
            words.extend([option.into(), place.clone().into_os_string()]);
        }
    }
    let switches = [(arguments.json, "--json"), (arguments.quiet, "--quiet")];
    let given = switches.iter().filter(|(is_given, _)| *is_given);
    words.extend(given.map(|(_, switch)| OsString::from(switch)));
    words.extend(["agents", "work", tool.word()].map(OsString::from));
    let program = Program {
        file: itself()?,
        name: "git-vault".into(),
        arguments: words,
        directory: PathBuf::from("."),
    };
    program.attempt(message, PATIENCE)
}

fn no_answer(how: &str) -> Refusal {
    Refusal::new(
        RefusalCode::Internal,
        "the work of this hook came to an unexpected end",
    )
    .because(how)
    .because("a limit of the system, too little memory, somebody who stopped it, or an error of this program")
    .keeping("snapshots that were sealed before")
    .next("git vault snapshot", "says more")
}

fn late() -> Refusal {
    Refusal::new(RefusalCode::AnotherWriter, "the snapshot is not ready yet")
        .because(format!(
            "it was waited for {} seconds; it goes on in the background",
            PATIENCE.as_secs()
        ))
        .keeping("snapshots that were sealed before")
        .next("git vault list", "shows when it is there")
}

/// With `--json` an answer has no form that a tool knows; the status is then what counts.
#[must_use]
pub fn status_with_json(answer: &Value) -> Option<u8> {
    let is_hook = answer.get("schema").and_then(Value::as_str) == Some(SCHEMA);
    (is_hook && answer.get("verdict").and_then(Value::as_str) == Some("block")).then_some(BLOCKED)
}

/// Reads the message of a tool from standard input, up to its end and no further: a tool may leave the stream open. What cannot be
/// read, or is too large, is a message that is not understood.
#[must_use]
pub fn read_call(tool: Tool) -> Call {
    call::read(tool, read_message().as_ref())
}

fn read_message() -> Option<Value> {
    let mut input = std::io::stdin().lock();
    let mut messages = serde_json::Deserializer::from_reader(input.by_ref().take(LIMIT_BYTES))
        .into_iter::<Value>();
    let message = messages.next().and_then(Result::ok);
    if message.is_none() {
        let _rest = std::io::copy(&mut input.take(DRAIN_BYTES), &mut std::io::sink());
    }
    message
}

/// The answer when not even home and current directory are known.
#[must_use]
pub fn answer_without_surroundings(tool: Tool, refusal: Refusal) -> Answer {
    let call = read_call(tool);
    answer(&without_surroundings(tool, &call, &around(), refusal))
}

/// The answer of a tool: what it reads on standard output, and its exit status. What goes to standard error is written.
#[must_use]
pub fn answer(report: &HookReport) -> Answer {
    let said = said(report);
    if let Some(text) = &said.stderr {
        let _unread = std::io::stderr().write_all(text.as_bytes());
    }
    let stdout = said.stdout.map(|value| for_json(&value.to_string()) + "\n");
    Answer {
        status: said.status,
        ..Answer::new(summary(report), stdout.unwrap_or_default())
    }
}

/// What is said to a tool.
struct Said {
    stdout: Option<Value>,
    stderr: Option<String>,
    status: u8,
}

fn said(report: &HookReport) -> Said {
    let (is_allowed, text) = match &report.verdict {
        Verdict::Pass => (true, None),
        Verdict::Warn(warnings) => (true, Some(warning(warnings))),
        Verdict::Block { reason, refusal } => (report.is_prompt, Some(blocked(reason, refusal))),
    };
    let (tool, status) = (report.tool, if is_allowed { 0 } else { BLOCKED });
    match tool {
        // Nothing said is no permission given: the tool asks whomever it would have asked.
        Tool::Claude | Tool::Codex | Tool::Gemini => {
            let stdout = match (&text, is_allowed) {
                (Some(text), true) => Some(json!({ "systemMessage": text })),
                (None, true) if tool == Tool::Gemini => Some(json!({})),
                _ => None,
            };
            Said {
                stdout,
                stderr: text,
                status,
            }
        }
        Tool::Windsurf | Tool::OpenCode | Tool::Cline => Said {
            stdout: None,
            stderr: text,
            status,
        },
        Tool::Cursor => {
            let mut stdout = if report.is_prompt {
                json!({ "continue": true })
            } else {
                json!({ "permission": if is_allowed { "allow" } else { "deny" } })
            };
            if let (Some(text), Some(object)) = (&text, stdout.as_object_mut()) {
                object.insert("user_message".to_owned(), Value::from(text.as_str()));
                if !is_allowed {
                    object.insert("agent_message".to_owned(), Value::from(text.as_str()));
                }
            }
            Said {
                stdout: Some(stdout),
                stderr: text,
                status: 0,
            }
        }
        Tool::Copilot => {
            let stdout = text.as_ref().map(|text| {
                if is_allowed {
                    json!({ "type": "progress", "message": text })
                } else {
                    json!({ "permissionDecision": "deny", "permissionDecisionReason": text })
                }
            });
            Said {
                stdout,
                stderr: text,
                status: 0,
            }
        }
    }
}

fn warning(warnings: &[String]) -> String {
    let lines = warnings.iter().map(|warning| {
        let warning = for_terminal(warning).replace('\n', " ");
        format!("git-vault: {warning}\n")
    });
    lines.collect()
}

fn blocked(reason: &str, refusal: &Refusal) -> String {
    let text = refusals::text(refusal, &Noted::NotDue);
    format!(
        "git-vault: {reason}, and no snapshot can be made before it. It must wait until one can.\n{text}"
    )
}

/// For programs that ask with `--json`, and for the log.
fn summary(report: &HookReport) -> Value {
    let (verdict, warnings, reason) = match &report.verdict {
        Verdict::Pass => ("pass", &[][..], None),
        Verdict::Warn(warnings) => ("warn", warnings.as_slice(), None),
        Verdict::Block { reason, .. } => ("block", &[][..], Some(reason)),
    };
    let refused = report.refused.iter();
    let refusals = refused.map(|one| refusals::json(&one.refusal, &Noted::NotDue));
    json!({
        "schema": SCHEMA,
        "tool": report.tool.word(),
        "verdict": verdict,
        "reason": reason,
        "warnings": warnings,
        "snapshots": report.snapshots,
        "refusals": refusals.collect::<Vec<_>>(),
    })
}
