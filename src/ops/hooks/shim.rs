//! The texts that git is given to run: from `hooks/`, with the places of this machine filled in.

use crate::host::git::config_include::quoted;
use crate::model::hook_event::HookEvent;

const POST_EVENT: &str = include_str!("../../../hooks/post-event");
const PRE_REBASE: &str = include_str!("../../../hooks/pre-rebase");
const FSMONITOR: &str = include_str!("../../../hooks/fsmonitor");
const RECENT_OBJECTS: &str = include_str!("../../../hooks/recent-objects");

/// The name in `git vault hook` for the question of the file monitor.
pub const ASK_MONITOR: &str = "fsmonitor";
/// The name in `git vault hook` for the question which objects to keep.
pub const ASK_OBJECTS: &str = "recent-objects";

/// What the texts name of this machine.
#[derive(Debug, Clone)]
pub struct Places {
    /// This program.
    pub program: String,
    /// The mark of the repository; `None` when the text is for all repositories.
    pub pending: Option<String>,
    /// Variables, each with its value.
    pub variables: Vec<(&'static str, String)>,
}

/// A text as one word of the shell.
#[must_use]
pub fn word(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

fn fill(template: &str, name: &str, places: &Places) -> String {
    let pending = places.pending.as_deref().unwrap_or_default();
    template
        .replace("@EVENT@", name)
        .replace("@PENDING@", &word(pending))
        .replace("@PROGRAM@", &word(&places.program))
        .replace("@PLACES@\n", &exports(&places.variables))
}

/// The variables as lines of the shell.
fn exports(variables: &[(&'static str, String)]) -> String {
    let lines = variables
        .iter()
        .map(|(name, value)| format!("export {name}={}\n", word(value)));
    lines.collect()
}

/// The hook of an event, as a file.
#[must_use]
pub fn hook_file(event: HookEvent, places: &Places) -> String {
    let template = match event {
        HookEvent::PreRebase => PRE_REBASE,
        HookEvent::PostCommit
        | HookEvent::PostCheckout
        | HookEvent::PostMerge
        | HookEvent::PostRewrite
        | HookEvent::PreAutoGc => POST_EVENT,
    };
    fill(template, event.name(), places)
}

/// The mark that a hook of ours for this event makes; `None` when the text is none of ours. A hook that makes none says so by an
/// empty text.
#[must_use]
pub fn mark_in(event: HookEvent, text: &str) -> Option<String> {
    let mut lines = text.lines();
    let begins = format!("# git-vault hook 1: {};", event.name());
    if lines.next() != Some("#!/bin/sh") || !lines.next()?.starts_with(&begins) {
        return None;
    }
    let mut marks = lines.filter_map(|line| line.split_once(" p=").map(|(_, word)| word));
    marks.next().map_or(Some(String::new()), unquoted)
}

/// Whether a hook is what this program writes, for whatever places it names.
#[must_use]
pub fn is_as_written(event: HookEvent, text: &str) -> bool {
    const NAMES: [&str; 4] = [
        "GIT_VAULT_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
        "XDG_STATE_HOME",
    ];
    let value = |beginning: &str| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix(beginning).and_then(unquoted))
    };
    let Some(program) = value("gv=") else {
        return false;
    };
    let variables = NAMES.into_iter();
    let variables = variables.filter_map(|name| Some((name, value(&format!("export {name}="))?)));
    let places = Places {
        program,
        pending: mark_in(event, text).filter(|mark| !mark.is_empty()),
        variables: variables.collect(),
    };
    hook_file(event, &places) == text
}

/// The text that [`word`] has quoted.
fn unquoted(word: &str) -> Option<String> {
    let inner = word.strip_prefix('\'')?.strip_suffix('\'')?;
    Some(inner.replace("'\\''", "'"))
}

/// The programs of the last second, by their names.
#[must_use]
pub fn last_second_files(places: &Places) -> [(&'static str, String); 2] {
    [
        (ASK_MONITOR, fill(FSMONITOR, ASK_MONITOR, places)),
        (ASK_OBJECTS, fill(RECENT_OBJECTS, ASK_OBJECTS, places)),
    ]
}

/// The name of an event's hook in the configuration: never that of an event, which git would refuse.
#[must_use]
pub fn hook_name(event: HookEvent) -> String {
    format!("git-vault-{}", event.name())
}

/// The hook of an event as settings. Command and event stand together: git refuses to work where one is without the other.
#[must_use]
pub fn hook_settings(event: HookEvent, places: &Places) -> String {
    let file = hook_file(event, places);
    // Git adds its arguments to the last line, where they are no more than a comment.
    let command = format!("{}#", file.strip_prefix("#!/bin/sh\n").unwrap_or(&file));
    format!(
        "[hook \"{}\"]\n\tcommand = {}\n\tevent = {}\n",
        hook_name(event),
        quoted(&command),
        event.name()
    )
}

/// The settings of the last second; `directory` is where its programs lie. Where the version is not stated, git asks twice.
#[must_use]
pub fn last_second_settings(directory: &str) -> String {
    let value = |name: &str| quoted(&word(&format!("{directory}/{name}")));
    format!(
        "[core]\n\tfsmonitor = {}\n\tfsmonitorHookVersion = 2\n[gc]\n\trecentObjectsHook = {}\n",
        value(ASK_MONITOR),
        value(ASK_OBJECTS)
    )
}

/// The line that does the same in a hook that belongs to somebody else.
#[must_use]
pub fn line_for_others(event: HookEvent, program: &str) -> String {
    let program = word(program);
    match event {
        HookEvent::PreRebase => format!("{program} hook pre-rebase \"$@\" </dev/null || exit 1"),
        HookEvent::PostCommit
        | HookEvent::PostCheckout
        | HookEvent::PostMerge
        | HookEvent::PostRewrite
        | HookEvent::PreAutoGc => format!(
            "{program} hook {} \"$@\" </dev/null >/dev/null 2>&1 || :",
            event.name()
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_begins_with_the_shell_and_then_says_whose_it_is() {
        let places = Places {
            program: "/a b/it's".to_owned(),
            pending: Some("/state/it's/pending".to_owned()),
            variables: vec![("XDG_DATA_HOME", "/data 'x'".to_owned())],
        };
        for event in HookEvent::ALL {
            let text = hook_file(event, &places);
            let mut lines = text.lines();
            assert_eq!(lines.next(), Some("#!/bin/sh"));
            let mark = format!("# git-vault hook 1: {}", event.name());
            assert!(lines.next().is_some_and(|line| line.starts_with(&mark)));
            assert!(text.contains("gv='/a b/it'\\''s'"), "{text}");
            assert!(!text.contains('@') || !text.contains("@E"), "{text}");
            assert_ne!(hook_name(event), event.name());
            assert!(is_as_written(event, &text) && !is_as_written(event, &format!("{text}\n")));
        }
    }
}
