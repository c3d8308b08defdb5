//! Signals, and the limit of open files.

use std::{io, pin::pin};

use msip_gateway::{DrainReport, Gateway};
#[cfg(unix)]
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::Notify;

use super::failure::Failure;

/// What says to stop.
#[derive(Debug)]
pub(super) struct Signals {
    #[cfg(unix)]
    terminate: Signal,
    #[cfg(unix)]
    interrupt: Signal,
    #[cfg(unix)]
    hangup: Signal,
}

/// What a signal says.
enum Caught {
    Stop,
    #[cfg(unix)]
    Reload,
}

impl Signals {
    #[cfg(unix)]
    pub(super) fn listen() -> Result<Self, Failure> {
        let listen =
            |kind| signal(kind).map_err(|error| Failure::cannot("listen for signals", &error));
        Ok(Self {
            terminate: listen(SignalKind::terminate())?,
            interrupt: listen(SignalKind::interrupt())?,
            hangup: listen(SignalKind::hangup())?,
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

    /// Waits until one says to stop, and calls `reload` at each that says so.
    async fn stop(&mut self, reload: &impl Fn()) {
        loop {
            match self.next().await {
                Caught::Stop => return,
                #[cfg(unix)]
                Caught::Reload => reload(),
            }
        }
    }

    /// Serves until a signal says to stop, and calls `reload` where one says to read files again. `None` where a second one says that it must be at once.
    pub(super) async fn serve(
        mut self,
        gateway: Gateway,
        reload: impl Fn(),
    ) -> Option<DrainReport> {
        let stop = Notify::new();
        let mut serving = pin!(gateway.serve_until(stop.notified()));
        tokio::select! {
            report = &mut serving => return Some(report),
            () = self.stop(&reload) => {}
        }
        tracing::info!("stopping: open requests may finish");
        stop.notify_one();
        tokio::select! {
            report = &mut serving => Some(report),
            () = self.stop(&reload) => None,
        }
    }
}

/// Raises the limit of open files as far as the process may: each connection takes one.
#[cfg(unix)]
pub(super) fn raise_descriptors() -> io::Result<()> {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return Ok(());
    }
    let raised = Rlimit {
        current: limit.maximum,
        maximum: limit.maximum,
    };
    Ok(setrlimit(Resource::Nofile, raised)?)
}

#[cfg(not(unix))]
pub(super) fn raise_descriptors() -> io::Result<()> {
    Ok(())
}
