//! Operations that are stopped less often, and what else is kept for later, go on in the restored copy as in the original.

use std::path::Path;

use crate::continuation::{assert_autostash_is_back, assert_goes_on_alike, is_rebasing, resolve};
use crate::support::Sandbox;
use crate::support::files::{append, remove, write};

fn finish_rebase(sandbox: &Sandbox, repository: &Path) {
    while is_rebasing(repository) {
        sandbox.git(repository, &["rebase", "--continue"]);
    }
}

/// Runs git, which may stop, and notes how it ended where it is compared.
fn try_and_note(sandbox: &Sandbox, repository: &Path, arguments: &[&str]) {
    let output = sandbox.try_git(repository, arguments);
    let note = format!("{arguments:?} ended with {:?}\n", output.status.code());
    let notes = repository.join(".git/notes-of-the-test");
    let before = std::fs::read_to_string(&notes).unwrap_or_default();
    std::fs::write(&notes, before + &note).expect("the note is written");
}

macro_rules! go_on {
    ($($name:ident: $state:literal, |$sandbox:ident, $repository:ident| $step:block)*) => {
        $(
            #[test]
            fn $name() {
                assert_goes_on_alike($state, |$sandbox, $repository| $step);
            }
        )*
    };
}

go_on! {
    fixups_go_on_and_apply_the_autostash: "rebase_among_fixups", |sandbox, repository| {
        write(repository, "number.txt", "resolved\n");
        sandbox.git(repository, &["add", "number.txt"]);
        try_and_note(sandbox, repository, &["rebase", "--continue"]);
        while is_rebasing(repository) {
            write(repository, "number.txt", "resolved again\n");
            sandbox.git(repository, &["add", "number.txt"]);
            sandbox.git(repository, &["rebase", "--continue"]);
        }
        assert_autostash_is_back(repository, "README.md");
    }
    fixups_are_skipped: "rebase_among_fixups", |sandbox, repository| {
        try_and_note(sandbox, repository, &["rebase", "--skip"]);
        try_and_note(sandbox, repository, &["rebase", "--skip"]);
    }
    fixups_are_aborted: "rebase_among_fixups", |sandbox, repository| {
        sandbox.git(repository, &["rebase", "--abort"]);
        assert_autostash_is_back(repository, "README.md");
    }
    a_rebase_that_is_quit_stashes_the_autostash: "rebase_among_fixups", |sandbox, repository| {
        sandbox.git(repository, &["rebase", "--quit"]);
        sandbox.git(repository, &["checkout", "--quiet", "--force", "main"]);
        sandbox.git(repository, &["stash", "pop"]);
        assert_autostash_is_back(repository, "README.md");
    }
    merges_are_rebased_to_the_end: "rebase_of_merges_stopped", |sandbox, repository| {
        resolve(sandbox, repository);
        sandbox.git(repository, &["rebase", "--continue"]);
        assert!(!is_rebasing(repository));
    }
    merges_go_back: "rebase_of_merges_stopped", |sandbox, repository| {
        sandbox.git(repository, &["rebase", "--abort"]);
    }
    a_rebase_by_patches_goes_on: "rebase_by_patches_stopped", |sandbox, repository| {
        resolve(sandbox, repository);
        sandbox.git(repository, &["rebase", "--continue"]);
        assert_autostash_is_back(repository, "notes.txt");
    }
    a_rebase_by_patches_is_skipped: "rebase_by_patches_stopped", |sandbox, repository| {
        sandbox.git(repository, &["rebase", "--skip"]);
        assert_autostash_is_back(repository, "notes.txt");
    }
    a_rebase_by_patches_goes_back: "rebase_by_patches_stopped", |sandbox, repository| {
        sandbox.git(repository, &["rebase", "--abort"]);
        assert_autostash_is_back(repository, "notes.txt");
    }
    a_failed_command_is_tried_again: "rebase_command_failed", |sandbox, repository| {
        try_and_note(sandbox, repository, &["rebase", "--continue"]);
        write(repository, "src/deep/wanted", "what the command wants\n");
        finish_rebase(sandbox, repository);
    }
    the_rest_of_a_sequence_is_picked: "cherry_pick_committed_by_hand", |sandbox, repository| {
        sandbox.git(repository, &["cherry-pick", "--continue"]);
        assert!(repository.join("later.txt").exists());
    }
    a_sequence_goes_back_behind_a_commit_by_hand: "cherry_pick_committed_by_hand", |sandbox, repository| {
        try_and_note(sandbox, repository, &["cherry-pick", "--abort"]);
    }
    one_of_a_sequence_is_skipped: "cherry_pick_sequence", |sandbox, repository| {
        sandbox.git(repository, &["cherry-pick", "--skip"]);
        assert!(repository.join("later.txt").exists());
    }
    a_sequence_is_quit: "cherry_pick_sequence", |sandbox, repository| {
        sandbox.git(repository, &["cherry-pick", "--quit"]);
    }
    what_was_picked_is_committed: "cherry_pick_without_commit", |sandbox, repository| {
        sandbox.git(repository, &["commit", "--quiet", "-m", "picked"]);
    }
    a_list_that_was_edited_is_reverted: "revert_sequence_edited", |sandbox, repository| {
        for number in ["7", "8"] {
            write(repository, "number.txt", number);
            sandbox.git(repository, &["add", "number.txt"]);
            try_and_note(sandbox, repository, &["revert", "--continue"]);
        }
    }
    one_revert_is_skipped: "revert_sequence_edited", |sandbox, repository| {
        try_and_note(sandbox, repository, &["revert", "--skip"]);
        sandbox.git(repository, &["revert", "--abort"]);
    }
    a_patch_is_skipped: "am_stopped", |sandbox, repository| {
        sandbox.git(repository, &["am", "--skip"]);
        assert!(repository.join("later.txt").exists());
    }
    a_patch_is_applied_by_hand: "am_without_ancestors", |sandbox, repository| {
        sandbox.git(repository, &["am", "--show-current-patch=diff"]);
        remove(repository, "story.txt.rej");
        resolve(sandbox, repository);
        sandbox.git(repository, &["am", "--continue"]);
        assert!(repository.join("later.txt").exists());
    }
    a_merge_that_was_not_committed_is: "merge_not_committed", |sandbox, repository| {
        sandbox.git(repository, &["merge", "--continue"]);
        sandbox.git(repository, &["rev-parse", "--verify", "HEAD^2"]);
    }
    a_merge_that_was_not_committed_goes_back: "merge_not_committed", |sandbox, repository| {
        try_and_note(sandbox, repository, &["merge", "--abort"]);
    }
    what_was_squashed_is_committed_with_its_message: "merge_squashed", |sandbox, repository| {
        resolve(sandbox, repository);
        sandbox.git(repository, &["commit", "--quiet", "--no-edit"]);
        let message = sandbox.git_text(repository, &["log", "-1", "--format=%B"]);
        assert!(message.starts_with("Squashed commit"), "{message}");
    }
    an_octopus_gets_all_its_parents: "octopus_conflict", |sandbox, repository| {
        resolve(sandbox, repository);
        sandbox.git(repository, &["merge", "--continue"]);
        sandbox.git(repository, &["rev-parse", "--verify", "HEAD^3"]);
    }
    renames_in_conflict_are_resolved: "renames_in_conflict", |sandbox, repository| {
        sandbox.git(repository, &["rm", "--quiet", "-f", "--ignore-unmatch", "src/side.txt", "thing~side"]);
        sandbox.git(repository, &["add", "--all"]);
        sandbox.git(repository, &["merge", "--continue"]);
    }
    a_checkout_with_merge_is_resolved: "checkout_with_merge", |sandbox, repository| {
        resolve(sandbox, repository);
        sandbox.git(repository, &["commit", "--quiet", "-m", "resolved"]);
    }
    a_recorded_conflict_gets_its_resolution: "rerere_preimage", |sandbox, repository| {
        resolve(sandbox, repository);
        sandbox.git(repository, &["merge", "--continue"]);
        let recorded = sandbox.git_text(repository, &["rerere", "status"]);
        assert_eq!(recorded, "");
    }
    a_merge_of_notes_is_committed: "notes_merge_stopped", |sandbox, repository| {
        let head = sandbox.git_text(repository, &["rev-parse", "HEAD"]);
        write(repository, format!(".git/NOTES_MERGE_WORKTREE/{head}"), "both\n");
        sandbox.git(repository, &["notes", "merge", "--commit"]);
        assert_eq!(sandbox.git_text(repository, &["notes", "show"]), "both");
    }
    a_merge_of_notes_goes_back: "notes_merge_stopped", |sandbox, repository| {
        sandbox.git(repository, &["notes", "merge", "--abort"]);
    }
    bisect_finds_it_by_other_terms: "bisect_with_skip_and_run", |sandbox, repository| {
        sandbox.git(repository, &["bisect", "fine"]);
        try_and_note(sandbox, repository, &["bisect", "run", "false"]);
    }
    bisect_is_reset: "bisect_with_skip_and_run", |sandbox, repository| {
        sandbox.git(repository, &["bisect", "reset"]);
        assert_eq!(sandbox.git_text(repository, &["branch", "--show-current"]), "main");
    }
    bisect_is_replayed: "bisect_running", |sandbox, repository| {
        let log = write(repository, ".git/log-of-the-test", sandbox.git(repository, &["bisect", "log"]));
        sandbox.git(repository, &["bisect", "reset"]);
        sandbox.git(repository, &["bisect", "replay", log.to_str().expect("a UTF-8 path")]);
    }
    bisect_without_checkout_goes_on: "bisect_without_checkout", |sandbox, repository| {
        sandbox.git(repository, &["bisect", "bad"]);
        sandbox.git(repository, &["bisect", "reset"]);
    }
    a_stash_that_did_not_apply_is_still_there: "stash_pop_in_conflict", |sandbox, repository| {
        sandbox.git(repository, &["reset", "--quiet", "--hard"]);
        remove(repository, "fresh.txt");
        sandbox.git(repository, &["stash", "branch", "stashed"]);
        assert!(repository.join("fresh.txt").exists());
    }
    stashes_of_parts_come_back: "stashes_of_parts", |sandbox, repository| {
        sandbox.git(repository, &["restore", "."]);
        for _ in 0..3 {
            sandbox.git(repository, &["stash", "pop", "--quiet"]);
        }
        assert!(repository.join("x.ignored").exists() && repository.join("staged.txt").exists());
    }
    a_conflict_comes_back_after_it_was_resolved: "resolve_undo", |sandbox, repository| {
        sandbox.git(repository, &["checkout", "--quiet", "--merge", "--", "story.txt"]);
        let text = std::fs::read_to_string(repository.join("story.txt")).expect("the file is read");
        assert!(text.contains("<<<<<<<"), "{text}");
    }
    what_was_intended_is_committed: "intent_to_add", |sandbox, repository| {
        sandbox.git(repository, &["commit", "--quiet", "--all", "-m", "intended"]);
    }
    a_split_index_goes_on: "split_index_in_a_conflict", |sandbox, repository| {
        resolve(sandbox, repository);
        sandbox.git(repository, &["merge", "--continue"]);
        append(repository, "README.md", "more\n");
        sandbox.git(repository, &["commit", "--quiet", "--all", "-m", "more"]);
    }
    a_split_index_is_put_together: "split_index_expired", |sandbox, repository| {
        sandbox.git(repository, &["update-index", "--no-split-index"]);
        sandbox.git(repository, &["commit", "--quiet", "-m", "whole"]);
    }
    a_conflict_outside_of_the_sparse_checkout_goes_back: "sparse_checkout_in_a_conflict", |sandbox, repository| {
        sandbox.git(repository, &["merge", "--abort"]);
        sandbox.git(repository, &["sparse-checkout", "reapply"]);
    }
    a_sparse_index_grows: "sparse_index", |sandbox, repository| {
        sandbox.git(repository, &["sparse-checkout", "add", "outside/deep"]);
        assert!(repository.join("outside/deep/c.txt").exists());
        sandbox.git(repository, &["add", "--all"]);
        sandbox.git(repository, &["commit", "--quiet", "-m", "grown"]);
    }
    every_extension_goes_on: "every_index_extension", |sandbox, repository| {
        sandbox.git(repository, &["add", "--all"]);
        sandbox.git(repository, &["merge", "--continue"]);
        sandbox.git(repository, &["update-index", "--no-skip-worktree", "notes.txt"]);
    }
}
