//! What git's own subcommands and options can do to work.

use crate::model::danger::{Danger, found, is_in};
use crate::model::shell::Word;

/// Whether `-c KEY=VALUE` changes nothing about what a command does to files.
pub(super) fn is_plain_setting(setting: &str) -> bool {
    let key = setting
        .split('=')
        .next()
        .unwrap_or_default()
        .to_ascii_lowercase();
    let beginnings = [
        "user.",
        "color.",
        "advice.",
        "author.",
        "committer.",
        "init.",
    ];
    beginnings
        .iter()
        .any(|beginning| key.starts_with(beginning))
        || [
            "core.quotepath",
            "commit.gpgsign",
            "tag.gpgsign",
            "log.showsignature",
            "core.abbrev",
        ]
        .contains(&key.as_str())
        || setting == "core.pager=cat"
}

/// Options among arguments.
pub(super) struct Flags<'a>(pub(super) &'a [Word]);

impl Flags<'_> {
    /// Whether one of the options is there, also joined with others (`-fd`) or with its value. What is not known before the line
    /// runs may be any.
    pub(super) fn has(&self, options: &[&str]) -> bool {
        let given = self.0.iter().take_while(|word| word.text != "--");
        given.into_iter().any(|word| {
            let text = word.text.as_str();
            if word.is_dynamic && text.is_empty() && !word.is_quoted {
                return true;
            }
            options.iter().any(|option| {
                let letter = option.strip_prefix('-').filter(|rest| rest.len() == 1);
                match letter {
                    Some(letter) => {
                        text.starts_with('-') && !text.starts_with("--") && text.contains(letter)
                    }
                    // git and others take any beginning of a long option that is no other's.
                    None => {
                        let name = text.split('=').next().unwrap_or_default();
                        name.len() > 3 && name.starts_with("--") && option.starts_with(name)
                    }
                }
            })
        })
    }

    /// The first argument that is no option.
    fn verb(&self) -> Option<&Word> {
        self.0
            .iter()
            .find(|word| word.is_dynamic || !word.text.starts_with('-'))
    }
}

/// Subcommands that only look.
const LOOKING: &str = "\
    annotate blame cat-file check-attr check-ignore check-mailmap cherry count-objects describe for-each-ref fsck \
    grep help ls-files ls-remote ls-tree merge-base name-rev range-diff rev-list rev-parse shortlog show-branch \
    show-ref status var verify-commit verify-tag version whatchanged";

/// Subcommands that add, or ask a remote.
const ADDING: &str = "add bundle clone commit-tree config hash-object init mktree write-tree";

/// Whether a subcommand of git can destroy work. What is not named here can: it may be an alias.
pub(super) fn subcommand(name: &str, arguments: &[Word]) -> Danger {
    let flags = Flags(arguments);
    let unless = |options: &[&str]| {
        if flags.has(options) {
            Danger::Destructive
        } else {
            Danger::Unseen
        }
    };
    match name {
        "diff" | "show" | "log" | "diff-tree" | "diff-index" | "diff-files" => {
            found(flags.has(&["--output"]))
        }
        "archive" => found(flags.has(&["-o", "--output"])),
        "commit" => unless(&["--amend"]),
        "branch" => unless(&[
            "-d", "-D", "-m", "-M", "-f", "-C", "--delete", "--move", "--force",
        ]),
        "tag" => unless(&["-d", "-f", "--delete", "--force"]),
        "push" if has_word(arguments, &['+', ':']) => Danger::Destructive,
        "push" => unless(&[
            "-f",
            "-d",
            "--force",
            "--force-with-lease",
            "--delete",
            "--mirror",
            "--prune",
        ]),
        "fetch" if has_word(arguments, &['+']) => Danger::Destructive,
        "fetch" => unless(&["-p", "-P", "-f", "--prune", "--force"]),
        "checkout" | "switch" => {
            let is_new = flags.has(&["-b", "-c", "--create"]) && arguments.len() == 2;
            let is_forced = flags.has(&["-f", "-B", "-C", "--force", "--discard-changes"]);
            if is_new && !is_forced {
                Danger::Unseen
            } else {
                Danger::Destructive
            }
        }
        "symbolic-ref" => found(arguments.len() != 1),
        _ if is_in(LOOKING, name) => Danger::Harmless,
        _ if is_in(ADDING, name) => Danger::Unseen,
        _ => by_verb(name, &flags),
    }
}

/// Whether an argument that is no option begins with one of the characters: a ref that is forced or deleted.
fn has_word(arguments: &[Word], beginnings: &[char]) -> bool {
    arguments
        .iter()
        .any(|word| word.text.starts_with(beginnings))
}

/// Subcommands that have subcommands themselves.
fn by_verb(name: &str, flags: &Flags<'_>) -> Danger {
    let verb = flags.verb();
    let verb = verb.map_or("", |word| {
        if word.is_dynamic {
            "?"
        } else {
            word.text.as_str()
        }
    });
    let (looking, adding) = match name {
        // `stash push` moves the work into the stash, where it is kept.
        "stash" => (
            &["list", "show"][..],
            &["", "push", "save", "create", "store"][..],
        ),
        "worktree" if flags.has(&["-f", "-B", "--force"]) => return Danger::Destructive,
        "worktree" => (&["list"][..], &["add", "lock", "unlock"][..]),
        "remote" => (&["", "show", "get-url"][..], &["add"][..]),
        "reflog" => (&["", "show", "list", "exists"][..], &[][..]),
        "notes" | "sparse-checkout" => (&["list", "show"][..], &[][..]),
        "submodule" => (&["", "status", "summary"][..], &[][..]),
        _ => return Danger::Destructive,
    };
    if looking.contains(&verb) {
        Danger::Harmless
    } else if adding.contains(&verb) {
        Danger::Unseen
    } else {
        Danger::Destructive
    }
}
