//! The packs of a vault, as the log states them: names, sizes, digests.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde::{Deserialize, Serialize};

use super::ids::Digest;
use super::place::{Place, Spot};

/// What a pack holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum PackRole {
    /// Objects of the source repository's own stores; handed over whole by a restore.
    History,
    /// Objects that snapshots made: trees, listings, file contents that the history lacks.
    Capture,
}

/// One pack and its index, as they must be found in `objects/pack`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackRecord {
    /// The file name without its ending: `pack-` and the pack's own checksum in hexadecimal digits.
    pub name: String,
    /// What the pack holds.
    pub role: PackRole,
    /// The git directory of the nested repository whose history it is; absent for the main one and for captures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<Spot>,
    /// Whether its objects came from a promisor remote, which may give what they name; absent otherwise.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub promisor: bool,
    /// How many objects.
    pub objects: u64,
    /// Size of the `.pack` file.
    pub bytes: u64,
    /// BLAKE3 of the `.pack` file.
    pub blake3: Digest,
    /// Size of the `.idx` file.
    pub index_bytes: u64,
    /// BLAKE3 of the `.idx` file.
    pub index_blake3: Digest,
}

/// The packs that an optimize is about to bring, before the log names them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Announced {
    /// The packs.
    pub packs: Vec<PackRecord>,
}

/// Packs that may take one another's place: of one role, of one repository, from one source.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct PackGroup {
    role: PackRole,
    of: Option<Spot>,
    promisor: bool,
}

impl PackGroup {
    /// What its packs hold.
    #[must_use]
    pub fn role(&self) -> PackRole {
        self.role
    }

    /// Whether its objects came from a promisor remote.
    #[must_use]
    pub fn is_promisor(&self) -> bool {
        self.promisor
    }
}

impl PackRecord {
    /// The group that it belongs to.
    #[must_use]
    pub fn group(&self) -> PackGroup {
        PackGroup {
            role: self.role,
            of: self.of.clone(),
            promisor: self.promisor,
        }
    }

    /// Whether the name has the one form a pack name may have, so that it is safe as a file name, and nothing is said of a
    /// capture pack that can only be true of history.
    #[must_use]
    pub fn is_possible(&self) -> bool {
        let is_history = self.role == PackRole::History;
        let is_main_by_name = self.of == Some(Spot::top(Place::Gitdir));
        is_pack_name(&self.name)
            && !is_main_by_name
            && (is_history || (!self.promisor && self.of.is_none()))
    }
}

/// Whether a name is one that a pack may have, without its ending.
#[must_use]
pub fn is_pack_name(name: &str) -> bool {
    name.strip_prefix("pack-").is_some_and(|checksum| {
        matches!(checksum.len(), 40 | 64)
            && checksum
                .bytes()
                .all(|digit| matches!(digit, b'0'..=b'9' | b'a'..=b'f'))
    })
}

/// All packs of a vault at one point of its log, by name.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inventory {
    packs: BTreeMap<String, PackRecord>,
}

impl Inventory {
    /// Adds a pack; gives it back if one of that name is there already.
    ///
    /// # Errors
    /// The record itself, when the name is taken.
    pub fn add(&mut self, pack: PackRecord) -> Result<(), Box<PackRecord>> {
        if self.packs.contains_key(&pack.name) {
            return Err(Box::new(pack));
        }
        self.packs.insert(pack.name.clone(), pack);
        Ok(())
    }

    /// Takes a pack out; gives its record, if it was there.
    pub fn remove(&mut self, name: &str) -> Option<PackRecord> {
        self.packs.remove(name)
    }

    /// The packs in the order of their names.
    pub fn packs(&self) -> impl Iterator<Item = &PackRecord> {
        self.packs.values()
    }

    /// The pack of that name.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&PackRecord> {
        self.packs.get(name)
    }

    /// How many packs there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.packs.len() as u64
    }

    /// BLAKE3 over one line for each pack, in the order of names: what a manifest pins (`docs/FORMAT.md`, "Inventory").
    #[must_use]
    pub fn digest(&self) -> Digest {
        let mut text = String::new();
        for pack in self.packs.values() {
            let role = match pack.role {
                PackRole::History => "history",
                PackRole::Capture => "capture",
            };
            // Writing to a String cannot fail.
            let _infallible = write!(
                text,
                "{} {role} {} {} {} {} {}",
                pack.name,
                pack.objects,
                pack.bytes,
                pack.blake3,
                pack.index_bytes,
                pack.index_blake3
            );
            if pack.promisor {
                text.push_str(" promisor");
            }
            if let Some(of) = &pack.of {
                let _infallible = write!(text, " {of}");
            }
            text.push('\n');
        }
        Digest::of(text.as_bytes())
    }
}
