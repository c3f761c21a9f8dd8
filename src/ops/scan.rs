//! What is captured of a working tree and of a git directory, and what is left out.

use std::collections::{BTreeMap, HashMap};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::host::chunker::{BULK, FINE, Profile};
use crate::host::disk::{self, Context};
use crate::host::git::ignore::{Decision, Rules, read_gitignore};
use crate::host::git::index::Index;
use crate::host::git::tips;
use crate::host::metadata::{self, Extras, Fingerprint, Kind};
use crate::host::walk::{Error, Judgement, Opened, Result, Scan};
use crate::model::event::{Event, Monitor, Phase};
use crate::model::ids::Digest;
use crate::model::listing::Reason;
use crate::model::refusal;
use crate::model::refusal::Refusal;
use crate::model::refusal_code::RefusalCode;
use crate::vault::cache::CachedFile;
use crate::vault::content::{ContentWriter, StoreError, Stored};

/// Change times are taken from a clock that the kernel moves in ticks of at most 10 ms: what is younger than this may have
/// changed once more without showing it.
const TICK_NS: i128 = 50_000_000;

/// The same for file systems whose times have no fraction of a second.
const COARSE_NS: i128 = 2_100_000_000;

/// Largest file among those that tips are read from.
const TIPS_LIMIT_BYTES: u64 = 1 << 30;

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
        if directory.has_change_times
            && let Some(cached) = self.known(&path, fingerprint)
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

/// Patterns of `vault.include` or `vault.exclude`, in gitignore syntax.
pub struct Patterns {
    matcher: Gitignore,
    lines: Vec<String>,
}

impl Patterns {
    /// Compiles patterns.
    ///
    /// # Errors
    /// When one makes no sense.
    pub fn new(setting: &str, lines: &[String]) -> refusal::Result<Self> {
        let invalid = |reason: String| {
            Refusal::new(
                RefusalCode::SettingInvalid,
                format!("a pattern of {setting} makes no sense"),
            )
            .because(reason)
        };
        let mut builder = GitignoreBuilder::new("");
        for line in lines {
            builder
                .add_line(None, line)
                .map_err(|error| invalid(error.to_string()))?;
        }
        let matcher = builder
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        Ok(Self {
            matcher,
            lines: lines.to_vec(),
        })
    }

    /// The pattern that matches a path, if one does.
    fn matching(&self, path: &[u8], is_directory: bool) -> Option<String> {
        if self.lines.is_empty() {
            return None;
        }
        let path = crate::host::git::repository::join_bytes(Path::new(""), path);
        let found = self.matcher.matched(path, is_directory);
        if found.is_ignore() {
            found.inner().map(|glob| glob.original().to_owned())
        } else {
            None
        }
    }

    /// Whether a pattern could match something below an ignored directory: only patterns that name a way there are looked
    /// for inside ignored directories.
    fn may_match_below(&self, directory: &[u8]) -> bool {
        let directory = String::from_utf8_lossy(directory);
        self.lines
            .iter()
            .any(|line| pattern_leads_into(line, &directory))
    }
}

fn pattern_leads_into(pattern: &str, directory: &str) -> bool {
    let pattern = pattern.trim_end_matches('/');
    if pattern.starts_with('!') || !pattern.contains('/') {
        return false;
    }
    let mut steps = pattern.trim_start_matches('/').split('/');
    for name in directory.split('/') {
        match steps.next() {
            Some("**") => return true,
            Some(step) if step.contains(['*', '?', '[', '\\']) || step == name => {}
            Some(_) | None => return false,
        }
    }
    steps.next().is_some()
}

/// What holds in a directory of the working tree.
#[derive(Clone)]
pub struct WorktreeContext {
    rules: Rules,
    inside: Inside,
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
    /// The index: what is tracked is captured whatever the rules say.
    pub index: &'a Index,
    /// Patterns of ignored files to capture.
    pub include: &'a Patterns,
    /// Patterns of untracked files to leave out.
    pub exclude: &'a Patterns,
    /// Takes the files.
    pub reader: C,
}

impl WorktreeContext {
    /// What holds at the root.
    #[must_use]
    pub fn at_root(rules: Rules) -> Self {
        Self {
            rules,
            inside: Inside::Ordinary,
        }
    }
}

impl<C> WorktreeScan<'_, C> {
    /// Decides on a path, and what holds inside when it is a directory that is entered.
    fn decide(
        &self,
        context: &WorktreeContext,
        path: &[u8],
        is_directory: bool,
    ) -> (Judgement, Inside) {
        let keep = |inside| (Judgement::Keep, inside);
        if context.inside == Inside::Kept {
            return keep(Inside::Kept);
        }
        // What is tracked is kept whatever the rules say; asking the index is cheaper than matching them.
        if !is_directory && self.index.is_tracked(path) {
            return keep(Inside::Ordinary);
        }
        let (reason, rule) = match &context.inside {
            Inside::LeftOut(reason, rule) => (*reason, rule.clone()),
            Inside::Ordinary | Inside::Kept => match context.rules.decide(path, is_directory) {
                Decision::Precious => return keep(Inside::Kept),
                Decision::Ignored(rule) => (Reason::Ignored, rule),
                Decision::Keep => match self.exclude.matching(path, is_directory) {
                    None => return keep(Inside::Ordinary),
                    Some(pattern) => (Reason::Excluded, format!("vault.exclude: {pattern}")),
                },
            },
        };
        if reason == Reason::Ignored && self.include.matching(path, is_directory).is_some() {
            return keep(Inside::Kept);
        }
        let must_enter = is_directory
            && (self.index.tracks_below(path)
                || (reason == Reason::Ignored && self.include.may_match_below(path)));
        if must_enter || self.index.is_tracked(path) {
            return keep(Inside::LeftOut(reason, rule));
        }
        (
            Judgement::LeaveOut(reason, rule.clone()),
            Inside::LeftOut(reason, rule),
        )
    }
}

impl<C: Contents> Scan for WorktreeScan<'_, C> {
    type Context = WorktreeContext;
    type Content = C::Content;

    fn enter(
        &self,
        directory: &Opened<'_>,
        above: &WorktreeContext,
        names: &[Vec<u8>],
    ) -> Result<WorktreeContext> {
        let has = |wanted: &[u8]| names.iter().any(|name| name == wanted);
        if !directory.path.is_empty() && has(b".git") {
            refuse_nested(directory)?;
        }
        let inside = if directory.path.is_empty() {
            Inside::Ordinary
        } else {
            self.decide(above, directory.path, true).1
        };
        let rules = if has(b".gitignore")
            && let Some(bytes) = read_gitignore(directory.file, directory.shown)?
        {
            above.rules.below(&self.root, directory.path, &bytes)?
        } else {
            above.rules.clone()
        };
        Ok(WorktreeContext { rules, inside })
    }

    fn judge(&self, context: &WorktreeContext, path: &[u8], kind: Kind) -> Result<Judgement> {
        if path == b".git" {
            return Ok(Judgement::Skip);
        }
        Ok(self.decide(context, path, kind == Kind::Directory).0)
    }

    fn file(
        &self,
        directory: &Opened<'_>,
        name: &[u8],
        fingerprint: &Fingerprint,
    ) -> Result<(C::Content, Extras)> {
        self.reader.file(directory, name, fingerprint)
    }

    fn link(&self, path: &[u8], target: &[u8], fingerprint: &Fingerprint) -> Result<C::Content> {
        self.reader.link(path, target, fingerprint)
    }
}

/// A `.git` below the root makes another repository of its directory, unless it is an empty or foreign thing of that name.
fn refuse_nested(directory: &Opened<'_>) -> Result<()> {
    let shown = directory.shown(b".git");
    let fingerprint = metadata::look_in(directory.file, b".git", &shown)?;
    let is_repository = match fingerprint.kind() {
        Kind::Directory => metadata::look_in(directory.file, b".git/HEAD", &shown).is_ok(),
        Kind::File | Kind::Link => true,
        Kind::Special(_) => false,
    };
    if is_repository {
        Err(Error::NotSupported(
            "nested repository",
            directory.shown.to_owned(),
        ))
    } else {
        Ok(())
    }
}

/// What becomes of an entry of a git directory.
///
/// A symbolic link where git keeps state would make the restored copy read or write the original's: only what git
/// reads and never writes may be linked: hooks, `info/exclude` and `info/attributes`.
fn judge_gitdir(path: &[u8], kind: Kind) -> Result<Judgement> {
    let may_be_linked = path.starts_with(b"hooks/")
        || [&b"hooks"[..], b"info/exclude", b"info/attributes"].contains(&path);
    if kind == Kind::Link && !may_be_linked {
        let path = crate::host::git::repository::join_bytes(Path::new(".git"), path);
        return Err(Error::NotSupported(
            "symbolic link in the git directory",
            path,
        ));
    }
    if path == b"objects" && kind == Kind::Directory {
        return Ok(Judgement::LeaveOut(Reason::Objects, String::new()));
    }
    if kind == Kind::File && is_lock(path) {
        return Ok(Judgement::LeaveOut(Reason::Lock, String::new()));
    }
    Ok(Judgement::Keep)
}

/// Looks at a git directory first: fingerprints of everything, and the bytes of the files that name tips.
#[derive(Default)]
pub struct GitdirLook {
    /// The bytes, by path.
    pub tip_files: Mutex<BTreeMap<Vec<u8>, Vec<u8>>>,
}

impl Scan for GitdirLook {
    type Context = ();
    type Content = ();

    fn enter(&self, _directory: &Opened<'_>, _above: &(), _names: &[Vec<u8>]) -> Result<()> {
        Ok(())
    }

    fn judge(&self, _context: &(), path: &[u8], kind: Kind) -> Result<Judgement> {
        judge_gitdir(path, kind)
    }

    fn file(
        &self,
        directory: &Opened<'_>,
        name: &[u8],
        fingerprint: &Fingerprint,
    ) -> Result<((), Extras)> {
        let path = directory.path_of(name);
        if tips::is_relevant(&path) {
            let shown = directory.shown(name);
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

    fn link(&self, _path: &[u8], _target: &[u8], _fingerprint: &Fingerprint) -> Result<()> {
        Ok(())
    }
}

/// Captures a git directory.
pub struct GitdirScan<'a> {
    /// Reads files.
    pub reader: FileReader<'a>,
}

impl Scan for GitdirScan<'_> {
    type Context = ();
    type Content = Stored;

    fn enter(&self, _directory: &Opened<'_>, _above: &(), _names: &[Vec<u8>]) -> Result<()> {
        Ok(())
    }

    fn judge(&self, _context: &(), path: &[u8], kind: Kind) -> Result<Judgement> {
        judge_gitdir(path, kind)
    }

    fn file(
        &self,
        directory: &Opened<'_>,
        name: &[u8],
        fingerprint: &Fingerprint,
    ) -> Result<(Stored, Extras)> {
        self.reader.content(directory, name, fingerprint)
    }

    fn link(&self, path: &[u8], target: &[u8], fingerprint: &Fingerprint) -> Result<Stored> {
        self.reader.target(path, target, fingerprint)
    }
}

/// Whether a file of a git directory is a lock of a running git: such files appear beside what git rewrites.
fn is_lock(path: &[u8]) -> bool {
    let is_named_so = path.ends_with(b".lock") || path == b"gc.pid";
    let is_beside_state =
        !path.contains(&b'/') || path.starts_with(b"refs/") || path.starts_with(b"logs/");
    is_named_so && is_beside_state
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn include_patterns_are_looked_for_only_where_they_lead() {
        assert!(pattern_leads_into("secret/*.json", "secret"));
        assert!(pattern_leads_into("/a/b/c", "a/b"));
        assert!(pattern_leads_into("a/**/.env", "a/x/y"));
        assert!(!pattern_leads_into(".env", "node_modules"));
        assert!(!pattern_leads_into("secret/*.json", "other"));
        assert!(!pattern_leads_into("secret/x", "secret/x"));
    }

    #[test]
    fn locks_are_told_from_files_that_only_look_like_locks() {
        for lock in ["index.lock", "HEAD.lock", "refs/heads/main.lock", "gc.pid"] {
            assert!(is_lock(lock.as_bytes()), "{lock}");
        }
        for file in [
            "hooks/yarn.lock",
            "index",
            "info/x.lock",
            "lfs/cache/x.lock",
        ] {
            assert!(!is_lock(file.as_bytes()), "{file}");
        }
    }
}
