//! What is gone is gone because the log says so, on every machine; nothing goes while what stays is not whole, or in doubt.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use git_vault::host::lock;

use crate::crash::{can_trace, traced};
use crate::known_state::snapshot_later;
use crate::laboratory::{Laboratory, copy_tree, make_empty, only_vault, run};
use crate::optimize::assert_whole;
use crate::races::faketime_library;
use crate::support::files::{append, mkdir, noise, write};
use crate::support::listing::differences;
use crate::support::mount::Mount;
use crate::support::{Sandbox, states};

const PRUNE: [&str; 4] = ["prune", "--unattended", "--keep-last", "1"];

/// The names of the packs that came with the newest log entry.
fn newest_packs(laboratory: &Laboratory) -> Vec<PathBuf> {
    let log = laboratory.vault.join("log");
    let names = fs::read_dir(&log).expect("the log");
    let newest = names.map(|name| name.expect("a name").path()).max();
    let text = fs::read_to_string(newest.expect("an entry")).expect("it is read");
    let names = text
        .lines()
        .filter_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'));
    let packs = laboratory.vault.join("objects/pack");
    names
        .map(|name| packs.join(format!("{name}.pack")))
        .collect()
}

/// The oldest snapshot may be the only good copy of what the newest one has damaged.
#[test]
fn nothing_is_dropped_while_what_stays_is_damaged() {
    let laboratory = Laboratory::new();
    let [pack] = &newest_packs(&laboratory)[..] else {
        panic!("the newest snapshot brought one pack");
    };
    let whole = fs::read(pack).expect("a pack");
    let mut damaged = whole.clone();
    let middle = damaged.len() / 2;
    damaged[middle] ^= 1;
    fs::remove_file(pack).expect("it can be removed");
    fs::write(pack, &damaged).expect("it is damaged");
    let before = laboratory.vault_listing();
    let first = laboratory.sealed[0].id.as_str();
    for words in [&PRUNE[..], &["drop", "--unattended", first]] {
        let said = laboratory.run(words).refused("GV-3001").to_string();
        assert!(said.contains("nothing was dropped"), "{said}");
    }
    let changed = differences("vault", &before, &laboratory.vault_listing());
    assert!(changed.is_empty(), "{changed:?}");
    fs::write(pack, whole).expect("it is mended");
    fs::remove_dir_all(laboratory.sandbox.path("state/git-vault/incidents"))
        .expect("a person has settled it");
    let _said = laboratory.run(&PRUNE).succeeded();
}

/// Somebody who had the old key may have written the entry: what is left is evidence.
#[test]
fn when_a_drop_is_in_doubt_nothing_more_goes() {
    let laboratory = Laboratory::new();
    let status = laboratory.run(&["--json", "key", "status"]).json();
    let key = status["keys"][0]["key"].as_str().expect("a key").to_owned();
    let reading = lock::share(&laboratory.vault.join("HEAD"), Duration::ZERO);
    let reading = reading.expect("it can be locked").expect("it is free");
    let first = &laboratory.sealed[0].id;
    let said = laboratory
        .run(&["--json", "drop", "--unattended", first])
        .succeeded()
        .json();
    assert!(said["waiting"].as_u64() > Some(0), "{said}");
    drop(reading);
    let entry = said["recorded_as"].as_u64().expect("an entry");
    let _said = laboratory.run(&["key", "rotate"]).succeeded();
    let since = (entry - 1).to_string();
    let _said = laboratory
        .run(&["key", "compromise", &key, "--since", &since])
        .succeeded();
    let second = laboratory.sealed[1].id.as_str();
    for words in [&PRUNE[..], &["drop", "--unattended", second], &["optimize"]] {
        let said = laboratory.run(words).refused("GV-3105").to_string();
        assert!(said.contains(first), "{said}");
    }
    let left = laboratory.vault.join("snapshots").join(first);
    assert!(left.join("manifest.toml").exists());
    for sealed in &laboratory.sealed[1..] {
        let out = laboratory.sandbox.path("out");
        let text = out.to_str().expect("a UTF-8 path");
        let _said = laboratory.run(&["restore", &sealed.id, text]).succeeded();
        laboratory.sweep_away_restores();
    }
}

/// A name that the log once had is no licence for anything to lie there.
#[test]
fn what_lies_under_the_name_of_a_pack_that_went_must_be_that_pack() {
    let laboratory = Laboratory::new();
    let _said = laboratory.run(&PRUNE).succeeded();
    for number in 0..4 {
        write(&laboratory.source, "untracked/more", format!("{number}\n"));
        let _id = laboratory.sandbox.snapshot(&laboratory.source);
    }
    let reading = lock::share(&laboratory.vault.join("HEAD"), Duration::ZERO);
    let reading = reading.expect("it can be locked").expect("it is free");
    let packs = laboratory.vault.join("objects/pack");
    let list = || -> Vec<PathBuf> {
        let names = fs::read_dir(&packs).expect("the packs");
        names.map(|name| name.expect("a name").path()).collect()
    };
    let said = laboratory.run(&["--json", "optimize"]).succeeded().json();
    assert!(said["waiting"].as_u64() > Some(0), "{said}");
    let all = list();
    drop(reading);
    let waiting = laboratory.sandbox.path("waiting");
    copy_tree(&packs, &waiting);
    let _said = laboratory.run(&["optimize"]).succeeded();
    let left = list();
    let gone = all.iter().filter(|path| !left.contains(path));
    let gone: Vec<_> = gone.collect();
    assert!(gone.len() >= 3, "{gone:?}");
    for path in gone {
        let name = path.file_name().expect("a name");
        let mut bytes = fs::read(waiting.join(name)).expect("what it was");
        fs::write(path, &bytes).expect("put back");
        let _said = laboratory.run(&["list"]).succeeded();
        bytes.push(0);
        fs::write(path, &bytes).expect("another");
        let said = laboratory.run(&["list"]).refused("GV-3001").to_string();
        assert!(said.contains(&*name.to_string_lossy()), "{said}");
        let _said = laboratory.run(&["optimize"]).refused("GV-3001");
        assert_eq!(fs::read(path).expect("it is left"), bytes);
        fs::remove_file(path).expect("removed");
        std::os::unix::fs::symlink("/dev/null", path).expect("a link");
        let _said = laboratory.run(&["list"]).refused("GV-3103");
        fs::remove_file(path).expect("removed");
    }
    let _said = laboratory.run(&["verify", "--deep"]).succeeded();
}

/// The state home of a machine that saw the vault before; the vault is changed by another.
#[test]
fn another_machine_follows_a_drop_and_sees_a_loss_and_a_rollback() {
    let mut laboratory = Laboratory::new();
    let sandbox = &laboratory.sandbox;
    let (state, data) = (sandbox.path("state"), sandbox.path("data"));
    let old = (sandbox.path("old-state"), sandbox.path("old-data"));
    copy_tree(&state, &old.0);
    copy_tree(&data, &old.1);
    let first = laboratory.sealed[0].id.clone();
    let second = laboratory.sealed[1].id.clone();
    let _said = laboratory
        .run(&["drop", "--unattended", &first])
        .succeeded();
    let _said = laboratory.run(&["optimize"]).succeeded();
    make_empty(&state);
    copy_tree(&old.0, &state);
    // It is newer than what was seen, and no fork.
    let said = laboratory.run(&["show", &first]).refused("GV-1101");
    assert!(said.to_string().contains("was dropped"), "{said}");
    append(&laboratory.source, "README.md", "on the other machine\n");
    let _id = laboratory.sandbox.snapshot(&laboratory.source);
    let _said = laboratory.run(&["verify", "--deep"]).succeeded();
    // What is lost without an entry is lost.
    let path = laboratory.vault.join("snapshots").join(&second);
    let aside = laboratory.sandbox.path("aside");
    fs::rename(&path, &aside).expect("taken away");
    for words in [&["list"][..], &["snapshot"], &["optimize"]] {
        let _said = laboratory.run(words).refused("GV-3002");
    }
    fs::rename(&aside, &path).expect("put back");
    laboratory.sealed.remove(0);
    assert_whole(&laboratory, "with the state of another machine");
    // From before the drop: every file is authentic, and it is too old.
    make_empty(&laboratory.sandbox.path("data"));
    copy_tree(&old.1, &laboratory.sandbox.path("data"));
    let _said = laboratory.run(&["list"]).refused("GV-3201");
}

/// Entries of dropped snapshots stay in the log, and must not be opened each time.
#[test]
fn what_is_known_of_dropped_snapshots_saves_reading_and_hides_nothing() {
    let Some(library) = faketime_library("what is known of dropped snapshots") else {
        return;
    };
    let sandbox = Sandbox::on_disk();
    let source = states::small_repository(&sandbox);
    for number in 0..20 {
        append(&source, "README.md", format!("{number}\n"));
        let _id = sandbox.snapshot(&source);
    }
    append(&source, "README.md", "later\n");
    assert_eq!(snapshot_later(&sandbox, &source, &library).0, "sealed");
    let place = sandbox.path("state/git-vault/known");
    let Ok(mut names) = fs::read_dir(&place) else {
        eprintln!("NOT TRIED: change times are not believed on this file system");
        return;
    };
    let known = names.next().expect("one vault").expect("its name").path();
    let before = fs::metadata(&known).expect("known").len();
    let _said = run(&sandbox, &source, &PRUNE).succeeded();
    fs::remove_file(&known).expect("forgotten");
    append(&source, "README.md", "after the prune\n");
    assert_eq!(snapshot_later(&sandbox, &source, &library).0, "sealed");
    let after = fs::metadata(&known).expect("known again").len();
    assert!(after > before / 2, "{after} of {before}");
    let vault = only_vault(&sandbox);
    append(&source, "README.md", "and more\n");
    for number in [7, 22, 23] {
        let entry = vault.join(format!("log/{number:08}.toml"));
        let whole = fs::read(&entry).expect("an entry");
        let times = fs::metadata(&entry).expect("its times");
        let mut damaged = whole.clone();
        damaged[40] ^= 1;
        fs::write(&entry, damaged).expect("damaged");
        let file = fs::File::options().write(true).open(&entry);
        let file = file.expect("opened");
        file.set_modified(times.modified().expect("a time"))
            .expect("the time is put back");
        let said = run(&sandbox, &source, &["snapshot"]).refused("GV-3001");
        assert!(said.to_string().contains(&format!("{number:08}")), "{said}");
        fs::write(&entry, &whole).expect("put back");
    }
    let _said = run(&sandbox, &source, &["snapshot"]).succeeded();
    let _said = run(&sandbox, &source, &["verify", "--deep"]).succeeded();
}

/// Who runs out of room drops snapshots: what nobody needs is not copied, so it needs no room to go.
#[test]
fn room_is_made_where_hardly_any_is_left() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let home = mkdir(&sandbox.path("data"), "git-vault");
    let Some(_mount) = Mount::tmpfs("size=64m,mode=0700", &home) else {
        eprintln!("NOT TRIED: room is made: no file system can be mounted");
        return;
    };
    let mut ids = Vec::new();
    for number in 0_u64..3 {
        write(&source, "large", noise(2 * number, 12 << 20));
        ids.push(sandbox.snapshot(&source));
    }
    let free = || {
        let space = rustix::fs::statvfs(&home).expect("the space");
        space.f_bfree * space.f_frsize
    };
    let fill = free().saturating_sub(3 << 20);
    let filler = home.join("filler");
    fs::write(&filler, vec![1; usize::try_from(fill).expect("a size")]).expect("filled");
    append(&source, "README.md", "no room for this\n");
    let _said = run(&sandbox, &source, &["snapshot"]).refused("GV-1302");
    let before = free();
    let _said = run(
        &sandbox,
        &source,
        &["prune", "--unattended", "--keep-last", "1"],
    )
    .succeeded();
    assert!(free() > before + (20 << 20), "{before}, then {}", free());
    let _id = sandbox.snapshot(&source);
    let _said = run(&sandbox, &source, &["verify", "--deep"]).succeeded();
    let restored = sandbox.restore(&source, &ids[2], "out");
    let large = fs::read(restored.join("large")).expect("it is read");
    assert!(large == noise(4, 12 << 20));
}

/// The copies of a killed run lie where they should, somebody reads, and the next run writes the very same packs.
#[test]
fn the_packs_of_a_killed_optimize_serve_the_next_one() {
    if !can_trace("the next one") {
        return;
    }
    let mut laboratory = Laboratory::new();
    for number in 0..4 {
        append(&laboratory.source, "README.md", format!("{number}\n"));
        laboratory.sandbox.commit(&laboratory.source, "one more");
        let _id = laboratory.sandbox.snapshot(&laboratory.source);
    }
    let second = laboratory.sealed.remove(1);
    let _said = laboratory
        .run(&["drop", "--unattended", &second.id])
        .succeeded();
    let log = || fs::read_dir(laboratory.vault.join("log")).map(Iterator::count);
    let before = log().expect("the log");
    let hidden = || {
        let names = fs::read_dir(laboratory.vault.join("snapshots")).expect("the snapshots");
        let names = names.map(|name| name.expect("a name").file_name());
        names
            .filter(|name| name.to_string_lossy().starts_with(".optimize-"))
            .count()
    };
    // The trial of the probe links a file, too, before there is anything; the entry is a later one.
    let mut number = 1;
    while hidden() == 0 {
        let inject = format!("inject=linkat,link:signal=KILL:when={number}");
        let words = ["trace=linkat,link", &inject];
        let _said = traced(
            &laboratory.sandbox,
            &laboratory.source,
            &words,
            &["optimize"],
        );
        assert_eq!(log().expect("the log"), before, "{inject}");
        number += 1;
    }
    let reading = lock::share(&laboratory.vault.join("HEAD"), Duration::ZERO);
    let reading = reading.expect("it can be locked").expect("it is free");
    let said = laboratory.run(&["--json", "optimize"]).succeeded().json();
    assert!(
        said["recorded_as"].is_u64() && said["waiting"].as_u64() > Some(0),
        "{said}"
    );
    assert_eq!(hidden(), 2);
    drop(reading);
    let said = laboratory.run(&["--json", "optimize"]).succeeded().json();
    assert!(said["recorded_as"].is_null(), "{said}");
    assert_eq!(hidden(), 0);
    assert_whole(&laboratory, "afterwards");
}
