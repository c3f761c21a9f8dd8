//! What `ls`, `find`, `log` and a restore of single paths say, as text for people.

use std::fmt::Write as _;

use super::{Lines, age, bytes, count, shown, word};
use crate::model::escape::{for_terminal, text_name};
use crate::model::listing::{Attributes, Entry};
use crate::model::place::Place;
use crate::model::timestamp::Timestamp;
use crate::model::version::Version;
use crate::ops::find::{FindReport, Found, LogReport};
use crate::ops::grep::{GrepReport, Hits, Match};
use crate::ops::look::{Listed, LsReport};
use crate::ops::restore_paths::{Given, RestorePathsReport, There};
use crate::ops::snapshot_path::word_of;

fn time(attributes: Option<&Attributes>) -> String {
    attributes.map_or_else(String::new, |attributes| {
        let seconds = attributes.mtime_ns.div_euclid(1_000_000_000);
        let seconds = i64::try_from(seconds).unwrap_or_default();
        Timestamp::from_seconds(seconds).to_string()
    })
}

fn line(listed: &Listed) -> String {
    let name = text_name(&listed.path);
    let (size, attributes, name) = match &listed.entry {
        Entry::File {
            attributes,
            bytes: size,
            ..
        } => (bytes(*size), Some(attributes), name),
        Entry::Directory { .. } => (String::new(), listed.own.as_ref(), format!("{name}/")),
        Entry::Link { attributes, .. } => {
            let target = text_name(listed.target.as_deref().unwrap_or_default());
            (
                String::new(),
                Some(attributes),
                format!("{name} -> {target}"),
            )
        }
        Entry::Special { attributes, kind } => (
            String::new(),
            Some(attributes),
            format!("{name} ({})", kind.word()),
        ),
        Entry::LeftOut { reason, .. } => (
            String::new(),
            None,
            format!("{name} (left out: {})", reason.word()),
        ),
    };
    format!("{size:>9}  {:20}  {name}", time(attributes))
}

/// `git vault ls`: one line each; what was recorded and not kept is said to be.
#[must_use]
pub fn ls(report: &LsReport) -> String {
    let lines = report.entries.iter().map(line);
    lines.fold(String::new(), |mut text, line| {
        text.push_str(for_terminal(&line).trim_end());
        text.push('\n');
        text
    })
}

fn version(version: &Version) -> String {
    match version {
        Version::File {
            bytes: size,
            blake3,
            ..
        } => {
            let blake3 = blake3.to_string();
            format!(
                "{:>9}  {}",
                bytes(*size),
                blake3.get(..12).unwrap_or_default()
            )
        }
        Version::Link(_) => format!("{:>9}", "link"),
        Version::Directory => format!("{:>9}", "directory"),
        Version::Other => format!("{:>9}", "not kept"),
    }
}

/// A path, with the name of its tree before it unless that is the main working tree.
fn named(place: Place, path: &[u8]) -> String {
    let tree = match place {
        Place::Worktree => String::new(),
        Place::Gitdir | Place::Linked(_) => format!("/{}/", place.name()),
    };
    tree + &text_name(path)
}

fn found(one: &Found, report: &FindReport, now: Timestamp) -> String {
    let path = named(one.place, &one.path);
    let slash = if one.version == Version::Directory {
        "/"
    } else {
        ""
    };
    let is_there = report.newest.as_ref() == Some(&one.last);
    let gone = if is_there { "" } else { "; not in the newest" };
    format!(
        "{path}{slash}\n       {} in {}; first {} ({} ago), last {} ({} ago){gone}\n",
        count(one.versions, "version"),
        count(one.snapshots, "snapshot"),
        one.first.record.id,
        age(one.first.time, now),
        one.last.record.id,
        age(one.last.time, now),
    )
}

/// `git vault find`.
#[must_use]
pub fn find(report: &FindReport, now: Timestamp) -> String {
    let mut text = String::new();
    for one in &report.found {
        text.push_str(&for_terminal(&found(one, report, now)));
    }
    let mut lines = Lines(text);
    lines.add(
        "SEARCHED",
        format!(
            "all working trees of {}; found {}",
            count(report.searched, "snapshot"),
            count(report.found.len() as u64, "path")
        ),
    );
    passed_over(&mut lines, report.passed_over);
    if let Some(one) = report.found.first() {
        let of = word_of(one.last.record.id.as_str(), one.place, &one.path);
        lines.add("NEXT", format!("git vault restore {of} DIR"));
    }
    lines.0
}

/// Says how many snapshots were not searched because they are not accepted.
fn passed_over(lines: &mut Lines, snapshots: u64) {
    if snapshots > 0 {
        let number = count(snapshots, "snapshot");
        lines.add(
            "PASSED",
            format!("{number} not accepted, because a key was compromised: not searched"),
        );
    }
}

/// Longer lines are cut.
const LINE_CHARACTERS: usize = 200;

fn matched(one: &Match, report: &GrepReport, now: Timestamp) -> String {
    let is_there = report.newest.as_ref() == Some(&one.last);
    let gone = if is_there {
        ""
    } else {
        "; not so in the newest"
    };
    let mut text = format!(
        "{}  in {}, last {} ({} ago){gone}\n",
        named(one.place, &one.path),
        count(one.snapshots, "snapshot"),
        one.last.record.id,
        age(one.last.time, now),
    );
    match &one.hits {
        Hits::Binary => text.push_str("       a file that is no text matches\n"),
        Hits::Lines(lines) => {
            for line in lines {
                let shown = String::from_utf8_lossy(&line.text).replace('\t', "    ");
                let cut: String = shown.chars().take(LINE_CHARACTERS).collect();
                let rest = if cut.len() < shown.len() { " ..." } else { "" };
                let _infallible = writeln!(text, "{:>6}:{}{rest}", line.number, for_terminal(&cut));
            }
        }
    }
    text
}

/// `git vault grep`.
#[must_use]
pub fn grep(report: &GrepReport, now: Timestamp) -> String {
    let mut text = String::new();
    for one in &report.matches {
        text.push_str(&for_terminal(&matched(one, report, now)));
    }
    let mut lines = Lines(text);
    lines.add(
        "SEARCHED",
        format!(
            "{} of {}; {}",
            count(report.contents, "content"),
            count(report.searched, "snapshot"),
            match report.matches.len() {
                0 => "nothing matches".to_owned(),
                1 => "1 version that matches".to_owned(),
                number => format!("{} that match", count(number as u64, "version")),
            },
        ),
    );
    passed_over(&mut lines, report.passed_over);
    if report.too_large > 0 {
        let number = count(report.too_large, "content");
        lines.add(
            "PASSED",
            format!("{number} of more than 64 MiB: not searched"),
        );
    }
    if let Some(one) = report.matches.first() {
        let of = word_of(one.last.record.id.as_str(), one.place, &one.path);
        lines.add("NEXT", format!("git vault cat {of}"));
    }
    lines.0
}

/// `git vault log PATH`: the newest version first.
#[must_use]
pub fn log(report: &LogReport, place: Place, now: Timestamp) -> String {
    let mut text = String::new();
    for one in report.versions.iter().rev() {
        let what = one
            .version
            .as_ref()
            .map_or_else(|| format!("{:>9}", "not there"), version);
        let line = format!(
            "{}  {:>4} ago  {what}  in {}",
            one.last.record.id,
            age(one.last.time, now),
            count(one.snapshots, "snapshot"),
        );
        let _infallible = writeln!(text, "{line}");
    }
    let mut lines = Lines(text);
    let newest = report
        .versions
        .iter()
        .rev()
        .find(|one| one.version.is_some());
    if let Some(newest) = newest {
        let of = word_of(newest.last.record.id.as_str(), place, &report.path);
        lines.add("NEXT", format!("git vault cat {of}"));
        lines.add("NEXT", format!("git vault restore {of} DIR"));
    }
    lines.0
}

fn copy(given: &Given) -> Option<String> {
    let origin = given.origin.as_ref()?;
    Some(if given.is_directory {
        format!("cp -a -- {}/. {}/", word(&given.restored), word(origin))
    } else {
        format!("cp -a -- {} {}", word(&given.restored), word(origin))
    })
}

/// `git vault restore SNAP:PATH... DIR`.
#[must_use]
pub fn restored(report: &RestorePathsReport) -> String {
    let mut lines = Lines::default();
    let id = &report.snapshot.record.id;
    lines.add(
        "RESTORED",
        format!(
            "{} of snapshot {id} to {}",
            count(report.given.len() as u64, "path"),
            shown(&report.destination)
        ),
    );
    lines.add(
        "WROTE",
        format!(
            "{} ({}), each hashed again",
            count(report.files, "file"),
            bytes(report.bytes)
        ),
    );
    for one in &report.not_recreated {
        lines.add("MISSING", format!("not recreated: {one}"));
    }
    for given in &report.given {
        let place = given.origin.as_deref().map(shown).unwrap_or_default();
        match given.there {
            There::Same => lines.add("SAME", format!("{place} holds the same now")),
            There::Other => lines.add(
                "THERE",
                format!("{place} is something else now: look before you copy"),
            ),
            There::Nothing | There::Unknown => {}
        }
        if let Some(copy) = copy(given).filter(|_| given.there != There::Same) {
            lines.add(
                "NEXT",
                format!("{copy}      (not done: what is there would be overwritten)"),
            );
        }
    }
    lines.0
}
