//! What the tests stand on: a sealed-off sandbox, repository states built with real git, and an oracle.

pub mod commands;
pub mod extended_attributes;
pub mod files;
pub mod fingerprint;
pub mod forge;
pub mod forged_pack;
pub mod gits;
pub mod hooked;
pub mod listing;
pub mod mount;
pub mod mutations;
pub mod repo_state;
pub mod said;
pub mod sandbox;
pub mod states;

pub use repo_state::{Kind, RepoState, RootTimes};
pub use said::Said;
pub use sandbox::Sandbox;
