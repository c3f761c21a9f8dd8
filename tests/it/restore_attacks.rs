//! Somebody else works in the directory that a restore builds in: nothing outside is ever touched, nothing is overwritten.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::crash::{can_trace, count_calls, points};
use crate::crash_edges::restore_complaints;
use crate::laboratory::{
    Laboratory, assert_none, copy_tree, effort, make_empty, refusal, restore_leftovers,
};
use crate::pause::paused;
use crate::support::Said;
use crate::support::files::{at, mkdir, symlink, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::listing::{self, Content, Listing};

/// Calls at which a restore can be stopped: every one with which it makes or changes something, or opens what it made.
const STEPS: [&str; 10] = [
    "mkdir",
    "mkdirat",
    "openat",
    "symlinkat",
    "write",
    "fchmod",
    "utimensat",
    "unlinkat",
    "syncfs",
    "fsync",
];

/// A restore that is stopped at each of its steps.
struct Attack {
    laboratory: Laboratory,
    /// A place that must never be touched: it looks like a restored workspace.
    outside: PathBuf,
    steps: Vec<(&'static str, usize)>,
    before: Listing,
    outcomes: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

impl Attack {
    fn new() -> Self {
        let laboratory = Laboratory::new();
        let sandbox = &laboratory.sandbox;
        let outside = mkdir(&sandbox.path(""), "outside");
        copy_tree(&laboratory.source, &outside);
        write(&outside, "precious.txt", "precious\n");
        let arguments = arguments(&laboratory);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let counts = count_calls(sandbox, &laboratory.source, &arguments);
        laboratory.sweep_away_restores();
        let mut steps = Vec::new();
        for (call, count) in counts.iter().filter(|(call, _)| STEPS.contains(call)) {
            let few = if effort() >= 10 { *count } else { 3 };
            steps.extend(
                points(*count, few)
                    .into_iter()
                    .map(|number| (*call, number)),
            );
        }
        let before = laboratory.vault_listing();
        Self {
            outside,
            steps,
            before,
            laboratory,
            outcomes: BTreeMap::new(),
            wrong: Vec::new(),
        }
    }

    /// Restores, and lets `attack` work in the staging directory when the run is stopped there.
    fn attempt(
        &self,
        (call, number): (&str, usize),
        attack: &dyn Fn(&Self, &Path),
    ) -> (Said, bool) {
        let arguments = arguments(&self.laboratory);
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let mut is_attacked = false;
        let place = (call, number, None);
        let (sandbox, source) = (&self.laboratory.sandbox, &self.laboratory.source);
        let (said, _) = paused(sandbox, source, place, &arguments, || {
            if let Some(staging) = restore_leftovers(sandbox).first() {
                is_attacked = true;
                attack(self, staging);
            }
        });
        (said, is_attacked)
    }

    fn tally(&mut self, what: &str) {
        *self.outcomes.entry(what.to_owned()).or_default() += 1;
    }

    #[track_caller]
    fn conclude(&self, label: &str) {
        let points: usize = self.outcomes.values().sum();
        eprintln!("{label}: {points} points, {:?}", self.outcomes);
        assert_none(&self.wrong);
        assert!(self.outcomes.contains_key("GV-2301"), "none was refused");
    }
}

fn arguments(laboratory: &Laboratory) -> [String; 3] {
    let out = laboratory.sandbox.path("out");
    let out = out.to_str().expect("a UTF-8 path").to_owned();
    ["restore".to_owned(), laboratory.sealed[1].id.clone(), out]
}

/// Moves a directory away and puts a symlink to another in its place.
fn swap(directory: &Path, aside: &Path, outside: &Path) {
    let place = aside.join(format!(
        "moved-{}",
        fs::read_dir(aside).expect("read").count()
    ));
    if fs::rename(directory, place).is_ok() {
        std::os::unix::fs::symlink(outside, directory).expect("the symlink is made");
    }
}

fn directories_below(directory: &Path) -> Vec<Vec<u8>> {
    let all = listing::list(directory, &|_| true);
    let is_below = |(name, entry): &(Vec<u8>, listing::Entry)| {
        name != b"." && matches!(entry.content, Content::Directory)
    };
    all.into_iter()
        .filter(is_below)
        .map(|(name, _)| name)
        .collect()
}

/// Chooses directories of a staging directory.
type Choice = fn(&Path) -> Vec<PathBuf>;

/// Every directory at the top; the deepest of all; the staging directory itself.
const SWAPS: [(&str, Choice); 3] = [
    ("those at the top", |staging| {
        let names = directories_below(staging).into_iter();
        names
            .filter(|name| !name.contains(&b'/'))
            .map(|name| at(staging, name))
            .collect()
    }),
    ("the deepest", |staging| {
        let names = directories_below(staging).into_iter();
        let deepest = names.max_by_key(|name| name.iter().filter(|byte| **byte == b'/').count());
        deepest.map(|name| at(staging, name)).into_iter().collect()
    }),
    ("the whole", |staging| vec![staging.to_owned()]),
];

#[test]
fn a_directory_that_becomes_a_symlink_under_a_restore_leads_nowhere() {
    let test = "directories that become symlinks";
    if !can_trace(test) {
        return;
    }
    let mut attack = Attack::new();
    let aside = mkdir(&attack.laboratory.sandbox.path(""), "aside");
    let untouched = Fingerprint::of(&attack.outside);
    for (what, chosen) in SWAPS {
        for step in attack.steps.clone() {
            let swap_all = |attack: &Attack, staging: &Path| {
                for directory in chosen(staging) {
                    // Each leads to the directory of its name outside, so that everything in it would find its place.
                    let below = directory.strip_prefix(staging).expect("below");
                    swap(&directory, &aside, &attack.outside.join(below));
                }
            };
            let (said, is_attacked) = attack.attempt(step, &swap_all);
            let point = format!("{what} swapped at {step:?}");
            let touched = untouched.changes(&Fingerprint::of(&attack.outside));
            if !touched.is_empty() {
                attack
                    .wrong
                    .push(format!("=== {point}: {}\n{said}", touched.join("\n")));
            }
            if said.code != Some(0) {
                match refusal(&said) {
                    Ok(code) if (21..=23).contains(&code.exit()) || code.exit() == 31 => {
                        attack.tally(code.code());
                    }
                    Ok(_) => attack.wrong.push(format!("=== {point}: code\n{said}")),
                    Err(error) => attack.wrong.push(format!("=== {point}: {error}")),
                }
            } else if is_attacked {
                let out = attack.laboratory.sandbox.path("out");
                if out.is_symlink() {
                    attack
                        .wrong
                        .push(format!("=== {point}: a symlink is no workspace\n{said}"));
                }
                attack.tally("restored");
            } else {
                attack.tally("not attacked");
            }
            remove_all(&attack.laboratory);
            make_empty(&aside);
        }
    }
    let changes = listing::differences("vault", &attack.before, &attack.laboratory.vault_listing());
    assert_none(&changes);
    attack.conclude(test);
}

/// Removes destination and staging directories, which may be symlinks by now.
fn remove_all(laboratory: &Laboratory) {
    let mut all = restore_leftovers(&laboratory.sandbox);
    all.push(laboratory.sandbox.path("out"));
    for path in all {
        if path.is_symlink() {
            fs::remove_file(path).expect("the symlink is removed");
        } else if path.exists() {
            fs::remove_dir_all(path).expect("the directory is removed");
        }
    }
}

/// Puts something at every name that the restore has yet to make in directories that are there.
fn plant(attack: &Attack, staging: &Path, put: Plant) -> usize {
    let precious = attack.outside.join("precious.txt");
    let mut planted = 0;
    for name in attack.laboratory.sealed[1].restored.keys() {
        let path = at(staging, name);
        let is_wanted = name != b"." && path.parent().is_some_and(Path::is_dir);
        // Below what was planted itself, nothing is.
        let is_ours = path.parent().is_some_and(|parent| !parent.is_symlink());
        if is_wanted && is_ours && path.symlink_metadata().is_err() {
            put(&precious, &path);
            planted += 1;
        }
    }
    planted
}

/// Puts something at the second path; the first is a precious file.
type Plant = fn(&Path, &Path);

const PLANTS: [(&str, Plant); 5] = [
    ("a hard link", |precious, path| {
        fs::hard_link(precious, path).expect("linked")
    }),
    ("a file", |_, path| {
        fs::write(path, "planted\n").expect("written")
    }),
    ("a symlink to a file", |precious, path| {
        std::os::unix::fs::symlink(precious, path).expect("linked");
    }),
    ("a symlink to a directory", |precious, path| {
        std::os::unix::fs::symlink(precious.parent().expect("one"), path).expect("linked");
    }),
    ("an empty directory", |_, path| {
        fs::create_dir(path).expect("made")
    }),
];

#[test]
fn what_is_planted_under_the_next_name_is_kept_and_refused() {
    let test = "names that are taken";
    if !can_trace(test) {
        return;
    }
    let mut attack = Attack::new();
    let seen = |attack: &Attack| listing::list(&attack.outside, &|_| true);
    let untouched = seen(&attack);
    for (what, put) in PLANTS {
        for step in attack.steps.clone() {
            let planted = std::cell::Cell::new(0);
            let (said, is_attacked) = attack.attempt(step, &|attack, staging| {
                planted.set(plant(attack, staging, put))
            });
            let point = format!("{what} planted at {step:?}");
            let touched = listing::differences("outside", &untouched, &seen(&attack));
            if !touched.is_empty() {
                attack
                    .wrong
                    .push(format!("=== {point}: {}\n{said}", touched.join("\n")));
            }
            let found = restore_complaints(&attack.laboratory, &said, &attack.before);
            attack
                .wrong
                .extend(found.into_iter().map(|what| format!("=== {point}: {what}")));
            match (refusal(&said), is_attacked && planted.get() > 0) {
                (Ok(code), _) => attack.tally(code.code()),
                (Err(_), true) => {
                    attack
                        .wrong
                        .push(format!("=== {point}: it was not refused\n{said}"));
                }
                (Err(_), false) => attack.tally("not attacked"),
            }
            remove_all(&attack.laboratory);
        }
    }
    attack.conclude(test);
}

/// Another process takes the destination itself while the workspace is built beside it.
#[test]
fn a_destination_that_is_taken_meanwhile_is_left_as_it_is() {
    let test = "a destination that is taken";
    if !can_trace(test) {
        return;
    }
    let mut attack = Attack::new();
    let out = attack.laboratory.sandbox.path("out");
    let outside = attack.outside.clone();
    let untouched = Fingerprint::of(&outside);
    for step in attack.steps.clone() {
        for kind in ["directory", "symlink"] {
            let take = |attack: &Attack, _: &Path| {
                if kind == "symlink" {
                    let target = outside.as_os_str().as_encoded_bytes();
                    let _link = symlink(&attack.laboratory.sandbox.path(""), "out", target);
                } else if !out.exists() {
                    write(&out, "precious.txt", "precious\n");
                }
            };
            let is_there = |path: &Path| path.symlink_metadata().is_ok();
            let (said, is_attacked) = attack.attempt(step, &take);
            untouched.assert_untouched(&outside);
            if is_attacked {
                let code = refusal(&said).map(|code| code.code());
                if code != Ok("GV-2301") {
                    attack
                        .wrong
                        .push(format!("=== {kind} at {step:?}: {code:?}\n{said}"));
                }
                let is_kept = kind == "symlink" && out.is_symlink()
                    || fs::read_dir(&out).is_ok_and(|entries| entries.count() == 1);
                if !is_kept || !is_there(&out) {
                    attack
                        .wrong
                        .push(format!("=== {kind} at {step:?}: not kept\n{said}"));
                }
                attack.tally("GV-2301");
            } else {
                attack.tally("not attacked");
            }
            remove_all(&attack.laboratory);
        }
    }
    attack.conclude(test);
}
