//! Packs on their way into the place of others: written, read back and compared with what is required, announced, moved into place,
//! named by the log. Only what was verified gets that far.

use std::collections::HashSet;
use std::path::PathBuf;

use crate::host::disk;
use crate::host::git;
use crate::host::git::object::{ObjectFormat, ObjectId};
use crate::host::git::pack_copy::copy_entries;
use crate::host::git::pack_reader::Pack;
use crate::host::git::pack_writer::{FinishedPack, PackWriter};
use crate::host::random::random_bytes;
use crate::model::event::{Event, Monitor, Phase};
use crate::model::ids::SnapshotId;
use crate::model::inventory::{Announced, PackRecord, PackRole};
use crate::model::log_entry::{LogEvent, OptimizeRecord};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::signed::{self, Purpose};
use crate::model::timestamp::Timestamp;
use crate::vault::content::{Added, refuse_git_read, refuse_git_write};
use crate::vault::inspect::Vault;
use crate::vault::layout::ANNOUNCED;
use crate::vault::probe;
use crate::vault::staging::{IncompletePack, VerifiedPack, place_pack};
use crate::vault::store::{Store, of};

/// What will take the place of packs.
#[must_use = "packs that are not committed take nobody's place"]
pub struct Replacement {
    directory: PathBuf,
    format: ObjectFormat,
    going: Vec<PackRecord>,
    coming: Vec<VerifiedPack>,
}

impl Replacement {
    /// Begins one, after the vault has passed the health probe with room for so many bytes.
    ///
    /// # Errors
    /// When it has not, or the directory cannot be made.
    pub fn begin(vault: &Vault, bytes: u64) -> Result<Self> {
        let reserve = probe::OPTIMIZE_RESERVE_BYTES;
        let probe::Probed { .. } = probe::probe_leaving(&vault.layout, bytes, reserve)?;
        let id = random_bytes().map(SnapshotId::from_random);
        let id = id.ok_or_else(|| internal("the system gives no random bytes"))?;
        let directory = vault.layout.optimizing(&id);
        disk::create_directory(&directory).map_err(|error| error.refuse_vault_write())?;
        Ok(Self {
            directory,
            format: vault.format,
            going: Vec::new(),
            coming: Vec::new(),
        })
    }

    /// Writes one pack of all wanted objects of packs of one group, and reads it back: ids recomputed, links followed in `after`,
    /// which holds what will be there when those packs are gone. Nothing is written when nothing is wanted.
    ///
    /// # Errors
    /// When anything is not as it must be.
    pub fn replace(
        &mut self,
        (vault, after): (&Vault, &mut Store),
        going: &[PackRecord],
        wanted: &dyn Fn(&ObjectId) -> bool,
        monitor: &dyn Monitor,
    ) -> Result<()> {
        let Some(first) = going.first() else {
            return Ok(());
        };
        let (required, pack) = self.copy(vault, going, wanted, monitor)?;
        let Some(pack) = pack else {
            self.going.extend_from_slice(going);
            return Ok(());
        };
        if vault.log.inventory.get(&pack.name).is_some() {
            // One of them holds all that is wanted of the others, too.
            return self.stay(vault, after, going);
        }
        let (pack, git_dir) = match first.role {
            PackRole::History => {
                let git_dir = of(first);
                let pack = IncompletePack::history(pack, &git_dir, first.promisor, self.format);
                (Some(pack), Some(git_dir))
            }
            PackRole::Capture => {
                let added = Added {
                    pack: Some(pack),
                    contents: Vec::new(),
                };
                (IncompletePack::capture(added, self.format), None)
            }
        };
        let pack = pack.ok_or_else(|| internal("nothing was written"))?;
        let (pack, read_back) = pack.verify(after, monitor).map_err(copied)?;
        if !read_back.holes.is_empty() {
            // It lacks something that no remaining snapshot says it lacks: it is left alone.
            return self.stay(vault, after, going);
        }
        let newest = match &git_dir {
            Some(git_dir) => after.history(git_dir).newest(),
            None => after.capture.newest(),
        };
        let newest = newest.ok_or_else(|| internal("the new pack cannot be opened"))?;
        let found = newest.index.ids();
        let count = u64::from(newest.index.count());
        if count != required.len() as u64 || !found.into_iter().all(|id| required.contains(&id)) {
            return Err(internal("the new pack holds other objects than it must"));
        }
        self.going.extend_from_slice(going);
        self.coming.push(pack);
        Ok(())
    }

    /// Leaves packs as they are.
    fn stay(&self, vault: &Vault, after: &mut Store, packs: &[PackRecord]) -> Result<()> {
        for record in packs {
            let path = vault.layout.pack(&record.name);
            let open = Pack::open_with(&path, self.format, Some(record.index_blake3));
            let open = open.map_err(|error| refuse_git_read(&error))?;
            match record.role {
                PackRole::History => after.history_mut(&of(record)).push(open, record.promisor),
                PackRole::Capture => after.capture.push(open, false),
            }
        }
        Ok(())
    }

    /// Copies what is wanted; gives what that is.
    fn copy(
        &self,
        vault: &Vault,
        going: &[PackRecord],
        wanted: &dyn Fn(&ObjectId) -> bool,
        monitor: &dyn Monitor,
    ) -> Result<(HashSet<ObjectId>, Option<FinishedPack>)> {
        let mut required = HashSet::new();
        let mut packs = Vec::new();
        for record in going {
            let path = vault.layout.pack(&record.name);
            let pack = Pack::open_with(&path, self.format, Some(record.index_blake3))
                .map_err(|error| refuse_git_read(&error))?;
            if u64::from(pack.index.count()) != record.objects {
                let what = format!("'{}' holds another number of objects", path.display());
                return Err(Refusal::new(RefusalCode::VaultDamaged, what).about(&path));
            }
            required.extend(pack.index.ids().filter(|id| wanted(id)));
            packs.push(pack);
        }
        if required.is_empty() {
            return Ok((required, None));
        }
        monitor.event(Event::Started {
            phase: Phase::Optimize,
            total: Some(required.len() as u64),
        });
        let progress = |units| {
            monitor.event(Event::Advanced {
                phase: Phase::Optimize,
                units,
            });
        };
        let label = format!("pack-{}", self.going.len());
        let mut writer = PackWriter::create(&self.directory, &label, self.format)
            .map_err(|error| refuse_git_write(&error))?;
        for pack in &packs {
            let is_wanted = |number: u32| required.contains(&pack.index.id_at(number));
            let copied = copy_entries(pack, &is_wanted, &mut writer, &progress);
            copied.map_err(|error| self.refuse_copy(&error, pack))?;
        }
        let finished = writer.finish().map_err(|error| refuse_git_write(&error))?;
        monitor.event(Event::Finished {
            phase: Phase::Optimize,
        });
        Ok((required, Some(finished)))
    }

    /// What failed is the new pack, or the one that was read.
    fn refuse_copy(&self, error: &git::error::Error, pack: &Pack) -> Refusal {
        match error {
            git::error::Error::Disk(failed) if failed.path.starts_with(&self.directory) => {
                refuse_git_write(error)
            }
            git::error::Error::Disk(_)
            | git::error::Error::Damaged { .. }
            | git::error::Error::Missing(_)
            | git::error::Error::Limit(_) => refuse_git_read(error).about(pack.path()),
        }
    }

    /// Whether nothing goes after all.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.going.is_empty()
    }

    /// The packs that come.
    #[must_use]
    pub fn coming(&self) -> Vec<PackRecord> {
        let records = self.coming.iter().map(VerifiedPack::record);
        records.cloned().collect()
    }

    /// Announces the packs, moves them into place, and makes the log entry by which they take the place of the others.
    ///
    /// # Errors
    /// When any step fails: then nothing has changed but for files that the next run removes.
    pub fn commit(self, vault: &mut Vault, now: Timestamp) -> Result<u64> {
        let packs = self.coming();
        let layout = vault.layout.clone();
        let announced = announce(vault, &packs)?;
        let place = || -> disk::Result<()> {
            disk::write_new(&self.directory.join(ANNOUNCED), &announced)?;
            // It explains the packs, so it must be durable before they appear among the others.
            disk::sync_directory(&self.directory)?;
            disk::sync_directory(&layout.snapshots())?;
            for pack in &packs {
                place_pack(&self.directory, &layout, pack)?;
            }
            disk::make_durable(&mut [], &[], &[&layout.packs(), &self.directory])
        };
        place().map_err(|error| error.refuse_vault_write())?;
        let mut gone: Vec<String> = self.going.into_iter().map(|pack| pack.name).collect();
        gone.sort_unstable();
        vault.append(&LogEvent::Optimize(OptimizeRecord { gone }, packs), now)
    }

    /// Removes what was written: copies, of which nothing was ever claimed.
    ///
    /// # Errors
    /// When it cannot be removed; the next run does.
    pub fn discard(self) -> disk::Result<()> {
        use crate::host::disk::Context as _;
        std::fs::remove_dir_all(&self.directory).context("remove", &self.directory)
    }
}

/// The signed record of what is about to come.
fn announce(vault: &Vault, packs: &[PackRecord]) -> Result<Vec<u8>> {
    let announced = Announced {
        packs: packs.to_vec(),
    };
    let body = toml::to_string(&announced).map_err(|error| internal(&error.to_string()))?;
    signed::sign(&body, Purpose::Packs, vault.binding, vault.key())
        .map_err(|error| internal(&error.to_string()))
}

/// What was copied from a pack of the vault is not the source's fault.
fn copied(refusal: Refusal) -> Refusal {
    if refusal.code != RefusalCode::SourceObjectDamaged {
        return refusal;
    }
    let damaged = Refusal::new(
        RefusalCode::VaultDamaged,
        "what was copied from packs of the vault does not decode",
    );
    let why = refusal.why.iter().cloned();
    why.fold(damaged, Refusal::because)
        .keeping("the packs that were copied are untouched, as evidence")
        .next("git vault verify --deep", "finds out which object it is")
}

fn internal(reason: &str) -> Refusal {
    Refusal::new(RefusalCode::Internal, "the packs cannot be replaced").because(reason)
}
