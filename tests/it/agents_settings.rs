//! Settings of coding agents: what is put into them comes out again byte for byte, and nothing else in them is touched.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::laboratory::run;
use crate::support::files::{chmod, mkdir, symlink, write};
use crate::support::listing;
use crate::support::{Said, Sandbox};

/// The tools that have entries in a settings file: name, directory in the home, file, and settings as people have them.
pub const ENTRIES: [(&str, &str, &str, &str); 5] = [
    ("claude", ".claude", "settings.json", CLAUDE),
    ("codex", ".codex", "hooks.json", CODEX),
    ("cursor", ".cursor", "hooks.json", CURSOR),
    ("gemini", ".gemini", "settings.json", GEMINI),
    ("windsurf", ".codeium/windsurf", "hooks.json", WINDSURF),
];

pub const CLAUDE: &str = r#"{
  "$schema": "https://json.schemastore.org/claude-code-settings.json",
  "permissions": {
    "allow": ["Bash(npm run lint)", "Read(~/.zshrc)"],
    "deny": []
  },
  "hooks": {
    "PreToolUse": [
      {
        "matcher": "Bash",
        "hooks": [
          { "type": "command", "command": "~/bin/other-guard \"$CLAUDE_PROJECT_DIR\"" }
        ]
      }
    ],
    "Stop": [{"hooks": [{"type": "command", "command": "say ready"}]}]
  },
  "env": { "NAME": "Zoë ☂ \u00e9" }
}
"#;

const CODEX: &str = "{\n\t\"hooks\": {\n\t\t\"Stop\": [\n\t\t\t{ \"hooks\": [ { \"type\": \"command\", \"command\": \"x\" } ] }\n\t\t]\n\t}\n}";

const CURSOR: &str = r#"{
    "version": 1,
    "hooks": {
        "afterFileEdit": [{ "command": "./hooks/format.sh" }],
        "beforeShellExecution": []
    }
}
"#;

const GEMINI: &str = "{\r\n  // the look\r\n  \"ui\": { \"theme\": \"Default\" }, // as it was\r\n  \"mcpServers\": {\r\n    \"x\": { \"command\": \"y\" } /* one */\r\n  }\r\n  /* end */\r\n}\r\n";

const WINDSURF: &str =
    r#"{"hooks":{"post_write_code":[{"command":"python3 /opt/audit.py","show_output":false}]}}"#;

/// The home directory of somebody who uses tools.
pub struct Home {
    pub sandbox: Sandbox,
}

impl Home {
    pub fn new() -> Self {
        Self {
            sandbox: Sandbox::new(),
        }
    }

    pub fn run(&self, arguments: &[&str]) -> Said {
        let arguments = [&["agents"], arguments].concat();
        run(&self.sandbox, &self.sandbox.path("tmp"), &arguments)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        write(&self.sandbox.home(), name, text)
    }

    pub fn ledger(&self, tool: &str) -> PathBuf {
        self.sandbox
            .path(&format!("state/git-vault/agents/{tool}.toml"))
    }

    /// How a tool stands, in one word.
    #[track_caller]
    pub fn state(&self, tool: &str) -> String {
        let said = run(
            &self.sandbox,
            &self.sandbox.path("tmp"),
            &["--json", "agents", "status", tool],
        );
        let state = said.json()["tools"][0]["state"].clone();
        let state = state.as_str().expect("a word").to_owned();
        let is_well =
            ["installed", "not-installed", "not-here", "not-supported"].contains(&&*state);
        assert_eq!(said.code, Some(if is_well { 0 } else { 3 }), "{said}");
        state
    }
}

#[track_caller]
pub fn text(path: &Path) -> String {
    fs::read_to_string(path).expect("the file is read")
}

/// The settings as they mean, without comments.
fn meaning(text: &str) -> Value {
    let lines = text
        .lines()
        .map(|line| line.split(" //").next().unwrap_or_default());
    let text: String = lines
        .filter(|line| !line.trim().starts_with("//"))
        .collect();
    let mut plain = String::new();
    for part in text.split("/*") {
        plain.push_str(part.split("*/").last().unwrap_or_default());
    }
    serde_json::from_str(&plain).expect("JSON")
}

/// Takes everything of ours out of a value: what is left is what was there.
fn without_ours(mut settings: Value, tool: &str) -> Value {
    let marker = format!("agents hook {tool}");
    let hooks = settings["hooks"].as_object_mut().expect("hooks");
    for list in hooks.values_mut() {
        let list = list.as_array_mut().expect("a list");
        list.retain(|element| !element.to_string().contains(&marker));
    }
    settings
}

#[test]
fn settings_of_every_tool_come_back_byte_for_byte() {
    for (tool, directory, file, settings) in ENTRIES {
        let home = Home::new();
        let path = home.write(&format!("{directory}/{file}"), settings);
        chmod(&path, 0o640);
        let neighbour = home.write(&format!("{directory}/other.json"), "{ }");
        assert_eq!(home.state(tool), "not-installed");
        let said = home.run(&["install", tool]).succeeded();
        assert!(said.text().starts_with("INSTALLED"), "{said}");
        assert_eq!(home.state(tool), "installed");
        let installed = text(&path);
        let after = meaning(&installed);
        let mut before = meaning(settings);
        let mut left = without_ours(after.clone(), tool);
        for value in [&mut before, &mut left] {
            let hooks = value
                .as_object_mut()
                .expect("an object")
                .entry("hooks")
                .or_insert(json!({}));
            hooks
                .as_object_mut()
                .expect("an object")
                .retain(|_, list| list != &json!([]));
        }
        assert_eq!(left, before, "{installed}");
        assert!(
            after.to_string().matches("agents hook").count() >= 2,
            "{installed}"
        );
        assert_eq!(installed.contains("\r\n"), settings.contains("\r\n"));
        assert_eq!(
            fs::metadata(&path).expect("metadata").permissions().mode() & 0o7777,
            0o640
        );
        // Every line that was there is there, in the same order: nothing is written anew.
        if settings.contains('\n') {
            let mut lines = installed.lines().map(|line| line.trim_end_matches(','));
            for line in settings
                .lines()
                .map(|line| line.trim_end_matches(',').trim_end_matches("[]"))
            {
                let due =
                    |found: &str| found.starts_with(line.split(", //").next().unwrap_or(line));
                assert!(lines.any(due), "{line:?} in\n{installed}");
            }
        }
        let said = home.run(&["install", tool]).succeeded();
        assert!(said.text().starts_with("UNCHANGED"), "{said}");
        assert_eq!(text(&path), installed);
        let said = home.run(&["uninstall", tool]).succeeded();
        assert!(said.text().starts_with("REMOVED"), "{said}");
        assert_eq!(text(&path), settings, "{tool}");
        assert_eq!(
            fs::metadata(&path).expect("metadata").permissions().mode() & 0o7777,
            0o640
        );
        assert_eq!(text(&neighbour), "{ }");
        assert_eq!(home.state(tool), "not-installed");
        assert!(!home.ledger(tool).exists());
        let _said = home.run(&["uninstall", tool]).succeeded();
        assert_eq!(text(&path), settings);
    }
}

#[test]
fn settings_in_any_form_come_back_byte_for_byte() {
    for settings in [
        "",
        "\n",
        "{}",
        "{}\n",
        "{ }",
        "{\n}\n",
        "\u{feff}{}",
        "\u{feff}{\r\n\t\"a\": [1, 2]\r\n}",
        "{\"a\":1}",
        "  {\"a\": {\"b\": [[], {}]}}  \n\n",
        "{\"hooks\":{}}",
        "{\"hooks\": {\"PreToolUse\": []}}",
        "{\n  \"hooks\": {\n    \"PreToolUse\": [\n    ]\n  }\n}",
        "{\n      \"a\": 1,\n  \"hooks\": {\"UserPromptSubmit\": [1, \"\\u2028\"]}}",
    ] {
        let home = Home::new();
        let path = home.write(".claude/settings.json", settings);
        let _said = home.run(&["install", "claude"]).succeeded();
        let installed: Value =
            serde_json::from_str(text(&path).trim_start_matches('\u{feff}')).expect("JSON");
        assert!(installed["hooks"]["PreToolUse"].is_array(), "{settings:?}");
        let _said = home.run(&["uninstall", "claude"]).succeeded();
        assert_eq!(text(&path), settings);
    }
}

#[test]
fn a_file_and_directories_that_were_made_go_again_and_no_others() {
    for (tool, directory, file, _) in ENTRIES {
        let home = Home::new();
        let before = listing::list(&home.sandbox.home(), &|_| true);
        assert_eq!(home.state(tool), "not-here");
        let _said = home.run(&["install", tool]).succeeded();
        let path = home.sandbox.home().join(directory).join(file);
        let mode = fs::metadata(&path).expect("metadata").permissions().mode() & 0o7777;
        assert_eq!(mode, 0o600);
        let _said = home.run(&["uninstall", tool]).succeeded();
        let after = listing::list(&home.sandbox.home(), &|_| true);
        let differences = listing::differences("home", &before, &after);
        assert!(
            differences.iter().all(|line| line.contains("mtime")),
            "{differences:?}"
        );
        // A directory that was there, or in which there is something else, stays.
        mkdir(&home.sandbox.home(), directory);
        let _said = home.run(&["install", tool]).succeeded();
        let _said = home.run(&["uninstall", tool]).succeeded();
        assert!(!path.exists() && home.sandbox.home().join(directory).is_dir());
    }
}

#[test]
fn what_others_put_there_meanwhile_stays_as_it_is() {
    for (tool, directory, file, settings) in ENTRIES {
        for was_there in [true, false] {
            let home = Home::new();
            let path = home.sandbox.home().join(directory).join(file);
            if was_there {
                home.write(&format!("{directory}/{file}"), settings);
            }
            let _said = home.run(&["install", tool]).succeeded();
            // Somebody puts a member first, as an editor would.
            let foreign = "{ \"theirs\": [1,  2],";
            let changed = text(&path).replacen('{', foreign, 1);
            fs::write(&path, &changed).expect("written");
            assert_eq!(home.state(tool), "installed");
            let _said = home.run(&["install", tool]).succeeded();
            assert_eq!(text(&path), changed);
            let _said = home.run(&["uninstall", tool]).succeeded();
            if was_there {
                assert_eq!(text(&path), settings.replacen('{', foreign, 1), "{tool}");
            } else {
                assert_eq!(meaning(&text(&path))["theirs"], json!([1, 2]), "{tool}");
                assert!(!text(&path).contains("agents hook"), "{tool}");
            }
        }
    }
}

#[test]
fn an_entry_that_was_changed_by_hand_is_left_alone_and_said() {
    for (tool, directory, file, settings) in ENTRIES {
        let home = Home::new();
        let path = home.write(&format!("{directory}/{file}"), settings);
        let _said = home.run(&["install", tool]).succeeded();
        let changed = text(&path).replacen(
            &format!("agents hook {tool}"),
            &format!("agents hook {tool} || true"),
            1,
        );
        fs::write(&path, &changed).expect("written");
        assert_eq!(home.state(tool), "changed");
        let _said = home.run(&["install", tool]).refused("GV-5002");
        assert_eq!(text(&path), changed);
        let said = home.run(&["uninstall", tool]).refused("GV-5002");
        assert_eq!(said.code, Some(50), "{said}");
        let left = text(&path);
        assert_eq!(left.matches("agents hook").count(), 1, "{left}");
        assert!(left.contains("|| true"), "{left}");
        let _said = home.run(&["uninstall", tool]).refused("GV-5002");
        assert_eq!(text(&path), left);
    }
}

#[test]
fn what_is_not_understood_is_refused_and_left_alone() {
    for (tool, file, settings) in [
        ("claude", ".claude/settings.json", "{ // why\n}"),
        ("claude", ".claude/settings.json", "{\"a\":1,}"),
        ("claude", ".claude/settings.json", "{\"a\":1,\"a\":2}"),
        ("claude", ".claude/settings.json", "{\"hooks\":[]}"),
        (
            "claude",
            ".claude/settings.json",
            "{\"hooks\":{\"PreToolUse\":{}}}",
        ),
        ("claude", ".claude/settings.json", "[1]"),
        ("claude", ".claude/settings.json", "{\"a\":"),
        ("cursor", ".cursor/hooks.json", "{\"version\":2}"),
        ("gemini", ".gemini/settings.json", "{ /* open"),
    ] {
        let home = Home::new();
        let path = home.write(file, settings);
        for command in ["install", "uninstall"] {
            let said = home.run(&[command, tool]);
            // What can be read and holds nothing of ours is fine to leave.
            if command == "uninstall"
                && serde_json::from_str::<Value>(settings).is_ok_and(|value| value.is_object())
                && !settings.contains("\"a\":2")
            {
                let _said = said.succeeded();
            } else {
                let said = said.refused("GV-5002");
                assert_eq!(said.code, Some(50), "{said}");
            }
            assert_eq!(text(&path), settings);
        }
        assert!(!home.ledger(tool).exists());
    }
    let home = Home::new();
    let path = home.write(".claude/settings.json", b"{\"a\": \"\xff\"}");
    let _said = home.run(&["install", "claude"]).refused("GV-5002");
    assert_eq!(fs::read(&path).expect("read"), b"{\"a\": \"\xff\"}");
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(2000), "]".repeat(2000));
    let path = home.write(".claude/settings.json", &deep);
    let _said = home.run(&["install", "claude"]).refused("GV-5002");
    assert_eq!(text(&path), deep);
    let large = format!("{{\"a\":\"{}\"}}", "x".repeat(17 << 20));
    let path = home.write(".claude/settings.json", &large);
    let _said = home.run(&["install", "claude"]).refused("GV-5002");
    assert!(text(&path) == large);
    let home = Home::new();
    mkdir(&home.sandbox.home(), ".claude/settings.json");
    let _said = home.run(&["install", "claude"]).refused("GV-5002");
    let _said = home.run(&["install", "cline"]).refused("GV-5002");
    assert_eq!(home.state("cline"), "not-supported");
}

#[test]
fn links_stay_links_and_what_they_lead_to_is_edited() {
    let home = Home::new();
    let target = home.write("dotfiles/claude.json", CLAUDE);
    let link = symlink(
        &home.sandbox.home(),
        ".claude/settings.json",
        "../dotfiles/claude.json",
    );
    let _said = home.run(&["install", "claude"]).succeeded();
    assert_eq!(
        fs::read_link(&link).expect("a link"),
        Path::new("../dotfiles/claude.json")
    );
    assert!(text(&target).contains("agents hook claude"));
    let _said = home.run(&["uninstall", "claude"]).succeeded();
    assert_eq!(text(&target), CLAUDE);
    assert_eq!(
        fs::read_link(&link).expect("a link"),
        Path::new("../dotfiles/claude.json")
    );
    let names = fs::read_dir(home.sandbox.home().join("dotfiles"))
        .expect("a directory")
        .count();
    assert_eq!(names, 1, "nothing is left beside it");
    // A link that leads nowhere, a second name, and a file that may not be written belong to somebody.
    fs::remove_file(&target).expect("removed");
    let _said = home.run(&["install", "claude"]).refused("GV-5002");
    assert!(!target.exists());
    fs::remove_file(&link).expect("removed");
    let path = home.write(".claude/settings.json", CLAUDE);
    let other = home.sandbox.home().join("other-name");
    fs::hard_link(&path, &other).expect("linked");
    let _said = home.run(&["install", "claude"]).refused("GV-5002");
    assert_eq!(fs::metadata(&path).expect("metadata").nlink(), 2);
    fs::remove_file(&other).expect("removed");
    chmod(&path, 0o444);
    let _said = home.run(&["install", "claude"]).refused("GV-5002");
    assert_eq!(text(&path), CLAUDE);
    assert_eq!(home.state("claude"), "not-installed");
}

/// A copy of the program at another path.
pub fn program_at(sandbox: &Sandbox, name: &str) -> PathBuf {
    let path = sandbox.path(name);
    fs::create_dir_all(path.parent().expect("a parent")).expect("made");
    // Copied by another process: a file that is open for writing here, when a test beside this one starts a program, cannot be run.
    let mut copy = sandbox.command("cp", &sandbox.path("tmp"));
    copy.arg(env!("CARGO_BIN_EXE_git-vault")).arg(&path);
    assert!(copy.status().expect("cp starts").success());
    path
}

fn run_program(sandbox: &Sandbox, program: &Path, arguments: &[&str]) -> Said {
    let mut command = sandbox.command(program, &sandbox.path("tmp"));
    command.args(arguments);
    Said::new(arguments.join(" "), command.output().expect("it starts"))
}

#[test]
fn an_older_path_of_the_program_is_brought_up_to_date_in_place() {
    for (tool, directory, file, settings) in ENTRIES {
        for is_changed in [false, true] {
            let home = Home::new();
            let path = home.write(&format!("{directory}/{file}"), settings);
            let older = program_at(&home.sandbox, "old place/it's/git-vault");
            let _said =
                run_program(&home.sandbox, &older, &["agents", "install", tool]).succeeded();
            let mut expected = settings.to_owned();
            if is_changed {
                let changed = text(&path).replacen('{', "{\"first\":1,", 1);
                fs::write(&path, changed).expect("written");
                expected = settings.replacen('{', "{\"first\":1,", 1);
            }
            let before = text(&path);
            assert_eq!(home.state(tool), "other-program");
            let said = home.run(&["install", tool]).succeeded();
            assert!(said.text().starts_with("UPDATED"), "{said}");
            let own = fs::canonicalize(env!("CARGO_BIN_EXE_git-vault")).expect("its path");
            let old = older.to_str().expect("UTF-8").replace('\'', r"'\\''");
            assert_eq!(
                text(&path),
                before.replace(&old, own.to_str().expect("UTF-8")),
                "{tool}"
            );
            assert_eq!(home.state(tool), "installed");
            let _said = home.run(&["uninstall", tool]).succeeded();
            assert_eq!(text(&path), expected, "{tool}");
        }
    }
}

#[test]
fn a_name_on_the_path_that_leads_to_the_program_is_what_is_written() {
    let home = Home::new();
    let program = program_at(&home.sandbox, "Cellar/0.1.0/bin/git-vault");
    let link = symlink(
        &home.sandbox.path("tmp"),
        "bin/git-vault",
        "../../Cellar/0.1.0/bin/git-vault",
    );
    let mut command = home.sandbox.command(&program, &home.sandbox.path("tmp"));
    command.env("PATH", link.parent().expect("a directory"));
    command.args(["agents", "install", "claude"]);
    let _said = Said::new("install".to_owned(), command.output().expect("it starts")).succeeded();
    let written = text(&home.sandbox.home().join(".claude/settings.json"));
    assert!(
        written.contains(&format!("'{}' agents hook claude", link.display())),
        "{written}"
    );
}

#[test]
fn files_that_are_all_ours_are_made_and_removed_and_no_others() {
    for (tool, directory, file) in [
        ("copilot", "home/.copilot", "hooks/git-vault.json"),
        ("opencode", "config/opencode", "plugins/git-vault.js"),
    ] {
        let home = Home::new();
        let place = home.sandbox.path(directory);
        let path = place.join(file);
        let other = write(&place, "hooks-of-others/x.json", "{}");
        let _said = home.run(&["install", tool]).succeeded();
        let installed = text(&path);
        assert!(
            installed.contains("agents") && !installed.contains('@'),
            "{installed}"
        );
        let said = home.run(&["install", tool]).succeeded();
        assert!(said.text().starts_with("UNCHANGED"), "{said}");
        assert_eq!(home.state(tool), "installed");
        fs::write(&path, format!("{installed}\n")).expect("written");
        assert_eq!(home.state(tool), "changed");
        for command in ["install", "uninstall"] {
            let _said = home.run(&[command, tool]).refused("GV-5002");
            assert_eq!(text(&path), format!("{installed}\n"));
        }
        fs::write(&path, &installed).expect("written");
        let _said = home.run(&["uninstall", tool]).succeeded();
        assert!(!path.exists() && !path.parent().expect("a directory").exists());
        assert_eq!(text(&other), "{}");
        // An older path of ours.
        let older = program_at(&home.sandbox, "older/git-vault");
        let _said = run_program(&home.sandbox, &older, &["agents", "install", tool]).succeeded();
        assert_eq!(home.state(tool), "other-program");
        let _said = home.run(&["install", tool]).succeeded();
        assert_eq!(text(&path), installed);
        let _said = home.run(&["uninstall", tool]).succeeded();
        assert!(!path.exists());
    }
}

#[test]
fn one_tool_that_is_refused_stops_no_other_and_the_exit_status_says_so() {
    let home = Home::new();
    let bad = home.write(".claude/settings.json", "{ // a comment\n}");
    let good = home.write(".cursor/hooks.json", CURSOR);
    mkdir(&home.sandbox.home(), ".gemini");
    let said = home.run(&["install"]);
    assert_eq!(said.code, Some(50), "{said}");
    let words = said.text();
    assert!(
        words.contains("REFUSED    claude") && words.contains("GV-5002"),
        "{said}"
    );
    assert_eq!(text(&bad), "{ // a comment\n}");
    assert!(text(&good).contains("agents hook cursor"));
    assert!(home.sandbox.home().join(".gemini/settings.json").exists());
    assert!(
        !home.sandbox.home().join(".codex").exists(),
        "what is not here is not made"
    );
    let said = home.run(&["status"]);
    assert_eq!(said.code, Some(3), "{said}");
    assert_eq!(
        said.text()
            .lines()
            .filter(|line| line.contains("OK  "))
            .count(),
        2,
        "{said}"
    );
    let said = home.run(&["uninstall"]);
    assert_eq!(said.code, Some(50), "{said}");
    assert_eq!(text(&good), CURSOR);
    assert!(home.sandbox.home().join(".gemini").is_dir());
    let empty = Home::new();
    let said = empty.run(&["install"]).succeeded();
    assert!(said.text().starts_with("NOTHING"), "{said}");
}

#[test]
fn settings_that_switch_hooks_off_need_attention() {
    let home = Home::new();
    home.write(".claude/settings.json", "{\"disableAllHooks\": true}");
    let said = home.run(&["status", "claude"]).succeeded();
    assert!(!said.text().contains("ATTENTION"), "{said}");
    let said = home.run(&["install", "claude"]);
    assert_eq!(said.code, Some(3), "{said}");
    let said = home.run(&["status", "claude"]);
    assert_eq!(said.code, Some(3), "{said}");
    assert!(said.text().contains("switch hooks off"), "{said}");
}

#[test]
fn variables_say_where_some_tools_keep_their_settings() {
    let home = Home::new();
    for (tool, variable, file) in [
        ("claude", "CLAUDE_CONFIG_DIR", "settings.json"),
        ("codex", "CODEX_HOME", "hooks.json"),
        ("copilot", "COPILOT_HOME", "hooks/git-vault.json"),
    ] {
        let place = mkdir(&home.sandbox.home(), tool);
        let mut command = home.sandbox.vault_command(&home.sandbox.path("tmp"));
        command.env(variable, &place).args(["agents", "install"]);
        let _said =
            Said::new("install".to_owned(), command.output().expect("it starts")).succeeded();
        assert!(place.join(file).exists());
        assert!(!home.sandbox.home().join(format!(".{tool}")).exists());
    }
}

/// What was noted of one file says nothing about another.
#[test]
fn a_note_of_another_file_is_not_applied() {
    let home = Home::new();
    let _said = home.run(&["install", "claude"]).succeeded();
    let elsewhere = mkdir(&home.sandbox.home(), "elsewhere");
    let made = text(&home.sandbox.home().join(".claude/settings.json"));
    let path = write(&elsewhere, "settings.json", &made);
    let mut command = home.sandbox.vault_command(&home.sandbox.path("tmp"));
    command.env("CLAUDE_CONFIG_DIR", &elsewhere);
    command.args(["agents", "uninstall", "claude"]);
    let output = command.output().expect("it starts");
    let _said = Said::new("uninstall".to_owned(), output).succeeded();
    let left: Value = serde_json::from_str(&text(&path)).expect("JSON");
    assert_eq!(
        left,
        json!({"hooks": {"PreToolUse": [], "UserPromptSubmit": []}})
    );
    assert_eq!(
        text(&home.sandbox.home().join(".claude/settings.json")),
        made
    );
    let _said = home.run(&["uninstall", "claude"]).succeeded();
    assert!(!home.sandbox.home().join(".claude").exists());
}

/// What cannot be written leaves no trace: no file beside it, no directory, no note.
#[test]
fn an_install_that_fails_leaves_everything_as_it_was() {
    let home = Home::new();
    let target = home.write("dotfiles/claude.json", CLAUDE);
    chmod(&target, 0o400);
    symlink(
        &home.sandbox.home(),
        ".claude/settings.json",
        "../dotfiles/claude.json",
    );
    let before = listing::list(&home.sandbox.home(), &|_| true);
    let said = home.run(&["install", "claude"]).refused("GV-5002");
    assert!(said.to_string().contains("may not be written"), "{said}");
    let after = listing::list(&home.sandbox.home(), &|_| true);
    assert_eq!(listing::differences("home", &before, &after), [""; 0]);
    assert!(!home.ledger("claude").exists());
}
