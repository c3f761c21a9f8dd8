//! Opening a vault: nothing is believed before it is authenticated, and every command looks the same way.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::host::disk;
use crate::host::git::object::ObjectFormat;
use crate::host::lock::{self, SharedLock};
use crate::model::escape::shell_word;
use crate::model::ids::{Digest, RepositoryId, VaultId};
use crate::model::log_entry::LogEvent;
use crate::model::manifest::FORMAT;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::signed::{self, Binding, Purpose, SignedError, SigningKey};
use crate::model::timestamp::Timestamp;
use crate::vault::distrust::{self, Distrust};
use crate::vault::keyring::{KeySource, KeyState};
use crate::vault::known_vault::KnownVault;
use crate::vault::last_seen;
use crate::vault::layout::{self, INCOMPLETE_PREFIX, Layout};
use crate::vault::log::Log;
use crate::vault::skeleton::{self, Leftovers, Looks, Unnamed};

/// Program and version, as written into records.
pub const TOOL: &str = concat!("git-vault ", env!("CARGO_PKG_VERSION"));

/// Largest `vault.toml` read.
const LIMIT_BYTES: u64 = 1 << 16;

/// The signed description of a vault.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// Version of the vault format.
    pub format: u32,
    /// The vault.
    pub vault: VaultId,
    /// The repository it belongs to.
    pub repository: RepositoryId,
    /// The format of its object ids.
    pub object_format: String,
    /// When it was made.
    pub created: Timestamp,
    /// Program and version that made it.
    pub tool: String,
    /// BLAKE3 of `HEAD`.
    pub head_blake3: Digest,
    /// BLAKE3 of `config`.
    pub config_blake3: Digest,
    /// BLAKE3 of `VAULT.md`.
    pub vault_md_blake3: Digest,
}

/// Where keys and last-seen states are kept on this machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Homes {
    /// Keys, one directory a vault.
    pub keys: PathBuf,
    /// Last-seen states, one file a vault.
    pub state: PathBuf,
}

/// An authentic vault, with its log read and its skeleton checked.
pub struct Vault {
    /// Where everything lies.
    pub layout: Layout,
    /// What signatures are bound to.
    pub binding: Binding,
    /// The format of its object ids.
    pub format: ObjectFormat,
    /// The log.
    pub log: Log,
    /// What interrupted work left behind.
    pub leftovers: Leftovers,
    /// What the system said when the newest entries of the log should have been made durable, and were not.
    pub unconfirmed: Option<disk::Error>,
    /// Where keys and states are kept.
    pub homes: Homes,
    /// Why it is not the newest state of this vault that this machine has seen; only [`Vault::open_even_stale`] gives one.
    pub stale: Option<Refusal>,
    /// What packs and directories of snapshots looked like.
    pub looks: Looks,
    /// What was known before; nothing but for [`Vault::open_known`].
    pub known: KnownVault,
    /// Keeps what the log named when it was read from being removed; absent where the file system knows no locks.
    pub reading: Option<SharedLock>,
}

/// What a vault that is older than, or another than, what this machine has seen is good for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stale {
    /// Nothing.
    Refuse,
    /// What in it is authentic may be looked at.
    Accept,
}

/// With what a vault is opened.
struct Opening<'a> {
    homes: &'a Homes,
    brought: &'a [Arc<SigningKey>],
    stale: Stale,
    knowledge: Knowledge,
}

/// Whether what looks as it did when it was found to be authentic may be left closed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Knowledge {
    /// Everything is read.
    Ignore,
    /// It may.
    Use,
}

impl Vault {
    /// Opens the vault at `root`: description, log, last-seen state and skeleton are all checked. While another process
    /// writes, one look can see some of its files and not yet others: then the look is taken again.
    ///
    /// # Errors
    /// When there is none, the key is missing, or anything is not as it must be.
    pub fn open(root: &Path, homes: &Homes) -> Result<Self> {
        Self::open_brought(root, homes, &[])
    }

    /// Opens the vault for another snapshot: entries of the log, and directories of snapshots, that look as they did when they
    /// were last found to be authentic are not read again (`known_vault.rs`).
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn open_known(root: &Path, homes: &Homes) -> Result<Self> {
        Self::open_as(
            root,
            &Opening {
                homes,
                brought: &[],
                stale: Stale::Refuse,
                knowledge: Knowledge::Use,
            },
        )
    }

    /// Opens the vault with keys that are at hand but not stored on this machine, to find out whether they are its keys.
    ///
    /// # Errors
    /// As [`Vault::open`].
    pub fn open_brought(root: &Path, homes: &Homes, brought: &[Arc<SigningKey>]) -> Result<Self> {
        let stale = Stale::Refuse;
        Self::open_as(
            root,
            &Opening {
                homes,
                brought,
                stale,
                knowledge: Knowledge::Ignore,
            },
        )
    }

    /// Opens the vault even if it is older than this machine has seen it, or went another way: what its log accepts is
    /// authentic, and only whether it is the newest is in doubt. [`Vault::stale`] then says so, and nothing is noted.
    ///
    /// # Errors
    /// As [`Vault::open`], but for those two.
    pub fn open_even_stale(root: &Path, homes: &Homes) -> Result<Self> {
        let stale = Stale::Accept;
        Self::open_as(
            root,
            &Opening {
                homes,
                brought: &[],
                stale,
                knowledge: Knowledge::Ignore,
            },
        )
    }

    /// Appends an event to the log; gives the number of its entry.
    ///
    /// # Errors
    /// When it cannot be written, or would not fit behind what another process wrote.
    pub fn append(&mut self, event: &LogEvent, at: Timestamp) -> Result<u64> {
        self.log.append(&self.layout, self.binding, event, at)
    }

    /// The key that signs.
    #[must_use]
    pub fn key(&self) -> &SigningKey {
        self.log.keyring.active()
    }

    fn open_as(root: &Path, opening: &Opening<'_>) -> Result<Self> {
        let layout = Layout::new(root);
        let mut attempt = 1;
        loop {
            let before = disk::list(&layout.log()).ok();
            match Self::open_once(&layout, opening) {
                Err(_) if is_worth_another(attempt, &layout, before.as_deref()) => {
                    attempt += 1;
                    std::thread::sleep(BETWEEN_LOOKS);
                }
                Err(_) if disk::list(&layout.log()).ok() != before => {
                    return Err(Refusal::new(
                        RefusalCode::AnotherWriter,
                        "the vault is being written all the time",
                    )
                    .because("every look at it met a log that had grown meanwhile")
                    .keeping("nothing was touched")
                    .next("git vault list", "tries again"));
                }
                outcome => return outcome,
            }
        }
    }

    fn open_once(layout: &Layout, opening: &Opening<'_>) -> Result<Self> {
        let homes = opening.homes;
        let (description, first, source) = read_description(layout, opening)?;
        let reading = share(layout)?;
        let binding = Binding {
            vault: description.vault,
            repository: description.repository,
        };
        let format = ObjectFormat::parse(&description.object_format).ok_or_else(|| {
            Refusal::new(
                RefusalCode::RecordFormatUnknown,
                "the vault has an unknown object format",
            )
            .because(format!("'{}'", description.object_format))
            .about(&layout.vault_toml())
        })?;
        let seen = last_seen::load(&homes.state, binding.vault)?;
        let distrust = Distrust::load(&homes.state, binding.vault)?;
        let mut known = match opening.knowledge {
            Knowledge::Ignore => KnownVault::default(),
            Knowledge::Use => KnownVault::load(layout, &homes.state, binding, &source),
        };
        let mut log = Log::read(layout, binding, &source, &first, &known)?;
        if known.key != Some(log.keyring.active().id()) {
            known = KnownVault::default();
        }
        distrust.apply(&mut log);
        check_git_files(layout, &description, format, &log)?;
        let is_newest = last_seen::check(seen, layout.root(), &log)
            .and_then(|()| distrust::check_active(layout.root(), &log));
        let stale = match is_newest {
            Err(refusal) if opening.stale == Stale::Accept => Some(refusal),
            outcome => outcome.map(|()| None)?,
        };
        let unnamed = if stale.is_some() {
            Unnamed::OfLostEntries
        } else {
            Unnamed::Explained
        };
        let vault = skeleton::Checked {
            layout,
            description: &description,
            log: &log,
            binding,
        };
        let (leftovers, looks) = vault.check(unnamed, &known)?;
        // Noting what was seen guards against a later rollback; where it cannot be noted, nothing else is lost. An entry that
        // might still vanish in a power cut must not be noted: the vault would then seem rolled back.
        let mut unconfirmed = None;
        if stale.is_none() && seen.is_none_or(|seen| seen.entry < log.head) {
            unconfirmed = disk::sync_directory(&layout.log()).err();
            if unconfirmed.is_none() {
                drop(last_seen::remember(&homes.state, binding.vault, &log));
            }
        }
        Ok(Self {
            layout: layout.clone(),
            binding,
            format,
            log,
            leftovers,
            unconfirmed,
            homes: homes.clone(),
            stale,
            looks,
            known,
            reading,
        })
    }
}

/// How long somebody may take to remove what the log does not name any more.
const REMOVAL: std::time::Duration = std::time::Duration::from_secs(60);

/// Before the log is read, so that what it names stays. Where nothing can be locked, nothing is ever removed either.
///
/// # Errors
/// When somebody removes files for too long.
pub fn share(layout: &Layout) -> Result<Option<SharedLock>> {
    match lock::share(&layout.read_lock(), REMOVAL) {
        Ok(Some(reading)) => Ok(Some(reading)),
        Ok(None) => Err(Refusal::new(
            RefusalCode::AnotherWriter,
            "another process is removing what the vault needs no more",
        )
        .keeping("nothing was touched")
        .next("git vault list", "tries again")),
        // What is wrong with the file is said when it is looked at.
        Err(_) => Ok(None),
    }
}

/// How often a vault that another process may be writing to is looked at, and one that is locked by it.
const LOOKS: usize = 6;
const LOOKS_WHILE_LOCKED: usize = 200;
/// How long to wait between two looks.
const BETWEEN_LOOKS: std::time::Duration = std::time::Duration::from_millis(50);

/// Whether another look may see something else.
fn is_worth_another(
    attempt: usize,
    layout: &Layout,
    before: Option<&[std::ffi::OsString]>,
) -> bool {
    if attempt < LOOKS {
        is_being_written(layout, before)
    } else {
        attempt < LOOKS_WHILE_LOCKED && lock::is_locked(&layout.vault_toml())
    }
}

/// Whether another process seems to be writing: the log has grown, a snapshot is on its way, or the vault is locked.
fn is_being_written(layout: &Layout, log_before: Option<&[std::ffi::OsString]>) -> bool {
    let on_its_way =
        |name: &std::ffi::OsString| name.to_string_lossy().starts_with(INCOMPLETE_PREFIX);
    disk::list(&layout.log()).ok().as_deref() != log_before
        || disk::list(&layout.snapshots()).is_ok_and(|names| names.iter().any(on_its_way))
        || lock::is_locked(&layout.vault_toml())
}

/// Whether there is something that looks like a vault at `root`.
#[must_use]
pub fn looks_like_vault(root: &Path) -> bool {
    Layout::new(root).vault_toml().symlink_metadata().is_ok()
}

/// The authentic description, the key that signed it, and where the other keys are found.
fn read_description(
    layout: &Layout,
    opening: &Opening<'_>,
) -> Result<(Description, Arc<SigningKey>, KeySource)> {
    let path = layout.vault_toml();
    let bytes = match disk::read_bounded(&path, LIMIT_BYTES) {
        Err(error) if error.is_not_found() => return Err(no_vault(layout.root())),
        bytes => bytes.map_err(|error| error.refuse_vault_read())?,
    };
    let unchecked = signed::check_damage(&bytes, Purpose::Vault)
        .map_err(|error| refuse_signed(&error, &path))?;
    // Only to find out which key to ask for; believed after the signature is checked with that key.
    let claimed: Description = parse(unchecked.unauthenticated_body(), &path)?;
    let source = KeySource::new(opening.homes.keys.clone(), claimed.vault, opening.brought);
    let key = source.load(unchecked.key)?;
    let binding = Binding {
        vault: claimed.vault,
        repository: claimed.repository,
    };
    let body = unchecked
        .authenticate(Purpose::Vault, binding, &key)
        .map_err(|error| refuse_signed(&error, &path))?;
    let description = parse(body, &path)?;
    if toml::to_string(&description).ok().as_deref() != Some(body) {
        return Err(Refusal::new(
            RefusalCode::RecordMalformed,
            format!("'{}' is not in canonical form", path.display()),
        )
        .about(&path));
    }
    if description.format != FORMAT {
        return Err(Refusal::new(
            RefusalCode::RecordFormatUnknown,
            "the vault has another format version",
        )
        .because(format!("expected {FORMAT}, found {}", description.format))
        .about_difference(
            &path,
            format!("format {FORMAT}"),
            format!("format {}", description.format),
        ));
    }
    Ok((description, key, source))
}

/// The description is signed with the first key. Whoever has that could describe other files, so if it was compromised,
/// those that tell git what to do must be as this program makes them.
fn check_git_files(
    layout: &Layout,
    description: &Description,
    format: ObjectFormat,
    log: &Log,
) -> Result<()> {
    let keyring = &log.keyring;
    let first = keyring.reigns().next().map(|reign| keyring.state(reign));
    let is_doubtful = matches!(first, Some(KeyState::CompromisedSince(_)));
    let known = [
        (description.head_blake3, layout::HEAD.to_owned()),
        (description.config_blake3, layout::config(format)),
    ];
    let is_known = known
        .iter()
        .all(|(described, made)| *described == Digest::of(made.as_bytes()));
    if is_known || !is_doubtful {
        return Ok(());
    }
    let path = layout.vault_toml();
    Err(Refusal::new(
        RefusalCode::KeyCompromised,
        format!("'{}' may be written by somebody else", path.display()),
    )
    .because("the key that signed it was compromised")
    .because("it describes another HEAD or config than this program makes")
    .about(&path)
    .keeping("the vault is untouched, as evidence"))
}

fn parse(body: &str, path: &Path) -> Result<Description> {
    toml::from_str(body).map_err(|error| {
        Refusal::new(
            RefusalCode::RecordMalformed,
            format!("'{}' cannot be understood", path.display()),
        )
        .because(error.message().to_owned())
        .about(path)
    })
}

/// Says that there is no vault.
#[must_use]
pub fn no_vault(root: &Path) -> Refusal {
    Refusal::new(
        RefusalCode::VaultNotFound,
        format!("there is no vault at '{}'", root.display()),
    )
    .because("it has no vault.toml")
    .keeping("nothing was touched")
}

/// Turns a failed signature into a refusal.
#[must_use]
pub fn refuse_signed(error: &SignedError, path: &Path) -> Refusal {
    let shown = path.display();
    let (code, what) = match error {
        SignedError::UnknownVersion(_) => (
            RefusalCode::RecordFormatUnknown,
            format!("'{shown}' has a format that this version does not know"),
        ),
        SignedError::Malformed(_) | SignedError::Damaged { .. } => {
            (RefusalCode::VaultDamaged, format!("'{shown}' is damaged"))
        }
        SignedError::OtherKey(_) => (
            RefusalCode::SignatureWrong,
            format!("'{shown}' was signed with another key than the vault's"),
        ),
        SignedError::Forged => (
            RefusalCode::SignatureWrong,
            format!("'{shown}' was changed by somebody without the key"),
        ),
    };
    Refusal::new(code, what)
        .because(error.to_string())
        .about_difference(
            path,
            "a record signed with the vault's key",
            error.to_string(),
        )
        .keeping("the vault is untouched, as evidence")
        .next(
            format!(
                "cp -a {} /some/other/disk/",
                shell_word(path.parent().unwrap_or(path))
            ),
            "keeps a copy before anything else",
        )
}
