//! Runs simulations that follow from seeds.

use std::{
    collections::hash_map::RandomState,
    env,
    fmt::Debug,
    hash::{BuildHasher as _, Hasher as _},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex,
        atomic::{AtomicU64, Ordering},
    },
};

/// The seed that is to be run alone: `MSIP_SIMULATION_SEED`.
///
/// # Panics
///
/// It is not a number.
#[must_use]
pub fn chosen_seed() -> Option<u64> {
    let seed = env::var("MSIP_SIMULATION_SEED").ok()?;
    Some(seed.parse().expect("MSIP_SIMULATION_SEED is a number"))
}

/// The seeds that are the same in every run: so many, or `MSIP_SIMULATION_COUNT`.
#[must_use]
pub fn fixed_seeds(count: u64) -> std::ops::Range<u64> {
    let asked = env::var("MSIP_SIMULATION_COUNT").ok();
    0..asked.and_then(|count| count.parse().ok()).unwrap_or(count)
}

/// Seeds that nobody has chosen.
pub fn fresh_seeds(count: u64) -> impl Iterator<Item = u64> + Send {
    (0..count).map(|_| RandomState::new().build_hasher().finish())
}

/// Runs a simulation for each seed, on two threads. Every tenth seed is run twice, and has to leave the same trace.
///
/// # Panics
///
/// A run fails, or panics, or its second run leaves another trace: with the seed.
pub fn run_seeds<T: Debug + PartialEq>(
    seeds: impl Iterator<Item = u64> + Send,
    run: impl Fn(u64) -> Result<T, String> + Sync,
) {
    let seeds = Mutex::new(seeds);
    let count = AtomicU64::new(0);
    let run = |seed: u64| match catch_unwind(AssertUnwindSafe(|| run(seed))) {
        Ok(Ok(trace)) => trace,
        Ok(Err(broken)) => panic!("MSIP_SIMULATION_SEED={seed}: {broken}"),
        // What it says was printed where it did.
        Err(_) => panic!("MSIP_SIMULATION_SEED={seed} panics"),
    };
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(seed) = seeds.lock().unwrap().next() else {
                        return;
                    };
                    let trace = run(seed);
                    if count.fetch_add(1, Ordering::Relaxed).is_multiple_of(10) {
                        assert_eq!(run(seed), trace, "seed {seed} is not the same twice");
                    }
                }
            });
        }
    });
}
