//! git-vault saves the work that git does not, as signed, self-describing snapshots outside the repository.
//!
//! Five layers, each of which may use only what stands below it, in reading order:
//!
//! * [`model`]: plain types and rules; no input or output, no clock, no gix
//! * [`host`]: everything that touches the machine: files, metadata, keys, git
//! * [`vault`]: the vault as an object with laws
//! * [`ops`]: one file per command, each a straight line of steps
//! * [`cli`]: turns words into one call, and its outcome into words
//!
//! The library exists for the program and for its tests; it promises no stable interface to others.

#[cfg(not(unix))]
compile_error!(
    "git-vault does not support this system: it needs POSIX file semantics (see docs/SHORTCOMINGS.md)"
);

pub mod cli;
pub mod host;
pub mod model;
pub mod ops;
pub mod vault;
