//! Puts a snapshot together: metadata, history, contents, trees, commit; everything read back before it may be sealed.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::host::file_system::quiet_ns;
use crate::host::git::alternates::Alternates;
use crate::host::git::object::{
    MODE_FILE, MODE_TREE, ObjectFormat, ObjectId, ObjectKind, each_link,
};
use crate::host::git::repository::{Lookup, Repository};
use crate::host::git::tips::Tips;
use crate::host::git::tree::{NewCommit, NewEntry, commit_content, tree_content};
use crate::host::metadata::NotKept;
use crate::host::walk::{Walked, path_bytes};
use crate::model::escape::text_name;
use crate::model::event::{Monitor, Silent};
use crate::model::ids::{Digest, SnapshotId};
use crate::model::manifest::Manifest;
use crate::model::place::{Place, Spot};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::timestamp::Timestamp;
use crate::ops::capture::{CaptureContext, CaptureError, capture, changing, find_borders};
use crate::ops::contents::Clock;
use crate::ops::describe::manifest;
use crate::ops::metadata::{Metadata, Names};
use crate::ops::mirror::{check_histories, do_without_missing, mirror_all};
use crate::ops::patterns::Patterns;
use crate::ops::snapshot::SnapshotRequest;
use crate::ops::verify::check_bytes;
use crate::ops::workspace::Member;
use crate::vault::builder::{self, BuiltPlace, Times};
use crate::vault::built_directories::BuiltDirectories;
use crate::vault::cache::{ScanCache, SoundPacks};
use crate::vault::content::{ContentWriter, Stored};
use crate::vault::inspect::Vault;
use crate::vault::known_vault::tells_of_changes;
use crate::vault::lacking::Lacking;
use crate::vault::promised;
use crate::vault::reader::{SnapshotReader, Trusted, trust};
use crate::vault::skeleton::check_pack_files;
use crate::vault::staging::{IncompletePack, Staging, Verified, VerifiedPack};
use crate::vault::store::Store;

/// How often a git directory that moves while it is read is read again.
const ATTEMPTS: usize = 8;

/// How many root commits are noted, to recognise a repository that moved.
const ROOT_COMMITS: usize = 64;

/// What a snapshot is made of, by whom, and where.
pub struct Task<'a> {
    /// The source.
    pub repository: &'a Repository,
    /// How repositories inside of it are opened.
    pub lookup: &'a Lookup,
    /// The vault.
    pub vault: &'a Vault,
    /// Where new packs are written.
    pub staging: &'a Staging,
    /// What was asked for.
    pub request: &'a SnapshotRequest,
    /// The wall clock.
    pub clock: Clock<'a>,
    /// Is told how far it is.
    pub monitor: &'a dyn Monitor,
}

/// What assembling gives.
pub enum Finished {
    /// The newest snapshot holds exactly this state; the cache is there when it learned something.
    Unchanged(Box<Trusted>, Option<Box<ScanCache>>),
    /// Everything is written and proven; only the seal is missing.
    Verified(Box<Proven>),
}

/// A snapshot that may be sealed.
pub struct Proven {
    /// Its packs.
    pub verified: Verified,
    /// Its manifest.
    pub manifest: Manifest,
    /// What may be relied on next time.
    pub cache: ScanCache,
    /// Commits without parents that came with it.
    pub root_commits: Vec<String>,
}

/// What is known of the history, growing with each attempt.
pub(super) struct Progress {
    pub(super) store: Store,
    pub(super) known: ScanCache,
    pub(super) newest: Option<Trusted>,
    pub(super) holes: Lacking,
    pub(super) holes_before: Lacking,
    pub(super) promised: Lacking,
    pub(super) root_commits: BTreeSet<ObjectId>,
    pub(super) packs: Vec<VerifiedPack>,
    pub(super) sound: SoundPacks,
    pub(super) borrowed: BTreeMap<Spot, Alternates>,
}

/// Assembles a snapshot of the workspace.
///
/// # Errors
/// When there is any doubt that it would be complete.
pub fn assemble(task: &Task<'_>, now: Timestamp) -> Result<Finished> {
    let records = task.vault.log.packs();
    let mut store = Store::new(&task.vault.layout, records, task.vault.format);
    let newest = task
        .vault
        .log
        .snapshots
        .last()
        .map(|logged| trust(task.vault, logged))
        .transpose()
        .map_err(say_where_to_go_on)?;
    let holes = match &newest {
        Some(newest) => SnapshotReader::new(&store, newest).holes()?,
        None => Lacking::default(),
    };
    let promised = match &newest {
        Some(newest) => SnapshotReader::new(&store, newest).promised()?,
        None => Lacking::default(),
    };
    let known = known_state(task)?;
    let sound = check_packs(task.vault, &known)?;
    if tells_of_changes(&task.vault.layout.packs()) {
        store.know_ids(&known.small);
        let is_known = |name: &str| known.large.contains(name);
        store.know_sound(&|name| Some(sound.get(name).filter(|_| is_known(name))?[1]));
    }
    let mut progress = Progress {
        store,
        sound,
        known,
        newest,
        holes_before: holes.clone(),
        holes,
        promised,
        root_commits: BTreeSet::new(),
        packs: Vec::new(),
        borrowed: BTreeMap::new(),
    };
    let mut last_moved = task.repository.git_dir.clone();
    for _ in 0..ATTEMPTS {
        match attempt(task, &mut progress) {
            Ok(Attempted::Unchanged(cache)) => {
                progress.store.check()?;
                if let Some(newest) = progress.newest {
                    let learned = (*cache != progress.known).then_some(cache);
                    return Ok(Finished::Unchanged(Box::new(newest), learned));
                }
                return Err(Refusal::new(
                    RefusalCode::Internal,
                    "no snapshot, and yet unchanged",
                ));
            }
            Ok(Attempted::Captured(attempt)) => {
                progress.store.check()?;
                return finish(task, progress, *attempt, now);
            }
            Err(CaptureError::Moved(path)) => last_moved = path,
            Err(CaptureError::Borders(borders)) => progress.known.borders = borders,
            Err(CaptureError::Refused(refusal)) => return Err(refusal),
        }
    }
    Err(changing(&last_moved))
}

/// What is known from before. Without that, the working trees are looked through for repositories before anything is read.
fn known_state(task: &Task<'_>) -> Result<ScanCache> {
    let mut known = ScanCache::load(task.vault);
    let exclude = Patterns::new("vault.exclude", &task.repository.settings.exclude)?;
    let worktree = task.repository.worktree.as_deref();
    // A scan that keeps one all the same, because it is tracked, meets it again.
    known
        .borders
        .retain(|border| !is_excluded(&exclude, worktree, border));
    if known.files.is_empty() {
        match find_borders(task.repository, task.lookup, &known.borders) {
            Ok((_, borders, _)) => known.borders = borders,
            // What moves now is met again, and tried again, by the capture.
            Err(CaptureError::Moved(_) | CaptureError::Borders(_)) => {}
            Err(CaptureError::Refused(refusal)) => return Err(refusal),
        }
    }
    Ok(known)
}

/// Whether a pattern matches a directory or one around it: those in a working tree by their paths in it, others by any way that
/// leads to them, since where their working tree begins is not known yet.
fn is_excluded(exclude: &Patterns, worktree: Option<&Path>, border: &Path) -> bool {
    let is_matched = |path: &Path| {
        let mut around = path.ancestors().filter(|path| !path.as_os_str().is_empty());
        around.any(|path| exclude.matching(path_bytes(path), true).is_some())
    };
    match worktree.and_then(|root| border.strip_prefix(root).ok()) {
        Some(path) => is_matched(path),
        None => border.ancestors().any(|root| {
            let path = border.strip_prefix(root).unwrap_or(border);
            is_matched(path)
        }),
    }
}

/// A new snapshot would stand on packs that somebody else may have made; it goes into a new vault.
fn say_where_to_go_on(refusal: Refusal) -> Refusal {
    if refusal.code == RefusalCode::KeyCompromised {
        refusal.next(
            "git vault init --new",
            "makes a new vault for new snapshots; this one stays as it is",
        )
    } else {
        refusal
    }
}

/// Looks whether the packs a new snapshot would stand on are those whose bytes were last found to be what was written;
/// reads and compares those that are not.
fn check_packs(vault: &Vault, known: &ScanCache) -> Result<SoundPacks> {
    // Looked at again, now that nobody else writes: waiting for that may have taken a while.
    let packs = check_pack_files(&vault.layout, &vault.log)?;
    let mut sound = SoundPacks::new();
    for record in vault.log.inventory.packs() {
        let looks = packs.get(&record.name);
        if looks.is_none() || looks != known.sound.get(&record.name) {
            check_bytes(vault, std::slice::from_ref(record), &Silent)?;
        }
        sound.extend(looks.map(|looks| (record.name.clone(), *looks)));
    }
    Ok(sound)
}

/// Notes which packs of the vault need not be opened next time to ask what they hold: those that were opened now, so that their
/// indices were compared with the log, and had been left alone for long enough before.
fn learn(task: &Task<'_>, progress: &Progress, cache: &mut ScanCache) {
    cache.small.clone_from(&progress.known.small);
    cache.large.clone_from(&progress.known.large);
    let Some(quiet_ns) = quiet_ns() else {
        return;
    };
    let before_ns = (task.clock)() - quiet_ns;
    let is_settled = |name: &str| {
        let looks = progress.sound.get(name);
        looks.is_some_and(|looks| looks.iter().all(|look| look.ctime_ns < before_ns))
    };
    for (name, ids) in progress.store.opened().filter(|(name, _)| is_settled(name)) {
        match ids {
            Some(ids) => drop(cache.small.insert(name.to_owned(), ids)),
            None => drop(cache.large.insert(name.to_owned())),
        }
    }
}

/// What one attempt captured.
pub(super) struct Attempt {
    pub(super) metadata: Metadata,
    pub(super) unmet: BTreeSet<PathBuf>,
    pub(super) weak_missing: Vec<u64>,
    pub(super) not_kept: NotKept,
    pub(super) cache: ScanCache,
    pub(super) places: BTreeMap<Place, BuiltPlace>,
    pub(super) tree: ObjectId,
    pub(super) capture: Option<VerifiedPack>,
    pub(super) commit: ObjectId,
}

/// What came of an attempt.
enum Attempted {
    /// The newest snapshot holds this very state.
    Unchanged(Box<ScanCache>),
    /// Everything is stored.
    Captured(Box<Attempt>),
}

fn attempt(
    task: &Task<'_>,
    progress: &mut Progress,
) -> std::result::Result<Attempted, CaptureError> {
    let borders = progress.known.borders.clone();
    let mut metadata = Metadata::read(task.repository, task.lookup, &borders)?;
    metadata.check_usable()?;
    check_places(task, &metadata)?;
    let mirrored = mirror_all(task, progress, &metadata)?;
    do_without_missing(progress, &mut metadata)?;
    let checked = check_histories(task, progress, &metadata)?;
    let format = task.vault.format;
    let writer = ContentWriter::new(&progress.store, task.staging, format);
    let context = CaptureContext {
        repository: task.repository,
        writer: &writer,
        cache: &progress.known,
        borders: &borders,
        clock: task.clock,
        monitor: task.monitor,
    };
    let mut captured = match capture(&context, &metadata) {
        Err(again @ (CaptureError::Moved(_) | CaptureError::Borders(_))) => {
            // What was stored so far is dropped: the next attempt begins a pack of its own.
            writer.discard()?;
            return Err(again);
        }
        captured => captured?,
    };
    captured.cache.mirrored = mirrored;
    captured.cache.sound.clone_from(&progress.sound);
    learn(task, progress, &mut captured.cache);
    captured.cache.proven = Some((checked.named, checked.weak_missing.clone()));
    let state = captured.state_digest();
    if is_unchanged(task, progress, Some(state)) {
        writer.discard()?;
        captured.cache.state.clone_from(&progress.known.state);
        captured.cache.places.clone_from(&progress.known.places);
        return Ok(Attempted::Unchanged(Box::new(captured.cache)));
    }
    captured.cache.state = Some((task.staging.id().clone(), state));
    let mut places = BTreeMap::new();
    for (place, walked) in &captured.places {
        let place_built = built(&writer, *place, walked, progress, &mut captured.cache)?;
        places.insert(*place, place_built);
    }
    let tree = root_tree(&writer, &places, progress)?;
    let parents = parents(&writer, progress, &metadata, format)?;
    if let Some(newest) = same_tree(task, progress, &tree, &parents) {
        writer.discard()?;
        captured.cache.state = Some((newest, state));
        return Ok(Attempted::Unchanged(Box::new(captured.cache)));
    }
    let commit = commit(task, &writer, tree, &parents)?;
    let capture = match IncompletePack::capture(writer.finish()?, format) {
        Some(pack) => Some(pack.verify(&mut progress.store, task.monitor)?.0),
        None => None,
    };
    let not_kept = captured.not_kept();
    let cache = captured.cache;
    Ok(Attempted::Captured(Box::new(Attempt {
        metadata,
        unmet: captured.unmet,
        weak_missing: checked.weak_missing,
        not_kept,
        cache,
        places,
        tree,
        capture,
        commit,
    })))
}

/// Stores the snapshot's commit; the id in its message makes it the only one of its kind.
fn commit(
    task: &Task<'_>,
    writer: &ContentWriter<'_>,
    tree: ObjectId,
    parents: &[ObjectId],
) -> Result<ObjectId> {
    let message = format!("snapshot {}\n\n{}", task.staging.id(), task.request.message);
    let seconds = i64::try_from((task.clock)().div_euclid(1_000_000_000)).unwrap_or_default();
    let message = message.trim_end();
    let content = commit_content(&NewCommit {
        tree,
        parents,
        seconds,
        message,
    });
    writer.object(ObjectKind::Commit, &content)
}

/// The trees and listings of a place: those of the last time, when they were built from the very same.
fn built(
    writer: &ContentWriter<'_>,
    name: Place,
    walked: &[Walked<Stored>],
    progress: &Progress,
    cache: &mut ScanCache,
) -> Result<BuiltPlace> {
    let digest = builder::digest(walked, Times::Counted);
    let nothing = BuiltDirectories::default();
    let place = match progress.known.places.get(&name) {
        Some((known, place)) if *known == digest => place.clone(),
        Some((_, place)) => builder::build(writer, name, walked, &place.directories)?,
        None => builder::build(writer, name, walked, &nothing)?,
    };
    cache.places.insert(name, (digest, place.clone()));
    Ok(place)
}

fn root_tree(
    writer: &ContentWriter<'_>,
    places: &BTreeMap<Place, BuiltPlace>,
    progress: &Progress,
) -> Result<ObjectId> {
    let holes = &progress.holes;
    let tree = |name: &str, id| NewEntry {
        mode: MODE_TREE,
        name: name.as_bytes().to_vec(),
        id,
    };
    let (mut root, mut attributes) = (Vec::new(), Vec::new());
    let (mut linked, mut linked_attributes) = (Vec::new(), Vec::new());
    for (place, built) in places {
        match place {
            Place::Gitdir | Place::Worktree => {
                root.push(tree(&place.name(), built.contents));
                attributes.push(tree(&place.name(), built.attributes));
            }
            Place::Linked(number) => {
                linked.push(tree(&number.to_string(), built.contents));
                linked_attributes.push(tree(&number.to_string(), built.attributes));
            }
        }
    }
    let write = |entries| writer.object(ObjectKind::Tree, &tree_content(entries));
    if !linked.is_empty() {
        root.push(tree("linked", write(linked)?));
        attributes.push(tree("linked", write(linked_attributes)?));
    }
    root.push(tree("attributes", write(attributes)?));
    if !holes.is_empty() {
        let blob = writer.bytes(holes.to_text().as_bytes())?;
        root.push(NewEntry {
            mode: MODE_FILE,
            name: b"holes".to_vec(),
            id: blob.id,
        });
    }
    if !progress.promised.is_empty() {
        root.push(promised::write(writer, &progress.promised)?);
    }
    writer.object(ObjectKind::Tree, &tree_content(root))
}

/// HEAD's commit, then one commit over all other tips that are commits: plain git reaches the history through them. None
/// of a repository whose history is cut off, or in part with a promisor remote: plain git knows nothing of that in the vault,
/// and would miss what is not there.
fn parents(
    writer: &ContentWriter<'_>,
    progress: &Progress,
    metadata: &Metadata,
    format: ObjectFormat,
) -> std::result::Result<Vec<ObjectId>, CaptureError> {
    if let Some(parents) = same_parents(progress, metadata, format)? {
        return Ok(parents);
    }
    let mut commits = BTreeSet::new();
    let whole = metadata
        .each()
        .filter(|(member, names)| !is_cut(progress, member, names));
    for (member, names) in whole {
        for tip in &names.tips.needed {
            let object = progress
                .store
                .history(&member.git_dir)
                .read_any(tip)
                .map_err(|error| crate::vault::content::refuse_git_read(&error))?;
            if object.kind == ObjectKind::Commit {
                commits.insert(*tip);
            }
        }
    }
    let tips = &metadata.main()?.tips;
    let head = tips.head.filter(|head| commits.contains(head));
    let others: Vec<ObjectId> = commits
        .into_iter()
        .filter(|tip| Some(*tip) != head)
        .collect();
    let mut parents: Vec<ObjectId> = head.into_iter().collect();
    if !others.is_empty() {
        let tree = writer.object(ObjectKind::Tree, b"")?;
        let content = commit_content(&NewCommit {
            tree,
            parents: &others,
            seconds: 0,
            message: "tips",
        });
        parents.push(writer.object(ObjectKind::Commit, &content)?);
    }
    Ok(parents)
}

/// The parents of the newest snapshot, when it stood on the same tips.
fn same_parents(
    progress: &Progress,
    metadata: &Metadata,
    format: ObjectFormat,
) -> Result<Option<Vec<ObjectId>>> {
    let Some(newest) = progress.newest.as_ref().map(Trusted::manifest) else {
        return Ok(None);
    };
    let tips = &metadata.main()?.tips;
    let head = tips.head.map(|head| head.to_string());
    let stated = newest.nested.iter();
    let stated = stated.map(|nested| (nested.git_dir.clone(), nested.tips_blake3));
    let nested = metadata.each().skip(1);
    let nested = nested.map(|(member, names)| (member.git_dir.clone(), tips_digest(&names.tips)));
    if !stated.eq(nested) {
        return Ok(None);
    }
    if newest.history.tips_blake3 != tips_digest(tips) || newest.source.head != head {
        return Ok(None);
    }
    // One without parents may have been made when history was cut off, and so may one be with.
    let is_cut = metadata
        .each()
        .any(|(member, names)| is_cut(progress, member, names));
    let parents = parents_of(progress, newest, format)?;
    Ok(parents.filter(|parents| !parents.is_empty() && !is_cut))
}

/// Whether plain git would miss something in the history of a repository.
fn is_cut(progress: &Progress, member: &Member, names: &Names) -> bool {
    let lacks = |lacking: &Lacking| !lacking.of(&member.git_dir).is_empty();
    (!names.grafts.is_empty() && lacks(&progress.holes)) || lacks(&progress.promised)
}

/// The parents of a snapshot's commit.
fn parents_of(
    progress: &Progress,
    manifest: &Manifest,
    format: ObjectFormat,
) -> Result<Option<Vec<ObjectId>>> {
    let Some(commit) = ObjectId::from_hex(manifest.content.commit.as_bytes()) else {
        return Ok(None);
    };
    let content = progress.store.read(&commit, ObjectKind::Commit)?;
    let mut links = Vec::new();
    let parsed = each_link(format, ObjectKind::Commit, &content, |id| links.push(id));
    Ok(parsed.map(|()| links.into_iter().skip(1).collect()))
}

/// The digest of the tips, as a manifest states it.
pub(super) fn tips_digest(tips: &Tips) -> Digest {
    let text: String = tips.needed.iter().map(|id| format!("{id}\n")).collect();
    Digest::of(text.as_bytes())
}

/// Refuses a vault, keys or last-seen state inside any of the working trees: they would be captured, and be lost with it.
fn check_places(task: &Task<'_>, metadata: &Metadata) -> Result<()> {
    for (_, root) in &metadata.workspace.places {
        let tree = Repository {
            worktree: Some(root.clone()),
            ..task.repository.clone()
        };
        let homes = &task.vault.homes;
        let root = task.vault.layout.root();
        crate::vault::registry::check_outside(
            &tree,
            &[
                (root, "the vault"),
                (&homes.keys, "the place of the keys"),
                (&homes.state, "the place of what this machine has seen"),
            ],
        )?;
    }
    Ok(())
}

/// Whether the newest snapshot holds this very state, as far as the cache knows, and nobody asked for a snapshot of their
/// own. Without a `state`, only the rest is asked.
fn is_unchanged(task: &Task<'_>, progress: &Progress, state: Option<Digest>) -> bool {
    let Some(newest) = progress.newest.as_ref().map(Trusted::manifest) else {
        return false;
    };
    let asks_for_nothing = task.request.message.is_empty() && task.request.labels.is_empty();
    let same_settings = newest.include == task.repository.settings.include
        && newest.exclude == task.repository.settings.exclude
        && newest.source.git_dir == text_name(path_bytes(&task.repository.git_dir));
    asks_for_nothing
        && same_settings
        && progress.packs.is_empty()
        && progress.holes == progress.holes_before
        && state.is_none_or(|state| progress.known.state == Some((newest.snapshot.clone(), state)))
}

/// The newest snapshot, when it has this very tree on these very parents: what is asked when no cache knows its state.
fn same_tree(
    task: &Task<'_>,
    progress: &Progress,
    tree: &ObjectId,
    parents: &[ObjectId],
) -> Option<SnapshotId> {
    let newest = progress.newest.as_ref().map(Trusted::manifest)?;
    if !is_unchanged(task, progress, None) || newest.content.tree != tree.to_string() {
        return None;
    }
    let known = parents_of(progress, newest, task.vault.format).ok()??;
    (known == parents).then(|| newest.snapshot.clone())
}

fn finish(
    task: &Task<'_>,
    mut progress: Progress,
    mut attempt: Attempt,
    now: Timestamp,
) -> Result<Finished> {
    progress.packs.extend(attempt.capture.take());
    let manifest = manifest(task, &progress, &attempt, now)?;
    let mut cache = attempt.cache;
    learn(task, &progress, &mut cache);
    let root_commits = progress
        .root_commits
        .iter()
        .take(ROOT_COMMITS)
        .map(ToString::to_string)
        .collect();
    let verified = Verified::new(task.staging, progress.packs)?;
    Ok(Finished::Verified(Box::new(Proven {
        verified,
        manifest,
        cache,
        root_commits,
    })))
}
