//! Where a restore goes: absent or an empty directory, in no place that must not be written, on a file system that can hold
//! the snapshot exactly. Everything is found out before the first write of content.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, Mode, OFlags, openat};

use crate::host::disk::{self, Context};
use crate::host::git::ref_files::is_git_dir;
use crate::host::metadata;
use crate::host::random::random_bytes;
use crate::model::escape::{shell_word, text_name};
use crate::model::ids::to_hex;
use crate::model::listing::{Attributes, Xattrs};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::vault::inspect::looks_like_vault;

/// A destination that was found to be absent or empty. Only [`claim`] makes one; it holds the parent's real path.
#[derive(Debug)]
pub struct EmptyDestination {
    parent: PathBuf,
    path: PathBuf,
    state: State,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Absent,
    EmptyDirectory,
}

fn unusable(path: &Path, fact: impl Into<String>) -> Refusal {
    Refusal::new(
        RefusalCode::DestinationUnusable,
        format!("'{}' cannot be restored to", path.display()),
    )
    .because(fact)
    .keeping("the destination, the snapshot and its vault are untouched")
}

/// Checks that `path` (absolute) is absent or an empty directory, that it is not the `current` one, and
/// that it is in none of the `forbidden` places.
///
/// # Errors
/// [`RefusalCode::DestinationNotEmpty`], [`RefusalCode::DestinationForbidden`], [`RefusalCode::DestinationUnusable`].
pub fn claim(
    path: &Path,
    current: &Path,
    forbidden: &[(String, PathBuf)],
) -> Result<EmptyDestination> {
    let (Some(parent), Some(name)) = (path.parent(), path.file_name()) else {
        return Err(unusable(path, "it names no directory that could be made"));
    };
    let parent = std::fs::canonicalize(parent).map_err(|error| {
        unusable(
            path,
            format!("its parent '{}' cannot be used: {error}", parent.display()),
        )
    })?;
    let path = parent.join(name);
    if disk::is_same(&path, current) {
        let other = restored_beside(&path);
        return Err(unusable(
            &path,
            "it is the current directory, which a restore would replace",
        )
        .next(
            format!("git vault restore SNAP {other}"),
            "any new or empty directory",
        ));
    }
    let state = look(&path, &parent)?;
    // Another vault is no place for it either: one foreign name in it, and it refuses everything.
    let is_vault = |place: &&Path| looks_like_vault(place) && place.join("snapshots").is_dir();
    let vault = parent.ancestors().find(is_vault);
    let vault = vault.map(|vault| ("a vault".to_owned(), vault.to_owned()));
    // Nor is a git directory: git would take what is in it for refs, or for its own.
    let git_dir = parent.ancestors().find(|place| is_git_dir(place));
    let git_dir = git_dir.map(|git_dir| ("a git directory".to_owned(), git_dir.to_owned()));
    for (what, place) in forbidden.iter().chain(&vault).chain(&git_dir) {
        if path.starts_with(place) || place.starts_with(&path) {
            return Err(Refusal::new(
                RefusalCode::DestinationForbidden,
                format!("'{}' must not be written", path.display()),
            )
            .because(format!("{what} is '{}'", place.display()))
            .about_difference(
                &path,
                "a place of its own",
                format!("{what} is '{}'", place.display()),
            )
            .keeping("the destination, the snapshot and its vault are untouched"));
        }
    }
    Ok(EmptyDestination {
        parent,
        path,
        state,
    })
}

fn look(path: &Path, parent: &Path) -> Result<State> {
    let found = match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(State::Absent),
        found => found.map_err(|error| unusable(path, error.to_string()))?,
    };
    if found.file_type().is_symlink() {
        return Err(unusable(path, "it is a symbolic link"));
    }
    if !found.is_dir() {
        return Err(not_empty(path, "it is a file".to_owned()));
    }
    let names = disk::list(path).map_err(|error| unusable(path, error.to_string()))?;
    if let Some(first) = names.first() {
        let first = text_name(std::os::unix::ffi::OsStrExt::as_bytes(first.as_os_str()));
        let entries = if names.len() == 1 { "entry" } else { "entries" };
        return Err(not_empty(
            path,
            format!("{} {entries}, the first is '{first}'", names.len()),
        ));
    }
    if is_mount_root(path) {
        return Err(unusable(path, "another file system is mounted there"));
    }
    let same_device = std::fs::metadata(parent).is_ok_and(|parent| parent.dev() == found.dev());
    if same_device {
        Ok(State::EmptyDirectory)
    } else {
        Err(unusable(path, "another file system is mounted there"))
    }
}

/// Whether something is mounted on the directory, be it from the same file system.
#[cfg(target_os = "linux")]
fn is_mount_root(path: &Path) -> bool {
    use rustix::fs::{CWD, StatxAttributes, StatxFlags, statx};
    statx(
        CWD,
        path,
        AtFlags::SYMLINK_NOFOLLOW,
        StatxFlags::BASIC_STATS,
    )
    .is_ok_and(|found| found.stx_attributes.contains(StatxAttributes::MOUNT_ROOT))
}

/// Whether something is mounted on the directory: not known here; the rename at the end would be refused.
#[cfg(not(target_os = "linux"))]
fn is_mount_root(_path: &Path) -> bool {
    false
}

/// A path beside a destination, as a word for a shell.
fn restored_beside(path: &Path) -> String {
    let mut other = path.as_os_str().to_owned();
    other.push("-restored");
    shell_word(Path::new(&other))
}

fn not_empty(path: &Path, fact: String) -> Refusal {
    let other = restored_beside(path);
    Refusal::new(
        RefusalCode::DestinationNotEmpty,
        format!("'{}' is not empty", path.display()),
    )
    .because(fact.clone())
    .about_difference(path, "an absent or empty directory", fact)
    .keeping("the destination, the snapshot and its vault are untouched")
    .next(
        format!("git vault restore SNAP {other}"),
        "any new or empty directory",
    )
}

/// What a snapshot asks of the file system that shall hold it.
#[derive(Debug, Default, Clone)]
pub struct Needs {
    /// Bytes of all files.
    pub bytes: u64,
    /// Number of files, directories and links.
    pub entries: u64,
    /// Whether there are symbolic links.
    pub links: u64,
    /// The longest target of a link, in bytes.
    pub longest_target_bytes: u64,
    /// Files and directories with extended attributes.
    pub xattrs: u64,
    /// The largest extended attributes of one file or directory.
    pub largest_xattrs: Xattrs,
    /// The largest file, in bytes.
    pub largest_file_bytes: u64,
    /// Modes with a set-user-ID, set-group-ID or sticky bit.
    pub special_modes: BTreeSet<u32>,
    /// Entries whose time is an odd second.
    pub odd_seconds: u64,
    /// The earliest and the latest time, in ns since the epoch.
    pub times: Option<(i128, i128)>,
    /// Names that are not UTF-8.
    pub other_names: u64,
    /// Names that hold more than ASCII.
    pub wide_names: u64,
    /// Entries whose time has a fraction of a second.
    pub fractions: u64,
    /// Two paths that differ in case only.
    pub case_twins: Option<(String, String)>,
    /// Names that some file systems refuse or change.
    pub odd_names: BTreeSet<Vec<u8>>,
}

/// Whether some file system is known to refuse or change the name: signs and devices of Windows, dots and spaces at the end,
/// great length.
fn is_odd(name: &[u8]) -> bool {
    const DEVICES: [&[u8]; 6] = [b"CON", b"PRN", b"AUX", b"NUL", b"COM", b"LPT"];
    const USUAL_BYTES: usize = 128;
    let is_sign = |byte: &u8| *byte < b' ' || b"<>:\"|?*\\".contains(byte);
    let stem = name.split(|byte| *byte == b'.').next().unwrap_or(name);
    let stem = stem.to_ascii_uppercase();
    name.iter().any(is_sign)
        || name.ends_with(b".")
        || name.ends_with(b" ")
        || name.len() > USUAL_BYTES
        || stem.len() <= 4 && DEVICES.iter().any(|device| stem.starts_with(device))
}

impl Needs {
    /// Takes the names of one directory into account.
    pub fn add_names(&mut self, directory: &[u8], names: &[&Vec<u8>]) {
        let mut folded: BTreeMap<String, &Vec<u8>> = BTreeMap::new();
        for &name in names {
            self.entries += 1;
            match std::str::from_utf8(name) {
                Err(_) => self.other_names += 1,
                Ok(text) if !text.is_ascii() => self.wide_names += 1,
                Ok(_) => {}
            }
            if is_odd(name) {
                self.odd_names.insert(name.clone());
            }
            let lower = String::from_utf8_lossy(name).to_lowercase();
            if let Some(twin) = folded.insert(lower, name) {
                let path = |name: &[u8]| text_name(&crate::host::walk::join(directory, name));
                self.case_twins.get_or_insert((path(twin), path(name)));
            }
        }
    }

    /// Takes attributes into account.
    pub fn add_attributes(&mut self, attributes: &Attributes) {
        self.xattrs += u64::from(!attributes.xattrs.is_empty());
        if xattr_bytes(&attributes.xattrs) > xattr_bytes(&self.largest_xattrs) {
            self.largest_xattrs.clone_from(&attributes.xattrs);
        }
        if attributes.mode & 0o7000 != 0 {
            self.special_modes.insert(attributes.mode & 0o7777);
        }
        self.add_time(attributes.mtime_ns);
    }

    /// Takes a link into account.
    pub fn add_link(&mut self, mtime_ns: i128, target_bytes: u64) {
        self.links += 1;
        self.longest_target_bytes = self.longest_target_bytes.max(target_bytes);
        self.add_time(mtime_ns);
    }

    fn add_time(&mut self, mtime_ns: i128) {
        let (earliest, latest) = self.times.unwrap_or((mtime_ns, mtime_ns));
        self.times = Some((earliest.min(mtime_ns), latest.max(mtime_ns)));
        self.fractions += u64::from(mtime_ns.rem_euclid(1_000_000_000) != 0);
        self.odd_seconds += u64::from(mtime_ns.div_euclid(1_000_000_000).rem_euclid(2) != 0);
    }
}

fn xattr_bytes(xattrs: &Xattrs) -> usize {
    xattrs
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum()
}

/// A directory beside the destination in which a workspace is built, before one rename puts it in place.
pub struct RestoreStaging {
    destination: EmptyDestination,
    path: PathBuf,
    root: File,
}

impl EmptyDestination {
    /// The path that will be restored to.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Makes the staging directory beside the destination, and tries there what the snapshot needs.
    ///
    /// # Errors
    /// When there is not enough room, or the file system cannot hold the snapshot exactly; nothing is left behind then.
    pub fn stage(self, needs: &Needs, needed_bytes: u64) -> Result<RestoreStaging> {
        let free = disk::free_bytes(&self.parent)
            .map_err(|error| unusable(&self.path, error.to_string()))?;
        // Every entry takes at least a block.
        let wanted = needed_bytes
            .saturating_add(needs.entries.saturating_mul(4096))
            .saturating_add(1 << 20);
        if free < wanted {
            return Err(Refusal::new(
                RefusalCode::DestinationSpace,
                format!("not enough room at '{}'", self.parent.display()),
            )
            .because(format!("{wanted} bytes are needed, {free} are free"))
            .keeping("the destination, the snapshot and its vault are untouched"));
        }
        let random: [u8; 6] = random_bytes().unwrap_or_default();
        let path = self
            .parent
            .join(format!(".git-vault-restore-{}", to_hex(&random)));
        let make = || {
            disk::create_directory(&path)?;
            open_made(&path)
        };
        let root = make().map_err(|error| unusable(&self.path, error.to_string()))?;
        let lacking = probe(&root, &path, needs);
        let lacking = match lacking {
            Ok(lacking) if lacking.is_empty() => {
                return Ok(RestoreStaging {
                    destination: self,
                    path,
                    root,
                });
            }
            Ok(lacking) => lacking,
            Err(error) => vec![error.to_string()],
        };
        remove_probed(&root, &path);
        let what = format!(
            "the file system at '{}' cannot hold the snapshot as it is",
            self.parent.display()
        );
        let refusal = Refusal::new(RefusalCode::DestinationCannotRepresent, what)
            .keeping("the destination, the snapshot and its vault are untouched");
        Err(lacking.into_iter().fold(refusal, Refusal::because))
    }
}

impl RestoreStaging {
    /// The staging directory.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The staging directory, open.
    #[must_use]
    pub fn root(&self) -> &File {
        &self.root
    }

    /// Makes everything durable and puts it in place with one rename.
    ///
    /// # Errors
    /// When the destination is not what it was any more, or the system says no; the staging directory then stays.
    pub fn finish(self) -> Result<PathBuf> {
        let target = self.destination.path;
        let put_in_place = || {
            sync(&self.root, &self.path)?;
            check_is(&self.path, &self.root)?;
            match self.destination.state {
                State::Absent => match disk::rename_new(&self.path, &target) {
                    // Where the system has no such rename: take the name exclusively, then replace what is empty.
                    Err(error) if error.source.kind() == std::io::ErrorKind::InvalidInput => {
                        disk::create_directory(&target)?;
                        std::fs::rename(&self.path, &target).context("rename to", &target)
                    }
                    renamed => renamed,
                },
                // rename(2) replaces a directory only while it is empty.
                State::EmptyDirectory => {
                    std::fs::rename(&self.path, &target).context("rename to", &target)
                }
            }
        };
        put_in_place().map_err(|error: disk::Error| error.refuse(RefusalCode::RestoreStopped))?;
        check_is(&target, &self.root).map_err(|error| {
            error
                .refuse(RefusalCode::RestoreStopped)
                .having_changed(format!(
                    "what is at '{}' now was put there by another process; it is not what was restored",
                    target.display()
                ))
                .keeping("the snapshot and its vault are untouched")
        })?;
        disk::sync_directory(&self.destination.parent).map_err(|error| {
            error
                .refuse(RefusalCode::RestoreStopped)
                .having_changed(format!(
                    "the workspace is whole at '{}'; whether it survives a power cut is not confirmed",
                    target.display()
                ))
                .keeping("the snapshot and its vault are untouched")
        })?;
        Ok(target)
    }
}

/// Opens the directory that was just made. Somebody who may rename here could have put another, or a link, in its place.
fn open_made(path: &Path) -> disk::Result<File> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let open = openat(rustix::fs::CWD, path, flags, Mode::empty()).context("open", path)?;
    let open = File::from(open);
    let found = open.metadata().context("look at", path)?;
    let is_ours = found.uid() == rustix::process::geteuid().as_raw();
    if is_ours && names_in(&open, path)?.is_empty() {
        return Ok(open);
    }
    Err(not_the_one_made(path))
}

fn not_the_one_made(path: &Path) -> disk::Error {
    let message = "another process has put something in place of the directory that was made";
    disk::Error::new("use", path, std::io::Error::other(message))
}

/// Refuses when the directory at a path is not the one that is open.
fn check_is(path: &Path, open: &File) -> disk::Result<()> {
    let found = path.symlink_metadata().context("look at", path)?;
    let expected = open.metadata().context("look at", path)?;
    if (found.dev(), found.ino()) == (expected.dev(), expected.ino()) {
        Ok(())
    } else {
        Err(not_the_one_made(path))
    }
}

/// The names in an open directory; `path` is for the message.
fn names_in(directory: &File, path: &Path) -> disk::Result<Vec<Vec<u8>>> {
    let mut names = Vec::new();
    for entry in rustix::fs::Dir::read_from(directory).context("list", path)? {
        let name = entry.context("list", path)?.file_name().to_bytes().to_vec();
        if name != b"." && name != b".." {
            names.push(name);
        }
    }
    Ok(names)
}

/// Removes a staging directory in which only probe files were made. What somebody else has put there, or in its place,
/// stays.
fn remove_probed(root: &File, path: &Path) {
    let remove = || {
        remove_probes(root, path)?;
        std::fs::remove_dir(path).context("remove", path)
    };
    // What cannot be removed is not ours, or it is an empty directory.
    drop(remove());
}

fn remove_probes(root: &File, path: &Path) -> disk::Result<()> {
    for name in names_in(root, path)? {
        if name.to_ascii_lowercase().starts_with(b"probe-") {
            rustix::fs::unlinkat(root, name.as_slice(), AtFlags::empty())
                .context("remove", path)?;
        }
    }
    Ok(())
}

/// Makes the whole file system of the staging directory durable.
fn sync(root: &File, path: &Path) -> disk::Result<()> {
    #[cfg(target_os = "linux")]
    {
        rustix::fs::syncfs(root).context("make durable", path)
    }
    #[cfg(not(target_os = "linux"))]
    {
        rustix::fs::sync();
        root.sync_all().context("make durable", path)
    }
}

/// Tries, in an empty directory, what the snapshot needs; gives what is lacking, and leaves the directory empty.
fn probe(root: &File, path: &Path, needs: &Needs) -> disk::Result<Vec<String>> {
    let mut lacking = Vec::new();
    let file = create(root, b"probe-a", path)?;
    let attributes = Attributes {
        mode: 0o100_641,
        mtime_ns: 1_000_000_000_123_456_789,
        ..Attributes::default()
    };
    if let Err(error) = metadata::apply(&file, &attributes, &path.join("probe-a")) {
        let now = metadata::look_at_open(&file, path)?;
        if now.mode != attributes.mode {
            lacking.push(format!("modes are not kept: {error}"));
        } else if needs.fractions > 0 {
            lacking.push(format!(
                "times are kept less exactly than {} entries need",
                needs.fractions
            ));
        }
    }
    lacking.extend(probe_names(root, path, needs)?);
    if let Some((one, other)) = &needs.case_twins
        && create(root, b"PROBE-A", path).is_err()
    {
        lacking.push(format!("case is not told apart: '{one}' and '{other}'"));
    }
    if needs.wide_names > 0 {
        let (composed, decomposed) = ("probe-\u{e9}".as_bytes(), "probe-e\u{301}".as_bytes());
        create(root, composed, path)?;
        if create(root, decomposed, path).is_err()
            || !names_in(root, path)?.contains(&composed.to_vec())
        {
            lacking.push(format!(
                "Unicode names are changed: {} names could be",
                needs.wide_names
            ));
        }
    }
    if needs.other_names > 0 && create(root, b"probe-\xff", path).is_err() {
        lacking.push(format!("{} names are not UTF-8", needs.other_names));
    }
    lacking.extend(probe_links(root, needs));
    lacking.extend(probe_extremes(&file, path, needs));
    remove_probes(root, path)?;
    Ok(lacking)
}

/// Tries whether links can be made, with the longest target.
fn probe_links(root: &File, needs: &Needs) -> Option<String> {
    /// No system takes more (`PATH_MAX`).
    const LIMIT_BYTES: u64 = 4096;
    let is_made = |target: &[u8], name: &[u8]| rustix::fs::symlinkat(target, root, name).is_ok();
    if needs.links == 0 {
        return None;
    }
    if !is_made(b"target", b"probe-link") {
        return Some(format!("{} symbolic links cannot be made", needs.links));
    }
    let longest = needs.longest_target_bytes.min(LIMIT_BYTES);
    let target = vec![b'x'; usize::try_from(longest).unwrap_or_default().max(1)];
    let is_kept = is_made(&target, b"probe-long-link");
    (!is_kept).then(|| format!("a symbolic link leads to a path of {longest} bytes"))
}

/// Tries what is at the border of what is needed: the largest extended attributes, special bits of modes, the earliest and the
/// latest time, the largest file.
fn probe_extremes(file: &File, path: &Path, needs: &Needs) -> Vec<String> {
    /// Every system is taken to hold smaller files; trying could take room where there are no holes.
    const USUAL_BYTES: u64 = 1 << 31;
    let mut lacking = Vec::new();
    let flags = rustix::fs::XattrFlags::empty();
    let are_kept = needs
        .largest_xattrs
        .iter()
        .all(|(name, value)| rustix::fs::fsetxattr(file, &name[..], value, flags).is_ok());
    if !are_kept {
        lacking.push(format!(
            "{} files have extended attributes, up to {} bytes of them",
            needs.xattrs,
            xattr_bytes(&needs.largest_xattrs)
        ));
    }
    let is_mode_kept = |mode: u32| {
        metadata::set_mode(file, mode, path).is_ok()
            && metadata::look_at_open(file, path).is_ok_and(|now| now.mode & 0o7777 == mode)
    };
    if let Some(mode) = needs
        .special_modes
        .iter()
        .find(|mode| !is_mode_kept(**mode))
    {
        lacking.push(format!("a mode is not kept: {mode:o}"));
    }
    let whole_second = |time_ns: i128| time_ns.div_euclid(1_000_000_000) * 1_000_000_000;
    let odd_second = (needs.odd_seconds > 0).then_some(1_000_000_001_000_000_000);
    let extremes = needs.times.iter().flat_map(|times| [times.0, times.1]);
    for time_ns in extremes.chain(odd_second) {
        let attributes = Attributes {
            mode: 0o100_600,
            mtime_ns: whole_second(time_ns),
            ..Attributes::default()
        };
        if metadata::apply(file, &attributes, path).is_err() {
            let seconds = time_ns.div_euclid(1_000_000_000);
            lacking.push(format!("a time is not kept: {seconds} seconds since 1970"));
            break;
        }
    }
    if needs.largest_file_bytes > USUAL_BYTES
        && rustix::fs::ftruncate(file, needs.largest_file_bytes).is_err()
    {
        lacking.push(format!(
            "a file has {} bytes, which is too large",
            needs.largest_file_bytes
        ));
    }
    lacking
}

/// Tries whether names are taken and given back byte for byte.
fn probe_names(root: &File, path: &Path, needs: &Needs) -> disk::Result<Vec<String>> {
    let is_kept = |name: &[u8]| -> disk::Result<bool> {
        if create(root, name, path).is_err() {
            return Ok(false);
        }
        let is_kept = names_in(root, path)?.contains(&name.to_vec());
        rustix::fs::unlinkat(root, name, AtFlags::empty()).context("remove", path)?;
        Ok(is_kept)
    };
    let mut lacking = Vec::new();
    if !is_kept(b"probe-Case")? {
        lacking.push("the case of names is not kept".to_owned());
    }
    let mut refused = Vec::new();
    for name in &needs.odd_names {
        if !is_kept(name)? {
            refused.push(text_name(name));
        }
    }
    if let Some(first) = refused.first() {
        let names = if refused.len() == 1 { "name" } else { "names" };
        lacking.push(format!(
            "{} {names} cannot be kept, the first is '{first}'",
            refused.len()
        ));
    }
    Ok(lacking)
}

/// Creates a file that must not be there, for its owner only.
///
/// # Errors
/// When the name is taken or the system says no; `path` is for the message.
pub fn create(directory: &File, name: &[u8], path: &Path) -> disk::Result<File> {
    let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(directory, name, flags, Mode::RUSR | Mode::WUSR);
    Ok(File::from(file.context(
        "create",
        &crate::host::git::repository::join_bytes(path, name),
    )?))
}
