//! Partial clones: what the source lacked is listed and said, what it had comes back, and git fetches the rest as it did before.

use std::fs;
use std::path::{Path, PathBuf};

use crate::laboratory::only_vault;
use crate::plain_git::assert_fsck_is_silent;
use crate::source_refusals::Scene;
use crate::support::files::{append, write};
use crate::support::states::{self, history};
use crate::support::{Kind, RepoState, Sandbox};

/// Objects that git itself finds to be missing and promised.
fn missing(sandbox: &Sandbox, repository: &Path) -> usize {
    let arguments = ["rev-list", "--objects", "--all", "--missing=print"];
    let environment = [("GIT_NO_LAZY_FETCH", "1")];
    let text = sandbox.git_with(repository, &environment, &arguments);
    text.split(|byte| *byte == b'\n')
        .filter(|line| line.starts_with(b"?"))
        .count()
}

/// Takes a snapshot; gives its id, its completeness and how many promises it lists.
#[track_caller]
fn snapshot(sandbox: &Sandbox, source: &Path) -> (String, String, u64) {
    let said = sandbox.vault(source, &["--json", "snapshot"]).succeeded();
    let answer = said.json();
    let snapshot = &answer["snapshot"];
    let text = |name: &str| snapshot[name].as_str().expect("a text").to_owned();
    let promised = snapshot["history"]["promised"].as_u64().unwrap_or(0);
    (text("id"), text("completeness"), promised)
}

fn files_ending(directory: &Path, ending: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the directory is read");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let mut paths: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|found| found == ending))
        .collect();
    paths.sort();
    paths
}

#[test]
fn a_restored_partial_clone_is_one_that_works() {
    let sandbox = Sandbox::new();
    let source = history::partial_clone(&sandbox);
    let lacking = missing(&sandbox, &source);
    assert!(lacking > 0, "old versions are missing");
    let (id, completeness, promised) = snapshot(&sandbox, &source);
    assert_eq!(completeness, "needs-promisor");
    assert_eq!(promised, lacking as u64);
    assert_fsck_is_silent(&sandbox, &only_vault(&sandbox), "a partial clone");
    let said = sandbox.vault(&source, &["--json", "drill"]).succeeded();
    assert!(said.text().contains("git version"), "{said}");

    let restored = sandbox.restore(&source, &id, "restored");
    assert_eq!(missing(&sandbox, &restored), lacking);
    sandbox.git(&restored, &["fsck", "--full"]);
    assert_eq!(missing(&sandbox, &restored), lacking, "nothing was fetched");
    sandbox.git(&restored, &["gc", "--quiet", "--prune=now"]);
    sandbox.git(&restored, &["fsck", "--full"]);
    let log = ["log", "--format=%H", "--all"];
    assert_eq!(sandbox.git(&restored, &log), sandbox.git(&source, &log));
    let old = ["show", "origin/main~2:src/one.txt"];
    assert_eq!(
        sandbox.git(&restored, &old),
        b"version 1\n",
        "it is fetched"
    );
    assert_eq!(missing(&sandbox, &restored), lacking - 1);
    sandbox.git(&restored, &["commit", "--quiet", "-m", "goes on"]);
    sandbox.git(&restored, &["stash", "pop", "--quiet"]);
    sandbox.git(
        &restored,
        &["push", "--quiet", "origin", "HEAD:refs/heads/pushed"],
    );
    let _said = sandbox.vault(&restored, &["snapshot"]).succeeded();
}

#[test]
fn what_was_there_comes_back_without_the_promisor() {
    let sandbox = Sandbox::new();
    let source = history::partial_clone(&sandbox);
    let state = RepoState::capture(&sandbox, &source, Kind::Workspace);
    fs::rename(sandbox.workplace().join("repository"), sandbox.path("away")).expect("moved away");
    let (id, ..) = snapshot(&sandbox, &source);
    let _said = sandbox.vault(&source, &["verify", "--deep"]).succeeded();
    let _said = sandbox.vault(&source, &["drill"]).succeeded();
    let restored = sandbox.restore(&source, &id, "restored");
    let found = RepoState::capture(&sandbox, &restored, Kind::Workspace);
    RepoState::assert_same_workspace(&state, &found);
    sandbox.git(&restored, &["commit", "--quiet", "-m", "goes on"]);
    sandbox.git(&restored, &["stash", "pop", "--quiet"]);
}

#[test]
fn needs_promisor_is_said_everywhere() {
    let sandbox = Sandbox::new();
    let source = history::partial_clone(&sandbox);
    let destination = sandbox.path("restored");
    let destination = destination.to_str().expect("a UTF-8 path");
    let word = "needs-promisor";
    for arguments in [
        &["snapshot"][..],
        &["snapshot"],
        &["list"],
        &["show", "@latest"],
        &["verify", "--quick"],
        &["verify"],
        &["verify", "--deep", "@latest"],
        &["drill"],
        &["restore", "@latest", destination],
    ] {
        let said = sandbox.vault(&source, arguments).succeeded();
        assert!(said.text().contains(word), "{said}");
    }
    fs::remove_dir_all(destination).expect("the copy is removed");
    let json = |arguments: &[&str]| {
        let arguments = [&["--json"], arguments].concat();
        sandbox.vault(&source, &arguments).succeeded().json()
    };
    let id = json(&["show", "@latest"])["snapshot"]["id"].clone();
    assert_eq!(json(&["list"])["snapshots"][0]["completeness"], word);
    assert_eq!(json(&["show", "@latest"])["manifest"]["completeness"], word);
    assert_eq!(json(&["verify"])["needs_promisor"][0], id);
    assert_eq!(json(&["drill"])["drills"][0]["completeness"], word);
    let restored = json(&["restore", "@latest", destination]);
    assert_eq!(restored["snapshot"]["completeness"], word);
    let said = sandbox.vault(&source, &["status"]);
    assert!(said.text().contains(word), "{said}");
    let said = sandbox.vault(&source, &["--json", "status"]);
    assert_eq!(said.json()["sealed"]["completeness"], word);
}

#[test]
fn what_is_missing_and_not_promised_is_refused() {
    for what in ["own blob", "no remote", "no mark", "index"] {
        let sandbox = Sandbox::new();
        let source = history::partial_clone(&sandbox);
        let git = |arguments: &[&str]| sandbox.git_text(&source, arguments);
        let lose = |name: &str| {
            let id = git(&["rev-parse", name]);
            let object = format!(".git/objects/{}/{}", &id[..2], &id[2..]);
            fs::remove_file(source.join(object)).expect("the object is removed");
            id
        };
        let lost = match what {
            "own blob" => lose("main:src/one.txt"),
            "index" => lose(":docs/only.txt"),
            "no remote" => {
                git(&["config", "--unset", "remote.origin.promisor"]);
                git(&["config", "--unset", "remote.origin.partialclonefilter"]);
                String::new()
            }
            _ => {
                for mark in files_ending(&source.join(".git/objects/pack"), "promisor") {
                    fs::remove_file(mark).expect("the mark is removed");
                }
                String::new()
            }
        };
        let said = sandbox.vault(&source, &["snapshot"]).refused("GV-2005");
        assert!(said.to_string().contains(&lost), "{what}: {said}");
    }
}

/// What was promised in an earlier snapshot does not count any more when the source has no promisor remote left.
#[test]
fn promises_end_with_the_promisor_remote() {
    let sandbox = Sandbox::new();
    let source = history::partial_clone(&sandbox);
    let (_, before, _) = snapshot(&sandbox, &source);
    let config = fs::read(source.join(".git/config")).expect("the settings");
    sandbox.git(&source, &["config", "--unset", "remote.origin.promisor"]);
    sandbox.git(
        &source,
        &["config", "--unset", "remote.origin.partialclonefilter"],
    );
    let _said = sandbox.vault(&source, &["snapshot"]).refused("GV-2005");
    for untrue in ["", "0", "00", "off", "No"] {
        sandbox.git(&source, &["config", "remote.origin.promisor", untrue]);
        let _said = sandbox.vault(&source, &["snapshot"]).refused("GV-2005");
    }
    for truth in ["yes", "1"] {
        sandbox.git(&source, &["config", "remote.origin.promisor", truth]);
        assert_eq!(snapshot(&sandbox, &source).1, "needs-promisor");
    }
    sandbox.git(&source, &["config", "--unset", "remote.origin.promisor"]);
    append(&source, ".git/config", "[remote \"origin\"]\n\tpromisor\n");
    assert_eq!(snapshot(&sandbox, &source).1, "needs-promisor");
    write(&source, ".git/config", config);
    append(&source, "README.md", "later\n");
    let (id, after, _) = snapshot(&sandbox, &source);
    assert_eq!((&*before, &*after), ("needs-promisor", "needs-promisor"));
    let restored = sandbox.restore(&source, &id, "restored");
    sandbox.git(&restored, &["fsck", "--full"]);
}

#[test]
fn promises_shrink_as_they_are_kept() {
    let sandbox = Sandbox::new();
    let source = history::partial_clone(&sandbox);
    let (first, _, many) = snapshot(&sandbox, &source);
    sandbox.git(&source, &["show", "origin/main~3:src/one.txt"]);
    let (second, completeness, fewer) = snapshot(&sandbox, &source);
    assert_eq!((fewer, &*completeness), (many - 1, "needs-promisor"));
    sandbox.git(&source, &["fetch", "--quiet", "--refetch", "--no-filter"]);
    assert_eq!(missing(&sandbox, &source), 0);
    let (third, completeness, none) = snapshot(&sandbox, &source);
    assert_eq!((none, &*completeness), (0, "self-contained"));
    assert_fsck_is_silent(&sandbox, &only_vault(&sandbox), "a refetched clone");
    let _said = sandbox.vault(&source, &["verify", "--deep"]).succeeded();
    let _said = sandbox.vault(&source, &["drill", "--all"]).succeeded();
    for (id, name) in [(&first, "first"), (&second, "second"), (&third, "third")] {
        let restored = sandbox.restore(&source, id, name);
        sandbox.git(&restored, &["fsck", "--full"]);
    }
}

/// Trees are missing, too, and a tag names something that was never fetched.
#[test]
fn clones_without_trees_and_with_limits_come_back() {
    for options in [
        &["--filter=tree:0", "--no-checkout"][..],
        &["--filter=tree:0"],
        &["--filter=blob:limit=5", "--bare"],
        &["--filter=blob:none", "--depth=2", "--no-checkout"],
        &["--filter=blob:none", "--mirror"],
    ] {
        let sandbox = Sandbox::new();
        let origin = history::promisor(&sandbox);
        let source = history::clone(&sandbox, options, &origin, "clone");
        let lacking = missing(&sandbox, &source);
        let (id, completeness, promised) = snapshot(&sandbox, &source);
        let is_complete = lacking == 0;
        assert_eq!(completeness == "self-contained", is_complete, "{options:?}");
        assert!(promised >= 1 || is_complete, "{options:?}");
        assert_fsck_is_silent(&sandbox, &only_vault(&sandbox), options[0]);
        let _said = sandbox.vault(&source, &["verify", "--deep"]).succeeded();
        let _said = sandbox.vault(&source, &["drill"]).succeeded();
        let restored = sandbox.restore(&source, &id, "restored");
        assert_eq!(missing(&sandbox, &restored), lacking, "{options:?}");
        sandbox.git(&restored, &["fsck", "--full"]);
        sandbox.git(&restored, &["gc", "--quiet"]);
        sandbox.git(&restored, &["log", "--format=%H", "--stat", "--all"]);
    }
}

#[test]
fn a_long_list_of_promises_is_kept_in_pieces() {
    let sandbox = Sandbox::new();
    let origin = history::promisor(&sandbox);
    for number in 0..1500 {
        write(&origin, format!("many/{number}"), format!("{number}\n"));
    }
    sandbox.commit(&origin, "many");
    sandbox.git(&origin, &["rm", "-r", "--quiet", "many"]);
    sandbox.git(&origin, &["commit", "--quiet", "-m", "none of them"]);
    let source = history::clone(&sandbox, &["--filter=blob:none"], &origin, "clone");
    let (first, _, promised) = snapshot(&sandbox, &source);
    assert!(promised > 1500, "{promised}");
    sandbox.git(&source, &["show", "HEAD~1:many/17"]);
    let said = sandbox.vault(&source, &["--json", "snapshot"]).succeeded();
    let answer = said.json();
    let new_bytes = answer["snapshot"]["new_bytes"].as_u64();
    // The list is of 62 kB, and hexadecimal digits do not shrink below half of that.
    assert!(new_bytes.is_some_and(|bytes| bytes < 20_000), "{said}");
    let vault = only_vault(&sandbox);
    let vault = vault.to_str().expect("a UTF-8 path");
    let name = format!("refs/snapshots/{first}");
    let names = ["--git-dir", vault, "ls-tree", "--name-only", &name];
    let names = sandbox.git_text(&sandbox.home(), &names);
    assert!(
        names.lines().any(|name| name == "promised%chunks"),
        "{names}"
    );
    let _said = sandbox.vault(&source, &["verify", "--deep"]).succeeded();
    for (id, name) in [(first.as_str(), "first"), ("@latest", "second")] {
        let restored = sandbox.restore(&source, id, name);
        sandbox.git(&restored, &["fsck", "--full"]);
    }
}

/// A whole repository that becomes a partial clone: what the vault has as its own must be had from the promisor as well, or the
/// restored copy could not say that what it names is promised.
#[test]
fn a_whole_repository_becomes_a_partial_clone() {
    let sandbox = Sandbox::new();
    let origin = history::promisor(&sandbox);
    let source = history::clone(&sandbox, &["--depth=1"], &origin, "clone");
    let (_, whole, _) = snapshot(&sandbox, &source);
    assert_eq!(whole, "self-contained");
    for (name, value) in [("promisor", "true"), ("partialCloneFilter", "blob:none")] {
        let name = format!("remote.origin.{name}");
        sandbox.git(&source, &["config", &name, value]);
    }
    sandbox.git(&source, &["fetch", "--quiet", "--unshallow", "--refetch"]);
    assert!(missing(&sandbox, &source) > 0);
    let (id, partial, _) = snapshot(&sandbox, &source);
    assert_eq!(partial, "needs-promisor");
    assert_fsck_is_silent(&sandbox, &only_vault(&sandbox), "became partial");
    let _said = sandbox.vault(&source, &["verify", "--deep"]).succeeded();
    let _said = sandbox.vault(&source, &["drill"]).succeeded();
    let restored = sandbox.restore(&source, &id, "restored");
    sandbox.git(&restored, &["fsck", "--full"]);
    assert_eq!(missing(&sandbox, &restored), missing(&sandbox, &source));
}

/// A snapshot never fetches, whatever is missing: the promisor remote is a program that leaves the marker.
#[test]
fn nothing_is_ever_fetched() {
    let sandbox = Sandbox::new();
    let source = history::partial_clone(&sandbox);
    let command = format!("ext::touch {}", sandbox.marker().display());
    for setting in [
        &["config", "remote.origin.url", &command][..],
        &["config", "protocol.ext.allow", "always"],
    ] {
        sandbox.git(&source, setting);
    }
    let (id, ..) = snapshot(&sandbox, &source);
    for arguments in [&["verify", "--deep"][..], &["drill"], &["status"]] {
        let _said = sandbox.vault(&source, arguments);
    }
    let _restored = sandbox.restore(&source, &id, "restored");
    assert!(!sandbox.marker().exists(), "something was fetched");
    let _shown = sandbox.try_git(&source, &["show", "HEAD~3:src/one.txt"]);
    assert!(sandbox.marker().exists(), "git itself would have fetched");
}

/// Packs and settings that only look like those of a partial clone.
#[test]
fn marks_without_a_promisor_remote_mean_nothing() {
    let scene = Scene::new();
    scene.git(&["repack", "--quiet", "-a", "-d"]);
    let packs = files_ending(&scene.source.join(".git/objects/pack"), "pack");
    for pack in &packs {
        fs::write(pack.with_extension("promisor"), "").expect("written");
    }
    write(&scene.source, "new.txt", "new\n");
    let (id, completeness, promised) = snapshot(&scene.sandbox, &scene.source);
    assert_eq!((&*completeness, promised), ("self-contained", 0));
    let restored = scene.sandbox.restore(&scene.source, &id, "restored");
    let packs = restored.join(".git/objects/pack");
    assert!(files_ending(&packs, "promisor").is_empty());
    let state = |path: &Path| RepoState::capture(&scene.sandbox, path, Kind::Workspace);
    RepoState::assert_same_workspace(&state(&scene.source), &state(&restored));
}

/// Each repository of a workspace has its own history, its own end of it, and its own promises.
#[test]
fn submodules_may_be_shallow_or_partial_on_their_own() {
    let sandbox = Sandbox::new();
    let origin = history::promisor(&sandbox);
    let source = sandbox.init("super");
    write(&source, "top.txt", "of the repository above\n");
    let url = format!("file://{}", origin.display());
    for (name, option) in [("shallow", "--depth=2"), ("partial", "--filter=blob:none")] {
        sandbox.git(&source, &["clone", "--quiet", option, &url, name]);
        let add = ["submodule", "--quiet", "add", &url, name];
        sandbox.git(&source, &add);
        sandbox.git(&source, &["submodule", "--quiet", "absorbgitdirs", name]);
    }
    sandbox.commit(&source, "two submodules");
    append(&source, "partial/src/one.txt", "edited\n");
    append(&source, "shallow/src/one.txt", "of its own\n");
    sandbox.commit(&source.join("shallow"), "its own");
    let lacking = missing(&sandbox, &source.join("partial"));
    assert!(lacking > 0);

    let (id, completeness, promised) = snapshot(&sandbox, &source);
    assert_eq!(
        (&*completeness, promised),
        ("needs-promisor", lacking as u64)
    );
    let said = sandbox.vault(&source, &["show", &id]).succeeded();
    assert!(said.text().contains("modules/shallow"), "{said}");
    let vault = only_vault(&sandbox);
    assert_fsck_is_silent(&sandbox, &vault, "submodules");
    let _said = sandbox.vault(&source, &["verify", "--deep"]).succeeded();
    let _said = sandbox.vault(&source, &["drill"]).succeeded();

    let restored = sandbox.restore(&source, &id, "restored");
    for name in ["shallow", "partial"] {
        let (was, is) = (source.join(name), restored.join(name));
        let log = ["log", "--format=%H %P", "--all"];
        assert_eq!(sandbox.git(&is, &log), sandbox.git(&was, &log), "{name}");
        sandbox.git(&is, &["fsck", "--full"]);
    }
    let is_shallow = ["rev-parse", "--is-shallow-repository"];
    assert_eq!(
        sandbox.git_text(&restored.join("shallow"), &is_shallow),
        "true"
    );
    assert_eq!(missing(&sandbox, &restored.join("partial")), lacking);
    sandbox.git(&restored.join("partial"), &["show", "HEAD~1:src/one.txt"]);
    sandbox.git(
        &restored.join("shallow"),
        &["fetch", "--quiet", "--unshallow"],
    );

    // What is promised to one is promised to no other.
    let shallow = source.join(".git/modules/shallow/shallow");
    fs::remove_file(&shallow).expect("the end of the history is forgotten");
    let said = sandbox.vault(&source, &["snapshot"]).refused("GV-2005");
    assert!(said.to_string().contains("modules/shallow"), "{said}");
}

#[test]
fn clones_with_longer_ids_may_be_shallow_or_partial_as_well() {
    for option in ["--depth=1", "--filter=blob:none"] {
        let sandbox = Sandbox::new();
        let origin = (states::find("sha256_repository").build)(&sandbox);
        sandbox.git(&origin, &["stash", "clear"]);
        sandbox.git(&origin, &["config", "uploadpack.allowFilter", "true"]);
        sandbox.git(&origin, &["commit", "--quiet", "-m", "another version"]);
        let source = history::clone(&sandbox, &[option], &origin, "clone");
        append(&source, "one.txt", "edited\n");
        let state = RepoState::capture(&sandbox, &source, Kind::Workspace);
        let (id, ..) = snapshot(&sandbox, &source);
        assert_fsck_is_silent(&sandbox, &only_vault(&sandbox), option);
        let _said = sandbox.vault(&source, &["verify", "--deep"]).succeeded();
        let _said = sandbox.vault(&source, &["drill"]).succeeded();
        let restored = sandbox.restore(&source, &id, "restored");
        let found = RepoState::capture(&sandbox, &restored, Kind::Workspace);
        RepoState::assert_same_workspace(&state, &found);
        sandbox.git(&restored, &["fsck", "--full"]);
    }
}
