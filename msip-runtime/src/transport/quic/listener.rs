//! Accepting connections.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use quinn::{TransportConfig, rustls::pki_types::CertificateDer};
use tokio::task::consume_budget;

use super::{
    super::{
        Connection, Incoming, Lane, Listen, PeerCredential, Stream,
        tls::{Active, TlsAcceptor},
    },
    config::accepting,
    datagrams::QuicDatagrams,
    endpoint::Endpoint,
    error::of_server_side,
    stream::QuicStream,
};

/// While so many handshakes are open, others whose source address is not proved are told to prove it first (RFC 9000,
/// section 8.1.2): a forged address costs nothing then, and gets one small datagram.
const RETRY_ABOVE: usize = 32;

/// Accepts connections at a socket.
#[derive(Debug)]
pub(super) struct QuicListener {
    endpoint: Endpoint,
    local: SocketAddr,
    tls: TlsAcceptor,
    transport: Arc<TransportConfig>,
    has_datagrams: bool,
    open_handshakes: Arc<AtomicUsize>,
}

impl QuicListener {
    pub(super) fn new(
        endpoint: Endpoint,
        tls: TlsAcceptor,
        transport: Arc<TransportConfig>,
        has_datagrams: bool,
    ) -> io::Result<Self> {
        Ok(Self {
            local: endpoint.quinn.local_addr()?,
            endpoint,
            tls,
            transport,
            has_datagrams,
            open_handshakes: Arc::default(),
        })
    }

    pub(super) fn local(&self) -> SocketAddr {
        self.local
    }

    /// Whether this one has to prove its address first.
    fn must_prove_address(&self, incoming: &quinn::Incoming) -> bool {
        !incoming.remote_address_validated()
            && self.open_handshakes.load(Ordering::Relaxed) >= RETRY_ABOVE
    }

    fn upgrading(&self, incoming: quinn::Incoming) -> Incoming {
        let peer = incoming.remote_address();
        let endpoint = self.endpoint.clone();
        let ip = incoming.local_ip();
        let local = local_address(self.local, ip);
        let has_datagrams = self.has_datagrams;
        let open = OpenHandshake::new(&self.open_handshakes);
        let tls = self.tls.active();
        Incoming::upgrading(peer.into(), async move {
            let accepting = incoming.accept().map_err(of_server_side)?;
            let connection = accepting.await.map_err(of_server_side)?;
            let credential = credential(&connection, &tls)?;
            // The client has to send the first byte of its stream.
            let streams = connection.accept_bi().await.map_err(of_server_side)?;
            drop(open);
            let opened = opened(streams, connection, endpoint, local, has_datagrams);
            Ok(opened.with_credential(credential))
        })
    }
}

impl Listen for QuicListener {
    async fn accept(&self) -> io::Result<Incoming> {
        loop {
            let Some(incoming) = self.endpoint.quinn.accept().await else {
                return Err(io::Error::new(
                    io::ErrorKind::NotConnected,
                    "the UDP socket of this listener is broken",
                ));
            };
            if !self.must_prove_address(&incoming) {
                return Ok(self.upgrading(incoming));
            }
            // One that has proved it is not asked, and others may be.
            let _ = incoming.retry();
            // A flood of them must not keep the thread to itself.
            consume_budget().await;
        }
    }

    fn is_confidential(&self) -> bool {
        true
    }

    fn reload(&self) -> io::Result<()> {
        self.tls.reload()?;
        let config = accepting(self.tls.active().config(), &self.transport)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        self.endpoint.quinn.set_server_config(Some(config));
        Ok(())
    }
}

/// Who the client is. Whether it has resumed a TLS session is not known here.
fn credential(connection: &quinn::Connection, tls: &Active) -> io::Result<PeerCredential> {
    let shown = connection
        .peer_identity()
        .and_then(|shown| shown.downcast::<Vec<CertificateDer<'static>>>().ok());
    match shown {
        Some(certificates) => tls.credential_of(&certificates, true),
        None => Ok(PeerCredential::None),
    }
}

impl Drop for QuicListener {
    fn drop(&mut self) {
        // The connections go on, and no others come.
        self.endpoint.quinn.set_server_config(None);
    }
}

/// A handshake that is not done.
struct OpenHandshake(Arc<AtomicUsize>);

impl OpenHandshake {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(Arc::clone(count))
    }
}

impl Drop for OpenHandshake {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A connection that is ready to carry MSIP.
pub(super) fn opened(
    streams: (quinn::SendStream, quinn::RecvStream),
    connection: quinn::Connection,
    endpoint: Endpoint,
    local: SocketAddr,
    has_datagrams: bool,
) -> Connection {
    let peer = connection.remote_address();
    // Where the peer has not asked for datagrams either, there are none.
    let datagrams = connection
        .max_datagram_size()
        .filter(|_| has_datagrams)
        .map(|_| QuicDatagrams::new(connection.clone()));
    let mut stream = Stream::boxed(QuicStream::new(streams, connection, endpoint));
    if let Some(datagrams) = datagrams {
        stream = stream.with_lane(Lane::new(datagrams));
    }
    Connection::new(stream, local.into(), peer.into()).confidential()
}

/// The address of this end, where the system says by which of them a datagram came.
pub(super) fn local_address(socket: SocketAddr, ip: Option<IpAddr>) -> SocketAddr {
    ip.map_or(socket, |ip| SocketAddr::new(ip, socket.port()))
}
