//! Snapshots whose listings, trees and contents do not fit one another, or no workspace.

use std::path::Path;

use git_vault::host::git::object::ObjectKind;
use git_vault::host::git::tree::{NewEntry, tree_content};
use git_vault::model::ids::Digest;
use git_vault::model::manifest::Completeness;

use super::trees::{directory_with, file, holds_the_odd_file, is_like_before};
use super::{BYTES, CONTENTS, Case, NEEDED, bench_case, bench_harmless};
use crate::support::forged_pack::{Node, TIME, Workbench, id_of};

pub fn cases() -> Vec<Case> {
    [disagreements(), stored(), pieces(), git_directories()]
        .into_iter()
        .flatten()
        .collect()
}

/// Listing and tree must say the same.
fn disagreements() -> Vec<Case> {
    vec![
        bench_case(
            "tree-holds-more",
            |bench| {
                let id = bench.pack.blob(b"odd\n");
                bench.worktree.entry(0o100_644, b"x-odd", id);
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "tree-holds-less",
            |bench| {
                file(bench, b"x-odd", b"odd\n");
                let _entry = bench.worktree.tree.pop();
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "directory-without-a-listing",
            |bench| {
                directory_with(bench, b"x-odd", "a");
                let _entry = bench.worktree.dirs.pop();
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "directory-that-the-listing-lacks",
            |bench| {
                directory_with(bench, b"x-odd", "a");
                let _line = bench.worktree.lines.pop();
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "directory-without-its-tree",
            |bench| {
                directory_with(bench, b"x-odd", "a");
                let _entry = bench.worktree.tree.pop();
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "listing-with-another-digest",
            |bench| {
                directory_with(bench, b"x-odd", "a");
                let digest = Digest::from_bytes([9; 32]);
                let (_, line) = bench.worktree.lines.last_mut().expect("the line");
                *line = format!("directory\t{digest}\tx-odd");
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "listing-twice-the-same-name",
            |bench| {
                file(bench, b"x-odd", b"odd\n");
                let line = bench.worktree.lines.last().expect("a line").clone();
                bench.worktree.lines.push(line);
            },
            BYTES,
            &["GV-3302"],
        ),
        bench_case(
            "listing-unsorted",
            |bench| {
                let text = bench.worktree.listing();
                let mut lines: Vec<&str> = text.lines().collect();
                let last = lines.pop().expect("a line");
                lines.insert(2, last);
                bench.worktree.text = Some(format!("{}\n", lines.join("\n")));
            },
            BYTES,
            &["GV-3302"],
        ),
        bench_case(
            "listing-in-crlf",
            |bench| bench.worktree.text = Some(bench.worktree.listing().replace('\n', "\r\n")),
            BYTES,
            &["GV-3302"],
        ),
        bench_case(
            "listing-of-version-2",
            |bench| {
                bench.worktree.text =
                    Some(bench.worktree.listing().replace("listing 1", "listing 2"))
            },
            BYTES,
            &["GV-3302", "GV-3301"],
        ),
        bench_case(
            "listing-without-its-last-line-feed",
            |bench| bench.worktree.text = Some(bench.worktree.listing().trim_end().to_owned()),
            BYTES,
            &["GV-3302"],
        ),
        bench_case(
            "listing-empty",
            |bench| bench.worktree.text = Some(String::new()),
            BYTES,
            &["GV-3302"],
        ),
        bench_case(
            "listing-with-a-size-of-2-to-the-64",
            |bench| {
                file(bench, b"x-odd", b"odd\n");
                let (_, line) = bench.worktree.lines.last_mut().expect("a line");
                *line = line.replace("\t-\t4\t", "\t-\t18446744073709551616\t");
            },
            BYTES,
            &["GV-3302"],
        ),
        bench_case(
            "listing-with-the-greatest-size",
            |bench| {
                file(bench, b"x-odd", b"odd\n");
                let (_, line) = bench.worktree.lines.last_mut().expect("a line");
                *line = line.replace("\t-\t4\t", "\t-\t9223372036854775807\t");
            },
            BYTES,
            &["GV-3104", "GV-3001", "GV-2202"],
        ),
        bench_case(
            "link-and-what-is-below-it",
            |bench| {
                directory_with(bench, b"x-odd", "passwd");
                let _line = bench.worktree.lines.pop();
                bench.worktree.link(&mut bench.pack, b"x-odd", b"/etc");
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "link-stored-as-a-file",
            |bench| {
                bench.worktree.link(&mut bench.pack, b"x-odd", b"/etc");
                bench.worktree.tree.last_mut().expect("an entry").mode = 0o100_644;
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "file-stored-as-a-link",
            |bench| {
                file(bench, b"x-odd", b"/etc/passwd");
                bench.worktree.tree.last_mut().expect("an entry").mode = 0o120_000;
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "file-stored-as-a-submodule",
            |bench| {
                file(bench, b"x-odd", b"odd\n");
                bench.worktree.tree.last_mut().expect("an entry").mode = 0o160_000;
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "directory-stored-as-a-submodule",
            |bench| {
                directory_with(bench, b"x-odd", "a");
                bench.worktree.tree.last_mut().expect("an entry").mode = 0o160_000;
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "file-stored-as-a-directory",
            |bench| {
                file(bench, b"x-odd", b"odd\n");
                let id = bench.pack.tree(&[]);
                let entry = bench.worktree.tree.last_mut().expect("an entry");
                (entry.mode, entry.id) = (0o40_000, id);
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "tree-with-a-name-twice",
            |bench| {
                file(bench, b"x-odd", b"odd\n");
                let id = bench.pack.blob(b"other\n");
                bench.worktree.entry(0o100_644, b"x-odd", id);
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "link-with-a-zero-in-its-target",
            |bench| bench.worktree.link(&mut bench.pack, b"x-odd", b"a\0b"),
            CONTENTS,
            &["GV-2201", "GV-3104", "GV-2301"],
        ),
        bench_case(
            "link-to-nowhere-at-all",
            |bench| bench.worktree.link(&mut bench.pack, b"x-odd", b""),
            CONTENTS,
            &["GV-2201", "GV-3104", "GV-2301"],
        ),
        bench_case(
            "link-longer-than-any",
            |bench| {
                bench
                    .worktree
                    .link(&mut bench.pack, b"x-odd", &[b'l'; 5000])
            },
            CONTENTS,
            &["GV-2201", "GV-3104", "GV-2301"],
        ),
        bench_harmless(
            "link-out-of-the-workspace",
            |bench| {
                bench
                    .worktree
                    .link(&mut bench.pack, b"x-odd", b"../../../etc/passwd")
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
        bench_case(
            "content-that-is-another",
            |bench| {
                file(bench, b"x-odd", b"odd\n");
                let id = bench.pack.blob(b"0dd\n");
                bench.worktree.tree.last_mut().expect("an entry").id = id;
            },
            BYTES,
            &["GV-3001", "GV-3104"],
        ),
        bench_case(
            "content-of-another-size",
            |bench| {
                file(bench, b"x-odd", b"odd\n");
                let (_, line) = bench.worktree.lines.last_mut().expect("a line");
                *line = line.replace("\t-\t4\t", "\t-\t5\t");
                bench.worktree.counts.bytes += 1;
            },
            BYTES,
            &["GV-3001", "GV-3104"],
        ),
        bench_case(
            "target-that-is-another",
            |bench| {
                bench.worktree.link(&mut bench.pack, b"x-odd", b"here");
                let id = bench.pack.blob(b"there");
                bench.worktree.tree.last_mut().expect("an entry").id = id;
            },
            BYTES,
            &["GV-3001", "GV-3104"],
        ),
        bench_case(
            "content-that-is-not-there",
            |bench| {
                file(bench, b"x-odd", b"odd\n");
                bench.worktree.tree.last_mut().expect("an entry").id =
                    id_of(ObjectKind::Blob, b"not there");
            },
            BYTES,
            &["GV-3001", "GV-3002"],
        ),
        bench_case(
            "content-that-is-a-tree",
            |bench| {
                file(bench, b"x-odd", b"");
                let id = bench.pack.tree(&[]);
                bench.worktree.tree.last_mut().expect("an entry").id = id;
            },
            BYTES,
            &["GV-3001", "GV-3104"],
        ),
        bench_case(
            "tree-that-is-a-blob",
            |bench| {
                directory_with(bench, b"x-odd", "a");
                let id = bench.pack.blob(b"odd\n");
                bench.worktree.tree.last_mut().expect("an entry").id = id;
            },
            BYTES,
            &["GV-3001", "GV-3104"],
        ),
        bench_case(
            "tree-that-is-not-there",
            |bench| {
                directory_with(bench, b"x-odd", "a");
                bench.worktree.tree.last_mut().expect("an entry").id =
                    id_of(ObjectKind::Tree, b"not there");
            },
            BYTES,
            &["GV-3001", "GV-3002"],
        ),
        bench_case(
            "tree-cut-short",
            |bench| {
                let mut content = tree_content(bench.worktree.tree.clone());
                let _byte = content.pop();
                bench.worktree.raw_tree = Some(content);
            },
            BYTES,
            &["GV-3001", "GV-3104"],
        ),
        bench_case(
            "tree-unsorted",
            |bench| {
                file(bench, b"x-odd", b"odd\n");
                let mut content = Vec::new();
                for entry in bench.worktree.tree.iter().rev() {
                    content.extend(tree_content(vec![entry.clone()]));
                }
                bench.worktree.raw_tree = Some(content);
            },
            BYTES,
            &["GV-3104", "GV-3001"],
        ),
        bench_case(
            "tree-with-zeros-before-modes",
            |bench| {
                let content = tree_content(bench.worktree.tree.clone());
                bench.worktree.raw_tree = Some([b"0".to_vec(), content].concat());
            },
            BYTES,
            &["GV-3104", "GV-3001"],
        ),
        bench_case(
            "root-with-holes-that-are-none",
            |bench| {
                let id = bench.pack.blob(b"not an id\n");
                bench.root.push(NewEntry {
                    mode: 0o100_644,
                    name: b"holes".to_vec(),
                    id,
                });
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "root-with-promises-that-are-none",
            |bench| promise(bench, b"not an id\n"),
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "root-with-promises-in-another-form",
            |bench| promise(bench, "A".repeat(40).as_bytes()),
            BYTES,
            &["GV-3104"],
        ),
        Case {
            restored: Some(is_like_before),
            ..bench_case(
                "root-with-promises-that-nobody-made",
                |bench| promise(bench, format!("{}\n", "9".repeat(40)).as_bytes()),
                NEEDED,
                &["GV-3104"],
            )
        },
        bench_case(
            "root-with-more",
            |bench| {
                let id = bench.pack.blob(b"odd\n");
                bench.root.push(NewEntry {
                    mode: 0o100_644,
                    name: b"more".to_vec(),
                    id,
                });
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
        bench_harmless(
            "pieces-as-they-should-be",
            |bench| {
                let all = [
                    piece(bench, "0000000000", b"o"),
                    piece(bench, "0000000001", b"dd\n"),
                ];
                chunked(bench, b"x-odd", b"odd\n", &all);
            },
            "a reader does not depend on where the cuts are",
            Some(holds_the_odd_file),
        ),
        bench_case(
            "pieces-one-missing",
            |bench| {
                let all = [piece(bench, "0000000000", b"o")];
                chunked(bench, b"x-odd", b"odd\n", &all);
            },
            BYTES,
            &["GV-3104", "GV-3001"],
        ),
        bench_case(
            "pieces-one-not-there",
            |bench| {
                let mut all = [
                    piece(bench, "0000000000", b"o"),
                    piece(bench, "0000000001", b"dd\n"),
                ];
                all[1].id = id_of(ObjectKind::Blob, b"not there");
                chunked(bench, b"x-odd", b"odd\n", &all);
            },
            BYTES,
            &["GV-3001", "GV-3002"],
        ),
        bench_case(
            "pieces-exchanged",
            |bench| {
                let all = [
                    piece(bench, "0000000000", b"dd\n"),
                    piece(bench, "0000000001", b"o"),
                ];
                chunked(bench, b"x-odd", b"odd\n", &all);
            },
            BYTES,
            &["GV-3104", "GV-3001"],
        ),
        bench_case(
            "pieces-one-of-them-a-tree",
            |bench| {
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
            },
            BYTES,
            &["GV-3001", "GV-3104"],
        ),
        bench_case(
            "pieces-with-other-names",
            |bench| {
                let all = [piece(bench, "a", b"o"), piece(bench, "b", b"dd\n")];
                chunked(bench, b"x-odd", b"odd\n", &all);
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "pieces-of-a-link",
            |bench| {
                let all = [piece(bench, "0000000000", b"/etc")];
                chunked(bench, b"x-odd", b"/etc", &all);
                bench.worktree.counts.files -= 1;
                bench.worktree.counts.bytes -= 4;
                bench.worktree.counts.links += 1;
                let (_, line) = bench.worktree.lines.last_mut().expect("a line");
                *line = format!("link\t120777\t{TIME}\t-\t{}\tx-odd", Digest::of(b"/etc"));
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "pieces-and-the-whole",
            |bench| {
                let all = [piece(bench, "0000000000", b"odd\n")];
                chunked(bench, b"x-odd", b"odd\n", &all);
                let id = bench.pack.blob(b"odd\n");
                bench.worktree.entry(0o100_644, b"x-odd", id);
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "pieces-as-a-file",
            |bench| {
                file(bench, b"x-odd", b"odd\n");
                bench
                    .worktree
                    .tree
                    .last_mut()
                    .expect("an entry")
                    .name
                    .extend_from_slice(b"%chunks");
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
        bench_case(
            "git-directory-with-objects",
            |bench| {
                let mut info = Node::empty();
                info.file(&mut bench.pack, b"alternates", b"/somewhere/else\n");
                let mut objects = Node::empty();
                objects.directory(&mut bench.pack, b"info", &info);
                bench.gitdir.lines.retain(|(name, _)| name != b"objects");
                bench
                    .gitdir
                    .directory(&mut bench.pack, b"objects", &objects);
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "git-directory-whose-objects-are-a-link",
            |bench| {
                bench.gitdir.lines.retain(|(name, _)| name != b"objects");
                bench
                    .gitdir
                    .link(&mut bench.pack, b"objects", b"/somewhere/else");
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "git-directory-whose-objects-are-a-file",
            |bench| {
                bench.gitdir.lines.retain(|(name, _)| name != b"objects");
                in_git_directory(bench, b"objects", b"");
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "git-directory-with-another-tip",
            |bench| {
                in_git_directory(
                    bench,
                    b"MERGE_HEAD",
                    format!("{}\n", "9".repeat(40)).as_bytes(),
                )
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_case(
            "git-directory-without-head",
            |bench| {
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
            },
            BYTES,
            &["GV-3104"],
        ),
        bench_harmless(
            "git-directory-that-points-elsewhere",
            |bench| in_git_directory(bench, b"commondir", b"/somewhere/else\n"),
            "a file like any other of a git directory: it is given back as it was sealed",
            Some(is_like_before),
        ),
    ]
}

/// A list of one promise, as the manifest states.
fn promise(bench: &mut Workbench, list: &[u8]) {
    let id = bench.pack.blob(list);
    bench.manifest.completeness = Completeness::NeedsPromisor;
    bench.manifest.history.promised = 1;
    bench.root.push(NewEntry {
        mode: 0o100_644,
        name: b"promised".to_vec(),
        id,
    });
}
