//! `git vault restore SNAP:PATH... DIR`: single files and directories of a snapshot, into an absent or empty directory. What to do with
//! them there is for a person to say: nothing is copied over anything.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Path, PathBuf};

use crate::host::disk;
use crate::host::git::repository::join_bytes;
use crate::host::walk::join;
use crate::model::escape::{name_from_text, text_name};
use crate::model::event::{Event, Monitor, Phase};
use crate::model::ids::Digest;
use crate::model::listing::Entry;
use crate::model::place::Place;
use crate::model::refusal::{Changed, Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::destination::{Needs, claim};
use crate::ops::layout::Rewritten;
use crate::ops::locate::Workplace;
use crate::ops::look::{Opened, leading_to};
use crate::ops::restore::forbidden;
use crate::ops::restore_tree::TreeWriter;
use crate::ops::snapshot_path::{SnapshotPath, not_in};
use crate::ops::verify::check_bytes;
use crate::vault::log::LoggedSnapshot;
use crate::vault::lookup::Wanted;
use crate::vault::reader::{Directory, SnapshotReader, needed_packs, write_content};

/// What stands now where a path came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum There {
    /// Nothing.
    Nothing,
    /// A file with the very same bytes.
    Same,
    /// Something else.
    Other,
    /// Not looked for: the place it came from is not known.
    Unknown,
}

/// A path that was given back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Given {
    /// The path, as it was asked for.
    pub path: Vec<u8>,
    /// Where it lies now.
    pub restored: PathBuf,
    /// Where it came from.
    pub origin: Option<PathBuf>,
    /// What is there now.
    pub there: There,
    /// Whether it is a directory.
    pub is_directory: bool,
}

/// What was restored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RestorePathsReport {
    /// The snapshot.
    pub snapshot: LoggedSnapshot,
    /// Where.
    pub destination: PathBuf,
    /// Each path that was asked for.
    pub given: Vec<Given>,
    /// Files written and hashed again.
    pub files: u64,
    /// Bytes of those files.
    pub bytes: u64,
    /// What was captured and cannot be made again: sockets and the like.
    pub not_recreated: Vec<String>,
}

/// The paths of one snapshot that are asked for.
///
/// # Errors
/// When they are of several snapshots or trees, or one is empty, which is the whole.
pub fn together(asked: &[SnapshotPath]) -> Result<(&SnapshotPath, BTreeSet<Vec<u8>>)> {
    let unfit = |fact: &str| {
        Refusal::new(
            RefusalCode::PathNotFound,
            "these paths cannot be restored together",
        )
        .because(fact)
        .keeping("nothing was touched")
        .next(
            "git vault restore SNAP:PATH... DIR",
            "paths of one snapshot",
        )
    };
    let first = asked.first().ok_or_else(|| unfit("none was given"))?;
    let is_alike = |one: &SnapshotPath| one.snapshot == first.snapshot && one.place == first.place;
    if !asked.iter().all(is_alike) {
        return Err(unfit(
            "they are of several snapshots, or of several trees of one",
        ));
    }
    if asked.iter().any(|one| one.path.is_empty()) {
        return Err(unfit("one of them is a whole tree"));
    }
    Ok((first, asked.iter().map(|one| one.path.clone()).collect()))
}

/// What is needed at the destination, and what was met.
#[derive(Default)]
struct Plan {
    needs: Needs,
    files: u64,
    met: BTreeSet<Vec<u8>>,
    directories: BTreeSet<Vec<u8>>,
    digests: Vec<(Vec<u8>, (u64, Digest))>,
    not_recreated: Vec<String>,
}

/// Restores paths of a snapshot.
///
/// # Errors
/// When the snapshot does not hold one of them, when there is any doubt about the stored bytes, or the destination cannot hold them. The
/// destination is then as it was.
pub fn restore_paths(
    workplace: &Workplace,
    asked: &[SnapshotPath],
    destination: &Path,
    monitor: &dyn Monitor,
) -> Result<RestorePathsReport> {
    let (first, paths) = together(asked)?;
    let opened = Opened::open(workplace, &first.snapshot)?;
    let places = forbidden(workplace, &opened.vault, &opened.trusted);
    let destination = claim(destination, &workplace.current, &places)?;
    check_bytes(
        &opened.vault,
        &needed_packs(&opened.vault, &opened.trusted),
        monitor,
    )?;
    let store = opened.store().open_all()?;
    let reader = SnapshotReader::new(&store, &opened.trusted);
    let wanted = |met: &[u8]| wanted(&paths, met);
    let mut plan = Plan::default();
    reader.each_wanted(first.place, &wanted, &mut |directory| {
        add(&mut plan, &paths, &directory);
        for (name, entry) in &directory.listing.entries {
            if let (Entry::Link { attributes, .. }, Some(content)) =
                (entry, directory.contents.get(name))
            {
                let mut sink = std::io::sink();
                let bytes = write_content(&store, content, &mut sink, Path::new("a link"))?;
                plan.needs.add_link(attributes.mtime_ns, bytes);
            }
        }
        Ok(())
    })?;
    if let Some(missing) = paths.iter().find(|path| !plan.met.contains(*path)) {
        return Err(not_in(opened.id(), first.place, missing));
    }
    let staging = destination.stage(&plan.needs, plan.needs.bytes)?;
    monitor.event(Event::Started {
        phase: Phase::Restore,
        total: Some(plan.needs.bytes),
    });
    let build = || -> Result<()> {
        let root = staging
            .root()
            .try_clone()
            .map_err(|error| disk::Error::new("open", staging.path(), error))
            .map_err(|error| error.refuse(RefusalCode::RestoreStopped))?;
        let rewritten = Rewritten::new();
        let writer = TreeWriter::new(
            &store,
            (root, staging.path()),
            first.place,
            (Vec::new(), &rewritten),
            monitor,
        );
        reader.each_wanted(first.place, &wanted, &mut |directory| {
            writer.make_directories(&directory)?;
            writer.write(&directory)
        })?;
        writer.finish()
    };
    build().map_err(|refusal| say_what_is_left(refusal, staging.path()))?;
    let left = staging.path().to_owned();
    let destination = staging
        .finish()
        .map_err(|refusal| say_what_is_left(refusal, &left))?;
    monitor.event(Event::Finished {
        phase: Phase::Restore,
    });
    let given = given(asked, &opened, &plan, &destination);
    Ok(RestorePathsReport {
        given,
        files: plan.files,
        bytes: plan.needs.bytes,
        not_recreated: plan.not_recreated,
        snapshot: opened.logged,
        destination,
    })
}

/// What there is to say of each path that was asked for.
fn given(asked: &[SnapshotPath], opened: &Opened, plan: &Plan, destination: &Path) -> Vec<Given> {
    let given = asked.iter().map(|one| {
        let origin = origin(opened, one.place);
        let from = origin.map(|origin| join_bytes(&origin, &one.path));
        Given {
            there: there(from.as_deref(), plan, &one.path),
            path: one.path.clone(),
            restored: join_bytes(destination, &one.path),
            origin: from,
            is_directory: plan.directories.contains(&one.path),
        }
    });
    given.collect()
}

fn wanted(paths: &BTreeSet<Vec<u8>>, met: &[u8]) -> Wanted {
    let each = paths.iter().map(|path| leading_to(path, met, true));
    each.fold(Wanted::Nothing, |found, one| match (found, one) {
        (Wanted::Whole, _) | (_, Wanted::Whole) => Wanted::Whole,
        (Wanted::Way, _) | (_, Wanted::Way) => Wanted::Way,
        (Wanted::Nothing, Wanted::Nothing) => Wanted::Nothing,
    })
}

/// Notes what a directory needs, and which of the paths are met in it. Above what was asked for, directories are made as any others:
/// their attributes do not matter.
fn add(plan: &mut Plan, paths: &BTreeSet<Vec<u8>>, directory: &Directory) {
    let entries = &directory.listing.entries;
    let is_written =
        |entry: &Entry| !matches!(entry, Entry::Special { .. } | Entry::LeftOut { .. });
    let written = entries.iter().filter(|(_, entry)| is_written(entry));
    let names: Vec<&Vec<u8>> = written.map(|(name, _)| name).collect();
    plan.needs.add_names(&directory.path, &names);
    plan.needs.add_attributes(&directory.listing.own);
    for (name, entry) in entries {
        let path = join(&directory.path, name);
        let is_asked_for = paths.contains(&path);
        if is_asked_for {
            plan.met.insert(path.clone());
        }
        match entry {
            Entry::File {
                attributes,
                bytes,
                blake3,
            } => {
                plan.files += 1;
                plan.needs.bytes = plan.needs.bytes.saturating_add(*bytes);
                plan.needs.largest_file_bytes = plan.needs.largest_file_bytes.max(*bytes);
                plan.needs.add_attributes(attributes);
                if is_asked_for {
                    plan.digests.push((path, (*bytes, *blake3)));
                }
            }
            Entry::Directory { .. } if is_asked_for => {
                plan.directories.insert(path);
            }
            Entry::Special { kind, .. } => {
                let shown = text_name(&path);
                plan.not_recreated.push(format!("{}: {shown}", kind.word()));
            }
            Entry::Directory { .. } | Entry::Link { .. } | Entry::LeftOut { .. } => {}
        }
    }
}

fn say_what_is_left(refusal: Refusal, staging: &Path) -> Refusal {
    if refusal.changed != Changed::Nothing {
        return refusal;
    }
    refusal
        .having_changed(format!(
            "the destination is as it was; what had been written stays in '{}'",
            staging.display()
        ))
        .keeping("the snapshot and its vault are untouched")
}

/// Where the tree of a place was when it was captured.
fn origin(opened: &Opened, place: Place) -> Option<PathBuf> {
    let manifest = opened.trusted.manifest();
    let text = match place {
        Place::Worktree => manifest.source.worktree.clone(),
        Place::Gitdir => Some(manifest.source.git_dir.clone()),
        Place::Linked(_) => None,
    };
    let bytes = name_from_text(&text?)?;
    Some(PathBuf::from(OsString::from_vec(bytes)))
}

/// What stands at the place that a path came from.
fn there(origin: Option<&Path>, plan: &Plan, path: &[u8]) -> There {
    let Some(origin) = origin else {
        return There::Unknown;
    };
    if origin.symlink_metadata().is_err() {
        return There::Nothing;
    }
    let expected = plan.digests.iter().find(|(asked, _)| asked == path);
    let is_same = expected.is_some_and(|(_, expected)| {
        disk::hash_file(origin, |_bytes| {}).is_ok_and(|found| found == *expected)
    });
    if is_same { There::Same } else { There::Other }
}
