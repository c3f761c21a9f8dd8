//! The table of states in docs/FIDELITY.md: every test it names exists, and every state that makes a round trip stands in it.

use std::collections::BTreeSet;
use std::process::Command;

use crate::architecture::read;

/// As `module::test`, from this very program.
fn tests() -> BTreeSet<String> {
    let program = std::env::current_exe().expect("this program");
    let output = Command::new(program).arg("--list").output();
    let output = output.expect("the tests are listed");
    let text = String::from_utf8(output.stdout).expect("names are UTF-8");
    let names = text.lines().filter_map(|line| line.strip_suffix(": test"));
    names.map(str::to_owned).collect()
}

/// One state: the section it stands in, and its cells.
struct Row {
    section: String,
    cells: Vec<String>,
}

impl Row {
    fn tests(&self) -> impl Iterator<Item = &str> {
        let last = self.cells.last().expect("a last cell");
        last.split(',').map(|name| name.trim().trim_matches('`'))
    }
}

/// The cells of a line of a table; a `\|` is no border.
fn cells(line: &str) -> Vec<String> {
    let plain = line.replace("\\|", "\u{0}");
    let inner = plain.trim().trim_start_matches('|').trim_end_matches('|');
    let cells = inner.split('|');
    cells
        .map(|cell| cell.trim().replace('\u{0}', "|"))
        .collect()
}

fn rows() -> Vec<Row> {
    let text = read("docs/FIDELITY.md");
    let mut section = String::new();
    let mut rows = Vec::new();
    for line in text.lines() {
        if let Some(title) = line.strip_prefix("## ") {
            title.clone_into(&mut section);
        }
        let is_head = line.starts_with("| State ") || line.starts_with("|--");
        if line.starts_with('|') && !is_head {
            rows.push(Row {
                section: section.clone(),
                cells: cells(line),
            });
        }
    }
    rows
}

#[test]
fn every_row_says_everything_and_names_tests_that_exist() {
    let tests = tests();
    assert!(tests.len() > 400, "the tests are seen at all");
    for row in rows() {
        let shown = row.cells.join(" | ");
        assert_eq!(row.cells.len(), 4, "{shown}");
        assert!(row.cells.iter().all(|cell| !cell.is_empty()), "{shown}");
        for name in row.tests() {
            assert!(tests.contains(name), "no test is named '{name}': {shown}");
        }
    }
}

#[test]
fn every_section_has_rows_and_no_state_stands_there_twice() {
    let rows = rows();
    let text = read("docs/FIDELITY.md");
    for title in text.lines().filter_map(|line| line.strip_prefix("## ")) {
        let has_rows = rows.iter().any(|row| row.section == title);
        assert!(has_rows, "'{title}' is empty");
    }
    let mut states = BTreeSet::new();
    for row in &rows {
        let state = (&row.section, &row.cells[0]);
        assert!(
            states.insert(state),
            "'{}' stands there twice",
            row.cells[0]
        );
    }
}

#[test]
fn every_state_with_a_round_trip_stands_in_a_row() {
    let rows = rows();
    let named: BTreeSet<&str> = rows.iter().flat_map(Row::tests).collect();
    let tests = tests();
    let states = tests.iter().filter(|name| {
        let state = name
            .strip_prefix("roundtrip::state::")
            .or_else(|| name.strip_prefix("roundtrip::heavy_state::"));
        state.is_some_and(|state| !state.starts_with("every_") || is_state(state))
    });
    let missing: Vec<&String> = states
        .filter(|name| !named.contains(name.as_str()))
        .collect();
    assert!(missing.is_empty(), "docs/FIDELITY.md lacks {missing:#?}");
}

fn is_state(name: &str) -> bool {
    let states = crate::support::states::all_states();
    states.iter().any(|state| state.name == name)
}
