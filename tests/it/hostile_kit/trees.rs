//! Snapshots of trees and listings that no capture makes: names that lead elsewhere, listings and trees that differ, contents that are others.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use git_vault::host::git::object::ObjectKind;
use git_vault::host::git::tree::NewEntry;
use git_vault::model::ids::Digest;

use super::{BYTES, CONTENTS, Case, case, harmless};
use crate::support::Sandbox;
use crate::support::forge::Forge;
use crate::support::forged_pack::{Node, TIME, Workbench, file_line, id_of};

/// Seals another snapshot after `change`.
fn forge_with(sandbox: &Sandbox, forge: &mut Forge, change: impl FnOnce(&mut Workbench)) {
    let mut bench = Workbench::new(sandbox, forge);
    change(&mut bench);
    bench.seal(forge);
}

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

fn file(bench: &mut Workbench, name: &[u8], content: &[u8]) {
    bench.worktree.file(&mut bench.pack, name, content);
}

fn file_with(bench: &mut Workbench, mode: &str, time: &str, xattrs: &str) {
    bench
        .worktree
        .file_with(&mut bench.pack, b"x-odd", b"odd\n", mode, time, xattrs);
}

fn directory_with(bench: &mut Workbench, name: &[u8], inside: &str) {
    let mut node = Node::empty();
    node.file(&mut bench.pack, inside.as_bytes(), b"inside\n");
    bench.worktree.directory(&mut bench.pack, name, &node);
}

fn holds_the_odd_file(out: &Path) {
    assert_eq!(
        std::fs::read(out.join("x-odd")).expect("the file"),
        b"odd\n"
    );
    assert!(out.join("README.md").is_file());
}

fn is_like_before(out: &Path) {
    assert!(out.join("README.md").is_file() && out.join(".git/HEAD").is_file());
}

pub fn cases() -> Vec<Case> {
    let mut all = vec![harmless(
        "one-more-file",
        |sandbox, forge| forge_with(sandbox, forge, |bench| file(bench, b"x-odd", b"odd\n")),
        "the toolbox makes what the program makes",
        Some(holds_the_odd_file),
    )];
    all.extend(names());
    all.extend(attributes());
    all.extend(disagreements());
    all.extend(stored());
    all.extend(pieces());
    all.extend(git_directories());
    all
}

/// A listing with a name that no directory has is not one.
fn names() -> Vec<Case> {
    vec![
        case(
            "name-of-the-parent",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| odd_file(bench, b"..", "..", b".."))
            },
            BYTES,
            &["GV-3302"],
        ),
        case(
            "name-of-the-directory-itself",
            |sandbox, forge| forge_with(sandbox, forge, |bench| odd_file(bench, b".", ".", b".")),
            BYTES,
            &["GV-3302"],
        ),
        case(
            "name-empty",
            |sandbox, forge| forge_with(sandbox, forge, |bench| odd_file(bench, b"", "", b"")),
            BYTES,
            &["GV-3302", "GV-3104"],
        ),
        case(
            "name-with-a-slash",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    odd_file(bench, b"a/b", "a/b", b"a/b")
                })
            },
            BYTES,
            &["GV-3302"],
        ),
        case(
            "name-absolute",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    odd_file(bench, b"/tmp/x", "/tmp/x", b"/tmp/x")
                })
            },
            BYTES,
            &["GV-3302"],
        ),
        case(
            "name-with-an-escaped-slash",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    odd_file(bench, b"a/b", "a%2Fb", b"a%2Fb")
                })
            },
            BYTES,
            &["GV-3302"],
        ),
        case(
            "name-with-a-zero",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    odd_file(bench, b"a\0b", "a%00b", b"a%00b")
                })
            },
            BYTES,
            &["GV-3302"],
        ),
        case(
            "name-with-needless-escapes",
            |sandbox, forge| forge_with(sandbox, forge, |bench| odd_file(bench, b"x", "%78", b"x")),
            BYTES,
            &["GV-3302"],
        ),
        case(
            "name-with-needless-escapes-in-the-tree",
            |sandbox, forge| forge_with(sandbox, forge, |bench| odd_file(bench, b"x", "x", b"%78")),
            BYTES,
            &["GV-3104"],
        ),
        case(
            "name-without-its-escapes-in-the-tree",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    odd_file(bench, b".gitx", ".gitx", b".gitx")
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "name-with-a-tab",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    odd_file(bench, b"a\tb", "a\tb", b"a\tb")
                })
            },
            BYTES,
            &["GV-3302"],
        ),
        case(
            "name-not-utf-8",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    odd_file(bench, b"a\x1bb", "a\u{1b}b", b"a\x1bb")
                })
            },
            BYTES,
            &["GV-3302"],
        ),
        case(
            "dot-git-as-a-file",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file(bench, b".git", b"gitdir: /etc\n")
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "dot-git-as-a-link",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    bench.worktree.link(&mut bench.pack, b".git", b"/etc")
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "dot-git-as-a-directory",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    directory_with(bench, b".git", "config")
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "dot-git-as-a-fifo",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    bench.worktree.counts.special += 1;
                    bench
                        .worktree
                        .line(b".git", format!("special\t10644\t{TIME}\t-\tfifo\t.git"));
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        harmless(
            "dot-git-in-capitals",
            |sandbox, forge| forge_with(sandbox, forge, |bench| file(bench, b".GIT", b"odd\n")),
            "where capitals count it is a name like any other; elsewhere the destination refuses",
            Some(is_like_before),
        ),
        harmless(
            "dot-git-further-down",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    directory_with(bench, b"below", ".git")
                })
            },
            "a file named so may be captured there, such as in a fixture",
            Some(is_like_before),
        ),
        case(
            "name-longer-than-any",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| file(bench, &[b'n'; 300], b"odd\n"))
            },
            CONTENTS,
            &["GV-2201", "GV-2301"],
        ),
        harmless(
            "names-deeper-than-any-path",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    let mut node = Node::empty();
                    for _ in 0..1200 {
                        let mut above = Node::empty();
                        above.directory(&mut bench.pack, b"deeper", &node);
                        node = above;
                    }
                    bench.worktree.directory(&mut bench.pack, b"deep", &node);
                })
            },
            "every step is relative to an open directory: no path is too long",
            Some(is_like_before),
        ),
    ]
}

fn attributes() -> Vec<Case> {
    vec![
        case(
            "mode-of-a-directory",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| file_with(bench, "40755", TIME, "-"))
            },
            BYTES,
            &["GV-3302", "GV-3104"],
        ),
        case(
            "mode-of-a-device",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| file_with(bench, "20666", TIME, "-"))
            },
            BYTES,
            &["GV-3302", "GV-3104"],
        ),
        case(
            "mode-without-a-kind",
            |sandbox, forge| forge_with(sandbox, forge, |bench| file_with(bench, "644", TIME, "-")),
            BYTES,
            &["GV-3302", "GV-3104"],
        ),
        case(
            "mode-of-many-bits",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file_with(bench, "37777777777", TIME, "-")
                })
            },
            BYTES,
            &["GV-3302", "GV-3104"],
        ),
        case(
            "mode-not-octal",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file_with(bench, "100999", TIME, "-")
                })
            },
            BYTES,
            &["GV-3302"],
        ),
        case(
            "mode-with-a-zero-before",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file_with(bench, "0100644", TIME, "-")
                })
            },
            BYTES,
            &["GV-3302"],
        ),
        case(
            "mode-of-a-file-on-a-directory",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    bench.worktree.own = format!("self\t100644\t{TIME}\t-")
                })
            },
            BYTES,
            &["GV-3302", "GV-3104"],
        ),
        case(
            "mode-of-a-file-on-a-link",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    bench
                        .worktree
                        .link(&mut bench.pack, b"x-link", b"README.md");
                    let (_, line) = bench.worktree.lines.last_mut().expect("the line");
                    *line = line.replace("120777", "100644");
                })
            },
            BYTES,
            &["GV-3302", "GV-3104"],
        ),
        harmless(
            "mode-with-setuid",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file_with(bench, "104755", TIME, "-")
                })
            },
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
        case(
            "time-beyond-the-file-system",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file_with(bench, "100644", "170000000000000000000000000000", "-")
                })
            },
            CONTENTS,
            &["GV-2201", "GV-2301"],
        ),
        case(
            "time-before-the-file-system",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file_with(bench, "100644", "-170000000000000000000000000000", "-")
                })
            },
            CONTENTS,
            &["GV-2201", "GV-2301"],
        ),
        case(
            "time-that-is-no-number",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file_with(bench, "100644", "now", "-")
                })
            },
            BYTES,
            &["GV-3302"],
        ),
        case(
            "time-of-many-digits",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file_with(bench, "100644", &"9".repeat(60), "-")
                })
            },
            BYTES,
            &["GV-3302"],
        ),
        case(
            "xattr-that-gives-capabilities",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file_with(
                        bench,
                        "100755",
                        TIME,
                        "73656375726974792e6361706162696c697479=0100000200200000002000000000000000000000",
                    )
                })
            },
            BYTES,
            &["GV-3302", "GV-3104"],
        ),
        case(
            "xattr-of-the-system",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file_with(bench, "100644", TIME, "747275737465642e78=00")
                })
            },
            BYTES,
            &["GV-3302", "GV-3104"],
        ),
        case(
            "xattr-without-a-name",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file_with(bench, "100644", TIME, "=00")
                })
            },
            BYTES,
            &["GV-3302", "GV-3104"],
        ),
        case(
            "xattr-with-a-zero-in-its-name",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file_with(bench, "100644", TIME, "757365722e6100=00")
                })
            },
            BYTES,
            &["GV-3302", "GV-3104"],
        ),
        case(
            "xattrs-unsorted",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file_with(bench, "100644", TIME, "757365722e62=00,757365722e61=00")
                })
            },
            BYTES,
            &["GV-3302"],
        ),
        case(
            "xattr-twice",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file_with(bench, "100644", TIME, "757365722e61=00,757365722e61=00")
                })
            },
            BYTES,
            &["GV-3302"],
        ),
        case(
            "device-with-content",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    bench.worktree.counts.special += 1;
                    bench.worktree.line(
                        b"x-odd",
                        format!("special\t20666\t{TIME}\t-\tcharacter-device\tx-odd"),
                    );
                    let id = bench.pack.blob(b"odd\n");
                    bench.worktree.entry(0o100_644, b"x-odd", id);
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        harmless(
            "device",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    bench.worktree.counts.special += 1;
                    bench.worktree.line(
                        b"x-odd",
                        format!("special\t20666\t{TIME}\t-\tcharacter-device\tx-odd"),
                    );
                })
            },
            "special files are recorded and never made",
            Some(|out| assert!(out.join("x-odd").symlink_metadata().is_err())),
        ),
        case(
            "device-of-an-unknown-kind",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    bench.worktree.counts.special += 1;
                    bench
                        .worktree
                        .line(b"x-odd", format!("special\t20666\t{TIME}\t-\tdoor\tx-odd"));
                })
            },
            BYTES,
            &["GV-3302"],
        ),
    ]
}

/// Listing and tree must say the same.
fn disagreements() -> Vec<Case> {
    vec![
        case(
            "tree-holds-more",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    let id = bench.pack.blob(b"odd\n");
                    bench.worktree.entry(0o100_644, b"x-odd", id);
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "tree-holds-less",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file(bench, b"x-odd", b"odd\n");
                    let _entry = bench.worktree.tree.pop();
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "directory-without-a-listing",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    directory_with(bench, b"x-odd", "a");
                    let _entry = bench.worktree.dirs.pop();
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "directory-that-the-listing-lacks",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    directory_with(bench, b"x-odd", "a");
                    let _line = bench.worktree.lines.pop();
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "directory-without-its-tree",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    directory_with(bench, b"x-odd", "a");
                    let _entry = bench.worktree.tree.pop();
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "listing-with-another-digest",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    directory_with(bench, b"x-odd", "a");
                    let digest = Digest::from_bytes([9; 32]);
                    let (_, line) = bench.worktree.lines.last_mut().expect("the line");
                    *line = format!("directory\t{digest}\tx-odd");
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "listing-twice-the-same-name",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file(bench, b"x-odd", b"odd\n");
                    let line = bench.worktree.lines.last().expect("a line").clone();
                    bench.worktree.lines.push(line);
                })
            },
            BYTES,
            &["GV-3302"],
        ),
        case(
            "listing-unsorted",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    let text = bench.worktree.listing();
                    let mut lines: Vec<&str> = text.lines().collect();
                    let last = lines.pop().expect("a line");
                    lines.insert(2, last);
                    bench.worktree.text = Some(format!("{}\n", lines.join("\n")));
                })
            },
            BYTES,
            &["GV-3302"],
        ),
        case(
            "listing-in-crlf",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    bench.worktree.text = Some(bench.worktree.listing().replace('\n', "\r\n"))
                })
            },
            BYTES,
            &["GV-3302"],
        ),
        case(
            "listing-of-version-2",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    bench.worktree.text =
                        Some(bench.worktree.listing().replace("listing 1", "listing 2"))
                })
            },
            BYTES,
            &["GV-3302", "GV-3301"],
        ),
        case(
            "listing-without-its-last-line-feed",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    bench.worktree.text = Some(bench.worktree.listing().trim_end().to_owned())
                })
            },
            BYTES,
            &["GV-3302"],
        ),
        case(
            "listing-empty",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    bench.worktree.text = Some(String::new())
                })
            },
            BYTES,
            &["GV-3302"],
        ),
        case(
            "listing-with-a-size-of-2-to-the-64",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file(bench, b"x-odd", b"odd\n");
                    let (_, line) = bench.worktree.lines.last_mut().expect("a line");
                    *line = line.replace("\t-\t4\t", "\t-\t18446744073709551616\t");
                })
            },
            BYTES,
            &["GV-3302"],
        ),
        case(
            "listing-with-the-greatest-size",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file(bench, b"x-odd", b"odd\n");
                    let (_, line) = bench.worktree.lines.last_mut().expect("a line");
                    *line = line.replace("\t-\t4\t", "\t-\t9223372036854775807\t");
                })
            },
            BYTES,
            &["GV-3104", "GV-3001", "GV-2202"],
        ),
        case(
            "link-and-what-is-below-it",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    directory_with(bench, b"x-odd", "passwd");
                    let _line = bench.worktree.lines.pop();
                    bench.worktree.link(&mut bench.pack, b"x-odd", b"/etc");
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "link-stored-as-a-file",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    bench.worktree.link(&mut bench.pack, b"x-odd", b"/etc");
                    bench.worktree.tree.last_mut().expect("an entry").mode = 0o100_644;
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "file-stored-as-a-link",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file(bench, b"x-odd", b"/etc/passwd");
                    bench.worktree.tree.last_mut().expect("an entry").mode = 0o120_000;
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "file-stored-as-a-submodule",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file(bench, b"x-odd", b"odd\n");
                    bench.worktree.tree.last_mut().expect("an entry").mode = 0o160_000;
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "directory-stored-as-a-submodule",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    directory_with(bench, b"x-odd", "a");
                    bench.worktree.tree.last_mut().expect("an entry").mode = 0o160_000;
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "file-stored-as-a-directory",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file(bench, b"x-odd", b"odd\n");
                    let id = bench.pack.tree(&[]);
                    let entry = bench.worktree.tree.last_mut().expect("an entry");
                    (entry.mode, entry.id) = (0o40_000, id);
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "tree-with-a-name-twice",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file(bench, b"x-odd", b"odd\n");
                    let id = bench.pack.blob(b"other\n");
                    bench.worktree.entry(0o100_644, b"x-odd", id);
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "link-with-a-zero-in-its-target",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    bench.worktree.link(&mut bench.pack, b"x-odd", b"a\0b")
                })
            },
            CONTENTS,
            &["GV-2201", "GV-3104", "GV-2301"],
        ),
        case(
            "link-to-nowhere-at-all",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    bench.worktree.link(&mut bench.pack, b"x-odd", b"")
                })
            },
            CONTENTS,
            &["GV-2201", "GV-3104", "GV-2301"],
        ),
        case(
            "link-longer-than-any",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    bench
                        .worktree
                        .link(&mut bench.pack, b"x-odd", &[b'l'; 5000])
                })
            },
            CONTENTS,
            &["GV-2201", "GV-3104", "GV-2301"],
        ),
        harmless(
            "link-out-of-the-workspace",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    bench
                        .worktree
                        .link(&mut bench.pack, b"x-odd", b"../../../etc/passwd")
                })
            },
            "a link is text: it is made, and never followed",
            Some(|out| {
                assert_eq!(
                    std::fs::read_link(out.join("x-odd")).expect("a link"),
                    Path::new("../../../etc/passwd")
                )
            }),
        ),
    ]
}

fn stored() -> Vec<Case> {
    vec![
        case(
            "content-that-is-another",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file(bench, b"x-odd", b"odd\n");
                    let id = bench.pack.blob(b"0dd\n");
                    bench.worktree.tree.last_mut().expect("an entry").id = id;
                })
            },
            BYTES,
            &["GV-3001", "GV-3104"],
        ),
        case(
            "content-of-another-size",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file(bench, b"x-odd", b"odd\n");
                    let (_, line) = bench.worktree.lines.last_mut().expect("a line");
                    *line = line.replace("\t-\t4\t", "\t-\t5\t");
                    bench.worktree.counts.bytes += 1;
                })
            },
            BYTES,
            &["GV-3001", "GV-3104"],
        ),
        case(
            "target-that-is-another",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    bench.worktree.link(&mut bench.pack, b"x-odd", b"here");
                    let id = bench.pack.blob(b"there");
                    bench.worktree.tree.last_mut().expect("an entry").id = id;
                })
            },
            BYTES,
            &["GV-3001", "GV-3104"],
        ),
        case(
            "content-that-is-not-there",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file(bench, b"x-odd", b"odd\n");
                    bench.worktree.tree.last_mut().expect("an entry").id =
                        id_of(ObjectKind::Blob, b"not there");
                })
            },
            BYTES,
            &["GV-3001", "GV-3002"],
        ),
        case(
            "content-that-is-a-tree",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file(bench, b"x-odd", b"");
                    let id = bench.pack.tree(&[]);
                    bench.worktree.tree.last_mut().expect("an entry").id = id;
                })
            },
            BYTES,
            &["GV-3001", "GV-3104"],
        ),
        case(
            "tree-that-is-a-blob",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    directory_with(bench, b"x-odd", "a");
                    let id = bench.pack.blob(b"odd\n");
                    bench.worktree.tree.last_mut().expect("an entry").id = id;
                })
            },
            BYTES,
            &["GV-3001", "GV-3104"],
        ),
        case(
            "tree-that-is-not-there",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    directory_with(bench, b"x-odd", "a");
                    bench.worktree.tree.last_mut().expect("an entry").id =
                        id_of(ObjectKind::Tree, b"not there");
                })
            },
            BYTES,
            &["GV-3001", "GV-3002"],
        ),
        case(
            "tree-cut-short",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    let mut content =
                        git_vault::host::git::tree::tree_content(bench.worktree.tree.clone());
                    let _byte = content.pop();
                    bench.worktree.raw_tree = Some(content);
                })
            },
            BYTES,
            &["GV-3001", "GV-3104"],
        ),
        case(
            "tree-unsorted",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file(bench, b"x-odd", b"odd\n");
                    let mut content = Vec::new();
                    for entry in bench.worktree.tree.iter().rev() {
                        content.extend(git_vault::host::git::tree::tree_content(vec![
                            entry.clone(),
                        ]));
                    }
                    bench.worktree.raw_tree = Some(content);
                })
            },
            BYTES,
            &["GV-3104", "GV-3001"],
        ),
        case(
            "tree-with-zeros-before-modes",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    let content =
                        git_vault::host::git::tree::tree_content(bench.worktree.tree.clone());
                    bench.worktree.raw_tree = Some([b"0".to_vec(), content].concat());
                })
            },
            BYTES,
            &["GV-3104", "GV-3001"],
        ),
        case(
            "root-with-holes-that-are-none",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    let id = bench.pack.blob(b"not an id\n");
                    bench.root.push(NewEntry {
                        mode: 0o100_644,
                        name: b"holes".to_vec(),
                        id,
                    });
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "root-with-more",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    let id = bench.pack.blob(b"odd\n");
                    bench.root.push(NewEntry {
                        mode: 0o100_644,
                        name: b"more".to_vec(),
                        id,
                    });
                })
            },
            BYTES,
            &["GV-3104"],
        ),
    ]
}

fn chunked(bench: &mut Workbench, name: &[u8], content: &[u8], pieces: &[NewEntry]) {
    file(bench, name, content);
    let entry = bench.worktree.tree.last_mut().expect("an entry");
    entry.mode = 0o40_000;
    entry.name.extend_from_slice(b"%chunks");
    entry.id = bench.pack.tree(pieces);
}

fn piece(bench: &mut Workbench, name: &str, content: &[u8]) -> NewEntry {
    let id = bench.pack.blob(content);
    NewEntry {
        mode: 0o100_644,
        name: name.into(),
        id,
    }
}

fn pieces() -> Vec<Case> {
    vec![
        harmless(
            "pieces-as-they-should-be",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    let all = [
                        piece(bench, "0000000000", b"o"),
                        piece(bench, "0000000001", b"dd\n"),
                    ];
                    chunked(bench, b"x-odd", b"odd\n", &all);
                })
            },
            "a reader does not depend on where the cuts are",
            Some(holds_the_odd_file),
        ),
        case(
            "pieces-one-missing",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    let all = [piece(bench, "0000000000", b"o")];
                    chunked(bench, b"x-odd", b"odd\n", &all);
                })
            },
            BYTES,
            &["GV-3104", "GV-3001"],
        ),
        case(
            "pieces-one-not-there",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    let mut all = [
                        piece(bench, "0000000000", b"o"),
                        piece(bench, "0000000001", b"dd\n"),
                    ];
                    all[1].id = id_of(ObjectKind::Blob, b"not there");
                    chunked(bench, b"x-odd", b"odd\n", &all);
                })
            },
            BYTES,
            &["GV-3001", "GV-3002"],
        ),
        case(
            "pieces-exchanged",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    let all = [
                        piece(bench, "0000000000", b"dd\n"),
                        piece(bench, "0000000001", b"o"),
                    ];
                    chunked(bench, b"x-odd", b"odd\n", &all);
                })
            },
            BYTES,
            &["GV-3104", "GV-3001"],
        ),
        case(
            "pieces-one-of-them-a-tree",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    let id = bench.pack.tree(&[]);
                    let all = [
                        piece(bench, "0000000000", b"odd\n"),
                        NewEntry {
                            mode: 0o40_000,
                            name: b"0000000001".to_vec(),
                            id,
                        },
                    ];
                    chunked(bench, b"x-odd", b"odd\n", &all);
                })
            },
            BYTES,
            &["GV-3001", "GV-3104"],
        ),
        case(
            "pieces-with-other-names",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    let all = [piece(bench, "a", b"o"), piece(bench, "b", b"dd\n")];
                    chunked(bench, b"x-odd", b"odd\n", &all);
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "pieces-of-a-link",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    let all = [piece(bench, "0000000000", b"/etc")];
                    chunked(bench, b"x-odd", b"/etc", &all);
                    bench.worktree.counts.files -= 1;
                    bench.worktree.counts.bytes -= 4;
                    bench.worktree.counts.links += 1;
                    let (_, line) = bench.worktree.lines.last_mut().expect("a line");
                    *line = format!("link\t120777\t{TIME}\t-\t{}\tx-odd", Digest::of(b"/etc"));
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "pieces-and-the-whole",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    let all = [piece(bench, "0000000000", b"odd\n")];
                    chunked(bench, b"x-odd", b"odd\n", &all);
                    let id = bench.pack.blob(b"odd\n");
                    bench.worktree.entry(0o100_644, b"x-odd", id);
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "pieces-as-a-file",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    file(bench, b"x-odd", b"odd\n");
                    bench
                        .worktree
                        .tree
                        .last_mut()
                        .expect("an entry")
                        .name
                        .extend_from_slice(b"%chunks");
                })
            },
            BYTES,
            &["GV-3104"],
        ),
    ]
}

fn in_git_directory(bench: &mut Workbench, name: &[u8], content: &[u8]) {
    bench.gitdir.file(&mut bench.pack, name, content);
}

/// What a git directory of a snapshot must not hold, for the history is put there by the restore.
fn git_directories() -> Vec<Case> {
    vec![
        case(
            "git-directory-with-objects",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    let mut info = Node::empty();
                    info.file(&mut bench.pack, b"alternates", b"/somewhere/else\n");
                    let mut objects = Node::empty();
                    objects.directory(&mut bench.pack, b"info", &info);
                    bench.gitdir.lines.retain(|(name, _)| name != b"objects");
                    bench
                        .gitdir
                        .directory(&mut bench.pack, b"objects", &objects);
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "git-directory-whose-objects-are-a-link",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    bench.gitdir.lines.retain(|(name, _)| name != b"objects");
                    bench
                        .gitdir
                        .link(&mut bench.pack, b"objects", b"/somewhere/else");
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "git-directory-whose-objects-are-a-file",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    bench.gitdir.lines.retain(|(name, _)| name != b"objects");
                    in_git_directory(bench, b"objects", b"");
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "git-directory-with-another-tip",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    in_git_directory(
                        bench,
                        b"MERGE_HEAD",
                        format!("{}\n", "9".repeat(40)).as_bytes(),
                    )
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "git-directory-without-head",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    let size = bench
                        .gitdir
                        .lines
                        .iter()
                        .find(|(name, _)| name == b"HEAD")
                        .map_or(0, |(_, line)| {
                            line.split('\t')
                                .nth(4)
                                .expect("a size")
                                .parse()
                                .expect("a number")
                        });
                    bench.gitdir.lines.retain(|(name, _)| name != b"HEAD");
                    bench.gitdir.tree.retain(|entry| entry.name != b"HEAD");
                    bench.gitdir.counts.files -= 1;
                    bench.gitdir.counts.bytes -= size;
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        harmless(
            "git-directory-that-points-elsewhere",
            |sandbox, forge| {
                forge_with(sandbox, forge, |bench| {
                    in_git_directory(bench, b"commondir", b"/somewhere/else\n")
                })
            },
            "a file like any other of a git directory: it is given back as it was sealed",
            Some(is_like_before),
        ),
    ]
}
