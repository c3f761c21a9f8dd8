//! Keys, statements and what is left of a log: no way back in for a key that was given up, and no way out of a vault barred.

use std::fs;
use std::path::{Path, PathBuf};

use git_vault::host::keys;
use git_vault::model::ids::{Digest, SnapshotId};
use git_vault::model::log_entry::{LogEvent, SnapshotRecord};
use git_vault::model::refusal_code::RefusalCode;
use git_vault::model::signed::{self, Binding, Purpose};
use git_vault::model::timestamp::Timestamp;
use git_vault::vault::inspect::Description;

use crate::crash::{can_trace, count_calls, points, traced};
use crate::drill_compare::open;
use crate::hostile::assert_stale;
use crate::keys::first_key;
use crate::laboratory::{Laboratory, Restored, copy_tree};
use crate::support::files::{append, write};
use crate::support::listing;

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

fn head(laboratory: &Laboratory) -> usize {
    fs::read_dir(laboratory.vault.join("log"))
        .expect("the log is read")
        .count()
}

fn entry(laboratory: &Laboratory, number: usize) -> PathBuf {
    laboratory.vault.join(format!("log/{number:08}.toml"))
}

fn passphrase(laboratory: &Laboratory) -> PathBuf {
    write(
        &laboratory.sandbox.path(""),
        "passphrase",
        "correct horse\n",
    )
}

/// Puts directories of the sandbox away under another name, or back from there.
fn exchange(laboratory: &Laboratory, from: &str, to: &str, names: &[&str]) {
    for name in names {
        let place = laboratory.sandbox.path(&format!("{to}{name}"));
        drop(fs::remove_dir_all(&place));
        copy_tree(&laboratory.sandbox.path(&format!("{from}{name}")), &place);
    }
}

#[test]
fn a_vault_whose_newest_entry_is_gone_goes_on_after_it_was_stated() {
    let laboratory = Laboratory::new();
    let newest = head(&laboratory);
    let lost = &laboratory.sealed[2].id;
    fs::remove_file(entry(&laboratory, newest)).expect("the entry is removed");
    assert_stale(&laboratory, "GV-3201", "the newest entry is gone");
    let stated = (newest - 1).to_string();
    let _said = laboratory.run(&["acknowledge", &stated]).succeeded();
    let _said = laboratory.run(&["verify", "--deep"]).succeeded();
    let said = laboratory
        .run(&["restore", lost, text(&laboratory.sandbox.path("out"))])
        .refused("GV-4001");
    let said = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(!said.contains("nothing was ever claimed"), "{said}");
    let planted = laboratory.vault.join("refs/snapshots/zzzzzzzzzzzz");
    fs::write(&planted, "").expect("a ref is planted");
    let _said = laboratory.run(&["verify"]).refused("GV-3103");
    fs::remove_file(planted).expect("the ref is removed");
    let _said = laboratory.run(&["set-aside"]).succeeded();
    append(&laboratory.source, "README.md", "later work\n");
    let _id = laboratory.sandbox.snapshot(&laboratory.source);
    let _said = laboratory.run(&["verify", "--deep"]).succeeded();
    for sealed in &laboratory.sealed[..2] {
        assert!(matches!(
            laboratory.restore_or_refuse(sealed),
            Restored::Whole
        ));
    }
}

#[test]
fn wrapped_keys_and_packs_of_entries_that_are_gone_bar_no_way_out() {
    let laboratory = Laboratory::new();
    let before = head(&laboratory);
    let _said = laboratory.run(&["key", "rotate"]).succeeded();
    let passphrase = passphrase(&laboratory);
    let escrow = ["key", "escrow", "--passphrase-file", text(&passphrase)];
    let _said = laboratory.run(&escrow).succeeded();
    append(&laboratory.source, "README.md", "later work\n");
    let lost = laboratory.sandbox.snapshot(&laboratory.source);
    for number in before + 1..=head(&laboratory) {
        fs::remove_file(entry(&laboratory, number)).expect("an entry is removed");
    }
    fs::remove_dir_all(laboratory.vault.join("snapshots").join(lost))
        .expect("the manifest is removed");
    assert_stale(&laboratory, "GV-3201", "rotation and escrow are gone");
    let stated = before.to_string();
    let _said = laboratory.run(&["acknowledge", &stated]).succeeded();
    let _said = laboratory.run(&["verify", "--deep"]).succeeded();
    let _said = laboratory.run(&["key", "rotate"]).succeeded();
    let _id = laboratory.sandbox.snapshot(&laboratory.source);
    let _said = laboratory.run(&["verify", "--deep"]).succeeded();
    for sealed in &laboratory.sealed {
        assert!(matches!(
            laboratory.restore_or_refuse(sealed),
            Restored::Whole
        ));
    }
}

/// Whoever has the old key can go on from before the rotation, as if there had been none.
#[test]
fn what_a_compromised_key_signs_in_a_log_of_its_own_is_not_accepted_here() {
    let laboratory = Laboratory::new();
    let ours = ["data", "config", "state"];
    let before = head(&laboratory);
    let old = laboratory.run(&["--json", "key", "status"]).json();
    let old = old["keys"][0]["key"].as_str().expect("an id").to_owned();
    let _said = laboratory.run(&["key", "rotate"]).succeeded();
    let since = before.to_string();
    let compromise = ["key", "compromise", &old, "--since", &since];
    let _said = laboratory.run(&compromise).succeeded();
    exchange(&laboratory, "", "honest/", &ours);
    laboratory.reset();
    append(&laboratory.source, "README.md", "planted\n");
    for _ in 0..3 {
        append(&laboratory.source, "README.md", "planted\n");
        let _id = laboratory.sandbox.snapshot(&laboratory.source);
    }
    let forged = laboratory.sandbox.snapshot(&laboratory.source);
    exchange(&laboratory, "honest/", "", &["config", "state"]);

    let out = laboratory.sandbox.path("out");
    let restore = ["restore", &forged, text(&out)];
    let said = laboratory.run(&restore).refused("GV-3105");
    assert!(!out.exists(), "{said}");
    assert_stale(&laboratory, "GV-3203", "a log of the old key");
    let said = laboratory.run(&["list"]);
    let shown = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(!shown.contains(&forged), "{said}");
    assert!(!shown.contains("authentic"), "{said}");
    let found = head(&laboratory).to_string();
    let _said = laboratory.run(&["acknowledge", &found]).refused("GV-3105");

    // Even if nothing else is remembered of the vault.
    let seen = laboratory.sandbox.path("state/git-vault/last-seen");
    for note in fs::read_dir(&seen).expect("the notes are read") {
        let note = note.expect("an entry").path();
        if !text(&note).contains("distrusted") {
            fs::remove_file(note).expect("the note is removed");
        }
    }
    for command in [&["list"][..], &["snapshot"], &["verify"], &restore] {
        let _said = laboratory.run(command).refused("GV-3105");
    }
    exchange(&laboratory, "honest/", "", &ours);
    let _said = laboratory.run(&["verify"]).succeeded();
    let _id = laboratory.sandbox.snapshot(&laboratory.source);
}

#[test]
fn a_verification_that_passed_over_a_snapshot_is_no_proof_of_it() {
    let laboratory = Laboratory::new();
    let old = laboratory.run(&["--json", "key", "status"]).json();
    let old = old["keys"][0]["key"].as_str().expect("an id").to_owned();
    let _said = laboratory.run(&["key", "rotate"]).succeeded();
    let _said = laboratory
        .run(&["key", "compromise", &old, "--since", "2"])
        .succeeded();
    let _said = laboratory.run(&["verify"]).succeeded();
    drop(fs::remove_file(laboratory.vault.join("cache/index")));
    let listed = laboratory.run(&["--json", "list"]).succeeded().json();
    let snapshots = listed["snapshots"].as_array().expect("an array");
    assert!(!snapshots[0]["proof"].is_null(), "{listed}");
    for doubtful in &snapshots[1..] {
        assert!(doubtful["proof"].is_null(), "{listed}");
    }
}

#[test]
fn without_a_key_what_is_gone_from_the_log_is_not_called_intact() {
    let laboratory = Laboratory::new();
    fs::remove_dir_all(laboratory.sandbox.path("config")).expect("the keys are lost");
    let said = laboratory.run(&["verify"]).refused("GV-1201");
    let intact = |bytes: &[u8]| String::from_utf8_lossy(bytes).contains("INTACT-UNPROVEN");
    assert!(intact(&said.stderr), "{said}");
    for number in (1..=head(&laboratory)).rev() {
        fs::remove_file(entry(&laboratory, number)).expect("the entry is removed");
        let said = laboratory.run(&["verify"]).refused("GV-1201");
        assert!(!intact(&said.stderr), "{number} and later: {said}");
    }
}

/// When a flush fails, what is said to have been written is what was written.
#[test]
fn a_key_command_that_is_stopped_says_what_it_has_changed() {
    if !can_trace("a failing flush in key commands") {
        return;
    }
    let laboratory = Laboratory::new();
    let kit = laboratory.sandbox.path("kit.txt");
    let passphrase = passphrase(&laboratory);
    let _said = laboratory.run(&["key", "export", text(&kit)]).succeeded();
    let other_kit = laboratory.sandbox.path("other-kit.txt");
    let commands: [&[&str]; 4] = [
        &["key", "rotate"],
        &["key", "export", text(&other_kit)],
        &["key", "confirm", "--kit", text(&kit)],
        &["key", "escrow", "--passphrase-file", text(&passphrase)],
    ];
    let mut tried = 0;
    for command in commands {
        laboratory.reset();
        let counts = count_calls(&laboratory.sandbox, &laboratory.source, command);
        for number in points(counts.get("fsync").copied().unwrap_or_default(), 20) {
            laboratory.reset();
            drop(fs::remove_file(&other_kit));
            let everything = || {
                let mut all = laboratory.vault_listing();
                all.retain(|name, _| !name.starts_with(b"cache"));
                all.extend(listing::list(&laboratory.sandbox.path("config"), &|_| true));
                all
            };
            let before = everything();
            let inject = format!("inject=fsync:error=EIO:when={number}");
            let (sandbox, source) = (&laboratory.sandbox, &laboratory.source);
            let said = traced(sandbox, source, &["trace=fsync", &inject], command);
            tried += 1;
            let shown = String::from_utf8_lossy(&said.stderr).into_owned();
            let changes = listing::differences("all", &before, &everything());
            if shown.contains("nothing was written") {
                assert!(changes.is_empty() && !other_kit.exists(), "{said}");
            }
            let is_rotated = fs::read_to_string(entry(&laboratory, head(&laboratory)))
                .expect("the entry is read")
                .contains("kind = \"rotate\"");
            if is_rotated {
                assert!(!shown.contains("not in use"), "{said}");
            }
        }
    }
    eprintln!("a failing flush in key commands: {tried} points");
    assert!(tried > 10, "{tried}");
}

#[test]
fn one_kit_confirmed_twice_is_one_copy_and_one_in_the_vault_is_none() {
    let laboratory = Laboratory::new();
    let kit = laboratory.sandbox.path("kit.txt");
    let _said = laboratory.run(&["key", "export", text(&kit)]).succeeded();
    let inside = laboratory.vault.join("cache/kit.txt");
    let beside_the_key = laboratory.sandbox.path("config/git-vault/keys/kit.txt");
    let in_the_source = laboratory.source.join("kit.txt");
    for place in [inside, beside_the_key, in_the_source] {
        fs::copy(&kit, &place).expect("the kit is copied");
        let said = laboratory.run(&["key", "confirm", "--kit", text(&place)]);
        assert!(said.code.is_some_and(|code| code != 0), "{said}");
        fs::remove_file(place).expect("the copy is removed");
    }
    for _ in 0..2 {
        let _said = laboratory
            .run(&["key", "confirm", "--kit", text(&kit)])
            .succeeded();
    }
    let status = laboratory.run(&["--json", "status"]).json();
    let copies = status["key_copies"].as_array().expect("an array");
    assert_eq!(copies.len(), 1, "{status}");
}

#[test]
fn a_wrapped_key_with_one_bit_wrong_is_found_by_a_verification() {
    let laboratory = Laboratory::new();
    let passphrase = passphrase(&laboratory);
    let escrow = ["key", "escrow", "--passphrase-file", text(&passphrase)];
    let said = laboratory.run(&escrow).succeeded();
    let _said = laboratory.run(&["verify"]).succeeded();
    let wrapped = fs::read_dir(laboratory.vault.join("escrow"))
        .expect("the directory is read")
        .next()
        .expect("a file")
        .expect("an entry")
        .path();
    let mut bytes = fs::read(&wrapped).expect("the file is read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(&wrapped, bytes).expect("a bit is flipped");
    let _verified = laboratory.run(&["verify"]).refused("GV-3001");
    assert!(
        matches!(
            laboratory.restore_or_refuse(&laboratory.sealed[0]),
            Restored::Whole
        ),
        "{said}"
    );
}

#[test]
fn figures_are_not_written_over_another_file() {
    let laboratory = Laboratory::new();
    let metrics = laboratory.sandbox.path("metrics.prom");
    let status = ["status", "--metrics", text(&metrics)];
    for _ in 0..2 {
        let said = laboratory.run(&status);
        assert_eq!(said.code, Some(3), "{said}");
    }
    let readme = laboratory.source.join("README.md");
    let before = fs::read(&readme).expect("the file is read");
    let said = laboratory.run(&["status", "--metrics", text(&readme)]);
    assert!(said.code.is_some_and(|code| code >= 10), "{said}");
    assert_eq!(fs::read(&readme).expect("the file is read"), before);
}

#[test]
fn a_fault_leaves_no_core_file_that_could_hold_a_key() {
    if !can_trace("no core files") {
        return;
    }
    let laboratory = Laboratory::new();
    let (sandbox, source) = (&laboratory.sandbox, &laboratory.source);
    let _said = traced(sandbox, source, &["trace=prlimit64,setrlimit"], &["list"]).succeeded();
    let trace = fs::read_to_string(sandbox.path("tmp/trace")).expect("the trace is read");
    assert!(
        trace.contains("RLIMIT_CORE, {rlim_cur=0, rlim_max=0}"),
        "{trace}"
    );
}

#[test]
fn no_vault_gets_more_keys_than_a_kit_can_hold() {
    let laboratory = Laboratory::new();
    for _ in 1..64 {
        let _said = laboratory.run(&["key", "rotate"]).succeeded();
    }
    let _said = laboratory.run(&["key", "rotate"]).refused("GV-1006");
    let kit = laboratory.sandbox.path("kit.txt");
    let _said = laboratory.run(&["key", "export", text(&kit)]).succeeded();
    let _said = laboratory
        .run(&["key", "confirm", "--kit", text(&kit)])
        .succeeded();
}

#[test]
fn status_says_that_snapshots_were_refused_because_of_the_vault() {
    let laboratory = Laboratory::new();
    let description = fs::read_to_string(laboratory.vault.join("vault.toml")).expect("the text");
    let id = description
        .lines()
        .find_map(|line| line.strip_prefix("vault = \""))
        .expect("the id")
        .trim_end_matches('"')
        .to_owned();
    write(
        &laboratory.sandbox.path(""),
        format!("state/git-vault/health/{id}.toml"),
        "first_failed = \"2026-01-01T00:00:00Z\"\nlast_failed = \"2026-01-02T00:00:00Z\"\ntimes = 7\ncode = \"GV-1301\"\n",
    );
    let said = laboratory.run(&["status"]);
    assert_eq!(said.code, Some(3), "{said}");
    assert!(said.text().contains("7 in a row since"), "{said}");
}

#[test]
fn nothing_about_keys_is_written_to_a_copy_of_the_vault_in_use() {
    let laboratory = Laboratory::new();
    let kit = laboratory.sandbox.path("kit.txt");
    let _said = laboratory.run(&["key", "export", text(&kit)]).succeeded();
    let copy = laboratory.sandbox.path("copy.vault");
    copy_tree(&laboratory.vault, &copy);
    let passphrase = passphrase(&laboratory);
    let commands: [&[&str]; 3] = [
        &["key", "rotate"],
        &["key", "confirm", "--kit", text(&kit)],
        &["key", "escrow", "--passphrase-file", text(&passphrase)],
    ];
    let before = listing::list(&copy, &|_| true);
    for command in commands {
        let arguments = [&["--vault", text(&copy)], command].concat();
        let _said = laboratory.run(&arguments).refused("GV-1004");
        let changes = listing::differences("copy", &before, &listing::list(&copy, &|_| true));
        assert!(changes.is_empty(), "{}", changes.join("\n"));
        let _said = laboratory.run(&["verify", "--quick"]).succeeded();
    }
    let vault = text(&laboratory.vault);
    let _said = laboratory
        .run(&["--vault", vault, "key", "confirm", "--kit", text(&kit)])
        .succeeded();
    let _said = laboratory.run(&["verify"]).succeeded();
}

#[test]
fn whoever_has_a_compromised_key_cannot_describe_another_configuration() {
    let laboratory = Laboratory::new();
    let status = laboratory.run(&["--json", "key", "status"]).json();
    let old = status["keys"][0]["key"].as_str().expect("an id").to_owned();
    let file = status["keys"][0]["file"]
        .as_str()
        .expect("a path")
        .to_owned();
    let since = head(&laboratory).to_string();
    let _said = laboratory.run(&["key", "rotate"]).succeeded();
    let _said = laboratory
        .run(&["key", "compromise", &old, "--since", &since])
        .succeeded();
    let _said = laboratory.run(&["verify"]).succeeded();

    let key = keys::parse(&fs::read(file).expect("the key is read")).expect("a key");
    let path = laboratory.vault.join("vault.toml");
    let description = fs::read(&path).expect("the description is read");
    let body = signed::check_damage(&description, Purpose::Vault)
        .expect("a signed text")
        .unauthenticated_body();
    let mut description: Description = toml::from_str(body).expect("a description");
    let config = laboratory.vault.join("config");
    let mut planted = fs::read(&config).expect("the configuration is read");
    planted.extend_from_slice(b"[alias]\n\tlog = !touch planted\n");
    description.config_blake3 = Digest::of(&planted);
    fs::write(config, planted).expect("the configuration is written");
    let binding = Binding {
        vault: description.vault,
        repository: description.repository,
    };
    let body = toml::to_string(&description).expect("a body");
    let forged = signed::sign(&body, Purpose::Vault, binding, &key).expect("a signed text");
    fs::write(path, forged).expect("the description is written");
    for command in [&["verify"][..], &["list"], &["snapshot"]] {
        let _said = laboratory.run(command).refused("GV-3105");
    }
}

/// A manifest is signed with the key of its log entry. When another key took over in between, or what the snapshot stands on
/// is not accepted any more, it is not sealed, also not behind entries that came after that.
#[test]
fn a_snapshot_is_not_sealed_behind_a_key_that_took_over_or_was_disowned_meanwhile() {
    let laboratory = Laboratory::new();
    let record = || SnapshotRecord {
        id: SnapshotId::from_random([7; 6]),
        manifest_bytes: 1,
        manifest_blake3: Digest::of(b""),
    };
    let key = first_key(&laboratory);
    let changes: [&[&[&str]]; 3] = [
        &[&["key", "rotate"]],
        &[&["key", "rotate"], &["verify"]],
        &[&["key", "compromise", &key, "--since", "1"], &["verify"]],
    ];
    for commands in changes {
        if commands[0].contains(&"compromise") {
            let _said = laboratory.run(&["key", "rotate"]).succeeded();
        }
        let mut late = open(&laboratory.sandbox);
        for command in commands {
            let said = laboratory.run(command);
            assert!(matches!(said.code, Some(0 | 31)), "{said}");
        }
        let count = fs::read_dir(laboratory.vault.join("log"))
            .expect("the log")
            .count();
        let event = LogEvent::Snapshot(record(), Vec::new());
        let refusal = late
            .append(&event, Timestamp::from_seconds(1))
            .expect_err("it does not fit");
        assert_eq!(refusal.code, RefusalCode::AnotherWriter, "{commands:?}");
        let after = fs::read_dir(laboratory.vault.join("log"))
            .expect("the log")
            .count();
        assert_eq!(after, count, "{commands:?}: nothing was appended");
        laboratory.reset();
    }
}
