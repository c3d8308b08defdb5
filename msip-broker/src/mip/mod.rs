//! MIP peers: the published clients of MIP, unchanged (docs/protocol.md, "The MIP dialect").
//!
//! The connection of each is handed off by the server that listens, by its first bytes, and is served by a task of its own:
//! bytes become requests and answers in a value, `session`, which publishes what it received, whole runs of messages at
//! once, in the memory that it was read into.

mod buffers;
mod connection;
mod ending;
mod frame;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod fuzzing;
mod ids;
mod session;
mod translate;
mod writer;

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use msip_runtime::{
    Status,
    transport::Connection,
    untyped::{HandedOff, Handoff},
    wire::{MAGIC, VERSION},
};
use tokio::time::Instant;

use crate::{
    access::{Principal, Rights, SharedRights},
    connections::{Connected, Connections},
    router::Router,
};
use connection::Connection as PeerConnection;
use ids::Sessions;

/// What MIP peers may use.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct MipSettings {
    /// The largest body of a message, in bytes. 4 MiB unless set.
    pub max_body: usize,
    /// How long a peer may take nothing of what is written to it. 10 s unless set.
    pub write_timeout: Duration,
    /// How many sessions are kept that have no connection: beyond it those end that have been away for longest. 10,000 unless
    /// set.
    pub max_away: usize,
    /// Over how long the connections are closed when the broker stops, at most, a millisecond for each, so that not all peers
    /// come back at once. Nothing unless set: they come back 3 s later.
    pub drain_spread: Duration,
    /// How many bytes of frames that have not come whole all connections may hold together: one that needs more is refused with
    /// `RESOURCE_EXHAUSTED`. What one read takes, 64 KiB, counts nothing. Any number unless set.
    pub max_memory: usize,
    /// Where connections register, for people who look at the broker. A table of its own unless set.
    pub connections: Connections,
}

impl Default for MipSettings {
    fn default() -> Self {
        Self {
            max_body: 4 << 20,
            write_timeout: Duration::from_secs(10),
            max_away: 10_000,
            drain_spread: Duration::ZERO,
            max_memory: usize::MAX,
            connections: Connections::default(),
        }
    }
}

/// Who the peer of a connection is, and what it may do. A MIP peer has no credential: it is what its listener says it is.
#[derive(Debug, Clone)]
pub struct Admission {
    /// Who it is.
    pub principal: Principal,
    /// What it may do.
    pub rights: Arc<Rights>,
    /// Whether it can come back to a session by its id (`mip_resume`). Ids can be guessed: anyone else who reaches the listener
    /// as the same principal could take the session over.
    pub may_resume: bool,
}

type Serving<'a> = Pin<Box<dyn Future<Output = ()> + Send + 'a>>;

type Admit = dyn Fn(&Connection) -> Result<Admission, Status> + Send + Sync;

/// Serves MIP peers at the listeners of a server: give it to
/// [`ServerBuilder::handoff`](msip_runtime::ServerBuilder::handoff). Clones are one.
#[derive(Clone)]
pub struct MipPeers(Arc<Inner>);

struct Inner {
    router: Router,
    sessions: Sessions,
    settings: MipSettings,
    began: Instant,
    admit: Box<Admit>,
    rights: SharedRights,
    /// What connections hold of frames that have not come whole.
    partial: AtomicUsize,
    connected: Connected,
    /// How many messages the peers have published, and how many were written to them.
    received: AtomicU64,
    delivered: AtomicU64,
}

/// What MIP peers have sent and got, and how many there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct MipCounts {
    /// How many are connected and greeted.
    pub connected: u64,
    /// How many messages they have published.
    pub received: u64,
    /// How many messages were written to them, or are about to be.
    pub delivered: u64,
}

impl MipPeers {
    /// MIP peers of a router, whose times count from `began`. `admit` says who a peer is, by the listener that has accepted its
    /// connection; its status is what a refused one is told.
    pub fn new(
        router: Router,
        began: Instant,
        settings: MipSettings,
        admit: impl Fn(&Connection) -> Result<Admission, Status> + Send + Sync + 'static,
    ) -> Self {
        Self(Arc::new(Inner {
            sessions: Sessions::new(router.clone(), settings.max_away),
            router,
            settings,
            began,
            admit: Box::new(admit),
            rights: SharedRights::default(),
            partial: AtomicUsize::new(0),
            connected: Connected::default(),
            received: AtomicU64::new(0),
            delivered: AtomicU64::new(0),
        }))
    }

    /// Ends the sessions that nobody has come back to in time. Returns when to call it again, if there are others; they
    /// end too when peers come and go.
    pub fn expire(&self) -> Option<Instant> {
        let next = self.0.sessions.expire(self.0.now())?;
        Some(self.0.began + next)
    }

    /// What they have sent and got.
    pub fn counts(&self) -> MipCounts {
        let inner = &*self.0;
        MipCounts {
            connected: inner.connected.count(),
            received: inner.received.load(Relaxed),
            delivered: inner.delivered.load(Relaxed),
        }
    }
}

impl Inner {
    fn now(&self) -> Duration {
        self.began.elapsed()
    }
}

impl fmt::Debug for MipPeers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MipPeers")
            .field("settings", &self.0.settings)
            .finish_non_exhaustive()
    }
}

impl Handoff for MipPeers {
    fn recognizes(&self, start: &[u8]) -> bool {
        let [m0, m1, m2, m3] = MAGIC;
        start.starts_with(&[m0, m1, m2, m3, VERSION])
    }

    fn serve(&self, peer: HandedOff) -> impl Future<Output = ()> + Send {
        // A future that waited for either would hold what was handed off beside them, for as long as the peer is there.
        let serving: Serving<'_> = match (self.0.admit)(&peer.connection) {
            Ok(mut admission) => {
                admission.rights = self.0.rights.share(admission.rights);
                Box::pin(PeerConnection::new(&self.0, admission, peer).serve())
            }
            Err(status) => {
                if peer.permit.may_log(&peer.connection.peer) {
                    tracing::info!(%status, "a MIP peer was refused");
                }
                Box::pin(connection::refuse(peer, status))
            }
        };
        serving
    }
}

#[cfg(test)]
mod tests;
