//! What `git vault status` says to people, and to collectors of metrics.

use std::fmt::Write as _;

use super::{Lines, age, bytes, count, shown, word};
use crate::model::escape::text_name;
use crate::model::manifest::Completeness;
use crate::model::timestamp::Timestamp;
use crate::ops::loose_ends::Remote;
use crate::ops::status::{About, Exposed, Since, StatusReport};
use crate::ops::triggers_audit::TriggersReport;
use crate::vault::heartbeats::Outcome;

/// So many files and patterns are named; the JSON has all.
const NAMED: usize = 8;

/// Five lines, a sixth where something makes snapshots by itself, what no snapshot holds, and one for each thing that needs attention.
#[must_use]
pub fn status(report: &StatusReport) -> String {
    let mut lines = Lines::default();
    lines.add("SEALED", sealed(report));
    lines.add("VERIFIED", verified(report));
    lines.add("PROVEN", proven(report));
    lines.add("KEYS", keys(report));
    lines.add("HEALTH", health(report));
    if let Some(found) = &report.triggers {
        lines.add("TRIGGERS", triggers(found, report.now));
    }
    if let Some(exposed) = &report.exposed {
        not_protected(&mut lines, exposed);
    }
    for attention in &report.attention {
        lines.add(
            "ATTENTION",
            format!(
                "SEV-{} {}: {}",
                attention.severity.number(),
                attention.about.word(),
                attention.what
            ),
        );
        lines.add("", format!("-> {}", attention.next));
    }
    lines.0
}

/// What no snapshot holds and looks precious, and what is on this machine only.
fn not_protected(lines: &mut Lines, exposed: &Exposed) {
    let found = &exposed.unprotected;
    let mut field = "NOT PROTECTED";
    let mut add = |what: String| {
        lines.add(field, what);
        field = "";
    };
    for file in found.files.iter().take(NAMED) {
        let path = text_name(&file.path);
        add(format!(
            "{path} ({}), ignored by {}",
            bytes(file.bytes),
            file.rule
        ));
    }
    if found.files.len() > NAMED {
        let more = (found.files.len() - NAMED) as u64;
        add(format!("and {} more", count(more, "file")));
    }
    for pattern in found.patterns.iter().take(NAMED) {
        let pattern = word(std::path::Path::new(pattern));
        add(format!("-> git config --add vault.include {pattern}"));
    }
    if found.is_cut {
        add("there are more ignored files than were looked at".to_owned());
    }
    let Some(upstream) = &exposed.upstream else {
        add("whether all commits are on a remote could not be found out".to_owned());
        return;
    };
    let unpushed = &upstream.unpushed;
    if unpushed.commits > 0 {
        let number = count(unpushed.commits, "commit");
        add(if unpushed.is_more {
            format!("{number} or more may be on no remote: history is longer than was looked at")
        } else {
            format!("{number} on no remote: on this machine only")
        });
    }
    if unpushed.on_tags_only > 0 {
        add(format!(
            "{} on tags or other refs only: git does not note whether a remote has them",
            count(unpushed.on_tags_only, "commit")
        ));
    }
    if upstream.inside > 0 {
        add(format!(
            "{} inside with something on no remote",
            count(upstream.inside, "repository")
        ));
    }
    let why = match upstream.remote {
        Remote::Tracked => None,
        Remote::None => Some("there is no remote"),
        Remote::Here => Some("there is no remote but a path"),
        Remote::Unknown => Some("nothing is known to be on the remote"),
    };
    if let Some(why) = why.filter(|_| upstream.has_commits) {
        add(format!("{why}: all commits are on this machine only"));
    }
}

fn sealed(report: &StatusReport) -> String {
    let Some(newest) = &report.newest else {
        return "no snapshot".to_owned();
    };
    let ago = age(newest.time, report.now);
    let since = match &report.since {
        Since::NotLooked(reason) | Since::Refused(reason) => {
            format!("work since: not known ({reason})")
        }
        Since::Work(work) if !work.is_any() => "nothing is new since".to_owned(),
        Since::Work(work) => {
            let mut parts = Vec::new();
            if work.changed > 0 {
                parts.push(format!("{} changed since", count(work.changed, "entry")));
            }
            if work.git_changed {
                parts.push("the git directory changed since".to_owned());
            }
            parts.join(", ")
        }
    };
    let needs = match report.completeness {
        Some(word @ Completeness::NeedsPromisor) => format!("{}; ", word.word()),
        Some(Completeness::SelfContained) | None => String::new(),
    };
    format!(
        "{} {ago} ago, the newest of {}; {needs}{since}",
        newest.record.id, report.snapshots.0
    )
}

fn verified(report: &StatusReport) -> String {
    report
        .verified
        .map_or("never".to_owned(), |(level, time, covered)| {
            format!(
                "{} {} ago, {covered} of {}",
                level.word(),
                age(time, report.now),
                count(report.snapshots.0, "snapshot")
            )
        })
}

fn proven(report: &StatusReport) -> String {
    report
        .proven
        .as_ref()
        .map_or("never".to_owned(), |(id, time)| {
            format!(
                "{id} {} ago, by a drill; {} of {} proven",
                age(*time, report.now),
                report.proven_snapshots,
                count(report.snapshots.0, "snapshot")
            )
        })
}

fn keys(report: &StatusReport) -> String {
    match report.copies.first() {
        None => "one copy, on this machine".to_owned(),
        Some((form, time)) => format!(
            "{} confirmed beside the one on this machine, the newest {} ago ({})",
            count(report.copies.len() as u64, "copy"),
            age(*time, report.now),
            form.word()
        ),
    }
}

fn triggers(found: &TriggersReport, now: Timestamp) -> String {
    let all = found.triggers.iter().map(|trigger| match &trigger.last {
        None => format!("{} never fired here", trigger.name),
        Some(last) => {
            let outcome = match last.outcome {
                Outcome::Sealed => "sealed",
                Outcome::Unchanged => "unchanged",
                Outcome::Pending => "put off",
                Outcome::Refused => "refused",
            };
            format!("{} {} ago ({outcome})", trigger.name, age(last.fired, now))
        }
    });
    all.collect::<Vec<_>>().join(", ")
}

fn health(report: &StatusReport) -> String {
    let free = report
        .free_bytes
        .map_or("room not known".to_owned(), |free| {
            format!("{} free", bytes(free))
        });
    let is_well = !report
        .attention
        .iter()
        .any(|attention| attention.about == About::Health);
    let word = if is_well { "nothing seen" } else { "see below" };
    let size = format!(
        "{} in {}",
        bytes(report.size.bytes),
        count(report.size.packs, "pack")
    );
    format!("{word}; {size}, {free} at {}", shown(&report.vault))
}

/// The same as metrics in the text format that collectors read: one gauge a line, times in seconds since the epoch, 0 for
/// never.
#[must_use]
pub fn metrics(report: &StatusReport) -> String {
    let vault = report.vault.display().to_string();
    let vault = vault
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n");
    let seconds = |time: Option<Timestamp>| time.map_or(0, Timestamp::seconds);
    let worst = report
        .attention
        .iter()
        .map(|one| one.severity.number())
        .min();
    let work = match &report.since {
        Since::Work(work) => Some(work.changed + u64::from(work.git_changed)),
        Since::NotLooked(_) | Since::Refused(_) => None,
    };
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let gauges = [
        ("snapshots", Some(number(report.snapshots.0))),
        ("snapshots_doubtful", Some(number(report.snapshots.1))),
        (
            "sealed_timestamp_seconds",
            Some(seconds(report.newest.as_ref().map(|one| one.time))),
        ),
        ("work_since_entries", work.map(number)),
        (
            "verified_timestamp_seconds",
            Some(seconds(report.verified.map(|(_, time, _)| time))),
        ),
        (
            "proven_timestamp_seconds",
            Some(seconds(report.proven.as_ref().map(|(_, time)| *time))),
        ),
        ("proven_snapshots", Some(number(report.proven_snapshots))),
        (
            "key_copies_confirmed",
            Some(number(report.copies.len() as u64)),
        ),
        ("incomplete", Some(number(report.incomplete.len() as u64))),
        ("pack_bytes", Some(number(report.size.bytes))),
        ("droppable_bytes", Some(number(report.droppable_bytes))),
        ("free_bytes", report.free_bytes.map(number)),
        ("attention_severity", Some(i64::from(worst.unwrap_or(0)))),
        ("status_timestamp_seconds", Some(report.now.seconds())),
    ];
    let mut text = String::new();
    for (name, value) in gauges {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _infallible = writeln!(
                text,
                "# TYPE git_vault_{name} gauge\ngit_vault_{name}{{vault=\"{vault}\"}} {value}"
            );
        }
    }
    text
}
