//! What a scan does with the files it keeps: nothing, or reads them through a cache.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::host::chunker::{BULK, FINE, Profile};
use crate::host::disk;
use crate::host::file_system::quiet_ns;
use crate::host::metadata::{self, Extras, Fingerprint};
use crate::host::walk::{Error, Opened, Result, Walked};
use crate::model::event::{Event, Monitor, Phase};
use crate::model::ids::Digest;
use crate::vault::content::{ContentWriter, StoreError, Stored};
use crate::vault::known_files::{KnownDirectory, KnownFiles};

/// Change times are taken from a clock that the kernel moves in ticks of at most 10 ms: what is younger than this may have
/// changed once more without showing it.
const TICK_NS: i128 = 50_000_000;

/// The same for file systems whose times have no fraction of a second.
const COARSE_NS: i128 = 2_100_000_000;

/// Whether a file with this change time could have changed at or after `moment_ns` without a newer change time.
#[must_use]
pub fn is_fresh(fingerprint: &Fingerprint, moment_ns: i128) -> bool {
    let is_coarse = fingerprint.ctime_ns.rem_euclid(1_000_000_000) == 0;
    fingerprint.ctime_ns >= moment_ns - if is_coarse { COARSE_NS } else { TICK_NS }
}

/// Gives the wall clock's time in ns since the epoch.
pub type Clock<'a> = &'a (dyn Fn() -> i128 + Sync);

/// What a scan does with the files it keeps.
pub trait Contents: Sync {
    /// What is known of a content afterwards.
    type Content: Send;
    /// What is known of a directory from before.
    type Known;

    /// What is known of the directory at this path from before.
    fn known(&self, path: &[u8]) -> Self::Known;

    /// Takes a file; says whether git tracks it when asked.
    ///
    /// # Errors
    /// When it cannot be read or stored.
    fn file(
        &self,
        known: &Self::Known,
        directory: &Opened<'_>,
        name: &[u8],
        fingerprint: &Fingerprint,
        is_tracked: &dyn Fn() -> bool,
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

    /// The names in a directory that looks like this, sorted, if they are known.
    fn names(&self, known: &Self::Known, fingerprint: &Fingerprint) -> Option<Vec<Vec<u8>>>;

    /// What a directory that looks like this had beside entries and time, if that is known.
    fn extras(&self, known: &Self::Known, fingerprint: &Fingerprint) -> Option<Extras>;
}

/// Reads nothing: only what is there, and since when, is of interest.
pub struct LookOnly;

impl Contents for LookOnly {
    type Content = ();
    type Known = ();

    fn known(&self, _: &[u8]) {}

    fn file(
        &self,
        (): &(),
        _: &Opened<'_>,
        _: &[u8],
        _: &Fingerprint,
        _: &dyn Fn() -> bool,
    ) -> Result<((), Extras)> {
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

/// Reads files through a cache: what is known and has not changed is not read again.
pub struct FileReader<'a> {
    writer: &'a ContentWriter<'a>,
    cache: &'a KnownFiles,
    /// Whether anything was met that the cache should know and does not.
    has_learned: AtomicBool,
    began_ns: i128,
    /// How long a file must have been left alone to be remembered; `None` where no time is long enough.
    quiet_ns: Option<i128>,
    profile: Profile,
    monitor: &'a dyn Monitor,
}

impl<'a> FileReader<'a> {
    /// Makes a reader for a scan of a working tree that begins now.
    #[must_use]
    pub fn new(
        writer: &'a ContentWriter<'a>,
        cache: &'a KnownFiles,
        clock: Clock<'a>,
        monitor: &'a dyn Monitor,
    ) -> Self {
        Self {
            writer,
            cache,
            has_learned: AtomicBool::new(false),
            began_ns: clock(),
            quiet_ns: quiet_ns(),
            profile: BULK,
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

    /// When the scan began, in ns since the epoch.
    #[must_use]
    pub const fn began_ns(&self) -> i128 {
        self.began_ns
    }

    /// What may be relied on next time, of what the scan found. What is known of files that are gone is no harm.
    #[must_use]
    pub fn finish(self, walked: &[Walked<Stored>]) -> KnownFiles {
        if self.has_learned.load(Ordering::Relaxed) {
            KnownFiles::of(walked, &|fingerprint| self.is_settled(fingerprint))
        } else {
            self.cache.clone()
        }
    }

    /// Whether what looks like this had been left alone for long enough when the scan began.
    fn is_settled(&self, fingerprint: &Fingerprint) -> bool {
        self.quiet_ns
            .is_some_and(|quiet_ns| !is_fresh(fingerprint, self.began_ns - quiet_ns))
    }

    /// Notes something that was not known.
    fn learn(&self, fingerprint: &Fingerprint) {
        if self.is_settled(fingerprint) {
            self.has_learned.store(true, Ordering::Relaxed);
        }
    }
}

impl<'a> Contents for FileReader<'a> {
    type Content = Stored;
    type Known = KnownDirectory<'a>;

    fn known(&self, path: &[u8]) -> KnownDirectory<'a> {
        self.cache.directory(path)
    }

    fn file(
        &self,
        known: &KnownDirectory<'a>,
        directory: &Opened<'_>,
        name: &[u8],
        fingerprint: &Fingerprint,
        is_tracked: &dyn Fn() -> bool,
    ) -> Result<(Stored, Extras)> {
        self.monitor.event(Event::Advanced {
            phase: Phase::Scan,
            units: 1,
        });
        if let Some(cached) = known.file(name, fingerprint)
            && directory.tells_of_writes(name, fingerprint)?
        {
            return Ok((cached.stored, cached.extras.clone()));
        }
        let shown = directory.shown(name);
        let mut file = directory.open(name, fingerprint)?;
        let (bytes, profile) = (fingerprint.bytes, self.profile);
        // History knows only what was tracked once; that something of it lies here untracked is not worth a look at every byte.
        let may_be_known = bytes > profile.whole_up_to_bytes && is_tracked();
        let stored = match self.writer.file(&mut file, bytes, profile, may_be_known) {
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
        self.learn(fingerprint);
        Ok((stored, extras))
    }

    /// The target was read just now, so it is known when it has the same hash as before; only then need no pack be asked.
    fn link(
        &self,
        known: &KnownDirectory<'a>,
        name: &[u8],
        target: &[u8],
        fingerprint: &Fingerprint,
    ) -> Result<Stored> {
        let cached = known.file(name, fingerprint).map(|cached| cached.stored);
        if let Some(stored) = cached.filter(|stored| stored.blake3 == Digest::of(target)) {
            return Ok(stored);
        }
        self.has_learned.store(true, Ordering::Relaxed);
        self.writer.bytes(target).map_err(Error::Refused)
    }

    fn names(&self, known: &KnownDirectory<'a>, fingerprint: &Fingerprint) -> Option<Vec<Vec<u8>>> {
        known.names(fingerprint)
    }

    fn extras(&self, known: &KnownDirectory<'a>, fingerprint: &Fingerprint) -> Option<Extras> {
        let extras = known.extras(fingerprint);
        if extras.is_none() {
            self.learn(fingerprint);
        }
        extras.cloned()
    }
}
