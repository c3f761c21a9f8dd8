//! Small file helpers that take names of any bytes.

use std::ffi::OsStr;
use std::fs::{self, File, FileTimes, Permissions};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, SystemTime};

/// Nanoseconds in a second.
pub const SECOND: i128 = 1_000_000_000;

/// The path of a name of any bytes under a directory.
pub fn at(directory: &Path, name: impl AsRef<[u8]>) -> PathBuf {
    directory.join(OsStr::from_bytes(name.as_ref()))
}

/// Writes a file, making the directories above it.
#[track_caller]
pub fn write(directory: &Path, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> PathBuf {
    let path = at(directory, name);
    make_parents(&path);
    if content.as_ref().starts_with(b"#!") {
        write_program(&path, content.as_ref());
    } else {
        fs::write(&path, content).expect("the file is written");
    }
    path
}

/// Writes a file that will be run. A program cannot be run while anybody has it open for writing, and a child that another test is just
/// starting has everything open that this process has open: so another process writes it.
#[track_caller]
fn write_program(path: &Path, content: &[u8]) {
    let mut command = Command::new("sh");
    command.args(["-c", "cat >\"$1\"", "sh"]).arg(path);
    let mut child = command.stdin(Stdio::piped()).spawn().expect("sh starts");
    let mut input = child.stdin.take().expect("its input");
    input.write_all(content).expect("the file is written");
    drop(input);
    assert!(child.wait().expect("it ends").success());
}

/// Copies the program, to be run from there: see [`write_program`].
#[track_caller]
pub fn copy_program(to: &Path) {
    make_parents(to);
    let mut command = Command::new("cp");
    command
        .arg("--")
        .arg(env!("CARGO_BIN_EXE_git-vault"))
        .arg(to);
    assert!(command.status().expect("cp starts").success());
}

/// Adds bytes to the end of a file.
#[track_caller]
pub fn append(directory: &Path, name: impl AsRef<[u8]>, content: impl AsRef<[u8]>) -> PathBuf {
    let path = at(directory, name);
    let mut whole = fs::read(&path).expect("the file is read");
    whole.extend_from_slice(content.as_ref());
    fs::write(&path, whole).expect("the file is written");
    path
}

#[track_caller]
pub fn remove(directory: &Path, name: impl AsRef<[u8]>) {
    fs::remove_file(at(directory, name)).expect("the file is removed");
}

/// Makes a directory and those above it.
#[track_caller]
pub fn mkdir(directory: &Path, name: impl AsRef<[u8]>) -> PathBuf {
    let path = at(directory, name);
    fs::create_dir_all(&path).expect("the directory is made");
    path
}

#[track_caller]
pub fn symlink(directory: &Path, name: impl AsRef<[u8]>, target: impl AsRef<[u8]>) -> PathBuf {
    let path = at(directory, name);
    make_parents(&path);
    std::os::unix::fs::symlink(OsStr::from_bytes(target.as_ref()), &path).expect("the symlink");
    path
}

#[track_caller]
pub fn chmod(path: &Path, mode: u32) {
    fs::set_permissions(path, Permissions::from_mode(mode)).expect("the mode is set");
}

/// Sets the modification time, in nanoseconds since 1970, of a file or directory.
#[track_caller]
pub fn set_mtime(path: &Path, nanoseconds: i128) {
    let whole = u64::try_from(nanoseconds / SECOND).expect("a time since 1970");
    let rest = u32::try_from(nanoseconds % SECOND).expect("less than a second");
    let time = SystemTime::UNIX_EPOCH + Duration::new(whole, rest);
    let file = File::open(path).expect("the file is opened");
    file.set_times(FileTimes::new().set_modified(time))
        .expect("the time is set");
}

/// Sets the modification time of a symlink itself.
#[track_caller]
pub fn set_symlink_mtime(path: &Path, nanoseconds: i128) {
    let date = format!("@{}.{:09}", nanoseconds / SECOND, nanoseconds % SECOND);
    let status = Command::new("touch")
        .args(["--no-dereference", "--date", &date])
        .arg(path)
        .status();
    assert!(status.expect("touch starts").success());
}

/// Bytes that do not compress, the same ones for the same seed.
pub fn noise(seed: u64, size_bytes: usize) -> Vec<u8> {
    let mut state = seed | 1;
    let mut bytes = Vec::with_capacity(size_bytes + 8);
    while bytes.len() < size_bytes {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.wrapping_mul(0x2545_F491_4F6C_DD1D).to_le_bytes());
    }
    bytes.truncate(size_bytes);
    bytes
}

#[track_caller]
fn make_parents(path: &Path) {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).expect("the directories above are made");
    }
}

/// Bytes that do not compress, the same in each run.
pub fn incompressible(count: usize) -> Vec<u8> {
    let mut state = 1_u32;
    let next = |_| {
        state ^= state << 13;
        state ^= state >> 17;
        state ^= state << 5;
        state.to_le_bytes()
    };
    (0..count / 4).flat_map(next).collect()
}
