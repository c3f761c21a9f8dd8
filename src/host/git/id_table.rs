//! A set of object ids with a dense number for each, built once and looked up millions of times.

use super::object::ObjectId;

/// Sorted ids in one block, found through an open-addressed table on their first bytes (which a hash function has
/// already spread evenly).
#[derive(Debug, Default)]
pub struct IdTable {
    ids: Vec<u8>,
    id_bytes: usize,
    slots: Vec<u32>,
    mask: u64,
}

impl IdTable {
    /// Builds the table; duplicates are welcome. At most 2^31 ids.
    #[must_use]
    pub fn new(ids: impl Iterator<Item = ObjectId>) -> Self {
        let mut sorted: Vec<ObjectId> = ids.collect();
        sorted.sort_unstable();
        sorted.dedup();
        let id_bytes = sorted.first().map_or(20, |id| id.as_bytes().len());
        let capacity = (sorted.len() * 2).next_power_of_two().max(2);
        let mut table = Self {
            ids: sorted
                .iter()
                .flat_map(|id| id.as_bytes().iter().copied())
                .collect(),
            id_bytes,
            slots: vec![0; capacity],
            mask: capacity as u64 - 1,
        };
        for (number, id) in sorted.iter().enumerate() {
            let mut slot = table.first_slot(id.as_bytes());
            while table.slots.get(slot).is_some_and(|number| *number != 0) {
                slot = table.next_slot(slot);
            }
            if let (Some(place), Ok(number)) =
                (table.slots.get_mut(slot), u32::try_from(number + 1))
            {
                *place = number;
            }
        }
        table
    }

    /// Whether the id is in the set.
    #[must_use]
    pub fn contains(&self, id: &ObjectId) -> bool {
        let bytes = id.as_bytes();
        if self.slots.is_empty() || bytes.len() != self.id_bytes {
            return false;
        }
        let mut slot = self.first_slot(bytes);
        while let Some(number) = self.slots.get(slot).copied().filter(|number| *number != 0) {
            let start = (number as usize - 1) * self.id_bytes;
            let found = self.ids.get(start..start + self.id_bytes);
            if found.is_some_and(|found| is_same(found, bytes)) {
                return true;
            }
            slot = self.next_slot(slot);
        }
        false
    }

    fn first_slot(&self, id: &[u8]) -> usize {
        let prefix = id
            .first_chunk::<8>()
            .map_or(0, |bytes| u64::from_le_bytes(*bytes));
        usize::try_from(prefix & self.mask).unwrap_or_default()
    }

    fn next_slot(&self, slot: usize) -> usize {
        usize::try_from((slot as u64 + 1) & self.mask).unwrap_or_default()
    }
}

/// Compares two ids; those of 20 bytes without a call.
fn is_same(left: &[u8], right: &[u8]) -> bool {
    match (<&[u8; 20]>::try_from(left), <&[u8; 20]>::try_from(right)) {
        (Ok(left), Ok(right)) => left == right,
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_the_given_ids_are_found() {
        let id = |number: u32| {
            let mut bytes = [0; 20];
            bytes[..4].copy_from_slice(&(number % 7).to_le_bytes());
            bytes[16..].copy_from_slice(&number.to_le_bytes());
            ObjectId::from_bytes(&bytes).unwrap()
        };
        let table = IdTable::new((0..1000).filter(|number| number % 3 == 0).map(id));
        for number in 0..1000 {
            assert_eq!(table.contains(&id(number)), number % 3 == 0);
        }
        assert!(!IdTable::new(std::iter::empty()).contains(&id(0)));
    }
}
