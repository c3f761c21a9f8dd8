//! Repositories whose refs and reflogs are kept in tables.

use std::fs::File;
use std::path::{Path, PathBuf};

use super::super::files::{append, write};
use super::super::{Kind, Sandbox};
use super::{State, find, small_repository, workspace};

pub fn states() -> Vec<State> {
    vec![
        workspace("reftable_refs", reftable_refs),
        workspace("reftable_detached", reftable_detached),
        workspace("reftable_many_tables", reftable_many_tables),
        workspace("reftable_packed", reftable_packed),
        workspace("reftable_sha256", reftable_sha256),
        workspace("reftable_rebase", reftable_rebase),
        State {
            name: "reftable_bare",
            build: reftable_bare,
            kind: Kind::Bare,
        },
    ]
}

/// From now on, git makes repositories with tables in this sandbox. Says so if it cannot: then they are usual ones.
pub fn refs_in_tables(sandbox: &Sandbox) -> bool {
    append(
        &sandbox.home(),
        ".gitconfig",
        "[init]\n\tdefaultRefFormat = reftable\n",
    );
    let trial = sandbox.path("tmp/trial");
    let text = trial.to_str().expect("a UTF-8 path");
    sandbox.git(&sandbox.path("tmp"), &["init", "--quiet", "--bare", text]);
    let can = trial.join("reftable/tables.list").exists();
    std::fs::remove_dir_all(trial).expect("the trial is removed");
    if !can {
        eprintln!("SKIPPED: this git makes no repositories with reftable");
    }
    can
}

/// Changes many refs in one transaction.
fn update_refs(sandbox: &Sandbox, repository: &Path, orders: &str) {
    let path = write(&sandbox.path("tmp"), "orders", orders);
    let mut command = sandbox.command("git", repository);
    command
        .args(["update-ref", "--stdin"])
        .stdin(File::open(&path).expect("the orders are opened"));
    assert!(command.status().expect("git starts").success(), "{orders}");
    std::fs::remove_file(path).expect("the orders are removed");
}

fn stash(sandbox: &Sandbox, repository: &Path, message: &str) {
    append(repository, "README.md", format!("{message}\n"));
    sandbox.git(repository, &["stash", "push", "--quiet", "-m", message]);
}

/// Branches, tags, refs to refs, one that leads nowhere, deleted ones, and three of four stashes.
fn reftable_refs(sandbox: &Sandbox) -> PathBuf {
    refs_in_tables(sandbox);
    let repository = small_repository(sandbox);
    let git = |arguments: &[&str]| sandbox.git(&repository, arguments);
    git(&["branch", "side/deep/branch", "HEAD~1"]);
    git(&["branch", "gone", "HEAD~2"]);
    git(&["branch", "back", "HEAD~2"]);
    git(&["tag", "-a", "-m", "annotated", "annotated"]);
    git(&["tag", "-a", "-m", "a tag of a tag", "of-tag", "annotated"]);
    git(&["tag", "of-blob", "HEAD:README.md"]);
    git(&["update-ref", "refs/custom/place", "HEAD"]);
    git(&["update-ref", "ORIG_HEAD", "HEAD~1"]);
    git(&["symbolic-ref", "refs/heads/alias", "refs/heads/back"]);
    git(&["symbolic-ref", "refs/heads/chain", "refs/heads/alias"]);
    git(&["symbolic-ref", "refs/heads/nowhere", "refs/heads/none"]);
    for message in ["oldest", "dropped", "middle", "newest"] {
        stash(sandbox, &repository, message);
    }
    git(&["stash", "drop", "--quiet", "stash@{2}"]);
    git(&["branch", "--delete", "--force", "gone", "back"]);
    git(&["branch", "back", "HEAD~1"]);
    git(&["branch", "--move", "side/deep/branch", "moved"]);
    repository
}

fn reftable_detached(sandbox: &Sandbox) -> PathBuf {
    refs_in_tables(sandbox);
    (find("detached_head").build)(sandbox)
}

/// Every change is a table of its own, as between two compactions.
fn reftable_many_tables(sandbox: &Sandbox) -> PathBuf {
    refs_in_tables(sandbox);
    let repository = small_repository(sandbox);
    let alone = [("GIT_TEST_REFTABLE_AUTOCOMPACTION", "false")];
    for number in 0..20 {
        let name = format!("refs/heads/many-{}", number % 7);
        let to = format!("HEAD~{}", number % 3);
        sandbox.git_with(&repository, &alone, &["update-ref", &name, &to]);
    }
    for name in ["many-1", "many-5"] {
        sandbox.git_with(&repository, &alone, &["branch", "-D", name]);
    }
    append(&repository, "README.md", "in a stash\n");
    sandbox.git_with(&repository, &alone, &["stash", "push", "--quiet"]);
    repository
}

/// One table of several hundred refs and their logs, in many small blocks, with their indices; and a newer one over it.
fn reftable_packed(sandbox: &Sandbox) -> PathBuf {
    refs_in_tables(sandbox);
    let repository = small_repository(sandbox);
    sandbox.git(&repository, &["config", "reftable.blockSize", "512"]);
    sandbox.git(&repository, &["config", "core.logAllRefUpdates", "always"]);
    let id = |revision| sandbox.git_text(&repository, &["rev-parse", revision]);
    let (one, two) = (id("HEAD"), id("HEAD~1"));
    let create = |number| format!("create refs/many/{number:03}/ref {one}\n");
    update_refs(
        sandbox,
        &repository,
        &(0..400).map(create).collect::<String>(),
    );
    let update = |number| format!("update refs/many/{number:03}/ref {two} {one}\n");
    update_refs(
        sandbox,
        &repository,
        &(0..90).map(update).collect::<String>(),
    );
    stash(sandbox, &repository, "packed");
    sandbox.git(&repository, &["pack-refs", "--all"]);
    let delete = |number| format!("delete refs/many/{number:03}/ref\n");
    update_refs(
        sandbox,
        &repository,
        &(50..70).map(delete).collect::<String>(),
    );
    stash(sandbox, &repository, "after packing");
    repository
}

fn reftable_sha256(sandbox: &Sandbox) -> PathBuf {
    refs_in_tables(sandbox);
    let repository = (find("sha256_repository").build)(sandbox);
    sandbox.git(&repository, &["tag", "-a", "-m", "annotated", "annotated"]);
    append(&repository, "one.txt", "in another stash\n");
    sandbox.git(&repository, &["stash", "push", "--quiet"]);
    repository
}

fn reftable_rebase(sandbox: &Sandbox) -> PathBuf {
    refs_in_tables(sandbox);
    (find("rebase_with_autostash").build)(sandbox)
}

fn reftable_bare(sandbox: &Sandbox) -> PathBuf {
    refs_in_tables(sandbox);
    (find("bare_repository").build)(sandbox)
}
