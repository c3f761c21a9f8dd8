//! What no snapshot of a repository holds though it looks precious: ignored files with names that people care for.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::host::files_below;
use crate::host::git::repository::{Settings, join_bytes};
use crate::host::walk::{Found, join};
use crate::model::listing::{LeftOutKind, Reason};
use crate::model::precious;
use crate::model::refusal::Result;
use crate::ops::patterns::Patterns;
use crate::ops::since::WorkspaceLook;

/// No more entries of ignored directories are looked at.
const MOST_ENTRIES: usize = 20_000;
/// Ignored directories are not looked into deeper than this.
const DEPTH: usize = 8;

/// One ignored file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Precious {
    /// Its path, from the top of its working tree.
    pub path: Vec<u8>,
    /// The working tree.
    pub root: PathBuf,
    /// Its size.
    pub bytes: u64,
    /// The rule by which it, or a directory above, is ignored.
    pub rule: String,
    /// The pattern of a name that people care for.
    pub pattern: &'static str,
}

/// What looks precious and is in no snapshot.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Unprotected {
    /// The files, by path.
    pub files: Vec<Precious>,
    /// Patterns for `vault.include` with which they all would be captured.
    pub patterns: Vec<String>,
    /// Whether there was more than was looked at.
    pub is_cut: bool,
}

/// Looks for them where the rules of git left something out. What `vault.exclude` names, the user knows of.
///
/// # Errors
/// When a pattern of the user makes no sense.
pub fn unprotected(look: &WorkspaceLook, settings: &Settings) -> Result<Unprotected> {
    let exclude = Patterns::new("vault.exclude", &settings.exclude)?;
    let mut found = Unprotected::default();
    let mut entries = MOST_ENTRIES;
    for (place, walked) in &look.looked {
        let roots = &look.metadata.workspace.places;
        let Some((_, root)) = roots.iter().find(|(other, _)| other == place) else {
            continue;
        };
        let is_of_tools = |path: &[u8]| {
            path.split(|byte| *byte == b'/')
                .any(precious::is_made_by_tools)
        };
        for directory in walked.iter().filter(|one| !is_of_tools(&one.path)) {
            for (name, entry) in &directory.entries {
                let Found::LeftOut {
                    reason: Reason::Ignored,
                    rule,
                    kind,
                    bytes,
                } = entry
                else {
                    continue;
                };
                let path = join(&directory.path, name);
                let files = match kind {
                    LeftOutKind::File => vec![(path, *bytes)],
                    LeftOutKind::Directory if precious::is_made_by_tools(name) => continue,
                    LeftOutKind::Directory => below(root, &path, &mut entries, &mut found),
                };
                let precious = files.into_iter().filter_map(|(path, bytes)| {
                    let pattern = precious::pattern(name_of(&path))?;
                    let is_known = exclude.matching(&path, false).is_some();
                    (!is_known).then(|| Precious {
                        path,
                        root: root.clone(),
                        bytes,
                        rule: rule.clone(),
                        pattern,
                    })
                });
                let precious: Vec<Precious> = precious.collect();
                found.files.extend(precious);
            }
        }
    }
    found.files.sort();
    found.patterns = patterns(&found.files);
    Ok(found)
}

fn below(
    root: &Path,
    directory: &[u8],
    entries: &mut usize,
    found: &mut Unprotected,
) -> Vec<(Vec<u8>, u64)> {
    let below = files_below::list(
        &join_bytes(root, directory),
        &|name| precious::pattern(name).is_some(),
        &|name| name != b".git" && !precious::is_made_by_tools(name),
        entries,
        DEPTH,
    );
    found.is_cut |= below.is_cut;
    let files = below.files.into_iter();
    files
        .map(|(path, bytes)| (join(directory, &path), bytes))
        .collect()
}

fn name_of(path: &[u8]) -> &[u8] {
    path.rsplit(|byte| *byte == b'/').next().unwrap_or_default()
}

/// For each directory and kind of name: the one file, or all of that name.
fn patterns(files: &[Precious]) -> Vec<String> {
    let mut groups: BTreeMap<(&[u8], &str), Vec<&[u8]>> = BTreeMap::new();
    for file in files {
        let name = name_of(&file.path);
        let directory = file.path.get(..file.path.len() - name.len());
        let group = groups.entry((directory.unwrap_or_default(), file.pattern));
        group.or_default().push(&file.path);
    }
    let mut lines = Vec::new();
    for ((directory, pattern), mut paths) in groups {
        // The same file of several working trees is one.
        paths.dedup();
        // A name may differ from the pattern in upper and lower case.
        let are_alike = paths.iter().all(|path| matches(pattern, name_of(path)));
        if paths.len() > 1 && are_alike {
            lines.extend(literal(directory).map(|directory| format!("/{directory}{pattern}")));
        } else {
            lines.extend(
                paths
                    .into_iter()
                    .filter_map(literal)
                    .map(|path| format!("/{path}")),
            );
        }
    }
    lines
}

/// Whether a pattern matches a name letter by letter.
fn matches(pattern: &str, name: &[u8]) -> bool {
    let name = String::from_utf8_lossy(name);
    globset::Glob::new(pattern).is_ok_and(|glob| glob.compile_matcher().is_match(name.as_ref()))
}

/// A path as a pattern that matches nothing else; nothing when no setting can hold it.
fn literal(path: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(path).ok()?;
    if text.chars().any(char::is_control) {
        return None;
    }
    let mut pattern = String::new();
    for character in text.chars() {
        if "\\*?[]!#".contains(character) || character == ' ' {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    Some(pattern)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn file(path: &str) -> Precious {
        Precious {
            path: path.as_bytes().to_vec(),
            root: PathBuf::from("/r"),
            bytes: 1,
            rule: String::new(),
            pattern: precious::pattern(name_of(path.as_bytes())).unwrap(),
        }
    }

    #[test]
    fn patterns_name_what_was_found_and_nothing_else() {
        let files = ["a b/[x].key", "certs/a.pem", "certs/b.pem", ".env"].map(file);
        assert_eq!(
            patterns(&files),
            ["/.env", "/a\\ b/\\[x\\].key", "/certs/*.pem"]
        );
    }
}
