//! What branches, remote-tracking branches and the stash of a repository say of work that is nowhere else, by plain reads.

use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap, HashSet};
use std::path::Path;

use super::error::{Error, Result};
use super::object::{ObjectFormat, ObjectId, ObjectKind};
use super::reftable::{self, Value};
use super::remotes::{Place, Remotes};
use super::stores::{Known, Stores};
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
    /// Branches, and `HEAD` when it is detached, that of each linked worktree included.
    pub local: BTreeMap<Vec<u8>, ObjectId>,
    /// Where remote-tracking branches of remotes on other machines stand.
    pub remote: BTreeSet<ObjectId>,
    /// Where tags stand, and all other refs but the stash; remote-tracking branches of remotes that are not configured any more.
    pub other: BTreeSet<ObjectId>,
    /// How many stashes there are.
    pub stashes: u64,
}

/// Commits that no remote-tracking branch has.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub struct Unpushed {
    /// How many were found on branches.
    pub commits: u64,
    /// Whether there may be more of those: not all were looked at.
    pub is_more: bool,
    /// On how many branches.
    pub branches: u64,
    /// How many only tags and other refs lead to. A remote may have them: git does not note which tags it has.
    pub on_tags_only: u64,
}

impl Branches {
    /// Reads them.
    ///
    /// # Errors
    /// When they cannot be read.
    pub fn read(git_dir: &Path, remotes: &Remotes) -> Result<Self> {
        let mut files = BTreeMap::new();
        for name in ["packed-refs", "logs/refs/stash"] {
            read_into(&mut files, git_dir, name.as_bytes().to_vec())?;
        }
        read_below(&mut files, git_dir, "refs", DEPTH)?;
        let (all, stashed) = refs(&mut files, git_dir)?;
        let mut found = Self::default();
        if let Some(stashed) = stashed {
            found.stashes = stashed;
        } else if all.contains_key(&b"refs/stash"[..]) {
            let log = files.get(&b"logs/refs/stash"[..]);
            let lines = log.map_or(0, |log| {
                log.split(|byte| *byte == b'\n').count().saturating_sub(1)
            });
            found.stashes = (lines as u64).max(1);
        }
        for (name, value) in all {
            let Value::Id(id) = value else { continue };
            if name.starts_with(b"refs/heads/") || name == b"HEAD" {
                found.local.insert(name, id);
            } else if let Some(branch) = name.strip_prefix(b"refs/remotes/") {
                match remotes.of_branch(branch) {
                    Some(Place::Elsewhere) => drop(found.remote.insert(id)),
                    Some(Place::Here) => {}
                    None => drop(found.other.insert(id)),
                }
            // `git maintenance` fetches into the second.
            } else if name != b"refs/stash" && !name.starts_with(b"refs/prefetch/") {
                found.other.insert(id);
            }
        }
        let worktrees = match disk::list(&git_dir.join("worktrees")) {
            Err(error) if error.is_nowhere() => Vec::new(),
            names => names?,
        };
        for name in worktrees {
            let own = git_dir.join("worktrees").join(&name);
            let (own, _) = refs(&mut BTreeMap::new(), &own)?;
            if let Some(Value::Id(id)) = own.get(&b"HEAD"[..]) {
                let name = [b"worktrees/", name.as_encoded_bytes(), b"/HEAD"].concat();
                found.local.insert(name, *id);
            }
        }
        Ok(found)
    }

    /// Which commits are on no remote-tracking branch. Where clocks went wrong there may be fewer.
    ///
    /// # Errors
    /// When the object store cannot be read.
    pub fn unpushed(&self, git_dir: &Path, format: ObjectFormat) -> Result<Unpushed> {
        let is_ahead = |id: &&ObjectId| !self.remote.contains(*id);
        let ahead: Vec<ObjectId> = self.local.values().filter(is_ahead).copied().collect();
        let known: BTreeSet<ObjectId> = self.local.values().chain(&self.remote).copied().collect();
        let other: Vec<ObjectId> = self.other.difference(&known).copied().collect();
        let mut unpushed = Unpushed::default();
        if ahead.is_empty() && other.is_empty() {
            return Ok(unpushed);
        }
        let stores = Stores::open(&git_dir.join("objects"), format, false, Known::NOTHING)?;
        if !ahead.is_empty() {
            let mut walk = Walk::new(&stores);
            walk.add_all(&ahead, ASKED);
            walk.add_all(&self.remote, KNOWN);
            unpushed.is_more = !walk.run();
            // Those that wait count, too, for nobody knows better.
            let asked = walk.parents.keys().filter(|id| walk.is_asked(id));
            unpushed.commits = asked.count() as u64;
            unpushed.branches = ahead.iter().filter(|id| walk.is_asked(id)).count() as u64;
        }
        if !other.is_empty() {
            let mut walk = Walk::new(&stores);
            walk.add_all(&other, ASKED);
            walk.add_all(&known, KNOWN);
            walk.run();
            // A tag that lies deeper than was looked is one of old, as a rule, and on a remote.
            let asked = walk.looked_at.iter().filter(|id| walk.is_asked(id));
            unpushed.on_tags_only = asked.count() as u64;
        }
        Ok(unpushed)
    }
}

type Refs = BTreeMap<Vec<u8>, Value>;

/// The refs of a git directory, or of a linked worktree, of which those in files were read but for `HEAD`; and how many stashes there
/// are where a table says it.
fn refs(files: &mut Files, git_dir: &Path) -> Result<(Refs, Option<u64>)> {
    read_into(files, git_dir, b"HEAD".to_vec())?;
    read_below(files, git_dir, "reftable", 0)?;
    let damaged = |error: &reftable::Error| Error::damaged(git_dir, error.to_string());
    if let Some(stack) = reftable::read(files).map_err(|error| damaged(&error))? {
        return Ok((stack.refs, Some(stack.stashed.len() as u64)));
    }
    let mut refs = Refs::new();
    packed(files, &mut refs);
    let loose = files
        .iter()
        .filter(|(name, _)| name.starts_with(b"refs/") || *name == b"HEAD");
    for (name, content) in loose {
        if let Some(value) = value(content) {
            refs.insert(name.clone(), value);
        }
    }
    Ok((refs, None))
}

/// What is asked of a commit: whether only these lead to it.
const ASKED: u8 = 1;
/// What is known to be elsewhere.
const KNOWN: u8 = 2;

/// Commits from several tips at once, the newest first.
struct Walk<'a> {
    stores: &'a Stores,
    flags: HashMap<ObjectId, u8>,
    queue: BinaryHeap<(i64, ObjectId)>,
    parents: HashMap<ObjectId, Vec<ObjectId>>,
    looked_at: HashSet<ObjectId>,
    /// How many wait that only those lead to that are asked for.
    waiting: usize,
}

impl<'a> Walk<'a> {
    fn new(stores: &'a Stores) -> Self {
        Self {
            stores,
            flags: HashMap::new(),
            queue: BinaryHeap::new(),
            parents: HashMap::new(),
            looked_at: HashSet::new(),
            waiting: 0,
        }
    }

    fn is_asked(&self, id: &ObjectId) -> bool {
        self.flags.get(id) == Some(&ASKED)
    }

    fn add_all<'i>(&mut self, ids: impl IntoIterator<Item = &'i ObjectId>, flag: u8) {
        for id in ids {
            self.add(*id, flag);
        }
    }

    /// Marks a commit; one that was met for the first time waits. What is no commit, or not there as in a shallow clone, ends here.
    fn add(&mut self, id: ObjectId, flag: u8) {
        let flags = self.flags.entry(id).or_default();
        let before = *flags;
        *flags |= flag;
        let is_asked = *flags == ASKED;
        if before == 0 {
            let Some(object) = self.stores.read(&id).ok() else {
                return;
            };
            match object.kind {
                ObjectKind::Commit => {
                    if let Some((seconds, parents)) = commit(&object.content) {
                        self.parents.insert(id, parents);
                        self.queue.push((seconds, id));
                        self.waiting += usize::from(is_asked);
                    }
                }
                ObjectKind::Tag => {
                    if let Some(target) = tagged(&object.content) {
                        self.add(target, flag);
                    }
                }
                ObjectKind::Tree | ObjectKind::Blob => {}
            }
        } else if before == ASKED
            && !is_asked
            && self.parents.contains_key(&id)
            && !self.looked_at.contains(&id)
        {
            self.waiting -= 1;
        }
    }

    /// Looks until nothing waits that only those lead to that are asked for; says whether it came so far.
    fn run(&mut self) -> bool {
        while self.waiting > 0 {
            let Some((_, id)) = self.queue.pop() else {
                break;
            };
            if self.looked_at.len() >= MOST_COMMITS {
                return false;
            }
            self.looked_at.insert(id);
            let flags = self.flags.get(&id).copied().unwrap_or_default();
            self.waiting -= usize::from(flags == ASKED);
            for parent in self.parents.get(&id).cloned().unwrap_or_default() {
                self.add(parent, flags);
            }
        }
        true
    }
}

/// What a tag stands at.
fn tagged(content: &[u8]) -> Option<ObjectId> {
    let first = content.split(|byte| *byte == b'\n').next()?;
    ObjectId::from_hex(first.strip_prefix(b"object ")?)
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

fn packed(files: &Files, refs: &mut Refs) {
    let content = files.get(&b"packed-refs"[..]).map(Vec::as_slice);
    let mut last = None;
    for line in content.unwrap_or_default().split(|byte| *byte == b'\n') {
        // What the tag in the line before stands at: then nobody needs to read that.
        if let Some(peeled) = line.strip_prefix(b"^") {
            if let (Some(name), Some(id)) = (last.take(), ObjectId::from_hex(peeled)) {
                refs.insert(name, Value::Id(id));
            }
            continue;
        }
        let Some(space) = line.iter().position(|byte| *byte == b' ') else {
            continue;
        };
        let (id, name) = line.split_at(space);
        if let (Some(id), Some(name)) = (ObjectId::from_hex(id), name.get(1..)) {
            refs.insert(name.to_vec(), Value::Id(id));
            last = Some(name.to_vec());
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
