//! Two texts, compared line by line.

use std::time::Duration;

use similar::{DiffOp, TextDiff};

/// After so long for two texts, what is left of them is compared more coarsely: it is still right, only longer.
const LONGEST: Duration = Duration::from_secs(2);

/// How many lines came and went.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct LineCounts {
    /// Lines that only the newer text has.
    pub added: u64,
    /// Lines that only the older one has.
    pub removed: u64,
}

/// A line of a difference, with its newline if it has one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// In both texts.
    Same(&'a [u8]),
    /// Only in the older one.
    Removed(&'a [u8]),
    /// Only in the newer one.
    Added(&'a [u8]),
}

/// Lines that differ, with those around them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hunk<'a> {
    /// How many lines of the older text stand before it, and how many it shows.
    pub old: (usize, usize),
    /// The same of the newer one.
    pub new: (usize, usize),
    /// The lines.
    pub lines: Vec<Line<'a>>,
}

/// Two texts and what has to be done to make the newer of the older.
pub struct LineDiff<'a> {
    old: Vec<&'a [u8]>,
    new: Vec<&'a [u8]>,
    steps: Vec<DiffOp>,
}

/// Lines as git and `patch` count them: only a newline ends one.
fn lines(text: &[u8]) -> Vec<&[u8]> {
    text.split_inclusive(|byte| *byte == b'\n').collect()
}

impl<'a> LineDiff<'a> {
    /// Compares.
    #[must_use]
    pub fn new(old: &'a [u8], new: &'a [u8]) -> Self {
        let (old, new) = (lines(old), lines(new));
        let steps = TextDiff::configure()
            .timeout(LONGEST)
            .diff_slices(&old, &new)
            .ops()
            .to_vec();
        Self { old, new, steps }
    }

    /// How many lines came and went.
    #[must_use]
    pub fn counts(&self) -> LineCounts {
        let mut counts = LineCounts::default();
        for step in self.steps.iter().filter(|step| !is_same(step)) {
            counts.added += step.new_range().len() as u64;
            counts.removed += step.old_range().len() as u64;
        }
        counts
    }

    /// What differs, with so many lines around it.
    #[must_use]
    pub fn hunks(&self, around: usize) -> Vec<Hunk<'a>> {
        let groups = similar::group_diff_ops(self.steps.clone(), around);
        groups.iter().map(|group| self.hunk(group)).collect()
    }

    fn hunk(&self, group: &[DiffOp]) -> Hunk<'a> {
        let mut hunk = Hunk {
            old: (0, 0),
            new: (0, 0),
            lines: Vec::new(),
        };
        if let Some(first) = group.first() {
            hunk.old.0 = first.old_range().start;
            hunk.new.0 = first.new_range().start;
        }
        for step in group {
            let old = self.old.get(step.old_range()).unwrap_or_default();
            let new = self.new.get(step.new_range()).unwrap_or_default();
            hunk.old.1 += old.len();
            hunk.new.1 += new.len();
            if is_same(step) {
                hunk.lines.extend(old.iter().map(|line| Line::Same(line)));
            } else {
                hunk.lines
                    .extend(old.iter().map(|line| Line::Removed(line)));
                hunk.lines.extend(new.iter().map(|line| Line::Added(line)));
            }
        }
        hunk
    }
}

fn is_same(step: &DiffOp) -> bool {
    matches!(step, DiffOp::Equal { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_newline_ends_a_line() {
        let diff = LineDiff::new(b"a\rb\nc\n", b"a\rB\nc\r");
        let counts = LineCounts {
            added: 2,
            removed: 2,
        };
        assert_eq!(diff.counts(), counts);
        let hunks = diff.hunks(3);
        assert_eq!(
            (hunks.len(), hunks[0].old, hunks[0].new),
            (1, (0, 2), (0, 2))
        );
        assert!(hunks[0].lines.contains(&Line::Added(b"c\r")));
    }

    #[test]
    fn the_same_text_has_no_difference() {
        let diff = LineDiff::new(b"a\nb\n", b"a\nb\n");
        assert_eq!(diff.counts(), LineCounts::default());
        assert_eq!(diff.hunks(3), []);
        assert_eq!(LineDiff::new(b"", b"").hunks(3), []);
    }

    #[test]
    fn texts_without_a_common_line_take_no_time_to_speak_of() {
        let text = |from: u32| -> Vec<u8> {
            let lines = (0..200_000_u32).map(|line| format!("{}\n", from.wrapping_mul(line ^ 7)));
            lines.collect::<String>().into_bytes()
        };
        let (old, new) = (text(7_919), text(104_729));
        let counts = LineDiff::new(&old, &new).counts();
        assert!(counts.added > 100_000 && counts.removed > 100_000);
    }
}
