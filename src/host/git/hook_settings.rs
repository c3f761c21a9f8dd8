//! The settings that decide which hooks git runs for a repository, as all configuration files together state them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use super::repository::{Lookup, OpenError, classify, join_bytes, open_options};

/// What is set.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HookSettings {
    /// `core.hooksPath`, resolved as git does in the main working tree.
    pub hooks_path: Option<PathBuf>,
    /// The same as it is set, when it is relative: git resolves it in each working tree anew.
    pub hooks_path_relative: Option<PathBuf>,
    /// `core.fsmonitor`, when it is set to anything but false.
    pub fsmonitor: Option<String>,
    /// `gc.recentObjectsHook`, all of them.
    pub recent_objects: Vec<String>,
    /// Names in `hook.<name>.enabled` that are set to false.
    pub disabled: Vec<String>,
    /// The command and the events of each hook in the settings, as git takes them: the last command, and the events that came after
    /// an empty one, if there is one.
    pub configured: BTreeMap<String, (String, Vec<String>)>,
}

/// Reads the settings of a repository.
///
/// # Errors
/// When the configuration cannot be understood.
pub fn read(
    git_dir: &Path,
    worktree: Option<&Path>,
    lookup: &Lookup,
) -> Result<HookSettings, OpenError> {
    let options = open_options(lookup.configuration_from_environment).bail_if_untrusted(false);
    let opened = options.open_path_as_is(true).open(git_dir);
    let repository = opened.map_err(|error| classify(&error))?.to_thread_local();
    let config = repository.config_snapshot();
    let hooks_path = config
        .trusted_path("core.hooksPath")
        .map_err(|error| OpenError::Setting(format!("core.hooksPath: {error}")))?;
    let relative = hooks_path.as_ref().filter(|path| path.is_relative());
    let hooks_path_relative = relative.map(|path| PathBuf::from(path.as_os_str()));
    let hooks_path = hooks_path.map(|path| {
        let base = worktree.unwrap_or(git_dir);
        join_bytes(base, path.as_os_str().as_encoded_bytes())
    });
    let fsmonitor = config
        .string("core.fsmonitor")
        .map(|value| value.to_string());
    let is_off = |value: &String| {
        let value = value.to_ascii_lowercase();
        ["", "false", "no", "off", "0"].contains(&value.as_str())
    };
    let recent_objects = config.plumbing().strings("gc.recentObjectsHook");
    let mut disabled = Vec::new();
    let mut configured = BTreeMap::new();
    for section in config
        .plumbing()
        .sections_by_name("hook")
        .into_iter()
        .flatten()
    {
        let Some(name) = section.header().subsection_name() else {
            continue;
        };
        if config.boolean(format!("hook.{name}.enabled").as_str()) == Some(false) {
            disabled.push(name.to_string());
        }
        let command = config.string(format!("hook.{name}.command").as_str());
        let events = config
            .plumbing()
            .strings(format!("hook.{name}.event").as_str());
        let events: Vec<String> = events
            .unwrap_or_default()
            .into_iter()
            .map(|event| event.to_string())
            .collect();
        let kept = events.rsplit(String::is_empty).next().unwrap_or_default();
        let command = command
            .map(|command| command.to_string())
            .unwrap_or_default();
        configured.insert(name.to_string(), (command, kept.to_vec()));
    }
    Ok(HookSettings {
        hooks_path,
        hooks_path_relative,
        fsmonitor: fsmonitor.filter(|value| !is_off(value)),
        recent_objects: recent_objects
            .unwrap_or_default()
            .into_iter()
            .map(|value| value.to_string())
            .collect(),
        disabled,
        configured,
    })
}
