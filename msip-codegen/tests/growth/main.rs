//! How the time of a run grows with its files: to four times as much input, about four times the time.
//!
//! Whoever can hand a build server a schema could otherwise hold it up with a few megabytes.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod measure;
mod shapes;

use std::fmt::Write as _;

#[test]
fn time_grows_with_the_input_and_not_with_its_square() {
    let only = std::env::var("MSIP_GROWTH").ok();
    let mut failed = String::new();
    for (name, n, shape) in shapes::ALL {
        if only
            .as_ref()
            .is_some_and(|only| !name.contains(only.as_str()))
        {
            continue;
        }
        let growth = measure::growth(*n, *shape);
        eprintln!("{name}: {growth}");
        if !growth.is_near_linear() {
            let _ = writeln!(failed, "{name}: {growth}");
        }
    }
    assert!(failed.is_empty(), "more than near linear:\n{failed}");
}
