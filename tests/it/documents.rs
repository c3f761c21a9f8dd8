//! Documents and code agree, licences are good, and nothing tracked belongs to one machine.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::process::Command;

use git_vault::model::refusal_code::RefusalCode;

use crate::architecture::{names, read, root, rust_files};

/// Every word of the form `GV-1234` in a text.
fn codes(text: &str) -> BTreeSet<&str> {
    let starts = text.match_indices("GV-").map(|(start, _)| start);
    let words = starts.filter_map(|start| text.get(start..start + 7));
    words
        .filter(|word| word[3..].bytes().all(|byte| byte.is_ascii_digit()))
        .collect()
}

#[test]
fn the_runbook_has_a_heading_for_every_code_in_order_and_knows_no_other() {
    let runbook = read("RUNBOOK.md");
    let headings: Vec<&str> = runbook
        .lines()
        .filter(|line| line.starts_with("### GV-"))
        .collect();
    let due: Vec<String> = RefusalCode::ALL
        .iter()
        .map(|code| format!("### {} {}", code.code(), code.name()))
        .collect();
    assert_eq!(headings, due);
}

#[test]
fn no_document_names_a_code_that_does_not_exist() {
    let known: BTreeSet<&str> = RefusalCode::ALL.iter().map(|code| code.code()).collect();
    for name in tracked_files().into_iter().filter(|name| {
        Path::new(name)
            .extension()
            .is_some_and(|ending| ending == "md")
    }) {
        let text = read(&name);
        let unknown: Vec<_> = codes(&text).difference(&known).copied().collect();
        assert!(unknown.is_empty(), "{name}: {unknown:?}");
    }
    let json = read("docs/JSON.md");
    for code in RefusalCode::ALL {
        let row = format!("| {:<4} |", code.exit());
        assert!(
            json.contains(&row),
            "docs/JSON.md has no row for exit {}",
            code.exit()
        );
    }
}

#[test]
fn every_code_is_used() {
    let catalogue = read("src/model/refusal_code.rs");
    let others: String = rust_files("src")
        .iter()
        .filter(|path| *path != Path::new("src/model/refusal_code.rs"))
        .map(read)
        .collect();
    for code in RefusalCode::ALL {
        let variant = format!("{code:?}");
        assert!(names(&catalogue, &variant));
        assert!(
            others.contains(&format!("RefusalCode::{variant}")),
            "nothing refuses with {variant}"
        );
    }
}

#[test]
fn the_architecture_names_every_file_and_no_other() {
    let text = read("docs/ARCHITECTURE.md");
    let named: BTreeSet<&str> = text
        .split('`')
        .filter(|word| {
            word.starts_with("src/")
                && Path::new(word)
                    .extension()
                    .is_some_and(|ending| ending == "rs")
        })
        .collect();
    let files = rust_files("src");
    let files: BTreeSet<&str> = files.iter().filter_map(|path| path.to_str()).collect();
    assert_eq!(named, files);
}

/// Packages for other systems than this one need not have been fetched.
fn cargo_metadata() -> serde_json::Value {
    let rustc = Command::new("rustc")
        .arg("-vV")
        .output()
        .expect("rustc starts");
    let version = String::from_utf8(rustc.stdout).expect("rustc says UTF-8");
    let host = version
        .lines()
        .find_map(|line| line.strip_prefix("host: "))
        .expect("a host");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["metadata", "--offline", "--locked", "--format-version", "1"]);
    command
        .args(["--filter-platform", host])
        .current_dir(root());
    let output = command.output().expect("cargo starts");
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    serde_json::from_slice(&output.stdout).expect("cargo says JSON")
}

/// Whether one of the alternatives asks for nothing but licences that we may use.
fn may_be_used(expression: &str) -> bool {
    const GOOD: [&str; 16] = [
        "MIT",
        "MIT-0",
        "Apache-2.0",
        "BSD-2-Clause",
        "BSD-3-Clause",
        "0BSD",
        "ISC",
        "Zlib",
        "Unicode-3.0",
        "Unicode-DFS-2016",
        "CC0-1.0",
        "MPL-2.0",
        "Unlicense",
        "WITH",
        "LLVM-exception",
        "AND",
    ];
    let plain = expression.replace(['(', ')'], " ").replace('/', " OR ");
    plain
        .split(" OR ")
        .any(|choice| choice.split_whitespace().all(|word| GOOD.contains(&word)))
}

#[test]
fn every_dependency_has_a_licence_that_we_may_use() {
    assert!(may_be_used("MIT/Apache-2.0") && may_be_used("GPL-3.0 OR MIT"));
    assert!(!may_be_used("GPL-3.0-only") && !may_be_used("MIT AND GPL-2.0"));
    let metadata = cargo_metadata();
    let packages = metadata["packages"].as_array().expect("packages");
    assert!(packages.len() > 50, "the dependencies are seen at all");
    let mut bad = BTreeMap::new();
    for package in packages {
        let licence = package["license"].as_str().unwrap_or("none");
        if !may_be_used(licence) {
            bad.insert(package["name"].to_string(), licence.to_owned());
        }
    }
    assert!(bad.is_empty(), "{bad:#?}");
}

/// Relative to the root of the project.
fn tracked_files() -> Vec<String> {
    let output = Command::new("git")
        .args(["ls-files", "-z"])
        .current_dir(root())
        .output()
        .expect("git starts");
    if !output.status.success() {
        eprintln!("SKIPPED: what is tracked is not known, for this is no git repository");
        return Vec::new();
    }
    let names = output
        .stdout
        .split(|byte| *byte == 0)
        .filter(|name| !name.is_empty());
    let names = names.map(|name| String::from_utf8(name.to_vec()).expect("a UTF-8 name"));
    names.filter(|name| root().join(name).is_file()).collect()
}

#[test]
fn nothing_tracked_names_a_place_on_one_machine() {
    let forbidden = ["root", "work", "Users"].map(|name| format!("/{name}/"));
    let mut found = Vec::new();
    for name in tracked_files() {
        let bytes = fs::read(root().join(&name)).expect("the file is read");
        for (number, line) in String::from_utf8_lossy(&bytes).lines().enumerate() {
            for place in &forbidden {
                // A longer path that ends so is one of a sandbox.
                let is_absolute = line.match_indices(place.as_str()).any(|(start, _)| {
                    let before = line[..start].chars().next_back();
                    before.is_none_or(|before| " '\"`(=:[<".contains(before))
                });
                if is_absolute {
                    found.push(format!("{name}:{}: {}", number + 1, line.trim()));
                }
            }
        }
    }
    assert_eq!(found, [""; 0]);
}
