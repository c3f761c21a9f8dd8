//! The symbols of a recovery kit: bytes as letters that are hard to confuse, and the checksums of its lines.

use std::array;

use zeroize::Zeroizing;

use super::signed::SigningKey;

/// How many numbered lines a key has.
pub const LINES: usize = 7;

/// Vault id, key id and secret.
pub(super) const PAYLOAD_BYTES: usize = 56;

/// What one line holds of them.
pub(super) const LINE_BYTES: usize = PAYLOAD_BYTES / LINES;

/// 64 bits in symbols of 5 bits.
pub(super) const DATA_SYMBOLS: usize = 13;

/// With the checksum.
pub(super) const LINE_SYMBOLS: usize = DATA_SYMBOLS + 4;

/// The checksum of the line `end`.
pub(super) const END_SYMBOLS: usize = 6;

/// Crockford's base 32: no I, L, O, U.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// Vault id, key id, secret.
pub(super) fn payload(key: &SigningKey) -> Zeroizing<[u8; PAYLOAD_BYTES]> {
    let mut payload = Zeroizing::new([0; PAYLOAD_BYTES]);
    let id = key.id();
    let source = key.vault();
    let source = source
        .as_bytes()
        .iter()
        .chain(id.as_bytes())
        .chain(key.secret());
    for (place, byte) in payload.iter_mut().zip(source) {
        *place = *byte;
    }
    payload
}

/// The symbols of line `number`: 64 bits with the highest first, then 20 bits of checksum.
pub(super) fn line_symbols(
    payload: &[u8; PAYLOAD_BYTES],
    position: usize,
    number: usize,
) -> Zeroizing<[u8; LINE_SYMBOLS]> {
    let (pieces, _) = payload.as_chunks::<LINE_BYTES>();
    let piece = number.checked_sub(1).and_then(|place| pieces.get(place));
    let piece = Zeroizing::new(piece.copied().unwrap_or_default());
    let mut hasher = blake3::Hasher::new();
    hasher.update(b"git-vault/v1/kit-line\0");
    hasher.update(&(position as u64).to_le_bytes());
    hasher.update(&(number as u64).to_le_bytes());
    hasher.update(piece.as_slice());
    let data = data_symbols(u64::from_be_bytes(*piece));
    let sum = sum_symbols::<4>(&hasher);
    let mut symbols = Zeroizing::new([0; LINE_SYMBOLS]);
    for (place, symbol) in symbols.iter_mut().zip(data.iter().chain(&sum)) {
        *place = *symbol;
    }
    symbols
}

fn data_symbols(bits: u64) -> Zeroizing<[u8; DATA_SYMBOLS]> {
    Zeroizing::new(array::from_fn(|place| {
        five_bits(bits >> (5 * (DATA_SYMBOLS - 1 - place)))
    }))
}

/// The first `5 * COUNT` bits of a BLAKE3, the highest first.
fn sum_symbols<const COUNT: usize>(hasher: &blake3::Hasher) -> [u8; COUNT] {
    let digest = hasher.finalize();
    let first = digest.as_bytes().first_chunk().copied();
    let bits = u64::from_be_bytes(first.unwrap_or_default());
    array::from_fn(|place| five_bits(bits >> (59 - 5 * place)))
}

fn five_bits(bits: u64) -> u8 {
    u8::try_from(bits & 31).unwrap_or_default()
}

/// The checksum of the line `end`: how many keys there are, and everything of each.
pub(super) struct EndSum {
    payloads: blake3::Hasher,
    keys: u64,
}

impl EndSum {
    pub(super) fn new() -> Self {
        let mut payloads = blake3::Hasher::new();
        payloads.update(b"git-vault/v1/kit-end\0");
        Self { payloads, keys: 0 }
    }

    pub(super) fn add(&mut self, payload: &[u8; PAYLOAD_BYTES]) {
        self.payloads.update(payload);
        self.keys += 1;
    }

    pub(super) fn symbols(mut self) -> [u8; END_SYMBOLS] {
        self.payloads.update(&self.keys.to_le_bytes());
        sum_symbols(&self.payloads)
    }
}

/// The letter or digit for five bits.
pub(super) fn letter(symbol: u8) -> char {
    char::from(ALPHABET.get(usize::from(symbol)).copied().unwrap_or(b'0'))
}

/// Why something typed is not so many symbols.
pub(super) enum NotSymbols {
    /// It has that many.
    Length(usize),
    /// The one at this place, from 1, is none.
    Symbol(usize),
}

/// The symbols that were typed, without spaces and dashes.
pub(super) fn symbols<const COUNT: usize>(
    typed: &str,
) -> Result<Zeroizing<[u8; COUNT]>, NotSymbols> {
    let mut symbols = Zeroizing::new([0; COUNT]);
    let mut found = 0;
    for character in typed.chars() {
        if character.is_whitespace() || character == '-' {
            continue;
        }
        let symbol = symbol(character).ok_or(NotSymbols::Symbol(found + 1))?;
        if let Some(place) = symbols.get_mut(found) {
            *place = symbol;
        }
        found += 1;
    }
    if found == COUNT {
        Ok(symbols)
    } else {
        Err(NotSymbols::Length(found))
    }
}

fn symbol(character: char) -> Option<u8> {
    let upper = match character.to_ascii_uppercase() {
        'O' => '0',
        'I' | 'L' => '1',
        other => other,
    };
    let place = ALPHABET
        .iter()
        .position(|known| char::from(*known) == upper)?;
    u8::try_from(place).ok()
}

/// Looks at all of both, so that the time says nothing of where they differ.
pub(super) fn is_same(left: &[u8], right: &[u8]) -> bool {
    let differing = left
        .iter()
        .zip(right)
        .fold(0, |differing, (left, right)| differing | (left ^ right));
    left.len() == right.len() && std::hint::black_box(differing) == 0
}
