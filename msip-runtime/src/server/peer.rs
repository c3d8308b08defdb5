//! A server's handle of one client.

use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{Extensions, Registry};
use crate::{
    CallError, CallOptions, Code, Codec, Compression, Dropped, LostExchange, PeerId, Protocol,
    Sender, Status,
    call::{Call, Serving},
    connection::ConnectionShared,
    middleware::Stack,
    transport::{Connection, PeerAddress, PeerCredential},
    with::With,
};
use msip_session::Lost;

/// A connected client of the protocol `P`, to which a server sends by the methods of the generated
/// `SendServerToClient`.
///
/// It is a cheap handle of the client's session, and may outlive its connections: without one, what is sent fails with
/// [`SendError::Disconnected`](crate::SendError::Disconnected) until the client comes back, which
/// [`resumed`](Self::resumed) tells; and with [`SendError::Closed`](crate::SendError::Closed) once the session has
/// ended. Deliveries and calls that were on their way when a connection was lost go on with the next one.
pub struct Peer<P: Protocol> {
    shared: Arc<Shared<P>>,
    serving: Serving,
}

struct Shared<P: Protocol> {
    id: PeerId,
    remote: Mutex<Remote>,
    resumed: AtomicBool,
    client_name: String,
    client_fingerprint: u64,
    connection: Arc<ConnectionShared>,
    outgoing: Stack,
    extensions: Extensions,
    /// What was open when the session ended; not there before.
    lost: OnceLock<Vec<LostExchange>>,
    registry: Weak<Registry<Peer<P>>>,
}

/// What the transport tells of the client's current connection.
#[derive(Debug, Clone)]
pub(super) struct Remote {
    pub(super) address: PeerAddress,
    pub(super) is_confidential: bool,
    pub(super) credential: PeerCredential,
}

impl From<&Connection> for Remote {
    fn from(connection: &Connection) -> Self {
        Self {
            address: connection.peer.clone(),
            is_confidential: connection.is_confidential,
            credential: connection.credential.clone(),
        }
    }
}

/// What is known of a client after its handshake.
pub(super) struct Introduction {
    pub(super) id: PeerId,
    pub(super) remote: Remote,
    pub(super) client_name: String,
    pub(super) client_fingerprint: u64,
}

impl<P: Protocol> Peer<P> {
    pub(super) fn new(
        introduction: Introduction,
        connection: Arc<ConnectionShared>,
        outgoing: Stack,
        registry: &Arc<Registry<Self>>,
    ) -> Self {
        let Introduction {
            id,
            remote,
            client_name,
            client_fingerprint,
        } = introduction;
        let registry = Arc::downgrade(registry);
        let extensions = Extensions::default();
        let shared = Shared {
            id,
            remote: Mutex::new(remote),
            resumed: AtomicBool::new(false),
            client_name,
            client_fingerprint,
            connection,
            outgoing,
            extensions,
            lost: OnceLock::new(),
            registry,
        };
        Self {
            shared: Arc::new(shared),
            serving: Serving::default(),
        }
    }

    /// The random number under which this server knows the client.
    pub fn id(&self) -> PeerId {
        self.shared.id
    }

    /// Where it connects from, or did last.
    pub fn address(&self) -> PeerAddress {
        self.shared.remote().address
    }

    /// Whether the client has come back to this session: false on its first connection, true on every later one.
    pub fn resumed(&self) -> bool {
        self.shared.resumed.load(Ordering::Relaxed)
    }

    /// The client has resumed its session with another connection.
    pub(super) fn has_resumed(&self, remote: Remote) {
        *self
            .shared
            .remote
            .lock()
            .unwrap_or_else(PoisonError::into_inner) = remote;
        self.shared.resumed.store(true, Ordering::Relaxed);
    }

    /// The session has ended, and this was open in it.
    pub(super) fn ended(&self, lost: &[Lost]) {
        let lost = LostExchange::of::<P::ServerToClient>(lost);
        // It ends once.
        let _ = self.shared.lost.set(lost);
    }

    /// Values that the user keeps with this peer.
    pub fn extensions(&self) -> &Extensions {
        &self.shared.extensions
    }

    /// What is known of the connection.
    pub fn connection(&self) -> PeerConnection<'_> {
        PeerConnection {
            connection: &self.shared.connection,
            remote: self.shared.remote(),
            name: &self.shared.client_name,
            fingerprint: self.shared.client_fingerprint,
            lost: &self.shared.lost,
        }
    }

    /// A view of this peer that sends with other options: a deadline, for acknowledgment, urgently.
    ///
    /// `peer.with(peer.call())` passes on what remains of the deadline of a call that is being served, its correlation
    /// id and its trace context.
    pub fn with(&self, options: impl Into<CallOptions>) -> With<'_, Self> {
        With {
            target: self,
            options: options.into(),
        }
    }

    /// An exclusive sender of one-way messages, for streams of many small ones: it has a buffer of its own and
    /// the methods of the generated `PushServerToClient`.
    pub fn sender(&self) -> Sender<Self> {
        Sender::new(
            &self.shared.connection,
            self.clone(),
            self.shared.outgoing.installed().is_some(),
        )
    }

    /// The exchange that a handler serves; outside of a handler, one of which nothing is known.
    pub fn call(&self) -> Call<'_> {
        Call::new(&self.serving, &self.shared.connection)
    }

    /// Sends `len` bytes to the client's runtime and back, and returns how long that took. No handler is involved.
    ///
    /// # Errors
    ///
    /// [`CallError::DeadlineExceeded`] after `timeout`; [`CallError::NotSent`] where the client is gone, or where
    /// `len` is over 64 KiB; [`CallError::ConnectionLost`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future forgets the ping; its answer is ignored.
    pub async fn ping(&self, len: usize, timeout: Duration) -> Result<Duration, CallError> {
        self.shared.connection.ping(len, timeout).await
    }

    /// Closes the connection to this client, which is told `reason`: open calls may finish within `drain_timeout`,
    /// nothing new is sent or accepted. Returns at once.
    pub fn disconnect(&self, reason: impl Into<std::borrow::Cow<'static, str>>) {
        self.shared
            .connection
            .begin_close(&Status::new(Code::Aborted, reason));
    }

    pub(crate) fn shared(&self) -> &Arc<ConnectionShared> {
        &self.shared.connection
    }

    /// The peers of this server.
    pub(super) fn registry(&self) -> &Weak<Registry<Self>> {
        &self.shared.registry
    }

    /// The middleware around what is sent.
    pub(super) fn outgoing(&self) -> &Stack {
        &self.shared.outgoing
    }

    pub(super) fn serving(&self, serving: Serving) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            serving,
        }
    }
}

impl<P: Protocol> Shared<P> {
    fn remote(&self) -> Remote {
        self.remote
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }
}

impl<P: Protocol> Clone for Peer<P> {
    fn clone(&self) -> Self {
        self.serving(self.serving.clone())
    }
}

impl<P: Protocol> fmt::Debug for Peer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Peer")
            .field("protocol", &P::NAME)
            .field("id", &self.shared.id)
            .field("address", &self.address())
            .finish_non_exhaustive()
    }
}

/// What is known of a peer's connection; from [`Peer::connection`].
#[derive(Debug)]
pub struct PeerConnection<'a> {
    connection: &'a ConnectionShared,
    remote: Remote,
    name: &'a str,
    fingerprint: u64,
    lost: &'a OnceLock<Vec<LostExchange>>,
}

impl<'a> PeerConnection<'a> {
    /// How long the last ping took there and back; `None` before the first.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.connection
            .lock()
            .session()
            .and_then(|session| session.round_trip())
    }

    /// How many bytes are queued and not written, each frame counted as its length + 64.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.connection
            .lock()
            .session()
            .map_or(0, |session| session.queued())
    }

    /// How bodies are written, as the client chose it.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.connection.encoding().codec()
    }

    /// What bodies may be compressed with, as the client chose it.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.connection.encoding().compression()
    }

    /// How many frames of the client were ignored, because they answer nothing that is open or could not be read and
    /// asked for no answer.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.connection.ignored()
    }

    /// How many messages were taken to be sent and then dropped: with their connection, or by their kind to make room.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        self.connection.dropped()
    }

    /// Whether the session has ended for good: nothing more can be sent, and every send fails with
    /// [`SendError::Closed`](crate::SendError::Closed).
    #[must_use]
    pub fn is_gone(&self) -> bool {
        self.lost.get().is_some()
    }

    /// The calls and deliveries that were open when the session ended, in `on_client_gone` and after; empty before. Each
    /// caller has been told too.
    #[must_use]
    pub fn lost(&self) -> &'a [LostExchange] {
        self.lost.get().map_or(&[], Vec::as_slice)
    }

    /// Whether nobody but the client and this server can read or change what is sent: the connection is encrypted, or stays on
    /// this machine.
    #[must_use]
    pub fn is_confidential(&self) -> bool {
        self.remote.is_confidential
    }

    /// Who the client is, as far as the transport has proved it.
    #[must_use]
    pub fn credential(&self) -> &PeerCredential {
        &self.remote.credential
    }

    /// Whether the client is connected.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.connection
            .lock()
            .session()
            .is_some_and(|session| session.is_open())
    }

    /// What the client calls itself; it may be empty.
    #[must_use]
    pub fn client_name(&self) -> &'a str {
        self.name
    }

    /// The fingerprint of the client's schema. Where it is not `P::fingerprint()`, one of the two is newer.
    #[must_use]
    pub fn client_fingerprint(&self) -> u64 {
        self.fingerprint
    }
}
