//! The supervisor of a client: a task that connects, runs the connection, and reconnects.

use std::{
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::{
    sync::watch,
    time::{Instant, sleep},
};
use tracing::Instrument as _;

use super::{
    ConnectionState, Reconnect, Shared,
    backoff::Backoff,
    connection::{self, Welcomed},
    endpoint::Endpoint,
    establish::{Established, Identity, Target, establish},
};
use crate::{
    Code, Compression, ConnectError, DisconnectReason, SessionLost,
    connection::ConnectionShared,
    driver::{Driver, HandlerTask, drain, run_suspended},
    error::WithCauses,
    service::{Inbox, caught},
    settings::Settings,
    transport::{Address, Addresses, Stream},
};
use msip_session::{
    Lost, PeerTerms, is_resumed,
    wire::{Decoder, Welcome},
};

/// Connects for the first time, and leaves the rest to a task. `endpoint` makes what the client's sessions are for.
pub(super) async fn start<E: Endpoint>(
    target: Target,
    endpoint: impl FnOnce(&Arc<Shared>) -> E,
) -> Result<Arc<Shared>, ConnectError> {
    let connection = Arc::new(ConnectionShared::new(&target.settings));
    let order = target.settings.address_order;
    let mut addresses = Addresses::new(&target.url, order, || random().unwrap_or(0));
    let established = establish(&target, &mut addresses, &connection, None).await?;
    let shared = Arc::new(Shared {
        connection,
        outgoing: target.stacks.outgoing.clone(),
        state: watch::Sender::new(ConnectionState::Connected),
        stop: watch::Sender::new(false),
        info: connection::Shared::default(),
    });
    // Attached here already, so that the client that is returned can send at once.
    let connection = attach(&target, &shared, established);
    let span = tracing::info_span!("client", protocol = &*target.protocol.name, url = %target.url);
    let supervisor = Supervisor {
        route: Route {
            backoff: Backoff::new(&target.settings),
            addresses,
        },
        target,
        endpoint: endpoint(&shared),
        shared: Arc::clone(&shared),
    };
    // It ends within `drain_timeout` after the last handle is dropped; `close` waits for that.
    tokio::spawn(supervisor.supervise(connection).instrument(span));
    Ok(shared)
}

/// A connection that is ready to run, and its session.
type Ready = (Stream, Decoder, Identity);

/// What follows a session's last connection.
enum Next {
    /// Another session, on this connection.
    Session(Box<Established>),
    /// No connection; another session is to begin.
    Nothing,
    /// The client is closed.
    Stop,
}

/// The outcome of reconnecting for a session.
enum Reconnected {
    Resumed(Stream, Decoder),
    Other(Next, &'static str),
}

/// The task of a client.
struct Supervisor<E> {
    target: Target,
    endpoint: E,
    shared: Arc<Shared>,
    route: Route,
}

/// Where to connect next, and when.
#[derive(Debug, Clone)]
struct Route {
    addresses: Addresses,
    backoff: Backoff,
}

impl Route {
    /// How long to wait after an attempt, or before the first one: thousands of clients may have lost the same server.
    fn wait(&mut self) -> Duration {
        self.backoff.next(random().unwrap_or(u32::MAX))
    }

    /// The delay before the first attempt. Where the server has closed gracefully and there are others, a jitter
    /// only, so that its clients do not all connect to them at once.
    fn first_wait(&mut self) -> Duration {
        if self.addresses.goes_elsewhere() {
            self.backoff.jitter(random().unwrap_or(u32::MAX))
        } else {
            self.wait()
        }
    }
}

impl<E: Endpoint> Supervisor<E> {
    /// Runs one session after the other until the client is closed, or its handler gives up.
    async fn supervise(mut self, first: Ready) {
        let shared = Arc::clone(&self.shared);
        let mut stop = shared.stop.subscribe();
        let mut ready = first;
        loop {
            let mut next = self.run_session(ready).await;
            if matches!(next, Next::Nothing) && !*stop.borrow() {
                let mut route = self.route.clone();
                tokio::select! {
                    // Dropping a half-made connection loses nothing.
                    established = self.reconnect(&mut route, None) => {
                        next = established.map_or(Next::Stop, |established| Next::Session(Box::new(established)));
                    }
                    // The sender lives in `shared`, which we hold.
                    _ = stop.wait_for(|stop| *stop) => next = Next::Stop,
                }
                self.route = route;
            }
            let Next::Session(established) = next else {
                break;
            };
            ready = attach(&self.target, &shared, *established);
            self.is_connected();
        }
        shared.connection.close();
        shared.state.send_replace(ConnectionState::Closed);
    }

    /// Runs a session through all of its connections.
    async fn run_session(&mut self, (mut stream, mut decoder, identity): Ready) -> Next {
        let shared = Arc::clone(&self.shared);
        let connection = &shared.connection;
        let inbox = Arc::new(Inbox::default());
        let mut handlers = self.endpoint.begin(connection, &inbox);
        let Settings {
            write_timeout,
            drain_timeout,
            ping_interval,
            ..
        } = self.target.settings;
        loop {
            let since = Instant::now();
            tracing::info!(resumed = connection.terms().connection > 1, "connected");
            inbox.connected(connection.terms());
            let mut driver = Driver::new(
                stream,
                decoder,
                Arc::clone(connection),
                Arc::clone(&inbox),
                write_timeout,
            );
            let ending = driver.run(&mut handlers).await;
            let ended = driver.end(ending);
            let reason = ended.reason;
            tracing::info!(%reason, is_suspended = ended.is_suspended, "disconnected");
            self.route.backoff.connected_for(since.elapsed());
            if is_going_away(&reason) {
                self.route.addresses.leave();
            }
            let is_stopped = *shared.stop.borrow();
            if is_stopped {
                connection.close();
            } else {
                shared
                    .state
                    .send_replace(ConnectionState::Reconnecting { failed_attempts: 0 });
            }
            if !ended.is_suspended || is_stopped {
                if ended.is_suspended {
                    connection.lose_session();
                }
                inbox.close();
                ended.graceful_close.finish().await;
                drain(handlers, drain_timeout).await;
                if !is_stopped {
                    self.report(reason.to_string(), &ended.lost);
                }
                if let Err(panic) = caught(self.endpoint.disconnected(reason)).await {
                    tracing::error!(panic, "on_disconnected panicked");
                }
                return if is_stopped {
                    Next::Stop
                } else {
                    Next::Nothing
                };
            }
            drop(ended.graceful_close);
            inbox.disconnected(reason);
            let (next, why) = match self.resume(&identity, &mut handlers).await {
                Reconnected::Resumed(resumed_stream, resumed_decoder) => {
                    (stream, decoder) = (resumed_stream, resumed_decoder);
                    self.is_connected();
                    continue;
                }
                Reconnected::Other(next, why) => (next, why),
            };
            let lost = connection.lose_session();
            if matches!(next, Next::Stop) {
                connection.close();
            } else {
                self.report(why.to_owned(), &lost);
            }
            inbox.close();
            // The next connection may be there already, and is not answered meanwhile.
            drain(handlers, drain_timeout.min(ping_interval)).await;
            return next;
        }
    }

    /// Connects again, while the handlers of the session that waits go on.
    async fn resume(&mut self, identity: &Identity, handlers: &mut HandlerTask) -> Reconnected {
        let shared = Arc::clone(&self.shared);
        let connection = &shared.connection;
        let mut stop = shared.stop.subscribe();
        let mut route = self.route.clone();
        let reconnecting = async {
            tokio::select! {
                established = self.reconnect(&mut route, Some(identity)) => established,
                _ = stop.wait_for(|stop| *stop) => None,
            }
        };
        let reconnected = run_suspended(connection, handlers, reconnecting).await;
        self.route = route;
        match reconnected {
            Some(Some(established)) if is_same_session(&shared, &established.welcome.welcome) => {
                let welcome = &established.welcome.welcome;
                connection.resume(&agreed(welcome));
                remember(&self.target, &shared, welcome, &established.address);
                Reconnected::Resumed(established.stream, established.decoder)
            }
            Some(Some(established)) => Reconnected::Other(
                Next::Session(Box::new(established)),
                "the server does not know the session any more",
            ),
            Some(None) => Reconnected::Other(Next::Stop, "closed"),
            None if *shared.stop.borrow() => Reconnected::Other(Next::Stop, "closed"),
            None => Reconnected::Other(
                Next::Nothing,
                "more replies than `session_buffer` were kept for the server",
            ),
        }
    }

    /// The client is connected again.
    fn is_connected(&self) {
        let shared = &self.shared;
        shared.state.send_replace(ConnectionState::Connected);
        if *shared.stop.borrow() {
            // It was asked to close before there was a session to close.
            shared.request_stop();
        }
    }

    /// Reports a lost session to the user.
    fn report(&self, reason: String, lost: &[Lost]) {
        let shared = &self.shared;
        let exchanges = self.endpoint.lost(lost);
        tracing::warn!(reason, open = exchanges.len(), "the session is lost");
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

    /// Tries to resume a session, or to begin one, until it succeeds or the handler stops it.
    async fn reconnect(
        &self,
        route: &mut Route,
        session: Option<&Identity>,
    ) -> Option<Established> {
        let shared = &self.shared;
        let mut identity = session;
        let mut wait = route.first_wait();
        for attempt in 1_u32.. {
            sleep(wait).await;
            let addresses = &mut route.addresses;
            let error = match establish(&self.target, addresses, &shared.connection, identity).await
            {
                Ok(established) => return Some(established),
                Err(error) => error,
            };
            if error.is_refused_with(Code::Unauthenticated) {
                // The session is another's by now, or the credential is wrong: a new session is tried next, and then the old one
                // again. What was open in it is reported once another one has begun.
                identity = if identity.is_some() { None } else { session };
            }
            tracing::warn!(attempt, error = %WithCauses(&error), "cannot connect");
            shared.state.send_replace(ConnectionState::Reconnecting {
                failed_attempts: attempt,
            });
            let answer = caught(self.endpoint.connect_failure(&error, attempt)).await;
            wait = match answer {
                Ok(Reconnect::Stop) => return None,
                Ok(Reconnect::After(wait)) => wait,
                Ok(Reconnect::Backoff) => route.wait(),
                Err(panic) => {
                    tracing::error!(panic, "on_connect_failure panicked");
                    route.wait()
                }
            };
        }
        None
    }
}

/// Whether the server has announced its shutdown; its other clients move to other servers too.
fn is_going_away(reason: &DisconnectReason) -> bool {
    matches!(reason, DisconnectReason::ClosedByPeer(status) if status.code() == Code::Unavailable)
}

fn random() -> Option<u32> {
    getrandom::u32().ok()
}

/// Whether the server goes on with the session that this client has.
fn is_same_session(shared: &Shared, welcome: &Welcome) -> bool {
    let welcomed = shared
        .info
        .welcomed
        .lock()
        .unwrap_or_else(PoisonError::into_inner);
    is_resumed(welcome, welcomed.peer_id)
}

/// Makes a new session the client's, and says what it learned.
fn attach(target: &Target, shared: &Shared, established: Established) -> Ready {
    let Established {
        address,
        stream,
        decoder,
        mut session,
        encoding,
        welcome,
        identity,
    } = established;
    remember(target, shared, &welcome.welcome, &address);
    if welcome.welcome.session_expiry_ms > 0 {
        session.keep_when_lost();
    }
    if welcome.welcome.resumed {
        // The server has begun it, and may wait for answers.
        let agreed = agreed(&welcome.welcome);
        // It has no calls yet, so nothing is to be cancelled.
        let _ = session.resume(&agreed, shared.connection.now());
    }
    if encoding.compression() != Compression::None {
        session.allow_compressed();
    }
    shared.connection.attach(session, encoding);
    (stream, decoder, identity)
}

fn agreed(welcome: &Welcome) -> PeerTerms<'_> {
    PeerTerms {
        peer_max_body: welcome.max_body,
        max_calls: welcome.max_open_calls,
        awaited: &welcome.awaited,
    }
}

/// Keeps the outcome of the handshake.
fn remember(target: &Target, shared: &Shared, welcome: &Welcome, address: &Address) {
    let ours = target.protocol.fingerprint;
    if welcome.fingerprint != ours {
        tracing::warn!(
            ours = format_args!("{ours:016x}"),
            theirs = format_args!("{:016x}", welcome.fingerprint),
            "the server has another version of the schema"
        );
    }
    let welcomed = Welcomed {
        address: Some(address.clone()),
        peer_id: welcome.peer_id,
        server_name: welcome.server_name.clone(),
        server_fingerprint: welcome.fingerprint,
        resumed: welcome.resumed,
    };
    *shared
        .info
        .welcomed
        .lock()
        .unwrap_or_else(PoisonError::into_inner) = welcomed;
}
