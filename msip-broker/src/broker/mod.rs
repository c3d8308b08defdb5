//! A broker that runs: its listeners, what it does besides serving, and how it stops.

mod background;
mod builder;
mod check;
mod error;
mod middleman_listeners;
mod reloader;
#[cfg(test)]
mod tests;

use std::{future::Future, net::SocketAddr};

use msip_runtime::{DrainReport, transport::ServiceUrl, untyped::UntypedServer};

use crate::{router::Router, shared::BrokerShared};

use background::Background;
pub use builder::BrokerBuilder;
pub use error::{BrokerError, KeysError};
pub use reloader::BrokerReloader;

/// A broker that listens, and does not serve yet.
///
/// # Examples
///
/// ```
/// use msip_broker::Broker;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), msip_broker::BrokerError> {
/// // In memory here; without `listen` it is at tcp://127.0.0.1:9000.
/// let broker = Broker::builder().listen("mem://plant").bind().await?;
/// assert_eq!(broker.local_urls().count(), 1);
///
/// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
/// let serving = tokio::spawn(broker.serve_until(async {
///     let _ = stopped.await;
/// }));
/// // Clients connect to mem://plant; later:
/// let _ = stop.send(());
/// let report = serving.await.expect("no panic");
/// assert_eq!(report.aborted, 0);
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Broker {
    server: UntypedServer,
    shared: BrokerShared,
    background: Background,
    reloader: BrokerReloader,
}

impl Broker {
    /// Configures a broker. Without anything said it listens at `tcp://127.0.0.1:9000`, and whoever connects may do everything.
    #[must_use]
    pub fn builder() -> BrokerBuilder {
        BrokerBuilder::default()
    }

    /// Looks whether a configuration can be used, without listening where it says: everything that it says fits together, and
    /// the files that it names are there and right. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// See [`BrokerError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future leaves nothing behind.
    pub async fn check(config: &crate::Config) -> Result<(), BrokerError> {
        check::check(config).await
    }

    /// Where it listens, with the ports that the system chose, in the order of its configuration.
    pub fn local_urls(&self) -> impl Iterator<Item = &ServiceUrl> {
        self.server.local_urls()
    }

    /// Where it answers HTTP requests about itself.
    #[must_use]
    pub fn admin_address(&self) -> Option<SocketAddr> {
        self.background.admin_address()
    }

    /// Its router: what is subscribed, kept and queued.
    #[must_use]
    pub fn router(&self) -> &Router {
        &self.shared.router
    }

    /// Reads keys, certificates, roles and principals again while it serves.
    #[must_use]
    pub fn reloader(&self) -> BrokerReloader {
        self.reloader.clone()
    }

    /// Serves until `shutdown` is ready; then stops accepting, tells its clients over `drain_spread`, so that they do not come
    /// back all at once, lets open calls finish within `drain_timeout`, and returns when all is done.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future breaks every connection.
    pub fn serve_until(
        self,
        shutdown: impl Future<Output = ()> + Send,
    ) -> impl Future<Output = DrainReport> + Send {
        let Self {
            server, background, ..
        } = self;
        let draining = background.drain_notice();
        async move {
            let serving = server.serve_until(async {
                shutdown.await;
                draining.begin();
            });
            tokio::select! {
                report = serving => report,
                // It goes on for as long as it is polled, while the clients are told too.
                () = background.run() => DrainReport::default(),
            }
        }
    }
}
