//! What POSIX promises of a run, and no more: data is durable after fsync of its file, a name after fsync of its directory.
//!
//! The system calls of a run are replayed in a model that forgets everything else. When the program says its word, and at
//! each step that others stand on, what must be durable is. Then each fsync is left out of the replay in turn: the judge
//! must notice, or the fsync stands in a short list that says why it does not matter.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::crash::can_trace;
use crate::laboratory::{Laboratory, Restored};
use crate::posix_model::Model;
use crate::support::files::{append, mkdir};
use crate::support::{Sandbox, states};
use crate::system_calls::{Call, What, record};

/// What a path is to the program.
#[derive(Debug, PartialEq, Eq)]
enum Part {
    Keys,
    /// What this machine has seen of vaults.
    State,
    /// Which vault belongs to which repository: the logs say so, too.
    Registry,
    Cache,
    /// Refs for plain git.
    Refs,
    /// A vault's `log`, `snapshots`, `objects/pack`, or any other part of it.
    Vault(&'static str),
    Elsewhere,
}

/// A run to be judged: where the program keeps things, what was there before, what it did.
pub struct Run {
    pub homes: [PathBuf; 3],
    pub before: Vec<PathBuf>,
    pub calls: Vec<Call>,
    /// The word that must not be said too early, and what must be durable then.
    pub promise: (&'static str, Vec<PathBuf>),
    /// What the promise is about, when a killed run left other things: they are evidence, and may be lost.
    pub needed: Option<Needed>,
}

pub struct Needed {
    pub vault: PathBuf,
    pub vault_id: String,
    pub snapshots: Vec<String>,
}

impl Run {
    fn part(&self, path: &Path) -> Part {
        let [config, data, state] = &self.homes;
        if path.starts_with(config) {
            return Part::Keys;
        }
        if path.starts_with(state) {
            return Part::State;
        }
        let Ok(inner) = path.strip_prefix(data.join("git-vault/vaults")) else {
            return Part::Elsewhere;
        };
        if inner.starts_with("registry") {
            return Part::Registry;
        }
        let inside: PathBuf = inner.components().skip(1).collect();
        match inside.to_str().unwrap_or_default().split('/').next() {
            Some("cache") if inside != Path::new("cache") => Part::Cache,
            Some("refs") if inside.components().count() > 2 => Part::Refs,
            Some("log") => Part::Vault("log"),
            Some("snapshots") => Part::Vault("snapshots"),
            Some("objects") if inside.starts_with("objects/pack") => Part::Vault("objects/pack"),
            _ => Part::Vault(""),
        }
    }

    /// What may be lost: `what_the_model_excuses_may_be_lost` takes it all away.
    fn is_excused(&self, path: &Path) -> bool {
        matches!(
            self.part(path),
            Part::State | Part::Registry | Part::Cache | Part::Refs
        ) || self
            .needed
            .as_ref()
            .is_some_and(|needed| self.is_leftover(needed, path))
    }

    fn is_leftover(&self, needed: &Needed, path: &Path) -> bool {
        let is_other = |home: PathBuf, known: &[String]| {
            let inner = path
                .strip_prefix(home)
                .ok()
                .and_then(|inner| inner.components().next());
            let name = inner.map(|name| name.as_os_str().to_string_lossy().into_owned());
            name.is_some_and(|name| !known.contains(&name))
        };
        let vault = needed
            .vault
            .file_name()
            .expect("a name")
            .to_string_lossy()
            .into_owned();
        let incomplete = needed
            .snapshots
            .iter()
            .map(|id| format!(".incomplete-{id}"));
        let snapshots: Vec<String> = needed.snapshots.iter().cloned().chain(incomplete).collect();
        is_other(self.homes[1].join("git-vault/vaults"), &[vault])
            || is_other(
                self.homes[0].join("git-vault/keys"),
                std::slice::from_ref(&needed.vault_id),
            )
            || is_other(needed.vault.join("snapshots"), &snapshots)
    }

    /// Whether a path is the directory of a snapshot.
    fn is_snapshot(&self, path: &Path) -> bool {
        self.part(path) == Part::Vault("snapshots")
            && path.parent() == Some(&self.vault_of(path).join("snapshots"))
    }

    /// Whether a path is that of a pack in its place, of a snapshot, or of a record that explains packs.
    fn is_of_vault(&self, path: &Path) -> bool {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        self.part(path) == Part::Vault("objects/pack")
            || self.part(path) == Part::Vault("snapshots")
                && (name == "packs.toml" || name == "manifest.toml")
    }

    fn vault_of(&self, path: &Path) -> PathBuf {
        let vaults = self.homes[1].join("git-vault/vaults");
        let inner = path.strip_prefix(&vaults).expect("a path in a vault");
        vaults.join(inner.components().next().expect("a vault"))
    }

    /// Replays the run without some of its syncs (places in `calls`), and gives what was promised and is not durable.
    pub fn complaints(&self, left_out: &BTreeSet<usize>) -> Vec<String> {
        let mut model = Model::of(&self.before);
        let mut complaints = Vec::new();
        for (place, call) in self.calls.iter().enumerate() {
            if left_out.contains(&place) {
                continue;
            }
            for (why, unsure) in self.broken_laws(&model, call) {
                complaints.extend(unsure.into_iter().map(|unsure| format!("{why}: {unsure}")));
            }
            model.apply(call);
        }
        complaints
    }

    /// Manifests of snapshots under way that could be lost, or that are not there.
    fn unsure_manifests(&self, model: &Model, vault: &Path) -> Vec<String> {
        let snapshots = vault.join("snapshots");
        let excused = |path: &Path| self.is_excused(path);
        let mut unsure = Vec::new();
        for name in model.names(&snapshots) {
            let directory = snapshots.join(&name);
            let is_under_way = name.to_string_lossy().starts_with('.');
            if !is_under_way || excused(&directory) {
                continue;
            }
            // Packs are explained by a manifest, or by the record of those that take the place of others.
            let record = if name.to_string_lossy().starts_with(".optimize-") {
                "packs.toml"
            } else {
                "manifest.toml"
            };
            let manifest = directory.join(record);
            if model.is_there(&manifest) {
                unsure.extend(model.unsure(&manifest, &excused));
            } else {
                unsure.push(format!("'{}' is not there", manifest.display()));
            }
        }
        unsure
    }

    /// The steps that stand on others, and what must be durable before each.
    fn broken_laws(&self, model: &Model, call: &Call) -> Vec<(&'static str, Vec<String>)> {
        let excused = |path: &Path| self.is_excused(path);
        let unsure = |path: PathBuf| model.unsure(&path, &excused);
        let data_of = |path: &PathBuf| model.unsure_data(path);
        match &call.what {
            What::Create(path) if self.part(path) == Part::Vault("objects/pack") => {
                let packs = path.parent().expect("a directory").to_owned();
                let is_first = unsure(packs).is_empty();
                let why = "a pack moves in before what explains it";
                is_first
                    .then(|| (why, self.unsure_manifests(model, &self.vault_of(path))))
                    .into_iter()
                    .collect()
            }
            What::Link(from, to) if self.part(to) == Part::Vault("log") => {
                let all = [
                    unsure(self.vault_of(to)),
                    unsure(self.homes[0].clone()),
                    data_of(from),
                ];
                vec![(
                    "a log entry gets its name before what it names is durable",
                    all.concat(),
                )]
            }
            What::Rename(from, to) => {
                let mut broken = Vec::new();
                if self.part(to) != Part::Cache {
                    broken.push(("a file is put in place before it is durable", data_of(from)));
                }
                if self.is_snapshot(to) {
                    let all = [
                        unsure(self.vault_of(to).join("objects")),
                        unsure(from.clone()),
                    ];
                    broken.push(("a snapshot gets its name before it is whole", all.concat()));
                }
                if self.part(to) == Part::State {
                    let vaults = self.homes[1].join("git-vault/vaults");
                    let not_log =
                        |path: &Path| excused(path) || self.part(path) != Part::Vault("log");
                    let log = model.unsure(&vaults, &not_log);
                    broken.push(("an entry is remembered before it is durable", log));
                }
                if self.part(to) == Part::Elsewhere {
                    let why = "a workspace is put in place before it is durable";
                    broken.push((why, model.unsure_inside(from, &excused)));
                }
                broken
            }
            What::Remove(path) if self.is_of_vault(path) => {
                let vault = self.vault_of(path);
                // What says that it is gone, and what took its place, come first.
                let others = |path: &Path| {
                    let is_staged = path.starts_with(vault.join("snapshots"));
                    is_staged || self.is_excused(path)
                };
                let mut before = model.unsure(&vault.join("log"), &others);
                if path.file_name().is_some_and(|name| name == "packs.toml") {
                    before.extend(model.unsure(&vault.join("objects/pack"), &others));
                }
                vec![(
                    "something goes before it is durable that it is gone",
                    before,
                )]
            }
            What::Say(word) if word == self.promise.0 => {
                let all = self.promise.1.iter().cloned().flat_map(unsure).collect();
                vec![("the word is said before all is durable", all)]
            }
            _ => Vec::new(),
        }
    }

    /// The places of all syncs.
    fn syncs(&self) -> Vec<usize> {
        let is_sync = |call: &Call| matches!(call.what, What::Sync(_) | What::SyncEverything);
        let places = self.calls.iter().enumerate();
        places
            .filter(|(_, call)| is_sync(call))
            .map(|(place, _)| place)
            .collect()
    }

    /// Why leaving out a sync does no harm, if it does none.
    fn excuse(&self, place: usize) -> Option<&'static str> {
        let What::Sync(path) = &self.calls[place].what else {
            return None;
        };
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let is_cache = name == "cache" && matches!(self.part(path), Part::Vault(_));
        if name.starts_with("probe-") || is_cache {
            return Some(PROBE);
        }
        let renamed = What::Rename(path.clone(), path.with_file_name("index"));
        if self.calls[place..].iter().any(|call| call.what == renamed) {
            return Some(INDEX);
        }
        let is_place_of_state = path == &self.homes[2] || path == &self.homes[2].join("git-vault");
        if is_place_of_state {
            return Some(PLACE_OF_STATE);
        }
        if self.homes.iter().any(|home| home.parent() == Some(path)) {
            return Some(PLACE_FOUND);
        }
        let before = &self.calls[..place];
        let last_name = before.iter().rev().find_map(|call| match &call.what {
            What::Link(_, to) => Some(to.clone()),
            What::MakeDirectory(to) => Some(to.clone()),
            _ => None,
        });
        if last_name
            .is_some_and(|made| self.part(&made) == Part::Registry && made.parent() == Some(path))
        {
            return Some(PLACE_OF_REGISTRY);
        }
        let synced_before = before.iter().rev().take_while(|call| match &call.what {
            What::Link(_, to) => to.parent() != Some(path),
            _ => true,
        });
        let mut synced_before = synced_before.filter(|call| call.what == What::Sync(path.clone()));
        if self.part(path) == Part::Vault("log") && synced_before.next().is_some() {
            return Some(LOG_AGAIN);
        }
        None
    }

    /// Judges the run, then the judge: each sync left out is noticed, or is excused and rightly so.
    #[track_caller]
    pub fn judge(&self, label: &str, due_excuses: &[&str]) {
        let said = |call: &Call| call.what == What::Say(self.promise.0.to_owned());
        assert!(
            self.calls.iter().any(said),
            "{label}: {} is said",
            self.promise.0
        );
        let complaints = self.complaints(&BTreeSet::new());
        assert!(complaints.is_empty(), "{label}:\n{}", complaints.join("\n"));

        let syncs = self.syncs();
        let excused: BTreeSet<usize> = syncs
            .iter()
            .copied()
            .filter(|place| self.excuse(*place).is_some())
            .collect();
        let harm = self.complaints(&excused);
        assert!(
            harm.is_empty(),
            "{label}: an excused sync matters:\n{}",
            harm.join("\n")
        );
        let used: BTreeSet<&str> = excused
            .iter()
            .filter_map(|place| self.excuse(*place))
            .collect();
        assert_eq!(
            used,
            due_excuses.iter().copied().collect(),
            "{label}: excuses"
        );

        let mut unnoticed = Vec::new();
        for place in syncs.iter().filter(|place| !excused.contains(place)) {
            let mut left_out = excused.clone();
            left_out.insert(*place);
            if self.complaints(&left_out).is_empty() {
                unnoticed.push(format!("{:?}", self.calls[*place].what));
            }
        }
        assert!(
            unnoticed.is_empty(),
            "{label}: nobody misses these syncs:\n{}",
            unnoticed.join("\n")
        );
        eprintln!(
            "{label}: {} calls, {} syncs, {} noticed when left out, {} excused",
            self.calls.len(),
            syncs.len(),
            syncs.len() - excused.len(),
            excused.len()
        );
    }
}

const INDEX: &str =
    "the list of snapshots is a cache: a torn one is refused, and made anew by a command";
const PROBE: &str = "the probe is removed again; it shows that fsync works";
const PLACE_FOUND: &str = "a place that is there is made durable in case a killed run made it";
const PLACE_OF_STATE: &str =
    "what was seen of a vault is a memory; its loss is no loss of a snapshot";
const PLACE_OF_REGISTRY: &str = "which vault belongs to a repository is found in the logs again";
const LOG_AGAIN: &str =
    "the log is made durable once more before it is remembered, in case another process wrote it";

pub fn homes(sandbox: &Sandbox) -> [PathBuf; 3] {
    ["config", "data", "state"].map(|name| sandbox.path(name))
}

/// Every path below these, themselves included.
pub fn paths(roots: &[PathBuf]) -> Vec<PathBuf> {
    let mut all = Vec::new();
    let mut open = roots.to_vec();
    while let Some(path) = open.pop() {
        if path
            .symlink_metadata()
            .is_ok_and(|metadata| metadata.is_dir())
        {
            let entries = fs::read_dir(&path).expect("the directory is read");
            open.extend(entries.map(|entry| entry.expect("an entry").path()));
        }
        all.push(path);
    }
    all
}

/// Records a run that must succeed.
#[track_caller]
pub fn recorded(
    sandbox: &Sandbox,
    directory: &Path,
    arguments: &[&str],
    word: &'static str,
    what: &[PathBuf],
) -> Run {
    let homes = homes(sandbox);
    let before = paths(&[sandbox.path("")]);
    let (said, calls) = record(sandbox, directory, &[], arguments);
    let _said = said.succeeded();
    Run {
        homes,
        before,
        calls,
        promise: (word, what.to_vec()),
        needed: None,
    }
}

#[test]
fn all_that_a_first_snapshot_needs_is_durable_when_it_is_sealed() {
    if !can_trace("durability of a first snapshot") {
        return;
    }
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let run = recorded(&sandbox, &source, &["snapshot"], "SEALED", &homes(&sandbox));
    run.judge(
        "first snapshot",
        &[
            PROBE,
            INDEX,
            PLACE_FOUND,
            PLACE_OF_STATE,
            PLACE_OF_REGISTRY,
            LOG_AGAIN,
        ],
    );
}

#[test]
fn all_that_a_later_snapshot_needs_is_durable_when_it_is_sealed() {
    if !can_trace("durability of a later snapshot") {
        return;
    }
    let laboratory = Laboratory::new();
    let (sandbox, source) = (&laboratory.sandbox, &laboratory.source);
    append(source, "src/two.txt", "for the next commit\n");
    sandbox.commit(source, "fifth");
    append(source, "src/one.txt", "and edited again\n");
    let run = recorded(sandbox, source, &["snapshot"], "SEALED", &homes(sandbox));
    run.judge("later snapshot", &[PROBE, INDEX]);
}

#[test]
fn a_new_vault_is_durable_when_it_is_said_to_be_made() {
    if !can_trace("durability of a new vault") {
        return;
    }
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let run = recorded(&sandbox, &source, &["init"], "VAULT", &homes(&sandbox));
    run.judge(
        "init",
        &[PLACE_FOUND, PLACE_OF_STATE, PLACE_OF_REGISTRY, LOG_AGAIN],
    );
}

#[test]
fn a_verification_is_durable_when_it_is_reported() {
    if !can_trace("durability of a verification") {
        return;
    }
    let laboratory = Laboratory::new();
    let (sandbox, source) = (&laboratory.sandbox, &laboratory.source);
    let run = recorded(
        sandbox,
        source,
        &["verify", "--deep"],
        "VERIFIED",
        &homes(sandbox),
    );
    run.judge("verify", &[]);
}

#[test]
fn nothing_goes_before_the_entry_is_durable_that_says_so() {
    if !can_trace("durability of prune") {
        return;
    }
    let laboratory = Laboratory::new();
    let (sandbox, source) = (&laboratory.sandbox, &laboratory.source);
    for number in 0..4 {
        append(source, "README.md", format!("{number}\n"));
        sandbox.commit(source, "one more pack");
        let _id = sandbox.snapshot(source);
    }
    let run = recorded(
        sandbox,
        source,
        &["prune", "--unattended", "--keep-last", "1"],
        "DROPPED",
        &homes(sandbox),
    );
    let removed = |part| {
        let calls = run.calls.iter();
        let removed = calls.filter_map(|call| match &call.what {
            What::Remove(path) => Some(path),
            _ => None,
        });
        removed
            .filter(|path| run.part(path) == Part::Vault(part))
            .count()
    };
    assert!(removed("objects/pack") > 6 && removed("snapshots") > 6);
    let complaints = run.complaints(&BTreeSet::new());
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    // The judge is judged: each sync of the log, of packs and of what explains them is missed.
    let is_needed = |place: &usize| match &run.calls[*place].what {
        What::Sync(path) => {
            let part = run.part(path);
            path.ends_with("packs.toml")
                || path.ends_with("objects/pack")
                || part == Part::Vault("objects/pack")
        }
        _ => false,
    };
    for place in run.syncs().into_iter().filter(is_needed) {
        let left_out = BTreeSet::from([place]);
        let what = &run.calls[place].what;
        assert!(
            !run.complaints(&left_out).is_empty(),
            "nobody misses {what:?}"
        );
    }
}

#[test]
fn a_workspace_is_durable_before_it_gets_its_name() {
    if !can_trace("durability of a restore") {
        return;
    }
    let laboratory = Laboratory::new();
    let (sandbox, source) = (&laboratory.sandbox, &laboratory.source);
    let destination = mkdir(&sandbox.path(""), "place").join("copy");
    let text = destination.to_str().expect("a UTF-8 path").to_owned();
    let id = &laboratory.sealed[1].id;
    let run = recorded(
        sandbox,
        source,
        &["restore", id, &text],
        "RESTORED",
        &[destination],
    );
    run.judge("restore", &[]);
}

/// What a power cut makes of a file whose data was not durable, or of one whose name was not.
type Loss = fn(&Path);

const LOSSES: [(&str, Loss); 2] = [
    ("lost", |path| {
        fs::remove_file(path).expect("the file is removed")
    }),
    ("emptied", |path| {
        fs::write(path, "").expect("the file is emptied")
    }),
];

#[test]
fn what_the_model_excuses_may_be_lost() {
    let laboratory = Laboratory::new();
    let [config, data, state] = homes(&laboratory.sandbox);
    let run = Run {
        homes: [config, data, state],
        before: Vec::new(),
        calls: Vec::new(),
        promise: ("", Vec::new()),
        needed: None,
    };
    let all = || {
        paths(&run.homes)
            .into_iter()
            .filter(|path| path.is_file() && run.is_excused(path))
    };
    assert!(
        all().count() >= 7,
        "refs, last seen, registry, cache: {:?}",
        all().collect::<Vec<_>>()
    );
    for (loss, lose) in LOSSES {
        let is_rewritten_in_place =
            |path: &PathBuf| loss == "lost" || run.part(path) == Part::Cache;
        all()
            .filter(is_rewritten_in_place)
            .for_each(|path| lose(&path));
        let _said = laboratory.run(&["verify", "--deep"]).succeeded();
        for sealed in &laboratory.sealed {
            let restored = laboratory.restore_or_refuse(sealed);
            assert!(
                matches!(restored, Restored::Whole),
                "{loss}: {} restores",
                sealed.id
            );
        }
        append(&laboratory.source, "README.md", "and on\n");
        let said = laboratory.run(&["snapshot"]).succeeded();
        assert!(said.stdout.starts_with(b"SEALED"), "{loss}:\n{said}");
        laboratory.reset();
    }
}
