//! Every parser of git's data, fed with what git would not write: it never stops the program, and gives nothing wrong.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::Read;
use std::path::Path;

use git_vault::host::git::error::Error;
use git_vault::host::git::index::Index;
use git_vault::host::git::object::{
    ObjectFormat, ObjectId, ObjectKind, each_link, hash_object, is_root_commit, tree_entries,
};
use git_vault::host::git::pack_check::{Seen, Visitor, check_pack};
use git_vault::host::git::pack_copy::copy_entries;
use git_vault::host::git::pack_index::{PackIndex, Written, index_bytes};
use git_vault::host::git::pack_reader::{Pack, apply_delta};
use git_vault::host::git::pack_writer::{PackWriter, deflate};
use git_vault::host::git::repository::executable_settings;
use git_vault::host::git::tree::{NewEntry, tree_content, tree_of_commit};
use git_vault::host::git::{loose, reftable, tips};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample;
use tempfile::TempDir;

use crate::crafted_tables::{files_of, reseal as reseal_table};
use crate::fuzz::{never, require};
use crate::laboratory::effort;
use crate::support::mutations::Parser;

const FORMAT: ObjectFormat = ObjectFormat::Sha1;

#[test]
fn tree_objects_and_links() {
    let check = |bytes: &[u8]| {
        let mut accepted = false;
        for format in [ObjectFormat::Sha1, ObjectFormat::Sha256] {
            let entries: Option<Vec<_>> = tree_entries(format, bytes).collect();
            if let Some(entries) = &entries {
                accepted |= format == FORMAT;
                let modes: usize = entries
                    .iter()
                    .map(|entry| format!("{:o}", entry.mode).len())
                    .sum();
                let new: Vec<NewEntry> = entries
                    .iter()
                    .map(|entry| NewEntry {
                        mode: entry.mode,
                        name: entry.name.to_vec(),
                        id: entry.id,
                    })
                    .collect();
                let rest: usize = new
                    .iter()
                    .map(|entry| entry.name.len() + 2 + format.id_bytes())
                    .sum();
                // Old versions of git wrote modes with zeros in front.
                require(modes + rest <= bytes.len(), "bytes that are not there")?;
                let written = tree_content(new);
                let again: Option<Vec<_>> = tree_entries(format, &written).collect();
                require(
                    again.map(|again| again.len()) == Some(entries.len()),
                    "an entry is lost",
                )?;
            }
            for kind in [
                ObjectKind::Blob,
                ObjectKind::Tree,
                ObjectKind::Commit,
                ObjectKind::Tag,
            ] {
                let mut links = 0;
                let whole = each_link(format, kind, bytes, |_| links += 1);
                if kind == ObjectKind::Tree {
                    require(
                        whole.is_some() == entries.is_some(),
                        "trees are read in two ways",
                    )?;
                }
            }
        }
        let _ = (is_root_commit(bytes), tree_of_commit(bytes));
        Ok(accepted)
    };
    Parser {
        name: "tree",
        cases: 2000,
        check,
        reseal: never,
    }
    .fuzz();
}

#[test]
fn deltas() {
    let check = |bytes: &[u8]| {
        let (size, rest) = bytes.split_first().unwrap_or((&0, &[]));
        let (base, delta) = rest.split_at(usize::from(*size).min(rest.len()));
        Ok(apply_delta(base, delta).is_some())
    };
    Parser {
        name: "delta",
        cases: 3000,
        check,
        reseal: never,
    }
    .fuzz();
}

#[test]
fn loose_objects() {
    let check = |bytes: &[u8]| {
        let home = TempDir::with_prefix("git-vault-test-").expect("a directory");
        let id = |content: &[u8]| hash_object(FORMAT, ObjectKind::Blob, content).expect("an id");
        let tree = ObjectId::from_hex(b"4b825dc642cb6eb9a060e54bf8d69288fbee4904").expect("an id");
        let mut accepted = false;
        for id in [id(b"hello\n"), id(b""), tree] {
            let path = loose::path_of(home.path(), &id);
            fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
            fs::write(&path, bytes).expect("an object");
            let read = loose::open(home.path(), &id).and_then(|object| {
                // Whatever the header says, the size of the content is bounded by the deflated bytes.
                object.read(FORMAT, &id)
            });
            if let Ok(object) = read {
                let found = hash_object(FORMAT, object.kind, &object.content);
                require(found == Some(id), "an object with another content")?;
                accepted = true;
            }
        }
        // Trees of the corpus have other ids; that they are read at all is enough.
        Ok(accepted || is_readable(home.path(), bytes))
    };
    Parser {
        name: "loose",
        cases: 250,
        check,
        reseal: never,
    }
    .fuzz();
}

/// Whether the file is an object of any id at all.
fn is_readable(home: &Path, bytes: &[u8]) -> bool {
    let somewhere = ObjectId::from_hex(&[b'1'; 40]).expect("an id");
    let path = loose::path_of(home, &somewhere);
    fs::create_dir_all(path.parent().expect("a parent")).expect("a directory");
    fs::write(&path, bytes).expect("an object");
    let Ok(mut object) = loose::open(home, &somewhere) else {
        return false;
    };
    let mut content = Vec::new();
    let mut bounded = object.reader().take(1 << 24);
    bounded.read_to_end(&mut content).is_ok() && content.len() as u64 == object.bytes
}

#[test]
fn indices_of_repositories() {
    let check = |bytes: &[u8]| {
        let home = TempDir::with_prefix("git-vault-test-").expect("a directory");
        let path = home.path().join("index");
        fs::write(&path, bytes).expect("the index");
        let Ok(index) = Index::open(&path, FORMAT) else {
            return Ok(false);
        };
        let _ids = index.ids();
        let _ = (
            index.is_tracked(&index.all(), b"README"),
            index.is_tracked(&index.all(), b""),
            index.tracks_below(&index.all(), b"d"),
        );
        Ok(true)
    };
    Parser {
        name: "index",
        cases: 500,
        check,
        reseal: reseal_sha1,
    }
    .fuzz();
}

#[test]
fn files_with_tips() {
    let check = |bytes: &[u8]| {
        let mut files = BTreeMap::new();
        for name in [
            "HEAD",
            "packed-refs",
            "ORIG_HEAD",
            "FETCH_HEAD",
            "MERGE_HEAD",
            "refs/heads/main",
            "logs/HEAD",
            "logs/refs/stash",
            "rebase-merge/git-rebase-todo",
            "rebase-merge/onto",
            "sequencer/todo",
        ] {
            files.insert(name.as_bytes().to_vec(), bytes.to_vec());
        }
        let paths: Vec<Vec<u8>> = files.keys().cloned().chain([bytes.to_vec()]).collect();
        let _tips = tips::read(&files, &paths);
        let _ = tips::is_relevant(bytes);
        Ok(true)
    };
    Parser {
        name: "tips",
        cases: 1500,
        check,
        reseal: never,
    }
    .fuzz();
}

/// As the only table, and below one that is whole.
#[test]
fn tables_of_refs() {
    let check = |bytes: &[u8]| {
        let files = files_of(&[bytes]);
        let alone = reftable::read(&files);
        let tips = tips::read(&files, &[]);
        require(alone.is_ok() == tips.is_ok(), "tables are read in two ways")?;
        let Ok(Some(stack)) = alone else {
            return Ok(false);
        };
        require(
            stack.refs.contains_key(&b"HEAD"[..]),
            "a repository without HEAD",
        )?;
        // Each ref and each id takes bytes, unless logs are deflated.
        require(
            stack.refs.len() * 4 <= bytes.len(),
            "refs that are not there",
        )?;
        let twice = reftable::read(&files_of(&[bytes, bytes]));
        require(twice == Ok(Some(stack)), "the same over itself is another")?;
        Ok(true)
    };
    Parser {
        name: "reftable",
        cases: 4000,
        check,
        reseal: reseal_table,
    }
    .fuzz();
}

#[test]
fn configurations() {
    let check = |bytes: &[u8]| {
        let _settings = executable_settings(bytes);
        Ok(true)
    };
    Parser {
        name: "config",
        cases: 1500,
        check,
        reseal: never,
    }
    .fuzz();
}

struct Nobody;

impl Visitor for Nobody {
    fn object(&self, _object: &Seen<'_>) -> Result<(), Error> {
        Ok(())
    }
}

fn sha1(bytes: &[u8]) -> Vec<u8> {
    let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
    hasher.update(bytes);
    hasher.try_finalize().expect("a hash").as_slice().to_vec()
}

fn reseal_sha1(bytes: &[u8]) -> Option<Vec<u8>> {
    let above = bytes.get(..bytes.len().checked_sub(20)?)?;
    Some([above, &sha1(above)].concat())
}

/// A seed is an index and then its pack.
fn split_pack(bytes: &[u8]) -> (&[u8], &[u8]) {
    let start = bytes
        .windows(8)
        .position(|window| window == b"PACK\0\0\0\x02");
    bytes.split_at(start.unwrap_or(bytes.len()))
}

/// States the checksum of the pack in both, and that of the index.
fn reseal_pack(bytes: &[u8]) -> Option<Vec<u8>> {
    let (index, pack) = split_pack(bytes);
    let pack = reseal_sha1(pack)?;
    let above = index.get(..index.len().checked_sub(40)?)?;
    let above = [above, &pack[pack.len() - 20..]].concat();
    Some([&*above, &sha1(&above), &pack].concat())
}

#[test]
fn packs_and_their_indices() {
    let check = |bytes: &[u8]| {
        let home = TempDir::with_prefix("git-vault-test-").expect("a directory");
        let path = home.path().join("pack-0.pack");
        let (index, pack) = split_pack(bytes);
        fs::write(path.with_extension("idx"), index).expect("the index");
        fs::write(&path, pack).expect("the pack");
        if let Ok(index) = PackIndex::open(&path.with_extension("idx"), FORMAT, None) {
            look_around(&index)?;
        }
        is_whole(&path)
    };
    Parser {
        name: "pack",
        cases: 400,
        check,
        reseal: reseal_pack,
    }
    .fuzz();
}

/// Whether a pack is found to be whole; then every object of it must be read and copied as what its id says.
fn is_whole(path: &Path) -> Result<bool, String> {
    let Ok(pack) = Pack::open(path, FORMAT) else {
        return Ok(false);
    };
    let is_whole = check_pack(&pack, &Nobody).is_ok();
    let mut readable = 0;
    for entry in pack.index.entries().take(200).collect::<Vec<_>>() {
        let read = pack.read(&entry.id);
        let mut copy = Vec::new();
        if pack
            .copy_object(&entry.id, &mut copy, Path::new("sink"))
            .is_ok()
        {
            let read = read.map_err(|error| format!("copied, not read: {error}"))?;
            require(read.content == copy, "copied and read differently")?;
            let found = hash_object(FORMAT, read.kind, &copy);
            require(found == Some(entry.id), "copied with another content")?;
            readable += 1;
        }
    }
    let target = PackWriter::create(path.parent().expect("a parent"), "copy", FORMAT);
    let mut target = target.map_err(|error| error.to_string())?;
    let copied = copy_entries(&pack, &|_| true, &mut target, &|_| {});
    target.discard().map_err(|error| error.to_string())?;
    if is_whole {
        let count = u64::from(pack.index.count());
        require(
            readable == count.min(200),
            "a whole pack that cannot be read",
        )?;
        match copied {
            Ok(copied) => require(copied == count, "a whole pack that is not copied whole")?,
            // Copying and checking look at the CRCs that an index states beside the ids.
            Err(error) => require(
                error
                    .to_string()
                    .contains("another checksum than its index says"),
                "a whole pack that cannot be copied",
            )?,
        }
    }
    Ok(is_whole)
}

fn look_around(index: &PackIndex) -> Result<(), String> {
    let _whole = index.check();
    let ids: Vec<ObjectId> = index.ids().collect();
    require(
        ids.len() == index.count() as usize,
        "fewer ids than it says",
    )?;
    let _ = (index.numbers_by_offset(), index.pack_checksum());
    for (number, id) in ids.iter().enumerate().take(50) {
        let number = u32::try_from(number).expect("a number");
        let _ = (
            index.offset_at(number),
            index.crc32_at(number),
            index.find(id),
            index.offset_of(id),
        );
    }
    Ok(())
}

/// An entry of a pack that is made up.
#[derive(Debug, Clone)]
struct Entry {
    /// As git numbers them: 1 to 4 whole, 6 and 7 deltas, 0 and 5 nothing.
    kind: u8,
    content: Vec<u8>,
    /// The entry that a delta stands on; any, itself included.
    base: sample::Index,
    lie: Lie,
}

/// What is wrong with an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Lie {
    Nothing,
    Id,
    Size(u64),
    Distance(u8),
    Offset(u64),
    Body,
}

fn entries() -> impl Strategy<Value = Vec<Entry>> {
    let kind = prop_oneof![12 => Just(3_u8), 8 => Just(6_u8), 5 => Just(7_u8), 1 => 0_u8..8];
    let lie = prop_oneof![
        60 => Just(Lie::Nothing),
        1 => Just(Lie::Id),
        1 => any::<u64>().prop_map(Lie::Size),
        1 => (0_u64..40).prop_map(Lie::Size),
        1 => any::<u8>().prop_map(Lie::Distance),
        1 => any::<u64>().prop_map(Lie::Offset),
        1 => (0_u64..200).prop_map(Lie::Offset),
        1 => (0_u64..40).prop_map(|less| Lie::Offset(u64::MAX - less)),
        1 => Just(Lie::Body),
    ];
    let entry = (kind, vec(any::<u8>(), 0..30), any::<sample::Index>(), lie);
    let entry = entry.prop_map(|(kind, content, base, lie)| Entry {
        kind,
        content,
        base,
        lie,
    });
    vec(entry, 1..8)
}

/// Seven bits a byte, the lowest first, as git writes sizes.
fn size(mut rest: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while rest > 0x7f {
        bytes.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    bytes.push(rest as u8);
    bytes
}

/// The header of an entry: four bits of the size beside the kind, the others after it.
fn header(kind: u8, bytes: u64) -> Vec<u8> {
    let first = kind << 4 | (bytes & 15) as u8;
    match bytes >> 4 {
        0 => vec![first],
        rest => [vec![first | 0x80], size(rest)].concat(),
    }
}

/// A distance as git writes it: seven bits a byte, the highest first, each byte but the last less one.
fn distance(mut rest: u64) -> Vec<u8> {
    let mut bytes = vec![rest as u8 & 0x7f];
    while rest > 0x7f {
        rest = (rest >> 7) - 1;
        bytes.push(rest as u8 & 0x7f | 0x80);
    }
    bytes.reverse();
    bytes
}

/// A pack of these entries with its index in `directory`; says whether it is whole, or `None` where that is not known.
fn write_pack(directory: &Path, entries: &[Entry]) -> Option<bool> {
    let mut pack = [
        &b"PACK\0\0\0\x02"[..],
        &(entries.len() as u32).to_be_bytes(),
    ]
    .concat();
    let mut written: Vec<Written> = Vec::new();
    let mut contents: Vec<Vec<u8>> = Vec::new();
    let mut expected = Some(true);
    for entry in entries {
        let offset = pack.len() as u64;
        let is_delta = matches!(entry.kind, 6 | 7);
        // Mostly one before; with a wrong distance also the entry itself.
        let may_be_own = contents.is_empty() || matches!(entry.lie, Lie::Distance(_));
        let base = entry.base.index(contents.len() + usize::from(may_be_own));
        let base_content = contents.get(base).cloned().unwrap_or_default();
        let mut body = entry.content.clone();
        if is_delta {
            let inserted = if body.is_empty() {
                vec![]
            } else {
                vec![body.len() as u8]
            };
            let sizes = [size(base_content.len() as u64), size(body.len() as u64)].concat();
            body = [sizes, inserted, body].concat();
        }
        let stated = match entry.lie {
            Lie::Size(bytes) => bytes,
            _ => body.len() as u64,
        };
        pack.extend(header(entry.kind, stated));
        let base_offset = written.get(base).map_or(offset, |base| base.offset);
        let noise = match entry.lie {
            Lie::Distance(noise) => u64::from(noise),
            _ => 0,
        };
        let its_own = ObjectId::from_bytes(&sha1(&offset.to_le_bytes())).expect("an id");
        match entry.kind {
            6 => pack.extend(distance(offset.saturating_sub(base_offset) + noise)),
            7 => pack.extend(written.get(base).map_or(its_own, |base| base.id).as_bytes()),
            _ => {}
        }
        let mut deflated = deflate(&body);
        if entry.lie == Lie::Body {
            deflated.pop();
        }
        pack.extend(deflated);
        let kind = match entry.kind {
            1 => ObjectKind::Commit,
            2 => ObjectKind::Tree,
            4 => ObjectKind::Tag,
            _ => ObjectKind::Blob,
        };
        let right = hash_object(FORMAT, kind, &entry.content).expect("an id");
        let is_made_up = matches!(entry.kind, 0 | 5) || is_delta && base == contents.len();
        if entry.lie != Lie::Nothing || is_made_up {
            // A lie that happens to be the truth may pass.
            expected = None;
        } else if matches!(entry.kind, 1 | 2 | 4) || is_delta {
            // What stands on a commit is a commit, and has another id than the blob.
            expected = expected.filter(|_| is_delta);
        }
        let mut crc32 = crc32fast::Hasher::new();
        crc32.update(&pack[usize::try_from(offset).expect("a size")..]);
        written.push(Written {
            id: if entry.lie == Lie::Id { its_own } else { right },
            offset: match entry.lie {
                Lie::Offset(offset) => offset,
                _ => offset,
            },
            crc32: crc32.finalize(),
        });
        contents.push(entry.content.clone());
    }
    let ids: BTreeSet<ObjectId> = written.iter().map(|written| written.id).collect();
    if ids.len() < written.len() {
        expected = None;
    }
    let checksum = sha1(&pack);
    pack.extend(&checksum);
    let path = directory.join("pack-0.pack");
    fs::write(&path, pack).expect("the pack");
    let checksum = ObjectId::from_bytes(&checksum).expect("an id");
    let index = index_bytes(FORMAT, written, &checksum).expect("the index");
    fs::write(path.with_extension("idx"), index).expect("written");
    expected
}

#[test]
fn packs_that_are_made_up_entry_by_entry() {
    let config = ProptestConfig {
        cases: 300 * u32::try_from(effort()).expect("an effort"),
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    let whole = std::cell::Cell::new(0);
    proptest!(config, |(entries in entries())| {
        let home = TempDir::with_prefix("git-vault-test-").expect("a directory");
        let expected = write_pack(home.path(), &entries);
        let found = is_whole(&home.path().join("pack-0.pack")).map_err(TestCaseError::fail)?;
        if let Some(expected) = expected {
            prop_assert_eq!(found, expected);
        }
        whole.set(whole.get() + u32::from(found));
    });
    assert!(whole.get() > 20, "some are whole: {}", whole.get());
    eprintln!("made-up packs: {} accepted", whole.get());
}
