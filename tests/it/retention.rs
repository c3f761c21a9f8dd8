//! Policies: what is kept is what was asked for, and under random lives no remaining snapshot ever lacks anything.

use std::cell::Cell;
use std::fs;

use proptest::test_runner::{Config, TestCaseError, TestError, TestRunner};

use crate::crash::can_trace;
use crate::laboratory::{Laboratory, effort, only_vault};
use crate::optimize::{NAMES, assert_whole, sweep};
use crate::sequences::{Taken, Tally, give_back, take};
use crate::support::Sandbox;
use crate::support::commands::{SNAPSHOT, lives};
use crate::support::files::{append, mkdir};

fn numbers(answer: &serde_json::Value, list: &str) -> Vec<u64> {
    let list = answer[list].as_array().expect("a list");
    list.iter()
        .map(|one| one["number"].as_u64().expect("a number"))
        .collect()
}

#[test]
fn a_policy_is_planned_then_carried_out() {
    let mut laboratory = Laboratory::new();
    for number in 0..4 {
        append(&laboratory.source, "README.md", format!("{number}\n"));
        let label = ["--label", "release"];
        let words = ["snapshot"]
            .iter()
            .chain(if number == 1 { &label[..] } else { &[] });
        let words: Vec<&str> = words.copied().collect();
        let _said = laboratory.run(&words).succeeded();
    }
    let _said = laboratory.run(&["drill", "2"]).succeeded();
    let before = laboratory.vault_listing();
    let policy = ["--json", "prune", "--keep-last", "2"];
    let planned = laboratory
        .run(&[&policy[..], &["--dry-run"]].concat())
        .succeeded()
        .json();
    assert_eq!(planned["schema"], "git-vault/prune/1");
    assert_eq!(numbers(&planned, "dropped"), [1, 3, 4]);
    assert_eq!(numbers(&planned, "kept"), [2, 5, 6, 7]);
    let changed =
        crate::support::listing::differences("vault", &before, &laboratory.vault_listing());
    assert!(changed.is_empty(), "{changed:?}");
    let _said = laboratory.run(&policy).refused("GV-1006");
    let said = laboratory
        .run(&[&policy[..], &["--unattended"]].concat())
        .succeeded();
    assert_eq!(numbers(&said.json(), "dropped"), [1, 3, 4]);
    assert!(said.json()["optimized"]["recorded_as"].is_u64(), "{said}");
    let again = laboratory
        .run(&[&policy[..], &["--unattended"]].concat())
        .succeeded();
    assert!(again.json()["recorded_as"].is_null(), "{again}");
    laboratory.sealed.remove(2);
    laboratory.sealed.remove(0);
    assert_whole(&laboratory, "afterwards");
    let said = laboratory.run(&["show", "3"]).refused("GV-1101");
    assert!(said.to_string().contains("policy --keep-last 2"), "{said}");
}

#[test]
fn without_a_rule_nothing_goes() {
    let laboratory = Laboratory::new();
    let _said = laboratory
        .run(&["prune", "--unattended"])
        .refused("GV-1005");
}

#[test]
fn a_label_that_nothing_has_is_no_rule_by_itself() {
    let laboratory = Laboratory::new();
    let only = ["prune", "--unattended", "--keep-label", "relaese"];
    let said = laboratory.run(&only).refused("GV-1005");
    assert!(said.to_string().contains("relaese"), "{said}");
    let listed = laboratory.run(&["--json", "list"]).succeeded().json();
    assert_eq!(numbers(&listed, "snapshots"), [1, 2, 3]);
    let _said = laboratory
        .run(&[&only[..], &["--keep-last", "2"]].concat())
        .succeeded();
    let listed = laboratory.run(&["--json", "list"]).succeeded().json();
    assert_eq!(numbers(&listed, "snapshots"), [2, 3]);
}

#[test]
fn a_size_keeps_the_newest_that_fit() {
    let mut laboratory = Laboratory::new();
    let plan = |size: &str| {
        let words = ["--json", "prune", "--max-size", size, "--dry-run"];
        numbers(&laboratory.run(&words).succeeded().json(), "kept")
    };
    assert_eq!(plan("1G"), [1, 2, 3]);
    // The newest stays in any case: the least that is not refused keeps nothing else.
    let before = laboratory.vault_listing();
    let words = ["prune", "--max-size", "1", "--unattended"];
    let said = laboratory.run(&words).refused("GV-1005").to_string();
    let changed =
        crate::support::listing::differences("vault", &before, &laboratory.vault_listing());
    assert!(changed.is_empty(), "{changed:?}");
    let least = said.split("in any case takes ").nth(1);
    let least = least.and_then(|rest| rest.split(' ').next());
    let least = least.expect("it says how much stays").to_owned();
    assert_eq!(plan(&least), [3]);
    let words = ["prune", "--max-size", &least, "--unattended"];
    let _said = laboratory.run(&words).succeeded();
    laboratory.sealed.drain(..2);
    assert_whole(&laboratory, "afterwards");
    let _said = laboratory.run(&["verify", "--deep"]).succeeded();
}

#[test]
fn a_prune_killed_anywhere_loses_nothing_and_the_next_run_goes_on() {
    if !can_trace("kill prune") {
        return;
    }
    let mut laboratory = Laboratory::new();
    laboratory.sealed.drain(..2);
    let words = ["prune", "--unattended", "--keep-last", "1"];
    sweep(&laboratory, &words, &NAMES, "signal=KILL");
    sweep(&laboratory, &words, &["fsync"], "signal=KILL");
}

/// Runs the lines, and after each snapshot may drop, prune or optimize; then every remaining snapshot must come back.
fn live(lines: &[String], tally: &Tally, shrunk: &Cell<usize>) -> Result<(), String> {
    let sandbox = Sandbox::new();
    let repository = mkdir(&sandbox.workplace(), "repository");
    let mut taken: Vec<Taken> = Vec::new();
    for (number, line) in lines.iter().enumerate() {
        if line != SNAPSHOT {
            let mut command = sandbox.command("sh", &repository);
            command.env("MARKER", sandbox.marker());
            let _output = command.args(["-c", line]).output().expect("sh starts");
            continue;
        }
        taken.extend(take(&sandbox, &repository, tally)?);
        if taken.is_empty() {
            continue;
        }
        let ids: Vec<String> = remaining(&sandbox, &repository)?;
        let oldest = ids[(number * 7) % ids.len()].clone();
        let words: &[&str] = match number % 5 {
            0 => &["optimize"],
            1 | 2 if oldest != ids[ids.len() - 1] => &["drop", "--unattended", &oldest],
            3 => &["prune", "--unattended", "--keep-last", "2"],
            _ => continue,
        };
        let said = sandbox.vault(&repository, words);
        if said.code != Some(0) {
            return Err(said.to_string());
        }
        shrunk.set(shrunk.get() + 1);
        let ids = remaining(&sandbox, &repository)?;
        taken.retain(|taken| ids.contains(&taken.id));
        check(&sandbox, &repository)?;
    }
    if taken.is_empty() {
        return Ok(());
    }
    let said = sandbox.vault(&repository, &["optimize"]);
    if said.code != Some(0) {
        return Err(said.to_string());
    }
    check(&sandbox, &repository)?;
    let said = sandbox.vault(&repository, &["drill", "--all"]);
    if said.code != Some(0) {
        return Err(said.to_string());
    }
    for (number, taken) in taken.iter().enumerate() {
        give_back(&sandbox, &repository, taken, &format!("restored-{number}"))?;
        let said = sandbox.vault(&repository, &["verify", "--deep", &taken.id]);
        if said.code != Some(0) {
            return Err(said.to_string());
        }
    }
    Ok(())
}

fn remaining(sandbox: &Sandbox, repository: &std::path::Path) -> Result<Vec<String>, String> {
    let said = sandbox.vault(repository, &["--json", "list"]);
    if said.code != Some(0) {
        return Err(said.to_string());
    }
    let answer = said.json();
    let list = answer["snapshots"].as_array().expect("the snapshots");
    let ids = list
        .iter()
        .map(|one| one["id"].as_str().expect("an id").to_owned());
    Ok(ids.collect())
}

fn check(sandbox: &Sandbox, repository: &std::path::Path) -> Result<(), String> {
    let said = sandbox.vault(repository, &["verify", "--deep"]);
    if said.code != Some(0) {
        return Err(said.to_string());
    }
    let vault = only_vault(sandbox);
    let fsck = sandbox.try_git(&vault, &["fsck", "--strict", "--no-dangling"]);
    // What the source lacked, plain git misses in the vault too.
    let said = String::from_utf8_lossy(&fsck.stderr).into_owned();
    let refs = fs::read_dir(vault.join("refs/snapshots")).expect("refs are read");
    if said.contains("invalid sha1 pointer") || refs.count() == 0 {
        return Err(said);
    }
    Ok(())
}

#[test]
fn under_random_lives_every_remaining_snapshot_comes_back() {
    let config = Config {
        cases: 30 * u32::try_from(effort()).expect("an effort"),
        failure_persistence: None,
        max_shrink_iters: 100,
        ..Config::default()
    };
    let (tally, shrunk) = (Tally::default(), Cell::new(0));
    let outcome = TestRunner::new(config).run(&lives(), |lines| {
        live(&lines, &tally, &shrunk).map_err(TestCaseError::fail)
    });
    eprintln!("random lives: {} drops, prunes and optimizes", shrunk.get());
    match outcome {
        Ok(()) => {}
        Err(TestError::Fail(reason, lines)) => {
            panic!("{reason}\nmade by\n{}\n", lines.join("\n"))
        }
        Err(TestError::Abort(reason)) => panic!("{reason}"),
    }
    assert!(shrunk.get() > 20);
}
