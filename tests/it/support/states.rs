//! The named repository states that a snapshot must carry over whole, built with real git command lines.

mod attributes;
mod formats;
mod heavy;
pub mod history;
mod ignored;
mod index;
mod index_formats;
mod names;
mod operations;
mod refs;
mod reftable;
mod stopped;
mod worktree;

pub use reftable::refs_in_tables;

use std::path::PathBuf;

use super::files::write;
use super::{Kind, Sandbox};

/// A repository state under a name, with the function that builds it and returns the workspace or bare repository.
#[derive(Clone, Copy)]
pub struct State {
    pub name: &'static str,
    pub build: fn(&Sandbox) -> PathBuf,
    pub kind: Kind,
}

/// Every state that is quickly built and copied.
pub fn all_states() -> Vec<State> {
    [
        index::states(),
        operations::states(),
        names::states(),
        attributes::states(),
        ignored::states(),
        worktree::states(),
        refs::states(),
        formats::states(),
        index_formats::states(),
        stopped::states(),
        reftable::states(),
        history::states(),
    ]
    .concat()
}

/// States of a hundred megabytes and more.
pub fn heavy_states() -> Vec<State> {
    heavy::states()
}

/// The state of this name, from either list.
#[track_caller]
pub fn find(name: &str) -> State {
    let mut states = all_states().into_iter().chain(heavy_states());
    states
        .find(|state| state.name == name)
        .unwrap_or_else(|| panic!("no state is named '{name}'"))
}

fn workspace(name: &'static str, build: fn(&Sandbox) -> PathBuf) -> State {
    State {
        name,
        build,
        kind: Kind::Workspace,
    }
}

/// A repository of three commits with a few files, clean.
pub fn small_repository(sandbox: &Sandbox) -> PathBuf {
    let repository = sandbox.init("repository");
    write(&repository, "README.md", "# A project\n");
    write(&repository, "src/one.txt", "one\ntwo\nthree\nfour\nfive\n");
    sandbox.commit(&repository, "first");
    write(&repository, "src/two.txt", "second file\n");
    sandbox.commit(&repository, "second");
    write(&repository, "src/deep/er/three.txt", "third file\n");
    sandbox.commit(&repository, "third");
    repository
}

/// Two branches, `main` and `side`, that both changed the line of `story.txt`; `main` is checked out.
fn diverged_repository(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    write(&repository, "story.txt", "once upon a time\n");
    write(&repository, "notes.txt", "nothing yet\n");
    sandbox.commit(&repository, "base");
    sandbox.git(&repository, &["switch", "--quiet", "--create", "side"]);
    write(&repository, "side.txt", "only on the side\n");
    sandbox.commit(&repository, "side one");
    write(&repository, "story.txt", "once upon a side\n");
    sandbox.commit(&repository, "side two");
    write(&repository, "later.txt", "later on the side\n");
    sandbox.commit(&repository, "side three");
    sandbox.git(&repository, &["switch", "--quiet", "main"]);
    write(&repository, "story.txt", "once upon a main\n");
    sandbox.commit(&repository, "main changes the story");
    repository
}

/// A shell command that leaves the marker, for planting where nothing must ever run it.
fn planted_command(sandbox: &Sandbox) -> String {
    format!("touch '{}'", sandbox.marker().display())
}

/// A script that leaves the marker, as content of a hook.
fn planted_script(sandbox: &Sandbox) -> String {
    format!("#!/bin/sh\n{}\n", planted_command(sandbox))
}
