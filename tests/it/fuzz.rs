//! Every parser, fed with what nobody would write: it never stops the program, and takes each thing in one form only.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use git_vault::host::git::error::Error;
use git_vault::host::git::index::Index;
use git_vault::host::git::object::{
    ObjectFormat, ObjectId, ObjectKind, each_link, hash_object, is_root_commit, tree_entries,
};
use git_vault::host::git::pack_check::{Seen, Visitor, check_pack};
use git_vault::host::git::pack_copy::copy_entries;
use git_vault::host::git::pack_index::PackIndex;
use git_vault::host::git::pack_reader::{Pack, apply_delta};
use git_vault::host::git::pack_writer::PackWriter;
use git_vault::host::git::repository::executable_settings;
use git_vault::host::git::tree::{NewEntry, tree_content, tree_of_commit};
use git_vault::host::git::{loose, tips};
use git_vault::host::{escrow, keys};
use git_vault::model::escape::{
    for_json, for_terminal, name_from_text, name_from_tree, text_name, tree_name,
};
use git_vault::model::ids::{Digest, KeyId, SnapshotId, VaultId};
use git_vault::model::kit::{self, KitKey, Standing};
use git_vault::model::listing::Listing;
use git_vault::model::log_entry::LogEntry;
use git_vault::model::manifest::Manifest;
use git_vault::model::signed::{Purpose, check_damage};
use git_vault::model::timestamp::Timestamp;
use tempfile::TempDir;

use crate::support::mutations::Parser;

const FORMAT: ObjectFormat = ObjectFormat::Sha1;

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// That what was accepted is the one form of what it says.
fn canonical(written: &[u8], read: &[u8]) -> Result<bool, String> {
    if written == read {
        return Ok(true);
    }
    Err(format!(
        "accepted, though it would be written as {}",
        written.escape_ascii()
    ))
}

fn require(holds: bool, what: &str) -> Result<(), String> {
    holds.then_some(()).ok_or_else(|| what.to_owned())
}

fn never(_bytes: &[u8]) -> Option<Vec<u8>> {
    None
}

/// The lines without the last ones, and those.
fn split_lines(bytes: &[u8], last: usize) -> Option<(Vec<u8>, Vec<&[u8]>)> {
    let lines: Vec<&[u8]> = bytes.split_inclusive(|byte| *byte == b'\n').collect();
    let count = lines.len().checked_sub(last)?;
    Some((lines[..count].concat(), lines[count..].to_vec()))
}

fn blake3_line(above: &[u8]) -> Vec<u8> {
    format!("# blake3 {}\n", Digest::of(above)).into_bytes()
}

fn reseal_signed(bytes: &[u8]) -> Option<Vec<u8>> {
    let (above, last) = split_lines(bytes, 2)?;
    Some([&*above, &*blake3_line(&above), last[1]].concat())
}

fn reseal_hashed(bytes: &[u8]) -> Option<Vec<u8>> {
    let (above, _) = split_lines(bytes, 1)?;
    Some([&*above, &*blake3_line(&above)].concat())
}

#[test]
fn signed_texts() {
    let check = |bytes: &[u8]| {
        let mut accepted = false;
        for purpose in [
            Purpose::Vault,
            Purpose::Manifest,
            Purpose::Log,
            Purpose::Cache,
        ] {
            let Ok(unchecked) = check_damage(bytes, purpose) else {
                continue;
            };
            let above = format!(
                "{}{}",
                purpose.first_line(),
                unchecked.unauthenticated_body()
            );
            let mut written = above.clone().into_bytes();
            written.extend_from_slice(&blake3_line(above.as_bytes()));
            written.extend_from_slice(format!("# hmac-sha256 {} ", unchecked.key).as_bytes());
            let signature = bytes.get(written.len()..).unwrap_or_default().to_vec();
            let is_hex = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
            require(
                signature.len() == 65
                    && signature[..64].iter().all(is_hex)
                    && signature[64] == b'\n',
                "a signature in another form",
            )?;
            written.extend_from_slice(&signature);
            accepted = canonical(&written, bytes)?;
        }
        Ok(accepted)
    };
    Parser {
        name: "signed",
        cases: 1500,
        check,
        reseal: reseal_signed,
    }
    .fuzz();
}

#[test]
fn manifests() {
    let check = |bytes: &[u8]| match text(bytes).map(Manifest::from_body) {
        Some(Ok(manifest)) => canonical(manifest.to_body().expect("TOML").as_bytes(), bytes),
        _ => Ok(false),
    };
    Parser {
        name: "manifest",
        cases: 600,
        check,
        reseal: never,
    }
    .fuzz();
}

#[test]
fn log_entries() {
    let check = |bytes: &[u8]| {
        let Some(Ok(entry)) = text(bytes).map(toml::from_str::<LogEntry>) else {
            return Ok(false);
        };
        // The reader of the log asks for both.
        let written = toml::to_string(&entry).map_err(|error| error.to_string())?;
        let Some(event) = entry.event().filter(|_| written.as_bytes() == bytes) else {
            return Ok(false);
        };
        require(event.kind() == entry.kind, "an event of another kind")?;
        let again: LogEntry = toml::from_str(&written).map_err(|error| error.to_string())?;
        require(again == entry, "an entry that reads differently")?;
        Ok(true)
    };
    Parser {
        name: "log-entry",
        cases: 1000,
        check,
        reseal: never,
    }
    .fuzz();
}

#[test]
fn key_files() {
    let check = |bytes: &[u8]| {
        let field = |name: &str| {
            let text = text(bytes)?;
            let line = text.lines().find_map(|line| line.strip_prefix(name))?;
            line.get(1..line.len().checked_sub(1)?).map(str::to_owned)
        };
        let vault = field("vault = ").and_then(|id| id.parse::<VaultId>().ok());
        let id = field("key = ").and_then(|id| id.parse::<KeyId>().ok());
        let vault = vault.unwrap_or(VaultId::from_bytes([0; 16]));
        let id = id.unwrap_or(KeyId::from_bytes([0; 8]));
        let home = TempDir::with_prefix("git-vault-test-").expect("a directory");
        let directory = keys::directory(home.path(), vault);
        fs::create_dir(&directory).expect("the directory");
        let path = keys::path(home.path(), vault, id);
        fs::write(&path, bytes).expect("the key file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("its mode");
        match keys::load(home.path(), vault, id) {
            Ok(key) => {
                require(key.id() == id && key.vault() == vault, "another key")?;
                Ok(true)
            }
            Err(_refusal) => Ok(false),
        }
    };
    Parser {
        name: "key",
        cases: 500,
        check,
        reseal: reseal_hashed,
    }
    .fuzz();
}

#[test]
fn recovery_kits() {
    let check = |bytes: &[u8]| {
        let Some(Ok(found)) = text(bytes).map(kit::read) else {
            return Ok(false);
        };
        let secrets: Vec<_> = found
            .iter()
            .map(|key| (*key.secret(), key.vault()))
            .collect();
        let keys: Vec<KitKey> = found
            .into_iter()
            .map(|key| KitKey {
                key,
                standing: Standing::Active,
            })
            .collect();
        let written = kit::write(&keys, "", Timestamp::from_seconds(0));
        let again = kit::read(&written).map_err(|error| error.to_string())?;
        let same = again.iter().map(|key| (*key.secret(), key.vault()));
        require(secrets == same.collect::<Vec<_>>(), "another key")?;
        Ok(true)
    };
    Parser {
        name: "kit",
        cases: 2000,
        check,
        reseal: never,
    }
    .fuzz();
}

#[test]
fn escrows() {
    let check = |bytes: &[u8]| {
        let Ok(wrapped) = escrow::describe(bytes) else {
            return Ok(false);
        };
        let text = text(bytes).ok_or("not UTF-8")?;
        for line in [
            format!("vault = \"{}\"\nkey = \"{}\"\n", wrapped.vault, wrapped.key),
            format!("created = \"{}\"\nkdf = \"argon2id\"\n", wrapped.created),
        ] {
            require(text.contains(&line), "a field in another form")?;
        }
        require(text.lines().count() == 12, "more lines than fields")?;
        Ok(true)
    };
    Parser {
        name: "escrow",
        cases: 1500,
        check,
        reseal: reseal_hashed,
    }
    .fuzz();
}

#[test]
fn listings() {
    let check = |bytes: &[u8]| match Listing::parse(bytes) {
        Some(listing) => canonical(listing.to_text().as_bytes(), bytes),
        None => Ok(false),
    };
    Parser {
        name: "listing",
        cases: 1500,
        check,
        reseal: never,
    }
    .fuzz();
}

#[test]
fn escapes() {
    let check = |bytes: &[u8]| {
        if !bytes.is_empty() {
            let written = tree_name(bytes);
            require(
                name_from_tree(&written).as_deref() == Some(bytes),
                "a name in a tree is lost",
            )?;
        }
        let written = text_name(bytes);
        require(
            name_from_text(&written).as_deref() == Some(bytes),
            "a name in a text is lost",
        )?;
        require(
            !written.chars().any(char::is_control),
            "a control character in a name",
        )?;
        if let Some(name) = name_from_tree(bytes) {
            canonical(&tree_name(&name), bytes)?;
        }
        let text = String::from_utf8_lossy(bytes);
        if let Some(name) = name_from_text(&text) {
            canonical(text_name(&name).as_bytes(), text.as_bytes())?;
        }
        let is_steering = |character: char| character.is_control() && character != '\n';
        require(
            !for_terminal(&text).chars().any(is_steering),
            "a terminal is steered",
        )?;
        let json = serde_json::to_string(&text).expect("JSON");
        let safe = for_json(&json);
        require(
            !safe.chars().any(char::is_control),
            "a terminal is steered by JSON",
        )?;
        let read: String = serde_json::from_str(&safe).map_err(|error| error.to_string())?;
        require(read == text, "JSON that means something else")?;
        Ok(true)
    };
    Parser {
        name: "escape",
        cases: 3000,
        check,
        reseal: never,
    }
    .fuzz();
}

#[test]
fn ids() {
    let check = |bytes: &[u8]| {
        let Some(text) = text(bytes) else {
            return Ok(false);
        };
        let found = [
            text.parse::<SnapshotId>().ok().map(|id| id.to_string()),
            text.parse::<VaultId>().ok().map(|id| id.to_string()),
            text.parse::<KeyId>().ok().map(|id| id.to_string()),
            text.parse::<Digest>().ok().map(|id| id.to_string()),
        ];
        let found: Vec<String> = found.into_iter().flatten().collect();
        require(found.len() <= 1, "an id of two kinds")?;
        match found.first() {
            Some(written) => canonical(written.as_bytes(), bytes),
            None => Ok(false),
        }
    };
    Parser {
        name: "ids",
        cases: 3000,
        check,
        reseal: never,
    }
    .fuzz();
}

#[test]
fn timestamps() {
    let check = |bytes: &[u8]| {
        let value = serde_json::Value::from(String::from_utf8_lossy(bytes).as_ref());
        match serde_json::from_value::<Timestamp>(value) {
            Ok(time) => canonical(time.to_string().as_bytes(), bytes),
            Err(_refused) => Ok(false),
        }
    };
    Parser {
        name: "timestamp",
        cases: 3000,
        check,
        reseal: never,
    }
    .fuzz();
}

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
            index.is_tracked(b"README"),
            index.is_tracked(b""),
            index.tracks_below(b"d"),
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
        let Ok(pack) = Pack::open(&path, FORMAT) else {
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
        let target = PackWriter::create(home.path(), "copy", FORMAT);
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
                // Only copying looks at the CRCs that an index states beside the ids.
                Err(error) => require(
                    error
                        .to_string()
                        .contains("another checksum than its index says"),
                    "a whole pack that cannot be copied",
                )?,
            }
        }
        Ok(is_whole)
    };
    Parser {
        name: "pack",
        cases: 400,
        check,
        reseal: reseal_pack,
    }
    .fuzz();
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
