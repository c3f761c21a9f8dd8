//! `git vault man DIR`: manual pages, written where `man` looks for them.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::host::disk::{self, Context};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::vault::inspect::looks_like_vault;
use crate::vault::registry::real_path;

/// What every page of ours has in it, and nothing else is ever replaced by one.
const MARK: &[u8] = b".TH git-vault";
/// Largest page; a larger file is none.
const LIMIT_BYTES: u64 = 1 << 20;

/// Writes pages, by the name of their file, into a directory that is there. Nothing is written unless all may be.
///
/// # Errors
/// When the directory is not there, or a file of that name is no page of ours.
pub fn write(directory: &Path, pages: &[(String, String)]) -> Result<Vec<PathBuf>> {
    let unfit = |fact: String| {
        Refusal::new(
            RefusalCode::SettingInvalid,
            format!("no manual pages are written to '{}'", directory.display()),
        )
        .because(fact)
        .keeping("nothing was touched")
    };
    if !directory.is_dir() {
        return Err(unfit("there is no such directory".to_owned()));
    }
    if real_path(directory).ancestors().any(looks_like_vault) {
        return Err(unfit("it is inside a vault".to_owned()));
    }
    for (name, _) in pages {
        let path = directory.join(name);
        match disk::read_bounded(&path, LIMIT_BYTES) {
            Err(error) if error.is_not_found() => {}
            Ok(found) if found.windows(MARK.len()).any(|window| window == MARK) => {}
            Ok(_) => {
                let fact = format!("'{}' was not written by this command", path.display());
                return Err(unfit(fact));
            }
            Err(error) => return Err(unfit(error.to_string())),
        }
    }
    let mut written = Vec::new();
    for (name, text) in pages {
        let path = directory.join(name);
        write_one(&path, text).map_err(|error| {
            error
                .refuse(RefusalCode::SettingInvalid)
                .keeping("pages that were written before are whole")
        })?;
        written.push(path);
    }
    Ok(written)
}

fn write_one(path: &Path, text: &str) -> disk::Result<()> {
    disk::replace(path, text.as_bytes())?;
    let readable = std::fs::Permissions::from_mode(0o644);
    std::fs::set_permissions(path, readable).context("let others read", path)
}
