//! What the file system says of a file beside its content: kind, mode, times, identity, extended attributes.

use std::fs::File;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Stat};
use serde::{Deserialize, Serialize};

use crate::host::disk::{Context, Error, Result};
use crate::model::listing::{Attributes, SpecialKind, Xattrs};

/// What kind of thing stands under a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symbolic link.
    Link,
    /// Anything else.
    Special(SpecialKind),
}

/// Everything that tells whether a file is still the one that was looked at. Equal fingerprints with a change time that
/// lies before the look mean equal content: the change time cannot be set by programs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fingerprint {
    /// Device number.
    pub device: u64,
    /// Inode number.
    pub inode: u64,
    /// `st_mode`.
    pub mode: u32,
    /// Size in bytes.
    pub bytes: u64,
    /// Modification time, ns since the epoch.
    pub mtime_ns: i128,
    /// Change time, ns since the epoch.
    pub ctime_ns: i128,
}

impl Fingerprint {
    /// Reads the fingerprint off the system's answer.
    #[expect(
        clippy::unnecessary_cast,
        clippy::cast_sign_loss,
        clippy::cast_possible_wrap,
        reason = "field types differ by platform"
    )]
    #[must_use]
    pub fn from_stat(stat: &Stat) -> Self {
        let time_ns = |seconds: i64, nanoseconds: i64| {
            i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds)
        };
        Self {
            device: stat.st_dev as u64,
            inode: stat.st_ino as u64,
            mode: stat.st_mode as u32,
            bytes: stat.st_size as u64,
            mtime_ns: time_ns(stat.st_mtime as i64, stat.st_mtime_nsec as i64),
            ctime_ns: time_ns(stat.st_ctime as i64, stat.st_ctime_nsec as i64),
        }
    }

    /// The kind of file.
    #[must_use]
    pub fn kind(&self) -> Kind {
        #[expect(
            clippy::useless_conversion,
            reason = "the raw mode is narrower on some platforms"
        )]
        match FileType::from_raw_mode(self.mode.try_into().unwrap_or_default()) {
            FileType::RegularFile => Kind::File,
            FileType::Directory => Kind::Directory,
            FileType::Symlink => Kind::Link,
            FileType::Socket => Kind::Special(SpecialKind::Socket),
            FileType::CharacterDevice => Kind::Special(SpecialKind::CharacterDevice),
            FileType::BlockDevice => Kind::Special(SpecialKind::BlockDevice),
            FileType::Fifo | FileType::Unknown => Kind::Special(SpecialKind::Fifo),
        }
    }

    /// The attributes as a listing holds them, without extended ones.
    #[must_use]
    pub fn attributes(&self) -> Attributes {
        Attributes {
            mode: self.mode,
            mtime_ns: self.mtime_ns,
            xattrs: Xattrs::new(),
        }
    }
}

/// Counts of files and directories that have something a snapshot does not keep.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotKept {
    /// Files with more than one name: hard links.
    pub names: u64,
    /// Access control lists of POSIX, default ones of directories included.
    pub access_lists: u64,
    /// Capabilities of programs.
    pub capabilities: u64,
    /// Set-user-ID or set-group-ID bits of files that belong to another user.
    pub set_ids: u64,
    /// Extended attributes of the `trusted.` namespace.
    pub trusted: u64,
}

impl NotKept {
    /// Adds other counts.
    pub const fn add(&mut self, other: &Self) {
        self.names += other.names;
        self.access_lists += other.access_lists;
        self.capabilities += other.capabilities;
        self.set_ids += other.set_ids;
        self.trusted += other.trusted;
    }
}

/// What a file or directory has beside content and time. All of it is a function of the fingerprint: the system moves the
/// change time with each of these.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Extras {
    /// Its extended attributes, as far as they are kept.
    pub xattrs: Xattrs,
    /// The mode that is kept, where it is not its own.
    pub mode: Option<u32>,
    /// What is not kept.
    pub not_kept: NotKept,
}

impl Extras {
    /// The attributes as a listing holds them, of a file with this fingerprint.
    #[must_use]
    pub fn attributes(&self, fingerprint: &Fingerprint) -> Attributes {
        Attributes {
            mode: self.mode.unwrap_or(fingerprint.mode),
            mtime_ns: fingerprint.mtime_ns,
            xattrs: self.xattrs.clone(),
        }
    }
}

/// Looks at a path without following a link at its end.
///
/// # Errors
/// When the system cannot.
pub fn look_at(path: &Path) -> Result<Fingerprint> {
    let stat = rustix::fs::lstat(path).context("look at", path)?;
    Ok(Fingerprint::from_stat(&stat))
}

/// Looks at a name in an open directory without following a link.
///
/// # Errors
/// When the system cannot; `path` is for the message only.
pub fn look_in(directory: &File, name: &[u8], path: &Path) -> Result<Fingerprint> {
    let stat =
        rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).context("look at", path)?;
    Ok(Fingerprint::from_stat(&stat))
}

/// What a name in an open directory looks like; `None` when the system does not say.
#[must_use]
pub fn glance(directory: &File, name: &str) -> Option<Fingerprint> {
    let stat = rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).ok()?;
    Some(Fingerprint::from_stat(&stat))
}

/// Looks at an open file.
///
/// # Errors
/// When the system cannot; `path` is for the message only.
pub fn look_at_open(file: &File, path: &Path) -> Result<Fingerprint> {
    let stat = rustix::fs::fstat(file).context("look at", path)?;
    Ok(Fingerprint::from_stat(&stat))
}

/// The largest list of names, or value, the system can give.
const XATTR_LIMIT_BYTES: usize = 1 << 16;

/// Room for the names of a file's extended attributes that is nearly always enough.
const XATTR_NAMES_BYTES: usize = 256;

/// The extended attributes of an open file in the `user.` namespace; none where the file system has no such thing.
///
/// # Errors
/// When they are there and cannot be read.
pub fn read_xattrs(file: &File, path: &Path) -> Result<Xattrs> {
    let mut xattrs = Xattrs::new();
    for name in xattr_names(file, path)?.split(|byte| *byte == 0) {
        if is_user_xattr(name) {
            xattrs.insert(name.to_vec(), xattr(file, name, path)?);
        }
    }
    Ok(xattrs)
}

/// What an open file or directory has beside content and time.
///
/// # Errors
/// When it is there and cannot be read.
pub fn read_extras(file: &File, path: &Path) -> Result<Extras> {
    let stat = rustix::fs::fstat(file).context("look at", path)?;
    let own_mode = stat.st_mode as u32;
    let is_file = Fingerprint::from_stat(&stat).kind() == Kind::File;
    let mut extras = Extras::default();
    let mut mode = own_mode;
    for name in xattr_names(file, path)?.split(|byte| *byte == 0) {
        if is_user_xattr(name) {
            extras
                .xattrs
                .insert(name.to_vec(), xattr(file, name, path)?);
        }
        match name {
            b"system.posix_acl_access" => {
                extras.not_kept.access_lists = 1;
                mode = mode_without_list(mode, &xattr(file, name, path)?);
            }
            b"system.posix_acl_default" => extras.not_kept.access_lists = 1,
            b"security.capability" => extras.not_kept.capabilities = 1,
            _ if name.starts_with(b"trusted.") => extras.not_kept.trusted = 1,
            _ => {}
        }
    }
    extras.not_kept.names = u64::from(is_file && stat.st_nlink as u64 > 1);
    // What is restored belongs to whoever restores: a program that another user marked must not run as them.
    let is_foreign = stat.st_uid != rustix::process::geteuid().as_raw();
    if is_file && mode & SET_ID_BITS != 0 && is_foreign {
        extras.not_kept.set_ids = 1;
        mode &= !SET_ID_BITS;
    }
    extras.mode = (mode != own_mode).then_some(mode);
    Ok(extras)
}

/// The set-user-ID and the set-group-ID bit.
const SET_ID_BITS: u32 = 0o6000;

/// The mode of a file whose access control list is taken away: while there is one, the group bits of the mode are its mask,
/// which may allow more than the group itself is allowed (acl(5)). Where the list is in a form that is not known, nothing is
/// left to the group.
fn mode_without_list(mode: u32, list: &[u8]) -> u32 {
    const GROUP_BITS: u32 = 0o070;
    mode & !GROUP_BITS | group_permissions(list).unwrap_or(0) << 3 & mode
}

/// What an access control list allows the group of the file; `None` when it is in a form that is not known.
fn group_permissions(list: &[u8]) -> Option<u32> {
    /// `ACL_EA_VERSION`, `ACL_GROUP_OBJ` and `ACL_MASK` of `linux/posix_acl_xattr.h`.
    const VERSION: [u8; 4] = 2_u32.to_le_bytes();
    const GROUP_OBJECT: u16 = 0x04;
    const MASK: u16 = 0x10;
    let entries = list.strip_prefix(&VERSION)?;
    let permissions = |wanted: u16| {
        entries.chunks(8).find_map(|entry| match entry {
            [tag_low, tag_high, low, high, _, _, _, _]
                if u16::from_le_bytes([*tag_low, *tag_high]) == wanted =>
            {
                Some(u32::from(u16::from_le_bytes([*low, *high])))
            }
            _ => None,
        })
    };
    let group = permissions(GROUP_OBJECT)?;
    Some(group & permissions(MASK).unwrap_or(group) & 0o7)
}

/// The names of all extended attributes of an open file, each with a zero behind it.
fn xattr_names(file: &File, path: &Path) -> Result<Vec<u8>> {
    let mut names = vec![0; XATTR_NAMES_BYTES];
    let mut length = rustix::fs::flistxattr(file, &mut names);
    if length == Err(rustix::io::Errno::RANGE) {
        names.resize(XATTR_LIMIT_BYTES, 0);
        length = rustix::fs::flistxattr(file, &mut names);
    }
    let length = match length {
        Err(rustix::io::Errno::OPNOTSUPP) => 0,
        length => length.context("list the extended attributes of", path)?,
    };
    names.truncate(length);
    Ok(names)
}

/// The value of an extended attribute of an open file.
fn xattr(file: &File, name: &[u8], path: &Path) -> Result<Vec<u8>> {
    let mut value = vec![0; XATTR_LIMIT_BYTES];
    let length = rustix::fs::fgetxattr(file, name, &mut value)
        .context("read an extended attribute of", path)?;
    value.truncate(length);
    Ok(value)
}

/// Whether an extended attribute is the user's own: on Linux the `user.` namespace, on macOS all but the system's.
fn is_user_xattr(name: &[u8]) -> bool {
    if cfg!(target_os = "linux") {
        name.starts_with(b"user.")
    } else {
        !name.is_empty() && !name.starts_with(b"com.apple.system.")
    }
}

/// Attributes that the kernel computes of the content, or keeps for itself.
const COMPUTED: [&[u8]; 3] = [b"security.evm", b"security.ima", b"com.apple.provenance"];

fn all_xattrs(file: &File, path: &Path) -> Result<Xattrs> {
    let mut xattrs = Xattrs::new();
    for name in xattr_names(file, path)?.split(|byte| *byte == 0) {
        if !name.is_empty() && !COMPUTED.contains(&name) {
            xattrs.insert(name.to_vec(), xattr(file, name, path)?);
        }
    }
    Ok(xattrs)
}

/// Gives an open file the owner, group, extended attributes (on Linux, access lists are among them) and mode of another one, and
/// reads them back.
///
/// # Errors
/// When one cannot be given: then the file may be put to no use in place of the other.
pub fn make_alike(file: &File, model: &File, path: &Path) -> Result<()> {
    let wanted = rustix::fs::fstat(model).context("look at", path)?;
    let found = rustix::fs::fstat(file).context("look at", path)?;
    if (found.st_uid, found.st_gid) != (wanted.st_uid, wanted.st_gid) {
        let owner =
            (found.st_uid != wanted.st_uid).then(|| rustix::process::Uid::from_raw(wanted.st_uid));
        let group = rustix::process::Gid::from_raw(wanted.st_gid);
        rustix::fs::fchown(file, owner, Some(group)).context("keep owner and group of", path)?;
    }
    let (wanted_xattrs, found_xattrs) = (all_xattrs(model, path)?, all_xattrs(file, path)?);
    let surplus = found_xattrs.keys();
    for name in surplus.filter(|name| !wanted_xattrs.contains_key(*name)) {
        rustix::fs::fremovexattr(file, &name[..])
            .context("keep the extended attributes of", path)?;
    }
    for (name, value) in &wanted_xattrs {
        if found_xattrs.get(name) != Some(value) {
            let flags = rustix::fs::XattrFlags::empty();
            rustix::fs::fsetxattr(file, &name[..], value, flags)
                .context("keep the extended attributes of", path)?;
        }
    }
    // Last, for a change of the owner takes bits away.
    set_mode(file, wanted.st_mode as u32 & 0o7777, path)?;
    let now = rustix::fs::fstat(file).context("look at", path)?;
    let is_alike = (now.st_uid, now.st_gid, now.st_mode)
        == (wanted.st_uid, wanted.st_gid, wanted.st_mode)
        && all_xattrs(file, path)? == wanted_xattrs;
    if is_alike {
        return Ok(());
    }
    let message =
        "another file in its place would not have the same owner, group, mode and attributes";
    let error = std::io::Error::other(message);
    Err(Error::new("replace", path, error))
}

/// Sets mode, extended attributes and modification time of an open file or directory, and reads them back.
///
/// # Errors
/// When one cannot be set, or is not what was set when read back.
pub fn apply(file: &File, attributes: &Attributes, path: &Path) -> Result<()> {
    for (name, value) in &attributes.xattrs {
        let flags = rustix::fs::XattrFlags::empty();
        rustix::fs::fsetxattr(file, &name[..], value, flags)
            .context("set an extended attribute of", path)?;
    }
    set_mode(file, attributes.mode, path)?;
    let times = times_to_set(attributes.mtime_ns, path)?;
    rustix::fs::futimens(file, &times).context("set the time of", path)?;
    let now = look_at_open(file, path)?;
    if now.mode != attributes.mode || now.mtime_ns != attributes.mtime_ns {
        let message = format!(
            "mode {:o} and time {} ns were set, {:o} and {} were read back",
            attributes.mode, attributes.mtime_ns, now.mode, now.mtime_ns
        );
        return Err(Error::new(
            "set the attributes of",
            path,
            std::io::Error::other(message),
        ));
    }
    Ok(())
}

/// Sets the permission bits.
///
/// # Errors
/// When they cannot be set.
pub fn set_mode(file: &File, mode: u32, path: &Path) -> Result<()> {
    #[expect(
        clippy::useless_conversion,
        reason = "the raw mode is narrower on some platforms"
    )]
    let mode = rustix::fs::Mode::from_raw_mode((mode & 0o7777).try_into().unwrap_or_default());
    rustix::fs::fchmod(file, mode).context("set the mode of", path)
}

/// Sets the modification time of a symbolic link itself.
///
/// # Errors
/// When it cannot be set.
pub fn set_link_time(directory: &File, name: &[u8], mtime_ns: i128, path: &Path) -> Result<()> {
    let times = times_to_set(mtime_ns, path)?;
    rustix::fs::utimensat(directory, name, &times, AtFlags::SYMLINK_NOFOLLOW)
        .context("set the time of", path)
}

fn times_to_set(mtime_ns: i128, path: &Path) -> Result<rustix::fs::Timestamps> {
    let outside = |_error| {
        Error::new(
            "set the time of",
            path,
            std::io::Error::other("outside the range of times"),
        )
    };
    let seconds = i64::try_from(mtime_ns.div_euclid(1_000_000_000)).map_err(outside)?;
    let nanoseconds = i32::try_from(mtime_ns.rem_euclid(1_000_000_000)).map_err(outside)?;
    Ok(rustix::fs::Timestamps {
        last_access: rustix::fs::Timespec {
            tv_sec: 0,
            tv_nsec: rustix::fs::UTIME_OMIT,
        },
        last_modification: rustix::fs::Timespec {
            tv_sec: seconds,
            tv_nsec: nanoseconds.into(),
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list(entries: &[(u16, u16)]) -> Vec<u8> {
        let mut bytes = 2_u32.to_le_bytes().to_vec();
        for (tag, permissions) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(permissions.to_le_bytes());
            bytes.extend(u32::MAX.to_le_bytes());
        }
        bytes
    }

    #[test]
    fn without_its_list_a_file_allows_its_group_what_the_list_allowed_the_group() {
        let closed = list(&[(1, 6), (2, 6), (4, 0), (0x10, 6), (0x20, 0)]);
        assert_eq!(mode_without_list(0o100_660, &closed), 0o100_600);
        let masked = list(&[(1, 7), (4, 7), (8, 7), (0x10, 5), (0x20, 4)]);
        assert_eq!(mode_without_list(0o102_754, &masked), 0o102_754);
        let smaller = list(&[(1, 7), (4, 4), (0x10, 7), (0x20, 4)]);
        assert_eq!(mode_without_list(0o40_774, &smaller), 0o40_744);
        let plain = list(&[(1, 6), (4, 4), (0x20, 4)]);
        assert_eq!(mode_without_list(0o100_644, &plain), 0o100_644);
        for unknown in [&b""[..], b"\x03\0\0\0", b"\x02\0\0\0\x04\0"] {
            assert_eq!(mode_without_list(0o100_664, unknown), 0o100_604);
        }
    }
}
