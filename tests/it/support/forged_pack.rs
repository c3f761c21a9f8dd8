//! Packs and indices of any bytes, and snapshots that stand on them.

use std::path::Path;

use git_vault::host::git::object::{ObjectFormat, ObjectId, ObjectKind, hash_object, tree_entries};
use git_vault::host::git::pack_writer::deflate;
use git_vault::host::git::tree::{NewCommit, NewEntry, commit_content, tree_content};
use git_vault::model::escape::{text_name, tree_name};
use git_vault::model::ids::Digest;
use git_vault::model::inventory::{PackRecord, PackRole};
use git_vault::model::manifest::{Manifest, TreeCounts};

use super::Sandbox;
use super::forge::{Forge, write_file};

pub const FORMAT: ObjectFormat = ObjectFormat::Sha1;
pub const TIME: &str = "1700000000000000000";

/// An entry of a pack that is being made.
#[derive(Clone)]
pub struct Packed {
    pub id: ObjectId,
    /// Header and deflated content.
    pub bytes: Vec<u8>,
    /// What the index says instead of the right CRC-32.
    pub crc32: Option<u32>,
}

/// A pack that is being made.
#[derive(Clone)]
pub struct ForgedPack {
    pub version: u32,
    /// What the header says instead of the right count.
    pub count: Option<u32>,
    pub entries: Vec<Packed>,
    /// Bytes between the last entry and the checksum.
    pub trailing: Vec<u8>,
    pub role: PackRole,
    /// What is done to the pack before its checksum is made, and to the index before its own is.
    pub change_index: fn(&mut Vec<u8>),
    /// What is done to both files once they are complete.
    pub after: fn(&mut Vec<u8>, &mut Vec<u8>),
}

impl Default for ForgedPack {
    fn default() -> Self {
        Self {
            version: 2,
            count: None,
            entries: Vec::new(),
            trailing: Vec::new(),
            role: PackRole::Capture,
            change_index: |_| {},
            after: |_, _| {},
        }
    }
}

/// Type number and size as a pack writes them.
pub fn entry_header(kind: u8, mut size: u64) -> Vec<u8> {
    let mut bytes = vec![kind << 4 | (size & 15) as u8];
    size >>= 4;
    while size > 0 {
        *bytes.last_mut().expect("a byte") |= 0x80;
        bytes.push((size & 127) as u8);
        size >>= 7;
    }
    bytes
}

/// How far back the base of a delta stands, as a pack writes it.
pub fn distance(mut distance: u64) -> Vec<u8> {
    let mut bytes = vec![(distance & 127) as u8];
    while distance > 127 {
        distance = (distance >> 7) - 1;
        bytes.insert(0, 0x80 | (distance & 127) as u8);
    }
    bytes
}

/// A size as a delta writes it.
pub fn delta_size(mut size: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    loop {
        let low = (size & 127) as u8;
        size >>= 7;
        bytes.push(if size > 0 { low | 0x80 } else { low });
        if size == 0 {
            return bytes;
        }
    }
}

/// A delta of instructions on a base of that size.
pub fn delta(base: u64, result: u64, instructions: &[u8]) -> Vec<u8> {
    [delta_size(base), delta_size(result), instructions.to_vec()].concat()
}

/// An entry that stands `back` bytes after its base.
pub fn offset_delta(back: u64, delta: &[u8]) -> Vec<u8> {
    [
        entry_header(6, delta.len() as u64),
        distance(back),
        deflate(delta),
    ]
    .concat()
}

pub fn id_delta(base: ObjectId, delta: &[u8]) -> Vec<u8> {
    [
        entry_header(7, delta.len() as u64),
        base.as_bytes().to_vec(),
        deflate(delta),
    ]
    .concat()
}

fn kind_number(kind: ObjectKind) -> u8 {
    match kind {
        ObjectKind::Commit => 1,
        ObjectKind::Tree => 2,
        ObjectKind::Blob => 3,
        ObjectKind::Tag => 4,
    }
}

pub fn sha1(bytes: &[u8]) -> Vec<u8> {
    let mut hasher = gix::hash::hasher(gix::hash::Kind::Sha1);
    hasher.update(bytes);
    hasher.try_finalize().expect("a hash").as_slice().to_vec()
}

/// The object id of a content.
pub fn id_of(kind: ObjectKind, content: &[u8]) -> ObjectId {
    hash_object(FORMAT, kind, content).expect("an id")
}

impl ForgedPack {
    /// Adds an object and gives its id.
    pub fn add(&mut self, kind: ObjectKind, content: &[u8]) -> ObjectId {
        let id = id_of(kind, content);
        if !self.entries.iter().any(|entry| entry.id == id) {
            self.add_as(id, kind, content);
        }
        id
    }

    /// Adds an object under an id that need not be its own.
    pub fn add_as(&mut self, id: ObjectId, kind: ObjectKind, content: &[u8]) {
        let header = entry_header(kind_number(kind), content.len() as u64);
        self.add_raw(id, [header, deflate(content)].concat());
    }

    pub fn add_raw(&mut self, id: ObjectId, bytes: Vec<u8>) {
        let crc32 = None;
        self.entries.push(Packed { id, bytes, crc32 });
    }

    pub fn blob(&mut self, content: &[u8]) -> ObjectId {
        self.add(ObjectKind::Blob, content)
    }

    pub fn tree(&mut self, entries: &[NewEntry]) -> ObjectId {
        self.add(ObjectKind::Tree, &tree_content(entries.to_vec()))
    }

    /// Where the next entry will stand.
    pub fn end(&self) -> u64 {
        12 + self
            .entries
            .iter()
            .map(|entry| entry.bytes.len() as u64)
            .sum::<u64>()
    }

    /// The bytes of pack and index.
    fn bytes(&self) -> (Vec<u8>, Vec<u8>) {
        let count = self.count.unwrap_or(self.entries.len() as u32);
        let mut pack = [
            &b"PACK"[..],
            &self.version.to_be_bytes(),
            &count.to_be_bytes(),
        ]
        .concat();
        let mut rows = Vec::new();
        for entry in &self.entries {
            let crc32 = entry.crc32.unwrap_or_else(|| crc32fast::hash(&entry.bytes));
            rows.push((entry.id, pack.len() as u32, crc32));
            pack.extend_from_slice(&entry.bytes);
        }
        pack.extend_from_slice(&self.trailing);
        let checksum = sha1(&pack);
        pack.extend_from_slice(&checksum);
        rows.sort();
        let mut index = b"\xfftOc\0\0\0\x02".to_vec();
        for byte in 0..=255_u8 {
            let up_to = rows
                .iter()
                .filter(|row| row.0.as_bytes()[0] <= byte)
                .count();
            index.extend_from_slice(&(up_to as u32).to_be_bytes());
        }
        rows.iter()
            .for_each(|row| index.extend_from_slice(row.0.as_bytes()));
        rows.iter()
            .for_each(|row| index.extend_from_slice(&row.2.to_be_bytes()));
        rows.iter()
            .for_each(|row| index.extend_from_slice(&row.1.to_be_bytes()));
        (self.change_index)(&mut index);
        index.extend_from_slice(&checksum);
        let own = sha1(&index);
        index.extend_from_slice(&own);
        (self.after)(&mut pack, &mut index);
        (pack, index)
    }

    /// Puts the pack into a vault; gives what the log has to say of it.
    pub fn write(&self, vault: &Path) -> PackRecord {
        let (pack, index) = self.bytes();
        let checksum: String = pack[pack.len() - 20..]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        let name = format!("pack-{checksum}");
        let path = vault.join("objects/pack").join(&name);
        write_file(&path.with_extension("pack"), &pack);
        write_file(&path.with_extension("idx"), &index);
        write_file(&path.with_extension("keep"), b"");
        PackRecord {
            name,
            role: self.role,
            of: None,
            promisor: false,
            objects: self.entries.len() as u64,
            bytes: pack.len() as u64,
            blake3: Digest::of(&pack),
            index_bytes: index.len() as u64,
            index_blake3: Digest::of(&index),
        }
    }
}

/// The topmost directory of a place, taken apart.
#[derive(Clone)]
pub struct Node {
    pub own: String,
    /// Lines of the listing with the names they are sorted by.
    pub lines: Vec<(Vec<u8>, String)>,
    pub tree: Vec<NewEntry>,
    pub dirs: Vec<NewEntry>,
    pub counts: TreeCounts,
    /// What is written instead of the sorted lines.
    pub text: Option<String>,
    /// What is written instead of the sorted tree.
    pub raw_tree: Option<Vec<u8>>,
}

impl Node {
    /// A directory without entries.
    pub fn empty() -> Self {
        Self {
            own: format!("self\t40755\t{TIME}\t-"),
            lines: Vec::new(),
            tree: Vec::new(),
            dirs: Vec::new(),
            counts: TreeCounts {
                directories: 1,
                ..TreeCounts::default()
            },
            text: None,
            raw_tree: None,
        }
    }

    pub fn line(&mut self, name: &[u8], line: String) {
        self.lines.push((name.to_vec(), line));
    }

    pub fn entry(&mut self, mode: u32, name: &[u8], id: ObjectId) {
        let name = name.to_vec();
        self.tree.push(NewEntry { mode, name, id });
    }

    /// A file as it ought to be.
    pub fn file(&mut self, pack: &mut ForgedPack, name: &[u8], content: &[u8]) {
        self.file_with(pack, name, content, "100644", TIME, "-");
    }

    /// A file with these attributes.
    pub fn file_with(
        &mut self,
        pack: &mut ForgedPack,
        name: &[u8],
        content: &[u8],
        mode: &str,
        time: &str,
        xattrs: &str,
    ) {
        let line = file_line(name, content, mode, time, xattrs);
        self.count_file(content.len());
        self.line(name, line);
        let id = pack.blob(content);
        self.entry(0o100_644, &tree_name(name), id);
    }

    pub fn count_file(&mut self, bytes: usize) {
        self.counts.files += 1;
        self.counts.bytes += bytes as u64;
    }

    /// A symbolic link as it ought to be.
    pub fn link(&mut self, pack: &mut ForgedPack, name: &[u8], target: &[u8]) {
        self.counts.links += 1;
        let digest = Digest::of(target);
        self.line(
            name,
            format!("link\t120777\t{TIME}\t-\t{digest}\t{}", text_name(name)),
        );
        let id = pack.blob(target);
        self.entry(0o120_000, &tree_name(name), id);
    }

    /// A subdirectory as it ought to be.
    pub fn directory(&mut self, pack: &mut ForgedPack, name: &[u8], node: &Node) {
        let (tree, attributes, digest) = node.store(pack);
        self.line(name, format!("directory\t{digest}\t{}", text_name(name)));
        if !node.tree.is_empty() {
            self.entry(0o40_000, &tree_name(name), tree);
        }
        self.dirs.push(NewEntry {
            mode: 0o40_000,
            name: tree_name(name),
            id: attributes,
        });
        self.counts.files += node.counts.files;
        self.counts.bytes += node.counts.bytes;
        self.counts.links += node.counts.links;
        self.counts.special += node.counts.special;
        self.counts.directories += node.counts.directories;
    }

    /// The listing as text.
    pub fn listing(&self) -> String {
        let mut lines = self.lines.clone();
        lines.sort();
        let lines: String = lines.iter().map(|(_, line)| format!("{line}\n")).collect();
        format!("# git-vault listing 1\n{}\n{lines}", self.own)
    }

    /// Stores listing and trees: the tree of contents, that of attributes, and the digest of the listing.
    pub fn store(&self, pack: &mut ForgedPack) -> (ObjectId, ObjectId, Digest) {
        let text = self.text.clone().unwrap_or_else(|| self.listing());
        let entries = pack.blob(text.as_bytes());
        let mut attributes = vec![NewEntry {
            mode: 0o100_644,
            name: b"entries".to_vec(),
            id: entries,
        }];
        if !self.dirs.is_empty() {
            let id = pack.tree(&self.dirs);
            attributes.push(NewEntry {
                mode: 0o40_000,
                name: b"dirs".to_vec(),
                id,
            });
        }
        let content = self
            .raw_tree
            .clone()
            .unwrap_or_else(|| tree_content(self.tree.clone()));
        let tree = pack.add(ObjectKind::Tree, &content);
        (tree, pack.tree(&attributes), Digest::of(text.as_bytes()))
    }
}

pub fn file_line(name: &[u8], content: &[u8], mode: &str, time: &str, xattrs: &str) -> String {
    let digest = Digest::of(content);
    format!(
        "file\t{mode}\t{time}\t{xattrs}\t{}\t{digest}\t{}",
        content.len(),
        text_name(name)
    )
}

/// The newest snapshot taken apart, to be changed and sealed as another one.
pub struct Workbench {
    pub pack: ForgedPack,
    pub worktree: Node,
    pub gitdir: Node,
    pub manifest: Manifest,
    /// Further entries of the root tree.
    pub root: Vec<NewEntry>,
}

impl Workbench {
    pub fn new(sandbox: &Sandbox, forge: &mut Forge) -> Self {
        let manifest = Manifest::from_body(&forge.manifest().body).expect("a manifest");
        let take = |place: &str, counts: &TreeCounts| {
            take_apart(
                sandbox,
                &forge.vault,
                &manifest.content.commit,
                place,
                counts,
            )
        };
        let counts = manifest.content.worktree.as_ref().expect("a worktree");
        Self {
            pack: ForgedPack::default(),
            worktree: take("worktree", counts),
            gitdir: take("gitdir", &manifest.content.gitdir),
            root: Vec::new(),
            manifest,
        }
    }

    /// Seals what is on the bench as the newest snapshot of the vault.
    pub fn seal(mut self, forge: &mut Forge) {
        let tree = |name: &str, id| NewEntry {
            mode: 0o40_000,
            name: name.into(),
            id,
        };
        let (worktree, worktree_attributes, worktree_root) = self.worktree.store(&mut self.pack);
        let (gitdir, gitdir_attributes, gitdir_root) = self.gitdir.store(&mut self.pack);
        let attributes = self.pack.tree(&[
            tree("gitdir", gitdir_attributes),
            tree("worktree", worktree_attributes),
        ]);
        let mut root = vec![
            tree("attributes", attributes),
            tree("gitdir", gitdir),
            tree("worktree", worktree),
        ];
        root.extend(self.root);
        let root = self.pack.tree(&root);
        let commit = commit_content(&NewCommit {
            tree: root,
            parents: &[],
            seconds: 1_700_000_000,
            message: "forged",
        });
        let content = &mut self.manifest.content;
        content.commit = self.pack.add(ObjectKind::Commit, &commit).to_string();
        content.tree = root.to_string();
        content.gitdir = TreeCounts {
            root: Some(gitdir_root),
            ..self.gitdir.counts
        };
        content.worktree = Some(TreeCounts {
            root: Some(worktree_root),
            ..self.worktree.counts
        });
        self.manifest.history.objects_added = 0;
        let record = self.pack.write(&forge.vault);
        forge.add_snapshot(self.manifest, vec![record]);
    }
}

fn take_apart(
    sandbox: &Sandbox,
    vault: &Path,
    commit: &str,
    place: &str,
    counts: &TreeCounts,
) -> Node {
    let object = |kind: &str, path: String| {
        sandbox.git(vault, &["cat-file", kind, &format!("{commit}:{path}")])
    };
    let entries = |path: String| -> Vec<NewEntry> {
        let content = object("tree", path);
        let entries = tree_entries(FORMAT, &content).map(|entry| entry.expect("an entry"));
        entries
            .map(|entry| NewEntry {
                mode: entry.mode,
                name: entry.name.to_vec(),
                id: entry.id,
            })
            .collect()
    };
    let text =
        String::from_utf8(object("blob", format!("attributes/{place}/entries"))).expect("UTF-8");
    let mut lines = text.lines().skip(1);
    let own = lines.next().expect("a line").to_owned();
    let name = |line: &str| {
        line.rsplit('\t')
            .next()
            .unwrap_or_default()
            .as_bytes()
            .to_vec()
    };
    Node {
        own,
        lines: lines.map(|line| (name(line), line.to_owned())).collect(),
        tree: entries(place.to_owned()),
        dirs: entries(format!("attributes/{place}/dirs")),
        counts: counts.clone(),
        text: None,
        raw_tree: None,
    }
}
