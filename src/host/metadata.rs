//! What the file system says of a file beside its content: kind, mode, times, identity, extended attributes.

use std::fs::File;
use std::path::Path;

use rustix::fs::{AtFlags, FileType, Stat};

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
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
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
    let mut names = vec![0; XATTR_NAMES_BYTES];
    let mut length = rustix::fs::flistxattr(file, &mut names);
    if length == Err(rustix::io::Errno::RANGE) {
        names.resize(XATTR_LIMIT_BYTES, 0);
        length = rustix::fs::flistxattr(file, &mut names);
    }
    let length = match length {
        Err(rustix::io::Errno::OPNOTSUPP) => return Ok(xattrs),
        length => length.context("list the extended attributes of", path)?,
    };
    for name in names
        .get(..length)
        .unwrap_or_default()
        .split(|byte| *byte == 0)
    {
        if is_user_xattr(name) {
            let mut value = vec![0; XATTR_LIMIT_BYTES];
            let length = rustix::fs::fgetxattr(file, name, &mut value)
                .context("read an extended attribute of", path)?;
            value.truncate(length);
            xattrs.insert(name.to_vec(), value);
        }
    }
    Ok(xattrs)
}

/// Whether an extended attribute is the user's own: on Linux the `user.` namespace, on macOS all but the system's.
fn is_user_xattr(name: &[u8]) -> bool {
    if cfg!(target_os = "linux") {
        name.starts_with(b"user.")
    } else {
        !name.is_empty() && !name.starts_with(b"com.apple.system.")
    }
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
