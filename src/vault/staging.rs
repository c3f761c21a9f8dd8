//! A snapshot on its way into the vault: incomplete, then read back and verified, then sealed. Each state is a type of its
//! own, so that nothing unverified can be sealed:
//!
//! ```compile_fail
//! use git_vault::vault::staging::{IncompletePack, Staging, Verified};
//! fn skip_a_step(staging: &Staging, pack: IncompletePack) {
//!     let _unproven = Verified::new(staging, vec![pack]);
//! }
//! ```

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::host::disk::{self, Context};
use crate::host::git;
use crate::host::git::object::{ObjectFormat, ObjectId, ObjectKind};
use crate::host::git::pack_check::{LinkCheck, Seen, Visitor, check_pack};
use crate::host::git::pack_reader::Pack;
use crate::host::git::pack_writer::FinishedPack;
use crate::host::parallel;
use crate::model::event::{Event, Monitor, Phase};
use crate::model::ids::{Digest, SnapshotId};
use crate::model::inventory::{PackRecord, PackRole};
use crate::model::log_entry::{LogEvent, SnapshotRecord};
use crate::model::manifest::Manifest;
use crate::model::place::{Place, Spot};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::signed::{self, Purpose};
use crate::vault::content::{Added, Form, Stored, refuse_git_read};
use crate::vault::inspect::Vault;
use crate::vault::last_seen;
use crate::vault::layout::Layout;
use crate::vault::log::LoggedSnapshot;
use crate::vault::probe;
use crate::vault::reader::hash_content;
use crate::vault::skeleton::MANIFEST_LIMIT_BYTES;
use crate::vault::store::{self, Scope, Store};

/// The directory of a snapshot that is being written. It is made when something is first written to it, after the vault
/// has passed the health probe; it is never removed by this program once something is in it.
pub struct Staging {
    layout: Layout,
    id: SnapshotId,
    is_made: Mutex<bool>,
}

impl Staging {
    /// Plans a staging directory.
    #[must_use]
    pub fn new(layout: &Layout, id: SnapshotId) -> Self {
        Self {
            layout: layout.clone(),
            id,
            is_made: Mutex::new(false),
        }
    }

    /// The snapshot's id.
    #[must_use]
    pub fn id(&self) -> &SnapshotId {
        &self.id
    }

    /// Where the directory is, or will be.
    #[must_use]
    pub fn path(&self) -> PathBuf {
        self.layout.incomplete(&self.id)
    }

    /// Where what was written lies now: the directory may have got its final name before the seal failed.
    #[must_use]
    pub fn left_at(&self) -> PathBuf {
        let named = self.layout.snapshot(&self.id);
        if named.symlink_metadata().is_ok() {
            named
        } else {
            self.path()
        }
    }

    /// Whether the directory exists.
    #[must_use]
    pub fn is_made(&self) -> bool {
        self.is_made.lock().is_ok_and(|made| *made)
    }

    /// Removes the directory of a snapshot that turned out not to be needed; nothing in it was ever claimed.
    ///
    /// # Errors
    /// When it cannot be removed.
    pub fn discard(&self) -> Result<()> {
        if !self.is_made() {
            return Ok(());
        }
        let path = self.layout.incomplete(&self.id);
        std::fs::remove_dir_all(&path)
            .context("remove", &path)
            .map_err(|error| error.refuse_vault_write())
    }

    /// The directory; the first call probes the vault and makes it.
    ///
    /// # Errors
    /// When the vault does not pass the probe or the directory cannot be made.
    pub fn directory(&self) -> Result<PathBuf> {
        let path = self.layout.incomplete(&self.id);
        let mut made = self
            .is_made
            .lock()
            .map_err(|_poisoned| internal("a worker stopped without an answer"))?;
        if !*made {
            let probe::Probed { .. } = probe::probe(&self.layout, 0)?;
            // Its name is made durable with the manifest: before that, nothing of it lies anywhere else.
            disk::create_directory(&path).map_err(|error| error.refuse_vault_write())?;
            *made = true;
        }
        Ok(path)
    }
}

fn internal(reason: &str) -> Refusal {
    Refusal::new(RefusalCode::Internal, "the snapshot could not be made").because(reason.to_owned())
}

/// A pack that was written, and of which nothing is proven yet.
#[derive(Debug)]
#[must_use = "a pack that is not verified is not part of a snapshot"]
pub struct IncompletePack {
    pack: FinishedPack,
    role: PackRole,
    of: Option<Spot>,
    is_promisor: bool,
    contents: Vec<Stored>,
    format: ObjectFormat,
}

/// A pack whose every byte was read back from the device and found to be what was meant. Only verifying makes one.
#[derive(Debug)]
pub struct VerifiedPack {
    record: PackRecord,
}

impl VerifiedPack {
    /// What the log will say of it.
    #[must_use]
    pub fn record(&self) -> &PackRecord {
        &self.record
    }
}

/// What reading history back found.
#[derive(Debug, Default)]
pub struct ReadBack {
    /// Objects that new history names and that are not in the vault's history, each with one that names it.
    pub holes: BTreeMap<ObjectId, ObjectId>,
    /// New commits without parents.
    pub root_commits: Vec<ObjectId>,
}

/// A snapshot all of whose new packs are verified.
#[must_use = "a snapshot that is not sealed does not exist"]
pub struct Verified {
    id: SnapshotId,
    directory: PathBuf,
    records: Vec<PackRecord>,
}

/// A sealed snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The snapshot as the log knows it.
    pub logged: LoggedSnapshot,
    /// Conveniences that could not be written after the seal: refs, last-seen state.
    pub warnings: Vec<String>,
}

impl IncompletePack {
    /// A pack of the history of the repository with that git directory.
    pub fn history(pack: FinishedPack, of: &Spot, is_promisor: bool, format: ObjectFormat) -> Self {
        let is_main = *of == Spot::top(Place::Gitdir);
        Self {
            pack,
            role: PackRole::History,
            of: (!is_main).then(|| of.clone()),
            is_promisor,
            contents: Vec::new(),
            format,
        }
    }

    /// The pack of what a snapshot captured, if it needed one.
    #[must_use]
    pub fn capture(added: Added, format: ObjectFormat) -> Option<Self> {
        let Added { pack, contents } = added;
        pack.map(|pack| Self {
            pack,
            role: PackRole::Capture,
            of: None,
            is_promisor: false,
            contents,
            format,
        })
    }

    /// Reads the pack back: BLAKE3, every object decoded and its id recomputed, every link followed, every new content's
    /// BLAKE3 recomputed. Then adds it to `store`, which holds the vault's packs.
    ///
    /// # Errors
    /// When anything is not what was written.
    pub fn verify(
        self,
        store: &mut Store,
        monitor: &dyn Monitor,
    ) -> Result<(VerifiedPack, ReadBack)> {
        let total = std::fs::metadata(&self.pack.path)
            .ok()
            .map(|metadata| metadata.len());
        monitor.event(Event::Started {
            phase: Phase::Verify,
            total,
        });
        let record = record(&self, monitor)?;
        let opened =
            Pack::open(&self.pack.path, self.format).map_err(|error| refuse_read_back(&error))?;
        let read_back = match self.role {
            PackRole::History => {
                let of = store::of(&record);
                store.history_mut(&of).push(opened, self.is_promisor);
                check_history(store, &of)?
            }
            PackRole::Capture => {
                store.capture.push(opened, false);
                check_capture(store, &self.contents)?;
                ReadBack::default()
            }
        };
        monitor.event(Event::Finished {
            phase: Phase::Verify,
        });
        Ok((VerifiedPack { record }, read_back))
    }
}

/// Reads a pack and its index from start to end with plain reads, from the device where the system allows.
fn record(incomplete: &IncompletePack, monitor: &dyn Monitor) -> Result<PackRecord> {
    let pack = &incomplete.pack;
    let progress = |units| {
        monitor.event(Event::Advanced {
            phase: Phase::Verify,
            units,
        });
    };
    let read = |path: &Path, progress: &dyn Fn(u64)| {
        disk::hash_file(path, progress).map_err(|error| error.refuse_vault_read())
    };
    let (bytes, blake3) = read(&pack.path, &progress)?;
    let (index_bytes, index_blake3) = read(&pack.path.with_extension("idx"), &|_bytes| {})?;
    Ok(PackRecord {
        name: pack.name.clone(),
        role: incomplete.role,
        of: incomplete.of.clone(),
        promisor: incomplete.is_promisor,
        objects: pack.objects,
        bytes,
        blake3,
        index_bytes,
        index_blake3,
    })
}

/// Checks the newest pack of a history.
fn check_history(store: &Store, of: &Spot) -> Result<ReadBack> {
    let Some(pack) = store.history(of).newest() else {
        return Ok(ReadBack::default());
    };
    let presence = store.presence(Scope::History(of), u64::from(pack.index.count()));
    let is_present = |id: &ObjectId| presence.contains(id);
    let progress = |_objects| {};
    let links = LinkCheck::new(pack.format(), &is_present, &progress);
    check_pack(pack, &links).map_err(|error| refuse_new_pack(&error))?;
    let (holes, root_commits) = links.finish();
    Ok(ReadBack {
        holes,
        root_commits,
    })
}

/// A pack that was just written and does not read back was not kept as it was written; nothing sealed is in doubt.
fn refuse_read_back(error: &git::error::Error) -> Refusal {
    let refusal = refuse_git_read(error);
    if refusal.code != RefusalCode::VaultDamaged {
        return refusal;
    }
    Refusal::new(
        RefusalCode::VaultWriteFailed,
        "what was written to the vault does not read back",
    )
    .because(format!("{}: {}", refusal.what, refusal.why.join("; ")))
}

/// A pack that was just copied and turns out damaged was most likely damaged in the source, whose checksums of entries
/// were right; either way there is no snapshot.
fn refuse_new_pack(error: &git::error::Error) -> Refusal {
    let refusal = refuse_git_read(error);
    if refusal.code == RefusalCode::VaultDamaged {
        return Refusal::new(
            RefusalCode::SourceObjectDamaged,
            "an object of the source is damaged",
        )
        .because(refusal.why.join("; "))
        .next(
            "git fsck --full",
            "names every damaged object of the repository",
        );
    }
    refusal
}

/// Every object of the capture pack: links lead to objects that are present, contents have the BLAKE3 they were read with.
struct CaptureCheck<'a> {
    links: LinkCheck<'a>,
    contents: HashMap<ObjectId, Digest>,
    seen: AtomicU64,
}

impl Visitor for CaptureCheck<'_> {
    fn object(&self, object: &Seen<'_>) -> git::error::Result<()> {
        self.links.object(object)?;
        if let (ObjectKind::Blob, Some(expected), Some(content)) =
            (object.kind, self.contents.get(&object.id), object.content)
        {
            if Digest::of(content) != *expected {
                let name = object.id.to_string();
                return Err(git::error::Error::damaged(
                    Path::new(&name),
                    "its BLAKE3 is not that of the file",
                ));
            }
            self.seen.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}

/// Checks the newest capture pack.
fn check_capture(store: &Store, contents: &[Stored]) -> Result<()> {
    let Some(pack) = store.capture.newest() else {
        return Ok(());
    };
    let presence = store.presence(Scope::Everything, u64::from(pack.index.count()));
    let is_present = |id: &ObjectId| presence.contains(id);
    let progress = |_objects| {};
    let whole: HashMap<_, _> = contents
        .iter()
        .filter(|stored| stored.form == Form::Whole && pack.index.find(&stored.id).is_some())
        .map(|stored| (stored.id, stored.blake3))
        .collect();
    let expected = whole.len() as u64;
    let links = LinkCheck::new(pack.format(), &is_present, &progress);
    let check = CaptureCheck {
        links,
        contents: whole,
        seen: AtomicU64::new(0),
    };
    check_pack(pack, &check).map_err(|error| refuse_read_back(&error))?;
    let seen = check.seen.into_inner();
    let (holes, _root_commits) = check.links.finish();
    if let Some((missing, named_by)) = holes.first_key_value() {
        // A pack that cannot be opened holds nothing: it is to blame, not what seems to be missing.
        store.check()?;
        return Err(internal(&format!(
            "{named_by} names {missing}, which was not stored"
        )));
    }
    if seen != expected {
        return Err(internal(&format!(
            "{expected} contents were written, {seen} were read back"
        )));
    }
    let chunked = contents
        .iter()
        .filter(|stored| stored.form == Form::Chunked);
    let chunked: Vec<&Stored> = chunked.collect();
    parallel::for_each(&chunked, |stored| {
        let (bytes, blake3) = hash_content(store, &stored.id, stored.form)?;
        if bytes == stored.bytes && blake3 == stored.blake3 {
            return Ok(());
        }
        Err(internal(&format!(
            "the pieces {} do not make up the file",
            stored.id
        )))
    })
}

impl Verified {
    /// Gathers the verified packs of a snapshot.
    ///
    /// # Errors
    /// When the staging directory cannot be made; a snapshot without new packs has none yet.
    pub fn new(staging: &Staging, packs: Vec<VerifiedPack>) -> Result<Self> {
        let records = packs.into_iter().map(|pack| pack.record).collect();
        Ok(Self {
            id: staging.id().clone(),
            directory: staging.directory()?,
            records,
        })
    }

    /// The packs that come with the snapshot.
    #[must_use]
    pub fn packs(&self) -> &[PackRecord] {
        &self.records
    }

    /// Signs the manifest, moves everything into place, and makes the log entry that is the snapshot.
    ///
    /// # Errors
    /// When any step fails: then there is no snapshot, and what was written stays as evidence.
    pub fn seal(self, vault: &mut Vault, manifest: &Manifest) -> Result<Sealed> {
        let bytes = sign(vault, manifest)?;
        self.move_into_place(vault, &bytes)
            .map_err(|error| error.refuse_vault_write())?;
        let record = SnapshotRecord {
            id: self.id.clone(),
            manifest_bytes: bytes.len() as u64,
            manifest_blake3: Digest::of(&bytes),
        };
        vault.append(&LogEvent::Snapshot(record, self.records), manifest.created)?;
        let logged = vault
            .log
            .find(&self.id)
            .cloned()
            .ok_or_else(|| internal("its log entry cannot be found"))?;
        Ok(Sealed {
            warnings: write_conveniences(vault, manifest),
            logged,
        })
    }

    fn move_into_place(&self, vault: &Vault, manifest: &[u8]) -> disk::Result<()> {
        let layout = &vault.layout;
        let path = self.directory.join("manifest.toml");
        // The manifest explains the packs, so it must be durable before they appear among the others.
        let manifest = disk::Draft::new(&path, manifest)?;
        disk::make_durable(
            &mut [manifest],
            &[],
            &[&self.directory, &layout.snapshots()],
        )?;
        for pack in &self.records {
            place_pack(&self.directory, layout, pack)?;
        }
        let left = disk::list(&self.directory)?;
        if left != ["manifest.toml"] {
            let other = std::io::Error::other(format!("it still holds {left:?}"));
            return Err(disk::Error::new("seal", &self.directory, other));
        }
        disk::make_durable(&mut [], &[], &[&layout.packs(), &self.directory])?;
        disk::rename_new(&self.directory, &layout.snapshot(&self.id))?;
        disk::sync_directory(&layout.snapshots())
    }
}

fn sign(vault: &Vault, manifest: &Manifest) -> Result<Vec<u8>> {
    let body = manifest
        .to_body()
        .map_err(|error| internal(&error.to_string()))?;
    let bytes = signed::sign(&body, Purpose::Manifest, vault.binding, vault.key())
        .map_err(|error| internal(&error.to_string()))?;
    if bytes.len() as u64 > MANIFEST_LIMIT_BYTES {
        return Err(internal("its manifest would be too large to be read again"));
    }
    // What cannot be read back as it was meant must not be sealed.
    let read = signed::open(&bytes, Purpose::Manifest, vault.binding, vault.key())
        .map_err(|error| error.to_string());
    match read.and_then(Manifest::from_body) {
        Ok(read) if read == *manifest => Ok(bytes),
        Ok(_) => Err(internal("the manifest reads differently than it was meant")),
        Err(reason) => Err(internal(&reason)),
    }
}

/// Moves a pack: its `.keep` first, so that git never deletes it, its index last, so that git sees it only whole.
pub(super) fn place_pack(from: &Path, layout: &Layout, pack: &PackRecord) -> disk::Result<()> {
    let target = layout.pack(&pack.name);
    match disk::create_new(&target.with_extension("keep")) {
        Ok(_) => {}
        Err(error) if error.is_already_there() => {}
        Err(error) => return Err(error),
    }
    for ending in ["pack", "idx"] {
        let source = from.join(format!("{}.{ending}", pack.name));
        let target = target.with_extension(ending);
        match disk::rename_new(&source, &target) {
            // An interrupted snapshot of the same history left the same pack: the same bytes serve as well.
            Err(error) if error.is_already_there() && has_same_bytes(&source, &target) => {
                disk::open_regular(&target)?
                    .sync_all()
                    .context("make durable", &target)?;
                std::fs::remove_file(&source).context("remove", &source)?;
            }
            moved => moved?,
        }
    }
    Ok(())
}

fn has_same_bytes(left: &Path, right: &Path) -> bool {
    let hash = |path| disk::hash_file(path, |_bytes| {}).ok();
    hash(left).is_some_and(|left| hash(right) == Some(left))
}

/// Refs for plain git, and the last-seen state: useful, rebuildable, and no part of what makes a snapshot.
fn write_conveniences(vault: &Vault, manifest: &Manifest) -> Vec<String> {
    let line = format!("{}\n", manifest.content.commit);
    let id = &manifest.snapshot;
    let refs = [vault.layout.snapshot_ref(id), vault.layout.latest_ref()];
    let outcomes = [
        disk::replace_several(&vault.layout.cache(), &refs, line.as_bytes()),
        last_seen::remember(&vault.homes.state, vault.binding.vault, &vault.log),
    ];
    outcomes
        .into_iter()
        .filter_map(|outcome| outcome.err().map(|error| error.to_string()))
        .collect()
}
