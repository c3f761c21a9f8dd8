//! What is installed works where it was installed, replaces nothing foreign, and is taken away again to the last file.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::architecture::root;
use crate::laboratory::bounded;
use crate::support::files::{mkdir, write};
use crate::support::mount::has_tool;
use crate::support::{Said, Sandbox};

fn script(sandbox: &Sandbox, name: &str, arguments: &[&str]) -> Said {
    let file = root().join("templates/packaging").join(name);
    let mut command = sandbox.command("sh", &sandbox.home());
    command.arg(&file).args(arguments);
    // A program with all that helps to find mistakes is large.
    command.env("DPKG_DEB_COMPRESSOR_TYPE", "none");
    bounded(command, name)
}

fn install(sandbox: &Sandbox, prefix: &Path) -> Said {
    let prefix = prefix.to_str().expect("UTF-8");
    let program = env!("CARGO_BIN_EXE_git-vault");
    script(
        sandbox,
        "install.sh",
        &["--prefix", prefix, "--binary", program],
    )
}

#[test]
fn what_was_installed_works_and_is_removed_to_the_last_file() {
    let sandbox = Sandbox::new();
    let prefix = mkdir(&sandbox.home(), "local");
    write(&prefix, "bin/other", "of somebody else\n");
    for _ in 0..2 {
        let said = install(&sandbox, &prefix).succeeded();
        assert!(said.text().contains("installed git-vault"), "{said}");
    }
    let source = sandbox.init("source");
    write(&source, "a", "a\n");
    let path = std::env::var("PATH").expect("a path");
    let path = format!("{}:{path}", prefix.join("bin").display());
    let mut command = sandbox.command("git", &source);
    command.args(["vault", "snapshot"]).env("PATH", &path);
    let said = bounded(command, "git vault snapshot").succeeded();
    assert!(said.text().starts_with("SEALED"), "{said}");
    if has_tool("manual pages", "man") {
        let mut command = sandbox.command("git", &source);
        command.args(["vault", "--help"]).env("PATH", &path);
        command.env("MANPATH", prefix.join("share/man"));
        command.env("MANPAGER", "cat");
        let said = bounded(command, "git vault --help").succeeded();
        assert!(said.text().contains("git-vault"), "{said}");
    }
    let program = prefix.join("bin/git-vault");
    for name in [
        "share/bash-completion/completions/git-vault",
        "share/zsh/site-functions/_git-vault",
        "share/fish/vendor_completions.d/git-vault.fish",
    ] {
        let text = fs::read_to_string(prefix.join(name)).expect("read");
        let named = format!("'{}'", program.display());
        assert!(text.contains(&named), "{name}: {text}");
        assert!(!text.contains("/tmp."), "{name} names where it was made");
    }
    let place = prefix.to_str().expect("UTF-8");
    let arguments = ["--uninstall", "--prefix", place];
    let _said = script(&sandbox, "install.sh", &arguments).succeeded();
    assert_eq!(files(&prefix), [prefix.join("bin/other")]);
    let other = fs::read_to_string(prefix.join("bin/other"));
    assert_eq!(other.expect("read"), "of somebody else\n");
    let again = script(&sandbox, "install.sh", &arguments);
    assert_eq!(again.code, Some(1), "{again}");
}

#[test]
fn nothing_foreign_is_replaced_and_nothing_outside_is_removed() {
    let sandbox = Sandbox::new();
    let prefix = mkdir(&sandbox.home(), "local");
    write(&prefix, "share/man/man1/git-vault.1", "of somebody else\n");
    let said = install(&sandbox, &prefix);
    assert_eq!(said.code, Some(1), "{said}");
    assert!(!prefix.join("bin/git-vault").exists());
    let page = fs::read_to_string(prefix.join("share/man/man1/git-vault.1"));
    assert_eq!(page.expect("read"), "of somebody else\n");
    let kept = write(&sandbox.home(), "kept", "x\n");
    for line in ["../kept", "/etc/hostname"] {
        write(&prefix, "share/git-vault/installed", format!("{line}\n"));
        let place = prefix.to_str().expect("UTF-8");
        let said = script(&sandbox, "install.sh", &["--uninstall", "--prefix", place]);
        assert_eq!(said.code, Some(1), "{said}");
        assert!(kept.exists());
        // Nor does an installation take away what such a list names.
        fs::remove_file(prefix.join("share/man/man1/git-vault.1")).unwrap_or_default();
        let said = install(&sandbox, &prefix);
        assert_eq!(said.code, Some(1), "{said}");
        assert!(kept.exists());
    }
    for prefix in ["relative", "/with space", "/a'b"] {
        let program = env!("CARGO_BIN_EXE_git-vault");
        let arguments = ["--prefix", prefix, "--binary", program];
        let said = script(&sandbox, "install.sh", &arguments);
        assert_eq!(said.code, Some(1), "{said}");
    }
}

#[test]
fn an_installation_that_was_stopped_is_finished_or_taken_away_and_all_may_read_it() {
    let sandbox = Sandbox::new();
    let prefix = mkdir(&sandbox.home(), "local");
    let place = prefix.to_str().expect("UTF-8");
    // A directory where a file is due stops it half-way.
    let zsh = mkdir(&prefix, "share/zsh/site-functions/_git-vault.new");
    write(&zsh, "_git-vault/x", "of somebody else\n");
    let file = root().join("templates/packaging/install.sh");
    let file = file.to_str().expect("UTF-8");
    let masked = |arguments: &[&str]| {
        let mut command = sandbox.command("sh", &sandbox.home());
        command.args(["-c", "umask 077; exec sh \"$0\" \"$@\"", file]);
        command.args(["--prefix", place]).args(arguments);
        bounded(command, "install.sh")
    };
    let program = env!("CARGO_BIN_EXE_git-vault");
    let said = masked(&["--binary", program]);
    assert_eq!(said.code, Some(1), "{said}");
    assert!(!said.text().contains("installed"), "{said}");
    fs::remove_dir_all(&zsh).expect("removed");
    let _said = masked(&["--binary", program]).succeeded();
    for path in files(&prefix) {
        let mode = fs::metadata(&path).expect("seen").mode();
        assert_eq!(mode & 0o044, 0o044, "{}", path.display());
        let above = path.parent().expect("a parent");
        let mode = fs::metadata(above).expect("seen").mode();
        assert_eq!(mode & 0o055, 0o055, "{}", above.display());
    }
    let _said = masked(&["--uninstall"]).succeeded();
    assert!(files(&prefix).is_empty());
}

#[test]
fn a_debian_package_holds_what_is_due_and_is_installed_and_removed() {
    let sandbox = Sandbox::new();
    if !has_tool("the Debian package", "dpkg-deb") {
        return;
    }
    let out = mkdir(&sandbox.home(), "packages");
    let program = env!("CARGO_BIN_EXE_git-vault");
    let out_text = out.to_str().expect("UTF-8");
    for (program, out) in [("no-program", out_text), (program, "/nowhere")] {
        let said = script(&sandbox, "deb.sh", &[program, out]);
        assert_eq!(said.code, Some(1), "{said}");
        assert!(said.stderr.starts_with(b"deb.sh: "), "{said}");
    }
    let said = script(&sandbox, "deb.sh", &[program, out_text]).succeeded();
    let package = PathBuf::from(said.text().trim());
    let place = mkdir(&sandbox.home(), "unpacked");
    let mut command = sandbox.command("dpkg-deb", &place);
    command.args(["--extract"]).arg(&package).arg(&place);
    let _said = bounded(command, "dpkg-deb --extract").succeeded();
    for name in [
        "bin/git-vault",
        "share/man/man1/git-vault.1.gz",
        "share/man/man1/git-vault-restore.1.gz",
        "share/bash-completion/completions/git-vault",
        "share/zsh/vendor-completions/_git-vault",
        "share/fish/vendor_completions.d/git-vault.fish",
        "share/doc/git-vault/copyright",
        "share/doc/git-vault/changelog.gz",
        "share/doc/git-vault/RUNBOOK.md",
    ] {
        assert!(place.join("usr").join(name).is_file(), "{name}");
    }
    let bash = place.join("usr/share/bash-completion/completions/git-vault");
    let text = fs::read_to_string(bash).expect("read");
    assert!(text.contains("'/usr/bin/git-vault' complete"), "{text}");
    let mut command = sandbox.command("dpkg-deb", &place);
    command.args(["--field"]).arg(&package);
    let fields = bounded(command, "dpkg-deb --field").succeeded().text();
    for line in [
        "Package: git-vault",
        "Depends: libc6 (>= 2.",
        "Section: vcs",
    ] {
        assert!(fields.contains(line), "{fields}");
    }
    let program = place.join("usr/bin/git-vault");
    let mut command = sandbox.command(program, &place);
    command.arg("--version");
    let _said = bounded(command, "git-vault --version").succeeded();
}

#[test]
fn a_formula_has_the_checksum_of_its_archive() {
    let sandbox = Sandbox::new();
    let archive = write(&sandbox.home(), "release.tar.gz", "abc");
    let archive = archive.to_str().expect("UTF-8");
    let url = "https://example.org/git-vault-1.2.3.tar.gz";
    let page = "https://example.org";
    let said = script(&sandbox, "formula.sh", &[page, url, archive]).succeeded();
    let text = said.text();
    for line in [
        "  sha256 \"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"",
        "  url \"https://example.org/git-vault-1.2.3.tar.gz\"",
    ] {
        assert!(text.contains(line), "{text}");
    }
    for bad in ["http://example.org", "https://a\"b", "x"] {
        let said = script(&sandbox, "formula.sh", &[page, bad, archive]);
        assert_eq!(said.code, Some(1), "{said}");
        assert!(said.stdout.is_empty(), "{said}");
    }
}

/// All files below a directory.
fn files(directory: &Path) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut places = vec![directory.to_owned()];
    while let Some(place) = places.pop() {
        for entry in fs::read_dir(place).expect("it is read") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                places.push(path);
            } else {
                files.push(path);
            }
        }
    }
    files
}
