//! A refusal: the one form in which an operation says no.

use std::path::{Path, PathBuf};

use super::refusal_code::RefusalCode;

/// A command a person may paste, and what it is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextStep {
    /// The command.
    pub command: String,
    /// What it does, in a few words.
    pub purpose: String,
}

/// What was changed before the refusal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Changed {
    /// Nothing at all.
    Nothing,
    /// Something that was left on purpose, in one sentence.
    Said(String),
}

/// A file that a refusal is about, with what it should have been and what it was, where that can be said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Evidence {
    /// Where it lies.
    pub path: PathBuf,
    /// What was expected of it.
    pub expected: Option<String>,
    /// What was found instead.
    pub found: Option<String>,
}

/// Says no: what, why, what was changed, what is safe, what to do. The only error that leaves `ops`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal(Box<Detail>);

/// The result of work that may be refused.
pub type Result<T> = std::result::Result<T, Refusal>;

/// What a refusal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// The reason's code.
    pub code: RefusalCode,
    /// What is wrong, in one sentence that names the subject.
    pub what: String,
    /// The facts behind it: exact path, expected, found.
    pub why: Vec<String>,
    /// What was changed.
    pub changed: Changed,
    /// What is untouched and can still be relied on.
    pub kept: String,
    /// Safe commands, the safest first.
    pub next: Vec<NextStep>,
    /// The files it is about.
    pub evidence: Vec<Evidence>,
}

impl Refusal {
    /// Makes a refusal before which nothing was changed.
    pub fn new(code: RefusalCode, what: impl Into<String>) -> Self {
        Self(Box::new(Detail {
            code,
            what: what.into(),
            why: Vec::new(),
            changed: Changed::Nothing,
            kept: "the source repository and all snapshots are untouched".to_owned(),
            next: Vec::new(),
            evidence: Vec::new(),
        }))
    }

    /// Adds a fact.
    #[must_use]
    pub fn because(mut self, fact: impl Into<String>) -> Self {
        self.0.why.push(fact.into());
        self
    }

    /// Names a file that it is about.
    #[must_use]
    pub fn about(mut self, path: &Path) -> Self {
        self.0.evidence.push(Evidence {
            path: path.to_owned(),
            expected: None,
            found: None,
        });
        self
    }

    /// Names a file that it is about, and how it differs from what it should be.
    #[must_use]
    pub fn about_difference(
        mut self,
        path: &Path,
        expected: impl Into<String>,
        found: impl Into<String>,
    ) -> Self {
        self.0.evidence.push(Evidence {
            path: path.to_owned(),
            expected: Some(expected.into()),
            found: Some(found.into()),
        });
        self
    }

    /// Says what was changed.
    #[must_use]
    pub fn having_changed(mut self, sentence: impl Into<String>) -> Self {
        self.0.changed = Changed::Said(sentence.into());
        self
    }

    /// Says what is untouched.
    #[must_use]
    pub fn keeping(mut self, sentence: impl Into<String>) -> Self {
        self.0.kept = sentence.into();
        self
    }

    /// Adds a safe command.
    #[must_use]
    pub fn next(mut self, command: impl Into<String>, purpose: impl Into<String>) -> Self {
        self.0.next.push(NextStep {
            command: command.into(),
            purpose: purpose.into(),
        });
        self
    }
}

impl std::ops::Deref for Refusal {
    type Target = Detail;

    fn deref(&self) -> &Detail {
        &self.0
    }
}

impl Detail {
    /// What was changed, in one sentence.
    #[must_use]
    pub fn state(&self) -> &str {
        match &self.changed {
            Changed::Nothing => "nothing was written",
            Changed::Said(sentence) => sentence,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} {}: {}",
            self.code.code(),
            self.code.name(),
            self.what
        )?;
        for fact in &self.why {
            write!(formatter, "; {fact}")?;
        }
        Ok(())
    }
}

impl std::error::Error for Refusal {}
