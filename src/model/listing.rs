//! The listing of one directory: everything about its entries that a git tree cannot hold.
//!
//! `docs/FORMAT.md`, section "Listings", is the specification. A listing has one canonical form; reading refuses any other.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::escape::{name_from_text, text_name};
use super::ids::{Digest, from_hex, to_hex};

/// The first line of every listing.
const FIRST_LINE: &str = "# git-vault listing 1";

/// Extended attributes in the `user.` namespace, by name.
pub type Xattrs = BTreeMap<Vec<u8>, Vec<u8>>;

/// Mode bits, modification time in nanoseconds since the epoch, and extended attributes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// `st_mode`, the file type included.
    pub mode: u32,
    /// Modification time in ns since 1970-01-01T00:00:00Z; may be negative.
    pub mtime_ns: i128,
    /// Extended attributes; always empty for symbolic links and special files.
    pub xattrs: Xattrs,
}

impl Attributes {
    /// Whether the mode is one of that kind of file and holds nothing beyond it, and the extended attributes are the user's.
    fn fit(&self, kind: u32) -> bool {
        self.mode & !0o7777 == kind && self.xattrs.keys().all(|name| is_users_own(name))
    }
}

/// Whether an extended attribute of this name is one that a capture takes: never one that gives rights or belongs to a system.
fn is_users_own(name: &[u8]) -> bool {
    let of_a_system: [&[u8]; 4] = [b"security.", b"system.", b"trusted.", b"com.apple.system."];
    !name.is_empty()
        && !name.contains(&0)
        && !of_a_system.iter().any(|start| name.starts_with(start))
}

/// A file that is neither regular nor a directory nor a symbolic link.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum SpecialKind {
    /// A named pipe.
    Fifo,
    /// A socket.
    Socket,
    /// A character device.
    CharacterDevice,
    /// A block device.
    BlockDevice,
}

impl SpecialKind {
    /// The word for it in listings.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Fifo => "fifo",
            Self::Socket => "socket",
            Self::CharacterDevice => "character-device",
            Self::BlockDevice => "block-device",
        }
    }

    /// The bits of a mode that stand for it.
    fn mode(self) -> u32 {
        match self {
            Self::Fifo => 0o10_000,
            Self::Socket => 0o140_000,
            Self::CharacterDevice => 0o20_000,
            Self::BlockDevice => 0o60_000,
        }
    }
}

/// Why an entry was left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// A git ignore rule.
    Ignored,
    /// A pattern of `vault.exclude`.
    Excluded,
    /// A lock file of a running git.
    Lock,
    /// The object store, which is mirrored by object id instead.
    Objects,
    /// The working tree of a linked worktree, which is a place of its own.
    LinkedWorktree,
    /// A `.git` file that leads to a repository outside the workspace; its content stands in place of the rule.
    Gitfile,
}

impl Reason {
    /// The word for it in listings and manifests.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Ignored => "ignored",
            Self::Excluded => "excluded",
            Self::Lock => "lock",
            Self::Objects => "objects",
            Self::LinkedWorktree => "linked-worktree",
            Self::Gitfile => "gitfile",
        }
    }

    /// The reason of that word.
    fn parse(word: &str) -> Option<Self> {
        use Reason::{Excluded, Gitfile, Ignored, LinkedWorktree, Lock, Objects};
        let all = [Ignored, Excluded, Lock, Objects, LinkedWorktree, Gitfile];
        all.into_iter().find(|known| known.word() == word)
    }
}

/// Whether something left out is a directory, whose inside was not looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum LeftOutKind {
    /// A directory.
    Directory,
    /// Anything else.
    File,
}

/// What stands under one name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// A regular file.
    File {
        /// Its attributes.
        attributes: Attributes,
        /// Its size.
        bytes: u64,
        /// BLAKE3 of its content.
        blake3: Digest,
    },
    /// A symbolic link.
    Link {
        /// Its attributes; the mode is information only.
        attributes: Attributes,
        /// BLAKE3 of its target.
        blake3: Digest,
    },
    /// A directory, which has a listing of its own.
    Directory {
        /// BLAKE3 of that listing.
        listing: Digest,
    },
    /// A special file: recorded, not recreated.
    Special {
        /// Its kind.
        kind: SpecialKind,
        /// Its attributes.
        attributes: Attributes,
    },
    /// Something that was left out.
    LeftOut {
        /// Why.
        reason: Reason,
        /// What it was.
        kind: LeftOutKind,
        /// The rule that said so.
        rule: String,
    },
}

impl Entry {
    /// Whether its attributes are such as an entry of its kind can have.
    fn has_fitting_attributes(&self) -> bool {
        match self {
            Self::File { attributes, .. } => attributes.fit(0o100_000),
            Self::Link { attributes, .. } => {
                attributes.fit(0o120_000) && attributes.xattrs.is_empty()
            }
            Self::Special { kind, attributes } => {
                attributes.fit(kind.mode()) && attributes.xattrs.is_empty()
            }
            Self::Directory { .. } | Self::LeftOut { .. } => true,
        }
    }
}

/// One directory.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listing {
    /// The directory's own attributes.
    pub own: Attributes,
    /// Its entries by name.
    pub entries: BTreeMap<Vec<u8>, Entry>,
}

impl Listing {
    /// The canonical text.
    #[must_use]
    pub fn to_text(&self) -> String {
        let mut text = String::with_capacity(64 + self.entries.len() * 160);
        // Writing to a String cannot fail, here and below.
        let _infallible = writeln!(text, "{FIRST_LINE}\nself\t{}", attributes_text(&self.own));
        for (name, entry) in &self.entries {
            let name = text_name(name);
            let _infallible = match entry {
                Entry::File {
                    attributes,
                    bytes,
                    blake3,
                } => {
                    writeln!(
                        text,
                        "file\t{}\t{bytes}\t{blake3}\t{name}",
                        attributes_text(attributes)
                    )
                }
                Entry::Link { attributes, blake3 } => {
                    writeln!(
                        text,
                        "link\t{}\t{blake3}\t{name}",
                        attributes_text(attributes)
                    )
                }
                Entry::Directory { listing } => writeln!(text, "directory\t{listing}\t{name}"),
                Entry::Special { kind, attributes } => {
                    writeln!(
                        text,
                        "special\t{}\t{}\t{name}",
                        attributes_text(attributes),
                        kind.word()
                    )
                }
                Entry::LeftOut { reason, kind, rule } => {
                    let kind = if *kind == LeftOutKind::Directory {
                        "directory"
                    } else {
                        "file"
                    };
                    writeln!(
                        text,
                        "left-out\t{}\t{kind}\t{}\t{name}",
                        reason.word(),
                        text_name(rule.as_bytes())
                    )
                }
            };
        }
        text
    }

    /// Reads a listing; `None` unless it is in canonical form.
    #[must_use]
    pub fn parse(text: &[u8]) -> Option<Self> {
        let text = std::str::from_utf8(text).ok()?;
        let mut lines = text.lines();
        if lines.next()? != FIRST_LINE {
            return None;
        }
        let own: Vec<&str> = lines.next()?.split('\t').collect();
        let ["self", attributes @ ..] = own.as_slice() else {
            return None;
        };
        let mut listing = Self {
            own: parse_attributes(attributes)?,
            entries: BTreeMap::new(),
        };
        for line in lines {
            let (name, entry) = parse_entry(line)?;
            if name.is_empty()
                || name == b"."
                || name == b".."
                || name.iter().any(|byte| matches!(byte, b'/' | 0))
                || !entry.has_fitting_attributes()
            {
                return None;
            }
            listing.entries.insert(name, entry);
        }
        (listing.to_text() == text && listing.own.fit(0o40_000)).then_some(listing)
    }
}

fn parse_entry(line: &str) -> Option<(Vec<u8>, Entry)> {
    let fields: Vec<&str> = line.split('\t').collect();
    let (name, entry) = match fields.as_slice() {
        ["file", mode, mtime, xattrs, bytes, blake3, name] => {
            let attributes = parse_attributes(&[mode, mtime, xattrs])?;
            (
                name,
                Entry::File {
                    attributes,
                    bytes: bytes.parse().ok()?,
                    blake3: blake3.parse().ok()?,
                },
            )
        }
        ["link", mode, mtime, xattrs, blake3, name] => {
            let attributes = parse_attributes(&[mode, mtime, xattrs])?;
            (
                name,
                Entry::Link {
                    attributes,
                    blake3: blake3.parse().ok()?,
                },
            )
        }
        ["directory", listing, name] => (
            name,
            Entry::Directory {
                listing: listing.parse().ok()?,
            },
        ),
        ["special", mode, mtime, xattrs, kind, name] => {
            use SpecialKind::{BlockDevice, CharacterDevice, Fifo, Socket};
            let kind = [Fifo, Socket, CharacterDevice, BlockDevice]
                .into_iter()
                .find(|known| known.word() == *kind)?;
            (
                name,
                Entry::Special {
                    kind,
                    attributes: parse_attributes(&[mode, mtime, xattrs])?,
                },
            )
        }
        ["left-out", reason, kind, rule, name] => {
            let reason = Reason::parse(reason)?;
            let kind = match *kind {
                "directory" => LeftOutKind::Directory,
                "file" => LeftOutKind::File,
                _ => return None,
            };
            let rule = String::from_utf8(name_from_text(rule)?).ok()?;
            (name, Entry::LeftOut { reason, kind, rule })
        }
        _ => return None,
    };
    Some((name_from_text(name)?, entry))
}

/// `mode TAB mtime TAB xattrs`.
fn attributes_text(attributes: &Attributes) -> String {
    let xattrs = if attributes.xattrs.is_empty() {
        "-".to_owned()
    } else {
        let pairs = attributes
            .xattrs
            .iter()
            .map(|(name, value)| format!("{}={}", to_hex(name), to_hex(value)));
        pairs.collect::<Vec<_>>().join(",")
    };
    format!("{:o}\t{}\t{xattrs}", attributes.mode, attributes.mtime_ns)
}

fn parse_attributes(fields: &[&str]) -> Option<Attributes> {
    let [mode, mtime, xattrs] = fields else {
        return None;
    };
    let mut attributes = Attributes {
        mode: u32::from_str_radix(mode, 8).ok()?,
        mtime_ns: mtime.parse().ok()?,
        xattrs: Xattrs::new(),
    };
    if *xattrs != "-" {
        for pair in xattrs.split(',') {
            let (name, value) = pair.split_once('=')?;
            attributes.xattrs.insert(from_hex(name)?, from_hex(value)?);
        }
    }
    Some(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn example() -> Listing {
        let attributes = Attributes {
            mode: 0o100_644,
            mtime_ns: -1,
            xattrs: Xattrs::from([(b"user.a".to_vec(), vec![0, 255])]),
        };
        let digest = Digest::of(b"");
        let entries = [
            (
                &b"a\nb"[..],
                Entry::File {
                    attributes: attributes.clone(),
                    bytes: 0,
                    blake3: digest,
                },
            ),
            (
                b"c\xff",
                Entry::Link {
                    attributes: of_mode(0o120_777),
                    blake3: digest,
                },
            ),
            (b"d", Entry::Directory { listing: digest }),
            (
                b"e",
                Entry::Special {
                    kind: SpecialKind::Fifo,
                    attributes: of_mode(0o10_644),
                },
            ),
            (
                b"f",
                Entry::LeftOut {
                    reason: Reason::Ignored,
                    kind: LeftOutKind::Directory,
                    rule: ".gitignore:1: f\t/".into(),
                },
            ),
        ];
        let entries = entries
            .into_iter()
            .map(|(name, entry)| (name.to_vec(), entry))
            .collect();
        Listing {
            own: of_mode(0o41_777),
            entries,
        }
    }

    fn of_mode(mode: u32) -> Attributes {
        Attributes {
            mode,
            ..Attributes::default()
        }
    }

    #[test]
    fn modes_and_attributes_of_other_kinds_are_refused() {
        let text = example().to_text();
        for (from, to) in [
            ("100644", "40644"),
            ("100644", "644"),
            ("100644", "1100644"),
            ("120777", "100777"),
            ("10644", "20644"),
            ("self\t41777", "self\t101777"),
            ("757365722e61=", "="),
            ("757365722e61=", "757365722e6100="),
            // security.capability
            ("757365722e61=", "73656375726974792e6361706162696c697479="),
        ] {
            let changed = text.replacen(from, to, 1);
            assert_ne!(changed, text);
            assert_eq!(Listing::parse(changed.as_bytes()), None, "{from} {to}");
        }
    }

    #[test]
    fn a_listing_round_trips() {
        assert_eq!(
            Listing::parse(example().to_text().as_bytes()),
            Some(example())
        );
    }

    #[test]
    fn names_that_would_leave_the_directory_are_refused() {
        for name in ["..", ".", "", "a/b", "%00"] {
            let text = format!(
                "{FIRST_LINE}\nself\t40755\t0\t-\ndirectory\t{}\t{name}\n",
                Digest::of(b"")
            );
            assert_eq!(Listing::parse(text.as_bytes()), None, "{name}");
        }
    }

    proptest! {
        #[test]
        fn no_other_form_is_read(position in 0_usize..400, byte in any::<u8>()) {
            let mut text = example().to_text().into_bytes();
            let position = position % text.len();
            text[position] = byte;
            if let Some(listing) = Listing::parse(&text) {
                prop_assert_eq!(listing.to_text().into_bytes(), text);
            }
        }
    }
}
