//! Every byte of every file of a vault is changed, and every file is cut at many lengths, by calls into the library: as many
//! points as this would take hours with a process each. `damage` does the same to some, through the program.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use git_vault::host::git::repository::Lookup;
use git_vault::model::event::Silent;
use git_vault::model::log_entry::VerifyLevel;
use git_vault::model::refusal::{Refusal, Result};
use git_vault::model::timestamp::Timestamp;
use git_vault::ops::locate::Workplace;
use git_vault::ops::restore::restore;
use git_vault::ops::verify::verify;
use git_vault::vault::inspect::Homes;

use crate::damage::matters;
use crate::laboratory::{Laboratory, assert_none, effort, restored_listing};
use crate::support::files::at;
use crate::support::listing;

/// What the program would be told here with `--vault`: the vault is only looked at, and nothing need be put back.
fn workplace(laboratory: &Laboratory) -> Workplace {
    let sandbox = &laboratory.sandbox;
    Workplace {
        lookup: Lookup {
            start: laboratory.source.clone(),
            configuration_from_environment: true,
            home: Some(sandbox.home()),
            default_excludes_file: None,
        },
        vault: Some(laboratory.vault.clone()),
        vault_home: sandbox.path("data/git-vault/vaults"),
        homes: Homes {
            keys: sandbox.path("config/git-vault/keys"),
            state: sandbox.path("state/git-vault"),
        },
        current: sandbox.home(),
        now: Timestamp::from_seconds(1_700_000_000),
        zone: || jiff::tz::TimeZone::UTC,
    }
}

struct Sweep {
    laboratory: Laboratory,
    workplace: Workplace,
    destination: PathBuf,
    points: usize,
    restored: usize,
    wrong: Vec<String>,
}

impl Sweep {
    fn new() -> Self {
        let laboratory = Laboratory::new();
        Self {
            workplace: workplace(&laboratory),
            destination: laboratory.sandbox.path("out"),
            laboratory,
            points: 0,
            restored: 0,
            wrong: Vec::new(),
        }
    }

    fn verify(&self, level: VerifyLevel) -> std::result::Result<Result<()>, String> {
        let call = || verify(&self.workplace, &[], level, &Silent).map(|_report| ());
        catch_unwind(AssertUnwindSafe(call)).map_err(|_panic| "verify panicked".to_owned())
    }

    /// With a file of the vault as it is now, damaged: neither verification nor restore may take it for whole.
    fn judge(&mut self, name: &[u8], what: &str) {
        self.points += 1;
        let complaint = self.verdict(name).err();
        let shown = name.escape_ascii();
        self.wrong
            .extend(complaint.map(|complaint| format!("'{shown}', {what}: {complaint}")));
        assert!(self.wrong.len() < 50, "{}", self.wrong.join("\n"));
    }

    fn verdict(&mut self, name: &[u8]) -> std::result::Result<(), String> {
        match self.verify(VerifyLevel::Full)? {
            Ok(()) if matters(name) => return Err("it was verified".to_owned()),
            Ok(()) => {}
            Err(refusal) if matters(name) => self.check_refusal(&refusal, name)?,
            Err(refusal) => return Err(format!("it should not matter: {refusal:?}")),
        }
        let sealed = &self.laboratory.sealed[self.points % self.laboratory.sealed.len()];
        let call = || restore(&self.workplace, &sealed.id, &self.destination, &Silent);
        let outcome = catch_unwind(AssertUnwindSafe(call));
        match outcome.map_err(|_panic| "restore panicked".to_owned())? {
            Ok(_report) => {
                self.restored += 1;
                let found = restored_listing(&self.destination);
                fs::remove_dir_all(&self.destination).expect("the copy is removed");
                let differences = listing::differences("restored", &sealed.restored, &found);
                if !differences.is_empty() {
                    return Err(differences.join("\n"));
                }
            }
            Err(_) if self.destination.exists() => {
                return Err("refused, and the destination is there".to_owned());
            }
            Err(refusal) => self.check_refusal(&refusal, name)?,
        }
        Ok(())
    }

    /// The code is one of damage or forgery, and the refusal names the file.
    fn check_refusal(&self, refusal: &Refusal, name: &[u8]) -> std::result::Result<(), String> {
        let text = format!("{} {}", refusal.what, refusal.why.join(" "));
        let path = at(&self.laboratory.vault, name);
        let is_named = text.contains(&*path.to_string_lossy())
            || name == b"vault.toml" && text.contains(&*self.laboratory.vault.to_string_lossy());
        let fits = (30..=33).contains(&refusal.code.exit()) || refusal.code.code() == "GV-1002";
        // The hash of a record does not cover the last line, which names the key: another id is a key that is not here.
        let is_other_key = name == b"vault.toml" && refusal.code.code() == "GV-1201";
        if (is_named && fits) || is_other_key {
            Ok(())
        } else {
            Err(format!("{}: {text}", refusal.code.code()))
        }
    }

    #[track_caller]
    fn conclude(self, label: &str) {
        eprintln!(
            "{label}: {} points, {} whole restores",
            self.points, self.restored
        );
        assert_none(&self.wrong);
        assert!(self.points > 0, "nothing was damaged");
        let whole = self.verify(VerifyLevel::Deep).expect("no panic");
        assert!(whole.is_ok(), "with every byte back: {whole:?}");
    }
}

/// Every position at full effort, else some that are spread evenly, the first and last among them.
fn positions(length: usize, at_most: usize) -> Vec<usize> {
    let at_most = at_most * effort();
    if effort() >= 10 || length <= at_most {
        return (0..length).collect();
    }
    let steps = at_most - 1;
    (0..=steps)
        .map(|step| (length - 1) * step / steps)
        .collect()
}

fn put(path: &Path, byte: u8, position: usize) {
    let file = OpenOptions::new()
        .write(true)
        .open(path)
        .expect("it is opened");
    file.write_all_at(&[byte], position as u64)
        .expect("it is written");
}

#[test]
fn a_vault_with_any_byte_changed_is_never_taken_for_whole() {
    let mut sweep = Sweep::new();
    for name in sweep.laboratory.files() {
        let path = at(&sweep.laboratory.vault, &name);
        let bytes = fs::read(&path).expect("the file is read");
        for position in positions(bytes.len(), 12) {
            let byte = bytes[position];
            let flipped = byte ^ (1 << (position % 8));
            for other in [flipped, 0, 0xff] {
                if other != byte {
                    put(&path, other, position);
                    sweep.judge(
                        &name,
                        &format!("byte {position}: {byte:#x} became {other:#x}"),
                    );
                }
            }
            put(&path, byte, position);
        }
    }
    sweep.conclude("a byte changed");
}

#[test]
fn a_vault_with_a_file_cut_at_any_length_is_never_taken_for_whole() {
    let mut sweep = Sweep::new();
    for name in sweep.laboratory.files() {
        let path = at(&sweep.laboratory.vault, &name);
        let bytes = fs::read(&path).expect("the file is read");
        let count = if effort() >= 10 { 64 } else { 4 };
        let mut lengths: Vec<usize> = (0..count).map(|step| bytes.len() * step / count).collect();
        lengths.dedup();
        for length in lengths.into_iter().filter(|length| *length < bytes.len()) {
            fs::write(&path, &bytes[..length]).expect("it is cut");
            sweep.judge(&name, &format!("cut at {length} of {}", bytes.len()));
        }
        fs::write(&path, &bytes).expect("it is written");
    }
    sweep.conclude("a file cut");
}
