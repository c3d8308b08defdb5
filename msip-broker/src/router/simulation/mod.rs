//! The simulation: a router beside a naive broker, driven by a seed. After every step both have the same in every queue.
//!
//! What is for one of several is the router's choice: the naive broker finds where it is, and checks that it may be there, that
//! it is nowhere else, and that the load is fair. `MSIP_SIMULATION_SEED=<number>` runs one seed again, and prints what happened.

mod random;
mod rights;
mod world;

use std::sync::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

use super::fault_injection::FaultInjection;
use world::World;

/// How many seeds are run. `MSIP_SIMULATION_COUNT` runs another number.
const FIXED: u64 = 2000;

fn run(seed: u64) -> Result<Vec<u64>, String> {
    World::new(seed).run()
}

fn run_all(seeds: impl Iterator<Item = u64> + Send) {
    let seeds = Mutex::new(seeds);
    let count = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                loop {
                    let Some(seed) = seeds.lock().unwrap().next() else {
                        return;
                    };
                    let trace = match run(seed) {
                        Ok(trace) => trace,
                        Err(broken) => panic!("MSIP_SIMULATION_SEED={seed}: {broken}"),
                    };
                    if count.fetch_add(1, Ordering::Relaxed).is_multiple_of(10) {
                        assert_eq!(
                            run(seed).as_ref(),
                            Ok(&trace),
                            "seed {seed} is not the same twice"
                        );
                    }
                }
            });
        }
    });
}

#[test]
fn the_router_does_what_a_naive_broker_does() {
    if let Ok(seed) = std::env::var("MSIP_SIMULATION_SEED") {
        let seed = seed.parse().expect("a number");
        let mut world = World::new(seed);
        world.is_verbose = true;
        let outcome = world.run();
        assert!(outcome.is_ok(), "{outcome:?}");
        return;
    }
    let count = std::env::var("MSIP_SIMULATION_COUNT")
        .ok()
        .and_then(|count| count.parse().ok());
    run_all(0..count.unwrap_or(FIXED));
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
