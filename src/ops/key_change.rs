//! `git vault key rotate|compromise|escrow`: another key takes over, a key is not believed any more, keys are wrapped.

use std::path::{Path, PathBuf};

use crate::host::disk;
use crate::host::escrow;
use crate::host::keys;
use crate::host::random::random_bytes;
use crate::model::ids::{Digest, KeyId};
use crate::model::kit::MOST_KEYS;
use crate::model::log_entry::{Compromise, CopyForm, CopyRecord, LogEvent, Rotation, escrow_name};
use crate::model::refusal::{Changed, Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::key::{ConfirmReport, remember, unusable_copy};
use crate::ops::locate::Workplace;
use crate::vault::inspect::Vault;

/// What a rotation made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RotateReport {
    /// The vault.
    pub vault: PathBuf,
    /// The key that signed until now.
    pub old: KeyId,
    /// The key that signs from now on.
    pub new: KeyId,
    /// Its file: so far the only copy.
    pub file: PathBuf,
    /// The log entry that says so.
    pub recorded_as: u64,
}

/// Makes a new key and lets it sign from now on. The new key's file is durable before the log names it, so that there is a
/// working key whenever this is interrupted.
///
/// # Errors
/// When the vault cannot be opened, has had as many keys as a kit can hold, or key or log cannot be written.
pub fn rotate(workplace: &Workplace) -> Result<RotateReport> {
    let mut vault = workplace.existing_vault()?;
    workplace.check_in_use(&vault)?;
    let old = vault.key().id();
    if vault.log.keyring.reigns().count() >= MOST_KEYS {
        return Err(differs(format!(
            "the vault has had {MOST_KEYS} keys, as many as a kit can hold"
        ))
        .because("of one more, no kit could be made")
        .next(
            "git vault init --new",
            "goes on in a vault with a key of its own",
        ));
    }
    let (new, file) = keys::create(&workplace.homes.keys, vault.binding.vault, workplace.now)?;
    let unused = |refusal: Refusal| {
        if refusal.changed != Changed::Nothing {
            // The entry may be there, and with it the need for the new key.
            return refusal.because(format!(
                "if that entry is there, the key in '{}' signs next: keep it",
                file.display()
            ));
        }
        refusal.having_changed(format!(
            "a new key was made at '{}', and is not in use; key {old} goes on signing",
            file.display()
        ))
    };
    let number = vault.log.head + 1;
    let previous = vault.log.head_blake3.unwrap_or(Digest::from_bytes([0; 32]));
    let countersignature = new
        .countersign(vault.binding, number, previous, old)
        .ok_or_else(|| {
            unused(Refusal::new(
                RefusalCode::Internal,
                "the new key cannot sign",
            ))
        })?;
    let rotation = Rotation {
        key: new.id(),
        countersignature,
    };
    let recorded_as = vault
        .append(&LogEvent::Rotate(rotation), workplace.now)
        .map_err(unused)?;
    remember(&vault)?;
    Ok(RotateReport {
        vault: vault.layout.root().to_owned(),
        old,
        new: vault.key().id(),
        file,
        recorded_as,
    })
}

/// What is not believed any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CompromiseReport {
    /// The vault.
    pub vault: PathBuf,
    /// The key.
    pub key: KeyId,
    /// The newest entry of that key that is still accepted.
    pub since: u64,
    /// How many snapshots are not accepted any more, in all.
    pub doubtful: u64,
    /// How many are.
    pub accepted: u64,
    /// The log entry that says so.
    pub recorded_as: u64,
}

/// States that somebody else may have had a key: what it signed after entry `since` is not accepted any more.
///
/// # Errors
/// When no retired key has that name, or `since` is no entry of the log.
pub fn compromise(workplace: &Workplace, name: &str, since: u64) -> Result<CompromiseReport> {
    let mut vault = workplace.existing_vault()?;
    workplace.check_in_use(&vault)?;
    let key = named(&vault, name)?;
    if since > vault.log.head {
        return Err(differs(format!("the log has no entry {since}"))
            .because(format!("the newest one is {}", vault.log.head)));
    }
    if key == vault.key().id() {
        return Err(differs(format!("key {key} is the one that signs"))
            .because("what it signs next could not be told from what somebody else signs")
            .next("git vault key rotate", "lets a new key sign first"));
    }
    let statement = Compromise { key, since };
    let recorded_as = vault.append(&LogEvent::Compromise(statement), workplace.now)?;
    remember(&vault)?;
    let accepted = vault.log.accepted().count() as u64;
    Ok(CompromiseReport {
        vault: vault.layout.root().to_owned(),
        key,
        since,
        doubtful: vault.log.snapshots.len() as u64 - accepted,
        accepted,
        recorded_as,
    })
}

fn differs(what: String) -> Refusal {
    Refusal::new(RefusalCode::StatementDiffers, what).keeping("keys and vault are untouched")
}

/// The key of the vault whose id begins with `name`.
fn named(vault: &Vault, name: &str) -> Result<KeyId> {
    let ids = vault.log.keyring.ids();
    let found: Vec<KeyId> = ids
        .filter(|id| !name.is_empty() && id.to_string().starts_with(name))
        .collect();
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(differs(format!("the vault has no key '{name}'"))
            .next("git vault key status", "shows the keys")),
        _ => Err(
            differs(format!("'{name}' is the beginning of several keys"))
                .next("git vault key status", "shows the keys"),
        ),
    }
}

/// Wraps every key with a passphrase and puts it into the vault. Each is opened again before the log names it.
///
/// # Errors
/// When the passphrase is empty, or something cannot be written or opened again.
pub fn wrap(workplace: &Workplace, passphrase: &[u8]) -> Result<ConfirmReport> {
    if passphrase.is_empty() {
        return Err(unusable_copy("an empty passphrase protects nothing"));
    }
    let mut vault = workplace.existing_vault()?;
    workplace.check_in_use(&vault)?;
    let directory = vault.layout.escrow_directory();
    let mut report = ConfirmReport {
        vault: vault.layout.root().to_owned(),
        form: CopyForm::Escrow,
        keys: Vec::new(),
        files: Vec::new(),
    };
    let keys: Vec<KeyId> = vault.log.keyring.ids().collect();
    for key in keys {
        let wrapped = wrap_one(workplace, &vault, key, passphrase).and_then(|(path, copy)| {
            disk::sync_directory(&directory).map_err(|error| error.refuse_vault_write())?;
            vault.append(&LogEvent::Copy(copy), workplace.now)?;
            Ok(path)
        });
        let path = wrapped
            .map_err(|refusal| say_what_is_wrapped(refusal, report.keys.len(), &directory))?;
        report.keys.push(key);
        report.files.push(path);
    }
    remember(&vault)?;
    Ok(report)
}

fn say_what_is_wrapped(refusal: Refusal, count: usize, directory: &Path) -> Refusal {
    if refusal.changed != Changed::Nothing {
        return refusal;
    }
    refusal
        .having_changed(format!(
            "keys wrapped and named by the log: {count}; of one more, a file may be in '{}'",
            directory.display()
        ))
        .keeping("keys and snapshots are untouched")
}

fn wrap_one(
    workplace: &Workplace,
    vault: &Vault,
    key: KeyId,
    passphrase: &[u8],
) -> Result<(PathBuf, CopyRecord)> {
    let internal = |reason: &str| {
        Refusal::new(RefusalCode::Internal, "a key cannot be wrapped").because(reason.to_owned())
    };
    let secret = vault
        .log
        .keyring
        .named(key)
        .ok_or_else(|| internal("it is not in the keyring"))?;
    let bytes = escrow::wrap(secret, passphrase, workplace.now)?;
    let random = random_bytes().ok_or_else(|| internal("the system gives no random bytes"))?;
    let file = escrow_name(key, random);
    let path = vault.layout.escrow(&file);
    disk::write_new(&path, &bytes).map_err(|error| error.refuse_vault_write())?;
    if !opens_again(&path, passphrase, key) {
        return Err(Refusal::new(
            RefusalCode::VaultProbeFailed,
            format!("'{}' does not open again", path.display()),
        ));
    }
    Ok((
        path,
        CopyRecord {
            key,
            form: CopyForm::Escrow,
            bytes: bytes.len() as u64,
            file,
        },
    ))
}

fn opens_again(path: &Path, passphrase: &[u8], key: KeyId) -> bool {
    let bytes = disk::read_bounded(path, 1 << 16).unwrap_or_default();
    escrow::open(&bytes, passphrase).is_ok_and(|opened| opened.id() == key)
}
