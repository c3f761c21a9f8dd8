//! Which vault a repository has: moved, copied, made anew, linked, under a foreign environment, and never as a tracked file says.

use std::fs;
use std::path::{Path, PathBuf};

use crate::laboratory::{bounded, only_vault, vaults};
use crate::refusals::assert_refused;
use crate::support::files::{append, mkdir, write};
use crate::support::{Kind, RepoState, Said, Sandbox, listing, states};

fn text(path: &Path) -> &str {
    path.to_str().expect("a UTF-8 path")
}

#[track_caller]
fn snapshot(sandbox: &Sandbox, directory: &Path) -> serde_json::Value {
    sandbox
        .vault(directory, &["--json", "snapshot"])
        .succeeded()
        .json()
}

#[track_caller]
fn ids(sandbox: &Sandbox, directory: &Path) -> Vec<String> {
    let answer = sandbox
        .vault(directory, &["--json", "list"])
        .succeeded()
        .json();
    let snapshots = answer["snapshots"].as_array().expect("a list");
    snapshots
        .iter()
        .map(|one| one["id"].as_str().expect("an id").to_owned())
        .collect()
}

fn rename(from: &Path, to: &Path) {
    fs::rename(from, to).expect("renamed");
}

#[test]
fn a_moved_repository_keeps_its_vault_and_the_answer_and_the_log_say_so() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let first = sandbox.snapshot(&source);
    let vault = only_vault(&sandbox);
    let moved = sandbox.workplace().join("moved here");
    rename(&source, &moved);
    // Looking does not attach.
    let before = listing::list(&vault.join("log"), &|_| true);
    assert_eq!(ids(&sandbox, &moved), [first.as_str()]);
    assert!(listing::list(&vault.join("log"), &|_| true) == before);

    let said = sandbox.vault(&moved, &["snapshot"]).succeeded();
    let old = text(&source.join(".git")).to_owned();
    let line = said
        .text()
        .lines()
        .find(|line| line.starts_with("MOVED"))
        .map(str::to_owned);
    assert!(line.is_some_and(|line| line.contains(&old)), "{said}");
    assert_eq!(only_vault(&sandbox), vault);
    let log = fs::read_dir(vault.join("log")).expect("the log is read");
    let attached = log
        .map(|entry| fs::read_to_string(entry.expect("an entry").path()).expect("an entry"))
        .filter(|entry| entry.contains("kind = \"attach\"") && entry.contains("moved here"));
    assert_eq!(attached.count(), 1);

    append(&moved, "README.md", "on\n");
    let answer = snapshot(&sandbox, &moved);
    assert!(answer["moved_from"].is_null(), "it is said once: {answer}");
    assert_eq!(ids(&sandbox, &moved)[0], first);
    let _said = sandbox.vault(&moved, &["verify", "--deep"]).succeeded();
    let _restored = sandbox.restore(&moved, &first, "restored");

    rename(&moved, &source);
    let back = snapshot(&sandbox, &source);
    assert!(
        back["moved_from"]
            .as_str()
            .is_some_and(|from| from.contains("moved here")),
        "{back}"
    );
    assert_eq!(only_vault(&sandbox), vault);
}

#[test]
fn a_living_copy_gets_a_vault_of_its_own() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let first = sandbox.snapshot(&source);
    let vault = only_vault(&sandbox);
    let before = listing::list(&vault, &|_| true);
    let copy = sandbox.copy(&source, "work/copy");
    let clone = sandbox.workplace().join("clone");
    sandbox.git(&source, &["clone", "--quiet", text(&source), text(&clone)]);
    let mut all = vec![vault.clone()];
    for other in [&copy, &clone] {
        let said = sandbox.vault(other, &["list"]);
        assert_refused(&said, &["GV-1002"], text(other));
        let answer = snapshot(&sandbox, other);
        assert!(
            answer["new_key"].is_string() && answer["moved_from"].is_null(),
            "{answer}"
        );
        all.push(PathBuf::from(answer["vault"].as_str().expect("a path")));
        assert_eq!(ids(&sandbox, other).len(), 1);
    }
    all.sort();
    assert_eq!(vaults(&sandbox), all);
    assert!(
        listing::list(&vault, &|_| true) == before,
        "the first vault was touched"
    );
    assert_eq!(ids(&sandbox, &source), [first]);
}

/// Of two copies whose original is gone, only one can be the original.
#[test]
fn only_one_copy_inherits_the_vault_of_an_original_that_is_gone() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let first = sandbox.snapshot(&source);
    let vault = only_vault(&sandbox);
    let one = sandbox.copy(&source, "work/one");
    let two = sandbox.copy(&source, "work/two");
    fs::remove_dir_all(&source).expect("removed");
    assert_eq!(snapshot(&sandbox, &one)["vault"], text(&vault));
    assert_ne!(snapshot(&sandbox, &two)["vault"], text(&vault));
    assert_eq!(ids(&sandbox, &one)[0], first);
    assert_eq!(ids(&sandbox, &two).len(), 1);
}

#[test]
fn another_repository_at_the_old_path_is_refused_until_it_gets_a_vault_of_its_own() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let first = sandbox.snapshot(&source);
    let vault = only_vault(&sandbox);
    fs::remove_dir_all(&source).expect("removed");
    let source = sandbox.init("repository");
    write(&source, "other.txt", "another project\n");
    for state in ["unborn", "with a commit"] {
        write(&source, "state.txt", state);
        let before = listing::list(&vault.join("log"), &|_| true);
        let said = sandbox.vault(&source, &["snapshot"]);
        assert_refused(&said, &["GV-1003"], text(&source));
        assert!(listing::list(&vault.join("log"), &|_| true) == before);
        sandbox.commit(&source, "another first commit");
    }
    let made = sandbox
        .vault(&source, &["--json", "init", "--new"])
        .succeeded()
        .json();
    let answer = snapshot(&sandbox, &source);
    assert_eq!(answer["vault"], made["vault"]);
    assert_ne!(answer["vault"], text(&vault));
    assert_eq!(ids(&sandbox, &source).len(), 1);
    let restored = sandbox.path("restored");
    let old = ["--vault", text(&vault), "restore", &first, text(&restored)];
    let _said = sandbox.vault(&sandbox.home(), &old).succeeded();
}

#[test]
fn what_is_borrowed_tells_nothing_of_who_borrows_it() {
    let sandbox = Sandbox::new();
    let pool = sandbox.init("pool");
    write(&pool, "library.txt", "shared by many\n");
    sandbox.git(&pool, &["add", "library.txt"]);
    sandbox.git(&pool, &["repack", "-adq"]);
    assert!(!listing::list(&pool.join(".git/objects/pack"), &|_| true).is_empty());
    let borrow = |name: &str| {
        let source = sandbox.init("borrower");
        let list = format!("{}\n", text(&pool.join(".git/objects")));
        write(&source, ".git/objects/info/alternates", list);
        write(&source, "own.txt", name);
        sandbox.commit(&source, name);
        source
    };
    let source = borrow("one project");
    let _id = sandbox.snapshot(&source);
    let vault = only_vault(&sandbox);
    // Again, now that the packs of the pool are known.
    write(&source, "more.txt", "more\n");
    let _id = sandbox.snapshot(&source);
    fs::remove_dir_all(&source).expect("removed");
    let source = borrow("another project");
    let before = listing::list(&vault.join("log"), &|_| true);
    let said = sandbox.vault(&source, &["snapshot"]);
    assert_refused(&said, &["GV-1003"], text(&source));
    assert!(listing::list(&vault.join("log"), &|_| true) == before);
    // A clone that borrows its first commits is the same repository, although nothing that it has of its own is known.
    sandbox.commit(&pool, "the library");
    sandbox.git(&pool, &["repack", "-adq"]);
    let sharing = sandbox.workplace().join("sharing");
    let clone = || {
        let (pool, sharing) = (text(&pool), text(&sharing));
        sandbox.git(
            &sandbox.home(),
            &["clone", "--quiet", "--shared", pool, sharing],
        );
    };
    clone();
    let _id = sandbox.snapshot(&sharing);
    fs::remove_dir_all(&sharing).expect("removed");
    clone();
    write(&sharing, "library.txt", "changed\n");
    sandbox.git(&sharing, &["remote", "remove", "origin"]);
    let branch = sandbox.git_text(&sharing, &["branch", "--show-current"]);
    sandbox.git(&sharing, &["checkout", "--quiet", "--orphan", "fresh"]);
    sandbox.git(&sharing, &["commit", "--quiet", "-am", "all of it is new"]);
    sandbox.git(&sharing, &["branch", "--quiet", "-D", branch.trim()]);
    let _id = sandbox.snapshot(&sharing);
}

#[test]
fn a_repository_that_was_cloned_again_to_its_place_keeps_its_vault() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let first = sandbox.snapshot(&source);
    let origin = sandbox.copy(&source, "work/origin");
    fs::remove_dir_all(&source).expect("removed");
    sandbox.git(&origin, &["clone", "--quiet", text(&origin), text(&source)]);
    let second = sandbox.snapshot(&source);
    assert_eq!(ids(&sandbox, &source), [first, second]);
}

#[test]
fn a_vault_without_its_registry_is_found_and_not_made_twice() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let _first = sandbox.snapshot(&source);
    let vault = only_vault(&sandbox);
    fs::remove_dir_all(sandbox.path("data/git-vault/vaults/registry")).expect("removed");
    let said = sandbox.vault(&source, &["init"]);
    assert_refused(&said, &["GV-1004"], text(&vault));
    append(&source, "README.md", "more\n");
    let _second = sandbox.snapshot(&source);
    assert_eq!(only_vault(&sandbox), vault);
    assert_eq!(ids(&sandbox, &source).len(), 2);
}

#[test]
fn a_linked_worktree_finds_the_same_vault_for_looking() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let id = sandbox.snapshot(&source);
    let linked = sandbox.workplace().join("linked");
    sandbox.git(&source, &["worktree", "add", "--quiet", text(&linked)]);
    for directory in [&linked, &source] {
        assert_eq!(ids(&sandbox, directory), [id.as_str()]);
        for arguments in [&["show"][..], &["verify"], &["verify", "--deep"]] {
            let _said = sandbox.vault(directory, arguments).succeeded();
        }
    }
    let _restored = sandbox.restore(&linked, &id, "restored");
    only_vault(&sandbox);
}

#[test]
fn every_directory_of_the_working_tree_stands_for_the_whole() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    write(&source, "src/untracked/new.txt", "new\n");
    let id = sandbox.snapshot(&source.join("src/untracked"));
    for directory in ["", "src", "src/deep/er"] {
        let answer = snapshot(&sandbox, &source.join(directory));
        assert_eq!(answer["outcome"], "unchanged", "{directory}");
    }
    let said = sandbox.vault(
        &sandbox.home(),
        &["-C", text(&source.join("src")), "--json", "snapshot"],
    );
    assert_eq!(said.succeeded().json()["outcome"], "unchanged");
    let restored = sandbox.restore(&source.join("src"), &id, "restored");
    assert!(restored.join("README.md").exists() && restored.join("src/untracked/new.txt").exists());
}

/// From inside the git directory git sees no working tree; a snapshot without it would be a lie.
#[test]
fn from_inside_the_git_directory_a_snapshot_is_refused_or_whole() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    write(&source, "untracked.txt", "new\n");
    for directory in [".git", ".git/refs", ".git/hooks"] {
        let said = sandbox.vault(
            &source.join(directory),
            &["--json", "snapshot", "-m", "inside"],
        );
        if said.code == Some(0) {
            let id = said.json()["snapshot"]["id"]
                .as_str()
                .expect("an id")
                .to_owned();
            let restored = sandbox.restore(&source, &id, &directory.replace('/', "-"));
            assert!(
                restored.join("untracked.txt").exists(),
                "{directory}: without the working tree"
            );
        } else {
            let code = said.json()["code"].clone();
            assert!(
                code == "GV-1001" || code == "GV-2004",
                "{directory}\n{said}"
            );
        }
    }
}

/// A second repository that a foreign environment points to, and that must not be looked at.
fn decoy(sandbox: &Sandbox) -> PathBuf {
    let decoy = sandbox.init("decoy");
    write(&decoy, "decoy.txt", "not this one\n");
    sandbox.commit(&decoy, "decoy");
    decoy
}

#[test]
fn the_environment_of_a_hook_redirects_nothing() {
    let sandbox = Sandbox::new();
    let source = (states::find("staged_unstaged_and_untracked").build)(&sandbox);
    let id = sandbox.snapshot(&source);
    let vault = only_vault(&sandbox);
    let decoy = decoy(&sandbox);
    let git_dir = decoy.join(".git");
    let path = |name: &str| {
        git_dir
            .join(name)
            .to_str()
            .expect("a UTF-8 path")
            .to_owned()
    };
    let elsewhere = sandbox.path("elsewhere");
    let environment = [
        ("GIT_DIR", path("")),
        ("GIT_COMMON_DIR", path("")),
        ("GIT_WORK_TREE", text(&decoy).to_owned()),
        ("GIT_INDEX_FILE", path("index")),
        ("GIT_OBJECT_DIRECTORY", path("objects")),
        ("GIT_ALTERNATE_OBJECT_DIRECTORIES", path("objects")),
        ("GIT_NAMESPACE", "decoy".to_owned()),
        ("GIT_PREFIX", "src/".to_owned()),
        ("GIT_REPLACE_REF_BASE", "refs/decoy/".to_owned()),
        ("GIT_SHALLOW_FILE", path("HEAD")),
        ("GIT_CONFIG", path("config")),
        (
            "GIT_CONFIG_PARAMETERS",
            "'vault.exclude'='*' 'core.excludesFile'='/dev/null'".to_owned(),
        ),
        ("GIT_CONFIG_COUNT", "1".to_owned()),
        ("GIT_CONFIG_KEY_0", "vault.home".to_owned()),
        ("GIT_CONFIG_VALUE_0", text(&elsewhere).to_owned()),
        ("GIT_LITERAL_PATHSPECS", "1".to_owned()),
        ("GIT_DEFAULT_HASH", "sha256".to_owned()),
        ("GIT_DEFAULT_REF_FORMAT", "reftable".to_owned()),
        ("GIT_TRACE", "2".to_owned()),
    ];
    let run = |chosen: &[(&str, String)], global: bool| -> Said {
        let mut command = sandbox.vault_command(&source);
        if !global {
            for name in ["GIT_CONFIG_GLOBAL", "GIT_CONFIG_NOSYSTEM"] {
                command.env_remove(name);
            }
        }
        command.envs(chosen.iter().map(|(name, value)| (*name, value)));
        command.args(["--json", "snapshot"]);
        bounded(
            command,
            &format!("git-vault snapshot with {chosen:?}, {global}"),
        )
    };
    let mut all: Vec<Vec<(&str, String)>> = vec![environment.to_vec()];
    all.extend(environment.iter().map(|one| vec![one.clone()]));
    let mut redirected = Vec::new();
    for chosen in all {
        for global in [true, false] {
            let said = run(&chosen, global);
            let is_same = said.code == Some(0)
                && said.stderr.is_empty()
                && said.json()["outcome"] == "unchanged"
                && said.json()["snapshot"]["id"] == id.as_str();
            if !is_same {
                redirected.push(said.to_string());
            }
        }
    }
    assert!(redirected.is_empty(), "{}", redirected.join("\n"));
    assert_eq!(only_vault(&sandbox), vault);
    assert!(!elsewhere.exists());
}

/// `include.path` can bring a tracked file into git's configuration; it has no say in what the vault is.
#[test]
fn a_tracked_file_cannot_set_anything_of_the_vault() {
    for (way, has_own_home) in [
        ("include", false),
        ("include", true),
        ("includeIf", true),
        ("link", true),
    ] {
        let sandbox = Sandbox::new();
        let source = states::small_repository(&sandbox);
        let hostile = sandbox.path("hostile");
        let config = format!(
            "[vault]\n\thome = {}\n\texclude = *\n\tinclude = *.secret\n",
            hostile.display()
        );
        write(&source, ".gitconfig", config);
        write(&source, ".gitignore", "*.secret\n");
        sandbox.commit(&source, "a configuration");
        write(&source, "untracked.txt", "work\n");
        write(&source, "a.secret", "ignored\n");
        let own = sandbox.path("own");
        if has_own_home {
            sandbox.git(&source, &["config", "--global", "vault.home", text(&own)]);
        }
        match way {
            "include" => {
                sandbox.git(&source, &["config", "include.path", "../.gitconfig"]);
            }
            "includeIf" => {
                sandbox.git(
                    &source,
                    &["config", "includeIf.onbranch:main.path", "../.gitconfig"],
                );
            }
            _ => {
                let link = sandbox.path("home/link");
                std::os::unix::fs::symlink(source.join(".gitconfig"), &link).expect("a link");
                sandbox.git(&source, &["config", "include.path", text(&link)]);
            }
        }
        let seen = sandbox.git_text(&source, &["config", "vault.home"]);
        assert_eq!(seen, text(&hostile), "git itself follows it");
        let answer = snapshot(&sandbox, &source);
        let vault = PathBuf::from(answer["vault"].as_str().expect("a path"));
        let home = if has_own_home {
            own
        } else {
            sandbox.path("data/git-vault/vaults")
        };
        assert!(
            !hostile.exists() && vault.starts_with(home),
            "{way}, own home: {has_own_home}: {answer}"
        );
        let id = answer["snapshot"]["id"].as_str().expect("an id");
        let restored = sandbox.restore(&source, id, "restored");
        assert!(restored.join("untracked.txt").exists() && !restored.join("a.secret").exists());
    }
}

#[test]
fn the_vault_home_is_the_setting_then_the_variable_then_the_data_directory() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let variable = sandbox.path("by-variable");
    let environment = [("GIT_VAULT_HOME", text(&variable))];
    let home_of = |said: Said| {
        let vault = said.succeeded().json()["vault"]
            .as_str()
            .expect("a path")
            .to_owned();
        PathBuf::from(vault).parent().expect("a home").to_owned()
    };
    let arguments = ["--json", "init", "--new"];
    let by_default = home_of(sandbox.vault(&source, &arguments));
    assert_eq!(by_default, sandbox.path("data/git-vault/vaults"));
    assert_eq!(
        home_of(sandbox.vault_with(&source, &environment, &arguments)),
        variable
    );
    sandbox.git(&source, &["config", "vault.home", "~/by setting"]);
    let found = home_of(sandbox.vault_with(&source, &environment, &arguments));
    assert_eq!(found, sandbox.home().join("by setting"));
    let relative = [("GIT_VAULT_HOME", "relative")];
    assert_refused(
        &sandbox.vault_with(&source, &relative, &["snapshot"]),
        &["GV-1005"],
        "relative",
    );
}

/// The vault of one repository, named for another.
#[test]
fn a_named_vault_of_another_repository_is_refused_for_snapshots_only() {
    let sandbox = Sandbox::new();
    let source = states::small_repository(&sandbox);
    let id = sandbox.snapshot(&source);
    let vault = only_vault(&sandbox);
    let other = decoy(&sandbox);
    let before = listing::list(&vault, &|name| name != b"cache");
    let said = sandbox.vault(&other, &["--vault", text(&vault), "snapshot"]);
    assert_refused(&said, &["GV-1003"], text(&vault));
    let nowhere = mkdir(&sandbox.home(), "no-vault");
    for place in [text(&nowhere), "/nonexistent", text(&source)] {
        for command in ["snapshot", "list", "verify"] {
            let said = sandbox.vault(&other, &["--vault", place, command]);
            assert_refused(&said, &["GV-1002"], place);
        }
    }
    assert!(listing::list(&vault, &|name| name != b"cache") == before);
    let destination = sandbox.path("restored");
    let _said = sandbox
        .vault(
            &other,
            &["--vault", text(&vault), "restore", &id, text(&destination)],
        )
        .succeeded();
    let original = RepoState::capture(&sandbox, &source, Kind::Workspace);
    let restored = RepoState::capture(&sandbox, &destination, Kind::Workspace);
    RepoState::assert_same_workspace(&original, &restored);
    assert_eq!(vaults(&sandbox), [vault]);
}
