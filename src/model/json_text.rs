//! JSON as text with places: where each part of a document stands, so that a settings file of somebody else can be edited
//! without being written anew.

use std::collections::BTreeSet;
use std::ops::Range;

use serde_json::Value;

/// Whether a document may hold comments.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Comments {
    /// It is JSON and nothing else.
    Refused,
    /// Comments of the forms `//` and `/* */` may stand between the parts.
    Allowed,
}

/// The byte order mark that some editors put first.
const MARK: &str = "\u{feff}";

/// A document that was understood, and where its parts stand.
#[derive(Debug)]
pub struct Document<'a> {
    /// The text as it is.
    pub text: &'a str,
    /// What it means; nothing for an empty document.
    pub value: Option<Value>,
    /// Its outermost part; nothing for an empty document.
    pub root: Option<Node>,
    /// The same text, with spaces in place of comments and of the byte order mark.
    plain: String,
    comments: Vec<Range<usize>>,
}

/// A part of a document.
#[derive(Debug)]
pub struct Node {
    /// Where it begins.
    pub start: usize,
    /// Where it ends: the byte after its last one.
    pub end: usize,
    /// What it is.
    pub kind: Kind,
}

/// What a part is.
#[derive(Debug)]
pub enum Kind {
    /// An object with its members.
    Object(Vec<Member>),
    /// A list with its elements.
    List(Vec<Node>),
    /// A string, number, truth value or null.
    Scalar,
}

/// A member of an object.
#[derive(Debug)]
pub struct Member {
    /// Its name.
    pub name: String,
    /// Where the name begins, with its quotes.
    pub start: usize,
    /// Its value.
    pub value: Node,
}

impl Node {
    /// Where each member or element begins and ends.
    #[must_use]
    pub fn children(&self) -> Vec<Range<usize>> {
        match &self.kind {
            Kind::Object(members) => members
                .iter()
                .map(|member| member.start..member.value.end)
                .collect(),
            Kind::List(elements) => elements.iter().map(|one| one.start..one.end).collect(),
            Kind::Scalar => Vec::new(),
        }
    }

    /// The value of a member, if this is an object that has it.
    #[must_use]
    pub fn member(&self, name: &str) -> Option<&Node> {
        match &self.kind {
            Kind::Object(members) => members
                .iter()
                .find(|member| member.name == name)
                .map(|member| &member.value),
            Kind::List(_) | Kind::Scalar => None,
        }
    }

    /// The part at the end of a path of names; numbers count elements.
    #[must_use]
    pub fn at(&self, path: &[&str]) -> Option<&Node> {
        path.iter().try_fold(self, |node, step| match &node.kind {
            Kind::List(elements) => elements.get(step.parse::<usize>().ok()?),
            Kind::Object(_) | Kind::Scalar => node.member(step),
        })
    }
}

impl<'a> Document<'a> {
    /// Understands a text.
    ///
    /// # Errors
    /// Says in one sentence why it cannot be edited: it is not JSON, or an object has two members of one name.
    pub fn parse(text: &'a str, comments: Comments) -> Result<Self, String> {
        let (plain, found) = without_comments(text);
        if comments == Comments::Refused && !found.is_empty() {
            return Err("it holds comments, which JSON does not have".to_owned());
        }
        if plain.trim().is_empty() {
            return Ok(Self {
                text,
                value: None,
                root: None,
                plain,
                comments: found,
            });
        }
        let value: Value = serde_json::from_str(&plain)
            .map_err(|error| format!("it is not JSON that can be edited: {error}"))?;
        let mut scanner = Scanner {
            text: plain.as_bytes(),
            at: 0,
        };
        let root = scanner.node()?;
        Ok(Self {
            text,
            value: Some(value),
            root: Some(root),
            plain,
            comments: found,
        })
    }

    /// Where the content begins: after a byte order mark, if there is one.
    #[must_use]
    pub fn beginning(&self) -> usize {
        if self.text.starts_with(MARK) {
            MARK.len()
        } else {
            0
        }
    }

    /// The text of a range as it is.
    #[must_use]
    pub fn slice(&self, range: Range<usize>) -> &'a str {
        self.text.get(range).unwrap_or_default()
    }

    /// Where the next comma after `from` and before `to` stands; commas in comments do not count.
    #[must_use]
    pub fn comma(&self, from: usize, to: usize) -> Option<usize> {
        Some(from + self.plain.get(from..to)?.find(',')?)
    }

    /// The end of the comments that follow a place on its line, or the place itself.
    #[must_use]
    pub fn after_comments(&self, place: usize, limit: usize) -> usize {
        let mut end = place;
        for comment in self.comments.iter().filter(|one| one.start < limit) {
            if comment.start >= end && self.is_blank(end..comment.start) {
                end = comment.end;
            }
        }
        end
    }

    /// Whether a comment stands in a range.
    #[must_use]
    pub fn has_comment(&self, range: &Range<usize>) -> bool {
        self.comments
            .iter()
            .any(|comment| comment.start < range.end && range.start < comment.end)
    }

    /// Whether there are only spaces and tabs in a range.
    fn is_blank(&self, range: Range<usize>) -> bool {
        self.slice(range)
            .chars()
            .all(|character| character == ' ' || character == '\t')
    }

    /// What stands between the beginning of its line and a place, if that is nothing but spaces and tabs.
    #[must_use]
    pub fn indentation(&self, place: usize) -> Option<&'a str> {
        let before = self.slice(0..place);
        let start = before.rfind('\n').map_or(self.beginning(), |end| end + 1);
        self.is_blank(start..place)
            .then(|| self.slice(start..place))
    }

    /// The spaces and tabs at the beginning of the line on which a place stands.
    #[must_use]
    pub fn line_indentation(&self, place: usize) -> &'a str {
        let before = self.slice(0..place);
        let start = before.rfind('\n').map_or(self.beginning(), |end| end + 1);
        let line = self.slice(start..place);
        let content = line.trim_start_matches([' ', '\t']);
        line.get(..line.len() - content.len()).unwrap_or_default()
    }

    /// The text with spaces in place of comments.
    #[must_use]
    pub fn plain(&self) -> &str {
        &self.plain
    }
}

/// The text with each comment replaced by as many spaces, and where comments stood. Line feeds stay.
fn without_comments(text: &str) -> (String, Vec<Range<usize>>) {
    let mut plain: Vec<u8> = text.as_bytes().to_vec();
    let mut comments = Vec::new();
    if text.starts_with(MARK) {
        blank(&mut plain, 0..MARK.len());
    }
    let bytes = text.as_bytes();
    let (mut at, mut in_string) = (0, false);
    while let Some(byte) = bytes.get(at) {
        match (in_string, byte, bytes.get(at + 1)) {
            (true, b'\\', _) => at += 1,
            (_, b'"', _) => in_string = !in_string,
            (false, b'/', Some(b'/')) => {
                let rest = text.get(at..).unwrap_or_default();
                let end = at + rest.find(['\n', '\r']).unwrap_or(rest.len());
                blank(&mut plain, at..end);
                comments.push(at..end);
                at = end;
                continue;
            }
            (false, b'/', Some(b'*')) => {
                let rest = text.get(at + 2..).unwrap_or_default();
                let Some(length) = rest.find("*/") else {
                    // What follows is not JSON, and will be found not to be.
                    break;
                };
                let end = at + 2 + length + 2;
                blank(&mut plain, at..end);
                comments.push(at..end);
                at = end;
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    // Whole comments were replaced, so that what is left is whole characters.
    (String::from_utf8(plain).unwrap_or_default(), comments)
}

fn blank(plain: &mut [u8], range: Range<usize>) {
    for byte in plain.get_mut(range).into_iter().flatten() {
        if *byte != b'\n' && *byte != b'\r' {
            *byte = b' ';
        }
    }
}

/// Finds the places in a text that is known to be JSON. Its depth is bounded by the parser that found it to be so.
struct Scanner<'a> {
    text: &'a [u8],
    at: usize,
}

impl Scanner<'_> {
    fn peek(&mut self) -> Option<u8> {
        while self.text.get(self.at).is_some_and(u8::is_ascii_whitespace) {
            self.at += 1;
        }
        self.text.get(self.at).copied()
    }

    fn node(&mut self) -> Result<Node, String> {
        let first = self.peek();
        let start = self.at;
        let kind = match first {
            Some(b'{') => self.object()?,
            Some(b'[') => self.list()?,
            Some(b'"') => {
                self.skip_string();
                Kind::Scalar
            }
            _ => {
                let ends = |byte: &u8| byte.is_ascii_whitespace() || b",]}".contains(byte);
                while self.text.get(self.at).is_some_and(|byte| !ends(byte)) {
                    self.at += 1;
                }
                Kind::Scalar
            }
        };
        let end = self.at;
        Ok(Node { start, end, kind })
    }

    fn skip_string(&mut self) {
        self.at += 1;
        while let Some(byte) = self.text.get(self.at) {
            self.at += 1;
            match byte {
                b'\\' => self.at += 1,
                b'"' => return,
                _ => {}
            }
        }
    }

    fn object(&mut self) -> Result<Kind, String> {
        let mut members: Vec<Member> = Vec::new();
        let mut names = BTreeSet::new();
        self.at += 1;
        loop {
            match self.peek() {
                Some(b'"') => {
                    let start = self.at;
                    self.skip_string();
                    let literal = self.text.get(start..self.at).unwrap_or_default();
                    let name: String = serde_json::from_slice(literal)
                        .map_err(|error| format!("a name cannot be understood: {error}"))?;
                    if !names.insert(name.clone()) {
                        return Err("an object in it has two members of one name".to_owned());
                    }
                    self.peek();
                    self.at += 1;
                    let value = self.node()?;
                    members.push(Member { name, start, value });
                }
                Some(b',') => self.at += 1,
                Some(_) => {
                    self.at += 1;
                    return Ok(Kind::Object(members));
                }
                None => return Err("it ends too early".to_owned()),
            }
        }
    }

    fn list(&mut self) -> Result<Kind, String> {
        let mut elements = Vec::new();
        self.at += 1;
        loop {
            match self.peek() {
                Some(b']') => {
                    self.at += 1;
                    return Ok(Kind::List(elements));
                }
                Some(b',') => self.at += 1,
                Some(_) => elements.push(self.node()?),
                None => return Err("it ends too early".to_owned()),
            }
        }
    }
}
