//! Every check of `doctor` is made to fail, or to need attention, by a real cause; and doctor changes nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use crate::crash::{can_trace, traced};
use crate::laboratory::{bounded, effort, only_vault, run};
use crate::support::files::{append, chmod, mkdir, set_mtime, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::listing::{self, Listing};
use crate::support::mount::Mount;
use crate::support::{Said, Sandbox, states};

/// A repository with one snapshot.
pub struct Patient {
    pub sandbox: Sandbox,
    pub source: PathBuf,
    pub vault: PathBuf,
    pub id: String,
}

impl Patient {
    #[track_caller]
    pub fn new() -> Self {
        let sandbox = Sandbox::new();
        Self::in_sandbox(sandbox)
    }

    #[track_caller]
    pub fn in_sandbox(sandbox: Sandbox) -> Self {
        let source = states::small_repository(&sandbox);
        let id = sandbox.snapshot(&source);
        let vault = only_vault(&sandbox);
        Self {
            sandbox,
            source,
            vault,
            id,
        }
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        run(&self.sandbox, &self.source, arguments)
    }

    /// Makes a change, so that a snapshot has something to write.
    pub fn snapshot(&self) -> Said {
        append(&self.source, "README.md", "one more line\n");
        self.run(&["snapshot"])
    }

    #[track_caller]
    pub fn examined(&self) -> Examined {
        Examined::new(self.run(&["--json", "doctor"]))
    }

    pub fn listing(&self) -> Listing {
        vault_listing(&self.vault)
    }

    pub fn state(&self, name: &str) -> PathBuf {
        self.sandbox.path(&format!("state/git-vault/{name}"))
    }
}

/// Everything in a vault but the time of the directory in which the trial takes place.
fn vault_listing(vault: &Path) -> Listing {
    let mut all = listing::list(vault, &|_| true);
    if let Some(cache) = all.get_mut(b"cache".as_slice()) {
        cache.mtime_nanoseconds = 0;
    }
    all
}

/// What doctor said, as JSON.
pub struct Examined {
    pub said: Said,
    answer: Value,
}

impl Examined {
    #[track_caller]
    fn new(said: Said) -> Self {
        let answer = said.json();
        assert_eq!(answer["schema"], "git-vault/doctor/1", "{said}");
        Self { said, answer }
    }

    /// Verdicts and facts of all checks of that name.
    fn checks(&self, name: &str) -> Vec<(&str, &str)> {
        let all = self.answer["checks"].as_array().expect("checks");
        let named = all.iter().filter(|check| check["name"] == name);
        assert!(all.iter().all(|check| {
            check["meaning"]
                .as_str()
                .is_some_and(|text| !text.is_empty())
        }));
        named
            .map(|check| {
                let verdict = check["verdict"].as_str().expect("a verdict");
                (verdict, check["fact"].as_str().expect("a fact"))
            })
            .collect()
    }

    /// One check has this verdict and this in its fact, and the exit status is that of the worst.
    #[track_caller]
    pub fn assert_found(&self, name: &str, verdict: &str, fact: &str, exit: i32) {
        let found = self.checks(name);
        assert!(
            found
                .iter()
                .any(|(is, says)| *is == verdict && says.contains(fact)),
            "expected {name} to be {verdict} with '{fact}', not {found:?}\n{}",
            self.said
        );
        assert_eq!(self.said.code, Some(exit), "{}", self.said);
    }

    /// The names of all checks that are not as they should be, each once.
    pub fn bad(&self) -> Vec<&str> {
        let all = self.answer["checks"].as_array().expect("checks");
        let bad = all.iter().filter(|check| check["verdict"] != "ok");
        let mut names: Vec<&str> = bad
            .map(|check| check["name"].as_str().expect("a name"))
            .collect();
        names.dedup();
        names
    }
}

#[track_caller]
fn is_root() -> bool {
    let output = Command::new("id").arg("-u").output().expect("id starts");
    output.stdout == b"0\n"
}

#[test]
fn a_healthy_vault_is_called_so_and_nothing_is_changed() {
    let patient = Patient::new();
    let before = patient.listing();
    let source = Fingerprint::of(&patient.source);
    let states = listing::list(&patient.sandbox.path("state"), &|_| true);
    let vault = patient.vault.to_str().expect("a UTF-8 path");
    let home = patient.sandbox.home();
    for (directory, arguments) in [
        (&patient.source, vec!["--json", "doctor"]),
        (&home, vec!["--json", "--vault", vault, "doctor"]),
    ] {
        let said = run(&patient.sandbox, directory, &arguments).succeeded();
        let examined = Examined::new(said);
        assert_eq!(examined.bad(), [""; 0], "{}", examined.said);
        assert_eq!(examined.answer["verdict"], "ok");
        assert_eq!(examined.answer["refusal"], Value::Null);
        for name in [
            "vault",
            "permissions",
            "mount",
            "space",
            "inodes",
            "write",
            "link",
            "rename",
            "directory",
            "removal",
            "abilities",
            "keys",
            "state",
            "clock",
            "file times",
            "leftovers",
            "temporary",
            "index",
            "refusals",
        ] {
            assert_eq!(examined.checks(name).len(), 1, "{name}\n{}", examined.said);
        }
    }
    let text = patient.run(&["doctor"]).succeeded().text();
    let (last, checks) = text
        .lines()
        .collect::<Vec<_>>()
        .split_last()
        .map(|(last, rest)| ((*last).to_owned(), rest.len()))
        .expect("lines");
    assert!(last.starts_with("VAULT"), "{text}");
    assert_eq!(
        text.lines().filter(|line| line.starts_with("OK")).count(),
        checks,
        "{text}"
    );
    assert_eq!(
        listing::differences("vault", &before, &patient.listing()),
        [""; 0]
    );
    let after = listing::list(&patient.sandbox.path("state"), &|_| true);
    assert_eq!(listing::differences("state", &states, &after), [""; 0]);
    source.assert_untouched(&patient.source);
}

#[test]
fn a_directory_of_the_skeleton_that_is_open_to_others_fails_and_takes_no_snapshot() {
    let patient = Patient::new();
    let source = Fingerprint::of(&patient.source);
    let names = [
        "",
        "cache",
        "log",
        "snapshots",
        "objects",
        "objects/pack",
        "objects/info",
        "refs",
        "refs/heads",
        "refs/snapshots",
        "incidents",
        "escrow",
    ];
    for (number, name) in names.into_iter().enumerate() {
        let path = if name.is_empty() {
            patient.vault.clone()
        } else {
            patient.vault.join(name)
        };
        for mode in [0o750, 0o707].into_iter().skip(number % 2).take(effort()) {
            chmod(&path, mode);
            let before = patient.listing();
            let examined = patient.examined();
            let fact = format!(
                "'{}': its permissions are {mode:o}, expected 700",
                path.display()
            );
            examined.assert_found("permissions", "failed", &fact, 13);
            assert_eq!(examined.bad()[0], "permissions", "{}", examined.said);
            let said = patient
                .run(&["snapshot", "-m", "all the same"])
                .refused("GV-1303");
            let text = String::from_utf8_lossy(&said.stderr);
            assert!(text.contains(&format!("'{}'", path.display())), "{said}");
            assert_eq!(
                listing::differences("vault", &before, &patient.listing()),
                [""; 0],
                "{name}"
            );
            chmod(&path, 0o700);
        }
    }
    source.assert_untouched(&patient.source);
    let _said = patient.snapshot().succeeded();
    assert_eq!(patient.examined().bad(), [""; 0]);
}

#[test]
fn other_permissions_than_those_made_need_attention() {
    let patient = Patient::new();
    let entry = patient.vault.join("log/00000001.toml");
    let snapshot = patient.vault.join("snapshots").join(&patient.id);
    let scan = patient.vault.join("cache/scan");
    for (path, mode, made) in [
        (&entry, 0o644, 0o600),
        (&entry, 0o400, 0o600),
        (&snapshot, 0o755, 0o700),
        (&scan, 0o666, 0o600),
    ] {
        chmod(path, mode);
        let examined = patient.examined();
        let fact = format!(
            "'{}': its permissions are {mode:o}, expected {made:o}",
            path.display()
        );
        examined.assert_found("permissions", "attention", &fact, 3);
        assert_eq!(examined.bad(), ["permissions"]);
        chmod(path, made);
    }
    // What git makes there by itself is as git makes it.
    patient.sandbox.git(&patient.vault, &["pack-refs", "--all"]);
    patient
        .sandbox
        .git(&patient.vault, &["multi-pack-index", "write"]);
    assert_eq!(patient.examined().bad(), [""; 0]);
}

#[test]
fn very_many_findings_are_counted() {
    let patient = Patient::new();
    for number in 0..15 {
        let path = write(&patient.vault, format!("cache/log-{number}.toml"), "x\n");
        chmod(&path, 0o644);
    }
    chmod(&patient.vault.join("objects"), 0o755);
    let examined = patient.examined();
    let found = examined.checks("permissions");
    assert_eq!(found.len(), 11, "{}", examined.said);
    assert_eq!(found[0].0, "failed", "the worst comes first: {found:?}");
    assert_eq!(found[10], ("attention", "6 more like these"));
}

#[test]
fn what_belongs_to_somebody_else_is_named() {
    if !is_root() {
        eprintln!("SKIPPED: another owner: only root can give files away");
        return;
    }
    let patient = Patient::new();
    for (name, verdict, exit) in [("log", "failed", 13), ("HEAD", "attention", 3)] {
        let path = patient.vault.join(name);
        std::os::unix::fs::chown(&path, Some(1), None).expect("given away");
        let fact = format!(
            "'{}': it belongs to user 1, expected user 0",
            path.display()
        );
        patient
            .examined()
            .assert_found("permissions", verdict, &fact, exit);
        if verdict == "failed" {
            let _said = patient.snapshot().refused("GV-1303");
        }
        std::os::unix::fs::chown(&path, Some(0), None).expect("taken back");
    }
}

#[test]
fn keys_and_states_that_are_open_to_others_need_attention() {
    let patient = Patient::new();
    let keys = patient.sandbox.path("config/git-vault/keys");
    let of_vault = fs::read_dir(&keys).expect("keys").next().expect("one");
    let of_vault = of_vault.expect("an entry").path();
    for (name, path) in [
        ("keys", keys.clone()),
        ("keys", of_vault),
        ("state", patient.state("")),
        ("state", patient.state("last-seen")),
    ] {
        chmod(&path, 0o755);
        let shown = path.display().to_string();
        let fact = format!("{}': its permissions are 755", shown.trim_end_matches('/'));
        let examined = patient.examined();
        examined.assert_found(name, "attention", &fact, 3);
        assert_eq!(examined.bad(), [name]);
        chmod(&path, 0o700);
    }
}

/// A sandbox whose vaults lie on a tmpfs with these options.
fn on_tmpfs(options: &str) -> Option<(Mount, Patient)> {
    let sandbox = Sandbox::new();
    let home = mkdir(&sandbox.path("data"), "git-vault");
    let options = format!("mode=0700,{options}");
    let mount = Mount::new(&["-t", "tmpfs", "-o", &options, "tmpfs"], &home);
    let Some(mount) = mount else {
        eprintln!("SKIPPED: a tmpfs with {options} cannot be mounted here (it needs root)");
        return None;
    };
    Some((mount, Patient::in_sandbox(sandbox)))
}

#[test]
fn room_below_ten_reserves_needs_attention_and_below_one_fails() {
    let Some((_mount, patient)) = on_tmpfs("size=40m") else {
        return;
    };
    let examined = patient.examined();
    examined.assert_found("space", "attention", "reserve 16777216", 3);
    assert_eq!(examined.bad(), ["space"]);
    let filler = patient.sandbox.path("data/git-vault/filler");
    fs::write(&filler, vec![7; 26 << 20]).expect("filled");
    let before = patient.listing();
    let examined = patient.examined();
    examined.assert_found("space", "failed", "reserve 16777216", 13);
    examined.assert_found("write", "ok", "", 13);
    let said = patient.snapshot().refused("GV-1302");
    assert!(said.to_string().contains("df -h"), "{said}");
    assert_eq!(
        listing::differences("vault", &before, &patient.listing()),
        [""; 0]
    );
    // Without any room at all even the trial fails, and leaves nothing.
    let _full = fs::write(&filler, vec![7; 64 << 20]);
    let examined = patient.examined();
    examined.assert_found("write", "failed", "No space left", 13);
    examined.assert_found("link", "failed", "not tried, for 'write' failed", 13);
    assert_eq!(
        listing::differences("vault", &before, &patient.listing()),
        [""; 0]
    );
    fs::remove_file(&filler).expect("room is made");
    let _said = patient.snapshot().succeeded();
}

#[test]
fn inodes_that_run_out_need_attention_and_then_fail() {
    let Some((_mount, patient)) = on_tmpfs("size=300m,nr_inodes=300") else {
        return;
    };
    let examined = patient.examined();
    examined.assert_found("inodes", "attention", "reserve 32", 3);
    assert_eq!(examined.bad(), ["inodes"]);
    let filler = mkdir(&patient.sandbox.path("data/git-vault"), "filler");
    let mut number = 0;
    while fs::write(filler.join(number.to_string()), b"").is_ok() {
        number += 1;
    }
    for free in 1..20 {
        fs::remove_file(filler.join((number - free).to_string())).expect("an inode is freed");
    }
    let before = patient.listing();
    let examined = patient.examined();
    examined.assert_found("inodes", "failed", "reserve 32", 13);
    assert_eq!(examined.bad(), ["inodes"]);
    let said = patient.snapshot().refused("GV-1302");
    assert!(said.to_string().contains("df -i"), "{said}");
    assert_eq!(
        listing::differences("vault", &before, &patient.listing()),
        [""; 0]
    );
}

#[test]
fn a_read_only_mount_fails() {
    let patient = Patient::new();
    let vault = patient.vault.to_str().expect("a UTF-8 path").to_owned();
    let bound = Mount::new(&["--bind", &vault], &patient.vault);
    let Some(_mount) = bound else {
        eprintln!("SKIPPED: a directory cannot be bound to itself here (it needs root)");
        return;
    };
    let mut remount = patient.sandbox.command("mount", &patient.source);
    remount.args(["-o", "remount,ro,bind", &vault]);
    if !remount.status().expect("mount starts").success() {
        eprintln!("SKIPPED: a bound directory cannot be made read-only here");
        return;
    }
    let examined = patient.examined();
    examined.assert_found("mount", "failed", "mounted for reading only", 13);
    examined.assert_found("write", "failed", "Read-only file system", 13);
    examined.assert_found("removal", "failed", "not tried", 13);
    let said = patient.snapshot().refused("GV-1301");
    assert!(said.to_string().contains("for reading only"), "{said}");
}

/// Each step of the trial fails by itself, and the files of the trial are gone again.
#[test]
fn each_thing_that_the_system_cannot_do_is_named() {
    if !can_trace("each step of the trial") {
        return;
    }
    let patient = Patient::new();
    for (call, step, later) in [
        ("fsync:error=EIO:when=1", "write", "link"),
        ("linkat:error=EPERM:when=1", "link", "rename"),
        ("linkat:retval=0:when=2", "link", "rename"),
        ("renameat2:error=EINVAL:when=1", "rename", "directory"),
        ("renameat2:retval=0:when=1", "rename", "directory"),
        ("fsync:error=EIO:when=2", "directory", "removal"),
        ("unlink:error=EPERM:when=2", "removal", "removal"),
    ] {
        let inject = format!("inject={call}");
        let arguments = ["--json", "doctor"];
        let said = traced(&patient.sandbox, &patient.source, &[&inject], &arguments);
        let examined = Examined::new(said);
        examined.assert_found(step, "failed", "", 13);
        examined.assert_found(later, "failed", "", 13);
        let left: Vec<_> = fs::read_dir(patient.vault.join("cache"))
            .expect("the cache is read")
            .map(|entry| entry.expect("an entry").file_name())
            .filter(|name| name.to_string_lossy().starts_with("probe-"))
            .collect();
        assert_eq!(left, [""; 0], "{call}");
        append(&patient.source, "README.md", "one more line\n");
        let said = traced(&patient.sandbox, &patient.source, &[&inject], &["snapshot"]);
        assert_eq!(said.code, Some(13), "{call}\n{said}");
    }
}

#[test]
fn a_clock_that_went_back_needs_attention() {
    let has_faketime = Command::new("faketime")
        .args(["-f", "+0d", "true"])
        .output();
    if !has_faketime.is_ok_and(|output| output.status.success()) {
        eprintln!("SKIPPED: a clock that went back: faketime is not installed");
        return;
    }
    let patient = Patient::new();
    let at = |shift: &str| {
        let mut command = patient.sandbox.command("faketime", &patient.source);
        command
            .env("NO_FAKE_STAT", "1")
            .args(["-f", shift, env!("CARGO_BIN_EXE_git-vault")])
            .args(["--json", "doctor"]);
        Examined::new(bounded(command, &format!("faketime {shift} doctor")))
    };
    let examined = at("-1d");
    examined.assert_found("clock", "attention", "the newest log entry was made", 3);
    examined.assert_found("file times", "attention", "s away from this machine's", 3);
    assert_eq!(examined.bad(), ["clock", "file times"]);
    let examined = at("+60s");
    examined.assert_found("clock", "ok", "", 3);
    examined.assert_found("file times", "attention", "s away", 3);
}

#[test]
fn remains_of_interrupted_snapshots_are_listed_with_size_and_age() {
    let patient = Patient::new();
    let left = mkdir(&patient.vault, "snapshots/.incomplete-kkkkkkkkkkkk");
    let file = write(&left, "pack-1.pack", "12345");
    chmod(&left, 0o700);
    chmod(&file, 0o600);
    let now = std::time::SystemTime::now();
    let days_ago = now - std::time::Duration::from_secs(3 * 86_400 + 60);
    let since = days_ago
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    set_mtime(&left, i128::try_from(since.as_nanos()).expect("a time"));
    let before = patient.listing();
    let examined = patient.examined();
    let fact = format!("'{}': 5 bytes, 3 days old", left.display());
    examined.assert_found("leftovers", "attention", &fact, 3);
    assert!(examined.said.to_string().contains("git vault set-aside"));
    assert_eq!(
        listing::differences("vault", &before, &patient.listing()),
        [""; 0]
    );
}

#[test]
fn temporary_files_older_than_a_day_are_listed_and_younger_ones_are_not() {
    let patient = Patient::new();
    let names = ["log-0011.toml", ".tmp-abc", "probe-00"];
    for name in names {
        let path = write(&patient.vault, format!("cache/{name}"), "x\n");
        chmod(&path, 0o600);
    }
    assert_eq!(patient.examined().bad(), [""; 0]);
    for name in names {
        set_mtime(
            &patient.vault.join("cache").join(name),
            1_700_000_000_000_000_000,
        );
    }
    set_mtime(&patient.vault.join("cache/scan"), 1_700_000_000_000_000_000);
    let examined = patient.examined();
    assert_eq!(examined.bad(), ["temporary"]);
    assert_eq!(examined.checks("temporary").len(), 3);
    for name in names {
        let fact = format!("{name}': 2 bytes");
        examined.assert_found("temporary", "attention", &fact, 3);
        assert!(patient.vault.join("cache").join(name).exists());
    }
}

#[test]
fn incidents_of_this_machine_are_counted() {
    let patient = Patient::new();
    let incidents = mkdir(&patient.state(""), "incidents");
    let examined = patient.examined();
    examined.assert_found("incidents", "ok", "none", 0);
    mkdir(&incidents, "one");
    mkdir(&incidents, "two");
    let examined = patient.examined();
    examined.assert_found("incidents", "attention", "2 incidents", 3);
}

/// A vault that is refused is examined as a place; the refusal is part of the answer and gives the exit status.
#[test]
fn a_vault_that_cannot_be_opened_is_examined_as_a_place() {
    let patient = Patient::new();
    let vault = patient.vault.to_str().expect("a UTF-8 path");
    let head = patient.vault.join("HEAD");
    let keys = patient.sandbox.path("config/git-vault/keys");
    let away = patient.sandbox.path("keys-elsewhere");
    type Tamper<'a> = (&'a str, u8, Box<dyn Fn() + 'a>, Box<dyn Fn() + 'a>);
    let text = fs::read(&head).expect("HEAD is read");
    let cases: [Tamper<'_>; 2] = [
        (
            "GV-1201",
            12,
            Box::new(|| fs::rename(&keys, &away).expect("moved")),
            Box::new(|| fs::rename(&away, &keys).expect("moved back")),
        ),
        (
            "GV-3001",
            30,
            Box::new(|| fs::write(&head, b"ref: refs/heads/other\n").expect("written")),
            Box::new(|| fs::write(&head, &text).expect("written back")),
        ),
    ];
    for (code, exit, tamper, mend) in cases {
        tamper();
        let before = patient.listing();
        for arguments in [
            &["--json", "doctor"][..],
            &["--json", "--vault", vault, "doctor"],
        ] {
            let examined = Examined::new(patient.run(arguments));
            examined.assert_found("vault", "failed", code, i32::from(exit));
            let is_severe = code == "GV-3001";
            let trial = if is_severe { "attention" } else { "ok" };
            examined.assert_found("write", trial, "", i32::from(exit));
            assert_eq!(examined.answer["refusal"]["code"], code);
            // Evidence is not written beside; what the first look met is on record for the second.
            let bad = examined.bad();
            let due = ["vault", "write", "incidents"];
            let due = &due[..if is_severe { bad.len().max(2) } else { 1 }];
            assert_eq!(bad, due, "{}", examined.said);
        }
        let said = patient.run(&["doctor"]);
        assert_eq!(said.code, Some(i32::from(exit)), "{said}");
        let text = said.text();
        assert!(text.starts_with("FAILED     vault: "), "{text}");
        assert!(
            text.contains("\nREFUSED  SEV-") && text.contains(code),
            "{text}"
        );
        let quiet = patient.run(&["--quiet", "doctor"]).refused(code);
        assert!(quiet.stdout.is_empty(), "{quiet}");
        assert_eq!(
            listing::differences("vault", &before, &patient.listing()),
            [""; 0]
        );
        mend();
    }
    // A place that does not look like a vault is not written to.
    let other = mkdir(&patient.sandbox.home(), "no-vault/cache");
    let place = other.parent().expect("its parent");
    let before = Fingerprint::of(place);
    let shown = place.to_str().expect("a UTF-8 path");
    let _said = patient
        .run(&["--vault", shown, "doctor"])
        .refused("GV-1002");
    before.assert_untouched(place);
}
