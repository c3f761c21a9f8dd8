//! `git vault show`: one snapshot in full.

use std::path::PathBuf;

use crate::model::refusal::Result;
use crate::ops::list::{SnapshotSummary, summarize};
use crate::ops::locate::Workplace;
use crate::ops::selection::{Asked, select};

/// One snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ShowReport {
    /// The vault.
    pub vault: PathBuf,
    /// The snapshot.
    pub snapshot: SnapshotSummary,
}

/// Shows the snapshot that `name` names; its manifest is authenticated.
///
/// # Errors
/// When there is no such snapshot or it cannot be trusted.
pub fn show(workplace: &Workplace, name: &str) -> Result<ShowReport> {
    let vault = workplace.existing_vault()?;
    let logged = select(&vault, name, Asked::by(workplace))?;
    Ok(ShowReport {
        snapshot: summarize(&vault, &logged)?,
        vault: vault.layout.root().to_owned(),
    })
}
