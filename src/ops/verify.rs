//! `git vault verify`: how much of what is stored is, right now, what was sealed.

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use crate::host::disk;
use crate::host::escrow;
use crate::host::git::error::Error as GitError;
use crate::host::git::object::{ObjectId, ObjectKind};
use crate::host::git::pack_check::{LinkCheck, Seen, Visitor, check_pack};
use crate::host::git::pack_reader::Pack;
use crate::host::git::packs::Packs;
use crate::host::git::tips;
use crate::host::walk::join;
use crate::model::event::{Event, Monitor, Phase};
use crate::model::ids::{Digest, SnapshotId};
use crate::model::inventory::PackRecord;
use crate::model::listing::Entry;
use crate::model::log_entry::{CopyForm, CopyRecord, LogEvent, VerifyLevel, VerifyRecord};
use crate::model::manifest::{Completeness, Manifest};
use crate::model::place::{Place, Spot};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::{RefusalCode, Severity};
use crate::model::timestamp::Timestamp;
use crate::ops::assemble::tips_digest;
use crate::ops::build::{as_stated, stated_tips};
use crate::ops::history::missing;
use crate::ops::locate::Workplace;
use crate::ops::selection::{Asked, select};
use crate::ops::unproven::look_without_key;
use crate::vault::content::{Form, refuse_git_read};
use crate::vault::inspect::Vault;
use crate::vault::lacking::Lacking;
use crate::vault::last_seen;
use crate::vault::log::{Logged, LoggedSnapshot};
use crate::vault::reader::{
    Content, Directory, SnapshotReader, Trusted, check_inventory, hash_content, needed_packs,
    trust, write_content,
};
use crate::vault::store::{Scope, Store};

/// What was checked; nothing was found wrong, or there would be no report.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifyReport {
    /// The vault.
    pub vault: PathBuf,
    /// How thoroughly.
    pub level: VerifyLevel,
    /// The snapshots that were checked, with their numbers.
    pub snapshots: Vec<LoggedSnapshot>,
    /// How many snapshots the vault holds.
    pub snapshots_in_vault: u64,
    /// How many of them are not accepted any more, and were not checked.
    pub doubtful: u64,
    /// Log entries checked.
    pub log_entries: u64,
    /// Packs checked.
    pub packs: u64,
    /// Bytes of packs and indices read; 0 for `quick`.
    pub bytes: u64,
    /// Objects decoded; 0 unless `deep`.
    pub objects: u64,
    /// Files whose BLAKE3 was recomputed; 0 unless `deep`.
    pub files: u64,
    /// Those of the snapshots that need a promisor remote beside the vault.
    pub needs_promisor: Vec<SnapshotId>,
    /// Whether the log says now that this was checked; only a verification of the whole vault is recorded.
    pub recorded: Recorded,
    /// Directories that are not snapshots.
    pub incomplete: Vec<PathBuf>,
}

/// Whether a verification was written down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Recorded {
    /// In this log entry.
    Entry(u64),
    /// Not, for this reason.
    No(String),
}

/// Checks the snapshots named, or all.
///
/// # Errors
/// When anything is not what was sealed, or there is nothing to check.
pub fn verify(
    workplace: &Workplace,
    names: &[String],
    level: VerifyLevel,
    monitor: &dyn Monitor,
) -> Result<VerifyReport> {
    let mut vault = workplace
        .existing_vault()
        .map_err(|refusal| look_without_key(workplace, refusal))?;
    let snapshots = if names.is_empty() {
        vault.log.accepted().cloned().collect::<Vec<_>>()
    } else {
        names
            .iter()
            .map(|name| select(&vault, name, Asked::by(workplace)))
            .collect::<Result<_>>()?
    };
    if let (true, Some(newest)) = (snapshots.is_empty(), vault.log.snapshots.last()) {
        trust(&vault, newest)?;
    }
    if snapshots.is_empty() {
        return Err(
            Refusal::new(RefusalCode::SnapshotNotFound, "there is nothing to verify")
                .because("the vault holds no snapshot: 0 of 0 checked proves nothing")
                .keeping("nothing was touched")
                .next("git vault snapshot", "makes the first one"),
        );
    }
    let trusted = snapshots
        .iter()
        .map(|logged| trust(&vault, logged))
        .collect::<Result<Vec<_>>>()?;
    if level != VerifyLevel::Quick {
        trusted
            .iter()
            .try_for_each(|trusted| check_inventory(&vault, trusted))?;
    }
    let packs = packs_of(&vault, &trusted);
    let bytes = if level == VerifyLevel::Quick {
        0
    } else {
        check_bytes(&vault, &packs, monitor)?
    };
    if level != VerifyLevel::Quick && names.is_empty() {
        check_wrapped(&vault)?;
    }
    let (objects, files) = if level == VerifyLevel::Deep {
        check_deep(&vault, &trusted, &packs)?
    } else {
        (0, 0)
    };
    let mut report = VerifyReport {
        vault: vault.layout.root().to_owned(),
        level,
        snapshots_in_vault: vault.log.snapshots.len() as u64,
        doubtful: (vault.log.snapshots.len() - vault.log.accepted().count()) as u64,
        log_entries: vault.log.head,
        packs: packs.len() as u64,
        bytes,
        objects,
        files,
        recorded: Recorded::No("only a verification of all snapshots is recorded".to_owned()),
        incomplete: vault.leftovers.incomplete.clone(),
        needs_promisor: needs_promisor(&trusted),
        snapshots,
    };
    if level == VerifyLevel::Quick {
        report.recorded = Recorded::No("a quick look is not recorded".to_owned());
    } else if workplace.vault.is_some() {
        report.recorded = Recorded::No(MAY_BE_A_COPY.to_owned());
    } else if names.is_empty() {
        let event = event(&vault, &report);
        report.recorded = record(&mut vault, &event, workplace.now)?;
    }
    Ok(report)
}

fn needs_promisor(trusted: &[Trusted]) -> Vec<SnapshotId> {
    let manifests = trusted.iter().map(Trusted::manifest);
    manifests
        .filter(|manifest| manifest.completeness == Completeness::NeedsPromisor)
        .map(|manifest| manifest.snapshot.clone())
        .collect()
}

/// Wrapped keys that the log names are what their own hashes say, and of the keys they are said to be of.
fn check_wrapped(vault: &Vault) -> Result<()> {
    let is_wrapped = |copy: &&Logged<CopyRecord>| copy.record.form == CopyForm::Escrow;
    for copy in vault.log.copies.iter().filter(is_wrapped) {
        let path = vault.layout.escrow(&copy.record.file);
        let bytes = disk::read_bounded(&path, escrow::LIMIT_BYTES as u64)
            .map_err(|error| error.refuse_vault_read())?;
        let fact = match escrow::describe(&bytes) {
            Ok(wrapped) if wrapped.key == copy.record.key => continue,
            Ok(wrapped) => format!("expected key {}, found {}", copy.record.key, wrapped.key),
            Err(error) => error.to_string(),
        };
        return Err(Refusal::new(
            RefusalCode::VaultDamaged,
            format!(
                "'{}' is not the wrapped key that was written",
                path.display()
            ),
        )
        .because(fact.clone())
        .about_difference(&path, format!("key {}, wrapped", copy.record.key), fact)
        .keeping("the snapshots do not need it; the vault is untouched, as evidence"));
    }
    Ok(())
}

/// The packs that any of the snapshots needs: those of the newest one, because packs are only ever added.
fn packs_of(vault: &Vault, trusted: &[Trusted]) -> Vec<PackRecord> {
    let newest = trusted.iter().max_by_key(|trusted| trusted.logged().entry);
    newest
        .map(|newest| needed_packs(vault, newest))
        .unwrap_or_default()
}

fn event(vault: &Vault, report: &VerifyReport) -> LogEvent {
    LogEvent::Verify(VerifyRecord {
        level: report.level,
        up_to: vault.log.head,
        snapshots: report.snapshots.len() as u64,
        packs: report.packs,
        bytes: report.bytes,
        objects: report.objects,
    })
}

/// A vault that cannot be written can be looked at all the same; the report says that it is not on record.
///
/// # Errors
/// When a log entry that another process wrote meanwhile is not to be trusted.
pub(super) fn record(vault: &mut Vault, event: &LogEvent, now: Timestamp) -> Result<Recorded> {
    match vault.append(event, now) {
        Ok(number) => Ok(
            match last_seen::remember(&vault.homes.state, vault.binding.vault, &vault.log) {
                Ok(()) => Recorded::Entry(number),
                Err(error) => Recorded::No(error.to_string()),
            },
        ),
        Err(refusal) if refusal.code.severity() == Severity::Sev1 => Err(refusal),
        Err(refusal) => Ok(Recorded::No(refusal.to_string())),
    }
}

/// Why nothing about a vault that was named with `--vault` is recorded.
pub(super) const MAY_BE_A_COPY: &str =
    "a vault named with --vault may be a copy, and is only looked at";

/// Compares size and BLAKE3 of every pack and index with the log; gives how many bytes were read.
///
/// # Errors
/// When one differs or cannot be read.
pub fn check_bytes(vault: &Vault, packs: &[PackRecord], monitor: &dyn Monitor) -> Result<u64> {
    let total = packs.iter().map(|pack| pack.bytes + pack.index_bytes).sum();
    monitor.event(Event::Started {
        phase: Phase::Verify,
        total: Some(total),
    });
    let mut total_bytes = 0;
    for pack in packs {
        let path = vault.layout.pack(&pack.name);
        total_bytes += check_file(&path, pack.bytes, pack.blake3, monitor)?;
        total_bytes += check_file(
            &path.with_extension("idx"),
            pack.index_bytes,
            pack.index_blake3,
            monitor,
        )?;
    }
    monitor.event(Event::Finished {
        phase: Phase::Verify,
    });
    Ok(total_bytes)
}

fn check_file(path: &Path, bytes: u64, blake3: Digest, monitor: &dyn Monitor) -> Result<u64> {
    let progress = |units| {
        monitor.event(Event::Advanced {
            phase: Phase::Verify,
            units,
        });
    };
    let (found_bytes, found) =
        disk::hash_file(path, progress).map_err(|error| error.refuse_vault_read())?;
    if found == blake3 && found_bytes == bytes {
        return Ok(found_bytes);
    }
    Err(Refusal::new(
        RefusalCode::VaultDamaged,
        format!("'{}' is not what was written", path.display()),
    )
    .because(format!("expected {bytes} bytes with BLAKE3 {blake3}"))
    .because(format!("found {found_bytes} bytes with BLAKE3 {found}"))
    .about_difference(
        path,
        format!("{bytes} bytes with BLAKE3 {blake3}"),
        format!("{found_bytes} bytes with BLAKE3 {found}"),
    )
    .keeping("the vault is untouched, as evidence"))
}

/// Everything the listings of the snapshots say of contents.
#[derive(Default)]
struct Expected {
    whole: HashMap<ObjectId, (u64, Digest)>,
    chunked: BTreeMap<ObjectId, (u64, Digest)>,
    files: u64,
    /// What stored objects may name without its being there.
    holes: Lacking,
    /// The same, for objects that a promisor remote gave.
    promised: Lacking,
}

/// Decodes every object, recomputes every id and every file's BLAKE3, follows every link, and compares trees, listings and
/// manifests with one another.
fn check_deep(vault: &Vault, trusted: &[Trusted], packs: &[PackRecord]) -> Result<(u64, u64)> {
    let store = Store::new(&vault.layout, packs, vault.format).open_all()?;
    let mut expected = Expected::default();
    for trusted in trusted {
        let reader = SnapshotReader::new(&store, trusted);
        let promised = reader.promised()?;
        expected.holes.extend_by(reader.holes()?);
        let mut tip_files = TipFiles::new(trusted.manifest());
        for place in reader.places() {
            reader.each_directory(place, &mut |directory| {
                tip_files.add(place, &directory);
                expect(&mut expected, &directory)
            })?;
        }
        tip_files.check(&store, trusted.manifest(), &promised)?;
        expected.promised.extend_by(promised);
    }
    // Packs that were put together hold objects of other snapshots, too, which lead to packs that these do not need.
    let all = if packs.len() as u64 == vault.log.inventory.count() {
        None
    } else {
        let all = Store::new(&vault.layout, vault.log.packs(), vault.format);
        Some(all.open_all()?)
    };
    let objects = check_objects(&store, all.as_ref().unwrap_or(&store), &expected)?;
    for (id, (bytes, blake3)) in &expected.chunked {
        if hash_content(&store, id, Form::Chunked)? != (*bytes, *blake3) {
            return Err(wrong_content(id));
        }
    }
    Ok((objects, expected.files))
}

fn wrong_content(id: &ObjectId) -> Refusal {
    Refusal::new(
        RefusalCode::RecordContradiction,
        "a stored file is not what its listing says",
    )
    .because(format!("object {id}: its size or BLAKE3 is another"))
    .keeping("the vault is untouched, as evidence")
}

fn expect(expected: &mut Expected, directory: &Directory) -> Result<()> {
    for (name, entry) in &directory.listing.entries {
        let (bytes, blake3) = match entry {
            Entry::File { bytes, blake3, .. } => (Some(*bytes), *blake3),
            Entry::Link { blake3, .. } => (None, *blake3),
            Entry::Directory { .. } | Entry::Special { .. } | Entry::LeftOut { .. } => continue,
        };
        let Some(content) = directory.contents.get(name) else {
            continue;
        };
        expected.files += 1;
        let known = match (content.form, bytes) {
            (Form::Whole, bytes) => {
                let found = (bytes.unwrap_or(u64::MAX), blake3);
                let known = *expected.whole.entry(content.id).or_insert(found);
                // A link's target and a file may be the same blob; a link states no size.
                (known.0 == found.0 || known.0 == u64::MAX || found.0 == u64::MAX)
                    && known.1 == found.1
            }
            (Form::Chunked, bytes) => {
                let found = (bytes.unwrap_or_default(), blake3);
                *expected.chunked.entry(content.id).or_insert(found) == found
            }
        };
        if !known {
            return Err(wrong_content(&content.id));
        }
    }
    Ok(())
}

/// The files that tips are read from, by the git directory of their repository.
struct TipFiles {
    by_repository: BTreeMap<Spot, Vec<(Vec<u8>, Content)>>,
}

impl TipFiles {
    fn new(manifest: &Manifest) -> Self {
        let git_dirs = manifest.git_dirs().into_iter();
        Self {
            by_repository: git_dirs.map(|git_dir| (git_dir, Vec::new())).collect(),
        }
    }

    fn add(&mut self, place: Place, directory: &Directory) {
        let directory_spot = Spot::top(place).join(&directory.path);
        // The git directory of a submodule lies in that of the repository above: the longest one is the file's own.
        let around = self.by_repository.iter_mut().rev();
        let mut around = around.filter_map(|(git_dir, files)| {
            let own = git_dir.relative(&directory_spot)?;
            Some((git_dir.path.len(), own, files))
        });
        let longest = around.next().map(|first| {
            around.fold(
                first,
                |best, next| if next.0 > best.0 { next } else { best },
            )
        });
        let Some((_, own, files)) = longest else {
            return;
        };
        for (name, content) in &directory.contents {
            let path = join(own, name);
            if tips::is_relevant(tips::in_its_worktree(&path).1) {
                files.push((path, *content));
            }
        }
    }

    /// The ids that the captured refs and operations name are those that the manifest counted, and all are present.
    fn check(&self, store: &Store, manifest: &Manifest, promised: &Lacking) -> Result<()> {
        for (git_dir, files) in &self.by_repository {
            let mut contents = BTreeMap::new();
            for (path, content) in files {
                let mut bytes = Vec::new();
                write_content(store, content, &mut bytes, Path::new("memory"))?;
                contents.insert(path.clone(), bytes);
            }
            let paths: Vec<Vec<u8>> = contents.keys().cloned().collect();
            let (tips, _linked) = tips::read_all(&contents, &paths)
                .map_err(|error| lacks_history(manifest, format!("{git_dir}: {error}")))?;
            let stated = stated_tips(manifest, git_dir);
            let tips = as_stated(tips, stated.map(|(_, digest)| digest));
            let found = (tips.needed.len() as u64, tips_digest(&tips));
            let lost = missing(store.history(git_dir), &tips.needed, &promised.of(git_dir));
            if stated != Some(found) || !lost.is_empty() {
                let stated = stated.map_or(0, |(tips, _)| tips);
                let fact = format!(
                    "{git_dir}: {stated} tips stated, {} found, {} of them missing",
                    found.0,
                    lost.len()
                );
                return Err(lacks_history(manifest, fact));
            }
        }
        Ok(())
    }
}

fn lacks_history(manifest: &Manifest, fact: String) -> Refusal {
    Refusal::new(
        RefusalCode::RecordContradiction,
        format!("snapshot {} lacks history", manifest.snapshot),
    )
    .because(fact)
}

struct DeepCheck<'a> {
    links: LinkCheck<'a>,
    expected: &'a HashMap<ObjectId, (u64, Digest)>,
    too_large: Mutex<Vec<ObjectId>>,
}

impl Visitor for DeepCheck<'_> {
    fn object(&self, object: &Seen<'_>) -> std::result::Result<(), GitError> {
        self.links.object(object)?;
        let Some((bytes, blake3)) = self.expected.get(&object.id) else {
            return Ok(());
        };
        let is_right = match object.content {
            None => {
                if let Ok(mut too_large) = self.too_large.lock() {
                    too_large.push(object.id);
                }
                true
            }
            Some(content) => {
                object.kind == ObjectKind::Blob
                    && (*bytes == u64::MAX || *bytes == content.len() as u64)
                    && Digest::of(content) == *blake3
            }
        };
        if is_right {
            Ok(())
        } else {
            Err(GitError::damaged(
                Path::new(&object.id.to_string()),
                "it is not what its listing says",
            ))
        }
    }
}

fn check_objects(store: &Store, all: &Store, expected: &Expected) -> Result<u64> {
    if let Some(id) = expected.whole.keys().find(|id| !store.contains(id)) {
        return Err(refuse_git_read(&GitError::Missing(*id)));
    }
    let everything = Scope::Everything;
    let mut objects = check_role((store, all), &store.capture, everything, expected)?;
    for (git_dir, history) in store.histories() {
        objects += check_role((store, store), history, Scope::History(git_dir), expected)?;
    }
    Ok(objects)
}

/// Checks packs of a store; what they lead to is looked up in another.
fn check_role(
    (store, around): (&Store, &Store),
    packs: &Packs,
    scope: Scope<'_>,
    expected: &Expected,
) -> Result<u64> {
    let count: u64 = packs.all().map(|pack| u64::from(pack.index.count())).sum();
    let presence = around.presence(scope, count);
    let is_there = |id: &ObjectId| presence.contains(id);
    let may_lack = |id: &ObjectId| match scope {
        Scope::History(git_dir) => {
            expected.holes.contains(git_dir, id) || expected.promised.contains(git_dir, id)
        }
        Scope::Everything => false,
    };
    let is_accounted_for = |id: &ObjectId| is_there(id) || may_lack(id);
    let progress = |_objects| {};
    let format = store
        .format()
        .unwrap_or(crate::host::git::object::ObjectFormat::Sha1);
    let own = DeepCheck {
        links: LinkCheck::new(format, &is_accounted_for, &progress),
        expected: &expected.whole,
        too_large: Mutex::default(),
    };
    let promisor = DeepCheck {
        links: LinkCheck::new(format, &is_there, &progress),
        expected: &expected.whole,
        too_large: Mutex::default(),
    };
    let mut objects = 0;
    for (check, is_promisor) in [(&own, false), (&promisor, true)] {
        for pack in packs.all_of(is_promisor) {
            objects += check_pack(pack, check).map_err(|error| refuse_in(&error, pack))?;
        }
    }
    let (mut holes, named) = (own.finish(store)?, promisor.finish(store)?);
    if let Scope::History(git_dir) = scope {
        let promised = expected.promised.of(git_dir);
        let mut promised = promised.iter();
        if let Some(id) = promised.find(|id| !is_there(id) && !named.contains_key(id)) {
            return Err(not_promised(id));
        }
    }
    holes.extend(named.into_iter().filter(|(id, _)| !may_lack(id)));
    match holes.first_key_value() {
        None => Ok(objects),
        Some((missing, named_by)) => Err(refuse_git_read(&GitError::Missing(*missing))
            .because(format!("object {named_by} names it"))),
    }
}

impl DeepCheck<'_> {
    /// Looks at what was too large to be held, and gives what is missing, each with an object that names it.
    fn finish(self, store: &Store) -> Result<BTreeMap<ObjectId, ObjectId>> {
        let too_large = self
            .too_large
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        for id in too_large {
            let found = hash_content(store, &id, Form::Whole)?;
            if self.expected.get(&id) != Some(&found) {
                return Err(wrong_content(&id));
            }
        }
        Ok(self.links.finish().0)
    }
}

fn not_promised(id: &ObjectId) -> Refusal {
    Refusal::new(
        RefusalCode::RecordContradiction,
        "what is said to be promised is not",
    )
    .because(format!(
        "object {id} is named by nothing that a promisor remote gave"
    ))
    .keeping("the vault is untouched, as evidence")
}

fn refuse_in(error: &GitError, pack: &Pack) -> Refusal {
    refuse_git_read(error)
        .because(format!("seen while decoding '{}'", pack.path().display()))
        .about(pack.path())
}
