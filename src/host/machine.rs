//! What the machine says of itself: system, user, and the file system under a path.

use std::path::Path;

/// Name of the system, such as `Linux`.
#[must_use]
pub fn system() -> String {
    rustix::system::uname()
        .sysname()
        .to_string_lossy()
        .into_owned()
}

/// Release, version and architecture of the kernel.
#[must_use]
pub fn kernel() -> String {
    let name = rustix::system::uname();
    let words = [name.release(), name.version(), name.machine()];
    words.map(|word| word.to_string_lossy()).join(" ")
}

/// The user this process runs as.
#[must_use]
pub fn user() -> u32 {
    rustix::process::geteuid().as_raw()
}

/// The kind of file system under a path: its name if it is a common one, else its number.
#[cfg(target_os = "linux")]
#[must_use]
pub fn file_system(path: &Path) -> Option<String> {
    let kind = rustix::fs::statfs(path).ok()?.f_type;
    // The kernel's numbers are 32 bits wide, and their type has another sign from one architecture to the next.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "only the low 32 bits tell kinds apart"
    )]
    let kind = kind as u32;
    let name = match kind {
        0xef53 => "ext2, ext3 or ext4",
        0x5846_5342 => "xfs",
        0x9123_683e => "btrfs",
        0x0102_1994 => "tmpfs",
        0x794c_7630 => "overlay",
        0x6969 => "nfs",
        0xff53_4d42 | 0xfe53_4d42 => "smb",
        0x4d44 => "vfat",
        0x2011_bab0 => "exfat",
        0x6573_5546 => "fuse",
        0x2fc1_2fc1 => "zfs",
        0xf2f5_2010 => "f2fs",
        0x0102_1997 => "9p",
        _ => return Some(format!("0x{kind:x}")),
    };
    Some(name.to_owned())
}

/// The kind of file system under a path: not asked for here.
#[cfg(not(target_os = "linux"))]
#[must_use]
pub fn file_system(_path: &Path) -> Option<String> {
    None
}

/// How large a file with this program's memory might have become.
#[derive(Debug, Clone)]
pub struct CoreLimit(rustix::process::Rlimit);

/// As [`leave_no_core_file`], until [`allow_core_file`]: a program that this one becomes shall have what its user gave it.
#[must_use = "it is given back to what is run next"]
pub fn leave_no_core_file_for_now() -> CoreLimit {
    let former = rustix::process::getrlimit(rustix::process::Resource::Core);
    let none = rustix::process::Rlimit {
        current: Some(0),
        maximum: former.maximum,
    };
    let _unasked = rustix::process::setrlimit(rustix::process::Resource::Core, none);
    CoreLimit(former)
}

/// Gives back what [`leave_no_core_file_for_now`] took.
pub fn allow_core_file(former: &CoreLimit) {
    let limit = former.0;
    let _unasked = rustix::process::setrlimit(rustix::process::Resource::Core, limit);
}

/// Lets others go first, for work that nobody waits for.
pub fn be_nice() {
    // Where it may not be asked for, nothing else is lost.
    let _unasked = rustix::process::nice(10);
}

/// Keeps the system from writing this program's memory, which may hold a key, to a file when it is stopped by a fault.
/// Where that cannot be asked for, nothing else is lost.
pub fn leave_no_core_file() {
    let none = rustix::process::Rlimit {
        current: Some(0),
        maximum: Some(0),
    };
    let _unasked = rustix::process::setrlimit(rustix::process::Resource::Core, none);
}

/// Lets this process open as many files as the system allows it at most: a vault may hold more packs than programs may usually have
/// open.
pub fn allow_many_files() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let limit = getrlimit(Resource::Nofile);
    let most = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    // Where it is refused, opening one file too many says so.
    let _unasked = setrlimit(Resource::Nofile, most);
}
