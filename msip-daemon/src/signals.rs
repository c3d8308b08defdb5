//! Signals: when to stop, and when to read files again.

use std::{pin::pin, sync::Arc};

use tokio::sync::{Notify, futures::OwnedNotified};

use crate::Failure;

/// The signals that a process has asked for: SIGTERM and SIGINT stop it, SIGHUP has it read files again. Where there are none, Ctrl-C
/// stops it.
#[derive(Debug)]
pub struct Signals {
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    hangup: tokio::signal::unix::Signal,
}

/// What a signal says.
enum Caught {
    Stop,
    #[cfg(unix)]
    Reload,
}

impl Signals {
    /// From here on they come here.
    #[cfg(unix)]
    pub(crate) fn listen() -> Result<Self, Failure> {
        use tokio::signal::unix::{SignalKind, signal};

        let of = |kind| signal(kind).map_err(|error| Failure::cannot("wait for signals", &error));
        Ok(Self {
            terminate: of(SignalKind::terminate())?,
            interrupt: of(SignalKind::interrupt())?,
            hangup: of(SignalKind::hangup())?,
        })
    }

    #[cfg(not(unix))]
    pub(crate) fn listen() -> Result<Self, Failure> {
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

    /// Serves until a signal says to stop, which ends the future that `serve` is given, and calls `reload` at each that says so.
    /// Returns what `serve` does, or `None` where a second signal has said that it must be at once: what it was doing is dropped.
    pub async fn serve<S: Future>(
        mut self,
        serve: impl FnOnce(OwnedNotified) -> S,
        reload: impl Fn(),
    ) -> Option<S::Output> {
        let stop = Arc::new(Notify::new());
        let mut serving = pin!(serve(Arc::clone(&stop).notified_owned()));
        let mut is_stopping = false;
        loop {
            let caught = tokio::select! {
                ended = &mut serving => return Some(ended),
                caught = self.next() => caught,
            };
            match caught {
                #[cfg(unix)]
                Caught::Reload => reload(),
                Caught::Stop if is_stopping => {
                    tracing::warn!("stopping at once: connections are broken");
                    return None;
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
