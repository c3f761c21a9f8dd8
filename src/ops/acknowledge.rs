//! `git vault acknowledge`: a person states that log entries which this machine has seen are gone, and that the vault goes on.
//!
//! It is a statement, not a way around a check: it is signed, stays in the log for ever, and what is gone stays gone.

use std::path::PathBuf;

use crate::model::log_entry::{Acknowledgement, LogEvent};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::locate::Workplace;
use crate::vault::distrust;
use crate::vault::inspect::Vault;
use crate::vault::last_seen::{self, LastSeen};

/// What there is to acknowledge.
pub struct Finding {
    vault: Vault,
    seen: LastSeen,
    /// Why the vault is refused.
    pub refusal: Refusal,
}

impl Finding {
    /// The newest entry that this machine has seen.
    #[must_use]
    pub fn seen(&self) -> u64 {
        self.seen.entry
    }

    /// The newest entry that is there: the number that the statement must name.
    #[must_use]
    pub fn found(&self) -> u64 {
        self.vault.log.head
    }

    /// How many snapshots are there.
    #[must_use]
    pub fn snapshots(&self) -> usize {
        self.vault.log.snapshots.len()
    }
}

/// What was stated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcknowledgeReport {
    /// The vault.
    pub vault: PathBuf,
    /// The newest entry that was seen before.
    pub seen: u64,
    /// The newest entry that was there.
    pub found: u64,
    /// The entry that holds the statement.
    pub recorded_as: u64,
}

/// Looks whether the vault is older than, or another than, what this machine has seen.
///
/// # Errors
/// When the vault cannot be opened for another reason, or there is nothing to acknowledge.
pub fn find(workplace: &Workplace) -> Result<Finding> {
    let mut vault = workplace.existing_vault_even_stale()?;
    let seen = last_seen::load(&workplace.homes.state, vault.binding.vault)?;
    workplace.check_in_use(&vault)?;
    distrust::check_active(vault.layout.root(), &vault.log)?;
    match (vault.stale.take(), seen) {
        (Some(refusal), Some(seen)) => Ok(Finding {
            vault,
            seen,
            refusal,
        }),
        _ => Err(differs("there is nothing to acknowledge")
            .because("the vault holds every log entry that this machine has seen")
            .next("git vault list", "shows the snapshots")),
    }
}

/// Writes the statement into the log, if it names the newest entry that is there.
///
/// # Errors
/// When it names another, or cannot be written.
pub fn acknowledge(
    workplace: &Workplace,
    finding: Finding,
    stated: &str,
) -> Result<AcknowledgeReport> {
    let Finding {
        mut vault, seen, ..
    } = finding;
    let found = vault.log.head;
    if stated.trim().parse() != Ok(found) {
        return Err(
            differs("the number that was typed is not that of the newest log entry")
                .because(format!("typed: '{}'", stated.trim()))
                .because("the number to type is the one in: found N entries")
                .next("git vault acknowledge", "shows it and asks again"),
        );
    }
    let found_blake3 = vault
        .log
        .head_blake3
        .ok_or_else(|| Refusal::new(RefusalCode::Internal, "the log has no newest entry"))?;
    let statement = Acknowledgement {
        seen: seen.entry,
        seen_blake3: seen.blake3,
        found,
        found_blake3,
        left: vault.leftovers.lost.clone(),
    };
    let recorded_as = vault.append(&LogEvent::Acknowledge(statement), workplace.now)?;
    last_seen::accept(&workplace.homes.state, vault.binding.vault, &vault.log).map_err(|error| {
        error
            .refuse(RefusalCode::VaultUnreadable)
            .having_changed(format!(
                "the statement is log entry {recorded_as}; what this machine has seen could not be noted"
            ))
            .next("git vault acknowledge", "notes it, and states it once more")
    })?;
    Ok(AcknowledgeReport {
        vault: vault.layout.root().to_owned(),
        seen: seen.entry,
        found,
        recorded_as,
    })
}

fn differs(what: &str) -> Refusal {
    Refusal::new(RefusalCode::StatementDiffers, what).keeping("nothing was touched")
}
