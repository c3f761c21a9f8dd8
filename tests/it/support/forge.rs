//! Vaults as somebody makes them who holds the key: records changed and signed again, the log chained again, snapshots of any trees, packs of any bytes.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::rc::Rc;

use git_vault::host::keys;
use git_vault::model::ids::{Digest, RepositoryId, SnapshotId, VaultId};
use git_vault::model::inventory::{Inventory, PackRecord};
use git_vault::model::log_entry::{Header, LogEntry, LogEvent, file_name};
use git_vault::model::manifest::Manifest;
use git_vault::model::signed::{Binding, Purpose, SigningKey};
use git_vault::model::timestamp::Timestamp;
use git_vault::vault::inspect::TOOL;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::laboratory::Laboratory;

/// Whether a record is brought into agreement with the others before it is signed.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Links {
    Follow,
    AsWritten,
}

/// A record that is still to be signed.
#[derive(Clone)]
pub struct Draft {
    pub first_line: String,
    pub body: String,
    pub signer: Rc<SigningKey>,
    pub binding: Binding,
    pub links: Links,
    /// The key that a rotation brings, and that countersigns.
    pub brings: Option<Rc<SigningKey>>,
    /// What is done to the file after it was signed.
    pub after: fn(Vec<u8>) -> Vec<u8>,
    /// The bytes of a record from elsewhere, which stay as they are.
    pub foreign: Option<Vec<u8>>,
}

impl Draft {
    /// Replaces a piece of the body, which must be there.
    #[track_caller]
    pub fn replace(&mut self, from: &str, to: &str) {
        assert!(self.body.contains(from), "'{from}' is in\n{}", self.body);
        self.body = self.body.replacen(from, to, 1);
    }

    /// Gives a field another value, as TOML.
    #[track_caller]
    pub fn set(&mut self, field: &str, value: &str) {
        let line = line_of(&self.body, field).to_owned();
        self.replace(&line, &format!("{field} = {value}\n"));
    }

    /// The same, where the field is one that is there.
    fn fill(&mut self, field: &str, value: &str) {
        if self.body.contains(&format!("\n{field} = "))
            || self.body.starts_with(&format!("{field} = "))
        {
            self.set(field, value);
        }
    }

    fn bytes(&self, purpose: Purpose) -> Vec<u8> {
        if let Some(foreign) = &self.foreign {
            return foreign.clone();
        }
        let text = format!("{}{}", self.first_line, self.body);
        (self.after)(sign(&text, purpose, self.binding, &self.signer))
    }
}

/// The line of a field, its line feed included.
#[track_caller]
pub fn line_of<'a>(body: &'a str, field: &str) -> &'a str {
    let start = format!("{field} = ");
    body.split_inclusive('\n')
        .find(|line| line.starts_with(&start))
        .unwrap_or_else(|| panic!("a field '{field}' is in\n{body}"))
}

fn number_in(body: &str, field: &str) -> Option<usize> {
    let start = format!("{field} = ");
    let line = body.lines().find(|line| line.starts_with(&start))?;
    line[start.len()..].parse().ok()
}

/// A text string of a body.
#[track_caller]
pub fn value(body: &str, field: &str) -> String {
    let line = line_of(body, field);
    line.split('"').nth(1).expect("a string").to_owned()
}

/// Signs any text, whatever its first line says.
pub fn sign(text: &str, purpose: Purpose, binding: Binding, key: &SigningKey) -> Vec<u8> {
    let name = match purpose {
        Purpose::Vault => "vault",
        Purpose::Manifest => "manifest",
        Purpose::Log => "log",
        _ => panic!("no record of a vault"),
    };
    let mut mac = Hmac::<Sha256>::new_from_slice(key.derived(purpose).as_slice()).expect("a MAC");
    mac.update(format!("git-vault/v1/{name}\0").as_bytes());
    mac.update(binding.vault.as_bytes());
    mac.update(binding.repository.as_bytes());
    mac.update(&(text.len() as u64).to_le_bytes());
    mac.update(text.as_bytes());
    let mac: String = mac
        .finalize()
        .into_bytes()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let digest = Digest::of(text.as_bytes());
    format!(
        "{text}# blake3 {digest}\n# hmac-sha256 {} {mac}\n",
        key.id()
    )
    .into_bytes()
}

/// A vault taken apart, to be put together otherwise.
pub struct Forge {
    pub vault: PathBuf,
    pub key_home: PathBuf,
    pub key: Rc<SigningKey>,
    pub binding: Binding,
    pub description: Draft,
    pub entries: Vec<Draft>,
    pub manifests: BTreeMap<String, Draft>,
    /// The snapshot that is asked for: the newest one, unless a case says otherwise.
    pub target: String,
    /// What of the sandbox may be used by a case.
    pub other: Option<Rc<Other>>,
}

/// Another vault, of another repository, with records of its own.
pub struct Other {
    pub vault: PathBuf,
    pub snapshot: String,
}

impl Forge {
    pub fn new(laboratory: &Laboratory) -> Self {
        let key_home = laboratory.sandbox.path("config/git-vault/keys");
        let vault = laboratory.vault.clone();
        let text = read(&vault.join("vault.toml"));
        let id: VaultId = value(&text, "vault").parse().expect("a vault id");
        let repository: RepositoryId = value(&text, "repository").parse().expect("an id");
        let binding = Binding {
            vault: id,
            repository,
        };
        let file = only_file(&keys::directory(&key_home, id));
        let key = Rc::new(keys::parse(&fs::read(file).expect("the key file")).expect("the key"));
        let draft = |text: &str| draft(text, binding, &key);
        let mut entries = Vec::new();
        let mut manifests = BTreeMap::new();
        let mut target = String::new();
        for number in 1.. {
            let path = vault.join("log").join(file_name(number));
            let Ok(text) = fs::read_to_string(path) else {
                break;
            };
            let entry = draft(&text);
            if let Some(id) = snapshot_of(&entry.body) {
                let manifest = read(&vault.join("snapshots").join(&id).join("manifest.toml"));
                let _none = manifests.insert(id.clone(), draft(&manifest));
                target = id;
            }
            entries.push(entry);
        }
        Self {
            description: draft(&text),
            vault,
            key_home,
            key,
            binding,
            entries,
            manifests,
            target,
            other: None,
        }
    }

    pub fn last(&mut self) -> &mut Draft {
        self.entries.last_mut().expect("an entry")
    }

    /// The manifest of the newest snapshot.
    pub fn manifest(&mut self) -> &mut Draft {
        self.manifests.get_mut(&self.target).expect("a manifest")
    }

    /// Changes the newest manifest as the type allows it.
    pub fn state(&mut self, change: impl FnOnce(&mut Manifest)) {
        let draft = self.manifest();
        let mut manifest = Manifest::from_body(&draft.body).expect("a manifest");
        change(&mut manifest);
        draft.body = manifest.to_body().expect("a body");
    }

    /// An entry after the last one.
    pub fn append(&mut self, event: &LogEvent) -> &mut Draft {
        let header = Header {
            number: self.entries.len() as u64 + 1,
            previous: Digest::from_bytes([0; 32]),
            vault: self.binding.vault,
            repository: self.binding.repository,
            time: Timestamp::from_seconds(1_767_323_045),
            tool: TOOL.to_owned(),
        };
        let body = toml::to_string(&LogEntry::new(header, event)).expect("a body");
        let mut entry = self.last().clone();
        entry.body = body;
        entry.brings = None;
        self.entries.push(entry);
        self.last()
    }

    /// What an entry says.
    pub fn event(&self, place: usize) -> LogEvent {
        let entry: LogEntry = toml::from_str(&self.entries[place].body).expect("an entry");
        entry.event().expect("an event")
    }

    /// The packs that the log names.
    pub fn inventory(&self) -> Inventory {
        let mut inventory = Inventory::default();
        for place in 0..self.entries.len() {
            if let LogEvent::Snapshot(_, packs) = self.event(place) {
                for pack in packs {
                    inventory.add(pack).expect("a new pack");
                }
            }
        }
        inventory
    }

    /// A key that is on this machine and that the log does not know.
    pub fn new_key(&self, secret: u8) -> Rc<SigningKey> {
        let key = SigningKey::new([secret; 32], self.binding.vault);
        let at = Timestamp::from_seconds(1_767_323_045);
        keys::store(&self.key_home, &key, at).expect("the key is stored");
        Rc::new(key)
    }

    /// Adds an entry by which `key` takes over.
    pub fn rotate(&mut self, key: &Rc<SigningKey>) -> &mut Draft {
        let rotation = git_vault::model::log_entry::Rotation {
            key: key.id(),
            countersignature: Digest::from_bytes([0; 32]),
        };
        let key = Rc::clone(key);
        let entry = self.append(&LogEvent::Rotate(rotation));
        entry.brings = Some(key);
        entry
    }

    /// Adds a snapshot with these packs to the log; what the manifest says of log and packs is brought into agreement.
    pub fn add_snapshot(&mut self, mut manifest: Manifest, packs: Vec<PackRecord>) {
        let inventory = self.inventory();
        manifest.snapshot = SnapshotId::from_random([7, 1, 2, 3, 4, self.entries.len() as u8]);
        manifest.stands_on.entry = self.entries.len() as u64;
        manifest.stands_on.packs = inventory.count();
        manifest.stands_on.inventory = inventory.digest();
        manifest.packs = packs.clone();
        let mut draft = self.manifest().clone();
        draft.body = manifest.to_body().expect("a body");
        self.target = manifest.snapshot.to_string();
        let _none = self.manifests.insert(self.target.clone(), draft);
        let record = git_vault::model::log_entry::SnapshotRecord {
            id: manifest.snapshot.clone(),
            manifest_bytes: 0,
            manifest_blake3: Digest::from_bytes([0; 32]),
        };
        let _entry = self.append(&LogEvent::Snapshot(record, packs));
    }

    /// Signs all records and puts them in place of those that were there.
    pub fn seal(&mut self) {
        // Caches were made for the vault as it was, and would give it away.
        fs::remove_dir_all(self.vault.join("cache")).expect("the cache is removed");
        make_directory(&self.vault.join("cache"));
        write_file(
            &self.vault.join("vault.toml"),
            &self.description.bytes(Purpose::Vault),
        );
        let log = self.vault.join("log");
        fs::remove_dir_all(&log).expect("the log is removed");
        make_directory(&log);
        let mut hashes = vec![Digest::from_bytes([0; 32])];
        for place in 0..self.entries.len() {
            self.link(place, &hashes);
            let bytes = self.entries[place].bytes(Purpose::Log);
            write_file(&log.join(file_name(place as u64 + 1)), &bytes);
            hashes.push(Digest::of(&bytes));
        }
    }

    /// Brings entry and manifest into agreement with what is before them, unless they are to stay as they are.
    fn link(&mut self, place: usize, hashes: &[Digest]) {
        let previous = hashes[place];
        let snapshot = snapshot_of(&self.entries[place].body);
        let manifest = snapshot.and_then(|id| Some((self.manifests.get_mut(&id)?, id)));
        let pinned = manifest.map(|(manifest, id)| {
            if manifest.links == Links::Follow {
                let base = number_in(&manifest.body, "entry").unwrap_or_default();
                let hash = hashes.get(base).copied().unwrap_or(previous);
                manifest.fill("entry_blake3", &format!("\"{hash}\""));
            }
            let bytes = manifest.bytes(Purpose::Manifest);
            let directory = self.vault.join("snapshots").join(id);
            make_directory(&directory);
            write_file(&directory.join("manifest.toml"), &bytes);
            (bytes.len(), Digest::of(&bytes))
        });
        let entry = &mut self.entries[place];
        if entry.links == Links::AsWritten {
            return;
        }
        entry.fill("previous", &format!("\"{previous}\""));
        if let Some((size, digest)) = pinned {
            entry.fill("manifest_bytes", &size.to_string());
            entry.fill("manifest_blake3", &format!("\"{digest}\""));
        }
        if let Some(new) = &entry.brings {
            let number = place as u64 + 1;
            let word = new.countersign(entry.binding, number, previous, entry.signer.id());
            entry.fill("countersignature", &format!("\"{}\"", word.expect("a MAC")));
        }
    }
}

fn draft(text: &str, binding: Binding, key: &Rc<SigningKey>) -> Draft {
    let (first_line, rest) = text.split_once('\n').expect("a first line");
    let end = rest.rfind("# blake3 ").expect("a digest");
    Draft {
        first_line: format!("{first_line}\n"),
        body: rest[..end].to_owned(),
        signer: Rc::clone(key),
        binding,
        links: Links::Follow,
        brings: None,
        after: |bytes| bytes,
        foreign: None,
    }
}

fn snapshot_of(body: &str) -> Option<String> {
    body.contains("\n[snapshot]\n").then(|| value(body, "id"))
}

#[track_caller]
fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("'{}': {error}", path.display()))
}

fn only_file(directory: &Path) -> PathBuf {
    let mut entries = fs::read_dir(directory).expect("the directory is read");
    entries.next().expect("a file").expect("an entry").path()
}

fn make_directory(path: &Path) {
    fs::create_dir_all(path).expect("a directory");
    fs::set_permissions(path, fs::Permissions::from_mode(0o700)).expect("its mode");
}

pub fn write_file(path: &Path, bytes: &[u8]) {
    fs::write(path, bytes).expect("a file");
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).expect("its mode");
}
