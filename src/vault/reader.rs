//! Content out: a snapshot's manifest is authenticated before it is believed, its listings are pinned by the manifest, and
//! its trees must say exactly what its listings say.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::Path;

use crate::host::disk;
use crate::host::git::object::{
    MODE_FILE, MODE_LINK, MODE_TREE, ObjectId, ObjectKind, tree_entries,
};
use crate::host::git::tree::{NewEntry, tree_content, tree_of_commit};
use crate::host::walk::join;
use crate::model::escape::{CHUNKS_SUFFIX, name_from_tree, text_name};
use crate::model::ids::Digest;
use crate::model::inventory::PackRecord;
use crate::model::listing::{Entry, Listing};
use crate::model::manifest::{Manifest, TreeCounts};
use crate::model::place::Place;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::signed::{self, Purpose};
use crate::vault::builder::{DIRS, ENTRIES};
use crate::vault::content::{Form, refuse_git_read};
use crate::vault::inspect::{Vault, refuse_signed};
use crate::vault::lacking::Lacking;
use crate::vault::log::LoggedSnapshot;
use crate::vault::skeleton::MANIFEST_LIMIT_BYTES;
use crate::vault::store::Store;
use crate::vault::structure;
use crate::vault::topmost::{Borders, PROMISED, is_possible, root_names};

/// A manifest that is authentic and agrees with the log. Only [`trust`] makes one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Trusted {
    manifest: Manifest,
    logged: LoggedSnapshot,
}

impl Trusted {
    /// The manifest.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// What the log says.
    #[must_use]
    pub fn logged(&self) -> &LoggedSnapshot {
        &self.logged
    }
}

/// Authenticates a snapshot's manifest and compares it with the log. A snapshot whose records somebody else may have signed
/// is not trusted.
///
/// # Errors
/// When it is missing, damaged, forged, another's, contradicts the log, or is not accepted any more.
pub fn trust(vault: &Vault, logged: &LoggedSnapshot) -> Result<Trusted> {
    if !vault.log.accepts(logged) {
        return Err(doubtful(vault, logged));
    }
    Ok(Trusted {
        manifest: read_manifest(vault, logged)?,
        logged: logged.clone(),
    })
}

fn doubtful(vault: &Vault, logged: &LoggedSnapshot) -> Refusal {
    let refusal = Refusal::new(
        RefusalCode::KeyCompromised,
        format!("snapshot {} is not accepted any more", logged.record.id),
    )
    .because(format!(
        "it is log entry {}, and somebody else may have written entries from {} on",
        logged.entry,
        vault.log.first_doubtful().unwrap_or_default()
    ))
    .because("the log states that a key was compromised")
    .about_difference(
        &vault.layout.log_entry(logged.entry),
        "an entry from before the key was in other hands",
        "a later one",
    )
    .keeping("the vault is untouched, and earlier snapshots are still accepted");
    match vault.log.accepted().next_back() {
        Some(newest) => refusal.next(
            format!("git vault restore {} DIR", newest.record.id),
            "the newest snapshot that is accepted",
        ),
        None => refusal.next("git vault list", "shows how each snapshot stands"),
    }
}

/// A snapshot's manifest, authenticated and compared with the log: for telling of it, not for relying on it.
///
/// # Errors
/// When it is missing, damaged, forged, another's, or contradicts the log.
pub fn read_manifest(vault: &Vault, logged: &LoggedSnapshot) -> Result<Manifest> {
    let path = vault.layout.manifest(&logged.record.id);
    let bytes = disk::read_bounded(&path, MANIFEST_LIMIT_BYTES)
        .map_err(|error| error.refuse_vault_read())?;
    let key = &vault.log.keyring.signer_of(logged.entry).key;
    let body = signed::open(&bytes, Purpose::Manifest, vault.binding, key)
        .map_err(|error| refuse_signed(&error, &path))?;
    let manifest = Manifest::from_body(body).map_err(|reason| {
        Refusal::new(
            RefusalCode::RecordMalformed,
            format!("'{}' cannot be understood", path.display()),
        )
        .because(reason)
        .about(&path)
    })?;
    let misplaced = |expected: String, found: String| {
        Err(Refusal::new(
            RefusalCode::RecordMisplaced,
            format!("'{}' is another record", path.display()),
        )
        .because(format!("expected {expected}, found {found}"))
        .about_difference(&path, expected, found))
    };
    if manifest.snapshot != logged.record.id {
        return misplaced(
            format!("snapshot {}", logged.record.id),
            format!("snapshot {}", manifest.snapshot),
        );
    }
    if manifest.vault != vault.binding.vault || manifest.repository != vault.binding.repository {
        return misplaced(
            format!("vault {}", vault.binding.vault),
            format!("vault {}", manifest.vault),
        );
    }
    if Digest::of(&bytes) != logged.record.manifest_blake3 {
        return misplaced(
            format!("BLAKE3 {}", logged.record.manifest_blake3),
            format!("BLAKE3 {}", Digest::of(&bytes)),
        );
    }
    check_against_log(vault, logged, &manifest).map_err(|refusal| refusal.about(&path))?;
    Ok(manifest)
}

/// Compares a copy of a manifest with the log: written and signed as its snapshot's was, it must have the very BLAKE3 that
/// the log names. So the copy proves itself, wherever it was kept: for telling of the snapshot, not for relying on it.
///
/// # Errors
/// When it is another's, or contradicts the log.
pub fn check_copy(vault: &Vault, logged: &LoggedSnapshot, manifest: &Manifest) -> Result<()> {
    let id = &logged.record.id;
    let subject = format!("a copy of the manifest of snapshot {id}");
    let unwritable = |reason: String| contradiction(&subject, reason);
    let body = manifest
        .to_body()
        .map_err(|error| unwritable(error.to_string()))?;
    let key = &vault.log.keyring.signer_of(logged.entry).key;
    let bytes = signed::sign(&body, Purpose::Manifest, vault.binding, key)
        .map_err(|error| unwritable(error.to_string()))?;
    if manifest.snapshot != *id || Digest::of(&bytes) != logged.record.manifest_blake3 {
        let expected = logged.record.manifest_blake3;
        let fact = format!("expected BLAKE3 {expected}, found {}", Digest::of(&bytes));
        return Err(contradiction(&subject, fact));
    }
    check_against_log(vault, logged, manifest)
}

fn contradiction(subject: &str, fact: String) -> Refusal {
    Refusal::new(
        RefusalCode::RecordContradiction,
        format!("{subject} contradicts the signed records"),
    )
    .because(fact)
}

fn check_against_log(vault: &Vault, logged: &LoggedSnapshot, manifest: &Manifest) -> Result<()> {
    let subject = format!("the manifest of snapshot {}", manifest.snapshot);
    let base = &manifest.stands_on;
    if base.entry >= logged.entry || vault.log.hash_of(base.entry) != Some(base.entry_blake3) {
        return Err(contradiction(
            &subject,
            format!("it stands on log entry {}, which is another", base.entry),
        ));
    }
    if vault.log.packs_at(base.entry) != base.packs {
        return Err(contradiction(
            &subject,
            format!("it stands on {} packs, and there were others", base.packs),
        ));
    }
    if let Some(fault) = structure::fault(manifest) {
        return Err(contradiction(&subject, fault));
    }
    if manifest.source.object_format != vault.format.word() {
        return Err(contradiction(
            &subject,
            format!(
                "its objects are of format '{}', and the vault's are not",
                text_name(manifest.source.object_format.as_bytes())
            ),
        ));
    }
    let own = vault.log.brought_by(logged.entry);
    if !own.iter().map(|(_, pack)| pack).eq(manifest.packs.iter()) {
        return Err(contradiction(
            &subject,
            "its packs are not those of its log entry".to_owned(),
        ));
    }
    Ok(())
}

/// Compares the digest of the packs a snapshot stands on with the log. The hash of the log entry pins the same packs; the
/// digest is for those who read the manifest without this program.
///
/// # Errors
/// When they differ.
pub fn check_inventory(vault: &Vault, trusted: &Trusted) -> Result<()> {
    let base = &trusted.manifest.stands_on;
    if vault.log.inventory_at(base.entry).digest() == base.inventory {
        return Ok(());
    }
    let subject = format!("the manifest of snapshot {}", trusted.manifest.snapshot);
    Err(contradiction(
        &subject,
        format!(
            "it stands on packs with digest {}, and there were others",
            base.inventory
        ),
    )
    .about(&vault.layout.manifest(&trusted.manifest.snapshot)))
}

/// The packs a snapshot needs: those that were there when it was made, its own, and what took the place of those that went.
#[must_use]
pub fn needed_packs(vault: &Vault, trusted: &Trusted) -> Vec<PackRecord> {
    vault.log.needed_by(&trusted.logged)
}

/// Where a file's content, or a link's target, is stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Content {
    /// The blob, or the tree of pieces.
    pub id: ObjectId,
    /// Which of the two.
    pub form: Form,
}

/// A directory of a snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Directory {
    /// Its path relative to the place; empty for the topmost.
    pub path: Vec<u8>,
    /// Its listing.
    pub listing: Listing,
    /// Where the contents of its files and links are stored, by name.
    pub contents: BTreeMap<Vec<u8>, Content>,
}

/// Reads what one snapshot holds.
pub struct SnapshotReader<'a> {
    store: &'a Store,
    pub(super) manifest: &'a Manifest,
    subject: String,
}

/// The two trees of a directory, and what its listing must hash to.
pub(super) struct Pending {
    pub(super) path: Vec<u8>,
    pub(super) contents: Option<ObjectId>,
    pub(super) attributes: ObjectId,
    pub(super) listing: Digest,
}

impl<'a> SnapshotReader<'a> {
    /// Makes a reader.
    #[must_use]
    pub fn new(store: &'a Store, trusted: &'a Trusted) -> Self {
        Self {
            store,
            manifest: &trusted.manifest,
            subject: format!("snapshot {}", trusted.manifest.snapshot),
        }
    }

    pub(super) fn contradiction(&self, fact: String) -> Refusal {
        contradiction(&self.subject, fact)
    }

    fn tree(&self, id: &ObjectId) -> Result<Vec<u8>> {
        self.store.read(id, ObjectKind::Tree)
    }

    fn parse_id(&self, hex: &str) -> Result<ObjectId> {
        ObjectId::from_hex(hex.as_bytes())
            .ok_or_else(|| self.contradiction(format!("'{hex}' is no object id")))
    }

    /// The entry of that name in a tree.
    pub(super) fn child(&self, tree: &ObjectId, name: &[u8]) -> Result<ObjectId> {
        self.find_child(tree, name)?.ok_or_else(|| {
            self.contradiction(format!(
                "tree {tree} has no '{}'",
                String::from_utf8_lossy(name)
            ))
        })
    }

    fn find_child(&self, tree: &ObjectId, name: &[u8]) -> Result<Option<ObjectId>> {
        Ok(self
            .entries(tree)?
            .into_iter()
            .find(|(_, found, _)| found == name)
            .map(|(_, _, id)| id))
    }

    pub(super) fn entries(&self, tree: &ObjectId) -> Result<Vec<(u32, Vec<u8>, ObjectId)>> {
        let content = self.tree(tree)?;
        let format = self
            .store
            .format()
            .ok_or_else(|| self.contradiction("the vault has no packs".to_owned()))?;
        let entries = tree_entries(format, &content).map(|entry| {
            entry.map(|entry| NewEntry {
                mode: entry.mode,
                name: entry.name.to_vec(),
                id: entry.id,
            })
        });
        // A tree has one form, or git would find other things in it than we do.
        let entries = entries
            .collect::<Option<Vec<_>>>()
            .filter(|entries| tree_content(entries.clone()) == content)
            .ok_or_else(|| self.contradiction(format!("tree {tree} is malformed")))?;
        let parts = |entry: NewEntry| (entry.mode, entry.name, entry.id);
        Ok(entries.into_iter().map(parts).collect())
    }

    /// The root tree, after the commit was found to name it.
    pub(super) fn root(&self) -> Result<ObjectId> {
        let tree = self.parse_id(&self.manifest.content.tree)?;
        let commit = self.parse_id(&self.manifest.content.commit)?;
        if tree_of_commit(&self.store.read(&commit, ObjectKind::Commit)?) != Some(tree) {
            return Err(self.contradiction(format!("commit {commit} does not name tree {tree}")));
        }
        let found = self.entries(&tree)?;
        let names = found
            .iter()
            .map(|(_, name, _)| match name.strip_suffix(CHUNKS_SUFFIX) {
                Some(PROMISED) => PROMISED,
                _ => name.as_slice(),
            });
        if names.eq(root_names(self.manifest)) {
            Ok(tree)
        } else {
            Err(self.contradiction(format!("tree {tree} holds more or less than it states")))
        }
    }

    /// The ids of objects that a repository did not have, by its git directory, as the snapshot lists them.
    ///
    /// # Errors
    /// When the list cannot be read.
    pub fn holes(&self) -> Result<Lacking> {
        let Some(id) = self.find_child(&self.root()?, b"holes")? else {
            return Ok(Lacking::default());
        };
        let content = self.store.read(&id, ObjectKind::Blob)?;
        Lacking::parse(&content)
            .filter(|holes| holes.count() == self.manifest.history.holes)
            .ok_or_else(|| self.contradiction("its list of holes is malformed".to_owned()))
    }

    /// The places that were captured, working trees first.
    #[must_use]
    pub fn places(&self) -> Vec<Place> {
        self.manifest.places()
    }

    /// A text in a tree, whole or in pieces; `None` when it is not there.
    pub(super) fn text_in(&self, tree: &ObjectId, name: &[u8]) -> Result<Option<Vec<u8>>> {
        let whole = self.find_child(tree, name)?;
        let in_pieces = self.find_child(tree, &[name, CHUNKS_SUFFIX].concat())?;
        let content = match (whole, in_pieces) {
            (Some(id), _) => Content {
                id,
                form: Form::Whole,
            },
            (None, Some(id)) => Content {
                id,
                form: Form::Chunked,
            },
            (None, None) => return Ok(None),
        };
        let mut text = Vec::new();
        write_content(self.store, &content, &mut text, Path::new("memory"))?;
        Ok(Some(text))
    }

    /// Calls `each` for every directory of a place, the topmost first, those above always before those below; compares
    /// listings, trees and the manifest's counts with one another.
    ///
    /// # Errors
    /// When anything is missing, damaged or contradictory, or what `each` gives.
    pub fn each_directory(
        &self,
        place: Place,
        each: &mut dyn FnMut(Directory) -> Result<()>,
    ) -> Result<()> {
        let (Some(stated), Some(topmost)) = (self.manifest.counts(place), self.topmost(place)?)
        else {
            return Ok(());
        };
        let mut counts = TreeCounts {
            root: Some(topmost.listing),
            ..TreeCounts::default()
        };
        let mut pending = vec![topmost];
        let mut borders = Borders::of(self.manifest, place);
        while let Some(next) = pending.pop() {
            let directory = self.directory(next, &mut pending)?;
            if !borders.admits(&directory.path, &directory.listing) {
                let shown = text_name(&directory.path);
                let fact = format!("'{shown}' in {} is not what it tells of", place.name());
                return Err(self.contradiction(fact));
            }
            if directory.path.is_empty() && !is_possible(place, &directory.listing) {
                let place = place.name();
                return Err(self.contradiction(format!("no workspace has such a {place}")));
            }
            count(&directory, &mut counts);
            each(directory)?;
        }
        if let Some(path) = borders.unmet() {
            let fact = format!("'{}' in {} is not there", text_name(&path), place.name());
            Err(self.contradiction(fact))
        } else if counts == *stated {
            Ok(())
        } else {
            Err(self.contradiction(format!("it states {stated:?}, found {counts:?}")))
        }
    }

    pub(super) fn directory(&self, next: Pending, pending: &mut Vec<Pending>) -> Result<Directory> {
        let shown = text_name(&next.path);
        let listing = self.listing(&next)?;
        let dirs = match self.find_child(&next.attributes, DIRS)? {
            Some(tree) => self.entries(&tree)?,
            None => Vec::new(),
        };
        let mut subdirectories = BTreeMap::new();
        for (_, escaped, id) in dirs {
            let name = name_from_tree(&escaped);
            subdirectories.insert(
                name.ok_or_else(|| self.contradiction(format!("a bad name in '{shown}'")))?,
                id,
            );
        }
        let tree = match next.contents {
            Some(tree) => self.entries(&tree)?,
            None => Vec::new(),
        };
        let (contents, mut trees) = self.split(tree, &listing, &shown)?;
        for (name, entry) in &listing.entries {
            if let Entry::Directory { listing } = entry {
                let attributes = subdirectories.remove(name);
                let attributes = attributes.ok_or_else(|| {
                    self.contradiction(format!("a listing is missing in '{shown}'"))
                })?;
                let path = join(&next.path, name);
                pending.push(Pending {
                    path,
                    contents: trees.remove(name),
                    attributes,
                    listing: *listing,
                });
            }
        }
        if subdirectories.is_empty() && trees.is_empty() {
            Ok(Directory {
                path: next.path,
                listing,
                contents,
            })
        } else {
            Err(self.contradiction(format!(
                "trees hold more than the listing of '{shown}' says"
            )))
        }
    }

    fn listing(&self, next: &Pending) -> Result<Listing> {
        let text = self.text_in(&next.attributes, ENTRIES)?.ok_or_else(|| {
            let tree = next.attributes;
            self.contradiction(format!("tree {tree} has no 'entries'"))
        })?;
        if Digest::of(&text) != next.listing {
            return Err(self.contradiction(format!(
                "the listing of '{}' is another",
                text_name(&next.path)
            )));
        }
        Listing::parse(&text).ok_or_else(|| {
            let what = format!(
                "the listing of '{}' cannot be understood",
                text_name(&next.path)
            );
            Refusal::new(RefusalCode::RecordMalformed, what)
        })
    }

    /// Sorts the entries of a contents tree into contents and subdirectories; every file and link must have its own.
    fn split(
        &self,
        tree: Vec<(u32, Vec<u8>, ObjectId)>,
        listing: &Listing,
        shown: &str,
    ) -> Result<Split> {
        let mut contents = BTreeMap::new();
        let mut trees = BTreeMap::new();
        for (mode, escaped, id) in tree {
            let (stem, form) = match escaped.strip_suffix(CHUNKS_SUFFIX) {
                Some(stem) if mode == MODE_TREE => (stem, Form::Chunked),
                _ => (&*escaped, Form::Whole),
            };
            let name = name_from_tree(stem)
                .ok_or_else(|| self.contradiction(format!("a bad name in '{shown}'")))?;
            let fits = match listing.entries.get(&name) {
                Some(Entry::File { .. }) => form == Form::Chunked || mode & 0o170_000 == 0o100_000,
                Some(Entry::Link { .. }) => form == Form::Whole && mode == MODE_LINK,
                Some(Entry::Directory { .. }) => form == Form::Whole && mode == MODE_TREE,
                Some(Entry::Special { .. } | Entry::LeftOut { .. }) | None => false,
            };
            if !fits {
                return Err(self.contradiction(format!(
                    "'{}' in '{shown}' is not in its listing",
                    text_name(&name)
                )));
            }
            let is_new = if mode == MODE_TREE && form == Form::Whole {
                trees.insert(name, id).is_none()
            } else {
                contents.insert(name, Content { id, form }).is_none()
            };
            if !is_new {
                return Err(self.contradiction(format!("a name stands twice in '{shown}'")));
            }
        }
        let wanted = listing
            .entries
            .values()
            .filter(|entry| matches!(entry, Entry::File { .. } | Entry::Link { .. }));
        if wanted.count() != contents.len() {
            return Err(self.contradiction(format!("contents are missing in '{shown}'")));
        }
        Ok((contents, trees))
    }
}

type Split = (BTreeMap<Vec<u8>, Content>, BTreeMap<Vec<u8>, ObjectId>);

fn count(directory: &Directory, counts: &mut TreeCounts) {
    counts.directories += 1;
    for entry in directory.listing.entries.values() {
        match entry {
            Entry::File { bytes, .. } => {
                counts.files += 1;
                counts.bytes = counts.bytes.saturating_add(*bytes);
            }
            Entry::Link { .. } => counts.links += 1,
            Entry::Special { .. } => counts.special += 1,
            Entry::Directory { .. } | Entry::LeftOut { .. } => {}
        }
    }
}

/// Writes stored content to `sink`; gives its size. Ids of all objects are recomputed on the way.
///
/// # Errors
/// When it is missing or damaged, or `sink` fails.
pub fn write_content(
    store: &Store,
    content: &Content,
    sink: &mut dyn Write,
    sink_path: &Path,
) -> Result<u64> {
    let refuse = |error: crate::host::git::error::Error| refuse_git_read(&error);
    match content.form {
        Form::Whole => store
            .packs_with(&content.id)
            .copy_blob(&content.id, sink, sink_path)
            .map_err(refuse),
        Form::Chunked => {
            let tree = store.read(&content.id, ObjectKind::Tree)?;
            let malformed = || {
                contradiction(
                    "a tree of pieces",
                    format!("tree {} is malformed", content.id),
                )
            };
            let format = store.format().ok_or_else(malformed)?;
            let mut total_bytes = 0;
            for (number, entry) in tree_entries(format, &tree).enumerate() {
                let entry = entry.ok_or_else(malformed)?;
                if entry.mode != MODE_FILE || entry.name != format!("{number:010}").as_bytes() {
                    return Err(malformed());
                }
                let id = entry.id;
                total_bytes += store
                    .packs_with(&id)
                    .copy_blob(&id, sink, sink_path)
                    .map_err(refuse)?;
            }
            Ok(total_bytes)
        }
    }
}

/// Size and BLAKE3 of stored content, recomputed.
///
/// # Errors
/// When it is missing or damaged.
pub fn hash_content(store: &Store, id: &ObjectId, form: Form) -> Result<(u64, Digest)> {
    let mut hasher = blake3::Hasher::new();
    let bytes = write_content(
        store,
        &Content { id: *id, form },
        &mut hasher,
        Path::new("memory"),
    )?;
    Ok((bytes, Digest::finish(&hasher)))
}
