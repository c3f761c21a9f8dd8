//! What could come next on a command line: commands, options, snapshots and the paths in them. Whatever is wrong, a shell that asks
//! is told nothing rather than disturbed.

use std::path::PathBuf;

use clap::{Arg, Command};

use super::args::habits::LineForm;
use super::args::{Arguments, Command as Chosen};
use super::completion_line::TypedLine;
use super::environment::Environment;
use super::{manual, text};
use crate::model::listing::Entry;
use crate::model::refusal_code::RefusalCode;
use crate::ops;
use crate::ops::agents::tools::Tool;
use crate::ops::list::Detail;
use crate::ops::locate::Workplace;
use crate::ops::snapshot_path::SnapshotPath;

/// The line that asks the shell to complete names of files itself.
const FILES: &str = ":files";
/// So many of the newest snapshots are offered where nothing of a name is there yet.
const NEWEST: usize = 20;
/// No more candidates than this are given.
const MOST: usize = 2000;

/// One thing that could come next.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Candidate {
    text: String,
    about: String,
}

/// What the word that is being written is.
#[derive(Debug)]
enum Wanted<'c> {
    /// A command or an option of this one.
    Command(&'c Command),
    /// The value of an argument.
    Value(&'c Arg),
    /// Nothing that this program knows.
    Nothing,
}

/// The place on a command line where something is wanted, and what was said before.
#[derive(Debug)]
struct Point<'c> {
    command: &'c Command,
    wanted: Wanted<'c>,
    directory: Option<PathBuf>,
    vault: Option<PathBuf>,
}

/// The answer to a shell: a candidate on each line, with a tab and what it is.
#[must_use]
pub fn answer(arguments: &Arguments, form: LineForm, words: &[std::ffi::OsString]) -> String {
    let given = words.iter().map(|word| word.to_string_lossy().into_owned());
    let mut given: Vec<String> = given.collect();
    let (line, breaks) = match form {
        LineForm::Words => (TypedLine::of_words(given), None),
        LineForm::Line => {
            let breaks = if given.len() > 1 { given.pop() } else { None };
            let text = given.pop().unwrap_or_default();
            (TypedLine::parse(&text), Some(breaks.unwrap_or_default()))
        }
    };
    let Some((current, before)) = line.words.split_last() else {
        return String::new();
    };
    let (directories, own) = after_program(before);
    let mut all = manual::command();
    all.build();
    let mut point = point(&all, own, current);
    let of_git = directories.into_iter().chain(point.directory.take());
    point.directory = of_git.reduce(|outer, inner| outer.join(inner));
    let mut answer = String::new();
    for candidate in candidates(arguments, &point, current) {
        let is_plain = |text: &str| !text.chars().any(char::is_control);
        let text = match &breaks {
            _ if candidate.text == FILES => Some(FILES.to_owned()),
            Some(breaks) => line.for_readline(&candidate.text, breaks),
            None => Some(candidate.text),
        };
        if let Some(text) = text.filter(|text| is_plain(text)) {
            let about = crate::model::escape::for_terminal(&candidate.about);
            let about = about.replace(['\n', '\t'], " ");
            answer.push_str(&format!("{text}\t{about}\n"));
        }
    }
    answer
}

/// The words after the name of this program, and the directories that git is told to work in before it.
fn after_program(words: &[String]) -> (Vec<PathBuf>, &[String]) {
    let is_named = |word: &str, name: &str| {
        let word = word.rsplit('/').next().unwrap_or_default();
        word == name
    };
    let mut directories = Vec::new();
    let mut rest = words;
    let mut of_git = false;
    while let Some((word, after)) = rest.split_first() {
        rest = after;
        if is_named(word, "git-vault") || word == "vault" {
            return (directories, rest);
        }
        if is_named(word, "git") {
            of_git = true;
        } else if of_git
            && word == "-C"
            && let Some((directory, after)) = rest.split_first()
        {
            directories.push(PathBuf::from(directory));
            rest = after;
        }
    }
    (directories, &[])
}

fn takes_value(argument: &Arg) -> bool {
    argument.get_action().takes_values()
}

/// The option that a word names, and whether its value stands in the same word.
fn option<'c>(command: &'c Command, word: &str) -> Option<(&'c Arg, bool)> {
    if let Some(long) = word.strip_prefix("--") {
        let (name, has_value) = long
            .split_once('=')
            .map_or((long, false), |(name, _)| (name, true));
        let found = command
            .get_arguments()
            .find(|argument| argument.get_long() == Some(name))?;
        return Some((found, has_value));
    }
    let shorts = word.strip_prefix('-')?;
    for (at, short) in shorts.char_indices() {
        let found = command
            .get_arguments()
            .find(|argument| argument.get_short() == Some(short))?;
        if takes_value(found) {
            return Some((found, at + short.len_utf8() < shorts.len()));
        }
    }
    None
}

/// Follows the words to the place that `current` is written at.
fn point<'c>(all: &'c Command, words: &[String], current: &str) -> Point<'c> {
    let mut point = Point {
        command: all,
        wanted: Wanted::Nothing,
        directory: None,
        vault: None,
    };
    let mut pending: Option<&Arg> = None;
    let (mut positionals, mut only_positionals, mut is_after_dashes) = (0, false, false);
    for word in words {
        if let Some(argument) = pending.take() {
            match argument.get_id().as_str() {
                "directory" if argument.get_short() == Some('C') => {
                    point.directory = Some(PathBuf::from(word));
                }
                "vault" => point.vault = Some(PathBuf::from(word)),
                _ => {}
            }
        } else if !only_positionals && word == "--" {
            (only_positionals, is_after_dashes) = (true, true);
        } else if !only_positionals && word.len() > 1 && word.starts_with('-') {
            if let Some((argument, has_value)) = option(point.command, word) {
                pending = (takes_value(argument) && !has_value).then_some(argument);
            }
        } else if let Some(inner) = point.command.find_subcommand(word) {
            point.command = inner;
        } else {
            positionals += 1;
            // What is guarded is a command line of its own.
            only_positionals |= point.command.is_trailing_var_arg_set() || trails(point.command);
        }
    }
    point.wanted = match pending {
        Some(argument) => Wanted::Value(argument),
        None if !only_positionals && current.starts_with('-') => Wanted::Command(point.command),
        // No such command as was given.
        None if point.command.has_subcommands() && positionals > 0 => Wanted::Nothing,
        None if point.command.has_subcommands() => Wanted::Command(point.command),
        None => {
            let found = positional(point.command, positionals, is_after_dashes);
            found.map_or(Wanted::Nothing, Wanted::Value)
        }
    };
    point
}

fn trails(command: &Command) -> bool {
    let mut positionals = command.get_positionals();
    positionals.any(Arg::is_trailing_var_arg_set)
}

/// The argument without a name that comes as number `number`, or the one that comes after `--`.
fn positional(command: &Command, number: usize, is_after_dashes: bool) -> Option<&Arg> {
    let (last, all): (Vec<&Arg>, Vec<&Arg>) = command
        .get_positionals()
        .partition(|argument| argument.is_last_set());
    if is_after_dashes && !last.is_empty() {
        return last.first().copied();
    }
    let is_many = |argument: &&&Arg| {
        let range = argument.get_num_args();
        range.is_some_and(|range| range.max_values() > 1)
            || matches!(argument.get_action(), clap::ArgAction::Append)
    };
    // After several, the last one may come any time.
    all.get(number)
        .or_else(|| all.iter().rev().find(is_many))
        .copied()
}

fn candidates(arguments: &Arguments, point: &Point<'_>, current: &str) -> Vec<Candidate> {
    let mut found = match &point.wanted {
        Wanted::Command(command) if current.starts_with('-') => options(command),
        Wanted::Command(command) => commands(command),
        Wanted::Value(argument) => values(arguments, point, argument, current),
        Wanted::Nothing => Vec::new(),
    };
    found.retain(|one| one.text == FILES || one.text.starts_with(current));
    found.truncate(MOST);
    found
}

fn candidate(text: impl Into<String>, about: impl Into<String>) -> Candidate {
    Candidate {
        text: text.into(),
        about: about.into(),
    }
}

fn commands(command: &Command) -> Vec<Candidate> {
    let shown = command.get_subcommands().filter(|one| !one.is_hide_set());
    let about = |one: &Command| one.get_about().map(ToString::to_string);
    shown
        .map(|one| candidate(one.get_name(), about(one).unwrap_or_default()))
        .collect()
}

fn options(command: &Command) -> Vec<Candidate> {
    let named = command.get_arguments().filter_map(|argument| {
        let long = argument.get_long().filter(|_| !argument.is_hide_set())?;
        let about = argument.get_help().map(ToString::to_string);
        Some(candidate(format!("--{long}"), about.unwrap_or_default()))
    });
    named.collect()
}

/// What the value of an argument could be, by the name that it has in the help.
fn values(
    arguments: &Arguments,
    point: &Point<'_>,
    argument: &Arg,
    current: &str,
) -> Vec<Candidate> {
    let fixed = argument.get_possible_values();
    if !fixed.is_empty() {
        let about = |help: Option<&clap::builder::StyledStr>| help.map(ToString::to_string);
        let fixed = fixed.iter().filter(|one| !one.is_hide_set());
        return fixed
            .map(|one| candidate(one.get_name(), about(one.get_help()).unwrap_or_default()))
            .collect();
    }
    let names = argument.get_value_names().unwrap_or_default();
    let name = names.first().map(clap::builder::Str::as_str);
    let files = || vec![candidate(FILES, "")];
    let found = match name.unwrap_or_default() {
        "SNAP:PATH" | "SNAP[:PATH]" if current.contains(':') => paths(arguments, point, current),
        // A path must follow.
        "SNAP:PATH" => snapshots(arguments, point, current).map(|found| {
            let with_colon = found.into_iter();
            with_colon
                .map(|one| candidate(format!("{}:", one.text), one.about))
                .collect()
        }),
        "SNAP" | "SNAP2" | "SNAP[:PATH]" => snapshots(arguments, point, current),
        "PATH" => newest_paths(arguments, point, current),
        "CODE" => {
            let codes = RefusalCode::ALL.iter();
            Some(
                codes
                    .map(|code| candidate(code.code(), code.name()))
                    .collect(),
            )
        }
        "TOOL" => Some(Tool::ALL.map(|tool| candidate(tool.word(), "")).to_vec()),
        "TOPIC" => {
            let lost = candidate(manual::LOST, "what to do when work is lost");
            let shown = commands(&manual::command());
            Some(std::iter::once(lost).chain(shown).collect())
        }
        "ID" => incidents(arguments, point),
        "DIR" | "FILE" | "COMMAND" => Some(files()),
        _ => None,
    };
    found.unwrap_or_default()
}

/// Where a command works that is being written.
fn workplace(arguments: &Arguments, point: &Point<'_>) -> Option<Workplace> {
    let outer = arguments.directory.clone();
    let directory = outer.into_iter().chain(point.directory.clone());
    let there = Arguments {
        directory: directory.reduce(|outer, inner| outer.join(inner)),
        vault: point.vault.clone().or_else(|| arguments.vault.clone()),
        json: false,
        quiet: true,
        log_file: None,
        command: Chosen::List { sizes: false },
    };
    Some(Environment::read(&there).ok()?.workplace)
}

fn incidents(arguments: &Arguments, point: &Point<'_>) -> Option<Vec<Candidate>> {
    let list = ops::incidents::list(&workplace(arguments, point)?).ok()?;
    let newest_first = list.incidents.into_iter().rev();
    Some(newest_first.map(|one| candidate(one.id, "")).collect())
}

fn snapshots(arguments: &Arguments, point: &Point<'_>, current: &str) -> Option<Vec<Candidate>> {
    let workplace = workplace(arguments, point)?;
    let report = ops::list::list(&workplace, Detail::Plain).ok()?;
    let newest_first = report.snapshots.iter().rev();
    let mut found = Vec::new();
    for (steps, name) in [(0, "@latest"), (1, "@~1"), (2, "@~2")] {
        if let Some(one) = newest_first.clone().nth(steps) {
            found.push(candidate(name, text::habits::in_short(one, workplace.now)));
        }
    }
    let labels = newest_first.clone().flat_map(|one| {
        let about = text::habits::in_short(one, workplace.now);
        let labels = one.manifest.labels.iter();
        labels.map(move |label| candidate(label, about.clone()))
    });
    found.extend(labels);
    let most = if current.is_empty() { NEWEST } else { MOST };
    let ids = newest_first.take_while(|_| !current.starts_with('@'));
    found.extend(ids.take(most).map(|one| {
        let id = one.logged.record.id.as_str();
        candidate(id, text::habits::in_short(one, workplace.now))
    }));
    Some(found)
}

/// Paths in a snapshot, one step further than what is there.
fn paths(arguments: &Arguments, point: &Point<'_>, current: &str) -> Option<Vec<Candidate>> {
    let end = current.rfind([':', '/'])? + 1;
    let base = current.get(..end)?;
    let asked = SnapshotPath::parse(base.as_bytes()).ok()?;
    let report = ops::look::ls(&workplace(arguments, point)?, &asked, false).ok()?;
    let entries = report.entries.into_iter().filter_map(|listed| {
        let name = std::str::from_utf8(&listed.path).ok()?;
        match &listed.entry {
            Entry::Directory { .. } => Some(candidate(format!("{base}{name}/"), "")),
            Entry::File { bytes, .. } => {
                Some(candidate(format!("{base}{name}"), text::bytes(*bytes)))
            }
            Entry::Link { .. } => Some(candidate(format!("{base}{name}"), "link")),
            Entry::Special { .. } | Entry::LeftOut { .. } => None,
        }
    });
    Some(entries.collect())
}

/// Paths in the newest snapshot, without its name.
fn newest_paths(arguments: &Arguments, point: &Point<'_>, current: &str) -> Option<Vec<Candidate>> {
    let found = paths(arguments, point, &format!("@latest:{current}"))?;
    let bare = |one: Candidate| {
        let text = one.text.strip_prefix("@latest:").map(str::to_owned);
        text.map(|text| Candidate { text, ..one })
    };
    Some(found.into_iter().filter_map(bare).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wanted(line: &str) -> String {
        let mut all = manual::command();
        all.build();
        let line = TypedLine::parse(line);
        let (current, before) = line.words.split_last().unwrap();
        let (_, own) = after_program(before);
        match point(&all, own, current).wanted {
            Wanted::Command(command) => command.get_name().to_owned(),
            Wanted::Value(argument) => argument.get_value_names().unwrap()[0].to_string(),
            Wanted::Nothing => String::new(),
        }
    }

    #[test]
    fn the_place_on_a_command_line_is_found() {
        for (line, due) in [
            ("git vault ", "git-vault"),
            ("git vault sn", "git-vault"),
            ("git-vault --qu", "git-vault"),
            ("git vault -C ", "DIR"),
            ("git vault -C x --vault ", "DIR"),
            ("git -C vault vault show ", "SNAP"),
            ("/usr/bin/git-vault show ", "SNAP"),
            ("git vault verify a b", "SNAP"),
            ("git vault restore ", "SNAP[:PATH]"),
            ("git vault restore @latest ", "DIR"),
            ("git vault cat @latest:", "SNAP:PATH"),
            ("git vault key ", "key"),
            ("git vault key export ", "FILE"),
            ("git vault snapshot --message ", ""),
            ("git vault drill --scratch ", "DIR"),
            ("git vault drill --all --bud", "drill"),
            ("git vault guard ", "COMMAND"),
            ("git vault guard git -", "COMMAND"),
            ("git vault status extra ", ""),
            ("git vault runbook ", "CODE"),
            ("git vault diff @~1 ", "SNAP2"),
            ("git vault diff @~1 @latest ", ""),
            ("git vault diff @~1 -- ", "PATH"),
        ] {
            let found = wanted(line);
            let found = if found == "MESSAGE" {
                String::new()
            } else {
                found
            };
            assert_eq!(found, due, "{line}");
        }
    }
}
