//! A server's handle of one client.

mod record;
mod shared;

use std::{
    fmt,
    sync::{
        Arc, Mutex, OnceLock, PoisonError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use super::{
    Registry,
    at_topic::AtTopic,
    introduction::Introduction,
    peer_connection::{PeerConnection, Remote},
};
use crate::{
    CallError, CallOptions, Draining, Extensions, Identity, LostExchange, Metadata, PeerId,
    Protocol, SchemaDifference, Sender, Status,
    call::{Call, Serving},
    connection::ConnectionShared,
    middleware::{RemotePeer, Stack},
    outbound::SendHandle,
    transport::PeerAddress,
    with::With,
};
use msip_session::{Lost, wire::Topic};
pub(super) use record::PeerRecord;
use shared::Shared;

/// A client of the protocol `P`, as the server sees it. What a server may say are methods of the generated trait
/// `SendServerToClient`.
///
/// It is a cheap handle to the client's session, and may outlive its connections: without one, sends fail with
/// [`SendError::Disconnected`](crate::SendError::Disconnected) until the client reconnects (see
/// [`resumed`](Self::resumed)), and with [`SendError::Closed`](crate::SendError::Closed) once the session has ended.
/// Deliveries and calls that were open when a connection was lost continue with the next one.
///
/// # Examples
///
/// ```
/// # mod greet {
/// #     use msip_runtime::{ClientToServer, Message, ServerToClient};
/// #     #[derive(Debug, ClientToServer)]
/// #     #[msip(protocol = "greet")]
/// #     pub enum ClientToServer {
/// #         #[msip(tag = 1)]
/// #         HelloReq(HelloReq),
/// #     }
/// #     #[derive(Debug, ServerToClient)]
/// #     pub enum ServerToClient {
/// #         #[msip(tag = 1)]
/// #         HelloRsp(HelloRsp),
/// #         #[msip(tag = 2)]
/// #         ArrivedInd(ArrivedInd),
/// #     }
/// #     #[derive(Debug, Message)]
/// #     pub struct HelloReq {
/// #         #[msip(tag = 1)]
/// #         pub name: String,
/// #     }
/// #     #[derive(Debug, Message)]
/// #     pub struct HelloRsp {
/// #         #[msip(tag = 1)]
/// #         pub greeting: String,
/// #     }
/// #     #[derive(Debug, Message)]
/// #     pub struct ArrivedInd {
/// #         #[msip(tag = 1)]
/// #         pub name: String,
/// #     }
/// # }
/// use greet::{
///     ArrivedInd, BroadcastServerToClient as _, Greet, HandleClientToServer, HelloReq, HelloRsp,
///     SendServerToClient as _,
/// };
/// use msip_runtime::prelude::*;
/// # use greet::SendClientToServer as _;
///
/// /// Who this client is, as it said itself.
/// struct Name(String);
///
/// struct Greeter;
///
/// impl HandleClientToServer for Greeter {
///     async fn on_hello_req(&self, peer: &Peer<Greet>, request: HelloReq) -> Result<HelloRsp, Status> {
///         // Kept as long as the session, and so across reconnects.
///         peer.extensions().insert(Name(request.name.clone()));
///         // To this client; the message arrives before the answer, which is sent after it.
///         peer.arrived_ind(ArrivedInd { name: "the server".into() }).await?;
///         // To all others, without waiting for any of them.
///         peer.others().arrived_ind(ArrivedInd { name: request.name.clone() });
///         Ok(HelloRsp { greeting: format!("hello, {}", request.name) })
///     }
///
///     async fn on_client_gone(&self, peer: &Peer<Greet>) {
///         if let Some(name) = peer.extensions().get::<Name>() {
///             println!("{} is gone", name.0);
///         }
///     }
/// }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let server = Server::<Greet>::bind("mem://peer").await?;
/// # let url = server.local_url().to_string();
/// # tokio::spawn(server.serve(Greeter));
/// # let client = Client::<Greet>::connect(&url).await?;
/// # assert_eq!(client.hello_req(HelloReq { name: "ada".into() }).await?.greeting, "hello, ada");
/// # client.close().await;
/// # Ok(())
/// # }
/// ```
pub struct Peer<P: Protocol> {
    shared: Arc<Shared<P>>,
    serving: Serving,
}

impl<P: Protocol> Peer<P> {
    pub(super) fn new(
        introduction: Introduction,
        connection: Arc<ConnectionShared>,
        outgoing: Stack,
        registry: &Arc<Registry<Self>>,
    ) -> Self {
        Self::introduced(introduction, connection, outgoing, registry, None)
    }

    /// A client at a topic of the broker that this connection leads to.
    pub(super) fn at_topic(
        introduction: Introduction,
        connection: Arc<ConnectionShared>,
        outgoing: Stack,
        registry: &Arc<Registry<Self>>,
        at: AtTopic,
    ) -> Self {
        let at = Some(Box::new(at));
        Self::introduced(introduction, connection, outgoing, registry, at)
    }

    fn introduced(
        introduction: Introduction,
        connection: Arc<ConnectionShared>,
        outgoing: Stack,
        registry: &Arc<Registry<Self>>,
        at: Option<Box<AtTopic>>,
    ) -> Self {
        let Introduction {
            id,
            remote,
            client_name,
            client_fingerprint,
            schema,
            ..
        } = introduction;
        let registry = Arc::downgrade(registry);
        let extensions = Extensions::default();
        let shared = Shared {
            id,
            remote: Mutex::new(remote),
            resumed: AtomicBool::new(false),
            client_name,
            client_fingerprint,
            schema,
            connection,
            outgoing,
            extensions,
            lost: OnceLock::new(),
            registry,
            at,
        };
        Self {
            shared: Arc::new(shared),
            serving: Serving::default(),
        }
    }

    /// How many handles of it there are.
    pub(super) fn handle_count(&self) -> usize {
        Arc::strong_count(&self.shared)
    }

    /// The random number by which this server knows the client.
    pub fn id(&self) -> PeerId {
        self.shared.id
    }

    /// The address that it connects from, or connected from last.
    pub fn address(&self) -> PeerAddress {
        self.shared.remote().address
    }

    /// Who the client is, as the server's [`authenticate`](crate::ServerBuilder::authenticate) has answered for its current
    /// connection, or its last one; `None` where the server has no such hook. Of a client at a [`topic`](Self::topic): as the
    /// broker has authenticated it.
    pub fn identity(&self) -> Option<Arc<Identity>> {
        self.shared.identity()
    }

    /// The topic at which the client speaks, where the server is [attached](crate::Server::attach) to a broker; `None` on a direct
    /// connection.
    pub fn topic(&self) -> Option<&str> {
        self.shared.at.as_ref().map(|at| &*at.topic)
    }

    /// Whether the client has resumed this session: false on its first connection, true on every later one.
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

    /// Whether both are handles of one client's session.
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    /// Whether its schema has another fingerprint, and was not compared yet.
    pub(super) fn is_being_compared(&self) -> bool {
        let check = self.shared.schema.as_ref();
        check.is_some_and(|check| check.is_pending())
    }

    /// What is kept of it while it has no connection: its name, its identity, and its rooms, in bytes.
    pub(super) fn suspended_len(&self) -> usize {
        let identity = self.identity().map_or(0, |identity| identity.len());
        let registry = self.shared.registry.upgrade();
        let rooms = registry.map_or(0, |registry| registry.rooms().len_of_peer(self.id()));
        self.shared.client_name.len() + identity + rooms
    }

    /// The session has ended, and this was open in it.
    pub(super) fn ended(&self, lost: &[Lost]) {
        let lost = LostExchange::of::<P::ServerToClient>(lost);
        // It ends once.
        let _ = self.shared.lost.set(lost);
    }

    /// What differs between the server's schema and the client's, in words. `None` where the two are the same, and until they
    /// were compared, which takes a question to the client: see [`schema_compared`](Self::schema_compared).
    #[must_use]
    pub fn schema_difference(&self) -> Option<Arc<SchemaDifference>> {
        self.shared.schema.as_ref()?.difference()
    }

    /// Waits until the schemas were compared, or cannot be, and returns what differs; `None` at once where they are the same.
    /// It takes `handshake_timeout` at most, or until the session ends.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn schema_compared(&self) -> Option<Arc<SchemaDifference>> {
        self.shared.schema.as_ref()?.finished().await
    }

    /// Whether the session has ended.
    pub(super) fn is_gone(&self) -> bool {
        self.shared.lost.get().is_some()
    }

    /// Values that the application keeps for this peer.
    pub fn extensions(&self) -> &Extensions {
        &self.shared.extensions
    }

    /// The names of the [rooms](crate::Room) that it is in, in order.
    pub fn rooms(&self) -> Vec<String> {
        let registry = self.shared.registry.upgrade();
        registry.map_or_else(Vec::new, |registry| registry.rooms().of_peer(self.id()))
    }

    /// Information about the connection.
    pub fn connection(&self) -> PeerConnection<'_> {
        PeerConnection {
            connection: &self.shared.connection,
            remote: self.shared.remote(),
            name: &self.shared.client_name,
            fingerprint: self.shared.client_fingerprint,
            lost: &self.shared.lost,
            topic: self.topic(),
        }
    }

    /// A view of this peer that sends with options, such as a deadline, headers or a request for acknowledgment.
    ///
    /// `peer.with(peer.call())` propagates what remains of the deadline of the call that is being handled, its
    /// correlation id and its trace context.
    pub fn with(&self, options: impl Into<CallOptions>) -> With<'_, Self> {
        With {
            target: self,
            options: options.into(),
        }
    }

    /// An exclusive sender of one-way messages, for many small ones: it has a buffer of its own and the methods of the
    /// generated trait `PushServerToClient`.
    pub fn sender(&self) -> Sender<Self> {
        Sender::new(
            &self.shared.connection,
            self.clone(),
            self.shared.outgoing.installed().is_some(),
            SendHandle::topic(self),
            0,
        )
    }

    /// The exchange that the handler is handling; outside of a handler, an empty one.
    pub fn call(&self) -> Call<'_> {
        Call::new(&self.serving, &self.shared.connection)
    }

    /// Sends `len` bytes to the client and back, and returns the round-trip time. No handler is involved. Of a client at a
    /// [`topic`](Self::topic): to the broker and back.
    ///
    /// # Errors
    ///
    /// [`CallError::DeadlineExceeded`] after `timeout`; [`CallError::NotSent`] where the session has ended, or where
    /// `len` is over 64 KiB; [`CallError::ConnectionLost`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future abandons the ping; its answer is ignored.
    pub async fn ping(&self, len: usize, timeout: Duration) -> Result<Duration, CallError> {
        self.shared.connection.ping(len, timeout).await
    }

    /// Closes the session of this client gracefully, with this status: nothing new is sent or accepted, and open calls may
    /// finish within `drain_timeout`. Returns at once.
    ///
    /// The code of the status says whether the client comes back. After `UNAVAILABLE` and `RESOURCE_EXHAUSTED` it does,
    /// with a wait that grows as long as its connections do not last. After any other, such as `PERMISSION_DENIED` or
    /// `ABORTED`, its handler decides in `on_closed_by_server`, and stays away unless it is implemented.
    ///
    /// Of a client at a [`topic`](Self::topic), the broker is asked to end its session in this way.
    ///
    /// # Protocol
    ///
    /// docs/protocol.md, "Errors and close".
    pub fn disconnect(&self, status: impl Into<Status>) {
        let status = status.into();
        match &self.shared.at {
            None => self.shared.connection.begin_close(&status),
            Some(at) => at.disconnect(status),
        }
    }

    /// A future that is ready once the connection to this client drains: the server shuts down, or either side closes the
    /// connection; or its session has ended. For tasks that work for a client outside of a handler; see [`Draining`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses nothing.
    pub fn draining(&self) -> Draining {
        match &self.shared.at {
            None => self.shared.connection.draining(),
            Some(at) => at.draining(),
        }
    }

    pub(crate) fn shared(&self) -> &Arc<ConnectionShared> {
        &self.shared.connection
    }

    /// The peers of this server.
    pub(super) fn registry(&self) -> &Weak<Registry<Self>> {
        &self.shared.registry
    }

    /// Where what is sent to it goes; `None` on a direct connection.
    #[inline]
    pub(super) fn to(&self) -> Option<&Topic> {
        self.shared.at.as_ref().map(|at| &at.to)
    }

    /// The client as middleware sees it.
    pub(super) fn remote_peer(&self) -> Arc<dyn RemotePeer> {
        Arc::clone(&self.shared) as Arc<dyn RemotePeer>
    }

    /// Says in what came with a message who has sent it, where this is a handle for one connection.
    pub(super) fn complete(&self, serving: &mut Serving) {
        match &self.serving.metadata {
            Some(sender) => Metadata::set_sender(&mut serving.metadata, sender),
            None if self.shared.at.is_some() => Metadata::forget_nameless(&mut serving.metadata),
            None => {}
        }
    }

    /// The middleware around outgoing exchanges.
    pub(super) fn outgoing(&self) -> &Stack {
        &self.shared.outgoing
    }

    /// Whether [`complete`](Self::complete) has anything to say.
    #[inline]
    pub(super) fn knows_sender(&self) -> bool {
        self.serving.metadata.is_some()
    }

    /// A handle for one exchange, which says who has sent it.
    #[cold]
    pub(super) fn serving_for_sender(&self, mut serving: Serving) -> Self {
        self.complete(&mut serving);
        self.serving(serving)
    }

    #[inline]
    pub(super) fn serving(&self, serving: Serving) -> Self {
        Self {
            shared: Arc::clone(&self.shared),
            serving,
        }
    }
}

impl<P: Protocol> Clone for Peer<P> {
    fn clone(&self) -> Self {
        self.serving(self.serving.clone())
    }
}

impl<P: Protocol> fmt::Debug for Peer<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.fmt(f)
    }
}
