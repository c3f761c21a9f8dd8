//! Which triggers are there for a repository, when each last fired, and which should have fired and did not. What is installed
//! is told by the notes of those who installed it; a cause is named only if it was looked for and found.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use crate::host::disk;
use crate::host::git::config_file::hooks_path_setting;
use crate::host::git::repository::Repository;
use crate::host::lock;
use crate::host::walk::path_bytes;
use crate::model::escape::{name_from_text, text_name};
use crate::model::refusal_code::Severity;
use crate::model::timestamp::Timestamp;
use crate::ops::links;
use crate::ops::schedule::{self, FileState};
use crate::ops::sweep;
use crate::vault::heartbeats::{self, Heartbeat, Outcome, repository_key};

/// Largest note read.
const LIMIT_BYTES: u64 = 1 << 20;
/// Largest settings file read.
const SETTINGS_BYTES: u64 = 16 << 20;
/// How much of the end of a reflog is read.
const REFLOG_BYTES: usize = 1 << 16;
/// Seconds for which a hook may be late, and a worker at work.
const GRACE_SECONDS: i64 = 60;
/// How many sweeps may be missed: one may have been late, another have met somebody at work.
const MISSED_SWEEPS: i64 = 3;

/// A trigger that is installed or has fired.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trigger {
    /// Its name; all git hooks are one.
    pub name: String,
    /// Whether it was installed to fire by itself.
    pub is_installed: bool,
    /// When it last fired, and what came of it.
    pub last: Option<Heartbeat>,
}

/// A trigger that should have fired and did not, or made no snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// How much is at stake.
    pub severity: Severity,
    /// What it is, and the cause if one was found.
    pub what: String,
    /// The command that helps.
    pub next: &'static str,
}

/// What is known of the triggers of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TriggersReport {
    /// By name.
    pub triggers: Vec<Trigger>,
    /// What needs attention.
    pub findings: Vec<Finding>,
}

/// What was installed by one of the commands that do so.
struct Installed {
    /// The name of the trigger.
    name: String,
    /// When.
    at: Timestamp,
    /// What its note says.
    note: toml::Table,
    /// The command that mends it.
    mend: &'static str,
}

impl Installed {
    fn read(path: &Path, name: String, mend: &'static str) -> Option<Self> {
        let at = changed_at(path)?;
        let bytes = disk::read_bounded(path, LIMIT_BYTES).ok();
        let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
        Some(Self {
            name,
            at,
            // That it is there says that something is installed; what it says is used as far as it is understood.
            note: text.and_then(|text| text.parse().ok()).unwrap_or_default(),
            mend,
        })
    }

    fn text(&self, field: &str) -> Option<&str> {
        self.note.get(field)?.as_str()
    }

    /// The program that it starts, if that is gone.
    fn lost_program(&self) -> Option<&str> {
        let program = self.text("program")?;
        let path = Path::new(program);
        (path.is_absolute() && is_gone(path)).then_some(program)
    }
}

fn is_gone(path: &Path) -> bool {
    std::fs::metadata(path).is_err_and(|error| disk::is_nowhere(&error))
}

fn changed_at(path: &Path) -> Option<Timestamp> {
    let found = std::fs::symlink_metadata(path).ok()?;
    Some(Timestamp::from_seconds(found.mtime()))
}

/// Looks at the triggers of a repository; `newest` is when its newest snapshot was made.
#[must_use]
pub fn audit(
    state: &Path,
    repository: &Repository,
    newest: Option<Timestamp>,
    now: Timestamp,
) -> TriggersReport {
    let git_dir = &repository.git_dir;
    let beats = heartbeats::read(state, git_dir);
    let installed = installed(state, git_dir);
    let mut report = TriggersReport {
        triggers: triggers(&beats, &installed),
        findings: Vec::new(),
    };
    // What was captured since makes good what a trigger did not do.
    let captured = beats
        .iter()
        .filter(|beat| matches!(beat.outcome, Outcome::Sealed | Outcome::Unchanged));
    let captured = captured.map(|beat| beat.fired).max().max(newest);
    let audit = Audit {
        state,
        git_dir,
        beats: &beats,
        captured,
        now,
    };
    for one in &installed {
        report.findings.extend(lost_program(one));
        report.findings.extend(lost_entry(one));
    }
    if let Some(hooks) = installed.iter().find(|one| one.name == "hooks") {
        report.findings.extend(audit.hooks(hooks));
    }
    report.findings.extend(audit.schedule());
    report.findings.extend(audit.marks());
    report.findings.extend(audit.refused());
    report
}

fn lost_program(one: &Installed) -> Option<Finding> {
    let program = one.lost_program()?;
    Some(Finding {
        severity: Severity::Sev2,
        what: format!("{} cannot fire: '{program}' is gone", one.name),
        next: one.mend,
    })
}

/// What an agent was told, if that is not where it was put any more.
fn lost_entry(one: &Installed) -> Option<Finding> {
    use std::os::unix::ffi::OsStringExt as _;
    let tool = one.name.strip_prefix("agent/")?;
    let file = name_from_text(one.text("file")?)?;
    let file = PathBuf::from(std::ffi::OsString::from_vec(file));
    let is_lost = match disk::read_bounded(&file, SETTINGS_BYTES) {
        Ok(bytes) => {
            let text = String::from_utf8_lossy(&bytes);
            // As a command, or as its words.
            let forms = [
                format!("agents hook {tool}"),
                format!("\"hook\", \"{tool}\""),
            ];
            !forms.iter().any(|form| text.contains(form))
        }
        Err(error) => error.is_not_found(),
    };
    is_lost.then(|| Finding {
        severity: Severity::Sev2,
        what: format!(
            "{} cannot fire: somebody took it out of '{}'",
            one.name,
            file.display()
        ),
        next: "git vault agents status",
    })
}

/// What the state home says is installed for a repository, or for all.
fn installed(state: &Path, git_dir: &Path) -> Vec<Installed> {
    let mut installed = Vec::new();
    let agents = state.join("agents");
    for name in disk::list(&agents).unwrap_or_default() {
        let path = agents.join(&name);
        let tool = path.file_stem().and_then(|stem| stem.to_str());
        if let Some(tool) = tool.filter(|_| path.extension().is_some_and(|end| end == "toml")) {
            let name = format!("agent/{tool}");
            installed.extend(Installed::read(&path, name, "git vault agents install"));
        }
    }
    let hooks = state.join("hooks");
    let places = [repository_key(git_dir), "global".to_owned()];
    let ledgers = places.map(|place| hooks.join(place).join("ledger.toml"));
    let found =
        |path: &PathBuf| Installed::read(path, "hooks".to_owned(), "git vault hooks install");
    installed.extend(ledgers.iter().find_map(found));
    let schedule = state.join("schedule.toml");
    let name = sweep::TRIGGER.to_owned();
    installed.extend(Installed::read(
        &schedule,
        name,
        "git vault schedule install",
    ));
    installed
}

/// All hooks of git are one trigger: which of them fires depends on the command.
fn group(trigger: &str) -> &str {
    if trigger.starts_with("hook/") {
        "hooks"
    } else {
        trigger
    }
}

fn triggers(beats: &[Heartbeat], installed: &[Installed]) -> Vec<Trigger> {
    let mut triggers: BTreeMap<&str, (bool, Option<&Heartbeat>)> = BTreeMap::new();
    for one in installed {
        triggers.entry(&one.name).or_default().0 = true;
    }
    for beat in beats {
        let last = &mut triggers.entry(group(&beat.trigger)).or_default().1;
        if last.is_none_or(|last| last.fired <= beat.fired) {
            *last = Some(beat);
        }
    }
    let triggers = triggers.into_iter();
    triggers
        .map(|(name, (is_installed, last))| Trigger {
            name: name.to_owned(),
            is_installed,
            last: last.cloned(),
        })
        .collect()
}

struct Audit<'a> {
    state: &'a Path,
    git_dir: &'a Path,
    beats: &'a [Heartbeat],
    captured: Option<Timestamp>,
    now: Timestamp,
}

impl Audit<'_> {
    /// Whether a moment is longer ago than that.
    fn is_past(&self, moment: Timestamp, seconds: i64) -> bool {
        self.now.seconds().saturating_sub(moment.seconds()) > seconds
    }

    /// Within one second it is not known what came first.
    fn is_captured_since(&self, moment: Timestamp) -> bool {
        self.captured.is_some_and(|captured| captured > moment)
    }

    fn last_of(&self, name: &str) -> Option<Timestamp> {
        let beats = self.beats.iter();
        let own = beats.filter(|beat| group(&beat.trigger) == name);
        own.map(|beat| beat.fired).max()
    }

    /// A commit or merge after the installation, and no hook fired at it.
    fn hooks(&self, hooks: &Installed) -> Option<Finding> {
        let steps = links::git_dirs(self.git_dir).into_iter();
        let steps = steps.filter_map(|git_dir| Some((newest_step(&git_dir)?, git_dir)));
        let ((word, moment), place) = steps.max_by_key(|((_, moment), _)| *moment)?;
        let fired = self.last_of("hooks");
        let is_heard = fired.is_some_and(|fired| fired.seconds() + 2 >= moment.seconds());
        if moment <= hooks.at || is_heard || !self.is_past(moment, GRACE_SECONDS) {
            return None;
        }
        let cause = hooks_cause(hooks, self.git_dir);
        let cause = cause.map_or_else(
            || "no cause was found here; some programs run no hooks".to_owned(),
            |cause| format!("likely because {cause}"),
        );
        Some(Finding {
            severity: Severity::Sev2,
            what: format!(
                "no hook fired at the {word} of {moment}{}: {cause}",
                self.named(&place)
            ),
            next: "git vault hooks status",
        })
    }

    /// Which working tree a git directory belongs to, if it is a linked one.
    fn named(&self, place: &Path) -> String {
        let name = place.file_name().filter(|_| place != self.git_dir);
        let name = name.map(|name| text_name(path_bytes(Path::new(name))));
        name.map_or_else(String::new, |name| format!(" in linked worktree '{name}'"))
    }

    /// Sweeps that should have been.
    fn schedule(&self) -> Option<Finding> {
        let ledger = schedule::ledger(self.state).ok()??;
        let every = i64::try_from(ledger.every_seconds).unwrap_or(i64::MAX);
        let longest = every.saturating_mul(MISSED_SWEEPS);
        let since = self.last_of(sweep::TRIGGER).max(Some(ledger.installed))?;
        if !self.is_past(since, longest) {
            return None;
        }
        let files = schedule::states(&ledger);
        let changed = files.iter().find(|(_, state)| *state != FileState::Intact);
        let last = sweep::last(self.state).filter(|last| !self.is_past(last.began, longest));
        let cause = match (changed, last) {
            (Some((file, _)), _) => format!("'{}' is not as it was written", file.display()),
            (None, Some(last)) => format!(
                "the sweep of {} did not come to a snapshot of this repository",
                last.began
            ),
            (None, None) => "no sweep ran at all; the timer or the machine was off".to_owned(),
        };
        Some(Finding {
            severity: Severity::Sev2,
            what: format!("no sweep of this repository since {since}: {cause}"),
            next: "git vault schedule status",
        })
    }

    /// What hooks left to a worker that is no more.
    fn marks(&self) -> Option<Finding> {
        let directory = self.state.join("hooks").join(repository_key(self.git_dir));
        let marks = ["pending", "taken"].map(|name| changed_at(&directory.join(name)));
        let moment = marks.into_iter().flatten().min()?;
        let is_left = self.is_past(moment, GRACE_SECONDS)
            && !self.is_captured_since(moment)
            && !lock::is_locked(&directory.join("lock"));
        is_left.then(|| Finding {
            severity: Severity::Sev3,
            what: format!(
                "what a hook left to its worker at {moment} was not captured: the worker ended before"
            ),
            next: "git vault snapshot",
        })
    }

    /// Triggers that fired last and were refused, with no snapshot since.
    fn refused(&self) -> Vec<Finding> {
        let refused = self
            .beats
            .iter()
            .filter(|beat| beat.outcome == Outcome::Refused && !self.is_captured_since(beat.fired));
        refused
            .map(|beat| Finding {
                severity: Severity::Sev2,
                what: format!(
                    "{} was refused at {}: {}",
                    beat.trigger, beat.fired, beat.detail
                ),
                next: "git vault snapshot",
            })
            .collect()
    }
}

/// Why hooks of git do not fire, as far as it can be seen.
fn hooks_cause(hooks: &Installed, git_dir: &Path) -> Option<String> {
    if let Some(program) = hooks.lost_program() {
        return Some(format!("'{program}' is gone"));
    }
    let files = hooks.note.get("files").and_then(toml::Value::as_array);
    let mut paths = files
        .into_iter()
        .flatten()
        .filter_map(|file| file.get("path")?.as_str());
    if let Some(lost) = paths.find(|path| is_gone(Path::new(path))) {
        return Some(format!("'{lost}' is gone"));
    }
    if hooks.text("carrier") == Some("files") {
        let config = disk::read_bounded(&git_dir.join("config"), LIMIT_BYTES).ok()?;
        let elsewhere = hooks_path_setting(&config)?;
        let elsewhere = String::from_utf8_lossy(&elsewhere).into_owned();
        return Some(format!("core.hooksPath is '{elsewhere}' now"));
    }
    let include = hooks.note.get("include")?;
    let config = PathBuf::from(include.get("config")?.as_str()?);
    let path = include.get("path")?.as_str()?;
    let text = disk::read_bounded(&config, LIMIT_BYTES).unwrap_or_default();
    let is_named = String::from_utf8_lossy(&text).contains(path);
    (!is_named).then(|| format!("'{}' does not include it any more", config.display()))
}

/// The newest commit or merge in the reflog of a working tree's HEAD, for which git runs a hook: a word for it, and when it was.
fn newest_step(git_dir: &Path) -> Option<(&'static str, Timestamp)> {
    let path = git_dir.join("logs/HEAD");
    let written = changed_at(&path)?;
    let bytes = disk::read_bounded(&path, u64::from(u32::MAX)).ok()?;
    let start = bytes.len().saturating_sub(REFLOG_BYTES);
    let text = String::from_utf8_lossy(bytes.get(start..)?).into_owned();
    let step = text.lines().rev().find_map(|line| {
        let (who, message) = line.split_once('\t')?;
        let word = if message.starts_with("commit") {
            "commit"
        } else if message.starts_with("merge") || message.starts_with("pull") {
            "merge"
        } else {
            return None;
        };
        let mut words = who.rsplit(' ');
        let (_zone, seconds) = (words.next()?, words.next()?);
        Some((word, Timestamp::from_seconds(seconds.parse().ok()?)))
    });
    // A date may be made up; when the file was written is not.
    step.map(|(word, moment)| (word, moment.min(written)))
}
