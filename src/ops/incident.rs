//! Notes a refusal of severity 1: a directory in the state home, with what was seen and copies of small files. Nothing else is
//! touched: not the vault, not the source, not the place of a restore.

use std::fs::File;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags, mkdirat};

use crate::host::disk::{self, Context as _};
use crate::host::machine;
use crate::host::walk::path_bytes;
use crate::model::escape::{for_terminal, text_name};
use crate::model::incident::{FILE_NAME, Incident, Surroundings, directory_name};
use crate::model::refusal::Refusal;
use crate::model::refusal_code::Severity;
use crate::ops::destination::create;
use crate::ops::exhibit::{Copy, Examiner};
use crate::ops::locate::Workplace;
use crate::vault::inspect::{TOOL, looks_like_vault};
use crate::vault::registry::{real_path, registered};

/// Most incidents that are kept: a command that is run again and again must not fill the disk.
const MOST_INCIDENTS: usize = 1000;
/// How many names are tried for incidents of one second.
const MOST_IN_A_SECOND: u32 = 100;

/// What only the command line knows of a run.
#[derive(Debug, Clone, Default)]
pub struct Circumstances {
    /// The words of the command, without texts that people wrote.
    pub command: Vec<String>,
    /// Variables that were set and matter.
    pub variables: Vec<String>,
}

/// Whether a refusal was noted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Noted {
    /// It is not severe enough.
    NotDue,
    /// In this directory.
    At(PathBuf),
    /// It should have been, and was not, for this reason.
    No(String),
}

/// The directory of all incidents.
#[must_use]
pub fn place(workplace: &Workplace) -> PathBuf {
    workplace.homes.state.join("incidents")
}

/// Notes a refusal, if it is one of severity 1. Whatever goes wrong here, the refusal stays what it is.
#[must_use]
pub fn note(refusal: &Refusal, workplace: &Workplace, circumstances: &Circumstances) -> Noted {
    if refusal.code.severity() != Severity::Sev1 {
        return Noted::NotDue;
    }
    let place = place(workplace);
    let vault = vault_of(refusal, workplace);
    if let Some(reason) = forbidden(&place, refusal, workplace, vault.as_deref()) {
        return Noted::No(reason);
    }
    let mut copied_from = vec![workplace.homes.state.as_path()];
    copied_from.extend(vault.as_deref());
    let examiner = Examiner::new(&copied_from, &workplace.homes.keys);
    let (evidence, copies) = examiner.examine(&refusal.evidence);
    let plain = |text: &str| for_terminal(text).replace('\n', " ");
    let path = |path: &Path| text_name(path_bytes(path));
    let code = refusal.code;
    let incident = Incident {
        code: code.code().to_owned(),
        name: code.name().to_owned(),
        severity: code.severity().number(),
        exit: code.exit(),
        when: workplace.now,
        what: plain(&refusal.what),
        why: refusal.why.iter().map(|fact| plain(fact)).collect(),
        state: plain(refusal.state()),
        kept: plain(&refusal.kept),
        command: circumstances.command.clone(),
        tool: TOOL.to_owned(),
        environment: Surroundings {
            system: machine::system(),
            kernel: machine::kernel(),
            user: machine::user(),
            directory: path(&workplace.current),
            vault: vault.as_deref().map(path),
            file_system: vault.as_deref().and_then(machine::file_system),
            free_bytes: vault
                .as_deref()
                .and_then(|vault| disk::free_bytes(vault).ok()),
            variables: circumstances.variables.clone(),
        },
        evidence,
    };
    match incident.to_text() {
        Ok(text) => write(&place, &incident, &text, &copies)
            .map_or_else(|error| Noted::No(error.to_string()), Noted::At),
        Err(reason) => Noted::No(reason),
    }
}

/// The vault that a refusal is about: the one named, else the one around its evidence, else the one of the repository here.
fn vault_of(refusal: &Refusal, workplace: &Workplace) -> Option<PathBuf> {
    let around = |path: &Path| {
        let mut above = path.ancestors();
        above
            .find(|path| looks_like_vault(path))
            .map(Path::to_owned)
    };
    let registered = || {
        let repository = workplace.repository().ok()?;
        registered(&workplace.home_of(&repository), &repository.git_dir)
    };
    let mut evidence = refusal.evidence.iter();
    workplace
        .vault
        .clone()
        .or_else(|| evidence.find_map(|one| around(&one.path)))
        .or_else(registered)
}

/// Why nothing may be written there: what a refusal is about must stay as it is.
fn forbidden(
    place: &Path,
    refusal: &Refusal,
    workplace: &Workplace,
    vault: Option<&Path>,
) -> Option<String> {
    let real = real_path(place);
    let repository = workplace.repository().ok();
    let evidence = refusal.evidence.iter().map(|one| one.path.as_path());
    let evidence = evidence.filter(|path| path.is_absolute());
    let mut untouchable: Vec<(&str, PathBuf)> = evidence
        .map(|path| ("what it is about", real_path(path)))
        .collect();
    untouchable.extend(vault.map(|vault| ("the vault", real_path(vault))));
    if let Some(repository) = &repository {
        let worktree = repository.worktree.iter();
        let all = worktree.chain([&repository.git_dir]);
        untouchable.extend(all.map(|path| ("the repository", real_path(path))));
    }
    let found = untouchable
        .iter()
        .find(|(_, untouchable)| real.starts_with(untouchable));
    let in_a_vault = real.ancestors().any(looks_like_vault);
    match found {
        Some((what, _)) => Some(format!("'{}' lies in {what}", place.display())),
        None if in_a_vault => Some(format!("'{}' lies in a vault", place.display())),
        None => None,
    }
}

fn open_directory(path: &Path) -> disk::Result<File> {
    let flags = OFlags::DIRECTORY | OFlags::NOFOLLOW;
    std::fs::OpenOptions::new()
        .read(true)
        .custom_flags(i32::try_from(flags.bits()).unwrap_or_default())
        .open(path)
        .context("open", path)
}

/// Writes the copies, then the record, below open directories in which no link is followed.
fn write(place: &Path, incident: &Incident, text: &str, copies: &[Copy]) -> disk::Result<PathBuf> {
    disk::create_directories(place)?;
    let all = open_directory(place)?;
    if disk::list(place)?.len() >= MOST_INCIDENTS {
        let full = format!("{MOST_INCIDENTS} incidents are there already");
        return Err(disk::Error::new(
            "add to",
            place,
            std::io::Error::other(full),
        ));
    }
    let name = make_directory(&all, place, incident)?;
    let path = place.join(&name);
    let directory = open_directory(&path)?;
    for copy in copies {
        write_file(&directory, &copy.name, &copy.bytes, &path)?;
    }
    write_file(&directory, FILE_NAME, text.as_bytes(), &path)?;
    directory.sync_all().context("make durable", &path)?;
    all.sync_all().context("make durable", place)?;
    Ok(path)
}

fn make_directory(all: &File, place: &Path, incident: &Incident) -> disk::Result<String> {
    let mut number = 1;
    loop {
        let name = directory_name(incident.when, &incident.code, number);
        match mkdirat(all, &name, Mode::RWXU).context("create directory", &place.join(&name)) {
            Ok(()) => return Ok(name),
            Err(error) if error.is_already_there() && number < MOST_IN_A_SECOND => number += 1,
            Err(error) => return Err(error),
        }
    }
}

fn write_file(directory: &File, name: &str, bytes: &[u8], shown: &Path) -> disk::Result<()> {
    let mut file = create(directory, name.as_bytes(), shown)?;
    let path = shown.join(name);
    file.write_all(bytes).context("write", &path)?;
    file.sync_all().context("make durable", &path)
}
