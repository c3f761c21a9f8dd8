//! Vaults that earlier versions made, kept for ever: whatever a later version changes, it lists, verifies and restores them as they were.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use git_vault::model::ids::Digest;
use git_vault::model::manifest::FORMAT;
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::files::{append, mkdir};
use crate::support::{Said, Sandbox};

/// Every file in `tests/golden` beside the tools, with its BLAKE3: none is ever changed.
const PINNED: &[(&str, &str)] = &[
    (
        "1-small/expected.json",
        "7ffb785e07637fdc1dda937ce4a528ad6bf5090c1b78f91ec44e54dbe677a22d",
    ),
    (
        "1-small/keys.tar",
        "46ee54682d1c9ffabc8c44046382387beaf6ec029a175f2574f1cb113d958ed7",
    ),
    (
        "1-small/kit.txt",
        "9ed24aed314abedf4c0c9f73574e0f716123c801148acc6c16b29267ac4f750c",
    ),
    (
        "1-small/passphrase",
        "3e32b62bb2f43ae66190db7980d9c1fa30bb050294290ec8cf3ba48bdf9e2f0b",
    ),
    (
        "1-small/vault.tar",
        "0edc69d41f8436427ed2c186550d991b6678769d95160effa828e5305c7a1cda",
    ),
    (
        "1/expected.json",
        "56954af9f78f8beb5c5547fbbae7493840999b573eeeb933cc56b404fa0bfaa3",
    ),
    (
        "1/keys.tar",
        "c9ff266cc56e5e231c41779f3250dc5b0998bed7a01c792464b272a48570b93c",
    ),
    (
        "1/kit.txt",
        "8502e1c6d6ebfd968e14ced8259d1600c1c930df7ad99d3d23aed55e9c964f51",
    ),
    (
        "1/passphrase",
        "3e32b62bb2f43ae66190db7980d9c1fa30bb050294290ec8cf3ba48bdf9e2f0b",
    ),
    (
        "1/vault.tar",
        "34fef85a57f1957ec2c072899526940cfed6895d52c5896f988f774e2ed17324",
    ),
];

fn home() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden")
}

/// The folders in `tests/golden`, one for each golden vault.
fn folders() -> Vec<PathBuf> {
    let entries = fs::read_dir(home()).expect("the golden vaults");
    let mut folders: Vec<_> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.is_dir())
        .collect();
    folders.sort();
    folders
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

/// A golden vault unpacked on a machine of its own.
struct Golden {
    sandbox: Sandbox,
    vault: PathBuf,
    folder: PathBuf,
    expected: Value,
}

impl Golden {
    fn unpack(folder: &Path) -> Self {
        let sandbox = Sandbox::new();
        let expected = fs::read(folder.join("expected.json")).expect("what is expected");
        let expected: Value = serde_json::from_slice(&expected).expect("JSON");
        let vaults = mkdir(&sandbox.path("data"), "git-vault/vaults");
        extract(&sandbox, &folder.join("vault.tar"), &vaults);
        let vault = vaults.join(expected["vault"].as_str().expect("a name"));
        Self {
            sandbox,
            vault,
            folder: folder.to_owned(),
            expected,
        }
    }

    fn with_keys(folder: &Path) -> Self {
        let golden = Self::unpack(folder);
        let config = mkdir(&golden.sandbox.path("config"), "git-vault");
        extract(&golden.sandbox, &folder.join("keys.tar"), &config);
        golden
    }

    /// Runs the program on the vault from a place that has nothing to do with it.
    fn run(&self, arguments: &[&str]) -> Said {
        let all = [&["--vault", text(&self.vault)], arguments].concat();
        self.sandbox.vault(&self.sandbox.workplace(), &all)
    }

    fn snapshots(&self) -> &Vec<Value> {
        self.expected["snapshots"].as_array().expect("an array")
    }

    fn restore(&self, snapshot: &Value, name: &str) -> PathBuf {
        let out = self.sandbox.path(name);
        let id = snapshot["id"].as_str().expect("an id");
        let _said = self.run(&["restore", id, text(&out)]).succeeded();
        out
    }
}

fn extract(sandbox: &Sandbox, archive: &Path, into: &Path) {
    let mut tar = sandbox.command("tar", into);
    tar.args(["--no-same-owner", "-xpf"]).arg(archive);
    let output = tar.output().expect("tar starts");
    assert!(output.status.success(), "{output:?}");
}

/// The name behind the percent signs.
fn unquoted(name: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = name.as_bytes();
    while let [first, after @ ..] = rest {
        if *first == b'%' {
            let digits = std::str::from_utf8(&after[..2]).expect("two digits");
            bytes.push(u8::from_str_radix(digits, 16).expect("a byte"));
            rest = &after[2..];
        } else {
            bytes.push(*first);
            rest = after;
        }
    }
    bytes
}

/// The paths below a directory, the objects of the repository left out.
fn paths(root: &Path, name: &[u8], into: &mut Vec<Vec<u8>>) {
    into.push(name.to_vec());
    let path = root.join(OsStr::from_bytes(name));
    if name == b".git/objects" || !path.symlink_metadata().expect("an entry").is_dir() {
        return;
    }
    for entry in fs::read_dir(path).expect("a directory") {
        let child = entry.expect("an entry").file_name();
        let child = child.as_bytes();
        let below = if name == b"." {
            child.to_vec()
        } else {
            [name, b"/", child].concat()
        };
        paths(root, &below, into);
    }
}

/// What an entry is, in the words of the expectations.
fn describe(path: &Path) -> Value {
    let metadata = path.symlink_metadata().expect("an entry");
    let seconds = i128::from(metadata.mtime());
    let time = seconds * 1_000_000_000 + i128::from(metadata.mtime_nsec());
    let time = i64::try_from(time).expect("a time of our age");
    let kind = metadata.file_type();
    let mut found = serde_json::json!({ "mtime_ns": time });
    if kind.is_symlink() {
        let target = fs::read_link(path).expect("a target");
        found["kind"] = "link".into();
        found["target"] = text(&target).into();
        return found;
    }
    found["mode"] = format!("{:o}", metadata.mode()).into();
    found["kind"] = if kind.is_dir() { "directory" } else { "file" }.into();
    if kind.is_file() {
        let content = fs::read(path).expect("its content");
        let sha256 = Sha256::digest(&content);
        let hex: String = sha256.iter().map(|byte| format!("{byte:02x}")).collect();
        found["bytes"] = content.len().into();
        found["sha256"] = hex.into();
    }
    found
}

/// Compares a restored workspace with what the file system and git said of the original.
fn differences(golden: &Golden, snapshot: &Value, root: &Path) -> Vec<String> {
    let expected: BTreeMap<Vec<u8>, &Value> = snapshot["entries"]
        .as_object()
        .expect("an object")
        .iter()
        .map(|(name, entry)| (unquoted(name), entry))
        .collect();
    let mut names = Vec::new();
    paths(root, b".", &mut names);
    let mut wrong = Vec::new();
    for name in &names {
        let shown = String::from_utf8_lossy(name);
        let Some(expected) = expected.get(name) else {
            if name != b".git/objects" {
                wrong.push(format!("'{shown}' is too much"));
            }
            continue;
        };
        let mut expected = (*expected).clone();
        let xattrs = expected
            .as_object_mut()
            .expect("an object")
            .remove("xattrs");
        let path = root.join(OsStr::from_bytes(name));
        let found = describe(&path);
        if found != expected {
            wrong.push(format!("'{shown}': expected {expected}, found {found}"));
        }
        for (attribute, value) in xattrs.iter().filter_map(Value::as_object).flatten() {
            let mut bytes = vec![0; 4096];
            let length = rustix::fs::getxattr(&path, attribute.as_str(), &mut bytes);
            bytes.truncate(length.expect("an extended attribute"));
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            if value.as_str() != Some(hex.as_str()) {
                wrong.push(format!("'{shown}': attribute {attribute} is {hex}"));
            }
        }
    }
    let lost = expected.keys().filter(|name| !names.contains(name));
    wrong.extend(lost.map(|name| format!("'{}' is missing", String::from_utf8_lossy(name))));
    wrong.extend(git_differences(golden, &snapshot["git"], root));
    wrong
}

fn git_differences(golden: &Golden, expected: &Value, root: &Path) -> Vec<String> {
    let git = |arguments: &[&str]| {
        let output = golden
            .sandbox
            .try_git_with(root, &[("GIT_OPTIONAL_LOCKS", "0")], arguments);
        String::from_utf8_lossy(&output.stdout).into_owned()
    };
    let _whole = golden.sandbox.git(root, &["fsck", "--full"]);
    let found = [
        ("head", git(&["rev-parse", "HEAD"])),
        ("branch", git(&["symbolic-ref", "--quiet", "HEAD"])),
        (
            "refs",
            git(&["for-each-ref", "--format=%(objectname) %(refname)"]),
        ),
        ("stash", git(&["stash", "list", "--format=%H %gs"])),
        (
            "status",
            git(&["status", "--porcelain=v2", "--untracked-files=all"]),
        ),
    ];
    let mut wrong = Vec::new();
    for (fact, found) in found {
        let wanted = expected[fact].as_str().expect("a fact");
        if found.trim_end() != wanted.trim_end() {
            wrong.push(format!("git says of {fact}:\n{found}\nand said:\n{wanted}"));
        }
    }
    wrong
}

#[test]
fn no_golden_file_was_ever_changed() {
    let mut found = Vec::new();
    for folder in folders() {
        for entry in fs::read_dir(&folder).expect("the folder") {
            let path = entry.expect("an entry").path();
            let name = path.strip_prefix(home()).expect("a name");
            let digest = Digest::of(&fs::read(&path).expect("the file"));
            found.push((text(name).to_owned(), digest.to_string()));
        }
    }
    found.sort();
    let pinned = PINNED
        .iter()
        .map(|(name, digest)| ((*name).to_owned(), (*digest).to_owned()));
    assert_eq!(found, pinned.collect::<Vec<_>>());
}

#[test]
fn there_is_a_golden_vault_of_the_present_format() {
    let formats = folders().into_iter().map(|folder| {
        let golden = Golden::unpack(&folder);
        let format = golden.expected["format"].as_u64().expect("a number");
        let name = folder
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        assert!(
            name == format.to_string() || name.starts_with(&format!("{format}-")),
            "{name}"
        );
        format
    });
    assert!(formats.collect::<Vec<_>>().contains(&u64::from(FORMAT)));
}

#[test]
fn golden_vaults_are_listed_shown_and_verified() {
    for folder in folders() {
        let golden = Golden::with_keys(&folder);
        let log = golden.expected["log"].as_array().expect("an array").len();
        let answer = golden.run(&["--json", "list"]).succeeded().json();
        let listed = answer["snapshots"].as_array().expect("an array");
        let ids = |snapshots: &Vec<Value>| -> Vec<Value> {
            snapshots
                .iter()
                .map(|snapshot| snapshot["id"].clone())
                .collect()
        };
        let mut listed = ids(listed);
        listed.sort_by_key(ToString::to_string);
        let mut wanted = ids(golden.snapshots());
        wanted.sort_by_key(ToString::to_string);
        assert_eq!(listed, wanted);
        for snapshot in golden.snapshots() {
            let id = snapshot["id"].as_str().expect("an id");
            let said = golden.run(&["show", id]).succeeded().text();
            assert!(
                said.contains(snapshot["message"].as_str().expect("a message")),
                "{said}"
            );
        }
        let answer = golden
            .run(&["--json", "verify", "--deep"])
            .succeeded()
            .json();
        assert_eq!(answer["log_entries"], Value::from(log), "{answer}");
    }
}

#[test]
fn golden_vaults_hold_every_kind_of_log_entry() {
    let newest = folders().pop().expect("a golden vault");
    let golden = Golden::unpack(&newest);
    let log = golden.expected["log"].as_array().expect("an array");
    for kind in [
        "genesis",
        "attach",
        "snapshot",
        "verify",
        "drill",
        "copy",
        "rotate",
        "compromise",
        "acknowledge",
        "set-aside",
        "drop",
        "optimize",
    ] {
        assert!(log.contains(&Value::from(kind)), "{kind}");
    }
}

#[test]
fn golden_snapshots_are_restored_as_they_were() {
    for folder in folders() {
        let golden = Golden::with_keys(&folder);
        for (number, snapshot) in golden.snapshots().iter().enumerate() {
            let root = golden.restore(snapshot, &format!("restored-{number}"));
            let wrong = differences(&golden, snapshot, &root);
            assert!(
                wrong.is_empty(),
                "{}: {}",
                snapshot["message"],
                wrong.join("\n")
            );
        }
    }
}

#[test]
fn golden_keys_are_brought_back_from_kit_and_escrow() {
    for folder in folders() {
        let kit = folder.join("kit.txt");
        let passphrase = folder.join("passphrase");
        let ways: [&[&str]; 2] = [
            &["key", "import", text(&kit)],
            &[
                "key",
                "import",
                "--escrow",
                "--passphrase-file",
                text(&passphrase),
            ],
        ];
        for import in ways {
            let golden = Golden::unpack(&folder);
            let _said = golden.run(&["list"]).refused("GV-1201");
            let _said = golden.run(import).succeeded();
            let _said = golden.run(&["verify"]).succeeded();
            let mut keys = Vec::new();
            paths(
                &golden.sandbox.path("config/git-vault/keys"),
                b".",
                &mut keys,
            );
            let mut wanted = Vec::new();
            let home = mkdir(&golden.sandbox.path(""), "original");
            extract(&golden.sandbox, &golden.folder.join("keys.tar"), &home);
            paths(&home.join("keys"), b".", &mut wanted);
            keys.sort();
            wanted.sort();
            assert_eq!(keys, wanted);
        }
    }
}

#[test]
fn a_golden_vault_takes_another_snapshot() {
    for folder in folders() {
        let golden = Golden::with_keys(&folder);
        let newest = golden.snapshots().last().expect("a snapshot");
        let root = golden.restore(newest, "work/tale");
        append(&root, "story.txt", "and another one\n");
        let answer = golden
            .sandbox
            .vault(&root, &["--json", "snapshot"])
            .succeeded()
            .json();
        let vault = answer["vault"].as_str().expect("a vault");
        assert_eq!(Path::new(vault), golden.vault, "{answer}");
        let id = answer["snapshot"]["id"].as_str().expect("an id");
        let _said = golden
            .sandbox
            .vault(&root, &["verify", "--deep"])
            .succeeded();
        let again = golden.sandbox.restore(&root, id, "again");
        let story = fs::read_to_string(again.join("story.txt")).expect("the story");
        assert!(story.ends_with("and another one\n"));
        for snapshot in golden.snapshots() {
            let name = format!("after-{}", snapshot["id"].as_str().expect("an id"));
            let root = golden.restore(snapshot, &name);
            let wrong = differences(&golden, snapshot, &root);
            assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        }
    }
}
