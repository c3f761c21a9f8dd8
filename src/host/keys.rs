//! Key files: made with the vault, kept outside it, checked on every load.

use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use serde::Deserialize;
use zeroize::Zeroizing;

use crate::host::disk;
use crate::host::random::random_bytes;
use crate::model::escape::shell_word;
use crate::model::ids::{Digest, KeyId, VaultId, from_hex, to_hex};
use crate::model::refusal::Refusal;
use crate::model::refusal_code::RefusalCode;
use crate::model::signed::SigningKey;
use crate::model::timestamp::Timestamp;

/// First line of a key file.
const FIRST_LINE: &str = "# git-vault key 1\n";

/// Largest key file read.
const LIMIT_BYTES: u64 = 4096;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct KeyFile {
    vault: VaultId,
    key: KeyId,
    created: Timestamp,
    secret: Zeroizing<String>,
}

/// Where the keys of a vault are kept.
#[must_use]
pub fn directory(key_home: &Path, vault: VaultId) -> PathBuf {
    key_home.join(vault.to_string())
}

/// Where a key is kept.
#[must_use]
pub fn path(key_home: &Path, vault: VaultId, key: KeyId) -> PathBuf {
    directory(key_home, vault).join(format!("{key}.key"))
}

/// Makes a new key for a vault and writes its file, durably; never over another.
///
/// # Errors
/// When the system gives no random bytes or the file cannot be written.
pub fn create(
    key_home: &Path,
    vault: VaultId,
    at: Timestamp,
) -> Result<(SigningKey, PathBuf), Refusal> {
    let secret = random_bytes().ok_or_else(|| {
        Refusal::new(RefusalCode::Internal, "the system gives no random bytes")
            .because("without them anybody could guess the key")
    })?;
    let key = SigningKey::new(secret, vault);
    let path = path(key_home, vault, key.id());
    write(key_home, &key, at, &path)?;
    load(key_home, vault, key.id()).map(|key| (key, path))
}

/// What became of a key that was to be stored.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stored {
    /// Its file was written.
    Now,
    /// It was there already, with the same secret.
    Before,
}

/// Stores a key that came from elsewhere; never over another file.
///
/// # Errors
/// When a file that is not this key is in its place, or it cannot be written.
pub fn store(
    key_home: &Path,
    key: &SigningKey,
    at: Timestamp,
) -> Result<(PathBuf, Stored), Refusal> {
    let path = path(key_home, key.vault(), key.id());
    if path.symlink_metadata().is_ok() {
        let known = load(key_home, key.vault(), key.id())?;
        if known.secret() == key.secret() {
            return Ok((path, Stored::Before));
        }
        return Err(Refusal::new(
            RefusalCode::KeyUnreadable,
            format!("'{}' holds another key", path.display()),
        ));
    }
    write(key_home, key, at, &path)?;
    load(key_home, key.vault(), key.id()).map(|_loaded| (path, Stored::Now))
}

fn write(key_home: &Path, key: &SigningKey, at: Timestamp, path: &Path) -> Result<(), Refusal> {
    let directory = directory(key_home, key.vault());
    let random: [u8; 8] = random_bytes().unwrap_or_default();
    let temporary = directory.join(format!("{}.part", to_hex(&random)));
    let write = || {
        disk::create_directories(&directory)?;
        disk::write_new(&temporary, &to_bytes(key, at))?;
        // A file with the key's name is whole: what an interruption cuts short has another name.
        disk::rename_new(&temporary, path)?;
        disk::sync_directory(&directory)
    };
    write().map_err(|error: disk::Error| {
        let refusal = error.refuse(RefusalCode::KeyUnreadable);
        let left = [&temporary, path];
        match left.iter().find(|left| left.symlink_metadata().is_ok()) {
            Some(left) => refusal.having_changed(format!(
                "what was written of a key stays in '{}': a secret, and not to be relied on",
                left.display()
            )),
            None => refusal,
        }
    })
}

fn to_bytes(key: &SigningKey, at: Timestamp) -> Zeroizing<Vec<u8>> {
    let secret = Zeroizing::new(to_hex(key.secret()));
    let text = Zeroizing::new(format!(
        "{FIRST_LINE}vault = \"{}\"\nkey = \"{}\"\ncreated = \"{at}\"\nsecret = \"{}\"\n",
        key.vault(),
        key.id(),
        &*secret
    ));
    let digest = Digest::of(text.as_bytes());
    Zeroizing::new(format!("{}# blake3 {digest}\n", &*text).into_bytes())
}

/// Loads a key and checks its file: an ordinary file with one name, ours, closed to others, whole, and the right one.
///
/// # Errors
/// [`RefusalCode::KeyMissing`], [`RefusalCode::KeyUnsafe`] or [`RefusalCode::KeyUnreadable`].
pub fn load(key_home: &Path, vault: VaultId, key: KeyId) -> Result<SigningKey, Refusal> {
    let path = path(key_home, vault, key);
    check_directory(&directory(key_home, vault), vault, key, &path)?;
    check_file(&path, vault, key)?;
    let bytes = disk::read_bounded(&path, LIMIT_BYTES)
        .map_err(|error| error.refuse(RefusalCode::KeyUnreadable))?;
    let bytes = Zeroizing::new(bytes);
    let loaded = parse(&bytes).ok_or_else(|| {
        Refusal::new(
            RefusalCode::KeyUnreadable,
            format!("the key file '{}' is damaged", path.display()),
        )
        .because("its form or its checksum is wrong")
        .keeping("the vault is untouched; another copy of the key still opens it")
    })?;
    if loaded.vault() != vault || loaded.id() != key {
        let found = format!(
            "expected key {key} of vault {vault}, found key {} of vault {}",
            loaded.id(),
            loaded.vault()
        );
        return Err(Refusal::new(
            RefusalCode::KeyUnreadable,
            format!("'{}' holds another key", path.display()),
        )
        .because(found));
    }
    Ok(loaded)
}

/// Reads a key file; `None` unless it is in the one form in which it is written, and its checksum and its key id are right.
#[must_use]
pub fn parse(bytes: &[u8]) -> Option<SigningKey> {
    let text = std::str::from_utf8(bytes).ok()?;
    let body_end = text.strip_suffix('\n')?.rfind('\n')? + 1;
    let (body, last) = text.split_at_checked(body_end)?;
    if last != format!("# blake3 {}\n", Digest::of(body.as_bytes())) {
        return None;
    }
    let file: KeyFile = toml::from_str(body.strip_prefix(FIRST_LINE)?).ok()?;
    let secret = Zeroizing::new(from_hex(&file.secret)?);
    let key = SigningKey::new(secret.as_slice().try_into().ok()?, file.vault);
    let is_canonical = *to_bytes(&key, file.created) == bytes;
    (key.id() == file.key && is_canonical).then_some(key)
}

fn missing(vault: VaultId, key: KeyId, path: &Path) -> Refusal {
    Refusal::new(
        RefusalCode::KeyMissing,
        format!("the key {key} of vault {vault} is not on this machine"),
    )
    .because(format!("there is no file '{}'", path.display()))
    .keeping("the vault is untouched; with the key it opens again")
    .next(
        "git vault key import KIT",
        "brings the keys back from a recovery kit or a copy of the key file",
    )
    .next(
        "git vault key import --escrow",
        "opens the copies in the vault, if you made some",
    )
    .next(
        "git vault verify",
        "says, without the key, whether the bytes are whole",
    )
}

fn unsafe_key(path: &Path, fact: String) -> Refusal {
    Refusal::new(
        RefusalCode::KeyUnsafe,
        format!("'{}' is not safe from others", path.display()),
    )
    .because(fact)
    .keeping("the vault and the key are untouched")
    .next(
        format!("ls -ld {}", shell_word(path)),
        "shows owner, permissions and links",
    )
}

fn check_directory(
    directory: &Path,
    vault: VaultId,
    key: KeyId,
    path: &Path,
) -> Result<(), Refusal> {
    match std::fs::symlink_metadata(directory) {
        Ok(metadata) if !metadata.is_dir() => {
            Err(unsafe_key(directory, "it is not a directory".to_owned()))
        }
        Ok(metadata) => check_owner_and_mode(directory, &metadata, 0o022),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            Err(missing(vault, key, path))
        }
        Err(error) => {
            Err(disk::Error::new("look at", directory, error).refuse(RefusalCode::KeyUnreadable))
        }
    }
}

fn check_file(path: &Path, vault: VaultId, key: KeyId) -> Result<(), Refusal> {
    let metadata = match std::fs::symlink_metadata(path) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            return Err(missing(vault, key, path));
        }
        Err(error) => {
            return Err(disk::Error::new("look at", path, error).refuse(RefusalCode::KeyUnreadable));
        }
    };
    if !metadata.file_type().is_file() {
        return Err(unsafe_key(path, "it is not an ordinary file".to_owned()));
    }
    if metadata.nlink() != 1 {
        return Err(unsafe_key(
            path,
            format!("it has {} names (hard links)", metadata.nlink()),
        ));
    }
    check_owner_and_mode(path, &metadata, 0o077)
}

fn check_owner_and_mode(
    path: &Path,
    metadata: &std::fs::Metadata,
    forbidden: u32,
) -> Result<(), Refusal> {
    let user = rustix::process::geteuid().as_raw();
    if metadata.uid() != user {
        return Err(unsafe_key(
            path,
            format!("it belongs to user {}, not to user {user}", metadata.uid()),
        ));
    }
    let mode = metadata.permissions().mode() & 0o7777;
    if mode & forbidden != 0 {
        return Err(unsafe_key(
            path,
            format!("its permissions are {mode:o}, which lets others in"),
        ));
    }
    Ok(())
}
