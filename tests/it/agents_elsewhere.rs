//! Coding agents that act elsewhere than where they are: what a line names is saved, however it names it, and no second vault is begun
//! where the first is only away.

use std::fs;
use std::os::unix::fs::symlink;

use crate::agents::{Heard, command, heard, hook, snapshots, writing};
use crate::laboratory::run;
use crate::support::files::{append, mkdir, write};
use crate::support::{Sandbox, states};

#[test]
fn a_repository_that_is_named_in_any_way_is_saved_before_it_is_changed() {
    let sandbox = Sandbox::new();
    let here = states::small_repository(&sandbox);
    let there = sandbox.init("second");
    write(&there, "a.txt", "committed\n");
    sandbox.commit(&there, "one");
    let parent = there.parent().expect("a parent").to_owned();
    let path = there.display().to_string();
    let relative = "../second";
    for (number, (from, line)) in [
        (
            &here,
            format!("cd {path} && T=`date +%s` && git checkout ."),
        ),
        (
            &here,
            format!("cd {relative} && echo $((1+1)) && git clean -fdx"),
        ),
        (&here, format!("mv $F {path}/a.txt")),
        (&parent, "rm -rf second/untracked".to_owned()),
        (&here, "F=$PWD/../second; rm -rf \"$F\"/*".to_owned()),
    ]
    .into_iter()
    .enumerate()
    {
        write(&there, "untracked", format!("{number}\n"));
        let said = hook(&sandbox, from, "claude", &command("claude", from, &line));
        assert_ne!(heard("claude", &said), Heard::Blocked, "{line}\n{said}");
        let made = snapshots(&sandbox, &there);
        assert_eq!(made.len(), number + 1, "{line}: {made:?}");
    }
    let link = here.join("leads elsewhere");
    symlink(there.join("a.txt"), &link).expect("a link");
    append(&there, "untracked", "before the edit\n");
    let before = snapshots(&sandbox, &there).len();
    let said = hook(&sandbox, &here, "claude", &writing("claude", &here, &link));
    assert_ne!(heard("claude", &said), Heard::Blocked, "{said}");
    assert_eq!(snapshots(&sandbox, &there).len(), before + 1);
}

#[test]
fn no_trigger_begins_a_second_vault_while_the_first_is_away() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let usb = mkdir(&sandbox.home(), "usb");
    sandbox.git(
        &source,
        &[
            "config",
            "vault.home",
            usb.join("vaults").to_str().expect("UTF-8"),
        ],
    );
    let _id = sandbox.snapshot(&source);
    fs::rename(&usb, usb.with_extension("away")).expect("unplugged");
    append(&source, "README.md", "more\n");
    let said = hook(
        &sandbox,
        &source,
        "claude",
        &command("claude", &source, "git reset --hard"),
    );
    assert_eq!(heard("claude", &said), Heard::Blocked, "{said}");
    assert!(said.to_string().contains("GV-1002"), "{said}");
    let said = run(&sandbox, &source, &["guard", "true"]);
    assert_eq!(said.code, Some(10), "{said}");
    assert!(!usb.exists() || fs::read_dir(&usb).expect("a directory").count() == 0);
    fs::rename(usb.with_extension("away"), &usb).expect("plugged in again");
    let _said = run(&sandbox, &source, &["guard", "true"]).succeeded();
    assert_eq!(snapshots(&sandbox, &source).len(), 2);
}

#[test]
fn a_repository_that_cannot_be_opened_is_not_taken_for_none() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    fs::remove_file(source.join(".git/HEAD")).expect("removed");
    let said = hook(
        &sandbox,
        &source,
        "claude",
        &command("claude", &source, "rm -rf src"),
    );
    assert_eq!(heard("claude", &said), Heard::Blocked, "{said}");
}

#[test]
fn one_vault_home_that_cannot_be_read_keeps_no_repository_from_its_sweep() {
    let sandbox = Sandbox::new();
    let first = states::small_repository(&sandbox);
    let second = sandbox.init("second");
    write(&second, "a.txt", "committed\n");
    sandbox.commit(&second, "one");
    let other = mkdir(&sandbox.home(), "other");
    sandbox.git(
        &second,
        &["config", "vault.home", other.to_str().expect("UTF-8")],
    );
    let _ids = (sandbox.snapshot(&first), sandbox.snapshot(&second));
    fs::remove_dir_all(other.join("registry")).expect("removed");
    symlink("registry", other.join("registry")).expect("a link that leads to itself");
    append(&first, "README.md", "more\n");
    let said = run(
        &sandbox,
        &sandbox.home(),
        &["--json", "sweep", "--quiet-for", "0s"],
    );
    assert_eq!(said.json()["outcome"], "swept", "{said}");
    assert_eq!(snapshots(&sandbox, &first).len(), 2, "{said}");
    assert_ne!(said.code, Some(0), "{said}");
}
