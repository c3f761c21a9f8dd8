//! A log for support says what a run did and how it ended, holds no secret, and never costs the command itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::damage::make_fifo;
use crate::incident_secrets::{keys, secret};
use crate::laboratory::{bounded, only_vault};
use crate::support::files::{symlink, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::{Said, Sandbox, states};

struct Scene {
    sandbox: Sandbox,
    source: PathBuf,
    log: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let source = states::small_repository(&sandbox);
        let log = sandbox.path("support.log");
        Self {
            sandbox,
            source,
            log,
        }
    }

    fn run(&self, arguments: &[&str]) -> Said {
        let log = self.log.to_str().expect("UTF-8");
        let mut all = vec!["--log-file", log];
        all.extend(arguments);
        self.sandbox.vault(&self.source, &all)
    }

    fn text(&self) -> String {
        fs::read_to_string(&self.log).expect("the log is read")
    }
}

/// The log is not written, the command goes on, and one line says so.
#[track_caller]
fn assert_goes_on_without(scene: &Scene, log: &Path) {
    let mut command = scene.sandbox.vault_command(&scene.source);
    command
        .arg("--log-file")
        .arg(log)
        .args(["snapshot", "-m", "x"]);
    let said = bounded(command, "a snapshot with a log").succeeded();
    let stderr = String::from_utf8_lossy(&said.stderr);
    assert!(stderr.starts_with("WARNING  no log is written: "), "{said}");
    assert_eq!(stderr.lines().count(), 1, "{said}");
    assert!(said.stdout.starts_with(b"SEALED"), "{said}");
}

#[test]
fn a_log_says_what_was_done_and_how_it_ended() {
    let scene = Scene::new();
    let answer = scene.run(&["--json", "snapshot"]).succeeded().json();
    let vault = only_vault(&scene.sandbox);
    let _said = scene.run(&["verify", "--deep"]).succeeded();
    let _said = scene.run(&["show", "nosuchname"]).refused("GV-1101");
    let text = scene.text();
    assert!(text.starts_with("# git-vault support log 1\n"), "{text}");
    let id = answer["snapshot"]["id"].as_str().expect("an id");
    for part in [
        &format!(": snapshot --json --log-file {}", scene.log.display()),
        ": verify --deep ",
        &format!(" vault {}", vault.display()),
        &format!(" snapshot {id}"),
        " phase Scan done: ",
        " phase Verify done: ",
        " outcome exit 0, ",
        " refused GV-1101 snapshot-not-found: ",
        " outcome exit 11, ",
    ] {
        assert!(text.contains(part), "'{part}' should be in\n{text}");
    }
    let mode = fs::metadata(&scene.log)
        .expect("its metadata")
        .permissions()
        .mode();
    assert_eq!(mode & 0o7777, 0o600);
    let line = text.lines().nth(1).expect("a line");
    let words: Vec<&str> = line.split(' ').collect();
    assert!(
        words[0].ends_with('Z') && words[1].parse::<u32>().is_ok(),
        "{line}"
    );
    assert_eq!(text.matches(" start git-vault ").count(), 3, "{text}");
}

#[test]
fn a_log_holds_no_key_no_message_and_no_content() {
    let scene = Scene::new();
    let _file = write(&scene.source, "secret.txt", "content of a file");
    let _said = scene
        .run(&["snapshot", "-m", "said by a person", "-l", "personal"])
        .succeeded();
    let _said = scene.run(&["show"]).succeeded();
    let _file = write(&only_vault(&scene.sandbox), "log/notes", "foreign content");
    let _said = scene.run(&["list"]).refused("GV-3103");
    let text = scene.text();
    assert!(
        text.contains("--message") && text.contains("--label"),
        "{text}"
    );
    assert!(text.contains(" noted "), "{text}");
    for key in keys(&scene.sandbox) {
        assert!(!text.contains(&secret(&key)));
    }
    for hidden in ["said by", "personal", "content of", "foreign content"] {
        assert!(!text.contains(hidden), "'{hidden}' is in\n{text}");
    }
}

#[test]
fn the_variable_names_a_log_and_the_option_comes_first() {
    let scene = Scene::new();
    let other = scene.sandbox.path("other.log");
    let environment = [("GIT_VAULT_LOG", other.to_str().expect("UTF-8"))];
    let _said = scene
        .sandbox
        .vault_with(&scene.source, &environment, &["snapshot"])
        .succeeded();
    assert!(
        fs::read_to_string(&other)
            .expect("the log is read")
            .contains(" outcome exit 0")
    );
    let log = scene.log.to_str().expect("UTF-8");
    let before = Fingerprint::of(
        &scene
            .sandbox
            .path("other.log")
            .parent()
            .expect("a parent")
            .join("work"),
    );
    let length = fs::metadata(&other).expect("its size").len();
    let arguments = ["--log-file", log, "list"];
    let _said = scene
        .sandbox
        .vault_with(&scene.source, &environment, &arguments)
        .succeeded();
    assert!(scene.text().contains(": list "));
    assert_eq!(fs::metadata(&other).expect("its size").len(), length);
    before.assert_untouched(&scene.sandbox.workplace());
}

#[test]
fn a_log_that_cannot_be_written_costs_one_line_and_nothing_else() {
    let scene = Scene::new();
    let _said = scene
        .sandbox
        .vault(&scene.source, &["snapshot"])
        .succeeded();
    let vault = only_vault(&scene.sandbox);
    let sandbox = &scene.sandbox;

    let other = write(&sandbox.home(), "letters.txt", "not a log\n");
    assert_goes_on_without(&scene, &other);
    assert_eq!(fs::read(&other).expect("the file is read"), b"not a log\n");

    let key = keys(sandbox).remove(0);
    let content = fs::read(&key).expect("the key is read");
    assert_goes_on_without(&scene, &key);
    assert_eq!(fs::read(&key).expect("the key is read"), content);

    let target = sandbox.path("target.log");
    let link = symlink(&sandbox.home(), "link.log", target.to_str().expect("UTF-8"));
    assert_goes_on_without(&scene, &link);
    assert!(target.symlink_metadata().is_err());

    let fifo = sandbox.path("fifo.log");
    make_fifo(&fifo);
    assert_goes_on_without(&scene, &fifo);

    for path in [
        vault.join("support.log"),
        vault.join("cache/support.log"),
        scene.source.join("support.log"),
        scene.source.join(".git/support.log"),
        key.with_file_name("support.log"),
        sandbox.path("nowhere/support.log"),
        sandbox.home(),
    ] {
        assert_goes_on_without(&scene, &path);
        assert!(
            path.is_dir() || path.symlink_metadata().is_err(),
            "{}",
            path.display()
        );
    }
}

#[test]
fn names_cannot_forge_lines_of_a_log() {
    let scene = Scene::new();
    let _said = scene.run(&["snapshot"]).succeeded();
    let name = "x\n2026-01-01T00:00:00Z 1 outcome exit 0\u{1b}[2J";
    let _said = scene.run(&["show", name]).refused("GV-1101");
    let text = scene.text();
    assert!(
        !text.contains('\u{1b}') && !text.contains("\n2026-01-01T00:00:00Z"),
        "{text}"
    );
}
