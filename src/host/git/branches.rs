//! What branches, remote-tracking branches and the stash of a repository say of work that is nowhere else, by plain reads.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::path::Path;

use super::error::{Error, Result};
use super::object::{ObjectFormat, ObjectId, ObjectKind};
use super::reftable::{self, Value};
use super::stores::Stores;
use crate::host::disk;

/// Largest file of refs that is read.
const LIMIT_BYTES: u64 = 64 << 20;
/// Directories of refs that are nested deeper are not looked into: git makes none.
const DEPTH: usize = 32;
/// So many commits are looked at to find out which are on no remote.
const MOST_COMMITS: usize = 2000;

/// Where branches stand.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Branches {
    /// Branches, and `HEAD` when it is detached.
    pub local: BTreeMap<Vec<u8>, ObjectId>,
    /// Where remote-tracking branches stand.
    pub remote: BTreeSet<ObjectId>,
    /// How many stashes there are.
    pub stashes: u64,
    /// What `HEAD` stands at.
    pub head: Option<ObjectId>,
}

/// Commits that no remote-tracking branch has.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Unpushed {
    /// How many were found.
    pub commits: u64,
    /// Whether there may be more: not all were looked at.
    pub is_more: bool,
    /// On how many branches.
    pub branches: u64,
}

impl Branches {
    /// Reads them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read(git_dir: &Path) -> Result<Self> {
        let mut files = BTreeMap::new();
        for name in ["HEAD", "packed-refs", "logs/refs/stash", "refs/stash"] {
            read_into(&mut files, git_dir, name.as_bytes().to_vec())?;
        }
        for place in ["refs/heads", "refs/remotes", "reftable"] {
            read_below(&mut files, git_dir, place, DEPTH)?;
        }
        let damaged = |error: &reftable::Error| Error::damaged(git_dir, error.to_string());
        let mut found = Self::default();
        let mut refs: BTreeMap<Vec<u8>, Value> = BTreeMap::new();
        match reftable::read(&files).map_err(|error| damaged(&error))? {
            Some(stack) => {
                found.stashes = stack.stashed.len() as u64;
                refs = stack.refs;
            }
            None => {
                packed(&files, &mut refs);
                for (name, content) in &files {
                    if let Some(value) = value(content) {
                        refs.insert(name.clone(), value);
                    }
                }
                let log = files.get(&b"logs/refs/stash"[..]);
                let lines = log.map_or(0, |log| {
                    log.split(|byte| *byte == b'\n').count().saturating_sub(1)
                });
                if refs.contains_key(&b"refs/stash"[..]) {
                    found.stashes = (lines as u64).max(1);
                }
            }
        }
        for (name, value) in &refs {
            let Value::Id(id) = value else { continue };
            if name.starts_with(b"refs/heads/") || name == b"HEAD" {
                found.local.insert(name.clone(), *id);
            } else if name.starts_with(b"refs/remotes/") {
                found.remote.insert(*id);
            }
        }
        found.head = match refs.get(&b"HEAD"[..]) {
            Some(Value::Id(id)) => Some(*id),
            Some(Value::Symbolic(name)) => found.local.get(name).copied(),
            None => None,
        };
        Ok(found)
    }

    /// Which commits are on no remote-tracking branch. Where clocks went wrong there may be fewer.
    ///
    /// # Errors
    /// When the object store cannot be read.
    pub fn unpushed(&self, git_dir: &Path, format: ObjectFormat) -> Result<Unpushed> {
        let ahead = self
            .local
            .iter()
            .filter(|(_, id)| !self.remote.contains(id));
        let ahead: Vec<(&Vec<u8>, ObjectId)> = ahead.map(|(name, id)| (name, *id)).collect();
        if ahead.is_empty() {
            return Ok(Unpushed::default());
        }
        let stores = Stores::open(&git_dir.join("objects"), format, false, &|_stamp| false)?;
        let mut walk = Walk::new(&stores);
        for (_, id) in &ahead {
            walk.add(*id, LOCAL);
        }
        for id in &self.remote {
            walk.add(*id, REMOTE);
        }
        let (commits, is_more) = walk.run();
        let is_only_here = |id: &ObjectId| walk.flags.get(id) == Some(&LOCAL);
        let branches = ahead.iter().filter(|(_, id)| is_only_here(id)).count();
        Ok(Unpushed {
            commits,
            is_more,
            branches: branches as u64,
        })
    }
}

const LOCAL: u8 = 1;
const REMOTE: u8 = 2;

/// Commits from several tips at once, the newest first.
struct Walk<'a> {
    stores: &'a Stores,
    flags: HashMap<ObjectId, u8>,
    queue: BinaryHeap<(i64, ObjectId)>,
    parents: HashMap<ObjectId, Vec<ObjectId>>,
}

impl<'a> Walk<'a> {
    fn new(stores: &'a Stores) -> Self {
        Self {
            stores,
            flags: HashMap::new(),
            queue: BinaryHeap::new(),
            parents: HashMap::new(),
        }
    }

    /// Marks a commit; one that was met for the first time waits. What is no commit, or not there as in a shallow clone, ends here.
    fn add(&mut self, id: ObjectId, flag: u8) {
        let flags = self.flags.entry(id).or_default();
        let is_new = *flags == 0;
        *flags |= flag;
        if !is_new {
            return;
        }
        let read = self.stores.read(&id).ok();
        let commit = read
            .filter(|object| object.kind == ObjectKind::Commit)
            .and_then(|object| commit(&object.content));
        if let Some((seconds, parents)) = commit {
            self.parents.insert(id, parents);
            self.queue.push((seconds, id));
        }
    }

    fn has_local(&self) -> bool {
        self.queue
            .iter()
            .any(|(_, id)| self.flags.get(id) == Some(&LOCAL))
    }

    /// How many commits are local only, and whether it stopped before all were looked at: then those that wait count, too, for nobody
    /// knows better.
    fn run(&mut self) -> (u64, bool) {
        let mut looked_at = 0;
        while self.has_local() {
            let Some((_, id)) = self.queue.pop() else {
                break;
            };
            looked_at += 1;
            if looked_at > MOST_COMMITS {
                return (self.count(), true);
            }
            let flags = self.flags.get(&id).copied().unwrap_or_default();
            for parent in self.parents.get(&id).cloned().unwrap_or_default() {
                self.add(parent, flags);
            }
        }
        (self.count(), false)
    }

    /// What was read and is local only.
    fn count(&self) -> u64 {
        let read = self.parents.keys();
        let local = read.filter(|id| self.flags.get(*id) == Some(&LOCAL));
        local.count() as u64
    }
}

/// The time of a commit, and its parents.
fn commit(content: &[u8]) -> Option<(i64, Vec<ObjectId>)> {
    let mut parents = Vec::new();
    for line in content.split(|byte| *byte == b'\n') {
        if let Some(parent) = line.strip_prefix(b"parent ") {
            parents.push(ObjectId::from_hex(parent)?);
        } else if let Some(who) = line.strip_prefix(b"committer ") {
            let text = String::from_utf8_lossy(who);
            let seconds = text.rsplit(' ').nth(1).and_then(|text| text.parse().ok());
            return Some((seconds.unwrap_or_default(), parents));
        } else if line.is_empty() {
            break;
        }
    }
    Some((0, parents))
}

type Files = BTreeMap<Vec<u8>, Vec<u8>>;

fn read_into(files: &mut Files, git_dir: &Path, path: Vec<u8>) -> Result<()> {
    let place = super::repository::join_bytes(git_dir, &path);
    match disk::read_bounded(&place, LIMIT_BYTES) {
        Ok(content) => {
            files.insert(path, content);
            Ok(())
        }
        Err(error) if error.is_nowhere() => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn read_below(files: &mut Files, git_dir: &Path, place: &str, depth: usize) -> Result<()> {
    let directory = git_dir.join(place);
    let names = match disk::list(&directory) {
        Err(error) if error.is_nowhere() => return Ok(()),
        names => names?,
    };
    for name in names {
        // Git makes no ref whose name is no text; one that somebody made is not looked at.
        let Some(name) = name.to_str() else { continue };
        let path = format!("{place}/{name}");
        let Ok(found) = git_dir.join(&path).symlink_metadata() else {
            continue;
        };
        if found.is_dir() && depth > 0 {
            read_below(files, git_dir, &path, depth - 1)?;
        } else if found.is_file() {
            read_into(files, git_dir, path.into_bytes())?;
        }
    }
    Ok(())
}

fn packed(files: &Files, refs: &mut BTreeMap<Vec<u8>, Value>) {
    let content = files.get(&b"packed-refs"[..]).map(Vec::as_slice);
    for line in content.unwrap_or_default().split(|byte| *byte == b'\n') {
        let Some(space) = line.iter().position(|byte| *byte == b' ') else {
            continue;
        };
        let (id, name) = line.split_at(space);
        if let (Some(id), Some(name)) = (ObjectId::from_hex(id), name.get(1..)) {
            refs.insert(name.to_vec(), Value::Id(id));
        }
    }
}

fn value(content: &[u8]) -> Option<Value> {
    let content = content.trim_ascii_end();
    match content.strip_prefix(b"ref:") {
        Some(name) => Some(Value::Symbolic(name.trim_ascii_start().to_vec())),
        None => ObjectId::from_hex(content).map(Value::Id),
    }
}
