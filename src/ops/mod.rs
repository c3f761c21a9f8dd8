//! One file per command; each is a straight line of steps.

pub mod acknowledge;
pub mod ask_git;
pub mod assemble;
pub mod capture;
pub mod compare;
pub mod describe;
pub mod destination;
pub mod drill;
pub mod history;
pub mod init;
pub mod key;
pub mod key_change;
pub mod key_import;
pub mod list;
pub mod locate;
pub mod restore;
pub mod restore_tree;
pub mod runbook;
pub mod scan;
pub mod selection;
pub mod show;
pub mod since;
pub mod snapshot;
pub mod status;
pub mod unproven;
pub mod verify;
