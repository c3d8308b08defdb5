//! The trait of listeners, which accept connections.

use std::{fmt, future::Future, io};

use super::{Incoming, incoming::BoxFuture};

/// Accepts connections for a server: what [`ServerBuilder::listener`](crate::ServerBuilder::listener) takes.
///
/// # Examples
///
/// A listener at a Unix socket that is already there, such as one that a service manager has opened:
///
/// ```
/// # #[cfg(unix)]
/// # mod unix {
/// use std::{io, sync::Arc};
/// use msip_runtime::transport::{Connection, Incoming, Listen, PeerAddress, PeerCredential, Stream};
/// use tokio::net::UnixListener;
///
/// struct AtSocket(UnixListener);
///
/// impl Listen for AtSocket {
///     async fn accept(&self) -> io::Result<Incoming> {
///         let (stream, _) = self.0.accept().await?;
///         let user = stream.peer_cred()?;
///         let address = PeerAddress::Named(Arc::from("socket"));
///         let connection = Connection::new(Stream::boxed(stream), address.clone(), address)
///             .confidential()
///             .with_credential(PeerCredential::UnixUser { uid: user.uid(), gid: user.gid() });
///         Ok(connection.into())
///     }
///
///     fn is_confidential(&self) -> bool {
///         true
///     }
/// }
/// # }
/// ```
pub trait Listen: Send + Sync + 'static {
    /// Waits for the next connection, and for nothing that its peer has to do: what a handshake needs goes into
    /// [`Incoming::upgrading`].
    ///
    /// A server calls this again after an error, at first after 5 ms and at last every second.
    ///
    /// # Errors
    ///
    /// What the system says.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future must lose no connection: a server drops it and calls again.
    fn accept(&self) -> impl Future<Output = io::Result<Incoming>> + Send;

    /// Whether every connection that it accepts is confidential: encrypted, or from this machine. Where it is not, the
    /// server does not start unless its setting `insecure` says so.
    fn is_confidential(&self) -> bool {
        false
    }

    /// Reads again what it needs besides its address, such as certificates, for the connections that it accepts from now on.
    ///
    /// # Errors
    ///
    /// What is wrong with it. What was there before stays in use.
    fn reload(&self) -> io::Result<()> {
        Ok(())
    }
}

/// [`Listen`] as a trait object.
trait DynListen: Send + Sync {
    fn accept(&self) -> BoxFuture<'_, io::Result<Incoming>>;
    fn is_confidential(&self) -> bool;
    fn reload(&self) -> io::Result<()>;
}

impl<L: Listen> DynListen for L {
    fn accept(&self) -> BoxFuture<'_, io::Result<Incoming>> {
        Box::pin(Listen::accept(self))
    }

    fn is_confidential(&self) -> bool {
        Listen::is_confidential(self)
    }

    fn reload(&self) -> io::Result<()> {
        Listen::reload(self)
    }
}

/// Some [`Listen`].
pub(crate) struct BoxListen(Box<dyn DynListen>);

impl BoxListen {
    pub(crate) fn new(listener: impl Listen) -> Self {
        Self(Box::new(listener))
    }

    /// See [`Listen::accept`].
    pub(crate) async fn accept(&self) -> io::Result<Incoming> {
        self.0.accept().await
    }

    /// See [`Listen::is_confidential`].
    pub(crate) fn is_confidential(&self) -> bool {
        self.0.is_confidential()
    }

    /// See [`Listen::reload`].
    pub(crate) fn reload(&self) -> io::Result<()> {
        self.0.reload()
    }
}

impl fmt::Debug for BoxListen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BoxListen").finish_non_exhaustive()
    }
}
