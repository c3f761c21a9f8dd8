//! Entries of ours in the settings of a tool: found, made, brought up to date, taken out. Everything else in the file stays.

use serde_json::Value;

use crate::host::settings_file::SettingsFile;
use crate::model::json_edit::{
    Insertion, Json, Splice, add, append, apply, remove, replace_text, undo,
};
use crate::model::json_text::{Comments, Document, Kind};
use crate::ops::agents::ledger::Ledger;
use crate::ops::agents::tools::{Entry, Tool};

/// What there is of one entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Presence {
    /// Nothing.
    Missing,
    /// It is there as it was written, at these places of its list, the last one naming this program.
    Ours {
        /// Where in the list.
        indices: Vec<usize>,
        /// The program that it names.
        program: String,
    },
    /// Something names our command, but is not what was written.
    Changed,
}

/// What there is in a settings file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Survey {
    /// One for each entry that is due.
    pub entries: Vec<Presence>,
    /// What the text means; nothing if there is none.
    pub settings: Value,
}

/// Looks what there is of our entries in a text.
///
/// # Errors
/// Says why the text is not understood.
pub fn survey(tool: Tool, comments: Comments, text: &str) -> Result<Survey, String> {
    let document = Document::parse(text, comments)?;
    let value = document.value.unwrap_or(Value::Null);
    if !(value.is_object() || value.is_null()) {
        return Err("it is not an object".to_owned());
    }
    let due = tool.entries("");
    let entries = due.iter().map(|entry| presence(tool, &value, entry));
    Ok(Survey {
        entries: entries.collect(),
        settings: value,
    })
}

fn presence(tool: Tool, settings: &Value, entry: &Entry) -> Presence {
    let list = settings
        .pointer(&pointer(entry.path))
        .and_then(Value::as_array);
    let (mut indices, mut last, mut is_changed) = (Vec::new(), None, false);
    for (index, element) in list.into_iter().flatten().enumerate() {
        let command = element
            .pointer(&pointer(entry.command))
            .and_then(Value::as_str);
        let program = command.and_then(|command| tool.program_in(command));
        let is_ours = |program: &String| {
            let due = tool.entries(&tool.command(program));
            let due = due.iter().find(|due| due.path == entry.path);
            due.is_some_and(|due| due.element.to_value() == *element)
        };
        match program.filter(is_ours) {
            Some(program) => {
                indices.push(index);
                last = Some(program);
            }
            None => is_changed |= mentions(element, &format!("agents hook {}", tool.word())),
        }
    }
    match last {
        Some(program) => Presence::Ours { indices, program },
        None if is_changed => Presence::Changed,
        None => Presence::Missing,
    }
}

/// Whether a string in a value holds a text.
fn mentions(value: &Value, wanted: &str) -> bool {
    match value {
        Value::String(text) => text.contains(wanted),
        Value::Array(elements) => elements.iter().any(|element| mentions(element, wanted)),
        Value::Object(members) => members.values().any(|member| mentions(member, wanted)),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    }
}

fn pointer(path: &[&str]) -> String {
    path.iter().map(|step| format!("/{step}")).collect()
}

/// A text with all entries in it, and how it came about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Written {
    /// The text.
    pub text: String,
    /// What was put into it; nothing when it cannot be undone that way.
    pub splices: Vec<Splice>,
    /// Objects and lists that were made.
    pub made: Vec<Vec<String>>,
}

/// Puts the entries that are missing into a text, and the program into those that name another.
///
/// # Errors
/// Says why it cannot be done.
pub fn with_entries(
    tool: Tool,
    comments: Comments,
    text: &str,
    program: &str,
    ledger: Option<&Ledger>,
) -> Result<Written, String> {
    // What was written by us and by nobody else since is written anew from what was there before.
    let written = ledger.filter(|ledger| ledger.wrote(text) && !ledger.splices.is_empty());
    let before = written.and_then(|ledger| undo(text, &ledger.splices()));
    let text = before.as_deref().unwrap_or(text);
    let found = survey(tool, comments, text)?;
    let is_fresh = found.entries.iter().all(|one| *one == Presence::Missing);
    let mut result = Written {
        text: text.to_owned(),
        splices: Vec::new(),
        made: Vec::new(),
    };
    if let Some(version) = tool.version() {
        result.version(comments, version)?;
    }
    for (entry, presence) in tool
        .entries(&tool.command(program))
        .iter()
        .zip(&found.entries)
    {
        match presence {
            Presence::Missing => {
                let insertion = append(&result.text, comments, entry.path, &entry.element)?;
                result.take(insertion)?;
            }
            Presence::Ours { indices, .. } => {
                for index in indices {
                    let index = index.to_string();
                    let path = [entry.path, &[index.as_str()], entry.command].concat();
                    result.text =
                        replace_text(&result.text, comments, &path, &tool.command(program))?;
                }
            }
            Presence::Changed => {}
        }
    }
    if !is_fresh {
        result.splices.clear();
        let known = ledger.map(|ledger| ledger.made.clone()).unwrap_or_default();
        let new = std::mem::take(&mut result.made);
        result.made = known;
        for path in new {
            if !result.made.contains(&path) {
                result.made.push(path);
            }
        }
    }
    check(tool, comments, text, &result.text, program)?;
    Ok(result)
}

impl Written {
    fn take(&mut self, insertion: Insertion) -> Result<(), String> {
        self.text = apply(&self.text, &insertion.splices)
            .ok_or_else(|| "what is added has no place in it".to_owned())?;
        self.splices.extend(insertion.splices);
        self.made.extend(insertion.made);
        Ok(())
    }

    fn version(&mut self, comments: Comments, version: u64) -> Result<(), String> {
        let document = Document::parse(&self.text, comments)?;
        match document
            .value
            .as_ref()
            .and_then(|value| value.get("version"))
        {
            Some(found) if *found == version => Ok(()),
            Some(found) => Err(format!(
                "its version is {found}, and only {version} is known"
            )),
            None => {
                let insertion = add(&self.text, comments, &["version"], &Json::Number(version))?;
                self.take(insertion)
            }
        }
    }
}

/// Whether a text means what it meant before, and our entries beside: looked at by another way than they were put there.
fn check(
    tool: Tool,
    comments: Comments,
    before: &str,
    after: &str,
    program: &str,
) -> Result<(), String> {
    let found = survey(tool, comments, after)?;
    let is_due = |one: &Presence| match one {
        Presence::Missing => false,
        Presence::Ours { program: found, .. } => found == program,
        Presence::Changed => true,
    };
    let unlike = || "what would be written is not what was meant".to_owned();
    if !found.entries.iter().all(is_due) {
        return Err(unlike());
    }
    let value = |text| {
        Document::parse(text, comments).map(|document| document.value.unwrap_or(Value::Null))
    };
    let (mut before, mut after) = (value(before)?, value(after)?);
    for settings in [&mut before, &mut after] {
        strip(tool, settings);
    }
    if before == after {
        Ok(())
    } else {
        Err(unlike())
    }
}

/// Takes our entries out of a value, with what is empty without them.
fn strip(tool: Tool, settings: &mut Value) {
    for entry in tool.entries("") {
        if let Presence::Ours { indices, .. } = presence(tool, settings, &entry) {
            let list = settings
                .pointer_mut(&pointer(entry.path))
                .and_then(Value::as_array_mut);
            let mut list = list;
            for index in indices.into_iter().rev() {
                if let Some(list) = list.as_mut() {
                    list.remove(index);
                }
            }
        }
        for length in (1..=entry.path.len()).rev() {
            let path = entry.path.get(..length).unwrap_or_default();
            let Some((name, above)) = path.split_last() else {
                continue;
            };
            let above = settings
                .pointer_mut(&pointer(above))
                .and_then(Value::as_object_mut);
            let Some(above) = above else { continue };
            if above.get(*name).is_some_and(is_empty) {
                above.remove(*name);
            }
        }
    }
    if let (Some(version), Some(members)) = (tool.version(), settings.as_object_mut())
        && members
            .get("version")
            .is_some_and(|found| *found == version)
    {
        members.remove("version");
    }
    if is_empty(settings) {
        *settings = Value::Null;
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_array().is_some_and(Vec::is_empty)
        || value.as_object().is_some_and(serde_json::Map::is_empty)
}

/// A text without our entries; nothing if there is nothing left that was not ours.
///
/// # Errors
/// Says why it cannot be done.
pub fn without_entries(
    tool: Tool,
    comments: Comments,
    text: &str,
    ledger: Option<&Ledger>,
) -> Result<Option<String>, String> {
    let existed = ledger.is_none_or(|ledger| ledger.existed);
    let written = ledger.filter(|ledger| ledger.wrote(text) && !ledger.splices.is_empty());
    if let Some(before) = written.and_then(|ledger| undo(text, &ledger.splices())) {
        return Ok(existed.then_some(before));
    }
    let mut text = text.to_owned();
    for entry in tool.entries("") {
        let document = Document::parse(&text, comments)?;
        let value = document.value.unwrap_or(Value::Null);
        if let Presence::Ours { indices, .. } = presence(tool, &value, &entry) {
            for index in indices.into_iter().rev() {
                let index = index.to_string();
                text = remove(&text, comments, &[entry.path, &[index.as_str()]].concat())?;
            }
        }
    }
    let made = ledger.map(|ledger| ledger.made.clone()).unwrap_or_default();
    for path in made.iter().rev() {
        let path: Vec<&str> = path.iter().map(String::as_str).collect();
        let document = Document::parse(&text, comments)?;
        let Some(root) = &document.root else { continue };
        let is_alone = root.children().len() == 1;
        let is_unused = root.at(&path).is_some_and(|node| match &node.kind {
            Kind::Object(_) | Kind::List(_) => {
                let inner = node.start + 1..node.end.saturating_sub(1);
                node.children().is_empty() && !document.has_comment(&inner)
            }
            // A version is for whatever else is in the file.
            Kind::Scalar => is_alone,
        });
        if is_unused {
            text = remove(&text, comments, &path)?;
        }
    }
    let found = survey(tool, comments, &text)?;
    if found
        .entries
        .iter()
        .any(|one| matches!(one, Presence::Ours { .. }))
    {
        return Err("an entry would be left in it".to_owned());
    }
    let document = Document::parse(&text, comments)?;
    let is_bare = document.value.as_ref().is_none_or(is_empty)
        && document.plain().trim().len() <= 2
        && !document.has_comment(&(0..text.len()));
    Ok((existed || !is_bare).then_some(text))
}

/// The file as it is to be read by us: an empty text where there is none.
#[must_use]
pub fn text_of(file: &SettingsFile) -> &str {
    file.text().unwrap_or_default()
}
