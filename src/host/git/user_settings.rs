//! Settings of the user that say how text is shown: only from the files of the user, never from a repository.

use std::path::{Path, PathBuf};

use gix::config::file::{Metadata, includes, init};

/// What the user set for all repositories. What cannot be read or understood counts as not set: it decides only how text looks.
pub struct UserSettings(Option<gix::config::File>);

impl UserSettings {
    /// Reads the files of the user, the later over the earlier, with what they include without a condition.
    #[must_use]
    pub fn read(files: &[PathBuf], home: Option<&Path>) -> Self {
        let metadata = files.iter().filter(|file| file.is_file()).map(|file| {
            let mut metadata = Metadata::from(gix::config::Source::User);
            metadata.path = Some(file.clone());
            metadata
        });
        let mut follow = includes::Options::follow_without_conditional(home);
        follow.err_on_missing_config_path = false;
        follow.err_on_max_depth_exceeded = false;
        let options = init::Options {
            includes: follow,
            ignore_io_errors: true,
            ..init::Options::default()
        };
        let read = gix::config::File::from_paths_metadata(metadata, options);
        Self(read.ok().flatten())
    }

    /// The last value of a setting.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<String> {
        let value = self.0.as_ref()?.raw_value(key).ok()?;
        String::from_utf8(value.to_vec()).ok()
    }

    /// Whether text on a terminal may be in colour, as git reads `color.diff` or `color.pager`. Nothing when it is not set.
    #[must_use]
    pub fn colour(&self, key: &str) -> Option<bool> {
        let said = self.text(key)?.to_ascii_lowercase();
        Some(!matches!(
            said.as_str(),
            "never" | "false" | "no" | "off" | "0"
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(texts: &[&str]) -> UserSettings {
        let directory = tempfile::tempdir().unwrap();
        let mut files = vec![directory.path().join("missing")];
        for (number, text) in texts.iter().enumerate() {
            let file = directory.path().join(format!("{number}"));
            std::fs::write(&file, text).unwrap();
            files.push(file);
        }
        UserSettings::read(&files, Some(directory.path()))
    }

    #[test]
    fn the_last_value_counts() {
        let none = settings(&[]);
        assert_eq!(none.colour("color.diff"), None);
        assert_eq!(none.text("core.pager"), None);
        let two = settings(&["[core]\npager = a\n", "[core]\npager = b -x\n"]);
        assert_eq!(two.text("core.pager").as_deref(), Some("b -x"));
        for no in ["false", "never", "No", "off", "0"] {
            let set = settings(&[&format!("[color]\nui = {no}\n")]);
            assert_eq!(set.colour("color.ui"), Some(false), "{no}");
            assert_eq!(set.colour("color.diff"), None, "{no}");
        }
        for yes in ["true", "auto", "always", "1"] {
            let set = settings(&[&format!("[color]\ndiff = {yes}\n")]);
            assert_eq!(set.colour("color.diff"), Some(true), "{yes}");
        }
        let broken = settings(&["[color\nui = false\n"]);
        assert_eq!(broken.colour("color.ui"), None);
    }

    #[test]
    fn what_a_file_includes_counts() {
        let included = settings(&["[include]\npath = 1\n", "[color]\nui = false\n"]);
        assert_eq!(included.colour("color.ui"), Some(false));
    }
}
