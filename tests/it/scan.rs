//! `scan` finds the projects below a folder, says of each what could be lost, the worst first, and runs and writes nothing there.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::answers::{documented_fields, fields};
use crate::laboratory::run;
use crate::support::files::{append, chmod, mkdir, symlink, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::{Said, Sandbox};

struct Scene {
    sandbox: Sandbox,
    top: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let top = sandbox.workplace();
        Self { sandbox, top }
    }

    /// A repository with one commit that is on a remote, of which it knows a URL of another machine.
    fn pushed(&self, name: &str) -> PathBuf {
        let remote = mkdir(&self.sandbox.path("remotes"), name);
        self.sandbox
            .git(&remote, &["init", "--quiet", "--bare", "."]);
        let repository = self.sandbox.init(name);
        write(&repository, "a", "a\n");
        self.sandbox.commit(&repository, "one");
        let url = format!("https://example.invalid/{name}.git");
        let instead = format!("url.{}.insteadOf", remote.to_str().expect("UTF-8"));
        self.sandbox.git(&repository, &["config", &instead, &url]);
        self.sandbox
            .git(&repository, &["remote", "add", "origin", &url]);
        self.sandbox
            .git(&repository, &["push", "--quiet", "origin", "main"]);
        repository
    }

    fn scan(&self, arguments: &[&str]) -> Said {
        let top = self.top.to_str().expect("UTF-8");
        let before = Fingerprint::of(&self.top);
        let said = run(
            &self.sandbox,
            &self.sandbox.home(),
            &[arguments, &["scan", "--all", top]].concat(),
        );
        before.assert_untouched(&self.top);
        said
    }

    fn projects(&self) -> Vec<Value> {
        let answer = self.scan(&["--json"]).json();
        assert_eq!(
            fields(&answer),
            documented_fields("git-vault/scan/1"),
            "{answer:#}"
        );
        answer["projects"].as_array().expect("an array").clone()
    }

    #[track_caller]
    fn project(&self, name: &str) -> Value {
        let path = self.top.join(name);
        let is_it = |one: &&Value| one["path"] == path.to_str().expect("UTF-8");
        let all = self.projects();
        all.iter()
            .find(is_it)
            .unwrap_or_else(|| panic!("{name}: {all:#?}"))
            .clone()
    }

    #[track_caller]
    fn assert_risk(&self, repository: &Path, due: &str) {
        let name = repository.file_name().and_then(|name| name.to_str());
        let project = self.project(name.expect("UTF-8"));
        assert_eq!(project["risk"], due, "{project:#}");
    }
}

#[test]
fn a_repository_is_judged_by_what_is_nowhere_else() {
    let scene = Scene::new();
    let sandbox = &scene.sandbox;
    let repository = scene.pushed("project");
    scene.assert_risk(&repository, "clean");
    write(&repository, "untracked", "x\n");
    scene.assert_risk(&repository, "never");
    assert_eq!(scene.project("project")["changed"], 1);
    sandbox.git(&repository, &["add", "untracked"]);
    assert_eq!(scene.project("project")["changed"], 1, "it is staged");
    sandbox.git(&repository, &["commit", "--quiet", "-m", "two"]);
    let project = scene.project("project");
    assert_eq!(project["changed"], 0, "{project:#}");
    assert_eq!(project["unpushed"], 1, "{project:#}");
    assert_eq!(project["risk"], "never", "{project:#}");
    sandbox.git(&repository, &["push", "--quiet", "origin", "main"]);
    scene.assert_risk(&repository, "clean");
    fs::remove_file(repository.join("a")).expect("removed");
    assert_eq!(scene.project("project")["changed"], 1, "it is gone");
    sandbox.git(&repository, &["stash", "--quiet"]);
    let project = scene.project("project");
    assert_eq!(project["stashes"], 1, "{project:#}");
    assert_eq!(project["risk"], "never", "{project:#}");
    let _id = sandbox.snapshot(&repository);
    scene.assert_risk(&repository, "local");
    sandbox.git(&repository, &["stash", "drop", "--quiet"]);
    scene.assert_risk(&repository, "stale");
    let _id = sandbox.snapshot(&repository);
    scene.assert_risk(&repository, "safe");
    append(&repository, "a", "more\n");
    let project = scene.project("project");
    assert_eq!(project["risk"], "stale", "{project:#}");
    assert_eq!(project["changed"], 1, "{project:#}");
}

#[test]
fn refs_in_tables_and_packed_refs_are_read_alike() {
    for tables in [false, true] {
        let scene = Scene::new();
        let sandbox = &scene.sandbox;
        if tables {
            let global = sandbox.home().join(".gitconfig");
            let config = fs::read_to_string(&global).expect("read");
            fs::write(
                &global,
                format!("{config}[init]\n\tdefaultRefFormat = reftable\n"),
            )
            .expect("written");
        }
        let repository = scene.pushed("project");
        write(&repository, "b", "b\n");
        sandbox.commit(&repository, "two");
        sandbox.git(&repository, &["switch", "--quiet", "-c", "topic"]);
        write(&repository, "b", "c\n");
        sandbox.commit(&repository, "three");
        write(&repository, "b", "d\n");
        sandbox.git(&repository, &["stash", "--quiet"]);
        sandbox.git(&repository, &["pack-refs", "--all"]);
        let project = scene.project("project");
        assert_eq!(project["unpushed"], 2, "{project:#}");
        assert_eq!(project["unpushed_branches"], 2, "{project:#}");
        assert_eq!(project["stashes"], 1, "{project:#}");
    }
}

#[test]
fn a_branch_behind_its_remote_has_nothing_that_is_only_here() {
    let scene = Scene::new();
    let repository = scene.pushed("project");
    write(&repository, "b", "b\n");
    scene.sandbox.commit(&repository, "two");
    for arguments in [
        &["push", "--quiet", "origin", "main"][..],
        &["branch", "--quiet", "old", "HEAD~1"],
    ] {
        scene.sandbox.git(&repository, arguments);
    }
    let project = scene.project("project");
    assert_eq!(project["unpushed"], 0, "{project:#}");
    assert_eq!(project["risk"], "clean", "{project:#}");
}

#[test]
fn repositories_inside_of_others_are_part_of_them_and_linked_worktrees_too() {
    let scene = Scene::new();
    let outer = scene.pushed("outer");
    write(&outer, ".git/info/exclude", "/ignored/\n");
    for name in ["inner", "ignored/inner"] {
        let inner = mkdir(&outer, name);
        scene.sandbox.git(&inner, &["init", "--quiet"]);
        write(&inner, "x", "x\n");
        scene.sandbox.commit(&inner, "one");
    }
    scene
        .sandbox
        .git(&outer, &["worktree", "add", "--quiet", "../aside"]);
    let projects = scene.projects();
    assert_eq!(projects.len(), 1, "{projects:#?}");
    let outer = outer.to_str().expect("UTF-8");
    assert_eq!(projects[0]["path"], outer);
    assert_eq!(projects[0]["changed"], 0, "{projects:#?}");
    assert_eq!(projects[0]["inside"], 2, "no remote has what is inside");
    assert_eq!(projects[0]["risk"], "never", "{projects:#?}");
}

#[test]
fn commits_that_no_branch_of_a_remote_has_are_found_wherever_they_hang() {
    for place in ["tag", "annotated", "worktree", "detached", "ref", "gone"] {
        let scene = Scene::new();
        let repository = scene.pushed("project");
        let git = |directory: &Path, arguments: &[&str]| {
            scene.sandbox.git(directory, arguments);
        };
        let side = scene.sandbox.path("side");
        let work = if place == "worktree" {
            let side = side.to_str().expect("UTF-8");
            git(
                &repository,
                &["worktree", "add", "--quiet", "--detach", side],
            );
            Path::new(side)
        } else {
            git(&repository, &["checkout", "--quiet", "--detach"]);
            &repository
        };
        write(work, "b", "b\n");
        scene.sandbox.commit(work, "only here");
        let (due_commits, due_on_tags) = match place {
            "tag" => (0, 1),
            "annotated" => (0, 1),
            "ref" => (0, 1),
            "gone" => (0, 1),
            _ => (1, 0),
        };
        match place {
            "tag" => git(&repository, &["tag", "keep"]),
            "annotated" => git(&repository, &["tag", "-a", "-m", "keep", "keep"]),
            "ref" => git(&repository, &["update-ref", "refs/wip/keep", "HEAD"]),
            "gone" => git(
                &repository,
                &["update-ref", "refs/remotes/gone/main", "HEAD"],
            ),
            _ => {}
        }
        if due_on_tags > 0 {
            git(&repository, &["checkout", "--quiet", "main"]);
        }
        for is_packed in [false, true] {
            let project = scene.project("project");
            assert_eq!(project["unpushed"], due_commits, "{place}: {project:#}");
            assert_eq!(project["on_tags_only"], due_on_tags, "{place}: {project:#}");
            assert_eq!(project["risk"], "never", "{place}: {project:#}");
            if !is_packed {
                git(&repository, &["pack-refs", "--all"]);
            }
        }
        let _id = scene.sandbox.snapshot(&repository);
        scene.assert_risk(&repository, "local");
    }
}

#[test]
fn a_tag_of_what_is_on_a_remote_is_nothing_that_is_only_here() {
    let scene = Scene::new();
    let repository = scene.pushed("project");
    let git = |arguments: &[&str]| scene.sandbox.git(&repository, arguments);
    git(&["tag", "-a", "-m", "old", "old"]);
    write(&repository, "b", "b\n");
    scene.sandbox.commit(&repository, "two");
    git(&["tag", "new"]);
    git(&["push", "--quiet", "origin", "main"]);
    scene.assert_risk(&repository, "clean");
}

#[test]
fn a_remote_that_is_a_path_or_gone_is_no_other_machine() {
    let scene = Scene::new();
    let repository = scene.pushed("project");
    let _id = scene.sandbox.snapshot(&repository);
    scene.assert_risk(&repository, "safe");
    let remote = scene.sandbox.path("remotes/project");
    let remote = remote.to_str().expect("UTF-8");
    let file = format!("file://{remote}");
    for url in [remote, &file, "../elsewhere"] {
        let arguments = ["remote", "set-url", "origin", url];
        scene.sandbox.git(&repository, &arguments);
        let _id = scene.sandbox.snapshot(&repository);
        scene.assert_risk(&repository, "local");
        let text = scene.scan(&[]).text();
        assert!(text.contains("no remote but a path"), "{text}");
    }
    let text = scene.sandbox.vault(&repository, &["status"]).text();
    let due = "there is no remote but a path: all commits are on this machine only";
    assert!(text.contains(due), "{text}");
    // The configuration forgets the remote, its branches stay.
    let arguments = ["config", "--remove-section", "remote.origin"];
    scene.sandbox.git(&repository, &arguments);
    let _id = scene.sandbox.snapshot(&repository);
    scene.assert_risk(&repository, "local");
}

/// Its files are older than the snapshot, and in no snapshot.
#[test]
fn another_clone_of_what_is_gone_is_not_taken_for_captured() {
    let scene = Scene::new();
    let sandbox = &scene.sandbox;
    let first = scene.pushed("first");
    let second = scene.top.join("second");
    let (from, to) = (first.to_str(), second.to_str());
    let arguments = ["clone", "--quiet", from.expect("UTF-8"), to.expect("UTF-8")];
    sandbox.git(&scene.top, &arguments);
    write(&second, "only-here", "x\n");
    // A snapshot states full seconds: the newest one is from a later one than the file.
    let second_of = |path: &Path| fs::metadata(path).expect("seen").ctime();
    let changed = second_of(&second.join("only-here"));
    let mut begun = changed;
    while begun == changed {
        begun = second_of(&write(&sandbox.home(), "now", "x"));
        let _id = sandbox.snapshot(&first);
    }
    fs::remove_dir_all(&first).expect("removed");
    scene.assert_risk(&second, "stale");
    let text = sandbox.vault(&second, &["status"]).text();
    assert!(!text.contains("nothing is new"), "{text}");
}

#[test]
fn hostile_repositories_run_nothing_and_hold_nothing_up() {
    let scene = Scene::new();
    let sandbox = &scene.sandbox;
    let armed = sandbox.init("armed");
    write(&armed, "a", "a\n");
    sandbox.commit(&armed, "one");
    let planted = format!("touch '{}'; cat", sandbox.marker().display());
    write(&armed, ".gitattributes", "* filter=x diff=x\n");
    let alias = format!("!{planted}");
    for (key, value) in [
        ("core.fsmonitor", planted.as_str()),
        ("core.pager", &planted),
        ("core.sshCommand", &planted),
        ("core.hooksPath", "hooks"),
        ("filter.x.clean", &planted),
        ("filter.x.process", &planted),
        ("diff.external", &planted),
        ("alias.vault", &alias),
    ] {
        sandbox.git(&armed, &["config", key, value]);
    }
    append(&armed, "a", "more\n");
    for (name, path) in [
        ("b1", "index"),
        ("b2", "packed-refs"),
        ("b3", "refs/heads/fifo"),
        ("b4", "logs/refs/stash"),
    ] {
        let broken = sandbox.init(name);
        let path = broken.join(".git").join(path);
        fs::create_dir_all(path.parent().expect("a parent")).expect("made");
        let mut command = sandbox.command("mkfifo", &broken);
        assert!(command.arg(&path).status().expect("it starts").success());
    }
    let endless = mkdir(&scene.top, "endless");
    symlink(&endless, ".git", "/dev/zero");
    let round = mkdir(&scene.top, "round");
    symlink(&round, "up", "..");
    write(&round, "esc\u{1b}[31m\nline/Makefile", "x\n");
    let said = scene.scan(&[]);
    assert_eq!(said.code, Some(3), "{said}");
    let text = said.text();
    assert!(!text.contains('\u{1b}'), "{text}");
    let starts = |word: &str| text.lines().filter(|line| line.starts_with(word)).count();
    assert_eq!(starts("REFUSED"), 5, "{text}");
    assert_eq!(starts("NEVER"), 1, "{text}");
    assert_eq!(starts("NO GIT"), 1, "{text}");
    assert!(!sandbox.marker().exists(), "something was run");
}

#[test]
fn folders_without_version_control_broken_repositories_and_what_cannot_be_read_are_said() {
    let scene = Scene::new();
    write(&scene.top, "sketch/main.py", "x\n");
    write(&scene.top, "sketch/lib/more.py", "x\n");
    write(&scene.top, "photos/one.jpg", "x\n");
    mkdir(&scene.top, "broken/.git");
    let locked = mkdir(&scene.top, "locked");
    symlink(&scene.top, "link", "sketch");
    let text = scene.scan(&[]).text();
    assert!(
        text.contains("sketch: main.py, and no repository"),
        "{text}"
    );
    let broken = scene.project("broken");
    assert_eq!(broken["risk"], "refused", "{broken:#}");
    assert_eq!(scene.projects().len(), 2);
    chmod(&locked, 0o000);
    let top = scene.top.to_str().expect("UTF-8");
    let is_readable = fs::read_dir(&locked).is_ok();
    let said = run(&scene.sandbox, &scene.sandbox.home(), &["scan", top]);
    let is_said = said.text().contains("NOT SEEN");
    // Root may read everything.
    assert!(is_said || is_readable, "{said}");
    let said = run(&scene.sandbox, &locked, &["scan", "nowhere"]);
    let _said = said.refused("GV-1005");
}

#[test]
fn the_worst_comes_first_and_the_exit_status_says_whether_anything_is_at_risk() {
    let scene = Scene::new();
    let safe = scene.pushed("a-safe");
    let _id = scene.sandbox.snapshot(&safe);
    let said = scene.scan(&[]);
    assert_eq!(said.code, Some(0), "{said}");
    let _clean = scene.pushed("b-clean");
    assert_eq!(scene.scan(&[]).code, Some(0));
    write(&scene.top, "c-folder/Makefile", "x\n");
    let never = scene.sandbox.init("d-never");
    write(&never, "x", "x\n");
    let stale = scene.pushed("e-stale");
    let _id = scene.sandbox.snapshot(&stale);
    append(&stale, "a", "more\n");
    let said = scene.scan(&[]);
    assert_eq!(said.code, Some(3), "{said}");
    let words: Vec<String> = said
        .text()
        .lines()
        .map(|line| line.get(..10).unwrap_or(line).trim().to_owned())
        .collect();
    assert_eq!(
        words,
        [
            "NEVER", "NO GIT", "STALE", "CLEAN", "SAFE", "SCANNED", "NEXT", "NEXT", "NEXT"
        ],
        "{said}"
    );
    let top = scene.top.to_str().expect("UTF-8");
    let said = run(&scene.sandbox, &scene.sandbox.home(), &["scan", top]);
    assert!(!said.text().contains("a-safe"), "{said}");
    assert!(said.text().contains("1 safe"), "{said}");
    // Inside of a repository, it is all that there is to look at.
    let inside = mkdir(&stale, "src");
    let said = run(&scene.sandbox, &inside, &["scan"]);
    assert_eq!(said.code, Some(3), "{said}");
    assert!(said.text().starts_with("STALE"), "{said}");
}

#[test]
fn a_moved_repository_is_known_by_its_vault() {
    let scene = Scene::new();
    let repository = scene.pushed("before");
    let _id = scene.sandbox.snapshot(&repository);
    let moved = scene.top.join("after");
    fs::rename(&repository, &moved).expect("moved");
    let project = scene.project("after");
    assert!(project["snapshot"].is_string(), "{project:#}");
    assert_eq!(project["risk"], "safe", "{project:#}");
    // With a copy beside it nobody knows which of them has moved.
    let mut command = scene.sandbox.command("cp", &scene.top);
    assert!(
        command
            .args(["-a", "after", "copy"])
            .status()
            .expect("it starts")
            .success()
    );
    for name in ["after", "copy"] {
        let project = scene.project(name);
        assert!(project["snapshot"].is_null(), "{project:#}");
        assert_eq!(project["risk"], "clean", "{project:#}");
    }
}

/// What cannot be found out within bounds is no reason to say that all is well.
#[test]
fn more_remote_branches_than_are_looked_at_hide_no_commit() {
    let scene = Scene::new();
    let repository = scene.pushed("project");
    write(&repository, "b", "b\n");
    scene.sandbox.commit(&repository, "only here");
    let mut text = String::new();
    for number in 0..2100 {
        text.push_str(&format!(
            "commit refs/remotes/origin/b{number}\ncommitter x <x@x> {} +0000\ndata 1\nx\n",
            2_000_000_000 + number
        ));
    }
    let input = write(&scene.sandbox.home(), "import", text);
    let mut command = scene.sandbox.command("git", &repository);
    command.args(["fast-import", "--quiet"]);
    command.stdin(fs::File::open(input).expect("opened"));
    assert!(command.status().expect("git starts").success());
    let project = scene.project("project");
    assert_eq!(project["unpushed_is_more"], true, "{project:#}");
    assert_eq!(project["unpushed"], 1, "{project:#}");
    assert_eq!(project["risk"], "never", "{project:#}");
}
