//! Entries that give snapshots up and replace packs: what cannot be so is refused, and what was taken away by whoever has the key is missed by those
//! who need it.

use git_vault::model::ids::SnapshotId;
use git_vault::model::inventory::{PackRecord, PackRole};
use git_vault::model::log_entry::{DropRecord, LogEvent, OptimizeRecord};

use super::{BYTES, Case, NOTHING, case};
use crate::support::forge::{Forge, write_file};

fn attack(forge: &mut Forge, event: &LogEvent) {
    let _entry = forge.append(event);
}

fn ids(forge: &Forge) -> Vec<SnapshotId> {
    let events = (0..forge.entries.len()).map(|place| forge.event(place));
    events
        .filter_map(|event| match event {
            LogEvent::Snapshot(record, _) => Some(record.id),
            _ => None,
        })
        .collect()
}

fn drop_of(snapshots: Vec<SnapshotId>) -> LogEvent {
    LogEvent::Drop(DropRecord {
        reason: "by name".to_owned(),
        snapshots,
    })
}

fn packs(forge: &Forge, role: PackRole) -> Vec<PackRecord> {
    let inventory = forge.inventory();
    let packs = inventory.packs().filter(|pack| pack.role == role);
    packs.cloned().collect()
}

fn optimize(gone: &[&PackRecord], came: Vec<PackRecord>) -> LogEvent {
    let mut gone: Vec<String> = gone.iter().map(|pack| pack.name.clone()).collect();
    gone.sort();
    LogEvent::Optimize(OptimizeRecord { gone }, came)
}

/// A pack of another name.
fn other(pack: &PackRecord, digit: &str) -> PackRecord {
    PackRecord {
        name: format!("pack-{}", digit.repeat(40)),
        ..pack.clone()
    }
}

pub fn cases() -> Vec<Case> {
    let mut all = drops();
    all.extend(optimizes());
    all
}

fn drops() -> Vec<Case> {
    vec![
        case(
            "drop-of-the-newest",
            |_, forge| {
                let newest = ids(forge).pop().expect("a snapshot");
                attack(forge, &drop_of(vec![newest]));
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "drop-of-nothing",
            |_, forge| attack(forge, &drop_of(Vec::new())),
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "drop-of-what-is-not-there",
            |_, forge| attack(forge, &drop_of(vec![SnapshotId::from_random([1; 6])])),
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "drop-of-one-twice",
            |_, forge| {
                let first = ids(forge).remove(0);
                attack(forge, &drop_of(vec![first.clone()]));
                attack(forge, &drop_of(vec![first]));
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "drop-without-order",
            |_, forge| {
                let mut two = ids(forge);
                two.truncate(2);
                two.sort();
                two.reverse();
                attack(forge, &drop_of(two));
            },
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "drop-before-the-snapshot-was-sealed",
            |_, forge| {
                let first = ids(forge).remove(0);
                attack(forge, &drop_of(vec![first]));
                make_second(forge);
            },
            NOTHING,
            &["GV-3104"],
        ),
    ]
}

/// Puts the newest entry behind the first, before what it speaks of.
fn make_second(forge: &mut Forge) {
    let entry = forge.entries.pop().expect("an entry");
    forge.entries.insert(1, entry);
    for (place, entry) in forge.entries.iter_mut().enumerate().skip(1) {
        entry.set("number", &(place + 1).to_string());
    }
}

fn optimizes() -> Vec<Case> {
    vec![
        case(
            "optimize-of-nothing",
            |_, forge| attack(forge, &optimize(&[], Vec::new())),
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "optimize-of-what-is-not-there",
            |_, forge| {
                let pack = other(&packs(forge, PackRole::Capture)[0], "a");
                attack(forge, &optimize(&[&pack], Vec::new()));
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "optimize-that-gives-up-a-history",
            |_, forge| {
                let history = packs(forge, PackRole::History);
                attack(forge, &optimize(&[&history[0]], Vec::new()));
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "optimize-that-gives-up-a-part-of-a-history",
            |_, forge| {
                let history = packs(forge, PackRole::History);
                let mut came = other(&history[0], "a");
                came.objects = 1;
                attack(forge, &optimize(&[&history[0]], vec![came]));
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "optimize-that-puts-captures-in-the-place-of-history",
            |_, forge| {
                let history = packs(forge, PackRole::History);
                let mut came = other(&history[0], "a");
                came.role = PackRole::Capture;
                attack(forge, &optimize(&[&history[0]], vec![came]));
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "optimize-that-brings-what-is-there",
            |_, forge| {
                let captures = packs(forge, PackRole::Capture);
                let event = optimize(&[&captures[0]], vec![captures[1].clone()]);
                attack(forge, &event);
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "optimize-that-brings-one-twice",
            |_, forge| {
                let captures = packs(forge, PackRole::Capture);
                let came = other(&captures[0], "a");
                attack(forge, &optimize(&[&captures[0]], vec![came.clone(), came]));
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "optimize-that-brings-a-pack-nobody-has",
            |_, forge| {
                let captures = packs(forge, PackRole::Capture);
                let came = other(&captures[0], "a");
                attack(forge, &optimize(&[&captures[0]], vec![came]));
            },
            NOTHING,
            &["GV-3002"],
        ),
        case(
            "optimize-of-the-same-twice",
            |_, forge| {
                let captures = packs(forge, PackRole::Capture);
                let event = optimize(&[&captures[0]], Vec::new());
                attack(forge, &event);
                attack(forge, &event);
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "optimize-before-its-pack-was-brought",
            |_, forge| {
                let captures = packs(forge, PackRole::Capture);
                attack(forge, &optimize(&[&captures[0]], Vec::new()));
                make_second(forge);
            },
            NOTHING,
            &["GV-3104"],
        ),
        // The signer says that nobody needs it. The files are still there, and are not read.
        case(
            "optimize-that-gives-up-what-is-needed",
            |_, forge| {
                let captures = packs(forge, PackRole::Capture);
                let captures: Vec<&PackRecord> = captures.iter().collect();
                attack(forge, &optimize(&captures, Vec::new()));
            },
            BYTES,
            &["GV-3002"],
        ),
        case(
            "packs-announced-by-somebody-without-the-key",
            |_, forge| {
                let directory = forge.vault.join("snapshots/.optimize-ghjkmnpqrstv");
                std::fs::create_dir(&directory).expect("a directory");
                let pack = other(&packs(forge, PackRole::Capture)[0], "a");
                let text = format!(
                    "# git-vault packs 1\n[[packs]]\nname = \"{}\"\n# blake3 {}\n# hmac-sha256 {} {}\n",
                    pack.name,
                    "0".repeat(64),
                    forge.key.id(),
                    "0".repeat(64)
                );
                write_file(&directory.join("packs.toml"), text.as_bytes());
                let path = forge.vault.join("objects/pack");
                write_file(&path.join(format!("{}.pack", pack.name)), b"PACK");
            },
            NOTHING,
            &["GV-3103"],
        ),
    ]
}
