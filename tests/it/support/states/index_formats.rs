//! Extensions and versions of the index, alone and together, and sparse checkouts.

use std::path::{Path, PathBuf};

use super::super::Sandbox;
use super::super::files::{append, chmod, remove, write};
use super::{State, diverged_repository, planted_script, small_repository, workspace};

pub fn states() -> Vec<State> {
    vec![
        workspace("index_with_offset_table", index_with_offset_table),
        workspace("index_without_checksum", index_without_checksum),
        workspace("resolve_undo", resolve_undo),
        workspace("fsmonitor_hook", fsmonitor_hook),
        workspace("fsmonitor_built_in", fsmonitor_built_in),
        workspace("fsmonitor_valid_file_edited", fsmonitor_valid_file_edited),
        workspace("split_index_rewritten", split_index_rewritten),
        workspace("split_index_expired", split_index_expired),
        workspace("split_index_in_a_conflict", split_index_in_a_conflict),
        workspace("every_index_extension", every_index_extension),
        workspace("intended_and_gone", intended_and_gone),
        workspace("sparse_checkout_by_patterns", sparse_checkout_by_patterns),
        workspace("sparse_file_made_again", sparse_file_made_again),
        workspace(
            "sparse_index_with_a_file_by_hand",
            sparse_index_with_a_file_by_hand,
        ),
        workspace(
            "sparse_checkout_in_a_conflict",
            sparse_checkout_in_a_conflict,
        ),
        workspace("worktree_excludes", worktree_excludes),
    ]
}

fn index_with_offset_table(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    sandbox.git(&repository, &["config", "index.threads", "2"]);
    append(&repository, "README.md", "staged\n");
    sandbox.git(&repository, &["add", "README.md"]);
    repository
}

fn index_without_checksum(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    sandbox.git(&repository, &["config", "index.skipHash", "true"]);
    append(&repository, "README.md", "staged\n");
    sandbox.git(&repository, &["add", "README.md"]);
    append(&repository, "README.md", "not staged\n");
    repository
}

/// The stages of a conflict that was resolved are kept in the index, for `git checkout -m` to bring back.
fn resolve_undo(sandbox: &Sandbox) -> PathBuf {
    let repository = diverged_repository(sandbox);
    sandbox.git_stops(&repository, &["merge", "side"]);
    write(&repository, "story.txt", "once upon a resolution\n");
    sandbox.git(&repository, &["add", "story.txt"]);
    repository
}

/// The hook leaves the marker, and tells git that anything may have changed.
fn plant_monitor(sandbox: &Sandbox, repository: &Path) {
    let script = planted_script(sandbox) + "printf 'a-token\\0/\\0'\n";
    let hook = write(repository, ".git/hooks/monitor", script);
    chmod(&hook, 0o755);
    sandbox.git(
        repository,
        &["config", "core.fsmonitor", ".git/hooks/monitor"],
    );
    sandbox.git(repository, &["config", "core.fsmonitorHookVersion", "2"]);
    sandbox.git(repository, &["update-index", "--fsmonitor"]);
    sandbox.git(repository, &["status"]);
}

fn fsmonitor_hook(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    plant_monitor(sandbox, &repository);
    append(&repository, "src/one.txt", "after the monitor was asked\n");
    write(&repository, "untracked.txt", "after it, too\n");
    sandbox.forget_marker();
    repository
}

/// The daemon of git itself, where the system has one; nobody but git may start it.
fn fsmonitor_built_in(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    sandbox.git(&repository, &["config", "core.fsmonitor", "true"]);
    append(&repository, "src/one.txt", "edited\n");
    repository
}

/// The index says that a monitor has vouched for the file. Nobody did, and the file was edited.
fn fsmonitor_valid_file_edited(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    let hook = write(
        &repository,
        ".git/hooks/monitor",
        planted_script(sandbox) + "printf 'a-token\\0'\n",
    );
    chmod(&hook, 0o755);
    let monitored = ["-c", "core.fsmonitor=.git/hooks/monitor"];
    let ask = |arguments: &[&str]| sandbox.git(&repository, &[&monitored, arguments].concat());
    ask(&["update-index", "--fsmonitor"]);
    ask(&["status"]);
    ask(&["update-index", "--fsmonitor-valid", "src/one.txt"]);
    append(&repository, "src/one.txt", "edited under fsmonitor-valid\n");
    sandbox.forget_marker();
    repository
}

/// Every write makes a new shared half; the old ones stay for two weeks.
fn split_index_rewritten(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    sandbox.git(&repository, &["config", "core.splitIndex", "true"]);
    sandbox.git(&repository, &["config", "splitIndex.maxPercentChange", "0"]);
    for number in 0..3 {
        write(&repository, format!("{number}.txt"), format!("{number}\n"));
        sandbox.git(&repository, &["add", "--all"]);
    }
    repository
}

/// As above, and the old halves are gone.
fn split_index_expired(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    sandbox.git(&repository, &["config", "core.splitIndex", "true"]);
    sandbox.git(&repository, &["config", "splitIndex.maxPercentChange", "0"]);
    sandbox.git(
        &repository,
        &["config", "splitIndex.sharedIndexExpire", "now"],
    );
    for number in 0..3 {
        write(&repository, format!("{number}.txt"), format!("{number}\n"));
        sandbox.git(&repository, &["add", "--all"]);
    }
    sandbox.git(
        &repository,
        &["config", "splitIndex.maxPercentChange", "100"],
    );
    sandbox.git(&repository, &["rm", "--quiet", "--cached", "0.txt"]);
    append(&repository, "1.txt", "staged over the shared half\n");
    sandbox.git(&repository, &["add", "1.txt"]);
    repository
}

fn split_index_in_a_conflict(sandbox: &Sandbox) -> PathBuf {
    let repository = diverged_repository(sandbox);
    sandbox.git(&repository, &["update-index", "--split-index"]);
    sandbox.git_stops(&repository, &["merge", "side"]);
    append(&repository, "story.txt", "half resolved\n");
    repository
}

/// Version 4, cached trees, resolve-undo, untracked cache, monitor, end of entries and offsets.
fn every_index_extension(sandbox: &Sandbox) -> PathBuf {
    let repository = resolve_undo(sandbox);
    sandbox.git(&repository, &["config", "index.threads", "2"]);
    sandbox.git(&repository, &["config", "core.untrackedCache", "true"]);
    sandbox.git(&repository, &["update-index", "--index-version", "4"]);
    sandbox.git(&repository, &["update-index", "--force-untracked-cache"]);
    sandbox.git(
        &repository,
        &["update-index", "--skip-worktree", "notes.txt"],
    );
    append(&repository, "notes.txt", "edited under skip-worktree\n");
    plant_monitor(sandbox, &repository);
    write(&repository, "intended.txt", "to be added\n");
    sandbox.git(&repository, &["add", "--intent-to-add", "intended.txt"]);
    sandbox.forget_marker();
    repository
}

fn intended_and_gone(sandbox: &Sandbox) -> PathBuf {
    let repository = sandbox.init("repository");
    for name in ["gone.txt", "edited.txt"] {
        write(&repository, name, "to be added\n");
        sandbox.git(&repository, &["add", "-N", name]);
    }
    remove(&repository, "gone.txt");
    append(&repository, "edited.txt", "edited since\n");
    repository
}

fn two_directories(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    for name in [
        "inside/a.txt",
        "outside/b.txt",
        "outside/deep/c.txt",
        "other/d.txt",
    ] {
        write(&repository, name, format!("{name}\n"));
    }
    sandbox.commit(&repository, "two directories");
    repository
}

fn sparse_checkout_by_patterns(sandbox: &Sandbox) -> PathBuf {
    let repository = two_directories(sandbox);
    let patterns = [
        "sparse-checkout",
        "set",
        "--no-cone",
        "/*",
        "!/outside/*",
        "/outside/deep/",
        "!*.md",
    ];
    sandbox.git(&repository, &patterns);
    append(&repository, "outside/deep/c.txt", "edited\n");
    write(&repository, "outside/by-hand.txt", "made by hand\n");
    repository
}

/// At the very path of a tracked file that the sparse checkout left out.
fn sparse_file_made_again(sandbox: &Sandbox) -> PathBuf {
    let repository = two_directories(sandbox);
    sandbox.git(&repository, &["sparse-checkout", "set", "--cone", "inside"]);
    write(
        &repository,
        "outside/b.txt",
        "made by hand in place of the tracked one\n",
    );
    repository
}

fn collapse(sandbox: &Sandbox, repository: &Path) {
    let arguments = [
        "sparse-checkout",
        "set",
        "--cone",
        "--sparse-index",
        "inside",
    ];
    sandbox.git(repository, &arguments);
}

/// One beside, one in place of a tracked file, in directories that the index keeps as one entry.
fn sparse_index_with_a_file_by_hand(sandbox: &Sandbox) -> PathBuf {
    let repository = two_directories(sandbox);
    collapse(sandbox, &repository);
    write(&repository, "outside/deep/by-hand.txt", "made by hand\n");
    write(
        &repository,
        "other/d.txt",
        "made by hand in place of the tracked one\n",
    );
    repository
}

/// Git brings back the file in conflict though the sparse checkout leaves it out, and expands the index.
fn sparse_checkout_in_a_conflict(sandbox: &Sandbox) -> PathBuf {
    let repository = two_directories(sandbox);
    sandbox.git(&repository, &["switch", "--quiet", "--create", "side"]);
    write(&repository, "outside/deep/c.txt", "side\n");
    write(&repository, "inside/a.txt", "side\n");
    sandbox.commit(&repository, "side");
    sandbox.git(&repository, &["switch", "--quiet", "main"]);
    write(&repository, "outside/deep/c.txt", "main\n");
    write(&repository, "inside/a.txt", "main\n");
    sandbox.commit(&repository, "main");
    collapse(sandbox, &repository);
    sandbox.git_stops(&repository, &["merge", "side"]);
    repository
}

/// Settings of this worktree alone decide what is ignored.
fn worktree_excludes(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    sandbox.git(
        &repository,
        &["config", "extensions.worktreeConfig", "true"],
    );
    write(&sandbox.home(), "ignored-here", "*.here\n");
    sandbox.git(
        &repository,
        &[
            "config",
            "--worktree",
            "core.excludesFile",
            "~/ignored-here",
        ],
    );
    sandbox.git(
        &repository,
        &["config", "--worktree", "core.fileMode", "false"],
    );
    write(&repository, "x.here", "ignored in this worktree\n");
    write(&repository, "x.there", "not ignored\n");
    chmod(&repository.join("README.md"), 0o755);
    repository
}
