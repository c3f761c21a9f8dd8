//! What `diff` says, as text for people: a line for each path, counts of lines, or the lines that differ.

use std::fmt::Write as _;

use super::{Lines, bytes, count};
use crate::model::escape::{for_terminal, text_name};
use crate::ops::compare_directory::CompareReport;
use crate::ops::diff::{Change, DiffReport, Side};
use crate::ops::diff_index::Standing;
use crate::ops::line_diff::LineCounts;
use crate::ops::snapshot_path::word_of;

use super::patch::{Paint, patch};

/// Where nothing says how wide the lines of counts may be.
const COLUMNS: usize = 80;

/// What is shown of each path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// What became of it.
    Lines,
    /// Its name alone.
    Names,
    /// How many lines came and went.
    Stat,
    /// The lines that differ.
    Patch,
}

/// How differences are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// What is shown of each path.
    pub form: Form,
    /// Whether a terminal shows it, which must not be told anything by a file.
    pub is_terminal: bool,
    /// Whether it is in colour.
    pub is_coloured: bool,
    /// How wide the terminal is.
    pub columns: Option<usize>,
}

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

fn modes(change: &Change) -> Option<String> {
    let modes = mode(change.old.as_ref()).zip(mode(change.new.as_ref()));
    let modes = modes.filter(|(old, new)| old != new);
    modes.map(|(old, new)| format!("mode {old:04o} -> {new:04o}"))
}

/// What became of a path: a letter, and what it was and is.
fn change_of(change: &Change) -> (char, String) {
    match (&change.old, &change.new) {
        (None, Some(new)) => ('A', kind(new)),
        (Some(old), None) => ('D', kind(old)),
        (Some(old), Some(new)) if kind(old) == kind(new) => ('M', kind(new)),
        (Some(old), Some(new)) => ('M', format!("{} -> {}", kind(old), kind(new))),
        (None, None) => (' ', String::new()),
    }
}

fn line(change: &Change) -> String {
    let (letter, what) = change_of(change);
    let modes = modes(change).map_or_else(String::new, |modes| format!(", {modes}"));
    let standing = match change.standing {
        Some(Standing::Staged) => ", staged or committed",
        Some(Standing::NotStaged) => ", not staged",
        Some(Standing::Untracked) => ", untracked",
        None => "",
    };
    let path = match change.path.as_slice() {
        // The directory itself that is compared.
        b"" => ".".to_owned(),
        path => text_name(path),
    };
    format!("{letter}  {path}  ({what}{modes}{standing})")
}

/// The end of a name, behind dots where it is too long.
fn shortened(name: &str, most: usize) -> String {
    let length = name.chars().count();
    if length <= most {
        return name.to_owned();
    }
    let end = name.chars().skip(length + 3 - most.max(3));
    format!("...{}", end.collect::<String>())
}

/// A line for each path: how many lines came and went, or what it was and is where lines do not say it.
fn stat(changes: &[Change], manner: Manner) -> String {
    let columns = manner.columns.unwrap_or(COLUMNS);
    let names: Vec<String> = changes.iter().map(|one| text_name(&one.path)).collect();
    let lines_of = |change: &Change| change.lines.map(|lines| lines.added + lines.removed);
    let most = changes.iter().filter_map(lines_of).max().unwrap_or(0);
    let digits = most.to_string().len();
    let longest = names.iter().map(|name| name.chars().count()).max();
    // In a pipe names are whole. On a terminal they get what the figures leave.
    let graph = usize::try_from(most)
        .unwrap_or(usize::MAX)
        .min(columns * 3 / 8);
    let left = columns.saturating_sub(graph + digits + 6).max(10);
    let width = longest.unwrap_or(0);
    let width = manner.columns.map_or(width, |_| width.min(left));
    let graph = columns.saturating_sub(width + digits + 6).clamp(4, 60);
    let paint = Paint::new(manner.is_coloured);
    let mut text = String::new();
    for (change, name) in changes.iter().zip(names) {
        let name = for_terminal(&shortened(&name, width));
        let what = match (change.lines, modes(change)) {
            (Some(lines), modes) => {
                let number = lines.added + lines.removed;
                let (plus, minus) = scaled(lines, most, graph);
                let plus = paint.added(&"+".repeat(plus));
                let minus = paint.removed(&"-".repeat(minus));
                let modes = modes.filter(|_| number == 0).unwrap_or_default();
                format!("{number:>digits$} {plus}{minus}{modes}")
            }
            (None, Some(modes)) => format!("{}, {modes}", change_of(change).1),
            (None, None) => {
                let (letter, what) = change_of(change);
                match letter {
                    'A' => format!("0 B -> {what}"),
                    'D' => format!("{what} -> 0 B"),
                    _ => what,
                }
            }
        };
        let pad = width.saturating_sub(name.chars().count());
        let line = format!(" {name}{:pad$} | {what}", "");
        let _infallible = writeln!(text, "{}", line.trim_end());
    }
    text
}

/// So many signs for the lines of a path; what came or went has at least one.
fn scaled(lines: LineCounts, most: u64, graph: usize) -> (usize, usize) {
    let graph = graph as u64;
    let scale = |number: u64| {
        let scaled = if most <= graph {
            number
        } else {
            (number * (graph - 1) / most).max(u64::from(number > 0))
        };
        usize::try_from(scaled).unwrap_or(usize::MAX)
    };
    (scale(lines.added), scale(lines.removed))
}

/// `git vault diff`.
#[must_use]
pub fn diff(report: &DiffReport, manner: Manner) -> String {
    let mut text = String::new();
    match manner.form {
        Form::Names => {
            for change in &report.changes {
                text.push_str(&for_terminal(&(text_name(&change.path) + "\n")));
            }
            return text;
        }
        Form::Stat => text.push_str(&stat(&report.changes, manner)),
        Form::Lines | Form::Patch => {
            for change in &report.changes {
                let patch = (manner.form == Form::Patch).then(|| patch(change, manner));
                let shown = patch.flatten();
                text.push_str(&shown.unwrap_or_else(|| for_terminal(&(line(change) + "\n"))));
            }
        }
    }
    for path in report.only_in_index.iter().flatten() {
        let line = format!(
            "I  {}  (the same; only the index has something else)\n",
            text_name(path)
        );
        text.push_str(&for_terminal(&line));
    }
    let mut lines = Lines(text);
    let new = match (&report.new, &report.elsewhere) {
        (Some(new), _) => new.record.id.to_string(),
        (None, None) => "the working tree now".to_owned(),
        (None, Some(root)) => format!("the working tree {} now", root.display()),
    };
    let mut differ = differ(report.changes.len(), "path");
    if manner.form == Form::Stat {
        let counts = report.changes.iter().filter_map(|change| change.lines);
        let (added, removed) = counts.fold((0, 0), |(added, removed), lines| {
            (added + lines.added, removed + lines.removed)
        });
        let (added, removed) = (count(added, "line"), count(removed, "line"));
        let _infallible = write!(differ, ", {added} added, {removed} removed");
        let others = report.changes.iter().filter(|one| one.lines.is_none());
        let others = others.count() as u64;
        if others > 0 {
            let others = count(others, "path");
            let _infallible = write!(differ, "; {others} without lines to count");
        }
    }
    lines.add(
        "COMPARED",
        format!("{} with {new}: {differ}", report.old.record.id),
    );
    if report.new.is_none() && report.only_in_index.is_none() {
        lines.add(
            "INDEX",
            "not compared: that of the snapshot cannot be read by itself",
        );
    }
    lines.0
}

fn differ(number: usize, word: &str) -> String {
    match number {
        0 => format!("no {word} differs"),
        1 => format!("1 {word} differs"),
        number => format!("{} differ", count(number as u64, word)),
    }
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
        number => differ(number, "path"),
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
