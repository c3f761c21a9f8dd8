//! Places that are not clear, or not there, are refused before anything is written.

use std::fs;

use crate::support::files::write;
use crate::support::fingerprint::Fingerprint;
use crate::support::{Sandbox, states};

#[test]
fn places_that_go_up_from_a_directory_that_does_not_exist_are_refused_and_nothing_is_written() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let name = source
        .file_name()
        .expect("a name")
        .to_string_lossy()
        .into_owned();
    let winding = sandbox
        .workplace()
        .join("nope/..")
        .join(&name)
        .join("inside");
    let winding = winding.to_str().expect("a UTF-8 path");
    let before = Fingerprint::of(&sandbox.workplace());
    for variable in [
        "GIT_VAULT_HOME",
        "XDG_STATE_HOME",
        "XDG_CONFIG_HOME",
        "XDG_DATA_HOME",
    ] {
        let said = sandbox.vault_with(&source, &[(variable, winding)], &["snapshot"]);
        assert!(said.code != Some(0), "{variable}\n{said}");
        before.assert_untouched(&sandbox.workplace());
    }
}

#[test]
fn an_alternate_that_is_not_there_is_refused_by_its_path() {
    let sandbox = Sandbox::new();
    let source = (states::find("alternates").build)(&sandbox);
    let alternates = source.join(".git/objects/info/alternates");
    let there = fs::read_to_string(&alternates).expect("the alternates are read");
    write(
        &source,
        ".git/objects/info/alternates",
        format!("{}-gone\n", there.trim_end()),
    );
    let said = sandbox.vault(&source, &["snapshot"]).refused("GV-2005");
    assert!(
        String::from_utf8_lossy(&said.stderr).contains("-gone"),
        "{said}"
    );
}
