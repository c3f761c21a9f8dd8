//! A disk that promises more room than there is: the system takes every write, and only fsync says that there is no room.

use std::fs;
use std::path::PathBuf;

use crate::crash::{points, without_objects};
use crate::laboratory::{refusal, run};
use crate::loop_disk::{FileSystem, LoopDisk, try_run};
use crate::support::files::{incompressible, write};
use crate::support::{Sandbox, states};

/// Room is taken away in steps of this many bytes.
const STEP_BYTES: u64 = 64 << 10;

/// A little more than a snapshot of the source takes.
const NEEDED_BYTES: u64 = 4 << 20;

/// A file system of limited size for the image. Dropping it unmounts it.
struct SmallMemory(PathBuf);

impl SmallMemory {
    fn new(sandbox: &Sandbox, test: &str) -> Option<Self> {
        let place = sandbox.path("memory");
        fs::create_dir(&place).expect("the mount point");
        let text = place.to_str().expect("a UTF-8 path");
        match try_run(&["mount", "-t", "tmpfs", "-o", "size=512m", "tmpfs", text]) {
            Ok(()) => Some(Self(place)),
            Err(reason) => {
                eprintln!("SKIPPED: {test}: {reason}");
                None
            }
        }
    }

    fn used_bytes(&self) -> u64 {
        let space = rustix::fs::statvfs(&self.0).expect("the space");
        (space.f_blocks - space.f_bfree) * space.f_frsize
    }

    fn resize(&self, bytes: u64) {
        let text = self.0.to_str().expect("a UTF-8 path");
        try_run(&["mount", "-o", &format!("remount,size={bytes}"), text]).expect("the size is set");
    }
}

impl Drop for SmallMemory {
    fn drop(&mut self) {
        let _unmounted = try_run(&["umount", "-l", self.0.to_str().expect("a UTF-8 path")]);
    }
}

#[test]
fn a_disk_with_less_room_than_it_says_never_holds_half_a_snapshot() {
    for file_system in [FileSystem::Ext4, FileSystem::Xfs] {
        let sandbox = Sandbox::new();
        let Some(memory) = SmallMemory::new(&sandbox, "thin disk") else {
            return;
        };
        if let Some(disk) = LoopDisk::new_in(&memory.0, &sandbox, file_system, "thin disk") {
            sweep(&sandbox, &memory, &disk);
        }
    }
}

fn sweep(sandbox: &Sandbox, memory: &SmallMemory, disk: &LoopDisk) {
    disk.hold_homes(sandbox);
    let source = states::small_repository(sandbox);
    let earlier = sandbox.snapshot(&source);
    let expected = without_objects(&sandbox.restore(&source, &earlier, "reference"));
    write(
        &source,
        "large.bin",
        incompressible(NEEDED_BYTES as usize / 2),
    );
    disk.save();
    let (mut sealed, mut refused, mut by_sync) = (0, 0, 0);
    for steps in points((NEEDED_BYTES / STEP_BYTES) as usize, 8) {
        memory.resize(512 << 20);
        disk.reset();
        let mount = disk.mount_point().to_str().expect("a UTF-8 path");
        try_run(&["sync", "-f", mount]).expect("nothing is left to be written");
        memory.resize(memory.used_bytes() + steps as u64 * STEP_BYTES);
        let said = run(sandbox, &source, &["snapshot"]);
        let is_sealed = said.stdout.starts_with(b"SEALED");
        // More room again, for the journal of what is to be looked at.
        memory.resize(512 << 20);
        disk.restart();
        let listed = run(sandbox, &source, &["--json", "list"])
            .succeeded()
            .json();
        let count = listed["snapshots"].as_array().expect("the snapshots").len();
        if is_sealed {
            sealed += 1;
            assert_eq!(count, 2, "{steps} steps of room\n{said}");
        } else {
            refused += 1;
            by_sync += usize::from(String::from_utf8_lossy(&said.stderr).contains("make durable"));
            assert!(refusal(&said).is_ok_and(|code| code.exit() == 13), "{said}");
        }
        let _said = run(sandbox, &source, &["verify", "--deep"]).succeeded();
        let copy = sandbox.restore(&source, &earlier, "copy");
        assert!(without_objects(&copy) == expected, "{steps} steps of room");
        fs::remove_dir_all(copy).expect("the copy is removed");
        let _said = run(sandbox, &source, &["snapshot"]).succeeded();
    }
    eprintln!(
        "thin {:?}: {sealed} sealed, {refused} refused, {by_sync} of them at fsync",
        disk.file_system
    );
    assert!(
        sealed > 0 && refused > 0,
        "the room is about what is needed"
    );
}
