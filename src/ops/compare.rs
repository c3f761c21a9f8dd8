//! Compares a restored workspace on disk with what was signed: names, kinds, bytes, modes, times, extended attributes, link
//! targets, and the packs it was handed. It shares no step with the code that writes one.

use std::collections::BTreeSet;
use std::fs::File;
use std::path::Path;

use rustix::fs::{Mode, OFlags, openat, readlinkat};

use crate::host::disk::{self, Context};
use crate::host::git::repository::join_bytes;
use crate::host::metadata::{self, Fingerprint, Kind};
use crate::host::scratch::names;
use crate::host::walk::join;
use crate::model::event::{Event, Monitor, Phase};
use crate::model::ids::{Digest, to_hex};
use crate::model::inventory::{PackRecord, PackRole};
use crate::model::listing::{Attributes, Entry, Xattrs};
use crate::model::manifest::{Manifest, TreeCounts};
use crate::model::place::{Place, Spot};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::layout::{Layout, Rewritten};
use crate::ops::restore_tree::open_below;
use crate::vault::inspect::Vault;
use crate::vault::reader::{Directory, SnapshotReader, Trusted, needed_packs};
use crate::vault::store::{Store, of};

/// What was found on disk to be as it was signed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Compared {
    /// Regular files, read to their end, git directory included.
    pub files: u64,
    /// Directories, the topmost ones included.
    pub directories: u64,
    /// Symbolic links.
    pub links: u64,
    /// Bytes of the files.
    pub bytes: u64,
    /// Packs of history with their indices.
    pub packs: u64,
    /// Bytes of packs and indices.
    pub pack_bytes: u64,
}

/// Says that a restored copy is not what was sealed.
#[must_use]
pub fn differs(path: &Path, expected: impl Into<String>, found: impl Into<String>) -> Refusal {
    let (expected, found) = (expected.into(), found.into());
    Refusal::new(
        RefusalCode::DrillDiffers,
        format!("'{}' is not what was sealed", path.display()),
    )
    .because(format!("expected {expected}"))
    .because(format!("found {found}"))
    .about_difference(path, expected, found)
}

/// What cannot be read back is no difference, and no proof either.
fn unread(error: &disk::Error) -> Refusal {
    error.refuse(RefusalCode::RestoreStopped)
}

/// Compares the workspace that was restored to `workspace` with its snapshot; nothing is written.
///
/// # Errors
/// [`RefusalCode::DrillDiffers`] at the first difference; other codes when one of the two cannot be read.
pub fn compare(
    vault: &Vault,
    trusted: &Trusted,
    workspace: &Path,
    monitor: &dyn Monitor,
) -> Result<Compared> {
    let packs = needed_packs(vault, trusted);
    let store = Store::new(&vault.layout, &packs, vault.format).open_all()?;
    let reader = SnapshotReader::new(&store, trusted);
    let history: Vec<&PackRecord> = packs
        .iter()
        .filter(|pack| pack.role == PackRole::History)
        .collect();
    let manifest = trusted.manifest();
    monitor.event(Event::Started {
        phase: Phase::Verify,
        total: Some(total_bytes(manifest, &history)),
    });
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let root = rustix::fs::open(workspace, flags, Mode::empty())
        .context("open", workspace)
        .map_err(|error| unread(&error))?;
    let root = File::from(root);
    let layout = Layout::new(manifest, workspace);
    let rewritten = layout.rewritten(&reader, &store)?;
    let mut compared = Compared::default();
    for place in manifest.places() {
        let top = Spot::top(place);
        let shown = layout.path(&top);
        let open = open_below(&root, &layout.relative(&top), &shown)
            .map_err(|error| differs(&shown, "a directory", error.to_string()))?;
        let mut tree = Tree {
            root: &open,
            shown: &shown,
            place,
            apart: layout.apart(place).into_iter().collect(),
            rewritten: &rewritten,
            monitor,
            found: Compared::default(),
        };
        reader.each_directory(place, &mut |directory| tree.compare(&directory))?;
        tree.add_to(&mut compared, manifest.counts(place))?;
    }
    for git_dir in manifest.git_dirs() {
        let shown = layout.path(&git_dir);
        let open = open_below(&root, &layout.relative(&git_dir), &shown)
            .map_err(|error| differs(&shown, "a git directory", error.to_string()))?;
        let own = history.iter().copied().filter(|pack| of(pack) == git_dir);
        let own: Vec<&PackRecord> = own.collect();
        compare_packs(&open, &shown, &own, &mut compared, monitor)?;
    }
    monitor.event(Event::Finished {
        phase: Phase::Verify,
    });
    if compared.files == 0 {
        return Err(differs(workspace, "at least one file", "none")
            .because("0 files compared prove nothing"));
    }
    Ok(compared)
}

fn total_bytes(manifest: &Manifest, history: &[&PackRecord]) -> u64 {
    let places = manifest.places().into_iter();
    let counts = places.filter_map(|place| manifest.counts(place));
    let captured: u64 = counts.map(|counts| counts.bytes).sum();
    let packs: u64 = history
        .iter()
        .map(|pack| pack.bytes + pack.index_bytes)
        .sum();
    captured + packs
}

/// One place of a restored workspace, with what was found in it so far.
struct Tree<'a> {
    root: &'a File,
    shown: &'a Path,
    place: Place,
    /// What lies here and is not of this place.
    apart: BTreeSet<Vec<u8>>,
    /// Files with another content than was captured.
    rewritten: &'a Rewritten,
    monitor: &'a dyn Monitor,
    found: Compared,
}

impl Tree<'_> {
    /// Compares one directory: itself, and the names in it with what stands under each.
    fn compare(&mut self, directory: &Directory) -> Result<()> {
        let shown = join_bytes(self.shown, &directory.path);
        let open = open_below(self.root, &directory.path, &shown)
            .map_err(|error| differs(&shown, "a directory", error.to_string()))?;
        let look = metadata::look_at_open(&open, &shown).map_err(|error| unread(&error))?;
        check_mode_and_time(&directory.listing.own, &look, &shown)?;
        check_xattrs(&directory.listing.own, &open, &shown)?;
        self.found.directories += 1;

        let mut present: BTreeSet<Vec<u8>> = names(&open, &shown)
            .map_err(|error| unread(&error))?
            .into_iter()
            .collect();
        present.retain(|name| !self.apart.contains(&join(&directory.path, name)));
        for (name, entry) in &directory.listing.entries {
            let shown = join_bytes(&shown, name);
            let Some(wanted) = kind_of(entry) else {
                continue;
            };
            if !present.remove(name) {
                return Err(differs(&shown, word(wanted), "nothing"));
            }
            let spot = Spot::top(self.place).join(&join(&directory.path, name));
            self.compare_entry(&open, &spot, entry, &shown)?;
        }
        match present.first() {
            None => Ok(()),
            Some(name) => Err(differs(
                &join_bytes(&shown, name),
                "nothing",
                "something that no listing names",
            )),
        }
    }

    fn compare_entry(
        &mut self,
        directory: &File,
        spot: &Spot,
        entry: &Entry,
        shown: &Path,
    ) -> Result<()> {
        let name = spot.path.rsplit(|byte| *byte == b'/').next();
        let name = name.unwrap_or_default();
        let look = metadata::look_in(directory, name, shown).map_err(|error| unread(&error))?;
        if kind_of(entry) != Some(look.kind()) {
            let wanted = kind_of(entry).map_or("nothing", word);
            return Err(differs(shown, wanted, word(look.kind())));
        }
        match entry {
            Entry::File {
                attributes,
                bytes,
                blake3,
            } => {
                check_mode_and_time(attributes, &look, shown)?;
                let file = open_file(directory, name, shown)?;
                let found = hash(&file, shown, self.monitor)?;
                let expected = match self.rewritten.get(spot) {
                    Some(text) => (text.len() as u64, Digest::of(text)),
                    None => (*bytes, *blake3),
                };
                check_content(expected, found, shown)?;
                check_xattrs(attributes, &file, shown)?;
                self.found.files += 1;
                self.found.bytes += *bytes;
            }
            Entry::Link { attributes, blake3 } => {
                let target = readlinkat(directory, name, Vec::new())
                    .context("read the link", shown)
                    .map_err(|error| unread(&error))?;
                let target = target.as_bytes();
                if Digest::of(target) != *blake3 {
                    let expected = format!("a link to a target with BLAKE3 {blake3}");
                    let found = crate::model::escape::text_name(target);
                    return Err(differs(shown, expected, format!("a link to '{found}'")));
                }
                check_time(attributes.mtime_ns, look.mtime_ns, shown)?;
                self.found.links += 1;
            }
            // A directory is compared when its own listing comes.
            Entry::Directory { .. } | Entry::Special { .. } | Entry::LeftOut { .. } => {}
        }
        Ok(())
    }

    /// Compares what was counted on disk with the manifest.
    fn add_to(&self, compared: &mut Compared, stated: Option<&TreeCounts>) -> Result<()> {
        let stated = stated.cloned().unwrap_or_default();
        let counts = |files, directories, links, bytes| {
            format!("{files} files, {directories} directories, {links} links, {bytes} bytes")
        };
        let found = &self.found;
        let expected = counts(stated.files, stated.directories, stated.links, stated.bytes);
        let counted = counts(found.files, found.directories, found.links, found.bytes);
        if expected != counted {
            return Err(differs(self.shown, expected, counted));
        }
        compared.files += found.files;
        compared.directories += found.directories;
        compared.links += found.links;
        compared.bytes += found.bytes;
        Ok(())
    }
}

/// What a restore makes of an entry; `None` for what it does not bring back.
fn kind_of(entry: &Entry) -> Option<Kind> {
    match entry {
        Entry::File { .. } => Some(Kind::File),
        Entry::Link { .. } => Some(Kind::Link),
        Entry::Directory { .. } => Some(Kind::Directory),
        Entry::Special { .. } | Entry::LeftOut { .. } => None,
    }
}

fn word(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "a file",
        Kind::Directory => "a directory",
        Kind::Link => "a link",
        Kind::Special(special) => special.word(),
    }
}

/// Opens a regular file below an open directory, without following a link and without waiting on a FIFO.
pub(super) fn open_file(directory: &File, name: &[u8], shown: &Path) -> Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = openat(directory, name, flags, Mode::empty()).context("open", shown);
    file.map(File::from).map_err(|error| unread(&error))
}

/// Size and BLAKE3 of a file as the device has it, as far as the system lets us ask.
fn hash(mut file: &File, shown: &Path, monitor: &dyn Monitor) -> Result<(u64, Digest)> {
    disk::drop_from_cache(file);
    let progress = |units| {
        monitor.event(Event::Advanced {
            phase: Phase::Verify,
            units,
        });
    };
    disk::hash_stream(&mut file, shown, progress).map_err(|error| unread(&error))
}

fn check_content(expected: (u64, Digest), found: (u64, Digest), shown: &Path) -> Result<()> {
    if expected == found {
        return Ok(());
    }
    let text = |(bytes, blake3): (u64, Digest)| format!("{bytes} bytes with BLAKE3 {blake3}");
    Err(differs(shown, text(expected), text(found)))
}

fn check_mode_and_time(expected: &Attributes, found: &Fingerprint, shown: &Path) -> Result<()> {
    if expected.mode != found.mode {
        let text = |mode: u32| format!("mode {mode:o}");
        return Err(differs(shown, text(expected.mode), text(found.mode)));
    }
    check_time(expected.mtime_ns, found.mtime_ns, shown)
}

fn check_xattrs(expected: &Attributes, open: &File, shown: &Path) -> Result<()> {
    let found = metadata::read_xattrs(open, shown).map_err(|error| unread(&error))?;
    if found == expected.xattrs {
        return Ok(());
    }
    let text = attribute_text(&expected.xattrs);
    Err(differs(shown, text, attribute_text(&found)))
}

fn check_time(expected_ns: i128, found_ns: i128, shown: &Path) -> Result<()> {
    if expected_ns == found_ns {
        return Ok(());
    }
    let text = |time: i128| format!("modification time {time} ns");
    Err(differs(shown, text(expected_ns), text(found_ns)))
}

fn attribute_text(xattrs: &Xattrs) -> String {
    let pairs: Vec<String> = xattrs
        .iter()
        .map(|(name, value)| format!("{}={}", String::from_utf8_lossy(name), to_hex(value)))
        .collect();
    format!("extended attributes [{}]", pairs.join(", "))
}

/// The object store holds the packs of the history, whole, and nothing else.
fn compare_packs(
    git_root: &File,
    git_dir: &Path,
    history: &[&PackRecord],
    compared: &mut Compared,
    monitor: &dyn Monitor,
) -> Result<()> {
    let mut expected = BTreeSet::new();
    for pack in history {
        expected.insert(format!("{}.idx", pack.name).into_bytes());
        expected.insert(format!("{}.pack", pack.name).into_bytes());
        if pack.promisor {
            expected.insert(format!("{}.promisor", pack.name).into_bytes());
        }
    }
    let directories = [b"info".to_vec(), b"pack".to_vec()];
    only(git_root, git_dir, "objects", &directories.into())?;
    only(git_root, git_dir, "objects/info", &BTreeSet::new())?;
    let directory = only(git_root, git_dir, "objects/pack", &expected)?;
    let shown = git_dir.join("objects/pack");
    for pack in history {
        let mark = pack.promisor.then(|| ("promisor", (0, Digest::of(b""))));
        let files = [
            ("pack", (pack.bytes, pack.blake3)),
            ("idx", (pack.index_bytes, pack.index_blake3)),
        ];
        for (ending, expected) in files.into_iter().chain(mark) {
            let name = format!("{}.{ending}", pack.name);
            let shown = shown.join(&name);
            let look = metadata::look_in(&directory, name.as_bytes(), &shown)
                .map_err(|error| unread(&error))?;
            if look.kind() != Kind::File {
                return Err(differs(&shown, "a file", word(look.kind())));
            }
            let file = open_file(&directory, name.as_bytes(), &shown)?;
            let found = hash(&file, &shown, monitor)?;
            check_content(expected, found, &shown)?;
            compared.pack_bytes += found.0;
        }
        compared.packs += 1;
    }
    Ok(())
}

/// Opens a directory of the object store, in which exactly these names must stand.
fn only(git_root: &File, git_dir: &Path, path: &str, expected: &BTreeSet<Vec<u8>>) -> Result<File> {
    let shown = git_dir.join(path);
    let open = open_below(git_root, path.as_bytes(), &shown)
        .map_err(|error| differs(&shown, "a directory", error.to_string()))?;
    let found: BTreeSet<Vec<u8>> = names(&open, &shown)
        .map_err(|error| unread(&error))?
        .into_iter()
        .collect();
    if let Some(name) = expected.difference(&found).next() {
        return Err(differs(&join_bytes(&shown, name), "to be there", "nothing"));
    }
    match found.difference(expected).next() {
        None => Ok(open),
        Some(name) => Err(differs(
            &join_bytes(&shown, name),
            "nothing",
            "something that the log does not name",
        )),
    }
}
