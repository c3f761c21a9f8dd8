//! What is said of snapshots that are dropped, and of packs that are put together.

use super::{Lines, bytes, count, shown};
use crate::ops::drop::{Choice, DropPlan, DropReport, Planned};
use crate::ops::optimize::OptimizeReport;
use crate::ops::sizes::Sizes;

/// `git vault prune --dry-run`, and what is shown before a question.
#[must_use]
pub fn planned(plan: &DropPlan) -> String {
    let mut lines = Lines::default();
    add_plan(&mut lines, plan);
    lines.add("VAULT", shown(&plan.vault));
    lines.0
}

fn add_plan(lines: &mut Lines, plan: &DropPlan) {
    let (going, staying) = (plan.going.len() as u64, plan.staying.len() as u64);
    lines.add(
        "PLAN",
        format!("{} dropped, {staying} kept", count(going, "snapshot")),
    );
    for one in &plan.going {
        lines.add("DROP", told(one));
    }
    if matches!(plan.choice, Choice::Policy(_)) {
        for one in &plan.staying {
            lines.add("KEEP", format!("{}: {}", told(one), one.kept.join(", ")));
        }
    }
}

fn told(one: &Planned) -> String {
    let snapshot = &one.snapshot;
    let labels = one.labels.iter().map(|label| format!(" [{label}]"));
    format!(
        "{} #{} {} {}{}",
        snapshot.record.id,
        snapshot.number,
        snapshot.time,
        one.trigger,
        labels.collect::<String>()
    )
}

/// `git vault drop`, `git vault prune`.
#[must_use]
pub fn dropped(report: &DropReport) -> String {
    let mut lines = Lines::default();
    match report.entry {
        None => lines.add("DROPPED", "nothing: every snapshot is kept"),
        Some(entry) => lines.add(
            "DROPPED",
            format!(
                "{}, log entry {entry}",
                count(report.plan.going.len() as u64, "snapshot")
            ),
        ),
    }
    for one in &report.plan.going {
        lines.add("DROP", told(one));
    }
    lines.add("KEPT", count(report.plan.staying.len() as u64, "snapshot"));
    match &report.optimized {
        Some(optimized) => add_optimized(&mut lines, optimized),
        None => add_waiting(&mut lines, report.waiting),
    }
    for warning in &report.warnings {
        lines.add("WARNING", warning);
    }
    lines.add("VAULT", shown(&report.plan.vault));
    if report.optimized.is_none() && report.entry.is_some() {
        lines.add("NEXT", "git vault optimize      (makes room)");
    }
    lines.0
}

/// What the column of sizes comes to, and what else there is.
pub(super) fn add_sizes(lines: &mut Lines, sizes: &Sizes) {
    let alone = sizes.alone.values().sum();
    lines.add(
        "ALONE",
        format!(
            "{}: what a single snapshot needs, as shown with each",
            bytes(alone)
        ),
    );
    lines.add(
        "SHARED",
        format!("{}: what several need", bytes(sizes.shared)),
    );
    lines.add(
        "HISTORY",
        format!("{}: stays, whatever is dropped", bytes(sizes.history)),
    );
    lines.add(
        "NEEDLESS",
        format!("{}: what none needs any more", bytes(sizes.needless)),
    );
}

fn add_waiting(lines: &mut Lines, waiting: u64) {
    if waiting > 0 {
        lines.add(
            "WAITING",
            "somebody reads the vault: the next optimize removes what is not needed",
        );
    }
}

/// `git vault optimize`.
#[must_use]
pub fn optimize(report: &OptimizeReport) -> String {
    let mut lines = Lines::default();
    add_optimized(&mut lines, report);
    lines.add("VAULT", shown(&report.vault));
    lines.0
}

fn add_optimized(lines: &mut Lines, report: &OptimizeReport) {
    let (before, after) = (report.before, report.after);
    match report.entry {
        None => lines.add("OPTIMIZED", "nothing: the packs are as they should be"),
        Some(entry) => lines.add(
            "OPTIMIZED",
            format!(
                "{} before, {} now, log entry {entry}",
                count(before.packs, "pack"),
                after.packs
            ),
        ),
    }
    lines.add(
        "BYTES",
        format!("{} before, {} now", bytes(before.bytes), bytes(after.bytes)),
    );
    if report.removed_bytes > 0 {
        lines.add("REMOVED", bytes(report.removed_bytes));
    }
    add_waiting(lines, report.waiting);
    for warning in &report.warnings {
        lines.add("WARNING", warning);
    }
}
