//! Words a refusal: always the same fields in the same order.

use serde_json::{Value, json};

use crate::model::escape::for_terminal;
use crate::model::refusal::{Changed, Refusal};

/// The text for standard error.
#[must_use]
pub fn text(refusal: &Refusal) -> String {
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
    push(&mut lines, "STATE", &[state(refusal).to_owned()]);
    push(&mut lines, "KEPT", std::slice::from_ref(&refusal.kept));
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

fn state(refusal: &Refusal) -> &str {
    match &refusal.changed {
        Changed::Nothing => "nothing was written",
        Changed::Said(sentence) => sentence,
    }
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
pub fn json(refusal: &Refusal) -> Value {
    let code = refusal.code;
    let next: Vec<Value> = refusal
        .next
        .iter()
        .map(|step| json!({ "command": step.command, "purpose": step.purpose }))
        .collect();
    json!({
        "schema": "git-vault/refusal/1",
        "code": code.code(),
        "name": code.name(),
        "severity": code.severity().number(),
        "exit": code.exit(),
        "what": refusal.what,
        "why": refusal.why,
        "state": state(refusal),
        "kept": refusal.kept,
        "next": next,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::refusal_code::RefusalCode;

    #[test]
    fn names_from_elsewhere_cannot_forge_lines_or_steer_the_terminal() {
        let refusal = Refusal::new(RefusalCode::Internal, "'a\nSEALED \u{1b}[2J\u{202e}'");
        let text = text(&refusal);
        assert!(!text.contains('\u{1b}') && !text.contains('\u{202e}'));
        assert!(!text.lines().any(|line| line.starts_with("SEALED")));
    }
}
