//! `diff` in all its forms: judged by git, on a terminal and in a pipe, and by the settings of the user only.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::answers::{documented_fields, fields};
use crate::laboratory::run;
use crate::refusals::assert_refused;
use crate::support::files::{append, chmod, mkdir, symlink, write};
use crate::support::mount::has_tool;
use crate::support::{Said, Sandbox, states};

/// A terminal of 60 columns, in which the program runs without a pager.
fn on_a_terminal(sandbox: &Sandbox, source: &Path, set: &[(&str, &str)], line: &str) -> Said {
    let program = env!("CARGO_BIN_EXE_git-vault");
    let script = format!("stty cols 60 rows 24; '{program}' {line}");
    let mut command = sandbox.command("script", source);
    command.args(["-qec", &script, "/dev/null"]);
    command.env("TERM", "xterm").env_remove("NO_COLOR");
    command.env("GIT_PAGER", "cat").envs(set.iter().copied());
    Said::new(line.to_owned(), command.output().expect("script starts"))
}

fn shown(said: &Said) -> String {
    said.text().replace('\r', "")
}

/// Without the escapes that colour.
fn plain(text: &str) -> String {
    let mut parts = text.split('\u{1b}');
    let first = parts.next().expect("a beginning").to_owned();
    parts.fold(first, |plain, part| {
        let (_, rest) = part.split_once('m').expect("an escape that colours");
        plain + rest
    })
}

/// A workspace, a snapshot of it, and a change of every kind since then.
fn changing(sandbox: &Sandbox) -> (PathBuf, String) {
    let source = states::small_repository(sandbox);
    for name in [
        "staged.txt",
        "both.txt",
        "forgotten.txt",
        "removed.txt",
        "mode.sh",
    ] {
        write(&source, name, "a line\n");
    }
    sandbox.commit(&source, "more");
    write(&source, "draft.txt", "lost soon\n");
    write(&source, "same.txt", "not yet tracked\n");
    let first = sandbox.snapshot(&source);
    append(&source, "staged.txt", "more\n");
    append(&source, "both.txt", "more\n");
    write(&source, "added.txt", "new\n");
    sandbox.git(
        &source,
        &["add", "staged.txt", "both.txt", "added.txt", "same.txt"],
    );
    append(&source, "both.txt", "and more\n");
    append(&source, "src/one.txt", "six\n");
    chmod(&source.join("mode.sh"), 0o755);
    sandbox.git(&source, &["rm", "--quiet", "--cached", "forgotten.txt"]);
    sandbox.git(&source, &["rm", "--quiet", "removed.txt"]);
    fs::remove_file(source.join("src/two.txt")).expect("removed");
    fs::remove_file(source.join("draft.txt")).expect("removed");
    write(&source, "stray.bin", [0_u8, 1, 2]);
    symlink(&source, "link", "README.md");
    (source, first)
}

#[test]
fn what_is_staged_what_is_not_and_what_is_untracked_are_told_apart() {
    let sandbox = Sandbox::new();
    let (source, _) = changing(&sandbox);
    let before = sandbox.git_text(&source, &["status", "--porcelain"]);
    let said = run(&sandbox, &source, &["diff"]).succeeded();
    let text = said.text();
    for line in [
        "A  added.txt  (4 B, staged or committed)",
        "M  both.txt  (7 B -> 21 B, not staged)",
        "D  draft.txt  (10 B, untracked)",
        "A  link  (link to README.md, untracked)",
        "M  mode.sh  (7 B, mode 0644 -> 0755, not staged)",
        "D  removed.txt  (7 B, staged or committed)",
        "M  src/one.txt  (24 B -> 28 B, not staged)",
        "D  src/two.txt  (12 B, not staged)",
        "M  staged.txt  (7 B -> 12 B, staged or committed)",
        "A  stray.bin  (3 B, untracked)",
        "I  forgotten.txt  (the same; only the index has something else)",
        "I  same.txt  (the same; only the index has something else)",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{said}");
    }
    assert_eq!(text.lines().count(), 13, "{said}");
    assert!(text.ends_with("now: 10 paths differ\n"), "{said}");

    let json = run(&sandbox, &source, &["--json", "diff"])
        .succeeded()
        .json();
    assert_eq!(fields(&json), documented_fields("git-vault/diff/1"));
    let standing = |path: &str| {
        let changes = json["changes"].as_array().expect("changes");
        let change = changes.iter().find(|change| change["path"] == path);
        change.expect("the change")["standing"].clone()
    };
    assert_eq!(standing("staged.txt"), "staged");
    assert_eq!(standing("src/two.txt"), "not-staged");
    assert_eq!(standing("stray.bin"), "untracked");
    assert_eq!(
        json["only_in_index"],
        serde_json::json!(["forgotten.txt", "same.txt"])
    );
    let one = run(&sandbox, &source, &["diff", "--", "same.txt"]).succeeded();
    assert!(one.text().starts_with("I  same.txt"), "{one}");
    assert_eq!(one.text().lines().count(), 2, "{one}");
    let after = sandbox.git_text(&source, &["status", "--porcelain"]);
    assert_eq!(after, before, "looking changes nothing");
}

/// A filter may make of a file what the index has: no filter is run, so nothing is claimed.
#[test]
fn where_a_filter_stands_between_file_and_index_nothing_is_claimed() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    write(&source, ".gitattributes", "*.crlf text eol=crlf\n");
    write(&source, "one.crlf", "one\r\n");
    sandbox.commit(&source, "with a filter");
    sandbox.snapshot(&source);
    write(&source, "one.crlf", "one\r\ntwo\r\n");
    sandbox.git(&source, &["add", "one.crlf"]);
    let said = run(&sandbox, &source, &["diff"]).succeeded();
    assert!(
        said.text().starts_with("M  one.crlf  (5 B -> 10 B)\n"),
        "{said}"
    );
    append(&source, "one.crlf", "three\r\n");
    let said = run(&sandbox, &source, &["diff"]).succeeded();
    assert!(said.text().contains("17 B, not staged)"), "{said}");
}

#[test]
fn lines_are_counted_as_git_counts_them_and_names_stand_alone() {
    let sandbox = Sandbox::new();
    let (source, first) = changing(&sandbox);
    sandbox.git(&source, &["add", "--all"]);
    let counted = sandbox.git_text(&source, &["diff", "--cached", "--numstat", "HEAD"]);
    let mut expected: BTreeMap<&str, Value> = BTreeMap::new();
    for line in counted.lines() {
        let cells: Vec<&str> = line.split('\t').collect();
        let number = |cell: &str| cell.parse::<u64>().ok();
        let lines = number(cells[0]).zip(number(cells[1]));
        let lines =
            lines.map(|(added, removed)| serde_json::json!({ "added": added, "removed": removed }));
        expected.insert(cells[2], lines.unwrap_or(Value::Null));
    }
    // A link is one line for git, and no text here.
    expected.insert("link", Value::Null);
    // What git never had.
    expected.insert("draft.txt", serde_json::json!({ "added": 0, "removed": 1 }));
    expected.remove("same.txt");
    let second = sandbox.snapshot(&source);
    let now = ["--json", "diff", "--stat", &first];
    let between = ["--json", "diff", "--stat", &first, &second];
    for arguments in [&now[..], &between] {
        let json = run(&sandbox, &source, arguments).succeeded().json();
        let changes = json["changes"].as_array().expect("changes");
        let found: BTreeMap<&str, Value> = changes
            .iter()
            .map(|change| {
                (
                    change["path"].as_str().expect("a path"),
                    change["lines"].clone(),
                )
            })
            .collect();
        assert_eq!(found, expected);
    }
    let stat = run(&sandbox, &source, &["diff", "--stat", &first, &second]).succeeded();
    let text = stat.text();
    for line in [
        " both.txt    | 2 ++",
        " mode.sh     | 0 mode 0644 -> 0755",
        " removed.txt | 1 -",
        " stray.bin   | 0 B -> 3 B",
    ] {
        assert!(text.lines().any(|found| found == line), "{line}\n{stat}");
    }
    assert!(
        text.ends_with(
            "10 paths differ, 5 lines added, 3 lines removed; 2 paths without lines to count\n"
        ),
        "{stat}"
    );
    let names = run(&sandbox, &source, &["diff", "--name-only", &first]).succeeded();
    let paths: Vec<&str> = expected.keys().copied().collect();
    assert_eq!(names.text(), paths.join("\n") + "\n");
    let none = run(&sandbox, &source, &["diff", "--name-only"]).succeeded();
    assert_eq!(none.text(), "");
    for twice in [
        ["-p", "--stat"],
        ["--stat", "--name-only"],
        ["-p", "--name-only"],
    ] {
        let said = run(&sandbox, &source, &[&["diff"][..], &twice].concat());
        assert_eq!(said.code, Some(2), "{said}");
    }
}

/// Tabs, returns, odd names, modes, empty files, missing newlines: `git apply` makes the one of the other.
#[test]
fn a_patch_holds_the_very_bytes_or_is_none() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    write(&source, "Makefile", "all:\n\tcc x.c\n");
    write(&source, "windows.txt", "one\r\ntwo\r\n");
    write(&source, "progress.log", "1%\r2%\r3%\nend\r");
    write(&source, "run.sh", "#!/bin/sh\n");
    write(&source, "latin.txt", b"caf\xe9\n");
    write(&source, "gone empty", "");
    let first = sandbox.snapshot(&source);
    append(&source, "Makefile", "\tld x.o\n");
    append(&source, "windows.txt", "three\r\n");
    write(&source, "progress.log", "1%\r2%\r4%\nend\rEND\r");
    chmod(&source.join("run.sh"), 0o755);
    append(&source, "latin.txt", "more\n");
    fs::remove_file(source.join("gone empty")).expect("removed");
    write(&source, "with space.txt", "\ttext\n");
    write(&source, "50%.txt", "half\n");
    write(&source, "\"quoted\" \\ back\ttab.txt", "odd\n");
    write(&source, "caf\u{e9}.txt", "named\n");
    write(&source, "empty.txt", "");
    chmod(&write(&source, "new.sh", "#!/bin/sh\n"), 0o755);
    let second = sandbox.snapshot(&source);
    let said = run(&sandbox, &source, &["diff", "-p", &first, &second]).succeeded();
    assert!(
        said.text().contains("M  latin.txt  (5 B -> 10 B)"),
        "{said}"
    );
    let patch = write(&sandbox.workplace(), "patch", &said.stdout);
    let old = sandbox.restore(&source, &first, "old");
    sandbox.git(
        &old,
        &[
            "apply",
            "--whitespace=nowarn",
            patch.to_str().expect("UTF-8"),
        ],
    );
    append(&old, "latin.txt", "more\n");
    let same = run(
        &sandbox,
        &source,
        &["compare", old.to_str().expect("UTF-8"), &second],
    );
    assert_eq!(same.code, Some(0), "{same}");
}

#[test]
fn colour_is_for_terminals_and_as_the_user_set_it() {
    let sandbox = Sandbox::new();
    let (source, _) = changing(&sandbox);
    if !has_tool("colour", "script") {
        return;
    }
    let global = sandbox.home().join(".gitconfig");
    let usual = fs::read_to_string(&global).expect("the settings of the user");
    // A repository decides nothing.
    sandbox.git(&source, &["config", "color.diff", "false"]);
    for form in ["diff -p", "diff --stat"] {
        let coloured = shown(&on_a_terminal(&sandbox, &source, &[], form));
        assert!(coloured.contains("\u{1b}[31m-"), "{coloured}");
        assert!(coloured.contains("\u{1b}[32m+"), "{coloured}");
        for off in [("NO_COLOR", "1"), ("TERM", "dumb")] {
            let without = shown(&on_a_terminal(&sandbox, &source, &[off], form));
            assert_eq!(
                plain(&coloured),
                without,
                "{off:?}: colour says nothing more"
            );
            assert!(!without.contains('\u{1b}'), "{without}");
        }
        let widest = plain(&coloured);
        let rows = widest
            .lines()
            .filter(|line| line.starts_with(' ') && form.contains("stat"));
        assert!(
            rows.clone().all(|row| row.chars().count() <= 60),
            "{widest}"
        );
        for (settings, is_coloured) in [
            ("[color]\n\tui = false\n", false),
            ("[color]\n\tdiff = never\n", false),
            ("[color]\n\tui = false\n\tdiff = auto\n", true),
            ("[color]\n\tpager = false\n", true),
        ] {
            fs::write(&global, format!("{usual}{settings}")).expect("written");
            let said = on_a_terminal(&sandbox, &source, &[], form);
            assert_eq!(
                said.text().contains('\u{1b}'),
                is_coloured,
                "{settings}{said}"
            );
        }
        fs::write(&global, &usual).expect("written");
    }
    let mut piped = sandbox.vault_command(&source);
    piped.args(["diff", "-p"]).env("TERM", "xterm");
    let output = piped.output().expect("it starts");
    assert!(!output.stdout.contains(&0x1b), "none in a pipe");
}

#[test]
fn the_pager_is_the_one_that_the_user_set_for_git() {
    let sandbox = Sandbox::new();
    let (source, _) = changing(&sandbox);
    if !has_tool("the pager", "script") {
        return;
    }
    let planted = format!("touch '{}'", sandbox.marker().display());
    sandbox.git(&source, &["config", "core.pager", &planted]);
    let global = sandbox.home().join(".gitconfig");
    let usual = fs::read_to_string(&global).expect("the settings of the user");
    let own = "[core]\n\tpager = sed 's/^/PAGED /'\n";
    fs::write(&global, format!("{usual}{own}[color]\n\tpager = false\n")).expect("written");
    let program = env!("CARGO_BIN_EXE_git-vault");
    let paged = |variables: &[(&str, &str)], line: &str| {
        let mut command = sandbox.command("script", &source);
        command.args(["-qec", &format!("'{program}' {line}"), "/dev/null"]);
        command.env("TERM", "xterm").env_remove("GIT_PAGER");
        command
            .env("PAGER", "false")
            .envs(variables.iter().copied());
        Said::new(line.to_owned(), command.output().expect("script starts"))
    };
    for line in ["diff", "diff -p", "diff --stat", "list"] {
        let said = paged(&[], line);
        assert_eq!(said.code, Some(0), "{said}");
        assert!(said.text().starts_with("PAGED "), "{said}");
        assert!(
            !said.text().contains('\u{1b}'),
            "color.pager says no: {said}"
        );
    }
    let over = paged(&[("GIT_PAGER", "cat")], "diff");
    assert!(!over.text().contains("PAGED"), "{over}");
    assert!(
        !sandbox.marker().exists(),
        "a pager of the repository was run"
    );
}

/// What a file holds must not command a terminal, whatever its bytes; tabs stay.
#[test]
fn a_patch_on_a_terminal_is_harmless() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    sandbox.snapshot(&source);
    write(&source, "evil.txt", "\u{1b}[2J\ttab\u{202e}\n");
    if !has_tool("terminals", "script") {
        return;
    }
    let said = on_a_terminal(&sandbox, &source, &[("NO_COLOR", "1")], "diff -p");
    let text = shown(&said);
    assert!(text.contains("+\\u{1b}[2J\ttab\\u{202e}\n"), "{said}");
    assert!(!text.contains(['\u{1b}', '\u{202e}']), "{said}");
}

#[test]
fn in_another_working_tree_the_answer_says_which_one_was_compared() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let linked = sandbox.path("linked");
    let name = linked.to_str().expect("UTF-8");
    sandbox.git(&source, &["worktree", "add", "--quiet", name]);
    sandbox.snapshot(&source);
    let here = run(&sandbox, &source, &["diff"]).succeeded();
    assert!(here.text().contains("the working tree now"), "{here}");
    let there = run(&sandbox, &linked, &["diff"]).succeeded();
    let named = format!("the working tree {} now", source.display());
    assert!(there.text().contains(&named), "{there}");
    let below = mkdir(&source, "below");
    let said = run(&sandbox, &below, &["diff"]).succeeded();
    assert!(said.text().contains("the working tree now"), "{said}");
}

#[test]
fn a_name_that_is_not_there_is_refused_with_the_near_ones() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let first = sandbox.snapshot(&source);
    append(&source, "README.md", "more\n");
    let labelled = run(&sandbox, &source, &["snapshot", "-l", "release-1"]);
    assert_eq!(labelled.code, Some(0), "{labelled}");
    for (asked, near) in [
        ("relaese-1", "the nearest: release-1"),
        ("release", "the nearest: release-1"),
        ("99", "the nearest: 2 ("),
        ("#0", &format!("the nearest: 1 ({first})")),
        ("@~7", "the nearest: @~1, the first one"),
    ] {
        for command in [&["show", asked][..], &["diff", asked], &["ls", asked]] {
            assert_refused(&run(&sandbox, &source, command), &["GV-1101"], near);
        }
    }
    let far = run(&sandbox, &source, &["show", "1234-something"]);
    assert!(
        !String::from_utf8_lossy(&far.stderr).contains("nearest"),
        "{far}"
    );
}
