//! What is captured of a working tree, and what is left out; at the border to another repository the rules change.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use crate::host::git::gitfile;
use crate::host::git::ignore::{Decision, Rules, read_gitignore};
use crate::host::git::index::{Index, Part};
use crate::host::git::repository::join_bytes;
use crate::host::metadata::{self, Extras, Fingerprint, Kind};
use crate::host::walk::{Error, Judgement, Opened, Result, Scan};
use crate::model::listing::Reason;
use crate::ops::contents::Contents;
use crate::ops::gitdir_scan::GitdirContext;
use crate::ops::patterns::Patterns;

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
    /// What each of them tracks in this directory.
    parts: Vec<Part>,
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
    fn any(&self, path: &[u8], says: impl Fn(&Index, &Part, &[u8]) -> bool) -> bool {
        let mut trees = self.trees.iter().zip(&self.parts);
        trees.any(|((start, tracked), part)| {
            path.get(*start..)
                .is_some_and(|own| says(&tracked.index, part, own))
        })
    }

    /// What the trees around track in a directory of this one.
    fn parts_in(&self, directory: &[u8]) -> Vec<Part> {
        let trees = self.trees.iter().zip(&self.parts);
        let parts = trees.map(|((start, tracked), part)| {
            let own = directory.get(*start..).unwrap_or_default();
            tracked.index.below(part, own)
        });
        parts.collect()
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
            Some(Border::Outside(text)) => {
                // Git ignores it with the directory around; it is a working tree all the same, with work in it.
                if matches!(above.inside, Inside::LeftOut(Reason::Ignored, _)) {
                    above.inside = Inside::Ordinary;
                }
                above.dot_git = DotGit::Outside(text.clone());
            }
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
        self.parts.push(tracked.index.all());
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
    type Known = C::Known;

    fn known(&self, path: &[u8]) -> C::Known {
        self.reader.known(path)
    }

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
                    trees: Arc::clone(&above.trees),
                    parts: above.parts_in(directory.path),
                    rules: above.rules.clone(),
                    inside,
                    dot_git: DotGit::Plain,
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
        (context, known): (&Context, &C::Known),
        directory: &Opened<'_>,
        name: &[u8],
        fingerprint: &Fingerprint,
    ) -> Result<(C::Content, Extras)> {
        let is_tracked = || match context {
            Context::Tree(context) => context.is_tracked(&directory.path_of(name)),
            Context::Gitdir(_) => false,
        };
        self.reader
            .file(known, directory, name, fingerprint, &is_tracked)
    }

    fn link(
        &self,
        known: &C::Known,
        name: &[u8],
        target: &[u8],
        fingerprint: &Fingerprint,
    ) -> Result<C::Content> {
        self.reader.link(known, name, target, fingerprint)
    }

    fn names(&self, known: &C::Known, fingerprint: &Fingerprint) -> Option<Vec<Vec<u8>>> {
        self.reader.names(known, fingerprint)
    }

    fn extras(&self, known: &C::Known, fingerprint: &Fingerprint) -> Option<Extras> {
        self.reader.extras(known, fingerprint)
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
            parts: Vec::new(),
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
