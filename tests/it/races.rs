//! The source changes, is swapped or vanishes while it is read; the clock jumps; one vault has two paths. Each snapshot is
//! one moment of the source or is refused.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::concurrency::{assert_none_harms_another, id_of};
use crate::crash::{can_trace, points};
use crate::laboratory::{Laboratory, assert_none, bounded, effort, refusal, run};
use crate::pause::{paused, paused_with};
use crate::support::files::{append, chmod, mkdir, set_mtime, symlink, write};
use crate::support::listing::{self, Content, Listing};
use crate::support::mount::{Mount, has_tool};
use crate::support::{Kind, RepoState, Said, Sandbox, states};

const VICTIM: &str = "held/victim.txt";
const OLD: &str = "what stood here when the run began\n";

/// Changes the file at the first path; the second is free to use.
type Change = fn(&Path, &Path);

/// What another process does to the victim, a file in the source, while it is read.
const CHANGES: [(&str, Change); 11] = [
    ("rewritten", |path, _| {
        fs::write(path, "longer: ".repeat(20_000)).expect("written")
    }),
    ("grown in place", |path, _| {
        let file = fs::OpenOptions::new().append(true).open(path);
        std::io::Write::write_all(&mut file.expect("opened"), b"and more\n").expect("written");
    }),
    ("truncated", |path, _| fs::write(path, "").expect("written")),
    ("replaced", |path, aside| {
        fs::write(aside, "another file\n").expect("written");
        fs::rename(aside, path).expect("renamed");
    }),
    ("a symlink now", |path, aside| {
        fs::remove_file(path).expect("removed");
        std::os::unix::fs::symlink(aside, path).expect("made");
    }),
    ("a FIFO now", |path, _| {
        fs::remove_file(path).expect("removed");
        let status = Command::new("mkfifo").arg(path).status();
        assert!(status.expect("mkfifo starts").success());
    }),
    ("a directory now", |path, _| {
        fs::remove_file(path).expect("removed");
        fs::create_dir(path).expect("made");
    }),
    ("of another mode", |path, _| chmod(path, 0o755)),
    ("gone", |path, _| fs::remove_file(path).expect("removed")),
    ("of the same size and time, with other bytes", |path, _| {
        let before = listing::list(path.parent().expect("one"), &|_| true);
        let mtime = before[b"victim.txt".as_slice()].mtime_nanoseconds;
        fs::write(path, OLD.to_uppercase()).expect("written");
        set_mtime(path, mtime);
    }),
    ("in a directory that is a symlink now", |path, aside| {
        let directory = path.parent().expect("one");
        fs::rename(directory, aside).expect("renamed");
        std::os::unix::fs::symlink(aside, directory).expect("made");
    }),
];

/// The working tree as a restore gives it back: without what is not recreated.
fn seen(workspace: &Path) -> Listing {
    let mut listing = listing::list(workspace, &|name| !name.starts_with(b".git"));
    listing.retain(|_, entry| !matches!(entry.content, Content::Special(_)));
    listing
}

/// Puts the victim back, new to the vault.
fn put_back(laboratory: &Laboratory) -> PathBuf {
    let held = laboratory.source.join("held");
    if held.is_symlink() {
        fs::remove_file(&held).expect("removed");
    } else if held.exists() {
        fs::remove_dir_all(&held).expect("removed");
    }
    let aside = laboratory.sandbox.path("aside");
    if aside.is_dir() {
        fs::remove_dir_all(aside).expect("removed");
    }
    write(&laboratory.source, VICTIM, OLD)
}

/// Where the run is stopped: at calls on the victim, and at full effort all over the run.
fn stops(victim: &Path) -> Vec<(&'static str, usize, Option<PathBuf>)> {
    let mut stops = Vec::new();
    let relative = PathBuf::from("victim.txt");
    for path in [victim.to_owned(), relative] {
        for call in [
            "openat",
            "read",
            "statx",
            "newfstatat",
            "fstat",
            "fgetxattr",
            "flistxattr",
        ] {
            for number in 1..=if effort() >= 10 { 8 } else { 1 } {
                stops.push((call, number, Some(path.clone())));
            }
        }
    }
    if effort() >= 10 {
        for (call, count) in [("openat", 460), ("getdents64", 60), ("statx", 300)] {
            stops.extend(
                points(count, 1)
                    .into_iter()
                    .step_by(16)
                    .map(|number| (call, number, None)),
            );
        }
    }
    stops
}

struct Race {
    laboratory: Laboratory,
    outcomes: BTreeMap<String, usize>,
    wrong: Vec<String>,
}

impl Race {
    /// A sealed snapshot is the state before or the state after, and nothing in between.
    fn judge(&mut self, what: &str, said: &Said, before: &Listing, after: &Listing) {
        if said.code != Some(0) {
            match refusal(said) {
                Ok(code) if matches!(code.code(), "GV-2001" | "GV-2002") => {
                    *self.outcomes.entry(code.code().to_owned()).or_default() += 1;
                }
                Ok(_) => self
                    .wrong
                    .push(format!("=== {what}: a code that does not fit\n{said}")),
                Err(error) => self.wrong.push(format!("=== {what}: {error}")),
            }
            return;
        }
        let laboratory = &self.laboratory;
        let restored = laboratory
            .sandbox
            .restore(&laboratory.source, &id_of(said), "out");
        let found = seen(&restored);
        let outcome = if found == *before {
            "as it was before"
        } else if found == *after {
            "as it was after"
        } else {
            let differences = listing::differences("restored", after, &found);
            let text = differences.join("\n");
            self.wrong
                .push(format!("=== {what}: not one moment:\n{text}\n{said}"));
            "neither"
        };
        *self.outcomes.entry(outcome.to_owned()).or_default() += 1;
        self.laboratory.sweep_away_restores();
    }
}

#[test]
fn a_source_that_changes_under_the_reader_is_one_moment_or_refused() {
    let test = "changes under the reader";
    if !can_trace(test) {
        return;
    }
    let laboratory = Laboratory::new();
    let (outcomes, wrong) = (BTreeMap::new(), Vec::new());
    let mut race = Race {
        laboratory,
        outcomes,
        wrong,
    };
    let victim = put_back(&race.laboratory);
    let stops = stops(&victim);
    let mut reached = vec![true; stops.len()];
    for (what, change) in CHANGES {
        for (place, (call, number, path)) in stops.iter().enumerate() {
            if !reached[place] {
                continue;
            }
            let laboratory = &race.laboratory;
            let _path = put_back(laboratory);
            let before = seen(&laboratory.source);
            let aside = laboratory.sandbox.path("aside");
            let (said, was_stopped) = paused(
                &laboratory.sandbox,
                &laboratory.source,
                (call, *number, path.as_deref()),
                &["snapshot"],
                || change(&victim, &aside),
            );
            reached[place] = was_stopped;
            let after = seen(&laboratory.source);
            race.judge(
                &format!("{what}, at {call} {number}"),
                &said,
                &before,
                &after,
            );
            race.laboratory.reset();
        }
    }
    let points: usize = race.outcomes.values().sum();
    eprintln!("{test}: {points} points, {:?}", race.outcomes);
    assert_none(&race.wrong);
    assert!(
        race.outcomes.contains_key("as it was after"),
        "no change was seen"
    );
}

#[test]
fn a_vault_that_is_reached_by_two_paths_is_one_vault() {
    let sandbox = Sandbox::new();
    let repository = states::small_repository(&sandbox);
    let _first = sandbox.snapshot(&repository);
    let home = sandbox.path("data/git-vault/vaults");
    let link = symlink(
        &sandbox.path(""),
        "link",
        home.as_os_str().as_encoded_bytes(),
    );
    let bound = mkdir(&sandbox.path(""), "bound");
    let mount = Mount::bind(&home, &bound);
    if mount.is_none() {
        eprintln!("SKIPPED: a vault by a bind mount: nothing can be bound here (it needs root)");
    }
    let mut paths = vec![home, link];
    paths.extend(mount.is_some().then_some(bound));
    for round in 0..effort().min(5) {
        append(&repository, "README.md", format!("round {round}\n"));
        sandbox.commit(&repository, "another round");
        let commands = paths.iter().map(|path| {
            let mut command = sandbox.vault_command(&repository);
            command
                .env("GIT_VAULT_HOME", path)
                .args(["snapshot", "-m", "at once"]);
            command
        });
        let commands: Vec<Command> = commands.collect();
        let said: Vec<Said> = std::thread::scope(|scope| {
            let threads = commands.into_iter();
            let threads: Vec<_> = threads
                .map(|command| scope.spawn(|| bounded(command, "git-vault snapshot")))
                .collect();
            let ends = threads.into_iter().map(|thread| thread.join());
            ends.map(|said| said.expect("the thread ends")).collect()
        });
        assert_none_harms_another(&sandbox, &repository, &said);
    }
    let counts = paths.iter().map(|path| {
        let mut command = sandbox.vault_command(&repository);
        command.env("GIT_VAULT_HOME", path).args(["--json", "list"]);
        let said = bounded(command, "git-vault list").succeeded();
        said.json()["snapshots"].as_array().map(Vec::len)
    });
    let counts: Vec<Option<usize>> = counts.collect();
    assert!(counts.iter().all(|count| *count == counts[0]), "{counts:?}");
}

/// The library by which `faketime` deceives a program, or none where it is not installed.
pub fn faketime_library(test: &str) -> Option<String> {
    if !has_tool(test, "faketime") {
        return None;
    }
    let output = Command::new("faketime").args(["-f", "+0", "env"]).output();
    let text = String::from_utf8(output.ok()?.stdout).ok()?;
    let line = text.lines().find(|line| line.starts_with("LD_PRELOAD="));
    line.map(str::to_owned)
}

/// Order comes from the numbers of the log; a clock that is wrong, or jumps while a snapshot is made, changes nothing.
#[test]
fn a_clock_that_jumps_makes_no_wrong_snapshot() {
    let test = "a clock that jumps";
    let Some(library) = faketime_library(test) else {
        return;
    };
    if !can_trace(test) {
        return;
    }
    let sandbox = Sandbox::new();
    let repository = states::small_repository(&sandbox);
    let clock = sandbox.path("clock");
    let environment = [
        library,
        format!("FAKETIME_TIMESTAMP_FILE={}", clock.display()),
        "FAKETIME_NO_CACHE=1".to_owned(),
        "NO_FAKE_STAT=1".to_owned(),
    ];
    let jumps = [
        ("+0", "-1y"),
        ("-1y", "+0"),
        ("+0", "+10y"),
        ("+10y", "+0"),
        ("-1y", "+10y"),
        ("+10y", "-1y"),
    ];
    let mut sealed = Vec::new();
    let mut refused: BTreeMap<&str, usize> = BTreeMap::new();
    for (from, to) in jumps {
        for number in points(80, 3) {
            append(&repository, "README.md", format!("{from} {to} {number}\n"));
            let original = RepoState::capture(&sandbox, &repository, Kind::Workspace);
            fs::write(&clock, from).expect("the clock is set");
            let jump = || fs::write(&clock, to).expect("the clock is set");
            let place = ("openat", number * 5, None);
            let message = format!("--message=the clock jumps to {to}");
            let arguments = ["snapshot", &message];
            let (said, _) =
                paused_with(&sandbox, &repository, place, &environment, &arguments, jump);
            if said.code != Some(0) {
                let code = refusal(&said).expect("a refusal in its due form");
                assert_eq!(code.code(), "GV-2002", "{said}");
                *refused.entry(code.code()).or_default() += 1;
                continue;
            }
            let id = id_of(&said);
            let restored = sandbox.restore(&repository, &id, "out");
            let found = RepoState::capture(&sandbox, &restored, Kind::Workspace);
            RepoState::assert_same_workspace(&original, &found);
            fs::remove_dir_all(restored).expect("the copy is removed");
            sealed.push(id);
        }
    }
    eprintln!("{test}: {} sealed, refused: {refused:?}", sealed.len());
    assert!(!sealed.is_empty(), "none was sealed");
    let listed = run(&sandbox, &repository, &["--json", "list"])
        .succeeded()
        .json();
    let listed = listed["snapshots"].as_array().expect("a list").iter();
    let listed: Vec<_> = listed
        .map(|one| one["id"].as_str().expect("an id"))
        .collect();
    assert_eq!(listed, sealed, "in the order in which they were made");
    let _said = run(&sandbox, &repository, &["verify", "--deep"]).succeeded();
}

#[test]
fn an_object_that_leaves_its_pack_for_a_file_of_its_own_meanwhile_is_captured() {
    if !can_trace("objects taken out of packs") {
        return;
    }
    let sandbox = Sandbox::new();
    let mut stops = 0;
    for number in 1..12 {
        // Nothing names the blob, and a pack holds it.
        let source = sandbox.init(&format!("repository-{number}"));
        write(&source, "file.txt", "work\n");
        sandbox.commit(&source, "first");
        let lost = write(&sandbox.path("tmp"), "lost", format!("lost {number}\n"));
        let lost = lost.to_str().expect("UTF-8");
        let id = sandbox.git_text(&source, &["hash-object", "-w", "--no-filters", lost]);
        let id = id.trim();
        sandbox.git(&source, &["update-ref", "refs/tags/lost", id]);
        sandbox.git(&source, &["repack", "-adq"]);
        sandbox.git(&source, &["update-ref", "-d", "refs/tags/lost"]);
        let packs = source.join(".git/objects/pack");
        let stop = ("openat", number, Some(packs.as_path()));
        let meanwhile = || {
            sandbox.git(&source, &["repack", "-Adqn"]);
        };
        let (said, was_stopped) = paused(&sandbox, &source, stop, &["snapshot"], meanwhile);
        assert_eq!(said.code, Some(0), "{said}");
        let restored = sandbox.restore(&source, &id_of(&said), &format!("out-{number}"));
        sandbox.git(&restored, &["cat-file", "-e", id]);
        if !was_stopped {
            break;
        }
        stops += 1;
    }
    assert!(stops > 1, "it was never stopped");
}
