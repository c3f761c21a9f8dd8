//! `git vault agents install|status|uninstall`: coding agents are told to ask for a snapshot before they act.

pub mod call;
pub mod hook;
pub mod ledger;
pub mod settings;
pub mod switches;
pub mod tools;

use std::path::{Path, PathBuf};

use crate::host::disk;
use crate::host::settings_file::{SettingsFile, make_directories, remove_empty};
use crate::host::walk::path_bytes;
use crate::model::escape::text_name;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::agents::ledger::{Ledger, Put, digest, forget};
use crate::ops::agents::settings::{
    Presence, Survey, survey, text_of, with_entries, without_entries,
};
use crate::ops::agents::switches::switched_off;
use crate::ops::agents::tools::{Form, Tool, ToolHomes};

/// What the commands are given.
pub struct Agents<'a> {
    /// Where the tools keep their settings.
    pub homes: &'a ToolHomes,
    /// The state home, in which it is noted what was written.
    pub state: &'a Path,
    /// The program that the tools shall run.
    pub program: Option<&'a Path>,
}

/// What was done to a tool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It was told of us.
    Installed,
    /// It named an older path of this program, or lacked something, and is up to date now.
    Updated,
    /// All was there before.
    AlreadyInstalled,
    /// What was written was taken out.
    Uninstalled,
    /// There was nothing of ours.
    NothingInstalled,
}

/// How a tool stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// This version cannot tell it of us.
    NotSupported(&'static str),
    /// It seems not to be on this machine: its directory is not there.
    NotHere,
    /// Nothing of ours is there.
    NotInstalled,
    /// It was installed, and nothing of it is there any more.
    Vanished,
    /// All is there.
    Installed,
    /// Some is there, and some is missing.
    Incomplete,
    /// What is there names another program than this one.
    OtherProgram(String),
    /// What is there is not what was written.
    Changed,
    /// What is there cannot be read, or is not understood.
    NotUnderstood(String),
}

impl State {
    /// Whether something of ours is there, and does not stand as it should.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        match self {
            Self::NotSupported(_) | Self::NotHere | Self::NotInstalled | Self::Installed => false,
            Self::Vanished
            | Self::Incomplete
            | Self::OtherProgram(_)
            | Self::Changed
            | Self::NotUnderstood(_) => true,
        }
    }
}

/// One tool in a report.
#[derive(Debug)]
pub struct ToolReport {
    /// The tool.
    pub tool: Tool,
    /// Its file, if it has one.
    pub file: Option<PathBuf>,
    /// How it stands now.
    pub state: State,
    /// The setting by which it was told not to run our hooks, if there is one.
    pub off: Option<String>,
    /// What was done, or why not; nothing when it was only looked at.
    pub change: Option<Result<Change>>,
}

impl ToolReport {
    /// Whether a person should look at it.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        let is_installed = self.state != State::NotInstalled && self.state != State::NotHere;
        self.state.needs_attention() || (self.off.is_some() && is_installed)
    }
}

impl Agents<'_> {
    /// Tells tools of us: those named, or each whose directory is there.
    ///
    /// # Errors
    /// When the only tool that was named is refused. Of several, each has its own outcome in the report.
    pub fn install(&self, named: &[Tool]) -> Result<Vec<ToolReport>> {
        let program = self.program_text()?;
        self.change(named, &|tool| self.install_one(tool, &program))
    }

    /// Takes out of the settings what was written: of the tools named, or of all.
    ///
    /// # Errors
    /// When the only tool that was named is refused. Of several, each has its own outcome in the report.
    pub fn uninstall(&self, named: &[Tool]) -> Result<Vec<ToolReport>> {
        self.change(named, &|tool| self.uninstall_one(tool))
    }

    /// How the tools stand: those named, or all that are known.
    #[must_use]
    pub fn status(&self, named: &[Tool]) -> Vec<ToolReport> {
        let tools = if named.is_empty() {
            &Tool::ALL[..]
        } else {
            named
        };
        tools.iter().map(|tool| self.report(*tool, None)).collect()
    }

    fn change(
        &self,
        named: &[Tool],
        act: &dyn Fn(Tool) -> Result<Change>,
    ) -> Result<Vec<ToolReport>> {
        // Held to the end: what is noted must be what was written last.
        let lock = ledger::lock(self.state).map_err(|error| refuse_file(&error))?;
        let _lock = lock.ok_or_else(somebody_else)?;
        if let [tool] = named {
            let change = act(*tool)?;
            return Ok(vec![self.report(*tool, Some(Ok(change)))]);
        }
        let is_here = |tool: &Tool| {
            matches!(tool.form(), Form::Entries { .. } | Form::Own { .. })
                && self.homes.of(*tool).is_some_and(Path::is_dir)
        };
        let tools: Vec<Tool> = if named.is_empty() {
            Tool::ALL.into_iter().filter(is_here).collect()
        } else {
            named.to_vec()
        };
        let act = |tool: Tool| self.report(tool, Some(act(tool)));
        Ok(tools.into_iter().map(act).collect())
    }

    /// The path of this program as settings can hold it.
    fn program_text(&self) -> Result<String> {
        let refuse = |what: &str| {
            Refusal::new(RefusalCode::SettingInvalid, what)
                .because("coding agents are given the path of this program")
                .keeping("nothing was touched")
        };
        let program = self
            .program
            .ok_or_else(|| refuse("it is not known where this program lies"))?;
        let text = program
            .to_str()
            .filter(|text| !text.chars().any(char::is_control));
        let text = text.ok_or_else(|| {
            refuse("the path of this program cannot be written down").about(program)
        })?;
        Ok(text.to_owned())
    }

    fn report(&self, tool: Tool, change: Option<Result<Change>>) -> ToolReport {
        let (state, off) = self.look(tool);
        ToolReport {
            tool,
            file: tool.file(self.homes),
            state,
            off,
            change,
        }
    }

    fn look(&self, tool: Tool) -> (State, Option<String>) {
        let (state, off) = self.look_at_file(tool);
        let is_nowhere = matches!(state, State::NotHere | State::NotInstalled);
        let noted = tool
            .file(self.homes)
            .filter(|_| is_nowhere)
            .and_then(|file| Ledger::load(self.state, tool, &file));
        (noted.map_or(state, |_| State::Vanished), off)
    }

    fn look_at_file(&self, tool: Tool) -> (State, Option<String>) {
        let path = match (tool.form(), tool.file(self.homes)) {
            (Form::NotSupported(reason), _) => return (State::NotSupported(reason), None),
            (_, None) => return (State::NotHere, None),
            (_, Some(path)) => path,
        };
        if !self.homes.of(tool).is_some_and(Path::is_dir) {
            return (State::NotHere, None);
        }
        let file = match SettingsFile::read(&path) {
            Ok(file) => file,
            Err(error) => return (State::NotUnderstood(error.to_string()), None),
        };
        let off = |found| switched_off(tool, self.homes, &path, found);
        match tool.form() {
            Form::Entries { comments, .. } => match survey(tool, comments, text_of(&file)) {
                Ok(found) => (self.judge(&found), off(Some(&found))),
                Err(reason) => (State::NotUnderstood(reason), None),
            },
            Form::Own { .. } => (self.look_at_own(tool, &file), off(None)),
            Form::NotSupported(reason) => (State::NotSupported(reason), None),
        }
    }

    fn judge(&self, found: &Survey) -> State {
        let mut programs = found.entries.iter().filter_map(|one| match one {
            Presence::Ours { program, .. } => Some(program.as_str()),
            Presence::Missing | Presence::Changed => None,
        });
        let own = self.program.and_then(Path::to_str);
        let missing = found
            .entries
            .iter()
            .filter(|one| **one == Presence::Missing);
        if found.entries.contains(&Presence::Changed) {
            State::Changed
        } else if missing.clone().count() == found.entries.len() {
            State::NotInstalled
        } else if let Some(other) = programs.find(|program| Some(*program) != own) {
            State::OtherProgram(other.to_owned())
        } else if missing.count() > 0 {
            State::Incomplete
        } else {
            State::Installed
        }
    }

    fn look_at_own(&self, tool: Tool, file: &SettingsFile) -> State {
        let Some(text) = file.text() else {
            return State::NotInstalled;
        };
        let due = self.program.and_then(Path::to_str);
        let due = due.and_then(|program| tool.own_file(program));
        let ledger = Ledger::load(self.state, tool, file.path());
        match ledger {
            _ if due.as_deref() == Some(text) => State::Installed,
            Some(ledger) if ledger.wrote(text) => State::OtherProgram(ledger.program),
            _ => State::Changed,
        }
    }

    fn install_one(&self, tool: Tool, program: &str) -> Result<Change> {
        let file = self.file(tool)?;
        let ledger = Ledger::load(self.state, tool, &file);
        let settings = SettingsFile::read(&file).map_err(|error| refuse_file(&error))?;
        let text = text_of(&settings);
        let (new, splices, made, had_some) = match tool.form() {
            Form::Entries { comments, .. } => {
                let refuse = |reason| not_understood(&file, reason);
                let found = survey(tool, comments, text).map_err(refuse)?;
                if found.entries.contains(&Presence::Changed) {
                    return Err(changed_by_hand(&file, tool));
                }
                let had_some = found.entries.iter().any(|one| *one != Presence::Missing);
                let written = with_entries(tool, comments, text, program, ledger.as_ref());
                let written = written.map_err(refuse)?;
                (written.text, written.splices, written.made, had_some)
            }
            Form::Own { .. } => {
                let state = self.look_at_own(tool, &settings);
                if state == State::Changed {
                    return Err(changed_by_hand(&file, tool));
                }
                let new = tool.own_file(program).unwrap_or_default();
                (new, Vec::new(), Vec::new(), state != State::NotInstalled)
            }
            Form::NotSupported(reason) => return Err(not_supported(tool, reason)),
        };
        if settings.text() == Some(&*new) {
            return Ok(Change::AlreadyInstalled);
        }
        let directories = make_directories(&file).map_err(|error| refuse_file(&error))?;
        let known = ledger.as_ref().filter(|_| had_some);
        let made_before = known
            .map(|ledger| ledger.directories.clone())
            .unwrap_or_default();
        let names = directories.iter().map(|one| text_name(path_bytes(one)));
        // Noted first: a note of something that was never written misleads nobody, for entries are found by what they are.
        let note = Ledger {
            format: 1,
            tool: tool.word().to_owned(),
            file: text_name(path_bytes(&file)),
            program: program.to_owned(),
            existed: known.map_or(settings.text().is_some(), |ledger| ledger.existed),
            written_blake3: digest(&new),
            directories: made_before.into_iter().chain(names).collect(),
            made,
            splices: splices
                .into_iter()
                .map(|splice| Put {
                    offset: splice.offset,
                    text: splice.text,
                })
                .collect(),
        };
        let write = note
            .save(self.state, tool)
            .and_then(|()| settings.replace(&new));
        if let Err(error) = write {
            remove_empty(&directories);
            if !had_some {
                // A note of what is not there would only mislead; what is wrong with it is not what is wrong.
                drop(forget(self.state, tool, &file));
            }
            return Err(refuse_file(&error));
        }
        Ok(if had_some {
            Change::Updated
        } else {
            Change::Installed
        })
    }

    fn uninstall_one(&self, tool: Tool) -> Result<Change> {
        let file = self.file(tool)?;
        let ledger = Ledger::load(self.state, tool, &file);
        let settings = SettingsFile::read(&file).map_err(|error| refuse_file(&error))?;
        let Some(text) = settings.text() else {
            self.forget(tool, &file)?;
            return Ok(Change::NothingInstalled);
        };
        let left = match tool.form() {
            Form::Entries { comments, .. } => {
                let refuse = |reason| not_understood(&file, reason);
                let found = survey(tool, comments, text).map_err(refuse)?;
                let has_ours = found
                    .entries
                    .iter()
                    .any(|one| matches!(one, Presence::Ours { .. }));
                if !has_ours {
                    return self.nothing_left(
                        tool,
                        &file,
                        found.entries.contains(&Presence::Changed),
                    );
                }
                without_entries(tool, comments, text, ledger.as_ref()).map_err(refuse)?
            }
            Form::Own { .. } => {
                if self.look_at_own(tool, &settings) == State::Changed {
                    return self.nothing_left(tool, &file, true);
                }
                None
            }
            Form::NotSupported(reason) => return Err(not_supported(tool, reason)),
        };
        let done = match &left {
            Some(left) => settings.replace(left),
            None => settings.remove(),
        };
        done.map_err(|error| refuse_file(&error))?;
        if let Some(ledger) = ledger.filter(|_| left.is_none()) {
            remove_empty(&ledger.directories());
        }
        self.forget(tool, &file)?;
        self.check_left(tool, &file)?;
        Ok(Change::Uninstalled)
    }

    /// Entries that were changed by hand are still there when all others are gone: that must be said.
    fn check_left(&self, tool: Tool, file: &Path) -> Result<()> {
        if self.look(tool).0 == State::Changed {
            return Err(changed_by_hand(file, tool)
                .having_changed("what was as it was written has been taken out"));
        }
        Ok(())
    }

    fn nothing_left(&self, tool: Tool, file: &Path, is_changed: bool) -> Result<Change> {
        if is_changed {
            return Err(changed_by_hand(file, tool));
        }
        self.forget(tool, file)?;
        Ok(Change::NothingInstalled)
    }

    fn forget(&self, tool: Tool, file: &Path) -> Result<()> {
        forget(self.state, tool, file).map_err(|error| refuse_file(&error))
    }

    fn file(&self, tool: Tool) -> Result<PathBuf> {
        if let Form::NotSupported(reason) = tool.form() {
            return Err(not_supported(tool, reason));
        }
        tool.file(self.homes).ok_or_else(|| {
            Refusal::new(
                RefusalCode::SettingInvalid,
                "it is not known where the tool keeps its settings",
            )
        })
    }
}

const KEPT: &str = "the settings are as they were";

fn not_supported(tool: Tool, reason: &str) -> Refusal {
    Refusal::new(
        RefusalCode::SettingsNotUnderstood,
        format!("'{}' cannot be told of git-vault", tool.word()),
    )
    .because(reason)
    .keeping(KEPT)
    .next("git vault agents status", "says which tools are supported")
}

fn not_understood(file: &Path, reason: String) -> Refusal {
    Refusal::new(
        RefusalCode::SettingsNotUnderstood,
        format!("'{}' cannot be edited", file.display()),
    )
    .because(reason)
    .about(file)
    .keeping(KEPT)
    .next("git vault agents status", "looks at it again")
}

fn changed_by_hand(file: &Path, tool: Tool) -> Refusal {
    Refusal::new(
        RefusalCode::SettingsNotUnderstood,
        format!(
            "what is in '{}' is not what was written there",
            file.display()
        ),
    )
    .because(format!(
        "it runs 'agents hook {}', and was changed, or written by somebody else",
        tool.word()
    ))
    .about(file)
    .keeping(KEPT)
    .next(
        format!("git vault agents status {}", tool.word()),
        "looks again, once it was removed by hand",
    )
}

fn somebody_else() -> Refusal {
    Refusal::new(
        RefusalCode::SettingsNotUnderstood,
        "somebody else has been changing settings of coding agents for half a minute",
    )
    .keeping(KEPT)
    .next("git vault agents status", "looks how they stand")
}

fn refuse_file(error: &disk::Error) -> Refusal {
    error
        .refuse(RefusalCode::SettingsNotUnderstood)
        .keeping(KEPT)
        .next("git vault agents status", "looks at the settings again")
}
