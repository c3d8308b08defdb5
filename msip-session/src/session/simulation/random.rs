//! A deterministic random number generator (SplitMix64).

/// A source of numbers.
#[derive(Debug, Clone)]
pub(super) struct Random {
    state: u64,
    /// What comes before the numbers that follow from the seed: a byte for each, the last one first.
    script: Vec<u8>,
}

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self {
            state: seed,
            script: Vec::new(),
        }
    }

    /// Numbers made of these bytes, and then others.
    pub(super) fn scripted(script: &[u8]) -> Self {
        Self {
            state: 0,
            script: script.iter().rev().copied().collect(),
        }
    }

    pub(super) fn next(&mut self) -> u64 {
        if let Some(byte) = self.script.pop() {
            return u64::from_ne_bytes([byte; 8]);
        }
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number less than `limit`, which is not 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    /// Whether something happens that does once in so many times.
    pub(super) fn once_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }
}
