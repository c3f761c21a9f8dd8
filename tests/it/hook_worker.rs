//! The worker that hooks hand over to: one at a time, one snapshot for all that came, and nothing is forgotten when it is killed.

use std::fs;
use std::process::Stdio;

use git_vault::vault::heartbeats::{self, Outcome};

use crate::support::files::{append, write};
use crate::support::gits::gits;
use crate::support::hooked::Hooked;
use crate::support::mount::has_tool;

/// Looks again until there is an answer: what is asked for is on its way, and nothing tells when it is there.
fn await_answer<T>(what: &str, look: impl Fn() -> Option<T>) -> T {
    let begun = std::time::Instant::now();
    loop {
        if let Some(answer) = look() {
            return answer;
        }
        assert!(begun.elapsed().as_secs() < 60, "{what}");
        std::thread::yield_now();
    }
}

/// The worker of a sandbox, by its command line, which the system shows only a moment after its beginning.
fn worker_of(hooked: &Hooked) -> rustix::process::Pid {
    let git_dir = hooked.source.join(".git");
    let git_dir = git_dir.to_str().expect("UTF-8");
    let find = || {
        let processes = fs::read_dir("/proc").expect("processes are listed");
        let mut ids = processes.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        let id = ids.find(|id: &i32| {
            let line = fs::read(format!("/proc/{id}/cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains(git_dir) && line.contains("\0worker\0")
        })?;
        rustix::process::Pid::from_raw(id)
    };
    await_answer("a worker waits", find)
}

/// The session of a process; 0 for one that began outside the container, which `getsid` of rustix does not expect.
fn session_of(id: i32) -> i32 {
    let stat = fs::read_to_string(format!("/proc/{id}/stat")).expect("it runs");
    // The name, in brackets, may hold anything; state, parent, group and session follow (proc(5)).
    let (_name, rest) = stat.rsplit_once(") ").expect("a name in brackets");
    let session = rest.split(' ').nth(3).expect("a session");
    session.parse().expect("a number")
}

#[test]
fn a_worker_that_is_killed_leaves_the_work_to_the_next_event() {
    if !cfg!(target_os = "linux") {
        eprintln!("SKIPPED: workers are not found without /proc");
        return;
    }
    for git in gits() {
        let mut hooked = Hooked::installed(&git);
        hooked.quiet = "600000";
        append(&hooked.source, "a.txt", "precious\n");
        let output = hooked.try_git_in(&hooked.source, &["commit", "-qam", "x"]);
        hooked.assert_success(&["commit"], &output);
        let worker = worker_of(&hooked);
        rustix::process::kill_process(worker, rustix::process::Signal::KILL).expect("killed");
        hooked.wait();
        assert!(hooked.pending().is_any());
        assert_eq!(hooked.triggers(), ["manual"]);
        hooked.quiet = "0";
        append(&hooked.source, "a.txt", "more\n");
        hooked.git(&["commit", "-qam", "y"]);
        assert!(!hooked.pending().is_any());
        assert_eq!(hooked.triggers(), ["manual", "hook/post-commit"]);
    }
}

#[test]
fn a_worker_is_in_a_session_of_its_own_and_holds_nothing_of_its_caller() {
    if !cfg!(target_os = "linux") {
        eprintln!("SKIPPED: workers are not found without /proc");
        return;
    }
    let git = gits().remove(0);
    let mut hooked = Hooked::installed(&git);
    hooked.quiet = "600000";
    append(&hooked.source, "a.txt", "precious\n");
    // The shell would wait for the end of the pipe if the worker had it.
    let held = hooked.sandbox.path("held by the caller");
    let line = format!(
        "exec 5>&1 11>'{0}' 200>'{0}'; x=$('{1}' commit -qam x); echo \"$x\"",
        held.display(),
        git.program.display()
    );
    let mut command = hooked.shell_command(&line);
    if has_tool("descriptors above 9", "bash") {
        command = hooked.bash_command(&line);
    }
    let output = command.output().expect("a shell starts");
    assert!(output.status.success());
    let worker = worker_of(&hooked);
    let id = worker.as_raw_nonzero().get();
    let link = |name: &str| fs::read_link(format!("/proc/{id}/{name}")).expect("a link");
    assert_eq!(link("cwd").to_str(), Some("/"));
    assert_eq!(link("fd/1").to_str(), Some("/dev/null"));
    assert_eq!(link("fd/2").to_str(), Some("/dev/null"));
    assert_eq!(link("fd/0"), hooked.pending().lock_file());
    let open = fs::read_dir(format!("/proc/{id}/fd")).expect("its files");
    let mut open = open.map(|one| fs::read_link(one.expect("an entry").path()).expect("a link"));
    assert!(
        open.all(|file| file != held),
        "it keeps a file of its caller"
    );
    let environment = await_answer("its environment", || {
        let bytes = fs::read(format!("/proc/{id}/environ")).expect("its environment");
        (!bytes.is_empty()).then(|| String::from_utf8_lossy(&bytes).into_owned())
    });
    await_answer("a session of its own", || {
        (session_of(id) == id).then_some(())
    });
    let mut names = environment
        .split('\0')
        .filter_map(|line| line.split('=').next());
    assert!(environment.contains("GIT_VAULT_ACTIVE=1"));
    assert!(names.all(|name| !["GIT_INDEX_FILE", "GIT_DIR", "GIT_EXEC_PATH"].contains(&name)));
    rustix::process::kill_process(worker, rustix::process::Signal::KILL).expect("killed");
    hooked.wait();
}

/// Two branches that change the same lines twice: a rebase of one onto the other stops twice.
fn two_conflicts(hooked: &Hooked) {
    hooked.git(&["checkout", "-q", "-b", "topic"]);
    for (branch, text) in [("topic", "mine\n"), ("main", "theirs\n")] {
        hooked.git(&["checkout", "-q", branch]);
        for file in ["a.txt", "b.txt"] {
            write(&hooked.source, file, text);
            hooked.git(&["commit", "-qam", file]);
        }
    }
    hooked.git(&["checkout", "-q", "topic"]);
}

#[test]
fn where_a_rebase_stops_there_is_a_snapshot_of_it() {
    if !cfg!(target_os = "linux") {
        eprintln!("SKIPPED: nobody waits for the end of a command without /proc");
        return;
    }
    for git in gits() {
        for scope in ["repo", "global"] {
            if scope == "global" && !git.has_hooks_in_settings() {
                continue;
            }
            let hooked = Hooked::new(&git);
            two_conflicts(&hooked);
            let _said = hooked.vault(&["snapshot"]);
            let _said = hooked
                .vault(&["hooks", "install", "--scope", scope])
                .succeeded();
            let afterwards = || {
                let made = hooked.triggers();
                let later = made.iter().skip(2);
                later.filter(|one| *one != "hook/pre-rebase").count()
            };
            let stopped = |words: &[&str], file: &str| {
                let output = hooked.try_git_in(&hooked.source, words);
                assert!(!output.status.success(), "it stops: {output:?}");
                hooked.wait();
                let (trigger, id) = hooked.made().pop().expect("a snapshot");
                assert!(trigger != "hook/pre-rebase", "{git:?} {scope}: {words:?}");
                let name = format!("restored-{file}");
                let restored = hooked.sandbox.restore(&hooked.source, &id, &name);
                let text = fs::read_to_string(restored.join(file)).expect("the file");
                assert!(
                    text.contains("<<<<<<<"),
                    "{git:?} {scope} {words:?}: {text}"
                );
                assert!(restored.join(".git/rebase-merge").exists());
            };
            stopped(&["rebase", "main"], "a.txt");
            assert_eq!(afterwards(), 1, "{:?}", hooked.triggers());
            write(&hooked.source, "a.txt", "both\n");
            hooked.git(&["add", "a.txt"]);
            if scope == "repo" {
                stopped(&["-c", "core.editor=true", "rebase", "--continue"], "b.txt");
                assert_eq!(afterwards(), 2, "{:?}", hooked.triggers());
                hooked.git(&["add", "b.txt"]);
                hooked.git(&["-c", "core.editor=true", "rebase", "--continue"]);
                let made = hooked.triggers();
                assert_eq!(made.last().map(String::as_str), Some("hook/post-rewrite"));
                assert_eq!(afterwards(), 3, "{made:?}");
            }
        }
    }
}

/// `rebase --apply` ends without a hook, too.
#[test]
fn after_a_rebase_of_which_no_hook_tells_the_end_there_is_a_snapshot_by_another_name_than_before_it()
 {
    if !cfg!(target_os = "linux") {
        eprintln!("SKIPPED: nobody waits for the end of a command without /proc");
        return;
    }
    for git in gits() {
        let hooked = Hooked::installed(&git);
        hooked.on_topic("mine.txt");
        write(&hooked.source, "untracked.txt", "untracked\n");
        hooked.git(&["rebase", "-q", "--apply", "main"]);
        let made = hooked.made();
        let (_, last) = made.last().expect("snapshots");
        let of = |trigger: &str| made.iter().rfind(|one| one.0 == trigger).map(|one| &one.1);
        let before = of("hook/pre-rebase").expect("one before it");
        assert!(before != last, "{git:?}: {made:?}");
        let said = hooked
            .vault(&["--json", "show", "before:rebase"])
            .succeeded();
        assert_eq!(said.json()["snapshot"]["id"], before.as_str(), "{made:?}");
        let restored = hooked.sandbox.restore(&hooked.source, last, "restored");
        let log = hooked.sandbox.git_text(&restored, &["log", "--format=%s"]);
        assert_eq!(log, "mine\ntwo\none", "{git:?}");
    }
}

#[test]
fn many_events_at_once_make_one_snapshot() {
    let git = gits().remove(0);
    let hooked = Hooked::new(&git);
    append(&hooked.source, "a.txt", "precious\n");
    let start = |event: &str| {
        let mut command = hooked.vault_command(&hooked.source);
        command.args(["hook", event]).stdout(Stdio::null());
        command.spawn().expect("it starts")
    };
    let events = ["post-commit", "post-merge", "post-rewrite", "pre-auto-gc"];
    let children: Vec<_> = events
        .iter()
        .cycle()
        .take(12)
        .map(|event| start(event))
        .collect();
    for mut child in children {
        assert!(child.wait().expect("it ends").success());
    }
    hooked.wait();
    assert_eq!(hooked.made().len(), 2);
    assert!(!hooked.pending().is_any());
}

#[test]
fn while_a_worker_is_at_work_an_event_only_marks() {
    let git = gits().remove(0);
    let hooked = Hooked::new(&git);
    let pending = hooked.pending();
    pending
        .mark(git_vault::model::hook_event::HookEvent::PostCommit)
        .expect("marked");
    append(&hooked.source, "a.txt", "precious\n");
    let held = pending.try_lock().expect("a lock").expect("it is free");
    assert!(hooked.hook(&["post-merge"]).status.success());
    assert!(
        hooked.hook(&["worker", "post-commit"]).status.success(),
        "there is one"
    );
    assert_eq!(hooked.triggers(), ["manual"]);
    Hooked::give_back(&held);
    assert!(hooked.hook(&["worker", "post-commit"]).status.success());
    assert_eq!(
        hooked.triggers(),
        ["manual", "hook/post-merge"],
        "the newest mark says what it was"
    );
    assert!(!pending.is_any());
}

#[test]
fn a_refusal_is_noted_and_the_work_is_not_forgotten() {
    let git = gits().remove(0);
    let hooked = Hooked::new(&git);
    append(&hooked.source, "a.txt", "precious\n");
    let (keys, aside) = (hooked.sandbox.path("config"), hooked.sandbox.path("aside"));
    fs::rename(&keys, &aside).expect("moved");
    let output = hooked.hook(&["post-commit"]);
    assert!(output.status.success() && output.stderr.is_empty());
    hooked.wait();
    let beats = heartbeats::read(&hooked.state(), &hooked.source.join(".git"));
    let [beat] = &beats[..] else {
        panic!("{beats:?}");
    };
    assert_eq!(beat.trigger, "hook/post-commit");
    assert_eq!(
        (beat.outcome, beat.detail.as_str()),
        (Outcome::Refused, "GV-1201")
    );
    assert!(hooked.pending().is_any());
    fs::rename(&aside, &keys).expect("moved back");
    assert!(hooked.hook(&["post-merge"]).status.success());
    hooked.wait();
    assert!(!hooked.pending().is_any());
    assert_eq!(hooked.made().len(), 2);
}
