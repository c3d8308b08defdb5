//! The accept loop, and the graceful shutdown.

use std::{
    future::{Future, pending},
    pin::pin,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};
use tracing::Instrument as _;

use super::{
    acceptor::IncomingConnections,
    authenticate::Authenticators,
    connection::{self, ConnectionEnd},
    handoff::Handoffs,
    listeners::{AcceptFailure, AcceptedConnection},
    log_limiter::LogLimiter,
    parked::ParkedSession,
    permits::ConnectionPermits,
    protocols::ProtocolTable,
    sessions::Sessions,
    shared::{ServerShared, goodbye},
};
use crate::{
    connection::ConnectionShared,
    driver::TurnQueue,
    instruments::{OmittedLine, RefusedHandshake, handshake_refused},
    log_rate::{LimitedLog, LogRate},
    settings::Settings,
};
use msip_session::wire::Side;

/// How often it is logged that an accept has failed.
const FAILED_ACCEPTS: LogRate = LogRate {
    burst: 10,
    interval: Duration::from_secs(1),
};

/// How far apart goodbyes are at most.
const BETWEEN_GOODBYES: Duration = Duration::from_millis(1);

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
    pub(super) handoffs: Handoffs,
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
        handoffs,
    } = offering;
    let protocol = protocols.log_name();
    let mut datagrams = JoinSet::new();
    let lanes = incoming.take_udp_listeners().begin(&mut datagrams);
    for url in incoming.local_urls() {
        tracing::info!(protocol, %url, "listening");
    }
    let max_connections = settings.max_connections;
    // Sessions without a connection hold none.
    let permits = Arc::new(ConnectionPermits::new(max_connections));
    let handshakes = Arc::new(Semaphore::new(settings.max_handshakes));
    let log_limiter = Arc::new(LogLimiter::default());
    let sessions = Sessions::new(settings.max_detached_sessions, &log_limiter);
    let failed_accepts = LimitedLog::new(OmittedLine::Accept, FAILED_ACCEPTS);
    let drain_timeout = settings.drain_timeout;
    let shared = Arc::new(ServerShared {
        session_config: Arc::new(settings.session(Side::Accepting)),
        settings,
        name,
        authenticators,
        protocols,
        handoffs,
        handed_off: Arc::default(),
        sessions,
        channels: Arc::default(),
        permits,
        log_limiter: Arc::clone(&log_limiter),
        lanes,
        turn_queue: TurnQueue::of_runtime(),
        draining: incoming.drain_signal(),
    });
    let mut connections: JoinSet<ConnectionEnd> = JoinSet::new();
    let mut shutdown = pin!(shutdown);
    let mut telling = pin!(log_limiter.tell_regularly());
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            // The set and the listener lose nothing when a branch is dropped.
            Some(_) = connections.join_next() => {}
            () = &mut telling => {}
            Some(Err(error)) = datagrams.join_next() => tracing::error!(%error, "a UDP socket is not read any more"),
            session = shared.sessions.next_ended() => end_parked(&mut connections, session, &shared),
            (handshake_permit, accepted) = next_connection(&handshakes, &mut incoming) => match accepted {
                Ok(accepted) => {
                    if let Some(permit) = shared.permits.acquire() {
                        let span = tracing::info_span!("connection", protocol, peer = %accepted.incoming.peer());
                        let serving = connection::serve(accepted, permit, handshake_permit, Arc::clone(&shared));
                        connections.spawn(serving.instrument(span));
                    } else {
                        handshake_refused(RefusedHandshake::TooManyConnections);
                        if shared.log_limiter.may_log_refused(accepted.incoming.peer()) {
                            tracing::warn!(peer = %accepted.incoming.peer(), max_connections, "connection refused: too many connections");
                        }
                    }
                }
                // Usually no file descriptor is free: the connections go on, and later one may be.
                Err(AcceptFailure { url, error, wait }) => {
                    if let Some(unsaid) = failed_accepts.may_log() {
                        tracing::warn!(%url, %error, ?wait, unsaid, "cannot accept a connection");
                    }
                }
            }
        }
    }
    // Ends the connections whose handshakes are not done.
    drop(incoming);
    for session in shared.sessions.end_all() {
        end_parked(&mut connections, session, &shared);
    }
    let report = drain(&shared, connections, drain_timeout).await;
    shared.log_limiter.tell();
    report
}

/// Tells the handler that a session has ended which was parked.
fn end_parked(
    connections: &mut JoinSet<ConnectionEnd>,
    session: Box<ParkedSession>,
    shared: &Arc<ServerShared>,
) {
    let protocol = shared.protocols.log_name();
    let span = tracing::info_span!("connection", protocol, peer = %session.about.address);
    connections.spawn(connection::end_parked(session, Arc::clone(shared)).instrument(span));
}

/// The next connection, once a handshake may begin; until then connections wait to be accepted.
///
/// # Cancel safety
///
/// Dropping the future loses no connection.
async fn next_connection(
    handshakes: &Arc<Semaphore>,
    incoming: &mut IncomingConnections,
) -> (
    OwnedSemaphorePermit,
    Result<AcceptedConnection, AcceptFailure>,
) {
    match Arc::clone(handshakes).acquire_owned().await {
        Ok(handshake_permit) => (handshake_permit, incoming.next().await),
        // Nobody closes the semaphore.
        Err(_) => pending().await,
    }
}

/// Closes every connection gracefully and waits until all tasks have ended.
async fn drain(
    shared: &ServerShared,
    mut connections: JoinSet<ConnectionEnd>,
    limit: Duration,
) -> DrainReport {
    let connected = shared.protocols.connected();
    let mut report = DrainReport {
        connections: connected.len() + shared.handed_off.load(Ordering::Relaxed),
        ..DrainReport::default()
    };
    let spread = shared.settings.drain_spread;
    let spread = spread.min(BETWEEN_GOODBYES.saturating_mul(as_u32(connected.len())));
    let all = async {
        while let Some(ended) = connections.join_next().await {
            report.cut_off += ended.map_or(0, |ended| ended.cut_off);
        }
    };
    let all = async { tokio::join!(close_over(spread, connected), all) };
    // The connections keep the limit themselves; what follows is their handlers' time.
    let limit = limit.saturating_mul(2).saturating_add(MARGIN);
    let in_time = timeout(limit.saturating_add(spread), all).await;
    if in_time.is_err() {
        report.aborted = connections.len();
        connections.shutdown().await;
    }
    tracing::info!(?report, "drained");
    report
}

/// Asks clients to close, one after the other until `spread` has passed: whoever is told comes back at once, here or elsewhere.
async fn close_over(spread: Duration, connected: Vec<Arc<ConnectionShared>>) {
    let (begun, goodbye) = (Instant::now(), goodbye());
    let count = as_u32(connected.len()).max(1);
    for (index, connection) in connected.into_iter().enumerate() {
        if !spread.is_zero() {
            sleep_until(begun + spread * as_u32(index) / count).await;
        }
        connection.begin_close(&goodbye);
    }
}

fn as_u32(count: usize) -> u32 {
    u32::try_from(count).unwrap_or(u32::MAX)
}
