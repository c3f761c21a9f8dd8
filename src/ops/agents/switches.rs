//! What a person, or the tool itself, has switched off: entries of ours that stand as they should and are not run all the same.

use std::path::Path;

use serde_json::Value;

use crate::host::disk;
use crate::model::json_text::{Comments, Document};
use crate::ops::agents::settings::{Presence, Survey};
use crate::ops::agents::tools::{Tool, ToolHomes};

/// Largest settings file that is looked at.
const LIMIT_BYTES: u64 = 16 << 20;

/// The setting that keeps a tool from running our hooks, and where it is; nothing if none was found. Only files of the user are
/// looked at: those of a project or an administrator may say something else.
#[must_use]
pub fn switched_off(
    tool: Tool,
    homes: &ToolHomes,
    file: &Path,
    found: Option<&Survey>,
) -> Option<String> {
    let here = |setting: String| format!("'{setting}' in '{}'", file.display());
    match tool {
        Tool::Claude => {
            let is_off = is(&found?.settings, "/disableAllHooks", true);
            is_off.then(|| here("disableAllHooks".to_owned()))
        }
        Tool::Gemini => gemini(&found?.settings, found?).map(here),
        Tool::Copilot => ["settings.json", "config.json"].iter().find_map(|name| {
            let file = homes.of(tool)?.join(name);
            let settings = read_json(&file)?;
            let is_off = is(&settings, "/disableAllHooks", true);
            is_off.then(|| format!("'disableAllHooks' in '{}'", file.display()))
        }),
        Tool::Codex => codex(homes.of(tool)?, file, found?),
        Tool::Cline | Tool::Cursor | Tool::OpenCode | Tool::Windsurf => None,
    }
}

fn is(settings: &Value, place: &str, wanted: bool) -> bool {
    settings.pointer(place) == Some(&Value::Bool(wanted))
}

fn read_text(file: &Path) -> Option<String> {
    String::from_utf8(disk::read_bounded(file, LIMIT_BYTES).ok()?).ok()
}

fn read_json(file: &Path) -> Option<Value> {
    Document::parse(&read_text(file)?, Comments::Allowed)
        .ok()?
        .value
}

/// Gemini CLI has had three switches for all hooks, and lists of those that are off, by name or by command.
fn gemini(settings: &Value, found: &Survey) -> Option<String> {
    let switches = [
        "/hooksConfig/enabled",
        "/hooks/enabled",
        "/tools/enableHooks",
    ];
    let setting = |place: &&&str| place.trim_start_matches('/').replace('/', ".");
    let switch = switches.iter().find(|place| is(settings, place, false));
    if let Some(place) = switch {
        return Some(setting(&place));
    }
    let commands: Vec<String> = found
        .entries
        .iter()
        .filter_map(|one| match one {
            Presence::Ours { program, .. } => Some(Tool::Gemini.command(program)),
            Presence::Missing | Presence::Changed => None,
        })
        .collect();
    let is_ours = |name: &Value| {
        let name = name.as_str().unwrap_or_default();
        name == "git-vault" || commands.iter().any(|command| command == name)
    };
    let lists = ["/hooksConfig/disabled", "/hooks/disabled"];
    let list = lists.iter().find(|place| {
        let names = settings.pointer(place).and_then(Value::as_array);
        names.is_some_and(|names| names.iter().any(is_ours))
    });
    list.map(|place| setting(&place))
}

/// Codex CLI has a switch for all hooks, and notes for each whether it is on: by file, event, and place in the list.
fn codex(home: &Path, file: &Path, found: &Survey) -> Option<String> {
    let config = home.join("config.toml");
    let table: toml::Table = read_text(&config)?.parse().ok()?;
    let within = |setting: &str| format!("'{setting}' in '{}'", config.display());
    let features = table.get("features").and_then(toml::Value::as_table);
    for name in ["hooks", "codex_hooks"] {
        let value = features.and_then(|features| features.get(name));
        if value.and_then(toml::Value::as_bool) == Some(false) {
            return Some(within(&format!("features.{name}")));
        }
    }
    let states = table.get("hooks")?.get("state")?.as_table()?;
    let real = std::fs::canonicalize(file).ok();
    let due = Tool::Codex.entries("");
    for (key, state) in states {
        let mut parts = key.rsplitn(4, ':');
        let (Some(_), Some(group), Some(event), Some(path)) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            continue;
        };
        let is_this_file = Path::new(path) == file || real.as_deref() == Some(Path::new(path));
        let is_ours = due.iter().zip(&found.entries).any(|(entry, presence)| {
            let name = entry.path.last().map(|name| snake(name));
            let indices = match presence {
                Presence::Ours { indices, .. } => indices.as_slice(),
                Presence::Missing | Presence::Changed => &[],
            };
            name.as_deref() == Some(event) && indices.iter().any(|at| at.to_string() == group)
        });
        let is_off = state.get("enabled").and_then(toml::Value::as_bool) == Some(false);
        if is_this_file && is_ours && is_off {
            return Some(within(&format!("hooks.state.\"{key}\".enabled")));
        }
    }
    None
}

/// `PreToolUse` as `pre_tool_use`.
fn snake(name: &str) -> String {
    let mut snake = String::new();
    for letter in name.chars() {
        if letter.is_ascii_uppercase() && !snake.is_empty() {
            snake.push('_');
        }
        snake.push(letter.to_ascii_lowercase());
    }
    snake
}
