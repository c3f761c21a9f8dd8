//! A command line as a shell tells of it while it is being written: its words, and the form in which an answer must stand.

/// A command line up to the cursor.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TypedLine {
    /// Its words as the shell understands them; the last one is being written, and may be empty.
    pub words: Vec<String>,
    /// The last word as it stands there.
    raw: String,
    /// The quote that is still open in it.
    quote: Option<char>,
}

impl TypedLine {
    /// Takes one apart that is given as words.
    #[must_use]
    pub fn of_words(mut words: Vec<String>) -> Self {
        if words.is_empty() {
            words.push(String::new());
        }
        Self {
            raw: String::new(),
            words,
            quote: None,
        }
    }

    /// Takes a text apart at blanks, as shells do: quotes hold words together.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let mut line = Self::of_words(Vec::new());
        let mut characters = text.chars();
        while let Some(character) = characters.next() {
            if line.quote.is_none() && character.is_whitespace() {
                if !line.raw.is_empty() {
                    line.words.push(String::new());
                    line.raw.clear();
                }
                continue;
            }
            line.raw.push(character);
            match (line.quote, character) {
                (Some(open), found) if open == found => line.quote = None,
                (None, '\'' | '"') => line.quote = Some(character),
                (None | Some('"'), '\\') => {
                    if let Some(next) = characters.next() {
                        line.raw.push(next);
                        line.push(next);
                    }
                }
                _ => line.push(character),
            }
        }
        line
    }

    fn push(&mut self, character: char) {
        if let Some(word) = self.words.last_mut() {
            word.push(character);
        }
    }

    /// What readline puts in place of the word that it sees, which begins after the last of the characters `breaks`: the rest of
    /// the candidate, quoted as the word is. Nothing when the candidate cannot be written so.
    #[must_use]
    pub fn for_readline(&self, candidate: &str, breaks: &str) -> Option<String> {
        if let Some(quote) = self.quote {
            let special: &[char] = if quote == '"' {
                &['"', '\\', '$', '`', '!']
            } else {
                &['\'']
            };
            // Only a word that is quoted from its beginning is one word to readline.
            let is_whole = self.raw.starts_with(quote);
            return (is_whole && !candidate.contains(special)).then(|| candidate.to_owned());
        }
        let word = self.words.last().map(String::as_str).unwrap_or_default();
        if word != self.raw {
            return None;
        }
        let is_break = |character: &char| breaks.contains(*character);
        let kept = word.char_indices().rfind(|(_, one)| is_break(one));
        // Bash has readline keep these two at the beginning of the word (its `rl_special_prefixes`).
        let start = kept.map_or(0, |(at, one)| match one {
            '@' | '$' => at,
            _ => at + one.len_utf8(),
        });
        let rest = candidate.get(start..)?;
        let mut quoted = String::new();
        for character in rest.chars() {
            let is_plain = character.is_alphanumeric() || "/._-+=:@,%".contains(character);
            if !is_plain {
                quoted.push('\\');
            }
            quoted.push(character);
        }
        Some(quoted)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BREAKS: &str = " \t\n\"'@><=;|&(:";

    fn words(text: &str) -> Vec<String> {
        TypedLine::parse(text).words
    }

    #[test]
    fn words_are_those_of_a_shell() {
        assert_eq!(words("git vault "), ["git", "vault", ""]);
        assert_eq!(words("git vault  sh"), ["git", "vault", "sh"]);
        assert_eq!(words("a 'b c' d\\ e \"f"), ["a", "b c", "d e", "f"]);
        assert_eq!(words(""), [""]);
        assert_eq!(
            words("cat '@{2 hours ago}:no"),
            ["cat", "@{2 hours ago}:no"]
        );
    }

    #[test]
    fn readline_is_given_what_stands_after_its_last_break() {
        let answer = |text: &str, candidate| TypedLine::parse(text).for_readline(candidate, BREAKS);
        assert_eq!(answer("ls @la", "@latest").as_deref(), Some("@latest"));
        assert_eq!(answer("x a:@b", "a:@bc").as_deref(), Some("@bc"));
        assert_eq!(answer("ls ", "@latest").as_deref(), Some("@latest"));
        assert_eq!(
            answer("cat @latest:sr", "@latest:src/").as_deref(),
            Some("src/")
        );
        assert_eq!(
            answer("cat @latest:", "@latest:a b").as_deref(),
            Some("a\\ b")
        );
        assert_eq!(
            answer("cat '@latest:a", "@latest:a b").as_deref(),
            Some("@latest:a b")
        );
        assert_eq!(answer("cat 'x", "x'y"), None);
        // Bash would make two words of the one, and a home directory of the other.
        assert_eq!(answer("log ", "{a,b}").as_deref(), Some("\\{a,b\\}"));
        assert_eq!(answer("log ", "~a").as_deref(), Some("\\~a"));
        assert_eq!(answer("cat a\\ b", "a bc"), None, "escaped so far");
    }
}
