//! A workspace of several repositories and working trees goes into one snapshot, and comes back as one that never points to the
//! original.

use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::roundtrip::assert_fsck_agrees;
use crate::support::files::{append, at, mkdir, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::states::small_repository;
use crate::support::{Kind, RepoState, Sandbox};

/// A working tree by its path in the source's work place and in the restored workspace.
pub type Tree = (&'static str, &'static str);

/// Snapshots `source`, checks and drills the snapshot, restores it, and compares every tree as real git sees it.
#[track_caller]
pub fn assert_round_trip(sandbox: &Sandbox, source: &Path, trees: &[Tree]) -> PathBuf {
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
pub fn assert_points_nowhere_else(sandbox: &Sandbox, restored: &Path, place: &Path) {
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
pub fn with_submodules(sandbox: &Sandbox) -> PathBuf {
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

pub fn assert_restores(sandbox: &Sandbox, source: &Path) -> PathBuf {
    let _said = sandbox.vault(source, &["drill"]).succeeded();
    sandbox.restore(source, "@latest", "restored")
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
fn linked_worktrees_get_directories_of_their_own_with_names_that_fit() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    write(&repository, ".git/linked-a", "in the way\n");
    let long = "\u{e9}".repeat(125);
    for name in ["a", "a-", &long] {
        let path = format!("../{name}");
        sandbox.git(
            &repository,
            &["worktree", "add", "--quiet", "--detach", &path],
        );
        append(&sandbox.path("work").join(name), "README.md", name);
    }
    sandbox.snapshot(&repository);
    let restored = assert_restores(&sandbox, &repository);
    let short = format!("linked-{}", "\u{e9}".repeat(100));
    for (name, directory) in [
        ("a", "linked-a-"),
        ("a-", "linked-a--"),
        (&long, short.as_str()),
    ] {
        let path = restored.join(".git").join(directory).join("README.md");
        let text = fs::read_to_string(path).expect("there");
        assert!(text.ends_with(name), "{text}");
    }
}

#[test]
fn a_working_tree_named_by_an_included_file_is_refused() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    let other = sandbox.path("work/other");
    fs::create_dir(&other).expect("made");
    let text = format!("[core]\n\tworktree = {}\n", other.display());
    write(&repository, ".git/included", &text);
    sandbox.git(&repository, &["config", "include.path", "included"]);
    let _said = sandbox.vault(&repository, &["snapshot"]).refused("GV-2004");
}

#[test]
fn a_working_tree_named_for_all_repositories_of_a_user_counts_for_nothing() {
    let sandbox = Sandbox::new();
    let repository = small_repository(&sandbox);
    sandbox.git(
        &repository,
        &["worktree", "add", "--quiet", "--detach", "../linked"],
    );
    let other = sandbox.path("work/other");
    fs::create_dir(&other).expect("made");
    let other = other.to_str().expect("UTF-8");
    sandbox.git(&repository, &["config", "--global", "core.worktree", other]);
    sandbox.snapshot(&sandbox.path("work/linked"));
    let restored = sandbox.restore(&repository, "@latest", "restored");
    assert!(restored.join("README.md").exists());
}
