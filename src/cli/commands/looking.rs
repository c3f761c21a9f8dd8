//! The arms of the commands that look into snapshots.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::{ATTENTION, Answer, Call};
use crate::cli::args::looking::{DiffArguments, DiffForm, GrepArguments, ListArguments};
use crate::cli::environment::terminal_columns;
use crate::cli::text::diff::Form;
use crate::cli::text::list::Manner;
use crate::cli::{json, text};
use crate::model::escape::for_terminal;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops;
use crate::ops::diff::{Detail, DiffRequest};
use crate::ops::grep::GrepRequest;
use crate::ops::list::ListRequest;
use crate::ops::snapshot_path::SnapshotPath;

/// Exit status of what was ended because nobody reads any more.
const NOBODY_READS: u8 = 141;
/// The largest file that is shown on a terminal.
const TERMINAL_BYTES: u64 = 16 << 20;

/// Standard output: remembers what kept it from taking what was written, which is no fault of the vault.
struct Output {
    to: io::Stdout,
    failed: Option<io::Error>,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.to.write(bytes).inspect_err(|error| {
            let again = error
                .raw_os_error()
                .map_or_else(|| error.kind().into(), io::Error::from_raw_os_error);
            self.failed = Some(again);
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A path that is asked for in whichever snapshot.
fn of_any(path: &OsString) -> Result<SnapshotPath> {
    SnapshotPath::parse(&[b"@:", path.as_bytes()].concat())
}

/// A text as a terminal may show it: it must not take commands from a file.
fn harmless(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines = text.split('\t').map(for_terminal);
    lines.collect::<Vec<_>>().join("\t")
}

impl Call<'_> {
    pub(super) fn list(&self, asked: &ListArguments) -> Result<Answer> {
        let request = ListRequest {
            since: asked.since.clone(),
            triggers: asked.triggers.clone(),
            branches: asked.branches.clone(),
            labels: asked.labels.clone(),
            paths: asked.paths.iter().map(of_any).collect::<Result<_>>()?,
            last: asked.last,
            with_sizes: asked.sizes,
        };
        let report = ops::list::list(self.workplace, &request)?;
        let manner = Manner {
            now: self.workplace.now,
            columns: terminal_columns(),
            // A fold would hide what each is worth.
            is_unfolded: asked.all || asked.sizes,
        };
        let text = text::list::list(&report, manner);
        Ok(Answer::new(json::list(&report), text))
    }

    pub(super) fn ls(&self, asked: &OsString, is_recursive: bool) -> Result<Answer> {
        let asked = SnapshotPath::parse(asked.as_bytes())?;
        let report = ops::look::ls(self.workplace, &asked, is_recursive)?;
        Ok(Answer::new(
            json::look::ls(&report),
            text::look::ls(&report),
        ))
    }

    pub(super) fn cat(&self, asked: &OsString) -> Result<Answer> {
        let asked = SnapshotPath::parse(asked.as_bytes())?;
        let answer = Answer::new(serde_json::Value::Null, String::new());
        if io::stdout().is_terminal() {
            let mut shown = Vec::new();
            ops::look::cat(self.workplace, &asked, Some(TERMINAL_BYTES), &mut shown)?;
            let text = harmless(&shown);
            return Ok(Answer { text, ..answer });
        }
        let mut output = Output {
            to: io::stdout(),
            failed: None,
        };
        let report = ops::look::cat(self.workplace, &asked, None, &mut output);
        let flushed = output.flush().err();
        match output.failed.or(flushed) {
            Some(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(Answer {
                status: NOBODY_READS,
                ..answer
            }),
            Some(error) => Err(Refusal::new(
                RefusalCode::OutputFailed,
                "the file cannot be written to standard output",
            )
            .because(error.to_string())
            .keeping("the vault was only read")
            .next("df -h", "shows which disk is full")),
            None => report.map(|_whole| answer),
        }
    }

    pub(super) fn diff(&self, asked: &DiffArguments) -> Result<Answer> {
        let of_any = |path: &OsString| of_any(path).map(|parsed| parsed.path);
        let DiffForm { stat, name_only } = asked.form;
        let (form, detail) = match (asked.patch, stat, name_only) {
            (true, _, _) => (Form::Patch, Detail::Texts),
            (_, true, _) => (Form::Stat, Detail::Lines),
            (_, _, true) => (Form::Names, Detail::Paths),
            (false, false, false) => (Form::Lines, Detail::Paths),
        };
        let request = DiffRequest {
            paths: asked.paths.iter().map(of_any).collect::<Result<_>>()?,
            detail,
        };
        let report = match &asked.new {
            Some(new) => ops::diff::between(self.workplace, &asked.old, new, &request)?,
            None => ops::diff::with_now(self.workplace, &asked.old, &request)?,
        };
        let manner = text::diff::Manner {
            form,
            is_terminal: io::stdout().is_terminal(),
            is_coloured: self.environment.allows_colour("color.diff"),
            columns: terminal_columns(),
        };
        let text = text::diff::diff(&report, manner);
        Ok(Answer::new(json::diff::diff(&report), text))
    }

    pub(super) fn find(&self, pattern: &str) -> Result<Answer> {
        let report = ops::find::find(self.workplace, pattern)?;
        let text = text::look::find(&report, self.workplace.now);
        Ok(Answer::new(json::look::find(&report), text))
    }

    pub(super) fn grep(&self, asked: &GrepArguments) -> Result<Answer> {
        let request = GrepRequest {
            pattern: asked.pattern.clone(),
            is_fixed: asked.fixed,
            ignores_case: asked.ignore_case,
            snapshots: asked.snapshots.clone(),
            paths: asked.paths.iter().map(of_any).collect::<Result<_>>()?,
        };
        let report = ops::grep::grep(self.workplace, &request)?;
        let text = text::look::grep(&report, self.workplace.now);
        Ok(Answer::new(json::look::grep(&report), text))
    }

    pub(super) fn compare(&self, directory: &Path, asked: &OsString) -> Result<Answer> {
        let asked = SnapshotPath::parse(asked.as_bytes())?;
        let directory = self.environment.absolute(directory);
        let report = ops::compare_directory::compare(self.workplace, &directory, &asked)?;
        let answer = Answer::new(json::diff::compare(&report), text::diff::compare(&report));
        Ok(Answer {
            status: if report.changes.is_empty() {
                0
            } else {
                ATTENTION
            },
            ..answer
        })
    }

    pub(super) fn log(&self, path: &OsString) -> Result<Answer> {
        let asked = of_any(path)?;
        let report = ops::find::log(self.workplace, &asked)?;
        let text = text::look::log(&report, asked.place, self.workplace.now);
        Ok(Answer::new(json::look::log(&report, asked.place), text))
    }

    /// The whole of a snapshot, or paths of it.
    pub(super) fn restore_any(&self, asked: &[OsString], destination: &Path) -> Result<Answer> {
        let parsed = asked.iter().map(|one| SnapshotPath::parse(one.as_bytes()));
        let parsed = parsed.collect::<Result<Vec<_>>>()?;
        let is_whole = |one: &SnapshotPath| {
            one.path.is_empty() && one.place == crate::model::place::Place::Worktree
        };
        if let [one] = parsed.as_slice()
            && is_whole(one)
        {
            return self.restore(&one.snapshot, destination);
        }
        let destination = self.environment.absolute(destination);
        let report =
            ops::restore_paths::restore_paths(self.workplace, &parsed, &destination, self.monitor)?;
        let text = text::look::restored(&report);
        Ok(Answer::new(json::look::restored(&report), text))
    }
}
