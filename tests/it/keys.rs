//! Keys: a second copy is made and proven to exist, brings the vault back on another machine, another key takes over, and a
//! key that somebody else had is not believed.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::crash::{can_trace, count_calls, points, traced};
use crate::laboratory::{Laboratory, Restored, refusal};
use crate::support::Said;
use crate::support::files::{append, write};
use crate::support::listing;

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

fn keys(laboratory: &Laboratory) -> PathBuf {
    laboratory.sandbox.path("config/git-vault/keys")
}

pub fn key_files(laboratory: &Laboratory) -> Vec<PathBuf> {
    let mut files = Vec::new();
    for vault in fs::read_dir(keys(laboratory)).expect("the keys are read") {
        let vault = vault.expect("an entry").path();
        let entries = fs::read_dir(vault).expect("the keys of a vault are read");
        files.extend(entries.map(|entry| entry.expect("an entry").path()));
    }
    files.sort();
    files
}

/// The id of the first of the keys, by name.
pub fn first_key(laboratory: &Laboratory) -> String {
    let files = key_files(laboratory);
    let name = files[0].file_stem().expect("a name");
    name.to_str().expect("UTF-8").to_owned()
}

/// The machine is lost: keys and what was seen are gone.
fn lose_machine(laboratory: &Laboratory) {
    for name in ["config", "state"] {
        fs::remove_dir_all(laboratory.sandbox.path(name)).expect("the directory is removed");
        fs::create_dir(laboratory.sandbox.path(name)).expect("an empty one is made");
    }
}

fn kit(laboratory: &Laboratory) -> PathBuf {
    let kit = laboratory.sandbox.path("kit.txt");
    if kit.exists() {
        fs::remove_file(&kit).expect("the old kit is removed");
    }
    let _said = laboratory.run(&["key", "export", text(&kit)]).succeeded();
    kit
}

#[track_caller]
fn assert_all_restore(laboratory: &Laboratory) {
    for sealed in &laboratory.sealed {
        match laboratory.restore_or_refuse(sealed) {
            Restored::Whole => {}
            Restored::Refused(said) => panic!("a restore was refused\n{said}"),
            Restored::Wrong(what) => panic!("{what}"),
        }
    }
}

fn copies(laboratory: &Laboratory) -> usize {
    let said = laboratory.run(&["--json", "status"]);
    said.json()["key_copies"]
        .as_array()
        .expect("an array")
        .len()
}

#[test]
fn a_kit_brings_the_vault_back_on_a_machine_that_has_lost_everything_else() {
    let laboratory = Laboratory::new();
    let kit = kit(&laboratory);
    lose_machine(&laboratory);
    let vault = text(&laboratory.vault);
    let _said = laboratory.run(&["list"]).refused("GV-1201");
    let _said = laboratory
        .run(&["--vault", vault, "key", "import", text(&kit)])
        .succeeded();
    let _said = laboratory.run(&["verify", "--deep"]).succeeded();
    assert_all_restore(&laboratory);
}

#[test]
fn a_kit_can_be_typed_in_again_by_a_person() {
    let laboratory = Laboratory::new();
    let written = fs::read_to_string(kit(&laboratory)).expect("the kit is read");
    lose_machine(&laboratory);
    let typed: String = written
        .lines()
        .filter(|line| {
            let word = line.split_whitespace().next().unwrap_or_default();
            word.parse::<u8>().is_ok() || ["key", "end", "git-vault"].contains(&word)
        })
        .map(|line| {
            let is_words = line.starts_with(|first: char| first.is_ascii_alphabetic());
            let typed = line.to_lowercase();
            let typed = if is_words {
                typed
            } else {
                typed.replace('0', "o")
            };
            format!("  {typed}  \n")
        })
        .collect();
    let typed = write(&laboratory.sandbox.path(""), "typed.txt", typed);
    let _said = laboratory.run(&["key", "import", text(&typed)]).succeeded();
    let _said = laboratory.run(&["verify"]).succeeded();
}

#[test]
fn a_kit_with_any_line_wrong_is_refused_and_nothing_is_stored() {
    let laboratory = Laboratory::new();
    let written = fs::read_to_string(kit(&laboratory)).expect("the kit is read");
    lose_machine(&laboratory);
    let numbered: Vec<usize> = written
        .lines()
        .enumerate()
        .filter(|(_, line)| {
            let word = line.split_whitespace().next().unwrap_or_default();
            word.parse::<u8>().is_ok() || word == "end"
        })
        .map(|(place, _)| place)
        .collect();
    assert_eq!(numbered.len(), 8, "{written}");
    for place in numbered {
        let wrong: Vec<String> = written
            .lines()
            .enumerate()
            .map(|(number, line)| {
                if number != place {
                    return line.to_owned();
                }
                let last = if line.ends_with('Z') { "Y" } else { "Z" };
                format!("{}{last}", &line[..line.len() - 1])
            })
            .collect();
        let file = write(
            &laboratory.sandbox.path(""),
            "wrong.txt",
            wrong.join("\n") + "\n",
        );
        let _said = laboratory
            .run(&["key", "import", text(&file)])
            .refused("GV-1204");
        assert!(!keys(&laboratory).exists(), "nothing may be stored");
    }
}

#[test]
fn keys_that_do_not_open_the_vault_are_not_stored() {
    let laboratory = Laboratory::new();
    let other = Laboratory::new();
    let foreign = kit(&other);
    lose_machine(&laboratory);
    let _said = laboratory
        .run(&["key", "import", text(&foreign)])
        .refused("GV-1201");
    assert!(!keys(&laboratory).exists());
    laboratory.reset();
    let before = key_files(&laboratory);
    let _said = laboratory
        .run(&["key", "import", text(&foreign)])
        .refused("GV-1204");
    assert_eq!(key_files(&laboratory), before);
    let rubbish = write(&laboratory.sandbox.path(""), "rubbish", b"\xff\xfe\n");
    let _said = laboratory
        .run(&["key", "import", text(&rubbish)])
        .refused("GV-1204");
}

#[test]
fn a_key_file_that_was_copied_is_imported_and_never_written_over_another() {
    let laboratory = Laboratory::new();
    let file = key_files(&laboratory).pop().expect("a key");
    let copy = laboratory.sandbox.path("copy.key");
    fs::copy(&file, &copy).expect("the key is copied");
    lose_machine(&laboratory);
    let _said = laboratory.run(&["key", "import", text(&copy)]).succeeded();
    let again = laboratory
        .run(&["--json", "key", "import", text(&copy)])
        .succeeded()
        .json();
    assert_eq!(again["keys"][0]["stored"], false, "{again}");
    fs::write(&file, "rubbish").expect("the key is damaged");
    let _said = laboratory
        .run(&["key", "import", text(&copy)])
        .refused("GV-1203");
    assert_eq!(fs::read(&file).expect("the file is read"), b"rubbish");
}

#[test]
fn status_asks_for_a_second_copy_until_one_is_confirmed() {
    let laboratory = Laboratory::new();
    let is_asked_for = || {
        let said = laboratory.run(&["--json", "status"]);
        assert_eq!(said.code, Some(3), "{said}");
        let answer = said.json();
        let attention = answer["attention"].as_array().expect("an array").clone();
        attention
            .iter()
            .any(|one| one["about"] == "keys" && one["severity"] == 2)
    };
    assert!(is_asked_for());
    let kit = kit(&laboratory);
    assert!(is_asked_for(), "a kit that nobody confirmed is no copy");
    let _said = laboratory
        .run(&["key", "confirm", "--kit", text(&kit)])
        .succeeded();
    assert!(!is_asked_for());
    let _said = laboratory.run(&["key", "status"]).succeeded();
    let _said = laboratory.run(&["key", "rotate"]).succeeded();
    assert!(is_asked_for(), "the new key has no copy");
    let _said = laboratory
        .run(&["key", "confirm", "--kit", text(&kit)])
        .refused("GV-1204");
    assert!(is_asked_for(), "a kit from before lacks the new key");
}

/// Starts `key confirm`, reads which line it asks for, and types what `answer` gives.
#[track_caller]
fn confirm_by_line(laboratory: &Laboratory, answer: impl Fn(&str) -> String) -> Said {
    let mut command = laboratory.sandbox.vault_command(&laboratory.source);
    command
        .args(["key", "confirm"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut stderr = BufReader::new(child.stderr.take().expect("a stream"));
    let mut asked = Vec::new();
    let _bytes = stderr.read_until(b':', &mut asked).expect("it asks");
    let asked = String::from_utf8(asked).expect("UTF-8");
    let mut stdin = child.stdin.take().expect("a stream");
    writeln!(stdin, "{}", answer(&asked)).expect("the answer is typed");
    drop(stdin);
    let mut rest = Vec::new();
    let _bytes = stderr.read_to_end(&mut rest).expect("the rest is read");
    let mut output = child.wait_with_output().expect("it ends");
    output.stderr = [b"", rest.trim_ascii_start()].concat();
    Said::new("git-vault key confirm".to_owned(), output)
}

#[test]
fn a_kit_is_confirmed_by_typing_the_line_that_is_asked_for() {
    let laboratory = Laboratory::new();
    let _said = laboratory.run(&["key", "rotate"]).succeeded();
    let written = fs::read_to_string(kit(&laboratory)).expect("the kit is read");
    let active = written
        .split("key ")
        .find(|block| block.contains("(active)"))
        .expect("the block of the key that signs");
    let line = |asked: &str| {
        let number = asked
            .split_whitespace()
            .nth(1)
            .expect("a number")
            .to_owned();
        let found = active
            .lines()
            .find(|line| line.trim_start().starts_with(&format!("{number} ")))
            .expect("the line");
        found.trim().to_owned()
    };
    let said = confirm_by_line(&laboratory, |asked| {
        let line = line(asked);
        let last = if line.ends_with('Z') { "Y" } else { "Z" };
        format!("{}{last}", &line[..line.len() - 1])
    });
    let _said = said.refused("GV-1204");
    assert_eq!(copies(&laboratory), 0);
    let _said = confirm_by_line(&laboratory, |_| String::new()).refused("GV-1204");
    let _said = confirm_by_line(&laboratory, |asked| line(asked).to_lowercase()).succeeded();
    assert_eq!(copies(&laboratory), 1);
}

#[test]
fn a_kit_is_written_to_a_new_file_outside_of_all_that_it_protects() {
    let laboratory = Laboratory::new();
    let taken = laboratory.sandbox.path("taken");
    fs::write(&taken, "mine").expect("the file is written");
    let _said = laboratory
        .run(&["key", "export", text(&taken)])
        .refused("GV-1204");
    assert_eq!(fs::read(&taken).expect("the file is read"), b"mine");
    for place in [
        laboratory.source.join("kit.txt"),
        laboratory.vault.join("kit.txt"),
        keys(&laboratory).join("kit.txt"),
        laboratory.sandbox.path("state/git-vault/kit.txt"),
    ] {
        let said = laboratory.run(&["key", "export", text(&place)]);
        let code = refusal(&said).expect("a refusal");
        assert!(["GV-1204", "GV-1004"].contains(&code.code()), "{said}");
        assert!(!place.exists(), "{place:?}");
    }
    let kit = kit(&laboratory);
    let mode = std::os::unix::fs::PermissionsExt::mode(
        &fs::metadata(kit)
            .expect("the kit is looked at")
            .permissions(),
    );
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn an_escrow_brings_the_keys_back_with_its_passphrase_and_no_other() {
    let laboratory = Laboratory::new();
    let _said = laboratory.run(&["key", "rotate"]).succeeded();
    write(
        &laboratory.sandbox.path(""),
        "passphrase",
        "correct horse\n",
    );
    write(&laboratory.sandbox.path(""), "wrong", "correct horsf\n");
    write(&laboratory.sandbox.path(""), "empty", "\n");
    let file = |name: &str| laboratory.sandbox.path(name);
    let _said = laboratory
        .run(&["key", "escrow", "--passphrase-file", text(&file("empty"))])
        .refused("GV-1204");
    let _said = laboratory
        .run(&[
            "key",
            "escrow",
            "--passphrase-file",
            text(&file("passphrase")),
        ])
        .succeeded();
    assert_eq!(copies(&laboratory), 1);
    lose_machine(&laboratory);
    let import = |name: &str| {
        let file = file(name);
        laboratory.run(&[
            "key",
            "import",
            "--escrow",
            "--passphrase-file",
            text(&file),
        ])
    };
    let _said = import("wrong").refused("GV-1204");
    assert!(!keys(&laboratory).exists());
    let _said = import("passphrase").succeeded();
    assert_eq!(key_files(&laboratory).len(), 2);
    let _said = laboratory.run(&["verify", "--deep"]).succeeded();
    assert_all_restore(&laboratory);
}

#[test]
fn a_wrapped_key_that_the_log_names_may_not_go_missing_and_no_other_file_may_come() {
    let laboratory = Laboratory::new();
    write(
        &laboratory.sandbox.path(""),
        "passphrase",
        "correct horse\n",
    );
    let passphrase = laboratory.sandbox.path("passphrase");
    let _said = laboratory
        .run(&["key", "escrow", "--passphrase-file", text(&passphrase)])
        .succeeded();
    let escrow = laboratory.vault.join("escrow");
    let wrapped = fs::read_dir(&escrow)
        .expect("the directory is read")
        .next()
        .expect("a file")
        .expect("an entry")
        .path();
    let bytes = fs::read(&wrapped).expect("the file is read");
    fs::remove_file(&wrapped).expect("the file is removed");
    let _said = laboratory.run(&["verify"]).refused("GV-3002");
    fs::write(&wrapped, &bytes[1..]).expect("the file is cut");
    let _said = laboratory.run(&["verify"]).refused("GV-3001");
    fs::write(&wrapped, &bytes).expect("the file is put back");
    let _said = laboratory.run(&["verify"]).succeeded();
    for name in ["note.txt", "0123456789abcdef-00000000.wrapped"] {
        fs::write(escrow.join(name), &bytes).expect("a file is planted");
        let _said = laboratory.run(&["verify"]).refused("GV-3103");
        fs::remove_file(escrow.join(name)).expect("the file is removed");
    }
}

#[test]
fn after_a_rotation_the_old_key_proves_and_the_new_one_signs() {
    let laboratory = Laboratory::new();
    let old = key_files(&laboratory);
    let _said = laboratory.run(&["key", "rotate"]).succeeded();
    append(&laboratory.source, "README.md", "signed by the new key\n");
    let id = laboratory.sandbox.snapshot(&laboratory.source);
    let _said = laboratory.run(&["verify", "--deep"]).succeeded();
    assert_all_restore(&laboratory);
    let manifest = laboratory
        .vault
        .join("snapshots")
        .join(id)
        .join("manifest.toml");
    let manifest = fs::read_to_string(manifest).expect("the manifest is read");
    let signature = manifest.lines().last().expect("a signature");
    let old_id = old[0]
        .file_stem()
        .expect("a name")
        .to_str()
        .expect("UTF-8")
        .to_owned();
    assert!(!signature.contains(&old_id), "{signature}");
    let now = key_files(&laboratory);
    assert_eq!(now.len(), 2);
    for file in &now {
        let away = laboratory.sandbox.path("away.key");
        fs::rename(file, &away).expect("a key is lost");
        let _said = laboratory.run(&["list"]).refused("GV-1201");
        fs::rename(&away, file).expect("the key is back");
    }
}

/// Records signed with the old key after the rotation, and a rotation that the new key did not confirm, are refused.
#[test]
fn a_log_that_goes_on_with_the_old_key_is_refused() {
    let laboratory = Laboratory::new();
    append(&laboratory.source, "README.md", "before\n");
    let _id = laboratory.sandbox.snapshot(&laboratory.source);
    let count = fs::read_dir(laboratory.vault.join("log"))
        .expect("the log")
        .count();
    let with_old_key =
        fs::read(laboratory.vault.join(format!("log/{count:08}.toml"))).expect("the entry is read");
    laboratory.reset();
    let _said = laboratory.run(&["key", "rotate"]).succeeded();
    let entry = fs::read_dir(laboratory.vault.join("log"))
        .expect("the log")
        .count()
        + 1;
    fs::write(
        laboratory.vault.join(format!("log/{entry:08}.toml")),
        &with_old_key,
    )
    .expect("the entry is planted");
    let _said = laboratory.run(&["verify"]).refused("GV-3101");
}

#[test]
fn what_a_compromised_key_signed_later_is_not_accepted_and_what_it_signed_before_is() {
    let laboratory = Laboratory::new();
    let key = first_key(&laboratory);
    let second = laboratory.run(&["--json", "list"]).succeeded().json();
    let second = second["snapshots"][1]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let entry_of_second = (1_u64..)
        .find(|entry| {
            let path = laboratory.vault.join(format!("log/{entry:08}.toml"));
            fs::read_to_string(path)
                .expect("an entry")
                .contains(&second)
        })
        .expect("the entry");
    let since = (entry_of_second - 1).to_string();
    let state = ["key", "compromise", &key[..6], "--since", &since];
    let said = laboratory.run(&state).refused("GV-1006");
    assert!(String::from_utf8_lossy(&said.stderr).contains("git vault key rotate"));
    let _said = laboratory.run(&["key", "rotate"]).succeeded();
    let _said = laboratory
        .run(&["key", "compromise", "ffffffffffffffff", "--since", "1"])
        .refused("GV-1006");
    let _said = laboratory
        .run(&["key", "compromise", &key, "--since", "999"])
        .refused("GV-1006");
    let said = laboratory.run(&["--json"].iter().chain(&state).copied().collect::<Vec<_>>());
    assert_eq!(said.clone().succeeded().json()["doubtful"], 2, "{said}");

    assert!(matches!(
        laboratory.restore_or_refuse(&laboratory.sealed[0]),
        Restored::Whole
    ));
    for sealed in &laboratory.sealed[1..] {
        let Restored::Refused(said) = laboratory.restore_or_refuse(sealed) else {
            panic!("a doubtful snapshot was restored");
        };
        assert_eq!(
            refusal(&said).map(|code| code.code()),
            Ok("GV-3105"),
            "{said}"
        );
        let _said = laboratory.run(&["verify", &sealed.id]).refused("GV-3105");
    }
    // The index was signed with that key, too.
    let _said = laboratory.run(&["list"]).refused("GV-1501");
    let _said = laboratory.run(&["index", "rebuild"]).succeeded();
    let listed = laboratory.run(&["list"]).succeeded().text();
    assert_eq!(listed.matches("DOUBTFUL").count(), 2, "{listed}");
    let verified = laboratory.run(&["--json", "verify"]).succeeded().json();
    assert_eq!(verified["doubtful"], 2, "{verified}");
    assert_eq!(verified["snapshots"].as_array().expect("an array").len(), 1);
    append(&laboratory.source, "README.md", "new work\n");
    let said = laboratory.run(&["snapshot"]).refused("GV-3105");
    assert!(String::from_utf8_lossy(&said.stderr).contains("git vault init --new"));
    let before = laboratory.vault_listing();
    let _said = laboratory.run(&["init", "--new"]).succeeded();
    let _said = laboratory.run(&["snapshot"]).succeeded();
    let changes = listing::differences("old vault", &before, &laboratory.vault_listing());
    assert!(changes.is_empty(), "{}", changes.join("\n"));
}

#[test]
fn without_its_key_a_vault_is_said_to_be_whole_or_not_and_never_called_valid() {
    let laboratory = Laboratory::new();
    lose_machine(&laboratory);
    let before = laboratory.vault_listing();
    let said = laboratory.run(&["verify"]).refused("GV-1201");
    let stderr = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(stderr.contains("INTACT-UNPROVEN"), "{said}");
    for word in ["VERIFIED", "SEALED", "PROVEN "] {
        assert!(
            !stderr.replace("INTACT-UNPROVEN", "").contains(word),
            "{said}"
        );
    }
    for name in laboratory.files() {
        let matters = name.ends_with(b".pack")
            || name.ends_with(b".idx")
            || name.starts_with(b"log/")
            || name.ends_with(b"/manifest.toml")
            || name == b"vault.toml";
        if matters {
            let path = crate::support::files::at(&laboratory.vault, &name);
            let bytes = fs::read(&path).expect("the file is read");
            let mut changed = bytes.clone();
            let place = changed.len() / 2;
            changed[place] ^= 1;
            fs::write(&path, changed).expect("the file is damaged");
            let said = laboratory.run(&["verify"]);
            let stderr = String::from_utf8_lossy(&said.stderr).into_owned();
            assert!(said.code != Some(0) && !stderr.contains("INTACT"), "{said}");
            fs::write(&path, bytes).expect("the file is put back");
        }
    }
    let changes = listing::differences("vault", &before, &laboratory.vault_listing());
    assert!(
        changes.iter().all(|change| change.contains("mtime")),
        "{changes:?}"
    );
}

#[test]
fn a_new_vault_names_the_one_whose_key_was_lost() {
    let laboratory = Laboratory::new();
    lose_machine(&laboratory);
    let _said = laboratory.run(&["snapshot"]).refused("GV-1201");
    let _said = laboratory.run(&["init", "--new"]).succeeded();
    let _said = laboratory.run(&["snapshot"]).succeeded();
    let vaults = crate::laboratory::vaults(&laboratory.sandbox);
    let new = vaults
        .iter()
        .find(|vault| **vault != laboratory.vault)
        .expect("a new vault");
    let genesis = fs::read_to_string(new.join("log/00000001.toml")).expect("the first entry");
    assert!(genesis.contains("[predecessor]"), "{genesis}");
    assert!(genesis.contains(text(&laboratory.vault)), "{genesis}");
}

/// Whenever a rotation is interrupted, the vault opens with the keys that are there, and the next rotation works.
#[test]
fn a_rotation_killed_anywhere_leaves_a_working_key() {
    if !can_trace("kill during key rotate") {
        return;
    }
    let laboratory = Laboratory::new();
    let rotate = ["key", "rotate"];
    let counts = count_calls(&laboratory.sandbox, &laboratory.source, &rotate);
    laboratory.reset();
    let mut tried = 0;
    for call in [
        "write",
        "fsync",
        "linkat",
        "link",
        "renameat2",
        "rename",
        "unlink",
        "mkdir",
    ] {
        let Some(count) = counts.get(call) else {
            continue;
        };
        for number in points(*count, 20) {
            let inject = format!("inject={call}:signal=KILL:when={number}");
            let trace = format!("trace={call}");
            let _said = traced(
                &laboratory.sandbox,
                &laboratory.source,
                &[&trace, &inject],
                &rotate,
            );
            tried += 1;
            let _said = laboratory.run(&["verify"]).succeeded();
            let _said = laboratory.run(&rotate).succeeded();
            let _said = laboratory.run(&["verify"]).succeeded();
            assert!(matches!(
                laboratory.restore_or_refuse(&laboratory.sealed[1]),
                Restored::Whole
            ));
            laboratory.reset();
        }
    }
    eprintln!("kill during key rotate: {tried} points");
    assert!(tried > 5);
}

/// What this machine keeps of a compromised key follows an earlier statement, and never a later one.
#[test]
fn a_second_statement_narrows_what_is_believed_of_a_key_and_never_widens_it() {
    let laboratory = Laboratory::new();
    let key = first_key(&laboratory);
    let _said = laboratory.run(&["key", "rotate"]).succeeded();
    let believed = || {
        let places = laboratory.sandbox.path("state/git-vault/last-seen");
        let entries = fs::read_dir(places).expect("the state is read");
        let file = entries
            .map(|entry| entry.expect("an entry").path())
            .find(|path| path.to_string_lossy().ends_with(".distrusted.toml"))
            .expect("what is kept of the key");
        let text = fs::read_to_string(file).expect("it is read");
        let digests = text
            .split('"')
            .filter(|word| word.len() == 64 && word.bytes().all(|byte| byte.is_ascii_hexdigit()));
        digests.count()
    };
    for (since, due) in [("4", 4), ("2", 2), ("3", 2)] {
        let _said = laboratory
            .run(&["key", "compromise", &key, "--since", since])
            .succeeded();
        assert_eq!(believed(), due, "since {since}");
    }
}
