//! `git vault index rebuild`: makes the list of snapshots anew from the snapshots themselves.

use std::path::PathBuf;

use crate::model::refusal::Result;
use crate::ops::locate::Workplace;
use crate::vault::snapshot_index;

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RebuildReport {
    /// The vault.
    pub vault: PathBuf,
    /// The index.
    pub index: PathBuf,
    /// Snapshots that are visible in it.
    pub snapshots: u64,
    /// Where the damaged one lies, kept as evidence.
    pub set_aside: Option<PathBuf>,
}

/// Authenticates every manifest, moves a damaged index aside, writes the new one and reads it back.
///
/// # Errors
/// When the vault or a manifest cannot be trusted, or the index cannot be written.
pub fn rebuild(workplace: &Workplace) -> Result<RebuildReport> {
    let mut vault = workplace.existing_vault()?;
    let rebuilt = snapshot_index::rebuild(&mut vault, workplace.now)?;
    Ok(RebuildReport {
        vault: vault.layout.root().to_owned(),
        index: vault.layout.snapshot_index(),
        snapshots: rebuilt.snapshots,
        set_aside: rebuilt.set_aside,
    })
}
