//! Attributes, filters and line ends: what git would change on the way and a snapshot must not.

use std::path::PathBuf;

use super::super::Sandbox;
use super::super::files::{append, chmod, mkdir, noise, symlink, write};
use super::{State, planted_command, planted_script, workspace};

pub fn states() -> Vec<State> {
    vec![
        workspace("attributes", attributes),
        workspace("filter_that_must_never_run", filter_that_must_never_run),
        workspace("crlf_with_autocrlf", crlf_with_autocrlf),
        workspace("large_files_by_pointers", large_files_by_pointers),
        workspace("large_files_by_links", large_files_by_links),
    ]
}

fn attributes(sandbox: &Sandbox) -> PathBuf {
    let repository = sandbox.init("repository");
    let rules = "\
*.bat text eol=crlf
*.unix text eol=lf
*.id ident
secret.txt export-ignore
version.txt export-subst
*.utf16 text working-tree-encoding=UTF-16LE-BOM
*.bin -text -diff
";
    write(&repository, ".gitattributes", rules);
    write(&repository, "run.bat", "echo one\r\necho two\r\n");
    write(&repository, "run.unix", "echo one\necho two\n");
    write(&repository, "self.id", "$Id$\n");
    write(&repository, "secret.txt", "not for the archive\n");
    write(&repository, "version.txt", "$Format:%H$\n");
    write(&repository, "wide.utf16", utf16("wide\nlines\n"));
    write(&repository, "raw.bin", b"\r\n\n\r\0\xff");
    sandbox.commit(&repository, "attributes");
    // Only a checkout writes what attributes say the working tree should hold, such as the expanded $Id$.
    std::fs::remove_file(repository.join("self.id")).expect("the file is removed");
    sandbox.git(&repository, &["checkout", "--quiet", "--", "self.id"]);
    append(&repository, "version.txt", "edited\n");
    write(
        &repository,
        "fresh.bat",
        "unix ends\nin a file with eol=crlf\n",
    );
    write(&repository, "fresh.utf16", utf16("untracked\n"));
    write(
        &repository,
        "deep/.gitattributes",
        format!("* {}\n", "x".repeat(1000)),
    );
    write(&repository, "deep/export.txt", "$Format:%H$\n");
    write(&repository, ".git/info/attributes", "*.txt export-ignore\n");
    repository
}

/// Clean, smudge and diff commands each leave the marker, and the filter really changes what it is given.
fn filter_that_must_never_run(sandbox: &Sandbox) -> PathBuf {
    let repository = sandbox.init("repository");
    let planted = planted_command(sandbox);
    let clean = format!("{planted}; tr a-z A-Z");
    let smudge = format!("{planted}; tr A-Z a-z");
    let external = format!("{planted};");
    sandbox.git(&repository, &["config", "filter.planted.clean", &clean]);
    sandbox.git(&repository, &["config", "filter.planted.smudge", &smudge]);
    sandbox.git(&repository, &["config", "filter.planted.required", "true"]);
    sandbox.git(&repository, &["config", "diff.planted.textconv", &external]);
    sandbox.git(&repository, &["config", "diff.external", &external]);
    write(
        &repository,
        ".gitattributes",
        "*.txt filter=planted diff=planted\n",
    );
    write(
        &repository,
        "clean.txt",
        "small letters on disk, capitals in git\n",
    );
    write(&repository, "edited.txt", "before\n");
    sandbox.commit(&repository, "filtered");
    write(&repository, "edited.txt", "afters\n");
    write(&repository, "untracked.txt", "never filtered\n");
    sandbox.forget_marker();
    repository
}

fn crlf_with_autocrlf(sandbox: &Sandbox) -> PathBuf {
    let repository = sandbox.init("repository");
    sandbox.git(&repository, &["config", "core.autocrlf", "true"]);
    sandbox.git(&repository, &["config", "core.safecrlf", "false"]);
    write(&repository, "windows.txt", "one\r\ntwo\r\n");
    write(&repository, "unix.txt", "one\ntwo\n");
    write(&repository, "mixed.txt", "one\r\ntwo\nthree\r\n");
    sandbox.commit(&repository, "line ends");
    write(&repository, "windows.txt", "one\r\ntwo\r\nedited\r\n");
    write(&repository, "untracked.txt", "one\r\ntwo\n");
    repository
}

fn utf16(text: &str) -> Vec<u8> {
    let mut bytes = vec![0xff, 0xfe];
    bytes.extend(text.encode_utf16().flat_map(u16::to_le_bytes));
    bytes
}

/// As git-lfs leaves it, without git-lfs: pointers in the history, objects of which one was never pushed in `.git/lfs`, a
/// smudged file, one that is still a pointer, hooks; and a filter that leaves the marker when it is run.
fn large_files_by_pointers(sandbox: &Sandbox) -> PathBuf {
    let repository = super::small_repository(sandbox);
    let planted = planted_command(sandbox);
    for (key, value) in [
        ("filter.lfs.clean", format!("{planted}; cat")),
        ("filter.lfs.smudge", format!("{planted}; cat")),
        ("filter.lfs.required", "true".to_owned()),
        ("lfs.repositoryformatversion", "0".to_owned()),
        ("lfs.url", "https://example.com/lfs".to_owned()),
    ] {
        sandbox.git(&repository, &["config", key, &value]);
    }
    let pointer = |id: &str, bytes: usize| {
        format!("version https://git-lfs.github.com/spec/v1\noid sha256:{id}\nsize {bytes}\n")
    };
    let large = noise(11, 70_000);
    for (name, id) in [
        ("pushed.bin", "a1".repeat(32)),
        ("unpushed.bin", "b2".repeat(32)),
    ] {
        // Without attributes yet, no filter is asked.
        write(&repository, name, pointer(&id, large.len()));
        let place = format!(".git/lfs/objects/{}/{}/{id}", &id[..2], &id[2..4]);
        chmod(&write(&repository, place, &large), 0o444);
    }
    sandbox.commit(&repository, "pointers");
    write(
        &repository,
        ".gitattributes",
        "*.bin filter=lfs diff=lfs merge=lfs -text\n",
    );
    sandbox.git(&repository, &["add", ".gitattributes"]);
    sandbox.git(&repository, &["commit", "--quiet", "-m", "tracked by lfs"]);
    write(&repository, "pushed.bin", &large);
    write(&repository, "untracked.bin", &large[1..]);
    mkdir(&repository, ".git/lfs/tmp");
    write(&repository, ".git/lfs/incomplete/c3.part", &large[..1000]);
    write(
        &repository,
        ".git/lfs/cache/locks/refs/heads/main/verifiable",
        "[]\n",
    );
    for hook in ["post-checkout", "post-commit", "post-merge", "pre-push"] {
        let path = write(
            &repository,
            format!(".git/hooks/{hook}"),
            planted_script(sandbox),
        );
        chmod(&path, 0o755);
    }
    repository
}

/// As git-annex leaves it, without git-annex: tracked links into `.git/annex`, where files and their directories are read-only.
fn large_files_by_links(sandbox: &Sandbox) -> PathBuf {
    let repository = super::small_repository(sandbox);
    for (number, name) in ["photo.jpg", "deep/film.mkv"].into_iter().enumerate() {
        let key = format!("SHA256E-s50000--{}", format!("{number}f").repeat(32));
        let place = format!(".git/annex/objects/{number}x/y{number}/{key}");
        let path = write(
            &repository,
            format!("{place}/{key}"),
            noise(number as u64 + 3, 50_000),
        );
        chmod(&path, 0o444);
        let up = if name.contains('/') { "../" } else { "" };
        symlink(&repository, name, format!("{up}{place}/{key}"));
        chmod(&repository.join(&place), 0o555);
    }
    symlink(
        &repository,
        "not-here.iso",
        ".git/annex/objects/No/No/KEY/KEY",
    );
    sandbox.commit(&repository, "annexed");
    sandbox.git(&repository, &["branch", "git-annex"]);
    sandbox.git(
        &repository,
        &[
            "config",
            "annex.uuid",
            "00000000-0000-0000-0000-000000000001",
        ],
    );
    sandbox.git(&repository, &["config", "annex.version", "10"]);
    write(&repository, ".git/annex/index", "an index of its own\n");
    write(
        &repository,
        ".git/annex/journal/x.log",
        "1600000000s 1 uuid\n",
    );
    write(&repository, ".git/annex/index.lck", "");
    repository
}
