//! Installs hooks, all of them or none, and takes away exactly what was installed.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::include;
use super::ledger::{self, Carrier, Found, Include, Ledger, WrittenFile};
use super::refusals::{self, Keeper};
use super::shim::{self, Places};
use super::stray::{self, Strays};
use super::survey::{describe, git_of, hooks_of, settings_of, site_of};
use super::{HOOKS_IN_SETTINGS, HooksReport, HooksRequest, LastSecond, Part, Scope, Site, State};
use super::{text_of, version_numbers};
use crate::host::disk;
use crate::host::git::hook_settings::HookSettings;
use crate::host::lock;
use crate::host::locked_edit::Change;
use crate::host::nameless;
use crate::model::hook_event::HookEvent;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::firing::is_registered;
use crate::ops::last_second::NOTE;
use crate::ops::locate::{Workplace, no_vault_yet};
use crate::vault::pending::Pending;
use crate::vault::registry;

/// How long an installation waits for another one.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the first line of the file of settings says.
const SETTINGS_MARK: &str =
    "# git-vault hooks 1: made by `git vault hooks install`, which makes it anew as a whole\n";

#[expect(clippy::needless_pass_by_value, reason = "it is given to map_err")]
fn refuse(error: disk::Error) -> Refusal {
    error
        .refuse(RefusalCode::SettingInvalid)
        .keeping("what others have installed is as it was")
}

/// Where a file is written.
enum Ground {
    /// In a directory of ours, where it may be replaced.
    Own,
    /// The same, and git runs it.
    OwnProgram,
    /// In the directory of hooks, where the place must be free.
    Slot,
}

/// What is to be installed.
struct Plan {
    ledger: Ledger,
    texts: Vec<(WrittenFile, String, Ground)>,
    include: Option<String>,
}

/// What is there of ours before an installation.
struct Known<'a> {
    old: Option<&'a Ledger>,
    strays: &'a Strays,
}

impl Known<'_> {
    /// The files, each as it was written.
    fn files(&self) -> impl Iterator<Item = &WrittenFile> {
        let old = self.old.iter().flat_map(|old| &old.files);
        old.chain(&self.strays.files)
    }

    fn file(&self, path: &Path) -> Option<&WrittenFile> {
        self.files().find(|file| file.path == path)
    }
}

/// Installs hooks.
///
/// # Errors
/// When a place is taken; then nothing was installed.
pub fn install(
    workplace: &Workplace,
    request: &HooksRequest,
    last_second: LastSecond,
) -> Result<HooksReport> {
    let site = site_of(workplace, request)?;
    check_site(workplace, &site, last_second)?;
    let version = git_of(request).ok_or_else(refusals::no_git)?;
    let numbers = version_numbers(&version).ok_or_else(refusals::no_git)?;
    let carrier = if numbers >= HOOKS_IN_SETTINGS {
        Carrier::Settings
    } else {
        Carrier::Files
    };
    if carrier == Carrier::Files && request.scope == Scope::Global {
        return Err(refusals::git_too_old(&version));
    }
    disk::create_directories(&site.directory).map_err(refuse)?;
    let _lock = lock(&site)?;
    let old = Ledger::load(&site.directory).map_err(refuse)?;
    let settings = settings_of(workplace, &site)?;
    let plan = plan(workplace, &site, request, carrier, last_second)?;
    let hooks = hooks_of(&site, &settings);
    let strays = stray::find(workplace, &site, hooks.as_deref(), old.as_ref())?;
    let known = Known {
        old: old.as_ref(),
        strays: &strays,
    };
    check_places(&site, &settings, &plan, &known)?;
    carry_out(&site, plan, &known)?;
    describe(workplace, &site, request)
}

fn lock(site: &Site) -> Result<lock::Lock> {
    let path = site.directory.join("ledger.lock");
    let locked = lock::lock(&path, PATIENCE).map_err(refuse)?;
    locked.ok_or_else(|| {
        Refusal::new(
            RefusalCode::AnotherWriter,
            "another process is installing hooks",
        )
        .because(format!("it holds '{}'", path.display()))
        .keeping("nothing was touched")
        .next("git vault hooks status", "says what is installed")
    })
}

fn check_site(workplace: &Workplace, site: &Site, last_second: LastSecond) -> Result<()> {
    match &site.repository {
        Some(repository) => {
            let state = &workplace.homes.state;
            registry::check_outside(repository, &[(state, "what is installed")])?;
            if is_registered(workplace, repository) {
                Ok(())
            } else {
                Err(no_vault_yet(repository)
                    .because("hooks do nothing in a repository without a vault"))
            }
        }
        None if last_second == LastSecond::Guarded => Err(Refusal::new(
            RefusalCode::SettingInvalid,
            "the last second is guarded in single repositories only",
        )
        .because("every command of git in every repository would pay for it")
        .keeping("nothing was installed")
        .next(
            "git vault hooks install --last-second",
            "guards it in one repository",
        )),
        None => Ok(()),
    }
}

/// The directory of hooks that git heeds, as far as files may be put there.
fn hooks_directory(site: &Site, settings: &HookSettings, program: &str) -> Result<PathBuf> {
    let git_dir = site.git_dir().unwrap_or_default();
    let usual = git_dir.join("hooks");
    let hooks = settings.hooks_path.as_ref().unwrap_or(&usual);
    if registry::real_path(hooks).starts_with(&git_dir) {
        Ok(hooks.clone())
    } else {
        Err(refusals::directory_elsewhere(hooks, program))
    }
}

fn plan(
    workplace: &Workplace,
    site: &Site,
    request: &HooksRequest,
    carrier: Carrier,
    last_second: LastSecond,
) -> Result<Plan> {
    let program = text_of(&request.program)?;
    let directory = text_of(&site.directory)?;
    let pending = site.git_dir().map(|git_dir| {
        let pending = Pending::of(&workplace.homes.state, &git_dir);
        text_of(&pending.file())
    });
    let places = Places {
        program: program.clone(),
        pending: pending.transpose()?,
        variables: request
            .variables
            .iter()
            .map(|(name, path)| Ok((*name, text_of(path)?)))
            .collect::<Result<_>>()?,
    };
    let is_guarded = last_second == LastSecond::Guarded;
    let mut texts = Vec::new();
    let mut add = |purpose: &str, path: &Path, text: String, ground| {
        texts.push((WrittenFile::new(purpose, path, &text), text, ground));
    };
    let mut settings = String::new();
    match carrier {
        Carrier::Settings => {
            let all = HookEvent::ALL.into_iter();
            settings.extend(all.map(|event| shim::hook_settings(event, &places)));
        }
        Carrier::Files => {
            let found = settings_of(workplace, site)?;
            let hooks = hooks_directory(site, &found, &program)?;
            for event in HookEvent::ALL {
                let text = shim::hook_file(event, &places);
                add(event.name(), &hooks.join(event.name()), text, Ground::Slot);
            }
        }
    }
    if is_guarded {
        settings.push_str(&shim::last_second_settings(&directory));
        for (name, text) in shim::last_second_files(&places) {
            add(name, &site.directory.join(name), text, Ground::OwnProgram);
        }
    }
    let include = if settings.is_empty() {
        None
    } else {
        let file = site.settings_file();
        let path = text_of(&file)?;
        add(
            "settings",
            &file,
            format!("{SETTINGS_MARK}{settings}"),
            Ground::Own,
        );
        Some(path)
    };
    Ok(Plan {
        ledger: Ledger::new(carrier, is_guarded, &program),
        texts,
        include,
    })
}

/// Refuses before anything is written when any place is taken.
fn check_places(
    site: &Site,
    settings: &HookSettings,
    plan: &Plan,
    known: &Known<'_>,
) -> Result<()> {
    let program = &plan.ledger.program;
    let mut slots = Vec::new();
    for (file, _, ground) in &plan.texts {
        let event = HookEvent::parse(&file.purpose);
        let is_there = file.path.symlink_metadata().is_ok();
        match (known.file(&file.path), ground) {
            // In a directory of ours, what an interrupted installation left, too, is replaced.
            (Some(known), Ground::Slot) if known.look().map_err(refuse)? == Found::Modified => {
                return Err(refusals::changed(&file.path));
            }
            (None, Ground::Slot) if is_there => {
                let keeper = Keeper::of_hook(&file.path);
                slots.extend(event.map(|event| (event, file.path.clone(), Some(keeper))));
            }
            (_, Ground::Slot) => {
                slots.extend(event.map(|event| (event, file.path.clone(), None)));
            }
            (_, Ground::Own | Ground::OwnProgram) => {}
        }
    }
    if slots.iter().any(|(_, _, keeper)| keeper.is_some()) {
        return Err(refusals::taken(&slots, program));
    }
    let hooks = slots.first().and_then(|(_, path, _)| path.parent());
    if let Some(hooks) = hooks
        && let Some(sign) = sign_of_lfs(site, hooks)
    {
        return Err(refusals::lfs(&sign, hooks, program));
    }
    let own = text_of(&site.directory.join(shim::ASK_MONITOR)).map(|path| shim::word(&path))?;
    match &settings.fsmonitor {
        Some(value)
            if plan.ledger.last_second && *value != own && !known.strays.has_program(value) =>
        {
            Err(refusals::monitor(value))
        }
        _ => Ok(()),
    }
}

/// What says that git-lfs keeps the hooks of a repository.
fn sign_of_lfs(site: &Site, hooks: &Path) -> Option<PathBuf> {
    let places = ["pre-push", "post-commit", "post-checkout", "post-merge"];
    let hook = places.iter().map(|name| hooks.join(name));
    let mut hook = hook.filter(|path| Keeper::of_hook(path) == Keeper::Lfs);
    let directory = site.git_dir()?.join("lfs");
    hook.next()
        .or_else(|| directory.exists().then_some(directory))
}

/// What was done in this very run, to be taken back.
#[derive(Default)]
struct Done {
    created: Vec<PathBuf>,
    replaced: Vec<(PathBuf, Vec<u8>)>,
}

fn carry_out(site: &Site, plan: Plan, known: &Known<'_>) -> Result<()> {
    let mut done = Done::default();
    let outcome = write_all(site, plan, known, &mut done);
    if outcome.is_err() {
        // All or nothing: what was made in this very run goes again, the rest is as it was.
        for path in &done.created {
            drop(std::fs::remove_file(path));
        }
        for (path, bytes) in &done.replaced {
            drop(nameless::replace_program(path, bytes));
        }
        match known.old {
            Some(old) => drop(old.store(&site.directory)),
            // As long as the configuration includes our file, what is needed to take that out again stays.
            None if includes_ours(site) => {}
            None => drop(std::fs::remove_file(Ledger::path(&site.directory))),
        }
    }
    outcome
}

/// Whether the configuration names our file; where that cannot be told, it does.
fn includes_ours(site: &Site) -> bool {
    let ours = site.settings_file();
    std::fs::read(&site.config).map_or_else(
        |error| error.kind() != std::io::ErrorKind::NotFound,
        |text| String::from_utf8_lossy(&text).contains(&*ours.to_string_lossy()),
    )
}

fn write_all(site: &Site, plan: Plan, known: &Known<'_>, done: &mut Done) -> Result<()> {
    let mut ledger = plan.ledger;
    ledger.made_directory = known.old.and_then(|old| old.made_directory.clone());
    let mut slots = plan
        .texts
        .iter()
        .filter(|text| matches!(text.2, Ground::Slot));
    let hooks = slots.find_map(|(file, ..)| file.path.parent());
    let missing = hooks.filter(|hooks| !hooks.exists());
    if let Some(hooks) = missing {
        ledger.made_directory = Some(hooks.to_owned());
    }
    let kept = known.old.and_then(|old| old.include.clone());
    let kept = kept.filter(|kept| kept.config == site.config);
    let strays = &known.strays.includes;
    let edit = include::open(&site.config)?;
    let wanted = plan.include.as_deref();
    let change = include::change(site, &edit, (wanted, kept), strays, &mut ledger)?;
    include::check_free(&site.config, &edit, &change)?;
    ledger.files = plan.texts.iter().map(|(file, ..)| file.clone()).collect();
    // What was there before and is not wanted any more stays in the ledger until it is gone.
    let is_wanted = |file: &&WrittenFile| ledger.files.iter().any(|new| new.path == file.path);
    let former = known.files().filter(|file| !is_wanted(file)).cloned();
    let former: Vec<WrittenFile> = former.collect();
    let mut whole = ledger.clone();
    whole.files.extend(former.iter().cloned());
    whole
        .store(&site.directory)
        .and_then(|()| {
            missing.map_or(Ok(()), |hooks| {
                std::fs::create_dir(hooks)
                    .map_err(|error| disk::Error::new("create directory", hooks, error))
            })
        })
        .and_then(|()| write_texts(&plan.texts, known, done))
        .map_err(refuse)?;
    include::finish(&site.config, edit, &change)?;
    // From here on it is installed; what is left of before goes.
    *done = Done::default();
    let elsewhere = strays.iter().filter(|stray| stray.config != site.config);
    for stray in elsewhere {
        let edit = include::open(&stray.config)?;
        let change = include::take_out(&edit, &[stray])?.unwrap_or(Change::Nothing);
        include::check_free(&stray.config, &edit, &change)?;
        include::finish(&stray.config, edit, &change)?;
    }
    for file in &former {
        if file.look().map_err(refuse)? == Found::Intact {
            std::fs::remove_file(&file.path)
                .map_err(|error| refuse(disk::Error::new("remove", &file.path, error)))?;
        }
    }
    known.strays.forget().map_err(refuse)?;
    ledger.store(&site.directory).map_err(refuse)
}

fn write_texts(
    texts: &[(WrittenFile, String, Ground)],
    known: &Known<'_>,
    done: &mut Done,
) -> disk::Result<()> {
    let is_known = |file: &WrittenFile| known.file(&file.path).is_some() && file.path.exists();
    for (file, text, ground) in texts {
        match ground {
            Ground::Own => disk::replace(&file.path, text.as_bytes())?,
            Ground::OwnProgram => nameless::replace_program(&file.path, text.as_bytes())?,
            Ground::Slot if is_known(file) => {
                let before = disk::read_bounded(&file.path, ledger::LIMIT_BYTES)?;
                nameless::replace_program(&file.path, text.as_bytes())?;
                done.replaced.push((file.path.clone(), before));
            }
            Ground::Slot => {
                nameless::write_new_program(&file.path, text.as_bytes())?;
                done.created.push(file.path.clone());
            }
        }
        if let Some(directory) = file.path.parent() {
            disk::sync_directory(directory)?;
        }
    }
    Ok(())
}

/// Takes the includes out of every file that holds one of them, or out of none; gives the files.
fn take_out_includes(own: Option<&Include>, strays: &Strays) -> Result<Vec<PathBuf>> {
    let all: Vec<&Include> = own.into_iter().chain(&strays.includes).collect();
    let mut configs: Vec<&PathBuf> = all.iter().map(|include| &include.config).collect();
    configs.sort();
    configs.dedup();
    let mut edits = Vec::new();
    for config in configs {
        let edit = include::open(config)?;
        let here = all.iter().filter(|include| include.config == *config);
        let here: Vec<&Include> = here.copied().collect();
        if let Some(change) = include::take_out(&edit, &here)? {
            include::check_free(config, &edit, &change)?;
            edits.push((config, edit, change));
        }
    }
    let mut taken = Vec::new();
    for (config, edit, change) in edits {
        include::finish(config, edit, &change)?;
        taken.push(config.clone());
    }
    Ok(taken)
}

/// Takes away what was installed, and nothing that was changed since.
///
/// # Errors
/// When the configuration cannot be changed safely; then nothing was taken away.
pub fn uninstall(workplace: &Workplace, request: &HooksRequest) -> Result<HooksReport> {
    let site = site_of(workplace, request)?;
    let mut report = HooksReport {
        scope: request.scope,
        git_dir: site.git_dir(),
        carrier: None,
        last_second: LastSecond::Unguarded,
        git: git_of(request),
        parts: Vec::new(),
    };
    let settings = settings_of(workplace, &site)?;
    let hooks = hooks_of(&site, &settings);
    if !Ledger::path(&site.directory).exists()
        && stray::find(workplace, &site, hooks.as_deref(), None)?.is_empty()
    {
        return Ok(report);
    }
    disk::create_directories(&site.directory).map_err(refuse)?;
    let _lock = lock(&site)?;
    let old = Ledger::load(&site.directory).map_err(refuse)?;
    let strays = stray::find(workplace, &site, hooks.as_deref(), old.as_ref())?;
    let mut part = |purpose: &str, path: &Path, state| {
        report.parts.push(Part {
            purpose: purpose.to_owned(),
            path: path.to_owned(),
            state,
        });
    };
    // The includes first: git is never told of a file that is not there.
    let own = old.as_ref().and_then(|old| old.include.as_ref());
    for config in take_out_includes(own, &strays)? {
        part("include", &config, State::Removed);
    }
    let has_ledger = old.is_some();
    let mut ledger = old.unwrap_or_else(|| Ledger::new(Carrier::Files, false, ""));
    ledger.include = None;
    ledger.files.extend(strays.files.iter().cloned());
    let mut left = Vec::new();
    for file in ledger.files {
        match file.look().map_err(refuse)? {
            Found::Missing => {}
            Found::Intact => {
                std::fs::remove_file(&file.path)
                    .map_err(|error| refuse(disk::Error::new("remove", &file.path, error)))?;
                part(&file.purpose, &file.path, State::Removed);
            }
            Found::Modified => {
                part(&file.purpose, &file.path, State::Modified);
                left.push(file);
            }
        }
    }
    // A note that only the last second reads.
    drop(std::fs::remove_file(site.directory.join(NOTE)));
    if let Some(directory) = &ledger.made_directory {
        // rmdir(2) removes nothing but an empty directory.
        drop(std::fs::remove_dir(directory));
    }
    strays.forget().map_err(refuse)?;
    ledger.files = left;
    if !has_ledger {
        return Ok(report);
    }
    if ledger.files.is_empty() {
        let path = Ledger::path(&site.directory);
        std::fs::remove_file(&path)
            .map_err(|error| refuse(disk::Error::new("remove", &path, error)))?;
    } else {
        ledger.store(&site.directory).map_err(refuse)?;
    }
    Ok(report)
}
