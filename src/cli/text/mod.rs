//! Every report as text for people.

pub mod acknowledge;
pub mod agents;
pub mod diff;
pub mod doctor;
pub mod drill;
pub mod guard;
pub mod habits;
pub mod hooks;
pub mod incident;
pub mod key;
pub mod list;
pub mod look;
mod patch;
pub mod scan;
pub mod schedule;
pub mod set_aside;
pub mod small;
pub mod status;
pub mod sweep;
mod trees;

use std::fmt::Write as _;
use std::path::Path;

use crate::model::escape::{for_terminal, shell_word};
use crate::model::ids::SnapshotId;
use crate::model::log_entry::VerifyLevel;
use crate::model::manifest::{Completeness, LeftOut, Manifest, TreeCounts};
use crate::model::timestamp::Timestamp;
use crate::ops::describe::broken_ref_note;
use crate::ops::init::InitReport;
use crate::ops::list::SnapshotSummary;
use crate::ops::restore::RestoreReport;
use crate::ops::show::ShowReport;
use crate::ops::snapshot::{Outcome, SnapshotReport};
use crate::ops::verify::{Recorded, VerifyReport};

/// Lines of a field's name and its value.
#[derive(Default)]
struct Lines(String);

impl Lines {
    fn add(&mut self, field: &str, value: impl AsRef<str>) {
        let value = for_terminal(value.as_ref()).replace('\n', " ");
        // Writing to a String cannot fail.
        let _infallible = writeln!(self.0, "{field:<10} {value}");
    }
}

/// A number of bytes in the unit that suits it.
#[must_use]
pub fn bytes(bytes: u64) -> String {
    const UNITS: [&str; 5] = ["kB", "MB", "GB", "TB", "PB"];
    if bytes < 1000 {
        return format!("{bytes} B");
    }
    let mut whole = bytes;
    let mut tenths = 0;
    let mut unit = "B";
    for next in UNITS {
        if whole < 1000 {
            break;
        }
        tenths = whole % 1000 / 100;
        whole /= 1000;
        unit = next;
    }
    if whole < 100 {
        format!("{whole}.{tenths} {unit}")
    } else {
        format!("{whole} {unit}")
    }
}

/// A number with the word it counts.
fn count(number: u64, word: &str) -> String {
    let stem = word
        .strip_suffix('y')
        .filter(|stem| !stem.ends_with(['a', 'e', 'o']));
    match (number, stem) {
        (1, _) => format!("1 {word}"),
        (_, Some(stem)) => format!("{number} {stem}ies"),
        (_, None) => format!("{number} {word}s"),
    }
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// A path as a word of a command: quoted where a shell would not take it as it stands.
fn word(path: &Path) -> String {
    let is_plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"/._-+=:@,%".contains(byte);
    if path.as_os_str().as_encoded_bytes().iter().all(is_plain) {
        shown(path)
    } else {
        shell_word(path)
    }
}

/// `git vault init`.
#[must_use]
pub fn init(report: &InitReport) -> String {
    let mut lines = Lines::default();
    lines.add("VAULT", format!("made at {}", shown(&report.vault)));
    new_key(&mut lines, &report.key);
    lines.0
}

/// What must be said of a new key even to those who want to hear nothing.
#[must_use]
pub fn key_notice(key: &Path) -> String {
    let mut lines = Lines::default();
    new_key(&mut lines, key);
    lines.0
}

fn new_key(lines: &mut Lines, key: &Path) {
    lines.add("KEY", format!("made at {}", shown(key)));
    lines.add(
        "",
        "this is its only copy, and without it no snapshot can be trusted again:",
    );
    lines.add(
        "",
        "git vault key export FILE makes a recovery kit to print and keep elsewhere, as a secret",
    );
}

/// `git vault snapshot`.
#[must_use]
pub fn snapshot(report: &SnapshotReport) -> String {
    let mut lines = Lines::default();
    let manifest = &report.manifest;
    let id = &manifest.snapshot;
    match report.outcome {
        Outcome::Unchanged => {
            lines.add(
                "UNCHANGED",
                format!(
                    "nothing has changed since {id} was sealed, {}",
                    manifest.created
                ),
            );
        }
        Outcome::Sealed => {
            lines.add(
                "SEALED",
                format!("{id}  snapshot {}, {}", report.number, manifest.created),
            );
            lines.add("HOLDS", holds(manifest));
            trees::summary(&mut lines, manifest);
            lines.add("NEW", new(manifest));
        }
    }
    state(&mut lines, manifest);
    needs(&mut lines, manifest);
    if let Some(line) = left_out(&manifest.left_out) {
        lines.add(
            "LEFT OUT",
            format!("{line}; git vault show {id} says by which rules"),
        );
    }
    for note in &manifest.notes {
        lines.add("NOTE", note);
    }
    lines.add("VAULT", shown(&report.vault));
    if let Some(from) = &report.moved_from {
        lines.add(
            "MOVED",
            format!("the repository was at {from} before; its vault has moved with it"),
        );
    }
    if let Some(key) = &report.new_key {
        new_key(&mut lines, key);
    }
    for warning in &report.warnings {
        lines.add("WARNING", format!("the snapshot is sealed, but: {warning}"));
    }
    incomplete(&mut lines, report.incomplete.len());
    lines.0
}

/// What a restore needs beside the vault; nothing is said where it needs nothing.
fn needs(lines: &mut Lines, manifest: &Manifest) {
    if manifest.completeness == Completeness::NeedsPromisor {
        let objects = count(manifest.history.promised, "object");
        let word = manifest.completeness.word();
        lines.add(
            "NEEDS",
            format!("{word}: {objects} of history are with the promisor remote, as in the source, not in the vault"),
        );
    }
}

fn holds(manifest: &Manifest) -> String {
    let place =
        |counts: &TreeCounts| format!("{}, {}", count(counts.files, "file"), bytes(counts.bytes));
    let worktree = manifest.content.worktree.as_ref();
    let tree = worktree.map_or("bare repository".to_owned(), |counts| {
        format!("working tree of {}", place(counts))
    });
    let linked = &manifest.content.linked;
    let linked = if linked.is_empty() {
        String::new()
    } else {
        let all = TreeCounts {
            files: linked.iter().map(|counts| counts.files).sum(),
            bytes: linked.iter().map(|counts| counts.bytes).sum(),
            ..TreeCounts::default()
        };
        format!("; linked ones of {}", place(&all))
    };
    format!(
        "{tree}{linked}; git directory of {}",
        place(&manifest.content.gitdir)
    )
}

fn new(manifest: &Manifest) -> String {
    let new_bytes = manifest
        .packs
        .iter()
        .map(|pack| pack.bytes + pack.index_bytes)
        .sum();
    let history = count(manifest.history.objects_added, "object");
    format!(
        "{} in {}, read back from disk; {history} of history",
        bytes(new_bytes),
        count(manifest.packs.len() as u64, "pack")
    )
}

fn state(lines: &mut Lines, manifest: &Manifest) {
    let source = &manifest.source;
    let (branch, head) = (source.branch.as_deref(), source.head.as_deref());
    let state = match (branch, head) {
        (Some(branch), None) if is_broken(manifest) => {
            format!("on {}, which is broken", short(branch))
        }
        _ => at(branch, head, &source.operations),
    };
    lines.add("STATE", state);
}

/// The name of a branch without what all branches begin with.
fn short(branch: &str) -> &str {
    branch.strip_prefix("refs/heads/").unwrap_or(branch)
}

/// Where a HEAD stands, and what is in progress there.
fn at(branch: Option<&str>, head: Option<&str>, operations: &[String]) -> String {
    let head = head.map(|head| head.get(..12).unwrap_or(head));
    let place = match (branch.map(short), head) {
        (Some(branch), Some(head)) => format!("on {branch} at {head}"),
        (Some(branch), None) => format!("on {branch}, which has no commit yet"),
        (None, Some(head)) => format!("detached at {head}"),
        (None, None) => "HEAD is broken".to_owned(),
    };
    let operations = operations.join(", ");
    if operations.is_empty() {
        place
    } else {
        format!("{place}; in progress: {operations}")
    }
}

/// Whether the ref that HEAD names was kept as evidence only.
fn is_broken(manifest: &Manifest) -> bool {
    let branch = manifest.source.branch.as_deref().unwrap_or_default();
    let note = broken_ref_note(branch);
    manifest.notes.contains(&note)
}

/// Whether a rule left out what may be somebody's work: object stores and locks of repositories inside the tree are not.
fn is_of_user(one: &LeftOut) -> bool {
    one.place != "gitdir" && !["objects", "lock", "linked-worktree"].contains(&one.reason.as_str())
}

/// How much the rules left out; what is always left out of a git directory is not worth a line.
fn left_out(all: &[LeftOut]) -> Option<String> {
    let of_user: Vec<&LeftOut> = all.iter().filter(|one| is_of_user(one)).collect();
    let files: u64 = of_user.iter().map(|one| one.files).sum();
    let directories: u64 = of_user.iter().map(|one| one.directories).sum();
    let total_bytes = of_user.iter().map(|one| one.bytes).sum();
    let mut parts = Vec::new();
    if files > 0 {
        parts.push(format!("{} ({})", count(files, "file"), bytes(total_bytes)));
    }
    if directories > 0 {
        parts.push(format!("{} unseen", count(directories, "directory")));
    }
    (!parts.is_empty()).then(|| {
        format!(
            "{}, by {}",
            parts.join(" and "),
            count(of_user.len() as u64, "rule")
        )
    })
}

fn incomplete(lines: &mut Lines, number: usize) {
    if number > 0 {
        let what = count(number as u64, "interrupted snapshot");
        lines.add(
            "INCOMPLETE",
            format!("{what} in the vault: not snapshots, kept as evidence"),
        );
    }
}

/// The strongest word that holds of a snapshot, and since when.
fn standing(summary: &SnapshotSummary) -> String {
    if !summary.is_accepted {
        return "DOUBTFUL".to_owned();
    }
    match (summary.proof.drilled, summary.proof.verified) {
        (Some(time), _) => format!("PROVEN {time}"),
        (None, Some(verified)) => format!("VERIFIED {} {}", verified.level.word(), verified.time),
        (None, None) => "SEALED".to_owned(),
    }
}

/// How long ago, in the largest fitting unit.
fn age(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.seconds().saturating_sub(then.seconds());
    match seconds {
        ..0 => "0 s".to_owned(),
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} m", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} d", seconds / 86400),
    }
}

/// `git vault show`.
#[must_use]
pub fn show(report: &ShowReport) -> String {
    let SnapshotSummary {
        logged, manifest, ..
    } = &report.snapshot;
    let mut lines = Lines::default();
    lines.add(
        "SNAPSHOT",
        format!("{}  snapshot {}", manifest.snapshot, logged.number),
    );
    lines.add("STANDING", standing(&report.snapshot));
    lines.add(
        "MADE",
        format!(
            "{} by {}, trigger {}",
            manifest.created, manifest.tool, manifest.trigger
        ),
    );
    if !manifest.message.is_empty() {
        lines.add("MESSAGE", &manifest.message);
    }
    if !manifest.labels.is_empty() {
        lines.add("LABELS", manifest.labels.join(", "));
    }
    lines.add(
        "SOURCE",
        manifest
            .source
            .worktree
            .as_ref()
            .unwrap_or(&manifest.source.git_dir),
    );
    state(&mut lines, manifest);
    lines.add("HOLDS", holds(manifest));
    trees::each(&mut lines, manifest);
    needs(&mut lines, manifest);
    lines.add("NEW", new(manifest));
    lines.add(
        "COMMIT",
        format!("{} in the vault's repository", manifest.content.commit),
    );
    for one in &manifest.left_out {
        lines.add("LEFT OUT", left_out_line(one));
    }
    for pattern in &manifest.include {
        lines.add("INCLUDE", pattern);
    }
    for pattern in &manifest.exclude {
        lines.add("EXCLUDE", pattern);
    }
    for lock in &manifest.source.locks {
        lines.add("LOCK", format!("a running git held {lock}"));
    }
    for note in &manifest.notes {
        lines.add("NOTE", note);
    }
    lines.add("VAULT", shown(&report.vault));
    lines.0
}

fn left_out_line(one: &LeftOut) -> String {
    let mut parts = Vec::new();
    if one.files > 0 {
        parts.push(format!(
            "{} ({})",
            count(one.files, "file"),
            bytes(one.bytes)
        ));
    }
    if one.directories > 0 {
        parts.push(format!("{} unseen", count(one.directories, "directory")));
    }
    let why = match one.reason.as_str() {
        "objects" => "the objects are in the history packs".to_owned(),
        "lock" => "lock files of a running git".to_owned(),
        reason => format!("{reason} by {}", one.rule),
    };
    format!("{}: {}: {why}", one.place, parts.join(" and "))
}

fn recorded(lines: &mut Lines, recorded: &Recorded) {
    match recorded {
        Recorded::Entry(number) => lines.add("RECORDED", format!("as log entry {number}")),
        Recorded::No(reason) => lines.add("RECORDED", format!("no: {reason}")),
    }
}

/// `git vault verify`.
#[must_use]
pub fn verify(report: &VerifyReport) -> String {
    let mut lines = Lines::default();
    let of = report.snapshots_in_vault;
    lines.add(
        "VERIFIED",
        format!(
            "{}: {} of {}",
            report.level.word(),
            report.snapshots.len(),
            count(of, "snapshot")
        ),
    );
    let packs = count(report.packs, "pack");
    lines.add(
        "CHECKED",
        match report.level {
            VerifyLevel::Quick => format!(
                "{}, {packs} by name and size",
                count(report.log_entries, "log entry")
            ),
            VerifyLevel::Full => format!(
                "{}, {packs} of {} by BLAKE3",
                count(report.log_entries, "log entry"),
                bytes(report.bytes)
            ),
            VerifyLevel::Deep => format!(
                "{}, {packs} of {}, {} decoded, {} hashed",
                count(report.log_entries, "log entry"),
                bytes(report.bytes),
                count(report.objects, "object"),
                count(report.files, "file"),
            ),
        },
    );
    if !report.needs_promisor.is_empty() {
        let ids: Vec<&str> = report
            .needs_promisor
            .iter()
            .map(SnapshotId::as_str)
            .collect();
        let (word, ids) = (Completeness::NeedsPromisor.word(), ids.join(", "));
        lines.add(
            "NEEDS",
            format!("{word}: {ids} lack what a promisor remote has, as their source did"),
        );
    }
    if report.doubtful > 0 {
        let what = count(report.doubtful, "snapshot");
        lines.add(
            "DOUBTFUL",
            format!("{what} not checked: somebody else may have signed them"),
        );
    }
    recorded(&mut lines, &report.recorded);
    incomplete(&mut lines, report.incomplete.len());
    lines.0
}

/// `git vault restore`.
#[must_use]
pub fn restore(report: &RestoreReport) -> String {
    let mut lines = Lines::default();
    lines.add(
        "RESTORED",
        format!(
            "{} to {}",
            report.manifest.snapshot,
            shown(&report.destination)
        ),
    );
    lines.add(
        "WROTE",
        format!(
            "{} ({}), each hashed again; {} of history",
            count(report.files, "file"),
            bytes(report.bytes),
            count(report.objects, "object"),
        ),
    );
    state(&mut lines, &report.manifest);
    needs(&mut lines, &report.manifest);
    if let Some(stale) = &report.stale {
        lines.add("STALE", format!("there were newer snapshots: {stale}"));
    }
    for one in &report.not_recreated {
        lines.add("MISSING", format!("not recreated: {one}"));
    }
    for note in &report.manifest.notes {
        lines.add("NOTE", note);
    }
    for one in &report.can_execute {
        lines.add("EXECUTES", one);
    }
    for one in report
        .manifest
        .left_out
        .iter()
        .filter(|one| is_of_user(one))
    {
        lines.add("LEFT OUT", left_out_line(one));
    }
    lines.add(
        "NEXT",
        format!(
            "git -C {} status      (lets git learn the new files' times)",
            word(&report.destination)
        ),
    );
    trees::restored(&mut lines, report);
    lines.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_given_in_the_unit_that_suits_them() {
        let cases = [
            (0, "0 B"),
            (999, "999 B"),
            (1000, "1.0 kB"),
            (99_949, "99.9 kB"),
            (123_456_789, "123 MB"),
        ];
        for (number, text) in cases {
            assert_eq!(bytes(number), text);
        }
    }
}
