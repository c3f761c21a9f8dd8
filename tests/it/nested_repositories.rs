//! Repositories inside a working tree, and git directories in odd places, are part of the snapshot of the workspace they lie in.

use std::fs;
use std::path::Path;

use crate::several_trees::{
    assert_points_nowhere_else, assert_restores, assert_round_trip, with_submodules,
};
use crate::support::files::{append, mkdir, remove, symlink, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::states::small_repository;
use crate::support::{Kind, RepoState, Said, Sandbox};

#[test]
fn repositories_inside_the_tree() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    let nested = mkdir(&repository, "vendor/nested");
    sandbox.git(&nested, &["init", "--quiet"]);
    write(&nested, ".gitignore", "*.log\n");
    write(&nested, "kept.txt", "kept\n");
    sandbox.commit(&nested, "nested");
    append(&nested, "kept.txt", "edited\n");
    write(&nested, "untracked.txt", "untracked\n");
    write(&nested, "build.log", "left out by its own rules\n");
    let inside = mkdir(&nested, "inside");
    sandbox.git(&inside, &["init", "--quiet"]);
    write(
        &inside,
        "inside.txt",
        "a repository in a repository in a repository\n",
    );
    sandbox.commit(&inside, "inside");
    let unborn = mkdir(&repository, "unborn");
    sandbox.git(&unborn, &["init", "--quiet"]);
    write(&unborn, "never.txt", "never committed\n");
    sandbox.git(&repository, &["init", "--quiet", "--bare", "bare.git"]);
    sandbox.git(&nested, &["push", "--quiet", "../../bare.git", "main"]);
    sandbox.git(
        &nested,
        &[
            "worktree",
            "add",
            "--quiet",
            "-b",
            "aside",
            "../../../aside",
        ],
    );
    append(
        &sandbox.path("work/aside"),
        "kept.txt",
        "in a worktree of a nested one\n",
    );
    let trees = [
        ("repository", ""),
        ("repository/vendor/nested", "vendor/nested"),
        ("repository/vendor/nested/inside", "vendor/nested/inside"),
        ("repository/unborn", "unborn"),
        ("aside", "vendor/nested/.git/linked-aside"),
    ];
    let restored = assert_round_trip(&sandbox, &repository, &trees);
    assert!(!restored.join("vendor/nested/build.log").exists());
    // Once more, with a linked worktree in the git directory of a nested repository.
    let aside = restored.join("vendor/nested/.git/linked-aside");
    let before = RepoState::capture(&sandbox, &aside, Kind::Workspace);
    let id = sandbox.snapshot(&restored);
    let _said = sandbox.vault(&restored, &["drill"]).succeeded();
    let twice = sandbox.restore(&restored, &id, "twice");
    let aside = twice.join("vendor/nested/.git/linked-aside");
    let found = RepoState::capture(&sandbox, &aside, Kind::Workspace);
    RepoState::assert_same_workspace(&before.without_ignored(), &found);
    assert_points_nowhere_else(&sandbox, &twice, &restored);
    let main = sandbox.git_text(&restored.join("bare.git"), &["rev-parse", "main"]);
    assert_eq!(main, sandbox.git_text(&nested, &["rev-parse", "main"]));
}

#[test]
fn repositories_in_ignored_directories() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    write(&repository, ".gitignore", "/repos/\n/lone/\n/build/\n");
    write(&repository, "build/out.o", "left out\n");
    for name in ["repos/one", "repos/two", "lone"] {
        let nested = mkdir(&repository, name);
        sandbox.git(&nested, &["init", "--quiet"]);
        write(&nested, "work.txt", "work\n");
        sandbox.commit(&nested, "work");
        append(&nested, "work.txt", "edited\n");
    }
    write(
        &repository,
        "repos/notes.txt",
        "ignored, and not in a repository\n",
    );
    let trees = [
        ("repository", ""),
        ("repository/repos/one", "repos/one"),
        ("repository/repos/two", "repos/two"),
        ("repository/lone", "lone"),
    ];
    let restored = assert_round_trip(&sandbox, &repository, &trees);
    assert!(!restored.join("repos/notes.txt").exists());
    assert!(!restored.join("build").exists());
}

#[test]
fn a_tree_of_a_repository_outside_is_kept_as_files() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    let other = sandbox.init("other");
    write(&other, "other.txt", "of another repository\n");
    sandbox.commit(&other, "other");
    sandbox.git(
        &other,
        &[
            "worktree",
            "add",
            "--quiet",
            "-b",
            "away",
            "../repository/away",
        ],
    );
    append(&repository.join("away"), "other.txt", "edited\n");
    let untouched = Fingerprint::of(&sandbox.workplace());
    let said = sandbox.vault(&repository, &["snapshot"]).succeeded().text();
    assert!(
        said.contains("'worktree/away' belongs to a repository outside"),
        "{said}"
    );
    let _said = sandbox.vault(&repository, &["drill"]).succeeded();
    let said = sandbox.vault(&repository, &["restore", "@latest", &destination(&sandbox)]);
    let said = said.succeeded().text();
    assert!(said.contains("away/.git"), "{said}");
    let restored = sandbox.path("restored");
    assert!(
        !restored.join("away/.git").exists(),
        "the pointer is not followed"
    );
    let text = fs::read_to_string(restored.join("away/other.txt")).expect("the files are there");
    assert_eq!(text, "of another repository\nedited\n");
    untouched.assert_untouched(&sandbox.workplace());
}

#[test]
fn git_directories_in_odd_places_are_captured_once() {
    let sandbox = Sandbox::new();
    let place = sandbox.workplace();
    // A git directory in the tree under another name, with its tree beside it.
    let repository = small_repository(&sandbox);
    sandbox.git(
        &repository,
        &["init", "--quiet", "--separate-git-dir=store.git", "tree"],
    );
    let tree = repository.join("tree");
    write(&tree, "file.txt", "one\n");
    sandbox.commit(&tree, "one");
    append(&tree, "file.txt", "edited\n");
    let trees = [("repository", ""), ("repository/tree", "tree")];
    let git_dir = fs::read_to_string(tree.join(".git")).expect("a file");
    assert!(git_dir.contains("store.git"), "{git_dir}");
    sandbox.snapshot(&repository);
    let restored = assert_restores(&sandbox, &repository);
    assert_points_nowhere_else(&sandbox, &restored, &place);
    let before = sandbox.git_text(&tree, &["status", "--porcelain"]);
    let copy = restored.join("tree");
    assert_eq!(sandbox.git_text(&copy, &["status", "--porcelain"]), before);
    sandbox.git(&copy, &["fsck", "--full"]);
    let found = sandbox.git_text(&copy, &["rev-parse", "--absolute-git-dir"]);
    assert_eq!(Path::new(&found), restored.join("store.git"));
    assert_eq!(trees.len(), 2);
}

#[test]
fn a_working_tree_around_its_own_git_directory() {
    let sandbox = Sandbox::new();
    let around = mkdir(&sandbox.workplace(), "around");
    let repository = mkdir(&around, "inside");
    sandbox.git(&repository, &["init", "--quiet"]);
    sandbox.git(&repository, &["config", "core.worktree", "../.."]);
    write(&around, "above.txt", "above\n");
    write(&repository, "within.txt", "within\n");
    sandbox.git(&repository, &["add", "--all", ":/"]);
    sandbox.git(&repository, &["commit", "--quiet", "-m", "around"]);
    append(&around, "above.txt", "edited\n");
    let before = sandbox.git_text(&repository, &["status", "--porcelain"]);
    sandbox.snapshot(&repository);
    let restored = assert_restores(&sandbox, &repository);
    assert_eq!(
        sandbox.git_text(&restored, &["status", "--porcelain"]),
        before
    );
    assert!(restored.join(".git").is_dir());
    assert!(!restored.join("inside/.git").exists());
}

#[test]
fn a_working_tree_named_by_a_setting() {
    let sandbox = Sandbox::new();
    let tree = mkdir(&sandbox.workplace(), "files");
    let git_dir = sandbox.workplace().join("files.git");
    let tree_text = tree.to_str().expect("UTF-8");
    sandbox.git(&sandbox.workplace(), &["init", "--quiet", "files.git"]);
    fs::rename(git_dir.join(".git"), sandbox.path("work/kept.git")).expect("moved");
    fs::remove_dir(&git_dir).expect("removed");
    let git_dir = sandbox.path("work/kept.git");
    sandbox.git(
        &git_dir,
        &["config", "--file", "config", "core.worktree", tree_text],
    );
    write(&tree, "profile", "export A=1\n");
    sandbox.git(&git_dir, &["add", "--all"]);
    sandbox.git(&git_dir, &["commit", "--quiet", "-m", "files"]);
    append(&tree, "profile", "export B=2\n");
    let before = sandbox.git_text(&git_dir, &["status", "--porcelain"]);
    sandbox.snapshot(&git_dir);
    let restored = assert_restores(&sandbox, &git_dir);
    assert_eq!(
        sandbox.git_text(&restored, &["status", "--porcelain"]),
        before
    );
    let top = sandbox.git_text(&restored, &["rev-parse", "--show-toplevel"]);
    assert_eq!(Path::new(&top), restored);
}

#[test]
fn a_nested_repository_that_comes_changes_moves_and_goes() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    sandbox.snapshot(&repository);
    let nested = mkdir(&repository, "nested");
    sandbox.git(&nested, &["init", "--quiet"]);
    write(&nested, "file.txt", "one\n");
    sandbox.commit(&nested, "one");
    sandbox.snapshot(&repository);
    let first = sandbox.git_text(&nested, &["rev-parse", "HEAD"]);
    write(&nested, "file.txt", "two\n");
    sandbox.commit(&nested, "two");
    let id = sandbox.snapshot(&repository);
    sandbox.git(&nested, &["reset", "--quiet", "--hard", "HEAD~1"]);
    sandbox.git(&nested, &["reflog", "expire", "--expire=now", "--all"]);
    sandbox.git(&nested, &["gc", "--quiet", "--prune=now"]);
    fs::rename(&nested, repository.join("renamed")).expect("renamed");
    sandbox.snapshot(&repository);
    fs::remove_dir_all(repository.join("renamed")).expect("removed");
    sandbox.snapshot(&repository);
    let _said = sandbox
        .vault(&repository, &["verify", "--deep"])
        .succeeded();
    let _said = sandbox.vault(&repository, &["drill", "--all"]).succeeded();
    let restored = sandbox.restore(&repository, &id, "restored");
    let copy = restored.join("nested");
    assert_eq!(sandbox.git_text(&copy, &["rev-parse", "HEAD~1"]), first);
    assert_eq!(
        fs::read_to_string(copy.join("file.txt")).expect("there"),
        "two\n"
    );
    sandbox.git(&copy, &["fsck", "--full"]);
}

#[test]
fn damage_in_a_nested_repository_refuses_and_names_it() {
    let sandbox = Sandbox::new();
    let repository = with_submodules(&sandbox);
    let library = repository.join("vendor/library");
    write(&library, "lost.c", "int lost;\n");
    sandbox.commit(&library, "to be damaged");
    let blob = sandbox.git_text(&library, &["rev-parse", "HEAD:lost.c"]);
    let (directory, rest) = blob.split_at(2);
    remove(
        &repository
            .join(".git/modules/vendor/library/objects")
            .join(directory),
        rest,
    );
    let said = sandbox.vault(&repository, &["snapshot"]).refused("GV-2005");
    assert!(
        said.to_string().contains("modules/vendor/library"),
        "{said}"
    );
    assert_nothing_sealed(&sandbox, &repository);
}

#[test]
fn what_cannot_be_captured_of_a_nested_repository_is_refused_by_name() {
    let refused = |name: &str, code: &str, word: &str, plant: &dyn Fn(&Sandbox, &Path)| {
        let sandbox = Sandbox::new();
        let repository = small_repository(&sandbox);
        let nested = mkdir(&repository, "nested");
        sandbox.git(&nested, &["init", "--quiet"]);
        write(&nested, "file.txt", "one\n");
        sandbox.commit(&nested, "one");
        plant(&sandbox, &nested);
        let untouched = Fingerprint::of(&sandbox.workplace());
        let said: Said = sandbox.vault(&repository, &["snapshot"]).refused(code);
        assert!(said.to_string().contains(word), "{name}: {said}");
        untouched.assert_untouched(&sandbox.workplace());
        assert_nothing_sealed(&sandbox, &repository);
    };
    refused("format", "GV-2003", "nested/.git", &|sandbox, nested| {
        sandbox.git(nested, &["config", "core.repositoryFormatVersion", "99"]);
    });
    refused(
        "other ids",
        "GV-2004",
        "object formats",
        &|sandbox, nested| {
            fs::remove_dir_all(nested.join(".git")).expect("removed");
            sandbox.git(nested, &["init", "--quiet", "--object-format=sha256"]);
        },
    );
    refused(
        "index",
        "GV-2007",
        "nested/.git/index",
        &|_sandbox, nested| {
            write(nested, ".git/index", "nonsense");
        },
    );
    refused(
        "linked .git",
        "GV-2004",
        "symbolic link named .git",
        &|_sandbox, nested| {
            fs::rename(nested.join(".git"), nested.join("elsewhere")).expect("renamed");
            symlink(nested, ".git", "elsewhere");
        },
    );
}

#[test]
fn a_pattern_leaves_out_a_nested_repository_and_says_so() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    let nested = mkdir(&repository, "nested");
    sandbox.git(&nested, &["init", "--quiet"]);
    write(&nested, "file.txt", "one\n");
    sandbox.git(
        &repository,
        &["worktree", "add", "--quiet", "-b", "inner", "trees/inner"],
    );
    sandbox.git(
        &repository,
        &["config", "--add", "vault.exclude", "/nested/"],
    );
    sandbox.git(
        &repository,
        &["config", "--add", "vault.exclude", "/trees/"],
    );
    let said = sandbox.vault(&repository, &["snapshot"]).succeeded().text();
    assert!(
        said.contains("linked worktree 'inner' was left out by a pattern"),
        "{said}"
    );
    let said = sandbox
        .vault(&repository, &["show", "@latest"])
        .succeeded()
        .text();
    assert!(said.contains("vault.exclude: /nested/"), "{said}");
    let restored = assert_restores(&sandbox, &repository);
    assert!(!restored.join("nested").exists());
    assert_points_nowhere_else(&sandbox, &restored, &sandbox.workplace());
}

#[test]
fn what_lies_in_a_git_directory_and_is_no_worktree_of_it_is_kept() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    let kept = mkdir(&repository, ".git/kept");
    write(&kept, ".git", "gitdir: ../worktrees/no-more\n");
    write(
        &kept,
        "work.txt",
        "of a worktree whose records were pruned\n",
    );
    sandbox.git(
        &repository,
        &[
            "worktree",
            "add",
            "--quiet",
            "-b",
            "deep",
            ".git/some/where/deep",
        ],
    );
    let deep = repository.join(".git/some/where/deep");
    append(&deep, "README.md", "edited deep inside\n");
    symlink(&deep, "link", "README.md");
    let before = RepoState::capture(&sandbox, &deep, Kind::Workspace);
    sandbox.snapshot(&repository);
    let restored = assert_restores(&sandbox, &repository);
    let text = fs::read_to_string(restored.join(".git/kept/work.txt")).expect("kept");
    assert_eq!(text, "of a worktree whose records were pruned\n");
    let found = RepoState::capture(
        &sandbox,
        &restored.join(".git/linked-deep"),
        Kind::Workspace,
    );
    RepoState::assert_same_workspace(&before, &found);
    assert_points_nowhere_else(&sandbox, &restored, &sandbox.workplace());
}

fn assert_nothing_sealed(sandbox: &Sandbox, repository: &Path) {
    let said = sandbox.vault(repository, &["list"]).text();
    assert!(!said.contains("manual"), "{said}");
}

fn destination(sandbox: &Sandbox) -> String {
    sandbox.path("restored").to_str().expect("UTF-8").to_owned()
}

#[test]
fn trees_that_a_restored_copy_would_share_with_the_original_are_refused() {
    let refused = |name: &str, word: &str, plant: &dyn Fn(&Sandbox, &Path, &str)| {
        let sandbox = Sandbox::new();
        let repository = small_repository(&sandbox);
        let elsewhere = mkdir(&sandbox.workplace(), "elsewhere");
        write(&elsewhere, "work.txt", "only here\n");
        let elsewhere = elsewhere.to_str().expect("UTF-8");
        plant(&sandbox, &repository, elsewhere);
        let said: Said = sandbox.vault(&repository, &["snapshot"]).refused("GV-2004");
        assert!(said.to_string().contains(word), "{name}: {said}");
        assert_nothing_sealed(&sandbox, &repository);
    };
    let nested = |sandbox: &Sandbox, repository: &Path, options: &[&str]| {
        let tree = mkdir(repository, "nested");
        sandbox.git(&tree, &[&["init", "--quiet"], options].concat());
        write(&tree, "file.txt", "one\n");
        sandbox.commit(&tree, "one");
        tree
    };
    refused(
        "nested",
        "core.worktree",
        &|sandbox, repository, elsewhere| {
            let tree = nested(sandbox, repository, &[]);
            sandbox.git(&tree, &["config", "core.worktree", elsewhere]);
        },
    );
    refused(
        "named by a file",
        "core.worktree",
        &|sandbox, repository, elsewhere| {
            let tree = nested(sandbox, repository, &["--separate-git-dir=../store.git"]);
            sandbox.git(&tree, &["config", "core.worktree", elsewhere]);
        },
    );
    refused(
        "linked",
        "core.worktree",
        &|sandbox, repository, elsewhere| {
            sandbox.git(
                repository,
                &["worktree", "add", "--quiet", "-b", "w", "../w"],
            );
            sandbox.git(repository, &["config", "extensions.worktreeConfig", "true"]);
            let linked = sandbox.path("work/w");
            let set = ["config", "--worktree", "core.worktree", elsewhere];
            sandbox.git(&linked, &set);
        },
    );
}
