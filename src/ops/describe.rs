//! Says what a snapshot is: puts together its manifest.

use crate::host::git::repository::Repository;
use crate::host::git::tips::Tips;
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

/// How many broken refs are named.
const NOTED_REFS: usize = 100;

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
        completeness: Completeness::SelfContained,
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
        },
        left_out,
        packs,
    }
}

/// The tips as a manifest counted them: if its source lacked what git does without, then without it.
pub(super) fn as_stated(mut tips: Tips, stated: &History) -> Tips {
    if tips_digest(&tips) != stated.tips_blake3 {
        tips.do_without_optional();
    }
    tips
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

/// What a person should know of this snapshot.
fn notes(progress: &Progress, attempt: &Attempt) -> Vec<String> {
    let mut notes = Vec::new();
    for name in attempt.metadata.tips.broken.iter().take(NOTED_REFS) {
        notes.push(format!("broken ref kept as evidence: {}", text_name(name)));
    }
    if !progress.holes.is_empty() {
        notes.push(format!(
            "objects named only by unreferenced objects that were not in the source: {}",
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
