//! `git vault list`: the snapshots that exist, and how far each is proven.

use std::path::PathBuf;

use crate::model::log_entry::VerifyLevel;
use crate::model::manifest::Manifest;
use crate::model::refusal::Result;
use crate::model::timestamp::Timestamp;
use crate::ops::locate::Workplace;
use crate::ops::sizes::Sizes;
use crate::vault::inspect::Vault;
use crate::vault::log::LoggedSnapshot;
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

/// All snapshots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ListReport {
    /// The vault.
    pub vault: PathBuf,
    /// Oldest first.
    pub snapshots: Vec<SnapshotSummary>,
    /// What each of them alone needs, if that was asked for.
    pub sizes: Option<Sizes>,
    /// Directories that are not snapshots.
    pub incomplete: Vec<PathBuf>,
}

/// How much is told of each snapshot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Detail {
    /// What the records say.
    Plain,
    /// Also what it alone would free, for which all that snapshots need is followed.
    Sizes,
}

/// Lists the snapshots: what the index knows from there, every other manifest authenticated.
///
/// # Errors
/// When the vault, its index or a manifest cannot be trusted.
pub fn list(workplace: &Workplace, detail: Detail) -> Result<ListReport> {
    let mut vault = workplace.existing_vault()?;
    let index = SnapshotIndex::load(&mut vault)?;
    let summaries = vault.log.snapshots.iter().map(|logged| {
        let known = index.as_ref().and_then(|index| index.get(logged));
        match known {
            Some(manifest) => Ok(summary(&vault, logged, manifest.clone())),
            None => summarize(&vault, logged),
        }
    });
    let snapshots = summaries.collect::<Result<_>>()?;
    let sizes = match detail {
        Detail::Plain => None,
        Detail::Sizes => Some(Sizes::of(&vault)?),
    };
    Ok(ListReport {
        vault: vault.layout.root().to_owned(),
        snapshots,
        sizes,
        incomplete: vault.leftovers.incomplete,
    })
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
