//! The schedulers of systems: which files each wants, and what is said to it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::host::machine;

/// A scheduler that runs things for one user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheduler {
    /// Timers of the user's systemd.
    Systemd,
    /// Agents of launchd.
    Launchd,
}

const SERVICE: &str = include_str!("../../../templates/schedule/git-vault-sweep.service");
const TIMER: &str = include_str!("../../../templates/schedule/git-vault-sweep.timer");
const PLIST: &str = include_str!("../../../templates/schedule/git-vault.sweep.plist");

const SERVICE_NAME: &str = "git-vault-sweep.service";
const TIMER_NAME: &str = "git-vault-sweep.timer";
const LABEL: &str = "git-vault.sweep";

/// What somebody has laid over the files of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Overlay {
    /// A unit is changed by a file of somebody else.
    DropIn(String, String),
    /// The scheduler was told never to start this unit.
    Masked(String),
    /// The scheduler has not read what the file of this unit says now.
    NotRead(String),
}

/// What is laid over the files of a job, by the answer to [`Scheduler::what_holds`]: blocks of properties, one for each unit.
#[must_use]
pub fn overlays(answer: &str) -> Vec<Overlay> {
    let mut overlays = Vec::new();
    for block in answer.split("\n\n") {
        let property = |name: &str| {
            let mut lines = block.lines().filter_map(|line| line.split_once('='));
            lines.find_map(|(key, value)| (key == name).then(|| value.trim().to_owned()))
        };
        let id = property("Id").unwrap_or_default();
        let drop_ins = property("DropInPaths").unwrap_or_default();
        let words = drop_ins.split(' ').filter(|word| !word.is_empty());
        overlays.extend(words.map(|path| Overlay::DropIn(id.clone(), path.to_owned())));
        if property("LoadState").as_deref() == Some("masked") {
            overlays.push(Overlay::Masked(id));
        } else if property("NeedDaemonReload").as_deref() == Some("yes") {
            overlays.push(Overlay::NotRead(id));
        }
    }
    overlays
}

/// What is to be run, and how often.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Job {
    /// This program.
    pub program: PathBuf,
    /// Variables that say where its things are: a scheduler does not know those of a shell.
    pub variables: Vec<(&'static str, PathBuf)>,
    /// How often.
    pub every: Duration,
}

impl Scheduler {
    /// Its name, in records and messages.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Systemd => "systemd",
            Self::Launchd => "launchd",
        }
    }

    /// The program by which it is asked.
    #[must_use]
    pub fn tool(self) -> &'static str {
        match self {
            Self::Systemd => "systemctl",
            Self::Launchd => "launchctl",
        }
    }

    /// The files of a job, by name; `None` when a path in it cannot be written down for this scheduler.
    #[must_use]
    pub fn files(self, job: &Job) -> Option<Vec<(&'static str, String)>> {
        let program = plain(&job.program)?;
        let mut variables = Vec::new();
        for (name, value) in &job.variables {
            variables.push((*name, plain(value)?));
        }
        let seconds = job.every.as_secs();
        Some(match self {
            Self::Systemd => {
                let lines = variables.iter().map(|(name, value)| {
                    format!("Environment={}\n", quoted(&format!("{name}={value}")))
                });
                let service = SERVICE
                    .replace("@ENVIRONMENT@\n", &lines.collect::<String>())
                    .replace("@PROGRAM@", &command(program));
                let timer = TIMER
                    .replace("@EVERY@", &every(job.every))
                    .replace("@CALENDAR@", &calendar(seconds / 60))
                    .replace("@DELAY@", &(seconds / 5).min(300).to_string());
                vec![(SERVICE_NAME, service), (TIMER_NAME, timer)]
            }
            Self::Launchd => {
                let lines = variables.iter().map(|(name, value)| {
                    let value = xml(value);
                    format!("    <key>{name}</key>\n    <string>{value}</string>\n")
                });
                let text = PLIST
                    .replace("@ENVIRONMENT@\n", &lines.collect::<String>())
                    .replace("@SECONDS@", &seconds.to_string())
                    .replace("@PROGRAM@", &xml(program));
                vec![("git-vault.sweep.plist", text)]
            }
        })
    }

    /// A question that is answered well only if it is there for this user.
    #[must_use]
    pub fn is_it_there(self) -> Vec<String> {
        match self {
            Self::Systemd => words(&["--user", "show", "--property=Version"]),
            Self::Launchd => words(&["print", &domain()]),
        }
    }

    /// A question that is answered well only if the job is on.
    #[must_use]
    pub fn is_on(self) -> Vec<String> {
        match self {
            Self::Systemd => words(&["--user", "is-active", "--quiet", TIMER_NAME]),
            Self::Launchd => words(&["print", &format!("{}/{LABEL}", domain())]),
        }
    }

    /// A question to which the scheduler answers with what holds of each of its files, as properties: see [`overlays`].
    #[must_use]
    pub fn what_holds(self) -> Option<Vec<String>> {
        match self {
            Self::Systemd => Some(words(&[
                "--user",
                "show",
                "--property=Id,LoadState,DropInPaths,NeedDaemonReload",
                SERVICE_NAME,
                TIMER_NAME,
            ])),
            Self::Launchd => None,
        }
    }

    /// What switches the job on, once its files are in `directory`.
    #[must_use]
    pub fn switch_on(self, directory: &Path) -> Vec<Vec<String>> {
        match self {
            Self::Systemd => vec![
                words(&["--user", "daemon-reload"]),
                words(&["--user", "enable", TIMER_NAME]),
                words(&["--user", "restart", TIMER_NAME]),
            ],
            Self::Launchd => {
                let plist = directory.join("git-vault.sweep.plist");
                vec![words(&[
                    "bootstrap",
                    &domain(),
                    &plist.display().to_string(),
                ])]
            }
        }
    }

    /// What switches it off, while its files are still there.
    #[must_use]
    pub fn switch_off(self) -> Vec<String> {
        match self {
            Self::Systemd => words(&["--user", "disable", "--now", TIMER_NAME]),
            Self::Launchd => words(&["bootout", &format!("{}/{LABEL}", domain())]),
        }
    }

    /// What lets it forget files that are gone.
    #[must_use]
    pub fn forget(self) -> Option<Vec<String>> {
        match self {
            Self::Systemd => Some(words(&["--user", "daemon-reload"])),
            Self::Launchd => None,
        }
    }
}

fn words(words: &[&str]) -> Vec<String> {
    words.iter().map(|word| (*word).to_owned()).collect()
}

fn domain() -> String {
    format!("gui/{}", machine::user())
}

/// A path as text, if it is text on one line.
fn plain(path: &Path) -> Option<&str> {
    let text = path.to_str()?;
    (!text.chars().any(char::is_control)).then_some(text)
}

/// The command line of a service, up to the program. systemd takes only plain names for what it runs itself, and knows no way to write
/// the others down; for the words of a command it does. So a shell becomes a program that is named otherwise.
fn command(program: &str) -> String {
    let is_plain = !program.contains(['"', '\'', '\\', '$']);
    if is_plain {
        quoted(program)
    } else {
        let program = quoted(program).replace('$', "$$");
        format!("/bin/sh -c 'exec \"$$0\" \"$$@\"' {program}")
    }
}

/// One word of a unit file.
fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{}\"", text.replace('%', "%%"))
}

fn xml(text: &str) -> String {
    let text = text.replace('&', "&amp;");
    text.replace('<', "&lt;").replace('>', "&gt;")
}

/// Times of the calendar: they are met again after a night's sleep, which a count of minutes is not.
fn calendar(minutes: u64) -> String {
    match (minutes, minutes / 60) {
        (1440, _) => "*-*-* 00:00:00".to_owned(),
        (_, 0) => format!("*-*-* *:00/{minutes}:00"),
        (_, hours) => format!("*-*-* 00/{hours}:00:00"),
    }
}

/// The words for how often: those that are typed.
#[must_use]
pub fn every(every: Duration) -> String {
    match every.as_secs() / 60 {
        minutes if minutes % 60 == 0 => format!("{}h", minutes / 60),
        minutes => format!("{minutes}m"),
    }
}

/// Whether the calendar has such a time: it must go evenly into an hour or a day.
#[must_use]
pub fn is_regular(every: Duration) -> bool {
    let (minutes, rest) = (every.as_secs() / 60, every.as_secs() % 60);
    let goes_into = |whole: u64| minutes != 0 && whole.is_multiple_of(minutes);
    let is_hours = minutes % 60 == 0 && goes_into(1440);
    rest == 0 && minutes >= 5 && (is_hours || (minutes < 60 && goes_into(60)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(program: &str, minutes: u64) -> Job {
        Job {
            program: program.into(),
            variables: vec![("GIT_VAULT_HOME", "/v/a \"b\" 50% $c & <d>".into())],
            every: Duration::from_secs(minutes * 60),
        }
    }

    #[test]
    fn only_times_that_the_calendar_has_are_regular() {
        let minutes = |minutes: u64| is_regular(Duration::from_secs(minutes * 60));
        for good in [5, 6, 10, 12, 15, 20, 30, 60, 120, 360, 720, 1440] {
            assert!(minutes(good), "{good}");
        }
        for bad in [0, 1, 4, 7, 25, 45, 59, 61, 90, 300, 2880] {
            assert!(!minutes(bad), "{bad}");
        }
        assert!(!is_regular(Duration::from_secs(330)));
    }

    #[test]
    fn paths_are_written_in_the_language_of_each_scheduler() {
        let files = Scheduler::Systemd
            .files(&job("/opt/a b/$git\\vault%", 15))
            .unwrap();
        let service = &files[0].1;
        let line =
            "ExecStart=/bin/sh -c 'exec \"$$0\" \"$$@\"' \"/opt/a b/$$git\\\\vault%%\" sweep\n";
        assert!(service.contains(line), "{service}");
        let plain = &Scheduler::Systemd.files(&job("/opt/a b%", 15)).unwrap()[0].1;
        assert!(plain.contains("ExecStart=\"/opt/a b%%\" sweep\n"));
        let line = "Environment=\"GIT_VAULT_HOME=/v/a \\\"b\\\" 50%% $c & <d>\"\n";
        assert!(service.contains(line), "{service}");
        assert!(files[1].1.contains("OnCalendar=*-*-* *:00/15:00\n"));
        assert!(
            !files
                .iter()
                .any(|(_, text)| text.replace("$$@", "").contains('@'))
        );
        let files = Scheduler::Launchd.files(&job("/opt/a&b", 120)).unwrap();
        assert!(files[0].1.contains("<string>/opt/a&amp;b</string>"));
        assert!(files[0].1.contains("50% $c &amp; &lt;d&gt;</string>"));
        assert!(files[0].1.contains("<integer>7200</integer>"));
        for scheduler in [Scheduler::Systemd, Scheduler::Launchd] {
            assert!(scheduler.files(&job("/opt/a\nb", 15)).is_none());
        }
    }
}
