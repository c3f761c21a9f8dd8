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
    /// Whether one of the options may be there, also joined with others (`-fd`) or with its value. What is not known before the line
    /// runs may be any.
    pub(super) fn has(&self, options: &[&str]) -> bool {
        self.may_be_any() || self.names(options)
    }

    /// Whether a word may be any option, for it is not known before the line runs.
    pub(super) fn may_be_any(&self) -> bool {
        let mut is_value = false;
        for word in self.options() {
            let text = word.text.as_str();
            let is_unknown = word.is_dynamic && (text.is_empty() || text.starts_with('-'));
            // One word after an option is taken for its value; without quotes it may be many.
            if is_unknown && !(word.is_quoted && is_value) {
                return true;
            }
            is_value = text.starts_with('-');
        }
        false
    }

    fn options(&self) -> impl Iterator<Item = &Word> {
        self.0.iter().take_while(|word| word.text != "--")
    }

    /// Whether one of the options is written there.
    pub(super) fn names(&self, options: &[&str]) -> bool {
        self.options().any(|word| {
            let text = word.text.as_str();
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

    /// Whether an option is written there that makes a command safe, and no other but those beside which it stays so.
    pub(super) fn surely(
        &self,
        letter: char,
        long: &[&str],
        beside: &str,
        long_beside: &[&str],
    ) -> bool {
        let mut is_there = false;
        for word in self.options() {
            let text = word.text.as_str();
            if let Some(name) = text.strip_prefix("--") {
                if !long.contains(&name) && !long_beside.contains(&name) {
                    return false;
                }
                is_there |= long.contains(&name);
            } else if let Some(letters) = text.strip_prefix('-') {
                let is_known = |one: char| one == letter || beside.contains(one);
                if !letters.chars().all(is_known) {
                    return false;
                }
                is_there |= letters.contains(letter);
            }
        }
        is_there
    }

    /// The subcommand of a subcommand: nothing when there are no arguments, `?` when it cannot be told.
    fn verb(&self) -> &str {
        let plain = ["-v", "-q", "--verbose", "--quiet", "--cached"];
        let mut words = self
            .0
            .iter()
            .skip_while(|word| !word.is_dynamic && plain.contains(&word.text.as_str()));
        match words.next() {
            None => "",
            Some(word) if word.is_dynamic => "?",
            Some(word) => &word.text,
        }
    }
}

/// Subcommands that only look.
const LOOKING: &str = "\
    annotate blame cat-file check-attr check-ignore check-mailmap cherry count-objects describe for-each-ref fsck \
    grep help ls-files ls-remote ls-tree merge-base name-rev range-diff rev-list rev-parse shortlog show-branch \
    show-ref status var verify-commit verify-tag version whatchanged";

/// Those of them that write into a file with `--output`, as all that show differences do.
const WITH_OUTPUT: &str = "annotate blame range-diff rev-list shortlog whatchanged";

/// Subcommands that add, or ask a remote.
const ADDING: &str = "add clone commit-tree hash-object init mktree write-tree";

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
        "clone" | "fetch" | "ls-remote" | "push" | "archive"
            if flags.names(&["--upload-pack", "--receive-pack", "--exec"])
                || (name == "clone" && flags.names(&["-u", "-c", "--config", "--template"])) =>
        {
            Danger::Unclear
        }
        "grep" if flags.names(&["-O", "--open-files-in-pager"]) => Danger::Unclear,
        "archive" => found(flags.has(&["-o", "--output"])),
        "bundle" => match flags.verb() {
            "verify" | "list-heads" => Danger::Harmless,
            _ => Danger::Destructive,
        },
        "config" => config(&flags),
        _ if is_in(WITH_OUTPUT, name) => found(flags.has(&["--output"])),
        "commit" => unless(&["--amend"]),
        "branch" => unless(&[
            "-d",
            "-D",
            "-m",
            "-M",
            "-f",
            "-C",
            "--delete",
            "--move",
            "--force",
            "--edit-description",
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
        "fetch" => unless(&[
            "-p",
            "-P",
            "-f",
            "-u",
            "--prune",
            "--prune-tags",
            "--force",
            "--update-head-ok",
        ]),
        "checkout" | "switch" => {
            let is_new = flags.has(&["-b", "-c", "--create"]) && arguments.len() == 2;
            let is_forced = flags.has(&["-f", "-B", "-C", "--force", "--discard-changes"]);
            if is_new && !is_forced {
                Danger::Unseen
            } else {
                Danger::Destructive
            }
        }
        "symbolic-ref" => found(arguments.len() != 1 || flags.may_be_any()),
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

/// Settings are read, set, or taken away.
fn config(flags: &Flags<'_>) -> Danger {
    let reading = [
        "--get",
        "--get-all",
        "--get-regexp",
        "--list",
        "-l",
        "get",
        "list",
    ];
    let removing = [
        "--unset",
        "--unset-all",
        "--remove-section",
        "--rename-section",
        "--replace-all",
        "--edit",
        "-e",
    ];
    let verb = flags.verb();
    if flags.has(&removing) || ["unset", "remove-section", "rename-section", "edit"].contains(&verb)
    {
        Danger::Destructive
    } else if reading.contains(&verb) {
        Danger::Harmless
    } else {
        Danger::Unseen
    }
}

/// Subcommands that have subcommands themselves.
fn by_verb(name: &str, flags: &Flags<'_>) -> Danger {
    let verb = flags.verb();
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
    // What comes after options is no verb of `stash`: it is pushed.
    let is_push = name == "stash" && verb.starts_with('-');
    if looking.contains(&verb) {
        let shows = ["stash", "reflog"].contains(&name);
        found(shows && flags.has(&["--output"]))
    } else if is_push {
        Danger::Unseen
    } else if name == "reflog" && verb.starts_with('-') {
        found(flags.has(&["--output"]))
    } else if adding.contains(&verb) {
        Danger::Unseen
    } else {
        Danger::Destructive
    }
}
