//! The end of a client's identity.

use std::{future::pending, pin::Pin};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::connection::ConnectionShared;

/// The time at which the identity of the client expires; `None` where it never does, and where there is none.
pub(super) fn expiry(connection: &ConnectionShared) -> Option<Pin<Box<Sleep>>> {
    let remaining = connection.identity()?.remaining()?;
    Some(Box::pin(sleep_until(
        Instant::now().checked_add(remaining)?,
    )))
}

/// Waits for that time.
///
/// # Cancel safety
///
/// Dropping the future loses nothing.
pub(super) async fn expired(expiry: &mut Option<Pin<Box<Sleep>>>) {
    match expiry {
        Some(expiry) => expiry.await,
        None => pending().await,
    }
}
