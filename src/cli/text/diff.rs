//! What `diff` says, as text for people: a line for each path, or the lines that differ.

use similar::TextDiff;

use super::{Lines, bytes, count};
use crate::model::escape::{for_terminal, text_name};
use crate::ops::compare_directory::CompareReport;
use crate::ops::diff::{Change, DiffReport, Side};
use crate::ops::snapshot_path::word_of;

/// So many lines around a difference are shown.
const CONTEXT: usize = 3;

fn kind(side: &Side) -> String {
    match side {
        Side::File(_, size, _) => bytes(*size),
        Side::Link(target) => format!("link to {}", text_name(target)),
        Side::Directory(_) => "directory".to_owned(),
        Side::Other => "not kept".to_owned(),
    }
}

fn mode(side: Option<&Side>) -> Option<u32> {
    match side {
        Some(Side::File(mode, ..) | Side::Directory(mode)) => Some(*mode),
        Some(Side::Link(_) | Side::Other) | None => None,
    }
}

fn line(change: &Change) -> String {
    let (letter, what) = match (&change.old, &change.new) {
        (None, Some(new)) => ('A', kind(new)),
        (Some(old), None) => ('D', kind(old)),
        (Some(old), Some(new)) if kind(old) == kind(new) => ('M', kind(new)),
        (Some(old), Some(new)) => ('M', format!("{} -> {}", kind(old), kind(new))),
        (None, None) => (' ', String::new()),
    };
    let modes = mode(change.old.as_ref()).zip(mode(change.new.as_ref()));
    let modes = modes.filter(|(old, new)| old != new);
    let modes = modes.map_or_else(String::new, |(old, new)| {
        format!(", mode {old:04o} -> {new:04o}")
    });
    let untracked = if change.is_tracked == Some(false) {
        ", untracked"
    } else {
        ""
    };
    let path = match change.path.as_slice() {
        // The directory itself that is compared.
        b"" => ".".to_owned(),
        path => text_name(path),
    };
    format!("{letter}  {path}  ({what}{modes}{untracked})")
}

/// The lines that differ, in the form that `git apply` and `patch` understand, as long as names are plain.
fn patch(change: &Change) -> Option<String> {
    let (old, new) = change.texts.as_ref()?;
    let name = text_name(&change.path);
    let side = |there: &Option<Side>, prefix: &str| match there {
        Some(_) => format!("{prefix}/{name}"),
        None => "/dev/null".to_owned(),
    };
    let diff = TextDiff::from_lines(old.as_slice(), new.as_slice());
    let mut written = Vec::new();
    diff.unified_diff()
        .context_radius(CONTEXT)
        .header(&side(&change.old, "a"), &side(&change.new, "b"))
        .to_writer(&mut written)
        .ok()?;
    Some(String::from_utf8_lossy(&written).into_owned())
}

/// `git vault diff`.
#[must_use]
pub fn diff(report: &DiffReport) -> String {
    let mut text = String::new();
    for change in &report.changes {
        let shown = patch(change).filter(|patch| !patch.is_empty());
        let shown = shown.unwrap_or_else(|| line(change) + "\n");
        text.push_str(&for_terminal(&shown));
    }
    let mut lines = Lines(text);
    let new = report.new.as_ref().map_or_else(
        || "the working tree now".to_owned(),
        |new| new.record.id.to_string(),
    );
    let differ = match report.changes.len() {
        0 => "no path differs".to_owned(),
        number => format!("{} differ", count(number as u64, "path")),
    };
    lines.add(
        "COMPARED",
        format!("{} with {new}: {differ}", report.old.record.id),
    );
    lines.0
}

/// `git vault compare`.
#[must_use]
pub fn compare(report: &CompareReport) -> String {
    let mut text = String::new();
    for change in &report.changes {
        text.push_str(&for_terminal(&(line(change) + "\n")));
    }
    let mut lines = Lines(text);
    let of = word_of(
        report.snapshot.record.id.as_str(),
        report.place,
        &report.path,
    );
    let differ = match report.changes.len() {
        0 => "nothing differs".to_owned(),
        number => format!("{} differ", count(number as u64, "path")),
    };
    let same = count(report.same, "file");
    lines.add(
        "COMPARED",
        format!(
            "{of} with {}: {differ}, {same} the same",
            report.directory.display()
        ),
    );
    if report.left_out > 0 {
        let number = count(report.left_out, "name");
        lines.add(
            "PASSED",
            format!("{number} that the snapshot had left out: not compared"),
        );
    }
    lines.0
}
