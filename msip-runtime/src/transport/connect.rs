//! Connecting to an address.

use std::{fmt, future::Future, io, sync::Arc};

use super::{Address, Connection, ServiceUrl, incoming::BoxFuture, registry};

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

/// How a client connects: by the transport of the address's scheme, or by a [`Connect`] of the user's.
#[derive(Clone, Default)]
pub(crate) struct Connector(Option<Arc<dyn DynConnect>>);

impl Connector {
    /// Connects by `connect`, whatever the scheme.
    pub(crate) fn new(connect: impl Connect) -> Self {
        Self(Some(Arc::new(connect)))
    }

    /// Parses a URL. Where the user brings the transport, any scheme is allowed.
    pub(crate) fn parse(&self, url: &str) -> Result<ServiceUrl, super::UrlError> {
        match self.0 {
            Some(_) => ServiceUrl::parse_any(url),
            None => ServiceUrl::parse(url),
        }
    }

    /// Opens a connection to one address of a service.
    pub(crate) async fn connect(&self, address: &Address) -> io::Result<Connection> {
        match &self.0 {
            Some(connector) => connector.connect(address).await,
            None => connect_to(address).await,
        }
    }
}

impl fmt::Debug for Connector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Some(_) => "Connector(own)",
            None => "Connector(by scheme)",
        })
    }
}

/// Opens a connection to a service. Where it, or its host, has several addresses, they are tried in turn.
///
/// There is no time limit; bring your own.
///
/// # Errors
///
/// The system's error: the host is unknown, the connection is refused, or another. Of several addresses, the
/// error of the last.
///
/// # Cancel safety
///
/// Dropping this future closes what is half open.
pub async fn connect(url: &ServiceUrl) -> io::Result<Connection> {
    let mut outcome = connect_to(url.address()).await;
    for address in url.addresses().skip(1) {
        if outcome.is_ok() {
            break;
        }
        outcome = connect_to(address).await;
    }
    outcome
}

async fn connect_to(address: &Address) -> io::Result<Connection> {
    match registry::find(address.scheme()) {
        Some(transport) => transport.connect(address).await,
        None => Err(no_transport(address)),
    }
}

/// Only a URL that was parsed for a user's own transport has such an address.
pub(super) fn no_transport(address: &Address) -> io::Error {
    let text = format!("no transport has the scheme {:?}", address.scheme());
    io::Error::new(io::ErrorKind::Unsupported, text)
}
