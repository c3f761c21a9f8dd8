//! Git's ignore rules, decided as git decides them: the nearest `.gitignore` first, then `info/exclude`, then
//! `core.excludesFile`; the last matching line of the first file that has one.

use std::path::Path;
use std::sync::Arc;

use gix::glob::pattern::Case;
use gix::glob::search::pattern::List;
use gix::ignore::search::{Ignore, pattern_matching_relative_path};

use crate::host::disk;

/// The largest ignore file read; git reads any size.
const LIMIT_BYTES: u64 = 64 << 20;

/// How much of a rule is repeated in reports and records.
const RULE_LIMIT_CHARACTERS: usize = 200;

/// The rules that hold at one directory: those of the file in it, then those of the directories above.
#[derive(Clone)]
pub struct Rules {
    inner: Arc<Inner>,
}

struct Inner {
    above: Option<Rules>,
    list: Option<PatternFile>,
    case: Case,
}

struct PatternFile {
    /// As git reads it.
    plain: List<Ignore>,
    /// As read with `$` marking precious files; only where a line begins so.
    precious: Option<List<Ignore>>,
    /// How the file is named in reports.
    name: String,
}

/// What the rules say of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Not ignored.
    Keep,
    /// Ignored, by this rule.
    Ignored(String),
    /// Ignored, and marked precious by a `$` pattern.
    Precious,
}

impl Rules {
    /// The rules that hold everywhere: `core.excludesFile`, then `info/exclude` over it.
    ///
    /// # Errors
    /// When one of them is there and cannot be read.
    pub fn everywhere(
        excludes_file: Option<&Path>,
        info_exclude: &Path,
        ignore_case: bool,
    ) -> disk::Result<Self> {
        let case = if ignore_case {
            Case::Fold
        } else {
            Case::Sensitive
        };
        let mut rules = Self {
            inner: Arc::new(Inner {
                above: None,
                list: None,
                case,
            }),
        };
        for path in excludes_file.into_iter().chain([info_exclude]) {
            // Git follows links to these two, and takes a directory or a missing file for an empty one.
            match read_following(path) {
                Ok(bytes) => {
                    rules = rules.with(&bytes, path, None, path.display().to_string())?;
                }
                Err(error) if is_absent(&error) => {}
                Err(error) => return Err(disk::Error::new("read", path, error)),
            }
        }
        Ok(rules)
    }

    /// The rules below `directory` (relative to `root`, without a slash at its end), whose `.gitignore` holds `bytes`.
    ///
    /// # Errors
    /// When the path cannot be expressed.
    pub fn below(&self, root: &Path, directory: &[u8], bytes: &[u8]) -> disk::Result<Self> {
        let source = super::repository::join_bytes(root, directory).join(".gitignore");
        let name = source
            .strip_prefix(root)
            .unwrap_or(&source)
            .display()
            .to_string();
        self.with(bytes, &source, Some(root), name)
    }

    fn with(
        &self,
        bytes: &[u8],
        source: &Path,
        root: Option<&Path>,
        name: String,
    ) -> disk::Result<Self> {
        // Git drops a carriage return at the end of the last line, too.
        let mut bytes = bytes.to_vec();
        if bytes.ends_with(b"\r") {
            bytes.push(b'\n');
        }
        let read = |support_precious| {
            List::from_bytes(&bytes, source.to_owned(), root, Ignore { support_precious })
                .map_err(|error| disk::Error::new("understand", source, error))
        };
        let marks_precious = bytes
            .split(|byte| *byte == b'\n')
            .any(|line| line.starts_with(b"$"));
        let precious = if marks_precious {
            Some(read(true)?)
        } else {
            None
        };
        let list = PatternFile {
            plain: read(false)?,
            precious,
            name,
        };
        Ok(Self {
            inner: Arc::new(Inner {
                above: Some(self.clone()),
                list: Some(list),
                case: self.inner.case,
            }),
        })
    }

    /// Decides on a path, relative to the root of the working tree. The directories above it must not be ignored.
    #[must_use]
    pub fn decide(&self, path: &[u8], is_directory: bool) -> Decision {
        let basename = path
            .iter()
            .rposition(|byte| *byte == b'/')
            .map(|slash| slash + 1);
        let mut decision = None;
        let mut precious = None;
        let mut may_differ = false;
        let mut level = Some(self);
        while let Some(rules) = level {
            if let Some(file) = &rules.inner.list {
                let matching = |list| {
                    pattern_matching_relative_path(
                        list,
                        path.into(),
                        basename,
                        Some(is_directory),
                        rules.inner.case,
                    )
                };
                if decision.is_none()
                    && let Some(found) = matching(&file.plain)
                {
                    let rule =
                        format!("{}:{}: {}", file.name, found.sequence_number, found.pattern);
                    let rule: String = rule.chars().take(RULE_LIMIT_CHARACTERS).collect();
                    may_differ =
                        self.inner.case == Case::Fold && has_odd_range(&found.pattern.to_string());
                    decision = Some((!found.pattern.is_negative()).then_some(rule));
                }
                if precious.is_none()
                    && let Some(found) = file.precious.as_ref().and_then(matching)
                {
                    let marked =
                        found.kind == gix::ignore::Kind::Precious && !found.pattern.is_negative();
                    precious = Some(marked);
                }
            }
            level = rules.inner.above.as_ref();
        }
        // With case folded, the matcher reads ranges such as [c-a] or [a-C] otherwise than git: what might be such a range
        // leaves nothing out.
        if may_differ {
            return Decision::Keep;
        }
        match decision.flatten() {
            None => Decision::Keep,
            Some(_) if precious == Some(true) => Decision::Precious,
            Some(rule) => Decision::Ignored(rule),
        }
    }
}

/// Reads a file to which links may lead; what is not a regular file counts as absent, and is not waited for.
fn read_following(path: &Path) -> std::io::Result<Vec<u8>> {
    use std::io::Read as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap_or_default();
    let file = std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(flags)
        .open(path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::ErrorKind::NotFound.into());
    }
    let mut bytes = Vec::new();
    file.take(LIMIT_BYTES).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Whether a pattern holds a range that ends before it begins, or in another case than it begins.
fn has_odd_range(pattern: &str) -> bool {
    let is_odd = |low: u8, high: u8| {
        let both_letters = low.is_ascii_alphabetic() && high.is_ascii_alphabetic();
        high < low || (both_letters && low.is_ascii_lowercase() != high.is_ascii_lowercase())
    };
    let mut places = pattern.as_bytes().windows(3);
    pattern.contains('[')
        && places.any(|place| matches!(place, [low, b'-', high] if is_odd(*low, *high)))
}

fn is_absent(error: &std::io::Error) -> bool {
    let kind = error.kind();
    kind == std::io::ErrorKind::NotFound
        || kind == std::io::ErrorKind::IsADirectory
        || kind == std::io::ErrorKind::NotADirectory
}

/// Reads the `.gitignore` in a directory the way git does: links are not followed, a directory counts as none.
///
/// # Errors
/// When it is there and cannot be read.
pub fn read_gitignore(directory: &std::fs::File, shown: &Path) -> disk::Result<Option<Vec<u8>>> {
    use std::io::Read as _;

    use disk::Context as _;
    use rustix::fs::{Mode, OFlags, openat};
    use rustix::io::Errno;
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let path = shown.join(".gitignore");
    match openat(directory, ".gitignore", flags, Mode::empty()) {
        Ok(file) => {
            let file = std::fs::File::from(file);
            if !file.metadata().context("look at", &path)?.is_file() {
                return Ok(None);
            }
            let mut bytes = Vec::new();
            file.take(LIMIT_BYTES)
                .read_to_end(&mut bytes)
                .context("read", &path)?;
            Ok(Some(bytes))
        }
        Err(Errno::NOENT | Errno::LOOP | Errno::NOTDIR | Errno::NXIO) => Ok(None),
        Err(error) => Err(disk::Error::new("read", &path, error.into())),
    }
}
