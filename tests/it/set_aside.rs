//! What interrupted snapshots leave behind is set aside byte for byte, and an interruption of that loses nothing either.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::crash::{can_trace, count_calls, points, tamper, traced};
use crate::laboratory::{Laboratory, Restored, copy_tree};
use crate::support::Said;
use crate::support::files::append;
use crate::support::fingerprint::Fingerprint;
use crate::support::listing;

/// How many calls of one name are tried at effort 1.
const POINTS_OF_A_CALL: usize = 12;

/// The bytes of files, by name and content, and how often each is there: where they lie does not matter.
type Contents = BTreeMap<(String, Vec<u8>), usize>;

fn add(contents: &mut Contents, directory: &Path, wanted: &dyn Fn(&str) -> bool) {
    listing::visit(directory, &|_| true, &mut |name, path, metadata| {
        let name = String::from_utf8_lossy(&name).into_owned();
        if metadata.is_file() && wanted(&name) {
            let last = name.rsplit('/').next().expect("a name").to_owned();
            let bytes = fs::read(path).expect("a file is read");
            *contents.entry((last, bytes)).or_default() += 1;
        }
    });
}

/// All that was never sealed: in unsealed directories, in packs that no log entry names, and what is set aside.
fn unsealed(laboratory: &Laboratory) -> Contents {
    let log = log(laboratory);
    let sealed = |name: &str| {
        laboratory
            .sealed
            .iter()
            .any(|sealed| name.starts_with(&sealed.id))
    };
    let is_foreign = |name: &str| {
        !name
            .split('.')
            .next()
            .is_some_and(|stem| log.contains(stem))
    };
    let mut contents = Contents::new();
    add(
        &mut contents,
        &laboratory.vault.join("snapshots"),
        &|name| !sealed(name),
    );
    add(
        &mut contents,
        &laboratory.vault.join("objects/pack"),
        &is_foreign,
    );
    add(&mut contents, &laboratory.vault.join("incidents"), &|_| {
        true
    });
    contents
}

fn set_aside_contents(laboratory: &Laboratory) -> Contents {
    let mut contents = Contents::new();
    add(&mut contents, &laboratory.vault.join("incidents"), &|_| {
        true
    });
    contents
}

/// The text of all log entries.
fn log(laboratory: &Laboratory) -> String {
    let entries = fs::read_dir(laboratory.vault.join("log")).expect("the log is read");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    let texts = paths
        .iter()
        .map(|path| fs::read_to_string(path).expect("an entry is read"));
    texts.collect()
}

fn incomplete(laboratory: &Laboratory) -> Vec<String> {
    let answer = laboratory.run(&["--json", "list"]).succeeded().json();
    let paths = answer["incomplete"].as_array().expect("an array").iter();
    paths
        .map(|path| path.as_str().expect("a path").to_owned())
        .collect()
}

/// Kills a snapshot at one call.
fn kill_snapshot(laboratory: &Laboratory, call: &str, number: usize) -> Said {
    let inject = format!("inject={call}:signal=KILL:when={number}");
    let trace = format!("trace={call}");
    traced(
        &laboratory.sandbox,
        &laboratory.source,
        &[&trace, &inject],
        &["snapshot"],
    )
}

fn change(laboratory: &Laboratory) {
    append(&laboratory.source, "README.md", "changed again\n");
    laboratory
        .sandbox
        .commit(&laboratory.source, "another commit");
    append(&laboratory.source, "README.md", "and edited\n");
}

/// The vault is whole, has no leftovers, and everything unsealed that was there before lies in `incidents/`.
#[track_caller]
fn assert_set_aside(laboratory: &Laboratory, before: &Contents, leftovers: usize) {
    assert_eq!(incomplete(laboratory), [""; 0]);
    let after = set_aside_contents(laboratory);
    assert_eq!(
        after.len(),
        before.len(),
        "{:?}",
        after.keys().map(|(name, _)| name).collect::<Vec<_>>()
    );
    assert!(after == *before, "a file is gone or is another");
    assert_eq!(
        log(laboratory).matches("kind = \"set-aside\"").count(),
        leftovers
    );
    let _said = laboratory.run(&["verify", "--deep"]).succeeded();
    laboratory
        .sandbox
        .git(&laboratory.vault, &["fsck", "--strict"]);
}

#[test]
fn leftovers_of_a_snapshot_killed_anywhere_are_set_aside_byte_for_byte() {
    if !can_trace("set aside after a kill") {
        return;
    }
    let laboratory = Laboratory::new();
    change(&laboratory);
    let counts = count_calls(&laboratory.sandbox, &laboratory.source, &["snapshot"]);
    laboratory.reset();
    let source = Fingerprint::of(&laboratory.sandbox.workplace());
    let mut tried = 0;
    for (call, count) in counts {
        if !["renameat2", "linkat", "mkdir", "fsync"].contains(&call) {
            continue;
        }
        for number in points(count, POINTS_OF_A_CALL) {
            let _said = kill_snapshot(&laboratory, call, number);
            let leftovers = incomplete(&laboratory).len();
            let before = unsealed(&laboratory);
            let said = laboratory.run(&["--json", "set-aside"]).succeeded();
            let answer = said.json();
            assert_eq!(answer["schema"], "git-vault/set-aside/1");
            assert_eq!(
                answer["set_aside"].as_array().map(Vec::len),
                Some(leftovers),
                "{said}"
            );
            let files: usize = before.values().sum();
            // Without a leftover, what the kill left is a sealed snapshot of its own.
            if leftovers > 0 {
                tried += 1;
                assert_eq!(
                    answer["files"].as_u64(),
                    u64::try_from(files).ok(),
                    "{said}"
                );
                assert_set_aside(&laboratory, &before, leftovers);
                let said = laboratory.run(&["--json", "snapshot"]).succeeded();
                assert_eq!(said.json()["outcome"], "sealed", "{said}");
                let _said = laboratory.run(&["verify"]).succeeded();
            }
            laboratory.reset();
        }
    }
    eprintln!("leftovers were set aside after {tried} kills");
    assert!(tried > 10);
    source.assert_untouched(&laboratory.sandbox.workplace());
}

/// A laboratory whose pristine vault holds two leftovers: one killed before the seal, after its packs were moved, and one
/// killed while it was written.
fn with_two_leftovers() -> Laboratory {
    let laboratory = Laboratory::new();
    change(&laboratory);
    let counts = count_calls(&laboratory.sandbox, &laboratory.source, &["snapshot"]);
    laboratory.reset();
    let _said = kill_snapshot(&laboratory, "linkat", counts["linkat"]);
    if incomplete(&laboratory).is_empty() {
        laboratory.reset();
        let _said = kill_snapshot(&laboratory, "linkat", 1);
    }
    change(&laboratory);
    let killed_at = (1..10).find(|number| {
        let _said = kill_snapshot(&laboratory, "renameat2", *number);
        incomplete(&laboratory).len() == 2
    });
    assert!(killed_at.is_some(), "no kill leaves a second leftover");
    for name in ["config", "data", "state"] {
        let pristine = laboratory.sandbox.path(&format!("pristine/{name}"));
        fs::remove_dir_all(&pristine).expect("the old copy is removed");
        copy_tree(&laboratory.sandbox.path(name), &pristine);
    }
    laboratory
}

#[test]
fn two_leftovers_that_explain_one_pack_are_set_aside_one_after_the_other() {
    if !can_trace("two leftovers") {
        return;
    }
    let laboratory = with_two_leftovers();
    // A copy under another id explains the same packs.
    let [first, second] = <[String; 2]>::try_from(incomplete(&laboratory)).expect("two leftovers");
    let unsealed_one = [&first, &second]
        .into_iter()
        .find(|path| !path.contains(".incomplete-"));
    let unsealed_one = unsealed_one.expect("one that was whole");
    let twin = laboratory.vault.join("snapshots/kmnpqrstvwxy");
    copy_tree(Path::new(unsealed_one), &twin);
    let before = unsealed(&laboratory);
    let all = incomplete(&laboratory);
    for (number, path) in all.iter().enumerate() {
        let name = path.rsplit('/').next().expect("a name");
        let answer = laboratory
            .run(&["--json", "set-aside", name])
            .succeeded()
            .json();
        assert_eq!(answer["set_aside"][0]["name"], name);
        assert_eq!(incomplete(&laboratory).len(), all.len() - number - 1);
        assert!(unsealed(&laboratory) == before, "nothing is lost");
    }
    assert_set_aside(&laboratory, &before, 3);
}

#[test]
fn a_name_that_is_no_leftover_moves_nothing() {
    if !can_trace("names of leftovers") {
        return;
    }
    let laboratory = with_two_leftovers();
    let before = laboratory.vault_listing();
    let sealed = laboratory.sealed[0].id.clone();
    for name in [&*sealed, "nosuchthing", "../log", ".incomplete-", ""] {
        let _said = laboratory.run(&["set-aside", name]).refused("GV-1101");
        let changes = listing::differences("vault", &before, &laboratory.vault_listing());
        assert!(changes.is_empty(), "{}", changes.join("\n"));
    }
    let text = laboratory.run(&["set-aside"]).succeeded().text();
    assert!(text.starts_with("SET ASIDE  2 leftovers, "), "{text}");
    let text = laboratory.run(&["set-aside"]).succeeded().text();
    assert!(text.starts_with("SET ASIDE  nothing"), "{text}");
    for sealed in &laboratory.sealed {
        assert!(matches!(
            laboratory.restore_or_refuse(sealed),
            Restored::Whole
        ));
    }
}

/// Tampers with every chosen call of `set-aside`, and says what is wrong afterwards.
fn sweep(calls: &[&str], tampering: &str) {
    let laboratory = with_two_leftovers();
    let before = unsealed(&laboratory);
    let calls = (calls, POINTS_OF_A_CALL);
    tamper(
        &laboratory,
        &["set-aside"],
        calls,
        tampering,
        &mut |inject, said| {
            assert!(
                unsealed(&laboratory) == before,
                "{inject}: something is lost\n{said}"
            );
            let _left = incomplete(&laboratory);
            let _said = laboratory.run(&["verify", "--quick"]).succeeded();
            let _said = laboratory.run(&["set-aside"]).succeeded();
            assert_set_aside(&laboratory, &before, 2);
        },
    );
}

#[test]
fn a_set_aside_killed_at_any_change_of_names_loses_nothing_and_goes_on() {
    if can_trace("kill set-aside at changes of names") {
        sweep(
            &["mkdir", "renameat2", "linkat", "link", "unlink"],
            "signal=KILL",
        );
    }
}

#[test]
fn a_set_aside_killed_at_any_write_or_sync_loses_nothing_and_goes_on() {
    if can_trace("kill set-aside at write and sync") {
        sweep(&["write", "fsync"], "signal=KILL");
    }
}

#[test]
fn a_set_aside_whose_disk_fails_loses_nothing_and_goes_on() {
    if can_trace("fail set-aside") {
        sweep(&["fsync"], "error=EIO");
        sweep(&["mkdir", "renameat2", "linkat"], "error=EROFS");
    }
}
