//! `list` with what became of files, `grep`, `compare`: judged by what was written, by `grep` and by `diff -r`.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink as link;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::laboratory::{only_vault, run};
use crate::refusals::assert_refused;
use crate::support::files::{append, chmod, mkdir, noise, write};
use crate::support::{Sandbox, states};

fn sealed(sandbox: &Sandbox, source: &Path, arguments: &[&str]) -> String {
    let all = [&["--json", "snapshot"], arguments].concat();
    let json = run(sandbox, source, &all).succeeded().json();
    assert_eq!(json["outcome"], "sealed", "{json}");
    json["snapshot"]["id"].as_str().expect("an id").to_owned()
}

fn listed(sandbox: &Sandbox, source: &Path, arguments: &[&str]) -> Value {
    let all = [&["--json", "list"], arguments].concat();
    run(sandbox, source, &all).succeeded().json()
}

fn ids(listed: &Value) -> Vec<String> {
    let snapshots = listed["snapshots"].as_array().expect("snapshots");
    let id = |one: &Value| one["id"].as_str().expect("an id").to_owned();
    snapshots.iter().map(id).collect()
}

fn changes(listed: &Value) -> Vec<(u64, u64, u64)> {
    let snapshots = listed["snapshots"].as_array().expect("snapshots");
    let of = |one: &Value, field: &str| one["changes"][field].as_u64().expect("a number");
    let all = snapshots.iter();
    all.map(|one| (of(one, "new"), of(one, "changed"), of(one, "gone")))
        .collect()
}

/// Four snapshots: files come, change, lose a permission, and go.
fn changing(sandbox: &Sandbox) -> (PathBuf, Vec<String>) {
    let source = sandbox.init("source");
    write(&source, "a.txt", "one\n");
    write(&source, "src/b.txt", "two\n");
    sandbox.commit(&source, "first");
    let first = sealed(sandbox, &source, &[]);
    append(&source, "a.txt", "more\n");
    write(&source, "src/new/c.txt", "three\n");
    link("a.txt", source.join("to-a")).expect("a link");
    let second = sealed(sandbox, &source, &["-l", "release"]);
    sandbox.git(&source, &["checkout", "-q", "-b", "topic"]);
    chmod(&source.join("src/b.txt"), 0o600);
    let third = sealed(sandbox, &source, &["-m", "a message"]);
    fs::remove_dir_all(source.join("src/new")).expect("removed");
    fs::remove_file(source.join("to-a")).expect("removed");
    let fourth = sealed(sandbox, &source, &[]);
    (source, vec![first, second, third, fourth])
}

#[test]
fn each_snapshot_says_what_came_changed_and_went() {
    let sandbox = Sandbox::new();
    let (source, all) = changing(&sandbox);
    let expected = [(2, 0, 0), (2, 1, 0), (0, 1, 0), (0, 0, 2)];
    // The first time from the snapshots, the second time from what is remembered.
    for _time in 0..2 {
        let answer = listed(&sandbox, &source, &[]);
        assert_eq!(ids(&answer), all);
        assert_eq!(changes(&answer), expected);
        assert_eq!(answer["snapshots_in_vault"], 4);
    }
    let text = run(&sandbox, &source, &["list"]).succeeded().text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 4, "{text}");
    for (line, (new, changed, gone)) in lines.iter().zip(expected) {
        let shown = format!("+{new} ~{changed} -{gone}");
        assert!(line.contains(&shown), "{shown} in {line}");
    }
    assert!(
        lines[1].contains("[release]") && lines[2].contains("a message"),
        "{text}"
    );
    assert!(
        lines[1].contains(" main ") && lines[2].contains(" topic "),
        "{text}"
    );
}

#[test]
fn snapshots_are_listed_by_what_they_are() {
    let sandbox = Sandbox::new();
    let (source, all) = changing(&sandbox);
    let cases: [(&[&str], &[usize]); 14] = [
        (&["--branch", "main"], &[0, 1]),
        (&["--branch", "refs/heads/topic"], &[2, 3]),
        (&["--branch", "topic", "--branch", "main"], &[0, 1, 2, 3]),
        (&["--label", "release"], &[1]),
        (&["--label", "release", "--branch", "topic"], &[]),
        (&["--trigger", "manual"], &[0, 1, 2, 3]),
        (&["--trigger", "rebase"], &[]),
        (&["--path", "src"], &[0, 1, 2, 3]),
        (&["--path", "src/new"], &[1, 3]),
        (&["--path", "a.txt"], &[0, 1]),
        (&["--path", "a"], &[]),
        (&["--path", "/gitdir/HEAD"], &[0, 2]),
        (&["--since", "1 hour ago", "-n", "2"], &[2, 3]),
        (&["--since", "2099-01-01"], &[]),
    ];
    for (arguments, expected) in cases {
        let expected: Vec<&String> = expected.iter().map(|at| &all[*at]).collect();
        let found = ids(&listed(&sandbox, &source, arguments));
        assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{arguments:?}");
    }
    let none = run(&sandbox, &source, &["list", "--label", "none"]).succeeded();
    assert_eq!(none.text(), "no snapshot is of that kind\n");
    let said = run(&sandbox, &source, &["list", "--since", "some day"]);
    assert_refused(&said, &["GV-1005"], "some day");
}

#[test]
fn snapshots_without_a_change_are_folded_where_nobody_named_them() {
    let sandbox = Sandbox::new();
    let source = sandbox.init("source");
    write(&source, "a.txt", "one\n");
    sandbox.commit(&source, "first");
    let mut all = vec![sealed(&sandbox, &source, &[])];
    for number in 0..4 {
        // Something of the git directory only.
        sandbox.git(&source, &["tag", &format!("tag-{number}")]);
        all.push(sealed(&sandbox, &source, &[]));
    }
    sandbox.git(&source, &["tag", "named"]);
    all.push(sealed(&sandbox, &source, &["-m", "look at me"]));
    let text = run(&sandbox, &source, &["list"]).succeeded().text();
    let lines: Vec<&str> = text.lines().collect();
    assert_eq!(lines.len(), 3, "{text}");
    assert!(
        lines[1].contains("4 snapshots without a change of files"),
        "{text}"
    );
    assert!(lines[1].contains(&all[4]), "{text}");
    assert!(lines[2].contains("look at me"), "{text}");
    let whole = run(&sandbox, &source, &["list", "--all"])
        .succeeded()
        .text();
    assert_eq!(whole.lines().count(), 6, "{whole}");
    assert_eq!(ids(&listed(&sandbox, &source, &[])), all);
}

/// What is remembered is worth nothing once a byte of it is another, and a snapshot list does not depend on it.
#[test]
fn what_is_remembered_of_paths_saves_time_and_decides_nothing() {
    let sandbox = Sandbox::new();
    let (source, _all) = changing(&sandbox);
    let right = listed(&sandbox, &source, &[]);
    let found = run(&sandbox, &source, &["--json", "find", "txt"])
        .succeeded()
        .json();
    let remembered = sandbox.path("state/git-vault/paths");
    let file = fs::read_dir(&remembered).expect("it is there").next();
    let file = file.expect("one").expect("one").path();
    let bytes = fs::read(&file).expect("it is read");
    for at in [0, 33, 50, bytes.len() / 2, bytes.len() - 1] {
        let mut changed = bytes.clone();
        changed[at] ^= 1;
        fs::write(&file, changed).expect("damaged");
        assert_eq!(listed(&sandbox, &source, &[]), right);
        let again = run(&sandbox, &source, &["--json", "find", "txt"])
            .succeeded()
            .json();
        assert_eq!(again, found);
        // It was written anew.
        assert_eq!(listed(&sandbox, &source, &[]), right);
    }
    fs::write(&file, &bytes[..bytes.len() / 3]).expect("torn");
    assert_eq!(listed(&sandbox, &source, &[]), right);
    fs::remove_dir_all(&remembered).expect("removed");
    fs::write(&remembered, "no directory").expect("in its place");
    assert_eq!(listed(&sandbox, &source, &[]), right);
    // The remembered steps of another vault say nothing of this one.
    let other = Sandbox::new();
    let (elsewhere, _ids) = changing(&other);
    let _listed = listed(&other, &elsewhere, &[]);
    fs::remove_file(&remembered).expect("removed");
    fs::create_dir(&remembered).expect("a directory");
    let foreign = fs::read_dir(other.path("state/git-vault/paths"))
        .expect("there")
        .next();
    fs::copy(foreign.expect("one").expect("one").path(), &file).expect("copied");
    assert_eq!(listed(&sandbox, &source, &[]), right);
}

#[test]
fn a_list_does_without_the_changes_when_a_pack_is_damaged() {
    let sandbox = Sandbox::new();
    let (source, all) = changing(&sandbox);
    let packs = only_vault(&sandbox).join("objects/pack");
    for entry in fs::read_dir(packs).expect("packs") {
        let path = entry.expect("an entry").path();
        if path.extension().is_some_and(|ending| ending == "pack") {
            chmod(&path, 0o600);
            let bytes = fs::read(&path).expect("a pack");
            let zeros = vec![0; bytes.len() - 12];
            fs::write(&path, [&bytes[..12], &zeros].concat()).expect("damaged");
        }
    }
    let answer = listed(&sandbox, &source, &[]);
    assert_eq!(ids(&answer), all);
    assert!(answer["changes_unknown"].is_string(), "{answer}");
    let text = run(&sandbox, &source, &["list"]).succeeded().text();
    assert!(text.contains("CHANGES    not known"), "{text}");
    let said = run(&sandbox, &source, &["list", "--path", "a.txt"]);
    assert!(said.code != Some(0), "{said}");
}

fn lines_of(json: &Value) -> BTreeSet<(String, u64, String)> {
    let mut all = BTreeSet::new();
    for one in json["matches"].as_array().expect("matches") {
        let path = one["path"].as_str().expect("a path");
        for line in one["lines"].as_array().into_iter().flatten() {
            let number = line["number"].as_u64().expect("a number");
            let text = line["text"].as_str().expect("a text");
            all.insert((path.to_owned(), number, text.to_owned()));
        }
    }
    all
}

/// What `grep` of the system finds in a directory.
fn judged(sandbox: &Sandbox, source: &Path, arguments: &[&str]) -> BTreeSet<(String, u64, String)> {
    let mut command = sandbox.command("grep", source);
    command
        .args(["-rnI", "--exclude-dir=.git"])
        .args(arguments)
        .arg(".");
    let output = command.output().expect("grep");
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    let line = |line: &str| {
        let mut parts = line.splitn(3, ':');
        let path = parts
            .next()
            .expect("a path")
            .trim_start_matches("./")
            .to_owned();
        let number = parts.next().expect("a number").parse().expect("a number");
        (path, number, parts.next().expect("a line").to_owned())
    };
    text.lines().map(line).collect()
}

#[test]
fn grep_finds_what_the_grep_of_the_system_finds() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    write(
        &source,
        "deep/er/one.txt",
        "alpha\nbeta.gamma\n\nbeta-gamma",
    );
    write(&source, "deep/two.txt", "Alpha\n  alphabet\n");
    write(&source, "empty.txt", "");
    write(&source, "blank.txt", "\n\n");
    write(&source, "binary.bin", b"\0alpha\0".as_slice());
    write(&source, "big.bin", noise(3, 9 << 20));
    let _id = sealed(&sandbox, &source, &[]);
    for arguments in [
        &["alpha"][..],
        &["-i", "ALPHA"],
        &["-F", "beta.gamma"],
        &["beta.gamma"],
        &["^$"],
        &["a$"],
        &["nowhere"],
    ] {
        let all = [&["--json", "grep"], arguments].concat();
        let json = run(&sandbox, &source, &all).succeeded().json();
        assert_eq!(
            lines_of(&json),
            judged(&sandbox, &source, arguments),
            "{arguments:?}"
        );
    }
    let text = run(&sandbox, &source, &["grep", "alpha"])
        .succeeded()
        .text();
    assert!(
        text.contains("binary.bin") && text.contains("no text matches"),
        "{text}"
    );
    // A line of a file that is no text is a line all the same, and nothing matches over the end of one.
    write(
        &source,
        "lines.bin",
        b"\0one\nomega two\nthree\0".as_slice(),
    );
    write(&source, "crlf.txt", "omicron\r\nend\n");
    let _id = sealed(&sandbox, &source, &[]);
    for (pattern, path) in [
        ("^omega", Some("lines.bin")),
        ("omega two$", Some("lines.bin")),
        ("one\\somega", None),
        ("omicron$", Some("crlf.txt")),
        ("n\\r$", Some("crlf.txt")),
        ("n\\s+end", None),
    ] {
        let all = run(&sandbox, &source, &["--json", "grep", pattern]);
        let json = all.succeeded().json();
        let paths: Vec<&str> = json["matches"]
            .as_array()
            .expect("matches")
            .iter()
            .filter_map(|one| one["path"].as_str())
            .collect();
        assert_eq!(paths, Vec::from_iter(path), "{pattern}");
    }
    let said = run(&sandbox, &source, &["grep", "-F", "alpha\nbeta"]);
    assert_refused(&said, &["GV-1005"], "more than one line");
    let below = run(
        &sandbox,
        &source,
        &["--json", "grep", "lpha", "--", "deep/er"],
    );
    let found = lines_of(&below.succeeded().json());
    assert_eq!(found.len(), 1, "{found:?}");
    let said = run(&sandbox, &source, &["grep", "a(b"]);
    assert_refused(&said, &["GV-1005"], "a(b");
}

#[test]
fn grep_says_in_which_snapshots_a_text_was() {
    let sandbox = Sandbox::new();
    let source = sandbox.init("source");
    write(&source, "a.txt", "secret plan\n");
    sandbox.commit(&source, "first");
    let first = sealed(&sandbox, &source, &[]);
    write(&source, "a.txt", "a line before\nsecret plan\n");
    let second = sealed(&sandbox, &source, &[]);
    write(&source, "a.txt", "nothing\n");
    let third = sealed(&sandbox, &source, &[]);
    write(&source, "a.txt", "secret plan\n");
    let fourth = sealed(&sandbox, &source, &[]);
    let grep = |arguments: &[&str]| {
        let all = [&["--json", "grep", "secret"], arguments].concat();
        let json = run(&sandbox, &source, &all).succeeded().json();
        let matches = json["matches"].as_array().expect("matches").clone();
        let field = |one: &Value, field: &str| one[field]["id"].as_str().expect("an id").to_owned();
        let row = |one: &Value| {
            (
                field(one, "first"),
                field(one, "last"),
                one["snapshots"].as_u64(),
            )
        };
        matches.iter().map(row).collect::<Vec<_>>()
    };
    // The same line in a row of snapshots is said once.
    let newest = (fourth.clone(), fourth.clone(), Some(1));
    assert_eq!(
        grep(&[]),
        [newest.clone(), (first.clone(), second.clone(), Some(2))]
    );
    assert_eq!(
        grep(&[&second]),
        [(second.clone(), second.clone(), Some(1))]
    );
    assert_eq!(grep(&[&third]), []);
    // Of those that are searched, one without it stands between.
    assert_eq!(
        grep(&[&second, &third, &fourth]),
        [newest.clone(), (second.clone(), second.clone(), Some(1))]
    );
    assert_eq!(
        grep(&[&second, &fourth]),
        [(second.clone(), fourth.clone(), Some(2))]
    );
    assert_eq!(grep(&["@latest"]), [newest]);
    fs::remove_file(source.join("a.txt")).expect("removed");
    let _fifth = sealed(&sandbox, &source, &[]);
    let text = run(&sandbox, &source, &["grep", "secret"])
        .succeeded()
        .text();
    assert!(text.contains("not so in the newest"), "{text}");
}

fn compared(sandbox: &Sandbox, source: &Path, arguments: &[&str]) -> (Option<i32>, Vec<String>) {
    let said = run(sandbox, source, &[&["compare"], arguments].concat());
    assert!([Some(0), Some(3)].contains(&said.code), "{said}");
    let text = String::from_utf8_lossy(&said.stdout).into_owned();
    let is_change =
        |line: &&str| line.starts_with("A  ") || line.starts_with("D  ") || line.starts_with("M  ");
    let lines = text
        .lines()
        .filter(is_change)
        .map(|line| line.split("  (").next().unwrap_or_default().to_owned());
    (said.code, lines.collect())
}

#[test]
fn a_directory_is_compared_with_a_snapshot_or_a_part_of_one() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    write(&source, ".gitignore", "ignored/\n");
    write(&source, "ignored/x", "x");
    write(&source, "src/a.txt", "a\n");
    write(&source, "src/b.txt", "b\n");
    write(&source, "src/c/d.txt", "d\n");
    write(&source, "kind", "a file\n");
    mkdir(&source, "was-directory");
    mkdir(&source, "empty");
    mkdir(&source, "closed");
    chmod(&source.join("closed"), 0o700);
    write(&source, "was-directory/x", "x\n");
    link("a.txt", source.join("src/link")).expect("a link");
    let id = sealed(&sandbox, &source, &[]);
    let out = sandbox.path("out");
    let out = out.to_str().expect("UTF-8");
    let _said = run(&sandbox, &source, &["restore", &id, out]).succeeded();
    assert_eq!(compared(&sandbox, &source, &[out]), (Some(0), vec![]));
    assert_eq!(
        compared(&sandbox, &source, &[source.to_str().expect("UTF-8"), &id]),
        (Some(0), vec![])
    );
    let below = format!("{out}/src");
    let part = format!("{id}:src");
    assert_eq!(
        compared(&sandbox, &source, &[&below, &part]),
        (Some(0), vec![])
    );

    let there = Path::new(out);
    // The same size and time, and another content.
    let path = there.join("src/a.txt");
    let time = fs::metadata(&path)
        .expect("a file")
        .modified()
        .expect("a time");
    fs::write(&path, "A\n").expect("written");
    fs::File::options()
        .write(true)
        .open(&path)
        .expect("open")
        .set_modified(time)
        .expect("set");
    chmod(&there.join("src/b.txt"), 0o777);
    fs::remove_dir_all(there.join("src/c")).expect("removed");
    fs::remove_file(there.join("src/link")).expect("removed");
    link("b.txt", there.join("src/link")).expect("a link");
    fs::remove_file(there.join("kind")).expect("removed");
    write(there, "kind/of/file", "came\n");
    fs::remove_dir_all(there.join("was-directory")).expect("removed");
    write(there, "was-directory", "a file now\n");
    write(there, "new", "new\n");
    write(there, ".git/new", "not compared\n");
    fs::remove_dir(there.join("empty")).expect("removed");
    mkdir(there, "empty too");
    chmod(&there.join("closed"), 0o755);
    let expected = [
        "M  closed",
        "D  empty",
        "A  empty too",
        "M  kind",
        "A  kind/of",
        "A  kind/of/file",
        "A  new",
        "M  src/a.txt",
        "M  src/b.txt",
        "D  src/c",
        "D  src/c/d.txt",
        "M  src/link",
        "M  was-directory",
        "D  was-directory/x",
    ];
    let expected: Vec<String> = expected.map(str::to_owned).into();
    assert_eq!(compared(&sandbox, &source, &[out]), (Some(3), expected));
    chmod(&there.join("src"), 0o700);
    let expected = [
        "M  .",
        "M  a.txt",
        "M  b.txt",
        "D  c",
        "D  c/d.txt",
        "M  link",
    ];
    let expected: Vec<String> = expected.map(str::to_owned).into();
    assert_eq!(
        compared(&sandbox, &source, &[&below, &part]),
        (Some(3), expected)
    );
    // What is a file in the snapshot, and what is nowhere, is no directory to compare with.
    for (what, code) in [
        (format!("{id}:src/a.txt"), "GV-1104"),
        (format!("{id}:no"), "GV-1104"),
    ] {
        assert_refused(
            &run(&sandbox, &source, &["compare", out, &what]),
            &[code],
            "no",
        );
    }
    let said = run(&sandbox, &source, &["compare", "nowhere"]);
    assert!(said.code != Some(0), "{said}");
    assert_ne!(said.code, Some(3), "{said}");
}

/// How many directories lie above one another: more than a stack would hold if each had to wait for those in it.
const DEEP: usize = 6000;

#[test]
fn thousands_of_directories_above_one_another_are_listed_and_searched() {
    let sandbox = Sandbox::new();
    let source = sandbox.init("source");
    // From the innermost on, since no path leads so far down.
    let (inner, outer) = (source.join("d"), source.join("outer"));
    mkdir(&source, "d");
    write(&inner, "bottom.txt", "needle\n");
    for _ in 1..DEEP {
        fs::create_dir(&outer).expect("made");
        fs::rename(&inner, outer.join("d")).expect("moved");
        fs::rename(&outer, &inner).expect("moved");
    }
    let first = sealed(&sandbox, &source, &[]);
    let path = "d/".repeat(DEEP) + "bottom.txt";
    // Flat again: what clears up could not follow.
    for _ in 1..DEEP {
        fs::rename(inner.join("d"), &outer).expect("moved");
        fs::remove_dir(&inner).expect("removed");
        fs::rename(&outer, &inner).expect("moved");
    }
    let second = sealed(&sandbox, &source, &[]);
    assert_eq!(
        changes(&listed(&sandbox, &source, &[])),
        [(1, 0, 0), (1, 0, 1)]
    );
    let json = |arguments: &[&str]| {
        let all = [&["--json"], arguments].concat();
        run(&sandbox, &source, &all).succeeded().json()
    };
    let found = json(&["find", "bottom.txt"]);
    assert_eq!(found["found"].as_array().map(Vec::len), Some(2));
    let found = json(&["grep", "needle", &first]);
    assert_eq!(found["matches"][0]["path"], path.as_str());
    let log = json(&["log", &path]);
    assert_eq!(log["versions"].as_array().map(Vec::len), Some(2));
    let differ = json(&["diff", &first, &second]);
    assert_eq!(differ["changes"].as_array().map(Vec::len), Some(2));
    let differ = json(&["diff", &first]);
    assert_eq!(differ["changes"].as_array().map(Vec::len), Some(2));
}
