//! Every file of a vault, damaged in every way: nothing is ever called verified or restored unless it is whole.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::LazyLock;

use rustix::fs::{CWD, FileType, Mode};

use crate::laboratory::{Laboratory, Restored, effort, refusal};
use crate::support::Said;
use crate::support::files::{at, write};
use crate::support::listing::{self, Listing};

/// What may be damaged without harm: caches, and refs that only serve plain git. Everything else must be refused.
const DOES_NOT_MATTER: [&[u8]; 2] = [b"cache/", b"refs/"];

pub fn matters(name: &[u8]) -> bool {
    !DOES_NOT_MATTER
        .iter()
        .any(|harmless| name.starts_with(harmless))
}

#[derive(Clone, Debug)]
enum Damage {
    Delete,
    TruncateToNothing,
    CutLastByte,
    AppendByte,
    Flip { position: usize, bit: u8 },
    ReplaceBy(Vec<u8>),
    SwapWith(Vec<u8>),
    RenameOnto(Vec<u8>),
    DuplicateAs(Vec<u8>),
    ReplaceBySymlinkToCopy,
    ReplaceByDirectory,
    ReplaceByFifo,
    ReplaceBySocket,
    ReplaceByDevice,
}

impl Damage {
    /// Every damage that changes this file.
    fn all(laboratory: &Laboratory, name: &[u8]) -> Vec<Self> {
        let bytes = fs::read(at(&laboratory.vault, name)).expect("the file is read");
        let mut all = vec![
            Self::Delete,
            Self::AppendByte,
            Self::ReplaceBySymlinkToCopy,
            Self::ReplaceByDirectory,
            Self::ReplaceByFifo,
            Self::ReplaceBySocket,
            Self::DuplicateAs(unused_sibling(laboratory, name)),
        ];
        if can_make_devices() {
            all.push(Self::ReplaceByDevice);
        }
        if !bytes.is_empty() {
            all.extend([Self::TruncateToNothing, Self::CutLastByte]);
        }
        // Every position is tried by calls into the library, in `damage_everywhere`.
        let steps = 2 * effort();
        let mut positions: Vec<usize> = (0..=steps)
            .map(|step| bytes.len().saturating_sub(1) * step / steps)
            .collect();
        positions.dedup();
        let flips = positions.into_iter().filter(|_| !bytes.is_empty());
        all.extend(flips.map(|position| Self::Flip {
            position,
            bit: u8::try_from((position + bytes.len()) % 8).expect("less than 8"),
        }));
        let wanted = if effort() >= 10 { usize::MAX } else { effort() };
        for sibling in siblings(laboratory, name).into_iter().take(wanted) {
            if fs::read(at(&laboratory.vault, &sibling)).expect("the file is read") != bytes {
                all.push(Self::ReplaceBy(sibling.clone()));
                all.push(Self::RenameOnto(sibling.clone()));
                all.push(Self::SwapWith(sibling));
            }
        }
        all
    }

    fn apply(&self, laboratory: &Laboratory, name: &[u8]) {
        let path = at(&laboratory.vault, name);
        let bytes = fs::read(&path).expect("the file is read");
        match self {
            Self::Delete => fs::remove_file(&path).expect("the file is removed"),
            Self::TruncateToNothing => overwrite(&path, b""),
            Self::CutLastByte => overwrite(&path, &bytes[..bytes.len() - 1]),
            Self::AppendByte => overwrite(&path, &[&bytes, b"\n".as_slice()].concat()),
            Self::Flip { position, bit } => {
                let mut bytes = bytes;
                bytes[*position] ^= 1 << bit;
                overwrite(&path, &bytes);
            }
            Self::ReplaceBy(sibling) => {
                let other = fs::read(at(&laboratory.vault, sibling)).expect("the file is read");
                overwrite(&path, &other);
            }
            Self::SwapWith(sibling) => {
                let sibling = at(&laboratory.vault, sibling);
                let aside = laboratory.sandbox.path("aside");
                for (from, to) in [(&path, &aside), (&sibling, &path), (&aside, &sibling)] {
                    fs::rename(from, to).expect("the file is renamed");
                }
            }
            Self::RenameOnto(sibling) => {
                fs::rename(&path, at(&laboratory.vault, sibling)).expect("the file is renamed");
            }
            Self::DuplicateAs(other) => {
                overwrite(&at(&laboratory.vault, other), &bytes);
            }
            Self::ReplaceBySymlinkToCopy => {
                let copy = elsewhere(laboratory);
                fs::rename(&path, &copy).expect("the file is renamed");
                std::os::unix::fs::symlink(copy, &path).expect("the symlink is made");
            }
            Self::ReplaceByDirectory => {
                fs::remove_file(&path).expect("the file is removed");
                fs::create_dir(&path).expect("the directory is made");
            }
            Self::ReplaceByFifo => {
                fs::remove_file(&path).expect("the file is removed");
                make_fifo(&path);
            }
            Self::ReplaceBySocket => {
                fs::remove_file(&path).expect("the file is removed");
                make_node(&path, FileType::Socket).expect("the socket is made");
            }
            Self::ReplaceByDevice => {
                fs::remove_file(&path).expect("the file is removed");
                make_node(&path, FileType::CharacterDevice).expect("the device is made");
            }
        }
    }
}

/// A node of this kind; a device is one that gives zeros without end.
fn make_node(path: &Path, kind: FileType) -> rustix::io::Result<()> {
    let mode = Mode::RUSR | Mode::WUSR;
    rustix::fs::mknodat(CWD, path, kind, mode, rustix::fs::makedev(1, 5))
}

/// Only root can make devices.
fn can_make_devices() -> bool {
    static CAN: LazyLock<bool> = LazyLock::new(|| {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("zeros");
        let can = make_node(&path, FileType::CharacterDevice).is_ok();
        if !can {
            eprintln!("SKIPPED: devices in the place of files: only root can make them");
        }
        can
    });
    *CAN
}

/// A name of the same kind that no file has: the next number of a log entry, else one that differs in its last letter.
fn unused_sibling(laboratory: &Laboratory, name: &[u8]) -> Vec<u8> {
    let all = laboratory.files();
    let text = String::from_utf8(name.to_vec()).expect("a UTF-8 name");
    if text.starts_with("log/") {
        let count = all.iter().filter(|name| name.starts_with(b"log/")).count();
        return format!("log/{:08}.toml", count + 1).into_bytes();
    }
    let end = text
        .rfind('.')
        .filter(|dot| text[*dot..].find('/').is_none());
    let (stem, ending) = text.split_at(end.unwrap_or(text.len()));
    let shorter = &stem[..stem.len() - 1];
    let mut names = "0123456789abcdefxyz"
        .chars()
        .map(|last| format!("{shorter}{last}{ending}"));
    let is_unused = |name: &String| !all.iter().any(|known| known == name.as_bytes());
    names.find(is_unused).expect("an unused name").into_bytes()
}

fn elsewhere(laboratory: &Laboratory) -> PathBuf {
    let copy = laboratory.sandbox.path("elsewhere");
    if copy.is_dir() {
        fs::remove_dir_all(&copy).expect("the old copy is removed");
    } else if copy.exists() {
        fs::remove_file(&copy).expect("the old copy is removed");
    }
    copy
}

fn overwrite(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("the file is written");
}

pub fn make_fifo(path: &Path) {
    let status = Command::new("mkfifo").arg(path).status();
    assert!(status.expect("mkfifo starts").success());
}

/// The other files of the same kind, beginning with the next.
fn siblings(laboratory: &Laboratory, name: &[u8]) -> Vec<Vec<u8>> {
    let same = laboratory.files();
    let mut same: Vec<Vec<u8>> = same
        .into_iter()
        .filter(|file| kind(file) == kind(name))
        .collect();
    let place = same
        .iter()
        .position(|file| file == name)
        .expect("the file itself");
    same.rotate_left(place);
    same.split_off(1)
}

/// The directory, for one snapshot as good as for another, and the ending.
pub fn kind(name: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let text = String::from_utf8_lossy(name).into_owned();
    let path = Path::new(&text);
    let directory = path.parent().unwrap_or(Path::new(""));
    let directory = if directory.starts_with("snapshots") {
        Path::new("snapshots")
    } else {
        directory
    };
    let ending = path.extension().unwrap_or_default();
    let bytes = |text: &std::ffi::OsStr| text.as_encoded_bytes().to_vec();
    (bytes(directory.as_os_str()), bytes(ending))
}

/// Everything that is wrong with how the program takes this damage.
fn complaints(laboratory: &Laboratory, names: &[&[u8]], must_refuse: bool) -> Vec<String> {
    let before = laboratory.vault_listing();
    let mut complaints = Vec::new();
    let mut verified = Vec::new();
    for arguments in [
        &["verify", "--quick"][..],
        &["verify"],
        &["verify", "--deep"],
    ] {
        let said = laboratory.run(arguments);
        if said.code != Some(0) {
            complaints.extend(judge(laboratory, &said, names));
        } else if arguments != ["verify", "--quick"] {
            if must_refuse {
                complaints.push(format!("it should have been refused\n{said}"));
            }
            verified.push(said);
        }
    }
    for sealed in &laboratory.sealed {
        match laboratory.restore_or_refuse(sealed) {
            Restored::Whole => {}
            Restored::Refused(said) => {
                complaints.extend(judge(laboratory, &said, names));
                complaints.extend(
                    verified
                        .first()
                        .map(|verified| format!("verified, and then refused\n{verified}\n{said}")),
                );
            }
            Restored::Wrong(what) => complaints.push(what),
        }
    }
    complaints.extend(changes(
        &before,
        &laboratory.vault_listing(),
        verified.len(),
    ));
    complaints
}

/// A refusal must have a code of damage, forgery or a missing vault, and name what is damaged.
fn judge(laboratory: &Laboratory, said: &Said, names: &[&[u8]]) -> Vec<String> {
    let code = match refusal(said) {
        Ok(code) => code,
        Err(what) => return vec![what],
    };
    let mut complaints = Vec::new();
    if !(30..=33).contains(&code.exit()) && code.code() != "GV-1002" {
        complaints.push(format!("a code that does not fit\n{said}"));
    }
    let text = String::from_utf8_lossy(&said.stderr);
    let is_named = names.iter().any(|name| says(&text, laboratory, name));
    if !is_named {
        complaints.push(format!("it does not name what is damaged\n{said}"));
    }
    complaints
}

/// Whether a refusal names a file by its path, a missing log entry by its number, or what shows only in the whole vault (no
/// description, fewer entries than before) by the vault.
fn says(text: &str, laboratory: &Laboratory, name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name);
    let number = name
        .strip_prefix("log/")
        .and_then(|name| name.strip_suffix(".toml"));
    let number = number.and_then(|digits| digits.parse::<u64>().ok());
    let vault = laboratory.vault.display();
    text.contains(&format!("{vault}/{name}"))
        || number.is_some_and(|number| text.contains(&format!("log entry {number} ")))
        || (name == "vault.toml" || text.contains("GV-3201"))
            && text.contains(&format!("'{vault}'"))
}

/// Changes in the vault that are none of the log entries that verifications made.
fn changes(before: &Listing, after: &Listing, verifications: usize) -> Vec<String> {
    let mut after = after.clone();
    if verifications > 0 {
        for name in [b"log".as_slice(), b"cache"] {
            if let (Some(before), Some(after)) = (before.get(name), after.get_mut(name)) {
                after.mtime_nanoseconds = before.mtime_nanoseconds;
            }
        }
        let is_new = |name: &Vec<u8>| name.starts_with(b"log/") && !before.contains_key(name);
        let new: Vec<Vec<u8>> = after.keys().filter(|name| is_new(name)).cloned().collect();
        for name in new.into_iter().take(verifications) {
            after.remove(&name);
        }
    }
    listing::differences("vault", before, &after)
}

/// Damages every file that `wanted` chooses in every way.
#[track_caller]
fn sweep(label: &str, wanted: fn(&[u8]) -> bool) {
    let laboratory = Laboratory::new();
    let mut wrong = Vec::new();
    let (mut files, mut points) = (0, 0);
    for name in laboratory.files().into_iter().filter(|name| wanted(name)) {
        files += 1;
        for damage in Damage::all(&laboratory, &name) {
            points += 1;
            damage.apply(&laboratory, &name);
            let mut names: Vec<&[u8]> = vec![&name];
            if let Damage::SwapWith(sibling)
            | Damage::ReplaceBy(sibling)
            | Damage::RenameOnto(sibling)
            | Damage::DuplicateAs(sibling) = &damage
            {
                names.push(sibling);
            }
            // A second file beside a manifest is named by the directory they are in.
            if name.starts_with(b"snapshots/") && matches!(damage, Damage::DuplicateAs(_)) {
                names.push(
                    name.rsplitn(2, |byte| *byte == b'/')
                        .last()
                        .expect("a directory"),
                );
            }
            let shown = name.escape_ascii();
            let found = complaints(&laboratory, &names, matters(&name));
            wrong.extend(
                found
                    .into_iter()
                    .map(|what| format!("=== {shown}, {damage:?}: {what}")),
            );
            laboratory.reset();
        }
    }
    eprintln!("{label}: {points} damages to {files} files");
    assert!(points > 0, "nothing was damaged");
    assert!(
        wrong.is_empty(),
        "{} complaints:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

#[test]
fn a_damaged_pack_is_never_taken_for_whole() {
    sweep("packs", |name| name.ends_with(b".pack"));
}

#[test]
fn a_damaged_pack_index_is_never_taken_for_whole() {
    sweep("pack indices", |name| name.ends_with(b".idx"));
}

#[test]
fn a_damaged_log_entry_is_never_taken_for_whole() {
    sweep("log entries", |name| name.starts_with(b"log/"));
}

#[test]
fn a_damaged_manifest_is_never_taken_for_whole() {
    sweep("manifests", |name| name.ends_with(b"/manifest.toml"));
}

#[test]
fn damage_to_any_other_file_is_refused_or_does_no_harm() {
    sweep("other files", |name| {
        !name.ends_with(b".pack")
            && !name.ends_with(b".idx")
            && !name.starts_with(b"log/")
            && !name.ends_with(b"/manifest.toml")
    });
}

#[test]
fn a_directory_that_is_gone_or_a_symlink_is_refused_or_does_no_harm() {
    let laboratory = Laboratory::new();
    let mut wrong = Vec::new();
    for name in laboratory.directories() {
        let path = at(&laboratory.vault, &name);
        for becomes_symlink in [false, true] {
            let copy = elsewhere(&laboratory);
            fs::rename(&path, &copy).expect("the directory is renamed");
            if becomes_symlink {
                std::os::unix::fs::symlink(&copy, &path).expect("the symlink is made");
            }
            let shown = name.escape_ascii();
            let names: [&[u8]; 1] = [&name];
            let found = complaints(&laboratory, &names, matters(&name));
            wrong.extend(
                found
                    .into_iter()
                    .map(|what| format!("=== {shown}, symlink: {becomes_symlink}: {what}")),
            );
            laboratory.reset();
        }
    }
    assert!(
        wrong.is_empty(),
        "{} complaints:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// What does not matter is shown not to matter: list, verify, restore and the next snapshot work with any of it damaged. Only
/// the list of snapshots must not come from a damaged index.
#[test]
fn caches_and_refs_do_not_matter() {
    let laboratory = Laboratory::new();
    let harmless: Vec<Vec<u8>> = laboratory
        .files()
        .into_iter()
        .filter(|name| !matters(name))
        .collect();
    assert!(
        harmless.iter().any(|name| name == b"cache/scan"),
        "{harmless:?}"
    );
    assert!(
        harmless.iter().any(|name| name == b"cache/index"),
        "{harmless:?}"
    );
    assert!(
        harmless.iter().any(|name| name == b"refs/heads/latest"),
        "{harmless:?}"
    );
    let index = laboratory.vault.join("cache/index");
    let written = fs::read(&index).expect("the index is read");
    for name in &harmless {
        for damage in Damage::all(&laboratory, name) {
            if matches!(damage, Damage::DuplicateAs(_)) {
                continue; // A further ref is foreign.
            }
            let is_only_a_file = !matches!(
                damage,
                Damage::ReplaceByDirectory
                    | Damage::ReplaceByFifo
                    | Damage::ReplaceBySocket
                    | Damage::ReplaceByDevice
                    | Damage::ReplaceBySymlinkToCopy
            );
            damage.apply(&laboratory, name);
            let said = laboratory.run(&["list"]);
            if is_as_written_or_gone(&index, &written) {
                let _said = said.succeeded();
            } else {
                let _said = said.refused("GV-1501");
            }
            let _said = laboratory.run(&["verify", "--deep"]).succeeded();
            if is_only_a_file {
                assert_next_snapshot_is_whole(&laboratory);
            }
            laboratory.reset();
        }
    }
}

fn is_as_written_or_gone(path: &Path, written: &[u8]) -> bool {
    match path.symlink_metadata() {
        Ok(metadata) => metadata.is_file() && fs::read(path).is_ok_and(|bytes| bytes == written),
        Err(_) => true,
    }
}

/// The registry is only a hint: the vault is found without it.
#[test]
fn the_registry_does_not_matter() {
    let laboratory = Laboratory::new();
    let registry = laboratory.sandbox.path("data/git-vault/vaults/registry");
    let names: Vec<PathBuf> = fs::read_dir(&registry)
        .expect("the registry is read")
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .collect();
    assert_eq!(names.len(), 1, "{names:?}");
    let contents: [Option<&[u8]>; 4] = [None, Some(b""), Some(b"git_dir = 7\n"), Some(b"\xff")];
    for content in contents {
        match content {
            None => fs::remove_file(&names[0]).expect("the file is removed"),
            Some(bytes) => overwrite(&names[0], bytes),
        }
        let _said = laboratory.run(&["verify"]).succeeded();
        assert_next_snapshot_is_whole(&laboratory);
        assert_eq!(
            crate::laboratory::vaults(&laboratory.sandbox),
            std::slice::from_ref(&laboratory.vault)
        );
        laboratory.reset();
    }
}

#[track_caller]
fn assert_next_snapshot_is_whole(laboratory: &Laboratory) {
    let source = &laboratory.source;
    write(source, "changed.txt", "changed since\n");
    let expected = listing::list(source, &|name| !name.starts_with(b".git"));
    let id = laboratory.sandbox.snapshot(source);
    let restored = laboratory.sandbox.restore(source, &id, "out");
    let found = listing::list(&restored, &|name| !name.starts_with(b".git"));
    let differences = listing::differences("", &expected, &found);
    assert_eq!(differences, [""; 0]);
    laboratory.sweep_away_restores();
    fs::remove_file(source.join("changed.txt")).expect("the file is removed");
}
