//! Packs and indices that are hostile, each with the size and BLAKE3 that the log states.

use git_vault::host::git::object::{ObjectId, ObjectKind};
use git_vault::host::git::pack_writer::deflate;
use git_vault::model::inventory::PackRole;

use super::{BY_CHANCE, BYTES, Case, NEEDED, bench_case, bench_harmless};
use crate::support::forged_pack::{Workbench, delta, entry_header, id_delta, id_of, offset_delta};

fn odd(bench: &mut Workbench) -> ObjectId {
    bench.worktree.file(&mut bench.pack, b"x-odd", b"odd\n");
    id_of(ObjectKind::Blob, b"odd\n")
}

/// The same file, whose content is yet to be put into the pack.
fn odd_lacking(bench: &mut Workbench) -> ObjectId {
    let id = odd(bench);
    bench.pack.entries.retain(|entry| entry.id != id);
    id
}

/// History is handed over as it is, the forged pack too.
fn has_one_more_pack(out: &std::path::Path) {
    let packs = std::fs::read_dir(out.join(".git/objects/pack")).expect("the packs");
    assert!(packs.count() > 2 && out.join("README.md").is_file());
}

/// Copies 64 KiB from the start of the base, as often as said.
fn copies(times: usize) -> Vec<u8> {
    [0x80 | 0x40, 1].repeat(times).into_iter().collect()
}

/// A blob of 64 KiB, and behind it a delta that makes `mib` MiB of it.
fn bomb(bench: &mut Workbench, mib: usize) {
    let base = vec![b'b'; 64 << 10];
    let start = bench.pack.end();
    let _id = bench.pack.blob(&base);
    let back = bench.pack.end() - start;
    // 0xC0: one size byte follows, the third one: 1 << 16 bytes.
    let instructions: Vec<u8> = copies(mib * 16);
    let delta = delta(64 << 10, (mib as u64) << 20, &instructions);
    let id = id_of(ObjectKind::Blob, format!("a bomb of {mib}").as_bytes());
    bench.pack.add_raw(id, offset_delta(back, &delta));
}

/// Makes the index say `offset` for the object in a place.
fn set_offset(index: &mut [u8], place: usize, offset: u32) {
    let count = u32::from_be_bytes(index[1028..1032].try_into().expect("a count")) as usize;
    let start = 1032 + count * 24 + place * 4;
    index[start..start + 4].copy_from_slice(&offset.to_be_bytes());
}

pub fn cases() -> Vec<Case> {
    let mut all = entries();
    all.extend(deltas());
    all.extend(files());
    all.extend(indices());
    all
}

fn entries() -> Vec<Case> {
    vec![
        bench_case(
            "object-with-another-content",
            |bench| {
                let id = odd_lacking(bench);
                bench.pack.add_as(id, ObjectKind::Blob, b"0dd\n");
            },
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "object-of-another-kind",
            |bench| {
                let id = odd_lacking(bench);
                bench.pack.add_as(id, ObjectKind::Tag, b"odd\n");
            },
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "object-that-nobody-needs-with-another-content",
            |bench| {
                bench.pack.add_as(
                    id_of(ObjectKind::Blob, b"nobody"),
                    ObjectKind::Blob,
                    b"else",
                )
            },
            NEEDED,
            &["GV-3001"],
        ),
        bench_case(
            "object-with-a-smaller-size",
            |bench| {
                let id = odd_lacking(bench);
                bench
                    .pack
                    .add_raw(id, [entry_header(3, 3), deflate(b"odd\n")].concat());
            },
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "object-with-a-larger-size",
            |bench| {
                let id = odd_lacking(bench);
                bench
                    .pack
                    .add_raw(id, [entry_header(3, 5), deflate(b"odd\n")].concat());
            },
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "object-of-the-greatest-size",
            |bench| {
                let id = odd_lacking(bench);
                bench
                    .pack
                    .add_raw(id, [entry_header(3, u64::MAX), deflate(b"odd\n")].concat());
            },
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "object-of-2-to-the-40-bytes",
            |bench| {
                let id = odd_lacking(bench);
                bench
                    .pack
                    .add_raw(id, [entry_header(3, 1 << 40), deflate(b"odd\n")].concat());
            },
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "object-of-a-reserved-kind",
            |bench| {
                let id = odd_lacking(bench);
                bench
                    .pack
                    .add_raw(id, [entry_header(5, 4), deflate(b"odd\n")].concat());
            },
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "object-of-kind-zero",
            |bench| {
                let id = odd_lacking(bench);
                bench
                    .pack
                    .add_raw(id, [entry_header(0, 4), deflate(b"odd\n")].concat());
            },
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "object-that-is-not-deflated",
            |bench| {
                let id = odd_lacking(bench);
                bench
                    .pack
                    .add_raw(id, [entry_header(3, 4), b"odd\n".to_vec()].concat());
            },
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "object-cut-short",
            |bench| {
                let id = odd_lacking(bench);
                let mut bytes = [entry_header(3, 4), deflate(b"odd\n")].concat();
                bytes.truncate(bytes.len() - 5);
                bench.pack.add_raw(id, bytes);
            },
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "object-with-garbage-behind-it",
            |bench| {
                let id = odd_lacking(bench);
                let bytes = [entry_header(3, 4), deflate(b"odd\n"), b"garbage".to_vec()].concat();
                bench.pack.add_raw(id, bytes);
            },
            NEEDED,
            &["GV-3001"],
        ),
        bench_case(
            "object-with-another-crc",
            |bench| {
                let _id = odd(bench);
                bench.pack.entries[0].crc32 = Some(1);
            },
            NEEDED,
            &["GV-3001"],
        ),
        Case {
            restored: Some(has_one_more_pack),
            ..bench_case(
                "history-object-with-another-crc",
                |bench| {
                    let _id = odd(bench);
                    bench.pack.role = PackRole::History;
                    bench.pack.entries[0].crc32 = Some(1);
                },
                NEEDED,
                &["GV-3001", "GV-3104"],
            )
        },
        bench_case(
            "object-twice",
            |bench| {
                let id = odd(bench);
                bench.pack.add_as(id, ObjectKind::Blob, b"odd\n");
            },
            NEEDED,
            &["GV-3001"],
        ),
        bench_case(
            "object-twice-with-another-content",
            |bench| {
                let id = odd(bench);
                bench.pack.add_as(id, ObjectKind::Blob, b"0dd\n");
            },
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "commit-that-names-no-tree",
            |bench| {
                let _id = bench.pack.add(ObjectKind::Commit, b"nothing\n");
            },
            NEEDED,
            &["GV-3001"],
        ),
        bench_case(
            "tree-that-names-what-is-not-there",
            |bench| {
                let id = id_of(ObjectKind::Blob, b"not there");
                let _id = bench.pack.tree(&[git_vault::host::git::tree::NewEntry {
                    mode: 0o100_644,
                    name: b"a".to_vec(),
                    id,
                }]);
            },
            NEEDED,
            &["GV-3001", "GV-3002"],
        ),
    ]
}

fn deltas() -> Vec<Case> {
    vec![
        bench_case(
            "delta-bomb",
            |bench| bomb(bench, 1500),
            NEEDED,
            &["GV-3001"],
        ),
        bench_case(
            "delta-bomb-that-is-needed",
            |bench| {
                bomb(bench, 1500);
                let id = bench.pack.entries.last().expect("an entry").id;
                let _odd = odd(bench);
                bench.worktree.tree.last_mut().expect("an entry").id = id;
            },
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "delta-that-says-less-than-it-makes",
            |bench| {
                let start = bench.pack.end();
                let id = odd_lacking(bench);
                let _base = bench.pack.blob(b"base");
                let back = bench.pack.end() - start;
                bench
                    .pack
                    .add_raw(id, offset_delta(back, &delta(4, 3, b"\x04odd\n")));
            },
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "delta-on-itself",
            |bench| {
                let id = odd_lacking(bench);
                bench
                    .pack
                    .add_raw(id, id_delta(id, &delta(4, 4, b"\x04odd\n")));
            },
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "deltas-in-a-circle",
            |bench| {
                let id = odd_lacking(bench);
                let other = id_of(ObjectKind::Blob, b"other");
                bench
                    .pack
                    .add_raw(id, id_delta(other, &delta(5, 4, b"\x04odd\n")));
                bench
                    .pack
                    .add_raw(other, id_delta(id, &delta(4, 5, b"\x05other")));
            },
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "delta-before-the-pack",
            |bench| {
                let id = odd_lacking(bench);
                bench
                    .pack
                    .add_raw(id, offset_delta(1 << 40, &delta(4, 4, b"\x04odd\n")));
            },
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "delta-of-distance-zero",
            |bench| {
                let id = odd_lacking(bench);
                bench
                    .pack
                    .add_raw(id, offset_delta(0, &delta(4, 4, b"\x04odd\n")));
            },
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "delta-into-the-midst-of-an-entry",
            |bench| {
                let id = odd_lacking(bench);
                let _base = bench.pack.blob(b"base");
                bench
                    .pack
                    .add_raw(id, offset_delta(3, &delta(4, 4, b"\x04odd\n")));
            },
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "delta-on-what-is-not-there",
            |bench| {
                let id = odd_lacking(bench);
                bench.pack.add_raw(
                    id,
                    id_delta(
                        id_of(ObjectKind::Blob, b"not there"),
                        &delta(9, 4, b"\x04odd\n"),
                    ),
                );
            },
            BYTES,
            &["GV-3001", "GV-3002"],
        ),
        bench_case(
            "delta-with-an-endless-distance",
            |bench| {
                let id = odd_lacking(bench);
                bench
                    .pack
                    .add_raw(id, [entry_header(6, 9), vec![0xff; 40]].concat());
            },
            BYTES,
            &["GV-3001"],
        ),
        bench_harmless(
            "delta-chain-of-3000",
            |bench| {
                let mut start = bench.pack.end();
                let mut content = b"000000".to_vec();
                let _id = bench.pack.blob(&content);
                for number in 1..=3000 {
                    let next = format!("{number:06}").into_bytes();
                    let back = bench.pack.end() - start;
                    start = bench.pack.end();
                    let instructions = [&b"\x06"[..], &next].concat();
                    bench.pack.add_raw(
                        id_of(ObjectKind::Blob, &next),
                        offset_delta(back, &delta(6, 6, &instructions)),
                    );
                    content = next;
                }
                bench.worktree.file(&mut bench.pack, b"x-odd", &content);
            },
            "a long chain costs time, and is only long",
            None,
        ),
    ]
}

fn files() -> Vec<Case> {
    vec![
        bench_harmless(
            "pack-of-version-3",
            |bench| bench.pack.version = 3,
            "git reads it, and every object in it is as it was sealed",
            None,
        ),
        bench_case(
            "pack-of-version-4",
            |bench| bench.pack.version = 4,
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "pack-with-a-greater-count",
            |bench| bench.pack.count = Some(bench.pack.entries.len() as u32 + 100),
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "pack-with-a-count-of-zero",
            |bench| bench.pack.count = Some(0),
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "pack-with-bytes-behind",
            |bench| bench.pack.trailing = b"more".to_vec(),
            NEEDED,
            &["GV-3001"],
        ),
        bench_case(
            "pack-with-another-checksum",
            |bench| {
                bench.pack.after = |pack, _| {
                    let end = pack.len() - 1;
                    pack[end] ^= 1;
                }
            },
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "pack-that-is-none",
            |bench| bench.pack.after = |pack, _| pack[..4].copy_from_slice(b"KCAP"),
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "pack-cut-short",
            |bench| bench.pack.after = |pack, _| pack.truncate(32),
            BYTES,
            &["GV-3001"],
        ),
        Case {
            restored: Some(has_one_more_pack),
            ..bench_case(
                "pack-of-the-wrong-role",
                |bench| {
                    let _id = odd(bench);
                    bench.pack.role = PackRole::History;
                },
                NEEDED,
                &["GV-3104", "GV-3002"],
            )
        },
    ]
}

fn indices() -> Vec<Case> {
    vec![
        bench_harmless(
            "index-of-version-1",
            |bench| {
                bench.pack.change_index = |index| {
                    let count =
                        u32::from_be_bytes(index[1028..1032].try_into().expect("a count")) as usize;
                    let mut old = index[8..1032].to_vec();
                    for place in 0..count {
                        old.extend_from_slice(&index[1032 + count * 24 + place * 4..][..4]);
                        old.extend_from_slice(&index[1032 + place * 20..][..20]);
                    }
                    *index = old;
                }
            },
            "git reads it, and every object in it is as it was sealed",
            None,
        ),
        bench_case(
            "index-of-version-3",
            |bench| bench.pack.change_index = |index| index[7] = 3,
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "index-whose-table-falls",
            |bench| {
                bench.pack.change_index = |index| index[8..12].copy_from_slice(&[0, 0, 0xff, 0xff])
            },
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "index-of-the-greatest-count",
            |bench| bench.pack.change_index = |index| index[1028..1032].copy_from_slice(&[0xff; 4]),
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "index-unsorted",
            |bench| {
                bench.pack.change_index = |index| {
                    let (first, second) = index[1032..1072].split_at_mut(20);
                    first.swap_with_slice(second);
                }
            },
            BY_CHANCE,
            &["GV-3001", "GV-3002"],
        ),
        bench_case(
            "index-that-leaves-one-out",
            |bench| {
                bench.pack.change_index = |index| {
                    let count =
                        u32::from_be_bytes(index[1028..1032].try_into().expect("a count")) as usize;
                    let last = index[1032 + (count - 1) * 20] as usize;
                    for byte in last..256 {
                        let at = 8 + byte * 4;
                        let up_to =
                            u32::from_be_bytes(index[at..at + 4].try_into().expect("a count")) - 1;
                        index[at..at + 4].copy_from_slice(&up_to.to_be_bytes());
                    }
                    drop(index.drain(1032 + count * 24 + (count - 1) * 4..));
                    drop(
                        index.drain(
                            1032 + count * 20 + (count - 1) * 4..1032 + count * 20 + count * 4,
                        ),
                    );
                    drop(index.drain(1032 + (count - 1) * 20..1032 + count * 20));
                }
            },
            BY_CHANCE,
            &["GV-3001", "GV-3002"],
        ),
        bench_case(
            "index-with-an-offset-in-the-header",
            |bench| bench.pack.change_index = |index| set_offset(index, 0, 4),
            BY_CHANCE,
            &["GV-3001"],
        ),
        bench_case(
            "index-with-an-offset-behind-the-pack",
            |bench| bench.pack.change_index = |index| set_offset(index, 0, 0x7fff_ffff),
            BY_CHANCE,
            &["GV-3001"],
        ),
        bench_case(
            "index-with-an-offset-twice",
            |bench| {
                bench.pack.change_index = |index| {
                    let count =
                        u32::from_be_bytes(index[1028..1032].try_into().expect("a count")) as usize;
                    let from = 1032 + count * 24;
                    let second = u32::from_be_bytes(
                        index[from + 4..from + 8].try_into().expect("an offset"),
                    );
                    set_offset(index, 0, second);
                }
            },
            BY_CHANCE,
            &["GV-3001"],
        ),
        bench_case(
            "index-with-a-large-offset-that-is-none",
            |bench| bench.pack.change_index = |index| set_offset(index, 0, 0x8000_0000),
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "index-with-a-large-offset-far-off",
            |bench| {
                bench.pack.change_index = |index| {
                    set_offset(index, 0, 0x8000_0000);
                    index.extend_from_slice(&u64::MAX.to_be_bytes());
                }
            },
            BY_CHANCE,
            &["GV-3001"],
        ),
        bench_case(
            "index-with-a-large-offset-in-no-row",
            |bench| {
                bench.pack.change_index = |index| {
                    set_offset(index, 0, 0xffff_ffff);
                    index.extend_from_slice(&12_u64.to_be_bytes());
                }
            },
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "index-of-another-pack",
            |bench| {
                bench.pack.after = |_, index| {
                    let end = index.len() - 40;
                    index[end..end + 20].fill(7);
                }
            },
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "index-with-another-checksum",
            |bench| {
                bench.pack.after = |_, index| {
                    let end = index.len() - 1;
                    index[end] ^= 1;
                }
            },
            NEEDED,
            &["GV-3001"],
        ),
        bench_case(
            "index-cut-short",
            |bench| bench.pack.after = |_, index| index.truncate(1000),
            BYTES,
            &["GV-3001"],
        ),
        bench_case(
            "index-empty",
            |bench| bench.pack.after = |_, index| index.clear(),
            BYTES,
            &["GV-3001"],
        ),
    ]
}
