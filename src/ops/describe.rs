//! Says what a snapshot is: puts together its manifest.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt as _;
use std::path::PathBuf;

use crate::host::git::alternates::Alternates;
use crate::host::git::grafts::Grafts;
use crate::host::git::object::ObjectId;
use crate::host::git::repository::Repository;
use crate::host::git::stores::{strays, unpaired};
use crate::host::metadata::NotKept;
use crate::host::walk::path_bytes;
use crate::model::escape::text_name;
use crate::model::ids::Digest;
use crate::model::inventory::{PackRecord, PackRole};
use crate::model::manifest::{
    Completeness, Content, FORMAT, History, LeftOut, LinkedWorktree, Manifest, NestedRepository,
    SourceState, StandsOn,
};
use crate::model::place::{Place, Spot};
use crate::model::refusal::Result;
use crate::model::timestamp::Timestamp;
use crate::ops::assemble::{Attempt, Progress, Task, tips_digest};
use crate::ops::links::Stated;
use crate::ops::metadata::Metadata;
use crate::ops::workspace::{Linked, Member, Outside, Whose};
use crate::vault::inspect::TOOL;

/// How many broken refs, object stores or packs are named.
const NOTED: usize = 100;

/// The manifest of an assembled snapshot.
pub(super) fn manifest(
    task: &Task<'_>,
    progress: &Progress,
    attempt: &Attempt,
    now: Timestamp,
) -> Result<Manifest> {
    let (repository, vault) = (task.repository, task.vault);
    let packs: Vec<_> = progress
        .packs
        .iter()
        .map(|pack| pack.record().clone())
        .collect();
    let is_history = |pack: &&PackRecord| pack.role == PackRole::History;
    let places = &attempt.places;
    let left_out: Vec<LeftOut> = places
        .values()
        .flat_map(|place| place.left_out.clone())
        .collect();
    let counts = |place| places.get(&place).map(|built| built.counts.clone());
    let main = attempt.metadata.main()?;
    Ok(Manifest {
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
        completeness: completeness(progress, &attempt.metadata),
        include: repository.settings.include.clone(),
        exclude: repository.settings.exclude.clone(),
        notes: notes(progress, attempt),
        stands_on: StandsOn {
            entry: vault.log.head,
            entry_blake3: vault.log.head_blake3.unwrap_or(Digest::from_bytes([0; 32])),
            packs: vault.log.inventory.count(),
            inventory: vault.log.inventory.digest(),
        },
        source: source_state(repository, &attempt.metadata)?,
        content: Content {
            commit: attempt.commit.to_string(),
            tree: attempt.tree.to_string(),
            gitdir: counts(Place::Gitdir).unwrap_or_default(),
            worktree: counts(Place::Worktree),
            linked: (1..).map(Place::Linked).map_while(counts).collect(),
        },
        history: History {
            objects_added: packs
                .iter()
                .filter(is_history)
                .map(|pack| pack.objects)
                .sum(),
            tips: main.tips.needed.len() as u64,
            tips_blake3: tips_digest(&main.tips),
            holes: progress.holes.count(),
            weak_missing: attempt.weak_missing.first().copied().unwrap_or_default(),
            promised: progress.promised.count(),
        },
        nested: nested(attempt),
        linked: linked(attempt),
        left_out,
        packs,
    })
}

/// What a promisor remote has promised is needed only where there is one.
fn completeness(progress: &Progress, metadata: &Metadata) -> Completeness {
    let needs_promisor = metadata.workspace.members.iter().any(|member| {
        member.repository.is_partial && !progress.promised.of(&member.git_dir).is_empty()
    });
    if needs_promisor {
        Completeness::NeedsPromisor
    } else {
        Completeness::SelfContained
    }
}

/// The repositories beside the main one.
fn nested(attempt: &Attempt) -> Vec<NestedRepository> {
    let weak_missing = attempt.weak_missing.iter().copied();
    let each = attempt.metadata.each().zip(weak_missing).skip(1);
    each.map(|((member, names), weak_missing)| NestedRepository {
        git_dir: member.git_dir.clone(),
        worktree: met(attempt, member.worktree.as_ref()),
        branch: names.tips.branch.as_ref().map(|branch| text_name(branch)),
        head: names.tips.head.map(|head| head.to_string()),
        operations: names.tips.operations.clone(),
        tips: names.tips.needed.len() as u64,
        tips_blake3: tips_digest(&names.tips),
        weak_missing,
    })
    .collect()
}

/// The linked worktrees of all repositories.
fn linked(attempt: &Attempt) -> Vec<LinkedWorktree> {
    let metadata = &attempt.metadata;
    let tips_of = |linked: &Linked| {
        let mut each = metadata.each();
        let (_, names) = each.find(|(member, _)| member.git_dir == linked.git_dir)?;
        names.linked.get(&linked.name)
    };
    let one = |linked: &Linked| {
        let tips = tips_of(linked);
        let branch = tips.and_then(|tips| tips.branch.as_ref());
        LinkedWorktree {
            git_dir: linked.git_dir.clone(),
            name: text_name(&linked.name),
            path: text_name(path_bytes(&linked.path)),
            worktree: met(attempt, linked.worktree.as_ref()),
            directory: linked.directory.as_ref().map(|name| text_name(name)),
            branch: branch.map(|branch| text_name(branch)),
            head: tips.and_then(|tips| tips.head).map(|head| head.to_string()),
            operations: tips.map_or(Vec::new(), |tips| tips.operations.clone()),
        }
    };
    metadata.workspace.linked.iter().map(one).collect()
}

/// Where a working tree was captured, unless a pattern left it out.
fn met(attempt: &Attempt, worktree: Option<&Spot>) -> Option<Spot> {
    let path = |spot: &Spot| attempt.metadata.workspace.path(spot);
    worktree
        .filter(|spot| !path(spot).is_some_and(|path| attempt.unmet.contains(&path)))
        .cloned()
}

fn source_state(repository: &Repository, metadata: &Metadata) -> Result<SourceState> {
    let tips = &metadata.main()?.tips;
    Ok(SourceState {
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
    })
}

/// What a manifest says of a ref that holds neither an id nor the name of a ref, escaped as in listings.
#[must_use]
pub fn broken_ref_note(name: &str) -> String {
    format!("broken ref kept as evidence: {name}")
}

/// Object stores that a source names and cannot borrow from.
fn notes_on_borrowing<'a>(borrowed: impl Iterator<Item = &'a Alternates>) -> Vec<String> {
    let name = |path: &PathBuf| text_name(path_bytes(path));
    let mut notes = Vec::new();
    for borrowed in borrowed {
        notes.extend(borrowed.gone.iter().map(|store| {
            let store = name(store);
            format!("alternate object store not there, and nothing needed is missing: {store}")
        }));
        notes.extend(borrowed.too_deep.iter().map(|list| {
            let list = name(list);
            format!("alternates nested too deep for git, and nothing needed is missing: {list}")
        }));
    }
    notes.truncate(NOTED);
    notes
}

/// Where the history of a repository ends, and where it is not what commits record.
fn notes_on_grafts(progress: &Progress, member: &Member, grafts: &Grafts) -> Vec<String> {
    let history = progress.store.history(&member.git_dir);
    let (cut, other): (Vec<&ObjectId>, Vec<&ObjectId>) = grafts
        .parents()
        .keys()
        .filter(|commit| history.contains(commit))
        .partition(|commit| grafts.shallow().contains(commit));
    let inside = if member.git_dir == Spot::top(Place::Gitdir) {
        String::new()
    } else {
        format!(" ({})", member.git_dir)
    };
    let mut notes = Vec::new();
    if !cut.is_empty() {
        let count = cut.len();
        notes.push(format!(
            "shallow: history ends at {count} of its commits, as in the source{inside}"
        ));
    }
    if !other.is_empty() {
        let count = other.len();
        notes.push(format!(
            "grafts: {count} commits have the parents that info/grafts states{inside}"
        ));
    }
    notes
}

/// What a person should know of this snapshot.
fn notes(progress: &Progress, attempt: &Attempt) -> Vec<String> {
    let mut notes = Vec::new();
    let broken = attempt.metadata.each().flat_map(|(member, names)| {
        let broken = names.tips.broken.iter();
        broken.map(move |name| member.git_dir.join(name))
    });
    for spot in broken.take(NOTED) {
        let main = Spot::top(Place::Gitdir);
        let name = match main.relative(&spot) {
            Some(name) => text_name(name),
            None => spot.to_string(),
        };
        notes.push(broken_ref_note(&name));
    }
    notes.extend(notes_on_borrowing(progress.borrowed.values()));
    let mut is_grafted = false;
    for (member, names) in attempt.metadata.each() {
        notes.extend(notes_on_grafts(progress, member, &names.grafts));
        is_grafted |= !names.grafts.is_empty();
    }
    if !progress.holes.is_empty() {
        let or_behind = if is_grafted {
            ", or as parents that do not count,"
        } else {
            ""
        };
        notes.push(format!(
            "objects named only by unreferenced objects{or_behind} that were not in the source: {}",
            progress.holes.count()
        ));
    }
    let weak_missing: u64 = attempt.weak_missing.iter().sum();
    if weak_missing > 0 {
        notes.push(format!(
            "objects named only by reflogs and the like that were not in the source: {weak_missing}"
        ));
    }
    for linked in &attempt.metadata.workspace.linked {
        let (name, path) = (text_name(&linked.name), text_name(path_bytes(&linked.path)));
        if let (None, Stated::OfAnother(git_dir)) = (&linked.worktree, &linked.stated) {
            let git_dir = text_name(path_bytes(git_dir));
            notes.push(format!(
                "linked worktree '{name}' was not captured: '{path}' belongs to '{git_dir}' now; what git keeps of it was captured"
            ));
        } else if linked.worktree.is_none() && path.is_empty() {
            notes.push(format!(
                "linked worktree '{name}' is not said to be anywhere; what git keeps of it was captured"
            ));
        } else if linked.worktree.is_none() {
            notes.push(format!(
                "linked worktree '{name}' was not there: '{path}'; what git keeps of it was captured"
            ));
        } else if met(attempt, linked.worktree.as_ref()).is_none() {
            notes.push(format!(
                "linked worktree '{name}' was left out by a pattern: '{path}'"
            ));
        }
    }
    notes.extend(attempt.metadata.workspace.outside.iter().map(outside_note));
    let special: u64 = attempt
        .places
        .values()
        .map(|place| place.counts.special)
        .sum();
    if special > 0 {
        notes.push(format!(
            "special files (FIFOs, sockets, devices) are recorded, not recreated: {special}"
        ));
    }
    notes.extend(unread_packs(&attempt.metadata));
    notes.extend(no_objects(&attempt.metadata));
    notes.extend(not_kept(&attempt.not_kept));
    notes
}

/// What a person should know of a directory whose `.git` file makes no working tree of the workspace of it.
fn outside_note((spot, outside): (&Spot, &Outside)) -> String {
    let named = text_name(outside.named.as_bytes());
    let files = "its files were captured by the rules of the tree around them";
    match outside.whose {
        Whose::Another => {
            format!(
                "'{spot}' belongs to a repository outside, '{named}': {files}, its history was not"
            )
        }
        Whose::Ours => format!(
            "'{spot}' leads to '{named}', which has its working tree elsewhere: {files}, what '{named}' holds by itself"
        ),
        Whose::Nobody => {
            format!("'{spot}' leads to '{named}', where there is no repository: {files}")
        }
    }
}

/// Packs that git does not read, and we do not: what is in them alone is not captured.
fn unread_packs(metadata: &Metadata) -> Vec<String> {
    let mut notes = Vec::new();
    for (member, _) in metadata.each() {
        let objects = member.repository.git_dir.join("objects");
        let unpaired = unpaired(&objects).unwrap_or_default();
        let packs = unpaired
            .iter()
            .filter(|path| path.extension() == Some(OsStr::new("pack")));
        notes.extend(packs.filter_map(|path| path.file_name()).map(|name| {
            let name = text_name(name.as_bytes());
            format!("packs without an index are not captured, git does not read them: {name}")
        }));
    }
    notes.truncate(NOTED);
    notes
}

/// What lies among the objects of a repository and is none: neither git nor we read it there.
fn no_objects(metadata: &Metadata) -> Vec<String> {
    let members = metadata.each().map(|(member, _)| member);
    let found = members.flat_map(|member| {
        let found = strays(&member.repository.git_dir.join("objects")).unwrap_or_default();
        let objects = member.git_dir.join(b"objects");
        found
            .into_iter()
            .map(move |own| objects.join(path_bytes(&own)))
    });
    let found = found.take(NOTED);
    found
        .map(|spot| format!("what is no object is not captured among objects: '{spot}'"))
        .collect()
}

/// What files and directories had that a restore does not give back, with their counts.
fn not_kept(counts: &NotKept) -> Vec<String> {
    let notes = [
        (
            counts.names,
            "files with more than one name (hard links) come back as files of their own",
        ),
        (
            counts.access_lists,
            "access control lists are not kept, modes come back as without them",
        ),
        (counts.capabilities, "capabilities of programs are not kept"),
        (
            counts.set_ids,
            "set-user-ID and set-group-ID bits of files of another user are not kept",
        ),
        (
            counts.trusted,
            "extended attributes of the trusted namespace are not kept",
        ),
    ];
    let found = notes.into_iter().filter(|(count, _)| *count > 0);
    found
        .map(|(count, note)| format!("{note}: {count}"))
        .collect()
}
