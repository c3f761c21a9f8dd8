//! Inserts into JSON text and takes out again: nothing else in the text is touched, reordered or written anew.
//!
//! What is inserted is described by splices, which are undone in reverse order and give the text back byte for byte. Where the
//! text was changed by somebody else in between, a part is found by its place in the document and taken out with its comma.

use std::ops::Range;

use serde_json::Value;

use crate::model::json_text::{Comments, Document, Kind, Node};

/// What can be inserted; members stay in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Json {
    /// A string.
    Text(String),
    /// A whole number.
    Number(u64),
    /// A truth value.
    Truth(bool),
    /// A list.
    List(Vec<Json>),
    /// An object.
    Object(Vec<(String, Json)>),
}

impl Json {
    /// A string.
    #[must_use]
    pub fn text(text: &str) -> Self {
        Self::Text(text.to_owned())
    }

    /// An object of these members.
    #[must_use]
    pub fn object<const N: usize>(members: [(&str, Json); N]) -> Self {
        let members = members.into_iter();
        Self::Object(
            members
                .map(|(name, value)| (name.to_owned(), value))
                .collect(),
        )
    }

    /// What it means.
    #[must_use]
    pub fn to_value(&self) -> Value {
        match self {
            Self::Text(text) => Value::from(text.as_str()),
            Self::Number(number) => Value::from(*number),
            Self::Truth(truth) => Value::from(*truth),
            Self::List(elements) => elements.iter().map(Self::to_value).collect(),
            Self::Object(members) => members
                .iter()
                .map(|(name, value)| (name.clone(), value.to_value()))
                .collect(),
        }
    }
}

/// Text that is put into a document at a place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splice {
    /// The place, in the text as it is when the splices before this one were made.
    pub offset: usize,
    /// What is put there.
    pub text: String,
}

/// What was inserted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Insertion {
    /// The splices, in order.
    pub splices: Vec<Splice>,
    /// The objects and lists that were made on the way, by their paths, the outermost first.
    pub made: Vec<Vec<String>>,
}

/// Makes the splices in order; nothing if one has no place in the text.
#[must_use]
pub fn apply(text: &str, splices: &[Splice]) -> Option<String> {
    let mut text = text.to_owned();
    for splice in splices {
        if !text.is_char_boundary(splice.offset) {
            return None;
        }
        text.insert_str(splice.offset, &splice.text);
    }
    Some(text)
}

/// Takes the splices out again, the last first; nothing if the text is not the one that they were made in.
#[must_use]
pub fn undo(text: &str, splices: &[Splice]) -> Option<String> {
    let mut text = text.to_owned();
    for splice in splices.iter().rev() {
        let end = splice.offset.checked_add(splice.text.len())?;
        if text.get(splice.offset..end)? != splice.text {
            return None;
        }
        text.replace_range(splice.offset..end, "");
    }
    Some(text)
}

/// How a document is written.
struct Style {
    newline: &'static str,
    unit: String,
    /// What stands after a colon, and after the comma of what is on one line.
    gap: &'static str,
    is_on_lines: bool,
}

impl Style {
    fn of(document: &Document<'_>) -> Self {
        let newline = if document.text.contains("\r\n") {
            "\r\n"
        } else {
            "\n"
        };
        let members = document.root.as_ref().and_then(|root| match &root.kind {
            Kind::Object(members) => members.first(),
            Kind::List(_) | Kind::Scalar => None,
        });
        let unit = members
            .and_then(|first| document.indentation(first.start))
            .filter(|unit| !unit.is_empty());
        let is_tight = members.is_some_and(|first| {
            let between = first.start..first.value.start;
            document.slice(between).ends_with(':')
        });
        Self {
            newline,
            unit: unit.unwrap_or("  ").to_owned(),
            gap: if is_tight { "" } else { " " },
            is_on_lines: members.is_none() || document.text.trim().contains('\n'),
        }
    }

    /// A value as text; `indent` is given when it may take several lines, and stands before its last one.
    fn render(&self, value: &Json, indent: Option<&str>) -> String {
        match value {
            Json::Text(text) => Value::from(text.as_str()).to_string(),
            Json::Number(number) => number.to_string(),
            Json::Truth(truth) => truth.to_string(),
            Json::List(elements) => {
                let inner = indent.map(|indent| format!("{indent}{}", self.unit));
                let elements = elements
                    .iter()
                    .map(|element| self.render(element, inner.as_deref()));
                self.enclose(('[', ']'), &elements.collect::<Vec<_>>(), indent)
            }
            Json::Object(members) => {
                let inner = indent.map(|indent| format!("{indent}{}", self.unit));
                let members = members
                    .iter()
                    .map(|(name, value)| self.member(name, value, inner.as_deref()));
                self.enclose(('{', '}'), &members.collect::<Vec<_>>(), indent)
            }
        }
    }

    fn member(&self, name: &str, value: &Json, indent: Option<&str>) -> String {
        let name = Value::from(name).to_string();
        format!("{name}:{}{}", self.gap, self.render(value, indent))
    }

    fn enclose(
        &self,
        (open, close): (char, char),
        parts: &[String],
        indent: Option<&str>,
    ) -> String {
        match indent {
            Some(indent) if !parts.is_empty() => {
                let line = format!("{}{indent}", self.newline);
                let inner = format!("{line}{}", self.unit);
                let parts = parts.join(&format!(",{inner}"));
                format!("{open}{inner}{parts}{line}{close}")
            }
            _ => {
                let parts = parts.join(&format!(",{}", self.gap));
                format!("{open}{parts}{close}")
            }
        }
    }
}

/// What is put at the end of a path.
enum New<'a> {
    /// One more element of the list there.
    Element(&'a Json),
    /// The member itself, which is not there yet.
    Member(&'a Json),
}

/// Appends an element to the list at `path`; what is missing on the way is made.
///
/// # Errors
/// Says why the text cannot be edited: it is not understood, or something else than an object or a list is on the way.
pub fn append(
    text: &str,
    comments: Comments,
    path: &[&str],
    element: &Json,
) -> Result<Insertion, String> {
    insert(text, comments, path, &New::Element(element))
}

/// Adds a member at `path`, which must not be there; what is missing on the way is made.
///
/// # Errors
/// Says why the text cannot be edited, or that the member is there.
pub fn add(
    text: &str,
    comments: Comments,
    path: &[&str],
    value: &Json,
) -> Result<Insertion, String> {
    insert(text, comments, path, &New::Member(value))
}

fn insert(
    text: &str,
    comments: Comments,
    path: &[&str],
    new: &New<'_>,
) -> Result<Insertion, String> {
    let document = Document::parse(text, comments)?;
    let style = Style::of(&document);
    let Some(root) = &document.root else {
        return Ok(into_nothing(&document, &style, path, new));
    };
    let mut node = root;
    for (depth, name) in path.iter().enumerate() {
        if !matches!(node.kind, Kind::Object(_)) {
            let place = path.get(..depth).unwrap_or_default().join(".");
            return Err(format!("'{place}' in it is not an object"));
        }
        let Some(found) = node.member(name) else {
            let (value, made) = missing(path, depth, new);
            let render = |indent: Option<&str>| style.member(name, &value, indent);
            let splices = into(&document, &style, node, &render);
            return Ok(Insertion { splices, made });
        };
        node = found;
    }
    let shown = path.join(".");
    match (new, &node.kind) {
        (New::Element(element), Kind::List(_)) => {
            let render = |indent: Option<&str>| style.render(element, indent);
            Ok(Insertion {
                splices: into(&document, &style, node, &render),
                made: Vec::new(),
            })
        }
        (New::Element(_), _) => Err(format!("'{shown}' in it is not a list")),
        (New::Member(_), _) => Err(format!("'{shown}' is in it already")),
    }
}

/// The value of the first member of a path that is missing, and the paths of all that are made with it.
fn missing(path: &[&str], depth: usize, new: &New<'_>) -> (Json, Vec<Vec<String>>) {
    let mut value = match new {
        New::Element(element) => Json::List(vec![(*element).clone()]),
        New::Member(value) => (*value).clone(),
    };
    for name in path.get(depth + 1..).unwrap_or_default().iter().rev() {
        value = Json::Object(vec![((*name).to_owned(), value)]);
    }
    let paths = (depth + 1..=path.len()).filter_map(|length| path.get(..length));
    let made = paths.map(|path| path.iter().map(|name| (*name).to_owned()).collect());
    (value, made.collect())
}

/// A whole document where there was none.
fn into_nothing(document: &Document<'_>, style: &Style, path: &[&str], new: &New<'_>) -> Insertion {
    let (value, made) = missing(path, 0, new);
    let name = path.first().copied().unwrap_or_default();
    let object = Json::Object(vec![(name.to_owned(), value)]);
    let mut text = style.render(&object, Some(""));
    let offset = document.beginning();
    if document.text.len() == offset {
        text.push_str(style.newline);
    }
    let splices = vec![Splice { offset, text }];
    Insertion { splices, made }
}

/// The splices that put one more part into an object or a list, after those that are there.
fn into(
    document: &Document<'_>,
    style: &Style,
    node: &Node,
    render: &dyn Fn(Option<&str>) -> String,
) -> Vec<Splice> {
    let children = node.children();
    let own = document.line_indentation(node.start);
    let (Some(first), Some(last)) = (children.first(), children.last()) else {
        let offset = node.start + 1;
        let text = if style.is_on_lines {
            let indent = format!("{own}{}", style.unit);
            let inner = document.slice(offset..node.end.saturating_sub(1));
            let closing = if inner.contains('\n') {
                String::new()
            } else {
                format!("{}{own}", style.newline)
            };
            let part = render(Some(&indent));
            format!("{}{indent}{part}{closing}", style.newline)
        } else {
            render(None)
        };
        return vec![Splice { offset, text }];
    };
    if !document.slice(node.start..first.start).contains('\n') {
        let text = format!(",{}{}", style.gap, render(None));
        return vec![Splice {
            offset: last.end,
            text,
        }];
    }
    let indent = document
        .indentation(last.start)
        .or_else(|| document.indentation(first.start))
        .map_or_else(|| format!("{own}{}", style.unit), str::to_owned);
    let part = format!("{}{indent}{}", style.newline, render(Some(&indent)));
    // A comment stays beside what it is about.
    let after = document.after_comments(last.end, node.end.saturating_sub(1));
    if after == last.end {
        return vec![Splice {
            offset: last.end,
            text: format!(",{part}"),
        }];
    }
    let comma = Splice {
        offset: last.end,
        text: ",".to_owned(),
    };
    vec![
        comma,
        Splice {
            offset: after + 1,
            text: part,
        },
    ]
}

/// Takes the member or element at the end of a path out, with the comma that belongs to it.
///
/// # Errors
/// Says why the text cannot be edited, or that there is no such part.
pub fn remove(text: &str, comments: Comments, path: &[&str]) -> Result<String, String> {
    let document = Document::parse(text, comments)?;
    let nowhere = || format!("'{}' is not in it", path.join("."));
    let (name, parents) = path.split_last().ok_or_else(nowhere)?;
    let node = document.root.as_ref().and_then(|root| root.at(parents));
    let node = node.ok_or_else(nowhere)?;
    let index = match &node.kind {
        Kind::Object(members) => members.iter().position(|member| member.name == *name),
        Kind::List(elements) => name.parse().ok().filter(|index| *index < elements.len()),
        Kind::Scalar => None,
    };
    let index = index.ok_or_else(nowhere)?;
    let mut text = text.to_owned();
    for range in removed(&document, node, index).into_iter().rev() {
        text.replace_range(range, "");
    }
    Ok(text)
}

/// What is cut out of the text with a part, in order.
fn removed(document: &Document<'_>, node: &Node, index: usize) -> Vec<Range<usize>> {
    let children = node.children();
    let Some(own) = children.get(index) else {
        return Vec::new();
    };
    let blank_before = |from: usize| {
        let before = document.slice(from..own.start);
        own.start - (before.len() - before.trim_end().len())
    };
    let before = index.checked_sub(1).and_then(|index| children.get(index));
    let mut ranges = Vec::new();
    if let Some(next) = children.get(index + 1) {
        let comma = document.comma(own.end, next.start).unwrap_or(own.end);
        let rest = document.slice(comma + 1..next.start);
        let end = comma + 1 + (rest.len() - rest.trim_start().len());
        if document.has_comment(&(own.end..comma)) {
            ranges.extend([own.clone(), comma..end]);
        } else {
            ranges.push(own.start..end);
        }
    } else if let Some(before) = before {
        let comma = document.comma(before.end, own.start).unwrap_or(before.end);
        ranges.extend([comma..comma + 1, blank_before(comma + 1)..own.end]);
    } else {
        let inner = node.start + 1..node.end.saturating_sub(1);
        let is_commented = document.has_comment(&(inner.start..own.start))
            || document.has_comment(&(own.end..inner.end));
        ranges.push(if is_commented {
            blank_before(inner.start)..own.end
        } else {
            inner
        });
    }
    ranges
}

/// Puts another text in place of the string at the end of a path.
///
/// # Errors
/// Says why the text cannot be edited, or that there is no such part.
pub fn replace_text(
    text: &str,
    comments: Comments,
    path: &[&str],
    new: &str,
) -> Result<String, String> {
    let document = Document::parse(text, comments)?;
    let node = document.root.as_ref().and_then(|root| root.at(path));
    let node = node.ok_or_else(|| format!("'{}' is not in it", path.join(".")))?;
    let mut text = text.to_owned();
    text.replace_range(node.start..node.end, &Value::from(new).to_string());
    Ok(text)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn entry() -> Json {
        Json::object([
            ("matcher", Json::text("A|B")),
            (
                "hooks",
                Json::List(vec![Json::object([("timeout", Json::Number(60))])]),
            ),
        ])
    }

    const PATH: [&str; 2] = ["hooks", "Before"];

    #[track_caller]
    fn appended(text: &str, comments: Comments) -> (String, Insertion) {
        let insertion = append(text, comments, &PATH, &entry()).unwrap();
        let new = apply(text, &insertion.splices).unwrap();
        assert_eq!(undo(&new, &insertion.splices).as_deref(), Some(text));
        (new, insertion)
    }

    #[test]
    fn what_is_inserted_is_written_as_the_rest_is() {
        let inner = "{\n    \"a\": 1,\n    \"hooks\": {\n        \"Before\": [\n            {\n                \"matcher\": \"A|B\",\n                \"hooks\": [\n                    {\n                        \"timeout\": 60\n                    }\n                ]\n            }\n        ]\n    }\n}";
        for (text, expected) in [
            ("{\n    \"a\": 1\n}", inner.to_owned()),
            (
                "{\r\n    \"a\": 1\r\n}\r\n",
                inner.replace('\n', "\r\n") + "\r\n",
            ),
            ("{\n\t\"a\": 1\n}\n", inner.replace("    ", "\t") + "\n"),
            (
                "{\"a\":1}",
                r#"{"a":1,"hooks":{"Before":[{"matcher":"A|B","hooks":[{"timeout":60}]}]}}"#
                    .to_owned(),
            ),
            (
                "{\"hooks\": {\"Before\": [7]}}",
                r#"{"hooks": {"Before": [7, {"matcher": "A|B", "hooks": [{"timeout": 60}]}]}}"#
                    .to_owned(),
            ),
        ] {
            let (new, _) = appended(text, Comments::Refused);
            assert_eq!(new, expected);
        }
    }

    #[test]
    fn an_empty_document_becomes_a_whole_one() {
        for text in ["", "\u{feff}", " \n", "{}", "{ }\n", "{\n}", "\u{feff}{}"] {
            let (new, insertion) = appended(text, Comments::Refused);
            let document = Document::parse(&new, Comments::Refused).unwrap();
            assert_eq!(
                document.value.unwrap()["hooks"]["Before"][0],
                entry().to_value()
            );
            assert_eq!(insertion.made, [vec!["hooks"], vec!["hooks", "Before"]]);
        }
    }

    #[test]
    fn comments_stay_beside_what_they_are_about() {
        let text = "{\n  // first\n  \"hooks\": { // here\n    \"Before\": [\n      1, /* one */\n      2 // two, \"last\"\n      // end\n    ]\n  }\n}\n";
        let (new, _) = appended(text, Comments::Allowed);
        assert!(
            new.contains("      2, // two, \"last\"\n      {\n"),
            "{new}"
        );
        let back = remove(&new, Comments::Allowed, &["hooks", "Before", "2"]).unwrap();
        assert_eq!(back, text);
        let first = remove(text, Comments::Allowed, &["hooks", "Before", "0"]).unwrap();
        assert!(first.contains("[\n      /* one */\n      2 //"), "{first}");
        assert!(append(text, Comments::Refused, &PATH, &entry()).is_err());
    }

    #[test]
    fn what_is_not_understood_is_refused() {
        for text in [
            "{",
            "[]",
            "7",
            "{\"a\":1,}",
            "{\"a\":1,\"a\":2}",
            "{\"x\":{\"a\":1,\"\\u0061\":2}}",
            "{\"hooks\":[]}",
            "{\"hooks\":{\"Before\":{}}}",
            "{\"hooks\":null}",
            "{} {}",
            "/* open",
            &format!("{}1{}", "[".repeat(500), "]".repeat(500)),
        ] {
            assert!(
                append(text, Comments::Allowed, &PATH, &entry()).is_err(),
                "{text}"
            );
        }
        assert!(add("{\"a\":1}", Comments::Refused, &["a"], &Json::Number(2)).is_err());
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let scalar = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        scalar.prop_recursive(4, 40, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map("[a-c\"\\\\/ ü]{0,3}", inner, 0..5)
                    .prop_map(|map| map.into_iter().collect()),
            ]
        })
    }

    /// A document of settings: anything, perhaps with a list where ours goes.
    fn any_settings() -> impl Strategy<Value = Value> {
        let others = prop::collection::btree_map("[a-g]{1,3}", any_value(), 0..4);
        let list = prop::option::of(prop::collection::vec(any_value(), 0..4));
        (others, prop::option::of(list)).prop_map(|(others, hooks)| {
            let mut settings: Value = others.into_iter().collect();
            if let Some(list) = hooks {
                settings["hooks"] = serde_json::json!({ "Other": 1 });
                if let Some(list) = list {
                    settings["hooks"]["Before"] = Value::from(list);
                }
            }
            settings
        })
    }

    proptest! {
        #[test]
        fn what_is_inserted_comes_out_again_and_the_rest_means_the_same(
            settings in any_settings(),
            form in 0..4_u8,
        ) {
            let pretty = serde_json::to_string_pretty(&settings).unwrap();
            let text = match form {
                0 => settings.to_string(),
                1 => pretty,
                2 => pretty.replace('\n', "\r\n"),
                _ => format!("\u{feff}{pretty}\n"),
            };
            let insertion = append(&text, Comments::Allowed, &PATH, &entry()).unwrap();
            let new = apply(&text, &insertion.splices).unwrap();
            let undone = undo(&new, &insertion.splices);
            prop_assert_eq!(undone.as_deref(), Some(&*text));
            let mut expected = settings;
            let list = &mut expected["hooks"]["Before"];
            match list.as_array_mut() {
                Some(list) => list.push(entry().to_value()),
                None => *list = Value::from(vec![entry().to_value()]),
            }
            let last = list.as_array().map_or(0, Vec::len) - 1;
            let found = Document::parse(&new, Comments::Allowed).unwrap().value;
            prop_assert_eq!(found.as_ref(), Some(&expected));
            let path = ["hooks", "Before", &last.to_string()];
            let mut back = remove(&new, Comments::Allowed, &path).unwrap();
            for path in insertion.made.iter().rev() {
                let path: Vec<&str> = path.iter().map(String::as_str).collect();
                back = remove(&back, Comments::Allowed, &path).unwrap();
            }
            prop_assert_eq!(back, text);
        }

        #[test]
        fn no_text_makes_it_stumble(text in "[\\[\\]{}:,\"\\\\/* \n0-9a-cü\u{feff}]{0,40}") {
            if let Ok(insertion) = append(&text, Comments::Allowed, &PATH, &entry()) {
                let new = apply(&text, &insertion.splices).unwrap();
                let undone = undo(&new, &insertion.splices);
                prop_assert_eq!(undone, Some(text));
            }
        }
    }
}
