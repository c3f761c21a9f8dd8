//! Every refusal has one form, and a refused restore leaves destination, neighbours and vault as they were.

use std::fs;
use std::path::{Path, PathBuf};

use git_vault::model::refusal_code::{RefusalCode, Severity};

use crate::laboratory::{bounded, only_vault, refusal};
use crate::support::files::{mkdir, symlink, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::mount::Mount;
use crate::support::{Kind, RepoState, Said, Sandbox, states};

/// The fields of a refusal, in their order; `NEXT` may be missing, and `NOTED` belongs to severity 1.
const FIELDS: [&str; 8] = [
    "REFUSED", "WHAT", "WHY", "STATE", "KEPT", "NOTED", "NEXT", "MORE",
];

/// The first word of every line that begins a field, in their order.
fn fields(text: &str) -> Vec<&str> {
    let starts = text.lines().filter(|line| !line.starts_with(' '));
    starts.filter_map(|line| line.split(' ').next()).collect()
}

/// Stops the test unless a run was refused with one of these codes, in the form that every refusal has, and names `what`.
#[track_caller]
pub fn assert_refused(said: &Said, codes: &[&str], what: &str) {
    let code = refusal(said).unwrap_or_else(|found| panic!("{found}"));
    assert!(
        codes.contains(&code.code()),
        "expected one of {codes:?}\n{said}"
    );
    assert_form(said, code);
    let stderr = String::from_utf8_lossy(&said.stderr);
    assert!(stderr.contains(what), "it should name '{what}'\n{said}");
}

#[track_caller]
fn assert_form(said: &Said, code: RefusalCode) {
    let text = String::from_utf8(said.stderr.clone()).expect("a refusal is UTF-8");
    let first = format!(
        "REFUSED  SEV-{}  {} {}   exit {}",
        code.severity().number(),
        code.code(),
        code.name(),
        code.exit()
    );
    assert_eq!(text.lines().next(), Some(&*first), "{said}");
    let found = fields(&text);
    let is_there = |field: &&str| match *field {
        "NEXT" => found.contains(field),
        "NOTED" => code.severity() == Severity::Sev1,
        _ => true,
    };
    let due: Vec<&str> = FIELDS.into_iter().filter(is_there).collect();
    assert_eq!(
        found, due,
        "the fields of a refusal, in their order\n{said}"
    );
    let more = format!("MORE     git vault runbook {}", code.code());
    assert!(text.lines().any(|line| line.starts_with(&more)), "{said}");
    assert!(text.ends_with('\n') && !text.contains('\u{1b}'), "{said}");
    assert!(
        said.stdout.is_empty(),
        "a refusal belongs on stderr\n{said}"
    );
}

/// A source with one snapshot, and a place beside it for destinations.
struct Scene {
    sandbox: Sandbox,
    source: PathBuf,
    vault: PathBuf,
    id: String,
    place: PathBuf,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let source = (states::find("staged_unstaged_and_untracked").build)(&sandbox);
        let id = sandbox.snapshot(&source);
        let vault = only_vault(&sandbox);
        let place = mkdir(&sandbox.home(), "place");
        Self {
            sandbox,
            source,
            vault,
            id,
            place,
        }
    }

    /// Restores from a directory, naming the vault, so that the source plays no part but as a forbidden place.
    fn restore_from(&self, directory: &Path, destination: &str) -> Said {
        let mut command = self.sandbox.vault_command(directory);
        command.arg("--vault").arg(&self.vault);
        command.args(["restore", &self.id, destination]);
        bounded(
            command,
            &format!("git-vault restore {} '{destination}'", self.id),
        )
    }

    /// The restore is refused both from the source and from elsewhere; source, vault, and place are not even touched.
    #[track_caller]
    fn assert_refused(&self, destination: &Path, codes: &[&str], what: &str) {
        let watched = [
            self.sandbox.workplace(),
            self.place.clone(),
            self.vault.clone(),
        ];
        let before = watched.each_ref().map(|path| Fingerprint::of(path));
        let text = destination.to_str().expect("a UTF-8 path");
        for directory in [&self.source, &self.sandbox.home()] {
            assert_refused(&self.restore_from(directory, text), codes, what);
        }
        assert_refused(
            &self
                .sandbox
                .vault(&self.source, &["restore", &self.id, text]),
            codes,
            what,
        );
        for (path, before) in watched.iter().zip(&before) {
            before.assert_untouched(path);
        }
    }
}

fn shown(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

#[test]
fn a_destination_that_holds_anything_is_refused() {
    let scene = Scene::new();
    write(&scene.place, "with-a-file/precious.txt", "precious\n");
    write(&scene.place, "with-a-hidden-file/.hidden", "");
    mkdir(&scene.place, "with-an-empty-directory/empty");
    symlink(&scene.place, "with-a-dangling-link/link", "nowhere");
    write(&scene.place, "a-file", "precious\n");
    write(&scene.place, "an-empty-file", "");
    for name in [
        "with-a-file",
        "with-a-hidden-file",
        "with-an-empty-directory",
        "with-a-dangling-link",
        "a-file",
        "an-empty-file",
    ] {
        let destination = scene.place.join(name);
        scene.assert_refused(&destination, &["GV-2101"], shown(&destination));
    }
    let said = scene.restore_from(
        &scene.source,
        shown(&scene.place.join("with-a-hidden-file")),
    );
    assert_refused(&said, &["GV-2101"], "'.hidden'");
}

#[test]
fn a_destination_that_is_not_a_directory_of_its_own_is_refused() {
    let scene = Scene::new();
    mkdir(&scene.place, "empty");
    symlink(&scene.place, "link-to-empty", "empty");
    symlink(&scene.place, "dangling", "nowhere");
    symlink(&scene.place, "loop", "loop");
    let status = scene
        .sandbox
        .command("mkfifo", &scene.place)
        .arg("pipe")
        .status();
    assert!(status.expect("mkfifo starts").success());
    for (name, codes) in [
        ("link-to-empty", &["GV-2103"][..]),
        ("dangling", &["GV-2103"]),
        ("loop", &["GV-2103"]),
        ("pipe", &["GV-2101", "GV-2103"]),
    ] {
        let destination = scene.place.join(name);
        scene.assert_refused(&destination, codes, shown(&destination));
    }
    let missing = scene.place.join("not/there/yet");
    scene.assert_refused(
        &missing,
        &["GV-2103"],
        shown(&scene.place.join("not/there")),
    );
    write(&scene.place, "file", "not a directory\n");
    scene.assert_refused(&scene.place.join("file/below"), &["GV-2103"], "file");
    scene.assert_refused(
        &scene.place.join("empty/.."),
        &["GV-2103", "GV-2101"],
        "empty/..",
    );
    scene.assert_refused(Path::new("/"), &["GV-2103", "GV-2101"], "'/'");
}

#[test]
fn a_destination_inside_source_vault_or_keys_is_refused() {
    let scene = Scene::new();
    mkdir(&scene.source, "an empty directory");
    symlink(
        &scene.place,
        "way-in",
        scene.source.as_os_str().as_encoded_bytes(),
    );
    let keys = scene.sandbox.path("config/git-vault/keys");
    for destination in [
        scene.source.join("new"),
        scene.source.join("an empty directory"),
        scene.source.join("src/new"),
        scene.source.join(".git/new"),
        scene.source.join(".git/objects/new"),
        scene.place.join("way-in/new"),
        scene.vault.join("new"),
        scene.vault.join("incidents"),
        scene.vault.join("objects/info/new"),
        keys.join("new"),
    ] {
        scene.assert_refused(&destination, &["GV-2102"], "must not be written");
    }
    for destination in [
        scene.source.clone(),
        scene.source.join(".git"),
        scene.vault.clone(),
    ] {
        let codes = ["GV-2101", "GV-2102", "GV-2103"];
        scene.assert_refused(&destination, &codes, shown(&destination));
    }
}

#[test]
fn the_current_directory_is_refused_however_it_is_named() {
    let scene = Scene::new();
    let here = mkdir(&scene.place, "here");
    symlink(&scene.place, "also-here", ".");
    let before = Fingerprint::of(&scene.place);
    for destination in [".", "./", "../here", shown(&here), "../also-here/here"] {
        let said = scene.restore_from(&here, destination);
        assert_refused(&said, &["GV-2103"], "the current directory");
    }
    before.assert_untouched(&scene.place);
}

/// With `-C`, the shell that started the program stands elsewhere; its directory must not be replaced under it.
#[test]
fn the_current_directory_is_refused_with_another_directory_named() {
    let scene = Scene::new();
    let here = mkdir(&scene.place, "here");
    let before = Fingerprint::of(&scene.place);
    let arguments = [
        "-C",
        shown(&scene.source),
        "restore",
        &scene.id,
        shown(&here),
    ];
    let said = scene.sandbox.vault(&here, &arguments);
    assert_refused(&said, &["GV-2103"], "the current directory");
    before.assert_untouched(&scene.place);
}

#[test]
fn a_mount_point_is_refused() {
    let scene = Scene::new();
    let mounted = mkdir(&scene.place, "mounted");
    let Some(_mount) = Mount::new(&["-t", "tmpfs", "tmpfs"], &mounted) else {
        eprintln!("SKIPPED: a tmpfs cannot be mounted here");
        return;
    };
    scene.assert_refused(&mounted, &["GV-2103"], shown(&mounted));
}

/// Such a mount has the device number of the directory it lies in.
#[test]
fn a_mount_point_of_the_same_file_system_is_refused() {
    let scene = Scene::new();
    let mounted = mkdir(&scene.place, "mounted");
    let elsewhere = mkdir(&scene.sandbox.home(), "elsewhere");
    let Some(_mount) = Mount::bind(&elsewhere, &mounted) else {
        eprintln!("SKIPPED: a directory cannot be bound elsewhere here");
        return;
    };
    scene.assert_refused(&mounted, &["GV-2103"], shown(&mounted));
}

#[test]
fn a_read_only_file_system_is_refused() {
    let scene = Scene::new();
    let sealed = mkdir(&scene.place, "sealed");
    let Some(_mount) = Mount::tmpfs("ro", &sealed) else {
        eprintln!("SKIPPED: a read-only tmpfs cannot be mounted here");
        return;
    };
    let codes = ["GV-2103", "GV-2202"];
    scene.assert_refused(&sealed.join("new"), &codes, shown(&sealed));
}

#[test]
fn too_little_room_is_refused_before_anything_is_written() {
    let scene = Scene::new();
    let small = mkdir(&scene.place, "small");
    let Some(_mount) = Mount::tmpfs("size=64k", &small) else {
        eprintln!("SKIPPED: a small tmpfs cannot be mounted here");
        return;
    };
    scene.assert_refused(&small.join("new"), &["GV-2202"], shown(&small));
}

#[test]
fn an_empty_directory_and_an_absent_one_are_both_restored_to() {
    let scene = Scene::new();
    let original = RepoState::capture(&scene.sandbox, &scene.source, Kind::Workspace);
    let empty = mkdir(&scene.place, "empty");
    for destination in [
        empty,
        scene.place.join("absent"),
        scene.place.join("absent-too/"),
    ] {
        let _said = scene
            .restore_from(&scene.sandbox.home(), shown(&destination))
            .succeeded();
        let restored = RepoState::capture(&scene.sandbox, &destination, Kind::Workspace);
        RepoState::assert_same_workspace(&original, &restored);
    }
    let mut left: Vec<_> = fs::read_dir(&scene.place)
        .expect("the place is read")
        .map(|entry| entry.expect("an entry").file_name())
        .collect();
    left.sort();
    assert_eq!(
        left,
        ["absent", "absent-too", "empty"],
        "nothing is left beside them"
    );
}

/// A machine that has a copy of the vault at another path, the key, and nothing else.
#[test]
fn a_machine_with_only_vault_and_key_restores_and_one_without_key_refuses() {
    let scene = Scene::new();
    let original = RepoState::capture(&scene.sandbox, &scene.source, Kind::Workspace);
    let machine = mkdir(&scene.sandbox.home(), "machine");
    let vault = scene
        .sandbox
        .copy(&scene.vault, "home/machine/brought.vault");
    for gone in ["work", "data", "state"] {
        fs::remove_dir_all(scene.sandbox.path(gone)).expect("it is removed");
    }
    let run = |arguments: &[&str]| {
        let mut command = scene.sandbox.vault_command(&machine);
        for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
            command.env_remove(name);
        }
        command
            .env("HOME", &machine)
            .arg("--vault")
            .arg(&vault)
            .args(arguments);
        bounded(
            command,
            &format!("git-vault --vault V {}", arguments.join(" ")),
        )
    };
    let destination = machine.join("restored");
    for arguments in [
        &["restore", &scene.id, shown(&destination)][..],
        &["verify"],
        &["verify", "--quick"],
        &["list"],
        &["show"],
    ] {
        assert_refused(
            &run(arguments),
            &["GV-1201"],
            shown(&machine.join(".config")),
        );
        assert!(!destination.exists());
    }
    mkdir(&machine, ".config/git-vault");
    fs::rename(
        scene.sandbox.path("config/git-vault/keys"),
        machine.join(".config/git-vault/keys"),
    )
    .expect("the key is brought");
    for arguments in [&["list"][..], &["show"], &["verify", "--deep"]] {
        let _said = run(arguments).succeeded();
    }
    let _said = run(&["restore", "@latest", shown(&destination)]).succeeded();
    let restored = RepoState::capture(&scene.sandbox, &destination, Kind::Workspace);
    RepoState::assert_same_workspace(&original, &restored);
}
