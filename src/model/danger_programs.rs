//! What programs other than git can do to work, by their names and options.

use crate::model::danger::{Danger, found, is_in};
use crate::model::danger_git::Flags;
use crate::model::danger_sed::only_prints;
use crate::model::shell::Word;

/// Programs that only look, or only say something.
const HARMLESS: &str = "\
    : [ [[ basename cal cat cmp column comm cut date df diff dirname du echo egrep exit expand expr false \
    fgrep file fold free grep groups head help hexdump hostname id jq ls md5sum mkdir nl \
    nproc od paste pgrep popd printenv printf ps pwd read readlink realpath rev seq set sha1sum sha256sum sleep \
    stat strings tac tail test touch tr true type uname unset uptime wait wc whatis whereis which who whoami";

/// Programs that remove files or write over them, whatever their options.
const DESTRUCTIVE: &str = "\
    7z 7za 7zz applypatch apply_patch brotli bsdtar bzip2 cpio csplit dd del dos2unix ed emacs ex gt gunzip gzip hg install jj ln lz4 lzma mkfs nano \
    nvim patch pax pbzip2 pigz rclone rename rimraf rm rmdir rsync scp shred sl split sponge srm stg svn trash truncate unar \
    unix2dos unlink unlzma unpigz unrar unxz unzip unzstd vi vim wipe wipefs xz zip zstd \
    clear-content copy-item move-item out-file remove-item rename-item set-content";

/// Programs whose name as an argument of another one means that this other one may run them.
const RUN_BY_OTHERS: &str = "\
    dd git mv rimraf rm rmdir shred truncate unlink ash bash csh dash fish ksh pwsh sh tcsh zsh bun deno lua node nodejs perl php \
    pypy python ruby";

/// Programs that run what they are given as text, or change what later words mean.
const HIDING: &str = "\
    . alias at batch bind busybox complete crontab enable entr eval expect hash parallel runuser script source sqlite3 su toybox trap \
    watch";

/// Programs that run a program given as text.
const INTERPRETERS: &str = "\
    bun deno elixir erl groovy irb jshell julia lua luajit node nodejs osascript perl php pypy python racket raku rscript ruby scala \
    swift tclsh";

const SHELLS: &str = "\
    ash bash csh dash elvish fish ksh mksh nu pwsh rbash sh tcsh xonsh yash zsh";

/// Programs that go by another name on systems with tools of their own.
const WITH_G: &str = "\
    awk cp dd find install ln mv rm rmdir sed shred shuf sort split tar tee truncate uniq unlink xargs";

/// What is known of a program by its name alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sort {
    /// A shell.
    Shell,
    /// It runs a program given as text, or in a file.
    Interpreter,
    /// Nothing of that kind.
    Other,
}

/// The name by which a program is known: without the place, and without the number of a version.
pub(super) fn known_name(program: &str) -> String {
    let name = program.rsplit('/').next().unwrap_or_default();
    let name = name.trim_start_matches('=').to_ascii_lowercase();
    let bare = name.trim_end_matches(|one: char| one.is_ascii_digit() || one == '.' || one == '-');
    if is_in(INTERPRETERS, bare) || is_in(SHELLS, bare) {
        return bare.to_owned();
    }
    match name.strip_prefix('g') {
        Some(rest) if is_in(WITH_G, rest) => rest.to_owned(),
        _ => name,
    }
}

/// Whether a program is a shell or an interpreter.
pub(super) fn sort(name: &str) -> Sort {
    if is_in(SHELLS, name) {
        Sort::Shell
    } else if is_in(INTERPRETERS, name) {
        Sort::Interpreter
    } else {
        Sort::Other
    }
}

/// Whether a program that is named among the arguments of another one must be thought to be run by it.
pub(super) fn is_run_by_others(word: &Word) -> bool {
    !word.is_dynamic && is_in(RUN_BY_OTHERS, &known_name(&word.text))
}

/// Whether a variable changes which programs are run, or what they do.
pub(super) fn is_disturbing(name: &str) -> bool {
    let is_known = ["GIT_PAGER", "GIT_TERMINAL_PROMPT", "GIT_OPTIONAL_LOCKS"].contains(&name)
        || name.starts_with("GIT_AUTHOR_")
        || name.starts_with("GIT_COMMITTER_");
    let beginnings = ["GIT_", "LD_", "DYLD_", "BASH_", "PYTHON", "PERL5", "RUBY"];
    let names = [
        "PATH",
        "ENV",
        "IFS",
        "PS4",
        "CDPATH",
        "LESS",
        "LESSOPEN",
        "LESSCLOSE",
        "MANOPT",
        "MANPAGER",
        "NODE_OPTIONS",
        "PAGER",
        "RIPGREP_CONFIG_PATH",
        "SHELLOPTS",
        "TAR_OPTIONS",
        "ZDOTDIR",
    ];
    !is_known
        && (beginnings.iter().any(|start| name.starts_with(start)) || names.contains(&name))
        && !["PYTHONUNBUFFERED", "PYTHONDONTWRITEBYTECODE"].contains(&name)
}

/// What a program can do that runs no other one. What is not named here may be anything.
pub(super) fn program(name: &str, arguments: &[Word]) -> Danger {
    let flags = Flags(arguments);
    let unclear_if = |is_unclear: bool| {
        if is_unclear {
            Danger::Unclear
        } else {
            Danger::Harmless
        }
    };
    match name {
        "export" | "declare" | "typeset" | "local" | "readonly" => {
            let is_set = |word: &Word| {
                let name = word.text.split(['=', '+']).next().unwrap_or_default();
                is_disturbing(name) || (word.is_dynamic && name.is_empty())
            };
            unclear_if(arguments.iter().any(is_set))
        }
        "mv" | "cp" => {
            let is_sure =
                flags.surely('n', &["no-clobber"], "abdprRTvx", &["verbose", "recursive"]);
            found(!is_sure || flags.may_be_any())
        }
        "tee" => {
            let is_sure = flags.surely('a', &["append"], "ip", &["ignore-interrupts"]);
            found(!arguments.is_empty() && !is_sure)
        }
        "sort" => found(flags.has(&["-o", "--output", "--compress-program"])),
        "shuf" | "tree" => found(flags.has(&["-o", "--output"])),
        "uniq" | "xxd" => found(has_two_operands(arguments)),
        "history" => {
            let only_shows =
                |word: &Word| !word.is_dynamic && word.text.chars().all(|one| one.is_ascii_digit());
            found(!arguments.iter().all(only_shows))
        }
        "less" | "more" => {
            let runs = |word: &Word| word.text.starts_with('+');
            let options = [
                "-o",
                "-O",
                "-k",
                "--log-file",
                "--LOG-FILE",
                "--lesskey-file",
            ];
            unclear_if(flags.has(&options) || arguments.iter().any(runs))
        }
        "man" => unclear_if(flags.has(&["-P", "-H", "-C", "--pager", "--html", "--config-file"])),
        "rg" => unclear_if(flags.has(&["--pre", "--hostname-bin"])),
        "sed" => sed(arguments),
        "awk" | "gawk" | "mawk" | "nawk" => awk(arguments),
        "yq" => found(flags.has(&["-i", "-s", "--inplace", "--split-exp"])),
        "curl" => found(flags.has(&CURL)).max(Danger::Unseen),
        "wget" => found(flags.has(&WGET)).max(Danger::Unseen),
        "tar" => found(!only_lists(arguments)),
        _ if is_in(HIDING, name) => Danger::Unclear,
        _ if is_in(HARMLESS, name) => Danger::Harmless,
        _ if is_in(DESTRUCTIVE, name) || name.starts_with("git-") || name.starts_with("mkfs.") => {
            Danger::Destructive
        }
        _ => Danger::Unseen,
    }
}

/// Options by which curl writes files.
const CURL: [&str; 20] = [
    "-o",
    "-O",
    "-D",
    "-c",
    "-J",
    "-K",
    "--output",
    "--remote-name",
    "--remote-name-all",
    "--remote-header-name",
    "--dump-header",
    "--cookie-jar",
    "--config",
    "--trace",
    "--trace-ascii",
    concat!("--std", "err"),
    "--libcurl",
    "--etag-save",
    "--hsts",
    "--alt-svc",
];

/// Options by which wget writes over files.
const WGET: [&str; 14] = [
    "-O",
    "-o",
    "-N",
    "-r",
    "-m",
    "-c",
    "-x",
    "--output-document",
    "--output-file",
    "--timestamping",
    "--recursive",
    "--mirror",
    "--continue",
    "--execute",
];

/// Whether there may be two arguments that are no options: the second one is a file that is written.
fn has_two_operands(arguments: &[Word]) -> bool {
    let is_unsure = |word: &Word| word.is_dynamic && !word.is_quoted;
    let is_operand = |word: &&Word| !word.text.starts_with('-') || word.text == "-";
    arguments.iter().any(is_unsure) || arguments.iter().filter(is_operand).count() > 1
}

/// Whether `tar` is told to list, and nothing else that may run a program or write a file.
fn only_lists(arguments: &[Word]) -> bool {
    let mut options = arguments.iter().enumerate().filter(|(at, word)| {
        *at == 0
            || word.text.starts_with('-')
            || (word.is_dynamic && word.text.is_empty() && !word.is_quoted)
    });
    let is_list = arguments
        .first()
        .is_some_and(|word| word.text.contains('t'));
    is_list
        && options.all(|(_, word)| {
            let letters = word.text.strip_prefix('-').unwrap_or(&word.text);
            !word.is_dynamic && letters.chars().all(|letter| "tvfzjJO".contains(letter))
        })
}

/// Scripts that are arguments are read; those in files are not.
fn sed(arguments: &[Word]) -> Danger {
    let mut scripts: Vec<&Word> = Vec::new();
    let mut operands: Vec<&Word> = Vec::new();
    let mut rest = arguments.iter();
    while let Some(word) = rest.next() {
        let text = word.text.as_str();
        if word.is_dynamic && (text.is_empty() || text.starts_with('-')) && !word.is_quoted {
            return Danger::Unclear;
        }
        if text == "--" {
            operands.extend(rest);
            break;
        }
        if let Some(script) = text.strip_prefix("--expression=") {
            if word.is_dynamic || !only_prints(script) {
                return Danger::Destructive;
            }
            scripts.push(word);
        } else if [
            "--quiet",
            "--silent",
            "--regexp-extended",
            "--null-data",
            "--separate",
            "--posix",
            "--debug",
            "--version",
            "--help",
            "--unbuffered",
        ]
        .contains(&text)
        {
        } else if text.starts_with("--") {
            return Danger::Destructive;
        } else if let Some(letters) = text.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            let plain = letters.trim_end_matches('e');
            if !plain.chars().all(|letter| "nErszu".contains(letter)) {
                return Danger::Destructive;
            }
            match (letters.len() - plain.len(), rest.clone().next()) {
                (0, _) => {}
                (1, Some(script)) => {
                    scripts.push(script);
                    rest.next();
                    if script.is_dynamic || !only_prints(&script.text) {
                        return Danger::Destructive;
                    }
                }
                _ => return Danger::Destructive,
            }
        } else {
            operands.push(word);
        }
    }
    if !scripts.is_empty() {
        return Danger::Harmless;
    }
    match operands.first() {
        None => Danger::Harmless,
        Some(script) => found(script.is_dynamic || !only_prints(&script.text)),
    }
}

/// A program of awk that writes, runs or loads nothing; options that do so are not among those that are known.
fn awk(arguments: &[Word]) -> Danger {
    let mut rest = arguments;
    while let Some((word, after)) = rest.split_first() {
        let text = word.text.as_str();
        match text {
            "-F" | "-v" => rest = after.get(1..).unwrap_or_default(),
            "--" => {
                rest = after;
                break;
            }
            "--version" | "--csv" | "--posix" => rest = after,
            _ if text.starts_with("-F") || text.starts_with("-v") => rest = after,
            _ if text.starts_with('-') => return Danger::Destructive,
            _ => break,
        }
    }
    match rest.first() {
        None => Danger::Harmless,
        Some(script) if script.is_dynamic => Danger::Unclear,
        Some(script) => {
            let text = script.text.as_str();
            found(text.contains(['>', '|', '@']) || text.contains("system"))
        }
    }
}

/// An interpreter: what it is given as text is not known, what is in files is not seen.
pub(super) fn interpreter(arguments: &[Word], is_fed: bool) -> Danger {
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
            || text.starts_with("--eval=")
            || text.starts_with("--print=")
            || (text.starts_with('-')
                && !text.starts_with("--")
                && text.contains(['c', 'e', 'E', 'r', 'p', 'i', 'n']))
    };
    let has_script = arguments.iter().any(|word| !word.text.starts_with('-'));
    let is_module = first.text == "-m";
    // Options stand before the script; what follows it is the script's own. Whether a word is the script or the value of an option is
    // not known, unless it comes first.
    let has_options = first.text.starts_with('-') && !is_module;
    let has_text = is_text(first) || (has_options && arguments.iter().any(is_text));
    if has_text || (!has_script && !is_module) || (is_fed && !has_script) {
        Danger::Unclear
    } else {
        Danger::Unseen
    }
}
