//! `git vault status`: how good the backup is, in five answers, each with what would make it better.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::host::disk::{self, Context};
use crate::host::walk::path_bytes;
use crate::model::escape::text_name;
use crate::model::ids::SnapshotId;
use crate::model::inventory::PackRole;
use crate::model::log_entry::{CopyForm, VerifyLevel};
use crate::model::manifest::Completeness;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::{RefusalCode, Severity};
use crate::model::timestamp::Timestamp;
use crate::ops::key::{self, KeyStatusReport};
use crate::ops::links::{Away, away};
use crate::ops::locate::Workplace;
use crate::ops::loose_ends::{Upstream, upstream};
use crate::ops::optimize::Size;
use crate::ops::since::{WorkSince, look, work_in};
use crate::ops::triggers_audit::{self, TriggersReport};
use crate::ops::unprotected::{Unprotected, unprotected};
use crate::vault::health;
use crate::vault::inspect::{Vault, looks_like_vault};
use crate::vault::log::LoggedSnapshot;
use crate::vault::probe::RESERVE_BYTES;
use crate::vault::reader::{read_manifest, trust};
use crate::vault::registry::real_path;

/// Seconds of a day.
const DAY: i64 = 86_400;
/// Work that is not sealed for longer than this needs attention.
const SEALED_SECONDS: i64 = DAY;
/// A verification older than this needs attention.
const VERIFIED_SECONDS: i64 = 30 * DAY;
/// A drill older than this needs attention.
const PROVEN_SECONDS: i64 = 90 * DAY;

/// What every file of figures begins with: nothing else is ever replaced by one.
const METRICS_START: &[u8] = b"# TYPE git_vault_";
/// Largest file of figures; a larger file is none.
const METRICS_LIMIT_BYTES: u64 = 1 << 20;

/// Something that makes the backup worse than it could be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attention {
    /// Which of the five answers it is about.
    pub about: About,
    /// How much is at stake.
    pub severity: Severity,
    /// What it is.
    pub what: String,
    /// The command that helps.
    pub next: String,
}

/// The five answers, and what makes snapshots by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum About {
    /// The newest snapshot against the work since.
    Sealed,
    /// The last verification.
    Verified,
    /// The last drill.
    Proven,
    /// Copies of the key.
    Keys,
    /// The vault and its place.
    Health,
    /// What makes snapshots by itself.
    Triggers,
}

impl About {
    /// The word for it in text and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Sealed => "sealed",
            Self::Verified => "verified",
            Self::Proven => "proven",
            Self::Keys => "keys",
            Self::Health => "health",
            Self::Triggers => "triggers",
        }
    }
}

/// Work since the newest snapshot, or why it cannot be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Since {
    /// So much.
    Work(WorkSince),
    /// Not looked for, for this reason.
    NotLooked(String),
    /// The workspace could not be looked at, as a snapshot would have to.
    Refused(String),
}

/// What snapshots do not hold, or only this machine has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exposed {
    /// Ignored files that look precious.
    pub unprotected: Unprotected,
    /// What the remotes do not have, if that can be told.
    pub upstream: Option<Upstream>,
}

/// How good the backup is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StatusReport {
    /// The vault.
    pub vault: PathBuf,
    /// When this was asked.
    pub now: Timestamp,
    /// Snapshots that are accepted, and those that are not.
    pub snapshots: (u64, u64),
    /// The newest accepted snapshot.
    pub newest: Option<LoggedSnapshot>,
    /// Whether a restore of it needs anything beside the vault; absent when there is none, or its manifest cannot be read.
    pub completeness: Option<Completeness>,
    /// What is new since then.
    pub since: Since,
    /// What snapshots do not hold; absent where no repository was looked at.
    pub exposed: Option<Exposed>,
    /// The newest verification: level, time, and how many snapshots it covered.
    pub verified: Option<(VerifyLevel, Timestamp, u64)>,
    /// The newest drill: snapshot and time.
    pub proven: Option<(SnapshotId, Timestamp)>,
    /// How many accepted snapshots were proven by a drill.
    pub proven_snapshots: u64,
    /// The keys.
    pub keys: KeyStatusReport,
    /// Copies of the key that signs that were confirmed, the newest first.
    pub copies: Vec<(CopyForm, Timestamp)>,
    /// Bytes that may still be written where the vault is; absent when the system does not say.
    pub free_bytes: Option<u64>,
    /// The packs of the vault.
    pub size: Size,
    /// Of their bytes, those that dropped snapshots brought since the packs were last optimized.
    pub droppable_bytes: u64,
    /// Remains of interrupted snapshots.
    pub incomplete: Vec<PathBuf>,
    /// Snapshots that were refused because of the vault, with none sealed since.
    pub refusals: Option<String>,
    /// What makes snapshots by itself, where a repository was looked at and something does or did.
    pub triggers: Option<TriggersReport>,
    /// Linked worktrees that are not where they were.
    pub away: Vec<Away>,
    /// What needs attention, the severest first.
    pub attention: Vec<Attention>,
}

/// Tells how good the backup is.
///
/// # Errors
/// When the vault cannot be trusted at all.
pub fn status(workplace: &Workplace) -> Result<StatusReport> {
    let vault = workplace.existing_vault()?;
    let log = &vault.log;
    let accepted = log.accepted().count() as u64;
    let newest = log.accepted().next_back().cloned();
    let verified = log.newest_accepted(&log.verifications).next();
    let covered = |up_to: u64| log.accepted().filter(|one| one.entry <= up_to).count() as u64;
    let proven = log.newest_accepted(&log.drills).next();
    let keys = key::status_of(&vault);
    let copies = log.copies_of(vault.key().id());
    let (since, exposed) = looked(workplace, &vault, newest.as_ref());
    let mut report = StatusReport {
        vault: vault.layout.root().to_owned(),
        now: workplace.now,
        snapshots: (accepted, log.snapshots.len() as u64 - accepted),
        since,
        exposed,
        verified: verified.map(|verify| {
            (
                verify.record.level,
                verify.time,
                covered(verify.record.up_to),
            )
        }),
        proven: proven.map(|drill| (drill.record.snapshot.clone(), drill.time)),
        proven_snapshots: log
            .accepted()
            .filter(|snapshot| is_proven(&vault, &snapshot.record.id))
            .count() as u64,
        copies: copies.map(|copy| (copy.record.form, copy.time)).collect(),
        keys,
        free_bytes: disk::free_bytes(vault.layout.root()).ok(),
        size: Size::of(&vault),
        droppable_bytes: droppable_bytes(&vault),
        incomplete: vault.leftovers.incomplete.clone(),
        refusals: refusals(&vault),
        completeness: newest.as_ref().and_then(|newest| {
            let manifest = read_manifest(&vault, newest).ok()?;
            Some(manifest.completeness)
        }),
        triggers: triggers(workplace, newest.as_ref()),
        away: away_from(workplace),
        newest,
        attention: Vec::new(),
    };
    report.attention = attention(&report);
    Ok(report)
}

/// What dropped snapshots brought and is still there: an optimize frees at most that, for later snapshots may need some of it.
fn droppable_bytes(vault: &Vault) -> u64 {
    let log = &vault.log;
    let dropped = log.dropped.iter();
    let dropped = dropped.filter(|dropped| dropped.entry > log.last_optimize());
    let brought = dropped.flat_map(|dropped| log.brought_by(dropped.snapshot.entry));
    brought
        .filter(|(_, pack)| pack.role == PackRole::Capture)
        .filter(|(_, pack)| log.inventory.get(&pack.name).is_some())
        .map(|(_, pack)| pack.bytes + pack.index_bytes)
        .sum()
}

/// What this machine remembers of snapshots that were refused because the vault was not healthy.
fn refusals(vault: &Vault) -> Option<String> {
    match health::load(&vault.homes.state, vault.binding.vault) {
        Ok(note) => note.map(|note| {
            format!(
                "snapshots were refused because of the vault, {} in a row since {}",
                note.times, note.first_failed
            )
        }),
        Err(error) => Some(format!(
            "whether snapshots were refused is not known: {error}"
        )),
    }
}

fn triggers(workplace: &Workplace, newest: Option<&LoggedSnapshot>) -> Option<TriggersReport> {
    if workplace.vault.is_some() {
        return None;
    }
    let repository = workplace.repository().ok()?;
    let state = &workplace.homes.state;
    let newest = newest.map(|newest| newest.time);
    let report = triggers_audit::audit(state, &repository, newest, workplace.now);
    (!report.triggers.is_empty() || !report.findings.is_empty()).then_some(report)
}

fn away_from(workplace: &Workplace) -> Vec<Away> {
    let repository = workplace.vault.is_none().then(|| workplace.repository());
    let repository = repository.and_then(Result::ok);
    repository.map_or_else(Vec::new, |repository| away(&repository.git_dir))
}

fn is_proven(vault: &Vault, snapshot: &SnapshotId) -> bool {
    vault
        .log
        .newest_accepted(&vault.log.drills)
        .any(|drill| drill.record.snapshot == *snapshot)
}

/// What is new since the newest snapshot, and what no snapshot holds.
fn looked(
    workplace: &Workplace,
    vault: &Vault,
    newest: Option<&LoggedSnapshot>,
) -> (Since, Option<Exposed>) {
    if workplace.vault.is_some() {
        let why = "the vault was named, so no repository was looked at";
        return (Since::NotLooked(why.to_owned()), None);
    }
    let refused =
        |refusal: &Refusal| Since::Refused(format!("{}: {}", refusal.code.code(), refusal.what));
    let none = || Since::NotLooked("there is no snapshot".to_owned());
    let looked = workplace
        .repository()
        .and_then(|repository| Ok((look(vault, &repository, &workplace.lookup)?, repository)));
    let (look, repository) = match looked {
        Ok(looked) => looked,
        Err(refusal) if newest.is_some() => return (refused(&refusal), None),
        Err(_) => return (none(), None),
    };
    let since = newest.map_or_else(none, |newest| {
        let work = trust(vault, newest).and_then(|trusted| work_in(vault, &look, &trusted));
        work.map_or_else(|refusal| refused(&refusal), Since::Work)
    });
    // What cannot be found out here keeps nothing else from being said.
    let exposed = unprotected(&look, &repository.settings).ok();
    let exposed = exposed.map(|unprotected| Exposed {
        unprotected,
        upstream: upstream(&look.metadata.workspace).ok(),
    });
    (since, exposed)
}

/// What needs attention, the severest first.
fn attention(report: &StatusReport) -> Vec<Attention> {
    let mut found = Vec::new();
    about_snapshots(report, &mut found);
    about_linked(report, &mut found);
    about_proof(report, &mut found);
    about_keys_and_place(report, &mut found);
    let findings = report.triggers.iter().flat_map(|report| &report.findings);
    found.extend(findings.map(|finding| {
        let what = finding.what.clone();
        Attention::new(About::Triggers, finding.severity, what, finding.next)
    }));
    found.sort_by_key(|attention| attention.severity);
    found
}

impl Attention {
    fn new(about: About, severity: Severity, what: impl Into<String>, next: &str) -> Self {
        Self {
            about,
            severity,
            what: what.into(),
            next: next.to_owned(),
        }
    }
}

fn is_older(report: &StatusReport, time: Timestamp, seconds: i64) -> bool {
    report.now.seconds().saturating_sub(time.seconds()) > seconds
}

fn about_snapshots(report: &StatusReport, found: &mut Vec<Attention>) {
    let (accepted, doubtful) = report.snapshots;
    let mut add = |severity, what: String, next: &str| {
        found.push(Attention::new(About::Sealed, severity, what, next));
    };
    if accepted == 0 {
        let what = "there is no snapshot to go back to".to_owned();
        add(Severity::Sev2, what, "git vault snapshot");
    }
    if doubtful > 0 {
        let what = format!("snapshots not accepted, because a key was compromised: {doubtful}");
        add(Severity::Sev1, what, "git vault init --new");
    }
    match (&report.since, &report.newest) {
        (Since::Work(work), Some(newest))
            if work.is_any() && is_older(report, newest.time, SEALED_SECONDS) =>
        {
            let what = "work has not been sealed for more than a day".to_owned();
            add(Severity::Sev2, what, "git vault snapshot");
        }
        (Since::Refused(reason), Some(_)) => {
            let what = format!("a snapshot might be refused: {reason}");
            add(Severity::Sev2, what, "git vault snapshot");
        }
        (Since::Work(_) | Since::NotLooked(_) | Since::Refused(_), _) => {}
    }
}

fn about_linked(report: &StatusReport, found: &mut Vec<Attention>) {
    found.extend(report.away.iter().map(|away| {
        let path = text_name(path_bytes(&away.path));
        let what = format!("linked worktree '{path}' is not there; nothing in it is captured");
        let next = if away.is_locked {
            "git worktree list --porcelain"
        } else {
            "git worktree repair /where/it/is/now, or prune if it is gone for good"
        };
        Attention::new(About::Sealed, Severity::Sev2, what, next)
    }));
}

fn about_proof(report: &StatusReport, found: &mut Vec<Attention>) {
    if report.snapshots.0 == 0 {
        return;
    }
    let mut add = |about, what: &str, next: &str| {
        found.push(Attention::new(about, Severity::Sev3, what, next));
    };
    match report.verified {
        None => add(
            About::Verified,
            "what is stored was never checked as a whole",
            "git vault verify",
        ),
        Some((_, time, _)) if is_older(report, time, VERIFIED_SECONDS) => add(
            About::Verified,
            "what is stored was not checked for more than 30 days",
            "git vault verify",
        ),
        Some(_) => {}
    }
    match &report.proven {
        None => add(
            About::Proven,
            "no snapshot was ever restored to prove it",
            "git vault drill",
        ),
        Some((_, time)) if is_older(report, *time, PROVEN_SECONDS) => add(
            About::Proven,
            "no snapshot was restored to prove it for more than 90 days",
            "git vault drill",
        ),
        Some(_) => {}
    }
}

fn about_keys_and_place(report: &StatusReport, found: &mut Vec<Attention>) {
    let mut add = |about, severity, what: String, next: &str| {
        found.push(Attention::new(about, severity, what, next));
    };
    if report.copies.is_empty() {
        let what =
            "there is one copy of the key; if it is lost, no snapshot can be proven".to_owned();
        add(
            About::Keys,
            Severity::Sev2,
            what,
            "git vault key export FILE",
        );
    }
    if report.free_bytes.is_some_and(|free| free < RESERVE_BYTES) {
        let what = "there is no room for another snapshot".to_owned();
        add(About::Health, Severity::Sev2, what, "git vault doctor");
    }
    if let Some(what) = &report.refusals {
        add(
            About::Health,
            Severity::Sev2,
            what.clone(),
            "git vault doctor",
        );
    }
    if !report.incomplete.is_empty() {
        let what = format!(
            "remains of interrupted snapshots: {}",
            report.incomplete.len()
        );
        add(About::Health, Severity::Sev3, what, "git vault set-aside");
    }
}

/// Writes the figures to a file that others may read; replaced as a whole, so that no reader sees half of it.
///
/// # Errors
/// When it would lie in a vault or replace something else, or cannot be written.
pub fn write_metrics(file: &Path, text: &str) -> Result<()> {
    let refuse = |error: disk::Error| {
        error
            .refuse(RefusalCode::SettingInvalid)
            .keeping("nothing else was touched")
    };
    let unfit = |fact: &str| {
        Refusal::new(
            RefusalCode::SettingInvalid,
            format!("figures are not written to '{}'", file.display()),
        )
        .because(fact)
        .keeping("nothing was touched")
    };
    if real_path(file).ancestors().any(looks_like_vault) {
        return Err(unfit("it is inside a vault"));
    }
    match disk::read_bounded(file, METRICS_LIMIT_BYTES) {
        Err(error) if error.is_not_found() => {}
        Ok(found) if found.is_empty() || found.starts_with(METRICS_START) => {}
        Ok(_) => return Err(unfit("what is there was not written by this command")),
        Err(error) => return Err(unfit(&error.to_string())),
    }
    disk::replace(file, text.as_bytes()).map_err(refuse)?;
    let readable = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(file, readable)
        .context("let others read", file)
        .map_err(refuse)
}
