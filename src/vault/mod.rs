//! The vault as an object with laws: a bare git repository, signed records beside it, a hash-chained log.

pub mod builder;
pub mod built_directories;
pub mod cache;
pub mod content;
pub mod distrust;
pub mod drift;
pub mod health;
pub mod inspect;
pub mod keyring;
pub mod known_files;
pub mod lacking;
pub mod last_seen;
pub mod layout;
pub mod log;
pub mod log_append;
pub mod probe;
pub mod promised;
pub mod reader;
pub mod registry;
pub mod skeleton;
pub mod snapshot_index;
pub mod staging;
pub mod store;
pub mod structure;
pub mod topmost;
pub mod trial;
