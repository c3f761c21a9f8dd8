//! A file system that keeps what POSIX promises and nothing else: data after fsync of its file, names after fsync of their
//! directory.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::system_calls::{Call, What};

/// A file or directory, and what of it a power cut could take away.
#[derive(Debug, Clone, Default)]
struct Node {
    names: BTreeMap<PathBuf, usize>,
    /// Names that were added, removed or replaced, with the time of it.
    unsure_names: BTreeMap<PathBuf, usize>,
    /// When it was last written, if not made durable since.
    unsure_data: Option<usize>,
}

/// The file system as POSIX promises it.
pub struct Model {
    nodes: Vec<Node>,
}

impl Model {
    /// A file system in which these paths are, all durable.
    pub fn of(paths: &[PathBuf]) -> Self {
        let mut model = Self {
            nodes: vec![Node::default()],
        };
        for path in paths {
            model.find(path);
        }
        model
    }

    /// The node at a path; what the model has not seen was there before.
    fn find(&mut self, path: &Path) -> usize {
        path.components().skip(1).fold(0, |parent, name| {
            let name = PathBuf::from(name.as_os_str());
            if let Some(found) = self.nodes[parent].names.get(&name) {
                return *found;
            }
            self.nodes.push(Node::default());
            let new = self.nodes.len() - 1;
            self.nodes[parent].names.insert(name, new);
            new
        })
    }

    fn look(&self, path: &Path) -> Option<usize> {
        path.components().skip(1).try_fold(0, |parent, name| {
            self.nodes[parent]
                .names
                .get(Path::new(name.as_os_str()))
                .copied()
        })
    }

    fn set_name(&mut self, path: &Path, node: Option<usize>, time: usize) {
        let parent = self.find(path.parent().expect("a directory"));
        let name = PathBuf::from(path.file_name().expect("a name"));
        match node {
            Some(node) => self.nodes[parent].names.insert(name.clone(), node),
            None => self.nodes[parent].names.remove(&name),
        };
        self.nodes[parent].unsure_names.insert(name, time);
    }

    fn create(&mut self, path: &Path, time: usize) -> usize {
        self.nodes.push(Node::default());
        let new = self.nodes.len() - 1;
        self.set_name(path, Some(new), time);
        new
    }

    fn sync(&mut self, node: usize, begin: usize) {
        let node = &mut self.nodes[node];
        node.unsure_data = node.unsure_data.filter(|written| *written >= begin);
        node.unsure_names.retain(|_, changed| *changed >= begin);
    }

    pub fn apply(&mut self, call: &Call) {
        let time = call.end;
        match &call.what {
            What::Create(path) | What::Truncate(path) if self.look(path).is_none() => {
                self.create(path, time);
            }
            What::Create(_) | What::Say(_) => {}
            What::Truncate(path) | What::Write(path) => {
                let node = self.find(path);
                self.nodes[node].unsure_data = Some(time);
            }
            What::Sync(path) => {
                let node = self.find(path);
                self.sync(node, call.begin);
            }
            What::SyncEverything => {
                for node in 0..self.nodes.len() {
                    self.sync(node, call.begin);
                }
            }
            What::Rename(from, to) => {
                let node = self.find(from);
                self.set_name(from, None, time);
                self.set_name(to, Some(node), time);
            }
            What::Link(from, to) => {
                let node = self.find(from);
                self.set_name(to, Some(node), time);
            }
            What::MakeDirectory(path) | What::MakeLink(path) => {
                self.create(path, time);
            }
            What::Remove(path) => self.set_name(path, None, time),
        }
    }

    /// The path, if its data could be lost.
    pub fn unsure_data(&self, path: &Path) -> Vec<String> {
        let data = self
            .look(path)
            .and_then(|node| self.nodes[node].unsure_data);
        let text = || format!("the data of '{}'", path.display());
        data.map(|_| text()).into_iter().collect()
    }

    pub fn is_there(&self, path: &Path) -> bool {
        self.look(path).is_some()
    }

    /// The names in a directory.
    pub fn names(&self, path: &Path) -> Vec<PathBuf> {
        let node = self.look(path).map(|node| &self.nodes[node]);
        node.map_or_else(Vec::new, |node| node.names.keys().cloned().collect())
    }

    /// What a power cut could take away of all that is below a path.
    pub fn unsure_inside(&self, path: &Path, is_excused: &dyn Fn(&Path) -> bool) -> Vec<String> {
        let mut unsure = Vec::new();
        if let Some(node) = self.look(path) {
            self.unsure_below(node, path, is_excused, &mut unsure);
        }
        unsure
    }

    /// What a power cut could take away of a path, of all below it, and of the names that lead to it.
    pub fn unsure(&self, path: &Path, is_excused: &dyn Fn(&Path) -> bool) -> Vec<String> {
        let mut unsure = Vec::new();
        for step in path.ancestors() {
            let (Some(parent), Some(name)) = (step.parent(), step.file_name()) else {
                continue;
            };
            let parent = self.look(parent).map(|parent| &self.nodes[parent]);
            if parent.is_some_and(|parent| parent.unsure_names.contains_key(Path::new(name))) {
                unsure.push(format!("the name '{}'", step.display()));
            }
        }
        unsure.extend(self.unsure_inside(path, is_excused));
        unsure
    }

    fn unsure_below(
        &self,
        node: usize,
        path: &Path,
        is_excused: &dyn Fn(&Path) -> bool,
        unsure: &mut Vec<String>,
    ) {
        let node = &self.nodes[node];
        if node.unsure_data.is_some() && !is_excused(path) {
            unsure.push(format!("the data of '{}'", path.display()));
        }
        for name in node.unsure_names.keys() {
            let path = path.join(name);
            if !is_excused(&path) {
                unsure.push(format!("the name '{}'", path.display()));
            }
        }
        for (name, below) in &node.names {
            self.unsure_below(*below, &path.join(name), is_excused, unsure);
        }
    }
}
