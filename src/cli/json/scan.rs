//! What `git vault scan` answers to programs.

use serde_json::{Value, json};

use super::{path, paths};
use crate::cli::text::scan::next;
use crate::host::projects::Kind;
use crate::ops::loose_ends::Remote;
use crate::ops::projects::{Project, ScanReport};

/// `git vault scan`.
#[must_use]
pub fn scan(report: &ScanReport) -> Value {
    let unseen = report.unseen.iter();
    let unseen = unseen.map(|(place, reason)| json!({ "path": path(place), "reason": reason }));
    json!({
        "schema": "git-vault/scan/1",
        "directories": paths(&report.directories),
        "looked_into": report.looked_into,
        "projects": report.projects.iter().map(one).collect::<Vec<_>>(),
        "unseen": unseen.collect::<Vec<_>>(),
        "is_cut": report.is_cut,
    })
}

fn one(project: &Project) -> Value {
    let (kind, marker) = match &project.kind {
        Kind::Repository => ("repository", None),
        Kind::Bare => ("bare", None),
        Kind::Folder(marker) => ("folder", Some(marker)),
    };
    let upstream = &project.upstream;
    let trouble = project.trouble.as_ref();
    json!({
        "path": path(&project.path),
        "kind": kind,
        "marker": marker,
        "risk": project.risk.word(),
        "at_risk": project.risk.is_risk(),
        "vault": project.vault.as_deref().map(path),
        "snapshot": project.newest,
        "changed": project.changed,
        "git_changed": project.git_changed,
        "stashes": upstream.stashes,
        "remote": upstream.remote != Remote::None,
        "pushed": upstream.remote == Remote::Tracked,
        "unpushed": upstream.unpushed.commits,
        "unpushed_is_more": upstream.unpushed.is_more,
        "unpushed_branches": upstream.unpushed.branches,
        "inside": upstream.inside,
        "on_tags_only": upstream.unpushed.on_tags_only,
        "refusal": trouble.map(|refusal| json!({
            "code": refusal.code.code(),
            "what": refusal.what,
        })),
        "next": next(project).map(|(command, _)| command),
    })
}
