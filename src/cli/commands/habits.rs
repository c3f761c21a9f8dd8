//! The arms of the commands that make daily use easy.

use std::path::{Path, PathBuf};

use super::{ATTENTION, Answer, Call};
use crate::cli::args::habits::{CompletingShell, HabitCommand};
use crate::cli::text::scan::Shown;
use crate::cli::{json, manual, text};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops;
use crate::ops::shell_init::Shell;

impl Call<'_> {
    pub(super) fn habit(&self, command: &HabitCommand) -> Result<Answer> {
        match command {
            HabitCommand::Completions { shell } => self.completions(*shell),
            HabitCommand::Man { directory } => self.man(directory.as_deref()),
            HabitCommand::Help { topic } => help(topic),
            HabitCommand::Scan {
                directories,
                depth,
                all,
            } => self.scan(directories, *depth, *all),
            // Answered before, in the way that shells expect.
            HabitCommand::Complete { .. } => Err(internal("no shell has asked")),
        }
    }

    fn scan(&self, directories: &[PathBuf], depth: usize, all: bool) -> Result<Answer> {
        let environment = self.environment;
        let mut places: Vec<PathBuf> = directories
            .iter()
            .map(|directory| environment.absolute(directory))
            .collect();
        if places.is_empty() {
            places.push(environment.directory.clone());
        }
        let report = ops::projects::scan(self.workplace, &places, depth)?;
        let which = if all { Shown::All } else { Shown::Exposed };
        let answer = Answer::new(json::scan::scan(&report), text::scan::scan(&report, which));
        let status = if report.is_any_at_risk() {
            ATTENTION
        } else {
            0
        };
        Ok(Answer { status, ..answer })
    }

    fn completions(&self, shell: CompletingShell) -> Result<Answer> {
        let shell = match shell {
            CompletingShell::Bash => Shell::Bash,
            CompletingShell::Zsh => Shell::Zsh,
            CompletingShell::Fish => Shell::Fish,
        };
        let program = self.environment.program();
        let script = ops::completions::completions(shell, program.as_deref())?;
        Ok(Answer::new(json::habits::completions(&script), script))
    }

    fn man(&self, directory: Option<&Path>) -> Result<Answer> {
        let pages = manual::pages().map_err(|error| internal(&error.to_string()))?;
        let Some(directory) = directory else {
            let page = pages.into_iter().next().map(|(_, text)| text);
            let page = page.unwrap_or_default();
            return Ok(Answer::new(json::habits::man(Some(&page), &[]), page));
        };
        let directory = self.environment.absolute(directory);
        let written = ops::man::write(&directory, &pages)?;
        let text = text::habits::pages(&directory, &written);
        Ok(Answer::new(json::habits::man(None, &written), text))
    }
}

fn help(topic: &[String]) -> Result<Answer> {
    let text = if manual::is_lost(topic) {
        ops::runbook::lost()?.to_owned()
    } else {
        manual::help(topic).map_err(|error| internal(&error.to_string()))?
    };
    Ok(Answer::new(json::habits::help(&text), text))
}

fn internal(reason: &str) -> Refusal {
    Refusal::new(RefusalCode::Internal, "this cannot be put together").because(reason)
}
