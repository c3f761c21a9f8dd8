//! Words a refusal: always the same fields in the same order.

use serde_json::{Value, json};

use crate::cli::json::path;
use crate::model::escape::for_terminal;
use crate::model::refusal::{Evidence, Refusal};
use crate::ops::incident::Noted;

/// The text for standard error.
#[must_use]
pub fn text(refusal: &Refusal, noted: &Noted) -> String {
    let code = refusal.code;
    let mut lines = vec![format!(
        "REFUSED  SEV-{}  {} {}   exit {}",
        code.severity().number(),
        code.code(),
        code.name(),
        code.exit()
    )];
    push(&mut lines, "WHAT", std::slice::from_ref(&refusal.what));
    push(&mut lines, "WHY", &refusal.why);
    push(&mut lines, "STATE", &[refusal.state().to_owned()]);
    push(&mut lines, "KEPT", std::slice::from_ref(&refusal.kept));
    match noted {
        Noted::NotDue => {}
        Noted::At(path) => push(&mut lines, "NOTED", &[path.display().to_string()]),
        Noted::No(reason) => push(&mut lines, "NOTED", &[format!("no: {reason}")]),
    }
    let steps: Vec<String> = refusal
        .next
        .iter()
        .map(|step| format!("{}      ({})", step.command, step.purpose))
        .collect();
    push(&mut lines, "NEXT", &steps);
    push(
        &mut lines,
        "MORE",
        &[format!(
            "git vault runbook {}      (works offline)",
            code.code()
        )],
    );
    lines.join("\n") + "\n"
}

fn push(lines: &mut Vec<String>, field: &str, values: &[String]) {
    for (number, value) in values.iter().enumerate() {
        let field = if number == 0 { field } else { "" };
        // A line of ours stays a line: whatever a name or a message from elsewhere holds.
        let value = for_terminal(value).replace('\n', " ");
        lines.push(format!("{field:<8} {value}"));
    }
}

/// The object for programs.
#[must_use]
pub fn json(refusal: &Refusal, noted: &Noted) -> Value {
    let code = refusal.code;
    let next: Vec<Value> = refusal
        .next
        .iter()
        .map(|step| json!({ "command": step.command, "purpose": step.purpose }))
        .collect();
    let evidence = |one: &Evidence| json!({ "path": path(&one.path), "expected": one.expected, "found": one.found });
    let evidence: Vec<Value> = refusal.evidence.iter().map(evidence).collect();
    let (incident, not_noted) = match noted {
        Noted::NotDue => (None, None),
        Noted::At(place) => (Some(path(place)), None),
        Noted::No(reason) => (None, Some(reason)),
    };
    json!({
        "schema": "git-vault/refusal/1",
        "code": code.code(),
        "name": code.name(),
        "severity": code.severity().number(),
        "exit": code.exit(),
        "what": refusal.what,
        "why": refusal.why,
        "state": refusal.state(),
        "kept": refusal.kept,
        "next": next,
        "evidence": evidence,
        "incident": incident,
        "not_noted": not_noted,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::refusal_code::RefusalCode;

    #[test]
    fn names_from_elsewhere_cannot_forge_lines_or_steer_the_terminal() {
        let refusal = Refusal::new(RefusalCode::Internal, "'a\nSEALED \u{1b}[2J\u{202e}'");
        let text = text(&refusal, &Noted::NotDue);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
        assert!(!text.lines().any(|line| line.starts_with("SEALED")));
    }
}
