//! `status` says how good the backup is: what is new since, what was checked and proven, and what needs attention.

use std::fs;

use crate::laboratory::Laboratory;
use crate::support::Sandbox;
use crate::support::files::{append, write};
use crate::support::fingerprint::Fingerprint;

#[test]
fn status_tells_what_is_new_since_the_newest_snapshot_and_touches_nothing() {
    let laboratory = Laboratory::new();
    let source = &laboratory.source;
    let asked = || {
        let before = Fingerprint::of(&laboratory.sandbox.workplace());
        let vault = laboratory.vault_listing();
        let answer = laboratory.run(&["--json", "status"]).json();
        before.assert_untouched(&laboratory.sandbox.workplace());
        assert!(vault == laboratory.vault_listing());
        (
            answer["changed_since"].as_u64().expect("a number"),
            answer["git_changed_since"].as_bool().expect("an answer"),
        )
    };
    assert_eq!(asked(), (0, false));
    append(source, "README.md", "new\n");
    assert_eq!(asked(), (1, false), "a file changed");
    write(source, "untracked/new.txt", "new\n");
    assert_eq!(asked(), (3, false), "a file and its directory changed, too");
    fs::remove_file(source.join("src/one.txt")).expect("the file is removed");
    assert_eq!(
        asked(),
        (4, false),
        "a file that is gone shows in its directory"
    );
    laboratory.sandbox.git(source, &["branch", "another"]);
    assert_eq!(asked(), (4, true), "a ref came");
    let _id = laboratory.sandbox.snapshot(source);
    assert_eq!(asked(), (0, false));
}

#[test]
fn status_asks_for_a_snapshot_a_verification_and_a_drill() {
    let sandbox = Sandbox::new();
    let source = sandbox.init("source");
    write(&source, "a", "a\n");
    sandbox.commit(&source, "one");
    let _said = sandbox.vault(&source, &["init"]).succeeded();
    let attention = || {
        let said = sandbox.vault(&source, &["--json", "status"]);
        let answer = said.json();
        let all = answer["attention"].as_array().expect("an array");
        all.iter()
            .map(|one| one["about"].as_str().expect("a word").to_owned())
            .collect::<Vec<_>>()
    };
    assert_eq!(attention(), ["sealed", "keys"]);
    let _id = sandbox.snapshot(&source);
    assert_eq!(attention(), ["keys", "verified", "proven"]);
    let _said = sandbox.vault(&source, &["verify"]).succeeded();
    assert_eq!(attention(), ["keys", "proven"]);
}

#[test]
fn status_is_five_lines_and_one_for_each_thing_that_needs_attention() {
    let laboratory = Laboratory::new();
    let said = laboratory.run(&["status"]);
    assert_eq!(said.code, Some(3), "{said}");
    let text = said.text();
    let words: Vec<&str> = text
        .lines()
        .map(|line| line.split_whitespace().next().expect("a word"))
        .collect();
    assert_eq!(
        words[..5],
        ["SEALED", "VERIFIED", "PROVEN", "KEYS", "HEALTH"],
        "{text}"
    );
    assert!(
        words[5..]
            .iter()
            .all(|word| ["NOT", "ATTENTION", "->"].contains(word)),
        "{text}"
    );
}

#[test]
fn status_of_a_named_vault_needs_no_repository() {
    let laboratory = Laboratory::new();
    let elsewhere = laboratory.sandbox.path("tmp");
    let vault = laboratory.vault.to_str().expect("UTF-8");
    let said = laboratory
        .sandbox
        .vault(&elsewhere, &["--vault", vault, "--json", "status"]);
    assert_eq!(said.code, Some(3), "{said}");
    assert!(said.json()["changed_since"].is_null(), "{said}");
}

#[test]
fn metrics_are_written_whole_for_others_to_read_and_never_into_the_vault() {
    let laboratory = Laboratory::new();
    let file = laboratory.sandbox.path("vault.prom");
    let said = laboratory.run(&["status", "--metrics", file.to_str().expect("UTF-8")]);
    assert_eq!(said.code, Some(3), "{said}");
    let text = fs::read_to_string(&file).expect("the metrics are read");
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let (name, value) = line.rsplit_once(' ').expect("a name and a value");
        assert!(
            name.starts_with("git_vault_") && name.ends_with("\"}"),
            "{line}"
        );
        assert!(value.parse::<i64>().is_ok(), "{line}");
    }
    assert!(text.contains("git_vault_snapshots{"), "{text}");
    let before = laboratory.vault_listing();
    let inside = laboratory.vault.join("cache/metrics");
    let _said = laboratory
        .run(&["status", "--metrics", inside.to_str().expect("UTF-8")])
        .refused("GV-1005");
    assert!(before == laboratory.vault_listing());
}

/// What is ignored and looks precious is named, with lines that really take it in.
#[test]
fn status_names_precious_ignored_files_and_the_lines_that_include_them() {
    let sandbox = Sandbox::new();
    let source = sandbox.init("source");
    write(
        &source,
        ".gitignore",
        ".env*\n*.pem\nsecret dir/\nnode_modules/\n*.o\n*.db\n",
    );
    for name in [
        ".env",
        "sub/.env.local",
        "certs/a.pem",
        "certs/b.pem",
        "certs/C.PEM",
        "secret dir/deep/[1] x.key",
        "node_modules/x/test.pem",
        "main.o",
        "seen.db",
        "Makefile",
    ] {
        write(&source, name, name);
    }
    sandbox.commit(&source, "one");
    sandbox.git(&source, &["config", "--add", "vault.exclude", "seen.db"]);
    let _id = sandbox.snapshot(&source);
    let before = Fingerprint::of(&sandbox.workplace());
    let said = sandbox.vault(&source, &["--json", "status"]);
    before.assert_untouched(&sandbox.workplace());
    let answer = said.json();
    let top = source.to_str().expect("UTF-8");
    let files: Vec<&str> = answer["unprotected"]["files"]
        .as_array()
        .expect("an array")
        .iter()
        .map(|file| file["path"].as_str().expect("a path"))
        .map(|path| path.strip_prefix(top).expect("below the top"))
        .collect();
    let mut due = [
        "/.env",
        "/certs/a.pem",
        "/certs/b.pem",
        "/secret dir/deep/[1] x.key",
        "/sub/.env.local",
    ]
    .to_vec();
    // `C.PEM` is ignored only where git is told not to mind upper and lower case.
    assert_eq!(files, due, "{said}");
    let text = sandbox.vault(&source, &["status"]).text();
    assert!(
        text.contains("\nNOT PROTECTED .env (4 B), ignored by"),
        "{text}"
    );
    let lines = text
        .lines()
        .filter_map(|line| line.trim().strip_prefix("-> "));
    let lines = lines.filter(|line| line.starts_with("git config --add vault.include "));
    let lines: Vec<&str> = lines.collect();
    assert_eq!(lines.len(), 4, "{text}");
    let mut command = sandbox.command("sh", &source);
    let output = command.args(["-ec", &lines.join("\n")]).output();
    assert!(output.expect("sh starts").status.success());
    let text = sandbox.vault(&source, &["status"]).text();
    assert!(!text.contains("ignored by"), "{text}");
    let alone = "NOT PROTECTED there is no remote: all commits are on this machine only";
    assert!(text.contains(alone), "{text}");
    let _id = sandbox.snapshot(&source);
    let listed = sandbox.vault(&source, &["ls", "-R"]).text();
    due.push("/Makefile");
    for path in due {
        let name = path.trim_start_matches('/');
        assert!(listed.contains(name), "{name}: {listed}");
        let asked = format!("@latest:{name}");
        let said = sandbox.vault(&source, &["cat", &asked]).succeeded();
        assert_eq!(said.text(), name);
    }
    assert!(!listed.contains("node_modules/x"), "{listed}");
}

#[test]
fn status_says_what_is_on_no_remote() {
    let sandbox = Sandbox::new();
    let remote = sandbox.path("tmp/remote.git");
    let remote = remote.to_str().expect("UTF-8");
    let source = sandbox.init("source");
    write(&source, "a", "a\n");
    sandbox.commit(&source, "one");
    sandbox.git(&source, &["init", "--quiet", "--bare", remote]);
    let url = "https://example.invalid/source.git";
    let instead = format!("url.{remote}.insteadOf");
    sandbox.git(&source, &["config", &instead, url]);
    sandbox.git(&source, &["remote", "add", "origin", url]);
    sandbox.git(&source, &["push", "--quiet", "origin", "main"]);
    let _id = sandbox.snapshot(&source);
    assert!(
        !sandbox
            .vault(&source, &["status"])
            .text()
            .contains("NOT PROTECTED")
    );
    write(&source, "a", "b\n");
    sandbox.commit(&source, "two");
    let text = sandbox.vault(&source, &["status"]).text();
    let due = "NOT PROTECTED 1 commit on no remote: on this machine only";
    assert!(text.contains(due), "{text}");
    let answer = sandbox.vault(&source, &["--json", "status"]).json();
    assert_eq!(answer["unpushed"]["commits"], 1, "{answer:#}");
}

#[test]
fn the_readme_has_the_names_that_look_precious() {
    let readme = crate::architecture::read("README.md");
    for name in git_vault::model::precious::NAMES {
        assert!(readme.contains(&format!("`{name}`")), "{name}");
    }
}
