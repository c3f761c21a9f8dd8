//! `git vault find`, `log`: which snapshots hold a path, and which versions of it there are.

use std::collections::BTreeMap;
use std::path::Path;

use globset::{GlobBuilder, GlobMatcher};

use crate::model::place::Place;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::version::Version;
use crate::ops::locate::Workplace;
use crate::ops::path_history::{Stage, stages};
use crate::ops::snapshot_path::SnapshotPath;
use crate::vault::log::LoggedSnapshot;
use crate::vault::path_changes::PathChange;

/// A path that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// In which tree: the main working tree, or one that lies outside of it.
    pub place: Place,
    /// The path.
    pub path: Vec<u8>,
    /// The first snapshot that holds it.
    pub first: LoggedSnapshot,
    /// The newest snapshot that holds it.
    pub last: LoggedSnapshot,
    /// In how many snapshots it is.
    pub snapshots: u64,
    /// How many different contents it had, one after the other.
    pub versions: u64,
    /// What it is in the newest snapshot that holds it.
    pub version: Version,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindReport {
    /// In the order of their paths.
    pub found: Vec<Found>,
    /// Snapshots that were searched.
    pub searched: u64,
    /// Snapshots that were not, because a key was compromised.
    pub passed_over: u64,
    /// The newest snapshot.
    pub newest: Option<LoggedSnapshot>,
}

/// One version of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The first snapshot that holds this version.
    pub first: LoggedSnapshot,
    /// The last of the snapshots in a row that hold it.
    pub last: LoggedSnapshot,
    /// How many those are.
    pub snapshots: u64,
    /// What it is; `None` where the path is not there.
    pub version: Option<Version>,
}

/// The versions of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogReport {
    /// The path.
    pub path: Vec<u8>,
    /// Oldest first; times without the path stand between.
    pub versions: Vec<Logged>,
}

/// A path that matches, while the snapshots are gone through.
struct Traced {
    found: Found,
    /// Since which of the snapshots in a row that hold it; `None` while it is not there.
    since: Option<usize>,
}

/// Finds paths of all working trees by a pattern: a name or a part of one, or a glob in which `*` stops at `/` and `**` does not.
///
/// # Errors
/// When the pattern makes no sense, or a snapshot cannot be trusted.
pub fn find(workplace: &Workplace, pattern: &str) -> Result<FindReport> {
    let matcher = Matcher::new(pattern)?;
    let vault = workplace.existing_vault()?;
    let stages = stages(&vault)?;
    let mut traced: BTreeMap<(Place, &[u8]), Traced> = BTreeMap::new();
    for (place, stage) in stages.iter().enumerate() {
        for change in stage.in_working_trees() {
            let name = change.path.rsplit(|byte| *byte == b'/').next();
            if matcher.matches(&change.path, name.unwrap_or_default()) {
                note(&mut traced, change, place, &stages);
            }
        }
    }
    let found = traced.into_values().map(|mut traced| {
        leave(&mut traced, stages.len(), &stages);
        traced.found
    });
    let searched = stages.len() as u64;
    Ok(FindReport {
        found: found.collect(),
        searched,
        passed_over: vault.log.snapshots.len() as u64 - searched,
        newest: vault.log.accepted().next_back().cloned(),
    })
}

/// Takes note of what became of a path that is looked for, at one of the stages.
fn note<'s>(
    traced: &mut BTreeMap<(Place, &'s [u8]), Traced>,
    change: &'s PathChange,
    at: usize,
    stages: &[Stage],
) {
    let key = (change.place, change.path.as_slice());
    let Some(version) = change.new else {
        if let Some(traced) = traced.get_mut(&key) {
            leave(traced, at, stages);
        }
        return;
    };
    let Some(stage) = stages.get(at) else {
        return;
    };
    let one = traced.entry(key).or_insert_with(|| Traced {
        found: Found {
            place: change.place,
            path: change.path.clone(),
            first: stage.snapshot.clone(),
            last: stage.snapshot.clone(),
            snapshots: 0,
            versions: 1,
            version,
        },
        since: None,
    });
    if !one.found.version.is_same(&version) {
        one.found.versions += 1;
    }
    one.found.version = version;
    one.since.get_or_insert(at);
}

/// Counts the snapshots in which a path was, up to the stage at which it is not there any more.
fn leave(traced: &mut Traced, at: usize, stages: &[Stage]) {
    if let Some(since) = traced.since.take()
        && let Some(last) = at.checked_sub(1).and_then(|last| stages.get(last))
    {
        traced.found.snapshots += (at - since) as u64;
        traced.found.last = last.snapshot.clone();
    }
}

/// What is looked for.
pub(super) struct Matcher {
    glob: Option<GlobMatcher>,
    text: Vec<u8>,
    has_slash: bool,
}

impl Matcher {
    pub(super) fn new(pattern: &str) -> Result<Self> {
        let is_glob = pattern.contains(['*', '?', '[']);
        let glob = is_glob.then(|| GlobBuilder::new(pattern).literal_separator(true).build());
        let glob = glob.transpose().map_err(|error| {
            Refusal::new(
                RefusalCode::SettingInvalid,
                format!("'{pattern}' is no pattern"),
            )
            .because(error.kind().to_string())
            .keeping("nothing was touched")
        })?;
        Ok(Self {
            glob: glob.map(|glob| glob.compile_matcher()),
            text: pattern.as_bytes().to_vec(),
            has_slash: pattern.contains('/'),
        })
    }

    /// A pattern with a slash is for whole paths, any other for names.
    pub(super) fn matches(&self, path: &[u8], name: &[u8]) -> bool {
        use std::os::unix::ffi::OsStrExt as _;
        let subject = if self.has_slash { path } else { name };
        let is_matched = self
            .glob
            .as_ref()
            .is_some_and(|glob| glob.is_match(Path::new(std::ffi::OsStr::from_bytes(subject))));
        // A name may hold what means something else in a glob.
        is_matched
            || subject
                .windows(self.text.len().max(1))
                .any(|part| part == self.text)
    }
}

/// The versions of one path over all snapshots.
///
/// # Errors
/// When no snapshot holds it, or one cannot be trusted.
pub fn log(workplace: &Workplace, asked: &SnapshotPath) -> Result<LogReport> {
    let vault = workplace.existing_vault()?;
    let mut versions: Vec<Logged> = Vec::new();
    let mut version: Option<Version> = None;
    for Stage { snapshot, changes } in stages(&vault)? {
        let is_asked =
            |change: &&PathChange| change.place == asked.place && change.path == asked.path;
        if let Some(change) = changes.iter().find(is_asked) {
            version = change.new;
        }
        let is_same = |last: &Logged| match (&last.version, &version) {
            (Some(left), Some(right)) => left.is_same(right),
            (None, None) => true,
            _ => false,
        };
        match versions.last_mut().filter(|last| is_same(last)) {
            Some(last) => {
                last.last = snapshot;
                last.snapshots += 1;
            }
            None => versions.push(Logged {
                first: snapshot.clone(),
                last: snapshot,
                snapshots: 1,
                version,
            }),
        }
    }
    if versions.iter().all(|one| one.version.is_none()) {
        let newest = vault.log.accepted().next_back();
        let newest = newest.map_or("@latest", |newest| newest.record.id.as_str());
        return Err(
            crate::ops::snapshot_path::not_in(newest, asked.place, &asked.path)
                .because("nor does any other snapshot"),
        );
    }
    Ok(LogReport {
        path: asked.path.clone(),
        versions,
    })
}
