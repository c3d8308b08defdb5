//! The admission of a client whose schema has to be compared first: it is not listed before, and nothing of it is handled.

use std::{
    collections::HashMap,
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use super::{Peer, Registry, log_limiter::LogLimiter};
use crate::{
    PeerId, Protocol, Status,
    compatibility::Outcome,
    connection::ConnectionShared,
    driver::HandlerTask,
    raw,
    service::{self, Inbox},
};

/// Connections by peer; at most `max_connections`.
#[derive(Default)]
pub(super) struct Connected(Mutex<HashMap<PeerId, Arc<ConnectionShared>>>);

impl Connected {
    pub(super) fn insert(&self, id: PeerId, connection: &Arc<ConnectionShared>) {
        self.lock().insert(id, Arc::clone(connection));
    }

    pub(super) fn remove(&self, id: PeerId) {
        self.lock().remove(&id);
    }

    /// All of them.
    pub(super) fn all(&self) -> Vec<Arc<ConnectionShared>> {
        self.lock().values().cloned().collect()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<PeerId, Arc<ConnectionShared>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a client is listed: among the peers of the server once it is admitted, and among those that wait before.
pub(super) struct Listing<P: Protocol> {
    peer: Peer<P>,
    registry: Arc<Registry<Peer<P>>>,
    waiting: Arc<Connected>,
    state: Mutex<ListingState>,
}

#[derive(Debug, Clone, Copy)]
struct ListingState {
    is_connected: bool,
    is_admitted: bool,
    /// The session goes on without this.
    is_parked: bool,
}

impl<P: Protocol> Listing<P> {
    pub(super) fn new(
        peer: Peer<P>,
        registry: Arc<Registry<Peer<P>>>,
        waiting: Arc<Connected>,
        is_admitted: bool,
    ) -> Self {
        Self {
            peer,
            registry,
            waiting,
            state: Mutex::new(ListingState {
                is_connected: false,
                is_admitted,
                is_parked: false,
            }),
        }
    }

    pub(super) fn connected(&self) {
        let mut state = self.lock();
        state.is_connected = true;
        if state.is_admitted {
            self.registry.insert(self.peer.id(), self.peer.clone());
        } else {
            self.waiting.insert(self.peer.id(), self.peer.shared());
        }
    }

    pub(super) fn disconnected(&self) {
        let mut state = self.lock();
        state.is_connected = false;
        self.registry.remove(self.peer.id());
        self.waiting.remove(self.peer.id());
    }

    /// Its session has ended for good, unless it is parked.
    pub(super) fn leave_rooms(&self) {
        if !self.lock().is_parked {
            self.registry.rooms().leave_all(self.peer.id());
        }
    }

    /// Its session is parked: it stays in its rooms. Returns where the client will be listed.
    pub(super) fn park(&self) -> (Arc<Registry<Peer<P>>>, Arc<Connected>) {
        self.lock().is_parked = true;
        (Arc::clone(&self.registry), Arc::clone(&self.waiting))
    }

    /// The client is admitted: from here on its handler hears of it.
    fn admit(&self) {
        let mut state = self.lock();
        state.is_admitted = true;
        self.waiting.remove(self.peer.id());
        if state.is_connected {
            self.registry.insert(self.peer.id(), self.peer.clone());
        }
    }

    pub(super) fn is_admitted(&self) -> bool {
        self.lock().is_admitted
    }

    fn lock(&self) -> MutexGuard<'_, ListingState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Runs the handlers once the check of the client's schema admits it. Where it does not, the connection is closed, and what
/// has come by it is refused, with the reason.
pub(super) fn when_admitted<P: Protocol>(
    listing: Arc<Listing<P>>,
    check: impl Future<Output = Outcome> + Send + 'static,
    handlers: HandlerTask,
    inbox: Arc<Inbox>,
    log_limiter: Arc<LogLimiter>,
) -> HandlerTask {
    Box::pin(async move {
        match check.await {
            Outcome::GoesOn => {
                listing.admit();
                handlers.await;
            }
            Outcome::Refused(status) => {
                drop(handlers);
                let connection = Arc::clone(listing.peer.shared());
                if log_limiter.may_log_refused(&listing.peer.address()) {
                    tracing::info!(%status, "client refused");
                }
                connection.begin_close(&status);
                let peer = raw::UntypedPeer::server(
                    raw::Handle::new(&connection),
                    P::NAME.to_owned(),
                    P::fingerprint(),
                );
                let service = Arc::new(raw::RawService(Arc::new(RefuseAll(status)), None));
                service::run(service, peer, connection, inbox).await;
            }
        }
    })
}

/// Refuses everything.
struct RefuseAll(Status);

impl raw::Service for RefuseAll {
    async fn serve(&self, _: raw::UntypedPeer, mut inbound: raw::Inbound) {
        while let Some(event) = inbound.next().await {
            if let raw::Event::Exchange(exchange) = event {
                exchange.refuse(self.0.clone());
            }
        }
    }
}
