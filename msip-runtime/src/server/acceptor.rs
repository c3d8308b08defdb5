//! The acceptor of a server: accepts connections from its listeners, and takes those from elsewhere.

use std::sync::Arc;

use thiserror::Error;
use tokio::sync::mpsc;

use super::{
    lanes::UdpListeners,
    listeners::{AcceptFailure, AcceptedConnection, Listeners, SpokenListener},
    reloader::Reloader,
};
use crate::{
    Draining,
    connection::Signal,
    transport::{Connection, ServiceUrl},
};

/// How many connections from elsewhere may wait to be served; after that [`Acceptor::accept`] waits.
const BACKLOG: usize = 128;

/// Passes single connections to a server, in addition to those that its listener accepts; from
/// [`Server::acceptor`](crate::Server::acceptor).
///
/// # Examples
///
/// ```
/// # use msip_runtime::{Acceptor, AcceptError, transport::memory_pair};
/// # async fn hand_over(acceptor: Acceptor) -> Result<(), AcceptError> {
/// // Any stream of bytes will do: an upgraded HTTP connection, a TLS stream, a pipe.
/// let (client, connection) = memory_pair();
/// acceptor.accept(connection).await?;
/// # drop(client);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Clone)]
pub struct Acceptor {
    sender: mpsc::Sender<Connection>,
    is_insecure: bool,
}

impl Acceptor {
    /// Has the server serve a connection that was accepted elsewhere, as if its listener had accepted it: the limits
    /// `max_connections` and `max_handshakes` hold. Returns once the server has taken it over.
    ///
    /// # Errors
    ///
    /// See [`AcceptError`]; the connection is closed then.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection, or leaves it to the server.
    pub async fn accept(&self, connection: Connection) -> Result<(), AcceptError> {
        if !connection.is_confidential && !self.is_insecure {
            return Err(AcceptError::NotConfidential);
        }
        let sent = self.sender.send(connection).await;
        sent.map_err(|_| AcceptError::Stopped)
    }
}

/// Why a server does not take a connection over.
#[derive(Clone, Copy, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum AcceptError {
    /// Others could read the connection, and the server's setting `insecure` does not allow that.
    #[error(
        "the connection is not confidential: encrypt it and call `confidential`, or set `insecure`"
    )]
    NotConfidential,
    /// The server has stopped.
    #[error("the server has stopped")]
    Stopped,
}

crate::error::debug_with_causes!(AcceptError);

/// The listeners of a server besides the first.
#[derive(Debug, Default)]
pub(super) struct OtherListeners {
    pub(super) streams: Vec<SpokenListener>,
    pub(super) udp: UdpListeners,
    /// Where all of these listen.
    pub(super) urls: Vec<ServiceUrl>,
}

/// The incoming connections of a server.
#[derive(Debug)]
pub(super) struct IncomingConnections {
    listeners: Listeners,
    /// The sockets of datagrams, until the server serves.
    udp_listeners: UdpListeners,
    /// Where the first listener listens, and where all others.
    local_url: ServiceUrl,
    other_urls: Vec<ServiceUrl>,
    acceptor: Acceptor,
    handed: mpsc::Receiver<Connection>,
    /// Raised when this is dropped: no more are accepted.
    draining: Arc<Signal>,
}

impl Drop for IncomingConnections {
    fn drop(&mut self) {
        self.draining.raise();
    }
}

impl IncomingConnections {
    pub(super) fn new(first: SpokenListener, others: OtherListeners, is_insecure: bool) -> Self {
        let (sender, handed) = mpsc::channel(BACKLOG);
        let OtherListeners { streams, udp, urls } = others;
        Self {
            local_url: first.0.local_url().clone(),
            other_urls: urls,
            listeners: Listeners::new(first, streams),
            udp_listeners: udp,
            acceptor: Acceptor {
                sender,
                is_insecure,
            },
            handed,
            draining: Arc::default(),
        }
    }

    /// The sockets of datagrams, once.
    pub(super) fn take_udp_listeners(&mut self) -> UdpListeners {
        std::mem::take(&mut self.udp_listeners)
    }

    /// Ready once no more are accepted.
    pub(super) fn draining(&self) -> Draining {
        Draining::of(&self.draining)
    }

    /// Raised once no more are accepted.
    pub(super) fn drain_signal(&self) -> Arc<Signal> {
        Arc::clone(&self.draining)
    }

    /// Where the first listener listens.
    pub(super) fn local_url(&self) -> &ServiceUrl {
        &self.local_url
    }

    /// Where all of them listen.
    pub(super) fn local_urls(&self) -> impl Iterator<Item = &ServiceUrl> {
        std::iter::once(&self.local_url).chain(&self.other_urls)
    }

    /// Reloads what the listeners need, for as long as they are there.
    pub(super) fn reloader(&self) -> Reloader {
        Reloader::new(self.listeners.weak())
    }

    pub(super) fn acceptor(&self) -> Acceptor {
        self.acceptor.clone()
    }

    /// Waits for the next connection.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no connection.
    pub(super) async fn next(&mut self) -> Result<AcceptedConnection, AcceptFailure> {
        tokio::select! {
            accepted = self.listeners.accept() => accepted,
            // A sender lives in `self`, so it is never closed.
            Some(connection) = self.handed.recv() => Ok(AcceptedConnection {
                incoming: connection.into(),
                dialect: None,
            }),
        }
    }
}
