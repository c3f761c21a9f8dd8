//! `status` says how good the backup is: what is new since, what was checked and proven, and what needs attention.

use std::fs;

use crate::laboratory::Laboratory;
use crate::support::Sandbox;
use crate::support::files::{append, write};
use crate::support::fingerprint::Fingerprint;

#[test]
fn status_tells_what_is_new_since_the_newest_snapshot_and_touches_nothing() {
    let laboratory = Laboratory::new();
    let source = &laboratory.source;
    let asked = || {
        let before = Fingerprint::of(&laboratory.sandbox.workplace());
        let vault = laboratory.vault_listing();
        let answer = laboratory.run(&["--json", "status"]).json();
        before.assert_untouched(&laboratory.sandbox.workplace());
        assert!(vault == laboratory.vault_listing());
        (
            answer["changed_since"].as_u64().expect("a number"),
            answer["git_changed_since"].as_bool().expect("an answer"),
        )
    };
    assert_eq!(asked(), (0, false));
    append(source, "README.md", "new\n");
    assert_eq!(asked(), (1, false), "a file changed");
    write(source, "untracked/new.txt", "new\n");
    assert_eq!(asked(), (3, false), "a file and its directory changed, too");
    fs::remove_file(source.join("src/one.txt")).expect("the file is removed");
    assert_eq!(
        asked(),
        (4, false),
        "a file that is gone shows in its directory"
    );
    laboratory.sandbox.git(source, &["branch", "another"]);
    assert_eq!(asked(), (4, true), "a ref came");
    let _id = laboratory.sandbox.snapshot(source);
    assert_eq!(asked(), (0, false));
}

#[test]
fn status_asks_for_a_snapshot_a_verification_and_a_drill() {
    let sandbox = Sandbox::new();
    let source = sandbox.init("source");
    write(&source, "a", "a\n");
    sandbox.commit(&source, "one");
    let _said = sandbox.vault(&source, &["init"]).succeeded();
    let attention = || {
        let said = sandbox.vault(&source, &["--json", "status"]);
        let answer = said.json();
        let all = answer["attention"].as_array().expect("an array");
        all.iter()
            .map(|one| one["about"].as_str().expect("a word").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(attention(), ["sealed", "keys"]);
    let _id = sandbox.snapshot(&source);
    assert_eq!(attention(), ["keys", "verified", "proven"]);
    let _said = sandbox.vault(&source, &["verify"]).succeeded();
    assert_eq!(attention(), ["keys", "proven"]);
}

#[test]
fn status_is_five_lines_and_one_for_each_thing_that_needs_attention() {
    let laboratory = Laboratory::new();
    let said = laboratory.run(&["status"]);
    assert_eq!(said.code, Some(3), "{said}");
    let text = said.text();
    let words: Vec<&str> = text
        .lines()
        .map(|line| line.split_whitespace().next().expect("a word"))
        .collect();
    assert_eq!(
        words[..5],
        ["SEALED", "VERIFIED", "PROVEN", "KEYS", "HEALTH"],
        "{text}"
    );
    assert!(
        words[5..]
            .iter()
            .all(|word| ["ATTENTION", "->"].contains(word)),
        "{text}"
    );
}

#[test]
fn status_of_a_named_vault_needs_no_repository() {
    let laboratory = Laboratory::new();
    let elsewhere = laboratory.sandbox.path("tmp");
    let vault = laboratory.vault.to_str().expect("UTF-8");
    let said = laboratory
        .sandbox
        .vault(&elsewhere, &["--vault", vault, "--json", "status"]);
    assert_eq!(said.code, Some(3), "{said}");
    assert!(said.json()["changed_since"].is_null(), "{said}");
}

#[test]
fn metrics_are_written_whole_for_others_to_read_and_never_into_the_vault() {
    let laboratory = Laboratory::new();
    let file = laboratory.sandbox.path("vault.prom");
    let said = laboratory.run(&["status", "--metrics", file.to_str().expect("UTF-8")]);
    assert_eq!(said.code, Some(3), "{said}");
    let text = fs::read_to_string(&file).expect("the metrics are read");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        assert!(
            name.starts_with("git_vault_") && name.ends_with("\"}"),
            "{line}"
        );
        assert!(value.parse::<i64>().is_ok(), "{line}");
    }
    assert!(text.contains("git_vault_snapshots{"), "{text}");
    let before = laboratory.vault_listing();
    let inside = laboratory.vault.join("cache/metrics");
    let _said = laboratory
        .run(&["status", "--metrics", inside.to_str().expect("UTF-8")])
        .refused("GV-1005");
    assert!(before == laboratory.vault_listing());
}
