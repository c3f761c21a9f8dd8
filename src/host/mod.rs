//! Everything that touches the machine: files, metadata, keys, git repositories.

pub mod ancestors;
pub mod background;
pub mod chunker;
pub mod directory;
pub mod disk;
pub mod escrow;
pub mod file_system;
pub mod files_below;
pub mod git;
pub mod git_program;
pub mod keys;
pub mod lock;
pub mod locked_edit;
pub mod machine;
pub mod metadata;
pub mod nameless;
pub mod parallel;
pub mod program;
pub mod projects;
pub mod random;
pub mod scratch;
pub mod settings_file;
pub mod walk;
