//! Information about a client's connection.

use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;

use super::{ClientShared, establish::Target, subscription::Spoken, topic::ClientTopic};
use crate::{
    CallOptions, CloseReason, Codec, Compression, Dropped, MemoryUse, SchemaDifference, SchemaRule,
    SessionLost,
    compatibility::{Outcome, PeerSchemas, SchemaCheck, beside},
    driver::HandlerTask,
    transport::Address,
};

/// The state of a client's connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConnectionState {
    /// It is connected.
    Connected,
    /// The connection is lost, and the client tries to reconnect, or waits to.
    Reconnecting {
        /// The number of attempts that have failed since it was lost.
        failed_attempts: u32,
    },
    /// The client is closed, and will not reconnect.
    Closed,
}

/// What the handshake yielded.
#[derive(Debug)]
pub(super) struct SharedInfo {
    pub(super) welcomed: Mutex<Welcomed>,
    pub(super) lost: watch::Sender<Option<SessionLost>>,
    schema: Mutex<SchemaState>,
    /// How often a service has come to speak at the client's topic.
    spoken: watch::Sender<u64>,
    /// Whether each of the session's channels is there.
    channels: watch::Sender<Vec<bool>>,
}

/// The check of the schema of this session's server; nothing where it has the fingerprint of ours.
#[derive(Debug, Default)]
struct SchemaState {
    check: Option<Arc<SchemaCheck>>,
    /// What makes the check, until the session's handlers run.
    checking: Option<Checking>,
}

/// A check that has not begun to run.
struct Checking(Pin<Box<dyn Future<Output = Outcome> + Send>>);

impl fmt::Debug for Checking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Checking")
    }
}

impl Default for SharedInfo {
    fn default() -> Self {
        Self {
            welcomed: Mutex::default(),
            lost: watch::Sender::new(None),
            schema: Mutex::default(),
            spoken: watch::Sender::new(0),
            channels: watch::Sender::new(Vec::new()),
        }
    }
}

impl SharedInfo {
    pub(super) fn welcomed(&self) -> Welcomed {
        self.lock_welcomed().clone()
    }

    fn lock_welcomed(&self) -> MutexGuard<'_, Welcomed> {
        self.welcomed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn schema(&self) -> Option<Arc<SchemaCheck>> {
        self.lock_schema().check.clone()
    }

    fn lock_schema(&self) -> MutexGuard<'_, SchemaState> {
        self.schema.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[derive(Debug, Default, Clone)]
pub(super) struct Welcomed {
    pub(super) address: Option<Address>,
    pub(super) is_confidential: bool,
    pub(super) is_broker: bool,
    pub(super) peer_id: u64,
    pub(super) server_name: String,
    pub(super) server_fingerprint: u64,
    pub(super) server_describes: bool,
    pub(super) resumed: bool,
}

impl ClientShared {
    /// A channel was opened or lost, or others are the session's.
    pub(super) fn channels_changed(&self) {
        // Looked at while the value is locked, so that the last look stays.
        self.info
            .channels
            .send_modify(|channels| *channels = self.connection.channels_up());
    }

    /// Begins to check the schema of a new session's server, where that has another fingerprint.
    /// It does not wait for the login of this number.
    pub(super) fn begin_schema_check(
        &self,
        schemas: &Arc<PeerSchemas>,
        limit: Duration,
        login: u64,
    ) {
        let Welcomed {
            server_fingerprint,
            server_describes,
            ..
        } = self.info.welcomed();
        let options = CallOptions::new().timeout(limit).of_login(login);
        // A client does not choose: it could only leave.
        let rule = SchemaRule::Any;
        let topic = self.topic.as_ref().map(ClientTopic::services);
        let check = schemas.check(
            server_fingerprint,
            server_describes,
            &self.connection,
            topic,
            options,
            rule,
        );
        *self.info.lock_schema() = match check {
            Some((check, checking)) => SchemaState {
                check: Some(check),
                checking: Some(Checking(Box::pin(checking))),
            },
            None => SchemaState::default(),
        };
    }

    /// A session begins: what this side tells of its schema.
    pub(super) fn begin_session(&self, target: &Target) {
        if let Some(schemas) = &target.schemas {
            self.connection.describe(Arc::clone(schemas.own()));
        }
        if target.topic.is_some() {
            self.begin_topic_session();
        } else {
            *self.info.lock_schema() = SchemaState::default();
        }
    }

    /// A session begins, in which nobody is known yet to speak at the topic.
    pub(super) fn begin_topic_session(&self) {
        let mut welcomed = self.info.lock_welcomed();
        welcomed.server_fingerprint = 0;
        welcomed.server_describes = false;
        drop(welcomed);
        *self.info.lock_schema() = SchemaState::default();
    }

    /// The address in use.
    pub(super) fn address(&self) -> Option<Address> {
        self.welcomed().address
    }

    /// The outcome of the handshake; that of who speaks at the topic is the client's own.
    fn welcomed(&self) -> Welcomed {
        let own = self.info.welcomed();
        let Some(parent) = &self.parent else {
            return own;
        };
        Welcomed {
            server_fingerprint: own.server_fingerprint,
            server_describes: own.server_describes,
            ..parent.shared.info.welcomed()
        }
    }

    /// A service speaks at the client's topic, with the schema of this fingerprint.
    pub(super) fn topic_speaks(&self, fingerprint: u64) {
        let mut welcomed = self.info.lock_welcomed();
        welcomed.server_fingerprint = fingerprint;
        welcomed.server_describes = true;
        drop(welcomed);
        *self.info.lock_schema() = SchemaState::default();
        self.info.spoken.send_modify(|count| *count += 1);
    }

    /// The handlers of a session at a topic, with the checks of the schemas beside them that are spoken there, one after the
    /// other.
    pub(super) fn beside_topic_checks(
        self: &Arc<Self>,
        spoken: Arc<Spoken>,
        handlers: HandlerTask,
    ) -> HandlerTask {
        let shared = Arc::clone(self);
        // From the subscription of this session on.
        let mut count = shared.info.spoken.subscribe();
        let checking = async move {
            while count.changed().await.is_ok() {
                if shared.info.lock_schema().check.is_none() {
                    shared.begin_schema_check(&spoken.schemas, spoken.limit, 0);
                }
                let checking = shared.info.lock_schema().checking.take();
                if let Some(Checking(checking)) = checking {
                    checking.await;
                }
            }
            Outcome::GoesOn
        };
        beside(checking, handlers)
    }

    /// The handlers of a session, with the check of its server's schema beside them.
    pub(super) fn beside_schema_check(&self, handlers: HandlerTask) -> HandlerTask {
        let checking = self.info.lock_schema().checking.take();
        match checking {
            Some(Checking(checking)) => beside(checking, handlers),
            None => handlers,
        }
    }
}

/// Information about a client's connection; from [`Client::connection`](crate::Client::connection).
///
/// Each method says what holds at the moment; what may be awaited has a receiver: [`watch`](Self::watch),
/// [`lost_sessions`](Self::lost_sessions), [`watch_channels`](Self::watch_channels).
///
/// # Examples
///
/// A task that tells when a client is out of reach:
///
/// ```
/// use msip_runtime::{Client, ConnectionState, Protocol};
///
/// async fn report<P: Protocol>(client: &Client<P>) {
///     let mut state = client.connection().watch();
///     // An error says that the client is gone.
///     while state.changed().await.is_ok() {
///         match *state.borrow_and_update() {
///             ConnectionState::Connected => println!("connected"),
///             ConnectionState::Closed => println!("closed: {:?}", client.connection().closed()),
///             _ => println!("out of reach"),
///         }
///     }
/// }
/// ```
#[derive(Debug)]
pub struct ConnectionInfo<'a> {
    shared: &'a ClientShared,
}

impl<'a> ConnectionInfo<'a> {
    pub(super) fn new(shared: &'a ClientShared) -> Self {
        Self { shared }
    }

    /// The current state of the connection.
    #[must_use]
    pub fn state(&self) -> ConnectionState {
        if self.closed().is_some() {
            // What has failed for that reason may be seen before the change of the state.
            return ConnectionState::Closed;
        }
        match &self.shared.parent {
            None => *self.shared.state.borrow(),
            Some(parent) => *parent.shared.state.borrow(),
        }
    }

    /// Why the client is closed, and will not reconnect; `None` while it is not closed.
    #[must_use]
    pub fn closed(&self) -> Option<CloseReason> {
        self.shared.sending().close_reason()
    }

    /// A receiver of the state. It sees the latest change, though not each of several between two looks.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<ConnectionState> {
        self.shared.state.subscribe()
    }

    /// A receiver of the last session that was lost, with every exchange whose outcome is unknown; `None` before the
    /// first loss. A client that reconnects in time resumes its session and loses nothing. It loses the session where
    /// the server was restarted, has ended or closed it, or does not keep sessions; it then continues with a new one.
    ///
    /// A slow receiver sees the last loss only; `count` is the number of all of them.
    #[must_use]
    pub fn lost_sessions(&self) -> watch::Receiver<Option<SessionLost>> {
        let shared = self.shared;
        let of_parent = shared.parent.as_ref().map(|parent| &*parent.shared);
        of_parent.unwrap_or(shared).info.lost.subscribe()
    }

    /// Whether the connection resumed the session of an earlier one.
    #[must_use]
    pub fn resumed(&self) -> bool {
        self.welcomed().resumed
    }

    /// The number of messages that were accepted to be sent and then dropped: with their connection, or by their kind
    /// under pressure.
    #[must_use]
    pub fn dropped(&self) -> Dropped {
        self.shared.connection.dropped()
    }

    /// Whether each [channel](crate::Channel) of the client is there, in the order in which the URL and then the builder name
    /// them. Empty where the server takes no channels.
    #[must_use]
    pub fn channels(&self) -> Vec<bool> {
        self.shared.info.channels.borrow().clone()
    }

    /// A receiver of what [`channels`](Self::channels) returns. It sees the latest change, though not each of several between two
    /// looks.
    #[must_use]
    pub fn watch_channels(&self) -> watch::Receiver<Vec<bool>> {
        self.shared.info.channels.subscribe()
    }

    /// The round-trip time of the last ping; `None` before the first.
    #[must_use]
    pub fn round_trip(&self) -> Option<Duration> {
        self.shared
            .connection
            .lock()
            .session()
            .and_then(|session| session.round_trip())
    }

    /// The codec of bodies.
    #[must_use]
    pub fn codec(&self) -> Codec {
        self.shared.connection.encoding().codec()
    }

    /// The compression of bodies: that of the setting `compress`, or none where the server does not support it.
    #[must_use]
    pub fn compression(&self) -> Compression {
        self.shared.connection.encoding().compression()
    }

    /// The number of bytes that are queued and not written, each frame counted as its length + 64.
    #[must_use]
    pub fn queued(&self) -> usize {
        self.shared
            .connection
            .lock()
            .session()
            .map_or(0, |session| session.queued())
    }

    /// The memory that all sessions hold which share this client's `max_memory`.
    #[must_use]
    pub fn memory(&self) -> MemoryUse {
        self.shared.connection.memory()
    }

    /// The number of the server's frames that were ignored, because they answer nothing that is open, or were invalid
    /// and requested no answer.
    #[must_use]
    pub fn ignored(&self) -> u64 {
        self.shared.connection.ignored()
    }

    /// The address in use, of those that the client was given: where it is connected, or was last. `None` for a client
    /// that was never connected, such as some in tests.
    #[must_use]
    pub fn address(&self) -> Option<Address> {
        self.welcomed().address
    }

    /// The topic of a broker at which the client speaks, as its URL names it; `None` on a direct connection.
    #[must_use]
    pub fn topic(&self) -> Option<&'a str> {
        let topic = self.shared.topic.as_ref()?;
        Some(topic.name().as_str())
    }

    /// The number by which others know this client, chosen by the server.
    #[must_use]
    pub fn peer_id(&self) -> u64 {
        self.welcomed().peer_id
    }

    /// The name of the server; it may be empty.
    #[must_use]
    pub fn server_name(&self) -> String {
        self.welcomed().server_name
    }

    /// What differs between the client's schema and the server's, in words. `None` where the two are the same, and until they
    /// were compared, which takes a question to the server: see [`schema_compared`](Self::schema_compared).
    #[must_use]
    pub fn schema_difference(&self) -> Option<Arc<SchemaDifference>> {
        self.shared.info.schema()?.difference()
    }

    /// Waits until the schemas were compared, or cannot be, and returns what differs; `None` at once where they are the same.
    /// It takes `handshake_timeout` at most, or until the session ends.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn schema_compared(&self) -> Option<Arc<SchemaDifference>> {
        let check = self.shared.info.schema()?;
        check.finished().await
    }

    /// The fingerprint of the server's schema. Where it is not `P::fingerprint()`,
    /// [`schema_difference`](Self::schema_difference) says what differs.
    #[must_use]
    pub fn server_fingerprint(&self) -> u64 {
        self.welcomed().server_fingerprint
    }

    /// Whether only both ends can read or change what is sent: the connection is encrypted, or is on this machine.
    pub(super) fn is_confidential(&self) -> bool {
        self.welcomed().is_confidential
    }

    /// Whether the server routes messages by topic.
    pub(super) fn is_broker(&self) -> bool {
        self.welcomed().is_broker
    }

    fn welcomed(&self) -> Welcomed {
        self.shared.welcomed()
    }
}
