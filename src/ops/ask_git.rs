//! What real git says of a restored repository. It never sees the repository itself: it is given a bare one of ours, with the
//! restored refs, reflogs, grafts and index, that borrows the restored objects. No setting, hook or attribute comes along, so that
//! nothing that was captured can run.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use crate::host::disk::{self, Context};
use crate::host::git::grafts;
use crate::host::git::index::Index;
use crate::host::git::object::{ObjectFormat, ObjectId, ObjectKind, hash_object};
use crate::host::git::reftable;
use crate::host::git::repository::join_bytes;
use crate::host::git::tips::{self, Tips};
use crate::host::git_program::{Answer, FROM_INPUT, GitProgram};
use crate::host::walk::walk;
use crate::model::escape::text_name;
use crate::model::ids::{Digest, SnapshotId};
use crate::model::manifest::Manifest;
use crate::model::place::Spot;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::build::{as_stated, stated_tips};
use crate::ops::gitdir_scan::{GitdirContext, GitdirLook};

/// What came of asking git.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum GitVerdict {
    /// This git found the repository whole.
    Whole {
        /// What it calls itself.
        version: String,
        /// Whether it followed the reflogs, too.
        reflogs: Reflogs,
    },
    /// It was not asked, for this reason.
    NotAsked(String),
}

/// Whether git was asked to follow reflogs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reflogs {
    /// Everything that reflogs name is there, with all it reaches.
    Followed,
    /// The source lacked objects that only reflogs or unreachable objects name; git would take that for a fault.
    NotFollowed,
}

/// A restored repository that git is asked about.
pub struct Question<'a> {
    /// The git executable, if there is one.
    pub program: Option<&'a Path>,
    /// The restored git directory.
    pub restored: &'a Path,
    /// What is known of it.
    pub expected: Expected,
    /// The names of its linked worktrees.
    pub linked: Vec<Vec<u8>>,
    /// Working trees that lie in it.
    pub trees: BTreeSet<Vec<u8>>,
    /// What the source lacked, and a promisor remote has promised.
    pub promised: BTreeSet<ObjectId>,
    /// Where the git directory of ours may be made; nothing is there yet.
    pub scratch: PathBuf,
}

/// What a manifest says of one of its repositories.
pub struct Expected {
    snapshot: SnapshotId,
    object_format: String,
    branch: String,
    head: String,
    tips: Option<Digest>,
    lacks_objects: bool,
}

impl Expected {
    /// What is said of the repository with that git directory.
    #[must_use]
    pub fn of(manifest: &Manifest, git_dir: &Spot) -> Self {
        let mut nested = manifest.nested.iter();
        let nested = nested.find(|nested| nested.git_dir == *git_dir);
        let source = &manifest.source;
        let (branch, head, weak_missing) = match nested {
            Some(nested) => (&nested.branch, &nested.head, nested.weak_missing),
            None => (&source.branch, &source.head, manifest.history.weak_missing),
        };
        Self {
            snapshot: manifest.snapshot.clone(),
            object_format: source.object_format.clone(),
            branch: branch.clone().unwrap_or_default(),
            head: head.clone().unwrap_or_default(),
            tips: stated_tips(manifest, git_dir).map(|(_, digest)| digest),
            lacks_objects: weak_missing > 0 || manifest.history.holes > 0,
        }
    }
}

/// Refs, reflogs and HEAD as they were restored.
struct Look {
    files: BTreeMap<Vec<u8>, Vec<u8>>,
    tips: Tips,
    index_ids: BTreeSet<ObjectId>,
}

/// Bits of the exit status of `git fsck` that speak of the form of refs, of commit graphs and of pack lists: the refs were
/// compared byte for byte, and the others are derived and not restored.
const FORM_BITS: i32 = 0o70;

/// The settings of our git directory, but for its format.
const CONFIG: &str = "\tbare = true
\thooksPath = /dev/null
\tfsmonitor = false
\tcommitGraph = false
\tmultiPackIndex = false
[gc]
\tauto = 0
[maintenance]
\tauto = false
";

/// Settings of a partial clone whose promisor remote cannot be reached.
const PROMISOR_CONFIG: &str = "[remote \"promisor\"]
\tpromisor = true
\turl = /dev/null
[protocol]
\tallow = never
";

/// How many lines of git's complaints are repeated.
const LINES: usize = 6;

/// Asks git whether the restored repository is whole and stands where the manifest says.
///
/// # Errors
/// [`RefusalCode::DrillDiffers`] when git finds fault; other codes when it cannot be asked properly.
pub fn ask(question: &Question<'_>) -> Result<GitVerdict> {
    let not_asked = |reason: &str| Ok(GitVerdict::NotAsked(reason.to_owned()));
    let Some(program) = question.program else {
        return not_asked("there is no git on the path");
    };
    let Some(format) = ObjectFormat::parse(&question.expected.object_format) else {
        return not_asked("the format of its objects is not known");
    };
    let mut look = look(question, format)?;
    look.tips = as_stated(look.tips, question.expected.tips);
    if !is_repository_to_git(&look.tips) {
        return not_asked("HEAD is broken, as it was in the source: git sees no repository");
    }
    lay_out(question, &look, format).map_err(|error| stopped(&error))?;
    let objects = question.restored.join("objects");
    let git = GitProgram::new(program, &question.scratch, &objects);
    let version = match git.version() {
        Ok(Some(version)) => version,
        Ok(None) => return not_asked("the git on the path does not say its version"),
        Err(error) => return not_asked(&format!("git cannot be run: {error}")),
    };
    let is_reftable = look.files.contains_key(reftable::LIST);
    if is_reftable && !knows_reftable(&version) {
        return not_asked(&format!("{version} does not know reftable"));
    }
    let asking = Asking {
        git,
        question,
        version: &version,
    };
    if is_reftable {
        asking.forget_dangling(&look)?;
    }
    asking.head()?;
    let reflogs = asking.fsck()?;
    asking.reaches(&look)?;
    for index in indices(question.restored, &question.linked) {
        asking.index(&index, format)?;
    }
    Ok(GitVerdict::Whole { version, reflogs })
}

fn stopped(error: &disk::Error) -> Refusal {
    error.refuse(RefusalCode::RestoreStopped)
}

/// Where the indices of a repository are: that of the main working tree first.
fn indices(git_dir: &Path, linked: &[Vec<u8>]) -> Vec<PathBuf> {
    let linked = linked.iter().map(|name| {
        let own = [b"worktrees/", name.as_slice(), b"/index"].concat();
        join_bytes(git_dir, &own)
    });
    std::iter::once(git_dir.join("index"))
        .chain(linked)
        .collect()
}

fn look(question: &Question<'_>, format: ObjectFormat) -> Result<Look> {
    let (git_dir, linked) = (question.restored, &question.linked);
    let changed = |fact: String| {
        Refusal::new(
            RefusalCode::DrillDiffers,
            format!("'{}' cannot be read as it was", git_dir.display()),
        )
        .because(fact)
    };
    let scan = GitdirLook::new(git_dir, question.trees.clone());
    walk(git_dir, &scan, GitdirContext::default())
        .map_err(|error| changed(format!("{error:?}")))?;
    let mut files = scan
        .tip_files
        .into_inner()
        .unwrap_or_else(std::sync::PoisonError::into_inner);
    files.retain(|path, _| !path.starts_with(b"modules/"));
    let (tips, _linked) = tips::read_all(&files, &files.keys().cloned().collect::<Vec<_>>())
        .map_err(|error| changed(error.to_string()))?;
    let mut index_ids = BTreeSet::new();
    for path in indices(git_dir, linked) {
        let index = Index::open(&path, format).map_err(|error| changed(error.reason))?;
        index_ids.extend(index.ids());
    }
    Ok(Look {
        files,
        tips,
        index_ids,
    })
}

/// Whether HEAD is one that git accepts; the source may have had another, which is kept as it is.
fn is_repository_to_git(tips: &Tips) -> bool {
    match &tips.branch {
        Some(branch) => is_ref_name(branch),
        None => tips.head.is_some(),
    }
}

/// Whether git takes this for the name of a ref.
fn is_ref_name(name: &[u8]) -> bool {
    let is_part =
        |part: &[u8]| !part.is_empty() && !part.starts_with(b".") && !part.ends_with(b".lock");
    let is_plain = |byte: &u8| *byte > b' ' && *byte != 0x7f && !b"~^:?*[\\".contains(byte);
    let has = |pair: &[u8]| name.windows(2).any(|window| window == pair);
    name.starts_with(b"refs/")
        && name.split(|byte| *byte == b'/').all(is_part)
        && name.iter().all(is_plain)
        && !name.ends_with(b".")
        && !has(b"..")
        && !has(b"@{")
}

/// Whether a ref names an object, itself or through other refs.
fn leads_to_an_object(files: &BTreeMap<Vec<u8>, Vec<u8>>, name: &[u8], steps: u8) -> bool {
    match files.get(name) {
        Some(content) => match (content.strip_prefix(b"ref:"), steps.checked_sub(1)) {
            (Some(target), Some(steps)) => {
                let target = target.trim_ascii();
                is_ref_name(target) && leads_to_an_object(files, target, steps)
            }
            (Some(_), None) => false,
            (None, _) => is_id(content.split(u8::is_ascii_whitespace).next()),
        },
        None => {
            let packed = files.get(&b"packed-refs"[..]);
            let mut lines = packed
                .into_iter()
                .flat_map(|text| text.split(|byte| *byte == b'\n'));
            lines.any(|line| {
                let mut fields = line.splitn(2, |byte| *byte == b' ');
                is_id(fields.next()) && fields.next() == Some(name)
            })
        }
    }
}

fn is_id(word: Option<&[u8]>) -> bool {
    word.and_then(ObjectId::from_hex)
        .is_some_and(|id| !id.is_null())
}

/// Whether a git that calls itself this reads refs from tables, as git does since 2.45.
fn knows_reftable(version: &str) -> bool {
    let numbers = version.trim_start_matches("git version ").split('.');
    let mut numbers = numbers.map(|number| number.parse::<u32>().unwrap_or_default());
    (numbers.next(), numbers.next()) >= (Some(2), Some(45))
}

/// Makes a bare repository with the restored refs, reflogs, `shallow` and grafts, but for refs that were broken in the source
/// or lead nowhere: git would find fault with those, and they were compared byte for byte.
fn lay_out(question: &Question<'_>, look: &Look, format: ObjectFormat) -> disk::Result<()> {
    let scratch = &question.scratch;
    disk::create_directory(scratch)?;
    let is_reftable = look.files.contains_key(reftable::LIST);
    let mut extensions = String::new();
    if format == ObjectFormat::Sha256 {
        extensions.push_str("\tobjectFormat = sha256\n");
    }
    if is_reftable {
        extensions.push_str("\trefStorage = reftable\n");
    }
    let format = if extensions.is_empty() {
        "[core]\n\trepositoryformatversion = 0\n".to_owned()
    } else {
        format!("[extensions]\n{extensions}[core]\n\trepositoryformatversion = 1\n")
    };
    let promisor = if question.promised.is_empty() {
        ""
    } else {
        PROMISOR_CONFIG
    };
    let config = format!("{format}{CONFIG}{promisor}");
    write(scratch, b"config", config.as_bytes())?;
    for name in ["refs", "objects"] {
        disk::create_directory(&scratch.join(name))?;
    }
    if is_reftable {
        let is_part = |path: &[u8]| {
            path == b"HEAD" || path.starts_with(reftable::DIRECTORY) || grafts::is_relevant(path)
        };
        for (path, content) in look.files.iter().filter(|(path, _)| is_part(path)) {
            write(scratch, path, content)?;
        }
        return write(scratch, b"refs/heads", b"");
    }
    for (path, content) in &look.files {
        let is_log = path.starts_with(b"logs/");
        let is_ref =
            is_ref_name(path) && leads_to_an_object(&look.files, path, reftable::LINKED_REFS);
        if path == b"packed-refs" {
            write(scratch, path, &without_broken(content))?;
        } else if path == b"HEAD" || is_log || is_ref || grafts::is_relevant(path) {
            write(scratch, path, content)?;
        }
    }
    Ok(())
}

fn write(scratch: &Path, name: &[u8], content: &[u8]) -> disk::Result<()> {
    let path = join_bytes(scratch, name);
    if let Some(directory) = path.parent() {
        std::fs::create_dir_all(directory).context("create directory", directory)?;
    }
    std::fs::write(&path, content).context("write", &path)
}

/// The lines of packed refs that git understands; a line that begins with `^` belongs to the one before it.
fn without_broken(packed_refs: &[u8]) -> Vec<u8> {
    let mut kept = Vec::new();
    let mut is_last_kept = true;
    for line in packed_refs.split_inclusive(|byte| *byte == b'\n') {
        if !line.starts_with(b"^") {
            let text = line.strip_suffix(b"\n").unwrap_or(line);
            let mut fields = text.splitn(2, |byte| *byte == b' ');
            is_last_kept = text.starts_with(b"#")
                || (is_id(fields.next()) && fields.next().is_some_and(is_ref_name));
        }
        if is_last_kept {
            kept.extend_from_slice(line);
        }
    }
    kept
}

struct Asking<'a> {
    git: GitProgram,
    question: &'a Question<'a>,
    version: &'a str,
}

impl Asking<'_> {
    /// Asks, and takes any exit status but the wanted ones for a fault.
    fn ask(&self, arguments: &[&str], input: Option<&Path>, good: &[i32]) -> Result<Answer> {
        let answer = self.git.ask(arguments, input);
        let answer = answer.map_err(|error| stopped(&error))?;
        self.judge(arguments, answer, |status| good.contains(&status))
    }

    fn judge(
        &self,
        arguments: &[&str],
        answer: Answer,
        is_good: impl Fn(i32) -> bool,
    ) -> Result<Answer> {
        if answer.status.is_some_and(is_good) {
            return Ok(answer);
        }
        let status = answer
            .status
            .map_or("a signal".to_owned(), |status| format!("status {status}"));
        let said = [answer.answer.as_slice(), &answer.complaint].concat();
        let first = format!("git {} ended with {status}", arguments.join(" "));
        Err(self.fault(&first, &said))
    }

    fn fault(&self, first: &str, said: &[u8]) -> Refusal {
        let said = String::from_utf8_lossy(said);
        let lines = said.lines().filter(|line| !line.trim().is_empty());
        let refusal = Refusal::new(
            RefusalCode::DrillDiffers,
            format!(
                "git finds fault with the restored copy of snapshot {}",
                self.question.expected.snapshot
            ),
        )
        .because(format!("{first} ({})", self.version))
        .about(self.question.restored);
        lines
            .take(LINES)
            .map(|line| format!("git says: {line}"))
            .fold(refusal, Refusal::because)
    }

    /// Takes refs that lead nowhere out of the tables of the copy that git is asked about.
    fn forget_dangling(&self, look: &Look) -> Result<()> {
        let stack = reftable::read(&look.files).ok().flatten();
        let names = stack.map(|stack| stack.dangling()).unwrap_or_default();
        if names.is_empty() {
            return Ok(());
        }
        let lines = names.iter().flat_map(|name| {
            let order = [b"delete ", &**name].concat();
            [b"option no-deref".to_vec(), order]
        });
        let path = self.input("dangling", lines)?;
        self.ask(&["update-ref", FROM_INPUT], Some(&path), &[0])
            .map(|_answer| ())
    }

    /// HEAD stands where the manifest says, on the branch it says.
    fn head(&self) -> Result<()> {
        let expected = &self.question.expected;
        self.agrees(
            "HEAD",
            &["rev-parse", "--verify", "-q", "HEAD"],
            &expected.head,
        )?;
        let branch = expected.branch.clone();
        // The branch may itself be another name for a third one.
        let followed = if branch.is_empty() {
            String::new()
        } else {
            let bytes = crate::model::escape::name_from_text(&branch).unwrap_or_default();
            let name = String::from_utf8_lossy(&bytes).into_owned();
            let answer = self.ask(&["symbolic-ref", "-q", &name], None, &[0, 1])?;
            match line(&answer.answer) {
                empty if empty.is_empty() => branch,
                other => other,
            }
        };
        self.agrees("the branch", &["symbolic-ref", "-q", "HEAD"], &followed)
    }

    fn agrees(&self, what: &str, arguments: &[&str], stated: &str) -> Result<()> {
        let found = line(&self.ask(arguments, None, &[0, 1])?.answer);
        if found == stated {
            return Ok(());
        }
        let fact = format!("{what}: expected '{stated}', found '{found}'");
        Err(self.fault(&fact, b""))
    }

    /// Everything that refs and reflogs reach is there.
    fn fsck(&self) -> Result<Reflogs> {
        let reflogs = if self.question.expected.lacks_objects {
            Reflogs::NotFollowed
        } else {
            Reflogs::Followed
        };
        let mut arguments = vec![
            "fsck",
            "--connectivity-only",
            "--no-dangling",
            "--no-progress",
        ];
        match reflogs {
            Reflogs::Followed => {}
            Reflogs::NotFollowed => arguments.push("--no-reflogs"),
        }
        let answer = self.git.ask(&arguments, None);
        let answer = answer.map_err(|error| stopped(&error))?;
        self.judge(&arguments, answer, |status| status & !FORM_BITS == 0)?;
        Ok(reflogs)
    }

    /// Everything that stashes, operations in progress and the index name is there, with all it reaches.
    fn reaches(&self, look: &Look) -> Result<()> {
        let mut needed: BTreeSet<ObjectId> = look.tips.needed.clone();
        needed.extend(&look.index_ids);
        needed.retain(|id| !self.question.promised.contains(id));
        if needed.is_empty() {
            return Ok(());
        }
        let path = self.input("needed", needed.iter().map(ToString::to_string))?;
        let mut arguments = vec!["rev-list", "--objects", "--quiet"];
        if !self.question.promised.is_empty() {
            arguments.push("--missing=allow-promisor");
        }
        arguments.extend([FROM_INPUT, "--not", "--all"]);
        self.ask(&arguments, Some(&path), &[0]).map(|_answer| ())
    }

    /// Git reads the index, and every blob it names is there.
    fn index(&self, index: &Path, format: ObjectFormat) -> Result<()> {
        let scratch = &self.question.scratch;
        let Some(index) = copy_index(index, scratch).map_err(|error| stopped(&error))? else {
            return Ok(());
        };
        let arguments = ["ls-files", "-s", "-z"];
        let answer = self.git.ask_index(&arguments, &index);
        let answer = answer.map_err(|error| stopped(&error))?;
        let answer = self.judge(&arguments, answer, |status| status == 0)?;
        let mut ids = BTreeSet::new();
        for record in answer.answer.split(|byte| *byte == 0) {
            let mut fields = record.split(|byte| *byte == b' ');
            let mode = fields.next().unwrap_or_default();
            // Only the commit of a submodule is elsewhere.
            if let Some(id) = fields.next().filter(|_| mode != b"160000") {
                ids.insert(String::from_utf8_lossy(id).into_owned());
            }
        }
        for promised in &self.question.promised {
            ids.remove(&promised.to_string());
        }
        let path = self.input("index-ids", ids.into_iter())?;
        let answer = self.ask(&["cat-file", "--batch-check"], Some(&path), &[0])?;
        // What is only intended to be added stands for the empty blob, which need not be stored.
        let empty = hash_object(format, ObjectKind::Blob, b"")
            .map(|id| format!("{id} missing"))
            .unwrap_or_default();
        let lines = String::from_utf8_lossy(&answer.answer).into_owned();
        let lost = lines
            .lines()
            .find(|line| line.ends_with(" missing") && **line != *empty);
        match lost {
            None => Ok(()),
            Some(lost) => Err(self.fault("the index names it", lost.as_bytes())),
        }
    }

    /// Writes lines for git to read.
    fn input(&self, name: &str, lines: impl Iterator<Item = impl AsRef<[u8]>>) -> Result<PathBuf> {
        let mut text = Vec::new();
        for line in lines {
            text.extend_from_slice(line.as_ref());
            text.push(b'\n');
        }
        let name = format!("asked-{name}");
        write(&self.question.scratch, name.as_bytes(), &text).map_err(|error| stopped(&error))?;
        Ok(self.question.scratch.join(name))
    }
}

/// Copies the index, with the files it may be split into: git keeps its own books in them.
fn copy_index(index: &Path, scratch: &Path) -> disk::Result<Option<PathBuf>> {
    let restored = index.parent().unwrap_or(index);
    let names = disk::list(restored)?;
    for name in &names {
        let is_shared = name
            .to_str()
            .is_some_and(|name| name.starts_with("sharedindex."));
        if is_shared && scratch.join(name).symlink_metadata().is_err() {
            copy(&restored.join(name), &scratch.join(name))?;
        }
    }
    let target = scratch.join("asked-index");
    if names.iter().any(|name| name == "index") {
        match std::fs::remove_file(&target) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                return Err(disk::Error::new("remove", &target, error));
            }
            Ok(()) | Err(_) => {}
        }
        copy(index, &target)?;
        Ok(Some(target))
    } else {
        Ok(None)
    }
}

fn copy(from: &Path, to: &Path) -> disk::Result<()> {
    let mut source = disk::open_regular(from)?;
    let mut sink = disk::create_new(to)?;
    std::io::copy(&mut source, &mut sink).context("copy", from)?;
    Ok(())
}

/// An answer of one line, with its bytes escaped as in listings.
fn line(answer: &[u8]) -> String {
    text_name(answer.strip_suffix(b"\n").unwrap_or(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ref_names_are_those_that_git_takes() {
        for good in [
            "refs/heads/main",
            "refs/a/b.c",
            "refs/heads/\u{e4}",
            "refs/stash",
        ] {
            assert!(is_ref_name(good.as_bytes()), "{good}");
        }
        for bad in [
            "HEAD",
            "refs/",
            "refs//a",
            "refs/.a",
            "refs/a.lock",
            "refs/a..b",
            "refs/a b",
            "refs/a.",
            "refs/a@{b",
            "refs/a\\b",
            "refs/a:b",
            "refs/a.lock/b",
        ] {
            assert!(!is_ref_name(bad.as_bytes()), "{bad}");
        }
    }

    #[test]
    fn refs_that_lead_nowhere_are_left_out() {
        let id = "a".repeat(40);
        let packed = format!(
            "# pack-refs with: peeled\n{id} refs/heads/a\n^{id}\nnonsense\n{id} refs/heads/.x\n^{id}\n"
        );
        let expected = format!("# pack-refs with: peeled\n{id} refs/heads/a\n^{id}\n");
        assert_eq!(without_broken(packed.as_bytes()), expected.as_bytes());
        let files: BTreeMap<Vec<u8>, Vec<u8>> = [
            ("packed-refs", packed),
            ("refs/heads/good", format!("{id}\n")),
            ("refs/heads/null", "0".repeat(40)),
            ("refs/heads/empty", String::new()),
            ("refs/heads/linked", "ref: refs/heads/a\n".to_owned()),
            ("refs/heads/nowhere", "ref: refs/heads/gone\n".to_owned()),
            ("refs/heads/ring", "ref: refs/heads/ring\n".to_owned()),
        ]
        .into_iter()
        .map(|(name, content)| (name.into(), content.into_bytes()))
        .collect();
        let leads = |name: &str| leads_to_an_object(&files, name.as_bytes(), reftable::LINKED_REFS);
        for name in ["good", "linked", "a"] {
            assert!(leads(&format!("refs/heads/{name}")), "{name}");
        }
        for name in ["null", "empty", "nowhere", "ring", "gone"] {
            assert!(!leads(&format!("refs/heads/{name}")), "{name}");
        }
    }
}
