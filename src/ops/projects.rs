//! `git vault scan`: the projects below folders by what could be lost of them. Nothing of a repository is run or written.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use crate::host::git::repository::Repository;
use crate::host::parallel;
use crate::host::projects::{self, Kind};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::timestamp::Timestamp;
use crate::ops::locate::{Workplace, has_commit_in};
use crate::ops::loose_ends::{Upstream, changed, is_elsewhere, upstream};
use crate::ops::since::{look, work_in};
use crate::vault::inspect::Vault;
use crate::vault::reader::trust;
use crate::vault::registry::{self, real_path};

/// How much could be lost, the worst first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Risk {
    /// It was never captured, and something in it is nowhere else.
    Never,
    /// No version control at all.
    NoGit,
    /// It cannot be looked at: then it could not be captured, either.
    Refused,
    /// There is work that is newer than the newest snapshot.
    Stale,
    /// It was never captured; all that was found in it is on a remote.
    Clean,
    /// All is captured, and something is on no remote: it is on this machine only.
    Local,
    /// All is captured, and on a remote.
    Safe,
}

impl Risk {
    /// The word for it.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::NoGit => "no-git",
            Self::Refused => "refused",
            Self::Stale => "stale",
            Self::Clean => "clean",
            Self::Local => "local",
            Self::Safe => "safe",
        }
    }

    /// Whether a slip of the hand could lose something.
    #[must_use]
    pub fn is_risk(self) -> bool {
        match self {
            Self::Never | Self::NoGit | Self::Refused | Self::Stale => true,
            Self::Clean | Self::Local | Self::Safe => false,
        }
    }
}

/// One project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Where it is.
    pub path: PathBuf,
    /// What it is.
    pub kind: Kind,
    /// How much could be lost.
    pub risk: Risk,
    /// Its common git directory.
    pub git_dir: Option<PathBuf>,
    /// Its vault.
    pub vault: Option<PathBuf>,
    /// When its newest snapshot was sealed.
    pub newest: Option<Timestamp>,
    /// Files that changed: since that snapshot, or against the last commit where there is none.
    pub changed: u64,
    /// Whether the git directory changed since that snapshot.
    pub git_changed: bool,
    /// What its remotes do not have.
    pub upstream: Upstream,
    /// Why it cannot be looked at.
    pub trouble: Option<Refusal>,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ScanReport {
    /// Where it was looked.
    pub directories: Vec<PathBuf>,
    /// All projects, the worst first.
    pub projects: Vec<Project>,
    /// How many directories were looked into.
    pub looked_into: u64,
    /// What could not be looked into, with the reason.
    pub unseen: Vec<(PathBuf, String)>,
    /// Whether something lay deeper than was looked.
    pub is_cut: bool,
    /// When this was asked.
    pub now: Timestamp,
}

impl ScanReport {
    /// Whether something could be lost.
    #[must_use]
    pub fn is_any_at_risk(&self) -> bool {
        self.projects.iter().any(|project| project.risk.is_risk())
    }
}

/// Looks for projects below directories, so many directories deep.
///
/// # Errors
/// When one of them is no directory.
pub fn scan(workplace: &Workplace, directories: &[PathBuf], depth: usize) -> Result<ScanReport> {
    let mut found: BTreeMap<PathBuf, Kind> = BTreeMap::new();
    let mut report = ScanReport {
        directories: Vec::new(),
        projects: Vec::new(),
        looked_into: 0,
        unseen: Vec::new(),
        is_cut: false,
        now: workplace.now,
    };
    for directory in directories {
        let real = std::fs::canonicalize(directory)
            .ok()
            .filter(|real| real.is_dir())
            .ok_or_else(|| no_directory(directory))?;
        report.directories.push(real.clone());
        if let Some(around) = repository_around(&real) {
            found.insert(around, Kind::Repository);
            continue;
        }
        let below = projects::find(&real, depth);
        report.looked_into += below.directories;
        report.unseen.extend(below.unseen);
        report.is_cut |= below.is_cut;
        found.extend(below.projects);
    }
    let mut scan = Scan {
        workplace,
        unplaced: Mutex::default(),
        guessed: Some(Mutex::default()),
    };
    let found: Vec<(PathBuf, Kind)> = found.into_iter().collect();
    report.projects = scan.look_at(&found);
    let guessed = scan.guessed.take().map(Mutex::into_inner);
    let mut guessed = guessed
        .map(|guessed| guessed.unwrap_or_else(PoisonError::into_inner))
        .unwrap_or_default();
    guessed.retain(|_, git_dirs| git_dirs.len() > 1);
    // Of several that one vault could be of, none is known to be captured.
    let is_doubtful = |project: &Project| {
        let known = project.vault.as_ref().zip(project.git_dir.as_ref());
        known.is_some_and(|(vault, git_dir)| {
            let git_dirs = guessed.get(vault);
            git_dirs.is_some_and(|git_dirs| git_dirs.contains(git_dir))
        })
    };
    let (doubtful, sure): (Vec<Project>, Vec<Project>) =
        report.projects.into_iter().partition(is_doubtful);
    report.projects = sure;
    let again: Vec<(PathBuf, Kind)> = doubtful
        .into_iter()
        .map(|project| (project.path, project.kind))
        .collect();
    report.projects.extend(scan.look_at(&again));
    leave_each_once(&mut report.projects);
    report.projects.sort_by(|left, right| {
        let amount = |one: &Project| one.changed + one.upstream.unpushed.commits;
        let by_risk = left.risk.cmp(&right.risk);
        let by_amount = amount(right).cmp(&amount(left));
        by_risk.then(by_amount).then(left.path.cmp(&right.path))
    });
    Ok(report)
}

/// A linked worktree is part of the repository that it belongs to, wherever it lies.
fn leave_each_once(projects: &mut Vec<Project>) {
    let is_main = |project: &Project| {
        let git_dir = project.git_dir.as_deref();
        git_dir.is_some_and(|git_dir| git_dir.starts_with(&project.path))
    };
    projects.sort_by(|left, right| {
        let main_first = is_main(right).cmp(&is_main(left));
        main_first.then(left.path.cmp(&right.path))
    });
    let mut seen = BTreeSet::new();
    projects.retain(|project| match &project.git_dir {
        Some(git_dir) => seen.insert(git_dir.clone()),
        None => true,
    });
}

fn no_directory(path: &Path) -> Refusal {
    Refusal::new(
        RefusalCode::SettingInvalid,
        format!("'{}' is no directory", path.display()),
    )
    .keeping("nothing was touched")
    .next("git vault scan", "looks in the current directory")
}

/// The repository whose working tree a directory lies in: then it is all that there is to look at.
fn repository_around(directory: &Path) -> Option<PathBuf> {
    let mut above = directory.ancestors();
    let found = above.find(|above| above.join(".git").symlink_metadata().is_ok());
    found.map(Path::to_owned)
}

/// Vaults whose repositories are not where they were, opened once.
type Unplaced = Arc<Vec<Vault>>;

struct Scan<'a> {
    workplace: &'a Workplace,
    unplaced: Mutex<BTreeMap<PathBuf, Unplaced>>,
    /// The repositories that seem to be the one that a vault is of, which has moved; absent where that is not asked.
    guessed: Option<Mutex<Guessed>>,
}

/// Git directories by vault.
type Guessed = BTreeMap<PathBuf, BTreeSet<PathBuf>>;

impl Scan<'_> {
    fn look_at(&self, found: &[(PathBuf, Kind)]) -> Vec<Project> {
        let projects = Mutex::new(Vec::with_capacity(found.len()));
        let each = |(path, kind): &(PathBuf, Kind)| -> std::result::Result<(), ()> {
            let project = self.look(path, kind);
            if let Ok(mut projects) = projects.lock() {
                projects.push(project);
            }
            Ok(())
        };
        // Nothing is refused for the whole of them.
        let _infallible = parallel::for_each(found, each);
        projects
            .into_inner()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn look(&self, path: &Path, kind: &Kind) -> Project {
        let mut project = Project {
            path: path.to_owned(),
            kind: kind.clone(),
            risk: Risk::NoGit,
            git_dir: None,
            vault: None,
            newest: None,
            changed: 0,
            git_changed: false,
            upstream: Upstream::default(),
            trouble: None,
        };
        if let Kind::Folder(_) = kind {
            return project;
        }
        project.risk = match self.fill(&mut project) {
            Ok(()) => risk(&project),
            Err(refusal) => {
                project.trouble = Some(refusal);
                Risk::Refused
            }
        };
        project
    }

    fn fill(&self, project: &mut Project) -> Result<()> {
        let mut workplace = self.workplace.clone();
        workplace.lookup.start.clone_from(&project.path);
        let repository = workplace.repository()?;
        if !is_of(&project.path, &repository) {
            return Err(Refusal::new(
                RefusalCode::NotARepository,
                "its .git is no repository",
            ));
        }
        project.git_dir = Some(repository.git_dir.clone());
        let vault = self.vault_of(&workplace, &repository)?;
        let vault = vault.as_ref().and_then(Held::vault);
        project.vault = vault.map(|vault| vault.layout.root().to_owned());
        let newest = vault.and_then(|vault| Some((vault, vault.log.accepted().next_back()?)));
        let lookup = &workplace.lookup;
        let workspace = if let Some((vault, newest)) = newest {
            project.newest = Some(newest.time);
            let trusted = trust(vault, newest)?;
            let look = look(vault, &repository, lookup)?;
            let work = work_in(vault, &look, &trusted)?;
            project.changed = work.changed;
            project.git_changed = work.git_changed;
            look.metadata.workspace
        } else {
            let (changed, workspace) = changed(&repository, lookup)?;
            project.changed = changed;
            workspace
        };
        project.upstream = upstream(&workspace)?;
        Ok(())
    }

    /// The vault of a repository, if it has one. As `snapshot` finds it, but each vault is opened once for all repositories.
    fn vault_of(&self, workplace: &Workplace, repository: &Repository) -> Result<Option<Held>> {
        let home = workplace.home_of(repository);
        if let Some(root) = registry::registered(&home, &repository.git_dir) {
            let vault = Vault::open(&root, &workplace.homes)?;
            if registry::is_attached_to(&vault.log, &repository.git_dir) {
                return Ok(Some(Held::Own(Box::new(vault))));
            }
        }
        let unplaced = self.unplaced(&home)?;
        let has_commit = has_commit_in(repository);
        let git_dir = &repository.git_dir;
        let own = unplaced
            .iter()
            .position(|vault| registry::is_attached_to(&vault.log, git_dir));
        let place = own.or_else(|| {
            let guessed = self.guessed.as_ref()?;
            let place = unplaced
                .iter()
                .position(|vault| registry::has_moved_here(&vault.log, &has_commit).is_some())?;
            let root = unplaced.get(place)?.layout.root().to_owned();
            let mut guessed = guessed.lock().unwrap_or_else(PoisonError::into_inner);
            guessed.entry(root).or_default().insert(git_dir.clone());
            drop(guessed);
            Some(place)
        });
        Ok(place.map(|place| Held::Shared(unplaced, place)))
    }

    fn unplaced(&self, home: &Path) -> Result<Unplaced> {
        let mut known = self.unplaced.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(unplaced) = known.get(home) {
            return Ok(Arc::clone(unplaced));
        }
        let roots = registry::unplaced(home)?;
        let homes = &self.workplace.homes;
        // One that cannot be opened is nobody's as far as can be said.
        let opened = roots
            .iter()
            .filter_map(|root| Vault::open(root, homes).ok());
        let unplaced = Arc::new(opened.collect::<Vec<_>>());
        known.insert(home.to_owned(), Arc::clone(&unplaced));
        Ok(unplaced)
    }
}

/// A vault that was opened for one repository, or one of those that were opened for all.
enum Held {
    Own(Box<Vault>),
    Shared(Unplaced, usize),
}

impl Held {
    fn vault(&self) -> Option<&Vault> {
        match self {
            Self::Own(vault) => Some(vault),
            Self::Shared(all, place) => all.get(*place),
        }
    }
}

/// Whether the repository is the one that was found at a path, and not one around it.
fn is_of(path: &Path, repository: &Repository) -> bool {
    let path = real_path(path);
    let is_its_own = repository.worktree.as_deref() == Some(&path) || repository.git_dir == path;
    // A `.git` file leads to where the repository is.
    is_its_own || path.join(".git").is_file() || repository.git_dir.starts_with(&path)
}

fn risk(project: &Project) -> Risk {
    let upstream = &project.upstream;
    let is_pushed = is_elsewhere(upstream);
    let has_any = upstream.has_commits || upstream.inside > 0;
    match project.newest {
        None if project.changed > 0 || (!is_pushed && has_any) => Risk::Never,
        None => Risk::Clean,
        Some(_) if project.changed > 0 || project.git_changed => Risk::Stale,
        Some(_) if is_pushed => Risk::Safe,
        Some(_) => Risk::Local,
    }
}
