//! The recovery kit: the keys of one vault as text that can be printed, and typed in again by hand.
//!
//! `docs/FORMAT.md`, section "Recovery kit", is the specification. Every line carries a checksum of its own, so that a
//! slip is found where it was made.

use std::array;

use zeroize::Zeroizing;

use super::escape::for_terminal;
use super::ids::{KeyId, VaultId};
use super::kit_symbols::{
    DATA_SYMBOLS, END_SYMBOLS, EndSum, LINE_BYTES, LINE_SYMBOLS, NotSymbols, PAYLOAD_BYTES,
    is_same, letter, line_symbols, payload, symbols,
};
use super::signed::SigningKey;
use super::timestamp::Timestamp;

pub use super::kit_symbols::LINES;

/// The first line, whose last word is the version.
const FIRST_LINE: &str = "git-vault recovery kit 1";

/// What a person should know, between the facts and the keys. No line of it begins with a digit, `key` or `end`.
const EXPLANATION: &str = "
THIS IS A SECRET. Keep it on paper or on a medium of its own, away from
this machine and from the vault. Whoever has it can sign records that
you would take for your own.

With these keys any machine can prove and restore the snapshots of the
vault, and make new ones. If they are lost, plain git still reads the
vault, and nothing proves any more who wrote it.

To bring the keys to a machine, type this text into a file, from the
first line to the one that begins with \"end\"; what stands here between
the first line and the keys may be left out. VAULT is the directory of
the vault, KIT the file:

    git vault --vault VAULT key import KIT

Capitals and small letters are the same, O is read as 0, I and L as 1.
Spaces and dashes between the symbols do not count. The last four
symbols of a line are its checksum.
";

/// The largest text that is read.
const LIMIT_BYTES: usize = 64 << 10;

/// The most keys that a kit can hold.
pub const MOST_KEYS: usize = 64;

/// More than one printed block of a key takes, so that a growing text leaves no copies of itself behind.
const BLOCK_BYTES: usize = 320;

/// Columns of one piece of the repository's path, and of all of it.
const PIECE_COLUMNS: usize = 56;
const PATH_COLUMNS: usize = 4096;

/// What a key is good for today.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Standing {
    /// It signs new records.
    Active,
    /// Another key has followed it: it proves old records and signs none.
    Retired,
    /// Others may know it: what it signed is not proven by that alone.
    Compromised,
}

impl Standing {
    const ALL: [Self; 3] = [Self::Active, Self::Retired, Self::Compromised];

    /// The word for it in kits, texts and JSON.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Retired => "retired",
            Self::Compromised => "compromised",
        }
    }
}

/// One key of a kit.
#[derive(Debug)]
pub struct KitKey {
    /// The key.
    pub key: SigningKey,
    /// Printed beside it, for people.
    pub standing: Standing,
}

/// Why a text is not read as a kit. Keys and lines are counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KitError {
    /// The first line is nowhere.
    NotAKit,
    /// The first line names another version.
    UnknownVersion,
    /// Larger than any kit.
    TooLarge,
    /// More keys than a kit can hold.
    TooManyKeys,
    /// It ends without a key.
    NoKeys,
    /// A line of the text, counted from its beginning, has no meaning where it stands.
    NotUnderstood {
        /// The line of the text.
        text_line: usize,
    },
    /// A line of a key has another number of symbols.
    Length {
        /// The key.
        key: usize,
        /// The line.
        line: usize,
        /// How many symbols it has.
        found: usize,
    },
    /// A line of a key holds a character that is no symbol.
    Symbol {
        /// The key.
        key: usize,
        /// The line.
        line: usize,
        /// The place among the symbols, from 1.
        place: usize,
    },
    /// The checksum of a line does not fit.
    Mistyped {
        /// The key.
        key: usize,
        /// The line.
        line: usize,
    },
    /// No key has a line of that number.
    UnknownLine {
        /// The key.
        key: usize,
        /// The number.
        line: usize,
    },
    /// A line is not where it must be.
    MissingLine {
        /// The key.
        key: usize,
        /// The line.
        line: usize,
    },
    /// A line that was there already.
    RepeatedLine {
        /// The key.
        key: usize,
        /// The line.
        line: usize,
    },
    /// The heading of a key is not in its form.
    Heading {
        /// The key.
        key: usize,
    },
    /// The heading of a key and its lines name different keys.
    HeadingOfAnother {
        /// The key.
        key: usize,
    },
    /// The secret of a key does not make the key that its lines name.
    OtherKey {
        /// The key.
        key: usize,
    },
    /// A key belongs to another vault than the first one.
    OtherVault {
        /// The key.
        key: usize,
    },
    /// There is no line `end`.
    NoEnd,
    /// The checksum of the whole does not fit.
    End,
}

impl std::fmt::Display for KitError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NotAKit => write!(formatter, "no line says '{FIRST_LINE}'"),
            Self::UnknownVersion => {
                formatter.write_str("a recovery kit of a version that this program does not know")
            }
            Self::TooLarge => write!(formatter, "larger than {LIMIT_BYTES} bytes"),
            Self::TooManyKeys => write!(formatter, "holds more than {MOST_KEYS} keys"),
            Self::NoKeys => formatter.write_str("holds no key"),
            Self::NotUnderstood { text_line } => write!(
                formatter,
                "line {text_line} of the text has no meaning where it stands"
            ),
            Self::Length { key, line, found } => write!(
                formatter,
                "line {line} of key {key} was mistyped: it has {found} symbols, not {LINE_SYMBOLS}"
            ),
            Self::Symbol { key, line, place } => write!(
                formatter,
                "line {line} of key {key} was mistyped: a kit has no such symbol as its symbol {place}"
            ),
            Self::Mistyped { key, line } => write!(
                formatter,
                "line {line} of key {key} was mistyped: its checksum does not fit"
            ),
            Self::UnknownLine { key, line } => write!(
                formatter,
                "key {key} has a line {line}: expected 1 to {LINES}"
            ),
            Self::MissingLine { key, line } => write!(
                formatter,
                "line {line} of key {key} is missing or not in its place"
            ),
            Self::RepeatedLine { key, line } => write!(
                formatter,
                "line {line} of key {key} is there twice or not in its place"
            ),
            Self::Heading { key } => write!(
                formatter,
                "the heading of key {key} was mistyped: expected 'key', 16 digits, and its standing"
            ),
            Self::HeadingOfAnother { key } => write!(
                formatter,
                "the heading of key {key} names another key than its lines"
            ),
            Self::OtherKey { key } => write!(
                formatter,
                "the secret of key {key} does not belong to the name in its lines"
            ),
            Self::OtherVault { key } => {
                write!(formatter, "key {key} belongs to another vault than key 1")
            }
            Self::NoEnd => formatter.write_str("the line 'end' is missing"),
            Self::End => formatter.write_str(
                "the line 'end' was mistyped, or a key is missing: its checksum does not fit",
            ),
        }
    }
}

impl std::error::Error for KitError {}

/// The whole kit. `keys` are of one vault and at most [`MOST_KEYS`]; others would not be read again. Each key stands at
/// its position, from 1.
#[must_use]
pub fn write(keys: &[KitKey], repository: &str, at: Timestamp) -> Zeroizing<String> {
    let header = header(keys, repository, at);
    let capacity = header.len() + keys.len() * BLOCK_BYTES + BLOCK_BYTES;
    let mut text = Zeroizing::new(String::with_capacity(capacity));
    text.push_str(&header);
    let mut sum = EndSum::new();
    for (place, KitKey { key, standing }) in keys.iter().enumerate() {
        text.push_str(&format!("\nkey {} ({})\n\n", key.id(), standing.word()));
        for line in lines(key, place + 1) {
            text.push_str("    ");
            text.push_str(&line);
            text.push('\n');
        }
        sum.add(&payload(key));
    }
    text.push_str("\nend ");
    text.extend(sum.symbols().map(letter));
    text.push('\n');
    text
}

fn header(keys: &[KitKey], repository: &str, at: Timestamp) -> String {
    let mut text = format!("{FIRST_LINE}\n\n");
    if let Some(KitKey { key, .. }) = keys.first() {
        text.push_str(&format!("vault         {}\n", key.vault()));
    }
    for (place, piece) in pieces(repository).iter().enumerate() {
        // The mark keeps a piece from looking like a line of a key.
        let label = if place == 0 {
            "repository    "
        } else {
            "            + "
        };
        text.push_str(&format!("{label}{piece}\n"));
    }
    text.push_str(&format!("made          {at}\n{EXPLANATION}"));
    text
}

/// The path in pieces that fit a line. Whatever is not ASCII may be two columns wide.
fn pieces(path: &str) -> Vec<String> {
    let mut pieces = Vec::new();
    let mut piece = String::new();
    let (mut columns, mut total) = (0, 0);
    for character in for_terminal(path).replace('\n', "\\u{a}").chars() {
        let width = if character.is_ascii() { 1 } else { 2 };
        if columns + width > PIECE_COLUMNS {
            pieces.push(std::mem::take(&mut piece));
            columns = 0;
        }
        if total + width > PATH_COLUMNS {
            pieces.push("...".to_owned());
            return pieces;
        }
        piece.push(character);
        columns += width;
        total += width;
    }
    pieces.push(piece);
    pieces
}

/// The numbered lines of the key that stands at `position` in its kit, from 1. The first three say what vault and key
/// this is and are no secret; the others are the secret.
#[must_use]
pub fn lines(key: &SigningKey, position: usize) -> [Zeroizing<String>; LINES] {
    let payload = payload(key);
    array::from_fn(|place| {
        let mut line = Zeroizing::new(String::with_capacity(32));
        line.push_str(&format!("{} ", place + 1));
        for (place, symbol) in line_symbols(&payload, position, place + 1)
            .iter()
            .enumerate()
        {
            match place {
                0 | 5 | 10 => line.push(' '),
                DATA_SYMBOLS => line.push_str("  "),
                _ => {}
            }
            line.push(letter(*symbol));
        }
        line
    })
}

/// Whether `typed` is line `number` of that key at that position: its 17 symbols, as tolerant as [`read`], with or
/// without the number in front. It takes as long for a wrong symbol as for a right one.
#[must_use]
pub fn line_matches(key: &SigningKey, position: usize, number: usize, typed: &str) -> bool {
    if !(1..=LINES).contains(&number) || typed.len() > LIMIT_BYTES {
        return false;
    }
    let without_number = typed
        .trim_start()
        .strip_prefix(&number.to_string())
        .filter(|rest| rest.starts_with(char::is_whitespace));
    let symbols = symbols::<LINE_SYMBOLS>(typed)
        .or_else(|wrong| symbols(without_number.ok_or(wrong)?))
        .ok();
    symbols.is_some_and(|symbols| {
        is_same(
            symbols.as_slice(),
            line_symbols(&payload(key), position, number).as_slice(),
        )
    })
}

/// Reads a kit: every key, whole and in its place, all of one vault.
///
/// # Errors
/// [`KitError`], which names the line and never what is in it.
pub fn read(text: &str) -> Result<Vec<SigningKey>, KitError> {
    if text.len() > LIMIT_BYTES {
        return Err(KitError::TooLarge);
    }
    let mut lines = text
        .lines()
        .enumerate()
        .map(|(place, line)| (place + 1, line.trim()));
    if !lines.any(|(_, line)| is_first_line(line) == Some(true)) {
        let other = text
            .lines()
            .any(|line| is_first_line(line.trim()).is_some());
        return Err(if other {
            KitError::UnknownVersion
        } else {
            KitError::NotAKit
        });
    }
    let mut reader = Reader::default();
    for (text_line, line) in lines {
        reader.take(text_line, line)?;
    }
    reader.finish()
}

/// Whether a line is the first line of a kit, and of the version that is known.
fn is_first_line(line: &str) -> Option<bool> {
    let mut words = line.split_whitespace();
    for known in FIRST_LINE.split(' ').take(3) {
        words
            .next()
            .filter(|word| word.eq_ignore_ascii_case(known))?;
    }
    Some(words.next() == Some("1") && words.next().is_none())
}

/// What was read so far.
#[derive(Default)]
struct Reader {
    blocks: Vec<Block>,
    end: Option<Zeroizing<[u8; END_SYMBOLS]>>,
}

struct Block {
    heading: KeyId,
    payload: Zeroizing<[u8; PAYLOAD_BYTES]>,
    /// How many lines were read.
    filled: usize,
}

impl Reader {
    fn take(&mut self, text_line: usize, line: &str) -> Result<(), KitError> {
        let (word, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        let is_numbered = line.starts_with(|first: char| first.is_ascii_digit());
        let is_heading = word.eq_ignore_ascii_case("key");
        let is_end = word.eq_ignore_ascii_case("end");
        let not_understood = Err(KitError::NotUnderstood { text_line });
        if self.end.is_some() || is_first_line(line).is_some() {
            let has_meaning = is_numbered || is_heading || is_end || is_first_line(line).is_some();
            return if has_meaning { not_understood } else { Ok(()) };
        }
        if is_heading {
            self.complete()?;
            return self.begin(rest);
        }
        if is_end {
            self.complete()?;
            if self.blocks.is_empty() {
                return Err(KitError::NoKeys);
            }
            self.end = Some(symbols(rest).map_err(|_wrong| KitError::End)?);
            return Ok(());
        }
        if is_numbered {
            let Ok(number) = word.parse() else {
                return not_understood;
            };
            let position = self.blocks.len();
            return match self.blocks.last_mut() {
                Some(block) => block.take(position, number, rest),
                None => not_understood,
            };
        }
        if self.blocks.is_empty() || line.is_empty() {
            return Ok(());
        }
        not_understood
    }

    fn begin(&mut self, heading: &str) -> Result<(), KitError> {
        if self.blocks.len() == MOST_KEYS {
            return Err(KitError::TooManyKeys);
        }
        let key = self.blocks.len() + 1;
        self.blocks.push(Block {
            heading: parse_heading(heading).ok_or(KitError::Heading { key })?,
            payload: Zeroizing::new([0; PAYLOAD_BYTES]),
            filled: 0,
        });
        Ok(())
    }

    /// Nothing may be missing of the last block when another thing begins.
    fn complete(&self) -> Result<(), KitError> {
        match self.blocks.last() {
            Some(block) if block.filled < LINES => Err(KitError::MissingLine {
                key: self.blocks.len(),
                line: block.filled + 1,
            }),
            _ => Ok(()),
        }
    }

    fn finish(self) -> Result<Vec<SigningKey>, KitError> {
        let Some(end) = &self.end else {
            self.complete()?;
            return Err(KitError::NoEnd);
        };
        let mut sum = EndSum::new();
        for block in &self.blocks {
            sum.add(&block.payload);
        }
        if !is_same(end.as_slice(), &sum.symbols()) {
            return Err(KitError::End);
        }
        let mut keys: Vec<SigningKey> = Vec::with_capacity(self.blocks.len());
        for (place, block) in self.blocks.iter().enumerate() {
            let key = block.key(place + 1)?;
            if keys
                .first()
                .is_some_and(|first| first.vault() != key.vault())
            {
                return Err(KitError::OtherVault { key: place + 1 });
            }
            keys.push(key);
        }
        Ok(keys)
    }
}

impl Block {
    /// Takes line `number` of the key at `position`.
    fn take(&mut self, position: usize, number: usize, typed: &str) -> Result<(), KitError> {
        let (key, line) = (position, number);
        if !(1..=LINES).contains(&number) {
            return Err(KitError::UnknownLine { key, line });
        }
        if number <= self.filled {
            return Err(KitError::RepeatedLine { key, line });
        }
        if number > self.filled + 1 {
            let line = self.filled + 1;
            return Err(KitError::MissingLine { key, line });
        }
        let typed = symbols::<LINE_SYMBOLS>(typed).map_err(|wrong| match wrong {
            NotSymbols::Length(found) => KitError::Length { key, line, found },
            NotSymbols::Symbol(place) => KitError::Symbol { key, line, place },
        })?;
        let bits = typed
            .iter()
            .take(DATA_SYMBOLS)
            .fold(0_u64, |bits, symbol| bits << 5 | u64::from(*symbol));
        let (places, _) = self.payload.as_chunks_mut::<LINE_BYTES>();
        if let Some(place) = places.get_mut(number - 1) {
            *place = bits.to_be_bytes();
        }
        // Written anew and compared, so that each line has one form: 13 symbols hold one bit more than 8 bytes.
        if !is_same(
            typed.as_slice(),
            line_symbols(&self.payload, position, number).as_slice(),
        ) {
            return Err(KitError::Mistyped { key, line });
        }
        self.filled = number;
        Ok(())
    }

    /// The key, which must be the one that its lines and its heading name.
    fn key(&self, position: usize) -> Result<SigningKey, KitError> {
        let other = KitError::OtherKey { key: position };
        let (vault, rest) = self.payload.split_first_chunk().ok_or(other)?;
        let (id, rest) = rest.split_first_chunk().ok_or(other)?;
        let secret = rest.first_chunk().ok_or(other)?;
        if KeyId::from_bytes(*id) != self.heading {
            return Err(KitError::HeadingOfAnother { key: position });
        }
        let key = SigningKey::new(*secret, VaultId::from_bytes(*vault));
        if key.id() != self.heading {
            return Err(other);
        }
        Ok(key)
    }
}

/// `<key id> (<standing>)`.
fn parse_heading(heading: &str) -> Option<KeyId> {
    let (id, standing) = heading.trim().split_once(char::is_whitespace)?;
    let standing = standing.trim().strip_prefix('(')?.strip_suffix(')')?;
    Standing::ALL
        .iter()
        .find(|known| known.word().eq_ignore_ascii_case(standing))?;
    id.to_ascii_lowercase().parse().ok()
}
