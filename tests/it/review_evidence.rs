//! What a review of drills, health and evidence found.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use git_vault::model::ids::{Digest, SnapshotId};
use git_vault::model::log_entry::{
    LogEvent, SetAside, SnapshotRecord, VerifyLevel, VerifyRecord, set_aside_name,
};
use git_vault::model::refusal_code::RefusalCode;
use git_vault::model::timestamp::Timestamp;

use crate::crash::can_trace;
use crate::doctor::Patient;
use crate::drill_compare::open;
use crate::laboratory::{Laboratory, bounded};
use crate::pause::paused;
use crate::support::files::{append, chmod, mkdir, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::mount::{Mount, has_tool};

/// The name of the log entry after the newest.
fn next_entry(vault: &Path) -> String {
    let count = fs::read_dir(vault.join("log")).expect("the log").count();
    format!("log/{:08}.toml", count + 1)
}

#[test]
fn a_snapshot_whose_entry_cannot_be_read_again_is_not_said_to_be_none() {
    if !can_trace("a sealed snapshot that cannot be read again") {
        return;
    }
    let laboratory = Laboratory::new();
    append(&laboratory.source, "README.md", "more\n");
    let entry = laboratory.vault.join(next_entry(&laboratory.vault));
    let shown = entry.to_str().expect("a UTF-8 path");
    let tampering = ["-P", shown, "-e", "inject=openat:error=EIO:when=1"];
    let mut command = laboratory.sandbox.command("strace", &laboratory.source);
    command
        .args(["-f", "-qq", "-o", "/dev/null"])
        .args(tampering);
    command.arg(env!("CARGO_BIN_EXE_git-vault")).arg("snapshot");
    let said = bounded(command, "a snapshot whose entry cannot be read").refused("GV-3003");
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(!text.contains("no snapshot was made"), "{said}");
    assert!(text.contains("was written and made durable"), "{said}");
    let listed = laboratory.run(&["--json", "list"]).succeeded().json();
    assert_eq!(listed["snapshots"].as_array().expect("snapshots").len(), 4);
}

#[test]
fn what_is_recorded_after_a_long_time_finds_its_place_behind_all_others() {
    let laboratory = Laboratory::new();
    let (mut late, mut busy) = (open(&laboratory.sandbox), open(&laboratory.sandbox));
    let event = |up_to| {
        LogEvent::Verify(VerifyRecord {
            level: VerifyLevel::Quick,
            up_to,
            snapshots: 3,
            packs: 1,
            bytes: 0,
            objects: 0,
        })
    };
    let at = Timestamp::from_seconds(1);
    for _ in 0..150 {
        let up_to = busy.log.head;
        let _number = busy.append(&event(up_to), at).expect("an entry");
    }
    let up_to = late.log.head;
    let number = late
        .append(&event(up_to), at)
        .expect("an entry behind all others");
    assert_eq!(number, busy.log.head + 1);
    let _said = laboratory.run(&["verify", "--quick"]).succeeded();
}

#[test]
fn a_drill_removes_more_directories_than_it_may_open_files() {
    if !has_tool("a drill of many directories", "prlimit") {
        return;
    }
    let laboratory = Laboratory::new();
    for number in 0..200 {
        write(&laboratory.source, format!("many/{number}/file"), "x");
    }
    let _said = laboratory.run(&["snapshot"]).succeeded();
    let mut command = laboratory.sandbox.command("prlimit", &laboratory.source);
    command
        .arg("--nofile=120")
        .arg(env!("CARGO_BIN_EXE_git-vault"));
    command.args(["--json", "drill"]);
    let said = bounded(command, "a drill with few files").succeeded();
    let names = fs::read_dir(laboratory.sandbox.path("tmp")).expect("the directory");
    let left: Vec<_> = names
        .map(|name| name.expect("a name").file_name())
        .filter(|name| name.to_string_lossy().starts_with("git-vault-drill-"))
        .collect();
    assert!(left.is_empty(), "{left:?}\n{said}");
}

#[test]
fn a_snapshot_that_does_not_fit_keeps_no_other_from_being_proven() {
    let laboratory = Laboratory::new();
    let place = mkdir(&laboratory.sandbox.home(), "small");
    let Some(_mount) = Mount::tmpfs("size=8m", &place) else {
        eprintln!("SKIPPED: a small tmpfs cannot be mounted here");
        return;
    };
    fs::write(laboratory.source.join("large"), vec![b'x'; 16 << 20]).expect("a large file");
    let _said = laboratory.run(&["snapshot"]).succeeded();
    let shown = place.to_str().expect("a UTF-8 path");
    let arguments = ["drill", "--all", "--scratch", shown];
    let said = laboratory.run(&arguments).refused("GV-2202");
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(text.contains("proven all the same: "), "{said}");
    let listed = laboratory.run(&["--json", "list"]).succeeded().json();
    let proven: Vec<bool> = (0..4)
        .map(|number| listed["snapshots"][number]["drilled"].is_string())
        .collect();
    assert_eq!(proven, [true, true, true, false]);
}

#[test]
fn set_aside_from_another_vault_home_waits_for_a_snapshot_that_is_being_sealed() {
    const NAME: &str = "set-aside beside a snapshot that is being sealed";
    if !can_trace(NAME) || !has_tool(NAME, "flock") {
        return;
    }
    let laboratory = Laboratory::new();
    append(&laboratory.source, "README.md", "more\n");
    laboratory.sandbox.commit(&laboratory.source, "another");
    let home = mkdir(&laboratory.sandbox.home(), "another-vault-home");
    let mut other = laboratory.sandbox.vault_command(&laboratory.source);
    other.env("GIT_VAULT_HOME", &home);
    other.arg("--vault").arg(&laboratory.vault).arg("set-aside");
    other.stdout(Stdio::null()).stderr(Stdio::null());
    let mut running = None;
    // The second time this directory is made durable, the snapshot has its name, and no log entry yet.
    let snapshots = laboratory.vault.join("snapshots");
    let stop = ("fsync", 2, Some(snapshots.as_path()));
    let (said, was_stopped) = paused(
        &laboratory.sandbox,
        &laboratory.source,
        stop,
        &["snapshot"],
        || {
            let mut flock = Command::new("flock");
            flock.arg("-n").arg(laboratory.vault.join("vault.toml"));
            let is_free = flock.arg("true").status().expect("flock starts").success();
            assert!(!is_free, "the snapshot holds its vault");
            running = Some(other.spawn().expect("the program starts"));
        },
    );
    assert!(was_stopped);
    let _said = said.succeeded();
    let mut running = running.expect("the other run");
    assert!(running.wait().expect("it ends").success());
    let _said = laboratory.run(&["verify", "--deep"]).succeeded();
    let listed = laboratory.run(&["--json", "list"]).succeeded().json();
    assert_eq!(listed["snapshots"].as_array().expect("snapshots").len(), 4);
}

#[test]
fn what_was_set_aside_meanwhile_is_never_sealed() {
    let laboratory = Laboratory::new();
    let mut busy = open(&laboratory.sandbox);
    let late = [1_u8, 2].map(|number| (open(&laboratory.sandbox), number));
    let at = Timestamp::from_seconds(1);
    for (mut late, number) in late {
        let id = SnapshotId::from_random([number; 6]);
        let name = [
            id.as_str().to_owned(),
            format!(".incomplete-{}", id.as_str()),
        ];
        let name = name[usize::from(number) - 1].clone();
        let set_aside = LogEvent::SetAside(SetAside {
            directory: set_aside_name([number; 8]),
            name,
            files: 1,
            bytes: 1,
        });
        let _number = busy.append(&set_aside, at).expect("an entry");
        let record = SnapshotRecord {
            id: id.clone(),
            manifest_bytes: 1,
            manifest_blake3: Digest::of(b""),
        };
        let refusal = late
            .append(&LogEvent::Snapshot(record, Vec::new()), at)
            .expect_err("a refusal");
        assert_eq!(refusal.code, RefusalCode::AnotherWriter, "{refusal}");
    }
}

#[test]
fn status_says_that_snapshots_were_refused_because_of_the_vault() {
    let patient = Patient::new();
    let vault = patient.vault.clone();
    chmod(&vault, 0o755);
    let _said = patient.snapshot().refused("GV-1303");
    chmod(&vault, 0o700);
    let said = patient.run(&["status"]);
    assert_eq!(said.code, Some(3), "{said}");
    assert!(said.text().contains("1 in a row since"), "{said}");
    let _said = patient.snapshot().succeeded();
    let said = patient.run(&["status"]);
    assert!(!said.text().contains("in a row since"), "{said}");
}

#[test]
fn doctor_says_when_the_newest_entries_could_not_be_made_durable() {
    if !can_trace("doctor with a log that cannot be made durable") {
        return;
    }
    let patient = Patient::new();
    fs::remove_dir_all(patient.state("last-seen")).expect("the state is removed");
    let log = patient.vault.join("log");
    let shown = log.to_str().expect("a UTF-8 path");
    let tampering = ["inject=fsync:error=EIO"];
    let mut command = patient.sandbox.command("strace", &patient.source);
    command
        .args(["-f", "-qq", "-o", "/dev/null", "-P", shown, "-e"])
        .args(tampering);
    command.arg(env!("CARGO_BIN_EXE_git-vault")).arg("doctor");
    let said = bounded(command, "doctor, the log not durable");
    assert_eq!(said.code, Some(13), "{said}");
    assert!(said.text().starts_with("FAILED     vault: "), "{said}");
}

#[test]
fn an_entry_that_is_not_authentic_and_comes_meanwhile_is_refused_and_noted() {
    const NAME: &str = "a forged entry comes while a vault is looked at";
    if !can_trace(NAME) {
        return;
    }
    let laboratory = Laboratory::new();
    let entry = laboratory.vault.join(next_entry(&laboratory.vault));
    let packs = fs::read_dir(laboratory.vault.join("objects/pack")).expect("the packs");
    let pack = packs
        .map(|name| name.expect("a name").path())
        .find(|path| path.extension().is_some_and(|ending| ending == "pack"))
        .expect("a pack");
    let stops = [
        ("verify", ("openat", 1, Some(pack.as_path()))),
        ("drill", ("syncfs", 1, None)),
    ];
    for (command, stop) in stops {
        let (said, was_stopped) = paused(
            &laboratory.sandbox,
            &laboratory.source,
            stop,
            &[command],
            || fs::write(&entry, "forged\n").expect("it is written"),
        );
        assert!(was_stopped, "{said}");
        let said = said.refused("GV-3001");
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(text.contains("\nNOTED    /"), "{said}");
        laboratory.reset();
    }
}

#[test]
fn a_difference_that_a_drill_finds_is_evidence() {
    let refusal = git_vault::ops::compare::differs(Path::new("/a/b"), "mode 644", "mode 600");
    assert_eq!(refusal.evidence.len(), 1);
    assert_eq!(refusal.evidence[0].path, Path::new("/a/b"));
    assert_eq!(refusal.evidence[0].expected.as_deref(), Some("mode 644"));
    assert_eq!(refusal.evidence[0].found.as_deref(), Some("mode 600"));
}

#[test]
fn figures_replace_nothing_but_figures() {
    let laboratory = Laboratory::new();
    let keys = laboratory.sandbox.path("config/git-vault/keys");
    let first = |directory: &Path| {
        let mut names = fs::read_dir(directory).expect("the directory is read");
        names.next().expect("a name").expect("an entry").path()
    };
    let key = first(&first(&keys));
    let before = fs::read(&key).expect("the key is read");
    let shown = key.to_str().expect("a UTF-8 path");
    let _said = laboratory
        .run(&["status", "--metrics", shown])
        .refused("GV-1005");
    assert_eq!(fs::read(&key).expect("the key is read"), before);
    let file = laboratory.sandbox.path("vault.prom");
    let shown = file.to_str().expect("a UTF-8 path");
    for _ in 0..2 {
        let said = laboratory.run(&["status", "--metrics", shown]);
        assert_eq!(said.code, Some(3), "{said}");
    }
}

#[test]
fn nothing_is_restored_into_another_vault() {
    let laboratory = Laboratory::new();
    let other = laboratory.sandbox.path("other.vault");
    crate::laboratory::copy_tree(&laboratory.vault, &other);
    let before = Fingerprint::of(&other);
    for place in ["workspace", "objects/workspace"] {
        let place = other.join(place);
        let shown = place.to_str().expect("a UTF-8 path");
        let _said = laboratory.run(&["restore", "@", shown]).refused("GV-2102");
    }
    let shown = other.to_str().expect("a UTF-8 path");
    let _said = laboratory
        .run(&["drill", "--scratch", shown])
        .refused("GV-2102");
    before.assert_untouched(&other);
}

#[test]
fn no_log_is_written_where_this_program_keeps_its_own() {
    let laboratory = Laboratory::new();
    for place in [
        "state/git-vault/last-seen/log",
        "state/git-vault/log",
        "data/git-vault/vaults/registry/log",
        "data/git-vault/vaults/log.vault",
    ] {
        let path = laboratory.sandbox.path(place);
        let shown = path.to_str().expect("a UTF-8 path");
        let said = laboratory.run(&["--log-file", shown, "list"]).succeeded();
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(text.contains("no log is written"), "{said}");
        assert!(!path.exists(), "{shown}");
    }
}

#[test]
fn a_record_holds_no_packed_content_of_the_workspace() {
    let laboratory = Laboratory::new();
    let packs = fs::read_dir(laboratory.vault.join("objects/pack")).expect("the packs");
    let packs: Vec<_> = packs
        .map(|name| name.expect("a name").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "pack"))
        .collect();
    for pack in packs {
        let mut bytes = fs::read(&pack).expect("the pack is read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(&pack, bytes).expect("the pack is written");
        let said = laboratory.run(&["--json", "verify"]).refused("GV-3001");
        let answer = said.json();
        let incident = Path::new(answer["incident"].as_str().expect("an incident"));
        let names = fs::read_dir(incident).expect("the incident").count();
        assert_eq!(names, 1, "nothing but the record\n{said}");
        let record = fs::read_to_string(incident.join("incident.toml")).expect("the record");
        assert!(record.contains("blake3 = ") && record.contains("is not copied"));
        laboratory.reset();
    }
}
