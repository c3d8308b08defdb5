//! What comes of a login.

use std::time::Duration;

use tokio::time::error::Elapsed;

use crate::{ConnectError, Status};

/// Whether a client is logged in, by what its handler's `on_connected` has returned within the time that it may take; a panic is
/// a text.
pub(super) fn login_outcome(
    returned: Result<Result<Result<(), Status>, String>, Elapsed>,
    timeout: Duration,
) -> Result<(), ConnectError> {
    let status = match returned {
        Ok(Ok(Ok(()))) => return Ok(()),
        Ok(Ok(Err(status))) => status,
        Ok(Err(panic)) => {
            tracing::error!(panic, "on_connected panicked");
            Status::internal(format!("on_connected panicked: {panic}"))
        }
        Err(_) => return Err(ConnectError::LoginTimedOut { timeout }),
    };
    Err(ConnectError::Login { status })
}
