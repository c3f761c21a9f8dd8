//! What stays of a settings file beside its text, and of notes when several write at once.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use crate::agents_settings::{CLAUDE, Home, text};
use crate::support::files::chmod;

/// Whoever comes second must not lose what the first one noted: it is what `uninstall` gives back.
#[test]
fn installs_at_the_same_time_lose_no_note() {
    for _ in 0..4 {
        let home = Home::new();
        let path = home.write(".claude/settings.json", CLAUDE);
        let commands = |words: &[&str]| {
            let running: Vec<_> = (0..4)
                .map(|_| {
                    let mut command = home.sandbox.vault_command(&home.sandbox.path("tmp"));
                    command.arg("agents").args(words);
                    command
                        .stdout(std::process::Stdio::null())
                        .stderr(std::process::Stdio::null());
                    command.spawn().expect("it starts")
                })
                .collect();
            for mut one in running {
                assert!(one.wait().expect("its end").success());
            }
        };
        commands(&["install", "claude"]);
        assert!(home.ledger("claude").exists());
        assert_eq!(home.state("claude"), "installed");
        assert_eq!(text(&path).matches("agents hook claude").count(), 2);
        commands(&["uninstall", "claude"]);
        assert_eq!(text(&path), CLAUDE);
        assert!(!home.ledger("claude").exists());
    }
}

/// What a file is beside its text: owner, group, mode, access list and extended attributes.
fn nature(home: &Home, path: &Path) -> (u32, u32, u32, String) {
    let found = fs::metadata(path).expect("metadata");
    let mut lists = String::new();
    for (program, arguments) in [
        ("getfacl", &["-n", "-p"][..]),
        ("getfattr", &["-d", "-m", "-", "--absolute-names"][..]),
    ] {
        let mut command = home.sandbox.command(program, &home.sandbox.path("tmp"));
        let said = command.args(arguments).arg(path).output();
        lists += &said.map_or(String::new(), |said| {
            String::from_utf8_lossy(&said.stdout).into_owned()
        });
    }
    (found.uid(), found.gid(), found.mode(), lists)
}

/// Somebody let a group read, or edit, the settings of a tool: that stays so.
#[test]
fn owner_group_access_list_and_attributes_stay() {
    let home = Home::new();
    let path = home.write(".claude/settings.json", CLAUDE);
    let own = fs::metadata(&path).expect("metadata").gid();
    let mut groups = home.sandbox.command("id", &home.sandbox.path("tmp"));
    let groups = groups.arg("-G").output().expect("id starts").stdout;
    let groups = String::from_utf8(groups).expect("numbers");
    let mut groups: Vec<u32> = groups
        .split_whitespace()
        .map(|group| group.parse().expect("a number"))
        .collect();
    if groups.contains(&0) {
        groups.push(4711);
    }
    match groups.into_iter().find(|group| *group != own) {
        Some(group) => std::os::unix::fs::chown(&path, None, Some(group)).expect("a member"),
        None => eprintln!("SKIPPED: one group only"),
    }
    chmod(&path, 0o660);
    for (program, arguments) in [
        ("setfacl", &["-m", "g:12345:rw,u:12346:r"][..]),
        ("setfattr", &["-n", "user.origin", "-v", "dotfiles"][..]),
    ] {
        let mut command = home.sandbox.command(program, &home.sandbox.path("tmp"));
        let is_set = command.args(arguments).arg(&path).status();
        if !is_set.is_ok_and(|status| status.success()) {
            eprintln!("SKIPPED: {program}");
        }
    }
    let before = nature(&home, &path);
    let _said = home.run(&["install", "claude"]).succeeded();
    assert!(text(&path).contains("agents hook"));
    assert_eq!(nature(&home, &path), before);
    let _said = home.run(&["uninstall", "claude"]).succeeded();
    assert_eq!(text(&path), CLAUDE);
    assert_eq!(nature(&home, &path), before);
}
