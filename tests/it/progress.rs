//! Progress is drawn on a terminal and nowhere else.

use std::path::Path;

use crate::support::sandbox::Sandbox;
use crate::support::states;

/// Runs the program with a terminal of its own, by way of script(1); gives what reached the terminal.
fn on_a_terminal(sandbox: &Sandbox, source: &Path, arguments: &str) -> Option<String> {
    let program = env!("CARGO_BIN_EXE_git-vault");
    let mut command = sandbox.command("script", source);
    command
        .arg("-qec")
        .arg(format!("'{program}' {arguments}"))
        .arg("/dev/null");
    command.env("TERM", "xterm");
    match command.output() {
        Ok(output) => Some(String::from_utf8_lossy(&output.stdout).into_owned()),
        Err(error) => {
            eprintln!("SKIPPED: script(1) cannot be run: {error}");
            None
        }
    }
}

#[test]
fn progress_is_drawn_on_a_terminal_and_nowhere_else() {
    let sandbox = Sandbox::new();
    let source = (states::find("clean").build)(&sandbox);
    let erases_a_line = "\u{1b}[2K";
    if let Some(shown) = on_a_terminal(&sandbox, &source, "snapshot -m first") {
        assert!(shown.contains("SEALED"), "{shown}");
        assert!(
            shown.contains("scan") && shown.contains(erases_a_line),
            "{shown}"
        );
    }
    if let Some(shown) = on_a_terminal(&sandbox, &source, "--quiet snapshot -m second") {
        assert!(!shown.contains(erases_a_line), "{shown}");
    }
    if let Some(shown) = on_a_terminal(&sandbox, &source, "--json list") {
        assert!(!shown.contains(erases_a_line), "{shown}");
    }
    let piped = sandbox
        .vault(&source, &["snapshot", "-m", "third"])
        .succeeded();
    assert!(
        !piped.stdout.contains(&0x1b) && piped.stderr.is_empty(),
        "{piped}"
    );
}
