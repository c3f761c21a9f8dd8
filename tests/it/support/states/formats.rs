//! Repository and index formats other than the usual ones.

use std::path::PathBuf;

use super::super::Sandbox;
use super::super::files::{append, write};
use super::{State, small_repository, workspace};

pub fn states() -> Vec<State> {
    vec![
        workspace("sha256_repository", sha256_repository),
        workspace("split_index", split_index),
        workspace("index_version_4", index_version_4),
        workspace("untracked_cache", untracked_cache),
        workspace("sparse_index", sparse_index),
        workspace("reflog_without_ref", reflog_without_ref),
    ]
}

fn sha256_repository(sandbox: &Sandbox) -> PathBuf {
    let repository = sandbox.workplace().join("repository");
    std::fs::create_dir(&repository).expect("the directory is made");
    sandbox.git(&repository, &["init", "--quiet", "--object-format=sha256"]);
    write(&repository, "one.txt", "one\n");
    sandbox.commit(&repository, "first");
    append(&repository, "one.txt", "two\n");
    sandbox.commit(&repository, "second");
    append(&repository, "one.txt", "stashed\n");
    sandbox.git(&repository, &["stash", "push", "--quiet"]);
    append(&repository, "one.txt", "staged\n");
    sandbox.git(&repository, &["add", "one.txt"]);
    write(&repository, "untracked.txt", "untracked\n");
    repository
}

/// The shared half of the index holds the commits' files, the other half what was staged since.
fn split_index(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    sandbox.git(&repository, &["update-index", "--split-index"]);
    append(&repository, "README.md", "staged\n");
    write(&repository, "new.txt", "new\n");
    sandbox.git(&repository, &["add", "README.md", "new.txt"]);
    sandbox.git(&repository, &["rm", "--quiet", "--cached", "src/two.txt"]);
    repository
}

fn index_version_4(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    sandbox.git(&repository, &["update-index", "--index-version", "4"]);
    append(&repository, "src/two.txt", "staged\n");
    sandbox.git(&repository, &["add", "src/two.txt"]);
    repository
}

fn untracked_cache(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    sandbox.git(&repository, &["config", "core.untrackedCache", "true"]);
    sandbox.git(&repository, &["update-index", "--force-untracked-cache"]);
    write(&repository, "untracked/one.txt", "untracked\n");
    sandbox.git(&repository, &["status"]);
    write(&repository, "untracked/two.txt", "not in the cache yet\n");
    repository
}

/// Directories outside the cone are single entries of the index.
fn sparse_index(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    for name in ["inside/a.txt", "outside/b.txt", "outside/deep/c.txt"] {
        write(&repository, name, format!("{name}\n"));
    }
    sandbox.commit(&repository, "two directories");
    let arguments = [
        "sparse-checkout",
        "set",
        "--cone",
        "--sparse-index",
        "inside",
    ];
    sandbox.git(&repository, &arguments);
    append(&repository, "inside/a.txt", "edited\n");
    write(&repository, "untracked.txt", "untracked\n");
    repository
}

/// A reflog may outlive its branch's last value, and hold what no ref reaches.
fn reflog_without_ref(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    sandbox.git(&repository, &["config", "core.logAllRefUpdates", "always"]);
    sandbox.git(
        &repository,
        &["update-ref", "-m", "kept by a log", "refs/odd/one", "HEAD"],
    );
    write(&repository, "amended.txt", "before the amendment\n");
    sandbox.commit(&repository, "to be amended");
    write(&repository, "amended.txt", "after the amendment\n");
    sandbox.git(&repository, &["add", "--all"]);
    sandbox.git(
        &repository,
        &["commit", "--quiet", "--amend", "-m", "amended"],
    );
    repository
}
