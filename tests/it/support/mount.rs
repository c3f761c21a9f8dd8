//! File systems that are mounted for a test and taken away again, whatever happens.

use std::path::{Path, PathBuf};
use std::process::Command;

/// A mounted file system. It must be dropped before the sandbox it lies in: declare it later.
pub struct Mount {
    place: PathBuf,
}

impl Mount {
    /// Mounts with these arguments of `mount`, the place excepted; `None` when that may not be done here.
    pub fn new(arguments: &[&str], place: &Path) -> Option<Self> {
        let mut command = Command::new("mount");
        command.args(arguments).arg(place);
        Self::with(command, place)
    }

    pub fn tmpfs(options: &str, place: &Path) -> Option<Self> {
        Self::new(&["-t", "tmpfs", "-o", options, "tmpfs"], place)
    }

    pub fn bind(from: &Path, place: &Path) -> Option<Self> {
        Self::new(&["--bind", from.to_str().expect("a UTF-8 path")], place)
    }

    /// Mounts by any command that ends when the file system is there.
    pub fn with(mut command: Command, place: &Path) -> Option<Self> {
        let is_there = command.output().is_ok_and(|output| output.status.success());
        is_there.then(|| Self {
            place: place.to_owned(),
        })
    }

    /// Changes the options; false when the system does not let us.
    #[must_use]
    pub fn remount(&self, options: &str) -> bool {
        let mut command = Command::new("mount");
        let output = command
            .args(["-o", &format!("remount,{options}")])
            .arg(&self.place)
            .output();
        output.is_ok_and(|output| output.status.success())
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        for arguments in [&[][..], &["-l"]] {
            let output = Command::new("umount")
                .args(arguments)
                .arg(&self.place)
                .output();
            if output.is_ok_and(|output| output.status.success()) {
                return;
            }
        }
        eprintln!("'{}' is still mounted", self.place.display());
    }
}

/// Whether a tool is there; says aloud that the test is skipped when it is not.
pub fn has_tool(test: &str, tool: &str) -> bool {
    let output = Command::new("sh")
        .args(["-c", &format!("command -v {tool}")])
        .output();
    let has = output.is_ok_and(|output| output.status.success());
    if !has {
        eprintln!("SKIPPED: {test}: {tool} is not installed");
    }
    has
}
