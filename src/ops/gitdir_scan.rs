//! What is captured of git directories, and what is left out: those of submodules lie inside that of the repository above, and
//! the same rules hold in each.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::host::disk::Context as _;
use crate::host::git::gitfile;
use crate::host::git::grafts;
use crate::host::git::repository::join_bytes;
use crate::host::git::tips;
use crate::host::metadata::{Extras, Fingerprint, Kind};
use crate::host::walk::{Error, Judgement, Opened, Result, Scan};
use crate::model::listing::Reason;
use crate::ops::contents::Contents;

/// Largest file among those that tips are read from.
const TIPS_LIMIT_BYTES: u64 = 1 << 30;

/// What holds in a directory inside a git directory.
#[derive(Debug, Clone, Default)]
pub struct GitdirContext {
    /// How much of a path in the walk leads to the git directory it lies in, the slash at its end included.
    start: usize,
    /// What a `.git` file in this directory says: it does not belong to what git keeps here.
    gitfile: Option<String>,
}

impl GitdirContext {
    /// What holds at the top of the git directory at `path` in the walk.
    #[must_use]
    pub fn at(path: &[u8]) -> Self {
        Self {
            start: path.len() + 1,
            gitfile: None,
        }
    }

    /// What holds in a directory: another git directory begins where those of submodules are kept.
    pub(super) fn enter(&self, directory: &Opened<'_>, names: &[Vec<u8>]) -> Result<Self> {
        let has = |wanted: &[u8]| names.iter().any(|name| name == wanted);
        let own = self.own(directory.path);
        if is_among_modules(own) && has(b"HEAD") && has(b"objects") {
            return Ok(Self::at(directory.path));
        }
        let gitfile = if has(b".git") && !own.is_empty() {
            gitfile::read_in(directory.file, &directory.shown(b".git"))?
                .map(|text| String::from_utf8_lossy(&text).into_owned())
        } else {
            None
        };
        Ok(Self {
            start: self.start,
            gitfile,
        })
    }

    /// A path in the walk as a path in the git directory.
    pub(super) fn own<'a>(&self, path: &'a [u8]) -> &'a [u8] {
        path.get(self.start..).unwrap_or_default()
    }

    /// What becomes of an entry; `trees` are working trees in the walk that are places of their own.
    ///
    /// A symbolic link where git keeps state would make the restored copy read or write the original's: only what git
    /// reads and never writes may be linked: hooks, `info/exclude` and `info/attributes`.
    pub(super) fn judge(
        &self,
        root: &Path,
        trees: &BTreeSet<Vec<u8>>,
        path: &[u8],
        kind: Kind,
    ) -> Result<Judgement> {
        if trees.contains(path) {
            return Ok(Judgement::LeaveOut(Reason::LinkedWorktree, String::new()));
        }
        let own = self.own(path);
        let may_be_linked = own.starts_with(b"hooks/")
            || [&b"hooks"[..], b"info/exclude", b"info/attributes"].contains(&own);
        if kind == Kind::Link && !may_be_linked {
            return Err(Error::NotSupported(
                "symbolic link in the git directory",
                join_bytes(root, path),
            ));
        }
        if matches!(kind, Kind::Special(_)) && is_state(own) {
            return Err(Error::NotSupported(
                "special file where git keeps state",
                join_bytes(root, path),
            ));
        }
        if own == b"objects" && kind == Kind::Directory {
            return Ok(Judgement::LeaveOut(Reason::Objects, String::new()));
        }
        if kind == Kind::File && is_lock(own) {
            return Ok(Judgement::LeaveOut(Reason::Lock, String::new()));
        }
        if let Some(text) = self.gitfile.as_ref().filter(|_| path.ends_with(b"/.git")) {
            return Ok(Judgement::LeaveOut(Reason::Gitfile, text.clone()));
        }
        Ok(Judgement::Keep)
    }
}

/// Whether a path in a git directory is that of a file without which git does not know the state of the repository.
fn is_state(own: &[u8]) -> bool {
    const FILES: [&[u8]; 5] = [
        b"config",
        b"config.worktree",
        b"commondir",
        b"gitdir",
        b"index",
    ];
    let (_, path) = tips::in_its_worktree(own);
    FILES.contains(&path)
        || path.starts_with(b"sharedindex.")
        || tips::is_relevant(path)
        || grafts::is_relevant(own)
}

/// Whether a path in a git directory is one at which that of a submodule may begin.
fn is_among_modules(own: &[u8]) -> bool {
    own.starts_with(b"modules/")
        || matches!(tips::in_its_worktree(own), (Some(_), rest) if rest.starts_with(b"modules/"))
}

/// Looks at a git directory first: fingerprints of everything, and the bytes of the files that name tips.
pub struct GitdirLook {
    /// Where it is.
    pub root: PathBuf,
    /// Working trees in it.
    pub trees: BTreeSet<Vec<u8>>,
    /// The bytes, by path.
    pub tip_files: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl GitdirLook {
    /// Looks at the git directory at `root`, but for the working trees that lie in it.
    #[must_use]
    pub fn new(root: &Path, trees: BTreeSet<Vec<u8>>) -> Self {
        Self {
            root: root.to_owned(),
            trees,
            tip_files: Mutex::default(),
        }
    }
}

impl Scan for GitdirLook {
    type Context = GitdirContext;
    type Content = ();
    type Known = ();

    fn known(&self, _: &[u8]) {}

    fn enter(
        &self,
        directory: &Opened<'_>,
        above: &GitdirContext,
        names: &[Vec<u8>],
    ) -> Result<GitdirContext> {
        above.enter(directory, names)
    }

    fn judge(&self, context: &GitdirContext, path: &[u8], kind: Kind) -> Result<Judgement> {
        context.judge(&self.root, &self.trees, path, kind)
    }

    fn file(
        &self,
        (context, ()): (&GitdirContext, &()),
        directory: &Opened<'_>,
        name: &[u8],
        fingerprint: &Fingerprint,
    ) -> Result<((), Extras)> {
        let path = directory.path_of(name);
        let own = context.own(&path);
        if tips::is_relevant(tips::in_its_worktree(own).1) || grafts::is_relevant(own) {
            let shown = directory.shown(name);
            if fingerprint.bytes > TIPS_LIMIT_BYTES {
                return Err(Error::NotSupported("refs or reflog of over 1 GiB", shown));
            }
            let file = directory.open(name, fingerprint)?;
            let mut bytes = Vec::new();
            file.take(TIPS_LIMIT_BYTES)
                .read_to_end(&mut bytes)
                .context("read", &shown)?;
            if bytes.len() as u64 != fingerprint.bytes {
                return Err(Error::Changing(shown));
            }
            if let Ok(mut files) = self.tip_files.lock() {
                files.insert(path, bytes);
            }
        }
        Ok(((), Extras::default()))
    }

    fn link(&self, (): &(), _: &[u8], _: &[u8], _: &Fingerprint) -> Result<()> {
        Ok(())
    }

    fn names(&self, (): &(), _: &Fingerprint) -> Option<Vec<Vec<u8>>> {
        None
    }

    fn extras(&self, (): &(), _: &Fingerprint) -> Option<Extras> {
        None
    }
}

/// Captures a git directory.
pub struct GitdirScan<C> {
    /// Where it is.
    pub root: PathBuf,
    /// Working trees in it, which are places of their own.
    pub trees: BTreeSet<Vec<u8>>,
    /// Takes the files.
    pub reader: C,
}

impl<C: Contents> Scan for GitdirScan<C> {
    type Context = GitdirContext;
    type Content = C::Content;
    type Known = C::Known;

    fn known(&self, path: &[u8]) -> C::Known {
        self.reader.known(path)
    }

    fn enter(
        &self,
        directory: &Opened<'_>,
        above: &GitdirContext,
        names: &[Vec<u8>],
    ) -> Result<GitdirContext> {
        above.enter(directory, names)
    }

    fn judge(&self, context: &GitdirContext, path: &[u8], kind: Kind) -> Result<Judgement> {
        context.judge(&self.root, &self.trees, path, kind)
    }

    fn file(
        &self,
        (_, known): (&GitdirContext, &C::Known),
        directory: &Opened<'_>,
        name: &[u8],
        fingerprint: &Fingerprint,
    ) -> Result<(C::Content, Extras)> {
        self.reader
            .file(known, directory, name, fingerprint, &|| false)
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

/// Whether a file at a path in a git directory, or in one of a submodule there, may be left out.
pub(super) fn may_leave_out(own: &[u8]) -> bool {
    let is_in_submodule = is_among_modules(own);
    own.starts_with(b"objects/")
        || is_lock(own)
        || is_in_submodule && own.windows(9).any(|part| part == b"/objects/")
        || is_in_submodule && (own.ends_with(b".lock") || own.ends_with(b"/gc.pid"))
}

/// Whether a file of a git directory is a lock of a running git: such files appear beside what git rewrites.
fn is_lock(own: &[u8]) -> bool {
    let (_, own) = tips::in_its_worktree(own);
    let is_named_so = own.ends_with(b".lock") || own == b"gc.pid";
    let is_beside_state = !own.contains(&b'/')
        || [&b"refs/"[..], b"logs/", b"reftable/"]
            .iter()
            .any(|directory| own.starts_with(directory));
    is_named_so && is_beside_state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn locks_are_told_from_files_that_only_look_like_locks() {
        for lock in [
            "index.lock",
            "HEAD.lock",
            "refs/heads/main.lock",
            "gc.pid",
            "worktrees/x/index.lock",
            "reftable/tables.list.lock",
            "worktrees/x/reftable/tables.list.lock",
        ] {
            assert!(is_lock(lock.as_bytes()), "{lock}");
        }
        for file in [
            "hooks/yarn.lock",
            "index",
            "info/x.lock",
            "lfs/cache/x.lock",
            "worktrees/x/hooks/x.lock",
        ] {
            assert!(!is_lock(file.as_bytes()), "{file}");
        }
    }

    #[test]
    fn submodules_are_kept_where_git_keeps_them() {
        for path in ["modules/a", "modules/a/b", "worktrees/x/modules/a"] {
            assert!(is_among_modules(path.as_bytes()), "{path}");
        }
        for path in [
            "modules",
            "module/a",
            "worktrees/modules/a",
            "refs/modules/a",
        ] {
            assert!(!is_among_modules(path.as_bytes()), "{path}");
        }
    }
}
