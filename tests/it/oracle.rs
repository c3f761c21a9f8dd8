//! The judge is judged: a faithful copy of each state compares equal, and every single thing done to a copy is named.

use std::fs;
use std::path::{Path, PathBuf};

use crate::support::files::{
    SECOND, append, chmod, mkdir, remove, set_mtime, set_symlink_mtime, symlink, write,
};
use crate::support::fingerprint::Fingerprint;
use crate::support::states::State;
use crate::support::{Kind, RepoState, RootTimes, Sandbox, states};

#[test]
fn a_copy_of_every_state_is_the_same_workspace() {
    let states = states::all_states();
    std::thread::scope(|scope| {
        for part in states.chunks(states.len().div_ceil(4)) {
            scope.spawn(|| part.iter().for_each(assert_copy_is_the_same));
        }
    });
}

fn assert_copy_is_the_same(state: &State) {
    let sandbox = Sandbox::new();
    let source = (state.build)(&sandbox);
    let original = RepoState::capture(&sandbox, &source, state.kind);
    let copied = sandbox.copy(&source, "copied");
    let copied = RepoState::capture(&sandbox, &copied, state.kind);
    let differences = original.differences(&copied, RootTimes::Compared);
    assert!(differences.is_empty(), "{}: {differences:#?}", state.name);
}

/// A file of the repository that must be there, and bytes that must be in it, for the state to be what its name says.
const EVIDENCE: &[(&str, &str, &[u8])] = &[
    ("conflict_stages", ".git/MERGE_HEAD", b"\n"),
    ("conflict_stages", ".git/AUTO_MERGE", b"\n"),
    ("conflict_stages", "story.txt", b"<<<<<<<"),
    ("three_stashes", ".git/logs/refs/stash", b"oldest"),
    ("three_stashes", ".git/logs/refs/stash", b"all"),
    (
        "rebase_with_autostash",
        ".git/rebase-merge/autostash",
        b"\n",
    ),
    (
        "rebase_with_autostash",
        ".git/rebase-merge/git-rebase-todo",
        b"break",
    ),
    (
        "rebase_stopped_by_conflict",
        ".git/rebase-merge/stopped-sha",
        b"",
    ),
    ("merge_with_autostash", ".git/MERGE_AUTOSTASH", b"\n"),
    ("cherry_pick_sequence", ".git/CHERRY_PICK_HEAD", b"\n"),
    ("cherry_pick_sequence", ".git/sequencer/todo", b"side three"),
    ("revert_stopped", ".git/REVERT_HEAD", b"\n"),
    ("revert_stopped", ".git/sequencer/todo", b"revert"),
    ("bisect_running", ".git/BISECT_LOG", b"good"),
    ("am_stopped", ".git/rebase-apply/next", b"2"),
    ("rerere_conflict", ".git/MERGE_RR", b"story.txt"),
    ("alternates", ".git/objects/info/alternates", b"repository"),
    (
        "packed_and_loose_refs",
        ".git/packed-refs",
        b"refs/heads/stale",
    ),
    ("packed_and_loose_refs", ".git/refs/heads/stale", b"\n"),
    (
        "packs_and_loose_objects",
        ".git/objects/pack/multi-pack-index",
        b"MIDX",
    ),
    ("remotes_and_fetch_head", ".git/FETCH_HEAD", b"v1"),
    ("notes_and_replacements", ".git/refs/notes/review", b"\n"),
    ("sha256_repository", ".git/config", b"sha256"),
    ("split_index", ".git/index", b"link"),
    ("index_version_4", ".git/index", b"DIRC\0\0\0\x04"),
    ("untracked_cache", ".git/index", b"UNTR"),
    ("sparse_checkout", ".git/info/sparse-checkout", b"inside"),
    ("sparse_index", ".git/index", b"sdir"),
    ("bare_repository", "packed-refs", b"refs/heads/main"),
    ("clean", ".git/index", b"DIRC\0\0\0\x02"),
    ("flagged_files_edited", ".git/index", b"DIRC\0\0\0\x03"),
    ("index_with_offset_table", ".git/index", b"IEOT"),
    ("index_with_offset_table", ".git/index", b"EOIE"),
    (
        "index_without_checksum",
        ".git/index",
        b"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
    ),
    ("resolve_undo", ".git/index", b"REUC"),
    ("fsmonitor_hook", ".git/index", b"FSMN"),
    ("fsmonitor_valid_file_edited", ".git/index", b"FSMN"),
    ("split_index_rewritten", ".git/index", b"link"),
    ("split_index_expired", ".git/index", b"link"),
    ("split_index_in_a_conflict", ".git/index", b"link"),
    ("every_index_extension", ".git/index", b"DIRC\0\0\0\x04"),
    ("every_index_extension", ".git/index", b"TREE"),
    ("every_index_extension", ".git/index", b"REUC"),
    ("every_index_extension", ".git/index", b"UNTR"),
    ("every_index_extension", ".git/index", b"FSMN"),
    ("every_index_extension", ".git/index", b"EOIE"),
    ("every_index_extension", ".git/index", b"IEOT"),
    ("sparse_checkout", ".git/config.worktree", b"sparseCheckout"),
    (
        "sparse_checkout_by_patterns",
        ".git/info/sparse-checkout",
        b"!/outside/*",
    ),
    (
        "sparse_file_made_again",
        ".git/info/sparse-checkout",
        b"/inside/",
    ),
    ("sparse_index_with_a_file_by_hand", ".git/index", b"sdir"),
    (
        "sparse_checkout_in_a_conflict",
        "outside/deep/c.txt",
        b"<<<<<<<",
    ),
    ("sparse_checkout_in_a_conflict", ".git/MERGE_HEAD", b"\n"),
    ("worktree_excludes", ".git/config.worktree", b"excludesFile"),
    (
        "rebase_among_fixups",
        ".git/rebase-merge/current-fixups",
        b"fixup",
    ),
    ("rebase_among_fixups", ".git/rebase-merge/autostash", b"\n"),
    (
        "rebase_among_fixups",
        ".git/rebase-merge/git-rebase-todo",
        b"edit",
    ),
    (
        "rebase_of_merges_stopped",
        ".git/rebase-merge/refs-to-delete",
        b"refs/rewritten/",
    ),
    (
        "rebase_of_merges_stopped",
        ".git/refs/rewritten/onto",
        b"\n",
    ),
    (
        "rebase_by_patches_stopped",
        ".git/rebase-apply/rebasing",
        b"",
    ),
    (
        "rebase_by_patches_stopped",
        ".git/rebase-apply/autostash",
        b"\n",
    ),
    (
        "rebase_command_failed",
        ".git/rebase-merge/git-rebase-todo",
        b"exec",
    ),
    (
        "cherry_pick_committed_by_hand",
        ".git/sequencer/todo",
        b"side three",
    ),
    ("cherry_pick_without_commit", "later.txt", b"later"),
    ("revert_sequence_edited", ".git/sequencer/todo", b"revert"),
    ("bisect_with_skip_and_run", ".git/BISECT_LOG", b"skip"),
    ("bisect_with_skip_and_run", ".git/BISECT_RUN", b""),
    ("bisect_with_skip_and_run", ".git/BISECT_TERMS", b"broken"),
    ("bisect_with_skip_and_run", ".git/BISECT_FIRST_PARENT", b""),
    (
        "bisect_with_skip_and_run",
        ".git/BISECT_NAMES",
        b"number.txt",
    ),
    ("bisect_without_checkout", ".git/BISECT_HEAD", b"\n"),
    ("am_without_ancestors", ".git/rebase-apply/applying", b""),
    ("am_without_ancestors", "story.txt.rej", b"time"),
    ("merge_squashed", ".git/SQUASH_MSG", b"Squashed"),
    ("merge_squashed", "story.txt", b"<<<<<<<"),
    ("merge_not_committed", ".git/MERGE_MODE", b"no-ff"),
    ("octopus_conflict", ".git/MERGE_HEAD", b"\n"),
    ("octopus_conflict", "story.txt", b"<<<<<<<"),
    ("renames_in_conflict", "thing~side", b"a file"),
    ("checkout_with_merge", "story.txt", b"<<<<<<<"),
    ("rerere_preimage", ".git/MERGE_RR", b"story.txt"),
    ("notes_merge_stopped", ".git/NOTES_MERGE_PARTIAL", b"\n"),
    (
        "notes_merge_stopped",
        ".git/NOTES_MERGE_REF",
        b"refs/notes/commits",
    ),
    ("stash_pop_in_conflict", ".git/refs/stash", b"\n"),
    ("stash_pop_in_conflict", "story.txt", b"<<<<<<<"),
    ("stashes_of_parts", ".git/logs/refs/stash", b"\n"),
];

#[test]
fn the_states_are_what_their_names_say() {
    for (name, file, expected) in EVIDENCE {
        let sandbox = Sandbox::new();
        let source = (states::find(name).build)(&sandbox);
        let content = fs::read(source.join(file))
            .unwrap_or_else(|error| panic!("{name}: cannot read '{file}': {error}"));
        let found = expected.is_empty()
            || content
                .windows(expected.len())
                .any(|window| window == *expected);
        assert!(
            found,
            "{name}: '{file}' lacks \"{}\"",
            expected.escape_ascii()
        );
        assert!(
            !sandbox.marker().exists(),
            "{name}: the marker is there already"
        );
    }
}

/// One thing done to a copy, and the beginning of the line that must name it.
type Damage = (&'static str, fn(&Sandbox, &Path), &'static str);

const DAMAGES: &[Damage] = &[
    (
        "content",
        |_, copy| edit_in_place(copy, "kept.txt"),
        "working tree 'kept.txt': a file",
    ),
    (
        "mode",
        |_, copy| chmod(&copy.join("kept.txt"), 0o600),
        "working tree 'kept.txt': mode",
    ),
    (
        "time",
        |_, copy| set_mtime(&copy.join("kept.txt"), SECOND + 1),
        "working tree 'kept.txt': mtime",
    ),
    (
        "a nanosecond",
        |_, copy| add_a_nanosecond(&copy.join("kept.txt")),
        "working tree 'kept.txt': mtime",
    ),
    (
        "directory mode",
        |_, copy| chmod(&copy.join("empty"), 0o700),
        "working tree 'empty': mode",
    ),
    (
        "directory time",
        |_, copy| set_mtime(&copy.join("src"), 1),
        "working tree 'src': mtime",
    ),
    (
        "root time",
        |_, copy| set_mtime(copy, 1),
        "working tree '.': mtime",
    ),
    (
        "lost untracked file",
        |_, copy| remove(copy, "kept.txt"),
        "working tree 'kept.txt': missing",
    ),
    (
        "lost empty directory",
        |_, copy| remove_directory(copy, "empty"),
        "working tree 'empty': missing",
    ),
    (
        "lost odd name",
        |_, copy| remove(copy, b"odd \xff\n"),
        "working tree 'odd \\xff\\n': missing",
    ),
    (
        "extra file",
        |_, copy| drop(write(copy, "src/extra", "")),
        "working tree 'src/extra': not in the original",
    ),
    (
        "other target",
        |_, copy| link_elsewhere(copy),
        "working tree 'link': a symlink to",
    ),
    (
        "symlink time",
        |_, copy| set_symlink_mtime(&copy.join("link"), 1),
        "working tree 'link': mtime",
    ),
    (
        "file for a symlink",
        |_, copy| file_for_link(copy),
        "working tree 'link': mode",
    ),
    (
        "ignored file came along",
        |_, copy| drop(write(copy, "src/x.log", "")),
        "working tree 'src/x.log': not in the original",
    ),
    (
        "HEAD",
        |_, copy| drop(write(copy, ".git/HEAD", "ref: refs/heads/other\n")),
        "git directory 'HEAD': a file",
    ),
    (
        "index",
        |_, copy| drop(append(copy, ".git/index", "x")),
        "git directory 'index': size",
    ),
    (
        "index time",
        |_, copy| add_a_nanosecond(&copy.join(".git/index")),
        "git directory 'index': mtime",
    ),
    (
        "reflog",
        |_, copy| remove(copy, ".git/logs/HEAD"),
        "git directory 'logs/HEAD': missing",
    ),
    (
        "ref",
        |sandbox, copy| drop(sandbox.git(copy, &["update-ref", "refs/x", "HEAD"])),
        "git for-each-ref",
    ),
    (
        "config",
        |_, copy| drop(append(copy, ".git/config", "#")),
        "git directory 'config': size",
    ),
    (
        "hook mode",
        |_, copy| chmod(&copy.join(".git/hooks/pre-commit.sample"), 0o644),
        "git directory 'hooks/pre-commit.sample': mode",
    ),
    (
        "stash",
        |sandbox, copy| drop(sandbox.git(copy, &["stash", "drop", "--quiet"])),
        "git stash list",
    ),
    (
        "empty ref directory",
        |_, copy| remove_directory(copy, ".git/refs/tags"),
        "git directory 'refs/tags': missing",
    ),
    (
        "operation file",
        |_, copy| drop(write(copy, ".git/MERGE_HEAD", "")),
        "git directory 'MERGE_HEAD': not in the original",
    ),
    (
        "lost unreachable object",
        |_, copy| remove_loose_object(copy, UNREACHABLE),
        "object 9711d37",
    ),
    (
        "lost reachable object",
        |_, copy| remove_loose_object(copy, README),
        "git fsck",
    ),
];

/// The blobs of "unreachable\n" and of the README.
const UNREACHABLE: &str = "9711d37";
const README: &str = "5a0b69c";

#[test]
fn whatever_is_done_to_a_copy_is_named() {
    let sandbox = Sandbox::new();
    let source = repository_with_a_little_of_everything(&sandbox);
    let original = RepoState::capture(&sandbox, &source, Kind::Workspace).without_ignored();
    for (name, damage, expected) in DAMAGES {
        let copied = sandbox.copy(&source, &format!("copied {name}"));
        keep_times_of(&copied.join("src"), || remove(&copied, "src/left-out.log"));
        let faithful = RepoState::capture(&sandbox, &copied, Kind::Workspace);
        RepoState::assert_same_workspace(&original, &faithful);
        damage(&sandbox, &copied);
        let damaged = RepoState::capture(&sandbox, &copied, Kind::Workspace);
        let differences = original.differences(&damaged, RootTimes::Compared);
        assert!(
            differences.iter().any(|line| line.starts_with(expected)),
            "{name}: no line begins with \"{expected}\": {differences:#?}"
        );
    }
}

fn repository_with_a_little_of_everything(sandbox: &Sandbox) -> PathBuf {
    let source = states::small_repository(sandbox);
    write(&source, ".gitignore", "*.log\n");
    sandbox.commit(&source, "ignore rules");
    append(&source, "README.md", "stashed\n");
    sandbox.git(&source, &["stash", "push", "--quiet"]);
    write(&source, "kept.txt", "untracked\n");
    write(&source, b"odd \xff\n", "odd\n");
    write(&source, "src/left-out.log", "ignored\n");
    mkdir(&source, "empty");
    symlink(&source, "link", "kept.txt");
    let lost = write(&sandbox.path("tmp"), "lost", "unreachable\n");
    sandbox.git(
        &source,
        &["hash-object", "-w", lost.to_str().expect("a UTF-8 path")],
    );
    source
}

#[test]
fn root_times_count_only_when_asked_for() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let original = RepoState::capture(&sandbox, &source, Kind::Workspace);
    set_mtime(&source, 1);
    set_mtime(&source.join(".git"), 2);
    let later = RepoState::capture(&sandbox, &source, Kind::Workspace);
    assert_eq!(original.differences(&later, RootTimes::Ignored), [""; 0]);
    assert_eq!(original.differences(&later, RootTimes::Compared).len(), 2);
}

#[test]
fn a_fingerprint_sees_what_was_put_back() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let path = source.join(".git/index");
    let before = Fingerprint::of(&source);
    before.assert_untouched(&source);
    keep_times_of(&path, || drop(fs::read(&path).expect("the index is read")));
    assert!(!before.changes(&Fingerprint::of(&source)).is_empty());
}

fn edit_in_place(copy: &Path, name: &str) {
    let path = copy.join(name);
    let size = fs::metadata(&path).expect("the file is there").len();
    let size = usize::try_from(size).expect("a small file");
    keep_times_of(&path, || {
        fs::write(&path, vec![b'x'; size]).expect("the file is written");
    });
}

/// Does something to a path and sets its modification time to what it was.
fn keep_times_of(path: &Path, action: impl FnOnce()) {
    let before = fs::metadata(path).and_then(|metadata| metadata.modified());
    action();
    let file = fs::File::open(path).expect("the path is opened");
    file.set_modified(before.expect("its time"))
        .expect("the time is set");
}

fn add_a_nanosecond(path: &Path) {
    let before = fs::metadata(path).and_then(|metadata| metadata.modified());
    let later = before.expect("its time") + std::time::Duration::from_nanos(1);
    let file = fs::File::open(path).expect("the path is opened");
    file.set_modified(later).expect("the time is set");
}

fn remove_directory(copy: &Path, name: &str) {
    fs::remove_dir(copy.join(name)).expect("the directory is removed");
}

fn link_elsewhere(copy: &Path) {
    remove(copy, "link");
    symlink(copy, "link", "kept_txt");
}

fn file_for_link(copy: &Path) {
    remove(copy, "link");
    write(copy, "link", "kept.txt");
}

fn remove_loose_object(copy: &Path, prefix: &str) {
    let directory = copy.join(".git/objects").join(&prefix[..2]);
    for item in fs::read_dir(directory).expect("the directory is there") {
        let path = item.expect("the directory goes on").path();
        if path
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(&prefix[2..]))
        {
            fs::remove_file(path).expect("the object is removed");
        }
    }
}
