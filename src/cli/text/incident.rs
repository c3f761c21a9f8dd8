//! Incidents as text for people.

use super::{Lines, bytes, count, shown};
use crate::model::incident::{Exhibit, Incident};
use crate::ops::incidents::{IncidentList, IncidentSummary};

/// `git vault incident list`.
#[must_use]
pub fn list(report: &IncidentList) -> String {
    let mut lines = Lines::default();
    lines.add(
        "INCIDENTS",
        format!(
            "{} in {}",
            count(report.incidents.len() as u64, "record"),
            shown(&report.place)
        ),
    );
    for one in &report.incidents {
        let what = match &one.record {
            Ok(record) => record.what.clone(),
            Err(reason) => format!("the record cannot be read: {reason}"),
        };
        lines.add("", format!("{}  {what}", one.id));
    }
    lines.0
}

/// `git vault incident show`.
#[must_use]
pub fn show(summary: &IncidentSummary) -> String {
    let mut lines = Lines::default();
    lines.add("INCIDENT", shown(&summary.path));
    if let Ok(record) = &summary.record {
        said(&mut lines, record);
        surroundings(&mut lines, record);
        for exhibit in &record.evidence {
            evidence(&mut lines, exhibit);
        }
    }
    lines.0
}

fn said(lines: &mut Lines, record: &Incident) {
    lines.add(
        "REFUSED",
        format!(
            "SEV-{}  {} {}   exit {}, {}",
            record.severity, record.code, record.name, record.exit, record.when
        ),
    );
    lines.add("WHAT", &record.what);
    for fact in &record.why {
        lines.add("WHY", fact);
    }
    lines.add("STATE", &record.state);
    lines.add("KEPT", &record.kept);
}

fn surroundings(lines: &mut Lines, record: &Incident) {
    let environment = &record.environment;
    lines.add("COMMAND", record.command.join(" "));
    lines.add("TOOL", &record.tool);
    lines.add(
        "SYSTEM",
        format!("{} {}", environment.system, environment.kernel),
    );
    lines.add(
        "USER",
        format!("{} in {}", environment.user, environment.directory),
    );
    if let Some(vault) = &environment.vault {
        let kind = environment.file_system.as_deref().unwrap_or("unknown");
        let free = environment.free_bytes.map_or("unknown".to_owned(), bytes);
        lines.add(
            "VAULT",
            format!("{vault}, on a file system of kind {kind}, {free} free"),
        );
    }
    for variable in &environment.variables {
        lines.add("VARIABLE", variable);
    }
}

fn evidence(lines: &mut Lines, exhibit: &Exhibit) {
    lines.add("EVIDENCE", format!("{}: {}", exhibit.path, exhibit.kind));
    let mut add = |word: &str, value: &Option<String>| {
        if let Some(value) = value {
            lines.add("", format!("{word} {value}"));
        }
    };
    add("expected", &exhibit.expected);
    add("found", &exhibit.found);
    add("size", &exhibit.bytes.map(|bytes| format!("{bytes} bytes")));
    add("mode", &exhibit.mode);
    add("owner", &exhibit.owner.map(|owner| owner.to_string()));
    add("mtime", &exhibit.mtime);
    add("ctime", &exhibit.ctime);
    add("BLAKE3", &exhibit.blake3);
    add("copied to", &exhibit.copy);
    add("note:", &exhibit.note);
}
