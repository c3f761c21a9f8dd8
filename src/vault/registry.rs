//! Which vault belongs to a repository: by the canonical path of its common git directory, noted in the vault home and
//! repeated in the vault's own signed log. A repository that moved is recognised by its root commits.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::host::disk;
use crate::host::git::object::{ObjectFormat, ObjectId};
use crate::host::git::repository::Repository;
use crate::host::keys;
use crate::host::lock;
use crate::host::random::random_bytes;
use crate::host::walk::path_bytes;
use crate::model::escape::{name_from_text, shell_word, text_name};
use crate::model::ids::{Digest, RepositoryId, VaultId, to_hex};
use crate::model::log_entry::{Attachment, LogEvent, Predecessor};
use crate::model::manifest::FORMAT;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::signed::{self, Binding, Purpose};
use crate::model::timestamp::Timestamp;
use crate::vault::heartbeats::repository_key;
use crate::vault::inspect::{Description, Homes, TOOL, Vault};
use crate::vault::keyring::KeySource;
use crate::vault::last_seen;
use crate::vault::layout::{self, Layout};
use crate::vault::log::Log;

/// Largest registry file read.
const LIMIT_BYTES: u64 = 1 << 16;

/// What the registry notes for a repository: a hint, checked against the vault's signed log.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Registration {
    git_dir: String,
    vault: String,
}

/// A vault that was found for a repository.
pub struct FoundVault {
    /// The vault.
    pub vault: Vault,
    /// The path it was attached to before, when the repository has moved.
    pub moved_from: Option<String>,
}

fn registration_path(home: &Path, git_dir: &Path) -> PathBuf {
    let name = repository_key(git_dir);
    home.join("registry").join(format!("{name}.toml"))
}

/// How long a snapshot waits for another one of the same repository.
const PATIENCE: Duration = Duration::from_secs(120);

/// Waits until no other process makes a vault or a snapshot for this repository. Only for politeness: what protects the
/// vault is that log entries are created exclusively. Nothing is written unless all that will be written lies outside the
/// repository.
///
/// # Errors
/// When a place lies inside the repository, another process takes too long, or the lock file cannot be made.
pub fn lock(home: &Path, homes: &Homes, repository: &Repository) -> Result<lock::Lock> {
    check_outside(
        repository,
        &[
            (home, "the vault"),
            (&homes.keys, "the key"),
            (&homes.state, "what is remembered of the vault"),
        ],
    )?;
    let path = registration_path(home, &repository.git_dir).with_extension("lock");
    let directory = path.parent().unwrap_or(home);
    disk::create_directories(directory).map_err(|error| error.refuse_vault_write())?;
    let locked = lock::lock(&path, PATIENCE).map_err(|error| error.refuse_vault_write())?;
    locked.ok_or_else(|| is_held(&path))
}

/// Waits until no other process is between the first write and the seal of a snapshot in this vault, or sets leftovers
/// aside, whatever vault home it was told of: what is set aside must not be what is just being sealed.
///
/// # Errors
/// When another process takes too long, or the file system knows no locks.
pub fn lock_vault(layout: &Layout) -> Result<lock::Lock> {
    let path = layout.vault_toml();
    let locked =
        lock::lock_existing(&path, PATIENCE).map_err(|error| error.refuse_vault_write())?;
    locked.ok_or_else(|| is_held(&path))
}

fn is_held(path: &Path) -> Refusal {
    Refusal::new(
        RefusalCode::AnotherWriter,
        "another process is writing to the vault of this repository",
    )
    .because(format!(
        "it has held '{}' for {} seconds",
        path.display(),
        PATIENCE.as_secs()
    ))
    .keeping("nothing was touched")
    .next("git vault snapshot", "tries again")
}

/// Notes which vault belongs to a repository.
///
/// # Errors
/// When it cannot be written.
pub fn register(home: &Path, git_dir: &Path, vault_root: &Path) -> disk::Result<()> {
    let path = registration_path(home, git_dir);
    if let Some(directory) = path.parent() {
        disk::create_directories(directory)?;
    }
    let registration = Registration {
        git_dir: text_name(path_bytes(git_dir)),
        vault: text_name(path_bytes(vault_root)),
    };
    disk::replace(
        &path,
        toml::to_string(&registration)
            .unwrap_or_default()
            .as_bytes(),
    )
}

/// The vault that the registry names for a repository, if any; not yet opened.
#[must_use]
pub fn registered(home: &Path, git_dir: &Path) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    let bytes = disk::read_bounded(&registration_path(home, git_dir), LIMIT_BYTES).ok()?;
    let registration: Registration = toml::from_str(std::str::from_utf8(&bytes).ok()?).ok()?;
    let path = PathBuf::from(std::ffi::OsString::from_vec(name_from_text(
        &registration.vault,
    )?));
    (registration.git_dir == text_name(path_bytes(git_dir))).then_some(path)
}

/// The repositories that are registered in a vault home, and the files that cannot be understood.
///
/// # Errors
/// When the registry is there and cannot be listed.
pub fn all_registered(home: &Path) -> disk::Result<(Vec<PathBuf>, Vec<PathBuf>)> {
    let directory = home.join("registry");
    let names = match disk::list(&directory) {
        Err(error) if error.is_nowhere() => return Ok((Vec::new(), Vec::new())),
        names => names?,
    };
    let (mut found, mut strange) = (Vec::new(), Vec::new());
    for path in names.into_iter().map(|name| directory.join(name)) {
        if path.extension().is_none_or(|ending| ending != "toml") {
            continue;
        }
        let bytes = disk::read_bounded(&path, LIMIT_BYTES);
        match bytes.ok().and_then(|bytes| git_dir_in(&bytes)) {
            Some(git_dir) if registration_path(home, &git_dir) == path => found.push(git_dir),
            Some(_) | None => strange.push(path),
        }
    }
    Ok((found, strange))
}

fn git_dir_in(registration: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    let registration: Registration =
        toml::from_str(std::str::from_utf8(registration).ok()?).ok()?;
    let git_dir = name_from_text(&registration.git_dir)?;
    Some(PathBuf::from(std::ffi::OsString::from_vec(git_dir)))
}

/// Where the vault that a vault home knows for the same repository lies, if it says that it is this very vault.
#[must_use]
pub fn in_use(home: &Path, vault: &Vault) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStringExt as _;
    let attachment = vault.log.attachment.as_ref()?;
    let git_dir = PathBuf::from(std::ffi::OsString::from_vec(name_from_text(
        &attachment.git_dir,
    )?));
    let root = registered(home, &git_dir)?;
    let description = disk::read_bounded(&Layout::new(&root).vault_toml(), LIMIT_BYTES).ok()?;
    let line = format!("\nvault = \"{}\"\n", vault.binding.vault);
    contains(&description, line.as_bytes()).then_some(root)
}

/// What can be said, without proof, of the vault that a new one shall continue: its key may be lost, its log be damaged.
#[must_use]
pub fn predecessor(home: &Path, git_dir: &Path) -> Option<Predecessor> {
    let root = registered(home, git_dir)?;
    let log = Layout::new(&root).log();
    let names = disk::list(&log).ok()?;
    let newest = disk::read_bounded(&log.join(names.last()?), LIMIT_BYTES).ok()?;
    Some(Predecessor {
        path: text_name(path_bytes(&root)),
        entries: names.len() as u64,
        newest_blake3: Digest::of(&newest),
    })
}

/// Finds the vault of a repository: the registered one, else one in the vault home that says it is attached to this path,
/// else one whose repository is gone from its path and whose root commits are in this one. `has_commit` answers whether the
/// repository has a commit; `open` says how vaults are opened.
///
/// # Errors
/// When the vault found cannot be opened, or several could be meant.
pub fn find(
    home: &Path,
    git_dir: &Path,
    has_commit: &dyn Fn(&ObjectId) -> bool,
    open: &dyn Fn(&Path) -> Result<Vault>,
) -> Result<Option<FoundVault>> {
    if let Some(root) = registered(home, git_dir) {
        let vault = open(&root)?;
        if is_attached_to(&vault.log, git_dir) {
            return Ok(Some(FoundVault {
                vault,
                moved_from: None,
            }));
        }
    }
    let mut moved = Vec::new();
    for root in vaults_in(home)? {
        let vault = match open(&root) {
            Ok(vault) => vault,
            // Another's broken vault is no reason to refuse; this repository's own is, and must not be passed over.
            Err(refusal) if claims(&root, git_dir) => return Err(refusal),
            Err(_) => continue,
        };
        if is_attached_to(&vault.log, git_dir) {
            return Ok(Some(FoundVault {
                vault,
                moved_from: None,
            }));
        }
        if let Some(from) = has_moved_here(&vault.log, has_commit) {
            moved.push(FoundVault {
                vault,
                moved_from: Some(from),
            });
        }
    }
    if moved.len() > 1 {
        return Err(several(&moved));
    }
    Ok(moved.pop())
}

fn several(found: &[FoundVault]) -> Refusal {
    let first =
        "several vaults could belong to this repository, which is not where any of them knows it";
    let refusal = Refusal::new(RefusalCode::VaultOfAnotherRepository, first);
    found.iter().fold(refusal, |refusal, found| {
        let root = found.vault.layout.root();
        refusal
            .because(format!(
                "'{}' was attached to '{}'",
                root.display(),
                found.moved_from.as_deref().unwrap_or_default()
            ))
            .next(
                format!("git vault --vault {} snapshot", shell_word(root)),
                "uses this one from now on",
            )
    })
}

/// Whether a vault that cannot be opened says, without proof, that it is attached to this common git directory.
fn claims(root: &Path, git_dir: &Path) -> bool {
    let line = format!(
        "git_dir = {}\n",
        toml::Value::String(text_name(path_bytes(git_dir)))
    );
    let log = Layout::new(root).log();
    let entries = match disk::list(&log) {
        Ok(entries) => entries,
        // A vault that was never finished has no log; one whose log cannot be looked at may be this repository's.
        Err(error) => return !error.is_not_found(),
    };
    entries.into_iter().any(
        |name| match disk::read_bounded(&log.join(name), LIMIT_BYTES) {
            Ok(bytes) => contains(&bytes, line.as_bytes()),
            Err(_) => true,
        },
    )
}

fn contains(bytes: &[u8], wanted: &[u8]) -> bool {
    bytes.windows(wanted.len()).any(|window| window == wanted)
}

/// The vaults in a vault home.
fn vaults_in(home: &Path) -> Result<Vec<PathBuf>> {
    match disk::list(home) {
        Ok(names) => Ok(names
            .into_iter()
            .map(|name| home.join(name))
            .filter(|path| is_vault_name(path))
            .collect()),
        Err(error) if error.is_not_found() => Ok(Vec::new()),
        Err(error) => Err(error.refuse_vault_read()),
    }
}

/// The vaults in a vault home that are not those of repositories which are where the registry has them: what they belong to may have
/// moved, or the registry was lost.
///
/// # Errors
/// When the vault home cannot be listed.
pub fn unplaced(home: &Path) -> Result<Vec<PathBuf>> {
    let registered_dirs = all_registered(home).map_err(|error| error.refuse_vault_read())?;
    let is_there = |git_dir: &PathBuf| std::fs::symlink_metadata(git_dir).is_ok();
    let known: Vec<PathBuf> = registered_dirs
        .0
        .iter()
        .filter(|git_dir| is_there(git_dir))
        .filter_map(|git_dir| registered(home, git_dir))
        .collect();
    let mut vaults = vaults_in(home)?;
    vaults.retain(|root| !known.contains(root));
    Ok(vaults)
}

fn is_vault_name(path: &Path) -> bool {
    path.extension()
        .is_some_and(|extension| extension == "vault")
}

/// Whether the log says that the vault is attached to this common git directory.
#[must_use]
pub fn is_attached_to(log: &Log, git_dir: &Path) -> bool {
    log.attachment
        .as_ref()
        .is_some_and(|attachment| attachment.git_dir == text_name(path_bytes(git_dir)))
}

/// The old path, when nothing is there any more and the repository at hand has the vault's root commits.
#[must_use]
pub fn has_moved_here(log: &Log, has_commit: &dyn Fn(&ObjectId) -> bool) -> Option<String> {
    use std::os::unix::ffi::OsStringExt as _;
    let attachment = log.attachment.as_ref()?;
    let old = PathBuf::from(std::ffi::OsString::from_vec(name_from_text(
        &attachment.git_dir,
    )?));
    let is_gone = std::fs::symlink_metadata(&old).is_err_and(|error| {
        error.kind() == std::io::ErrorKind::NotFound
            || error.kind() == std::io::ErrorKind::NotADirectory
    });
    let mut roots = attachment
        .root_commits
        .iter()
        .filter_map(|hex| ObjectId::from_hex(hex.as_bytes()))
        .peekable();
    // The cheaper question first.
    let is_here = is_gone && roots.peek().is_some() && roots.all(|root| has_commit(&root));
    is_here.then(|| attachment.git_dir.clone())
}

/// Notes in the log that the vault now belongs to the repository at another path, or that its root commits are known.
///
/// # Errors
/// When the log cannot be written.
pub fn attach(
    vault: &mut Vault,
    git_dir: &Path,
    root_commits: Vec<String>,
    at: Timestamp,
) -> Result<()> {
    let attachment = Attachment {
        git_dir: text_name(path_bytes(git_dir)),
        root_commits,
    };
    vault.append(&LogEvent::Attach(attachment), at)?;
    Ok(())
}

/// What creating a vault made.
pub struct CreatedVault {
    /// The vault.
    pub vault: Vault,
    /// The key file: the only copy.
    pub key_file: PathBuf,
}

/// Creates a vault for a repository at `root`, which must not exist, with a key of its own, perhaps in place of an older vault.
///
/// # Errors
/// When the place is unsuitable or something cannot be written.
pub fn create(
    root: &Path,
    repository: &Repository,
    homes: &Homes,
    predecessor: Option<Predecessor>,
    at: Timestamp,
) -> Result<CreatedVault> {
    check_place(root, repository, homes)?;
    let no_random = || {
        Refusal::new(RefusalCode::Internal, "the system gives no random bytes")
            .because("without them a new vault would have no name of its own")
    };
    let vault_id = VaultId::from_bytes(random_bytes().ok_or_else(no_random)?);
    let repository_id = RepositoryId::from_bytes(random_bytes().ok_or_else(no_random)?);
    let binding = Binding {
        vault: vault_id,
        repository: repository_id,
    };
    let (key, key_file) = keys::create(&homes.keys, vault_id, at)?;
    let description = Description {
        format: FORMAT,
        vault: vault_id,
        repository: repository_id,
        object_format: repository.format.word().to_owned(),
        created: at,
        tool: TOOL.to_owned(),
        head_blake3: Digest::of(layout::HEAD.as_bytes()),
        config_blake3: Digest::of(layout::config(repository.format).as_bytes()),
        vault_md_blake3: Digest::of(layout::VAULT_MD.as_bytes()),
    };
    let body = toml::to_string(&description).unwrap_or_default();
    let signed = signed::sign(&body, Purpose::Vault, binding, &key).map_err(|error| {
        Refusal::new(RefusalCode::Internal, "the vault cannot be signed").because(error.to_string())
    })?;
    let layout = Layout::new(root);
    write_skeleton(&layout, repository.format, &signed)
        .map_err(|error| error.refuse_vault_write())?;
    let attachment = Attachment {
        git_dir: text_name(path_bytes(&repository.git_dir)),
        root_commits: Vec::new(),
    };
    let source = KeySource::new(homes.keys.clone(), vault_id, &[]);
    let genesis = LogEvent::Genesis(attachment, predecessor);
    Log::new(source, Arc::new(key)).append(&layout, binding, &genesis, at)?;
    let vault = Vault::open(root, homes)?;
    last_seen::remember(&homes.state, vault_id, &vault.log)
        .map_err(|error| error.refuse_vault_write())?;
    Ok(CreatedVault { vault, key_file })
}

fn unsuitable(what: String, fact: String) -> Refusal {
    Refusal::new(RefusalCode::VaultPlaceUnsuitable, what)
        .because(fact)
        .keeping("nothing was touched")
        .next(
            "git config --global vault.home /another/place",
            "chooses where vaults are kept",
        )
        .next(
            "export XDG_CONFIG_HOME=/another/place XDG_STATE_HOME=/a/third",
            "chooses where keys and states are kept",
        )
}

/// Refuses places inside the repository: what is kept there would be captured, and be lost with it.
///
/// # Errors
/// [`RefusalCode::VaultPlaceUnsuitable`].
pub fn check_outside(repository: &Repository, places: &[(&Path, &str)]) -> Result<()> {
    let protected = [repository.worktree.as_ref(), Some(&repository.git_dir)];
    for (place, what) in places {
        let real = real_path(place);
        if real
            .components()
            .any(|part| matches!(part, std::path::Component::ParentDir))
        {
            return Err(unsuitable(
                format!("it is not clear where {what} would lie"),
                format!(
                    "'{}' goes up from a directory that does not exist",
                    place.display()
                ),
            ));
        }
        for protected in protected.into_iter().flatten() {
            if real.starts_with(protected) {
                return Err(unsuitable(
                    format!("{what} would lie inside the repository it protects"),
                    format!("'{}' is in '{}'", place.display(), protected.display()),
                ));
            }
        }
    }
    Ok(())
}

/// A vault is made anew, outside what it protects.
fn check_place(root: &Path, repository: &Repository, homes: &Homes) -> Result<()> {
    if root.symlink_metadata().is_ok() {
        return Err(unsuitable(
            format!("there is something at '{}'", root.display()),
            "a vault is made anew".to_owned(),
        ));
    }
    check_outside(repository, &[(root, "the vault"), (&homes.keys, "the key")])
}

/// The path with links resolved as far as it exists.
#[must_use]
pub fn real_path(path: &Path) -> PathBuf {
    match (std::fs::canonicalize(path), path.parent(), path.file_name()) {
        (Ok(real), _, _) => real,
        (Err(_), Some(parent), Some(name)) => real_path(parent).join(name),
        (Err(_), _, _) => path.to_owned(),
    }
}

fn write_skeleton(layout: &Layout, format: ObjectFormat, description: &[u8]) -> disk::Result<()> {
    let root = layout.root();
    if let Some(parent) = root.parent() {
        disk::create_directories(parent)?;
    }
    disk::create_directory(root)?;
    for name in layout::DIRECTORIES.iter().chain(&["cache"]) {
        disk::create_directory(&root.join(name))?;
    }
    disk::write_new(&root.join("HEAD"), layout::HEAD.as_bytes())?;
    disk::write_new(&root.join("config"), layout::config(format).as_bytes())?;
    disk::write_new(&root.join("VAULT.md"), layout::VAULT_MD.as_bytes())?;
    disk::write_new(&layout.vault_toml(), description)?;
    for name in ["objects", "refs"] {
        disk::sync_directory(&root.join(name))?;
    }
    disk::sync_directory(root)?;
    root.parent().map_or(Ok(()), disk::sync_directory)
}

/// The place of a new vault in the vault home: named after the repository, made unique by a random part.
#[must_use]
pub fn new_vault_root(home: &Path, repository: &Repository) -> PathBuf {
    let base = repository.worktree.as_ref().unwrap_or(&repository.git_dir);
    let name = base.file_name().unwrap_or_default().to_string_lossy();
    let name = name.strip_suffix(".git").unwrap_or(&name);
    let plain =
        |character: char| character.is_ascii_alphanumeric() || matches!(character, '-' | '_' | '.');
    let name: String = name
        .chars()
        .map(|character| if plain(character) { character } else { '-' })
        .take(60)
        .collect();
    let name = name.trim_start_matches(['.', '-']);
    let name = if name.is_empty() { "repository" } else { name };
    let random: [u8; 3] = random_bytes().unwrap_or_default();
    home.join(format!("{name}-{}.vault", to_hex(&random)))
}
