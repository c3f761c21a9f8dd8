//! The judge of a drill is judged: a faithful copy compares equal, each single change to it is refused by the path that was
//! changed, and git is heard when it finds fault.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use git_vault::model::event::Silent;
use git_vault::model::place::{Place, Spot};
use git_vault::model::refusal::Refusal;
use git_vault::model::refusal_code::RefusalCode;
use git_vault::model::timestamp::Timestamp;
use git_vault::ops::ask_git::{self, Expected, GitVerdict, Question};
use git_vault::ops::compare::{Compared, compare};
use git_vault::ops::selection::{Asked, select};
use git_vault::vault::inspect::{Homes, Vault};
use git_vault::vault::reader::{Trusted, trust};

use crate::laboratory::only_vault;
use crate::support::Sandbox;
use crate::support::extended_attributes::{self, Setting};
use crate::support::files::{
    SECOND, append, chmod, mkdir, remove, set_mtime, set_symlink_mtime, symlink, write,
};
use crate::support::states;

/// Opens the one vault of a sandbox, as the program does.
pub fn open(sandbox: &Sandbox) -> Vault {
    let homes = Homes {
        keys: sandbox.path("config/git-vault/keys"),
        state: sandbox.path("state/git-vault"),
    };
    Vault::open(&only_vault(sandbox), &homes).expect("the vault is opened")
}

/// The git on the path.
fn real_git() -> PathBuf {
    let path = std::env::var_os("PATH").expect("a path");
    let mut places = std::env::split_paths(&path).map(|place| place.join("git"));
    places
        .find(|git| git.is_file())
        .expect("git is on the path")
}

/// A restored workspace with everything in it that can differ.
struct Scene {
    sandbox: Sandbox,
    vault: Vault,
    trusted: Trusted,
    restored: PathBuf,
    has_attributes: bool,
}

impl Scene {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let source = states::small_repository(&sandbox);
        append(&source, "README.md", "in a stash\n");
        sandbox.git(&source, &["stash", "push", "--quiet"]);
        append(&source, "README.md", "staged\n");
        sandbox.git(&source, &["add", "--all"]);
        write(&source, "empty.txt", "");
        symlink(&source, "link", "src/one.txt");
        mkdir(&source, "hollow/below");
        let told = extended_attributes::set(&source.join("README.md"), "user.origin", "by hand");
        set_mtime(
            &source.join("README.md"),
            1_600_000_000 * SECOND + 123_456_789,
        );
        let id = sandbox.snapshot(&source);
        let restored = sandbox.restore(&source, &id, "restored");
        let vault = open(&sandbox);
        let asked = Asked {
            now: Timestamp::from_seconds(0),
            zone: || jiff::tz::TimeZone::UTC,
        };
        let logged = select(&vault, &id, asked).expect("the snapshot");
        let trusted = trust(&vault, &logged).expect("it is trusted");
        Self {
            sandbox,
            vault,
            trusted,
            restored,
            has_attributes: told == Setting::Done,
        }
    }

    fn compare(&self, workspace: &Path) -> Result<Compared, Refusal> {
        compare(&self.vault, &self.trusted, workspace, &Silent)
    }

    fn ask(&self, workspace: &Path) -> Result<GitVerdict, Refusal> {
        let scratch = self.sandbox.path("tmp/git");
        if scratch.exists() {
            fs::remove_dir_all(&scratch).expect("the last one is removed");
        }
        ask_git::ask(&Question {
            program: Some(&real_git()),
            restored: &workspace.join(".git"),
            expected: Expected::of(self.trusted.manifest(), &Spot::top(Place::Gitdir)),
            linked: Vec::new(),
            trees: BTreeSet::new(),
            promised: BTreeSet::new(),
            scratch,
        })
    }

    /// A faithful copy in which one thing was changed.
    fn changed(&self, change: &dyn Fn(&Path)) -> PathBuf {
        let copy = self.sandbox.path("changed");
        if copy.exists() {
            fs::remove_dir_all(&copy).expect("the last one is removed");
        }
        let copy = self.sandbox.copy(&self.restored, "changed");
        change(&copy);
        copy
    }

    /// Makes a change below the copy, and says what is wrong unless it is refused by the path that was changed.
    fn unnoticed(&self, named: &str, change: &dyn Fn(&Path)) -> Option<String> {
        let copy = self.changed(change);
        match self.compare(&copy) {
            Ok(_) => Some(format!("{named}: not noticed")),
            Err(refusal) => {
                let shown = format!("'{}'", copy.join(named).display());
                let is_due = refusal.code == RefusalCode::DrillDiffers
                    && refusal.what.contains(&shown)
                    && refusal.why.len() >= 2;
                (!is_due).then(|| format!("{named}: {refusal}"))
            }
        }
    }
}

fn time_of(path: &Path) -> i128 {
    let metadata = path.symlink_metadata().expect("its times");
    i128::from(metadata.mtime()) * SECOND + i128::from(metadata.mtime_nsec())
}

/// Does something in a directory and gives the directory its time back.
fn keeping_time(directory: &Path, change: impl FnOnce()) {
    let time = time_of(directory);
    change();
    set_mtime(directory, time);
}

fn overwrite(path: &Path, bytes: &[u8]) {
    let time = time_of(path);
    let mode = fs::metadata(path).expect("its mode").mode();
    chmod(path, 0o644);
    fs::write(path, bytes).expect("the file is written");
    chmod(path, mode & 0o7777);
    set_mtime(path, time);
}

fn flip(path: &Path) {
    let mut bytes = fs::read(path).expect("the file is read");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    overwrite(path, &bytes);
}

fn replace(path: &Path, make: impl FnOnce()) {
    let parent = path.parent().expect("a directory");
    keeping_time(parent, || {
        if path.is_dir() {
            fs::remove_dir_all(path).expect("the directory is removed");
        } else {
            fs::remove_file(path).expect("the file is removed");
        }
        make();
    });
}

/// The first pack of a restored workspace, relative to it, without its ending.
fn pack_of(workspace: &Path) -> String {
    let mut names: Vec<String> = fs::read_dir(workspace.join(".git/objects/pack"))
        .expect("the packs are read")
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .into_string()
                .expect("a name")
        })
        .collect();
    names.sort();
    let name = names.iter().find_map(|name| name.strip_suffix(".pack"));
    format!(".git/objects/pack/{}", name.expect("a pack"))
}

#[test]
fn a_faithful_copy_compares_equal() {
    let scene = Scene::new();
    let counts = scene
        .compare(&scene.restored)
        .expect("what was restored is whole");
    assert!(counts.files > 10 && counts.directories > 10 && counts.bytes > 1000);
    assert_eq!((counts.links, counts.packs > 0), (1, true));
    let copy = scene.changed(&|_| {});
    assert_eq!(scene.compare(&copy), Ok(counts));
}

#[test]
fn each_change_to_a_file_or_link_is_refused_by_its_path() {
    let scene = Scene::new();
    let later = |path: PathBuf| set_mtime(&path, time_of(&path) + 1);
    let mut wrong = Vec::new();
    let mut expect = |named: &str, change: &dyn Fn(&Path)| {
        wrong.extend(scene.unnoticed(named, change));
    };
    for name in [
        "README.md",
        "src/two.txt",
        ".git/HEAD",
        ".git/index",
        ".git/config",
    ] {
        expect(name, &|copy| flip(&copy.join(name)));
        expect(name, &|copy| chmod(&copy.join(name), 0o640));
        expect(name, &|copy| later(copy.join(name)));
        expect(name, &|copy| {
            let path = copy.join(name);
            let bytes = fs::read(&path).expect("the file is read");
            overwrite(&path, &[&bytes[..], b"\n"].concat());
        });
        expect(name, &|copy| overwrite(&copy.join(name), b""));
        expect(name, &|copy| replace(&copy.join(name), || {}));
    }
    expect("empty.txt", &|copy| {
        overwrite(&copy.join("empty.txt"), b"x")
    });
    expect("link", &|copy| {
        let path = copy.join("link");
        let time = time_of(&path);
        replace(&path, || drop(symlink(copy, "link", "src/two.txt")));
        set_symlink_mtime(&path, time);
    });
    expect("link", &|copy| {
        let path = copy.join("link");
        set_symlink_mtime(&path, time_of(&path) + 1);
    });
    if scene.has_attributes {
        let set = |path: PathBuf, value: &str| {
            let _done = extended_attributes::set(&path, "user.origin", value);
        };
        expect("README.md", &|copy| set(copy.join("README.md"), "another"));
        expect("src/two.txt", &|copy| set(copy.join("src/two.txt"), "new"));
        expect("src", &|copy| set(copy.join("src"), "new"));
        expect("README.md", &|copy| {
            let path = copy.join("README.md");
            let (bytes, time) = (fs::read(&path).expect("it is read"), time_of(&path));
            replace(&path, || drop(write(copy, "README.md", bytes)));
            set_mtime(&path, time);
        });
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn each_change_of_names_and_kinds_is_refused_by_its_path() {
    let scene = Scene::new();
    let mut wrong = Vec::new();
    let mut expect = |named: &str, change: &dyn Fn(&Path)| {
        wrong.extend(scene.unnoticed(named, change));
    };
    for name in [
        "extra",
        "src/extra",
        ".git/extra",
        ".git/refs/extra",
        ".git/hooks/post-checkout",
    ] {
        let add = |copy: &Path, make: &dyn Fn(&Path)| {
            let path = copy.join(name);
            keeping_time(path.parent().expect("a directory"), || make(&path));
        };
        expect(name, &|copy| {
            add(copy, &|path| fs::write(path, b"").expect("a file"))
        });
        expect(name, &|copy| {
            add(copy, &|path| fs::create_dir(path).expect("a directory"))
        });
        expect(name, &|copy| {
            add(copy, &|path| {
                std::os::unix::fs::symlink("nowhere", path).expect("a link");
            });
        });
    }
    for name in [
        "hollow/below",
        "hollow",
        ".git/refs/tags",
        ".git/logs",
        ".git",
    ] {
        expect(name, &|copy| replace(&copy.join(name), || {}));
        expect(name, &|copy| {
            let path = copy.join(name);
            replace(&path, || fs::write(&path, b"a file now").expect("a file"));
        });
        expect(name, &|copy| {
            let path = copy.join(name);
            replace(&path, || {
                std::os::unix::fs::symlink(scene.restored.join(name), &path).expect("a link");
            });
        });
    }
    for name in ["hollow", ".git/refs", ".git"] {
        expect(name, &|copy| chmod(&copy.join(name), 0o711));
        expect(name, &|copy| {
            set_mtime(&copy.join(name), time_of(&copy.join(name)) + 1)
        });
    }
    expect("src/one.txt", &|copy| {
        let path = copy.join("src/one.txt");
        replace(&path, || {
            let outside = scene.restored.join("src/one.txt");
            std::os::unix::fs::symlink(outside, &path).expect("a link");
        });
    });
    expect("src/one.txt", &|copy| {
        let path = copy.join("src/one.txt");
        replace(&path, || {
            let made = std::process::Command::new("mkfifo").arg(&path).status();
            assert!(made.expect("mkfifo starts").success());
        });
    });
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn each_change_to_the_objects_is_refused_by_its_path() {
    let scene = Scene::new();
    let pack = pack_of(&scene.restored);
    let mut wrong = Vec::new();
    let mut expect = |named: &str, change: &dyn Fn(&Path)| {
        wrong.extend(scene.unnoticed(named, change));
    };
    for ending in ["pack", "idx"] {
        let name = format!("{pack}.{ending}");
        expect(&name, &|copy| flip(&copy.join(&name)));
        expect(&name, &|copy| overwrite(&copy.join(&name), b""));
        expect(&name, &|copy| replace(&copy.join(&name), || {}));
        expect(&name, &|copy| {
            let path = copy.join(&name);
            replace(&path, || {
                std::os::unix::fs::symlink(scene.restored.join(&name), &path).expect("a link");
            });
        });
    }
    let extra = [
        "info/alternates",
        "ab/cdef",
        "pack/other.pack",
        "pack/other.keep",
    ];
    for name in extra.map(|name| format!(".git/objects/{name}")) {
        let named = if name.ends_with("cdef") {
            ".git/objects/ab"
        } else {
            &name
        };
        expect(named, &|copy| drop(write(copy, &name, "")));
    }
    assert_eq!(wrong, [""; 0]);
}

#[test]
fn git_finds_a_faithful_copy_whole_and_nothing_is_written_to_it() {
    let scene = Scene::new();
    let before = crate::support::fingerprint::Fingerprint::of(&scene.restored);
    let verdict = scene.ask(&scene.restored).expect("git is content");
    assert!(
        matches!(&verdict, GitVerdict::Whole { version, .. } if version.starts_with("git version ")),
        "{verdict:?}"
    );
    before.assert_untouched(&scene.restored);
}

/// The comparison would stop before, each time; here git is heard alone.
#[test]
fn git_is_heard_when_it_finds_fault() {
    let scene = Scene::new();
    let mut wrong = Vec::new();
    let mut expect = |what: &str, change: &dyn Fn(&Path)| {
        let copy = scene.changed(change);
        match scene.ask(&copy) {
            Err(refusal) if refusal.code == RefusalCode::DrillDiffers => {}
            other => wrong.push(format!("{what}: {other:?}")),
        }
    };
    let git = |copy: &Path, arguments: &[&str]| drop(scene.sandbox.git(copy, arguments));
    expect("no objects", &|copy| {
        let pack = copy.join(pack_of(copy));
        remove(copy, format!("{}.idx", pack_of(copy)));
        assert!(pack.with_extension("pack").exists());
    });
    expect("another branch", &|copy| {
        git(copy, &["symbolic-ref", "HEAD", "refs/heads/other"])
    });
    expect("another commit", &|copy| {
        git(copy, &["update-ref", "HEAD", "HEAD~1"]);
    });
    expect("detached", &|copy| {
        git(copy, &["checkout", "--quiet", "--detach"])
    });
    expect("a ref to nothing", &|copy| {
        drop(write(
            copy,
            ".git/refs/heads/lost",
            format!("{}\n", "1".repeat(40)),
        ));
    });
    expect("a packed ref to nothing", &|copy| {
        let line = format!(
            "# pack-refs with: peeled\n{} refs/heads/lost\n",
            "1".repeat(40)
        );
        drop(write(copy, ".git/packed-refs", line));
    });
    expect("a stash of nothing", &|copy| {
        let line = format!("{} {} a <b> 0 +0000\tm\n", "0".repeat(40), "1".repeat(40));
        append(copy, ".git/logs/refs/stash", line);
    });
    expect("a merge of nothing", &|copy| {
        drop(write(
            copy,
            ".git/MERGE_HEAD",
            format!("{}\n", "1".repeat(40)),
        ));
    });
    expect("an index that names nothing", &|copy| {
        let lost = format!("100644,{},lost.txt", "1".repeat(40));
        git(copy, &["update-index", "--add", "--cacheinfo", &lost]);
    });
    assert_eq!(wrong, [""; 0]);
}
