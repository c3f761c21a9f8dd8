//! Names of snapshots as people give them: the beginning of an id, a running number, `@latest`, `@~2`, `@{2 hours ago}`,
//! `before:rebase`, a label.

use std::path::{Path, PathBuf};

use jiff::tz::TimeZone;

use crate::model::ids::{SNAPSHOT_ID_LENGTH, SnapshotId};
use crate::model::moment;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::timestamp::Timestamp;
use crate::ops::locate::Workplace;
use crate::vault::inspect::Vault;
use crate::vault::layout::INCOMPLETE_PREFIX;
use crate::vault::log::LoggedSnapshot;
use crate::vault::log_changes::Dropped;
use crate::vault::reader::read_manifest;

/// So many names that may have been meant are said.
const NEAR: usize = 5;

/// When, and by which clock on the wall, a name was given.
#[derive(Debug, Clone, Copy)]
pub struct Asked {
    /// When.
    pub now: Timestamp,
    /// Gives the time zone of whoever asks; only called when a name holds a time.
    pub zone: fn() -> TimeZone,
}

impl Asked {
    /// As a command was given.
    #[must_use]
    pub fn by(workplace: &Workplace) -> Self {
        Self {
            now: workplace.now,
            zone: workplace.zone,
        }
    }
}

/// Finds the snapshot that `name` names. `@`, `before:` and `#` begin a name of their own kind; anything else may be the beginning of an
/// id, a number, or a label, and is refused if it means several snapshots. A whole id means that snapshot, whatever labels there are.
///
/// # Errors
/// When there is none, several, or only incomplete material of that name.
pub fn select(vault: &Vault, name: &str, asked: Asked) -> Result<LoggedSnapshot> {
    let all = &vault.log.snapshots;
    if let Some(back) = steps_back(name) {
        let found = all.iter().rev().nth(back);
        return found.cloned().ok_or_else(|| not_found(vault, name));
    }
    if let Some(text) = name
        .strip_prefix("@{")
        .and_then(|rest| rest.strip_suffix('}'))
    {
        return at(vault, name, text, asked);
    }
    if let Some(trigger) = name.strip_prefix("before:") {
        return before(vault, name, trigger);
    }
    let by_number = |digits: &str| {
        let number = digits.parse::<u64>().ok();
        all.iter().find(|snapshot| Some(snapshot.number) == number)
    };
    if let Some(digits) = name.strip_prefix('#') {
        return by_number(digits)
            .cloned()
            .ok_or_else(|| dropped(vault, name).unwrap_or_else(|| not_found(vault, name)));
    }
    let has_prefix = |snapshot: &&LoggedSnapshot| {
        SnapshotId::is_prefix(name) && snapshot.record.id.as_str().starts_with(name)
    };
    let mut found: Vec<&LoggedSnapshot> = all.iter().filter(has_prefix).collect();
    if name.len() == SNAPSHOT_ID_LENGTH
        && let [one] = found.as_slice()
    {
        return Ok((*one).clone());
    }
    found.extend(by_number(name));
    if found.is_empty()
        && SnapshotId::is_prefix(name)
        && let Some(path) = find_incomplete(vault, name)
    {
        return Err(incomplete(vault, name, path));
    }
    let by_another_name = found.len();
    for one in labelled(vault, name, by_another_name > 0)? {
        if !found.contains(&one) {
            found.push(one);
        }
    }
    match found.as_slice() {
        [one] => Ok((*one).clone()),
        [] => Err(dropped(vault, name).unwrap_or_else(|| not_found(vault, name))),
        more => {
            let what = match (by_another_name, found.len()) {
                (0, _) => "is the label of several snapshots",
                (some, all) if some == all => "is the beginning of several snapshots",
                _ => "is the beginning or the number of one snapshot and the label of another",
            };
            Err(several(name, what, more))
        }
    }
}

/// The newest snapshot that was sealed at a moment or before it.
fn at(vault: &Vault, name: &str, text: &str, asked: Asked) -> Result<LoggedSnapshot> {
    let Some(moment) = moment::parse(text, asked.now, &(asked.zone)()) else {
        return Err(Refusal::new(
            RefusalCode::SnapshotNotFound,
            format!("'{name}' names no moment"),
        )
        .because("moments look like @{2 hours ago}, @{yesterday 14:00}, @{2026-11-20}, @{2026-11-20 13:00}")
        .keeping("nothing was touched")
        .next("git vault list", "shows the snapshots that exist"));
    };
    if moment > asked.now {
        return Err(Refusal::new(
            RefusalCode::SnapshotNotFound,
            format!("'{name}' is still to come"),
        )
        .because(format!(
            "it is {} now, by the clock of this machine",
            asked.now
        ))
        .keeping("nothing was touched")
        .next("git vault show @latest", "is the newest there is"));
    }
    let all = &vault.log.snapshots;
    let found = all.iter().rev().find(|snapshot| snapshot.time <= moment);
    found.cloned().ok_or_else(|| {
        let refusal = Refusal::new(
            RefusalCode::SnapshotNotFound,
            format!("no snapshot is as old as '{name}'"),
        );
        let refusal = match all.first() {
            Some(first) => refusal.because(format!(
                "the first one, {}, was sealed {}",
                first.record.id, first.time
            )),
            None => refusal.because("there is no snapshot yet"),
        };
        refusal
            .keeping("nothing was touched")
            .next("git vault list", "shows the snapshots that exist")
    })
}

/// Whether a trigger is meant by a name: `hook/pre-rebase` by that, by `hook`, by `pre-rebase`, and by `rebase`.
pub(super) fn is_made_by(made: &str, name: &str) -> bool {
    let mut parts = made.split('/');
    made == name || parts.any(|part| part == name || part.strip_prefix("pre-") == Some(name))
}

/// The newest snapshot that a trigger of that name made.
fn before(vault: &Vault, name: &str, trigger: &str) -> Result<LoggedSnapshot> {
    for snapshot in vault.log.snapshots.iter().rev() {
        if is_made_by(&read_manifest(vault, snapshot)?.trigger, trigger) {
            return Ok(snapshot.clone());
        }
    }
    Err(not_found(vault, name).because(
        "before: is followed by what made a snapshot: rebase, guard, claude, sweep, manual ...",
    ))
}

/// The snapshots with that label. Where the name means something else already, a manifest that cannot be trusted hides nothing that
/// was asked for, and is passed over.
fn labelled<'v>(
    vault: &'v Vault,
    label: &str,
    means_something: bool,
) -> Result<Vec<&'v LoggedSnapshot>> {
    let mut found = Vec::new();
    for snapshot in &vault.log.snapshots {
        match read_manifest(vault, snapshot) {
            Ok(manifest) if manifest.labels.iter().any(|one| one == label) => found.push(snapshot),
            Err(refusal) if !means_something => return Err(refusal),
            Ok(_) | Err(_) => {}
        }
    }
    Ok(found)
}

/// Whether a name is the beginning of an id, which means the same snapshot however old the vault is.
#[must_use]
pub fn is_id(name: &str) -> bool {
    SnapshotId::is_prefix(name)
}

/// `@latest` is 0 steps back, `@~2` two.
fn steps_back(name: &str) -> Option<usize> {
    if matches!(name, "@latest" | "@") {
        Some(0)
    } else {
        name.strip_prefix("@~")?.parse().ok()
    }
}

fn find_incomplete<'a>(vault: &'a Vault, name: &str) -> Option<&'a PathBuf> {
    vault.leftovers.incomplete.iter().find(|path| {
        let found = path
            .file_name()
            .and_then(|name| name.to_str())
            .unwrap_or_default();
        found
            .strip_prefix(INCOMPLETE_PREFIX)
            .unwrap_or(found)
            .starts_with(name)
    })
}

/// Says when and why the snapshot of that id or number was dropped.
fn dropped(vault: &Vault, name: &str) -> Option<Refusal> {
    let number: Option<u64> = name.strip_prefix('#').unwrap_or(name).parse().ok();
    let is_meant = |dropped: &&Dropped| {
        let snapshot = &dropped.snapshot;
        Some(snapshot.number) == number
            || SnapshotId::is_prefix(name) && snapshot.record.id.as_str().starts_with(name)
    };
    let dropped = vault.log.dropped.iter().find(is_meant)?;
    let id = &dropped.snapshot.record.id;
    let refusal = Refusal::new(
        RefusalCode::SnapshotNotFound,
        format!("snapshot {id} was dropped"),
    )
    .because(format!(
        "at {}, by log entry {}: {}",
        dropped.time, dropped.entry, dropped.reason
    ));
    let refusal = if vault.log.keyring.accepts(dropped.entry) {
        refusal
    } else {
        refusal.because("that entry is not accepted any more: somebody else may have written it")
    };
    let refusal = refusal
        .keeping("nothing was touched")
        .next("git vault list", "shows the snapshots that exist");
    Some(refusal)
}

fn several(name: &str, what: &str, found: &[&LoggedSnapshot]) -> Refusal {
    let shown = found.iter().rev().take(NEAR);
    let ids: Vec<String> = shown
        .map(|snapshot| format!("{} of {}", snapshot.record.id, snapshot.time))
        .collect();
    let more = found.len().saturating_sub(NEAR);
    let refusal = Refusal::new(RefusalCode::SnapshotAmbiguous, format!("'{name}' {what}"))
        .because(ids.join(", "));
    let refusal = if more > 0 {
        refusal.because(format!("and {more} more"))
    } else {
        refusal
    };
    let refusal = refusal.keeping("nothing was touched");
    match found.last() {
        Some(one) => refusal.next(
            format!("git vault show {}", one.record.id),
            "shows one of them",
        ),
        None => refusal,
    }
}

fn incomplete(vault: &Vault, name: &str, path: &Path) -> Refusal {
    let has_lost_entries = !vault.log.acknowledgements.is_empty();
    let refusal = if has_lost_entries {
        Refusal::new(
            RefusalCode::SnapshotIncomplete,
            format!("the log knows no snapshot '{name}'"),
        )
        .because(
            "it was never sealed, or its log entry is one of those that were stated to be gone",
        )
    } else {
        Refusal::new(
            RefusalCode::SnapshotIncomplete,
            format!("'{name}' was never sealed"),
        )
        .because("it was interrupted while it was made; nothing was ever claimed of it")
    };
    refusal
        .about_difference(path, "a sealed snapshot", "no log entry of it")
        .keeping("what is there stays as evidence")
        .next("git vault list", "shows the snapshots that exist")
}

fn not_found(vault: &Vault, name: &str) -> Refusal {
    let count = vault.log.snapshots.len();
    let refusal = Refusal::new(
        RefusalCode::SnapshotNotFound,
        format!("no snapshot is named '{name}'"),
    )
    .because(format!(
        "snapshots in the vault: {count}; a name is the beginning of an id of {SNAPSHOT_ID_LENGTH} letters, a number, @latest, @~2, \
         @{{2 hours ago}}, before:rebase, or a label"
    ));
    let near = near(vault, name);
    let refusal = if near.is_empty() {
        refusal
    } else {
        refusal.because(format!("the nearest: {}", near.join(", ")))
    };
    refusal
        .keeping("nothing was touched")
        .next("git vault list", "shows the snapshots that exist")
}

/// Names that may have been meant: the oldest or the last number where one was counted too far, ids that begin alike, labels that look
/// alike. A manifest that cannot be trusted suggests nothing.
fn near(vault: &Vault, name: &str) -> Vec<String> {
    let all = &vault.log.snapshots;
    let (Some(first), Some(last)) = (all.first(), all.last()) else {
        return Vec::new();
    };
    if steps_back(name).is_some() {
        return vec![format!("@~{}, the first one", all.len() - 1)];
    }
    if let Ok(number) = name.strip_prefix('#').unwrap_or(name).parse::<u64>() {
        let distance = |snapshot: &&LoggedSnapshot| snapshot.number.abs_diff(number);
        let nearest = all.iter().min_by_key(distance).unwrap_or(last);
        let named =
            |snapshot: &LoggedSnapshot| format!("{} ({})", snapshot.number, snapshot.record.id);
        let is_between = first.number < number && number < last.number;
        return vec![named(if is_between {
            nearest
        } else if number < first.number {
            first
        } else {
            last
        })];
    }
    let shared = |snapshot: &LoggedSnapshot| {
        let id = snapshot.record.id.as_str();
        id.bytes()
            .zip(name.bytes())
            .take_while(|(one, two)| one == two)
            .count()
    };
    let longest = all.iter().map(shared).max().unwrap_or(0);
    let ids = all
        .iter()
        .rev()
        .filter(|snapshot| longest > 0 && shared(snapshot) == longest)
        .map(|snapshot| snapshot.record.id.to_string());
    let manifests = all
        .iter()
        .rev()
        .filter_map(|snapshot| read_manifest(vault, snapshot).ok());
    let labels = manifests.flat_map(|manifest| manifest.labels);
    let mut near: Vec<String> = Vec::new();
    for one in labels.filter(|label| look_alike(label, name)).chain(ids) {
        if near.len() < NEAR && !near.contains(&one) {
            near.push(one);
        }
    }
    near
}

/// Whether one name may have been written for another: one begins like the other, or few letters are other, missing or too many.
fn look_alike(one: &str, other: &str) -> bool {
    let (one, other) = (one.to_lowercase(), other.to_lowercase());
    let shorter = one.chars().count().min(other.chars().count());
    if shorter >= 3 && (one.starts_with(&other) || other.starts_with(&one)) {
        return true;
    }
    distance(&one, &other) <= shorter / 3
}

/// How many letters have to be changed, put in or taken out to make one name of the other.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, letter) in one.chars().enumerate() {
        let mut next = vec![above + 1];
        for ((pair, left), left_letter) in row.windows(2).zip(0..).zip(&other) {
            let [diagonal, over] = pair else { continue };
            let put_in = next.get(left).copied().unwrap_or(usize::MAX - 1);
            let changed = diagonal + usize::from(letter != *left_letter);
            next.push(changed.min(over + 1).min(put_in + 1));
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_look_alike_when_little_is_other() {
        assert_eq!(distance("kitten", "sitting"), 3);
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("abc", ""), 3);
        for (one, other) in [
            ("good", "goof"),
            ("good", "Goo"),
            ("release-1", "relaese-1"),
            ("keep", "keeping"),
        ] {
            assert!(look_alike(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("good", "bad"),
            ("a", "b"),
            ("release-1", "before"),
            ("x", ""),
        ] {
            assert!(!look_alike(one, other), "{one} {other}");
        }
    }
}
