//! Identifiers: vaults, repositories, keys, snapshots and BLAKE3 digests, each its own type.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// An identifier or digest was not written in its one canonical form.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseIdError {
    kind: &'static str,
}

impl fmt::Display for ParseIdError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "not a {}", self.kind)
    }
}

impl std::error::Error for ParseIdError {}

/// Writes `bytes` as lower-case hexadecimal digits.
#[must_use]
pub fn to_hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    let digit = |nibble: u8| DIGITS.get(usize::from(nibble)).copied().unwrap_or('0');
    bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)])
        .collect()
}

/// Reads lower-case hexadecimal digits; `None` for anything else, upper case included.
#[must_use]
pub fn from_hex(text: &str) -> Option<Vec<u8>> {
    let nibble = |digit: u8| match digit {
        b'0'..=b'9' => Some(digit - b'0'),
        b'a'..=b'f' => Some(digit - b'a' + 10),
        _ => None,
    };
    let pairs = text.as_bytes().chunks_exact(2);
    if !pairs.remainder().is_empty() {
        return None;
    }
    pairs
        .map(|pair| match pair {
            [high, low] => Some(nibble(*high)? << 4 | nibble(*low)?),
            _ => None,
        })
        .collect()
}

macro_rules! fixed_id {
    ($(#[$doc:meta])* $name:ident, $length:literal, $kind:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name([u8; $length]);

        impl $name {
            /// Makes the identifier from its raw bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; $length]) -> Self {
                Self(bytes)
            }

            /// The raw bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; $length] {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&to_hex(&self.0))
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&to_hex(&self.0))
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                let bytes = from_hex(text).ok_or(ParseIdError { kind: $kind })?;
                Ok(Self(bytes.try_into().map_err(|_wrong_length| ParseIdError { kind: $kind })?))
            }
        }

        impl Serialize for $name {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(&to_hex(&self.0))
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}

fixed_id!(
    /// Names a vault; 16 random bytes made when the vault is created.
    VaultId,
    16,
    "vault id"
);
fixed_id!(
    /// Names the repository a vault belongs to; 16 random bytes made with the vault.
    RepositoryId,
    16,
    "repository id"
);
fixed_id!(
    /// Names a signing key: the first 8 bytes derived from it for this purpose.
    KeyId,
    8,
    "key id"
);
fixed_id!(
    /// A BLAKE3 digest of 32 bytes.
    Digest,
    32,
    "BLAKE3 digest"
);

impl Digest {
    /// The BLAKE3 digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        Self(*blake3::hash(bytes).as_bytes())
    }

    /// The digest that `hasher` has arrived at.
    #[must_use]
    pub fn finish(hasher: &blake3::Hasher) -> Self {
        Self(*hasher.finalize().as_bytes())
    }
}

/// The alphabet of snapshot ids: none of its letters is a hexadecimal digit, so that no snapshot id can be taken for a
/// commit id, and none looks like a digit.
const SNAPSHOT_ALPHABET: [u8; 16] = *b"ghjkmnpqrstvwxyz";

/// How many letters a snapshot id has.
pub const SNAPSHOT_ID_LENGTH: usize = 12;

/// Names a snapshot: 12 letters of `ghjkmnpqrstvwxyz`, 48 random bits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SnapshotId(String);

impl SnapshotId {
    /// Makes an id from six random bytes.
    #[must_use]
    pub fn from_random(bytes: [u8; 6]) -> Self {
        let letter = |nibble: u8| {
            char::from(
                SNAPSHOT_ALPHABET
                    .get(usize::from(nibble))
                    .copied()
                    .unwrap_or(b'g'),
            )
        };
        Self(
            bytes
                .iter()
                .flat_map(|byte| [letter(byte >> 4), letter(byte & 15)])
                .collect(),
        )
    }

    /// The letters.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether `text` could be the beginning of a snapshot id.
    #[must_use]
    pub fn is_prefix(text: &str) -> bool {
        !text.is_empty()
            && text.len() <= SNAPSHOT_ID_LENGTH
            && text
                .bytes()
                .all(|letter| SNAPSHOT_ALPHABET.contains(&letter))
    }
}

impl fmt::Display for SnapshotId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for SnapshotId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl FromStr for SnapshotId {
    type Err = ParseIdError;

    fn from_str(text: &str) -> Result<Self, ParseIdError> {
        if text.len() == SNAPSHOT_ID_LENGTH && Self::is_prefix(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(ParseIdError {
                kind: "snapshot id",
            })
        }
    }
}

impl Serialize for SnapshotId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for SnapshotId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hexadecimal_round_trips_and_refuses_upper_case_and_odd_lengths() {
        assert_eq!(to_hex(&[0, 15, 255]), "000fff");
        assert_eq!(from_hex("000fff"), Some(vec![0, 15, 255]));
        assert_eq!(from_hex("0F"), None);
        assert_eq!(from_hex("0"), None);
    }

    #[test]
    fn a_snapshot_id_has_no_hexadecimal_digit() {
        for byte in 0..=255 {
            let id = SnapshotId::from_random([byte; 6]);
            assert!(
                !id.as_str().bytes().any(|letter| letter.is_ascii_hexdigit()),
                "{id}"
            );
            assert_eq!(id.as_str().parse::<SnapshotId>().as_ref(), Ok(&id));
        }
    }
}
