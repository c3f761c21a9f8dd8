//! `git vault runbook`: the runbook, offline, whole or the checklist of one code.

use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;

/// The runbook of this version.
pub const RUNBOOK: &str = include_str!("../../RUNBOOK.md");

/// The whole runbook, or the section of one code or name.
///
/// # Errors
/// When there is no such code.
pub fn runbook(code: Option<&str>) -> Result<&'static str> {
    let Some(text) = code else { return Ok(RUNBOOK) };
    let code = RefusalCode::parse(text).ok_or_else(|| {
        Refusal::new(
            RefusalCode::SettingInvalid,
            format!("there is no code '{text}'"),
        )
        .keeping("nothing was touched")
        .next("git vault runbook", "prints all of it")
    })?;
    section(code).ok_or_else(|| {
        Refusal::new(
            RefusalCode::Internal,
            format!("the runbook lacks {}", code.code()),
        )
    })
}

/// What to do when work is lost: the first page.
///
/// # Errors
/// When the runbook lacks it.
pub fn lost() -> Result<&'static str> {
    part("## I lost work, what now\n", &["\n## "])
        .ok_or_else(|| Refusal::new(RefusalCode::Internal, "the runbook lacks its first page"))
}

/// The section of a code: from its heading to the next heading of the same or a higher level.
#[must_use]
pub fn section(code: RefusalCode) -> Option<&'static str> {
    let heading = format!("### {} {}\n", code.code(), code.name());
    part(&heading, &["\n### ", "\n## "])
}

/// From a heading to the first of those that end it.
fn part(heading: &str, ends: &[&str]) -> Option<&'static str> {
    let start = RUNBOOK.find(heading)?;
    let rest = RUNBOOK.get(start..)?;
    let body = rest.get(heading.len()..)?;
    let end = ends.iter().filter_map(|next| body.find(next)).min();
    rest.get(..end.map_or(rest.len(), |end| heading.len() + end + 1))
}
