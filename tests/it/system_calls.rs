//! What a run of the program asked of the system, in order: changes of files and names, and what it made durable.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};

use crate::laboratory::bounded;
use crate::support::{Said, Sandbox};

/// Every call that changes files or names, makes them durable, or tells the user something.
const TRACED: &str = "?open,?openat,?openat2,?creat,?write,?pwrite64,?writev,?pwritev,?pwritev2,?copy_file_range,\
    ?sendfile,?splice,?fsync,?fdatasync,?syncfs,?sync,?sync_file_range,?rename,?renameat,?renameat2,?link,?linkat,\
    ?symlink,?symlinkat,?mkdir,?mkdirat,?mknod,?mknodat,?unlink,?unlinkat,?rmdir,?truncate,?ftruncate,?fallocate,\
    ?io_uring_setup";

/// One call that succeeded.
#[derive(Debug, Clone)]
pub struct Call {
    /// Place in the trace at which it began.
    pub begin: usize,
    /// Place at which it had ended; the same when nothing came between.
    pub end: usize,
    pub what: What,
}

/// What a call does, with the absolute paths it is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    Create(PathBuf),
    Truncate(PathBuf),
    Write(PathBuf),
    Sync(PathBuf),
    SyncEverything,
    Rename(PathBuf, PathBuf),
    Link(PathBuf, PathBuf),
    MakeDirectory(PathBuf),
    MakeLink(PathBuf),
    Remove(PathBuf),
    /// The first word said on standard output.
    Say(String),
}

/// Runs the program under strace, with more expressions such as `inject=...`, and gives what it did.
#[track_caller]
pub fn record(
    sandbox: &Sandbox,
    directory: &Path,
    expressions: &[&str],
    arguments: &[&str],
) -> (Said, Vec<Call>) {
    let file = sandbox.path("tmp/calls");
    let mut command = sandbox.command("strace", directory);
    command
        .args(["-f", "-y", "-qq", "-s", "4096", "-o"])
        .arg(&file);
    command.args(["-e", &format!("trace={TRACED}")]);
    for expression in expressions {
        command.args(["-e", expression]);
    }
    command.arg(env!("CARGO_BIN_EXE_git-vault")).args(arguments);
    let said = bounded(
        command,
        &format!("strace git-vault {}", arguments.join(" ")),
    );
    let text = fs::read(&file).expect("the trace is read");
    (said, read(&String::from_utf8_lossy(&text)))
}

/// Reads a trace; calls are in the order in which they ended.
#[track_caller]
pub fn read(text: &str) -> Vec<Call> {
    let mut unfinished: HashMap<&str, (usize, &str)> = HashMap::new();
    let mut calls = Vec::new();
    for (place, line) in text.lines().enumerate() {
        let (thread, rest) = line.split_once(' ').unwrap_or((line, ""));
        let rest = rest.trim_start();
        if rest.starts_with("---") || rest.starts_with("+++") {
            continue;
        }
        if let Some(head) = rest.strip_suffix(" <unfinished ...>") {
            unfinished.insert(thread, (place, head));
            continue;
        }
        let resumed = rest
            .strip_prefix("<... ")
            .and_then(|rest| rest.split_once(" resumed>"));
        let (begin, whole) = match resumed {
            Some((_, tail)) => {
                let (begin, head) = unfinished.remove(thread).expect("its beginning");
                (begin, format!("{head}{tail}"))
            }
            None => (place, rest.to_owned()),
        };
        let what = understand(&whole);
        calls.extend(what.map(|what| Call {
            begin,
            end: place,
            what,
        }));
    }
    calls
}

/// What a line says; nothing when the call failed or changes nothing.
#[track_caller]
fn understand(line: &str) -> Option<What> {
    let (call, rest) = line.split_once('(')?;
    let (arguments, answer) = split(rest);
    let answer = answer
        .trim_start_matches([')', ' '])
        .strip_prefix("= ")
        .unwrap_or("?");
    if answer.starts_with('-') || answer.starts_with('?') {
        return None;
    }
    let argument = |place: usize| arguments.get(place).map_or("", String::as_str);
    let at = |place: usize| join(argument(place), argument(place + 1));
    let plain = |place: usize| absolute(PathBuf::from(quoted(argument(place))));
    let open = || path_of(argument(0));
    let what = match call {
        "open" | "openat" | "creat" => {
            let path = path_of(answer);
            let flags = line;
            if flags.contains("O_TRUNC") || call == "creat" {
                What::Truncate(path)
            } else if flags.contains("O_CREAT") || flags.contains("O_TMPFILE") {
                What::Create(path)
            } else {
                return None;
            }
        }
        "write" | "writev" if argument(0).starts_with("1<") => {
            let text = quoted(argument(1));
            What::Say(
                text.split([' ', '\\'])
                    .next()
                    .unwrap_or_default()
                    .to_owned(),
            )
        }
        "write" | "writev" if argument(0).starts_with("2<") => return None,
        "write" | "pwrite64" | "writev" | "pwritev" | "pwritev2" | "ftruncate" | "fallocate" => {
            What::Write(open())
        }
        "copy_file_range" => What::Write(path_of(argument(2))),
        "sendfile" => What::Write(open()),
        "fsync" | "fdatasync" => What::Sync(open()),
        "syncfs" | "sync" => What::SyncEverything,
        "rename" => What::Rename(plain(0), plain(1)),
        "renameat" | "renameat2" => What::Rename(at(0), at(2)),
        "link" => What::Link(plain(0), plain(1)),
        "linkat" => What::Link(at(0), at(2)),
        "symlink" => What::MakeLink(plain(1)),
        "symlinkat" => What::MakeLink(at(1)),
        "mkdir" => What::MakeDirectory(plain(0)),
        "mkdirat" => What::MakeDirectory(at(0)),
        "unlink" | "rmdir" => What::Remove(plain(0)),
        "unlinkat" => What::Remove(at(0)),
        other => panic!("the model does not know this call: {other}\n{line}"),
    };
    Some(what)
}

/// Splits the arguments from one another, and from what comes after them.
fn split(text: &str) -> (Vec<String>, &str) {
    let mut arguments = vec![String::new()];
    let (mut is_quoted, mut is_escaped, mut depth) = (false, false, 0_usize);
    for (place, character) in text.char_indices() {
        match character {
            _ if is_escaped => is_escaped = false,
            '\\' if is_quoted => is_escaped = true,
            '"' => is_quoted = !is_quoted,
            _ if is_quoted => {}
            '<' | '[' | '{' | '(' => depth += 1,
            ')' if depth == 0 => return (arguments, &text[place..]),
            '>' | ']' | '}' | ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                arguments.push(String::new());
                continue;
            }
            _ => {}
        }
        let argument = arguments.last_mut().expect("an argument");
        if !(argument.is_empty() && character == ' ') {
            argument.push(character);
        }
    }
    (arguments, "")
}

/// The path that strace shows behind a file descriptor.
#[track_caller]
fn path_of(descriptor: &str) -> PathBuf {
    let (_, path) = descriptor
        .split_once('<')
        .unwrap_or_else(|| panic!("a path in {descriptor}"));
    let path = path.trim_end_matches(|character| character != '>');
    PathBuf::from(path.strip_suffix('>').unwrap_or(path))
}

fn quoted(argument: &str) -> &str {
    let text = argument.strip_prefix('"').unwrap_or(argument);
    text.rsplit_once('"').map_or(text, |(text, _)| text)
}

#[track_caller]
fn join(directory: &str, name: &str) -> PathBuf {
    let name = quoted(name);
    if name.starts_with('/') {
        return PathBuf::from(name);
    }
    path_of(directory).join(name)
}

#[track_caller]
fn absolute(path: PathBuf) -> PathBuf {
    assert!(
        path.is_absolute(),
        "the model knows no current directory: {path:?}"
    );
    path
}
