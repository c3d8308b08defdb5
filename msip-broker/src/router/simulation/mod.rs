//! The simulation: a router beside a naive broker, driven by a seed. After every step both have the same in every queue.
//!
//! What is for one of several is the router's choice: the naive broker is told of it, checks that it is allowed and that the
//! load is fair, or that a key stays where it was, and knows all that follows from it: who is over its limits, and what goes where
//! then. Which client of an instance has its turn is the router's choice too: none may wait for long, or go beyond its window.
//! `MSIP_SIMULATION_SEED=<number>` runs one seed again, and prints what happened.

mod random;
mod rights;
mod world;

use super::{fault_injection::FaultInjection, peer_sizes::PeerSizes};
use world::{PEER_SIZES, World};
pub(super) use world::{number_of, numbers};

/// How many seeds are the same in every run, and how many are drawn at random.
const FIXED: u64 = 2000;
const FRESH: u64 = 200;

fn run(seed: u64) -> Result<Vec<u64>, String> {
    PeerSizes::with(PEER_SIZES, || World::new(seed).run())
}

#[test]
fn the_router_does_what_a_naive_broker_does() {
    if let Some(seed) = msip_replay::chosen_seed() {
        let mut world = World::new(seed);
        world.is_verbose = true;
        let outcome = PeerSizes::with(PEER_SIZES, || world.run());
        assert!(outcome.is_ok(), "{outcome:?}");
        return;
    }
    msip_replay::run_seeds(msip_replay::fixed_seeds(FIXED), run);
}

#[test]
fn the_router_does_what_a_naive_broker_does_for_fresh_seeds() {
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
