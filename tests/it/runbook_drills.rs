//! Every code and every failure class of the runbook is drilled: broken for real, refused in form, mended by its own checklist.
//!
//! The drills are scripts in `tests/runbook`; what they print reads as a transcript.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use git_vault::model::refusal_code::RefusalCode;

use crate::architecture::{read, root};
use crate::laboratory::bounded;
use crate::support::Said;
use crate::support::files::write;

/// Codes that cannot be provoked from outside, with the reason.
const NOT_PROVOKED: [(&str, &str); 0] = [];

/// The drills that one test runs, by the beginning of their names: each drill belongs to one group.
const GROUPS: [&[&str]; 8] = [
    &["GV-0", "GV-10", "GV-11"],
    &["GV-12", "class-two"],
    &["GV-13", "GV-15", "class-the", "class-an"],
    &["GV-14", "GV-2002", "GV-50"],
    &["GV-200"],
    &["GV-21", "GV-22", "GV-23", "class-a-restore", "i-lost-work"],
    &["GV-30", "GV-34", "GV-40", "GV-50", "class-a-snapshot"],
    &["GV-31", "GV-32", "GV-33", "class-a-signature"],
];

fn place() -> PathBuf {
    root().join("tests/runbook")
}

/// The names of all drills, without their endings.
fn drills() -> BTreeSet<String> {
    let entries = fs::read_dir(place()).expect("the drills are read");
    let names = entries.map(|entry| entry.expect("an entry").file_name());
    let names = names.map(|name| name.into_string().expect("a UTF-8 name"));
    names
        .filter_map(|name| name.strip_suffix(".sh").map(str::to_owned))
        .filter(|name| name != "lib")
        .collect()
}

/// The group of a drill: the one with the longest beginning that fits.
fn group_of(drill: &str) -> Option<usize> {
    let fitting = GROUPS.iter().enumerate().flat_map(|(group, beginnings)| {
        let fitting = beginnings
            .iter()
            .filter(|beginning| drill.starts_with(**beginning));
        fitting.map(move |beginning| (beginning.len(), group))
    });
    fitting.max().map(|(_, group)| group)
}

/// A heading as the name of a file.
fn slug(heading: &str) -> String {
    let letters = heading.to_lowercase();
    let words = letters.split(|letter: char| !letter.is_ascii_alphanumeric());
    let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
    words.join("-")
}

fn run_script(script: &Path) -> Said {
    let mut command = Command::new("bash");
    command.arg(script).current_dir(root());
    command.env("GIT_VAULT", env!("CARGO_BIN_EXE_git-vault"));
    bounded(command, &script.display().to_string())
}

/// Runs the drills of a group; each ends safe, or says aloud that it was skipped.
#[track_caller]
fn run_group(group: usize) {
    let mut failed = Vec::new();
    for drill in drills()
        .into_iter()
        .filter(|drill| group_of(drill) == Some(group))
    {
        let said = run_script(&place().join(format!("{drill}.sh")));
        let text = String::from_utf8_lossy(&said.stdout).into_owned();
        let skipped = String::from_utf8_lossy(&said.stderr)
            .lines()
            .find(|line| line.starts_with("SKIPPED: "))
            .map(str::to_owned);
        if let Some(skipped) = skipped {
            eprintln!("{skipped}");
        } else if said.code != Some(0) || !text.ends_with(&format!("{drill}: SAFE\n")) {
            failed.push(format!("{said}"));
        } else {
            eprintln!("{text}");
        }
    }
    assert!(failed.is_empty(), "{}", failed.join("\n"));
}

#[test]
fn every_code_and_every_class_has_a_drill_and_no_drill_is_without_one() {
    let runbook = read("RUNBOOK.md");
    let classes = runbook
        .split("\n## ")
        .find_map(|part| part.strip_prefix("Failure classes\n"))
        .expect("the classes");
    let classes = classes
        .lines()
        .filter_map(|line| line.strip_prefix("### "))
        .map(|heading| format!("class-{}", slug(heading)));
    let first_page = ["i-lost-work-what-now".to_owned()];
    let codes = RefusalCode::ALL.iter().map(|code| code.code().to_owned());
    let codes = codes.filter(|code| !NOT_PROVOKED.iter().any(|(known, _)| known == code));
    let due: BTreeSet<String> = codes.chain(classes).chain(first_page).collect();
    assert_eq!(drills(), due);
    for drill in &due {
        assert!(group_of(drill).is_some(), "no group runs {drill}");
    }
}

#[test]
fn every_drill_of_a_code_shows_it_follows_it_and_says_what_is_safe() {
    let runbook = read("RUNBOOK.md");
    for code in RefusalCode::ALL.iter().map(|code| code.code()) {
        let text = fs::read_to_string(place().join(format!("{code}.sh"))).expect("its drill");
        assert!(
            text.contains("\nrefused "),
            "{code}: the drill shows no refusal"
        );
        assert!(
            text.contains("\nfollow\n"),
            "{code}: the drill follows no checklist"
        );
        assert!(
            text.contains("\nsafe \""),
            "{code}: the drill does not say what is safe"
        );
        assert!(runbook.contains(&format!("### {code} ")));
    }
}

/// The judge is judged: a drill in which nothing is broken, nothing is followed, or evidence is lost does not pass.
#[test]
fn a_drill_that_shows_nothing_fails() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let library = place().join("lib.sh");
    let broken = "mkdir \"$DIR\" && echo mine >\"$DIR/mine\"\nkeep vault \"$VAULT\"\n";
    let refused = "refused git vault restore \"$SNAP\" \"$DIR\"\n";
    let cases = [
        (
            "refused git vault list\n".to_owned(),
            "a refusal belongs on standard error",
        ),
        (
            format!("{broken}refused_with GV-2102 git vault restore \"$SNAP\" \"$DIR\"\n"),
            "the first line should be",
        ),
        (
            format!("{broken}{refused}skip \"no such command\" \"why\"\nfollow\n"),
            "no step has: no such command",
        ),
        (
            format!("{broken}{refused}gives 3 \"ls -la DIR\"\nfollow\n"),
            "exit status 0, expected 3",
        ),
        (
            format!("{broken}{refused}follow\ndamage \"$VAULT/cache/scan\"\nevidence_kept\n"),
            "is not as it was",
        ),
        (
            format!(
                "{broken}{refused}follow\necho x >>\"$DIR-restored/notes.txt\"\nrestored \"$DIR-restored\"\n"
            ),
            "differ",
        ),
        (
            format!("{broken}{refused}follow\nsafe_in_new_vault\n"),
            "there is no new vault",
        ),
    ];
    let control = format!("{broken}{refused}follow\nevidence_kept\nrestored \"$DIR-restored\"\n");
    for (body, complaint) in cases.into_iter().chain([(control, "GV-2101: SAFE")]) {
        let script = format!(
            "#!/usr/bin/env bash\n. '{}'\nbegin\n{body}finish\n",
            library.display()
        );
        write(directory.path(), "GV-2101.sh", script);
        let said = run_script(&directory.path().join("GV-2101.sh"));
        let text = said.to_string();
        if text.contains("SKIPPED: ") {
            eprintln!("SKIPPED: drills do not run here");
            return;
        }
        assert_eq!(said.code == Some(0), complaint.ends_with("SAFE"), "{said}");
        assert!(text.contains(complaint), "{complaint}\n{said}");
    }
}

#[test]
fn places_names_and_settings_end_safe() {
    run_group(0);
}

#[test]
fn keys_end_safe() {
    run_group(1);
}

#[test]
fn a_vault_that_is_not_healthy_ends_safe() {
    run_group(2);
}

#[test]
fn what_moves_at_the_same_time_ends_safe() {
    run_group(3);
}

#[test]
fn sources_that_cannot_be_captured_end_safe() {
    run_group(4);
}

#[test]
fn restores_and_lost_work_end_safe() {
    run_group(5);
}

#[test]
fn damaged_and_incomplete_vaults_end_safe() {
    run_group(6);
}

#[test]
fn vaults_that_are_not_what_was_signed_end_safe() {
    run_group(7);
}
