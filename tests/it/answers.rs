//! What the program says: JSON and text of every command, exit codes, and nothing of the key.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use git_vault::model::refusal_code::RefusalCode;
use serde_json::Value;

use crate::laboratory::{only_vault, run};
use crate::refusals::assert_refused;
use crate::support::files::{append, mkdir, write};
use crate::support::{Said, Sandbox, states};

pub struct Scene {
    pub sandbox: Sandbox,
    pub source: PathBuf,
    pub ids: Vec<String>,
}

impl Scene {
    /// A repository with three snapshots.
    pub fn new() -> Self {
        let sandbox = Sandbox::new();
        let source = (states::find("staged_unstaged_and_untracked").build)(&sandbox);
        let ids = (0..3)
            .map(|number| {
                append(&source, "README.md", format!("{number}\n"));
                sandbox.snapshot(&source)
            })
            .collect();
        Self {
            sandbox,
            source,
            ids,
        }
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        run(&self.sandbox, &self.source, arguments)
    }
}

#[track_caller]
fn json(said: &Said, schema: &str) -> Value {
    let text = std::str::from_utf8(&said.stdout).expect("JSON is UTF-8");
    assert!(
        said.stderr.is_empty(),
        "with --json nothing is on stderr\n{said}"
    );
    assert_eq!(text.matches('\n').count(), 1, "one line\n{said}");
    assert!(
        !text.trim_end().chars().any(char::is_control),
        "no control characters\n{said}"
    );
    let value = said.json();
    assert_eq!(value["schema"], format!("git-vault/{schema}/1"), "{said}");
    value
}

/// The field names of a schema, as `docs/JSON.md` has them in the table below its heading.
pub fn documented_fields(schema: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/JSON.md"));
    let text = text.expect("docs/JSON.md");
    let (_, section) = text
        .split_once(&format!("## {schema}\n"))
        .expect("its section");
    let section = section.split("\n## ").next().expect("its end");
    let rows = section.lines().filter_map(|line| line.strip_prefix("| `"));
    let fields = rows
        .filter_map(|row| row.split('`').next())
        .map(str::to_owned);
    fields.collect()
}

pub fn fields(value: &Value) -> BTreeSet<String> {
    value
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect()
}

#[test]
fn every_command_answers_in_the_json_that_is_documented() {
    let scene = Scene::new();
    let destination = scene.sandbox.path("restored");
    let destination = destination.to_str().expect("a UTF-8 path");
    let other = scene.sandbox.init("other");
    for (schema, directory, arguments) in [
        ("init", &other, &["init"][..]),
        ("snapshot", &scene.source, &["snapshot"]),
        (
            "snapshot",
            &scene.source,
            &["snapshot", "-m", "a message", "-l", "one", "-l", "two"],
        ),
        ("list", &scene.source, &["list"]),
        ("list", &other, &["list"]),
        ("grep", &scene.source, &["grep", "a"]),
        ("compare", &scene.source, &["compare", "."]),
        ("diff", &scene.source, &["diff"]),
        ("diff", &scene.source, &["diff", "--stat", "@~1", "@latest"]),
        ("show", &scene.source, &["show"]),
        ("verify", &scene.source, &["verify", "--quick"]),
        ("verify", &scene.source, &["verify"]),
        ("verify", &scene.source, &["verify", "--deep", "@latest"]),
        (
            "restore",
            &scene.source,
            &["restore", "@latest", destination],
        ),
        (
            "prune",
            &scene.source,
            &["prune", "--keep-last", "1", "--dry-run"],
        ),
        ("drop", &scene.source, &["drop", "--unattended", "@~1"]),
        ("optimize", &scene.source, &["optimize"]),
        ("doctor", &scene.source, &["doctor"]),
        ("index-rebuild", &scene.source, &["index", "rebuild"]),
        ("sweep", &other, &["sweep"]),
        ("schedule-status", &other, &["schedule", "status"]),
        ("schedule-uninstall", &other, &["schedule", "uninstall"]),
        ("shell-init", &other, &["shell-init", "fish"]),
        ("completions", &other, &["completions", "bash"]),
        ("help", &other, &["help", "lost"]),
        ("runbook", &other, &["runbook"]),
        ("runbook", &other, &["runbook", "GV-2101"]),
    ] {
        for flags in [&["--json"][..], &["--json", "--quiet"]] {
            let arguments = [flags, arguments].concat();
            let again = flags.len() > 1 && ["init", "restore"].contains(&schema);
            if again {
                continue;
            }
            let said = run(&scene.sandbox, directory, &arguments).succeeded();
            let value = json(&said, schema);
            let mut documented = documented_fields(&format!("git-vault/{schema}/1"));
            if ["runbook", "shell-init", "completions", "help"].contains(&schema) {
                documented = ["schema", "text"].map(str::to_owned).into();
            }
            assert_eq!(fields(&value), documented, "{arguments:?}");
            if let Some(snapshot) = value.get("snapshot").filter(|_one| schema != "compare") {
                assert_eq!(fields(snapshot), documented_fields("The object `snapshot`"));
            }
        }
    }
}

#[test]
fn every_refusal_answers_in_the_json_that_is_documented_with_the_exit_code_of_its_code() {
    let scene = Scene::new();
    let nowhere = mkdir(&scene.sandbox.home(), "no-repository");
    let full = write(&scene.sandbox.home(), "full/file", "x\n");
    let full = full.parent().and_then(Path::to_str).expect("a UTF-8 path");
    for (directory, arguments, code) in [
        (&nowhere, &["init"][..], "GV-1001"),
        (&nowhere, &["snapshot"], "GV-1001"),
        (&nowhere, &["list"], "GV-1001"),
        (&nowhere, &["show"], "GV-1001"),
        (&nowhere, &["verify"], "GV-1001"),
        (&nowhere, &["restore", "@latest", "x"], "GV-1001"),
        (&scene.source, &["init"], "GV-1004"),
        (
            &scene.source,
            &["--vault", "nowhere", "snapshot"],
            "GV-1002",
        ),
        (&scene.source, &["--vault", "nowhere", "list"], "GV-1002"),
        (&scene.source, &["show", "zzzzzzzzzzzz"], "GV-1101"),
        (&scene.source, &["verify", "zzzzzzzzzzzz"], "GV-1101"),
        (&scene.source, &["restore", "zzzzzzzzzzzz", "x"], "GV-1101"),
        (&scene.source, &["restore", "@latest", full], "GV-2101"),
    ] {
        let said = run(
            &scene.sandbox,
            directory,
            &[&["--json"], arguments].concat(),
        );
        let value = json(&said, "refusal");
        assert_eq!(value["code"], code, "{said}");
        let found = RefusalCode::parse(code).expect("a code");
        assert_eq!(said.code, Some(i32::from(found.exit())), "{said}");
        assert_eq!(value["exit"], found.exit());
        assert_eq!(value["severity"], found.severity().number());
        assert_eq!(value["name"], found.name());
        assert_eq!(fields(&value), documented_fields("git-vault/refusal/1"));
        assert_refused(&run(&scene.sandbox, directory, arguments), &[code], "");
    }
}

#[test]
fn a_command_line_that_makes_no_sense_ends_with_2_and_does_nothing() {
    let scene = Scene::new();
    for arguments in [
        &[][..],
        &["nonsense"],
        &["restore"],
        &["restore", "@latest"],
        &["snapshot", "--force"],
        &["verify", "--quick", "--deep"],
        &["list", "extra"],
        &["restore", "@latest", "", "--json"],
    ] {
        let said = scene.run(arguments);
        assert_eq!(said.code, Some(2), "{said}");
        assert!(said.stdout.is_empty() && !said.stderr.is_empty(), "{said}");
    }
    for arguments in [
        &["--help"][..],
        &["--version"],
        &["restore", "--help"],
        &["help", "snapshot"],
    ] {
        let said = scene.run(arguments).succeeded();
        assert!(!said.stdout.is_empty() && said.stderr.is_empty(), "{said}");
    }
}

#[test]
fn quiet_says_nothing_but_refusals() {
    let scene = Scene::new();
    let destination = scene.sandbox.path("restored");
    let destination = destination.to_str().expect("a UTF-8 path");
    let other = scene.sandbox.init("other");
    for (directory, arguments) in [
        (&other, &["init"][..]),
        (&scene.source, &["snapshot", "-m", "quietly"]),
        (&scene.source, &["snapshot"]),
        (&scene.source, &["list"]),
        (&scene.source, &["show"]),
        (&scene.source, &["verify"]),
        (&scene.source, &["restore", "@latest", destination]),
    ] {
        let said = run(
            &scene.sandbox,
            directory,
            &[&["--quiet"], arguments].concat(),
        )
        .succeeded();
        // Where a new key was put must be said even then: it has no other copy.
        let tells_of_key = arguments == ["init"] && said.stderr.starts_with(b"KEY");
        assert!(
            said.stdout.is_empty() && (said.stderr.is_empty() || tells_of_key),
            "{said}"
        );
    }
    assert_refused(
        &scene.run(&["--quiet", "show", "zzzz"]),
        &["GV-1101"],
        "zzzz",
    );
}

#[test]
fn the_text_answers_begin_their_lines_with_the_words_people_look_for() {
    let scene = Scene::new();
    let destination = scene.sandbox.path("restored");
    let destination = destination.to_str().expect("a UTF-8 path");
    let newest = scene.ids[2].as_str();
    for (arguments, words) in [
        (
            &["snapshot", "-m", "a message"][..],
            &["SEALED", "HOLDS", "NEW", "STATE", "VAULT"][..],
        ),
        (&["snapshot"], &["UNCHANGED", "STATE", "VAULT"]),
        (
            &["show", newest],
            &[
                "SNAPSHOT", "STANDING", "MADE", "SOURCE", "STATE", "HOLDS", "COMMIT",
            ],
        ),
        (&["verify"], &["VERIFIED", "CHECKED", "RECORDED"]),
        (&["verify", "--deep"], &["VERIFIED", "CHECKED", "RECORDED"]),
        (
            &["restore", newest, destination],
            &["RESTORED", "WROTE", "STATE", "NEXT"],
        ),
    ] {
        let said = scene.run(arguments).succeeded();
        let text = said.text();
        for word in words {
            assert!(
                text.lines().any(|line| line.starts_with(word)),
                "'{word}'\n{said}"
            );
        }
        assert!(said.stderr.is_empty() && !text.contains('\u{1b}'), "{said}");
    }
    let listed = scene.run(&["list"]).succeeded();
    let lines: Vec<String> = listed.text().lines().map(str::to_owned).collect();
    assert_eq!(lines.len(), 4, "{listed}");
    for (line, id) in lines.iter().zip(&scene.ids) {
        assert!(
            line.contains(id) && line.contains("VERIFIED deep"),
            "{listed}"
        );
    }
    assert!(
        lines[3].contains("a message") && lines[3].contains("main"),
        "{listed}"
    );
    assert!(
        scene
            .run(&["show", newest])
            .text()
            .contains("VERIFIED deep")
    );
}

#[test]
fn no_answer_holds_any_part_of_the_key() {
    let scene = Scene::new();
    let mut secrets = Vec::new();
    let mut places = vec![scene.sandbox.path("config/git-vault/keys")];
    while let Some(place) = places.pop() {
        for entry in fs::read_dir(&place).expect("the keys are read") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                places.push(path);
            } else {
                let text = fs::read_to_string(&path).expect("a key file is text");
                let words = text.split(|character: char| !character.is_ascii_alphanumeric());
                secrets.extend(words.filter(|word| word.len() >= 40).map(str::to_owned));
            }
        }
    }
    assert!(!secrets.is_empty(), "a key file holds a key");
    let other = scene.sandbox.init("other");
    let mut said = vec![run(&scene.sandbox, &other, &["init"])];
    for arguments in [
        &["snapshot", "-m", "x"][..],
        &["list"],
        &["show"],
        &["verify", "--deep"],
        &["restore", "@latest", "../restored"],
        &["show", "zzzz"],
    ] {
        said.push(scene.run(arguments));
        said.push(scene.run(&[&["--json"], arguments].concat()));
    }
    let vault = only_vault_of(&scene);
    let mut texts: Vec<String> = said.iter().map(ToString::to_string).collect();
    texts.push(fs::read_to_string(vault.join("vault.toml")).expect("the description"));
    for text in &texts {
        for secret in &secrets {
            let parts = [&secret[..16], &secret[secret.len() - 16..]];
            assert!(
                !parts.iter().any(|part| text.contains(part)),
                "part of the key in:\n{text}"
            );
        }
    }
}

fn only_vault_of(scene: &Scene) -> PathBuf {
    let listed = scene.run(&["--json", "list"]).succeeded().json();
    PathBuf::from(listed["vault"].as_str().expect("a path"))
}

#[test]
fn a_reader_that_has_gone_away_is_no_failure() {
    let scene = Scene::new();
    only_vault(&scene.sandbox);
    for arguments in [
        &["list"][..],
        &["grep", "a"],
        &["compare", "."],
        &["show"],
        &["runbook"],
        &["--json", "runbook"],
        &["--help"],
        &["--json", "show", "zzzz"],
    ] {
        let mut command = scene.sandbox.vault_command(&scene.source);
        command
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        let said = Said::new(arguments.join(" "), output);
        let due = if arguments.contains(&"zzzz") {
            Some(11)
        } else {
            Some(0)
        };
        assert_eq!(said.code, due, "{said}");
        assert!(said.stderr.is_empty(), "{said}");
    }
}
