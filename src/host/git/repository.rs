//! Finds and opens a source repository without running anything it configures, and says what it is.

use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use gix::sec::Permission;

use super::gitfile;
use super::misplaced::{self, Misplaced};
use super::object::ObjectFormat;
use super::reftable;
use super::remotes::Remotes;
use crate::host::disk;

/// Where a repository is looked for and which configuration counts.
#[derive(Debug, Clone)]
pub struct Lookup {
    /// Where to start looking, upwards.
    pub start: PathBuf,
    /// Whether the environment names other configuration files (`GIT_CONFIG_GLOBAL` and its like).
    pub configuration_from_environment: bool,
    /// The home directory, for `~/` in settings.
    pub home: Option<PathBuf>,
    /// The ignore file git uses when `core.excludesFile` is not set.
    pub default_excludes_file: Option<PathBuf>,
}

/// A source repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Canonical path of the git directory: the common one, wherever the search began.
    pub git_dir: PathBuf,
    /// Canonical path of the main working tree; `None` for a bare repository.
    pub worktree: Option<PathBuf>,
    /// The directory with the `.git` that the search met first, when the repository has its working trees elsewhere.
    pub unclaimed: Option<PathBuf>,
    /// The format of its ids.
    pub format: ObjectFormat,
    /// Whether it is a partial clone: a promisor remote may give what it lacks.
    pub is_partial: bool,
    /// The remotes that its configuration names.
    pub remotes: Remotes,
    /// Its settings for this program and those it shares with git.
    pub settings: Settings,
}

/// Settings read from git's configuration files.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settings {
    /// `vault.home`.
    pub vault_home: Option<PathBuf>,
    /// `vault.include`: patterns of ignored files to capture.
    pub include: Vec<String>,
    /// `vault.exclude`: patterns of untracked files to leave out.
    pub exclude: Vec<String>,
    /// `core.excludesFile`, or git's default for it.
    pub excludes_file: Option<PathBuf>,
    /// `core.ignoreCase`.
    pub ignore_case: bool,
}

/// Why a repository cannot be used.
#[derive(Debug)]
pub enum OpenError {
    /// There is none.
    NotFound,
    /// It belongs to another user.
    OtherOwner(String),
    /// It has a format or extension that is not on the list of known ones.
    FormatUnknown(String),
    /// It uses something that this version cannot capture whole: a word for it, and where it was seen.
    NotSupported(&'static str, String),
    /// It cannot be used from here as things lie.
    Misplaced(Box<Misplaced>),
    /// A setting makes no sense.
    Setting(String),
    /// The file system said no.
    Disk(disk::Error),
}

impl From<disk::Error> for OpenError {
    fn from(error: disk::Error) -> Self {
        Self::Disk(error)
    }
}

/// Finds the repository that holds `lookup.start`. Inside a linked worktree that is the repository it belongs to.
///
/// # Errors
/// Any [`OpenError`].
pub fn discover(lookup: &Lookup) -> Result<Repository, OpenError> {
    let is_no_place = match std::fs::metadata(&lookup.start) {
        Ok(found) => !found.is_dir(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    if is_no_place {
        return Err(OpenError::NotFound);
    }
    let start = canonical(&lookup.start)?;
    let holder = (start.ancestors()).find_map(|above| Some((above, git_dir_at(above)?)));
    if let Some((above, git_dir)) = &holder {
        misplaced::check_leads(above, git_dir)?;
        check_readable(git_dir)?;
        misplaced::check_worktree_is_there(git_dir)?;
    }
    let options = open_options(false);
    let trust_map = gix::sec::trust::Mapping {
        full: options.clone(),
        reduced: options,
    };
    let found = gix::ThreadSafeRepository::discover_opts(
        &lookup.start,
        gix::discover::upwards::Options::default(),
        trust_map,
    );
    let repository = found.map_err(|error| classify(&error))?.to_thread_local();
    let common_dir = canonical(repository.common_dir())?;
    let own_dir = canonical(repository.git_dir())?;
    let says_it_has_one = repository.config_snapshot().boolean("core.bare") == Some(false);
    if own_dir != common_dir {
        let mut main = open(&common_dir, lookup)?;
        main.unclaimed = gitfile::unclaimed(&lookup.start, &own_dir)?;
        if main.worktree.is_none() && says_it_has_one {
            return Err(Misplaced::unknown_worktree(&common_dir));
        }
        return Ok(main);
    }
    let worktree = repository.workdir().map(canonical).transpose()?;
    if worktree.is_none() && says_it_has_one {
        return Err(Misplaced::unknown_worktree(&common_dir));
    }
    let mut main = finish(repository, worktree, lookup)?;
    if let (Some(worktree), Some((above, _))) = (&main.worktree, &holder) {
        main.unclaimed = misplaced::around(&start, above, (worktree, &main.git_dir))?;
    }
    Ok(main)
}

/// Opens the repository whose common git directory is `git_dir`. Whose it is is not asked: it belongs to one that was found, and
/// nothing it configures is run.
///
/// # Errors
/// As [`discover`].
pub fn open(git_dir: &Path, lookup: &Lookup) -> Result<Repository, OpenError> {
    check_readable(git_dir)?;
    let options = open_options(false).bail_if_untrusted(false);
    let opened = options.open_path_as_is(true).open(git_dir);
    let repository = opened.map_err(|error| classify(&error))?.to_thread_local();
    let worktree = main_worktree(&repository, git_dir)?;
    finish(repository, worktree, lookup)
}

/// The settings that hold in a linked worktree, whose directory in `worktrees` is `admin`: its own `config.worktree` counts there
/// (git-worktree(1)), not that of the main working tree.
///
/// # Errors
/// When git could not work in it, either, or a setting makes no sense.
pub fn settings_of_linked(
    admin: &Path,
    root: &Path,
    lookup: &Lookup,
) -> Result<Settings, OpenError> {
    check_readable(admin)?;
    let options = open_options(lookup.configuration_from_environment).bail_if_untrusted(false);
    let opened = options.open_path_as_is(true).open(admin);
    let repository = opened.map_err(|error| classify(&error))?.to_thread_local();
    read_settings(&repository, lookup, Some(root))
}

/// What seems to be the git directory of a working tree, or a bare repository, at `directory`.
fn git_dir_at(directory: &Path) -> Option<PathBuf> {
    let inner = directory.join(".git");
    match gitfile::read_gitfile(&inner) {
        Ok(Some(named)) => Some(named),
        _ if inner.is_dir() => Some(inner),
        _ => (directory.join("objects").is_dir() && directory.join("refs").is_dir())
            .then(|| directory.to_owned()),
    }
}

/// Refuses a git directory in which what gix reads whole when it opens one is no file, and might never end, or is too large.
fn check_readable(git_dir: &Path) -> Result<(), OpenError> {
    for (name, limit_bytes) in [
        ("HEAD", HEAD_LIMIT_BYTES),
        ("commondir", HEAD_LIMIT_BYTES),
        ("config", CONFIG_LIMIT_BYTES),
        ("config.worktree", CONFIG_LIMIT_BYTES),
        ("packed-refs", u64::MAX),
    ] {
        let path = git_dir.join(name);
        let reason = match std::fs::metadata(&path) {
            Ok(found) if found.is_file() && found.len() > limit_bytes => "too large",
            Ok(found) if !found.is_file() && !found.is_dir() => "not a regular file",
            Err(error) if !disk::is_nowhere(&error) => {
                return Err(disk::Error::new("look at", &path, error).into());
            }
            _ => continue,
        };
        return Err(disk::Error::new("read", &path, std::io::Error::other(reason)).into());
    }
    Ok(())
}

fn canonical(path: &Path) -> Result<PathBuf, OpenError> {
    std::fs::canonicalize(path)
        .map_err(|source| OpenError::Disk(disk::Error::new("find", path, source)))
}

fn is_named_git(git_dir: &Path) -> bool {
    git_dir.file_name().is_some_and(|name| name == ".git")
}

/// The main working tree of a repository of which only the git directory is known: what `core.worktree` says, or the
/// directory around a `.git`.
fn main_worktree(
    repository: &gix::Repository,
    git_dir: &Path,
) -> Result<Option<PathBuf>, OpenError> {
    let config = repository.config_snapshot();
    if config.boolean("core.bare") == Some(true) {
        return Ok(None);
    }
    // Git takes it from the files of the git directory only.
    let is_own = |metadata: &gix::config::file::Metadata| {
        let own = [gix::config::Source::Local, gix::config::Source::Worktree];
        own.contains(&metadata.source)
    };
    if let Some(path) = config.plumbing().string_filter("core.worktree", is_own) {
        return match std::fs::canonicalize(join_bytes(git_dir, &path)) {
            Ok(path) => Ok(Some(path)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(disk::Error::new("find", &join_bytes(git_dir, &path), error).into()),
        };
    }
    if is_named_git(git_dir) {
        return git_dir.parent().map(canonical).transpose();
    }
    Ok(None)
}

/// Git takes `core.worktree` from the files of the git directory themselves, never from what they include (its
/// `check_repository_format_gently`): a working tree found by an included one would not be git's.
fn check_worktree_setting(repository: &gix::Repository, git_dir: &Path) -> Result<(), OpenError> {
    let config = repository.config_snapshot();
    let sections = config.plumbing().sections_by_name("core");
    let is_included = sections
        .into_iter()
        .flatten()
        .any(|section| section.meta().level > 0 && section.value("worktree").is_some());
    if is_included {
        return Err(OpenError::NotSupported(
            "core.worktree in an included file",
            format!("git does not heed it there, in '{}'", git_dir.display()),
        ));
    }
    Ok(())
}

/// Checks the format of an opened repository and reads its settings.
fn finish(
    repository: gix::Repository,
    worktree: Option<PathBuf>,
    lookup: &Lookup,
) -> Result<Repository, OpenError> {
    let git_dir = canonical(repository.git_dir())?;
    let format = ObjectFormat::from_gix(repository.object_hash())
        .ok_or_else(|| OpenError::FormatUnknown(repository.object_hash().to_string()))?;
    check_format(&repository)?;
    check_worktree_setting(&repository, &git_dir)?;
    let ref_storage = check_ref_storage(&repository, &git_dir)?;
    if worktree.is_none() && is_named_git(&git_dir) && !has_entries(&git_dir.join("worktrees"))? {
        let reason = format!("core.bare is true in '{}'", git_dir.display());
        return Err(OpenError::NotSupported(
            "working tree of a repository that says it is bare",
            reason,
        ));
    }
    let configured = if lookup.configuration_from_environment {
        // Its owner was asked for when it was found.
        let options = open_options(true).bail_if_untrusted(false);
        let again = options.open_path_as_is(true).open(&git_dir);
        again.map_err(|error| classify(&error))?.to_thread_local()
    } else {
        repository
    };
    if ref_storage == RefStorage::Tables {
        check_no_setting_by_branch(&configured)?;
    }
    let settings = read_settings(&configured, lookup, worktree.as_deref())?;
    let is_partial = has_promisor_remote(&configured);
    let remotes = Remotes::of(&configured);
    Ok(Repository {
        git_dir,
        worktree,
        unclaimed: None,
        format,
        is_partial,
        remotes,
        settings,
    })
}

/// Options under which the environment of a hook cannot redirect anything, and no object store is looked at.
pub(super) fn open_options(configuration_from_environment: bool) -> gix::open::Options {
    let mut permissions = gix::open::Permissions::all();
    let git_prefix = if configuration_from_environment {
        Permission::Allow
    } else {
        Permission::Deny
    };
    permissions.env.git_prefix = git_prefix;
    permissions.env.objects = Permission::Deny;
    permissions.config.env = false;
    gix::open::Options::default()
        .permissions(permissions)
        .bail_if_untrusted(true)
        .strict_config(true)
        .object_store_slots(gix::odb::store::init::Slots::Given(1))
}

pub(super) fn classify(error: &gix::Error) -> OpenError {
    let text = error.to_string();
    let chain = format!("{error:?}");
    if chain.contains("Could not find a git repository") || chain.contains("not a git repository") {
        OpenError::NotFound
    } else if chain.contains("owned by") {
        OpenError::OtherOwner(text)
    } else {
        OpenError::FormatUnknown(chain.split_whitespace().collect::<Vec<_>>().join(" "))
    }
}

/// Largest `HEAD` that is read.
const HEAD_LIMIT_BYTES: u64 = 1 << 20;

/// Largest file of settings that is read.
const CONFIG_LIMIT_BYTES: u64 = 64 << 20;

/// Extensions whose meaning is known (git-config(1), `extensions.*`); with them the values that are.
const KNOWN_EXTENSIONS: [(&str, Option<&str>); 10] = [
    ("noop", None),
    ("noop-v1", None),
    ("preciousobjects", None),
    ("worktreeconfig", None),
    ("relativeworktrees", None),
    ("objectformat", None),
    ("partialclone", None),
    ("submodulepathconfig", None),
    ("refstorage", Some("files")),
    ("refstorage", Some("reftable")),
];

/// Extensions that are known, and that this version cannot capture whole.
const NOT_SUPPORTED_EXTENSIONS: [(&str, &str); 1] =
    [("compatobjectformat", "two object formats at once")];

/// Refuses format versions and extensions that are not known: gix opens some of them as if they were not there.
fn check_format(repository: &gix::Repository) -> Result<(), OpenError> {
    let config = repository.config_snapshot();
    let version = config.integer("core.repositoryFormatVersion").unwrap_or(0);
    if !(0..=1).contains(&version) {
        return Err(OpenError::FormatUnknown(format!(
            "core.repositoryFormatVersion is {version}"
        )));
    }
    for section in config
        .plumbing()
        .sections_by_name("extensions")
        .into_iter()
        .flatten()
    {
        for (name, value) in section.body() {
            let name = name.to_ascii_lowercase();
            let value = value.to_string().to_ascii_lowercase();
            let known = KNOWN_EXTENSIONS
                .iter()
                .any(|(known, only)| *known == name && only.is_none_or(|only| only == value));
            if known {
                continue;
            }
            let reason = NOT_SUPPORTED_EXTENSIONS
                .iter()
                .find(|(known, _)| *known == name);
            return Err(match reason {
                Some((_, word)) => {
                    OpenError::NotSupported(word, format!("extensions.{name} is '{value}'"))
                }
                None => OpenError::FormatUnknown(format!("extensions.{name} is '{value}'")),
            });
        }
    }
    Ok(())
}

/// Where refs are (git-config(1), `extensions.refStorage`).
#[derive(Clone, Copy, PartialEq, Eq)]
enum RefStorage {
    Files,
    Tables,
}

/// Settings and `HEAD` must agree on where refs are: git goes by the settings; what was captured is read by `HEAD`.
fn check_ref_storage(
    repository: &gix::Repository,
    git_dir: &Path,
) -> Result<RefStorage, OpenError> {
    let config = repository.config_snapshot();
    let configured = config.string("extensions.refStorage");
    let is_reftable = configured.is_some_and(|value| value.eq_ignore_ascii_case(b"reftable"));
    // One that cannot be read is refused where it is captured.
    let head = disk::read_bounded(&git_dir.join("HEAD"), HEAD_LIMIT_BYTES).unwrap_or_default();
    let version = config.integer("core.repositoryFormatVersion").unwrap_or(0);
    match (is_reftable, reftable::is_announced(&head)) {
        (true, true) if version == 0 => Err(OpenError::FormatUnknown(
            "extensions.refStorage is 'reftable', and core.repositoryFormatVersion is 0".to_owned(),
        )),
        (true, true) => Ok(RefStorage::Tables),
        (false, false) => Ok(RefStorage::Files),
        (true, false) => Err(OpenError::FormatUnknown(
            "extensions.refStorage is 'reftable', and HEAD is not what goes with it".to_owned(),
        )),
        (false, true) => Err(OpenError::FormatUnknown(
            "HEAD is that of a repository whose extensions.refStorage is 'reftable'".to_owned(),
        )),
    }
}

/// Which branch it is, gix does not know when refs are in tables: it would pass over settings that count for this branch only.
fn check_no_setting_by_branch(repository: &gix::Repository) -> Result<(), OpenError> {
    let config = repository.config_snapshot();
    let sections = config.plumbing().sections_by_name("includeIf");
    let names = sections
        .into_iter()
        .flatten()
        .filter_map(|section| section.header().subsection_name());
    for name in names {
        if name.to_ascii_lowercase().starts_with(b"onbranch:") {
            return Err(OpenError::NotSupported(
                "settings that depend on the branch, with refs in tables",
                format!("there is a section 'includeIf \"{name}\"'"),
            ));
        }
    }
    Ok(())
}

/// Whether any remote is a promisor remote for git (partial-clone in git's technical documentation): one that
/// `extensions.partialClone` names, one with a filter, or one that is said to be.
fn has_promisor_remote(repository: &gix::Repository) -> bool {
    let config = repository.config_snapshot();
    if config.string("extensions.partialClone").is_some() {
        return true;
    }
    let sections = config.plumbing().sections_by_name("remote");
    sections.into_iter().flatten().any(|section| {
        let body = section.body();
        // At what is no truth value git stops: nothing is promised.
        let is_true = |value: gix::bstr::BString| {
            let value = gix::config::Boolean::try_from(gix::bstr::BStr::new(&value));
            value.is_ok_and(|value| value.0)
        };
        let last = body.value_implicit("promisor");
        last.is_some_and(|value| value.is_none_or(is_true))
            || body.values("promisor").into_iter().any(is_true)
            || body.contains_value_name("partialCloneFilter")
    })
}

fn read_settings(
    repository: &gix::Repository,
    lookup: &Lookup,
    worktree: Option<&Path>,
) -> Result<Settings, OpenError> {
    let config = repository.config_snapshot();
    // A file inside the working tree may be tracked, and a tracked file must not steer the vault.
    let outside = |meta: &gix::config::file::Metadata| {
        let real = meta
            .path
            .as_deref()
            .and_then(|path| std::fs::canonicalize(path).ok());
        let git_dir = std::fs::canonicalize(repository.common_dir()).ok();
        match (real, worktree) {
            (Some(path), Some(worktree)) => {
                !path.starts_with(worktree)
                    || git_dir.is_some_and(|git_dir| path.starts_with(git_dir))
            }
            _ => true,
        }
    };
    let strings = |key: &str| -> Result<Vec<String>, OpenError> {
        let values = config
            .plumbing()
            .strings_filter(key, outside)
            .unwrap_or_default();
        let text = values
            .into_iter()
            .map(|value| String::from_utf8(value.into()));
        text.collect::<Result<_, _>>()
            .map_err(|_not_utf8| OpenError::Setting(format!("{key} is not UTF-8")))
    };
    let vault_home = match strings("vault.home")?.pop() {
        Some(text) => Some(absolute_home(&text, lookup)?),
        None => None,
    };
    let excludes_file = config
        .trusted_path("core.excludesFile")
        .map_err(|error| OpenError::Setting(format!("core.excludesFile: {error}")))?
        .map(|path| worktree.map_or(path.clone(), |worktree| worktree.join(path)));
    Ok(Settings {
        vault_home,
        include: strings("vault.include")?,
        exclude: strings("vault.exclude")?,
        excludes_file: excludes_file.or_else(|| lookup.default_excludes_file.clone()),
        ignore_case: config.boolean("core.ignoreCase").unwrap_or(false),
    })
}

/// `vault.home` with `~/` replaced; it must be absolute.
fn absolute_home(text: &str, lookup: &Lookup) -> Result<PathBuf, OpenError> {
    let path = match (text.strip_prefix("~/"), &lookup.home) {
        (Some(below), Some(home)) => home.join(below),
        _ => PathBuf::from(text),
    };
    if path.is_absolute() {
        Ok(path)
    } else {
        Err(OpenError::Setting(format!(
            "vault.home is '{text}', which is not an absolute path"
        )))
    }
}

fn has_entries(path: &Path) -> Result<bool, OpenError> {
    match disk::list(path) {
        Ok(names) => Ok(!names.is_empty()),
        Err(error) if error.is_nowhere() => Ok(false),
        Err(error) => Err(error.into()),
    }
}

/// Settings of a restored repository that can make git run something, as `key = value` lines.
#[must_use]
pub fn executable_settings(config: &[u8]) -> Vec<String> {
    let Ok(file) = gix::config::File::try_from(&*String::from_utf8_lossy(config)) else {
        return vec!["the configuration cannot be read".to_owned()];
    };
    let mut found = Vec::new();
    for section in file.sections() {
        let header = section.header();
        let name = header.name().to_string().to_ascii_lowercase();
        let subsection = header
            .subsection_name()
            .map(|name| format!(".{name}"))
            .unwrap_or_default();
        for (key, value) in section.body() {
            let key = key.to_ascii_lowercase();
            let value = value.to_string();
            if can_execute(&name, &key, &value) {
                found.push(format!("{name}{subsection}.{key} = {value}"));
            }
        }
    }
    found
}

/// Whether a setting can make git run a program or read more settings (git-config(1)).
fn can_execute(section: &str, key: &str, value: &str) -> bool {
    match section {
        "alias" => value.starts_with('!'),
        "core" => {
            let programs = [
                "fsmonitor",
                "sshcommand",
                "hookspath",
                "pager",
                "editor",
                "askpass",
                "gitproxy",
                "alternaterefscommand",
            ];
            programs.contains(&key) && !matches!(value, "true" | "false" | "")
        }
        "filter" => matches!(key, "clean" | "smudge" | "process"),
        "diff" => matches!(key, "external" | "textconv" | "command"),
        "difftool" | "mergetool" | "browser" | "man" | "guitool" => matches!(key, "cmd" | "path"),
        "merge" => key == "driver",
        "credential" => key == "helper",
        "imap" => key == "tunnel",
        "url" => matches!(key, "insteadof" | "pushinsteadof"),
        "gpg" => matches!(key, "program" | "defaultkeycommand"),
        "hook" | "tar" => key == "command",
        "include" | "includeif" => key == "path",
        "pager" | "interactive" | "sequence" => !matches!(value, "true" | "false" | ""),
        "remote" => {
            matches!(key, "uploadpack" | "receivepack" | "vcs")
                || (matches!(key, "url" | "pushurl") && value.starts_with("ext::"))
        }
        "submodule" => key == "update" && value.starts_with('!'),
        "uploadpack" => key == "packobjectshook",
        "gc" => key == "recentobjectshook",
        "trailer" => matches!(key, "command" | "cmd"),
        "sendemail" => key.ends_with("cmd") || (key == "smtpserver" && value.starts_with('/')),
        _ => false,
    }
}

/// The path of a file below a repository, from bytes.
#[must_use]
pub fn join_bytes(directory: &Path, relative: &[u8]) -> PathBuf {
    if relative.is_empty() {
        directory.to_owned()
    } else {
        directory.join(std::ffi::OsStr::from_bytes(relative))
    }
}
