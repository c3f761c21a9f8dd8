//! One short function per command: builds the request, calls `ops`, words the report.

mod guarding;
mod habits;
mod looking;
mod small;

use std::path::Path;
use std::time::Duration;

use serde_json::Value;
use zeroize::Zeroizing;

use crate::cli::args::triggers::{AgentsCommand, HooksCommand, HooksScope};
use crate::cli::args::{Arguments, Command, IncidentCommand, IndexCommand, KeyCommand};
use crate::cli::environment::{Environment, now_ns};
use crate::cli::prompt::{self, Passphrase};
use crate::cli::{agents, json, refusals, text};
use crate::host::program::Program;
use crate::model::event::Monitor;
use crate::model::log_entry::VerifyLevel;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops;
use crate::ops::agents::hook::hook;
use crate::ops::agents::tools::Tool;
use crate::ops::agents::{Agents, ToolReport};
use crate::ops::doctor::{DoctorReport, Verdict};
use crate::ops::drill::{DrillRequest, Which};
use crate::ops::hooks::{HooksRequest, LastSecond, Scope};
use crate::ops::incident::{Circumstances, Noted, note};
use crate::ops::init::Existing;
use crate::ops::key::ConfirmReport;
use crate::ops::locate::Workplace;
use crate::ops::snapshot::SnapshotRequest;

/// Exit status of an answer that holds, about a vault that needs attention.
pub const ATTENTION: u8 = 3;

/// What a command answers, for people and for programs.
pub struct Answer {
    /// For programs.
    pub json: Value,
    /// For people.
    pub text: String,
    /// For people who asked for quiet, when it cannot wait.
    pub notice: Option<String>,
    /// The exit status: 0, or what the answer itself says is wrong.
    pub status: u8,
    /// What is said on standard error instead of an answer, and the program that this one then becomes.
    pub handover: Option<Handover>,
}

/// The end of this program's part.
#[derive(Debug)]
pub struct Handover {
    /// What is said of it, to those who did not ask for quiet.
    pub said: String,
    /// What comes next; nothing when it cannot be run.
    pub program: Option<Program>,
}

impl Answer {
    pub(super) fn new(json: Value, text: String) -> Self {
        Self {
            json,
            text,
            notice: None,
            status: 0,
            handover: None,
        }
    }

    /// The answer of a command that was refused; the text goes elsewhere.
    #[must_use]
    pub fn of_refusal(refusal: &Refusal, noted: &Noted) -> Self {
        Self {
            status: refusal.code.exit(),
            ..Self::new(refusals::json(refusal, noted), String::new())
        }
    }

    fn with_notice(self, notice: Option<String>) -> Self {
        Self { notice, ..self }
    }
}

/// What every command is given.
struct Call<'a> {
    environment: &'a Environment,
    circumstances: &'a Circumstances,
    workplace: &'a Workplace,
    monitor: &'a dyn Monitor,
}

/// Runs the command that was given.
///
/// # Errors
/// When it is refused.
pub fn run(
    arguments: &Arguments,
    environment: &Environment,
    circumstances: &Circumstances,
    monitor: &dyn Monitor,
) -> Result<Answer> {
    let call = Call {
        environment,
        circumstances,
        workplace: &environment.workplace,
        monitor,
    };
    match &arguments.command {
        Command::Init { new } => call.init(*new),
        Command::Snapshot { message, labels } => call.snapshot(message, labels),
        Command::List(asked) => call.list(asked),
        Command::Show { snapshot } => call.show(snapshot),
        Command::Verify {
            snapshots,
            quick,
            deep,
        } => {
            let level = match (quick, deep) {
                (true, _) => VerifyLevel::Quick,
                (false, true) => VerifyLevel::Deep,
                (false, false) => VerifyLevel::Full,
            };
            call.verify(snapshots, level)
        }
        Command::Ls { asked, recursive } => call.ls(asked, *recursive),
        Command::Cat { asked } => call.cat(asked),
        Command::Diff(asked) => call.diff(asked),
        Command::Find { pattern } => call.find(pattern),
        Command::Grep(asked) => call.grep(asked),
        Command::Compare { compared, asked } => call.compare(compared, asked),
        Command::Log { path } => call.log(path),
        Command::Restore { asked, destination } => call.restore_any(asked, destination),
        Command::Drill {
            snapshots,
            all,
            budget,
            scratch,
        } => {
            let which = match (all, snapshots.as_slice()) {
                (true, _) => Which::All,
                (false, []) => Which::Newest,
                (false, names) => Which::Named(names.to_vec()),
            };
            call.drill(which, *budget, scratch.as_deref())
        }
        Command::Drop(options) => call.drop_snapshots(options),
        Command::Prune(options) => call.prune(options),
        Command::Optimize => call.optimize(),
        Command::Doctor => call.doctor(),
        Command::Index {
            command: IndexCommand::Rebuild,
        } => call.rebuild_index(),
        Command::SetAside { names } => call.set_aside(names),
        Command::Incident { command } => call.incident(command),
        Command::Status { metrics } => call.status(metrics.as_deref()),
        Command::Key { command } => call.key(command),
        Command::Acknowledge { entry } => call.acknowledge(entry.as_deref()),
        Command::ShellInit { shell } => call.shell_init(*shell),
        Command::Schedule { command } => call.schedule(command),
        Command::Sweep { quiet_for } => call.sweep(*quiet_for),
        Command::Guard { or_outside, words } => call.guard(words, *or_outside),
        Command::Agents { command } => call.agents(command),
        Command::Hooks { command } => call.hooks(command),
        // Answered before, in the way that git expects.
        Command::Hook { event, .. } => Err(crate::cli::hook::unknown(event)),
        Command::Runbook { code } => runbook(code.as_deref()),
        Command::Habit(command) => call.habit(command),
    }
}

/// The arm of `git vault hooks`.
impl Call<'_> {
    fn hooks(&self, command: &HooksCommand) -> Result<Answer> {
        let (HooksCommand::Install { scope, .. }
        | HooksCommand::Status { scope }
        | HooksCommand::Uninstall { scope }) = command;
        let no_program = || {
            Refusal::new(
                RefusalCode::SettingInvalid,
                "the system does not say where this program lies",
            )
        };
        let environment = self.environment;
        let request = HooksRequest {
            scope: match scope {
                HooksScope::Repo => Scope::Repository,
                HooksScope::Global => Scope::Global,
            },
            program: environment.program().ok_or_else(no_program)?,
            git: environment.git(),
            global_config: environment.global_config(),
            global_configs: environment.global_configs(),
            variables: environment.places(),
        };
        let report = match command {
            HooksCommand::Install { last_second, .. } => {
                let last_second = if *last_second {
                    LastSecond::Guarded
                } else {
                    LastSecond::Unguarded
                };
                ops::hooks::install(self.workplace, &request, last_second)?
            }
            HooksCommand::Status { .. } => ops::hooks::status(self.workplace, &request)?,
            HooksCommand::Uninstall { .. } => ops::hooks::uninstall(self.workplace, &request)?,
        };
        let answer = Answer::new(json::hooks::hooks(&report), text::hooks::hooks(&report));
        let status = if report.needs_attention() {
            ATTENTION
        } else {
            0
        };
        Ok(Answer { status, ..answer })
    }
}

impl Call<'_> {
    fn init(&self, new: bool) -> Result<Answer> {
        let existing = if new { Existing::Leave } else { Existing::Keep };
        let report = ops::init::init(self.workplace, existing)?;
        let notice = Some(text::key_notice(&report.key));
        Ok(Answer::new(json::init(&report), text::init(&report)).with_notice(notice))
    }

    fn snapshot(&self, message: &str, labels: &[String]) -> Result<Answer> {
        let request = SnapshotRequest {
            message: message.to_owned(),
            labels: labels.to_vec(),
            trigger: ops::snapshot::MANUAL.to_owned(),
        };
        let report = ops::snapshot::snapshot(self.workplace, &request, &now_ns, self.monitor)?;
        let notice = report.new_key.as_deref().map(text::key_notice);
        Ok(Answer::new(json::snapshot(&report), text::snapshot(&report)).with_notice(notice))
    }

    fn show(&self, name: &str) -> Result<Answer> {
        let report = ops::show::show(self.workplace, name)?;
        Ok(Answer::new(json::show(&report), text::show(&report)))
    }

    fn verify(&self, names: &[String], level: VerifyLevel) -> Result<Answer> {
        let report = ops::verify::verify(self.workplace, names, level, self.monitor)?;
        Ok(Answer::new(json::verify(&report), text::verify(&report)))
    }

    fn restore(&self, name: &str, destination: &Path) -> Result<Answer> {
        let destination = self.environment.absolute(destination);
        let report = ops::restore::restore(self.workplace, name, &destination, self.monitor)?;
        Ok(Answer::new(json::restore(&report), text::restore(&report)))
    }

    fn drill(
        &self,
        which: Which,
        budget: Option<Duration>,
        scratch: Option<&Path>,
    ) -> Result<Answer> {
        let environment = self.environment;
        let scratch = scratch.map(|scratch| environment.absolute(scratch));
        let request = DrillRequest {
            which,
            budget,
            scratch: scratch.unwrap_or_else(|| environment.temporary.clone()),
            git: environment.git(),
        };
        let report = ops::drill::drill(self.workplace, &request, &now_ns, self.monitor)?;
        Ok(Answer::new(
            json::drill::drill(&report),
            text::drill::drill(&report),
        ))
    }

    fn doctor(&self) -> Result<Answer> {
        let report = ops::doctor::doctor(self.workplace, &now_ns)?;
        let note = |refusal| note(refusal, self.workplace, self.circumstances);
        let noted = report.refusal.as_ref().map_or(Noted::NotDue, note);
        let json = json::doctor::doctor(&report, &noted);
        let text = text::doctor::doctor(&report, &noted);
        let notice = report
            .refusal
            .as_ref()
            .map(|refusal| refusals::text(refusal, &noted));
        Ok(Answer {
            status: status(&report),
            ..Answer::new(json, text).with_notice(notice)
        })
    }

    fn rebuild_index(&self) -> Result<Answer> {
        let report = ops::index::rebuild(self.workplace)?;
        let text = text::doctor::rebuild(&report);
        Ok(Answer::new(json::doctor::rebuild(&report), text))
    }

    fn set_aside(&self, names: &[String]) -> Result<Answer> {
        let report = ops::set_aside::set_aside(self.workplace, names)?;
        Ok(Answer::new(
            json::set_aside::report(&report),
            text::set_aside::report(&report),
        ))
    }

    fn incident(&self, command: &IncidentCommand) -> Result<Answer> {
        match command {
            IncidentCommand::List => {
                let report = ops::incidents::list(self.workplace)?;
                Ok(Answer::new(
                    json::incident::list(&report),
                    text::incident::list(&report),
                ))
            }
            IncidentCommand::Show { id } => {
                let shown = ops::incidents::show(self.workplace, id.as_deref())?;
                Ok(Answer::new(
                    json::incident::show(&shown),
                    text::incident::show(&shown),
                ))
            }
        }
    }
}

/// A vault that cannot be opened has the exit status of its refusal, whatever else was found.
fn status(report: &DoctorReport) -> u8 {
    match (&report.refusal, report.verdict()) {
        (Some(refusal), _) => refusal.code.exit(),
        (None, Verdict::Failed) => RefusalCode::VaultProbeFailed.exit(),
        (None, Verdict::Attention) => ATTENTION,
        (None, Verdict::Good) => 0,
    }
}

/// The arms of `git vault key`, and of what else is said to a vault by a person.
impl Call<'_> {
    fn key(&self, command: &KeyCommand) -> Result<Answer> {
        match command {
            KeyCommand::Status => {
                let report = ops::key::status(self.workplace)?;
                let answer = Answer::new(json::key::status(&report), text::key::status(&report));
                let status = if report.has_second_copy() {
                    0
                } else {
                    ATTENTION
                };
                Ok(Answer { status, ..answer })
            }
            KeyCommand::Export { file } => {
                let file = file.as_deref().map(|file| self.environment.absolute(file));
                let report = ops::key::export(self.workplace, file.as_deref())?;
                Ok(Answer::new(
                    json::key::export(&report),
                    text::key::export(&report),
                ))
            }
            KeyCommand::Confirm { kit } => self.confirm(kit.as_deref()),
            KeyCommand::Import {
                file,
                passphrase_file,
                ..
            } => self.import(file.as_deref(), passphrase_file.as_deref()),
            KeyCommand::Escrow { passphrase_file } => {
                let file = passphrase_file.as_deref();
                let passphrase = self.passphrase(file, Passphrase::New)?;
                let report = ops::key_change::wrap(self.workplace, &passphrase)?;
                Ok(copied(&report))
            }
            KeyCommand::Rotate => {
                let report = ops::key_change::rotate(self.workplace)?;
                let notice = Some(text::key_notice(&report.file));
                let (json, text) = (json::key::rotate(&report), text::key::rotate(&report));
                Ok(Answer::new(json, text).with_notice(notice))
            }
            KeyCommand::Compromise { key, since } => {
                let report = ops::key_change::compromise(self.workplace, key, *since)?;
                Ok(Answer::new(
                    json::key::compromise(&report),
                    text::key::compromise(&report),
                ))
            }
        }
    }

    fn status(&self, metrics: Option<&Path>) -> Result<Answer> {
        let report = ops::status::status(self.workplace)?;
        if let Some(file) = metrics {
            let file = self.environment.absolute(file);
            ops::status::write_metrics(&file, &text::status::metrics(&report))?;
        }
        let status = if report.attention.is_empty() {
            0
        } else {
            ATTENTION
        };
        let answer = Answer::new(json::status::status(&report), text::status::status(&report));
        Ok(Answer { status, ..answer })
    }

    fn passphrase(&self, file: Option<&Path>, kind: Passphrase) -> Result<Zeroizing<Vec<u8>>> {
        let file = file.map(|file| self.environment.absolute(file));
        prompt::passphrase(file.as_deref(), kind)
    }

    fn confirm(&self, kit: Option<&Path>) -> Result<Answer> {
        let report = match kit {
            Some(kit) => {
                let kit = self.environment.absolute(kit);
                let text = prompt::kit(&kit)?;
                ops::key::confirm_kit(self.workplace, &kit, &text)?
            }
            None => {
                let challenge = ops::key::challenge(self.workplace)?;
                let (line, key) = (challenge.line, challenge.key);
                let typed = prompt::ask(&format!("Line {line} of key {key}, as the kit has it:"));
                ops::key::confirm_line(self.workplace, challenge, &typed)?
            }
        };
        Ok(copied(&report))
    }

    fn import(&self, file: Option<&Path>, passphrase_file: Option<&Path>) -> Result<Answer> {
        let report = match file {
            Some(file) => {
                let file = self.environment.absolute(file);
                ops::key_import::import_file(self.workplace, &file)?
            }
            None => {
                let passphrase = self.passphrase(passphrase_file, Passphrase::Known)?;
                ops::key_import::import_escrow(self.workplace, &passphrase)?
            }
        };
        Ok(Answer::new(
            json::key::import(&report),
            text::key::import(&report),
        ))
    }

    fn agents(&self, command: &AgentsCommand) -> Result<Answer> {
        let environment = self.environment;
        let (homes, program) = (environment.tool_homes(), environment.program());
        let agents = Agents {
            homes: &homes,
            state: &self.workplace.homes.state,
            program: program.as_deref(),
        };
        let reports = match command {
            AgentsCommand::Install { tools } => agents.install(tools)?,
            AgentsCommand::Status { tools } => agents.status(tools),
            AgentsCommand::Uninstall { tools } => agents.uninstall(tools)?,
            AgentsCommand::Hook { tool } | AgentsCommand::Work { tool } => {
                return Ok(self.agents_hook(*tool));
            }
        };
        let mut refused = reports.iter().filter_map(|report| match &report.change {
            Some(Err(refusal)) => Some(refusal.code.exit()),
            Some(Ok(_)) | None => None,
        });
        let status = refused.next().unwrap_or_else(|| {
            let needs_attention = reports.iter().any(ToolReport::needs_attention);
            if needs_attention { ATTENTION } else { 0 }
        });
        let (json, text) = (
            json::agents::reports(&reports),
            text::agents::reports(&reports),
        );
        Ok(Answer {
            status,
            ..Answer::new(json, text)
        })
    }

    fn agents_hook(&self, tool: Tool) -> Answer {
        let call = agents::read_call(tool);
        let report = hook(self.workplace, tool, &call, &now_ns, self.monitor);
        for refused in report.refused.iter().filter(|refused| refused.is_new) {
            let mut there = self.workplace.clone();
            there.lookup.start.clone_from(&refused.place);
            // The tool is told why, whether it could be noted or not.
            drop(note(&refused.refusal, &there, self.circumstances));
        }
        agents::answer(&report)
    }

    fn acknowledge(&self, stated: Option<&str>) -> Result<Answer> {
        let finding = ops::acknowledge::find(self.workplace)?;
        let report = match stated {
            Some(stated) => ops::acknowledge::acknowledge(self.workplace, finding, stated)?,
            None => {
                let typed = prompt::ask(&text::acknowledge::question(&finding));
                ops::acknowledge::acknowledge(self.workplace, finding, &typed)?
            }
        };
        Ok(Answer::new(
            json::acknowledge::acknowledge(&report),
            text::acknowledge::acknowledge(&report),
        ))
    }
}

fn copied(report: &ConfirmReport) -> Answer {
    Answer::new(json::key::confirm(report), text::key::confirm(report))
}

fn runbook(code: Option<&str>) -> Result<Answer> {
    let found = ops::runbook::runbook(code)?;
    Ok(Answer::new(json::runbook(found), found.to_owned()))
}
