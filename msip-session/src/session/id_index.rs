//! The index of open calls by message id.

use std::hash::{BuildHasher as _, Hasher as _, RandomState};

use crate::wire::MsgId;

/// The end of a chain.
const NONE: u32 = u32::MAX;

/// The fewest rows that an index with calls has.
const MIN_ROWS: usize = 8;

/// Finds the slot of an open call by its id: a hash table with chains, as many buckets as slots.
///
/// A peer chooses the ids of its calls. So the hash is a product with a random factor, of which the highest bits are taken
/// (Dietzfelbinger's multiply-shift): whatever ids a peer chooses without knowing the factor, a chain has two or three
/// calls on average.
#[derive(Debug)]
pub(super) struct IdIndex {
    /// As many as a power of two, or none.
    rows: Vec<Row>,
    /// Odd and random; chosen with the first call.
    factor: u64,
}

impl Default for IdIndex {
    fn default() -> Self {
        Self {
            rows: Vec::new(),
            factor: 1,
        }
    }
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
        // As many of the highest bits as a slot has. Without rows any number is beyond all.
        let shift = (self.rows.len() as u64).leading_zeros() + 1;
        (id.sequence().wrapping_mul(self.factor)).wrapping_shr(shift) as usize
    }

    #[cold]
    fn grow(&mut self, slot: usize) {
        let len = (slot + 1).next_power_of_two().max(MIN_ROWS);
        if self.rows.is_empty() {
            self.factor = RandomState::new().build_hasher().finish() | 1;
        }
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
        assert_eq!(IdIndex::default().find(id(1)), None);
        // All ids have the first bucket.
        let mut index = IdIndex {
            rows: vec![Row::EMPTY; 8],
            factor: 1,
        };
        for slot in 0..5 {
            index.insert(id(1 + ((slot as u64) << 16)), slot);
        }
        index.remove(id(1 + (2 << 16)), 2);
        for slot in [0, 1, 3, 4] {
            assert_eq!(index.find(id(1 + ((slot as u64) << 16))), Some(slot));
        }
        assert_eq!(index.find(id(1 + (2 << 16))), None);
    }

    /// How long the chains are that a peer gets with so many calls of these ids.
    fn longest_chain(ids: impl Iterator<Item = u64>) -> usize {
        let mut index = IdIndex::default();
        let mut count = 0;
        for (slot, sequence) in ids.enumerate() {
            index.insert(id(sequence), slot);
            count += 1;
        }
        assert_eq!(index.rows.len(), count);
        let len = |row: &Row| {
            let next = |at: &u32| Some(index.rows.get(*at as usize)?.next);
            std::iter::successors(Some(row.first), next)
                .take_while(|at| *at != NONE)
                .count()
        };
        index.rows.iter().map(len).max().unwrap_or(0)
    }

    #[test]
    fn ids_that_a_peer_chooses_make_no_long_chains() {
        const CALLS: u64 = 32_768;
        // The factor is another one each time, so that a peer cannot count on any of these.
        for shift in [0, 1, 7, 15, 16, 24, 32, 40, 46] {
            let chains: Vec<_> = (0..9)
                .map(|_| longest_chain((1..=CALLS).map(|n| n << shift)))
                .collect();
            let usual = chains.iter().filter(|len| **len < 100).count();
            assert!(usual >= 5, "ids in steps of 2^{shift}: {chains:?}");
        }
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
