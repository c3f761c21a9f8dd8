//! `git vault doctor` and `git vault index rebuild` as JSON.

use serde_json::{Value, json};

use super::path;
use crate::cli::refusals;
use crate::ops::doctor::{DoctorReport, Verdict};
use crate::ops::incident::Noted;
use crate::ops::index::RebuildReport;

/// `git vault doctor`.
#[must_use]
pub fn doctor(report: &DoctorReport, noted: &Noted) -> Value {
    let checks = report.checks.iter().map(|check| {
        json!({
            "verdict": word(check.verdict),
            "name": check.name,
            "fact": check.fact,
            "meaning": check.meaning,
        })
    });
    json!({
        "schema": "git-vault/doctor/1",
        "vault": path(&report.vault),
        "verdict": word(report.verdict()),
        "checks": checks.collect::<Vec<_>>(),
        "refusal": report.refusal.as_ref().map(|refusal| refusals::json(refusal, noted)),
    })
}

fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Good => "ok",
        Verdict::Attention => "attention",
        Verdict::Failed => "failed",
    }
}

/// `git vault index rebuild`.
#[must_use]
pub fn rebuild(report: &RebuildReport) -> Value {
    json!({
        "schema": "git-vault/index-rebuild/1",
        "vault": path(&report.vault),
        "index": path(&report.index),
        "snapshots": report.snapshots,
        "set_aside": report.set_aside.as_deref().map(path),
    })
}
