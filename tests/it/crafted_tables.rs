//! Tables of refs that git did not write: what the format allows is read, every lie is refused, and none costs much.

use std::collections::BTreeMap;
use std::fs;

use git_vault::host::git::pack_writer::deflate;
use git_vault::host::git::reftable::{self, Error, Stack, Value};
use git_vault::host::git::tips;

use crate::laboratory::{bounded, only_vault, refusal};
use crate::support::states::find;
use crate::support::{Said, Sandbox};

const HEADER_BYTES: usize = 24;

fn be(value: usize, bytes: usize) -> Vec<u8> {
    value.to_be_bytes()[8 - bytes..].to_vec()
}

/// A number as the format writes it.
fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = vec![(value & 0x7f) as u8];
    value >>= 7;
    while value > 0 {
        value -= 1;
        bytes.insert(0, 0x80 | (value & 0x7f) as u8);
        value >>= 7;
    }
    bytes
}

fn key(prefix: usize, suffix: &[u8], kind: u64) -> Vec<u8> {
    let suffix_and_kind = varint(((suffix.len() as u64) << 3) | kind);
    [varint(prefix as u64), suffix_and_kind, suffix.to_vec()].concat()
}

/// A record of a ref that stands for itself; its ids are made of one byte.
fn id_ref(name: &str, byte: u8) -> Vec<u8> {
    [key(0, name.as_bytes(), 1), vec![0], vec![byte; 20]].concat()
}

fn symbolic_ref(name: &str, target: &str) -> Vec<u8> {
    let target = [varint(target.len() as u64), target.as_bytes().to_vec()].concat();
    [key(0, name.as_bytes(), 3), vec![0], target].concat()
}

fn head() -> Vec<u8> {
    symbolic_ref("HEAD", "refs/heads/main")
}

fn log_key(name: &str, index: u64) -> Vec<u8> {
    [name.as_bytes(), b"\0", &(u64::MAX - index).to_be_bytes()].concat()
}

fn log(name: &str, index: u64, new: u8) -> Vec<u8> {
    let rest = [
        varint(1),
        b"n".to_vec(),
        varint(1),
        b"e".to_vec(),
        varint(9),
        vec![0, 0],
    ];
    let message = [varint(1), b"m".to_vec()].concat();
    let ids = [vec![0; 20], vec![new; 20]].concat();
    [
        key(0, &log_key(name, index), 1),
        ids,
        rest.concat(),
        message,
    ]
    .concat()
}

/// The records of a block and the list of restarts after them; `first` is where the first record begins.
fn body(first: usize, records: &[Vec<u8>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut restarts = Vec::new();
    for record in records {
        restarts.extend(be(first + bytes.len(), 3));
        bytes.extend(record);
    }
    [bytes, restarts, be(records.len(), 2)].concat()
}

/// Builds a table block by block.
struct Draft {
    bytes: Vec<u8>,
    header_bytes: usize,
    log_position: Option<usize>,
}

impl Draft {
    fn new() -> Self {
        Self::with_block_size(0)
    }

    fn with_block_size(size: usize) -> Self {
        let header = [b"REFT\x01".to_vec(), be(size, 3), be(1, 8), be(9, 8)].concat();
        Self {
            bytes: header,
            header_bytes: HEADER_BYTES,
            log_position: None,
        }
    }

    fn version_2(format: &[u8]) -> Self {
        let mut draft = Self::new();
        draft.bytes[4] = 2;
        draft.bytes.extend(format);
        draft.header_bytes += 4;
        draft
    }

    /// Where the records of the next block begin, seen from where its offsets count.
    fn first(&self) -> usize {
        let is_first = self.bytes.len() == self.header_bytes;
        if is_first { self.header_bytes + 4 } else { 4 }
    }

    fn block(mut self, kind: u8, records: &[Vec<u8>]) -> Self {
        let body = body(self.first(), records);
        let length = self.first() + body.len();
        self.bytes.push(kind);
        self.bytes.extend(be(length, 3));
        self.bytes.extend(body);
        self
    }

    fn logs(self, records: &[Vec<u8>]) -> Self {
        let body = body(self.first(), records);
        let length = self.first() + body.len();
        self.raw_logs(length, &deflate(&body))
    }

    fn raw_logs(mut self, length: usize, deflated: &[u8]) -> Self {
        if self.log_position.is_none() {
            self.log_position = Some(self.bytes.len());
        }
        self.bytes.push(b'g');
        self.bytes.extend(be(length, 3));
        self.bytes.extend(deflated);
        self
    }

    fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend(bytes);
        self
    }

    fn logs_said_at(mut self, position: usize) -> Self {
        self.log_position = Some(position);
        self
    }

    fn finish(self) -> Vec<u8> {
        let mut footer = self.bytes[..self.header_bytes].to_vec();
        for position in [0, 0, 0, self.log_position.unwrap_or(0), 0] {
            footer.extend(be(position, 8));
        }
        footer.extend(crc32fast::hash(&footer).to_be_bytes());
        [self.bytes, footer].concat()
    }
}

/// States header and checksum at the end anew.
pub fn reseal(bytes: &[u8]) -> Option<Vec<u8>> {
    let header_bytes = if *bytes.get(4)? == 2 { 28 } else { 24 };
    let footer = bytes.len().checked_sub(header_bytes + 44)?;
    let mut bytes = bytes.to_vec();
    let header = bytes.get(..header_bytes)?.to_vec();
    bytes[footer..footer + header_bytes].copy_from_slice(&header);
    let end = bytes.len() - 4;
    let checksum = crc32fast::hash(&bytes[footer..end]);
    bytes[end..].copy_from_slice(&checksum.to_be_bytes());
    Some(bytes)
}

/// The git directory that has these tables, in their order.
pub fn files_of(tables: &[&[u8]]) -> BTreeMap<Vec<u8>, Vec<u8>> {
    let mut list = String::new();
    let mut files = BTreeMap::new();
    for (number, table) in tables.iter().enumerate() {
        list += &format!("{number}.ref\n");
        files.insert(
            format!("reftable/{number}.ref").into_bytes(),
            table.to_vec(),
        );
    }
    files.insert(b"reftable/tables.list".to_vec(), list.into_bytes());
    files.insert(b"HEAD".to_vec(), b"ref: refs/heads/.invalid\n".to_vec());
    files
}

fn read(tables: &[&[u8]]) -> Result<Stack, Error> {
    Ok(reftable::read(&files_of(tables))?.expect("tables"))
}

fn names(stack: &Stack) -> Vec<String> {
    let name = |name: &Vec<u8>| String::from_utf8(name.clone()).expect("UTF-8");
    stack.refs.keys().map(name).collect()
}

#[test]
fn what_the_format_allows_and_git_does_not_write_is_read() {
    let refs = || Draft::new().block(b'r', &[head(), id_ref("refs/a", 1)]);
    let index = || [key(0, b"refs/a", 0), varint(24)].concat();
    let logs = [log("refs/a", 2, 3), log("refs/a", 1, 4)];
    let cases = [
        (
            "blocks without padding",
            refs().block(b'r', &[id_ref("refs/b", 1)]),
            3,
            0,
        ),
        (
            "an index",
            refs().block(b'i', &[index()]).block(b'i', &[index()]),
            2,
            0,
        ),
        (
            "ids, their index, logs, their index",
            refs()
                .block(b'o', &[index()])
                .block(b'i', &[index()])
                .logs(&logs)
                .block(b'i', &[index()]),
            2,
            3,
        ),
        (
            "logs in two blocks",
            refs().logs(&logs[..1]).logs(&logs[1..]),
            2,
            3,
        ),
        (
            "version 2 with short ids",
            Draft::version_2(b"sha1").block(b'r', &[head()]),
            1,
            0,
        ),
        (
            "padding",
            {
                let draft = Draft::with_block_size(128).block(b'r', &[head(), id_ref("refs/a", 1)]);
                let padding = vec![0; 128 - draft.bytes.len()];
                draft
                    .raw(&padding)
                    .block(b'r', &[id_ref("refs/b", 2)])
                    .logs(&logs)
            },
            3,
            3,
        ),
        (
            "padding at the end",
            Draft::with_block_size(4096)
                .block(b'r', &[head()])
                .raw(&[0; 5]),
            1,
            0,
        ),
    ];
    for (what, draft, refs, logged) in cases {
        let table = draft.finish();
        let stack = read(&[&table]).unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(
            (stack.refs.len(), stack.logged.len()),
            (refs, logged),
            "{what}"
        );
    }
    let base = refs().finish();
    let only_logs = Draft::new().logs(&logs);
    for said_at in [0, HEADER_BYTES] {
        let draft = Draft {
            log_position: Some(said_at),
            bytes: only_logs.bytes.clone(),
            header_bytes: HEADER_BYTES,
        };
        let stack = read(&[&base, &draft.finish()]).expect("a table of logs");
        assert_eq!((stack.refs.len(), stack.logged.len()), (2, 3));
    }
    let empty = Draft::new().finish();
    assert_eq!(
        names(&read(&[&base, &empty]).expect("an empty table")),
        ["HEAD", "refs/a"]
    );
}

#[test]
fn later_tables_stand_over_earlier_ones_and_take_away_what_they_say() {
    let deleted = |name: &str| [key(0, name.as_bytes(), 0), vec![0]].concat();
    let deleted_log = |name, index| key(0, &log_key(name, index), 0);
    let oldest = Draft::new()
        .block(
            b'r',
            &[
                head(),
                id_ref("refs/a", 1),
                id_ref("refs/b", 2),
                id_ref("refs/stash", 5),
            ],
        )
        .logs(&[
            log("refs/a", 1, 1),
            log("refs/stash", 4, 5),
            log("refs/stash", 3, 6),
            log("refs/stash", 2, 7),
        ]);
    let middle = Draft::new()
        .block(
            b'r',
            &[deleted("refs/a"), id_ref("refs/b", 3), id_ref("refs/c", 4)],
        )
        .logs(&[deleted_log("refs/a", 1), deleted_log("refs/stash", 3)]);
    let newest = Draft::new().block(b'r', &[id_ref("refs/a", 8), deleted("refs/c")]);
    let tables = [oldest.finish(), middle.finish(), newest.finish()];
    let tables: Vec<&[u8]> = tables.iter().map(Vec::as_slice).collect();
    let stack = read(&tables).expect("the stack");
    assert_eq!(names(&stack), ["HEAD", "refs/a", "refs/b", "refs/stash"]);
    let firsts = |ids: &std::collections::BTreeSet<git_vault::host::git::object::ObjectId>| {
        ids.iter().map(|id| id.as_bytes()[0]).collect::<Vec<u8>>()
    };
    let id_of = |name: &str| match &stack.refs[name.as_bytes()] {
        Value::Id(id) => id.as_bytes()[0],
        Value::Symbolic(_) => 0,
    };
    assert_eq!(["refs/a", "refs/b", "HEAD"].map(id_of), [8, 3, 0]);
    assert_eq!(firsts(&stack.stashed), [5, 7], "one entry was dropped");
    assert_eq!(firsts(&stack.logged), [0], "the log of 'refs/a' is gone");
    let files = files_of(&tables);
    let tips = tips::read(&files, &[]).expect("the tips");
    assert_eq!(firsts(&tips.needed), [3, 5, 7, 8]);
    assert_eq!(tips.branch.as_deref(), Some(&b"refs/heads/main"[..]));
}

#[test]
fn every_lie_is_refused() {
    let refs = || Draft::new().block(b'r', &[head(), id_ref("refs/a", 1)]);
    let one = |record: Vec<u8>| Draft::new().block(b'r', &[head(), record]);
    // A block whose end is told by hand: records, restarts, their number.
    let ended = |restarts: &[u8], count: usize| {
        let records = [head(), id_ref("refs/a", 1)].concat();
        let length = 28 + records.len() + restarts.len() + 2;
        Draft::new().raw(&[b"r", &*be(length, 3), &records, restarts, &be(count, 2)].concat())
    };
    let endless = [vec![0], vec![0xff; 12], vec![0]].concat();
    let logs = body(4, &[log("refs/a", 1, 1)]);
    let length = 4 + logs.len();
    let deflated = deflate(&logs);
    let log_record = log("refs/a", 1, 1);
    let cases = [
        ("no list at the end of a block", ended(&[], 0)),
        ("a list as long as it can be", ended(&[], 65535)),
        ("a list into the header", ended(&be(3, 3), 1)),
        (
            "a list into a record",
            ended(&[be(28, 3), be(30, 3)].concat(), 2),
        ),
        (
            "a list back and forth",
            ended(&[be(47, 3), be(28, 3)].concat(), 2),
        ),
        ("a list beyond", ended(&be(0x00ff_ffff, 3), 1)),
        (
            "a block without records",
            Draft::new().raw(&[b"r", &*be(33, 3), &be(28, 3), &be(1, 2)].concat()),
        ),
        (
            "a block of no length",
            Draft::new().raw(&[b"r", &*be(0, 3)].concat()),
        ),
        (
            "a block longer than the file",
            Draft::new().raw(&[b"r", &*be(0x00ff_ffff, 3)].concat()),
        ),
        ("half a block", Draft::new().raw(b"r")),
        (
            "a block of no known type",
            Draft::new().block(b'q', &[head()]),
        ),
        ("something after the blocks", refs().raw(b"\0")),
        ("an index before refs", Draft::new().block(b'i', &[head()])),
        (
            "refs after an index",
            refs()
                .block(b'i', &[head()])
                .block(b'r', &[id_ref("refs/b", 1)]),
        ),
        (
            "refs after logs",
            refs()
                .logs(std::slice::from_ref(&log_record))
                .block(b'r', &[id_ref("refs/b", 1)]),
        ),
        ("a name of no end", one(key(0, b"refs/x", 1)[..2].to_vec())),
        ("a number without end", one(endless.clone())),
        (
            "a number too large",
            one([vec![0xff; 9], vec![0x7f]].concat()),
        ),
        (
            "more of the name before than there is",
            one([key(9, b"x", 0), vec![0]].concat()),
        ),
        (
            "a name cut short by the block",
            one([varint(0), varint(7000 << 3)].concat()),
        ),
        (
            "no name",
            Draft::new().block(b'r', &[id_ref("", 1), head()]),
        ),
        ("names not in order", one(id_ref("A", 1))),
        ("names twice", one(id_ref("HEAD", 1))),
        ("a name too long", one(id_ref(&"x".repeat(70_000), 1))),
        (
            "half an id",
            one([key(0, b"refs/x", 1), vec![0], vec![1; 19]].concat()),
        ),
        (
            "half a peeled id",
            one([key(0, b"refs/x", 2), vec![0], vec![1; 39]].concat()),
        ),
        (
            "a target without end",
            one([key(0, b"refs/x", 3), vec![0], varint(500)].concat()),
        ),
        (
            "a ref of no known type",
            one([key(0, b"refs/x", 4), vec![0], vec![1; 20]].concat()),
        ),
        (
            "a first record that goes on",
            Draft::new().block(b'r', &[key(1, b"x", 0)]),
        ),
        (
            "names not in order over two blocks",
            refs().block(b'r', &[id_ref("refs/A", 1)]),
        ),
        (
            "a log of no ref",
            refs().logs(&[[key(0, b"short", 0)].concat()]),
        ),
        (
            "a log without its zero",
            refs().logs(&[key(0, &[b'x'; 20], 0)]),
        ),
        (
            "a log of no known type",
            refs().logs(&[key(0, &log_key("refs/a", 1), 2)]),
        ),
        ("half a log", refs().logs(&[log_record[..30].to_vec()])),
        (
            "logs not in order",
            refs().logs(&[log("refs/b", 1, 1), log_record.clone()]),
        ),
        ("less than it says", refs().raw_logs(length + 1, &deflated)),
        ("more than it says", refs().raw_logs(length - 1, &deflated)),
        (
            "the most that can be said",
            refs().raw_logs(0x00ff_ffff, &deflated),
        ),
        ("nothing deflated", refs().raw_logs(length, &[])),
        (
            "deflated, cut off",
            refs().raw_logs(length, &deflated[..deflated.len() - 5]),
        ),
        ("not deflated", refs().raw_logs(length, &logs)),
        (
            "logs elsewhere",
            refs()
                .logs(std::slice::from_ref(&log_record))
                .logs_said_at(25),
        ),
        (
            "logs not said",
            refs()
                .logs(std::slice::from_ref(&log_record))
                .logs_said_at(0),
        ),
        ("logs said and not there", refs().logs_said_at(24)),
        (
            "long ids by the header",
            Draft::version_2(b"s256").block(b'r', &[head(), id_ref("refs/a", 1)]),
        ),
        (
            "ids of no known format",
            Draft::version_2(b"md5!").block(b'r', &[head()]),
        ),
        ("version 3", {
            let mut draft = refs();
            draft.bytes[4] = 3;
            draft
        }),
        ("no HEAD", Draft::new().block(b'r', &[id_ref("refs/a", 1)])),
        ("nothing at all", Draft::new()),
    ];
    for (what, draft) in cases {
        let table = draft.finish();
        match read(&[&table]) {
            Err(Error::Damaged { .. }) => {}
            other => panic!("{what}: {other:?}"),
        }
    }
    let (short, long) = (refs().finish(), Draft::version_2(b"s256").finish());
    assert!(read(&[&short, &long]).is_err(), "two formats in one stack");
    assert!(matches!(
        reftable::read(&{
            let mut files = files_of(&[&short, &short]);
            files.remove(&b"reftable/1.ref"[..]);
            files
        }),
        Err(Error::Missing(_))
    ));
}

/// No change of one bit makes a table look empty, and each is refused but where it is in a name, an id or what is not read.
#[test]
fn a_flipped_bit_never_hides_a_ref() {
    let table = Draft::new()
        .block(b'r', &[head(), id_ref("refs/a", 1), id_ref("refs/b", 2)])
        .logs(&[log("refs/a", 1, 1), log("refs/stash", 1, 2)])
        .finish();
    let whole = read(&[&table]).expect("the stack");
    let mut refused = 0;
    for place in 0..table.len() * 8 {
        let mut bytes = table.clone();
        bytes[place / 8] ^= 1 << (place % 8);
        for bytes in [bytes.clone(), reseal(&bytes).unwrap_or(bytes)] {
            match read(&[&bytes]) {
                Err(_) => refused += 1,
                Ok(stack) => assert_eq!(stack.refs.len(), whole.refs.len(), "bit {place}"),
            }
        }
    }
    assert!(
        refused * 3 > table.len() * 8 * 2,
        "{refused} of {}",
        table.len() * 16
    );
}

/// Small files that promise much: each name is long, though a record of it takes five bytes; each block inflates to 16 MiB.
fn greedy() -> [(&'static str, Vec<u8>); 2] {
    let long = [
        key(0, &[b"refs/", &*vec![b'x'; 60_000]].concat(), 0),
        vec![0],
    ]
    .concat();
    let mut records = long;
    for number in 0_u32..20_000 {
        let suffix = [b"y", &number.to_be_bytes()[..]].concat();
        let prefix = if number == 0 { 60_005 } else { 60_006 };
        let suffix = if number == 0 {
            &suffix[..]
        } else {
            &suffix[1..]
        };
        records.extend([key(prefix, suffix, 0), vec![0]].concat());
    }
    let names = Draft::new().block(b'r', &[head(), records]);
    let message = [varint(16_000_000), vec![b'm'; 16_000_000]].concat();
    let log = |number| {
        let record = log("refs/a", number, 1);
        [&record[..record.len() - 2], &message].concat()
    };
    let mut logs = Draft::new().block(b'r', &[head()]);
    for number in (0..40).rev() {
        logs = logs.logs(&[log(number)]);
    }
    [("names", names.finish()), ("blocks", logs.finish())]
}

#[test]
fn a_small_table_that_makes_very_much_is_refused_in_bounded_memory() {
    for (what, table) in greedy() {
        assert!(table.len() < 1 << 20, "{what}: {} bytes", table.len());
        let sandbox = Sandbox::new();
        let source = (find("reftable_detached").build)(&sandbox);
        let list = source.join(".git/reftable/tables.list");
        if !list.exists() {
            return;
        }
        let _id = sandbox.snapshot(&source);
        let _vault = only_vault(&sandbox);
        fs::write(source.join(".git/reftable/greedy.ref"), &table).expect("a table");
        let before = fs::read_to_string(&list).expect("the list");
        fs::write(&list, before + "greedy.ref\n").expect("the list");
        let mut command = sandbox.command("prlimit", &source);
        command.args(["--as=1073741824", "--cpu=20"]);
        command.args([env!("CARGO_BIN_EXE_git-vault"), "snapshot"]);
        let said: Said = bounded(command, what);
        assert_eq!(
            refusal(&said).map(|code| code.code()),
            Ok("GV-2006"),
            "{what}"
        );
        assert!(
            said.to_string().contains("more than this version reads"),
            "{said}"
        );
    }
}
