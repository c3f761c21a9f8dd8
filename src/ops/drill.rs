//! `git vault drill`: restores snapshots for real into a scratch directory, compares everything, asks git, and writes the
//! proof into the log.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::host::disk;
use crate::host::random::random_bytes;
use crate::host::scratch::Scratch;
use crate::model::escape::name_from_text;
use crate::model::event::Monitor;
use crate::model::ids::{SnapshotId, to_hex};
use crate::model::log_entry::{DrillRecord, LogEvent};
use crate::model::manifest::{Completeness, Manifest};
use crate::model::refusal::{Changed, Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::timestamp::Timestamp;
use crate::ops::ask_git::{Expected, GitVerdict, Question, Reflogs, ask};
use crate::ops::compare::{Compared, compare};
use crate::ops::contents::Clock;
use crate::ops::destination::claim;
use crate::ops::layout::Layout;
use crate::ops::locate::Workplace;
use crate::ops::restore::{forbidden, restore_trusted};
use crate::ops::selection::{Asked, select};
use crate::ops::verify::{MAY_BE_A_COPY, Recorded, record};
use crate::vault::inspect::Vault;
use crate::vault::lacking::Lacking;
use crate::vault::log::{Log, LoggedSnapshot};
use crate::vault::promised;
use crate::vault::reader::{Trusted, check_inventory, trust};

/// What shall be drilled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Which {
    /// The newest snapshot that is accepted.
    Newest,
    /// Every snapshot that is accepted, the least proven first.
    All,
    /// These, in this order.
    Named(Vec<String>),
}

/// What was asked for.
#[derive(Debug, Clone)]
pub struct DrillRequest {
    /// Which snapshots.
    pub which: Which,
    /// No further drill begins when this much time has passed; the first one always does.
    pub budget: Option<Duration>,
    /// The directory in which a scratch directory is made.
    pub scratch: PathBuf,
    /// The git on the path.
    pub git: Option<PathBuf>,
}

/// One snapshot that was restored and found to be all that was sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Drilled {
    /// The snapshot.
    pub snapshot: LoggedSnapshot,
    /// What was compared.
    pub compared: Compared,
    /// What git said.
    pub git: GitVerdict,
    /// Whether anything beside the vault is needed; it was not asked for it.
    pub completeness: Completeness,
    /// Whether the log says so now.
    pub recorded: Recorded,
    /// The scratch directory, if it could not be removed, and why.
    pub left: Option<String>,
}

/// What was proven; anything that differed, and there would be no report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DrillReport {
    /// The vault.
    pub vault: PathBuf,
    /// The drills, in the order in which they were made; never none.
    pub drills: Vec<Drilled>,
    /// Those for which the budget was too small.
    pub remaining: Vec<SnapshotId>,
    /// Those that were not drilled because they are not accepted: the key that signed them may have been in other hands.
    pub not_accepted: Vec<SnapshotId>,
    /// How many snapshots the vault holds.
    pub snapshots_in_vault: u64,
    /// How many of them the log says to be proven.
    pub proven_in_vault: u64,
}

/// Drills the snapshots that were asked for.
///
/// # Errors
/// When one is not what was sealed or cannot be restored, or there is none to drill.
pub fn drill(
    workplace: &Workplace,
    request: &DrillRequest,
    clock: Clock<'_>,
    monitor: &dyn Monitor,
) -> Result<DrillReport> {
    let mut vault = workplace.existing_vault()?;
    let chosen = choose(&vault, &request.which, Asked::by(workplace))?;
    let (accepted, rejected): (Vec<_>, Vec<_>) = chosen
        .into_iter()
        .partition(|snapshot| vault.log.accepts(snapshot));
    let not_accepted = ids(&rejected);
    if accepted.is_empty() {
        return Err(nothing_to_drill(&not_accepted));
    }
    let began_ns = clock();
    let mut drills: Vec<Drilled> = Vec::new();
    let mut remaining = Vec::new();
    let mut unfit: Option<Refusal> = None;
    for snapshot in accepted {
        if !drills.is_empty() && is_used_up(request.budget, clock() - began_ns) {
            remaining.push(snapshot.record.id);
            continue;
        }
        let task = Task {
            workplace,
            request,
            vault: &vault,
            monitor,
        };
        let proof = match task.prove(&snapshot) {
            // Another snapshot may fit, and must not go unproven for ever because of this one.
            Err(refusal) if is_about_the_place(refusal.code) => {
                let id = snapshot.record.id.as_str();
                unfit.get_or_insert(refusal.because(format!("met with snapshot {id}")));
                continue;
            }
            proof => proof.map_err(|refusal| after(refusal, &drills))?,
        };
        let recorded = if workplace.vault.is_some() {
            Recorded::No(MAY_BE_A_COPY.to_owned())
        } else {
            let now = i64::try_from(clock().div_euclid(1_000_000_000)).unwrap_or(i64::MAX);
            let event = event(&snapshot, &proof);
            record(&mut vault, &event, Timestamp::from_seconds(now))
                .map_err(|refusal| after(refusal, &drills))?
        };
        drills.push(Drilled {
            snapshot,
            compared: proof.compared,
            git: proof.git,
            completeness: proof.completeness,
            recorded,
            left: proof.left,
        });
    }
    if let Some(refusal) = unfit {
        return Err(after(refusal, &drills));
    }
    Ok(DrillReport {
        vault: vault.layout.root().to_owned(),
        drills,
        remaining,
        not_accepted,
        snapshots_in_vault: vault.log.snapshots.len() as u64,
        proven_in_vault: proven(&vault.log),
    })
}

fn ids(snapshots: &[LoggedSnapshot]) -> Vec<SnapshotId> {
    snapshots
        .iter()
        .map(|snapshot| snapshot.record.id.clone())
        .collect()
}

fn nothing_to_drill(not_accepted: &[SnapshotId]) -> Refusal {
    let refusal = if not_accepted.is_empty() {
        Refusal::new(RefusalCode::SnapshotNotFound, "there is nothing to drill")
            .because("the vault holds no snapshot: 0 of 0 restored proves nothing")
    } else {
        let ids: Vec<&str> = not_accepted.iter().map(SnapshotId::as_str).collect();
        let what = "somebody else may have signed what was asked for";
        Refusal::new(RefusalCode::KeyCompromised, what).because(format!(
            "their key was stated to be compromised: {}",
            ids.join(", ")
        ))
    };
    refusal
        .keeping("nothing was touched")
        .next("git vault list", "shows the snapshots that exist")
}

/// What was proven before stays proven.
fn after(refusal: Refusal, drills: &[Drilled]) -> Refusal {
    if drills.is_empty() {
        return refusal;
    }
    let proven: Vec<&str> = drills
        .iter()
        .map(|drilled| drilled.snapshot.record.id.as_str())
        .collect();
    let is_recorded = |drilled: &Drilled| matches!(drilled.recorded, Recorded::Entry(_));
    let refusal = refusal.because(format!("proven all the same: {}", proven.join(", ")));
    if refusal.changed == Changed::Nothing && drills.iter().any(is_recorded) {
        return refusal
            .having_changed("the log holds what was proven; of what was refused, nothing");
    }
    refusal
}

fn choose(vault: &Vault, which: &Which, asked: Asked) -> Result<Vec<LoggedSnapshot>> {
    let log = &vault.log;
    match which {
        Which::Newest => {
            let newest = log.snapshots.iter().rev();
            let accepted = newest.clone().find(|snapshot| log.accepts(snapshot));
            // Without one, the newest is named in the refusal.
            Ok(accepted
                .or(newest.clone().next())
                .cloned()
                .into_iter()
                .collect())
        }
        Which::All => Ok(least_proven_first(log)),
        Which::Named(names) => {
            let mut seen = BTreeSet::new();
            let mut chosen = Vec::new();
            for name in names {
                let snapshot = select(vault, name, asked)?;
                if seen.insert(snapshot.entry) {
                    chosen.push(snapshot);
                }
            }
            Ok(chosen)
        }
    }
}

/// Those that were never proven, the newest first because it matters most; then the others, the longest ago first.
fn least_proven_first(log: &Log) -> Vec<LoggedSnapshot> {
    let mut snapshots: Vec<LoggedSnapshot> = log.snapshots.iter().rev().cloned().collect();
    // The sort is stable: what was never proven stays in this order.
    snapshots.sort_by_key(|snapshot| newest_drill(log, &snapshot.record.id));
    snapshots
}

/// The entry of the newest drill of a snapshot that is accepted.
fn newest_drill(log: &Log, id: &SnapshotId) -> Option<u64> {
    log.newest_accepted(&log.drills)
        .find(|drill| drill.record.snapshot == *id)
        .map(|drill| drill.entry)
}

fn proven(log: &Log) -> u64 {
    let is_proven = |snapshot: &&LoggedSnapshot| {
        log.accepts(snapshot) && newest_drill(log, &snapshot.record.id).is_some()
    };
    log.snapshots.iter().filter(is_proven).count() as u64
}

fn is_used_up(budget: Option<Duration>, passed_ns: i128) -> bool {
    let nanoseconds = |budget: Duration| i128::try_from(budget.as_nanos()).unwrap_or(i128::MAX);
    budget.is_some_and(|budget| passed_ns >= nanoseconds(budget))
}

fn event(snapshot: &LoggedSnapshot, proof: &Proof) -> LogEvent {
    let version = match &proof.git {
        GitVerdict::Whole { version, .. } => version.clone(),
        GitVerdict::NotAsked(_) => String::new(),
    };
    LogEvent::Drill(DrillRecord {
        snapshot: snapshot.record.id.clone(),
        files: proof.compared.files,
        directories: proof.compared.directories,
        links: proof.compared.links,
        bytes: proof.compared.bytes,
        git: version,
    })
}

/// What one drill found.
struct Proof {
    compared: Compared,
    git: GitVerdict,
    completeness: Completeness,
    left: Option<String>,
}

struct Task<'a> {
    workplace: &'a Workplace,
    request: &'a DrillRequest,
    vault: &'a Vault,
    monitor: &'a dyn Monitor,
}

impl Task<'_> {
    /// Restores, compares and asks git. The scratch directory goes when all is well, and stays when it is not.
    fn prove(&self, snapshot: &LoggedSnapshot) -> Result<Proof> {
        let trusted = trust(self.vault, snapshot)?;
        check_inventory(self.vault, &trusted)?;
        let forbidden = forbidden(self.workplace, self.vault, &trusted);
        let random: [u8; 6] = random_bytes().unwrap_or_default();
        let name = format!("git-vault-drill-{}", to_hex(&random));
        let place = self.request.scratch.join(name);
        let place = claim(&place, &self.workplace.current, &forbidden).map_err(elsewhere)?;
        let scratch = Scratch::make(place.path()).map_err(|error| no_scratch(&error))?;
        let (compared, git) = self
            .rehearse(&trusted, &forbidden, scratch.path())
            .map_err(|refusal| keep(refusal, &scratch))?;
        let left = scratch.remove().err().map(|error| error.to_string());
        Ok(Proof {
            compared,
            git,
            completeness: trusted.manifest().completeness,
            left,
        })
    }

    fn rehearse(
        &self,
        trusted: &Trusted,
        forbidden: &[(String, PathBuf)],
        scratch: &Path,
    ) -> Result<(Compared, GitVerdict)> {
        let destination = scratch.join("workspace");
        let destination = claim(&destination, &self.workplace.current, forbidden)?;
        let restored = restore_trusted(self.vault, trusted, destination, self.monitor)?;
        let workspace = restored.destination;
        let compared = compare(self.vault, trusted, &workspace, self.monitor)?;
        let git = match self.foreign_git(forbidden) {
            Err(reason) => GitVerdict::NotAsked(reason),
            Ok(program) => {
                let promised = promised::read(self.vault, trusted)?;
                ask_all(program, trusted.manifest(), &promised, &workspace, scratch)?
            }
        };
        Ok((compared, git))
    }

    /// The git on the path, unless it is part of what was captured: nothing of that is run.
    fn foreign_git(
        &self,
        forbidden: &[(String, PathBuf)],
    ) -> std::result::Result<Option<&Path>, String> {
        let Some(program) = self.request.git.as_deref() else {
            return Ok(None);
        };
        let real = std::fs::canonicalize(program).unwrap_or_else(|_| program.to_owned());
        match forbidden.iter().find(|(_, place)| real.starts_with(place)) {
            None => Ok(Some(program)),
            Some((what, _)) => Err(format!(
                "'{}' is not run, because it lies in {what}",
                program.display()
            )),
        }
    }
}

/// Asks git about every repository of a restored workspace.
fn ask_all(
    program: Option<&Path>,
    manifest: &Manifest,
    promised: &Lacking,
    workspace: &Path,
    scratch: &Path,
) -> Result<GitVerdict> {
    let layout = Layout::new(manifest, workspace);
    let mut verdict = None;
    for (number, git_dir) in manifest.git_dirs().iter().enumerate() {
        let linked = manifest.linked.iter();
        let linked = linked.filter(|linked| linked.git_dir == *git_dir);
        let answer = ask(&Question {
            program,
            restored: &layout.path(git_dir),
            expected: Expected::of(manifest, git_dir),
            promised: promised.of(git_dir),
            trees: layout.trees_in(git_dir),
            linked: linked
                .filter_map(|linked| name_from_text(&linked.name))
                .collect(),
            scratch: scratch.join(format!("git-{number}")),
        })?;
        verdict = Some(match verdict {
            None => answer,
            Some(before) => weaker(before, answer),
        });
    }
    let none = || GitVerdict::NotAsked("there is no repository".to_owned());
    Ok(verdict.unwrap_or_else(none))
}

/// Of two verdicts the one that says less: it holds for both.
fn weaker(left: GitVerdict, right: GitVerdict) -> GitVerdict {
    match (&left, &right) {
        (GitVerdict::NotAsked(_), _) => left,
        (_, GitVerdict::NotAsked(_)) => right,
        (GitVerdict::Whole { reflogs, .. }, _) => match reflogs {
            Reflogs::NotFollowed => left,
            Reflogs::Followed => right,
        },
    }
}

fn no_scratch(error: &disk::Error) -> Refusal {
    let refusal = error.refuse(RefusalCode::DestinationUnusable);
    elsewhere(refusal.keeping("the snapshot and its vault are untouched"))
}

fn is_about_the_place(code: RefusalCode) -> bool {
    matches!(
        code,
        RefusalCode::DestinationUnusable
            | RefusalCode::DestinationForbidden
            | RefusalCode::DestinationSpace
            | RefusalCode::DestinationCannotRepresent
    )
}

/// Another place may be able to hold what this one could not.
fn elsewhere(refusal: Refusal) -> Refusal {
    if is_about_the_place(refusal.code) {
        refusal.next(
            "git vault drill --scratch DIR",
            "restores to a scratch directory in DIR",
        )
    } else {
        refusal
    }
}

/// A scratch directory with something in it is evidence.
fn keep(refusal: Refusal, scratch: &Scratch) -> Refusal {
    if scratch.remove_if_empty() {
        return elsewhere(refusal);
    }
    refusal
        .having_changed(format!(
            "no drill was recorded; what was restored stays in '{}', as evidence",
            scratch.path().display()
        ))
        .keeping("the snapshot, its vault and the source are untouched")
}
