//! What cannot be reached, belongs to somebody else, or lies in the wrong place is refused by name.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::laboratory::{bounded, vaults};
use crate::refusals::assert_refused;
use crate::source_refusals::{Scene, damage, flip_middle};
use crate::support::files::{chmod, symlink, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::{Said, Sandbox, states};

/// Runs the program as somebody whom modes keep out; root is not, and becomes `nobody` in a sandbox that belongs to it.
struct Unprivileged {
    scene: Scene,
    program: PathBuf,
    is_root: bool,
}

impl Unprivileged {
    /// Prepares a scene, and gives all of it away when we are root.
    fn new(prepare: impl FnOnce(&Scene)) -> Option<Self> {
        let scene = Scene::new();
        prepare(&scene);
        let program = scene.sandbox.path("git-vault");
        crate::support::files::copy_program(&program);
        let id = Command::new("id").arg("-u").output().expect("id starts");
        let is_root = id.stdout == b"0\n";
        let unprivileged = Self {
            scene,
            program,
            is_root,
        };
        if is_root {
            let can_change = Command::new("setpriv").arg("--version").output();
            if !can_change.is_ok_and(|output| output.status.success()) {
                eprintln!("SKIPPED: root needs setpriv to become somebody whom modes keep out");
                return None;
            }
            unprivileged.give("65534:65534", &unprivileged.scene.sandbox.path(""));
        }
        Some(unprivileged)
    }

    fn give(&self, owner: &str, path: &Path) {
        let mut command = self.scene.sandbox.command("chown", Path::new("/"));
        let output = command
            .args(["-R", "--no-dereference", owner])
            .arg(path)
            .output();
        assert!(output.expect("chown starts").status.success());
    }

    fn snapshot(&self) -> Said {
        let arguments = ["--reuid=65534", "--regid=65534", "--clear-groups"];
        let mut command = if self.is_root {
            let mut command = self.scene.sandbox.command("setpriv", &self.scene.source);
            command.args(arguments).arg(&self.program);
            command
        } else {
            self.scene
                .sandbox
                .command(&self.program, &self.scene.source)
        };
        command.arg("snapshot");
        bounded(command, "git-vault snapshot")
    }
}

#[test]
fn what_modes_keep_from_us_is_refused_by_its_path() {
    let mut object = PathBuf::new();
    let prepare = |scene: &Scene| {
        write(&scene.source, "private/file.txt", "x\n");
        write(&scene.source, "locked.txt", "x\n");
        write(&scene.source, "sub/.gitignore", "*.o\n");
        write(&scene.source, ".git/hooks/own", "#!/bin/sh\n");
        object = scene.commit_new_file("new.txt", b"new content\n");
    };
    let Some(unprivileged) = Unprivileged::new(prepare) else {
        return;
    };
    let scene = &unprivileged.scene;
    for path in [
        scene.source.join("private"),
        scene.source.join("locked.txt"),
        scene.source.join("sub/.gitignore"),
        scene.source.join(".git/hooks/own"),
        scene.source.join(".git/refs/heads"),
        scene.source.join(".git/index"),
        scene.source.join(".git/info"),
        object,
    ] {
        let mode = fs::metadata(&path).expect("its mode").permissions().mode();
        chmod(&path, 0o000);
        let said = unprivileged.snapshot();
        let codes = ["GV-2001", "GV-2007"];
        assert_refused(&said, &codes, path.to_str().expect("a UTF-8 path"));
        chmod(&path, mode);
    }
    // A directory that can be listed and not entered, and the other way round.
    for mode in [0o600, 0o300] {
        let path = scene.source.join("private");
        chmod(&path, mode);
        let said = unprivileged.snapshot();
        assert_refused(&said, &["GV-2001"], path.to_str().expect("a UTF-8 path"));
        chmod(&path, 0o700);
    }
    let _said = unprivileged.snapshot().succeeded();
}

#[test]
fn a_repository_of_another_user_is_refused() {
    let Some(unprivileged) = Unprivileged::new(|_| ()) else {
        return;
    };
    if !unprivileged.is_root {
        eprintln!("SKIPPED: only root can give files to another user");
        return;
    }
    let scene = &unprivileged.scene;
    unprivileged.give("65534:65534", &scene.source);
    unprivileged.give("0:0", &scene.sandbox.path("data"));
    unprivileged.give("0:0", &scene.sandbox.path("config"));
    unprivileged.give("0:0", &scene.sandbox.path("state"));
    scene.assert_refused(&["GV-2008"], scene.source.to_str().expect("a UTF-8 path"));
}

#[test]
fn a_vault_inside_what_it_protects_is_refused() {
    for place in ["vaults", ".git/vaults", "src/deep"] {
        let scene = Scene::new();
        let home = scene.source.join(place);
        scene.git(&["config", "vault.home", home.to_str().expect("a UTF-8 path")]);
        scene.assert_refused(&["GV-1004"], home.to_str().expect("a UTF-8 path"));
    }
    let scene = Scene::new();
    symlink(
        &scene.sandbox.home(),
        "way-in",
        scene.source.as_os_str().as_encoded_bytes(),
    );
    let home = scene.sandbox.home().join("way-in/vaults");
    scene.git(&["config", "vault.home", home.to_str().expect("a UTF-8 path")]);
    scene.assert_refused(&["GV-1004"], "vaults");
}

#[test]
fn a_vault_that_was_put_into_the_working_tree_is_refused() {
    let mut scene = Scene::new();
    let inside = scene.source.join("my.vault");
    fs::rename(&scene.vault, &inside).expect("the vault is moved");
    scene.vault = inside;
    let before = Fingerprint::of(&scene.source);
    let vault = scene.vault.to_str().expect("a UTF-8 path");
    let said = scene
        .sandbox
        .vault(&scene.source, &["--vault", vault, "snapshot"]);
    assert_refused(&said, &["GV-1004"], vault);
    before.assert_untouched(&scene.source);
    scene.assert_earlier_snapshot_is_whole();
}

/// A key that nobody was told of will not be copied.
#[test]
fn a_refused_first_snapshot_leaves_no_vault_and_key_that_it_does_not_mention() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let index = source.join(".git/index");
    let whole = fs::read(&index).expect("the index is read");
    damage(&index, |bytes| flip_middle(bytes));
    let said = sandbox.vault(&source, &["snapshot"]);
    assert_refused(&said, &["GV-2007"], index.to_str().expect("a UTF-8 path"));
    let text = String::from_utf8_lossy(&said.stderr);
    for vault in vaults(&sandbox) {
        let vault = vault.to_str().expect("a UTF-8 path");
        assert!(
            text.contains(vault),
            "it should say that it made '{vault}'\n{said}"
        );
    }
    write(&source, ".git/index", whole);
    let said = sandbox.vault(&source, &["snapshot"]).succeeded();
    let told = said.text().contains("this is its only copy") || text.contains("only copy");
    assert!(told, "neither answer mentions the key\n{text}\n{said}");
}

/// What git would wait for, we do not.
#[test]
fn pipes_where_git_keeps_state_are_refused_by_their_paths() {
    let pipe = |scene: &Scene, name: &str, code: &str| {
        let path = scene.source.join(name);
        let _old = fs::remove_file(&path);
        let status = Command::new("mkfifo").arg(&path).status();
        assert!(status.expect("mkfifo starts").success());
        scene.assert_refused(&[code], path.to_str().expect("a UTF-8 path"));
        fs::remove_file(&path).expect("removed");
    };
    let scene = Scene::new();
    scene.git(&["worktree", "add", "--quiet", "../linked"]);
    for name in [
        "index",
        "shallow",
        "refs/stash",
        "MERGE_HEAD",
        "sharedindex.1",
        "worktrees/linked/index",
    ] {
        pipe(&scene, &format!(".git/{name}"), "GV-2004");
    }
    scene.git(&["init", "--quiet", "nested"]);
    for name in ["nested/.git/config", "nested/.git/HEAD"] {
        pipe(&scene, name, "GV-2001");
    }
    for name in [
        "commondir",
        "config.worktree",
        "config",
        "HEAD",
        "packed-refs",
    ] {
        let path = scene.source.join(".git").join(name);
        let old = fs::read(&path);
        pipe(&scene, &format!(".git/{name}"), "GV-2001");
        if let Ok(old) = old {
            fs::write(&path, old).expect("written");
        }
    }
}

/// Files of holes, far larger than what git writes there: nothing reads all of them.
#[test]
fn files_of_state_that_are_far_too_large_are_refused_by_their_paths() {
    let scene = Scene::new();
    for (name, code) in [
        ("HEAD", "GV-2001"),
        ("commondir", "GV-2001"),
        ("config", "GV-2001"),
        ("config.worktree", "GV-2001"),
        ("shallow", "GV-2004"),
        ("logs/HEAD", "GV-2004"),
        ("MERGE_HEAD", "GV-2004"),
    ] {
        let path = scene.source.join(".git").join(name);
        let old = fs::read(&path);
        let file = fs::File::options().create(true).append(true).open(&path);
        let file = file.expect("the file is opened");
        file.set_len(100 << 30).expect("it has a size");
        let shown = path.to_str().expect("a UTF-8 path");
        assert_refused(
            &scene.sandbox.vault(&scene.source, &["snapshot"]),
            &[code],
            shown,
        );
        fs::remove_file(&path).expect("removed");
        if let Ok(old) = old {
            fs::write(&path, old).expect("written");
        }
    }
    scene.assert_earlier_snapshot_is_whole();
}
