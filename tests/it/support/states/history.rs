//! States of the history itself: where it ends, what it borrows, how it is packed.

use std::path::{Path, PathBuf};

use super::super::Sandbox;
use super::super::files::{append, write};
use super::{State, small_repository, workspace};

pub fn states() -> Vec<State> {
    vec![
        workspace("shallow_clone", shallow_clone),
        workspace("shallow_with_work", shallow_with_work),
        workspace("history_cut_by_fetch", history_cut_by_fetch),
        workspace("grafts", grafts),
        workspace("grafts_over_missing_history", grafts_over_missing_history),
    ]
}

/// A clone of a repository of this sandbox through the protocol, so that depth and filters count.
pub fn clone(sandbox: &Sandbox, options: &[&str], from: &Path, name: &str) -> PathBuf {
    let repository = sandbox.workplace().join(name);
    let from = format!("file://{}", from.display());
    let to = repository.to_str().expect("a UTF-8 path");
    let arguments = [&["clone", "--quiet"], options, &[&from, to]].concat();
    sandbox.git(&sandbox.workplace(), &arguments);
    repository
}

fn shallow_clone(sandbox: &Sandbox) -> PathBuf {
    let origin = small_repository(sandbox);
    clone(sandbox, &["--depth=1"], &origin, "clone")
}

/// Commits, a stash, a merge and a rebase that stopped, all on top of a history that ends early.
pub fn shallow_with_work(sandbox: &Sandbox) -> PathBuf {
    let origin = small_repository(sandbox);
    for name in ["fourth", "fifth"] {
        write(&origin, name, name);
        sandbox.commit(&origin, name);
    }
    sandbox.git(&origin, &["branch", "other", "HEAD~1"]);
    sandbox.git(&origin, &["tag", "-a", "-m", "released", "v1", "HEAD~1"]);
    let options = ["--depth=2", "--no-single-branch"];
    let repository = clone(sandbox, &options, &origin, "clone");
    write(&repository, "own.txt", "a commit of its own\n");
    sandbox.commit(&repository, "its own");
    append(&repository, "README.md", "stashed\n");
    sandbox.git(&repository, &["stash", "push", "--quiet"]);
    sandbox.git(
        &repository,
        &["switch", "--quiet", "--create", "side", "HEAD~1"],
    );
    write(&repository, "own.txt", "another\n");
    sandbox.commit(&repository, "the other side");
    sandbox.git_stops(&repository, &["rebase", "main"]);
    write(&repository, "untracked.txt", "untracked\n");
    repository
}

/// A whole clone that was made shallow later: what lies behind is still in its store, but for one commit.
fn history_cut_by_fetch(sandbox: &Sandbox) -> PathBuf {
    let origin = small_repository(sandbox);
    let repository = clone(sandbox, &[], &origin, "clone");
    sandbox.git(&repository, &["fetch", "--quiet", "--depth=1"]);
    append(&repository, "README.md", "edited\n");
    repository
}

/// Three commits made one root, a commit with a second parent, and one without any, as `info/grafts` has them.
fn grafts(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    let id = |name: &str| sandbox.git_text(&repository, &["rev-parse", name]);
    let arguments = ["commit-tree", "-m", "an older history", "HEAD^{tree}"];
    let older = sandbox.git_text(&repository, &arguments);
    let text = format!(
        "# by hand\n{} {}\n{} {older}\n{older}\n",
        id("HEAD"),
        [id("HEAD~1"), older.clone()].join(" "),
        id("HEAD~2"),
    );
    write(&repository, ".git/info/grafts", text);
    append(&repository, "README.md", "edited\n");
    repository
}

/// The commits behind a graft are gone, as in an import whose older history was thrown away.
pub fn grafts_over_missing_history(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    let id = |name: &str| sandbox.git_text(&repository, &["rev-parse", name]);
    let (cut, gone) = (id("HEAD~1"), id("HEAD~2"));
    write(&repository, ".git/info/grafts", format!("{cut}\n"));
    sandbox.git(&repository, &["reflog", "expire", "--expire=now", "--all"]);
    let object = format!(".git/objects/{}/{}", &gone[..2], &gone[2..]);
    std::fs::remove_file(repository.join(object)).expect("the commit is removed");
    append(&repository, "README.md", "edited\n");
    repository
}
