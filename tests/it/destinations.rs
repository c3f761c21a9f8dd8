//! Where a workspace is restored to: foreign file systems, too little room, modes and masks, places without permission. It
//! is restored exactly, or refused before anything is written.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::crash::{can_trace, points};
use crate::laboratory::{
    Laboratory, assert_none, bounded, effort, make_empty, refusal, restored_listing,
};
use crate::pause::paused;
use crate::support::files::{chmod, mkdir, symlink, write};
use crate::support::listing;
use crate::support::mount::{Mount, has_tool};
use crate::support::{Said, Sandbox, states};

/// File systems that other systems use, each in an image, with the tools that make and mount it.
const FOREIGN: [(&str, &str, &str); 4] = [
    (
        "exfat",
        "mount.exfat-fuse",
        "mkfs.exfat \"$1\" && loop=$(losetup -f --show \"$1\") && \
         { mount.exfat-fuse \"$loop\" \"$2\"; status=$?; losetup -d \"$loop\"; exit $status; }",
    ),
    (
        "ntfs as Windows sees it",
        "lowntfs-3g",
        "mkntfs -F -Q \"$1\" && lowntfs-3g -o ignore_case,windows_names \"$1\" \"$2\"",
    ),
    (
        "ntfs with permissions",
        "lowntfs-3g",
        "mkntfs -F -Q \"$1\" && lowntfs-3g -o permissions,ignore_case,windows_names \"$1\" \"$2\"",
    ),
    (
        "ntfs that tells case apart",
        "ntfs-3g",
        "mkntfs -F -Q \"$1\" && ntfs-3g -o permissions,windows_names \"$1\" \"$2\"",
    ),
];

/// Puts something into a working tree.
type Make = fn(&Path);

/// What may be in a working tree that such a file system cannot hold.
const CONTENTS: [(&str, Make); 12] = [
    ("nothing special", |_| ()),
    ("names that differ in case", |source| {
        write(source, "notes.txt", "small\n");
        write(source, "Notes.txt", "large\n");
    }),
    ("a colon", |source| drop(write(source, "a:b", "x\n"))),
    ("a question mark", |source| {
        drop(write(source, "what?", "x\n"))
    }),
    ("a backslash", |source| drop(write(source, "a\\b", "x\n"))),
    ("the name of a device", |source| {
        drop(write(source, "src/CON", "x\n"))
    }),
    ("a dot at the end", |source| {
        drop(write(source, "end.", "x\n"))
    }),
    ("a directory with a space at its end", |source| {
        write(source, "end /file", "x\n");
    }),
    ("a line feed", |source| {
        drop(write(source, "two\nlines", "x\n"))
    }),
    ("a symlink", |source| {
        drop(symlink(source, "link", "README.md"))
    }),
    ("a name that is not UTF-8", |source| {
        drop(write(source, b"caf\xe9", "x\n"))
    }),
    ("composed and decomposed letters", |source| {
        write(source, "caf\u{e9}", "x\n");
        write(source, "cafe\u{301}", "x\n");
    }),
];

/// Mounts one of them; says aloud what is skipped.
fn mount_foreign(
    sandbox: &Sandbox,
    (name, tool, script): (&str, &str, &str),
) -> Option<(Mount, PathBuf)> {
    if !has_tool(name, tool) {
        return None;
    }
    let (image, place) = (sandbox.path("image"), mkdir(&sandbox.path(""), "foreign"));
    let _old = fs::remove_file(&image);
    let file = fs::File::create(&image).expect("the image is made");
    file.set_len(64 << 20).expect("it has a size");
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(&image).arg(&place);
    let mount = Mount::with(command, &place);
    if mount.is_none() {
        eprintln!("SKIPPED: {name}: it cannot be mounted here (it needs root and FUSE)");
    }
    Some((mount?, place))
}

#[test]
fn a_foreign_file_system_gets_the_workspace_exactly_or_nothing() {
    let mut outcomes: BTreeMap<String, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for foreign in FOREIGN {
        // By default, all contents go to the one that can hold most.
        let is_last = foreign.0 == FOREIGN[FOREIGN.len() - 1].0;
        let count = if effort() >= 10 || is_last {
            CONTENTS.len()
        } else {
            2
        };
        for (what, make) in CONTENTS.into_iter().take(count) {
            let sandbox = Sandbox::new();
            let source = states::small_repository(&sandbox);
            make(&source);
            // So that it is the names that decide: times of whole seconds are kept everywhere.
            let mut command = sandbox.command("find", &source);
            command.args([".", "-exec", "touch", "-h", "-d", "@1600000000", "{}", "+"]);
            assert!(command.output().expect("find starts").status.success());
            let id = sandbox.snapshot(&source);
            let expected = restored_listing(&sandbox.restore(&source, &id, "reference"));
            let Some((_mount, place)) = mount_foreign(&sandbox, foreign) else {
                break;
            };
            let before = listing::list(&place, &|_| true);
            let destination = place.join("workspace");
            let text = destination.to_str().expect("a UTF-8 path");
            let said = sandbox.vault(&source, &["restore", &id, text]);
            let point = format!("{what} on {}", foreign.0);
            if said.code == Some(0) {
                let found = restored_listing(&destination);
                let differences = listing::differences("restored", &expected, &found);
                if !differences.is_empty() {
                    wrong.push(format!("=== {point}: {}\n{said}", differences.join("\n")));
                }
                *outcomes.entry(format!("{}: exact", foreign.0)).or_default() += 1;
                continue;
            }
            match refusal(&said) {
                Ok(code) if code.code() == "GV-2201" => {
                    let outcome = format!("{}: {}", foreign.0, code.code());
                    *outcomes.entry(outcome).or_default() += 1;
                }
                Ok(_) => wrong.push(format!("=== {point}: a code that does not fit\n{said}")),
                Err(error) => wrong.push(format!("=== {point}: {error}")),
            }
            let mut after = listing::list(&place, &|_| true);
            if let (Some(before), Some(after)) =
                (before.get(b".".as_slice()), after.get_mut(b".".as_slice()))
            {
                after.mtime_nanoseconds = before.mtime_nanoseconds;
            }
            let changes = listing::differences("destination", &before, &after);
            wrong.extend(
                changes
                    .into_iter()
                    .map(|what| format!("=== {point}: {what}\n{said}")),
            );
        }
    }
    eprintln!("foreign file systems: {outcomes:?}");
    assert_none(&wrong);
    let last = FOREIGN[FOREIGN.len() - 1].0;
    let is_tried = outcomes.keys().any(|outcome| outcome.starts_with(last));
    assert!(
        !is_tried || outcomes.contains_key(&format!("{last}: exact")),
        "what it can hold, it should get"
    );
}

/// Restores on a small file system at `small`, and says how it ended.
fn restore_to(laboratory: &Laboratory, place: &Path) -> Said {
    let destination = place.join("out");
    let text = destination.to_str().expect("a UTF-8 path").to_owned();
    laboratory.run(&["restore", &laboratory.sealed[1].id, &text])
}

/// What is at the destination after a restore that had too little of something: all of it, or nothing.
fn small_complaints(laboratory: &Laboratory, place: &Path, said: &Said) -> Vec<String> {
    let destination = place.join("out");
    let mut wrong = Vec::new();
    if said.code == Some(0) {
        let found = restored_listing(&destination);
        wrong = listing::differences("restored", &laboratory.sealed[1].restored, &found);
    } else {
        match refusal(said) {
            Ok(code) if (21..=23).contains(&code.exit()) => {}
            Ok(_) => wrong.push(format!("a code that does not fit\n{said}")),
            Err(error) => wrong.push(error),
        }
        if destination.symlink_metadata().is_ok() {
            wrong.push(format!("a destination is left behind\n{said}"));
        }
        let stderr = String::from_utf8_lossy(&said.stderr).into_owned();
        for entry in fs::read_dir(place).expect("it is read") {
            let left = entry.expect("an entry").path();
            if !stderr.contains(left.to_str().expect("a UTF-8 path")) {
                wrong.push(format!(
                    "it should say that it leaves '{}'\n{said}",
                    left.display()
                ));
            }
        }
    }
    wrong
}

#[test]
fn a_destination_of_any_size_gets_all_or_nothing() {
    let test = "small destinations";
    let laboratory = Laboratory::new();
    let place = mkdir(&laboratory.sandbox.path(""), "small");
    let sizes = points(40, 8)
        .into_iter()
        .map(|step| format!("size={}k", step * 64));
    let inodes = points(90, 12)
        .into_iter()
        .map(|count| format!("nr_inodes={}", count + 1));
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    let before = laboratory.vault_listing();
    for options in sizes.chain(inodes) {
        let Some(_mount) = Mount::tmpfs(&options, &place) else {
            eprintln!("SKIPPED: {test}: a tmpfs cannot be mounted here (it needs root)");
            return;
        };
        let said = restore_to(&laboratory, &place);
        let found = small_complaints(&laboratory, &place, &said);
        wrong.extend(
            found
                .into_iter()
                .map(|what| format!("=== {options}: {what}")),
        );
        let code = refusal(&said).map_or("restored", |code| code.code());
        *outcomes.entry(code).or_default() += 1;
    }
    let changes = listing::differences("vault", &before, &laboratory.vault_listing());
    wrong.extend(changes);
    eprintln!("{test}: {outcomes:?}");
    assert_none(&wrong);
    assert!(
        outcomes.contains_key("restored") && outcomes.len() > 1,
        "{outcomes:?}"
    );
}

/// Another process takes the room while the workspace is built.
#[test]
fn a_destination_that_fills_up_meanwhile_gets_all_or_nothing() {
    let test = "a destination that fills up";
    if !can_trace(test) {
        return;
    }
    let laboratory = Laboratory::new();
    let place = mkdir(&laboratory.sandbox.path(""), "small");
    let Some(_mount) = Mount::tmpfs("size=8m", &place) else {
        eprintln!("SKIPPED: {test}: a tmpfs cannot be mounted here (it needs root)");
        return;
    };
    let mut outcomes: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    let filler = laboratory.sandbox.path("small/out.filler");
    for (call, count) in [("mkdirat", 17), ("write", 33), ("fchmod", 48)] {
        for number in points(count, 5) {
            let text = place.join("out");
            let arguments = [
                "restore",
                &laboratory.sealed[1].id,
                text.to_str().expect("UTF-8"),
            ];
            let fill = || {
                let free = rustix::fs::statvfs(&place).expect("it answers");
                let size = usize::try_from(free.f_bfree * free.f_frsize).expect("it fits");
                fs::write(&filler, vec![0; size]).expect("it is filled");
            };
            let (sandbox, source) = (&laboratory.sandbox, &laboratory.source);
            let (said, _) = paused(sandbox, source, (call, number, None), &arguments, fill);
            let _gone = fs::remove_file(&filler);
            let found = small_complaints(&laboratory, &place, &said);
            wrong.extend(
                found
                    .into_iter()
                    .map(|what| format!("=== {call} {number}: {what}")),
            );
            let code = refusal(&said).map_or("restored", |code| code.code());
            *outcomes.entry(code).or_default() += 1;
            make_empty(&place);
        }
    }
    eprintln!("{test}: {outcomes:?}");
    assert_none(&wrong);
    assert!(outcomes.contains_key("GV-2301"), "{outcomes:?}");
}

/// The mask of the process changes nothing: neither what is restored, nor who can read a vault.
#[test]
fn the_mask_of_the_process_changes_nothing() {
    for mask in ["000", "022", "077", "777"] {
        let sandbox = Sandbox::new();
        let source = states::small_repository(&sandbox);
        chmod(&write(&source, "run.sh", "#!/bin/sh\n"), 0o755);
        chmod(&write(&source, "open.txt", "x\n"), 0o666);
        chmod(&write(&source, "set-user-id", "x\n"), 0o4755);
        chmod(&mkdir(&source, "shared"), 0o1777);
        write(&source, "shared/file", "x\n");
        let expected = listing::list(&source, &|name| !name.starts_with(b".git/objects"));
        let masked = |arguments: &[&str]| {
            let mut command = sandbox.command("sh", &source);
            command.args(["-c", "umask \"$1\" && shift && exec \"$@\"", "sh", mask]);
            command.arg(env!("CARGO_BIN_EXE_git-vault")).args(arguments);
            bounded(
                command,
                &format!("umask {mask}; git-vault {}", arguments.join(" ")),
            )
        };
        let said = masked(&["--json", "snapshot"]).succeeded();
        let id = said.json()["snapshot"]["id"]
            .as_str()
            .expect("an id")
            .to_owned();
        let destination = sandbox.path("out");
        let text = destination.to_str().expect("a UTF-8 path");
        let _said = masked(&["restore", &id, text]).succeeded();
        let found = listing::list(&destination, &|name| !name.starts_with(b".git/objects"));
        assert_none(&listing::differences(mask, &expected, &found));
        for name in ["config", "data", "state"] {
            let root = sandbox.path(&format!("{name}/git-vault"));
            for (name, entry) in listing::list(&root, &|_| true) {
                let mode = entry.mode & 0o077;
                assert_eq!(mode, 0, "umask {mask}: '{}' is open", name.escape_ascii());
            }
        }
        let _said = masked(&["verify", "--deep"]).succeeded();
    }
}

/// Root becomes `nobody`, whom modes keep out, in a sandbox that belongs to it.
#[test]
fn a_destination_without_permission_is_refused() {
    let test = "a destination without permission";
    let laboratory = Laboratory::new();
    let place = mkdir(&laboratory.sandbox.path(""), "place");
    let program = laboratory.sandbox.path("git-vault");
    crate::support::files::copy_program(&program);
    for (name, mode) in [
        ("closed", 0o755),
        ("sealed/empty", 0o700),
        ("unlisted", 0o733),
    ] {
        mkdir(&place, name);
        chmod(&place.join(name), mode);
    }
    chmod(&place.join("sealed"), 0o555);
    let mut command = laboratory.sandbox.command("chown", &place);
    command.args(["-R", "--no-dereference", "65534:65534"]);
    let ours = [
        "config",
        "data",
        "state",
        "work",
        "home",
        "tmp",
        "place/sealed",
    ];
    let ours = ours.map(|name| laboratory.sandbox.path(name));
    if !command
        .args(ours)
        .output()
        .is_ok_and(|output| output.status.success())
    {
        eprintln!("SKIPPED: {test}: only root can become somebody whom modes keep out");
        return;
    }
    if !has_tool(test, "setpriv") {
        return;
    }
    chmod(&laboratory.sandbox.path(""), 0o755);
    for name in ["closed/new", "sealed/new", "sealed/empty", "unlisted"] {
        let destination = place.join(name);
        let mut command = laboratory.sandbox.command("setpriv", &laboratory.source);
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command
            .arg(&program)
            .args(["restore", &laboratory.sealed[1].id]);
        command.arg(&destination);
        let before = listing::list(&place, &|_| true);
        let said = bounded(command, &format!("git-vault restore to '{name}' as nobody"));
        assert_eq!(
            refusal(&said).map(|code| code.code()),
            Ok("GV-2103"),
            "{said}"
        );
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(
            text.contains(destination.to_str().expect("UTF-8")),
            "{said}"
        );
        let changes = listing::differences(name, &before, &listing::list(&place, &|_| true));
        assert_none(&changes);
    }
}
