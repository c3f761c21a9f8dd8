//! What `git vault scan` says to people.

use super::{Lines, age, count, shown, word};
use crate::host::projects::Kind;
use crate::ops::loose_ends::Remote;
use crate::ops::projects::{Project, Risk, ScanReport};

/// Whether what is well is listed, too.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Only what is not.
    Exposed,
    /// All.
    All,
}

/// One line for each project, the worst first, a sum, and what helps.
#[must_use]
pub fn scan(report: &ScanReport, which: Shown) -> String {
    let mut lines = Lines::default();
    let is_listed = |project: &&Project| which == Shown::All || project.risk != Risk::Safe;
    for project in report.projects.iter().filter(is_listed) {
        lines.add(
            field(project.risk),
            format!("{}: {}", shown(&project.path), facts(project, report)),
        );
    }
    for (path, reason) in &report.unseen {
        lines.add("NOT SEEN", format!("{}: {reason}", shown(path)));
    }
    if report.is_cut {
        let what = "directories that lie deeper: --depth NUMBER looks further down";
        lines.add("NOT SEEN", what);
    }
    let number = |is: fn(&Project) -> bool| report.projects.iter().filter(|one| is(one)).count();
    let folders = number(|one| matches!(one.kind, Kind::Folder(_)));
    let without = if folders == 1 {
        "1 folder without one".to_owned()
    } else {
        format!("{folders} folders without one")
    };
    lines.add(
        "SCANNED",
        format!(
            "{}, {without}: {} at risk, {} safe",
            count((report.projects.len() - folders) as u64, "repository"),
            number(|one| one.risk.is_risk()),
            number(|one| one.risk == Risk::Safe),
        ),
    );
    let mut told = Vec::new();
    for project in report.projects.iter().filter(is_listed) {
        let step = next(project);
        if let Some((command, purpose)) = step.filter(|_| !told.contains(&project.risk)) {
            told.push(project.risk);
            lines.add("NEXT", format!("{command}      ({purpose})"));
        }
    }
    lines.0
}

fn field(risk: Risk) -> &'static str {
    match risk {
        Risk::Never => "NEVER",
        Risk::NoGit => "NO GIT",
        Risk::Refused => "REFUSED",
        Risk::Stale => "STALE",
        Risk::Clean => "CLEAN",
        Risk::Local => "LOCAL",
        Risk::Safe => "SAFE",
    }
}

fn facts(project: &Project, report: &ScanReport) -> String {
    if let Some(refusal) = &project.trouble {
        return format!("{} {}", refusal.code.code(), refusal.what);
    }
    if let Kind::Folder(marker) = &project.kind {
        return format!("{marker}, and no repository");
    }
    let mut facts = Vec::new();
    let mut add = |number: u64, what: String| {
        if number > 0 {
            facts.push(what);
        }
    };
    let (upstream, unpushed) = (&project.upstream, &project.upstream.unpushed);
    add(project.changed, format!("{} changed", project.changed));
    add(
        u64::from(project.git_changed),
        "git directory changed".to_owned(),
    );
    add(upstream.stashes, stashes(upstream.stashes));
    let more = if unpushed.is_more {
        " or more perhaps"
    } else {
        ""
    };
    add(
        unpushed.commits,
        format!("{}{more} on no remote", count(unpushed.commits, "commit")),
    );
    add(
        unpushed.on_tags_only,
        format!(
            "{} on tags or other refs only",
            count(unpushed.on_tags_only, "commit")
        ),
    );
    add(
        upstream.inside,
        format!(
            "{} inside with something on no remote",
            count(upstream.inside, "repository")
        ),
    );
    match upstream.remote {
        Remote::None => add(1, "no remote".to_owned()),
        Remote::Here => add(1, "no remote but a path".to_owned()),
        Remote::Unknown => add(u64::from(upstream.has_commits), "nothing pushed".to_owned()),
        Remote::Tracked => {}
    }
    facts.push(match project.newest {
        None => "no snapshot".to_owned(),
        Some(newest) => format!("snapshot of {} ago", age(newest, report.now)),
    });
    facts.join(", ")
}

fn stashes(number: u64) -> String {
    if number == 1 {
        "1 stash".to_owned()
    } else {
        format!("{number} stashes")
    }
}

/// What helps a project.
#[must_use]
pub fn next(project: &Project) -> Option<(String, &'static str)> {
    let place = word(&project.path);
    match project.risk {
        Risk::Never => Some((
            format!("git vault -C {place} snapshot"),
            "the first one; sweep makes the next ones",
        )),
        Risk::Stale => Some((
            format!("git vault -C {place} snapshot"),
            "captures what is new",
        )),
        Risk::NoGit => Some((
            format!("git -C {place} init"),
            "then git vault can capture it, without a commit",
        )),
        Risk::Refused => Some((
            format!("git vault -C {place} snapshot"),
            "says all of it, and what helps",
        )),
        Risk::Clean | Risk::Local | Risk::Safe => None,
    }
}
