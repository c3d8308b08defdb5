//! Replays the corpora of the fuzz targets in ordinary tests, with random mutations of them; and runs the seeds of simulations.

#![expect(
    clippy::expect_used,
    clippy::unwrap_used,
    reason = "a test that cannot go on fails"
)]

mod seeds;

use std::{fs, path::Path};

pub use seeds::{chosen_seed, fixed_seeds, fresh_seeds, run_seeds};

/// The corpus of a target, with the names of its files.
fn corpus(target: &str) -> Vec<(String, Vec<u8>)> {
    let corpus = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    let files = fs::read_dir(corpus.join(target)).expect("has a corpus");
    let mut corpus: Vec<_> = files
        .map(|file| {
            let path = file.expect("can be read").path();
            let data = fs::read(&path).expect("can be read");
            (path.display().to_string(), data)
        })
        .collect();
    corpus.sort();
    assert!(corpus.len() >= 10, "{target} has {} files", corpus.len());
    corpus
}

fn survives(entry: fn(&[u8]), data: &[u8]) -> bool {
    std::panic::catch_unwind(|| entry(data)).is_ok()
}

/// Runs a target over its corpus, and over so many mutations of it; `MSIP_MUTATIONS` multiplies their number.
///
/// # Panics
///
/// Where the target does, with the input; and where its corpus cannot be read, or has fewer than ten files.
pub fn replay(target: &str, entry: fn(&[u8]), mutations: u64) {
    let corpus = corpus(target);
    for (name, data) in &corpus {
        assert!(survives(entry, data), "{name}");
    }
    let times = std::env::var("MSIP_MUTATIONS").ok();
    let times: u64 = times.map_or(1, |times| times.parse().expect("a number"));
    let mut random = Random(7);
    for _ in 0..mutations * times {
        let data = random.mutation(&corpus);
        assert!(survives(entry, &data), "{target}: {}", data.escape_ascii());
    }
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        // It has 32 bits.
        usize::try_from((z ^ (z >> 31)) >> 32).unwrap() % bound.max(1)
    }

    /// A file of the corpus, changed in a few places.
    fn mutation(&mut self, corpus: &[(String, Vec<u8>)]) -> Vec<u8> {
        const TELLING: [u8; 8] = [0, 1, 0x7f, 0x80, 0xff, b'"', b'{', 0xc1];
        let (_, file) = &corpus[self.below(corpus.len())];
        let mut data = file.clone();
        for _ in 0..=self.below(6) {
            let at = self.below(data.len() + 1);
            match self.below(6) {
                0 => data.truncate(at),
                1 => data.insert(at, TELLING[self.below(TELLING.len())]),
                2 => {
                    let end = (at + self.below(8)).min(data.len());
                    data.drain(at..end);
                }
                3 => {
                    let (_, other) = &corpus[self.below(corpus.len())];
                    let from = self.below(other.len());
                    let len = self.below(40).min(other.len() - from);
                    data.splice(at..at, other[from..from + len].iter().copied());
                }
                _ => {
                    // It is below 256.
                    let byte = u8::try_from(self.below(256)).unwrap();
                    if let Some(place) = data.get_mut(at) {
                        *place = byte;
                    }
                }
            }
        }
        data
    }
}
