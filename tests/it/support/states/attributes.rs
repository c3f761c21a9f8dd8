//! Attributes, filters and line ends: what git would change on the way and a snapshot must not.

use std::path::PathBuf;

use super::super::Sandbox;
use super::super::files::{append, write};
use super::{State, planted_command, workspace};

pub fn states() -> Vec<State> {
    vec![
        workspace("attributes", attributes),
        workspace("filter_that_must_never_run", filter_that_must_never_run),
        workspace("crlf_with_autocrlf", crlf_with_autocrlf),
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
