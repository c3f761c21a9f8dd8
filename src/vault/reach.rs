//! Which stored objects snapshots need: everything that their commits reach and that no history keeps anyway.

use std::collections::HashSet;

use crate::host::git::object::{
    MODE_GITLINK, MODE_TREE, ObjectFormat, ObjectId, ObjectKind, each_link, tree_entries,
};
use crate::host::git::pack_reader::Pack;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::vault::content::refuse_git_read;
use crate::vault::reader::Trusted;
use crate::vault::store::Store;

/// The objects of capture packs that are needed.
pub struct Reach<'a> {
    store: &'a Store,
    format: ObjectFormat,
    needed: HashSet<ObjectId>,
    /// Trees and commits that were followed, wherever they lie, and files that were looked for.
    seen: HashSet<ObjectId>,
    /// What became needed since it was last asked.
    fresh: Vec<ObjectId>,
}

/// What is to be followed.
enum Step {
    Commit(ObjectId),
    Tree(ObjectId),
}

impl<'a> Reach<'a> {
    /// Nothing is needed yet of what `store` holds, which is everything in the vault.
    #[must_use]
    pub fn new(store: &'a Store, format: ObjectFormat) -> Self {
        Self {
            store,
            format,
            needed: HashSet::new(),
            seen: HashSet::new(),
            fresh: Vec::new(),
        }
    }

    /// Whether an object of a capture pack is needed.
    #[must_use]
    pub fn needs(&self, id: &ObjectId) -> bool {
        self.needed.contains(id)
    }

    /// What became needed since this was last asked.
    pub fn take_fresh(&mut self) -> Vec<ObjectId> {
        std::mem::take(&mut self.fresh)
    }

    /// All that is needed.
    pub fn ids(&self) -> impl Iterator<Item = &ObjectId> {
        self.needed.iter()
    }

    /// Follows the commit of a snapshot.
    ///
    /// # Errors
    /// When something that it needs is missing or damaged.
    pub fn add(&mut self, trusted: &Trusted) -> Result<()> {
        let manifest = trusted.manifest();
        let commit = ObjectId::from_hex(manifest.content.commit.as_bytes()).ok_or_else(|| {
            let what = format!(
                "the manifest of snapshot {} names no commit",
                manifest.snapshot
            );
            Refusal::new(RefusalCode::RecordContradiction, what)
        })?;
        self.follow(Step::Commit(commit))
            .map_err(|refusal| refusal.because(format!("snapshot {} needs it", manifest.snapshot)))
    }

    /// Takes all objects of a capture pack for needed, with all that they lead to.
    ///
    /// # Errors
    /// When something is missing or damaged.
    pub fn add_all_of(&mut self, pack: &Pack) -> Result<()> {
        for id in pack.index.ids() {
            self.needed.insert(id);
            match pack.kind(&id).map_err(|error| refuse_git_read(&error))? {
                ObjectKind::Tree => self.follow(Step::Tree(id))?,
                ObjectKind::Commit => self.follow(Step::Commit(id))?,
                ObjectKind::Blob | ObjectKind::Tag => {}
            }
        }
        Ok(())
    }

    fn follow(&mut self, first: Step) -> Result<()> {
        let mut steps = vec![first];
        while let Some(step) = steps.pop() {
            let (Step::Commit(id) | Step::Tree(id)) = step;
            if !self.seen.insert(id) {
                continue;
            }
            self.need(&id);
            match step {
                Step::Commit(id) => self.commit(&id, &mut steps)?,
                Step::Tree(id) => self.tree(&id, &mut steps)?,
            }
        }
        Ok(())
    }

    /// What lies in a history stays there anyway.
    fn need(&mut self, id: &ObjectId) {
        if self.store.capture.contains(id) && self.needed.insert(*id) {
            self.fresh.push(*id);
        }
    }

    /// Its tree, and those parents that snapshots made: all others are history.
    fn commit(&self, id: &ObjectId, steps: &mut Vec<Step>) -> Result<()> {
        let content = self.store.read(id, ObjectKind::Commit)?;
        let mut links = Vec::new();
        each_link(self.format, ObjectKind::Commit, &content, |link| {
            links.push(link);
        })
        .ok_or_else(|| malformed(id))?;
        let mut links = links.into_iter();
        steps.extend(links.next().map(Step::Tree));
        let parents = links.filter(|parent| self.store.capture.contains(parent));
        steps.extend(parents.map(Step::Commit));
        Ok(())
    }

    /// Everything in it, also when the tree itself is history: a file that it names may be one that only a snapshot stored.
    fn tree(&mut self, id: &ObjectId, steps: &mut Vec<Step>) -> Result<()> {
        let content = self.store.read(id, ObjectKind::Tree)?;
        for entry in tree_entries(self.format, &content) {
            let entry = entry.ok_or_else(|| malformed(id))?;
            match entry.mode & 0o170_000 {
                MODE_GITLINK => {}
                MODE_TREE => steps.push(Step::Tree(entry.id)),
                _ => self.file(id, &entry.id)?,
            }
        }
        Ok(())
    }

    fn file(&mut self, tree: &ObjectId, id: &ObjectId) -> Result<()> {
        if !self.seen.insert(*id) {
            return Ok(());
        }
        if !self.store.contains(id) {
            self.store.check()?;
            let missing = crate::host::git::error::Error::Missing(*id);
            return Err(refuse_git_read(&missing).because(format!("tree {tree} names it")));
        }
        self.need(id);
        Ok(())
    }

    /// What an object that is not needed names and that is not needed either, among the objects of capture packs.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn needless_links(&self, pack: &Pack, id: &ObjectId) -> Result<Vec<ObjectId>> {
        let refuse = |error: crate::host::git::error::Error| refuse_git_read(&error);
        if pack.kind(id).map_err(refuse)? == ObjectKind::Blob {
            return Ok(Vec::new());
        }
        let object = pack.read(id).map_err(refuse)?;
        let mut links = Vec::new();
        each_link(self.format, object.kind, &object.content, |link| {
            if !self.needs(&link) {
                links.push(link);
            }
        })
        .ok_or_else(|| malformed(id))?;
        links.retain(|link| self.store.capture.contains(link));
        Ok(links)
    }
}

fn malformed(id: &ObjectId) -> Refusal {
    Refusal::new(
        RefusalCode::VaultDamaged,
        format!("object {id} cannot be understood"),
    )
}
