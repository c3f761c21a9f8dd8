//! Signed text: a body of lines, then its BLAKE3 and its HMAC-SHA256 as two comment lines.
//!
//! Every record of a vault has this form (`docs/FORMAT.md`, section "Signed text"). The BLAKE3 needs no key, so damage
//! (BLAKE3 wrong) is told apart from forgery (BLAKE3 right, HMAC wrong) by anybody. What is signed are the raw bytes;
//! nothing in a body is interpreted before both are checked.

use hkdf::Hkdf;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use super::ids::{Digest, KeyId, RepositoryId, VaultId, from_hex, to_hex};

/// What a signature is for; each purpose has its own derived key and its own prefix of the signed bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// `vault.toml`, the description of the vault.
    Vault,
    /// A snapshot's `manifest.toml`.
    Manifest,
    /// A log entry.
    Log,
    /// A cache that only this vault's key holder may have written.
    Cache,
    /// The list of snapshots, a cache as well.
    Index,
    /// The word of a new key that it takes over.
    Rotation,
    /// The packs that an optimize is about to bring.
    Packs,
}

impl Purpose {
    fn name(self) -> &'static str {
        match self {
            Self::Vault => "vault",
            Self::Manifest => "manifest",
            Self::Log => "log",
            Self::Cache => "cache",
            Self::Index => "index",
            Self::Rotation => "rotation",
            Self::Packs => "packs",
        }
    }

    /// The first line of a signed text of this purpose, which names its format and version.
    #[must_use]
    pub fn first_line(self) -> &'static str {
        match self {
            Self::Vault => "# git-vault vault 1\n",
            Self::Manifest => "# git-vault manifest 1\n",
            Self::Log => "# git-vault log entry 1\n",
            Self::Cache => "# git-vault cache 1\n",
            Self::Index => "# git-vault index 1\n",
            Self::Rotation => "# git-vault rotation 1\n",
            Self::Packs => "# git-vault packs 1\n",
        }
    }

    /// What stands before the version in the first line, to tell an unknown version from an unknown file.
    fn magic(self) -> &'static str {
        self.first_line().trim_end_matches("1\n")
    }
}

/// The vault and repository a signature is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Binding {
    /// The vault.
    pub vault: VaultId,
    /// The repository.
    pub repository: RepositoryId,
}

/// The secret that signs a vault's records. Wiped from memory when dropped; never printed.
pub struct SigningKey {
    secret: Zeroizing<[u8; 32]>,
    vault: VaultId,
}

impl std::fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "SigningKey({})", self.id())
    }
}

impl SigningKey {
    /// Makes a key for `vault` from 32 secret bytes.
    #[must_use]
    pub fn new(secret: [u8; 32], vault: VaultId) -> Self {
        Self {
            secret: Zeroizing::new(secret),
            vault,
        }
    }

    /// The vault this key signs for.
    #[must_use]
    pub fn vault(&self) -> VaultId {
        self.vault
    }

    /// The secret bytes, for writing the key file.
    #[must_use]
    pub fn secret(&self) -> &[u8; 32] {
        &self.secret
    }

    /// The public name of this key: the first 8 bytes derived for the purpose `kid`.
    #[must_use]
    pub fn id(&self) -> KeyId {
        let mut bytes = [0; 8];
        self.derive("kid", &mut bytes);
        KeyId::from_bytes(bytes)
    }

    /// The key of 32 bytes derived for `purpose` (HKDF-SHA256, RFC 5869; salt: vault id; info: `git-vault/v1/<purpose>`).
    #[must_use]
    pub fn derived(&self, purpose: Purpose) -> Zeroizing<[u8; 32]> {
        let mut bytes = Zeroizing::new([0; 32]);
        self.derive(purpose.name(), bytes.as_mut_slice());
        bytes
    }

    fn derive(&self, purpose: &str, out: &mut [u8]) {
        let hkdf = Hkdf::<Sha256>::new(Some(self.vault.as_bytes()), self.secret.as_slice());
        // HKDF fails only for more than 255 * 32 bytes of output; callers ask for 8 and 32.
        if hkdf
            .expand(format!("git-vault/v1/{purpose}").as_bytes(), out)
            .is_err()
        {
            out.fill(0);
        }
    }

    /// This key's word that it takes over from `old` with entry `number`: an HMAC over what `rotation_text` gives.
    #[must_use]
    pub fn countersign(
        &self,
        binding: Binding,
        number: u64,
        previous: Digest,
        old: KeyId,
    ) -> Option<Digest> {
        let text = rotation_text(number, previous, old, self.id());
        let mac = self.mac(Purpose::Rotation, binding, text.as_bytes())?;
        let bytes: [u8; 32] = mac.finalize().into_bytes().into();
        Some(Digest::from_bytes(bytes))
    }

    /// Whether a countersignature is this key's, for just this place in the log.
    #[must_use]
    pub fn has_countersigned(
        &self,
        binding: Binding,
        number: u64,
        previous: Digest,
        old: KeyId,
        countersignature: &Digest,
    ) -> bool {
        let text = rotation_text(number, previous, old, self.id());
        self.mac(Purpose::Rotation, binding, text.as_bytes())
            .is_some_and(|mac| mac.verify_slice(countersignature.as_bytes()).is_ok())
    }

    fn mac(&self, purpose: Purpose, binding: Binding, body: &[u8]) -> Option<Hmac<Sha256>> {
        let key = self.derived(purpose);
        let mut mac = Hmac::<Sha256>::new_from_slice(key.as_slice()).ok()?;
        mac.update(format!("git-vault/v1/{}\0", purpose.name()).as_bytes());
        mac.update(binding.vault.as_bytes());
        mac.update(binding.repository.as_bytes());
        mac.update(&(body.len() as u64).to_le_bytes());
        mac.update(body);
        Some(mac)
    }
}

/// What a new key signs to take over (`docs/FORMAT.md`, "Rotation").
fn rotation_text(number: u64, previous: Digest, old: KeyId, new: KeyId) -> String {
    format!(
        "{}number = {number}\nprevious = \"{previous}\"\nold = \"{old}\"\nnew = \"{new}\"\n",
        Purpose::Rotation.first_line()
    )
}

/// Why a signed text is not accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignedError {
    /// Not in the form of a signed text of this purpose.
    Malformed(&'static str),
    /// The right kind of file, in a version this program does not know.
    UnknownVersion(String),
    /// The bytes are not those that were written.
    Damaged {
        /// The digest the file states.
        expected: String,
        /// The digest of the bytes found.
        found: Digest,
    },
    /// Signed with a key that is not at hand.
    OtherKey(KeyId),
    /// The digest is right and the signature is wrong: changed by somebody without the key.
    Forged,
}

impl std::fmt::Display for SignedError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(reason) => write!(formatter, "malformed: {reason}"),
            Self::UnknownVersion(line) => write!(formatter, "unknown format '{line}'"),
            Self::Damaged { expected, found } => {
                write!(
                    formatter,
                    "content hash is wrong: expected {expected}, found {found}"
                )
            }
            Self::OtherKey(key) => write!(formatter, "signed with key {key}, which is not at hand"),
            Self::Forged => formatter.write_str("content hash is right, signature is wrong"),
        }
    }
}

/// Signs `body`, which must be lines of text without the first line of its purpose; gives the whole file.
///
/// # Errors
/// When the HMAC cannot be computed; the implementation in use never fails.
pub fn sign(
    body: &str,
    purpose: Purpose,
    binding: Binding,
    key: &SigningKey,
) -> Result<Vec<u8>, SignedError> {
    let mut text = format!("{}{body}", purpose.first_line());
    let digest = Digest::of(text.as_bytes());
    let mac = key
        .mac(purpose, binding, text.as_bytes())
        .ok_or(SignedError::Malformed("no signature"))?;
    let signature = to_hex(&mac.finalize().into_bytes());
    text.push_str(&format!(
        "# blake3 {digest}\n# hmac-sha256 {} {signature}\n",
        key.id()
    ));
    Ok(text.into_bytes())
}

/// The parts of a signed text whose signature has not been looked at yet.
#[derive(Debug, Clone, Copy)]
pub struct Unchecked<'a> {
    /// Everything above the two last lines, the first line included.
    signed: &'a [u8],
    body: &'a str,
    /// The key that is said to have signed.
    pub key: KeyId,
    signature: [u8; 32],
}

/// Takes a signed text apart and checks its form and its BLAKE3, which needs no key.
///
/// # Errors
/// [`SignedError::Malformed`], [`SignedError::UnknownVersion`] or [`SignedError::Damaged`].
pub fn check_damage(bytes: &[u8], purpose: Purpose) -> Result<Unchecked<'_>, SignedError> {
    let text =
        std::str::from_utf8(bytes).map_err(|_not_utf8| SignedError::Malformed("not UTF-8"))?;
    let first = text.split_inclusive('\n').next().unwrap_or_default();
    if first != purpose.first_line() {
        return Err(if first.starts_with(purpose.magic()) {
            SignedError::UnknownVersion(first.trim_end().to_owned())
        } else {
            SignedError::Malformed("the first line does not name this format")
        });
    }
    let malformed = SignedError::Malformed("the last two lines are not a hash and a signature");
    let (rest, hmac_line) = split_last_line(text).ok_or(malformed.clone())?;
    let (signed, blake3_line) = split_last_line(rest).ok_or(malformed.clone())?;
    let stated = blake3_line
        .strip_prefix("# blake3 ")
        .ok_or(malformed.clone())?;
    let found = Digest::of(signed.as_bytes());
    if stated != found.to_string() {
        return Err(SignedError::Damaged {
            expected: super::escape::for_terminal(stated),
            found,
        });
    }
    let fields = hmac_line
        .strip_prefix("# hmac-sha256 ")
        .ok_or(malformed.clone())?;
    let (key, signature) = fields.split_once(' ').ok_or(malformed.clone())?;
    Ok(Unchecked {
        signed: signed.as_bytes(),
        body: signed.get(first.len()..).ok_or(malformed.clone())?,
        key: key.parse().map_err(|_not_an_id| malformed.clone())?,
        signature: from_hex(signature)
            .and_then(|bytes| bytes.try_into().ok())
            .ok_or(malformed)?,
    })
}

impl<'a> Unchecked<'a> {
    /// Checks the signature and gives the body, without the first and the last two lines.
    ///
    /// # Errors
    /// [`SignedError::OtherKey`] or [`SignedError::Forged`].
    pub fn authenticate(
        self,
        purpose: Purpose,
        binding: Binding,
        key: &SigningKey,
    ) -> Result<&'a str, SignedError> {
        if self.key != key.id() {
            return Err(SignedError::OtherKey(self.key));
        }
        let mac = key
            .mac(purpose, binding, self.signed)
            .ok_or(SignedError::Forged)?;
        // `verify_slice` compares in constant time.
        mac.verify_slice(&self.signature)
            .map_err(|_wrong| SignedError::Forged)?;
        Ok(self.body)
    }

    /// The body before its signature is checked: only for finding out which key to ask for.
    #[must_use]
    pub fn unauthenticated_body(&self) -> &'a str {
        self.body
    }
}

/// Checks form, BLAKE3 and signature; gives the body.
///
/// # Errors
/// Any [`SignedError`].
pub fn open<'a>(
    bytes: &'a [u8],
    purpose: Purpose,
    binding: Binding,
    key: &SigningKey,
) -> Result<&'a str, SignedError> {
    check_damage(bytes, purpose)?.authenticate(purpose, binding, key)
}

/// Splits the last line (without its line feed) from a text that ends in one.
fn split_last_line(text: &str) -> Option<(&str, &str)> {
    let without_end = text.strip_suffix('\n')?;
    let start = without_end.rfind('\n')? + 1;
    Some((text.get(..start)?, without_end.get(start..)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding() -> Binding {
        Binding {
            vault: VaultId::from_bytes([1; 16]),
            repository: RepositoryId::from_bytes([2; 16]),
        }
    }

    fn key() -> SigningKey {
        SigningKey::new([7; 32], binding().vault)
    }

    #[test]
    fn what_is_signed_opens_again() {
        let bytes = sign("a = 1\n", Purpose::Log, binding(), &key()).unwrap();
        assert_eq!(open(&bytes, Purpose::Log, binding(), &key()), Ok("a = 1\n"));
    }

    #[test]
    fn any_flipped_bit_is_refused() {
        let bytes = sign("a = 1\n", Purpose::Log, binding(), &key()).unwrap();
        for position in 0..bytes.len() {
            for bit in 0..8 {
                let mut changed = bytes.clone();
                changed[position] ^= 1 << bit;
                assert!(
                    open(&changed, Purpose::Log, binding(), &key()).is_err(),
                    "byte {position} bit {bit}"
                );
            }
        }
    }

    #[test]
    fn damage_and_forgery_are_told_apart() {
        let bytes = sign("a = 1\n", Purpose::Log, binding(), &key()).unwrap();
        let damaged = String::from_utf8(bytes.clone())
            .unwrap()
            .replace("a = 1", "a = 2");
        assert!(matches!(
            open(damaged.as_bytes(), Purpose::Log, binding(), &key()),
            Err(SignedError::Damaged { .. })
        ));
        let other = SigningKey::new([8; 32], binding().vault);
        let forged = sign("a = 2\n", Purpose::Log, binding(), &other).unwrap();
        assert_eq!(
            open(&forged, Purpose::Log, binding(), &key()),
            Err(SignedError::OtherKey(other.id()))
        );
        let forged = String::from_utf8(forged)
            .unwrap()
            .replace(&other.id().to_string(), &key().id().to_string());
        assert_eq!(
            open(forged.as_bytes(), Purpose::Log, binding(), &key()),
            Err(SignedError::Forged)
        );
    }

    #[test]
    fn a_signature_holds_for_one_purpose_and_one_vault_only() {
        let bytes = sign("a = 1\n", Purpose::Log, binding(), &key()).unwrap();
        let elsewhere = Binding {
            repository: RepositoryId::from_bytes([3; 16]),
            ..binding()
        };
        assert_eq!(
            open(&bytes, Purpose::Log, elsewhere, &key()),
            Err(SignedError::Forged)
        );
        let renamed = String::from_utf8(bytes)
            .unwrap()
            .replace("log entry", "manifest");
        assert!(open(renamed.as_bytes(), Purpose::Manifest, binding(), &key()).is_err());
    }

    #[test]
    fn a_newer_version_is_named_as_such() {
        let newer = b"# git-vault log entry 2\n# blake3 0\n# hmac-sha256 0 0\n";
        assert_eq!(
            check_damage(newer, Purpose::Log).unwrap_err(),
            SignedError::UnknownVersion("# git-vault log entry 2".to_owned())
        );
    }
}
