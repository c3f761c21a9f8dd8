//! Every severe refusal leaves a record outside the vault: of what was expected and found, with copies of small files. Nothing
//! else is touched, and a record that cannot be written costs nothing but itself.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use git_vault::model::refusal_code::RefusalCode;
use toml::Value;

use crate::damage::make_fifo;
use crate::hostile::{forge, log_entries};
use crate::laboratory::{Laboratory, bounded, copy_tree, refusal};
use crate::support::files::{append, mkdir, symlink, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::{Said, Sandbox};

pub fn place(sandbox: &Sandbox) -> PathBuf {
    sandbox.path("state/git-vault/incidents")
}

/// Every entry in the place of the records, sorted.
pub fn incidents(sandbox: &Sandbox) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(place(sandbox)) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .collect();
    paths.sort();
    paths
}

fn mode(path: &Path) -> u32 {
    let metadata = path.symlink_metadata().expect("its metadata");
    metadata.permissions().mode() & 0o7777
}

/// The one record there is, and its directory.
#[track_caller]
pub fn only_record(sandbox: &Sandbox) -> (PathBuf, Value) {
    let all = incidents(sandbox);
    assert_eq!(all.len(), 1, "one record, not {all:?}");
    let text = fs::read_to_string(all[0].join("incident.toml")).expect("the record is read");
    assert!(text.starts_with("# git-vault incident 1\n"), "{text}");
    assert_eq!(mode(&all[0]), 0o700);
    assert_eq!(mode(&all[0].join("incident.toml")), 0o600);
    let record: toml::Table = text.parse().expect("the record is TOML");
    (all[0].clone(), Value::Table(record))
}

pub fn text<'a>(value: &'a Value, field: &str) -> &'a str {
    value.get(field).and_then(Value::as_str).unwrap_or_default()
}

/// What the record says of one file.
#[track_caller]
pub fn exhibit<'a>(record: &'a Value, path: &Path) -> &'a Value {
    let all = record["evidence"].as_array().expect("evidence");
    all.iter()
        .find(|one| Path::new(text(one, "path")) == path)
        .unwrap_or_else(|| panic!("no evidence on {}: {all:#?}", path.display()))
}

/// One way to break a vault, and what must be noted.
struct Case {
    code: &'static str,
    file: PathBuf,
    kind: &'static str,
    expected: &'static str,
    found: &'static str,
    arguments: Vec<String>,
}

fn case(
    code: &'static str,
    file: &Path,
    kind: &'static str,
    said: (&'static str, &'static str),
) -> Case {
    Case {
        code,
        file: file.to_owned(),
        kind,
        expected: said.0,
        found: said.1,
        arguments: vec!["verify".to_owned()],
    }
}

fn with(arguments: &[&str], case: Case) -> Case {
    Case {
        arguments: arguments.iter().map(ToString::to_string).collect(),
        ..case
    }
}

fn file_with_ending(directory: &Path, ending: &str) -> PathBuf {
    let entries = fs::read_dir(directory).expect("the directory is read");
    let mut paths: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    paths.sort();
    paths.into_iter().next().expect("such a file")
}

type Break = fn(&Laboratory) -> Case;

const CASES: [Break; 17] = [
    |laboratory| {
        let pack = file_with_ending(&laboratory.vault.join("objects/pack"), "pack");
        let mut bytes = fs::read(&pack).expect("the pack is read");
        bytes[40] ^= 1;
        fs::write(&pack, bytes).expect("the pack is written");
        case("GV-3001", &pack, "file", ("BLAKE3 ", "BLAKE3 "))
    },
    |laboratory| {
        let pack = file_with_ending(&laboratory.vault.join("objects/pack"), "idx");
        let bytes = fs::read(&pack).expect("the index is read");
        fs::write(&pack, &bytes[..9]).expect("the index is written");
        with(
            &["list"],
            case("GV-3001", &pack, "file", (" bytes", "9 bytes")),
        )
    },
    |laboratory| {
        let config = append(&laboratory.vault, "config", "[gc]\n");
        with(
            &["list"],
            case("GV-3001", &config, "file", ("BLAKE3 ", "BLAKE3 ")),
        )
    },
    |laboratory| {
        let pack = file_with_ending(&laboratory.vault.join("objects/pack"), "pack");
        fs::remove_file(&pack).expect("the pack is removed");
        case("GV-3002", &pack, "absent", ("to be there", "nothing"))
    },
    |laboratory| {
        let entry = log_entries(&laboratory.vault)[1].clone();
        fs::remove_file(&entry).expect("the entry is removed");
        make_fifo(&entry);
        case("GV-3003", &entry, "fifo", ("", ""))
    },
    |laboratory| {
        let entry = log_entries(&laboratory.vault)[1].clone();
        forge(&entry, "kind = \"snapshot\"", "kind = \"snapshoT\"");
        case(
            "GV-3101",
            &entry,
            "file",
            ("signed with the vault's key", ""),
        )
    },
    |laboratory| {
        let entries = log_entries(&laboratory.vault);
        let bytes = fs::read(&entries[2]).expect("the entry is read");
        fs::write(&entries[1], bytes).expect("the entry is written");
        case("GV-3102", &entries[1], "file", ("entry 2 of", "entry 3 of"))
    },
    |laboratory| {
        let path = write(&laboratory.vault, "objects/info/alternates", "/elsewhere\n");
        case(
            "GV-3103",
            &path,
            "file",
            ("nothing of that kind", "borrows no objects"),
        )
    },
    |laboratory| {
        let path = symlink(&laboratory.vault, "hooks", "/elsewhere");
        case(
            "GV-3103",
            &path,
            "link",
            ("nothing of that kind", "no file of this name"),
        )
    },
    |laboratory| {
        let path = laboratory.vault.join("notes");
        make_fifo(&path);
        case(
            "GV-3103",
            &path,
            "fifo",
            ("nothing of that kind", "no file of this name"),
        )
    },
    |laboratory| {
        let entries = log_entries(&laboratory.vault);
        let newest = entries.last().expect("an entry");
        fs::remove_file(newest).expect("the entry is removed");
        case("GV-3201", newest, "absent", ("at least ", " log entries"))
    },
    |laboratory| {
        let entry = log_entries(&laboratory.vault)[1].clone();
        fs::remove_file(&entry).expect("the entry is removed");
        case("GV-3202", &entry, "absent", ("to be there", "nothing"))
    },
    |laboratory| {
        let entry = log_entries(&laboratory.vault)[1].clone();
        let record = fs::read_to_string(&entry).expect("the entry is read");
        fs::write(&entry, record.replacen("entry 1", "entry 2", 1)).expect("the entry is written");
        case(
            "GV-3301",
            &entry,
            "file",
            ("signed with the vault's key", ""),
        )
    },
    |laboratory| {
        let path = file_with_ending(
            &laboratory.sandbox.path("state/git-vault/last-seen"),
            "toml",
        );
        fs::write(&path, "nonsense").expect("the note is written");
        case("GV-3302", &path, "file", ("", ""))
    },
    |laboratory| {
        let path = mkdir(&laboratory.vault, "snapshots/.incomplete-kmnpqrstvwxy");
        let case = case("GV-4001", &path, "directory", ("a sealed snapshot", ""));
        with(&["show", "kmnpqrstvwxy"], case)
    },
    |laboratory| {
        let path = laboratory.sandbox.path("full");
        let _file = write(&path, "a file", "x");
        let case = case(
            "GV-2101",
            &path,
            "directory",
            ("an absent or empty directory", "'a file'"),
        );
        with(&["restore", "@latest", path.to_str().expect("UTF-8")], case)
    },
    |laboratory| {
        let path = laboratory.vault.join("within");
        let case = case(
            "GV-2102",
            &path,
            "absent",
            ("a place of its own", "the vault"),
        );
        with(&["restore", "@latest", path.to_str().expect("UTF-8")], case)
    },
];

/// Everything the record must say of a case.
#[track_caller]
fn judge(laboratory: &Laboratory, case: &Case, said: &Said) {
    let (directory, record) = only_record(&laboratory.sandbox);
    let code = RefusalCode::parse(case.code).expect("a code");
    let name = directory.file_name().expect("a name").to_string_lossy();
    assert!(name.ends_with(case.code), "{name}");
    assert_eq!(text(&record, "code"), case.code);
    assert_eq!(text(&record, "name"), code.name());
    assert_eq!(record["severity"].as_integer(), Some(1));
    assert_eq!(record["exit"].as_integer(), Some(i64::from(code.exit())));
    let answer = said.json();
    assert_eq!(
        answer["incident"].as_str().map(Path::new),
        Some(&*directory),
        "{said}"
    );
    assert_eq!(answer["not_noted"], serde_json::Value::Null, "{said}");
    for field in ["what", "state", "kept"] {
        assert_eq!(answer[field], text(&record, field), "{field}");
    }
    let command: Vec<&str> = record["command"]
        .as_array()
        .expect("the command")
        .iter()
        .filter_map(Value::as_str)
        .collect();
    let due: Vec<&str> = case
        .arguments
        .iter()
        .map(String::as_str)
        .chain(["--json"])
        .collect();
    assert_eq!(command, due);
    let environment = &record["environment"];
    let vault = Path::new(text(environment, "vault"));
    assert_eq!(vault, laboratory.vault, "{record:#?}");
    assert!(!text(environment, "kernel").is_empty() && !text(environment, "system").is_empty());

    let found = exhibit(&record, &case.file);
    assert_eq!(text(found, "kind"), case.kind, "{found:#?}");
    assert!(
        text(found, "expected").contains(case.expected),
        "{found:#?}"
    );
    assert!(text(found, "found").contains(case.found), "{found:#?}");
    let in_json = answer["evidence"].as_array().expect("evidence");
    let in_json = in_json
        .iter()
        .find(|one| one["path"].as_str() == case.file.to_str());
    let in_json = in_json.unwrap_or_else(|| panic!("no evidence in JSON\n{said}"));
    assert_eq!(
        in_json["expected"].as_str(),
        found.get("expected").and_then(Value::as_str)
    );
    if case.kind == "file" {
        let bytes = fs::read(&case.file).expect("the evidence is read");
        assert_eq!(
            text(found, "blake3"),
            blake3::hash(&bytes).to_hex().as_str()
        );
        assert_eq!(found["bytes"].as_integer(), i64::try_from(bytes.len()).ok());
        if case.file.extension().is_some_and(|ending| ending == "pack") {
            assert!(found.get("copy").is_none(), "{found:#?}");
            return;
        }
        let copy = directory.join(text(found, "copy"));
        assert_eq!(
            fs::read(&copy).expect("a copy"),
            bytes,
            "{}",
            copy.display()
        );
        assert_eq!(mode(&copy), 0o600);
    }
}

#[test]
fn every_severe_refusal_leaves_a_record_and_touches_nothing_else() {
    let laboratory = Laboratory::new();
    let source = Fingerprint::of(&laboratory.sandbox.workplace());
    for (number, make) in CASES.into_iter().enumerate() {
        let case = make(&laboratory);
        let vault = Fingerprint::of(&laboratory.vault);
        let keys = Fingerprint::of(&laboratory.sandbox.path("config"));
        let arguments: Vec<&str> = ["--json"]
            .into_iter()
            .chain(case.arguments.iter().map(String::as_str))
            .collect();
        let said = laboratory.run(&arguments).refused(case.code);
        eprintln!("case {number}: {}", case.code);
        judge(&laboratory, &case, &said);
        vault.assert_untouched(&laboratory.vault);
        keys.assert_untouched(&laboratory.sandbox.path("config"));
        laboratory.reset();
    }
    source.assert_untouched(&laboratory.sandbox.workplace());
}

#[test]
fn the_log_of_another_story_is_noted_with_both_hashes() {
    let laboratory = Laboratory::new();
    append(&laboratory.source, "README.md", "one way\n");
    let _one = laboratory.sandbox.snapshot(&laboratory.source);
    let seen = laboratory.sandbox.path("seen");
    copy_tree(&laboratory.sandbox.path("state"), &seen);
    laboratory.reset();
    for _ in 0..2 {
        append(&laboratory.source, "README.md", "another way\n");
        let _other = laboratory.sandbox.snapshot(&laboratory.source);
    }
    fs::remove_dir_all(laboratory.sandbox.path("state")).expect("the state is removed");
    fs::rename(seen, laboratory.sandbox.path("state")).expect("the state is put back");
    let _said = laboratory.run(&["list"]).refused("GV-3203");
    let (_, record) = only_record(&laboratory.sandbox);
    let entries = log_entries(&laboratory.vault);
    let entry = &entries[entries.len() - 2];
    let found = exhibit(&record, entry);
    let bytes = fs::read(entry).expect("the entry is read");
    let hash = format!("BLAKE3 {}", blake3::hash(&bytes).to_hex());
    assert_eq!(text(found, "found"), hash);
    assert_ne!(text(found, "expected"), hash);
}

/// Breaks a vault in the simplest way.
pub fn put_foreign_file(laboratory: &Laboratory) -> PathBuf {
    write(&laboratory.vault, "notes.txt", "not ours\n")
}

#[test]
fn a_refusal_in_text_says_where_it_is_noted_and_a_lesser_one_is_not_noted() {
    let laboratory = Laboratory::new();
    let _said = laboratory.run(&["show", "nosuchname"]).refused("GV-1101");
    assert!(incidents(&laboratory.sandbox).is_empty());
    let _path = put_foreign_file(&laboratory);
    let said = laboratory.run(&["list"]).refused("GV-3103");
    let (directory, _) = only_record(&laboratory.sandbox);
    let line = format!("NOTED    {}\n", directory.display());
    assert!(
        String::from_utf8_lossy(&said.stderr).contains(&line),
        "{said}"
    );
    let _said = laboratory.run(&["list"]).refused("GV-3103");
    assert_eq!(incidents(&laboratory.sandbox).len(), 2);
}

/// Stops the test unless the vault's refusal was given with the reason that it was not noted.
#[track_caller]
fn assert_not_noted(laboratory: &Laboratory, reason: &str) {
    let said = laboratory.run(&["list"]);
    assert_eq!(
        refusal(&said).map(RefusalCode::code),
        Ok("GV-3103"),
        "{said}"
    );
    let stderr = String::from_utf8_lossy(&said.stderr);
    let line = stderr
        .lines()
        .find(|line| line.starts_with("NOTED    no: "));
    assert!(line.is_some_and(|line| line.contains(reason)), "{said}");
    let answer = laboratory
        .run(&["--json", "list"])
        .refused("GV-3103")
        .json();
    assert_eq!(answer["incident"], serde_json::Value::Null);
    assert!(
        answer["not_noted"]
            .as_str()
            .expect("a reason")
            .contains(reason)
    );
}

#[test]
fn a_record_that_cannot_be_written_costs_nothing_but_itself() {
    let laboratory = Laboratory::new();
    let _path = put_foreign_file(&laboratory);
    let place = place(&laboratory.sandbox);

    fs::write(&place, "a file").expect("the file is written");
    assert_not_noted(&laboratory, "incidents");
    assert_eq!(fs::read(&place).expect("the file is read"), b"a file");
    fs::remove_file(&place).expect("the file is removed");

    let elsewhere = mkdir(&laboratory.sandbox.home(), "elsewhere");
    std::os::unix::fs::symlink(&elsewhere, &place).expect("the link is made");
    assert_not_noted(&laboratory, "incidents");
    assert_eq!(fs::read_dir(&elsewhere).expect("it is read").count(), 0);
    fs::remove_file(&place).expect("the link is removed");

    std::os::unix::fs::symlink(laboratory.sandbox.path("nowhere"), &place)
        .expect("the link is made");
    assert_not_noted(&laboratory, "incidents");
    assert!(
        laboratory
            .sandbox
            .path("nowhere")
            .symlink_metadata()
            .is_err()
    );
    fs::remove_file(&place).expect("the link is removed");

    for number in 0..1000 {
        let _directory = mkdir(&place, format!("20260101-{number:06}-GV-3103"));
    }
    assert_not_noted(&laboratory, "1000 incidents");
    assert_eq!(incidents(&laboratory.sandbox).len(), 1000);
}

#[test]
fn nothing_is_noted_inside_the_vault_the_repository_or_a_full_destination() {
    let laboratory = Laboratory::new();
    let _path = put_foreign_file(&laboratory);
    let sandbox = &laboratory.sandbox;
    for inside in [laboratory.vault.clone(), laboratory.source.clone()] {
        let before = Fingerprint::of(&inside);
        let mut command = sandbox.vault_command(&laboratory.source);
        command
            .env("XDG_STATE_HOME", inside.join("state"))
            .arg("list");
        let said = bounded(command, "list with a state home inside").refused("GV-3103");
        assert!(
            String::from_utf8_lossy(&said.stderr).contains("NOTED    no: "),
            "{said}"
        );
        before.assert_untouched(&inside);
    }
    laboratory.reset();
    let state = sandbox.path("state");
    let before = Fingerprint::of(&state);
    let said = laboratory.run(&["restore", "@latest", state.to_str().expect("UTF-8")]);
    let said = said.refused("GV-2101");
    assert!(
        String::from_utf8_lossy(&said.stderr).contains("NOTED    no: "),
        "{said}"
    );
    before.assert_untouched(&state);
}

#[test]
fn incidents_are_listed_and_shown_by_the_beginning_of_their_names() {
    let laboratory = Laboratory::new();
    let listed = laboratory.run(&["incident", "list"]).succeeded().text();
    assert!(listed.starts_with("INCIDENTS  0 records in "), "{listed}");
    let _said = laboratory.run(&["incident", "show"]).refused("GV-1103");

    let path = put_foreign_file(&laboratory);
    let _said = laboratory.run(&["list"]).refused("GV-3103");
    let (directory, _) = only_record(&laboratory.sandbox);
    let name = directory
        .file_name()
        .expect("a name")
        .to_str()
        .expect("UTF-8")
        .to_owned();
    let answer = laboratory
        .run(&["--json", "incident", "list"])
        .succeeded()
        .json();
    assert_eq!(answer["schema"], "git-vault/incident-list/1");
    assert_eq!(answer["incidents"][0]["id"], *name);
    assert_eq!(answer["incidents"][0]["code"], "GV-3103");
    for arguments in [
        &["incident", "show"][..],
        &["incident", "show", &name[..8]],
        &["incident", "show", &name],
    ] {
        let shown = laboratory.run(arguments).succeeded().text();
        assert!(shown.contains(path.to_str().expect("UTF-8")), "{shown}");
    }
    let answer = laboratory
        .run(&["--json", "incident", "show", &name])
        .succeeded()
        .json();
    assert_eq!(answer["schema"], "git-vault/incident/1");
    assert_eq!(answer["record"]["code"], "GV-3103");
    let _said = laboratory
        .run(&["incident", "show", "1999"])
        .refused("GV-1103");

    fs::write(directory.join("incident.toml"), "nonsense").expect("the record is broken");
    let _said = laboratory.run(&["incident", "show"]).refused("GV-1103");
    let listed = laboratory.run(&["incident", "list"]).succeeded().text();
    assert!(listed.contains("cannot be read"), "{listed}");
}
