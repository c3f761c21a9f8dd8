//! What cannot be captured whole is refused by name: the source is not touched, and earlier snapshots stay what they are.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use crate::laboratory::only_vault;
use crate::refusals::assert_refused;
use crate::support::files::{append, chmod, mkdir, noise, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::{Sandbox, states};

/// A repository with one snapshot, about to become one that cannot be captured.
pub struct Scene {
    pub sandbox: Sandbox,
    pub source: PathBuf,
    pub vault: PathBuf,
}

impl Scene {
    pub fn new() -> Self {
        let sandbox = Sandbox::new();
        let source = states::small_repository(&sandbox);
        let _id = sandbox.snapshot(&source);
        let vault = only_vault(&sandbox);
        Self {
            sandbox,
            source,
            vault,
        }
    }

    pub fn git(&self, arguments: &[&str]) {
        self.sandbox.git(&self.source, arguments);
    }

    /// A snapshot of `directory` is refused, naming `what`; nothing is touched, and the earlier snapshot is whole.
    #[track_caller]
    pub fn assert_refused_in(&self, directory: &Path, codes: &[&str], what: &str) {
        let untouched = Fingerprint::of(&self.sandbox.workplace());
        for arguments in [&["snapshot"][..], &["snapshot", "-m", "all the same"]] {
            let said = self.sandbox.vault(directory, arguments);
            assert_refused(&said, codes, what);
        }
        untouched.assert_untouched(&self.sandbox.workplace());
        self.assert_earlier_snapshot_is_whole();
    }

    #[track_caller]
    pub fn assert_refused(&self, codes: &[&str], what: &str) {
        self.assert_refused_in(&self.source, codes, what);
    }

    #[track_caller]
    pub fn assert_earlier_snapshot_is_whole(&self) {
        let vault = self.vault.to_str().expect("a UTF-8 path");
        let run = |arguments: &[&str]| {
            let arguments = [&["--vault", vault, "--json"], arguments].concat();
            self.sandbox
                .vault(&self.sandbox.home(), &arguments)
                .succeeded()
        };
        let verified = run(&["verify", "--deep"]).json();
        assert_eq!(verified["snapshots_in_vault"], 1);
        let listed = run(&["list"]).json();
        assert_eq!(listed["snapshots"].as_array().map(Vec::len), Some(1));
    }

    /// New content, committed, so that its objects are not in the vault yet; gives the loose object of the file.
    pub fn commit_new_file(&self, name: &str, content: &[u8]) -> PathBuf {
        write(&self.source, name, content);
        self.sandbox.commit(&self.source, "new");
        self.loose_object(&format!("HEAD:{name}"))
    }

    fn loose_object(&self, revision: &str) -> PathBuf {
        let id = self
            .sandbox
            .git_text(&self.source, &["rev-parse", revision]);
        self.source
            .join(".git/objects")
            .join(&id[..2])
            .join(&id[2..])
    }
}

/// Replaces a file that git made read-only, keeping its mode.
pub fn damage(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    let mut bytes = fs::read(path).expect("the file is read");
    let mode = fs::metadata(path).expect("its mode").permissions().mode();
    change(&mut bytes);
    chmod(path, mode | 0o200);
    fs::write(path, bytes).expect("the file is written");
    chmod(path, mode);
}

pub fn flip_middle(bytes: &mut [u8]) {
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0x20;
}

fn id_of(object: &Path) -> String {
    let name = object
        .file_name()
        .and_then(|name| name.to_str())
        .expect("a name");
    let fan = object
        .parent()
        .and_then(Path::file_name)
        .expect("a directory");
    format!("{}{name}", fan.to_str().expect("a UTF-8 name"))
}

#[test]
fn a_gitlink_whose_repository_is_not_there_is_no_hole() {
    let scene = Scene::new();
    let head = scene
        .sandbox
        .git_text(&scene.source, &["rev-parse", "HEAD"]);
    let entry = format!("160000,{},sub", head.replace(|_: char| true, "1"));
    scene.git(&["update-index", "--add", "--cacheinfo", &entry]);
    mkdir(&scene.source, "sub");
    let id = scene.sandbox.snapshot(&scene.source);
    let restored = scene.sandbox.restore(&scene.source, &id, "restored");
    let staged = ["ls-files", "--stage"];
    assert_eq!(
        scene.sandbox.git(&restored, &staged),
        scene.sandbox.git(&scene.source, &staged)
    );
}

#[test]
fn formats_and_settings_that_are_not_known_are_refused() {
    let cases = [
        (
            "[extensions]\n\tfrobnicate = true\n",
            &["GV-2003"][..],
            "frobnicate",
        ),
        (
            "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tfrobnicate = 7\n",
            &["GV-2003"],
            "frobnicate",
        ),
        (
            "[core]\n\trepositoryformatversion = 99\n",
            &["GV-2003"],
            "99",
        ),
        ("[core]\n\trepositoryformatversion = 2\n", &["GV-2003"], "2"),
        (
            "[core]\n\trepositoryformatversion = 1\n[extensions]\n\trefStorage = shelf\n",
            &["GV-2003"],
            "shelf",
        ),
        (
            "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tobjectFormat = md5\n",
            &["GV-2003"],
            "md5",
        ),
        (
            "[core]\n\trepositoryformatversion = 1\n[extensions]\n\tcompatObjectFormat = sha256\n",
            &["GV-2003", "GV-2004"],
            "",
        ),
        ("[core\n", &["GV-2003", "GV-1005"], ""),
        (
            "[vault]\n\thome = not/absolute\n",
            &["GV-1005"],
            "not/absolute",
        ),
        (
            "[vault]\n\texclude = \"a{b\"\n",
            &["GV-1005"],
            "vault.exclude",
        ),
    ];
    let mut wrong = Vec::new();
    for (lines, codes, what) in cases {
        let scene = Scene::new();
        append(&scene.source, ".git/config", lines);
        let judge = || scene.assert_refused(codes, what);
        if catch_unwind(AssertUnwindSafe(judge)).is_err() {
            wrong.push(lines);
        }
    }
    assert_eq!(wrong, [""; 0], "see above for each of these");
}

#[test]
fn objects_that_are_missing_are_refused_by_their_ids() {
    for what in ["staged blob", "blob", "tree", "commit", "old blob", "stash"] {
        let scene = Scene::new();
        let blob = scene.commit_new_file("new/file.txt", b"new content\n");
        let object = match what {
            "staged blob" => {
                write(&scene.source, "staged.txt", "staged only\n");
                scene.git(&["add", "staged.txt"]);
                scene.loose_object(":staged.txt")
            }
            "blob" => blob,
            "tree" => scene.loose_object("HEAD:new"),
            "commit" => scene.loose_object("HEAD"),
            "old blob" => {
                scene.git(&["rm", "--quiet", "new/file.txt"]);
                scene.git(&["commit", "--quiet", "-m", "gone again"]);
                blob
            }
            _ => {
                write(&scene.source, "README.md", "in a stash\n");
                scene.git(&["stash", "push", "--quiet"]);
                scene.loose_object("stash:README.md")
            }
        };
        fs::remove_file(&object).expect("the object is removed");
        scene.assert_refused(&["GV-2005"], &id_of(&object));
    }
}

#[test]
fn damaged_loose_objects_are_refused_by_their_paths() {
    for what in ["flipped", "empty", "truncated", "nonsense"] {
        let scene = Scene::new();
        let one = scene.commit_new_file("one.bin", &noise(1, 3000));
        match what {
            "flipped" => damage(&one, |bytes| flip_middle(bytes)),
            "empty" => damage(&one, Vec::clear),
            "truncated" => damage(&one, |bytes| bytes.truncate(bytes.len() / 2)),
            _ => damage(&one, |bytes| *bytes = b"nonsense".to_vec()),
        }
        scene.assert_refused(&["GV-2006"], one.to_str().expect("a UTF-8 path"));
    }
}

#[test]
fn two_loose_objects_that_changed_places_are_refused() {
    let scene = Scene::new();
    let one = scene.commit_new_file("one.txt", b"one content\n");
    let two = scene.commit_new_file("two.txt", b"two content\n");
    let aside = scene.sandbox.path("aside");
    for (from, to) in [(&one, &aside), (&two, &one), (&aside, &two)] {
        fs::rename(from, to).expect("renamed");
    }
    scene.assert_refused(
        &["GV-2006"],
        scene
            .source
            .join(".git/objects")
            .to_str()
            .expect("a UTF-8 path"),
    );
}

#[test]
fn damaged_packs_are_refused_by_their_paths() {
    for (extension, what) in [
        ("pack", "flipped"),
        ("pack", "truncated"),
        ("pack", "empty"),
        ("pack", "gone"),
        ("idx", "flipped"),
        ("idx", "truncated"),
        ("idx", "empty"),
    ] {
        let scene = Scene::new();
        let _blob = scene.commit_new_file("new.bin", &noise(3, 200_000));
        scene.git(&["repack", "-a", "-d", "--quiet"]);
        let pack = fs::read_dir(scene.source.join(".git/objects/pack"))
            .expect("the packs are read")
            .map(|entry| entry.expect("an entry").path())
            .find(|path| path.extension().is_some_and(|found| found == extension))
            .expect("a pack");
        match what {
            "flipped" => damage(&pack, |bytes| flip_middle(bytes)),
            "truncated" => damage(&pack, |bytes| bytes.truncate(bytes.len() - 30)),
            "empty" => damage(&pack, Vec::clear),
            _ => fs::remove_file(&pack).expect("the pack is removed"),
        }
        let stem = pack
            .file_stem()
            .and_then(|stem| stem.to_str())
            .expect("a stem");
        let named = if what == "gone" { "" } else { stem };
        scene.assert_refused(&["GV-2005", "GV-2006"], named);
    }
}

#[test]
fn a_damaged_index_is_refused() {
    for what in ["flipped", "truncated", "empty", "nonsense", "a directory"] {
        let scene = Scene::new();
        write(&scene.source, "staged.txt", "staged\n");
        scene.git(&["add", "staged.txt"]);
        let index = scene.source.join(".git/index");
        match what {
            "flipped" => damage(&index, |bytes| flip_middle(bytes)),
            "truncated" => damage(&index, |bytes| bytes.truncate(bytes.len() / 2)),
            "empty" => damage(&index, Vec::clear),
            "nonsense" => damage(&index, |bytes| *bytes = b"nonsense".to_vec()),
            _ => {
                fs::remove_file(&index).expect("the index is removed");
                mkdir(&scene.source, ".git/index");
            }
        }
        scene.assert_refused(
            &["GV-2007", "GV-2001"],
            index.to_str().expect("a UTF-8 path"),
        );
    }
}
