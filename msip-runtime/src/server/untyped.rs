//! The untyped server: every protocol that it offers is named while the program runs.

use std::future::{Future, pending};

use super::{
    BindError, DrainReport, ReloadError, Reloader, ServerBuilder,
    accept::{self, Offering},
    acceptor::{Acceptor, IncomingConnections},
    builder::Bound,
};
use crate::{Draining, MemoryUse, raw::Untyped, settings::Settings, transport::ServiceUrl};

/// A server whose protocols are named while the program runs, and whose bodies are bytes to it.
///
/// ```
/// # use msip_runtime::untyped::{Inbound, UntypedPeer, Service};
/// use msip_runtime::untyped::{UntypedProtocol, UntypedServer};
///
/// # struct Echo;
/// # impl Service for Echo {
/// #     async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
/// #         while let Some(_) = inbound.next().await {}
/// #     }
/// # }
/// # async fn run() -> Result<(), msip_runtime::BindError> {
/// let server = UntypedServer::builder("tcp://127.0.0.1:7400")
///     .untyped(UntypedProtocol::any(), Echo)
///     .bind()
///     .await?;
/// server.serve().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct UntypedServer {
    incoming: IncomingConnections,
    settings: Settings,
    offering: Offering,
}

impl UntypedServer {
    /// The settings of a server that offers nothing yet: give it protocols with [`ServerBuilder::untyped`] and
    /// [`ServerBuilder::protocol`].
    pub fn builder(url: impl AsRef<str>) -> ServerBuilder<Untyped> {
        ServerBuilder::new(url.as_ref())
    }

    /// Where it listens, with the port that the system chose.
    pub fn local_url(&self) -> &ServiceUrl {
        self.incoming.local_url()
    }

    /// As [`Server::local_urls`](crate::Server::local_urls).
    pub fn local_urls(&self) -> impl Iterator<Item = &ServiceUrl> {
        self.incoming.local_urls()
    }

    /// As [`Server::reload_tls`](crate::Server::reload_tls).
    ///
    /// # Errors
    ///
    /// See [`ReloadError`].
    pub fn reload_tls(&self) -> Result<(), ReloadError> {
        self.reloader().reload_tls()
    }

    /// Reads the certificates of this server again while it serves.
    #[must_use]
    pub fn reloader(&self) -> Reloader {
        self.incoming.reloader()
    }

    /// Passes single connections to this server, in addition to those that its listener accepts.
    #[must_use]
    pub fn acceptor(&self) -> Acceptor {
        self.incoming.acceptor()
    }

    /// How much memory the sessions of this server hold, with those that share its `max_memory`.
    #[must_use]
    pub fn memory(&self) -> MemoryUse {
        MemoryUse::of(&self.settings.budget)
    }

    /// A future that is ready once the server shuts down, for tasks of its own; get it before
    /// [`serve_until`](Self::serve_until). See [`Draining`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub fn draining(&self) -> Draining {
        self.incoming.draining()
    }

    /// Serves clients until the future is dropped. [`serve_until`](Self::serve_until) ends gracefully.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future breaks every connection.
    pub async fn serve(self) {
        self.serve_until(pending()).await;
    }

    /// Serves clients until `shutdown` is ready, then drains as [`Server::serve_until`](crate::Server::serve_until) does.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future breaks every connection.
    pub fn serve_until(
        self,
        shutdown: impl Future<Output = ()> + Send,
    ) -> impl Future<Output = DrainReport> + Send {
        let Self {
            incoming,
            settings,
            offering,
        } = self;
        accept::serve(incoming, settings, offering, shutdown)
    }
}

impl ServerBuilder<Untyped> {
    /// Listens. Must be called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// See [`BindError`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes what it listens at.
    pub async fn bind(self) -> Result<UntypedServer, BindError> {
        let Bound {
            incoming,
            settings,
            authenticators,
            name,
            others: protocols,
            handoffs,
            ..
        } = self.listen(None).await?;
        Ok(UntypedServer {
            incoming,
            settings,
            offering: Offering {
                name,
                authenticators,
                protocols,
                handoffs,
            },
        })
    }
}
