//! `git vault schedule`: sweeps that the scheduler of the system starts. What is written is noted with its BLAKE3, and nothing
//! is replaced or removed but what is still as it was written.

pub mod scheduler;

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::host::disk::{self, Context as _};
use crate::host::program::Program;
use crate::host::walk::path_bytes;
use crate::model::escape::{name_from_text, shell_word, text_name};
use crate::model::ids::Digest;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::timestamp::Timestamp;
use crate::ops::sweep::{self, LastSweep};

use scheduler::{Job, Overlay, Scheduler, overlays};

/// Largest file read.
const LIMIT_BYTES: u64 = 1 << 16;

/// The scheduler of this system, and what it needs to be told.
#[derive(Debug, Clone)]
pub struct SchedulePlaces {
    /// Which it is.
    pub scheduler: Scheduler,
    /// Where it looks for what the user wants.
    pub directory: Option<PathBuf>,
    /// The program by which it is asked, if there is one.
    pub tool: Option<PathBuf>,
    /// This program.
    pub program: Option<PathBuf>,
    /// Variables that say where its things are.
    pub variables: Vec<(&'static str, PathBuf)>,
    /// Where this program notes what it wrote.
    pub state: PathBuf,
}

/// What was written for the scheduler.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ledger {
    /// Which scheduler.
    pub scheduler: String,
    /// How often it starts a sweep, in seconds.
    pub every_seconds: u64,
    /// When it was told so.
    pub installed: Timestamp,
    /// The program that it starts.
    pub program: String,
    /// The files.
    pub file: Vec<LedgerFile>,
}

/// A file that was written.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LedgerFile {
    /// Where.
    pub path: String,
    /// What.
    pub blake3: Digest,
}

impl LedgerFile {
    fn place(&self) -> PathBuf {
        use std::os::unix::ffi::OsStringExt as _;
        let bytes = name_from_text(&self.path).unwrap_or_default();
        PathBuf::from(std::ffi::OsString::from_vec(bytes))
    }
}

/// What is there of a file that was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileState {
    /// What was written.
    Intact,
    /// Something else.
    Changed,
    /// Nothing.
    Missing,
}

/// What came of an installation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InstallReport {
    /// What is written now.
    pub ledger: Ledger,
    /// Whether it was so before.
    pub is_as_before: bool,
}

/// How things stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScheduleStatus {
    /// What was written, if anything.
    pub ledger: Option<Ledger>,
    /// What is there of it.
    pub files: Vec<(PathBuf, FileState)>,
    /// What somebody has laid over them, as far as the scheduler says.
    pub overlays: Vec<Overlay>,
    /// Whether the scheduler has it on; absent when it cannot be asked.
    pub is_on: Option<bool>,
    /// Whether the program that it starts is there.
    pub has_program: bool,
    /// The last sweep of this machine, whatever started it.
    pub last: Option<LastSweep>,
    /// When this was asked.
    pub now: Timestamp,
}

impl ScheduleStatus {
    /// Whether a person should look at it.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        let is_intact = |(_, state): &(PathBuf, FileState)| *state == FileState::Intact;
        self.ledger.is_some()
            && !(self.has_program
                && self.is_on == Some(true)
                && self.overlays.is_empty()
                && self.files.iter().all(is_intact))
    }
}

fn ledger_path(state: &Path) -> PathBuf {
    state.join("schedule.toml")
}

/// What was written for the scheduler, as the state home says.
///
/// # Errors
/// When that cannot be read or understood.
pub fn ledger(state: &Path) -> Result<Option<Ledger>> {
    let path = ledger_path(state);
    let bytes = match disk::read_bounded(&path, LIMIT_BYTES) {
        Err(error) if error.is_not_found() => return Ok(None),
        bytes => bytes.map_err(|error| error.refuse(RefusalCode::SchedulerUnavailable))?,
    };
    let ledger = toml::from_str(&String::from_utf8_lossy(&bytes)).map_err(|error| {
        Refusal::new(
            RefusalCode::SchedulerUnavailable,
            format!("'{}' cannot be understood", path.display()),
        )
        .because(error.message().to_owned())
        .because("it says what was written for the scheduler of this system")
        .keeping("nothing was touched")
    })?;
    Ok(Some(ledger))
}

fn state_of(file: &LedgerFile) -> FileState {
    match disk::read_bounded(&file.place(), LIMIT_BYTES) {
        Ok(bytes) if Digest::of(&bytes) == file.blake3 => FileState::Intact,
        Err(error) if error.is_nowhere() => FileState::Missing,
        Ok(_) | Err(_) => FileState::Changed,
    }
}

/// What is there of each file that was written. While a schedule is changed, a file may be one of two.
#[must_use]
pub fn states(ledger: &Ledger) -> Vec<(PathBuf, FileState)> {
    let mut states: Vec<(PathBuf, FileState)> = Vec::new();
    for file in &ledger.file {
        let (place, state) = (file.place(), state_of(file));
        match states.iter_mut().find(|(known, _)| *known == place) {
            Some((_, known)) if state == FileState::Intact => *known = state,
            Some(_) => {}
            None => states.push((place, state)),
        }
    }
    states
}

impl SchedulePlaces {
    /// Tells the scheduler something; a no has its reason.
    fn ask(&self, words: &[String]) -> std::result::Result<(), String> {
        self.answer(words).map(drop)
    }

    /// What the scheduler answers; a no has its reason.
    fn answer(&self, words: &[String]) -> std::result::Result<String, String> {
        let Some(tool) = &self.tool else {
            return Err(format!("there is no {} on the path", self.scheduler.tool()));
        };
        let program = Program {
            file: tool.clone(),
            name: self.scheduler.tool().into(),
            arguments: words.iter().map(Into::into).collect(),
            directory: PathBuf::from("/"),
        };
        let answer = program.ask().map_err(|error| error.to_string())?;
        if answer.is_success {
            return Ok(answer.text);
        }
        let said = if answer.text.is_empty() {
            "it does not say why"
        } else {
            &answer.text
        };
        Err(format!(
            "{} {}: {said}",
            self.scheduler.tool(),
            words.join(" ")
        ))
    }

    fn check_is_there(&self) -> Result<()> {
        self.ask(&self.scheduler.is_it_there())
            .map_err(|reason| self.unavailable(reason).keeping("nothing was touched"))
    }

    fn unavailable(&self, reason: String) -> Refusal {
        let refusal = Refusal::new(
            RefusalCode::SchedulerUnavailable,
            format!(
                "the scheduler of this user ({}) does not answer",
                self.scheduler.word()
            ),
        );
        let sweep = self.program.as_deref().map(shell_word).unwrap_or_default();
        refusal.because(reason).next(
            "crontab -e",
            format!("another scheduler will do; a line for it: */15 * * * * {sweep} sweep"),
        )
    }
}

fn not_ours(path: &Path, fact: &str) -> Refusal {
    Refusal::new(
        RefusalCode::SchedulerUnavailable,
        format!("'{}' is not as this program wrote it", path.display()),
    )
    .because(fact)
    .about(path)
    .keeping("nothing was touched")
    .next(format!("cat {}", shell_word(path)), "shows it")
    .next(
        set_aside(path),
        "sets it aside; after that, the same command again does what was asked",
    )
}

/// The command that takes a file of somebody else out of the way, without writing over another.
#[must_use]
pub fn set_aside(path: &Path) -> String {
    let mut aside = path.as_os_str().to_owned();
    aside.push(".aside");
    format!(
        "mv -n {} {}",
        shell_word(path),
        shell_word(Path::new(&aside))
    )
}

/// Has the scheduler start a sweep every so often.
///
/// # Errors
/// When the scheduler cannot be asked or does not take it, or something foreign is in its place; then what was there before is there
/// again.
pub fn install(
    surroundings: &SchedulePlaces,
    every: Duration,
    now: Timestamp,
) -> Result<InstallReport> {
    let (directory, program, files) = plan(surroundings, every)?;
    surroundings.check_is_there()?;
    let known = ledger(&surroundings.state)?;
    let ours = |path: &Path| {
        let files = known.iter().flat_map(|ledger| &ledger.file);
        files
            .filter(|file| file.place() == path)
            .any(|file| state_of(file) == FileState::Intact)
    };
    for (path, text) in &files {
        match disk::read_bounded(path, LIMIT_BYTES) {
            Err(error) if error.is_nowhere() => {}
            Ok(bytes) if ours(path) || bytes == text.as_bytes() => {}
            Ok(_) => return Err(not_ours(path, "somebody else wrote or changed it")),
            Err(error) => return Err(not_ours(path, &error.to_string())),
        }
    }
    let new = Ledger {
        scheduler: surroundings.scheduler.word().to_owned(),
        every_seconds: every.as_secs(),
        installed: now,
        program: text_name(path_bytes(&program)),
        file: files
            .iter()
            .map(|(path, text)| LedgerFile {
                path: text_name(path_bytes(path)),
                blake3: Digest::of(text.as_bytes()),
            })
            .collect(),
    };
    if let Some(known) = &known
        && known.file == new.file
        && states(known)
            .iter()
            .all(|(_, state)| *state == FileState::Intact)
        && surroundings.ask(&surroundings.scheduler.is_on()).is_ok()
    {
        return Ok(InstallReport {
            ledger: known.clone(),
            is_as_before: true,
        });
    }
    let former = former(known.as_ref(), &files)?;
    let before = before(surroundings, known.as_ref(), &files)?;
    let told = write(surroundings, &directory, &former, &new, &before, &files)
        .map_err(|error| Refusal::new(RefusalCode::SchedulerUnavailable, error.to_string()))
        .and_then(|()| switch_on(surroundings, &directory))
        .and_then(|()| {
            // Only now it is known that none of what was written before is needed any more.
            store(&surroundings.state, &new)
                .map_err(|error| Refusal::new(RefusalCode::SchedulerUnavailable, error.to_string()))
        });
    match told {
        Ok(()) => Ok(InstallReport {
            ledger: new,
            is_as_before: false,
        }),
        Err(refusal) => Err(undo(surroundings, &before, &files, refusal)),
    }
}

/// What is there before anything is written: that is put back when the scheduler does not take the new.
struct Before {
    ledger: Option<Ledger>,
    /// Files of ours, as they are.
    files: Vec<(PathBuf, Vec<u8>)>,
    is_on: bool,
}

fn before(surroundings: &SchedulePlaces, known: Option<&Ledger>, files: &Files) -> Result<Before> {
    let mut found = Vec::new();
    let listed = known.map(states).unwrap_or_default().into_iter();
    let new = files.iter().map(|(path, _)| path.clone());
    for path in listed.map(|(path, _)| path).chain(new) {
        if found.iter().any(|(known, _)| *known == path) {
            continue;
        }
        match disk::read_bounded(&path, LIMIT_BYTES) {
            Err(error) if error.is_nowhere() => {}
            bytes => {
                let bytes = bytes.map_err(|error| not_ours(&path, &error.to_string()))?;
                found.push((path, bytes));
            }
        }
    }
    let is_on = known.is_some() && surroundings.ask(&surroundings.scheduler.is_on()).is_ok();
    Ok(Before {
        ledger: known.cloned(),
        files: found,
        is_on,
    })
}

/// What was written at other places than now: the directory of settings may have been another one.
fn former(known: Option<&Ledger>, files: &Files) -> Result<Vec<PathBuf>> {
    let known = known.map(states).unwrap_or_default();
    let is_new = |place: &PathBuf| files.iter().any(|(path, _)| path == place);
    let mut former = Vec::new();
    for (path, state) in known.into_iter().filter(|(path, _)| !is_new(path)) {
        match state {
            FileState::Intact => former.push(path),
            FileState::Missing => {}
            FileState::Changed => {
                return Err(not_ours(&path, "it was changed since, and is left alone"));
            }
        }
    }
    Ok(former)
}

type Files = Vec<(PathBuf, String)>;

/// Directory, program and files of a job, or why there can be none.
fn plan(surroundings: &SchedulePlaces, every: Duration) -> Result<(PathBuf, PathBuf, Files)> {
    let unknown = |fact: &str| {
        let what = "the scheduler cannot be told what to start";
        let refusal = Refusal::new(RefusalCode::SettingInvalid, what);
        refusal.because(fact).keeping("nothing was touched")
    };
    let directory = surroundings.directory.clone();
    let directory = directory.ok_or_else(|| unknown("the home directory is not known"))?;
    let program = surroundings.program.clone();
    let program =
        program.ok_or_else(|| unknown("the system does not say where this program is"))?;
    let job = Job {
        program: program.clone(),
        variables: surroundings.variables.clone(),
        every,
    };
    let files = surroundings.scheduler.files(&job);
    let files =
        files.ok_or_else(|| unknown("a path that it needs has characters it cannot read"))?;
    let files = files.into_iter();
    let files = files.map(|(name, text)| (directory.join(name), text));
    let files = files.collect();
    Ok((directory, program, files))
}

/// At no moment a file is there that no note speaks of: until the scheduler has taken the new, the note speaks of both.
fn write(
    surroundings: &SchedulePlaces,
    directory: &Path,
    former: &[PathBuf],
    ledger: &Ledger,
    before: &Before,
    files: &Files,
) -> disk::Result<()> {
    let mut both = ledger.clone();
    let known = before.ledger.iter().flat_map(|ledger| &ledger.file);
    both.file.extend(known.cloned());
    store(&surroundings.state, &both)?;
    disk::create_directories(directory)?;
    for (path, text) in files {
        put(path, text.as_bytes(), before)?;
    }
    for path in former {
        remove(path)?;
    }
    disk::sync_directory(directory)
}

fn store(state: &Path, ledger: &Ledger) -> disk::Result<()> {
    disk::create_directories(state)?;
    let text = toml::to_string(ledger).unwrap_or_default();
    disk::replace(&ledger_path(state), text.as_bytes())
}

/// Writes a file: in place of the one that was looked at before, or where there was none.
fn put(path: &Path, bytes: &[u8], before: &Before) -> disk::Result<()> {
    if before.files.iter().any(|(known, _)| known == path) {
        disk::replace(path, bytes)
    } else {
        disk::write_new(path, bytes)
    }
}

fn remove(path: &Path) -> disk::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        outcome => outcome.context("remove", path),
    }
}

fn switch_on(surroundings: &SchedulePlaces, directory: &Path) -> Result<()> {
    // An agent of the same name that is on would be in the way; that none is on is no failure.
    if surroundings.scheduler == Scheduler::Launchd {
        let _was_off = surroundings.ask(&surroundings.scheduler.switch_off());
    }
    for words in surroundings.scheduler.switch_on(directory) {
        let asked = surroundings.ask(&words);
        asked.map_err(|reason| surroundings.unavailable(reason))?;
    }
    Ok(())
}

/// Takes back what was begun: what was there before is there again, and on if it was on. A schedule that is only half there would be
/// taken for one.
fn undo(
    surroundings: &SchedulePlaces,
    before: &Before,
    files: &Files,
    refusal: Refusal,
) -> Refusal {
    if !before.is_on {
        let _was_off = surroundings.ask(&surroundings.scheduler.switch_off());
    }
    let mut left = Vec::new();
    let mut note = |outcome: disk::Result<()>| {
        left.extend(outcome.err().map(|error| error.to_string()));
    };
    for (path, text) in files {
        let is_new = !before.files.iter().any(|(known, _)| known == path);
        let is_ours =
            || disk::read_bounded(path, LIMIT_BYTES).is_ok_and(|bytes| bytes == text.as_bytes());
        if is_new && is_ours() {
            note(remove(path));
        }
    }
    for (path, bytes) in &before.files {
        note(disk::replace(path, bytes));
    }
    match &before.ledger {
        Some(ledger) => note(store(&surroundings.state, ledger)),
        None => note(remove(&ledger_path(&surroundings.state))),
    }
    if let Some(words) = surroundings.scheduler.forget() {
        let _not_told = surroundings.ask(&words);
    }
    if !before.is_on {
        let left = if left.is_empty() {
            "what was begun was taken back; no sweep is scheduled".to_owned()
        } else {
            format!("no sweep is scheduled; {}", left.join("; "))
        };
        return refusal.having_changed(left);
    }
    let first = before.files.iter().find_map(|(path, _)| path.parent());
    let _not_told = first.map(|directory| switch_on(surroundings, directory));
    let is_on = surroundings.ask(&surroundings.scheduler.is_on()).is_ok();
    if left.is_empty() && is_on {
        return refusal.keeping("the schedule that was there is there again, and on");
    }
    if !is_on {
        left.push("the scheduler did not take that which was there before again".to_owned());
    }
    refusal
        .having_changed(left.join("; "))
        .next("git vault schedule status", "says how things stand")
}

/// How things stand.
///
/// # Errors
/// When what was written cannot be told.
pub fn status(surroundings: &SchedulePlaces, now: Timestamp) -> Result<ScheduleStatus> {
    let ledger = ledger(&surroundings.state)?;
    let is_there = || {
        surroundings
            .ask(&surroundings.scheduler.is_it_there())
            .is_ok()
    };
    let is_on = (ledger.is_some() && is_there())
        .then(|| surroundings.ask(&surroundings.scheduler.is_on()).is_ok());
    let holds = surroundings.scheduler.what_holds();
    let holds = holds.filter(|_| is_on.is_some());
    let answer = holds.and_then(|words| surroundings.answer(&words).ok());
    Ok(ScheduleStatus {
        overlays: answer.as_deref().map(overlays).unwrap_or_default(),
        files: ledger.as_ref().map(states).unwrap_or_default(),
        is_on,
        has_program: ledger.as_ref().is_none_or(has_program),
        last: sweep::last(&surroundings.state),
        ledger,
        now,
    })
}

/// Whether the program that the scheduler starts is there.
#[must_use]
pub fn has_program(ledger: &Ledger) -> bool {
    use std::os::unix::ffi::OsStringExt as _;
    let path = name_from_text(&ledger.program).map(std::ffi::OsString::from_vec);
    path.is_some_and(|path| std::fs::metadata(path).is_ok_and(|found| found.is_file()))
}

/// Takes back what [`install`] did; gives what that was, or nothing when there was nothing.
///
/// # Errors
/// When the scheduler cannot be asked, or what is there was changed by somebody; then nothing is touched.
pub fn uninstall(surroundings: &SchedulePlaces) -> Result<Option<Ledger>> {
    let Some(ledger) = ledger(&surroundings.state)? else {
        return Ok(None);
    };
    for (path, state) in states(&ledger) {
        if state == FileState::Changed {
            return Err(not_ours(&path, "it was changed since, and is left alone"));
        }
    }
    surroundings.check_is_there()?;
    let is_on = surroundings.ask(&surroundings.scheduler.is_on()).is_ok();
    let is_whole = states(&ledger)
        .iter()
        .all(|(_, state)| *state == FileState::Intact);
    if is_on || is_whole {
        let asked = surroundings.ask(&surroundings.scheduler.switch_off());
        // What is off and cannot be switched off again is off.
        if let Err(reason) = asked
            && is_on
        {
            return Err(surroundings
                .unavailable(reason)
                .keeping("nothing was touched"));
        }
    }
    let refuse = |error: disk::Error| error.refuse(RefusalCode::SchedulerUnavailable);
    for (path, _) in states(&ledger) {
        remove(&path).map_err(refuse)?;
    }
    remove(&ledger_path(&surroundings.state)).map_err(refuse)?;
    if let Some(words) = surroundings.scheduler.forget() {
        // It forgets them by itself when it starts again.
        let _not_told = surroundings.ask(&words);
    }
    Ok(Some(ledger))
}
