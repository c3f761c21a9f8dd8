//! Captures one consistent moment of a workspace: metadata first, then objects, then contents, then the metadata again.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};

use crate::host::git::ignore::Rules;
use crate::host::git::index::Index;
use crate::host::git::object::ObjectId;
use crate::host::git::repository::Repository;
use crate::host::git::tips::{self, Tips};
use crate::host::metadata::Fingerprint;
use crate::host::walk::{self, Found, Walked, walk};
use crate::model::event::{Event, Monitor, Phase};
use crate::model::ids::Digest;
use crate::model::listing::Reason;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::scan::{
    Clock, FileReader, GitdirLook, GitdirScan, Patterns, WorktreeContext, WorktreeScan, is_fresh,
};
use crate::vault::builder::{self, Times};
use crate::vault::cache::{CachedFile, ScanCache};
use crate::vault::content::{ContentWriter, Stored};

/// How often a working tree that changes while it is scanned is scanned again.
const PASSES: usize = 8;

/// The metadata of a repository, read before anything else.
pub struct Metadata {
    /// Fingerprints of everything in the git directory.
    pub(super) look: Vec<Walked<()>>,
    tip_digests: BTreeMap<Vec<u8>, Digest>,
    /// What the git directory names.
    pub tips: Tips,
    /// The objects that the index names.
    pub index_ids: Vec<ObjectId>,
    needed: BTreeSet<ObjectId>,
    pub(super) index: Index,
}

/// What was captured of a workspace.
pub struct Captured {
    /// The git directory.
    pub gitdir: Vec<Walked<Stored>>,
    /// The working tree; `None` for a bare repository.
    pub worktree: Option<Vec<Walked<Stored>>>,
    /// What may be relied on next time.
    pub cache: ScanCache,
}

impl Captured {
    /// A digest of the state that was captured: equal digests, equal workspaces.
    #[must_use]
    pub fn state_digest(&self) -> Digest {
        let gitdir = builder::digest(&self.gitdir, Times::Ignored);
        let worktree = self
            .worktree
            .as_ref()
            .map(|walked| builder::digest(walked, Times::Counted));
        let mut bytes = gitdir.as_bytes().to_vec();
        bytes.extend(worktree.iter().flat_map(|digest| *digest.as_bytes()));
        Digest::of(&bytes)
    }
}

/// How capturing can fail.
pub enum CaptureError {
    /// The git directory moved meanwhile: worth another try. Names what moved.
    Moved(PathBuf),
    /// No use in trying again.
    Refused(Refusal),
}

impl From<Refusal> for CaptureError {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Turns a failed walk into a refusal.
pub(super) fn refuse_walk(error: walk::Error) -> Refusal {
    match error {
        walk::Error::Unreadable(error) => error.refuse(RefusalCode::SourceUnreadable).next(
            format!("ls -ld '{}'", error.path.display()),
            "shows owner and permissions",
        ),
        walk::Error::Changing(path) => changing(&path),
        walk::Error::NotSupported(what, path) => Refusal::new(
            RefusalCode::SourceNotSupported,
            format!("this version cannot capture this whole: {what}"),
        )
        .because(format!("'{}'", path.display()))
        .because("a snapshot that silently lacks something would be worse than none"),
        walk::Error::Refused(refusal) => refusal,
    }
}

/// Says that something will not hold still.
#[must_use]
pub fn changing(path: &Path) -> Refusal {
    Refusal::new(RefusalCode::SourceChanging, "the workspace keeps changing")
        .because(format!(
            "'{}' changed every time it was looked at",
            path.display()
        ))
        .next(
            "git vault snapshot",
            "tries again; let builds and other commands finish first",
        )
}

/// A walk of the git directory: what changed under it is a movement, not a refusal.
fn moved(error: walk::Error) -> CaptureError {
    match error {
        walk::Error::Changing(path) => CaptureError::Moved(path),
        walk::Error::Unreadable(_) | walk::Error::NotSupported(..) | walk::Error::Refused(_) => {
            CaptureError::Refused(refuse_walk(error))
        }
    }
}

impl Metadata {
    /// Reads HEAD, refs, reflogs, operation files and index.
    ///
    /// # Errors
    /// [`CaptureError`].
    pub fn read(repository: &Repository) -> std::result::Result<Self, CaptureError> {
        let scan = GitdirLook::default();
        let look = walk(&repository.git_dir, &scan, ()).map_err(moved)?;
        let files = scan
            .tip_files
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let paths: Vec<Vec<u8>> = paths(&look).collect();
        let tips = tips::read(&files, &paths);
        let tip_digests = files
            .into_iter()
            .map(|(path, bytes)| (path, Digest::of(&bytes)))
            .collect();
        let index =
            Index::open(&repository.git_dir.join("index"), repository.format).map_err(|error| {
                Refusal::new(
                    RefusalCode::SourceIndexDamaged,
                    "the index of the repository cannot be understood",
                )
                .because(format!("'{}': {}", error.path.display(), error.reason))
                .next("git fsck --cache", "says what git thinks of it")
            })?;
        let index_ids = index.ids();
        let needed = tips.needed.iter().chain(&index_ids).copied().collect();
        Ok(Self {
            look,
            tip_digests,
            tips,
            index_ids,
            needed,
            index,
        })
    }

    /// Does not ask for what git does without: for a source that lacks it.
    pub(super) fn do_without_optional(&mut self) {
        self.tips.do_without_optional();
        self.needed = self
            .tips
            .needed
            .iter()
            .chain(&self.index_ids)
            .copied()
            .collect();
    }

    /// Ids that must be in the history.
    #[must_use]
    pub fn needed(&self) -> &BTreeSet<ObjectId> {
        &self.needed
    }

    /// A digest of all ids that are named, needed and tolerated, and of known holes.
    #[must_use]
    pub fn ids_digest(&self, holes: &BTreeSet<ObjectId>) -> Digest {
        let mut bytes = Vec::new();
        for ids in [&self.needed, &self.tips.tolerated, holes] {
            bytes.extend_from_slice(&(ids.len() as u64).to_le_bytes());
            for id in ids {
                bytes.extend_from_slice(id.as_bytes());
            }
        }
        Digest::of(&bytes)
    }

    /// Lock files that a running git held.
    #[must_use]
    pub fn locks(&self) -> Vec<Vec<u8>> {
        let is_lock = |found: &Found<()>| {
            matches!(
                found,
                Found::LeftOut {
                    reason: Reason::Lock,
                    ..
                }
            )
        };
        let entries = self.look.iter().flat_map(|directory| {
            directory
                .entries
                .iter()
                .map(move |(name, found)| (walk::join(&directory.path, name), found))
        });
        entries
            .filter(|(_, found)| is_lock(found))
            .map(|(path, _)| path)
            .collect()
    }

    /// Whether the git directory still is what it was: same fingerprints, and the captured bytes are those that tips were
    /// read from.
    fn check_same(
        &self,
        root: &Path,
        captured: &[Walked<Stored>],
    ) -> std::result::Result<(), CaptureError> {
        if let Some(path) = first_difference(&self.look, captured) {
            return Err(CaptureError::Moved(root.join(
                crate::host::git::repository::join_bytes(Path::new(""), &path),
            )));
        }
        for directory in captured {
            for (name, found) in &directory.entries {
                let path = walk::join(&directory.path, name);
                if let (Found::File { content, .. }, Some(digest)) =
                    (found, self.tip_digests.get(&path))
                    && content.blake3 != *digest
                {
                    return Err(CaptureError::Moved(
                        crate::host::git::repository::join_bytes(root, &path),
                    ));
                }
            }
        }
        Ok(())
    }
}

fn paths<C>(walked: &[Walked<C>]) -> impl Iterator<Item = Vec<u8>> {
    walked.iter().flat_map(|directory| {
        directory
            .entries
            .iter()
            .map(|(name, _)| walk::join(&directory.path, name))
    })
}

/// Everything a walk saw of an entry but its content.
fn seen<C>(found: &Found<C>) -> (u8, Option<Fingerprint>) {
    match found {
        Found::File { fingerprint, .. } => (0, Some(*fingerprint)),
        Found::Link { fingerprint, .. } => (1, Some(*fingerprint)),
        Found::Directory => (2, None),
        Found::Special(_, fingerprint) => (3, Some(*fingerprint)),
        Found::LeftOut { .. } => (4, None),
    }
}

/// The first path at which two walks saw something else.
fn first_difference<A, B>(left: &[Walked<A>], right: &[Walked<B>]) -> Option<Vec<u8>> {
    for (left, right) in left.iter().zip(right) {
        if left.path != right.path || left.fingerprint != right.fingerprint {
            return Some(left.path.clone());
        }
        for ((left_name, left_found), (right_name, right_found)) in
            left.entries.iter().zip(&right.entries)
        {
            if left_name != right_name || seen(left_found) != seen(right_found) {
                return Some(walk::join(&left.path, left_name));
            }
        }
        if left.entries.len() != right.entries.len() {
            return Some(left.path.clone());
        }
    }
    let longer = left.len().min(right.len());
    let rest = left
        .get(longer)
        .map(|walked| &walked.path)
        .or(right.get(longer).map(|walked| &walked.path));
    rest.cloned()
}

/// What a capture needs beside the repository.
pub struct CaptureContext<'a> {
    /// The repository.
    pub repository: &'a Repository,
    /// Stores contents.
    pub writer: &'a ContentWriter<'a>,
    /// What is known from before.
    pub cache: &'a ScanCache,
    /// The wall clock.
    pub clock: Clock<'a>,
    /// Is told how far it is.
    pub monitor: &'a dyn Monitor,
}

/// Captures git directory and working tree as of one moment at which the metadata was what `metadata` says.
///
/// # Errors
/// [`CaptureError`].
pub fn capture(
    context: &CaptureContext<'_>,
    metadata: &Metadata,
) -> std::result::Result<Captured, CaptureError> {
    let started = Event::Started {
        phase: Phase::Scan,
        total: None,
    };
    context.monitor.event(started);
    let git_dir = &context.repository.git_dir;
    let (gitdir, gitdir_cache) = capture_gitdir(context, &context.cache.gitdir)?;
    metadata.check_same(git_dir, &gitdir)?;
    let worktree = match &context.repository.worktree {
        Some(root) => Some(capture_worktree(context, metadata, root)?),
        None => None,
    };
    let (gitdir_again, gitdir_cache) = capture_gitdir(context, &gitdir_cache)?;
    metadata.check_same(git_dir, &gitdir_again)?;
    if gitdir != gitdir_again {
        return Err(CaptureError::Moved(git_dir.clone()));
    }
    context
        .monitor
        .event(Event::Finished { phase: Phase::Scan });
    let (worktree, worktree_cache) = worktree.map_or((None, HashMap::new()), |(walked, cache)| {
        (Some(walked), cache)
    });
    let cache = ScanCache {
        worktree: worktree_cache,
        gitdir: gitdir_cache,
        mirrored: Vec::new(),
        sound: Vec::new(),
        places: BTreeMap::new(),
        proven: None,
        state: None,
    };
    Ok(Captured {
        gitdir,
        worktree,
        cache,
    })
}

type Scanned = (Vec<Walked<Stored>>, HashMap<Vec<u8>, CachedFile>);

fn capture_gitdir(
    context: &CaptureContext<'_>,
    cache: &HashMap<Vec<u8>, CachedFile>,
) -> std::result::Result<Scanned, CaptureError> {
    let reader = FileReader::new(context.writer, cache, context.clock, context.monitor).fine();
    let scan = GitdirScan { reader };
    let walked = walk(&context.repository.git_dir, &scan, ()).map_err(moved)?;
    Ok((walked, scan.reader.finish()))
}

/// The ignore rules that hold at the root of the working tree, before any `.gitignore`.
///
/// # Errors
/// When a file of rules is there and cannot be read.
pub(super) fn rules_of(repository: &Repository) -> Result<Rules> {
    let settings = &repository.settings;
    let info_exclude = repository.common_dir.join("info/exclude");
    Rules::everywhere(
        settings.excludes_file.as_deref(),
        &info_exclude,
        settings.ignore_case,
    )
    .map_err(|error| error.refuse(RefusalCode::SourceUnreadable))
}

/// Scans the working tree until what was seen is what was there at one moment: either nothing in it changed after the scan
/// began (change times cannot be set by programs), so that all of it is as of the beginning; or two scans in a row saw the
/// same, so that all of it is as of the time between them.
fn capture_worktree(
    context: &CaptureContext<'_>,
    metadata: &Metadata,
    root: &Path,
) -> Result<Scanned> {
    let settings = &context.repository.settings;
    let include = Patterns::new("vault.include", &settings.include)?;
    let exclude = Patterns::new("vault.exclude", &settings.exclude)?;
    let mut before: Option<Scanned> = None;
    let mut last_change = root.to_owned();
    for _ in 0..PASSES {
        let rules = rules_of(context.repository)?;
        let began_ns = (context.clock)();
        let cache = before
            .as_ref()
            .map_or(&context.cache.worktree, |(_, cache)| cache);
        let scan = WorktreeScan {
            root: root.to_owned(),
            index: &metadata.index,
            include: &include,
            exclude: &exclude,
            reader: FileReader::new(context.writer, cache, context.clock, context.monitor),
        };
        let walked = match walk(root, &scan, WorktreeContext::at_root(rules)) {
            Err(walk::Error::Changing(path)) => {
                last_change = path;
                continue;
            }
            walked => walked.map_err(refuse_walk)?,
        };
        let now = (walked, scan.reader.finish());
        let is_same = before.as_ref().is_some_and(|(before, _)| *before == now.0);
        if is_same || !any_fresh(&now.0, began_ns) {
            return Ok(now);
        }
        if let Some((walked, _)) = &before
            && let Some(path) = first_difference(walked, &now.0)
        {
            last_change = crate::host::git::repository::join_bytes(root, &path);
        }
        before = Some(now);
    }
    Err(changing(&last_change))
}

/// Whether anything seen could have changed since the scan began.
fn any_fresh(walked: &[Walked<Stored>], began_ns: i128) -> bool {
    walked.iter().any(|directory| {
        let entries = directory
            .entries
            .iter()
            .filter_map(|(_, found)| seen(found).1);
        is_fresh(&directory.fingerprint, began_ns)
            || entries.into_iter().any(|entry| is_fresh(&entry, began_ns))
    })
}
