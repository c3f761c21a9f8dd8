//! The oracle: all that git and the file system know of a workspace, so that an original and its restored copy can be compared.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use super::Sandbox;
use super::files;
use super::listing::{self, Content, Listing};

/// Git never writes or fetches while the oracle asks, and shows every object as itself.
const ENVIRONMENT: [(&str, &str); 3] = [
    ("GIT_OPTIONAL_LOCKS", "0"),
    ("GIT_NO_REPLACE_OBJECTS", "1"),
    ("GIT_NO_LAZY_FETCH", "1"),
];

const QUESTIONS: [&[&str]; 5] = [
    &["rev-parse", "--quiet", "--verify", "HEAD"],
    &["symbolic-ref", "--quiet", "HEAD"],
    &[
        "for-each-ref",
        "--format=%(objectname) %(refname) %(symref)",
    ],
    &["stash", "list", "--format=%gd %H %gs"],
    &[
        "fsck",
        "--connectivity-only",
        "--no-dangling",
        "--no-progress",
    ],
];

const WORKSPACE_QUESTIONS: [&[&str]; 2] = [
    &["ls-files", "--stage", "-v", "-z"],
    &[
        "--no-optional-locks",
        "status",
        "--porcelain=v2",
        "-z",
        "--branch",
        "--untracked-files=all",
        "--ignored=no",
    ],
];

const IGNORED_QUESTION: [&str; 7] = [
    "--no-optional-locks",
    "status",
    "--porcelain=v2",
    "-z",
    "--no-renames",
    "--untracked-files=all",
    "--ignored=matching",
];

/// The id of the tree without entries, in each object format.
const EMPTY_TREES: [&[u8]; 2] = [
    b"4b825dc642cb6eb9a060e54bf8d69288fbee4904",
    b"6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
];

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Workspace,
    Bare,
}

/// Whether the modification times of the workspace directory and the git directory themselves count.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum RootTimes {
    Compared,
    Ignored,
}

#[derive(Clone, Eq, PartialEq)]
struct Answer {
    code: Option<i32>,
    stdout: Vec<u8>,
}

#[derive(Clone)]
pub struct RepoState {
    pub git_directory: Listing,
    pub working_tree: Listing,
    /// Untracked paths that git ignores; a directory stands for all that is in it.
    pub ignored: BTreeSet<Vec<u8>>,
    pub objects: BTreeSet<Vec<u8>>,
    answers: BTreeMap<String, Answer>,
}

impl RepoState {
    /// Looks at a repository, files first and git afterwards, and makes sure that looking changed nothing.
    #[track_caller]
    pub fn capture(sandbox: &Sandbox, path: &Path, kind: Kind) -> Self {
        let git_path = git_path(sandbox, path, kind);
        let git_directory = list_git_directory(&git_path);
        let working_tree = list_working_tree(path, kind);
        let mut state = Self {
            answers: ask_all(sandbox, path, kind),
            ignored: find_ignored(sandbox, path, kind, &working_tree),
            objects: find_objects(sandbox, path),
            git_directory,
            working_tree,
        };
        state.correct_fsck();
        state.put_back_shared_index_times(&git_path);
        let disturbed = listing::differences(
            "git directory",
            &state.git_directory,
            &list_git_directory(&git_path),
        );
        assert!(
            disturbed.is_empty(),
            "the oracle changed what it looked at:\n  {}",
            disturbed.join("\n  ")
        );
        state
    }

    /// `git fsck --connectivity-only` says of loose trees that they are missing where the index is sparse, and of the empty
    /// tree, which git has built in.
    fn correct_fsck(&mut self) {
        let fsck = self.answers.get_mut(&QUESTIONS[4].join(" "));
        let fsck = fsck.expect("git was asked");
        let is_there = |line: &[u8]| {
            let Some(id) = line.strip_prefix(b"missing tree ") else {
                return false;
            };
            let listed = [id, b" tree "].concat();
            let found = self.objects.range(listed.clone()..).next();
            EMPTY_TREES.contains(&id) || found.is_some_and(|object| object.starts_with(&listed))
        };
        let lines = fsck.stdout.split_inclusive(|byte| *byte == b'\n');
        let wrong: Vec<&[u8]> = lines
            .filter(|line| is_there(line.trim_ascii_end()))
            .collect();
        if !wrong.is_empty() && wrong.concat() == fsck.stdout {
            fsck.stdout.clear();
            fsck.code = Some(0);
        }
    }

    /// The same state as if these paths of the working tree, and all below them, were not there.
    pub fn without<'a>(&self, paths: impl IntoIterator<Item = &'a Vec<u8>>) -> Self {
        let dropped: Vec<&Vec<u8>> = paths.into_iter().collect();
        let mut state = self.clone();
        state
            .working_tree
            .retain(|name, _| !dropped.iter().any(|path| is_within(name, path)));
        state
            .ignored
            .retain(|name| !dropped.iter().any(|path| is_within(name, path)));
        state
    }

    /// The same state without what git ignores, which a snapshot leaves out.
    pub fn without_ignored(&self) -> Self {
        self.without(&self.ignored)
    }

    /// The same state as if every file had the same time, and without the bytes of the index, which hold inodes and times.
    pub fn regardless_of_times(&self) -> Self {
        let mut state = self.clone();
        state
            .git_directory
            .retain(|name, _| name != b"index" && !name.starts_with(b"sharedindex."));
        // Git gives tables of refs random names; what is in them is asked of git.
        state
            .git_directory
            .retain(|name, _| !name.starts_with(b"reftable/"));
        let entries = state.git_directory.values_mut();
        for entry in entries.chain(state.working_tree.values_mut()) {
            entry.mtime_nanoseconds = 0;
        }
        state
    }

    /// What git says of the working tree and index.
    pub fn status(&self) -> &[u8] {
        &self.answers[&WORKSPACE_QUESTIONS[1].join(" ")].stdout
    }

    /// Whether every object of this state is in the other; the other may hold more.
    pub fn objects_are_in(&self, other: &Self) -> bool {
        self.objects.is_subset(&other.objects)
    }

    /// Stops the test unless the restored workspace is the original one, times of its roots included.
    #[track_caller]
    pub fn assert_same_workspace(original: &Self, restored: &Self) {
        Self::assert_same_workspace_but(original, restored, RootTimes::Compared);
    }

    #[track_caller]
    pub fn assert_same_workspace_but(original: &Self, restored: &Self, root_times: RootTimes) {
        let differences = original.differences(restored, root_times);
        assert!(
            differences.is_empty(),
            "the restored workspace is not the original:\n  {}",
            differences.join("\n  ")
        );
    }

    /// Names everything in which a restored workspace differs from this one.
    pub fn differences(&self, restored: &Self, root_times: RootTimes) -> Vec<String> {
        let mut restored = restored.clone();
        if root_times == RootTimes::Ignored {
            copy_root_time(&self.git_directory, &mut restored.git_directory);
            copy_root_time(&self.working_tree, &mut restored.working_tree);
        }
        let mut differences = listing::differences(
            "git directory",
            &self.git_directory,
            &restored.git_directory,
        );
        differences.extend(listing::differences(
            "working tree",
            &self.working_tree,
            &restored.working_tree,
        ));
        differences.extend(self.answer_differences(&restored));
        differences.extend(self.missing_objects(&restored));
        differences
    }

    fn answer_differences(&self, restored: &Self) -> Vec<String> {
        let mut differences = Vec::new();
        for (question, answer) in &self.answers {
            let found = &restored.answers[question];
            if answer == found {
                continue;
            }
            differences.push(format!("git {question}:"));
            if answer.code != found.code {
                differences.push(format!("  exit {:?} became {:?}", answer.code, found.code));
            }
            differences.extend(line_differences(&answer.stdout, &found.stdout));
        }
        differences
    }

    fn missing_objects(&self, restored: &Self) -> Vec<String> {
        self.objects
            .difference(&restored.objects)
            .map(|object| format!("object {}: missing", object.escape_ascii()))
            .collect()
    }

    /// Git renews the time of a shared index whenever it reads the index, even with optional locks off.
    fn put_back_shared_index_times(&self, git_path: &Path) {
        for (name, entry) in &self.git_directory {
            if name.starts_with(b"sharedindex.") {
                files::set_mtime(&files::at(git_path, name), entry.mtime_nanoseconds);
            }
        }
    }
}

/// Where the git directory is: of a linked worktree or submodule that is elsewhere.
fn git_path(sandbox: &Sandbox, path: &Path, kind: Kind) -> PathBuf {
    match kind {
        Kind::Workspace if path.join(".git").is_dir() => path.join(".git"),
        Kind::Workspace => {
            PathBuf::from(sandbox.git_text(path, &["rev-parse", "--absolute-git-dir"]))
        }
        Kind::Bare => path.to_path_buf(),
    }
}

fn list_git_directory(git_path: &Path) -> Listing {
    let mut listing = listing::list(git_path, &|name| {
        let is_linked = name.starts_with(b"linked-") && files::at(git_path, name).is_dir();
        !is_object_store(git_path, name) && !name.ends_with(b".lock") && !is_linked
    });
    blank_pointers(&mut listing);
    listing
}

fn list_working_tree(path: &Path, kind: Kind) -> Listing {
    match kind {
        Kind::Workspace => {
            let mut listing = listing::list(path, &|name| {
                let part: &[u8] = b".git/linked-";
                let is_linked = name.windows(part.len()).any(|window| window == part);
                name != b".git" && !is_object_store(path, name) && !is_linked
            });
            blank_pointers(&mut listing);
            listing
        }
        Kind::Bare => Listing::new(),
    }
}

/// Whether a directory below `root` is the object store of a git directory that is compared by what is in it.
fn is_object_store(root: &Path, name: &[u8]) -> bool {
    let is_inside = name == b"objects"
        || (name.ends_with(b"/objects")
            && [&b".git/"[..], b"modules/"]
                .iter()
                .any(|part| name.windows(part.len()).any(|window| window == *part)));
    let path = files::at(root, name);
    is_inside && path.is_dir() && path.with_file_name("HEAD").exists()
}

/// What names the place of another tree says something else in a restored copy; where it leads is asked of git.
fn blank_pointers(listing: &mut Listing) {
    for (name, entry) in listing {
        let is_admin = name == b"gitdir"
            || (name.windows(10).any(|window| window == b"worktrees/")
                && name.ends_with(b"/gitdir"));
        let is_gitfile = name.ends_with(b".git")
            && matches!(&entry.content, Content::Bytes(bytes) if bytes.starts_with(b"gitdir: "));
        if (name == b"config" || name.ends_with(b"/config"))
            && let Content::Bytes(bytes) = &mut entry.content
        {
            let lines = bytes.split_inclusive(|byte| *byte == b'\n');
            let kept = lines.filter(|line| !line.starts_with(b"\tworktree = "));
            *bytes = kept.flatten().copied().collect();
            entry.size_bytes = bytes.len() as u64;
        }
        if is_admin || is_gitfile {
            entry.content = Content::Special("pointer");
            entry.size_bytes = 0;
        }
    }
}

fn ask_all(sandbox: &Sandbox, path: &Path, kind: Kind) -> BTreeMap<String, Answer> {
    let mut questions = QUESTIONS.to_vec();
    if kind == Kind::Workspace {
        questions.extend(WORKSPACE_QUESTIONS);
    }
    let ask = |question: &[&str]| {
        let output = sandbox.try_git_with(path, &ENVIRONMENT, question);
        let answer = Answer {
            code: output.status.code(),
            stdout: output.stdout,
        };
        (question.join(" "), answer)
    };
    questions.into_iter().map(ask).collect()
}

fn find_objects(sandbox: &Sandbox, path: &Path) -> BTreeSet<Vec<u8>> {
    let arguments = [
        "cat-file",
        "--batch-all-objects",
        "--batch-check",
        "--unordered",
    ];
    let output = sandbox.git_with(path, &ENVIRONMENT, &arguments);
    let lines = output.split(|byte| *byte == b'\n');
    lines
        .filter(|line| !line.is_empty())
        .map(<[u8]>::to_vec)
        .collect()
}

fn find_ignored(
    sandbox: &Sandbox,
    path: &Path,
    kind: Kind,
    working_tree: &Listing,
) -> BTreeSet<Vec<u8>> {
    if kind == Kind::Bare {
        return BTreeSet::new();
    }
    let output = sandbox.git_with(path, &ENVIRONMENT, &IGNORED_QUESTION);
    let mut ignored: BTreeSet<Vec<u8>> = output
        .split(|byte| *byte == 0)
        .filter_map(|line| line.strip_prefix(b"! "))
        .map(|name| name.strip_suffix(b"/").unwrap_or(name).to_vec())
        .collect();
    // Git's status never mentions a directory without files, so that each must be asked about.
    for name in empty_directories(working_tree) {
        if is_ignored_directory(sandbox, path, name) {
            ignored.insert(name.clone());
        }
    }
    ignored
}

/// The directories without any file below them.
fn empty_directories(working_tree: &Listing) -> impl Iterator<Item = &Vec<u8>> {
    working_tree.iter().filter_map(|(name, entry)| {
        let prefix = [name, b"/".as_slice()].concat();
        let has_files = working_tree
            .range(prefix.clone()..)
            .take_while(|(below, _)| below.starts_with(&prefix))
            .any(|(_, below)| below.content != Content::Directory);
        (entry.content == Content::Directory && name != b"." && !has_files).then_some(name)
    })
}

fn is_ignored_directory(sandbox: &Sandbox, path: &Path, name: &[u8]) -> bool {
    let mut command = sandbox.command("git", path);
    command
        .envs(ENVIRONMENT)
        .args(["--literal-pathspecs", "check-ignore", "--quiet", "--"])
        .arg(OsStr::from_bytes(name));
    command.output().expect("git starts").status.success()
}

fn copy_root_time(from: &Listing, to: &mut Listing) {
    if let (Some(source), Some(target)) = (from.get(b".".as_slice()), to.get_mut(b".".as_slice())) {
        target.mtime_nanoseconds = source.mtime_nanoseconds;
    }
}

fn is_within(name: &[u8], path: &[u8]) -> bool {
    name.strip_prefix(path)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with(b"/"))
}

fn line_differences(original: &[u8], restored: &[u8]) -> Vec<String> {
    let before = lines(original);
    let after = lines(restored);
    let gone = before.iter().filter(|line| !after.contains(line));
    let new = after.iter().filter(|line| !before.contains(line));
    let mut differences: Vec<String> = gone
        .map(|line| format!("  - {}", line.escape_ascii()))
        .chain(new.map(|line| format!("  + {}", line.escape_ascii())))
        .collect();
    if differences.is_empty() && original != restored {
        differences.push("  the same lines in another order or number".to_owned());
    }
    differences
}

fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split(|byte| *byte == b'\n' || *byte == 0).collect()
}
