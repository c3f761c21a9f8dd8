//! Says what of an installation is as it was written, and whether git heeds it.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use super::ledger::{Carrier, Found, Ledger, WrittenFile};
use super::{HOOKS_IN_SETTINGS, HooksReport, HooksRequest, LastSecond, Part, RECENT_OBJECTS};
use super::{Scope, Site, State, version_numbers};
use super::{shim, stray};
use crate::host::disk;
use crate::host::git::config_include::has_include;
use crate::host::git::hook_settings::{self, HookSettings};
use crate::host::git_program::GitProgram;
use crate::model::hook_event::HookEvent;
use crate::model::refusal::Result;
use crate::model::refusal_code::RefusalCode;
use crate::ops::links;
use crate::ops::locate::{Workplace, refuse_open};
use crate::vault::pending::directory;
use crate::vault::registry::real_path;

/// Largest configuration file read.
const CONFIG_LIMIT_BYTES: u64 = 1 << 26;

/// Says what is installed.
///
/// # Errors
/// When it cannot be told.
pub fn status(workplace: &Workplace, request: &HooksRequest) -> Result<HooksReport> {
    let site = site_of(workplace, request)?;
    describe(workplace, &site, request)
}

pub(super) fn site_of(workplace: &Workplace, request: &HooksRequest) -> Result<Site> {
    let state = &workplace.homes.state;
    Ok(match request.scope {
        Scope::Repository => {
            let repository = workplace.repository()?;
            Site {
                directory: directory(state, &repository.git_dir),
                config: repository.git_dir.join("config"),
                configs: vec![repository.git_dir.join("config")],
                repository: Some(repository),
            }
        }
        Scope::Global => Site {
            repository: None,
            directory: state.join("hooks").join("global"),
            config: request.global_config.clone(),
            configs: request.global_configs.clone(),
        },
    })
}

/// What the git on the path calls itself.
pub(super) fn git_of(request: &HooksRequest) -> Option<String> {
    let nowhere = Path::new("/");
    let git = GitProgram::new(request.git.as_deref()?, nowhere, nowhere);
    git.version().ok().flatten()
}

pub(super) fn settings_of(workplace: &Workplace, site: &Site) -> Result<HookSettings> {
    let Some(repository) = &site.repository else {
        return Ok(HookSettings::default());
    };
    let worktree = repository.worktree.as_deref();
    hook_settings::read(&repository.git_dir, worktree, &workplace.lookup)
        .map_err(|error| refuse_open(&error, &repository.git_dir))
}

/// What is needed to judge whether git heeds a part.
struct Judge<'a> {
    site: &'a Site,
    ledger: &'a Ledger,
    settings: HookSettings,
    git: Option<String>,
    /// Why the file of settings is not heeded as a whole.
    unheeded: Option<String>,
}

pub(super) fn describe(
    workplace: &Workplace,
    site: &Site,
    request: &HooksRequest,
) -> Result<HooksReport> {
    let refuse = |error: disk::Error| error.refuse(RefusalCode::SettingInvalid);
    let ledger = Ledger::load(&site.directory).map_err(refuse)?;
    let settings = settings_of(workplace, site)?;
    let git = git_of(request);
    let hooks = hooks_of(site, &settings);
    let strays = stray::find(workplace, site, hooks.as_deref(), ledger.as_ref())?;
    let mut report = HooksReport {
        scope: request.scope,
        git_dir: site.git_dir(),
        carrier: ledger.as_ref().map(|ledger| ledger.carrier),
        last_second: match &ledger {
            Some(ledger) if ledger.last_second => LastSecond::Guarded,
            _ => LastSecond::Unguarded,
        },
        git: git.clone(),
        parts: Vec::new(),
    };
    if let Some(ledger) = &ledger {
        let include = include_part(ledger).map_err(refuse)?;
        let is_missing = include
            .as_ref()
            .is_some_and(|part| part.state != State::Intact);
        let judge = Judge {
            site,
            ledger,
            settings,
            git,
            unheeded: is_missing.then(|| "the configuration does not include it".to_owned()),
        };
        report.parts.push(program_part(ledger));
        report.parts.extend(include);
        for file in &ledger.files {
            report.parts.extend(judge.parts_of(file).map_err(refuse)?);
        }
    }
    report.parts.extend(strays.parts());
    let foreign = hooks
        .iter()
        .flat_map(|hooks| foreign(hooks, ledger.as_ref()));
    let foreign = foreign.filter(|part| !strays.has_file(&part.path));
    report.parts.extend(foreign);
    Ok(report)
}

/// The directory of hooks that git heeds in a repository.
pub(super) fn hooks_of(site: &Site, settings: &HookSettings) -> Option<PathBuf> {
    let set = settings.hooks_path.clone();
    set.or_else(|| site.git_dir().map(|git_dir| git_dir.join("hooks")))
}

fn part(purpose: &str, path: &Path, state: State) -> Part {
    Part {
        purpose: purpose.to_owned(),
        path: path.to_owned(),
        state,
    }
}

fn program_part(ledger: &Ledger) -> Part {
    let path = PathBuf::from(&ledger.program);
    let is_there = std::fs::metadata(&path)
        .is_ok_and(|found| found.is_file() && found.permissions().mode() & 0o111 != 0);
    let state = if is_there {
        State::Intact
    } else {
        State::Missing
    };
    part("program", &path, state)
}

fn include_part(ledger: &Ledger) -> disk::Result<Option<Part>> {
    let Some(include) = &ledger.include else {
        return Ok(None);
    };
    let state = match disk::read_bounded(&real_path(&include.config), CONFIG_LIMIT_BYTES) {
        Ok(config) if has_include(&config, &include.path) == Some(true) => State::Intact,
        Ok(_) => State::Missing,
        Err(error) if error.is_nowhere() => State::Missing,
        Err(error) => return Err(error),
    };
    Ok(Some(part("include", &include.config, state)))
}

/// Hooks of others for the events that ours are for.
fn foreign(hooks: &Path, ledger: Option<&Ledger>) -> Vec<Part> {
    let is_known = |path: &Path| {
        ledger.is_some_and(|ledger| ledger.files.iter().any(|file| file.path == path))
    };
    let events = HookEvent::ALL
        .into_iter()
        .map(|event| (event, hooks.join(event.name())));
    let others = events.filter(|(_, path)| path.symlink_metadata().is_ok() && !is_known(path));
    others
        .map(|(event, path)| part(event.name(), &path, State::Foreign))
        .collect()
}

impl Judge<'_> {
    fn parts_of(&self, file: &WrittenFile) -> disk::Result<Vec<Part>> {
        let state = match file.look()? {
            Found::Intact => State::Intact,
            Found::Modified => State::Modified,
            Found::Missing => State::Missing,
        };
        let heeded = |reason: Option<String>| match (&state, reason) {
            (State::Intact, Some(reason)) => State::Shadowed(reason),
            (state, _) => state.clone(),
        };
        if file.purpose != "settings" {
            let reason = match HookEvent::parse(&file.purpose) {
                Some(event) => self.why_not_run(event, file),
                None => self.why_not_asked(&file.purpose),
            };
            return Ok(vec![part(&file.purpose, &file.path, heeded(reason))]);
        }
        let mut parts = vec![part("settings", &file.path, heeded(self.unheeded.clone()))];
        if self.ledger.carrier == Carrier::Settings {
            parts.extend(HookEvent::ALL.into_iter().map(|event| {
                part(
                    event.name(),
                    &file.path,
                    heeded(self.why_not_configured(event)),
                )
            }));
        }
        Ok(parts)
    }

    fn is_older(&self, than: (u32, u32)) -> Option<String> {
        let git = self.git.as_deref()?;
        (version_numbers(git)? < than).then(|| format!("'{git}' knows nothing of it"))
    }

    /// Why git does not run a hook that is in the settings.
    fn why_not_configured(&self, event: HookEvent) -> Option<String> {
        let names = [shim::hook_name(event), event.name().to_owned()];
        let disabled = names
            .iter()
            .find(|name| self.settings.disabled.contains(name));
        self.unheeded
            .clone()
            .or_else(|| self.is_older(HOOKS_IN_SETTINGS))
            .or_else(|| disabled.map(|name| format!("hook.{name}.enabled is false")))
            .or_else(|| self.why_replaced(event))
    }

    /// Whether another setting has the last word on a hook: its command, or its events.
    fn why_replaced(&self, event: HookEvent) -> Option<String> {
        // Of settings for all repositories, this one's own are not read.
        self.site.repository.as_ref()?;
        let name = shim::hook_name(event);
        let Some((command, events)) = self.settings.configured.get(&name) else {
            return Some(format!("git finds no hook.{name}.command"));
        };
        let is_ours = command.contains(&shim::word(&self.ledger.program))
            && command.contains(&format!(" hook 1: {};", event.name()));
        if !is_ours {
            return Some(format!("hook.{name}.command is set to something else"));
        }
        let is_due = events.iter().any(|due| due == event.name());
        (!is_due).then(|| format!("hook.{name}.event does not name it"))
    }

    /// Why git does not run a hook that is a file.
    fn why_not_run(&self, event: HookEvent, file: &WrittenFile) -> Option<String> {
        if let Some(set) = &self.settings.hooks_path
            && real_path(&set.join(event.name())) != real_path(&file.path)
        {
            return Some(format!("core.hooksPath leads to '{}'", set.display()));
        }
        if let Some(relative) = &self.settings.hooks_path_relative {
            let git_dir = self.site.git_dir().unwrap_or_default();
            let leads_here = |root: &PathBuf| {
                real_path(&root.join(relative).join(event.name())) == real_path(&file.path)
            };
            if let Some(root) = links::roots(&git_dir).iter().find(|root| !leads_here(root)) {
                return Some(format!(
                    "core.hooksPath, which is relative, leads elsewhere in the linked worktree '{}'",
                    root.display()
                ));
            }
        }
        let mode = std::fs::metadata(&file.path).map(|found| found.permissions().mode());
        mode.is_ok_and(|mode| mode & 0o111 == 0)
            .then(|| "it may not be run".to_owned())
    }

    /// Why git does not ask at the last second.
    fn why_not_asked(&self, purpose: &str) -> Option<String> {
        let own = self.site.directory.join(purpose);
        let own = own.to_str().map(shim::word);
        let (is_heeded, other) = if purpose == shim::ASK_MONITOR {
            let set = &self.settings.fsmonitor;
            (*set == own, "core.fsmonitor")
        } else {
            if let Some(reason) = self.is_older(RECENT_OBJECTS) {
                return Some(reason);
            }
            let all = &self.settings.recent_objects;
            (
                own.is_some_and(|own| all.contains(&own)),
                "gc.recentObjectsHook",
            )
        };
        (!is_heeded).then(|| format!("{other} is set to something else"))
    }
}
