//! `status` says which triggers are there, when each last fired, and which should have fired and did not.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use git_vault::model::timestamp::Timestamp;
use git_vault::vault::heartbeats::{self, Heartbeat, Outcome, repository_key};
use serde_json::Value;

use crate::laboratory::{only_vault, run};
use crate::support::Sandbox;
use crate::support::files::{append, chmod, set_mtime, write};
use crate::support::fingerprint::Fingerprint;

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    i64::try_from(since.expect("after 1970").as_secs()).expect("a number")
}

struct Scene {
    sandbox: Sandbox,
    source: PathBuf,
    state: PathBuf,
    now: i64,
}

impl Scene {
    /// A repository with a snapshot and newer work.
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let source = sandbox.init("source");
        write(&source, "a", "a\n");
        sandbox.commit(&source, "one");
        let _id = sandbox.snapshot(&source);
        append(&source, "a", "newer\n");
        let state = sandbox.path("state/git-vault");
        Self {
            sandbox,
            source,
            state,
            now: now(),
        }
    }

    fn git_dir(&self) -> PathBuf {
        self.source.join(".git")
    }

    fn hooks(&self) -> PathBuf {
        self.state
            .join("hooks")
            .join(repository_key(&self.git_dir()))
    }

    fn touched(&self, file: &Path, seconds_ago: i64) {
        set_mtime(file, i128::from(self.now - seconds_ago) * 1_000_000_000);
    }

    fn beat(&self, trigger: &str, seconds_ago: i64, outcome: Outcome, detail: &str) {
        let fired = Timestamp::from_seconds(self.now - seconds_ago);
        let beat = Heartbeat::new(&self.git_dir(), trigger, fired, outcome).with_detail(detail);
        heartbeats::stamp(&self.state, &self.git_dir(), &beat).expect("a heartbeat");
    }

    /// Hooks that were installed a day ago.
    fn install_hooks(&self, note: &str) {
        let ledger = write(&self.hooks(), "ledger.toml", note);
        self.touched(&ledger, 86_400);
    }

    /// A commit as it is made so many seconds ago.
    fn commit(&self, seconds_ago: i64) {
        let date = format!("{} +0000", self.now - seconds_ago);
        let words = ["commit", "--quiet", "--allow-empty", "-m", "later"];
        let environment = [("GIT_COMMITTER_DATE", &*date)];
        self.sandbox.git_with(&self.source, &environment, &words);
        self.touched(&self.git_dir().join("logs/HEAD"), seconds_ago);
    }

    fn status(&self) -> Value {
        let before = Fingerprint::of(&self.sandbox.workplace());
        let said = run(&self.sandbox, &self.source, &["--json", "status"]);
        before.assert_untouched(&self.sandbox.workplace());
        assert_eq!(said.code, Some(3), "{said}");
        said.json()
    }

    fn findings(&self) -> Vec<String> {
        let answer = self.status();
        let all = answer["attention"].as_array().expect("an array").clone();
        let about = all.into_iter().filter(|one| one["about"] == "triggers");
        about
            .map(|one| one["what"].as_str().expect("a text").to_owned())
            .collect()
    }
}

#[test]
fn where_no_trigger_is_or_was_status_says_nothing_of_them() {
    let scene = Scene::new();
    assert_eq!(scene.status()["triggers"], Value::Array(Vec::new()));
    let said = run(&scene.sandbox, &scene.source, &["status"]);
    assert!(!said.text().contains("TRIGGERS"), "{said}");
}

#[test]
fn triggers_that_fired_or_are_installed_are_said_with_when_and_what() {
    let scene = Scene::new();
    write(
        &scene.state,
        "agents/claude.toml",
        "program = \"/bin/sh\"\n",
    );
    write(&scene.state, "agents/broken.toml", "not toml at all");
    scene.install_hooks("program = \"/bin/sh\"\n");
    scene.beat("hook/post-commit", 7200, Outcome::Pending, "");
    scene.beat("hook/post-merge", 3600, Outcome::Sealed, "abc");
    scene.beat("guard", 60, Outcome::Unchanged, "abc");
    let answer = scene.status();
    let all = answer["triggers"].as_array().expect("an array");
    let said = |name: &str| {
        let found = all.iter().find(|one| one["name"] == name);
        found.unwrap_or_else(|| panic!("{name}: {answer}"))
    };
    assert_eq!(all.len(), 4, "{answer}");
    assert_eq!(said("agent/claude")["installed"], true);
    assert!(said("agent/claude")["fired"].is_null() && said("agent/broken")["installed"] == true);
    assert_eq!(said("hooks")["trigger"], "hook/post-merge", "the newest");
    assert_eq!(said("hooks")["outcome"], "sealed");
    assert_eq!(said("guard")["installed"], false);
    assert_eq!(scene.findings(), [""; 0]);
    let text = run(&scene.sandbox, &scene.source, &["status"]).text();
    let words: Vec<&str> = text
        .lines()
        .filter_map(|line| line.split_whitespace().next())
        .collect();
    assert_eq!(
        words[..6],
        ["SEALED", "VERIFIED", "PROVEN", "KEYS", "HEALTH", "TRIGGERS"]
    );
    assert!(text.contains("agent/claude never fired here"), "{text}");
    assert!(
        text.contains("hooks 60 m ago (sealed)") || text.contains("hooks 1 h ago (sealed)"),
        "{text}"
    );
}

#[test]
fn a_commit_at_which_no_hook_fired_is_found_with_its_cause() {
    let scene = Scene::new();
    scene.commit(300);
    assert_eq!(scene.findings(), [""; 0], "no hooks are installed");
    scene.install_hooks("program = \"/bin/sh\"\ncarrier = \"files\"\n");
    let findings = scene.findings();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(
        findings[0].starts_with("no hook fired at the commit of "),
        "{findings:?}"
    );
    assert!(findings[0].contains("no cause was found"), "{findings:?}");
    scene
        .sandbox
        .git(&scene.source, &["config", "core.hooksPath", ".husky/_"]);
    assert!(scene.findings()[0].contains("core.hooksPath is '.husky/_'"));
    let lost = scene.sandbox.path("lost-hook");
    let lost = lost.to_str().expect("UTF-8");
    let note = format!("carrier = \"files\"\n[[files]]\npath = \"{lost}\"\n");
    scene.install_hooks(&note);
    assert!(scene.findings()[0].contains(&format!("'{lost}' is gone")));
    let config = scene.git_dir().join("config");
    let config = config.to_str().expect("UTF-8");
    let note =
        format!("carrier = \"settings\"\n[include]\nconfig = \"{config}\"\npath = \"/x/hooks\"\n");
    scene.install_hooks(&note);
    assert!(scene.findings()[0].contains("does not include it any more"));
    scene.install_hooks(&format!("program = \"{lost}\"\n"));
    let findings = scene.findings();
    assert_eq!(findings.len(), 2, "{findings:?}");
    assert_eq!(findings[0], format!("hooks cannot fire: '{lost}' is gone"));
    // One that fired at it, or was installed after it, or a commit of just now, is well.
    scene.install_hooks("carrier = \"files\"\n");
    scene.beat("hook/post-commit", 299, Outcome::Sealed, "abc");
    assert_eq!(scene.findings(), [""; 0]);
    scene.commit(10);
    assert_eq!(scene.findings(), [""; 0]);
    scene.commit(120);
    assert_eq!(scene.findings().len(), 1);
    let ledger = scene.hooks().join("ledger.toml");
    scene.touched(&ledger, 60);
    assert_eq!(scene.findings(), [""; 0]);
}

#[test]
fn hooks_that_are_installed_for_all_repositories_count_and_made_up_dates_do_not() {
    let scene = Scene::new();
    let ledger = write(
        &scene.state,
        "hooks/global/ledger.toml",
        "carrier = \"files\"\n",
    );
    scene.touched(&ledger, 86_400);
    scene.commit(300);
    assert_eq!(scene.findings().len(), 1);
    scene.beat("hook/post-commit", 300, Outcome::Pending, "");
    assert_eq!(scene.findings(), [""; 0]);
    // A commit that says it is of tomorrow was made when the reflog was written.
    scene.commit(-86_400);
    scene.touched(&scene.git_dir().join("logs/HEAD"), 300);
    assert_eq!(scene.findings(), [""; 0]);
    fs::remove_file(scene.git_dir().join("logs/HEAD")).expect("removed");
    assert_eq!(
        scene.findings(),
        [""; 0],
        "where there is no reflog nothing is claimed"
    );
}

#[test]
fn sweeps_that_did_not_come_are_found() {
    let scene = Scene::new();
    let note = |ago: i64| {
        let installed = Timestamp::from_seconds(scene.now - ago);
        format!(
            "scheduler = \"systemd\"\nevery_seconds = 900\ninstalled = \"{installed}\"\nprogram = \"/bin/sh\"\nfile = []\n"
        )
    };
    write(&scene.state, "schedule.toml", note(1000));
    assert_eq!(scene.findings(), [""; 0], "it has had no time yet");
    write(&scene.state, "schedule.toml", note(86_400));
    let findings = scene.findings();
    assert!(
        findings[0].starts_with("no sweep of this repository since "),
        "{findings:?}"
    );
    assert!(findings[0].contains("no sweep ran at all"), "{findings:?}");
    let began = Timestamp::from_seconds(scene.now - 600);
    let last = format!("began = \"{began}\"\nrepositories = 3\n");
    write(&scene.state, "sweep.toml", last);
    assert!(scene.findings()[0].contains(&format!("the sweep of {began} did not come")));
    let unit = "file = [{ path = \"/nonexistent/unit\", blake3 = \"";
    let unit = format!("{unit}{}\" }}]", "0".repeat(64));
    write(
        &scene.state,
        "schedule.toml",
        note(86_400).replace("file = []", &unit),
    );
    assert!(scene.findings()[0].contains("'/nonexistent/unit' is not as it was written"));
    scene.beat("sweep", 2000, Outcome::Pending, "");
    assert_eq!(scene.findings(), [""; 0]);
    scene.beat("sweep", 3000, Outcome::Sealed, "abc");
    assert_eq!(scene.findings().len(), 1);
    write(
        &scene.state,
        "schedule.toml",
        note(100).replace("/bin/sh", "/nonexistent/git-vault"),
    );
    let due = "sweep cannot fire: '/nonexistent/git-vault' is gone";
    assert_eq!(scene.findings(), [due]);
}

#[test]
fn what_a_worker_left_undone_is_found_until_it_is_captured() {
    let scene = Scene::new();
    let mark = write(&scene.hooks(), "pending", "post-commit\n");
    // After the newest snapshot, as the clock of the machine has it, and yet long ago.
    let later = |seconds: i64| scene.touched(&mark, -seconds);
    later(10);
    assert_eq!(scene.findings(), [""; 0], "the worker may be at it");
    scene.touched(&mark, 3600);
    assert_eq!(
        scene.findings(),
        [""; 0],
        "the newest snapshot came after it"
    );
    let mut command = scene.sandbox.command("faketime", &scene.source);
    if !crate::support::mount::has_tool("marks", "faketime") {
        return;
    }
    later(10);
    command.args([
        "-f",
        "+10m",
        env!("CARGO_BIN_EXE_git-vault"),
        "--json",
        "status",
    ]);
    let output = command.output().expect("faketime starts");
    let answer: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let text = answer.to_string();
    assert!(
        text.contains("what a hook left to its worker at "),
        "{text}"
    );
}

#[test]
fn a_trigger_that_was_refused_is_said_until_something_is_captured() {
    let scene = Scene::new();
    scene
        .sandbox
        .git(&scene.source, &["config", "vault.include", "["]);
    scene.sandbox.git(
        &scene.source,
        &["config", "core.repositoryFormatVersion", "1"],
    );
    scene.beat("guard", -60, Outcome::Refused, "GV-1302");
    let findings = scene.findings();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(findings[0].starts_with("guard was refused at ") && findings[0].ends_with(": GV-1302"));
    scene.beat("sweep", -61, Outcome::Unchanged, "abc");
    assert_eq!(scene.findings(), [""; 0]);
}

#[test]
fn a_guard_that_is_refused_for_real_shows_in_the_status() {
    let scene = Scene::new();
    let vault = only_vault(&scene.sandbox);
    chmod(&vault, 0o777);
    let said = run(&scene.sandbox, &scene.source, &["guard", "true"]).refused("GV-1303");
    assert!(said.stdout.is_empty(), "{said}");
    let findings = scene.findings();
    assert_eq!(findings.len(), 1, "{findings:?}");
    assert!(
        findings[0].starts_with("guard was refused at "),
        "{findings:?}"
    );
}

#[test]
fn a_commit_in_a_linked_worktree_at_which_no_hook_fired_is_found() {
    let scene = Scene::new();
    scene.install_hooks("program = \"/bin/sh\"\n");
    scene.touched(&scene.git_dir().join("logs/HEAD"), 90_000);
    let linked = scene.sandbox.path("linked");
    let text = linked.to_str().expect("UTF-8");
    let words = ["worktree", "add", "-q", "-b", "topic", text];
    scene.sandbox.git(&scene.source, &words);
    assert!(scene.findings().is_empty(), "{:?}", scene.findings());
    let date = format!("{} +0000", scene.now - 3600);
    let words = ["commit", "--quiet", "--allow-empty", "-m", "there"];
    let environment = [("GIT_COMMITTER_DATE", &*date)];
    scene.sandbox.git_with(&linked, &environment, &words);
    let log = scene.git_dir().join("worktrees/linked/logs/HEAD");
    scene.touched(&log, 3600);
    let found = scene.findings();
    assert!(
        found
            .iter()
            .any(|one| one.starts_with("no hook fired at the commit of")
                && one.contains("in linked worktree 'linked'")),
        "{found:?}"
    );
    scene.beat("hook/post-commit", 3599, Outcome::Sealed, "abc");
    assert!(scene.findings().is_empty(), "{:?}", scene.findings());
}
