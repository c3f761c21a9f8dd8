//! What files are beside names and bytes: several names, lists of rights, capabilities, holes, great size, what filters make
//! of them. It comes back, or the answers say that it does not.

use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::laboratory::{bounded, effort, only_vault, run};
use crate::races::faketime_library;
use crate::support::files::{chmod, mkdir, noise, set_mtime, symlink, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::listing;
use crate::support::mount::has_tool;
use crate::support::{Said, Sandbox, states};

/// The notes of the newest snapshot, as `show` gives them.
fn notes(sandbox: &Sandbox, source: &Path) -> Vec<String> {
    let shown = run(sandbox, source, &["--json", "show"]).succeeded().json();
    let notes = shown["manifest"]["notes"].as_array().expect("notes").iter();
    notes
        .map(|note| note.as_str().expect("a sentence").to_owned())
        .collect()
}

/// A snapshot by a clock that is two minutes ahead, where that can be had: files that were left alone for a minute are not read
/// again, so that the second of two such snapshots knows of them by its cache alone.
fn snapshot_later(sandbox: &Sandbox, source: &Path) -> Said {
    let mut command = sandbox.vault_command(source);
    if let Some((name, library)) = faketime_library("a later clock")
        .as_deref()
        .and_then(|setting| setting.split_once('='))
    {
        let ahead = [(name, library), ("FAKETIME", "+2m"), ("NO_FAKE_STAT", "1")];
        command.envs(ahead);
    }
    command.args(["snapshot", "-m", "what is not kept"]);
    bounded(command, "git-vault snapshot, two minutes later").succeeded()
}

/// Stops the test unless snapshot, manifest and restore say it, and all the same.
#[track_caller]
fn assert_said(sandbox: &Sandbox, source: &Path, note: &str) -> PathBuf {
    let said = snapshot_later(sandbox, source);
    let line = format!("NOTE       {note}\n");
    assert!(said.text().contains(&line), "{note}\n{said}");
    assert_eq!(notes(sandbox, source), [note]);
    let destination = sandbox.path("restored");
    if destination.exists() {
        fs::remove_dir_all(&destination).expect("the copy is removed");
    }
    let text = destination.to_str().expect("a UTF-8 path");
    let said = run(sandbox, source, &["restore", "@latest", text]).succeeded();
    assert!(said.text().contains(&line), "{note}\n{said}");
    destination
}

/// Sets an extended attribute that is no text; says aloud where that cannot be done.
fn set_attribute(test: &str, path: &Path, name: &str, value: &str) -> bool {
    if !has_tool(test, "setfattr") {
        return false;
    }
    let mut command = Command::new("setfattr");
    command.args(["--name", name, "--value", value]).arg(path);
    let is_set = command.output().is_ok_and(|output| output.status.success());
    if !is_set {
        eprintln!("SKIPPED: {test}: '{name}' cannot be set here");
    }
    is_set
}

const HARD_LINKS: &str =
    "files with more than one name (hard links) come back as files of their own";

#[test]
fn names_of_one_file_come_back_as_files_of_their_own_and_are_counted() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let outside = sandbox.workplace().join("outside");
    let link = |from: &Path, to: &Path| fs::hard_link(from, to).expect("a second name");
    link(&source.join("README.md"), &source.join("second-name"));
    link(&source.join("README.md"), &source.join("src/third-name"));
    link(&source.join("src/one.txt"), &outside);
    let _untold = sandbox.snapshot(&source);
    for _cached in 0..2 {
        let untouched = Fingerprint::of(&sandbox.workplace());
        let restored = assert_said(&sandbox, &source, &format!("{HARD_LINKS}: 4"));
        untouched.assert_untouched(&sandbox.workplace());
        let found = |name: &str| {
            let path = restored.join(name);
            let metadata = fs::metadata(&path).expect("it is there");
            (metadata.nlink(), fs::read(path).expect("it is read"))
        };
        let readme = found("README.md");
        assert_eq!(readme.0, 1);
        assert_eq!(
            [found("second-name"), found("src/third-name")],
            [readme.clone(), readme]
        );
    }
    let listed = listing::list(&sandbox.path("restored"), &|name| {
        !name.starts_with(b".git")
    });
    let expected = listing::list(&source, &|name| !name.starts_with(b".git"));
    assert_eq!(
        listing::differences("restored", &expected, &listed),
        [""; 0]
    );
    fs::remove_file(&outside).expect("the name outside is removed");
    assert_said(&sandbox, &source, &format!("{HARD_LINKS}: 3"));
}

/// Nothing that is not kept makes a snapshot of its own: what is sealed is what a restore gives back.
#[test]
fn a_second_name_outside_is_no_change() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let _id = sandbox.snapshot(&source);
    let outside = sandbox.workplace().join("outside");
    fs::hard_link(source.join("README.md"), outside).expect("a second name");
    let said = run(&sandbox, &source, &["snapshot"]).succeeded();
    assert!(said.text().starts_with("UNCHANGED"), "{said}");
}

/// `u::rw- u:65534:rw- g::--- m::rw- o::---`: the mode of such a file is 0660, though its group may nothing.
const LIST: &str =
    "0x0200000001000600ffffffff02000600feff000004000000ffffffff10000600ffffffff20000000ffffffff";

#[test]
fn access_control_lists_are_counted_and_leave_the_group_no_more_than_they_did() {
    let test = "access control lists";
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let secret = write(&source, "secret.txt", "for me and nobody\n");
    chmod(&secret, 0o600);
    let directory = mkdir(&source, "shared");
    write(&directory, "file", "x\n");
    if !set_attribute(test, &secret, "system.posix_acl_access", LIST)
        || !set_attribute(test, &directory, "system.posix_acl_default", LIST)
    {
        return;
    }
    let mode = |path: &Path| fs::metadata(path).expect("its mode").mode() & 0o7777;
    assert_eq!(mode(&secret), 0o660, "the mask stands for the group");
    let note = "access control lists are not kept, modes come back as without them: 2";
    for _cached in 0..2 {
        let restored = assert_said(&sandbox, &source, note);
        assert_eq!(mode(&restored.join("secret.txt")), 0o600);
        assert_eq!(mode(&restored.join("shared")), mode(&directory));
    }
    if has_tool(test, "setfacl") {
        let mut command = Command::new("setfacl");
        command.arg("--remove-all").arg(&secret);
        assert!(command.status().expect("setfacl starts").success());
        assert_eq!(mode(&secret), 0o600, "setfacl is of the same opinion");
    }
    let said = run(&sandbox, &source, &["drill"]).succeeded();
    assert!(said.text().contains("PROVEN"), "{said}");
}

#[test]
fn capabilities_and_attributes_of_root_are_counted() {
    let test = "capabilities and attributes of root";
    // `cap_net_raw+ep`, as capabilities(7) and linux/capability.h write it: version 2, effective.
    let capability = "0x0100000200200000000000000000000000000000";
    for (name, value, note) in [
        (
            "security.capability",
            capability,
            "capabilities of programs are not kept: 1",
        ),
        (
            "trusted.origin",
            "0x00ff",
            "extended attributes of the trusted namespace are not kept: 1",
        ),
    ] {
        let sandbox = Sandbox::new();
        let source = states::small_repository(&sandbox);
        let program = write(&source, "program", "#!/bin/sh\n");
        chmod(&program, 0o755);
        if !set_attribute(test, &program, name, value) {
            return;
        }
        let _setting = set_attribute(test, &program, "user.origin", "0x00ff0a");
        for _cached in 0..2 {
            let restored = assert_said(&sandbox, &source, note);
            let mut command = Command::new("getfattr");
            command.args(["--dump", "--match=-", "--encoding=hex", "--absolute-names"]);
            let output = command.arg(restored.join("program")).output();
            let said = String::from_utf8(output.expect("getfattr starts").stdout).expect("UTF-8");
            assert!(said.contains("user.origin=0x00ff0a"), "{said}");
            assert!(!said.contains(name), "{said}");
        }
    }
}

/// Attributes of any bytes and of the greatest length, on files, directories and on what git keeps.
#[test]
fn user_attributes_of_any_bytes_come_back() {
    let test = "user attributes of any bytes";
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let long = format!("0x{}", "a5".repeat(3000));
    let all = [
        ("README.md", "user.empty", "0x"),
        ("README.md", "user.bytes \u{e9}=\n", "0x00ff0a5c"),
        ("src", "user.long", long.as_str()),
        (".git/config", "user.kept", "0x01"),
        (".git/refs", "user.kept", "0x02"),
    ];
    for (path, name, value) in all {
        if !set_attribute(test, &source.join(path), name, value) {
            return;
        }
    }
    let id = sandbox.snapshot(&source);
    let restored = sandbox.restore(&source, &id, "restored");
    let dump = |root: &Path| {
        let mut command = sandbox.command("getfattr", root);
        command.args(["--dump", "--recursive", "--physical", "--encoding=hex", "."]);
        let text = String::from_utf8(command.output().expect("getfattr starts").stdout);
        let text = text.expect("it says UTF-8");
        let mut files: Vec<Vec<String>> = text
            .split("\n\n")
            .map(|file| file.lines().map(str::to_owned).collect())
            .collect();
        files.iter_mut().for_each(|lines| lines.sort());
        files.sort();
        files.concat().join("\n")
    };
    let (expected, found) = (dump(&source), dump(&restored));
    assert!(
        expected.len() > 6000 && expected == found,
        "the attributes differ"
    );
}

#[test]
fn devices_are_recorded_and_named_and_links_to_them_come_back() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    for (name, kind) in [("null", "c 1 3"), ("disk", "b 7 250"), ("pipe", "p")] {
        let mut command = Command::new("mknod");
        command.arg(source.join(name)).args(kind.split(' '));
        if !command.output().is_ok_and(|output| output.status.success()) {
            eprintln!("SKIPPED: devices: only root can make them");
            return;
        }
    }
    symlink(&source, "to-null", "null");
    symlink(&source, "to-dev-null", "/dev/null");
    let note = "special files (FIFOs, sockets, devices) are recorded, not recreated: 3";
    let restored = assert_said(&sandbox, &source, note);
    let text = restored.with_extension("again");
    let text = text.to_str().expect("a UTF-8 path");
    let said = run(&sandbox, &source, &["restore", "@latest", text]).succeeded();
    for line in [
        "MISSING    not recreated: worktree character-device: null\n",
        "MISSING    not recreated: worktree block-device: disk\n",
        "MISSING    not recreated: worktree fifo: pipe\n",
    ] {
        assert!(said.text().contains(line), "{said}");
    }
    for (name, target) in [("to-null", "null"), ("to-dev-null", "/dev/null")] {
        let found = fs::read_link(restored.join(name)).expect("a link");
        assert_eq!(found, Path::new(target));
    }
}

/// Runs the program with a bound on the memory it may write to, smaller than the files it is given.
fn in_little_memory(sandbox: &Sandbox, source: &Path, arguments: &[&str]) -> Said {
    // Each worker has a stack of 2 MiB.
    let workers = std::thread::available_parallelism().map_or(1, usize::from);
    let mebibytes = 48 + 2 * workers;
    let mut command = sandbox.command("prlimit", source);
    command
        .arg(format!("--data={}", mebibytes << 20))
        .arg(env!("CARGO_BIN_EXE_git-vault"))
        .args(arguments);
    bounded(
        command,
        &format!("git-vault {} in {mebibytes} MiB", arguments.join(" ")),
    )
}

fn bytes_of_packs(vault: &Path) -> u64 {
    let packs = fs::read_dir(vault.join("objects/pack")).expect("the packs are read");
    packs
        .map(|entry| entry.expect("an entry").metadata().expect("its size").len())
        .sum()
}

/// A hole of 128 MB (of 10 GB at full effort) with a little at its beginning, in the middle and at its end.
#[test]
fn a_file_of_holes_costs_little_memory_and_little_of_the_vault() {
    let test = "a file of holes";
    if !has_tool(test, "prlimit") {
        return;
    }
    let bytes: u64 = if effort() >= 10 {
        10_000_000_000
    } else {
        128_000_000
    };
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let path = source.join("disk.img");
    let file = fs::File::create(&path).expect("the file is made");
    file.set_len(bytes).expect("it has a size");
    for place in [0, bytes / 2, bytes - 7] {
        file.write_all_at(b"content", place).expect("written");
    }
    drop(file);
    let said = in_little_memory(&sandbox, &source, &["snapshot"]).succeeded();
    assert!(said.text().starts_with("SEALED"), "{said}");
    let stored = bytes_of_packs(&only_vault(&sandbox));
    assert!(
        stored < 4_000_000,
        "{stored} bytes for {bytes} bytes of nothing"
    );
    let destination = sandbox.path("restored");
    let text = destination.to_str().expect("a UTF-8 path");
    let arguments = ["restore", "@latest", text];
    let _said = in_little_memory(&sandbox, &source, &arguments).succeeded();
    let mut command = sandbox.command("cmp", &source);
    command.arg("disk.img").arg(destination.join("disk.img"));
    let _said = bounded(command, "cmp").succeeded();
    let _said = in_little_memory(&sandbox, &source, &["verify", "--deep"]).succeeded();
}

/// What the history lacks is looked for among commits and trees: a large file that the index or a tag names is not read for that.
#[test]
fn large_files_beside_a_history_that_lacks_something_cost_little_memory() {
    let test = "large files beside a history that lacks something";
    if !has_tool(test, "prlimit") {
        return;
    }
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    write(&source, "large", noise(1, 64_000_000));
    let whole = ["-c", "core.bigFileThreshold=1m"];
    sandbox.git(&source, &[&whole[..], &["add", "large"]].concat());
    sandbox.git(&source, &["tag", "-a", "-m", "large", "large", ":large"]);
    let lacking = "1".repeat(40);
    let who = "a <a@example.com> 1 +0000";
    let commit = format!("tree {lacking}\nauthor {who}\ncommitter {who}\n\nlacking\n");
    write(&source, ".git/commit", commit);
    let store = ["hash-object", "-t", "commit", "-w", "--literally"];
    sandbox.git(&source, &[&store[..], &[".git/commit"]].concat());
    let said = in_little_memory(&sandbox, &source, &["snapshot"]).succeeded();
    let noted = "objects named only by unreferenced objects that were not in the source: 1";
    assert!(said.text().contains(noted), "{said}");
}

/// A file of 64 MB (of 2 GB at full effort) that does not compress, larger than the memory there is; then one byte of it
/// changes, and one goes.
#[test]
fn a_changed_byte_in_a_large_file_costs_about_a_piece() {
    let test = "a changed byte in a large file";
    if !has_tool(test, "prlimit") {
        return;
    }
    let bytes = if effort() >= 10 {
        2_000_000_000
    } else {
        64_000_000
    };
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let path = source.join("large.bin");
    let content = noise(7, bytes);
    fs::write(&path, &content).expect("written");
    let _said = in_little_memory(&sandbox, &source, &["snapshot"]).succeeded();
    let vault = only_vault(&sandbox);
    let first = bytes_of_packs(&vault);
    assert!(first < bytes as u64 + bytes as u64 / 50, "{first} bytes");
    let middle = bytes / 2;
    let file = fs::OpenOptions::new().write(true).open(&path);
    file.expect("opened")
        .write_all_at(&[content[middle] ^ 1], middle as u64)
        .expect("written");
    let _said = in_little_memory(&sandbox, &source, &["snapshot"]).succeeded();
    let second = bytes_of_packs(&vault) - first;
    assert!(second < 9_000_000, "{second} bytes for a changed byte");
    fs::write(&path, [&content[..middle], &content[middle + 1..]].concat()).expect("written");
    drop(content);
    let _said = in_little_memory(&sandbox, &source, &["snapshot"]).succeeded();
    let third = bytes_of_packs(&vault) - first - second;
    assert!(third < 9_000_000, "{third} bytes for a byte that went");
    eprintln!("{test}: {first}, then {second} and {third} bytes");
    let destination = sandbox.path("restored");
    let text = destination.to_str().expect("a UTF-8 path");
    let arguments = ["restore", "@latest", text];
    let _said = in_little_memory(&sandbox, &source, &arguments).succeeded();
    let mut command = sandbox.command("cmp", &source);
    command.arg("large.bin").arg(destination.join("large.bin"));
    let _said = bounded(command, "cmp").succeeded();
}

/// With git-lfs itself: an object that was never pushed, a smudged file, a pointer that was not smudged, and its hooks.
#[test]
fn a_repository_of_git_lfs_comes_back_with_what_was_not_pushed() {
    let test = "a repository of git-lfs";
    if !has_tool(test, "git-lfs") {
        return;
    }
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    sandbox.git(&source, &["lfs", "install", "--local"]);
    sandbox.git(&source, &["lfs", "track", "*.bin"]);
    write(&source, "committed.bin", noise(1, 50_000));
    write(&source, "edited.bin", noise(2, 50_000));
    sandbox.commit(&source, "large files");
    write(&source, "edited.bin", noise(3, 50_000));
    write(&source, "staged.bin", noise(4, 50_000));
    sandbox.git(&source, &["add", "staged.bin"]);
    write(&source, "untracked.bin", noise(5, 50_000));
    let pointer = sandbox.git(&source, &["cat-file", "blob", "HEAD:committed.bin"]);
    assert!(pointer.starts_with(b"version https://git-lfs"));
    let questions = [
        &["status", "--porcelain=v2", "--branch"][..],
        &["ls-files", "--stage", "-v"],
        &["stash", "list"],
    ];
    let ask = |directory: &Path| questions.map(|question| sandbox.git_text(directory, question));
    let asked = ask(&source);
    let untouched = Fingerprint::of(&source);
    let expected = listing::list(&source, &|name| !name.starts_with(b".git/objects"));
    let id = sandbox.snapshot(&source);
    untouched.assert_untouched(&source);
    let restored = sandbox.restore(&source, &id, "restored");
    let found = listing::list(&restored, &|name| !name.starts_with(b".git/objects"));
    assert_eq!(listing::differences("restored", &expected, &found), [""; 0]);
    fs::remove_dir_all(&source).expect("the source is gone");
    assert_eq!(ask(&restored), asked);
    sandbox.git(&restored, &["lfs", "fsck"]);
    let listed = sandbox.git_text(&restored, &["lfs", "ls-files", "--all", "--name-only"]);
    assert!(listed.contains("committed.bin"), "{listed}");
    fs::remove_file(restored.join("committed.bin")).expect("removed");
    sandbox.git(&restored, &["checkout", "--", "committed.bin"]);
    let smudged = fs::read(restored.join("committed.bin")).expect("it is read");
    assert!(smudged == noise(1, 50_000), "what was not pushed is there");
}

/// Times that no clock gave: before 1970, the last second of 32 bits, far beyond; each with an edit that shows nowhere else.
#[test]
fn edits_of_files_with_times_of_any_year_are_captured() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let dates = [
        "1905-01-01",
        "1969-12-31 23:59:59.5",
        "1970-01-01",
        "2106-02-07 06:28:16",
        "2400-01-01",
    ];
    let touch = |path: &Path, date: &str| {
        let mut command = sandbox.command("touch", &source);
        let said = command.args(["--date", date]).arg(path).output();
        said.is_ok_and(|output| output.status.success())
    };
    for (round, content) in ["first\n", "OTHER\n"].iter().enumerate() {
        for date in dates {
            let path = write(&source, format!("{date}.txt"), content);
            assert!(touch(&path, date), "{date}");
        }
        let expected = listing::list(&source, &|name| !name.starts_with(b".git"));
        let id = sandbox.snapshot(&source);
        let restored = sandbox.restore(&source, &id, &format!("restored-{round}"));
        let found = listing::list(&restored, &|name| !name.starts_with(b".git"));
        assert_eq!(listing::differences("restored", &expected, &found), [""; 0]);
    }
}

/// A file that takes the place of another, with its size and time; and a commit of the future.
#[test]
fn another_file_of_the_same_size_and_time_is_captured_and_the_future_is_no_obstacle() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let future = [
        ("GIT_COMMITTER_DATE", "4000000000 +0000"),
        ("GIT_AUTHOR_DATE", "4000000000 +0000"),
    ];
    sandbox.git_with(
        &source,
        &future,
        &["commit", "--quiet", "--allow-empty", "-m", "of 2096"],
    );
    let path = source.join("src/one.txt");
    let old_time = 1_400_000_000_000_000_000;
    set_mtime(&path, old_time);
    let _id = sandbox.snapshot(&source);
    let size = fs::read(&path).expect("read").len();
    let other = write(&source, "aside", vec![b'z'; size]);
    set_mtime(&other, old_time);
    fs::rename(&other, &path).expect("it takes the place");
    set_mtime(&source.join("src"), old_time);
    let id = sandbox.snapshot(&source);
    let restored = sandbox.restore(&source, &id, "restored");
    let found = fs::read(restored.join("src/one.txt")).expect("it is read");
    assert_eq!(found, vec![b'z'; size]);
}

/// Longer than the system takes in one call: 24 directories of 250 bytes each, which git itself cannot look into.
#[test]
fn a_path_longer_than_the_system_takes_comes_back() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let name = "d".repeat(250);
    let down = |there: &Path, before: &str, at_the_end: &str| {
        let script = format!(
            "for step in $(seq 24); do {before} cd -P {name} || exit 1; done; {at_the_end}"
        );
        let mut command = sandbox.command("bash", there);
        command.args(["-c", &script]);
        bounded(command, "a walk into the depth").succeeded()
    };
    let make = format!("mkdir {name};");
    let _said = down(&source, &make, "echo deep >file; ln -s file link");
    let id = sandbox.snapshot(&source);
    let _said = run(&sandbox, &source, &["verify", "--deep"]).succeeded();
    let restored = sandbox.restore(&source, &id, "restored");
    let said = down(&restored, "", "cat file; readlink link");
    assert_eq!(said.text(), "deep\nfile\n");
    let said = run(&sandbox, &source, &["drill"]).succeeded();
    assert!(said.text().starts_with("PROVEN"), "{said}");
    // The standard library removes such a tree step by step.
    fs::remove_dir_all(restored).expect("the copy is removed");
}

/// What remembers which files need not be read again is damaged, cut, emptied, or that of another vault: it counts as none.
#[test]
fn a_scan_cache_that_is_damaged_or_foreign_counts_as_none() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let _said = snapshot_later(&sandbox, &source);
    let cache = only_vault(&sandbox).join("cache/scan");
    let whole = fs::read(&cache).expect("the cache is read");
    let other = Sandbox::new();
    let other_source = states::small_repository(&other);
    let _said = snapshot_later(&other, &other_source);
    let foreign = fs::read(only_vault(&other).join("cache/scan")).expect("the cache is read");
    let mut flipped = whole.clone();
    flipped[whole.len() / 2] ^= 1;
    let content = |id: &str| {
        let shown = run(&sandbox, &source, &["--json", "show", id])
            .succeeded()
            .json();
        shown["manifest"]["content"]["tree"].clone()
    };
    let expected = content("@latest");
    for bytes in [
        flipped,
        whole[..whole.len() - 1].to_vec(),
        Vec::new(),
        foreign,
    ] {
        fs::write(&cache, bytes).expect("written");
        let _said = snapshot_later(&sandbox, &source);
        assert_eq!(content("@latest"), expected);
    }
}
