//! The index of open calls by message id.

use crate::wire::MsgId;

/// The end of a chain.
const NONE: u32 = u32::MAX;

/// The fewest buckets that an index with calls has.
const MIN_BUCKETS: usize = 8;

/// Finds the slot of an open call by its id: a hash table with chains, as many buckets as slots.
///
/// The hash of an id is its low bits. Those of our own callers are a slot number, and others count up, so that chains
/// are short. A peer can choose ids that share a bucket, and gains a chain as long as the number of calls it may open.
#[derive(Debug, Default)]
pub(super) struct IdIndex {
    /// The first slot of each chain; their number is a power of two, or none.
    buckets: Vec<u32>,
    /// For each slot its id, and the next slot of its chain.
    links: Vec<Link>,
}

#[derive(Debug, Clone, Copy)]
struct Link {
    /// [`MsgId::CONNECTION`] where no call has this slot.
    id: MsgId,
    next: u32,
}

impl Link {
    const VACANT: Self = Self {
        id: MsgId::CONNECTION,
        next: NONE,
    };
}

impl IdIndex {
    /// Adds a call. Its slot must be less than 2^32 - 1, and not be in use.
    #[inline]
    pub(super) fn insert(&mut self, id: MsgId, slot: usize) {
        if slot >= self.links.len() {
            self.grow(slot);
        }
        self.link(id, slot);
    }

    #[inline]
    fn link(&mut self, id: MsgId, slot: usize) {
        let bucket = self.bucket(id);
        let (Some(first), Some(link), Ok(number)) = (
            self.buckets.get_mut(bucket),
            self.links.get_mut(slot),
            u32::try_from(slot),
        ) else {
            return;
        };
        *link = Link { id, next: *first };
        *first = number;
    }

    /// Removes a call.
    #[inline]
    pub(super) fn remove(&mut self, id: MsgId, slot: usize) {
        let bucket = self.bucket(id);
        let Some(link) = self.links.get_mut(slot) else {
            return;
        };
        let next = std::mem::replace(link, Link::VACANT).next;
        let Some(first) = self.buckets.get_mut(bucket) else {
            return;
        };
        if *first as usize == slot {
            *first = next;
            return;
        }
        let mut at = *first;
        while let Some(link) = self.links.get_mut(at as usize) {
            if link.next as usize == slot {
                link.next = next;
                return;
            }
            at = link.next;
        }
    }

    /// The slot of the call with this id that was added last.
    #[inline]
    pub(super) fn find(&self, id: MsgId) -> Option<usize> {
        let mut at = *self.buckets.get(self.bucket(id))?;
        while let Some(link) = self.links.get(at as usize) {
            if link.id == id {
                return Some(at as usize);
            }
            at = link.next;
        }
        None
    }

    /// Frees all memory of an index without calls.
    pub(super) fn release(&mut self) {
        if self.links.iter().all(|link| link.id.is_connection()) {
            *self = Self::default();
        }
    }

    /// The bucket of an id; beyond all where there are none.
    #[inline]
    fn bucket(&self, id: MsgId) -> usize {
        // The cut keeps the low bits, which are all that is used.
        id.sequence() as usize & self.buckets.len().wrapping_sub(1)
    }

    #[cold]
    fn grow(&mut self, slot: usize) {
        let len = (slot + 1).next_power_of_two().max(MIN_BUCKETS);
        let links = std::mem::replace(&mut self.links, vec![Link::VACANT; len]);
        self.buckets = vec![NONE; len];
        for (slot, link) in links.into_iter().enumerate() {
            if !link.id.is_connection() {
                self.link(link.id, slot);
            }
        }
    }

    #[cfg(test)]
    pub(super) fn capacity(&self) -> usize {
        self.links.capacity()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

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
                } else if !ids.contains_key(&sequence) {
                    index.insert(id(sequence), slot);
                    map.insert(slot, sequence);
                    ids.insert(sequence, slot);
                }
                for sequence in 1..40 {
                    prop_assert_eq!(index.find(id(sequence)), ids.get(&sequence).copied());
                }
            }
        }
    }
}
