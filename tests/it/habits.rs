//! Daily use: completions in real shells, manual pages that man can show, help, the pager, narrow terminals and closed pipes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};

use crate::architecture::read;
use crate::laboratory::run;
use crate::support::files::{append, chmod, mkdir, write};
use crate::support::mount::has_tool;
use crate::support::{Said, Sandbox};

struct Scene {
    sandbox: Sandbox,
    source: PathBuf,
    ids: Vec<String>,
}

impl Scene {
    /// A repository with two snapshots, the first of which has a label.
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let source = sandbox.init("source");
        write(&source, "notes.txt", "x\n");
        write(&source, "src/main.rs", "x\n");
        write(&source, "src/a file", "x\n");
        sandbox.commit(&source, "one");
        let labelled = sandbox.vault(&source, &["--json", "snapshot", "-l", "keep"]);
        let first = labelled.json()["snapshot"]["id"]
            .as_str()
            .map(str::to_owned);
        append(&source, "notes.txt", "y\n");
        let ids = vec![first.expect("an id"), sandbox.snapshot(&source)];
        Self {
            sandbox,
            source,
            ids,
        }
    }

    fn run(&self, arguments: &[&str]) -> Said {
        run(&self.sandbox, &self.source, arguments)
    }

    fn complete(&self, words: &[&str]) -> Vec<String> {
        let said = self.run(&[&["complete", "words", "--"], words].concat());
        let said = said.succeeded();
        assert!(said.stderr.is_empty(), "{said}");
        let text = said.text();
        let first = |line: &str| line.split('\t').next().unwrap_or_default().to_owned();
        text.lines().map(first).collect()
    }

    /// The script of a shell, in a file.
    fn script(&self, shell: &str) -> PathBuf {
        let said = self.run(&["completions", shell]).succeeded();
        write(
            &self.sandbox.path("scripts"),
            format!("_git-{shell}"),
            said.stdout,
        )
    }

    fn shell(&self, shell: &str, options: &[&str], script: &str) -> Output {
        let file = write(&self.sandbox.path("tmp"), "script", script);
        let mut command = self.sandbox.command(shell, &self.source);
        command.args(options).arg(file).env("TERM", "dumb");
        command.output().expect("the shell starts")
    }
}

#[test]
fn what_could_come_next_is_named() {
    let scene = Scene::new();
    let (old, new) = (scene.ids[0].as_str(), scene.ids[1].as_str());
    assert_eq!(scene.complete(&["git", "vault", "snap"]), ["snapshot"]);
    assert_eq!(
        scene.complete(&["git", "vault", "show", ""]),
        ["@latest", "@~1", "keep", new, old]
    );
    assert_eq!(scene.complete(&["git-vault", "show", &old[..6]]), [old]);
    assert_eq!(
        scene.complete(&["git", "vault", "cat", "@~1:"]),
        ["@~1:notes.txt", "@~1:src/"]
    );
    assert_eq!(
        scene.complete(&["git", "vault", "cat", "@la"]),
        ["@latest:"]
    );
    assert_eq!(
        scene.complete(&["git", "vault", "restore", "keep:src/m"]),
        ["keep:src/main.rs"]
    );
    assert_eq!(
        scene.complete(&["git", "vault", "log", "no"]),
        ["notes.txt"]
    );
    assert_eq!(
        scene.complete(&["git", "vault", "restore", "@latest", ""]),
        [":files"]
    );
    assert_eq!(
        scene.complete(&["git", "vault", "runbook", "GV-2101"]),
        ["GV-2101"]
    );
    let verify = scene.complete(&["git", "vault", "verify", "--"]);
    assert!(verify.contains(&"--deep".to_owned()), "{verify:?}");
    let commands = scene.complete(&["git", "vault", ""]);
    assert!(commands.len() > 20 && !commands.contains(&"complete".to_owned()));
}

/// A shell is told nothing rather than disturbed.
#[test]
fn where_nothing_is_known_nothing_is_said() {
    let scene = Scene::new();
    let nowhere = mkdir(&scene.sandbox.home(), "no-repository");
    for words in [
        &["git", "vault", "show", ""][..],
        &["git", "vault", "cat", "@latest:"],
        &["git", "vault", "-C", "nowhere", "show", ""],
        &["git", "vault", "--vault", "nowhere", "show", ""],
        &["git", "vault", "snapshot", "-m", "x"],
        &["git", "vault", "no-such-command", ""],
        &["something", "else"],
    ] {
        let arguments = [&["complete", "words", "--"], words].concat();
        let said = run(&scene.sandbox, &nowhere, &arguments).succeeded();
        let is_silent = said.stderr.is_empty() && !said.text().contains("REFUSED");
        assert!(is_silent, "{said}");
        if words.len() > 3 && words[1] == "vault" {
            assert!(said.stdout.is_empty(), "{said}");
        }
    }
    let said = run(
        &scene.sandbox,
        &nowhere,
        &["complete", "line", "--", "git vault 'x"],
    );
    assert!(said.succeeded().stdout.is_empty());
}

#[test]
fn bash_completes_git_vault_through_gits_own_completion() {
    let scene = Scene::new();
    if !has_tool("completions", "bash") {
        return;
    }
    let script = scene.script("bash");
    let git = Path::new("/usr/share/bash-completion/completions/git");
    if !git.exists() {
        eprintln!("SKIPPED: completions: git's own for bash are not installed");
        return;
    }
    let text = format!(
        r#"source {git}
source '{script}'
try() {{
  COMP_LINE=$1 COMP_POINT=${{#1}} COMPREPLY=()
  read -ra COMP_WORDS <<<"$1"
  [[ $1 != *' ' ]] || COMP_WORDS+=("")
  COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))
  "$2"
  printf '[%s]' "${{COMPREPLY[@]}}"; echo
}}
COMP_WORDBREAKS=$' \t\n"\'@><=;|&(:'
try 'git vault sn' __git_wrap__git_main
try 'git vault show @la' __git_wrap__git_main
try 'git vault cat @latest:src/' __git_wrap__git_main
try 'git -C src vault show ke' __git_wrap__git_main
try 'git vault restore @latest ' __git_wrap__git_main
try 'git-vault key ex' __git_vault_complete
"#,
        git = git.display(),
        script = script.display()
    );
    let output = scene.shell("bash", &["--norc"], &text);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = said.lines().collect();
    let due = [
        "[snapshot ]",
        "[@latest ]",
        r"[src/a\ file ][src/main.rs ]",
        "[keep ]",
        "[]",
        "[export ]",
    ];
    assert_eq!(lines, due, "{output:?}");
}

#[test]
fn fish_completes_git_vault() {
    let scene = Scene::new();
    if !has_tool("completions", "fish") {
        return;
    }
    let script = scene.script("fish");
    let text = format!(
        "source '{}'\nfor line in 'git vault sn' 'git vault cat @latest:src/m' 'git-vault key ex' 'git -C src vault show ke'\n\
         complete -C $line\nend\n",
        script.display()
    );
    let output = scene.shell("fish", &["--no-config"], &text);
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let first = |line: &str| line.split('\t').next().unwrap_or_default().to_owned();
    let lines: Vec<String> = said.lines().map(first).collect();
    let due = ["snapshot", "@latest:src/main.rs", "export", "keep"];
    assert_eq!(lines, due, "{output:?}");
}

/// A zsh on a terminal of its own, in which a key is pressed.
#[test]
fn zsh_completes_git_vault() {
    let scene = Scene::new();
    if !has_tool("completions", "zsh") {
        return;
    }
    let script = scene.script("zsh");
    let place = mkdir(&scene.sandbox.path("functions"), "zsh");
    fs::copy(script, place.join("_git-vault")).expect("copied");
    let text = format!(
        r#"zmodload zsh/zpty || exit 9
try() {{
  local out
  zpty z "zsh -f -i"
  zpty -w z "PS1=; fpath=('{place}' \$fpath); autoload -Uz compinit; compinit -u -D; bindkey '^I' complete-word; comppostfuncs=(show); show() {{ print -r -- \"<<\$compstate[nmatches]|\$compstate[unambiguous]>>\" }}; print REA''DY"
  zpty -r -m z out '*READY*'
  zpty -n -w z "$1"$'\t'
  zpty -r -m z out '*<<*>>*'
  print -r -- "${{${{out##*<<}}%%>>*}}"
  zpty -d z
}}
try 'git vault sn'
try 'git vault cat @latest:src/m'
try 'git-vault key ex'
try 'git-vault show ke'
"#,
        place = place.display()
    );
    let output = scene.shell("zsh", &["-f"], &text);
    if output.status.code() == Some(9) {
        eprintln!("SKIPPED: completions: zsh has no zpty");
        return;
    }
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    let lines: Vec<&str> = said.lines().map(str::trim).collect();
    let due = ["1|snapshot", "1|@latest:src/main.rs", "1|export", "1|keep"];
    assert_eq!(lines, due, "{output:?}");
}

#[test]
fn manual_pages_are_written_where_man_finds_them_and_replace_nothing_foreign() {
    let scene = Scene::new();
    let pages = mkdir(&scene.sandbox.home(), "man/man1");
    let place = pages.to_str().expect("UTF-8");
    let said = scene.run(&["man", place]).succeeded();
    assert!(said.text().starts_with("WROTE"), "{said}");
    let page = fs::read_to_string(pages.join("git-vault.1")).expect("read");
    assert!(page.contains("SH EXAMPLES") && !page.contains("SH EXTRA"));
    assert!(pages.join("git-vault-key-export.1").exists());
    let _again = scene.run(&["man", place]).succeeded();
    if has_tool("manual pages", "man") {
        let mut command = scene.sandbox.command("git", &scene.source);
        let man = scene.sandbox.home().join("man");
        let program = Path::new(env!("CARGO_BIN_EXE_git-vault")).parent();
        let path = std::env::var("PATH").expect("a path");
        let path = format!("{}:{path}", program.expect("its place").display());
        command.args(["vault", "--help"]).env("PATH", path);
        command
            .env("MANPATH", man)
            .env("MANPAGER", "cat")
            .env("COLUMNS", "60");
        let output = command.output().expect("git starts");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(
            output.status.success() && text.contains("git-vault"),
            "{output:?}"
        );
    }
    write(&pages, "git-vault.1", "somebody else's\n");
    let _said = scene.run(&["man", place]).refused("GV-1005");
    let kept = fs::read_to_string(pages.join("git-vault.1")).expect("read");
    assert_eq!(kept, "somebody else's\n");
    let _said = scene.run(&["man", "nowhere"]).refused("GV-1005");
}

#[test]
fn help_lost_is_the_first_page_in_six_steps_and_names_commands_that_exist() {
    let scene = Scene::new();
    let nowhere = mkdir(&scene.sandbox.home(), "no-repository");
    let text = run(&scene.sandbox, &nowhere, &["help", "lost"])
        .succeeded()
        .text();
    assert!(read("RUNBOOK.md").contains(&text), "{text}");
    for step in 1..=6 {
        assert!(text.contains(&format!("\n{step}. ")), "step {step}: {text}");
    }
    assert!(!text.contains("\n7. "), "{text}");
    let mut commands = 0;
    for line in text.lines() {
        let Some(words) = line.trim().strip_prefix("git vault ") else {
            continue;
        };
        let name = words.split(' ').next().expect("a command");
        let said = run(&scene.sandbox, &nowhere, &["help", name]);
        assert_eq!(said.code, Some(0), "{line}\n{said}");
        commands += 1;
    }
    assert!(commands > 5, "{text}");
    let text = scene.run(&["help", "key", "export"]).succeeded().text();
    assert!(text.contains("Examples:"), "{text}");
    let said = scene.run(&["help", "no-such-command"]);
    assert_eq!(said.code, Some(2), "{said}");
    let top = scene.run(&["-h"]).succeeded().text();
    assert!(top.contains("git vault help lost"), "{top}");
}

/// A terminal of this width, in which the program runs.
fn on_a_terminal(scene: &Scene, columns: u32, variables: &[(&str, &str)], line: &str) -> Said {
    let program = env!("CARGO_BIN_EXE_git-vault");
    let script = format!("stty cols {columns} rows 24; '{program}' {line}");
    let mut command = scene.sandbox.command("script", &scene.source);
    command.args(["-qec", &script, "/dev/null"]);
    command.env("TERM", "xterm").envs(variables.iter().copied());
    Said::new(line.to_owned(), command.output().expect("script starts"))
}

#[test]
fn long_answers_go_through_the_pager_of_the_user_and_no_other() {
    let scene = Scene::new();
    if !has_tool("the pager", "script") {
        return;
    }
    let planted = format!("touch '{}'", scene.sandbox.marker().display());
    for key in ["core.pager", "pager.vault", "pager.list"] {
        scene.sandbox.git(&scene.source, &["config", key, &planted]);
    }
    let pager = [("GIT_PAGER", "sed 's/^/PAGED /'"), ("PAGER", "false")];
    for line in ["list", "runbook", "help lost"] {
        let said = on_a_terminal(&scene, 60, &pager, line);
        assert_eq!(said.code, Some(0), "{said}");
        assert!(said.text().starts_with("PAGED "), "{said}");
    }
    let short = on_a_terminal(&scene, 60, &pager, "status");
    assert!(!short.text().contains("PAGED"), "{short}");
    for none in [[("GIT_PAGER", "cat")], [("PAGER", "")]] {
        let said = on_a_terminal(&scene, 60, &none, "list");
        assert!(said.text().contains(&scene.ids[0]), "{said}");
    }
    // One that reads nothing is no failure.
    let said = on_a_terminal(&scene, 60, &[("PAGER", "true")], "runbook");
    assert_eq!(said.code, Some(0), "{said}");
    // Where there is no such program, the text is shown all the same.
    for missing in ["/nowhere/pager", "no-such-pager"] {
        let said = on_a_terminal(&scene, 60, &[("PAGER", missing)], "list");
        assert_eq!(said.code, Some(0), "{said}");
        assert!(said.text().contains(&scene.ids[0]), "{said}");
    }
    // In a pipe there is none, and the exit status stays that of the answer.
    let mut command = scene.sandbox.vault_command(&scene.source);
    command.arg("list").env("GIT_PAGER", "false");
    let output = command.output().expect("it starts");
    assert!(output.status.success());
    assert!(
        !scene.sandbox.marker().exists(),
        "a pager of the repository was run"
    );
}

#[test]
fn a_narrow_terminal_and_a_pipe_are_told_the_same_in_plain_text() {
    let scene = Scene::new();
    if !has_tool("narrow terminals", "script") {
        return;
    }
    let plain = [("GIT_PAGER", "cat"), ("NO_COLOR", "1")];
    // A list has two shorter lines for each snapshot there.
    let said = on_a_terminal(&scene, 60, &plain, "list");
    let shown = said.text().replace('\r', "");
    assert_eq!(shown.lines().count(), 2 * scene.ids.len(), "{said}");
    assert!(
        shown.lines().all(|line| line.chars().count() <= 60),
        "{said}"
    );
    assert!(scene.ids.iter().all(|id| shown.contains(id)), "{said}");
    for arguments in [
        &["show"][..],
        &["status"],
        &["doctor"],
        &["scan"],
        &["ls"],
        &["find", "notes"],
        &["grep", "notes"],
        &["compare", "."],
        &["diff"],
        &["diff", "--stat", "@~1", "@latest"],
        &["diff", "--name-only", "@~1"],
        &["diff", "-p", "@~1"],
        &["list", "--sizes", "--all", "--branch", "nowhere"],
        &["prune", "--keep-last", "1", "--dry-run"],
        &["drop", "--dry-run", "@~1"],
        &["verify", "--quick"],
        &["restore", "@latest", "/nowhere/at/all"],
        &["schedule", "status"],
        &["agents", "status"],
        &["log", "notes.txt"],
        &["key", "status"],
        &["hooks", "status"],
        &["incident", "list"],
    ] {
        let piped = scene.run(arguments);
        let piped = piped.text() + &String::from_utf8_lossy(&piped.stderr);
        let said = on_a_terminal(&scene, 60, &plain, &arguments.join(" "));
        let shown = said.text().replace('\r', "");
        let is_same = |(left, right): (&str, &str)| {
            let word = |line: &str| line.split_whitespace().next().map(str::to_owned);
            word(left) == word(right)
        };
        assert_eq!(shown.lines().count(), piped.lines().count(), "{said}");
        assert!(shown.lines().zip(piped.lines()).all(is_same), "{said}");
        assert!(!shown.contains('\u{1b}'), "{said}");
    }
    for line in ["-h", "restore -h", "restore --help", "scan --help"] {
        let said = on_a_terminal(&scene, 60, &plain, line);
        let text = said.text().replace('\r', "");
        let is_ours = |line: &&str| !line.trim_start().starts_with("git vault ");
        let widest = text
            .lines()
            .filter(is_ours)
            .map(|line| line.chars().count());
        assert!(widest.max().is_some_and(|widest| widest <= 62), "{said}");
    }
}

/// Commands that change something, and show on a terminal how far they are: the answer stands below, whole, as it does in a pipe.
#[test]
fn on_a_narrow_terminal_commands_that_take_long_end_with_their_answer() {
    let scene = Scene::new();
    if !has_tool("long commands on a narrow terminal", "script") {
        return;
    }
    let plain = [("GIT_PAGER", "cat"), ("NO_COLOR", "1")];
    let kit = scene.sandbox.path("kit.txt");
    let out = scene.sandbox.path("out");
    let lines = [
        ("snapshot -m again", "SEALED"),
        ("snapshot", "UNCHANGED"),
        ("verify --deep", "VERIFIED"),
        ("restore @latest OUT", "RESTORED"),
        ("cat @latest:notes.txt", ""),
        ("compare OUT", "COMPARED"),
        ("drill", "PROVEN"),
        ("drop --dry-run @~2", "DROP"),
        ("prune --keep-last 1 --dry-run", "KEEP"),
        ("optimize", "OPTIMIZED"),
        ("index rebuild", "REBUILT"),
        ("sweep", "SWEPT"),
        ("guard true", ""),
        ("key export KIT", "KIT"),
        ("hooks install", ""),
        ("hooks uninstall", ""),
        ("init --new", "VAULT"),
    ];
    for (line, word) in lines {
        let line = line.replace("OUT", &out.display().to_string());
        let line = line.replace("KIT", &kit.display().to_string());
        let said = on_a_terminal(&scene, 60, &plain, &line);
        assert!(matches!(said.code, Some(0 | 3)), "{said}");
        let text = said.text().replace('\r', "\n");
        let is_there = text.lines().any(|line| line.contains(word));
        assert!(is_there, "{word} in {said}");
        assert!(!text.contains("\u{1b}[3"), "no colour: {said}");
    }
}

#[test]
fn a_closed_pipe_ends_every_command_quietly() {
    let scene = Scene::new();
    for arguments in [
        &["list"][..],
        &["ls"],
        &["find", "notes"],
        &["log", "notes.txt"],
        &["show"],
        &["diff", "@~1"],
        &["diff", "-p", "@~1"],
        &["diff", "--stat", "@~1"],
        &["grep", "notes"],
        &["prune", "--keep-last", "1", "--dry-run"],
        &["scan"],
        &["status"],
        &["doctor"],
        &["verify"],
        &["man"],
        &["completions", "bash"],
        &["help", "lost"],
        &["help", "restore"],
        &["--json", "scan"],
        &["complete", "words", "--", "git", "vault", ""],
    ] {
        let mut command = scene.sandbox.vault_command(&scene.source);
        command
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let mut child = command.spawn().expect("the program starts");
        drop(child.stdout.take());
        let output = child.wait_with_output().expect("it ends");
        let said = Said::new(arguments.join(" "), output);
        assert!(matches!(said.code, Some(0 | 3)), "{said}");
        assert!(said.stderr.is_empty(), "{said}");
    }
}

#[test]
fn scripts_name_the_program_by_its_absolute_path_and_are_well_formed() {
    let scene = Scene::new();
    let bin = mkdir(&scene.sandbox.home(), "a 'quoted' bin");
    let program = bin.join("git-vault");
    crate::support::files::copy_program(&program);
    chmod(&program, 0o755);
    for (shell, check) in [("bash", "-n"), ("zsh", "-n"), ("fish", "--no-execute")] {
        if !has_tool("completions", shell) {
            continue;
        }
        let mut command = scene.sandbox.command(&program, &scene.source);
        let output = command.args(["completions", shell]).output();
        let script = output.expect("it starts").stdout;
        let file = write(&scene.sandbox.path("tmp"), "script", script);
        let mut command = scene.sandbox.command(shell, &scene.source);
        let output = command.arg(check).arg(file).output().expect("it starts");
        assert!(output.status.success(), "{shell}: {output:?}");
    }
}
