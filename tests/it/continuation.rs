//! An operation that was stopped when the snapshot was taken goes on in the restored copy as it would have in the original.

use std::path::Path;

use crate::support::files::write;
use crate::support::{Kind, RepoState, RootTimes, Sandbox, states};

type Step = fn(&Sandbox, &Path);

/// Later than any commit of a state.
const LATER_SECONDS: u64 = 1_800_000_000;

/// Settings of the user that make new repositories in each format.
const FORMATS: [(&str, &str); 2] = [
    ("init", "defaultObjectFormat = sha1"),
    (
        "init",
        "defaultObjectFormat = sha256\n\tdefaultRefFormat = reftable",
    ),
];

/// Takes the same step in a faithful copy of the original and in the restored one, at the same hour: the same commits,
/// files and answers of git must come of it.
#[track_caller]
pub fn assert_goes_on_alike(state: &str, step: Step) {
    for (section, line) in FORMATS {
        let sandbox = Sandbox::with_setting(section, line);
        let source = (states::find(state).build)(&sandbox);
        let id = sandbox.snapshot(&source);
        let restored = sandbox.restore(&source, &id, "restored");
        let copied = sandbox.copy(&source, "copied");
        let [copied, restored] = [&copied, &restored].map(|repository| {
            refresh_stat_data(&sandbox, repository);
            sandbox.set_clock(LATER_SECONDS);
            step(&sandbox, repository);
            RepoState::capture(&sandbox, repository, Kind::Workspace).regardless_of_times()
        });
        let differences = copied.differences(&restored, RootTimes::Compared);
        assert_eq!(differences, [""; 0], "{line}");
    }
}

/// What any `git status` does. In a byte-exact index the inodes are those of the original, and `cherry-pick --abort`
/// and its like, which do not refresh the index themselves, take that for edits and refuse.
fn refresh_stat_data(sandbox: &Sandbox, repository: &Path) {
    sandbox.git(repository, &["status", "--short"]);
}

pub fn is_rebasing(repository: &Path) -> bool {
    repository.join(".git/rebase-merge").exists()
}

pub fn resolve(sandbox: &Sandbox, repository: &Path) {
    write(repository, "story.txt", "once upon a resolution\n");
    sandbox.git(repository, &["add", "story.txt"]);
}

#[test]
fn rebase_continue_goes_on_to_the_end_and_applies_the_autostash() {
    assert_goes_on_alike("rebase_with_autostash", |sandbox, repository| {
        assert!(is_rebasing(repository));
        while is_rebasing(repository) {
            sandbox.git(repository, &["rebase", "--continue"]);
        }
        assert_autostash_is_back(repository, "README.md");
    });
}

#[test]
fn rebase_abort_goes_back_and_applies_the_autostash() {
    assert_goes_on_alike("rebase_with_autostash", |sandbox, repository| {
        sandbox.git(repository, &["rebase", "--abort"]);
        assert_autostash_is_back(repository, "README.md");
    });
}

#[test]
fn a_rebase_with_refs_in_tables_goes_on_and_goes_back() {
    assert_goes_on_alike("reftable_rebase", |sandbox, repository| {
        assert!(is_rebasing(repository));
        while is_rebasing(repository) {
            sandbox.git(repository, &["rebase", "--continue"]);
        }
        assert_autostash_is_back(repository, "README.md");
    });
    assert_goes_on_alike("reftable_rebase", |sandbox, repository| {
        sandbox.git(repository, &["rebase", "--abort"]);
        assert_autostash_is_back(repository, "README.md");
    });
}

#[test]
fn stashes_in_tables_are_applied_to_the_last() {
    assert_goes_on_alike("reftable_refs", |sandbox, repository| {
        for _ in 0..3 {
            sandbox.git(repository, &["stash", "pop"]);
            sandbox.git(repository, &["reset", "--quiet", "--hard"]);
        }
        assert!(sandbox.git(repository, &["stash", "list"]).is_empty());
    });
}

#[test]
fn rebase_continue_after_a_conflict_goes_on_to_the_end() {
    assert_goes_on_alike("rebase_stopped_by_conflict", |sandbox, repository| {
        resolve(sandbox, repository);
        sandbox.git(repository, &["rebase", "--continue"]);
        assert!(!is_rebasing(repository));
    });
}

#[test]
fn rebase_skip_after_a_conflict_goes_on_to_the_end() {
    assert_goes_on_alike("rebase_stopped_by_conflict", |sandbox, repository| {
        sandbox.git(repository, &["rebase", "--skip"]);
        assert!(!is_rebasing(repository));
    });
}

#[test]
fn merge_continue_commits_and_applies_the_autostash() {
    assert_goes_on_alike("merge_with_autostash", |sandbox, repository| {
        resolve(sandbox, repository);
        sandbox.git(repository, &["merge", "--continue"]);
        assert_autostash_is_back(repository, "notes.txt");
    });
}

#[test]
fn merge_abort_goes_back_and_applies_the_autostash() {
    assert_goes_on_alike("merge_with_autostash", |sandbox, repository| {
        sandbox.git(repository, &["merge", "--abort"]);
        assert_autostash_is_back(repository, "notes.txt");
    });
}

#[test]
fn a_conflict_can_be_written_again_from_its_stages() {
    assert_goes_on_alike("conflict_stages", |sandbox, repository| {
        sandbox.git(
            repository,
            &["checkout", "--quiet", "--merge", "--", "story.txt"],
        );
    });
}

#[test]
fn cherry_pick_continue_goes_on_to_the_end() {
    assert_goes_on_alike("cherry_pick_sequence", |sandbox, repository| {
        resolve(sandbox, repository);
        sandbox.git(repository, &["cherry-pick", "--continue"]);
        assert!(repository.join("later.txt").exists());
    });
}

#[test]
fn cherry_pick_abort_goes_back() {
    assert_goes_on_alike("cherry_pick_sequence", |sandbox, repository| {
        sandbox.git(repository, &["cherry-pick", "--abort"]);
    });
}

#[test]
fn revert_continue_goes_on() {
    assert_goes_on_alike("revert_stopped", |sandbox, repository| {
        resolve(sandbox, repository);
        let _output = sandbox.try_git(repository, &["revert", "--continue"]);
    });
}

#[test]
fn revert_abort_goes_back() {
    assert_goes_on_alike("revert_stopped", |sandbox, repository| {
        sandbox.git(repository, &["revert", "--abort"]);
    });
}

#[test]
fn am_continue_goes_on_to_the_end() {
    assert_goes_on_alike("am_stopped", |sandbox, repository| {
        resolve(sandbox, repository);
        sandbox.git(repository, &["am", "--continue"]);
        assert!(repository.join("later.txt").exists());
    });
}

#[test]
fn am_abort_goes_back() {
    assert_goes_on_alike("am_stopped", |sandbox, repository| {
        sandbox.git(repository, &["am", "--abort"]);
    });
}

#[test]
fn bisect_goes_on_and_resets() {
    assert_goes_on_alike("bisect_running", |sandbox, repository| {
        sandbox.git(repository, &["bisect", "bad"]);
        sandbox.git(repository, &["bisect", "reset"]);
    });
}

#[test]
fn every_stash_pops_with_index_and_untracked_files() {
    assert_goes_on_alike("three_stashes", |sandbox, repository| {
        sandbox.git(repository, &["stash", "pop", "--quiet", "--index"]);
        sandbox.git(repository, &["stash", "pop", "--quiet"]);
        assert!(repository.join("untracked.txt").exists());
        sandbox.git(repository, &["stash", "pop", "--quiet"]);
    });
}

#[test]
fn rerere_replays_and_records_a_resolution() {
    assert_goes_on_alike("rerere_conflict", |sandbox, repository| {
        resolve(sandbox, repository);
        sandbox.git(repository, &["merge", "--continue"]);
        sandbox.git(repository, &["switch", "--quiet", "--detach", "main~1"]);
        sandbox.git_stops(repository, &["merge", "side"]);
        let story = std::fs::read(repository.join("story.txt")).expect("the file is read");
        assert_eq!(story, b"once upon a resolution\n");
    });
}

#[test]
fn a_sparse_checkout_can_be_made_whole() {
    assert_goes_on_alike("sparse_checkout", |sandbox, repository| {
        sandbox.git(repository, &["sparse-checkout", "disable"]);
    });
}

#[track_caller]
pub fn assert_autostash_is_back(repository: &Path, name: &str) {
    let text = std::fs::read_to_string(repository.join(name)).expect("the file is read");
    assert!(
        text.ends_with("an edit that is only in the autostash\n"),
        "{text}"
    );
}
