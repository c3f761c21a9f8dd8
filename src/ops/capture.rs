//! Captures one consistent moment of a workspace: metadata first, then objects, then contents, then the metadata again.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::host::git::repository::{Lookup, Repository, join_bytes};
use crate::host::metadata::NotKept;
use crate::host::walk::{self, Walked, walk};
use crate::model::escape::shell_word;
use crate::model::event::{Event, Monitor, Phase};
use crate::model::ids::Digest;
use crate::model::place::Place;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::contents::{Clock, FileReader, LookOnly, is_fresh};
use crate::ops::gitdir_scan::{GitdirContext, GitdirScan};
use crate::ops::metadata::{Metadata, first_difference, seen};
use crate::ops::patterns::Patterns;
use crate::ops::scan::{Apart, Borders, WorktreeScan};
use crate::vault::builder::{self, Times};
use crate::vault::cache::ScanCache;
use crate::vault::content::{ContentWriter, Stored};
use crate::vault::known_files::KnownFiles;

/// How often a working tree that changes while it is scanned is scanned again.
const PASSES: usize = 8;

/// How often a workspace is looked through for repositories: each time those inside of the ones found last may be found.
const DEPTH: usize = 64;

/// What was captured of a workspace.
pub struct Captured {
    /// Everything by place: the git directory, the main working tree unless the repository is bare, linked ones.
    pub places: BTreeMap<Place, Vec<Walked<Stored>>>,
    /// Working trees that the workspace names and the scan did not enter, because a pattern leaves them out.
    pub unmet: BTreeSet<PathBuf>,
    /// What may be relied on next time.
    pub cache: ScanCache,
}

impl Captured {
    /// What of all that was captured is not kept.
    #[must_use]
    pub fn not_kept(&self) -> NotKept {
        let mut total = NotKept::default();
        for walked in self.places.values() {
            total.add(&walk::not_kept(walked));
        }
        total
    }

    /// A digest of the state that was captured: equal digests, equal workspaces.
    #[must_use]
    pub fn state_digest(&self) -> Digest {
        let mut bytes = Vec::new();
        for (place, walked) in &self.places {
            let times = match place {
                Place::Gitdir => Times::Ignored,
                Place::Worktree | Place::Linked(_) => Times::CountedOutsideGit,
            };
            bytes.extend_from_slice(place.name().as_bytes());
            bytes.extend_from_slice(builder::digest(walked, times).as_bytes());
        }
        Digest::of(&bytes)
    }
}

/// How capturing can fail.
pub enum CaptureError {
    /// The git directory moved meanwhile: worth another try. Names what moved.
    Moved(PathBuf),
    /// The scan met other repositories in the working trees than were known: worth another try with these.
    Borders(BTreeSet<PathBuf>),
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
            format!("ls -ld {}", shell_word(&error.path)),
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
pub(super) fn moved(error: walk::Error) -> CaptureError {
    match error {
        walk::Error::Changing(path) => CaptureError::Moved(path),
        walk::Error::Unreadable(_) | walk::Error::NotSupported(..) | walk::Error::Refused(_) => {
            CaptureError::Refused(refuse_walk(error))
        }
    }
}

/// What a capture needs beside the repository.
pub struct CaptureContext<'a> {
    /// The repository.
    pub repository: &'a Repository,
    /// Stores contents.
    pub writer: &'a ContentWriter<'a>,
    /// What is known from before.
    pub cache: &'a ScanCache,
    /// The directories in working trees that are known to have a `.git` of their own.
    pub borders: &'a BTreeSet<PathBuf>,
    /// The wall clock.
    pub clock: Clock<'a>,
    /// Is told how far it is.
    pub monitor: &'a dyn Monitor,
}

/// Captures all places as of one moment at which the metadata was what `metadata` says.
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
    let (gitdir, gitdir_cache) =
        capture_gitdir(context, metadata, known(context.cache, Place::Gitdir))?;
    metadata.check_same(Place::Gitdir, &gitdir)?;
    let mut cache = ScanCache {
        borders: context.borders.clone(),
        ..ScanCache::default()
    };
    let mut places = BTreeMap::new();
    let mut met = Borderline::default();
    for (place, root) in &metadata.workspace.places {
        let borders = metadata.borders(*place);
        let tree = TreeToCapture {
            place: *place,
            root,
            borders: &borders,
            apart: metadata.workspace.apart(*place),
        };
        let (walked, files) = capture_worktree(context, &tree, &mut met)?;
        cache.files.insert(*place, files);
        places.insert(*place, walked);
    }
    let unmet = met.settle(context.borders)?;
    metadata.workspace.check_asked(context.repository)?;
    for (place, walked) in &places {
        metadata.check_same(*place, walked)?;
    }
    let (gitdir_again, gitdir_cache) = capture_gitdir(context, metadata, &gitdir_cache)?;
    metadata.check_same(Place::Gitdir, &gitdir_again)?;
    if gitdir != gitdir_again {
        return Err(CaptureError::Moved(git_dir.clone()));
    }
    context
        .monitor
        .event(Event::Finished { phase: Phase::Scan });
    cache.files.insert(Place::Gitdir, gitdir_cache);
    places.insert(Place::Gitdir, gitdir);
    Ok(Captured {
        places,
        unmet,
        cache,
    })
}

/// The files of a place that are known from before.
fn known(cache: &ScanCache, place: Place) -> &KnownFiles {
    static NONE: std::sync::LazyLock<KnownFiles> = std::sync::LazyLock::new(KnownFiles::default);
    cache.files.get(&place).unwrap_or(&NONE)
}

/// What scans met at the borders between repositories.
#[derive(Default)]
struct Borderline {
    met: BTreeSet<PathBuf>,
    expected: BTreeSet<PathBuf>,
}

impl Borderline {
    /// Notes what one scan met; the root of a place is no border in it.
    fn note<C>(&mut self, scan: &WorktreeScan<'_, C>) {
        let paths = |paths: BTreeSet<Vec<u8>>| {
            let root = scan.root.clone();
            paths
                .into_iter()
                .filter(|path| !path.is_empty())
                .map(move |path| join_bytes(&root, &path))
        };
        let met = scan.met();
        self.met.extend(paths(met.known));
        self.met.extend(paths(met.unknown));
        self.expected
            .extend(paths(scan.borders.keys().cloned().collect()));
    }

    /// The borders that were expected and not met; only when nothing else was met than was known.
    fn settle(
        self,
        known: &BTreeSet<PathBuf>,
    ) -> std::result::Result<BTreeSet<PathBuf>, CaptureError> {
        if self.met == *known {
            Ok(self.expected.difference(&self.met).cloned().collect())
        } else {
            Err(CaptureError::Borders(self.met))
        }
    }
}

/// Looks through a workspace for all repositories in it; `known` is where to begin.
///
/// # Errors
/// [`CaptureError`].
pub fn find_borders(
    main: &Repository,
    lookup: &Lookup,
    known: &BTreeSet<PathBuf>,
) -> std::result::Result<(Metadata, BTreeSet<PathBuf>, Vec<Looked>), CaptureError> {
    let settings = &main.settings;
    let include = Patterns::new("vault.include", &settings.include)?;
    let exclude = Patterns::new("vault.exclude", &settings.exclude)?;
    let mut borders = known.clone();
    for _ in 0..DEPTH {
        let metadata = Metadata::read(main, lookup, &borders)?;
        let mut met = Borderline::default();
        let mut looked = Vec::new();
        for (place, root) in &metadata.workspace.places {
            let known = metadata.borders(*place);
            let patterns = (&include, &exclude);
            let apart = metadata.workspace.apart(*place);
            let scan = WorktreeScan::new(root, apart, &known, patterns, LookOnly);
            let walked = walk(root, &scan, WorktreeScan::<LookOnly>::outside());
            looked.push((*place, walked.map_err(refuse_walk)?));
            met.note(&scan);
        }
        match met.settle(&borders) {
            Ok(_unmet) => {
                metadata.workspace.check_asked(main)?;
                return Ok((metadata, borders, looked));
            }
            Err(CaptureError::Borders(met)) => borders = met,
            Err(error) => return Err(error),
        }
    }
    Err(CaptureError::Refused(changing(&main.git_dir)))
}

/// A place that was looked at.
pub type Looked = (Place, Vec<Walked<()>>);

type Scanned = (Vec<Walked<Stored>>, KnownFiles);

fn capture_gitdir(
    context: &CaptureContext<'_>,
    metadata: &Metadata,
    cache: &KnownFiles,
) -> std::result::Result<Scanned, CaptureError> {
    let reader = FileReader::new(context.writer, cache, context.clock, context.monitor).fine();
    let root = &context.repository.git_dir;
    let scan = GitdirScan {
        root: root.clone(),
        trees: metadata.workspace.trees_in(root),
        reader,
    };
    let walked = walk(root, &scan, GitdirContext::default()).map_err(moved)?;
    let files = scan.reader.finish(&walked);
    Ok((walked, files))
}

/// A working tree to be captured.
struct TreeToCapture<'a> {
    place: Place,
    root: &'a Path,
    borders: &'a Borders,
    apart: Apart,
}

/// Scans a working tree until what was seen is what was there at one moment: either nothing in it changed after the scan
/// began (change times cannot be set by programs), so that all of it is as of the beginning; or two scans in a row saw the
/// same, so that all of it is as of the time between them.
fn capture_worktree(
    context: &CaptureContext<'_>,
    tree: &TreeToCapture<'_>,
    met: &mut Borderline,
) -> Result<Scanned> {
    let settings = &context.repository.settings;
    let include = Patterns::new("vault.include", &settings.include)?;
    let exclude = Patterns::new("vault.exclude", &settings.exclude)?;
    let mut before: Option<Scanned> = None;
    let mut last_change = tree.root.to_owned();
    for _ in 0..PASSES {
        let cache = before
            .as_ref()
            .map_or(known(context.cache, tree.place), |(_, cache)| cache);
        let reader = FileReader::new(context.writer, cache, context.clock, context.monitor);
        let began_ns = reader.began_ns();
        let patterns = (&include, &exclude);
        let apart = tree.apart.clone();
        let scan = WorktreeScan::new(tree.root, apart, tree.borders, patterns, reader);
        let walked = match walk(tree.root, &scan, WorktreeScan::<LookOnly>::outside()) {
            Err(walk::Error::Changing(path)) => {
                last_change = path;
                continue;
            }
            walked => walked.map_err(refuse_walk)?,
        };
        let now = walked;
        let is_same = before.as_ref().is_some_and(|(before, _)| *before == now);
        if is_same || !any_fresh(&now, began_ns) {
            met.note(&scan);
            let files = scan.reader.finish(&now);
            return Ok((now, files));
        }
        if let Some((walked, _)) = &before
            && let Some(path) = first_difference(walked, &by_path(&now))
        {
            last_change = join_bytes(tree.root, &path);
        }
        let files = scan.reader.finish(&now);
        before = Some((now, files));
    }
    Err(changing(&last_change))
}

fn by_path<C>(walked: &[Walked<C>]) -> Vec<(&[u8], &Walked<C>)> {
    walked
        .iter()
        .map(|directory| (directory.path.as_slice(), directory))
        .collect()
}

/// Whether anything seen could have changed since the scan began; where change times do not tell, it could.
fn any_fresh(walked: &[Walked<Stored>], began_ns: i128) -> bool {
    walked.iter().any(|directory| {
        let entries = directory
            .entries
            .iter()
            .filter_map(|(_, found)| seen(found).1);
        !directory.has_change_times
            || is_fresh(&directory.fingerprint, began_ns)
            || entries.into_iter().any(|entry| is_fresh(&entry, began_ns))
    })
}
