//! How long the answers of each variant have been lately: what a call is expected to be answered with that runs.

use std::sync::atomic::{AtomicU32, Ordering};

/// Variants that differ by this share an entry.
const ENTRIES: usize = 256;

/// Each answer changes the mean by this part of the difference.
const SHIFT: u32 = 3;

/// The mean lengths of answers, by the variant of the call.
#[derive(Debug)]
pub(super) struct AnswerLengths(Box<[AtomicU32]>);

impl Default for AnswerLengths {
    fn default() -> Self {
        Self((0..ENTRIES).map(|_| AtomicU32::new(0)).collect())
    }
}

impl AnswerLengths {
    fn entry(&self, variant: u16) -> Option<&AtomicU32> {
        self.0.get(usize::from(variant) % ENTRIES)
    }

    /// The mean length of answers to this variant, in bytes; `None` where there was none.
    pub(super) fn expected(&self, variant: u16) -> Option<u32> {
        // It is a guess, and orders nothing.
        let mean = self.entry(variant)?.load(Ordering::Relaxed);
        (mean > 0).then_some(mean)
    }

    /// A call of this variant was answered with so many bytes.
    pub(super) fn note(&self, variant: u16, len: usize) {
        let Some(entry) = self.entry(variant) else {
            return;
        };
        let len = u32::try_from(len).unwrap_or(u32::MAX).max(1);
        let mean = entry.load(Ordering::Relaxed);
        let next = match mean {
            0 => len,
            _ if len > mean => mean + ((len - mean) >> SHIFT),
            _ => mean - ((mean - len) >> SHIFT),
        };
        // One that is noted at the same time may be lost.
        if next != mean {
            entry.store(next, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mean_follows_what_is_answered() {
        let lengths = AnswerLengths::default();
        assert_eq!(lengths.expected(7), None);
        lengths.note(7, 80_000);
        assert_eq!(
            lengths.expected(7),
            Some(80_000),
            "the first is all that is known"
        );
        assert_eq!(lengths.expected(8), None);
        lengths.note(7, 0);
        assert_eq!(
            lengths.expected(7),
            Some(70_001),
            "one does not change much"
        );
        for _ in 0..100 {
            lengths.note(7, usize::MAX);
        }
        assert!(lengths.expected(7) > Some(u32::MAX / 2));
        for _ in 0..200 {
            lengths.note(7, 100);
        }
        assert!((Some(100)..Some(110)).contains(&lengths.expected(7)));
    }
}
