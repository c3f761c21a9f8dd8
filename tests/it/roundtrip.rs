//! Every repository state goes into a vault and comes out the same, and the source is left as it was.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::extended_attributes::{self, Setting};
use crate::support::files::{append, remove, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::listing;
use crate::support::states::{self, State};
use crate::support::{Kind, RepoState, Sandbox};

macro_rules! round_trips {
    ($list:ident: $($name:ident)*) => {
        const $list: &[&str] = &[$(stringify!($name)),*];

        $(
            #[test]
            fn $name() {
                super::assert_round_trip(super::states::find(stringify!($name)));
            }
        )*
    };
}

mod state {
    round_trips! { QUICK:
        clean
        staged_unstaged_and_untracked
        conflict_stages
        every_kind_of_conflict
        intent_to_add
        flagged_files_edited
        file_replaced_by_directory
        removed_from_index_then_edited
        everything_deleted
        unborn_with_files
        unborn_and_empty
        detached_head
        three_stashes
        rebase_with_autostash
        rebase_stopped_by_conflict
        merge_with_autostash
        cherry_pick_sequence
        revert_stopped
        bisect_running
        am_stopped
        rerere_conflict
        odd_names
        names_that_look_like_git
        long_names
        attributes
        filter_that_must_never_run
        crlf_with_autocrlf
        large_files_by_pointers
        large_files_by_links
        nested_ignore_files
        ignore_rules_outside_the_tree
        tracked_files_that_match_ignore_rules
        uncommitted_ignore_file
        directories_with_only_ignored_files
        symlinks
        modes
        times
        empty_files_and_directories
        sparse_checkout
        packed_and_loose_refs
        packed_case_twins
        broken_refs
        notes_and_replacements
        remotes_and_fetch_head
        alternates
        packs_and_loose_objects
        unreachable_objects
        hooks_and_config
        worktree_config
        bare_repository
        sha256_repository
        split_index
        index_version_4
        untracked_cache
        sparse_index
        reflog_without_ref
        index_with_offset_table
        index_without_checksum
        resolve_undo
        fsmonitor_hook
        fsmonitor_built_in
        fsmonitor_valid_file_edited
        split_index_rewritten
        split_index_expired
        split_index_in_a_conflict
        every_index_extension
        intended_and_gone
        sparse_checkout_by_patterns
        sparse_file_made_again
        sparse_index_with_a_file_by_hand
        sparse_checkout_in_a_conflict
        worktree_excludes
        rebase_among_fixups
        rebase_of_merges_stopped
        rebase_by_patches_stopped
        rebase_command_failed
        cherry_pick_committed_by_hand
        cherry_pick_without_commit
        revert_sequence_edited
        bisect_with_skip_and_run
        bisect_without_checkout
        am_without_ancestors
        merge_squashed
        merge_not_committed
        octopus_conflict
        renames_in_conflict
        checkout_with_merge
        rerere_preimage
        notes_merge_stopped
        stash_pop_in_conflict
        stashes_of_parts
        reftable_refs
        reftable_detached
        reftable_many_tables
        reftable_packed
        reftable_sha256
        reftable_rebase
        reftable_bare
        shallow_clone
        shallow_with_work
        history_cut_by_fetch
        grafts
        grafts_over_missing_history
        partial_clone
        partial_clone_sparse
        bitmaps_and_graphs
        incremental_pack_lists
        kept_and_cruft_packs
        loose_objects_of_other_writers
    }

    #[test]
    fn every_state_has_its_round_trip() {
        let states = super::states::all_states();
        let names: Vec<&str> = states.iter().map(|state| state.name).collect();
        assert_eq!(names, QUICK);
    }
}

mod heavy_state {
    round_trips! { HEAVY:
        hundred_megabytes_untracked
        thirty_megabytes_committed
    }

    #[test]
    fn every_heavy_state_has_its_round_trip() {
        let states = super::states::heavy_states();
        let names: Vec<&str> = states.iter().map(|state| state.name).collect();
        assert_eq!(names, HEAVY);
    }
}

#[track_caller]
fn assert_round_trip(state: State) {
    assert_round_trip_in(&Sandbox::new(), state);
}

/// The same in a sandbox that was prepared; gives the source and the restored copy.
#[track_caller]
pub fn assert_round_trip_in(sandbox: &Sandbox, state: State) -> (PathBuf, PathBuf) {
    let source = (state.build)(sandbox);
    let original = RepoState::capture(sandbox, &source, state.kind);
    sandbox.forget_marker();
    let untouched = Fingerprint::of(&sandbox.workplace());

    let said = sandbox.vault(&source, &["--json", "snapshot"]).succeeded();
    let answer = said.json();
    assert_eq!(answer["outcome"], "sealed", "{said}");
    let id = answer["snapshot"]["id"].as_str().expect("an id");
    let _said = sandbox.vault(&source, &["verify", "--deep"]).succeeded();
    let restored = sandbox.restore(&source, id, "restored");

    untouched.assert_untouched(&sandbox.workplace());
    assert!(
        !sandbox.marker().exists(),
        "a command planted in the repository was run"
    );
    let found = RepoState::capture(sandbox, &restored, state.kind);
    RepoState::assert_same_workspace(&original.without_ignored(), &found);
    assert_fsck_agrees(sandbox, &source, &restored);
    (source, restored)
}

/// The restored copy satisfies `git fsck` exactly where the source does, and with no more to say.
#[track_caller]
pub fn assert_fsck_agrees(sandbox: &Sandbox, source: &Path, restored: &Path) {
    let arguments = [
        "fsck",
        "--full",
        "--strict",
        "--no-progress",
        "--no-dangling",
    ];
    let environment = [("GIT_OPTIONAL_LOCKS", "0")];
    let before = sandbox.try_git_with(source, &environment, &arguments);
    let after = sandbox.try_git_with(restored, &environment, &arguments);
    assert_eq!(
        (
            after.status.code(),
            sorted_lines(&after.stdout),
            sorted_lines(&after.stderr)
        ),
        (
            before.status.code(),
            sorted_lines(&before.stdout),
            sorted_lines(&before.stderr)
        ),
        "git fsck judges the restored copy differently"
    );
}

fn sorted_lines(text: &[u8]) -> BTreeSet<String> {
    let text = String::from_utf8_lossy(text);
    text.lines().map(str::to_owned).collect()
}

#[test]
fn gc_prune_now_in_the_source_between_two_snapshots() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    write(
        &source,
        "lost.txt",
        "in a commit that will be amended away\n",
    );
    sandbox.commit(&source, "to be lost");
    append(&source, "README.md", "in a stash that will be dropped\n");
    sandbox.git(&source, &["stash", "push", "--quiet"]);
    write(
        &source,
        "unstaged-later.txt",
        "staged for the first snapshot only\n",
    );
    sandbox.git(&source, &["add", "--all"]);
    let first_state = RepoState::capture(&sandbox, &source, Kind::Workspace);
    let first = sandbox.snapshot(&source);

    sandbox.git(&source, &["stash", "drop", "--quiet"]);
    sandbox.git(&source, &["reset", "--quiet", "--hard", "HEAD~1"]);
    sandbox.git(&source, &["reflog", "expire", "--expire=now", "--all"]);
    sandbox.git(&source, &["gc", "--quiet", "--prune=now"]);
    append(&source, "src/one.txt", "after the collection\n");
    sandbox.commit(&source, "after the collection");
    remove(&source, "src/two.txt");
    let second_state = RepoState::capture(&sandbox, &source, Kind::Workspace);
    assert!(!first_state.objects_are_in(&second_state));
    let second = sandbox.snapshot(&source);

    let _said = sandbox.vault(&source, &["verify", "--deep"]).succeeded();
    for (id, expected, name) in [
        (&first, &first_state, "first"),
        (&second, &second_state, "second"),
    ] {
        let restored = sandbox.restore(&source, id, name);
        let restored = RepoState::capture(&sandbox, &restored, Kind::Workspace);
        RepoState::assert_same_workspace(expected, &restored);
    }
}

#[test]
fn a_snapshot_outlives_its_source() {
    let sandbox = Sandbox::new();
    let source = (states::find("alternates").build)(&sandbox);
    let original = RepoState::capture(&sandbox, &source, Kind::Workspace);
    let said = sandbox.vault(&source, &["--json", "snapshot"]).succeeded();
    let answer = said.json();
    let id = answer["snapshot"]["id"].as_str().expect("an id");
    let vault = answer["vault"].as_str().expect("the vault's directory");
    fs::remove_dir_all(sandbox.workplace()).expect("the source is removed");

    let destination = sandbox.path("restored");
    let text = destination.to_str().expect("a UTF-8 path");
    let arguments = ["--vault", vault, "restore", id, text];
    let _said = sandbox.vault(&sandbox.home(), &arguments).succeeded();
    let restored = RepoState::capture(&sandbox, &destination, Kind::Workspace);
    RepoState::assert_same_workspace(&original, &restored);
}

#[test]
fn a_second_snapshot_of_the_same_state_is_unchanged() {
    let sandbox = Sandbox::new();
    let source = (states::find("staged_unstaged_and_untracked").build)(&sandbox);
    let _first = sandbox.snapshot(&source);
    let untouched = Fingerprint::of(&sandbox.workplace());
    let said = sandbox.vault(&source, &["--json", "snapshot"]).succeeded();
    assert_eq!(said.json()["outcome"], "unchanged", "{said}");
    untouched.assert_untouched(&sandbox.workplace());
}

/// The working trees alone are compared: git itself may see no change here, for many builds compare whole seconds.
#[test]
fn a_same_size_edit_with_the_old_time_is_captured() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let path = source.join("src/two.txt");
    let times = fs::metadata(&path).and_then(|metadata| metadata.modified());
    let _first = sandbox.snapshot(&source);
    write(&source, "src/two.txt", "SECOND FILE\n");
    let file = fs::File::open(&path).expect("the file is opened");
    file.set_modified(times.expect("its time"))
        .expect("the time is set");
    let original = RepoState::capture(&sandbox, &source, Kind::Workspace);
    let second = sandbox.snapshot(&source);
    let restored = sandbox.restore(&source, &second, "restored");
    let restored = RepoState::capture(&sandbox, &restored, Kind::Workspace);
    let differences = listing::differences("", &original.working_tree, &restored.working_tree);
    assert_eq!(differences, [""; 0]);
}

#[test]
fn restored_ignored_files_are_none_at_all() {
    let sandbox = Sandbox::new();
    let source = (states::find("nested_ignore_files").build)(&sandbox);
    let original = RepoState::capture(&sandbox, &source, Kind::Workspace);
    assert!(original.ignored.contains(b"build".as_slice()));
    let id = sandbox.snapshot(&source);
    let restored = sandbox.restore(&source, &id, "restored");
    let restored = RepoState::capture(&sandbox, &restored, Kind::Workspace);
    assert!(restored.ignored.is_empty());
}

#[test]
fn user_extended_attributes_come_back() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let setting = extended_attributes::set(&source.join("README.md"), "user.origin", "by hand");
    if setting == Setting::Unavailable {
        return;
    }
    let _setting = extended_attributes::set(&source.join("src"), "user.colour", "blue");
    let id = sandbox.snapshot(&source);
    let restored = sandbox.restore(&source, &id, "restored");
    for name in ["README.md", "src", "src/one.txt"] {
        assert_eq!(
            extended_attributes::list(&restored.join(name)),
            extended_attributes::list(&source.join(name)),
            "{name}"
        );
    }
}
