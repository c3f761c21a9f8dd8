//! Escrow: a copy of a key wrapped with a passphrase, which may lie where others can read it.
//!
//! `docs/FORMAT.md`, section "Escrow", is the specification. Whoever reads the file can guess passphrases; Argon2id makes
//! each guess cost time and memory. What the file asks for is bounded before any of it is spent.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use chacha20poly1305::aead::AeadInOut;
use chacha20poly1305::{KeyInit, XChaCha20Poly1305};
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::host::random::random_bytes;
use crate::model::ids::{Digest, KeyId, VaultId, from_hex, to_hex};
use crate::model::refusal::Refusal;
use crate::model::refusal_code::RefusalCode;
use crate::model::signed::SigningKey;
use crate::model::timestamp::Timestamp;

/// First line of an escrow.
const FIRST_LINE: &str = "# git-vault escrow 1\n";

/// The largest file that is read.
pub const LIMIT_BYTES: usize = 8 << 10;

const SECRET_BYTES: usize = 32;
const TAG_BYTES: usize = 16;

/// The one function that makes a key from a passphrase.
const KDF: &str = "argon2id";

/// What deriving the wrapping key costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

/// What new copies cost: less than a second on a small machine.
const COST: Cost = Cost {
    memory_kib: 64 << 10,
    passes: 3,
    lanes: 4,
};

/// The most that a file may ask for, whoever wrote it.
const MOST: Cost = Cost {
    memory_kib: 256 << 10,
    passes: 16,
    lanes: 16,
};

/// The body, in the order of the file.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Body {
    vault: VaultId,
    key: KeyId,
    created: Timestamp,
    kdf: String,
    // Wider than what is given, so that an absurd wish is named as such.
    memory_kib: u64,
    passes: u64,
    lanes: u64,
    salt: String,
    nonce: String,
    sealed: String,
}

/// What an escrow says of itself. It is not authentic before the passphrase has opened it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wrapped {
    /// The vault of the key.
    pub vault: VaultId,
    /// The key.
    pub key: KeyId,
    /// When it was wrapped.
    pub created: Timestamp,
}

/// Why an escrow does not give its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EscrowError {
    /// Not in the form of an escrow.
    Malformed(&'static str),
    /// An escrow of a version that is not known.
    UnknownVersion,
    /// The bytes are not those that were written.
    Damaged,
    /// Opening it would cost more than this program spends.
    TooCostly {
        /// What is asked for too much, such as `memory_kib`.
        what: &'static str,
        /// How much is asked for.
        asked: u64,
        /// The most that is given.
        most: u32,
    },
    /// The machine does not have the memory.
    NoMemory {
        /// How much is needed.
        kib: u32,
    },
    /// The passphrase does not open it.
    WrongPassphrase,
    /// It holds another key than it says.
    OtherKey {
        /// The key it names.
        stated: KeyId,
        /// The key it holds.
        found: KeyId,
    },
}

impl std::fmt::Display for EscrowError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Malformed(reason) => write!(formatter, "malformed: {reason}"),
            Self::UnknownVersion => {
                formatter.write_str("an escrow of a version that this program does not know")
            }
            Self::Damaged => formatter.write_str("damaged: its BLAKE3 is wrong"),
            Self::TooCostly { what, asked, most } => write!(
                formatter,
                "opening it costs too much: it asks for {what} = {asked}, the most is {most}"
            ),
            Self::NoMemory { kib } => {
                write!(
                    formatter,
                    "opening it needs {kib} KiB of memory, which there are not"
                )
            }
            Self::WrongPassphrase => formatter.write_str(
                "the passphrase does not open it: it is another one, or somebody changed the file",
            ),
            Self::OtherKey { stated, found } => write!(
                formatter,
                "it holds another key than it says: expected {stated}, found {found}"
            ),
        }
    }
}

impl std::error::Error for EscrowError {}

/// Wraps a key with a passphrase; gives the whole file.
///
/// # Errors
/// When the passphrase is empty, the system gives no random bytes, or there is not enough memory.
pub fn wrap(key: &SigningKey, passphrase: &[u8], at: Timestamp) -> Result<Vec<u8>, Refusal> {
    if passphrase.is_empty() {
        return Err(
            Refusal::new(RefusalCode::SettingInvalid, "the passphrase is empty")
                .because("anybody could open the copy of the key"),
        );
    }
    let internal = |fact: String| {
        Refusal::new(RefusalCode::Internal, "the key cannot be wrapped").because(fact)
    };
    let no_random = || internal("the system gives no random bytes".to_owned());
    let salt = random_bytes().ok_or_else(no_random)?;
    let nonce = random_bytes().ok_or_else(no_random)?;
    let wrapped = wrap_at(key, passphrase, at, COST, (salt, nonce))
        .map_err(|error| internal(error.to_string()))?;
    // What could not be opened again would be no copy.
    let again = open(&wrapped, passphrase).map_err(|error| internal(error.to_string()))?;
    if again.id() == key.id() {
        Ok(wrapped)
    } else {
        Err(internal("it would hold another key".to_owned()))
    }
}

/// Wraps at a chosen cost, with salt and nonce given.
fn wrap_at(
    key: &SigningKey,
    passphrase: &[u8],
    at: Timestamp,
    cost: Cost,
    (salt, nonce): ([u8; 16], [u8; 24]),
) -> Result<Vec<u8>, EscrowError> {
    let mut body = Body {
        vault: key.vault(),
        key: key.id(),
        created: at,
        kdf: KDF.to_owned(),
        memory_kib: cost.memory_kib.into(),
        passes: cost.passes.into(),
        lanes: cost.lanes.into(),
        salt: to_hex(&salt),
        nonce: to_hex(&nonce),
        sealed: String::new(),
    };
    let cipher = cipher(passphrase, &salt, cost)?;
    let mut secret = Zeroizing::new(*key.secret());
    let tag = cipher
        .encrypt_inout_detached(
            &nonce.into(),
            bound(&to_text(&body)?)?.as_bytes(),
            secret.as_mut_slice().into(),
        )
        .map_err(|_too_long| EscrowError::Malformed("too long"))?;
    body.sealed = to_hex(secret.as_slice()) + &to_hex(&tag);
    let text = to_text(&body)?;
    Ok(format!("{text}# blake3 {}\n", Digest::of(text.as_bytes())).into_bytes())
}

/// First line and body in their one form.
fn to_text(body: &Body) -> Result<String, EscrowError> {
    let body = toml::to_string(body).map_err(|_unwritable| EscrowError::Malformed("its fields"))?;
    Ok(format!("{FIRST_LINE}{body}"))
}

/// What the cipher binds the secret to: everything above the line `sealed`.
fn bound(text: &str) -> Result<&str, EscrowError> {
    text.split_once("sealed = ")
        .map(|(above, _)| above)
        .ok_or(EscrowError::Malformed("its fields"))
}

/// What the file says, its form, its bounds and its BLAKE3 checked; no passphrase is needed.
///
/// # Errors
/// [`EscrowError::Malformed`], [`EscrowError::UnknownVersion`], [`EscrowError::Damaged`] or [`EscrowError::TooCostly`].
pub fn describe(bytes: &[u8]) -> Result<Wrapped, EscrowError> {
    let Parsed { body, .. } = parse(bytes)?;
    Ok(Wrapped {
        vault: body.vault,
        key: body.key,
        created: body.created,
    })
}

/// Opens an escrow with its passphrase.
///
/// # Errors
/// Any [`EscrowError`].
pub fn open(bytes: &[u8], passphrase: &[u8]) -> Result<SigningKey, EscrowError> {
    let parsed = parse(bytes)?;
    if passphrase.is_empty() {
        return Err(EscrowError::WrongPassphrase);
    }
    let cipher = cipher(passphrase, &parsed.salt, parsed.cost)?;
    let mut secret = Zeroizing::new(parsed.secret);
    cipher
        .decrypt_inout_detached(
            &parsed.nonce.into(),
            bound(parsed.text)?.as_bytes(),
            secret.as_mut_slice().into(),
            &parsed.tag.into(),
        )
        .map_err(|_wrong| EscrowError::WrongPassphrase)?;
    let key = SigningKey::new(*secret, parsed.body.vault);
    if key.id() == parsed.body.key {
        Ok(key)
    } else {
        Err(EscrowError::OtherKey {
            stated: parsed.body.key,
            found: key.id(),
        })
    }
}

/// An escrow taken apart.
struct Parsed<'a> {
    /// Everything above the last line.
    text: &'a str,
    body: Body,
    cost: Cost,
    salt: [u8; 16],
    nonce: [u8; 24],
    /// Still encrypted.
    secret: [u8; SECRET_BYTES],
    tag: [u8; TAG_BYTES],
}

fn parse(bytes: &[u8]) -> Result<Parsed<'_>, EscrowError> {
    let malformed = EscrowError::Malformed;
    if bytes.len() > LIMIT_BYTES {
        return Err(malformed("larger than an escrow can be"));
    }
    let text = std::str::from_utf8(bytes).map_err(|_not_utf8| malformed("not UTF-8"))?;
    let (first, _) = text.split_once('\n').unwrap_or((text, ""));
    if first != FIRST_LINE.trim_end() {
        return Err(if first.starts_with(FIRST_LINE.trim_end_matches("1\n")) {
            EscrowError::UnknownVersion
        } else {
            malformed("the first line does not name this format")
        });
    }
    let (text, last) = split_last_line(text).ok_or(malformed("the last line is no hash"))?;
    let stated: Digest = last
        .strip_prefix("# blake3 ")
        .and_then(|digits| digits.parse().ok())
        .ok_or(malformed("the last line is no hash"))?;
    if stated != Digest::of(text.as_bytes()) {
        return Err(EscrowError::Damaged);
    }
    let body = text.strip_prefix(FIRST_LINE).unwrap_or_default();
    let body: Body = toml::from_str(body).map_err(|_unknown| malformed("its fields"))?;
    if body.kdf != KDF || to_text(&body).as_deref() != Ok(text) {
        return Err(malformed("not in its one form"));
    }
    let sealed: [u8; SECRET_BYTES + TAG_BYTES] = bytes_of(&body.sealed, "its field sealed")?;
    let (secret, tag) = sealed
        .split_first_chunk()
        .ok_or(malformed("its field sealed"))?;
    Ok(Parsed {
        cost: check_cost(&body)?,
        salt: bytes_of(&body.salt, "its field salt")?,
        nonce: bytes_of(&body.nonce, "its field nonce")?,
        secret: *secret,
        tag: tag
            .try_into()
            .map_err(|_wrong_length| malformed("its field sealed"))?,
        text,
        body,
    })
}

fn split_last_line(text: &str) -> Option<(&str, &str)> {
    let start = text.strip_suffix('\n')?.rfind('\n')? + 1;
    let (above, last) = text.split_at_checked(start)?;
    Some((above, last.strip_suffix('\n')?))
}

fn bytes_of<const LENGTH: usize>(
    digits: &str,
    field: &'static str,
) -> Result<[u8; LENGTH], EscrowError> {
    from_hex(digits)
        .and_then(|bytes| bytes.try_into().ok())
        .ok_or(EscrowError::Malformed(field))
}

/// Bounds what a file may ask for, so that nobody makes this program use up the machine.
fn check_cost(body: &Body) -> Result<Cost, EscrowError> {
    let bounded = |what, asked: u64, most: u32| {
        u32::try_from(asked)
            .ok()
            .filter(|asked| *asked <= most)
            .ok_or(EscrowError::TooCostly { what, asked, most })
    };
    let cost = Cost {
        memory_kib: bounded("memory_kib", body.memory_kib, MOST.memory_kib)?,
        passes: bounded("passes", body.passes, MOST.passes)?,
        lanes: bounded("lanes", body.lanes, MOST.lanes)?,
    };
    if cost.passes == 0 || cost.lanes == 0 || cost.memory_kib < 8 * cost.lanes {
        return Err(EscrowError::Malformed(
            "it asks for less than Argon2id can do",
        ));
    }
    Ok(cost)
}

/// The cipher with the key that Argon2id makes from the passphrase.
fn cipher(passphrase: &[u8], salt: &[u8], cost: Cost) -> Result<XChaCha20Poly1305, EscrowError> {
    let refused = |_error| EscrowError::Malformed("Argon2 refuses what it asks for");
    let parameters = Params::new(cost.memory_kib, cost.passes, cost.lanes, Some(SECRET_BYTES))
        .map_err(refused)?;
    let mut memory: Zeroizing<Vec<Block>> = Zeroizing::new(Vec::new());
    memory
        .try_reserve_exact(parameters.block_count())
        .map_err(|_no_memory| EscrowError::NoMemory {
            kib: cost.memory_kib,
        })?;
    memory.resize(parameters.block_count(), Block::new());
    let mut key = Zeroizing::new([0; SECRET_BYTES]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, parameters)
        .hash_password_into_with_memory(passphrase, salt, key.as_mut_slice(), memory.as_mut_slice())
        .map_err(refused)?;
    Ok(XChaCha20Poly1305::new((&*key).into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The least that Argon2id can do: a test opens thousands.
    const CHEAP: Cost = Cost {
        memory_kib: 8,
        passes: 1,
        lanes: 1,
    };

    fn key() -> SigningKey {
        SigningKey::new([7; 32], VaultId::from_bytes([1; 16]))
    }

    fn cheap() -> Vec<u8> {
        let (salt, nonce) = ([3; 16], [4; 24]);
        wrap_at(
            &key(),
            b"correct",
            Timestamp::from_seconds(0),
            CHEAP,
            (salt, nonce),
        )
        .unwrap()
    }

    /// Changes the text above the last line and states its BLAKE3 anew, as somebody without the passphrase can.
    fn changed(from: &str, to: &str) -> Vec<u8> {
        let text = String::from_utf8(cheap()).unwrap();
        let (above, _) = split_last_line(&text).unwrap();
        assert_eq!(above.matches(from).count(), 1, "{from}");
        let above = above.replace(from, to);
        format!("{above}# blake3 {}\n", Digest::of(above.as_bytes())).into_bytes()
    }

    #[test]
    fn what_is_wrapped_opens_with_its_passphrase_and_no_other() {
        let at = Timestamp::from_seconds(1_800_000_000);
        let wrapped = wrap(&key(), b"correct horse", at).unwrap();
        let opened = open(&wrapped, b"correct horse").unwrap();
        assert_eq!(opened.secret(), key().secret());
        assert_eq!(opened.vault(), key().vault());
        let described = Wrapped {
            vault: key().vault(),
            key: key().id(),
            created: at,
        };
        assert_eq!(describe(&wrapped), Ok(described));
        assert!(
            String::from_utf8_lossy(&wrapped)
                .contains("memory_kib = 65536\npasses = 3\nlanes = 4\n")
        );
        assert_eq!(
            open(&wrapped, b"correct horsf").unwrap_err(),
            EscrowError::WrongPassphrase
        );
    }

    #[test]
    fn two_copies_share_neither_salt_nor_nonce() {
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let at = Timestamp::from_seconds(0);
        let (one, two) = (
            text(wrap(&key(), b"x", at).unwrap()),
            text(wrap(&key(), b"x", at).unwrap()),
        );
        for field in ["salt = ", "nonce = ", "sealed = "] {
            let line = |text: &str| {
                text.lines()
                    .find(|line| line.starts_with(field))
                    .map(str::to_owned)
            };
            assert_ne!(line(&one), line(&two));
        }
    }

    #[test]
    fn an_empty_passphrase_neither_wraps_nor_opens() {
        let refused = wrap(&key(), b"", Timestamp::from_seconds(0)).unwrap_err();
        assert_eq!(refused.code, RefusalCode::SettingInvalid);
        assert_eq!(
            open(&cheap(), b"").unwrap_err(),
            EscrowError::WrongPassphrase
        );
    }

    #[test]
    fn every_changed_bit_and_every_cut_is_an_error() {
        let whole = cheap();
        assert!(open(&whole, b"correct").is_ok());
        for position in 0..whole.len() {
            for bit in 0..8 {
                let mut changed = whole.clone();
                changed[position] ^= 1 << bit;
                assert!(describe(&changed).is_err(), "byte {position} bit {bit}");
            }
            assert!(describe(&whole[..position]).is_err(), "cut at {position}");
        }
        assert!(describe(&[&whole[..], b"\n"].concat()).is_err());
    }

    #[test]
    fn every_digit_that_somebody_changes_on_purpose_is_noticed_when_it_is_opened() {
        let text = String::from_utf8(cheap()).unwrap();
        let (above, _) = split_last_line(&text).unwrap();
        let mut tried = 0;
        for (position, byte) in above.bytes().enumerate().skip(FIRST_LINE.len()) {
            for other in *b"0123456789abcdef" {
                if !byte.is_ascii_hexdigit() || byte == other {
                    continue;
                }
                let mut changed = above.as_bytes().to_vec();
                changed[position] = other;
                let digest = Digest::of(&changed);
                changed.extend_from_slice(format!("# blake3 {digest}\n").as_bytes());
                assert!(open(&changed, b"correct").is_err(), "byte {position}");
                tried += 1;
            }
        }
        assert!(tried > 3000, "{tried}");
    }

    #[test]
    fn costs_that_nobody_would_ask_for_are_refused_before_they_are_spent() {
        for (from, to, what, asked) in [
            (
                "memory_kib = 8",
                "memory_kib = 262145",
                "memory_kib",
                262_145,
            ),
            (
                "memory_kib = 8",
                "memory_kib = 1099511627776",
                "memory_kib",
                1 << 40,
            ),
            ("passes = 1", "passes = 17", "passes", 17),
            (
                "passes = 1",
                "passes = 4294967295",
                "passes",
                u64::from(u32::MAX),
            ),
            ("lanes = 1", "lanes = 17", "lanes", 17),
        ] {
            let error = open(&changed(from, to), b"correct").unwrap_err();
            let EscrowError::TooCostly {
                what: named,
                asked: found,
                ..
            } = error
            else {
                panic!("{to}: {error}");
            };
            assert_eq!((named, found), (what, asked));
        }
        for (from, to) in [
            ("memory_kib = 8", "memory_kib = 7"),
            ("memory_kib = 8", "memory_kib = 0"),
            ("memory_kib = 8", "memory_kib = -1"),
            ("passes = 1", "passes = 0"),
            ("lanes = 1", "lanes = 0"),
            ("lanes = 1", "lanes = 2"),
            ("argon2id", "argon2d"),
        ] {
            let error = describe(&changed(from, to)).unwrap_err();
            assert!(matches!(error, EscrowError::Malformed(_)), "{to}: {error}");
        }
        let most = changed("memory_kib = 8", "memory_kib = 262144");
        assert!(describe(&most).is_ok());
    }

    #[test]
    fn the_secret_is_bound_to_everything_above_it() {
        for (from, to) in [
            ("created = \"1970-01-01", "created = \"1970-01-02"),
            ("memory_kib = 8", "memory_kib = 9"),
            ("passes = 1", "passes = 2"),
            ("vault = \"01", "vault = \"02"),
        ] {
            let error = open(&changed(from, to), b"correct").unwrap_err();
            assert_eq!(error, EscrowError::WrongPassphrase, "{to}");
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for (from, to) in [
            ("passes = 1", "passes  = 1"),
            ("passes = 1", "passes = 0x1"),
            ("passes = 1\n", "passes = 1\n\n"),
            ("passes = 1\n", ""),
            ("passes = 1\n", "passes = 1\npasses = 1\n"),
            ("passes = 1\n", "passes = 1\nother = 1\n"),
        ] {
            let error = describe(&changed(from, to)).unwrap_err();
            assert!(matches!(error, EscrowError::Malformed(_)), "{to}: {error}");
        }
        let newer = String::from_utf8(cheap())
            .unwrap()
            .replace("escrow 1", "escrow 2");
        assert_eq!(describe(newer.as_bytes()), Err(EscrowError::UnknownVersion));
        assert!(describe(&vec![b'a'; LIMIT_BYTES + 1]).is_err());
    }

    proptest! {
        #[test]
        fn nothing_that_is_read_stops_the_program(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
            prop_assert!(describe(&bytes).is_err());
            prop_assert!(describe(&[FIRST_LINE.as_bytes(), &bytes].concat()).is_err());
        }

        #[test]
        fn every_key_comes_back(secret in any::<[u8; 32]>(), vault in any::<[u8; 16]>(), passphrase in proptest::collection::vec(any::<u8>(), 1..60)) {
            let key = SigningKey::new(secret, VaultId::from_bytes(vault));
            let wrapped = wrap_at(&key, &passphrase, Timestamp::from_seconds(1), CHEAP, ([0; 16], [0; 24])).unwrap();
            let opened = open(&wrapped, &passphrase).unwrap();
            prop_assert_eq!(opened.secret(), key.secret());
        }
    }
}
