//! What a review once found in capturing and restoring, and must not come back: links, rules, indices and words of a source
//! that led a snapshot astray.

use std::fs;
use std::path::{Path, PathBuf};

use git_vault::model::refusal_code::RefusalCode;
use serde_json::Value;

use crate::laboratory::{bounded, refusal, run};
use crate::source_refusals::Scene;
use crate::support::files::{append, chmod, mkdir, symlink, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::{Kind, RepoState, Sandbox, states};

/// A path as an argument.
pub fn shown(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

/// Takes a snapshot, which leaves the source as it is, and restores it.
#[track_caller]
fn carried_over(sandbox: &Sandbox, source: &Path) -> (Value, PathBuf) {
    let untouched = Fingerprint::of(source);
    let sealed = run(sandbox, source, &["--json", "snapshot"])
        .succeeded()
        .json();
    assert_eq!(sealed["outcome"], "sealed");
    let destination = sandbox.path("restored");
    let id = sealed["snapshot"]["id"].as_str().expect("an id");
    let arguments = ["--json", "restore", id, shown(&destination)];
    let restored = run(sandbox, source, &arguments).succeeded().json();
    untouched.assert_untouched(source);
    (restored, destination)
}

fn words(list: &Value) -> Vec<&str> {
    let all = list.as_array().expect("a list").iter();
    all.map(|one| one.as_str().expect("a string")).collect()
}

/// A hook outside any repository that leaves the marker.
fn shared_hook(sandbox: &Sandbox) -> PathBuf {
    let script = format!("#!/bin/sh\ntouch '{}'\n", sandbox.marker().display());
    let hook = write(&sandbox.path("shared"), "pre-commit", script);
    chmod(&hook, 0o755);
    hook
}

#[test]
fn a_link_where_git_keeps_state_is_refused_by_name() {
    for name in [
        "objects",
        "refs",
        "refs/heads",
        "HEAD",
        "config",
        "packed-refs",
        "logs",
    ] {
        let scene = Scene::new();
        if name == "packed-refs" {
            scene.git(&["pack-refs", "--all"]);
        }
        let place = scene.source.join(".git").join(name);
        let elsewhere = mkdir(&scene.sandbox.path("elsewhere"), "of-the-original");
        if name == "HEAD" {
            // Git takes a linked HEAD only if it leads to a ref.
            fs::remove_file(&place).expect("HEAD is removed");
            symlink(&scene.source, ".git/HEAD", "refs/heads/main");
        } else {
            let target = elsewhere.join("state");
            fs::rename(&place, &target).expect("it is moved away");
            symlink(&scene.source.join(".git"), name, shown(&target));
        }
        scene.git(&["rev-parse", "HEAD"]);
        let untouched = Fingerprint::of(&elsewhere);
        scene.assert_refused(&["GV-2004"], &format!(".git/{name}"));
        untouched.assert_untouched(&elsewhere);
    }
}

#[test]
fn linked_hooks_and_rules_come_back_as_links_and_are_said_to_execute() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let hook = shared_hook(&sandbox);
    let rules = write(&sandbox.path("shared"), "rules", "*.log\n");
    fs::remove_file(source.join(".git/info/exclude")).expect("the rules are removed");
    symlink(&source, ".git/info/exclude", shown(&rules));
    symlink(&source, ".git/hooks/pre-commit", shown(&hook));
    write(&source, "left-out.log", "by the linked rules\n");
    write(&source, "untracked.txt", "captured\n");

    let original = RepoState::capture(&sandbox, &source, Kind::Workspace);
    let (answer, restored) = carried_over(&sandbox, &source);
    let found = RepoState::capture(&sandbox, &restored, Kind::Workspace);
    RepoState::assert_same_workspace(&original.without_ignored(), &found);
    assert!(!restored.join("left-out.log").exists());
    for (name, target) in [
        (".git/info/exclude", &rules),
        (".git/hooks/pre-commit", &hook),
    ] {
        let link = fs::read_link(restored.join(name)).expect("it is a link");
        assert_eq!(&link, target, "'{name}'");
    }
    assert_eq!(words(&answer["can_execute"]), ["hook hooks/pre-commit"]);
    assert!(!sandbox.marker().exists(), "the hook was run");
}

#[test]
fn a_linked_directory_of_hooks_comes_back_as_a_link_and_is_said_to_execute() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let _hook = shared_hook(&sandbox);
    let hooks = sandbox.path("shared");
    fs::remove_dir_all(source.join(".git/hooks")).expect("the hooks are removed");
    symlink(&source, ".git/hooks", shown(&hooks));

    let shared = Fingerprint::of(&hooks);
    let (answer, restored) = carried_over(&sandbox, &source);
    shared.assert_untouched(&hooks);
    let link = fs::read_link(restored.join(".git/hooks")).expect("it is a link");
    assert_eq!(link, hooks);
    let executes = words(&answer["can_execute"]);
    assert!(
        executes.iter().any(|one| one.starts_with("hook hooks")),
        "the linked hooks execute, and should be listed: {executes:?}"
    );
    assert!(!sandbox.marker().exists(), "the hook was run");
}

#[test]
fn settings_that_execute_are_listed_after_a_restore() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let config = r#"
[url "ext::sh -c touch% marker"]
	insteadOf = https://example.com/
[remote "x"]
	url = https://example.com/x
	pushurl = ext::sh -c touch% marker
[tar "x"]
	command = touch marker
[alias]
	run = !touch marker
	harmless = status --short
[core]
	sshCommand = touch marker
	fsmonitor = ./monitor
"#;
    append(&source, ".git/config", config);
    let (answer, restored) = carried_over(&sandbox, &source);
    let mut executes = words(&answer["can_execute"]);
    executes.sort_unstable();
    let expected = [
        "setting alias.run = !touch marker",
        "setting core.fsmonitor = ./monitor",
        "setting core.sshcommand = touch marker",
        "setting remote.x.pushurl = ext::sh -c touch% marker",
        "setting tar.x.command = touch marker",
        "setting url.ext::sh -c touch% marker.insteadof = https://example.com/",
    ];
    assert_eq!(executes, expected);
    fs::remove_dir_all(&restored).expect("the copy is removed");
    let said = run(&sandbox, &source, &["restore", "@latest", shown(&restored)]).succeeded();
    let lines = said.text();
    for setting in expected {
        let line = format!("EXECUTES   {setting}");
        assert!(lines.lines().any(|found| found == line), "'{line}'\n{said}");
    }
}

#[test]
fn a_rule_of_a_megabyte_is_cut_where_it_is_shown_and_the_snapshot_stays_readable() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let rule = format!("left-out[{}z]", "y".repeat(1 << 20));
    write(&source, ".gitignore", format!("{rule}\n"));
    write(&source, "left-outz", "ignored\n");
    write(&source, "left-outx", "captured\n");
    let (_, restored) = carried_over(&sandbox, &source);
    for name in [".gitignore", "left-outx"] {
        let bytes = |root: &Path| fs::read(root.join(name)).expect("the file is read");
        assert!(
            bytes(&source) == bytes(&restored),
            "'{name}' is not the same"
        );
    }
    assert!(!restored.join("left-outz").exists());

    let _said = run(&sandbox, &source, &["list"]).succeeded();
    let shown = run(&sandbox, &source, &["--json", "show"])
        .succeeded()
        .json();
    let left_out = shown["snapshot"]["left_out"].as_array().expect("a list");
    let mut rules = left_out.iter().filter(|one| one["place"] == "worktree");
    let found = rules.next().expect("a rule")["rule"]
        .as_str()
        .expect("text");
    assert!(found.starts_with(".gitignore:1: left-out[yyy"), "{found}");
    assert!(
        found.len() < 500,
        "a rule of {} bytes is shown",
        found.len()
    );
    assert!(rules.next().is_none(), "one rule");
    let text = run(&sandbox, &source, &["show"]).succeeded().text();
    assert!(text.contains(found) && text.len() < 10_000, "{text}");
    let _said = run(&sandbox, &source, &["verify", "--deep"]).succeeded();
}

#[test]
fn a_working_tree_whose_repository_says_it_is_bare_is_refused() {
    let scene = Scene::new();
    write(&scene.source, "untracked.txt", "would be lost\n");
    scene.git(&["config", "core.bare", "true"]);
    scene.assert_refused(&["GV-2004"], "core.bare");
    scene.assert_refused_in(&scene.source.join("src"), &["GV-2004"], "core.bare");
}

#[test]
fn a_tracked_file_made_again_where_the_index_is_sparse_is_captured_though_ignored() {
    let sandbox = Sandbox::new();
    let source = (states::find("sparse_index").build)(&sandbox);
    let staged = sandbox.git_text(&source, &["ls-files", "--sparse", "--stage"]);
    let is_collapsed = |line: &str| line.starts_with("040000 ") && line.ends_with("\toutside/");
    assert!(staged.lines().any(is_collapsed), "{staged}");
    write(&source, ".git/info/exclude", "outside/\n*.log\n");
    write(&source, "outside/b.txt", "edited by hand\n");
    write(&source, "outside/deep/c.txt", "edited by hand, too\n");
    write(&source, "inside/not-tracked.log", "ignored\n");

    let (_, restored) = carried_over(&sandbox, &source);
    for (name, content) in [
        ("outside/b.txt", "edited by hand\n"),
        ("outside/deep/c.txt", "edited by hand, too\n"),
    ] {
        let found = fs::read_to_string(restored.join(name));
        assert_eq!(found.ok().as_deref(), Some(content), "'{name}'");
    }
    assert!(!restored.join("inside/not-tracked.log").exists());
    let index = |root: &Path| fs::read(root.join(".git/index")).expect("the index is read");
    assert!(index(&source) == index(&restored), "the index is another");
    let status = ["status", "--porcelain"];
    assert_eq!(
        sandbox.git(&restored, &status),
        sandbox.git(&source, &status)
    );
}

#[test]
fn a_missing_blob_of_an_older_stash_is_refused_by_its_id() {
    let scene = Scene::new();
    for content in ["in the older stash\n", "in the newer stash\n"] {
        write(&scene.source, "README.md", content);
        scene.git(&["stash", "push", "--quiet"]);
    }
    let arguments = ["rev-parse", "stash@{1}:README.md"];
    let id = scene.sandbox.git_text(&scene.source, &arguments);
    let object = format!(".git/objects/{}/{}", &id[..2], &id[2..]);
    fs::remove_file(scene.source.join(object)).expect("the blob is removed");
    scene.assert_refused(&["GV-2005"], &id);
}

#[test]
fn stale_news_of_an_overridden_tag_in_packed_refs_is_no_obstacle() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let commit = ["commit-tree", "-m", "only tagged", "HEAD^{tree}"];
    let gone = sandbox.git_text(&source, &commit);
    sandbox.git(&source, &["tag", "-a", "-m", "old", "v1", &gone]);
    sandbox.git(&source, &["pack-refs", "--all"]);
    sandbox.git(&source, &["tag", "-f", "-a", "-m", "new", "v1", "HEAD"]);
    sandbox.git(&source, &["reflog", "expire", "--expire=now", "--all"]);
    sandbox.git(&source, &["prune", "--expire=now"]);
    let packed = fs::read_to_string(source.join(".git/packed-refs")).expect("they are read");
    assert!(packed.contains(&format!("^{gone}")), "{packed}");
    let found = sandbox.try_git(&source, &["cat-file", "-e", &gone]);
    assert!(!found.status.success(), "the commit should be gone");

    let original = RepoState::capture(&sandbox, &source, Kind::Workspace);
    let (_, restored) = carried_over(&sandbox, &source);
    let found = RepoState::capture(&sandbox, &restored, Kind::Workspace);
    RepoState::assert_same_workspace(&original, &found);
    let again = fs::read_to_string(restored.join(".git/packed-refs")).expect("they are read");
    assert_eq!(again, packed);
}

/// A repository in the middle of a rebase that has yet to make a merge again.
fn stopped_before_a_merge(sandbox: &Sandbox) -> PathBuf {
    let source = states::small_repository(sandbox);
    sandbox.git(&source, &["switch", "--quiet", "--create", "topic"]);
    write(&source, "topic.txt", "topic\n");
    sandbox.commit(&source, "topic");
    sandbox.git(&source, &["switch", "--quiet", "--create", "side", "main"]);
    write(&source, "side.txt", "side\n");
    sandbox.commit(&source, "side");
    sandbox.git(&source, &["switch", "--quiet", "topic"]);
    let merge = ["merge", "--quiet", "--no-ff", "--no-edit", "side"];
    sandbox.git(&source, &merge);
    let editor = [("GIT_SEQUENCE_EDITOR", "sed -i -e '0,/^pick/s/^pick/edit/'")];
    let rebase = ["rebase", "--quiet", "-r", "-i", "--no-ff", "main"];
    sandbox.git_with(&source, &editor, &rebase);
    source
}

#[test]
fn the_commit_of_a_merge_that_a_rebase_has_yet_to_make_is_carried_over() {
    let sandbox = Sandbox::new();
    let source = stopped_before_a_merge(&sandbox);
    let todo = source.join(".git/rebase-merge/git-rebase-todo");
    let text = fs::read_to_string(&todo).expect("the list is read");
    let line = text.lines().find(|line| line.starts_with("merge -C "));
    let line = line.unwrap_or_else(|| panic!("a merge is left to do\n{text}"));
    let named = line.split(' ').nth(2).expect("a commit");
    // Nothing but the list names this one: the same merge with another message.
    let message = "only the list names it";
    let parents = ["-p", &format!("{named}^1"), "-p", &format!("{named}^2")];
    let tree = format!("{named}^{{tree}}");
    let arguments = [&["commit-tree", "-m", message][..], &parents, &[&tree]].concat();
    let commit = sandbox.git_text(&source, &arguments);
    fs::write(&todo, text.replace(named, &commit)).expect("the list is written");

    let original = RepoState::capture(&sandbox, &source, Kind::Workspace);
    let (_, restored) = carried_over(&sandbox, &source);
    let found = RepoState::capture(&sandbox, &restored, Kind::Workspace);
    RepoState::assert_same_workspace(&original, &found);
    sandbox.git(
        &restored,
        &["cat-file", "-e", &format!("{commit}^{{commit}}")],
    );
    sandbox.git(&restored, &["rebase", "--continue"]);
    let subject = sandbox.git_text(&restored, &["log", "-1", "--format=%s", "topic"]);
    assert_eq!(subject, message, "the rebase goes on with the commit");
}

#[test]
fn a_commit_that_only_a_list_of_work_names_is_refused_when_it_is_missing() {
    let sandbox = Sandbox::new();
    let source = stopped_before_a_merge(&sandbox);
    let absent = "1".repeat(40);
    append(
        &source,
        ".git/rebase-merge/git-rebase-todo",
        format!("merge -C {absent} side # side\n"),
    );
    let untouched = Fingerprint::of(&source);
    let said = run(&sandbox, &source, &["snapshot"]);
    assert_eq!(
        refusal(&said),
        Ok(RefusalCode::SourceObjectMissing),
        "{said}"
    );
    assert!(said.to_string().contains(&absent), "{said}");
    untouched.assert_untouched(&source);
}

#[test]
fn a_stray_pack_index_in_the_source_is_no_obstacle() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    sandbox.git(&source, &["repack", "-a", "-d", "--quiet"]);
    let packs = source.join(".git/objects/pack");
    let names = fs::read_dir(&packs).expect("the packs are read");
    let mut paths = names.map(|entry| entry.expect("an entry").path());
    let index = paths.find(|path| path.extension().is_some_and(|ending| ending == "idx"));
    let stray = packs.join(format!("pack-{}.idx", "1".repeat(40)));
    fs::copy(index.expect("an index"), &stray).expect("the index is copied");
    write(&packs, format!("pack-{}.idx", "2".repeat(40)), "nonsense");

    let original = RepoState::capture(&sandbox, &source, Kind::Workspace);
    let (_, restored) = carried_over(&sandbox, &source);
    let found = RepoState::capture(&sandbox, &restored, Kind::Workspace);
    RepoState::assert_same_workspace(&original, &found);
    sandbox.git(&restored, &["fsck", "--full", "--strict"]);
}

#[test]
fn rules_that_are_a_pipe_are_not_waited_for_and_ignore_nothing() {
    for place in ["info/exclude", "core.excludesFile"] {
        let sandbox = Sandbox::new();
        let source = states::small_repository(&sandbox);
        let path = if place == "info/exclude" {
            source.join(".git/info/exclude")
        } else {
            let path = sandbox.home().join("pipe");
            sandbox.git(&source, &["config", "core.excludesFile", shown(&path)]);
            path
        };
        if path.exists() {
            fs::remove_file(&path).expect("the rules are removed");
        }
        let pipe = sandbox.command("mkfifo", &source).arg(&path).status();
        assert!(pipe.expect("mkfifo starts").success());
        write(&source, "a.log", "captured\n");
        write(&source, "build/b.o", "captured\n");

        let (answer, restored) = carried_over(&sandbox, &source);
        for name in ["a.log", "build/b.o", "README.md"] {
            assert!(restored.join(name).exists(), "'{name}' should be captured");
        }
        let is_recorded = !words(&answer["not_recreated"]).is_empty();
        assert_eq!(is_recorded, place == "info/exclude", "{answer}");
        let shown = run(&sandbox, &source, &["--json", "show"]).succeeded();
        let left_out = shown.json()["snapshot"]["left_out"].clone();
        let all = left_out.as_array().expect("a list").iter();
        assert_eq!(all.filter(|one| one["place"] == "worktree").count(), 0);
    }
}

#[test]
fn settings_and_working_tree_named_by_the_environment_do_not_redirect() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    write(&source, "untracked.txt", "of the source\n");
    let elsewhere = mkdir(&sandbox.workplace(), "elsewhere");
    write(&elsewhere, "other.txt", "of another place\n");
    let config = write(&sandbox.path("other"), "config", "[user]\n\tname = Other\n");
    let untouched = Fingerprint::of(&sandbox.workplace());
    let original = RepoState::capture(&sandbox, &source, Kind::Workspace);
    let mut command = sandbox.vault_command(&source);
    command
        .env("GIT_CONFIG_GLOBAL", &config)
        .env("GIT_WORK_TREE", &elsewhere)
        .args(["--json", "snapshot"]);
    let said = bounded(command, "git-vault snapshot").succeeded();
    untouched.assert_untouched(&sandbox.workplace());
    let answer = said.json();
    assert_eq!(answer["outcome"], "sealed");
    let id = answer["snapshot"]["id"].as_str().expect("an id");
    let restored = sandbox.restore(&source, id, "restored");
    let found = RepoState::capture(&sandbox, &restored, Kind::Workspace);
    RepoState::assert_same_workspace(&original, &found);
}
