//! `git vault restore`: gives a workspace back, exactly, into a directory that is absent or empty.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::host::git::repository::open;
use crate::model::escape::{name_from_text, text_name};
use crate::model::event::{Event, Monitor, Phase};
use crate::model::inventory::{PackRecord, PackRole};
use crate::model::listing::{Entry, Reason};
use crate::model::manifest::Manifest;
use crate::model::place::Place;
use crate::model::refusal::{Changed, Refusal, Result};
use crate::ops::build::{Job, build};
use crate::ops::destination::{EmptyDestination, Needs, RestoreStaging, claim};
use crate::ops::layout::Layout;
use crate::ops::locate::Workplace;
use crate::ops::selection::{Asked, is_id, select};
use crate::ops::verify::check_bytes;
use crate::ops::workspace::Workspace;
use crate::vault::inspect::Vault;
use crate::vault::log::LoggedSnapshot;
use crate::vault::reader::{
    Directory, SnapshotReader, Trusted, check_inventory, needed_packs, trust, write_content,
};
use crate::vault::registry::real_path;
use crate::vault::store::Store;

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestoreReport {
    /// Where.
    pub destination: PathBuf,
    /// The vault.
    pub vault: PathBuf,
    /// The snapshot.
    pub snapshot: LoggedSnapshot,
    /// Its manifest.
    pub manifest: Manifest,
    /// Why there may be newer snapshots than the vault shows.
    pub stale: Option<String>,
    /// Files written and hashed again, git directory included.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
    /// Objects of the history handed over.
    pub objects: u64,
    /// What in the restored workspace can execute: hooks and settings.
    pub can_execute: Vec<String>,
    /// Special files that were not recreated.
    pub not_recreated: Vec<String>,
}

/// Restores the snapshot that `name` names to `destination`, an absolute path.
///
/// # Errors
/// When there is any doubt about snapshot or destination. The destination is then as it was.
pub fn restore(
    workplace: &Workplace,
    name: &str,
    destination: &Path,
    monitor: &dyn Monitor,
) -> Result<RestoreReport> {
    let vault = workplace.existing_vault_even_stale()?;
    if let Some(stale) = vault.stale.clone().filter(|_| !is_id(name)) {
        return Err(stale);
    }
    // Of what is not named in a vault that has lost entries, nobody can say that it was never sealed.
    let logged = select(&vault, name, Asked::by(workplace))
        .map_err(|refusal| vault.stale.clone().unwrap_or(refusal))?;
    let trusted = trust(&vault, &logged)?;
    check_inventory(&vault, &trusted)?;
    let destination = claim(
        destination,
        &workplace.current,
        &forbidden(workplace, &vault, &trusted),
    )?;
    let restored = restore_trusted(&vault, &trusted, destination, monitor)?;
    Ok(RestoreReport {
        destination: restored.destination,
        vault: vault.layout.root().to_owned(),
        stale: vault.stale.as_ref().map(|refusal| refusal.what.clone()),
        files: restored.files,
        bytes: restored.bytes,
        objects: restored.objects,
        can_execute: restored.can_execute,
        not_recreated: restored.not_recreated,
        snapshot: logged,
        manifest: trusted.manifest().clone(),
    })
}

/// A workspace that was built, checked and put in place.
pub(super) struct Restored {
    /// Where.
    pub destination: PathBuf,
    /// Files written and hashed again.
    files: u64,
    /// Bytes of those files.
    bytes: u64,
    /// Objects of the history handed over.
    objects: u64,
    can_execute: Vec<String>,
    not_recreated: Vec<String>,
}

/// Restores a snapshot that is trusted to a destination that was claimed; what it needs is hashed first.
///
/// # Errors
/// When there is any doubt about the stored bytes, or the destination cannot hold them. The destination is then as it was.
pub(super) fn restore_trusted(
    vault: &Vault,
    trusted: &Trusted,
    destination: EmptyDestination,
    monitor: &dyn Monitor,
) -> Result<Restored> {
    let packs = needed_packs(vault, trusted);
    check_bytes(vault, &packs, monitor)?;
    let store = Store::new(&vault.layout, &packs, vault.format).open_all()?;
    let reader = SnapshotReader::new(&store, trusted);
    let final_path = destination.path().to_owned();
    let layout = Layout::new(trusted.manifest(), &final_path);
    let rewritten = layout.rewritten(&reader, &store)?;
    let plan = plan(&store, &reader, &layout)?;
    let history: Vec<&PackRecord> = packs
        .iter()
        .filter(|pack| pack.role == PackRole::History)
        .collect();
    let history_bytes: u64 = history
        .iter()
        .map(|pack| pack.bytes + pack.index_bytes)
        .sum();
    let staging = destination.stage(&plan.needs, plan.needs.bytes.saturating_add(history_bytes))?;
    let total = Some(plan.needs.bytes.saturating_add(history_bytes));
    monitor.event(Event::Started {
        phase: Phase::Restore,
        total,
    });
    let job = Job {
        vault,
        manifest: trusted.manifest(),
        reader: &reader,
        store: &store,
        layout: &layout,
        rewritten: &rewritten,
        history: &history,
        monitor,
    };
    let can_execute =
        build(&job, &staging).map_err(|refusal| say_what_is_left(refusal, &staging))?;
    let left = staging.path().to_owned();
    let destination = staging
        .finish()
        .map_err(|refusal| left_at(refusal, &left))?;
    monitor.event(Event::Finished {
        phase: Phase::Restore,
    });
    Ok(Restored {
        destination,
        files: plan.files,
        bytes: plan.needs.bytes,
        objects: history.iter().map(|pack| pack.objects).sum(),
        can_execute,
        not_recreated: plan.special,
    })
}

fn say_what_is_left(refusal: Refusal, staging: &RestoreStaging) -> Refusal {
    left_at(refusal, staging.path())
}

fn left_at(refusal: Refusal, staging: &Path) -> Refusal {
    if refusal.changed != Changed::Nothing {
        return refusal;
    }
    refusal
        .having_changed(format!(
            "the destination is as it was; what had been written stays in '{}'",
            staging.display()
        ))
        .keeping("the snapshot and its vault are untouched")
}

/// Places a restore must not touch: the vault, keys and states, the workspace that was captured, the one it is run in.
pub(super) fn forbidden(
    workplace: &Workplace,
    vault: &Vault,
    trusted: &Trusted,
) -> Vec<(String, PathBuf)> {
    use std::os::unix::ffi::OsStringExt as _;
    let path = |text: &str| {
        name_from_text(text).map(|bytes| PathBuf::from(std::ffi::OsString::from_vec(bytes)))
    };
    let source = &trusted.manifest().source;
    let exists = |path: &PathBuf| path.symlink_metadata().is_ok();
    let mut places = vec![
        ("the vault", Some(vault.layout.root().to_owned())),
        ("the place of the keys", Some(vault.homes.keys.clone())),
        (
            "the place of what this machine has seen",
            Some(vault.homes.state.clone()),
        ),
        ("the captured git directory", path(&source.git_dir)),
        (
            "the captured working tree",
            source.worktree.as_deref().and_then(path),
        ),
    ];
    let here = workplace.repository().ok();
    if let Some(repository) = &here {
        places.push(("this git directory", Some(repository.git_dir.clone())));
        places.push(("this working tree", repository.worktree.clone()));
        places.push(("this working tree", repository.unclaimed.clone()));
    }
    // Where a repository looks for a linked worktree, it would take what is restored for that, there or not.
    let git_dir = path(&source.git_dir).filter(exists);
    let linked = trusted.manifest().linked.iter();
    let linked = linked.filter_map(|linked| path(&linked.path));
    let linked = linked.filter(|path| git_dir.is_some() || exists(path));
    let mut linked: Vec<PathBuf> = linked.collect();
    // Linked worktrees that came since are of the source, too.
    let source = git_dir.and_then(|path| open(&path, &workplace.lookup).ok());
    for repository in here.iter().chain(&source) {
        let workspace = Workspace::find(repository, &workplace.lookup, &BTreeSet::new());
        let Ok(workspace) = workspace else { continue };
        linked.extend(workspace.linked.into_iter().map(|linked| linked.path));
        for (_, root) in workspace.places {
            places.push(("a working tree of this repository", Some(root)));
        }
    }
    let places = places.into_iter();
    let places = places.filter_map(|(what, path)| Some((what, path.filter(exists)?)));
    let linked = linked.into_iter().filter(|path| path.is_absolute());
    places
        .chain(linked.map(|path| ("the place of a linked worktree", path)))
        .map(|(what, path)| (what.to_owned(), real_path(&path)))
        .collect()
}

/// What a restore will write.
#[derive(Default)]
struct Plan {
    needs: Needs,
    files: u64,
    special: Vec<String>,
}

fn plan(store: &Store, reader: &SnapshotReader<'_>, layout: &Layout<'_>) -> Result<Plan> {
    let mut plan = Plan::default();
    for place in layout.places() {
        reader.each_directory(place, &mut |directory| {
            add_to_plan(&mut plan, place, &directory);
            for (name, entry) in &directory.listing.entries {
                if let (Entry::Link { attributes, .. }, Some(content)) =
                    (entry, directory.contents.get(name))
                {
                    let bytes =
                        write_content(store, content, &mut std::io::sink(), Path::new("a link"))?;
                    plan.needs.add_link(attributes.mtime_ns, bytes);
                }
            }
            Ok(())
        })?;
    }
    Ok(plan)
}

fn add_to_plan(plan: &mut Plan, place: Place, directory: &Directory) {
    let is_written =
        |entry: &Entry| !matches!(entry, Entry::Special { .. } | Entry::LeftOut { .. });
    let written = directory
        .listing
        .entries
        .iter()
        .filter(|(_, entry)| is_written(entry));
    let names: Vec<&Vec<u8>> = written.map(|(name, _)| name).collect();
    plan.needs.add_names(&directory.path, &names);
    plan.needs.add_attributes(&directory.listing.own);
    for (name, entry) in &directory.listing.entries {
        match entry {
            Entry::File {
                attributes, bytes, ..
            } => {
                plan.files += 1;
                plan.needs.bytes = plan.needs.bytes.saturating_add(*bytes);
                plan.needs.add_attributes(attributes);
                plan.needs.largest_file_bytes = plan.needs.largest_file_bytes.max(*bytes);
            }
            Entry::Special { kind, .. } => {
                let path = text_name(&crate::host::walk::join(&directory.path, name));
                plan.special
                    .push(format!("{} {}: {path}", place.name(), kind.word()));
            }
            Entry::LeftOut {
                reason: Reason::Gitfile,
                rule,
                ..
            } => {
                let path = text_name(&crate::host::walk::join(&directory.path, name));
                let rule = text_name(rule.as_bytes());
                plan.special
                    .push(format!("{} pointer to '{rule}': {path}", place.name()));
            }
            Entry::Directory { .. } | Entry::Link { .. } | Entry::LeftOut { .. } => {}
        }
    }
}
