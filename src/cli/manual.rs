//! The command line with its examples, help with one command, and manual pages.

use clap::error::ErrorKind;
use clap::{Command, CommandFactory};

use super::args::Arguments;
use super::examples;

/// The topic that is no command: what to do when work is lost.
pub const LOST: &str = "lost";

/// What stands at the end of the help of the program.
const LOST_HINT: &str = "Lost work? git vault help lost";

/// The command line, with an example for every command.
#[must_use]
pub fn command() -> Command {
    with_examples(Arguments::command(), &[]).after_help(LOST_HINT)
}

fn with_examples(command: Command, names: &[&str]) -> Command {
    let inner: Vec<String> = command
        .get_subcommands()
        .map(|inner| inner.get_name().to_owned())
        .collect();
    let command = inner.iter().fold(command, |command, name| {
        let names = [names, &[name.as_str()]].concat();
        command.mut_subcommand(name, |inner| with_examples(inner, &names))
    });
    match examples::of(names) {
        None => command,
        Some(text) => {
            let lines = text.lines().map(|line| format!("\n  {line}"));
            let hint = if names.is_empty() {
                format!("\n\n{LOST_HINT}")
            } else {
                String::new()
            };
            command.after_long_help(format!("Examples:{}{hint}", lines.collect::<String>()))
        }
    }
}

/// Checks that there is help on a topic.
///
/// # Errors
/// When there is none.
pub fn check(topic: &[String]) -> Result<(), clap::Error> {
    if is_lost(topic) {
        return Ok(());
    }
    help(topic).map(|_text| ())
}

/// Whether the topic is what to do when work is lost.
#[must_use]
pub fn is_lost(topic: &[String]) -> bool {
    matches!(topic, [one] if one == LOST)
}

/// The long help of a command that is named by its words; that of the program when there are none.
///
/// # Errors
/// When there is no such command.
pub fn help(topic: &[String]) -> Result<String, clap::Error> {
    let mut all = command();
    all.build();
    let mut found = &all;
    for name in topic {
        let Some(inner) = found.find_subcommand(name) else {
            let reason = format!(
                "there is no help on '{}': git vault help lists the commands",
                crate::model::escape::for_terminal(&topic.join(" ")).replace('\n', " ")
            );
            return Err(all.clone().error(ErrorKind::InvalidSubcommand, reason));
        };
        found = inner;
    }
    Ok(found.clone().render_long_help().to_string())
}

/// All manual pages, by the name of their file: that of the program first.
///
/// # Errors
/// When a page cannot be put together.
pub fn pages() -> std::io::Result<Vec<(String, String)>> {
    let mut all = command();
    all.build();
    let mut pages = Vec::new();
    add_pages(&all, &mut pages)?;
    Ok(pages)
}

fn add_pages(command: &Command, pages: &mut Vec<(String, String)>) -> std::io::Result<()> {
    let man = clap_mangen::Man::new(command.clone())
        .source(concat!("git-vault ", env!("CARGO_PKG_VERSION")))
        .manual("git-vault");
    let mut bytes = Vec::new();
    man.render(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let text = text.replace("\n.SH EXTRA\nExamples:\n", "\n.SH EXAMPLES\n");
    pages.push((man.get_filename(), text));
    let shown = |inner: &&Command| !inner.is_hide_set() && inner.get_name() != "help";
    for inner in command.get_subcommands().filter(shown) {
        add_pages(inner, pages)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Commands that do something, by their words; those that only hold others are left out.
    fn all(command: &Command, names: &[String], found: &mut Vec<Vec<String>>) {
        let shown: Vec<&Command> = command
            .get_subcommands()
            .filter(|inner| !inner.is_hide_set())
            .collect();
        if shown.is_empty() {
            found.push(names.to_vec());
        }
        for inner in shown {
            let names = [names, &[inner.get_name().to_owned()]].concat();
            all(inner, &names, found);
        }
    }

    /// The words of a line, as simple as examples are: single quotes, and what is sent to a file left out.
    fn words(line: &str) -> Vec<String> {
        let line = line.split(" > ").next().unwrap_or_default();
        let parts = line.split('\'').enumerate();
        let mut words = vec![String::new()];
        for (number, part) in parts {
            if number % 2 == 1 {
                words.last_mut().unwrap().push_str(part);
                continue;
            }
            for (number, piece) in part.split(' ').enumerate() {
                if number > 0 {
                    words.push(String::new());
                }
                words.last_mut().unwrap().push_str(piece);
            }
        }
        words.retain(|word| !word.is_empty());
        words
    }

    #[test]
    fn every_command_has_an_example_and_every_example_is_a_command_line() {
        let mut found = Vec::new();
        all(&Arguments::command(), &[], &mut found);
        assert!(found.len() > 30, "the commands are seen at all");
        for names in &found {
            let names: Vec<&str> = names.iter().map(String::as_str).collect();
            assert!(
                examples::of(&names).is_some(),
                "src/cli/examples.rs has no example for {names:?}"
            );
        }
        for (names, text) in examples::EXAMPLES {
            for line in text.lines() {
                let words = words(line.strip_prefix("git vault ").expect(line));
                let parsed = command()
                    .try_get_matches_from([&["git-vault".to_owned()][..], &words].concat());
                assert!(parsed.is_ok(), "{line}: {}", parsed.unwrap_err());
                assert!(
                    names.iter().all(|name| words.contains(&(*name).to_owned())),
                    "{line} is no example of {names:?}"
                );
            }
        }
    }

    #[test]
    fn there_is_a_page_for_every_command_that_is_shown() {
        let pages = pages().unwrap();
        let names: Vec<&str> = pages.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names.first(), Some(&"git-vault.1"));
        for name in ["git-vault-snapshot.1", "git-vault-key-export.1"] {
            assert!(names.contains(&name), "{names:?}");
        }
        assert!(
            !names.iter().any(|name| name.contains("complete.1")),
            "{names:?}"
        );
        for (name, text) in &pages {
            assert!(text.contains(".TH git-vault"), "{name}");
        }
    }
}
