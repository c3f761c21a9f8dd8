//! Questions to a person: a line from standard input, or a passphrase that is not shown.

use std::io::{BufRead, Read, Write};
use std::path::Path;

use zeroize::Zeroizing;

use crate::host::disk;
use crate::model::escape::for_terminal;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;

/// Longest answer read.
const LIMIT_BYTES: u64 = 4096;
/// Largest kit read.
const KIT_LIMIT_BYTES: u64 = 1 << 16;

/// Asks on standard error and reads one line from standard input; an empty one when there is nothing to read.
#[must_use]
pub fn ask(question: &str) -> Zeroizing<String> {
    let mut stderr = std::io::stderr();
    let _unseen = write!(stderr, "{} ", for_terminal(question));
    let _unseen = stderr.flush();
    let mut answer = Zeroizing::new(String::new());
    let mut input = std::io::stdin().lock().take(LIMIT_BYTES);
    // What cannot be read is no answer, and no answer is refused by whoever asked.
    let _unread = input.read_line(&mut answer);
    answer
}

/// Whether a passphrase is made up or known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Passphrase {
    /// It is made up now, and typed twice.
    New,
    /// It was made up before.
    Known,
}

/// The passphrase in a file, without the line feed at its end; or one that is typed on the terminal and not shown.
///
/// # Errors
/// When the file cannot be read, there is no terminal, or the two that were typed differ.
pub fn passphrase(file: Option<&Path>, kind: Passphrase) -> Result<Zeroizing<Vec<u8>>> {
    if let Some(file) = file {
        let bytes = disk::read_bounded(file, LIMIT_BYTES)
            .map_err(|error| error.refuse(RefusalCode::KeyCopyUnusable))?;
        let mut bytes = Zeroizing::new(bytes);
        if bytes.last() == Some(&b'\n') {
            bytes.pop();
        }
        return Ok(bytes);
    }
    let first = typed("Passphrase: ")?;
    if kind == Passphrase::New && *typed("The same again: ")? != *first {
        return Err(Refusal::new(
            RefusalCode::StatementDiffers,
            "the two passphrases are not the same",
        )
        .keeping("nothing was touched"));
    }
    Ok(Zeroizing::new(first.as_bytes().to_vec()))
}

/// The text of a kit.
///
/// # Errors
/// When the file cannot be read or is no text.
pub fn kit(file: &Path) -> Result<Zeroizing<String>> {
    let bytes = disk::read_bounded(file, KIT_LIMIT_BYTES)
        .map_err(|error| error.refuse(RefusalCode::KeyCopyUnusable))?;
    String::from_utf8(bytes)
        .map(Zeroizing::new)
        .map_err(|error| {
            drop(Zeroizing::new(error.into_bytes()));
            Refusal::new(
                RefusalCode::KeyCopyUnusable,
                format!("'{}' is no kit", file.display()),
            )
            .because("it is not text")
        })
}

fn typed(question: &str) -> Result<Zeroizing<String>> {
    rpassword::prompt_password(question)
        .map(Zeroizing::new)
        .map_err(|error| {
            Refusal::new(
                RefusalCode::StatementDiffers,
                "there is no terminal to type a passphrase on",
            )
            .because(error.to_string())
            .keeping("nothing was touched")
            .next(
                "git vault key escrow --passphrase-file FILE",
                "reads it from a file",
            )
        })
}
