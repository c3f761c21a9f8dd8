//! Brings the history of every repository of a workspace into the vault, and proves that nothing that is needed is missing.

use std::collections::BTreeSet;

use crate::host::file_system::quiet_ns;
use crate::host::git::object::ObjectId;
use crate::host::git::pack_writer::FinishedPack;
use crate::host::git::repository::Repository;
use crate::host::git::stores::{StoreStamp, Stores, unpaired};
use crate::model::escape::shell_word;
use crate::model::ids::Digest;
use crate::model::place::{Place, Spot};
use crate::model::refusal::{Refusal, Result};
use crate::ops::assemble::{Progress, Task};
use crate::ops::capture::CaptureError;
use crate::ops::history::{self, MirrorError, Part, Target};
use crate::ops::locate::of_another;
use crate::ops::metadata::{Metadata, Names};
use crate::ops::workspace::Member;
use crate::vault::staging::IncompletePack;

type Capturing<T> = std::result::Result<T, CaptureError>;

/// Brings everything that the stores of all repositories hold into the vault's histories, and proves it; gives the packs of
/// the sources that need not be looked at again.
pub(super) fn mirror_all(
    task: &Task<'_>,
    progress: &mut Progress,
    metadata: &Metadata,
) -> Capturing<Vec<(Spot, StoreStamp)>> {
    let mut stamps = Vec::new();
    for (member, names) in metadata.each() {
        let own = mirror(task, progress, member, names)?;
        stamps.extend(own.into_iter().map(|stamp| (member.git_dir.clone(), stamp)));
    }
    let store = &progress.store;
    let promised = &mut progress.promised;
    promised.retain(|git_dir, id| !store.history(git_dir).contains(id));
    progress.holes.retain(|git_dir, hole| {
        !store.history(git_dir).contains(hole) && !promised.contains(git_dir, hole)
    });
    Ok(stamps)
}

fn mirror(
    task: &Task<'_>,
    progress: &mut Progress,
    member: &Member,
    names: &Names,
) -> Capturing<Vec<StoreStamp>> {
    let format = task.vault.format;
    let git_dir = &member.git_dir;
    let objects = member.repository.git_dir.join("objects");
    let moved = |error: MirrorError| match error {
        MirrorError::Moved(_) => CaptureError::Moved(objects.clone()),
        MirrorError::Refused(refusal) => CaptureError::Refused(refusal),
    };
    let known: Vec<StoreStamp> = progress
        .known
        .mirrored
        .iter()
        .filter(|(of, _)| of == git_dir)
        .map(|(_, stamp)| stamp.clone())
        .collect();
    let is_partial = member.repository.is_partial;
    let settled_before_ns = quiet_ns().map(|quiet_ns| (task.clock)() - quiet_ns);
    let stores = history::open_stores(&objects, format, is_partial, &known, settled_before_ns);
    let stores = stores.map_err(moved)?;
    let is_main = *git_dir == Spot::top(Place::Gitdir);
    if is_main {
        let history = progress.store.history(git_dir);
        let named = || names.tips.needed.iter().chain(&names.index_ids);
        let is_known = || named().any(|id| history.contains(id));
        check_same_repository(task, &stores, &is_known)?;
    }
    let borrowed = stores.alternates.clone();
    progress.borrowed.insert(git_dir.clone(), borrowed);
    for part in [Part::Promisor, Part::Own] {
        let target = target(task, progress, git_dir);
        let mirrored = history::mirror(&stores, part, &target, task.monitor);
        let Some(pack) = mirrored.map_err(moved)? else {
            continue;
        };
        take(task, progress, git_dir, part, pack)?;
    }
    let is_named = |id: &ObjectId| names.needs(id) || progress.holes.contains(git_dir, id);
    let empty = history::empty_tree(format).filter(is_named);
    if empty.is_some_and(|id| !progress.store.history(git_dir).contains(&id)) {
        let pack = history::pack_of_empty_tree(&target(task, progress, git_dir))?;
        take(task, progress, git_dir, Part::Own, pack)?;
    }
    let packs = stores.packs.into_iter().map(|pack| pack.stamp);
    Ok(packs.chain(stores.fans).collect())
}

fn target<'a>(task: &'a Task<'_>, progress: &'a Progress, git_dir: &'a Spot) -> Target<'a> {
    Target {
        store: &progress.store,
        git_dir,
        format: task.vault.format,
        staging: task.staging,
        layout: &task.vault.layout,
    }
}

/// Reads a pack of history back and counts it among those of this snapshot.
fn take(
    task: &Task<'_>,
    progress: &mut Progress,
    git_dir: &Spot,
    part: Part,
    pack: FinishedPack,
) -> Result<()> {
    let is_promisor = part == Part::Promisor;
    let pack = IncompletePack::history(pack, git_dir, is_promisor, task.vault.format);
    let (pack, read_back) = pack.verify(&mut progress.store, task.monitor)?;
    progress.packs.push(pack);
    let lacking = match part {
        Part::Promisor => &mut progress.promised,
        Part::Own => &mut progress.holes,
    };
    lacking.extend(git_dir, read_back.holes.into_keys());
    if *git_dir == Spot::top(Place::Gitdir) {
        progress.root_commits.extend(read_back.root_commits);
    }
    Ok(())
}

/// Asks no repository for what git does without if it lacks it.
pub(super) fn do_without_missing(progress: &Progress, metadata: &mut Metadata) -> Result<()> {
    let members = metadata.workspace.members.iter();
    for (member, names) in members.zip(&mut metadata.members) {
        let history = progress.store.history(&member.git_dir);
        let promised = promised_to(progress, member);
        let holes = holes_of(progress, member, names, &promised);
        let lacks = history::Lacks {
            holes: &holes,
            promised: &promised,
        };
        if !history::is_whole(history, &names.tips.optional, lacks, &names.grafts)? {
            names.do_without_optional();
        }
    }
    Ok(())
}

/// A repository made anew at the old path, none of whose objects the vault knows, is another one: its work must not be mixed
/// into this vault.
fn check_same_repository(
    task: &Task<'_>,
    stores: &Stores,
    is_known: &dyn Fn() -> bool,
) -> Result<()> {
    let Some(attachment) = &task.vault.log.attachment else {
        return Ok(());
    };
    let mut roots = attachment
        .root_commits
        .iter()
        .filter_map(|hex| ObjectId::from_hex(hex.as_bytes()))
        .peekable();
    if roots.peek().is_none()
        || stores.knows_own
        || roots.any(|root| stores.holds(&root))
        || is_known()
    {
        return Ok(());
    }
    Err(of_another(task.vault, task.repository)
        .because("none of the first commits that the vault knows is in this repository: it was made anew")
        .next("git vault init --new", "gives this repository a vault of its own; the old one stays as it is"))
}

/// What was found when all that is named was looked up.
pub(super) struct Checked {
    /// A digest of all that is named.
    pub(super) named: Digest,
    /// How many ids that git itself does without are not there, by repository.
    pub(super) weak_missing: Vec<u64>,
}

/// Proves that all that the captured state needs is in the vault's histories.
pub(super) fn check_histories(
    task: &Task<'_>,
    progress: &Progress,
    metadata: &Metadata,
) -> Capturing<Checked> {
    let lacks = |member: &Member| {
        [
            progress.holes.of(&member.git_dir),
            promised_to(progress, member),
        ]
    };
    let named = metadata.ids_digest(&lacks);
    let proven = progress.known.proven.as_ref();
    let proven = proven.filter(|(known, _)| *known == named);
    if let Some((_, weak_missing)) = proven.filter(|_| progress.packs.is_empty()) {
        return Ok(Checked {
            named,
            weak_missing: weak_missing.clone(),
        });
    }
    let mut weak_missing = Vec::new();
    for (member, names) in metadata.each() {
        weak_missing.push(check_history(task, progress, metadata, member, names)?);
    }
    Ok(Checked {
        named,
        weak_missing,
    })
}

/// What objects of a repository must not lead to.
fn holes_of(
    progress: &Progress,
    member: &Member,
    names: &Names,
    promised: &BTreeSet<ObjectId>,
) -> BTreeSet<ObjectId> {
    let history = progress.store.history(&member.git_dir);
    let parents = names.grafts.parents().values().flatten();
    let lacking = parents.filter(|parent| !history.contains(parent));
    let known = progress.holes.of(&member.git_dir);
    // What was promised once counts for nothing where no promisor remote is left.
    let stated = progress.promised.of(&member.git_dir);
    known
        .iter()
        .chain(&stated)
        .chain(lacking)
        .filter(|id| !promised.contains(id))
        .copied()
        .collect()
}

fn check_history(
    task: &Task<'_>,
    progress: &Progress,
    metadata: &Metadata,
    member: &Member,
    names: &Names,
) -> Capturing<u64> {
    let history = progress.store.history(&member.git_dir);
    let promised = promised_to(progress, member);
    let refuse = |id: &ObjectId, named_by: &str| {
        let borrowed = progress.borrowed.get(&member.git_dir);
        let refusal = history::refuse_missing(id, named_by, borrowed);
        let refusal = name_unpaired(&member.repository, refusal);
        CaptureError::Refused(say_where(refusal, member))
    };
    let needed = names.needed();
    if let Some(missing) = history::missing(history, &needed, &promised).first() {
        progress.store.check()?;
        // Perhaps something was packed or pruned meanwhile, and the metadata moved with it.
        let mut again = Metadata::read(task.repository, task.lookup, &progress.known.borders)?;
        do_without_missing(progress, &mut again)?;
        if again.members != metadata.members {
            return Err(CaptureError::Moved(member.repository.git_dir.clone()));
        }
        return Err(refuse(missing, named_by(missing, names)));
    }
    let holes = holes_of(progress, member, names, &promised);
    let lacks = history::Lacks {
        holes: &holes,
        promised: &promised,
    };
    if !holes.is_empty()
        && let Some((hole, named_by)) = history::reach_hole(history, &needed, lacks, &names.grafts)?
    {
        let named_by = format!("object {named_by}, which the repository needs, names it");
        return Err(refuse(&hole, &named_by));
    }
    Ok(history::missing(history, &names.tips.tolerated, &promised).len() as u64)
}

/// Names packs that git does not read because half of them is gone: the object may be in one of them.
fn name_unpaired(repository: &Repository, refusal: Refusal) -> Refusal {
    const NAMED: usize = 3;
    let unpaired = unpaired(&repository.git_dir.join("objects")).unwrap_or_default();
    unpaired.iter().take(NAMED).fold(refusal, |refusal, path| {
        let is_pack = path
            .extension()
            .is_some_and(|extension| extension == "pack");
        let half = if is_pack { "index" } else { "pack" };
        refusal.because(format!("'{}' has no {half} beside it", path.display()))
    })
}

/// What a promisor remote has promised to a repository, if it still has one.
fn promised_to(progress: &Progress, member: &Member) -> BTreeSet<ObjectId> {
    if member.repository.is_partial {
        progress.promised.of(&member.git_dir)
    } else {
        BTreeSet::new()
    }
}

fn named_by(id: &ObjectId, names: &Names) -> &'static str {
    if names.index_ids.contains(id) {
        "the index names it"
    } else {
        "a ref or operation names it"
    }
}

/// Of several repositories, says which one it is about.
fn say_where(refusal: Refusal, member: &Member) -> Refusal {
    if member.git_dir == Spot::top(Place::Gitdir) {
        return refusal.next(
            "git fsck --full",
            "names every missing object of the repository",
        );
    }
    let git_dir = &member.repository.git_dir;
    refusal
        .because(format!(
            "it is that with the git directory '{}'",
            git_dir.display()
        ))
        .next(
            format!("git --git-dir {} fsck --full", shell_word(git_dir)),
            "names every missing object of that repository",
        )
}
