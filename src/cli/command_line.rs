//! The words of a command as records and logs may hold them: paths and names, never a text that a person wrote.

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Command};

use crate::host::walk::path_bytes;
use crate::model::escape::text_name;

/// What an argument's value must be, by the name it has in the help, to be written down. All others are left out, so that a
/// new option gives away nothing until somebody has thought about it.
const WRITTEN_DOWN: [&str; 12] = [
    "DIR",
    "FILE",
    "SNAP",
    "SNAP2",
    "SNAP:PATH",
    "SNAP[:PATH]",
    "PATH",
    "CODE",
    "NAME",
    "NUMBER",
    "ID",
    "TOOL",
];

/// What stands for a value that is not written down.
const LEFT_OUT: &str = "(left out)";

/// The words of the command that was given, in the order of the help.
#[must_use]
pub fn words(command: &mut Command, matches: &ArgMatches) -> Vec<String> {
    command.build();
    let mut words = Vec::new();
    let (mut command, mut matches) = (&*command, matches);
    while let Some((name, inner)) = matches.subcommand() {
        let Some(found) = command.find_subcommand(name) else {
            break;
        };
        words.push(name.to_owned());
        (command, matches) = (found, inner);
    }
    let given = command.get_arguments().filter(|argument| {
        matches.value_source(argument.get_id().as_str()) == Some(ValueSource::CommandLine)
    });
    for argument in given {
        add(&mut words, argument, matches);
    }
    words
}

fn add(words: &mut Vec<String>, argument: &Arg, matches: &ArgMatches) {
    if let Some(long) = argument.get_long() {
        words.push(format!("--{long}"));
    } else if let Some(short) = argument.get_short() {
        words.push(format!("-{short}"));
    }
    if !argument.get_action().takes_values() {
        return;
    }
    let names = argument.get_value_names().unwrap_or_default();
    let is_written = names
        .iter()
        .any(|name| WRITTEN_DOWN.contains(&name.as_str()));
    let values = matches.get_raw(argument.get_id().as_str());
    words.extend(values.into_iter().flatten().map(|value| {
        if is_written {
            text_name(path_bytes(value.as_ref()))
        } else {
            LEFT_OUT.to_owned()
        }
    }));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::Arguments;
    use clap::CommandFactory;

    fn words_of(line: &[&str]) -> Vec<String> {
        let mut command = Arguments::command();
        let matches = command.clone().try_get_matches_from(line).unwrap();
        words(&mut command, &matches)
    }

    #[test]
    fn paths_and_names_are_written_down_and_texts_are_not() {
        let line = ["git-vault", "--vault", "/v", "restore", "abc", "/d", "-q"];
        assert_eq!(
            words_of(&line),
            ["restore", "abc", "/d", "--vault", "/v", "--quiet"]
        );
        let line = [
            "git-vault",
            "snapshot",
            "-qmsecret",
            "--label=hidden",
            "-l",
            "too",
        ];
        let words = words_of(&line);
        assert_eq!(words.first().map(String::as_str), Some("snapshot"));
        assert!(words.contains(&"--message".to_owned()) && words.contains(&"--label".to_owned()));
        let line = words.join(" ");
        assert!(!line.contains("secret") && !line.contains("hidden") && !line.contains("too"));
    }

    #[test]
    fn names_cannot_forge_words() {
        assert_eq!(words_of(&["git-vault", "show", "a\nb"]), ["show", "a%0Ab"]);
        assert_eq!(
            words_of(&["git-vault", "incident", "list"]),
            ["incident", "list"]
        );
    }
}
