//! The lines that differ, in the form that `git apply` and `patch` understand, in git's colours.

use std::fmt::Write as _;

use super::diff::Manner;
use crate::model::escape::for_terminal;
use crate::ops::diff::{Change, Side};
use crate::ops::line_diff::{Hunk, Line, LineDiff};

/// So many lines around a difference are shown.
const CONTEXT: usize = 3;

/// Puts text into the colours that git has for differences. No colour says anything that the text does not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Paint {
    is_on: bool,
}

impl Paint {
    pub(super) fn new(is_on: bool) -> Self {
        Self { is_on }
    }

    fn paint(self, code: &str, text: &str) -> String {
        if self.is_on && !text.is_empty() {
            format!("\u{1b}[{code}m{text}\u{1b}[m")
        } else {
            text.to_owned()
        }
    }

    pub(super) fn added(self, text: &str) -> String {
        self.paint("32", text)
    }

    pub(super) fn removed(self, text: &str) -> String {
        self.paint("31", text)
    }

    fn header(self, text: &str) -> String {
        self.paint("1", text)
    }

    fn place(self, text: &str) -> String {
        self.paint("36", text)
    }
}

/// A name as git writes it into a patch: in quotes with octal escapes unless every character is plain to see.
fn name(prefix: &str, path: &[u8]) -> String {
    let plain = std::str::from_utf8(path).ok().filter(|text| {
        let is_special = text.contains(['"', '\\']);
        !is_special && for_terminal(text) == *text && !text.contains('\n')
    });
    if let Some(plain) = plain {
        return format!("{prefix}{plain}");
    }
    let mut quoted = format!("\"{prefix}");
    for byte in path {
        match byte {
            b'"' | b'\\' => {
                quoted.push('\\');
                quoted.push(char::from(*byte));
            }
            b' '..=b'~' => quoted.push(char::from(*byte)),
            _ => {
                let _infallible = write!(quoted, "\\{byte:03o}");
            }
        }
    }
    quoted.push('"');
    quoted
}

/// The two modes that git knows of a file.
fn git_mode(side: &Side) -> &'static str {
    match side {
        Side::File(mode, ..) if mode & 0o100 != 0 => "100755",
        Side::File(..) | Side::Link(_) | Side::Directory(_) | Side::Other => "100644",
    }
}

/// The lines before those that differ.
fn headers(change: &Change, has_hunks: bool) -> Vec<String> {
    let (left, right) = (name("a/", &change.path), name("b/", &change.path));
    let mut headers = vec![format!("diff --git {left} {right}")];
    match (&change.old, &change.new) {
        (None, Some(new)) => headers.push(format!("new file mode {}", git_mode(new))),
        (Some(old), None) => headers.push(format!("deleted file mode {}", git_mode(old))),
        (Some(old), Some(new)) if git_mode(old) != git_mode(new) => {
            headers.push(format!("old mode {}", git_mode(old)));
            headers.push(format!("new mode {}", git_mode(new)));
        }
        (Some(_), Some(_)) | (None, None) => {}
    }
    if has_hunks {
        // As git: a tab behind a name with a space says where it ends.
        let tab = if change.path.contains(&b' ') {
            "\t"
        } else {
            ""
        };
        let side = |side: &Option<Side>, name: &str| match side {
            Some(_) => format!("{name}{tab}"),
            None => "/dev/null".to_owned(),
        };
        headers.push(format!("--- {}", side(&change.old, &left)));
        headers.push(format!("+++ {}", side(&change.new, &right)));
    }
    headers
}

/// The numbers of lines at the head of a hunk, counted from 1; without lines, the one before.
fn range((start, length): (usize, usize)) -> String {
    match length {
        0 => format!("{start},0"),
        1 => format!("{}", start + 1),
        _ => format!("{},{length}", start + 1),
    }
}

/// The bytes of a line as they may be shown; without its newline.
fn content(line: &[u8], is_terminal: bool) -> String {
    let text = String::from_utf8_lossy(line);
    if !is_terminal {
        return text.into_owned();
    }
    let parts = text.split('\t').map(for_terminal);
    parts.collect::<Vec<_>>().join("\t")
}

fn push_hunk(text: &mut String, hunk: &Hunk<'_>, manner: Manner) {
    let paint = Paint::new(manner.is_coloured);
    let place = format!("@@ -{} +{} @@", range(hunk.old), range(hunk.new));
    text.push_str(&paint.place(&place));
    text.push('\n');
    for line in &hunk.lines {
        let (sign, bytes) = match line {
            Line::Same(bytes) => (' ', bytes),
            Line::Removed(bytes) => ('-', bytes),
            Line::Added(bytes) => ('+', bytes),
        };
        let whole = bytes.strip_suffix(b"\n");
        let shown = format!(
            "{sign}{}",
            content(whole.unwrap_or(bytes), manner.is_terminal)
        );
        text.push_str(&match line {
            Line::Same(_) => shown,
            Line::Removed(_) => paint.removed(&shown),
            Line::Added(_) => paint.added(&shown),
        });
        text.push('\n');
        if whole.is_none() {
            text.push_str("\\ No newline at end of file\n");
        }
    }
}

/// The patch of a path. Nothing where none can say it: for what is no text, and for what git does not know of a file; and where
/// `git apply` would be given other bytes, because a text is not in UTF-8.
pub(super) fn patch(change: &Change, manner: Manner) -> Option<String> {
    let (old, new) = change.texts.as_ref()?;
    let is_utf8 = std::str::from_utf8(old).is_ok() && std::str::from_utf8(new).is_ok();
    if !is_utf8 && !manner.is_terminal {
        return None;
    }
    let is_file = |side: &Option<Side>| matches!(side, None | Some(Side::File(..)));
    if !is_file(&change.old) || !is_file(&change.new) {
        return None;
    }
    let hunks = LineDiff::new(old, new).hunks(CONTEXT);
    let headers = headers(change, !hunks.is_empty());
    if headers.len() == 1 {
        return None;
    }
    let paint = Paint::new(manner.is_coloured);
    let mut text = String::new();
    for header in headers {
        text.push_str(&paint.header(&header));
        text.push('\n');
    }
    for hunk in &hunks {
        push_hunk(&mut text, hunk, manner);
    }
    Some(text)
}
