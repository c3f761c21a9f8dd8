//! Finds the repository and the vault that a command is about.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::host::git::error::Error as GitError;
use crate::host::git::object::ObjectId;
use crate::host::git::repository::{self, Lookup, OpenError, Repository};
use crate::host::git::stores::{Known, Stores};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::signed::SigningKey;
use crate::model::timestamp::Timestamp;
use crate::vault::inspect::{self, Homes, Vault};
use crate::vault::registry::{self, FoundVault};

/// What every command knows: where it was given, and where things are kept on this machine.
#[derive(Debug, Clone)]
pub struct Workplace {
    /// Where a repository is looked for.
    pub lookup: Lookup,
    /// The vault named on the command line.
    pub vault: Option<PathBuf>,
    /// The vault home, unless the repository's settings name another.
    pub vault_home: PathBuf,
    /// Where keys and last-seen states are kept.
    pub homes: Homes,
    /// The current directory of the process.
    pub current: PathBuf,
    /// The time of the command.
    pub now: Timestamp,
    /// Gives the time zone of whoever asks; called when something is said or named in it.
    pub zone: fn() -> jiff::tz::TimeZone,
}

impl Workplace {
    /// The repository here.
    ///
    /// # Errors
    /// When there is none or it cannot be opened.
    pub fn repository(&self) -> Result<Repository> {
        repository::discover(&self.lookup).map_err(|error| refuse_open(&error, &self.lookup.start))
    }

    /// The vault home in force for a repository.
    #[must_use]
    pub fn home_of(&self, repository: &Repository) -> PathBuf {
        repository
            .settings
            .vault_home
            .clone()
            .unwrap_or_else(|| self.vault_home.clone())
    }

    /// The vault named, or that of the repository here; needs no repository when a vault is named.
    ///
    /// # Errors
    /// When there is none, or it cannot be opened.
    pub fn existing_vault(&self) -> Result<Vault> {
        self.existing_vault_by(&|root| Vault::open(root, &self.homes))
    }

    /// The same, even if it is older than, or another than, what this machine has seen: see [`Vault::open_even_stale`].
    ///
    /// # Errors
    /// When there is none, or it cannot be opened.
    pub fn existing_vault_even_stale(&self) -> Result<Vault> {
        self.existing_vault_by(&|root| Vault::open_even_stale(root, &self.homes))
    }

    /// The same, with keys that are at hand but not stored on this machine.
    ///
    /// # Errors
    /// When there is none, or it cannot be opened.
    pub fn existing_vault_with(&self, brought: &[Arc<SigningKey>]) -> Result<Vault> {
        self.existing_vault_by(&|root| Vault::open_brought(root, &self.homes, brought))
    }

    /// Refuses a vault that was named and is a copy of the one in use: what is written to it would make that one seem to be an
    /// older copy.
    ///
    /// # Errors
    /// [`RefusalCode::VaultPlaceUnsuitable`].
    pub fn check_in_use(&self, vault: &Vault) -> Result<()> {
        let Some(named) = &self.vault else {
            return Ok(());
        };
        let homes = self
            .repository()
            .map(|repository| self.home_of(&repository));
        let in_use = homes
            .ok()
            .iter()
            .chain([&self.vault_home])
            .find_map(|home| registry::in_use(home, vault));
        match in_use {
            Some(root) if registry::real_path(&root) != registry::real_path(named) => {
                Err(Refusal::new(
                    RefusalCode::VaultPlaceUnsuitable,
                    format!("'{}' is a copy of the vault in use", named.display()),
                )
                .because(format!("the one in use is '{}'", root.display()))
                .because("with one more log entry here, that one would seem to be an older copy")
                .keeping("nothing was touched"))
            }
            _ => Ok(()),
        }
    }

    fn existing_vault_by(&self, open: &dyn Fn(&Path) -> Result<Vault>) -> Result<Vault> {
        if let Some(root) = &self.vault {
            return open(root);
        }
        let repository = self.repository()?;
        match self.find_attached_by(&repository, open)? {
            Some(found) => Ok(found.vault),
            None => Err(no_vault_yet(&repository)),
        }
    }

    /// Where the vault named, or that of the repository here, should be; nothing in it has been looked at.
    ///
    /// # Errors
    /// When no vault is named, and none is registered for the repository here.
    pub fn vault_root(&self) -> Result<PathBuf> {
        if let Some(root) = &self.vault {
            return Ok(root.clone());
        }
        let repository = self.repository()?;
        registry::registered(&self.home_of(&repository), &repository.git_dir)
            .ok_or_else(|| no_vault_yet(&repository))
    }

    /// The vault of a repository in its vault home, whatever vault is named.
    ///
    /// # Errors
    /// When the one found cannot be opened.
    pub fn find_attached(&self, repository: &Repository) -> Result<Option<FoundVault>> {
        self.find_attached_by(repository, &|root| Vault::open(root, &self.homes))
    }

    fn find_attached_by(
        &self,
        repository: &Repository,
        open: &dyn Fn(&Path) -> Result<Vault>,
    ) -> Result<Option<FoundVault>> {
        let home = self.home_of(repository);
        let has_commit = has_commit_in(repository);
        registry::find(&home, &repository.git_dir, &has_commit, open)
    }

    /// The vault of a repository: the one named, which must be its own, or the one found.
    ///
    /// # Errors
    /// When the one named is another's, or the one found cannot be opened.
    pub fn find_vault(&self, repository: &Repository) -> Result<Option<FoundVault>> {
        self.find_vault_by(repository, &|root| Vault::open(root, &self.homes))
    }

    /// The same for another snapshot: see [`Vault::open_known`].
    ///
    /// # Errors
    /// As [`Workplace::find_vault`].
    pub fn find_known_vault(&self, repository: &Repository) -> Result<Option<FoundVault>> {
        self.find_vault_by(repository, &|root| Vault::open_known(root, &self.homes))
    }

    fn find_vault_by(
        &self,
        repository: &Repository,
        open: &dyn Fn(&Path) -> Result<Vault>,
    ) -> Result<Option<FoundVault>> {
        let has_commit = has_commit_in(repository);
        let Some(root) = &self.vault else {
            return self.find_attached_by(repository, open);
        };
        if !inspect::looks_like_vault(root) {
            return Err(inspect::no_vault(root));
        }
        let vault = open(root)?;
        if registry::is_attached_to(&vault.log, &repository.git_dir) {
            return Ok(Some(FoundVault {
                vault,
                moved_from: None,
            }));
        }
        match registry::has_moved_here(&vault.log, &has_commit) {
            Some(from) => Ok(Some(FoundVault {
                vault,
                moved_from: Some(from),
            })),
            None => Err(of_another(&vault, repository)),
        }
    }
}

/// Answers whether a repository holds a commit.
pub(super) fn has_commit_in(repository: &Repository) -> impl Fn(&ObjectId) -> bool {
    let (objects, format) = (repository.git_dir.join("objects"), repository.format);
    move |id| {
        Stores::open(&objects, format, false, Known::NOTHING)
            .is_ok_and(|stores| stores.contains(id))
    }
}

/// Says that a vault belongs to another repository.
#[must_use]
pub fn of_another(vault: &Vault, repository: &Repository) -> Refusal {
    let attached = vault
        .log
        .attachment
        .as_ref()
        .map_or("", |attachment| &attachment.git_dir);
    Refusal::new(
        RefusalCode::VaultOfAnotherRepository,
        "the vault belongs to another repository",
    )
    .because(format!(
        "'{}' is attached to '{attached}'",
        vault.layout.root().display()
    ))
    .because(format!(
        "this repository is '{}'",
        repository.git_dir.display()
    ))
    .keeping("nothing was touched")
    .next(
        "git vault snapshot",
        "without --vault: finds or makes the vault of this repository",
    )
}

/// Says that a repository has no vault.
#[must_use]
pub fn no_vault_yet(repository: &Repository) -> Refusal {
    Refusal::new(
        RefusalCode::VaultNotFound,
        "this repository has no vault yet",
    )
    .because(format!(
        "none is attached to '{}'",
        repository.git_dir.display()
    ))
    .keeping("nothing was touched")
    .next(
        "git vault snapshot",
        "makes one, and a first snapshot in it",
    )
}

/// Turns a repository that cannot be used into a refusal.
#[must_use]
pub fn refuse_open(error: &OpenError, start: &Path) -> Refusal {
    match error {
        OpenError::NotFound => Refusal::new(
            RefusalCode::NotARepository,
            "there is no git repository here",
        )
        .because(format!(
            "none was found in '{}' or above it",
            start.display()
        ))
        .keeping("nothing was touched")
        .next(
            "git vault -C /path/to/repository snapshot",
            "names the repository",
        ),
        OpenError::OtherOwner(reason) => Refusal::new(
            RefusalCode::SourceOwner,
            "the repository belongs to another user",
        )
        .because(reason.clone()),
        OpenError::FormatUnknown(reason) => Refusal::new(
            RefusalCode::SourceFormatUnknown,
            "format or configuration of the repository cannot be understood",
        )
        .because(reason.clone())
        .next(
            "git config --file .git/config --list",
            "shows the settings of the repository, in its top directory",
        ),
        OpenError::NotSupported(what, reason) => Refusal::new(
            RefusalCode::SourceNotSupported,
            format!("this version cannot capture this whole: {what}"),
        )
        .because(reason.clone())
        .because("a snapshot that silently lacks something would be worse than none"),
        OpenError::Misplaced(found) => {
            let (command, purpose) = &found.next;
            Refusal::new(RefusalCode::SourceNotSupported, found.what)
                .because(found.reason.clone())
                .because("what is in the working tree would not be captured")
                .keeping("nothing was touched")
                .next(command.as_str(), *purpose)
        }
        OpenError::Setting(reason) => {
            Refusal::new(RefusalCode::SettingInvalid, "a setting makes no sense")
                .because(reason.clone())
        }
        OpenError::Disk(error) => error.refuse(RefusalCode::SourceUnreadable),
    }
}

/// Turns an error met while reading the source's objects into a refusal.
#[must_use]
pub fn refuse_source_objects(error: &GitError) -> Refusal {
    match error {
        GitError::Disk(error) => error.refuse(RefusalCode::SourceUnreadable),
        GitError::Damaged { path, reason } => Refusal::new(
            RefusalCode::SourceObjectDamaged,
            format!("'{}' is damaged", path.display()),
        )
        .because(reason.clone())
        .next(
            "git fsck --full",
            "names every damaged object of the repository",
        ),
        GitError::Missing(id) => Refusal::new(
            RefusalCode::SourceObjectMissing,
            format!("object {id} is not in the repository"),
        )
        .next(
            "git fsck --full",
            "names every missing object of the repository",
        ),
        GitError::Limit(what) => Refusal::new(
            RefusalCode::SourceNotSupported,
            "the repository exceeds a limit",
        )
        .because((*what).to_owned()),
    }
}
