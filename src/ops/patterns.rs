//! Patterns of `vault.include` and `vault.exclude`.

use std::path::Path;

use ignore::gitignore::{Gitignore, GitignoreBuilder};

use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;

/// Patterns of `vault.include` or `vault.exclude`, in gitignore syntax.
pub struct Patterns {
    matcher: Gitignore,
    lines: Vec<String>,
}

impl Patterns {
    /// Compiles patterns.
    ///
    /// # Errors
    /// When one makes no sense.
    pub fn new(setting: &str, lines: &[String]) -> Result<Self> {
        let invalid = |reason: String| {
            Refusal::new(
                RefusalCode::SettingInvalid,
                format!("a pattern of {setting} makes no sense"),
            )
            .because(reason)
        };
        let mut builder = GitignoreBuilder::new("");
        for line in lines {
            builder
                .add_line(None, line)
                .map_err(|error| invalid(error.to_string()))?;
        }
        let matcher = builder
            .build()
            .map_err(|error| invalid(error.to_string()))?;
        Ok(Self {
            matcher,
            lines: lines.to_vec(),
        })
    }

    /// The pattern that matches a path, if one does.
    #[must_use]
    pub fn matching(&self, path: &[u8], is_directory: bool) -> Option<String> {
        if self.lines.is_empty() {
            return None;
        }
        let path = crate::host::git::repository::join_bytes(Path::new(""), path);
        let found = self.matcher.matched(path, is_directory);
        if found.is_ignore() {
            found.inner().map(|glob| glob.original().to_owned())
        } else {
            None
        }
    }

    /// Whether a pattern could match something below an ignored directory: only patterns that name a way there are looked
    /// for inside ignored directories.
    #[must_use]
    pub fn may_match_below(&self, directory: &[u8]) -> bool {
        let directory = String::from_utf8_lossy(directory);
        self.lines
            .iter()
            .any(|line| pattern_leads_into(line, &directory))
    }
}

fn pattern_leads_into(pattern: &str, directory: &str) -> bool {
    let pattern = pattern.trim_end_matches('/');
    if pattern.starts_with('!') || !pattern.contains('/') {
        return false;
    }
    let mut steps = pattern.trim_start_matches('/').split('/');
    for name in directory.split('/') {
        match steps.next() {
            Some("**") => return true,
            Some(step) if literal(step).is_none_or(|step| step == name) => {}
            Some(_) | None => return false,
        }
    }
    steps.next().is_some()
}

/// The one name that a step of a pattern matches; nothing when it may match several.
fn literal(step: &str) -> Option<String> {
    let mut name = String::new();
    let mut characters = step.chars();
    while let Some(character) = characters.next() {
        match character {
            '*' | '?' | '[' => return None,
            '\\' => name.push(characters.next()?),
            _ => name.push(character),
        }
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn include_patterns_are_looked_for_only_where_they_lead() {
        assert!(pattern_leads_into("secret/*.json", "secret"));
        assert!(pattern_leads_into("/a/b/c", "a/b"));
        assert!(pattern_leads_into("a/**/.env", "a/x/y"));
        assert!(!pattern_leads_into(".env", "node_modules"));
        assert!(pattern_leads_into(r"/a\ b/\[x\].key", "a b"));
        assert!(!pattern_leads_into(r"/a\ b/\[x\].key", "other"));
        assert!(!pattern_leads_into("secret/*.json", "other"));
        assert!(!pattern_leads_into("secret/x", "secret/x"));
    }
}
