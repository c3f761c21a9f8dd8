//! `git vault drop` and `prune`: snapshots are given up, by name or by a policy; the plan comes first, and is made again before it is
//! carried out.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::model::event::Monitor;
use crate::model::ids::SnapshotId;
use crate::model::inventory::PackRecord;
use crate::model::log_entry::{DropRecord, LogEvent};
use crate::model::manifest::Manifest;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::retention::Policy;
use crate::ops::locate::Workplace;
use crate::ops::optimize::{self, OptimizeReport};
use crate::ops::selection::{Asked, select};
use crate::ops::shrink::{Incidents, OwnVault};
use crate::ops::sizes;
use crate::ops::verify::check_bytes;
use crate::vault::inspect::Vault;
use crate::vault::log::LoggedSnapshot;
use crate::vault::reach::Reach;
use crate::vault::reader::{read_manifest, trust};
use crate::vault::store::Store;

/// What is to be dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Choice {
    /// These, by name.
    Named(Vec<String>),
    /// All that a policy does not keep.
    Policy(Policy),
}

/// A snapshot of the plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The snapshot.
    pub snapshot: LoggedSnapshot,
    /// What made it.
    pub trigger: String,
    /// Its labels.
    pub labels: Vec<String>,
    /// Why it stays; empty for one that goes.
    pub kept: Vec<String>,
}

/// What would be dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropPlan {
    /// The vault.
    pub vault: PathBuf,
    /// What was asked for.
    pub choice: Choice,
    /// Why, as the log will say.
    pub reason: String,
    /// Those that go, the oldest first.
    pub going: Vec<Planned>,
    /// Those that stay, the oldest first.
    pub staying: Vec<Planned>,
}

/// What was dropped.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DropReport {
    /// What was planned.
    pub plan: DropPlan,
    /// The log entry; `None` when there was nothing to drop.
    pub entry: Option<u64>,
    /// Files and directories that stay for the next time, because somebody reads the vault.
    pub waiting: u64,
    /// What went wrong afterwards.
    pub warnings: Vec<String>,
    /// What the optimize came to that followed, if one was wanted.
    pub optimized: Option<OptimizeReport>,
}

/// Says what would be dropped; nothing is touched.
///
/// # Errors
/// When one that is named must stay, or the vault cannot be trusted.
pub fn plan(workplace: &Workplace, choice: &Choice) -> Result<DropPlan> {
    let own = OwnVault::open(workplace)?;
    make(workplace, &own.vault, choice)
}

/// Drops what was planned, if the plan is still the same; after a policy, packs are optimized.
///
/// # Errors
/// When the plan would be another now, or the entry cannot be made: then everything is as it was.
pub fn carry_out(
    workplace: &Workplace,
    planned: DropPlan,
    monitor: &dyn Monitor,
) -> Result<DropReport> {
    let mut own = OwnVault::open(workplace)?;
    if ids(&make(workplace, &own.vault, &planned.choice)?) != ids(&planned) {
        return Err(Refusal::new(
            RefusalCode::StatementDiffers,
            "the plan would be another one now",
        )
        .because("snapshots were made or dropped since it was shown")
        .keeping("nothing was touched")
        .next("git vault list", "shows the snapshots that exist"));
    }
    let mut report = DropReport {
        plan: planned,
        entry: None,
        waiting: 0,
        warnings: Vec::new(),
        optimized: None,
    };
    if !report.plan.going.is_empty() {
        let mut snapshots = ids(&report.plan);
        snapshots.sort_unstable();
        check_whole(&own.vault, monitor)?;
        let record = DropRecord {
            reason: report.plan.reason.clone(),
            snapshots,
        };
        report.entry = Some(own.vault.append(&LogEvent::Drop(record), workplace.now)?);
        let (again, removed, warnings) = own.tidy(workplace).map_err(|refusal| {
            refusal.having_changed(
                "the snapshots were dropped; what is left of them was not removed yet",
            )
        })?;
        own = again;
        report.waiting = removed.waiting;
        report.warnings = warnings;
    }
    if let Choice::Policy(_) = report.plan.choice {
        let (_, optimized) = optimize::run(workplace, own, monitor).map_err(|refusal| {
            match (report.entry, &refusal.changed) {
                (Some(entry), crate::model::refusal::Changed::Nothing) => {
                    refusal.having_changed(format!(
                        "the snapshots were dropped by log entry {entry}; no room was made yet"
                    ))
                }
                _ => refusal,
            }
        })?;
        report.optimized = Some(optimized);
    }
    Ok(report)
}

/// What is given up may be the only good copy of what is damaged in those that stay, and may be evidence: nothing is dropped unless every
/// pack is what was written.
fn check_whole(vault: &Vault, monitor: &dyn Monitor) -> Result<()> {
    let packs: Vec<PackRecord> = vault.log.inventory.packs().cloned().collect();
    check_bytes(vault, &packs, monitor)
        .map(|_bytes| ())
        .map_err(|refusal| {
            refusal
                .keeping("nothing was dropped: what would go may be the only good copy")
                .next(
                    "git vault list",
                    "shows the snapshots; each that is whole can still be restored",
                )
        })
}

fn ids(plan: &DropPlan) -> Vec<SnapshotId> {
    let going = plan.going.iter();
    going.map(|one| one.snapshot.record.id.clone()).collect()
}

/// Why a snapshot stays whoever asks.
fn needed(vault: &Vault, incidents: &Incidents, snapshot: &LoggedSnapshot) -> Option<String> {
    let log = &vault.log;
    let id = &snapshot.record.id;
    let is_newest = log
        .snapshots
        .last()
        .is_some_and(|last| last.record.id == *id);
    if is_newest {
        return Some("it is the newest one".to_owned());
    }
    let mut drills = log.newest_accepted(&log.drills);
    let proven = drills.find(|drill| log.find(&drill.record.snapshot).is_some());
    if proven.is_some_and(|drill| drill.record.snapshot == *id) {
        return Some("it is the one that was proven last".to_owned());
    }
    let incident = incidents.naming(id)?;
    Some(format!("incident {incident} names it"))
}

fn make(workplace: &Workplace, vault: &Vault, choice: &Choice) -> Result<DropPlan> {
    let incidents = Incidents::read(workplace)?;
    let mut plan = DropPlan {
        vault: vault.layout.root().to_owned(),
        choice: choice.clone(),
        reason: match choice {
            Choice::Named(_) => "by name".to_owned(),
            Choice::Policy(policy) => format!("policy {}", policy.words()),
        },
        going: Vec::new(),
        staying: Vec::new(),
    };
    let mut all = Vec::new();
    for snapshot in &vault.log.snapshots {
        all.push((snapshot, read_manifest(vault, snapshot)?));
    }
    let mut kept = match choice {
        Choice::Named(names) => by_name(workplace, vault, &incidents, names)?,
        Choice::Policy(policy) => by_policy(workplace, vault, &incidents, (policy, &all))?,
    };
    for (snapshot, manifest) in all {
        let kept = kept.remove(&snapshot.record.id).unwrap_or_default();
        let planned = Planned {
            snapshot: snapshot.clone(),
            trigger: manifest.trigger,
            labels: manifest.labels,
            kept,
        };
        if planned.kept.is_empty() {
            plan.going.push(planned);
        } else {
            plan.staying.push(planned);
        }
    }
    Ok(plan)
}

/// Why snapshots stay, by their ids.
type Kept = BTreeMap<SnapshotId, Vec<String>>;

fn by_name(
    workplace: &Workplace,
    vault: &Vault,
    incidents: &Incidents,
    names: &[String],
) -> Result<Kept> {
    let snapshots = vault.log.snapshots.iter();
    let mut kept: Kept = snapshots
        .map(|one| (one.record.id.clone(), vec!["not named".to_owned()]))
        .collect();
    for name in names {
        let snapshot = select(vault, name, Asked::by(workplace))?;
        let id = &snapshot.record.id;
        if let Some(why) = needed(vault, incidents, &snapshot) {
            return Err(refuse_needed(id, &why));
        }
        kept.remove(id);
    }
    Ok(kept)
}

fn refuse_needed(id: &SnapshotId, why: &str) -> Refusal {
    let refusal = Refusal::new(
        RefusalCode::SnapshotNeeded,
        format!("snapshot {id} is not dropped"),
    )
    .because(why.to_owned())
    .keeping("nothing was dropped");
    if why.starts_with("incident") {
        refusal.next(
            "git vault incident list",
            "shows what was noted, and where it lies",
        )
    } else if why.contains("proven") {
        refusal.next(
            "git vault drill",
            "proves the newest one; then that is the one that stays",
        )
    } else {
        refusal.next(
            "git vault snapshot",
            "makes a newer one, if anything has changed",
        )
    }
}

fn by_policy(
    workplace: &Workplace,
    vault: &Vault,
    incidents: &Incidents,
    (policy, all): (&Policy, &[(&LoggedSnapshot, Manifest)]),
) -> Result<Kept> {
    check_labels(policy, all)?;
    let told = all.iter();
    let told: Vec<_> = told
        .map(|(snapshot, manifest)| (snapshot.time, manifest.labels.as_slice()))
        .collect();
    let reasons = policy.reasons(&told, &(workplace.zone)());
    let mut kept = Kept::new();
    let mut spared = Kept::new();
    for ((snapshot, manifest), reasons) in all.iter().zip(reasons) {
        let id = snapshot.record.id.clone();
        let mut why: Vec<String> = needed(vault, incidents, snapshot).into_iter().collect();
        if !manifest.labels.is_empty() {
            why.push("it has a label".to_owned());
        }
        if !why.is_empty() {
            spared.insert(id.clone(), why.clone());
        }
        why.extend(reasons.into_iter().map(str::to_owned));
        if !why.is_empty() {
            kept.insert(id, why);
        }
    }
    match policy.max_bytes {
        Some(bytes) => fitting(vault, &kept, &spared, bytes),
        None => Ok(kept),
    }
}

/// Dropping all that may be dropped would not be enough: then nothing is, for it would be lost for nothing.
fn refuse_too_small(max_bytes: u64, history: u64, total: u64) -> Refusal {
    Refusal::new(
        RefusalCode::SettingInvalid,
        "no policy can make the vault as small as that",
    )
    .because(format!(
        "--max-size {max_bytes} is asked for, and what stays in any case takes {total} bytes"
    ))
    .because(format!(
        "{history} of them are history, the others what snapshots need that no policy drops"
    ))
    .keeping("nothing was dropped")
    .next(
        "git vault list --sizes",
        "shows what each snapshot alone would free",
    )
}

/// A label that nothing has is most likely another one that was meant: by it alone, all that may go would go.
fn check_labels(policy: &Policy, all: &[(&LoggedSnapshot, Manifest)]) -> Result<()> {
    let counts = [policy.last, policy.hourly, policy.daily, policy.weekly];
    let has_one = |(_, manifest): &(&LoggedSnapshot, Manifest)| {
        let mut labels = manifest.labels.iter();
        labels.any(|label| policy.labels.contains(label))
    };
    if policy.labels.is_empty() || counts.iter().any(|count| *count > 0) || all.iter().any(has_one)
    {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalCode::SettingInvalid,
        "no snapshot has the label that is to be kept",
    )
    .because(format!(
        "'{}' is all that says what to keep",
        policy.words()
    ))
    .keeping("nothing was dropped")
    .next("git vault list", "shows the labels that there are"))
}

/// Of those that are kept, the newest ones that fit, and those that are spared in any case.
fn fitting(vault: &Vault, kept: &Kept, spared: &Kept, max_bytes: u64) -> Result<Kept> {
    let store = Store::new(&vault.layout, vault.log.packs(), vault.format).open_all()?;
    let sizes = sizes::of_objects(&store);
    let history = sizes::of_history(vault);
    let mut total = history;
    let mut reach = Reach::new(&store, vault.format);
    let mut add = |snapshot: &LoggedSnapshot| -> Result<u64> {
        reach.add(&trust(vault, snapshot)?)?;
        let fresh = reach.take_fresh();
        let bytes = fresh.iter().filter_map(|id| sizes.get(id)).sum::<u64>();
        Ok(bytes + snapshot.record.manifest_bytes)
    };
    let newest_first = || vault.log.snapshots.iter().rev();
    let is_spared = |one: &&LoggedSnapshot| spared.contains_key(&one.record.id);
    for snapshot in newest_first().filter(is_spared) {
        total = total.saturating_add(add(snapshot)?);
    }
    if total > max_bytes {
        return Err(refuse_too_small(max_bytes, history, total));
    }
    let mut fits = true;
    let mut fitting = Kept::new();
    for snapshot in newest_first() {
        let id = &snapshot.record.id;
        let Some(why) = kept.get(id) else { continue };
        if !is_spared(&snapshot) {
            total = total.saturating_add(if fits { add(snapshot)? } else { 0 });
            fits = fits && total <= max_bytes;
        }
        if fits || is_spared(&snapshot) {
            fitting.insert(id.clone(), why.clone());
        }
    }
    Ok(fitting)
}
