//! What `git vault key` says to people.

use super::{Lines, count, new_key, shown, word};
use crate::host::keys::Stored;
use crate::model::log_entry::CopyForm;
use crate::ops::key::{ConfirmReport, ExportReport, KeyLine, KeyStatusReport};
use crate::ops::key_change::{CompromiseReport, RotateReport};
use crate::ops::key_import::ImportReport;
use crate::vault::keyring::KeyState;

/// `git vault key status`.
#[must_use]
pub fn status(report: &KeyStatusReport) -> String {
    let mut lines = Lines::default();
    for line in &report.keys {
        lines.add("KEY", format!("{}  {}", line.key, state(line)));
        lines.add("", format!("file {}", shown(&line.file)));
        match line.copies.first() {
            Some((form, time)) => {
                let more = count(line.copies.len() as u64, "copy");
                lines.add(
                    "",
                    format!("{more} confirmed, the newest on {time} ({})", form.word()),
                );
            }
            None => lines.add("", "no second copy was ever confirmed"),
        }
    }
    for file in &report.unused {
        lines.add(
            "UNUSED",
            format!("{}: the log knows no such key", shown(file)),
        );
    }
    if !report.has_second_copy() {
        lines.add(
            "ATTENTION",
            "SEV-2: there is one copy of the key that signs",
        );
        lines.add(
            "NEXT",
            "git vault key export FILE      (then keep it elsewhere)",
        );
    }
    lines.add("VAULT", shown(&report.vault));
    lines.0
}

fn state(line: &KeyLine) -> String {
    let from = line.first_entry;
    match line.state {
        KeyState::Active => format!("signs, since log entry {from}"),
        KeyState::Retired => format!("retired; signed from log entry {from}"),
        KeyState::CompromisedSince(entry) => {
            format!("compromised: what it signed after log entry {entry} is not accepted")
        }
    }
}

/// `git vault key export FILE`; without a file the kit itself is the answer.
#[must_use]
pub fn export(report: &ExportReport) -> String {
    let Some(file) = &report.file else {
        return report.kit.to_string();
    };
    let mut lines = Lines::default();
    lines.add("KIT", format!("written to {}: a secret", shown(file)));
    lines.add(
        "NEXT",
        "print it, or move it to a place that survives this machine, then",
    );
    lines.add("", format!("git vault key confirm --kit {}", word(file)));
    lines.add(
        "",
        "git vault key confirm      (asks for one line of the printed kit)",
    );
    lines.0
}

/// `git vault key confirm` and `git vault key escrow`.
#[must_use]
pub fn confirm(report: &ConfirmReport) -> String {
    let mut lines = Lines::default();
    let keys = count(report.keys.len() as u64, "key");
    match report.form {
        CopyForm::Kit => lines.add("CONFIRMED", format!("a kit with {keys} exists")),
        CopyForm::Escrow => {
            lines.add("WRAPPED", format!("{keys}, each opened again"));
            for file in &report.files {
                lines.add("", shown(file));
            }
            lines.add(
                "NOTE",
                "whoever can read the vault can guess at the passphrase",
            );
        }
    }
    lines.add("VAULT", shown(&report.vault));
    lines.0
}

/// `git vault key import`.
#[must_use]
pub fn import(report: &ImportReport) -> String {
    let mut lines = Lines::default();
    for (key, file, stored) in &report.keys {
        let what = match stored {
            Stored::Now => "stored at",
            Stored::Before => "was there already, at",
        };
        lines.add("KEY", format!("{key} {what} {}", shown(file)));
    }
    let proved = count(report.log_entries, "log entry");
    lines.add("PROVES", format!("{proved} of {}", shown(&report.vault)));
    lines.add("NEXT", "git vault verify      (checks what is stored)");
    lines.0
}

/// `git vault key rotate`.
#[must_use]
pub fn rotate(report: &RotateReport) -> String {
    let mut lines = Lines::default();
    let entry = report.recorded_as;
    lines.add(
        "ROTATED",
        format!("key {} signs after log entry {entry}", report.new),
    );
    lines.add(
        "RETIRED",
        format!("key {} still proves what it signed: keep it", report.old),
    );
    new_key(&mut lines, &report.file);
    lines.add(
        "NEXT",
        "git vault key export FILE      (a kit that holds the new key, too)",
    );
    lines.0
}

/// `git vault key compromise`.
#[must_use]
pub fn compromise(report: &CompromiseReport) -> String {
    let mut lines = Lines::default();
    let (key, since) = (report.key, report.since);
    lines.add(
        "STATED",
        format!("what key {key} signed after log entry {since} is not accepted"),
    );
    let doubtful = count(report.doubtful, "snapshot");
    lines.add(
        "DOUBTFUL",
        format!("{doubtful}; {} are accepted", report.accepted),
    );
    lines.add(
        "NEXT",
        "git vault index rebuild      (the list of snapshots was signed with that key)",
    );
    if report.doubtful > 0 {
        lines.add(
            "",
            "git vault init --new      (new snapshots need a vault of their own)",
        );
    }
    lines.add("RECORDED", format!("as log entry {}", report.recorded_as));
    lines.0
}
