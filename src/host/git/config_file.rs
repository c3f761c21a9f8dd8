//! Single settings of a configuration file, read and replaced with everything around them left as it is.

/// The value of `core.worktree`, the last one of the file.
#[must_use]
pub fn worktree_setting(config: &[u8]) -> Option<Vec<u8>> {
    let file = parse(config)?;
    let value = file.raw_value("core.worktree").ok()?;
    Some(value.to_vec()).filter(|value| !value.is_empty())
}

/// The value of `core.hooksPath`, the last one of the file.
#[must_use]
pub fn hooks_path_setting(config: &[u8]) -> Option<Vec<u8>> {
    Some(parse(config)?.raw_value("core.hooksPath").ok()?.to_vec())
}

/// Whether a `config` says that git heeds the `config.worktree` beside it.
#[must_use]
pub fn has_worktree_config(config: &[u8]) -> bool {
    let value = parse(config).map(|file| file.boolean("extensions.worktreeConfig"));
    value.is_some_and(|value| value.is_ok_and(|value| value == Some(true)))
}

/// The same file with another value of `core.worktree`; `None` when it cannot be understood or has none.
#[must_use]
pub fn with_worktree(config: &[u8], path: &[u8]) -> Option<Vec<u8>> {
    let mut file = parse(config)?;
    let value: &gix::bstr::BStr = path.into();
    let mut set = file.raw_value_mut("core.worktree").ok()?;
    set.set(value).ok()?;
    let text = file.to_bstring().to_vec();
    (worktree_setting(&text).as_deref() == Some(path)).then_some(text)
}

pub(super) fn parse(config: &[u8]) -> Option<gix::config::File> {
    let metadata = gix::config::file::Metadata::api();
    gix::config::File::from_bytes_no_includes(
        config,
        metadata,
        gix::config::file::init::Options::default(),
    )
    .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_value_is_replaced() {
        let config =
            "# mine\n[core]\n\tbare = false ; so\n\tworktree = ../../../a b\n[x \"y\"]\nz=1\n";
        assert_eq!(
            worktree_setting(config.as_bytes()).as_deref(),
            Some(&b"../../../a b"[..])
        );
        let changed = with_worktree(config.as_bytes(), b"/new/#place").unwrap();
        let expected = config.replace("../../../a b", "\"/new/#place\"");
        assert_eq!(String::from_utf8(changed).unwrap(), expected);
    }

    #[test]
    fn a_file_without_it_stays() {
        assert_eq!(worktree_setting(b"[core]\n\tbare = false\n"), None);
        assert_eq!(with_worktree(b"[core]\n", b"x"), None);
        assert_eq!(worktree_setting(b"[core\n"), None);
    }
}
