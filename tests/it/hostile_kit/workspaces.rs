//! Manifests that tell of repositories and working trees that are not there, or make no workspace.

use git_vault::model::ids::Digest;
use git_vault::model::manifest::{LinkedWorktree, Manifest, NestedRepository, TreeCounts};

use super::{BYTES, Case, NOTHING, case};
use crate::support::forge::Forge;

fn nested(git_dir: &str) -> NestedRepository {
    NestedRepository {
        git_dir: git_dir.parse().expect("a spot"),
        worktree: None,
        branch: Some("refs/heads/main".to_owned()),
        head: None,
        operations: Vec::new(),
        tips: 0,
        tips_blake3: Digest::of(b""),
        weak_missing: 0,
    }
}

fn linked(name: &str) -> LinkedWorktree {
    LinkedWorktree {
        git_dir: "gitdir".parse().expect("a spot"),
        name: name.to_owned(),
        path: "/somewhere".to_owned(),
        worktree: None,
        directory: None,
        branch: None,
        head: None,
        operations: Vec::new(),
    }
}

fn apart(name: &str, number: u32) -> LinkedWorktree {
    LinkedWorktree {
        worktree: Some(format!("linked/{number}").parse().expect("a spot")),
        directory: Some(format!("linked-{name}")),
        ..linked(name)
    }
}

fn counts(manifest: &Manifest) -> TreeCounts {
    manifest.content.gitdir.clone()
}

/// A manifest with this change.
macro_rules! lie {
    ($name:literal, $passes:expr, $codes:expr, |$manifest:ident| $change:expr) => {
        case(
            $name,
            |_, forge: &mut Forge| forge.state(|$manifest| $change),
            $passes,
            $codes,
        )
    };
}

pub fn cases() -> Vec<Case> {
    let mut all = repositories();
    all.extend(worktrees());
    all.extend(spots());
    all
}

fn repositories() -> Vec<Case> {
    vec![
        lie!(
            "a-repository-that-is-not-there",
            BYTES,
            &["GV-3104"],
            |manifest| { manifest.nested.push(nested("gitdir/modules/none")) }
        ),
        lie!(
            "a-repository-that-is-another-directory",
            BYTES,
            &["GV-3104"],
            |manifest| { manifest.nested.push(nested("gitdir/refs")) }
        ),
        lie!(
            "a-repository-in-the-working-tree",
            BYTES,
            &["GV-3104"],
            |manifest| { manifest.nested.push(nested("worktree/.git")) }
        ),
        lie!(
            "a-repository-in-a-place-that-is-none",
            NOTHING,
            &["GV-3104"],
            |manifest| { manifest.nested.push(nested("linked/1/.git")) }
        ),
        lie!(
            "the-main-repository-again",
            NOTHING,
            &["GV-3104"],
            |manifest| { manifest.nested.push(nested("gitdir")) }
        ),
        lie!("a-repository-twice", NOTHING, &["GV-3104"], |manifest| {
            manifest.nested = vec![nested("gitdir/refs"), nested("gitdir/refs")]
        }),
        lie!(
            "repositories-in-another-order",
            NOTHING,
            &["GV-3104"],
            |manifest| { manifest.nested = vec![nested("gitdir/refs"), nested("gitdir/logs")] }
        ),
        lie!(
            "a-repository-with-a-tree-that-is-none",
            NOTHING,
            &["GV-3104"],
            |manifest| {
                manifest.nested.push(NestedRepository {
                    worktree: Some("linked/7".parse().expect("a spot")),
                    ..nested("gitdir/refs")
                })
            }
        ),
    ]
}

fn worktrees() -> Vec<Case> {
    vec![
        lie!(
            "a-linked-worktree-that-is-not-there",
            BYTES,
            &["GV-3104"],
            |manifest| {
                manifest.linked.push(LinkedWorktree {
                    worktree: Some("worktree/none".parse().expect("a spot")),
                    ..linked("none")
                })
            }
        ),
        lie!(
            "a-linked-worktree-without-its-file",
            BYTES,
            &["GV-3104"],
            |manifest| {
                manifest.linked.push(LinkedWorktree {
                    worktree: Some("worktree/notes".parse().expect("a spot")),
                    ..linked("notes")
                })
            }
        ),
        lie!(
            "a-linked-worktree-of-no-repository",
            NOTHING,
            &["GV-3104"],
            |manifest| {
                manifest.linked.push(LinkedWorktree {
                    git_dir: "gitdir/modules/none".parse().expect("a spot"),
                    ..linked("none")
                })
            }
        ),
        lie!(
            "a-linked-worktree-named-above",
            NOTHING,
            &["GV-3104"],
            |manifest| { manifest.linked.push(linked("..")) }
        ),
        lie!(
            "a-linked-worktree-named-below",
            NOTHING,
            &["GV-3104"],
            |manifest| { manifest.linked.push(linked("a/b")) }
        ),
        lie!(
            "a-linked-worktree-without-a-name",
            NOTHING,
            &["GV-3104"],
            |manifest| { manifest.linked.push(linked("")) }
        ),
        lie!(
            "a-linked-worktree-twice",
            NOTHING,
            &["GV-3104"],
            |manifest| { manifest.linked = vec![linked("a"), linked("a")] }
        ),
        lie!(
            "a-directory-without-a-place",
            NOTHING,
            &["GV-3104"],
            |manifest| {
                manifest.linked.push(LinkedWorktree {
                    directory: Some("linked-a".to_owned()),
                    ..linked("a")
                })
            }
        ),
        lie!(
            "a-place-that-is-not-told-of",
            NOTHING,
            &["GV-3104"],
            |manifest| { manifest.content.linked.push(counts(manifest)) }
        ),
        lie!("a-place-told-of-twice", NOTHING, &["GV-3104"], |manifest| {
            manifest.content.linked.push(counts(manifest));
            manifest.linked = vec![apart("a", 1), apart("b", 1)];
        }),
        lie!("a-place-in-itself", NOTHING, &["GV-3104"], |manifest| {
            manifest.content.linked.push(counts(manifest));
            manifest.nested.push(nested("linked/1/.git"));
            manifest.linked.push(LinkedWorktree {
                git_dir: "linked/1/.git".parse().expect("a spot"),
                ..apart("a", 1)
            });
        }),
        lie!("a-place-without-a-tree", BYTES, &["GV-3104"], |manifest| {
            manifest.content.linked.push(counts(manifest));
            manifest.linked.push(apart("a", 1));
        }),
        lie!(
            "a-directory-that-git-uses",
            NOTHING,
            &["GV-3104"],
            |manifest| {
                manifest.content.linked.push(counts(manifest));
                manifest.linked.push(LinkedWorktree {
                    directory: Some("hooks".to_owned()),
                    ..apart("a", 1)
                });
            }
        ),
        lie!("a-directory-elsewhere", NOTHING, &["GV-3104"], |manifest| {
            manifest.content.linked.push(counts(manifest));
            manifest.linked.push(LinkedWorktree {
                directory: Some("linked-../../../a".to_owned()),
                ..apart("a", 1)
            });
        }),
    ]
}

fn spots() -> Vec<Case> {
    macro_rules! spelled {
        ($name:literal, $spot:literal) => {
            case(
                $name,
                |_, forge: &mut Forge| {
                    forge.state(|manifest| manifest.nested.push(nested("gitdir/refs")));
                    forge.manifest().replace("gitdir/refs", $spot);
                },
                NOTHING,
                &["GV-3302"],
            )
        };
    }
    vec![
        spelled!("a-spot-above", "gitdir/../../a"),
        spelled!("a-spot-from-the-root", "/gitdir"),
        spelled!("a-spot-in-no-place", "somewhere/a"),
        spelled!("a-spot-spelled-otherwise", "gitdir/%72efs"),
        spelled!("a-spot-with-a-slash-too-many", "gitdir//refs"),
        spelled!("a-spot-in-place-0", "linked/0/a"),
    ]
}
