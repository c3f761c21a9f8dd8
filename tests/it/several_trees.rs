//! A workspace of several repositories and working trees goes into one snapshot, and comes back as one that never points to the
//! original.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::roundtrip::assert_fsck_agrees;
use crate::support::files::{append, at, mkdir, remove, symlink, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::states::small_repository;
use crate::support::{Kind, RepoState, Said, Sandbox};

/// A working tree by its path in the source's work place and in the restored workspace.
type Tree = (&'static str, &'static str);

/// Snapshots `source`, checks and drills the snapshot, restores it, and compares every tree as real git sees it.
#[track_caller]
fn assert_round_trip(sandbox: &Sandbox, source: &Path, trees: &[Tree]) -> PathBuf {
    let place = sandbox.workplace();
    let before: Vec<RepoState> = trees
        .iter()
        .map(|(tree, _)| RepoState::capture(sandbox, &place.join(tree), Kind::Workspace))
        .collect();
    // What a tree ignores is left out of the trees around it, too.
    let ignored: Vec<PathBuf> = trees
        .iter()
        .zip(&before)
        .flat_map(|((tree, _), state)| {
            let tree = place.join(tree);
            state.ignored.iter().map(move |name| at(&tree, name))
        })
        .filter(|path| {
            !trees
                .iter()
                .any(|(tree, _)| place.join(tree).starts_with(path))
        })
        .collect();
    let untouched = Fingerprint::of(&place);
    let said = sandbox.vault(source, &["--json", "snapshot"]).succeeded();
    assert_eq!(said.json()["outcome"], "sealed", "{said}");
    let id = said.json()["snapshot"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let _said = sandbox.vault(source, &["verify", "--deep"]).succeeded();
    let drilled = sandbox.vault(source, &["drill"]).succeeded().text();
    assert!(drilled.contains("found the repository whole"), "{drilled}");
    let again = sandbox.vault(source, &["snapshot"]).succeeded().text();
    assert!(again.starts_with("UNCHANGED"), "{again}");
    let restored = sandbox.restore(source, &id, "restored");
    untouched.assert_untouched(&place);

    for ((tree, name), before) in trees.iter().zip(&before) {
        let (original, copy) = (place.join(tree), restored.join(name));
        let found = RepoState::capture(sandbox, &copy, Kind::Workspace).without_ignored();
        let ignored = ignored
            .iter()
            .filter_map(|path| path.strip_prefix(&original).ok());
        let ignored: Vec<Vec<u8>> = ignored
            .map(|path| path.as_os_str().as_bytes().to_vec())
            .collect();
        let before = before.without_ignored().without(&ignored);
        RepoState::assert_same_workspace(&before, &found);
        assert_fsck_agrees(sandbox, &original, &copy);
    }
    assert_points_nowhere_else(sandbox, &restored, &place);
    assert_independent(sandbox, &restored, &place, trees);
    restored
}

/// No file by which git finds a tree leads out of the restored copy.
#[track_caller]
fn assert_points_nowhere_else(sandbox: &Sandbox, restored: &Path, place: &Path) {
    let mut pending = vec![restored.to_owned()];
    while let Some(directory) = pending.pop() {
        for entry in fs::read_dir(&directory).expect("it is listed") {
            let path = entry.expect("it goes on").path();
            let metadata = fs::symlink_metadata(&path).expect("it is there");
            let name = path.file_name().expect("a name").to_owned();
            let is_pointer = name == ".git" || name == "gitdir" || name == "commondir";
            if metadata.is_dir() {
                pending.push(path);
            } else if metadata.is_file() && is_pointer {
                let content = fs::read(&path).expect("it is read");
                let source = place.as_os_str().as_bytes();
                let leads_back = content.windows(source.len()).any(|window| window == source);
                assert!(!leads_back, "'{}' leads to the original", path.display());
            }
        }
    }
    let listed = sandbox.git_text(restored, &["worktree", "list", "--porcelain"]);
    for line in listed
        .lines()
        .filter_map(|line| line.strip_prefix("worktree "))
    {
        assert!(Path::new(line).starts_with(restored), "{line}");
    }
}

/// A commit in each of the restored trees changes nothing in the originals.
#[track_caller]
fn assert_independent(sandbox: &Sandbox, restored: &Path, place: &Path, trees: &[Tree]) {
    let untouched = Fingerprint::of(place);
    for (_, name) in trees.iter().rev() {
        let copy = restored.join(name);
        let top = sandbox.git_text(&copy, &["rev-parse", "--show-toplevel"]);
        assert_eq!(Path::new(&top), copy, "git takes another tree for this one");
        write(&copy, "made-in-the-copy", "only here\n");
        let _any = sandbox.try_git(&copy, &["add", "made-in-the-copy"]);
        let _any = sandbox.try_git(
            &copy,
            &["commit", "--quiet", "--no-verify", "-m", "in the copy"],
        );
        let _any = sandbox.try_git(&copy, &["gc", "--quiet"]);
    }
    untouched.assert_untouched(place);
}

const FROM_FILES: [&str; 2] = ["-c", "protocol.file.allow=always"];

fn submodule(sandbox: &Sandbox, repository: &Path, arguments: &[&str]) {
    let arguments = [&FROM_FILES[..], &["submodule", "--quiet"], arguments].concat();
    sandbox.git(repository, &arguments);
}

/// `library` with a submodule `deep`, and `repository` with the submodule `vendor/library`.
fn with_submodules(sandbox: &Sandbox) -> PathBuf {
    let deep = sandbox.init("deep");
    write(&deep, "deep.c", "int deep;\n");
    sandbox.commit(&deep, "deep");
    let library = sandbox.init("library");
    write(&library, "library.c", "int library;\n");
    sandbox.commit(&library, "library");
    submodule(sandbox, &library, &["add", "../deep", "deep"]);
    sandbox.commit(&library, "with a submodule");
    let repository = small_repository(sandbox);
    submodule(
        sandbox,
        &repository,
        &["add", "../library", "vendor/library"],
    );
    submodule(sandbox, &repository, &["update", "--init", "--recursive"]);
    sandbox.commit(&repository, "with a submodule");
    repository
}

#[test]
fn submodules_with_all_that_is_only_in_them() {
    let sandbox = Sandbox::new();
    let repository = with_submodules(&sandbox);
    let library = repository.join("vendor/library");
    append(&library, "library.c", "int committed;\n");
    sandbox.git(&library, &["commit", "--quiet", "-am", "only local"]);
    append(&library, "library.c", "int stashed;\n");
    sandbox.git(&library, &["stash", "push", "--quiet"]);
    append(&library, "library.c", "int edited;\n");
    write(&library, "untracked.c", "int untracked;\n");
    write(&library, "staged.c", "int staged;\n");
    sandbox.git(&library, &["add", "staged.c"]);
    append(&library.join("deep"), "deep.c", "int edited;\n");
    let trees = [
        ("repository", ""),
        ("repository/vendor/library", "vendor/library"),
        ("repository/vendor/library/deep", "vendor/library/deep"),
    ];
    let restored = assert_round_trip(&sandbox, &repository, &trees);
    let modules = sandbox.git_text(&restored, &["submodule", "status", "--recursive"]);
    assert_eq!(modules.lines().count(), 2, "{modules}");
    sandbox.git(
        &restored.join("vendor/library"),
        &["stash", "drop", "--quiet"],
    );
}

#[test]
fn a_submodule_with_its_git_directory_inside() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    let inner = mkdir(&repository, "inner");
    sandbox.git(&inner, &["init", "--quiet"]);
    write(&inner, "inner.c", "int inner;\n");
    sandbox.commit(&inner, "inner");
    submodule(&sandbox, &repository, &["add", "./inner", "inner"]);
    sandbox.git(
        &repository,
        &["commit", "--quiet", "-m", "an old-style submodule"],
    );
    assert!(inner.join(".git").is_dir());
    append(&inner, "inner.c", "int edited;\n");
    assert_round_trip(
        &sandbox,
        &repository,
        &[("repository", ""), ("repository/inner", "inner")],
    );
}

#[test]
fn a_submodule_that_is_not_checked_out_keeps_what_git_keeps() {
    let sandbox = Sandbox::new();
    let repository = with_submodules(&sandbox);
    let library = repository.join("vendor/library");
    append(&library, "library.c", "int committed;\n");
    sandbox.git(&library, &["commit", "--quiet", "-am", "only local"]);
    let local = sandbox.git_text(&library, &["rev-parse", "HEAD"]);
    sandbox.git(
        &repository,
        &["submodule", "--quiet", "deinit", "--force", "--all"],
    );
    let restored = assert_round_trip(&sandbox, &repository, &[("repository", "")]);
    submodule(&sandbox, &restored, &["update", "--init", "--no-fetch"]);
    sandbox.git(
        &restored.join("vendor/library"),
        &["cat-file", "-e", &local],
    );
}

fn set_worktree(sandbox: &Sandbox, git_dir: &Path, tree: &str) {
    let config = git_dir.join("config");
    let config = config.to_str().expect("UTF-8");
    let arguments = ["config", "--file", config, "core.worktree", tree];
    sandbox.git(&sandbox.workplace(), &arguments);
}

#[test]
fn a_submodule_with_an_encoded_git_directory() {
    let sandbox = Sandbox::new();
    let repository = with_submodules(&sandbox);
    let modules = repository.join(".git/modules");
    let library = repository.join("vendor/library");
    // As git 2.54 lays them out when names would collide.
    fs::rename(
        modules.join("vendor/library"),
        modules.join("vendor%2flibrary"),
    )
    .expect("renamed");
    fs::remove_dir(modules.join("vendor")).expect("removed");
    write(
        &library,
        ".git",
        "gitdir: ../../.git/modules/vendor%2flibrary\n",
    );
    let git_dir = modules.join("vendor%2flibrary");
    set_worktree(&sandbox, &git_dir, "../../../vendor/library");
    let deep = git_dir.join("modules/deep");
    set_worktree(&sandbox, &deep, "../../../../../vendor/library/deep");
    write(
        &library.join("deep"),
        ".git",
        "gitdir: ../../../.git/modules/vendor%2flibrary/modules/deep\n",
    );
    sandbox.git(
        &repository,
        &["config", "core.repositoryFormatVersion", "1"],
    );
    append(&library, "library.c", "int edited;\n");
    sandbox.git(&repository, &["status"]);
    let trees = [
        ("repository", ""),
        ("repository/vendor/library", "vendor/library"),
        ("repository/vendor/library/deep", "vendor/library/deep"),
    ];
    assert_round_trip(&sandbox, &repository, &trees);
}

#[test]
fn linked_worktrees_outside_and_inside() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    sandbox.git(
        &repository,
        &["worktree", "add", "--quiet", "-b", "feature", "../feature"],
    );
    sandbox.git(
        &repository,
        &["worktree", "add", "--quiet", "--detach", "trees/inner"],
    );
    sandbox.git(
        &repository,
        &["worktree", "lock", "--reason", "mine", "../feature"],
    );
    let feature = sandbox.path("work/feature");
    append(&feature, "README.md", "edited there\n");
    write(&feature, "staged.txt", "staged there\n");
    sandbox.git(&feature, &["add", "staged.txt"]);
    let inner = repository.join("trees/inner");
    write(&inner, "detached.txt", "on no branch\n");
    sandbox.commit(&inner, "on no branch");
    append(&inner, "detached.txt", "and edited\n");
    let trees = [
        ("repository", ""),
        ("feature", ".git/linked-feature"),
        ("repository/trees/inner", "trees/inner"),
    ];
    let restored = assert_round_trip(&sandbox, &repository, &trees);
    sandbox.git(&restored, &["worktree", "unlock", ".git/linked-feature"]);
    sandbox.git(
        &restored,
        &["worktree", "move", ".git/linked-feature", "../moved"],
    );
    let status = sandbox.git_text(
        &restored.with_file_name("moved"),
        &["status", "--porcelain"],
    );
    assert!(
        status.contains("A  made-in-the-copy") || status.is_empty() || status.contains("README"),
        "{status}"
    );
}

#[test]
fn a_rebase_stopped_in_a_linked_worktree_goes_on_in_the_restored_one() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    sandbox.git(
        &repository,
        &["worktree", "add", "--quiet", "-b", "feature", "../feature"],
    );
    let feature = sandbox.path("work/feature");
    append(&feature, "README.md", "feature\n");
    sandbox.git(&feature, &["commit", "--quiet", "-am", "feature"]);
    append(&repository, "README.md", "main\n");
    sandbox.git(&repository, &["commit", "--quiet", "-am", "main"]);
    sandbox.git_stops(&feature, &["rebase", "main"]);
    let trees = [("repository", ""), ("feature", ".git/linked-feature")];
    let said = sandbox.vault(&feature, &["--json", "snapshot"]).succeeded();
    let id = said.json()["snapshot"]["id"]
        .as_str()
        .expect("an id")
        .to_owned();
    let restored = sandbox.restore(&feature, &id, "once-more");
    for (_, name) in trees {
        sandbox.git(&restored.join(name), &["status"]);
    }
    let copy = restored.join(".git/linked-feature");
    write(&copy, "README.md", "both\n");
    sandbox.git(&copy, &["add", "README.md"]);
    sandbox.git(&copy, &["-c", "core.editor=true", "rebase", "--continue"]);
    assert_eq!(
        sandbox.git_text(&copy, &["log", "-1", "--format=%s"]),
        "feature"
    );
    assert_eq!(
        sandbox.git_text(&copy, &["symbolic-ref", "HEAD"]),
        "refs/heads/feature"
    );
    sandbox.git_text(&feature, &["status"]);
    assert!(
        repository
            .join(".git/worktrees/feature/rebase-merge")
            .exists()
    );
}

#[test]
fn a_snapshot_is_the_same_from_wherever_it_is_made() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    sandbox.git(
        &repository,
        &["worktree", "add", "--quiet", "-b", "feature", "../feature"],
    );
    let feature = sandbox.path("work/feature");
    append(&feature, "README.md", "edited there\n");
    sandbox.snapshot(&feature.join("src"));
    let said = sandbox.vault(&repository, &["snapshot"]).succeeded().text();
    assert!(said.starts_with("UNCHANGED"), "{said}");
    append(&repository, "README.md", "edited here\n");
    let said = sandbox.vault(&feature, &["snapshot"]).succeeded().text();
    assert!(said.starts_with("SEALED"), "{said}");
    let said = sandbox.vault(&feature, &["list"]).succeeded().text();
    assert_eq!(
        said.lines().filter(|line| line.contains("manual")).count(),
        2,
        "{said}"
    );
}

#[test]
fn a_linked_worktree_that_is_not_there_is_said() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    sandbox.git(
        &repository,
        &["worktree", "add", "--quiet", "-b", "gone", "../gone"],
    );
    let gone = sandbox.path("work/gone");
    write(&gone, "only-there.txt", "committed on the way\n");
    sandbox.commit(&gone, "only there");
    sandbox.git(&gone, &["checkout", "--quiet", "--detach"]);
    fs::remove_dir_all(&gone).expect("unplugged");
    let said = sandbox.vault(&repository, &["snapshot"]).succeeded().text();
    assert!(
        said.contains("linked worktree 'gone' was not there"),
        "{said}"
    );
    let restored = assert_restores(&sandbox, &repository);
    let head = fs::read_to_string(restored.join(".git/worktrees/gone/HEAD")).expect("kept");
    sandbox.git(&restored, &["cat-file", "-e", head.trim()]);
    assert_points_nowhere_else(&sandbox, &restored, &sandbox.workplace());
}

fn assert_restores(sandbox: &Sandbox, source: &Path) -> PathBuf {
    let _said = sandbox.vault(source, &["drill"]).succeeded();
    sandbox.restore(source, "@latest", "restored")
}

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

fn destination(sandbox: &Sandbox) -> String {
    sandbox.path("restored").to_str().expect("UTF-8").to_owned()
}

#[test]
fn a_repository_without_a_main_tree_has_only_linked_ones() {
    let sandbox = Sandbox::new();
    let origin = small_repository(&sandbox);
    let project = mkdir(&sandbox.workplace(), "project");
    let url = origin.to_str().expect("UTF-8");
    sandbox.git(&project, &["clone", "--quiet", "--bare", url, ".git"]);
    sandbox.git(
        &project.join(".git"),
        &["worktree", "add", "--quiet", "../main", "main"],
    );
    let tree = project.join("main");
    append(&tree, "README.md", "edited\n");
    let before = RepoState::capture(&sandbox, &tree, Kind::Workspace);
    sandbox.snapshot(&tree);
    let restored = assert_restores(&sandbox, &tree);
    let found = RepoState::capture(&sandbox, &restored.join("linked-main"), Kind::Workspace);
    RepoState::assert_same_workspace(&before.without_ignored(), &found);
    assert_eq!(
        sandbox.git_text(&restored, &["rev-parse", "--is-bare-repository"]),
        "true"
    );
}

#[test]
fn submodules_of_a_linked_worktree() {
    let sandbox = Sandbox::new();
    let repository = with_submodules(&sandbox);
    sandbox.git(
        &repository,
        &["worktree", "add", "--quiet", "-b", "feature", "../feature"],
    );
    let feature = sandbox.path("work/feature");
    submodule(&sandbox, &feature, &["update", "--init", "--recursive"]);
    append(&feature, "vendor/library/library.c", "int edited_there;\n");
    append(
        &repository,
        "vendor/library/library.c",
        "int edited_here;\n",
    );
    let trees = [
        ("repository", ""),
        ("repository/vendor/library", "vendor/library"),
        ("feature", ".git/linked-feature"),
        (
            "feature/vendor/library",
            ".git/linked-feature/vendor/library",
        ),
        (
            "feature/vendor/library/deep",
            ".git/linked-feature/vendor/library/deep",
        ),
    ];
    assert_round_trip(&sandbox, &repository, &trees);
}

#[test]
fn a_submodule_by_itself() {
    let sandbox = Sandbox::new();
    let repository = with_submodules(&sandbox);
    let library = repository.join("vendor/library");
    append(&library, "library.c", "int edited;\n");
    let before = sandbox.git_text(&library, &["status", "--porcelain"]);
    sandbox.snapshot(&library);
    let restored = assert_restores(&sandbox, &library);
    assert_eq!(
        sandbox.git_text(&restored, &["status", "--porcelain"]),
        before
    );
    let top = sandbox.git_text(&restored, &["rev-parse", "--show-toplevel"]);
    assert_eq!(Path::new(&top), restored);
    assert!(restored.join(".git").is_dir());
    sandbox.git(&restored, &["fsck", "--full"]);
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
fn a_restored_workspace_is_snapshotted_and_restored_again() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    sandbox.git(
        &repository,
        &["worktree", "add", "--quiet", "-b", "feature", "../feature"],
    );
    let feature = sandbox.path("work/feature");
    append(&feature, "README.md", "edited there\n");
    let before = RepoState::capture(&sandbox, &feature, Kind::Workspace);
    sandbox.snapshot(&repository);
    let once = sandbox.restore(&repository, "@latest", "once");
    sandbox.git(&once, &["status"]);
    sandbox.snapshot(&once);
    let _said = sandbox.vault(&once, &["drill"]).succeeded();
    let twice = sandbox.restore(&once, "@latest", "twice");
    let found = RepoState::capture(
        &sandbox,
        &twice.join(".git/linked-feature"),
        Kind::Workspace,
    );
    RepoState::assert_same_workspace(&before.without_ignored(), &found);
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

fn assert_nothing_sealed(sandbox: &Sandbox, repository: &Path) {
    let said = sandbox.vault(repository, &["list"]).text();
    assert!(!said.contains("manual"), "{said}");
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
fn a_vault_home_in_a_linked_worktree_is_refused() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    sandbox.git(
        &repository,
        &["worktree", "add", "--quiet", "-b", "feature", "../feature"],
    );
    let home = sandbox.path("work/feature/vaults");
    let home = home.to_str().expect("UTF-8");
    sandbox.git(&repository, &["config", "vault.home", home]);
    let _said = sandbox.vault(&repository, &["snapshot"]).refused("GV-1004");
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
fn a_main_tree_inside_a_linked_one() {
    let sandbox = Sandbox::new();
    let origin = small_repository(&sandbox);
    let outer = sandbox.path("work/outer");
    sandbox.git(
        &origin,
        &["worktree", "add", "--quiet", "-b", "outer", "../outer"],
    );
    let moved = outer.join("main");
    fs::rename(&origin, &moved).expect("moved");
    sandbox.git(&moved, &["worktree", "repair", "../../outer"]);
    append(&outer, "README.md", "edited outside\n");
    append(&moved, "README.md", "edited inside\n");
    sandbox.snapshot(&moved);
    let restored = assert_restores(&sandbox, &moved);
    assert_points_nowhere_else(&sandbox, &restored, &sandbox.workplace());
    let linked = restored.join(".git/linked-outer");
    let text = fs::read_to_string(linked.join("README.md")).expect("there");
    assert!(text.contains("edited outside"), "{text}");
    assert!(!linked.join("main").exists(), "the main tree is there once");
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
