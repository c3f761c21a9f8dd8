//! Snapshots taken while another process works in the repository, and snapshots taken at the same time: each one is refused
//! or holds one consistent moment, and none of them harms another.

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Stdio};

use crate::crash::can_trace;
use crate::laboratory::{bounded, effort, refusal, run, vaults};
use crate::support::files::{append, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::{Kind, RepoState, Said, Sandbox, states};

/// A number of rounds: the first by default, the second at full effort.
fn rounds(default: usize, full: usize) -> usize {
    if effort() >= 10 {
        full
    } else {
        (default * effort()).min(full)
    }
}

/// One line on its input is one burst of work, after which it answers with a line. It counts: each step writes the next
/// number into `a`, `b` and (in place, line by line) `big`, then stages and commits `a` and `b`. Switching to the commit
/// before and back, and stashing the next number, change every place by one at most. So whenever one looks, the numbers in
/// the working tree, in the index and in HEAD differ by one at most, and all lines of `big` are the same.
const WRITER: &str = r#"
set -e
number=$1
put() {
    echo "$1" > .b-new; echo "$1" > .a-new
    mv .a-new a; mv .b-new b
    i=0; while [ $i -lt 400 ]; do echo "$1"; i=$((i+1)); done > big
}
step() {
    number=$((number+1)); put $number
    git add a b; git commit -q -m "number $number"
}
while read -r work length; do
    while [ "$length" -gt 0 ]; do
        length=$((length-1))
        case $work in
        commit) step ;;
        repack) step; git repack -q -a -d ;;
        collect) step; git gc -q --prune=now 2>/dev/null ;;
        switch) step; git switch -q -C side HEAD~1; git switch -q main ;;
        stash)
            put $((number+1)); git stash push -q -- a b; git stash pop -q
            number=$((number+1)); git add a b; git commit -q -m "number $number" ;;
        checkout) step; git checkout -q HEAD~1; git checkout -q main ;;
        rebase)
            step; GIT_SEQUENCE_EDITOR='sed -i s/^pick/edit/' git rebase -q -i --force-rebase HEAD~1 2>/dev/null
            git commit -q --amend -m "amended $number"; git rebase --continue >/dev/null 2>&1 ;;
        maintain) step; git maintenance run --quiet --task=gc 2>/dev/null ;;
        refs) step; git tag "t$number"; git update-ref refs/notes/x HEAD; git pack-refs --all ;;
        esac
    done
    echo done
done
"#;

const WORKS: [&str; 9] = [
    "commit", "repack", "collect", "switch", "stash", "refs", "checkout", "rebase", "maintain",
];

struct Writer {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Writer {
    fn start(sandbox: &Sandbox, repository: &Path) -> Self {
        let mut command = sandbox.command("sh", repository);
        command
            .args(["-c", WRITER, "writer", "1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut child = command.spawn().expect("the writer starts");
        let input = child.stdin.take().expect("its input");
        let output = BufReader::new(child.stdout.take().expect("its output"));
        Self {
            child,
            input,
            output,
        }
    }

    fn begin(&mut self, work: &str, length: usize) {
        writeln!(self.input, "{work} {length}").expect("the writer reads");
    }

    fn await_end(&mut self) {
        let mut line = String::new();
        let _bytes = self
            .output
            .read_line(&mut line)
            .expect("the writer answers");
        assert_eq!(line, "done\n", "the writer stopped");
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        let _killed = self.child.kill();
        let _status = self.child.wait();
    }
}

fn counting_repository(sandbox: &Sandbox) -> PathBuf {
    let repository = states::small_repository(sandbox);
    write(&repository, ".git/info/exclude", "big\n.a-new\n.b-new\n");
    for number in ["0\n", "1\n"] {
        write(&repository, "a", number);
        write(&repository, "b", number);
        sandbox.commit(&repository, "number");
    }
    sandbox.git(&repository, &["config", "vault.include", "big"]);
    repository
}

#[test]
fn a_snapshot_taken_while_git_works_is_refused_or_one_consistent_moment() {
    assert_one_moment_while_git_works(&Sandbox::new(), rounds(50, 200));
}

/// The same where git keeps its refs in tables: each change is a new table, and every few of them become one.
#[test]
fn the_same_holds_when_refs_are_in_tables() {
    let sandbox = Sandbox::new();
    if states::refs_in_tables(&sandbox) {
        assert_one_moment_while_git_works(&sandbox, rounds(18, 100));
    }
}

#[track_caller]
fn assert_one_moment_while_git_works(sandbox: &Sandbox, rounds: usize) {
    let repository = counting_repository(sandbox);
    let _quiet = sandbox.snapshot(&repository);
    let mut writer = Writer::start(sandbox, &repository);
    let mut sealed = Vec::new();
    let mut refused: BTreeMap<&str, usize> = BTreeMap::new();
    let mut wrong = Vec::new();
    for round in 0..rounds {
        let work = WORKS[round % WORKS.len()];
        writer.begin(work, 1 + round % 7);
        let said = run(sandbox, &repository, &["snapshot", "-m", work]);
        writer.await_end();
        if said.code == Some(0) {
            sealed.push((work, id_of(&said)));
            continue;
        }
        match refusal(&said) {
            Ok(code) if ["GV-2001", "GV-2002", "GV-2005"].contains(&code.code()) => {
                *refused.entry(code.code()).or_default() += 1
            }
            Ok(_) => wrong.push(format!(
                "while it did {work}: a code that does not fit\n{said}"
            )),
            Err(what) => wrong.push(format!("while it did {work}: {what}")),
        }
    }
    drop(writer);
    eprintln!("{} sealed, refused: {refused:?}", sealed.len());
    assert!(!sealed.is_empty(), "at least one should have been sealed");
    for (work, id) in &sealed {
        wrong.extend(
            inconsistencies(sandbox, &repository, id, work)
                .map(|what| format!("while it did {work}: {what}")),
        );
    }
    assert!(
        wrong.is_empty(),
        "{} complaints:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
    let _said = run(sandbox, &repository, &["verify", "--deep"]).succeeded();
    assert_sealed_when_quiet(sandbox, &repository);
}

#[track_caller]
fn assert_sealed_when_quiet(sandbox: &Sandbox, repository: &Path) {
    let original = RepoState::capture(sandbox, repository, Kind::Workspace);
    let id = sandbox.snapshot(repository);
    let restored = sandbox.restore(repository, &id, "quiet");
    let found = RepoState::capture(sandbox, &restored, Kind::Workspace);
    RepoState::assert_same_workspace(&original.without(&[b".a-new".to_vec()]), &found);
}

pub fn id_of(said: &Said) -> String {
    let text = said.text();
    let mut words = text.split_ascii_whitespace();
    assert!(
        matches!(words.next(), Some("SEALED" | "UNCHANGED")),
        "{said}"
    );
    words.next().expect("an id").to_owned()
}

/// Restores a snapshot and asks git, and the numbers, whether it is one moment.
fn inconsistencies(sandbox: &Sandbox, repository: &Path, id: &str, work: &str) -> Option<String> {
    let restored = sandbox.restore(repository, id, "out");
    let mut wrong = Vec::new();
    for arguments in [
        &["fsck", "--full", "--no-dangling"][..],
        &[
            "rev-list",
            "--objects",
            "--all",
            "--reflog",
            "--indexed-objects",
            "--quiet",
        ],
        &["status", "--porcelain"],
    ] {
        let output = sandbox.try_git(&restored, arguments);
        if !output.status.success() || !output.stderr.is_empty() {
            wrong.push(format!(
                "git {arguments:?}: {}",
                String::from_utf8_lossy(&output.stderr)
            ));
        }
    }
    let read = |name: &str| fs::read_to_string(restored.join(name)).unwrap_or_default();
    let show = |object: &str| {
        String::from_utf8(
            sandbox
                .try_git(&restored, &["cat-file", "blob", object])
                .stdout,
        )
        .expect("UTF-8")
    };
    let big = read("big");
    let whole_lines: Vec<&str> = big
        .split_inclusive('\n')
        .filter(|line| line.ends_with('\n'))
        .collect();
    if whole_lines.iter().any(|line| *line != whole_lines[0]) {
        wrong.push(format!(
            "'big' holds several numbers: {:?} and {:?}",
            whole_lines.first(),
            whole_lines.last()
        ));
    }
    // Where git itself writes the files, it takes each away before it writes it, and a stash of some paths takes all of them
    // away first: for a moment they are gone or empty. The writer's own steps put them in place by renaming.
    let git_writes = ["switch", "stash", "checkout", "rebase"].contains(&work);
    let mut texts = vec![("a", read("a")), ("b", read("b"))];
    texts.retain(|(_, text)| !(git_writes && text.is_empty()));
    texts.extend([
        ("index a", show(":a")),
        ("index b", show(":b")),
        ("HEAD a", show("HEAD:a")),
        ("HEAD b", show("HEAD:b")),
    ]);
    texts.extend(whole_lines.first().map(|line| ("big", (*line).to_owned())));
    let numbers: Vec<Option<u64>> = texts
        .iter()
        .map(|(_, text)| text.trim_end().parse().ok())
        .collect();
    let (low, high) = (
        numbers.iter().min().copied().flatten(),
        numbers.iter().max().copied().flatten(),
    );
    if low.zip(high).is_none_or(|(low, high)| high - low > 1) {
        wrong.push(format!("not one moment: {texts:?}"));
    }
    fs::remove_dir_all(restored).expect("the copy is removed");
    (!wrong.is_empty()).then(|| format!("snapshot {id}:\n{}", wrong.join("\n")))
}

/// Git packs a loose object away between the look at the store and the reading: the next attempt reads it from the pack, and
/// nothing of the first attempt is left in what is sealed.
#[test]
fn an_object_that_moves_while_it_is_copied_costs_a_second_attempt_and_leaves_nothing() {
    if !can_trace("an object that moves") {
        return;
    }
    let sandbox = Sandbox::new();
    let repository = states::small_repository(&sandbox);
    let original = RepoState::capture(&sandbox, &repository, Kind::Workspace);
    let id = sandbox.git_text(&repository, &["rev-parse", "HEAD:README.md"]);
    let object = repository
        .join(".git/objects")
        .join(&id[..2])
        .join(&id[2..]);
    let mut command = sandbox.command("strace", &repository);
    command
        .args(["-f", "-qq", "-o"])
        .arg(sandbox.path("tmp/trace"))
        .arg("-P")
        .arg(object);
    command.args([
        "-e",
        "trace=openat",
        "-e",
        "inject=openat:error=ENOENT:when=1",
    ]);
    command.args([env!("CARGO_BIN_EXE_git-vault"), "snapshot"]);
    let said = bounded(
        command,
        "git-vault snapshot, with an object that is not there at first",
    )
    .succeeded();
    let trace = fs::read_to_string(sandbox.path("tmp/trace")).expect("the trace is read");
    assert!(
        trace.contains("INJECTED"),
        "the object should have been opened\n{trace}"
    );
    assert_none_harms_another(&sandbox, &repository, std::slice::from_ref(&said));
    let restored = sandbox.restore(&repository, &id_of(&said), "out");
    let found = RepoState::capture(&sandbox, &restored, Kind::Workspace);
    RepoState::assert_same_workspace(&original, &found);
}

/// Starts one run in each directory at the same time and waits for all.
fn at_once(sandbox: &Sandbox, directories: &[&Path], arguments: &[&str]) -> Vec<Said> {
    let runs = directories.iter().map(|directory| {
        let mut command = sandbox.vault_command(directory);
        command.args(arguments);
        command
    });
    let commands: Vec<_> = runs.collect();
    let label = format!("git-vault {}", arguments.join(" "));
    std::thread::scope(|scope| {
        let threads: Vec<_> = commands
            .into_iter()
            .map(|command| scope.spawn(|| bounded(command, &label)))
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("the thread ends"))
            .collect()
    })
}

/// What is wrong with runs at the same time: each is sealed or says that another was writing; what was sealed is listed.
#[track_caller]
pub fn assert_none_harms_another(sandbox: &Sandbox, repository: &Path, said: &[Said]) {
    let all: String = said.iter().map(ToString::to_string).collect();
    let listed = run(sandbox, repository, &["list"]);
    assert_eq!(
        listed.code,
        Some(0),
        "the vault should still open after\n{all}\nbut\n{listed}"
    );
    let mut sealed = 0;
    for said in said {
        if said.code == Some(0) {
            sealed += 1;
            let id = id_of(said);
            assert!(
                listed.text().contains(&id),
                "'{id}' should be listed after\n{all}\nbut\n{listed}"
            );
        } else {
            assert_eq!(
                refusal(said).map(|code| code.code()),
                Ok("GV-1401"),
                "{all}"
            );
        }
    }
    assert!(sealed > 0, "one of them should have won\n{all}");
    let _said = run(sandbox, repository, &["verify", "--deep"]).succeeded();
}

#[test]
fn snapshots_of_one_repository_at_the_same_time_do_not_harm_each_other() {
    let sandbox = Sandbox::new();
    let repository = states::small_repository(&sandbox);
    let _first = sandbox.snapshot(&repository);
    for round in 0..rounds(6, 100) {
        append(&repository, "README.md", format!("round {round}\n"));
        sandbox.commit(&repository, "another round");
        append(&repository, "src/one.txt", "edited\n");
        let untouched = Fingerprint::of(&sandbox.workplace());
        let original = RepoState::capture(&sandbox, &repository, Kind::Workspace);
        let said = at_once(
            &sandbox,
            &[&repository, &repository, &repository],
            &["snapshot", "-m", "at once"],
        );
        assert_none_harms_another(&sandbox, &repository, &said);
        untouched.assert_untouched(&sandbox.workplace());
        for said in said.iter().filter(|said| said.code == Some(0)) {
            let restored = sandbox.restore(&repository, &id_of(said), "out");
            let found = RepoState::capture(&sandbox, &restored, Kind::Workspace);
            RepoState::assert_same_workspace(&original, &found);
            fs::remove_dir_all(restored).expect("the copy is removed");
        }
    }
}

#[test]
fn first_snapshots_of_one_repository_at_the_same_time_share_one_vault() {
    for _round in 0..3 * effort() {
        let sandbox = Sandbox::new();
        let repository = states::small_repository(&sandbox);
        let said = at_once(
            &sandbox,
            &[&repository, &repository],
            &["snapshot", "-m", "at once"],
        );
        assert_none_harms_another(&sandbox, &repository, &said);
        assert_eq!(vaults(&sandbox).len(), 1, "{said:?}");
    }
}

#[test]
fn snapshots_of_two_repositories_at_the_same_time_go_to_two_vaults() {
    let sandbox = Sandbox::new();
    let one = states::small_repository(&sandbox);
    let other = sandbox.init("other");
    write(&other, "other.txt", "another repository\n");
    sandbox.commit(&other, "only");
    for round in 0..3 * effort() {
        append(&one, "README.md", "more\n");
        append(&other, "other.txt", "more\n");
        let said = at_once(&sandbox, &[&one, &other], &["snapshot"]);
        for (said, repository) in said.iter().zip([&one, &other]) {
            assert_eq!(said.code, Some(0), "{said}");
            assert_none_harms_another(&sandbox, repository, std::slice::from_ref(said));
        }
        assert_eq!(vaults(&sandbox).len(), 2, "round {round}");
    }
}
