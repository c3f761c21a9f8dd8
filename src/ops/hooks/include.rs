//! The include in a configuration file of git: how it comes in, how it goes, and who is in the way.

use std::path::Path;

use super::ledger::{Include, Ledger};
use super::{Site, refusals, shim};
use crate::host::disk;
use crate::host::git::config_include::{
    Removal, has_include, lacks_newline, with_include, without_include,
};
use crate::host::locked_edit::{Change, Holder, LockedEdit};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;

/// Reads a configuration file that is to be changed.
pub(super) fn open(config: &Path) -> Result<LockedEdit> {
    LockedEdit::open(config).map_err(|error| refusals::config(&error.path, &error.to_string()))
}

/// Refuses when somebody holds the lock of the file: before anything is written.
pub(super) fn check_free(config: &Path, edit: &LockedEdit, change: &Change) -> Result<()> {
    if matches!(change, Change::Nothing) {
        return Ok(());
    }
    match edit.holder(change) {
        None => Ok(()),
        Some(holder) => Err(held(config, edit.lock(), holder)),
    }
}

fn held(config: &Path, lock: &Path, holder: Holder) -> Refusal {
    let shown = lock.display();
    match holder {
        Holder::Somebody => {
            let fact = format!("git, or another program, holds '{shown}'");
            refusals::config(config, &fact)
        }
        Holder::LeftByUs => {
            let fact = format!("'{shown}' holds what was about to be written now");
            refusals::config(config, &fact)
                .because("an interrupted `git vault hooks` has left it; nobody holds it any more")
                .next(
                    format!("rm {}", shim::word(&shown.to_string())),
                    "takes it away; the configuration is whole, and the same command then does what was asked",
                )
        }
    }
}

/// Makes a change.
pub(super) fn finish(config: &Path, edit: LockedEdit, change: &Change) -> Result<()> {
    let lock = edit.lock().to_owned();
    edit.finish(change).map_err(|error: disk::Error| {
        if error.is_already_there() {
            held(config, &lock, Holder::Somebody)
        } else {
            error
                .refuse(RefusalCode::SettingInvalid)
                .keeping("the configuration is as it was")
        }
    })
}

/// What becomes of the configuration file: `strays` go, and ours comes if it is wanted; the ledger is told how to undo it.
pub(super) fn change(
    site: &Site,
    edit: &LockedEdit,
    (wanted, kept): (Option<&str>, Option<Include>),
    strays: &[Include],
    ledger: &mut Ledger,
) -> Result<Change> {
    let content = edit.content().unwrap_or_default();
    let not_understood = || refusals::config(&site.config, "it cannot be understood");
    let mut text = content.to_vec();
    for stray in strays.iter().filter(|stray| stray.config == site.config) {
        text = without(&text, stray)?.unwrap_or(text);
    }
    match (wanted, kept) {
        (None, None) => {}
        (None, Some(kept)) => {
            text = without(&text, &kept)?.unwrap_or(text);
            if text.is_empty() && kept.made_config && !content.is_empty() {
                return Ok(Change::Removal);
            }
        }
        (Some(path), kept) => {
            if has_include(&text, path).ok_or_else(not_understood)? {
                let kept = kept.filter(|kept| kept.path == path);
                ledger.include = Some(kept.unwrap_or_else(|| plain(&site.config, path)));
            } else {
                ledger.include = Some(Include {
                    config: site.config.clone(),
                    path: path.to_owned(),
                    lacked_newline: lacks_newline(&text),
                    made_config: edit.content().is_none(),
                });
                text = with_include(&text, path).ok_or_else(not_understood)?;
            }
        }
    }
    Ok(if text == content {
        Change::Nothing
    } else {
        Change::Content(text)
    })
}

/// An include of which nothing else is known.
pub(super) fn plain(config: &Path, path: &str) -> Include {
    Include {
        config: config.to_owned(),
        path: path.to_owned(),
        lacked_newline: false,
        made_config: false,
    }
}

/// How includes go from one file; `None` when they are gone already.
pub(super) fn take_out(edit: &LockedEdit, includes: &[&Include]) -> Result<Option<Change>> {
    let mut text = edit.content().unwrap_or_default().to_vec();
    let mut was_made = false;
    let mut is_any = false;
    for include in includes {
        if let Some(without) = without(&text, include)? {
            text = without;
            is_any = true;
            was_made |= include.made_config;
        }
    }
    let change = if text.is_empty() && was_made {
        Change::Removal
    } else {
        Change::Content(text)
    };
    Ok(is_any.then_some(change))
}

/// A configuration without an include; `None` when it is not there.
fn without(content: &[u8], include: &Include) -> Result<Option<Vec<u8>>> {
    match without_include(content, &include.path, include.lacked_newline) {
        Removal::Absent => Ok(None),
        Removal::Without(text) => Ok(Some(text)),
        Removal::NotUnderstood => {
            let fact = "the include of git-vault is not as it was written";
            let command = format!(
                "git config --file {} --edit",
                shim::word(&include.config.display().to_string())
            );
            let purpose = format!("take out the line that names '{}'", include.path);
            Err(refusals::config(&include.config, fact).next(command, purpose))
        }
    }
}
