//! Vaults that are hostile and validly signed: made with the vault's own key, or of real signatures in wrong places. A table says what every command must answer.
//!
//! `GIT_VAULT_HOSTILE_KIT=DIR cargo test --test it -- hostile_kit` writes them out with their verdicts, for other readers of the format.

mod contents;
mod keys;
mod packs;
mod records;
mod shrunk;
mod snapshots;
mod texts;
mod trees;
mod workspaces;

use std::fs;
use std::path::{Path, PathBuf};

use crate::laboratory::{
    Laboratory, bounded, copy_tree, refusal, restore_leftovers, restored_listing,
};
use crate::support::forge::Forge;
use crate::support::forged_pack::Workbench;
use crate::support::listing::{self, Listing};
use crate::support::{Said, Sandbox};

/// The commands, with the words that the table uses for them; `verify` and `snapshot` write when they succeed.
const COMMANDS: [&str; 7] = [
    "list", "show", "quick", "verify", "deep", "restore", "snapshot",
];

/// Refused by every command: nothing is believed of a vault whose log or description is wrong.
const NOTHING: &str = "";
/// What needs the packs refuses; signatures, names and sizes are right.
const RECORDS: &str = "list show quick snapshot?";
/// Every byte is as sealed. That the signer lied about what is in them is found by those who decode it.
const BYTES: &str = "list show quick verify snapshot?";
/// All that a restore needs is as it was sealed; what else is in the packs is not.
const NEEDED: &str = "list show quick verify restore snapshot?";
/// As above; ids decide which object is meant, and whether a restore needs it.
const BY_CHANCE: &str = "list show quick verify restore? snapshot?";
/// All of it is as its signer says; only the destination cannot hold it.
const CONTENTS: &str = "list show quick verify deep snapshot";
/// Not wrong, or nothing that anybody could check.
const EVERYTHING: &str = "list show quick verify deep restore snapshot";

/// What is done to the vault.
enum Change {
    Records(fn(&Sandbox, &mut Forge)),
    /// Another snapshot is sealed after this.
    Bench(fn(&mut Workbench)),
}

/// One hostile vault and what must be said of it.
struct Case {
    name: &'static str,
    forge: Change,
    /// The commands that succeed; with `?`, one that may. A snapshot proves what it adds and looks up what it names: whether it
    /// meets what is wrong depends on what it needs.
    passes: &'static str,
    /// The codes with which the others refuse.
    codes: &'static [&'static str],
    /// Why some succeed, where the constants above do not say it.
    why: &'static str,
    /// What a restore gives that succeeds; without it, the snapshot as it was sealed.
    restored: Option<fn(&Path)>,
}

/// A case that is refused.
const fn case(
    name: &'static str,
    forge: fn(&Sandbox, &mut Forge),
    passes: &'static str,
    codes: &'static [&'static str],
) -> Case {
    Case {
        name,
        forge: Change::Records(forge),
        passes,
        codes,
        why: "",
        restored: None,
    }
}

/// A case that is not wrong, or not so that anybody could see it.
const fn harmless(
    name: &'static str,
    forge: fn(&Sandbox, &mut Forge),
    why: &'static str,
    restored: Option<fn(&Path)>,
) -> Case {
    Case {
        why,
        restored,
        ..case(name, forge, EVERYTHING, &[])
    }
}

/// A snapshot that is refused.
const fn bench_case(
    name: &'static str,
    bench: fn(&mut Workbench),
    passes: &'static str,
    codes: &'static [&'static str],
) -> Case {
    Case {
        name,
        forge: Change::Bench(bench),
        passes,
        codes,
        why: "",
        restored: None,
    }
}

/// A snapshot that is not wrong, or not so that anybody could see it.
const fn bench_harmless(
    name: &'static str,
    bench: fn(&mut Workbench),
    why: &'static str,
    restored: Option<fn(&Path)>,
) -> Case {
    Case {
        why,
        restored,
        ..bench_case(name, bench, EVERYTHING, &[])
    }
}

/// Puts every case of a class to the test.
#[track_caller]
fn judge(class: &str, cases: &[Case]) {
    let documented = include_str!("../../docs/TESTING.md");
    let row = format!("| {class:<9} | {} ", cases.len());
    assert!(documented.contains(&row), "docs/TESTING.md says '{row}'");
    let laboratory = Laboratory::new();
    let other = records::other_vault(&laboratory);
    let mut wrong = Vec::new();
    for case in cases {
        assert!(
            case.passes != EVERYTHING || !case.why.is_empty(),
            "{}: say why",
            case.name
        );
        let before = surroundings(&laboratory.sandbox);
        laboratory.reset();
        let mut forge = Forge::new(&laboratory);
        forge.other = Some(other.clone());
        match case.forge {
            Change::Records(change) => change(&laboratory.sandbox, &mut forge),
            Change::Bench(change) => {
                let mut bench = Workbench::new(&laboratory.sandbox, &mut forge);
                change(&mut bench);
                bench.seal(&mut forge);
            }
        }
        forge.seal();
        let bench = Bench::new(&laboratory, forge.target, case);
        write_out(class, case, &laboratory);
        for command in COMMANDS {
            wrong.extend(bench.try_command(command).err());
        }
        bench.remove();
        let changes = listing::differences("outside", &before, &surroundings(&laboratory.sandbox));
        wrong.extend(
            changes
                .into_iter()
                .map(|change| format!("{}: {change}", case.name)),
        );
    }
    assert!(
        wrong.is_empty(),
        "{} of {class} are wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}

/// Everything that no command may touch.
fn surroundings(sandbox: &Sandbox) -> Listing {
    let ours = [
        "./config",
        "./data",
        "./state",
        "./pristine",
        "./saved",
        "./out",
        "./tmp",
    ];
    let mut all = listing::list(&sandbox.path(""), &|_| true);
    all.retain(|name, _| {
        let name = format!("./{}", String::from_utf8_lossy(name));
        name != "./."
            && !ours
                .iter()
                .any(|ours| name == *ours || name.starts_with(&format!("{ours}/")))
    });
    all
}

/// A forged vault with a copy to go back to.
struct Bench<'a> {
    laboratory: &'a Laboratory,
    target: String,
    case: &'a Case,
    saved: PathBuf,
}

impl<'a> Bench<'a> {
    fn new(laboratory: &'a Laboratory, target: String, case: &'a Case) -> Self {
        let saved = laboratory.sandbox.path("saved");
        copy_tree(&laboratory.vault, &saved);
        forget(laboratory);
        Self {
            laboratory,
            target,
            case,
            saved,
        }
    }

    fn remove(&self) {
        fs::remove_dir_all(&self.saved).expect("the copy is removed");
    }

    /// Runs a command and says what is wrong with its answer.
    fn try_command(&self, command: &str) -> Result<(), String> {
        let (laboratory, case) = (self.laboratory, self.case);
        let before = laboratory.vault_listing();
        let said = self.run(command);
        let told = |what: String| format!("{} {command}: {what}", case.name);
        let is_listed = |word: &str| case.passes.split(' ').any(|passes| passes == word);
        let is_open = is_listed(&format!("{command}?"));
        let is_passed = is_listed(command);
        let verdict = match (said.code, refusal(&said)) {
            (Some(0), _) if is_passed || is_open => self.check_restored(command),
            (Some(0), _) => Err("this succeeded".to_owned()),
            (_, Ok(code)) if !is_passed && case.codes.contains(&code.code()) => {
                let changes = listing::differences("vault", &before, &laboratory.vault_listing());
                if changes.is_empty() {
                    Ok(())
                } else {
                    Err(changes.join("\n"))
                }
            }
            (_, Ok(code)) => Err(format!(
                "expected {:?}, found {}\n{said}",
                case.codes,
                code.code()
            )),
            (_, Err(found)) => Err(found),
        };
        let out = laboratory.sandbox.path("out");
        let verdict = if said.code != Some(0) && out.symlink_metadata().is_ok() {
            Err("a destination is left behind".to_owned())
        } else {
            verdict
        };
        if said.code == Some(0) {
            fs::remove_dir_all(&laboratory.vault).expect("the vault is removed");
            copy_tree(&self.saved, &laboratory.vault);
        }
        forget(laboratory);
        for left in restore_leftovers(&laboratory.sandbox).iter().chain([&out]) {
            let mut chmod = laboratory.sandbox.command("chmod", &laboratory.source);
            let _output = chmod.args(["-R", "u+rwX"]).arg(left).output();
        }
        laboratory.sweep_away_restores();
        verdict.map_err(told)
    }

    /// At most 10 s of processor time and 2 GiB of addresses; more ends in a signal.
    fn run(&self, command: &str) -> Said {
        let laboratory = self.laboratory;
        let out = laboratory.sandbox.path("out");
        let out = out.to_str().expect("a UTF-8 path");
        let arguments: &[&str] = match command {
            "list" => &["list"],
            "show" => &["show", &self.target],
            "quick" => &["verify", "--quick"],
            "verify" => &["verify"],
            "deep" => &["verify", "--deep"],
            "restore" => &["restore", &self.target, out],
            _ => &["snapshot", "-m", "on top"],
        };
        let program = laboratory.sandbox.vault_command(&laboratory.source);
        let mut limited = laboratory.sandbox.command("prlimit", &laboratory.source);
        let limits = ["--as=2147483648", "--cpu=10", "--core=0"];
        limited
            .args(limits)
            .arg(program.get_program())
            .args(arguments);
        bounded(limited, &format!("git-vault {}", arguments.join(" ")))
    }

    fn check_restored(&self, command: &str) -> Result<(), String> {
        if command != "restore" {
            return Ok(());
        }
        let out = self.laboratory.sandbox.path("out");
        if let Some(check) = self.case.restored {
            check(&out);
            return Ok(());
        }
        // What a case adds has names of its own; all else is as in the newest real snapshot.
        let sealed = self.laboratory.sealed.last().expect("a snapshot");
        let mut found = restored_listing(&out);
        found.retain(|name, _| !name.starts_with(b"x-"));
        let differences = listing::differences("restored", &sealed.restored, &found);
        if differences.is_empty() {
            Ok(())
        } else {
            Err(differences.join("\n"))
        }
    }
}

/// A machine that has the keys and has not seen the vault: what it saw would give everything away.
fn forget(laboratory: &Laboratory) {
    let seen = laboratory.sandbox.path("state/git-vault/last-seen");
    if seen.exists() {
        fs::remove_dir_all(seen).expect("the state is removed");
    }
}

/// Writes a forged vault with its keys and its verdict to where the environment says.
fn write_out(class: &str, case: &Case, laboratory: &Laboratory) {
    let Some(kit) = std::env::var_os("GIT_VAULT_HOSTILE_KIT") else {
        return;
    };
    let home = PathBuf::from(kit).join(class).join(case.name);
    copy_tree(&laboratory.vault, &home.join("vault"));
    copy_tree(
        &laboratory.sandbox.path("config/git-vault/keys"),
        &home.join("keys"),
    );
    let verdict = serde_json::json!({
        "passes": case.passes.split_whitespace().collect::<Vec<_>>(),
        "codes": case.codes,
        "why": case.why,
    });
    fs::write(home.join("expected.json"), format!("{verdict:#}\n")).expect("the verdict");
}

#[test]
fn records() {
    judge("records", &records::cases());
}

#[test]
fn drops_and_optimizes() {
    judge("shrunk", &shrunk::cases());
}

#[test]
fn texts_of_records() {
    judge("texts", &texts::cases());
}

#[test]
fn keys_and_rotations() {
    judge("keys", &keys::cases());
}

#[test]
fn what_manifests_state() {
    judge("snapshots", &snapshots::cases());
}

#[test]
fn listings_and_trees() {
    judge("trees", &trees::cases());
}

#[test]
fn repositories_and_working_trees() {
    judge("workspaces", &workspaces::cases());
}

#[test]
fn packs_and_indices() {
    judge("packs", &packs::cases());
}
