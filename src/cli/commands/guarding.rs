//! The commands that protect work before it is lost.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use super::{ATTENTION, Answer, Call, Handover};
use crate::cli::args::ShellName;
use crate::cli::args::triggers::ScheduleCommand;
use crate::cli::environment::now_ns;
use crate::cli::{json, text};
use crate::host::program::{NotRunnable, Program, find};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops;
use crate::ops::guard::Outside;
use crate::ops::incident::{Noted, note};
use crate::ops::shell_init::Shell;
use crate::ops::sweep::{Outcome, SweepReport, Swept};

impl Call<'_> {
    pub(super) fn guard(&self, words: &[OsString], or_outside: bool) -> Result<Answer> {
        let Some((name, arguments)) = words.split_first() else {
            return Err(Refusal::new(RefusalCode::Internal, "no command was given"));
        };
        let directory = &self.environment.directory;
        // Before the snapshot: a slip of the fingers should not wait for one.
        let file = match find(name, self.environment.path().as_deref(), directory) {
            Ok(file) => file,
            Err(why) => return Ok(not_run(Path::new(name), why)),
        };
        let outside = if or_outside {
            Outside::Run
        } else {
            Outside::Refuse
        };
        let captured = ops::guard::guard(
            self.workplace,
            words,
            &self.environment.redirects(),
            outside,
            &now_ns,
            self.monitor,
        )?;
        let program = Program {
            file,
            name: name.clone(),
            arguments: arguments.to_vec(),
            directory: directory.clone(),
        };
        let new_key = captured
            .as_ref()
            .and_then(|report| report.new_key.as_deref());
        let notice = new_key.map(text::key_notice);
        let said = text::guard::guard(captured.as_ref(), Path::new(name));
        let json = captured
            .as_ref()
            .map_or_else(Default::default, json::snapshot);
        let answer = Answer::new(json, String::new()).with_notice(notice);
        Ok(answer.handing_over(said, Some(program)))
    }

    pub(super) fn shell_init(&self, shell: ShellName) -> Result<Answer> {
        let shell = match shell {
            ShellName::Bash => Shell::Bash,
            ShellName::Zsh => Shell::Zsh,
            ShellName::Fish => Shell::Fish,
        };
        let program = self.environment.program();
        let script = ops::shell_init::shell_init(shell, program.as_deref())?;
        Ok(Answer::new(json::shell_init(&script), script))
    }

    pub(super) fn schedule(&self, command: &ScheduleCommand) -> Result<Answer> {
        let surroundings = &self.environment.schedule();
        let now = self.workplace.now;
        Ok(match command {
            ScheduleCommand::Install { every } => {
                let report = ops::schedule::install(surroundings, *every, now)?;
                let json = json::schedule::install(&report);
                Answer::new(json, text::schedule::install(&report))
            }
            ScheduleCommand::Uninstall => {
                let removed = ops::schedule::uninstall(surroundings)?;
                let json = json::schedule::uninstall(removed.as_ref());
                Answer::new(json, text::schedule::uninstall(removed.as_ref()))
            }
            ScheduleCommand::Status => {
                let found = ops::schedule::status(surroundings, now)?;
                let status = if found.needs_attention() {
                    ATTENTION
                } else {
                    0
                };
                let json = json::schedule::status(&found);
                let answer = Answer::new(json, text::schedule::status(&found));
                Answer { status, ..answer }
            }
        })
    }

    pub(super) fn sweep(&self, quiet: Duration) -> Result<Answer> {
        let report = ops::sweep::sweep(self.workplace, quiet, &now_ns, self.monitor)?;
        let noted: Vec<Noted> = report
            .swept
            .iter()
            .map(|swept| match &swept.outcome {
                // One that stays the same is one incident, however often it is met.
                Outcome::Refused(_) if swept.is_refused_again => Noted::NotDue,
                Outcome::Refused(refusal) => note(refusal, &swept.workplace, self.circumstances),
                Outcome::Sealed(_)
                | Outcome::Unchanged(_)
                | Outcome::Busy(_)
                | Outcome::Absent(_)
                | Outcome::NoRepository
                | Outcome::NoVault(_) => Noted::NotDue,
            })
            .collect();
        let answer = Answer::new(
            json::sweep::sweep(&report, &noted),
            text::sweep::sweep(&report),
        );
        Ok(Answer {
            status: swept_status(&report),
            ..answer
        })
    }
}

/// That of the first refusal; there is no partial success that looks like a whole one.
fn swept_status(report: &SweepReport) -> u8 {
    let refused = report.swept.iter().find_map(|swept| match &swept.outcome {
        Outcome::Refused(refusal) => Some(refusal.code.exit()),
        Outcome::Sealed(_)
        | Outcome::Unchanged(_)
        | Outcome::Busy(_)
        | Outcome::Absent(_)
        | Outcome::NoRepository
        | Outcome::NoVault(_) => None,
    });
    let is_well = report.strange.is_empty() && !report.swept.iter().any(Swept::needs_attention);
    refused.unwrap_or(if is_well { 0 } else { ATTENTION })
}

impl Answer {
    fn handing_over(self, said: String, program: Option<Program>) -> Self {
        let handover = Some(Handover { said, program });
        Self { handover, ..self }
    }
}

fn not_run(name: &Path, why: NotRunnable) -> Answer {
    let said = text::guard::not_run(name, why);
    let answer = Answer::new(serde_json::Value::Null, String::new());
    Answer {
        status: why.exit(),
        ..answer.handing_over(said, None)
    }
}
