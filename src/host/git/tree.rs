//! Builds tree and commit objects.

use super::object::{MODE_TREE, ObjectId};

/// One entry of a tree that is being built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewEntry {
    /// The mode.
    pub mode: u32,
    /// The name.
    pub name: Vec<u8>,
    /// The object.
    pub id: ObjectId,
}

/// The content of a tree object with `entries`, sorted as git sorts them: a directory as if its name ended in `/`.
#[must_use]
pub fn tree_content(mut entries: Vec<NewEntry>) -> Vec<u8> {
    entries.sort_by(|left, right| sort_key(left).cmp(sort_key(right)));
    let mut content = Vec::with_capacity(entries.len() * 48);
    for entry in &entries {
        content.extend_from_slice(format!("{:o} ", entry.mode).as_bytes());
        content.extend_from_slice(&entry.name);
        content.push(0);
        content.extend_from_slice(entry.id.as_bytes());
    }
    content
}

fn sort_key(entry: &NewEntry) -> impl Iterator<Item = &u8> {
    let end: &[u8] = if entry.mode == MODE_TREE { b"/" } else { b"" };
    entry.name.iter().chain(end)
}

/// A commit that is being built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCommit<'a> {
    /// Its tree.
    pub tree: ObjectId,
    /// Its parents.
    pub parents: &'a [ObjectId],
    /// Seconds since the epoch.
    pub seconds: i64,
    /// Its message.
    pub message: &'a str,
}

/// The content of a commit object; author and committer are the program itself.
#[must_use]
pub fn commit_content(commit: &NewCommit<'_>) -> Vec<u8> {
    let mut text = format!("tree {}\n", commit.tree);
    for parent in commit.parents {
        text.push_str(&format!("parent {parent}\n"));
    }
    let who = format!(
        "git-vault <git-vault@localhost> {} +0000",
        commit.seconds.max(0)
    );
    text.push_str(&format!(
        "author {who}\ncommitter {who}\n\n{}\n",
        commit.message
    ));
    text.into_bytes()
}

/// The tree a commit names.
#[must_use]
pub fn tree_of_commit(content: &[u8]) -> Option<ObjectId> {
    let first = content.split(|byte| *byte == b'\n').next()?;
    ObjectId::from_hex(first.strip_prefix(b"tree ")?)
}
