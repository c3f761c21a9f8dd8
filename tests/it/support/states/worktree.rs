//! Symlinks, modes, times and empty things in the working tree.

use std::path::PathBuf;

use super::super::Sandbox;
use super::super::files::{
    SECOND, append, chmod, mkdir, set_mtime, set_symlink_mtime, symlink, write,
};
use super::{State, small_repository, workspace};

pub fn states() -> Vec<State> {
    vec![
        workspace("symlinks", symlinks),
        workspace("modes", modes),
        workspace("times", times),
        workspace("empty_files_and_directories", empty_files_and_directories),
        workspace("sparse_checkout", sparse_checkout),
    ]
}

fn symlinks(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    let outside = write(
        &sandbox.workplace(),
        "outside.txt",
        "not part of the repository\n",
    );
    symlink(&repository, "tracked-link", "README.md");
    symlink(&repository, "src/up", "../README.md");
    sandbox.commit(&repository, "symlinks");
    symlink(&repository, "dangling", "no/such/file");
    symlink(&repository, "loop-a", "loop-b");
    symlink(&repository, "loop-b", "loop-a");
    symlink(&repository, "itself", "itself");
    symlink(&repository, "to-directory", "src");
    symlink(&repository, "to-git", ".git/config");
    symlink(
        &repository,
        "to-outside",
        outside.to_str().expect("a UTF-8 path"),
    );
    symlink(&repository, "to-root", "/");
    symlink(&repository, "odd-target", b"a\xff\nb\\c ");
    symlink(&repository, "long-target", [b'x'; 4000]);
    std::fs::remove_file(repository.join("tracked-link")).expect("the symlink is removed");
    symlink(&repository, "tracked-link", "src");
    set_symlink_mtime(
        &repository.join("dangling"),
        1_234_567_890 * SECOND + 987_654_321,
    );
    repository
}

fn modes(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    let modes = [
        0o600, 0o755, 0o444, 0o400, 0o640, 0o664, 0o777, 0o700, 0o500,
    ];
    for mode in modes {
        let path = write(
            &repository,
            format!("tracked/{mode:o}"),
            format!("{mode:o}\n"),
        );
        chmod(&path, mode);
    }
    sandbox.commit(&repository, "modes");
    for mode in modes {
        let path = write(
            &repository,
            format!("untracked/{mode:o}"),
            format!("{mode:o}\n"),
        );
        chmod(&path, mode);
    }
    for mode in [0o700, 0o750, 0o777, 0o1777, 0o555] {
        let directory = mkdir(&repository, format!("directories/{mode:o}"));
        write(&directory, "inside", "x\n");
        chmod(&directory, mode);
    }
    chmod(&mkdir(&repository, "empty-0700"), 0o700);
    chmod(&repository.join("README.md"), 0o755);
    chmod(&repository.join(".git/config"), 0o600);
    chmod(&repository, 0o710);
    repository
}

fn times(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    let moments = [
        ("epoch", 0),
        ("1970", 1),
        ("odd", 1_234_567_890 * SECOND + 123_456_789),
        ("last-nanosecond", 1_600_000_000 * SECOND + 999_999_999),
        ("2038", 2_147_483_648 * SECOND + 5),
        ("2106", 4_294_967_296 * SECOND + 7),
    ];
    for (name, nanoseconds) in moments {
        let path = write(&repository, format!("tracked/{name}"), format!("{name}\n"));
        set_mtime(&path, nanoseconds);
    }
    sandbox.commit(&repository, "times");
    for (name, nanoseconds) in moments {
        let path = write(
            &repository,
            format!("untracked/{name}"),
            format!("{name}\n"),
        );
        set_mtime(&path, nanoseconds);
        set_mtime(&mkdir(&repository, format!("empty-{name}")), nanoseconds);
    }
    for (name, nanoseconds) in moments {
        let directory = mkdir(&repository, format!("full-{name}"));
        write(&directory, "inside", "x\n");
        set_mtime(&directory, nanoseconds);
    }
    set_mtime(&repository.join(".git/config"), 1_111_111_111 * SECOND + 1);
    set_mtime(
        &repository.join(".git/refs/tags"),
        1_111_111_112 * SECOND + 2,
    );
    set_mtime(&repository.join(".git"), 1_111_111_113 * SECOND + 3);
    set_mtime(&repository, 1_111_111_114 * SECOND + 4);
    repository
}

fn empty_files_and_directories(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    write(&repository, "tracked-empty", "");
    sandbox.commit(&repository, "an empty file");
    write(&repository, "untracked-empty", "");
    mkdir(&repository, "empty");
    mkdir(&repository, "src/empty/within/empty");
    mkdir(&repository, ".git/refs/heads/empty");
    mkdir(&repository, ".git/branches");
    repository
}

/// Cone mode, with a file made by hand where the cone has nothing.
fn sparse_checkout(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    for name in ["inside/a.txt", "outside/b.txt", "outside/deep/c.txt"] {
        write(&repository, name, format!("{name}\n"));
    }
    sandbox.commit(&repository, "two directories");
    sandbox.git(&repository, &["sparse-checkout", "set", "--cone", "inside"]);
    append(&repository, "inside/a.txt", "edited\n");
    write(
        &repository,
        "outside/by-hand.txt",
        "made by hand in an excluded directory\n",
    );
    repository
}
