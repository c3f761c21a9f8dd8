//! What is gone is stated to be gone: by a person, with the number of what is left, in the log, and by nothing else.

use std::fs;
use std::path::Path;

use crate::hostile::assert_stale;
use crate::laboratory::{Laboratory, Restored, copy_tree};
use crate::support::files::append;
use crate::support::listing;

/// A vault one snapshot older than this machine has seen it.
fn rolled_back() -> Laboratory {
    let laboratory = Laboratory::new();
    append(&laboratory.source, "README.md", "after the copy\n");
    let _newer = laboratory.sandbox.snapshot(&laboratory.source);
    put_back(&laboratory, "data");
    laboratory
}

/// Puts one directory of the sandbox back to how the laboratory was made.
fn put_back(laboratory: &Laboratory, name: &str) {
    let place = laboratory.sandbox.path(name);
    fs::remove_dir_all(&place).expect("the directory is removed");
    copy_tree(
        &laboratory.sandbox.path(&format!("pristine/{name}")),
        &place,
    );
}

fn entries(vault: &Path) -> usize {
    fs::read_dir(vault.join("log"))
        .expect("the log is read")
        .count()
}

#[test]
fn a_rollback_is_acknowledged_with_the_number_of_what_is_left_and_nothing_else() {
    let laboratory = rolled_back();
    assert_stale(&laboratory, "GV-3201", "an older copy");
    let found = entries(&laboratory.vault);
    let before = laboratory.vault_listing();
    for wrong in ["0", "1", "yes", "", &(found + 1).to_string(), "-1"] {
        let _said = laboratory
            .run(&["acknowledge", "--", wrong])
            .refused("GV-1006");
    }
    // Standard input is empty here: nobody typed anything.
    let said = laboratory.run(&["acknowledge"]);
    assert_eq!(said.code, Some(10), "{said}");
    let changes = listing::differences("vault", &before, &laboratory.vault_listing());
    assert!(changes.is_empty(), "{}", changes.join("\n"));
    assert_stale(&laboratory, "GV-3201", "still an older copy");

    let said = laboratory
        .run(&["--json", "acknowledge", &found.to_string()])
        .succeeded();
    assert_eq!(said.json()["recorded_as"], found + 1, "{said}");
    assert_eq!(said.json()["found"], found, "{said}");
    let statement = laboratory.vault.join(format!("log/{:08}.toml", found + 1));
    let statement = fs::read_to_string(statement).expect("the entry is read");
    assert!(statement.contains("kind = \"acknowledge\""), "{statement}");
    let _said = laboratory.run(&["verify", "--deep"]).succeeded();
    let _said = laboratory.run(&["snapshot"]).succeeded();
    for sealed in &laboratory.sealed {
        assert!(matches!(
            laboratory.restore_or_refuse(sealed),
            Restored::Whole
        ));
    }
    let _said = laboratory.run(&["acknowledge", "1"]).refused("GV-1006");
}

#[test]
fn a_fork_is_acknowledged_and_the_other_way_is_refused_from_then_on() {
    let laboratory = Laboratory::new();
    append(&laboratory.source, "README.md", "one way\n");
    let _one = laboratory.sandbox.snapshot(&laboratory.source);
    let other = laboratory.sandbox.path("other.vault");
    copy_tree(&laboratory.vault, &other);
    put_back(&laboratory, "data");
    let seen = laboratory.sandbox.path("seen");
    copy_tree(&laboratory.sandbox.path("state"), &seen);
    put_back(&laboratory, "state");
    append(&laboratory.source, "README.md", "the other way\n");
    let _two = laboratory.sandbox.snapshot(&laboratory.source);
    fs::remove_dir_all(laboratory.sandbox.path("state")).expect("the state is removed");
    fs::rename(seen, laboratory.sandbox.path("state")).expect("the state is put back");
    assert_stale(&laboratory, "GV-3203", "a fork");
    let found = entries(&laboratory.vault).to_string();
    let _said = laboratory.run(&["acknowledge", &found]).succeeded();
    let _said = laboratory.run(&["verify"]).succeeded();
    let said = laboratory.run(&["--vault", other.to_str().expect("UTF-8"), "list"]);
    assert!([Some(32)].contains(&said.code), "{said}");
}

#[test]
fn a_vault_that_is_what_was_seen_has_nothing_to_acknowledge() {
    let laboratory = Laboratory::new();
    let before = laboratory.vault_listing();
    let found = entries(&laboratory.vault).to_string();
    let _said = laboratory.run(&["acknowledge", &found]).refused("GV-1006");
    let changes = listing::differences("vault", &before, &laboratory.vault_listing());
    assert!(changes.is_empty(), "{}", changes.join("\n"));
}
