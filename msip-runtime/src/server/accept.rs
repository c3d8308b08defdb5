//! CreditBatcher connections in, and letting them go.

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
    connection::{self, ConnectionEnd, ServerShared},
    log_limiter::LogLimiter,
    protocols::ProtocolTable,
    sessions::Sessions,
};
use crate::{
    Code, Status,
    driver::close_gracefully,
    settings::Settings,
    transport::{self, Listener},
};
use msip_session::wire::{Flags, MsgId, write_error};

/// How long the first failed accept is waited out; doubles up to the longest.
const FIRST_WAIT: Duration = Duration::from_millis(5);
const LONGEST_WAIT: Duration = Duration::from_secs(1);

/// How many connections too many are told so at once; those beyond are closed without a word.
const MAX_TURNED_AWAY: usize = 64;

/// What tasks need after `drain_timeout` to end: a last text, and the handlers' own time.
const MARGIN: Duration = Duration::from_secs(2);

/// What a shutdown came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct DrainReport {
    /// How many clients were connected when it began.
    pub connections: usize,
    /// How many calls and acknowledgments were still open when the time was up, and are lost.
    pub cut_off: usize,
    /// How many connections did not even end in time after that, and were dropped with their handlers.
    pub aborted: usize,
}

/// Serves until `shutdown`, then drains.
pub(super) async fn serve(
    listener: Listener,
    settings: Settings,
    name: String,
    protocols: ProtocolTable,
    shutdown: impl Future<Output = ()> + Send,
) -> DrainReport {
    let url = listener.local_url().to_string();
    let protocol = protocols.log_name();
    tracing::info!(protocol, url, "listening");
    let max_connections = settings.max_connections;
    // A session without a connection has none of them.
    let permits = Arc::new(Semaphore::new(max_connections));
    let handshakes = Arc::new(Semaphore::new(settings.max_handshakes));
    let sessions = Sessions::new(settings.max_detached_sessions);
    let drain_timeout = settings.drain_timeout;
    let shared = Arc::new(ServerShared {
        settings,
        name,
        protocols,
        sessions,
        log_limiter: LogLimiter::default(),
    });
    let mut connections: JoinSet<ConnectionEnd> = JoinSet::new();
    let mut turned_away: JoinSet<()> = JoinSet::new();
    let mut wait = FIRST_WAIT;
    let mut shutdown = pin!(shutdown);
    loop {
        tokio::select! {
            () = &mut shutdown => break,
            // Both sets and the listener lose nothing when a branch is dropped.
            Some(_) = connections.join_next() => {}
            Some(_) = turned_away.join_next() => {}
            (handshake_permit, accepted) = next_connection(&handshakes, &listener) => match accepted {
                Ok(connection) => {
                    wait = FIRST_WAIT;
                    if let Ok(permit) = Arc::clone(&permits).try_acquire_owned() {
                        let span = tracing::info_span!("connection", protocol, peer = %connection.peer);
                        let serving = connection::serve(connection, permit, handshake_permit, Arc::clone(&shared));
                        connections.spawn(serving.instrument(span));
                    } else {
                        if let Some(unsaid) = shared.log_limiter.may_log(&connection.peer) {
                            tracing::warn!(peer = %connection.peer, max_connections, unsaid, "turned away: too many connections");
                        }
                        if turned_away.len() < MAX_TURNED_AWAY {
                            turned_away.spawn(turn_away(connection, max_connections));
                        }
                    }
                }
                Err(error) => {
                    // Mostly no file descriptor is free: what is connected goes on, and later there may be one.
                    tracing::warn!(%error, ?wait, "cannot accept a connection");
                    sleep(wait).await;
                    wait = (wait * 2).min(LONGEST_WAIT);
                }
            }
        }
    }
    drop(listener);
    shared.sessions.end_all();
    drain(&shared.protocols, connections, drain_timeout).await
}

/// The next connection, once a handshake may begin; those before that cost nothing here.
///
/// # Cancel safety
///
/// Dropping the future loses no connection.
async fn next_connection(
    handshakes: &Arc<Semaphore>,
    listener: &Listener,
) -> (OwnedSemaphorePermit, io::Result<transport::Connection>) {
    match Arc::clone(handshakes).acquire_owned().await {
        Ok(handshake_permit) => (handshake_permit, listener.accept().await),
        // Nobody closes the semaphore.
        Err(_) => pending().await,
    }
}

/// Tells a client that there is no room, and closes.
async fn turn_away(mut connection: transport::Connection, max: usize) {
    let mut text = Vec::new();
    let reason = format!("{max} clients are connected, which is the most (max_connections)");
    write_error(
        &mut text,
        Flags::NONE,
        MsgId::CONNECTION,
        Code::ResourceExhausted,
        &reason,
    );
    close_gracefully(&mut connection.stream, vec![text]).await;
}

/// Says goodbye to every client and waits until all tasks have ended.
async fn drain(
    protocols: &ProtocolTable,
    mut connections: JoinSet<ConnectionEnd>,
    limit: Duration,
) -> DrainReport {
    let mut report = DrainReport {
        connections: protocols.close_all(&Status::unavailable("the server goes away")),
        ..DrainReport::default()
    };
    let all = async {
        while let Some(ended) = connections.join_next().await {
            report.cut_off += ended.map_or(0, |ended| ended.cut_off);
        }
    };
    // The connections keep the limit themselves; what comes after it is their handlers' time.
    let in_time = timeout(limit.saturating_mul(2).saturating_add(MARGIN), all).await;
    if in_time.is_err() {
        report.aborted = connections.len();
        connections.shutdown().await;
    }
    tracing::info!(?report, "drained");
    report
}
