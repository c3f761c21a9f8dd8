//! Whose the source is, where it lies, and what the environment says of it: as git decides, or stricter; and never by a clock
//! that cannot be relied on.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::crash::can_trace;
use crate::laboratory::{bounded, vaults};
use crate::pause::paused;
use crate::races::faketime_library;
use crate::refusals::assert_refused;
use crate::support::files::{append, chmod, mkdir, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::mount::{Mount, has_tool};
use crate::support::{Kind, RepoState, Said, Sandbox, states};

/// Nobody's user and group id on every system.
const NOBODY: &str = "65534:65534";

/// Gives a path and all below it away; false when we may not.
fn give(sandbox: &Sandbox, owner: &str, path: &Path) -> bool {
    let mut command = sandbox.command("chown", Path::new("/"));
    let output = command
        .args(["-R", "--no-dereference", owner])
        .arg(path)
        .output();
    output.is_ok_and(|output| output.status.success())
}

/// Says aloud that a test is skipped because we are not root.
fn needs_root(test: &str) {
    eprintln!("SKIPPED: {test}: only root can give files away or mount");
}

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

/// Whether git takes the repository for its user's own, and how our snapshot ended.
fn judgements(sandbox: &Sandbox, source: &Path, environment: &[(&str, &str)]) -> (bool, Said) {
    let git = sandbox.try_git_with(source, environment, &["rev-parse", "--git-dir"]);
    let message = ["snapshot", "-m", "whose is it"];
    (
        git.status.success(),
        sandbox.vault_with(source, environment, &message),
    )
}

/// What is said, values of `safe.directory`, the environment, and whether git takes the repository.
type Case<'a> = (&'a str, Vec<String>, &'a [(&'a str, &'a str)], bool);

#[test]
fn a_foreign_repository_is_taken_when_git_takes_it() {
    let test = "a foreign repository is taken when git takes it";
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    if !give(&sandbox, NOBODY, &source) {
        return needs_root(test);
    }
    let config = sandbox.home().join(".gitconfig");
    let ordinary = fs::read(&config).expect("the settings are read");
    let (path, parent) = (
        text(&source).to_owned(),
        text(&sandbox.workplace()).to_owned(),
    );
    let cases: [Case; 10] = [
        ("nothing is said", vec![], &[], false),
        ("its path", vec![path.clone()], &[], true),
        ("every path", vec!["*".to_owned()], &[], true),
        (
            "all in the directory above",
            vec![format!("{parent}/*")],
            &[],
            true,
        ),
        ("the directory above", vec![parent.clone()], &[], false),
        ("another path", vec![format!("{path}-other")], &[], false),
        (
            "every path, and then none",
            vec!["*".to_owned(), String::new()],
            &[],
            false,
        ),
        ("sudo by its owner", vec![], &[("SUDO_UID", "65534")], true),
        ("sudo by another", vec![], &[("SUDO_UID", "12345")], false),
        ("sudo by nonsense", vec![], &[("SUDO_UID", "65534x")], false),
    ];
    for (what, safe, environment, is_taken) in cases {
        fs::write(&config, &ordinary).expect("the settings are put back");
        for value in &safe {
            let key = ["config", "--global", "--add", "safe.directory"];
            sandbox.git(&sandbox.home(), &[&key[..], &[value]].concat());
        }
        let untouched = Fingerprint::of(&sandbox.workplace());
        let (git_takes_it, said) = judgements(&sandbox, &source, environment);
        assert_eq!(git_takes_it, is_taken, "git, {what}");
        if is_taken {
            let _said = said.succeeded();
        } else {
            assert_refused(&said, &["GV-2008"], &path);
        }
        untouched.assert_untouched(&sandbox.workplace());
    }
}

/// What the repository says of itself, and what only the environment of this run says, counts for nothing.
#[test]
fn a_foreign_repository_cannot_say_that_it_is_safe_and_the_environment_cannot_either() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    sandbox.git(&source, &["config", "safe.directory", "*"]);
    if !give(&sandbox, NOBODY, &source) {
        return needs_root("a foreign repository cannot say that it is safe");
    }
    let by_count = [
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "safe.directory"),
        ("GIT_CONFIG_VALUE_0", "*"),
    ];
    let by_parameters = [("GIT_CONFIG_PARAMETERS", "'safe.directory'='*'")];
    for environment in [&[][..], &by_count, &by_parameters] {
        let said = sandbox.vault_with(&source, environment, &["snapshot"]);
        assert_refused(&said, &["GV-2008"], text(&source));
    }
    assert_eq!(vaults(&sandbox), [] as [PathBuf; 0]);
}

#[test]
fn a_repository_of_which_a_part_is_foreign_is_taken_when_git_takes_it() {
    for (part, is_taken) in [
        ("", false),
        (".git", false),
        (".git/config", true),
        ("src", true),
    ] {
        let sandbox = Sandbox::new();
        let source = states::small_repository(&sandbox);
        let mut command = sandbox.command("chown", &source);
        let output = command.arg(NOBODY).arg(source.join(part)).output();
        if !output.is_ok_and(|output| output.status.success()) {
            return needs_root("a repository of which a part is foreign");
        }
        let (git_takes_it, said) = judgements(&sandbox, &source, &[]);
        assert_eq!(git_takes_it, is_taken, "git, '{part}'");
        if is_taken {
            let _said = said.succeeded();
        } else {
            assert_refused(&said, &["GV-2008"], text(&source));
        }
    }
}

/// What root restores belongs to root: a program that somebody else marked must not run as root for it.
#[test]
fn set_user_id_bits_are_kept_for_their_owner_only_and_the_rest_is_counted() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    for (name, mode) in [("own", 0o4755), ("own-group", 0o2755), ("both", 0o6750)] {
        chmod(&write(&source, name, "x\n"), mode);
        chmod(&write(&source, format!("foreign-{name}"), "x\n"), mode);
    }
    let is_root = ["own", "own-group", "both"].iter().all(|name| {
        let path = source.join(format!("foreign-{name}"));
        let given = give(&sandbox, NOBODY, &path);
        // Giving away takes the bits.
        let mode = fs::metadata(source.join(name)).expect("its mode").mode();
        chmod(&path, mode & 0o7777);
        given
    });
    chmod(&mkdir(&source, "shared"), 0o3775);
    write(&source, "shared/file", "x\n");
    let said = sandbox.vault(&source, &["snapshot"]).succeeded();
    let listed = sandbox
        .vault(&source, &["--json", "list"])
        .succeeded()
        .json();
    let id = listed["snapshots"][0]["id"].as_str().expect("an id");
    let restored = sandbox.restore(&source, id, "restored");
    let mode = |name: &str| {
        let path = restored.join(name);
        fs::metadata(path).expect("its mode").permissions().mode() & 0o7777
    };
    assert_eq!(
        [mode("own"), mode("own-group"), mode("both"), mode("shared")],
        [0o4755, 0o2755, 0o6750, 0o3775]
    );
    if !is_root {
        return needs_root("set-user-id bits of another user");
    }
    let foreign = ["foreign-own", "foreign-own-group", "foreign-both"].map(mode);
    assert_eq!(foreign, [0o755, 0o755, 0o750]);
    let note = "set-user-ID and set-group-ID bits of files of another user are not kept: 3";
    assert!(said.text().contains(note), "{said}");
}

#[test]
fn a_source_that_cannot_be_written_is_captured_and_left_alone() {
    let test = "a source that cannot be written";
    let sandbox = Sandbox::new();
    let source = (states::find("staged_unstaged_and_untracked").build)(&sandbox);
    let original = RepoState::capture(&sandbox, &source, Kind::Workspace);
    let Some(mount) = Mount::bind(&source, &source) else {
        return needs_root(test);
    };
    assert!(mount.remount("bind,ro,noatime"), "it is made read-only");
    assert!(fs::write(source.join("new"), "x").is_err());
    let atime = |name: &str| fs::metadata(source.join(name)).expect("its times").atime();
    let read_before = ["README.md", ".git/config", ".git/index"].map(atime);
    let untouched = Fingerprint::of(&source);
    let id = sandbox.snapshot(&source);
    untouched.assert_untouched(&source);
    assert_eq!(
        ["README.md", ".git/config", ".git/index"].map(atime),
        read_before
    );
    let restored = sandbox.restore(&source, &id, "restored");
    let restored = RepoState::capture(&sandbox, &restored, Kind::Workspace);
    RepoState::assert_same_workspace(&original, &restored);
    drop(mount);
}

/// Mounts an image that a script makes out of `$1` and puts on `$2`.
pub fn mount_image(
    sandbox: &Sandbox,
    test: &str,
    tool: &str,
    script: &str,
) -> Option<(Mount, PathBuf)> {
    if !has_tool(test, tool) {
        return None;
    }
    let (image, place) = (sandbox.path("image"), mkdir(&sandbox.path(""), "mounted"));
    let file = fs::File::create(&image).expect("the image is made");
    file.set_len(64 << 20).expect("it has a size");
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).arg(&image).arg(&place);
    let mount = Mount::with(command, &place);
    if mount.is_none() {
        eprintln!(
            "SKIPPED: {test}: it cannot be mounted here (it needs root, and the file system)"
        );
    }
    Some((mount?, place))
}

const EXFAT: &str = "mkfs.exfat \"$1\" && loop=$(losetup -f --show \"$1\") && \
     { mount.exfat-fuse \"$loop\" \"$2\"; status=$?; losetup -d \"$loop\"; exit $status; }";

/// Small inodes hold whole seconds, as ext3 did.
pub const WHOLE_SECONDS: &str = "mkfs.ext4 -q -I 128 \"$1\" && mount -o loop \"$1\" \"$2\"";

/// A repository of one file below a mount.
fn repository_at(sandbox: &Sandbox, place: &Path) -> PathBuf {
    let repository = mkdir(place, "repository");
    sandbox.git(&repository, &["init", "--quiet"]);
    write(&repository, "file.txt", "first content\n");
    sandbox.commit(&repository, "first");
    repository
}

/// There the time of a change is that of modification, which anybody can set.
#[test]
fn where_change_times_can_be_set_every_file_is_read_again() {
    let test = "where change times can be set";
    let sandbox = Sandbox::new();
    let Some((_mount, place)) = mount_image(&sandbox, test, "mount.exfat-fuse", EXFAT) else {
        return;
    };
    let source = repository_at(&sandbox, &place);
    let path = source.join("file.txt");
    // This file system passes over a request to set one time without the other.
    let settle = || {
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_500_000_000);
        let times = fs::FileTimes::new().set_accessed(time).set_modified(time);
        let file = fs::File::open(&path);
        file.and_then(|file| file.set_times(times))
            .expect("the times are set");
        fs::metadata(&path).expect("its times")
    };
    let before = settle();
    let _id = sandbox.snapshot(&source);
    fs::write(&path, "OTHER content\n").expect("written");
    let after = settle();
    let seen = |found: &fs::Metadata| (found.ino(), found.len(), found.mtime(), found.ctime());
    assert_eq!(seen(&before), seen(&after), "nothing shows the edit");
    assert_eq!(
        before.ctime(),
        1_500_000_000,
        "change times can be set here"
    );
    let original = RepoState::capture(&sandbox, &source, Kind::Workspace);
    let id = sandbox.snapshot(&source);
    let restored = sandbox.restore(&source, &id, "restored");
    assert_eq!(
        fs::read(restored.join("file.txt")).expect("read"),
        b"OTHER content\n"
    );
    let restored = RepoState::capture(&sandbox, &restored, Kind::Workspace);
    let differences = crate::support::listing::differences(
        "working tree",
        &original.working_tree,
        &restored.working_tree,
    );
    assert_eq!(differences, [""; 0]);
    let said = sandbox.vault(&source, &["snapshot"]).succeeded();
    assert!(said.text().starts_with("UNCHANGED"), "{said}");
}

/// The same of a single file on which one of such a file system is mounted, as containers are given files.
#[test]
fn a_file_that_is_mounted_by_itself_is_known_by_its_own_file_system() {
    let test = "a file that is mounted by itself";
    let sandbox = Sandbox::new();
    let Some((_mount, place)) = mount_image(&sandbox, test, "mount.exfat-fuse", EXFAT) else {
        return;
    };
    let source = states::small_repository(&sandbox);
    let outside = write(&place, "file.txt", "first content\n");
    let path = write(&source, "src/mounted.txt", "");
    let Some(_bound) = Mount::bind(&outside, &path) else {
        return needs_root(test);
    };
    for content in ["first content\n", "OTHER content\n"] {
        fs::write(&path, content).expect("written");
        let time = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_500_000_000);
        let times = fs::FileTimes::new().set_accessed(time).set_modified(time);
        let set = fs::File::open(&path).and_then(|file| file.set_times(times));
        set.expect("the times are set");
        let found = fs::metadata(&path).expect("its times");
        assert_eq!(found.ctime(), 1_500_000_000, "change times can be set");
        let id = sandbox.snapshot(&source);
        let restored = sandbox.restore(&source, &id, &content[..5]);
        let found = fs::read_to_string(restored.join("src/mounted.txt"));
        assert_eq!(found.expect("read"), content);
    }
    let said = sandbox.vault(&source, &["snapshot"]).succeeded();
    assert!(said.text().starts_with("UNCHANGED"), "{said}");
}

/// An edit within the second in which the file was read does not show: what is sealed is one moment all the same, and the
/// next snapshot holds the edit.
#[test]
fn an_edit_within_the_same_second_is_captured_where_times_are_whole_seconds() {
    let test = "whole seconds";
    let sandbox = Sandbox::new();
    let Some((_mount, place)) = mount_image(&sandbox, test, "mkfs.ext4", WHOLE_SECONDS) else {
        return;
    };
    let source = repository_at(&sandbox, &place);
    let path = source.join("file.txt");
    assert_eq!(fs::metadata(&path).expect("its times").ctime_nsec(), 0);
    let held = |id: &str, name: &str| {
        let restored = sandbox.restore(&source, id, name);
        fs::read_to_string(restored.join("file.txt")).expect("it is read")
    };
    for round in 0..5 {
        let content = format!("content {round}\n");
        fs::write(&path, &content).expect("written");
        let id = sandbox.snapshot(&source);
        assert_eq!(held(&id, &format!("round-{round}")), content);
    }
    if !can_trace(test) {
        return;
    }
    for (round, call) in ["openat", "read", "fstat", "flistxattr"].iter().enumerate() {
        let (before, after) = (format!("before {round}\n"), format!("after! {round}\n"));
        fs::write(&path, &before).expect("written");
        let edit = || fs::write(&path, &after).expect("written");
        let message = format!("--message=at {call}");
        let stop = (*call, 1, Some(path.as_path()));
        let (said, _) = paused(&sandbox, &source, stop, &["snapshot", &message], edit);
        let now = fs::read_to_string(&path).expect("it is read");
        if said.code == Some(0) {
            let id = crate::concurrency::id_of(&said);
            let held = held(&id, &format!("stopped-{round}"));
            assert!(held == before || held == now, "{held}\n{said}");
        } else {
            assert_refused(&said, &["GV-2002"], text(&path));
        }
        let answer = sandbox.vault(&source, &["--json", "snapshot", "-m", "after"]);
        let answer = answer.succeeded().json();
        let id = answer["snapshot"]["id"].as_str().expect("an id");
        assert_eq!(held(id, &format!("then-{round}")), now);
    }
}

/// Every variable by which git can be led elsewhere, all of them at once, from a directory below, in a hook.
#[test]
fn variables_that_lead_git_elsewhere_lead_nowhere() {
    let sandbox = Sandbox::new();
    let source = (states::find("staged_unstaged_and_untracked").build)(&sandbox);
    let other = sandbox.init("other");
    write(&other, "other.txt", "of another repository\n");
    sandbox.commit(&other, "other");
    let [git_dir, index, objects] =
        [".git", ".git/index", ".git/objects"].map(|name| other.join(name));
    let variables = [
        ("GIT_DIR", text(&git_dir)),
        ("GIT_WORK_TREE", text(&other)),
        ("GIT_INDEX_FILE", text(&index)),
        ("GIT_OBJECT_DIRECTORY", text(&objects)),
        ("GIT_ALTERNATE_OBJECT_DIRECTORIES", text(&objects)),
        ("GIT_COMMON_DIR", text(&git_dir)),
        ("GIT_NAMESPACE", "elsewhere"),
        ("GIT_PREFIX", "src/"),
        ("GIT_REPLACE_REF_BASE", "refs/elsewhere/"),
        ("GIT_GRAFT_FILE", text(&index)),
        ("GIT_SHALLOW_FILE", text(&index)),
        ("GIT_CEILING_DIRECTORIES", text(&source)),
        ("GIT_DEFAULT_HASH", "sha256"),
        ("GIT_DEFAULT_REF_FORMAT", "reftable"),
        ("GIT_ATTR_SOURCE", "HEAD"),
        ("GIT_LITERAL_PATHSPECS", "1"),
    ];
    let settings = [
        ("GIT_CONFIG_COUNT", "2"),
        ("GIT_CONFIG_KEY_0", "core.worktree"),
        ("GIT_CONFIG_VALUE_0", text(&other)),
        ("GIT_CONFIG_KEY_1", "vault.exclude"),
        ("GIT_CONFIG_VALUE_1", "*"),
    ];
    let original = RepoState::capture(&sandbox, &source, Kind::Workspace);
    let mut runs: Vec<Vec<(&str, &str)>> = variables.iter().map(|one| vec![*one]).collect();
    runs.push(settings.to_vec());
    runs.push(variables.iter().chain(&settings).copied().collect());
    let ours = sandbox.snapshot(&source);
    let untouched = Fingerprint::of(&sandbox.workplace());
    for (number, environment) in runs.iter().enumerate() {
        for directory in [source.clone(), source.join("src")] {
            let arguments = ["--json", "snapshot"];
            let said = sandbox
                .vault_with(&directory, environment, &arguments)
                .succeeded();
            assert_eq!(
                said.json()["outcome"],
                "unchanged",
                "{environment:?}\n{said}"
            );
        }
        let message = format!("run {number}");
        let said = sandbox
            .vault_with(
                &source,
                environment,
                &["--json", "snapshot", "-m", &message],
            )
            .succeeded();
        let trees = |id: &str| {
            let shown = sandbox
                .vault(&source, &["--json", "show", id])
                .succeeded()
                .json();
            shown["manifest"]["content"]["tree"].clone()
        };
        let id = said.json()["snapshot"]["id"]
            .as_str()
            .expect("an id")
            .to_owned();
        assert_eq!(trees(&id), trees(&ours), "{environment:?}");
    }
    untouched.assert_untouched(&sandbox.workplace());
    assert_eq!(vaults(&sandbox).len(), 1, "of the one repository");
    let restored = sandbox.restore(&source, "@latest", "restored");
    let restored = RepoState::capture(&sandbox, &restored, Kind::Workspace);
    RepoState::assert_same_workspace(&original, &restored);
}

/// A real hook of a real `git commit`, which holds the lock of the index and sets git's variables.
#[test]
fn a_snapshot_from_within_a_hook_captures_the_same_repository() {
    let sandbox = Sandbox::new();
    let source = (states::find("staged_unstaged_and_untracked").build)(&sandbox);
    let answer = sandbox.path("answer");
    let program = env!("CARGO_BIN_EXE_git-vault");
    let script = format!(
        "#!/bin/sh\n'{program}' snapshot -m hook >'{0}' 2>&1\necho $? >>'{0}'\n",
        answer.display()
    );
    chmod(&write(&source, ".git/hooks/pre-commit", script), 0o755);
    append(&source, "README.md", "for the commit\n");
    for arguments in [&["-a"][..], &["README.md"], &["--amend", "--no-edit"]] {
        append(&source, "README.md", "more\n");
        let mut command = sandbox.command("git", &source.join("src"));
        let message: &[&str] = if arguments[0] == "--amend" {
            &[]
        } else {
            &["-m", "by hook"]
        };
        let path = if arguments == ["README.md"] {
            &["../README.md"][..]
        } else {
            arguments
        };
        command.args(["commit", "--quiet"]).args(message).args(path);
        let _said = bounded(command, "git commit with a hook").succeeded();
        let said = fs::read_to_string(&answer).expect("the hook has run");
        assert!(
            said.starts_with("SEALED") && said.ends_with("\n0\n"),
            "{arguments:?}: {said}"
        );
    }
    assert_eq!(vaults(&sandbox).len(), 1);
    let restored = sandbox.restore(&source, "@latest", "restored");
    assert!(!restored.join(".git/index.lock").exists());
    assert_eq!(
        fs::read(restored.join("README.md")).expect("read"),
        fs::read(source.join("README.md")).expect("read")
    );
    sandbox.git(&restored, &["status"]);
}

/// The other way round: root's repository, and an ordinary user who may read it.
#[test]
fn a_user_takes_the_repository_of_root_when_git_does() {
    let test = "a user on root's repository";
    if !has_tool(test, "setpriv") {
        return;
    }
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let program = sandbox.path("git-vault");
    crate::support::files::copy_program(&program);
    for name in ["home", "config", "data", "state", "tmp"] {
        if !give(&sandbox, NOBODY, &sandbox.path(name)) {
            return needs_root(test);
        }
    }
    chmod(&sandbox.path(""), 0o755);
    let as_nobody = |program: &Path, arguments: &[&str]| {
        let mut command = sandbox.command("setpriv", &source);
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.arg(program).args(arguments);
        bounded(
            command,
            &format!("as nobody: {} {arguments:?}", program.display()),
        )
    };
    let git = Path::new("git");
    for is_safe in [false, true] {
        if is_safe {
            let arguments = ["config", "--global", "safe.directory", text(&source)];
            let _said = as_nobody(git, &arguments).succeeded();
        }
        let untouched = Fingerprint::of(&source);
        let git_takes_it = as_nobody(git, &["status", "--porcelain"]).code == Some(0);
        assert_eq!(git_takes_it, is_safe);
        let said = as_nobody(&program, &["snapshot"]);
        if is_safe {
            let _said = said.succeeded();
        } else {
            assert_refused(&said, &["GV-2008"], text(&source));
        }
        untouched.assert_untouched(&source);
    }
}

/// Root with the user's home, as some settings of sudo have it: what root has made there is refused to the user by its path.
#[test]
fn what_root_made_in_the_home_of_a_user_is_refused_to_that_user_by_name() {
    let test = "what root made in the home of a user";
    if !has_tool(test, "setpriv") {
        return;
    }
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let program = sandbox.path("git-vault");
    crate::support::files::copy_program(&program);
    if !give(&sandbox, NOBODY, &sandbox.path("")) {
        return needs_root(test);
    }
    chmod(&sandbox.path(""), 0o755);
    let by_sudo = [("SUDO_UID", "65534")];
    let said = sandbox
        .vault_with(&source, &by_sudo, &["snapshot"])
        .succeeded();
    assert!(said.text().starts_with("SEALED"), "{said}");
    let made = sandbox.path("data/git-vault");
    let before = crate::support::listing::list(&made, &|_| true);
    for (arguments, code) in [(["list"], "GV-3003"), (["snapshot"], "GV-1304")] {
        let mut command = sandbox.command("setpriv", &source);
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.arg(&program).args(arguments);
        let said = bounded(command, &format!("as nobody: git-vault {arguments:?}"));
        assert_refused(&said, &[code], text(&made));
    }
    let after = crate::support::listing::list(&made, &|_| true);
    assert_eq!(
        crate::support::listing::differences("vaults", &before, &after),
        [""; 0]
    );
}

/// What is kept of a file depends on whose it is: what root remembers of one counts for nothing when its owner looks.
#[test]
fn a_scan_cache_that_another_user_made_counts_as_none() {
    let test = "a scan cache that another user made";
    if !has_tool(test, "setpriv") {
        return;
    }
    let Some(setting) = faketime_library(test) else {
        return;
    };
    let (name, library) = setting.split_once('=').expect("a variable and its value");
    let later = [
        (name, library),
        ("FAKETIME", "+2m"),
        ("NO_FAKE_STAT", "1"),
        ("SUDO_UID", "65534"),
    ];
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let tool = write(&source, "tool", "x\n");
    let program = sandbox.path("git-vault");
    crate::support::files::copy_program(&program);
    if !give(&sandbox, NOBODY, &sandbox.path("")) {
        return needs_root(test);
    }
    chmod(&sandbox.path(""), 0o755);
    chmod(&tool, 0o4755);
    let said = sandbox.vault_with(&source, &later, &["snapshot"]);
    let note = "set-user-ID and set-group-ID bits of files of another user are not kept: 1";
    assert!(said.succeeded().text().contains(note), "as root");
    for made in ["data", "config", "state"] {
        assert!(give(&sandbox, NOBODY, &sandbox.path(made)));
    }
    let destination = sandbox.path("restored");
    for arguments in [
        &["snapshot"][..],
        &["restore", "@latest", text(&destination)],
    ] {
        let mut command = sandbox.command("setpriv", &source);
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        command.arg(&program).args(arguments);
        let said = bounded(command, &format!("as nobody: git-vault {arguments:?}")).succeeded();
        assert!(!said.text().starts_with("UNCHANGED"), "{said}");
    }
    let mode = fs::metadata(destination.join("tool")).expect("its mode");
    assert_eq!(mode.mode() & 0o7777, 0o4755);
}
