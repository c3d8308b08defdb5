//! What opens connections: the trait, and one of whatever type.

use std::{fmt, future::Future, io, sync::Arc};

use super::{Address, Connection, incoming::BoxFuture};

/// Opens connections for a client: what [`ClientBuilder::connector`](crate::ClientBuilder::connector) takes.
///
/// A closure that is given an [`Address`] and returns a future of a [`Connection`] is one too.
pub trait Connect: Send + Sync + 'static {
    /// Opens a connection that is ready to carry MSIP. The client limits its time by `connect_timeout`.
    ///
    /// # Errors
    ///
    /// What the system says. The client tries its next address, or waits and tries again.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future must close what is half open.
    fn connect(&self, address: &Address) -> impl Future<Output = io::Result<Connection>> + Send;
}

impl<F, Fut> Connect for F
where
    F: Fn(Address) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = io::Result<Connection>> + Send,
{
    fn connect(&self, address: &Address) -> impl Future<Output = io::Result<Connection>> + Send {
        self(address.clone())
    }
}

/// [`Connect`] as a trait object.
trait DynConnect: Send + Sync {
    fn connect<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, io::Result<Connection>>;
}

impl<C: Connect> DynConnect for C {
    fn connect<'a>(&'a self, address: &'a Address) -> BoxFuture<'a, io::Result<Connection>> {
        Box::pin(Connect::connect(self, address))
    }
}

/// How a client connects: what a transport has made for it, or a [`Connect`] of the user's.
#[derive(Clone)]
pub(crate) struct Connector(Arc<dyn DynConnect>);

impl Connector {
    /// Connects by `connect`, whatever the scheme.
    pub(crate) fn new(connect: impl Connect) -> Self {
        Self(Arc::new(connect))
    }

    /// Opens a connection to one address of a service.
    pub(crate) async fn connect(&self, address: &Address) -> io::Result<Connection> {
        self.0.connect(address).await
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connector").finish_non_exhaustive()
    }
}
