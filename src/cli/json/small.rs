//! Snapshots that are dropped, and packs that are put together, as JSON objects.

use serde_json::{Value, json};

use super::path;
use crate::ops::drop::{Choice, DropPlan, DropReport, Planned};
use crate::ops::optimize::{OptimizeReport, Size};
use crate::ops::sizes::Sizes;

fn planned_snapshot(one: &Planned) -> Value {
    json!({
        "id": one.snapshot.record.id.as_str(),
        "number": one.snapshot.number,
        "sealed": one.snapshot.time.to_string(),
        "trigger": one.trigger,
        "labels": one.labels,
        "kept_because": one.kept,
    })
}

fn list(planned: &[Planned]) -> Value {
    planned.iter().map(planned_snapshot).collect()
}

/// `git vault prune --dry-run`.
#[must_use]
pub fn planned(plan: &DropPlan) -> Value {
    told(plan, None)
}

/// `git vault drop`, `git vault prune`.
#[must_use]
pub fn dropped(report: &DropReport) -> Value {
    told(&report.plan, Some(report))
}

fn told(plan: &DropPlan, report: Option<&DropReport>) -> Value {
    let schema = match plan.choice {
        Choice::Named(_) => "git-vault/drop/1",
        Choice::Policy(_) => "git-vault/prune/1",
    };
    let optimized = report.and_then(|report| report.optimized.as_ref());
    json!({
        "schema": schema,
        "vault": path(&plan.vault),
        "reason": plan.reason,
        "dropped": list(&plan.going),
        "kept": list(&plan.staying),
        "recorded_as": report.and_then(|report| report.entry),
        "waiting": report.map_or(0, |report| report.waiting),
        "warnings": report.map(|report| report.warnings.clone()).unwrap_or_default(),
        "optimized": optimized.map(optimize),
    })
}

/// What `git vault list --sizes` says of the whole vault.
#[must_use]
pub fn sizes(sizes: &Sizes) -> Value {
    json!({
        "alone_bytes": sizes.alone.values().sum::<u64>(),
        "shared_bytes": sizes.shared,
        "history_bytes": sizes.history,
        "needless_bytes": sizes.needless,
    })
}

fn size(size: Size) -> Value {
    json!({ "packs": size.packs, "bytes": size.bytes })
}

/// `git vault optimize`.
#[must_use]
pub fn optimize(report: &OptimizeReport) -> Value {
    json!({
        "schema": "git-vault/optimize/1",
        "vault": path(&report.vault),
        "recorded_as": report.entry,
        "before": size(report.before),
        "after": size(report.after),
        "removed_bytes": report.removed_bytes,
        "waiting": report.waiting,
        "warnings": report.warnings,
    })
}
