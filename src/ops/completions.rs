//! `git vault completions`: what a shell must read to complete the words of this program.

use std::path::Path;

use crate::model::refusal::Result;
use crate::ops::shell_init::{Shell, program_word};

const BASH: &str = include_str!("../../templates/completions/bash.sh");
const ZSH: &str = include_str!("../../templates/completions/zsh.zsh");
const FISH: &str = include_str!("../../templates/completions/fish.fish");

/// The text that a shell is to read; `program` is this one, as an absolute path.
///
/// # Errors
/// When the path cannot be written in the language of the shell.
pub fn completions(shell: Shell, program: Option<&Path>) -> Result<String> {
    let word = program_word(shell, program)?;
    let text = match shell {
        Shell::Bash => BASH,
        Shell::Zsh => ZSH,
        Shell::Fish => FISH,
    };
    Ok(text.replace("@PROGRAM@", &word))
}
