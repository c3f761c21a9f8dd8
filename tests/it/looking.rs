//! Finding what was lost, looking at it, and taking single paths back: into an empty directory, and never over anything.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::laboratory::{only_vault, run};
use crate::refusals::assert_refused;
use crate::support::files::{append, chmod, mkdir, noise, symlink, write};
use crate::support::{Said, Sandbox, states};

fn sealed(sandbox: &Sandbox, source: &Path, arguments: &[&str]) -> String {
    let said = run(
        sandbox,
        source,
        &[&["--json", "snapshot"], arguments].concat(),
    )
    .succeeded();
    let json = said.json();
    json["snapshot"]["id"].as_str().expect("an id").to_owned()
}

fn cat(sandbox: &Sandbox, source: &Path, what: &str) -> Vec<u8> {
    run(sandbox, source, &["cat", what]).succeeded().stdout
}

/// `git clean -fdx` an hour ago: from not knowing where the file is to having it back.
#[test]
fn a_lost_file_is_found_and_taken_back() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let idea = "the only copy of an idea\n";
    write(&source, "drafts/idea.txt", "the first thought\n");
    let _first = sealed(&sandbox, &source, &[]);
    let path = write(&source, "drafts/idea.txt", idea);
    chmod(&path, 0o640);
    let second = sealed(&sandbox, &source, &[]);
    sandbox.git(&source, &["clean", "-fdx"]);
    let newest = sealed(&sandbox, &source, &[]);
    assert!(!path.exists(), "it is lost");

    let found = run(&sandbox, &source, &["find", "idea"]).succeeded().text();
    assert!(found.contains("drafts/idea.txt"), "{found}");
    assert!(found.contains("2 versions in 2 snapshots"), "{found}");
    assert!(found.contains("not in the newest"), "{found}");
    let log = run(&sandbox, &source, &["log", "drafts/idea.txt"])
        .succeeded()
        .text();
    let at = |text: &str| log.find(text).unwrap_or_else(|| panic!("{text} in {log}"));
    assert!(at("not there") < at(&second), "the newest first: {log}");
    assert!(
        log.contains(&format!("git vault restore {second}:drafts/idea.txt DIR")),
        "{log}"
    );
    assert_refused(
        &run(&sandbox, &source, &["cat", "@latest:drafts/idea.txt"]),
        &["GV-1104"],
        "drafts/idea.txt",
    );
    assert_eq!(
        cat(&sandbox, &source, &format!("{second}:drafts/idea.txt")),
        idea.as_bytes()
    );

    let out = sandbox.workplace().join("out");
    let asked = format!("{second}:drafts/idea.txt");
    let said = run(
        &sandbox,
        &source,
        &["restore", &asked, out.to_str().expect("UTF-8")],
    );
    let said = said.succeeded().text();
    let restored = out.join("drafts/idea.txt");
    assert_eq!(fs::read_to_string(&restored).expect("it is back"), idea);
    let mode = fs::metadata(&restored)
        .expect("its mode")
        .permissions()
        .mode();
    assert_eq!(mode & 0o777, 0o640);
    assert!(!path.exists(), "nothing is copied over by itself");
    let copy = format!("cp -a -- {} {}", restored.display(), path.display());
    assert!(said.contains(&copy), "{said}");
    mkdir(&source, "drafts");
    let copied = sandbox.command("sh", &source).args(["-c", &copy]).status();
    assert!(copied.expect("sh").success());
    assert_eq!(fs::read_to_string(&path).expect("it is back"), idea);
    assert_eq!(sealed(&sandbox, &source, &[]).len(), newest.len());
}

/// A workspace with something of every kind, and what `find` of the system says of it.
fn rich(sandbox: &Sandbox) -> PathBuf {
    let source = states::small_repository(sandbox);
    write(&source, "src/deep/er/new\nline \u{1b}[31m.txt", "strange");
    write(&source, "big.bin", noise(7, 18 << 20));
    symlink(&source, "src/link", "../README.md");
    mkdir(&source, "hollow/below");
    chmod(&write(&source, "run.sh", "#!/bin/sh\n"), 0o755);
    source
}

#[test]
fn ls_says_what_is_there_and_cat_gives_the_very_bytes() {
    let sandbox = Sandbox::new();
    let source = rich(&sandbox);
    let _id = sandbox.snapshot(&source);
    let json = run(&sandbox, &source, &["--json", "ls", "-R", "@latest"])
        .succeeded()
        .json();
    let mut listed: Vec<(String, String)> = json["entries"]
        .as_array()
        .expect("entries")
        .iter()
        .map(|entry| {
            let text = |name: &str| entry[name].as_str().unwrap_or_default().to_owned();
            (text("path"), text("kind"))
        })
        .collect();
    listed.sort();
    let there = "find . -path ./.git -prune -o ! -path . -printf '%P\\0%y\\0'";
    let found = sandbox
        .command("sh", &source)
        .args(["-c", there])
        .output()
        .expect("find");
    let found = String::from_utf8(found.stdout).expect("UTF-8");
    let words: Vec<&str> = found.split('\0').collect();
    let mut expected: Vec<(String, String)> = words
        .chunks_exact(2)
        .filter(|pair| !pair[0].is_empty())
        .map(|pair| {
            let kind = match pair[1] {
                "f" => "file",
                "d" => "directory",
                "l" => "link",
                other => panic!("{other}"),
            };
            (
                git_vault::model::escape::text_name(pair[0].as_bytes()),
                kind.to_owned(),
            )
        })
        .collect();
    expected.sort();
    assert_eq!(listed, expected);
    for path in [
        "README.md",
        "src/one.txt",
        "big.bin",
        "run.sh",
        "src/deep/er/new\nline \u{1b}[31m.txt",
    ] {
        let bytes = fs::read(source.join(path)).expect("the file");
        assert!(
            cat(&sandbox, &source, &format!("@latest:{path}")) == bytes,
            "{path}"
        );
    }
    let head = fs::read(source.join(".git/HEAD")).expect("HEAD");
    assert_eq!(cat(&sandbox, &source, "@latest:/gitdir/HEAD"), head);
    let text = run(&sandbox, &source, &["ls", "@latest:src/deep/er"])
        .succeeded()
        .text();
    assert!(
        !text.contains('\u{1b}'),
        "names take no command of a terminal: {text:?}"
    );
    assert_eq!(text.lines().count(), 2, "{text}");
    let one = run(&sandbox, &source, &["ls", "@latest:src/link"])
        .succeeded()
        .text();
    assert!(one.contains("link -> ../README.md"), "{one}");
    for (what, code) in [
        ("@latest:nothing", "GV-1104"),
        ("@latest:src/one.txt/below", "GV-1104"),
        ("@latest:../README.md", "GV-1104"),
        ("@latest:/elsewhere/x", "GV-1104"),
        ("zzzz:README.md", "GV-1101"),
    ] {
        assert_refused(&run(&sandbox, &source, &["ls", what]), &[code], "");
        assert_refused(&run(&sandbox, &source, &["cat", what]), &[code], "");
    }
    for what in ["@latest", "@latest:src", "@latest:src/link"] {
        assert_refused(
            &run(&sandbox, &source, &["cat", what]),
            &["GV-1104"],
            "no ordinary file",
        );
    }
}

#[test]
fn nobody_who_reads_to_the_end_is_no_failure_to_shout_about() {
    let sandbox = Sandbox::new();
    let source = rich(&sandbox);
    let _id = sandbox.snapshot(&source);
    let mut child = sandbox
        .vault_command(&source)
        .args(["cat", "@latest:big.bin"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let output = child.wait_with_output().expect("it ends");
    assert!(
        output.stderr.is_empty(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    assert_eq!(output.status.code(), Some(141));
}

#[test]
fn a_damaged_file_is_not_given_as_if_it_were_whole() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    write(&source, "noise.bin", noise(3, 300_000));
    let _id = sandbox.snapshot(&source);
    let vault = only_vault(&sandbox);
    let packs = fs::read_dir(vault.join("objects/pack")).expect("packs");
    let packs = packs.map(|name| name.expect("a name").path());
    let largest = packs
        .filter(|path| path.extension().is_some_and(|ending| ending == "pack"))
        .max_by_key(|path| path.metadata().expect("its size").size())
        .expect("a pack");
    let mut bytes = fs::read(&largest).expect("the pack");
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    chmod(&largest, 0o600);
    fs::write(&largest, bytes).expect("damaged");
    let said = run(&sandbox, &source, &["cat", "@latest:noise.bin"]);
    assert_refused(&said, &["GV-3001", "GV-3104"], "");
    let out = sandbox.workplace().join("out");
    let said = run(
        &sandbox,
        &source,
        &["restore", "@latest:noise.bin", out.to_str().expect("UTF-8")],
    );
    assert_refused(&said, &["GV-3001"], "");
    assert!(!out.exists());
}

#[test]
fn paths_are_given_back_as_they_were_and_nothing_else() {
    let sandbox = Sandbox::new();
    let source = rich(&sandbox);
    let _id = sandbox.snapshot(&source);
    append(&source, "README.md", "later\n");
    let out = sandbox.workplace().join("out");
    let target = out.to_str().expect("UTF-8");
    let asked = [
        "@latest:src",
        "@latest:README.md",
        "@latest:hollow",
        "@latest:big.bin",
    ];
    let said = run(
        &sandbox,
        &source,
        &[&["restore"], &asked[..], &[target]].concat(),
    );
    let text = said.succeeded().text();
    for same in ["src", "hollow", "big.bin"] {
        let compared = sandbox
            .command("diff", &source)
            .args([
                "-r",
                "--no-dereference",
                same,
                out.join(same).to_str().expect("UTF-8"),
            ])
            .output()
            .expect("diff");
        assert!(compared.status.success(), "{same}: {compared:?}");
    }
    let mut names: Vec<_> = fs::read_dir(&out)
        .expect("it is there")
        .map(|name| name.expect("a name").file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["README.md", "big.bin", "hollow", "src"]);
    let before = fs::metadata(source.join("src/one.txt")).expect("its time");
    let after = fs::metadata(out.join("src/one.txt")).expect("its time");
    assert_eq!(
        (before.mtime(), before.mtime_nsec()),
        (after.mtime(), after.mtime_nsec())
    );
    assert!(
        text.contains("something else now"),
        "README.md was edited since: {text}"
    );
    assert!(
        text.contains("holds the same now"),
        "big.bin was not: {text}"
    );

    let refuse = |asked: &[&str], code: &str| {
        let said = run(
            &sandbox,
            &source,
            &[&["restore"], asked, &["../other"]].concat(),
        );
        assert_refused(&said, &[code], "");
        assert!(!sandbox.workplace().join("other").exists(), "{asked:?}");
    };
    refuse(&["@latest:nothing"], "GV-1104");
    refuse(&["@latest:src", "@latest:nothing"], "GV-1104");
    refuse(&["@latest:src", "@latest"], "GV-1104");
    refuse(&["@latest:src", "@latest:/gitdir/HEAD"], "GV-1104");
    let said = run(&sandbox, &source, &["restore", "@latest:src", target]);
    assert_refused(&said, &["GV-2101"], "");
    let inside = source.join("inside");
    let said = run(
        &sandbox,
        &source,
        &["restore", "@latest:src", inside.to_str().expect("UTF-8")],
    );
    assert_refused(&said, &["GV-2102"], "");
}

#[test]
fn a_snapshot_is_named_in_every_way_that_people_name_one() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let mut ids = Vec::new();
    for (number, label) in ["one", "two", "two", "zz9"].iter().enumerate() {
        append(&source, "README.md", format!("{number}\n"));
        ids.push(sealed(&sandbox, &source, &["-l", label]));
    }
    append(&source, "README.md", "guarded\n");
    let _said = run(&sandbox, &source, &["guard", "true"]).succeeded();
    let shown = |name: &str| -> Said { run(&sandbox, &source, &["show", name]) };
    let id_of = |name: &str| {
        let said = run(&sandbox, &source, &["--json", "show", name]);
        let json = said.succeeded().json();
        json["snapshot"]["id"].as_str().expect("an id").to_owned()
    };
    let guarded = id_of("@latest");
    for (name, id) in [
        ("1", &ids[0]),
        ("#3", &ids[2]),
        ("one", &ids[0]),
        ("zz9", &ids[3]),
        ("before:guard", &guarded),
        ("before:manual", &ids[3]),
        ("@{now}", &guarded),
        ("@{today}", &guarded),
        ("@{2000-01-01}", &guarded),
    ] {
        if name == "@{2000-01-01}" {
            assert_refused(&shown(name), &["GV-1101"], &ids[0]);
        } else {
            assert_eq!(id_of(name), *id, "{name}");
        }
    }
    assert_refused(&shown("two"), &["GV-1102"], &ids[1]);
    for name in [
        "9",
        "#0",
        "before:rebase",
        "@{soon}",
        "three",
        "@{3 years ago}",
    ] {
        assert_refused(&shown(name), &["GV-1101"], "");
    }
    assert_eq!(
        cat(&sandbox, &source, "before:guard:README.md"),
        fs::read(source.join("README.md")).expect("read")
    );
}

#[test]
fn patterns_find_what_they_say_and_damage_hides_nothing() {
    let sandbox = Sandbox::new();
    let source = rich(&sandbox);
    let _id = sandbox.snapshot(&source);
    append(&source, "src/one.txt", "more\n");
    let _id = sandbox.snapshot(&source);
    let found = |pattern: &str| -> Vec<String> {
        let json = run(&sandbox, &source, &["--json", "find", pattern])
            .succeeded()
            .json();
        let found = json["found"].as_array().expect("found").clone();
        found
            .iter()
            .map(|one| one["path"].as_str().expect("a path").to_owned())
            .collect()
    };
    assert_eq!(found("*.sh"), ["run.sh"]);
    assert_eq!(found("src/*.txt"), ["src/one.txt", "src/two.txt"]);
    assert_eq!(found("src/**/three*"), ["src/deep/er/three.txt"]);
    assert_eq!(found("one"), ["src/one.txt"]);
    assert_eq!(found("nothing like it"), [""; 0]);
    assert_refused(
        &run(&sandbox, &source, &["find", "a[b"]),
        &["GV-1005"],
        "a[b",
    );
    let json = run(&sandbox, &source, &["--json", "log", "src/one.txt"])
        .succeeded()
        .json();
    assert_eq!(
        json["versions"].as_array().expect("versions").len(),
        2,
        "{json}"
    );
    assert_refused(
        &run(&sandbox, &source, &["log", "nothing"]),
        &["GV-1104"],
        "nothing",
    );
}

/// The letter and the path of every line that names one.
fn changed(said: &Said) -> Vec<(char, String)> {
    let text = said.text();
    let lines = text.lines().filter(|line| line.chars().nth(1) == Some(' '));
    lines
        .filter_map(|line| {
            let (path, _) = line.get(3..)?.rsplit_once("  (")?;
            Some((line.chars().next()?, path.to_owned()))
        })
        .collect()
}

#[test]
fn diff_says_what_came_what_is_gone_and_what_is_another() {
    let sandbox = Sandbox::new();
    let source = rich(&sandbox);
    write(&source, "gone.txt", "soon\n");
    let first = sandbox.snapshot(&source);
    assert_eq!(changed(&run(&sandbox, &source, &["diff"]).succeeded()), []);
    append(&source, "src/one.txt", "six\n");
    write(&source, "new file.txt", "new\n");
    fs::remove_file(source.join("gone.txt")).expect("removed");
    chmod(&source.join("run.sh"), 0o644);
    fs::remove_file(source.join("src/link")).expect("removed");
    symlink(&source, "src/link", "one.txt");
    let expected: Vec<(char, String)> = [
        ('D', "gone.txt"),
        ('A', "new file.txt"),
        ('M', "run.sh"),
        ('M', "src/link"),
        ('M', "src/one.txt"),
    ]
    .map(|(letter, path)| (letter, path.to_owned()))
    .to_vec();
    let now = run(&sandbox, &source, &["diff", &first]).succeeded();
    assert_eq!(changed(&now), expected, "{now}");
    let text = now.text();
    assert!(text.contains("new file.txt  (4 B, untracked)"), "{text}");
    assert!(text.contains("mode 0755 -> 0644"), "{text}");
    let second = sandbox.snapshot(&source);
    let between = run(&sandbox, &source, &["diff", &first, &second]).succeeded();
    assert_eq!(changed(&between), expected, "{between}");
    let below = run(&sandbox, &source, &["diff", &first, &second, "--", "src"]).succeeded();
    assert_eq!(changed(&below), expected[3..], "{below}");
    let reverse = run(&sandbox, &source, &["--json", "diff", &second, &first])
        .succeeded()
        .json();
    assert_eq!(
        reverse["changes"].as_array().expect("changes").len(),
        5,
        "{reverse}"
    );

    // An edit that puts size and time back is seen all the same.
    let path = source.join("src/two.txt");
    let time = fs::metadata(&path)
        .expect("its time")
        .modified()
        .expect("a time");
    fs::write(&path, "SECOND FILE\n").expect("written");
    let file = fs::File::options().write(true).open(&path).expect("opened");
    file.set_modified(time).expect("the time is put back");
    let now = run(&sandbox, &source, &["diff"]).succeeded();
    assert_eq!(changed(&now), [('M', "src/two.txt".to_owned())], "{now}");
}

#[test]
fn a_patch_of_two_snapshots_makes_the_one_of_the_other_by_git() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let first = sandbox.snapshot(&source);
    append(&source, "src/one.txt", "no newline at the end");
    write(&source, "src/new.txt", "new\n");
    write(&source, "binary", [0_u8, 1, 2]);
    fs::remove_file(source.join("src/deep/er/three.txt")).expect("removed");
    let second = sandbox.snapshot(&source);
    let said = run(&sandbox, &source, &["diff", "-p", &first, &second]).succeeded();
    let patch = sandbox.workplace().join("patch");
    fs::write(&patch, said.text()).expect("written");
    let (old, new) = (
        sandbox.restore(&source, &first, "old"),
        sandbox.restore(&source, &second, "new"),
    );
    sandbox.git(&old, &["apply", patch.to_str().expect("UTF-8")]);
    fs::write(old.join("binary"), [0_u8, 1, 2]).expect("what no patch of lines can hold");
    // A snapshot keeps directories that git takes away when they are empty.
    fs::remove_dir_all(new.join("src/deep")).expect("it is empty");
    let compared = sandbox
        .command("diff", &old)
        .args(["-r", "--exclude=.git", ".", new.to_str().expect("UTF-8")])
        .output()
        .expect("diff");
    assert!(compared.status.success(), "{compared:?}\n{said}");
    assert!(said.text().contains("A  binary  (3 B)"), "{said}");
}

#[test]
fn a_name_that_could_mean_two_snapshots_is_refused() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let first = sandbox.snapshot(&source);
    let prefix = &first[..3];
    append(&source, "README.md", "more\n");
    let labelled = sealed(&sandbox, &source, &["-l", prefix, "-l", "1"]);
    for name in [prefix, "1"] {
        assert_refused(
            &run(&sandbox, &source, &["show", name]),
            &["GV-1102"],
            &labelled,
        );
    }
    let json = run(&sandbox, &source, &["--json", "show", &first])
        .succeeded()
        .json();
    assert_eq!(
        json["snapshot"]["id"],
        first.as_str(),
        "a whole id is that snapshot"
    );
    let json = run(&sandbox, &source, &["--json", "show", "#1"])
        .succeeded()
        .json();
    assert_eq!(json["snapshot"]["id"], first.as_str());
}

#[test]
fn what_is_looked_for_may_have_any_name_and_lie_in_any_working_tree() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let linked = sandbox.workplace().join("linked");
    sandbox.git(
        &source,
        &["worktree", "add", "-q", linked.to_str().expect("UTF-8")],
    );
    write(&linked, "only in the linked one.txt", "mine\n");
    write(&source, "[slug].tsx", "literal\n");
    write(&source, "a{b", "literal\n");
    let _id = sandbox.snapshot(&source);
    for (pattern, path) in [
        ("[slug].tsx", "[slug].tsx"),
        ("a{b", "a{b"),
        ("only in", "/linked/1/only in the linked one.txt"),
    ] {
        let said = run(&sandbox, &source, &["find", pattern])
            .succeeded()
            .text();
        assert!(said.contains(path), "{pattern}: {said}");
    }
    let what = "@latest:/linked/1/only in the linked one.txt";
    assert_eq!(cat(&sandbox, &source, what), b"mine\n");
}

#[test]
fn a_full_disk_under_the_answer_is_not_a_damaged_vault() {
    let sandbox = Sandbox::new();
    let source = rich(&sandbox);
    let _id = sandbox.snapshot(&source);
    for file in ["README.md", "big.bin"] {
        let full = fs::File::options()
            .write(true)
            .open("/dev/full")
            .expect("/dev/full");
        let mut command = sandbox.vault_command(&source);
        command
            .args(["cat", &format!("@latest:{file}")])
            .stdout(full);
        let said = Said::new(format!("cat {file}"), command.output().expect("it runs"));
        assert_refused(&said, &["GV-1105"], "standard output");
    }
    assert!(!sandbox.path("state/git-vault/incidents").exists());
}
