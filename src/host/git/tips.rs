//! The ids that a captured git directory names: which must be present, and which git itself does without.

use std::collections::{BTreeMap, BTreeSet};

use super::object::ObjectId;

/// What a git directory says about its history, read from the captured bytes of its files.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Tips {
    /// Named by HEADs, refs and operations in progress.
    pub needed: BTreeSet<ObjectId>,
    /// Those of `needed` that only `AUTO_MERGE` names: `git gc` does not keep them, and git does without.
    pub optional: BTreeSet<ObjectId>,
    /// Named by reflogs, `ORIG_HEAD`, `FETCH_HEAD` only.
    pub tolerated: BTreeSet<ObjectId>,
    /// The branch HEAD names; `None` when detached.
    pub branch: Option<Vec<u8>>,
    /// What HEAD stands at; `None` when unborn.
    pub head: Option<ObjectId>,
    /// Operations in progress.
    pub operations: Vec<String>,
    /// Refs that hold neither an id of an object nor the name of a ref.
    pub broken: Vec<Vec<u8>>,
}

/// Files at the top of a git directory that hold one id, or one a line, without which an operation cannot go on.
const OPERATION_FILES: [&[u8]; 8] = [
    b"MERGE_HEAD",
    b"MERGE_AUTOSTASH",
    b"CHERRY_PICK_HEAD",
    b"REVERT_HEAD",
    b"REBASE_HEAD",
    b"BISECT_HEAD",
    b"BISECT_EXPECTED_REV",
    b"NOTES_MERGE_PARTIAL",
];

/// The tree of a merge with its conflict markers, there to be looked at with `git diff AUTO_MERGE` (see gitrevisions).
const OPTIONAL_FILE: &[u8] = b"AUTO_MERGE";

/// Files inside the directories of an operation that hold one id.
const OPERATION_DIRECTORY_FILES: [&[u8]; 12] = [
    b"rebase-merge/autostash",
    b"rebase-merge/orig-head",
    b"rebase-merge/onto",
    b"rebase-merge/stopped-sha",
    b"rebase-merge/amend",
    b"rebase-merge/squash-onto",
    b"rebase-apply/autostash",
    b"rebase-apply/orig-head",
    b"rebase-apply/onto",
    b"rebase-apply/original-commit",
    b"sequencer/head",
    b"sequencer/abort-safety",
];

/// Lists of commits still to be worked on.
const TODO_FILES: [&[u8]; 2] = [b"rebase-merge/git-rebase-todo", b"sequencer/todo"];

/// What shows that an operation is in progress.
const OPERATIONS: [(&str, &str); 8] = [
    ("rebase-merge/", "rebase"),
    ("rebase-apply/applying", "am"),
    ("rebase-apply/rebasing", "rebase"),
    ("MERGE_HEAD", "merge"),
    ("CHERRY_PICK_HEAD", "cherry-pick"),
    ("REVERT_HEAD", "revert"),
    ("BISECT_LOG", "bisect"),
    ("NOTES_MERGE_PARTIAL", "notes merge"),
];

/// Whether the bytes of a file are needed by [`read`].
#[must_use]
pub fn is_relevant(path: &[u8]) -> bool {
    !path.contains(&b'/') && is_top_level_name(path)
        || path.starts_with(b"refs/")
        || path.starts_with(b"logs/")
        || OPERATION_DIRECTORY_FILES.contains(&path)
        || TODO_FILES.contains(&path)
}

/// A path in a git directory, told apart by the working tree it is about: for that of a linked one its name in `worktrees`, and
/// the path in there.
#[must_use]
pub fn in_its_worktree(path: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let linked = path.strip_prefix(b"worktrees/").and_then(|rest| {
        let slash = rest.iter().position(|byte| *byte == b'/')?;
        Some((rest.get(..slash)?, rest.get(slash + 1..)?))
    });
    match linked {
        Some((name, rest)) => (Some(name), rest),
        None => (None, path),
    }
}

fn is_top_level_name(name: &[u8]) -> bool {
    OPERATION_FILES.contains(&name)
        || name == OPTIONAL_FILE
        || [&b"HEAD"[..], b"packed-refs", b"ORIG_HEAD", b"FETCH_HEAD"].contains(&name)
}

/// Reads the tips off the relevant files, by path relative to the git directory; `paths` are the paths of all files.
#[must_use]
pub fn read(files: &BTreeMap<Vec<u8>, Vec<u8>>, paths: &[Vec<u8>]) -> Tips {
    let mut tips = Tips::default();
    let refs = read_refs(files, &mut tips);
    read_head(files, &refs, &mut tips);
    tips.needed.extend(refs.values().copied());
    let single = OPERATION_FILES.iter().chain(&OPERATION_DIRECTORY_FILES);
    for content in single.filter_map(|path| files.get(*path)) {
        tips.needed
            .extend(content.split(|byte| *byte == b'\n').filter_map(first_id));
    }
    for content in TODO_FILES.iter().filter_map(|path| files.get(*path)) {
        for line in content
            .split(|byte| *byte == b'\n')
            .filter(|line| !line.starts_with(b"#"))
        {
            tips.needed.extend(todo_id(line));
        }
    }
    for content in ["ORIG_HEAD", "FETCH_HEAD"]
        .iter()
        .filter_map(|path| files.get(path.as_bytes()))
    {
        tips.tolerated
            .extend(content.split(|byte| *byte == b'\n').filter_map(first_id));
    }
    for (path, content) in files.iter().filter(|(path, _)| path.starts_with(b"logs/")) {
        // The entries of a stash but the newest are in its reflog only.
        let is_stash = path == b"logs/refs/stash";
        for line in content.split(|byte| *byte == b'\n') {
            let mut ids = line
                .split(|byte| *byte == b' ')
                .take(2)
                .map(ObjectId::from_hex);
            let (old, new) = (ids.next().flatten(), ids.next().flatten());
            tips.tolerated.extend(old);
            let named = if is_stash {
                &mut tips.needed
            } else {
                &mut tips.tolerated
            };
            named.extend(new);
        }
    }
    let optional = files
        .get(OPTIONAL_FILE)
        .and_then(|content| first_id(content));
    tips.tolerated.retain(|id| !id.is_null());
    tips.needed.retain(|id| !id.is_null());
    tips.add_optional(optional.into_iter().collect());
    let marked = OPERATIONS.iter().filter(|(mark, _)| {
        paths.iter().any(|path| {
            path == mark.as_bytes() || (mark.ends_with('/') && path.starts_with(mark.as_bytes()))
        })
    });
    for word in marked.map(|(_, word)| *word).chain(sequence(files)) {
        if !tips.operations.iter().any(|known| known == word) {
            tips.operations.push(word.to_owned());
        }
    }
    tips
}

/// What a sequence does of which the rest waits, perhaps after the commit that stopped it was made by hand: git looks at
/// the first command of the list, too.
fn sequence(files: &BTreeMap<Vec<u8>, Vec<u8>>) -> Option<&'static str> {
    let todo = files.get(&b"sequencer/todo"[..])?;
    let mut words = todo.split(u8::is_ascii_whitespace);
    match words.find(|word| !word.is_empty())? {
        b"pick" | b"p" => Some("cherry-pick"),
        b"revert" => Some("revert"),
        _ => None,
    }
}

impl Tips {
    /// Adds what git does without, as far as nothing else needs it.
    fn add_optional(&mut self, mut ids: BTreeSet<ObjectId>) {
        ids.retain(|id| !id.is_null() && !self.needed.contains(id));
        self.needed.extend(&ids);
        self.optional = ids;
    }

    /// Counts what git does without among the tolerated: for a source that lacks it.
    pub fn do_without_optional(&mut self) {
        let optional = std::mem::take(&mut self.optional);
        self.needed.retain(|id| !optional.contains(id));
        self.tolerated.extend(optional);
    }
}

/// Reads the tips of a repository with linked worktrees: those of all its working trees together, with branch and HEAD of the
/// main one; and those of each linked one, by the name of its directory in `worktrees`.
#[must_use]
pub fn read_all(
    files: &BTreeMap<Vec<u8>, Vec<u8>>,
    paths: &[Vec<u8>],
) -> (Tips, BTreeMap<Vec<u8>, Tips>) {
    let names: BTreeSet<Vec<u8>> = paths
        .iter()
        .filter_map(|path| in_its_worktree(path).0.map(<[u8]>::to_vec))
        .collect();
    let of = |wanted: Option<&[u8]>| {
        let own = |path: &Vec<u8>| {
            let (name, rest) = in_its_worktree(path);
            (name == wanted).then(|| rest.to_vec())
        };
        let files: BTreeMap<Vec<u8>, Vec<u8>> = files
            .iter()
            .filter_map(|(path, bytes)| Some((own(path)?, bytes.clone())))
            .collect();
        (files, paths.iter().filter_map(own).collect::<Vec<_>>())
    };
    let (main_files, main_paths) = of(None);
    let mut tips = read(&main_files, &main_paths);
    let refs = read_refs(&main_files, &mut Tips::default());
    let mut optional = std::mem::take(&mut tips.optional);
    tips.needed.retain(|id| !optional.contains(id));
    let mut linked = BTreeMap::new();
    for name in names {
        let (own_files, own_paths) = of(Some(&name));
        if own_paths.is_empty() {
            continue;
        }
        let mut own = read(&own_files, &own_paths);
        if let Some(branch) = &own.branch {
            own.head = own.head.or_else(|| refs.get(branch).copied());
        }
        optional.extend(own.optional.iter().copied());
        tips.needed.extend(own.needed.difference(&own.optional));
        tips.tolerated.extend(own.tolerated.iter().copied());
        let prefix = [b"worktrees/", name.as_slice(), b"/"].concat();
        let broken = own.broken.iter().map(|path| [&prefix, &path[..]].concat());
        tips.broken.extend(broken);
        linked.insert(name, own);
    }
    tips.add_optional(optional);
    (tips, linked)
}

/// The commit a line of a list of work names: `pick <id>`, `merge -C <id> label`, `fixup -c <id>`.
fn todo_id(line: &[u8]) -> Option<ObjectId> {
    let words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    ObjectId::from_hex(words.skip(1).find(|word| !word.starts_with(b"-"))?)
}

/// The id at the beginning of a line, up to white space.
fn first_id(line: &[u8]) -> Option<ObjectId> {
    ObjectId::from_hex(line.split(u8::is_ascii_whitespace).next()?)
}

/// All refs with their ids: packed ones, and loose ones over them. Broken ones are noted.
fn read_refs(files: &BTreeMap<Vec<u8>, Vec<u8>>, tips: &mut Tips) -> BTreeMap<Vec<u8>, ObjectId> {
    let mut refs = BTreeMap::new();
    for line in files
        .get(&b"packed-refs"[..])
        .into_iter()
        .flat_map(|content| content.split(|byte| *byte == b'\n'))
    {
        // Lines that begin with ^ repeat what the tag before them leads to anyway, or stale news of an overridden one.
        if !line.starts_with(b"#") && !line.starts_with(b"^") && !line.is_empty() {
            let mut fields = line.splitn(2, |byte| *byte == b' ');
            match (fields.next().and_then(ObjectId::from_hex), fields.next()) {
                (Some(id), Some(name)) => drop(refs.insert(name.to_vec(), id)),
                _ => tips.broken.push(line.to_vec()),
            }
        }
    }
    for (path, content) in files.iter().filter(|(path, _)| path.starts_with(b"refs/")) {
        match first_id(content).filter(|id| !id.is_null()) {
            Some(id) => drop(refs.insert(path.clone(), id)),
            None if symbolic_target(content).is_some() => drop(refs.remove(path)),
            None => {
                refs.remove(path);
                tips.broken.push(path.clone());
            }
        }
    }
    refs
}

/// The ref a symbolic ref names.
fn symbolic_target(content: &[u8]) -> Option<&[u8]> {
    content.strip_prefix(b"ref:").map(<[u8]>::trim_ascii)
}

/// HEAD, through as many symbolic refs as git follows.
fn read_head(
    files: &BTreeMap<Vec<u8>, Vec<u8>>,
    refs: &BTreeMap<Vec<u8>, ObjectId>,
    tips: &mut Tips,
) {
    let Some(content) = files.get(&b"HEAD"[..]) else {
        tips.broken.push(b"HEAD".to_vec());
        return;
    };
    if let Some(id) = first_id(content) {
        tips.head = Some(id);
        tips.needed.insert(id);
        return;
    }
    let Some(target) = symbolic_target(content) else {
        tips.broken.push(b"HEAD".to_vec());
        return;
    };
    tips.branch = Some(target.to_vec());
    let mut target = target.to_vec();
    for _ in 0..5 {
        if let Some(id) = refs.get(&target) {
            tips.head = Some(*id);
            return;
        }
        match files
            .get(&target)
            .and_then(|content| symbolic_target(content))
        {
            Some(next) => target = next.to_vec(),
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    const C: &str = "cccccccccccccccccccccccccccccccccccccccc";

    fn tips(files: &[(&str, String)]) -> Tips {
        let files: BTreeMap<_, _> = files
            .iter()
            .map(|(path, content)| (path.as_bytes().to_vec(), content.as_bytes().to_vec()))
            .collect();
        read(&files, &files.keys().cloned().collect::<Vec<_>>())
    }

    fn id(hex: &str) -> ObjectId {
        ObjectId::from_hex(hex.as_bytes()).unwrap()
    }

    #[test]
    fn a_loose_ref_stands_over_a_packed_one() {
        let tips = tips(&[
            ("HEAD", "ref: refs/heads/main\n".into()),
            (
                "packed-refs",
                format!("# pack-refs with: peeled\n{A} refs/heads/main\n"),
            ),
            ("refs/heads/main", format!("{B}\n")),
        ]);
        assert_eq!(tips.head, Some(id(B)));
        assert_eq!(
            tips.needed,
            BTreeSet::from([id(B)]),
            "the stale packed id is not needed"
        );
    }

    #[test]
    fn every_entry_of_the_stash_is_needed_and_so_is_what_is_left_to_do() {
        let tips = tips(&[
            ("HEAD", "ref: refs/heads/main\n".into()),
            (
                "logs/refs/stash",
                format!("{} {A} a <b> 0 +0000\tm\n", "0".repeat(40)),
            ),
            (
                "rebase-merge/git-rebase-todo",
                format!("# {A}\nmerge -C {B} label # title\nlabel x\n"),
            ),
            ("packed-refs", format!("^{B}\n")),
            ("sequencer/todo", "pick 1cc9497 one\n".into()),
        ]);
        assert_eq!(tips.needed, BTreeSet::from([id(A), id(B)]));
        assert!(tips.broken.is_empty());
        assert_eq!(tips.operations, ["rebase", "cherry-pick"]);
    }

    #[test]
    fn reflogs_are_tolerated_and_operations_needed() {
        let tips = tips(&[
            ("HEAD", format!("{A}\n")),
            (
                "logs/HEAD",
                format!("{} {B} a <b> 0 +0000\tm\n", "0".repeat(40)),
            ),
            ("rebase-merge/autostash", format!("{B}\n")),
            ("AUTO_MERGE", format!("{C}\n")),
            ("refs/heads/broken", String::new()),
        ]);
        assert_eq!(tips.needed, BTreeSet::from([id(A), id(B), id(C)]));
        assert_eq!(tips.tolerated, BTreeSet::from([id(B)]));
        assert_eq!(tips.operations, ["rebase"]);
        assert_eq!(tips.broken, [b"refs/heads/broken".to_vec()]);
        assert_eq!((&tips.branch, tips.head), (&None, Some(id(A))));
        let mut tips = tips;
        tips.do_without_optional();
        assert_eq!(tips.needed, BTreeSet::from([id(A), id(B)]));
        assert_eq!(tips.tolerated, BTreeSet::from([id(B), id(C)]));
    }
}
