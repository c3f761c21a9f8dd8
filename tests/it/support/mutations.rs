//! Inputs for parsers: a corpus that is always read, mutations of it, and bytes from nowhere.

use std::cell::Cell;
use std::fs;

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestError, TestRunner};

use crate::architecture::root;
use crate::laboratory::effort;

/// A parser under test: its corpus, and what it must hold.
pub struct Parser {
    /// The directory in `tests/corpus`.
    pub name: &'static str,
    /// How many inputs are made when the effort is 1.
    pub cases: u32,
    /// Parses, checks what was parsed, and says whether the input was accepted. A panic is a finding.
    pub check: fn(&[u8]) -> Result<bool, String>,
    /// States the checksums of the format anew, so that mutations get past them.
    pub reseal: fn(&[u8]) -> Option<Vec<u8>>,
}

/// One change to an input.
#[derive(Debug, Clone)]
enum Edit {
    Flip(Index, u8),
    Set(Index, u8),
    Digit(Index, u8),
    Remove(Index, u8),
    Repeat(Index, u8),
    Insert(Index, Vec<u8>),
    Cut(Index),
    /// From there on it goes on as another seed does from its own place.
    Splice(Index, Index, Index),
    SwapLines(Index, Index),
}

/// What parsers of text and numbers have stumbled over elsewhere.
const SHARP: [&[u8]; 14] = [
    b"\0",
    b"\n",
    b"\r\n",
    b"\t",
    b"-",
    b"+",
    b"\"",
    b"%",
    b"\xff\xff\xff\xff",
    b"\x80\0\0\0",
    b"\xff\xff\xff\xff\xff\xff\xff\xff",
    b"18446744073709551616",
    "\u{feff}".as_bytes(),
    "\u{2028}".as_bytes(),
];

fn edits() -> impl Strategy<Value = Vec<Edit>> {
    let place = any::<Index>;
    // Small changes to what a format says are the ones that may get far.
    let edit = prop_oneof![
        6 => (place(), any::<u8>()).prop_map(|(at, byte)| Edit::Digit(at, byte)),
        3 => (place(), 0_u8..8).prop_map(|(at, bit)| Edit::Flip(at, bit)),
        1 => (place(), any::<u8>()).prop_map(|(at, byte)| Edit::Set(at, byte)),
        1 => (place(), any::<u8>()).prop_map(|(at, count)| Edit::Remove(at, count)),
        1 => (place(), any::<u8>()).prop_map(|(at, count)| Edit::Repeat(at, count)),
        1 => (place(), vec(any::<u8>(), 1..9)).prop_map(|(at, bytes)| Edit::Insert(at, bytes)),
        2 => (place(), place()).prop_map(|(at, sharp)| Edit::Insert(at, sharp.get(&SHARP).to_vec())),
        1 => place().prop_map(Edit::Cut),
        1 => (place(), place(), place()).prop_map(|(at, seed, from)| Edit::Splice(at, seed, from)),
        1 => (place(), place()).prop_map(|(one, two)| Edit::SwapLines(one, two)),
    ];
    vec(edit, 1..4)
}

fn apply(bytes: &mut Vec<u8>, edit: &Edit, seeds: &[Vec<u8>]) {
    let length = bytes.len();
    let place = |at: &Index| at.index(length + 1);
    let span = |at: &Index, count: u8| {
        let start = place(at);
        start..(start + usize::from(count)).min(length)
    };
    match edit {
        Edit::Flip(at, bit) if length > 0 => bytes[at.index(length)] ^= 1 << bit,
        Edit::Set(at, byte) if length > 0 => bytes[at.index(length)] = *byte,
        Edit::Digit(at, byte) if length > 0 => {
            let digits: Vec<usize> = (0..length)
                .filter(|place| bytes[*place].is_ascii_hexdigit())
                .collect();
            if !digits.is_empty() {
                bytes[*at.get(&digits)] = b"0123456789abcdef"[usize::from(byte % 16)];
            }
        }
        Edit::Flip(..) | Edit::Set(..) | Edit::Digit(..) => {}
        Edit::Remove(at, count) => drop(bytes.drain(span(at, *count))),
        Edit::Repeat(at, count) => {
            let piece = bytes[span(at, *count)].to_vec();
            let at = place(at);
            bytes.splice(at..at, piece);
        }
        Edit::Insert(at, piece) => {
            let at = place(at);
            bytes.splice(at..at, piece.iter().copied());
        }
        Edit::Cut(at) => bytes.truncate(place(at)),
        Edit::Splice(at, seed, from) => {
            let other = seed.get(seeds);
            bytes.truncate(place(at));
            bytes.extend_from_slice(&other[from.index(other.len() + 1)..]);
        }
        Edit::SwapLines(one, two) => {
            let mut lines: Vec<Vec<u8>> = bytes
                .split_inclusive(|byte| *byte == b'\n')
                .map(<[u8]>::to_vec)
                .collect();
            if !lines.is_empty() {
                let (one, two) = (one.index(lines.len()), two.index(lines.len()));
                lines.swap(one, two);
                *bytes = lines.concat();
            }
        }
    }
}

impl Parser {
    /// The seeds, sorted by name, each with whether the parser must accept it.
    fn corpus(&self) -> Vec<(String, bool, Vec<u8>)> {
        let directory = root().join("tests/corpus").join(self.name);
        let entries = fs::read_dir(directory).expect("the corpus is read");
        let paths = entries.map(|entry| entry.expect("an entry").path());
        let mut seeds: Vec<_> = paths
            .map(|path| {
                let name = path.file_name().expect("a name").to_string_lossy();
                let is_good = name.starts_with("good-");
                assert!(is_good || name.starts_with("bad-"), "{name}");
                (name.to_string(), is_good, fs::read(&path).expect("a seed"))
            })
            .collect();
        seeds.sort();
        assert!(seeds.len() > 3, "the corpus of {}", self.name);
        seeds
    }

    /// Reads the corpus, then what grows from it, then bytes from nowhere; fails with the smallest input that surprises.
    #[track_caller]
    pub fn fuzz(&self) {
        let corpus = self.corpus();
        for (name, is_good, bytes) in &corpus {
            let found = (self.check)(bytes);
            assert_eq!(found, Ok(*is_good), "{}/{name}", self.name);
        }
        let seeds: Vec<Vec<u8>> = corpus.into_iter().map(|(_, _, bytes)| bytes).collect();
        let cases = self.cases * u32::try_from(effort()).expect("an effort");
        self.run(cases / 5, vec(any::<u8>(), 0..300));
        let inputs = (any::<Index>(), edits(), any::<bool>());
        let (reseal, sources) = (self.reseal, seeds.clone());
        let mutations = inputs.prop_map(move |(seed, edits, sealed)| {
            let mut bytes = seed.get(&sources).clone();
            for edit in &edits {
                apply(&mut bytes, edit, &sources);
            }
            if sealed {
                reseal(&bytes).unwrap_or(bytes)
            } else {
                bytes
            }
        });
        self.run(cases, mutations);
    }

    #[track_caller]
    fn run(&self, cases: u32, inputs: impl Strategy<Value = Vec<u8>>) {
        let config = Config {
            cases,
            failure_persistence: None,
            max_shrink_iters: 2000,
            ..Config::default()
        };
        let accepted = Cell::new(0);
        let outcome = TestRunner::new(config).run(&inputs, |bytes| {
            let is_accepted = (self.check)(&bytes).map_err(TestCaseError::fail)?;
            accepted.set(accepted.get() + u32::from(is_accepted));
            Ok(())
        });
        match outcome {
            Ok(()) => eprintln!("{}: {} of {cases} accepted", self.name, accepted.get()),
            Err(TestError::Fail(reason, bytes)) => {
                panic!("{}: {reason}\non {}", self.name, bytes.escape_ascii())
            }
            Err(TestError::Abort(reason)) => panic!("{}: {reason}", self.name),
        }
    }
}
