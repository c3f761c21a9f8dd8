//! `git vault agents hook TOOL`: a snapshot before a coding agent acts. When none can be made, what could destroy work must wait.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use crate::model::danger::{Danger, judge};
use crate::model::event::Monitor;
use crate::model::refusal::Refusal;
use crate::model::refusal_code::RefusalCode;
use crate::ops::agents::call::{Action, Call, is_plain, resolve};
use crate::ops::agents::tools::Tool;
use crate::ops::contents::Clock;
use crate::ops::locate::Workplace;
use crate::ops::trigger::fire_in;
use crate::vault::heartbeats::{self, Heartbeat};
use crate::vault::inspect::looks_like_vault;

/// What the tool is told.
#[derive(Debug)]
pub enum Verdict {
    /// It may go on.
    Pass,
    /// It may go on, and a person should know this.
    Warn(Vec<String>),
    /// It must not do this now.
    Block {
        /// Why what it is about to do counts as destructive.
        reason: &'static str,
        /// Why no snapshot could be made.
        refusal: Refusal,
    },
}

/// What came of a call.
#[derive(Debug)]
pub struct HookReport {
    /// The tool.
    pub tool: Tool,
    /// Whether it asked before a prompt: then nothing is ever blocked.
    pub is_prompt: bool,
    /// What it is told.
    pub verdict: Verdict,
    /// Ids of the snapshots that hold the state before the call.
    pub snapshots: Vec<String>,
    /// Why there is none, of each repository without one.
    pub refused: Vec<Refused>,
}

/// A repository of which no snapshot could be made.
#[derive(Debug)]
pub struct Refused {
    /// Where it was looked for.
    pub place: PathBuf,
    /// Why.
    pub refusal: Refusal,
    /// Whether the last call of this tool was not refused for the same reason: an agent makes hundreds of calls, and one record
    /// of what is wrong is enough.
    pub is_new: bool,
}

/// Takes the snapshots that a call needs, and says what the tool is told.
#[must_use]
pub fn hook(
    workplace: &Workplace,
    tool: Tool,
    call: &Call,
    clock: Clock<'_>,
    monitor: &dyn Monitor,
) -> HookReport {
    let mut report = HookReport {
        tool,
        is_prompt: call.is_prompt,
        verdict: Verdict::Pass,
        snapshots: Vec::new(),
        refused: Vec::new(),
    };
    if call.action == Action::Look {
        return report;
    }
    let mut warnings = Vec::new();
    if call.action == Action::Unknown {
        warnings.push("what the agent is about to do could not be understood".to_owned());
    }
    let mut seen = BTreeSet::new();
    let places = places(workplace, call);
    for place in places.all {
        let mut there = workplace.clone();
        // A vault that was named is for the repository at hand, not for any that a call is about.
        there.vault = None;
        there.lookup.start = place;
        save(
            &there,
            &mut seen,
            &mut report,
            &mut warnings,
            (clock, monitor),
        );
    }
    report.verdict = verdict(workplace, call, &report.refused, warnings);
    if let (true, Verdict::Pass | Verdict::Warn(_)) = (places.has_more, &report.verdict) {
        let start = call.directory.as_deref();
        let start = start.unwrap_or(&workplace.lookup.start);
        if let Some(reason) = reason_to_wait(start, workplace.lookup.home.as_deref(), call) {
            report.verdict = Verdict::Block {
                reason,
                refusal: too_many(),
            };
        }
    }
    report
}

fn too_many() -> Refusal {
    Refusal::new(
        RefusalCode::SourceNotSupported,
        "the command names more places than are looked at",
    )
    .because("what is there might not be in a snapshot")
    .keeping("snapshots of what was looked at were made")
    .next(
        "git vault snapshot",
        "in each repository that it is about; or do it in several steps",
    )
}

/// Where a call acts.
struct Places {
    all: Vec<PathBuf>,
    /// Whether it may act elsewhere, too.
    has_more: bool,
}

/// What is known of where a hook runs, before anything was looked for.
#[derive(Debug, Clone, Default)]
pub struct Surroundings {
    /// Its current directory.
    pub directory: Option<PathBuf>,
    /// The home directory of its user.
    pub home: Option<PathBuf>,
}

/// What the tool is told when nothing could even be looked for.
#[must_use]
pub fn without_surroundings(
    tool: Tool,
    call: &Call,
    surroundings: &Surroundings,
    refusal: Refusal,
) -> HookReport {
    let start = call
        .directory
        .as_deref()
        .or(surroundings.directory.as_deref());
    let waits = match (&call.action, start) {
        (Action::Write(files), None) if files.iter().any(|file| !file.starts_with('/')) => {
            Some("it cannot be told which file would be written")
        }
        (_, start) => {
            let start = start.unwrap_or(Path::new("/"));
            reason_to_wait(start, surroundings.home.as_deref(), call)
        }
    };
    let verdict = match waits {
        Some(reason) => Verdict::Block {
            reason,
            refusal: refusal.clone(),
        },
        None if call.action == Action::Look => Verdict::Pass,
        None => Verdict::Warn(vec![no_snapshot(&refusal)]),
    };
    HookReport {
        tool,
        is_prompt: call.is_prompt,
        verdict,
        snapshots: Vec::new(),
        refused: vec![Refused {
            place: PathBuf::from("/"),
            refusal,
            is_new: true,
        }],
    }
}

/// Where the call acts: its directory first, then what it names.
fn places(workplace: &Workplace, call: &Call) -> Places {
    let start = call
        .directory
        .clone()
        .unwrap_or_else(|| workplace.lookup.start.clone());
    let home = workplace.lookup.home.as_deref();
    let mut has_more = false;
    let named = match &call.action {
        Action::Command(line) => match judge(line) {
            // What only looks leads nowhere, as far as all of it can be read.
            judgement if judgement.danger == Danger::Harmless && !line.contains(['$', '`']) => {
                Vec::new()
            }
            judgement => {
                let (words, has_more_words) = words_that_are_there(&start, home, line);
                has_more = judgement.has_more_places || has_more_words;
                let mut named = judgement.places;
                named.extend(words);
                named
            }
        },
        Action::Write(files) => files
            .iter()
            .flat_map(|file| with_target(&start, home, file))
            .collect(),
        Action::Look | Action::Prompt | Action::Other | Action::Unknown => Vec::new(),
    };
    let named = named.iter().filter_map(|place| {
        let place = resolve(&start, home, place);
        let mut above = place.ancestors();
        above.find(|place| place.is_dir()).map(Path::to_owned)
    });
    let mut known = BTreeSet::new();
    let all = std::iter::once(start.clone())
        .chain(named)
        .chain(call.others.iter().cloned());
    Places {
        all: all.filter(|place| known.insert(place.clone())).collect(),
        has_more,
    }
}

/// A file, and where it leads if it is a link.
fn with_target(start: &Path, home: Option<&Path>, file: &str) -> Vec<String> {
    let target = std::fs::canonicalize(resolve(start, home, file)).ok();
    let target = target.and_then(|target| target.to_str().map(str::to_owned));
    std::iter::once(file.to_owned()).chain(target).collect()
}

/// So many words of a line are looked for.
const WORDS: usize = 8192;
/// From so many directories.
const STARTS: usize = 16;

/// Words of a line that are the names of something, from the directory of the call or from one that the line names: a line that cannot
/// be taken apart, or that names files of another repository by relative paths, must not be thought to act here only.
fn words_that_are_there(start: &Path, home: Option<&Path>, line: &str) -> (Vec<String>, bool) {
    let home_text = home.and_then(Path::to_str).unwrap_or_default();
    let start_text = start.to_str().unwrap_or_default();
    let mut line = line.to_owned();
    for (name, value) in [
        ("HOME", home_text),
        ("PWD", start_text),
        ("CLAUDE_PROJECT_DIR", start_text),
    ] {
        line = line
            .replace(&format!("${{{name}}}"), value)
            .replace(&format!("${name}"), value);
    }
    let is_between =
        |character: char| character.is_whitespace() || ";&|()<>{}\"'`$=,".contains(character);
    let mut words = BTreeSet::new();
    let mut has_more = false;
    let mut in_order = Vec::new();
    let all = line.split(is_between);
    for word in all.filter(|word| !word.is_empty() && !word.starts_with('-')) {
        if !words.contains(word) {
            has_more = words.len() == WORDS;
            if has_more {
                break;
            }
            words.insert(word);
            in_order.push(word);
        }
    }
    let mut found: Vec<PathBuf> = Vec::new();
    let mut from = vec![start.to_owned()];
    for word in in_order {
        let all = from.iter().map(|from| resolve(from, home, word));
        let there: Vec<PathBuf> = all.filter(|path| path.symlink_metadata().is_ok()).collect();
        from.extend(
            there
                .iter()
                .filter(|path| path.is_dir())
                .take(STARTS)
                .cloned(),
        );
        from.truncate(STARTS);
        found.extend(there);
    }
    let found = found
        .into_iter()
        .filter_map(|path| path.to_str().map(str::to_owned));
    (found.collect(), has_more)
}

/// Takes a snapshot of the repository at a place, unless there is none or it has been taken already.
fn save(
    workplace: &Workplace,
    seen: &mut BTreeSet<PathBuf>,
    report: &mut HookReport,
    warnings: &mut Vec<String>,
    (clock, monitor): (Clock<'_>, &dyn Monitor),
) {
    let trigger = format!("agent/{}", report.tool.word());
    let repository = match workplace.repository() {
        Ok(repository) => repository,
        Err(refusal)
            if refusal.code == RefusalCode::NotARepository
                && !has_git_above(&workplace.lookup.start) =>
        {
            return;
        }
        Err(refusal) => {
            report.refused.push(Refused {
                place: workplace.lookup.start.clone(),
                refusal,
                is_new: true,
            });
            return;
        }
    };
    if !seen.insert(repository.git_dir.clone()) {
        return;
    }
    if looks_like_vault(&repository.git_dir) {
        // A vault is a repository, too, but one that holds snapshots, not work.
        let vault = repository.git_dir.display();
        warnings.push(format!(
            "'{vault}' is a vault: nothing is saved of it, and nothing should be changed in it"
        ));
        return;
    }
    let before = heartbeats::read(&workplace.homes.state, &repository.git_dir);
    match fire_in(workplace, &repository, &trigger, clock, monitor) {
        Ok(made) => {
            if made.new_key.is_some() {
                warnings.push(
                    "a vault was made for this repository, and its key has no second copy yet: see git vault key status"
                        .to_owned(),
                );
            }
            warnings.extend(made.warnings);
            report.snapshots.push(made.manifest.snapshot.to_string());
        }
        Err(refusal) => {
            let code = refusal.code.code();
            let is_same = |beat: &Heartbeat| beat.trigger == trigger && beat.detail == code;
            report.refused.push(Refused {
                place: workplace.lookup.start.clone(),
                is_new: !before.iter().any(is_same),
                refusal,
            });
        }
    }
}

/// Whether something that is named like a git directory is there or above: what cannot be opened of it may still be somebody's work.
fn has_git_above(start: &Path) -> bool {
    start
        .ancestors()
        .any(|place| place.join(".git").symlink_metadata().is_ok())
}

fn no_snapshot(refusal: &Refusal) -> String {
    let steps = refusal
        .next
        .iter()
        .map(|step| format!("; {}", step.command));
    format!(
        "no snapshot was made: {refusal}{}",
        steps.collect::<String>()
    )
}

fn verdict(
    workplace: &Workplace,
    call: &Call,
    refused: &[Refused],
    mut warnings: Vec<String>,
) -> Verdict {
    if let Some(first) = refused.first() {
        let start = call.directory.as_deref().unwrap_or(&workplace.lookup.start);
        if let Some(reason) = reason_to_wait(start, workplace.lookup.home.as_deref(), call) {
            return Verdict::Block {
                reason,
                refusal: first.refusal.clone(),
            };
        }
        warnings.extend(refused.iter().map(|one| no_snapshot(&one.refusal)));
    }
    if warnings.is_empty() {
        Verdict::Pass
    } else {
        Verdict::Warn(warnings)
    }
}

/// Why a call must not be made when what is there could not be saved before.
fn reason_to_wait(start: &Path, home: Option<&Path>, call: &Call) -> Option<&'static str> {
    match &call.action {
        Action::Command(line) => match judge(line).danger {
            Danger::Harmless | Danger::Unseen => None,
            Danger::Unclear => Some("it cannot be told what the command does"),
            Danger::Destructive => Some("the command can destroy work"),
        },
        Action::Write(files) => {
            let is_there = |file: &String| {
                !is_plain(file) || resolve(start, home, file).symlink_metadata().is_ok()
            };
            let is_overwriting = files.iter().any(is_there);
            is_overwriting.then_some("a file that is there would be written over")
        }
        Action::Unknown => Some("it cannot be told what the agent is about to do"),
        Action::Look | Action::Prompt | Action::Other => None,
    }
}
