//! What `list` says, as text for people.

use super::{Lines, age, bytes, count, incomplete, short, small, standing};
use crate::model::escape::for_terminal;
use crate::model::manifest::Completeness;
use crate::model::timestamp::Timestamp;
use crate::ops::list::{Changes, ListReport, Listed};

/// Narrower terminals get two shorter lines for each snapshot.
const WIDE_COLUMNS: usize = 110;
/// From so many in a row on, snapshots in which no file changed are folded into one line.
const FOLDED: usize = 2;

/// How the list is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Manner {
    /// The time.
    pub now: Timestamp,
    /// How wide the terminal is; `None` where lines may be as long as they like.
    pub columns: Option<usize>,
    /// Whether snapshots in which no file changed have lines of their own.
    pub is_unfolded: bool,
}

/// The cells of a line, as text.
struct Row {
    number: String,
    id: String,
    created: String,
    age: String,
    trigger: String,
    branch: String,
    changes: String,
    bytes: String,
    rest: String,
}

/// `git vault list`.
#[must_use]
pub fn list(report: &ListReport, manner: Manner) -> String {
    let mut text = String::new();
    if report.snapshots.is_empty() {
        text.push_str(match report.snapshots_in_vault {
            0 => "no snapshots yet\n",
            _ => "no snapshot is of that kind\n",
        });
    }
    let rows = report.snapshots.iter();
    let rows: Vec<Row> = rows.map(|one| row(one, report, manner.now)).collect();
    let width = |cell: fn(&Row) -> &String| {
        let widths = rows.iter().map(|row| cell(row).chars().count());
        widths.max().unwrap_or_default()
    };
    let trigger = width(|row| &row.trigger);
    let branch = width(|row| &row.branch);
    let changes = width(|row| &row.changes);
    let is_narrow = manner.columns.is_some_and(|columns| columns < WIDE_COLUMNS);
    let mut at = 0;
    while let Some(row) = rows.get(at) {
        let folded = if manner.is_unfolded {
            0
        } else {
            quiet(&report.snapshots, at)
        };
        if let Some(last) = (folded >= FOLDED)
            .then(|| rows.get(at + folded - 1))
            .flatten()
        {
            let number = count(folded as u64, "snapshot");
            let line = format!(
                "       {number} without a change of files, up to {} ({} ago)",
                last.id, last.age
            );
            push(&mut text, &line);
            at += folded;
            continue;
        }
        let Row {
            number,
            id,
            created,
            age,
            bytes,
            rest,
            ..
        } = row;
        if is_narrow {
            push(
                &mut text,
                &format!(
                    "{number:>5}  {id}  {age:>5} ago  {}  {}",
                    row.trigger, row.branch
                ),
            );
            push(
                &mut text,
                &format!("       {}  {bytes}  {rest}", row.changes),
            );
        } else {
            push(
                &mut text,
                &format!(
                    "{number:>5}  {id}  {created}  {age:>5} ago  {:trigger$}  {:branch$}  {:changes$}  {bytes:>7}  {rest}",
                    row.trigger, row.branch, row.changes,
                ),
            );
        }
        at += 1;
    }
    let mut lines = Lines(text);
    if let Some(refusal) = &report.changes_unknown {
        lines.add("CHANGES", format!("not known: {refusal}"));
        lines.add("", "git vault verify says what is damaged");
    }
    if let Some(sizes) = &report.sizes {
        small::add_sizes(&mut lines, sizes);
    }
    incomplete(&mut lines, report.incomplete.len());
    lines.0
}

fn push(text: &mut String, line: &str) {
    text.push_str(for_terminal(line).replace('\n', " ").trim_end());
    text.push('\n');
}

/// How many snapshots in a row from here on say nothing new: no change of files, of HEAD, of its branch or of an operation, and nobody gave
/// them a name.
fn quiet(snapshots: &[Listed], from: usize) -> usize {
    let is_quiet = |at: &usize| {
        let pair = at
            .checked_sub(1)
            .map(|before| (snapshots.get(before), snapshots.get(*at)));
        let Some((Some(before), Some(one))) = pair else {
            return false;
        };
        let (was, is) = (&before.summary, &one.summary);
        let (was_source, is_source) = (&was.manifest.source, &is.manifest.source);
        one.changes == Some(Changes::default())
            && is.logged.number == was.logged.number + 1
            && is.manifest.labels.is_empty()
            && is.manifest.message.is_empty()
            && was_source.head == is_source.head
            && was_source.branch == is_source.branch
            && was_source.operations == is_source.operations
            && standing(was) == standing(is)
    };
    (from..snapshots.len()).take_while(is_quiet).count()
}

fn row(one: &Listed, report: &ListReport, now: Timestamp) -> Row {
    let summary = &one.summary;
    let manifest = &summary.manifest;
    let branch = manifest.source.branch.as_deref().map_or("detached", short);
    let operations = manifest.source.operations.join(",");
    let operation = if operations.is_empty() {
        String::new()
    } else {
        format!(" ({operations})")
    };
    let mut rest = vec![standing(summary)];
    if manifest.completeness == Completeness::NeedsPromisor {
        rest.push(manifest.completeness.word().to_owned());
    }
    rest.extend(manifest.labels.iter().map(|label| format!("[{label}]")));
    rest.extend((!manifest.message.is_empty()).then(|| manifest.message.clone()));
    if let Some(sizes) = &report.sizes {
        let alone = sizes.alone.get(&summary.logged.record.id);
        let alone = alone.copied().unwrap_or_default();
        rest.insert(0, format!("{:>7} alone", bytes(alone)));
    }
    let added = manifest
        .packs
        .iter()
        .map(|pack| pack.bytes + pack.index_bytes);
    Row {
        number: summary.logged.number.to_string(),
        id: manifest.snapshot.to_string(),
        created: manifest.created.to_string(),
        age: age(manifest.created, now),
        trigger: manifest.trigger.clone(),
        branch: format!("{branch}{operation}"),
        changes: one.changes.map_or_else(
            || "?".to_owned(),
            |changes| format!("+{} ~{} -{}", changes.new, changes.changed, changes.gone),
        ),
        bytes: bytes(added.sum()),
        rest: rest.join("  "),
    }
}
