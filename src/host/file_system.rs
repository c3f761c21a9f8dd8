//! What the system says of the file system under a path: its type, its room, and whether it may be written.

use std::fs::File;
use std::path::Path;

use crate::host::disk::{Context, Result};

/// A file system, as it was when it was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileSystem {
    /// Its type, by name where that is known.
    pub kind: String,
    /// Whether it is mounted for reading only.
    pub is_read_only: bool,
    /// Bytes it holds in all.
    pub total_bytes: u64,
    /// Bytes that this user may still write.
    pub free_bytes: u64,
    /// Files that this user may still make; `None` where the file system does not count them.
    pub free_inodes: Option<u64>,
}

impl FileSystem {
    /// How much of it this user may still write, in percent.
    #[must_use]
    pub fn free_percent(&self) -> u64 {
        let hundred_times = u128::from(self.free_bytes) * 100;
        let percent = hundred_times.checked_div(u128::from(self.total_bytes));
        percent
            .and_then(|percent| u64::try_from(percent).ok())
            .unwrap_or(0)
    }
}

/// Asks about the file system of `path`.
///
/// # Errors
/// When the system does not say.
pub fn look(path: &Path) -> Result<FileSystem> {
    let found = rustix::fs::statvfs(path).context("ask about the file system of", path)?;
    let is_read_only = found.f_flag.contains(rustix::fs::StatVfsMountFlags::RDONLY);
    Ok(FileSystem {
        kind: kind(path)?,
        is_read_only,
        total_bytes: found.f_blocks.saturating_mul(found.f_frsize),
        free_bytes: found.f_bavail.saturating_mul(found.f_frsize),
        free_inodes: (found.f_files > 0).then_some(found.f_favail),
    })
}

/// Whether the change times of files in an open directory tell of every write: the file system is known to move them with each,
/// to keep them, and to let no program set them. FAT and its like give the modification time in their place, and what a
/// server or another program says of its files may be late or made up. A file in memory (tmpfs) that is mapped may be written
/// through the mapping for ever without a sign; and an overlay may keep its files there, and have names that come from below.
#[cfg(target_os = "linux")]
#[must_use]
pub fn has_change_times(directory: &File) -> bool {
    const KNOWN: [&str; 6] = ["ext4", "btrfs", "xfs", "f2fs", "zfs", "bcachefs"];
    rustix::fs::fstatfs(directory).is_ok_and(|found| {
        let magic = magic(&found);
        let known = KINDS.iter().find(|(number, _)| *number == magic);
        known.is_some_and(|(_, name)| KNOWN.contains(name))
    })
}

/// How long the system may keep a page that was written to without writing it to the device, in ns: a write through a memory
/// mapping to such a page moves no time. `None` when it may be for ever.
#[cfg(target_os = "linux")]
#[must_use]
pub fn longest_dirty_ns() -> Option<i128> {
    let setting = |name: &str| {
        let text = std::fs::read_to_string(format!("/proc/sys/vm/{name}")).ok()?;
        text.trim().parse::<i128>().ok().filter(|value| *value > 0)
    };
    let centiseconds = setting("dirty_expire_centisecs")? + setting("dirty_writeback_centisecs")?;
    Some(centiseconds * 10_000_000)
}

/// How long a file must have been left alone before its change time is relied on, at least, in ns.
const QUIET_NS: i128 = 60_000_000_000;

/// How long a file must have been left alone, in ns, so that every later write to it moves its change time, also one through a
/// memory mapping; `None` where no time is long enough.
#[must_use]
pub fn quiet_ns() -> Option<i128> {
    longest_dirty_ns().map(|dirty_ns| QUIET_NS.max(dirty_ns * 3 / 2))
}

/// The same on systems that do not say.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub const fn longest_dirty_ns() -> Option<i128> {
    None
}

/// The same on systems for which no file system is known here.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn has_change_times(_directory: &File) -> bool {
    false
}

#[cfg(target_os = "linux")]
fn kind(path: &Path) -> Result<String> {
    let found = rustix::fs::statfs(path).context("ask about the file system of", path)?;
    let magic = magic(&found);
    let known = KINDS.iter().find(|(number, _)| *number == magic);
    Ok(known.map_or_else(
        || format!("of type {magic:x}"),
        |(_, name)| (*name).to_owned(),
    ))
}

/// The magic numbers have 32 bits; the field is wider on some machines, and then may be filled with the sign.
#[cfg(target_os = "linux")]
fn magic(found: &rustix::fs::StatFs) -> i128 {
    i128::from(found.f_type) & 0xffff_ffff
}

#[cfg(target_os = "linux")]
const KINDS: [(i128, &str); 15] = [
    (0xef53, "ext4"),
    (0x0102_1994, "tmpfs"),
    (0x9123_683e, "btrfs"),
    (0x5846_5342, "xfs"),
    (0xf2f5_2010, "f2fs"),
    (0x2fc1_2fc1, "zfs"),
    (0xca45_1a4e, "bcachefs"),
    (0x794c_7630, "overlayfs"),
    (0x6573_5546, "fuse"),
    (0x6969, "nfs"),
    (0xff53_4d42, "cifs"),
    (0xfe53_4d42, "smb"),
    (0x0102_1997, "9p"),
    (0x4d44, "vfat"),
    (0x2011_bab0, "exfat"),
];

#[cfg(not(target_os = "linux"))]
fn kind(_path: &Path) -> Result<String> {
    Ok("of unknown type".to_owned())
}
