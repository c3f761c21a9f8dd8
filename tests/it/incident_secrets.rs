//! A record of a severe refusal holds no key, no message and no value that may be secret, and no name in it steers a terminal.

use std::fs;
use std::path::{Path, PathBuf};

use crate::incidents::{exhibit, only_record, place, put_foreign_file, text};
use crate::laboratory::{Laboratory, bounded};
use crate::support::files::write;
use crate::support::{Sandbox, listing};

/// All bytes of all files below the place of the records.
fn all_bytes(sandbox: &Sandbox) -> Vec<u8> {
    let mut bytes = Vec::new();
    listing::visit(&place(sandbox), &|_| true, &mut |_, path, metadata| {
        if metadata.is_file() {
            bytes.extend(fs::read(path).expect("a file is read"));
        }
    });
    bytes
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The key files of the sandbox.
pub fn keys(sandbox: &Sandbox) -> Vec<PathBuf> {
    let mut keys = Vec::new();
    listing::visit(
        &sandbox.path("config/git-vault"),
        &|_| true,
        &mut |_, path, metadata| {
            if metadata.is_file() {
                keys.push(path.to_owned());
            }
        },
    );
    keys
}

/// The secret in a key file, as it stands there.
pub fn secret(key: &Path) -> String {
    let text = fs::read_to_string(key).expect("the key is read");
    let line = text
        .lines()
        .find_map(|line| line.strip_prefix("secret = \""));
    line.expect("a secret").trim_end_matches('"').to_owned()
}

#[test]
fn a_key_is_neither_copied_nor_hashed_whatever_name_it_has() {
    let laboratory = Laboratory::new();
    let sandbox = &laboratory.sandbox;
    let other = sandbox.init("other");
    let _file = write(&other, "x", "x");
    let own = keys(sandbox);
    let _id = sandbox.snapshot(&other);
    let key = keys(sandbox)
        .into_iter()
        .find(|key| !own.contains(key))
        .expect("a second key");
    let foreign = laboratory.vault.join("notes.txt");
    type Plant = fn(&Path, &Path);
    let plants: [Plant; 4] = [
        |key, foreign| fs::hard_link(key, foreign).expect("the key is linked"),
        |key, foreign| {
            let _bytes = fs::copy(key, foreign).expect("the key is copied");
        },
        |key, foreign| std::os::unix::fs::symlink(key, foreign).expect("a link is made"),
        |key, foreign| {
            let text = format!(
                "a note\n{}",
                fs::read_to_string(key).expect("the key is read")
            );
            fs::write(foreign, text).expect("the note is written");
        },
    ];
    for plant in plants {
        plant(&key, &foreign);
        let _said = laboratory.run(&["--vault", laboratory.vault.to_str().expect("UTF-8"), "list"]);
        let (_, record) = only_record(sandbox);
        let found = exhibit(&record, &foreign);
        assert_eq!(found.get("blake3"), None, "{found:#?}");
        assert_eq!(found.get("copy"), None, "{found:#?}");
        let noted = all_bytes(sandbox);
        let hash = blake3::hash(&fs::read(&foreign).expect("the key is read")).to_hex();
        assert!(!contains(&noted, secret(&key).as_bytes()));
        assert!(!contains(&noted, hash.as_bytes()));
        fs::remove_file(&foreign).expect("it is removed");
        fs::remove_dir_all(place(sandbox)).expect("the records are removed");
    }
}

#[test]
fn a_record_holds_neither_messages_nor_values_of_variables() {
    let laboratory = Laboratory::new();
    let _path = put_foreign_file(&laboratory);
    let mut command = laboratory.sandbox.vault_command(&laboratory.source);
    command
        .env("GIT_TOKEN", "hunter2")
        .env("UNRELATED", "hunter3");
    command.args([
        "snapshot",
        "-mwritten by a person",
        "--label",
        "of-a-person",
    ]);
    let _said = bounded(command, "snapshot").refused("GV-3103");
    let (_, record) = only_record(&laboratory.sandbox);
    let noted = all_bytes(&laboratory.sandbox);
    for text in ["hunter", "UNRELATED", "written by", "of-a-person"] {
        assert!(!contains(&noted, text.as_bytes()), "{text}: {record:#?}");
    }
    let state = format!(
        "XDG_STATE_HOME={}",
        laboratory.sandbox.path("state").display()
    );
    for text in [
        "GIT_TOKEN",
        "GIT_CONFIG_GLOBAL",
        &state,
        "--message",
        "--label",
    ] {
        assert!(contains(&noted, text.as_bytes()), "{text}: {record:#?}");
    }
}

#[test]
fn names_from_elsewhere_cannot_forge_a_record_or_steer_the_terminal() {
    let laboratory = Laboratory::new();
    let name = "x\ncode = \"GV-0000\"\n\u{1b}[2J\u{9b}31m\u{202e}";
    let _file = write(&laboratory.vault, name, "\u{1b}[2J");
    let _said = laboratory.run(&["list"]).refused("GV-3103");
    let (directory, record) = only_record(&laboratory.sandbox);
    assert_eq!(text(&record, "code"), "GV-3103");
    let written = fs::read_to_string(directory.join("incident.toml")).expect("the record is read");
    let shown = laboratory.run(&["incident", "show"]).succeeded().text();
    let listed = laboratory.run(&["incident", "list"]).succeeded().text();
    let json = laboratory
        .run(&["--json", "incident", "show"])
        .succeeded()
        .text();
    for text in [written, shown, listed, json] {
        let is_foul = |character: char| {
            character.is_control() && character != '\n' || character == '\u{202e}'
        };
        assert!(!text.contains(is_foul), "{text}");
        assert!(
            !text.lines().any(|line| line == "code = \"GV-0000\""),
            "{text}"
        );
    }
}
