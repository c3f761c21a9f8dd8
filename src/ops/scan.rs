//! What is captured of a working tree, and what is left out; at the border to another repository the rules change.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::host::chunker::{BULK, FINE, Profile};
use crate::host::disk;
use crate::host::git::gitfile;
use crate::host::git::ignore::{Decision, Rules, read_gitignore};
use crate::host::git::index::Index;
use crate::host::git::repository::join_bytes;
use crate::host::metadata::{self, Extras, Fingerprint, Kind};
use crate::host::walk::{Error, Judgement, Opened, Result, Scan};
use crate::model::event::{Event, Monitor, Phase};
use crate::model::ids::Digest;
use crate::model::listing::Reason;
use crate::ops::gitdir_scan::GitdirContext;
use crate::ops::patterns::Patterns;
use crate::vault::cache::CachedFile;
use crate::vault::content::{ContentWriter, StoreError, Stored};

/// Change times are taken from a clock that the kernel moves in ticks of at most 10 ms: what is younger than this may have
/// changed once more without showing it.
const TICK_NS: i128 = 50_000_000;

/// The same for file systems whose times have no fraction of a second.
const COARSE_NS: i128 = 2_100_000_000;

/// How long a file must have been left alone before its content is remembered: a write through a memory mapping to a page
/// that is dirty already changes no time, and pages stay dirty until the system writes them back (30 s by default).
const QUIET_NS: i128 = 60_000_000_000;

/// Whether a file with this change time could have changed at or after `moment_ns` without a newer change time.
#[must_use]
pub fn is_fresh(fingerprint: &Fingerprint, moment_ns: i128) -> bool {
    let is_coarse = fingerprint.ctime_ns.rem_euclid(1_000_000_000) == 0;
    fingerprint.ctime_ns >= moment_ns - if is_coarse { COARSE_NS } else { TICK_NS }
}

/// Gives the wall clock's time in ns since the epoch.
pub type Clock<'a> = &'a (dyn Fn() -> i128 + Sync);

/// What a scan of a working tree does with the files it keeps.
pub trait Contents: Sync {
    /// What is known of a content afterwards.
    type Content: Send;

    /// Takes a file.
    ///
    /// # Errors
    /// When it cannot be read or stored.
    fn file(
        &self,
        directory: &Opened<'_>,
        name: &[u8],
        fingerprint: &Fingerprint,
    ) -> Result<(Self::Content, Extras)>;

    /// Takes the target of a symbolic link.
    ///
    /// # Errors
    /// When it cannot be stored.
    fn link(&self, path: &[u8], target: &[u8], fingerprint: &Fingerprint) -> Result<Self::Content>;
}

/// Reads nothing: only what is there, and since when, is of interest.
pub struct LookOnly;

impl Contents for LookOnly {
    type Content = ();

    fn file(&self, _: &Opened<'_>, _: &[u8], _: &Fingerprint) -> Result<((), Extras)> {
        Ok(((), Extras::default()))
    }

    fn link(&self, _: &[u8], _: &[u8], _: &Fingerprint) -> Result<()> {
        Ok(())
    }
}

impl Contents for FileReader<'_> {
    type Content = Stored;

    fn file(
        &self,
        directory: &Opened<'_>,
        name: &[u8],
        fingerprint: &Fingerprint,
    ) -> Result<(Stored, Extras)> {
        self.content(directory, name, fingerprint)
    }

    fn link(&self, path: &[u8], target: &[u8], fingerprint: &Fingerprint) -> Result<Stored> {
        self.target(path, target, fingerprint)
    }
}

/// Reads files through a cache: what is known and has not changed is not read again.
pub struct FileReader<'a> {
    writer: &'a ContentWriter<'a>,
    cache: &'a HashMap<Vec<u8>, CachedFile>,
    read: Mutex<HashMap<Vec<u8>, CachedFile>>,
    profile: Profile,
    clock: Clock<'a>,
    monitor: &'a dyn Monitor,
}

impl<'a> FileReader<'a> {
    /// Makes a reader of files of a working tree.
    #[must_use]
    pub fn new(
        writer: &'a ContentWriter<'a>,
        cache: &'a HashMap<Vec<u8>, CachedFile>,
        clock: Clock<'a>,
        monitor: &'a dyn Monitor,
    ) -> Self {
        Self {
            writer,
            cache,
            read: Mutex::default(),
            profile: BULK,
            clock,
            monitor,
        }
    }

    /// Makes a reader of files of a git directory.
    #[must_use]
    pub fn fine(self) -> Self {
        Self {
            profile: FINE,
            ..self
        }
    }

    /// What may be relied on next time: files whose content was read well after they last changed.
    #[must_use]
    pub fn finish(self) -> HashMap<Vec<u8>, CachedFile> {
        self.read
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn known(&self, path: &[u8], fingerprint: &Fingerprint) -> Option<&CachedFile> {
        self.cache
            .get(path)
            .filter(|cached| cached.fingerprint == *fingerprint)
    }

    fn remember(&self, path: Vec<u8>, file: CachedFile) {
        if let Ok(mut read) = self.read.lock() {
            read.insert(path, file);
        }
    }

    fn content(
        &self,
        directory: &Opened<'_>,
        name: &[u8],
        fingerprint: &Fingerprint,
    ) -> Result<(Stored, Extras)> {
        self.monitor.event(Event::Advanced {
            phase: Phase::Scan,
            units: 1,
        });
        let path = directory.path_of(name);
        if let Some(cached) = self.known(&path, fingerprint)
            && directory.tells_of_writes(name, fingerprint)?
        {
            self.remember(path, cached.clone());
            return Ok((cached.stored, cached.extras.clone()));
        }
        let began_ns = (self.clock)();
        let shown = directory.shown(name);
        let mut file = directory.open(name, fingerprint)?;
        let stored = match self.writer.file(&mut file, fingerprint.bytes, self.profile) {
            Ok(stored) => stored,
            Err(StoreError::Changed) => return Err(Error::Changing(shown)),
            Err(StoreError::Source(error)) => {
                return Err(Error::Unreadable(disk::Error::new("read", &shown, error)));
            }
            Err(StoreError::Vault(refusal)) => return Err(Error::Refused(refusal)),
        };
        let extras = metadata::read_extras(&file, &shown)?;
        if metadata::look_at_open(&file, &shown)? != *fingerprint {
            return Err(Error::Changing(shown));
        }
        if !is_fresh(fingerprint, began_ns - QUIET_NS) {
            self.remember(
                path,
                CachedFile {
                    fingerprint: *fingerprint,
                    extras: extras.clone(),
                    stored,
                },
            );
        }
        Ok((stored, extras))
    }

    /// The target was read just now, so it is known when it has the same hash as before; only then need no pack be asked.
    fn target(&self, path: &[u8], target: &[u8], fingerprint: &Fingerprint) -> Result<Stored> {
        let known = self.known(path, fingerprint).map(|cached| cached.stored);
        let stored = match known.filter(|stored| stored.blake3 == Digest::of(target)) {
            Some(stored) => stored,
            None => self.writer.bytes(target).map_err(Error::Refused)?,
        };
        let (fingerprint, extras) = (*fingerprint, Extras::default());
        self.remember(
            path.to_vec(),
            CachedFile {
                fingerprint,
                extras,
                stored,
            },
        );
        Ok(stored)
    }
}

/// A working tree of the workspace: what is tracked in it, and the ignore rules that hold at its root.
pub struct Tracked {
    /// Its index: what is tracked is captured whatever the rules say.
    pub index: Index,
    /// The rules of its repository, before any `.gitignore`.
    pub rules: Rules,
}

/// What begins at a directory that has a `.git` of its own.
#[derive(Clone)]
pub enum Border {
    /// A working tree of this workspace.
    Tree(Arc<Tracked>),
    /// One whose `.git` file leads to a repository outside: what is in it is captured as what it is to git there, files; the
    /// `.git` file only by what it says.
    Outside(String),
}

/// Borders by path in a place; the topmost directory has one.
pub type Borders = BTreeMap<Vec<u8>, Border>;

/// What holds in a directory of a working tree, or in one of a git directory that lies in it.
#[derive(Clone)]
pub enum Context {
    /// In a working tree.
    Tree(TreeContext),
    /// In a git directory.
    Gitdir(GitdirContext),
}

/// What holds in a directory of a working tree.
#[derive(Clone)]
pub struct TreeContext {
    /// The working trees around, the outermost first, each with the length of its path, the slash at its end included.
    trees: Arc<Vec<(usize, Arc<Tracked>)>>,
    rules: Rules,
    inside: Inside,
    dot_git: DotGit,
}

/// What a `.git` in a directory is.
#[derive(Clone, PartialEq, Eq)]
enum DotGit {
    /// Nothing special: there is none, or it makes no repository.
    Plain,
    /// The git directory of the working tree that begins here, or the file that names it.
    Own,
    /// A file that leads outside and says this.
    Outside(String),
    /// Not to be looked into: the git directory is a place of its own, or nothing is known of it yet.
    Apart,
}

/// Whether a directory is ordinary, or something has been decided for all that is in it.
#[derive(Clone, PartialEq, Eq)]
enum Inside {
    Ordinary,
    /// Everything is kept: `vault.include` or a precious pattern named a directory above.
    Kept,
    /// Only tracked and included files are kept, for this reason.
    LeftOut(Reason, String),
}

/// Scans a working tree.
pub struct WorktreeScan<'a, C> {
    /// The root of the working tree.
    pub root: PathBuf,
    /// What in it is a place of its own, or a git directory.
    pub apart: Apart,
    /// The borders that are known.
    pub borders: &'a Borders,
    /// Patterns of ignored files to capture.
    pub include: &'a Patterns,
    /// Patterns of untracked files to leave out.
    pub exclude: &'a Patterns,
    /// Takes the files.
    pub reader: C,
    /// The borders that were met.
    pub met: Mutex<Met>,
}

/// What in a working tree is not of it, by path.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Apart {
    /// Whether it is the main working tree, whose `.git` leads to a place of its own.
    pub is_main: bool,
    /// The main git directory, if it lies in here: it is a place of its own.
    pub main_git_dir: Option<Vec<u8>>,
    /// Other git directories that lie in here: they are captured here, by rules of their own.
    pub git_dirs: BTreeSet<Vec<u8>>,
    /// Roots of other places.
    pub roots: BTreeSet<Vec<u8>>,
}

/// Borders that a scan met: directories with a `.git` that makes a repository of them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Met {
    /// Those that were known.
    pub known: BTreeSet<Vec<u8>>,
    /// Those that were not: what is below them was not captured as it should be.
    pub unknown: BTreeSet<Vec<u8>>,
}

impl TreeContext {
    /// The innermost working tree, and a path in the walk as one in it.
    fn own<'p>(&self, path: &'p [u8]) -> &'p [u8] {
        let start = self.trees.last().map_or(0, |(start, _)| *start);
        path.get(start..).unwrap_or_default()
    }

    fn is_tracked(&self, path: &[u8]) -> bool {
        self.any(path, Index::is_tracked)
    }

    fn tracks_below(&self, path: &[u8]) -> bool {
        self.any(path, Index::tracks_below)
    }

    /// Whether any of the trees around says so: a repository made inside another's tracked directory untracks nothing there.
    fn any(&self, path: &[u8], says: impl Fn(&Index, &[u8]) -> bool) -> bool {
        self.trees.iter().any(|(start, tracked)| {
            path.get(*start..)
                .is_some_and(|own| says(&tracked.index, own))
        })
    }
}

impl<'a, C> WorktreeScan<'a, C> {
    /// A scan of the working tree at `root`.
    #[must_use]
    pub fn new(
        root: &Path,
        apart: Apart,
        borders: &'a Borders,
        patterns: (&'a Patterns, &'a Patterns),
        reader: C,
    ) -> Self {
        let (include, exclude) = patterns;
        Self {
            root: root.to_owned(),
            apart,
            borders,
            include,
            exclude,
            reader,
            met: Mutex::default(),
        }
    }

    /// What holds before the root is entered.
    #[must_use]
    pub fn outside() -> Context {
        Context::Gitdir(GitdirContext::default())
    }

    /// The borders that were met.
    #[must_use]
    pub fn met(&self) -> Met {
        self.met.lock().map(|met| met.clone()).unwrap_or_default()
    }

    /// Whether a border is known below a directory.
    fn leads_to_border(&self, directory: &[u8]) -> bool {
        let start = [directory, b"/"].concat();
        let mut borders = self.borders.range(start.clone()..);
        borders
            .next()
            .is_some_and(|(path, _)| path.starts_with(&start))
    }

    /// Whether a git directory lies below a directory: it is kept if a working tree that is kept has it, whatever the rules
    /// and patterns say where it lies.
    fn leads_to_git_dir(&self, directory: &[u8]) -> bool {
        let start = [directory, b"/"].concat();
        let mut git_dirs = self.apart.git_dirs.range(start.clone()..);
        git_dirs.next().is_some_and(|path| path.starts_with(&start))
    }

    /// Decides on a path, and what holds inside when it is a directory that is entered.
    fn decide(
        &self,
        context: &TreeContext,
        path: &[u8],
        is_directory: bool,
    ) -> (Judgement, Inside) {
        let keep = |inside| (Judgement::Keep, inside);
        if context.inside == Inside::Kept {
            return keep(Inside::Kept);
        }
        // What is tracked is kept whatever the rules say; asking the index is cheaper than matching them.
        if !is_directory && context.is_tracked(path) {
            return keep(Inside::Ordinary);
        }
        let (reason, rule) = match &context.inside {
            Inside::LeftOut(reason, rule) => (*reason, rule.clone()),
            Inside::Ordinary | Inside::Kept => {
                match context.rules.decide(context.own(path), is_directory) {
                    Decision::Precious => return keep(Inside::Kept),
                    Decision::Ignored(rule) => (Reason::Ignored, rule),
                    Decision::Keep => match self.exclude.matching(path, is_directory) {
                        None => return keep(Inside::Ordinary),
                        Some(pattern) => (Reason::Excluded, format!("vault.exclude: {pattern}")),
                    },
                }
            }
        };
        if reason == Reason::Ignored && self.include.matching(path, is_directory).is_some() {
            return keep(Inside::Kept);
        }
        let must_enter = is_directory
            && (context.tracks_below(path)
                || self.leads_to_git_dir(path)
                || (reason == Reason::Ignored
                    && (self.include.may_match_below(path)
                        || self.borders.contains_key(path)
                        || self.leads_to_border(path)
                        || holds_repository(&join_bytes(&self.root, path)))));
        if must_enter || context.is_tracked(path) {
            return keep(Inside::LeftOut(reason, rule));
        }
        (
            Judgement::LeaveOut(reason, rule.clone()),
            Inside::LeftOut(reason, rule),
        )
    }

    /// Notes a bare repository, whose linked worktrees belong to the workspace.
    fn note_bare(&self, path: &[u8]) {
        if let Ok(mut met) = self.met.lock() {
            met.known.insert(path.to_vec());
        }
    }

    /// What begins at a directory that holds something named `.git`.
    fn border(&self, directory: &Opened<'_>, above: &mut TreeContext) -> Result<()> {
        let known = self.borders.get(directory.path);
        let dot_git = directory.path_of(b".git");
        let is_main = self.apart.main_git_dir.as_ref() == Some(&dot_git);
        if known.is_none() && (is_main || !is_repository(directory)?) {
            return Ok(());
        }
        if let Ok(mut met) = self.met.lock() {
            let paths = match known {
                Some(_) => &mut met.known,
                None => &mut met.unknown,
            };
            paths.insert(directory.path.to_vec());
        }
        match known {
            Some(Border::Tree(tracked)) => above.begin(directory.path, tracked),
            Some(Border::Outside(text)) => above.dot_git = DotGit::Outside(text.clone()),
            None => above.dot_git = DotGit::Apart,
        }
        Ok(())
    }
}

impl TreeContext {
    /// A working tree begins here: its own index and rules hold, and what was decided outside does not.
    fn begin(&mut self, path: &[u8], tracked: &Arc<Tracked>) {
        let start = if path.is_empty() { 0 } else { path.len() + 1 };
        let mut trees = (*self.trees).clone();
        trees.push((start, Arc::clone(tracked)));
        self.trees = Arc::new(trees);
        self.rules = tracked.rules.clone();
        if self.inside != Inside::Kept {
            self.inside = Inside::Ordinary;
        }
        self.dot_git = DotGit::Own;
    }
}

impl<C: Contents> Scan for WorktreeScan<'_, C> {
    type Context = Context;
    type Content = C::Content;

    fn enter(&self, directory: &Opened<'_>, above: &Context, names: &[Vec<u8>]) -> Result<Context> {
        let has = |wanted: &[u8]| names.iter().any(|name| name == wanted);
        let mut context = match above {
            _ if directory.path.is_empty() => self.at_root(directory)?,
            Context::Gitdir(above) => return Ok(Context::Gitdir(above.enter(directory, names)?)),
            Context::Tree(above) => {
                if is_bare_with_worktrees(directory.path, &has) {
                    self.note_bare(directory.path);
                }
                if self.apart.git_dirs.contains(directory.path) {
                    return Ok(Context::Gitdir(GitdirContext::at(directory.path)));
                }
                let inside = self.decide(above, directory.path, true).1;
                let mut context = TreeContext {
                    inside,
                    dot_git: DotGit::Plain,
                    ..above.clone()
                };
                if has(b".git") {
                    self.border(directory, &mut context)?;
                }
                context
            }
        };
        if has(b".gitignore")
            && let Some(bytes) = read_gitignore(directory.file, directory.shown)?
        {
            let own = context.own(directory.path);
            let root = root_of(directory.shown, own);
            context.rules = context.rules.below(&root, own, &bytes)?;
        }
        Ok(Context::Tree(context))
    }

    fn judge(&self, context: &Context, path: &[u8], kind: Kind) -> Result<Judgement> {
        let context = match context {
            Context::Gitdir(context) => {
                return context.judge(&self.root, &self.apart.roots, path, kind);
            }
            Context::Tree(context) => context,
        };
        if self.apart.main_git_dir.as_deref() == Some(path) {
            return Ok(Judgement::Skip);
        }
        if self.apart.roots.contains(path) {
            return Ok(Judgement::LeaveOut(Reason::LinkedWorktree, String::new()));
        }
        if self.apart.git_dirs.contains(path) {
            return Ok(Judgement::Keep);
        }
        if path == b".git" || path.ends_with(b"/.git") {
            match &context.dot_git {
                DotGit::Apart => return Ok(Judgement::Skip),
                DotGit::Own => return Ok(Judgement::Keep),
                DotGit::Outside(text) => {
                    return Ok(Judgement::LeaveOut(Reason::Gitfile, text.clone()));
                }
                DotGit::Plain => {}
            }
        }
        Ok(self.decide(context, path, kind == Kind::Directory).0)
    }

    fn file(
        &self,
        _context: &Context,
        directory: &Opened<'_>,
        name: &[u8],
        fingerprint: &Fingerprint,
    ) -> Result<(C::Content, Extras)> {
        self.reader.file(directory, name, fingerprint)
    }

    fn link(
        &self,
        directory: &Opened<'_>,
        name: &[u8],
        target: &[u8],
        fingerprint: &Fingerprint,
    ) -> Result<C::Content> {
        self.reader
            .link(&directory.path_of(name), target, fingerprint)
    }
}

impl<C> WorktreeScan<'_, C> {
    /// What holds at the root of the walk.
    fn at_root(&self, directory: &Opened<'_>) -> Result<TreeContext> {
        let Some(Border::Tree(tracked)) = self.borders.get(directory.path) else {
            return Err(Error::Changing(directory.shown.to_owned()));
        };
        let mut context = TreeContext {
            trees: Arc::default(),
            rules: tracked.rules.clone(),
            inside: Inside::Ordinary,
            dot_git: DotGit::Own,
        };
        context.begin(directory.path, tracked);
        if self.apart.is_main {
            context.dot_git = DotGit::Apart;
        }
        Ok(context)
    }
}

/// Whether a directory is a bare repository that has linked worktrees, as the names in it tell. Their files may lie anywhere, and
/// they and it name one another; a bare repository without them is a directory like any other.
fn is_bare_with_worktrees(path: &[u8], has: &dyn Fn(&[u8]) -> bool) -> bool {
    let names = [&b"HEAD"[..], b"objects", b"refs", b"worktrees"];
    !path.ends_with(b"/.git") && !has(b".git") && names.into_iter().all(has)
}

/// The root of a working tree, from a directory in it and that directory's path in the tree.
fn root_of(directory: &Path, own: &[u8]) -> PathBuf {
    let steps = own
        .split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty());
    let root = directory.ancestors().nth(steps.count());
    root.unwrap_or(directory).to_owned()
}

/// Whether the `.git` in a directory makes a repository of it; an empty or foreign thing of that name does not.
fn is_repository(directory: &Opened<'_>) -> Result<bool> {
    let shown = directory.shown(b".git");
    match metadata::look_in(directory.file, b".git", &shown)?.kind() {
        Kind::Directory => Ok(metadata::look_in(directory.file, b".git/HEAD", &shown).is_ok()),
        Kind::File => Ok(gitfile::read_in(directory.file, &shown)?.is_some()),
        Kind::Link => Err(Error::NotSupported("symbolic link named .git", shown)),
        Kind::Special(_) => Ok(false),
    }
}

/// Whether an ignored directory is a repository, or one of the directories in it is: work may be there that git does not look
/// at. What cannot be looked at is left out, as ignored things are.
fn holds_repository(directory: &Path) -> bool {
    let is_one = |entry: std::fs::DirEntry| {
        entry.file_type().is_ok_and(|kind| kind.is_dir()) && has_dot_git(&entry.path())
    };
    has_dot_git(directory)
        || std::fs::read_dir(directory)
            .is_ok_and(|mut entries| entries.any(|entry| entry.is_ok_and(is_one)))
}

fn has_dot_git(directory: &Path) -> bool {
    let dot_git = directory.join(".git");
    match std::fs::symlink_metadata(&dot_git) {
        Ok(metadata) if metadata.is_dir() => dot_git.join("HEAD").symlink_metadata().is_ok(),
        Ok(metadata) => metadata.is_file(),
        Err(_) => false,
    }
}
