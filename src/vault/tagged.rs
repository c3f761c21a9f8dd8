//! Files in the state home that save reading and never decide truth: a tag, the id of the key that made it, and what was noted. One that is
//! not exactly what the key holder wrote, in the same account, counts as none.

use std::borrow::Borrow;
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::host::disk;
use crate::host::machine::user;
use crate::model::ids::{KeyId, from_hex, to_hex};
use crate::model::signed::{Binding, Purpose, SigningKey};

/// Bytes of the tag that comes first.
const TAG_BYTES: usize = 32;
/// Bytes of the id of the key that made the tag, which come next.
const KEY_BYTES: usize = 8;

/// What such a file is: its contents are bound to that, and to the vault.
#[derive(Debug, Clone, Copy)]
pub(super) struct Kind {
    /// Its name, with the version of its form.
    pub(super) name: &'static str,
    /// Largest one read and written.
    pub(super) limit_bytes: u64,
}

/// The tag of what comes behind it.
fn tag(kind: Kind, key: &SigningKey, binding: Binding, bytes: &[u8]) -> [u8; 32] {
    let mut hasher = blake3::Hasher::new_keyed(&key.derived(Purpose::Cache));
    hasher.update(format!("{} {}\n", kind.name, binding.vault).as_bytes());
    *hasher.update(bytes).finalize().as_bytes()
}

/// Reads such a file, if the key that it names, as `find` gives it, made its tag, and the user who asks wrote it: what may be read depends on
/// who asks.
pub(super) fn read<T, K>(
    kind: Kind,
    path: &Path,
    binding: Binding,
    find: impl FnOnce(KeyId) -> Option<K>,
) -> Option<(KeyId, T)>
where
    T: DeserializeOwned,
    K: Borrow<SigningKey>,
{
    let bytes = disk::read_bounded(path, kind.limit_bytes).ok()?;
    let (stated, rest) = bytes.split_first_chunk::<TAG_BYTES>()?;
    let (key, content) = rest.split_first_chunk::<KEY_BYTES>()?;
    let key: KeyId = to_hex(key).parse().ok()?;
    let signer = find(key)?;
    let made = tag(kind, signer.borrow(), binding, rest);
    if blake3::Hash::from(*stated) != blake3::Hash::from(made) {
        return None;
    }
    let (writer, content): (u32, T) = postcard::from_bytes(content).ok()?;
    (writer == user()).then_some((key, content))
}

/// Writes such a file, unless it would be too large to be read. It need not be durable: a torn one counts as none.
///
/// # Errors
/// When it cannot be written; nothing depends on it.
pub(super) fn write(
    kind: Kind,
    path: &Path,
    binding: Binding,
    key: &SigningKey,
    content: &impl Serialize,
) -> disk::Result<()> {
    let mut bytes = vec![0; TAG_BYTES];
    bytes.extend(from_hex(&key.id().to_string()).unwrap_or_default());
    let mut bytes = postcard::to_extend(&(user(), content), bytes).map_err(|error| {
        disk::Error::new("write", path, std::io::Error::other(error.to_string()))
    })?;
    if bytes.len() as u64 > kind.limit_bytes {
        return Ok(());
    }
    if let Some((place, rest)) = bytes.split_first_chunk_mut::<TAG_BYTES>() {
        *place = tag(kind, key, binding, rest);
    }
    disk::replace_cache_anywhere(path, &bytes)
}
