//! When each trigger last fired for a repository, and what came of it: noted outside vault and repository, so that triggers
//! that should have fired and did not can be told from those that had nothing to do.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::host::disk::{self, Error, Result};
use crate::host::walk::path_bytes;
use crate::model::escape::text_name;
use crate::model::ids::{Digest, to_hex};
use crate::model::timestamp::Timestamp;

/// Largest note read.
const LIMIT_BYTES: u64 = 1 << 16;

/// What came of a trigger.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// A snapshot was sealed.
    Sealed,
    /// The newest snapshot held this very state.
    Unchanged,
    /// It was left to a worker, or to another process that is at it.
    Pending,
    /// No snapshot could be made.
    Refused,
}

/// The last time a trigger fired for a repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// The common git directory, as text.
    pub git_dir: String,
    /// The trigger, as the manifest of a snapshot names it: `agent/claude`, `hook/pre-rebase`, `guard`, `sweep` ...
    pub trigger: String,
    /// When it fired.
    pub fired: Timestamp,
    /// What came of it.
    pub outcome: Outcome,
    /// The id of the snapshot, or the code of the refusal; empty when there is neither.
    pub detail: String,
}

impl Heartbeat {
    /// A trigger that has just fired.
    #[must_use]
    pub fn new(git_dir: &Path, trigger: &str, fired: Timestamp, outcome: Outcome) -> Self {
        Self {
            git_dir: text_name(path_bytes(git_dir)),
            trigger: trigger.to_owned(),
            fired,
            outcome,
            detail: String::new(),
        }
    }

    /// The same with the id of a snapshot, or the code of a refusal.
    #[must_use]
    pub fn with_detail(self, detail: &str) -> Self {
        Self {
            detail: detail.to_owned(),
            ..self
        }
    }
}

/// The name under which things of a repository are kept outside of it.
#[must_use]
pub fn repository_key(git_dir: &Path) -> String {
    let digest = Digest::of(path_bytes(git_dir));
    to_hex(digest.as_bytes().get(..16).unwrap_or_default())
}

fn directory(state_home: &Path, git_dir: &Path) -> PathBuf {
    state_home.join("heartbeats").join(repository_key(git_dir))
}

/// Notes that a trigger fired. Not made durable: a hint for people, and it must cost a commit nothing.
///
/// # Errors
/// When it cannot be written.
pub fn stamp(state_home: &Path, git_dir: &Path, heartbeat: &Heartbeat) -> Result<()> {
    let name = format!("{}.toml", heartbeat.trigger.replace('/', "-"));
    let path = directory(state_home, git_dir).join(name);
    let text = toml::to_string(heartbeat)
        .map_err(|error| Error::new("write", &path, std::io::Error::other(error.to_string())))?;
    disk::replace_cache_anywhere(&path, text.as_bytes())
}

/// The triggers that ever fired for a repository, by name; notes that cannot be understood are passed over.
#[must_use]
pub fn read(state_home: &Path, git_dir: &Path) -> Vec<Heartbeat> {
    let directory = directory(state_home, git_dir);
    let names = disk::list(&directory).unwrap_or_default();
    let notes = names.into_iter().filter_map(|name| {
        let bytes = disk::read_bounded(&directory.join(name), LIMIT_BYTES).ok()?;
        let heartbeat: Heartbeat = toml::from_str(std::str::from_utf8(&bytes).ok()?).ok()?;
        (heartbeat.git_dir == text_name(path_bytes(git_dir))).then_some(heartbeat)
    });
    let mut notes: Vec<Heartbeat> = notes.collect();
    notes.sort_by(|left, right| left.trigger.cmp(&right.trigger));
    notes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_beat_of_each_trigger_is_kept_by_repository() {
        let state = tempfile::tempdir().unwrap();
        let beat = |git_dir: &str, trigger: &str, seconds, outcome| {
            let fired = Timestamp::from_seconds(seconds);
            let beat = Heartbeat::new(Path::new(git_dir), trigger, fired, outcome);
            stamp(state.path(), Path::new(git_dir), &beat).unwrap();
            beat
        };
        beat("/a/.git", "hook/post-commit", 1, Outcome::Pending);
        let commit = beat("/a/.git", "hook/post-commit", 2, Outcome::Sealed);
        let sweep = beat("/a/.git", "sweep", 3, Outcome::Unchanged);
        beat("/b/.git", "sweep", 4, Outcome::Refused);
        assert_eq!(read(state.path(), Path::new("/a/.git")), [commit, sweep]);
        assert!(read(state.path(), Path::new("/c/.git")).is_empty());
    }
}
