//! What one run of the program said: its two streams and its exit code.

use std::fmt;
use std::process::Output;

/// The outcome of one run, which a test must judge one way or the other.
#[must_use = "say whether the run succeeded or was refused"]
#[derive(Clone, Debug)]
pub struct Said {
    pub command: String,
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub code: Option<i32>,
}

impl Said {
    pub fn new(command: String, output: Output) -> Self {
        Self {
            command,
            stdout: output.stdout,
            stderr: output.stderr,
            code: output.status.code(),
        }
    }

    /// Stops the test unless the program exited with 0.
    #[track_caller]
    pub fn succeeded(self) -> Self {
        assert_eq!(self.code, Some(0), "this should have succeeded\n{self}");
        self
    }

    /// Stops the test unless the program refused with this code, on stderr or in its JSON answer.
    #[track_caller]
    pub fn refused(self, code: &str) -> Self {
        assert!(
            self.code.is_some_and(|status| status != 0),
            "this should have been refused with {code}, not have succeeded or been killed\n{self}"
        );
        let in_json = serde_json::from_slice::<serde_json::Value>(&self.stdout)
            .ok()
            .and_then(|answer| answer.get("code")?.as_str().map(str::to_owned));
        let stderr = String::from_utf8_lossy(&self.stderr);
        let in_text = stderr.starts_with("REFUSED") && contains_word(&stderr, code);
        assert!(
            in_json.as_deref() == Some(code) || in_text,
            "this should have been refused with {code}\n{self}"
        );
        self
    }

    /// The one JSON value on stdout.
    #[track_caller]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout should be one JSON value: {error}\n{self}"))
    }

    /// Standard output as text.
    #[track_caller]
    pub fn text(&self) -> String {
        String::from_utf8(self.stdout.clone())
            .unwrap_or_else(|error| panic!("stdout should be UTF-8: {error}\n{self}"))
    }
}

impl fmt::Display for Said {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "$ {}", self.command)?;
        writeln!(formatter, "exit: {:?}", self.code)?;
        writeln!(
            formatter,
            "--- stdout\n{}",
            String::from_utf8_lossy(&self.stdout)
        )?;
        writeln!(
            formatter,
            "--- stderr\n{}",
            String::from_utf8_lossy(&self.stderr)
        )
    }
}

fn contains_word(text: &str, word: &str) -> bool {
    text.split(|character: char| !character.is_ascii_alphanumeric() && character != '-')
        .any(|part| part == word)
}
