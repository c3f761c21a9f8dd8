//! `git vault grep`: which versions of which files hold a text. Every content is read once, however many snapshots hold it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::ops::Range;
use std::path::Path;

use regex::bytes::{Regex, RegexBuilder};

use crate::host::walk::join;
use crate::model::escape::text_name;
use crate::model::ids::Digest;
use crate::model::listing::Entry;
use crate::model::place::Place;
use crate::model::refusal::{Refusal, Result};
use crate::model::refusal_code::RefusalCode;
use crate::model::version::Version;
use crate::ops::locate::Workplace;
use crate::ops::path_history::{Stage, all_packs, stages};
use crate::ops::selection::{Asked, select};
use crate::ops::snapshot_path::{SnapshotPath, is_asked};
use crate::vault::inspect::Vault;
use crate::vault::log::LoggedSnapshot;
use crate::vault::lookup::Wanted;
use crate::vault::reader::{Directory, SnapshotReader, trust, write_content};
use crate::vault::store::Store;

/// Larger files are not searched.
const LIMIT_BYTES: u64 = 64 << 20;
/// A file with a zero byte among so many first ones is not shown line by line; git draws the line there, too.
const BINARY_BYTES: usize = 8000;

/// What is looked for.
#[derive(Debug, Clone, Default)]
pub struct GrepRequest {
    /// A regular expression, or a text.
    pub pattern: String,
    /// Whether the pattern is a text.
    pub is_fixed: bool,
    /// Whether capitals do not matter.
    pub ignores_case: bool,
    /// In which snapshots; in all that are accepted if none is named.
    pub snapshots: Vec<String>,
    /// Under which paths; under all if none is given.
    pub paths: Vec<SnapshotPath>,
}

/// A line that matches.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// Its bytes, without the line feed.
    pub text: Vec<u8>,
}

/// What matches in a content.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hits {
    /// These lines.
    Lines(Vec<Line>),
    /// Something in a file that is no text.
    Binary,
}

/// A path, and what matched in it over snapshots in a row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Match {
    /// In which tree.
    pub place: Place,
    /// The path.
    pub path: Vec<u8>,
    /// The first of the snapshots.
    pub first: LoggedSnapshot,
    /// The last of them.
    pub last: LoggedSnapshot,
    /// How many those are.
    pub snapshots: u64,
    /// BLAKE3 of the content in the last of them.
    pub blake3: Digest,
    /// The same lines in all of them, with the numbers they have in the last.
    pub hits: Hits,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrepReport {
    /// In the order of their paths, and of a path the newest first.
    pub matches: Vec<Match>,
    /// Snapshots that were searched.
    pub searched: u64,
    /// Snapshots that were not, though all were asked for, because a key was compromised.
    pub passed_over: u64,
    /// Contents that were read.
    pub contents: u64,
    /// Contents that were not, because they have more than 64 MiB.
    pub too_large: u64,
    /// The newest snapshot.
    pub newest: Option<LoggedSnapshot>,
}

/// A content that a path had in snapshots in a row.
struct Span<'s> {
    place: Place,
    path: &'s [u8],
    blake3: Digest,
    bytes: u64,
    stages: Range<usize>,
}

/// Finds the lines of files of the working trees that match.
///
/// # Errors
/// When the pattern makes no sense, a snapshot is not there or not accepted, or what is stored is not what was sealed.
pub fn grep(workplace: &Workplace, request: &GrepRequest) -> Result<GrepReport> {
    let pattern = compile(request)?;
    let vault = workplace.existing_vault()?;
    let stages = stages(&vault)?;
    let chosen = choose(workplace, &vault, &stages, &request.snapshots)?;
    let mut spans = spans(&stages, &request.paths);
    for span in &mut spans {
        narrow(span, chosen.as_ref());
    }
    spans.retain(|span| !span.stages.is_empty());
    let store = all_packs(&vault);
    let mut search = Search {
        vault: &vault,
        store: &store,
        pattern: &pattern,
        hits: HashMap::new(),
        too_large: BTreeSet::new(),
    };
    search.read_all(&stages, &spans)?;
    let matches = matches(&stages, &spans, &search.hits, chosen.as_ref());
    let searched = chosen.as_ref().map_or(stages.len(), BTreeSet::len);
    let passed_over = match chosen {
        Some(_) => 0,
        None => vault.log.snapshots.len() - stages.len(),
    };
    Ok(GrepReport {
        matches,
        passed_over: passed_over as u64,
        searched: searched as u64,
        contents: search.hits.len() as u64,
        too_large: search.too_large.len() as u64,
        newest: vault.log.accepted().next_back().cloned(),
    })
}

fn compile(request: &GrepRequest) -> Result<Regex> {
    let refuse = |reason: String| {
        Refusal::new(
            RefusalCode::SettingInvalid,
            format!("'{}' is no pattern", text_name(request.pattern.as_bytes())),
        )
        .because(reason)
        .keeping("nothing was touched")
        .next(
            "git vault grep -F TEXT",
            "looks for a text as it stands, in one line",
        )
    };
    if request.pattern.contains('\n') {
        return Err(refuse(
            "it has more than one line, and every line is searched by itself".to_owned(),
        ));
    }
    let pattern = if request.is_fixed {
        regex::escape(&request.pattern)
    } else {
        request.pattern.clone()
    };
    let built = RegexBuilder::new(&pattern)
        .case_insensitive(request.ignores_case)
        .build();
    built.map_err(|error| {
        let reason = match error {
            regex::Error::Syntax(text) => text.lines().last().unwrap_or_default().to_owned(),
            other @ (regex::Error::CompiledTooBig(_) | _) => other.to_string(),
        };
        refuse(reason)
    })
}

/// The stages of the snapshots that were named; `None` for all.
fn choose(
    workplace: &Workplace,
    vault: &Vault,
    stages: &[Stage],
    names: &[String],
) -> Result<Option<BTreeSet<usize>>> {
    if names.is_empty() {
        return Ok(None);
    }
    let mut chosen = BTreeSet::new();
    for name in names {
        let logged = select(vault, name, Asked::by(workplace))?;
        // It refuses one that is not accepted.
        let trusted = trust(vault, &logged)?;
        chosen.extend(
            stages
                .iter()
                .position(|stage| stage.snapshot == *trusted.logged()),
        );
    }
    Ok(Some(chosen))
}

/// Which content each file had over which snapshots.
fn spans<'s>(stages: &'s [Stage], paths: &[SnapshotPath]) -> Vec<Span<'s>> {
    let mut open: BTreeMap<(Place, &[u8]), Span<'_>> = BTreeMap::new();
    let mut closed = Vec::new();
    for (at, stage) in stages.iter().enumerate() {
        for change in stage.in_working_trees() {
            if !is_asked(paths, change.place, &change.path) {
                continue;
            }
            let key = (change.place, change.path.as_slice());
            let content = match change.new {
                Some(Version::File { bytes, blake3, .. }) => Some((bytes, blake3)),
                _ => None,
            };
            let is_same = |span: &Span<'_>| content.is_some_and(|(_, new)| new == span.blake3);
            if open.get(&key).is_some_and(is_same) {
                continue;
            }
            if let Some(mut span) = open.remove(&key) {
                span.stages.end = at;
                closed.push(span);
            }
            if let Some((bytes, blake3)) = content {
                let span = Span {
                    place: change.place,
                    path: &change.path,
                    blake3,
                    bytes,
                    stages: at..stages.len(),
                };
                open.insert(key, span);
            }
        }
    }
    closed.extend(open.into_values());
    closed.sort_by(|left, right| {
        let key = |span: &Span<'_>| (span.place, span.path.to_vec(), span.stages.start);
        key(left).cmp(&key(right))
    });
    closed
}

/// Leaves the part of a span from its first chosen snapshot to its last.
fn narrow(span: &mut Span<'_>, chosen: Option<&BTreeSet<usize>>) {
    if let Some(chosen) = chosen {
        let mut within = chosen.range(span.stages.clone());
        let first = within.next().copied();
        let last = within.next_back().copied().or(first);
        span.stages = match first.zip(last) {
            Some((first, last)) => first..last + 1,
            None => 0..0,
        };
    }
}

struct Search<'a> {
    vault: &'a Vault,
    store: &'a Store,
    pattern: &'a Regex,
    /// By content; `None` where nothing matches.
    hits: HashMap<Digest, Option<Hits>>,
    too_large: BTreeSet<Digest>,
}

impl Search<'_> {
    /// Reads every content once, from the newest snapshot that holds it.
    fn read_all(&mut self, stages: &[Stage], spans: &[Span<'_>]) -> Result<()> {
        let mut wanted: BTreeMap<usize, BTreeSet<(Place, &[u8])>> = BTreeMap::new();
        let mut seen = BTreeSet::new();
        for span in spans {
            if span.bytes > LIMIT_BYTES {
                self.too_large.insert(span.blake3);
            } else if let Some(last) = span.stages.end.checked_sub(1)
                && seen.insert(span.blake3)
            {
                wanted
                    .entry(last)
                    .or_default()
                    .insert((span.place, span.path));
            }
        }
        for (at, paths) in wanted {
            if let Some(stage) = stages.get(at) {
                self.read(&stage.snapshot, &paths)?;
            }
        }
        Ok(())
    }

    fn read(&mut self, snapshot: &LoggedSnapshot, paths: &BTreeSet<(Place, &[u8])>) -> Result<()> {
        let trusted = trust(self.vault, snapshot)?;
        let reader = SnapshotReader::new(self.store, &trusted);
        let places: BTreeSet<Place> = paths.iter().map(|(place, _)| *place).collect();
        for place in places {
            let of_place = paths.iter().filter(|(of, _)| *of == place);
            let exact: BTreeSet<&[u8]> = of_place.map(|(_, path)| *path).collect();
            let above: BTreeSet<&[u8]> = exact.iter().flat_map(|path| ancestors(path)).collect();
            let wanted = |met: &[u8]| {
                if exact.contains(met) {
                    Wanted::Whole
                } else if above.contains(met) {
                    Wanted::Way
                } else {
                    Wanted::Nothing
                }
            };
            let mut each = |directory: Directory| self.search_in(&directory, &exact);
            reader.each_wanted(place, &wanted, &mut each)?;
        }
        Ok(())
    }

    fn search_in(&mut self, directory: &Directory, exact: &BTreeSet<&[u8]>) -> Result<()> {
        for (name, entry) in &directory.listing.entries {
            let Entry::File { bytes, blake3, .. } = entry else {
                continue;
            };
            let path = join(&directory.path, name);
            let content = directory.contents.get(name);
            let (Some(content), true) = (content, exact.contains(path.as_slice())) else {
                continue;
            };
            let mut text = Vec::new();
            write_content(self.store, content, &mut text, Path::new("memory"))?;
            let found = (text.len() as u64, Digest::of(&text));
            crate::ops::look::check(&path, (*bytes, *blake3), found.0, found.1)?;
            self.hits.insert(*blake3, hits(self.pattern, &text));
        }
        Ok(())
    }
}

/// The directories above a path, the topmost one included.
fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/');
    let above = slashes.filter_map(|(at, _)| path.get(..at));
    above.chain([&b""[..]])
}

fn hits(pattern: &Regex, text: &[u8]) -> Option<Hits> {
    let start = text.get(..BINARY_BYTES.min(text.len())).unwrap_or_default();
    if text.is_empty() {
        return None;
    }
    let text = text.strip_suffix(b"\n").unwrap_or(text);
    let mut found = (1..)
        .zip(text.split(|byte| *byte == b'\n'))
        .filter_map(|(number, whole)| {
            let line = whole.strip_suffix(b"\r").unwrap_or(whole);
            // What ends a line on other systems is no part of it, unless it is looked for.
            let is_match = pattern.is_match(line) || (line != whole && pattern.is_match(whole));
            is_match.then_some((number, line))
        });
    if start.contains(&0) {
        return found.next().map(|_line| Hits::Binary);
    }
    let lines: Vec<Line> = found
        .map(|(number, line)| Line {
            number,
            text: line.to_vec(),
        })
        .collect();
    (!lines.is_empty()).then_some(Hits::Lines(lines))
}

/// Whether the same is found, whatever the lines are numbered.
fn is_alike(left: &Hits, right: &Hits) -> bool {
    match (left, right) {
        (Hits::Binary, Hits::Binary) => true,
        (Hits::Lines(left), Hits::Lines(right)) => {
            let texts = left.iter().map(|line| &line.text);
            texts.eq(right.iter().map(|line| &line.text))
        }
        _ => false,
    }
}

fn matches(
    stages: &[Stage],
    spans: &[Span<'_>],
    hits: &HashMap<Digest, Option<Hits>>,
    chosen: Option<&BTreeSet<usize>>,
) -> Vec<Match> {
    let mut matches: Vec<Match> = Vec::new();
    let mut end = 0;
    for span in spans {
        let Some(Some(hits)) = hits.get(&span.blake3) else {
            continue;
        };
        let last = span
            .stages
            .end
            .checked_sub(1)
            .and_then(|last| stages.get(last));
        let (Some(first), Some(last)) = (stages.get(span.stages.start), last) else {
            continue;
        };
        let snapshots = match chosen {
            Some(chosen) => chosen.range(span.stages.clone()).count(),
            None => span.stages.len(),
        };
        // In a row are those between which no other is searched.
        let mut between = end..span.stages.start;
        let follows = match chosen {
            Some(chosen) => !between.any(|stage| chosen.contains(&stage)),
            None => between.is_empty(),
        };
        let goes_on = matches.last_mut().filter(|before| {
            let is_same_path = before.place == span.place && before.path == span.path;
            is_same_path && follows && is_alike(&before.hits, hits)
        });
        end = span.stages.end;
        if let Some(before) = goes_on {
            before.last = last.snapshot.clone();
            before.snapshots += snapshots as u64;
            before.blake3 = span.blake3;
            before.hits = hits.clone();
            continue;
        }
        matches.push(Match {
            place: span.place,
            path: span.path.to_vec(),
            first: first.snapshot.clone(),
            last: last.snapshot.clone(),
            snapshots: snapshots as u64,
            blake3: span.blake3,
            hits: hits.clone(),
        });
    }
    matches.sort_by(|left, right| {
        let key = |one: &Match| (one.place, one.path.clone());
        let newest_first = right.last.number.cmp(&left.last.number);
        key(left).cmp(&key(right)).then(newest_first)
    });
    matches
}
