//! Signals: when to stop, and when to read the configuration again.

use std::pin::pin;

use msip_broker::{Broker, DrainReport};
use tokio::sync::Notify;

use super::failure::Failure;

/// The signals that a process has asked for.
#[derive(Debug)]
pub(super) struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

enum Caught {
    Stop,
    Reload,
}

impl Signals {
    /// From here on they come here.
    #[cfg(unix)]
    pub(super) fn listen() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};

        let of = |kind| signal(kind).map_err(|error| Failure::cannot("wait for signals", &error));
        Ok(Self {
            terminate: of(SignalKind::terminate())?,
            interrupt: of(SignalKind::interrupt())?,
            hangup: of(SignalKind::hangup())?,
        })
    }

    #[cfg(not(unix))]
    pub(super) fn listen() -> Result<Self, Failure> {
        Ok(Self {})
    }

    #[cfg(unix)]
    async fn next(&mut self) -> Caught {
        tokio::select! {
            _ = self.terminate.recv() => Caught::Stop,
            _ = self.interrupt.recv() => Caught::Stop,
            _ = self.hangup.recv() => Caught::Reload,
        }
    }

    #[cfg(not(unix))]
    async fn next(&mut self) -> Caught {
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending::<()>().await;
        }
        Caught::Stop
    }

    /// Serves until a signal says to stop, and calls `reload` at each that says so.
    pub(super) async fn serve(
        mut self,
        broker: Broker,
        reload: impl Fn(),
    ) -> Result<DrainReport, Failure> {
        let stop = Notify::new();
        let mut serving = pin!(broker.serve_until(stop.notified()));
        let mut is_stopping = false;
        loop {
            let caught = tokio::select! {
                report = &mut serving => return Ok(report),
                caught = self.next() => caught,
            };
            match caught {
                Caught::Reload => reload(),
                Caught::Stop if is_stopping => {
                    tracing::warn!("stopping at once: connections are broken");
                    return Ok(DrainReport::default());
                }
                Caught::Stop => {
                    tracing::info!("stopping: clients are told, and open calls may finish");
                    is_stopping = true;
                    stop.notify_one();
                }
            }
        }
    }
}
