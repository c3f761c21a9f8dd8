//! Working trees that lie elsewhere than their repository, or git, looks for them: found, or refused; never passed over.

use std::fs;
use std::path::{Path, PathBuf};

use crate::several_trees::{assert_points_nowhere_else, assert_restores};
use crate::support::Sandbox;
use crate::support::files::{append, mkdir, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::states::small_repository;

/// A repository with a linked worktree `feature`, with work in it.
fn with_feature(sandbox: &Sandbox, place: &str) -> (PathBuf, PathBuf) {
    let repository = small_repository(sandbox);
    sandbox.git(
        &repository,
        &["worktree", "add", "--quiet", "-b", "feature", place],
    );
    let feature = repository.join(place).canonicalize().expect("there");
    write(&feature, "untracked.txt", "only there\n");
    (repository, feature)
}

#[test]
fn a_linked_worktree_that_its_repository_does_not_know_is_not_passed_over() {
    let sandbox = Sandbox::new();
    let (repository, feature) = with_feature(&sandbox, "../feature");
    let moved = feature.with_file_name("moved");
    fs::rename(&feature, &moved).expect("moved");
    let said = sandbox.vault(&moved, &["snapshot"]).refused("GV-2004");
    assert!(said.to_string().contains("worktree repair"), "{said}");
    sandbox.git(&moved, &["worktree", "repair", "."]);
    sandbox.snapshot(&moved);
    let restored = assert_restores(&sandbox, &repository);
    assert!(restored.join(".git/linked-feature/untracked.txt").exists());

    let feature = sandbox.copy(&moved, "work/feature");
    let said = sandbox.vault(&feature, &["snapshot"]).refused("GV-2004");
    assert!(!said.to_string().contains("repair"), "{said}");
    let _unchanged = sandbox.vault(&moved, &["snapshot"]).succeeded();
    fs::remove_file(repository.join(".git/worktrees/feature/gitdir")).expect("removed");
    let _said = sandbox.vault(&feature, &["snapshot"]).refused("GV-2004");
}

#[test]
fn a_linked_worktree_that_was_moved_inside_the_tree_is_found() {
    let sandbox = Sandbox::new();
    let (repository, feature) = with_feature(&sandbox, "trees/feature");
    write(&repository, ".gitignore", "/trees/\n");
    append(&feature, "README.md", "staged there\n");
    sandbox.git(&feature, &["add", "README.md"]);
    let moved = feature.with_file_name("moved");
    fs::rename(&feature, &moved).expect("moved");
    sandbox.snapshot(&moved);
    let restored = assert_restores(&sandbox, &repository);
    assert_points_nowhere_else(&sandbox, &restored, &sandbox.workplace());
    let status = sandbox.git_text(&restored.join("trees/moved"), &["status", "--porcelain"]);
    assert_eq!(status, "M  README.md\n?? untracked.txt");
}

#[test]
fn ignore_settings_of_one_working_tree_do_not_hold_in_another() {
    let sandbox = Sandbox::new();
    let (repository, feature) = with_feature(&sandbox, "../feature");
    let rules = sandbox.path("work/rules");
    fs::write(&rules, "untracked.txt\n").expect("written");
    let rules = rules.to_str().expect("UTF-8");
    write(&repository, "untracked.txt", "ignored here\n");
    sandbox.git(
        &repository,
        &["config", "extensions.worktreeConfig", "true"],
    );
    let own = ["config", "--worktree", "core.excludesFile", rules];
    sandbox.git(&repository, &own);
    sandbox.snapshot(&repository);
    let first = sandbox.restore(&repository, "@latest", "first");
    assert!(first.join(".git/linked-feature/untracked.txt").exists());
    assert!(!first.join("untracked.txt").exists());

    sandbox.git(
        &repository,
        &["config", "--worktree", "--unset", "core.excludesFile"],
    );
    sandbox.git(&feature, &own);
    sandbox.snapshot(&feature);
    let second = sandbox.restore(&repository, "@latest", "second");
    assert!(!second.join(".git/linked-feature/untracked.txt").exists());
    assert!(second.join("untracked.txt").exists());
}

#[test]
fn a_working_tree_that_git_is_told_to_look_for_elsewhere_is_not_passed_over() {
    let sandbox = Sandbox::new();
    let (repository, feature) = with_feature(&sandbox, "../feature");
    let other = mkdir(&sandbox.workplace(), "other");
    let other = other.to_str().expect("UTF-8");
    sandbox.git(&repository, &["init", "--quiet", "nested"]);
    let nested = repository.join("nested");
    let set = ["config", "core.worktree", other];
    sandbox.git(&nested, &set);
    let said = sandbox.vault(&repository, &["snapshot"]).refused("GV-2004");
    assert!(said.to_string().contains("nested/.git"), "{said}");
    fs::remove_dir_all(&nested).expect("removed");
    sandbox.git(
        &repository,
        &["config", "extensions.worktreeConfig", "true"],
    );
    sandbox.git(&feature, &["config", "--worktree", "core.worktree", other]);
    let _said = sandbox.vault(&repository, &["snapshot"]).refused("GV-2004");
    let feature = feature.to_str().expect("UTF-8");
    let admin = repository.join(".git/worktrees/feature");
    let file = [
        "config",
        "--file",
        "config.worktree",
        "core.worktree",
        feature,
    ];
    sandbox.git(&admin, &file);
    sandbox.snapshot(&repository);
}

#[test]
fn a_working_tree_that_was_not_captured_is_not_looked_for_in_the_original() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    mkdir(&repository, ".git/modules");
    let separate = [
        "init",
        "--quiet",
        "--separate-git-dir",
        ".git/modules/library",
        "library",
    ];
    sandbox.git(&repository, &separate);
    let library = repository.join("library");
    let set = ["config", "core.worktree", library.to_str().expect("UTF-8")];
    sandbox.git(&library, &set);
    write(&library, "file", "the original\n");
    sandbox.git(&repository, &["config", "vault.exclude", "/library/"]);
    sandbox.snapshot(&repository);
    let before = Fingerprint::of(&repository);
    let restored = assert_restores(&sandbox, &repository);
    assert_points_nowhere_else(&sandbox, &restored, &sandbox.workplace());
    let admin = restored.join(".git/modules/library");
    let top = sandbox.git_text(&admin, &["config", "--file", "config", "core.worktree"]);
    assert_eq!(Path::new(&top), restored.join("library"));
    mkdir(&restored, "library");
    sandbox.git(&admin, &["--git-dir", ".", "clean", "-fdqx"]);
    before.assert_untouched(&repository);
}

#[test]
fn linked_worktrees_of_a_bare_repository_in_the_tree_belong_to_the_workspace() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    write(&repository, ".gitignore", "*.log\n");
    sandbox.git(
        &repository,
        &["clone", "--quiet", "--bare", ".", "served/bare"],
    );
    let bare = repository.join("served/bare");
    let add = |name: &str, path: &str| {
        sandbox.git(&bare, &["worktree", "add", "--quiet", "-b", name, path]);
        let tree = bare.join(path).canonicalize().expect("there");
        write(&tree, "kept.log", "tracked\n");
        sandbox.git(&tree, &["add", "--force", "kept.log"]);
        sandbox.commit(&tree, "tracked");
        append(&tree, "kept.log", "edited\n");
        tree
    };
    let outside = add("outside", "../../../outside");
    let inside = add("inside", "../../inside");
    let before = [&outside, &inside, &bare].map(|path| (path, Fingerprint::of(path)));
    sandbox.snapshot(&repository);
    let restored = assert_restores(&sandbox, &repository);
    assert_points_nowhere_else(&sandbox, &restored, &sandbox.workplace());
    let bare = restored.join("served/bare");
    sandbox.git(&bare, &["worktree", "repair"]);
    for tree in [bare.join("linked-outside"), restored.join("inside")] {
        let status = sandbox.git_text(&tree, &["status", "--porcelain"]);
        assert_eq!(status, " M kept.log");
        sandbox.git(
            &bare,
            &[
                "worktree",
                "remove",
                "--force",
                tree.to_str().expect("UTF-8"),
            ],
        );
    }
    for (path, before) in before {
        before.assert_untouched(path);
    }
    let said = sandbox.vault(&repository, &["snapshot"]).succeeded();
    assert!(said.text().starts_with("UNCHANGED"), "{said}");
}

#[test]
fn a_git_directory_where_a_pattern_leaves_things_out_is_kept_with_its_tree() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    let stores = mkdir(&repository, "stores");
    write(&stores, "other", "left out\n");
    let separate = [
        "init",
        "--quiet",
        "--separate-git-dir",
        "stores/library",
        "library",
    ];
    sandbox.git(&repository, &separate);
    let library = repository.join("library");
    write(&library, "staged", "only there\n");
    sandbox.git(&library, &["add", "staged"]);
    sandbox.git(&repository, &["config", "vault.exclude", "/stores/"]);
    sandbox.snapshot(&repository);
    let restored = assert_restores(&sandbox, &repository);
    let status = sandbox.git_text(&restored.join("library"), &["status", "--porcelain"]);
    assert_eq!(status, "A  staged");
    assert!(!restored.join("stores/other").exists());
}

#[test]
fn nothing_is_restored_into_a_linked_worktree_that_came_since() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    sandbox.snapshot(&repository);
    sandbox.git(
        &repository,
        &["worktree", "add", "--quiet", "--detach", "../later"],
    );
    let later = sandbox.path("work/later");
    let before = Fingerprint::of(&later);
    let inside = later.join("restored");
    let inside = inside.to_str().expect("UTF-8");
    for directory in [&repository, &later] {
        let said = sandbox.vault(directory, &["restore", "@latest", inside]);
        let _said = said.refused("GV-2102");
    }
    before.assert_untouched(&later);
}
