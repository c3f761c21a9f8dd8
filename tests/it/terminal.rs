//! Names and messages from elsewhere never steer the terminal and never forge a line.

use std::path::Path;

use crate::answers::Scene;
use crate::laboratory::run;
use crate::refusals::assert_refused;
use crate::support::Said;
use crate::support::files::{append, at, mkdir, symlink, write};

/// A name that clears the screen, forges a line, turns text around, and ends in bytes that are no UTF-8.
const EVIL: &[u8] = b"evil\x1b[2J\x1b]0;title\x07\nSEALED forged\r\xe2\x80\xae\xc2\x9b31m\xff";

/// Stops the test if the bytes could steer a terminal or forge a line.
#[track_caller]
fn assert_harmless(said: &Said) {
    for stream in [&said.stdout, &said.stderr] {
        let text = std::str::from_utf8(stream).unwrap_or_else(|_| panic!("UTF-8\n{said}"));
        let harmful = |character: char| {
            (character.is_control() && character != '\n')
                || ('\u{202a}'..='\u{202e}').contains(&character)
        };
        assert!(!text.contains(harmful), "{text:?}");
        assert!(
            !text.lines().any(|line| line.starts_with("SEALED forged")),
            "{text:?}"
        );
    }
}

/// Runs a command and looks at what it says.
fn say(scene: &Scene, directory: &Path, arguments: &[&str]) -> Said {
    let said = run(&scene.sandbox, directory, arguments);
    assert_harmless(&said);
    said
}

/// People print JSON on terminals, too.
#[test]
fn json_holds_control_and_direction_characters_as_escapes_only() {
    let scene = Scene::new();
    let evil = String::from_utf8_lossy(EVIL).into_owned();
    let nested = at(&scene.source, EVIL);
    for (arguments, is_told) in [
        (&["snapshot", "-m", &evil, "-l", &evil][..], true),
        (&["list"], true),
        (&["show"], true),
        (&["show", &evil], true),
        (&["-C", &evil, "list"], true),
        (&["verify"], false),
    ] {
        let said = scene.run(&[&["--json"], arguments].concat());
        assert_harmless(&said);
        assert_eq!(
            said.json().to_string().contains("forged"),
            is_told,
            "{said}"
        );
    }
    mkdir(&nested, "x");
    symlink(&nested, ".git", "x");
    let said = scene.run(&["--json", "snapshot"]);
    assert_eq!(said.json()["code"], "GV-2004", "{said}");
    assert_harmless(&said);
}

#[test]
fn a_name_with_escapes_reaches_the_terminal_nowhere() {
    let scene = Scene::new();
    let evil = String::from_utf8_lossy(EVIL).into_owned();
    let place = at(&scene.source, [b"in ".as_slice(), EVIL].concat());
    mkdir(&place, "deep");
    // A rule, an ignored file, a special file, a hook, a setting, a broken ref, a branch of such names.
    write(&place, ".gitignore", b"*.log\x1b[2J\r\n*.tmp\n");
    write(&place, "x.tmp", "ignored\n");
    write(
        &scene.source,
        [b".git/hooks/".as_slice(), EVIL].concat(),
        "#!/bin/sh\n",
    );
    crate::support::files::chmod(
        &at(&scene.source, [b".git/hooks/".as_slice(), EVIL].concat()),
        0o755,
    );
    append(
        &scene.source,
        ".git/config",
        "[alias]\n\tx = \"!echo \x1b[2J\"\n",
    );
    write(
        &scene.source,
        [b".git/refs/heads/broken".as_slice(), b"\x1b[2J"].concat(),
        "",
    );
    let fifo = std::process::Command::new("mkfifo")
        .arg(at(&place, b"pipe\x1b[2J"))
        .status();
    assert!(fifo.expect("mkfifo starts").success());
    let said = say(
        &scene,
        &scene.source,
        &["snapshot", "-m", &evil, "-l", &evil],
    );
    let _said = said.succeeded();
    let destination = at(
        &scene.sandbox.home(),
        [b"to ".as_slice(), b"\x1b[2J\n\xe2\x80\xae"].concat(),
    );
    let destination = destination.to_str().expect("a UTF-8 path");
    let unknown = format!("no {evil}");
    for arguments in [
        &["list"][..],
        &["show"],
        &["verify", "--deep"],
        &["show", &evil],
        &["verify", &evil],
        &["runbook", &evil],
        &["restore", &unknown, destination],
        &["ls", "-R", &evil],
        &["ls", &format!("@latest:{evil}")],
        &["cat", &format!("@latest:{evil}")],
        &["find", &evil],
        &["find", "tmp"],
        &["log", &evil],
        &["--vault", &evil, "list"],
        &["-C", &evil, "list"],
    ] {
        let _said = say(&scene, &scene.source, arguments);
    }
    let said = run(
        &scene.sandbox,
        &scene.source,
        &["restore", "@latest", destination],
    )
    .succeeded();
    assert_harmless(&said);
    assert!(!said.stdout.is_empty());
    // Refusals that name such a path.
    let said = say(&scene, &scene.source, &["restore", "@latest", destination]);
    assert_refused(&said, &["GV-2101"], "not empty");
    symlink(&place, ".git", "elsewhere");
    assert_refused(
        &say(&scene, &scene.source, &["snapshot"]),
        &["GV-2004"],
        ".git",
    );
    assert_refused(
        &say(&scene, &scene.sandbox.home(), &["list"]),
        &["GV-1001"],
        "home",
    );
}
