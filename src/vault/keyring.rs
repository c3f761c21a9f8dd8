//! The keys of a vault in the order in which they signed: the log says which one signs an entry, and up to where it is believed.

use std::path::PathBuf;
use std::sync::Arc;

use crate::host::keys;
use crate::model::ids::{Digest, KeyId, VaultId};
use crate::model::log_entry::{Compromise, Rotation};
use crate::model::refusal::Result;
use crate::model::signed::{Binding, SigningKey};

/// Where the keys of one vault come from: those brought along for this run, then the key files of this machine.
#[derive(Debug, Clone)]
pub struct KeySource {
    home: PathBuf,
    vault: VaultId,
    brought: Vec<Arc<SigningKey>>,
}

impl KeySource {
    /// Keys from the files of this machine, and from `brought`.
    #[must_use]
    pub fn new(home: PathBuf, vault: VaultId, brought: &[Arc<SigningKey>]) -> Self {
        Self {
            home,
            vault,
            brought: brought.to_vec(),
        }
    }

    /// The key of that id.
    ///
    /// # Errors
    /// When it is not at hand, or its file is unsafe or damaged.
    pub fn load(&self, key: KeyId) -> Result<Arc<SigningKey>> {
        let is_wanted =
            |brought: &&Arc<SigningKey>| brought.vault() == self.vault && brought.id() == key;
        match self.brought.iter().find(is_wanted) {
            Some(brought) => Ok(Arc::clone(brought)),
            None => keys::load(&self.home, self.vault, key).map(Arc::new),
        }
    }
}

/// How a key stands, as the log tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KeyState {
    /// It signs the next entry.
    Active,
    /// It has signed, and is only used to check.
    Retired,
    /// What it signed after this entry is not accepted.
    CompromisedSince(u64),
}

/// A key and what it signed.
#[derive(Debug, Clone)]
pub struct Reign {
    /// The key.
    pub key: Arc<SigningKey>,
    /// The first entry it signed.
    pub first_entry: u64,
    compromised_since: Option<u64>,
}

/// The keys of a vault, the first one first.
#[derive(Debug, Clone)]
pub struct Keyring {
    source: KeySource,
    past: Vec<Reign>,
    present: Reign,
}

impl Keyring {
    /// The keyring of a vault whose first entry is signed with `first`.
    #[must_use]
    pub fn new(source: KeySource, first: Arc<SigningKey>) -> Self {
        let present = Reign {
            key: first,
            first_entry: 1,
            compromised_since: None,
        };
        Self {
            source,
            past: Vec::new(),
            present,
        }
    }

    /// The key that signs the next entry.
    #[must_use]
    pub fn active(&self) -> &SigningKey {
        &self.present.key
    }

    /// The keys with what they signed, the first one first.
    pub fn reigns(&self) -> impl Iterator<Item = &Reign> {
        self.past.iter().chain([&self.present])
    }

    /// The ids of the keys, the first one first.
    pub fn ids(&self) -> impl Iterator<Item = KeyId> {
        self.reigns().map(|reign| reign.key.id())
    }

    /// The key of that id, if it ever signed.
    #[must_use]
    pub fn named(&self, key: KeyId) -> Option<&SigningKey> {
        self.reigns()
            .find(|reign| reign.key.id() == key)
            .map(|reign| &*reign.key)
    }

    /// How a reign's key stands.
    #[must_use]
    pub fn state(&self, reign: &Reign) -> KeyState {
        match reign.compromised_since {
            Some(entry) => KeyState::CompromisedSince(entry),
            None if reign.key.id() == self.active().id() => KeyState::Active,
            None => KeyState::Retired,
        }
    }

    /// The key that signed entry `number`.
    #[must_use]
    pub fn signer_of(&self, number: u64) -> &Reign {
        let earlier = self.past.iter().rev();
        std::iter::once(&self.present)
            .chain(earlier)
            .find(|reign| reign.first_entry <= number)
            .unwrap_or(&self.present)
    }

    /// Whether entry `number` is accepted on its signature: its key was not in other hands by then, as far as is known.
    #[must_use]
    pub fn accepts(&self, number: u64) -> bool {
        self.signer_of(number)
            .compromised_since
            .is_none_or(|since| number <= since)
    }

    /// Lets another key sign from the entry after `number` on, if that key itself says so.
    ///
    /// # Errors
    /// The reason, when it does not; a refusal when the key is not at hand.
    pub fn rotate(
        &mut self,
        number: u64,
        previous: Digest,
        binding: Binding,
        rotation: &Rotation,
    ) -> Result<std::result::Result<(), String>> {
        if self.named(rotation.key).is_some() {
            return Ok(Err(format!("key {} has signed before", rotation.key)));
        }
        let new = self.source.load(rotation.key)?;
        let is_countersigned = new.has_countersigned(
            binding,
            number,
            previous,
            self.active().id(),
            &rotation.countersignature,
        );
        if !is_countersigned {
            return Ok(Err(format!("key {} did not countersign", rotation.key)));
        }
        let present = Reign {
            key: new,
            first_entry: number + 1,
            compromised_since: None,
        };
        self.past
            .push(std::mem::replace(&mut self.present, present));
        Ok(Ok(()))
    }

    /// Takes a key's compromise into account; the earliest statement counts.
    ///
    /// # Errors
    /// The reason, when the key is not one that could be stated to be compromised.
    pub fn compromise(
        &mut self,
        number: u64,
        compromise: &Compromise,
    ) -> std::result::Result<(), String> {
        let reign = self
            .past
            .iter_mut()
            .find(|reign| reign.key.id() == compromise.key)
            .ok_or_else(|| format!("key {} is not one that has retired", compromise.key))?;
        if compromise.since >= number {
            return Err(format!("entry {} is not an earlier one", compromise.since));
        }
        let since = reign
            .compromised_since
            .map_or(compromise.since, |known| known.min(compromise.since));
        reign.compromised_since = Some(since);
        Ok(())
    }

    /// Takes into account what is known from elsewhere: this key is believed up to entry `since` of this log and no further.
    pub fn distrust(&mut self, key: KeyId, since: u64) {
        let reigns = self.past.iter_mut().chain([&mut self.present]);
        for reign in reigns.filter(|reign| reign.key.id() == key) {
            let known = reign.compromised_since.unwrap_or(since);
            reign.compromised_since = Some(known.min(since));
        }
    }

    /// Whether the key that signs the next entry is one that somebody else may have had.
    #[must_use]
    pub fn is_active_distrusted(&self) -> bool {
        self.present.compromised_since.is_some()
    }

    /// A key that is at hand and has not signed yet: the one that a rotation brings.
    ///
    /// # Errors
    /// When it is not at hand.
    pub fn load(&self, key: KeyId) -> Result<Arc<SigningKey>> {
        self.source.load(key)
    }
}
