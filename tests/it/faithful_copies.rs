//! A restored copy leads to nothing of the original, whatever its pointers said, and lacks nothing that an index tracks; and a
//! restore takes no place that a repository looks at.

use std::fs;
use std::path::{Path, PathBuf};

use crate::laboratory::only_vault;
use crate::several_trees::{assert_points_nowhere_else, assert_restores};
use crate::support::files::{append, mkdir, symlink, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::states::small_repository;
use crate::support::{Said, Sandbox};

/// `repository` with the submodule `library`.
fn with_library(sandbox: &Sandbox) -> PathBuf {
    let library = sandbox.init("library");
    write(&library, "library.c", "int library;\n");
    sandbox.commit(&library, "library");
    let repository = small_repository(sandbox);
    submodule(sandbox, &repository, &["add", "../library", "library"]);
    sandbox.commit(&repository, "with a submodule");
    repository
}

fn submodule(sandbox: &Sandbox, directory: &Path, arguments: &[&str]) {
    let always = ["-c", "protocol.file.allow=always", "submodule", "--quiet"];
    sandbox.git(directory, &[&always[..], arguments].concat());
}

/// `with_library` with the linked worktree `feature` beside it, in which the submodule is checked out.
fn with_feature(sandbox: &Sandbox) -> (PathBuf, PathBuf) {
    let repository = with_library(sandbox);
    sandbox.git(
        &repository,
        &["worktree", "add", "--quiet", "-b", "feature", "../feature"],
    );
    let feature = sandbox.path("work/feature");
    submodule(sandbox, &feature, &["update", "--init"]);
    append(&feature, "library/library.c", "int only_here;\n");
    (repository, feature)
}

fn set_worktree(sandbox: &Sandbox, git_dir: &Path, tree: &str) {
    let file = git_dir.join("config");
    let file = file.to_str().expect("UTF-8");
    let config = ["config", "--file", file, "core.worktree", tree];
    sandbox.git(&sandbox.workplace(), &config);
}

/// A copy of the newest snapshot beside the originals, where relative ways may lead to them.
fn beside(sandbox: &Sandbox, source: &Path) -> PathBuf {
    let _said = sandbox.vault(source, &["drill"]).succeeded();
    sandbox.restore(source, "@latest", "work/copy")
}

/// Git can do its worst with a git directory of the copy: no original changes. Then the copy is a source itself.
#[track_caller]
fn assert_harmless(sandbox: &Sandbox, restored: &Path, own: &str) {
    let originals = fs::read_dir(sandbox.workplace()).expect("listed");
    let originals = originals.map(|entry| entry.expect("an entry").path());
    let originals: Vec<PathBuf> = originals.filter(|path| path != restored).collect();
    let untouched: Vec<Fingerprint> = originals.iter().map(|path| Fingerprint::of(path)).collect();
    let nowhere = mkdir(&sandbox.path("tmp"), "nowhere");
    let named = format!("--git-dir={}", restored.join(own).display());
    for arguments in [&["checkout", "--force"][..], &["clean", "-fdqx"]] {
        let _any = sandbox.try_git(&nowhere, &[&[named.as_str()], arguments].concat());
    }
    for (original, untouched) in originals.iter().zip(untouched) {
        untouched.assert_untouched(original);
        assert_points_nowhere_else(sandbox, restored, original);
    }
    sandbox.snapshot(restored);
    let _said = sandbox.vault(restored, &["drill"]).succeeded();
}

#[test]
fn a_submodule_of_a_linked_worktree_that_is_gone_does_not_lead_to_the_original() {
    let sandbox = Sandbox::new();
    let (repository, feature) = with_feature(&sandbox);
    fs::rename(&feature, sandbox.path("gone")).expect("moved");
    sandbox.snapshot(&repository);
    let restored = beside(&sandbox, &repository);
    fs::rename(sandbox.path("gone"), &feature).expect("moved back");
    assert_harmless(
        &sandbox,
        &restored,
        ".git/worktrees/feature/modules/library",
    );
}

#[test]
fn a_submodule_of_a_linked_worktree_that_is_empty_can_be_checked_out_in_the_copy() {
    let sandbox = Sandbox::new();
    let (repository, feature) = with_feature(&sandbox);
    fs::remove_dir_all(feature.join("library")).expect("removed");
    mkdir(&feature, "library");
    sandbox.snapshot(&repository);
    let restored = beside(&sandbox, &repository);
    submodule(&sandbox, &feature, &["update", "--init"]);
    append(&feature, "library/library.c", "int only_here;\n");
    assert_harmless(
        &sandbox,
        &restored,
        ".git/worktrees/feature/modules/library",
    );
    let untouched = [&repository, &feature].map(|path| Fingerprint::of(path));
    let copy = restored.join(".git/linked-feature");
    let library = restored.join(".git/worktrees/feature/modules/library");
    let tree = sandbox.git_text(&library, &["config", "--file", "config", "core.worktree"]);
    let tree = library.join(tree).canonicalize().expect("it is there");
    assert_eq!(tree, copy.join("library"));
    submodule(&sandbox, &copy, &["update", "--init"]);
    assert!(copy.join("library/library.c").exists());
    for (path, untouched) in [&repository, &feature].iter().zip(untouched) {
        untouched.assert_untouched(path);
    }
}

#[test]
fn a_submodule_whose_tree_is_no_tree_of_it_is_captured_without_one() {
    let sandbox = Sandbox::new();
    let repository = with_library(&sandbox);
    let other = sandbox.init("other");
    write(&other, "library.c", "of somebody else\n");
    sandbox.commit(&other, "other");
    let modules = repository.join(".git/modules/library");
    let way = repository.join("way");
    symlink(&repository, "way", other.as_os_str().as_encoded_bytes());
    fs::remove_dir_all(repository.join("library")).expect("removed");
    mkdir(&repository, "library");
    let absolute = other.to_str().expect("UTF-8");
    let ways = [
        absolute,
        "../../../../other",
        "../../../way",
        "../../../way/../other",
        way.to_str().expect("UTF-8"),
    ];
    for way in ways {
        set_worktree(&sandbox, &modules, way);
        sandbox.snapshot(&repository);
        let _said = sandbox.vault(&repository, &["drill"]).succeeded();
        let restored = sandbox.restore(&repository, "@latest", "work/copy");
        assert_harmless(&sandbox, &restored, ".git/modules/library");
        submodule(&sandbox, &restored, &["update", "--init"]);
        let text = fs::read(restored.join("library/library.c")).expect("checked out");
        assert_eq!(text, b"int library;\n");
        fs::remove_dir_all(&restored).expect("removed");
    }
}

#[test]
fn a_git_directory_that_was_moved_out_of_its_tree_is_captured_beside_a_stranger() {
    let sandbox = Sandbox::new();
    let repository = with_library(&sandbox);
    let bare = sandbox.path("work/bare.git");
    fs::rename(repository.join(".git"), &bare).expect("moved");
    sandbox.git(&bare, &["config", "core.bare", "true"]);
    // Beside it lies `library`, which is another repository; its submodule's setting now leads there.
    sandbox.snapshot(&bare);
    let restored = beside(&sandbox, &bare);
    assert_harmless(&sandbox, &restored, "modules/library");
}

#[test]
fn a_submodule_that_works_outside_is_refused_with_a_way_out() {
    let sandbox = Sandbox::new();
    let repository = with_library(&sandbox);
    let outside = sandbox.path("work/it's outside");
    fs::rename(repository.join("library"), &outside).expect("moved");
    let modules = repository.join(".git/modules/library");
    let text = format!("gitdir: {}\n", modules.display());
    write(&outside, ".git", text);
    set_worktree(&sandbox, &modules, outside.to_str().expect("UTF-8"));
    let said = sandbox.vault(&repository, &["snapshot"]);
    let said = said.refused("GV-2004");
    run_next(&sandbox, &repository, &said);
    sandbox.snapshot(&repository);
    let restored = beside(&sandbox, &repository);
    assert_harmless(&sandbox, &restored, ".git/modules/library");
}

/// Runs the commands of the lines `NEXT` in a shell.
#[track_caller]
fn run_next(sandbox: &Sandbox, directory: &Path, said: &Said) {
    let text = String::from_utf8_lossy(&[&said.stdout[..], &said.stderr[..]].concat()).into_owned();
    let mut count = 0;
    let mut heading = "";
    for line in text.lines() {
        heading = match line.split(' ').next() {
            Some("") | None => heading,
            Some(word) => word,
        };
        if heading != "NEXT" {
            continue;
        }
        let line = line.strip_prefix("NEXT").unwrap_or(line).trim();
        let command = line.split("      ").next().expect("a command");
        let command = command.replace(" DIR", " ../taken");
        let program = Path::new(env!("CARGO_BIN_EXE_git-vault"));
        let vault = format!("'{}'", program.display());
        let command = command.replace("git vault", &vault);
        let mut shell = sandbox.command("sh", directory);
        let output = shell.args(["-c", &command]).output().expect("it starts");
        assert!(output.status.success(), "{command}\n{said}\n{output:?}");
        count += 1;
    }
    assert!(count > 0, "{said}");
}

#[test]
fn what_restore_says_of_moving_a_worktree_works_in_a_shell() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    let add = ["worktree", "add", "--quiet", "-b", "f", "../a 'feature' $x"];
    sandbox.git(&repository, &add);
    sandbox.snapshot(&repository);
    let name = "it's a \"copy\" of $HOME; `x`";
    let destination = sandbox.path(name);
    let text = destination.to_str().expect("UTF-8");
    let said = sandbox.vault(&repository, &["restore", "@latest", text]);
    let said = said.succeeded();
    run_next(&sandbox, &destination, &said);
    let taken = sandbox.path("taken");
    assert_eq!(sandbox.git_text(&taken, &["branch", "--show-current"]), "f");
}

/// A bare repository `bare.git` with a linked worktree, as it lies in a working tree by a copy.
fn bare_with_worktree(sandbox: &Sandbox, place: &Path, name: &str) -> PathBuf {
    small_repository(sandbox);
    let clone = ["clone", "--quiet", "--bare", "../repository", name];
    sandbox.git(place, &clone);
    let bare = place.join(name);
    sandbox.git(
        &bare,
        &[
            "worktree",
            "add",
            "--quiet",
            "-b",
            "tried",
            "../../fixture-tree",
        ],
    );
    bare
}

/// What real git says of a copy is what it says of the source, and a drill agrees.
#[track_caller]
fn assert_same_status(sandbox: &Sandbox, repository: &Path, expected: &str) -> PathBuf {
    let arguments = ["status", "--porcelain", "--untracked-files=all"];
    assert_eq!(sandbox.git_text(repository, &arguments), expected);
    let untouched = Fingerprint::of(&sandbox.workplace());
    sandbox.snapshot(repository);
    let again = sandbox.vault(repository, &["snapshot"]).succeeded().text();
    assert!(again.starts_with("UNCHANGED"), "{again}");
    untouched.assert_untouched(&sandbox.workplace());
    let restored = assert_restores(sandbox, repository);
    sandbox.git(&restored, &["fsck", "--full"]);
    assert_eq!(sandbox.git_text(&restored, &arguments), expected);
    restored
}

#[test]
fn a_tracked_bare_repository_with_worktrees_is_files() {
    let sandbox = Sandbox::new();
    let project = sandbox.init("project");
    let bare = bare_with_worktree(&sandbox, &project, "fixture.git");
    write(&bare, "objects/KEEPME.txt", "tracked, too\n");
    write(&bare, "packed-refs.lock", "tracked, too\n");
    sandbox.commit(&project, "fixture");
    write(&bare, "objects/untracked.txt", "not yet tracked\n");
    let restored = assert_same_status(&sandbox, &project, "?? fixture.git/objects/untracked.txt");
    let copy = restored.join("fixture.git");
    sandbox.git(&copy, &["fsck", "--full"]);
    assert!(copy.join("objects/KEEPME.txt").exists());
}

#[test]
fn a_git_directory_becomes_files_when_it_is_tracked() {
    let sandbox = Sandbox::new();
    let project = sandbox.init("project");
    bare_with_worktree(&sandbox, &project, "fixture.git");
    // Not tracked yet: it is a repository of the workspace, and so it is known from then on.
    let said = sandbox.vault(&project, &["snapshot"]).succeeded().text();
    assert!(said.contains("1 more repository"), "{said}");
    sandbox.commit(&project, "fixture");
    assert_same_status(&sandbox, &project, "");
    // One in a nested repository, which tracks it.
    let nested = mkdir(&project, "a-nested");
    sandbox.git(&nested, &["init", "--quiet"]);
    let separate = [
        "init",
        "--quiet",
        "--separate-git-dir=../a-nested/z.git",
        "../a",
    ];
    sandbox.git(&nested, &separate);
    write(&project, "a/file.txt", "one\n");
    sandbox.commit(&project.join("a"), "one");
    sandbox.commit(&nested, "a store");
    sandbox.snapshot(&project);
    let restored = sandbox.restore(&project, "@latest", "with-nested");
    let status = ["status", "--porcelain", "--untracked-files=all"];
    assert_eq!(sandbox.git_text(&restored.join("a-nested"), &status), "");
}

#[test]
fn a_tracked_git_directory_under_another_name_is_files() {
    let sandbox = Sandbox::new();
    let project = sandbox.init("project");
    let fixture = mkdir(&project, "fixture");
    sandbox.git(&fixture, &["init", "--quiet"]);
    write(&fixture, "file.txt", "in the fixture\n");
    sandbox.commit(&fixture, "in the fixture");
    let add = ["worktree", "add", "--quiet", "--detach", "../../aside"];
    sandbox.git(&fixture, &add);
    fs::rename(fixture.join(".git"), fixture.join(".gitted")).expect("renamed");
    sandbox.commit(&project, "fixture");
    assert_same_status(&sandbox, &project, "");
}

#[test]
fn a_tracked_separate_git_directory_is_files() {
    let sandbox = Sandbox::new();
    let project = sandbox.init("project");
    let separate = ["init", "--quiet", "--separate-git-dir=store.git", "tree"];
    sandbox.git(&project, &separate);
    let tree = project.join("tree");
    write(&tree, "file.txt", "one\n");
    sandbox.commit(&tree, "one");
    sandbox.git(&project, &["add", "store.git"]);
    sandbox.git(&project, &["commit", "--quiet", "-m", "a store"]);
    let before = Fingerprint::of(&sandbox.workplace());
    let said = sandbox.vault(&project, &["snapshot"]).succeeded().text();
    assert!(
        said.contains("'worktree/tree' belongs to a repository"),
        "{said}"
    );
    before.assert_untouched(&sandbox.workplace());
    let restored = assert_restores(&sandbox, &project);
    let status = ["status", "--porcelain", "--untracked-files=no"];
    assert_eq!(sandbox.git_text(&restored, &status), "");
    sandbox.git(&restored.join("store.git"), &["fsck", "--full"]);
    let text = fs::read_to_string(restored.join("tree/file.txt")).expect("captured");
    assert_eq!(text, "one\n");
}

#[test]
fn a_repository_that_tracks_its_own_git_directory_is_refused() {
    let sandbox = Sandbox::new();
    let project = mkdir(&sandbox.workplace(), "project");
    let separate = ["init", "--quiet", "--separate-git-dir=store.git"];
    sandbox.git(&project, &separate);
    write(&project, "file.txt", "one\n");
    sandbox.git(&project, &["add", "file.txt"]);
    sandbox.git(&project, &["commit", "--quiet", "-m", "one"]);
    sandbox.snapshot(&project);
    sandbox.git(&project, &["add", "store.git/HEAD"]);
    let said = sandbox.vault(&project, &["snapshot"]);
    let said = said.refused("GV-2004");
    assert!(said.to_string().contains("store.git"), "{said}");
}

#[test]
fn what_is_no_object_in_an_object_store_is_named() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    let separate = ["init", "--quiet", "--separate-git-dir=store.git", "tree"];
    sandbox.git(&repository, &separate);
    for store in [".git", "store.git"] {
        let objects = repository.join(store).join("objects");
        for name in [
            "KEEPME.txt",
            "pack/notes",
            "info/mine",
            "ab/notes",
            "mine/deep",
        ] {
            write(&objects, name, "not an object\n");
        }
        // What git keeps there.
        for name in [
            "info/packs",
            "pack/pack-x.keep",
            "pack/tmp_pack_abcdef",
            "ab/tmp_obj_abcdef",
        ] {
            write(&objects, name, "");
        }
    }
    sandbox.git(&repository, &["repack", "-adq", "--write-bitmap-index"]);
    sandbox.git(&repository, &["commit-graph", "write", "--reachable"]);
    let said = sandbox.vault(&repository, &["snapshot"]).succeeded().text();
    for store in ["gitdir", "worktree/store.git"] {
        for name in ["KEEPME.txt", "pack/notes", "info/mine", "ab/notes", "mine"] {
            let named = format!("{store}/objects/{name}");
            assert!(said.contains(&named), "{named}\n{said}");
        }
    }
    for name in [
        "info/packs",
        ".keep",
        "tmp_",
        "commit-graph",
        ".bitmap",
        ".idx",
    ] {
        assert!(!said.contains(name), "{name}\n{said}");
    }
}

#[test]
fn a_directory_that_only_looks_like_a_git_directory_is_files() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    for (directory, head) in [("d", "x\n"), ("e", ""), ("f", "ref: heads/main\n")] {
        let directory = mkdir(&repository, directory);
        write(&directory, "HEAD", head);
        for name in ["objects/k", "refs/k", "worktrees/k"] {
            write(&directory, name, "an ordinary file\n");
        }
    }
    sandbox.commit(&repository, "lookalikes");
    write(&repository, "e/objects/untracked", "work\n");
    sandbox.git(&repository, &["rm", "-q", "--cached", "-r", "f"]);
    let expected = "D  f/HEAD\nD  f/objects/k\nD  f/refs/k\nD  f/worktrees/k\n?? e/objects/untracked\n\
                    ?? f/HEAD\n?? f/objects/k\n?? f/refs/k\n?? f/worktrees/k";
    assert_same_status(&sandbox, &repository, expected);
}

#[test]
fn nothing_is_restored_to_where_a_linked_worktree_was() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    let add = ["worktree", "add", "--quiet", "-b", "feature", "../feature"];
    sandbox.git(&repository, &add);
    let nested = mkdir(&repository, "nested");
    sandbox.git(&nested, &["init", "--quiet"]);
    write(&nested, "file.txt", "one\n");
    sandbox.commit(&nested, "one");
    sandbox.git(
        &nested,
        &["worktree", "add", "--quiet", "--detach", "../../of-nested"],
    );
    sandbox.snapshot(&repository);
    // One that came since, and one that its repository forgot since.
    sandbox.git(
        &repository,
        &["worktree", "add", "--quiet", "--detach", "../later"],
    );
    for name in ["feature", "of-nested", "later"] {
        fs::remove_dir_all(sandbox.path("work").join(name)).expect("removed");
    }
    symlink(&sandbox.workplace(), "link", ".");
    let before = Fingerprint::of(&sandbox.workplace());
    for name in [
        "feature",
        "of-nested",
        "later",
        "link/feature",
        "later/inside",
    ] {
        if name.ends_with("inside") {
            continue;
        }
        let path = sandbox.path("work").join(name);
        let path = path.to_str().expect("UTF-8");
        let said = sandbox.vault(&repository, &["restore", "@latest", path]);
        let _said = said.refused("GV-2102");
    }
    before.assert_untouched(&sandbox.workplace());
    sandbox.git(&repository, &["worktree", "prune"]);
    assert_eq!(
        sandbox
            .git_text(&repository, &["branch", "-D", "feature"])
            .lines()
            .count(),
        1
    );
    // When all is lost, it comes back to where it was.
    fs::rename(&repository, sandbox.path("lost")).expect("lost");
    let vault = only_vault(&sandbox);
    let vault = vault.to_str().expect("UTF-8");
    let path = repository.to_str().expect("UTF-8");
    let arguments = ["--vault", vault, "restore", "@latest", path];
    let _said = sandbox.vault(&sandbox.home(), &arguments).succeeded();
}

#[test]
fn nothing_is_restored_into_a_git_directory_of_another_repository() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    sandbox.snapshot(&repository);
    let other = sandbox.init("other");
    write(&other, "file.txt", "one\n");
    sandbox.commit(&other, "other");
    sandbox.git(
        &other,
        &["worktree", "add", "--quiet", "--detach", "../aside"],
    );
    sandbox.git(&other, &["init", "--quiet", "--bare", "bare"]);
    let before = Fingerprint::of(&sandbox.workplace());
    for place in [
        "other/.git/restored",
        "other/.git/refs/restored",
        "other/.git/worktrees/aside/restored",
        "other/bare/restored",
    ] {
        let path = sandbox.path("work").join(place);
        let path = path.to_str().expect("UTF-8");
        let said = sandbox.vault(&repository, &["restore", "@latest", path]);
        let said = said.refused("GV-2102");
        assert!(said.to_string().contains("git directory"), "{said}");
    }
    before.assert_untouched(&sandbox.workplace());
    sandbox.git(&other, &["fsck", "--full"]);
    sandbox.restore(&repository, "@latest", "work/other/restored");
}
