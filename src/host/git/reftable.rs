//! Refs and reflogs that are kept in a stack of tables, `extensions.refStorage = reftable` (`reftable.adoc` of git's technical
//! documentation). gix takes such a repository for one without refs.
//!
//! Git takes a list of tables that is empty, or names tables that are not there, for a repository without refs. Here that is
//! a fault, like everything that is not as git writes it: nothing is guessed, and no table is passed over.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::object::ObjectId;
use super::reftable_table::{Budget, Reader, Record, Section, Table, log_name};

/// Where the tables are named, the oldest first.
pub const LIST: &[u8] = b"reftable/tables.list";

/// The name of that file.
pub const LIST_NAME: &str = "tables.list";

/// Where the tables are.
pub const DIRECTORY: &[u8] = b"reftable/";

/// What `HEAD` says in a git directory whose refs are in tables, so that other programs see a repository, and no ref.
const HEAD: &[u8] = b"ref: refs/heads/.invalid";

/// How many refs git follows from one to the next.
pub const LINKED_REFS: u8 = 5;

/// The ref whose reflog holds the entries of the stash.
const STASH: &[u8] = b"refs/stash";

/// The most that the names of refs, and the reflogs as they are when inflated, may come to: some two million entries.
const LIMIT_BYTES: u64 = 512 << 20;

/// Why the tables of a repository cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Error {
    /// A table that is named was not seen; it may have been replaced meanwhile.
    Missing(Vec<u8>),
    /// A file is not what git writes.
    Damaged {
        /// Its path in the git directory.
        file: Vec<u8>,
        /// What is wrong with it.
        reason: &'static str,
    },
}

impl std::fmt::Display for Error {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Missing(file) => write!(
                formatter,
                "'{}', which the list of tables names, is not there",
                file.escape_ascii()
            ),
            Self::Damaged { file, reason } => {
                write!(formatter, "'{}' is damaged: {reason}", file.escape_ascii())
            }
        }
    }
}

impl std::error::Error for Error {}

impl Error {
    /// The same, with paths from a directory above, to which this one is at `prefix`, with a slash at its end.
    #[must_use]
    pub fn below(self, prefix: &[u8]) -> Self {
        let place = |path: Vec<u8>| [prefix, &*path].concat();
        match self {
            Self::Missing(file) => Self::Missing(place(file)),
            Self::Damaged { file, reason } => Self::Damaged {
                file: place(file),
                reason,
            },
        }
    }
}

/// What a ref holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// An id.
    Id(ObjectId),
    /// The name of another ref.
    Symbolic(Vec<u8>),
}

/// Refs and reflogs as all tables together state them.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Stack {
    /// Every ref by name, `HEAD` and its like included.
    pub refs: BTreeMap<Vec<u8>, Value>,
    /// All ids that reflogs name, but for those in `stashed`; null ids are among them.
    pub logged: BTreeSet<ObjectId>,
    /// What the ref of the stash held at any time, as its reflog says: its entries.
    pub stashed: BTreeSet<ObjectId>,
}

impl Stack {
    /// Refs that lead to no id, not through other refs either; but for `HEAD`, for which that is nothing special.
    #[must_use]
    pub fn dangling(&self) -> Vec<Vec<u8>> {
        let names = self.refs.keys().filter(|name| *name != b"HEAD");
        names
            .filter(|name| !self.leads_to_an_id(name, LINKED_REFS))
            .cloned()
            .collect()
    }

    fn leads_to_an_id(&self, name: &[u8], steps: u8) -> bool {
        match (self.refs.get(name), steps.checked_sub(1)) {
            (Some(Value::Id(id)), _) => !id.is_null(),
            (Some(Value::Symbolic(target)), Some(steps)) => self.leads_to_an_id(target, steps),
            (Some(Value::Symbolic(_)), None) | (None, _) => false,
        }
    }
}

/// Whether a file of a git directory is a table or the list of them. Log-only tables of other programs end with `.log`.
#[must_use]
pub fn is_relevant(path: &[u8]) -> bool {
    let is_table =
        |name: &[u8]| !name.contains(&b'/') && (name.ends_with(b".ref") || name.ends_with(b".log"));
    path == LIST || path.strip_prefix(DIRECTORY).is_some_and(is_table)
}

/// Whether this `HEAD` says that refs are in tables.
#[must_use]
pub fn is_announced(head: &[u8]) -> bool {
    head.trim_ascii_end() == HEAD
}

/// Reads the stack of a git directory from its files, by path; `None` when its refs are files.
///
/// # Errors
/// [`Error`], also when only one of `HEAD` and the list of tables says that refs are in tables.
pub fn read(files: &BTreeMap<Vec<u8>, Vec<u8>>) -> Result<Option<Stack>, Error> {
    let is_announced = files
        .get(&b"HEAD"[..])
        .is_some_and(|head| is_announced(head));
    let damaged_list = |reason| Error::Damaged {
        file: LIST.to_vec(),
        reason,
    };
    let list = match (files.get(LIST), is_announced) {
        (Some(list), true) => list,
        (None, false) => return Ok(None),
        (None, true) => {
            return Err(damaged_list(
                "it is not there, though HEAD announces tables",
            ));
        }
        (Some(_), false) => {
            return Err(damaged_list(
                "it is there, though HEAD does not announce tables",
            ));
        }
    };
    let mut tables = Vec::new();
    let mut seen = BTreeSet::new();
    for name in list.split(|byte| *byte == b'\n') {
        if name.is_empty() {
            continue;
        }
        let path = [DIRECTORY, name].concat();
        if !is_relevant(&path) || path == LIST || !seen.insert(name) {
            return Err(damaged_list("a line of it is not the name of one table"));
        }
        let bytes = files
            .get(&path)
            .ok_or_else(|| Error::Missing(path.clone()))?;
        let table = Table::open(bytes).map_err(|reason| Error::Damaged {
            file: path.clone(),
            reason,
        })?;
        tables.push((path, table));
    }
    let stack = merge(&tables)?;
    // Git gives every stack a HEAD when it makes it.
    if stack.refs.contains_key(&b"HEAD"[..]) {
        Ok(Some(stack))
    } else {
        Err(damaged_list("none of the tables it names holds HEAD"))
    }
}

/// What all tables state, the later ones over the earlier ones.
fn merge(tables: &[(Vec<u8>, Table<'_>)]) -> Result<Stack, Error> {
    let mut stack = Stack::default();
    let mut budget = Budget(LIMIT_BYTES);
    if let Some((path, _)) = mixed(tables) {
        return Err(Error::Damaged {
            file: path.clone(),
            reason: "its object format is not that of the others",
        });
    }
    each(tables, Section::Refs, &mut budget, |name, record| {
        let value = match record {
            Record::Id(id) => Value::Id(id),
            Record::Symbolic(target) => Value::Symbolic(target),
            Record::Deleted | Record::Change(..) => return Some(()),
        };
        stack.refs.insert(name.to_vec(), value);
        Some(())
    })?;
    each(tables, Section::Logs, &mut budget, |key, record| {
        let name = log_name(key)?;
        if let Record::Change(old, new) = record {
            stack.logged.insert(old);
            let ids = if name == STASH {
                &mut stack.stashed
            } else {
                &mut stack.logged
            };
            ids.insert(new);
        }
        Some(())
    })?;
    Ok(stack)
}

fn mixed<'a, 'b>(tables: &'a [(Vec<u8>, Table<'b>)]) -> Option<&'a (Vec<u8>, Table<'b>)> {
    let format = tables.first().map(|(_, table)| table.format);
    tables
        .iter()
        .find(|(_, table)| Some(table.format) != format)
}

/// Takes each key of a section once, with what the newest table that has it says, in the order of the keys. `take` gives
/// `None` for a key that is none.
fn each(
    tables: &[(Vec<u8>, Table<'_>)],
    section: Section,
    budget: &mut Budget,
    mut take: impl FnMut(&[u8], Record) -> Option<()>,
) -> Result<(), Error> {
    let damaged = |place: usize, reason| Error::Damaged {
        file: tables.get(place).map_or(LIST, |(path, _)| path).to_vec(),
        reason,
    };
    let mut readers = Vec::new();
    let mut next = BinaryHeap::new();
    for (place, (_, table)) in tables.iter().enumerate() {
        let opened = Reader::new(*table, section);
        readers.push(opened.map_err(|reason| damaged(place, reason))?);
    }
    let mut due: Vec<usize> = (0..readers.len()).collect();
    let mut last: Option<Vec<u8>> = None;
    loop {
        for place in due.drain(..) {
            let record = readers
                .get_mut(place)
                .map_or(Ok(None), |reader| reader.next(budget))
                .map_err(|reason| damaged(place, reason))?;
            if let Some((key, record)) = record {
                // The least key first, and of equal keys that of the newest table.
                next.push(Reverse((key, Reverse(place), record)));
            }
        }
        let Some(Reverse((key, Reverse(place), record))) = next.pop() else {
            return Ok(());
        };
        due.push(place);
        if last.as_ref() == Some(&key) {
            continue;
        }
        take(&key, record).ok_or_else(|| damaged(place, "the name of a record is wrong"))?;
        last = Some(key);
    }
}
