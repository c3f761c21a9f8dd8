//! `git vault snapshot`: captures the workspace, proves what was stored, and seals it.

use std::path::PathBuf;

use crate::host::git::repository::Repository;
use crate::host::metadata::look_at;
use crate::host::random::random_bytes;
use crate::model::event::Monitor;
use crate::model::ids::SnapshotId;
use crate::model::manifest::Manifest;
use crate::model::refusal::{Changed, Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::assemble::{Finished, Proven, Task, assemble};
use crate::ops::contents::Clock;
use crate::ops::locate::{Workplace, no_vault_yet, of_another};
use crate::ops::patterns::Patterns;
use crate::vault::cache::ScanCache;
use crate::vault::health;
use crate::vault::inspect::Vault;
use crate::vault::known_vault;
use crate::vault::registry;
use crate::vault::repositories;
use crate::vault::snapshot_index;
use crate::vault::staging::Staging;

/// What the trigger of a snapshot is called that a person asked for.
pub const MANUAL: &str = "manual";

/// What a snapshot is asked for.
#[derive(Debug, Clone, Default)]
pub struct SnapshotRequest {
    /// Said by the user.
    pub message: String,
    /// Given by the user.
    pub labels: Vec<String>,
    /// What made it happen.
    pub trigger: String,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SnapshotReport {
    /// Whether a snapshot was made, or one of this very state was there.
    pub outcome: Outcome,
    /// The snapshot's manifest.
    pub manifest: Manifest,
    /// Its running number.
    pub number: u64,
    /// The vault.
    pub vault: PathBuf,
    /// The key file, when vault and key were made just now.
    pub new_key: Option<PathBuf>,
    /// Where the repository was before, when it has moved.
    pub moved_from: Option<String>,
    /// Things that a person should look at.
    pub warnings: Vec<String>,
    /// Incomplete material in the vault.
    pub incomplete: Vec<PathBuf>,
}

/// Whether a snapshot was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// Made, read back, durable, signed.
    Sealed,
    /// The newest snapshot holds exactly this state.
    Unchanged,
}

/// A vault ready for a snapshot.
struct Ready {
    vault: Vault,
    new_key: Option<PathBuf>,
    moved_from: Option<String>,
}

/// Makes a snapshot of the workspace.
///
/// # Errors
/// When there is any doubt that it would be complete.
pub fn snapshot(
    workplace: &Workplace,
    request: &SnapshotRequest,
    clock: Clock<'_>,
    monitor: &dyn Monitor,
) -> Result<SnapshotReport> {
    let repository = workplace.repository()?;
    // A slip in a pattern is found before anything is made or copied.
    Patterns::new("vault.include", &repository.settings.include)?;
    Patterns::new("vault.exclude", &repository.settings.exclude)?;
    let is_automatic = request.trigger != MANUAL;
    // Before anything is made where a disk is missing.
    if is_automatic
        && workplace.vault.is_none()
        && !workplace.home_of(&repository).is_dir()
        && repositories::is_noted(&workplace.homes.state, &repository)
    {
        return Err(vault_is_away(&repository));
    }
    let _lock = registry::lock(
        &workplace.home_of(&repository),
        &workplace.homes,
        &repository,
    )?;
    let mut ready = open_or_create(workplace, &repository, is_automatic)?;
    registry::check_outside(&repository, &[(ready.vault.layout.root(), "the vault")])?;
    let _vault_lock = registry::lock_vault(&ready.vault.layout)
        .map_err(|refusal| say_what_is_made(refusal, &ready))?;
    look_again(workplace, &mut ready)?;
    let id = random_bytes().map(SnapshotId::from_random);
    let id =
        id.ok_or_else(|| Refusal::new(RefusalCode::Internal, "the system gives no random bytes"))?;
    let staging = Staging::new(&ready.vault.layout, id);
    let task = Task {
        repository: &repository,
        lookup: &workplace.lookup,
        vault: &ready.vault,
        staging: &staging,
        request,
        clock,
        monitor,
    };
    let finished = assemble(&task, workplace.now)
        .map_err(|refusal| say_what_is_made(say_what_is_left(refusal, &staging), &ready))
        .map_err(|refusal| note_health(workplace, &ready.vault, &staging, refusal))?;
    match finished {
        Finished::Unchanged(trusted, cache) => {
            staging.discard()?;
            if staging.is_made() {
                // It passed the probe. A note that stays makes the next failure look older than it is, no more.
                drop(health::forget(
                    &workplace.homes.state,
                    ready.vault.binding.vault,
                ));
            }
            // Only caches: when they cannot be written, the next scan takes longer.
            drop(cache.map(|cache| cache.save(&ready.vault)));
            drop(known_vault::remember(&ready.vault, workplace.now));
            let number = trusted.logged().number;
            let warnings = remember(workplace, &repository).into_iter().collect();
            let manifest = trusted.manifest().clone();
            Ok(ready.report(Outcome::Unchanged, manifest, number, warnings))
        }
        Finished::Verified(proven) => {
            let Proven {
                verified,
                manifest,
                cache,
                root_commits,
            } = *proven;
            let sealed = verified.seal(&mut ready.vault, &manifest);
            let sealed = sealed
                .map_err(|refusal| say_what_is_left(refusal, &staging))
                .map_err(|refusal| note_health(workplace, &ready.vault, &staging, refusal))?;
            let mut warnings = sealed.warnings;
            let state = &workplace.homes.state;
            let forgotten = health::forget(state, ready.vault.binding.vault);
            warnings.extend(forgotten.err().map(|error| error.to_string()));
            warnings.extend(after_seal(
                workplace,
                &repository,
                &mut ready.vault,
                cache,
                &manifest,
                root_commits,
            ));
            warnings.extend(remember(workplace, &repository));
            Ok(ready.report(Outcome::Sealed, manifest, sealed.logged.number, warnings))
        }
    }
}

/// Notes where the vault of the repository is, for those who ask for all repositories.
fn remember(workplace: &Workplace, repository: &Repository) -> Option<String> {
    let home = workplace.home_of(repository);
    let noted = repositories::note(&workplace.homes.state, repository, &home);
    noted.err().map(|error| error.to_string())
}

impl Ready {
    fn report(
        self,
        outcome: Outcome,
        manifest: Manifest,
        number: u64,
        warnings: Vec<String>,
    ) -> SnapshotReport {
        SnapshotReport {
            outcome,
            manifest,
            number,
            vault: self.vault.layout.root().to_owned(),
            new_key: self.new_key,
            moved_from: self.moved_from,
            warnings,
            incomplete: self.vault.leftovers.incomplete,
        }
    }
}

/// What is done after the seal: none of it can take the snapshot back.
fn after_seal(
    workplace: &Workplace,
    repository: &Repository,
    vault: &mut Vault,
    mut cache: ScanCache,
    manifest: &Manifest,
    root_commits: Vec<String>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    let knows_roots = vault
        .log
        .attachment
        .as_ref()
        .is_some_and(|attachment| !attachment.root_commits.is_empty());
    if !knows_roots && !root_commits.is_empty() {
        let attached = registry::attach(vault, &repository.git_dir, root_commits, workplace.now);
        warnings.extend(attached.err().map(|refusal| refusal.to_string()));
        let state = &vault.homes.state;
        let remembered = crate::vault::last_seen::remember(state, vault.binding.vault, &vault.log);
        warnings.extend(remembered.err().map(|error| error.to_string()));
    }
    for pack in &manifest.packs {
        let path = vault.layout.pack(&pack.name);
        if let (Ok(pack_look), Ok(index_look)) =
            (look_at(&path), look_at(&path.with_extension("idx")))
        {
            let looks = [pack_look, index_look];
            cache.sound.insert(pack.name.clone(), looks);
        }
    }
    warnings.extend(cache.save(vault).err().map(|error| error.to_string()));
    let remembered = known_vault::remember(vault, workplace.now);
    warnings.extend(remembered.err().map(|error| error.to_string()));
    let indexed = snapshot_index::add_newest(vault);
    warnings.extend(indexed.err().map(|refusal| index_warning(&refusal)));
    warnings
}

/// The snapshot stands without the index; what to do about it is said all the same.
fn index_warning(refusal: &Refusal) -> String {
    let steps = refusal
        .next
        .iter()
        .map(|step| format!("; {}", step.command));
    format!("{refusal}{}", steps.collect::<String>())
}

/// Remembers that the vault was not healthy, or, when the probe was passed and something else went wrong, that it was.
fn note_health(
    workplace: &Workplace,
    vault: &Vault,
    staging: &Staging,
    refusal: Refusal,
) -> Refusal {
    let (state, id) = (&workplace.homes.state, vault.binding.vault);
    let refusal = health::note(state, id, refusal, workplace.now);
    if staging.is_made() && !health::is_about_health(refusal.code) {
        // Only a note: one that stays makes the next failure look older than it is.
        drop(health::forget(state, id));
    }
    refusal
}

fn vault_is_away(repository: &Repository) -> Refusal {
    no_vault_yet(repository)
        .because("snapshots of it were made before, so its vault must be somewhere: on a disk that is not there, or in another vault home")
        .keeping("no second vault was begun")
        .next("git vault snapshot", "begins a new one, if that is meant")
}

/// The vault of a repository; a new one where there is none, unless a trigger asks and there was one.
fn open_or_create(
    workplace: &Workplace,
    repository: &Repository,
    is_automatic: bool,
) -> Result<Ready> {
    let home = workplace.home_of(repository);
    let refuse_home = |error: crate::host::disk::Error| error.refuse_vault_write();
    match workplace.find_known_vault(repository)? {
        Some(mut found) => {
            let root = found.vault.layout.root().to_owned();
            if let Some(error) = &found.vault.unconfirmed {
                return Err(error
                    .refuse_vault_write()
                    .because("what an interrupted run has sealed may not survive a power cut")
                    .keeping("nothing was touched")
                    .next("git vault snapshot", "tries again"));
            }
            if found.vault.format != repository.format {
                return Err(
                    of_another(&found.vault, repository).because("the object formats differ")
                );
            }
            if found.moved_from.is_some() {
                let roots = found
                    .vault
                    .log
                    .attachment
                    .as_ref()
                    .map(|attachment| attachment.root_commits.clone());
                registry::attach(
                    &mut found.vault,
                    &repository.git_dir,
                    roots.unwrap_or_default(),
                    workplace.now,
                )
                .map_err(|refusal| {
                    let id = found.vault.binding.vault;
                    health::note(&workplace.homes.state, id, refusal, workplace.now)
                })?;
            }
            if registry::registered(&home, &repository.git_dir).as_ref() != Some(&root) {
                registry::register(&home, &repository.git_dir, &root).map_err(refuse_home)?;
            }
            Ok(Ready {
                vault: found.vault,
                new_key: None,
                moved_from: found.moved_from,
            })
        }
        None if is_automatic && repositories::is_noted(&workplace.homes.state, repository) => {
            Err(vault_is_away(repository))
        }
        None => {
            let root = registry::new_vault_root(&home, repository);
            let homes = &workplace.homes;
            let created = registry::create(&root, repository, homes, None, workplace.now)?;
            registry::register(&home, &repository.git_dir, &root).map_err(refuse_home)?;
            Ok(Ready {
                vault: created.vault,
                new_key: Some(created.key_file),
                moved_from: None,
            })
        }
    }
}

/// What was read before the lock was given may be gone: packs may have been replaced, and snapshots dropped.
fn look_again(workplace: &Workplace, ready: &mut Ready) -> Result<()> {
    let next = ready.vault.layout.log_entry(ready.vault.log.head + 1);
    if next.symlink_metadata().is_err() {
        return Ok(());
    }
    let root = ready.vault.layout.root().to_owned();
    ready.vault = Vault::open_known(&root, &workplace.homes)?;
    Ok(())
}

/// A refusal of the very first snapshot must not hide that vault and key were made.
fn say_what_is_made(refusal: Refusal, ready: &Ready) -> Refusal {
    match &ready.new_key {
        Some(key) if refusal.changed == Changed::Nothing => {
            let vault = ready.vault.layout.root().display();
            refusal.having_changed(format!(
                "a vault was made at '{vault}', and its key, so far the only copy, at '{}'; no snapshot was made",
                key.display()
            ))
        }
        _ => refusal,
    }
}

fn say_what_is_left(refusal: Refusal, staging: &Staging) -> Refusal {
    if !staging.is_made() || refusal.changed != Changed::Nothing {
        return refusal;
    }
    // A source that moves, or holds what cannot be read or captured, leaves no evidence in its copy, only a full disk in the end.
    let proves_nothing = [
        RefusalCode::SourceChanging,
        RefusalCode::SourceNotSupported,
        RefusalCode::SourceUnreadable,
    ]
    .contains(&refusal.code);
    if proves_nothing && staging.discard().is_ok() {
        return refusal;
    }
    let left = staging.left_at();
    refusal
        .having_changed(format!(
            "no snapshot was made; what had been written stays in '{}'",
            left.display()
        ))
        .keeping("the source repository and all earlier snapshots are untouched")
}
