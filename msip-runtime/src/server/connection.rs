//! One client's session on the server, through all of its connections.

use std::{future::Future, sync::Arc, task::Poll};

use tokio::{
    sync::OwnedSemaphorePermit,
    task::JoinSet,
    time::{Instant, timeout_at},
};

use super::{
    Peer, PeerId, ServerSide,
    begin::{Begun, begin, welcome},
    registry::Registry,
    resumed::{Resumed, ResumedReceiver},
    sessions::Registration,
    shared::ServerShared,
};
use crate::{
    Code, DisconnectReason, Protocol, ServeWith,
    connection::ConnectionShared,
    dispatch::{self, Dispatch as _, Inbox, caught},
    driver::{self, Driver, Ending, GracefulClose, Handlers, drain, graceful_close, run_suspended},
    transport::{Incoming, Stream},
};
use msip_session::{
    Agreed,
    wire::{Decoder, Escaped, SessionId, Welcome},
};

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
pub(super) fn serve<P, H>(
    incoming: Incoming,
    permit: OwnedSemaphorePermit,
    handshake_permit: OwnedSemaphorePermit,
    shared: Arc<ServerShared<P, H>>,
) -> impl Future<Output = ConnectionEnd> + Send
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    let beginning = Box::pin(async move {
        let begun = begin(incoming, permit, handshake_permit, &shared).await?;
        Some(KeptSession::new(begun, shared))
    });
    async move {
        match beginning.await {
            Some((session, attached)) => session.serve(attached).await,
            None => ConnectionEnd::default(),
        }
    }
}

/// A session, through all of its connections.
struct KeptSession<P: Protocol, H> {
    shared: Arc<ServerShared<P, H>>,
    id: SessionId,
    peer: Peer<P>,
    connection: Arc<ConnectionShared>,
    inbox: Arc<Inbox>,
    handlers: Handlers,
    /// `None` where the session ends with its connection.
    registration: Option<Registration>,
    resumed: Option<ResumedReceiver>,
    /// Earlier connections that are being closed gracefully; not there before the first.
    closing: Option<JoinSet<()>>,
}

/// The session's current connection.
struct Attached {
    driver: Box<Driver>,
    /// One of `max_connections`.
    permit: OwnedSemaphorePermit,
}

impl<P, H> KeptSession<P, H>
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    /// The session that begins, and its first connection.
    fn new(begun: Begun, shared: Arc<ServerShared<P, H>>) -> (Box<Self>, Attached) {
        let Begun {
            connection,
            stream,
            decoder,
            permit,
            session_id,
            kept,
            introduction,
        } = begun;
        let peer = Peer::new(
            introduction,
            Arc::clone(&connection),
            shared.outgoing.clone(),
            &shared.registry,
        );
        let inbox = Arc::new(Inbox::default());
        let handlers = Box::pin(dispatch::run(
            Arc::clone(&shared.side),
            peer.clone(),
            Arc::clone(&connection),
            Arc::clone(&inbox),
        ));
        let (registration, resumed) = kept.unzip();
        let session = Self {
            shared,
            id: session_id,
            peer,
            connection,
            inbox,
            handlers,
            registration,
            resumed,
            closing: None,
        };
        let driver = session.driver(stream, decoder);
        (Box::new(session), Attached { driver, permit })
    }

    async fn serve(mut self: Box<Self>, mut attached: Attached) -> ConnectionEnd {
        loop {
            let Attached { driver, permit } = attached;
            let (ended, arrival) = self.run(driver).await;
            let driver::ConnectionEnd {
                reason,
                is_suspended,
                cut_off,
                graceful_close,
                lost,
            } = *ended;
            tracing::info!(peer = %self.peer.id(), %reason, is_suspended, "disconnected");
            if !is_suspended {
                // Nobody can resume it from here on.
                self.registration = None;
                self.resumed = None;
                self.inbox.close();
                self.connection.close();
                self.peer.ended(&lost);
                Box::pin(self.finish(graceful_close, reason)).await;
                return ConnectionEnd { cut_off };
            }
            self.closing
                .get_or_insert_default()
                .spawn(graceful_close.bid());
            self.inbox.disconnected(reason);
            drop(permit);
            let arrival = match arrival {
                Some(arrival) => Some(arrival),
                None => Box::pin(self.await_arrival()).await,
            };
            let Some(arrival) = arrival else {
                return Box::pin(self.expire()).await;
            };
            attached = self.resume(arrival);
        }
    }

    fn driver(&self, stream: Stream, decoder: Decoder) -> Box<Driver> {
        Box::new(Driver::new(
            stream,
            decoder,
            Arc::clone(&self.connection),
            Arc::clone(&self.inbox),
            self.shared.settings.write_timeout,
        ))
    }

    /// Runs one connection to its end, or until another one comes.
    async fn run(
        &mut self,
        mut driver: Box<Driver>,
    ) -> (Box<driver::ConnectionEnd>, Option<Box<Resumed>>) {
        let shared = Arc::clone(&self.shared);
        let _registered = Registered::new(&shared.registry, self.peer.clone());
        self.tell_connected();
        self.inbox.connected(self.connection.terms());
        loop {
            tokio::select! {
                ending = driver.run(&mut self.handlers) => return (Box::new(driver.end(ending)), None),
                Some(arrival) = next_resumed(&mut self.resumed) => {
                    if let Some(arrival) = self.unless_behind(arrival) {
                        return (Box::new(driver.end(Ending::TakenOver)), Some(arrival));
                    }
                }
            }
        }
    }

    fn tell_connected(&self) {
        let client = Escaped::new(self.peer.connection().client_name()).to_string();
        tracing::info!(peer = %self.peer.id(), %client, resumed = self.peer.resumed(), "connected");
    }

    /// Closes the connection gracefully, and waits until the handlers end.
    async fn finish(self: Box<Self>, graceful_close: GracefulClose, reason: DisconnectReason) {
        graceful_close.bid().await;
        drain(self.handlers, self.shared.settings.drain_timeout).await;
        tell_disconnected(&self.shared.side, &self.peer, reason).await;
        tell_gone(&self.shared.side, &self.peer).await;
    }

    /// Waits for the next connection. `None` when the session ends before one comes.
    async fn await_arrival(&mut self) -> Option<Box<Resumed>> {
        let registration = self.registration.as_ref()?;
        registration.detached();
        let ending = registration.ending();
        self.connection
            .with_session(|session| session.may_be_ended(ending));
        let expiry = Instant::now() + self.shared.settings.session_expiry;
        loop {
            let next = timeout_at(expiry, next_resumed(&mut self.resumed));
            let arrival = run_suspended(&self.connection, &mut self.handlers, next)
                .await?
                .ok()??;
            if let Some(arrival) = self.unless_behind(arrival) {
                return Some(arrival);
            }
        }
    }

    /// Refuses a connection while too much of what came by earlier ones is not handled.
    fn unless_behind(&mut self, arrival: Box<Resumed>) -> Option<Box<Resumed>> {
        let closing = self.closing.get_or_insert_default();
        while closing.try_join_next().is_some() {}
        let is_behind = self
            .connection
            .with_session(|session| session.is_behind())
            .unwrap_or(false);
        if !is_behind {
            return Some(arrival);
        }
        let Resumed {
            mut stream,
            mut session,
            permit,
            ..
        } = *arrival;
        session.refuse(
            Code::ResourceExhausted,
            "messages of earlier connections of this session are not handled yet",
        );
        closing.spawn(async move {
            graceful_close(&mut stream, &mut session).await;
            drop(permit);
        });
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
            permit,
            ..
        } = *arrival;
        if let Some(registration) = &self.registration {
            registration.attached();
        }
        self.peer.has_resumed(remote);
        let welcome = Welcome {
            resumed: true,
            awaited: self.connection.awaited(),
            ..welcome::<P>(
                self.peer.id(),
                &self.shared.name,
                &self.shared.settings,
                &self.connection.terms().encoding,
            )
        };
        let agreed = Agreed {
            peer_max_body: hello.max_body,
            max_calls: 0,
            awaited: &hello.awaited,
        };
        self.connection
            .welcome_back(hello_id, self.id, &welcome, &agreed);
        let driver = self.driver(stream, decoder);
        Attached { driver, permit }
    }

    /// Ends the session, since no connection has come.
    async fn expire(mut self: Box<Self>) -> ConnectionEnd {
        self.registration = None;
        let cut_off = self
            .connection
            .with_session(|session| session.open_exchanges())
            .unwrap_or(0);
        // First, so that waiting senders learn that it is for good.
        self.connection.close();
        let lost = self.connection.lose_session();
        self.peer.ended(&lost);
        tracing::info!(peer = %self.peer.id(), unanswered = lost.len(), cut_off, "the session has ended");
        self.inbox.close();
        drain(self.handlers, self.shared.settings.drain_timeout).await;
        tell_gone(&self.shared.side, &self.peer).await;
        ConnectionEnd { cut_off }
    }
}

/// The next connection of a session. `None` when none can come any more; never ready where none ever can.
async fn next_resumed(resumed: &mut Option<ResumedReceiver>) -> Option<Box<Resumed>> {
    std::future::poll_fn(|task| match resumed {
        Some(resumed) => resumed.poll_next(task),
        None => Poll::Pending,
    })
    .await
}

/// Tells the handler that a client's session has ended.
async fn tell_gone<P, H>(side: &ServerSide<P, H>, peer: &Peer<P>)
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    if let Err(panic) = caught(side.gone(peer)).await {
        tracing::error!(panic, "on_client_gone panicked");
    }
}

/// Tells the handler that the last connection of a client has ended.
async fn tell_disconnected<P, H>(side: &ServerSide<P, H>, peer: &Peer<P>, reason: DisconnectReason)
where
    P: ServeWith<H>,
    H: Send + Sync + 'static,
{
    if let Err(panic) = caught(side.disconnected(peer, reason)).await {
        tracing::error!(panic, "on_client_disconnected panicked");
    }
}

/// A peer that is in the registry as long as this lives.
struct Registered<'a, P: Protocol> {
    registry: &'a Registry<Peer<P>>,
    id: PeerId,
}

impl<'a, P: Protocol> Registered<'a, P> {
    fn new(registry: &'a Registry<Peer<P>>, peer: Peer<P>) -> Self {
        let id = peer.id();
        registry.insert(id, peer);
        Self { registry, id }
    }
}

impl<P: Protocol> Drop for Registered<'_, P> {
    fn drop(&mut self) {
        self.registry.remove(self.id);
    }
}
