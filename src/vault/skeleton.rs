//! The skeleton of a vault: which files may be there, which must be, and what interrupted work may have left behind.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::fs::File;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use crate::host::directory;
use crate::host::disk;
use crate::host::git::object::ObjectFormat;
use crate::host::metadata::{Fingerprint, Kind, glance, look_at};
use crate::host::parallel;
use crate::model::escape::shell_word;
use crate::model::ids::{Digest, SnapshotId};
use crate::model::inventory::{Announced, PackRecord, is_pack_name};
use crate::model::log_entry::{CopyForm, escrow_key, is_set_aside_name};
use crate::model::manifest::Manifest;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::signed::{self, Binding, Purpose};
use crate::vault::inspect::Description;
use crate::vault::keyring::Keyring;
use crate::vault::known_vault::KnownVault;
use crate::vault::layout::{
    ANNOUNCED, INCOMPLETE_PREFIX, Layout, OPTIMIZE_PREFIX, REQUIRED, TOLERATED, config,
};
use crate::vault::log::Log;

/// Largest of the small files that are compared whole.
const LIMIT_BYTES: u64 = 1 << 20;
/// Largest manifest read.
pub const MANIFEST_LIMIT_BYTES: u64 = 16 << 20;

/// What interrupted work left behind: never a snapshot, kept as evidence.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Leftovers {
    /// Directories of snapshots that were never sealed.
    pub incomplete: Vec<PathBuf>,
    /// Packs that such a snapshot had already moved into place.
    pub packs: Vec<String>,
    /// Refs, files of packs and wrapped keys, as paths in the vault, that only entries which are gone can have named.
    pub lost: Vec<String>,
    /// What nobody needs, and the next `drop` or `optimize` removes: files of packs that went, or were to come and did not;
    /// directories and refs of dropped snapshots. Refs come first, and what explains packs comes last.
    pub gone: Vec<PathBuf>,
}

/// What may be there beside what the log names. Nothing of it is ever read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unnamed {
    /// Nothing but what an interrupted snapshot explains, or was there when a person stated that entries are gone.
    Explained,
    /// Refs, packs and wrapped keys too: the log has lost entries, and what those named may still be there.
    OfLostEntries,
}

/// Takes note of what only lost entries can have named.
struct Lost<'a> {
    unnamed: Unnamed,
    acknowledged: BTreeSet<&'a str>,
    found: Vec<String>,
}

impl<'a> Lost<'a> {
    fn new(log: &'a Log, unnamed: Unnamed) -> Self {
        let stated = log.newest_accepted(&log.acknowledgements);
        Self {
            unnamed,
            acknowledged: stated
                .flat_map(|stated| &stated.record.left)
                .map(String::as_str)
                .collect(),
            found: Vec::new(),
        }
    }

    /// Whether it may be there: nobody reads it.
    fn admits(&mut self, name: String) -> bool {
        if self.acknowledged.contains(name.as_str()) {
            return true;
        }
        let is_admitted = self.unnamed == Unnamed::OfLostEntries;
        if is_admitted {
            self.found.push(name);
        }
        is_admitted
    }
}

/// What is checked.
pub struct Checked<'a> {
    /// Where everything lies.
    pub layout: &'a Layout,
    /// The authentic description.
    pub description: &'a Description,
    /// The log.
    pub log: &'a Log,
    /// What signatures are bound to.
    pub binding: Binding,
}

/// What packs and their indices look like, by name.
pub type PackLooks = HashMap<String, [Fingerprint; 2]>;

/// What was looked at.
#[derive(Debug, Default)]
pub struct Looks {
    /// Directories of sealed snapshots in which nothing but the manifest is.
    pub directories: HashMap<SnapshotId, Fingerprint>,
}

impl Checked<'_> {
    /// Checks names, kinds and sizes of everything in the vault, and the content of the files that never change. A directory
    /// of a snapshot that looks as it is known is not listed.
    ///
    /// # Errors
    /// When something is missing, foreign, or of another size than the log says.
    pub fn check(&self, unnamed: Unnamed, known: &KnownVault) -> Result<(Leftovers, Looks)> {
        check(self, unnamed, known)
    }
}

fn check(
    checked: &Checked<'_>,
    unnamed: Unnamed,
    known: &KnownVault,
) -> Result<(Leftovers, Looks)> {
    let Checked {
        layout,
        description,
        log,
        binding,
    } = *checked;
    let mut looks = Looks::default();
    check_top(layout)?;
    check_config(layout, description)?;
    check_fixed(&layout.root().join("HEAD"), description.head_blake3)?;
    check_fixed(&layout.root().join("config"), description.config_blake3)?;
    check_fixed(&layout.root().join("VAULT.md"), description.vault_md_blake3)?;
    let mut lost = Lost::new(log, unnamed);
    check_escrow(layout, log, &mut lost)?;
    check_incidents(layout, log)?;
    check_objects(layout)?;
    let refs = check_refs(layout, log, &mut lost)?;
    let (mut leftovers, explained) = find_snapshots(layout, log, binding)?;
    looks.directories = check_manifests(layout, log, known)?;
    let _looks = check_pack_files(layout, log)?;
    let files = check_pack_names(layout, log, &explained, &mut lost, &mut leftovers)?;
    let directories = std::mem::take(&mut leftovers.gone);
    leftovers.gone = [refs, files, directories].concat();
    leftovers.lost = lost.found;
    Ok((leftovers, looks))
}

fn foreign(path: &Path, fact: &str) -> Refusal {
    Refusal::new(
        RefusalCode::VaultForeignFile,
        format!("'{}' does not belong in the vault", path.display()),
    )
    .because(fact.to_owned())
    .about_difference(path, "nothing of that kind", fact)
    .keeping("nothing in the vault was touched")
    .next(
        format!("ls -ld {}", shell_word(path)),
        "shows what it is and whose",
    )
}

fn missing(path: &Path) -> Refusal {
    Refusal::new(
        RefusalCode::VaultFileMissing,
        format!("'{}' is missing", path.display()),
    )
    .because("every vault has it, or the log of this one names it")
    .about_difference(path, "to be there", "nothing")
    .keeping("nothing in the vault was touched")
}

fn names(path: &Path) -> Result<Vec<String>> {
    let names = disk::list(path).map_err(|error| error.refuse_vault_read())?;
    names
        .into_iter()
        .map(|name| {
            name.into_string()
                .map_err(|name| foreign(&path.join(name), "its name is not one the vault uses"))
        })
        .collect()
}

fn check_top(layout: &Layout) -> Result<()> {
    let found = names(layout.root())?;
    for name in REQUIRED {
        if !found.iter().any(|found| found == name) {
            return Err(missing(&layout.root().join(name)));
        }
    }
    for name in &found {
        let path = layout.root().join(name);
        let is_known = REQUIRED.contains(&name.as_str()) || TOLERATED.contains(&name.as_str());
        if !is_known {
            return Err(foreign(&path, "no file of this name is part of a vault"));
        }
        let metadata = look(&path)?;
        if metadata.file_type().is_symlink() {
            return Err(foreign(&path, "it is a symbolic link"));
        }
    }
    for name in names(&layout.root().join("info")).unwrap_or_default() {
        if name != "refs" {
            return Err(foreign(
                &layout.root().join("info").join(name),
                "a vault has no such file",
            ));
        }
    }
    Ok(())
}

/// Wrapped keys that the log names are there, in the size it states. Others of a key of this vault may be there, too: an
/// interruption can come between a file and its log entry, and what is in them proves itself.
fn check_escrow(layout: &Layout, log: &Log, lost: &mut Lost<'_>) -> Result<()> {
    for copy in log
        .copies
        .iter()
        .filter(|copy| copy.record.form == CopyForm::Escrow)
    {
        check_size(&layout.escrow(&copy.record.file), copy.record.bytes)?;
    }
    for name in names(&layout.escrow_directory())? {
        let path = layout.escrow(&name);
        let is_known = match escrow_key(&name) {
            Some(key) => log.keyring.named(key).is_some() || lost.admits(format!("escrow/{name}")),
            None => false,
        };
        if !is_known {
            return Err(foreign(
                &path,
                "it is not named like a wrapped key of this vault",
            ));
        }
        if !look(&path)?.is_file() {
            return Err(foreign(&path, "it is not an ordinary file"));
        }
    }
    Ok(())
}

/// Remains that the log names are there. What is in them is evidence: nobody reads it here.
fn check_incidents(layout: &Layout, log: &Log) -> Result<()> {
    for set_aside in &log.set_aside {
        let path = layout.set_aside(&set_aside.record.directory);
        if path.symlink_metadata().is_err() {
            return Err(missing(&path));
        }
    }
    for name in names(&layout.incidents())? {
        let path = layout.set_aside(&name);
        if !is_set_aside_name(&name) || !look(&path)?.is_dir() {
            return Err(foreign(
                &path,
                "it is not a directory of remains that were set aside",
            ));
        }
    }
    Ok(())
}

fn look(path: &Path) -> Result<std::fs::Metadata> {
    path.symlink_metadata()
        .map_err(|source| disk::Error::new("look at", path, source).refuse_vault_read())
}

/// There is one configuration for each object format, whatever the description pins: git obeys it when somebody uses git.
fn check_config(layout: &Layout, description: &Description) -> Result<()> {
    let fixed = ObjectFormat::parse(&description.object_format).map(config);
    if fixed.is_some_and(|fixed| Digest::of(fixed.as_bytes()) == description.config_blake3) {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalCode::RecordContradiction,
        format!(
            "'{}' names a configuration that no vault has",
            layout.vault_toml().display()
        ),
    )
    .keeping("nothing in the vault was touched"))
}

fn check_fixed(path: &Path, expected: Digest) -> Result<()> {
    let bytes = disk::read_bounded(path, LIMIT_BYTES).map_err(|error| error.refuse_vault_read())?;
    let found = Digest::of(&bytes);
    if found == expected {
        return Ok(());
    }
    Err(Refusal::new(
        RefusalCode::VaultDamaged,
        format!("'{}' is not what it was made as", path.display()),
    )
    .because(format!("expected BLAKE3 {expected}, found {found}"))
    .about_difference(
        path,
        format!("BLAKE3 {expected}"),
        format!("BLAKE3 {found}"),
    )
    .keeping("nothing in the vault was touched"))
}

/// The object store holds packs only: no loose objects, no alternates.
fn check_objects(layout: &Layout) -> Result<()> {
    let objects = layout.root().join("objects");
    for name in names(&objects)? {
        let path = objects.join(&name);
        if !matches!(name.as_str(), "pack" | "info") || !look(&path)?.is_dir() {
            return Err(foreign(&path, "a vault holds its objects in packs only"));
        }
    }
    let info = objects.join("info");
    for name in names(&info)? {
        if !matches!(name.as_str(), "packs" | "commit-graph" | "commit-graphs") {
            return Err(foreign(
                &info.join(name),
                "a vault borrows no objects and has no such file",
            ));
        }
    }
    Ok(())
}

/// Refs are a convenience that is never trusted; those that are there must be of snapshots.
/// Gives those of dropped snapshots.
fn check_refs(layout: &Layout, log: &Log, lost: &mut Lost<'_>) -> Result<Vec<PathBuf>> {
    let mut gone = Vec::new();
    let refs = layout.root().join("refs");
    for directory in [refs.clone(), refs.join("heads"), refs.join("snapshots")] {
        if !look(&directory)?.is_dir() {
            return Err(foreign(&directory, "it is not a directory"));
        }
    }
    let known: BTreeSet<&str> = log
        .snapshots
        .iter()
        .map(|snapshot| snapshot.record.id.as_str())
        .collect();
    for name in names(&refs)? {
        let directory = refs.join(&name);
        match name.as_str() {
            "tags" if names(&directory)?.is_empty() => {}
            "heads" => {
                for name in names(&directory)? {
                    if name != "latest" && name != "latest.lock" {
                        return Err(foreign(&directory.join(name), "a vault has no such branch"));
                    }
                }
            }
            "snapshots" => {
                for name in names(&directory)? {
                    if name.parse().is_ok_and(|id| log.find_dropped(&id).is_some()) {
                        gone.push(directory.join(name));
                        continue;
                    }
                    let is_known = known.contains(name.as_str())
                        || name.strip_suffix(".lock").is_some()
                        || SnapshotId::is_prefix(&name)
                            && lost.admits(format!("refs/snapshots/{name}"));
                    if !is_known {
                        return Err(foreign(
                            &directory.join(name),
                            "no sealed snapshot has that name",
                        ));
                    }
                }
            }
            _ => return Err(foreign(&directory, "a vault has no such refs")),
        }
    }
    Ok(gone)
}

/// Packs that the log does not name, by name, each with who does.
type Explained = BTreeMap<String, ExplainedBy>;

/// Who explains a pack.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ExplainedBy {
    /// The authentic manifest of an unsealed snapshot: it is evidence.
    Snapshot,
    /// The authentic record of packs that were to take the place of others: a copy.
    Optimize,
}

/// Every sealed snapshot has its directory; whatever else is there was never sealed.
fn find_snapshots(layout: &Layout, log: &Log, binding: Binding) -> Result<(Leftovers, Explained)> {
    let mut leftovers = Leftovers::default();
    let mut explained = Explained::new();
    let mut found = BTreeSet::new();
    let snapshots = layout.snapshots();
    for name in names(&snapshots)? {
        let path = snapshots.join(&name);
        let id = name
            .strip_prefix(INCOMPLETE_PREFIX)
            .or_else(|| name.strip_prefix(OPTIMIZE_PREFIX))
            .unwrap_or(&name)
            .parse::<SnapshotId>();
        let Ok(id) = id.map_err(|_not_an_id| foreign(&path, "it is not named like a snapshot"))
        else {
            return Err(foreign(&path, "it is not named like a snapshot"));
        };
        if !name.starts_with('.') && log.find(&id).is_some() {
            found.insert(id);
        } else if !look(&path)?.is_dir() {
            return Err(foreign(&path, "it is not a directory"));
        } else if name.starts_with(OPTIMIZE_PREFIX) {
            for pack in announced(&path, binding, &log.keyring) {
                explained.entry(pack.name).or_insert(ExplainedBy::Optimize);
            }
            leftovers.gone.push(path);
        } else if !name.starts_with('.') && log.find_dropped(&id).is_some() {
            leftovers.gone.push(path);
        } else {
            let packs = explain(&path, binding, &log.keyring).into_iter();
            explained.extend(packs.map(|(name, _)| (name, ExplainedBy::Snapshot)));
            leftovers.incomplete.push(path);
        }
    }
    for snapshot in &log.snapshots {
        if !found.contains(&snapshot.record.id) {
            return Err(missing(&layout.manifest(&snapshot.record.id)));
        }
    }
    Ok((leftovers, explained))
}

/// Every sealed snapshot's manifest has the size the log says, and is alone.
fn check_manifests(
    layout: &Layout,
    log: &Log,
    known: &KnownVault,
) -> Result<HashMap<SnapshotId, Fingerprint>> {
    let snapshots = layout.snapshots();
    let directory = open_directory(&snapshots)?;
    let looks = parallel::map(&log.snapshots, |snapshot| {
        let id = &snapshot.record.id;
        let look = glance(&directory, id.as_str());
        let Some(look) = look.filter(|look| look.kind() == Kind::Directory) else {
            return Err(foreign(&layout.snapshot(id), "it is not a directory"));
        };
        let name = format!("{id}/manifest.toml");
        check_look(
            &directory,
            &snapshots,
            &name,
            snapshot.record.manifest_bytes,
        )?;
        if known.directories.get(id) != Some(&look)
            && !is_manifest_alone(&directory, id, &layout.snapshot(id))?
        {
            return Err(foreign(
                &layout.snapshot(id),
                "it holds something beside its manifest",
            ));
        }
        Ok((id.clone(), look))
    })?;
    Ok(looks.into_iter().collect())
}

/// Whether nothing but a manifest is in the directory of a snapshot, which is the very one that was looked at.
fn is_manifest_alone(snapshots: &File, id: &SnapshotId, path: &Path) -> Result<bool> {
    let names = directory::list_in(snapshots, id.as_str(), path);
    Ok(names.map_err(|error| error.refuse_vault_read())? == ["manifest.toml"])
}

fn open_directory(path: &Path) -> Result<File> {
    directory::open_directory(path).map_err(|error| error.refuse_vault_read())
}

/// A file in an open directory is an ordinary one and has the size that the log says.
fn check_look(directory: &File, path: &Path, name: &str, expected: u64) -> Result<Fingerprint> {
    match glance(directory, name) {
        Some(look) if look.kind() == Kind::File && look.bytes == expected => Ok(look),
        // By its path, as everything is whose refusal must say what is wrong.
        _ => {
            let path = path.join(name);
            check_size(&path, expected)?;
            look_at(&path).map_err(|error| error.refuse_vault_read())
        }
    }
}

/// The packs that an unsealed snapshot's manifest names, if it got as far as an authentic one.
fn explain(directory: &Path, binding: Binding, keyring: &Keyring) -> Vec<(String, PackRecord)> {
    let manifest = disk::read_bounded(&directory.join("manifest.toml"), MANIFEST_LIMIT_BYTES).ok();
    let manifest = manifest.as_deref().and_then(|bytes| {
        let unchecked = signed::check_damage(bytes, Purpose::Manifest).ok()?;
        let key = keyring.named(unchecked.key)?;
        unchecked.authenticate(Purpose::Manifest, binding, key).ok()
    });
    let manifest = manifest.and_then(|body| Manifest::from_body(body).ok());
    manifest
        .into_iter()
        .flat_map(|manifest| manifest.packs)
        .map(|pack| (pack.name.clone(), pack))
        .collect()
}

/// The packs that an optimize was about to bring, if it got as far as an authentic record of them.
fn announced(directory: &Path, binding: Binding, keyring: &Keyring) -> Vec<PackRecord> {
    let read = || {
        let bytes = disk::read_bounded(&directory.join(ANNOUNCED), LIMIT_BYTES).ok()?;
        let unchecked = signed::check_damage(&bytes, Purpose::Packs).ok()?;
        let key = keyring.named(unchecked.key)?;
        let body = unchecked.authenticate(Purpose::Packs, binding, key).ok()?;
        let announced: Announced = toml::from_str(body).ok()?;
        Some(announced.packs)
    };
    read().unwrap_or_default()
}

/// The names of the packs that an unsealed snapshot's manifest explains.
#[must_use]
pub fn explained_packs(directory: &Path, binding: Binding, keyring: &Keyring) -> Vec<String> {
    let packs = explain(directory, binding, keyring);
    packs.into_iter().map(|(name, _)| name).collect()
}

fn check_size(path: &Path, expected: u64) -> Result<()> {
    let metadata = match path.symlink_metadata() {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(missing(path)),
        metadata => metadata
            .map_err(|source| disk::Error::new("look at", path, source).refuse_vault_read())?,
    };
    if !metadata.file_type().is_file() {
        return Err(foreign(path, "it is not an ordinary file"));
    }
    if metadata.size() != expected {
        return Err(Refusal::new(
            RefusalCode::VaultDamaged,
            format!("'{}' has another size", path.display()),
        )
        .because(format!(
            "expected {expected} bytes, found {}",
            metadata.size()
        ))
        .about_difference(
            path,
            format!("{expected} bytes"),
            format!("{} bytes", metadata.size()),
        )
        .keeping("nothing in the vault was touched"));
    }
    Ok(())
}

/// Every pack the log names is there with its index and its `.keep`, in the right size.
///
/// # Errors
/// When one is missing, of another kind or size.
pub fn check_pack_files(layout: &Layout, log: &Log) -> Result<PackLooks> {
    let path = layout.packs();
    let directory = open_directory(&path)?;
    let packs: Vec<&PackRecord> = log.inventory.packs().collect();
    let looks = parallel::map(&packs, |pack| {
        let file = |ending: &str, bytes: u64| {
            let name = format!("{}.{ending}", pack.name);
            check_look(&directory, &path, &name, bytes)
        };
        let looks = [file("pack", pack.bytes)?, file("idx", pack.index_bytes)?];
        let _keep = file("keep", 0)?;
        Ok((pack.name.clone(), looks))
    })?;
    Ok(looks.into_iter().collect())
}

/// A file of a pack that went is still what it was, as far as its size tells: removing it must not remove what is somebody else's.
fn check_gone(path: &Path, pack: &PackRecord) -> Result<()> {
    if path.symlink_metadata().is_err() {
        return Ok(());
    }
    match path.extension().and_then(std::ffi::OsStr::to_str) {
        Some("pack") => check_size(path, pack.bytes),
        Some("idx") => check_size(path, pack.index_bytes),
        Some("keep") => check_size(path, 0),
        _ if look(path)?.is_file() => Ok(()),
        _ => Err(foreign(path, "it is not an ordinary file")),
    }
}

/// Nothing else is among the packs, but what git derives from packs, what an unsealed snapshot explains, and files of packs that
/// nobody needs, which are given.
fn check_pack_names(
    layout: &Layout,
    log: &Log,
    explained: &Explained,
    lost: &mut Lost<'_>,
    leftovers: &mut Leftovers,
) -> Result<Vec<PathBuf>> {
    let mut gone = Vec::new();
    let directory = layout.packs();
    for name in names(&directory)? {
        let path = directory.join(&name);
        let (stem, ending) = name.split_once('.').unwrap_or((&name, ""));
        let is_derived = matches!(ending, "rev" | "bitmap") || name.starts_with("multi-pack-index");
        let is_pack_file = matches!(ending, "pack" | "idx" | "keep");
        if log.inventory.get(stem).is_some() && (is_pack_file || is_derived)
            || name.starts_with("multi-pack-index")
        {
            continue;
        }
        let is_explained = explained.get(stem).filter(|_| is_pack_file || is_derived);
        if is_explained == Some(&ExplainedBy::Snapshot) {
            if ending == "pack" {
                leftovers.packs.push(stem.to_owned());
            }
            continue;
        }
        let went = log.find_gone(stem);
        if let Some(pack) = went.filter(|_| is_pack_file || is_derived) {
            check_gone(&path, pack)?;
        }
        if went.is_some() && (is_pack_file || is_derived) || is_explained.is_some() {
            gone.push(path);
            continue;
        }
        let is_of_pack = is_pack_name(stem) && (is_pack_file || is_derived);
        if is_of_pack && lost.admits(format!("objects/pack/{name}")) {
            continue;
        }
        return Err(foreign(&path, "the log names no such pack"));
    }
    // An index goes before its pack: git sees a pack whole or not at all.
    gone.sort_by_key(|path| path.extension().is_none_or(|ending| ending != "idx"));
    Ok(gone)
}
