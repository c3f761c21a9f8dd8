//! Snapshots are dropped by name: never the newest, never the one proven last, never evidence; and nothing else goes with them.

use std::fs;
use std::io::Write as _;
use std::process::Stdio;

use crate::crash::can_trace;
use crate::laboratory::{Laboratory, bounded};
use crate::optimize::{NAMES, assert_whole, sweep};
use crate::support::Said;
use crate::support::files::{append, write};

/// Runs a command and types something when it asks.
fn typing(laboratory: &Laboratory, typed: &str, arguments: &[&str]) -> Said {
    let input = laboratory.sandbox.path("tmp/typed");
    let mut file = fs::File::create(&input).expect("what is typed");
    std::write!(file, "{typed}").expect("it is written");
    let mut command = laboratory.sandbox.vault_command(&laboratory.source);
    command.args(arguments);
    command.stdin(Stdio::from(fs::File::open(&input).expect("it is opened")));
    bounded(command, &format!("git-vault {}", arguments.join(" ")))
}

#[test]
fn the_plan_is_shown_and_the_number_must_be_typed() {
    let mut laboratory = Laboratory::new();
    let [one, two] = [0, 1].map(|place| laboratory.sealed[place].id.clone());
    let before = laboratory.vault_listing();
    for typed in ["", "\n", "1\n", "3\n", "yes\n"] {
        let said = typing(&laboratory, typed, &["drop", &one, "2"]);
        let shown = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(said.code == Some(10) && shown.contains("GV-1006"), "{said}");
        assert!(shown.contains(&one) && shown.contains(&two), "{shown}");
        assert!(shown.contains("2 snapshots dropped, 1 kept"), "{shown}");
    }
    let changed =
        crate::support::listing::differences("vault", &before, &laboratory.vault_listing());
    assert!(changed.is_empty(), "{changed:?}");
    let said = typing(&laboratory, "2\n", &["drop", &one, "2"]).succeeded();
    assert!(
        said.text()
            .starts_with("DROPPED    2 snapshots, log entry "),
        "{said}"
    );
    for name in [one.as_str(), "1", "#1", &one[..6]] {
        let said = laboratory.run(&["show", name]).refused("GV-1101");
        let text = said.to_string();
        assert!(
            text.contains(&format!("snapshot {} was dropped", one)),
            "{said}"
        );
        assert!(
            text.contains("by log entry") && text.contains("by name"),
            "{said}"
        );
    }
    assert!(!laboratory.vault.join("snapshots").join(&one).exists());
    assert!(!laboratory.vault.join("refs/snapshots").join(&one).exists());
    laboratory.sealed.drain(..2);
    assert_whole(&laboratory, "afterwards");
}

#[test]
fn the_newest_and_the_one_proven_last_are_not_dropped() {
    let laboratory = Laboratory::new();
    let [first, second, third] = [0, 1, 2].map(|place| laboratory.sealed[place].id.clone());
    let _said = laboratory.run(&["drill", &first]).succeeded();
    let said = laboratory
        .run(&["drop", "--unattended", &third])
        .refused("GV-1106");
    assert!(said.to_string().contains("the newest one"), "{said}");
    let said = laboratory
        .run(&["drop", "--unattended", &first])
        .refused("GV-1106");
    assert!(said.to_string().contains("proven last"), "{said}");
    let said = laboratory
        .run(&["drop", "--unattended", &second, &first])
        .refused("GV-1106");
    assert!(said.to_string().contains("nothing was dropped"), "{said}");
    let _said = laboratory.run(&["drill", &second]).succeeded();
    let _said = laboratory
        .run(&["drop", "--unattended", &first])
        .succeeded();
    let listed = laboratory.run(&["--json", "list"]).succeeded().json();
    assert_eq!(listed["snapshots"].as_array().map(Vec::len), Some(2));
    let status = laboratory.run(&["--json", "status"]);
    assert_eq!(status.json()["proven"]["id"], second.as_str(), "{status}");
}

#[test]
fn what_an_incident_names_is_evidence() {
    let laboratory = Laboratory::new();
    let first = &laboratory.sealed[0].id;
    let manifest = laboratory
        .vault
        .join("snapshots")
        .join(first)
        .join("manifest.toml");
    let good = fs::read(&manifest).expect("it is read");
    let mut bad = good.clone();
    bad[200] ^= 1;
    fs::write(&manifest, &bad).expect("it is damaged");
    let _said = laboratory.run(&["show", first]).refused("GV-3001");
    fs::write(&manifest, &good).expect("it is mended");
    let said = laboratory
        .run(&["drop", "--unattended", first])
        .refused("GV-1106");
    assert!(said.to_string().contains("GV-3001 names it"), "{said}");
    let place = laboratory.sandbox.path("state/git-vault/incidents");
    fs::remove_dir_all(place).expect("a person has settled it");
    let _said = laboratory.run(&["drop", "--unattended", first]).succeeded();
}

#[test]
fn packed_refs_of_git_lose_a_dropped_snapshot_too() {
    let mut laboratory = Laboratory::new();
    laboratory
        .sandbox
        .git(&laboratory.vault, &["pack-refs", "--all"]);
    laboratory
        .sandbox
        .git(&laboratory.vault, &["multi-pack-index", "write"]);
    laboratory
        .sandbox
        .git(&laboratory.vault, &["commit-graph", "write", "--reachable"]);
    for place in [0, 1] {
        let id = &laboratory.sealed[place].id;
        let _said = laboratory.run(&["drop", "--unattended", id]).succeeded();
    }
    let _said = laboratory.run(&["optimize"]).succeeded();
    laboratory
        .sandbox
        .git(&laboratory.vault, &["fsck", "--strict", "--full"]);
    let refs = laboratory
        .sandbox
        .git_text(&laboratory.vault, &["for-each-ref", "--format=%(refname)"]);
    assert_eq!(refs.lines().count(), 2, "{refs}");
    laboratory.sealed.drain(..2);
    assert_whole(&laboratory, "afterwards");
}

#[test]
fn status_says_how_large_the_vault_is_and_what_may_be_freed() {
    let laboratory = Laboratory::new();
    let status = || laboratory.run(&["--json", "status"]).json();
    assert_eq!(status()["droppable_bytes"], 0);
    assert!(status()["pack_bytes"].as_u64() > Some(0));
    let first = &laboratory.sealed[0].id;
    let _said = laboratory.run(&["drop", "--unattended", first]).succeeded();
    let droppable = status()["droppable_bytes"].as_u64();
    assert!(droppable > Some(0) && droppable < status()["pack_bytes"].as_u64());
    let text = laboratory.run(&["status"]).text();
    assert!(text.contains(" in 5 packs, "), "{text}");
}

#[test]
fn a_vault_of_which_something_is_in_doubt_gives_nothing_up() {
    let laboratory = Laboratory::new();
    let status = laboratory.run(&["--json", "key", "status"]).json();
    let key = status["keys"][0]["key"].as_str().expect("a key").to_owned();
    let _said = laboratory.run(&["key", "rotate"]).succeeded();
    append(&laboratory.source, "README.md", "under a new key\n");
    let _id = laboratory.sandbox.snapshot(&laboratory.source);
    let _said = laboratory
        .run(&["key", "compromise", &key, "--since", "2"])
        .succeeded();
    for words in [
        &["drop", "--unattended", "1"][..],
        &["optimize"],
        &["prune", "--unattended", "--keep-last", "1"],
    ] {
        let _said = laboratory.run(words).refused("GV-3105");
    }
}

/// What a doubtful entry brought may be somebody else's, and older snapshots may stand on it.
#[test]
fn when_an_optimize_is_in_doubt_no_snapshot_is_accepted() {
    let laboratory = Laboratory::new();
    for number in 0..3 {
        append(&laboratory.source, "README.md", format!("{number}\n"));
        laboratory.sandbox.commit(&laboratory.source, "more");
        let _id = laboratory.sandbox.snapshot(&laboratory.source);
    }
    let status = laboratory.run(&["--json", "key", "status"]).json();
    let key = status["keys"][0]["key"].as_str().expect("a key").to_owned();
    let optimized = laboratory.run(&["--json", "optimize"]).succeeded().json();
    let entry = optimized["recorded_as"].as_u64().expect("an entry");
    let _said = laboratory.run(&["key", "rotate"]).succeeded();
    let since = (entry - 1).to_string();
    let _said = laboratory
        .run(&["key", "compromise", &key, "--since", &since])
        .succeeded();
    let out = laboratory.sandbox.path("out");
    let out = out.to_str().expect("a UTF-8 path");
    for sealed in &laboratory.sealed {
        let _said = laboratory
            .run(&["restore", &sealed.id, out])
            .refused("GV-3105");
    }
}

#[test]
fn a_drop_killed_anywhere_has_happened_or_not_and_the_next_run_goes_on() {
    if !can_trace("kill drop") {
        return;
    }
    let mut laboratory = Laboratory::new();
    let gone = laboratory.sealed.remove(0);
    let words = ["drop", "--unattended", &gone.id];
    sweep(&laboratory, &words, &NAMES, "signal=KILL");
    sweep(&laboratory, &words, &["write", "fsync"], "signal=KILL");
    sweep(&laboratory, &words, &["fsync"], "error=EIO");
    sweep(
        &laboratory,
        &words,
        &["unlink", "rmdir", "unlinkat"],
        "error=EIO",
    );
}

/// The sum of what single snapshots need, what several need, history and the rest is all that there is; and what a snapshot is said to
/// free is what goes with it.
#[test]
fn list_says_what_each_snapshot_alone_would_free() {
    let laboratory = Laboratory::new();
    for number in 0_u64..3 {
        let lines = (0..20_000).map(|line| format!("{number} {line}\n"));
        write(
            &laboratory.source,
            "untracked/large",
            lines.collect::<String>(),
        );
        let _id = laboratory.sandbox.snapshot(&laboratory.source);
    }
    let plain = laboratory.run(&["--json", "list"]).succeeded().json();
    assert!(plain["sizes"].is_null() && plain["snapshots"][0]["alone_bytes"].is_null());
    let list = || {
        laboratory
            .run(&["--json", "list", "--sizes"])
            .succeeded()
            .json()
    };
    let before = laboratory.vault_listing();
    let sizes = list();
    let changed =
        crate::support::listing::differences("vault", &before, &laboratory.vault_listing());
    assert!(changed.is_empty(), "{changed:?}");
    let of = |sizes: &serde_json::Value, name: &str| sizes["sizes"][name].as_u64().expect("bytes");
    let alone = |sizes: &serde_json::Value, place: usize| {
        let alone = &sizes["snapshots"][place]["alone_bytes"];
        alone.as_u64().expect("bytes")
    };
    assert_eq!(of(&sizes, "needless_bytes"), 0);
    let sum: u64 = (0..6).map(|place| alone(&sizes, place)).sum();
    assert_eq!(sum, of(&sizes, "alone_bytes"));
    assert!(alone(&sizes, 3) > 10 * alone(&sizes, 2), "{sizes}");
    let told = alone(&sizes, 4);
    let _said = laboratory.run(&["drop", "--unattended", "5"]).succeeded();
    let sizes = list();
    let needless = of(&sizes, "needless_bytes");
    // Its manifest is gone already.
    assert!(
        needless < told && needless > told * 9 / 10,
        "{needless} of {told}"
    );
    let optimized = laboratory.run(&["--json", "optimize"]).succeeded().json();
    let freed = optimized["before"]["bytes"].as_u64() > optimized["after"]["bytes"].as_u64();
    assert!(freed, "{optimized}");
    assert_eq!(of(&list(), "needless_bytes"), 0);
    let text = laboratory.run(&["list", "--sizes"]).succeeded().text();
    for word in ["ALONE", "SHARED", "HISTORY", "NEEDLESS"] {
        assert!(text.contains(word), "{text}");
    }
}

/// The plan of a drop is shown without being asked for anything.
#[test]
fn a_dry_run_drops_nothing() {
    let laboratory = Laboratory::new();
    let before = laboratory.vault_listing();
    let said = laboratory
        .run(&["--json", "drop", "--dry-run", "1"])
        .succeeded()
        .json();
    assert!(said["recorded_as"].is_null(), "{said}");
    assert_eq!(said["dropped"][0]["number"], 1);
    let changed =
        crate::support::listing::differences("vault", &before, &laboratory.vault_listing());
    assert!(changed.is_empty(), "{changed:?}");
    let _said = laboratory
        .run(&["drop", "--dry-run", "@latest"])
        .refused("GV-1106");
}
