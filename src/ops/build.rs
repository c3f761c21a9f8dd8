//! Builds a workspace in the staging directory of a restore: all places, the history of each repository, pointers between the
//! trees; and checks what was built.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Write;
use std::path::Path;

use rustix::fs::{Mode, mkdirat};

use crate::host::disk::{self, Context};
use crate::host::git::object::ObjectFormat;
use crate::host::git::packs::Packs;
use crate::host::git::repository::{executable_settings, join_bytes};
use crate::host::git::tips::Tips;
use crate::host::metadata;
use crate::host::parallel;
use crate::model::escape::{name_from_text, text_name};
use crate::model::event::{Event, Monitor, Phase};
use crate::model::ids::Digest;
use crate::model::inventory::PackRecord;
use crate::model::manifest::Manifest;
use crate::model::place::{Place, Spot};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::assemble::tips_digest;
use crate::ops::capture::CaptureError;
use crate::ops::destination::{RestoreStaging, create};
use crate::ops::history::missing;
use crate::ops::layout::{Layout, Rewritten};
use crate::ops::metadata::{Look, Names, open_index};
use crate::ops::restore_tree::{TreeWriter, hash_again, not_kept, open_below};
use crate::vault::inspect::Vault;
use crate::vault::reader::SnapshotReader;
use crate::vault::store::{Store, of};

/// What is built, and out of what.
pub(super) struct Job<'a> {
    pub(super) vault: &'a Vault,
    pub(super) manifest: &'a Manifest,
    pub(super) reader: &'a SnapshotReader<'a>,
    pub(super) store: &'a Store,
    pub(super) layout: &'a Layout<'a>,
    pub(super) rewritten: &'a Rewritten,
    pub(super) history: &'a [&'a PackRecord],
    pub(super) monitor: &'a dyn Monitor,
}

fn stopped(error: &disk::Error) -> Refusal {
    error.refuse(RefusalCode::RestoreStopped)
}

/// Builds the workspace in staging and checks it; gives what in it can execute.
pub(super) fn build(job: &Job<'_>, staging: &RestoreStaging) -> Result<Vec<String>> {
    let mut writers = Vec::new();
    for place in job.layout.places() {
        let writer = writer(job, staging, place)?;
        write(job, place, &writer)?;
        writers.push((place, writer));
    }
    let mut can_execute = Vec::new();
    for git_dir in job.manifest.git_dirs() {
        hand_over_history(job, staging, &git_dir)?;
    }
    for (place, writer) in &writers {
        let live = writer.executable().into_iter();
        let live = live.filter(|path| !path.ends_with(b".sample"));
        can_execute.extend(live.map(|path| {
            let spot = Spot::top(*place).join(&path);
            format!("hook {}", named(&spot))
        }));
    }
    for git_dir in job.manifest.git_dirs() {
        can_execute.extend(settings(job, staging, &git_dir));
        check(job, staging, &git_dir)?;
    }
    // What lies in another place was written after it, and gets its times before it.
    for (_, writer) in writers.into_iter().rev() {
        writer.finish()?;
    }
    Ok(can_execute)
}

/// Writes a place: directories are made one after the other, what is in them is written by several threads.
fn write(job: &Job<'_>, place: Place, writer: &TreeWriter<'_>) -> Result<()> {
    let stop = || Refusal::new(RefusalCode::Internal, "a worker stopped without an answer");
    parallel::pipeline(
        parallel::helpers(),
        |hand_over| {
            job.reader.each_directory(place, &mut |directory| {
                writer.make_directories(&directory)?;
                hand_over(directory).then_some(()).ok_or_else(stop)
            })
        },
        |directory| writer.write(&directory),
    )
}

/// A path in the main git directory by itself, any other with its place.
fn named(spot: &Spot) -> String {
    match Spot::top(Place::Gitdir).relative(spot) {
        Some(path) => text_name(path),
        None => spot.to_string(),
    }
}

/// Makes the directory of a place, and a writer for what it holds.
fn writer<'a>(job: &Job<'a>, staging: &RestoreStaging, place: Place) -> Result<TreeWriter<'a>> {
    let relative = job.layout.relative(&Spot::top(place));
    let shown = join_bytes(staging.path(), &relative);
    if !relative.is_empty() {
        let slash = relative.iter().rposition(|byte| *byte == b'/');
        let (above, name) = match slash {
            Some(slash) => (relative.get(..slash), relative.get(slash + 1..)),
            None => (Some(&b""[..]), Some(relative.as_slice())),
        };
        let above = open_below(staging.root(), above.unwrap_or_default(), &shown);
        mkdirat(
            &above.map_err(|error| stopped(&error))?,
            name.unwrap_or_default(),
            Mode::RWXU,
        )
        .context("create directory", &shown)
        .map_err(|error| stopped(&error))?;
    }
    let root = open_below(staging.root(), &relative, &shown).map_err(|error| stopped(&error))?;
    let hooks = job.manifest.git_dirs().into_iter();
    let hooks = hooks
        .map(|git_dir| git_dir.join(b"hooks"))
        .filter(|spot| spot.place == place)
        .map(|spot| spot.path);
    Ok(TreeWriter::new(
        job.store,
        (root, &shown),
        place,
        (hooks.collect(), job.rewritten),
        job.monitor,
    ))
}

/// The packs of the history of a repository.
fn history_of<'a>(job: &Job<'a>, git_dir: &Spot) -> impl Iterator<Item = &'a PackRecord> {
    let git_dir = git_dir.clone();
    job.history
        .iter()
        .copied()
        .filter(move |pack| of(pack) == git_dir)
}

/// Copies the history packs of a repository as they are.
fn hand_over_history(job: &Job<'_>, staging: &RestoreStaging, git_dir: &Spot) -> Result<()> {
    let mode = Mode::RWXU | Mode::RGRP | Mode::XGRP | Mode::ROTH | Mode::XOTH;
    let relative = job.layout.relative(git_dir);
    let shown = join_bytes(staging.path(), &relative);
    let gitdir = open_below(staging.root(), &relative, &shown).map_err(|error| stopped(&error))?;
    for path in ["objects", "objects/info", "objects/pack"] {
        mkdirat(&gitdir, path, mode)
            .context("create directory", &shown.join(path))
            .map_err(|error| stopped(&error))?;
    }
    let shown = shown.join("objects/pack");
    let directory =
        open_below(&gitdir, b"objects/pack", &shown).map_err(|error| stopped(&error))?;
    for pack in history_of(job, git_dir) {
        let source = job.vault.layout.pack(&pack.name);
        let name = |ending: &str| format!("{}.{ending}", pack.name);
        copy(
            &source,
            (pack.bytes, pack.blake3),
            &directory,
            &name("pack"),
            &shown,
            job.monitor,
        )?;
        let index = source.with_extension("idx");
        copy(
            &index,
            (pack.index_bytes, pack.index_blake3),
            &directory,
            &name("idx"),
            &shown,
            job.monitor,
        )?;
        if pack.promisor {
            mark_promisor(&directory, &name("promisor"), &shown)
                .map_err(|error| stopped(&error))?;
        }
    }
    Ok(())
}

/// Says to git that what the objects of a pack name may be missing, and is to be had from the promisor remote.
fn mark_promisor(directory: &File, name: &str, shown: &Path) -> disk::Result<()> {
    let mark = create(directory, name.as_bytes(), shown)?;
    metadata::set_mode(&mark, 0o444, &shown.join(name))
}

/// Copies one file and hashes what is copied, then what is there.
fn copy(
    source: &Path,
    expected: (u64, Digest),
    directory: &File,
    name: &str,
    shown: &Path,
    monitor: &dyn Monitor,
) -> Result<()> {
    let mut from = disk::open_regular(source).map_err(|error| error.refuse_vault_read())?;
    let mut to = create(directory, name.as_bytes(), shown).map_err(|error| stopped(&error))?;
    let shown = shown.join(name);
    let mut hasher = blake3::Hasher::new();
    let copied = disk::each_piece(&mut from, source, &mut |piece| {
        hasher.update(piece);
        let units = piece.len() as u64;
        monitor.event(Event::Advanced {
            phase: Phase::Restore,
            units,
        });
        to.write_all(piece).context("write", &shown)
    });
    let total_bytes = copied.map_err(|error| {
        let is_read = error.path == source;
        if is_read {
            error.refuse_vault_read()
        } else {
            stopped(&error)
        }
    })?;
    if (total_bytes, Digest::finish(&hasher)) != expected {
        return Err(Refusal::new(
            RefusalCode::VaultDamaged,
            format!("'{}' is not what was written", source.display()),
        )
        .because(format!(
            "expected BLAKE3 {}, found {}",
            expected.1,
            Digest::finish(&hasher)
        ))
        .about_difference(
            source,
            format!("{} bytes with BLAKE3 {}", expected.0, expected.1),
            format!(
                "{total_bytes} bytes with BLAKE3 {}",
                Digest::finish(&hasher)
            ),
        ));
    }
    let found = hash_again(&mut to, &shown).map_err(|error| stopped(&error))?;
    if found != expected {
        return Err(not_kept(&shown));
    }
    metadata::set_mode(&to, 0o444, &shown).map_err(|error| stopped(&error))
}

/// Checks a built repository: its refs, operations and indices name only objects that were handed over.
fn check(job: &Job<'_>, staging: &RestoreStaging, git_dir: &Spot) -> Result<()> {
    let format = job.vault.format;
    let path = join_bytes(staging.path(), &job.layout.relative(git_dir));
    let trees = job.layout.trees_in(git_dir);
    let mut names = names_of(job.manifest, git_dir, (&path, trees), format)?;
    let stated = stated_tips(job.manifest, git_dir);
    if stated.is_some_and(|(_, digest)| digest != tips_digest(&names.tips)) {
        names.do_without_optional();
    }
    let incomplete = |fact: String| {
        Refusal::new(
            RefusalCode::RecordContradiction,
            "the restored repository is not what was captured",
        )
        .because(format!("{git_dir}: {fact}"))
    };
    let mut handed_over = Packs::default();
    for pack in history_of(job, git_dir) {
        let path = path
            .join("objects/pack")
            .join(format!("{}.pack", pack.name));
        let opened = crate::host::git::pack_reader::Pack::open(&path, format);
        let opened = opened.map_err(|error| cannot_be_read_back(vec![error.to_string()]))?;
        handed_over.push(opened, pack.promisor);
    }
    let promised = job.reader.promised()?.of(git_dir);
    if let Some(lost) = missing(&handed_over, &names.needed(), &promised).first() {
        return Err(incomplete(format!("object {lost} is not in it")));
    }
    let found = (names.tips.needed.len() as u64, tips_digest(&names.tips));
    if Some(found) == stated {
        Ok(())
    } else {
        Err(incomplete("its refs name other objects".to_owned()))
    }
}

/// How many tips a manifest states for a repository, and their digest.
pub(super) fn stated_tips(manifest: &Manifest, git_dir: &Spot) -> Option<(u64, Digest)> {
    if *git_dir == Spot::top(Place::Gitdir) {
        let history = &manifest.history;
        return Some((history.tips, history.tips_blake3));
    }
    let mut nested = manifest.nested.iter();
    let nested = nested.find(|nested| nested.git_dir == *git_dir)?;
    Some((nested.tips, nested.tips_blake3))
}

/// The tips as a manifest counted them: if the source lacked what git does without, then without it.
pub(super) fn as_stated(mut tips: Tips, stated: Option<Digest>) -> Tips {
    if stated.is_some_and(|stated| stated != tips_digest(&tips)) {
        tips.do_without_optional();
    }
    tips
}

/// What a restored repository names.
fn names_of(
    manifest: &Manifest,
    git_dir: &Spot,
    (path, trees): (&Path, BTreeSet<Vec<u8>>),
    format: ObjectFormat,
) -> Result<Names> {
    let read = || -> std::result::Result<Names, CaptureError> {
        let look = Look::at(path, trees.clone())?;
        let mut indices = vec![open_index(&path.join("index"), format)?];
        for linked in manifest
            .linked
            .iter()
            .filter(|linked| linked.git_dir == *git_dir)
        {
            let name = name_from_text(&linked.name).unwrap_or_default();
            let own = [b"worktrees/", name.as_slice(), b"/index"].concat();
            indices.push(open_index(&join_bytes(path, &own), format)?);
        }
        look.names((b"", path), &indices.iter().collect::<Vec<_>>(), format)
    };
    read().map_err(|error| match error {
        CaptureError::Moved(path) => cannot_be_read_back(vec![format!(
            "'{}' changed while it was checked",
            path.display()
        )]),
        CaptureError::Borders(_) => cannot_be_read_back(Vec::new()),
        CaptureError::Refused(refusal) => {
            let what = std::iter::once(refusal.what.clone());
            cannot_be_read_back(what.chain(refusal.why.clone()).collect())
        }
    })
}

/// All was hashed when it was written: if it cannot be read now, the disk fails, or somebody else has changed it.
fn cannot_be_read_back(why: Vec<String>) -> Refusal {
    let what = "the restored repository cannot be read back";
    let refusal = Refusal::new(RefusalCode::RestoreStopped, what);
    why.into_iter().fold(refusal, Refusal::because)
}

/// Settings of a restored repository that can make git run something.
fn settings(job: &Job<'_>, staging: &RestoreStaging, git_dir: &Spot) -> Vec<String> {
    let linked = job.manifest.linked.iter();
    let linked = linked.filter(|linked| linked.git_dir == *git_dir);
    let own = linked.map(|linked| {
        let name = name_from_text(&linked.name).unwrap_or_default();
        [b"worktrees/", name.as_slice(), b"/config.worktree"].concat()
    });
    let files = [b"config".to_vec(), b"config.worktree".to_vec()];
    let mut found = Vec::new();
    for file in files.into_iter().chain(own) {
        let spot = git_dir.join(&file);
        let path = join_bytes(staging.path(), &job.layout.relative(&spot));
        if let Ok(config) = disk::read_bounded(&path, 16 << 20) {
            let settings = executable_settings(&config).into_iter();
            let is_main = *git_dir == Spot::top(Place::Gitdir);
            let inside = if is_main {
                String::new()
            } else {
                format!(" ({git_dir})")
            };
            found.extend(settings.map(|setting| format!("setting {setting}{inside}")));
        }
    }
    found
}
