//! The object stores that a repository borrows from, found as git finds them (gitrepository-layout(5), `objects/info/alternates`).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::error::Result;
use crate::host::disk;

/// Largest `info/alternates` file read.
const LIMIT_BYTES: u64 = 1 << 20;

/// How many borrowed stores may stand between a repository and one whose own list git still reads.
const DEPTH: u8 = 5;

/// An objects directory with all it borrows from.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Alternates {
    /// Objects directories, the repository's own first, each once.
    pub directories: Vec<PathBuf>,
    /// Places that a list names and where no directory is: git passes over them.
    pub gone: Vec<PathBuf>,
    /// Lists that git passes over because they are nested too deep.
    pub too_deep: Vec<PathBuf>,
}

impl Alternates {
    /// Finds everything that `objects` borrows from.
    ///
    /// # Errors
    /// When a list or a place cannot be looked at.
    pub fn find(objects: &Path) -> Result<Self> {
        let mut found = Self {
            directories: vec![objects.to_owned()],
            ..Self::default()
        };
        let real = std::fs::canonicalize(objects).unwrap_or_else(|_gone| objects.to_owned());
        found.read_list(&real, 0, &real)?;
        Ok(found)
    }

    /// Reads the list of one store, then those of the stores that it names.
    fn read_list(&mut self, directory: &Path, depth: u8, own: &Path) -> Result<()> {
        let file = directory.join("info/alternates");
        let bytes = match disk::read_bounded(&file, LIMIT_BYTES) {
            Err(error) if error.is_not_found() => return Ok(()),
            bytes => bytes?,
        };
        let entries = entries(&bytes);
        if depth > DEPTH {
            if !entries.is_empty() {
                self.too_deep.push(file);
            }
            return Ok(());
        }
        for entry in entries {
            let place = directory.join(OsStr::from_bytes(&entry));
            let real = match std::fs::canonicalize(&place) {
                Ok(real) if real.is_dir() => real,
                Ok(_) => {
                    self.gone.push(place);
                    continue;
                }
                Err(error) if is_gone(&error) => {
                    self.gone.push(place);
                    continue;
                }
                Err(source) => {
                    let action = "find the alternate object store";
                    return Err(disk::Error::new(action, &place, source).into());
                }
            };
            if real != own && !self.directories.contains(&real) {
                self.directories.push(real.clone());
                self.read_list(&real, depth + 1, own)?;
            }
        }
        Ok(())
    }
}

/// Whether a path leads nowhere, as opposed to a place that may not be looked at.
fn is_gone(error: &std::io::Error) -> bool {
    use std::io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
        || error.raw_os_error() == Some(rustix::io::Errno::LOOP.raw_os_error())
}

/// The paths of a list, one a line; a line that begins with `#` is none, and one that begins with `"` is quoted as in C. Like
/// git, we take a badly quoted path as it stands, and pass over one byte after the end of a quoted one.
fn entries(bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut entries = Vec::new();
    let mut rest = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
    while let Some(first) = rest.first() {
        let line_end = rest.iter().position(|byte| *byte == b'\n');
        let line_end = line_end.unwrap_or(rest.len());
        let line = rest.get(..line_end).unwrap_or_default();
        let (entry, end) = match first {
            b'#' => (Vec::new(), line_end),
            b'"' => unquote(rest).unwrap_or_else(|| (line.to_vec(), line_end)),
            _ => (line.to_vec(), line_end),
        };
        if !entry.is_empty() {
            entries.push(entry);
        }
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    entries
}

/// What stands quoted at the beginning of `text`, and where the quotes end (git's `unquote_c_style`); `None` when they do not.
fn unquote(text: &[u8]) -> Option<(Vec<u8>, usize)> {
    let mut unquoted = Vec::new();
    let mut bytes = text.iter().copied().enumerate().skip(1);
    loop {
        let (position, byte) = bytes.next()?;
        match byte {
            b'"' => return Some((unquoted, position + 1)),
            b'\\' => {}
            _ => {
                unquoted.push(byte);
                continue;
            }
        }
        let (_, escaped) = bytes.next()?;
        unquoted.push(match escaped {
            b'a' => 0x07,
            b'b' => 0x08,
            b'f' => 0x0c,
            b'n' => b'\n',
            b'r' => b'\r',
            b't' => b'\t',
            b'v' => 0x0b,
            b'\\' | b'"' => escaped,
            b'0'..=b'3' => {
                let mut value = escaped - b'0';
                for _ in 0..2 {
                    let (_, digit) = bytes.next()?;
                    value = value << 3 | digit.checked_sub(b'0').filter(|digit| *digit < 8)?;
                }
                value
            }
            _ => return None,
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(bytes: &[u8]) -> Vec<String> {
        let entries = entries(bytes);
        let shown = entries.iter().map(|entry| entry.escape_ascii().to_string());
        shown.collect()
    }

    #[test]
    fn lists_are_read_as_git_reads_them() {
        assert_eq!(
            texts(b"# comment\n/a\n\n../b\r\n c"),
            ["/a", "../b\\r", " c"]
        );
        assert_eq!(
            texts(b"\"/a\\tb\\303\\244\\\"\\\\\"\n/c\n"),
            ["/a\\tb\\xc3\\xa4\\\"\\\\", "/c"]
        );
        assert_eq!(texts(b"\"a\nb\"\n"), ["a\\nb"]);
        assert_eq!(texts(b"/a\0/b\n/c"), ["/a"]);
        assert!(texts(b"").is_empty() && texts(b"\n\n#").is_empty());
    }

    #[test]
    fn what_is_badly_quoted_is_taken_as_it_stands() {
        for line in [
            "\"/a",
            "\"/a\\x\"",
            "\"/a\\477\"",
            "\"/a\\03",
            "\"/a\\038\"",
        ] {
            let text = format!("{line}\n/b\n");
            assert_eq!(entries(text.as_bytes()), [line.as_bytes(), b"/b"], "{line}");
        }
        // A byte after the quotes is passed over, whatever it is.
        assert_eq!(texts(b"\"/a\"x/b\n"), ["/a", "/b"]);
    }
}
