//! What can be said of a vault whose key is not at hand: whether its bytes are what they say they are, and never by whom.

use std::collections::BTreeMap;
use std::path::Path;

use crate::host::disk;
use crate::model::escape::for_terminal;
use crate::model::ids::{Digest, SnapshotId};
use crate::model::inventory::PackRecord;
use crate::model::log_entry::{LogEntry, LogEvent, SnapshotRecord, file_name};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::signed::{Purpose, check_damage};
use crate::ops::locate::Workplace;
use crate::vault::inspect::{Description, share};
use crate::vault::last_seen;
use crate::vault::layout::Layout;
use crate::vault::log;
use crate::vault::skeleton::MANIFEST_LIMIT_BYTES;

/// What was found to be what it says it is.
#[derive(Debug, Default)]
struct Intact {
    records: u64,
    packs: u64,
    bytes: u64,
}

/// Adds to the refusal of a vault whose key is missing what can be said of it all the same. It stays a refusal: hashes that
/// anybody can compute prove no origin.
#[must_use]
pub fn look_without_key(workplace: &Workplace, refusal: Refusal) -> Refusal {
    if refusal.code != RefusalCode::KeyMissing {
        return refusal;
    }
    let Ok(root) = workplace.vault_root() else {
        return refusal;
    };
    let outcome = check(&Layout::new(&root), &workplace.homes.state);
    match outcome {
        Ok(intact) => refusal.because(format!(
            "INTACT-UNPROVEN: {} records and {} packs ({} bytes) are what their hashes say; nobody can prove who wrote them",
            intact.records, intact.packs, intact.bytes
        )),
        Err(found) => refusal
            .because(format!("and it is not whole: {}", found.what))
            .because("what can be said without a key is what hashes say, which anybody can compute"),
    }
}

/// Follows the log by hashes alone, and compares everything it names with what is there.
fn check(layout: &Layout, state_home: &Path) -> Result<Intact> {
    let mut intact = Intact::default();
    let path = layout.vault_toml();
    let description = record(&path, Purpose::Vault, log::LIMIT_BYTES, &mut intact)?;
    let vault = check_damage(&description, Purpose::Vault)
        .ok()
        .and_then(|text| toml::from_str::<Description>(text.unauthenticated_body()).ok())
        .ok_or_else(|| broken(format!("'{}' cannot be understood", path.display())))?
        .vault;
    let seen = last_seen::load(state_home, vault)?;
    // Nothing that is named below is removed meanwhile.
    let _reading = share(layout)?;
    let mut named = Named::default();
    let mut found = None;
    let mut previous = Digest::from_bytes([0; 32]);
    let names = disk::list(&layout.log()).map_err(|error| error.refuse_vault_read())?;
    for (number, name) in (1_u64..).zip(&names) {
        let path = layout.log_entry(number);
        if name.to_str() != Some(file_name(number).as_str()) {
            return Err(broken(format!("log entry {number} is missing")));
        }
        let bytes = record(&path, Purpose::Log, log::LIMIT_BYTES, &mut intact)?;
        let entry = check_damage(&bytes, Purpose::Log)
            .ok()
            .and_then(|entry| toml::from_str::<LogEntry>(entry.unauthenticated_body()).ok())
            .ok_or_else(|| broken(format!("'{}' cannot be understood", path.display())))?;
        if entry.previous != previous {
            return Err(broken(format!(
                "log entry {number} does not follow the one before"
            )));
        }
        previous = Digest::of(&bytes);
        if seen.is_some_and(|seen| seen.entry == number) {
            found = Some(previous);
        }
        named.take(entry.event());
    }
    if names.is_empty() {
        return Err(broken("the log has no first entry".to_owned()));
    }
    match seen {
        Some(seen) if found != Some(seen.blake3) => Err(broken(format!(
            "log entry {}, which this machine has seen, is not there or is another",
            seen.entry
        ))),
        _ => named.check(layout, intact),
    }
}

/// What a log names in the end, as far as nobody proves it.
#[derive(Default)]
struct Named {
    snapshots: BTreeMap<SnapshotId, SnapshotRecord>,
    packs: BTreeMap<String, PackRecord>,
}

impl Named {
    fn take(&mut self, event: Option<LogEvent>) {
        let came = match event {
            Some(LogEvent::Snapshot(snapshot, packs)) => {
                self.snapshots.insert(snapshot.id.clone(), snapshot);
                packs
            }
            Some(LogEvent::Drop(drop)) => {
                self.snapshots.retain(|id, _| !drop.snapshots.contains(id));
                Vec::new()
            }
            Some(LogEvent::Optimize(optimize, packs)) => {
                self.packs.retain(|name, _| !optimize.gone.contains(name));
                packs
            }
            Some(
                LogEvent::Genesis(..)
                | LogEvent::Attach(_)
                | LogEvent::Verify(_)
                | LogEvent::Drill(_)
                | LogEvent::Copy(_)
                | LogEvent::Rotate(_)
                | LogEvent::Compromise(_)
                | LogEvent::Acknowledge(_)
                | LogEvent::SetAside(_),
            )
            | None => Vec::new(),
        };
        let came = came.into_iter();
        self.packs
            .extend(came.map(|pack| (pack.name.clone(), pack)));
    }

    /// Compares it with what is there.
    fn check(self, layout: &Layout, mut intact: Intact) -> Result<Intact> {
        for (id, snapshot) in self.snapshots {
            let path = layout.manifest(&id);
            let bytes = record(&path, Purpose::Manifest, MANIFEST_LIMIT_BYTES, &mut intact)?;
            if Digest::of(&bytes) != snapshot.manifest_blake3 {
                return Err(broken(format!("'{}' is another record", path.display())));
            }
        }
        for (name, pack) in self.packs {
            let path = layout.pack(&name);
            file(&path, pack.bytes, pack.blake3, &mut intact)?;
            let index = path.with_extension("idx");
            file(&index, pack.index_bytes, pack.index_blake3, &mut intact)?;
            intact.packs += 1;
        }
        Ok(intact)
    }
}

fn broken(what: String) -> Refusal {
    Refusal::new(RefusalCode::VaultDamaged, what)
}

fn record(path: &Path, purpose: Purpose, limit_bytes: u64, intact: &mut Intact) -> Result<Vec<u8>> {
    let bytes = disk::read_bounded(path, limit_bytes).map_err(|error| error.refuse_vault_read())?;
    check_damage(&bytes, purpose).map_err(|error| {
        broken(format!(
            "'{}' is damaged: {}",
            path.display(),
            for_terminal(&error.to_string())
        ))
    })?;
    intact.records += 1;
    intact.bytes += bytes.len() as u64;
    Ok(bytes)
}

fn file(path: &Path, bytes: u64, blake3: Digest, intact: &mut Intact) -> Result<()> {
    let found = disk::hash_file(path, |_bytes| {}).map_err(|error| error.refuse_vault_read())?;
    if found != (bytes, blake3) {
        return Err(broken(format!(
            "'{}' is not what was written",
            path.display()
        )));
    }
    intact.bytes += bytes;
    Ok(())
}
