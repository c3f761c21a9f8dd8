//! Reversible escapes for file names: in git trees, in listings, and for terminals.
//!
//! `docs/FORMAT.md` (sections "Names in trees" and "Names in listings") is the specification.

use std::fmt::Write as _;
use std::path::Path;

/// Marks the tree that stands for one large file cut into chunks. A literal `%` in a name is always escaped, so no file
/// name can end in this.
pub const CHUNKS_SUFFIX: &[u8] = b"%chunks";

/// Writes a file name as a name for a git tree in the vault, so that neither git nor `git fsck --strict` gives it a
/// meaning: `.gitattributes` must not act on a vault, and `.git` or its look-alikes would be refused.
#[must_use]
pub fn tree_name(name: &[u8]) -> Vec<u8> {
    let mut escaped = Vec::with_capacity(name.len() + 4);
    let special = looks_special_to_git(name);
    for (position, byte) in name.iter().enumerate() {
        let short_name = *byte == b'~' && name.get(position + 1).is_some_and(u8::is_ascii_digit);
        let must_escape = matches!(byte, b'%' | b'\\') || short_name || (position == 0 && special);
        if must_escape {
            push_percent(&mut escaped, *byte);
        } else {
            escaped.push(*byte);
        }
    }
    escaped
}

/// Reads a name written by [`tree_name`]; `None` unless it is in exactly that form.
#[must_use]
pub fn name_from_tree(escaped: &[u8]) -> Option<Vec<u8>> {
    let name = unescape_percent(escaped)?;
    (!name.is_empty() && tree_name(&name) == escaped).then_some(name)
}

/// Whether git, HFS+ or NTFS rules could read `name` as `.git`, `.gitmodules`, `.gitattributes`, `.mailmap` and so on:
/// judged by its ASCII letters alone, because HFS+ drops invisible characters.
fn looks_special_to_git(name: &[u8]) -> bool {
    let plain: Vec<u8> = name
        .iter()
        .filter(|byte| byte.is_ascii())
        .map(u8::to_ascii_lowercase)
        .collect();
    plain.starts_with(b".git") || plain.starts_with(b".mailmap")
}

/// Writes a file name for a line of text: control and invisible characters, `%` and bytes that are not UTF-8
/// become `%XX`, everything else stays as it is.
#[must_use]
pub fn text_name(name: &[u8]) -> String {
    let mut escaped = String::with_capacity(name.len());
    for chunk in name.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character.is_control() || character == '%' || is_invisible(character) {
                let mut buffer = [0; 4];
                for byte in character.encode_utf8(&mut buffer).bytes() {
                    push_percent_text(&mut escaped, byte);
                }
            } else {
                escaped.push(character);
            }
        }
        for byte in chunk.invalid() {
            push_percent_text(&mut escaped, *byte);
        }
    }
    escaped
}

/// Reads a name written by [`text_name`]; `None` unless it is in exactly that form.
#[must_use]
pub fn name_from_text(escaped: &str) -> Option<Vec<u8>> {
    let name = unescape_percent(escaped.as_bytes())?;
    (text_name(&name) == escaped).then_some(name)
}

/// Writes a path as one word of a shell's language, for a command that a person copies: in single quotes, or, with bytes that a
/// terminal does not show as they are, in the quotes `$'...'` of bash, zsh and ksh.
#[must_use]
pub fn shell_word(path: &Path) -> String {
    let path = path.as_os_str().as_encoded_bytes();
    let is_shown = |character: char| !character.is_control() && !is_invisible(character);
    if let Ok(text) = std::str::from_utf8(path)
        && text.chars().all(is_shown)
    {
        return format!("'{}'", text.replace('\'', r"'\''"));
    }
    let mut word = "$'".to_owned();
    for byte in path {
        match byte {
            b'\'' | b'\\' => word.extend(['\\', char::from(*byte)]),
            b' '..=b'~' => word.push(char::from(*byte)),
            _ => {
                // Writing to a String cannot fail.
                let _infallible = write!(word, "\\{byte:03o}");
            }
        }
    }
    word.push('\'');
    word
}

/// Makes any text safe for a terminal: control and direction-changing characters become visible escapes.
#[must_use]
pub fn for_terminal(text: &str) -> String {
    let mut safe = String::with_capacity(text.len());
    for character in text.chars() {
        if (character.is_control() && character != '\n') || is_invisible(character) {
            // Writing to a String cannot fail.
            let _infallible = write!(safe, "\\u{{{:x}}}", u32::from(character));
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Makes JSON text safe for a terminal, too: control characters from U+007F up and direction-changing ones, which can
/// stand in strings only, become `\uXXXX`. What the JSON means stays the same.
#[must_use]
pub fn for_json(json: &str) -> String {
    let mut safe = String::with_capacity(json.len());
    for character in json.chars() {
        // JSON itself escapes the controls below U+0020.
        if character >= '\u{7f}' && (character.is_control() || is_invisible(character)) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                let _infallible = write!(safe, "\\u{unit:04x}");
            }
        } else {
            safe.push(character);
        }
    }
    safe
}

/// Whether `character` changes how its neighbours look without being seen itself (Unicode bidi controls, zero-width
/// characters, byte-order mark, line and paragraph separators, tags).
fn is_invisible(character: char) -> bool {
    matches!(character,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
}

fn push_percent(out: &mut Vec<u8>, byte: u8) {
    let mut text = String::with_capacity(3);
    push_percent_text(&mut text, byte);
    out.extend_from_slice(text.as_bytes());
}

fn push_percent_text(out: &mut String, byte: u8) {
    // Writing to a String cannot fail.
    let _infallible = write!(out, "%{byte:02X}");
}

fn unescape_percent(escaped: &[u8]) -> Option<Vec<u8>> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'A'..=b'F' => Some(digit - b'A' + 10),
        _ => None,
    };
    let mut name = Vec::with_capacity(escaped.len());
    let mut rest = escaped;
    while let Some((first, tail)) = rest.split_first() {
        if *first == b'%' {
            let (digits, tail) = tail.split_at_checked(2)?;
            let (high, low) = (digits.first()?, digits.get(1)?);
            name.push(nibble(*high)? << 4 | nibble(*low)?);
            rest = tail;
        } else {
            name.push(*first);
            rest = tail;
        }
    }
    Some(name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn names_that_git_gives_a_meaning_to_are_escaped() {
        let cases: [(&[u8], &[u8]); 9] = [
            (b".git", b"%2Egit"),
            (b".GITmodules", b"%2EGITmodules"),
            (b"git~1", b"git%7E1"),
            (b"GI7EBA~1", b"GI7EBA%7E1"),
            (".g\u{200c}it".as_bytes(), b"%2Eg\xe2\x80\x8cit"),
            ("\u{200c}.git".as_bytes(), b"%E2\x80\x8c.git"),
            (b"a\\.git", b"a%5C.git"),
            (b"100%", b"100%25"),
            (b"README.md", b"README.md"),
        ];
        for (name, escaped) in cases {
            assert_eq!(tree_name(name), escaped);
        }
    }

    #[test]
    fn paths_are_words_of_a_shell() {
        use std::os::unix::ffi::OsStrExt as _;
        let cases: [(&[u8], &str); 4] = [
            (b"/a b/$c", "'/a b/$c'"),
            (b"/it's", r"'/it'\''s'"),
            ("/\u{e9}".as_bytes(), "'/\u{e9}'"),
            (b"/it's\n\\\xff", r"$'/it\'s\012\\\377'"),
        ];
        for (path, word) in cases {
            assert_eq!(
                shell_word(Path::new(std::ffi::OsStr::from_bytes(path))),
                word
            );
        }
    }

    proptest! {
        #[test]
        fn every_name_comes_back_from_a_tree(name in proptest::collection::vec(1_u8..=255, 1..40)) {
            prop_assert_eq!(name_from_tree(&tree_name(&name)), Some(name));
        }

        #[test]
        fn every_name_comes_back_from_text(name in proptest::collection::vec(any::<u8>(), 0..40)) {
            let text = text_name(&name);
            prop_assert!(!text.contains('\n'));
            prop_assert_eq!(name_from_text(&text), Some(name));
        }

        #[test]
        fn a_name_that_is_read_has_one_form_only(escaped in proptest::collection::vec(any::<u8>(), 1..12)) {
            if let Some(name) = name_from_tree(&escaped) {
                prop_assert_eq!(tree_name(&name), escaped);
            }
        }
    }
}
