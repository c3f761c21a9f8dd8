//! How the program is started and ended by others: signals, closed streams, no home, no terminal, a linked environment.

use std::os::unix::process::ExitStatusExt;
use std::process::Stdio;

use crate::crash::can_trace;
use crate::laboratory::{Laboratory, Restored, refusal};
use crate::support::Said;
use crate::support::files::append;

/// What must hold after a run that was cut short: what was sealed is whole, and the next snapshot works.
#[track_caller]
fn assert_well(laboratory: &Laboratory, what: &str) {
    let verified = laboratory.run(&["verify"]);
    assert_eq!(verified.code, Some(0), "{what}\n{verified}");
    let next = laboratory.run(&["snapshot", "-m", "the next one"]);
    assert_eq!(next.code, Some(0), "{what}\n{next}");
    assert!(
        matches!(
            laboratory.restore_or_refuse(&laboratory.sealed[0]),
            Restored::Whole
        ),
        "{what}"
    );
}

#[test]
fn a_snapshot_ended_by_any_signal_leaves_every_sealed_snapshot_whole() {
    if !can_trace("signals") {
        return;
    }
    let laboratory = Laboratory::new();
    append(&laboratory.source, "src/one.txt", "edited\n");
    let mut ended = 0;
    for signal in ["INT", "TERM", "HUP", "QUIT", "PIPE"] {
        for point in [1, 4, 9] {
            let mut command = laboratory.sandbox.command("strace", &laboratory.source);
            command
                .args(["-f", "-qq", "-o", "/dev/null", "-e", "trace=fsync", "-e"])
                .arg(format!("inject=fsync:signal={signal}:when={point}"))
                .arg(env!("CARGO_BIN_EXE_git-vault"))
                .args(["snapshot", "-m", "to be ended"]);
            let output = command.output().expect("strace starts");
            let what = format!("SIG{signal} at fsync {point}");
            let is_ended = output.status.signal().is_some()
                || output.status.code().is_some_and(|code| code >= 128);
            // The runtime ignores SIGPIPE, so that a closed pipe is an answer and not an end.
            assert!(is_ended || signal == "PIPE", "{what}: {output:?}");
            ended += usize::from(is_ended);
            assert_well(&laboratory, &what);
            laboratory.reset();
        }
    }
    assert!(ended >= 12, "{ended} were ended");
}

#[test]
fn closed_streams_cost_the_answer_and_nothing_else() {
    let laboratory = Laboratory::new();
    append(&laboratory.source, "src/one.txt", "edited\n");
    let program = env!("CARGO_BIN_EXE_git-vault");
    for closed in ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"] {
        let mut command = laboratory.sandbox.command("sh", &laboratory.source);
        let script = format!("exec \"$0\" snapshot -m 'from a hook' {closed}");
        let output = command
            .args(["-c", &script, program])
            .stdin(Stdio::null())
            .output()
            .expect("sh starts");
        let said = Said::new(format!("git-vault snapshot {closed}"), output);
        assert_eq!(said.code, Some(0), "{said}");
        let listed = laboratory.run(&["--json", "list"]).succeeded().json();
        let count = listed["snapshots"].as_array().expect("an array").len();
        assert_eq!(count, laboratory.sealed.len() + 1, "{said}");
        assert_well(&laboratory, closed);
        laboratory.reset();
    }
}

#[test]
fn without_a_home_places_are_named_or_the_command_is_refused() {
    let laboratory = Laboratory::new();
    for (unset, is_told) in [
        (&["HOME"][..], true),
        (
            &["HOME", "XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"],
            false,
        ),
    ] {
        let mut command = laboratory.sandbox.vault_command(&laboratory.source);
        for name in unset {
            command.env_remove(name);
        }
        let output = command.args(["list"]).output().expect("the program starts");
        let said = Said::new(format!("git-vault list without {unset:?}"), output);
        if said.code != Some(0) {
            assert!(refusal(&said).is_ok(), "{said}");
        } else {
            assert!(is_told, "it found another home than it was told of\n{said}");
        }
    }
    assert_well(&laboratory, "after that");
}

/// Variables that git sets for its hooks must not lead the program elsewhere.
#[test]
fn the_environment_of_a_hook_leads_to_the_same_repository() {
    let laboratory = Laboratory::new();
    append(&laboratory.source, "src/one.txt", "edited\n");
    let git_dir = laboratory.source.join(".git");
    let git_dir = git_dir.to_str().expect("a UTF-8 path");
    let index = format!("{git_dir}/next-index-1.lock");
    let environment = [
        ("GIT_DIR", git_dir),
        ("GIT_INDEX_FILE", index.as_str()),
        ("GIT_PREFIX", "src/"),
        ("GIT_EXEC_PATH", "/nowhere"),
    ];
    let said = laboratory
        .sandbox
        .vault_with(&laboratory.source, &environment, &["--json", "snapshot"])
        .succeeded();
    assert_eq!(said.json()["outcome"], "sealed", "{said}");
    assert_eq!(
        crate::laboratory::only_vault(&laboratory.sandbox),
        laboratory.vault
    );
    assert_well(&laboratory, "after that");
}
