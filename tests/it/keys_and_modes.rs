//! Keys that are missing, unsafe or damaged, vaults open to others, and vaults that cannot be written.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::hostile::{assert_names, assert_refused};
use crate::laboratory::{Laboratory, Restored, bounded, refusal, restored_listing, vaults};
use crate::support::files::{chmod, symlink, write};
use crate::support::listing;

fn key_file(laboratory: &Laboratory) -> PathBuf {
    let keys = laboratory.sandbox.path("config/git-vault/keys");
    let first = |directory: &Path| {
        let mut entries = fs::read_dir(directory).expect("the directory is read");
        entries.next().expect("an entry").expect("an entry").path()
    };
    first(&first(&keys))
}

#[test]
fn a_key_that_is_missing_unsafe_or_damaged_is_refused() {
    let laboratory = Laboratory::new();
    let key = key_file(&laboratory);
    let text = fs::read(&key).expect("the key is read");
    let away = laboratory.sandbox.path("key-elsewhere");
    type Tamper<'a> = (&'a str, &'a str, Box<dyn Fn() + 'a>);
    let cases: [Tamper<'_>; 12] = [
        (
            "missing",
            "GV-1201",
            Box::new(|| fs::remove_file(&key).expect("removed")),
        ),
        (
            "its directory missing",
            "GV-1201",
            Box::new(|| fs::remove_dir_all(key.parent().expect("one")).expect("removed")),
        ),
        ("mode 0644", "GV-1202", Box::new(|| chmod(&key, 0o644))),
        ("mode 0660", "GV-1202", Box::new(|| chmod(&key, 0o660))),
        (
            "directory mode 0777",
            "GV-1202",
            Box::new(|| chmod(key.parent().expect("one"), 0o777)),
        ),
        (
            "symlink",
            "GV-1202",
            Box::new(|| {
                fs::rename(&key, &away).expect("moved");
                let _link = symlink(
                    key.parent().expect("one"),
                    key.file_name().expect("one").as_encoded_bytes(),
                    away.as_os_str().as_encoded_bytes(),
                );
            }),
        ),
        (
            "hard link",
            "GV-1202",
            Box::new(|| fs::hard_link(&key, &away).expect("linked")),
        ),
        (
            "directory",
            "GV-1202",
            Box::new(|| {
                fs::remove_file(&key).expect("removed");
                fs::create_dir(&key).expect("made");
            }),
        ),
        (
            "empty",
            "GV-1203",
            Box::new(|| fs::write(&key, b"").expect("written")),
        ),
        (
            "truncated",
            "GV-1203",
            Box::new(|| fs::write(&key, &text[..text.len() / 2]).expect("written")),
        ),
        (
            "one byte short",
            "GV-1203",
            Box::new(|| fs::write(&key, &text[..text.len() - 1]).expect("written")),
        ),
        (
            "one byte changed",
            "GV-1203",
            Box::new(|| {
                let mut text = text.clone();
                let place = text.len() / 2;
                text[place] ^= 1;
                fs::write(&key, text).expect("written");
            }),
        ),
    ];
    for (what, code, tamper) in cases {
        tamper();
        let all = assert_refused(&laboratory, &[code], what);
        assert_names(&all, key.parent().expect("its directory"), what);
        drop(tamper);
        let _gone = fs::remove_file(&away);
        laboratory.reset();
        assert_eq!(
            vaults(&laboratory.sandbox).len(),
            1,
            "{what}: no other vault was made"
        );
    }
}

#[test]
fn a_vault_open_to_others_takes_no_snapshot_and_still_gives() {
    let laboratory = Laboratory::new();
    write(&laboratory.source, "changed.txt", "changed\n");
    for mode in [0o755, 0o770, 0o777] {
        chmod(&laboratory.vault, mode);
        let before = laboratory.vault_listing();
        let said = laboratory.run(&["snapshot"]);
        assert_eq!(
            refusal(&said).map(|code| code.code()),
            Ok("GV-1303"),
            "{said}"
        );
        let changes = listing::differences("vault", &before, &laboratory.vault_listing());
        assert!(changes.is_empty(), "{}", changes.join("\n"));
        let _said = laboratory.run(&["verify"]).succeeded();
        assert!(matches!(
            laboratory.restore_or_refuse(&laboratory.sealed[1]),
            Restored::Whole
        ));
        laboratory.reset();
    }
}

/// On a read-only mount in a mount namespace of its own, for root; elsewhere skipped aloud.
#[test]
fn a_read_only_vault_gives_what_it_holds_and_takes_nothing() {
    let laboratory = Laboratory::new();
    let bind = "mount --bind \"$1\" \"$1\" && mount -o remount,ro,bind \"$1\" && ! touch \"$1/cache/x\" 2>/dev/null";
    let data = laboratory.sandbox.path("data");
    let start = |script: &str, arguments: &[&str]| {
        let mut command = laboratory.sandbox.command("unshare", &laboratory.source);
        command
            .args(["-m", "sh", "-c", script, "sh"])
            .arg(&data)
            .arg(env!("CARGO_BIN_EXE_git-vault"))
            .args(arguments);
        bounded(
            command,
            &format!("on a read-only mount: git-vault {}", arguments.join(" ")),
        )
    };
    if start(bind, &[]).code != Some(0) {
        eprintln!(
            "SKIPPED: a read-only vault: no read-only mount can be made here (it needs root)"
        );
        return;
    }
    write(&laboratory.source, "changed.txt", "changed\n");
    let before = laboratory.vault_listing();
    let script = format!("{bind} && shift && exec \"$@\"");
    let destination = laboratory.sandbox.path("out");
    let out = destination.to_str().expect("a UTF-8 path");
    let sealed = &laboratory.sealed[2];
    for arguments in [
        &["list"][..],
        &["verify", "--quick"],
        &["verify"],
        &["verify", "--deep"],
        &["show"],
        &["restore", &sealed.id, out],
    ] {
        let _said = start(&script, arguments).succeeded();
    }
    let said = start(&script, &["--json", "verify"]).succeeded();
    assert!(said.json()["not_recorded"].is_string(), "{said}");
    let found = restored_listing(&destination);
    assert_eq!(
        listing::differences("restored", &sealed.restored, &found),
        [""; 0]
    );
    let said = start(&script, &["snapshot"]);
    let code = refusal(&said).expect("a refusal");
    assert_eq!(code.exit(), 13, "{said}");
    let changes = listing::differences("vault", &before, &laboratory.vault_listing());
    assert!(changes.is_empty(), "{}", changes.join("\n"));
}

/// Nobody else can read what a vault holds.
#[test]
fn everything_the_program_writes_is_closed_to_others() {
    let laboratory = Laboratory::new();
    for name in ["config", "data", "state"] {
        let root = laboratory.sandbox.path(&format!("{name}/git-vault"));
        listing::visit(&root, &|_| true, &mut |name, path, metadata| {
            let mode = metadata.permissions().mode() & 0o777;
            assert_eq!(
                mode & 0o077,
                0,
                "'{}' ({}) has mode {mode:o}",
                path.display(),
                name.escape_ascii()
            );
        });
    }
}
