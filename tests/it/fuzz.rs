//! Every parser of records, fed with what nobody would write: it never stops the program, and takes each thing in one form only.

use std::fs;
use std::os::unix::fs::PermissionsExt;

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

/// A finding unless it holds.
pub fn require(holds: bool, what: &str) -> Result<(), String> {
    holds.then_some(()).ok_or_else(|| what.to_owned())
}

/// For formats without checksums.
pub fn never(_bytes: &[u8]) -> Option<Vec<u8>> {
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
