//! What a review once found in what a vault is trusted with, and must not come back: bytes changed in place, links, older
//! copies, races, and words that look like a signature.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use git_vault::model::refusal_code::RefusalCode;

use crate::hostile::{assert_names, assert_refused, assert_stale};
use crate::laboratory::{Laboratory, bounded, copy_tree, refusal, run};
use crate::review::shown;
use crate::source_refusals::{Scene, damage};
use crate::support::files::{append, mkdir, noise, symlink, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::{Kind, RepoState, Said, Sandbox, listing, states};

/// Files in the vault's store with this ending.
#[track_caller]
fn stored(vault: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(vault.join("objects/pack")).expect("the packs are read");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<_> = paths
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    paths.sort();
    assert!(!paths.is_empty(), "there is a .{ending}");
    paths
}

/// Every command that reads packs refuses with GV-3001 and names the file; the vault stays as it is.
#[track_caller]
fn assert_damage_is_noticed(laboratory: &Laboratory, path: &Path, what: &str) {
    let before = laboratory.vault_listing();
    let destination = laboratory.sandbox.path("out");
    for arguments in [
        &["snapshot"][..],
        &["snapshot", "-m", "all the same"],
        &["verify"],
        &["verify", "--deep"],
        &["restore", "@latest", shown(&destination)],
    ] {
        let said = laboratory.run(arguments);
        let code = refusal(&said);
        assert_eq!(code, Ok(RefusalCode::VaultDamaged), "{what}\n{said}");
        assert_names(&[said], path, what);
    }
    assert!(destination.symlink_metadata().is_err(), "{what}");
    let mut changes = listing::differences("vault", &before, &laboratory.vault_listing());
    changes.retain(|change| !change.starts_with("vault 'cache"));
    assert!(changes.is_empty(), "{what}:\n{}", changes.join("\n"));
}

/// The SHA-1 of bytes, by the system's tool.
#[track_caller]
fn sha1(sandbox: &Sandbox, bytes: &[u8]) -> Vec<u8> {
    let file = write(&sandbox.path("tmp"), "to-be-hashed", bytes);
    let output = sandbox
        .command("sha1sum", &sandbox.home())
        .arg(file)
        .output();
    let text = String::from_utf8(output.expect("sha1sum starts").stdout).expect("UTF-8");
    let digits = |place: usize| u8::from_str_radix(&text[2 * place..2 * place + 2], 16);
    (0..20)
        .map(|place| digits(place).expect("hexadecimal"))
        .collect()
}

/// The place of the last byte of the first offset in a version 2 index.
fn first_offset(index: &[u8]) -> usize {
    let count = u32::from_be_bytes(index[8 + 1020..8 + 1024].try_into().expect("four bytes"));
    8 + 1024 + 24 * usize::try_from(count).expect("a small number") + 3
}

#[test]
fn a_pack_index_of_the_vault_that_was_changed_in_place_is_noticed_by_all() {
    let laboratory = Laboratory::new();
    let untouched = Fingerprint::of(&laboratory.source);
    for path in stored(&laboratory.vault, "idx") {
        let whole = fs::read(&path).expect("the index is read");
        let place = first_offset(&whole);
        for what in ["an offset", "an offset, with the checksum put right"] {
            damage(&path, |bytes| {
                bytes[place] ^= 1;
                if what != "an offset" {
                    let body = bytes.len() - 20;
                    let sum = sha1(&laboratory.sandbox, &bytes[..body]);
                    bytes[body..].copy_from_slice(&sum);
                }
            });
            assert_damage_is_noticed(&laboratory, &path, what);
            damage(&path, |bytes| bytes.clone_from(&whole));
        }
    }
    untouched.assert_untouched(&laboratory.source);
    let _said = laboratory.run(&["verify", "--deep"]).succeeded();
}

#[test]
fn a_pack_of_the_vault_that_was_changed_in_place_is_noticed_by_the_next_snapshot() {
    let laboratory = Laboratory::new();
    let untouched = Fingerprint::of(&laboratory.source);
    let unchanged = laboratory.run(&["--json", "snapshot"]).succeeded().json();
    assert_eq!(unchanged["outcome"], "unchanged");
    for path in stored(&laboratory.vault, "pack") {
        let whole = fs::read(&path).expect("the pack is read");
        let modified = fs::metadata(&path).and_then(|metadata| metadata.modified());
        damage(&path, |bytes| {
            let middle = bytes.len() / 2;
            bytes[middle] ^= 0x20;
        });
        let file = fs::File::open(&path).expect("the pack is opened");
        let modified = modified.expect("a time");
        file.set_modified(modified).expect("the time is put back");
        assert_damage_is_noticed(&laboratory, &path, "a pack");
        damage(&path, |bytes| bytes.clone_from(&whole));
    }
    untouched.assert_untouched(&laboratory.source);
    append(&laboratory.source, "README.md", "and on\n");
    let id = laboratory.sandbox.snapshot(&laboratory.source);
    let _said = laboratory.run(&["verify", "--deep", &id]).succeeded();
}

#[test]
fn a_directory_of_the_vault_s_refs_that_leads_elsewhere_is_refused_and_not_followed() {
    let laboratory = Laboratory::new();
    append(&laboratory.source, "README.md", "something to be sealed\n");
    let untouched = Fingerprint::of(&laboratory.source);
    for name in ["refs/heads", "refs/snapshots"] {
        let place = laboratory.vault.join(name);
        let elsewhere = laboratory.sandbox.path(&format!("elsewhere/{name}"));
        copy_tree(&place, &elsewhere);
        fs::remove_dir_all(&place).expect("the directory is removed");
        symlink(&laboratory.vault, name, shown(&elsewhere));
        let before = Fingerprint::of(&elsewhere);
        let all = assert_refused(&laboratory, &["GV-3103"], name);
        assert_names(&all, &place, name);
        before.assert_untouched(&elsewhere);
        fs::remove_file(&place).expect("the link is removed");
        laboratory.reset();
    }
    untouched.assert_untouched(&laboratory.source);
    let _said = laboratory.run(&["verify", "--deep"]).succeeded();
}

#[test]
fn an_older_copy_is_noticed_by_a_machine_that_has_only_listed_the_newer_one() {
    let laboratory = Laboratory::new();
    append(&laboratory.source, "README.md", "after the copy\n");
    let newer = laboratory.sandbox.snapshot(&laboratory.source);
    let state = laboratory.sandbox.path("state");
    fs::remove_dir_all(&state).expect("what was seen is forgotten");
    let untouched = Fingerprint::of(&laboratory.source);
    let listed = laboratory.run(&["list"]).succeeded();
    assert!(listed.text().contains(&newer), "{listed}");

    let home = laboratory.sandbox.path("data");
    let name = laboratory.vault.strip_prefix(home).expect("in the home");
    let older = laboratory.sandbox.path("pristine/data").join(name);
    fs::remove_dir_all(&laboratory.vault).expect("the vault is removed");
    copy_tree(&older, &laboratory.vault);
    assert_stale(&laboratory, "GV-3201", "an older copy");
    untouched.assert_untouched(&laboratory.source);
}

#[test]
fn a_copy_that_is_named_can_be_verified_without_making_the_original_look_older() {
    let laboratory = Laboratory::new();
    let copy = laboratory.sandbox.copy(&laboratory.vault, "copy.vault");
    let untouched = Fingerprint::of(&laboratory.source);
    for level in [
        &["verify"][..],
        &["verify", "--deep"],
        &["verify", "--quick"],
    ] {
        let before = listing::list(&copy, &|_| true);
        let arguments = [&["--json", "--vault", shown(&copy)], level].concat();
        let said = run(&laboratory.sandbox, &laboratory.sandbox.home(), &arguments);
        let answer = said.succeeded().json();
        assert!(answer["recorded_as"].is_null(), "{answer}");
        assert!(answer["not_recorded"].is_string(), "{answer}");
        let changes = listing::differences("copy", &before, &listing::list(&copy, &|_| true));
        assert!(changes.is_empty(), "the copy was changed: {changes:#?}");
    }
    for arguments in [
        &["list"][..],
        &["show"],
        &["verify"],
        &["snapshot", "-m", "on"],
    ] {
        let _said = laboratory.run(arguments).succeeded();
    }
    untouched.assert_untouched(&laboratory.source);
    for sealed in &laboratory.sealed {
        let destination = laboratory
            .sandbox
            .restore(&laboratory.source, &sealed.id, "out");
        let found = crate::laboratory::restored_listing(&destination);
        let differences = listing::differences("restored", &sealed.restored, &found);
        assert!(differences.is_empty(), "{differences:#?}");
        laboratory.sweep_away_restores();
    }
}

#[test]
fn a_refused_snapshot_leaves_nothing_in_the_vault_however_often_it_is_tried() {
    let scene = Scene::new();
    let _object = scene.commit_new_file("big.bin", &noise(7, 300_000));
    let nested = mkdir(&scene.source, "deep/nested");
    symlink(&nested, ".git", "../../.git");
    // What the cache remembers of the source may grow, nothing else.
    let names = || listing::list(&scene.vault, &|name| name != b"cache").into_keys();
    let before: Vec<_> = names().collect();
    for _ in 0..3 {
        scene.assert_refused(&["GV-2004"], "deep/nested");
        assert!(
            names().eq(before.clone()),
            "the refused snapshots left something"
        );
    }
}

#[test]
fn every_snapshot_that_is_sealed_in_a_race_is_listed_and_restores() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let first = sandbox.snapshot(&source);
    let mut all = vec![first];
    for round in 0..4 {
        write(&source, "round.txt", format!("round {round}\n"));
        sandbox.commit(&source, "another round");
        append(&source, "README.md", "edited\n");
        let original = RepoState::capture(&sandbox, &source, Kind::Workspace);
        let untouched = Fingerprint::of(&source);
        let runs: Vec<Command> = ["one", "other"]
            .iter()
            .map(|message| {
                let mut command = sandbox.vault_command(&source);
                command.args(["--json", "snapshot", "-m", message]);
                command
            })
            .collect();
        let said: Vec<Said> = std::thread::scope(|scope| {
            let threads = runs
                .into_iter()
                .map(|command| scope.spawn(|| bounded(command, "git-vault snapshot")));
            let threads: Vec<_> = threads.collect();
            let ends = threads.into_iter().map(|thread| thread.join());
            ends.map(|said| said.expect("the thread ends")).collect()
        });
        untouched.assert_untouched(&source);
        let mut sealed = Vec::new();
        for said in said {
            if said.code == Some(0) {
                let id = said.json()["snapshot"]["id"].as_str().map(str::to_owned);
                sealed.push(id.expect("an id"));
            } else {
                let _said = said.refused("GV-1401");
            }
        }
        assert!(!sealed.is_empty(), "one of them should have won");
        for id in &sealed {
            let restored = sandbox.restore(&source, id, "out");
            let found = RepoState::capture(&sandbox, &restored, Kind::Workspace);
            RepoState::assert_same_workspace(&original, &found);
            fs::remove_dir_all(restored).expect("the copy is removed");
        }
        all.extend(sealed);
    }
    let listed = run(&sandbox, &source, &["--json", "list"]).succeeded();
    let listed = listed.json()["snapshots"].clone();
    let listed = listed.as_array().expect("a list").iter();
    let mut listed: Vec<_> = listed
        .map(|one| one["id"].as_str().expect("an id"))
        .collect();
    listed.sort_unstable();
    all.sort_unstable();
    assert_eq!(listed, all, "what was sealed, and nothing else, is listed");
    let _said = run(&sandbox, &source, &["verify", "--deep"]).succeeded();
}

#[test]
fn a_list_is_never_refused_while_snapshots_are_being_made() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let _first = sandbox.snapshot(&source);
    let lists = std::thread::scope(|scope| {
        let snapshots = scope.spawn(|| {
            for round in 0..8 {
                write(&source, "round.txt", format!("round {round}\n"));
                sandbox.commit(&source, "another round");
                let _id = sandbox.snapshot(&source);
            }
        });
        let mut lists = Vec::new();
        while lists.len() < 20 || !snapshots.is_finished() {
            lists.push(run(&sandbox, &source, &["--json", "list"]));
        }
        snapshots.join().expect("the snapshots are sealed");
        lists
    });
    let mut counts = Vec::new();
    for said in lists {
        let answer = said.succeeded().json();
        counts.push(answer["snapshots"].as_array().expect("a list").len());
    }
    assert!(
        counts.is_sorted(),
        "what was listed stays listed: {counts:?}"
    );
    let listed = run(&sandbox, &source, &["--json", "list"]).succeeded();
    assert_eq!(listed.json()["snapshots"].as_array().map(Vec::len), Some(9));
    let _said = run(&sandbox, &source, &["verify", "--deep"]).succeeded();
}

/// Writes a pack and its index into the directory named: a blob of 16 MiB, and a delta on it that promises 3 GiB. With
/// `honest`, it keeps the promise.
const BOMB: &str = r#"
import hashlib, struct, sys, zlib
place, honest = sys.argv[1], sys.argv[2] == "honest"
size = 16 * 1024 * 1024 - 1
promised = 3 * 1024 * 1024 * 1024

def number(value):
    out = bytearray()
    while value > 127:
        out.append(value & 127 | 128); value >>= 7
    out.append(value)
    return bytes(out)

def header(kind, length):
    first = kind << 4 | length & 15
    length >>= 4
    return bytes([first | 128]) + number(length) if length else bytes([first])

base = bytes(size)
base_id = hashlib.sha1(b"blob %d\0" % size + base).digest()
delta = bytearray(number(size) + number(promised))
left = promised if honest else 1
while left:
    piece = min(left, size)
    delta += b"\xf0" + struct.pack("<I", piece)[:3]
    left -= piece
entries = [
    (base_id, header(3, size) + zlib.compress(base)),
    (bytes(20), header(7, len(delta)) + base_id + zlib.compress(bytes(delta))),
]
pack = bytearray(b"PACK" + struct.pack(">II", 2, len(entries)))
rows = []
for name, data in entries:
    rows.append((name, zlib.crc32(data), len(pack)))
    pack += data
pack += hashlib.sha1(pack).digest()
rows.sort()
index = bytearray(b"\xfftOc" + struct.pack(">I", 2))
for byte in range(256):
    index += struct.pack(">I", sum(1 for row in rows if row[0][0] <= byte))
index += b"".join(row[0] for row in rows)
index += b"".join(struct.pack(">I", row[1]) for row in rows)
index += b"".join(struct.pack(">I", row[2]) for row in rows)
index += pack[-20:]
index += hashlib.sha1(index).digest()
path = place + "/pack-" + pack[-20:].hex()
open(path + ".pack", "wb").write(pack)
open(path + ".idx", "wb").write(index)
"#;

#[test]
fn a_delta_that_promises_gigabytes_is_refused_in_little_memory() {
    let sandbox = Sandbox::new();
    let found = sandbox
        .command("python3", &sandbox.home())
        .arg("-V")
        .output();
    if !found.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: without python3, no delta bomb can be made here");
        return;
    }
    for kind in ["a lie", "honest"] {
        let scene = Scene::new();
        let packs = mkdir(&scene.source, ".git/objects/pack");
        let mut python = scene.sandbox.command("python3", &scene.sandbox.home());
        python.args(["-c", BOMB]).arg(&packs).arg(kind);
        let _said = bounded(python, "python3").succeeded();
        let untouched = Fingerprint::of(&scene.source);
        let mut command = scene.sandbox.command("sh", &scene.source);
        command.args(["-c", "ulimit -v 2097152 && exec \"$0\" snapshot"]);
        command.arg(env!("CARGO_BIN_EXE_git-vault"));
        let said = bounded(command, "git-vault snapshot, in 2 GiB of memory");
        let code = refusal(&said).unwrap_or_else(|found| panic!("{kind}: {found}"));
        assert_eq!(code.exit(), 20, "{kind}: the source is to blame\n{said}");
        untouched.assert_untouched(&scene.source);
        scene.assert_earlier_snapshot_is_whole();
    }
}

#[test]
fn a_message_that_looks_like_the_end_of_a_record_survives() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let digest = "0".repeat(64);
    let message = format!(
        "first line\n\n# blake3 {digest}\n# signature {digest}\n[source]\n\"\"\"\n'''\n# blake3 {digest}\n"
    );
    let untouched = Fingerprint::of(&source);
    let original = RepoState::capture(&sandbox, &source, Kind::Workspace);
    let label = format!("# blake3 {digest}");
    let arguments = ["--json", "snapshot", "-m", &message, "-l", &label];
    let sealed = run(&sandbox, &source, &arguments).succeeded().json();
    let id = sealed["snapshot"]["id"].as_str().expect("an id");
    let plain = run(&sandbox, &source, &["snapshot", "-m", "a plain one"]).succeeded();
    assert!(plain.text().starts_with("SEALED"), "{plain}");

    let json = |arguments: &[&str]| {
        let arguments = [&["--json"], arguments].concat();
        run(&sandbox, &source, &arguments).succeeded().json()
    };
    let listed = json(&["list"]);
    let snapshots = listed["snapshots"].as_array().expect("a list");
    assert_eq!(snapshots.len(), 2, "{listed}");
    let same = snapshots.iter().filter(|one| one["id"] == id);
    let told: Vec<_> = same.map(|one| one["message"].clone()).collect();
    assert_eq!(told, [message.as_str()]);
    let told = json(&["show", id]);
    assert_eq!(told["manifest"]["message"], message.as_str());
    assert_eq!(told["manifest"]["labels"][0], label.as_str());
    let text = run(&sandbox, &source, &["list"]).succeeded().text();
    assert_eq!(text.lines().count(), 2, "a line for each snapshot\n{text}");
    let text = run(&sandbox, &source, &["show", id]).succeeded().text();
    let starts = text.lines().filter(|line| line.starts_with('#'));
    assert_eq!(starts.count(), 0, "the message stays in its field\n{text}");
    for level in [
        &["verify"][..],
        &["verify", "--deep"],
        &["verify", "--quick"],
    ] {
        let _said = run(&sandbox, &source, level).succeeded();
    }
    let restored = sandbox.restore(&source, id, "restored");
    let found = RepoState::capture(&sandbox, &restored, Kind::Workspace);
    RepoState::assert_same_workspace(&original, &found);
    untouched.assert_untouched(&source);
}
