//! `git vault init`: makes the vault of a repository without a snapshot, or a new one beside an old one.

use std::path::PathBuf;

use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::locate::Workplace;
use crate::vault::registry;
use crate::vault::repositories;

/// Whether a repository that has a vault may get another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Existing {
    /// It keeps the one it has.
    Keep,
    /// It gets a new one; the old one stays where it is, untouched.
    Leave,
}

/// What was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InitReport {
    /// The vault.
    pub vault: PathBuf,
    /// Its key: the only copy.
    pub key: PathBuf,
}

/// Makes a vault and its key.
///
/// # Errors
/// When there is one already, or the place is unsuitable.
pub fn init(workplace: &Workplace, existing: Existing) -> Result<InitReport> {
    let repository = workplace.repository()?;
    let home = workplace.home_of(&repository);
    let _lock = registry::lock(&home, &workplace.homes, &repository)?;
    let found = match existing {
        Existing::Leave => None,
        Existing::Keep => workplace.find_attached(&repository)?,
    };
    if let Some(found) = found {
        let found = found.vault.layout.root().to_owned();
        return Err(Refusal::new(
            RefusalCode::VaultPlaceUnsuitable,
            "this repository has a vault already",
        )
        .because(format!("'{}'", found.display()))
        .keeping("nothing was touched")
        .next("git vault snapshot", "makes a snapshot in it")
        .next(
            "git vault init --new",
            "makes a new vault; the old one stays as it is",
        ));
    }
    let root = workplace
        .vault
        .clone()
        .unwrap_or_else(|| registry::new_vault_root(&home, &repository));
    let predecessor = registry::predecessor(&home, &repository.git_dir);
    let homes = &workplace.homes;
    let created = registry::create(&root, &repository, homes, predecessor, workplace.now)?;
    registry::register(&home, &repository.git_dir, &root)
        .map_err(|error| error.refuse_vault_write())?;
    // The first snapshot notes it again, and says if it cannot.
    drop(repositories::note(
        &workplace.homes.state,
        &repository,
        &home,
    ));
    Ok(InitReport {
        vault: root,
        key: created.key_file,
    })
}
