//! The time limit of waits in tests.

use std::{future::Future, time::Duration};

/// Waits for something that must happen, and panics where it does not: long enough for any machine.
///
/// # Panics
///
/// After a minute.
pub async fn soon<T>(what: &str, event: impl Future<Output = T>) -> T {
    match tokio::time::timeout(Duration::from_secs(60), event).await {
        Ok(value) => value,
        Err(_) => panic!("nothing after a minute: {what}"),
    }
}
