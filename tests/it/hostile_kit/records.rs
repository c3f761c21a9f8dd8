//! Entries, manifests and descriptions in wrong places, and what they say of one another.

use std::rc::Rc;

use git_vault::model::ids::{Digest, RepositoryId, SnapshotId};
use git_vault::model::log_entry::{
    Acknowledgement, CopyForm, CopyRecord, DrillRecord, LogEvent, SetAside, VerifyLevel,
    VerifyRecord,
};

use super::{Case, NOTHING, case, harmless};
use crate::laboratory::{Laboratory, vaults};
use crate::support::files::write;
use crate::support::forge::{Forge, Links, Other};

/// A vault of another repository in the same home, kept aside so that the laboratory's own one stays the only one.
pub fn other_vault(laboratory: &Laboratory) -> Rc<Other> {
    let sandbox = &laboratory.sandbox;
    let source = sandbox.init("other");
    write(&source, "README.md", "another project\n");
    let snapshot = sandbox.snapshot(&source);
    let all = vaults(sandbox);
    let found = all.iter().find(|vault| **vault != laboratory.vault);
    let vault = sandbox.path("pristine/other.vault");
    crate::laboratory::copy_tree(found.expect("another vault"), &vault);
    Rc::new(Other { vault, snapshot })
}

fn other_bytes(forge: &Forge, path: &str) -> Vec<u8> {
    let other = forge.other.as_ref().expect("another vault");
    let path = path.replace("SNAPSHOT", &other.snapshot);
    std::fs::read(other.vault.join(path)).expect("a record")
}

fn attack(forge: &mut Forge, event: &LogEvent) {
    let _entry = forge.append(event);
}

fn verified(up_to: u64) -> LogEvent {
    LogEvent::Verify(VerifyRecord {
        level: VerifyLevel::Deep,
        up_to,
        snapshots: 3,
        packs: 3,
        bytes: 1000,
        objects: 10,
    })
}

fn drilled(snapshot: SnapshotId, files: u64) -> LogEvent {
    LogEvent::Drill(DrillRecord {
        snapshot,
        files,
        directories: 1,
        links: 0,
        bytes: 1,
        git: String::new(),
    })
}

fn copied(forge: &Forge, form: CopyForm, file: &str, bytes: u64) -> LogEvent {
    LogEvent::Copy(CopyRecord {
        key: forge.key.id(),
        form,
        file: file.to_owned(),
        bytes,
    })
}

fn acknowledged(seen: u64, found: u64) -> LogEvent {
    let digest = Digest::from_bytes([9; 32]);
    LogEvent::Acknowledge(Acknowledgement {
        seen,
        seen_blake3: digest,
        found,
        found_blake3: digest,
        left: Vec::new(),
    })
}

fn set_aside(directory: &str) -> LogEvent {
    LogEvent::SetAside(SetAside {
        directory: directory.to_owned(),
        name: ".incomplete-x".to_owned(),
        files: 1,
        bytes: 1,
    })
}

fn other_repository(forge: &Forge) -> git_vault::model::signed::Binding {
    let repository = RepositoryId::from_bytes([3; 16]);
    git_vault::model::signed::Binding {
        repository,
        ..forge.binding
    }
}

/// The newest entry that seals a snapshot, once more, as the next one.
fn again(forge: &mut Forge) {
    let entry = forge.last().clone();
    forge.entries.push(entry);
}

pub fn cases() -> Vec<Case> {
    let mut all = places();
    all.extend(statements());
    all.extend(descriptions());
    all
}

fn places() -> Vec<Case> {
    vec![
        harmless(
            "signed-again-unchanged",
            |_, _| {},
            "the toolbox signs as the program does",
            None,
        ),
        case(
            "entry-of-another-vault",
            |_, forge| {
                let bytes = other_bytes(forge, "log/00000002.toml");
                again(forge);
                forge.last().foreign = Some(bytes);
            },
            NOTHING,
            &["GV-3101"],
        ),
        case(
            "genesis-of-another-vault",
            |_, forge| {
                let bytes = other_bytes(forge, "log/00000001.toml");
                forge.entries[0].foreign = Some(bytes);
            },
            NOTHING,
            &["GV-3101"],
        ),
        case(
            "manifest-of-another-vault",
            |_, forge| {
                let bytes = other_bytes(forge, "snapshots/SNAPSHOT/manifest.toml");
                forge.manifest().foreign = Some(bytes);
            },
            NOTHING,
            &["GV-3101"],
        ),
        case(
            "description-of-another-vault",
            |_, forge| {
                let bytes = other_bytes(forge, "vault.toml");
                forge.description.foreign = Some(bytes);
            },
            NOTHING,
            &["GV-1201", "GV-3101"],
        ),
        case(
            "entry-of-another-repository",
            |_, forge| {
                let binding = other_repository(forge);
                forge.last().binding = binding;
            },
            NOTHING,
            &["GV-3101"],
        ),
        case(
            "entry-names-another-repository",
            |_, forge| {
                forge
                    .last()
                    .set("repository", &format!("\"{}\"", "3".repeat(32)))
            },
            NOTHING,
            &["GV-3102"],
        ),
        case(
            "entry-names-another-vault",
            |_, forge| {
                forge
                    .last()
                    .set("vault", &format!("\"{}\"", "3".repeat(32)))
            },
            NOTHING,
            &["GV-3102"],
        ),
        case(
            "manifest-of-another-repository",
            |_, forge| {
                let binding = other_repository(forge);
                forge.manifest().binding = binding;
            },
            NOTHING,
            &["GV-3101"],
        ),
        case(
            "manifest-names-another-vault",
            |_, forge| {
                forge
                    .manifest()
                    .set("vault", &format!("\"{}\"", "3".repeat(32)))
            },
            NOTHING,
            &["GV-3102"],
        ),
        case(
            "manifest-names-another-repository",
            |_, forge| {
                forge
                    .manifest()
                    .set("repository", &format!("\"{}\"", "3".repeat(32)))
            },
            NOTHING,
            &["GV-3102"],
        ),
        case(
            "manifest-of-an-earlier-snapshot",
            |_, forge| {
                let first = forge.manifests.values().next().expect("one").clone();
                let target = forge.target.clone();
                let earlier = forge
                    .manifests
                    .iter()
                    .find(|(id, _)| **id != target)
                    .map_or(first, |(_, draft)| draft.clone());
                *forge.manifest() = earlier;
            },
            NOTHING,
            &["GV-3102"],
        ),
        case(
            "manifest-that-the-log-does-not-pin",
            |_, forge| {
                forge.last().links = Links::AsWritten;
                forge
                    .manifest()
                    .replace("trigger = \"manual\"", "trigger = \"Manual\"");
            },
            NOTHING,
            &["GV-3102", "GV-3001"],
        ),
        case(
            "entry-signed-as-a-manifest",
            |_, forge| forge.last().first_line = "# git-vault manifest 1\n".to_owned(),
            NOTHING,
            &["GV-3001"],
        ),
        case(
            "manifest-signed-as-an-entry",
            |_, forge| forge.manifest().first_line = "# git-vault log entry 1\n".to_owned(),
            NOTHING,
            &["GV-3001"],
        ),
        case(
            "entry-replayed",
            |_, forge| {
                again(forge);
                forge.last().links = Links::AsWritten;
            },
            NOTHING,
            &["GV-3102"],
        ),
        case(
            "first-entry-replayed",
            |_, forge| {
                let first = forge.entries[0].clone();
                forge.entries.push(first);
                forge.last().links = Links::AsWritten;
            },
            NOTHING,
            &["GV-3102"],
        ),
        case(
            "entries-exchanged",
            |_, forge| forge.entries.swap(2, 3),
            NOTHING,
            &["GV-3102"],
        ),
        case(
            "entry-left-out",
            |_, forge| drop(forge.entries.remove(1)),
            NOTHING,
            &["GV-3102"],
        ),
        case(
            "number-one-more",
            |_, forge| {
                let next = forge.entries.len() + 1;
                forge.last().set("number", &next.to_string());
            },
            NOTHING,
            &["GV-3102"],
        ),
        case(
            "number-one-less",
            |_, forge| {
                let before = forge.entries.len() - 1;
                forge.last().set("number", &before.to_string());
            },
            NOTHING,
            &["GV-3102"],
        ),
        case(
            "number-zero",
            |_, forge| forge.last().set("number", "0"),
            NOTHING,
            &["GV-3102"],
        ),
        case(
            "number-greatest",
            |_, forge| forge.last().set("number", "9223372036854775807"),
            NOTHING,
            &["GV-3102"],
        ),
        case(
            "previous-of-another-entry",
            |_, forge| {
                let before = forge.entries[2].body.clone();
                let line = crate::support::forge::line_of(&before, "previous").to_owned();
                let own = crate::support::forge::line_of(&forge.last().body, "previous").to_owned();
                forge.last().replace(&own, &line);
                forge.last().links = Links::AsWritten;
            },
            NOTHING,
            &["GV-3202"],
        ),
        case(
            "previous-of-no-entry",
            |_, forge| {
                let zeros = format!("\"{}\"", "0".repeat(64));
                forge.last().set("previous", &zeros);
                forge.last().links = Links::AsWritten;
            },
            NOTHING,
            &["GV-3202"],
        ),
        case(
            "two-genesis-entries",
            |_, forge| {
                let event = forge.event(0);
                attack(forge, &event);
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "no-genesis-entry",
            |_, forge| {
                let LogEvent::Genesis(attachment, _) = forge.event(0) else {
                    panic!("a genesis")
                };
                forge.entries[0].replace("kind = \"genesis\"", "kind = \"attach\"");
                drop(attachment);
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "snapshot-sealed-twice",
            |_, forge| {
                let place = forge.entries.len() - 1;
                let event = forge.event(place);
                attack(forge, &event);
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "pack-named-twice",
            |_, forge| {
                let place = forge.entries.len() - 1;
                let LogEvent::Snapshot(_, packs) = forge.event(place) else {
                    panic!("a snapshot")
                };
                let manifest =
                    git_vault::model::manifest::Manifest::from_body(&forge.manifest().body)
                        .expect("one");
                forge.add_snapshot(manifest, packs);
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "pack-twice-in-one-entry",
            |_, forge| {
                let place = forge.entries.len() - 1;
                let LogEvent::Snapshot(record, mut packs) = forge.event(place) else {
                    panic!("a snapshot")
                };
                packs.push(packs[0].clone());
                let _old = forge.entries.pop();
                let _entry = forge.append(&LogEvent::Snapshot(record, packs));
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "snapshot-without-a-manifest",
            |_, forge| {
                let place = forge.entries.len() - 1;
                let LogEvent::Snapshot(mut record, _) = forge.event(place) else {
                    panic!("a snapshot")
                };
                record.id = SnapshotId::from_random([9; 6]);
                attack(forge, &LogEvent::Snapshot(record, Vec::new()));
            },
            NOTHING,
            &["GV-3002"],
        ),
    ]
}

fn statements() -> Vec<Case> {
    vec![
        case(
            "verified-before-it-was-made",
            |_, forge| attack(forge, &verified(1_000_000)),
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "verified-itself",
            |_, forge| {
                let own = forge.entries.len() as u64 + 1;
                attack(forge, &verified(own));
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "drill-of-no-snapshot",
            |_, forge| attack(forge, &drilled(SnapshotId::from_random([5; 6]), 3)),
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "drill-of-no-files",
            |_, forge| {
                let id = forge.target.parse().expect("an id");
                attack(forge, &drilled(id, 0));
            },
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "copy-elsewhere",
            |_, forge| {
                let event = copied(forge, CopyForm::Escrow, "../../../key", 5);
                attack(forge, &event);
            },
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "copy-of-another-key",
            |_, forge| {
                let event = copied(
                    forge,
                    CopyForm::Escrow,
                    "0123456789abcdef-00000000.wrapped",
                    5,
                );
                attack(forge, &event);
            },
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "kit-with-a-file",
            |_, forge| {
                let event = copied(forge, CopyForm::Kit, "kit.txt", 5);
                attack(forge, &event);
            },
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "copy-that-is-not-there",
            |_, forge| {
                let name = format!("{}-00000000.wrapped", forge.key.id());
                let event = copied(forge, CopyForm::Escrow, &name, 5);
                attack(forge, &event);
            },
            NOTHING,
            &["GV-3002"],
        ),
        case(
            "kit-of-an-unknown-key",
            |_, forge| {
                attack(
                    forge,
                    &LogEvent::Copy(CopyRecord {
                        key: "0123456789abcdef".parse().expect("an id"),
                        form: CopyForm::Kit,
                        file: String::new(),
                        bytes: 0,
                    }),
                )
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "acknowledged-what-is-not-there",
            |_, forge| {
                let newest = forge.entries.len() as u64;
                attack(forge, &acknowledged(newest + 3, newest));
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "acknowledged-in-the-future",
            |_, forge| attack(forge, &acknowledged(90, 80)),
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "set-aside-elsewhere",
            |_, forge| attack(forge, &set_aside("../../..")),
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "set-aside-that-is-not-there",
            |_, forge| attack(forge, &set_aside("set-aside-0123456789abcdef")),
            NOTHING,
            &["GV-3002"],
        ),
    ]
}

fn descriptions() -> Vec<Case> {
    vec![
        case(
            "vault-of-format-2",
            |_, forge| forge.description.set("format", "2"),
            NOTHING,
            &["GV-3301"],
        ),
        case(
            "vault-of-format-0",
            |_, forge| forge.description.set("format", "0"),
            NOTHING,
            &["GV-3301"],
        ),
        case(
            "vault-first-line-of-version-2",
            |_, forge| forge.description.first_line = "# git-vault vault 2\n".to_owned(),
            NOTHING,
            &["GV-3301"],
        ),
        case(
            "vault-of-an-unknown-object-format",
            |_, forge| forge.description.set("object_format", "\"sha3\""),
            NOTHING,
            &["GV-3301"],
        ),
        case(
            "vault-of-another-object-format",
            |_, forge| forge.description.set("object_format", "\"sha256\""),
            NOTHING,
            &["GV-3001", "GV-3104"],
        ),
        case(
            "vault-with-another-id",
            |_, forge| {
                forge
                    .description
                    .set("vault", &format!("\"{}\"", "3".repeat(32)))
            },
            NOTHING,
            &["GV-1201", "GV-3101"],
        ),
        case(
            "vault-of-another-repository",
            |_, forge| {
                let binding = other_repository(forge);
                forge.description.binding = binding;
                let id = binding.repository;
                forge.description.set("repository", &format!("\"{id}\""));
            },
            NOTHING,
            &["GV-3101"],
        ),
        case(
            "vault-with-another-config",
            |_, forge| {
                forge
                    .description
                    .set("config_blake3", &format!("\"{}\"", "3".repeat(64)))
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "vault-with-another-head",
            |_, forge| {
                forge
                    .description
                    .set("head_blake3", &format!("\"{}\"", "3".repeat(64)))
            },
            NOTHING,
            &["GV-3001"],
        ),
        case(
            "vault-with-another-manual",
            |_, forge| {
                forge
                    .description
                    .set("vault_md_blake3", &format!("\"{}\"", "3".repeat(64)))
            },
            NOTHING,
            &["GV-3001"],
        ),
        case(
            "vault-that-pins-a-foreign-config",
            |_, forge| {
                let config = b"[core]\n\tbare = true\n[include]\n\tpath = /etc/passwd\n";
                std::fs::write(forge.vault.join("config"), config).expect("the config");
                forge
                    .description
                    .set("config_blake3", &format!("\"{}\"", Digest::of(config)));
            },
            NOTHING,
            &["GV-3001", "GV-3103", "GV-3104"],
        ),
        // It is the vault of another place: `snapshot` makes one for this place.
        case(
            "attached-elsewhere",
            |_, forge| {
                let LogEvent::Genesis(mut attachment, _) = forge.event(0) else {
                    panic!("a genesis")
                };
                attachment.git_dir = "/nowhere/.git".to_owned();
                attachment.root_commits = Vec::new();
                attack(forge, &LogEvent::Attach(attachment));
            },
            "snapshot",
            &["GV-1002", "GV-1003"],
        ),
    ]
}
