//! `git vault optimize`: packs are put together, and what no snapshot needs is left behind. Nothing goes before what takes its place
//! was read back and found to hold all that must stay.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;

use crate::host::git::object::ObjectId;
use crate::host::git::pack_reader::Pack;
use crate::model::event::Monitor;
use crate::model::inventory::{PackGroup, PackRecord, PackRole};
use crate::model::refusal::{Changed, Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::locate::Workplace;
use crate::ops::shrink::{Incidents, OwnVault};
use crate::ops::verify::check_bytes;
use crate::vault::content::refuse_git_read;
use crate::vault::gone;
use crate::vault::inspect::Vault;
use crate::vault::reach::Reach;
use crate::vault::reader::{SnapshotReader, Trusted, trust};
use crate::vault::replacement::Replacement;
use crate::vault::store::{Store, of};

/// So many packs are worth putting together.
const WORTH_MERGING: usize = 4;
/// See [`joining`].
const FACTOR: u64 = 2;
/// A pack is rewritten when less than this part of it is needed.
const NEEDED_PART: (u64, u64) = (3, 4);

/// What was done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OptimizeReport {
    /// The vault.
    pub vault: PathBuf,
    /// The log entry that says so; `None` when there was nothing to do.
    pub entry: Option<u64>,
    /// Packs and their bytes before.
    pub before: Size,
    /// Packs and their bytes now.
    pub after: Size,
    /// Bytes of files that were removed.
    pub removed_bytes: u64,
    /// Files and directories that stay for the next time, because somebody reads the vault.
    pub waiting: u64,
    /// What went wrong afterwards.
    pub warnings: Vec<String>,
}

/// How much there is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Size {
    /// Packs.
    pub packs: u64,
    /// Their bytes, indices included.
    pub bytes: u64,
}

impl Size {
    /// That of all packs that the log names.
    #[must_use]
    pub fn of(vault: &Vault) -> Self {
        let packs = vault.log.inventory.packs();
        Self {
            packs: vault.log.inventory.count(),
            bytes: packs.map(|pack| pack.bytes + pack.index_bytes).sum(),
        }
    }
}

/// Puts packs together and leaves behind what no snapshot needs.
///
/// # Errors
/// When there is any doubt that all that is needed would stay; then everything is as it was.
pub fn optimize(workplace: &Workplace, monitor: &dyn Monitor) -> Result<OptimizeReport> {
    let own = OwnVault::open(workplace)?;
    Ok(run(workplace, own, monitor)?.1)
}

/// The same with a vault that is already open.
pub(super) fn run(
    workplace: &Workplace,
    mut own: OwnVault,
    monitor: &dyn Monitor,
) -> Result<(OwnVault, OptimizeReport)> {
    let first = gone::remove(&mut own.vault).map_err(|error| error.refuse_vault_write())?;
    let mut report = OptimizeReport {
        vault: own.vault.layout.root().to_owned(),
        entry: None,
        before: Size::of(&own.vault),
        after: Size::of(&own.vault),
        removed_bytes: first.bytes,
        waiting: first.waiting,
        warnings: Vec::new(),
    };
    let incidents = Incidents::read(workplace)?;
    let replacement = prepare(&own.vault, &incidents, monitor)?;
    let Some(replacement) = replacement else {
        return Ok((own, report));
    };
    let entry = replacement.commit(&mut own.vault, workplace.now);
    let entry = entry.map_err(say_what_is_left)?;
    report.entry = Some(entry);
    let (own, removed, warnings) = own.tidy(workplace).map_err(|refusal| {
        refusal.having_changed(format!(
            "log entry {entry} says which packs took the place of others; those were not removed yet"
        ))
    })?;
    report.after = Size::of(&own.vault);
    report.removed_bytes += removed.bytes;
    report.waiting = removed.waiting;
    report.warnings = warnings;
    Ok((own, report))
}

fn say_what_is_left(refusal: Refusal) -> Refusal {
    if refusal.changed != Changed::Nothing {
        return refusal;
    }
    refusal
        .having_changed(
            "no pack took another's place; copies that were written are removed by the next run",
        )
        .keeping("all snapshots are untouched")
        .next("git vault optimize", "removes them and tries again")
}

/// Writes and proves what takes the place of packs; `None` when nothing is worth it.
fn prepare(
    vault: &Vault,
    incidents: &Incidents,
    monitor: &dyn Monitor,
) -> Result<Option<Replacement>> {
    let all = Store::new(&vault.layout, vault.log.packs(), vault.format).open_all()?;
    let snapshots = vault.log.snapshots.iter();
    let trusted = snapshots.map(|logged| trust(vault, logged));
    let trusted = trusted.collect::<Result<Vec<Trusted>>>()?;
    let held = |record: &PackRecord| incidents.containing(&record.name).is_some();
    let mut reach = Reach::new(&all, vault.format);
    for trusted in &trusted {
        reach.add(trusted)?;
    }
    let packs: BTreeMap<&str, &Pack> = by_name(&all);
    for record in vault.log.packs() {
        if let (PackRole::Capture, true, Some(pack)) =
            (record.role, held(record), packs.get(record.name.as_str()))
        {
            reach.add_all_of(pack)?;
        }
    }
    let movable: Vec<&PackRecord> = vault.log.packs();
    let movable: Vec<&PackRecord> = movable.into_iter().filter(|record| !held(record)).collect();
    let mut chosen = histories(&all, &trusted, &movable, vault)?;
    chosen.push(captures(&reach, &packs, &movable, vault)?);
    chosen.retain(|group| !group.is_empty());
    if chosen.is_empty() {
        return Ok(None);
    }
    let going: Vec<PackRecord> = chosen.iter().flatten().map(|one| (*one).clone()).collect();
    check_bytes(vault, &going, monitor)?;
    let needed_bytes = written_bytes(&reach, &packs, &going)?;
    let names: HashSet<&str> = going.iter().map(|pack| pack.name.as_str()).collect();
    let stay = vault.log.packs().into_iter();
    let stay = stay.filter(|record| !names.contains(record.name.as_str()));
    let mut after = Store::new(&vault.layout, stay, vault.format).open_all()?;
    let mut replacement = Replacement::begin(vault, needed_bytes)?;
    let written = write(
        (vault, &mut after),
        &mut replacement,
        &chosen,
        &reach,
        monitor,
    );
    match written {
        Ok(()) if !replacement.is_empty() => Ok(Some(replacement)),
        outcome => {
            // Copies, of which nothing was ever claimed; where they cannot be removed, the next run does.
            drop(replacement.discard());
            outcome.map(|()| None)
        }
    }
}

/// How much is written at most in the place of packs: a full disk must not keep what nobody needs from being left behind.
fn written_bytes(
    reach: &Reach<'_>,
    packs: &BTreeMap<&str, &Pack>,
    going: &[PackRecord],
) -> Result<u64> {
    let mut total: u64 = 0;
    for record in going {
        let bytes = match packs.get(record.name.as_str()) {
            Some(pack) => used(reach, record, pack)?.needed_bytes,
            None => record.bytes,
        };
        if bytes > 0 {
            total = total.saturating_add(bytes.saturating_add(record.index_bytes));
        }
    }
    Ok(total)
}

/// Writes and proves one pack for each group; then all that is needed must be there without those that go.
fn write(
    (vault, after): (&Vault, &mut Store),
    replacement: &mut Replacement,
    chosen: &[Vec<&PackRecord>],
    reach: &Reach<'_>,
    monitor: &dyn Monitor,
) -> Result<()> {
    // Histories first: what was captured may lead to them.
    for group in chosen {
        let going: Vec<PackRecord> = group.iter().map(|one| (*one).clone()).collect();
        let is_history = going.iter().all(|pack| pack.role == PackRole::History);
        let wanted = |id: &ObjectId| is_history || reach.needs(id);
        replacement.replace((vault, after), &going, &wanted, monitor)?;
    }
    if let Some(lost) = reach.ids().find(|id| !after.capture.contains(id)) {
        after.check()?;
        return Err(
            Refusal::new(RefusalCode::Internal, "the packs cannot be replaced")
                .because(format!("object {lost} would be lost")),
        );
    }
    after.check()
}

fn by_name(store: &Store) -> BTreeMap<&str, &Pack> {
    let packs = store.capture.all();
    packs
        .filter_map(|pack| Some((pack.path().file_stem()?.to_str()?, pack)))
        .collect()
}

/// Packs of each history that can be put together: one from a promisor remote, or that lacks something, stays as it is. Only the newest ones
/// in a row are: an older snapshot that needs one of them needs all older ones, too, so that what it gets leads nowhere else.
fn histories<'v>(
    all: &Store,
    trusted: &[Trusted],
    movable: &[&'v PackRecord],
    vault: &'v Vault,
) -> Result<Vec<Vec<&'v PackRecord>>> {
    let mut lacking = BTreeSet::new();
    for trusted in trusted {
        let reader = SnapshotReader::new(all, trusted);
        let (holes, promised) = (reader.holes()?, reader.promised()?);
        let git_dirs = all.histories().map(|(git_dir, _)| git_dir);
        lacking.extend(
            git_dirs.filter(|git_dir| {
                !holes.of(git_dir).is_empty() || !promised.of(git_dir).is_empty()
            }),
        );
    }
    let promisors = vault.log.inventory.packs().filter(|pack| pack.promisor);
    let promisors: BTreeSet<_> = promisors.map(of).collect();
    let mut groups: BTreeMap<PackGroup, Vec<&'v PackRecord>> = BTreeMap::new();
    for record in vault.log.packs() {
        let git_dir = of(record);
        let is_history = record.role == PackRole::History;
        if is_history && !lacking.contains(&git_dir) && !promisors.contains(&git_dir) {
            groups.entry(record.group()).or_default().push(record);
        }
    }
    let is_movable = |record: &PackRecord| movable.iter().any(|one| one.name == record.name);
    let newest = groups
        .into_values()
        .map(|packs| newest(&packs, &is_movable));
    Ok(newest.collect())
}

/// From the newest pack back, those that [`joining`] takes, if that makes enough of them; oldest first.
fn newest<'v>(
    packs: &[&'v PackRecord],
    is_movable: &dyn Fn(&PackRecord) -> bool,
) -> Vec<&'v PackRecord> {
    let newest_first = packs.iter().rev().copied();
    let movable: Vec<&PackRecord> = newest_first.take_while(|one| is_movable(one)).collect();
    let sizes: Vec<u64> = movable.iter().map(|one| one.bytes).collect();
    let mut going: Vec<&PackRecord> = movable.into_iter().take(joining(0, &sizes)).collect();
    going.reverse();
    if going.len() < WORTH_MERGING {
        going.clear();
    }
    going
}

/// How many packs, from the first one on, are put together with what is gathered already: up to the last one that is at most [`FACTOR`] times
/// as large as all before it. So sizes grow by a factor from pack to pack, as in `git repack --geometric`, and each byte is rewritten
/// seldom.
fn joining(gathered_bytes: u64, sizes: &[u64]) -> usize {
    let mut gathered_bytes = gathered_bytes;
    let mut count = 0;
    for (before, bytes) in sizes.iter().enumerate() {
        if gathered_bytes > 0 && *bytes <= gathered_bytes.saturating_mul(FACTOR) {
            count = before + 1;
        }
        gathered_bytes = gathered_bytes.saturating_add(*bytes);
    }
    count
}

/// A capture pack, and how much of it is needed.
struct Use<'a> {
    record: &'a PackRecord,
    pack: &'a Pack,
    needed_bytes: u64,
    needless: Vec<ObjectId>,
}

/// Capture packs that are rewritten: of which much is not needed, and small ones.
fn captures<'v>(
    reach: &Reach<'_>,
    packs: &BTreeMap<&str, &Pack>,
    movable: &[&'v PackRecord],
    vault: &Vault,
) -> Result<Vec<&'v PackRecord>> {
    let mut uses = Vec::new();
    for record in vault.log.packs() {
        if let Some(pack) = packs.get(record.name.as_str()) {
            uses.push(used(reach, record, pack)?);
        }
    }
    let is_movable = |one: &Use<'_>| movable.iter().any(|record| record.name == one.record.name);
    let is_wasteful = |one: &Use<'_>| {
        let (part, whole) = NEEDED_PART;
        let entries = one.pack.end().saturating_sub(HEADER_BYTES);
        one.needed_bytes.saturating_mul(whole) < entries.saturating_mul(part)
    };
    let mut empty = Vec::new();
    let (mut wasteful, mut others) = (Vec::new(), Vec::new());
    for one in uses.iter().filter(|one| is_movable(one)) {
        let size = (one.needed_bytes, one.record);
        if one.needed_bytes == 0 {
            empty.push(one.record);
        } else if is_wasteful(one) {
            wasteful.push(size);
        } else {
            others.push(size);
        }
    }
    let mut going: BTreeSet<&str> = gather(&wasteful, others)
        .into_iter()
        .chain(empty)
        .map(|record| record.name.as_str())
        .collect();
    // What stays must not lead to what goes.
    loop {
        let more = leading_astray(reach, &uses, &going)?;
        if more.is_empty() {
            break;
        }
        going.extend(more);
    }
    let chosen = movable.iter().copied();
    Ok(chosen
        .filter(|record| going.contains(record.name.as_str()))
        .collect())
}

/// Packs that would stay, and hold something that leads to what would be gone; nobody needs either.
fn leading_astray<'a>(
    reach: &Reach<'_>,
    uses: &[Use<'a>],
    going: &BTreeSet<&str>,
) -> Result<BTreeSet<&'a str>> {
    let goes = |one: &&Use<'a>| going.contains(one.record.name.as_str());
    let gone = uses.iter().filter(goes).flat_map(|one| &one.needless);
    let gone: HashSet<&ObjectId> = gone.collect();
    let kept = uses.iter().filter(|one| !goes(one));
    let kept: Vec<&Use<'a>> = kept.collect();
    let is_kept = |link: &ObjectId| kept.iter().any(|one| one.pack.index.find(link).is_some());
    let mut astray = BTreeSet::new();
    for one in &kept {
        for id in &one.needless {
            let links = reach.needless_links(one.pack, id)?;
            if links
                .iter()
                .any(|link| gone.contains(link) && !is_kept(link))
            {
                astray.insert(one.record.name.as_str());
                break;
            }
        }
    }
    Ok(astray)
}

/// Bytes before the first entry of a pack.
const HEADER_BYTES: u64 = 12;

fn used<'a>(reach: &Reach<'_>, record: &'a PackRecord, pack: &'a Pack) -> Result<Use<'a>> {
    let order = pack.by_offset();
    let ends = order.iter().skip(1).map(|(offset, _)| *offset);
    let ends = ends.chain([pack.end()]);
    let mut used = Use {
        record,
        pack,
        needed_bytes: 0,
        needless: Vec::new(),
    };
    for ((offset, number), end) in order.iter().zip(ends) {
        let id = pack.index.id_at(*number);
        if reach.needs(&id) {
            let bytes = end.checked_sub(*offset);
            let bytes = bytes.ok_or_else(|| refuse_git_read(&pack.damaged("entries overlap")))?;
            used.needed_bytes += bytes;
        } else {
            used.needless.push(id);
        }
    }
    Ok(used)
}

/// Those that are rewritten anyway, and, from the smallest one up, those that [`joining`] takes, if that makes enough of them.
fn gather<'v>(
    rewritten: &[(u64, &'v PackRecord)],
    mut others: Vec<(u64, &'v PackRecord)>,
) -> Vec<&'v PackRecord> {
    others.sort_by_key(|(bytes, record)| (*bytes, &record.name));
    let gathered_bytes = rewritten.iter().map(|(bytes, _)| *bytes).sum();
    let mut going: Vec<&PackRecord> = rewritten.iter().map(|(_, record)| *record).collect();
    let sizes: Vec<u64> = others.iter().map(|(bytes, _)| *bytes).collect();
    let more = others.into_iter().map(|(_, record)| record);
    let more: Vec<&PackRecord> = more.take(joining(gathered_bytes, &sizes)).collect();
    if going.len() + more.len() >= WORTH_MERGING {
        going.extend(more);
    }
    going
}

#[cfg(test)]
mod tests {
    use super::joining;

    #[test]
    fn packs_join_until_they_grow_by_a_factor() {
        assert_eq!(joining(0, &[]), 0);
        assert_eq!(joining(0, &[5]), 0);
        assert_eq!(joining(0, &[5, 5, 5, 5]), 4);
        assert_eq!(joining(0, &[1, 3, 9, 27, 81]), 0);
        assert_eq!(joining(0, &[1, 3, 8, 100]), 3);
        // A few very small ones do not keep the others apart.
        assert_eq!(joining(0, &[150, 160, 14_000, 14_000, 14_000]), 5);
        assert_eq!(joining(0, &[1, 1, 1, 1, 1_000_000]), 4);
        assert_eq!(joining(10, &[15, 100]), 1);
    }
}
