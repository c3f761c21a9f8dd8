//! Walks a directory tree in parallel, looking at everything once and reading what must be read, without ever following
//! a link: every step is relative to an open directory.

use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex};

use rustix::fs::{AtFlags, Mode, OFlags, openat};

use crate::host::disk::{self, Context};
use crate::host::file_system::has_change_times;
use crate::host::git::repository::join_bytes;
use crate::host::metadata::{self, Extras, Fingerprint, Kind, NotKept};
use crate::host::parallel;
use crate::model::listing::{LeftOutKind, Reason, SpecialKind};
use crate::model::refusal::Refusal;

/// How often a file that changes while it is read is read again.
const ATTEMPTS: usize = 5;

/// Why a walk stopped.
#[derive(Debug)]
pub enum Error {
    /// Something cannot be looked at or read.
    Unreadable(disk::Error),
    /// Something changed while it was looked at.
    Changing(PathBuf),
    /// Something is not what this version can capture: a word for it, and where.
    NotSupported(&'static str, PathBuf),
    /// What was read could not be stored.
    Refused(Refusal),
}

impl From<disk::Error> for Error {
    fn from(error: disk::Error) -> Self {
        // What vanishes between listing and looking was moved by somebody.
        if error.is_not_found() {
            Self::Changing(error.path)
        } else {
            Self::Unreadable(error)
        }
    }
}

impl From<std::io::Error> for Error {
    fn from(source: std::io::Error) -> Self {
        Self::Unreadable(disk::Error::new("read", Path::new("the file"), source))
    }
}

/// The result of a step of a walk.
pub type Result<T> = std::result::Result<T, Error>;

/// What shall become of an entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// Captured.
    Keep,
    /// Not even mentioned.
    Skip,
    /// Left out, and said so.
    LeaveOut(Reason, String),
}

/// Decides what is captured, and takes the content of what is.
pub trait Scan: Sync {
    /// What holds in a directory: rules, for instance.
    type Context: Clone + Send + Sync;
    /// What is known of a file's content once it is stored.
    type Content: Send;
    /// What is known of a directory from before.
    type Known;

    /// What is known of the directory at this path from before.
    fn known(&self, path: &[u8]) -> Self::Known;

    /// Enters a directory.
    ///
    /// # Errors
    /// When it must not be entered.
    fn enter(
        &self,
        directory: &Opened<'_>,
        above: &Self::Context,
        names: &[Vec<u8>],
    ) -> Result<Self::Context>;

    /// Decides on an entry; may look into the directory.
    ///
    /// # Errors
    /// When no decision is possible.
    fn judge(&self, context: &Self::Context, path: &[u8], kind: Kind) -> Result<Judgement>;

    /// Takes the content of a regular file.
    ///
    /// # Errors
    /// When it cannot be read or stored.
    fn file(
        &self,
        context: (&Self::Context, &Self::Known),
        directory: &Opened<'_>,
        name: &[u8],
        fingerprint: &Fingerprint,
    ) -> Result<(Self::Content, Extras)>;

    /// Takes the target of a symbolic link.
    ///
    /// # Errors
    /// When it cannot be stored.
    fn link(
        &self,
        known: &Self::Known,
        name: &[u8],
        target: &[u8],
        fingerprint: &Fingerprint,
    ) -> Result<Self::Content>;

    /// The names in a directory that looks like this, sorted, if they are known. Asked only where change times tell of every write.
    fn names(&self, known: &Self::Known, fingerprint: &Fingerprint) -> Option<Vec<Vec<u8>>>;

    /// What a directory that looks like this had beside entries and time, if that is known. Asked only where change times tell
    /// of every write.
    fn extras(&self, known: &Self::Known, fingerprint: &Fingerprint) -> Option<Extras>;
}

/// An open directory of the walk.
pub struct Opened<'a> {
    /// The directory.
    pub file: &'a File,
    /// Its path relative to the root of the walk; empty for the root.
    pub path: &'a [u8],
    /// Its path for messages.
    pub shown: &'a Path,
    /// Whether change times in it tell of every write.
    pub has_change_times: bool,
    /// Its device number.
    device: u64,
}

impl Opened<'_> {
    /// The path of an entry, relative to the root of the walk.
    #[must_use]
    pub fn path_of(&self, name: &[u8]) -> Vec<u8> {
        join(self.path, name)
    }

    /// The path of an entry for messages.
    #[must_use]
    pub fn shown(&self, name: &[u8]) -> PathBuf {
        join_bytes(self.shown, name)
    }

    /// Whether the change time of a regular file in it tells of every write: another file system may be mounted on a single
    /// file.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn tells_of_writes(&self, name: &[u8], fingerprint: &Fingerprint) -> Result<bool> {
        if fingerprint.device == self.device || !self.has_change_times {
            return Ok(self.has_change_times);
        }
        Ok(has_change_times(&self.open(name, fingerprint)?))
    }

    /// Looks at an entry without following a link.
    fn look(&self, name: &[u8]) -> Result<Fingerprint> {
        let stat = rustix::fs::statat(self.file, name, AtFlags::SYMLINK_NOFOLLOW);
        match stat {
            Ok(stat) => Ok(Fingerprint::from_stat(&stat)),
            Err(error) => Err(disk::Error::new("look at", &self.shown(name), error.into()).into()),
        }
    }

    /// Opens a regular file without following links or waiting, and checks that it is the one that was looked at.
    ///
    /// # Errors
    /// When it cannot be opened, or is another by now.
    pub fn open(&self, name: &[u8], expected: &Fingerprint) -> Result<File> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let shown = self.shown(name);
        let file = match openat(self.file, name, flags, Mode::empty()) {
            Err(rustix::io::Errno::LOOP | rustix::io::Errno::NXIO) => {
                return Err(Error::Changing(shown));
            }
            opened => File::from(opened.context("open", &shown)?),
        };
        if metadata::look_at_open(&file, &shown)? == *expected {
            Ok(file)
        } else {
            Err(Error::Changing(shown))
        }
    }
}

/// Joins a relative path and a name.
#[must_use]
pub fn join(directory: &[u8], name: &[u8]) -> Vec<u8> {
    if directory.is_empty() {
        name.to_vec()
    } else {
        [directory, b"/", name].concat()
    }
}

/// What was found under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found<C> {
    /// A regular file.
    File {
        /// Its fingerprint.
        fingerprint: Fingerprint,
        /// What it has beside content and time.
        extras: Extras,
        /// What is known of its content.
        content: C,
    },
    /// A symbolic link.
    Link {
        /// Its fingerprint.
        fingerprint: Fingerprint,
        /// What is known of its target.
        content: C,
    },
    /// A directory, which is among the walked directories.
    Directory,
    /// A special file.
    Special(SpecialKind, Fingerprint),
    /// Something that was left out.
    LeftOut {
        /// Why.
        reason: Reason,
        /// By which rule.
        rule: String,
        /// What it is.
        kind: LeftOutKind,
        /// Its size, for a file.
        bytes: u64,
    },
}

/// A directory that was walked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Walked<C> {
    /// Its path relative to the root; empty for the root.
    pub path: Vec<u8>,
    /// Its fingerprint, taken after it was listed.
    pub fingerprint: Fingerprint,
    /// What it has beside entries and time.
    pub extras: Extras,
    /// Whether change times in it tell of every write.
    pub has_change_times: bool,
    /// Whether there was more in it that is not even mentioned.
    pub has_more: bool,
    /// Its entries by name, sorted.
    pub entries: Vec<(Vec<u8>, Found<C>)>,
}

struct Job<X> {
    above: Option<Arc<File>>,
    name: Vec<u8>,
    path: Vec<u8>,
    context: X,
    /// The device of the directory above, and whether change times on it tell of every write.
    file_system: Option<(u64, bool)>,
}

struct Queue<X> {
    jobs: Vec<Job<X>>,
    running: usize,
    waiting: usize,
    failed: bool,
}

/// So many directories that wait to be walked are worth another worker.
const WORTH_A_WORKER: usize = 24;

/// What of all that was found is not kept.
#[must_use]
pub fn not_kept<C>(walked: &[Walked<C>]) -> NotKept {
    let mut total = NotKept::default();
    for directory in walked {
        total.add(&directory.extras.not_kept);
        for (_, found) in &directory.entries {
            if let Found::File { extras, .. } = found {
                total.add(&extras.not_kept);
            }
        }
    }
    total
}

/// Walks everything below `root`; gives the directories sorted by path.
///
/// # Errors
/// The first thing that went wrong.
pub fn walk<S: Scan>(
    root: &Path,
    scan: &S,
    context: S::Context,
) -> Result<Vec<Walked<S::Content>>> {
    let first = Job {
        above: None,
        name: Vec::new(),
        path: Vec::new(),
        context,
        file_system: None,
    };
    let queue = Mutex::new(Queue {
        jobs: vec![first],
        running: 0,
        waiting: 0,
        failed: false,
    });
    let changed = Condvar::new();
    let done = Mutex::new(Vec::new());
    let failure = Mutex::new(None);
    // Works until nothing is left, or more than so many directories are.
    let work = |at_most: usize| {
        let mut walked_here = Vec::new();
        while let Some(job) = take(&queue, &changed, at_most) {
            let outcome = walk_directory(root, scan, &job);
            let Ok(mut queue) = queue.lock() else { return };
            queue.running -= 1;
            match outcome {
                Ok((walked, jobs)) => {
                    queue.jobs.extend(jobs);
                    walked_here.push(walked);
                }
                Err(error) => {
                    queue.failed = true;
                    if let Ok(mut failure) = failure.lock() {
                        failure.get_or_insert(error);
                    }
                }
            }
            if queue.waiting > 0 {
                changed.notify_all();
            }
        }
        if let Ok(mut done) = done.lock() {
            done.append(&mut walked_here);
        }
    };
    work(WORTH_A_WORKER);
    if queue.lock().is_ok_and(|queue| !queue.jobs.is_empty()) {
        std::thread::scope(|scope| {
            for _ in 1..parallel::workers() {
                // A system that gives no more threads is no obstacle: fewer workers do the same.
                drop(std::thread::Builder::new().spawn_scoped(scope, || work(usize::MAX)));
            }
            work(usize::MAX);
        });
    }
    if let Ok(Some(error)) = failure.into_inner() {
        return Err(error);
    }
    let mut walked = done
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    walked.sort_by(|left: &Walked<_>, right| left.path.cmp(&right.path));
    Ok(walked)
}

/// Takes a job, waiting while there may still be one; the newest first, so that few directories stay open. Gives none when more
/// than `at_most` are there.
fn take<X>(queue: &Mutex<Queue<X>>, changed: &Condvar, at_most: usize) -> Option<Job<X>> {
    let mut guard = queue.lock().ok()?;
    loop {
        if guard.failed || guard.jobs.len() > at_most {
            return None;
        }
        if let Some(job) = guard.jobs.pop() {
            guard.running += 1;
            return Some(job);
        }
        if guard.running == 0 {
            changed.notify_all();
            return None;
        }
        guard.waiting += 1;
        guard = changed.wait(guard).ok()?;
        guard.waiting -= 1;
    }
}

type Walks<S> = (Walked<<S as Scan>::Content>, Vec<Job<<S as Scan>::Context>>);

fn walk_directory<S: Scan>(root: &Path, scan: &S, job: &Job<S::Context>) -> Result<Walks<S>> {
    let shown = join_bytes(root, &job.path);
    let directory = Arc::new(open_directory(root, job, &shown)?);
    let before = metadata::look_at_open(&directory, &shown)?;
    let device = before.device;
    let opened = Opened {
        file: &directory,
        path: &job.path,
        shown: &shown,
        has_change_times: match job.file_system {
            Some((above, has_change_times)) if above == device => has_change_times,
            _ => has_change_times(&directory),
        },
        device,
    };
    let known = scan.known(&job.path);
    let names = if opened.has_change_times {
        scan.names(&known, &before)
    } else {
        None
    };
    let names = names.map_or_else(|| list(&directory, &shown), Ok)?;
    let context = scan.enter(&opened, &job.context, &names)?;
    let mut entries = Vec::with_capacity(names.len());
    let mut jobs = Vec::new();
    let mut has_change_times = opened.has_change_times;
    let mut has_more = false;
    let mut path = opened.path_of(b"");
    let length = path.len();
    for name in names {
        path.truncate(length);
        path.extend_from_slice(&name);
        if let Some(found) = visit(scan, (&context, &known), &opened, &name, &path)? {
            if let Found::File { fingerprint, .. } = &found {
                has_change_times &= opened.tells_of_writes(&name, fingerprint)?;
            }
            if matches!(found, Found::Directory) {
                jobs.push(Job {
                    above: Some(Arc::clone(&directory)),
                    name: name.clone(),
                    path: path.clone(),
                    context: context.clone(),
                    file_system: Some((device, opened.has_change_times)),
                });
            }
            entries.push((name, found));
        } else {
            has_more = true;
        }
    }
    let fingerprint = metadata::look_at_open(&directory, &shown)?;
    let extras = if opened.has_change_times {
        scan.extras(&known, &fingerprint)
    } else {
        None
    };
    let extras = extras.map_or_else(|| metadata::read_extras(&directory, &shown), Ok)?;
    Ok((
        Walked {
            path: job.path.clone(),
            fingerprint,
            extras,
            has_change_times,
            has_more,
            entries,
        },
        jobs,
    ))
}

fn open_directory<X>(root: &Path, job: &Job<X>, shown: &Path) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = match &job.above {
        None => rustix::fs::open(root, flags, Mode::empty()),
        Some(above) => openat(above, job.name.as_slice(), flags, Mode::empty()),
    };
    match opened {
        Ok(directory) => Ok(File::from(directory)),
        Err(rustix::io::Errno::LOOP | rustix::io::Errno::NOTDIR) => {
            Err(Error::Changing(shown.to_owned()))
        }
        Err(error) => Err(disk::Error::new("open", shown, error.into()).into()),
    }
}

/// The names in an open directory, sorted.
#[cfg(target_os = "linux")]
fn list(directory: &File, shown: &Path) -> Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    let mut buffer = Vec::with_capacity(1 << 15);
    let mut entries = rustix::fs::RawDir::new(directory, buffer.spare_capacity_mut());
    while let Some(entry) = entries.next() {
        push_name(
            &mut names,
            entry.context("list", shown)?.file_name().to_bytes(),
        );
    }
    names.sort_unstable();
    Ok(names)
}

/// The names in an open directory, sorted.
#[cfg(not(target_os = "linux"))]
fn list(directory: &File, shown: &Path) -> Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory).context("list", shown)? {
        push_name(
            &mut names,
            entry.context("list", shown)?.file_name().to_bytes(),
        );
    }
    names.sort_unstable();
    Ok(names)
}

fn push_name(names: &mut Vec<Vec<u8>>, name: &[u8]) {
    if name != b"." && name != b".." {
        names.push(name.to_vec());
    }
}

/// Looks at one entry, again when it changes meanwhile.
fn visit<S: Scan>(
    scan: &S,
    context: (&S::Context, &S::Known),
    opened: &Opened<'_>,
    name: &[u8],
    path: &[u8],
) -> Result<Option<Found<S::Content>>> {
    let mut attempt = 1;
    loop {
        match visit_once(scan, context, opened, name, path) {
            Err(Error::Changing(_)) if attempt < ATTEMPTS => attempt += 1,
            outcome => return outcome,
        }
    }
}

fn visit_once<S: Scan>(
    scan: &S,
    context: (&S::Context, &S::Known),
    opened: &Opened<'_>,
    name: &[u8],
    path: &[u8],
) -> Result<Option<Found<S::Content>>> {
    let fingerprint = opened.look(name)?;
    let kind = fingerprint.kind();
    match scan.judge(context.0, path, kind)? {
        Judgement::Keep => {}
        Judgement::Skip => return Ok(None),
        Judgement::LeaveOut(reason, rule) => {
            let is_directory = kind == Kind::Directory;
            return Ok(Some(Found::LeftOut {
                reason,
                rule,
                kind: if is_directory {
                    LeftOutKind::Directory
                } else {
                    LeftOutKind::File
                },
                bytes: if is_directory { 0 } else { fingerprint.bytes },
            }));
        }
    }
    Ok(Some(match kind {
        Kind::Directory => Found::Directory,
        Kind::Special(kind) => Found::Special(kind, fingerprint),
        Kind::File => {
            let (content, extras) = scan.file(context, opened, name, &fingerprint)?;
            Found::File {
                fingerprint,
                extras,
                content,
            }
        }
        Kind::Link => {
            let target = read_link(opened, name)?;
            if opened.look(name)? != fingerprint {
                return Err(Error::Changing(opened.shown(name)));
            }
            Found::Link {
                fingerprint,
                content: scan.link(context.1, name, &target, &fingerprint)?,
            }
        }
    }))
}

fn read_link(opened: &Opened<'_>, name: &[u8]) -> Result<Vec<u8>> {
    match rustix::fs::readlinkat(opened.file, name, Vec::new()) {
        Ok(target) => Ok(target.into_bytes()),
        Err(rustix::io::Errno::INVAL) => Err(Error::Changing(opened.shown(name))),
        Err(error) => {
            Err(disk::Error::new("read the link", &opened.shown(name), error.into()).into())
        }
    }
}

/// The bytes of a path.
#[must_use]
pub fn path_bytes(path: &Path) -> &[u8] {
    path.as_os_str().as_bytes()
}
