//! The supervisor of a client: a task that connects, runs the connection, and reconnects.

mod login;
mod reconnect;
mod welcome;

use std::{future::Future, pin::Pin, sync::Arc};

use tokio::{
    sync::{oneshot, watch},
    time::{Instant, timeout},
};
use tracing::Instrument as _;

use super::{
    ClientShared, ConnectionState, KeepOpen, Login, Reconnect,
    backoff::{Backoff, random},
    channels::SessionChannels,
    connection::SharedInfo,
    endpoint::Endpoint,
    establish::{Established, Identity, Target, establish},
    subscription::Spoken,
};
use crate::{
    CloseReason, Code, ConnectError, DisconnectReason, SessionLost,
    connection::ConnectionShared,
    driver::{ConnectionEnd, Driver, HandlerTask, drain},
    error::WithCauses,
    instruments::{self, SessionCount},
    service::{Inbox, caught},
    settings::Settings,
    transport::{Addresses, BoxFuture, Stream},
};
use msip_session::{Lost, wire::Decoder};

use reconnect::{Failed, Reconnected, Route};
use welcome::{Ready, attach};

/// Connects for the first time and logs in, and leaves the rest to a task. `endpoint` makes what the client's sessions are for.
/// Dropping the future closes the connection.
pub(super) async fn start<E: Endpoint>(
    target: Target,
    endpoint: impl FnOnce(&Arc<ClientShared>) -> E,
) -> Result<KeepOpen, ConnectError> {
    instruments::describe();
    let connection = ConnectionShared::new(&target.settings);
    let connection = Arc::new(match &target.dialect {
        Some(dialect) => connection.carrying(dialect.carries(), dialect.texts()),
        None => connection,
    });
    let order = target.settings.address_order;
    let mut addresses = Addresses::new(&target.url, order, || random().unwrap_or(0));
    let established = establish(&target, &mut addresses, &connection, None).await?;
    let shared = Arc::new(ClientShared {
        connection,
        topic: target.topic.clone(),
        parent: None,
        outgoing: target.stacks.outgoing.clone(),
        state: watch::Sender::new(ConnectionState::Connected),
        stop: watch::Sender::new(false),
        login: watch::Sender::new(Login::Pending),
        info: SharedInfo::default(),
    });
    let keep = KeepOpen(Arc::clone(&shared));
    let connection = attach(&target, &shared, established);
    let span = tracing::info_span!("client", protocol = &*target.protocol.name, url = %target.url);
    let (first_login, logged_in) = oneshot::channel();
    let supervisor = Supervisor {
        route: Route {
            backoff: Backoff::new(&target.settings),
            addresses,
            failed_attempts: 0,
        },
        spoken: target.spoken().map(Arc::new),
        target: Arc::new(target),
        endpoint: Arc::new(endpoint(&shared)),
        shared,
        first_login: Some(first_login),
    };
    // Nobody could own it: it outlives the handles, of which the last may be dropped, to say goodbye. It ends within
    // `drain_timeout` after that, and `close` waits for it.
    tokio::spawn(supervisor.supervise(connection).instrument(span));
    match logged_in.await {
        Ok(Ok(())) => Ok(keep),
        Ok(Err(error)) => Err(error),
        // It was closed in `on_connected`, or its runtime is shut down.
        Err(_) => Err(ConnectError::Closed),
    }
}

/// A call of `on_disconnected` that has not returned.
type Disconnecting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What follows a session's last connection.
enum Next {
    /// Another session, on this connection.
    Session(Box<Established>),
    /// No connection; another session is to begin, after this wait or as the backoff says.
    Nothing(Failed),
    /// The client is closed, for this reason.
    Stop(CloseReason),
}

/// What a session has through all of its connections.
struct SessionRun {
    /// Its channels, which end with it.
    channels: SessionChannels,
    identity: Identity,
    /// The number of the login of its connection.
    login: u64,
    inbox: Arc<Inbox>,
    handlers: HandlerTask,
    disconnecting: Option<Disconnecting>,
    /// Whether it is subscribed to the topic of the client.
    is_subscribed: bool,
}

/// The task of a client.
struct Supervisor<E> {
    target: Arc<Target>,
    endpoint: Arc<E>,
    shared: Arc<ClientShared>,
    /// What is spoken at the topic of the client, where it has one.
    spoken: Option<Arc<Spoken>>,
    route: Route,
    /// Hears of the first login, and of no other.
    first_login: Option<oneshot::Sender<Result<(), ConnectError>>>,
}

/// Closes a client whose task ends, or is dropped before it has: its runtime is shut down. Nobody waits for it any longer.
struct AbandonOnDrop(Arc<ClientShared>);

impl Drop for AbandonOnDrop {
    fn drop(&mut self) {
        self.0.connection.abandon();
        self.0.state.send_replace(ConnectionState::Closed);
    }
}

impl<E: Endpoint> Supervisor<E> {
    /// Runs one session after the other until the client is closed, or its handler gives up.
    async fn supervise(mut self, first: Ready) {
        let shared = Arc::clone(&self.shared);
        let _abandon = AbandonOnDrop(Arc::clone(&shared));
        let mut stop = shared.stop.subscribe();
        let mut ready = first;
        let reason = loop {
            let next = match self.run_session(ready).await {
                Next::Nothing(_) if *stop.borrow() => Next::Stop(CloseReason::ClosedByUs),
                Next::Nothing(failed) => {
                    let mut route = self.route.clone();
                    let next = tokio::select! {
                        // Dropping a half-made connection loses nothing.
                        established = rare(|| self.reconnect(&mut route, failed, None)) => match established {
                            Ok(established) => Next::Session(Box::new(established)),
                            Err(reason) => Next::Stop(reason),
                        },
                        // The sender lives in `shared`, which we hold.
                        _ = stop.wait_for(|stop| *stop) => Next::Stop(CloseReason::ClosedByUs),
                    };
                    self.route = route;
                    next
                }
                next => next,
            };
            match next {
                Next::Session(established) => {
                    ready = attach(&self.target, &shared, *established);
                    instruments::reconnected(false);
                }
                Next::Stop(reason) => break reason,
                Next::Nothing(_) => break CloseReason::ClosedByUs,
            }
        };
        // What is dropped now tells the state.
        shared.connection.close(reason);
    }

    /// Runs a session through all of its connections.
    async fn run_session(&mut self, ready: Ready) -> Next {
        let (mut stream, mut decoder, identity, login, key) = ready;
        let inbox = Arc::new(Inbox::default());
        let _count = SessionCount::new(instruments::Side::Client);
        let handlers = self.endpoint.begin(&self.shared.connection, &inbox);
        let channels =
            SessionChannels::open(&self.target, &self.endpoint, &self.shared, identity.id, key);
        let mut run = SessionRun {
            channels,
            identity,
            login,
            inbox,
            handlers: self.beside_schema_checks(handlers),
            disconnecting: None,
            is_subscribed: false,
        };
        loop {
            let mut driver = self.begin_connection(&run, stream, decoder);
            let logged_in = rare(|| self.log_in(&mut driver, &mut run)).await;
            let (ending, login) = match logged_in {
                Ok(()) => {
                    let since = Instant::now();
                    self.is_connected();
                    let ending = driver.run(&mut run.handlers).await;
                    self.route.backoff.connected_for(since.elapsed());
                    (ending, Ok(()))
                }
                Err(failure) => {
                    let (ending, failed) =
                        rare(|| self.login_failed(failure, &mut driver, &mut run)).await;
                    (ending, Err(failed))
                }
            };
            let ended = driver.end(ending);
            match rare(|| self.after_connection(run, ended, login)).await {
                Ok(resumed) => (run, stream, decoder) = resumed,
                Err(next) => return next,
            }
        }
    }

    /// Makes the driver of a session's next connection.
    fn begin_connection(&self, run: &SessionRun, stream: Stream, decoder: Decoder) -> Driver {
        let connection = &self.shared.connection;
        tracing::info!(resumed = connection.terms().connection > 1, "connected");
        self.shared.login.send_replace(Login::Pending);
        run.inbox.connected(connection.terms());
        Driver::new(
            stream,
            decoder,
            Arc::clone(connection),
            Arc::clone(&run.inbox),
        )
    }

    /// A connection of a session has ended, with this outcome of its login. Returns the session and its next connection, or
    /// what follows it.
    async fn after_connection(
        &mut self,
        mut run: SessionRun,
        ended: ConnectionEnd,
        login: Result<(), Failed>,
    ) -> Result<(SessionRun, Stream, Decoder), Next> {
        let shared = Arc::clone(&self.shared);
        let connection = &shared.connection;
        let Settings {
            drain_timeout,
            ping_interval,
            ..
        } = self.target.settings;
        let is_logged_in = login.is_ok();
        let mut failed = login.err().unwrap_or(Failed::Nothing);
        let reason = ended.reason;
        tracing::info!(reason = %WithCauses(&reason), is_suspended = ended.is_suspended, "disconnected");
        if is_going_away(&reason) {
            self.route.addresses.leave();
        }
        if !is_logged_in && matches!(failed, Failed::Nothing) {
            let error = ConnectError::LostInLogin {
                reason: reason.clone(),
            };
            if let Some(first) = self.first_login.take() {
                let _ = first.send(Err(error));
                shared.request_stop();
            } else {
                failed = Failed::Attempt(error);
            }
        }
        let is_stopped = *shared.stop.borrow();
        if is_stopped {
            connection.close(CloseReason::ClosedByUs);
        } else if is_logged_in {
            shared
                .state
                .send_replace(ConnectionState::Reconnecting { failed_attempts: 0 });
        }
        if !ended.is_suspended || is_stopped {
            if ended.is_suspended {
                connection.lose_session();
            }
            run.inbox.close();
            ended.graceful_close.finish().await;
            run.channels.finish(drain_timeout.min(ping_interval)).await;
            if is_logged_in || !self.endpoint.awaits_login() {
                shared.login.send_replace(Login::Done);
                drain(run.handlers, drain_timeout).await;
            } else {
                // They wait for the login.
                drop(run.handlers);
            }
            if !is_stopped {
                self.report(WithCauses(&reason).to_string(), &ended.lost);
            }
            if is_logged_in {
                disconnected(Arc::clone(&self.endpoint), reason.clone()).await;
            }
            if is_stopped {
                return Err(Next::Stop(CloseReason::ClosedByUs));
            }
            return Err(self.after_the_end(reason, failed).await);
        }
        drop(ended.graceful_close);
        run.inbox.disconnected(reason.clone());
        if is_logged_in {
            let endpoint = Arc::clone(&self.endpoint);
            run.disconnecting = Some(Box::pin(disconnected(endpoint, reason)));
        }
        let resumed = self
            .resume(
                &run.identity,
                &mut run.handlers,
                &mut run.disconnecting,
                failed,
            )
            .await;
        let (next, why) = match resumed {
            Reconnected::Resumed(stream, decoder, login) => {
                run.login = login;
                instruments::reconnected(true);
                return Ok((run, stream, decoder));
            }
            Reconnected::Other(next, why) => (next, why),
        };
        let lost = connection.lose_session();
        match &next {
            Next::Stop(reason) => connection.close(reason.clone()),
            Next::Session(_) | Next::Nothing(_) => self.report(why.to_owned(), &lost),
        }
        shared.login.send_replace(Login::Done);
        run.inbox.close();
        // The next connection may be there already, and is not answered meanwhile.
        let limit = drain_timeout.min(ping_interval);
        drain(run.handlers, limit).await;
        if let Some(disconnecting) = run.disconnecting
            && timeout(limit, disconnecting).await.is_err()
        {
            tracing::warn!(?limit, "on_disconnected did not return and was dropped");
        }
        Err(next)
    }

    /// The handlers of a session, with the checks of the schemas of its server, or of who speaks at its topic, beside them.
    fn beside_schema_checks(&self, handlers: HandlerTask) -> HandlerTask {
        match &self.spoken {
            None => self.shared.beside_schema_check(handlers),
            Some(spoken) => self
                .shared
                .beside_topic_checks(Arc::clone(spoken), handlers),
        }
    }

    /// What follows a session that has ended with its connection, for this reason.
    async fn after_the_end(&self, reason: DisconnectReason, failed: Failed) -> Next {
        let DisconnectReason::ClosedByPeer(status) = reason else {
            return Next::Nothing(failed);
        };
        if matches!(status.code(), Code::Unavailable | Code::ResourceExhausted) {
            return Next::Nothing(failed);
        }
        if status.code() == Code::Unauthenticated && self.target.credential.may_change() {
            // The next attempt asks for a fresh one.
            return Next::Nothing(failed);
        }
        match caught(self.endpoint.closed_by_server(&status)).await {
            Ok(Reconnect::Backoff) => Next::Nothing(failed),
            Ok(Reconnect::After(wait)) => Next::Nothing(Failed::After(wait)),
            Ok(Reconnect::Stop) => Next::Stop(CloseReason::ClosedByPeer(status)),
            Err(panic) => {
                tracing::error!(panic, "on_closed_by_server panicked");
                Next::Stop(CloseReason::ClosedByPeer(status))
            }
        }
    }

    /// Reports a lost session to the user.
    fn report(&self, reason: String, lost: &[Lost]) {
        let shared = &self.shared;
        let exchanges = self.endpoint.lost(lost);
        tracing::warn!(reason, open = exchanges.len(), "the session is lost");
        instruments::session_lost();
        let dropped = shared.connection.dropped();
        shared.info.lost.send_modify(|last| {
            let count = last.as_ref().map_or(0, |last| last.count) + 1;
            *last = Some(SessionLost {
                count,
                reason,
                exchanges,
                dropped,
            });
        });
    }
}

/// Begins what comes at most once for each connection, in a box, and hides what it is: as a part of the client's future it would
/// be a part of the stack frame of every poll of the driver, all of which is touched each time.
#[inline(never)]
fn rare<'a, T, F: Future<Output = T> + Send + 'a>(begin: impl FnOnce() -> F) -> BoxFuture<'a, T> {
    Box::pin(begin())
}

/// Tells the handler that a connection has ended.
async fn disconnected<E: Endpoint>(endpoint: Arc<E>, reason: DisconnectReason) {
    if let Err(panic) = caught(endpoint.disconnected(reason)).await {
        tracing::error!(panic, "on_disconnected panicked");
    }
}

/// Whether the server has announced its shutdown; its other clients move to other servers too.
fn is_going_away(reason: &DisconnectReason) -> bool {
    matches!(reason, DisconnectReason::ClosedByPeer(status) if status.code() == Code::Unavailable)
}
