//! Where the places of a snapshot lie in a restored workspace, and what the pointers between its trees say there: as captured
//! where they lead to the right place, and rewritten where they would not. A restored copy never points to the original.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use crate::host::git::config_file::{with_worktree, worktree_setting};
use crate::host::git::gitfile;
use crate::host::walk::{join, path_bytes};
use crate::model::escape::name_from_text;
use crate::model::listing::Entry;
use crate::model::manifest::{LinkedWorktree, Manifest};
use crate::model::place::{Place, Spot};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::vault::reader::{Directory, SnapshotReader, write_content};
use crate::vault::store::Store;
use crate::vault::structure::{LINKED_DIRECTORY, linked_at};

/// Largest file a pointer is read from.
const LIMIT_BYTES: u64 = 16 << 20;

/// What `core.worktree` of a restored repository names, below its git directory, where there must be nothing: the working tree that
/// it had was none of the captured workspace.
const NOWHERE: &[u8] = b"no-worktree";

/// A restored workspace: what lies where.
pub struct Layout<'a> {
    manifest: &'a Manifest,
    destination: &'a Path,
}

/// Files whose content is another than was captured, because it would lead elsewhere.
pub type Rewritten = BTreeMap<Spot, Vec<u8>>;

impl<'a> Layout<'a> {
    /// The layout of a workspace that is restored to `destination`, an absolute path.
    #[must_use]
    pub fn new(manifest: &'a Manifest, destination: &'a Path) -> Self {
        Self {
            manifest,
            destination,
        }
    }

    /// The path of something, relative to the destination.
    #[must_use]
    pub fn relative(&self, spot: &Spot) -> Vec<u8> {
        let is_bare = self.manifest.content.worktree.is_none();
        let top = match spot.place {
            Place::Worktree => Vec::new(),
            Place::Gitdir if is_bare => Vec::new(),
            Place::Gitdir => b".git".to_vec(),
            // A manifest is only trusted when this ends.
            place @ Place::Linked(_) => match linked_at(self.manifest, place) {
                Some(linked) => {
                    let name = linked.directory.as_deref().and_then(name_from_text);
                    join(&self.relative(&linked.git_dir), &name.unwrap_or_default())
                }
                None => Vec::new(),
            },
        };
        match (top.is_empty(), spot.path.is_empty()) {
            (_, true) => top,
            (true, false) => spot.path.clone(),
            (false, false) => join(&top, &spot.path),
        }
    }

    /// The path of something.
    #[must_use]
    pub fn path(&self, spot: &Spot) -> PathBuf {
        let relative = self.relative(spot);
        crate::host::git::repository::join_bytes(self.destination, &relative)
    }

    /// The places in an order in which each one's directory is there before it is written.
    #[must_use]
    pub fn places(&self) -> Vec<Place> {
        let mut places = self.manifest.places();
        places.sort_by_key(|place| {
            let is_top = !matches!(place, Place::Linked(_));
            (!is_top, *place == Place::Gitdir, self.depth(*place), *place)
        });
        places
    }

    /// Through how many other places the way to a place leads.
    fn depth(&self, place: Place) -> usize {
        match linked_at(self.manifest, place) {
            Some(linked) => 1 + self.depth(linked.git_dir.place),
            None => 0,
        }
    }

    /// What lies in a place and is not of it: object stores, and what has a place of its own.
    #[must_use]
    pub fn apart(&self, place: Place) -> Vec<Vec<u8>> {
        let stores = self.manifest.git_dirs().into_iter();
        let stores = stores.map(|git_dir| git_dir.join(b"objects"));
        let linked = self.manifest.linked.iter().filter_map(|linked| {
            let name = name_from_text(linked.directory.as_ref()?)?;
            Some(linked.git_dir.join(&name))
        });
        let mut apart: Vec<Vec<u8>> = stores
            .chain(linked)
            .filter(|spot| spot.place == place)
            .map(|spot| spot.path)
            .collect();
        if place == Place::Worktree {
            apart.push(b".git".to_vec());
        }
        apart
    }

    /// The working trees that a restore puts into a git directory, relative to it.
    #[must_use]
    pub fn trees_in(&self, git_dir: &Spot) -> BTreeSet<Vec<u8>> {
        let inside = |linked: &LinkedWorktree| {
            let name = name_from_text(linked.directory.as_ref()?)?;
            let spot = linked.git_dir.join(&name);
            git_dir.relative(&spot).map(<[u8]>::to_vec)
        };
        self.manifest.linked.iter().filter_map(inside).collect()
    }

    /// What the pointers that would lead elsewhere say in the restored workspace.
    ///
    /// # Errors
    /// When the snapshot cannot be read.
    pub fn rewritten(&self, reader: &SnapshotReader<'_>, store: &Store) -> Result<Rewritten> {
        let pointers = self.pointers();
        let mut said = Vec::new();
        for place in self.manifest.places() {
            let wanted = pointers.iter().filter(|one| one.file.place == place);
            let wanted: Vec<&Pointer> = wanted.collect();
            if wanted.is_empty() {
                continue;
            }
            reader.each_directory(place, &mut |directory| {
                for pointer in &wanted {
                    said.extend(read(pointer, &directory, store)?);
                }
                Ok(())
            })?;
        }
        let led_away = self.through_links(&said, reader)?;
        let mut rewritten = Rewritten::new();
        for one in &said {
            let target = match &one.pointer.target {
                Some(target) => target.clone(),
                None => self
                    .inside_source(one)
                    .filter(|target| !led_away.contains(target))
                    .unwrap_or_else(|| one.nowhere.clone()),
            };
            let content = self.rewrite(one, &target)?;
            rewritten.extend(content.map(|content| (one.pointer.file.clone(), content)));
        }
        Ok(rewritten)
    }

    /// Those of the targets to which a symbolic link of the workspace is the way: it may lead anywhere.
    fn through_links(
        &self,
        said: &[Said<'_>],
        reader: &SnapshotReader<'_>,
    ) -> Result<BTreeSet<Spot>> {
        let open = said.iter().filter(|one| one.pointer.target.is_none());
        let targets: BTreeSet<Spot> = open.filter_map(|one| self.inside_source(one)).collect();
        let mut found = BTreeSet::new();
        for place in self.manifest.places() {
            if !targets.iter().any(|target| target.place == place) {
                continue;
            }
            reader.each_directory(place, &mut |directory| {
                let entries = directory.listing.entries.iter();
                let links = entries.filter(|(_, entry)| matches!(entry, Entry::Link { .. }));
                for (name, _) in links {
                    let link = Spot::top(place).join(&join(&directory.path, name));
                    let behind = targets.iter().filter(|one| link.relative(one).is_some());
                    found.extend(behind.cloned());
                }
                Ok(())
            })?;
        }
        Ok(found)
    }

    /// All pointers between the trees.
    fn pointers(&self) -> Vec<Pointer> {
        let mut pointers = Vec::new();
        let main = Spot::top(Place::Gitdir);
        let tree = self.manifest.content.worktree.as_ref();
        pointers.extend(settings(
            &main,
            tree.map(|_| Spot::top(Place::Worktree)).as_ref(),
        ));
        for nested in &self.manifest.nested {
            pointers.extend(settings(&nested.git_dir, nested.worktree.as_ref()));
            if let Some(worktree) = &nested.worktree {
                let file = worktree.join(b".git");
                if file != nested.git_dir {
                    pointers.push(Pointer::new(file, Form::Gitfile, nested.git_dir.clone()));
                }
            }
        }
        for linked in &self.manifest.linked {
            pointers.extend(pointers_of(linked));
        }
        pointers
    }

    /// Where the topmost directory of a place was in the source.
    fn source_of(&self, place: Place) -> Option<PathBuf> {
        let source = &self.manifest.source;
        let path = match place {
            Place::Gitdir => Some(&source.git_dir),
            Place::Worktree => source.worktree.as_ref(),
            Place::Linked(_) => linked_at(self.manifest, place).map(|linked| &linked.path),
        };
        path_from_text(path?)
    }

    /// The spot of what a file named, if it lay in the captured workspace: in its git directory, its main working tree or a linked
    /// one, in the innermost of these; or else where a linked worktree would be that was not captured.
    fn inside_source(&self, said: &Said<'_>) -> Option<Spot> {
        let source = self.source_of(said.pointer.file.place)?;
        let file = crate::host::git::repository::join_bytes(&source, &said.pointer.file.path);
        let path = gitfile::normal(&file.parent()?.join(&said.path));
        let main = [Place::Gitdir, Place::Worktree].into_iter();
        let main = main.filter_map(|place| Some((self.source_of(place)?, Spot::top(place))));
        let linked = self.manifest.linked.iter();
        let linked = linked.filter_map(|one| Some((path_from_text(&one.path)?, one)));
        let (there, gone): (Vec<_>, Vec<_>) = linked.partition(|(_, one)| one.worktree.is_some());
        let there = there.into_iter();
        let there = there.filter_map(|(top, one)| Some((top, one.worktree.clone()?)));
        let gone = gone.into_iter().map(|(top, one)| (top, absent(one)));
        innermost(main.chain(there), &path).or_else(|| innermost(gone, &path))
    }

    /// The content of a file that leads to `target` in the restored workspace; `None` if that is what it says.
    fn rewrite(&self, said: &Said<'_>, target: &Spot) -> Result<Option<Vec<u8>>> {
        let target = self.path(target);
        let file = self.path(&said.pointer.file);
        let base = file.parent().unwrap_or(self.destination);
        if is_straight(&said.path) && gitfile::normal(&base.join(&said.path)) == target {
            return Ok(None);
        }
        let way = if said.path.is_absolute() {
            target
        } else {
            gitfile::relative(base, &target)
        };
        let content = said.pointer.form.write(&said.bytes, path_bytes(&way));
        content.map(Some).ok_or_else(|| {
            let file = &said.pointer.file;
            let what = format!("'{file}' cannot be made to lead to the restored copy");
            Refusal::new(RefusalCode::RestoreStopped, what)
        })
    }
}

/// What a pointer said when it was captured.
struct Said<'a> {
    pointer: &'a Pointer,
    bytes: Vec<u8>,
    /// The path that it named, as it stood there.
    path: PathBuf,
    /// A name in the same directory that nothing has.
    nowhere: Spot,
}

/// Reads the file of a pointer, if it lies in this directory and names something.
fn read<'a>(
    pointer: &'a Pointer,
    directory: &Directory,
    store: &Store,
) -> Result<Option<Said<'a>>> {
    let path = &pointer.file.path;
    let slash = path.iter().rposition(|byte| *byte == b'/');
    let (above, name) = match slash {
        Some(slash) => (path.get(..slash), path.get(slash + 1..)),
        None => (Some(&b""[..]), Some(path.as_slice())),
    };
    let content = name.and_then(|name| directory.contents.get(name));
    let Some(content) = content.filter(|_| above == Some(&directory.path)) else {
        return Ok(None);
    };
    let mut bytes = Limited(Vec::new());
    write_content(store, content, &mut bytes, Path::new("memory"))?;
    let bytes = bytes.0;
    let mut nowhere = NOWHERE.to_vec();
    while directory.listing.entries.contains_key(&nowhere) {
        nowhere.push(b'-');
    }
    Ok(pointer.form.read(&bytes).map(|said| Said {
        pointer,
        path: Path::new(OsStr::from_bytes(&said)).to_owned(),
        bytes,
        nowhere: Spot::top(pointer.file.place).join(&join(&directory.path, &nowhere)),
    }))
}

/// A path that is escaped as in listings.
fn path_from_text(text: &str) -> Option<PathBuf> {
    let path = PathBuf::from(OsStr::from_bytes(&name_from_text(text)?));
    path.is_absolute().then_some(path)
}

/// The spot of a path, by the innermost of the tops it lies in; of two that are the same, by the first.
fn innermost(tops: impl Iterator<Item = (PathBuf, Spot)>, path: &Path) -> Option<Spot> {
    let around = tops.filter_map(|(top, spot)| Some((path.strip_prefix(top).ok()?, spot)));
    let (own, spot) = around.min_by_key(|(own, _)| own.as_os_str().len())?;
    Some(spot.join(path_bytes(own)))
}

/// Whether no `..` follows a name: that name could be one of a link, and the way another than it seems.
fn is_straight(path: &Path) -> bool {
    let mut names = path
        .components()
        .skip_while(|one| !matches!(one, Component::Normal(_)));
    !names.any(|one| one == Component::ParentDir)
}

/// A sink that takes no more than a pointer may hold.
struct Limited(Vec<u8>);

impl std::io::Write for Limited {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if (self.0.len() + bytes.len()) as u64 > LIMIT_BYTES {
            return Err(std::io::Error::other("it is too large"));
        }
        self.0.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A file by which one tree names another.
struct Pointer {
    file: Spot,
    form: Form,
    /// Where it must lead; `None` for a working tree that was not captured: to its place in the restored workspace, or nowhere.
    target: Option<Spot>,
}

/// How a file names a path.
#[derive(Clone, Copy)]
enum Form {
    /// As a `.git` file does.
    Gitfile,
    /// By its whole content.
    Path,
    /// By the setting `core.worktree`.
    Setting,
}

impl Pointer {
    fn new(file: Spot, form: Form, target: Spot) -> Self {
        Self {
            file,
            form,
            target: Some(target),
        }
    }
}

impl Form {
    /// The path that is named.
    fn read(self, bytes: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Gitfile => gitfile::path_in_gitfile(bytes).map(<[u8]>::to_vec),
            Self::Path => Some(gitfile::trim(bytes).to_vec()).filter(|path| !path.is_empty()),
            Self::Setting => worktree_setting(bytes),
        }
    }

    /// The content that names another path.
    fn write(self, bytes: &[u8], path: &[u8]) -> Option<Vec<u8>> {
        match self {
            Self::Gitfile => Some(gitfile::gitfile(path)),
            Self::Path => Some([path, b"\n"].concat()),
            Self::Setting => with_worktree(bytes, path),
        }
    }
}

/// The settings of a git directory that may name its working tree.
fn settings(git_dir: &Spot, worktree: Option<&Spot>) -> [Pointer; 2] {
    [&b"config"[..], b"config.worktree"].map(|name| Pointer {
        file: git_dir.join(name),
        form: Form::Setting,
        target: worktree.cloned(),
    })
}

/// Where a linked worktree would be that was not captured.
fn absent(linked: &LinkedWorktree) -> Spot {
    let name = name_from_text(&linked.name).unwrap_or_default();
    linked.git_dir.join(&[LINKED_DIRECTORY, &name].concat())
}

/// The pointers between a linked worktree and its repository. One that was not there would be looked for where the original
/// has it; now in the restored copy, where it is not, either.
fn pointers_of(linked: &LinkedWorktree) -> Vec<Pointer> {
    let name = name_from_text(&linked.name).unwrap_or_default();
    let admin = linked.git_dir.join(b"worktrees").join(&name);
    let worktree = linked.worktree.clone().unwrap_or_else(|| absent(linked));
    let dot_git = worktree.join(b".git");
    let mut pointers = vec![
        Pointer::new(admin.join(b"gitdir"), Form::Path, dot_git.clone()),
        Pointer::new(admin.join(b"commondir"), Form::Path, linked.git_dir.clone()),
        Pointer::new(admin.join(b"config.worktree"), Form::Setting, worktree),
    ];
    if linked.worktree.is_some() {
        pointers.push(Pointer::new(dot_git, Form::Gitfile, admin));
    }
    pointers
}
