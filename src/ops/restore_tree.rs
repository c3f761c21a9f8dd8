//! Writes the directories of a snapshot below an open directory: every step relative to it, no link followed, nothing
//! overwritten, every byte hashed again after it was written.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufWriter, Seek, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard};

use rustix::fs::{Mode, OFlags, mkdirat, openat, readlinkat, symlinkat};

use crate::host::disk::{self, Context};
use crate::host::git::repository::join_bytes;
use crate::host::metadata;
use crate::host::walk::join;
use crate::model::event::{Event, Monitor, Phase};
use crate::model::ids::Digest;
use crate::model::listing::{Attributes, Entry};
use crate::model::place::{Place, Spot};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::destination::create;
use crate::ops::layout::Rewritten;
use crate::vault::reader::{Content, Directory, write_content};
use crate::vault::store::Store;

/// So many bytes of a file are written at once.
const BUFFER_BYTES: usize = 1 << 17;

/// Writes one place of a snapshot.
pub struct TreeWriter<'a> {
    store: &'a Store,
    root: File,
    shown: PathBuf,
    monitor: &'a dyn Monitor,
    place: Place,
    rewritten: &'a Rewritten,
    /// Directories whose files git runs by itself.
    hooks: Vec<Vec<u8>>,
    /// Directories with the attributes they get when everything in them is written.
    directories: Mutex<Vec<(Vec<u8>, Attributes)>>,
    executable: Mutex<BTreeSet<Vec<u8>>>,
}

fn stopped(error: &disk::Error) -> Refusal {
    error.refuse(RefusalCode::RestoreStopped)
}

impl<'a> TreeWriter<'a> {
    /// Makes a writer of a place below `root`, whose path for messages is `shown`. Git runs the files in `hooks` by itself;
    /// those in `rewritten` get another content than was captured.
    #[must_use]
    pub fn new(
        store: &'a Store,
        (root, shown): (File, &Path),
        place: Place,
        (hooks, rewritten): (Vec<Vec<u8>>, &'a Rewritten),
        monitor: &'a dyn Monitor,
    ) -> Self {
        Self {
            store,
            root,
            shown: shown.to_owned(),
            monitor,
            place,
            rewritten,
            hooks,
            directories: Mutex::default(),
            executable: Mutex::default(),
        }
    }

    /// Makes the directories in a directory, which itself must have been made when the one above was.
    ///
    /// # Errors
    /// When one cannot be made.
    pub fn make_directories(&self, directory: &Directory) -> Result<()> {
        let shown = join_bytes(&self.shown, &directory.path);
        let make = || {
            let mut open = None;
            for (name, entry) in &directory.listing.entries {
                if matches!(entry, Entry::Directory { .. }) {
                    let open = match &mut open {
                        Some(open) => open,
                        empty => empty.insert(open_below(&self.root, &directory.path, &shown)?),
                    };
                    mkdirat(&*open, name.as_slice(), Mode::RWXU)
                        .context("create directory", &join_bytes(&shown, name))?;
                }
            }
            Ok(())
        };
        make().map_err(|error: disk::Error| stopped(&error))?;
        if let Ok(mut directories) = self.directories.lock() {
            directories.push((directory.path.clone(), directory.listing.own.clone()));
        }
        Ok(())
    }

    /// Writes the files and links in a directory that has been made.
    ///
    /// # Errors
    /// When something cannot be written or is not what was written.
    pub fn write(&self, directory: &Directory) -> Result<()> {
        let shown = join_bytes(&self.shown, &directory.path);
        let open =
            open_below(&self.root, &directory.path, &shown).map_err(|error| stopped(&error))?;
        let is_hooks = self.hooks.contains(&directory.path);
        for (name, entry) in &directory.listing.entries {
            let shown = join_bytes(&shown, name);
            match (entry, directory.contents.get(name)) {
                (
                    Entry::File {
                        attributes,
                        bytes,
                        blake3,
                    },
                    Some(content),
                ) => {
                    let path = join(&directory.path, name);
                    let expected = (*bytes, *blake3);
                    match self.rewritten.get(&self.spot(&path)) {
                        Some(text) => {
                            write_other(&open, name, &shown, text, attributes)?;
                        }
                        None => {
                            self.write_file(&open, name, &shown, content, expected, attributes)?;
                        }
                    }
                    if is_hooks && attributes.mode & 0o111 != 0 {
                        self.note_executable(path);
                    }
                }
                (Entry::Link { attributes, blake3 }, Some(content)) => {
                    self.write_link(&open, name, &shown, content, *blake3, attributes.mtime_ns)?;
                    let path = join(&directory.path, name);
                    if is_hooks || self.hooks.contains(&path) {
                        self.note_executable(path);
                    }
                }
                (
                    Entry::Directory { .. }
                    | Entry::Special { .. }
                    | Entry::LeftOut { .. }
                    | Entry::File { .. }
                    | Entry::Link { .. },
                    _,
                ) => {}
            }
        }
        Ok(())
    }

    fn note_executable(&self, path: Vec<u8>) {
        if let Ok(mut executable) = self.executable.lock() {
            executable.insert(path);
        }
    }

    /// Executable files and links among the hooks, by path.
    #[must_use]
    pub fn executable(&self) -> BTreeSet<Vec<u8>> {
        locked(&self.executable).clone()
    }

    fn write_file(
        &self,
        directory: &File,
        name: &[u8],
        shown: &Path,
        content: &Content,
        expected: (u64, Digest),
        attributes: &Attributes,
    ) -> Result<()> {
        let mut file = create(directory, name, shown.parent().unwrap_or(shown))
            .map_err(|error| stopped(&error))?;
        let longest = usize::try_from(expected.0).unwrap_or(BUFFER_BYTES);
        let mut buffered = BufWriter::with_capacity(longest.min(BUFFER_BYTES), &mut file);
        write_content(self.store, content, &mut buffered, shown)
            .map_err(|refusal| as_restore(refusal, shown))?;
        buffered
            .flush()
            .context("write", shown)
            .map_err(|error| stopped(&error))?;
        drop(buffered);
        let found = hash_again(&mut file, shown).map_err(|error| stopped(&error))?;
        if found != expected {
            return Err(self.wrong_file(content, shown, expected, found));
        }
        self.monitor.event(Event::Advanced {
            phase: Phase::Restore,
            units: found.0,
        });
        metadata::apply(&file, attributes, shown).map_err(|error| stopped(&error))
    }

    fn spot(&self, path: &[u8]) -> Spot {
        Spot::top(self.place).join(path)
    }

    /// Tells a destination that does not keep what is written from content that is not what its listing says.
    fn wrong_file(
        &self,
        content: &Content,
        shown: &Path,
        expected: (u64, Digest),
        found: (u64, Digest),
    ) -> Refusal {
        let mut given = blake3::Hasher::new();
        if write_content(self.store, content, &mut given, shown).is_ok()
            && (given.count(), Digest::finish(&given)) == expected
        {
            return not_kept(shown);
        }
        Refusal::new(
            RefusalCode::RecordContradiction,
            format!("'{}' is not what its listing says", shown.display()),
        )
        .because(format!(
            "expected {} bytes with BLAKE3 {}",
            expected.0, expected.1
        ))
        .because(format!("found {} bytes with BLAKE3 {}", found.0, found.1))
    }

    fn write_link(
        &self,
        directory: &File,
        name: &[u8],
        shown: &Path,
        content: &Content,
        expected: Digest,
        mtime_ns: i128,
    ) -> Result<()> {
        let mut target = Vec::new();
        write_content(self.store, content, &mut target, shown)?;
        if Digest::of(&target) != expected || target.is_empty() || target.contains(&0) {
            return Err(Refusal::new(
                RefusalCode::RecordContradiction,
                format!("'{}' is not what its listing says", shown.display()),
            )
            .because("the target of the link is another"));
        }
        let write = || {
            symlinkat(target.as_slice(), directory, name).context("create link", shown)?;
            metadata::set_link_time(directory, name, mtime_ns, shown)?;
            readlinkat(directory, name, Vec::new()).context("read the link", shown)
        };
        let found = write().map_err(|error: disk::Error| stopped(&error))?;
        if found.as_bytes() == target {
            Ok(())
        } else {
            let other = std::io::Error::other("another target than was written");
            Err(stopped(&disk::Error::new(
                "read back the link",
                shown,
                other,
            )))
        }
    }

    /// Gives the directories their modes and times, the deepest first: nothing is written into them any more.
    ///
    /// # Errors
    /// When they cannot be set.
    pub fn finish(self) -> Result<()> {
        let directories = self.directories.into_inner();
        let directories = directories.unwrap_or_else(std::sync::PoisonError::into_inner);
        // Those above were made before those below.
        for (path, attributes) in directories.into_iter().rev() {
            let shown = join_bytes(&self.shown, &path);
            let apply =
                || metadata::apply(&open_below(&self.root, &path, &shown)?, &attributes, &shown);
            apply().map_err(|error: disk::Error| stopped(&error))?;
        }
        Ok(())
    }
}

/// What a lock guards, also after a panic elsewhere: what was noted stays noted.
fn locked<T>(guarded: &Mutex<T>) -> MutexGuard<'_, T> {
    guarded
        .lock()
        .unwrap_or_else(std::sync::PoisonError::into_inner)
}

/// Writes a file whose content is not that which was captured.
fn write_other(
    directory: &File,
    name: &[u8],
    shown: &Path,
    content: &[u8],
    attributes: &Attributes,
) -> Result<()> {
    let write = || {
        let mut file = create(directory, name, shown.parent().unwrap_or(shown))?;
        file.write_all(content).context("write", shown)?;
        let found = hash_again(&mut file, shown)?;
        metadata::apply(&file, attributes, shown)?;
        Ok(found)
    };
    let found = write().map_err(|error: disk::Error| stopped(&error))?;
    if found == (content.len() as u64, Digest::of(content)) {
        Ok(())
    } else {
        Err(not_kept(shown))
    }
}

/// A write error at the destination is told apart from damage in the vault by its path.
fn as_restore(refusal: Refusal, shown: &Path) -> Refusal {
    let named = format!("'{}'", shown.display());
    let is_ours = refusal.what.contains(&named);
    if !is_ours {
        return refusal;
    }
    let first = Refusal::new(RefusalCode::RestoreStopped, refusal.what.clone());
    refusal.why.iter().cloned().fold(first, Refusal::because)
}

/// Opens a directory below `root`, one step at a time, following no link.
pub(super) fn open_below(root: &File, path: &[u8], shown: &Path) -> disk::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut open = File::from(openat(root, ".", flags, Mode::empty()).context("open", shown)?);
    for name in path
        .split(|byte| *byte == b'/')
        .filter(|name| !name.is_empty())
    {
        open = File::from(openat(&open, name, flags, Mode::empty()).context("open", shown)?);
    }
    Ok(open)
}

/// The refusal when a file that was written does not hold what was written to it.
pub(super) fn not_kept(shown: &Path) -> Refusal {
    let other = std::io::Error::other("other bytes than were written");
    stopped(&disk::Error::new("read back", shown, other))
}

/// Size and BLAKE3 of a file that was just written.
pub(super) fn hash_again(file: &mut File, shown: &Path) -> disk::Result<(u64, Digest)> {
    file.rewind().context("read", shown)?;
    disk::hash_stream(file, shown, |_bytes| {})
}
