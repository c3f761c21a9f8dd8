//! What `ls`, `find`, `log` and a restore of single paths say, as JSON objects.

use serde_json::{Value, json};

use super::path;
use crate::model::escape::text_name;
use crate::model::listing::Entry;
use crate::model::place::Place;
use crate::model::version::Version;
use crate::ops::find::{FindReport, Found, LogReport, Logged};
use crate::ops::grep::{GrepReport, Hits, Match};
use crate::ops::look::{Listed, LsReport};
use crate::ops::restore_paths::{Given, RestorePathsReport, There};
use crate::vault::log::LoggedSnapshot;

pub(super) fn snapshot(logged: &LoggedSnapshot) -> Value {
    json!({ "id": logged.record.id, "number": logged.number, "created": logged.time })
}

fn listed(one: &Listed) -> Value {
    let name = text_name(&one.path);
    match &one.entry {
        Entry::File {
            attributes,
            bytes,
            blake3,
        } => json!({
            "path": name, "kind": "file", "bytes": bytes, "blake3": blake3,
            "mode": attributes.mode & 0o7777, "mtime_ns": attributes.mtime_ns.to_string(),
        }),
        Entry::Link { attributes, .. } => json!({
            "path": name, "kind": "link", "target": text_name(one.target.as_deref().unwrap_or_default()),
            "mtime_ns": attributes.mtime_ns.to_string(),
        }),
        Entry::Directory { .. } => json!({ "path": name, "kind": "directory" }),
        Entry::Special { kind, .. } => json!({ "path": name, "kind": kind.word() }),
        Entry::LeftOut { reason, .. } => {
            json!({ "path": name, "kind": "left-out", "reason": reason.word() })
        }
    }
}

/// `git vault ls`.
#[must_use]
pub fn ls(report: &LsReport) -> Value {
    json!({
        "schema": "git-vault/ls/1",
        "snapshot": snapshot(&report.snapshot),
        "tree": report.place.name(),
        "path": text_name(&report.path),
        "entries": report.entries.iter().map(listed).collect::<Vec<_>>(),
    })
}

fn version(version: &Version) -> Value {
    match version {
        Version::File {
            bytes,
            blake3,
            mtime_ns,
            ..
        } => json!({
            "kind": "file", "bytes": bytes, "blake3": blake3, "mtime_ns": mtime_ns.to_string(),
        }),
        Version::Link(blake3) => json!({ "kind": "link", "blake3": blake3 }),
        Version::Directory => json!({ "kind": "directory" }),
        Version::Other => json!({ "kind": "not-kept" }),
    }
}

fn found(one: &Found) -> Value {
    json!({
        "tree": one.place.name(),
        "path": text_name(&one.path),
        "first": snapshot(&one.first),
        "last": snapshot(&one.last),
        "snapshots": one.snapshots,
        "versions": one.versions,
        "newest_version": version(&one.version),
    })
}

/// `git vault find`.
#[must_use]
pub fn find(report: &FindReport) -> Value {
    json!({
        "schema": "git-vault/find/1",
        "searched": report.searched,
        "passed_over": report.passed_over,
        "newest": report.newest.as_ref().map(snapshot),
        "found": report.found.iter().map(found).collect::<Vec<_>>(),
    })
}

fn logged(one: &Logged) -> Value {
    json!({
        "first": snapshot(&one.first),
        "last": snapshot(&one.last),
        "snapshots": one.snapshots,
        "version": one.version.as_ref().map(version),
    })
}

/// `git vault log`.
#[must_use]
pub fn log(report: &LogReport, place: Place) -> Value {
    json!({
        "schema": "git-vault/log/1",
        "tree": place.name(),
        "path": text_name(&report.path),
        "versions": report.versions.iter().map(logged).collect::<Vec<_>>(),
    })
}

fn given(one: &Given) -> Value {
    json!({
        "path": text_name(&one.path),
        "restored": path(&one.restored),
        "origin": one.origin.as_deref().map(path),
        "there": match one.there {
            There::Nothing => "nothing",
            There::Same => "same",
            There::Other => "other",
            There::Unknown => "unknown",
        },
    })
}

/// `git vault restore SNAP:PATH... DIR`.
#[must_use]
pub fn restored(report: &RestorePathsReport) -> Value {
    json!({
        "schema": "git-vault/restore-paths/1",
        "snapshot": snapshot(&report.snapshot),
        "destination": path(&report.destination),
        "files": report.files,
        "bytes": report.bytes,
        "given": report.given.iter().map(given).collect::<Vec<_>>(),
        "not_recreated": report.not_recreated,
    })
}

fn matched(one: &Match) -> Value {
    let lines = match &one.hits {
        Hits::Binary => None,
        Hits::Lines(lines) => Some(lines.iter().map(
            |line| json!({ "number": line.number, "text": String::from_utf8_lossy(&line.text) }),
        )),
    };
    json!({
        "tree": one.place.name(),
        "path": text_name(&one.path),
        "first": snapshot(&one.first),
        "last": snapshot(&one.last),
        "snapshots": one.snapshots,
        "blake3": one.blake3,
        "lines": lines.map(Iterator::collect::<Vec<_>>),
    })
}

/// `git vault grep`.
#[must_use]
pub fn grep(report: &GrepReport) -> Value {
    json!({
        "schema": "git-vault/grep/1",
        "matches": report.matches.iter().map(matched).collect::<Vec<_>>(),
        "searched": report.searched,
        "passed_over": report.passed_over,
        "contents": report.contents,
        "too_large": report.too_large,
    })
}
