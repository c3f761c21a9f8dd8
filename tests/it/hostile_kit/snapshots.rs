//! Manifests that state what is not so, each signed and pinned by the log.

use git_vault::model::ids::{Digest, SnapshotId};
use git_vault::model::manifest::Completeness;

use super::{BYTES, Case, NOTHING, RECORDS, case, harmless};
use crate::support::forge::{Forge, Links};

fn lie(forge: &mut Forge, change: impl FnOnce(&mut git_vault::model::manifest::Manifest)) {
    forge.state(change);
}

fn nines() -> Digest {
    Digest::from_bytes([9; 32])
}

pub fn cases() -> Vec<Case> {
    let mut all = vec![
        case(
            "of-another-snapshot",
            |_, forge| {
                lie(forge, |manifest| {
                    manifest.snapshot = SnapshotId::from_random([9; 6])
                })
            },
            NOTHING,
            &["GV-3102"],
        ),
        case(
            "for-a-newer-reader",
            |_, forge| lie(forge, |manifest| manifest.minimum_reader = 2),
            NOTHING,
            &["GV-3302", "GV-3301"],
        ),
        case(
            "of-format-2",
            |_, forge| lie(forge, |manifest| manifest.format = 2),
            NOTHING,
            &["GV-3302", "GV-3301"],
        ),
        case(
            "of-format-0",
            |_, forge| lie(forge, |manifest| manifest.format = 0),
            NOTHING,
            &["GV-3302", "GV-3301"],
        ),
        case(
            "of-unknown-completeness",
            |_, forge| forge.manifest().set("completeness", "\"needs-luck\""),
            NOTHING,
            &["GV-3302"],
        ),
        case(
            "that-needs-a-promisor-of-nothing",
            |_, forge| {
                lie(forge, |manifest| {
                    manifest.completeness = Completeness::NeedsPromisor;
                })
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "on-another-entry",
            |_, forge| lie(forge, |manifest| manifest.stands_on.entry -= 1),
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "on-its-own-entry",
            |_, forge| lie(forge, |manifest| manifest.stands_on.entry += 1),
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "on-an-entry-far-ahead",
            |_, forge| lie(forge, |manifest| manifest.stands_on.entry = i64::MAX as u64),
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "on-no-entry",
            |_, forge| lie(forge, |manifest| manifest.stands_on.entry = 0),
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "on-an-entry-with-another-hash",
            |_, forge| {
                lie(forge, |manifest| manifest.stands_on.entry_blake3 = nines());
                forge.manifest().links = Links::AsWritten;
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "on-more-packs",
            |_, forge| lie(forge, |manifest| manifest.stands_on.packs += 1),
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "on-no-packs",
            |_, forge| lie(forge, |manifest| manifest.stands_on.packs = 0),
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "on-another-inventory",
            |_, forge| lie(forge, |manifest| manifest.stands_on.inventory = nines()),
            RECORDS,
            &["GV-3104"],
        ),
        case(
            "with-no-packs-of-its-own",
            |_, forge| lie(forge, |manifest| manifest.packs.clear()),
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "with-another-pack",
            |_, forge| lie(forge, |manifest| manifest.packs[0].objects += 1),
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "with-a-pack-twice",
            |_, forge| {
                lie(forge, |manifest| {
                    manifest.packs.push(manifest.packs[0].clone())
                })
            },
            NOTHING,
            &["GV-3104"],
        ),
        case(
            "with-a-pack-of-another-count-in-both",
            |_, forge| {
                let old = forge.manifest().body.clone();
                let line = crate::support::forge::line_of(&old, "objects").to_owned();
                forge.manifest().replace(&line, "objects = 999\n");
                forge.last().replace(&line, "objects = 999\n");
            },
            BYTES,
            &["GV-3001", "GV-3104"],
        ),
    ];
    all.extend(contents());
    all.extend(words());
    all
}

/// What is found by those who look at what is stored.
fn contents() -> Vec<Case> {
    vec![
        case(
            "with-one-file-more",
            |_, forge| {
                lie(forge, |manifest| {
                    manifest.content.worktree.as_mut().expect("one").files += 1
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "with-no-files",
            |_, forge| {
                lie(forge, |manifest| {
                    let counts = manifest.content.worktree.as_mut().expect("one");
                    (counts.files, counts.bytes, counts.directories, counts.links) = (0, 0, 0, 0);
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "with-other-bytes",
            |_, forge| {
                lie(forge, |manifest| {
                    manifest.content.worktree.as_mut().expect("one").bytes = 0
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "with-the-greatest-number-of-bytes",
            |_, forge| {
                lie(forge, |manifest| {
                    manifest.content.gitdir.bytes = i64::MAX as u64
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "with-one-directory-less",
            |_, forge| lie(forge, |manifest| manifest.content.gitdir.directories -= 1),
            BYTES,
            &["GV-3104"],
        ),
        case(
            "with-a-link-more",
            |_, forge| lie(forge, |manifest| manifest.content.gitdir.links += 1),
            BYTES,
            &["GV-3104"],
        ),
        case(
            "with-a-special-file-more",
            |_, forge| lie(forge, |manifest| manifest.content.gitdir.special += 1),
            BYTES,
            &["GV-3104"],
        ),
        case(
            "with-another-root",
            |_, forge| {
                lie(forge, |manifest| {
                    manifest.content.worktree.as_mut().expect("one").root = Some(nines())
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "with-no-root",
            |_, forge| {
                lie(forge, |manifest| {
                    manifest.content.worktree.as_mut().expect("one").root = None
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "with-the-roots-exchanged",
            |_, forge| {
                lie(forge, |manifest| {
                    let counts = manifest.content.worktree.as_mut().expect("one");
                    std::mem::swap(&mut counts.root, &mut manifest.content.gitdir.root);
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "with-another-tree",
            |_, forge| {
                lie(forge, |manifest| {
                    manifest.content.tree = "4b825dc642cb6eb9a060e54bf8d69288fbee4904".to_owned()
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "with-a-commit-that-is-not-there",
            |_, forge| lie(forge, |manifest| manifest.content.commit = "9".repeat(40)),
            BYTES,
            &["GV-3001", "GV-3002"],
        ),
        case(
            "with-a-commit-that-is-a-tree",
            |_, forge| {
                lie(forge, |manifest| {
                    manifest.content.commit = manifest.content.tree.clone()
                })
            },
            BYTES,
            &["GV-3001", "GV-3104"],
        ),
        case(
            "with-a-commit-that-is-no-id",
            |_, forge| {
                lie(forge, |manifest| {
                    manifest.content.commit = "HEAD".to_owned()
                })
            },
            BYTES,
            &["GV-3104", "GV-3302"],
        ),
        case(
            "with-a-commit-of-the-history",
            |_, forge| {
                lie(forge, |manifest| {
                    manifest.content.commit = manifest.source.head.clone().expect("a head")
                })
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "with-the-trees-of-an-earlier-snapshot",
            |_, forge| {
                let target = forge.target.clone();
                let earlier = forge
                    .manifests
                    .iter()
                    .find(|(id, _)| **id != target)
                    .expect("one")
                    .1
                    .body
                    .clone();
                let earlier =
                    git_vault::model::manifest::Manifest::from_body(&earlier).expect("one");
                lie(forge, |manifest| {
                    manifest.content.commit = earlier.content.commit;
                    manifest.content.tree = earlier.content.tree;
                });
            },
            BYTES,
            &["GV-3104"],
        ),
        case(
            "of-a-bare-repository",
            |_, forge| lie(forge, |manifest| manifest.content.worktree = None),
            BYTES,
            &["GV-3104"],
        ),
        case(
            "with-one-tip-more",
            |_, forge| lie(forge, |manifest| manifest.history.tips += 1),
            BYTES,
            &["GV-3104"],
        ),
        case(
            "with-no-tips",
            |_, forge| lie(forge, |manifest| manifest.history.tips = 0),
            BYTES,
            &["GV-3104"],
        ),
        case(
            "with-other-tips",
            |_, forge| lie(forge, |manifest| manifest.history.tips_blake3 = nines()),
            BYTES,
            &["GV-3104"],
        ),
        case(
            "with-holes",
            |_, forge| lie(forge, |manifest| manifest.history.holes = 7),
            BYTES,
            &["GV-3104"],
        ),
        case(
            "with-promises",
            |_, forge| lie(forge, |manifest| manifest.history.promised = 7),
            BYTES,
            &["GV-3104"],
        ),
        case(
            "of-another-object-format",
            |_, forge| {
                lie(forge, |manifest| {
                    manifest.source.object_format = "sha256".to_owned()
                })
            },
            NOTHING,
            &["GV-3104"],
        ),
    ]
}

/// Words for people, which nothing relies on: the state itself is in the captured files.
fn words() -> Vec<Case> {
    const WORDS: &str =
        "words for people: the state itself is in the captured files, and is restored from them";
    vec![
        harmless(
            "on-another-branch",
            |_, forge| {
                lie(forge, |manifest| {
                    manifest.source.branch = Some("other".to_owned())
                })
            },
            WORDS,
            None,
        ),
        harmless(
            "with-another-head",
            |_, forge| {
                lie(forge, |manifest| {
                    manifest.source.head = Some("9".repeat(40))
                })
            },
            WORDS,
            None,
        ),
        harmless(
            "in-the-midst-of-a-rebase",
            |_, forge| {
                lie(forge, |manifest| {
                    manifest.source.operations = vec!["rebase".to_owned()]
                })
            },
            WORDS,
            None,
        ),
        harmless(
            "with-a-rule-that-left-out-much",
            |_, forge| lie(forge, |manifest| manifest.left_out.clear()),
            WORDS,
            None,
        ),
        harmless(
            "with-objects-added",
            |_, forge| lie(forge, |manifest| manifest.history.objects_added = 12_345),
            WORDS,
            None,
        ),
        harmless(
            "with-weak-ids-missing",
            |_, forge| lie(forge, |manifest| manifest.history.weak_missing = 12_345),
            WORDS,
            None,
        ),
        harmless(
            "with-control-characters",
            |_, forge| {
                lie(forge, |manifest| {
                    manifest.message = "\u{1b}]0;owned\u{7}\u{202e}\nSEALED".to_owned()
                })
            },
            WORDS,
            None,
        ),
        harmless(
            "from-a-place-that-is-no-path",
            |_, forge| lie(forge, |manifest| manifest.source.git_dir = "%".to_owned()),
            WORDS,
            None,
        ),
    ]
}
