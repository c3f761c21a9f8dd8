//! `git vault key import`: keys from a kit, a key file or an escrow, stored only after they have opened the vault.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use zeroize::Zeroizing;

use crate::host::disk;
use crate::host::escrow::{self, EscrowError};
use crate::host::keys::{self, Stored};
use crate::model::ids::KeyId;
use crate::model::kit;
use crate::model::log_entry::escrow_key;
use crate::model::refusal::{Changed, Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::signed::SigningKey;
use crate::ops::key::unusable_copy;
use crate::ops::locate::Workplace;
use crate::vault::layout::Layout;

/// Largest copy of keys read.
const LIMIT_BYTES: u64 = 1 << 16;

/// What was imported.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ImportReport {
    /// The vault that the keys open.
    pub vault: PathBuf,
    /// The keys, each with its file and whether that was there already.
    pub keys: Vec<(KeyId, PathBuf, Stored)>,
    /// How many log entries they proved.
    pub log_entries: u64,
}

/// Imports the keys of a kit or of a key file.
///
/// # Errors
/// When it cannot be read, or its keys do not open the vault; nothing is stored then.
pub fn import_file(workplace: &Workplace, file: &Path) -> Result<ImportReport> {
    let bytes = disk::read_bounded(file, LIMIT_BYTES)
        .map_err(|error| error.refuse(RefusalCode::KeyCopyUnusable))?;
    let bytes = Zeroizing::new(bytes);
    let read = match keys::parse(&bytes) {
        Some(key) => vec![key],
        None => {
            let text = std::str::from_utf8(&bytes)
                .map_err(|_not_text| unusable_copy("it is neither a kit nor a key file"))?;
            kit::read(text).map_err(|error| {
                unusable_copy(format!("'{}' cannot be used", file.display()))
                    .because(error.to_string())
            })?
        }
    };
    import(workplace, read)
}

/// Imports the keys that were wrapped with a passphrase and lie in the vault.
///
/// # Errors
/// When there is none, the passphrase opens none, or the keys do not open the vault; nothing is stored then.
pub fn import_escrow(workplace: &Workplace, passphrase: &[u8]) -> Result<ImportReport> {
    let layout = Layout::new(&workplace.vault_root()?);
    let names = disk::list(&layout.escrow_directory())
        .map_err(|error| error.refuse(RefusalCode::KeyCopyUnusable))?;
    let mut opened: Vec<SigningKey> = Vec::new();
    let mut failures = Vec::new();
    for name in names {
        let is_escrow = name.to_str().is_some_and(|name| escrow_key(name).is_some());
        if !is_escrow {
            continue;
        }
        let path = layout.escrow_directory().join(name);
        match open_escrow(&path, passphrase) {
            Ok(key) if opened.iter().any(|known| known.id() == key.id()) => {}
            Ok(key) => opened.push(key),
            Err(fact) => failures.push(fact),
        }
    }
    if opened.is_empty() {
        let refusal = unusable_copy("no wrapped key could be opened");
        let refusal = failures.into_iter().fold(refusal, Refusal::because);
        return Err(refusal.because(format!(
            "looked in '{}'",
            layout.escrow_directory().display()
        )));
    }
    import(workplace, opened)
}

fn open_escrow(path: &Path, passphrase: &[u8]) -> std::result::Result<SigningKey, String> {
    let shown = path.display();
    let bytes =
        disk::read_bounded(path, LIMIT_BYTES).map_err(|error: disk::Error| error.to_string())?;
    escrow::open(&bytes, passphrase).map_err(|error: EscrowError| format!("'{shown}': {error}"))
}

fn import(workplace: &Workplace, read: Vec<SigningKey>) -> Result<ImportReport> {
    let brought: Vec<Arc<SigningKey>> = read.into_iter().map(Arc::new).collect();
    let vault = workplace.existing_vault_with(&brought)?;
    let stranger = brought
        .iter()
        .find(|key| vault.log.keyring.named(key.id()).is_none());
    if let Some(stranger) = stranger {
        return Err(
            unusable_copy(format!("key {} is not a key of the vault", stranger.id()))
                .because(format!("it is a key of vault {}", stranger.vault()))
                .because(format!(
                    "'{}' is vault {}",
                    vault.layout.root().display(),
                    vault.binding.vault
                )),
        );
    }
    let mut stored: Vec<(KeyId, PathBuf, Stored)> = Vec::new();
    for key in &brought {
        let (file, outcome) = keys::store(&workplace.homes.keys, key, workplace.now)
            .map_err(|refusal| say_what_is_stored(refusal, &stored))?;
        stored.push((key.id(), file, outcome));
    }
    Ok(ImportReport {
        vault: vault.layout.root().to_owned(),
        keys: stored,
        log_entries: vault.log.head,
    })
}

fn say_what_is_stored(refusal: Refusal, stored: &[(KeyId, PathBuf, Stored)]) -> Refusal {
    let new = stored
        .iter()
        .filter(|(_, _, outcome)| *outcome == Stored::Now);
    let count = new.count();
    if count == 0 || refusal.changed != Changed::Nothing {
        return refusal;
    }
    refusal.having_changed(format!("keys that were stored before: {count}"))
}
