//! The laws of the source tree: layers, who may name what, and what may not be in it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use clap::CommandFactory;
use git_vault::cli::args::Arguments;

/// The outermost first: each may use itself and what stands after it.
const LAYERS: [&str; 5] = ["cli", "ops", "vault", "host", "model"];

const MOST_LINES: usize = 650;

/// The files that run another program; what they say of current directory and streams is about that.
const RUNNERS: [&str; 3] = [
    "src/host/background.rs",
    "src/host/git_program.rs",
    "src/host/program.rs",
];

fn is_runner(path: &Path) -> bool {
    RUNNERS.iter().any(|runner| path == Path::new(runner))
}

pub fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

#[track_caller]
pub fn read(name: impl AsRef<Path>) -> String {
    let path = root().join(name);
    fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Every Rust file below a directory, relative to the root of the project, sorted.
pub fn rust_files(directory: &str) -> Vec<PathBuf> {
    let mut files = Vec::new();
    let mut places = vec![PathBuf::from(directory)];
    while let Some(place) = places.pop() {
        for entry in fs::read_dir(root().join(&place)).expect("the directory is read") {
            let entry = entry.expect("an entry");
            let path = place.join(entry.file_name());
            if entry.path().is_dir() {
                places.push(path);
            } else if path.extension().is_some_and(|extension| extension == "rs") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(!files.is_empty());
    files
}

/// The lines of a file that are code, with their numbers: without comments, and without its unit tests if those are not wanted.
fn code_lines(path: &Path, with_tests: bool) -> Vec<(usize, String)> {
    let text = read(path);
    let mut lines = Vec::new();
    for (number, line) in text.lines().enumerate() {
        if !with_tests && line == "#[cfg(test)]" {
            break;
        }
        let code = line.trim_start();
        if !code.starts_with("//") {
            let code = code.split(" // ").next().unwrap_or(code);
            lines.push((number + 1, code.to_owned()));
        }
    }
    lines
}

/// Whether a word stands in a line, not as part of another.
pub fn names(line: &str, word: &str) -> bool {
    let is_part = |character: Option<char>| {
        character.is_some_and(|character| character.is_ascii_alphanumeric() || character == '_')
    };
    line.match_indices(word).any(|(start, _)| {
        !is_part(line[..start].chars().next_back())
            && !is_part(line[start + word.len()..].chars().next())
    })
}

/// Every place in these files where one of the words stands.
fn places(files: &[PathBuf], words: &[&str], with_tests: bool) -> Vec<String> {
    let mut places = Vec::new();
    for path in files {
        for (number, line) in code_lines(path, with_tests) {
            for word in words.iter().filter(|word| names(&line, word)) {
                places.push(format!("{}:{number}: {word}", path.display()));
            }
        }
    }
    places
}

fn layer_of(path: &Path) -> Option<usize> {
    let name = path.components().nth(1)?.as_os_str().to_str()?;
    LAYERS.iter().position(|layer| *layer == name)
}

/// The first words after every `crate::`, also in braces.
fn arrows(line: &str) -> Vec<String> {
    let mut arrows = Vec::new();
    for (start, found) in line.match_indices("crate::") {
        let rest = &line[start + found.len()..];
        let targets = rest.strip_prefix('{').map_or(rest, |group| group);
        let word = |text: &str| -> String {
            text.trim()
                .chars()
                .take_while(|character| character.is_alphanumeric() || *character == '_')
                .collect()
        };
        if rest.starts_with('{') {
            arrows.extend(targets.split(',').map(word));
        } else {
            arrows.push(word(targets));
        }
    }
    arrows
}

#[test]
fn layers_use_only_what_stands_below_them() {
    let mut wrong = Vec::new();
    let mut seen = BTreeSet::new();
    for path in rust_files("src") {
        let Some(own) = layer_of(&path) else {
            continue;
        };
        for (number, line) in code_lines(&path, true) {
            for target in arrows(&line) {
                let Some(other) = LAYERS.iter().position(|layer| *layer == target) else {
                    wrong.push(format!(
                        "{}:{number}: crate::{target} is no layer",
                        path.display()
                    ));
                    continue;
                };
                seen.insert((own, other));
                if other < own {
                    wrong.push(format!(
                        "{}:{number}: {} uses {target}",
                        path.display(),
                        LAYERS[own]
                    ));
                }
            }
            // `super` of the uppermost module of a layer is the crate.
            let depth = path.components().count() - 1;
            if line.contains(&"super::".repeat(depth)) && depth > 1 {
                wrong.push(format!(
                    "{}:{number}: leaves its layer by super",
                    path.display()
                ));
            }
        }
    }
    assert_eq!(wrong, [""; 0]);
    assert!(seen.len() > 8, "the arrows are seen at all: {seen:?}");
}

#[test]
fn every_file_belongs_to_a_layer() {
    for path in rust_files("src") {
        let outside = ["src/lib.rs", "src/main.rs"]
            .iter()
            .any(|name| path == Path::new(name));
        assert!(outside || layer_of(&path).is_some(), "{}", path.display());
    }
}

#[test]
fn gix_is_named_in_one_folder_only() {
    let (inside, outside): (Vec<_>, Vec<_>) = rust_files("src")
        .into_iter()
        .partition(|path| path.starts_with("src/host/git"));
    assert_eq!(places(&outside, &["gix", "gix_pack"], true), [""; 0]);
    assert!(
        !places(&inside, &["gix"], true).is_empty(),
        "it is seen at all"
    );
}

#[test]
fn the_model_does_no_input_and_output_and_reads_no_clock() {
    let model: Vec<_> = rust_files("src/model");
    let forbidden = [
        "std::fs",
        "std::env",
        "std::io",
        "std::net",
        "std::process",
        "std::thread",
        "std::os",
        "SystemTime",
        "Instant",
        "fs::File",
        "File::open",
        "io::Read",
        "io::Write",
        "rustix",
        "tempfile",
        "getrandom",
    ];
    assert_eq!(places(&model, &forbidden, false), [""; 0]);
}

#[test]
fn one_file_reads_environment_directory_and_clock() {
    let others: Vec<_> = rust_files("src")
        .into_iter()
        .filter(|path| path != Path::new("src/cli/environment.rs") && !is_runner(path))
        .collect();
    let forbidden = [
        "std::env",
        "env::var",
        "env::var_os",
        "env::vars",
        "env::args",
        "env::args_os",
        "env::current_dir",
        "env::set_var",
        "current_dir",
        "home_dir",
        "SystemTime::now",
        "Instant::now",
        "Timestamp::now",
        "Zoned::now",
    ];
    assert_eq!(places(&others, &forbidden, false), [""; 0]);
}

#[test]
fn only_cli_writes_to_the_standard_streams() {
    let all = rust_files("src");
    let forbidden = [
        "println!",
        "eprintln!",
        "print!",
        "eprint!",
        "dbg!",
        "todo!",
        "unimplemented!",
    ];
    let found: Vec<String> = forbidden
        .iter()
        .flat_map(|word| {
            let name = word.trim_end_matches('!');
            places(&all, &[name], true)
        })
        .filter(|place| {
            let (path, rest) = place.split_once(':').expect("a path");
            let number: usize = rest
                .split(':')
                .next()
                .and_then(|text| text.parse().ok())
                .expect("a number");
            let line = read(path)
                .lines()
                .nth(number - 1)
                .map(str::to_owned)
                .expect("the line");
            forbidden.iter().any(|word| line.contains(word))
        })
        .collect();
    assert_eq!(found, [""; 0]);
    let outside: Vec<_> = all
        .into_iter()
        .filter(|path| !path.starts_with("src/cli") && !is_runner(path))
        .collect();
    assert_eq!(
        places(&outside, &["stdout", "stderr", "stdin"], true),
        [""; 0]
    );
}

/// Nothing but `main` ends the program, and few files run another one.
#[test]
fn few_files_start_a_process_and_none_ends_one() {
    let all: Vec<_> = rust_files("src")
        .into_iter()
        .filter(|path| !is_runner(path))
        .collect();
    for runner in RUNNERS.map(PathBuf::from) {
        assert_eq!(places(&[runner], &["Command::new"], false).len(), 1);
    }
    let forbidden = [
        "process::Command",
        "process::exit",
        "process::abort",
        "Command::new",
    ];
    assert_eq!(places(&all, &forbidden, false), [""; 0]);
}

#[test]
fn every_file_says_what_it_is_for_and_is_not_too_long() {
    for path in [rust_files("src"), rust_files("tests")].concat() {
        let text = read(&path);
        let first = text.lines().next().unwrap_or_default();
        assert!(
            first
                .strip_prefix("//! ")
                .is_some_and(|text| text.len() > 10),
            "{}",
            path.display()
        );
        let lines = text.lines().count();
        assert!(lines <= MOST_LINES, "{}: {lines} lines", path.display());
    }
}

#[test]
fn no_option_overrides_a_refusal() {
    let forbidden = [
        "force",
        "override",
        "yes",
        "really",
        "ignore",
        "skip",
        "unsafe",
        "no-verify",
        "allow",
    ];
    let mut commands = vec![Arguments::command()];
    let mut options = 0;
    while let Some(command) = commands.pop() {
        for argument in command.get_arguments() {
            let mut all: Vec<String> = argument
                .get_all_aliases()
                .unwrap_or_default()
                .iter()
                .map(ToString::to_string)
                .collect();
            all.extend(argument.get_long().map(str::to_owned));
            all.push(argument.get_id().to_string());
            options += all.len();
            // It is about letters, as in every grep.
            all.retain(|name| !["ignore-case", "ignore_case"].contains(&name.as_str()));
            for name in all {
                let found = forbidden.iter().find(|word| name.contains(*word));
                assert!(found.is_none(), "{} --{name}", command.get_name());
            }
            assert_ne!(argument.get_short(), Some('f'), "{} -f", command.get_name());
            assert!(
                !argument.is_hide_set(),
                "{}: a hidden option",
                command.get_name()
            );
        }
        commands.extend(command.get_subcommands().cloned());
    }
    assert!(options > 10, "the options are seen at all");
    let source = read("src/cli/args.rs").to_lowercase();
    for word in ["force", "override", "yes-really", "ignore-errors"] {
        assert!(!names(&source, word), "src/cli/args.rs says '{word}'");
    }
}

#[test]
fn every_test_file_is_declared_and_every_declaration_has_its_file() {
    let main = read("tests/it/main.rs");
    let declared: BTreeSet<String> = main
        .lines()
        .filter_map(|line| {
            line.strip_prefix("mod ")?
                .strip_suffix(';')
                .map(str::to_owned)
        })
        .collect();
    let entries = fs::read_dir(root().join("tests/it")).expect("the tests are read");
    let present: BTreeSet<String> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter_map(|path| {
            path.file_stem()
                .and_then(|stem| stem.to_str())
                .map(str::to_owned)
        })
        .filter(|name| name != "main")
        .collect();
    assert_eq!(declared, present);
    for path in rust_files("tests") {
        let ignored = code_lines(&path, true)
            .into_iter()
            .find(|(_, line)| line.starts_with("#[ignore"));
        assert_eq!(ignored, None, "{}", path.display());
    }
}
