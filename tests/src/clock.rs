//! Time that passes when a test says so.

use std::{
    future::Future,
    pin::pin,
    time::{Duration, Instant},
};

/// Moves the clock of this test's runtime on, so that timers of this time are due: those of both sides, where both are in the test.
/// A test first waits until what is to be late has begun, however slow the machine is, and then lets a generous time pass at once.
///
/// # Panics
///
/// In a runtime of several threads, or one whose time is paused.
pub async fn advance(time: Duration) {
    tokio::time::pause();
    tokio::time::advance(time).await;
    tokio::time::resume();
}

/// [Moves the clock on](advance) again and again until this has happened: for a time limit whose beginning nobody is told of. What is
/// waited for is told in no other limit, such as that of [`soon`](crate::soon), since that would be over too.
///
/// # Panics
///
/// After a minute of real time, and as `advance` does.
pub async fn advance_until<T>(time: Duration, what: &str, event: impl Future<Output = T>) -> T {
    let begun = Instant::now();
    let mut event = pin!(event);
    loop {
        tokio::select! {
            biased;
            value = &mut event => return value,
            () = tokio::time::sleep(Duration::from_millis(5)) => {}
        }
        assert!(
            begun.elapsed() < Duration::from_secs(60),
            "nothing after a minute: {what}"
        );
        advance(time).await;
    }
}
