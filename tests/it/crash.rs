//! The program is killed, or the system fails it, at one call after the other: what was sealed stays whole, nothing else
//! looks like a snapshot, and the next run works.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use crate::laboratory::{Laboratory, Sealed, bounded, effort, refusal, restored_listing};
use crate::support::files::{append, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::{Kind, RepoState, Said, Sandbox};

/// Every call by which the program could change anything, and those by which it looks at it.
const CALLS: [&str; 21] = [
    "openat",
    "write",
    "pwrite64",
    "writev",
    "fsync",
    "fdatasync",
    "syncfs",
    "rename",
    "renameat",
    "renameat2",
    "link",
    "linkat",
    "mkdir",
    "mkdirat",
    "unlink",
    "unlinkat",
    "rmdir",
    "ftruncate",
    "fchmod",
    "utimensat",
    "close",
];

/// How many calls of one name are tried at effort 1; all of them if there are no more.
const POINTS_OF_A_CALL: usize = 40;

/// Whether system calls can be tampered with here; says so aloud when they cannot.
pub fn can_trace(test: &str) -> bool {
    let output = std::process::Command::new("strace")
        .args(["-qq", "-e", "trace=none", "true"])
        .output();
    let can = output.is_ok_and(|output| output.status.success());
    if !can {
        eprintln!("SKIPPED: {test}: strace is not installed or may not trace here");
    }
    can
}

/// Runs the program under strace with these expressions.
#[track_caller]
pub fn traced(
    sandbox: &Sandbox,
    directory: &Path,
    expressions: &[&str],
    arguments: &[&str],
) -> Said {
    let mut command = sandbox.command("strace", directory);
    command
        .args(["-f", "-qq", "-o"])
        .arg(sandbox.path("tmp/trace"));
    for expression in expressions {
        command.args(["-e", expression]);
    }
    command.arg(env!("CARGO_BIN_EXE_git-vault")).args(arguments);
    bounded(
        command,
        &format!(
            "strace {} git-vault {}",
            expressions.join(" "),
            arguments.join(" ")
        ),
    )
}

/// How often the busiest thread of a run makes each call.
#[track_caller]
pub fn count_calls(
    sandbox: &Sandbox,
    directory: &Path,
    arguments: &[&str],
) -> BTreeMap<&'static str, usize> {
    let calls = CALLS.map(|call| format!("?{call}")).join(",");
    let _said = traced(sandbox, directory, &[&format!("trace={calls}")], arguments).succeeded();
    let trace = fs::read_to_string(sandbox.path("tmp/trace")).expect("the trace is read");
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for line in trace.lines() {
        let mut words = line.split_ascii_whitespace();
        let (Some(thread), Some(call)) = (words.next(), words.next()) else {
            continue;
        };
        if let Some((call, _)) = call.split_once('(') {
            *counts.entry((thread, call)).or_default() += 1;
        }
    }
    let mut most = BTreeMap::new();
    for ((_, call), count) in counts {
        if let Some(call) = CALLS.iter().find(|known| **known == call) {
            let known = most.entry(*call).or_default();
            *known = count.max(*known);
        }
    }
    most
}

/// The calls to tamper with, from the first to the last: all at full effort, else evenly spread.
pub fn points(count: usize, at_most: usize) -> Vec<usize> {
    let at_most = if effort() >= 10 {
        count
    } else {
        at_most * effort()
    };
    if count <= at_most {
        return (1..=count).collect();
    }
    (0..at_most)
        .map(|step| 1 + step * (count - 1) / (at_most - 1))
        .collect()
}

/// Tampers with chosen calls of a command, of each name so many at effort 1, one at a time; `judge` says what is wrong afterwards. No
/// command may touch the source, or refuse what is no matter of the disk.
pub fn tamper(
    laboratory: &Laboratory,
    arguments: &[&str],
    (calls, at_most): (&[&str], usize),
    tampering: &str,
    judge: &mut dyn FnMut(&str, &Said),
) {
    let counts = count_calls(&laboratory.sandbox, &laboratory.source, arguments);
    laboratory.reset();
    let source = Fingerprint::of(&laboratory.sandbox.workplace());
    let mut swept = Vec::new();
    for (call, count) in counts.into_iter().filter(|(call, _)| calls.contains(call)) {
        let chosen = points(count, at_most);
        swept.push(format!("{call} {} of {count}", chosen.len()));
        for number in chosen {
            let inject = format!("inject={call}:{tampering}:when={number}");
            let trace = format!("trace={call}");
            let said = traced(
                &laboratory.sandbox,
                &laboratory.source,
                &[&trace, &inject],
                arguments,
            );
            // What was done cannot be said: that is no refusal.
            if said.code.is_some_and(|code| code != 0 && code != 1) {
                let code = refusal(&said).unwrap_or_else(|found| panic!("{inject}: {found}"));
                assert_eq!(code.exit(), 13, "{inject}\n{said}");
            }
            judge(&inject, &said);
            laboratory.reset();
        }
    }
    eprintln!("{arguments:?}, {tampering}: {}", swept.join(", "));
    assert!(!swept.is_empty());
    source.assert_untouched(&laboratory.sandbox.workplace());
}

/// A vault with three snapshots, and a source that has changed since.
pub struct Rig {
    pub laboratory: Laboratory,
    pub expected: Sealed,
    pub source: Fingerprint,
    counts: BTreeMap<&'static str, usize>,
}

impl Rig {
    pub fn new() -> Self {
        Self::with(|_, _| {})
    }

    /// One whose source is prepared further before the snapshot that is to fail.
    pub fn with(prepare: fn(&Sandbox, &Path)) -> Self {
        let laboratory = Laboratory::new();
        let (sandbox, source) = (&laboratory.sandbox, &laboratory.source);
        prepare(sandbox, source);
        append(source, "src/two.txt", "for the next commit\n");
        sandbox.commit(source, "fifth");
        append(source, "src/one.txt", "and edited again\n");
        write(source, "untracked/third.txt", "new\n");
        let original = RepoState::capture(sandbox, source, Kind::Workspace);
        let id = sandbox.snapshot(source);
        let destination = sandbox.restore(source, &id, "reference");
        let expected = Sealed {
            id,
            restored: without_objects(&destination),
        };
        let found = RepoState::capture(sandbox, &destination, Kind::Workspace);
        RepoState::assert_same_workspace(&original, &found);
        laboratory.reset();
        let counts = count_calls(sandbox, source, &["snapshot"]);
        laboratory.reset();
        let source = Fingerprint::of(&laboratory.sandbox.workplace());
        Self {
            expected,
            source,
            counts,
            laboratory,
        }
    }

    /// Tampers with every chosen call of these names; `judge` says what is wrong with the outcome.
    #[track_caller]
    fn sweep(&self, calls: &[&str], tampering: &str, judge: fn(&Self, &Said) -> Vec<String>) {
        self.sweep_points(calls, POINTS_OF_A_CALL, tampering, judge);
    }

    /// The same at no more than so many calls of one name, unless the effort is larger.
    #[track_caller]
    pub fn sweep_points(
        &self,
        calls: &[&str],
        at_most: usize,
        tampering: &str,
        judge: fn(&Self, &Said) -> Vec<String>,
    ) {
        let mut wrong = Vec::new();
        let mut swept = Vec::new();
        for (call, count) in self.counts.iter().filter(|(call, _)| calls.contains(call)) {
            let points = points(*count, at_most);
            swept.push(format!("{call} {} of {count}", points.len()));
            for number in points {
                let inject = format!("inject={call}:{tampering}:when={number}");
                let laboratory = &self.laboratory;
                let trace = format!("trace={call}");
                let said = traced(
                    &laboratory.sandbox,
                    &laboratory.source,
                    &[&trace, &inject],
                    &["snapshot"],
                );
                wrong.extend(judge(self, &said));
                wrong.extend(self.aftermath(&said));
                laboratory.reset();
            }
        }
        eprintln!("{tampering}: {}", swept.join(", "));
        assert!(!swept.is_empty(), "no such call is made");
        assert!(
            wrong.is_empty(),
            "{} complaints:\n{}",
            wrong.len(),
            wrong.join("\n")
        );
        self.source
            .assert_untouched(&self.laboratory.sandbox.workplace());
    }

    /// The ids that `list` gives, and the incomplete directories it reports.
    fn listed(&self) -> Result<(Vec<String>, Vec<String>), String> {
        let said = self.laboratory.run(&["--json", "list"]);
        if said.code != Some(0) {
            return Err(said.to_string());
        }
        let answer = said.json();
        let strings = |values: &[serde_json::Value], field: &str| {
            let text = |value: &serde_json::Value| {
                value
                    .pointer(field)
                    .and_then(|text| text.as_str())
                    .map(str::to_owned)
            };
            values
                .iter()
                .map(|value| text(value).expect("a text"))
                .collect()
        };
        let array = |field: &str| answer[field].as_array().cloned().expect("an array");
        Ok((
            strings(&array("snapshots"), "/id"),
            strings(&array("incomplete"), ""),
        ))
    }

    /// The snapshots that have come on top of those made before.
    pub fn new_snapshots(&self) -> Result<Vec<String>, String> {
        let (ids, _) = self.listed()?;
        let earlier = &self.laboratory.sealed;
        let are_kept = ids.iter().zip(earlier).all(|(id, sealed)| *id == sealed.id)
            && ids.len() >= earlier.len();
        if !are_kept {
            return Err(format!("earlier snapshots are gone from {ids:?}"));
        }
        Ok(ids[earlier.len()..].to_vec())
    }

    /// What must hold however a snapshot ended.
    pub fn aftermath(&self, said: &Said) -> Vec<String> {
        let mut wrong = Vec::new();
        let mut complain = |what: &str, after: &dyn std::fmt::Display| {
            wrong.push(format!("=== {what}\n{said}\nthen\n{after}"))
        };
        let new = match self.new_snapshots() {
            Ok(new) => new,
            Err(what) => {
                complain("earlier snapshots should be listed", &what);
                return wrong;
            }
        };
        let was_promised = said.stdout.starts_with(b"SEALED");
        if new.len() > 1 || was_promised && new.is_empty() {
            complain(
                "SEALED is one snapshot, and nothing else is more than one",
                &new.join(", "),
            );
        }
        let verified = self.laboratory.run(&["verify"]);
        if verified.code != Some(0) {
            complain("the vault should verify", &verified);
        }
        for id in &new {
            if let Some(what) = self.restore_fails(id) {
                complain("a listed snapshot should restore", &what);
            }
        }
        for what in self.unlisted_complaints() {
            complain("what is incomplete should be said to be", &what);
        }
        let next = self.laboratory.run(&["--json", "snapshot"]);
        if next.code != Some(0) {
            complain("the next snapshot should succeed", &next);
            return wrong;
        }
        let answer = next.json();
        let due = if new.is_empty() {
            "sealed"
        } else {
            "unchanged"
        };
        if answer["outcome"] != due {
            complain(&format!("the next snapshot should be {due}"), &next);
        }
        if let Some(what) = self.restore_fails(answer["snapshot"]["id"].as_str().expect("an id")) {
            complain("the next snapshot should restore", &what);
        }
        let verified = self.laboratory.run(&["verify", "--deep"]);
        if verified.code != Some(0) {
            complain("the vault should verify after the next snapshot", &verified);
        }
        wrong
    }

    fn restore_fails(&self, id: &str) -> Option<String> {
        let destination = self.laboratory.sandbox.path("out");
        let said =
            self.laboratory
                .run(&["restore", id, destination.to_str().expect("a UTF-8 path")]);
        let differs =
            said.code != Some(0) || without_objects(&destination) != self.expected.restored;
        let repository = destination.clone();
        let sandbox = &self.laboratory.sandbox;
        let is_lacking = !differs
            && !sandbox
                .try_git(&repository, &["fsck", "--connectivity-only"])
                .status
                .success();
        self.laboratory.sweep_away_restores();
        (differs || is_lacking).then(|| said.to_string())
    }

    /// Every directory beside the sealed snapshots is listed as incomplete and refused by its name.
    fn unlisted_complaints(&self) -> Vec<String> {
        let (sealed, incomplete) = match self.listed() {
            Ok(listed) => listed,
            Err(what) => return vec![what],
        };
        let entries =
            fs::read_dir(self.laboratory.vault.join("snapshots")).expect("the directory is read");
        let names = entries.map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("UTF-8")
        });
        let unsealed: Vec<String> = names.filter(|name| !sealed.contains(name)).collect();
        let mut wrong = Vec::new();
        for name in &unsealed {
            if !incomplete
                .iter()
                .any(|path| path.ends_with(&format!("/{name}")))
            {
                wrong.push(format!("{name} is not listed as incomplete"));
            }
            let id = name.trim_start_matches(".incomplete-");
            let said = self.laboratory.run(&["show", id]);
            if refusal(&said).map(|code| code.code()) != Ok("GV-4001") {
                wrong.push(format!("{name} should be refused with GV-4001\n{said}"));
            }
        }
        if unsealed.len() != incomplete.len() {
            wrong.push(format!("{incomplete:?} are listed as incomplete"));
        }
        wrong
    }
}

/// Everything but the object store, which may be packed in another way.
pub fn without_objects(directory: &Path) -> crate::support::listing::Listing {
    let mut listing = restored_listing(directory);
    let is_stored = |name: &[u8]| {
        [&b".git/objects"[..], b"modules/library/objects"]
            .iter()
            .any(|part| name.windows(part.len()).any(|window| window == *part))
    };
    listing.retain(|name, _| !is_stored(name));
    listing
}

fn killed(_: &Rig, said: &Said) -> Vec<String> {
    let is_killed_or_done = said.code.is_none() || said.code == Some(0);
    let complaint = format!("=== it should have been killed or have finished\n{said}");
    (!is_killed_or_done)
        .then_some(complaint)
        .into_iter()
        .collect()
}

/// A failure is refused and there is no snapshot, or it came after the seal and there is a whole one.
pub fn failed(rig: &Rig, said: &Said) -> Vec<String> {
    let exists = rig.new_snapshots().is_ok_and(|new| !new.is_empty());
    let answer_was_lost = said.code == Some(1) && said.stdout.is_empty() && said.stderr.is_empty();
    if said.code == Some(0) || answer_was_lost {
        let complaint = format!("=== a success without a snapshot\n{said}");
        return (!exists).then_some(complaint).into_iter().collect();
    }
    let code = match refusal(said) {
        Ok(code) => code,
        Err(what) => return vec![what],
    };
    let mut wrong = Vec::new();
    if !matches!(code.exit(), 13 | 20) {
        wrong.push(format!("=== a code that does not fit\n{said}"));
    }
    // After the log entry has its name, the truth is that it may be durable or not; the refusal must say just that.
    let says_so =
        String::from_utf8_lossy(&said.stderr).contains("may or may not survive a power cut");
    if exists && !says_so {
        wrong.push(format!("=== refused, and yet there is a snapshot\n{said}"));
    }
    wrong
}

#[test]
fn a_snapshot_killed_at_any_open_leaves_every_sealed_snapshot_whole() {
    if can_trace("kill at open") {
        Rig::new().sweep(&["openat"], "signal=KILL", killed);
    }
}

#[test]
fn a_snapshot_killed_at_any_write_or_sync_leaves_every_sealed_snapshot_whole() {
    if can_trace("kill at write and sync") {
        let calls = [
            "write",
            "pwrite64",
            "writev",
            "fsync",
            "fdatasync",
            "syncfs",
            "ftruncate",
            "fchmod",
            "utimensat",
        ];
        Rig::new().sweep(&calls, "signal=KILL", killed);
    }
}

#[test]
fn a_snapshot_killed_at_any_change_of_names_leaves_every_sealed_snapshot_whole() {
    if can_trace("kill at rename, link, mkdir, unlink") {
        let calls = [
            "rename",
            "renameat",
            "renameat2",
            "link",
            "linkat",
            "mkdir",
            "mkdirat",
            "unlink",
            "unlinkat",
            "rmdir",
        ];
        Rig::new().sweep(&calls, "signal=KILL", killed);
    }
}

#[test]
fn a_failed_sync_is_never_a_snapshot() {
    if can_trace("EIO at fsync") {
        Rig::new().sweep(&["fsync", "fdatasync"], "error=EIO", failed);
    }
}

#[test]
fn a_full_disk_is_never_a_snapshot() {
    if can_trace("ENOSPC at write") {
        Rig::new().sweep(&["write", "pwrite64", "writev"], "error=ENOSPC", failed);
    }
}

#[test]
fn a_refused_change_of_names_is_never_a_snapshot() {
    if can_trace("EROFS at rename, link, mkdir") {
        let calls = [
            "rename",
            "renameat",
            "renameat2",
            "link",
            "linkat",
            "mkdir",
            "mkdirat",
        ];
        Rig::new().sweep(&calls, "error=EROFS", failed);
    }
}

/// A submodule and a repository inside the tree, each with commits and edits of its own.
fn several_repositories(sandbox: &Sandbox, source: &Path) {
    let library = sandbox.init("library");
    write(&library, "library.c", "int library;\n");
    sandbox.commit(&library, "library");
    let url = library.to_str().expect("UTF-8");
    let add = [
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        url,
        "library",
    ];
    sandbox.git(source, &add);
    append(source, "library/library.c", "int edited;\n");
    let nested = crate::support::files::mkdir(source, "nested");
    sandbox.git(&nested, &["init", "--quiet"]);
    write(&nested, "nested.txt", "nested\n");
    sandbox.commit(&nested, "nested");
    append(&nested, "nested.txt", "edited\n");
}

#[test]
fn a_snapshot_of_several_repositories_killed_anywhere_leaves_every_sealed_one_whole() {
    if !can_trace("several repositories") {
        return;
    }
    let rig = Rig::with(several_repositories);
    let calls = [
        "openat",
        "write",
        "fsync",
        "renameat2",
        "linkat",
        "unlinkat",
        "mkdirat",
    ];
    rig.sweep_points(&calls, 12, "signal=SIGKILL", killed);
}
