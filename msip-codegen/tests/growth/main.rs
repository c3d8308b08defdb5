//! How the time of a run grows with its files: to four times as much input, about four times the time.
//!
//! Whoever can hand a build server a schema could otherwise hold it up with a few megabytes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod measure;
mod shapes;

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

/// Measures a shape that is next, until there is none, and says which grow faster than near linear.
#[expect(clippy::print_stderr, reason = "the figures of each are for people")]
fn measure_shapes(only: Option<&str>, next: &AtomicUsize, failed: &Mutex<Vec<String>>) {
    while let Some((name, n, shape)) = shapes::ALL.get(next.fetch_add(1, Ordering::Relaxed)) {
        if only.is_some_and(|only| !name.contains(only)) {
            continue;
        }
        let growth = measure::growth(*n, *shape);
        eprintln!("{name}: {growth}");
        if !growth.is_near_linear() {
            failed.lock().unwrap().push(format!("{name}: {growth}"));
        }
    }
}

#[test]
fn time_grows_with_the_input_and_not_with_its_square() {
    let only = std::env::var("MSIP_GROWTH").ok();
    let (next, failed) = (AtomicUsize::new(0), Mutex::new(Vec::new()));
    // Each measures the time of a thread of its own, so that they may share the machine.
    let workers = thread::available_parallelism().map_or(1, Into::into);
    thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| measure_shapes(only.as_deref(), &next, &failed));
        }
    });
    let failed = failed.into_inner().unwrap().join("\n");
    assert!(failed.is_empty(), "more than near linear:\n{failed}");
}
