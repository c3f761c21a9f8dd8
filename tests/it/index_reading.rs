//! The index of every state is read as git reads it; one that cannot be read whole is refused.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use git_vault::host::git::index::Index;
use git_vault::host::git::object::{ObjectFormat, ObjectId, ObjectKind, hash_object};

use crate::support::files::{append, write};
use crate::support::fingerprint::Fingerprint;
use crate::support::listing;
use crate::support::states::{self, small_repository};
use crate::support::{Kind, Sandbox};

/// Nothing planted may run while git is asked, and git must not write.
const QUIET: [(&str, &str); 1] = [("GIT_OPTIONAL_LOCKS", "0")];

/// One entry as `git ls-files --sparse --stage` gives it.
struct Entry {
    mode: String,
    id: ObjectId,
    path: Vec<u8>,
}

fn entries(sandbox: &Sandbox, repository: &Path) -> Vec<Entry> {
    let arguments = [
        "-c",
        "core.fsmonitor=false",
        // As it is written, not as files found at paths left out would expand it.
        "-c",
        "sparse.expectFilesOutsideOfPatterns=true",
        "ls-files",
        "--sparse",
        "--stage",
        "-z",
    ];
    let output = sandbox.git_with(repository, &QUIET, &arguments);
    let lines = output.split(|byte| *byte == 0);
    let lines = lines.filter(|line| !line.is_empty());
    lines
        .map(|line| {
            let tab = line.iter().position(|byte| *byte == b'\t').expect("a tab");
            let fields: Vec<&[u8]> = line[..tab].split(|byte| *byte == b' ').collect();
            Entry {
                mode: String::from_utf8(fields[0].to_vec()).expect("a mode"),
                id: ObjectId::from_hex(fields[1]).expect("an id"),
                path: line[tab + 1..].to_vec(),
            }
        })
        .collect()
}

#[test]
fn every_state_s_index_is_read_as_git_reads_it() {
    let mut sparse = 0;
    for state in states::all_states() {
        if state.kind == Kind::Bare {
            continue;
        }
        let sandbox = Sandbox::new();
        let repository = (state.build)(&sandbox);
        let format = sandbox.git_text(&repository, &["rev-parse", "--show-object-format"]);
        let format = ObjectFormat::parse(&format).expect("a format");
        let index = Index::open(&repository.join(".git/index"), format);
        let index = index.unwrap_or_else(|error| panic!("{}: {}", state.name, error.reason));
        let entries = entries(&sandbox, &repository);
        // What `git add -N` put there stands for nothing yet, under the id of the empty file.
        let nothing = hash_object(format, ObjectKind::Blob, b"");
        let ids: BTreeSet<ObjectId> = index.ids().into_iter().collect();
        for entry in &entries {
            let shown = entry.path.escape_ascii();
            assert!(
                index.is_tracked(&index.all(), &entry.path),
                "{}: '{shown}'",
                state.name
            );
            let is_named = Some(entry.id) == nothing || ids.contains(&entry.id);
            assert!(is_named, "{}: the object of '{shown}'", state.name);
            sparse += usize::from(entry.mode == "040000");
        }
        assert_only_those_are_tracked(state.name, &repository, &index, &entries);
    }
    assert!(sparse > 1, "some directories are single entries");
}

/// Of what lies in the working tree, the index has those paths and no others.
fn assert_only_those_are_tracked(state: &str, repository: &Path, index: &Index, entries: &[Entry]) {
    let is_tracked = |name: &[u8]| {
        entries.iter().any(|entry| {
            entry.path == name || entry.path.ends_with(b"/") && name.starts_with(&entry.path)
        })
    };
    for (name, entry) in listing::list(repository, &|name| name != b".git") {
        let shown = name.escape_ascii();
        if entry.content == listing::Content::Directory {
            let below = [&name[..], b"/"].concat();
            let holds = entries.iter().any(|entry| {
                entry.path.starts_with(&below)
                    || entry.path.ends_with(b"/") && below.starts_with(&entry.path)
            });
            assert_eq!(
                index.tracks_below(&index.all(), &name),
                holds,
                "{state}: below '{shown}'"
            );
        } else {
            assert_eq!(
                index.is_tracked(&index.all(), &name),
                is_tracked(&name),
                "{state}: '{shown}'"
            );
        }
    }
}

fn split(sandbox: &Sandbox) -> PathBuf {
    let repository = small_repository(sandbox);
    sandbox.git(&repository, &["update-index", "--split-index"]);
    append(&repository, "README.md", "staged\n");
    sandbox.git(&repository, &["add", "README.md"]);
    repository
}

fn shared_half(repository: &Path) -> PathBuf {
    let names = fs::read_dir(repository.join(".git")).expect("the git directory is read");
    let mut paths = names.map(|entry| entry.expect("an entry").path());
    paths
        .find(|path| path.display().to_string().contains("/sharedindex."))
        .expect("a shared half")
}

#[track_caller]
fn assert_refused_by_name(sandbox: &Sandbox, repository: &Path) {
    let untouched = Fingerprint::of(&sandbox.workplace());
    let _said = sandbox.vault(repository, &["snapshot"]).refused("GV-2007");
    untouched.assert_untouched(&sandbox.workplace());
}

#[test]
fn a_split_index_without_its_shared_half_is_refused() {
    let sandbox = Sandbox::new();
    let repository = split(&sandbox);
    fs::remove_file(shared_half(&repository)).expect("the shared half is removed");
    sandbox.git_stops(&repository, &["status"]);
    assert_refused_by_name(&sandbox, &repository);
}

#[test]
fn a_split_index_with_another_shared_half_is_refused() {
    let sandbox = Sandbox::new();
    let repository = split(&sandbox);
    let shared = shared_half(&repository);
    let other = sandbox.init("other");
    write(&other, "other.txt", "other\n");
    sandbox.git(&other, &["add", "other.txt"]);
    fs::copy(other.join(".git/index"), &shared).expect("another index takes its place");
    sandbox.git_stops(&repository, &["status"]);
    assert_refused_by_name(&sandbox, &repository);
}
