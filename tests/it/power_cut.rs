//! The power is cut, for real, on file systems of their own: what was said to be sealed is there afterwards, whole, and
//! nothing is there by half. The same cuts lose a snapshot whose fsyncs were lies, or they would prove nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::crash::{can_trace, count_calls, points, traced, without_objects};
use crate::laboratory::{bounded, effort, run};
use crate::loop_disk::{Cut, FileSystem, LoopDisk};
use crate::support::files::{append, write};
use crate::support::listing::{self, Listing};
use crate::support::{Said, Sandbox, states};

/// Calls by which a snapshot is put together, step by step.
const STEPS: [&str; 7] = [
    "fsync",
    "mkdir",
    "linkat",
    "renameat",
    "renameat2",
    "unlink",
    "write",
];

/// Begins complaints of what was restored with success and is not what was sealed.
const HALF: &str = "restored";

/// Whether the vault is there already.
#[derive(Debug, Clone, Copy)]
pub enum Which {
    First,
    Later,
}

/// A repository whose vault, key and states are on a disk of their own, and what its snapshots must be.
pub struct Rig {
    /// First, so that it is unmounted before the sandbox is removed.
    pub disk: LoopDisk,
    pub sandbox: Sandbox,
    pub source: PathBuf,
    earlier: Vec<(String, Listing)>,
    expected: Listing,
    which: Which,
}

impl Rig {
    pub fn new(file_system: FileSystem, which: Which, test: &str) -> Option<Self> {
        let sandbox = Sandbox::new();
        let disk = LoopDisk::new(&sandbox, file_system, test)?;
        disk.hold_homes(&sandbox);
        let source = states::small_repository(&sandbox);
        let mut rig = Self {
            sandbox,
            source,
            disk,
            earlier: Vec::new(),
            expected: Listing::default(),
            which,
        };
        let count = match which {
            Which::First => 0,
            Which::Later => 2,
        };
        for number in 0..count {
            append(&rig.source, "src/two.txt", format!("edit {number}\n"));
            write(&rig.source, format!("untracked/{number}.txt"), "new\n");
            let sealed = rig.seal();
            rig.earlier.push(sealed);
        }
        append(&rig.source, "src/one.txt", "for the next commit\n");
        rig.sandbox.commit(&rig.source, "another");
        write(&rig.source, "untracked/last.txt", "not yet committed\n");
        rig.disk.save();
        rig.expected = rig.seal().1;
        rig.disk.reset();
        Some(rig)
    }

    fn seal(&self) -> (String, Listing) {
        let id = self.sandbox.snapshot(&self.source);
        let listing = self.restored(&id).expect("it restores");
        (id, listing)
    }

    fn restored(&self, id: &str) -> Result<Listing, Said> {
        let destination = self.sandbox.path("out");
        let text = destination.to_str().expect("a UTF-8 path");
        let said = run(&self.sandbox, &self.source, &["restore", id, text]);
        if said.code != Some(0) {
            return Err(said);
        }
        let listing = without_objects(&destination);
        std::fs::remove_dir_all(destination).expect("the copy is removed");
        Ok(listing)
    }

    pub fn label(&self) -> String {
        format!("{:?} snapshot on {:?}", self.which, self.disk.file_system)
    }

    /// Makes a snapshot under strace, with these expressions.
    pub fn snapshot(&self, expressions: &[&str]) -> Said {
        traced(&self.sandbox, &self.source, expressions, &["snapshot"])
    }

    /// The ids that are listed; none when there is no vault yet.
    fn listed(&self) -> Result<Vec<String>, Said> {
        let said = run(&self.sandbox, &self.source, &["--json", "list"]);
        if said.code != Some(0) {
            let code = serde_json::from_slice(&said.stdout).ok();
            let code = code.and_then(|answer: serde_json::Value| {
                Some(answer.get("code")?.as_str()? == "GV-1002")
            });
            return if code == Some(true) {
                Ok(Vec::new())
            } else {
                Err(said)
            };
        }
        let answer = said.json();
        let snapshots = answer["snapshots"].as_array().expect("the snapshots");
        let id = |snapshot: &serde_json::Value| snapshot["id"].as_str().expect("an id").to_owned();
        Ok(snapshots.iter().map(id).collect())
    }

    /// What is wrong after a cut: a promise that was broken, a snapshot by half, a vault that takes no more.
    pub fn complaints(&self, said: &Said) -> Vec<String> {
        let ids = match self.listed() {
            Ok(ids) => ids,
            Err(answer) => return vec![format!("the snapshots should be listed\n{answer}")],
        };
        let are_kept = self
            .earlier
            .iter()
            .zip(&ids)
            .all(|((earlier, _), id)| earlier == id);
        if !are_kept || ids.len() < self.earlier.len() {
            return vec![format!("earlier snapshots are lost, found {ids:?}")];
        }
        let new = &ids[self.earlier.len()..];
        let mut wrong = Vec::new();
        if new.len() > 1 || said.stdout.starts_with(b"SEALED") && new.is_empty() {
            wrong.push(format!(
                "SEALED was said, and {} snapshots are new",
                new.len()
            ));
        }
        let earlier = self.earlier.iter().map(|(id, listing)| (id, listing));
        for (id, expected) in earlier.chain(new.iter().map(|id| (id, &self.expected))) {
            match self.restored(id) {
                Ok(found) => wrong.extend(listing::differences(HALF, expected, &found)),
                Err(answer) => wrong.push(format!("{id} should restore\n{answer}")),
            }
        }
        if !ids.is_empty() {
            let verified = run(&self.sandbox, &self.source, &["verify", "--deep"]);
            if verified.code != Some(0) {
                wrong.push(format!("it should verify\n{verified}"));
            }
        }
        let next = run(&self.sandbox, &self.source, &["snapshot"]);
        let due: &[u8] = if new.is_empty() {
            b"SEALED"
        } else {
            b"UNCHANGED"
        };
        if !next.stdout.starts_with(due) {
            wrong.push(format!("the next snapshot should succeed\n{next}"));
        }
        wrong
    }
}

/// The disks to try: those of the default run, or all.
fn rigs(file_systems: &[FileSystem], whiches: &[Which], test: &str) -> Vec<Rig> {
    let mut rigs = Vec::new();
    for file_system in file_systems {
        for which in whiches {
            rigs.extend(Rig::new(*file_system, *which, test));
        }
    }
    rigs
}

const ALL: [FileSystem; 3] = [FileSystem::Ext4, FileSystem::Xfs, FileSystem::Btrfs];
const BOTH: [Which; 2] = [Which::First, Which::Later];

#[test]
fn a_sealed_snapshot_survives_a_power_cut() {
    for rig in rigs(&ALL, &BOTH, "power cut after SEALED") {
        for cut in rig.disk.file_system.cuts() {
            rig.disk.reset();
            let said = run(&rig.sandbox, &rig.source, &["snapshot"]).succeeded();
            assert!(said.stdout.starts_with(b"SEALED"), "{said}");
            rig.disk.cut(*cut);
            let wrong = rig.complaints(&said);
            assert!(
                wrong.is_empty(),
                "{}, {cut:?}:\n{}",
                rig.label(),
                wrong.join("\n")
            );
        }
        eprintln!(
            "{}: {} cuts after SEALED",
            rig.label(),
            rig.disk.file_system.cuts().len()
        );
    }
}

#[test]
fn a_power_cut_at_any_step_of_a_snapshot_leaves_a_whole_one_or_none() {
    if !can_trace("power cut at each step") {
        return;
    }
    let (mut wrong, mut tried) = (Vec::new(), BTreeMap::<String, usize>::new());
    for rig in rigs(&ALL, &BOTH, "power cut at each step") {
        let counts = count_calls(&rig.sandbox, &rig.source, &["snapshot"]);
        for (call, count) in counts.iter().filter(|(call, _)| STEPS.contains(call)) {
            for number in points(*count, 2) {
                let cuts = rig.disk.file_system.cuts();
                let cuts = if effort() >= 10 {
                    cuts
                } else {
                    &cuts[number % cuts.len()..][..1]
                };
                for cut in cuts {
                    rig.disk.reset();
                    let inject = format!("inject={call}:signal=KILL:when={number}");
                    let said = rig.snapshot(&[&format!("trace={call}"), &inject]);
                    rig.disk.cut(*cut);
                    let at = format!("=== {} at {call} {number}, {cut:?}", rig.label());
                    wrong.extend(
                        rig.complaints(&said)
                            .iter()
                            .map(|what| format!("{at}: {what}")),
                    );
                    *tried.entry(rig.label()).or_default() += 1;
                }
            }
        }
    }
    eprintln!("cuts at the steps of a snapshot: {tried:?}");
    assert!(
        wrong.is_empty(),
        "{} complaints:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

const LIES: &str = "trace=fsync,fdatasync,syncfs,fadvise64";

/// Dropping a file from the cache begins to write it, which would make the lie before it true.
const NOTHING_BEGUN: &str = "inject=fadvise64:retval=0";

/// A snapshot all of whose fsyncs are lies, told by a library or by the system.
fn lied_to(rig: &Rig, liar: &str) -> Option<Said> {
    if liar == "kernel" {
        let inject = "inject=fsync,fdatasync,syncfs:retval=0";
        return Some(rig.snapshot(&[LIES, inject, NOTHING_BEGUN]));
    }
    let mut command = rig.sandbox.command("eatmydata", &rig.source);
    if command.output().is_err() {
        eprintln!("SKIPPED: power cut under eatmydata: eatmydata is not installed");
        return None;
    }
    let mut command = rig.sandbox.command("eatmydata", &rig.source);
    command.arg(env!("CARGO_BIN_EXE_git-vault")).arg("snapshot");
    Some(bounded(command, "eatmydata git-vault snapshot"))
}

#[test]
fn a_power_cut_loses_a_snapshot_whose_fsyncs_were_lies() {
    if !can_trace("power cut after lies") {
        return;
    }
    for rig in rigs(&ALL, &BOTH, "power cut after lies") {
        for liar in ["kernel", "eatmydata"] {
            let mut lost = Vec::new();
            for cut in rig.disk.file_system.cuts() {
                rig.disk.reset();
                let Some(said) = lied_to(&rig, liar) else {
                    continue;
                };
                assert!(
                    said.stdout.starts_with(b"SEALED"),
                    "the lie is believed\n{said}"
                );
                rig.disk.cut(*cut);
                if !rig.complaints(&said).is_empty() {
                    lost.push(cut);
                }
                eprintln!("{}, {liar} lies: {lost:?} lose it", rig.label());
            }
            assert!(
                !lost.is_empty(),
                "{}, {liar} lies: no cut loses it, so the cuts prove nothing",
                rig.label()
            );
        }
    }
}

/// Complaints of a restore that succeeded and gave something else: the one thing that no lie may lead to.
fn is_half(complaint: &str) -> bool {
    complaint.starts_with(HALF)
}

#[test]
fn a_power_cut_after_one_lied_fsync_never_leaves_half_a_snapshot() {
    if !can_trace("power cut after one lie") {
        return;
    }
    let whiches: &[Which] = if effort() >= 10 {
        &BOTH
    } else {
        &[Which::Later]
    };
    for rig in rigs(&ALL, whiches, "power cut after one lie") {
        let count = count_calls(&rig.sandbox, &rig.source, &["snapshot"])["fsync"];
        let numbers = points(count, 3);
        let mut noticed = Vec::new();
        for number in &numbers {
            let mut wrong = Vec::new();
            for cut in rig.disk.file_system.cuts() {
                rig.disk.reset();
                let inject = format!("inject=fsync:retval=0:when={number}");
                let said = rig.snapshot(&[LIES, &inject, NOTHING_BEGUN]).succeeded();
                rig.disk.cut(*cut);
                wrong.extend(rig.complaints(&said));
            }
            assert!(
                !wrong.iter().any(|what| is_half(what)),
                "{} at {number}:\n{}",
                rig.label(),
                wrong.join("\n")
            );
            if !wrong.is_empty() {
                noticed.push(number);
            }
        }
        let (tried, noticed) = (numbers.len(), format!("{} {noticed:?}", noticed.len()));
        eprintln!(
            "{}: {tried} of {count} fsyncs lied to, one at a time; a cut shows {noticed}",
            rig.label()
        );
    }
}

#[test]
fn a_new_vault_survives_a_power_cut() {
    for rig in rigs(&ALL, &[Which::First], "power cut after init") {
        for cut in rig.disk.file_system.cuts() {
            rig.disk.reset();
            let said = run(&rig.sandbox, &rig.source, &["init"]).succeeded();
            rig.disk.cut(*cut);
            let again = run(&rig.sandbox, &rig.source, &["init"]).refused("GV-1004");
            let wrong = rig.complaints(&said);
            assert!(
                wrong.is_empty(),
                "{}, {cut:?}:\n{}\n{again}",
                rig.label(),
                wrong.join("\n")
            );
        }
    }
}

/// A workspace restored to the disk, and what is at its destination after a cut.
fn restore_and_cut(rig: &Rig, cut: Cut, expressions: &[&str]) -> (Said, Option<Listing>) {
    rig.disk.reset();
    let destination = rig.disk.mount_point().join("copy");
    let text = destination.to_str().expect("a UTF-8 path");
    let arguments = ["restore", &rig.earlier[1].0, text];
    let said = traced(&rig.sandbox, &rig.source, expressions, &arguments);
    rig.disk.cut(cut);
    let is_there = destination.symlink_metadata().is_ok();
    (said, is_there.then(|| without_objects(&destination)))
}

#[test]
fn a_restored_workspace_survives_a_power_cut_and_half_a_one_never_has_its_name() {
    if !can_trace("power cut in a restore") {
        return;
    }
    for rig in rigs(&ALL, &[Which::Later], "power cut in a restore") {
        let expected = &rig.earlier[1].1;
        let mut tried = 0;
        for cut in rig.disk.file_system.cuts() {
            let (said, found) = restore_and_cut(&rig, *cut, &["trace=none"]);
            assert!(said.stdout.starts_with(b"RESTORED"), "{said}");
            assert!(found.as_ref() == Some(expected), "{}, {cut:?}", rig.label());
            for call in ["syncfs", "renameat2", "fsync", "fchmod", "mkdirat"] {
                let inject = format!("inject={call}:signal=KILL:when=1");
                let (said, found) =
                    restore_and_cut(&rig, *cut, &[&format!("trace={call}"), &inject]);
                assert!(said.stdout.is_empty(), "{said}");
                assert!(
                    found.is_none_or(|found| found == *expected),
                    "{} at {call}, {cut:?}",
                    rig.label()
                );
                tried += 1;
            }
        }
        let lie = [LIES, "inject=syncfs,fsync:retval=0", NOTHING_BEGUN];
        let lost = |cut: &&Cut| restore_and_cut(&rig, **cut, &lie).1.as_ref() != Some(expected);
        let lost: Vec<_> = rig.disk.file_system.cuts().iter().filter(lost).collect();
        assert!(
            !lost.is_empty(),
            "{}: no cut loses a restore whose fsyncs were lies",
            rig.label()
        );
        eprintln!(
            "restore on {:?}: {tried} cuts at its steps; after lies, {lost:?} lose it",
            rig.disk.file_system
        );
    }
}
