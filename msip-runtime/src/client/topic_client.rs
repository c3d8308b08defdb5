//! A client at a topic of a connection that it shares with others.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Mutex, watch},
    task::yield_now,
    time::timeout,
};

use super::{
    Client, ClientShared, ClientSide, ConnectWith, ConnectionState, Login, MultiplexedConnection,
    Reconnect,
    login::login_outcome,
    subscription::{Spoken, SubscribeError},
    topic_clients::{Hook, TopicHooks},
};
use crate::{
    CloseReason, ConnectError, DisconnectReason, Status,
    connection::ConnectionShared,
    demux::{ClientEndpoint, EndpointId},
    describe::OwnSchema,
    dispatch::{Dispatch as _, Typed},
    driver::HandlerTask,
    service::{self, Inbox, caught},
};
use msip_session::wire::broker::TopicInd;

/// What handles what comes for a client at a topic, and what is told of its connection.
pub(super) struct TopicClient<P: ConnectWith<H>, H> {
    side: Arc<ClientSide<P, H>>,
    client: Client<P>,
    spoken: Arc<Spoken>,
    login_timeout: Duration,
    topic: String,
    /// The session in which it is subscribed; 0 for none.
    subscribed: AtomicU64,
    /// Its handlers have begun, for the first time.
    has_begun: watch::Sender<bool>,
    /// Locked while its handlers run.
    running: Arc<Mutex<()>>,
}

impl<P, H> TopicClient<P, H>
where
    P: ConnectWith<H>,
    H: Send + Sync + 'static,
{
    pub(super) fn new(
        side: Arc<ClientSide<P, H>>,
        shared: &Arc<ClientShared>,
        spoken: Spoken,
        login_timeout: Duration,
        topic: &str,
    ) -> Self {
        Self {
            side,
            client: Client::weak(shared),
            spoken: Arc::new(spoken),
            login_timeout,
            topic: topic.to_owned(),
            subscribed: AtomicU64::new(0),
            has_begun: watch::Sender::new(false),
            running: Arc::default(),
        }
    }

    /// Subscribes, and lets the handler log in. While the connection is lost it waits for the next one.
    pub(super) async fn join(&self, mux: &MultiplexedConnection) -> Result<(), ConnectError> {
        let clients = mux.clients();
        let (mut has_begun, mut state) = (self.has_begun.subscribe(), mux.watch());
        // What the broker answers is for handlers that are there. The senders are in what we hold.
        tokio::select! {
            _ = has_begun.wait_for(|has_begun| *has_begun) => {}
            _ = state.wait_for(|state| *state == ConnectionState::Closed) => {}
        }
        loop {
            if !mux.connection().accepting_session().await {
                return Err(ConnectError::Closed);
            }
            let now = clients.now();
            match self.subscribe(0, now.session).await {
                Ok(()) => {}
                Err(SubscribeError::ConnectionEnded) => {
                    yield_now().await;
                    continue;
                }
                Err(SubscribeError::Failed(error)) => return Err(error),
            }
            self.on_connected(0).await?;
            if clients.join(&self.topic, now) {
                return Ok(());
            }
        }
    }

    async fn subscribe(&self, login: u64, session: u64) -> Result<(), SubscribeError> {
        if self.subscribed.load(Ordering::Relaxed) != session {
            self.shared().subscribe(&self.spoken, login).await?;
            self.subscribed.store(session, Ordering::Relaxed);
        }
        Ok(())
    }

    async fn on_connected(&self, login: u64) -> Result<(), ConnectError> {
        let client = match login {
            0 => self.client.clone(),
            login => self.client.logging_in(login),
        };
        let limit = self.login_timeout;
        let connected = caught(P::connected(&self.side.handler, &client));
        login_outcome(timeout(limit, connected).await, limit)
    }

    /// It is closed for this reason, and the others of its connection go on.
    async fn give_up(&self, error: ConnectError) {
        tracing::warn!(topic = self.topic, %error, "a client of a shared connection is closed");
        self.failed(&error, 1).await;
        self.shared()
            .end_at_topic(CloseReason::GaveUp(Arc::new(error)));
    }

    async fn failed(&self, error: &ConnectError, attempt: u32) -> Reconnect {
        match caught(P::connect_failure(&self.side.handler, error, attempt)).await {
            Ok(next) => next,
            Err(panic) => {
                tracing::error!(panic, "on_connect_failure panicked");
                Reconnect::Backoff
            }
        }
    }

    fn shared(&self) -> &Arc<ClientShared> {
        &self.client.shared
    }

    /// Its connection: which session, and which connection of that; nothing while it is lost.
    fn place(&self) -> Option<(u64, u64)> {
        let connection = &self.shared().connection;
        let is_open = connection
            .lock()
            .session()
            .is_some_and(|session| session.is_open());
        let terms = connection.terms();
        is_open.then_some((terms.generation, terms.connection))
    }
}

impl<P, H> ClientEndpoint for TopicClient<P, H>
where
    P: ConnectWith<H>,
    H: Send + Sync + 'static,
{
    fn topic(&self) -> &str {
        &self.topic
    }

    fn begin(&self, connection: &Arc<ConnectionShared>, inbox: &Arc<Inbox>) -> HandlerTask {
        self.shared().begin_topic_session();
        self.has_begun.send_replace(true);
        let handlers = service::run(
            Arc::new(Typed(Arc::clone(&self.side))),
            self.client.clone(),
            Arc::clone(connection),
            Arc::clone(inbox),
        );
        let spoken = Arc::clone(&self.spoken);
        let handlers = self
            .shared()
            .beside_topic_checks(spoken, Box::pin(handlers));
        let running = Arc::clone(&self.running);
        Box::pin(async move {
            let _running = running.lock_owned().await;
            handlers.await;
        })
    }

    fn topic_spoken(&self, topic: &TopicInd) {
        ClientSide::<P, H>::topic_speaks(&self.client, topic);
    }

    fn ended(&self, why: Status) {
        ClientSide::<P, H>::subscription_ended(&self.client, &self.topic, why);
    }

    fn schema(&self) -> &Arc<OwnSchema> {
        self.spoken.schemas.own()
    }
}

impl<P, H> TopicHooks for TopicClient<P, H>
where
    P: ConnectWith<H>,
    H: Send + Sync + 'static,
{
    fn log_in(self: Arc<Self>, login: u64, session: u64) -> Hook<'static, ()> {
        Box::pin(async move {
            let place = self.place();
            let logged_in = match self.subscribe(login, session).await {
                Ok(()) => self.on_connected(login).await,
                // It is called again at the next connection.
                Err(SubscribeError::ConnectionEnded) => return,
                Err(SubscribeError::Failed(error)) => Err(error),
            };
            if let Err(error) = logged_in
                && place.is_some()
                && place == self.place()
            {
                self.give_up(error).await;
            }
        })
    }

    fn disconnected(self: Arc<Self>, reason: DisconnectReason) -> Hook<'static, ()> {
        Box::pin(async move {
            let told = P::disconnected(&self.side.handler, &self.client, reason);
            if let Err(panic) = caught(told).await {
                tracing::error!(panic, "on_disconnected panicked");
            }
        })
    }

    fn closed_by_server<'a>(&'a self, status: &'a Status) -> Hook<'a, Reconnect> {
        Box::pin(async move {
            match caught(P::closed_by_server(&self.side.handler, status)).await {
                Ok(next) => next,
                Err(panic) => {
                    tracing::error!(panic, "on_closed_by_server panicked");
                    Reconnect::Stop
                }
            }
        })
    }

    fn connect_failure<'a>(&'a self, error: &'a ConnectError, attempt: u32) -> Hook<'a, ()> {
        Box::pin(async move {
            if self.failed(error, attempt).await == Reconnect::Stop {
                self.shared().end_at_topic(CloseReason::ClosedByUs);
            }
        })
    }
}

/// The task of a client at a topic: passes on the state of the connection, and ends the client when it is closed. It ends within
/// twice `drain_timeout` after the last handle is dropped; `close` waits for that.
pub(super) async fn keep<P, H>(
    client: Arc<TopicClient<P, H>>,
    mux: Arc<MultiplexedConnection>,
    id: EndpointId,
) where
    P: ConnectWith<H>,
    H: Send + Sync + 'static,
{
    let shared = Arc::clone(client.shared());
    let _closed = CloseOnDrop(Arc::clone(&shared));
    let mut stop = shared.stop.subscribe();
    let mut state = mux.watch();
    let is_stopped = loop {
        tokio::select! {
            biased;
            // The senders are in what we hold.
            _ = stop.wait_for(|stop| *stop) => break true,
            _ = state.changed() => {
                let now = *state.borrow_and_update();
                if now == ConnectionState::Closed {
                    break false;
                }
                shared.state.send_replace(now);
            }
        }
    };
    // Nobody logs in any more, and what waits for that is handled.
    shared.login.send_replace(Login::Done);
    let limit = mux.drain_timeout();
    if is_stopped {
        // Another session does not have it.
        if let Some(ask) = client.spoken.revoked(&shared)
            && timeout(limit, mux.unsubscribe(&ask)).await.is_err()
        {
            tracing::warn!(
                topic = client.topic,
                "the broker did not end the subscription in time (drain_timeout)"
            );
        }
    }
    mux.endpoints().remove(id);
    if timeout(limit, client.running.lock()).await.is_err() {
        tracing::warn!(
            topic = client.topic,
            "handlers did not return in time (drain_timeout)"
        );
    }
    mux.clients().remove(&client.topic);
    if is_stopped {
        let reason = match shared.sending().close_reason() {
            Some(CloseReason::ClosedByPeer(status)) => {
                client.closed_by_server(&status).await;
                DisconnectReason::ClosedByPeer(status)
            }
            _ => DisconnectReason::ClosedByUs,
        };
        client.disconnected(reason).await;
    }
}

/// The task of a client has ended, or was dropped.
struct CloseOnDrop(Arc<ClientShared>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        let shared = &self.0;
        if shared.connection.close_reason().is_none() {
            shared.end_at_topic(CloseReason::RuntimeGone);
        }
        shared.state.send_replace(ConnectionState::Closed);
    }
}
