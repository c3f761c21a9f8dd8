//! Snapshots of trees and listings that no capture makes: names that lead elsewhere, listings and trees that differ, contents that are others.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{BYTES, CONTENTS, Case, bench_case, bench_harmless};
use crate::support::forged_pack::{Node, TIME, Workbench, file_line};

/// A file whose line and entry in the tree may be written in any way.
fn odd_file(bench: &mut Workbench, sorted_by: &[u8], line_name: &str, entry_name: &[u8]) {
    let content = b"odd\n";
    let line = file_line(b"x", content, "100644", TIME, "-");
    let line = format!("{}{line_name}", line.strip_suffix('x').expect("the name"));
    bench.worktree.line(sorted_by, line);
    bench.worktree.count_file(content.len());
    let id = bench.pack.blob(content);
    bench.worktree.entry(0o100_644, entry_name, id);
}

pub fn file(bench: &mut Workbench, name: &[u8], content: &[u8]) {
    bench.worktree.file(&mut bench.pack, name, content);
}

fn file_with(bench: &mut Workbench, mode: &str, time: &str, xattrs: &str) {
    bench
        .worktree
        .file_with(&mut bench.pack, b"x-odd", b"odd\n", mode, time, xattrs);
}

pub fn directory_with(bench: &mut Workbench, name: &[u8], inside: &str) {
    let mut node = Node::empty();
    node.file(&mut bench.pack, inside.as_bytes(), b"inside\n");
    bench.worktree.directory(&mut bench.pack, name, &node);
}

pub fn holds_the_odd_file(out: &Path) {
    assert_eq!(
        std::fs::read(out.join("x-odd")).expect("the file"),
        b"odd\n"
    );
    assert!(out.join("README.md").is_file());
}

pub fn is_like_before(out: &Path) {
    assert!(out.join("README.md").is_file() && out.join(".git/HEAD").is_file());
}

pub fn cases() -> Vec<Case> {
    let mut all = vec![bench_harmless(
        "one-more-file",
        |bench| file(bench, b"x-odd", b"odd\n"),
        "the toolbox makes what the program makes",
        Some(holds_the_odd_file),
    )];
    all.extend(names());
    all.extend(attributes());
    all.extend(super::contents::cases());
    all
}

/// A listing with a name that no directory has is not one.
fn names() -> Vec<Case> {
    vec![
        bench_case(
            "name-of-the-parent",
            |bench| odd_file(bench, b"..", "..", b".."),
            BYTES,
            &["GV-3302"],
        ),
        bench_case(
            "name-of-the-directory-itself",
            |bench| odd_file(bench, b".", ".", b"."),
            BYTES,
            &["GV-3302"],
        ),
        bench_case(
            "name-empty",
            |bench| odd_file(bench, b"", "", b""),
            BYTES,
            &["GV-3302", "GV-3104"],
        ),
        bench_case(
            "name-with-a-slash",
            |bench| odd_file(bench, b"a/b", "a/b", b"a/b"),
            BYTES,
            &["GV-3302"],
        ),
        bench_case(
            "name-absolute",
            |bench| odd_file(bench, b"/tmp/x", "/tmp/x", b"/tmp/x"),
            BYTES,
            &["GV-3302"],
        ),
        bench_case(
            "name-with-an-escaped-slash",
            |bench| odd_file(bench, b"a/b", "a%2Fb", b"a%2Fb"),
            BYTES,
            &["GV-3302"],
        ),
        bench_case(
            "name-with-a-zero",
            |bench| odd_file(bench, b"a\0b", "a%00b", b"a%00b"),
            BYTES,
            &["GV-3302"],
        ),
        bench_case(
            "name-with-needless-escapes",
            |bench| odd_file(bench, b"x", "%78", b"x"),
            BYTES,
            &["GV-3302"],
        ),
        bench_case(
            "name-with-needless-escapes-in-the-tree",
            |bench| odd_file(bench, b"x", "x", b"%78"),
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "name-without-its-escapes-in-the-tree",
            |bench| odd_file(bench, b".gitx", ".gitx", b".gitx"),
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "name-with-a-tab",
            |bench| odd_file(bench, b"a\tb", "a\tb", b"a\tb"),
            BYTES,
            &["GV-3302"],
        ),
        bench_case(
            "name-not-utf-8",
            |bench| odd_file(bench, b"a\x1bb", "a\u{1b}b", b"a\x1bb"),
            BYTES,
            &["GV-3302"],
        ),
        bench_case(
            "dot-git-as-a-file",
            |bench| file(bench, b".git", b"gitdir: /etc\n"),
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "dot-git-as-a-link",
            |bench| bench.worktree.link(&mut bench.pack, b".git", b"/etc"),
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "dot-git-as-a-directory",
            |bench| directory_with(bench, b".git", "config"),
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "dot-git-as-a-fifo",
            |bench| {
                bench.worktree.counts.special += 1;
                bench
                    .worktree
                    .line(b".git", format!("special\t10644\t{TIME}\t-\tfifo\t.git"));
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_harmless(
            "dot-git-in-capitals",
            |bench| file(bench, b".GIT", b"odd\n"),
            "where capitals count it is a name like any other; elsewhere the destination refuses",
            Some(is_like_before),
        ),
        bench_harmless(
            "dot-git-further-down",
            |bench| directory_with(bench, b"below", ".git"),
            "a file named so may be captured there, such as in a fixture",
            Some(is_like_before),
        ),
        bench_case(
            "name-longer-than-any",
            |bench| file(bench, &[b'n'; 300], b"odd\n"),
            CONTENTS,
            &["GV-2201", "GV-2301"],
        ),
        bench_harmless(
            "names-deeper-than-any-path",
            |bench| {
                let mut node = Node::empty();
                for _ in 0..1200 {
                    let mut above = Node::empty();
                    above.directory(&mut bench.pack, b"deeper", &node);
                    node = above;
                }
                bench.worktree.directory(&mut bench.pack, b"deep", &node);
            },
            "every step is relative to an open directory: no path is too long",
            Some(is_like_before),
        ),
    ]
}

fn attributes() -> Vec<Case> {
    vec![
        bench_case(
            "mode-of-a-directory",
            |bench| file_with(bench, "40755", TIME, "-"),
            BYTES,
            &["GV-3302", "GV-3104"],
        ),
        bench_case(
            "mode-of-a-device",
            |bench| file_with(bench, "20666", TIME, "-"),
            BYTES,
            &["GV-3302", "GV-3104"],
        ),
        bench_case(
            "mode-without-a-kind",
            |bench| file_with(bench, "644", TIME, "-"),
            BYTES,
            &["GV-3302", "GV-3104"],
        ),
        bench_case(
            "mode-of-many-bits",
            |bench| file_with(bench, "37777777777", TIME, "-"),
            BYTES,
            &["GV-3302", "GV-3104"],
        ),
        bench_case(
            "mode-not-octal",
            |bench| file_with(bench, "100999", TIME, "-"),
            BYTES,
            &["GV-3302"],
        ),
        bench_case(
            "mode-with-a-zero-before",
            |bench| file_with(bench, "0100644", TIME, "-"),
            BYTES,
            &["GV-3302"],
        ),
        bench_case(
            "mode-of-a-file-on-a-directory",
            |bench| bench.worktree.own = format!("self\t100644\t{TIME}\t-"),
            BYTES,
            &["GV-3302", "GV-3104"],
        ),
        bench_case(
            "mode-of-a-file-on-a-link",
            |bench| {
                bench
                    .worktree
                    .link(&mut bench.pack, b"x-link", b"README.md");
                let (_, line) = bench.worktree.lines.last_mut().expect("the line");
                *line = line.replace("120777", "100644");
            },
            BYTES,
            &["GV-3302", "GV-3104"],
        ),
        bench_harmless(
            "mode-with-setuid",
            |bench| file_with(bench, "104755", TIME, "-"),
            "it is what was captured; whether it can be set is for the destination",
            Some(|out| {
                holds_the_odd_file(out);
                let mode = std::fs::metadata(out.join("x-odd"))
                    .expect("its mode")
                    .permissions()
                    .mode();
                assert_eq!(mode & 0o7777, 0o4755);
            }),
        ),
        bench_case(
            "time-beyond-the-file-system",
            |bench| file_with(bench, "100644", "170000000000000000000000000000", "-"),
            CONTENTS,
            &["GV-2201", "GV-2301"],
        ),
        bench_case(
            "time-before-the-file-system",
            |bench| file_with(bench, "100644", "-170000000000000000000000000000", "-"),
            CONTENTS,
            &["GV-2201", "GV-2301"],
        ),
        bench_case(
            "time-that-is-no-number",
            |bench| file_with(bench, "100644", "now", "-"),
            BYTES,
            &["GV-3302"],
        ),
        bench_case(
            "time-of-many-digits",
            |bench| file_with(bench, "100644", &"9".repeat(60), "-"),
            BYTES,
            &["GV-3302"],
        ),
        bench_case(
            "xattr-that-gives-capabilities",
            |bench| {
                file_with(
                    bench,
                    "100755",
                    TIME,
                    "73656375726974792e6361706162696c697479=0100000200200000002000000000000000000000",
                )
            },
            BYTES,
            &["GV-3302", "GV-3104"],
        ),
        bench_case(
            "xattr-of-the-system",
            |bench| file_with(bench, "100644", TIME, "747275737465642e78=00"),
            BYTES,
            &["GV-3302", "GV-3104"],
        ),
        bench_case(
            "xattr-without-a-name",
            |bench| file_with(bench, "100644", TIME, "=00"),
            BYTES,
            &["GV-3302", "GV-3104"],
        ),
        bench_case(
            "xattr-with-a-zero-in-its-name",
            |bench| file_with(bench, "100644", TIME, "757365722e6100=00"),
            BYTES,
            &["GV-3302", "GV-3104"],
        ),
        bench_case(
            "xattrs-unsorted",
            |bench| file_with(bench, "100644", TIME, "757365722e62=00,757365722e61=00"),
            BYTES,
            &["GV-3302"],
        ),
        bench_case(
            "xattr-twice",
            |bench| file_with(bench, "100644", TIME, "757365722e61=00,757365722e61=00"),
            BYTES,
            &["GV-3302"],
        ),
        bench_case(
            "device-with-content",
            |bench| {
                bench.worktree.counts.special += 1;
                bench.worktree.line(
                    b"x-odd",
                    format!("special\t20666\t{TIME}\t-\tcharacter-device\tx-odd"),
                );
                let id = bench.pack.blob(b"odd\n");
                bench.worktree.entry(0o100_644, b"x-odd", id);
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_harmless(
            "device",
            |bench| {
                bench.worktree.counts.special += 1;
                bench.worktree.line(
                    b"x-odd",
                    format!("special\t20666\t{TIME}\t-\tcharacter-device\tx-odd"),
                );
            },
            "special files are recorded and never made",
            Some(|out| assert!(out.join("x-odd").symlink_metadata().is_err())),
        ),
        bench_case(
            "device-of-an-unknown-kind",
            |bench| {
                bench.worktree.counts.special += 1;
                bench
                    .worktree
                    .line(b"x-odd", format!("special\t20666\t{TIME}\t-\tdoor\tx-odd"));
            },
            BYTES,
            &["GV-3302"],
        ),
    ]
}
