//! `git vault list`: the snapshots that exist, what became of files in each, and how far each is proven.

use std::collections::HashMap;
use std::path::PathBuf;

use crate::model::log_entry::VerifyLevel;
use crate::model::manifest::Manifest;
use crate::model::moment;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::timestamp::Timestamp;
use crate::model::version::Version;
use crate::ops::diff::is_in_git;
use crate::ops::locate::Workplace;
use crate::ops::path_history::{Stage, stages};
use crate::ops::selection::is_made_by;
use crate::ops::sizes::Sizes;
use crate::ops::snapshot_path::{SnapshotPath, is_asked};
use crate::vault::inspect::Vault;
use crate::vault::log::LoggedSnapshot;
use crate::vault::path_changes::PathChange;
use crate::vault::reader::read_manifest;
use crate::vault::snapshot_index::SnapshotIndex;

/// A verification that covered a snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The level of the verification.
    pub level: VerifyLevel,
    /// When.
    pub time: Timestamp,
}

/// How far a snapshot is proven beyond its seal. Only entries that are accepted count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Proof {
    /// The newest verification of the deepest level that covered it.
    pub verified: Option<Verified>,
    /// When it was last restored by a drill and found to be all that was sealed.
    pub drilled: Option<Timestamp>,
}

/// A snapshot as `list` and `show` tell of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotSummary {
    /// What the log says.
    pub logged: LoggedSnapshot,
    /// What it says of itself, authenticated.
    pub manifest: Manifest,
    /// Whether it is accepted; not if somebody else may have had the key.
    pub is_accepted: bool,
    /// How far it is proven.
    pub proof: Proof,
}

/// How many files and links of the working trees came, changed and went since the accepted snapshot before; what nested repositories keep in
/// their git directories does not count.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Changes {
    /// That were not there before.
    pub new: u64,
    /// With another content or other permissions.
    pub changed: u64,
    /// That are not there any more.
    pub gone: u64,
}

/// One line of `list`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// The snapshot.
    pub summary: SnapshotSummary,
    /// What became of files since the accepted snapshot before it; `None` when it is not accepted, or that is not known.
    pub changes: Option<Changes>,
}

/// Which snapshots shall be listed: those that are of each kind that is asked for.
#[derive(Debug, Clone, Default)]
pub struct ListRequest {
    /// Sealed at this moment or later, as people write moments.
    pub since: Option<String>,
    /// Made by one of these triggers.
    pub triggers: Vec<String>,
    /// While one of these branches was checked out in the main working tree.
    pub branches: Vec<String>,
    /// With one of these labels.
    pub labels: Vec<String>,
    /// In which one of these, or something below it, differs from the accepted snapshot before.
    pub paths: Vec<SnapshotPath>,
    /// No more than so many, the newest.
    pub last: Option<usize>,
    /// Also what each alone would free, for which all that snapshots need is followed.
    pub with_sizes: bool,
}

/// The snapshots that were asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListReport {
    /// The vault.
    pub vault: PathBuf,
    /// Oldest first.
    pub snapshots: Vec<Listed>,
    /// How many there are in all.
    pub snapshots_in_vault: u64,
    /// Why it is not known what became of files.
    pub changes_unknown: Option<Refusal>,
    /// What each of them alone needs, if that was asked for.
    pub sizes: Option<Sizes>,
    /// Directories that are not snapshots.
    pub incomplete: Vec<PathBuf>,
}

/// Lists snapshots: what the index knows from there, every other manifest authenticated.
///
/// # Errors
/// When the vault, its index or a manifest cannot be trusted, or, if paths are asked for, what became of them is not known.
pub fn list(workplace: &Workplace, request: &ListRequest) -> Result<ListReport> {
    let mut vault = workplace.existing_vault()?;
    let since = request.since.as_deref();
    let since = since.map(|text| since_when(workplace, text)).transpose()?;
    let index = SnapshotIndex::load(&mut vault)?;
    let (stages, changes_unknown) = match stages(&vault) {
        Ok(stages) => (stages, None),
        Err(refusal) if !request.paths.is_empty() => return Err(refusal),
        Err(refusal) => (Vec::new(), Some(refusal)),
    };
    let stages: HashMap<u64, &Stage> = stages
        .iter()
        .map(|stage| (stage.snapshot.entry, stage))
        .collect();
    let mut snapshots = Vec::new();
    for logged in vault.log.snapshots.iter().rev() {
        if request.last.is_some_and(|last| snapshots.len() >= last) {
            break;
        }
        let stage = stages.get(&logged.entry).copied();
        let is_since = since.is_none_or(|since| logged.time >= since);
        if !is_since || !is_touched(stage, &request.paths) {
            continue;
        }
        let summary = summary_of(&vault, index.as_ref(), logged)?;
        if is_asked_for(&summary.manifest, request) {
            let changes = stage.map(count);
            snapshots.push(Listed { summary, changes });
        }
    }
    snapshots.reverse();
    let sizes = request.with_sizes.then(|| Sizes::of(&vault)).transpose()?;
    Ok(ListReport {
        vault: vault.layout.root().to_owned(),
        snapshots,
        snapshots_in_vault: vault.log.snapshots.len() as u64,
        changes_unknown,
        sizes,
        incomplete: vault.leftovers.incomplete,
    })
}

/// All snapshots, oldest first, without what became of files.
///
/// # Errors
/// When the vault, its index or a manifest cannot be trusted.
pub fn summaries(workplace: &Workplace) -> Result<Vec<SnapshotSummary>> {
    let mut vault = workplace.existing_vault()?;
    let index = SnapshotIndex::load(&mut vault)?;
    let snapshots = vault.log.snapshots.iter();
    let summaries = snapshots.map(|logged| summary_of(&vault, index.as_ref(), logged));
    summaries.collect()
}

fn summary_of(
    vault: &Vault,
    index: Option<&SnapshotIndex>,
    logged: &LoggedSnapshot,
) -> Result<SnapshotSummary> {
    match index.and_then(|index| index.get(logged)) {
        Some(manifest) => Ok(summary(vault, logged, manifest.clone())),
        None => summarize(vault, logged),
    }
}

fn since_when(workplace: &Workplace, text: &str) -> Result<Timestamp> {
    moment::since(text, workplace.now, &(workplace.zone)()).ok_or_else(|| {
        Refusal::new(
            RefusalCode::SettingInvalid,
            format!("'{text}' names no moment"),
        )
        .because(
            "moments look like '2 hours ago', 'yesterday 14:00', 2026-11-20, '2026-11-20 13:00'",
        )
        .keeping("nothing was touched")
        .next("git vault list", "shows the snapshots that exist")
    })
}

/// Whether one of the paths, or something below it, differs; any snapshot will do where none is asked for.
fn is_touched(stage: Option<&Stage>, paths: &[SnapshotPath]) -> bool {
    paths.is_empty()
        || stage.is_some_and(|stage| {
            let mut changes = stage.changes.iter().filter(|change| is_change(change));
            changes.any(|change| is_asked(paths, change.place, &change.path))
        })
}

/// Whether it is more than another time.
fn is_change(change: &PathChange) -> bool {
    match (&change.old, &change.new) {
        (Some(old), Some(new)) => !old.is_alike(new),
        _ => true,
    }
}

fn is_asked_for(manifest: &Manifest, request: &ListRequest) -> bool {
    let full = manifest.source.branch.as_deref().unwrap_or_default();
    let short = full.strip_prefix("refs/heads/").unwrap_or(full);
    let is_branch = |name: &String| !full.is_empty() && (name == full || name == short);
    let any =
        |asked: &[String], is: &dyn Fn(&String) -> bool| asked.is_empty() || asked.iter().any(is);
    any(&request.triggers, &|name| {
        is_made_by(&manifest.trigger, name)
    }) && any(&request.branches, &is_branch)
        && any(&request.labels, &|label| manifest.labels.contains(label))
}

fn count(stage: &Stage) -> Changes {
    let mut changes = Changes::default();
    for change in stage.in_working_trees() {
        if is_in_git(&change.path) {
            continue;
        }
        let old = change.old.filter(Version::is_kept);
        match (old, change.new.filter(Version::is_kept)) {
            (None, Some(_)) => changes.new += 1,
            (Some(_), None) => changes.gone += 1,
            (Some(old), Some(new)) if !old.is_alike(&new) => changes.changed += 1,
            _ => {}
        }
    }
    changes
}

/// Summarizes one snapshot.
///
/// # Errors
/// When its manifest cannot be trusted.
pub fn summarize(vault: &Vault, logged: &LoggedSnapshot) -> Result<SnapshotSummary> {
    Ok(summary(vault, logged, read_manifest(vault, logged)?))
}

fn summary(vault: &Vault, logged: &LoggedSnapshot, manifest: Manifest) -> SnapshotSummary {
    SnapshotSummary {
        logged: logged.clone(),
        manifest,
        is_accepted: vault.log.accepts(logged),
        proof: proof(vault, logged),
    }
}

fn proof(vault: &Vault, logged: &LoggedSnapshot) -> Proof {
    let log = &vault.log;
    if !log.accepts(logged) {
        // A verification covers what is accepted: it has passed over this one.
        return Proof::default();
    }
    let covering = log
        .newest_accepted(&log.verifications)
        .filter(|verify| verify.record.up_to >= logged.entry);
    let best = covering.max_by_key(|verify| (verify.record.level, verify.time));
    let drill = log
        .newest_accepted(&log.drills)
        .find(|drill| drill.record.snapshot == logged.record.id);
    Proof {
        verified: best.map(|best| Verified {
            level: best.record.level,
            time: best.time,
        }),
        drilled: drill.map(|drill| drill.time),
    }
}
