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
        workspace("partial_clone", partial_clone),
        workspace("partial_clone_sparse", partial_clone_sparse),
        workspace("bitmaps_and_graphs", bitmaps_and_graphs),
        workspace("incremental_pack_lists", incremental_pack_lists),
        workspace("kept_and_cruft_packs", kept_and_cruft_packs),
        workspace(
            "loose_objects_of_other_writers",
            loose_objects_of_other_writers,
        ),
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

/// A repository that gives a part of its objects, with versions of files that a clone does not need.
pub fn promisor(sandbox: &Sandbox) -> PathBuf {
    let origin = small_repository(sandbox);
    for number in 0..4 {
        let text = format!("version {number}\n");
        write(&origin, "src/one.txt", &text);
        write(&origin, "docs/only.txt", &text);
        sandbox.commit(&origin, "another version");
    }
    for setting in ["uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"] {
        sandbox.git(&origin, &["config", setting, "true"]);
    }
    origin
}

/// Old versions of files are missing; commits, a stash, and staged and untracked work stand on what is there.
pub fn partial_clone(sandbox: &Sandbox) -> PathBuf {
    let origin = promisor(sandbox);
    let repository = clone(sandbox, &["--filter=blob:none"], &origin, "clone");
    append(&repository, "src/one.txt", "of its own\n");
    sandbox.commit(&repository, "its own");
    append(&repository, "README.md", "stashed\n");
    sandbox.git(&repository, &["stash", "push", "--quiet"]);
    append(&repository, "docs/only.txt", "staged\n");
    sandbox.git(&repository, &["add", "docs/only.txt"]);
    write(&repository, "untracked.txt", "untracked\n");
    repository
}

/// The index names files that were never fetched.
fn partial_clone_sparse(sandbox: &Sandbox) -> PathBuf {
    let origin = promisor(sandbox);
    let options = ["--filter=blob:none", "--sparse"];
    let repository = clone(sandbox, &options, &origin, "clone");
    let set = ["sparse-checkout", "set", "--cone", "src/deep"];
    sandbox.git(&repository, &set);
    append(&repository, "README.md", "edited\n");
    repository
}

/// Commits of which each is in a pack of its own.
fn pack_by_pack(sandbox: &Sandbox, packs: usize) -> PathBuf {
    let repository = small_repository(sandbox);
    sandbox.git(&repository, &["repack", "--quiet", "-d"]);
    for number in 1..packs {
        write(&repository, "growing.txt", format!("line {number}\n"));
        sandbox.commit(&repository, "growing");
        sandbox.git(&repository, &["repack", "--quiet", "-d"]);
    }
    repository
}

/// The files of the object store whose names end so.
#[track_caller]
fn assert_some(repository: &Path, directory: &str, ending: &str, count: usize) {
    let directory = repository.join(".git/objects").join(directory);
    let names = std::fs::read_dir(&directory).expect("the directory is read");
    let names = names.map(|entry| entry.expect("an entry").file_name());
    let found = names.filter(|name| name.to_str().is_some_and(|name| name.ends_with(ending)));
    assert_eq!(found.count(), count, "{ending} in {}", directory.display());
}

/// Everything that git derives from its packs: bitmaps, a list of packs with a bitmap, a commit graph in two parts.
fn bitmaps_and_graphs(sandbox: &Sandbox) -> PathBuf {
    let repository = pack_by_pack(sandbox, 2);
    let write_graph = ["commit-graph", "write", "--reachable", "--split=no-merge"];
    sandbox.git(&repository, &write_graph);
    append(&repository, "growing.txt", "more\n");
    sandbox.commit(&repository, "more");
    sandbox.git(&repository, &write_graph);
    let bitmap = ["repack", "--quiet", "-a", "-d", "--write-bitmap-index"];
    sandbox.git(&repository, &bitmap);
    append(&repository, "growing.txt", "even more\n");
    sandbox.commit(&repository, "even more");
    sandbox.git(&repository, &["repack", "--quiet", "-d"]);
    sandbox.git(&repository, &["multi-pack-index", "write", "--bitmap"]);
    assert_some(&repository, "info/commit-graphs", ".graph", 2);
    assert_some(&repository, "pack", ".bitmap", 2);
    assert_some(&repository, "pack", "multi-pack-index", 1);
    repository
}

/// A list of packs in layers, where this git makes one; else a whole one.
fn incremental_pack_lists(sandbox: &Sandbox) -> PathBuf {
    let repository = pack_by_pack(sandbox, 2);
    let incremental = ["multi-pack-index", "write", "--incremental"];
    if !sandbox.try_git(&repository, &incremental).status.success() {
        eprintln!("SKIPPED: this git writes no incremental multi-pack-index");
        sandbox.git(&repository, &["multi-pack-index", "write"]);
        return repository;
    }
    append(&repository, "growing.txt", "more\n");
    sandbox.commit(&repository, "more");
    sandbox.git(&repository, &["repack", "--quiet", "-d"]);
    sandbox.git(&repository, &incremental);
    assert_some(&repository, "pack/multi-pack-index.d", ".midx", 2);
    repository
}

/// A pack that is kept, one of unreachable objects with their times, and one without anything beside it.
fn kept_and_cruft_packs(sandbox: &Sandbox) -> PathBuf {
    let repository = pack_by_pack(sandbox, 1);
    let packs = std::fs::read_dir(repository.join(".git/objects/pack"));
    let packs = packs
        .expect("the packs")
        .map(|entry| entry.expect("an entry").path());
    let pack = packs.filter(|path| path.extension().is_some_and(|ending| ending == "pack"));
    for pack in pack {
        std::fs::write(pack.with_extension("keep"), "kept by hand\n").expect("written");
    }
    write(&repository, "lost.txt", "in a lost commit\n");
    sandbox.commit(&repository, "lost");
    sandbox.git(&repository, &["reset", "--quiet", "--hard", "HEAD~1"]);
    sandbox.git(&repository, &["reflog", "expire", "--expire=now", "--all"]);
    append(&repository, "README.md", "not lost\n");
    sandbox.commit(&repository, "not lost");
    sandbox.git(&repository, &["repack", "--quiet", "--cruft", "-d"]);
    assert_some(&repository, "pack", ".keep", 1);
    assert_some(&repository, "pack", ".mtimes", 1);
    assert_some(&repository, "pack", ".pack", 3);
    repository
}

/// Loose objects that are stored, pressed as hard as can be, and with the small window that some old writers name.
fn loose_objects_of_other_writers(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    for level in ["0", "1", "9"] {
        let text = format!("of level {level}\n").repeat(20);
        write(&repository, format!("level-{level}.txt"), text);
        let setting = format!("core.looseCompression={level}");
        sandbox.git(&repository, &["-c", &setting, "add", "--all"]);
    }
    sandbox.git(&repository, &["commit", "--quiet", "-m", "levels"]);
    write(&repository, "window.txt", "in a window of 256 bytes\n");
    sandbox.commit(&repository, "window");
    let id = sandbox.git_text(&repository, &["rev-parse", "HEAD:window.txt"]);
    let object = format!(".git/objects/{}/{}", &id[..2], &id[2..]);
    let object = repository.join(object);
    let mut bytes = std::fs::read(&object).expect("the object is read");
    // RFC 1950: a window of 256 bytes, and a check that makes the first two bytes a multiple of 31.
    bytes[0] = 0x18;
    bytes[1] = (31 - (0x1800_u16 % 31) as u8) % 31;
    std::fs::remove_file(&object).expect("removed");
    std::fs::write(&object, bytes).expect("written");
    sandbox.git(&repository, &["fsck", "--full", "--strict"]);
    repository
}
