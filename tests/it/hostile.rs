//! Vaults that were tampered with: foreign files, entries taken away, older copies, forks, and records of other vaults. Each is refused by its own code, and nothing is changed.

use std::fs;
use std::path::{Path, PathBuf};

use crate::laboratory::{Laboratory, copy_tree, refusal};
use crate::support::Said;
use crate::support::files::{append, write};
use crate::support::listing;

/// Every way of asking for what is stored is refused with one of these codes, and the vault stays as it is.
#[track_caller]
pub fn assert_refused(laboratory: &Laboratory, codes: &[&str], what: &str) -> Vec<Said> {
    assert_refused_when(laboratory, &laboratory.sealed[0].id, codes, what)
}

/// What is older than, or another than, what was seen: refused like anything else, but a snapshot that is named by its id is
/// given, and said to be stale.
#[track_caller]
pub fn assert_stale(laboratory: &Laboratory, code: &str, what: &str) {
    let _all = assert_refused_when(laboratory, "@latest", &[code], what);
    let sealed = &laboratory.sealed[0];
    let out = laboratory.sandbox.path("out");
    let said = laboratory.run(&["restore", &sealed.id, out.to_str().expect("a UTF-8 path")]);
    assert!(
        said.clone().succeeded().text().contains("\nSTALE "),
        "{what}\n{said}"
    );
    let found = crate::laboratory::restored_listing(&out);
    let differences = listing::differences("restored", &sealed.restored, &found);
    assert!(differences.is_empty(), "{what}: {}", differences.join("\n"));
    laboratory.sweep_away_restores();
}

#[track_caller]
fn assert_refused_when(
    laboratory: &Laboratory,
    restored: &str,
    codes: &[&str],
    what: &str,
) -> Vec<Said> {
    // With it, `list` would not look at the manifests.
    drop(fs::remove_file(laboratory.vault.join("cache/index")));
    let before = laboratory.vault_listing();
    let destination = laboratory.sandbox.path("out");
    let out = destination.to_str().expect("a UTF-8 path");
    let id = &laboratory.sealed[0].id;
    let mut all = Vec::new();
    for arguments in [
        &["verify", "--quick"][..],
        &["verify"],
        &["verify", "--deep"],
        &["list"],
        &["show", id],
        &["status"],
        &["key", "status"],
        &["key", "rotate"],
        &["key", "export"],
        &["restore", restored, out],
        &["snapshot"],
        &["snapshot", "-m", "all the same"],
    ] {
        let said = laboratory.run(arguments);
        match refusal(&said) {
            Ok(code) if codes.contains(&code.code()) => {}
            Ok(_) => panic!("{what}: expected {codes:?}\n{said}"),
            Err(found) => panic!("{what}: {found}"),
        }
        all.push(said);
    }
    assert!(
        destination.symlink_metadata().is_err(),
        "{what}: a destination is left behind"
    );
    let changes = listing::differences("vault", &before, &laboratory.vault_listing());
    assert!(
        changes.is_empty(),
        "{what}: the vault was changed:\n{}",
        changes.join("\n")
    );
    all
}

#[track_caller]
pub fn assert_names(all: &[Said], path: &Path, what: &str) {
    let text = path.to_str().expect("a UTF-8 path");
    for said in all {
        assert!(
            String::from_utf8_lossy(&said.stderr).contains(text),
            "{what}: it should name '{text}'\n{said}"
        );
    }
}

#[test]
fn foreign_files_in_the_vault_are_refused_by_name() {
    let laboratory = Laboratory::new();
    let hex = "0123456789abcdef0123456789abcdef01234567";
    let pack = fs::read_dir(laboratory.vault.join("objects/pack"))
        .expect("the packs are read")
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|ending| ending == "pack"))
        .expect("a pack");
    let id = &laboratory.sealed[0].id;
    let foreign = [
        "objects/info/alternates".to_owned(),
        "objects/info/http-alternates".to_owned(),
        format!("objects/pack/pack-{hex}.pack"),
        format!("objects/pack/pack-{hex}.keep"),
        format!("objects/pack/pack-{hex}.idx"),
        "objects/pack/tmp_pack_123".to_owned(),
        "objects/pack/notes.txt".to_owned(),
        format!("objects/{}/{}", &hex[..2], &hex[2..]),
        "hooks/post-checkout".to_owned(),
        "refs/heads/main".to_owned(),
        "refs/tags/v1".to_owned(),
        "refs/snapshots/unknown".to_owned(),
        "refs/remotes/origin/main".to_owned(),
        "log/notes.toml".to_owned(),
        "log/00000001.toml~".to_owned(),
        "log/.00000001.toml.swp".to_owned(),
        "log/1.toml".to_owned(),
        "vault.toml~".to_owned(),
        "VAULT.md.orig".to_owned(),
        ".DS_Store".to_owned(),
        "config.worktree".to_owned(),
        "commondir".to_owned(),
        "info/grafts".to_owned(),
        "info/attributes".to_owned(),
        "snapshots/README".to_owned(),
        format!("snapshots/{id}/manifest.toml~"),
        format!("snapshots/{id}/pack-{hex}.pack"),
        "snapshots/not-an-id/manifest.toml".to_owned(),
    ];
    for name in &foreign {
        write(
            &laboratory.vault,
            name,
            fs::read(&pack).expect("the pack is read"),
        );
        let all = assert_refused(&laboratory, &["GV-3103"], name);
        let top = name.split('/').next().expect("a first name");
        assert_names(&all, &laboratory.vault.join(top), name);
        laboratory.reset();
    }
}

#[test]
fn a_log_entry_beyond_the_newest_that_is_no_entry_is_refused() {
    let laboratory = Laboratory::new();
    let next = log_entries(&laboratory.vault).len() + 1;
    write(
        &laboratory.vault,
        format!("log/{next:08}.toml"),
        "nonsense\n",
    );
    let _all = assert_refused(&laboratory, &["GV-3001"], "nonsense in the log");
    laboratory.reset();
    write(
        &laboratory.vault,
        format!("log/{:08}.toml", next + 1),
        "nonsense\n",
    );
    let _all = assert_refused(&laboratory, &["GV-3202"], "nonsense in the log after a gap");
}

pub fn log_entries(vault: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(vault.join("log")).expect("the log is read");
    let mut entries: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    entries.sort();
    entries
}

#[test]
fn a_gap_in_the_log_is_refused() {
    let laboratory = Laboratory::new();
    let count = log_entries(&laboratory.vault).len();
    for place in 0..count - 1 {
        let entry = &log_entries(&laboratory.vault)[place];
        fs::remove_file(entry).expect("the entry is removed");
        let _all = assert_refused(&laboratory, &["GV-3202"], "a gap");
        laboratory.reset();
    }
}

#[test]
fn a_renumbered_log_is_refused() {
    let laboratory = Laboratory::new();
    let entries = log_entries(&laboratory.vault);
    fs::remove_file(&entries[1]).expect("the entry is removed");
    for pair in entries[1..].windows(2) {
        fs::rename(&pair[1], &pair[0]).expect("the entry is renamed");
    }
    let _all = assert_refused(&laboratory, &["GV-3102"], "a closed gap");
}

#[test]
fn a_vault_whose_newest_entries_are_gone_is_older_than_was_seen() {
    let laboratory = Laboratory::new();
    let count = log_entries(&laboratory.vault).len();
    for removed in 1..count {
        for entry in &log_entries(&laboratory.vault)[count - removed..] {
            fs::remove_file(entry).expect("the entry is removed");
        }
        assert_stale_or_refused(&laboratory, "GV-3201", "the newest entries are gone");
        laboratory.reset();
    }
    let newest = &log_entries(&laboratory.vault)[count - 1];
    fs::remove_file(newest).expect("the entry is removed");
    fs::remove_dir_all(
        laboratory
            .vault
            .join("snapshots")
            .join(&laboratory.sealed[2].id),
    )
    .expect("the snapshot goes");
    assert_stale(
        &laboratory,
        "GV-3201",
        "the newest snapshot is gone with its entry",
    );
}

#[test]
fn an_older_copy_of_the_whole_vault_is_older_than_was_seen() {
    let laboratory = Laboratory::new();
    append(&laboratory.source, "README.md", "after the copy\n");
    let _newer = laboratory.sandbox.snapshot(&laboratory.source);
    put_old_vault_back(&laboratory);
    assert_stale(&laboratory, "GV-3201", "an older copy");
}

/// When even the entry of the first snapshot is gone, there is nothing to give.
#[track_caller]
fn assert_stale_or_refused(laboratory: &Laboratory, code: &str, what: &str) {
    if log_entries(&laboratory.vault).len() > 1 {
        assert_stale(laboratory, code, what);
    } else {
        let _all = assert_refused_when(laboratory, "@latest", &[code], what);
    }
}

/// The vault as it was when the laboratory was made; what this machine has last seen stays.
pub fn put_old_vault_back(laboratory: &Laboratory) {
    fs::remove_dir_all(&laboratory.vault).expect("the vault is removed");
    let name = laboratory
        .vault
        .strip_prefix(laboratory.sandbox.path("data"))
        .expect("a vault in the data directory");
    copy_tree(
        &laboratory.sandbox.path("pristine/data").join(name),
        &laboratory.vault,
    );
}

#[test]
fn every_older_copy_of_the_whole_vault_is_older_than_was_seen() {
    let laboratory = Laboratory::new();
    let mut copies = Vec::new();
    for number in 0..4 {
        let copy = laboratory.sandbox.path(&format!("copy-{number}"));
        copy_tree(&laboratory.vault, &copy);
        copies.push(copy);
        append(&laboratory.source, "README.md", "after the copy\n");
        let _newer = laboratory.sandbox.snapshot(&laboratory.source);
    }
    let newest = laboratory.sandbox.path("newest");
    copy_tree(&laboratory.vault, &newest);
    for copy in copies.iter().rev() {
        fs::remove_dir_all(&laboratory.vault).expect("the vault is removed");
        copy_tree(copy, &laboratory.vault);
        assert_stale(&laboratory, "GV-3201", "an older copy");
    }
    fs::remove_dir_all(&laboratory.vault).expect("the vault is removed");
    copy_tree(&newest, &laboratory.vault);
    let _said = laboratory.run(&["verify", "--deep"]).succeeded();
}

/// Plain git finds everything, by way of the alternates; and yet the vault holds nothing.
#[test]
fn a_vault_whose_packs_were_replaced_by_alternates_is_refused_though_git_is_content() {
    let laboratory = Laboratory::new();
    let elsewhere = laboratory.sandbox.path("elsewhere");
    let objects = laboratory.vault.join("objects");
    for with_alternates in [true, false] {
        copy_tree(&objects, &elsewhere);
        for entry in fs::read_dir(objects.join("pack")).expect("the packs are read") {
            let path = entry.expect("an entry").path();
            fs::remove_file(path).expect("the pack is removed");
        }
        let mut codes = vec!["GV-3002"];
        if with_alternates {
            let text = format!("{}\n", elsewhere.display());
            write(&objects, "info/alternates", text);
            let fsck = ["fsck", "--full", "--strict", "--no-dangling"];
            let said = laboratory.sandbox.git(&laboratory.vault, &fsck);
            assert_eq!(said, b"", "git should be content");
            codes.push("GV-3103");
        }
        let _all = assert_refused(&laboratory, &codes, "no packs");
        fs::remove_dir_all(&elsewhere).expect("the copy is removed");
        laboratory.reset();
    }
}

#[test]
fn a_vault_that_went_another_way_is_a_fork() {
    let laboratory = Laboratory::new();
    append(&laboratory.source, "README.md", "one way\n");
    let _one = laboratory.sandbox.snapshot(&laboratory.source);
    let seen = laboratory.sandbox.path("seen");
    copy_tree(&laboratory.sandbox.path("state"), &seen);

    laboratory.reset();
    append(&laboratory.source, "README.md", "the other way\n");
    for _ in 0..2 {
        append(&laboratory.source, "README.md", "and on\n");
        let _other = laboratory.sandbox.snapshot(&laboratory.source);
    }
    fs::remove_dir_all(laboratory.sandbox.path("state")).expect("the state is removed");
    fs::rename(seen, laboratory.sandbox.path("state")).expect("the state is put back");
    assert_stale(&laboratory, "GV-3203", "a fork");
}

/// A second laboratory and a copy of its vault, with its key brought to the first one's machine.
fn other_vault(laboratory: &Laboratory) -> (Laboratory, PathBuf) {
    let other = Laboratory::new();
    let copy = laboratory.sandbox.path("other.vault");
    copy_tree(&other.vault, &copy);
    let keys = laboratory.sandbox.path("config/git-vault/keys");
    for entry in
        fs::read_dir(other.sandbox.path("config/git-vault/keys")).expect("the keys are read")
    {
        let entry = entry.expect("an entry");
        copy_tree(&entry.path(), &keys.join(entry.file_name()));
    }
    (other, copy)
}

#[test]
fn records_of_another_vault_are_refused() {
    let laboratory = Laboratory::new();
    let (_elsewhere, other) = other_vault(&laboratory);
    let count = log_entries(&laboratory.vault).len();
    assert_eq!(count, log_entries(&other).len());
    for place in 0..count {
        let from = &log_entries(&other)[place];
        fs::copy(from, &log_entries(&laboratory.vault)[place]).expect("the entry is copied");
        let _all = assert_refused(
            &laboratory,
            &["GV-3101", "GV-3102"],
            "a log entry of another vault",
        );
        put_old_vault_back(&laboratory);
    }
    let foreign = fs::read_dir(other.join("snapshots")).expect("the snapshots are read");
    let foreign = foreign
        .map(|entry| entry.expect("an entry").path())
        .next()
        .expect("a snapshot");
    let manifest = laboratory
        .vault
        .join("snapshots")
        .join(&laboratory.sealed[0].id)
        .join("manifest.toml");
    fs::copy(foreign.join("manifest.toml"), &manifest).expect("the manifest is copied");
    for arguments in [
        &["verify"][..],
        &["verify", "--deep"],
        &["verify", "--quick"],
    ] {
        let said = laboratory.run(arguments);
        let code = refusal(&said).map(|code| code.code());
        assert!(
            matches!(code, Ok("GV-3101" | "GV-3102" | "GV-3001")),
            "{said}"
        );
    }
    put_old_vault_back(&laboratory);
    fs::copy(
        other.join("vault.toml"),
        laboratory.vault.join("vault.toml"),
    )
    .expect("the description is copied");
    let _all = assert_refused(
        &laboratory,
        &["GV-3101", "GV-3102"],
        "the description of another vault",
    );
}

#[test]
fn a_whole_vault_of_another_repository_is_not_taken_for_this_one() {
    let laboratory = Laboratory::new();
    let (_elsewhere, other) = other_vault(&laboratory);
    fs::remove_dir_all(&laboratory.vault).expect("the vault is removed");
    fs::rename(&other, &laboratory.vault).expect("the other vault takes its place");
    let before = laboratory.vault_listing();
    let said = laboratory.run(&[
        "--vault",
        laboratory.vault.to_str().expect("a UTF-8 path"),
        "snapshot",
    ]);
    assert_eq!(
        refusal(&said).map(|code| code.code()),
        Ok("GV-1003"),
        "{said}"
    );
    let changes = listing::differences("vault", &before, &laboratory.vault_listing());
    assert!(changes.is_empty(), "{}", changes.join("\n"));
}

/// Changes a record and puts its BLAKE3 right, as somebody without the key would.
pub fn forge(path: &Path, from: &str, to: &str) {
    let text = fs::read_to_string(path).expect("the record is read");
    assert!(text.contains(from), "'{from}' should be in {text}");
    let changed = text.replacen(from, to, 1);
    let body_end = changed.find("# blake3 ").expect("a BLAKE3 line");
    let rest = changed[body_end..]
        .split_once('\n')
        .expect("another line")
        .1;
    let digest = blake3::hash(&changed.as_bytes()[..body_end]).to_hex();
    fs::write(
        path,
        format!("{}# blake3 {digest}\n{rest}", &changed[..body_end]),
    )
    .expect("the record is written");
}

#[test]
fn a_record_changed_without_the_key_is_a_forgery_and_other_damage_is_not() {
    let laboratory = Laboratory::new();
    let entries = log_entries(&laboratory.vault);
    let newest = entries.last().expect("an entry");
    let kind = "kind = \"snapshot\"";
    forge(newest, kind, "kind = \"snapshoT\"");
    let all = assert_refused(&laboratory, &["GV-3101"], "a forged log entry");
    assert_names(&all, newest, "a forged log entry");
    laboratory.reset();

    let text = fs::read_to_string(newest).expect("the entry is read");
    fs::write(newest, text.replacen(kind, "kind = \"snapshoT\"", 1)).expect("the entry is written");
    let _all = assert_refused(&laboratory, &["GV-3001"], "a damaged log entry");
    laboratory.reset();

    let description = laboratory.vault.join("vault.toml");
    forge(&description, "created = \"2", "created = \"3");
    let _all = assert_refused(&laboratory, &["GV-3101"], "a forged description");
    laboratory.reset();

    let id = &laboratory.sealed[0].id;
    let manifest = laboratory
        .vault
        .join("snapshots")
        .join(id)
        .join("manifest.toml");
    forge(&manifest, "trigger = \"manual\"", "trigger = \"Manual\"");
    for arguments in [&["verify"][..], &["show", id], &["verify", "--deep", id]] {
        let said = laboratory.run(arguments);
        assert_eq!(
            refusal(&said).map(|code| code.code()),
            Ok("GV-3101"),
            "{said}"
        );
    }
}
