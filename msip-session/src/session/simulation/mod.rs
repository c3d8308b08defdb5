//! The simulation: pairs of sessions over a link that fails in every way, driven by a seed (docs/protocol.md,
//! "Promises").
//!
//! Time is a number. After every step the promises are checked, and once the failures stop, everything must settle
//! within 60 seconds. `MSIP_SIMULATION_SEED=<number>` runs one seed again, and prints what happened.

mod flows;
mod lane;
mod node;
mod pipe;
mod random;
mod rules;
mod streams;
mod world;

use std::time::Duration;

use super::Config;
#[cfg(test)]
use super::fault_injection::FaultInjection;
use crate::wire::{Credit, Side};
use random::Random;
use world::World;

/// How many calls each side takes at once.
const MAX_CALLS: u32 = 12;

/// What each stream begins with.
const STREAM_WINDOW: Credit = Credit {
    items: 4,
    bytes: 600,
};

/// How many seeds are the same in every run, and how many are drawn at random.
#[cfg(test)]
const FIXED: u64 = 2000;
#[cfg(test)]
const FRESH: u64 = 200;

/// Few of everything, so that every limit is met.
fn config(side: Side, buffer_disconnected: usize) -> Config {
    Config {
        ping_interval: Duration::from_secs(2),
        handshake_timeout: Duration::from_secs(3),
        drain_timeout: Duration::from_secs(1),
        max_calls: MAX_CALLS as usize,
        max_call_bytes: 1024,
        outgoing_queue: 16 * 1024,
        session_buffer: 16 * 1024,
        session_deliveries: 60,
        buffer_disconnected,
        window: Credit {
            items: 4,
            bytes: 16 * 1024,
        },
        stream_window: STREAM_WINDOW,
        ..Config::new(side)
    }
}

/// Runs a seed. Returns its trace, or the promise that was broken.
#[cfg(test)]
fn run(seed: u64) -> Result<Vec<(u8, u64)>, String> {
    World::new(Random::new(seed)).run()
}

/// Runs the choices of these bytes.
pub(crate) fn run_scripted(script: &[u8]) -> Result<(), String> {
    World::new(Random::scripted(script)).run().map(|_| ())
}

#[test]
fn the_promises_hold_over_a_link_that_fails() {
    if let Some(seed) = msip_replay::chosen_seed() {
        let mut world = World::new(Random::new(seed));
        world.is_verbose = true;
        let outcome = world.run();
        assert!(outcome.is_ok(), "{outcome:?}");
        return;
    }
    msip_replay::run_seeds(msip_replay::fixed_seeds(FIXED), run);
}

#[test]
fn the_promises_hold_for_fresh_seeds() {
    msip_replay::run_seeds(msip_replay::fresh_seeds(FRESH), run);
}

#[test]
fn every_deliberate_fault_is_found() {
    let mut missed = Vec::new();
    for fault in FaultInjection::ALL {
        FaultInjection::switch(Some(fault));
        let found = (0..FIXED).find_map(|seed| run(seed).err().map(|broken| (seed, broken)));
        FaultInjection::switch(None);
        match found {
            Some((seed, broken)) => eprintln!("{fault:?}: seed {seed}: {broken}"),
            None => missed.push(fault),
        }
    }
    assert!(
        missed.is_empty(),
        "not found within {FIXED} seeds: {missed:?}"
    );
}
