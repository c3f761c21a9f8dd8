//! Histories that end early, borrow objects, or are packed in unusual ways: what a restored copy of them can do, what plain git
//! says of the vault, and what is refused.

use std::fs;
use std::path::Path;

use crate::laboratory::only_vault;
use crate::plain_git::assert_fsck_is_silent;
use crate::source_refusals::Scene;
use crate::support::files::{append, write};
use crate::support::states::{self, history};
use crate::support::{Kind, RepoState, Sandbox};

/// What a graph of commits looks like to git, grafts and replacements counted.
fn log(sandbox: &Sandbox, repository: &Path) -> String {
    sandbox.git_text(repository, &["log", "--format=%H %P", "--all", "HEAD"])
}

/// A drill that asks git.
#[track_caller]
fn assert_drill_proves(sandbox: &Sandbox, source: &Path) {
    let said = sandbox.vault(source, &["--json", "drill"]).succeeded();
    let text = said.text();
    assert!(text.contains("git version"), "git was asked\n{said}");
}

fn parents(sandbox: &Sandbox, vault: &Path, id: &str) -> usize {
    let vault = vault.to_str().expect("a UTF-8 path");
    let name = format!("refs/snapshots/{id}");
    let arguments = ["--git-dir", vault, "log", "-1", "--format=%P", &name];
    let text = sandbox.git_text(&sandbox.home(), &arguments);
    text.split_whitespace().count()
}

#[test]
fn a_restored_shallow_clone_is_one_and_can_be_deepened() {
    let sandbox = Sandbox::new();
    let source = history::shallow_with_work(&sandbox);
    let id = sandbox.snapshot(&source);
    let vault = only_vault(&sandbox);
    assert_fsck_is_silent(&sandbox, &vault, "a vault of a shallow clone");
    assert_eq!(parents(&sandbox, &vault, &id), 0);
    assert_drill_proves(&sandbox, &source);

    let restored = sandbox.restore(&source, &id, "restored");
    let is_shallow = ["rev-parse", "--is-shallow-repository"];
    assert_eq!(sandbox.git_text(&restored, &is_shallow), "true");
    assert_eq!(log(&sandbox, &restored), log(&sandbox, &source));
    let before = log(&sandbox, &restored).lines().count();
    sandbox.git(&restored, &["fetch", "--quiet", "--unshallow"]);
    assert_eq!(sandbox.git_text(&restored, &is_shallow), "false");
    assert!(log(&sandbox, &restored).lines().count() > before);
    sandbox.git(&restored, &["fsck", "--full", "--no-dangling"]);
    sandbox.git(&restored, &["rebase", "--abort"]);
    sandbox.git(&restored, &["gc", "--quiet", "--prune=now"]);
}

#[test]
fn snapshots_follow_a_history_that_is_deepened_and_cut_again() {
    let sandbox = Sandbox::new();
    let source = (states::find("shallow_clone").build)(&sandbox);
    let mut snapshots = Vec::new();
    let mut take = |what: &'static str, has_parents: bool| {
        let state = RepoState::capture(&sandbox, &source, Kind::Workspace);
        let id = sandbox.snapshot(&source);
        let vault = only_vault(&sandbox);
        assert_fsck_is_silent(&sandbox, &vault, what);
        assert_eq!(parents(&sandbox, &vault, &id) > 0, has_parents, "{what}");
        snapshots.push((what, id, state));
    };
    take("shallow", false);
    sandbox.git(&source, &["fetch", "--quiet", "--depth=2"]);
    take("deepened", false);
    sandbox.git(&source, &["fetch", "--quiet", "--unshallow"]);
    take("whole", true);
    sandbox.git(&source, &["fetch", "--quiet", "--depth=1"]);
    sandbox.git(&source, &["reflog", "expire", "--expire=now", "--all"]);
    sandbox.git(&source, &["gc", "--quiet", "--prune=now"]);
    append(&source, "README.md", "after the cut\n");
    sandbox.commit(&source, "after the cut");
    // The vault has kept what the source threw away.
    take("cut-again", true);
    let _said = sandbox.vault(&source, &["verify", "--deep"]).succeeded();
    for (what, id, state) in snapshots {
        let restored = sandbox.restore(&source, &id, what);
        let restored = RepoState::capture(&sandbox, &restored, Kind::Workspace);
        RepoState::assert_same_workspace(&state, &restored);
    }
}

#[test]
fn a_restored_copy_has_the_parents_of_the_grafts() {
    for name in ["grafts", "grafts_over_missing_history"] {
        let sandbox = Sandbox::new();
        let source = (states::find(name).build)(&sandbox);
        let id = sandbox.snapshot(&source);
        assert_fsck_is_silent(&sandbox, &only_vault(&sandbox), name);
        assert_drill_proves(&sandbox, &source);
        let restored = sandbox.restore(&source, &id, "restored");
        assert_eq!(log(&sandbox, &restored), log(&sandbox, &source), "{name}");
        sandbox.git(&restored, &["fsck", "--full", "--no-dangling"]);
    }
}

#[test]
fn the_end_of_a_shallow_history_is_no_end_without_the_file_that_says_so() {
    let sandbox = Sandbox::new();
    let source = (states::find("shallow_clone").build)(&sandbox);
    let _sealed = sandbox.snapshot(&source);
    fs::remove_file(source.join(".git/shallow")).expect("the file is removed");
    let said = sandbox.vault(&source, &["snapshot"]).refused("GV-2005");
    let text = sandbox.git_text(&source, &["cat-file", "-p", "HEAD"]);
    let parent = text.lines().find_map(|line| line.strip_prefix("parent "));
    let parent = parent.expect("a parent");
    assert!(said.to_string().contains(parent), "{said}");
}

#[test]
fn parents_that_are_stated_and_missing_are_refused_where_history_leads_to_them() {
    let scene = Scene::new();
    let id = |name: &str| scene.sandbox.git_text(&scene.source, &["rev-parse", name]);
    let arguments = ["commit-tree", "-m", "unreachable", "HEAD^{tree}"];
    let unreachable = scene.sandbox.git_text(&scene.source, &arguments);
    let missing = "5".repeat(40);
    let elsewhere = "6".repeat(40);
    let harmless = format!("{unreachable} {missing}\n{elsewhere} {missing}\n");
    write(&scene.source, ".git/info/grafts", &harmless);
    let said = scene.sandbox.vault(&scene.source, &["snapshot"]);
    let _said = said.succeeded();
    let text = format!("{harmless}{} {} {missing}\n", id("HEAD~1"), id("HEAD~2"));
    write(&scene.source, ".git/info/grafts", text);
    let said = scene.sandbox.vault(&scene.source, &["snapshot"]);
    let said = said.refused("GV-2005");
    assert!(said.to_string().contains(&missing), "{said}");
}

#[test]
fn malformed_grafts_are_refused_by_name() {
    let half = "a".repeat(20);
    for (file, text) in [
        ("shallow", "nonsense\n".to_owned()),
        ("shallow", "\n".to_owned()),
        ("shallow", half.clone()),
        ("shallow", "a".repeat(64)),
        ("info/grafts", format!("{half}\n")),
        ("info/grafts", format!("{0}{0} {0}{0}x\n", half)),
    ] {
        let scene = Scene::new();
        write(&scene.source, format!(".git/{file}"), text);
        scene.assert_refused(&["GV-2006"], file);
    }
}

/// Three commits; each but the last is in a store of its own, that borrows from the one before.
fn chain_of_stores(sandbox: &Sandbox, stores: usize) -> Vec<std::path::PathBuf> {
    let mut chain = vec![states::small_repository(sandbox)];
    for number in 1..stores {
        let last = chain.last().expect("a repository");
        let next = sandbox.workplace().join(format!("store-{number}"));
        let (from, to) = (last.to_str(), next.to_str());
        let (from, to) = (from.expect("a UTF-8 path"), to.expect("a UTF-8 path"));
        let arguments = ["clone", "--quiet", "--shared", "--no-checkout", from, to];
        sandbox.git(last, &arguments);
        if number < 7 {
            let name = format!("{number}.txt");
            sandbox.git(&next, &["reset", "--quiet", "--hard"]);
            write(&next, &name, &name);
            sandbox.commit(&next, "of its own");
        }
        chain.push(next);
    }
    for pair in chain.windows(2) {
        let name = pair[0].file_name().expect("a name");
        let name = name.to_str().expect("a UTF-8 name");
        let list = format!("../../../{name}/.git/objects\n");
        write(&pair[1], ".git/objects/info/alternates", list);
    }
    chain
}

/// The test of the depth: git and the program agree about which stores count.
#[test]
fn stores_are_borrowed_from_as_deep_as_git_does() {
    for (stores, is_whole) in [(7, true), (8, false)] {
        let sandbox = Sandbox::new();
        let chain = chain_of_stores(&sandbox, stores);
        let last = chain.last().expect("a repository");
        let checked = sandbox.try_git(last, &["fsck", "--connectivity-only"]);
        assert_eq!(checked.status.success(), is_whole, "{stores} stores");
        let said = sandbox.vault(last, &["snapshot"]);
        if is_whole {
            let _said = said.succeeded();
            let restored = sandbox.restore(last, "@latest", "restored");
            assert_eq!(log(&sandbox, &restored), log(&sandbox, last));
        } else {
            let said = said.refused("GV-2005").to_string();
            let list = chain[1].join(".git/objects/info/alternates");
            assert!(
                said.contains(list.to_str().expect("a UTF-8 path")),
                "{said}"
            );
        }
    }
}

#[test]
fn alternates_with_comments_quotes_and_odd_names_are_those_of_git() {
    let sandbox = Sandbox::new();
    let origin = states::small_repository(&sandbox);
    let source = history::clone(&sandbox, &[], &origin, "clone");
    let store = sandbox.workplace().join("line\nfeed \"quoted\" \u{e4}");
    fs::rename(origin.join(".git/objects"), &store).expect("the store moves");
    for name in ["pack", "info"] {
        let path = source.join(".git/objects").join(name);
        fs::remove_dir_all(&path).expect("its own objects are removed");
        fs::create_dir(&path).expect("the directory is made");
    }
    let list = "# by hand\n\n\"../../../line\\nfeed \\\"quoted\\\" \\303\\244\"\n";
    write(&source, ".git/objects/info/alternates", list);
    sandbox.git(&source, &["fsck", "--full"]);
    let id = sandbox.snapshot(&source);
    let restored = sandbox.restore(&source, &id, "restored");
    sandbox.git(&restored, &["fsck", "--full"]);
    assert_eq!(log(&sandbox, &restored), log(&sandbox, &source));
}

#[test]
fn a_vanished_alternate_that_nothing_needs_is_said() {
    let sandbox = Sandbox::new();
    let source = (states::find("alternates").build)(&sandbox);
    sandbox.git(&source, &["repack", "--quiet", "-a", "-d"]);
    let origin = sandbox.workplace().join("repository");
    fs::remove_dir_all(&origin).expect("the origin is removed");
    sandbox.git(&source, &["fsck", "--full"]);
    let said = sandbox.vault(&source, &["--json", "snapshot"]).succeeded();
    let answer = said.json();
    let notes = answer["snapshot"]["notes"].to_string();
    let store = origin.join(".git/objects");
    assert!(
        notes.contains(store.to_str().expect("a UTF-8 path")),
        "{said}"
    );
    let id = answer["snapshot"]["id"].as_str().expect("an id");
    let restored = sandbox.restore(&source, id, "restored");
    sandbox.git(&restored, &["fsck", "--full"]);
}

#[test]
fn a_vanished_alternate_that_is_needed_is_refused_by_name_unless_the_vault_has_it_all() {
    let sandbox = Sandbox::new();
    let source = (states::find("alternates").build)(&sandbox);
    let origin = sandbox.workplace().join("repository");
    let aside = sandbox.path("aside");
    fs::rename(&origin, &aside).expect("the origin is moved");
    let store = origin.join(".git/objects");
    let store = store.to_str().expect("a UTF-8 path");
    let said = sandbox.vault(&source, &["snapshot"]).refused("GV-2005");
    assert!(
        said.to_string().contains(&format!("ls -ld '{store}'")),
        "{said}"
    );
    // A file in its place is no store, either.
    fs::create_dir_all(origin.join(".git")).expect("a directory");
    fs::write(store, "none").expect("a file");
    let said = sandbox.vault(&source, &["snapshot"]).refused("GV-2005");
    assert!(said.to_string().contains(store), "{said}");
    fs::remove_dir_all(&origin).expect("removed again");

    fs::rename(&aside, &origin).expect("the origin is back");
    let _first = sandbox.snapshot(&source);
    fs::rename(&origin, &aside).expect("the origin is moved again");
    append(&source, "README.md", "edited\n");
    let id = sandbox.snapshot(&source);
    let restored = sandbox.restore(&source, &id, "restored");
    sandbox.git(&restored, &["fsck", "--full"]);
    let _said = sandbox.vault(&source, &["verify", "--deep"]).succeeded();
}

#[test]
fn stores_that_borrow_from_each_other_are_read_once() {
    let sandbox = Sandbox::new();
    let chain = chain_of_stores(&sandbox, 3);
    let back = format!("{}/.git/objects\n", chain[2].display());
    write(&chain[0], ".git/objects/info/alternates", back);
    sandbox.git(&chain[2], &["fsck", "--full"]);
    let id = sandbox.snapshot(&chain[2]);
    let restored = sandbox.restore(&chain[2], &id, "restored");
    assert_eq!(log(&sandbox, &restored), log(&sandbox, &chain[2]));
    sandbox.git(&restored, &["fsck", "--full"]);
}

#[test]
fn broken_refs_are_kept_as_evidence_and_said() {
    let sandbox = Sandbox::new();
    let source = (states::find("broken_refs").build)(&sandbox);
    let said = sandbox.vault(&source, &["--json", "snapshot"]).succeeded();
    let notes = said.json()["snapshot"]["notes"].to_string();
    for name in ["empty", "nonsense", "half", "deep/null"] {
        let note = format!("broken ref kept as evidence: refs/heads/{name}");
        assert!(notes.contains(&note), "{name}: {notes}");
    }
    let shown = sandbox.vault(&source, &["show", "@latest"]).succeeded();
    assert!(shown.text().contains("refs/heads/nonsense"), "{shown}");
    assert_drill_proves(&sandbox, &source);
}

#[test]
fn notes_and_replacements_do_what_they_did() {
    let sandbox = Sandbox::new();
    let source = (states::find("notes_and_replacements").build)(&sandbox);
    let id = sandbox.snapshot(&source);
    assert_fsck_is_silent(&sandbox, &only_vault(&sandbox), "replacements");
    let restored = sandbox.restore(&source, &id, "restored");
    for question in [
        &["log", "--format=%H %P", "--notes=review", "--all"][..],
        &["replace", "--list", "--format=long"],
        &["notes", "list"],
        &["cat-file", "-p", "HEAD:README.md"],
    ] {
        assert_eq!(
            sandbox.git(&restored, question),
            sandbox.git(&source, question),
            "{question:?}"
        );
    }
}
