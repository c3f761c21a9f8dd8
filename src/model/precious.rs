//! Names of files that people write or are given once, and that rules often let git ignore.

use std::sync::LazyLock;

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

/// Such names. README.md has the same list.
pub const NAMES: [&str; 30] = [
    ".env",
    ".env.*",
    ".envrc",
    "*.pem",
    "*.key",
    "*.p12",
    "*.pfx",
    "*.jks",
    "*.keystore",
    "*.kdbx",
    "id_rsa",
    "id_ecdsa",
    "id_ed25519",
    "*.sqlite",
    "*.sqlite3",
    "*.db",
    "*.ipynb",
    "*.tfstate",
    "*.tfvars",
    "credentials.json",
    "secrets.*",
    "local_settings.py",
    "local.settings.json",
    "settings.local.json",
    "local.properties",
    "docker-compose.override.yml",
    "*.local.toml",
    "*.local.yml",
    "*.local.yaml",
    "*.code-workspace",
];

/// Directories that tools make: nothing precious is looked for in them.
pub const MADE_BY_TOOLS: [&str; 28] = [
    "node_modules",
    "bower_components",
    "target",
    "build",
    "dist",
    "out",
    "venv",
    ".venv",
    "env",
    "__pycache__",
    ".cache",
    ".tox",
    ".nox",
    ".mypy_cache",
    ".pytest_cache",
    ".ruff_cache",
    ".gradle",
    ".terraform",
    ".next",
    ".nuxt",
    ".svelte-kit",
    "coverage",
    "vendor",
    "Pods",
    "DerivedData",
    "tmp",
    "log",
    "logs",
];

static SET: LazyLock<GlobSet> = LazyLock::new(|| {
    let mut set = GlobSetBuilder::new();
    // Each of them is one; a test says so.
    for glob in NAMES.iter().filter_map(|name| {
        let glob = GlobBuilder::new(name).case_insensitive(true).build();
        glob.ok()
    }) {
        set.add(glob);
    }
    set.build().unwrap_or_default()
});

/// The pattern that says that a file of this name may be precious.
#[must_use]
pub fn pattern(name: &[u8]) -> Option<&'static str> {
    let name = String::from_utf8_lossy(name);
    let first = SET.matches(name.as_ref()).first().copied()?;
    NAMES.get(first).copied()
}

/// Whether tools make directories of this name.
#[must_use]
pub fn is_made_by_tools(name: &[u8]) -> bool {
    MADE_BY_TOOLS.iter().any(|known| known.as_bytes() == name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_by_their_patterns() {
        assert_eq!(SET.len(), NAMES.len());
        for (name, due) in [
            (".env", Some(".env")),
            (".env.production", Some(".env.*")),
            ("server.PEM", Some("*.pem")),
            ("data.sqlite3", Some("*.sqlite3")),
            ("Untitled.ipynb", Some("*.ipynb")),
            ("main.o", None),
            ("environment", None),
        ] {
            assert_eq!(pattern(name.as_bytes()), due, "{name}");
        }
    }
}
