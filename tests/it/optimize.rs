//! Packs are put together and nothing that a remaining snapshot needs is lost: not by a kill, not by a failing disk, not while somebody
//! reads, not because a cache knows what is gone.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use git_vault::host::lock;

use crate::crash::{can_trace, tamper};
use crate::known_state::snapshot_later;
use crate::laboratory::{Laboratory, copy_tree, only_vault, restored_listing};
use crate::races::faketime_library;
use crate::support::files::{append, mkdir, noise, write};
use crate::support::listing::{self, Listing};
use crate::support::{Kind, RepoState, Sandbox, states};

/// How many calls of one name are tried at effort 1.
const POINTS_OF_A_CALL: usize = 10;

/// A snapshot and what was there.
struct Kept {
    id: String,
    state: RepoState,
}

fn take(sandbox: &Sandbox, source: &Path) -> Kept {
    let state = RepoState::capture(sandbox, source, Kind::Workspace).without_ignored();
    Kept {
        id: sandbox.snapshot(source),
        state,
    }
}

/// Every snapshot gives back what was there, the vault is whole in depth, and git finds nothing wrong with it.
#[track_caller]
fn assert_all(sandbox: &Sandbox, source: &Path, kept: &[Kept]) {
    let said = sandbox
        .vault(source, &["--json", "verify", "--deep"])
        .succeeded();
    let checked = said.json()["snapshots"].as_array().map(Vec::len);
    assert_eq!(checked, Some(kept.len()), "{said}");
    sandbox.git(&only_vault(sandbox), &["fsck", "--strict", "--full"]);
    for one in kept {
        let _said = sandbox
            .vault(source, &["verify", "--deep", &one.id])
            .succeeded();
        let restored = sandbox.restore(source, &one.id, "given-back");
        let found = RepoState::capture(sandbox, &restored, Kind::Workspace);
        RepoState::assert_same_workspace(&one.state, &found);
        fs::remove_dir_all(restored).expect("the copy is removed");
    }
}

fn packs(sandbox: &Sandbox) -> Vec<PathBuf> {
    let packs = fs::read_dir(only_vault(sandbox).join("objects/pack")).expect("the packs are read");
    packs
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "pack"))
        .collect()
}

fn bytes(sandbox: &Sandbox) -> u64 {
    let sizes = packs(sandbox).into_iter();
    sizes
        .map(|path| fs::metadata(path).expect("its size").len())
        .sum()
}

/// Snapshots of edits, commits, and a large file that is another one each time.
fn life(sandbox: &Sandbox, source: &Path, rounds: usize) -> Vec<Kept> {
    let mut kept = Vec::new();
    for round in 0..rounds {
        append(source, "README.md", format!("round {round}\n"));
        write(source, "large.bin", noise(2 * round as u64 + 1, 200_000));
        write(
            source,
            format!("notes/{round}.txt"),
            format!("note {round}\n"),
        );
        if round % 2 == 0 {
            sandbox.commit(source, &format!("round {round}"));
        }
        if round % 3 == 0 {
            append(source, "src/one.txt", "stash this\n");
            sandbox.git(source, &["stash", "push", "--quiet"]);
        }
        if round % 4 == 3 {
            sandbox.git(source, &["gc", "--quiet", "--prune=now"]);
        }
        kept.push(take(sandbox, source));
    }
    kept
}

#[test]
fn what_no_snapshot_needs_is_left_behind_and_all_else_comes_back() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let mut kept = life(&sandbox, &source, 10);
    let before = bytes(&sandbox);
    let gone = kept.drain(2..7).map(|one| one.id).collect::<Vec<_>>();
    let mut words = vec!["drop", "--unattended"];
    words.extend(gone.iter().map(String::as_str));
    let _said = sandbox.vault(&source, &words).succeeded();
    assert_all(&sandbox, &source, &kept);
    assert_eq!(bytes(&sandbox), before, "a drop touches no pack");
    let said = sandbox.vault(&source, &["--json", "optimize"]).succeeded();
    let answer = said.json();
    assert_eq!(answer["schema"], "git-vault/optimize/1");
    assert!(answer["recorded_as"].is_u64(), "{said}");
    assert_eq!(answer["waiting"], 0, "{said}");
    assert_eq!(answer["after"]["packs"], packs(&sandbox).len() as u64);
    // One of the files of 200,000 bytes that do not shrink is in no commit and no stash.
    assert!(bytes(&sandbox) + 150_000 < before, "{said}");
    assert_all(&sandbox, &source, &kept);
    let _said = sandbox.vault(&source, &["drill", "--all"]).succeeded();
    let again = sandbox.vault(&source, &["--json", "optimize"]).succeeded();
    assert!(again.json()["recorded_as"].is_null(), "{again}");
    append(&source, "README.md", "after all that\n");
    kept.push(take(&sandbox, &source));
    assert_all(&sandbox, &source, &kept);
    let all: Vec<u64> = sandbox
        .vault(&source, &["--json", "list"])
        .succeeded()
        .json()["snapshots"]
        .as_array()
        .expect("the snapshots")
        .iter()
        .map(|one| one["number"].as_u64().expect("a number"))
        .collect();
    assert_eq!(all, [1, 2, 8, 9, 10, 11], "numbers never change");
}

#[test]
fn many_small_packs_become_few_and_every_snapshot_stays() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let mut kept = Vec::new();
    for round in 0..3 {
        for number in 0..9 {
            write(&source, "counter", format!("{round} {number}\n"));
            sandbox.commit(&source, "counted");
            append(&source, "README.md", "edited\n");
            kept.push(take(&sandbox, &source));
        }
        let _said = sandbox.vault(&source, &["optimize"]).succeeded();
        assert!(packs(&sandbox).len() <= 10, "{:?}", packs(&sandbox));
    }
    kept.rotate_left(20);
    kept.truncate(9);
    let all = sandbox
        .vault(&source, &["verify", "--deep"])
        .succeeded()
        .text();
    assert!(all.contains("27"), "{all}");
    for one in &kept {
        let restored = sandbox.restore(&source, &one.id, "given-back");
        let found = RepoState::capture(&sandbox, &restored, Kind::Workspace);
        RepoState::assert_same_workspace(&one.state, &found);
        fs::remove_dir_all(restored).expect("the copy is removed");
    }
}

/// Two packs much smaller than all others must not keep those from being put together.
#[test]
fn packs_of_very_different_sizes_become_few() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let mut kept = vec![take(&sandbox, &source)];
    for number in 0..2 {
        write(&source, "little", format!("{number}\n"));
        kept.push(take(&sandbox, &source));
    }
    for seed in 0..8 {
        write(&source, format!("noise-{seed}"), noise(seed, 100_000));
        kept.push(take(&sandbox, &source));
    }
    let before = packs(&sandbox).len();
    let _said = sandbox.vault(&source, &["optimize"]).succeeded();
    assert!(before >= 11, "{before}");
    assert!(packs(&sandbox).len() <= 3, "{:?}", packs(&sandbox));
    assert_all(&sandbox, &source, &kept);
}

/// The file that a dropped snapshot had comes back with the very inode and times it had then, and so does the cache that says that its
/// content is stored: it is stored again.
#[test]
fn a_cache_from_before_does_not_make_what_is_gone_count_as_stored() {
    let Some(library) = faketime_library("a cache from before an optimize") else {
        return;
    };
    let sandbox = Sandbox::on_disk();
    let source = states::small_repository(&sandbox);
    mkdir(&source, "work");
    write(&source, "work/precious", noise(7, 100_000));
    snapshot_later(&sandbox, &source, &library);
    // A second look, to which all is old enough to be remembered.
    append(&source, "README.md", "one\n");
    let (_, first) = snapshot_later(&sandbox, &source, &library);
    let vault = only_vault(&sandbox);
    let cache = vault.join("cache/scan");
    let old_cache = fs::read(&cache).expect("the cache is read");
    let aside = sandbox.path("aside");
    fs::rename(source.join("work"), &aside).expect("moved away");
    append(&source, "README.md", "two\n");
    let (_, second) = snapshot_later(&sandbox, &source, &library);
    append(&source, "README.md", "three\n");
    let (_, _third) = snapshot_later(&sandbox, &source, &library);
    let listed = sandbox.vault(&source, &["--json", "list"]).succeeded();
    let ids = listed.json();
    let ids: Vec<&str> = ids["snapshots"]
        .as_array()
        .expect("the snapshots")
        .iter()
        .filter_map(|one| one["id"].as_str())
        .collect();
    assert_eq!(ids.len(), 4);
    assert_eq!((ids[1], ids[2]), (&*first, &*second));
    let words = ["drop", "--unattended", ids[0], ids[1], ids[2]];
    let _said = sandbox.vault(&source, &words).succeeded();
    let before = bytes(&sandbox);
    let _said = sandbox.vault(&source, &["optimize"]).succeeded();
    assert!(
        bytes(&sandbox) + 90_000 < before,
        "the file is gone from the vault"
    );
    fs::rename(&aside, source.join("work")).expect("moved back");
    fs::write(&cache, old_cache).expect("the cache is put back");
    let original = RepoState::capture(&sandbox, &source, Kind::Workspace).without_ignored();
    let (outcome, id) = snapshot_later(&sandbox, &source, &library);
    assert_eq!(outcome, "sealed");
    let _said = sandbox.vault(&source, &["verify", "--deep"]).succeeded();
    let restored = sandbox.restore(&source, &id, "given-back");
    let found = RepoState::capture(&sandbox, &restored, Kind::Workspace);
    RepoState::assert_same_workspace(&original, &found);
}

/// In a partial clone, the tree of a directory may be history, and a file that it names be there in the working tree only: the snapshot
/// stores the file, and no tree of its own names it.
#[test]
fn a_file_that_only_a_tree_of_the_history_names_stays() {
    let sandbox = Sandbox::new();
    let origin = states::small_repository(&sandbox);
    write(&origin, "src/big.bin", noise(9, 50_000));
    sandbox.commit(&origin, "a file");
    sandbox.git(&origin, &["config", "uploadpack.allowFilter", "true"]);
    let clone = sandbox.workplace().join("clone");
    let url = format!("file://{}", origin.display());
    let to = clone.to_str().expect("a UTF-8 path");
    let words = [
        "clone",
        "-q",
        "--no-checkout",
        "--filter=blob:none",
        &url,
        to,
    ];
    sandbox.git(&sandbox.workplace(), &words);
    for entry in fs::read_dir(&origin).expect("it is read") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_owned();
        if name == ".git" {
            continue;
        }
        if path.is_dir() {
            copy_tree(&path, &clone.join(name));
        } else {
            fs::copy(&path, clone.join(name)).expect("it is copied");
        }
    }
    let alone = [("GIT_NO_LAZY_FETCH", "1")];
    sandbox.git_with(&clone, &alone, &["read-tree", "HEAD"]);
    fs::rename(&origin, sandbox.path("away")).expect("moved away");
    for round in 0..6 {
        // Not by `git commit`, which would fetch what the index names.
        let commit = [
            "commit-tree",
            "HEAD^{tree}",
            "-p",
            "HEAD",
            "-m",
            "more history",
        ];
        let commit = sandbox.git_with(&clone, &alone, &commit);
        let commit = String::from_utf8(commit).expect("an id");
        sandbox.git_with(&clone, &alone, &["update-ref", "HEAD", commit.trim_end()]);
        write(&clone, "untracked", format!("{round}\n"));
        let _id = sandbox.snapshot(&clone);
    }
    let _said = sandbox
        .vault(&clone, &["drop", "--unattended", "1", "2", "3", "4"])
        .succeeded();
    let said = sandbox.vault(&clone, &["--json", "optimize"]).succeeded();
    assert!(said.json()["recorded_as"].is_u64(), "{said}");
    let _said = sandbox.vault(&clone, &["verify", "--deep"]).succeeded();
    let _said = sandbox.vault(&clone, &["drill", "--all"]).succeeded();
    // The capture packs are one now, the histories are not: what this one does not need is in others.
    let _said = sandbox
        .vault(&clone, &["verify", "--deep", "5"])
        .succeeded();
    let restored = sandbox.restore(&clone, "5", "given-back");
    let found = fs::read(restored.join("src/big.bin")).expect("it is there");
    assert!(found == noise(9, 50_000));
}

/// A tree that nobody needs, in a pack most of which is needed, names a file that nobody needs, in a pack that goes.
#[test]
fn what_stays_leads_to_nothing_that_is_gone() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    write(&source, "directory/large", noise(3, 100_000));
    let _first = sandbox.snapshot(&source);
    write(&source, "directory/small", "small\n");
    write(&source, "kept", noise(5, 200_000));
    let _second = sandbox.snapshot(&source);
    fs::remove_dir_all(source.join("directory")).expect("it is removed");
    let kept = [take(&sandbox, &source)];
    let _said = sandbox
        .vault(&source, &["drop", "--unattended", "1", "2"])
        .succeeded();
    let before = bytes(&sandbox);
    let _said = sandbox.vault(&source, &["optimize"]).succeeded();
    assert!(bytes(&sandbox) + 90_000 < before);
    assert_all(&sandbox, &source, &kept);
}

/// Histories of very different sizes: whatever is put together, an older snapshot gets a whole history.
#[test]
fn the_history_of_an_older_snapshot_leads_nowhere_else() {
    let sizes = [
        10, 90_000, 10, 40_000, 10, 10, 60_000, 10, 10, 10, 10, 5_000, 10,
    ];
    for every in [4, sizes.len()] {
        let sandbox = Sandbox::new();
        let source = states::small_repository(&sandbox);
        let mut kept = Vec::new();
        for (round, size) in sizes.into_iter().enumerate() {
            write(&source, "noise", noise(2 * round as u64 + 1, size));
            sandbox.commit(&source, "more or less");
            kept.push(take(&sandbox, &source));
            if round % every == every - 1 {
                let _said = sandbox.vault(&source, &["optimize"]).succeeded();
            }
        }
        for one in &kept {
            let restored = sandbox.restore(&source, &one.id, "given-back");
            sandbox.git(&restored, &["fsck", "--full", "--no-dangling"]);
            fs::remove_dir_all(restored).expect("the copy is removed");
        }
        assert_all(&sandbox, &source, &kept);
    }
}

#[test]
fn what_somebody_reads_stays_until_nobody_does() {
    let laboratory = dropped_from();
    let (sandbox, source) = (&laboratory.sandbox, &laboratory.source);
    let before = packs(sandbox);
    let reading = lock::share(&laboratory.vault.join("HEAD"), Duration::ZERO);
    let reading = reading.expect("it can be locked").expect("it is free");
    let said = laboratory.run(&["--json", "optimize"]).succeeded();
    assert!(said.json()["recorded_as"].is_u64(), "{said}");
    assert!(said.json()["waiting"].as_u64() > Some(0), "{said}");
    let now = packs(sandbox);
    assert!(before.iter().all(|pack| now.contains(pack)), "all stay");
    let _said = laboratory.run(&["verify", "--deep"]).succeeded();
    drop(reading);
    let said = laboratory.run(&["--json", "optimize"]).succeeded();
    assert_eq!(said.json()["waiting"], 0, "{said}");
    assert!(said.json()["recorded_as"].is_null(), "{said}");
    assert_ne!(packs(sandbox), now);
    assert_whole(&laboratory, "after reading");
    let _ = source;
}

/// A laboratory whose pristine vault has lost its middle snapshot, and in which there is something to be optimized.
fn dropped_from() -> Laboratory {
    let mut laboratory = Laboratory::new();
    let middle = laboratory.sealed.remove(1);
    let _said = laboratory
        .run(&["drop", "--unattended", &middle.id])
        .succeeded();
    for number in 0..2 {
        append(&laboratory.source, "README.md", format!("{number}\n"));
        laboratory
            .sandbox
            .commit(&laboratory.source, "one more pack");
        let _id = laboratory.sandbox.snapshot(&laboratory.source);
    }
    for name in ["config", "data", "state"] {
        let pristine = laboratory.sandbox.path(&format!("pristine/{name}"));
        fs::remove_dir_all(&pristine).expect("the old copy is removed");
        copy_tree(&laboratory.sandbox.path(name), &pristine);
    }
    laboratory
}

/// What was sealed and not dropped comes back, whatever happened.
#[track_caller]
pub fn assert_whole(laboratory: &Laboratory, label: &str) {
    // Which packs hold the history is not what was sealed; that it is whole is asked of git.
    let others = |listing: &Listing| -> Listing {
        let all = listing.clone().into_iter();
        all.filter(|(name, _)| !name.starts_with(b".git/objects/pack/"))
            .collect()
    };
    for sealed in &laboratory.sealed {
        let out = laboratory.sandbox.path("out");
        let text = out.to_str().expect("a UTF-8 path");
        let said = laboratory.run(&["restore", &sealed.id, text]);
        assert_eq!(said.code, Some(0), "{label}: refused\n{said}");
        let found = others(&restored_listing(&out));
        let differences = listing::differences("restored", &others(&sealed.restored), &found);
        assert!(differences.is_empty(), "{label}: {differences:?}");
        let _said = laboratory.sandbox.git(&out, &["fsck", "--full"]);
        laboratory.sweep_away_restores();
    }
    let _said = laboratory.run(&["verify", "--deep"]).succeeded();
    laboratory
        .sandbox
        .git(&laboratory.vault, &["fsck", "--strict"]);
}

/// Tampers with every chosen call of a command, and says what is wrong afterwards.
pub fn sweep(laboratory: &Laboratory, arguments: &[&str], calls: &[&str], tampering: &str) {
    let calls = (calls, POINTS_OF_A_CALL);
    tamper(
        laboratory,
        arguments,
        calls,
        tampering,
        &mut |inject, said| {
            assert_whole(laboratory, &format!("{inject}\n{said}"));
            // The next run finishes what was begun, and a snapshot is made as ever.
            let _said = laboratory.run(&["optimize"]).succeeded();
            let left = fs::read_dir(laboratory.vault.join("snapshots")).expect("it is read");
            let left = left.map(|entry| entry.expect("an entry").file_name());
            let hidden = left.filter(|name| name.to_string_lossy().starts_with('.'));
            assert_eq!(hidden.count(), 0, "{inject}");
            assert_no_more_than_the_log_names(laboratory, inject);
            assert_whole(laboratory, &format!("{inject}, then optimized"));
            let _said = laboratory.run(&["snapshot", "-m", "goes on"]).succeeded();
            let _said = laboratory.run(&["verify", "--deep", "@latest"]).succeeded();
        },
    );
}

#[track_caller]
fn assert_no_more_than_the_log_names(laboratory: &Laboratory, label: &str) {
    let status = laboratory.run(&["--json", "optimize"]).succeeded().json();
    let found = packs(&laboratory.sandbox).len() as u64;
    assert_eq!(status["after"]["packs"], found, "{label}");
    let refs = fs::read_dir(laboratory.vault.join("refs/snapshots")).expect("refs are read");
    let listed = laboratory.run(&["--json", "list"]).succeeded().json();
    let listed = listed["snapshots"].as_array().expect("snapshots").len();
    assert_eq!(refs.count(), listed, "{label}");
}

/// Changes of names and their durability.
pub const NAMES: [&str; 8] = [
    "mkdir",
    "rename",
    "renameat2",
    "linkat",
    "link",
    "unlink",
    "unlinkat",
    "rmdir",
];

#[test]
fn an_optimize_killed_at_any_change_of_names_loses_nothing_and_goes_on() {
    if can_trace("kill optimize at changes of names") {
        sweep(&dropped_from(), &["optimize"], &NAMES, "signal=KILL");
    }
}

#[test]
fn an_optimize_killed_at_any_write_or_sync_loses_nothing_and_goes_on() {
    if can_trace("kill optimize at write and sync") {
        sweep(
            &dropped_from(),
            &["optimize"],
            &["write", "fsync"],
            "signal=KILL",
        );
    }
}

#[test]
fn an_optimize_whose_disk_fails_loses_nothing_and_goes_on() {
    if can_trace("fail optimize") {
        let laboratory = dropped_from();
        sweep(&laboratory, &["optimize"], &["fsync"], "error=EIO");
        sweep(&laboratory, &["optimize"], &["write"], "error=ENOSPC");
        let names = ["mkdir", "renameat2", "linkat"];
        sweep(&laboratory, &["optimize"], &names, "error=EROFS");
        let removals = ["unlink", "unlinkat", "rmdir"];
        sweep(&laboratory, &["optimize"], &removals, "error=EIO");
    }
}
