//! `git vault incident`: the incidents that were noted on this machine, and what one of them says.

use std::path::{Path, PathBuf};

use crate::host::disk;
use crate::model::incident::{FILE_NAME, Incident, is_directory_name};
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::ops::incident::place;
use crate::ops::locate::Workplace;

/// Largest record read.
const LIMIT_BYTES: u64 = 4 << 20;

/// One incident of the list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentSummary {
    /// Its name.
    pub id: String,
    /// Its directory.
    pub path: PathBuf,
    /// Its record, or why it cannot be read.
    pub record: std::result::Result<Incident, String>,
}

/// All incidents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IncidentList {
    /// Where they lie.
    pub place: PathBuf,
    /// Oldest first.
    pub incidents: Vec<IncidentSummary>,
}

/// Lists the incidents.
///
/// # Errors
/// When their directory cannot be looked at.
pub fn list(workplace: &Workplace) -> Result<IncidentList> {
    let place = place(workplace);
    let incidents = names(&place)?.into_iter().map(|id| summary(&place, id));
    Ok(IncidentList {
        incidents: incidents.collect(),
        place,
    })
}

/// Gives the incident whose name begins with `name`, or the newest one.
///
/// # Errors
/// When there is none or its record cannot be read.
pub fn show(workplace: &Workplace, name: Option<&str>) -> Result<IncidentSummary> {
    let place = place(workplace);
    let names = names(&place)?;
    let found: Vec<&String> = match name {
        None => names.last().into_iter().collect(),
        Some(name) => {
            let exact = names.iter().filter(|found| *found == name);
            let exact: Vec<_> = exact.collect();
            let beginning = names.iter().filter(|found| found.starts_with(name));
            if exact.is_empty() {
                beginning.collect()
            } else {
                exact
            }
        }
    };
    let [id] = found.as_slice() else {
        let fact = match found.len() {
            0 => format!("'{}' holds {} of them", place.display(), names.len()),
            several => format!("{several} have a name that begins so"),
        };
        let what = match name {
            Some(name) => format!("no single incident is named '{name}'"),
            None => "no incident was noted on this machine".to_owned(),
        };
        return Err(not_found(what).because(fact));
    };
    let summary = summary(&place, (*id).clone());
    match &summary.record {
        Ok(_) => Ok(summary),
        Err(reason) => Err(
            not_found(format!("the record of incident '{id}' cannot be read"))
                .because(reason.clone()),
        ),
    }
}

fn not_found(what: String) -> Refusal {
    Refusal::new(RefusalCode::IncidentNotFound, what)
        .keeping("nothing was touched")
        .next("git vault incident list", "shows those that were noted")
}

fn names(place: &Path) -> Result<Vec<String>> {
    let names = match disk::list(place) {
        Err(error) if error.is_not_found() => Vec::new(),
        names => names.map_err(|error| error.refuse(RefusalCode::IncidentNotFound))?,
    };
    let names = names.into_iter().filter_map(|name| name.into_string().ok());
    Ok(names.filter(|name| is_directory_name(name)).collect())
}

fn summary(place: &Path, id: String) -> IncidentSummary {
    let path = place.join(&id);
    let record = disk::read_bounded(&path.join(FILE_NAME), LIMIT_BYTES)
        .map_err(|error| error.to_string())
        .and_then(|bytes| String::from_utf8(bytes).map_err(|error| error.to_string()))
        .and_then(|text| Incident::from_text(&text));
    IncidentSummary { id, path, record }
}
