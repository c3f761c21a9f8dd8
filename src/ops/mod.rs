//! One file per command; each is a straight line of steps.

pub mod assemble;
pub mod capture;
pub mod describe;
pub mod destination;
pub mod exhibit;
pub mod history;
pub mod incident;
pub mod incidents;
pub mod init;
pub mod list;
pub mod locate;
pub mod restore;
pub mod restore_tree;
pub mod runbook;
pub mod scan;
pub mod selection;
pub mod set_aside;
pub mod show;
pub mod snapshot;
pub mod verify;
