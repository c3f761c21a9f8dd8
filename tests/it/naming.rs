//! Snapshots and sections of the runbook are found by their names, and nothing else is.

use git_vault::model::refusal_code::RefusalCode;

use crate::answers::Scene;
use crate::laboratory::run;
use crate::refusals::assert_refused;
use crate::support::{Sandbox, states};

#[test]
fn snapshots_are_named_by_prefix_and_by_place() {
    let scene = Scene::new();
    let id_of = |name: &str| {
        let said = scene.run(&["--json", "show", name]).succeeded();
        said.json()["snapshot"]["id"]
            .as_str()
            .expect("an id")
            .to_owned()
    };
    let unique = |id: &str| {
        let others = scene.ids.iter().filter(|other| *other != id);
        let shared = others.map(|other| {
            id.bytes()
                .zip(other.bytes())
                .take_while(|(one, two)| one == two)
                .count()
        });
        shared.max().expect("others") + 1
    };
    for id in &scene.ids {
        for length in unique(id)..=id.len() {
            assert_eq!(id_of(&id[..length]), *id);
        }
    }
    for (name, place) in [("@latest", 2), ("@~0", 2), ("@~1", 1), ("@~2", 0)] {
        assert_eq!(id_of(name), scene.ids[place], "{name}");
    }
    let longer = format!("{}k", scene.ids[0]);
    for name in [
        "@~3",
        "@~99999999999999999999",
        "@~-1",
        "@~",
        "@~x",
        "@lat",
        "@latest~1",
        "zzzzzzzzzzzz",
        "nothing",
        "HEAD",
        "..",
        ".incomplete-",
        "*",
        "",
        " ",
        &longer,
    ] {
        let said = scene.run(&["show", name]);
        assert_refused(&said, &["GV-1101"], name.trim());
        let said = scene.run(&["restore", name, "../restored"]);
        assert_refused(&said, &["GV-1101"], name.trim());
    }
}

#[test]
fn an_ambiguous_prefix_is_refused_and_names_what_it_could_be() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let mut ids: Vec<String> = Vec::new();
    let twins = loop {
        let said = sandbox
            .vault(&source, &["--json", "snapshot", "-m", "again"])
            .succeeded();
        let id = said.json()["snapshot"]["id"]
            .as_str()
            .expect("an id")
            .to_owned();
        let twin = ids.iter().find(|other| other[..1] == id[..1]).cloned();
        ids.push(id.clone());
        if let Some(twin) = twin {
            break [twin, id];
        }
    };
    let said = run(&sandbox, &source, &["show", &twins[0][..1]]);
    for twin in &twins {
        assert_refused(&said, &["GV-1102"], twin);
    }
    let said = run(
        &sandbox,
        &source,
        &["restore", &twins[0][..1], "../restored"],
    );
    assert_refused(&said, &["GV-1102"], &twins[1]);
    assert!(!sandbox.workplace().join("restored").exists());
}

#[test]
fn the_runbook_has_a_checklist_for_every_code_and_refuses_unknown_ones() {
    let sandbox = Sandbox::new();
    let directory = sandbox.home();
    let whole = run(&sandbox, &directory, &["runbook"]).succeeded().text();
    for code in RefusalCode::ALL {
        for name in [code.code(), code.name()] {
            let section = run(&sandbox, &directory, &["runbook", name])
                .succeeded()
                .text();
            assert!(
                whole.contains(section.trim_end()),
                "{name}: the section is one of the runbook"
            );
            let heading = format!("### {} {}", code.code(), code.name());
            assert_eq!(section.lines().next(), Some(&*heading), "{name}");
            assert!(
                section.lines().any(|line| line.starts_with("1. ")),
                "{name}: a checklist\n{section}"
            );
            assert!(
                section.contains("git"),
                "{name}: a command to paste\n{section}"
            );
            let headings = section.lines().filter(|line| line.starts_with('#')).count();
            assert_eq!(headings, 1, "{name}: one section\n{section}");
        }
    }
    for unknown in ["GV-9999", "9999", "nonsense", "", "GV-", "GV-210"] {
        let said = run(&sandbox, &directory, &["runbook", unknown]);
        assert!(
            said.code.is_some_and(|code| code != 0) && said.stdout.is_empty(),
            "{said}"
        );
    }
}
