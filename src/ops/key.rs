//! `git vault key status|export|confirm`: the keys of a vault, the kit that holds a second copy, and the proof that it does.

use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use crate::host::disk;
use crate::host::keys;
use crate::host::random::random_bytes;
use crate::model::ids::KeyId;
use crate::model::kit::{self, KitKey, Standing};
use crate::model::log_entry::{CopyForm, CopyRecord, LogEvent};
use crate::model::refusal::{Changed, Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::signed::SigningKey;
use crate::model::timestamp::Timestamp;
use crate::ops::locate::Workplace;
use crate::vault::inspect::Vault;
use crate::vault::keyring::{KeyState, Keyring, Reign};
use crate::vault::last_seen;
use crate::vault::registry;

/// One key of a vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyLine {
    /// The key.
    pub key: KeyId,
    /// How it stands.
    pub state: KeyState,
    /// The first log entry it signed.
    pub first_entry: u64,
    /// Its file on this machine.
    pub file: PathBuf,
    /// Copies that were shown to be whole, the newest first: form and time.
    pub copies: Vec<(CopyForm, Timestamp)>,
}

/// The keys of a vault.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyStatusReport {
    /// The vault.
    pub vault: PathBuf,
    /// The keys, the first one first.
    pub keys: Vec<KeyLine>,
    /// Key files of this vault on this machine that the log does not know: a rotation was interrupted.
    pub unused: Vec<PathBuf>,
}

impl KeyStatusReport {
    /// Whether the key that signs has a second copy that was shown to be whole.
    #[must_use]
    pub fn has_second_copy(&self) -> bool {
        let is_active = |line: &&KeyLine| line.state == KeyState::Active;
        self.keys
            .iter()
            .find(is_active)
            .is_some_and(|line| !line.copies.is_empty())
    }
}

/// Tells of the keys.
///
/// # Errors
/// When the vault cannot be opened.
pub fn status(workplace: &Workplace) -> Result<KeyStatusReport> {
    Ok(status_of(&workplace.existing_vault()?))
}

/// Tells of the keys of an open vault.
#[must_use]
pub fn status_of(vault: &Vault) -> KeyStatusReport {
    let (home, id) = (&vault.homes.keys, vault.binding.vault);
    let keyring = &vault.log.keyring;
    let line = |reign: &Reign| {
        let key = reign.key.id();
        let copies = vault.log.copies_of(key);
        KeyLine {
            key,
            state: keyring.state(reign),
            first_entry: reign.first_entry,
            file: keys::path(home, id, key),
            copies: copies.map(|copy| (copy.record.form, copy.time)).collect(),
        }
    };
    let files = disk::list(&keys::directory(home, id)).unwrap_or_default();
    let is_known = |name: &std::ffi::OsString| {
        let name = name.to_str().and_then(|name| name.strip_suffix(".key"));
        let key = name.and_then(|name| name.parse().ok());
        key.is_some_and(|key| keyring.named(key).is_some())
    };
    KeyStatusReport {
        vault: vault.layout.root().to_owned(),
        keys: keyring.reigns().map(line).collect(),
        unused: files
            .into_iter()
            .filter(|name| !is_known(name))
            .map(|name| keys::directory(home, id).join(name))
            .collect(),
    }
}

/// A recovery kit that was written or is to be printed.
pub struct ExportReport {
    /// The vault.
    pub vault: PathBuf,
    /// The kit: a secret.
    pub kit: Zeroizing<String>,
    /// Where it was written, if anywhere.
    pub file: Option<PathBuf>,
}

/// Makes a recovery kit of all keys; writes it to a new file, or gives it to be printed.
///
/// # Errors
/// When the vault cannot be opened, or the file cannot be made where it is wanted.
pub fn export(workplace: &Workplace, file: Option<&Path>) -> Result<ExportReport> {
    let vault = workplace.existing_vault()?;
    let keyring = &vault.log.keyring;
    let keys: Vec<KitKey> = keyring
        .reigns()
        .map(|reign| KitKey {
            key: SigningKey::new(*reign.key.secret(), reign.key.vault()),
            standing: standing(keyring, reign),
        })
        .collect();
    let repository = vault.log.attachment.as_ref();
    let repository = repository.map_or("", |attachment| &attachment.git_dir);
    let kit = kit::write(&keys, repository, workplace.now);
    if let Some(file) = file {
        check_kit_place(workplace, &vault, file)?;
        write_kit(file, kit.as_bytes())?;
    }
    Ok(ExportReport {
        vault: vault.layout.root().to_owned(),
        kit,
        file: file.map(Path::to_owned),
    })
}

fn standing(keyring: &Keyring, reign: &Reign) -> Standing {
    match keyring.state(reign) {
        KeyState::Active => Standing::Active,
        KeyState::Retired => Standing::Retired,
        KeyState::CompromisedSince(_) => Standing::Compromised,
    }
}

/// A kit beside what it protects is lost with it, or read with it.
fn check_kit_place(workplace: &Workplace, vault: &Vault, file: &Path) -> Result<()> {
    let real = registry::real_path(file);
    let places = [
        ("the vault", vault.layout.root()),
        ("the place of the keys", &vault.homes.keys),
        ("what is remembered of vaults", &vault.homes.state),
    ];
    for (what, place) in places {
        if real.starts_with(registry::real_path(place)) {
            return Err(
                unusable_copy(format!("a kit does not belong in '{}'", place.display()))
                    .because(format!("it is {what}")),
            );
        }
    }
    if let Ok(repository) = workplace.repository() {
        registry::check_outside(&repository, &[(file, "the kit")])?;
    }
    Ok(())
}

fn write_kit(file: &Path, kit: &[u8]) -> Result<()> {
    let write = || {
        disk::write_new(file, kit)?;
        let directory = file.parent().unwrap_or(Path::new("."));
        disk::sync_directory(directory)
    };
    write().map_err(|error: disk::Error| {
        let is_ours = !error.is_already_there() && file.symlink_metadata().is_ok();
        let refusal = error
            .refuse(RefusalCode::KeyCopyUnusable)
            .keeping("keys and vault are untouched");
        if is_ours {
            refusal.having_changed(format!(
                "what was written of the kit stays in '{}': a secret, and not to be relied on",
                file.display()
            ))
        } else {
            refusal
        }
    })
}

/// A copy of keys that is no use.
pub(super) fn unusable_copy(what: impl Into<String>) -> Refusal {
    Refusal::new(RefusalCode::KeyCopyUnusable, what).keeping("keys and vault are untouched")
}

/// The first lines of a key in a kit hold ids that are no secret: typing them would prove nothing.
const OPEN_LINES: usize = 3;

/// A line of the kit that a person is asked to type.
pub struct Challenge {
    vault: Vault,
    position: usize,
    /// The key whose line is asked for.
    pub key: KeyId,
    /// The number of the line.
    pub line: usize,
}

/// Chooses a line of the key that signs.
///
/// # Errors
/// When the vault cannot be opened.
pub fn challenge(workplace: &Workplace) -> Result<Challenge> {
    let vault = workplace.existing_vault()?;
    workplace.check_in_use(&vault)?;
    let random: [u8; 1] = random_bytes().unwrap_or_default();
    let [random] = random;
    Ok(Challenge {
        position: vault.log.keyring.reigns().count(),
        key: vault.key().id(),
        line: 1 + OPEN_LINES + usize::from(random) % (kit::LINES - OPEN_LINES),
        vault,
    })
}

/// What was shown to be whole.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfirmReport {
    /// The vault.
    pub vault: PathBuf,
    /// The form of the copy.
    pub form: CopyForm,
    /// The keys of which there is a copy.
    pub keys: Vec<KeyId>,
    /// Files that were written; empty for a kit.
    pub files: Vec<PathBuf>,
}

/// Records that a kit exists, when the line that was asked for is typed as it is printed.
///
/// # Errors
/// When it is another line, or the log cannot be written.
pub fn confirm_line(
    workplace: &Workplace,
    challenge: Challenge,
    typed: &str,
) -> Result<ConfirmReport> {
    let Challenge {
        vault,
        position,
        line,
        ..
    } = challenge;
    if !kit::line_matches(vault.key(), position, line, typed) {
        return Err(unusable_copy(format!("that is not line {line} of the kit"))
            .because("a letter may be wrong, or the kit is older than the newest key")
            .next("git vault key confirm", "asks for a line again")
            .next("git vault key export", "prints a kit"));
    }
    record_kit(workplace, vault)
}

/// Records that a kit exists, when it holds every key of the vault and does not lie in what it protects.
///
/// # Errors
/// When it cannot be read, lies there, lacks a key, or the log cannot be written.
pub fn confirm_kit(workplace: &Workplace, file: &Path, text: &str) -> Result<ConfirmReport> {
    let vault = workplace.existing_vault()?;
    workplace.check_in_use(&vault)?;
    check_kit_place(workplace, &vault, file)?;
    let read = kit::read(text).map_err(|error| unusable_copy(error.to_string()))?;
    for reign in vault.log.keyring.reigns() {
        let is_same = |key: &SigningKey| {
            key.vault() == reign.key.vault() && key.secret() == reign.key.secret()
        };
        if !read.iter().any(is_same) {
            return Err(
                unusable_copy(format!("the kit lacks key {}", reign.key.id()))
                    .because("it is of another vault, or older than that key")
                    .next("git vault key export", "prints a kit of all keys"),
            );
        }
    }
    record_kit(workplace, vault)
}

fn record_kit(workplace: &Workplace, mut vault: Vault) -> Result<ConfirmReport> {
    let keys: Vec<KeyId> = vault.log.keyring.ids().collect();
    for (count, key) in keys.iter().enumerate() {
        let copy = CopyRecord {
            key: *key,
            form: CopyForm::Kit,
            file: String::new(),
            bytes: 0,
        };
        vault
            .append(&LogEvent::Copy(copy), workplace.now)
            .map_err(|refusal| match (&refusal.changed, count) {
                (Changed::Said(_), _) | (Changed::Nothing, 0) => refusal,
                (Changed::Nothing, count) => refusal.having_changed(format!(
                    "the log says of {count} of {} keys that a kit holds them",
                    keys.len()
                )),
            })?;
    }
    remember(&vault)?;
    Ok(ConfirmReport {
        vault: vault.layout.root().to_owned(),
        form: CopyForm::Kit,
        keys,
        files: Vec::new(),
    })
}

/// Notes the newest entry; what was written before stays written.
pub(super) fn remember(vault: &Vault) -> Result<()> {
    last_seen::remember(&vault.homes.state, vault.binding.vault, &vault.log).map_err(|error| {
        error.refuse(RefusalCode::VaultWriteFailed).having_changed(
            "the log entry was written; what this machine has seen could not be noted",
        )
    })
}
