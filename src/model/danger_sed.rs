//! Whether a script of `sed` only changes what it prints. It also knows commands and flags that write files and run programs.

/// Whether every command of a script is known, and none of them writes a file or runs a program.
pub(super) fn only_prints(script: &str) -> bool {
    let mut reader = Reader {
        rest: script.chars().collect(),
        at: 0,
    };
    reader.script().is_some()
}

/// Commands without an argument.
const PLAIN: &str = "pPdDgGhHnNxzF=";
/// Commands with the name of a label, or of a file that is read.
const NAMED: &str = "btTrR:";
/// Commands with a number, which may be missing.
const NUMBERED: &str = "qQlL";

/// What `[` means on the way to a delimiter.
#[derive(Clone, Copy)]
enum Brackets {
    /// Whether a delimiter in a class of characters ends an address depends on what sed it is: then it is not known where it ends.
    Unclear,
    /// It begins a class of characters.
    Class,
    /// Nothing.
    Plain,
}

struct Reader {
    rest: Vec<char>,
    at: usize,
}

impl Reader {
    fn peek(&self) -> Option<char> {
        self.rest.get(self.at).copied()
    }

    fn next(&mut self) -> Option<char> {
        let next = self.peek()?;
        self.at += 1;
        Some(next)
    }

    fn skip(&mut self, is_skipped: impl Fn(char) -> bool) {
        while self.peek().is_some_and(&is_skipped) {
            self.at += 1;
        }
    }

    /// Nothing is the answer when something is not known.
    fn script(&mut self) -> Option<()> {
        loop {
            self.skip(|one| one.is_whitespace() || one == ';' || one == '}');
            if self.peek().is_none() {
                return Some(());
            }
            self.addresses()?;
            self.skip(|one| one == ' ' || one == '\t' || one == '!');
            self.command()?;
        }
    }

    fn addresses(&mut self) -> Option<()> {
        loop {
            match self.peek()? {
                '/' => {
                    self.next();
                    self.until('/', Brackets::Unclear)?;
                    self.skip(|one| one == 'I' || one == 'M');
                }
                '\\' => {
                    self.next();
                    let delimiter = self.next()?;
                    self.until(delimiter, Brackets::Unclear)?;
                    self.skip(|one| one == 'I' || one == 'M');
                }
                one if one.is_ascii_digit() || "$,+~ ".contains(one) => {
                    self.next();
                }
                _ => return Some(()),
            }
        }
    }

    /// Up to the delimiter, and over it, with what brackets mean on the way.
    fn until(&mut self, delimiter: char, brackets: Brackets) -> Option<()> {
        if delimiter == '\n' || delimiter == '\\' {
            return None;
        }
        loop {
            match (self.next()?, brackets) {
                ('\\', _) => {
                    self.next()?;
                }
                ('[', Brackets::Unclear) => return None,
                ('[', Brackets::Class) => self.class(delimiter)?,
                (one, _) if one == delimiter => return Some(()),
                _ => {}
            }
        }
    }

    fn command(&mut self) -> Option<()> {
        let command = self.next()?;
        match command {
            '{' => Some(()),
            '#' => {
                self.skip(|one| one != '\n');
                Some(())
            }
            's' => {
                let delimiter = self.next()?;
                self.until(delimiter, Brackets::Class)?;
                self.until(delimiter, Brackets::Plain)?;
                self.skip(|one| one.is_ascii_digit() || "gpiIM".contains(one));
                self.end()
            }
            'y' => {
                let delimiter = self.next()?;
                self.until(delimiter, Brackets::Plain)?;
                self.until(delimiter, Brackets::Plain)?;
                self.end()
            }
            'a' | 'i' | 'c' => {
                // The text goes on where a line ends in a backslash.
                let mut is_escaped = false;
                while let Some(one) = self.next() {
                    if one == '\n' && !is_escaped {
                        break;
                    }
                    is_escaped = one == '\\' && !is_escaped;
                }
                Some(())
            }
            _ if PLAIN.contains(command) => self.end(),
            _ if NUMBERED.contains(command) => {
                self.skip(|one| one == ' ' || one.is_ascii_digit());
                self.end()
            }
            _ if NAMED.contains(command) => {
                self.skip(|one| one != '\n' && one != ';');
                Some(())
            }
            _ => None,
        }
    }

    fn class(&mut self, delimiter: char) -> Option<()> {
        self.skip(|one| one == '^');
        let mut is_first = true;
        loop {
            match self.next()? {
                ']' if !is_first => return Some(()),
                one if one == delimiter || one == '[' || one == '\\' => return None,
                _ => is_first = false,
            }
        }
    }
    fn end(&mut self) -> Option<()> {
        self.skip(|one| one == ' ' || one == '\t');
        match self.peek() {
            None | Some(';' | '\n' | '}' | '#') => Some(()),
            Some(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::only_prints;

    #[test]
    fn scripts_that_only_print_are_told_from_those_that_write_or_run() {
        for script in [
            "",
            "p",
            "1,5p",
            "$d",
            "/x/d",
            "/a/,/b/p",
            "s/a/b/",
            "s/a/b/g;s|c|d|2p",
            "s,a\\,b,c w f,g",
            "s/[a-z]*/x/Ig",
            "/^#/!d",
            "y/abc/xyz/",
            ":a;N;$!ba;s/\\n/ /g",
            "/x/{p;q}",
            "1{s/a/b/;p}",
            "a\\\ntext w file",
            "i hello w x",
            "5q",
            "# w file",
            "\\,x,d",
            "r other",
        ] {
            assert!(only_prints(script), "{script}");
        }
        for script in [
            "w f",
            "wf",
            "w/f",
            "/x/wf",
            "/x/ w f",
            "W f",
            "e",
            "1e rm x",
            "s/a/b/w f",
            "s/a/b/gw f",
            "s/a/b/e",
            "s/a/b/ge",
            "s/a/b/;w f",
            "p;w f",
            "{w f}",
            "1!w f",
            "$!{p;w f\n}",
            "s/[/]/x/;p",
            "y/a/b/;w f",
            "# x\nw f",
            "a text\nw f",
            "s/a",
            "k",
            "v 4.2;w f",
        ] {
            assert!(!only_prints(script), "{script}");
        }
    }
}
