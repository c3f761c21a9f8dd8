//! `schedule` writes what the scheduler needs and switches it on, and takes back what it wrote and nothing else.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

use git_vault::model::timestamp::Timestamp;
use git_vault::ops::schedule::scheduler::Scheduler;
use git_vault::ops::schedule::{FileState, SchedulePlaces, install, status, uninstall};

use crate::support::files::{append, chmod, mkdir, write};
use crate::support::mount::has_tool;
use crate::support::{Said, Sandbox};

const NAMES: [&str; 2] = ["git-vault-sweep.service", "git-vault-sweep.timer"];

struct Scene {
    sandbox: Sandbox,
    units: PathBuf,
    log: PathBuf,
}

impl Scene {
    /// With a systemctl that writes down what it is told, and says that a unit is active once it was enabled. It fails at the
    /// command that the file `fails` names.
    fn new() -> Self {
        let sandbox = Sandbox::new();
        let units = sandbox.path("config/systemd/user");
        let log = sandbox.path("log");
        let scene = Self {
            sandbox,
            units,
            log,
        };
        scene.plant("systemctl", "enable", "disable", "is-active");
        scene
    }

    fn plant(&self, name: &str, on: &str, off: &str, ask: &str) {
        let root = self.sandbox.home();
        let root = root.display();
        let text = format!(
            "#!/bin/sh\necho \"$*\" >>'{}'\nfails=$(cat '{root}/fails' 2>/dev/null || echo nothing)\n\
             case \"$*\" in *\"$fails\"*) echo \"it failed at $fails\" >&2; exit 1 ;; esac\n\
             case \"$*\" in *{off}*) rm -f '{root}/on' ;; *{on}*) : >'{root}/on' ;; *{ask}*) [ -e '{root}/on' ] ;; \
             *property=Id,*) cat '{root}/holds' 2>/dev/null || : ;; esac\n",
            self.log.display()
        );
        let tool = write(&self.sandbox.path("tools"), name, text);
        chmod(&tool, 0o755);
    }

    fn fails_at(&self, command: &str) {
        write(&self.sandbox.home(), "fails", command);
    }

    fn run(&self, arguments: &[&str]) -> Said {
        self.run_with(&[], arguments)
    }

    fn run_with(&self, environment: &[(&str, &str)], arguments: &[&str]) -> Said {
        let tools = self.sandbox.path("tools");
        let path = format!("{}:/usr/bin:/bin", tools.display());
        let environment = [&[("PATH", &*path)], environment].concat();
        self.sandbox
            .vault_with(&self.sandbox.home(), &environment, arguments)
    }

    fn told(&self) -> Vec<String> {
        let text = fs::read_to_string(&self.log).unwrap_or_default();
        let _gone = fs::remove_file(&self.log);
        text.lines().map(str::to_owned).collect()
    }

    fn unit(&self, number: usize) -> String {
        fs::read_to_string(self.units.join(NAMES[number])).expect("the unit")
    }
}

#[test]
fn a_schedule_is_installed_once_and_changed_in_place() {
    let scene = Scene::new();
    let said = scene.run(&["schedule", "install"]).succeeded();
    assert!(
        said.text().starts_with("SCHEDULED  a sweep every 15m"),
        "{said}"
    );
    let told = scene.told();
    let reload = told.iter().position(|line| line == "--user daemon-reload");
    let enable = told
        .iter()
        .position(|line| line == "--user enable git-vault-sweep.timer");
    assert!(reload.is_some() && reload < enable, "{told:?}");
    assert_eq!(
        told.last().map(String::as_str),
        Some("--user restart git-vault-sweep.timer")
    );
    let program = env!("CARGO_BIN_EXE_git-vault");
    let service = scene.unit(0);
    assert!(
        service.contains(&format!("ExecStart=\"{program}\" sweep\n")),
        "{service}"
    );
    for name in ["XDG_CONFIG_HOME", "XDG_DATA_HOME", "XDG_STATE_HOME"] {
        assert!(
            service.contains(&format!("Environment=\"{name}=/")),
            "{service}"
        );
    }
    let before = listing_of(&scene.units);
    let said = scene.run(&["--json", "schedule", "install"]).succeeded();
    assert_eq!(said.json()["as_before"], true, "{said}");
    assert!(
        before == listing_of(&scene.units),
        "nothing was written again"
    );
    let said = scene
        .run(&["schedule", "install", "--every", "2h"])
        .succeeded();
    assert!(said.text().contains("every 2h"), "{said}");
    assert!(scene.unit(1).contains("OnCalendar=*-*-* 00/2:00:00\n"));
    let said = scene.run(&["--json", "schedule", "status"]).succeeded();
    assert_eq!(said.json()["schedule"]["every_seconds"], 7200, "{said}");
    assert_eq!(said.json()["on"], true, "{said}");
}

/// Names and content of the files in a directory, with the times at which they were written.
fn listing_of(place: &Path) -> BTreeMap<PathBuf, (Vec<u8>, SystemTime)> {
    let entries = fs::read_dir(place).expect("the directory is read");
    let files = entries.map(|entry| entry.expect("an entry").path());
    let written = |file: &Path| fs::metadata(file).and_then(|found| found.modified());
    files
        .map(|file| {
            let content = fs::read(&file).expect("a file");
            let time = written(&file).expect("a time");
            (file, (content, time))
        })
        .collect()
}

#[test]
fn what_was_installed_is_removed_and_nothing_else() {
    let scene = Scene::new();
    let foreign = write(&scene.units, "backup.timer", "[Timer]\n# theirs\n");
    let said = scene.run(&["schedule", "uninstall"]).succeeded();
    assert!(said.text().contains("nothing was scheduled"), "{said}");
    let before = listing_of(&scene.units);
    let _said = scene.run(&["schedule", "install"]).succeeded();
    let _told = scene.told();
    let said = scene.run(&["schedule", "uninstall"]).succeeded();
    assert!(said.text().starts_with("REMOVED "), "{said}");
    let told = scene.told();
    assert!(
        told.contains(&"--user disable --now git-vault-sweep.timer".to_owned()),
        "{told:?}"
    );
    assert_eq!(
        told.last().map(String::as_str),
        Some("--user daemon-reload")
    );
    assert_eq!(
        fs::read(&foreign).expect("it is there"),
        b"[Timer]\n# theirs\n"
    );
    assert!(before == listing_of(&scene.units));
    assert!(!scene.sandbox.path("state/git-vault/schedule.toml").exists());
    let said = scene.run(&["--json", "schedule", "status"]).succeeded();
    assert!(said.json()["schedule"].is_null(), "{said}");
}

#[test]
fn units_at_a_former_place_are_taken_away_when_the_settings_move() {
    let scene = Scene::new();
    let _said = scene.run(&["schedule", "install"]).succeeded();
    let moved = scene.sandbox.path("moved");
    let elsewhere = [("XDG_CONFIG_HOME", moved.to_str().expect("UTF-8"))];
    append(&scene.units, NAMES[1], "# changed\n");
    let _said = scene
        .run_with(&elsewhere, &["schedule", "install"])
        .refused("GV-5003");
    assert!(!moved.exists(), "nothing was half done");
    let unit = scene.unit(1);
    let original = unit.strip_suffix("# changed\n").expect("the change");
    write(&scene.units, NAMES[1], original);
    let _said = scene
        .run_with(&elsewhere, &["schedule", "install"])
        .succeeded();
    for name in NAMES {
        assert!(!scene.units.join(name).exists());
        assert!(moved.join("systemd/user").join(name).exists());
    }
}

#[test]
fn what_somebody_else_wrote_or_changed_is_left_alone() {
    let scene = Scene::new();
    let foreign = write(&scene.units, NAMES[1], "theirs\n");
    let said = scene.run(&["schedule", "install"]).refused("GV-5003");
    assert_eq!(said.code, Some(50));
    assert_eq!(fs::read(&foreign).expect("it is there"), b"theirs\n");
    assert!(
        !scene.units.join(NAMES[0]).exists(),
        "nothing was half done"
    );
    fs::remove_file(&foreign).expect("removed");
    let _said = scene.run(&["schedule", "install"]).succeeded();
    append(&scene.units, NAMES[0], "# a line of the user's\n");
    let changed = scene.unit(0);
    let _told = scene.told();
    for arguments in [
        &["schedule", "uninstall"][..],
        &["schedule", "install", "--every", "1h"],
    ] {
        let _said = scene.run(arguments).refused("GV-5003");
        assert_eq!(scene.unit(0), changed);
        assert!(scene.units.join(NAMES[1]).exists());
        assert!(
            !scene.told().iter().any(|line| line.contains("able ")),
            "nothing was switched"
        );
    }
    let said = scene.run(&["--json", "schedule", "status"]);
    assert_eq!(said.code, Some(3), "{said}");
    assert_eq!(said.json()["files"][0]["state"], "changed", "{said}");
    // A link in the place of a file is not ours either.
    fs::rename(scene.units.join(NAMES[0]), scene.sandbox.path("elsewhere")).expect("moved");
    std::os::unix::fs::symlink(scene.sandbox.path("elsewhere"), scene.units.join(NAMES[0]))
        .expect("a link");
    let _said = scene.run(&["schedule", "uninstall"]).refused("GV-5003");
    assert!(scene.sandbox.path("elsewhere").exists());
}

#[test]
fn a_scheduler_that_does_not_answer_leaves_nothing_behind() {
    let scene = Scene::new();
    for command in ["show", "daemon-reload", "enable", "restart"] {
        scene.fails_at(command);
        let said = scene.run(&["schedule", "install"]).refused("GV-5003");
        let text = String::from_utf8_lossy(&said.stderr).into_owned();
        assert!(text.contains(&format!("it failed at {command}")), "{said}");
        assert!(
            text.contains("crontab -e") && text.contains("git-vault' sweep"),
            "{said}"
        );
        for name in NAMES {
            assert!(!scene.units.join(name).exists(), "{command}: {name}");
        }
        assert!(
            !scene.sandbox.path("state/git-vault/schedule.toml").exists(),
            "{command}"
        );
    }
    scene.fails_at("nothing");
    let _said = scene.run(&["schedule", "install"]).succeeded();
    for command in ["show", "disable"] {
        scene.fails_at(command);
        let _said = scene.run(&["schedule", "uninstall"]).refused("GV-5003");
        assert!(
            NAMES.iter().all(|name| scene.units.join(name).exists()),
            "{command}"
        );
    }
    scene.fails_at("nothing");
    fs::remove_file(scene.sandbox.path("tools/systemctl")).expect("removed");
    let elsewhere = [("PATH", "relative:/nonexistent")];
    let said = scene.run_with(&elsewhere, &["schedule", "uninstall"]);
    let said = said.refused("GV-5003");
    assert!(
        said.to_string().contains("no systemctl on the path"),
        "{said}"
    );
    let said = scene.run_with(&elsewhere, &["--json", "schedule", "status"]);
    assert_eq!(said.code, Some(3), "{said}");
    assert!(said.json()["on"].is_null(), "{said}");
}

#[test]
fn files_that_are_gone_or_a_timer_that_is_off_need_attention_and_are_mended_by_an_installation() {
    let scene = Scene::new();
    let _said = scene.run(&["schedule", "install"]).succeeded();
    fs::remove_file(scene.sandbox.home().join("on")).expect("switched off");
    let said = scene.run(&["schedule", "status"]);
    assert_eq!(said.code, Some(3), "{said}");
    assert!(
        said.text().contains("-> git vault schedule install"),
        "{said}"
    );
    let _said = scene.run(&["schedule", "install"]).succeeded();
    let _said = scene.run(&["schedule", "status"]).succeeded();
    fs::remove_file(scene.units.join(NAMES[0])).expect("removed");
    let said = scene.run(&["--json", "schedule", "status"]);
    assert_eq!(said.json()["files"][0]["state"], "missing", "{said}");
    let _said = scene.run(&["schedule", "install"]).succeeded();
    let _said = scene.run(&["schedule", "status"]).succeeded();
    fs::remove_file(scene.units.join(NAMES[0])).expect("removed");
    let _said = scene.run(&["schedule", "uninstall"]).succeeded();
    assert!(!scene.units.join(NAMES[1]).exists());
}

#[test]
fn the_units_are_what_systemd_understands() {
    if !has_tool("the units", "systemd-analyze") {
        return;
    }
    let scene = Scene::new();
    for every in ["5m", "15m", "1h", "6h", "24h"] {
        let _said = scene
            .run(&["schedule", "install", "--every", every])
            .succeeded();
        let units = NAMES.map(|name| scene.units.join(name));
        let mut command = scene.sandbox.command("systemd-analyze", &scene.units);
        let runtime = mkdir(&scene.sandbox.home(), "runtime");
        command
            .args(["--user", "verify"])
            .args(&units)
            .env("XDG_RUNTIME_DIR", runtime);
        let output = command.output().expect("systemd-analyze starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains("git-vault-sweep"), "{every}: {text}");
        let timer = scene.unit(1);
        let calendar = timer
            .lines()
            .find_map(|line| line.strip_prefix("OnCalendar="));
        let mut command = scene.sandbox.command("systemd-analyze", &scene.units);
        command.args(["calendar", calendar.expect("a calendar")]);
        assert!(
            command.output().expect("it starts").status.success(),
            "{timer}"
        );
    }
    let said = scene.run(&["schedule", "install", "--every", "7m"]);
    assert_eq!(said.code, Some(2), "{said}");
}

#[test]
fn an_agent_of_launchd_is_written_and_removed_in_the_same_way() {
    let scene = Scene::new();
    scene.plant("launchctl", "bootstrap", "bootout", "git-vault.sweep");
    let directory = scene.sandbox.path("LaunchAgents");
    let surroundings = SchedulePlaces {
        scheduler: Scheduler::Launchd,
        directory: Some(directory.clone()),
        tool: Some(scene.sandbox.path("tools/launchctl")),
        program: Some(PathBuf::from(env!("CARGO_BIN_EXE_git-vault"))),
        variables: vec![("GIT_VAULT_HOME", PathBuf::from("/v & w"))],
        state: scene.sandbox.path("state/git-vault"),
    };
    let now = Timestamp::from_seconds(1_800_000_000);
    let every = Duration::from_secs(900);
    let report = install(&surroundings, every, now).expect("it is installed");
    assert!(!report.is_as_before);
    let plist = directory.join("git-vault.sweep.plist");
    let told = scene.told();
    let bootstrap = format!("{}", plist.display());
    assert!(
        told.iter()
            .any(|line| line.starts_with("bootstrap gui/") && line.ends_with(&bootstrap))
    );
    let again = install(&surroundings, every, now).expect("it is installed");
    assert!(again.is_as_before);
    let found = status(&surroundings, now).expect("a status");
    assert!(!found.needs_attention() && found.files == [(plist.clone(), FileState::Intact)]);
    if has_tool("the property list", "python3") {
        let read = "import plistlib,sys; p=plistlib.load(open(sys.argv[1],'rb')); \
                    print(p['StartInterval'], p['EnvironmentVariables']['GIT_VAULT_HOME'], p['ProgramArguments'][1])";
        let mut command = Command::new("python3");
        let output = command
            .args(["-c", read])
            .arg(&plist)
            .output()
            .expect("python starts");
        assert_eq!(output.stdout, b"900 /v & w sweep\n", "{output:?}");
    }
    assert!(uninstall(&surroundings).expect("it is removed").is_some());
    assert!(!plist.exists() && uninstall(&surroundings).expect("nothing").is_none());
}

#[test]
fn a_change_that_the_scheduler_does_not_take_leaves_the_schedule_that_was_there() {
    let scene = Scene::new();
    let _said = scene.run(&["schedule", "install"]).succeeded();
    let note = scene.sandbox.path("state/git-vault/schedule.toml");
    let before = || {
        (
            scene.unit(0),
            scene.unit(1),
            fs::read(&note).expect("the note"),
        )
    };
    let was = before();
    for command in ["show", "daemon-reload", "enable", "restart"] {
        scene.fails_at(command);
        let change = ["schedule", "install", "--every", "1h"];
        let said = scene.run(&change).refused("GV-5003");
        assert!(was == before(), "{command}\n{said}");
        let kept = [
            "the schedule that was there is there again",
            "nothing was touched",
        ];
        let text = said.to_string();
        assert!(kept.iter().any(|kept| text.contains(kept)), "{said}");
        scene.fails_at("nothing");
        let _said = scene.run(&["schedule", "status"]).succeeded();
        assert!(!scene.told().iter().any(|line| line.contains("disable")));
    }
    // Also where the settings have moved meanwhile.
    let moved = scene.sandbox.path("moved");
    let elsewhere = [("XDG_CONFIG_HOME", moved.to_str().expect("UTF-8"))];
    scene.fails_at("restart");
    let _said = scene
        .run_with(&elsewhere, &["schedule", "install"])
        .refused("GV-5003");
    assert!(was == before());
    for name in NAMES {
        assert!(!moved.join("systemd/user").join(name).exists());
    }
    scene.fails_at("nothing");
    let _said = scene
        .run(&["schedule", "install", "--every", "1h"])
        .succeeded();
    assert!(scene.unit(1).contains("OnCalendar=*-*-* 00/1:00:00\n"));
    assert!(
        !String::from_utf8_lossy(&fs::read(&note).expect("the note"))
            .contains("every_seconds = 900")
    );
}

#[test]
fn a_change_that_was_killed_midway_is_made_whole_or_taken_away() {
    let scene = Scene::new();
    let _said = scene.run(&["schedule", "install"]).succeeded();
    let note = scene.sandbox.path("state/git-vault/schedule.toml");
    let old = (
        scene.unit(0),
        scene.unit(1),
        fs::read_to_string(&note).expect("the note"),
    );
    let _said = scene
        .run(&["schedule", "install", "--every", "1h"])
        .succeeded();
    let new = fs::read_to_string(&note).expect("the note");
    // One file is the new one, the other the old one, and the note speaks of all.
    let files = old.2.split_once("[[file]]").expect("files").1;
    let both = format!("{new}\n[[file]]{files}");
    for end in ["install", "uninstall"] {
        write(&scene.units, NAMES[1], &old.1);
        fs::write(&note, &both).expect("written");
        let said = scene.run(&["--json", "schedule", "status"]).succeeded();
        assert_eq!(
            said.json()["files"].as_array().map(Vec::len),
            Some(2),
            "{said}"
        );
        let _said = scene
            .run(&["schedule", end, "--every", "1h"][..if end == "install" { 4 } else { 2 }])
            .succeeded();
        assert_eq!(scene.units.join(NAMES[0]).exists(), end == "install");
    }
}

#[test]
fn what_is_laid_over_the_units_is_said_with_what_helps() {
    let scene = Scene::new();
    let _said = scene.run(&["schedule", "install"]).succeeded();
    let holds = |timer: &str| {
        let text = format!(
            "Id={}\nLoadState=loaded\nDropInPaths=\nNeedDaemonReload=no\n\nId={}\n{timer}",
            NAMES[0], NAMES[1]
        );
        write(&scene.sandbox.home(), "holds", text);
    };
    holds("LoadState=loaded\nDropInPaths=\nNeedDaemonReload=no\n");
    let _said = scene.run(&["schedule", "status"]).succeeded();
    for (timer, line, next) in [
        (
            "LoadState=loaded\nDropInPaths=/u/x.timer.d/a.conf /u/b.conf\nNeedDaemonReload=no\n",
            "'/u/b.conf' changes git-vault-sweep.timer",
            "systemctl --user cat git-vault-sweep.timer",
        ),
        (
            "LoadState=masked\nDropInPaths=\nNeedDaemonReload=no\n",
            "git-vault-sweep.timer is masked",
            "systemctl --user unmask git-vault-sweep.timer",
        ),
        (
            "LoadState=loaded\nDropInPaths=\nNeedDaemonReload=yes\n",
            "was changed since",
            "systemctl --user daemon-reload",
        ),
    ] {
        holds(timer);
        let said = scene.run(&["schedule", "status"]);
        assert_eq!(said.code, Some(3), "{said}");
        assert!(
            said.text().contains(line) && said.text().contains(next),
            "{said}"
        );
        assert!(
            !said.text().contains("schedule install"),
            "it would not help: {said}"
        );
        let said = scene.run(&["--json", "schedule", "status"]);
        assert_eq!(said.json()["overlays"][0]["unit"], NAMES[1], "{said}");
    }
}

#[test]
fn what_is_said_to_help_with_a_changed_unit_helps() {
    let scene = Scene::new();
    let _said = scene.run(&["schedule", "install"]).succeeded();
    append(&scene.units, NAMES[0], "# a line of the user's\n");
    let changed = scene.unit(0);
    let answer = scene.run(&["--json", "schedule", "status"]).json();
    let steps = answer["next"].as_array().expect("an array").clone();
    for step in steps {
        let line = step["command"].as_str().expect("a command").to_owned();
        match line.strip_prefix("git vault ") {
            Some(words) => {
                let words: Vec<&str> = words.split(' ').collect();
                let _said = scene.run(&words).succeeded();
            }
            None => {
                let mut command = scene.sandbox.command("sh", &scene.units);
                let status = command.args(["-c", &line]).status();
                assert!(status.expect("a shell").success(), "{line}");
            }
        }
    }
    let _said = scene.run(&["schedule", "status"]).succeeded();
    let kept = scene.units.join("git-vault-sweep.service.aside");
    assert_eq!(fs::read_to_string(kept).expect("it is kept"), changed);
}

#[test]
fn a_program_by_any_path_is_one_that_systemd_can_start() {
    if !has_tool("the units", "systemd-analyze") {
        return;
    }
    let scene = Scene::new();
    for name in [
        "a b",
        "50%",
        "$HOME",
        "it's",
        "say \"x\"",
        "back\\slash",
        "${x}%h",
    ] {
        let place = mkdir(&scene.sandbox.home(), name);
        let program = place.join("git-vault");
        fs::copy("/bin/true", &program).expect("a program");
        let job = git_vault::ops::schedule::scheduler::Job {
            program,
            variables: Vec::new(),
            every: Duration::from_secs(900),
        };
        let files = Scheduler::Systemd.files(&job).expect("units");
        for (unit, text) in &files {
            write(&scene.units, *unit, text);
        }
        let mut command = scene.sandbox.command("systemd-analyze", &scene.units);
        command
            .args(["--user", "verify"])
            .args(NAMES.map(|name| scene.units.join(name)))
            .env("XDG_RUNTIME_DIR", mkdir(&scene.sandbox.home(), "runtime"));
        let output = command.output().expect("it starts");
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(!text.contains("git-vault"), "{name}: {text}");
    }
}
