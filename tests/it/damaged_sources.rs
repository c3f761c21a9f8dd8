//! Sources that are damaged: each is refused by the name of what is damaged, with the safest thing to do next, or the damage
//! is in something that git makes anew. Never is there a snapshot that looks good and is not.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::crash::points;
use crate::laboratory::{assert_none, effort, refusal, run};
use crate::refusals::assert_refused;
use crate::source_refusals::{Scene, damage};
use crate::support::files::{append, mkdir, noise, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::{Kind, RepoState, Sandbox, states};

const NO_OBJECT: &str = "1234567890123456789012345678901234567890";

/// The scene is refused with this code, by this name, and the answer ends with what is safe to do.
#[track_caller]
fn assert_refused_with(scene: &Scene, code: &str, what: &str, next: &str) {
    scene.assert_refused(&[code], what);
    let said = scene.sandbox.vault(&scene.source, &["snapshot"]);
    let text = String::from_utf8_lossy(&said.stderr).into_owned();
    let line = text.lines().find(|line| line.starts_with("NEXT"));
    assert!(
        line.is_some_and(|line| line.contains(next)),
        "{next}\n{said}"
    );
    assert!(
        text.contains(&format!("git vault runbook {code}")),
        "{said}"
    );
}

/// What git does in such a repository: nothing, or with a complaint.
fn git_is_content(scene: &Scene) -> bool {
    let no_locks = [("GIT_OPTIONAL_LOCKS", "0")];
    let status = scene
        .sandbox
        .try_git_with(&scene.source, &no_locks, &["status", "--porcelain"]);
    let fsck = scene
        .sandbox
        .try_git(&scene.source, &["fsck", "--no-dangling"]);
    status.status.success() && fsck.status.success()
}

#[test]
fn a_head_that_git_cannot_read_is_refused_by_its_path() {
    for content in [
        &b""[..],
        b"garbage\n",
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
        b"ref: heads/main\n",
        b"ref: refs/heads/../../x\n",
        b"ref: refs/heads/main\nmore\n",
        b"1234567\n",
    ] {
        let scene = Scene::new();
        write(&scene.source, ".git/HEAD", content);
        assert!(!git_is_content(&scene), "{}", content.escape_ascii());
        let path = scene.source.join(".git/HEAD");
        let path = path.to_str().expect("a UTF-8 path");
        assert_refused_with(&scene, "GV-2003", path, "cp -a");
    }
    let scene = Scene::new();
    fs::remove_file(scene.source.join(".git/HEAD")).expect("removed");
    scene.assert_refused(&["GV-1001"], scene.source.to_str().expect("a UTF-8 path"));
}

/// What git reads, if not with pleasure, is no damage.
#[test]
fn a_head_that_git_reads_is_captured_as_it_is() {
    for content in [
        "ref: refs/heads/main",
        "ref:   refs/heads/main  \n",
        "ref:refs/heads/main\n",
    ] {
        let sandbox = Sandbox::new();
        let source = states::small_repository(&sandbox);
        write(&source, ".git/HEAD", content);
        let original = RepoState::capture(&sandbox, &source, Kind::Workspace);
        let id = sandbox.snapshot(&source);
        let restored = sandbox.restore(&source, &id, "restored");
        let restored = RepoState::capture(&sandbox, &restored, Kind::Workspace);
        RepoState::assert_same_workspace(&original, &restored);
    }
}

/// One change of a file of refs.
type Change = (&'static str, fn(&mut Vec<u8>));

#[test]
fn packed_refs_that_git_cannot_read_are_refused_by_their_path() {
    let changes: [Change; 8] = [
        ("nonsense at the end", |bytes| {
            bytes.extend(b"nonsense line\n")
        }),
        ("an empty line", |bytes| bytes.extend(b"\n")),
        ("cut within a line", |bytes| {
            bytes.truncate(bytes.len() - 20)
        }),
        ("without its last line feed", |bytes| {
            bytes.truncate(bytes.len() - 1)
        }),
        ("zeros", |bytes| bytes.fill(0)),
        ("an id that is too long", |bytes| {
            let line = bytes
                .iter()
                .position(|byte| *byte == b'\n')
                .expect("a header")
                + 1;
            bytes.insert(line, b'0');
        }),
        ("a comment in the middle", |bytes| {
            let line = bytes
                .iter()
                .position(|byte| *byte == b'\n')
                .expect("a header")
                + 1;
            bytes.splice(line..line, *b"# pack-refs\n");
        }),
        ("cut after its header", |bytes| {
            let line = bytes
                .iter()
                .position(|byte| *byte == b'\n')
                .expect("a header");
            bytes.truncate(line);
        }),
    ];
    for (what, change) in changes {
        let scene = Scene::new();
        scene.git(&["tag", "-a", "-m", "a tag", "v1"]);
        scene.git(&["pack-refs", "--all"]);
        let path = scene.source.join(".git/packed-refs");
        damage(&path, change);
        assert!(!git_is_content(&scene), "{what}");
        assert_refused_with(
            &scene,
            "GV-2003",
            path.to_str().expect("a UTF-8 path"),
            "cp -a",
        );
    }
}

/// A power cut leaves files empty or full of zeros. The broken ref is kept, and snapshot, manifest and restore say so.
#[test]
fn a_broken_branch_is_kept_as_evidence_and_said() {
    for content in [&b""[..], &[0; 41]] {
        let sandbox = Sandbox::new();
        let source = states::small_repository(&sandbox);
        write(&source, ".git/refs/heads/main", content);
        let said = run(&sandbox, &source, &["snapshot"]).succeeded();
        let note = "NOTE       broken ref kept as evidence: refs/heads/main\n";
        let state = "STATE      on main, which is broken\n";
        assert!(
            said.text().contains(note) && said.text().contains(state),
            "{said}"
        );
        let destination = sandbox.path("restored");
        let text = destination.to_str().expect("a UTF-8 path");
        let said = run(&sandbox, &source, &["restore", "@latest", text]).succeeded();
        assert!(
            said.text().contains(note) && said.text().contains(state),
            "{said}"
        );
        let found = fs::read(destination.join(".git/refs/heads/main")).expect("it is there");
        assert_eq!(found, content);
    }
}

#[test]
fn a_configuration_that_cannot_be_read_is_refused() {
    for content in [
        &b"[core"[..],
        &[0; 200],
        b"[a]\n\tb = \"unterminated\n",
        b"\xff\xfe[\0c\0o\0r\0e\0]\0",
        b"[core]\n\trepositoryformatversion = 1\n[core\n",
    ] {
        let scene = Scene::new();
        write(&scene.source, ".git/config", content);
        assert!(!git_is_content(&scene), "{}", content.escape_ascii());
        assert_refused_with(
            &scene,
            "GV-2003",
            "onfiguration",
            "git config --file .git/config",
        );
    }
}

/// An index with other bytes under a right checksum; the SHA-1 is computed by a tool of the system.
fn rewrite_index(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
    damage(path, |bytes| {
        bytes.truncate(bytes.len() - 20);
        change(bytes);
        let body = path.with_extension("body");
        fs::write(&body, &*bytes).expect("written");
        let output = Command::new("sha1sum")
            .arg(&body)
            .output()
            .expect("sha1sum starts");
        fs::remove_file(body).expect("removed");
        let hex = output.stdout.get(..40).expect("a digest").to_vec();
        let pairs = hex
            .chunks(2)
            .map(|pair| std::str::from_utf8(pair).expect("digits"));
        bytes.extend(pairs.map(|pair| u8::from_str_radix(pair, 16).expect("digits")));
    });
}

#[test]
fn an_index_that_git_cannot_read_is_refused_by_its_path() {
    let changes: [Change; 4] = [
        ("an extension that must be understood", |bytes| {
            bytes.extend(b"zzzz\0\0\0\x04data");
        }),
        ("a version of the future", |bytes| bytes[7] = 9),
        ("more entries than there are", |bytes| bytes[11] = 99),
        ("an extension that ends beyond the end", |bytes| {
            bytes.extend(b"ZZZZ\0\0\x04\0data");
        }),
    ];
    for (what, change) in changes {
        let scene = Scene::new();
        let path = scene.source.join(".git/index");
        rewrite_index(&path, change);
        // Git passes over an extension that need not be understood, wherever it ends.
        assert!(!git_is_content(&scene) || what.contains("beyond"), "{what}");
        let path = path.to_str().expect("a UTF-8 path");
        assert_refused_with(&scene, "GV-2007", path, "git fsck --cache");
    }
}

/// One change of the file at a path.
type Rewrite = (&'static str, fn(&Path));

#[test]
fn an_index_with_what_git_passes_over_is_captured_as_it_is() {
    let changes: [Rewrite; 3] = [
        ("an extension that need not be understood", |path| {
            rewrite_index(path, |bytes| bytes.extend(b"ZZZZ\0\0\0\x04data"));
        }),
        ("no checksum, as index.skipHash leaves it", |path| {
            damage(path, |bytes| {
                let start = bytes.len() - 20;
                bytes[start..].fill(0);
            });
        }),
        ("none at all", |path| {
            fs::remove_file(path).expect("removed")
        }),
    ];
    for (what, change) in changes {
        let sandbox = Sandbox::new();
        let source = states::small_repository(&sandbox);
        change(&source.join(".git/index"));
        let original = RepoState::capture(&sandbox, &source, Kind::Workspace);
        let id = sandbox.snapshot(&source);
        let restored = sandbox.restore(&source, &id, "restored");
        let restored = RepoState::capture(&sandbox, &restored, Kind::Workspace);
        let differences = original.differences(&restored, crate::support::RootTimes::Compared);
        assert_none(
            &differences
                .iter()
                .map(|line| format!("{what}: {line}"))
                .collect::<Vec<_>>(),
        );
    }
}

#[test]
fn an_index_that_names_a_missing_object_is_refused_by_its_id() {
    let info = format!("100644,{NO_OBJECT},missing.txt");
    let stage = format!("100644 {NO_OBJECT} 2\tmissing.txt\n");
    for how in ["entry", "stage", "skip-worktree"] {
        let scene = Scene::new();
        if how == "stage" {
            let mut command = scene.sandbox.command("sh", &scene.source);
            let script = format!("printf '{stage}' | git update-index --index-info");
            let output = command.args(["-c", &script]).output().expect("sh starts");
            assert!(output.status.success());
        } else {
            scene.git(&["update-index", "--add", "--cacheinfo", &info]);
        }
        if how == "skip-worktree" {
            scene.git(&["update-index", "--skip-worktree", "missing.txt"]);
        }
        assert_refused_with(&scene, "GV-2005", NO_OBJECT, "git fsck");
    }
}

#[test]
fn a_ref_to_a_missing_object_is_refused_by_its_id() {
    for path in [
        "refs/heads/other",
        "refs/tags/v1",
        "refs/stash",
        "refs/notes/x",
        "HEAD",
        "MERGE_HEAD",
    ] {
        let scene = Scene::new();
        write(
            &scene.source,
            format!(".git/{path}"),
            format!("{NO_OBJECT}\n"),
        );
        assert_refused_with(&scene, "GV-2005", NO_OBJECT, "git fsck");
    }
    let scene = Scene::new();
    scene.git(&["pack-refs", "--all"]);
    append(
        &scene.source,
        ".git/packed-refs",
        format!("{NO_OBJECT} refs/heads/z\n"),
    );
    assert_refused_with(&scene, "GV-2005", NO_OBJECT, "git fsck");
}

fn pack_of(source: &Path, extension: &str) -> PathBuf {
    let packs = fs::read_dir(source.join(".git/objects/pack")).expect("the packs are read");
    packs
        .map(|entry| entry.expect("an entry").path())
        .find(|path| path.extension().is_some_and(|found| found == extension))
        .expect("a pack")
}

/// One of the two is gone, with objects that are needed: both the object and what is left of the pack are named.
#[test]
fn a_pack_and_its_index_are_named_when_one_of_them_is_gone() {
    for (gone, left) in [("pack", "idx"), ("idx", "pack")] {
        let scene = Scene::new();
        let _blob = scene.commit_new_file("new.bin", &noise(3, 20_000));
        scene.git(&["repack", "-a", "-d", "--quiet"]);
        let left = pack_of(&scene.source, left);
        fs::remove_file(pack_of(&scene.source, gone)).expect("removed");
        let name = left
            .file_name()
            .and_then(|name| name.to_str())
            .expect("a name");
        assert_refused_with(&scene, "GV-2005", name, "git fsck");
    }
}

/// Git does not read such a pack, and nothing needs it. It is not captured, and that is said.
#[test]
fn a_pack_without_an_index_that_nothing_needs_is_named_in_the_notes() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    sandbox.git(&source, &["repack", "-a", "-d", "--quiet"]);
    let pack = pack_of(&source, "pack");
    let other = pack.with_file_name("pack-0123456789012345678901234567890123456789.pack");
    fs::copy(&pack, &other).expect("copied");
    let said = run(&sandbox, &source, &["snapshot"]).succeeded();
    let note = "NOTE       packs without an index are not captured, git does not read them: pack-0123456789012345678901234567890123456789.pack\n";
    assert!(said.text().contains(note), "{said}");
}

#[test]
fn a_damaged_object_that_nothing_names_is_refused_too() {
    let scene = Scene::new();
    write(&scene.source, "dangling.txt", "staged, and never more\n");
    scene.git(&["add", "dangling.txt"]);
    let id = scene
        .sandbox
        .git_text(&scene.source, &["rev-parse", ":dangling.txt"]);
    scene.git(&["rm", "--quiet", "--cached", "dangling.txt"]);
    let object = scene
        .source
        .join(".git/objects")
        .join(&id[..2])
        .join(&id[2..]);
    damage(&object, Vec::clear);
    assert_refused_with(
        &scene,
        "GV-2006",
        object.to_str().expect("a UTF-8 path"),
        "git fsck",
    );
}

#[test]
fn a_damaged_object_of_an_alternate_is_refused_by_its_path() {
    let scene = Scene::new();
    let text = scene.source.to_str().expect("a UTF-8 path");
    let clone = scene.sandbox.workplace().join("clone");
    let arguments = ["clone", "--quiet", "--shared", text];
    scene.git(&[&arguments[..], &[clone.to_str().expect("a UTF-8 path")]].concat());
    let object = scene.commit_new_file("new.bin", &noise(5, 3000));
    damage(&object, |bytes| bytes.truncate(100));
    let path = object.to_str().expect("a UTF-8 path");
    scene.assert_refused_in(&clone, &["GV-2006"], path);
}

/// The same object is whole in a pack: nothing is lost, and the restored copy is better than the source.
#[test]
fn an_empty_loose_object_beside_a_whole_packed_one_is_no_loss() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    sandbox.git(&source, &["repack", "-a", "-d", "--quiet"]);
    let id = sandbox.git_text(&source, &["rev-parse", "HEAD:README.md"]);
    write(
        &source,
        format!(".git/objects/{}/{}", &id[..2], &id[2..]),
        "",
    );
    assert!(!sandbox.try_git(&source, &["fsck"]).status.success());
    let untouched = Fingerprint::of(&source);
    let snapshot = sandbox.snapshot(&source);
    untouched.assert_untouched(&source);
    let restored = sandbox.restore(&source, &snapshot, "restored");
    sandbox.git(&restored, &["fsck", "--full", "--strict"]);
    assert_eq!(
        sandbox.git(&restored, &["cat-file", "blob", &id]),
        fs::read(source.join("README.md")).expect("it is read")
    );
}

/// Commit graph, multi-pack index and bitmaps only make git faster: damaged or not, they are left behind.
#[test]
fn damage_in_what_git_derives_is_left_behind() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    sandbox.git(
        &source,
        &["repack", "-a", "-d", "--quiet", "--write-bitmap-index"],
    );
    sandbox.git(&source, &["commit-graph", "write", "--reachable"]);
    sandbox.git(&source, &["multi-pack-index", "write"]);
    let objects = source.join(".git/objects");
    let derived = [
        objects.join("info/commit-graph"),
        objects.join("pack/multi-pack-index"),
        pack_of(&source, "bitmap"),
    ];
    for path in &derived {
        damage(path, |bytes| bytes.fill(0xff));
    }
    write(&source, ".git/objects/zz/not-an-object", "x");
    write(&source, ".git/objects/pack/tmp_pack_left", "x");
    let untouched = Fingerprint::of(&source);
    let snapshot = sandbox.snapshot(&source);
    untouched.assert_untouched(&source);
    let restored = sandbox.restore(&source, &snapshot, "restored");
    sandbox.git(&restored, &["fsck", "--full", "--strict"]);
    assert!(!restored.join(".git/objects/info/commit-graph").exists());
}

/// One bit anywhere in a loose object, a pack or its index: refused, or every object is there and whole all the same.
#[test]
fn a_flipped_bit_anywhere_in_the_object_store_is_refused_or_does_no_harm() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    sandbox.git(&source, &["repack", "-a", "-d", "--quiet"]);
    write(&source, "loose.txt", "in a loose object\n".repeat(5));
    sandbox.commit(&source, "loose");
    let id = sandbox.git_text(&source, &["rev-parse", "HEAD:loose.txt"]);
    let loose = source.join(".git/objects").join(&id[..2]).join(&id[2..]);
    let tree = sandbox.git_text(&source, &["rev-parse", "HEAD^{tree}"]);
    let tree = source
        .join(".git/objects")
        .join(&tree[..2])
        .join(&tree[2..]);
    let expected = RepoState::capture(&sandbox, &source, Kind::Workspace);
    let _known = mkdir(&sandbox.path(""), "kept");
    let (mut wrong, mut refused, mut sealed) = (Vec::new(), 0, 0);
    for path in [
        loose,
        tree,
        pack_of(&source, "pack"),
        pack_of(&source, "idx"),
    ] {
        let whole = fs::read(&path).expect("it is read");
        let count = if effort() >= 10 { whole.len() } else { 10 };
        let step = (whole.len() / count).max(1);
        for place in (0..whole.len()).step_by(step) {
            damage(&path, |bytes| bytes[place] ^= 1 << (place % 8));
            let what = format!("byte {place} of '{}'", path.display());
            for name in ["data", "state", "config/git-vault"] {
                let _none = fs::remove_dir_all(sandbox.path(name));
            }
            let untouched = Fingerprint::of(&source);
            let said = run(&sandbox, &source, &["snapshot"]);
            wrong.extend(untouched.changes(&Fingerprint::of(&source)));
            damage(&path, |bytes| bytes.clone_from(&whole));
            if said.code == Some(0) {
                sealed += 1;
                let restored = sandbox.restore(&source, "@latest", "restored");
                let found = RepoState::capture(&sandbox, &restored, Kind::Workspace);
                let fsck = sandbox.try_git(&restored, &["fsck", "--full", "--strict"]);
                if !expected.objects_are_in(&found) || !fsck.status.success() {
                    wrong.push(format!("{what}: sealed, and something is missing"));
                }
                fs::remove_dir_all(restored).expect("the copy is removed");
                continue;
            }
            refused += 1;
            match refusal(&said) {
                Ok(code) if matches!(code.code(), "GV-2005" | "GV-2006") => {}
                other => wrong.push(format!("{what}: {other:?}\n{said}")),
            }
        }
    }
    eprintln!("flipped bits in the object store: {refused} refused, {sealed} sealed and whole");
    assert_none(&wrong);
    assert!(refused > 0);
}

/// The same in the index.
#[test]
fn a_flipped_bit_anywhere_in_the_index_is_refused() {
    let scene = Scene::new();
    write(&scene.source, "staged.txt", "staged\n");
    scene.git(&["add", "staged.txt"]);
    let path = scene.source.join(".git/index");
    let whole = fs::read(&path).expect("it is read");
    for place in points(whole.len(), 12) {
        let place = place - 1;
        damage(&path, |bytes| bytes[place] ^= 1 << (place % 8));
        let said = scene.sandbox.vault(&scene.source, &["snapshot"]);
        assert_refused(&said, &["GV-2007"], path.to_str().expect("a UTF-8 path"));
        damage(&path, |bytes| bytes.clone_from(&whole));
    }
    scene.assert_earlier_snapshot_is_whole();
}
