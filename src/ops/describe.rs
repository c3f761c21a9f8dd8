//! Says what a snapshot is: puts together its manifest.

use std::path::PathBuf;

use crate::host::git::alternates::Alternates;
use crate::host::git::grafts::Grafts;
use crate::host::git::object::ObjectId;
use crate::host::git::repository::Repository;
use crate::host::walk::path_bytes;
use crate::model::escape::text_name;
use crate::model::ids::Digest;
use crate::model::inventory::{PackRecord, PackRole};
use crate::model::manifest::{
    Completeness, Content, FORMAT, History, LeftOut, Manifest, SourceState, StandsOn,
};
use crate::model::timestamp::Timestamp;
use crate::ops::assemble::{Attempt, Progress, Task, tips_digest};
use crate::ops::capture::Metadata;
use crate::vault::inspect::TOOL;

/// How many broken refs, or object stores, are named.
const NOTED: usize = 100;

/// The manifest of an assembled snapshot.
pub(super) fn manifest(
    task: &Task<'_>,
    progress: &Progress,
    attempt: &Attempt,
    now: Timestamp,
) -> Manifest {
    let (repository, vault) = (task.repository, task.vault);
    let packs: Vec<_> = progress
        .packs
        .iter()
        .map(|pack| pack.record().clone())
        .collect();
    let is_history = |pack: &&PackRecord| pack.role == PackRole::History;
    let places = [Some(&attempt.gitdir), attempt.worktree.as_ref()];
    let left_out: Vec<LeftOut> = places
        .into_iter()
        .flatten()
        .flat_map(|place| place.left_out.clone())
        .collect();
    Manifest {
        format: FORMAT,
        minimum_reader: FORMAT,
        tool: TOOL.to_owned(),
        vault: vault.binding.vault,
        repository: vault.binding.repository,
        snapshot: task.staging.id().clone(),
        created: now,
        trigger: task.request.trigger.clone(),
        message: task.request.message.clone(),
        labels: task.request.labels.clone(),
        completeness: completeness(repository, progress),
        include: repository.settings.include.clone(),
        exclude: repository.settings.exclude.clone(),
        notes: notes(progress, attempt),
        stands_on: StandsOn {
            entry: vault.log.head,
            entry_blake3: vault.log.head_blake3.unwrap_or(Digest::from_bytes([0; 32])),
            packs: vault.log.inventory.count(),
            inventory: vault.log.inventory.digest(),
        },
        source: source_state(repository, &attempt.metadata),
        content: Content {
            commit: attempt.commit.to_string(),
            tree: attempt.tree.to_string(),
            gitdir: attempt.gitdir.counts.clone(),
            worktree: attempt.worktree.as_ref().map(|place| place.counts.clone()),
        },
        history: History {
            objects_added: packs
                .iter()
                .filter(is_history)
                .map(|pack| pack.objects)
                .sum(),
            tips: attempt.metadata.tips.needed.len() as u64,
            tips_blake3: tips_digest(&attempt.metadata.tips),
            holes: progress.holes.len() as u64,
            weak_missing: attempt.weak_missing,
            promised: progress.promised.len() as u64,
        },
        left_out,
        packs,
    }
}

/// What a promisor remote has promised is needed only where there is one.
fn completeness(repository: &Repository, progress: &Progress) -> Completeness {
    if repository.is_partial && !progress.promised.is_empty() {
        Completeness::NeedsPromisor
    } else {
        Completeness::SelfContained
    }
}

fn source_state(repository: &Repository, metadata: &Metadata) -> SourceState {
    let tips = &metadata.tips;
    SourceState {
        git_dir: text_name(path_bytes(&repository.git_dir)),
        worktree: repository
            .worktree
            .as_ref()
            .map(|path| text_name(path_bytes(path))),
        object_format: repository.format.word().to_owned(),
        branch: tips.branch.as_ref().map(|branch| text_name(branch)),
        head: tips.head.map(|head| head.to_string()),
        operations: tips.operations.clone(),
        locks: metadata
            .locks()
            .iter()
            .map(|path| text_name(path))
            .collect(),
    }
}

/// Object stores that the source names and cannot borrow from.
fn notes_on_borrowing(borrowed: &Alternates) -> Vec<String> {
    let name = |path: &PathBuf| text_name(path_bytes(path));
    let gone = borrowed.gone.iter().take(NOTED);
    let too_deep = borrowed.too_deep.iter().take(NOTED);
    let gone = gone.map(|store| {
        let store = name(store);
        format!("alternate object store not there, and nothing needed is missing: {store}")
    });
    let too_deep = too_deep.map(|list| {
        let list = name(list);
        format!("alternates nested too deep for git, and nothing needed is missing: {list}")
    });
    gone.chain(too_deep).collect()
}

/// Where history ends, and where it is not what commits record.
fn notes_on_grafts(progress: &Progress, grafts: &Grafts) -> Vec<String> {
    let history = &progress.store.history;
    let (cut, other): (Vec<&ObjectId>, Vec<&ObjectId>) = grafts
        .parents()
        .keys()
        .filter(|commit| history.contains(commit))
        .partition(|commit| grafts.shallow().contains(commit));
    let mut notes = Vec::new();
    if !cut.is_empty() {
        let count = cut.len();
        notes.push(format!(
            "shallow: history ends at {count} of its commits, as in the source"
        ));
    }
    if !other.is_empty() {
        let count = other.len();
        notes.push(format!(
            "grafts: {count} commits have the parents that info/grafts states"
        ));
    }
    notes
}

/// What a person should know of this snapshot.
fn notes(progress: &Progress, attempt: &Attempt) -> Vec<String> {
    let mut notes = Vec::new();
    for name in attempt.metadata.tips.broken.iter().take(NOTED) {
        notes.push(format!("broken ref kept as evidence: {}", text_name(name)));
    }
    notes.extend(notes_on_borrowing(&progress.borrowed));
    notes.extend(notes_on_grafts(progress, &attempt.metadata.grafts));
    if !progress.holes.is_empty() {
        let or_behind = if attempt.metadata.grafts.is_empty() {
            ""
        } else {
            ", or as parents that do not count,"
        };
        notes.push(format!(
            "objects named only by unreferenced objects{or_behind} that were not in the source: {}",
            progress.holes.len()
        ));
    }
    if attempt.weak_missing > 0 {
        notes.push(format!(
            "objects named only by reflogs and the like that were not in the source: {}",
            attempt.weak_missing
        ));
    }
    let special = attempt
        .worktree
        .as_ref()
        .map_or(0, |place| place.counts.special);
    if special > 0 {
        notes.push(format!(
            "special files (FIFOs, sockets, devices) are recorded, not recreated: {special}"
        ));
    }
    notes
}
