//! What an installation for another place has left here: a repository that is moved or copied takes its hooks with it, and a user's
//! settings may be in two files. What is found is ours to the last byte, or it is not taken for ours.

use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use super::include::plain;
use super::ledger::{Found, Include, LIMIT_BYTES, Ledger, WrittenFile};
use super::{Part, Site, State, shim};
use crate::host::disk;
use crate::host::git::config_include::includes;
use crate::host::walk::path_bytes;
use crate::model::escape::text_name;
use crate::model::hook_event::HookEvent;
use crate::model::refusal::Result;
use crate::model::refusal_code::RefusalCode;
use crate::ops::absent::{Absent, absent};
use crate::ops::last_second::NOTE;
use crate::ops::locate::Workplace;
use crate::vault::heartbeats::repository_key;
use crate::vault::registry::real_path;
use crate::vault::repositories::{self, Known};

/// The name of the directory for all repositories.
const GLOBAL: &str = "global";

/// What is said of what nobody has noted any more.
const FORGOTTEN: &str = "written by an installation of which nothing is noted any more";

/// What was found.
#[derive(Debug, Default)]
pub(super) struct Strays {
    /// Includes, by the files that hold them.
    pub(super) includes: Vec<Include>,
    /// Hooks, as they are.
    pub(super) files: Vec<WrittenFile>,
    /// For each of both, in this order, what it was written for.
    reasons: Vec<String>,
    /// Directories of installations for places from which this repository was moved: nothing else needs them.
    left: Vec<PathBuf>,
}

impl Strays {
    pub(super) fn is_empty(&self) -> bool {
        self.includes.is_empty() && self.files.is_empty()
    }

    /// Whether a file is among them.
    pub(super) fn has_file(&self, path: &Path) -> bool {
        self.files.iter().any(|file| file.path == path)
    }

    /// Whether a program of the last second belongs to one of them.
    pub(super) fn has_program(&self, set: &str) -> bool {
        let mut directories = self
            .includes
            .iter()
            .filter_map(|include| Path::new(&include.path).parent());
        directories.any(|directory| {
            let program = directory.join(shim::ASK_MONITOR);
            program.to_str().map(shim::word).as_deref() == Some(set)
        })
    }

    /// What there is to say of them.
    pub(super) fn parts(&self) -> Vec<Part> {
        let includes = self.includes.iter();
        let includes = includes.map(|include| ("include", &include.config));
        let files = self.files.iter();
        let files = files.map(|file| (file.purpose.as_str(), &file.path));
        includes
            .chain(files)
            .zip(&self.reasons)
            .map(|((purpose, path), reason)| Part {
                purpose: purpose.to_owned(),
                path: path.clone(),
                state: State::Elsewhere(reason.clone()),
            })
            .collect()
    }

    /// Removes what the installations have left in the state home whose repository is this one now.
    pub(super) fn forget(&self) -> disk::Result<()> {
        for directory in &self.left {
            let Some(ledger) = Ledger::load(directory)? else {
                continue;
            };
            let own = |file: &&WrittenFile| file.path.parent() == Some(directory);
            for file in ledger.files.iter().filter(own) {
                if file.look()? == Found::Intact {
                    remove(&file.path)?;
                }
            }
            drop(std::fs::remove_file(directory.join(NOTE)));
            remove(&Ledger::path(directory))?;
        }
        Ok(())
    }
}

fn remove(path: &Path) -> disk::Result<()> {
    std::fs::remove_file(path).map_err(|error| disk::Error::new("remove", path, error))
}

/// Whose installation something belongs to.
struct Owner {
    directory: PathBuf,
    known: Option<Known>,
    /// What is said where that is not known.
    why: &'static str,
}

/// Looks for what an installation for another place has left here. `hooks` is the directory of hooks that git heeds.
pub(super) fn find(
    workplace: &Workplace,
    site: &Site,
    hooks: Option<&Path>,
    ledger: Option<&Ledger>,
) -> Result<Strays> {
    let mut strays = Strays::default();
    let mut owners = strays.find_includes(workplace, site, ledger)?;
    if let Some(hooks) = hooks {
        owners.extend(strays.find_files(workplace, site, hooks, ledger)?);
    }
    let here = site.git_dir().map(|here| text_name(path_bytes(&here)));
    let moved = owners.into_iter().filter(|owner| {
        let state = owner.known.as_ref();
        let state = state.and_then(|known| absent(known, &workplace.homes));
        matches!((state, &here), (Some(Absent::Moved(to)), Some(here)) if to == *here)
    });
    strays.left = moved.map(|owner| owner.directory).collect();
    strays.left.sort();
    strays.left.dedup();
    Ok(strays)
}

impl Strays {
    fn add_include(&mut self, include: Include, reason: String) {
        let at = self.includes.len();
        self.includes.push(include);
        self.reasons.insert(at, reason);
    }

    fn add_file(&mut self, file: WrittenFile, reason: String) {
        self.files.push(file);
        self.reasons.push(reason);
    }

    fn find_includes(
        &mut self,
        workplace: &Workplace,
        site: &Site,
        ledger: Option<&Ledger>,
    ) -> Result<Vec<Owner>> {
        let mut owners = Vec::new();
        let own = ledger.and_then(|ledger| ledger.include.as_ref());
        for (config, path) in included(site, ledger) {
            if Path::new(&path) == site.settings_file() {
                let known = own.filter(|own| own.config == config && own.path == path);
                let include = known.cloned().unwrap_or_else(|| plain(&config, &path));
                if config != site.config {
                    let reason = format!("git writes settings to '{}'", site.config.display());
                    self.add_include(include, reason);
                } else if ledger.is_none() {
                    self.add_include(include, FORGOTTEN.to_owned());
                }
                continue;
            }
            let file = (Path::new(&path), "hooks.gitconfig");
            let owner = owner_of(workplace, site, (&config, file), ledger)?;
            let Some(owner) = owner else {
                continue;
            };
            let theirs = owner.ledger().and_then(|ledger| ledger.include);
            let mut include = plain(&config, &path);
            if let Some(theirs) = theirs.filter(|theirs| theirs.path == path) {
                include.lacked_newline = theirs.lacked_newline;
                include.made_config = theirs.made_config;
            }
            self.add_include(include, reason_of(workplace, &owner));
            owners.push(owner);
        }
        Ok(owners)
    }

    fn find_files(
        &mut self,
        workplace: &Workplace,
        site: &Site,
        hooks: &Path,
        ledger: Option<&Ledger>,
    ) -> Result<Vec<Owner>> {
        let is_known =
            |path: &Path| ledger.is_some_and(|one| one.files.iter().any(|file| file.path == path));
        let mut owners = Vec::new();
        // One that makes no mark does not say for which place it was written: that the others say, which come first.
        let mut reason = None;
        for event in HookEvent::ALL {
            let path = hooks.join(event.name());
            let Some((text, mark)) = read(&path, event).filter(|_| !is_known(&path)) else {
                continue;
            };
            let file = WrittenFile::new(event.name(), &path, &text);
            if mark.is_empty() {
                if let Some(reason) = reason.clone().filter(|_| shim::is_as_written(event, &text)) {
                    self.add_file(file, reason);
                }
                continue;
            }
            let mark = (Path::new(&mark), "pending");
            let owner = owner_of(workplace, site, (&path, mark), ledger)?;
            let Some(owner) = owner else {
                continue;
            };
            let is_theirs = owner.ledger().is_some_and(|ledger| {
                let mut files = ledger.files.iter();
                files.any(|known| known.purpose == file.purpose && known.blake3 == file.blake3)
            });
            if is_theirs || shim::is_as_written(event, &text) {
                let why = reason_of(workplace, &owner);
                self.add_file(file, why.clone());
                reason = Some(why);
                owners.push(owner);
            }
        }
        Ok(owners)
    }
}

impl Owner {
    fn ledger(&self) -> Option<Ledger> {
        Ledger::load(&self.directory).ok().flatten()
    }
}

/// The files of settings that matter here, each with what it includes. One that cannot be read or understood has nothing of ours that
/// could be taken out.
fn included(site: &Site, ledger: Option<&Ledger>) -> Vec<(PathBuf, String)> {
    let known = ledger.and_then(|ledger| ledger.include.as_ref());
    let known = known.map(|include| include.config.clone());
    let all = std::iter::once(site.config.clone()).chain(known);
    let mut configs: Vec<PathBuf> = Vec::new();
    for config in all.chain(site.configs.iter().cloned()) {
        // One file may be known by two names, as where one is a link to the other.
        let is_known = |other: &PathBuf| *other == config || disk::is_same(other, &config);
        if !configs.iter().any(is_known) {
            configs.push(config);
        }
    }
    let mut found = Vec::new();
    for config in configs {
        let bytes = disk::read_bounded(&real_path(&config), LIMIT_BYTES);
        let paths = bytes.ok().and_then(|bytes| includes(&bytes));
        let texts = paths.into_iter().flatten();
        let texts = texts.filter_map(|path| String::from_utf8(path).ok());
        found.extend(texts.map(|text| (config.clone(), text)));
    }
    found
}

/// A hook of ours for this event, and the mark that it makes.
fn read(path: &Path, event: HookEvent) -> Option<(String, String)> {
    let bytes = disk::read_bounded(path, LIMIT_BYTES).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    let mark = shim::mark_in(event, &text)?;
    Some((text, mark))
}

/// Whose a file in a state home is, which `holder` names; `None` when it is no file of an installation for another place.
fn owner_of(
    workplace: &Workplace,
    site: &Site,
    (holder, (file, name)): (&Path, (&Path, &str)),
    ledger: Option<&Ledger>,
) -> Result<Option<Owner>> {
    let state = &workplace.homes.state;
    let Some(directory) = file.parent().filter(|_| file.ends_with(name)) else {
        return Ok(None);
    };
    let key = directory.file_name().and_then(|key| key.to_str());
    let is_key = |key: &&str| {
        let is_digest = key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_hexdigit());
        is_digest || *key == GLOBAL
    };
    let Some(key) = key.filter(is_key) else {
        return Ok(None);
    };
    let own = site.git_dir().map(|git_dir| repository_key(&git_dir));
    let is_own = own.as_deref() == Some(key);
    let owner = |known, why| Owner {
        directory: directory.to_owned(),
        known,
        why,
    };
    if directory.parent() != Some(&state.join("hooks")) {
        let is_of_a_state = directory
            .parent()
            .is_some_and(|all| all.ends_with("git-vault/hooks"));
        let why = elsewhere(holder, directory).filter(|_| is_of_a_state);
        return Ok(why.map(|why| owner(None, why)));
    }
    if is_own && ledger.is_some() || key == GLOBAL {
        return Ok(None);
    }
    if is_own {
        return Ok(Some(owner(None, FORGOTTEN)));
    }
    let all = repositories::all(state, &workplace.vault_home);
    let all = all.map_err(|error| error.refuse(RefusalCode::SettingInvalid))?;
    let mut known = all.known.into_iter();
    let known = known.find(|known| repository_key(&known.git_dir) == key);
    // The same directory may have two names, say by a bind mount: then it is neither moved nor copied.
    if let (Some(known), Some(here)) = (&known, site.git_dir())
        && disk::is_same(&known.git_dir, &here)
    {
        return Ok(None);
    }
    Ok(Some(owner(known, FORGOTTEN)))
}

/// Why something with another state home is of no use here; `None` when it may be somebody else's. What others can write, or have
/// written, is theirs.
fn elsewhere(holder: &Path, directory: &Path) -> Option<&'static str> {
    let user = rustix::process::geteuid().as_raw();
    let held = std::fs::metadata(holder).ok()?;
    if held.uid() != user || held.mode() & 0o022 != 0 {
        return None;
    }
    match std::fs::metadata(directory) {
        Err(error) if disk::is_nowhere(&error) => Some(
            "written with a state home that is not there: of another machine, or one that was renamed",
        ),
        Ok(found) if found.uid() == user => Some("written with another state home"),
        Ok(_) | Err(_) => None,
    }
}

fn reason_of(workplace: &Workplace, owner: &Owner) -> String {
    let Some(known) = &owner.known else {
        return owner.why.to_owned();
    };
    let place = known.git_dir.display();
    let why = match absent(known, &workplace.homes) {
        None => "which is another repository",
        Some(Absent::Unplugged(_)) => "which is on a disk that is not mounted",
        Some(Absent::Moved(_)) => "from where this repository was moved",
        Some(Absent::Gone) => "which is not there any more",
    };
    format!("written for '{place}', {why}")
}
