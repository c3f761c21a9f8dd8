//! Commits whose parents a repository states anew: at the commits of `shallow` history ends, those of `info/grafts` have the
//! parents that stand there (gitrepository-layout(5), gitglossary(7) "grafts").

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::error::{Error, Result};
use super::object::{ObjectFormat, ObjectId, ObjectKind, each_link};
use super::repository::join_bytes;

/// Where history ends, a commit on each line.
const SHALLOW: &[u8] = b"shallow";

/// Other parents: a commit and its parents on each line.
const GRAFTS: &[u8] = b"info/grafts";

/// Parents that count in place of those that commits record.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct Grafts {
    parents: BTreeMap<ObjectId, Vec<ObjectId>>,
    shallow: BTreeSet<ObjectId>,
}

/// Whether the bytes of a file of the common git directory are needed by [`Grafts::read`].
#[must_use]
pub fn is_relevant(path: &[u8]) -> bool {
    path == SHALLOW || path == GRAFTS
}

impl Grafts {
    /// Reads the grafts off the relevant files, by path relative to the common git directory.
    ///
    /// # Errors
    /// When a line is not what git writes: git itself stops at one in `shallow`, and passes over one in `info/grafts`.
    pub fn read(
        common_dir: &Path,
        files: &BTreeMap<Vec<u8>, Vec<u8>>,
        format: ObjectFormat,
    ) -> Result<Self> {
        let mut grafts = Self::default();
        let damaged = |name: &[u8], number: usize| {
            let reason = format!("line {} names no commits as it should", number + 1);
            Error::damaged(&join_bytes(common_dir, name), reason)
        };
        for (number, line) in lines(files, GRAFTS) {
            let line = line.trim_ascii_end();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let ids: Option<Vec<ObjectId>> = line
                .split(u8::is_ascii_whitespace)
                .map(|word| id_of(word, format))
                .collect();
            match ids.as_deref() {
                // Of several lines for one commit, git takes the first.
                Some([commit, parents @ ..]) => {
                    let known = grafts.parents.entry(*commit);
                    known.or_insert_with(|| parents.to_vec());
                }
                _ => return Err(damaged(GRAFTS, number)),
            }
        }
        for (number, line) in lines(files, SHALLOW) {
            let commit = id_of(line.trim_ascii_end(), format);
            let commit = commit.ok_or_else(|| damaged(SHALLOW, number))?;
            // Where both files name a commit, this one counts.
            grafts.parents.insert(commit, Vec::new());
            grafts.shallow.insert(commit);
        }
        Ok(grafts)
    }

    /// Whether every commit has the parents that it records.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.parents.is_empty()
    }

    /// The commits at which history ends.
    #[must_use]
    pub fn shallow(&self) -> &BTreeSet<ObjectId> {
        &self.shallow
    }

    /// The commits that have other parents than they record, the shallow ones included, with these parents.
    #[must_use]
    pub fn parents(&self) -> &BTreeMap<ObjectId, Vec<ObjectId>> {
        &self.parents
    }

    /// Calls `each` for every object that the object `id` leads to: as [`each_link`], but for parents stated anew.
    #[must_use]
    pub fn each_link(
        &self,
        format: ObjectFormat,
        (id, kind): (&ObjectId, ObjectKind),
        content: &[u8],
        mut each: impl FnMut(ObjectId),
    ) -> Option<()> {
        let stated = match kind {
            ObjectKind::Commit => self.parents.get(id),
            ObjectKind::Blob | ObjectKind::Tree | ObjectKind::Tag => None,
        };
        let Some(parents) = stated else {
            return each_link(format, kind, content, each);
        };
        let mut tree = None;
        each_link(format, kind, content, |link| {
            tree.get_or_insert(link);
        })?;
        tree.into_iter()
            .chain(parents.iter().copied())
            .for_each(&mut each);
        Some(())
    }
}

/// The lines of a file with their numbers from 0, without what follows the last line feed when that is nothing.
fn lines<'f>(
    files: &'f BTreeMap<Vec<u8>, Vec<u8>>,
    name: &[u8],
) -> impl Iterator<Item = (usize, &'f [u8])> {
    let content = files.get(name).map_or(&[][..], Vec::as_slice);
    let is_there = !content.is_empty();
    let content = content.strip_suffix(b"\n").unwrap_or(content);
    let lines = content.split(|byte| *byte == b'\n').enumerate();
    lines.filter(move |_line| is_there)
}

fn id_of(word: &[u8], format: ObjectFormat) -> Option<ObjectId> {
    ObjectId::from_hex(word).filter(|id| id.as_bytes().len() == format.id_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";
    const C: &str = "cccccccccccccccccccccccccccccccccccccccc";

    fn read(shallow: &str, grafts: &str) -> Result<Grafts> {
        let files = [(SHALLOW, shallow), (GRAFTS, grafts)]
            .into_iter()
            .map(|(name, text)| (name.to_vec(), text.as_bytes().to_vec()))
            .collect();
        Grafts::read(Path::new("/git"), &files, ObjectFormat::Sha1)
    }

    fn id(hex: &str) -> ObjectId {
        ObjectId::from_hex(hex.as_bytes()).unwrap()
    }

    #[test]
    fn the_first_graft_counts_and_shallow_over_it() {
        let grafts = format!("# a comment\n\n{A} {B}\n{A} {C}\n{B} {C}\t{A} \n");
        let grafts = read(&format!("{B}\n"), &grafts).unwrap();
        assert_eq!(grafts.parents().get(&id(A)), Some(&vec![id(B)]));
        assert_eq!(grafts.parents().get(&id(B)), Some(&vec![]));
        assert_eq!(grafts.shallow(), &BTreeSet::from([id(B)]));
        assert!(read("", "").unwrap().is_empty());
    }

    #[test]
    fn malformed_lines_are_named() {
        let sha256 = "a".repeat(64);
        for (shallow, grafts, named) in [
            ("nonsense\n".to_owned(), String::new(), "/git/shallow"),
            (format!("{A}\n\n"), String::new(), "/git/shallow"),
            ("\n".to_owned(), String::new(), "/git/shallow"),
            (format!("{A} {B}\n"), String::new(), "/git/shallow"),
            (format!("{sha256}\n"), String::new(), "/git/shallow"),
            (
                String::new(),
                format!("{A} {B}\n{A} x\n"),
                "/git/info/grafts",
            ),
            (String::new(), format!("{A}  {B}\n"), "/git/info/grafts"),
            (String::new(), format!(" {A}\n"), "/git/info/grafts"),
        ] {
            let error = read(&shallow, &grafts).unwrap_err();
            assert!(error.to_string().contains(named), "{error}");
        }
    }

    #[test]
    fn a_commit_leads_to_its_tree_and_to_the_parents_that_count() {
        let content = format!("tree {C}\nparent {B}\nauthor a\n\nparent {B}\n");
        let links = |grafts: &Grafts| {
            let mut links = Vec::new();
            let object = (&id(A), ObjectKind::Commit);
            let each = |link| links.push(link);
            grafts
                .each_link(ObjectFormat::Sha1, object, content.as_bytes(), each)
                .unwrap();
            links
        };
        assert_eq!(links(&Grafts::default()), [id(C), id(B)]);
        assert_eq!(links(&read(&format!("{A}\n"), "").unwrap()), [id(C)]);
        assert_eq!(
            links(&read("", &format!("{A} {A} {C}\n")).unwrap()),
            [id(C), id(A), id(C)]
        );
    }
}
