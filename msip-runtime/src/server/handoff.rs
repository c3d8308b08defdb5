//! Handing off: connections whose first bytes are not those of an MSIP client, and what serves them.

use std::{
    fmt,
    future::Future,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::BytesMut;
use tokio::{
    sync::{Notify, OwnedSemaphorePermit},
    time::{Instant, sleep_until},
};

use super::{
    log_limiter::LogLimiter,
    permits::{ConnectionPermit, ConnectionPermits},
};
use crate::{
    Draining, Status,
    connection::{Raised, Signal},
    instruments::{RefusedHandshake, handshake_refused},
    transport::{BoxFuture, Connection, PeerAddress},
};
use msip_session::{
    MsgKind,
    wire::{FrameType, MAGIC, RawHeader, SessionId, VERSION},
};

/// Serves whole connections that do not open with an MSIP HELLO, at the listeners of a server; given to
/// [`ServerBuilder::handoff`](crate::ServerBuilder::handoff).
///
/// This is for peers that share a port with MSIP and need their own connection from the first byte to the last. What
/// translates another framing into MSIP's frames, so that sessions and handlers see an ordinary peer, is a dialect, and no
/// matter of this trait.
///
/// The server's limits hold: `max_connections`, `max_handshakes`, and `handshake_timeout` until
/// [`HandoffPermit::greeted`]. Its authenticators are not asked, since they read what an MSIP client says in HELLO: who a peer
/// is, and what it may do, is decided here.
///
/// # Examples
///
/// A health check for a load balancer that can only send a line and expect one:
///
/// ```
/// use msip_runtime::untyped::{HandedOff, Handoff, UntypedServer};
/// use tokio::io::AsyncWriteExt as _;
///
/// struct HealthCheck;
///
/// impl Handoff for HealthCheck {
///     fn recognizes(&self, start: &[u8]) -> bool {
///         start.starts_with(b"H")
///     }
///
///     async fn serve(&self, mut peer: HandedOff) {
///         if peer.permit.greeted().is_ok() {
///             let _ = peer.connection.stream.write_all(b"healthy\n").await;
///         }
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # use msip_runtime::{transport::{self, ServiceUrl}, untyped::{Inbound, Service, UntypedPeer, UntypedProtocol}};
/// # use tokio::io::AsyncReadExt as _;
/// # struct Echo;
/// # impl Service for Echo {
/// #     async fn serve(&self, _: UntypedPeer, mut inbound: Inbound) {
/// #         while let Some(_) = inbound.next().await {}
/// #     }
/// # }
/// let server = UntypedServer::builder("mem://handoff")
///     .untyped(UntypedProtocol::any(), Echo)
///     .handoff(HealthCheck)
///     .bind()
///     .await?;
/// tokio::spawn(server.serve());
/// # let mut peer = transport::connect(&ServiceUrl::parse("mem://handoff")?).await?.stream;
/// # peer.write_all(b"HEALTH\n").await?;
/// # let mut answer = String::new();
/// # peer.read_to_string(&mut answer).await?;
/// # assert_eq!(answer, "healthy\n");
/// # Ok(())
/// # }
/// ```
pub trait Handoff: Send + Sync + 'static {
    /// Whether a connection that begins with these bytes is served here. They cannot begin an MSIP HELLO
    /// (docs/protocol.md, "Dialects"), and are as many as show that, or more: between one byte and a whole read.
    ///
    /// Where nothing recognizes them the connection is treated as an MSIP client's, which is told what is wrong.
    fn recognizes(&self, start: &[u8]) -> bool;

    /// Whether a connection is served here whatever it begins with, by the listener that has accepted it: `local` is the address
    /// of this end. Nothing is read of it then before it is handed off. None is, unless this says so.
    fn claims(&self, local: &PeerAddress) -> bool {
        let _ = local;
        false
    }

    /// Serves a connection, until the future is ready. It runs in the connection's own task.
    ///
    /// # Cancel safety
    ///
    /// The future is dropped when the peer was not [greeted](HandoffPermit::greeted) in time, when the server shuts down
    /// before that, and when it takes longer than a drain may.
    fn serve(&self, peer: HandedOff) -> impl Future<Output = ()> + Send;
}

/// A connection that a [`Handoff`] serves.
#[derive(Debug)]
#[non_exhaustive]
pub struct HandedOff {
    /// The connection: its stream, and what the transport knows of the peer. Its address `local` says which listener has
    /// accepted it.
    pub connection: Connection,
    /// What was read from the stream so far; empty where the connection was [claimed](Handoff::claims).
    pub received: BytesMut,
    /// Its place among the connections of the server.
    pub permit: HandoffPermit,
}

/// The place of a handed-off connection among those of its server. It is given back when the future of
/// [`Handoff::serve`] has ended, and all clones are dropped.
#[derive(Clone)]
pub struct HandoffPermit(Arc<Held>);

struct Held {
    server: HandoffServer,
    permits: Mutex<Permits>,
    greeted: Notify,
    /// Until when the peer must be greeted.
    deadline: Instant,
}

struct Permits {
    connection: ConnectionPermit,
    /// One of `max_handshakes`, until the peer is greeted.
    handshake: Option<OwnedSemaphorePermit>,
    is_greeted: bool,
}

impl HandoffPermit {
    /// The peer has said what it has to, and is served from now on: `handshake_timeout` ends, and the next connection may
    /// begin. More calls change nothing.
    ///
    /// # Errors
    ///
    /// There are `max_connections` already: the peer is to be refused, and the connection closed.
    pub fn greeted(&self) -> Result<(), Status> {
        let mut permits = self.0.lock();
        permits.handshake = None;
        if permits.is_greeted {
            return Ok(());
        }
        if !self.0.server.permits.make_regular(&mut permits.connection) {
            handshake_refused(RefusedHandshake::TooManyConnections);
            return Err(self.0.server.permits.refusal());
        }
        permits.is_greeted = true;
        self.0.server.greeted.fetch_add(1, Ordering::Relaxed);
        drop(permits);
        self.0.greeted.notify_one();
        Ok(())
    }

    /// How much is left of `handshake_timeout`: for so long the peer may still be waited for, before the future of
    /// [`Handoff::serve`] is dropped. A peer that was [greeted](Self::greeted) in time is not concerned any more.
    pub fn remaining(&self) -> Duration {
        let now = Instant::now();
        self.0.deadline.saturating_duration_since(now)
    }

    /// Ready once the server shuts down: a greeted peer is told, and its connection closed, within `drain_timeout`.
    pub fn draining(&self) -> Draining {
        Draining::of(&self.0.server.draining)
    }

    /// Whether a line about this peer may be logged now. All that peers can cause to be logged is limited, by their
    /// address and together; what is left out is counted.
    pub fn may_log(&self, peer: &PeerAddress) -> bool {
        self.0.server.log_limiter.may_log_served(peer)
    }
}

impl fmt::Debug for HandoffPermit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let is_greeted = self.0.lock().is_greeted;
        f.debug_struct("HandoffPermit")
            .field("is_greeted", &is_greeted)
            .finish_non_exhaustive()
    }
}

impl Held {
    fn lock(&self) -> std::sync::MutexGuard<'_, Permits> {
        self.permits.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        if self.lock().is_greeted {
            self.server.greeted.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

/// What a server has for the connections that it hands off.
#[derive(Debug, Clone)]
pub(super) struct HandoffServer {
    pub(super) permits: Arc<ConnectionPermits>,
    pub(super) log_limiter: Arc<LogLimiter>,
    /// Raised once the server shuts down.
    pub(super) draining: Arc<Signal>,
    /// How many of them were greeted and have not ended.
    pub(super) greeted: Arc<AtomicUsize>,
}

/// What a builder was given, in the order in which it is asked.
#[derive(Default)]
pub(super) struct Handoffs(Vec<Arc<dyn BoxHandoff>>);

impl Handoffs {
    pub(super) fn push(&mut self, handoff: impl Handoff) {
        self.0.push(Arc::new(handoff));
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Who serves every connection that was accepted at this address.
    pub(super) fn claiming(&self, local: &PeerAddress) -> Option<Arc<dyn BoxHandoff>> {
        let mut handoffs = self.0.iter();
        handoffs.find(|handoff| handoff.claims(local)).cloned()
    }

    /// Who serves a connection that begins with these bytes, which cannot begin a HELLO.
    pub(super) fn find(&self, start: &[u8]) -> Option<Arc<dyn BoxHandoff>> {
        let mut handoffs = self.0.iter();
        handoffs.find(|handoff| handoff.recognizes(start)).cloned()
    }
}

impl fmt::Debug for Handoffs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Handoffs").field(&self.0.len()).finish()
    }
}

/// A [`Handoff`] behind a pointer.
pub(super) trait BoxHandoff: Send + Sync {
    fn recognizes(&self, start: &[u8]) -> bool;

    fn claims(&self, local: &PeerAddress) -> bool;

    fn serve(self: Arc<Self>, peer: HandedOff) -> BoxFuture<'static, ()>;
}

impl<H: Handoff> BoxHandoff for H {
    fn recognizes(&self, start: &[u8]) -> bool {
        Handoff::recognizes(self, start)
    }

    fn claims(&self, local: &PeerAddress) -> bool {
        Handoff::claims(self, local)
    }

    fn serve(self: Arc<Self>, peer: HandedOff) -> BoxFuture<'static, ()> {
        // In a box, or the future would hold a place for it ever after. The box is moved once more, or its memory would be freed with the
        // future instead of where it is taken out.
        let peer = Box::new(peer);
        Box::pin(async move {
            let serving = Handoff::serve(&*self, {
                let peer = peer;
                *peer
            });
            serving.await;
        })
    }
}

/// A connection that is to be handed off.
pub(super) struct Foreign {
    pub(super) connection: Connection,
    pub(super) received: BytesMut,
    pub(super) handoff: Arc<dyn BoxHandoff>,
}

impl Foreign {
    /// Serves it. The peer must be greeted until `deadline`.
    pub(super) fn serve(
        self,
        permit: ConnectionPermit,
        handshake_permit: OwnedSemaphorePermit,
        deadline: Instant,
        server: HandoffServer,
    ) -> BoxFuture<'static, ()> {
        let address = self.connection.peer.clone();
        let held = Arc::new(Held {
            server,
            permits: Mutex::new(Permits {
                connection: permit,
                handshake: Some(handshake_permit),
                is_greeted: false,
            }),
            greeted: Notify::new(),
            deadline,
        });
        let mut serving = self.handoff.serve(HandedOff {
            connection: self.connection,
            received: self.received,
            permit: HandoffPermit(Arc::clone(&held)),
        });
        Box::pin(async move {
            // In a box of its own: an open connection keeps no timer.
            let is_over = Box::pin(async {
                tokio::select! {
                    biased;
                    () = &mut serving => true,
                    () = held.greeted.notified() => false,
                    () = Raised::of(&held.server.draining) => true,
                    () = sleep_until(deadline) => {
                        handshake_refused(RefusedHandshake::TimedOut);
                        if held.server.log_limiter.may_log_refused(&address) {
                            tracing::info!(rule = "it did not come in time", "no HELLO");
                        }
                        true
                    }
                }
            });
            if !is_over.await {
                serving.await;
            }
        })
    }
}

/// Whether a connection begins with an MSIP HELLO (docs/protocol.md, "Dialects"); `None` as long as it may.
pub(super) fn begins_with_hello(start: &[u8]) -> Option<bool> {
    let fields: [(usize, &[u8]); 4] = [
        (0, &MAGIC),
        (4, &[VERSION]),
        (6, &FrameType::Hello.number().to_be_bytes()),
        (8, &MsgKind::State.number().to_be_bytes()),
    ];
    for (at, field) in fields {
        let has_come = start.get(at..).unwrap_or_default();
        let has_come = has_come.get(..field.len()).unwrap_or(has_come);
        if !field.starts_with(has_come) {
            return Some(false);
        }
    }
    let RawHeader { payload_len, .. } = RawHeader::split(start.first_chunk()?);
    Some(usize::try_from(payload_len).is_ok_and(|len| len > SessionId::LEN))
}

#[cfg(test)]
mod tests {
    use super::*;
    use msip_session::wire::HEADER_LEN;

    fn header(frame_type: u16, kind: u16, len: u32) -> Vec<u8> {
        let mut bytes = b"MSIP\x01\x00".to_vec();
        bytes.extend(frame_type.to_be_bytes());
        bytes.extend(kind.to_be_bytes());
        bytes.extend([0, 0]);
        bytes.extend(len.to_be_bytes());
        bytes.extend(1_u64.to_be_bytes());
        bytes
    }

    #[test]
    fn a_hello_of_kind_state_with_more_than_a_session_id_is_one_of_msip() {
        let cases = [
            ("MSIP", header(1, 3, 9), true),
            ("a session id alone", header(1, 3, 8), false),
            ("of kind EVENT", header(1, 1, 100), false),
            ("a PING", header(8, 3, 100), false),
            (
                "another magic",
                b"GET / HTTP/1.1\r\nHost: a\r\n".to_vec(),
                false,
            ),
            ("version 2", b"MSIP\x02".to_vec(), false),
        ];
        for (name, bytes, is_hello) in cases {
            assert_eq!(begins_with_hello(&bytes), Some(is_hello), "{name}");
        }
    }

    #[test]
    fn it_is_known_as_soon_as_the_bytes_show_it() {
        let hello = header(1, 3, 9);
        for len in 0..HEADER_LEN {
            assert_eq!(begins_with_hello(&hello[..len]), None, "{len}");
        }
        let ping = header(8, 1, 0);
        for len in 0..8 {
            assert_eq!(begins_with_hello(&ping[..len]), None, "{len}");
        }
        assert_eq!(begins_with_hello(&ping[..8]), Some(false));
        assert_eq!(begins_with_hello(b"G"), Some(false));
    }
}
