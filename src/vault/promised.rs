//! What a partial clone lacks: objects that a promisor remote has promised, listed in a snapshot's tree.

use crate::host::git::tree::NewEntry;
use crate::model::refusal::Result;
use crate::vault::builder;
use crate::vault::content::ContentWriter;
use crate::vault::inspect::Vault;
use crate::vault::lacking::Lacking;
use crate::vault::reader::{SnapshotReader, Trusted, needed_packs};
use crate::vault::store::Store;
use crate::vault::topmost::PROMISED;

/// Stores the list; gives the entry of the root tree for it.
///
/// # Errors
/// When the vault cannot be written.
pub fn write(writer: &ContentWriter<'_>, promised: &Lacking) -> Result<NewEntry> {
    builder::text_entry(writer, PROMISED, promised.to_text().as_bytes())
}

/// What a promisor remote has promised to a snapshot's source.
///
/// # Errors
/// As [`SnapshotReader::promised`].
pub fn read(vault: &Vault, trusted: &Trusted) -> Result<Lacking> {
    if trusted.manifest().history.promised == 0 {
        return Ok(Lacking::default());
    }
    let packs = needed_packs(vault, trusted);
    let store = Store::new(&vault.layout, &packs, vault.format);
    SnapshotReader::new(&store, trusted).promised()
}

impl SnapshotReader<'_> {
    /// The ids of objects that the source did not have and a promisor remote has promised.
    ///
    /// # Errors
    /// When the list cannot be read, is not in its one form, or of another length than stated.
    pub fn promised(&self) -> Result<Lacking> {
        let Some(bytes) = self.text_in(&self.root()?, PROMISED)? else {
            return Ok(Lacking::default());
        };
        let stated = self.manifest.history.promised;
        Lacking::parse(&bytes)
            .filter(|ids| ids.count() == stated)
            .ok_or_else(|| self.contradiction("its list of promises is malformed".to_owned()))
    }
}
