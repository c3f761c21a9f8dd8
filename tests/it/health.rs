//! A vault that is not healthy for long: failures in a row are remembered, become a state, and end with a sealed snapshot.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::doctor::Patient;
use crate::support::files::{SECOND, chmod, mkdir, set_mtime};
use crate::support::fingerprint::Fingerprint;
use crate::support::listing;

/// What this machine remembers of failures.
fn note(patient: &Patient) -> Option<(PathBuf, String)> {
    let mut entries = fs::read_dir(patient.state("health")).ok()?;
    let path = entries.next()?.expect("an entry").path();
    let text = fs::read_to_string(&path).expect("the note is read");
    Some((path, text))
}

fn set_first_failed(path: &Path, time: &str) {
    let text = fs::read_to_string(path).expect("the note is read");
    let lines = text.lines().map(|line| {
        if line.starts_with("first_failed") {
            format!("first_failed = \"{time}\"\n")
        } else {
            format!("{line}\n")
        }
    });
    fs::write(path, lines.collect::<String>()).expect("the note is written");
}

#[test]
fn three_failures_over_ten_minutes_are_a_state_and_a_sealed_snapshot_ends_it() {
    let patient = Patient::new();
    chmod(&patient.vault, 0o755);
    for times in 1..=4 {
        let _said = patient.snapshot().refused("GV-1303");
        let (_, text) = note(&patient).expect("a note");
        assert!(text.contains(&format!("times = {times}\n")), "{text}");
        assert!(text.contains("code = \"GV-1303\""), "{text}");
    }
    let (path, _) = note(&patient).expect("a note");
    let meaning = "snapshots were refused";
    let examined = patient.examined();
    examined.assert_found("refusals", "attention", "4 in a row since", 13);
    assert!(examined.said.to_string().contains(meaning));
    set_first_failed(&path, "2024-01-02T03:04:05Z");
    let before = patient.listing();
    let said = patient.snapshot().refused("GV-1305");
    assert_eq!(said.code, Some(13), "{said}");
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    assert!(
        text.starts_with("REFUSED  SEV-1  GV-1305 vault-unhealthy-persistently   exit 13"),
        "{text}"
    );
    for part in [
        "since 2024-01-02T03:04:05Z",
        "5 failures in a row, the newest: GV-1303 vault-permissions: owner or permissions of",
        "its permissions are 755, expected 700",
        "git vault runbook GV-1303",
        "ls -ld",
    ] {
        assert!(text.contains(part), "{part}\n{text}");
    }
    assert_eq!(
        listing::differences("vault", &before, &patient.listing()),
        [""; 0]
    );
    let fact = "5 in a row since 2024-01-02T03:04:05Z, the newest GV-1303";
    let examined = patient.examined();
    examined.assert_found("refusals", "attention", fact, 13);
    assert!(
        examined
            .said
            .to_string()
            .contains("nothing has been protected since then")
    );
    chmod(&patient.vault, 0o700);
    patient
        .examined()
        .assert_found("refusals", "attention", fact, 3);
    let _said = patient.snapshot().succeeded();
    assert!(note(&patient).is_none(), "the note is gone");
    assert_eq!(
        patient.examined().bad(),
        ["incidents"],
        "what was severe stays on record"
    );
    chmod(&patient.vault, 0o755);
    let _said = patient.snapshot().refused("GV-1303");
}

#[test]
fn two_failures_are_no_state_however_far_apart() {
    let patient = Patient::new();
    chmod(&patient.vault, 0o755);
    let _said = patient.snapshot().refused("GV-1303");
    let (path, _) = note(&patient).expect("a note");
    set_first_failed(&path, "2024-01-02T03:04:05Z");
    let _said = patient.snapshot().refused("GV-1303");
    let _said = patient.snapshot().refused("GV-1305");
}

#[test]
fn a_note_that_cannot_be_written_or_read_hides_no_refusal() {
    let patient = Patient::new();
    chmod(&patient.vault, 0o755);
    let health = patient.state("health");
    fs::write(&health, b"in the way").expect("written");
    let said = patient.snapshot().refused("GV-1303");
    assert!(said.to_string().contains("could not be noted"), "{said}");
    assert!(
        said.to_string().contains("its permissions are 755"),
        "{said}"
    );
    assert_eq!(fs::read(&health).expect("it is read"), b"in the way");
    fs::remove_file(&health).expect("removed");
    let _said = patient.snapshot().refused("GV-1303");
    let (path, _) = note(&patient).expect("a note");
    fs::write(&path, b"first_failed = 7\n").expect("written");
    let examined = patient.examined();
    examined.assert_found("refusals", "attention", "cannot understand", 13);
    let _said = patient.snapshot().refused("GV-1303");
    let (_, text) = note(&patient).expect("a note");
    assert!(text.contains("times = 1\n"), "{text}");
}

/// A snapshot that needs no write proves nothing about the vault, and one that was refused for another reason does, if the
/// probe was passed.
#[test]
fn only_a_probe_that_was_passed_ends_a_row_of_failures() {
    let patient = Patient::new();
    chmod(&patient.vault, 0o755);
    let readme = patient.source.join("README.md");
    let original = fs::read(&readme).expect("the file is read");
    let metadata = fs::metadata(&readme).expect("its time");
    let time_ns = i128::from(metadata.mtime()) * SECOND + i128::from(metadata.mtime_nsec());
    let _said = patient.snapshot().refused("GV-1303");
    fs::write(&readme, original).expect("put back");
    set_mtime(&readme, time_ns);
    let said = patient.run(&["snapshot"]).succeeded();
    assert!(said.text().starts_with("UNCHANGED"), "{said}");
    assert!(note(&patient).is_some());
    chmod(&patient.vault, 0o700);
    let _said = patient.run(&["verify"]).succeeded();
    assert!(note(&patient).is_some(), "only snapshots are told by it");
    let _said = patient.snapshot().succeeded();
    assert!(note(&patient).is_none());
}

#[test]
fn a_cache_that_leads_elsewhere_is_not_written_to() {
    let patient = Patient::new();
    let elsewhere = mkdir(&patient.sandbox.home(), "elsewhere");
    let cache = patient.vault.join("cache");
    fs::rename(&cache, patient.sandbox.path("cache-kept")).expect("moved");
    std::os::unix::fs::symlink(&elsewhere, &cache).expect("linked");
    let before = Fingerprint::of(&elsewhere);
    patient
        .examined()
        .assert_found("vault", "failed", "GV-3103", 31);
    fs::remove_dir_all(patient.sandbox.path("config")).expect("the key is lost");
    patient
        .examined()
        .assert_found("write", "failed", "it is not a directory", 12);
    before.assert_untouched(&elsewhere);
}
