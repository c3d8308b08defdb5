//! SIGHUP, by which a server is asked to read its certificates again.

use std::{convert::Infallible, future::Future, io};

use msip_runtime::Reloader;

/// Listens for SIGHUP, which does not end the process once this has returned; the future reloads at each, and never ends. What
/// cannot be reloaded is logged, and stays as it was.
///
/// # Errors
///
/// The signal cannot be listened for.
#[cfg(unix)]
pub fn reload_at_hangup(reloader: Reloader) -> io::Result<impl Future<Output = Infallible> + Send> {
    use tokio::signal::unix::{SignalKind, signal};

    let mut hangup = signal(SignalKind::hangup())?;
    Ok(async move {
        while hangup.recv().await.is_some() {
            // The runtime has logged what went wrong.
            let _ = reloader.reload_tls();
        }
        std::future::pending().await
    })
}

/// There is no such signal here.
///
/// # Errors
///
/// None.
#[cfg(not(unix))]
pub fn reload_at_hangup(_: Reloader) -> io::Result<impl Future<Output = Infallible> + Send> {
    Ok(std::future::pending())
}
