//! A small disk in a file, with a file system on it whose power can be cut at any moment.

use std::fs;
use std::mem::MaybeUninit;
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify;
use tempfile::TempDir;

use crate::support::Sandbox;

/// The ioctl that stops a file system at once; perl comes with git.
const SHUT_DOWN: &str = r#"
    open(my $directory, "<", $ARGV[0]) or die "open: $!";
    my $flag = pack("L", $ARGV[1]);
    ioctl($directory, 0x8004587D, $flag) or die "ioctl: $!";
"#;

/// What is on the disk. Timers are set so that nothing is written before it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileSystem {
    Ext4,
    Xfs,
    Btrfs,
}

/// How the power goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cut {
    /// The journal still gets out: names without the data that was never made durable.
    AfterJournal,
    /// Nothing more gets out.
    AtOnce,
    /// The image is copied as it is, and used in place of the disk.
    ImageCopied,
}

impl FileSystem {
    /// The cuts that the system offers for it.
    pub fn cuts(self) -> &'static [Cut] {
        match self {
            Self::Ext4 | Self::Xfs => &[Cut::AfterJournal, Cut::AtOnce],
            Self::Btrfs => &[Cut::ImageCopied],
        }
    }

    fn megabytes(self) -> u64 {
        match self {
            Self::Ext4 => 64,
            Self::Xfs => 300,
            Self::Btrfs => 128,
        }
    }

    fn make(self) -> &'static [&'static str] {
        match self {
            Self::Ext4 => &[
                "mkfs.ext4",
                "-q",
                "-F",
                "-J",
                "size=4",
                "-O",
                "^resize_inode",
            ],
            Self::Xfs => &["mkfs.xfs", "-q", "-f"],
            Self::Btrfs => &["mkfs.btrfs", "-q", "-f", "-M"],
        }
    }

    pub fn options(self) -> &'static str {
        match self {
            Self::Ext4 => "commit=300,noauto_da_alloc",
            Self::Xfs => "noquota,nouuid",
            Self::Btrfs => "commit=300",
        }
    }
}

/// A mounted disk. Dropping it unmounts it and lets go of the loop device, also when a test has failed.
pub struct LoopDisk {
    pub file_system: FileSystem,
    mount: PathBuf,
    directory: TempDir,
}

impl LoopDisk {
    /// Makes a disk and mounts it inside the sandbox; says aloud that the test is skipped where that cannot be done.
    pub fn new(sandbox: &Sandbox, file_system: FileSystem, test: &str) -> Option<Self> {
        let in_memory = Path::new("/dev/shm");
        let place = if in_memory.is_dir() {
            in_memory.to_owned()
        } else {
            std::env::temp_dir()
        };
        Self::new_in(&place, sandbox, file_system, test)
    }

    /// The same with the image in a given place.
    pub fn new_in(
        place: &Path,
        sandbox: &Sandbox,
        file_system: FileSystem,
        test: &str,
    ) -> Option<Self> {
        let mount = sandbox.path("disk");
        fs::create_dir(&mount).expect("the mount point");
        let disk = Self {
            file_system,
            mount,
            directory: TempDir::with_prefix_in("git-vault-disk-", place).expect("a directory"),
        };
        match disk.format().and_then(|()| disk.try_mount()) {
            Ok(()) => Some(disk),
            Err(reason) => {
                eprintln!("SKIPPED: {test}: no {file_system:?} on a loop device: {reason}");
                None
            }
        }
    }

    /// Moves all that the program keeps to the disk: vaults, keys and states.
    pub fn hold_homes(&self, sandbox: &Sandbox) {
        for name in ["config", "data", "state"] {
            let home = sandbox.path(name);
            fs::remove_dir(&home).expect("the home is empty");
            fs::create_dir(self.mount.join(name)).expect("the home on the disk");
            std::os::unix::fs::symlink(self.mount.join(name), home).expect("the link");
        }
    }

    pub fn mount_point(&self) -> &Path {
        &self.mount
    }

    pub fn image(&self) -> PathBuf {
        self.directory.path().join("image")
    }

    pub fn saved(&self) -> PathBuf {
        self.directory.path().join("saved")
    }

    fn format(&self) -> Result<(), String> {
        let file = fs::File::create(self.image()).expect("the image");
        file.set_len(self.file_system.megabytes() << 20)
            .expect("its size");
        let mut words = self.file_system.make().to_vec();
        let image = self.image();
        words.push(image.to_str().expect("a UTF-8 path"));
        try_run(&words)
    }

    fn try_mount(&self) -> Result<(), String> {
        let options = format!("loop,{}", self.file_system.options());
        let (image, mount) = (self.image(), &self.mount);
        let words = [image.to_str(), mount.to_str()].map(|word| word.expect("a UTF-8 path"));
        try_run(&["mount", "-o", &options, words[0], words[1]])
    }

    #[track_caller]
    pub fn mount(&self) {
        self.try_mount().expect("the disk is mounted");
    }

    /// Unmounts the disk, and returns when the file system is gone. Another thread's child may for an instant hold a file of it
    /// that was open here when it began; so the system is asked to tell when the last user has let go.
    #[track_caller]
    pub fn unmount(&self) {
        const PATIENCE: Timespec = Timespec {
            tv_sec: 60,
            tv_nsec: 0,
        };
        let watch = inotify::init(inotify::CreateFlags::CLOEXEC).expect("a watch");
        let root = inotify::add_watch(&watch, &self.mount, inotify::WatchFlags::DELETE_SELF)
            .expect("the root of the disk can be watched");
        let mount = self.mount.to_str().expect("a UTF-8 path");
        try_run(&["umount", "-l", mount]).expect("the disk is unmounted");
        let mut waiting = [PollFd::new(&watch, PollFlags::IN)];
        assert_eq!(
            poll(&mut waiting, Some(&PATIENCE)).expect("the system tells"),
            1,
            "the disk is still in use"
        );
        let mut buffer = [MaybeUninit::uninit(); 512];
        let mut events = inotify::Reader::new(&watch, &mut buffer);
        let event = events.next().expect("an event");
        assert_eq!(event.wd(), root);
        assert!(event.events().contains(inotify::ReadFlags::UNMOUNT));
    }

    /// Unmounts the disk and mounts it again.
    #[track_caller]
    pub fn restart(&self) {
        self.unmount();
        self.mount();
    }

    /// Keeps a copy of the disk as it is, to go back to.
    #[track_caller]
    pub fn save(&self) {
        self.unmount();
        copy(&self.image(), &self.saved());
        self.mount();
    }

    /// Makes the disk what it was when it was saved.
    #[track_caller]
    pub fn reset(&self) {
        self.replace(|_image| {});
    }

    /// Unmounts the disk and makes its image what it was when it was saved.
    #[track_caller]
    pub fn take_back(&self) {
        self.unmount();
        copy(&self.saved(), &self.image());
    }

    /// Makes the disk what it was when it was saved, with these changes to its image.
    #[track_caller]
    pub fn replace(&self, change: impl FnOnce(&Path)) {
        self.take_back();
        change(&self.image());
        self.mount();
    }

    /// Cuts the power and turns it on again: what was not durable is gone, the journal is replayed.
    #[track_caller]
    pub fn cut(&self, cut: Cut) {
        let flag = match cut {
            Cut::AfterJournal => Some("1"),
            Cut::AtOnce => Some("2"),
            Cut::ImageCopied => None,
        };
        let mount = self.mount.to_str().expect("a UTF-8 path");
        if let Some(flag) = flag {
            try_run(&["perl", "-e", SHUT_DOWN, mount, flag]).expect("the power is cut");
        }
        let left = self.directory.path().join("left");
        copy(&self.image(), &left);
        self.unmount();
        fs::rename(left, self.image()).expect("what is left is the disk");
        self.mount();
    }
}

impl Drop for LoopDisk {
    fn drop(&mut self) {
        // Lazily, because a test that failed may have left a process in it; the loop device goes with the last user.
        let _status = Command::new("umount").arg("-l").arg(&self.mount).output();
    }
}

/// Copies an image to a file of its own: the system may hold on to a disk that was in its place before.
#[track_caller]
fn copy(from: &Path, to: &Path) {
    let _absent = fs::remove_file(to);
    let words = [from.to_str(), to.to_str()].map(|word| word.expect("a UTF-8 path"));
    try_run(&["cp", "--sparse=always", words[0], words[1]]).expect("the image is copied");
}

/// Runs a command, and gives what it complains of.
pub fn try_run(words: &[&str]) -> Result<(), String> {
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env("PATH", search_path());
    match command.output() {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => Err(format!(
            "{}: {}",
            words[0],
            String::from_utf8_lossy(&output.stderr).trim()
        )),
        Err(error) => Err(format!("{}: {error}", words[0])),
    }
}

/// Tools for disks are often outside a user's search path.
fn search_path() -> String {
    let path = std::env::var("PATH").unwrap_or_default();
    format!("{path}:/usr/sbin:/sbin")
}
