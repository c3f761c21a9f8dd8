//! The ids that a captured git directory names: which must be present, and which git itself does without.

use std::collections::{BTreeMap, BTreeSet};

use super::object::ObjectId;
use super::ref_files::{head_fault, packed_refs_fault};
use super::reftable::{self, Value};

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
    /// Files without which git does nothing at all, and that it cannot read: their paths, and what is wrong with them.
    pub unusable: Vec<(&'static str, &'static str)>,
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
        || reftable::is_relevant(path)
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

/// Refs by name, `HEAD` included; what they lead to is not looked up.
#[derive(Default)]
struct Refs {
    ids: BTreeMap<Vec<u8>, ObjectId>,
    symbolic: BTreeMap<Vec<u8>, Vec<u8>>,
    optional: Option<ObjectId>,
}

/// Reads the tips off the relevant files, by path relative to the git directory; `paths` are the paths of all files.
///
/// # Errors
/// When refs are kept in tables, and these cannot be read.
pub fn read(
    files: &BTreeMap<Vec<u8>, Vec<u8>>,
    paths: &[Vec<u8>],
) -> Result<Tips, reftable::Error> {
    read_with_refs(files, paths).map(|(tips, _refs)| tips)
}

fn read_with_refs(
    files: &BTreeMap<Vec<u8>, Vec<u8>>,
    paths: &[Vec<u8>],
) -> Result<(Tips, Refs), reftable::Error> {
    let mut tips = Tips::default();
    let refs = match reftable::read(files)? {
        Some(stack) => {
            tips.tolerated.extend(stack.logged);
            tips.needed.extend(stack.stashed);
            Refs::of_tables(stack.refs, &mut tips)
        }
        None => {
            read_logs(files, &mut tips);
            read_refs(files, &mut tips)
        }
    };
    read_head(&refs, &mut tips);
    tips.needed.extend(refs.ids.values().copied());
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
    let optional = files.get(OPTIONAL_FILE).and_then(|text| first_id(text));
    let optional = optional.into_iter().chain(refs.optional).collect();
    tips.tolerated.retain(|id| !id.is_null());
    tips.needed.retain(|id| !id.is_null());
    tips.add_optional(optional);
    let marked = OPERATIONS.iter().filter(|(mark, _)| {
        let is_mark = |path: &Vec<u8>| {
            path == mark.as_bytes() || (mark.ends_with('/') && path.starts_with(mark.as_bytes()))
        };
        paths.iter().any(is_mark) || refs.ids.contains_key(mark.as_bytes())
    });
    for word in marked.map(|(_, word)| *word).chain(sequence(files)) {
        if !tips.operations.iter().any(|known| known == word) {
            tips.operations.push(word.to_owned());
        }
    }
    Ok((tips, refs))
}

/// The ids in reflogs that are files.
fn read_logs(files: &BTreeMap<Vec<u8>, Vec<u8>>, tips: &mut Tips) {
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
///
/// # Errors
/// As [`read`]; and when a linked working tree has its refs elsewhere than the main one.
pub fn read_all(
    files: &BTreeMap<Vec<u8>, Vec<u8>>,
    paths: &[Vec<u8>],
) -> Result<(Tips, BTreeMap<Vec<u8>, Tips>), reftable::Error> {
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
    let (mut tips, refs) = read_with_refs(&main_files, &main_paths)?;
    let is_in_tables = |files: &BTreeMap<Vec<u8>, Vec<u8>>| files.contains_key(reftable::LIST);
    let mut optional = std::mem::take(&mut tips.optional);
    tips.needed.retain(|id| !optional.contains(id));
    let mut linked = BTreeMap::new();
    for name in names {
        let (own_files, own_paths) = of(Some(&name));
        if own_paths.is_empty() {
            continue;
        }
        let prefix = [b"worktrees/", name.as_slice(), b"/"].concat();
        if own_files.contains_key(&b"HEAD"[..])
            && is_in_tables(&own_files) != is_in_tables(&main_files)
        {
            return Err(reftable::Error::Damaged {
                file: [&prefix, reftable::LIST].concat(),
                reason: "refs are in tables in one working tree, and in files in another",
            });
        }
        let mut own = read(&own_files, &own_paths).map_err(|error| error.below(&prefix))?;
        if let Some(branch) = &own.branch {
            own.head = own.head.or_else(|| refs.follow(branch));
        }
        optional.extend(own.optional.iter().copied());
        tips.needed.extend(own.needed.difference(&own.optional));
        tips.tolerated.extend(own.tolerated.iter().copied());
        let broken = own.broken.iter().map(|path| [&prefix, &path[..]].concat());
        tips.broken.extend(broken);
        linked.insert(name, own);
    }
    tips.add_optional(optional);
    Ok((tips, linked))
}

/// The commit a line of a list of work names: `pick <id>`, `merge -C <id> label`, `fixup -c <id>`.
fn todo_id(line: &[u8]) -> Option<ObjectId> {
    let words = line
        .split(u8::is_ascii_whitespace)
        .filter(|word| !word.is_empty());
    ObjectId::from_hex(words.skip(1).find(|word| !word.starts_with(b"-"))?)
}

/// The id at the beginning of a line, up to white space.
pub(super) fn first_id(line: &[u8]) -> Option<ObjectId> {
    ObjectId::from_hex(line.split(u8::is_ascii_whitespace).next()?)
}

/// All refs that are files: packed ones, and loose ones over them. Broken ones are noted.
fn read_refs(files: &BTreeMap<Vec<u8>, Vec<u8>>, tips: &mut Tips) -> Refs {
    let mut refs = Refs::default();
    let fault = |name: &str, find: fn(&[u8]) -> Option<&'static str>| {
        files.get(name.as_bytes()).and_then(|content| find(content))
    };
    if let Some(why) = fault("HEAD", head_fault) {
        tips.unusable.push(("HEAD", why));
    }
    if let Some(why) = fault("packed-refs", packed_refs_fault) {
        tips.unusable.push(("packed-refs", why));
    }
    for line in files
        .get(&b"packed-refs"[..])
        .into_iter()
        .flat_map(|content| content.split(|byte| *byte == b'\n'))
    {
        // Lines that begin with ^ repeat what the tag before them leads to anyway, or stale news of an overridden one.
        if !line.starts_with(b"#") && !line.starts_with(b"^") && !line.is_empty() {
            let mut fields = line.splitn(2, |byte| *byte == b' ');
            match (fields.next().and_then(ObjectId::from_hex), fields.next()) {
                (Some(id), Some(name)) => drop(refs.ids.insert(name.to_vec(), id)),
                _ => tips.broken.push(line.to_vec()),
            }
        }
    }
    let is_ref = |path: &[u8]| path == b"HEAD" || path.starts_with(b"refs/");
    for (path, content) in files.iter().filter(|(path, _)| is_ref(path)) {
        refs.ids.remove(path);
        let id = first_id(content).filter(|id| path == b"HEAD" || !id.is_null());
        match (id, symbolic_target(content)) {
            (Some(id), _) => drop(refs.ids.insert(path.clone(), id)),
            (None, Some(target)) => drop(refs.symbolic.insert(path.clone(), target.to_vec())),
            (None, None) if path == b"HEAD" => {}
            (None, None) => tips.broken.push(path.clone()),
        }
    }
    refs
}

impl Refs {
    /// The id of a ref, through as many symbolic refs as git follows.
    fn follow(&self, name: &[u8]) -> Option<ObjectId> {
        let mut name = name;
        for _ in 0..reftable::LINKED_REFS {
            if let Some(id) = self.ids.get(name) {
                return Some(*id);
            }
            name = self.symbolic.get(name)?;
        }
        None
    }

    /// Refs that are kept in tables. What are files at the top of a git directory otherwise is among them, and is needed or
    /// tolerated as those are.
    fn of_tables(values: BTreeMap<Vec<u8>, Value>, tips: &mut Tips) -> Self {
        let mut refs = Self::default();
        for (name, value) in values {
            let is_needed =
                name == b"HEAD" || name.starts_with(b"refs/") || OPERATION_FILES.contains(&&*name);
            match value {
                Value::Id(id) if id.is_null() => tips.broken.push(name),
                Value::Id(id) if name == OPTIONAL_FILE => refs.optional = Some(id),
                Value::Id(id) if is_needed => drop(refs.ids.insert(name, id)),
                Value::Id(id) => drop(tips.tolerated.insert(id)),
                Value::Symbolic(target) => drop(refs.symbolic.insert(name, target)),
            }
        }
        refs
    }
}

/// The ref a symbolic ref names.
pub(super) fn symbolic_target(content: &[u8]) -> Option<&[u8]> {
    content.strip_prefix(b"ref:").map(<[u8]>::trim_ascii)
}

/// HEAD, through as many symbolic refs as git follows.
fn read_head(refs: &Refs, tips: &mut Tips) {
    let head = &b"HEAD"[..];
    tips.head = refs.ids.get(head).copied();
    tips.branch = refs.symbolic.get(head).cloned();
    match (&tips.branch, tips.head) {
        (Some(branch), _) => tips.head = refs.follow(branch),
        (None, Some(_)) => {}
        (None, None) => tips.broken.push(head.to_vec()),
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
        read(&files, &files.keys().cloned().collect::<Vec<_>>()).unwrap()
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
