//! The signals that ask a program to stop.

use std::{future::Future, io};

/// Listens for what asks a program to stop: Ctrl-C, or SIGTERM, which `kill` and supervisors send. Once this has returned,
/// neither ends the process by itself; the future is ready when one has come.
///
/// # Errors
///
/// The signals cannot be listened for.
#[cfg(unix)]
pub fn stop_signal() -> io::Result<impl Future<Output = ()> + Send> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut terminate = signal(SignalKind::terminate())?;
    Ok(async move {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
    })
}

/// Listens for what asks a program to stop: Ctrl-C. Once this has returned, it does not end the process by itself; the future
/// is ready when it has come.
///
/// # Errors
///
/// The signals cannot be listened for.
#[cfg(windows)]
pub fn stop_signal() -> io::Result<impl Future<Output = ()> + Send> {
    let mut interrupt = tokio::signal::windows::ctrl_c()?;
    Ok(async move {
        interrupt.recv().await;
    })
}
