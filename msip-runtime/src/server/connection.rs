//! One client's session on the server, through all of its connections.

use std::{future::Future, sync::Arc, time::Duration};

use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout_at},
};

use super::{
    about_client::AboutClient,
    begin::{Beginning, Begun, begin, welcome},
    channel_connection::{self, BegunChannel},
    channels::HostedChannels,
    expiry::{expired, expiry},
    listeners::AcceptedConnection,
    parked::ParkedSession,
    permits::ConnectionPermit,
    protocols::{ParkedPeer, ServedPeer},
    resumed::{Resumed, ResumedReceiver},
    sessions::{ParkedClaim, Registration},
    shared::{ServerShared, goodbye},
    suspended::{Closing, Idle, SuspendedStep, next_resumed, suspended_step},
};
use crate::{
    CloseReason, DisconnectReason, Status,
    connection::{ConnectionShared, ParkedConnection, Raised},
    driver::{
        self, Driver, Ending, GracefulClose, HandlerTask, drain, no_handlers, refuse_at_once,
        run_suspended,
    },
    error::WithCauses,
    instruments::{self, SessionCount},
    service::{Inbox, caught, log_panic},
    transport::{BoxFuture, Stream},
};
use msip_session::{
    PeerTerms,
    wire::{Decoder, Escaped, SessionId, Welcome},
};

/// What a session without a connection takes besides what it keeps for its client, in bytes: its task, its tables and those of
/// its handlers. A test measures it.
const SUSPENDED_LEN: usize = 6 * 1024 + 512;

/// How long a session without a connection waits until it looks again whether it can be parked; doubled with each look.
const FIRST_LOOK: Duration = Duration::from_secs(1);

/// How a connection and its session ended.
#[derive(Debug, Default)]
pub(super) struct ConnectionEnd {
    /// How many exchanges were lost with it.
    pub(super) cut_off: usize,
}

/// Serves one client, for as long as its session lasts; a connection of a session that exists is sent to that.
/// `handshake_permit` is one of `max_handshakes`.
///
/// Most of its life a connection is silent, and there are many: what only its beginning or its end needs is boxed, and
/// is not held meanwhile.
pub(super) fn serve(
    accepted: AcceptedConnection,
    permit: ConnectionPermit,
    handshake_permit: OwnedSemaphorePermit,
    shared: Arc<ServerShared>,
) -> impl Future<Output = ConnectionEnd> + Send {
    let beginning = Box::pin(async move {
        let begun = tokio::select! {
            biased;
            // Nobody has been told of the client: where it has not come so far it takes no part in a drain.
            () = Raised::of(&shared.draining) => return None,
            begun = begin(accepted, permit, handshake_permit, &shared) => begun?,
        };
        Some(match begun {
            Beginning::Session(begun) => {
                let (session, attached) = KeptSession::new(*begun, shared);
                Served::Session(session, attached)
            }
            Beginning::Parked(parked, resumed) => {
                let mut session = KeptSession::claimed(parked, shared);
                let attached = session.resume(resumed);
                Served::Session(session, attached)
            }
            Beginning::Channel(begun) => Served::Channel(begun, shared),
            Beginning::HandedOff(serving) => Served::HandedOff(serving),
        })
    });
    async move {
        match beginning.await {
            // In a box: what is handed off has a future of its own, and needs no place for this one.
            Some(Served::Session(session, attached)) => Box::pin(session.serve(attached)).await,
            Some(Served::Channel(begun, shared)) => ConnectionEnd {
                cut_off: Box::pin(channel_connection::serve(begun, shared)).await,
            },
            Some(Served::HandedOff(serving)) => {
                serving.await;
                ConnectionEnd::default()
            }
            None => ConnectionEnd::default(),
        }
    }
}

/// What a connection is served by.
enum Served {
    Session(Box<KeptSession>, Attached),
    Channel(Box<BegunChannel>, Arc<ServerShared>),
    HandedOff(BoxFuture<'static, ()>),
}

/// Ends a session that was parked: its handler is told.
pub(super) async fn end_parked(
    session: Box<ParkedSession>,
    shared: Arc<ServerShared>,
) -> ConnectionEnd {
    KeptSession::unpark(session, shared).expire().await
}

/// A session, through all of its connections.
struct KeptSession {
    shared: Arc<ServerShared>,
    id: SessionId,
    about: AboutClient,
    peer: Arc<dyn ServedPeer>,
    connection: Arc<ConnectionShared>,
    inbox: Arc<Inbox>,
    handlers: HandlerTask,
    /// The handlers are there; while there is no connection they may not be.
    has_handlers: bool,
    /// Its channels, where it has any.
    channels: Option<HostedChannels>,
    /// `None` where the session ends with its connection.
    registration: Option<Registration>,
    resumed: Option<ResumedReceiver>,
    /// The client has sent something after a HELLO: it knows of the session.
    is_confirmed: bool,
    /// The connection before this one, as long as it is being closed.
    closing: Option<Closing>,
    _abandon: AbandonOnDrop,
    count: SessionCount,
}

/// How many handles of a session's connection there are while its handlers are not there: that of its task, the one to end it
/// by, and its peer's.
const OWN_HANDLES: usize = 3;

/// The session's current connection.
struct Attached {
    driver: Box<Driver>,
    /// One of `max_connections`.
    permit: ConnectionPermit,
}

impl KeptSession {
    /// The session that begins, and its first connection.
    fn new(begun: Begun, shared: Arc<ServerShared>) -> (Box<Self>, Attached) {
        let Begun {
            connection,
            stream,
            decoder,
            permit,
            session_id,
            kept,
            channels,
            about,
            peer,
            inbox,
            handlers,
        } = begun;
        let (registration, resumed) = kept.unzip();
        let abandon = AbandonOnDrop {
            peer: Arc::clone(&peer),
            connection: Arc::clone(&connection),
        };
        let session = Self {
            shared,
            id: session_id,
            about,
            peer,
            connection,
            inbox,
            handlers,
            has_handlers: true,
            channels,
            registration,
            resumed,
            is_confirmed: false,
            closing: None,
            _abandon: abandon,
            count: SessionCount::new(instruments::Side::Server),
        };
        let driver = session.driver(stream, decoder);
        (Box::new(session), Attached { driver, permit })
    }

    async fn serve(mut self: Box<Self>, mut attached: Attached) -> ConnectionEnd {
        loop {
            let Attached { driver, permit } = attached;
            let (ended, arrival) = self.run(driver).await;
            // In a box: while the connection is there, nothing is held for what comes after it.
            match Box::pin(self.go_on(ended, arrival, permit)).await {
                After::Connection(session, next) => (self, attached) = (session, next),
                After::End(end) => return end,
            }
        }
    }

    /// A connection of the session has ended, or is replaced by `arrival`: goes on with the next one, or ends the session.
    async fn go_on(
        mut self: Box<Self>,
        ended: Box<driver::ConnectionEnd>,
        arrival: Option<Box<Resumed>>,
        permit: ConnectionPermit,
    ) -> After {
        let driver::ConnectionEnd {
            reason,
            is_suspended,
            cut_off,
            graceful_close,
            lost,
            has_received,
        } = *ended;
        self.is_confirmed |= has_received;
        if self.may_log() {
            tracing::info!(peer = %self.about.id, reason = %WithCauses(&reason), is_suspended, "disconnected");
        }
        if !is_suspended {
            // Nobody can resume it from here on.
            self.registration = None;
            self.resumed = None;
            self.inbox.close();
            self.connection.close(CloseReason::ClosedByUs);
            self.peer.ended(&lost);
            // Its place among the connections is held until it is closed.
            Box::pin(self.finish(graceful_close, reason)).await;
            drop(permit);
            return After::End(ConnectionEnd { cut_off });
        }
        self.inbox.disconnected(reason);
        let arrival = match arrival {
            Some(mut arrival) => {
                self.make_room(&mut arrival, graceful_close, permit);
                arrival
            }
            None => {
                // There is nothing more to say by it.
                drop(graceful_close);
                drop(permit);
                match Box::pin(self.await_arrival()).await {
                    Waited::Arrival(session, arrival) => {
                        self = session;
                        arrival
                    }
                    Waited::Over(session) => {
                        return After::End(Box::pin(session.expire()).await);
                    }
                    Waited::Parked => return After::End(ConnectionEnd::default()),
                }
            }
        };
        let attached = self.resume(arrival);
        After::Connection(self, attached)
    }

    fn driver(&self, stream: Stream, decoder: Decoder) -> Box<Driver> {
        let driver = Driver::new(
            stream,
            decoder,
            Arc::clone(&self.connection),
            Arc::clone(&self.inbox),
            self.shared.settings.write_timeout,
        );
        Box::new(driver.sharing(&self.shared.turn_queue))
    }

    /// Runs one connection until it ends, or until another one replaces it.
    async fn run(
        &mut self,
        mut driver: Box<Driver>,
    ) -> (Box<driver::ConnectionEnd>, Option<Box<Resumed>>) {
        self.tell_connected();
        let _registered = Registered::new(Arc::clone(&self.peer));
        if self.shared.draining.is_raised() {
            // It was not there yet when all were closed.
            self.connection.begin_close(&goodbye());
        }
        self.inbox.connected(self.connection.terms());
        let mut expiry = expiry(&self.connection);
        loop {
            tokio::select! {
                // Polls all of them whenever the driver is woken, and draws no lots.
                biased;
                ending = driver.run(&mut self.handlers) => return (Box::new(driver.end(ending)), None),
                () = expired(&mut expiry) => {
                    expiry = None;
                    if self.may_log() {
                        tracing::info!(peer = %self.about.id, "the identity has expired");
                    }
                    // What is open may finish within `drain_timeout`; nothing new is taken.
                    self.connection.begin_close(&Status::unauthenticated("the identity has expired"));
                }
                Some(arrival) = next_resumed(&mut self.resumed, &mut self.closing) => {
                    if let Some(arrival) = self.unless_behind(arrival) {
                        return (Box::new(driver.end(Ending::TakenOver)), Some(arrival));
                    }
                }
            }
        }
    }

    /// Whether a line about this client may be logged now.
    fn may_log(&self) -> bool {
        self.shared.log_limiter.may_log_served(&self.about.address)
    }

    fn tell_connected(&self) {
        if self.may_log() {
            let client = Escaped::new(&self.about.name);
            let identity = self.connection.identity();
            let identity =
                identity.map(|identity| format!("{} {}", identity.method, identity.subject()));
            let identity = identity
                .as_deref()
                .map(Escaped::new)
                .map(tracing::field::display);
            tracing::info!(peer = %self.about.id, %client, identity, resumed = self.about.resumed, "connected");
        }
    }

    /// Closes the connection gracefully, and waits until the handlers end: those of its channels too.
    async fn finish(self: Box<Self>, graceful_close: GracefulClose, reason: DisconnectReason) {
        graceful_close.finish().await;
        if let Some(closing) = self.closing {
            closing.closed.await;
        }
        let limit = self.shared.settings.drain_timeout;
        drain(self.handlers, limit).await;
        if let Some(channels) = self.channels {
            channels.end(limit).await;
        }
        tell_disconnected(&*self.peer, reason).await;
        tell_gone(&*self.peer).await;
    }

    /// Waits for the next connection. Once the session owes its client nothing, and nobody else has a handle of it, it is
    /// parked, and this task ends.
    async fn await_arrival(mut self: Box<Self>) -> Waited {
        self.detach();
        // When to look next whether it can be parked: nothing tells when the last handle of it is dropped.
        let mut look = None;
        let mut wait = FIRST_LOOK;
        loop {
            let may_park = look.is_none_or(|look| look <= Instant::now());
            let idle = Idle {
                connection: &self.connection,
                inbox: self.has_handlers.then_some(&*self.inbox),
            };
            let step = suspended_step(
                (&mut self.resumed, &mut self.closing),
                may_park.then_some(idle),
            );
            let step = async {
                match look.filter(|_| !may_park) {
                    Some(look) => timeout_at(look, step).await.ok(),
                    None => Some(step.await),
                }
            };
            let Some(step) = run_suspended(&self.connection, &mut self.handlers, step).await else {
                return Waited::Over(self);
            };
            match step {
                Some(SuspendedStep::Arrival(Some(arrival))) => {
                    if let Some(mut arrival) = self.unless_behind(arrival) {
                        if self.find_place(&mut arrival) {
                            return Waited::Arrival(self, arrival);
                        }
                        refuse_resumed(arrival, &self.shared.permits.refusal());
                    }
                }
                Some(SuspendedStep::Arrival(None)) => return Waited::Over(self),
                Some(SuspendedStep::Idle) => {
                    self.drop_handlers();
                    self = match self.park() {
                        Ok(()) => return Waited::Parked,
                        Err(session) => session,
                    };
                    look = Instant::now().checked_add(wait);
                    wait = wait.saturating_mul(2);
                }
                None => {}
            }
        }
    }

    /// The session has no connection from here on, and is kept for some time.
    fn detach(&self) {
        let Some(registration) = &self.registration else {
            return;
        };
        let settings = &self.shared.settings;
        // A client that has not had the answer to its HELLO has nothing in the session, and comes back at once or never.
        let kept = if self.is_confirmed {
            settings.session_expiry
        } else {
            settings.session_expiry.min(settings.handshake_timeout)
        };
        registration.detached(self.is_confirmed, kept);
        let ending = registration.ending();
        let suspended_len = SUSPENDED_LEN + self.about.name.len() + self.peer.suspended_len();
        self.connection.release_suspended();
        self.connection
            .with_session(|session| session.allow_eviction(ending, suspended_len));
    }

    /// Leaves the session to the table of sessions, in little memory, where nothing of it is open and nobody else has a handle of
    /// it; else returns it.
    fn park(mut self: Box<Self>) -> Result<(), Box<Self>> {
        let Some((registration, resumed)) = self.registration.take().zip(self.resumed.take())
        else {
            return Err(self);
        };
        let Some((connection, peer)) = self.park_connection() else {
            self.registration = Some(registration);
            self.resumed = Some(resumed);
            return Err(self);
        };
        let Self {
            shared,
            id,
            about,
            is_confirmed,
            count,
            ..
        } = *self;
        let mut session = Box::new(ParkedSession {
            id,
            about,
            connection,
            peer,
            is_confirmed,
            count,
        });
        session.report_memory();
        let parked = registration.park(resumed, session);
        parked.map_err(|claim| Self::claimed(claim, shared))
    }

    /// What is kept of the connection, and of the peer. `None` where these are needed as they are.
    fn park_connection(&self) -> Option<(ParkedConnection, Box<dyn ParkedPeer>)> {
        let is_alone = Arc::strong_count(&self.connection) == OWN_HANDLES;
        let has_more = self.has_handlers || self.closing.is_some() || self.channels.is_some();
        if has_more || !is_alone || !self.peer.can_park() {
            return None;
        }
        let connection = self.connection.park()?;
        match self.peer.park() {
            Some(peer) => Some((connection, peer)),
            None => {
                let config = Arc::clone(&self.shared.session_config);
                self.connection.unpark(connection, config);
                None
            }
        }
    }

    /// The session that was parked, and was taken out of the table of sessions.
    fn claimed(claim: ParkedClaim, shared: Arc<ServerShared>) -> Box<Self> {
        let mut session = Self::unpark(claim.session, shared);
        session.registration = Some(claim.registration);
        session.resumed = Some(claim.resumed);
        session
    }

    /// The session that was parked.
    fn unpark(parked: Box<ParkedSession>, shared: Arc<ServerShared>) -> Box<Self> {
        let ParkedSession {
            id,
            about,
            connection: parked,
            peer,
            is_confirmed,
            count,
        } = *parked;
        let connection = Arc::new(ConnectionShared::new(&shared.settings));
        connection.unpark(parked, Arc::clone(&shared.session_config));
        let peer = peer.reopen(&about, &connection);
        let abandon = AbandonOnDrop {
            peer: Arc::clone(&peer),
            connection: Arc::clone(&connection),
        };
        Box::new(Self {
            shared,
            id,
            about,
            peer,
            connection,
            inbox: Arc::default(),
            handlers: no_handlers(),
            has_handlers: false,
            channels: None,
            registration: None,
            resumed: None,
            is_confirmed,
            closing: None,
            _abandon: abandon,
            count,
        })
    }

    /// Drops the handlers, which have nothing to do: the next connection begins them anew.
    fn drop_handlers(&mut self) {
        if self.peer.can_begin_handlers() {
            self.handlers = no_handlers();
            self.has_handlers = false;
        }
    }

    /// Closes the connection that was taken over: gracefully where both have a place, else at once, and the new one has its
    /// place. At most one of a session is being closed.
    fn make_room(
        &mut self,
        arrival: &mut Resumed,
        graceful_close: GracefulClose,
        permit: ConnectionPermit,
    ) {
        if !self.shared.permits.make_regular(&mut arrival.permit) {
            graceful_close.finish_at_once();
            arrival.permit = permit;
        } else if graceful_close.is_due() {
            self.closing = Some(Closing {
                closed: Box::pin(graceful_close.finish()),
                permit,
            });
        }
    }

    /// Finds a place for a connection that was accepted without one: a free one, or that of the connection before it.
    fn find_place(&mut self, arrival: &mut Resumed) -> bool {
        if self.shared.permits.make_regular(&mut arrival.permit) {
            return true;
        }
        let Some(Closing { closed, permit }) = self.closing.take() else {
            return false;
        };
        drop(closed);
        arrival.permit = permit;
        true
    }

    /// Refuses a connection while too much of what came by earlier ones is not handled.
    fn unless_behind(&mut self, arrival: Box<Resumed>) -> Option<Box<Resumed>> {
        let is_behind = self
            .connection
            .with_session(|session| session.is_behind())
            .unwrap_or(false);
        if !is_behind {
            return Some(arrival);
        }
        let text = "messages of earlier connections of this session are not handled yet";
        refuse_resumed(arrival, &Status::resource_exhausted(text));
        None
    }

    /// Resumes with another connection.
    fn resume(&mut self, arrival: Box<Resumed>) -> Attached {
        let Resumed {
            stream,
            decoder,
            hello_id,
            hello,
            remote,
            identity,
            permit,
            ..
        } = *arrival;
        self.connection
            .set_sender(identity.map(|identity| identity.of_peer(self.about.id)));
        if let Some(registration) = &self.registration {
            registration.attached();
        }
        self.about.address = remote.address.clone();
        self.about.resumed = true;
        let mut welcome = Welcome {
            resumed: true,
            awaited: self.connection.awaited(),
            broker: self.about.routes_topics,
            ..welcome(
                self.about.id,
                (self.about.fingerprint, self.about.describes),
                &self.shared.name,
                &self.shared.settings,
                &self.connection.terms().encoding,
            )
        };
        let ServerShared {
            lanes, settings, ..
        } = &*self.shared;
        let stream = lanes.open(hello.lane_kinds, &remote, settings, &mut welcome, stream);
        self.peer.has_resumed(remote);
        if let Some(channels) = &self.channels {
            channels.tell(&mut welcome);
        }
        let agreed = PeerTerms {
            peer_max_body: hello.max_body,
            max_calls: 0,
            awaited: &hello.awaited,
        };
        self.connection
            .welcome_back(hello_id, self.id, &welcome, &agreed);
        if !self.has_handlers {
            self.handlers = self.peer.handlers(&self.inbox);
            self.has_handlers = true;
        }
        let driver = self.driver(stream, decoder);
        Attached { driver, permit }
    }

    /// Ends the session, since it was not resumed in time.
    async fn expire(mut self: Box<Self>) -> ConnectionEnd {
        self.registration = None;
        self.closing = None;
        let cut_off = self
            .connection
            .with_session(|session| session.open_exchanges())
            .unwrap_or(0);
        // First, so that waiting senders learn that no connection will follow.
        self.connection.close(CloseReason::ClosedByUs);
        let lost = self.connection.lose_session();
        self.peer.ended(&lost);
        if self.may_log() {
            tracing::info!(peer = %self.about.id, unanswered = lost.len(), cut_off, "the session has ended");
        }
        self.inbox.close();
        let limit = self.shared.settings.drain_timeout;
        drain(self.handlers, limit).await;
        if let Some(channels) = self.channels {
            channels.end(limit).await;
        }
        tell_gone(&*self.peer).await;
        ConnectionEnd { cut_off }
    }
}

/// What follows a connection of a session.
enum After {
    /// The next one.
    Connection(Box<KeptSession>, Attached),
    /// Nothing.
    End(ConnectionEnd),
}

/// What has become of a session without a connection.
enum Waited {
    Arrival(Box<KeptSession>, Box<Resumed>),
    /// It ends: none came, or none can come any more.
    Over(Box<KeptSession>),
    /// The table of sessions has it.
    Parked,
}

/// Refuses a connection that its session does not take. It has read nothing after its HELLO: the client gets the text.
fn refuse_resumed(arrival: Box<Resumed>, status: &Status) {
    let Resumed {
        mut stream,
        mut session,
        permit,
        ..
    } = *arrival;
    session.refuse(status.code(), status.message());
    refuse_at_once(&mut stream, &mut session);
    drop(stream);
    drop(permit);
}

/// Tells the handler that a client's session has ended.
async fn tell_gone(peer: &dyn ServedPeer) {
    if let Err(panic) = caught(peer.gone()).await {
        log_panic("on_client_gone", &panic);
    }
}

/// Tells the handler that the last connection of a client has ended.
async fn tell_disconnected(peer: &dyn ServedPeer, reason: DisconnectReason) {
    if let Err(panic) = caught(peer.disconnected(reason)).await {
        log_panic("on_client_disconnected", &panic);
    }
}

/// Ends a session whose task is dropped before the session has ended, so that nobody waits for it any longer: the runtime
/// is shut down, or the server was dropped.
struct AbandonOnDrop {
    peer: Arc<dyn ServedPeer>,
    connection: Arc<ConnectionShared>,
}

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        // Nothing is left to end where it has ended already.
        let lost = self.connection.abandon();
        self.peer.ended(&lost);
    }
}

/// A peer that is in the registry as long as this lives.
struct Registered(Arc<dyn ServedPeer>);

impl Registered {
    fn new(peer: Arc<dyn ServedPeer>) -> Self {
        peer.register();
        Self(peer)
    }
}

impl Drop for Registered {
    fn drop(&mut self) {
        self.0.unregister();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The size of what a function returns.
    fn returned_len<T, R>(_: impl Fn(T) -> R) -> usize {
        size_of::<R>()
    }

    #[test]
    fn what_every_idle_session_holds_is_small() {
        let serve = |(session, attached): (Box<KeptSession>, Attached)| session.serve(attached);
        let held = [
            ("its state", size_of::<KeptSession>(), 272),
            ("its future", returned_len(serve), 312),
        ];
        for (what, size, most) in held {
            assert!(size <= most, "{what}: {size} bytes, and {most} are allowed");
        }
    }
}
