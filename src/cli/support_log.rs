//! A log for support: appends to a file what a run does and how it ends, without secrets and without anybody's texts.

use std::collections::BTreeMap;
use std::fs::{File, OpenOptions};
use std::io::{Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Mutex;

use rustix::fs::OFlags;
use serde_json::Value;

use crate::cli::environment::{Environment, now_ns};
use crate::host::disk::{self, Context as _};
use crate::model::escape::for_terminal;
use crate::model::event::{Event, Monitor, Phase};
use crate::model::refusal::Refusal;
use crate::model::timestamp::Timestamp;
use crate::ops::incident::Noted;
use crate::vault::inspect::{TOOL, looks_like_vault};
use crate::vault::registry::real_path;

/// The first line of a log: nothing is ever appended to a file that begins otherwise.
const FIRST_LINE: &str = "# git-vault support log 1\n";

const NANOSECONDS: i128 = 1_000_000_000;

/// An open log.
pub struct SupportLog {
    file: File,
    began_ns: i128,
}

impl SupportLog {
    /// Opens the log at `path`, which is made if it is not there, and writes the line of a start.
    ///
    /// # Errors
    /// When it lies where nothing may be written, is not a log, or cannot be written: in one sentence.
    pub fn open(path: &Path, environment: &Environment, words: &[String]) -> Result<Self, String> {
        check_place(path, environment)?;
        let file = open(path).map_err(|error| error.to_string())?;
        let log = Self {
            file,
            began_ns: now_ns(),
        };
        log.add(&format!("start {TOOL}: {}", words.join(" ")))
            .context("write", path)
            .map_err(|error| error.to_string())?;
        Ok(log)
    }

    /// Appends one line, in one piece. Time and process stand first, so that runs at the same time can be told apart.
    fn add(&self, text: &str) -> std::io::Result<()> {
        let seconds = i64::try_from(now_ns().div_euclid(NANOSECONDS)).unwrap_or(i64::MAX);
        let time = Timestamp::from_seconds(seconds);
        let text = for_terminal(text).replace('\n', " ");
        let line = format!("{time} {} {text}\n", std::process::id());
        (&self.file).write_all(line.as_bytes())
    }

    /// Appends one line; what cannot be written is lost, and the run goes on.
    fn say(&self, text: &str) {
        drop(self.add(text));
    }

    /// Says what a run found, and that it ended as it should.
    pub fn answer(&self, answer: &Value, status: u8) {
        for (word, place) in [
            ("vault", "/vault"),
            ("snapshot", "/snapshot/id"),
            ("destination", "/destination"),
        ] {
            if let Some(found) = answer.pointer(place).and_then(Value::as_str) {
                self.say(&format!("{word} {found}"));
            }
        }
        self.say(&format!("outcome exit {status}, {}", self.duration()));
    }

    /// Says why a run was refused.
    pub fn refusal(&self, refusal: &Refusal, noted: &Noted) {
        self.say(&format!("refused {refusal}"));
        self.say(&format!("state {}", refusal.state()));
        match noted {
            Noted::NotDue => {}
            Noted::At(path) => self.say(&format!("noted {}", path.display())),
            Noted::No(reason) => self.say(&format!("not noted: {reason}")),
        }
        self.say(&format!(
            "outcome exit {}, {}",
            refusal.code.exit(),
            self.duration()
        ));
    }

    fn duration(&self) -> String {
        seconds(now_ns() - self.began_ns)
    }
}

/// A duration in seconds, to the millisecond; one that a clock makes negative is none.
fn seconds(nanoseconds: i128) -> String {
    let milliseconds = nanoseconds.max(0) / 1_000_000;
    format!("{}.{:03} s", milliseconds / 1000, milliseconds % 1000)
}

/// A log must not change what it reports on: vaults and keys hold nothing foreign, and the repository is never written to.
fn check_place(path: &Path, environment: &Environment) -> Result<(), String> {
    let real = real_path(path);
    let lies_in = |what: &str| Err(format!("'{}' lies in {what}", path.display()));
    if real.ancestors().any(looks_like_vault) {
        return lies_in("a vault");
    }
    let workplace = &environment.workplace;
    let named = workplace.vault.iter();
    if named
        .into_iter()
        .any(|vault| real.starts_with(real_path(vault)))
    {
        return lies_in("the vault");
    }
    let homes = [
        (&workplace.homes.keys, "the place of the keys"),
        (
            &workplace.homes.state,
            "the place of what this machine has seen",
        ),
        (&workplace.vault_home, "the vault home"),
    ];
    for (home, what) in homes {
        if real.starts_with(real_path(home)) {
            return lies_in(what);
        }
    }
    if let Ok(repository) = workplace.repository() {
        let worktree = repository.worktree.iter();
        let mut places = worktree.chain([&repository.git_dir]);
        if places.any(|place| real.starts_with(real_path(place))) {
            return lies_in("the repository");
        }
    }
    Ok(())
}

fn open(path: &Path) -> disk::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let mut file = OpenOptions::new()
        .read(true)
        .append(true)
        .create(true)
        .mode(disk::FILE_MODE)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(path)
        .context("open", path)?;
    let unfit = |reason: &str| disk::Error::new("use", path, std::io::Error::other(reason));
    let metadata = file.metadata().context("look at", path)?;
    if !metadata.is_file() {
        return Err(unfit("not a regular file"));
    }
    if metadata.len() == 0 {
        file.write_all(FIRST_LINE.as_bytes())
            .context("write", path)?;
        return Ok(file);
    }
    let mut first = Vec::new();
    std::io::Read::by_ref(&mut file)
        .take(FIRST_LINE.len() as u64)
        .read_to_end(&mut first)
        .context("read", path)?;
    if first == FIRST_LINE.as_bytes() {
        Ok(file)
    } else {
        Err(unfit("it is no log of this program, and is left alone"))
    }
}

/// Tells an observer of phases to the log, and everything to another one.
pub struct Logged<'a> {
    log: Option<&'a SupportLog>,
    inner: &'a dyn Monitor,
    phases: Mutex<BTreeMap<Phase, Stretch>>,
}

/// A phase that is under way.
struct Stretch {
    began_ns: i128,
    units: u64,
}

impl<'a> Logged<'a> {
    /// Wraps an observer.
    #[must_use]
    pub fn new(log: Option<&'a SupportLog>, inner: &'a dyn Monitor) -> Self {
        Self {
            log,
            inner,
            phases: Mutex::default(),
        }
    }

    fn note(&self, log: &SupportLog, event: Event) {
        let Ok(mut phases) = self.phases.lock() else {
            return;
        };
        match event {
            Event::Started { phase, total } => {
                let total = total.map_or(String::new(), |total| format!(", {total} to do"));
                log.say(&format!("phase {phase:?} began{total}"));
                let began_ns = now_ns();
                phases.insert(phase, Stretch { began_ns, units: 0 });
            }
            Event::Advanced { phase, units } => {
                if let Some(stretch) = phases.get_mut(&phase) {
                    stretch.units += units;
                }
            }
            Event::Finished { phase } => {
                if let Some(stretch) = phases.remove(&phase) {
                    let duration = seconds(now_ns() - stretch.began_ns);
                    let units = stretch.units;
                    log.say(&format!("phase {phase:?} done: {units} in {duration}"));
                }
            }
        }
    }
}

impl Monitor for Logged<'_> {
    fn event(&self, event: Event) {
        if let Some(log) = self.log {
            self.note(log, event);
        }
        self.inner.event(event);
    }
}
