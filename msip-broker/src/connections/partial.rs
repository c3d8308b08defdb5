//! What all connections of a dialect hold of frames or messages that have not come whole.

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// What a connection holds up to here counts nothing: as much as one read takes.
const READ_LEN: usize = 64 * 1024;

/// What a connection holds of a frame, in the sum of all. What one read takes counts nothing, so that a peer with short frames
/// is never cut for the sake of others.
#[derive(Debug)]
pub(crate) struct Partial<'a> {
    all: &'a AtomicUsize,
    held: usize,
}

impl<'a> Partial<'a> {
    /// Nothing yet.
    pub(crate) const fn new(all: &'a AtomicUsize) -> Self {
        Self { all, held: 0 }
    }

    /// It holds so much now. `false` where it is too much: all hold more than `most`.
    pub(crate) fn set(&mut self, len: usize, most: usize) -> bool {
        let held = if len > READ_LEN { len } else { 0 };
        if held == self.held {
            return true;
        }
        // Of both one is nothing.
        let (more, less) = (
            held.saturating_sub(self.held),
            self.held.saturating_sub(held),
        );
        let all = self.all.fetch_add(more, Relaxed).saturating_add(more);
        self.all.fetch_sub(less, Relaxed);
        self.held = held;
        more == 0 || all <= most
    }
}

impl Drop for Partial<'_> {
    fn drop(&mut self) {
        self.all.fetch_sub(self.held, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_is_that_of_those_that_are_there() {
        let all = AtomicUsize::new(0);
        let most = 4 * READ_LEN;
        let mut one = Partial::new(&all);
        let mut two = Partial::new(&all);
        assert!(one.set(READ_LEN, 0), "what one read takes counts nothing");
        assert!(one.set(3 * READ_LEN, most));
        assert!(!two.set(2 * READ_LEN, most));
        drop(two);
        assert!(one.set(4 * READ_LEN, most));
        assert!(one.set(0, most));
        assert_eq!(all.load(Relaxed), 0);
        assert!(one.set(2 * READ_LEN, most));
        drop(one);
        assert_eq!(all.load(Relaxed), 0);
    }
}
