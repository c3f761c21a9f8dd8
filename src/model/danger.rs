//! Whether a line of shell can destroy work, for the case that no snapshot could be made before it.
//!
//! Snapshots are made before every command, whatever it is. Only when none can be made is the command judged. Of git, what is not
//! known to be harmless counts as destructive: aliases and options change what a subcommand does. Of other programs, what is
//! known to write over or remove files counts, and what hides what it does: a line that is not understood, a program given as
//! text, words of a command that are not known before it runs. What a build, a test or a script does cannot be seen.

use crate::model::danger_git::{Flags, is_plain_setting, subcommand};
use crate::model::danger_programs::{
    Sort, interpreter, is_disturbing, is_run_by_others, known_name, program, sort,
};
use crate::model::shell::{Simple, Word, commands};

/// What a line can do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Danger {
    /// It is known to destroy nothing.
    Harmless,
    /// It runs programs of which it cannot be seen what they do.
    Unseen,
    /// It cannot be told what it does.
    Unclear,
    /// It can destroy work.
    Destructive,
}

/// What was found in a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judgement {
    /// The worst of its commands.
    pub danger: Danger,
    /// Directories and files that it names, as it names them: where it works, beside the current directory.
    pub places: Vec<String>,
    /// Whether it names more of them.
    pub has_more_places: bool,
}

/// Most levels of shells within shells.
const DEPTH: usize = 5;
/// Most places that are looked at.
const PLACES: usize = 1024;

/// Judges a line of shell.
#[must_use]
pub fn judge(line: &str) -> Judgement {
    let mut judge = Judge {
        places: Vec::new(),
        has_more_places: false,
        directory: String::new(),
    };
    let danger = judge.line(line, DEPTH);
    Judgement {
        danger,
        places: judge.places,
        has_more_places: judge.has_more_places,
    }
}

struct Judge {
    places: Vec<String>,
    has_more_places: bool,
    /// Where `cd` has led so far.
    directory: String,
}

/// Programs that run another one, and their options that take a value.
const WRAPPERS: &[(&str, &str)] = &[
    ("-", ""),
    ("and", ""),
    ("begin", ""),
    ("builtin", ""),
    ("chronic", ""),
    ("command", ""),
    ("doas", "-u -C"),
    ("env", "-u -C --unset --chdir"),
    ("exec", "-a"),
    ("ionice", "-c -n --class --classdata"),
    ("nice", "-n --adjustment"),
    ("nocorrect", ""),
    ("noglob", ""),
    ("nohup", ""),
    ("not", ""),
    ("npx", "-p --package"),
    ("or", ""),
    ("setsid", ""),
    ("stdbuf", "-i -o -e --input --output --error"),
    (
        "sudo",
        "-u -g -C -h -p -D -R -T -r -t -U --user --group --close-from --host --prompt --chdir --chroot --command-timeout --role \
         --type --other-user",
    ),
    ("time", "-f --format"),
    ("timeout", "-s -k --signal --kill-after"),
    ("unbuffer", ""),
    (
        "xargs",
        "-n -P -I -L -d -a -s -E --max-args --max-procs --max-chars --delimiter --arg-file --process-slot-var",
    ),
];

/// Options by which some of them run a text, open a shell, or write a file.
const UNCLEAR_OPTIONS: &[(&str, &[&str])] = &[
    ("env", &["-S", "--split-string"]),
    ("npx", &["-c", "--call"]),
    ("sudo", &["-s", "-i", "-e", "--shell", "--login", "--edit"]),
    ("time", &["-o", "--output"]),
];

impl Judge {
    fn line(&mut self, line: &str, depth: usize) -> Danger {
        match commands(line) {
            Ok(_) if depth == 0 => Danger::Unclear,
            Err(_) => Danger::Unclear,
            Ok(commands) => commands
                .iter()
                .map(|command| self.simple(command, depth))
                .max()
                .unwrap_or(Danger::Harmless),
        }
    }

    fn simple(&mut self, command: &Simple, depth: usize) -> Danger {
        let danger = if command.overwrites {
            Danger::Destructive
        } else {
            Danger::Harmless
        };
        let by_variables = if command.variables.iter().any(|name| is_disturbing(name)) {
            Danger::Unclear
        } else {
            Danger::Harmless
        };
        self.note_places(&command.words);
        let by_words = self.words(&command.words, command.is_fed, depth);
        danger.max(by_variables).max(by_words)
    }

    fn note(&mut self, place: &str) {
        let is_known = place.is_empty() || self.places.iter().any(|known| known == place);
        // A text of many lines is no place.
        if is_known || place.contains('\n') {
            return;
        }
        if self.places.len() < PLACES {
            self.places.push(place.to_owned());
        } else {
            self.has_more_places = true;
        }
    }

    /// Arguments that say by themselves where they lie, or are no single words. Whoever asks looks for single words, too.
    fn note_places(&mut self, words: &[Word]) {
        for word in words.iter().skip(1).filter(|word| !word.is_dynamic) {
            let text = word.text.as_str();
            let is_option = text.starts_with('-');
            if !is_option && (text.contains('/') || text.contains(char::is_whitespace)) {
                let place = self.below(text);
                self.note(&place);
            } else if let Some(start) = text.find(['.', '/', '~']).filter(|_| is_option) {
                // `-C../x`, `--directory=/x`
                let place = self.below(text.get(start..).unwrap_or_default());
                self.note(&place);
            }
        }
    }

    fn below(&self, place: &str) -> String {
        if self.directory.is_empty() || place.starts_with(['/', '~']) {
            place.to_owned()
        } else {
            format!("{}/{place}", self.directory)
        }
    }

    fn words(&mut self, words: &[Word], is_fed: bool, depth: usize) -> Danger {
        let Some((program_word, arguments)) = words.split_first() else {
            return Danger::Harmless;
        };
        if program_word.is_dynamic
            || (!program_word.is_quoted && program_word.text.contains(['*', '?', '{', '[']))
                && program_word.text.len() > 2
        {
            return Danger::Unclear;
        }
        let name = known_name(&program_word.text);
        match name.as_str() {
            "cd" | "pushd" => {
                if let [place] = arguments
                    && !place.is_dynamic
                {
                    self.directory = self.below(&place.text);
                    let place = self.directory.clone();
                    self.note(&place);
                }
                Danger::Harmless
            }
            "git" => self.git(arguments),
            "find" => self.find(arguments, depth),
            "fd" | "fdfind" => found(Flags(arguments).has(&["-x", "-X", "--exec", "--exec-batch"])),
            // It only says where a program is.
            "command"
                if arguments
                    .first()
                    .is_some_and(|word| ["-v", "-V"].contains(&word.text.as_str())) =>
            {
                Danger::Harmless
            }
            name if WRAPPERS.iter().any(|(wrapper, _)| *wrapper == name) => {
                self.wrapped(name, arguments, is_fed, depth)
            }
            name => match sort(name) {
                Sort::Shell => self.shell(arguments, is_fed, depth),
                Sort::Interpreter => interpreter(arguments, is_fed),
                Sort::Other => match program(name, arguments) {
                    Danger::Unseen => self.run_by(arguments, depth).max(Danger::Unseen),
                    danger @ (Danger::Harmless | Danger::Unclear | Danger::Destructive) => danger,
                },
            },
        }
    }

    /// What a program that is not known may run: words that are the name of another one, and what follows them; a text after `-c`.
    fn run_by(&mut self, arguments: &[Word], depth: usize) -> Danger {
        let mut danger = Danger::Harmless;
        for (at, word) in arguments.iter().enumerate() {
            if depth == 0 {
                return Danger::Unclear;
            }
            let rest = arguments.get(at..).unwrap_or_default();
            if is_run_by_others(word) {
                return danger.max(self.words(rest, false, depth - 1));
            }
            let is_before_text =
                ["-c", "--command", "--call", "-e", "--exec"].contains(&word.text.as_str());
            if let (true, Some(text)) = (is_before_text, rest.get(1))
                && self.line(&text.text, depth - 1) == Danger::Destructive
            {
                danger = Danger::Destructive;
            }
        }
        danger
    }

    /// `sudo`, `env` and others: options, settings of variables, then a command.
    fn wrapped(&mut self, name: &str, arguments: &[Word], is_fed: bool, depth: usize) -> Danger {
        let of = |table: &'static str| table.split_whitespace();
        let with_value: Vec<&str> = WRAPPERS
            .iter()
            .filter(|(wrapper, _)| *wrapper == name)
            .flat_map(|(_, options)| of(options))
            .collect();
        let unclear = UNCLEAR_OPTIONS.iter().find(|(wrapper, _)| *wrapper == name);
        let mut rest = arguments;
        // `timeout` has a duration before the command.
        let mut to_skip = usize::from(name == "timeout");
        let mut is_sure = true;
        while let Some((word, after)) = rest.split_first() {
            let text = word.text.as_str();
            let option = std::slice::from_ref(word);
            if word.is_dynamic
                || unclear
                    .is_some_and(|(_, options)| text.starts_with('-') && Flags(option).has(options))
            {
                return Danger::Unclear;
            }
            if text.starts_with('-') && text != "-" {
                // Whether an option that is not known takes the next word is not known either.
                is_sure &= with_value.contains(&text) || text.contains('=') || text == "--";
                rest = if with_value.contains(&text) {
                    after.get(1..).unwrap_or_default()
                } else {
                    after
                };
            } else if text.contains('=') && ["env", "sudo", "doas"].contains(&name) {
                if is_disturbing(text.split('=').next().unwrap_or_default()) {
                    return Danger::Unclear;
                }
                rest = after;
            } else if to_skip > 0 {
                to_skip -= 1;
                rest = after;
            } else {
                break;
            }
        }
        if depth == 0 {
            return Danger::Unclear;
        }
        let mut danger = self.words(rest, is_fed, depth - 1);
        if !is_sure {
            danger = danger.max(self.run_by(rest, depth - 1));
        }
        // What `xargs` adds to a command comes from elsewhere.
        if name == "xargs" && danger != Danger::Harmless {
            return danger.max(Danger::Unclear);
        }
        danger
    }

    /// Options come first, some with a value; then a script, or with `-c` the text of one.
    fn shell(&mut self, arguments: &[Word], is_fed: bool, depth: usize) -> Danger {
        let mut rest = arguments.iter();
        let (mut is_text, mut reads_input) = (false, is_fed);
        let script = loop {
            let Some(word) = rest.next() else {
                break None;
            };
            let text = word.text.as_str();
            if word.is_dynamic && (text.is_empty() || text.starts_with(['-', '+'])) && !is_text {
                return Danger::Unclear;
            }
            if text == "--" {
                break rest.next();
            }
            if let Some(long) = text.strip_prefix("--") {
                if long.starts_with('c') || long.starts_with("init-c") || long.starts_with("eval") {
                    return Danger::Unclear;
                }
                if ["rcfile", "init-file"].contains(&long) {
                    rest.next();
                }
            } else if let Some(letters) = text.strip_prefix(['-', '+']) {
                is_text |= letters.contains('c');
                reads_input |= letters.contains('s');
                for _ in letters.matches(['o', 'O']) {
                    rest.next();
                }
            } else {
                break Some(word);
            }
        };
        match script {
            Some(text) if is_text && !text.is_dynamic && depth > 0 => {
                self.line(&text.text, depth - 1)
            }
            Some(_) if !is_text && !reads_input => Danger::Unseen,
            _ => Danger::Unclear,
        }
    }

    fn find(&mut self, arguments: &[Word], depth: usize) -> Danger {
        let mut danger = Danger::Harmless;
        let mut rest = arguments;
        while let Some((word, after)) = rest.split_first() {
            rest = after;
            match word.text.as_str() {
                "-delete" | "-fprint" | "-fprint0" | "-fprintf" | "-fls" => {
                    return Danger::Destructive;
                }
                "-exec" | "-execdir" | "-ok" | "-okdir" => {
                    let ends = |word: &Word| word.text == ";" || word.text == "+";
                    let end = after.iter().position(ends).unwrap_or(after.len());
                    let inner = after.get(..end).unwrap_or_default();
                    // What is within is judged once.
                    rest = after.get(end..).unwrap_or_default();
                    if depth == 0 {
                        return Danger::Unclear;
                    }
                    let found = self.words(inner, false, depth - 1);
                    danger = danger.max(if found == Danger::Harmless {
                        found
                    } else {
                        found.max(Danger::Unclear)
                    });
                }
                _ if word.is_dynamic && !word.is_quoted => danger = danger.max(Danger::Unclear),
                _ => {}
            }
        }
        danger
    }

    fn git(&mut self, arguments: &[Word]) -> Danger {
        let mut rest = arguments;
        let mut directory = self.directory.clone();
        while let Some((word, after)) = rest.split_first() {
            let text = word.text.as_str();
            let names_place = ["--work-tree=", "--git-dir="]
                .iter()
                .any(|option| text.starts_with(option));
            if word.is_dynamic && !names_place {
                return Danger::Unclear;
            }
            let value = after.first();
            match text {
                "-C" | "--work-tree" | "--git-dir" => {
                    let Some(value) = value.filter(|value| !value.is_dynamic) else {
                        return Danger::Unclear;
                    };
                    let place = if directory.is_empty() || value.text.starts_with(['/', '~']) {
                        value.text.clone()
                    } else {
                        format!("{directory}/{}", value.text)
                    };
                    self.note(&place);
                    if text == "-C" {
                        directory = place;
                    }
                    rest = after.get(1..).unwrap_or_default();
                }
                "-c" => {
                    // A setting can name a program, or make an alias.
                    if !value.is_some_and(|value| is_plain_setting(&value.text)) {
                        return Danger::Unclear;
                    }
                    rest = after.get(1..).unwrap_or_default();
                }
                "--no-pager"
                | "-P"
                | "--paginate"
                | "-p"
                | "--no-optional-locks"
                | "--bare"
                | "--literal-pathspecs" => {
                    rest = after;
                }
                "--version" | "--help" | "-v" | "-h" => return Danger::Harmless,
                _ => {
                    if let Some(place) = text
                        .strip_prefix("--work-tree=")
                        .or_else(|| text.strip_prefix("--git-dir="))
                    {
                        self.note(place);
                        rest = after;
                        continue;
                    }
                    if text.starts_with('-') {
                        return Danger::Unclear;
                    }
                    return subcommand(text, after);
                }
            }
        }
        Danger::Harmless
    }
}

/// Whether a name is one of the words of a table.
pub(super) fn is_in(table: &str, name: &str) -> bool {
    table.split_whitespace().any(|word| word == name)
}

pub(super) fn found(is_destructive: bool) -> Danger {
    if is_destructive {
        Danger::Destructive
    } else {
        Danger::Harmless
    }
}
