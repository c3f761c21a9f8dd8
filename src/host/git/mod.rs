//! Git repositories, read and written without a git executable. The only folder that names gix; no gix type leaves it.

pub mod alternates;
pub mod config_file;
pub mod config_include;
pub mod error;
pub mod gitfile;
pub mod grafts;
pub mod hook_settings;
pub mod id_table;
pub mod ignore;
pub mod index;
pub mod index_lookup;
pub mod loose;
pub mod misplaced;
pub mod object;
pub mod pack_check;
pub mod pack_copy;
pub mod pack_index;
pub mod pack_reader;
pub mod pack_writer;
pub mod packs;
pub mod ref_files;
pub mod reftable;
mod reftable_table;
pub mod repository;
pub mod stores;
pub mod tips;
pub mod tree;
