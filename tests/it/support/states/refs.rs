//! States of refs, hooks, configuration and object stores.

use std::path::{Path, PathBuf};

use super::super::files::{append, chmod, write};
use super::super::{Kind, Sandbox};
use super::{State, planted_command, planted_script, small_repository, workspace};

pub fn states() -> Vec<State> {
    vec![
        workspace("packed_and_loose_refs", packed_and_loose_refs),
        workspace("packed_case_twins", packed_case_twins),
        workspace("broken_refs", broken_refs),
        workspace("notes_and_replacements", notes_and_replacements),
        workspace("remotes_and_fetch_head", remotes_and_fetch_head),
        workspace("alternates", alternates),
        workspace("packs_and_loose_objects", packs_and_loose_objects),
        workspace("unreachable_objects", unreachable_objects),
        workspace("hooks_and_config", hooks_and_config),
        workspace("worktree_config", worktree_config),
        State {
            name: "bare_repository",
            build: bare_repository,
            kind: Kind::Bare,
        },
    ]
}

/// `stale` is both packed and loose, and the packed value is old.
fn packed_and_loose_refs(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    sandbox.git(&repository, &["branch", "stale", "HEAD~2"]);
    sandbox.git(&repository, &["branch", "packed/deep/branch", "HEAD~1"]);
    sandbox.git(&repository, &["branch", "Case"]);
    sandbox.git(&repository, &["tag", "-a", "-m", "annotated", "annotated"]);
    sandbox.git(
        &repository,
        &["tag", "-a", "-m", "a tag of a tag", "of-tag", "annotated"],
    );
    sandbox.git(&repository, &["tag", "of-blob", "HEAD:README.md"]);
    sandbox.git(&repository, &["tag", "of-tree", "HEAD^{tree}"]);
    sandbox.git(&repository, &["pack-refs", "--all"]);
    sandbox.git(&repository, &["branch", "--force", "stale", "HEAD"]);
    sandbox.git(&repository, &["branch", "loose", "HEAD~1"]);
    sandbox.git(&repository, &["branch", "case", "HEAD~1"]);
    sandbox.git(&repository, &["update-ref", "refs/custom/place", "HEAD"]);
    sandbox.git(
        &repository,
        &["symbolic-ref", "refs/heads/alias", "refs/heads/loose"],
    );
    sandbox.git(
        &repository,
        &["symbolic-ref", "refs/heads/chain", "refs/heads/alias"],
    );
    sandbox.git(
        &repository,
        &["symbolic-ref", "refs/heads/nowhere", "refs/heads/none"],
    );
    sandbox.git(&repository, &["branch", "--delete", "--force", "loose"]);
    sandbox.git(&repository, &["branch", "loose", "HEAD~2"]);
    sandbox.git(&repository, &["update-ref", "ORIG_HEAD", "HEAD~1"]);
    repository
}

/// Names that differ in case only, packed, and one of them loose as well.
fn packed_case_twins(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    for (name, at) in [("twin", "HEAD"), ("Twin", "HEAD~1"), ("TWIN", "HEAD~2")] {
        sandbox.git(&repository, &["branch", name, at]);
        sandbox.git(&repository, &["tag", name, at]);
    }
    sandbox.git(&repository, &["pack-refs", "--all", "--prune"]);
    sandbox.git(&repository, &["branch", "--force", "Twin", "HEAD"]);
    repository
}

/// Refs that hold nothing, nonsense, half an id, and names of refs that lead nowhere or in a circle.
pub fn broken_refs(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    for (name, text) in [
        ("empty", ""),
        ("nonsense", "nonsense\n"),
        ("half", "0123456789\n"),
        ("nowhere", "ref: refs/heads/none\n"),
        ("ring", "ref: refs/heads/gnir\n"),
        ("gnir", "ref: refs/heads/ring\n"),
        ("deep/null", "0000000000000000000000000000000000000000\n"),
    ] {
        write(&repository, format!(".git/refs/heads/{name}"), text);
    }
    repository
}

fn notes_and_replacements(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    sandbox.git(&repository, &["notes", "add", "-m", "a note"]);
    sandbox.git(
        &repository,
        &["notes", "--ref", "review", "add", "-m", "seen", "HEAD~1"],
    );
    sandbox.git(&repository, &["replace", "--graft", "HEAD~1"]);
    let blob = sandbox.git_text(&repository, &["rev-parse", "HEAD:README.md"]);
    let other = sandbox.git_text(&repository, &["rev-parse", "HEAD:src/two.txt"]);
    sandbox.git(&repository, &["replace", &blob, &other]);
    repository
}

fn remotes_and_fetch_head(sandbox: &Sandbox) -> PathBuf {
    let upstream = small_repository(sandbox);
    let repository = sandbox.workplace().join("clone");
    clone(sandbox, &["--quiet"], &upstream, &repository);
    write(&upstream, "upstream.txt", "moved on\n");
    sandbox.commit(&upstream, "upstream moves on");
    sandbox.git(&upstream, &["tag", "-a", "-m", "released", "v1"]);
    sandbox.git(&repository, &["fetch", "--quiet", "--tags"]);
    append(&repository, "README.md", "ahead\n");
    sandbox.commit(&repository, "ahead of upstream");
    sandbox.git(&repository, &["remote", "add", "gone", "/no/such/place"]);
    repository
}

/// Most objects are only in the repository cloned from.
fn alternates(sandbox: &Sandbox) -> PathBuf {
    let origin = small_repository(sandbox);
    let repository = sandbox.workplace().join("borrower");
    clone(sandbox, &["--quiet", "--shared"], &origin, &repository);
    write(&repository, "own.txt", "in its own store\n");
    sandbox.commit(&repository, "its own commit");
    repository
}

fn packs_and_loose_objects(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    let mut text = String::new();
    for number in 0..20 {
        let line = format!("line {number} of a text that is long enough for deltas\n");
        text.push_str(&line);
        write(&repository, "growing.txt", &text);
        sandbox.commit(&repository, "growing");
    }
    sandbox.git(&repository, &["gc", "--quiet", "--prune=now"]);
    sandbox.git(&repository, &["multi-pack-index", "write"]);
    append(&repository, "growing.txt", "second pack\n");
    sandbox.commit(&repository, "second pack");
    sandbox.git(&repository, &["repack", "--quiet"]);
    append(&repository, "growing.txt", "loose\n");
    sandbox.commit(&repository, "loose");
    repository
}

/// A commit, a tree and a blob that no ref, reflog or index names.
fn unreachable_objects(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    write(&repository, "lost.txt", "in a lost commit\n");
    sandbox.commit(&repository, "lost");
    sandbox.git(&repository, &["reset", "--quiet", "--hard", "HEAD~1"]);
    sandbox.git(&repository, &["reflog", "expire", "--expire=now", "--all"]);
    let lost = write(&sandbox.path("tmp"), "lost-blob", "never in a tree\n");
    let lost = lost.to_str().expect("a UTF-8 path");
    sandbox.git(&repository, &["hash-object", "-w", lost]);
    std::fs::remove_file(lost).expect("the file is removed");
    write(&repository, "staged-once", "staged once, then unstaged\n");
    sandbox.git(&repository, &["add", "staged-once"]);
    sandbox.git(&repository, &["rm", "--quiet", "--force", "staged-once"]);
    repository
}

/// Hooks and configured commands that leave the marker if anything runs them.
fn hooks_and_config(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    plant_config(sandbox, &repository.join(".git"));
    append(&repository, "README.md", "edited\n");
    plant_hooks(sandbox, &repository.join(".git"));
    sandbox.forget_marker();
    repository
}

fn bare_repository(sandbox: &Sandbox) -> PathBuf {
    let origin = small_repository(sandbox);
    let repository = sandbox.workplace().join("bare.git");
    clone(sandbox, &["--quiet", "--bare"], &origin, &repository);
    sandbox.git(
        &repository,
        &["config", "receive.denyNonFastForwards", "true"],
    );
    write(&repository, "description", "a bare repository\n");
    write(&repository, "git-daemon-export-ok", "");
    plant_config(sandbox, &repository);
    plant_hooks(sandbox, &repository);
    sandbox.forget_marker();
    repository
}

fn plant_config(sandbox: &Sandbox, git_path: &Path) {
    let command = planted_command(sandbox).replace('"', "\\\"");
    let included = "[alias]\n\tincluded = status\n";
    write(git_path, "included.config", included);
    let config = format!(
        "; a comment by hand\n\
         [core]\n\tfsmonitor = \"{command}; false\"\n\tsshCommand = \"{command}\"\n\tpager = \"{command}\"\n\
         [alias]\n\tplanted = \"!{command}\"\n\
         [credential]\n\thelper = \"!{command}\"\n\
         [include]\n\tpath = included.config\n\
         [Odd \"sub.Section\\\\with\\\"quotes\"]\n\tvalueless\n\tmulti = a\\\n  b # not a comment here?\n"
    );
    append(git_path, "config", config);
}

fn plant_hooks(sandbox: &Sandbox, git_path: &Path) {
    let names = [
        "post-checkout",
        "post-index-change",
        "pre-commit",
        "reference-transaction",
    ];
    for name in names {
        let hook = write(git_path, format!("hooks/{name}"), planted_script(sandbox));
        chmod(&hook, 0o755);
    }
    let inert = write(git_path, "hooks/pre-push", planted_script(sandbox));
    chmod(&inert, 0o644);
    write(git_path, "hooks/shared/library.sh", "# sourced by hooks\n");
}

fn clone(sandbox: &Sandbox, options: &[&str], from: &Path, to: &Path) {
    let from = from.to_str().expect("a UTF-8 path");
    let to = to.to_str().expect("a UTF-8 path");
    let arguments = [&["clone"], options, &[from, to]].concat();
    sandbox.git(&sandbox.workplace(), &arguments);
}

/// Settings of this working tree alone, and files of settings that are included, one under a condition.
fn worktree_config(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    sandbox.git(
        &repository,
        &["config", "extensions.worktreeConfig", "true"],
    );
    let setting = ["config", "--worktree", "core.sparseCheckout", "true"];
    sandbox.git(&repository, &setting);
    write(
        &repository,
        ".git/info/sparse-checkout",
        "/*\n!/src/deep/\n",
    );
    sandbox.git(&repository, &["read-tree", "-m", "-u", "HEAD"]);
    for (section, name) in [
        ("include", "always"),
        ("includeIf.onbranch:main", "sometimes"),
    ] {
        let file = format!("settings/{name}");
        write(
            &repository,
            format!(".git/{file}"),
            format!("[alias]\n\t{name} = status\n"),
        );
        sandbox.git(&repository, &["config", &format!("{section}.path"), &file]);
    }
    let include = ["config", "--worktree", "include.path", "settings/nowhere"];
    sandbox.git(&repository, &include);
    append(&repository, "README.md", "edited\n");
    repository
}
