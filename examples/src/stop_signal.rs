//! The signals that ask a program to stop.

use std::{future::pending, io};

/// Ready when the program is asked to stop: by Ctrl-C, or by SIGTERM, which `kill` and supervisors send.
///
/// # Errors
///
/// The signals cannot be listened for.
pub async fn stop_signal() -> io::Result<()> {
    tokio::select! {
        interrupted = tokio::signal::ctrl_c() => interrupted,
        terminated = terminated() => terminated,
    }
}

#[cfg(unix)]
async fn terminated() -> io::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    match signal(SignalKind::terminate())?.recv().await {
        Some(()) => Ok(()),
        None => pending().await,
    }
}

#[cfg(not(unix))]
async fn terminated() -> io::Result<()> {
    pending().await
}
