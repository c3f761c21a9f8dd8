//! Ignore rules from every place git takes them from.

use std::path::PathBuf;

use super::super::Sandbox;
use super::super::files::{append, mkdir, write};
use super::{State, small_repository, workspace};

pub fn states() -> Vec<State> {
    vec![
        workspace("nested_ignore_files", nested_ignore_files),
        workspace(
            "ignore_rules_outside_the_tree",
            ignore_rules_outside_the_tree,
        ),
        workspace(
            "tracked_files_that_match_ignore_rules",
            tracked_files_that_match_ignore_rules,
        ),
        workspace("uncommitted_ignore_file", uncommitted_ignore_file),
        workspace(
            "directories_with_only_ignored_files",
            directories_with_only_ignored_files,
        ),
    ]
}

fn nested_ignore_files(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    write(
        &repository,
        ".gitignore",
        "*.log\n!keep.log\n/only-at-root\nbuild/\n\\#hash\ntrail\\ \n",
    );
    write(
        &repository,
        "src/.gitignore",
        "!wanted.log\n*.tmp\n/deep/**/secret\n",
    );
    sandbox.commit(&repository, "ignore rules");
    write(&repository, "left-out.log", "ignored\n");
    write(&repository, "keep.log", "negated at the root\n");
    write(&repository, "only-at-root", "ignored\n");
    write(&repository, "src/only-at-root", "not at the root\n");
    write(&repository, "src/wanted.log", "negated below\n");
    write(&repository, "src/left-out.tmp", "ignored\n");
    write(&repository, "kept.tmp", "the rule is only in src\n");
    write(&repository, "src/deep/a/b/secret", "ignored\n");
    write(&repository, "build/keep.log", "ignored: its directory is\n");
    write(&repository, "src/build/output", "ignored at depth\n");
    write(
        &repository,
        "other/build",
        "a file, where the rule wants a directory\n",
    );
    write(&repository, "#hash", "ignored\n");
    write(&repository, "trail ", "ignored\n");
    repository
}

fn ignore_rules_outside_the_tree(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    let arguments = [
        "config",
        "--global",
        "core.excludesFile",
        "~/ignored-everywhere",
    ];
    sandbox.git(&repository, &arguments);
    write(&sandbox.home(), "ignored-everywhere", "*.swp\n.env\n");
    write(
        &repository,
        ".git/info/exclude",
        "# by hand\n/mine\n*.local\n!shared.local\n",
    );
    write(&repository, "src/one.swp", "ignored for this user\n");
    write(&repository, ".env", "TOKEN=1\n");
    write(&repository, "mine", "ignored in this clone\n");
    write(&repository, "src/mine", "not at the root\n");
    write(&repository, "x.local", "ignored in this clone\n");
    write(&repository, "shared.local", "negated\n");
    repository
}

fn tracked_files_that_match_ignore_rules(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    write(&repository, ".gitignore", "*.log\nvendor/\n");
    write(&repository, "tracked.log", "tracked all the same\n");
    write(
        &repository,
        "vendor/tracked.txt",
        "tracked in an ignored directory\n",
    );
    write(&repository, "vendor/sub/tracked.txt", "deeper\n");
    sandbox.git(&repository, &["add", "--force", "--all"]);
    sandbox.git(
        &repository,
        &["commit", "--quiet", "-m", "tracked and ignored"],
    );
    append(&repository, "tracked.log", "edited\n");
    append(&repository, "vendor/tracked.txt", "edited\n");
    write(
        &repository,
        "vendor/left-out.txt",
        "ignored beside a tracked one\n",
    );
    write(
        &repository,
        "vendor/other/left-out.txt",
        "in a directory without tracked files\n",
    );
    mkdir(&repository, "vendor/empty");
    write(
        &repository,
        "vendor/staged.txt",
        "new, forced into the index\n",
    );
    sandbox.git(&repository, &["add", "--force", "vendor/staged.txt"]);
    repository
}

fn uncommitted_ignore_file(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    write(&repository, ".gitignore", "*.out\n");
    write(&repository, "a.out", "ignored by a file nobody committed\n");
    write(&repository, "fresh/.gitignore", "*\n!.gitignore\n!kept\n");
    write(&repository, "fresh/kept", "negated\n");
    write(&repository, "fresh/left-out", "ignored\n");
    repository
}

fn directories_with_only_ignored_files(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    write(&repository, ".gitignore", "*.log\nbuild/\n");
    sandbox.commit(&repository, "ignore rules");
    write(&repository, "logs/a.log", "ignored\n");
    write(&repository, "logs/old/b.log", "ignored\n");
    mkdir(&repository, "logs/empty");
    mkdir(&repository, "build/only/empty/directories");
    mkdir(&repository, "empty/below/empty");
    repository
}
