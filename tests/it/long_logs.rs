//! Logs long enough to be opened by several threads: read as short ones are, whoever signed what.

use std::fs;

use crate::laboratory::{only_vault, run};
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
