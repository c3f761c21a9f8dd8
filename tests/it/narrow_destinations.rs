//! File systems that hold less than the source's: times, attributes, links, modes, names. What they cannot hold is found
//! out before the first write of content, and listed.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::crash::can_trace;
use crate::laboratory::{bounded, refusal};
use crate::ownership::{WHOLE_SECONDS, mount_image};
use crate::support::files::{chmod, mkdir, set_mtime, symlink, write};
use crate::support::listing;
use crate::support::mount::{Mount, has_tool};
use crate::support::{Said, Sandbox, states};

const WHOLE_SECOND: i128 = 1_600_000_000_000_000_000;

/// Gives everything in a directory a time of whole seconds.
fn round_times(root: &Path) {
    let all = listing::list(root, &|_| true);
    for name in all.keys().rev() {
        let path = crate::support::files::at(root, name);
        if !path.is_symlink() {
            set_mtime(&path, WHOLE_SECOND);
        }
    }
}

/// The refusal comes before anything is written, and names what cannot be held.
#[track_caller]
fn assert_refused_before_writing(said: &Said, place: &Path, what: &str) {
    assert_eq!(
        refusal(said).map(|code| code.code()),
        Ok("GV-2201"),
        "{said}"
    );
    assert!(
        String::from_utf8_lossy(&said.stderr).contains(what),
        "{what}\n{said}"
    );
    let left: Vec<PathBuf> = fs::read_dir(place)
        .expect("the place is read")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| !path.ends_with("lost+found"))
        .collect();
    assert_eq!(left, [] as [PathBuf; 0], "{said}");
}

fn restore_to(sandbox: &Sandbox, source: &Path, place: &Path) -> Said {
    let destination = place.join("out");
    let text = destination.to_str().expect("a UTF-8 path");
    sandbox.vault(source, &["restore", "@latest", text])
}

#[track_caller]
fn assert_exact(sandbox: &Sandbox, source: &Path, place: &Path) {
    let _said = restore_to(sandbox, source, place).succeeded();
    let wanted = |name: &[u8]| !name.starts_with(b".git/objects");
    let expected = listing::list(source, &wanted);
    let found = listing::list(&place.join("out"), &wanted);
    assert_eq!(listing::differences("restored", &expected, &found), [""; 0]);
    fs::remove_dir_all(place.join("out")).expect("the copy is removed");
}

#[test]
fn times_that_a_destination_cannot_hold_are_refused_and_others_are_exact() {
    let test = "a destination of whole seconds";
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let Some((_mount, place)) = mount_image(&sandbox, test, "mkfs.ext4", WHOLE_SECONDS) else {
        return;
    };
    let _id = sandbox.snapshot(&source);
    let said = restore_to(&sandbox, &source, &place);
    assert_refused_before_writing(&said, &place, "times are kept less exactly");
    round_times(&source);
    let _id = sandbox.snapshot(&source);
    assert_exact(&sandbox, &source, &place);
    for (date, seconds) in [
        ("2106-02-07 06:28:17", "4294967297"),
        ("1850-01-01", "-3786825600"),
    ] {
        let path = source.join("README.md");
        let mut command = sandbox.command("touch", &source);
        let output = command.args(["--date", date]).arg(&path).output();
        assert!(output.is_ok_and(|output| output.status.success()));
        let found = std::os::unix::fs::MetadataExt::mtime(&fs::metadata(&path).expect("its time"));
        if found.to_string() != seconds {
            eprintln!("SKIPPED: {test}: the source itself does not hold {date}");
            continue;
        }
        let _id = sandbox.snapshot(&source);
        let said = restore_to(&sandbox, &source, &place);
        let what = format!("a time is not kept: {seconds} seconds");
        assert_refused_before_writing(&said, &place, &what);
    }
}

/// `ramfs` has no extended attributes; neither have FAT and many servers.
#[test]
fn a_destination_without_extended_attributes_is_refused_only_if_there_are_some() {
    let test = "a destination without extended attributes";
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let place = mkdir(&sandbox.path(""), "ramfs");
    let Some(_mount) = Mount::new(&["-t", "ramfs", "ramfs"], &place) else {
        eprintln!("SKIPPED: {test}: it cannot be mounted here (it needs root)");
        return;
    };
    let _id = sandbox.snapshot(&source);
    let said = restore_to(&sandbox, &source, &place);
    if said.code == Some(0) {
        fs::remove_dir_all(place.join("out")).expect("the copy is removed");
        assert_exact(&sandbox, &source, &place);
    } else {
        // A file system that does not know its room is refused for that.
        assert_eq!(
            refusal(&said).map(|code| code.code()),
            Ok("GV-2202"),
            "{said}"
        );
    }
}

/// On ext4 the attributes of a file share a block.
#[test]
fn attributes_that_are_too_large_for_a_destination_are_refused() {
    let test = "attributes that are too large";
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let script = "mkfs.ext4 -q \"$1\" && mount -o loop \"$1\" \"$2\"";
    let Some((_mount, place)) = mount_image(&sandbox, test, "mkfs.ext4", script) else {
        return;
    };
    let value = "v".repeat(30_000);
    let mut command = Command::new("setfattr");
    command
        .args(["--name", "user.large", "--value", &value])
        .arg(source.join("README.md"));
    if !command.output().is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: {test}: such a large attribute cannot be set here");
        return;
    }
    let _id = sandbox.snapshot(&source);
    let said = restore_to(&sandbox, &source, &place);
    let what = "1 files have extended attributes, up to 30010 bytes of them";
    assert_refused_before_writing(&said, &place, what);
    let elsewhere = mkdir(&sandbox.path(""), "elsewhere");
    assert_exact(&sandbox, &source, &elsewhere);
}

/// XFS takes targets of up to 1024 bytes.
#[test]
fn a_link_that_is_too_long_for_a_destination_is_refused() {
    let test = "a link that is too long";
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let script = "truncate -s 320M \"$1\" && mkfs.xfs -q \"$1\" && mount -o loop \"$1\" \"$2\"";
    let Some((_mount, place)) = mount_image(&sandbox, test, "mkfs.xfs", script) else {
        return;
    };
    symlink(&source, "short", [b'x'; 1000]);
    let _id = sandbox.snapshot(&source);
    assert_exact(&sandbox, &source, &place);
    symlink(&source, "long", [b'x'; 2000]);
    let _id = sandbox.snapshot(&source);
    let said = restore_to(&sandbox, &source, &place);
    assert_refused_before_writing(
        &said,
        &place,
        "a symbolic link leads to a path of 2000 bytes",
    );
}

/// In a directory of a group that is not one's own, the system drops set-group-ID bits and says nothing.
#[test]
fn a_mode_that_a_destination_does_not_keep_is_refused() {
    let test = "a mode that a destination does not keep";
    if !has_tool(test, "setpriv") {
        return;
    }
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    chmod(&write(&source, "of-its-group", "x\n"), 0o2755);
    let _id = sandbox.snapshot(&source);
    let place = mkdir(&sandbox.path(""), "place");
    let program = sandbox.path("git-vault");
    crate::support::files::copy_program(&program);
    let mut command = sandbox.command("chown", &source);
    command.args(["-R", "--no-dereference", "65534:65534"]);
    let ours = ["config", "data", "state", "work", "home", "tmp"].map(|name| sandbox.path(name));
    if !command
        .args(ours)
        .output()
        .is_ok_and(|output| output.status.success())
    {
        eprintln!("SKIPPED: {test}: only root can become somebody else");
        return;
    }
    chmod(&sandbox.path(""), 0o755);
    chmod(&place, 0o2777);
    let mut command = sandbox.command("setpriv", &source);
    command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
    command
        .arg(&program)
        .args(["restore", "@latest"])
        .arg(place.join("out"));
    let said = bounded(command, "git-vault restore as nobody");
    assert_refused_before_writing(&said, &place, "a mode is not kept: 2755");
}

/// No file system here changes Unicode names. The system is made to answer as one that takes both spellings for one name.
#[test]
fn a_destination_that_takes_two_spellings_for_one_is_refused() {
    let test = "two spellings of a name";
    if !can_trace(test) {
        return;
    }
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    write(&source, "caf\u{e9}", "x\n");
    let _id = sandbox.snapshot(&source);
    let place = mkdir(&sandbox.path(""), "place");
    let mut command = sandbox.command("strace", &source);
    command.args(["-f", "-qq", "-o", "/dev/null", "-P", "probe-e\u{301}"]);
    command.args(["-e", "trace=openat", "-e", "inject=openat:error=EEXIST"]);
    command
        .arg(env!("CARGO_BIN_EXE_git-vault"))
        .args(["restore", "@latest"]);
    command.arg(place.join("out"));
    let said = bounded(command, "git-vault restore where spellings are one");
    assert_refused_before_writing(&said, &place, "Unicode names are changed: 1 names could be");
    assert_exact(&sandbox, &source, &place);
}
