//! Whether a line of shell can destroy work, for the case that no snapshot could be made before it.
//!
//! Snapshots are made before every command, whatever it is. Only when none can be made is the command judged. Of git, what is not
//! known to be harmless counts as destructive: aliases and options change what a subcommand does. Of other programs, what is
//! known to write over or remove files counts, and what hides what it does: a line that is not understood, a program given as
//! text, words of a command that are not known before it runs. What a build, a test or a script does cannot be seen.

use crate::model::danger_git::{Flags, is_plain_setting, subcommand};
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
const PLACES: usize = 16;

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

/// Programs that only look, or only say something.
const HARMLESS: &str = "\
    : [ [[ basename cal cat cmp column comm cut date df diff dirname du echo egrep exit expand export expr false \
    fgrep file fold free grep groups head help hexdump history hostname id jq less ls man md5sum mkdir more nl \
    nproc od paste pgrep popd printenv printf ps pwd read readlink realpath rev rg seq set sha1sum sha256sum sleep \
    stat strings tac tail test touch tr tree true type uname unset uptime wait wc whatis whereis which who whoami";

/// Programs that remove files or write over them, whatever their options.
const DESTRUCTIVE: &str = "\
    bzip2 cpio dd del ed ex gunzip gzip install ln patch rename rimraf rm rmdir rsync shred split srm tar trash truncate \
    unlink unxz unzip vi vim wipe xz zip zstd";

/// Programs that run a program given as text.
const INTERPRETERS: &str = "\
    bun deno lua node nodejs osascript perl php python python2 python3 ruby tclsh";

const SHELLS: &str = "\
    ash bash dash fish ksh sh zsh";

/// Programs that run another one, and their options that take a value.
const WRAPPERS: &[(&str, &[&str])] = &[
    ("builtin", &[]),
    ("chronic", &[]),
    ("command", &[]),
    ("doas", &["-u", "-C"]),
    ("env", &["-u", "-C", "--unset", "--chdir"]),
    ("exec", &["-a"]),
    ("ionice", &["-c", "-n"]),
    ("nice", &["-n"]),
    ("nohup", &[]),
    ("npx", &["-p", "--package"]),
    ("setsid", &[]),
    ("stdbuf", &["-i", "-o", "-e"]),
    ("sudo", &["-u", "-g", "-C", "-h", "-p", "-D"]),
    ("time", &[]),
    ("timeout", &["-s", "-k", "--signal", "--kill-after"]),
    ("unbuffer", &[]),
    ("xargs", &["-n", "-P", "-I", "-L", "-d", "-a", "-s", "-E"]),
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
        let disturbs = |name: &String| {
            let is_known = ["GIT_PAGER", "GIT_TERMINAL_PROMPT", "GIT_OPTIONAL_LOCKS"]
                .contains(&name.as_str())
                || name.starts_with("GIT_AUTHOR_")
                || name.starts_with("GIT_COMMITTER_");
            !is_known
                && (name.starts_with("GIT_")
                    || ["PATH", "BASH_ENV", "ENV"].contains(&name.as_str()))
        };
        let by_variables = if command.variables.iter().any(disturbs) {
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
        if is_known {
            return;
        }
        if self.places.len() < PLACES {
            self.places.push(place.to_owned());
        } else {
            self.has_more_places = true;
        }
    }

    /// Arguments that say by themselves where they lie.
    fn note_places(&mut self, words: &[Word]) {
        for word in words.iter().skip(1).filter(|word| !word.is_dynamic) {
            let text = word.text.as_str();
            if text.starts_with('/') || text.starts_with("~/") || text.starts_with("../") {
                let place = self.below(text);
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
        let Some((program, arguments)) = words.split_first() else {
            return Danger::Harmless;
        };
        if program.is_dynamic
            || (!program.is_quoted && program.text.contains(['*', '?', '{', '[']))
                && program.text.len() > 2
        {
            return Danger::Unclear;
        }
        // A path to a program is the program.
        let name = program.text.rsplit('/').next().unwrap_or_default();
        let flags = Flags(arguments);
        match name {
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
            "eval" | "source" | "." | "busybox" | "parallel" => Danger::Unclear,
            "find" => self.find(arguments, depth),
            "fd" | "fdfind" => found(flags.has(&["-x", "-X", "--exec", "--exec-batch"])),
            "mv" | "cp" => found(!flags.has(&["-n", "--no-clobber"])),
            "tee" => found(!arguments.is_empty() && !flags.has(&["-a", "--append"])),
            "sort" => found(flags.has(&["-o", "--output"])),
            "sed" => found(
                flags.has(&["-i", "--in-place"]) || arguments.iter().any(|word| writes(&word.text)),
            ),
            "awk" | "gawk" | "mawk" => found(
                arguments
                    .iter()
                    .any(|word| word.text.contains(['>', '|']) || word.text.contains("system")),
            ),
            "yq" => found(flags.has(&["-i", "--inplace"])),
            "curl" => {
                found(flags.has(&["-o", "-O", "--output", "--remote-name"])).max(Danger::Unseen)
            }
            "tar"
                if arguments
                    .first()
                    .is_some_and(|word| word.text.trim_start_matches('-').starts_with('t')) =>
            {
                Danger::Harmless
            }
            _ if is_in(SHELLS, name) => self.shell(arguments, is_fed, depth),
            _ if is_in(INTERPRETERS, name) => interpreter(arguments, is_fed),
            _ if WRAPPERS.iter().any(|(wrapper, _)| *wrapper == name) => {
                self.wrapped(name, arguments, is_fed, depth)
            }
            _ if is_in(HARMLESS, name) => Danger::Harmless,
            _ if is_in(DESTRUCTIVE, name) || name.starts_with("git-") => Danger::Destructive,
            _ => Danger::Unseen,
        }
    }

    /// `sudo`, `env` and others: options, settings of variables, then a command.
    fn wrapped(&mut self, name: &str, arguments: &[Word], is_fed: bool, depth: usize) -> Danger {
        let with_value = WRAPPERS
            .iter()
            .find(|(wrapper, _)| *wrapper == name)
            .map_or(&[][..], |(_, options)| options);
        let mut rest = arguments;
        // `timeout` has a duration before the command.
        let mut to_skip = usize::from(name == "timeout");
        while let Some((word, after)) = rest.split_first() {
            let text = word.text.as_str();
            if word.is_dynamic
                || (name == "env" && (text.starts_with("-S") || text.starts_with("--split")))
            {
                return Danger::Unclear;
            }
            if ["-s", "-i", "-e", "--shell", "--login", "--edit"].contains(&text) && name == "sudo"
            {
                return Danger::Unclear;
            }
            if text.starts_with('-') {
                rest = if with_value.contains(&text) {
                    after.get(1..).unwrap_or_default()
                } else {
                    after
                };
            } else if text.contains('=') && ["env", "sudo", "doas"].contains(&name) {
                if text.starts_with("GIT_") || text.starts_with("PATH=") {
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
        let danger = self.words(rest, is_fed, depth - 1);
        // What `xargs` adds to a command comes from elsewhere.
        if name == "xargs" && danger != Danger::Harmless {
            return danger.max(Danger::Unclear);
        }
        danger
    }

    fn shell(&mut self, arguments: &[Word], is_fed: bool, depth: usize) -> Danger {
        let is_text = |word: &Word| {
            word.text.starts_with('-') && !word.text.starts_with("--") && word.text.contains('c')
        };
        let is_option = |word: &&Word| word.text.starts_with(['-', '+']);
        let mut options = arguments.iter().take_while(is_option);
        if let Some(position) = options.position(is_text) {
            return match arguments.get(position + 1) {
                Some(text) if !text.is_dynamic && depth > 0 => self.line(&text.text, depth - 1),
                _ => Danger::Unclear,
            };
        }
        let has_script = arguments.iter().any(|word| !word.text.starts_with('-'));
        match (has_script, is_fed) {
            (true, false) => Danger::Unseen,
            _ => Danger::Unclear,
        }
    }

    fn find(&mut self, arguments: &[Word], depth: usize) -> Danger {
        let mut danger = Danger::Harmless;
        for (position, word) in arguments.iter().enumerate() {
            match word.text.as_str() {
                "-delete" | "-fprint" | "-fprint0" | "-fprintf" | "-fls" => {
                    return Danger::Destructive;
                }
                "-exec" | "-execdir" | "-ok" | "-okdir" => {
                    let inner = arguments.get(position + 1..).unwrap_or_default();
                    let ends = |word: &Word| word.text == ";" || word.text == "+";
                    let end = inner.iter().position(ends).unwrap_or(inner.len());
                    let inner = inner.get(..end).unwrap_or_default();
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
            if word.is_dynamic && text.is_empty() {
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

/// Whether a script of `sed` writes to files.
fn writes(script: &str) -> bool {
    script.starts_with("w ")
        || script.contains(" w ")
        || script.contains(";w ")
        || script.contains("/w ")
}

fn interpreter(arguments: &[Word], is_fed: bool) -> Danger {
    let Some(first) = arguments.first() else {
        return Danger::Unclear;
    };
    let is_question = ["--version", "-V", "-v", "--help", "-h"].contains(&first.text.as_str());
    if is_question && arguments.len() == 1 {
        return Danger::Harmless;
    }
    let is_text = |word: &Word| {
        let text = word.text.as_str();
        word.is_dynamic
            || text == "-"
            || ["--eval", "--print", "eval"].contains(&text)
            || (text.starts_with('-')
                && !text.starts_with("--")
                && text.contains(['c', 'e', 'E', 'r', 'p', 'i', 'n']))
    };
    // Options stand before the script; what follows it is the script's own.
    let own = arguments
        .iter()
        .take_while(|word| word.text.starts_with('-') || word.is_dynamic || word.text == "eval");
    let has_script = arguments.iter().any(|word| !word.text.starts_with('-'));
    let is_module = first.text == "-m";
    if own.into_iter().any(is_text) || (!has_script && !is_module) || (is_fed && !has_script) {
        Danger::Unclear
    } else {
        Danger::Unseen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn all(danger: Danger, lines: &[&str]) {
        for line in lines {
            assert_eq!(judge(line).danger, danger, "{line}");
        }
    }

    #[test]
    fn what_destroys_work_is_known() {
        all(
            Danger::Destructive,
            &[
                "git reset --hard",
                "git reset",
                "git checkout .",
                "git checkout -- a.txt",
                "git checkout main",
                "git checkout -b x -f",
                "git switch -C x",
                "git restore .",
                "git clean -fdx",
                "git stash drop",
                "git stash pop",
                "git stash clear",
                "git worktree remove ../x",
                "git branch -D x",
                "git branch --del x",
                "git rebase main",
                "git push --force",
                "git push origin +main",
                "git push origin :main",
                "git commit --amend -m x",
                "git commit --ame",
                "git pull",
                "git merge x",
                "git gc --prune=now",
                "git reflog expire --all",
                "git read-tree -u --reset HEAD",
                "git checkout-index -f -a",
                "git apply -R x.patch",
                "git diff --output=x",
                "git format-patch HEAD~2",
                "git archive -o x.tar HEAD",
                "git unknown-alias",
                "git -C /x reset --hard",
                "git --no-pager -c color.ui=always clean -f",
                "git --git-dir=/x/.git --work-tree=/x checkout .",
                "cd /x && git reset --hard",
                "A=1 sudo -u me git clean -f",
                "env A=1 git clean -f",
                "timeout -k 5 10s git clean -f",
                "nice -n 5 rm x",
                "bash -c 'git reset --hard'",
                "sh -ec \"cd x; git clean -f\"",
                "ls | tee out",
                "ls > out",
                ": > out",
                "rm -rf build",
                "/bin/rm x",
                "\\rm x",
                "find . -name '*.o' -delete",
                "find . -fprint x",
                "mv a b",
                "cp a b",
                "sed -i s/a/b/ x",
                "sed -n 's/a/b/w x' y",
                "awk '{ print > \"x\" }' y",
                "tar xf a.tar",
                "unzip a.zip",
                "curl -o x https://example.com",
                "dd if=a of=b",
                "if true; then rm x; fi",
                "for f in *; do rm \"$f\"; done",
                "(rm x)",
                "echo $(rm x)",
                "X=$(git reset --hard)",
                "npx -y rimraf dist",
                "git status; rm x",
                "git status &\nrm x",
                "yes | rm -ri x",
            ],
        );
    }

    #[test]
    fn what_hides_what_it_does_is_not_trusted() {
        all(
            Danger::Unclear,
            &[
                "$X",
                "git $X",
                "git -c alias.st='!rm x' st",
                "git -c core.fsmonitor=x status",
                "git --exec-path=/x status",
                "GIT_DIR=/x git status",
                "GIT_EXTERNAL_DIFF=rm git diff",
                "python -c 'print(1)'",
                "python3 - <<'E'\nprint(1)\nE",
                "perl -pi -e s/a/b/ x",
                "node -e 1",
                "echo 'rm x' | sh",
                "bash",
                "bash -c \"$X\"",
                "eval 'rm x'",
                "source x",
                "find . -exec sh -c 'x y' ';'",
                "ls | xargs make",
                "{rm,-rf,x}",
                "echo `rm x`",
                "echo 'open",
                "sudo -s",
                "env -S 'rm x'",
            ],
        );
        all(
            Danger::Destructive,
            &["ls | xargs rm", "find . -exec rm {} +", "git branch $X"],
        );
    }

    #[test]
    fn what_only_looks_is_harmless_and_programs_are_not_seen_through() {
        all(
            Danger::Harmless,
            &[
                "",
                "# a comment",
                "git status --short",
                "git --no-pager log --oneline -5 | head",
                "git diff HEAD~1 -- a b",
                "git stash list",
                "git archive HEAD | tar tf -",
                "git -C /x rev-parse HEAD",
                "git --version",
                "ls -la $HOME 2>/dev/null",
                "cat a | grep b | wc -l",
                "find . -name '*.rs' -exec grep -l x {} +",
                "cd src && ls",
                "rg foo | xargs -n 1 echo",
                "sed -n 1,5p x",
                "test -f x && echo yes",
                "python3 --version",
                "mv -n a b",
                "cat <<'E'\nrm -rf /\nE",
            ],
        );
        all(
            Danger::Unseen,
            &[
                "cargo test",
                "npm run build && npm test",
                "make -j4",
                "./script.sh",
                "bash script.sh -c",
                "python3 script.py -c x",
                "python -m pytest -x",
                "git add -A && git commit -m \"$(cat <<'E'\nrm (x) 'y\nE\n)\"",
                "git push",
                "git fetch origin",
                "git stash",
                "git checkout -b new",
                "git switch -c new",
                "git branch new",
                "cargo test 2>&1 | tail -20",
            ],
        );
    }

    #[test]
    fn places_that_a_line_names_are_found() {
        for (line, expected) in [
            ("git reset --hard", &[][..]),
            ("cd sub && git clean -f", &["sub"]),
            ("cd /a && cd b && git -C c reset", &["/a", "/a/b", "/a/b/c"]),
            ("git -C '/x y' status", &["/x y"]),
            ("rm -rf ~/p ../q r /s", &["~/p", "../q", "/s"]),
            ("cd \"$X\" && ls", &[]),
            ("git --work-tree=/w checkout .", &["/w"]),
        ] {
            assert_eq!(judge(line).places, expected, "{line}");
        }
    }
}
