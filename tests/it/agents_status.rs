//! What `agents status` and `status` say of entries that vanished, and of hooks that a tool was told not to run.

use std::fs;

use serde_json::Value;

use crate::agents::TOOLS;
use crate::laboratory::run;
use crate::support::files::write;
use crate::support::{Said, Sandbox, states};

fn status(sandbox: &Sandbox, tool: &str) -> (Value, Said) {
    let place = sandbox.path("tmp");
    let said = run(sandbox, &place, &["--json", "agents", "status", tool]);
    let report = said.json()["tools"][0].clone();
    (report, run(sandbox, &place, &["agents", "status", tool]))
}

#[test]
fn entries_that_somebody_took_out_are_missed() {
    for tool in TOOLS {
        let sandbox = Sandbox::new();
        let source = states::small_repository(&sandbox);
        let _id = sandbox.snapshot(&source);
        let _said = run(&sandbox, &source, &["agents", "install", tool]).succeeded();
        let (report, said) = status(&sandbox, tool);
        assert_eq!(
            (&report["state"], said.code),
            (&"installed".into(), Some(0))
        );
        let audit = run(&sandbox, &source, &["status"]);
        assert!(!audit.text().contains("took it out"), "{audit}");
        let file = report["file"].as_str().expect("a file").to_owned();
        let installed = fs::read(&file).expect("the settings");
        let own_file = ["copilot", "opencode"].contains(&tool);
        for gone in ["entry", "file", "directory"] {
            match gone {
                "entry" if own_file => continue,
                "entry" => fs::write(&file, "{}").expect("written"),
                "file" => fs::remove_file(&file).expect("removed"),
                _ => {
                    let above = std::path::Path::new(&file).parent().expect("a directory");
                    let _removed = fs::remove_dir_all(above);
                }
            }
            let (report, said) = status(&sandbox, tool);
            assert_eq!(report["state"], "vanished", "{tool} {gone}\n{said}");
            assert_eq!(said.code, Some(3), "{said}");
            assert!(
                said.text().contains(&format!("agents install {tool}")),
                "{said}"
            );
            let audit = run(&sandbox, &source, &["status"]);
            let wanted = format!("agent/{tool} cannot fire");
            assert!(audit.text().contains(&wanted), "{tool} {gone}\n{audit}");
        }
        // Put there again, or given up: both end it.
        let _said = run(&sandbox, &source, &["agents", "install", tool]).succeeded();
        assert_eq!(status(&sandbox, tool).0["state"], "installed");
        assert_eq!(fs::read(&file).expect("the settings"), installed);
        fs::remove_file(&file).expect("removed");
        let _said = run(&sandbox, &source, &["agents", "uninstall", tool]).succeeded();
        let (report, said) = status(&sandbox, tool);
        assert_ne!(report["state"], "vanished", "{said}");
        assert_eq!(said.code, Some(0), "{said}");
    }
}

#[test]
fn settings_by_which_a_tool_runs_no_hooks_are_seen() {
    for (tool, file, settings, is_off) in [
        (
            "claude",
            ".claude/settings.json",
            "{\"disableAllHooks\": true}",
            true,
        ),
        (
            "claude",
            ".claude/settings.json",
            "{\"disableAllHooks\": false}",
            false,
        ),
        (
            "gemini",
            ".gemini/settings.json",
            "{\"hooksConfig\": {\"enabled\": false}}",
            true,
        ),
        (
            "gemini",
            ".gemini/settings.json",
            "{\"hooksConfig\": {\"enabled\": true, \"disabled\": [\"x\"]}}",
            false,
        ),
        (
            "gemini",
            ".gemini/settings.json",
            "{ // why\n\"hooksConfig\": {\"disabled\": [\"x\", \"git-vault\"]}}",
            true,
        ),
        (
            "gemini",
            ".gemini/settings.json",
            "{\"hooks\": {\"enabled\": false}}",
            true,
        ),
        (
            "gemini",
            ".gemini/settings.json",
            "{\"hooks\": {\"disabled\": [\"@COMMAND@\"]}}",
            true,
        ),
        (
            "gemini",
            ".gemini/settings.json",
            "{\"tools\": {\"enableHooks\": false}}",
            true,
        ),
        (
            "copilot",
            ".copilot/settings.json",
            "// by hand\n{\"disableAllHooks\": true}",
            true,
        ),
        (
            "copilot",
            ".copilot/config.json",
            "{\"disableAllHooks\": true}",
            true,
        ),
        (
            "copilot",
            ".copilot/settings.json",
            "{\"disableAllHooks\": \"no\"}",
            false,
        ),
        (
            "codex",
            ".codex/config.toml",
            "[features]\nhooks = false\n",
            true,
        ),
        (
            "codex",
            ".codex/config.toml",
            "[features]\ncodex_hooks = false\n",
            true,
        ),
        (
            "codex",
            ".codex/config.toml",
            "[features]\nhooks = true\n",
            false,
        ),
        (
            "codex",
            ".codex/config.toml",
            "[hooks.state.\"@HOME@/.codex/hooks.json:pre_tool_use:0:0\"]\nenabled = false\n",
            true,
        ),
        (
            "codex",
            ".codex/config.toml",
            "[hooks.state.\"@HOME@/.codex/hooks.json:user_prompt_submit:0:0\"]\nenabled = false\n",
            true,
        ),
        (
            "codex",
            ".codex/config.toml",
            "[hooks.state.\"@HOME@/.codex/hooks.json:pre_tool_use:1:0\"]\nenabled = false\n",
            false,
        ),
        (
            "codex",
            ".codex/config.toml",
            "[hooks.state.\"/else/hooks.json:pre_tool_use:0:0\"]\nenabled = false\n",
            false,
        ),
        ("codex", ".codex/config.toml", "not = [toml", false),
    ] {
        let sandbox = Sandbox::new();
        let home = sandbox.home();
        let program = fs::canonicalize(env!("CARGO_BIN_EXE_git-vault")).expect("its path");
        let command = format!("'{}' agents hook gemini", program.display());
        let settings = settings
            .replace("@HOME@", home.to_str().expect("UTF-8"))
            .replace("@COMMAND@", &command);
        let path = write(&home, file, &settings);
        let install = run(&sandbox, &sandbox.path("tmp"), &["agents", "install", tool]);
        let (report, said) = status(&sandbox, tool);
        let code = Some(if is_off { 3 } else { 0 });
        assert_eq!(
            (install.code, said.code),
            (code, code),
            "{settings}\n{said}"
        );
        assert_eq!(report["state"], "installed", "{settings}\n{said}");
        assert_eq!(report["hooks_off"], is_off, "{settings}\n{said}");
        assert_eq!(said.text().contains("switch hooks off"), is_off, "{said}");
        if is_off {
            let by = report["hooks_off_by"].as_str().expect("the setting");
            assert!(by.contains(file), "{by}");
        }
        // What is only looked at is not touched, and what is edited comes back.
        let _said = run(
            &sandbox,
            &sandbox.path("tmp"),
            &["agents", "uninstall", tool],
        );
        assert_eq!(fs::read_to_string(&path).expect("read"), settings);
    }
}
