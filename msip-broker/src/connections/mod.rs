//! The connections that are open, and those that were lately: for people who look at the broker.
//!
//! A connection registers once, when its peer is known, and is removed when its [`OpenConnection`] is dropped. Nothing here is
//! touched by messages.
//!
//! What the connections of MIP and MiddleMan have in common is here too: when they are closed since the broker stops (`drain`), what they
//! hold of messages that have not come whole (`partial`), and their timer.

mod closed;
mod deadline_timer;
mod drain;
mod partial;
#[cfg(test)]
mod tests;

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime},
};

use msip_runtime::transport::PeerAddress;
use tokio::time::Instant;

use crate::router::SessionHandle;

pub use closed::ClosedConnection;
use closed::RecentlyClosed;
pub(crate) use deadline_timer::DeadlineTimer;
pub(crate) use drain::{Connected, Drain};
pub(crate) use partial::Partial;

/// How many parts the table has, so that connections that come and go at once do not wait for each other.
const SHARDS: usize = 16;

/// The connections of a broker. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Connections(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    shards: [Mutex<HashMap<u64, Arc<ConnectionInfo>>>; SHARDS],
    opened: AtomicU64,
    closed: RecentlyClosed,
}

/// What is known of a connection.
#[derive(Debug)]
#[non_exhaustive]
pub struct ConnectionInfo {
    /// Its number, from 1 on.
    pub id: u64,
    /// The address of the other end, as the transport says it.
    pub address: String,
    /// Where it was accepted, of a MIP peer: what it may do is said of that.
    pub(crate) local: Option<Box<PeerAddress>>,
    /// The session that it carries.
    pub session: SessionHandle,
    /// When it began, by the clock on the wall.
    pub since: SystemTime,
    began: Instant,
}

impl ConnectionInfo {
    /// How long it has been open.
    #[must_use]
    pub fn age(&self) -> Duration {
        self.began.elapsed()
    }
}

impl Connections {
    /// Registers a connection for as long as what is returned lives. `address` is the address of the other end.
    #[must_use]
    pub fn opened(&self, address: impl ToString, session: &SessionHandle) -> OpenConnection {
        self.opened_at(address, None, session)
    }

    /// The same of a connection that was accepted there.
    pub(crate) fn opened_at(
        &self,
        address: impl ToString,
        local: Option<PeerAddress>,
        session: &SessionHandle,
    ) -> OpenConnection {
        let id = self.0.opened.fetch_add(1, Relaxed) + 1;
        let info = Arc::new(ConnectionInfo {
            id,
            address: address.to_string(),
            local: local.map(Box::new),
            session: session.clone(),
            since: SystemTime::now(),
            began: Instant::now(),
        });
        self.0.shard(id).insert(id, Arc::clone(&info));
        OpenConnection {
            table: Arc::clone(&self.0),
            info,
            is_closed: false,
        }
    }

    /// Those that are open, in no order.
    #[must_use]
    pub fn open(&self) -> Vec<Arc<ConnectionInfo>> {
        let mut all = Vec::new();
        for shard in &self.0.shards {
            all.extend(lock(shard).values().cloned());
        }
        all
    }

    /// How many are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.shards.iter().map(|shard| lock(shard).len()).sum()
    }

    /// How many were opened since the broker began.
    #[must_use]
    pub fn opened_in_all(&self) -> u64 {
        self.0.opened.load(Relaxed)
    }

    /// The last ones that have closed, the latest first.
    #[must_use]
    pub fn closed(&self) -> Vec<ClosedConnection> {
        self.0.closed.latest_first()
    }
}

impl Shared {
    fn shard(&self, id: u64) -> MutexGuard<'_, HashMap<u64, Arc<ConnectionInfo>>> {
        let index = usize::try_from(id).unwrap_or_default() % SHARDS;
        lock(&self.shards[index])
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panic left behind is used as it is: every change is made in one step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A connection that is open. It has closed once this is dropped.
#[derive(Debug)]
pub struct OpenConnection {
    table: Arc<Shared>,
    info: Arc<ConnectionInfo>,
    is_closed: bool,
}

impl OpenConnection {
    /// What is known of it.
    #[must_use]
    pub fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// Closes it, with the reason that is shown: of the peer's words at most a part, and escaped.
    pub fn closed(mut self, why: impl ToString) {
        self.close(&why.to_string());
    }

    fn close(&mut self, why: &str) {
        if !std::mem::replace(&mut self.is_closed, true) {
            self.table.shard(self.info.id).remove(&self.info.id);
            let closed = ClosedConnection::new(&self.info, why);
            self.table.closed.push(closed);
        }
    }
}

impl Drop for OpenConnection {
    fn drop(&mut self) {
        self.close("lost");
    }
}
