//! Which repositories and working trees make up a workspace, as their git directories and `.git` files say: the main
//! repository, submodules, repositories inside a working tree, linked worktrees.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use crate::host::disk;
use crate::host::git::gitfile;
use crate::host::git::ref_files::is_git_dir;
use crate::host::git::repository::{self, Lookup, OpenError, Repository, Settings};
use crate::host::walk::path_bytes;
use crate::model::place::{Place, Spot};
use crate::model::refusal::Refusal;
use crate::model::refusal_code::RefusalCode;
use crate::ops::capture::CaptureError;
use crate::ops::git_dirs::{find_git_dirs, tracked};
use crate::ops::gitdir_scan::may_leave_out;
use crate::ops::links::{Link, Stated, links_of, lost, moved, names, shortened};
use crate::ops::scan::Apart;
use crate::ops::workspace_refusals::{
    not_supported, refuse, setting_file, unreadable, works_apart, works_elsewhere, works_outside,
};
use crate::vault::structure::LINKED_DIRECTORY;

/// A repository of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Where its git directory is captured.
    pub git_dir: Spot,
    /// Where its main working tree is captured; `None` when it has none, or none inside the workspace.
    pub worktree: Option<Spot>,
    /// The repository.
    pub repository: Repository,
}

/// A linked worktree of one of the repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Linked {
    /// The git directory of its repository.
    pub git_dir: Spot,
    /// The name of its directory in `worktrees`.
    pub name: Vec<u8>,
    /// Where its repository says that it is.
    pub path: PathBuf,
    /// Where its files are captured; `None` when it is not there.
    pub worktree: Option<Spot>,
    /// The settings that hold in it, if it is there and git can work in it.
    pub settings: Option<Settings>,
    /// What a restore calls its directory in the git directory; only for a place of its own.
    pub directory: Option<Vec<u8>>,
    /// What was found where its repository says that it is.
    pub stated: Stated,
}

/// What a `.git` file says that leads to none of the repositories of a workspace, or to one that has its working tree elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outside {
    /// The path it names.
    pub named: String,
    /// Where that is.
    pub whose: Whose,
}

/// Where a `.git` file leads to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Whose {
    /// To a repository outside the workspace.
    Another,
    /// To a git directory of the workspace, which looks for its working tree elsewhere.
    Ours,
    /// To nothing.
    Nobody,
}

/// The repositories and working trees of a workspace.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workspace {
    /// The repositories, the main one first, then by git directory.
    pub members: Vec<Member>,
    /// The linked worktrees, by repository and name.
    pub linked: Vec<Linked>,
    /// The working trees that are walked, the main one first.
    pub places: Vec<(Place, PathBuf)>,
    /// Directories whose `.git` file does not make a working tree of the workspace of them.
    pub outside: BTreeMap<Spot, Outside>,
}

type Result<T> = std::result::Result<T, CaptureError>;

impl Workspace {
    /// Finds everything that belongs to a repository; `borders` are the directories inside working trees that have a `.git` of
    /// their own, as far as they are known.
    ///
    /// # Errors
    /// When something changes meanwhile, cannot be read, or cannot be captured whole.
    pub fn find(main: &Repository, lookup: &Lookup, borders: &BTreeSet<PathBuf>) -> Result<Self> {
        let mut plain = BTreeSet::new();
        loop {
            let found = Finder::look(main, (lookup, &plain), borders)?;
            let files = found.0.files_of_trees()?;
            if files.is_subset(&plain) {
                let (finder, places, outside) = found;
                finder.check_trees(&places)?;
                return finder.finish(places, outside);
            }
            plain.extend(files);
        }
    }

    /// The git directories that are walked by themselves: the main one, and those that lie in working trees.
    pub fn roots(&self) -> impl Iterator<Item = &Member> {
        self.members.iter().filter(|member| {
            let is_inside = |other: &Member| {
                other.git_dir != member.git_dir && other.git_dir.relative(&member.git_dir).is_some()
            };
            !self.members.iter().any(is_inside)
        })
    }

    /// The working trees that are places of their own and lie inside a directory, relative to it.
    #[must_use]
    pub fn trees_in(&self, directory: &Path) -> BTreeSet<Vec<u8>> {
        let roots = self.places.iter().map(|(_, root)| root);
        roots.filter_map(|root| inside(directory, root)).collect()
    }

    /// What in a working tree is not of it.
    #[must_use]
    pub fn apart(&self, place: Place) -> Apart {
        let Some((_, root)) = self.places.iter().find(|(known, _)| *known == place) else {
            return Apart::default();
        };
        let inside = |path: &Path| inside(root, path);
        let main = self.members.first().map(|main| &main.repository.git_dir);
        let git_dirs = self.members.iter().map(|member| &member.git_dir);
        let git_dirs = git_dirs.filter(|git_dir| git_dir.place == place);
        Apart {
            is_main: place == Place::Worktree,
            main_git_dir: main.and_then(|git_dir| inside(git_dir)),
            git_dirs: git_dirs.map(|git_dir| git_dir.path.clone()).collect(),
            roots: self.trees_in(root),
        }
    }

    /// Refuses when a linked worktree does not lead to its repository, and when the one that was asked in is none of the workspace: its repository looks for it elsewhere, and
    /// what is in it would be missing. To be asked when all borders are known.
    ///
    /// # Errors
    /// [`RefusalCode::SourceNotSupported`].
    pub fn check_asked(&self, main: &Repository) -> crate::model::refusal::Result<()> {
        self.check_lost()?;
        let Some(asked) = &main.unclaimed else {
            return Ok(());
        };
        let is_it = |spot: &Spot| self.path(spot).as_ref() == Some(asked);
        let mut trees = self.linked.iter().flat_map(|linked| &linked.worktree);
        if trees.any(is_it) {
            return Ok(());
        }
        if let Some(worktree) = &main.worktree
            && gitfile::target(asked).is_ok_and(|target| target.as_ref() == Some(&main.git_dir))
        {
            return Err(works_apart(asked, worktree));
        }
        let rival = self.linked.iter().find(|linked| {
            let admin = self.path(&linked.git_dir.join(b"worktrees").join(&linked.name));
            linked.worktree.is_some()
                && admin
                    .is_some_and(|admin| gitfile::leads_to(asked, &admin).is_ok_and(|leads| leads))
        });
        let refusal = Refusal::new(
            RefusalCode::SourceNotSupported,
            "this working tree is not where its repository looks for it",
        )
        .because(format!("'{}'", asked.display()))
        .because("what is in it would not be captured");
        Err(match rival {
            Some(rival) => refusal
                .because(format!(
                    "'{}' has the same index and HEAD",
                    rival.path.display()
                ))
                .next(
                    "git worktree add --detach ../another",
                    "makes a working tree that the repository knows; take the files there",
                ),
            None => refusal.next(
                "git worktree repair",
                "tells the repository where this working tree is",
            ),
        })
    }

    /// Refuses when something lies where a linked worktree should be, and does not lead to its repository: it may be that one.
    fn check_lost(&self) -> crate::model::refusal::Result<()> {
        for linked in self.linked.iter().filter(|one| one.worktree.is_none()) {
            let path = match &linked.stated {
                Stated::Lost(_) => &linked.path,
                Stated::Moved(path) => path,
                Stated::There | Stated::Absent | Stated::OfAnother(_) => continue,
            };
            let found = std::fs::canonicalize(path).ok();
            let mut trees = self.linked.iter().flat_map(|linked| &linked.worktree);
            if !trees.any(|spot| self.path(spot) == found) {
                let is_its = |member: &&Member| member.git_dir == linked.git_dir;
                let member = self.members.iter().find(is_its);
                let repository = member.map(|member| &member.repository);
                let directory = repository.map(|repository| {
                    let worktree = repository.worktree.as_ref();
                    worktree.unwrap_or(&repository.git_dir).as_path()
                });
                let directory = directory.unwrap_or(Path::new("."));
                return Err(if let Stated::Lost(loss) = linked.stated {
                    lost(path, loss, directory)
                } else {
                    moved(path, directory)
                });
            }
        }
        Ok(())
    }

    /// Where something that was captured lies in the source.
    #[must_use]
    pub fn path(&self, spot: &Spot) -> Option<PathBuf> {
        let root = match spot.place {
            Place::Gitdir => self.members.first().map(|main| &main.repository.git_dir)?,
            place @ (Place::Worktree | Place::Linked(_)) => {
                &self.places.iter().find(|(known, _)| *known == place)?.1
            }
        };
        Some(repository::join_bytes(root, &spot.path))
    }
}

/// A path relative to a directory it lies in; `None` when it does not, or is the same.
fn inside(directory: &Path, path: &Path) -> Option<Vec<u8>> {
    let path = path_bytes(path.strip_prefix(directory).ok()?);
    (!path.is_empty()).then(|| path.to_vec())
}

struct Finder<'a> {
    lookup: &'a Lookup,
    /// Git directories that are files of the working tree around them.
    plain: &'a BTreeSet<PathBuf>,
    members: BTreeMap<Spot, Repository>,
    links: Vec<Link>,
}

type Places = Vec<(Place, PathBuf)>;

impl<'a> Finder<'a> {
    /// Finds everything, but repositories in the git directories that are `plain`; gives the places and what leads outside.
    fn look(
        main: &Repository,
        (lookup, plain): (&'a Lookup, &'a BTreeSet<PathBuf>),
        borders: &BTreeSet<PathBuf>,
    ) -> Result<(Self, Places, BTreeMap<Spot, Outside>)> {
        let mut finder = Self {
            lookup,
            plain,
            members: BTreeMap::new(),
            links: Vec::new(),
        };
        finder.add(&Spot::top(Place::Gitdir), main.clone())?;
        let mut outside = BTreeMap::new();
        loop {
            let places = finder.places(main);
            let before = (finder.members.len(), places.len());
            outside.clear();
            for border in borders {
                finder.look_at(border, &places, &mut outside)?;
            }
            if before == (finder.members.len(), finder.places(main).len()) {
                return Ok((finder, places, outside));
            }
        }
    }
}

impl Finder<'_> {
    /// Adds a repository, its linked worktrees, and the repositories whose git directories lie in its own.
    fn add(&mut self, git_dir: &Spot, repository: Repository) -> Result<()> {
        let path = repository.git_dir.clone();
        let format = repository.format;
        self.links.extend(links_of(git_dir, &path)?);
        self.members.insert(git_dir.clone(), repository);
        let mut found = Vec::new();
        find_git_dirs(&path.join("modules"), b"modules", &mut found)?;
        for name in names(&path.join("worktrees"))? {
            let own = [b"worktrees/", name.as_slice(), b"/modules"].concat();
            find_git_dirs(&repository::join_bytes(&path, &own), &own, &mut found)?;
        }
        for own in found {
            let path = repository::join_bytes(&path, &own);
            self.open(&git_dir.join(&own), &path, format)?;
        }
        Ok(())
    }

    fn open(
        &mut self,
        spot: &Spot,
        path: &Path,
        format: crate::host::git::object::ObjectFormat,
    ) -> Result<()> {
        let opened = repository::open(path, self.lookup).map_err(|error| refuse(&error, path))?;
        if opened.format != format {
            return Err(not_supported(
                "repositories of different object formats in one workspace",
                path,
            ));
        }
        // Git would use that tree for what lies here, and a restored copy would write to it.
        if path.file_name() == Some(OsStr::new(".git"))
            && let Some(root) = &opened.worktree
            && !leads_to(root, &opened.git_dir)?
        {
            return Err(works_elsewhere(&setting_file(path)));
        }
        self.add(spot, opened)
    }

    /// The working trees to be walked: the main one, and linked ones that lie in no other.
    fn places(&self, main: &Repository) -> Vec<(Place, PathBuf)> {
        let mut places: Vec<(Place, PathBuf)> = main
            .worktree
            .iter()
            .map(|root| (Place::Worktree, root.clone()))
            .collect();
        let is_apart = |root: &Path| {
            let others = self.links.iter().filter_map(|link| link.root.as_deref());
            let in_another = others
                .chain(main.worktree.as_deref())
                .any(|other| root != other && root.starts_with(other));
            let mut git_dirs = self.members.values().map(|member| &member.git_dir);
            !in_another || git_dirs.any(|git_dir| root.starts_with(git_dir))
        };
        let mut roots: Vec<(&Spot, &[u8], &PathBuf)> = self
            .links
            .iter()
            .filter_map(|link| Some((&link.git_dir, link.name.as_slice(), link.root.as_ref()?)))
            .filter(|(_, _, root)| is_apart(root))
            .collect();
        roots.sort();
        let mut number = 0;
        for (_, _, root) in roots {
            if !places.iter().any(|(_, known)| known == root) {
                number += 1;
                places.push((Place::Linked(number), root.clone()));
            }
        }
        places
    }

    /// Looks at a directory that has a `.git` of its own.
    fn look_at(
        &mut self,
        border: &Path,
        places: &[(Place, PathBuf)],
        outside: &mut BTreeMap<Spot, Outside>,
    ) -> Result<()> {
        let Some(spot) = self.spot_of(border, places) else {
            return Ok(());
        };
        let dot_git = border.join(".git");
        let own = spot.join(b".git");
        // What is gone is no border any more; a scan will not meet it.
        let metadata = match std::fs::symlink_metadata(&dot_git) {
            Ok(metadata) => metadata,
            Err(error) if disk::is_nowhere(&error) => return self.add_bare(border, &spot),
            Err(error) => return Err(unreadable(&disk::Error::new("look at", &dot_git, error))),
        };
        if metadata.is_dir() {
            let real = std::fs::canonicalize(&dot_git).unwrap_or_else(|_| dot_git.clone());
            if self.members.values().any(|member| member.git_dir == real) {
                return Ok(());
            }
            let format = self.members.values().next().map(|main| main.format);
            return match format {
                Some(format) => self.open(&own, &dot_git, format),
                None => Ok(()),
            };
        }
        let target = gitfile::read_gitfile(&dot_git).map_err(|error| unreadable(&error))?;
        let Some(target) = target else {
            return Ok(());
        };
        let real = gitfile::canonical_if_there(&target).map_err(|error| unreadable(&error))?;
        self.find_moved(border, &target, real.as_deref());
        self.add_target(border, real.as_deref(), places)?;
        let mut members = self.members.values();
        let is_member = members.any(|member| {
            real.as_ref() == Some(&member.git_dir) && member.worktree.as_deref() == Some(border)
        });
        let mut roots = self.links.iter().map(|link| link.root.as_deref());
        if is_member || roots.any(|root| root == Some(border)) {
            return Ok(());
        }
        let mut git_dirs = self.members.values().map(|member| &member.git_dir);
        let whose = match &real {
            None => Whose::Nobody,
            Some(real) if git_dirs.any(|git_dir| real.starts_with(git_dir)) => Whose::Ours,
            Some(_) => Whose::Another,
        };
        let named = String::from_utf8_lossy(path_bytes(&target)).into_owned();
        outside.insert(spot, Outside { named, whose });
        Ok(())
    }

    /// Adds a bare repository that has linked worktrees.
    fn add_bare(&mut self, path: &Path, spot: &Spot) -> Result<()> {
        let is_git_dir = is_git_dir(path) && path.join("worktrees").is_dir();
        let is_known =
            self.members.values().any(|member| member.git_dir == path) || self.plain.contains(path);
        let format = self.members.values().next().map(|main| main.format);
        match format.filter(|_| is_git_dir && !is_known) {
            Some(format) => self.open(spot, path, format),
            None => Ok(()),
        }
    }

    /// The git directories that are files of a working tree around them; refuses when the main one is.
    fn files_of_trees(&self) -> Result<BTreeSet<PathBuf>> {
        let is_odd = |path: &Path| path.file_name() != Some(OsStr::new(".git"));
        let odd = self
            .members
            .iter()
            .filter(|(spot, member)| spot.place != Place::Gitdir && is_odd(&member.git_dir));
        let odd: Vec<&Path> = odd.map(|(_, member)| member.git_dir.as_path()).collect();
        let main = Spot::top(Place::Gitdir);
        let mut trees: Vec<(PathBuf, PathBuf)> = Vec::new();
        for (spot, member) in &self.members {
            if let Some(root) = &member.worktree
                && (*spot == main || leads_to(root, &member.git_dir)?)
            {
                trees.push((root.clone(), member.git_dir.join("index")));
            }
        }
        let links = self.links.iter().filter_map(|link| {
            let admin = self.admin(link)?;
            Some((link.root.clone()?, admin.join("index")))
        });
        trees.extend(links);
        let Some(main) = self.members.get(&main) else {
            return Ok(BTreeSet::new());
        };
        // What lies there is captured as the git directory alone; no other place is left for what a tree tracks.
        let own = Some(main.git_dir.as_path()).filter(|path| is_odd(path));
        if !tracked(own.as_slice(), &trees, (main.format, |_| true))?.is_empty() {
            let what = "git directory whose files are tracked in a working tree around it";
            return Err(not_supported(what, &main.git_dir));
        }
        Ok(tracked(&odd, &trees, (main.format, may_leave_out))?)
    }

    /// A linked worktree that is not where its repository says, and lies here: it was moved by hand, and git works in it; or its
    /// repository was moved by hand with it, and its `.git` names what the repository kept of it at the old place.
    fn find_moved(&mut self, border: &Path, target: &Path, real: Option<&Path>) {
        let is_it = |link: &Link| match real {
            Some(real) => self.admin(link).as_deref() == Some(real),
            None => target.ends_with(Path::new("worktrees").join(OsStr::from_bytes(&link.name))),
        };
        let missing = self.links.iter().enumerate();
        let missing = missing.filter(|(_, link)| link.root.is_none() && is_it(link));
        let missing: Vec<usize> = missing.map(|(place, _)| place).collect();
        if let [moved] = *missing.as_slice()
            && let Some(link) = self.links.get_mut(moved)
        {
            link.root = Some(border.to_owned());
        }
    }

    /// Adds the repository whose `.git` file leads to a git directory inside a working tree.
    fn add_target(
        &mut self,
        border: &Path,
        real: Option<&Path>,
        places: &[(Place, PathBuf)],
    ) -> Result<()> {
        let Some(real) = real else { return Ok(()) };
        let is_git_dir = real.join("HEAD").is_file() && real.join("objects").is_dir();
        let is_known =
            self.members.values().any(|member| member.git_dir == real) || self.plain.contains(real);
        let spot = self.spot_of(real, places);
        let format = self.members.values().next().map(|main| main.format);
        if let (true, false, Some(spot), Some(format)) = (is_git_dir, is_known, spot, format) {
            self.open(&spot, real, format)?;
            if let Some(member) = self.members.get_mut(&spot) {
                if member
                    .worktree
                    .as_deref()
                    .is_some_and(|root| root != border)
                {
                    return Err(works_elsewhere(&setting_file(real)));
                }
                member.worktree = Some(border.to_owned());
            }
        }
        Ok(())
    }

    /// The directory in `worktrees` of a linked worktree.
    fn admin(&self, link: &Link) -> Option<PathBuf> {
        let git_dir = &self.members.get(&link.git_dir)?.git_dir;
        Some(
            git_dir
                .join("worktrees")
                .join(OsStr::from_bytes(&link.name)),
        )
    }

    /// The settings that hold in a linked worktree.
    fn settings(&self, link: &Link) -> Result<Option<Settings>> {
        let (Some(admin), Some(root)) = (self.admin(link), &link.root) else {
            return Ok(None);
        };
        match repository::settings_of_linked(&admin, root, self.lookup) {
            Ok(settings) => Ok(Some(settings)),
            // Git cannot work there, either: the rules of the repository hold.
            Err(OpenError::NotFound | OpenError::FormatUnknown(_) | OpenError::OtherOwner(_)) => {
                Ok(None)
            }
            Err(error) => Err(refuse(&error, &admin)),
        }
    }

    /// Refuses a repository inside the workspace whose working tree lies outside: what is in it would be missing. Where git keeps
    /// the git directories of submodules, it is its working tree only if its `.git` leads back, which git makes and asks for.
    fn check_trees(&self, places: &[(Place, PathBuf)]) -> Result<()> {
        for (spot, repository) in self.members.iter().skip(1) {
            let root = repository.worktree.as_ref();
            let Some(root) = root.filter(|root| self.spot_of(root, places).is_none()) else {
                continue;
            };
            let is_kept_in =
                |(above, _): (&Spot, _)| above != spot && above.relative(spot).is_some();
            let is_submodule = self.members.iter().any(is_kept_in);
            if is_submodule && !leads_to(root, &repository.git_dir)? {
                continue;
            }
            return Err(works_outside(&repository.git_dir, root));
        }
        Ok(())
    }

    /// Where a directory of a working tree is captured.
    fn spot_of(&self, path: &Path, places: &[(Place, PathBuf)]) -> Option<Spot> {
        let main = self.members.get(&Spot::top(Place::Gitdir))?;
        let around = places
            .iter()
            .filter_map(|(place, root)| Some((place, path.strip_prefix(root).ok()?)))
            .min_by_key(|(_, rest)| rest.as_os_str().len());
        let (place, rest) = around?;
        // A place of its own may lie in a git directory; nothing else there is a working tree.
        if path.starts_with(&main.git_dir) && !matches!(place, Place::Linked(_)) {
            return None;
        }
        Some(Spot {
            place: *place,
            path: path_bytes(rest).to_vec(),
        })
    }

    fn finish(
        self,
        places: Vec<(Place, PathBuf)>,
        outside: BTreeMap<Spot, Outside>,
    ) -> Result<Workspace> {
        let spot_of = |root: &Path| self.spot_of(root, &places);
        let mut members: Vec<Member> = Vec::new();
        for (git_dir, repository) in &self.members {
            let worktree = match (git_dir, &repository.worktree) {
                (git_dir, Some(_)) if *git_dir == Spot::top(Place::Gitdir) => {
                    Some(Spot::top(Place::Worktree))
                }
                (_, Some(root)) if leads_to(root, &repository.git_dir)? => spot_of(root),
                (_, Some(_) | None) => None,
            };
            members.push(Member {
                git_dir: git_dir.clone(),
                worktree,
                repository: repository.clone(),
            });
        }
        let mut taken = BTreeSet::new();
        let mut linked: Vec<Linked> = self
            .links
            .iter()
            .map(|link| {
                let worktree = link.root.as_deref().and_then(spot_of);
                let is_apart = worktree
                    .as_ref()
                    .is_some_and(|spot| spot.path.is_empty() && spot.place != Place::Worktree);
                Ok(Linked {
                    git_dir: link.git_dir.clone(),
                    name: link.name.clone(),
                    path: link.path.clone(),
                    directory: is_apart.then(|| self.directory(link, &mut taken)),
                    settings: self.settings(link)?,
                    stated: link.stated.clone(),
                    worktree,
                })
            })
            .collect::<Result<_>>()?;
        linked
            .sort_by(|left, right| (&left.git_dir, &left.name).cmp(&(&right.git_dir, &right.name)));
        Ok(Workspace {
            members,
            linked,
            places,
            outside,
        })
    }

    /// A name for the restored working tree that nothing in the git directory has, unless it is this very working tree, and
    /// that no other linked worktree got; those are `taken`.
    fn directory(&self, link: &Link, taken: &mut BTreeSet<(Spot, Vec<u8>)>) -> Vec<u8> {
        let git_dir = self
            .members
            .get(&link.git_dir)
            .map(|member| &member.git_dir);
        let mut name = [LINKED_DIRECTORY, shortened(&link.name)].concat();
        while let Some(git_dir) = git_dir
            && let path = git_dir.join(OsStr::from_bytes(&name))
            && (path.symlink_metadata().is_ok() && link.root.as_ref() != Some(&path)
                || taken.contains(&(link.git_dir.clone(), name.clone())))
        {
            name.extend_from_slice(b"-");
        }
        taken.insert((link.git_dir.clone(), name.clone()));
        name
    }
}

fn leads_to(root: &Path, git_dir: &Path) -> Result<bool> {
    gitfile::leads_to(root, git_dir).map_err(|error| unreadable(&error))
}
