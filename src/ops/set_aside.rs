//! `git vault set-aside`: moves what interrupted snapshots left behind out of the way, byte for byte, and says so in the log.
//!
//! The manifest in a leftover's directory explains its packs, so they move first and the directory last: at every moment in
//! between, the vault opens, and the next run goes on where this one stopped.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::host::disk;
use crate::host::random::random_bytes;
use crate::model::ids::SnapshotId;
use crate::model::log_entry::{LogEvent, SetAside, set_aside_name};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::locate::{Workplace, no_vault_yet};
use crate::vault::inspect::Vault;
use crate::vault::last_seen;
use crate::vault::layout::INCOMPLETE_PREFIX;
use crate::vault::registry;
use crate::vault::skeleton::explained_packs;

/// One leftover that was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MovedLeftover {
    /// The name it had in `snapshots/`.
    pub name: String,
    /// Where it is now.
    pub directory: PathBuf,
    /// Files moved, those of its packs included.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
    /// The log entry that says so.
    pub entry: u64,
}

/// What was moved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetAsideReport {
    /// The vault.
    pub vault: PathBuf,
    /// What was moved, in this order.
    pub moved: Vec<MovedLeftover>,
    /// Leftovers that are still where they were.
    pub left: Vec<PathBuf>,
    /// What could not be noted outside the vault.
    pub warnings: Vec<String>,
}

/// Moves the leftovers of these names, or all, while no snapshot of this repository is on its way.
///
/// # Errors
/// When a name is not one of a leftover, or something cannot be moved; what was moved by then is whole in its new place.
pub fn set_aside(workplace: &Workplace, names: &[String]) -> Result<SetAsideReport> {
    let repository = workplace.repository()?;
    let home = workplace.home_of(&repository);
    let _lock = registry::lock(&home, &workplace.homes, &repository)?;
    let found = workplace.find_vault(&repository)?;
    let found = found.ok_or_else(|| no_vault_yet(&repository))?.vault;
    let _vault_lock = registry::lock_vault(&found.layout)?;
    // Looked at again: what was unsealed may have been sealed before the lock was given.
    let mut vault = Vault::open(found.layout.root(), &workplace.homes)?;
    let chosen = choose(&vault, names)?;
    let mut job = Job {
        begun: begun(&vault)?,
        remaining: vault.leftovers.incomplete.clone(),
        moved: Vec::new(),
        vault: &mut vault,
        workplace,
    };
    job.complete_begun()
        .and_then(|()| {
            chosen
                .iter()
                .try_for_each(|leftover| job.set_aside(leftover))
        })
        .map_err(|refusal| say_what_is_moved(refusal, &job.moved))?;
    let Job {
        moved, remaining, ..
    } = job;
    // Noted also when nothing was moved: an earlier run may have been stopped before it could.
    let remembered = last_seen::remember(&vault.homes.state, vault.binding.vault, &vault.log);
    Ok(SetAsideReport {
        vault: vault.layout.root().to_owned(),
        moved,
        left: remaining,
        warnings: remembered
            .err()
            .map(|error| error.to_string())
            .into_iter()
            .collect(),
    })
}

fn say_what_is_moved(refusal: Refusal, moved: &[MovedLeftover]) -> Refusal {
    let count = moved.len();
    refusal
        .having_changed(format!(
            "{count} whole leftovers were moved; of one more, some files may be in its new place in 'incidents' already"
        ))
        .keeping("no byte is lost: the sealed snapshots are untouched, and the next run goes on from here")
        .next("git vault set-aside", "goes on")
}

fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or_default()
        .to_string_lossy()
        .into_owned()
}

/// The leftovers that these names name: a directory's name, or the beginning of its id.
fn choose(vault: &Vault, names: &[String]) -> Result<Vec<PathBuf>> {
    let all = &vault.leftovers.incomplete;
    if names.is_empty() {
        return Ok(all.clone());
    }
    let mut chosen: Vec<PathBuf> = Vec::new();
    for name in names {
        let id = name.strip_prefix(INCOMPLETE_PREFIX).unwrap_or(name);
        let is_meant = |path: &&PathBuf| {
            let found = file_name(path);
            let found_id = found.strip_prefix(INCOMPLETE_PREFIX).unwrap_or(&found);
            found == *name || SnapshotId::is_prefix(id) && id == name && found_id.starts_with(id)
        };
        let found: Vec<&PathBuf> = all.iter().filter(is_meant).collect();
        let [one] = found.as_slice() else {
            let fact = match found.len() {
                0 => "no unsealed directory has that name; sealed snapshots are never moved"
                    .to_owned(),
                several => format!("it is the beginning of {several} of them"),
            };
            return Err(Refusal::new(
                RefusalCode::SnapshotNotFound,
                format!("'{name}' does not name one leftover"),
            )
            .because(fact)
            .keeping("nothing was touched")
            .next("git vault list", "shows snapshots and leftovers"));
        };
        if !chosen.contains(one) {
            chosen.push((*one).clone());
        }
    }
    Ok(chosen)
}

/// A directory of remains that the log does not name yet: an earlier run was stopped.
struct Begun {
    directory: String,
    /// The leftover's directory, if it was moved: then all of its packs were moved before.
    leftover: Option<String>,
    /// What is in it.
    files: BTreeSet<String>,
}

fn begun(vault: &Vault) -> Result<Vec<Begun>> {
    let layout = &vault.layout;
    let is_logged = |name: &String| {
        let mut logged = vault.log.set_aside.iter();
        logged.any(|one| one.record.directory == *name)
    };
    let names = disk::list(&layout.incidents()).map_err(|error| error.refuse_vault_read())?;
    let names = names.into_iter().filter_map(|name| name.into_string().ok());
    let unlogged = names.filter(|name| !is_logged(name));
    unlogged
        .map(|directory| {
            let path = layout.set_aside(&directory);
            let held = disk::list(&path).map_err(|error| error.refuse_vault_read())?;
            let held: BTreeSet<String> = held
                .iter()
                .map(|name| name.to_string_lossy().into_owned())
                .collect();
            let is_leftover = |name: &&String| {
                let id = name.strip_prefix(INCOMPLETE_PREFIX).unwrap_or(name);
                id.parse::<SnapshotId>().is_ok() && path.join(name).is_dir()
            };
            Ok(Begun {
                leftover: held.iter().find(is_leftover).cloned(),
                files: held,
                directory,
            })
        })
        .collect()
}

/// The name of the pack that a file belongs to.
fn stem(name: &str) -> Option<&str> {
    name.split_once('.').map(|(stem, _ending)| stem)
}

struct Job<'a> {
    vault: &'a mut Vault,
    workplace: &'a Workplace,
    begun: Vec<Begun>,
    remaining: Vec<PathBuf>,
    moved: Vec<MovedLeftover>,
}

impl Job<'_> {
    /// Logs what earlier runs had moved whole.
    fn complete_begun(&mut self) -> Result<()> {
        let (whole, partial) = std::mem::take(&mut self.begun)
            .into_iter()
            .partition(|begun: &Begun| begun.leftover.is_some());
        self.begun = partial;
        for begun in whole {
            let Begun {
                directory,
                leftover: Some(name),
                ..
            } = begun
            else {
                continue;
            };
            self.record(&directory, name)?;
        }
        Ok(())
    }

    fn set_aside(&mut self, leftover: &Path) -> Result<()> {
        let files = self.own_files(leftover)?;
        let directory = self.destination(leftover, &files)?;
        let target = self.vault.layout.set_aside(&directory);
        let name = file_name(leftover);
        self.move_files(&files, &target)
            .and_then(|()| disk::rename_new(leftover, &target.join(&name)))
            .map_err(|error| error.refuse_vault_write())?;
        self.remaining.retain(|path| path != leftover);
        self.record(&directory, name)
    }

    fn explained(&self, leftover: &Path) -> BTreeSet<String> {
        explained_packs(leftover, self.vault.binding, &self.vault.log.keyring)
            .into_iter()
            .collect()
    }

    /// The files of packs that this leftover explains, and nothing else does: neither the log nor another leftover that
    /// stays. The index comes first: git sees a pack whole or not at all.
    fn own_files(&self, leftover: &Path) -> Result<Vec<String>> {
        let others = self.remaining.iter().filter(|path| *path != leftover);
        let others: BTreeSet<String> = others.flat_map(|path| self.explained(path)).collect();
        let mut own = self.explained(leftover);
        own.retain(|pack| self.vault.log.inventory.get(pack).is_none() && !others.contains(pack));
        let names = disk::list(&self.vault.layout.packs());
        let names = names.map_err(|error| error.refuse_vault_read())?;
        let names = names.into_iter().filter_map(|name| name.into_string().ok());
        let mut files: Vec<String> = names
            .filter(|name| stem(name).is_some_and(|stem| own.contains(stem)))
            .collect();
        files.sort_by_key(|name| {
            Path::new(name)
                .extension()
                .is_none_or(|ending| ending != "idx")
        });
        Ok(files)
    }

    /// The directory in which an earlier run began to put this very leftover, or an empty one it made, or a new one.
    fn destination(&mut self, leftover: &Path, files: &[String]) -> Result<String> {
        let explained = self.explained(leftover);
        let fits = |begun: &Begun| {
            let is_explained =
                |name: &String| stem(name).is_some_and(|stem| explained.contains(stem));
            begun.files.iter().all(is_explained)
                && !files.iter().any(|name| begun.files.contains(name))
        };
        let place = self
            .begun
            .iter()
            .position(|begun| fits(begun) && !begun.files.is_empty())
            .or_else(|| self.begun.iter().position(fits));
        if let Some(place) = place {
            return Ok(self.begun.swap_remove(place).directory);
        }
        let random = random_bytes().ok_or_else(|| {
            Refusal::new(RefusalCode::Internal, "the system gives no random bytes")
        })?;
        let layout = &self.vault.layout;
        let name = set_aside_name(random);
        disk::create_directory(&layout.set_aside(&name))
            .and_then(|()| disk::sync_directory(&layout.incidents()))
            .map_err(|error| error.refuse_vault_write())?;
        Ok(name)
    }

    fn move_files(&self, files: &[String], target: &Path) -> disk::Result<()> {
        if files.is_empty() {
            return Ok(());
        }
        let directory = self.vault.layout.packs();
        for name in files {
            disk::rename_new(&directory.join(name), &target.join(name))?;
        }
        // What explains the packs must not move, in a power cut, before they do.
        disk::sync_directory(target)?;
        disk::sync_directory(&directory)
    }

    /// Makes the moves durable, then says in the log what happened.
    fn record(&mut self, directory: &str, name: String) -> Result<()> {
        let layout = &self.vault.layout;
        let target = layout.set_aside(directory);
        for path in [
            &target,
            &layout.incidents(),
            &layout.packs(),
            &layout.snapshots(),
        ] {
            disk::sync_directory(path).map_err(|error| error.refuse_vault_write())?;
        }
        let (files, bytes) = count(&target).map_err(|error| error.refuse_vault_read())?;
        let record = SetAside {
            directory: directory.to_owned(),
            name: name.clone(),
            files,
            bytes,
        };
        let event = LogEvent::SetAside(record);
        let entry = self.vault.append(&event, self.workplace.now)?;
        self.moved.push(MovedLeftover {
            name,
            directory: target,
            files,
            bytes,
            entry,
        });
        Ok(())
    }
}

/// How many files are below a directory, and how many bytes they have.
fn count(directory: &Path) -> disk::Result<(u64, u64)> {
    use crate::host::metadata::{Kind, look_at};
    let (mut files, mut bytes) = (0, 0);
    let mut places = vec![directory.to_owned()];
    while let Some(place) = places.pop() {
        for name in disk::list(&place)? {
            let path = place.join(name);
            let found = look_at(&path)?;
            match found.kind() {
                Kind::Directory => places.push(path),
                Kind::File => {
                    files += 1;
                    bytes += found.bytes;
                }
                Kind::Link | Kind::Special(_) => files += 1,
            }
        }
    }
    Ok((files, bytes))
}
