//! Signatures of keys that may not sign there, and statements about keys that contradict the log.

use std::rc::Rc;

use git_vault::model::ids::KeyId;
use git_vault::model::log_entry::{Compromise, LogEvent, VerifyLevel, VerifyRecord};
use git_vault::model::signed::SigningKey;

use super::{Case, NOTHING, case, harmless};
use crate::support::forge::Forge;

fn verified(forge: &mut Forge) {
    let up_to = forge.entries.len() as u64;
    let record = VerifyRecord {
        level: VerifyLevel::Full,
        up_to,
        snapshots: 3,
        packs: 3,
        bytes: 1,
        objects: 0,
    };
    let _entry = forge.append(&LogEvent::Verify(record));
}

/// A rotation to a new key, and an entry that the new key signs.
fn rotated(forge: &mut Forge) -> Rc<SigningKey> {
    let key = forge.new_key(8);
    let _entry = forge.rotate(&key);
    verified(forge);
    forge.last().signer = Rc::clone(&key);
    key
}

fn compromised(forge: &mut Forge, key: KeyId, since: u64) {
    let _entry = forge.append(&LogEvent::Compromise(Compromise { key, since }));
}

/// The newest snapshot made one of the new key: everything before it is of the old one.
fn seal_with_new_key(forge: &mut Forge) -> Rc<SigningKey> {
    let key = rotated(forge);
    let manifest =
        git_vault::model::manifest::Manifest::from_body(&forge.manifest().body).expect("one");
    forge.add_snapshot(manifest, Vec::new());
    forge.last().signer = Rc::clone(&key);
    forge.manifest().signer = Rc::clone(&key);
    key
}

/// States another key id beside a signature.
fn other_id(bytes: Vec<u8>) -> Vec<u8> {
    let end = bytes.len() - 66;
    [&bytes[..end - 16], b"0123456789abcdef", &bytes[end..]].concat()
}

pub fn cases() -> Vec<Case> {
    let mut all = vec![
        harmless(
            "rotated-as-it-should-be",
            |_, forge| drop(rotated(forge)),
            "old and new key agree",
            None,
        ),
        harmless(
            "snapshot-of-the-new-key",
            |_, forge| drop(seal_with_new_key(forge)),
            "old and new key agree",
            None,
        ),
        case(
            "entry-with-another-key-id",
            |_, forge| forge.last().after = other_id,
            NOTHING,
            &["GV-3101"],
        ),
        case(
            "manifest-with-another-key-id",
            |_, forge| forge.manifest().after = other_id,
            NOTHING,
            &["GV-3101"],
        ),
        case(
            "description-with-another-key-id",
            |_, forge| forge.description.after = other_id,
            NOTHING,
            &["GV-1201"],
        ),
        case(
            "entry-of-a-key-that-never-took-over",
            |_, forge| {
                let key = forge.new_key(9);
                forge.last().signer = key;
            },
            NOTHING,
            &["GV-3101"],
        ),
        case(
            "manifest-of-a-key-that-never-took-over",
            |_, forge| {
                let key = forge.new_key(9);
                forge.manifest().signer = key;
            },
            NOTHING,
            &["GV-3101"],
        ),
        case(
            "description-of-a-key-that-never-signed",
            |_, forge| {
                let key = forge.new_key(9);
                forge.description.signer = key;
            },
            NOTHING,
            &["GV-3101"],
        ),
        case(
            "entry-of-a-retired-key",
            |_, forge| {
                let _key = rotated(forge);
                let old = Rc::clone(&forge.key);
                verified(forge);
                forge.last().signer = old;
            },
            NOTHING,
            &["GV-3101"],
        ),
        case(
            "manifest-of-a-retired-key",
            |_, forge| {
                let _key = seal_with_new_key(forge);
                let old = Rc::clone(&forge.key);
                forge.manifest().signer = old;
            },
            NOTHING,
            &["GV-3101"],
        ),
        case(
            "manifest-of-a-key-before-its-time",
            |_, forge| {
                let key = rotated(forge);
                forge.manifest().signer = key;
            },
            NOTHING,
            &["GV-3101"],
        ),
        case(
            "rotation-signed-by-the-new-key",
            |_, forge| {
                let key = forge.new_key(8);
                let entry = forge.rotate(&key);
                entry.signer = key;
            },
            NOTHING,
            &["GV-3101"],
        ),
        case(
            "rotation-to-a-key-that-is-not-here",
            |_, forge| {
                let key = Rc::new(SigningKey::new([77; 32], forge.binding.vault));
                let _entry = forge.rotate(&key);
            },
            NOTHING,
            &["GV-1201"],
        ),
        case(
            "compromised-key-still-signs",
            |_, forge| {
                let _key = rotated(forge);
                let (old, newest) = (Rc::clone(&forge.key), forge.entries.len() as u64);
                let signer = Rc::clone(&forge.last().signer);
                compromised(forge, old.id(), newest - 1);
                forge.last().signer = signer;
                verified(forge);
                forge.last().signer = old;
            },
            NOTHING,
            &["GV-3101"],
        ),
    ];
    all.extend(countersignatures());
    all.extend(compromises());
    all
}

fn countersignatures() -> Vec<Case> {
    vec![
        case(
            "rotation-without-countersignature",
            |_, forge| {
                let _key = rotated(forge);
                let place = forge.entries.len() - 2;
                let entry = &mut forge.entries[place];
                entry.brings = None;
                let line =
                    crate::support::forge::line_of(&entry.body, "countersignature").to_owned();
                entry.replace(&line, "");
            },
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "rotation-with-an-empty-countersignature",
            |_, forge| {
                let key = forge.new_key(8);
                forge.rotate(&key).brings = None;
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "rotation-countersigned-by-another",
            |_, forge| {
                let (key, other) = (forge.new_key(8), forge.new_key(9));
                forge.rotate(&key).brings = Some(other);
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "rotation-countersigned-by-the-old-key",
            |_, forge| {
                let (key, old) = (forge.new_key(8), Rc::clone(&forge.key));
                forge.rotate(&key).brings = Some(old);
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "rotation-countersigned-for-another-place",
            |_, forge| {
                let key = forge.new_key(8);
                let word = key
                    .countersign(
                        forge.binding,
                        3,
                        git_vault::model::ids::Digest::from_bytes([1; 32]),
                        forge.key.id(),
                    )
                    .expect("a word");
                let entry = forge.rotate(&key);
                entry.brings = None;
                entry.set("countersignature", &format!("\"{word}\""));
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "rotation-to-itself",
            |_, forge| {
                let old = Rc::clone(&forge.key);
                let _entry = forge.rotate(&old);
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "rotation-back-to-an-old-key",
            |_, forge| {
                let key = rotated(forge);
                let old = Rc::clone(&forge.key);
                let entry = forge.rotate(&old);
                entry.signer = key;
            },
            NOTHING,
            &["GV-3104"],
        ),
    ]
}

/// What is not accepted any more is still told of, as such.
fn compromises() -> Vec<Case> {
    vec![
        case(
            "compromise-of-the-key-that-signs",
            |_, forge| {
                let own = forge.key.id();
                compromised(forge, own, 1);
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "compromise-of-the-new-key-by-itself",
            |_, forge| {
                let key = rotated(forge);
                compromised(forge, key.id(), 1);
                forge.last().signer = key;
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "compromise-of-an-unknown-key",
            |_, forge| compromised(forge, "0123456789abcdef".parse().expect("an id"), 1),
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "compromise-of-a-future-entry",
            |_, forge| {
                let key = rotated(forge);
                let old = forge.key.id();
                compromised(forge, old, 1000);
                forge.last().signer = key;
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "compromise-of-its-own-entry",
            |_, forge| {
                let key = rotated(forge);
                let old = forge.key.id();
                let own = forge.entries.len() as u64 + 1;
                compromised(forge, old, own);
                forge.last().signer = key;
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "compromise-by-the-compromised-key",
            |_, forge| {
                let _key = rotated(forge);
                let old = Rc::clone(&forge.key);
                compromised(forge, old.id(), 1);
                forge.last().signer = old;
            },
            NOTHING,
            &["GV-3101"],
        ),
        case(
            "compromise-of-everything",
            |_, forge| {
                let key = rotated(forge);
                let old = forge.key.id();
                compromised(forge, old, 0);
                forge.last().signer = key;
            },
            "list show",
            &["GV-3105"],
        ),
        harmless(
            "compromise-of-nothing-yet",
            |_, forge| {
                let key = rotated(forge);
                let old = forge.key.id();
                let newest = forge.entries.len() as u64;
                compromised(forge, old, newest - 1);
                forge.last().signer = key;
            },
            "all that the old key signed was before",
            None,
        ),
    ]
}
