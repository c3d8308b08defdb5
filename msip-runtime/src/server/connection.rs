//! One client's session on the server, through all of its connections.

mod parking;
mod resumption;

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{sync::OwnedSemaphorePermit, time::Sleep};

use super::{
    about_client::AboutClient,
    begin::{Beginning, Begun, begin},
    channel_connection::{self, BegunChannel},
    channels::HostedChannels,
    expiry::expiry,
    listeners::AcceptedConnection,
    parked::ParkedSession,
    permits::ConnectionPermit,
    protocols::ServedPeer,
    resumed::{Resumed, ResumedReceiver},
    sessions::Registration,
    shared::{ServerShared, goodbye},
    suspended::{Closing, poll_resumed},
};
use crate::{
    CloseReason, DisconnectReason, Status,
    connection::{ConnectionShared, Raised},
    driver::{self, Driver, Ending, GracefulClose, HandlerTask, drain},
    error::WithCauses,
    instruments::{self, SessionCount},
    service::{Inbox, caught, log_panic},
    transport::{BoxFuture, Stream},
};
use msip_session::wire::{Decoder, Escaped, SessionId};
use resumption::Waited;

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
                let (session, driver) = KeptSession::new(*begun, shared);
                Served::Session(session, driver)
            }
            Beginning::Parked(parked, resumed) => {
                let mut session = KeptSession::claimed(parked, shared);
                let driver = session.resume(resumed);
                Served::Session(session, driver)
            }
            Beginning::Channel(begun) => Served::Channel(begun, shared),
            Beginning::HandedOff(serving) => Served::HandedOff(serving),
        })
    });
    async move {
        match beginning.await {
            // Not in a box: a task has place for it, however small it is.
            Some(Served::Session(session, driver)) => session.serve(driver).await,
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
    Session(Box<KeptSession>, Box<Driver>),
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
    /// The connection before this one, as long as it is being closed. In a box, since there is seldom one.
    closing: Option<Box<Closing>>,
    /// Dropped after the handlers.
    held: AbandonOnDrop,
    count: SessionCount,
    /// Of its connection, one of `max_connections`. There while there is a connection.
    permit: Option<ConnectionPermit>,
}

impl KeptSession {
    /// The session that begins, and its first connection.
    fn new(begun: Begun, shared: Arc<ServerShared>) -> (Box<Self>, Box<Driver>) {
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
        let session = Self {
            shared,
            id: session_id,
            about,
            held: AbandonOnDrop { peer, connection },
            inbox,
            handlers,
            has_handlers: true,
            channels,
            registration,
            resumed,
            is_confirmed: false,
            closing: None,
            count: SessionCount::new(instruments::Side::Server),
            permit: Some(permit),
        };
        let driver = session.driver(stream, decoder);
        (Box::new(session), driver)
    }

    /// Not an `async fn`, whose future would hold what it is given twice: there are many silent connections.
    fn serve(self: Box<Self>, driver: Box<Driver>) -> impl Future<Output = ConnectionEnd> + Send {
        let mut session = self;
        let mut running = session.begin(driver);
        async move {
            loop {
                let stop = poll_fn(|task| session.poll_run(&mut running, task)).await;
                let (ended, arrival) = running.end(stop);
                // In a box: while the connection is there, nothing is held for what comes after it.
                match Box::pin(session.go_on(ended, arrival)).await {
                    After::Connection(next, driver) => {
                        session = next;
                        running = session.begin(driver);
                    }
                    After::End(end) => return end,
                }
            }
        }
    }

    /// A connection of the session has ended, or is replaced by `arrival`: goes on with the next one, or ends the session.
    async fn go_on(
        mut self: Box<Self>,
        ended: Box<driver::ConnectionEnd>,
        arrival: Option<Box<Resumed>>,
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
            self.held.connection.close(CloseReason::ClosedByUs);
            self.held.peer.ended(&lost);
            // Its place among the connections is held until it is closed.
            Box::pin(self.finish(graceful_close, reason)).await;
            return After::End(ConnectionEnd { cut_off });
        }
        self.inbox.disconnected(reason);
        let arrival = match arrival {
            Some(mut arrival) => {
                self.make_room(&mut arrival, graceful_close);
                arrival
            }
            None => {
                // There is nothing more to say by it.
                drop(graceful_close);
                self.permit = None;
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
        let driver = self.resume(arrival);
        After::Connection(self, driver)
    }

    fn driver(&self, stream: Stream, decoder: Decoder) -> Box<Driver> {
        let driver = Driver::new(
            stream,
            decoder,
            Arc::clone(&self.held.connection),
            Arc::clone(&self.inbox),
        );
        Box::new(driver.sharing(&self.shared.turn_queue))
    }

    /// Begins to run a connection.
    fn begin(&self, driver: Box<Driver>) -> RunningConnection {
        self.tell_connected();
        let registered = Registered::new(Arc::clone(&self.held.peer));
        if self.shared.draining.is_raised() {
            // It was not there yet when all were closed.
            self.held.connection.begin_close(&goodbye());
        }
        self.inbox.connected(self.held.connection.terms());
        RunningConnection {
            driver,
            expiry: expiry(&self.held.connection),
            _registered: registered,
        }
    }

    /// Runs one connection until it ends, or until another one replaces it.
    fn poll_run(&mut self, running: &mut RunningConnection, task: &mut Context<'_>) -> Poll<Stop> {
        let RunningConnection { driver, expiry, .. } = running;
        if let Poll::Ready(ending) = driver.poll(task, &mut self.handlers) {
            return Poll::Ready(Stop::Ended(ending));
        }
        if let Some(at) = expiry
            && at.as_mut().poll(task).is_ready()
        {
            *expiry = None;
            if self.may_log() {
                tracing::info!(peer = %self.about.id, "the identity has expired");
            }
            // What is open may finish within `drain_timeout`; nothing new is taken.
            let status = Status::unauthenticated("the identity has expired");
            self.held.connection.begin_close(&status);
        }
        while let Poll::Ready(Some(arrival)) =
            poll_resumed(&mut self.resumed, &mut self.closing, task)
        {
            if let Some(arrival) = self.unless_behind(arrival) {
                return Poll::Ready(Stop::TakenOver(arrival));
            }
        }
        Poll::Pending
    }

    /// Whether a line about this client may be logged now.
    fn may_log(&self) -> bool {
        self.shared.log_limiter.may_log_served(&self.about.address)
    }

    fn tell_connected(&self) {
        if self.may_log() {
            let client = Escaped::new(&self.about.name);
            let identity = self.held.connection.identity();
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
        tell_disconnected(&*self.held.peer, reason).await;
        tell_gone(&*self.held.peer).await;
    }

    /// Ends the session, since it was not resumed in time.
    async fn expire(mut self: Box<Self>) -> ConnectionEnd {
        self.registration = None;
        self.closing = None;
        let cut_off = self
            .held
            .connection
            .with_session(|session| session.open_exchanges())
            .unwrap_or(0);
        // First, so that waiting senders learn that no connection will follow.
        self.held.connection.close(CloseReason::ClosedByUs);
        let lost = self.held.connection.lose_session();
        self.held.peer.ended(&lost);
        if self.may_log() {
            tracing::info!(peer = %self.about.id, unanswered = lost.len(), cut_off, "the session has ended");
        }
        self.inbox.close();
        let limit = self.shared.settings.drain_timeout;
        drain(self.handlers, limit).await;
        if let Some(channels) = self.channels {
            channels.end(limit).await;
        }
        tell_gone(&*self.held.peer).await;
        ConnectionEnd { cut_off }
    }
}

/// The session's current connection.
struct RunningConnection {
    driver: Box<Driver>,
    /// When the identity of the client expires, if it ever does.
    expiry: Option<Pin<Box<Sleep>>>,
    _registered: Registered,
}

/// Why a connection is not run any longer.
enum Stop {
    Ended(Ending),
    /// By this one.
    TakenOver(Box<Resumed>),
}

impl RunningConnection {
    fn end(self, stop: Stop) -> (Box<driver::ConnectionEnd>, Option<Box<Resumed>>) {
        let (ending, arrival) = match stop {
            Stop::Ended(ending) => (ending, None),
            Stop::TakenOver(arrival) => (Ending::TakenOver, Some(arrival)),
        };
        (Box::new(self.driver.end(ending)), arrival)
    }
}

/// What follows a connection of a session.
enum After {
    /// The next one.
    Connection(Box<KeptSession>, Box<Driver>),
    /// Nothing.
    End(ConnectionEnd),
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

/// The peer and the connection of a session. Ends a session whose task is dropped before the session has ended, so that nobody waits for it any longer: the runtime
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
        let serve = |(session, driver): (Box<KeptSession>, Box<Driver>)| session.serve(driver);
        let held = [
            ("its state", size_of::<KeptSession>(), 240),
            ("its future", returned_len(serve), 96),
        ];
        for (what, size, most) in held {
            assert!(size <= most, "{what}: {size} bytes, and {most} are allowed");
        }
    }
}
