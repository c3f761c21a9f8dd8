//! What is wrong with the files of refs without which git does nothing at all.

use std::io::Read;
use std::path::Path;

use super::object::ObjectId;
use super::tips::{first_id, symbolic_target};

/// What is wrong with the bytes of `packed-refs`, by the form that git reads (gitrepository-layout(5)): it stops at the first
/// line that is another, and at a last one without its line feed, for then refs may be gone.
#[must_use]
pub fn packed_refs_fault(content: &[u8]) -> Option<&'static str> {
    let mut rest = content;
    if rest.starts_with(b"# pack-refs with:") {
        let header = rest.iter().position(|byte| *byte == b'\n');
        rest = header.and_then(|end| rest.get(end + 1..)).unwrap_or(b"x");
    }
    if rest.is_empty() {
        return None;
    }
    let Some(lines) = rest.strip_suffix(b"\n") else {
        return Some("its last line is cut off");
    };
    let mut follows_ref = false;
    for line in lines.split(|byte| *byte == b'\n') {
        let is_peeled = follows_ref
            && line
                .strip_prefix(b"^")
                .is_some_and(|hex| ObjectId::from_hex(hex).is_some());
        let mut fields = line.splitn(2, u8::is_ascii_whitespace);
        let is_ref = fields.next().and_then(ObjectId::from_hex).is_some()
            && fields.next().is_some_and(|name| !name.is_empty());
        if !is_peeled && !is_ref {
            return Some("a line of it is neither a ref nor what a tag leads to");
        }
        follows_ref = is_ref;
    }
    None
}

/// What is wrong with the bytes of `HEAD`: git takes a directory for a repository only if it holds an id or the name of a ref.
#[must_use]
pub fn head_fault(content: &[u8]) -> Option<&'static str> {
    if content.is_empty() {
        return Some("it is empty");
    }
    match symbolic_target(content) {
        Some(target) => {
            let is_ref = target.starts_with(b"refs/")
                && gix::validate::reference::name(target.into()).is_ok();
            (!is_ref).then_some("what it names cannot be the name of a ref")
        }
        None => match first_id(content) {
            Some(_) => None,
            None => Some("it is neither an id nor the name of a ref"),
        },
    }
}

/// Whether git takes a directory for a git directory (its `is_git_directory`): `objects` and `refs` are there, and `HEAD` holds an
/// id or begins as the name of a ref does.
#[must_use]
pub fn is_git_dir(path: &Path) -> bool {
    path.join("objects").is_dir() && path.join("refs").is_dir() && is_head(&path.join("HEAD"))
}

fn is_head(path: &Path) -> bool {
    /// Git reads no more of it.
    const LIMIT_BYTES: u64 = 255;
    if let Ok(target) = std::fs::read_link(path) {
        return target.starts_with("refs");
    }
    let mut content = Vec::new();
    let is_file = path.symlink_metadata().is_ok_and(|found| found.is_file());
    let opened = is_file.then(|| std::fs::File::open(path).ok()).flatten();
    let read = opened.map(|file| file.take(LIMIT_BYTES).read_to_end(&mut content));
    let names_ref = |rest: &[u8]| rest.trim_ascii_start().starts_with(b"refs/");
    let is_id = || first_id(&content).is_some();
    read.is_some_and(|read| read.is_ok())
        && content.strip_prefix(b"ref:").map_or_else(is_id, names_ref)
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: &str = "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa";
    const B: &str = "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb";

    #[test]
    fn what_git_itself_cannot_read_is_unusable() {
        let ids = |lines: &str| lines.replace('A', A).replace('B', B);
        for good in [
            "",
            "# pack-refs with: peeled sorted \n",
            "A refs/heads/a\n",
            "# pack-refs with: peeled \nA refs/tags/t\n^B\nB refs/tags/u\n",
        ] {
            assert_eq!(packed_refs_fault(ids(good).as_bytes()), None, "{good}");
        }
        for bad in [
            "\n",
            "A refs/heads/a",
            "A refs/heads/a\n\n",
            "A refs/heads/a\nB",
            "A\n",
            "^A\n",
            "A refs/tags/t\n^B\n^B\n",
            "A refs/tags/t\n^B",
            "# a comment\n",
            "# pack-refs with: peeled",
            "A refs/heads/a\n# a comment\n",
            "\0\0\0\n",
        ] {
            assert!(packed_refs_fault(ids(bad).as_bytes()).is_some(), "{bad}");
        }
        for good in ["A", "A\n", "ref: refs/heads/main", "ref:refs/heads/a/b \n"] {
            assert_eq!(head_fault(ids(good).as_bytes()), None, "{good}");
        }
        for bad in [
            "",
            "\0\0",
            "abcdef\n",
            "ref: \n",
            "ref: heads/main\n",
            "ref: refs/heads/../x\n",
            "ref: refs/heads/main\nmore\n",
        ] {
            assert!(head_fault(ids(bad).as_bytes()).is_some(), "{bad}");
        }
    }
}
