//! The list of snapshots as a cache: `list` reads it only as far as it agrees with the log, nothing else reads it, and only a
//! person has it made anew.

use std::fs;
use std::path::{Path, PathBuf};

use git_vault::host::keys;
use git_vault::model::ids::{Digest, KeyId};
use git_vault::model::log_entry::{Compromise, LogEvent, Rotation};
use git_vault::model::signed::{self, Purpose, SigningKey};
use git_vault::model::timestamp::Timestamp;
use git_vault::vault::inspect::{Homes, Vault};
use serde_json::Value;

use crate::laboratory::{Laboratory, Restored, effort};
use crate::support::files::{append, chmod};
use crate::support::{Said, listing};

fn path(laboratory: &Laboratory) -> PathBuf {
    laboratory.vault.join("cache/index")
}

#[track_caller]
fn text(laboratory: &Laboratory) -> String {
    fs::read_to_string(path(laboratory)).expect("the index is read")
}

/// What stands between the first line and the two last ones.
fn body(text: &str) -> Vec<&str> {
    let lines: Vec<&str> = text.lines().collect();
    lines[1..lines.len() - 2].to_vec()
}

#[track_caller]
fn listed(said: Said) -> Vec<String> {
    let answer = said.succeeded().json();
    let all = answer["snapshots"].as_array().expect("snapshots").clone();
    let id = |snapshot: &Value| snapshot["id"].as_str().expect("an id").to_owned();
    all.iter().map(id).collect()
}

fn ids(laboratory: &Laboratory) -> Vec<String> {
    let sealed = laboratory.sealed.iter();
    sealed.map(|sealed| sealed.id.clone()).collect()
}

fn snapshot(laboratory: &Laboratory) -> String {
    append(&laboratory.source, "README.md", "one more line\n");
    laboratory.sandbox.snapshot(&laboratory.source)
}

/// The vault, opened by the library: for records that the program has no command for.
#[track_caller]
fn opened(laboratory: &Laboratory) -> Vault {
    let homes = Homes {
        keys: laboratory.sandbox.path("config/git-vault/keys"),
        state: laboratory.sandbox.path("state/git-vault"),
    };
    Vault::open(&laboratory.vault, &homes).expect("the vault opens")
}

/// Puts a body under the signature of the vault's own key.
#[track_caller]
fn sign(laboratory: &Laboratory, lines: &[String]) {
    let vault = opened(laboratory);
    let body: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let bytes = signed::sign(&body, Purpose::Index, vault.binding, vault.key());
    fs::write(path(laboratory), bytes.expect("signed")).expect("written");
}

#[test]
fn the_index_is_written_with_every_snapshot_in_the_documented_form() {
    let laboratory = Laboratory::new();
    for count in [3, 4] {
        let text = text(&laboratory);
        assert!(text.starts_with("# git-vault index 1\n"), "{text}");
        let lines: Vec<&str> = text.lines().collect();
        let signed_part: String = lines[..lines.len() - 2]
            .iter()
            .map(|line| format!("{line}\n"))
            .collect();
        let blake3 = Digest::of(signed_part.as_bytes());
        assert_eq!(lines[lines.len() - 2], format!("# blake3 {blake3}"));
        assert!(lines[lines.len() - 1].starts_with("# hmac-sha256 "));
        let body = body(&text);
        let header: Value = serde_json::from_str(body[0]).expect("JSON");
        let mut entries: Vec<_> = fs::read_dir(laboratory.vault.join("log"))
            .expect("the log is read")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        entries.sort();
        let newest = fs::read(entries.last().expect("one")).expect("it is read");
        let expected = format!(
            "{{\"entry\":{},\"entry_blake3\":\"{}\",\"snapshots\":{count}}}",
            entries.len(),
            Digest::of(&newest)
        );
        assert_eq!(body[0], expected);
        assert_eq!(header["snapshots"], count);
        assert_eq!(body.len(), count + 1);
        let shown = listed(laboratory.run(&["--json", "list"]));
        for (line, id) in body[1..].iter().zip(shown) {
            let line: Value = serde_json::from_str(line).expect("JSON");
            let manifest = laboratory
                .vault
                .join(format!("snapshots/{id}/manifest.toml"));
            let blake3 = Digest::of(&fs::read(manifest).expect("the manifest is read"));
            assert_eq!(line["manifest_blake3"], blake3.to_string());
            assert_eq!(line["manifest"]["snapshot"], id);
            let show = laboratory.run(&["--json", "show", &id]).succeeded().json();
            assert_eq!(line["manifest"], show["manifest"]);
        }
        let _id = snapshot(&laboratory);
    }
}

#[test]
fn list_says_the_same_with_the_index_and_without() {
    let laboratory = Laboratory::new();
    let with = laboratory.run(&["--json", "list"]).succeeded().stdout;
    fs::remove_file(path(&laboratory)).expect("removed");
    let without = laboratory.run(&["--json", "list"]).succeeded().stdout;
    assert_eq!(with, without);
}

/// That the index is used shows where a manifest is damaged: whoever needs the manifest itself refuses.
#[test]
fn list_needs_no_manifest_and_everything_else_does() {
    let laboratory = Laboratory::new();
    let id = &laboratory.sealed[0].id;
    let manifest = laboratory
        .vault
        .join(format!("snapshots/{id}/manifest.toml"));
    let mut bytes = fs::read(&manifest).expect("it is read");
    bytes[100] ^= 1;
    fs::write(&manifest, bytes).expect("it is written");
    assert_eq!(
        listed(laboratory.run(&["--json", "list"])),
        ids(&laboratory)
    );
    let before = laboratory.vault_listing();
    for arguments in [&["show", id][..], &["verify"], &["index", "rebuild"]] {
        let _said = laboratory.run(arguments).refused("GV-3001");
    }
    fs::write(path(&laboratory), b"damaged").expect("written");
    let _said = laboratory.run(&["index", "rebuild"]).refused("GV-3001");
    fs::write(path(&laboratory), text_of(&before)).expect("written");
    fs::remove_file(path(&laboratory)).expect("removed");
    let _said = laboratory.run(&["list"]).refused("GV-3001");
}

fn text_of(listing: &listing::Listing) -> Vec<u8> {
    match &listing[b"cache/index".as_slice()].content {
        listing::Content::Bytes(bytes) => bytes.clone(),
        _ => panic!("the index is a file"),
    }
}

/// `list` refuses, doctor says why, and the vault stays as it is.
#[track_caller]
fn assert_refused(laboratory: &Laboratory, what: &str) {
    let before = laboratory.vault_listing();
    let said = laboratory.run(&["list"]).refused("GV-1501");
    assert_eq!(said.code, Some(15), "{what}\n{said}");
    assert!(
        said.to_string().contains("git vault index rebuild"),
        "{said}"
    );
    let shown = path(laboratory);
    assert!(
        said.to_string().contains(&format!("'{}'", shown.display())),
        "{said}"
    );
    let said = laboratory.run(&["--json", "doctor"]);
    assert_eq!(said.code, Some(3), "{what}\n{said}");
    assert!(said.to_string().contains("GV-1501 index-damaged"), "{said}");
    let mut after = laboratory.vault_listing();
    if let Some(cache) = after.get_mut(b"cache".as_slice()) {
        cache.mtime_nanoseconds = before[b"cache".as_slice()].mtime_nanoseconds;
    }
    let changes = listing::differences("vault", &before, &after);
    assert!(changes.is_empty(), "{what}: {changes:?}");
}

/// The index is made anew, the damaged one is still there, and all snapshots are visible.
#[track_caller]
fn assert_rebuilt(laboratory: &Laboratory, what: &str) {
    let evidence = fs::read(path(laboratory)).ok();
    let said = laboratory.run(&["--json", "index", "rebuild"]).succeeded();
    let answer = said.json();
    let shown = listed(laboratory.run(&["--json", "list"]));
    assert_eq!(answer["snapshots"], shown.len(), "{what}");
    assert_eq!(shown[..3], ids(laboratory), "{what}");
    let aside = Path::new(answer["set_aside"].as_str().expect("where it lies"));
    assert!(aside.symlink_metadata().is_ok(), "{what}: kept");
    assert!(aside.starts_with(laboratory.vault.join("cache")));
    if let Some(evidence) = evidence {
        assert_eq!(fs::read(aside).expect("it is read"), evidence, "{what}");
    }
}

#[test]
fn a_damaged_index_is_refused_by_list_and_by_nothing_else() {
    let laboratory = Laboratory::new();
    let index = path(&laboratory);
    let whole = fs::read(&index).expect("the index is read");
    let mut cases: Vec<(String, Vec<u8>)> = vec![
        ("empty".to_owned(), Vec::new()),
        ("half".to_owned(), whole[..whole.len() / 2].to_vec()),
        ("cut".to_owned(), whole[..whole.len() - 1].to_vec()),
        ("longer".to_owned(), [&whole[..], b"\n"].concat()),
        ("not UTF-8".to_owned(), vec![0xff; 64]),
    ];
    let newer = String::from_utf8(whole.clone()).expect("UTF-8");
    let newer = newer.replacen("index 1", "index 2", 1).into_bytes();
    cases.push(("newer".to_owned(), newer));
    for position in (0..whole.len()).step_by(whole.len() / (5 * effort())) {
        let mut bytes = whole.clone();
        bytes[position] ^= 1;
        cases.push((format!("byte {position}"), bytes));
    }
    for (what, bytes) in cases {
        fs::write(&index, bytes).expect("written");
        assert_refused(&laboratory, &what);
    }
    for arguments in [&["show"][..], &["verify"], &["verify", "--deep"]] {
        let _said = laboratory.run(arguments).succeeded();
    }
    for sealed in &laboratory.sealed {
        let restored = laboratory.restore_or_refuse(sealed);
        assert!(matches!(restored, Restored::Whole), "{}", sealed.id);
    }
    let said = {
        append(&laboratory.source, "README.md", "one more line\n");
        laboratory.run(&["--json", "snapshot"]).succeeded()
    };
    let before = fs::read(&index).expect("it is read");
    let warnings = said.json()["warnings"].to_string();
    assert!(
        warnings.contains("GV-1501") && warnings.contains("index rebuild"),
        "{said}"
    );
    assert_eq!(fs::read(&index).expect("it is read"), before);
    assert_rebuilt(&laboratory, "damaged");
    let left: Vec<_> = fs::read_dir(laboratory.vault.join("cache"))
        .expect("the cache is read")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn what_is_no_file_is_refused_and_set_aside_as_it_is() {
    let laboratory = Laboratory::new();
    let index = path(&laboratory);
    let elsewhere = laboratory.sandbox.path("elsewhere");
    let makers: [(&str, &dyn Fn()); 3] = [
        ("directory", &|| {
            fs::create_dir(&index).expect("made");
            chmod(&index, 0o700);
        }),
        ("symlink", &|| {
            fs::copy(laboratory.sandbox.path("pristine-index"), &elsewhere).expect("copied");
            std::os::unix::fs::symlink(&elsewhere, &index).expect("linked");
        }),
        ("dangling", &|| {
            std::os::unix::fs::symlink("nowhere", &index).expect("linked");
        }),
    ];
    fs::copy(&index, laboratory.sandbox.path("pristine-index")).expect("copied");
    for (what, make) in makers {
        fs::remove_file(&index).expect("removed");
        make();
        assert_refused(&laboratory, what);
        let said = laboratory.run(&["--json", "index", "rebuild"]).succeeded();
        assert!(said.json()["set_aside"].is_string(), "{said}");
        assert!(
            fs::symlink_metadata(&index).expect("one").is_file(),
            "{what}"
        );
    }
    let found = fs::read_dir(laboratory.vault.join("cache")).expect("the cache is read");
    let aside = found
        .map(|entry| entry.expect("an entry").file_name())
        .filter(|name| name.to_string_lossy().starts_with("index.damaged-"));
    assert_eq!(aside.count(), 3, "each is kept, also within one second");
}

/// BLAKE3 needs no key, so whoever changes the index can make it fit; the signature cannot be made to fit.
#[test]
fn a_forged_index_is_refused() {
    let laboratory = Laboratory::new();
    let text = text(&laboratory);
    let lines: Vec<&str> = text.lines().collect();
    let (signed_part, last) = (&lines[..lines.len() - 2], lines[lines.len() - 1]);
    let mut forged: String = signed_part
        .iter()
        .map(|line| format!("{line}\n"))
        .collect::<String>()
        .replacen("\"message\":\"\"", "\"message\":\"forged\"", 1);
    let blake3 = Digest::of(forged.as_bytes());
    forged += &format!("# blake3 {blake3}\n{last}\n");
    fs::write(path(&laboratory), forged).expect("written");
    assert_refused(&laboratory, "forged");
    let vault = opened(&laboratory);
    let stranger = SigningKey::new([7; 32], vault.binding.vault);
    let body: String = body(&text).iter().map(|line| format!("{line}\n")).collect();
    let bytes = signed::sign(&body, Purpose::Index, vault.binding, &stranger).expect("signed");
    fs::write(path(&laboratory), bytes).expect("written");
    assert_refused(&laboratory, "a stranger's key");
    let bytes = signed::sign(&body, Purpose::Log, vault.binding, vault.key()).expect("signed");
    fs::write(path(&laboratory), bytes).expect("written");
    assert_refused(&laboratory, "another purpose");
    assert_rebuilt(&laboratory, "forged");
}

/// Even with the true signature, nothing is believed that the log does not say.
#[test]
fn an_index_that_does_not_agree_with_the_log_is_refused() {
    let laboratory = Laboratory::new();
    let text = text(&laboratory);
    let lines: Vec<String> = body(&text).into_iter().map(str::to_owned).collect();
    let changed = |change: &dyn Fn(&mut Vec<String>)| {
        let mut lines = lines.clone();
        change(&mut lines);
        lines
    };
    let cases: Vec<(&str, Vec<String>)> = vec![
        (
            "one snapshot fewer",
            changed(&|lines| {
                lines.remove(2);
                lines[0] = lines[0].replace("\"snapshots\":3", "\"snapshots\":2");
            }),
        ),
        ("a wrong count", changed(&|lines| drop(lines.remove(2)))),
        ("another order", changed(&|lines| lines.swap(1, 2))),
        ("one twice", changed(&|lines| lines[1] = lines[2].clone())),
        (
            "another message",
            changed(&|lines| {
                lines[1] = lines[1].replace("\"message\":\"\"", "\"message\":\"x\"");
            }),
        ),
        (
            "another manifest",
            changed(&|lines| {
                let zeros = "0".repeat(64);
                lines[1] = format!("{{\"manifest_blake3\":\"{zeros}{}", &lines[1][84..]);
            }),
        ),
        (
            "a space",
            changed(&|lines| lines[1] = lines[1].replacen(':', ": ", 1)),
        ),
        (
            "an unknown field",
            changed(&|lines| lines[1] = lines[1].replacen('{', "{\"x\":1,", 1)),
        ),
        (
            "a later entry",
            changed(&|lines| {
                let header: Value = serde_json::from_str(&lines[0]).expect("JSON");
                let entry = header["entry"].as_u64().expect("a number");
                let (old, new) = (
                    format!("\"entry\":{entry},"),
                    format!("\"entry\":{},", entry + 7),
                );
                lines[0] = lines[0].replace(&old, &new);
            }),
        ),
        (
            "another entry",
            changed(&|lines| {
                let header: Value = serde_json::from_str(&lines[0]).expect("JSON");
                let blake3 = header["entry_blake3"].as_str().expect("a digest");
                lines[0] = lines[0].replace(blake3, &"0".repeat(64));
            }),
        ),
        ("nothing", Vec::new()),
    ];
    for (what, lines) in cases {
        sign(&laboratory, &lines);
        assert_refused(&laboratory, what);
    }
    sign(&laboratory, &lines);
    assert_eq!(
        listed(laboratory.run(&["--json", "list"])),
        ids(&laboratory)
    );
}

#[test]
fn an_index_of_another_vault_is_refused() {
    let laboratory = Laboratory::new();
    let other = Laboratory::new();
    let _bytes = fs::copy(path(&other), path(&laboratory)).expect("copied");
    assert_refused(&laboratory, "another vault's");
    assert_rebuilt(&laboratory, "another vault's");
}

#[test]
fn an_older_index_is_good_for_what_it_knows_and_the_next_snapshot_catches_up() {
    let laboratory = Laboratory::new();
    let older = fs::read(path(&laboratory)).expect("it is read");
    let fourth = snapshot(&laboratory);
    fs::write(path(&laboratory), &older).expect("put back");
    let mut expected = ids(&laboratory);
    expected.push(fourth);
    assert_eq!(listed(laboratory.run(&["--json", "list"])), expected);
    assert_eq!(
        fs::read(path(&laboratory)).expect("read"),
        older,
        "list writes nothing"
    );
    let _said = laboratory.run(&["doctor"]).succeeded();
    expected.push(snapshot(&laboratory));
    assert_eq!(body(&text(&laboratory)).len(), 6);
    assert_eq!(listed(laboratory.run(&["--json", "list"])), expected);
}

#[test]
fn a_missing_index_is_no_error_and_is_made_only_by_a_person() {
    let laboratory = Laboratory::new();
    fs::remove_file(path(&laboratory)).expect("removed");
    assert_eq!(
        listed(laboratory.run(&["--json", "list"])),
        ids(&laboratory)
    );
    let said = {
        append(&laboratory.source, "README.md", "one more line\n");
        laboratory.run(&["--json", "snapshot"]).succeeded()
    };
    assert_eq!(said.json()["warnings"], serde_json::json!([]), "{said}");
    assert!(!path(&laboratory).exists(), "not made by itself");
    let said = laboratory.run(&["doctor"]);
    assert_eq!(said.code, Some(3), "{said}");
    assert!(
        said.text().contains("ATTENTION  index: there is none"),
        "{said}"
    );
    let said = laboratory.run(&["index", "rebuild"]).succeeded();
    assert!(said.text().contains("4 snapshots visible"), "{said}");
    assert!(!said.text().contains("KEPT"), "{said}");
    let _said = laboratory.run(&["doctor"]).succeeded();
    let again = laboratory.run(&["--json", "index", "rebuild"]).succeeded();
    assert_eq!(
        again.json()["set_aside"],
        Value::Null,
        "a good one is no evidence"
    );
}

#[test]
fn rebuild_needs_no_repository_and_touches_nothing_else() {
    let laboratory = Laboratory::new();
    fs::write(path(&laboratory), b"damaged").expect("written");
    let before = laboratory.vault_listing();
    let vault = laboratory.vault.to_str().expect("a UTF-8 path");
    let home = laboratory.sandbox.home();
    let arguments = ["--vault", vault, "index", "rebuild"];
    let _said = laboratory.sandbox.vault(&home, &arguments).succeeded();
    let mut after = laboratory.vault_listing();
    let mut before = before;
    after.retain(|name, _| !name.starts_with(b"cache"));
    before.retain(|name, _| !name.starts_with(b"cache"));
    assert_eq!(listing::differences("vault", &before, &after), [""; 0]);
}

#[test]
fn an_index_signed_by_a_key_that_has_retired_is_good_until_that_key_is_compromised() {
    let laboratory = Laboratory::new();
    let old = rotate(&laboratory);
    assert!(text(&laboratory).contains(&format!("# hmac-sha256 {old} ")));
    assert_eq!(
        listed(laboratory.run(&["--json", "list"])),
        ids(&laboratory)
    );
    let mut vault = opened(&laboratory);
    let since = vault.log.head - 1;
    let compromise = LogEvent::Compromise(Compromise { key: old, since });
    let now = Timestamp::from_seconds(1_800_000_000);
    vault.append(&compromise, now).expect("appended");
    let said = laboratory.run(&["list"]).refused("GV-1501");
    assert!(said.to_string().contains("was in other hands"), "{said}");
    let _said = laboratory.run(&["index", "rebuild"]).succeeded();
    assert_eq!(
        listed(laboratory.run(&["--json", "list"])),
        ids(&laboratory)
    );
    assert!(!text(&laboratory).contains(&old.to_string()));
}

/// Lets a new key sign from now on; gives the old one.
#[track_caller]
fn rotate(laboratory: &Laboratory) -> KeyId {
    let mut vault = opened(laboratory);
    let now = Timestamp::from_seconds(1_800_000_000);
    let (new, _path) = keys::create(&vault.homes.keys, vault.binding.vault, now).expect("a key");
    let old = vault.key().id();
    let previous = vault.log.head_blake3.expect("an entry");
    let number = vault.log.head + 1;
    let countersignature = new
        .countersign(vault.binding, number, previous, old)
        .expect("countersigned");
    let rotation = Rotation {
        key: new.id(),
        countersignature,
    };
    vault
        .append(&LogEvent::Rotate(rotation), now)
        .expect("appended");
    old
}

/// The index is replaced as a whole: whoever looks sees the old one or the new one.
#[test]
fn list_never_meets_a_torn_index() {
    let laboratory = Laboratory::new();
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for _ in 0..6 {
                let _id = snapshot(&laboratory);
                let _said = laboratory.run(&["index", "rebuild"]).succeeded();
            }
        });
        let mut newest = 3;
        let mut looks = 0;
        while !writer.is_finished() {
            let found = listed(laboratory.run(&["--json", "list"])).len();
            assert!(found >= newest, "a snapshot was lost from sight");
            newest = found;
            looks += 1;
        }
        eprintln!("the index was looked at {looks} times");
    });
    assert_eq!(listed(laboratory.run(&["--json", "list"])).len(), 9);
}
