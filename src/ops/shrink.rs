//! What `drop`, `prune` and `optimize` share: the vault opened alone, what incidents hold, and the removal of what nobody needs.

use std::path::PathBuf;

use crate::host::disk;
use crate::host::lock::Lock;
use crate::model::ids::SnapshotId;
use crate::model::incident::FILE_NAME;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::incident::place;
use crate::ops::locate::{Workplace, no_vault_yet};
use crate::vault::gone::{self, Removed};
use crate::vault::inspect::Vault;
use crate::vault::last_seen;
use crate::vault::registry;
use crate::vault::snapshot_index;

/// Largest record of an incident read.
const LIMIT_BYTES: u64 = 4 << 20;

/// A vault that no other process of this program writes snapshots to.
pub(super) struct OwnVault {
    pub(super) vault: Vault,
    locks: [Lock; 2],
}

impl OwnVault {
    /// Opens the vault of the repository here, while no snapshot of it is on its way.
    pub(super) fn open(workplace: &Workplace) -> Result<Self> {
        let repository = workplace.repository()?;
        let home = workplace.home_of(&repository);
        let lock = registry::lock(&home, &workplace.homes, &repository)?;
        let found = workplace.find_vault(&repository)?;
        let found = found.ok_or_else(|| no_vault_yet(&repository))?.vault;
        workplace.check_in_use(&found)?;
        let root = found.layout.root().to_owned();
        let vault_lock = registry::lock_vault(&found.layout)?;
        drop(found);
        // Looked at again: it may have been written to before the lock was given.
        let vault = Vault::open(&root, &workplace.homes)?;
        check(&vault)?;
        Ok(Self {
            vault,
            locks: [lock, vault_lock],
        })
    }

    /// Opens it again after an entry was made, and removes what nobody needs any more. What goes wrong is a warning: the entry is
    /// what counts.
    pub(super) fn tidy(self, workplace: &Workplace) -> Result<(Self, Removed, Vec<String>)> {
        let Self { vault, locks } = self;
        let mut warnings = Vec::new();
        let state = &workplace.homes.state;
        let remembered = last_seen::remember(state, vault.binding.vault, &vault.log);
        warnings.extend(remembered.err().map(|error| error.to_string()));
        let root = vault.layout.root().to_owned();
        drop(vault);
        let mut vault = Vault::open(&root, &workplace.homes)?;
        let removed = match gone::remove(&mut vault) {
            Ok(removed) => removed,
            Err(error) => {
                warnings.push(format!("{error}; the next 'git vault optimize' goes on"));
                Removed {
                    bytes: 0,
                    waiting: vault.leftovers.gone.len() as u64,
                }
            }
        };
        let indexed = snapshot_index::add_newest(&mut vault);
        warnings.extend(indexed.err().map(|refusal| refusal.to_string()));
        Ok((Self { vault, locks }, removed, warnings))
    }
}

/// Nothing is given up while anything is in doubt.
fn check(vault: &Vault) -> Result<()> {
    if let Some(entry) = vault.log.first_doubtful() {
        return Err(Refusal::new(
            RefusalCode::KeyCompromised,
            "nothing is given up in a vault of which something is in doubt",
        )
        .because(format!(
            "from log entry {entry} on, snapshots may be somebody else's"
        ))
        .keeping("the vault is untouched, as evidence")
        .next(
            "git vault init --new",
            "makes a new vault for new snapshots",
        ));
    }
    let keyring = &vault.log.keyring;
    let mut dropped = vault.log.dropped.iter();
    if let Some(dropped) = dropped.find(|dropped| !keyring.accepts(dropped.entry)) {
        return Err(Refusal::new(
            RefusalCode::KeyCompromised,
            "nothing is given up in a vault of which something is in doubt",
        )
        .because(format!(
            "snapshot {} was dropped by log entry {}, which somebody else may have written",
            dropped.snapshot.record.id, dropped.entry
        ))
        .keeping("what is left of it is untouched, as evidence")
        .next(
            "git vault init --new",
            "makes a new vault for new snapshots",
        ));
    }
    match &vault.unconfirmed {
        None => Ok(()),
        Some(error) => Err(error
            .refuse_vault_write()
            .because("what the newest log entries say may not survive a power cut")
            .keeping("nothing was touched")),
    }
}

/// The texts of all incidents that were noted on this machine.
pub(super) struct Incidents {
    all: Vec<(String, String)>,
}

impl Incidents {
    /// Reads them.
    pub(super) fn read(workplace: &Workplace) -> Result<Self> {
        let place = place(workplace);
        let names = match disk::list(&place) {
            Err(error) if error.is_not_found() => Vec::new(),
            names => names.map_err(|error| unreadable(&error))?,
        };
        let mut all = Vec::new();
        for name in names {
            let path: PathBuf = place.join(&name).join(FILE_NAME);
            match disk::read_bounded(&path, LIMIT_BYTES) {
                Err(error) if error.is_nowhere() => {}
                bytes => {
                    let bytes = bytes.map_err(|error| unreadable(&error))?;
                    let text = String::from_utf8_lossy(&bytes).into_owned();
                    all.push((name.to_string_lossy().into_owned(), text));
                }
            }
        }
        Ok(Self { all })
    }

    /// The incident that names a snapshot.
    pub(super) fn naming(&self, id: &SnapshotId) -> Option<&str> {
        self.containing(id.as_str())
    }

    /// The incident whose record holds a word.
    pub(super) fn containing(&self, word: &str) -> Option<&str> {
        let found = self.all.iter().find(|(_, text)| text.contains(word));
        found.map(|(name, _)| name.as_str())
    }
}

fn unreadable(error: &disk::Error) -> Refusal {
    error
        .refuse(RefusalCode::IncidentNotFound)
        .because("what an incident names is never given up, and what it names cannot be told")
        .keeping("nothing was touched")
        .next("git vault incident list", "shows those that were noted")
}
