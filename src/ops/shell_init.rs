//! `git vault shell-init`: a function `git` for a shell, which guards the commands that can destroy work and no others.

use std::path::Path;

use crate::model::escape::shell_word;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;

/// The shells that there is a function for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shell {
    /// bash.
    Bash,
    /// zsh.
    Zsh,
    /// fish.
    Fish,
}

/// Which commands are guarded, for shells that are close enough to one another.
const RISKY: &str = include_str!("../../templates/shell/risky.sh");
const BASH: &str = include_str!("../../templates/shell/bash.sh");
const ZSH: &str = include_str!("../../templates/shell/zsh.zsh");
const FISH: &str = include_str!("../../templates/shell/fish.fish");

/// The text that a shell is to read when it starts; `program` is this one, as an absolute path.
///
/// # Errors
/// When the path cannot be written in the language of the shell.
pub fn shell_init(shell: Shell, program: Option<&Path>) -> Result<String> {
    let word = program_word(shell, program)?;
    let text = match shell {
        Shell::Bash => BASH.replace("@RISKY@\n", &risky(":")),
        Shell::Zsh => ZSH.replace("@RISKY@\n", &risky("emulate -L sh")),
        Shell::Fish => FISH.to_owned(),
    };
    Ok(text.replace("@PROGRAM@", &word))
}

/// The path of this program as a word of a shell.
///
/// # Errors
/// When it is not known, or cannot be written in the language of the shell.
pub(super) fn program_word(shell: Shell, program: Option<&Path>) -> Result<String> {
    let unknown = |fact: &str| {
        Refusal::new(
            RefusalCode::SettingInvalid,
            "the function cannot name this program",
        )
        .because(fact)
        .keeping("nothing was touched")
    };
    let program = program.ok_or_else(|| unknown("the system does not say where it is"))?;
    match shell {
        Shell::Bash | Shell::Zsh => Ok(shell_word(program)),
        Shell::Fish => {
            let shown = program.display();
            fish_word(program)
                .ok_or_else(|| unknown(&format!("fish has no simple word for '{shown}'")))
        }
    }
}

fn risky(rules: &str) -> String {
    RISKY.replace("@LOCAL_RULES@", rules)
}

/// A path in single quotes as fish has them.
fn fish_word(path: &Path) -> Option<String> {
    let text = path.to_str()?;
    let is_plain = !text.chars().any(char::is_control);
    is_plain.then(|| format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")))
}
