//! An endpoint: a UDP socket, and quinn's tasks that run its connections.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use quinn::{EndpointConfig, StoppedError, VarInt};
use tokio::{sync::Semaphore, time::timeout};

use super::tasks::Tasks;

/// How long a connection that was dropped after its last bytes is kept, so that they arrive: as long as a connection that is
/// over is read (docs/protocol.md, "Errors and close").
const LINGER: Duration = Duration::from_secs(1);

/// How many of an endpoint are kept so; one more is closed at once.
const MAX_LINGERING: usize = 64;

/// The code with which a connection is closed: MSIP says all else before (docs/protocol.md, "QUIC").
pub(super) const CLOSED: VarInt = VarInt::from_u32(0);

/// A UDP socket with its connections. Its tasks end with the last clone, one of which each connection has.
#[derive(Debug, Clone)]
pub(super) struct Endpoint {
    pub(super) quinn: quinn::Endpoint,
    tasks: Arc<Tasks>,
    lingering: Arc<Semaphore>,
}

impl Endpoint {
    /// Binds a socket; with a configuration for the connections that come, where they are to be accepted.
    pub(super) fn bind(
        address: SocketAddr,
        accepting: Option<quinn::ServerConfig>,
    ) -> io::Result<Self> {
        let socket = std::net::UdpSocket::bind(address)?;
        socket.set_nonblocking(true)?;
        let tasks = Tasks::new()?;
        let config = EndpointConfig::default();
        Ok(Self {
            quinn: quinn::Endpoint::new(config, accepting, socket, tasks.runtime())?,
            tasks: Arc::new(tasks),
            lingering: Arc::new(Semaphore::new(MAX_LINGERING)),
        })
    }

    /// Closes a connection once the peer has what was written to it, or has had its time.
    pub(super) fn close_later(
        &self,
        connection: quinn::Connection,
        delivered: impl Future<Output = Result<Option<VarInt>, StoppedError>> + Send + 'static,
    ) {
        let Ok(permit) = Arc::clone(&self.lingering).try_acquire_owned() else {
            connection.close(CLOSED, b"");
            return;
        };
        self.tasks.spawn(async move {
            let _permit = permit;
            // It is over either way.
            let _ = timeout(LINGER, delivered).await;
            connection.close(CLOSED, b"");
        });
    }
}
