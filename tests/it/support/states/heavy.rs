//! States too large for every run of every test.

use std::path::PathBuf;

use super::super::Sandbox;
use super::super::files::{noise, write};
use super::{State, small_repository, workspace};

const HUNDRED_MEGABYTES: usize = 100_000_000;

pub fn states() -> Vec<State> {
    vec![
        workspace("hundred_megabytes_untracked", hundred_megabytes_untracked),
        workspace("thirty_megabytes_committed", thirty_megabytes_committed),
    ]
}

fn hundred_megabytes_untracked(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    write(&repository, "noise.bin", noise(1, HUNDRED_MEGABYTES));
    write(&repository, "zeros.bin", vec![0; HUNDRED_MEGABYTES / 5]);
    write(&repository, "empty.bin", "");
    repository
}

/// A blob of the history that is larger than what the vault cuts into chunks, once unchanged and once edited.
fn thirty_megabytes_committed(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    let large = noise(2, 30_000_000);
    write(&repository, "unchanged.bin", &large);
    write(&repository, "edited.bin", &large[1..]);
    sandbox.commit(&repository, "large files");
    write(&repository, "edited.bin", &large[2..]);
    repository
}
