//! `sweep` captures every known repository that is quiet, and says of every other what became of it.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::laboratory::run;
use crate::support::files::{append, mkdir, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::mount::Mount;
use crate::support::{Said, Sandbox};

/// A repository with a snapshot and newer work.
fn repository(sandbox: &Sandbox, name: &str) -> PathBuf {
    let source = sandbox.init(name);
    write(&source, "a", format!("{name}\n"));
    sandbox.commit(&source, "one");
    let _id = sandbox.snapshot(&source);
    append(&source, "a", "newer work\n");
    source
}

/// Everything quiet or not.
fn sweep(sandbox: &Sandbox) -> Said {
    run(
        sandbox,
        &sandbox.home(),
        &["--json", "sweep", "--quiet-for", "0s"],
    )
}

/// What a sweep answered about the repository whose git directory ends so.
#[track_caller]
fn about(said: &Said, ending: &str) -> Value {
    let answer = said.json();
    let all = answer["repositories"].as_array().expect("an array");
    let mut found = all.iter().filter(|one| {
        let git_dir = one["git_dir"].as_str().expect("a path");
        git_dir.ends_with(ending)
    });
    let one = found
        .next()
        .unwrap_or_else(|| panic!("{ending} is not in it\n{said}"));
    assert!(found.next().is_none(), "{ending} is in it twice\n{said}");
    one.clone()
}

#[track_caller]
fn assert_outcome(said: &Said, ending: &str, outcome: &str) -> Value {
    let one = about(said, ending);
    assert_eq!(one["outcome"], outcome, "{ending}\n{said}");
    one
}

fn trigger(sandbox: &Sandbox, source: &Path) -> String {
    let said = sandbox.vault(source, &["--json", "show"]).succeeded();
    let answer = said.json();
    answer["snapshot"]["trigger"]
        .as_str()
        .expect("a word")
        .to_owned()
}

#[test]
fn every_known_repository_that_changed_is_captured_and_none_is_touched() {
    let sandbox = Sandbox::new();
    let one = repository(&sandbox, "one");
    let two = repository(&sandbox, "two words\n");
    let bare = sandbox.workplace().join("bare.git");
    let text = bare.to_str().expect("UTF-8");
    sandbox.git(&one, &["clone", "--quiet", "--bare", ".", text]);
    let _id = sandbox.snapshot(&bare);
    let before = Fingerprint::of(&sandbox.workplace());
    let said = sweep(&sandbox).succeeded();
    assert_outcome(&said, "/one/.git", "sealed");
    assert_outcome(&said, "/two words%0A/.git", "sealed");
    assert_outcome(&said, "/bare.git", "unchanged");
    let again = sweep(&sandbox).succeeded();
    let found = assert_outcome(&again, "/one/.git", "unchanged");
    assert_eq!(found["detail"], about(&said, "/one/.git")["detail"]);
    before.assert_untouched(&sandbox.workplace());
    for source in [&one, &two] {
        assert_eq!(trigger(&sandbox, source), "sweep");
        let restored = sandbox.path("restored");
        let text = restored.to_str().expect("UTF-8");
        let _said = sandbox
            .vault(source, &["restore", "@latest", text])
            .succeeded();
        assert!(
            fs::read(restored.join("a"))
                .expect("a")
                .ends_with(b"newer work\n")
        );
        fs::remove_dir_all(&restored).expect("removed");
    }
    let text = run(&sandbox, &sandbox.home(), &["sweep", "--quiet-for", "0s"]);
    let text = text.succeeded().text();
    let last = text.lines().last();
    let sum = "SWEPT      3 repositories: 0 sealed, 3 unchanged, 0 busy, 0 to look at";
    assert_eq!(last, Some(sum), "{text}");
}

#[test]
fn a_repository_in_which_somebody_works_is_left_for_the_next_sweep() {
    let sandbox = Sandbox::new();
    let source = repository(&sandbox, "one");
    let quiet = sandbox.init("quiet");
    write(&quiet, "a", "a\n");
    let _id = sandbox.snapshot(&quiet);
    let said = run(&sandbox, &sandbox.home(), &["--json", "sweep"]).succeeded();
    assert_outcome(&said, "/one/.git", "busy");
    assert_outcome(&said, "/quiet/.git", "unchanged");
    assert_eq!(trigger(&sandbox, &source), "manual");
    // A commit is work, too, although the working tree was not touched by it.
    sandbox.git(&quiet, &["commit", "--quiet", "--allow-empty", "-m", "one"]);
    let said = run(&sandbox, &sandbox.home(), &["--json", "sweep"]).succeeded();
    assert_outcome(&said, "/quiet/.git", "busy");
    let _said = sweep(&sandbox).succeeded();
    assert_eq!(trigger(&sandbox, &source), "sweep");
}

#[test]
fn a_repository_that_is_never_quiet_is_captured_once_an_hour() {
    if !crate::support::mount::has_tool("an hour later", "faketime") {
        return;
    }
    let sandbox = Sandbox::new();
    let source = repository(&sandbox, "one");
    let mut command = sandbox.command("faketime", &source);
    command.args([
        "-f",
        "+61m",
        env!("CARGO_BIN_EXE_git-vault"),
        "--json",
        "sweep",
    ]);
    command.args(["--quiet-for", "9000s"]);
    let said = Said::new(
        "an hour later".to_owned(),
        command.output().expect("it starts"),
    );
    assert_outcome(&said.succeeded(), "/one/.git", "sealed");
}

#[test]
fn what_is_not_there_is_said_with_what_helps_and_not_forgotten() {
    let sandbox = Sandbox::new();
    let moved = repository(&sandbox, "moved");
    let gone = repository(&sandbox, "gone");
    let emptied = repository(&sandbox, "emptied");
    let fine = repository(&sandbox, "fine");
    let aside = sandbox.path("moved-away");
    fs::rename(&moved, &aside).expect("moved");
    fs::rename(&gone, sandbox.path("gone-away")).expect("taken away");
    fs::rename(emptied.join(".git"), sandbox.path("git-away")).expect("taken away");
    mkdir(&emptied, ".git");
    for _again in 0..2 {
        let said = sweep(&sandbox);
        assert_eq!(said.code, Some(3), "{said}");
        for (ending, outcome) in [
            ("/moved/.git", "gone"),
            ("/gone/.git", "gone"),
            ("/emptied/.git", "no-repository"),
        ] {
            let one = assert_outcome(&said, ending, outcome);
            assert!(one["attention"] == true && !one["next"].as_array().expect("steps").is_empty());
        }
    }
    assert_eq!(
        trigger(&sandbox, &fine),
        "sweep",
        "others are captured all the same"
    );
    // The first snapshot at the new place brings the vault there; from then on that is said.
    let _id = sandbox.snapshot(&aside);
    let said = sweep(&sandbox);
    let one = assert_outcome(&said, "/moved/.git", "moved");
    assert!(
        one["detail"]
            .as_str()
            .expect("a path")
            .ends_with("/moved-away/.git")
    );
    assert_eq!(one["attention"], false);
    assert_outcome(&said, "/moved-away/.git", "unchanged");
    let said = run(&sandbox, &sandbox.home(), &["sweep", "--quiet-for", "0s"]);
    assert_eq!(said.code, Some(3), "{said}");
    for field in [
        "MOVED ",
        "GONE ",
        "UNCHANGED ",
        "SWEPT ",
        "           -> git vault",
    ] {
        assert!(
            said.text().lines().any(|line| line.starts_with(field)),
            "{field}\n{said}"
        );
    }
}

#[test]
fn a_repository_on_a_disk_that_is_unplugged_is_not_called_gone() {
    let sandbox = Sandbox::new();
    let place = mkdir(&sandbox.workplace(), "disk");
    let Some(disk) = Mount::tmpfs("size=20m", &place) else {
        eprintln!("SKIPPED: unplugged: a file system cannot be mounted here");
        return;
    };
    let _source = repository(&sandbox, "disk/one");
    let _said = sweep(&sandbox).succeeded();
    drop(disk);
    let said = sweep(&sandbox);
    assert_eq!(said.code, Some(3), "{said}");
    let one = assert_outcome(&said, "/disk/one/.git", "unplugged");
    assert!(
        one["detail"].as_str().expect("a path").ends_with("/disk"),
        "{said}"
    );
    let left = fs::read_dir(&place).expect("the place is there");
    assert_eq!(left.count(), 0, "nothing was written where the disk was");
}

#[test]
fn a_vault_on_a_disk_that_is_unplugged_gets_no_second_one_in_its_place() {
    let sandbox = Sandbox::new();
    let source = repository(&sandbox, "one");
    let home = sandbox.path("data/git-vault/vaults");
    let away = sandbox.path("vaults-away");
    fs::rename(&home, &away).expect("unplugged");
    let said = sweep(&sandbox);
    assert_eq!(said.code, Some(3), "{said}");
    assert_outcome(&said, "/one/.git", "no-vault");
    assert!(!home.exists(), "nothing was made where the vaults were");
    fs::rename(&away, &home).expect("plugged in");
    let _said = sweep(&sandbox).succeeded();
    assert_eq!(trigger(&sandbox, &source), "sweep");
}

#[test]
fn repositories_with_vault_homes_of_their_own_are_known_to_a_sweep_that_is_told_of_none() {
    let sandbox = Sandbox::new();
    let by_setting = repository(&sandbox, "by-setting");
    let by_variable = sandbox.init("by-variable");
    write(&by_variable, "a", "a\n");
    let homes = [sandbox.path("home-one"), sandbox.path("home-two")];
    let [one, two] = homes.each_ref().map(|home| home.to_str().expect("UTF-8"));
    sandbox.git(&by_setting, &["config", "vault.home", one]);
    let _id = sandbox.snapshot(&by_setting);
    append(&by_setting, "a", "newest\n");
    let variable = [("GIT_VAULT_HOME", two)];
    let said = sandbox.vault_with(&by_variable, &variable, &["snapshot"]);
    let _said = said.succeeded();
    append(&by_variable, "a", "newest\n");
    let vaults = || {
        let default = sandbox.path("data/git-vault/vaults");
        homes
            .each_ref()
            .map(|home| count(home))
            .iter()
            .sum::<usize>()
            + count(&default)
    };
    let before = vaults();
    let said = sweep(&sandbox).succeeded();
    let found = assert_outcome(&said, "/by-setting/.git", "sealed");
    assert!(
        found["vault"].as_str().expect("a vault").starts_with(one),
        "{said}"
    );
    let found = assert_outcome(&said, "/by-variable/.git", "sealed");
    assert!(
        found["vault"].as_str().expect("a vault").starts_with(two),
        "{said}"
    );
    assert_eq!(vaults(), before, "no vault was made by a sweep");
}

fn count(home: &Path) -> usize {
    let entries = fs::read_dir(home).map(Iterator::count).unwrap_or(0);
    entries - usize::from(home.join("registry").exists())
}

#[test]
fn repositories_whose_git_directory_lies_elsewhere_are_captured() {
    let sandbox = Sandbox::new();
    let library = repository(&sandbox, "library");
    let source = repository(&sandbox, "source");
    let text = library.to_str().expect("UTF-8");
    let allow = [
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        text,
        "sub",
    ];
    sandbox.git(&source, &allow);
    let linked = sandbox.workplace().join("linked");
    let text = linked.to_str().expect("UTF-8");
    sandbox.git(&source, &["worktree", "add", "--quiet", text, "-b", "side"]);
    let separate = sandbox.workplace().join("separate");
    let text = separate.to_str().expect("UTF-8");
    let words = [
        "init",
        "--quiet",
        "--separate-git-dir",
        "elsewhere.git",
        text,
    ];
    sandbox.git(&sandbox.workplace(), &words);
    write(&separate, "a", "a\n");
    for place in [&source.join("sub"), &linked, &separate] {
        let _id = sandbox.snapshot(place);
        append(place, "a", "newest\n");
    }
    let said = sweep(&sandbox).succeeded();
    for ending in ["/source/.git", "/source/.git/modules/sub", "/elsewhere.git"] {
        assert_outcome(&said, ending, "sealed");
    }
    for place in [&source.join("sub"), &linked, &separate] {
        let status = sandbox.vault(place, &["--json", "status"]);
        assert_eq!(status.json()["changed_since"], 0, "{status}");
    }
}

#[test]
fn a_refusal_of_one_stops_no_other_and_is_the_exit_status() {
    let sandbox = Sandbox::new();
    let first = repository(&sandbox, "a-first");
    let broken = repository(&sandbox, "broken");
    let last = repository(&sandbox, "z-last");
    sandbox.git(&broken, &["config", "extensions.unheardOf", "true"]);
    sandbox.git_with(
        &broken,
        &[],
        &["config", "core.repositoryFormatVersion", "1"],
    );
    let said = sweep(&sandbox);
    assert_eq!(said.code, Some(20), "{said}");
    let one = assert_outcome(&said, "/broken/.git", "refused");
    assert_eq!(one["detail"]["code"], "GV-2003", "{said}");
    for source in [&first, &last] {
        assert_eq!(trigger(&sandbox, source), "sweep");
    }
    let vault = about(&said, "/z-last/.git");
    let vault = Path::new(vault["vault"].as_str().expect("a path"));
    fs::remove_file(vault.join("log/00000001.toml")).expect("damaged");
    append(&first, "a", "once more\n");
    let said = sweep(&sandbox);
    let one = assert_outcome(&said, "/z-last/.git", "refused");
    assert!(one["detail"]["incident"].is_string(), "it is noted: {said}");
    assert_outcome(&said, "/a-first/.git", "sealed");
    let again = sweep(&sandbox);
    assert_eq!(again.code, Some(20), "{again}");
    let one = assert_outcome(&again, "/z-last/.git", "refused");
    assert!(
        one["detail"]["incident"].is_null(),
        "once is enough: {again}"
    );
    let noted = fs::read_dir(sandbox.path("state/git-vault/incidents"));
    assert_eq!(noted.expect("incidents").count(), 1);
}

#[test]
fn two_sweeps_are_never_at_it_at_the_same_time() {
    let sandbox = Sandbox::new();
    let source = repository(&sandbox, "one");
    let lock = write(&sandbox.path("state/git-vault"), "sweep.lock", "");
    let held = fs::File::open(lock).expect("the lock");
    held.lock().expect("it is free");
    let said = sweep(&sandbox).succeeded();
    assert_eq!(said.json()["outcome"], "other-sweep", "{said}");
    assert_eq!(trigger(&sandbox, &source), "manual");
    // A process that another test is just starting may have the file open, too.
    held.unlock().expect("it is given back");
    let said = sweep(&sandbox).succeeded();
    assert_eq!(said.json()["outcome"], "swept", "{said}");
}

#[test]
fn notes_that_cannot_be_understood_are_said_and_harm_nothing() {
    let sandbox = Sandbox::new();
    let source = repository(&sandbox, "one");
    let notes = sandbox.path("state/git-vault/repositories");
    write(&notes, "0123.toml", "nonsense");
    write(
        &notes,
        "4567.toml",
        "git_dir = \"/etc\"\nhome = \"/\"\nmount = \"/\"\nworktree = \"\"\n",
    );
    let said = sweep(&sandbox);
    assert_eq!(said.code, Some(3), "{said}");
    assert_eq!(said.json()["strange"].as_array().expect("paths").len(), 2);
    assert_eq!(trigger(&sandbox, &source), "sweep");
    let said = run(&sandbox, &source, &["--vault", "x", "sweep"]);
    assert_eq!(said.code, Some(2), "{said}");
    let said = run(&sandbox, &source, &["sweep", "--quiet-for", "soon"]);
    assert_eq!(said.code, Some(2), "{said}");
}

#[test]
fn a_sweep_of_a_machine_without_repositories_is_well() {
    let sandbox = Sandbox::new();
    let said = sweep(&sandbox).succeeded();
    assert_eq!(said.json()["repositories"], Value::Array(Vec::new()));
    // What is made without a snapshot is known, too.
    let source = sandbox.init("one");
    let _said = run(&sandbox, &source, &["init"]).succeeded();
    let said = sweep(&sandbox).succeeded();
    assert_outcome(&said, "/one/.git", "sealed");
}

#[test]
fn a_linked_worktree_that_is_not_there_is_said_by_sweep_and_status_with_what_helps() {
    let sandbox = Sandbox::new();
    let source = repository(&sandbox, "one");
    let linked = sandbox.workplace().join("linked it");
    let text = linked.to_str().expect("UTF-8");
    sandbox.git(&source, &["worktree", "add", "-q", "-b", "topic", text]);
    let said = sweep(&sandbox).succeeded();
    assert_eq!(about(&said, "/one/.git")["away"], Value::Array(Vec::new()));
    let before = Fingerprint::of(&source);
    let moved = sandbox.workplace().join("elsewhere");
    fs::rename(&linked, &moved).expect("moved");
    for _ in 0..2 {
        let said = sweep(&sandbox);
        assert_eq!(said.code, Some(3), "{said}");
        let one = about(&said, "/one/.git");
        assert_eq!(one["away"][0]["path"], text, "{said}");
        assert_eq!(one["attention"], true, "{said}");
        let said = run(&sandbox, &sandbox.home(), &["sweep", "--quiet-for", "0s"]);
        assert!(said.text().contains("AWAY"), "{said}");
        assert!(said.text().contains("worktree prune"), "{said}");
        assert!(said.text().contains("1 to look at"), "{said}");
        let said = run(&sandbox, &source, &["status"]);
        let line = format!("linked worktree '{text}' is not there");
        assert!(said.text().contains(&line), "{said}");
    }
    before.assert_untouched(&source);
    sandbox.git(&source, &["worktree", "lock", text]);
    let said = run(&sandbox, &sandbox.home(), &["sweep", "--quiet-for", "0s"]);
    assert!(
        said.text().contains("is locked") && !said.text().contains("prune"),
        "{said}"
    );
    sandbox.git(&source, &["worktree", "unlock", text]);
    // What it says helps, and then it is captured again.
    write(&moved, "new", "in the linked one\n");
    sandbox.git(
        &source,
        &["worktree", "repair", moved.to_str().expect("UTF-8")],
    );
    let said = sweep(&sandbox).succeeded();
    assert_outcome(&said, "/one/.git", "sealed");
    let said = run(&sandbox, &source, &["status"]);
    assert!(!said.text().contains("is not there"), "{said}");
}
