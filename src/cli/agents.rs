//! How a coding agent is answered: in the form that its hooks have, on the stream and with the status that it looks at.

use std::io::{Read as _, Write as _};

use serde_json::{Value, json};

use crate::cli::commands::Answer;
use crate::cli::refusals;
use crate::model::escape::{for_json, for_terminal};
use crate::model::refusal::Refusal;
use crate::ops::agents::call::{self, Call};
use crate::ops::agents::hook::{HookReport, Verdict, without_surroundings};
use crate::ops::agents::tools::Tool;
use crate::ops::incident::Noted;

/// The exit status by which most tools are told that a call must not be made.
const BLOCKED: u8 = 2;

/// Largest message that is read.
const LIMIT_BYTES: u64 = 4 << 20;
/// Most of a larger one that is passed over: a tool may take it amiss when nobody reads what it writes.
const DRAIN_BYTES: u64 = 1 << 30;

/// Reads the message of a tool from standard input, up to its end and no further: a tool may leave the stream open. What cannot be
/// read, or is too large, is a message that is not understood.
#[must_use]
pub fn read_call(tool: Tool) -> Call {
    let mut input = std::io::stdin().lock();
    let mut messages = serde_json::Deserializer::from_reader(input.by_ref().take(LIMIT_BYTES))
        .into_iter::<Value>();
    let message = messages.next().and_then(Result::ok);
    if message.is_none() {
        let _rest = std::io::copy(&mut input.take(DRAIN_BYTES), &mut std::io::sink());
    }
    call::read(tool, message.as_ref())
}

/// The answer when not even home and current directory are known.
#[must_use]
pub fn answer_without_surroundings(tool: Tool, refusal: Refusal) -> Answer {
    answer(&without_surroundings(tool, &read_call(tool), refusal))
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
        "schema": "git-vault/agents-hook/1",
        "tool": report.tool.word(),
        "verdict": verdict,
        "reason": reason,
        "warnings": warnings,
        "snapshots": report.snapshots,
        "refusals": refusals.collect::<Vec<_>>(),
    })
}
