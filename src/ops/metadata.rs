//! The metadata of a workspace, read before anything else: what its git directories look like, what they name, and what the
//! indices of its working trees track.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::host::git::grafts::Grafts;
use crate::host::git::ignore::Rules;
use crate::host::git::index::Index;
use crate::host::git::object::{ObjectFormat, ObjectId};
use crate::host::git::reftable;
use crate::host::git::repository::{Lookup, Repository, Settings, join_bytes};
use crate::host::git::tips::{self, Tips};
use crate::host::metadata::Fingerprint;
use crate::host::walk::{Found, Walked, join, walk};
use crate::model::escape::shell_word;
use crate::model::ids::Digest;
use crate::model::listing::Reason;
use crate::model::place::{Place, Spot, below};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::capture::{CaptureError, moved};
use crate::ops::gitdir_scan::{GitdirContext, GitdirLook};
use crate::ops::locate::refuse_source_objects;
use crate::ops::scan::{Border, Borders, Tracked};
use crate::ops::workspace::{Member, Workspace};
use crate::vault::content::Stored;

type Capturing<T> = std::result::Result<T, CaptureError>;

/// The metadata of a workspace.
pub struct Metadata {
    /// Its repositories and working trees.
    pub workspace: Workspace,
    /// What each repository names, in the order of the workspace's members.
    pub members: Vec<Names>,
    /// What each git directory that is walked by itself looked like.
    pub(super) looks: Vec<(Spot, Look)>,
    trees: BTreeMap<Spot, Arc<Tracked>>,
}

/// What a repository names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Names {
    /// All that HEADs, refs, operations and reflogs name, those of linked worktrees included; branch and HEAD are those of the
    /// main working tree.
    pub tips: Tips,
    /// Branch, HEAD and operations of each linked worktree, by the name of its directory in `worktrees`.
    pub linked: BTreeMap<Vec<u8>, Tips>,
    /// The parents that count in place of recorded ones.
    pub grafts: Grafts,
    /// The objects that the indices name, in the order of the indices; one may stand there more than once.
    pub index_ids: Vec<ObjectId>,
}

/// A git directory, looked at: fingerprints of everything in it, and the bytes of the files that name tips.
pub struct Look {
    /// What was seen.
    pub walked: Vec<Walked<()>>,
    files: BTreeMap<Vec<u8>, Vec<u8>>,
}

impl Names {
    /// Does not ask for what git does without: for a source that lacks it.
    pub(super) fn do_without_optional(&mut self) {
        self.tips.do_without_optional();
    }

    /// Ids that must be in the history.
    #[must_use]
    pub fn needed(&self) -> BTreeSet<ObjectId> {
        let mut needed = self.tips.needed.clone();
        needed.extend(&self.index_ids);
        needed
    }

    /// Whether an id must be in the history.
    #[must_use]
    pub fn needs(&self, id: &ObjectId) -> bool {
        self.tips.needed.contains(id) || self.index_ids.contains(id)
    }
}

impl Look {
    /// Looks at a git directory, but for the working trees that lie in it.
    ///
    /// # Errors
    /// [`CaptureError`].
    pub fn at(git_dir: &Path, trees: BTreeSet<Vec<u8>>) -> Capturing<Self> {
        let scan = GitdirLook::new(git_dir, trees);
        let walked = walk(git_dir, &scan, GitdirContext::default()).map_err(moved)?;
        let files = scan
            .tip_files
            .into_inner()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        Ok(Self { walked, files })
    }

    /// What the repository whose git directory lies at `own` in this one, at `git_dir` on disk, names; `indices` are the
    /// indices of its working trees.
    ///
    /// # Errors
    /// [`CaptureError`].
    pub fn names(
        &self,
        (own, git_dir): (&[u8], &Path),
        indices: &[&Index],
        format: ObjectFormat,
    ) -> Capturing<Names> {
        let files = self
            .files
            .iter()
            .filter_map(|(path, bytes)| Some((in_repository(own, path)?.to_vec(), bytes.clone())))
            .collect();
        let paths: Vec<Vec<u8>> = paths(&self.walked)
            .filter_map(|path| in_repository(own, &path).map(<[u8]>::to_vec))
            .collect();
        let (tips, linked) =
            tips::read_all(&files, &paths).map_err(|error| refs_unreadable(git_dir, error))?;
        let grafts =
            Grafts::read(git_dir, &files, format).map_err(|error| refuse_source_objects(&error))?;
        let index_ids = indices.iter().flat_map(|index| index.ids()).collect();
        Ok(Names {
            tips,
            linked,
            grafts,
            index_ids,
        })
    }

    /// Whether a git directory was captured just as it was looked at: same fingerprints, and the captured bytes are those that
    /// tips were read from. `at` is where it lies in the captured place.
    fn check_same(&self, root: &Path, captured: &[Walked<Stored>], at: &[u8]) -> Capturing<()> {
        let inside: Vec<(&[u8], &Walked<Stored>)> = captured
            .iter()
            .filter_map(|walked| Some((below(at, &walked.path)?, walked)))
            .collect();
        if let Some(path) = first_difference(&self.walked, &inside) {
            return Err(CaptureError::Moved(join_bytes(root, &path)));
        }
        for (path, directory) in inside {
            for (name, found) in &directory.entries {
                let path = join(path, name);
                if let (Found::File { content, .. }, Some(bytes)) = (found, self.files.get(&path))
                    && content.blake3 != Digest::of(bytes)
                {
                    return Err(CaptureError::Moved(join_bytes(root, &path)));
                }
            }
        }
        Ok(())
    }
}

/// A path in a git directory as one in the repository whose git directory lies at `own` in it; `None` when it belongs to
/// another one.
fn in_repository<'a>(own: &[u8], path: &'a [u8]) -> Option<&'a [u8]> {
    let path = below(own, path)?;
    let (_, in_worktree) = tips::in_its_worktree(path);
    (!in_worktree.starts_with(b"modules/")).then_some(path)
}

impl Metadata {
    /// Refuses a repository that git itself would not take for one, or whose refs it cannot read: they may be gone.
    ///
    /// # Errors
    /// [`RefusalCode::SourceFormatUnknown`].
    pub fn check_usable(&self) -> Result<()> {
        for (member, names) in self.each() {
            if let Some((name, why)) = names.tips.unusable.first() {
                let path = member.repository.git_dir.join(name);
                let refusal = Refusal::new(
                    RefusalCode::SourceFormatUnknown,
                    format!("'{}' cannot be understood", path.display()),
                );
                return Err(refusal
                    .because(*why)
                    .because("git does nothing in such a repository; what it named may be gone")
                    .next(
                        format!("cp -a {} ~/{name}.evidence", shell_word(&path)),
                        "keeps it as it is, before anything mends it",
                    ));
            }
        }
        Ok(())
    }

    /// Reads HEADs, refs, reflogs, operation files and indices of all repositories of a workspace. `borders` are the
    /// directories in working trees that are known to have a `.git` of their own.
    ///
    /// # Errors
    /// [`CaptureError`].
    pub fn read(
        main: &Repository,
        lookup: &Lookup,
        borders: &BTreeSet<PathBuf>,
    ) -> Capturing<Self> {
        let workspace = Workspace::find(main, lookup, borders)?;
        let mut looks = Vec::new();
        for member in workspace.roots() {
            let git_dir = &member.repository.git_dir;
            let look = Look::at(git_dir, workspace.trees_in(git_dir))?;
            looks.push((member.git_dir.clone(), look));
        }
        let mut trees = BTreeMap::new();
        let mut members = Vec::new();
        for member in &workspace.members {
            members.push(read_member(&workspace, member, &looks, &mut trees)?);
        }
        let metadata = Self {
            workspace,
            members,
            looks,
            trees,
        };
        if Workspace::find(main, lookup, borders)? != metadata.workspace {
            return Err(CaptureError::Moved(main.git_dir.clone()));
        }
        Ok(metadata)
    }

    /// What the main repository names.
    ///
    /// # Errors
    /// Never: a workspace has a main repository.
    pub fn main(&self) -> Result<&Names> {
        self.members
            .first()
            .ok_or_else(|| Refusal::new(RefusalCode::Internal, "a workspace without a repository"))
    }

    /// The repositories with what they name.
    pub fn each(&self) -> impl Iterator<Item = (&Member, &Names)> {
        self.workspace.members.iter().zip(&self.members)
    }

    /// The borders in a place, by path.
    #[must_use]
    pub fn borders(&self, place: Place) -> Borders {
        let trees = self
            .trees
            .iter()
            .map(|(spot, tracked)| (spot, Border::Tree(Arc::clone(tracked))));
        let outside = self
            .workspace
            .outside
            .iter()
            .map(|(spot, outside)| (spot, Border::Outside(outside.named.clone())));
        trees
            .chain(outside)
            .filter(|(spot, _)| spot.place == place)
            .map(|(spot, border)| (spot.path.clone(), border))
            .collect()
    }

    /// A digest of all ids that are named, needed and tolerated, by repository, of what it lacks, and of parents stated anew.
    #[must_use]
    pub fn ids_digest(&self, lacks: &dyn Fn(&Member) -> [BTreeSet<ObjectId>; 2]) -> Digest {
        let mut bytes = Vec::new();
        for (member, names) in self.each() {
            bytes.extend_from_slice(member.git_dir.to_string().as_bytes());
            let [holes, promised] = lacks(member);
            push_ids(&mut bytes, &names.index_ids);
            for ids in [&names.tips.needed, &names.tips.tolerated, &holes, &promised] {
                push_ids(&mut bytes, ids);
            }
            for (commit, parents) in names.grafts.parents() {
                bytes.extend_from_slice(commit.as_bytes());
                bytes.extend_from_slice(&(parents.len() as u64).to_le_bytes());
                bytes.extend(parents.iter().flat_map(ObjectId::as_bytes));
            }
        }
        Digest::of(&bytes)
    }

    /// Lock files that a running git held in the main git directory.
    #[must_use]
    pub fn locks(&self) -> Vec<Vec<u8>> {
        let is_lock = |found: &Found<()>| {
            matches!(
                found,
                Found::LeftOut {
                    reason: Reason::Lock,
                    ..
                }
            )
        };
        let main = self.looks.first().map(|(_, look)| look.walked.as_slice());
        let entries = main.unwrap_or_default().iter().flat_map(|directory| {
            directory
                .entries
                .iter()
                .map(move |(name, found)| (join(&directory.path, name), found))
        });
        entries
            .filter(|(_, found)| is_lock(found))
            .map(|(path, _)| path)
            .collect()
    }

    /// Whether the git directories in a place still are what they were.
    ///
    /// # Errors
    /// [`CaptureError::Moved`].
    pub fn check_same(&self, place: Place, captured: &[Walked<Stored>]) -> Capturing<()> {
        for (spot, look) in self.looks.iter().filter(|(spot, _)| spot.place == place) {
            let root = self.workspace.path(spot).unwrap_or_default();
            look.check_same(&root, captured, &spot.path)?;
        }
        Ok(())
    }
}

fn push_ids<'a>(
    bytes: &mut Vec<u8>,
    ids: impl IntoIterator<Item = &'a ObjectId, IntoIter: ExactSizeIterator>,
) {
    let ids = ids.into_iter();
    bytes.extend_from_slice(&(ids.len() as u64).to_le_bytes());
    for id in ids {
        bytes.extend_from_slice(id.as_bytes());
    }
}

/// Reads what one repository names, and what its working trees track.
fn read_member(
    workspace: &Workspace,
    member: &Member,
    looks: &[(Spot, Look)],
    trees: &mut BTreeMap<Spot, Arc<Tracked>>,
) -> Capturing<Names> {
    let repository = &member.repository;
    let mut indices = Vec::new();
    let main = [(Vec::new(), member.worktree.clone(), &repository.settings)];
    let linked = workspace
        .linked
        .iter()
        .filter(|linked| linked.git_dir == member.git_dir);
    let linked = linked.map(|linked| {
        let own = [b"worktrees/", linked.name.as_slice(), b"/"].concat();
        let settings = linked.settings.as_ref().unwrap_or(&repository.settings);
        (own, linked.worktree.clone(), settings)
    });
    for (own, worktree, settings) in main.into_iter().chain(linked) {
        let path = join_bytes(&repository.git_dir, &[&own[..], b"index"].concat());
        let tracked = Arc::new(Tracked {
            index: open_index(&path, repository.format)?,
            rules: rules_of(repository, settings)?,
        });
        trees.extend(worktree.map(|spot| (spot, Arc::clone(&tracked))));
        indices.push(tracked);
    }
    let indices: Vec<&Index> = indices.iter().map(|tracked| &tracked.index).collect();
    let look = looks
        .iter()
        .find_map(|(spot, look)| Some((spot.relative(&member.git_dir)?, look)));
    match look {
        Some((own, look)) => look.names((own, &repository.git_dir), &indices, repository.format),
        None => Err(CaptureError::Moved(repository.git_dir.clone())),
    }
}

/// Refs that are kept in tables, and cannot be read. A table that has gone meanwhile is a movement: git puts one in the place of
/// several, and takes those out of the list of tables before it removes them.
fn refs_unreadable(git_dir: &Path, error: reftable::Error) -> CaptureError {
    let reason = match error {
        reftable::Error::Missing(table) => {
            let path = join_bytes(git_dir, &table);
            let is_there = std::fs::symlink_metadata(&path).is_ok();
            let list = std::fs::read(path.with_file_name(reftable::LIST_NAME)).unwrap_or_default();
            let name = path.file_name().map(OsStrExt::as_bytes);
            let is_named = list
                .split(|byte| *byte == b'\n')
                .any(|line| Some(line) == name);
            if is_there || !is_named {
                return CaptureError::Moved(path);
            }
            format!(
                "'{}' is not there, and the list of tables names it",
                path.display()
            )
        }
        reftable::Error::Damaged { file, reason } => {
            format!(
                "'{}' is damaged: {reason}",
                join_bytes(git_dir, &file).display()
            )
        }
    };
    let refusal = Refusal::new(
        RefusalCode::SourceObjectDamaged,
        "the refs of the repository cannot be understood",
    );
    CaptureError::Refused(
        refusal
            .because(reason)
            .because("git may take this for a repository without some of its refs, or without any")
            .next("git for-each-ref", "shows the refs that git still sees"),
    )
}

/// Reads an index.
///
/// # Errors
/// When it cannot be understood.
pub fn open_index(path: &Path, format: ObjectFormat) -> Result<Index> {
    Index::open(path, format).map_err(|error| {
        Refusal::new(
            RefusalCode::SourceIndexDamaged,
            "the index of the repository cannot be understood",
        )
        .because(format!("'{}': {}", error.path.display(), error.reason))
        .next("git fsck --cache", "says what git thinks of it")
    })
}

/// The ignore rules that hold at the root of a working tree with these settings, before any `.gitignore`.
///
/// # Errors
/// When a file of rules is there and cannot be read.
pub fn rules_of(repository: &Repository, settings: &Settings) -> Result<Rules> {
    let info_exclude = repository.git_dir.join("info/exclude");
    Rules::everywhere(
        settings.excludes_file.as_deref(),
        &info_exclude,
        settings.ignore_case,
    )
    .map_err(|error| error.refuse(RefusalCode::SourceUnreadable))
}

fn paths<C>(walked: &[Walked<C>]) -> impl Iterator<Item = Vec<u8>> {
    walked.iter().flat_map(|directory| {
        directory
            .entries
            .iter()
            .map(|(name, _)| join(&directory.path, name))
    })
}

/// Everything a walk saw of an entry but its content.
pub(super) fn seen<C>(found: &Found<C>) -> (u8, Option<Fingerprint>) {
    match found {
        Found::File { fingerprint, .. } => (0, Some(*fingerprint)),
        Found::Link { fingerprint, .. } => (1, Some(*fingerprint)),
        Found::Directory => (2, None),
        Found::Special(_, fingerprint) => (3, Some(*fingerprint)),
        Found::LeftOut { .. } => (4, None),
    }
}

/// The first path at which two walks saw something else; the second one with the paths to compare by.
pub(super) fn first_difference<A, B>(
    left: &[Walked<A>],
    right: &[(&[u8], &Walked<B>)],
) -> Option<Vec<u8>> {
    for (left, (path, right)) in left.iter().zip(right) {
        if left.path != *path || left.fingerprint != right.fingerprint {
            return Some(left.path.clone());
        }
        for ((left_name, left_found), (right_name, right_found)) in
            left.entries.iter().zip(&right.entries)
        {
            if left_name != right_name || seen(left_found) != seen(right_found) {
                return Some(join(&left.path, left_name));
            }
        }
        if left.entries.len() != right.entries.len() {
            return Some(left.path.clone());
        }
    }
    let longer = left.len().min(right.len());
    let rest = left.get(longer).map(|walked| walked.path.as_slice());
    rest.or(right.get(longer).map(|(path, _)| *path))
        .map(<[u8]>::to_vec)
}
