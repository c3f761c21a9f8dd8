//! The arms of the commands that look into snapshots.

use std::ffi::OsString;
use std::io::{self, IsTerminal as _, Write};
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

use super::{Answer, Call};
use crate::cli::{json, text};
use crate::model::escape::for_terminal;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops;
use crate::ops::snapshot_path::SnapshotPath;

/// Exit status of what was ended because nobody reads any more.
const NOBODY_READS: u8 = 141;
/// The largest file that is shown on a terminal.
const TERMINAL_BYTES: usize = 16 << 20;

/// Standard output, or where it would go: knows whether anybody still reads.
struct Output {
    to: io::Stdout,
    is_closed: bool,
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.to.write(bytes);
        self.is_closed |=
            matches!(&written, Err(error) if error.kind() == io::ErrorKind::BrokenPipe);
        written
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// What is shown on a terminal, as a whole: it must not take commands from a file.
#[derive(Default)]
struct Shown(Vec<u8>);

impl Write for Shown {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.0.len() + bytes.len() > TERMINAL_BYTES {
            return Err(io::Error::other(
                "too much for a terminal: send it to a file or a pager",
            ));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Call<'_> {
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
            let mut shown = Shown::default();
            ops::look::cat(self.workplace, &asked, &mut shown)?;
            let text = for_terminal(&String::from_utf8_lossy(&shown.0));
            return Ok(Answer { text, ..answer });
        }
        let mut output = Output {
            to: io::stdout(),
            is_closed: false,
        };
        let report = ops::look::cat(self.workplace, &asked, &mut output);
        let flushed = output.flush();
        if output.is_closed {
            return Ok(Answer {
                status: NOBODY_READS,
                ..answer
            });
        }
        report?;
        flushed.map_err(|error| {
            Refusal::new(RefusalCode::Internal, "the file cannot be written out")
                .because(error.to_string())
        })?;
        Ok(answer)
    }

    pub(super) fn find(&self, pattern: &str) -> Result<Answer> {
        let report = ops::find::find(self.workplace, pattern)?;
        let text = text::look::find(&report, self.workplace.now);
        Ok(Answer::new(json::look::find(&report), text))
    }

    pub(super) fn log(&self, path: &OsString) -> Result<Answer> {
        let of_any = [b"@:", path.as_bytes()].concat();
        let asked = SnapshotPath::parse(&of_any)?;
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
