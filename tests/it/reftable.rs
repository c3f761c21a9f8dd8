//! Repositories whose refs and reflogs are kept in tables: what we read there is what git reads there, and what is damaged is
//! refused, though git itself takes it for a repository without refs.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use git_vault::host::git::object::ObjectId;
use git_vault::host::git::reftable::{self, Stack, Value};
use git_vault::host::git::tips::{self, Tips};

use crate::concurrency::id_of;
use crate::crash::can_trace;
use crate::laboratory::{effort, only_vault};
use crate::pause::paused;
use crate::roundtrip::assert_round_trip_in;
use crate::source_refusals::Scene;
use crate::support::files::write;
use crate::support::states::{find, refs_in_tables};
use crate::support::{Kind, Sandbox};

/// States of which refs, reflogs or operations are the point.
const STATES: [&str; 12] = [
    "three_stashes",
    "detached_head",
    "rebase_stopped_by_conflict",
    "rebase_with_autostash",
    "merge_with_autostash",
    "cherry_pick_sequence",
    "revert_stopped",
    "bisect_running",
    "notes_and_replacements",
    "remotes_and_fetch_head",
    "unborn_and_empty",
    "sha256_repository",
];

type Files = BTreeMap<Vec<u8>, Vec<u8>>;

/// The files of a git directory from which tips are read, and the paths of all.
fn relevant_files(git_dir: &Path) -> (Files, Vec<Vec<u8>>) {
    let mut files = Files::new();
    let mut paths = Vec::new();
    let mut due = vec![git_dir.to_owned()];
    while let Some(directory) = due.pop() {
        for entry in fs::read_dir(&directory).expect("a directory") {
            let path = entry.expect("an entry").path();
            let below = path.strip_prefix(git_dir).expect("below");
            let name = below.to_str().expect("UTF-8").as_bytes().to_vec();
            if path.is_dir() {
                due.push(path);
                continue;
            }
            if tips::is_relevant(tips::in_its_worktree(&name).1) {
                files.insert(name.clone(), fs::read(&path).expect("a file"));
            }
            paths.push(name);
        }
    }
    (files, paths)
}

fn tips_of(git_dir: &Path) -> Tips {
    let (files, paths) = relevant_files(git_dir);
    tips::read(&files, &paths).expect("the tips")
}

fn stack_of(git_dir: &Path) -> Stack {
    let (files, _) = relevant_files(git_dir);
    reftable::read(&files).expect("the tables").expect("tables")
}

fn ids(text: &str) -> BTreeSet<ObjectId> {
    let id = |line: &str| ObjectId::from_hex(line.as_bytes()).expect("an id");
    text.lines().map(id).collect()
}

/// The same commands make the same ids, wherever git keeps its refs: so what a snapshot must hold is the same, too.
#[test]
fn tips_in_tables_are_those_in_files() {
    for name in STATES {
        let (in_files, in_tables) = (Sandbox::new(), Sandbox::new());
        if !refs_in_tables(&in_tables) {
            return;
        }
        // The trial takes one turn of the clock.
        in_files.git(&in_files.home(), &["version"]);
        let files = tips_of(&(find(name).build)(&in_files).join(".git"));
        let tables = (find(name).build)(&in_tables).join(".git");
        assert!(tables.join("reftable/tables.list").exists(), "{name}");
        assert_eq!(tips_of(&tables), files, "{name}");
    }
}

#[test]
fn operations_in_tables_round_trip_and_are_named() {
    for (name, operation) in [
        ("cherry_pick_sequence", "cherry-pick"),
        ("revert_stopped", "revert"),
        ("bisect_running", "bisect"),
        ("rebase_stopped_by_conflict", "rebase"),
    ] {
        let sandbox = Sandbox::new();
        if !refs_in_tables(&sandbox) {
            return;
        }
        let (source, _) = assert_round_trip_in(&sandbox, find(name));
        let shown = sandbox.vault(&source, &["show", "@latest"]).succeeded();
        assert!(shown.text().contains(operation), "{name}: {shown}");
    }
}

/// A repository with a linked worktree, on branch `other`.
fn with_linked(sandbox: &Sandbox) -> Option<(PathBuf, PathBuf)> {
    refs_in_tables(sandbox).then(|| {
        let repository = crate::support::states::small_repository(sandbox);
        let linked = sandbox.workplace().join("linked");
        let text = linked.to_str().expect("a UTF-8 path");
        let add = ["worktree", "add", "--quiet", "-b", "other", text];
        sandbox.git(&repository, &add);
        (repository, linked)
    })
}

#[test]
fn linked_worktrees_with_refs_in_tables_come_back_with_their_own_refs() {
    let sandbox = Sandbox::new();
    let Some((repository, linked)) = with_linked(&sandbox) else {
        return;
    };
    sandbox.git(&linked, &["bisect", "start", "HEAD", "HEAD~2"]);
    write(&linked, "README.md", "in the stash of both\n");
    sandbox.git(&linked, &["stash", "push", "--quiet"]);
    let id = sandbox.snapshot(&repository);
    let _said = sandbox
        .vault(&repository, &["verify", "--deep"])
        .succeeded();
    let said = sandbox.vault(&repository, &["drill"]).succeeded();
    assert!(said.text().contains("found the repository whole"), "{said}");
    let restored = sandbox.restore(&repository, &id, "restored");
    let restored_linked = restored.join(".git/linked-linked");
    assert_eq!(answers(&sandbox, &restored), answers(&sandbox, &repository));
    assert_eq!(
        answers(&sandbox, &restored_linked),
        answers(&sandbox, &linked)
    );
    for arguments in [
        &["rev-parse", "HEAD", "refs/bisect/bad"][..],
        &["bisect", "log"],
    ] {
        let (before, after) = (
            sandbox.git_text(&linked, arguments),
            sandbox.git_text(&restored_linked, arguments),
        );
        assert_eq!(after, before);
    }
    let list = repository.join(".git/worktrees/linked/reftable/tables.list");
    let table = list_of(list.parent().expect("a directory")).remove(0);
    for path in [list.clone(), list.with_file_name(&table)] {
        let before = fs::read(&path).expect("a file");
        fs::remove_file(&path).expect("removed");
        let said = sandbox.vault(&repository, &["snapshot"]);
        crate::refusals::assert_refused(&said, &["GV-2006"], "worktrees/linked/reftable/");
        fs::write(&path, before).expect("put back");
    }
    // Refs of a linked worktree are where those of the main one are.
    let own = list.parent().and_then(Path::parent).expect("a directory");
    fs::rename(list.parent().expect("a directory"), own.join("aside")).expect("renamed");
    write(own, "HEAD", "ref: refs/heads/other\n");
    let said = sandbox.vault(&repository, &["snapshot"]);
    crate::refusals::assert_refused(&said, &["GV-2006"], "worktrees/linked/reftable/");
}

/// A linked worktree has a stack of its own, with its HEAD and what belongs to its operations.
#[test]
fn the_stack_of_a_linked_worktree_is_read_by_itself() {
    let sandbox = Sandbox::new();
    let Some((repository, linked)) = with_linked(&sandbox) else {
        return;
    };
    let git = |arguments: &[&str]| sandbox.git_text(&linked, arguments);
    let tips = || tips_of(&repository.join(".git/worktrees/linked"));
    assert_eq!(tips().branch.as_deref(), Some(&b"refs/heads/other"[..]));
    git(&["bisect", "start", "HEAD", "HEAD~2"]);
    let here = ids(&git(&["rev-parse", "HEAD"]));
    let tips = tips();
    assert_eq!(tips.head, here.first().copied());
    assert_eq!(tips.operations, ["bisect"]);
    let named = git(&[
        "rev-parse",
        "HEAD",
        "refs/bisect/bad",
        "BISECT_EXPECTED_REV",
    ]);
    assert!(tips.needed.is_superset(&ids(&named)), "{tips:?}");
    let (files, paths) = relevant_files(&repository.join(".git"));
    let (all, each) = tips::read_all(&files, &paths).expect("the tips");
    assert_eq!(each[&b"linked"[..]].head, here.first().copied());
    assert!(all.needed.is_superset(&tips.needed));
    let main = tips_of(&repository.join(".git"));
    assert_eq!(main.branch.as_deref(), Some(&b"refs/heads/main"[..]));
    assert!(main.operations.is_empty());
}

/// What git says of refs, reflogs and stashes, as long as it is asked about them only.
fn answers(sandbox: &Sandbox, repository: &Path) -> Vec<String> {
    let ask = |arguments: &[&str]| sandbox.git_text(repository, arguments);
    let mut answers = vec![
        ask(&["for-each-ref", "--include-root-refs"]),
        ask(&[
            "for-each-ref",
            "--format=%(refname) %(symref) %(*objectname)",
        ]),
        ask(&["stash", "list", "--format=%gd %H %gs"]),
        ask(&["reflog", "list"]),
    ];
    for name in answers[3].clone().lines() {
        answers.push(ask(&["reflog", "show", "--format=%gd %H %gs %gn", name]));
    }
    answers
}

#[test]
fn git_says_the_same_of_refs_and_reflogs_of_the_restored_copy() {
    for name in [
        "reftable_refs",
        "reftable_packed",
        "reftable_many_tables",
        "reftable_sha256",
    ] {
        let sandbox = Sandbox::new();
        let source = (find(name).build)(&sandbox);
        if !source.join(".git/reftable").exists() {
            return;
        }
        let before = answers(&sandbox, &source);
        let id = sandbox.snapshot(&source);
        let restored = sandbox.restore(&source, &id, "restored");
        assert_eq!(answers(&sandbox, &restored), before, "{name}");
        assert_reads_as_git(&sandbox, &restored, name);
    }
}

/// Refs, and the ids of reflogs, are those that git lists.
#[track_caller]
fn assert_reads_as_git(sandbox: &Sandbox, repository: &Path, what: &str) {
    let stack = stack_of(&repository.join(".git"));
    let text = sandbox.git_text(
        repository,
        &[
            "for-each-ref",
            "--include-root-refs",
            "--format=%(refname) %(objectname) %(symref)",
        ],
    );
    let mut listed = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.split(' ');
        let mut next = || fields.next().unwrap_or_default().as_bytes().to_vec();
        let (name, id, target) = (next(), next(), next());
        let value = if target.is_empty() {
            Value::Id(ObjectId::from_hex(&id).expect("an id"))
        } else {
            Value::Symbolic(target)
        };
        listed.insert(name, value);
    }
    let mut refs = stack.refs.clone();
    for name in stack.dangling() {
        refs.remove(&name);
    }
    // Git names the last ref of a chain.
    for _ in 0..5 {
        for value in refs.values_mut() {
            if let Value::Symbolic(target) = value
                && let Some(Value::Symbolic(next)) = stack.refs.get(target)
            {
                *target = next.clone();
            }
        }
    }
    // These are files, wherever refs are.
    listed.remove(&b"MERGE_HEAD"[..]);
    listed.remove(&b"FETCH_HEAD"[..]);
    assert_eq!(refs, listed, "{what}");
    let mut logged = BTreeSet::new();
    let mut is_complete = true;
    for name in sandbox.git_text(repository, &["reflog", "list"]).lines() {
        let shown = sandbox.try_git(repository, &["reflog", "show", "--format=%H", name]);
        // Git lists the reflog of a ref that leads nowhere, and does not show it.
        is_complete &= shown.status.success();
        logged.extend(ids(&String::from_utf8_lossy(&shown.stdout)));
    }
    let found = stack.logged.iter().chain(&stack.stashed).copied();
    let found: BTreeSet<ObjectId> = found.filter(|id| !id.is_null()).collect();
    if is_complete {
        assert_eq!(found, logged, "{what}");
    } else {
        assert!(found.is_superset(&logged), "{what}");
    }
    let stash = sandbox.git_text(repository, &["stash", "list", "--format=%H"]);
    assert_eq!(stack.stashed, ids(&stash), "{what}");
}

/// Random changes of refs, with and without compaction, with blocks of several sizes.
#[test]
fn whatever_git_does_to_refs_is_read_as_git_reads_it() {
    let sandbox = Sandbox::new();
    if !refs_in_tables(&sandbox) {
        return;
    }
    let repository = crate::support::states::small_repository(&sandbox);
    let mut seed = 0x2545_f491_4f6c_dd1d_u64;
    let mut random = move |below: u64| {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        seed % below
    };
    let git = |options: &[&str], arguments: &[&str]| {
        let _output = sandbox.try_git(&repository, &[options, arguments].concat());
    };
    for step in 0..60 * effort() {
        let block = format!(
            "reftable.blockSize={}",
            [256, 512, 4096][random(3) as usize]
        );
        let interval = format!("reftable.restartInterval={}", 1 + random(20));
        // What a reflog names before a change is then what it names after the one before, which git shows.
        let logs = "core.logAllRefUpdates=always";
        let options = ["-c", &*block, "-c", &*interval, "-c", logs];
        let name = format!("n{}{}", random(6), "/deep".repeat(random(3) as usize));
        let full = format!("refs/heads/{name}");
        let to = format!("HEAD~{}", random(3));
        match random(9) {
            0..3 => git(&options, &["update-ref", &full, &to]),
            3 => git(&options, &["branch", "-D", &name]),
            // Git does not show what a reflog says of tags.
            4 => git(
                &["-c", &*block],
                &["tag", "-f", "-a", "-m", "tag", &name, &to],
            ),
            5 => git(&options, &["symbolic-ref", "refs/heads/link", &full]),
            6 => {
                write(&repository, "README.md", format!("stash {step}\n"));
                git(&options, &["stash", "push", "--quiet"]);
            }
            7 => git(&options, &["stash", "drop", "--quiet"]),
            _ => git(&options, &["pack-refs", "--all"]),
        }
        assert_reads_as_git(&sandbox, &repository, &format!("step {step}"));
    }
}

/// A repository with tables of which there is a snapshot.
fn scene() -> Option<(Scene, PathBuf)> {
    let sandbox = Sandbox::new();
    let source = (find("reftable_many_tables").build)(&sandbox);
    let tables = source.join(".git/reftable");
    tables.exists().then(|| {
        let _id = sandbox.snapshot(&source);
        let vault = only_vault(&sandbox);
        let scene = Scene {
            sandbox,
            source,
            vault,
        };
        (scene, tables)
    })
}

fn list_of(tables: &Path) -> Vec<String> {
    let list = fs::read_to_string(tables.join("tables.list")).expect("the list");
    list.lines().map(str::to_owned).collect()
}

#[test]
fn damaged_tables_are_refused_by_their_paths() {
    let Some((scene, tables)) = scene() else {
        return;
    };
    let names = list_of(&tables);
    let (first, last) = (&names[0], &names[names.len() - 1]);
    let table = fs::read(tables.join(last)).expect("a table");
    let flipped = |place: usize| {
        let mut bytes = table.clone();
        bytes[place] ^= 0x10;
        bytes
    };
    let list = fs::read(tables.join("tables.list")).expect("the list");
    let cases = [
        ("empty", last.as_str(), Some(Vec::new())),
        ("cut", last, Some(table[..table.len() / 2].to_vec())),
        ("longer", last, Some([&table[..], b"x"].concat())),
        ("another beginning", last, Some(flipped(0))),
        ("another version", last, Some(flipped(4))),
        ("another block", last, Some(flipped(24))),
        ("another length", last, Some(flipped(26))),
        ("another end", last, Some(flipped(table.len() - 1))),
        ("gone", last, None),
        ("the oldest gone", first, None),
        ("no list", "tables.list", None),
        ("an empty list", "tables.list", Some(Vec::new())),
        (
            "a list cut off",
            "tables.list",
            Some(list[..list.len() - 9].to_vec()),
        ),
        (
            "a list of nothing known",
            "tables.list",
            Some(b"nonsense\n".to_vec()),
        ),
        (
            "a list that leads out",
            "tables.list",
            Some(b"../x.ref\n".to_vec()),
        ),
        (
            "a list twice",
            "tables.list",
            Some([&list[..], &list].concat()),
        ),
    ];
    for (what, name, content) in cases {
        let path = tables.join(name);
        let before = fs::read(&path).expect("a file");
        match content {
            Some(content) => fs::write(&path, content).expect("written"),
            None => fs::remove_file(&path).expect("removed"),
        }
        eprintln!("{what}");
        scene.assert_refused(&["GV-2006"], "reftable/");
        fs::write(&path, before).expect("put back");
    }
    let said = scene
        .sandbox
        .vault(&scene.source, &["snapshot"])
        .succeeded();
    assert!(said.text().starts_with("UNCHANGED"), "{said}");
}

#[test]
fn a_table_that_is_gone_is_no_movement() {
    let Some((scene, tables)) = scene() else {
        return;
    };
    let name = list_of(&tables).remove(0);
    fs::remove_file(tables.join(&name)).expect("removed");
    // Git takes that for a repository without refs.
    let refs = scene.sandbox.try_git(&scene.source, &["for-each-ref"]);
    assert_eq!((refs.status.code(), refs.stdout.len()), (Some(0), 0));
    scene.assert_refused(&["GV-2006"], &name);
}

/// Git adds a table, or puts one in the place of all, while the old ones are being read.
#[test]
fn tables_that_are_replaced_under_the_reader_cost_another_attempt() {
    if !can_trace("tables that are replaced") {
        return;
    }
    let alone = [("GIT_TEST_REFTABLE_AUTOCOMPACTION", "false")];
    for (what, arguments) in [
        ("packed", &["pack-refs", "--all"][..]),
        ("one more", &["branch", "one-more"]),
        ("one less", &["stash", "drop", "--quiet"]),
    ] {
        let Some((scene, tables)) = scene() else {
            return;
        };
        let names = list_of(&tables);
        let mut stops = 0;
        for name in [&names[0], &names[names.len() - 1], "tables.list"] {
            let sandbox = &scene.sandbox;
            let (said, was_stopped) = paused(
                sandbox,
                &scene.source,
                ("openat", 1, Some(Path::new(name))),
                &["snapshot", "-m", what],
                || drop(sandbox.try_git_with(&scene.source, &alone, arguments)),
            );
            stops += usize::from(was_stopped);
            let said = said.succeeded();
            let restored = sandbox.restore(&scene.source, &id_of(&said), "restored");
            let expected = answers(sandbox, &scene.source);
            assert_eq!(answers(sandbox, &restored), expected, "{what}, {name}");
            fs::remove_dir_all(restored).expect("removed");
        }
        assert!(stops > 1, "{what}: {stops} stops");
    }
}

#[test]
fn settings_and_head_must_agree_on_where_refs_are() {
    let Some((scene, _)) = scene() else {
        return;
    };
    let git_dir = scene.source.join(".git");
    let config = fs::read_to_string(git_dir.join("config")).expect("the configuration");
    let head = fs::read(git_dir.join("HEAD")).expect("HEAD");
    for (what, new_config, new_head) in [
        (
            "in files",
            config.replace("reftable", "files"),
            head.clone(),
        ),
        (
            "not said",
            config.replace("refstorage = reftable", ""),
            head.clone(),
        ),
        (
            "elsewhere",
            config.replace("reftable", "reftables"),
            head.clone(),
        ),
        (
            "version 0",
            config.replace("formatversion = 1", "formatversion = 0"),
            head.clone(),
        ),
        (
            "another HEAD",
            config.clone(),
            b"ref: refs/heads/main\n".to_vec(),
        ),
    ] {
        eprintln!("{what}");
        write(&git_dir, "config", &new_config);
        write(&git_dir, "HEAD", &new_head);
        scene.assert_refused(&["GV-2003"], "");
    }
    write(&git_dir, "config", &config);
    write(&git_dir, "HEAD", &head);
    let said = scene
        .sandbox
        .vault(&scene.source, &["snapshot"])
        .succeeded();
    assert!(said.text().starts_with("UNCHANGED"), "{said}");
}

/// Such settings may say what is captured, and which branch it is would have to be known before they are read.
#[test]
fn settings_that_depend_on_the_branch_are_refused() {
    let Some((scene, _)) = scene() else {
        return;
    };
    let elsewhere = scene.sandbox.home().join(".gitconfig");
    for config in [scene.source.join(".git/config"), elsewhere] {
        let before = fs::read_to_string(&config).expect("a configuration");
        let more = "[includeIf \"onbranch:main\"]\n\tpath = settings-of-main\n";
        fs::write(&config, before.clone() + more).expect("written");
        scene.assert_refused(&["GV-2004"], "onbranch:main");
        fs::write(&config, before).expect("put back");
    }
    let third = write(
        &scene.sandbox.home(),
        "third",
        "[includeIf \"onBranch:main\"]\n\tpath = x\n",
    );
    let environment = [("GIT_CONFIG_GLOBAL", third.to_str().expect("UTF-8"))];
    let said = scene
        .sandbox
        .vault_with(&scene.source, &environment, &["snapshot"]);
    crate::refusals::assert_refused(&said, &["GV-2004"], "onBranch:main");
}

#[test]
fn a_lock_of_the_list_is_left_out() {
    let Some((scene, tables)) = scene() else {
        return;
    };
    write(&tables, "tables.list.lock", "half a li");
    let id = scene.sandbox.snapshot(&scene.source);
    let restored = scene.sandbox.restore(&scene.source, &id, "restored");
    assert!(!restored.join(".git/reftable/tables.list.lock").exists());
    scene.sandbox.git(&restored, &["branch", "goes-on"]);
}

/// Refs that lead nowhere stay; git, asked by a drill, would take them for damage, and is not shown them.
#[test]
fn a_drill_asks_git_about_tables() {
    for name in [
        "reftable_refs",
        "reftable_packed",
        "reftable_rebase",
        "reftable_bare",
    ] {
        let sandbox = Sandbox::new();
        let state = find(name);
        let source = (state.build)(&sandbox);
        let _id = sandbox.snapshot(&source);
        let said = sandbox.vault(&source, &["drill"]).succeeded();
        assert!(
            said.text().contains("found the repository whole"),
            "{name}: {said}"
        );
        assert_eq!(state.kind == Kind::Bare, name == "reftable_bare");
    }
}
