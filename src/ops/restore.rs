//! `git vault restore`: gives a workspace back, exactly, into a directory that is absent or empty.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, mkdirat};

use crate::host::disk::{self, Context};
use crate::host::git::object::ObjectFormat;
use crate::host::git::packs::Packs;
use crate::host::git::repository::{Repository, Settings, executable_settings};
use crate::host::metadata;
use crate::model::escape::{name_from_text, text_name};
use crate::model::event::{Event, Monitor, Phase};
use crate::model::ids::Digest;
use crate::model::inventory::{PackRecord, PackRole};
use crate::model::listing::Entry;
use crate::model::manifest::Manifest;
use crate::model::refusal::{Changed, Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::assemble::tips_digest;
use crate::ops::capture::{CaptureError, Metadata};
use crate::ops::destination::{EmptyDestination, Needs, RestoreStaging, claim, create};
use crate::ops::history::missing;
use crate::ops::locate::Workplace;
use crate::ops::restore_tree::{TreeWriter, hash_again, not_kept, open_below};
use crate::ops::selection::{is_id, select};
use crate::ops::verify::check_bytes;
use crate::vault::inspect::Vault;
use crate::vault::log::LoggedSnapshot;
use crate::vault::reader::{
    Directory, Place, SnapshotReader, Trusted, check_inventory, needed_packs, trust,
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
    let logged = select(&vault, name).map_err(|refusal| vault.stale.clone().unwrap_or(refusal))?;
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
    let plan = plan(&reader)?;
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
        reader: &reader,
        store: &store,
        history: &history,
        monitor,
    };
    let can_execute =
        build(&job, trusted, &staging).map_err(|refusal| say_what_is_left(refusal, &staging))?;
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
    if let Ok(repository) = workplace.repository() {
        places.push(("this git directory", Some(repository.common_dir)));
        places.push(("this working tree", repository.worktree));
    }
    let exists = |path: &PathBuf| path.symlink_metadata().is_ok();
    places
        .into_iter()
        .filter_map(|(what, path)| {
            path.filter(exists)
                .map(|path| (what.to_owned(), real_path(&path)))
        })
        .collect()
}

/// What a restore will write.
#[derive(Default)]
struct Plan {
    needs: Needs,
    files: u64,
    special: Vec<String>,
}

fn plan(reader: &SnapshotReader<'_>) -> Result<Plan> {
    let mut plan = Plan::default();
    for place in [Place::Worktree, Place::Gitdir] {
        reader.each_directory(place, &mut |directory| {
            add_to_plan(&mut plan, place, &directory);
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
            }
            Entry::Link { .. } => plan.needs.links += 1,
            Entry::Special { kind, .. } => {
                let path = text_name(&crate::host::walk::join(&directory.path, name));
                plan.special
                    .push(format!("{} {}: {path}", place.name(), kind.word()));
            }
            Entry::Directory { .. } | Entry::LeftOut { .. } => {}
        }
    }
}

struct Job<'a> {
    vault: &'a Vault,
    reader: &'a SnapshotReader<'a>,
    store: &'a Store,
    history: &'a [&'a PackRecord],
    monitor: &'a dyn Monitor,
}

/// Builds the workspace in staging and checks it; gives what in it can execute.
fn build(job: &Job<'_>, trusted: &Trusted, staging: &RestoreStaging) -> Result<Vec<String>> {
    let is_bare = trusted.manifest().content.worktree.is_none();
    let (root, shown) = (staging.root(), staging.path());
    let stopped = |error: disk::Error| error.refuse(RefusalCode::RestoreStopped);
    let mut worktree = TreeWriter::new(job.store, root, shown, job.monitor);
    job.reader
        .each_directory(Place::Worktree, &mut |directory| worktree.write(directory))?;
    let gitdir_path = if is_bare {
        shown.to_owned()
    } else {
        shown.join(".git")
    };
    let gitdir_root = if is_bare {
        open_below(root, b"", shown).map_err(stopped)?
    } else {
        mkdirat(root, ".git", Mode::RWXU)
            .context("create directory", &gitdir_path)
            .map_err(stopped)?;
        open_below(root, b".git", &gitdir_path).map_err(stopped)?
    };
    let mut gitdir = TreeWriter::new(job.store, &gitdir_root, &gitdir_path, job.monitor);
    job.reader
        .each_directory(Place::Gitdir, &mut |directory| gitdir.write(directory))?;
    hand_over_history(job, &gitdir_root, &gitdir_path)?;
    let can_execute = executable(&gitdir_path, &gitdir.executable);
    check(job, trusted, &gitdir_path, job.vault.format)?;
    gitdir.finish()?;
    worktree.finish()?;
    Ok(can_execute)
}

/// Copies the history packs as they are.
fn hand_over_history(job: &Job<'_>, gitdir: &File, shown: &Path) -> Result<()> {
    let stopped = |error: disk::Error| error.refuse(RefusalCode::RestoreStopped);
    let mode = Mode::RWXU | Mode::RGRP | Mode::XGRP | Mode::ROTH | Mode::XOTH;
    for path in ["objects", "objects/info", "objects/pack"] {
        mkdirat(gitdir, path, mode)
            .context("create directory", &shown.join(path))
            .map_err(stopped)?;
    }
    let shown = shown.join("objects/pack");
    let directory = open_below(gitdir, b"objects/pack", &shown).map_err(stopped)?;
    for pack in job.history {
        let source = job.vault.layout.pack(&pack.name);
        let name = |ending: &str| format!("{}.{ending}", pack.name);
        copy(
            &source,
            (pack.bytes, pack.blake3),
            &directory,
            &name("pack"),
            &shown,
            job.monitor,
        )?;
        let index = source.with_extension("idx");
        copy(
            &index,
            (pack.index_bytes, pack.index_blake3),
            &directory,
            &name("idx"),
            &shown,
            job.monitor,
        )?;
    }
    Ok(())
}

/// Copies one file and hashes what is copied, then what is there.
fn copy(
    source: &Path,
    expected: (u64, Digest),
    directory: &File,
    name: &str,
    shown: &Path,
    monitor: &dyn Monitor,
) -> Result<()> {
    let stopped = |error: disk::Error| error.refuse(RefusalCode::RestoreStopped);
    let mut from = disk::open_regular(source).map_err(|error| error.refuse_vault_read())?;
    let mut to = create(directory, name.as_bytes(), shown).map_err(stopped)?;
    let shown = shown.join(name);
    let mut hasher = blake3::Hasher::new();
    let copied = disk::each_piece(&mut from, source, &mut |piece| {
        hasher.update(piece);
        let units = piece.len() as u64;
        monitor.event(Event::Advanced {
            phase: Phase::Restore,
            units,
        });
        to.write_all(piece).context("write", &shown)
    });
    let total_bytes = copied.map_err(|error| {
        let is_read = error.path == source;
        if is_read {
            error.refuse_vault_read()
        } else {
            stopped(error)
        }
    })?;
    if (total_bytes, Digest::finish(&hasher)) != expected {
        return Err(Refusal::new(
            RefusalCode::VaultDamaged,
            format!("'{}' is not what was written", source.display()),
        )
        .because(format!(
            "expected BLAKE3 {}, found {}",
            expected.1,
            Digest::finish(&hasher)
        ))
        .about_difference(
            source,
            format!("{} bytes with BLAKE3 {}", expected.0, expected.1),
            format!(
                "{total_bytes} bytes with BLAKE3 {}",
                Digest::finish(&hasher)
            ),
        ));
    }
    let found = hash_again(&mut to, &shown).map_err(stopped)?;
    if found != expected {
        return Err(not_kept(&shown));
    }
    metadata::set_mode(&to, 0o444, &shown).map_err(stopped)
}

/// Checks the built repository: its refs, operations and index name only objects that were handed over.
fn check(job: &Job<'_>, trusted: &Trusted, git_dir: &Path, format: ObjectFormat) -> Result<()> {
    let built = Repository {
        git_dir: git_dir.to_owned(),
        common_dir: git_dir.to_owned(),
        worktree: None,
        format,
        settings: Settings::default(),
    };
    let incomplete = |fact: String| {
        Refusal::new(
            RefusalCode::RecordContradiction,
            "the restored repository is not what was captured",
        )
        .because(fact)
    };
    let mut metadata = Metadata::read(&built).map_err(|error| match error {
        CaptureError::Moved(path) => cannot_be_read_back(vec![format!(
            "'{}' changed while it was checked",
            path.display()
        )]),
        CaptureError::Refused(refusal) => {
            let what = std::iter::once(refusal.what.clone());
            cannot_be_read_back(what.chain(refusal.why.clone()).collect())
        }
    })?;
    let mut handed_over = Packs::default();
    for pack in job.history {
        let path = git_dir
            .join("objects/pack")
            .join(format!("{}.pack", pack.name));
        let opened = crate::host::git::pack_reader::Pack::open(&path, format);
        handed_over.push(opened.map_err(|error| cannot_be_read_back(vec![error.to_string()]))?);
    }
    let stated = &trusted.manifest().history;
    if tips_digest(&metadata.tips) != stated.tips_blake3 {
        metadata.do_without_optional();
    }
    if let Some(lost) = missing(&handed_over, metadata.needed()).first() {
        return Err(incomplete(format!("object {lost} is not in it")));
    }
    if metadata.tips.needed.len() as u64 != stated.tips
        || tips_digest(&metadata.tips) != stated.tips_blake3
    {
        return Err(incomplete("its refs name other objects".to_owned()));
    }
    Ok(())
}

/// All was hashed when it was written: if it cannot be read now, the disk fails, or somebody else has changed it.
fn cannot_be_read_back(why: Vec<String>) -> Refusal {
    let what = "the restored repository cannot be read back";
    let refusal = Refusal::new(RefusalCode::RestoreStopped, what);
    why.into_iter().fold(refusal, Refusal::because)
}

/// Hooks and settings that can make git run something.
fn executable(git_dir: &Path, hooks: &[Vec<u8>]) -> Vec<String> {
    let live = hooks.iter().filter(|path| !path.ends_with(b".sample"));
    let mut found: Vec<String> = live
        .map(|path| format!("hook {}", text_name(path)))
        .collect();
    for name in ["config", "config.worktree"] {
        if let Ok(config) = disk::read_bounded(&git_dir.join(name), 16 << 20) {
            found.extend(
                executable_settings(&config)
                    .into_iter()
                    .map(|setting| format!("setting {setting}")),
            );
        }
    }
    found
}
