//! Plain git reads a vault: checks it, clones it, takes the files out byte for byte, and cannot lose anything in it.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::laboratory::only_vault;
use crate::support::files::{append, at, mkdir, noise, symlink, write};
use crate::support::listing::{self, Content};
use crate::support::{Kind, RepoState, Sandbox, states};

/// Stored names with what is stored under them.
type Stored = BTreeMap<Vec<u8>, Vec<u8>>;

/// What a file of the working tree holds, or the target of a link.
type Contents = BTreeMap<Vec<u8>, Vec<u8>>;

/// A size over which a file is stored in pieces.
const LARGE_BYTES: usize = 17 << 20;

fn git_in_vault(sandbox: &Sandbox, vault: &Path, arguments: &[&[u8]]) -> Vec<u8> {
    let mut command = sandbox.command("git", &sandbox.home());
    command.arg("--git-dir").arg(vault);
    command.args(arguments.iter().map(|argument| OsStr::from_bytes(argument)));
    let output = command.output().expect("git starts");
    assert!(
        output.status.success(),
        "git --git-dir V {:?}: {}",
        arguments
            .iter()
            .map(|one| one.escape_ascii().to_string())
            .collect::<Vec<_>>(),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

/// Objects that nothing refers to were there in the source as well; git mentions them, and nothing else.
#[track_caller]
pub fn assert_fsck_is_silent(sandbox: &Sandbox, repository: &Path, what: &str) {
    for arguments in [
        &["fsck", "--strict", "--no-progress"][..],
        &[
            "fsck",
            "--strict",
            "--full",
            "--no-dangling",
            "--no-progress",
        ],
    ] {
        let mut command = sandbox.command("git", &sandbox.home());
        command.arg("--git-dir").arg(repository).args(arguments);
        let output = command.output().expect("git starts");
        let said = [output.stdout, output.stderr].concat();
        let said = String::from_utf8_lossy(&said);
        let complaints: Vec<&str> = said
            .lines()
            .filter(|line| arguments.contains(&"--no-dangling") || !line.starts_with("dangling "))
            .collect();
        assert_eq!(
            (output.status.code(), complaints),
            (Some(0), Vec::new()),
            "{what}: git {arguments:?}"
        );
    }
}

/// The names of `ls-tree -r`, as they are stored, below `worktree` of a snapshot.
fn stored_names(sandbox: &Sandbox, vault: &Path, id: &str) -> Vec<Vec<u8>> {
    let tree = format!("refs/snapshots/{id}:worktree");
    let arguments: [&[u8]; 5] = [b"ls-tree", b"-r", b"-z", b"--name-only", tree.as_bytes()];
    let output = git_in_vault(sandbox, vault, &arguments);
    let names = output.split(|byte| *byte == 0);
    names
        .filter(|name| !name.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

/// Every stored blob, taken out one by one with the command that `VAULT.md` gives.
fn read_one_by_one(sandbox: &Sandbox, vault: &Path, id: &str) -> Stored {
    let read = |name: Vec<u8>| {
        let object = [format!("refs/snapshots/{id}:worktree/").as_bytes(), &name].concat();
        let content = git_in_vault(sandbox, vault, &[b"cat-file", b"blob", &object]);
        (name, content)
    };
    stored_names(sandbox, vault, id)
        .into_iter()
        .map(read)
        .collect()
}

/// Undoes the escapes and puts the pieces of large files together, as `VAULT.md` says.
fn as_in_the_working_tree(stored: &Stored) -> Contents {
    let mut contents = Contents::new();
    for (name, bytes) in stored {
        let parts: Vec<&[u8]> = name.split(|byte| *byte == b'/').collect();
        let (last, above) = parts.split_last().expect("a name");
        let whole = above
            .last()
            .and_then(|parent| parent.strip_suffix(b"%chunks"));
        let path = match whole {
            Some(whole) => {
                assert!(last.iter().all(u8::is_ascii_digit), "a numbered piece");
                [&above[..above.len() - 1], &[whole]].concat()
            }
            None => parts,
        };
        let path = path
            .into_iter()
            .map(unescape)
            .collect::<Vec<_>>()
            .join(&b'/');
        // Pieces come in the order of their names.
        contents.entry(path).or_default().extend_from_slice(bytes);
    }
    contents
}

fn unescape(name: &[u8]) -> Vec<u8> {
    let mut plain = Vec::new();
    let mut rest = name;
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let digits = std::str::from_utf8(&tail[..2]).expect("two digits");
            plain.push(u8::from_str_radix(digits, 16).expect("hexadecimal"));
            rest = &tail[2..];
        } else {
            plain.push(*first);
            rest = tail;
        }
    }
    plain
}

/// What the file system has of a working tree.
fn of_the_file_system(source: &Path) -> Contents {
    let listed = listing::list(source, &|name| name != b".git");
    let content = |(name, entry): (Vec<u8>, listing::Entry)| match entry.content {
        Content::Symlink(target) => Some((name, target)),
        Content::Bytes(_) | Content::Digest(_) => {
            let bytes = fs::read(at(source, &name)).expect("the file is read");
            Some((name, bytes))
        }
        Content::Directory | Content::Special(_) => None,
    };
    listed.into_iter().filter_map(content).collect()
}

#[track_caller]
fn assert_same_contents(found: &Contents, expected: &Contents, what: &str) {
    let shown = |contents: &Contents| -> Vec<String> {
        contents
            .keys()
            .map(|name| name.escape_ascii().to_string())
            .collect()
    };
    assert_eq!(shown(found), shown(expected), "{what}");
    for (name, bytes) in expected {
        assert!(
            found[name] == *bytes,
            "{what}: '{}' differs",
            name.escape_ascii()
        );
    }
}

/// A repository with everything git could act on when it reads a vault: attributes, special names, CRLF, a large file.
fn difficult_repository(sandbox: &Sandbox) -> PathBuf {
    let source = (states::find("odd_names").build)(sandbox);
    let attributes = "* text=auto eol=crlf\n*.id ident\n*.out export-ignore\n*.sub export-subst\n*.u working-tree-encoding=UTF-16\n";
    write(&source, ".gitattributes", attributes);
    write(&source, "deep/.gitattributes", "* -text\n* export-ignore\n");
    write(
        &source,
        ".git/info/attributes",
        "* export-ignore\n* text eol=crlf\n",
    );
    write(&source, "deep/lf.txt", "one\ntwo\n");
    write(&source, "crlf.txt", "one\r\ntwo\r\n");
    write(&source, "lf.txt", "one\ntwo\n");
    write(&source, "keyword.id", "$Id$ $Id: something $\n");
    write(&source, "keyword.sub", "$Format:%H$\n");
    write(&source, "left.out", "exported all the same\n");
    write(&source, "utf16.u", b"\xff\xfea\0\n\0");
    write(&source, "empty", "");
    write(
        &source,
        ".gitmodules",
        "[submodule \"x\"]\n\tpath = x\n\turl = --upload-pack=evil\n",
    );
    write(&source, ".GIT/config", "[core]\n\tbare = true\n");
    write(&source, "git~1/x", "short name\n");
    write(&source, ".mailmap", "A <a@example.com>\n");
    symlink(&source, "deep/.gitignore", "../nowhere");
    write(&source, b"large \xe9~1.bin", noise(7, LARGE_BYTES));
    source
}

#[test]
fn fsck_strict_has_nothing_to_say_of_any_vault() {
    for name in [
        "odd_names",
        "names_that_look_like_git",
        "long_names",
        "attributes",
        "symlinks",
        "every_kind_of_conflict",
        "three_stashes",
        "rebase_with_autostash",
        "unborn_and_empty",
        "unborn_with_files",
        "detached_head",
        "bare_repository",
        "sha256_repository",
        "notes_and_replacements",
        "unreachable_objects",
        "packs_and_loose_objects",
        "remotes_and_fetch_head",
        "reflog_without_ref",
    ] {
        let sandbox = Sandbox::new();
        let source = (states::find(name).build)(&sandbox);
        let _first = sandbox.snapshot(&source);
        let vault = only_vault(&sandbox);
        assert_fsck_is_silent(&sandbox, &vault, name);
        if name != "bare_repository" {
            write(&source, "one more.txt", "for a second snapshot\n");
            let _second = sandbox.snapshot(&source);
            assert_fsck_is_silent(&sandbox, &vault, name);
        }
    }
}

#[test]
fn every_way_of_cloning_a_vault_works_and_passes_fsck() {
    let sandbox = Sandbox::new();
    let source = difficult_repository(&sandbox);
    let id = sandbox.snapshot(&source);
    let expected = of_the_file_system(&source);
    let vault = only_vault(&sandbox);
    let before = listing::list(&vault, &|_| true);
    let url = format!("file://{}", vault.display());
    let strict = "transfer.fsckObjects=true";
    let path = vault.to_str().expect("a UTF-8 path");
    let ways: [(&str, &[&str]); 6] = [
        ("local", &["clone", "--quiet", "--no-checkout", path]),
        ("transport", &["clone", "--quiet", "--no-checkout", &url]),
        (
            "strict",
            &["-c", strict, "clone", "--quiet", "--no-checkout", &url],
        ),
        ("bare", &["-c", strict, "clone", "--quiet", "--bare", &url]),
        (
            "mirror",
            &["-c", strict, "clone", "--quiet", "--mirror", &url],
        ),
        ("local-mirror", &["clone", "--quiet", "--mirror", path]),
    ];
    for (name, arguments) in ways {
        let clone = sandbox.path(name);
        let arguments = [arguments, &[clone.to_str().expect("a UTF-8 path")]].concat();
        let output = sandbox.try_git(&sandbox.home(), &arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(
            (output.status.code(), said),
            (Some(0), String::new()),
            "{name}"
        );
        let bare = clone.join(".git");
        let clone = if bare.exists() { bare } else { clone };
        assert_fsck_is_silent(&sandbox, &clone, name);
        if name.contains("mirror") {
            let found = as_in_the_working_tree(&read_one_by_one(&sandbox, &clone, &id));
            assert_same_contents(&found, &expected, name);
        }
    }
    let changes = listing::differences("vault", &before, &listing::list(&vault, &|_| true));
    assert_eq!(changes, [""; 0], "cloning changed the vault");
}

#[test]
fn a_plain_clone_checks_out_the_newest_snapshot() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let _older = sandbox.snapshot(&source);
    write(&source, "newest.txt", "in the newest only\n");
    let _newest = sandbox.snapshot(&source);
    let vault = only_vault(&sandbox);
    let vault = vault.to_str().expect("a UTF-8 path");
    sandbox.git(&sandbox.home(), &["clone", "--quiet", vault, "clone"]);
    let found = fs::read(sandbox.home().join("clone/worktree/newest.txt"));
    assert_eq!(found.expect("the file is there"), b"in the newest only\n");
}

#[test]
fn cat_file_as_in_vault_md_gives_every_file_byte_for_byte() {
    let sandbox = Sandbox::new();
    let source = difficult_repository(&sandbox);
    let id = sandbox.snapshot(&source);
    let vault = only_vault(&sandbox);
    let stored = read_one_by_one(&sandbox, &vault, &id);
    let pieces = stored
        .keys()
        .filter(|name| name.starts_with(b"large \xe9%7E1.bin%chunks/"));
    assert!(pieces.count() > 1, "the large file is stored in pieces");
    for name in [
        "%2Egitattributes",
        "%2EGIT/config",
        "git%7E1/x",
        "tracked/a%25chunks",
    ] {
        assert!(
            stored.contains_key(name.as_bytes()),
            "'{name}' is stored under this name"
        );
    }
    let found = as_in_the_working_tree(&stored);
    assert_same_contents(&found, &of_the_file_system(&source), "cat-file");
}

/// The loop of `VAULT.md`, word for word but for the names.
#[test]
fn the_loop_of_vault_md_puts_a_large_file_together() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let large = write(&source, "images/disk.img", noise(3, LARGE_BYTES));
    let id = sandbox.snapshot(&source);
    let vault = only_vault(&sandbox);
    let text = fs::read_to_string(vault.join("VAULT.md")).expect("VAULT.md is there");
    let lines: Vec<&str> = text
        .lines()
        .skip_while(|line| !line.contains("ls-tree refs/snapshots/SNAP:worktree/NAME%chunks"))
        .take(2)
        .map(str::trim)
        .collect();
    let script = lines
        .join("\n")
        .replace("NAME%chunks", "images/disk.img%chunks")
        .replace("> NAME", "> together")
        .replace("SNAP", &id)
        .replace("--git-dir V", &format!("--git-dir '{}'", vault.display()));
    assert!(script.contains("done > together"), "{script}");
    let mut command = sandbox.command("sh", &sandbox.home());
    let output = command.args(["-euc", &script]).output().expect("sh starts");
    assert!(output.status.success(), "{script}\n{output:?}");
    let together = fs::read(sandbox.home().join("together")).expect("the file is there");
    assert!(together == fs::read(large).expect("the file is read"));
}

/// Takes everything out with `git archive | tar`, as `VAULT.md` says; gives the directory.
fn archived(sandbox: &Sandbox, vault: &Path, id: &str, destination: &str) -> PathBuf {
    let directory = mkdir(&sandbox.home(), destination);
    let mut command = sandbox.command("git", &sandbox.home());
    command.arg("--git-dir").arg(vault).arg("archive");
    command.args([&format!("refs/snapshots/{id}"), "worktree", "gitdir"]);
    let mut git = command.stdout(Stdio::piped()).spawn().expect("git starts");
    let mut tar = sandbox.command("tar", &sandbox.home());
    tar.args(["-x", "-C"]).arg(&directory);
    tar.stdin(git.stdout.take().expect("a pipe"));
    let output = tar.output().expect("tar starts");
    assert!(git.wait().expect("git ends").success());
    assert!(output.status.success(), "{output:?}");
    directory
}

#[test]
fn git_archive_as_in_vault_md_gives_every_file_byte_for_byte() {
    let sandbox = Sandbox::new();
    let source = difficult_repository(&sandbox);
    let id = sandbox.snapshot(&source);
    let vault = only_vault(&sandbox);
    let directory = archived(&sandbox, &vault, &id, "taken-out");
    let found = as_in_the_working_tree(&of_the_file_system(&directory.join("worktree")));
    assert_same_contents(&found, &of_the_file_system(&source), "archive");
    let config = fs::read(directory.join("gitdir/config")).expect("the configuration");
    assert_eq!(
        config,
        fs::read(source.join(".git/config")).expect("the configuration")
    );
}

/// Settings of the user who reads the vault are not settings of the vault.
#[test]
fn git_archive_is_exact_whatever_the_reader_has_configured() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    write(&source, "lf.txt", "one\ntwo\n");
    write(&source, "keyword.txt", "$Format:%H$ $Id$\n");
    let id = sandbox.snapshot(&source);
    let vault = only_vault(&sandbox);
    let own = fs::read(sandbox.home().join(".gitconfig")).expect("the configuration");
    let with_attributes = "[core]\n\tattributesFile = ~/attributes\n";
    for (name, config, attributes) in [
        ("autocrlf", "[core]\n\tautocrlf = true\n", ""),
        ("eol", with_attributes, "* text eol=crlf\n"),
        ("left-out", with_attributes, "README.md export-ignore\n"),
        ("keywords", with_attributes, "* ident export-subst\n"),
    ] {
        write(&sandbox.home(), ".gitconfig", &own);
        append(&sandbox.home(), ".gitconfig", config);
        write(&sandbox.home(), "attributes", attributes);
        let directory = archived(&sandbox, &vault, &id, name);
        let found = as_in_the_working_tree(&of_the_file_system(&directory.join("worktree")));
        assert_same_contents(&found, &of_the_file_system(&source), name);
    }
}

#[test]
fn a_working_repository_is_made_by_hand_as_in_vault_md() {
    let sandbox = Sandbox::new();
    let source = (states::find("three_stashes").build)(&sandbox);
    let id = sandbox.snapshot(&source);
    let vault = only_vault(&sandbox);
    let directory = archived(&sandbox, &vault, &id, "by-hand");
    let worktree = directory.join("worktree");
    fs::rename(directory.join("gitdir"), worktree.join(".git")).expect("moved");
    let packs = mkdir(&worktree, ".git/objects/pack");
    for entry in fs::read_dir(vault.join("objects/pack")).expect("the packs are read") {
        let path = entry.expect("an entry").path();
        let wanted = path
            .extension()
            .is_some_and(|ending| ending == "pack" || ending == "idx");
        if wanted {
            let name = path.file_name().map(OsString::from).expect("a name");
            fs::copy(&path, packs.join(name)).expect("copied");
        }
    }
    for question in [
        &["stash", "list"][..],
        &["rev-parse", "HEAD", "stash@{0}"],
        &["status", "--porcelain"],
        &["log", "--format=%H"],
    ] {
        assert_eq!(
            sandbox.git_text(&worktree, question),
            sandbox.git_text(&source, question),
            "git {question:?}"
        );
    }
}

#[test]
fn housekeeping_of_git_inside_the_vault_loses_nothing() {
    let sandbox = Sandbox::new();
    let source = (states::find("rebase_with_autostash").build)(&sandbox);
    let first_state = RepoState::capture(&sandbox, &source, Kind::Workspace);
    let first = sandbox.snapshot(&source);
    append(&source, "README.md", "for a second snapshot\n");
    let _second = sandbox.snapshot(&source);
    let vault = only_vault(&sandbox);
    let all: [&[&str]; 14] = [
        &["pack-refs", "--all"],
        &["reflog", "expire", "--expire=now", "--all"],
        &["prune"],
        &["prune", "--expire=now"],
        &["prune-packed"],
        &["repack", "-d"],
        &["repack", "-ad"],
        &["repack", "-adf"],
        &["repack", "-Ad"],
        &["gc", "--auto"],
        &["gc"],
        &["gc", "--aggressive", "--prune=now"],
        &["maintenance", "run"],
        &["update-server-info"],
    ];
    for (number, arguments) in all.into_iter().enumerate() {
        let output = sandbox.try_git(&vault, arguments);
        let what = format!("git {arguments:?} ({:?})", output.status.code());
        let said = sandbox.vault(&source, &["verify", "--deep"]);
        assert_eq!(said.code, Some(0), "{what}\n{said}");
        append(&source, "README.md", format!("after {what}\n"));
        let said = sandbox.vault(&source, &["--json", "snapshot"]);
        assert_eq!(said.code, Some(0), "{what}\n{said}");
        assert_eq!(said.json()["outcome"], "sealed", "{what}\n{said}");
        let restored = sandbox.restore(&source, &first, &format!("restored-{number}"));
        let restored = RepoState::capture(&sandbox, &restored, Kind::Workspace);
        RepoState::assert_same_workspace(&first_state, &restored);
    }
    assert_fsck_is_silent(&sandbox, &vault, "after all housekeeping");
}
