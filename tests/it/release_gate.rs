//! The release gate tries what docs/RELEASE.md demands, and says GO only if all of it was tried and was well.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::architecture::{read, root};
use crate::laboratory::bounded;
use crate::support::files::{mkdir, write};
use crate::support::{Said, Sandbox};

/// Name and test modules of each condition, in the order of the gate; nothing where the gate is not shipped.
fn conditions() -> Vec<(String, Vec<String>)> {
    if !root().join(".ci/release").exists() {
        eprintln!("SKIPPED: the release gate is not part of the package");
        return Vec::new();
    }
    let script = read(".ci/release");
    let table = script
        .split("CONDITIONS=(\n")
        .nth(1)
        .and_then(|rest| rest.split("\n)").next())
        .expect("a table");
    let rows = table
        .lines()
        .map(|line| line.trim().trim_matches('"').split('|'));
    rows.map(|mut row| {
        let name = row.next().expect("a name").to_owned();
        let modules = row.nth(1).expect("modules").split_whitespace();
        (name, modules.map(str::to_owned).collect())
    })
    .collect()
}

#[test]
fn the_gate_has_every_condition_of_the_document_and_no_other() {
    let conditions = conditions();
    if conditions.is_empty() {
        return;
    }
    let document = read("docs/RELEASE.md");
    let headings = document.lines().filter_map(|line| {
        line.strip_prefix("### `")
            .and_then(|rest| rest.strip_suffix('`'))
    });
    let names: Vec<&str> = conditions.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(headings.collect::<Vec<_>>(), names);
}

#[test]
fn the_gate_runs_every_module_of_the_bench_that_has_tests_and_no_other() {
    let conditions = conditions();
    if conditions.is_empty() {
        return;
    }
    let bench = root().join("tests/it");
    let has_tests = |path: &Path| {
        fs::read_to_string(path).is_ok_and(|text| {
            let starts = text.lines().map(str::trim_start);
            starts.into_iter().any(|line| line.starts_with("#[test]"))
        })
    };
    let main = read("tests/it/main.rs");
    let modules = main.lines().filter_map(|line| {
        line.strip_prefix("mod ")
            .and_then(|rest| rest.strip_suffix(';'))
    });
    let modules = modules.filter(|module| {
        let parts = fs::read_dir(bench.join(module)).into_iter().flatten();
        let mut parts = parts.map(|entry| entry.expect("an entry").path());
        has_tests(&bench.join(format!("{module}.rs"))) || parts.any(|path| has_tests(&path))
    });
    let modules: BTreeSet<&str> = modules.collect();
    let run: BTreeSet<&str> = conditions
        .iter()
        .flat_map(|(_, modules)| modules.iter().map(String::as_str))
        .collect();
    assert_eq!(run, modules);
}

/// A project that could be released, with a cargo that says what it is told to.
struct Project {
    sandbox: Sandbox,
    root: PathBuf,
}

const CARGO: &str = "#!/bin/sh
case $1 in
test)
  for word; do
    case $word in *::) [ \"$word\" = \"$LACKING\" ] || echo \"test ${word}a_fact ... ok\" ;; esac
  done
  echo \"$ALSO\"
  echo \"test result: ok. 9 passed; 0 failed; 0 ignored; 0 measured; 455 filtered out; finished in 0.05s\"
  exit ${ENDS:-0} ;;
package) git ls-files ;;
esac
";

impl Project {
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let root = sandbox.init("project");
        let due = [
            "Cargo.lock",
            "LICENSE",
            "README.md",
            "RUNBOOK.md",
            "docs/FORMAT.md",
            "src/main.rs",
            "src/lib.rs",
            "tests/golden/1/vault.tar",
        ];
        for name in due {
            write(&root, name, "here\n");
        }
        write(&root, ".gitignore", "/target\n");
        write(&root, "Cargo.toml", "[package]\nversion = \"1.2.3\"\n");
        write(
            &root,
            "CHANGELOG.md",
            "# Changelog\n\n## 1.2.3 (2026-12-31)\n",
        );
        write(&root, ".ci/release", read(".ci/release"));
        let uname = sandbox.command("uname", &root).arg("-sm").output();
        let system = String::from_utf8(uname.expect("uname starts").stdout).expect("UTF-8");
        write(&root, ".ci/systems", format!("{system}Plan9 mips\n"));
        sandbox.commit(&root, "could be released");
        let bin = mkdir(&sandbox.home(), "bin");
        write(&bin, "cargo", CARGO);
        fs::set_permissions(bin.join("cargo"), fs::Permissions::from_mode(0o755))
            .expect("made executable");
        Self { sandbox, root }
    }

    fn gate(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Said {
        let mut command = self.sandbox.command("bash", &self.root);
        let path = std::env::var("PATH").expect("a path");
        let path = format!("{}/bin:{path}", self.sandbox.home().display());
        command.env("PATH", path).envs(environment.iter().copied());
        command.arg(".ci/release").args(arguments);
        bounded(command, ".ci/release")
    }

    #[track_caller]
    fn assert_go(&self, environment: &[(&str, &str)], arguments: &[&str], told: &str) {
        let said = self.gate(environment, arguments);
        assert_eq!(said.code, Some(0), "{said}");
        assert_eq!(said.text().lines().last(), Some("GO"), "{said}");
        assert!(said.text().contains(told), "{told}\n{said}");
        let reports = fs::read_dir(self.root.join("target/release-gate")).expect("reports");
        let mut reports = reports.map(|entry| entry.expect("an entry").path());
        let is_kept = |report: PathBuf| {
            fs::read_to_string(report.join("verdict.txt")).is_ok_and(|text| text == said.text())
        };
        assert!(reports.any(is_kept), "the verdict is in no report\n{said}");
    }

    #[track_caller]
    fn assert_no_go(&self, environment: &[(&str, &str)], arguments: &[&str], told: &str) {
        let said = self.gate(environment, arguments);
        assert_eq!(said.code, Some(1), "{said}");
        assert_eq!(said.text().lines().last(), Some("NO-GO"), "{said}");
        assert!(said.text().contains(told), "{told}\n{said}");
    }
}

#[test]
fn the_gate_says_go_only_when_all_was_tried_and_was_well() {
    let conditions = conditions();
    if conditions.is_empty() {
        return;
    }
    let project = Project::new();
    let but_for = "not for, since nothing shows that it behaves the same there: Plan9 mips";
    project.assert_go(&[], &[], but_for);
    project.assert_no_go(&[("ENDS", "101")], &[], "the tests fail");
    project.assert_no_go(&[("ALSO", "SKIPPED: no strace")], &[], "SKIPPED: no strace");
    project.assert_no_go(
        &[("ALSO", "test a::b ... ignored, slow")],
        &[],
        "tests are ignored",
    );
    project.assert_no_go(
        &[("LACKING", "hostile_kit::")],
        &[],
        "hostile_kit: no test has passed",
    );
    project.assert_no_go(
        &[("GIT_VAULT_GATE_ONLY", "documents")],
        &[],
        "not tried, so not known",
    );
    let all: Vec<&str> = conditions.iter().map(|(name, _)| name.as_str()).collect();
    project.assert_no_go(&[("GIT_VAULT_GATE_ONLY", &all.join(" "))], &[], "for: ");
}

#[test]
fn the_gate_ships_only_what_was_tried() {
    if conditions().is_empty() {
        return;
    }
    let project = Project::new();
    let (sandbox, root) = (&project.sandbox, &project.root);
    let stray = write(root, "stray.txt", "x\n");
    project.assert_no_go(&[], &[], "files are changed or untracked");
    fs::remove_file(stray).expect("removed");
    sandbox.git(root, &["tag", "v1.2.3"]);
    project.assert_go(&[], &[], "v1.2.3 names no other commit");
    write(root, "CHANGELOG.md", "## 1.2.3 (unreleased)\n");
    sandbox.commit(root, "not yet");
    project.assert_no_go(&[], &[], "v1.2.3 names another commit");
    project.assert_no_go(&[], &[], "no heading '## 1.2.3 (YYYY-MM-DD)'");
    sandbox.git(root, &["reset", "--quiet", "--hard", "HEAD~1"]);
    project.assert_go(&[], &[], "1.2.3 with its date");
    sandbox.git(root, &["rm", "--quiet", "-r", "tests/golden", "src/lib.rs"]);
    sandbox.git(root, &["tag", "-d", "v1.2.3"]);
    sandbox.commit(root, "lost");
    project.assert_no_go(&[], &[], "NO-GO   a vault of each format version is kept");
    project.assert_no_go(&[], &[], "the package lacks src/lib.rs");
}

#[test]
fn the_gate_takes_evidence_of_other_systems_only_at_the_same_commit() {
    if conditions().is_empty() {
        return;
    }
    let project = Project::new();
    let commit = project
        .sandbox
        .git_text(&project.root, &["rev-parse", "HEAD"]);
    let evidence = |commit: &str, end: &str| {
        let text = format!("system: Plan9 mips\ncommit: {commit}\neffort: 1\n{end}\n");
        write(&project.sandbox.home(), "evidence.txt", text)
    };
    let path = evidence(&commit, "all was well");
    let arguments = ["--evidence", path.to_str().expect("a UTF-8 path")];
    project.assert_go(&[], &arguments, ",Plan9 mips\n");
    let other = commit.replace(|_: char| true, "1");
    let _path = evidence(&other, "all was well");
    project.assert_no_go(&[], &arguments, "is of another commit");
    let _path = evidence(&commit, "2 conditions were not met");
    project.assert_no_go(&[], &arguments, "something was not well");
    write(&project.root, ".ci/systems", "Plan9 mips\n");
    project.sandbox.commit(&project.root, "not this one");
    project.assert_no_go(&[], &[], "is not in .ci/systems");
}
