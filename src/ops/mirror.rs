//! Brings the history of every repository of a workspace into the vault, and proves that nothing that is needed is missing.

use crate::host::git::object::ObjectId;
use crate::host::git::pack_writer::FinishedPack;
use crate::host::git::stores::{PackStamp, Stores};
use crate::model::ids::Digest;
use crate::model::place::{Place, Spot};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::assemble::{Progress, Task};
use crate::ops::capture::CaptureError;
use crate::ops::history::{self, MirrorError};
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
) -> Capturing<Vec<(Spot, PackStamp)>> {
    let mut stamps = Vec::new();
    for (member, names) in metadata.each() {
        let own = mirror(task, progress, member, names)?;
        stamps.extend(own.into_iter().map(|stamp| (member.git_dir.clone(), stamp)));
    }
    let store = &progress.store;
    progress
        .holes
        .retain(|git_dir, hole| !store.history(git_dir).contains(hole));
    Ok(stamps)
}

fn mirror(
    task: &Task<'_>,
    progress: &mut Progress,
    member: &Member,
    names: &Names,
) -> Capturing<Vec<PackStamp>> {
    let format = task.vault.format;
    let git_dir = &member.git_dir;
    let objects = member.repository.git_dir.join("objects");
    let moved = |error: MirrorError| match error {
        MirrorError::Moved(_) => CaptureError::Moved(objects.clone()),
        MirrorError::Refused(refusal) => CaptureError::Refused(refusal),
    };
    let known: Vec<PackStamp> = progress
        .known
        .mirrored
        .iter()
        .filter(|(of, _)| of == git_dir)
        .map(|(_, stamp)| stamp.clone())
        .collect();
    let stores = history::open_stores(&objects, format, &known).map_err(moved)?;
    let is_main = *git_dir == Spot::top(Place::Gitdir);
    if is_main {
        let history = progress.store.history(git_dir);
        let is_known = || names.needed.iter().any(|id| history.contains(id));
        check_same_repository(task, &stores, &is_known)?;
    }
    let layout = &task.vault.layout;
    let mirrored = history::mirror(
        &stores,
        progress.store.history(git_dir),
        format,
        task.staging,
        layout,
        task.monitor,
    );
    let mirrored = mirrored.map_err(moved)?;
    if let Some(pack) = mirrored.pack {
        take(task, progress, git_dir, pack)?;
    }
    let is_named =
        |id: &ObjectId| names.needed.contains(id) || progress.holes.contains(git_dir, id);
    let empty = history::empty_tree(format).filter(is_named);
    if empty.is_some_and(|id| !progress.store.history(git_dir).contains(&id)) {
        let pack = history::pack_of_empty_tree(format, task.staging)?;
        take(task, progress, git_dir, pack)?;
    }
    Ok(mirrored.stamps)
}

/// Reads a pack of history back and counts it among those of this snapshot.
fn take(
    task: &Task<'_>,
    progress: &mut Progress,
    git_dir: &Spot,
    pack: FinishedPack,
) -> Result<()> {
    let pack = IncompletePack::history(pack, git_dir, task.vault.format);
    let (pack, read_back) = pack.verify(&mut progress.store, task.monitor)?;
    progress.packs.push(pack);
    progress.holes.extend(git_dir, read_back.holes.into_keys());
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
        let holes = progress.holes.of(&member.git_dir);
        if !history::is_whole(history, &names.tips.optional, &holes)? {
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
    let knows_a_pack = stores.packs.iter().any(|pack| pack.pack.is_none());
    if roots.peek().is_none()
        || knows_a_pack
        || roots.any(|root| stores.contains(&root))
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
    let named = metadata.ids_digest(&|git_dir| progress.holes.of(git_dir));
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

fn check_history(
    task: &Task<'_>,
    progress: &Progress,
    metadata: &Metadata,
    member: &Member,
    names: &Names,
) -> Capturing<u64> {
    let history = progress.store.history(&member.git_dir);
    if let Some(missing) = history::missing(history, &names.needed).first() {
        progress.store.check()?;
        // Perhaps something was packed or pruned meanwhile, and the metadata moved with it.
        let mut again = Metadata::read(task.repository, task.lookup, &progress.known.borders)?;
        do_without_missing(progress, &mut again)?;
        if again.members != metadata.members {
            return Err(CaptureError::Moved(member.repository.git_dir.clone()));
        }
        return Err(missing_object(missing, member, names).into());
    }
    let holes = progress.holes.of(&member.git_dir);
    if !holes.is_empty()
        && let Some((hole, named_by)) = history::reach_hole(history, &names.needed, &holes)?
    {
        let named_by = format!("object {named_by}, which the repository needs, names it");
        return Err(missing_because(&hole, member, &named_by).into());
    }
    Ok(history::missing(history, &names.tips.tolerated).len() as u64)
}

fn missing_object(id: &ObjectId, member: &Member, names: &Names) -> Refusal {
    let named_by = if names.index_ids.contains(id) {
        "the index names it"
    } else {
        "a ref or operation names it"
    };
    missing_because(id, member, named_by)
}

fn missing_because(id: &ObjectId, member: &Member, named_by: &str) -> Refusal {
    let refusal = Refusal::new(
        RefusalCode::SourceObjectMissing,
        format!("object {id} is not in the repository"),
    )
    .because(named_by);
    if member.git_dir == Spot::top(Place::Gitdir) {
        return refusal.next(
            "git fsck --full",
            "names every missing object of the repository",
        );
    }
    let git_dir = member.repository.git_dir.display();
    refusal
        .because(format!("it is that with the git directory '{git_dir}'"))
        .next(
            format!("git --git-dir '{git_dir}' fsck --full"),
            "names every missing object of that repository",
        )
}
