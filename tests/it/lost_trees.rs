//! Working trees and repositories that were moved, copied or shut away so that they do not find each other: refused by name, or
//! captured and said; never passed over.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::several_trees::{assert_points_nowhere_else, assert_restores};
use crate::support::files::{append, mkdir, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::states::small_repository;
use crate::support::{Said, Sandbox};

/// A repository with a linked worktree beside it, with work in it.
fn with_feature(sandbox: &Sandbox) -> (PathBuf, PathBuf) {
    let repository = small_repository(sandbox);
    sandbox.git(&repository, &["worktree", "add", "--quiet", "../feature"]);
    let feature = sandbox.path("work/feature");
    write(&feature, "untracked.txt", "only there\n");
    (repository, feature)
}

fn moved(path: &Path, name: &str) -> PathBuf {
    let moved = path.with_file_name(name);
    fs::rename(path, &moved).expect("moved");
    moved
}

/// A refusal of GV-2004 that names a path and a command.
#[track_caller]
fn assert_refused(sandbox: &Sandbox, directory: &Path, named: &Path, command: &str) -> Said {
    let before = Fingerprint::of(&sandbox.workplace());
    let said = sandbox.vault(directory, &["snapshot"]).refused("GV-2004");
    let text = said.to_string();
    assert!(text.contains(named.to_str().expect("UTF-8")), "{text}");
    assert!(text.contains(command), "{text}");
    before.assert_untouched(&sandbox.workplace());
    said
}

/// Builds a workspace and captures it as a user whom modes keep out; then shuts something, and wants that refused by its name.
/// Says so and does nothing where nobody can become such a user.
#[track_caller]
fn assert_shut_is_refused(build: fn(&Sandbox, &Path), shut: &str) {
    let id = Command::new("id").arg("-u").output().expect("id starts");
    let is_root = id.stdout == b"0\n";
    let can_change = Command::new("setpriv").arg("--version").output();
    if is_root && !can_change.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: root needs setpriv to become somebody whom modes keep out");
        return;
    }
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    build(&sandbox, &repository);
    let program = sandbox.path("git-vault");
    crate::support::files::copy_program(&program);
    if is_root {
        let mut give = sandbox.command("chown", Path::new("/"));
        let give = give.args(["-R", "--no-dereference", "65534:65534"]);
        let given = give.arg(sandbox.path("")).output().expect("chown starts");
        assert!(given.status.success());
    }
    let snapshot = |label: String| {
        let mut command = sandbox.command("setpriv", &repository);
        let change = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        command.args(change).arg(&program);
        if !is_root {
            command = sandbox.command(&program, &repository);
        }
        Said::new(label, command.arg("snapshot").output().expect("it starts"))
    };
    let set = |mode: &str| {
        let mut set = sandbox.command("chmod", Path::new("/"));
        let set = set.arg(mode).arg(sandbox.path(shut)).output();
        assert!(set.expect("chmod starts").status.success());
    };
    let _said = snapshot("snapshot".to_owned()).succeeded();
    set("000");
    let said = snapshot(format!("snapshot, {shut}"));
    set("755");
    let said = said.refused("GV-2001");
    assert!(said.to_string().contains(shut), "{said}");
}

#[test]
fn a_linked_worktree_that_cannot_be_read_is_not_taken_for_one_that_is_gone() {
    fn build(sandbox: &Sandbox, repository: &Path) {
        mkdir(&sandbox.workplace(), "far");
        let add = ["worktree", "add", "--quiet", "../far/feature"];
        sandbox.git(repository, &add);
        write(&sandbox.path("work/far/feature"), "new", "only there\n");
    }
    for shut in ["work/far/feature/.git", "work/far/feature", "work/far"] {
        assert_shut_is_refused(build, shut);
    }
}

#[test]
fn a_repository_in_an_ignored_directory_that_cannot_be_read_is_not_taken_for_one_that_is_gone() {
    fn build(sandbox: &Sandbox, repository: &Path) {
        write(repository, ".gitignore", "ignored/\n");
        sandbox.git(repository, &["init", "--quiet", "ignored/nested"]);
        write(repository, "ignored/nested/work", "only there\n");
    }
    for shut in ["ignored/nested/.git", "ignored/nested", "ignored"] {
        assert_shut_is_refused(build, &format!("work/repository/{shut}"));
    }
}

#[test]
fn a_linked_worktree_whose_repository_was_moved_is_not_taken_for_one_that_is_gone() {
    let sandbox = Sandbox::new();
    let (repository, feature) = with_feature(&sandbox);
    let repository = moved(&repository, "renamed");
    let said = assert_refused(&sandbox, &repository, &feature, "worktree repair");
    assert!(!said.to_string().contains("prune"), "{said}");
    sandbox.git(&repository, &["worktree", "repair"]);
    sandbox.snapshot(&repository);
    let restored = assert_restores(&sandbox, &repository);
    assert!(restored.join(".git/linked-feature/untracked.txt").exists());

    fs::remove_file(feature.join(".git")).expect("removed");
    let _said = assert_refused(&sandbox, &repository, &feature, "worktree repair");
    let _said = assert_refused(&sandbox, &repository, &feature, "worktree prune");
    sandbox.git(&repository, &["worktree", "repair"]);
    let _said = sandbox.vault(&repository, &["snapshot"]).succeeded();
    fs::remove_file(feature.join(".git")).expect("removed");
    sandbox.git(&repository, &["worktree", "prune"]);
    sandbox.snapshot(&repository);
}

#[test]
fn what_lies_where_a_linked_worktree_was_is_said() {
    let sandbox = Sandbox::new();
    let (repository, feature) = with_feature(&sandbox);
    let copy = sandbox.copy(&repository, "work/copy");
    let said = sandbox.vault(&copy, &["snapshot"]).succeeded().text();
    let owner = repository.join(".git/worktrees/feature");
    let words = format!("belongs to '{}' now", owner.display());
    assert!(said.contains(&words), "{said}");
    assert!(!said.contains("was not there"), "{said}");

    fs::remove_dir_all(&feature).expect("removed");
    for make in [
        |path: &Path| fs::create_dir(path),
        |path: &Path| fs::remove_dir(path).and_then(|()| fs::write(path, "a file")),
    ] {
        make(&feature).expect("made");
        write(&repository, "more.txt", format!("{:?}", feature.metadata()));
        let said = sandbox.vault(&repository, &["snapshot"]).succeeded().text();
        assert!(said.contains("'feature' was not there"), "{said}");
    }
}

/// A repository with a linked worktree in an ignored directory, with work in it.
fn with_ignored(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    write(&repository, ".gitignore", ".worktrees/\n");
    sandbox.commit(&repository, "ignored");
    let add = ["worktree", "add", "--quiet", ".worktrees/feature"];
    sandbox.git(&repository, &add);
    let feature = repository.join(".worktrees/feature");
    append(&feature, "README.md", "staged there\n");
    sandbox.git(&feature, &["add", "README.md"]);
    write(&feature, "new", "only there\n");
    repository
}

#[test]
fn linked_worktrees_that_were_moved_with_their_repository_are_captured() {
    let sandbox = Sandbox::new();
    let repository = moved(&with_ignored(&sandbox), "renamed");
    let feature = repository.join(".worktrees/feature");
    let _said = assert_refused(&sandbox, &feature, &feature, "worktree repair");
    sandbox.snapshot(&repository);
    let restored = assert_restores(&sandbox, &repository);
    assert_points_nowhere_else(&sandbox, &restored, &sandbox.workplace());
    let status = ["status", "--porcelain"];
    let status = sandbox.git_text(&restored.join(".worktrees/feature"), &status);
    assert_eq!(status, "M  README.md\n?? new");
}

#[test]
fn linked_worktrees_that_were_moved_with_a_directory_around_are_not_taken_for_gone() {
    let sandbox = Sandbox::new();
    let project = mkdir(&sandbox.workplace(), "project");
    let repository = mkdir(&project, "main");
    sandbox.git(&repository, &["init", "--quiet"]);
    write(&repository, ".gitignore", ".claude/\n");
    sandbox.commit(&repository, "one");
    let beside = ["worktree", "add", "--quiet", "-b", "beside", "../beside"];
    sandbox.git(&repository, &beside);
    let inside = ["worktree", "add", "--quiet", "-b", "in", ".claude/deep/in"];
    sandbox.git(&repository, &inside);
    write(&project, "beside/work", "precious\n");
    write(&repository, ".claude/deep/in/work", "precious\n");
    sandbox.snapshot(&repository);
    let project = moved(&project, "renamed");
    let repository = project.join("main");
    for (name, arguments) in [("beside", "../beside"), ("in", ".claude/deep/in")] {
        let tree = repository
            .join(arguments)
            .canonicalize()
            .expect("it is there");
        let _said = assert_refused(&sandbox, &repository, &tree, "worktree repair '");
        sandbox.git(
            &repository,
            &["worktree", "repair", tree.to_str().expect(name)],
        );
    }
    sandbox.snapshot(&repository);
    let restored = assert_restores(&sandbox, &repository);
    let work = restored.join(".git/linked-beside/work");
    assert!(work.exists(), "{}", work.display());
    assert!(restored.join(".claude/deep/in/work").exists());
}

#[test]
fn linked_worktrees_that_were_copied_with_their_repository_are_captured_as_files() {
    let sandbox = Sandbox::new();
    let repository = with_ignored(&sandbox);
    let copy = sandbox.copy(&repository, "work/copy");
    let said = sandbox.vault(&copy, &["snapshot"]).succeeded().text();
    assert!(!said.contains("worktree repair"), "{said}");
    let restored = assert_restores(&sandbox, &copy);
    assert!(restored.join(".worktrees/feature/new").exists());
    assert!(!restored.join(".worktrees/feature/.git").exists());
}

#[test]
fn a_working_tree_that_lost_its_repository_is_not_taken_for_files_of_the_one_around() {
    let sandbox = Sandbox::new();
    let (repository, feature) = with_feature(&sandbox);
    let outer = mkdir(&sandbox.workplace(), "outer");
    sandbox.git(&outer, &["init", "--quiet"]);
    write(&outer, ".gitignore", "*\n");
    let inner = outer.join("feature");
    fs::rename(&feature, &inner).expect("moved");
    fs::remove_dir_all(&repository).expect("removed");
    let deep = mkdir(&inner, "deep");
    let _said = assert_refused(&sandbox, &deep, &inner, "worktree repair");
}

#[test]
fn stray_files_among_git_directories_are_files() {
    let sandbox = Sandbox::new();
    let (repository, _feature) = with_feature(&sandbox);
    write(&repository, ".git/worktrees/.DS_Store", "stray\n");
    write(&repository, ".git/worktrees/feature/modules", "stray\n");
    write(&repository, ".git/modules", "stray\n");
    sandbox.snapshot(&repository);
    let restored = assert_restores(&sandbox, &repository);
    for stray in [
        "worktrees/.DS_Store",
        "worktrees/feature/modules",
        "modules",
    ] {
        assert!(restored.join(".git").join(stray).is_file(), "{stray}");
    }
}

#[test]
fn a_submodule_that_was_moved_by_hand_is_not_said_to_belong_elsewhere() {
    let sandbox = Sandbox::new();
    let library = sandbox.init("library");
    write(&library, "lib.c", "int lib;\n");
    sandbox.commit(&library, "library");
    let repository = small_repository(&sandbox);
    let add = ["-c", "protocol.file.allow=always", "submodule", "add"];
    let what = ["--quiet", "../library", "library"];
    sandbox.git(&repository, &[&add[..], &what].concat());
    sandbox.commit(&repository, "submodule");
    let elsewhere = moved(&repository.join("library"), "elsewhere");
    write(&elsewhere, "new", "only there\n");
    let said = sandbox.vault(&repository, &["snapshot"]).succeeded().text();
    assert!(!said.contains("its history was not"), "{said}");
    assert!(said.contains("has its working tree elsewhere"), "{said}");
    let restored = assert_restores(&sandbox, &repository);
    assert!(restored.join("elsewhere/new").exists());
}

#[test]
fn a_directory_whose_repository_works_elsewhere_is_not_taken_for_its_working_tree() {
    let sandbox = Sandbox::new();
    let library = sandbox.init("library");
    write(&library, "lib.c", "int lib;\n");
    sandbox.commit(&library, "library");
    let repository = small_repository(&sandbox);
    let allow = ["-c", "protocol.file.allow=always", "submodule"];
    let add = ["add", "--quiet", "../library", "library"];
    sandbox.git(&repository, &[&allow[..], &add].concat());
    sandbox.commit(&repository, "submodule");
    let old = moved(&repository.join("library"), "old");
    write(&old, "new", "only there\n");
    let update = ["update", "--quiet", "--init"];
    sandbox.git(&repository, &[&allow[..], &update].concat());
    let used = repository.join("library");
    let said = assert_refused(&sandbox, &old, &used, "git vault -C");
    assert!(!said.to_string().contains("unset"), "{said}");
    sandbox.snapshot(&used);

    let own = repository.to_str().expect("UTF-8");
    sandbox.git(&repository, &["config", "core.worktree", own]);
    let copy = sandbox.copy(&repository, "work/copy");
    let deep = mkdir(&copy, "deep");
    let _said = assert_refused(&sandbox, &deep, &copy, "--unset-all core.worktree");
    sandbox.git(
        &copy,
        &[
            "config",
            "--file",
            ".git/config",
            "--unset-all",
            "core.worktree",
        ],
    );
    sandbox.snapshot(&copy);

    sandbox.git(&repository, &["config", "core.worktree", "/not/there"]);
    let _said = assert_refused(
        &sandbox,
        &repository,
        Path::new("/not/there"),
        "git -C / config",
    );
    let config = repository.join(".git/config");
    let config = config.to_str().expect("UTF-8");
    sandbox.git(
        Path::new("/"),
        &["config", "--file", config, "core.worktree", own],
    );
    let unheeded = "[core]\n\tworktree = /not/there\n";
    write(&repository, ".git/config.worktree", unheeded);
    sandbox.snapshot(&repository);
}

#[test]
fn a_store_that_has_a_working_tree_is_not_taken_for_a_bare_repository() {
    let sandbox = Sandbox::new();
    let place = sandbox.workplace();
    sandbox.git(
        &place,
        &["init", "--quiet", "--separate-git-dir=store", "tree"],
    );
    let (store, tree) = (place.join("store"), place.join("tree"));
    write(&tree, "new", "only there\n");
    sandbox.commit(&tree, "first");
    let _said = assert_refused(&sandbox, &store, &store, "git vault -C");
    sandbox.git(&tree, &["worktree", "add", "--quiet", "../linked"]);
    let _said = assert_refused(&sandbox, &place.join("linked"), &store, "git vault -C");
    sandbox.snapshot(&tree);

    sandbox.git(&place, &["clone", "--quiet", "--bare", "tree", "bare"]);
    sandbox.snapshot(&place.join("bare"));
    let project = mkdir(&place, "project");
    let tree = tree.to_str().expect("UTF-8");
    sandbox.git(&project, &["clone", "--quiet", "--bare", tree, ".bare"]);
    write(&project, ".git", "gitdir: ./.bare\n");
    sandbox.git(&project, &["worktree", "add", "--quiet", "side"]);
    sandbox.snapshot(&project);
}

#[test]
fn a_repository_that_broke_since_the_last_snapshot_can_be_left_out() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    sandbox.git(&repository, &["init", "--quiet", "nested"]);
    sandbox.snapshot(&repository);
    let version = ["config", "core.repositoryFormatVersion", "99"];
    sandbox.git(&repository.join("nested"), &version);
    let _said = sandbox.vault(&repository, &["snapshot"]).refused("GV-2003");
    sandbox.git(&repository, &["config", "vault.exclude", "/nested/"]);
    sandbox.snapshot(&repository);
    let restored = assert_restores(&sandbox, &repository);
    assert!(!restored.join("nested").exists());
}
