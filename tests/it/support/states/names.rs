//! Names that tools trip over.

use std::path::PathBuf;

use super::super::Sandbox;
use super::super::files::{mkdir, symlink, write};
use super::{State, small_repository, workspace};

pub fn states() -> Vec<State> {
    vec![
        workspace("odd_names", odd_names),
        workspace("names_that_look_like_git", names_that_look_like_git),
        workspace("long_names", long_names),
    ]
}

const ODD_NAMES: [&[u8]; 36] = [
    b"not-\xff\xfe-utf8",
    b"latin1-\xe9t\xe9/inside",
    b"new\nline",
    b"tab\tand\rreturn",
    b"back\\slash",
    b"a\\..\\b",
    b"-leading-dash",
    b"--help",
    b" leading space",
    b"trailing space ",
    b"trailing dot.",
    b"...",
    b"..a",
    b" ",
    b"CON",
    b"aux.txt",
    b"a:b",
    b"file::$DATA",
    b"PROGRA~1",
    b"README",
    b"readme",
    b"case/Twin/x",
    b"case/twin/x",
    "nfc-\u{e9}".as_bytes(),
    "nfd-e\u{301}".as_bytes(),
    "twin-\u{e9}".as_bytes(),
    "twin-e\u{301}".as_bytes(),
    b"%41",
    b"a%chunks",
    b"%2e%2e",
    b"%",
    b"quote\"and'apostrophe",
    b"star*and?[brackets]",
    b"#comment",
    b"!negated",
    b"bell\x07and\x1b[31mescape\x7f",
];

/// Every name once tracked and once untracked, the untracked ones in a directory with such a name.
fn odd_names(sandbox: &Sandbox) -> PathBuf {
    let repository = sandbox.init("repository");
    for name in ODD_NAMES {
        write(&repository, [b"tracked/", name].concat(), name);
    }
    sandbox.commit(&repository, "odd names");
    for name in ODD_NAMES {
        write(&repository, [b"un\ntr\xe4cked/", name].concat(), name);
    }
    mkdir(&repository, b"empty \xff\n");
    symlink(
        &repository,
        b"link \xff",
        b"un\ntr\xe4cked/not-\xff\xfe-utf8",
    );
    repository
}

/// Git refuses to stage most of these; they can lie in a working tree all the same.
fn names_that_look_like_git(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    let modules = "[submodule \"x\"]\n\tpath = x\n\turl = https://example.com/x\n";
    write(&repository, ".gitmodules", modules);
    write(&repository, "src/.gitkeep", "");
    write(&repository, "src/.gitignored", "not an ignore file\n");
    write(&repository, ".mailmap", "A U Thor <author@example.com>\n");
    sandbox.commit(&repository, "names that begin with .git");
    write(&repository, ".GIT/config", "[core]\n\tbare = true\n");
    write(&repository, ".Git.", "");
    write(
        &repository,
        "git~1/hooks/post-checkout",
        "#!/bin/sh\nexit 1\n",
    );
    write(&repository, ".git ", "trailing space\n");
    write(&repository, ".git.", "trailing dot\n");
    write(&repository, ".git::$INDEX_ALLOCATION/x", "a stream\n");
    write(&repository, ".g\u{200c}it/config", "zero width\n");
    write(&repository, ".gitmodule\u{200c}s", "zero width\n");
    write(
        &repository,
        "deep/.gitmodules",
        "[submodule \"y\"]\n\turl = --upload-pack=evil\n",
    );
    write(&repository, "deep/GITMOD~1", "short name\n");
    write(&repository, "deep/.GitAttributes", "* text\n");
    write(&repository, "%2egit/config", "escaped already\n");
    write(&repository, "objects/pack/pack-x.pack", "not a pack\n");
    write(
        &repository,
        "worktree/entries",
        "a name of the vault's own\n",
    );
    write(&repository, "dirs/entries", "a name of the vault's own\n");
    repository
}

fn long_names(sandbox: &Sandbox) -> PathBuf {
    let repository = sandbox.init("repository");
    write(&repository, [b'n'; 255], "255 bytes\n");
    write(&repository, "\u{1f600}".repeat(63), "252 bytes\n");
    sandbox.commit(&repository, "long names");
    let deep = [[b'd'; 240].as_slice(); 14].join(&b'/');
    write(
        &repository,
        [&deep, b"/file".as_slice()].concat(),
        "3,400 bytes down\n",
    );
    let many = ["d"; 400].join("/");
    write(
        &repository,
        format!("{many}/file"),
        "400 directories down\n",
    );
    repository
}
