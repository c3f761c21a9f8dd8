//! Too little room, too few files, too little memory, and places that may not be written: each snapshot is sealed and whole,
//! or it is refused; what was sealed before stays whole and can be read; with the limit gone, the next run works.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::crash::{Rig, can_trace, points, traced};
use crate::crash_edges::Beginning;
use crate::laboratory::{Restored, assert_none, bounded, refusal};
use crate::pause::paused;
use crate::support::files::mkdir;
use crate::support::listing;
use crate::support::mount::{Mount, has_tool};
use crate::support::{Said, Sandbox};

const ROOMY: &str = "size=96m,nr_inodes=50000";

/// One file system for all that the program writes.
struct Disk {
    _binds: Vec<Mount>,
    root: Mount,
    path: PathBuf,
}

impl Disk {
    /// A tmpfs under keys, vaults and states; says aloud that the test is skipped where there can be none.
    fn under(sandbox: &Sandbox, test: &str) -> Option<Self> {
        let path = mkdir(&sandbox.path(""), "disk");
        let Some(root) = Mount::tmpfs(ROOMY, &path) else {
            eprintln!("SKIPPED: {test}: a tmpfs cannot be mounted here (it needs root)");
            return None;
        };
        Self::of(root, path, sandbox)
    }

    fn of(root: Mount, path: PathBuf, sandbox: &Sandbox) -> Option<Self> {
        let binds = ["config", "data", "state"].map(|name| {
            let place = mkdir(&path, name);
            Mount::bind(&place, &sandbox.path(name))
        });
        let binds: Option<Vec<Mount>> = binds.into_iter().collect();
        Some(Self {
            _binds: binds?,
            root,
            path,
        })
    }

    #[track_caller]
    fn become_roomy(&self) {
        assert!(self.root.remount(ROOMY), "room is given");
    }

    /// KiB and inodes in use.
    fn used(&self) -> (u64, u64) {
        let found = rustix::fs::statvfs(&self.path).expect("the file system answers");
        let blocks = found.f_blocks - found.f_bfree;
        (
            blocks * found.f_frsize / 1024,
            found.f_files - found.f_ffree,
        )
    }

    /// Fills it up to the last so many KiB.
    #[track_caller]
    fn fill(&self, left_kib: u64) {
        let found = rustix::fs::statvfs(&self.path).expect("the file system answers");
        let free = found.f_bfree * found.f_frsize;
        let size = free.saturating_sub(left_kib * 1024);
        let zeros = vec![0; usize::try_from(size).expect("it fits")];
        fs::write(self.path.join("filler"), zeros).expect("it is filled");
    }

    fn unfill(&self) {
        let _gone = fs::remove_file(self.path.join("filler"));
    }
}

/// What came of the points of a sweep.
#[derive(Default)]
struct Tally {
    outcomes: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

impl Tally {
    /// Takes note of how a snapshot ended, which must be a success or a refusal with one of these exit codes.
    fn note(&mut self, point: &str, said: &Said, exits: &[u8]) {
        let outcome = match refusal(said) {
            _ if said.code == Some(0) => "sealed".to_owned(),
            Ok(code) => {
                if !exits.contains(&code.exit()) {
                    self.wrong
                        .push(format!("=== {point}: a code that does not fit\n{said}"));
                }
                code.code().to_owned()
            }
            Err(what) => {
                self.wrong.push(format!("=== {point}: {what}"));
                "neither".to_owned()
            }
        };
        *self.outcomes.entry(outcome).or_default() += 1;
    }

    fn complain(&mut self, point: &str, complaints: Vec<String>) {
        let complaints = complaints.into_iter();
        self.wrong
            .extend(complaints.map(|what| format!("=== {point}: {what}")));
    }

    /// Says what came of it; stops the test at any complaint, or if one of these outcomes never came.
    #[track_caller]
    fn conclude(&self, label: &str, due: &[&str]) {
        let points: usize = self.outcomes.values().sum();
        eprintln!("{label}: {points} points, {:?}", self.outcomes);
        assert_none(&self.wrong);
        for outcome in due {
            assert!(
                self.outcomes.contains_key(*outcome),
                "no point was {outcome}"
            );
        }
    }
}

/// What can be read while the limit holds: every snapshot made before.
fn reading_complaints(rig: &Rig) -> Vec<String> {
    let laboratory = &rig.laboratory;
    let mut wrong = Vec::new();
    for arguments in [&["list"][..], &["show"], &["verify"]] {
        let said = laboratory.run(arguments);
        if said.code != Some(0) {
            wrong.push(format!("it should work under the limit\n{said}"));
        }
    }
    match laboratory.restore_or_refuse(&laboratory.sealed[0]) {
        Restored::Whole => {}
        Restored::Refused(said) => wrong.push(format!("it should be restored\n{said}")),
        Restored::Wrong(what) => wrong.push(what),
    }
    wrong
}

/// Sizes in KiB from what is in use to more than enough, or numbers of inodes, as options of a mount.
fn narrow(used: (u64, u64)) -> (Vec<String>, Vec<String>) {
    // A size of 0 would be no limit.
    let first = used.0.div_ceil(64).max(1);
    let sizes = (first..first + 290).map(|steps| format!("size={}k", steps * 64));
    // What was removed counts for as long as a child that another test's thread just began holds it open.
    let inodes = (used.1 + 4..used.1 + 90).map(|count| format!("nr_inodes={count}"));
    (thinned(sizes.collect()), thinned(inodes.collect()))
}

fn thinned(all: Vec<String>) -> Vec<String> {
    let chosen = points(all.len(), 14).into_iter();
    chosen.map(|number| all[number - 1].clone()).collect()
}

#[test]
fn a_file_system_of_any_size_takes_a_whole_snapshot_or_none() {
    let rig = Rig::new();
    let sandbox = &rig.laboratory.sandbox;
    let Some(disk) = Disk::under(sandbox, "small file systems") else {
        return;
    };
    rig.laboratory.reset();
    let (sizes, inodes) = narrow(disk.used());
    for (label, all) in [("sizes", sizes), ("inodes", inodes)] {
        let mut tally = Tally::default();
        for point in &all {
            assert!(disk.root.remount(point), "{point}");
            let said = rig.laboratory.run(&["snapshot"]);
            tally.note(point, &said, &[13]);
            tally.complain(point, reading_complaints(&rig));
            disk.become_roomy();
            tally.complain(point, rig.aftermath(&said));
            rig.laboratory.reset();
        }
        tally.conclude(&format!("a later snapshot, {label}"), &["sealed"]);
        assert!(tally.outcomes.len() > 1, "none was refused");
    }
    rig.source.assert_untouched(&sandbox.workplace());
}

#[test]
fn a_file_system_of_any_size_takes_a_whole_first_snapshot_or_none() {
    let beginning = Beginning::new();
    let Some(disk) = Disk::under(&beginning.sandbox, "small file systems") else {
        return;
    };
    let (sizes, inodes) = narrow(disk.used());
    for (label, all) in [("sizes", sizes), ("inodes", inodes)] {
        let mut tally = Tally::default();
        for point in &all {
            assert!(disk.root.remount(point), "{point}");
            let mut command = beginning.sandbox.vault_command(&beginning.source);
            command.arg("snapshot");
            let said = bounded(command, "git-vault snapshot");
            tally.note(point, &said, &[10, 12, 13]);
            disk.become_roomy();
            tally.complain(point, beginning.aftermath(&said));
            beginning.reset();
        }
        tally.conclude(&format!("a first snapshot, {label}"), &["sealed"]);
        assert!(tally.outcomes.len() > 1, "none was refused");
    }
}

/// The probe has found room; then another process takes it, all but a few pages.
#[test]
fn a_disk_that_another_process_fills_after_the_probe_is_never_half_a_snapshot() {
    let test = "a disk that fills";
    if !can_trace(test) {
        return;
    }
    let rig = Rig::new();
    let laboratory = &rig.laboratory;
    let Some(disk) = Disk::under(&laboratory.sandbox, test) else {
        return;
    };
    laboratory.reset();
    let mut all: Vec<(&str, usize, u64)> = Vec::new();
    all.extend(
        points(40, 8)
            .into_iter()
            .map(|pages| ("linkat", 1, 4 * (pages as u64 - 1))),
    );
    all.extend(points(17, 5).into_iter().map(|number| ("fsync", number, 0)));
    all.extend(points(16, 5).into_iter().map(|number| ("write", number, 0)));
    let mut tally = Tally::default();
    for (call, number, left_kib) in all {
        let point = format!("{call} {number}, {left_kib} KiB left");
        let (sandbox, source) = (&laboratory.sandbox, &laboratory.source);
        let stop = (call, number, None);
        let (said, was_stopped) =
            paused(sandbox, source, stop, &["snapshot"], || disk.fill(left_kib));
        if was_stopped {
            tally.note(&point, &said, &[13]);
            tally.complain(&point, reading_complaints(&rig));
            disk.unfill();
            tally.complain(&point, rig.aftermath(&said));
        }
        laboratory.reset();
    }
    tally.conclude("a disk that fills after the probe", &["sealed", "GV-1302"]);
    rig.source.assert_untouched(&laboratory.sandbox.workplace());
}

#[test]
fn a_full_vault_gives_everything_and_takes_nothing() {
    let rig = Rig::new();
    let laboratory = &rig.laboratory;
    let Some(disk) = Disk::under(&laboratory.sandbox, "a full vault") else {
        return;
    };
    laboratory.reset();
    for left_kib in [0, 4, 1 << 10, 5 << 10] {
        disk.fill(left_kib);
        let before = laboratory.vault_listing();
        let said = laboratory.run(&["snapshot"]).refused("GV-1302");
        let said = (said, laboratory.run(&["snapshot", "-m", "again"]));
        let _said = said.1.refused("GV-1302");
        let changes = listing::differences("vault", &before, &laboratory.vault_listing());
        assert_none(&changes);
        assert_none(&reading_complaints(&rig));
        let _said = laboratory.run(&["verify", "--deep"]).succeeded();
        disk.unfill();
        assert_none(&rig.aftermath(&said.0));
        laboratory.reset();
    }
}

/// A quota does not show in the free space: the probe passes, and a write fails midway.
#[test]
fn a_quota_of_any_size_takes_a_whole_snapshot_or_none() {
    let test = "a quota";
    if !has_tool(test, "mkfs.btrfs") {
        return;
    }
    let rig = Rig::new();
    let laboratory = &rig.laboratory;
    let sandbox = &laboratory.sandbox;
    let (image, path) = (sandbox.path("image"), mkdir(&sandbox.path(""), "disk"));
    // What lies in the subvolume is limited; the limit is set from outside it, where room is left to do so.
    let script = "truncate -s 256M \"$1\" && mkfs.btrfs -q \"$1\" && mount -o loop \"$1\" \"$2\" \
                  && btrfs subvolume create \"$2/limited\" && btrfs quota enable \"$2\"";
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(&image).arg(&path);
    let Some(root) = Mount::with(command, &path) else {
        eprintln!("SKIPPED: {test}: no btrfs with quotas can be mounted here (it needs root)");
        return;
    };
    let limit = |size: &str| {
        let script = "sync -f \"$1\" && btrfs qgroup limit \"$2\" 0/256 \"$1\"";
        let mut command = Command::new("sh");
        let output = command
            .args(["-c", script, "sh"])
            .arg(&path)
            .arg(size)
            .output();
        assert!(output.expect("sh starts").status.success(), "{size}");
    };
    let Some(_disk) = Disk::of(root, path.join("limited"), sandbox) else {
        return;
    };
    laboratory.reset();
    let mut tally = Tally::default();
    for number in points(64, 10) {
        let size = format!("{}k", 16 * number);
        limit(&size);
        let said = laboratory.run(&["snapshot"]);
        tally.note(&size, &said, &[13]);
        tally.complain(&size, reading_complaints(&rig));
        limit("none");
        tally.complain(&size, rig.aftermath(&said));
        laboratory.reset();
    }
    tally.conclude("a later snapshot, quotas", &["sealed"]);
    assert!(tally.outcomes.len() > 1, "none was refused");
}

/// Runs `snapshot` under a limit of `prlimit`; files that are too large are an error, or end the process.
fn limited(rig: &Rig, limit: &str, is_signal_ignored: bool) -> Said {
    let laboratory = &rig.laboratory;
    let mut command = laboratory.sandbox.command("sh", &laboratory.source);
    let script = if is_signal_ignored {
        "trap '' XFSZ; ulimit -c 0; exec \"$@\""
    } else {
        "ulimit -c 0; exec \"$@\""
    };
    command.args(["-c", script, "sh", "prlimit", limit]);
    command.arg(env!("CARGO_BIN_EXE_git-vault")).arg("snapshot");
    bounded(command, &format!("prlimit {limit} git-vault snapshot"))
}

#[test]
fn a_limit_on_the_size_of_files_is_never_half_a_snapshot() {
    let test = "a limit on the size of files";
    if !has_tool(test, "prlimit") {
        return;
    }
    let rig = Rig::new();
    let mut tally = Tally::default();
    for number in points(96, 12) {
        let limit = format!("--fsize={}", (number - 1) * 128);
        for is_signal_ignored in [true, false] {
            let said = limited(&rig, &limit, is_signal_ignored);
            if said.code.is_none() {
                *tally.outcomes.entry("killed".to_owned()).or_default() += 1;
            } else {
                tally.note(&limit, &said, &[13]);
            }
            tally.complain(&limit, rig.aftermath(&said));
            rig.laboratory.reset();
        }
    }
    tally.conclude(test, &["sealed", "GV-1304"]);
    rig.source
        .assert_untouched(&rig.laboratory.sandbox.workplace());
}

#[test]
fn too_few_file_descriptors_are_refused() {
    let test = "a limit on open files";
    if !has_tool(test, "prlimit") {
        return;
    }
    let rig = Rig::new();
    let mut tally = Tally::default();
    for number in points(44, 14) {
        let limit = format!("--nofile={0}:{0}", number + 3);
        let said = limited(&rig, &limit, false);
        if said.code == Some(127) {
            // The system could not even load it.
            *tally.outcomes.entry("not started".to_owned()).or_default() += 1;
        } else {
            tally.note(&limit, &said, &[10, 12, 13, 20, 30]);
        }
        tally.complain(&limit, rig.aftermath(&said));
        rig.laboratory.reset();
    }
    tally.conclude(test, &["sealed"]);
    assert!(tally.outcomes.len() > 1, "none was refused");
}

#[test]
fn too_little_memory_ends_the_run_and_harms_nothing() {
    let test = "a limit on memory";
    if !has_tool(test, "prlimit") {
        return;
    }
    let rig = Rig::new();
    let mut tally = Tally::default();
    for number in points(80, 14) {
        let limit = format!("--as={}", number * (1 << 19) * 3);
        let said = limited(&rig, &limit, false);
        let stderr = String::from_utf8_lossy(&said.stderr);
        // The standard library ends the process when memory is refused; zlib's panic says `MemError`.
        let is_ended = said.code.is_none() || said.code == Some(127);
        if is_ended || said.code == Some(101) && stderr.contains("MemError") {
            *tally.outcomes.entry("ended".to_owned()).or_default() += 1;
        } else {
            tally.note(&limit, &said, &[10, 12, 13, 20, 30]);
        }
        tally.complain(&limit, rig.aftermath(&said));
        rig.laboratory.reset();
    }
    tally.conclude(test, &["sealed"]);
}

#[test]
fn a_system_that_gives_no_threads_is_no_obstacle() {
    if !can_trace("no threads") {
        return;
    }
    let rig = Rig::new();
    let laboratory = &rig.laboratory;
    let destination = laboratory.sandbox.path("out");
    let out = destination.to_str().expect("a UTF-8 path");
    let last = &laboratory.sealed[2].id;
    for arguments in [
        &["snapshot"][..],
        &["verify", "--deep"],
        &["restore", last, out],
    ] {
        let said = traced(
            &laboratory.sandbox,
            &laboratory.source,
            &["trace=?clone,?clone3", "inject=?clone,?clone3:error=EAGAIN"],
            arguments,
        );
        let _said = said.succeeded();
    }
    laboratory.sweep_away_restores();
    laboratory.reset();
}

#[test]
fn a_disk_that_becomes_read_only_midway_is_never_half_a_snapshot() {
    let test = "a disk that becomes read-only";
    if !can_trace(test) {
        return;
    }
    let rig = Rig::new();
    let laboratory = &rig.laboratory;
    let mut tally = Tally::default();
    let mut busy = 0;
    let calls = [
        ("fsync", 17),
        ("renameat2", 8),
        ("linkat", 2),
        ("mkdir", 1),
        ("openat", 460),
    ];
    for (call, count) in calls {
        for number in points(count, 8) {
            let point = format!("{call} {number}");
            let Some(mount) = Mount::bind(&laboratory.vault, &laboratory.vault) else {
                eprintln!("SKIPPED: {test}: no mount can be made here (it needs root)");
                return;
            };
            let mut is_read_only = false;
            let (said, _) = paused(
                &laboratory.sandbox,
                &laboratory.source,
                (call, number, None),
                &["snapshot"],
                // The system keeps a mount writable while a file on it is open for writing.
                || is_read_only = mount.remount("ro,bind"),
            );
            if is_read_only {
                tally.note(&point, &said, &[13]);
                tally.complain(&point, reading_complaints(&rig));
            } else {
                busy += 1;
            }
            drop(mount);
            tally.complain(&point, rig.aftermath(&said));
            laboratory.reset();
        }
    }
    eprintln!("{test}: {busy} further points could not be made read-only");
    tally.conclude(test, &["sealed"]);
    assert!(tally.outcomes.len() > 1, "none was refused");
}

/// An attribute of a file or directory that holds even for root, taken away again whatever happens.
struct Attribute<'a>(&'a str, &'a Path);

impl<'a> Attribute<'a> {
    fn set(letter: &'a str, path: &'a Path) -> Option<Self> {
        chattr(&format!("+{letter}"), path).then_some(Self(letter, path))
    }
}

impl Drop for Attribute<'_> {
    fn drop(&mut self) {
        let _done = chattr(&format!("-{}", self.0), self.1);
    }
}

fn chattr(change: &str, path: &Path) -> bool {
    let output = Command::new("chattr").arg(change).arg(path).output();
    output.is_ok_and(|output| output.status.success())
}

#[test]
fn directories_that_the_system_protects_are_never_half_a_snapshot() {
    let rig = Rig::new();
    let laboratory = &rig.laboratory;
    let mut tally = Tally::default();
    for name in [
        "",
        "cache",
        "log",
        "objects",
        "objects/pack",
        "refs",
        "refs/heads",
        "refs/snapshots",
        "snapshots",
    ] {
        for letter in ["i", "a"] {
            let point = format!("+{letter} on '{name}'");
            let path = laboratory.vault.join(name);
            let Some(attribute) = Attribute::set(letter, &path) else {
                eprintln!("SKIPPED: protected directories: chattr may not protect one here");
                return;
            };
            let said = laboratory.run(&["snapshot"]);
            tally.note(&point, &said, &[13]);
            tally.complain(&point, reading_complaints(&rig));
            drop(attribute);
            tally.complain(&point, rig.aftermath(&said));
            laboratory.reset();
        }
    }
    tally.conclude("protected directories", &["sealed"]);
    assert!(tally.outcomes.len() > 1, "none was refused");
}

/// Beside what `keys_and_modes` tries: key, its directory, and vault in the hands of somebody else.
#[test]
fn a_key_or_vault_that_belongs_to_another_user_is_refused() {
    let rig = Rig::new();
    let laboratory = &rig.laboratory;
    let keys = laboratory.sandbox.path("config/git-vault/keys");
    let below = |directory: &Path| {
        let mut entries = fs::read_dir(directory).expect("it is read");
        entries.next().expect("an entry").expect("an entry").path()
    };
    let directory = below(&keys);
    let key = below(&directory);
    for (path, code, is_read) in [
        (&key, "GV-1202", false),
        (&directory, "GV-1202", false),
        (&laboratory.vault, "GV-1303", true),
    ] {
        if std::os::unix::fs::lchown(path, Some(65534), None).is_err() {
            eprintln!("SKIPPED: owners of keys and vaults: only root can give a file away");
            return;
        }
        let said = laboratory.run(&["snapshot"]).refused(code);
        if is_read {
            assert_none(&reading_complaints(&rig));
        } else {
            let _said = laboratory.run(&["verify"]).refused(code);
        }
        laboratory.reset();
        assert_none(&rig.aftermath(&said));
        laboratory.reset();
    }
}
