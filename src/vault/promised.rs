//! What a partial clone lacks: objects that a promisor remote has promised, listed in a snapshot's tree.

use std::collections::BTreeSet;

use crate::host::git::object::ObjectId;
use crate::host::git::tree::NewEntry;
use crate::model::refusal::Result;
use crate::vault::builder;
use crate::vault::content::ContentWriter;
use crate::vault::inspect::Vault;
use crate::vault::reader::{SnapshotReader, Trusted, needed_packs};
use crate::vault::store::Store;
use crate::vault::topmost::PROMISED;

/// Stores the list; gives the entry of the root tree for it.
///
/// # Errors
/// When the vault cannot be written.
pub fn write(writer: &ContentWriter<'_>, promised: &BTreeSet<ObjectId>) -> Result<NewEntry> {
    builder::text_entry(writer, PROMISED, text(promised).as_bytes())
}

/// What a promisor remote has promised to a snapshot's source.
///
/// # Errors
/// As [`SnapshotReader::promised`].
pub fn read(vault: &Vault, trusted: &Trusted) -> Result<BTreeSet<ObjectId>> {
    if trusted.manifest().history.promised == 0 {
        return Ok(BTreeSet::new());
    }
    let packs = needed_packs(vault, trusted);
    let store = Store::new(&vault.layout, &packs, vault.format);
    SnapshotReader::new(&store, trusted).promised()
}

fn text(promised: &BTreeSet<ObjectId>) -> String {
    promised.iter().map(|id| format!("{id}\n")).collect()
}

fn parse(bytes: &[u8]) -> Option<BTreeSet<ObjectId>> {
    let lines = bytes.strip_suffix(b"\n")?.split(|byte| *byte == b'\n');
    let ids: BTreeSet<ObjectId> = lines.map(ObjectId::from_hex).collect::<Option<_>>()?;
    (text(&ids).as_bytes() == bytes).then_some(ids)
}

impl SnapshotReader<'_> {
    /// The ids of objects that the source did not have and a promisor remote has promised.
    ///
    /// # Errors
    /// When the list cannot be read, is not in its one form, or of another length than stated.
    pub fn promised(&self) -> Result<BTreeSet<ObjectId>> {
        let Some(bytes) = self.text_in(&self.root()?, PROMISED)? else {
            return Ok(BTreeSet::new());
        };
        let stated = self.manifest.history.promised;
        parse(&bytes)
            .filter(|ids| ids.len() as u64 == stated)
            .ok_or_else(|| self.contradiction("its list of promises is malformed".to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_has_one_form() {
        let (a, b) = ("a".repeat(40), "b".repeat(40));
        let good = format!("{a}\n{b}\n");
        assert_eq!(parse(good.as_bytes()).map(|ids| text(&ids)), Some(good));
        for bad in [
            String::new(),
            "\n".to_owned(),
            a.clone(),
            format!("{b}\n{a}\n"),
            format!("{a}\n{a}\n"),
            format!("{a}\n\n"),
            format!("{}\n", a.to_uppercase()),
        ] {
            assert_eq!(parse(bad.as_bytes()), None, "{bad}");
        }
    }
}
