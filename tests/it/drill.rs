//! A drill proves what it says: it restores for real, finds every kind of difference, records nothing that does not hold, runs
//! nothing that was captured, and leaves no copy behind unless there is something to see.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use git_vault::host::git::repository::Lookup;
use git_vault::host::keys;
use git_vault::model::event::Silent;
use git_vault::model::log_entry::{Compromise, LogEvent, Rotation};
use git_vault::model::timestamp::Timestamp;
use git_vault::ops::drill::{DrillReport, DrillRequest, Which, drill};
use git_vault::ops::locate::Workplace;
use git_vault::vault::inspect::Homes;
use git_vault::vault::last_seen;

use crate::crash::{can_trace, points, traced};
use crate::drill_compare::open;
use crate::laboratory::{Laboratory, effort, only_vault};
use crate::support::Sandbox;
use crate::support::files::{chmod, mkdir, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::listing;
use crate::support::mount::Mount;
use crate::support::states::{self, State};

/// What the drills of a log say, as text, the oldest first.
fn drill_entries(vault: &Path) -> Vec<String> {
    let mut names: Vec<PathBuf> = fs::read_dir(vault.join("log"))
        .expect("the log is read")
        .map(|entry| entry.expect("an entry").path())
        .collect();
    names.sort();
    let texts = names
        .iter()
        .map(|name| fs::read_to_string(name).expect("an entry"));
    texts.filter(|text| text.contains("\n[drill]\n")).collect()
}

fn number(text: &str, field: &str) -> u64 {
    let start = format!("{field} = ");
    let (_, drill) = text.split_once("[drill]").expect("a drill");
    let line = drill.lines().find_map(|line| line.strip_prefix(&start));
    line.and_then(|value| value.parse().ok())
        .unwrap_or_else(|| panic!("{field} in {text}"))
}

/// Files, directories, links and bytes of a restored workspace, as the file system counts them, without its objects.
fn counted(workspace: &Path, objects: &Path) -> [u64; 4] {
    let mut counts = [0; 4];
    let mut places = vec![workspace.to_owned()];
    while let Some(place) = places.pop() {
        counts[1] += 1;
        for entry in fs::read_dir(&place).expect("the directory is read") {
            let path = entry.expect("an entry").path();
            let metadata = path.symlink_metadata().expect("its metadata");
            if metadata.is_symlink() {
                counts[2] += 1;
            } else if metadata.is_file() {
                counts[0] += 1;
                counts[3] += metadata.len();
            } else if metadata.is_dir() && path != *objects {
                places.push(path);
            }
        }
    }
    counts
}

/// What drills have left in the sandbox's temporary directory.
fn scratch_leftovers(sandbox: &Sandbox) -> Vec<PathBuf> {
    let entries = fs::read_dir(sandbox.path("tmp")).expect("the directory is read");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let is_ours = |path: &PathBuf| {
        let name = path.file_name().unwrap_or_default();
        name.to_string_lossy().starts_with("git-vault-drill-")
    };
    let mut paths: Vec<_> = paths.filter(is_ours).collect();
    paths.sort();
    paths
}

fn no_paths() -> Vec<PathBuf> {
    Vec::new()
}

/// A drill of the newest snapshot of a state: on record with the counts of the file system, and nothing else was touched.
#[track_caller]
fn assert_drilled(state: State) {
    let sandbox = Sandbox::new();
    let source = (state.build)(&sandbox);
    let id = sandbox.snapshot(&source);
    let vault = only_vault(&sandbox);
    sandbox.forget_marker();
    let untouched = Fingerprint::of(&sandbox.workplace());
    let before = listing::list(&vault, &|_| true);

    let said = sandbox.vault(&source, &["--json", "drill"]).succeeded();
    let name = state.name;
    let answer = said.json();
    assert_eq!(
        answer["drills"][0]["snapshot"],
        id.as_str(),
        "{name}: {said}"
    );
    assert!(
        !sandbox.marker().exists(),
        "{name}: a planted command was run"
    );
    untouched.assert_untouched(&sandbox.workplace());
    assert_eq!(scratch_leftovers(&sandbox), no_paths(), "{name}");
    let mut after = listing::list(&vault, &|_| true);
    after.retain(|path, _| before.contains_key(path) && path != b"log" && path != b"cache");
    let mut before = before;
    before.retain(|path, _| path != b"log" && path != b"cache");
    assert_eq!(
        listing::differences("vault", &before, &after),
        [""; 0],
        "{name}"
    );

    let entries = drill_entries(&vault);
    assert_eq!(entries.len(), 1, "{name}");
    assert!(
        entries[0].contains(&format!("snapshot = \"{id}\"")),
        "{name}"
    );
    assert!(
        entries[0].contains("git = \"git version "),
        "{name}: {}",
        entries[0]
    );
    let restored = sandbox.restore(&source, &id, "restored");
    let inside = restored.join(".git/objects");
    let objects = if inside.is_dir() {
        inside
    } else {
        restored.join("objects")
    };
    let logged = ["files", "directories", "links", "bytes"].map(|field| number(&entries[0], field));
    assert_eq!(logged, counted(&restored, &objects), "{name}");
}

/// States that are drilled by default: one for each thing that git could see otherwise than we do.
const STATES: [&str; 18] = [
    "conflict_stages",
    "intent_to_add",
    "unborn_with_files",
    "three_stashes",
    "rebase_with_autostash",
    "odd_names",
    "filter_that_must_never_run",
    "modes",
    "sparse_checkout",
    "packed_and_loose_refs",
    "unreachable_objects",
    "hooks_and_config",
    "bare_repository",
    "sha256_repository",
    "split_index",
    "sparse_index",
    "reftable_refs",
    "reftable_sha256",
];

fn assert_all_drilled(is_wanted: impl Fn(usize) -> bool) {
    let is_chosen = |state: &State| effort() >= 10 || STATES.contains(&state.name);
    let states: Vec<State> = states::all_states().into_iter().filter(is_chosen).collect();
    assert!(states.len() >= STATES.len());
    for (_, state) in states
        .into_iter()
        .enumerate()
        .filter(|(place, _)| is_wanted(*place))
    {
        assert_drilled(state);
    }
}

#[test]
fn drills_of_many_states_are_on_record_with_what_is_on_disk() {
    assert_all_drilled(|place| place % 2 == 0);
}

#[test]
fn drills_of_many_other_states_are_on_record_with_what_is_on_disk() {
    assert_all_drilled(|place| place % 2 == 1);
}

/// A directory with a program named git that does this.
fn fake_git(sandbox: &Sandbox, place: &Path, script: &str) -> String {
    let path = write(place, "git", format!("#!/bin/sh\n{script}\n"));
    chmod(&path, 0o755);
    let others = std::env::var("PATH").expect("a path");
    assert!(place.starts_with(sandbox.path("")));
    format!("{}:{others}", place.display())
}

#[test]
fn without_git_the_drill_counts_and_says_that_git_was_not_asked() {
    let laboratory = Laboratory::new();
    let sandbox = &laboratory.sandbox;
    let nowhere = mkdir(&sandbox.home(), "nowhere");
    for path in [
        "",
        "relative/bin:.",
        nowhere.to_str().expect("a UTF-8 path"),
    ] {
        laboratory.reset();
        let environment = [("PATH", path)];
        let said = sandbox.vault_with(&laboratory.source, &environment, &["--json", "drill"]);
        let answer = said.clone().succeeded().json();
        assert!(answer["drills"][0]["git"].is_null(), "{said}");
        assert!(answer["drills"][0]["git_not_asked"].is_string(), "{said}");
        let entries = drill_entries(&laboratory.vault);
        assert_eq!(entries.len(), 1);
        assert!(entries[0].contains("git = \"\""), "{}", entries[0]);
    }
    let said = sandbox.vault_with(&laboratory.source, &[("PATH", "")], &["drill"]);
    assert!(said.succeeded().text().contains("\nGIT        not asked: "));
}

/// Git reads refs from tables since 2.45; an older one would refuse the repository, which is no damage.
#[test]
fn a_git_that_does_not_know_tables_is_not_asked_about_them() {
    let sandbox = Sandbox::new();
    let source = (states::find("reftable_detached").build)(&sandbox);
    if !source.join(".git/reftable").exists() {
        return;
    }
    let _id = sandbox.snapshot(&source);
    let script = "case \"$1\" in version) echo git version 2.39.5;; *) exit 128;; esac";
    let path = fake_git(&sandbox, &mkdir(&sandbox.home(), "bin"), script);
    let said = sandbox.vault_with(&source, &[("PATH", path.as_str())], &["drill"]);
    let text = said.succeeded().text();
    let reason = "not asked: git version 2.39.5 does not know reftable";
    assert!(text.contains(reason), "{text}");
}

#[test]
fn a_git_that_lies_in_the_captured_workspace_is_not_run() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let script = format!("touch '{}'; exit 1", sandbox.marker().display());
    let path = fake_git(&sandbox, &mkdir(&source, "bin"), &script);
    let _id = sandbox.snapshot(&source);
    let environment = [("PATH", path.as_str())];
    let said = sandbox.vault_with(&source, &environment, &["--json", "drill"]);
    let answer = said.succeeded().json();
    assert!(answer["drills"][0]["git"].is_null());
    assert!(!sandbox.marker().exists());
}

#[test]
fn a_git_that_finds_fault_refuses_the_drill_and_the_copy_is_kept() {
    let laboratory = Laboratory::new();
    let sandbox = &laboratory.sandbox;
    let complaints = [
        "case \"$1\" in fsck) echo missing blob abc; exit 2;; esac",
        "case \"$1\" in fsck) kill -KILL $$;; esac",
        "case \"$1\" in fsck) exit 128;; esac",
        "case \"$1\" in rev-parse) echo 1234; exit 0;; esac",
        "case \"$1\" in rev-list) exit 1;; esac",
        "case \"$1\" in cat-file) echo abc missing; exit 0;; esac",
    ];
    let real = sandbox.path("home/bin");
    for (number, complaint) in complaints.iter().enumerate() {
        fs::create_dir_all(&real).expect("the directory is made");
        let git = "/usr/bin/env -S git";
        let script = format!(
            "{complaint}\nPATH='{}' exec {git} \"$@\"",
            std::env::var("PATH").expect("a path")
        );
        let path = fake_git(sandbox, &real, &script);
        let environment = [("PATH", path.as_str())];
        let said = sandbox.vault_with(&laboratory.source, &environment, &["drill"]);
        let said = said.refused("GV-3401");
        assert_eq!(said.code, Some(30));
        assert_eq!(drill_entries(&laboratory.vault), [""; 0], "{complaint}");
        let left = scratch_leftovers(sandbox);
        assert_eq!(left.len(), number + 1, "{complaint}: the copy is kept");
        let shown = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(
            left.iter()
                .any(|left| shown.contains(left.to_str().expect("a path"))),
            "{said}"
        );
    }
}

#[test]
fn git_is_given_nothing_of_the_environment_or_the_workspace() {
    let laboratory = Laboratory::new();
    let sandbox = &laboratory.sandbox;
    let record = sandbox.path("home/record");
    let script = format!(
        "{{ echo \"ARGUMENTS $*\"; /usr/bin/env; }} >>'{}'\nPATH='{}' exec /usr/bin/env -S git \"$@\"",
        record.display(),
        std::env::var("PATH").expect("a path")
    );
    let path = fake_git(sandbox, &mkdir(&sandbox.home(), "bin"), &script);
    let source = laboratory.source.to_str().expect("a UTF-8 path");
    let environment = [
        ("PATH", path.as_str()),
        ("GIT_WORK_TREE", source),
        ("GIT_CONFIG_COUNT", "1"),
        ("GIT_CONFIG_KEY_0", "core.fsmonitor"),
        ("GIT_CONFIG_VALUE_0", "touch marker"),
        ("GIT_TRACE", "1"),
        ("LD_BIND_NOW", "1"),
    ];
    let _said = sandbox
        .vault_with(&laboratory.source, &environment, &["drill"])
        .succeeded();
    let record = fs::read_to_string(record).expect("git was run");
    assert!(record.contains("ARGUMENTS version\n") && record.contains("ARGUMENTS fsck "));
    for absent in [
        source,
        "GIT_CONFIG_COUNT",
        "GIT_TRACE",
        "LD_BIND_NOW",
        "/workspace\n",
    ] {
        assert!(!record.contains(absent), "{absent} in\n{record}");
    }
}

#[test]
fn a_damaged_vault_is_neither_proven_nor_on_record_and_leaves_no_copy() {
    let laboratory = Laboratory::new();
    let files = laboratory.files();
    let is_needed = |path: &&Vec<u8>| {
        [&b".pack"[..], b".idx", b".toml"]
            .iter()
            .any(|ending| path.ends_with(ending))
            && !path.starts_with(b"cache/")
    };
    let needed: Vec<&Vec<u8>> = files.iter().filter(is_needed).collect();
    assert!(needed.len() > 10);
    for place in points(needed.len(), 12) {
        let path = crate::support::files::at(&laboratory.vault, needed[place - 1]);
        let mut bytes = fs::read(&path).expect("the file is read");
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        chmod(&path, 0o600);
        fs::write(&path, bytes).expect("the file is damaged");
        let said = laboratory.run(&["drill", "--all"]);
        // A manifest of an older snapshot is only met when its turn comes.
        let proven = drill_entries(&laboratory.vault).len();
        assert_ne!(said.code, Some(0), "{}: {said}", path.display());
        assert!(proven < 3, "{}", path.display());
        assert_eq!(scratch_leftovers(&laboratory.sandbox), no_paths());
        laboratory.reset();
    }
}

#[test]
fn a_vault_that_is_named_is_drilled_and_not_written_to() {
    let laboratory = Laboratory::new();
    let copy = laboratory.sandbox.copy(&laboratory.vault, "copy.vault");
    let untouched = Fingerprint::of(&copy);
    let home = laboratory.sandbox.home();
    let arguments = [
        "--json",
        "--vault",
        copy.to_str().expect("a path"),
        "drill",
        "--all",
    ];
    let said = laboratory.sandbox.vault(&home, &arguments).succeeded();
    let answer = said.json();
    assert_eq!(answer["drills"].as_array().map(Vec::len), Some(3), "{said}");
    assert!(answer["drills"][0]["recorded_as"].is_null(), "{said}");
    assert!(answer["drills"][0]["not_recorded"].is_string(), "{said}");
    assert_eq!(answer["proven_in_vault"], 0);
    untouched.assert_untouched(&copy);
}

#[test]
fn list_and_show_say_proven_once_a_drill_is_on_record() {
    let laboratory = Laboratory::new();
    let _said = laboratory.run(&["verify", "--deep"]).succeeded();
    let said = laboratory
        .run(&["drill", &laboratory.sealed[1].id])
        .succeeded();
    assert!(said.text().starts_with("PROVEN     "), "{said}");
    assert!(
        said.text().contains("1 of 3 snapshots in the vault proven"),
        "{said}"
    );
    let list = laboratory.run(&["list"]).succeeded().text();
    let words: Vec<bool> = list
        .lines()
        .map(|line| line.contains("  PROVEN 2"))
        .collect();
    assert_eq!(words, [false, true, false], "{list}");
    assert_eq!(list.matches("VERIFIED deep").count(), 2, "{list}");
    let show = laboratory
        .run(&["show", &laboratory.sealed[1].id])
        .succeeded();
    assert!(show.text().contains("PROVEN 2"), "{show}");
    let _said = laboratory.run(&["index", "rebuild"]).succeeded();
    let json = laboratory.run(&["--json", "list"]).succeeded().json();
    assert!(json["snapshots"][0]["drilled"].is_null());
    assert!(json["snapshots"][1]["drilled"].is_string());
    let _said = laboratory.run(&["verify", "--deep"]).succeeded();
}

/// What a drill of the library is told; its clock goes ten seconds ahead at every look.
fn drill_with(laboratory: &Laboratory, which: Which, budget: Option<Duration>) -> DrillReport {
    let sandbox = &laboratory.sandbox;
    let workplace = Workplace {
        lookup: Lookup {
            start: laboratory.source.clone(),
            configuration_from_environment: false,
            home: Some(sandbox.home()),
            default_excludes_file: None,
        },
        vault: None,
        vault_home: sandbox.path("data/git-vault/vaults"),
        homes: Homes {
            keys: sandbox.path("config/git-vault/keys"),
            state: sandbox.path("state/git-vault"),
        },
        current: laboratory.source.clone(),
        now: Timestamp::from_seconds(0),
        zone: || jiff::tz::TimeZone::UTC,
    };
    let seconds = AtomicI64::new(0);
    let clock = || i128::from(seconds.fetch_add(10, Ordering::Relaxed)) * 1_000_000_000;
    let request = DrillRequest {
        which,
        budget,
        scratch: sandbox.path("tmp"),
        git: None,
    };
    drill(&workplace, &request, &clock, &Silent).expect("the drills")
}

fn drilled(report: &DrillReport) -> Vec<u64> {
    report
        .drills
        .iter()
        .map(|drilled| drilled.snapshot.number)
        .collect()
}

#[test]
fn the_least_proven_is_drilled_first() {
    let laboratory = Laboratory::new();
    assert_eq!(drilled(&drill_with(&laboratory, Which::Newest, None)), [3]);
    let all = drill_with(&laboratory, Which::All, None);
    assert_eq!(
        drilled(&all),
        [2, 1, 3],
        "the newest of those never proven, then what was"
    );
    assert_eq!((all.proven_in_vault, all.remaining.len()), (3, 0));
    let named = Which::Named(vec!["@~1".to_owned(), "@~2".to_owned(), "@~1".to_owned()]);
    assert_eq!(
        drilled(&drill_with(&laboratory, named, None)),
        [2, 1],
        "each once"
    );
    assert_eq!(
        drilled(&drill_with(&laboratory, Which::All, None)),
        [3, 2, 1]
    );
}

#[test]
fn a_budget_ends_before_a_further_drill_but_never_before_the_first() {
    let laboratory = Laboratory::new();
    let tiny = drill_with(&laboratory, Which::All, Some(Duration::from_nanos(1)));
    assert_eq!(drilled(&tiny), [3]);
    let remaining: Vec<&str> = tiny.remaining.iter().map(|id| id.as_str()).collect();
    assert_eq!(
        remaining,
        [&laboratory.sealed[1].id, &laboratory.sealed[0].id]
    );
    // The clock is looked at once at the start, before each further drill and for each record.
    let two = drill_with(&laboratory, Which::All, Some(Duration::from_secs(25)));
    assert_eq!(drilled(&two), [2, 1], "what remained comes first next time");
    assert_eq!((two.proven_in_vault, two.remaining.len()), (3, 1));
    for text in ["0s", "1", "5 m", "-1s", "1d"] {
        let said = laboratory.run(&["drill", &format!("--budget={text}")]);
        assert_eq!(said.code, Some(2), "{said}");
    }
}

#[test]
fn what_a_compromised_key_signed_is_not_drilled_and_its_drills_do_not_count() {
    let laboratory = Laboratory::new();
    let _said = laboratory.run(&["drill", "--all"]).succeeded();
    let mut vault = open(&laboratory.sandbox);
    let first = vault.log.snapshots[0].entry;
    let (old, at) = (vault.key().id(), Timestamp::from_seconds(1_700_000_000));
    let (new, _path) = keys::create(&vault.homes.keys, vault.binding.vault, at).expect("a key");
    let (number, previous) = (vault.log.head + 1, vault.log.head_blake3.expect("an entry"));
    let countersignature = new
        .countersign(vault.binding, number, previous, old)
        .expect("a countersignature");
    let rotation = Rotation {
        key: new.id(),
        countersignature,
    };
    vault
        .append(&LogEvent::Rotate(rotation), at)
        .expect("the rotation");
    let compromise = Compromise {
        key: old,
        since: first,
    };
    vault
        .append(&LogEvent::Compromise(compromise), at)
        .expect("the statement");
    last_seen::remember(&vault.homes.state, vault.binding.vault, &vault.log).expect("the note");

    let _said = laboratory.run(&["index", "rebuild"]).succeeded();
    let json = laboratory.run(&["--json", "list"]).succeeded().json();
    assert!(json["snapshots"][0]["drilled"].is_null(), "{json}");
    let answer = laboratory
        .run(&["--json", "drill", "--all"])
        .succeeded()
        .json();
    assert_eq!(
        answer["drills"].as_array().map(Vec::len),
        Some(1),
        "{answer}"
    );
    assert_eq!(answer["drills"][0]["number"], 1);
    let rejected = [&laboratory.sealed[2].id, &laboratory.sealed[1].id];
    assert_eq!(answer["not_accepted"], serde_json::json!(rejected));
    assert_eq!(answer["proven_in_vault"], 1);
    let newest = laboratory.run(&["--json", "drill"]).succeeded().json();
    assert_eq!(
        newest["drills"][0]["number"], 1,
        "the newest that is accepted"
    );
    let _said = laboratory.run(&["drill", "@latest"]).refused("GV-3105");
}

#[test]
fn a_scratch_place_that_must_not_be_written_is_refused_and_left_alone() {
    let laboratory = Laboratory::new();
    let sandbox = &laboratory.sandbox;
    let file = write(&sandbox.home(), "file", "");
    let places = [
        (laboratory.source.clone(), "GV-2102"),
        (laboratory.source.join("src"), "GV-2102"),
        (laboratory.source.join(".git"), "GV-2102"),
        (laboratory.vault.clone(), "GV-2102"),
        (sandbox.path("config/git-vault/keys"), "GV-2102"),
        (sandbox.path("state/git-vault"), "GV-2102"),
        (sandbox.path("absent"), "GV-2103"),
        (file, "GV-2103"),
    ];
    // Severe refusals are noted in the state home, and nowhere else.
    let places_left_alone = ["work", "home", "data", "config", "tmp"];
    let untouched = places_left_alone.map(|name| Fingerprint::of(&sandbox.path(name)));
    for (place, code) in places {
        let place = place.to_str().expect("a UTF-8 path");
        let said = laboratory.run(&["drill", "--scratch", place]).refused(code);
        assert!(
            String::from_utf8_lossy(&said.stderr).contains("nothing was written"),
            "{said}"
        );
    }
    for (name, untouched) in places_left_alone.iter().zip(&untouched) {
        untouched.assert_untouched(&sandbox.path(name));
    }
}

#[test]
fn a_scratch_place_without_room_is_refused_and_nothing_is_on_record() {
    let laboratory = Laboratory::new();
    let place = mkdir(&laboratory.sandbox.home(), "small");
    let shown = place.to_str().expect("a UTF-8 path");
    let options = [
        ("size=64k", "GV-2202", 0),
        ("size=64m,nr_inodes=20", "GV-2301", 1),
        ("ro", "GV-2103", 0),
    ];
    for (option, code, left) in options {
        let arguments = ["-t", "tmpfs", "-o", option, "tmpfs"];
        let Some(_mount) = Mount::new(&arguments, &place) else {
            eprintln!("SKIPPED: a small tmpfs cannot be mounted here");
            return;
        };
        let said = laboratory.run(&["drill", "--scratch", shown]).refused(code);
        let leftovers: Vec<PathBuf> = fs::read_dir(&place)
            .expect("the directory is read")
            .map(|entry| entry.expect("an entry").path())
            .collect();
        assert_eq!(leftovers.len(), left, "{option}: {said}");
        let stderr = String::from_utf8_lossy(&said.stderr).into_owned();
        for leftover in leftovers {
            assert!(
                stderr.contains(leftover.to_str().expect("a path")),
                "{said}"
            );
        }
        assert_eq!(drill_entries(&laboratory.vault), [""; 0]);
    }
}

#[test]
fn a_drill_that_is_killed_is_not_on_record_before_its_copy_is_gone() {
    if !can_trace("a_drill_that_is_killed_is_not_on_record_before_its_copy_is_gone") {
        return;
    }
    let laboratory = Laboratory::new();
    let sandbox = &laboratory.sandbox;
    let counts = crate::crash::count_calls(sandbox, &laboratory.source, &["drill"]);
    laboratory.reset();
    let (mut killed, mut recorded) = (0, 0);
    for (call, at_most) in [
        ("openat", 8),
        ("mkdirat", 3),
        ("unlinkat", 3),
        ("fsync", 4),
        ("linkat", 1),
    ] {
        for point in points(counts.get(call).copied().unwrap_or_default(), at_most) {
            let expression = format!("inject={call}:signal=KILL:when={point}");
            let said = traced(sandbox, &laboratory.source, &[&expression], &["drill"]);
            let entries = drill_entries(&laboratory.vault).len();
            let left = scratch_leftovers(sandbox);
            assert!(entries == 0 || left.is_empty(), "{call} {point}: {said}");
            killed += usize::from(said.code != Some(0));
            recorded += entries;
            for path in left.iter().filter(|path| path.is_dir()) {
                fs::remove_dir_all(path).expect("the copy is removed");
            }
            let said = laboratory.run(&["--json", "drill"]).succeeded();
            assert_eq!(
                drill_entries(&laboratory.vault).len(),
                entries + 1,
                "{said}"
            );
            laboratory.reset();
        }
    }
    assert!(
        killed > 10,
        "{killed} runs were stopped, {recorded} were on record"
    );
}
