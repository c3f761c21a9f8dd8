//! What an installation says when a place is taken.

use std::path::{Path, PathBuf};

use super::shim::{line_for_others, word};
use crate::host::disk;
use crate::model::hook_event::HookEvent;
use crate::model::refusal::Refusal;
use crate::model::refusal_code::RefusalCode;
use crate::vault::registry;

/// Largest foreign hook that is looked into.
const LIMIT_BYTES: u64 = 1 << 20;

const NOTHING: &str = "nothing was installed; everything that was there is as it was";

/// Who keeps the hooks of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Keeper {
    Husky,
    Lefthook,
    PreCommit,
    Prek,
    Lfs,
    Unknown,
}

impl Keeper {
    /// Tells the keeper by what a hook says.
    pub(super) fn of_hook(path: &Path) -> Self {
        let bytes = disk::read_bounded(path, LIMIT_BYTES).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes).to_lowercase();
        let names = [
            ("lefthook", Self::Lefthook),
            ("prek", Self::Prek),
            ("pre-commit.com", Self::PreCommit),
            ("pre_commit", Self::PreCommit),
            ("husky", Self::Husky),
            ("git lfs", Self::Lfs),
            ("git-lfs", Self::Lfs),
        ];
        let found = names.into_iter().find(|(name, _)| text.contains(name));
        found.map_or(Self::Unknown, |(_, keeper)| keeper)
    }

    /// Tells the keeper by the directory of hooks that is set.
    pub(super) fn of_directory(directory: &Path) -> Self {
        let is_husky = directory
            .components()
            .any(|part| part.as_os_str() == ".husky");
        if is_husky { Self::Husky } else { Self::Unknown }
    }

    /// How the same is told to this keeper.
    fn advice(self, event: HookEvent, path: &Path, program: &str) -> (String, String) {
        let name = event.name();
        let line = line_for_others(event, program);
        match self {
            Self::Husky => (line, format!("a line for '.husky/{name}'")),
            Self::Lefthook => (
                format!(
                    "{name}: {{commands: {{git-vault: {{run: {}}}}}}}",
                    yaml(&format!("{} hook {name} {{0}}", word(program)))
                ),
                "lines for 'lefthook.yml'; then 'lefthook install'".to_owned(),
            ),
            Self::PreCommit | Self::Prek => (
                format!(
                    "{{id: git-vault-{name}, name: git-vault, language: system, always_run: true, pass_filenames: false, stages: [{name}], entry: {}}}",
                    yaml(&format!("{} hook {name}", word(program)))
                ),
                format!(
                    "a hook of 'repo: local' in '.pre-commit-config.yaml'; then '{} install --hook-type {name}'",
                    if self == Self::Prek {
                        "prek"
                    } else {
                        "pre-commit"
                    }
                ),
            ),
            Self::Lfs => (
                line,
                format!(
                    "a line for '{}', below what 'git lfs update --manual' says",
                    path.display()
                ),
            ),
            Self::Unknown => (line, format!("a line for '{}'", path.display())),
        }
    }
}

/// A text as one word of YAML.
fn yaml(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace('\t', "\\t"))
}

/// Hooks of others stand where ours would be. Each event comes with its place, and with who keeps that; what to do is said of all of
/// them, for none is installed.
pub(super) fn taken(slots: &[(HookEvent, PathBuf, Option<Keeper>)], program: &str) -> Refusal {
    let mut refusal = Refusal::new(
        RefusalCode::HookPlaceTaken,
        "hooks of others stand where those of git-vault would be",
    )
    .keeping(NOTHING);
    for (_, path, _) in slots.iter().filter(|slot| slot.2.is_some()) {
        refusal = refusal
            .because(format!("there is '{}'", path.display()))
            .about(path);
    }
    let is_lefthook = slots.iter().any(|slot| slot.2 == Some(Keeper::Lefthook));
    for (event, path, keeper) in slots {
        let (line, place) = match keeper {
            Some(keeper) => keeper.advice(*event, path, program),
            None if is_lefthook => Keeper::Lefthook.advice(*event, path, program),
            None => {
                let (line, _) = Keeper::Unknown.advice(*event, path, program);
                let place = format!(
                    "a line below '#!/bin/sh' for a new program '{}'",
                    path.display()
                );
                (line, place)
            }
        };
        refusal = refusal.next(line, place);
    }
    refusal
}

/// The directory of hooks belongs to somebody else.
pub(super) fn directory_elsewhere(directory: &Path, program: &str) -> Refusal {
    let refusal = Refusal::new(
        RefusalCode::HookPlaceTaken,
        "the directory of hooks lies outside the git directory",
    )
    .because(format!(
        "it is '{}'",
        registry::real_path(directory).display()
    ))
    .because("what lies there may be tracked, or be shared with others")
    .keeping(NOTHING);
    let keeper = Keeper::of_directory(directory);
    HookEvent::ALL.into_iter().fold(refusal, |refusal, event| {
        let (line, place) = keeper.advice(event, &directory.join(event.name()), program);
        refusal.next(line, place)
    })
}

/// git-lfs keeps the hooks: it would not work any more if one of its places were taken.
pub(super) fn lfs(sign: &Path, hooks: &Path, program: &str) -> Refusal {
    let refusal = Refusal::new(
        RefusalCode::HookPlaceTaken,
        "git-lfs keeps the hooks of this repository",
    )
    .because(format!("there is '{}'", sign.display()))
    .because("git-lfs refuses to install its hooks where one of another is")
    .keeping(NOTHING);
    HookEvent::ALL.into_iter().fold(refusal, |refusal, event| {
        let (line, place) = Keeper::Lfs.advice(event, &hooks.join(event.name()), program);
        refusal.next(line, place)
    })
}

/// What was written was changed by somebody.
pub(super) fn changed(path: &Path) -> Refusal {
    Refusal::new(
        RefusalCode::HookPlaceTaken,
        format!("'{}' is not what was written there", path.display()),
    )
    .because("somebody has changed it since it was installed")
    .keeping(NOTHING)
    .about(path)
    .next(
        "git vault hooks status",
        "says what is as it was written, and what is not",
    )
}

/// The configuration cannot be changed without harm.
pub(super) fn config(path: &Path, fact: &str) -> Refusal {
    Refusal::new(
        RefusalCode::HookPlaceTaken,
        format!("'{}' cannot be changed safely", path.display()),
    )
    .because(fact)
    .keeping("the file is as it was")
    .about(path)
}

/// The file monitor is set to something else.
pub(super) fn monitor(value: &str) -> Refusal {
    Refusal::new(
        RefusalCode::HookPlaceTaken,
        "git knows one file monitor only, and one is set",
    )
    .because(format!("core.fsmonitor is '{value}'"))
    .keeping(NOTHING)
    .next(
        "git vault hooks install",
        "installs all but the last second",
    )
    .next(
        "git config --show-origin --get-all core.fsmonitor",
        "says where it is set",
    )
}

/// This git cannot do what is asked for.
pub(super) fn git_too_old(version: &str) -> Refusal {
    Refusal::new(
        RefusalCode::HookPlaceTaken,
        "hooks for all repositories need git 2.54 or newer",
    )
    .because(format!(
        "the git on the path is '{version}', which takes no hooks from settings"
    ))
    .because("a directory of hooks for all repositories would switch off those that are in each")
    .keeping(NOTHING)
    .next(
        "git vault hooks install",
        "installs hooks in one repository",
    )
}

/// There is no git whose version could be asked.
pub(super) fn no_git() -> Refusal {
    Refusal::new(
        RefusalCode::SettingInvalid,
        "there is no git on the path that says its version",
    )
    .because("how hooks are made known depends on it")
    .keeping(NOTHING)
}

/// A path cannot be written into settings.
pub(super) fn not_text(path: &Path) -> Refusal {
    Refusal::new(
        RefusalCode::SettingInvalid,
        format!("'{}' cannot be written into settings", path.display()),
    )
    .because("it is not UTF-8, or has a line feed in it")
    .keeping(NOTHING)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_for_others_holds_any_path_as_one_word() {
        let program = "/a b/it's \\ \"x\"/git-vault";
        let path = Path::new("/r/.git/hooks/post-merge");
        let advice = |keeper: Keeper| keeper.advice(HookEvent::PostMerge, path, program).0;
        let quoted = r#"'/a b/it'\\''s \\ \"x\"/git-vault' hook post-merge"#;
        let lefthook = format!("run: \"{quoted} {{0}}\"}}");
        assert!(advice(Keeper::Lefthook).contains(&lefthook));
        for keeper in [Keeper::PreCommit, Keeper::Prek] {
            assert!(advice(keeper).ends_with(&format!("entry: \"{quoted}\"}}")));
        }
        let word = r#"'/a b/it'\''s \ "x"/git-vault' hook post-merge "$@""#;
        for keeper in [Keeper::Husky, Keeper::Lfs, Keeper::Unknown] {
            assert!(advice(keeper).starts_with(word));
        }
    }
}
