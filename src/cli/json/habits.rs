//! What makes daily use easy, as JSON: completions, manual pages, help.

use std::path::PathBuf;

use serde_json::{Value, json};

use super::paths;

/// `git vault completions`.
#[must_use]
pub fn completions(script: &str) -> Value {
    json!({ "schema": "git-vault/completions/1", "text": script })
}

/// `git vault man`: the page itself, or the files that were written.
#[must_use]
pub fn man(page: Option<&str>, written: &[PathBuf]) -> Value {
    json!({ "schema": "git-vault/man/1", "text": page, "written": paths(written) })
}

/// `git vault help`.
#[must_use]
pub fn help(text: &str) -> Value {
    json!({ "schema": "git-vault/help/1", "text": text })
}
