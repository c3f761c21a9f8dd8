//! A line of shell as the simple commands that it runs, or the finding that this cannot be told.
//!
//! Not a shell: what it does not know for sure it does not guess. Whoever asks must take a line that is not understood for one
//! that could do anything.

use std::collections::VecDeque;

/// One word of a command.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Word {
    /// Its text, without quotes; what stands for a variable or the output of a command is left out.
    pub text: String,
    /// Whether something was left out.
    pub is_dynamic: bool,
    /// Whether a part of it was quoted.
    pub is_quoted: bool,
}

impl Word {
    /// A word of fixed text.
    #[must_use]
    pub fn fixed(text: &str) -> Self {
        Self {
            text: text.to_owned(),
            ..Self::default()
        }
    }
}

/// A program with its arguments, and what is done with its output.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Simple {
    /// Variables that are set for it.
    pub variables: Vec<String>,
    /// The program and its arguments; may be empty.
    pub words: Vec<Word>,
    /// Whether its output goes over the content of a file.
    pub overwrites: bool,
    /// Whether it reads a text that stands in the line itself, or a pipe.
    pub is_fed: bool,
}

/// Most bytes of a line that are looked at: systems take no longer argument of a shell.
const LIMIT: usize = 1 << 18;
/// Most characters between braces.
const BRACES: usize = 256;
/// Most levels of commands within commands.
const DEPTH: usize = 8;

/// What cannot be told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unclear;

/// The simple commands of a line, in order, those in `$(...)` included.
///
/// # Errors
/// When it cannot be told what the line runs.
pub fn commands(line: &str) -> Result<Vec<Simple>, Unclear> {
    commands_at(line, DEPTH)
}

fn commands_at(line: &str, depth: usize) -> Result<Vec<Simple>, Unclear> {
    if line.len() > LIMIT || depth == 0 {
        return Err(Unclear);
    }
    let mut reader = Reader {
        rest: line.chars().collect(),
        depth,
        done: Vec::new(),
        current: Simple::default(),
        texts: VecDeque::new(),
        skips_words: false,
    };
    reader.read()?;
    Ok(reader.done)
}

/// A text that follows the line: `<<WORD`.
struct HereText {
    delimiter: String,
    is_quoted: bool,
    drops_tabs: bool,
}

struct Reader {
    rest: VecDeque<char>,
    depth: usize,
    done: Vec<Simple>,
    current: Simple,
    texts: VecDeque<HereText>,
    /// After `for`: names and values, not commands.
    skips_words: bool,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.rest.front().copied()
    }

    fn take(&mut self, expected: char) -> bool {
        let is_next = self.peek() == Some(expected);
        if is_next {
            self.rest.pop_front();
        }
        is_next
    }

    fn read(&mut self) -> Result<(), Unclear> {
        while let Some(next) = self.peek() {
            match next {
                ' ' | '\t' => {
                    self.rest.pop_front();
                }
                '\n' => {
                    self.rest.pop_front();
                    self.end_command(false);
                    self.skip_texts()?;
                }
                ';' | '(' | ')' => {
                    self.rest.pop_front();
                    // `;;` belongs to `case`, `((` is arithmetic, and a word before `(` is the name of a function.
                    if (next != ')' && self.peek() == Some(next))
                        || (next == '(' && !self.current.words.is_empty())
                    {
                        return Err(Unclear);
                    }
                    self.end_command(false);
                }
                '|' => {
                    self.rest.pop_front();
                    let _both = self.take('&');
                    let is_pipe = !self.take('|');
                    self.end_command(is_pipe);
                }
                '&' => {
                    self.rest.pop_front();
                    if self.peek() == Some('>') {
                        self.redirection()?;
                    } else {
                        let _and = self.take('&');
                        self.end_command(false);
                    }
                }
                '<' | '>' => self.redirection()?,
                '#' => {
                    while self.peek().is_some_and(|next| next != '\n') {
                        self.rest.pop_front();
                    }
                }
                _ => self.next_word()?,
            }
        }
        self.end_command(false);
        if self.texts.is_empty() {
            Ok(())
        } else {
            Err(Unclear)
        }
    }

    fn end_command(&mut self, feeds_next: bool) {
        let ended = std::mem::take(&mut self.current);
        if !ended.words.is_empty() || ended.overwrites {
            self.done.push(ended);
        }
        self.current.is_fed = feeds_next;
        self.skips_words = false;
    }

    /// The texts that belong to the line that has just ended.
    fn skip_texts(&mut self) -> Result<(), Unclear> {
        while let Some(text) = self.texts.pop_front() {
            loop {
                let (line, _) = self.line().ok_or(Unclear)?;
                let shown = if text.drops_tabs {
                    line.trim_start_matches('\t')
                } else {
                    &line
                };
                if shown == text.delimiter {
                    break;
                }
                if !text.is_quoted && (line.contains("$(") || line.contains('`')) {
                    return Err(Unclear);
                }
            }
        }
        Ok(())
    }

    /// The rest of the line, and whether a line feed ended it; nothing when there is no more.
    fn line(&mut self) -> Option<(String, bool)> {
        if self.rest.is_empty() {
            return None;
        }
        let end = self.rest.iter().position(|one| *one == '\n');
        let line = self.rest.drain(..end.unwrap_or(self.rest.len()));
        let line = line.collect();
        self.rest.pop_front();
        Some((line, end.is_some()))
    }

    fn redirection(&mut self) -> Result<(), Unclear> {
        let opens = self.rest.pop_front();
        if opens == Some('<') {
            if self.peek() == Some('(') {
                return Err(Unclear);
            }
            if !self.take('<') {
                let _duplicates = self.take('&') || self.take('>');
                self.current.is_fed = true;
                return self.target().map(drop);
            }
            self.current.is_fed = true;
            if self.take('<') {
                return self.target().map(drop);
            }
            let drops_tabs = self.take('-');
            let word = self.target()?;
            if word.is_dynamic {
                return Err(Unclear);
            }
            self.texts.push_back(HereText {
                delimiter: word.text,
                is_quoted: word.is_quoted,
                drops_tabs,
            });
            return Ok(());
        }
        if self.peek() == Some('(') {
            return Err(Unclear);
        }
        let appends = self.take('>');
        let _anyway = self.take('|');
        let duplicates = self.take('&');
        let target = self.target()?;
        let device = target.text.strip_prefix("/dev/");
        let goes_nowhere =
            device.is_some_and(|name| ["null", "tty"].contains(&name) || name.starts_with("std"));
        let is_descriptor = duplicates
            && !target.text.is_empty()
            && target
                .text
                .chars()
                .all(|one| one.is_ascii_digit() || one == '-');
        if !appends && !is_descriptor && (target.is_dynamic || !goes_nowhere) {
            self.current.overwrites = true;
        }
        Ok(())
    }

    fn target(&mut self) -> Result<Word, Unclear> {
        while self.take(' ') || self.take('\t') {}
        let word = self.word()?;
        if word == Word::default() {
            return Err(Unclear);
        }
        Ok(word)
    }

    fn next_word(&mut self) -> Result<(), Unclear> {
        let word = self.word()?;
        // A number right before `<` or `>` is a descriptor.
        let is_number = !word.text.is_empty() && word.text.chars().all(|one| one.is_ascii_digit());
        if is_number && !word.is_quoted && matches!(self.peek(), Some('<' | '>')) {
            return Ok(());
        }
        // A line that goes on is no word.
        if self.skips_words || word == Word::default() {
            return Ok(());
        }
        if self.current.words.is_empty() {
            if !word.is_quoted && !word.is_dynamic {
                match word.text.as_str() {
                    "if" | "then" | "else" | "elif" | "fi" | "while" | "until" | "do" | "done"
                    | "{" | "}" | "!" => return Ok(()),
                    "for" | "select" => {
                        self.skips_words = true;
                        return Ok(());
                    }
                    "case" | "esac" | "function" | "coproc" => return Err(Unclear),
                    _ => {}
                }
            }
            if let Some(name) = assigned(&word.text) {
                self.current.variables.push(name.to_owned());
                return Ok(());
            }
        }
        self.current.words.push(word);
        Ok(())
    }

    fn word(&mut self) -> Result<Word, Unclear> {
        let mut word = Word::default();
        // Where braces begin that make several words of one: what follows is not known as text.
        let mut braces = None;
        while let Some(next) = self.peek() {
            if next == '{' && braces.is_none() && self.makes_several() {
                braces = Some(word.text.len());
            }
            match next {
                ' ' | '\t' | '\n' | ';' | '&' | '|' | '(' | ')' | '<' | '>' => break,
                '\'' => {
                    self.rest.pop_front();
                    word.is_quoted = true;
                    self.until_quote(&mut word.text)?;
                }
                '"' => {
                    self.rest.pop_front();
                    word.is_quoted = true;
                    self.double_quoted(&mut word)?;
                }
                '\\' => {
                    self.rest.pop_front();
                    match self.rest.pop_front() {
                        // A line that goes on.
                        Some('\n') => {}
                        Some(escaped) => {
                            word.is_quoted = true;
                            word.text.push(escaped);
                        }
                        None => return Err(Unclear),
                    }
                }
                '$' => {
                    self.rest.pop_front();
                    if matches!(self.peek(), Some('\'')) {
                        return Err(Unclear);
                    }
                    self.dollar(&mut word)?;
                }
                '`' => return Err(Unclear),
                _ => {
                    self.rest.pop_front();
                    word.text.push(next);
                }
            }
        }
        if let Some(length) = braces {
            word.text.truncate(length);
            word.is_dynamic = true;
        }
        Ok(word)
    }

    /// Whether `{a,b}` or `{1..9}` comes next; also when that is not seen at once.
    fn makes_several(&self) -> bool {
        let within = |one: &&char| !one.is_whitespace() && **one != '}';
        let inner = self.rest.iter().take(BRACES).take_while(within);
        let inner: String = inner.collect();
        inner.contains(',') || inner.contains("..") || inner.chars().count() == BRACES
    }

    fn until_quote(&mut self, text: &mut String) -> Result<(), Unclear> {
        loop {
            match self.rest.pop_front() {
                Some('\'') => return Ok(()),
                Some(next) => text.push(next),
                None => return Err(Unclear),
            }
        }
    }

    fn double_quoted(&mut self, word: &mut Word) -> Result<(), Unclear> {
        loop {
            match self.rest.pop_front() {
                Some('"') => return Ok(()),
                Some('$') => self.dollar(word)?,
                Some('\\') => match self.rest.pop_front() {
                    Some(escaped @ ('"' | '\\' | '$' | '`')) => word.text.push(escaped),
                    Some('\n') => {}
                    Some(other) => word.text.extend(['\\', other]),
                    None => return Err(Unclear),
                },
                Some('`') | None => return Err(Unclear),
                Some(next) => word.text.push(next),
            }
        }
    }

    /// What follows a dollar sign: a variable, the output of a command, arithmetic.
    fn dollar(&mut self, word: &mut Word) -> Result<(), Unclear> {
        match self.peek() {
            Some('(') => {
                self.rest.pop_front();
                let inner = self.enclosed()?;
                if inner.starts_with('(') {
                    return Err(Unclear);
                }
                self.done.extend(commands_at(&inner, self.depth - 1)?);
                word.is_dynamic = true;
            }
            Some('{') => {
                self.rest.pop_front();
                word.is_dynamic = true;
                loop {
                    match self.rest.pop_front() {
                        Some('}') => break,
                        // A default may hold a command.
                        Some('$' | '`' | '(' | '\'' | '"' | '\\') | None => return Err(Unclear),
                        Some(_) => {}
                    }
                }
            }
            Some(next) if next.is_ascii_alphanumeric() || "_?!#@*-$".contains(next) => {
                word.is_dynamic = true;
                self.rest.pop_front();
                if next.is_ascii_alphabetic() || next == '_' {
                    while self
                        .peek()
                        .is_some_and(|next| next.is_ascii_alphanumeric() || next == '_')
                    {
                        self.rest.pop_front();
                    }
                }
            }
            _ => word.text.push('$'),
        }
        Ok(())
    }

    /// The text up to the parenthesis that closes `$(`; quotes and texts that follow a line are passed over.
    fn enclosed(&mut self) -> Result<String, Unclear> {
        let mut text = String::new();
        let mut open = 1_usize;
        let mut quote = None;
        while let Some(next) = self.rest.pop_front() {
            match (quote, next) {
                (None, '(') => open += 1,
                (None, ')') => {
                    open -= 1;
                    if open == 0 {
                        return Ok(text);
                    }
                }
                (None, '\'' | '"') => quote = Some(next),
                (Some(opened), _) if opened == next => quote = None,
                (None | Some('"'), '\\') => {
                    text.push(next);
                    text.extend(self.rest.pop_front());
                    continue;
                }
                _ => {}
            }
            text.push(next);
            if text.ends_with("<<") && quote.is_none() {
                self.enclosed_text(&mut text)?;
            }
        }
        Err(Unclear)
    }

    /// A text after `<<` within `$(...)`: taken over as it is, so that quotes and parentheses in it do not count.
    fn enclosed_text(&mut self, text: &mut String) -> Result<(), Unclear> {
        let mut head = String::new();
        while let Some(next) = self.rest.pop_front() {
            head.push(next);
            if next == '\n' {
                break;
            }
        }
        let word = head.trim_start_matches('-').trim_start();
        let end = word
            .find(|one: char| one.is_whitespace() || ";|&)<>".contains(one))
            .unwrap_or(word.len());
        let delimiter = word.get(..end).unwrap_or_default();
        let delimiter = delimiter.trim_matches(['\'', '"']);
        let is_plain = |one: char| one.is_ascii_alphanumeric() || one == '_';
        if delimiter.is_empty() || !delimiter.chars().all(is_plain) || !head.ends_with('\n') {
            return Err(Unclear);
        }
        text.push_str(&head);
        loop {
            let (line, is_ended) = self.line().ok_or(Unclear)?;
            let is_last = line.trim_start_matches('\t') == delimiter;
            text.push_str(&line);
            text.push('\n');
            if is_last {
                return Ok(());
            }
            if !is_ended {
                return Err(Unclear);
            }
        }
    }
}

/// The name, if a word sets a variable.
fn assigned(word: &str) -> Option<&str> {
    let (name, _) = word.split_once('=')?;
    let name = name.strip_suffix('+').unwrap_or(name);
    let is_name = |one: char| one.is_ascii_alphanumeric() || one == '_';
    let starts_well = name.starts_with(|one: char| one.is_ascii_alphabetic() || one == '_');
    (starts_well && name.chars().all(is_name)).then_some(name)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn shown(line: &str) -> Vec<String> {
        let show = |word: &Word| {
            let mark = if word.is_dynamic { "$" } else { "" };
            format!("{}{mark}", word.text)
        };
        commands(line)
            .unwrap_or_else(|_| panic!("not understood: {line}"))
            .iter()
            .map(|one| {
                let words: Vec<String> = one.words.iter().map(show).collect();
                let mark = if one.overwrites { " >" } else { "" };
                format!("{}{mark}", words.join(" "))
            })
            .collect()
    }

    #[test]
    fn a_line_is_taken_apart_into_its_commands() {
        for (line, expected) in [
            ("git status", &["git status"][..]),
            (
                "  git  status ; ls&&pwd||true | wc -l & ",
                &["git status", "ls", "pwd", "true", "wc -l"],
            ),
            ("A=1 B='x y' git log", &["git log"]),
            (
                "git commit -m 'it''s; rm -rf x' --no-verify",
                &["git commit -m its; rm -rf x --no-verify"],
            ),
            (
                "echo \"a $HOME b\" $X ${Y} \\$Z '$Z'",
                &["echo a  b$ $ $ $Z $Z"],
            ),
            ("(cd sub && make) > out.txt 2>&1", &["cd sub", "make", " >"]),
            ("cat a >>b 2>/dev/null", &["cat a"]),
            ("cat a >b", &["cat a >"]),
            ("cat a &> b", &["cat a >"]),
            ("if test -f x; then rm x; fi", &["test -f x", "rm x"]),
            ("for f in a b; do rm \"$f\"; done", &["rm $"]),
            ("git log # rm -rf x\nls", &["git log", "ls"]),
            ("cat <<'E' > f\nrm -rf $(x) `y`\nE\nls", &["cat >", "ls"]),
            ("cat <<-E\n\tplain $X\n\tE\nls", &["cat", "ls"]),
            (
                "git commit -m \"$(cat <<'EOF'\nA (b) \"c's\n\nEOF\n)\"",
                &["cat", "git commit -m $"],
            ),
            ("echo $(git reset --hard)", &["git reset --hard", "echo $"]),
            ("a \\\n b", &["a b"]),
            ("2>/dev/null ls", &["ls"]),
            ("echo 2 >&2", &["echo 2"]),
        ] {
            assert_eq!(shown(line), expected, "{line}");
        }
    }

    #[test]
    fn what_cannot_be_told_is_not_guessed() {
        for line in [
            "echo 'open",
            "echo \"open",
            "echo `rm x`",
            "echo \"`rm x`\"",
            "diff <(a) <(b)",
            "tee >(rm x)",
            "echo ${X:-$(rm x)}",
            "case x in y) rm x;; esac",
            "f() { rm x; }; f",
            "function f { rm x; }",
            "cat <<E\nnever closed",
            "cat <<E\n$(rm x)\nE\n",
            "((x++))",
            "echo $((1))",
            "echo $'a\\nb'",
            "echo \\",
            "cat >",
            "echo $(open",
        ] {
            assert_eq!(commands(line), Err(Unclear), "{line}");
        }
        let deep = format!("{}rm x{}", "echo $(".repeat(20), ")".repeat(20));
        assert_eq!(commands(&deep), Err(Unclear));
    }

    proptest! {
        #[test]
        fn no_line_makes_it_stumble(line in "[a-c $(){}<>|&;'\"`\\\\\\n#=0-9]{0,60}") {
            let _either = commands(&line);
        }
    }
}
