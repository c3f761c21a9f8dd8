//! Logs long enough to be opened by several threads: read as short ones are, whoever signed what.

use std::fs;
use std::path::{Path, PathBuf};

use crate::known_state::snapshot_later;
use crate::laboratory::{only_vault, run};
use crate::races::faketime_library;
use crate::support::files::{append, write};
use crate::support::{Sandbox, states};

/// More entries than are read one after the other.
const MANY: usize = 70;

#[test]
fn a_long_log_signed_by_several_keys_is_read_to_its_end_and_no_damage_is_missed() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let _id = sandbox.snapshot(&source);
    let verify = |count: usize| {
        for _ in 0..count {
            let _said = run(&sandbox, &source, &["verify"]).succeeded();
        }
    };
    verify(MANY / 2);
    let _said = run(&sandbox, &source, &["key", "rotate"]).succeeded();
    verify(MANY / 2);
    let _said = run(&sandbox, &source, &["list"]).succeeded();
    let vault = only_vault(&sandbox);
    let mut entries: Vec<_> = fs::read_dir(vault.join("log"))
        .expect("the log")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort();
    assert!(entries.len() > MANY, "{}", entries.len());
    for entry in [&entries[1], &entries[MANY / 2], &entries[MANY]] {
        let name = entry.file_name().expect("a name").to_str().expect("UTF-8");
        let whole = fs::read(entry).expect("the entry");
        let mut damaged = whole.clone();
        damaged[40] ^= 1;
        fs::write(entry, damaged).expect("damaged");
        let said = run(&sandbox, &source, &["list"]).refused("GV-3001");
        assert!(said.to_string().contains(name), "{said}");
        // An entry that belongs elsewhere is authentic, and yet no entry of this place.
        fs::copy(&entries[MANY - 1], entry).expect("copied");
        let said = run(&sandbox, &source, &["list"]);
        assert_ne!(said.code, Some(0), "{said}");
        assert!(said.to_string().contains(name), "{said}");
        fs::write(entry, whole).expect("put back");
    }
    fs::rename(&entries[MANY / 2], vault.join("cache/elsewhere")).expect("taken away");
    let said = run(&sandbox, &source, &["list"]);
    assert_ne!(said.code, Some(0), "{said}");
    fs::rename(vault.join("cache/elsewhere"), &entries[MANY / 2]).expect("put back");
    let _said = run(&sandbox, &source, &["list"]).succeeded();
}

/// More snapshots than are opened again each time.
const ENOUGH: usize = 20;

/// A vault that a later snapshot knows, and what it knows; `None` where change times are not believed, or nothing can turn the clock.
fn known_vault(test: &str) -> Option<(Sandbox, PathBuf, String, PathBuf)> {
    let library = faketime_library(test)?;
    let sandbox = Sandbox::on_disk();
    let source = states::small_repository(&sandbox);
    for number in 0..ENOUGH {
        append(&source, "README.md", format!("{number}\n"));
        let _id = sandbox.snapshot(&source);
    }
    append(&source, "README.md", "later\n");
    let (outcome, _id) = snapshot_later(&sandbox, &source, &library);
    assert_eq!(outcome, "sealed");
    let known = sandbox.path("state/git-vault/known");
    let Ok(mut names) = fs::read_dir(&known) else {
        eprintln!("NOT TRIED: {test}: change times are not believed on this file system");
        return None;
    };
    let known = names.next().expect("one vault").expect("its name").path();
    Some((sandbox, source, library, known))
}

fn newest_snapshots(vault: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(vault.join("snapshots")).expect("the snapshots");
    let mut all: Vec<_> = names.map(|name| name.expect("a name").path()).collect();
    all.sort();
    all
}

#[test]
fn what_a_snapshot_knows_of_its_vault_hides_no_change_in_it() {
    let test = "what a snapshot knows of its vault";
    let Some((sandbox, source, library, known)) = known_vault(test) else {
        return;
    };
    let vault = only_vault(&sandbox);
    let entry = vault.join("log/00000007.toml");
    let snapshot = newest_snapshots(&vault).remove(3);
    let whole = fs::read(&entry).expect("an entry");
    let times = fs::metadata(&entry)
        .expect("its times")
        .modified()
        .expect("a time");
    append(&source, "README.md", "more\n");

    // The same size, and the time put back: only the change time tells.
    let mut damaged = whole.clone();
    damaged[40] ^= 1;
    fs::write(&entry, damaged).expect("damaged");
    let file = fs::File::options()
        .write(true)
        .open(&entry)
        .expect("opened");
    file.set_modified(times).expect("the time is put back");
    let said = run(&sandbox, &source, &["snapshot"]).refused("GV-3001");
    assert!(said.to_string().contains("00000007"), "{said}");
    fs::write(&entry, &whole).expect("put back");

    let stranger = write(&snapshot, "stranger", "not ours");
    let _said = run(&sandbox, &source, &["snapshot"]).refused("GV-3103");
    fs::remove_file(stranger).expect("removed");

    let manifest = snapshot.join("manifest.toml");
    fs::rename(&manifest, vault.join("cache/elsewhere")).expect("taken away");
    let _said = run(&sandbox, &source, &["snapshot"]).refused("GV-3002");
    fs::rename(vault.join("cache/elsewhere"), &manifest).expect("put back");

    let _said = run(&sandbox, &source, &["snapshot"]).succeeded();
    for (name, bytes) in [
        ("torn", fs::read(&known).expect("known")[..200].to_vec()),
        ("empty", Vec::new()),
        ("of another", {
            let mut bytes = fs::read(&known).expect("known");
            let end = bytes.len() - 1;
            bytes[end] ^= 1;
            bytes
        }),
    ] {
        fs::write(&known, bytes).expect("written");
        append(&source, "README.md", name);
        assert_eq!(
            snapshot_later(&sandbox, &source, &library).0,
            "sealed",
            "{name}"
        );
    }
    let said = run(&sandbox, &source, &["verify", "--deep"]).succeeded();
    assert!(said.to_string().contains("VERIFIED"), "{said}");
}

#[test]
fn what_is_known_of_a_vault_ends_with_the_key_that_signed_it() {
    let test = "what is known of a vault ends with its key";
    let Some((sandbox, source, library, known)) = known_vault(test) else {
        return;
    };
    let before = fs::read(&known).expect("known");
    let _said = run(&sandbox, &source, &["key", "rotate"]).succeeded();
    append(&source, "README.md", "signed with another key\n");
    assert_eq!(snapshot_later(&sandbox, &source, &library).0, "sealed");
    let after = fs::read(&known).expect("known");
    assert!(before != after, "it is written anew");
    // What was known before is no more than a file that says so.
    fs::write(&known, before).expect("put back");
    append(&source, "README.md", "and again\n");
    assert_eq!(snapshot_later(&sandbox, &source, &library).0, "sealed");
    let _said = run(&sandbox, &source, &["verify"]).succeeded();
}
