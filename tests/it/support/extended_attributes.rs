//! User extended attributes, through whichever tool the machine has.

use std::io;
use std::path::Path;
use std::process::{Command, Output};

const SET_WITH_PYTHON: &str = "import os,sys; os.setxattr(sys.argv[1], sys.argv[2], sys.argv[3].encode(), follow_symlinks=False)";
const LIST_WITH_PYTHON: &str = "\
import os,sys
for name in sorted(os.listxattr(sys.argv[1], follow_symlinks=False)):
    print(name, os.getxattr(sys.argv[1], name, follow_symlinks=False).hex())";

/// Whether the attribute could be set here at all.
#[must_use]
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Setting {
    Done,
    Unavailable,
}

/// Sets `user.…` on a file; where no tool or file system can, says so loudly and leaves the file as it is.
pub fn set(path: &Path, name: &str, value: &str) -> Setting {
    let setfattr = Command::new("setfattr")
        .args(["--no-dereference", "--name", name, "--value", value])
        .arg(path)
        .output();
    let python = || {
        Command::new("python3")
            .args(["-c", SET_WITH_PYTHON])
            .arg(path)
            .args([name, value])
            .output()
    };
    if succeeded(&setfattr) || succeeded(&python()) {
        return Setting::Done;
    }
    eprintln!(
        "SKIPPED: neither setfattr nor python3 can set '{name}' on {}",
        path.display()
    );
    Setting::Unavailable
}

/// The attributes of a file as printed by the tool, to be compared with another file's.
pub fn list(path: &Path) -> String {
    let python = Command::new("python3")
        .args(["-c", LIST_WITH_PYTHON])
        .arg(path)
        .output();
    let output = if succeeded(&python) {
        python
    } else {
        Command::new("getfattr")
            .args([
                "--dump",
                "--encoding=hex",
                "--absolute-names",
                "--only-values",
            ])
            .arg(path)
            .output()
    };
    String::from_utf8_lossy(&output.expect("a tool that lists attributes").stdout).into_owned()
}

fn succeeded(output: &io::Result<Output>) -> bool {
    output.as_ref().is_ok_and(|output| output.status.success())
}
