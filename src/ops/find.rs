//! `git vault find`, `log`: which snapshots hold a path, and which versions of it there are. Directories that several snapshots share are
//! read once.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::rc::Rc;

use globset::{GlobBuilder, GlobMatcher};

use crate::host::walk::join;
use crate::model::ids::Digest;
use crate::model::listing::Entry;
use crate::model::place::Place;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::locate::Workplace;
use crate::ops::snapshot_path::SnapshotPath;
use crate::vault::inspect::Vault;
use crate::vault::log::LoggedSnapshot;
use crate::vault::lookup::DirectoryKey;
use crate::vault::reader::{SnapshotReader, trust};
use crate::vault::store::Store;

/// What stands under a path: equal ones are the same version.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Version {
    /// A file, by size, BLAKE3 and modification time in ns.
    File(u64, Digest, i128),
    /// A link, by the BLAKE3 of its target.
    Link(Digest),
    /// A directory.
    Directory,
    /// Something that is recorded, and not kept.
    Other,
}

impl Version {
    fn of(entry: &Entry) -> Self {
        match entry {
            Entry::File {
                attributes,
                bytes,
                blake3,
            } => Self::File(*bytes, *blake3, attributes.mtime_ns),
            Entry::Link { blake3, .. } => Self::Link(*blake3),
            Entry::Directory { .. } => Self::Directory,
            Entry::Special { .. } | Entry::LeftOut { .. } => Self::Other,
        }
    }

    /// Whether it is the same content; times do not count.
    fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::File(_, left, _), Self::File(_, right, _)) => left == right,
            (left, right) => left == right,
        }
    }
}

/// A path that was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// In which tree: the main working tree, or one that lies outside of it.
    pub place: Place,
    /// The path.
    pub path: Vec<u8>,
    /// The first snapshot that holds it.
    pub first: LoggedSnapshot,
    /// The newest snapshot that holds it.
    pub last: LoggedSnapshot,
    /// In how many snapshots it is.
    pub snapshots: u64,
    /// How many different contents it had, one after the other.
    pub versions: u64,
    /// What it is in the newest snapshot that holds it.
    pub version: Version,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FindReport {
    /// In the order of their paths.
    pub found: Vec<Found>,
    /// Snapshots that were searched.
    pub searched: u64,
    /// Snapshots that were not, because a key was compromised.
    pub passed_over: u64,
    /// The newest snapshot.
    pub newest: Option<LoggedSnapshot>,
}

/// One version of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Logged {
    /// The first snapshot that holds this version.
    pub first: LoggedSnapshot,
    /// The last of the snapshots in a row that hold it.
    pub last: LoggedSnapshot,
    /// How many those are.
    pub snapshots: u64,
    /// What it is; `None` where the path is not there.
    pub version: Option<Version>,
}

/// The versions of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogReport {
    /// The path.
    pub path: Vec<u8>,
    /// Oldest first; times without the path stand between.
    pub versions: Vec<Logged>,
}

/// What is found below a directory, relative to it.
type Hits = Rc<Vec<(Vec<u8>, Version)>>;

/// Finds paths of all working trees by a pattern: a name or a part of one, or a glob in which `*` stops at `/` and `**` does not.
///
/// # Errors
/// When the pattern makes no sense, or a snapshot cannot be trusted.
pub fn find(workplace: &Workplace, pattern: &str) -> Result<FindReport> {
    let matcher = Matcher::new(pattern)?;
    let vault = workplace.existing_vault()?;
    let store = store(&vault);
    let mut known: HashMap<(DirectoryKey, Vec<u8>), Hits> = HashMap::new();
    let mut found: BTreeMap<(Place, Vec<u8>), Found> = BTreeMap::new();
    let mut searched = 0;
    for logged in vault.log.accepted() {
        let trusted = trust(&vault, logged)?;
        let reader = SnapshotReader::new(&store, &trusted);
        searched += 1;
        for place in reader.places() {
            let searched = place != Place::Gitdir;
            let Some(top) = reader.top_key(place)?.filter(|_| searched) else {
                continue;
            };
            let hits = hits(&reader, &matcher, top, &[], &mut known)?;
            note(&mut found, place, &hits, logged);
        }
    }
    let all = vault.log.snapshots.len() as u64;
    Ok(FindReport {
        found: found.into_values().collect(),
        searched,
        passed_over: all - searched,
        newest: vault.log.accepted().next_back().cloned(),
    })
}

/// Counts what one place of a snapshot holds of what was looked for.
fn note(
    found: &mut BTreeMap<(Place, Vec<u8>), Found>,
    place: Place,
    hits: &Hits,
    logged: &LoggedSnapshot,
) {
    for (path, version) in hits.iter() {
        let one = found.entry((place, path.clone())).or_insert_with(|| Found {
            place,
            path: path.clone(),
            first: logged.clone(),
            last: logged.clone(),
            snapshots: 0,
            versions: 0,
            version: version.clone(),
        });
        if one.snapshots == 0 || !one.version.is_same(version) {
            one.versions += 1;
        }
        one.snapshots += 1;
        one.last = logged.clone();
        one.version = version.clone();
    }
}

/// All packs there are: whichever snapshot needs them.
fn store(vault: &Vault) -> Store {
    let records = vault.log.packs();
    Store::new(&vault.layout, records, vault.format)
}

fn hits(
    reader: &SnapshotReader<'_>,
    matcher: &Matcher,
    key: DirectoryKey,
    path: &[u8],
    known: &mut HashMap<(DirectoryKey, Vec<u8>), Hits>,
) -> Result<Hits> {
    if let Some(hits) = known.get(&(key, path.to_vec())) {
        return Ok(Rc::clone(hits));
    }
    let (directory, below) = reader.read_directory(key, path)?;
    let mut all = Vec::new();
    for (name, entry) in &directory.listing.entries {
        let path = join(path, name);
        if matcher.matches(&path, name) {
            all.push((path, Version::of(entry)));
        }
    }
    for (path, key) in below {
        all.extend(hits(reader, matcher, key, &path, known)?.iter().cloned());
    }
    let all: Hits = Rc::new(all);
    known.insert((key, path.to_vec()), Rc::clone(&all));
    Ok(all)
}

/// What is looked for.
struct Matcher {
    glob: Option<GlobMatcher>,
    text: Vec<u8>,
    has_slash: bool,
}

impl Matcher {
    fn new(pattern: &str) -> Result<Self> {
        let is_glob = pattern.contains(['*', '?', '[']);
        let glob = is_glob.then(|| GlobBuilder::new(pattern).literal_separator(true).build());
        let glob = glob.transpose().map_err(|error| {
            Refusal::new(
                RefusalCode::SettingInvalid,
                format!("'{pattern}' is no pattern"),
            )
            .because(error.kind().to_string())
            .keeping("nothing was touched")
        })?;
        Ok(Self {
            glob: glob.map(|glob| glob.compile_matcher()),
            text: pattern.as_bytes().to_vec(),
            has_slash: pattern.contains('/'),
        })
    }

    /// A pattern with a slash is for whole paths, any other for names.
    fn matches(&self, path: &[u8], name: &[u8]) -> bool {
        use std::os::unix::ffi::OsStrExt as _;
        let subject = if self.has_slash { path } else { name };
        let is_matched = self
            .glob
            .as_ref()
            .is_some_and(|glob| glob.is_match(Path::new(std::ffi::OsStr::from_bytes(subject))));
        // A name may hold what means something else in a glob.
        is_matched
            || subject
                .windows(self.text.len().max(1))
                .any(|part| part == self.text)
    }
}

/// The versions of one path over all snapshots.
///
/// # Errors
/// When no snapshot holds it, or one cannot be trusted.
pub fn log(workplace: &Workplace, asked: &SnapshotPath) -> Result<LogReport> {
    let vault = workplace.existing_vault()?;
    let store = store(&vault);
    let parts: Vec<&[u8]> = asked.path.split(|byte| *byte == b'/').collect();
    let mut known: HashMap<(DirectoryKey, usize), Option<Version>> = HashMap::new();
    let mut versions: Vec<Logged> = Vec::new();
    for logged in vault.log.accepted() {
        let trusted = trust(&vault, logged)?;
        let reader = SnapshotReader::new(&store, &trusted);
        let version = match reader.top_key(asked.place)? {
            Some(top) => descend(&reader, top, &parts, 0, &mut known)?,
            None => None,
        };
        let is_same = |last: &Logged| match (&last.version, &version) {
            (Some(left), Some(right)) => left.is_same(right),
            (None, None) => true,
            _ => false,
        };
        match versions.last_mut().filter(|last| is_same(last)) {
            Some(last) => {
                last.last = logged.clone();
                last.snapshots += 1;
            }
            None => versions.push(Logged {
                first: logged.clone(),
                last: logged.clone(),
                snapshots: 1,
                version,
            }),
        }
    }
    if versions.iter().all(|one| one.version.is_none()) {
        let newest = vault.log.accepted().next_back();
        let newest = newest.map_or("@latest", |newest| newest.record.id.as_str());
        return Err(
            crate::ops::snapshot_path::not_in(newest, asked.place, &asked.path)
                .because("nor does any other snapshot"),
        );
    }
    Ok(LogReport {
        path: asked.path.clone(),
        versions,
    })
}

fn descend(
    reader: &SnapshotReader<'_>,
    key: DirectoryKey,
    parts: &[&[u8]],
    depth: usize,
    known: &mut HashMap<(DirectoryKey, usize), Option<Version>>,
) -> Result<Option<Version>> {
    if let Some(version) = known.get(&(key, depth)) {
        return Ok(version.clone());
    }
    let Some((name, rest)) = parts.get(depth..).and_then(<[&[u8]]>::split_first) else {
        return Ok(None);
    };
    let path = parts.get(..depth).unwrap_or_default().join(&b'/');
    let (directory, below) = reader.read_directory(key, &path)?;
    let version = if rest.is_empty() {
        directory.listing.entries.get(*name).map(Version::of)
    } else {
        let wanted = join(&path, name);
        match below.into_iter().find(|(path, _)| *path == wanted) {
            Some((_, key)) => descend(reader, key, parts, depth + 1, known)?,
            None => None,
        }
    };
    known.insert((key, depth), version.clone());
    Ok(version)
}
