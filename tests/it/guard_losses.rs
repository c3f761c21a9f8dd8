//! What each command destroys that can: work is there, the guarded command destroys it, and the snapshot gives it back.

use crate::guard::{newest, scene};
use crate::support::{Kind, RepoState};

/// The user's story: work is there, a guarded command destroys it, and the snapshot gives it back.
#[track_caller]
fn lost_and_found(prepare: &str, command: &[&str], lost: &str) {
    let (sandbox, source) = scene();
    let mut shell = sandbox.command("sh", &source);
    let output = shell.args(["-ec", prepare]).output().expect("sh starts");
    assert!(output.status.success(), "{prepare}: {output:?}");
    let before = sandbox.copy(&source, "before");
    let arguments = [&["guard", "--"], command].concat();
    let said = sandbox.vault(&source, &arguments).succeeded();
    let note = String::from_utf8(said.stderr.clone()).expect("UTF-8");
    assert!(note.starts_with("GUARD "), "{said}");
    let mut shell = sandbox.command("sh", &source);
    let still = shell.args(["-c", lost]).output().expect("sh starts");
    assert!(!still.status.success(), "{command:?} destroys something");
    let (id, trigger) = newest(&sandbox, &source);
    assert_eq!(trigger, "guard");
    assert!(note.contains(&id), "{said}");
    let restored = sandbox.restore(&source, &id, "restored");
    let mut shell = sandbox.command("sh", &restored);
    let found = shell.args(["-c", lost]).output().expect("sh starts");
    assert!(found.status.success(), "{command:?}: {found:?}");
    let original = RepoState::capture(&sandbox, &before, Kind::Workspace).without_ignored();
    let restored = RepoState::capture(&sandbox, &restored, Kind::Workspace);
    RepoState::assert_same_workspace(&original, &restored);
}

/// What is done first, the command, and a check that holds as long as the work is there.
type Story<'a> = (&'a str, &'a str, &'a str);

#[track_caller]
fn all_lost_and_found(stories: &[Story<'_>]) {
    for (prepare, command, lost) in stories {
        let words: Vec<&str> = command.split(' ').collect();
        lost_and_found(prepare, &words, lost);
    }
}

const UNSTAGED: &str = "grep -q 'not staged' src/one.txt";
const STAGED: &str = "! git diff --cached --quiet";

#[test]
fn what_commands_about_files_destroy_is_in_the_snapshot() {
    all_lost_and_found(&[
        (
            ":",
            "git reset --hard",
            "grep -q 'and edited after staging' README.md",
        ),
        (
            "git commit -qm two",
            "git reset --hard HEAD~1",
            "git log -1 --format=%s | grep -qx two",
        ),
        (":", "git reset --quiet", STAGED),
        (":", "git checkout -f", UNSTAGED),
        (":", "git checkout .", UNSTAGED),
        (":", "git checkout -- src/one.txt", UNSTAGED),
        (
            ":",
            "git checkout HEAD -- .",
            "grep -q 'and edited' README.md",
        ),
        (":", "git restore src/one.txt", UNSTAGED),
        (":", "git restore -S -W .", STAGED),
        ("git branch topic", "git switch -f topic", UNSTAGED),
        (
            "git branch topic",
            "git switch --discard-changes topic",
            UNSTAGED,
        ),
        (
            ":",
            "git clean -fdx",
            "test -f fresh/in/a/new/directory.txt",
        ),
        (":", "git rm -rfq .", "test -f src/one.txt"),
        (
            ":",
            "git rm -rfq --cached .",
            "git ls-files --error-unmatch README.md",
        ),
        (
            ":",
            "git mv -f src/one.txt README.md",
            "grep -q 'and edited' README.md",
        ),
        (
            ":",
            "git add --all",
            "git show :README.md | tail -n 1 | grep -qx staged",
        ),
        (":", "git read-tree -u --reset HEAD", UNSTAGED),
        (":", "git checkout-index -f -a", UNSTAGED),
        (
            "git stash -qu",
            "git sparse-checkout set nothing",
            "test -f src/one.txt",
        ),
        (
            "git diff src/one.txt >../patch",
            "git apply -R ../patch",
            UNSTAGED,
        ),
        (":", "rm -rf fresh src", "test -f src/beside.txt"),
        (":", "find . -name *.txt -delete", "test -f untracked.txt"),
    ]);
}

#[test]
fn what_ends_an_operation_gives_up_is_in_the_snapshot() {
    let conflict = "git stash -qu
        git checkout -qb side && echo side >README.md && git commit -qam side
        git checkout -q main && echo main >README.md && git commit -qam main";
    for (stop, end) in [
        ("git merge side", "git merge --abort"),
        ("git rebase side", "git rebase --abort"),
        ("git rebase side", "git rebase --skip"),
        ("git cherry-pick side", "git cherry-pick --abort"),
        ("git cherry-pick side", "git cherry-pick --skip"),
        ("git revert --no-edit side", "git revert --abort"),
        (
            "git format-patch -1 side --stdout | git am -3",
            "git am --abort",
        ),
        (
            "git format-patch -1 side --stdout | git am -3",
            "git am --skip",
        ),
    ] {
        let prepare = format!("{conflict}\n{stop} >../log 2>&1 || :\necho resolved >README.md");
        all_lost_and_found(&[(&prepare, end, "grep -qx resolved README.md")]);
    }
}

#[test]
fn what_commands_about_refs_and_objects_destroy_is_in_the_snapshot() {
    let topic = "git branch topic $(git commit-tree -m t HEAD^{tree})";
    let is_topic = "git log -1 --format=%s topic -- | grep -qx t";
    let lonely = "echo lonely | git hash-object -w --stdin >../log";
    let is_lonely = "git cat-file -e $(echo lonely | git hash-object --stdin)";
    let stash = "git stash push -qm precious";
    let is_stashed = "git stash list | grep -q precious";
    all_lost_and_found(&[
        (stash, "git stash drop", is_stashed),
        (stash, "git stash clear", is_stashed),
        (stash, "git stash pop -q", is_stashed),
        (topic, "git branch -D topic", is_topic),
        (topic, "git branch -f topic HEAD", is_topic),
        (topic, "git branch -M main topic", is_topic),
        (topic, "git update-ref -d refs/heads/topic", is_topic),
        (
            "git tag v1",
            "git tag -d v1",
            "git rev-parse -q --verify v1",
        ),
        (
            ":",
            "git symbolic-ref HEAD refs/heads/other",
            "git symbolic-ref HEAD | grep -qx refs/heads/main",
        ),
        (
            "git commit -qm two",
            "git commit -q --amend -m other",
            "git log -1 --format=%s | grep -qx two",
        ),
        (
            ":",
            "git reflog expire --expire=now --all",
            "test -n \"$(git reflog)\"",
        ),
        (
            "git commit -qm two",
            "git reflog delete HEAD@{0}",
            "git reflog | grep -q two",
        ),
        (lonely, "git prune --expire=now", is_lonely),
        (lonely, "git gc -q --prune=now", is_lonely),
        (
            "git notes add -m precious",
            "git notes remove",
            "git notes show",
        ),
        (
            "git remote add origin ../x && git update-ref refs/remotes/origin/main HEAD",
            "git remote remove origin",
            "git rev-parse -q --verify origin/main",
        ),
    ]);
}

#[test]
fn what_is_destroyed_in_a_submodule_is_in_the_snapshot() {
    let prepare = "git init -q ../library
        (cd ../library && echo a >a && git add a && git commit -qm a)
        git -c protocol.file.allow=always submodule --quiet add ../library sub 2>../log
        git commit -qm sub && echo precious >>sub/a";
    for command in [
        "git submodule deinit -f sub",
        "git submodule update --force",
        "git checkout --recurse-submodules -f",
        "git reset --hard --recurse-submodules",
    ] {
        all_lost_and_found(&[(prepare, command, "grep -q precious sub/a")]);
    }
}
