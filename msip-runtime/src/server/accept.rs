//! The accept loop, and the graceful shutdown.

use std::{
    future::{Future, pending},
    io,
    pin::pin,
    sync::Arc,
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{sleep, timeout},
};
use tracing::Instrument as _;

use super::{
    acceptor::IncomingConnections,
    authenticate::Authenticators,
    connection::{self, ConnectionEnd},
    log_limiter::LogLimiter,
    protocols::ProtocolTable,
    sessions::Sessions,
    shared::{ServerShared, goodbye},
};
use crate::{
    Code,
    driver::{TurnQueue, close_gracefully},
    instruments::{RefusedHandshake, handshake_refused},
    settings::Settings,
    transport::Incoming,
};
use msip_session::wire::{Flags, MsgId, write_error};

/// How long to wait after a failed accept: at first, doubled with each, and at most.
const FIRST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How many connections beyond `max_connections` are refused with `RESOURCE_EXHAUSTED` at once; more are closed without
/// an answer.
const MAX_TURNED_AWAY: usize = 64;

/// How much longer than `drain_timeout` tasks may take: for the CLOSE, and for the handlers.
const MARGIN: Duration = Duration::from_secs(2);

/// The outcome of a shutdown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DrainReport {
    /// How many clients were connected when it began.
    pub connections: usize,
    /// How many calls and acknowledgments were still open when the time was up, and are lost.
    pub cut_off: usize,
    /// How many connections did not end in time after that, and were dropped with their handlers.
    pub aborted: usize,
}

/// What a server offers, and to whom.
#[derive(Debug)]
pub(super) struct Offering {
    pub(super) name: String,
    pub(super) authenticators: Authenticators,
    pub(super) protocols: ProtocolTable,
}

/// Serves until `shutdown`, then drains.
pub(super) async fn serve(
    mut incoming: IncomingConnections,
    settings: Settings,
    offering: Offering,
    shutdown: impl Future<Output = ()> + Send,
) -> DrainReport {
    let Offering {
        name,
        authenticators,
        protocols,
    } = offering;
    let url = incoming.local_url().to_string();
    let protocol = protocols.log_name();
    tracing::info!(protocol, url, "listening");
    let max_connections = settings.max_connections;
    // Sessions without a connection hold none.
    let permits = Arc::new(Semaphore::new(max_connections));
    let handshakes = Arc::new(Semaphore::new(settings.max_handshakes));
    let sessions = Sessions::new(settings.max_detached_sessions);
    let (drain_timeout, handshake_timeout) = (settings.drain_timeout, settings.handshake_timeout);
    let shared = Arc::new(ServerShared {
        settings,
        name,
        authenticators,
        protocols,
        sessions,
        log_limiter: LogLimiter::default(),
        turn_queue: TurnQueue::of_runtime(),
        draining: incoming.drain_signal(),
    });
    let mut connections: JoinSet<ConnectionEnd> = JoinSet::new();
    let mut turned_away: JoinSet<()> = JoinSet::new();
    let mut wait = FIRST_WAIT;
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            // The sets and the listener lose nothing when a branch is dropped.
            Some(_) = connections.join_next() => {}
            Some(_) = turned_away.join_next() => {}
            (handshake_permit, accepted) = next_connection(&handshakes, &mut incoming) => match accepted {
                Ok(connection) => {
                    wait = FIRST_WAIT;
                    if let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
                        let span = tracing::info_span!("connection", protocol, peer = %connection.peer());
                        let serving = connection::serve(connection, permit, handshake_permit, Arc::clone(&shared));
                        connections.spawn(serving.instrument(span));
                    } else {
                        handshake_refused(RefusedHandshake::TooManyConnections);
                        if let Some(unsaid) = shared.log_limiter.may_log(connection.peer()) {
                            tracing::warn!(peer = %connection.peer(), max_connections, unsaid, "connection refused: too many connections");
                        }
                        if turned_away.len() < MAX_TURNED_AWAY {
                            turned_away.spawn(turn_away(connection, max_connections, handshake_timeout));
                        }
                    }
                }
                Err(error) => {
                    // Usually no file descriptor is free: the connections go on, and later one may be.
                    tracing::warn!(%error, ?wait, "cannot accept a connection");
                    tokio::select! {
                        () = &mut shutdown => break,
                        () = sleep(wait) => wait = (wait * 2).min(LONGEST_WAIT),
                    }
                }
            }
        }
    }
    // Ends the connections whose handshakes are not done.
    drop(incoming);
    shared.sessions.end_all();
    drain(&shared.protocols, connections, drain_timeout).await
}

/// The next connection, once a handshake may begin; until then connections wait to be accepted.
///
/// # Cancel safety
///
/// Dropping the future loses no connection.
async fn next_connection(
    handshakes: &Arc<Semaphore>,
    incoming: &mut IncomingConnections,
) -> (OwnedSemaphorePermit, io::Result<Incoming>) {
    match Arc::clone(handshakes).acquire_owned().await {
        Ok(handshake_permit) => (handshake_permit, incoming.next().await),
        // Nobody closes the semaphore.
        Err(_) => pending().await,
    }
}

/// Refuses a client, since there are too many.
async fn turn_away(incoming: Incoming, max: usize, limit: Duration) {
    let Ok(Ok(mut connection)) = timeout(limit, incoming.upgrade()).await else {
        return;
    };
    let mut text = Vec::new();
    let reason = format!("too many connections: {max} (max_connections)");
    write_error(
        &mut text,
        Flags::NONE,
        MsgId::CONNECTION,
        Code::ResourceExhausted,
        &reason,
    );
    close_gracefully(&mut connection.stream, vec![text]).await;
}

/// Closes every connection gracefully and waits until all tasks have ended.
async fn drain(
    protocols: &ProtocolTable,
    mut connections: JoinSet<ConnectionEnd>,
    limit: Duration,
) -> DrainReport {
    let mut report = DrainReport {
        connections: protocols.close_all(&goodbye()),
        ..DrainReport::default()
    };
    let all = async {
        while let Some(ended) = connections.join_next().await {
            report.cut_off += ended.map_or(0, |ended| ended.cut_off);
        }
    };
    // The connections keep the limit themselves; what follows is their handlers' time.
    let in_time = timeout(limit.saturating_mul(2).saturating_add(MARGIN), all).await;
    if in_time.is_err() {
        report.aborted = connections.len();
        connections.shutdown().await;
    }
    tracing::info!(?report, "drained");
    report
}
