//! Several packs looked at as one store of objects.

use std::io::Write;
use std::path::Path;

use super::error::{Error, Result};
use super::object::{ObjectId, ObjectKind, hash_object};
use super::pack_reader::{Object, Pack};

/// An ordered set of packs.
#[derive(Default)]
pub struct Packs {
    packs: Vec<Pack>,
}

impl Packs {
    /// Adds a pack.
    pub fn push(&mut self, pack: Pack) {
        self.packs.push(pack);
    }

    /// The packs.
    #[must_use]
    pub fn all(&self) -> &[Pack] {
        &self.packs
    }

    /// Whether any pack holds the object. A matter of indices in memory, so it cannot fail.
    #[must_use]
    pub fn contains(&self, id: &ObjectId) -> bool {
        self.pack_with(id).is_some()
    }

    fn pack_with(&self, id: &ObjectId) -> Option<&Pack> {
        // The newest first: what was written last is asked for most.
        self.packs
            .iter()
            .rev()
            .find(|pack| pack.index.find(id).is_some())
    }

    /// Reads an object whole and checks its id and kind.
    ///
    /// # Errors
    /// When it is missing, damaged, or of another kind.
    pub fn read(&self, id: &ObjectId, kind: ObjectKind) -> Result<Vec<u8>> {
        let object = self.read_any(id)?;
        if object.kind != kind {
            let path = self.pack_with(id).map_or(Path::new(""), Pack::path);
            return Err(Error::damaged(
                path,
                format!("object {id} is not a {}", kind.word()),
            ));
        }
        Ok(object.content)
    }

    /// Reads an object of any kind whole and checks its id.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub fn read_any(&self, id: &ObjectId) -> Result<Object> {
        let pack = self.pack_with(id).ok_or(Error::Missing(*id))?;
        let object = pack.read(id)?;
        if hash_object(pack.format(), object.kind, &object.content) != Some(*id) {
            return Err(pack.damaged(format!("object {id} has another content")));
        }
        Ok(object)
    }

    /// Writes the content of a blob to `sink` and checks its id; gives its size.
    ///
    /// # Errors
    /// When it is missing, damaged or no blob, or `sink` fails.
    pub fn copy_blob(&self, id: &ObjectId, sink: &mut dyn Write, sink_path: &Path) -> Result<u64> {
        let pack = self.pack_with(id).ok_or(Error::Missing(*id))?;
        let (kind, bytes) = pack.copy_object(id, sink, sink_path)?;
        if kind == ObjectKind::Blob {
            Ok(bytes)
        } else {
            Err(pack.damaged(format!("object {id} is not a blob")))
        }
    }
}
