//! The index of open calls by message id.

use crate::wire::MsgId;

/// The end of a chain.
const NONE: u32 = u32::MAX;

/// The fewest rows that an index with calls has.
const MIN_ROWS: usize = 8;

/// Finds the slot of an open call by its id: a hash table with chains, as many buckets as slots.
///
/// The hash of an id is its low bits. Those of our own callers are a slot number, and others count up, so that chains
/// are short. A peer can choose ids that share a bucket, and gains a chain as long as the number of calls it may open.
#[derive(Debug, Default)]
pub(super) struct IdIndex {
    /// As many as a power of two, or none.
    rows: Vec<Row>,
}

/// What belongs to the slot of this number, and to the bucket of this number.
#[derive(Debug, Clone, Copy)]
struct Row {
    /// The slot's id; [`MsgId::CONNECTION`] where no call has it.
    id: MsgId,
    /// The next slot of the slot's chain.
    next: u32,
    /// The first slot of the bucket's chain.
    first: u32,
}

impl Row {
    const EMPTY: Self = Self {
        id: MsgId::CONNECTION,
        next: NONE,
        first: NONE,
    };
}

impl IdIndex {
    /// Adds a call. Its slot must not be in use.
    #[inline]
    pub(super) fn insert(&mut self, id: MsgId, slot: usize) {
        if slot >= self.rows.len() {
            self.grow(slot);
        }
        let bucket = self.bucket(id);
        // A table of as many calls as a `u32` counts does not fit the memory.
        let number = slot as u32;
        let first = match self.rows.get_mut(bucket) {
            Some(row) => std::mem::replace(&mut row.first, number),
            None => return,
        };
        if let Some(row) = self.rows.get_mut(slot) {
            row.id = id;
            row.next = first;
        }
    }

    /// Removes a call.
    #[inline]
    pub(super) fn remove(&mut self, id: MsgId, slot: usize) {
        let Some(row) = self.rows.get_mut(slot) else {
            return;
        };
        row.id = MsgId::CONNECTION;
        let next = row.next;
        let bucket = self.bucket(id);
        match self.rows.get_mut(bucket) {
            Some(row) if row.first as usize == slot => row.first = next,
            Some(row) => {
                let first = row.first;
                self.unlink(first, slot, next);
            }
            None => {}
        }
    }

    /// Removes a slot from within a chain.
    #[cold]
    fn unlink(&mut self, first: u32, slot: usize, next: u32) {
        let mut at = first;
        while let Some(row) = self.rows.get_mut(at as usize) {
            if row.next as usize == slot {
                row.next = next;
                return;
            }
            at = row.next;
        }
    }

    /// The slot of the call with this id that was added last.
    #[inline]
    pub(super) fn find(&self, id: MsgId) -> Option<usize> {
        let mut at = self.rows.get(self.bucket(id))?.first;
        while let Some(row) = self.rows.get(at as usize) {
            if row.id == id {
                return Some(at as usize);
            }
            at = row.next;
        }
        None
    }

    /// Frees all memory of an index without calls.
    pub(super) fn release(&mut self) {
        if self.rows.iter().all(|row| row.id.is_connection()) {
            *self = Self::default();
        }
    }

    /// The bucket of an id; beyond all where there are none.
    #[inline]
    fn bucket(&self, id: MsgId) -> usize {
        // The cut keeps the low bits, which are all that is used.
        id.sequence() as usize & self.rows.len().wrapping_sub(1)
    }

    #[cold]
    fn grow(&mut self, slot: usize) {
        let len = (slot + 1).next_power_of_two().max(MIN_ROWS);
        let rows = std::mem::replace(&mut self.rows, vec![Row::EMPTY; len]);
        for (slot, row) in rows.into_iter().enumerate() {
            if !row.id.is_connection() {
                self.insert(row.id, slot);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.rows.capacity()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, btree_map::Entry};

    use proptest::prelude::*;

    use super::*;
    use crate::wire::Side;

    fn id(sequence: u64) -> MsgId {
        MsgId::exchange(Side::Connecting, sequence)
    }

    #[test]
    fn ids_of_one_bucket_are_told_apart() {
        let mut index = IdIndex::default();
        assert_eq!(index.find(id(1)), None);
        for slot in 0..5 {
            index.insert(id(1 + ((slot as u64) << 16)), slot);
        }
        index.remove(id(1 + (2 << 16)), 2);
        for slot in [0, 1, 3, 4] {
            assert_eq!(index.find(id(1 + ((slot as u64) << 16))), Some(slot));
        }
        assert_eq!(index.find(id(1 + (2 << 16))), None);
    }

    #[test]
    fn memory_is_freed_when_no_call_is_open() {
        let mut index = IdIndex::default();
        for slot in 0..100 {
            index.insert(id(slot as u64 + 1), slot);
        }
        for slot in 0..99 {
            index.remove(id(slot as u64 + 1), slot);
        }
        index.release();
        assert_eq!(index.find(id(100)), Some(99));
        index.remove(id(100), 99);
        index.release();
        assert_eq!(index.capacity(), 0);
    }

    proptest! {
        #[test]
        fn an_index_finds_what_a_map_finds(
            operations in prop::collection::vec((0..20_usize, 1..40_u64), 0..200)
        ) {
            let (mut index, mut map, mut ids) =
                (IdIndex::default(), BTreeMap::new(), BTreeMap::new());
            for (slot, sequence) in operations {
                if let Some(sequence) = map.remove(&slot) {
                    index.remove(id(sequence), slot);
                    ids.remove(&sequence);
                } else if let Entry::Vacant(entry) = ids.entry(sequence) {
                    index.insert(id(sequence), slot);
                    map.insert(slot, sequence);
                    entry.insert(slot);
                }
                for sequence in 1..40 {
                    prop_assert_eq!(index.find(id(sequence)), ids.get(&sequence).copied());
                }
            }
        }
    }
}
