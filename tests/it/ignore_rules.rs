//! What is captured is what git itself does not ignore, over a zoo of ignore files; the answers of git are the measure.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::support::files::{append, mkdir, symlink, write};
use crate::support::listing::{self, Content};
use crate::support::{Sandbox, states};

type Paths = BTreeSet<Vec<u8>>;

/// The names that lie in every case's directory.
#[rustfmt::skip]
const NAMES: [&[u8]; 62] = [
    b"foo", b"foo ", b"foo  ", b"foo\t", b"foo\r", b" foo", b"FOO", b"foobar", b"foo.bar", b"fooo", b"bar",
    b"a", b"ab", b"aXb", b"b", b"c", b"z", b"1", b"12", b"-", b"]", b"[a", b"^", b"!", b"!x", b"#x", b"\\x",
    b"*", b"foo*", b"?", b"$foo", b"$", b"{o,c}", b"x.o", b"x.O", b"x.c", b"x.{o,c}", b".hidden",
    b".hidden.o", b"\xe9", b"\xc3\xa9", b"dir/keep", b"dir/foo", b"dir/sub/keep", b"dir/sub/foo",
    b"dir/sub/x.o", b"dir/sub/sub/keep", b"sub/x.o", b"sub/foo", b"sub/dir/keep", b"sub/dir/foo", b"sub/a/b",
    b"w/b", b"w/x/b", b"w/x/y/b", b"w/x/y/c", b"deep/deep/foo", b"deep/deep/dir/keep", b"other/.hidden/x",
    b"other/FOO", b"other/Dir/keep", b"other/n\nl",
];

/// Ignore files, each for a directory of its own.
#[rustfmt::skip]
const CASES: [&[u8]; 107] = [
    b"", b"\n\n", b"foo", b"foo\n", b"foo \n", b"foo  \n", b"foo\\ \n", b"foo\\  \n", b"foo \\ \n",
    b"foo\t\n", b"foo\\\t\n", b" foo\n", b"\\ foo\n", b"foo\r\nbar\r\n", b"foo\\\r\n", b"*.o\r\n!x.o\r\n",
    b"\xef\xbb\xbffoo\nbar\n", b"bar\n\xef\xbb\xbffoo\n", b"foo\n\n\nbar\n", b"# foo\n", b"\\#x\n", b"#x\n",
    b"\\!x\n", b"!x\n", b"*\n!x\n", b"!\n", b"*\n!\n", b"\\!\n", b"/\n", b"//\n", b"/foo\n", b"//foo\n",
    b"foo/\n", b"dir\n", b"dir/\n", b"dir//\n", b"/dir\n", b"/dir/\n", b"/dir/*\n", b"dir/*\n!dir/keep\n",
    b"dir/\n!dir/keep\n", b"dir\n!dir\n", b"dir/\n!dir\n", b"dir\n!dir/\n", b"sub/dir\n", b"sub/dir/\n",
    b"/sub/dir/keep\n", b"dir/sub/\n!dir/sub/\n", b"dir/**\n", b"dir/**\n!dir/**/\n!dir/sub/keep\n",
    b"dir/**/\n", b"**/dir\n", b"**/dir/\n", b"**/dir/**\n", b"**\n", b"**/\n", b"/**\n", b"/**/\n", b"***\n",
    b"**/**\n", b"**/foo\n", b"w/**/b\n", b"w/*/b\n", b"w/**b\n", b"w**b\n", b"w/x*/b\n", b"**/x/**/b\n",
    b"*/b\n", b"*/*/b\n", b"*\n", b"*\n!*/\n", b"*\n!*/\n!*.o\n", b"/*\n!/dir\n",
    b"/*\n!/dir/\n/dir/*\n!/dir/sub/\n/dir/sub/*\n!/dir/sub/keep\n", b"*/\n", b"/*/\n", b"!*/\n", b"?\n",
    b"??\n", b"[a-c]\n", b"[!a-c]\n", b"[^a-c]\n", b"[a-]\n", b"[a\n", b"\\[a\n", b"[]]\n", b"[]-]\n",
    b"[[:digit:]]\n", b"[[:alpha:]]\n", b"[[:nonsense:]]\n", b"[[:digit:]!]*\n", b"[\\]]\n", b"foo\\*\n",
    b"foo\\\n", b"\\foo\n", b"\\\\x\n", b"x.{o,c}\n", b"./foo\n", b"../foo\n", b"dir/../foo\n", b"dir/.\n",
    b"\xe9\n", b"\xc3\xa9\n", b"$foo\n", b"\\$foo\n", b"*.O\nFOO\nDIR/\n", b".*\n!.hidden\n",
];

/// A repository with a directory for every ignore file that is wanted, each with all the names in it.
fn zoo(sandbox: &Sandbox, wanted: impl Fn(usize) -> bool) -> PathBuf {
    let source = states::small_repository(sandbox);
    for (number, lines) in CASES.into_iter().enumerate() {
        if !wanted(number) {
            continue;
        }
        let case = mkdir(&source, format!("case-{number:03}"));
        for name in NAMES {
            write(&case, name, b"x");
        }
        symlink(&case, "link/to-dir", "../dir");
        symlink(&case, "other/dir", "../dir");
        write(&case, ".gitignore", lines);
    }
    source
}

fn split(output: &[u8]) -> impl Iterator<Item = Vec<u8>> + '_ {
    output
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty())
        .map(<[u8]>::to_vec)
}

/// Every file and link of a working tree.
fn files(root: &Path) -> Paths {
    let listed = listing::list(root, &|name| name != b".git");
    let is_file = |content: &Content| {
        matches!(
            content,
            Content::Bytes(_) | Content::Digest(_) | Content::Symlink(_)
        )
    };
    listed
        .into_iter()
        .filter(|(_, entry)| is_file(&entry.content))
        .map(|(name, _)| name)
        .collect()
}

/// What git tracks and what it would stage: everything that it does not ignore.
fn not_ignored(sandbox: &Sandbox, source: &Path) -> Paths {
    let ask = |arguments: &[&str]| {
        let output = sandbox.git_with(source, &[("GIT_OPTIONAL_LOCKS", "0")], arguments);
        split(&output).collect::<Paths>()
    };
    let tracked = ask(&["ls-files", "-z"]);
    let others = ask(&["ls-files", "-z", "--others", "--exclude-standard"]);
    let present = files(source);
    tracked
        .union(&others)
        .filter(|name| present.contains(*name))
        .cloned()
        .collect()
}

/// Git's other answer to the same question.
fn ignored_by_status(sandbox: &Sandbox, source: &Path) -> Paths {
    let arguments = [
        "status",
        "--porcelain=v2",
        "-z",
        "--no-renames",
        "-uall",
        "--ignored=traditional",
    ];
    let output = sandbox.git_with(source, &[("GIT_OPTIONAL_LOCKS", "0")], &arguments);
    split(&output)
        .filter_map(|line| line.strip_prefix(b"! ").map(<[u8]>::to_vec))
        .collect()
}

fn difference(what: &str, from: &Paths, without: &Paths) -> Vec<String> {
    let extra = from.difference(without);
    extra
        .map(|name| format!("{what}: {}", name.escape_ascii()))
        .collect()
}

/// The restored files are exactly those that git does not ignore.
#[track_caller]
fn assert_git_agrees(sandbox: &Sandbox, source: &Path, name: &str) {
    let expected = not_ignored(sandbox, source);
    let ignored = ignored_by_status(sandbox, source);
    let all = files(source);
    assert!(
        !expected.is_empty() && expected.len() < all.len(),
        "something of each"
    );
    let odd: Vec<_> = ignored
        .iter()
        .filter(|name| expected.contains(*name))
        .collect();
    assert!(odd.is_empty(), "git contradicts itself: {odd:?}");
    let id = sandbox.snapshot(source);
    let restored = files(&sandbox.restore(source, &id, name));
    let mut wrong = difference("ignored by git, but captured", &restored, &expected);
    wrong.extend(difference(
        "NOT CAPTURED, and not ignored by git",
        &expected,
        &restored,
    ));
    let mut cases = BTreeMap::new();
    for line in &wrong {
        for (number, rules) in CASES.iter().enumerate() {
            if line.contains(&format!("case-{number:03}/")) {
                cases.insert(number, rules.escape_ascii().to_string());
            }
        }
    }
    assert!(wrong.is_empty(), "{}\nin {cases:#?}", wrong.join("\n"));
}

#[test]
fn a_zoo_of_ignore_files_is_understood_as_git_understands_it() {
    let sandbox = Sandbox::new();
    let source = zoo(&sandbox, |_| true);
    assert_git_agrees(&sandbox, &source, "restored");
}

#[test]
fn the_zoo_is_understood_also_where_case_does_not_count() {
    let sandbox = Sandbox::new();
    let source = zoo(&sandbox, |number| number % 6 == 0);
    sandbox.git(&source, &["config", "core.ignoreCase", "true"]);
    assert_git_agrees(&sandbox, &source, "restored");
}

#[test]
fn tracked_files_are_captured_whatever_the_zoo_says() {
    let sandbox = Sandbox::new();
    let source = zoo(&sandbox, |number| number % 6 == 3);
    let every_third = files(&source).into_iter().step_by(3).collect::<Vec<_>>();
    let mut command = sandbox.command("git", &source);
    command.args(["add", "--force", "--"]);
    command.args(every_third.iter().map(|name| {
        use std::os::unix::ffi::OsStrExt as _;
        let literal = [b":(literal)", name.as_slice()].concat();
        std::ffi::OsStr::from_bytes(&literal).to_owned()
    }));
    let output = command.output().expect("git starts");
    assert!(output.status.success(), "{output:?}");
    assert_git_agrees(&sandbox, &source, "restored");
}

/// Each pattern at the top, where the rules of the directories below come on top of it.
#[test]
fn rules_outside_the_working_tree_are_understood_as_git_understands_them() {
    let rules: [(&str, &[u8]); 4] = [
        (
            "exclude",
            b"/case-000/dir\ncase-001/*\n!case-001/foo\n**/x.o\n",
        ),
        ("exclude", b"\xef\xbb\xbffoo\r\n*.c\r\n!sub/\n"),
        ("home", b"foo\n!x.o\n/case-003/\n"),
        ("own", b"*.o\n/case-004/sub\n"),
    ];
    for (number, (place, lines)) in rules.into_iter().enumerate() {
        let sandbox = Sandbox::new();
        let source = states::small_repository(&sandbox);
        for (number, lines) in CASES.into_iter().enumerate().take(3) {
            let case = mkdir(&source, format!("case-{number:03}"));
            for name in NAMES {
                write(&case, name, b"x");
            }
            write(&case, ".gitignore", lines);
        }
        match place {
            "exclude" => {
                write(&source, ".git/info/exclude", lines);
            }
            // Where git looks when nothing is configured.
            "home" => {
                write(&sandbox.path("config"), "git/ignore", lines);
            }
            _ => {
                write(&source, "rules/own", lines);
                sandbox.git(&source, &["config", "core.excludesFile", "rules/own"]);
                write(&sandbox.path("config"), "git/ignore", "*\n");
            }
        }
        assert_git_agrees(&sandbox, &source, &format!("restored-{number}"));
    }
}

#[test]
fn the_three_places_of_rules_have_gits_precedence() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    sandbox.git(&source, &["config", "core.excludesFile", "~/everywhere"]);
    write(&sandbox.home(), "everywhere", "*.a\n*.b\n*.c\n!*.d\n");
    write(&source, ".git/info/exclude", "!*.a\n*.d\n*.e\n");
    write(&source, ".gitignore", "!*.b\n!*.e\n*.f\n");
    write(&source, "below/.gitignore", "!*.c\n*.b\n!*.f\n");
    for directory in ["", "below/", "below/deeper/"] {
        for name in ["x.a", "x.b", "x.c", "x.d", "x.e", "x.f", "x.g"] {
            write(&source, format!("{directory}{name}"), "x");
        }
    }
    assert_git_agrees(&sandbox, &source, "restored");
}

#[test]
fn ignore_files_that_are_no_files_ignore_nothing() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    write(&source, "rules", "foo\n");
    for name in ["link", "dangling", "directory", "real"] {
        write(&source, format!("{name}/foo"), "x");
        write(&source, format!("{name}/bar"), "x");
    }
    symlink(&source, "link/.gitignore", "../rules");
    symlink(&source, "dangling/.gitignore", "nowhere");
    write(&source, "directory/.gitignore/foo", "x");
    write(&source, "real/.gitignore", "foo\n");
    assert_git_agrees(&sandbox, &source, "restored");
    assert!(sandbox.path("restored/link/foo").exists());
}

/// Git follows links to these two.
#[test]
fn links_to_the_rules_outside_the_tree_are_followed() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    write(&sandbox.home(), "rules-a", "*.a\n");
    write(&sandbox.home(), "rules-b", "*.b\n");
    symlink(&sandbox.path("config/git"), "ignore", "../../home/rules-a");
    std::fs::remove_file(source.join(".git/info/exclude")).expect("removed");
    symlink(&source, ".git/info/exclude", "../../../../home/rules-b");
    for name in ["x.a", "x.b", "x.c"] {
        write(&source, name, "x");
    }
    assert_git_agrees(&sandbox, &source, "restored");
}

#[test]
fn a_directory_with_a_tracked_file_keeps_that_file_alone() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    write(&source, ".gitignore", "vendor/\n*.log\n");
    write(&source, "vendor/lib/tracked.txt", "tracked\n");
    write(&source, "logs/tracked.log", "tracked\n");
    sandbox.git(&source, &["add", "--force", "."]);
    sandbox.git(&source, &["commit", "--quiet", "-m", "tracked"]);
    append(&source, "vendor/lib/tracked.txt", "edited\n");
    for name in [
        "vendor/lib/left.txt",
        "vendor/other/left.txt",
        "logs/left.log",
        "logs/kept.txt",
    ] {
        write(&source, name, "x");
    }
    assert_git_agrees(&sandbox, &source, "restored");
    let kept = std::fs::read_to_string(sandbox.path("restored/vendor/lib/tracked.txt"));
    assert_eq!(kept.expect("it is there"), "tracked\nedited\n");
}

/// What is captured of a repository with this one ignore file, and what git does not ignore.
fn both_answers(sandbox: &Sandbox, lines: &[u8], settings: &[&str]) -> (Paths, Paths) {
    let name = format!("of-{}", lines.escape_ascii().to_string().replace('/', "-"));
    let source = sandbox.init(&name);
    for setting in settings {
        sandbox.git(&source, &["config", setting, "true"]);
    }
    for name in NAMES {
        write(&source, name, b"x");
    }
    write(&source, ".gitignore", lines);
    let id = sandbox.snapshot(&source);
    let restored = sandbox.restore(&source, &id, &name);
    (files(&restored), not_ignored(sandbox, &source))
}

/// `docs/SHORTCOMINGS.md`: where our reading differs from git's, it must be that we keep more.
#[test]
fn lines_that_git_reads_in_a_way_of_its_own_never_leave_out_what_git_keeps() {
    let sandbox = Sandbox::new();
    for lines in [
        &b"foo\0bar\n"[..],
        b"w/x**/b\n",
        b"w**/b\n",
        b"[c-a]\n",
        b"[a-C]\n",
        b"[z-A]\n",
    ] {
        let (captured, kept) = both_answers(&sandbox, lines, &[]);
        let lost = difference("lost", &kept, &captured);
        assert!(lost.is_empty(), "{}: {lost:#?}", lines.escape_ascii());
    }
}

#[test]
fn ranges_never_leave_out_what_git_keeps_where_case_does_not_count() {
    let sandbox = Sandbox::new();
    let mut all = Vec::new();
    for lines in [
        &b"[A-c]\n"[..],
        b"[!A]\n",
        b"[c-a]\n",
        b"[C-A]\n",
        b"[a-C]\n",
        b"[z-A]\n",
    ] {
        let (captured, kept) = both_answers(&sandbox, lines, &["core.ignoreCase"]);
        all.extend(difference(
            &lines.escape_ascii().to_string(),
            &kept,
            &captured,
        ));
    }
    assert!(
        all.is_empty(),
        "NOT CAPTURED, and not ignored by git: {all:#?}"
    );
}
