//! One `[include]` in a configuration file of git: added at its end, taken out again, every other byte left as it is.

use super::config_file::parse;

/// What taking it out comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Removal {
    /// It is not there.
    Absent,
    /// The file without it.
    Without(Vec<u8>),
    /// It is there in a form that others gave it.
    NotUnderstood,
}

/// A value as git reads it back, whatever is in it (git-config(1), "Syntax").
#[must_use]
pub fn quoted(value: &str) -> String {
    let mut quoted = String::with_capacity(value.len() + 2);
    quoted.push('"');
    for character in value.chars() {
        match character {
            '"' => quoted.push_str("\\\""),
            '\\' => quoted.push_str("\\\\"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

const HEADER: &str = "[include]\n";

fn line(path: &str) -> String {
    format!("\tpath = {}\n", quoted(path))
}

/// The paths that a file includes, in its own words; `None` when the file cannot be understood.
#[must_use]
pub fn includes(config: &[u8]) -> Option<Vec<Vec<u8>>> {
    let file = parse(config)?;
    let sections = file.sections_by_name("include").into_iter().flatten();
    let values = sections.flat_map(|section| section.body().values("path"));
    Some(values.map(|value| value.to_vec()).collect())
}

/// Whether a file includes a path; `None` when the file cannot be understood.
#[must_use]
pub fn has_include(config: &[u8], path: &str) -> Option<bool> {
    Some(includes(config)?.iter().any(|one| one == path.as_bytes()))
}

/// The file with the include at its end; `None` when the file cannot be understood.
#[must_use]
pub fn with_include(config: &[u8], path: &str) -> Option<Vec<u8>> {
    let before = includes(config)?;
    let mut text = config.to_vec();
    if lacks_newline(config) {
        text.push(b'\n');
    }
    text.extend_from_slice(HEADER.as_bytes());
    text.extend_from_slice(line(path).as_bytes());
    let after = includes(&text)?;
    let (last, others) = after.split_last()?;
    (last == path.as_bytes() && others == before.as_slice()).then_some(text)
}

/// Whether the last line of a file has no end.
#[must_use]
pub fn lacks_newline(config: &[u8]) -> bool {
    !config.is_empty() && !config.ends_with(b"\n")
}

/// The file without the include. `lacked_newline` says that the end of its last line was added with it.
#[must_use]
pub fn without_include(config: &[u8], path: &str, lacked_newline: bool) -> Removal {
    match has_include(config, path) {
        None => return Removal::NotUnderstood,
        Some(false) => return Removal::Absent,
        Some(true) => {}
    }
    let line = line(path);
    let mut places = (0..config.len()).filter(|place| starts_at(config, *place, line.as_bytes()));
    let (Some(start), None) = (places.next(), places.next()) else {
        return Removal::NotUnderstood;
    };
    let end = start + line.len();
    let before = config.get(..start).unwrap_or_default();
    let after = config.get(end..).unwrap_or_default();
    let kept = match before.strip_suffix(HEADER.as_bytes()) {
        // Others may have put their own lines below the heading.
        Some(kept) if (kept.is_empty() || kept.ends_with(b"\n")) && is_section_over(after) => kept,
        _ => before,
    };
    let kept = match kept.strip_suffix(b"\n") {
        Some(shorter) if lacked_newline && after.is_empty() => shorter,
        _ => kept,
    };
    let text = [kept, after].concat();
    if has_include(&text, path) == Some(false) {
        Removal::Without(text)
    } else {
        Removal::NotUnderstood
    }
}

/// Whether a line begins at a place, at the beginning of a line of the file.
fn starts_at(config: &[u8], place: usize, line: &[u8]) -> bool {
    let rest = config.get(place..).unwrap_or_default();
    let before = place.checked_sub(1).and_then(|place| config.get(place));
    rest.starts_with(line) && before.is_none_or(|byte| *byte == b'\n')
}

/// Whether no setting comes before the next heading.
fn is_section_over(rest: &[u8]) -> bool {
    let mut lines = rest.split(|byte| *byte == b'\n').map(<[u8]>::trim_ascii);
    lines
        .find(|line| !line.is_empty() && !line.starts_with(b"#") && !line.starts_with(b";"))
        .is_none_or(|line| line.starts_with(b"["))
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATH: &str = "/state/a \"b\" \\c#;/hooks.gitconfig";

    #[test]
    fn what_was_added_is_taken_out_to_the_last_byte() {
        for config in [
            "",
            "[core]\n\tbare = false\n",
            "[core]\r\n\tbare = false\r\n",
            "; mine\n[include]\n\tpath = other\n# end",
            "[include]\n\tpath = other",
        ] {
            let added = with_include(config.as_bytes(), PATH).unwrap();
            assert!(added.starts_with(config.as_bytes()));
            assert_eq!(has_include(&added, PATH), Some(true));
            let lacked = lacks_newline(config.as_bytes());
            let removed = without_include(&added, PATH, lacked);
            assert_eq!(
                removed,
                Removal::Without(config.as_bytes().to_vec()),
                "{config}"
            );
        }
    }

    #[test]
    fn what_others_put_below_it_stays_where_it_means_the_same() {
        let added = with_include(b"[core]\n\tbare = false\n", PATH).unwrap();
        let more = [&added[..], b"\tpath = theirs\n"].concat();
        let expected = b"[core]\n\tbare = false\n[include]\n\tpath = theirs\n".to_vec();
        assert_eq!(
            without_include(&more, PATH, true),
            Removal::Without(expected)
        );
        let more = [&added[..], b"# theirs\n[x]\n\ty = z\n"].concat();
        let expected = b"[core]\n\tbare = false\n# theirs\n[x]\n\ty = z\n".to_vec();
        assert_eq!(
            without_include(&more, PATH, true),
            Removal::Without(expected)
        );
    }

    #[test]
    fn what_is_not_ours_is_not_touched() {
        assert_eq!(
            without_include(b"[a]\n\tb = c\n", PATH, false),
            Removal::Absent
        );
        let other = format!("[include]\n  path={}\n", quoted(PATH));
        let found = without_include(other.as_bytes(), PATH, false);
        assert_eq!(found, Removal::NotUnderstood);
        assert_eq!(
            without_include(b"[a\n", PATH, false),
            Removal::NotUnderstood
        );
        assert_eq!(with_include(b"[a\n", PATH), None);
        assert_eq!(with_include(b"[a]\n\tb = c\\", PATH), None);
    }
}
