//! What a tool says that it is about to do, out of the message that it hands to a hook.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::ops::agents::tools::Tool;

/// What a tool is about to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// To run a line of shell.
    Command(String),
    /// To write these files, as it names them.
    Write(Vec<String>),
    /// To only look.
    Look,
    /// To begin with what a person asked for.
    Prompt,
    /// To use a tool of which nothing is known.
    Other,
    /// This cannot be told: the message is not understood.
    Unknown,
}

/// A message of a tool.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// What it is about to do.
    pub action: Action,
    /// Where, if it says so.
    pub directory: Option<PathBuf>,
    /// Other directories where it may act.
    pub others: Vec<PathBuf>,
    /// Whether the answer has the form that Cursor asks for before a prompt.
    pub is_prompt: bool,
}

/// Tools that only look, by any of their names.
const LOOKING: &str = "\
    read read_file read_many_files view view_file list list_directory list_dir ls glob grep grep_search search_file_content \
    file_search codebase_search web_fetch webfetch web_search websearch google_web_search todo todoread todowrite todo_write \
    update_todo ask_user askuserquestion notebookread bashoutput exitplanmode skill report_intent";

/// Tools that run a line of shell.
const SHELLS: &str = "bash shell powershell run_shell_command run_command run_in_terminal exec_command local_shell unified_exec \
    write_stdin write_bash write_powershell";

/// Tools that write files.
const WRITERS: &str = "\
    edit write multiedit multi_edit notebookedit notebook_edit write_file write_to_file replace create str_replace_editor str_replace \
    apply_patch patch delete delete_file edit_file create_file";

fn is_in(table: &str, name: &str) -> bool {
    table
        .split_whitespace()
        .any(|word| word.eq_ignore_ascii_case(name))
}

/// Understands a message; none is one that could not be read.
#[must_use]
pub fn read(tool: Tool, message: Option<&Value>) -> Call {
    let value = message.unwrap_or(&Value::Null);
    let action = match tool {
        Tool::Windsurf => windsurf(value),
        Tool::Cursor => cursor(value),
        Tool::Copilot => copilot(value),
        Tool::OpenCode => named(text(value, "/tool"), value.get("args")),
        Tool::Claude | Tool::Cline | Tool::Codex | Tool::Gemini => common(value),
    };
    let is_there = |directory: &PathBuf| directory.is_absolute() && directory.is_dir();
    let named = ["/cwd", "/tool_info/cwd"];
    let named = named.iter().filter_map(|place| text(value, place));
    let named = named.map(PathBuf::from).find(is_there);
    let roots = value.get("workspace_roots").and_then(Value::as_array);
    let roots = roots.into_iter().flatten().filter_map(Value::as_str);
    let roots: Vec<PathBuf> = roots.map(PathBuf::from).filter(is_there).collect();
    let is_prompt = action == Action::Prompt;
    // Where it is not said in which of them, it may be any.
    let mut others = if is_prompt || named.is_none() {
        roots.clone()
    } else {
        Vec::new()
    };
    let directory = named.or_else(|| roots.first().cloned());
    let inner = ["tool_input", "args", "toolArgs"]
        .iter()
        .filter_map(|name| value.get(name))
        .flat_map(|input| {
            DIRECTORIES
                .iter()
                .filter_map(|name| input.get(name)?.as_str())
        })
        .next();
    let from = directory.clone().unwrap_or_default();
    let inner = inner.map(|inner| from.join(inner)).filter(is_there);
    // A command works there; what it was called from is saved all the same.
    let directory = match (inner, directory) {
        (Some(inner), Some(outer)) => {
            others.push(outer);
            Some(inner)
        }
        (inner, outer) => inner.or(outer),
    };
    Call {
        action,
        directory,
        others,
        is_prompt,
    }
}

/// Members of the input of a tool that say in which directory a command runs.
const DIRECTORIES: [&str; 6] = [
    "workdir",
    "cwd",
    "dir_path",
    "directory",
    "working_directory",
    "workingDirectory",
];

fn text<'a>(value: &'a Value, place: &str) -> Option<&'a str> {
    value
        .pointer(place)
        .and_then(Value::as_str)
        .filter(|text| !text.is_empty())
}

fn common(value: &Value) -> Action {
    match text(value, "/hook_event_name") {
        Some("UserPromptSubmit" | "BeforeAgent" | "SessionStart") => Action::Prompt,
        _ => named(text(value, "/tool_name"), value.get("tool_input")),
    }
}

fn cursor(value: &Value) -> Action {
    match text(value, "/hook_event_name") {
        Some("beforeSubmitPrompt" | "sessionStart") => Action::Prompt,
        Some("beforeShellExecution") => line(value.get("command")),
        _ => named(text(value, "/tool_name"), value.get("tool_input")),
    }
}

fn copilot(value: &Value) -> Action {
    let name = text(value, "/toolName").or_else(|| text(value, "/tool_name"));
    let input = value.get("toolArgs").or_else(|| value.get("tool_input"));
    match (name, value.get("prompt")) {
        (None, Some(_)) => Action::Prompt,
        (name, _) => {
            // Older versions hand the arguments over as JSON within a string.
            let inner = input
                .and_then(Value::as_str)
                .and_then(|text| serde_json::from_str::<Value>(text).ok());
            named(name, inner.as_ref().or(input))
        }
    }
}

fn windsurf(value: &Value) -> Action {
    match text(value, "/agent_action_name") {
        Some("pre_user_prompt") => Action::Prompt,
        Some("pre_run_command") => line(value.pointer("/tool_info/command_line")),
        Some("pre_write_code") => match text(value, "/tool_info/file_path") {
            Some(file) => Action::Write(vec![file.to_owned()]),
            None => Action::Unknown,
        },
        Some("pre_read_code") => Action::Look,
        Some("pre_mcp_tool_use") => Action::Other,
        _ => Action::Unknown,
    }
}

/// A line of shell, or a program with its arguments.
fn line(value: Option<&Value>) -> Action {
    match value {
        Some(Value::String(line)) => Action::Command(line.clone()),
        Some(Value::Array(words)) => {
            let quote = |word: &Value| {
                let word = word.as_str()?;
                Some(format!("'{}'", word.replace('\'', r"'\''")))
            };
            let quoted: Option<Vec<String>> = words.iter().map(quote).collect();
            match quoted {
                Some(words) if !words.is_empty() => Action::Command(words.join(" ")),
                Some(_) | None => Action::Unknown,
            }
        }
        _ => Action::Unknown,
    }
}

fn named(name: Option<&str>, input: Option<&Value>) -> Action {
    let Some(name) = name else {
        return Action::Unknown;
    };
    if is_in(LOOKING, name) {
        return Action::Look;
    }
    let input = input.unwrap_or(&Value::Null);
    if is_in(SHELLS, name) {
        let command = ["command", "cmd", "command_line", "script", "input", "chars"];
        return line(command.iter().find_map(|name| input.get(name)));
    }
    if !is_in(WRITERS, name) {
        return Action::Other;
    }
    let mut files = Vec::new();
    let is_complete = collect(input, DEPTH, &mut files);
    if files.is_empty() {
        let patch = ["command", "patch", "input", "patchText"];
        let patch = patch.iter().find_map(|name| input.get(name)?.as_str());
        files = patch.or(input.as_str()).map(patched).unwrap_or_default();
    }
    if files.is_empty() || !is_complete {
        Action::Unknown
    } else {
        Action::Write(files)
    }
}

/// Members of the input of a tool that name files, alone or in lists.
const FILES: &str = "\
    file_path filePath notebook_path path paths files absolute_path target_file old_path new_path oldPath newPath source destination \
    file_paths filePaths uri";

/// Most levels of the input of a tool that are looked at.
const DEPTH: usize = 4;
/// Most files of one call.
const MOST_FILES: usize = 1024;

/// Collects the names of files in the input of a tool; whether all were.
fn collect(input: &Value, depth: usize, files: &mut Vec<String>) -> bool {
    let Some(members) = input.as_object() else {
        return true;
    };
    let mut is_complete = true;
    for (name, value) in members {
        let elements = value
            .as_array()
            .map_or(std::slice::from_ref(value), Vec::as_slice);
        for element in elements {
            match element {
                Value::String(file) if FILES.split_whitespace().any(|known| known == name) => {
                    let file = file.strip_prefix("file://").unwrap_or(file);
                    if files.len() == MOST_FILES {
                        return false;
                    }
                    files.push(file.to_owned());
                }
                Value::Object(_) if depth > 0 => is_complete &= collect(element, depth - 1, files),
                Value::Object(_) => return false,
                Value::Null
                | Value::Bool(_)
                | Value::Number(_)
                | Value::String(_)
                | Value::Array(_) => {}
            }
        }
    }
    is_complete
}

/// The files that a patch of the form `*** Update File: NAME` names.
fn patched(patch: &str) -> Vec<String> {
    const HEADINGS: [&str; 4] = [
        "*** Update File: ",
        "*** Add File: ",
        "*** Delete File: ",
        "*** Move to: ",
    ];
    let names = patch.lines().filter_map(|line| {
        let mut headings = HEADINGS.iter();
        headings.find_map(|heading| line.trim().strip_prefix(heading))
    });
    names.map(|name| name.trim().to_owned()).collect()
}

/// Whether it can be told which file a name means: tools may or may not know variables, homes of others, and addresses.
#[must_use]
pub fn is_plain(place: &str) -> bool {
    let is_home = place == "~" || place.starts_with("~/") || !place.starts_with('~');
    is_home && !place.contains('$') && !place.contains("://")
}

/// A place as it was named, seen from a directory.
#[must_use]
pub fn resolve(directory: &Path, home: Option<&Path>, place: &str) -> PathBuf {
    match (place.strip_prefix("~/"), home) {
        (Some(rest), Some(home)) => home.join(rest),
        (None, _) if place == "~" => home.unwrap_or(directory).to_owned(),
        _ => directory.join(place),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn action(tool: Tool, message: &str) -> Action {
        read(tool, serde_json::from_str(message).ok().as_ref()).action
    }

    #[test]
    fn lines_of_shell_are_seen_in_the_messages_of_all_tools() {
        let command = Action::Command("git status".to_owned());
        for (tool, message) in [
            (
                Tool::Claude,
                r#"{"hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"command":"git status"}}"#,
            ),
            (
                Tool::Codex,
                r#"{"hook_event_name":"PreToolUse","tool_name":"Bash","tool_input":{"command":"git status"}}"#,
            ),
            (
                Tool::Gemini,
                r#"{"hook_event_name":"BeforeTool","tool_name":"run_shell_command","tool_input":{"command":"git status"}}"#,
            ),
            (
                Tool::Cursor,
                r#"{"hook_event_name":"beforeShellExecution","command":"git status","cwd":"/x"}"#,
            ),
            (
                Tool::Copilot,
                r#"{"toolName":"bash","toolArgs":{"command":"git status"}}"#,
            ),
            (
                Tool::Copilot,
                r#"{"toolName":"bash","toolArgs":"{\"command\":\"git status\"}"}"#,
            ),
            (
                Tool::OpenCode,
                r#"{"tool":"bash","args":{"command":"git status"}}"#,
            ),
            (
                Tool::Windsurf,
                r#"{"agent_action_name":"pre_run_command","tool_info":{"command_line":"git status"}}"#,
            ),
        ] {
            assert_eq!(action(tool, message), command, "{message}");
        }
    }

    #[test]
    fn files_that_are_written_and_prompts_are_seen() {
        let write = Action::Write(vec!["/x/a".to_owned()]);
        for (tool, message) in [
            (
                Tool::Claude,
                r#"{"tool_name":"Edit","tool_input":{"file_path":"/x/a"}}"#,
            ),
            (
                Tool::Claude,
                r#"{"tool_name":"NotebookEdit","tool_input":{"notebook_path":"/x/a"}}"#,
            ),
            (
                Tool::Gemini,
                r#"{"tool_name":"replace","tool_input":{"file_path":"/x/a"}}"#,
            ),
            (
                Tool::Cursor,
                r#"{"hook_event_name":"preToolUse","tool_name":"Write","tool_input":{"file_path":"/x/a"}}"#,
            ),
            (
                Tool::Copilot,
                r#"{"toolName":"create","toolArgs":{"path":"/x/a"}}"#,
            ),
            (
                Tool::OpenCode,
                r#"{"tool":"write","args":{"filePath":"/x/a"}}"#,
            ),
            (
                Tool::Windsurf,
                r#"{"agent_action_name":"pre_write_code","tool_info":{"file_path":"/x/a"}}"#,
            ),
            (
                Tool::Codex,
                r#"{"tool_name":"apply_patch","tool_input":{"command":"*** Begin Patch\n*** Update File: /x/a\n@@\n*** End Patch"}}"#,
            ),
        ] {
            assert_eq!(action(tool, message), write, "{message}");
        }
        for (tool, message) in [
            (
                Tool::Claude,
                r#"{"hook_event_name":"UserPromptSubmit","prompt":"x"}"#,
            ),
            (
                Tool::Gemini,
                r#"{"hook_event_name":"BeforeAgent","prompt":"x"}"#,
            ),
            (
                Tool::Cursor,
                r#"{"hook_event_name":"beforeSubmitPrompt","prompt":"x"}"#,
            ),
            (Tool::Copilot, r#"{"prompt":"x","cwd":"/"}"#),
            (Tool::Windsurf, r#"{"agent_action_name":"pre_user_prompt"}"#),
        ] {
            assert_eq!(action(tool, message), Action::Prompt, "{message}");
        }
    }

    #[test]
    fn what_is_not_understood_is_unknown_and_what_is_not_known_is_other() {
        for message in [
            "",
            "{",
            "null",
            "[]",
            "7",
            "{}",
            r#"{"tool_name":7}"#,
            r#"{"tool_name":"Bash"}"#,
            r#"{"tool_name":"Write","tool_input":[]}"#,
        ] {
            for tool in Tool::ALL {
                assert_eq!(action(tool, message), Action::Unknown, "{message}");
            }
        }
        assert_eq!(
            action(Tool::Claude, r#"{"tool_name":"mcp__x__y"}"#),
            Action::Other
        );
        assert_eq!(
            action(Tool::Claude, r#"{"tool_name":"Read"}"#),
            Action::Look
        );
        let words = r#"{"tool_name":"Bash","tool_input":{"command":["bash","-lc","it's"]}}"#;
        let line = r"'bash' '-lc' 'it'\''s'".to_owned();
        assert_eq!(action(Tool::Codex, words), Action::Command(line));
    }
}
