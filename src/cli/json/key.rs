//! What `git vault key` answers to programs.

use serde_json::{Value, json};

use super::{path, paths};
use crate::host::keys::Stored;
use crate::ops::key::{ConfirmReport, ExportReport, KeyLine, KeyStatusReport};
use crate::ops::key_change::{CompromiseReport, RotateReport};
use crate::ops::key_import::ImportReport;
use crate::vault::keyring::KeyState;

/// `git vault key status`.
#[must_use]
pub fn status(report: &KeyStatusReport) -> Value {
    json!({
        "schema": "git-vault/key-status/1",
        "vault": path(&report.vault),
        "keys": report.keys.iter().map(line).collect::<Vec<_>>(),
        "unused": paths(&report.unused),
        "second_copy": report.has_second_copy(),
    })
}

fn line(line: &KeyLine) -> Value {
    let (state, since) = match line.state {
        KeyState::Active => ("active", None),
        KeyState::Retired => ("retired", None),
        KeyState::CompromisedSince(entry) => ("compromised", Some(entry)),
    };
    let copy = |(form, time): &(crate::model::log_entry::CopyForm, _)| json!({ "form": form.word(), "time": time });
    json!({
        "key": line.key,
        "state": state,
        "accepted_up_to": since,
        "first_entry": line.first_entry,
        "file": path(&line.file),
        "copies": line.copies.iter().map(copy).collect::<Vec<_>>(),
    })
}

/// `git vault key export`.
#[must_use]
pub fn export(report: &ExportReport) -> Value {
    json!({
        "schema": "git-vault/key-export/1",
        "vault": path(&report.vault),
        "file": report.file.as_deref().map(path),
        "kit": report.file.is_none().then_some(report.kit.as_str()),
    })
}

/// `git vault key confirm` and `git vault key escrow`.
#[must_use]
pub fn confirm(report: &ConfirmReport) -> Value {
    json!({
        "schema": "git-vault/key-copy/1",
        "vault": path(&report.vault),
        "form": report.form.word(),
        "keys": report.keys,
        "files": paths(&report.files),
    })
}

/// `git vault key import`.
#[must_use]
pub fn import(report: &ImportReport) -> Value {
    let key = |(key, file, stored): &(_, std::path::PathBuf, Stored)| json!({ "key": key, "file": path(file), "stored": *stored == Stored::Now });
    json!({
        "schema": "git-vault/key-import/1",
        "vault": path(&report.vault),
        "keys": report.keys.iter().map(key).collect::<Vec<Value>>(),
        "log_entries": report.log_entries,
    })
}

/// `git vault key rotate`.
#[must_use]
pub fn rotate(report: &RotateReport) -> Value {
    json!({
        "schema": "git-vault/key-rotate/1",
        "vault": path(&report.vault),
        "old": report.old,
        "new": report.new,
        "new_key": path(&report.file),
        "recorded_as": report.recorded_as,
    })
}

/// `git vault key compromise`.
#[must_use]
pub fn compromise(report: &CompromiseReport) -> Value {
    json!({
        "schema": "git-vault/key-compromise/1",
        "vault": path(&report.vault),
        "key": report.key,
        "since": report.since,
        "doubtful": report.doubtful,
        "accepted": report.accepted,
        "recorded_as": report.recorded_as,
    })
}
