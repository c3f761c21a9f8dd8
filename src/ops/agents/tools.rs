//! The coding agents that are known: where each keeps its settings, and what is written there.
//!
//! `docs/TRIGGERS.md` cites the document of each format.

use std::path::{Path, PathBuf};

use crate::model::json_edit::Json;
use crate::model::json_text::Comments;

/// A coding agent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tool {
    /// Claude Code.
    Claude,
    /// Cline.
    Cline,
    /// Codex CLI.
    Codex,
    /// GitHub Copilot CLI.
    Copilot,
    /// Cursor.
    Cursor,
    /// Gemini CLI.
    Gemini,
    /// `OpenCode`.
    OpenCode,
    /// Windsurf.
    Windsurf,
}

/// How a tool is told of us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// By entries in a settings file that also holds other things.
    Entries {
        /// The file, below the directory of the tool.
        file: &'static str,
        /// Whether the tool takes comments in it.
        comments: Comments,
    },
    /// By a file that is all ours.
    Own {
        /// The file, below the directory of the tool.
        file: &'static str,
        /// What is in it; `@PROGRAM@` and `@COMMAND@` stand for strings.
        template: &'static str,
    },
    /// Not at all, for this reason.
    NotSupported(&'static str),
}

/// Where the tools keep their settings on this machine.
#[derive(Debug, Clone, Default)]
pub struct ToolHomes(pub Vec<(Tool, PathBuf)>);

impl ToolHomes {
    /// The directory of a tool.
    #[must_use]
    pub fn of(&self, tool: Tool) -> Option<&Path> {
        let found = self.0.iter().find(|(known, _)| *known == tool);
        found.map(|(_, directory)| directory.as_path())
    }
}

/// One entry in a settings file.
pub struct Entry {
    /// The list that it is an element of.
    pub path: &'static [&'static str],
    /// The element.
    pub element: Json,
    /// The command in it, by the path from the element.
    pub command: &'static [&'static str],
}

/// How long a tool waits for us. A snapshot that is stopped midway protects nothing and leaves remains; the first one of a large
/// repository takes minutes.
const TIMEOUT_SECONDS: u64 = 600;

const GROUP_COMMAND: &[&str] = &["hooks", "0", "command"];
const FLAT_COMMAND: &[&str] = &["command"];

impl Tool {
    /// All that are known, by name.
    pub const ALL: [Self; 8] = [
        Self::Claude,
        Self::Cline,
        Self::Codex,
        Self::Copilot,
        Self::Cursor,
        Self::Gemini,
        Self::OpenCode,
        Self::Windsurf,
    ];

    /// The name, as it is typed and as triggers have it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Cline => "cline",
            Self::Codex => "codex",
            Self::Copilot => "copilot",
            Self::Cursor => "cursor",
            Self::Gemini => "gemini",
            Self::OpenCode => "opencode",
            Self::Windsurf => "windsurf",
        }
    }

    /// The tool of a name.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|tool| tool.word() == text)
    }

    /// How it is told of us.
    #[must_use]
    pub fn form(self) -> Form {
        let entries = |file| Form::Entries {
            file,
            comments: Comments::Refused,
        };
        match self {
            Self::Claude => entries("settings.json"),
            Self::Codex | Self::Cursor | Self::Windsurf => entries("hooks.json"),
            Self::Gemini => Form::Entries {
                file: "settings.json",
                comments: Comments::Allowed,
            },
            Self::Copilot => Form::Own {
                file: "hooks/git-vault.json",
                template: include_str!("../../../templates/agents/copilot.json"),
            },
            Self::OpenCode => Form::Own {
                file: "plugins/git-vault.js",
                template: include_str!("../../../templates/agents/opencode.js"),
            },
            Self::Cline => Form::NotSupported(
                "its documents name two directories for hooks and two forms of an answer",
            ),
        }
    }

    /// The file that is edited or made, if the tool is supported.
    #[must_use]
    pub fn file(self, homes: &ToolHomes) -> Option<PathBuf> {
        let directory = homes.of(self)?;
        match self.form() {
            Form::Entries { file, .. } | Form::Own { file, .. } => Some(directory.join(file)),
            Form::NotSupported(_) => None,
        }
    }

    /// What a person has to do beside, if there is something.
    #[must_use]
    pub fn advice(self) -> Option<&'static str> {
        match self {
            Self::Codex => {
                Some("Codex runs a new hook only after you trusted it: start codex, then /hooks")
            }
            Self::Windsurf => Some("restart Windsurf; in a restricted workspace it runs no hooks"),
            Self::OpenCode => Some("restart OpenCode: plugins are loaded at the start"),
            Self::Claude | Self::Cline | Self::Copilot | Self::Cursor | Self::Gemini => None,
        }
    }

    /// The numbered form of the file, which some tools ask for.
    #[must_use]
    pub fn version(self) -> Option<u64> {
        (self == Self::Cursor).then_some(1)
    }

    /// The command that the tool runs.
    #[must_use]
    pub fn command(self, program: &str) -> String {
        let quoted = program.replace('\'', r"'\''");
        format!("'{quoted}' agents hook {}", self.word())
    }

    /// The program in a command of ours.
    #[must_use]
    pub fn program_in(self, command: &str) -> Option<String> {
        let ending = format!("' agents hook {}", self.word());
        let quoted = command.strip_prefix('\'')?.strip_suffix(&ending)?;
        let program = quoted.replace(r"'\''", "'");
        (self.command(&program) == command).then_some(program)
    }

    /// The entries that are made; none for tools that have a file of ours.
    #[must_use]
    pub fn entries(self, command: &str) -> Vec<Entry> {
        let group = |path, matcher: Option<&str>, timeout| Entry {
            path,
            element: in_group(self, matcher, command, timeout),
            command: GROUP_COMMAND,
        };
        let flat = |path, members: &[(&str, Json)]| {
            let own = [("command", Json::text(command))];
            let members = own.iter().chain(members);
            let members = members.map(|(name, value)| ((*name).to_owned(), value.clone()));
            Entry {
                path,
                element: Json::Object(members.collect()),
                command: FLAT_COMMAND,
            }
        };
        let seconds = || ("timeout", Json::Number(TIMEOUT_SECONDS));
        match self {
            Self::Claude => vec![
                group(
                    &["hooks", "PreToolUse"],
                    Some("Bash|Edit|MultiEdit|Write|NotebookEdit"),
                    TIMEOUT_SECONDS,
                ),
                group(&["hooks", "UserPromptSubmit"], None, TIMEOUT_SECONDS),
            ],
            Self::Codex => vec![
                group(
                    &["hooks", "PreToolUse"],
                    Some("Bash|apply_patch"),
                    TIMEOUT_SECONDS,
                ),
                group(&["hooks", "UserPromptSubmit"], None, TIMEOUT_SECONDS),
            ],
            Self::Gemini => vec![
                group(
                    &["hooks", "BeforeTool"],
                    Some("run_shell_command|write_file|replace"),
                    TIMEOUT_SECONDS * 1000,
                ),
                group(&["hooks", "BeforeAgent"], None, TIMEOUT_SECONDS * 1000),
            ],
            Self::Cursor => vec![
                flat(&["hooks", "beforeShellExecution"], &[seconds()]),
                flat(
                    &["hooks", "preToolUse"],
                    &[("matcher", Json::text("Write|Delete")), seconds()],
                ),
                flat(&["hooks", "beforeSubmitPrompt"], &[seconds()]),
            ],
            Self::Windsurf => {
                let shows = [("show_output", Json::Truth(true))];
                vec![
                    flat(&["hooks", "pre_run_command"], &shows),
                    flat(&["hooks", "pre_write_code"], &shows),
                    flat(&["hooks", "pre_user_prompt"], &[]),
                ]
            }
            Self::Cline | Self::Copilot | Self::OpenCode => Vec::new(),
        }
    }

    /// The file of ours, with the program in it.
    #[must_use]
    pub fn own_file(self, program: &str) -> Option<String> {
        let Form::Own { template, .. } = self.form() else {
            return None;
        };
        let quoted = format!("'{}'", program.replace('\'', r"'\''"));
        let word = self.word();
        // A program that is gone must not keep the tool from all it does.
        let command = format!("if [ -x {quoted} ]; then {quoted} agents hook {word}; fi");
        let string = |text: &str| serde_json::Value::from(text).to_string();
        let template = template.replace("@COMMAND@", &string(&command));
        Some(template.replace("@PROGRAM@", &string(program)))
    }
}

/// `{ matcher, hooks: [{ type, command, timeout }] }`.
fn in_group(tool: Tool, matcher: Option<&str>, command: &str, timeout: u64) -> Json {
    let mut hook = vec![
        ("type".to_owned(), Json::text("command")),
        ("command".to_owned(), Json::text(command)),
        ("timeout".to_owned(), Json::Number(timeout)),
    ];
    if tool == Tool::Gemini {
        hook.insert(0, ("name".to_owned(), Json::text("git-vault")));
    }
    let hooks = ("hooks".to_owned(), Json::List(vec![Json::Object(hook)]));
    let matcher = matcher.map(|matcher| ("matcher".to_owned(), Json::text(matcher)));
    Json::Object(matcher.into_iter().chain([hooks]).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_command_says_which_program_it_is_of() {
        for program in ["/usr/bin/git-vault", "/a b/it's", "/ü/x"] {
            for tool in Tool::ALL {
                let command = tool.command(program);
                assert_eq!(tool.program_in(&command).as_deref(), Some(program));
                assert_eq!(Tool::parse(tool.word()), Some(tool));
            }
        }
        for other in [
            "git-vault agents hook claude",
            "'/x' agents hook codex",
            "'/x' agents hook claude || true",
            "",
        ] {
            assert_eq!(Tool::Claude.program_in(other), None, "{other}");
        }
    }

    #[test]
    fn each_tool_has_entries_or_a_file_or_a_reason() {
        for tool in Tool::ALL {
            let entries = tool.entries("x").len();
            let has_file = tool.own_file("/x").is_some();
            match tool.form() {
                Form::Entries { .. } => assert!(entries > 1 && !has_file),
                Form::Own { .. } => assert!(entries == 0 && has_file),
                Form::NotSupported(reason) => {
                    assert!(entries == 0 && !has_file && !reason.is_empty());
                }
            }
        }
        let text = Tool::Copilot.own_file("/a \"b\"/it's").unwrap();
        let value: serde_json::Value = serde_json::from_str(&text).unwrap();
        let command = value["hooks"]["preToolUse"][0]["bash"].as_str().unwrap();
        assert!(
            command.contains(r#"'/a "b"/it'\''s' agents hook copilot"#),
            "{command}"
        );
    }
}
