//! What this machine knows of keys that somebody else may have had, kept outside the vault: whoever has such a key can write
//! a log of their own that does not say so.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::host::disk;
use crate::model::ids::{Digest, KeyId, VaultId};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::vault::keyring::KeyState;
use crate::vault::log::Log;

/// Largest file read.
const LIMIT_BYTES: u64 = 64 << 20;

/// The keys of one vault that are not believed any more.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Distrust {
    #[serde(default)]
    key: Vec<Distrusted>,
}

/// A key, and the only entries in which it is still believed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Distrusted {
    id: KeyId,
    /// BLAKE3 of every entry up to the last one in which it is believed, the first one first.
    entries: Vec<Digest>,
}

fn path(state_home: &Path, vault: VaultId) -> PathBuf {
    state_home
        .join("last-seen")
        .join(format!("{vault}.distrusted.toml"))
}

impl Distrust {
    /// What is known of a vault.
    ///
    /// # Errors
    /// When the file cannot be read or understood.
    pub fn load(state_home: &Path, vault: VaultId) -> Result<Self> {
        let path = path(state_home, vault);
        let bytes = match disk::read_bounded(&path, LIMIT_BYTES) {
            Err(error) if error.is_not_found() => return Ok(Self::default()),
            bytes => bytes.map_err(|error| error.refuse(RefusalCode::VaultUnreadable))?,
        };
        toml::from_str(&String::from_utf8_lossy(&bytes)).map_err(|error| {
            Refusal::new(
                RefusalCode::RecordMalformed,
                format!("'{}' cannot be understood", path.display()),
            )
            .because(error.message().to_owned())
            .because("it says which keys of the vault this machine does not believe any more")
            .about(&path)
        })
    }

    /// Tells a log what is known: of such a key, only the very entries are believed that were there before.
    pub fn apply(&self, log: &mut Log) {
        for known in &self.key {
            let same = log.hashes.iter().zip(&known.entries);
            let same = same.take_while(|(found, known)| found == known).count();
            log.keyring.distrust(known.id, same as u64);
        }
    }
}

/// Keeps what the log says of compromised keys; what was known before stays known.
///
/// # Errors
/// When the file cannot be read or written.
pub fn remember(state_home: &Path, vault: VaultId, log: &Log) -> disk::Result<()> {
    let stated: Vec<Distrusted> = log
        .keyring
        .reigns()
        .filter_map(|reign| match log.keyring.state(reign) {
            KeyState::CompromisedSince(since) => {
                let count = usize::try_from(since).unwrap_or(usize::MAX);
                Some(Distrusted {
                    id: reign.key.id(),
                    entries: log.hashes.iter().take(count).copied().collect(),
                })
            }
            KeyState::Active | KeyState::Retired => None,
        })
        .collect();
    if stated.is_empty() {
        return Ok(());
    }
    let path = path(state_home, vault);
    let unreadable = |refusal: Refusal| {
        disk::Error::new("read", &path, std::io::Error::other(refusal.to_string()))
    };
    let mut known = Distrust::load(state_home, vault).map_err(unreadable)?;
    let before = known.clone();
    for stated in stated {
        match known.key.iter_mut().find(|known| known.id == stated.id) {
            Some(known) if known.entries.len() > stated.entries.len() => *known = stated,
            Some(_) => {}
            None => known.key.push(stated),
        }
    }
    if known == before {
        return Ok(());
    }
    let text = toml::to_string(&known).map_err(|error| {
        disk::Error::new("write", &path, std::io::Error::other(error.to_string()))
    })?;
    disk::replace(&path, text.as_bytes())
}

/// Refuses a log whose next entry would be signed by a key that is not believed: it is not the one that said so.
///
/// # Errors
/// [`RefusalCode::KeyCompromised`].
pub fn check_active(root: &Path, log: &Log) -> Result<()> {
    if !log.keyring.is_active_distrusted() {
        return Ok(());
    }
    let key = log.keyring.active().id();
    Err(Refusal::new(
        RefusalCode::KeyCompromised,
        format!("'{}' goes on with a key that was compromised", root.display()),
    )
    .because(format!(
        "this machine has seen the statement that key {key} is not believed any more; this log does not hold it"
    ))
    .because("it is an older copy, or somebody who has the key wrote it")
    .about_difference(
        root,
        format!("a log that says that key {key} was compromised"),
        "one that does not",
    )
    .keeping("the vault is untouched, as evidence")
    .next(
        "git vault init --new",
        "goes on in a vault with a key of its own",
    ))
}
